/*
 * metrics: counters and histograms, and the page on which all shards put theirs. Plain numbers: no lock, no atomic.
 *
 *      an object on its shard      struct counter, struct histogram embedded in it: counting is an addition
 *      a page, made by one shard   goes from shard to shard by message; each puts its objects' numbers on it, and
 *                                  what has the same name and labels is added up; at home it becomes text
 *
 * Invariants
 * 1. A counter belongs to one shard, a page to the shard that has it just now.
 * 2. Counting allocates nothing; putting does, up to the page's maximum, and what comes beyond it is counted and left out.
 * 3. The text is in the order in which names came first, and within a name in that of the labels.
 * Not here: what is measured (broker/observe.c), how the text gets out (http/).
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"

/* Powers of two with four steps each: a value is known within 25 %, up to 2^41; of larger ones only the largest is. */
#define HISTOGRAM_BUCKETS 160

struct counter {
	uint64_t value;
};

struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t largest;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Negative values count as 0. */
void histogram_add(struct histogram *h, int64_t value);
/* An upper bound of the value below which `permille` of a thousand lie; 0 when it is empty. */
uint64_t histogram_quantile(const struct histogram *h, unsigned permille);
/* How many values are below 2^power, power from 2 to 41. */
uint64_t histogram_below(const struct histogram *h, unsigned power);

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* What the numbers are; times are kept in microseconds and exposed in seconds. */
enum metric_unit { METRIC_NUMBER, METRIC_MICROSECONDS };

/* A name and what is said about it: static, the same object for all of its values. */
struct metric {
	const char *name; /* "moldau_requests_total" */
	const char *help; /* one line, without backslashes */
	enum metric_type type;
	enum metric_unit unit;
	unsigned
		least_power; /* of a histogram: its first bucket is below 2^least_power, its last one below 2^most_power */
	unsigned most_power;
};

struct metrics_page {
	struct list families; /* a name each */
	struct map by_name;
	struct map samples; /* by name and labels */
	size_t max_samples;
	size_t left_out;
};

void metrics_page_init(struct metrics_page *p, size_t max_samples);
void metrics_page_fini(struct metrics_page *p);

/* `labels`: "api=\"Fetch\"", made by metrics_label where a value is foreign; "" for none. The same again is added to what is there. */
void metrics_put(struct metrics_page *p, const struct metric *m, struct bytes labels, int64_t value);
void metrics_put_histogram(struct metrics_page *p, const struct metric *m, struct bytes labels,
			   const struct histogram *h);

/* Appends name="value" to `labels`, with a comma where there is one before it, and what the format wants escaped. */
void metrics_label(struct buf *labels, const char *name, struct bytes value);

/* Prometheus' text format, version 0.0.4. A histogram's bounds are powers of two: exact for times, which count whole microseconds. */
void metrics_print(const struct metrics_page *p, struct buf *out);

#endif
