/* metrics: see the header. */
#include "metrics/metrics.h"

#include <inttypes.h>

#include "base/must.h"

#define STEPS 4 /* a power of two is cut into so many */

void metrics_init(struct metrics *m)
{
	list_init(&m->metrics);
}

void metrics_add(struct metrics *m, struct metric *metric)
{
	list_push_back(&m->metrics, &metric->node);
}

void metrics_remove(struct metric *metric)
{
	list_remove(&metric->node);
}

/* 0..3 have a bucket each; from then on the highest bit and the two below it tell. */
static size_t bucket_of(uint64_t value)
{
	unsigned high;
	size_t bucket;

	if (value < STEPS)
		return (size_t)value;
	high = 63 - (unsigned)__builtin_clzll(value);
	bucket = (size_t)(high - 1) * STEPS + ((value >> (high - 2)) & (STEPS - 1));
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_end(size_t bucket)
{
	unsigned high;

	if (bucket < STEPS)
		return bucket;
	high = (unsigned)(bucket / STEPS) + 1;
	return ((STEPS + bucket % STEPS + 1) << (high - 2)) - 1;
}

void histogram_add(struct histogram *h, int64_t value)
{
	uint64_t v = value < 0 ? 0 : (uint64_t)value;

	h->count++;
	h->sum += v;
	h->largest = v > h->largest ? v : h->largest;
	h->buckets[bucket_of(v)]++;
}

uint64_t histogram_quantile(const struct histogram *h, unsigned permille)
{
	uint64_t wanted, seen = 0;

	must(permille <= 1000);
	if (h->count == 0)
		return 0;
	wanted = (h->count * permille + 999) / 1000;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= wanted && seen > 0)
			return i == HISTOGRAM_BUCKETS - 1 || bucket_end(i) > h->largest ? h->largest : bucket_end(i);
	}
	return h->largest;
}

static void print_line(struct buf *out, const struct metric *m, const char *suffix, const char *more, uint64_t value)
{
	const char *comma = *m->labels && *more ? "," : "";

	buf_printf(out, "%s%s", m->name, suffix);
	if (*m->labels || *more)
		buf_printf(out, "{%s%s%s}", m->labels, comma, more);
	buf_printf(out, " %" PRIu64 "\n", value);
}

static void print_histogram(struct buf *out, const struct metric *m)
{
	static const struct {
		unsigned permille;
		const char *label;
	} quantiles[] = {{500, "quantile=\"0.5\""}, {990, "quantile=\"0.99\""}, {999, "quantile=\"0.999\""}};
	const struct histogram *h = m->of.histogram;

	for (size_t i = 0; i < countof(quantiles); i++)
		print_line(out, m, "", quantiles[i].label, histogram_quantile(h, quantiles[i].permille));
	print_line(out, m, "_sum", "", h->sum);
	print_line(out, m, "_count", "", h->count);
}

void metrics_print(const struct metrics *m, struct buf *out)
{
	for (const struct list_node *n = m->metrics.head.next; n != &m->metrics.head; n = n->next) {
		const struct metric *metric = container_of(n, struct metric, node);

		switch (metric->kind) {
		case METRIC_COUNTER:
			print_line(out, metric, "", "", metric->of.counter->value);
			break;
		case METRIC_GAUGE:
			buf_printf(out, "%s%s%s%s %" PRId64 "\n", metric->name, *metric->labels ? "{" : "",
				   metric->labels, *metric->labels ? "}" : "", metric->of.gauge(metric));
			break;
		case METRIC_HISTOGRAM:
			print_histogram(out, metric);
			break;
		}
	}
}
