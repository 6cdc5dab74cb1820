/*
 * scrub_check: batches of a segment, one after the other, held against their neighbours, the segment's bounds, the leader epochs and the
 * indexes: what of it cannot be. The caller reads and takes the CRC.
 *
 *      a batch    lies in the segment (its base .. limit), does not begin before the one before it ends, has the epoch of its offset
 *      an entry   of an index names a batch that is there, by its last offset or with its largest timestamp
 *
 * A gap is no damage by itself: compaction leaves gaps. But where a gap comes before an overlap, the batch between is the wrong one; and so is one
 * that the offset index has right behind the batch before it.
 *
 * Lifetime: a walk over one segment. Pure; the indexes and epochs are borrowed.
 */
#ifndef STORAGE_SCRUB_CHECK_H
#define STORAGE_SCRUB_CHECK_H

#include "record/batch.h"
#include "storage/epoch_cache.h"
#include "storage/offset_index.h"
#include "storage/time_index.h"

enum scrub_verdict {
	SCRUB_GOOD,
	SCRUB_NO_BATCH,
	SCRUB_CRC,
	SCRUB_PLACE,
	SCRUB_OVERLAP,
	SCRUB_PREVIOUS, /* the one before it is the wrong one; it is good itself */
	SCRUB_EPOCH,
	SCRUB_INDEX,
};

struct scrub_check {
	/* Given. */
	int64_t base;
	int64_t limit;                      /* where the next segment begins, or the log ends */
	const struct epoch_cache *epochs;   /* NULL: nothing is known */
	const struct offset_index *offsets; /* NULL: there is none */
	const struct time_index *times;
	/* How far it is. */
	int64_t expected; /* the next offset; at first `base` */
	int64_t before;   /* the same as it was in front of the last batch */
	bool gap;         /* in front of the last batch */
	int64_t last_position;
	int32_t last_delta;
	size_t offset_at; /* the first entry that no batch has been held against */
	size_t time_at;
	int64_t max_timestamp;
	bool damaged; /* somewhere: what the largest timestamp is nobody knows */
	bool offsets_wrong;
	bool times_wrong;
	bool times_short; /* missing entries, or not the largest, or of an index that nobody looks up: that happens without damage */
};

const char *scrub_words(enum scrub_verdict v);
/* Whether a batch can begin so where `left` bytes of the file are left; before there is a CRC to be taken. */
bool scrub_can_begin(const struct scrub_check *c, const struct batch_header *h, int64_t left);
/* SCRUB_GOOD and SCRUB_PREVIOUS move on; the others change nothing. */
enum scrub_verdict scrub_batch(struct scrub_check *c, const struct batch_header *h, bool crc_ok, int64_t position);
/* Between these two places is nothing good; the next batch begins at `next_offset`. */
void scrub_skip(struct scrub_check *c, int64_t position, int64_t end, int64_t next_offset);
/* All was looked at, or, in an active segment, what is synced of it. */
void scrub_end(struct scrub_check *c, bool closed);

#endif
