/*
 * metrics: counters, gauges and histograms of one shard: plain numbers in memory, no lock, no atomic. Exposition asks every
 * shard for its own by message and adds them up (later).
 *
 * Invariants: a registry belongs to one shard; an instrument is embedded in whoever counts, lives as long as the registry, and its
 * name is static text; iteration is by order of registration.
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"

/* Powers of two with four steps each: a value is known within 25 %, up to 2^41; of larger ones only the largest is. */
#define HISTOGRAM_BUCKETS 160

struct counter {
	uint64_t value;
};

struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t largest;
	uint32_t buckets[HISTOGRAM_BUCKETS];
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
	struct list_node node;
	const char *name;   /* as it will be exposed: "moldau_requests_total" */
	const char *labels; /* "api=\"Produce\"", or "" */
	enum metric_kind kind;
	union {
		const struct counter *counter;
		const struct histogram *histogram;
		int64_t (*gauge)(const struct metric *m); /* asked when exposed */
	} of;
	const void *context;
};

struct metrics {
	struct list metrics;
};

void metrics_init(struct metrics *m);
void metrics_add(struct metrics *m, struct metric *metric);
void metrics_remove(struct metric *metric);

static inline void counter_add(struct counter *c, uint64_t n)
{
	c->value += n;
}

/* Negative values count as 0. */
void histogram_add(struct histogram *h, int64_t value);
/* An upper bound of the value below which `permille` of a thousand lie; 0 when it is empty. */
uint64_t histogram_quantile(const struct histogram *h, unsigned permille);

/* All of them as text, a line each (Prometheus' format; histograms as quantiles with sum and count). */
void metrics_print(const struct metrics *m, struct buf *out);

#endif
