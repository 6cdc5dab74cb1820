/* print: a metrics page as Prometheus' text. Calls buf only. */
#include <inttypes.h>

#include "metrics/page.h"

#define MICROSECONDS 1000000U

/* Without floating point, so that it is exact and has no locale. */
static void print_value(struct buf *out, enum metric_unit unit, int64_t value)
{
	uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	unsigned fraction = (unsigned)(size % MICROSECONDS);

	if (value < 0)
		buf_put_i8(out, '-');
	if (unit == METRIC_NUMBER)
		buf_printf(out, "%" PRIu64, size);
	else if (fraction)
		buf_printf(out, "%" PRIu64 ".%06u", size / MICROSECONDS, fraction);
	else
		buf_printf(out, "%" PRIu64, size / MICROSECONDS);
}

static void print_line(struct buf *out, const struct metric *m, const char *suffix, const char *labels, int64_t value)
{
	buf_printf(out, "%s%s", m->name, suffix);
	if (*labels)
		buf_printf(out, "{%s}", labels);
	buf_put_i8(out, ' ');
	print_value(out, m->type == METRIC_HISTOGRAM && suffix[1] == 'c' ? METRIC_NUMBER : m->unit, value);
	buf_put_i8(out, '\n');
}

static void print_bucket(struct buf *out, const struct metric *m, const char *labels, unsigned power, uint64_t count)
{
	/* A whole microsecond stands for what came before the next one; of a number only the ones below 2^power are meant. */
	int64_t bound = (INT64_C(1) << power) - (m->unit == METRIC_NUMBER);

	buf_printf(out, "%s_bucket{%s%sle=\"", m->name, labels, *labels ? "," : "");
	if (power)
		print_value(out, m->unit, bound);
	else
		buf_put_str(out, "+Inf");
	buf_printf(out, "\"} %" PRIu64 "\n", count);
}

static void print_histogram(struct buf *out, const struct metric *m, const struct metric_sample *s)
{
	for (unsigned power = m->least_power; power <= m->most_power; power++)
		print_bucket(out, m, s->labels, power, histogram_below(s->histogram, power));
	print_bucket(out, m, s->labels, 0, s->histogram->count);
	print_line(out, m, "_sum", s->labels, (int64_t)s->histogram->sum);
	print_line(out, m, "_count", s->labels, (int64_t)s->histogram->count);
}

static const char *type_name(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER:
		return "counter";
	case METRIC_GAUGE:
		return "gauge";
	case METRIC_HISTOGRAM:
		return "histogram";
	}
	return "untyped";
}

void metrics_print(const struct metrics_page *p, struct buf *out)
{
	list_for_each(&p->families, f_node)
	{
		const struct metric_family *f = container_of(f_node, struct metric_family, node);
		const struct metric *m = f->metric;

		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, type_name(m->type));
		list_for_each(&f->samples, s_node)
		{
			const struct metric_sample *s = container_of(s_node, struct metric_sample, node);

			if (s->histogram)
				print_histogram(out, m, s);
			else
				print_line(out, m, "", s->labels, s->value);
		}
	}
	if (p->left_out)
		buf_printf(out, "# %zu values were left out: the page is full\n", p->left_out);
}

void metrics_label(struct buf *labels, const char *name, struct bytes value)
{
	buf_printf(labels, "%s%s=\"", labels->size ? "," : "", name);
	for (size_t i = 0; i < value.size; i++) {
		uint8_t c = value.data[i];

		if (c == '\n') {
			buf_put_str(labels, "\\n");
			continue;
		}
		if (c == '"' || c == '\\')
			buf_put_i8(labels, '\\');
		buf_put(labels, &c, 1);
	}
	buf_put_i8(labels, '"');
}
