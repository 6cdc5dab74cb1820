/*
 * retention: which segments leave a log by time and by size, and why each of the others stays. Pure: no I/O, no clock.
 *
 *      start      oldest                                              active
 *      |--- segment --- segment --- segment --- segment --- segment --- ...| end
 *       by time: while the largest timestamp is over                ^ bound (high watermark): nothing beyond it goes
 *       by size: while what stays is at least retention.bytes
 *
 * Invariants, as in Kafka: segments go whole and from the oldest on; none goes that is not wholly below the bound; one with a timestamp in the
 * future stays, and what is behind it; when all are due the active one is rolled first, so that one segment always remains.
 * Not here: moving the start (purge.c), when it is looked at (housekeeping.c), compaction (clean*.h).
 */
#ifndef STORAGE_RETENTION_H
#define STORAGE_RETENTION_H

#include "storage/log.h"

/* A segment as retention sees it. */
struct retention_segment {
	int64_t base_offset;
	int64_t end_offset; /* the next one's base offset, or the log's end */
	int64_t size;
	int64_t timestamp_ms; /* the largest of its records; of the file where they have none */
};

struct retention_input {
	const struct retention_segment *segments; /* oldest first; the last one is active */
	size_t count;
	int64_t bound;
	int64_t now_ms; /* wall clock */
	bool by_time;
	int64_t retention_ms;
	bool by_size;
	int64_t retention_bytes;
};

struct retention_plan {
	size_t by_time; /* so many from the oldest on are over */
	size_t by_size; /* and so many after them are too much */
	bool roll;      /* the active one is among them */
	bool future;    /* one is kept for a timestamp in the future */
};

struct retention_input retention_input_of(const struct log_config *c, const struct retention_segment *segments,
					  size_t count, int64_t bound, int64_t now_ms);
struct retention_plan retention_decide(const struct retention_input *in);

/* Fills due and kept of each segment; `infos` has the rest already, and as many as `in` has segments. */
void retention_explain(const struct retention_input *in, bool compacted, struct segment_info *infos);

#endif
