/*
 * evict: which segments go when all logs of a process together use more than disk.usage.max.bytes. Pure.
 *
 * Invariants: the oldest go first, over all logs, by the largest timestamp of a segment and of those before it in its log; segments of logs
 * whose records only leave by compaction are the last; never more goes than brings the total down to the bound. Active segments, and what is
 * not committed, are no candidates.
 * Not here: who collects them (housekeeping.c).
 */
#ifndef STORAGE_EVICT_H
#define STORAGE_EVICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log;

struct evict_candidate {
	int64_t timestamp_ms;
	int64_t size;
	int64_t end_offset;
	struct log *log; /* opaque here; of its shard */
	bool compacted;
	unsigned shard;
	size_t order; /* in which the shard came to it: a log's older segments before its younger ones */
};

/* Sorts them, those that go first being first, and gives how many go so that `total` comes down to `bound`. */
size_t evict_decide(struct evict_candidate *candidates, size_t count, int64_t total, int64_t bound);

#endif
