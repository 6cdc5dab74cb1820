/*
 * segment: one file of a log's records and what is known about it. A plain part of struct log; storage/ only.
 *
 *      .log       | batch | batch | ... | written         | size        what lies between is in memory still
 *      .index .timeindex        in memory for the active segment, and for closed ones while they are read; on disk from the roll on
 *
 * Invariants: size >= written; an index never points past `size`; base offset + relative offsets fit int32.
 */
#ifndef STORAGE_SEGMENT_H
#define STORAGE_SEGMENT_H

#include "record/batch.h"
#include "storage/aborted_index.h"
#include "storage/damage.h"
#include "storage/file_cache.h"
#include "storage/offset_index.h"
#include "storage/time_index.h"

struct segment {
	int64_t base_offset;
	int64_t size;                 /* with what is appended and not yet written */
	int64_t written;              /* bytes in the file */
	int64_t max_timestamp;        /* NO_TIMESTAMP: none */
	int64_t max_timestamp_offset; /* last offset of the first batch that has it */
	int64_t first_timestamp;      /* of the first batch, from which segment.ms counts; NO_TIMESTAMP: none */
	int64_t created_ms;           /* shard_now_ms when it was made here */
	int64_t modified_ms;          /* wall clock; 0: not looked at. Only where no record has a timestamp */
	int64_t jitter_ms;            /* how much earlier than segment.ms it is rolled; -1: not drawn */
	int64_t index_bytes;          /* since the last index entry */
	struct offset_index offsets;
	struct time_index times;
	struct aborted_index aborted; /* of an active segment always in memory */
	size_t aborted_durable;       /* so many of its entries are in the file, synced */
	struct cached_file *file;
	struct buf *snapshot;  /* producer snapshot at base_offset that is not on disk yet */
	bool snapshot_durable; /* there is one at base_offset that a power failure leaves */
	bool made;             /* the file exists */
	bool reserved;         /* the file has disk space for a whole segment (preallocate) */
	bool saving_index;     /* somebody is just writing the files */
	bool swapped;          /* its files have the names *.swap still: it is just taking the place of others */
	bool replaced;         /* by one that was made of it: what its files' names lead to is another's now */
	bool sides_moved; /* the files beside it are in the copy that a move makes: false once one was written anew */
	bool name_synced;
	bool times_known; /* max_timestamp is right */
	bool index_loaded;
	bool index_saved;           /* the files on disk are as the memory is */
	struct damage_list damages; /* what is not served of it */
	bool index_mended;          /* since the log was opened: once is enough */
	bool aborted_loaded;
	bool aborted_expected; /* there is a file of it; where it is not, what it had is made anew */
	bool aborted_stale;    /* the file has more than the memory: it is written anew, whole */
	bool index_waits; /* written under other names, which the stop syncs with all others' before it changes them */
	struct list_node grave;
};

struct segment *segment_new(int64_t base_offset, int64_t now_ms);
/* NULL ok. */
void segment_free(struct segment *s, struct file_cache *c);
/* Notes a batch that lies at s->size; index entries as Kafka makes them. */
void segment_add(struct segment *s, const struct batch_header *h, int64_t index_interval_bytes);
/* Forgets what starts at or behind `position`, the place of `offset`. */
void segment_truncate(struct segment *s, int64_t position, int64_t offset);
/* The time index ends with the largest timestamp of all, as Kafka's does when a segment is closed. */
void segment_finish_times(struct segment *s);
size_t segment_index_memory(const struct segment *s);
void segment_drop_index(struct segment *s);
/* Entries whose markers are cut; the file may have them still. */
void segment_cut_aborted(struct segment *s, int64_t offset);
/* Not all of its aborted transactions are known to be in its file. */
static inline bool segment_owes_aborted(const struct segment *s)
{
	return s->aborted_loaded && (s->aborted_stale || s->aborted_durable < s->aborted.count);
}

#endif
