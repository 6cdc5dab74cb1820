/*
 * offset_index: where in a segment's file an offset is to be looked for: Kafka's .index, sorted, sparse.
 *
 *      entry      (last offset of a batch, position of that batch)      one about each index.interval.bytes
 *      lookup     the entry with the largest offset <= the wanted one; the wanted batch is at or behind its position
 *
 * Invariants: offsets and positions grow strictly from entry to entry; offsets are relative to the segment's base.
 * Lifetime: embedded in a segment. Pure: bytes of the file come in and go out whole. The bytes are foreign: a file is checked on load.
 */
#ifndef STORAGE_OFFSET_INDEX_H
#define STORAGE_OFFSET_INDEX_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define OFFSET_INDEX_ENTRY_SIZE 8

struct offset_entry {
	int32_t relative_offset;
	int32_t position;
};

struct offset_index {
	struct offset_entry *entries;
	size_t count;
	size_t capacity;
};

void offset_index_init(struct offset_index *x);
void offset_index_fini(struct offset_index *x);
void offset_index_append(struct offset_index *x, struct offset_entry e);
/* Position 0 when the wanted offset is before the first entry. */
int32_t offset_index_lookup(const struct offset_index *x, int32_t relative_offset);
/* The position of the entry behind the one that lookup took; `none` when that was the last: the wanted batch starts at or before it. */
int32_t offset_index_lookup_end(const struct offset_index *x, int32_t relative_offset, int32_t none);
/* The offset of the first entry at or behind `position`; `none` when there is no such: what lies before the position is not beyond it. */
int32_t offset_index_lookup_position(const struct offset_index *x, int32_t position, int32_t none);
/* Forgets what points at or past `position`. */
void offset_index_truncate(struct offset_index *x, int32_t position);
/* ERR_CORRUPT when it cannot be the index of a segment of `segment_size` bytes. Trailing zero entries (preallocated) are left out. */
enum err offset_index_read(struct bytes file, int64_t segment_size, struct offset_index *x) MUST_CHECK;
void offset_index_write(const struct offset_index *x, struct buf *out);

#endif
