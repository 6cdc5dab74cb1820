/*
 * time_index: from which offset on a timestamp may be found in a segment: Kafka's .timeindex, sorted, sparse.
 *
 *      entry      (largest timestamp so far, last offset of the batch that has it)
 *      lookup     the entry with the largest timestamp <= the wanted one: everything up to its offset is not younger
 *
 * Invariants: timestamps grow strictly, offsets (relative to the segment's base) do not fall.
 * Lifetime: embedded in a segment. Pure; a file's bytes are checked on load.
 */
#ifndef STORAGE_TIME_INDEX_H
#define STORAGE_TIME_INDEX_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define TIME_INDEX_ENTRY_SIZE 12

struct time_entry {
	int64_t timestamp;
	int32_t relative_offset;
};

struct time_index {
	struct time_entry *entries;
	size_t count;
	size_t capacity;
};

void time_index_init(struct time_index *x);
void time_index_fini(struct time_index *x);
/* Does nothing unless the timestamp is above the last one. */
void time_index_maybe_append(struct time_index *x, struct time_entry e);
/* Timestamp -1 and offset 0 when the wanted timestamp is before the first entry. */
struct time_entry time_index_lookup(const struct time_index *x, int64_t timestamp);
/* Forgets what points at or past `relative_offset`. */
void time_index_truncate(struct time_index *x, int32_t relative_offset);
/* ERR_CORRUPT when it cannot be a time index. Trailing zero entries (preallocated) are left out. */
enum err time_index_read(struct bytes file, struct time_index *x) MUST_CHECK;
void time_index_write(const struct time_index *x, struct buf *out);

#endif
