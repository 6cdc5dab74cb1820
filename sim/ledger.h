/*
 * ledger: what the clients of a history were told, and whether it can all be true. Believes clients only; never looks into a broker.
 *
 *      offset     0    1    2    3    4    5
 *      placed     a    b    c    .    e    .        acknowledged there, or read there: must be there for ever
 *      cached     .    .    .    d    .    .        acknowledged with acks=1: there until the page cache is lost
 *      at the end a    b    c    d    e    f        every offset once, every placed one the same, each producer's in order
 *
 * A record's id is (producer << 32 | serial) and its bytes follow from its id, so a record that nobody sent shows. A producer
 * here is one producer id on one partition; serials rise in the order in which it sends.
 * Checks
 * 1. No two records at one offset; an acknowledged or read record stays (lost, or replaced); one of acks=1 over kills alone.
 * 2. No record twice from an idempotent producer, each producer's in the order sent.
 * 3. Offsets without gaps from the start of the log to its end.
 * 4. The high watermark that an answer tells is not below what an earlier answer told.
 * 5. The log's start never goes back, and is not beyond what a reader that was moved on was given (retention may move it).
 * A check that fails gives static text; NULL is well.
 */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/must.h"

struct ledger_producer {
	uint32_t number;
	bool idempotent;
	uint32_t next_serial; /* sent so far */
	int64_t last_seen;    /* serial, in the final reading; -1 */
};

struct ledger_partition {
	uint64_t *placed; /* id by offset; 0: not known */
	size_t placed_count;
	size_t placed_capacity;
	uint64_t *cached; /* the same, of what was only written */
	size_t cached_count;
	size_t cached_capacity;
	struct ledger_producer *producers;
	size_t producer_count;
	size_t producer_capacity;
	int64_t high_watermark; /* the largest that was told */
	int64_t start;          /* of the log, the largest that was told */
	int64_t moved_to;       /* the largest offset that a reader was moved on to by the library */
	int64_t *stamps;        /* timestamp by offset, of what was read; 0: not known */
	size_t stamp_count;
	size_t stamp_capacity;
	int64_t final_next; /* of the final reading */
	uint64_t acked;
	uint64_t read;
};

void ledger_partition_init(struct ledger_partition *p);
void ledger_partition_fini(struct ledger_partition *p);

uint32_t ledger_new_producer(struct ledger_partition *p, bool idempotent);
/* The id of a producer's next record, which is sent now. */
uint64_t ledger_next_id(struct ledger_partition *p, uint32_t producer);

const char *ledger_acked(struct ledger_partition *p, int64_t offset, uint64_t id) MUST_CHECK;
const char *ledger_read(struct ledger_partition *p, int64_t offset, uint64_t id) MUST_CHECK;
/* With acks=1: the leader wrote it and did not sync it yet. It survives the death of the process. */
const char *ledger_cached(struct ledger_partition *p, int64_t offset, uint64_t id) MUST_CHECK;
/* The machine lost its power, or writes and syncs fail: nothing is promised of what was only written. */
void ledger_cache_lost(struct ledger_partition *p);
/* `floor`: the largest that was known when the request was sent. */
const char *ledger_high_watermark(struct ledger_partition *p, int64_t high_watermark, int64_t floor) MUST_CHECK;

/* `floor`: the largest that was known when the request was sent. */
const char *ledger_start(struct ledger_partition *p, int64_t start, int64_t floor) MUST_CHECK;
void ledger_stamp(struct ledger_partition *p, int64_t offset, int64_t timestamp_ms);
/* The youngest record of known age that the log no longer had when its start was told to be `start`; 0: none. */
int64_t ledger_youngest_gone(const struct ledger_partition *p, int64_t from, int64_t start);

/* The final reading, which begins at the log's start, or begins anew there when that moves; record by record from the log's start. */
const char *ledger_final_start(struct ledger_partition *p, int64_t start) MUST_CHECK;
const char *ledger_final_record(struct ledger_partition *p, int64_t offset, uint64_t id) MUST_CHECK;
const char *ledger_final_end(struct ledger_partition *p, int64_t end_offset) MUST_CHECK;

#endif
