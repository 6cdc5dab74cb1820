/* metrics: see the header. Counting, and adding up; the text is print.c's. */
#include "metrics/metrics.h"

#include "base/alloc.h"
#include "base/must.h"
#include "metrics/page.h"

#define STEPS 4 /* a power of two is cut into so many */
#define KEY_MAX ((size_t)4096)

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

uint64_t histogram_below(const struct histogram *h, unsigned power)
{
	size_t end = bucket_of(UINT64_C(1) << power);
	uint64_t count = 0;

	must(power >= 2 && power <= 40);
	for (size_t i = 0; i < end; i++)
		count += h->buckets[i];
	return count;
}

static void histogram_merge(struct histogram *to, const struct histogram *from)
{
	to->count += from->count;
	to->sum += from->sum;
	to->largest = from->largest > to->largest ? from->largest : to->largest;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->buckets[i] += from->buckets[i];
}

/* --- the page -------------------------------------------------------------------------------------------------------- */

void metrics_page_init(struct metrics_page *p, size_t max_samples)
{
	*p = (struct metrics_page){.max_samples = max_samples};
	list_init(&p->families);
	map_init(&p->by_name);
	map_init(&p->samples);
}

static void free_family(struct metric_family *f)
{
	struct list_node *n;

	while ((n = list_pop_front(&f->samples)) != NULL) {
		struct metric_sample *s = container_of(n, struct metric_sample, node);

		mem_free(s->histogram);
		mem_free(s->labels);
		mem_free(s);
	}
	mem_free(f);
}

void metrics_page_fini(struct metrics_page *p)
{
	struct list_node *n;

	while ((n = list_pop_front(&p->families)) != NULL)
		free_family(container_of(n, struct metric_family, node));
	map_fini(&p->by_name);
	map_fini(&p->samples);
}

static struct metric_family *family_of(struct metrics_page *p, const struct metric *m)
{
	struct metric_family *f = map_get(&p->by_name, bytes_str(m->name));

	if (f) {
		must(f->metric == m); /* one description a name */
		return f;
	}
	f = mem_new(struct metric_family);
	f->metric = m;
	list_init(&f->samples);
	list_push_back(&p->families, &f->node);
	(void)map_put(&p->by_name, bytes_str(m->name), f);
	return f;
}

static struct metric_sample *add_sample(struct metrics_page *p, const struct metric *m, struct bytes key,
					struct bytes labels)
{
	struct metric_sample *s = mem_new(struct metric_sample);

	s->labels = mem_zalloc(labels.size + 1);
	memcpy(s->labels, labels.data, labels.size);
	if (m->type == METRIC_HISTOGRAM)
		s->histogram = mem_new(struct histogram);
	list_push_back(&family_of(p, m)->samples, &s->node);
	(void)map_put(&p->samples, key, s);
	return s;
}

/* What is there under this name with these labels, or a new one; NULL when the page is full. */
static struct metric_sample *sample_of(struct metrics_page *p, const struct metric *m, struct bytes labels)
{
	struct metric_sample *s = NULL;
	struct buf key;

	buf_init(&key, KEY_MAX);
	buf_put_str(&key, m->name);
	buf_put_i8(&key, '{');
	buf_put_bytes(&key, labels);
	if (!key.error)
		s = map_get(&p->samples, buf_bytes(&key));
	if (!s && !key.error && p->samples.count < p->max_samples)
		s = add_sample(p, m, buf_bytes(&key), labels);
	p->left_out += !s;
	buf_fini(&key);
	return s;
}

void metrics_put(struct metrics_page *p, const struct metric *m, struct bytes labels, int64_t value)
{
	struct metric_sample *s;

	must(m->type != METRIC_HISTOGRAM);
	s = sample_of(p, m, labels);
	if (s)
		s->value += value;
}

void metrics_put_histogram(struct metrics_page *p, const struct metric *m, struct bytes labels,
			   const struct histogram *h)
{
	struct metric_sample *s;

	must(m->type == METRIC_HISTOGRAM);
	s = sample_of(p, m, labels);
	if (s)
		histogram_merge(s->histogram, h);
}
