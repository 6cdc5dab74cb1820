/* evict: see evict.h. Pure. */
#include "storage/evict.h"

#include <stdlib.h>

static int by_age(const void *a, const void *b)
{
	const struct evict_candidate *x = a, *y = b;

	if (x->compacted != y->compacted)
		return x->compacted ? 1 : -1;
	if (x->timestamp_ms != y->timestamp_ms)
		return x->timestamp_ms < y->timestamp_ms ? -1 : 1;
	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

size_t evict_decide(struct evict_candidate *candidates, size_t count, int64_t total, int64_t bound)
{
	size_t going = 0;

	if (count)
		qsort(candidates, count, sizeof(*candidates), by_age);
	while (going < count && total > bound)
		total -= candidates[going++].size;
	return going;
}
