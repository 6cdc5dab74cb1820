/*
 * clean_plan: what of a compacted log is worth cleaning, and which segments are cleaned into one. Pure.
 *
 *      |---- clean ----|--------- dirty ----------|--- not yet: lag, not committed, not synced, active ---|
 *      start           first dirty                uncleanable
 *
 * Invariants, as in Kafka: the log with the largest share of dirty bytes is cleaned first, if the share is above min.cleanable.dirty.ratio; one
 * whose dirty part holds a record older than max.compaction.lag.ms is cleaned whatever its share. Groups of neighbours stay within
 * segment.bytes, the size of the index, and 2^31 offsets.
 */
#ifndef STORAGE_CLEAN_PLAN_H
#define STORAGE_CLEAN_PLAN_H

#include "storage/log.h"

/* A segment as the cleaner sees it. */
struct clean_segment {
	int64_t base_offset;
	int64_t end_offset;
	int64_t size;
	int64_t first_timestamp_ms; /* of its first batch; negative: none */
	int64_t max_timestamp_ms;
	size_t index_entries;
};

struct clean_input {
	const struct clean_segment *segments; /* oldest first; the last one is active */
	size_t count;
	int64_t clean_offset; /* where the last cleaning ended */
	int64_t bound;        /* committed and synced up to here */
	int64_t now_ms;
	const struct log_config *config;
};

struct clean_plan {
	int64_t first_dirty;
	int64_t uncleanable; /* where a segment begins */
	int64_t clean_bytes;
	int64_t dirty_bytes;
	double ratio;
	bool overdue; /* max.compaction.lag.ms is over */
	bool wanted;
};

struct clean_plan clean_decide(const struct clean_input *in);
/* Whether the active segment has to end, so that it can be cleaned within max.compaction.lag.ms. */
bool clean_wants_roll(const struct clean_input *in);
/* How many segments from `first` on, at least one and all below `uncleanable`, make one. */
size_t clean_group(const struct clean_input *in, size_t first, int64_t uncleanable);

#endif
