/*
 * aborted_index: the aborted transactions whose marker lies in a segment: Kafka's .txnindex, by the offset of the marker.
 *
 *      entry    producer, first offset (perhaps in an earlier segment), offset of the marker, last stable offset when that was written
 *      reader   of [from, to): the entries that overlap it, of this and later segments, up to one whose last stable offset is at or behind `to`
 *
 * Invariants: the markers' offsets grow strictly, the last stable offsets never fall. An entry too many does no harm as long as its marker is there:
 * whoever reads drops nothing behind it.
 * Lifetime: embedded in a segment. Pure; the bytes of a file are foreign: checked on load.
 */
#ifndef STORAGE_ABORTED_INDEX_H
#define STORAGE_ABORTED_INDEX_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define ABORTED_ENTRY_SIZE 34

struct aborted_txn {
	int64_t producer_id;
	int64_t first_offset;
	int64_t last_offset;
	int64_t last_stable_offset;
};

struct aborted_index {
	struct aborted_txn *entries;
	size_t count;
	size_t capacity;
};

void aborted_index_fini(struct aborted_index *x);
void aborted_index_append(struct aborted_index *x, const struct aborted_txn *t);
/* Forgets the markers at and behind `offset`. */
void aborted_index_truncate(struct aborted_index *x, int64_t offset);
/* Appends to `out` those that overlap [from, to); true when none behind these can. */
bool aborted_index_collect(const struct aborted_index *x, int64_t from, int64_t to, struct aborted_index *out);
/* How many entries have their marker below `offset`. */
size_t aborted_index_count_below(const struct aborted_index *x, int64_t offset);
/* Replaces all. ERR_CORRUPT and unchanged when it cannot be the index of a segment that begins at `base_offset`. */
enum err aborted_index_read(struct bytes file, int64_t base_offset, struct aborted_index *x) MUST_CHECK;
/* The entries from number `from` on. */
void aborted_index_write(const struct aborted_index *x, size_t from, struct buf *out);

#endif
