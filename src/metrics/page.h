/*
 * page: what is on a metrics page, for metrics.c and print.c only.
 */
#ifndef METRICS_PAGE_H
#define METRICS_PAGE_H

#include "metrics/metrics.h"

struct metric_sample {
	struct list_node node;
	char *labels;
	int64_t value;
	struct histogram *histogram; /* NULL for all others */
};

struct metric_family {
	struct list_node node;
	const struct metric *metric;
	struct list samples;
};

#endif
