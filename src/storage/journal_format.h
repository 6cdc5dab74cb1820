/*
 * journal_format: the records of a shard's journal in a log folder. Pure.
 *
 *      file       | round | round |   round   | old bytes ...            a round starts on a block of 4 KiB and fills its last one
 *      round      | record | record | ... | end | zeros |
 *      record     magic u32, crc u32, size u32, kind u8, topic size u8, unsynced u16, run u64, generation u64, live u64, round u64,
 *                 topic id 16, partition i32, file base i64, position i64, base offset i64, acknowledged i64, topic, bytes
 *
 * The CRC covers everything behind it. All integers big-endian.
 * Invariants
 * 1. Only records of the current run count, and of a file only those of its newest generation, if that is not below the largest `live` of all.
 * 2. Rounds are synced one after the other, and written while the one before is: a round that does not parse is damage, not a torn tail, when a later one
 *    (of the same run) says that it was synced.
 */
#ifndef STORAGE_JOURNAL_FORMAT_H
#define STORAGE_JOURNAL_FORMAT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"

#define JOURNAL_BLOCK ((size_t)4096)
#define JOURNAL_HEAD_SIZE 100
#define JOURNAL_RECORD_HEAD_MAX (JOURNAL_HEAD_SIZE + 255)

enum journal_kind {
	JOURNAL_DATA = 1, /* bytes of a segment */
	JOURNAL_FORGET =
		2,        /* records of this log before this one are void: it was cut, moved its start, or goes away */
	JOURNAL_NOTE = 3, /* the acknowledged bound of a log; its position field holds the log's start */
	JOURNAL_END = 4,  /* of a round */
};

struct journal_record {
	enum journal_kind kind;
	uint64_t run;        /* of the process; storage/store counts them */
	uint64_t generation; /* of the file's content */
	uint64_t live;       /* generations below are in the segments */
	uint64_t round;
	uint16_t unsynced; /* so many rounds before this one were not known to be synced when it was written */
	struct uuid topic_id;
	struct bytes topic;
	int32_t partition;
	int64_t file_base; /* names the segment; FORGET: 0, or only records of segments that begin below it are void */
	int64_t position;  /* in the segment's file; FORGET and NOTE: the log's start */
	int64_t base_offset; /* of the first batch; FORGET: the log's end */
	int64_t acknowledged;
	struct bytes data;
};

/* The record's head into `out`, for `data_size` bytes given in parts that follow it in the file. */
void journal_head_write(struct buf *out, const struct journal_record *r, const struct bytes *parts, size_t part_count);

/*
 * The record at the start of `at`, which may hold more. ERR_END when there is none (no magic), ERR_CORRUPT when there is
 * one that is cut off or damaged.
 */
enum err journal_record_read(struct bytes at, struct journal_record *ret_record, size_t *ret_size) MUST_CHECK;

/* The offset behind its last batch; that of its first one where it has none. */
int64_t journal_record_end(const struct journal_record *r);

/*
 * Walks a journal file that is wholly in memory: every record that parses is visited, in order; what is broken is skipped up to the
 * next block on which a round starts. The visitor drops what is of another run or of an old generation.
 */
struct journal_visitor {
	void (*record)(struct journal_visitor *v, const struct journal_record *r);
};

void journal_walk(struct bytes file, struct journal_visitor *v);

#endif
