/*
 * log_model: what one partition's log must hold, as those know it who appended to it and were told what is safe.
 *
 *      start                 acked              synced                     end
 *      |--- must be there ---|--- was readable -|--- may be there or not --|      after a crash the log ends at a batch in [acked, end]
 *
 * Holds every batch as its bytes are in the log. Pure; the world (log_world) feeds it. A check that fails returns what is wrong as
 * static text, NULL when all is well.
 */
#ifndef SIM_LOG_MODEL_H
#define SIM_LOG_MODEL_H

#include "base/bytes.h"
#include "base/err.h"
#include "record/batch.h"
#include "storage/log.h"

#define MODEL_KEYS 40 /* keys of a compacted log are numbers below this, as two characters of text */

/* Of compacted logs. */
struct model_record {
	uint32_t value_hash;
	uint8_t key;
	bool tombstone;
};

enum model_end { MODEL_DATA, MODEL_COMMIT, MODEL_ABORT };

struct model_batch {
	int64_t base_offset;
	int32_t count;
	int64_t producer_id;
	int32_t base_sequence;
	int16_t producer_epoch;
	bool transactional;
	enum model_end end; /* of its producer's transaction */
	int64_t acked_us;   /* when it became safe; -1 while it is not */
	int64_t max_timestamp;
	uint8_t *data;
	size_t size;
	struct model_record *records; /* [count]; NULL in a log that is not compacted */
};

#define MODEL_PRODUCERS 8 /* with transactions, at most */

struct model_open {
	int64_t producer_id;
	int64_t first_offset;
};

/* Transactions that are open behind some batch. */
struct model_opens {
	struct model_open all[MODEL_PRODUCERS];
	unsigned count;
};

struct log_model {
	struct model_batch *batches; /* by offset, without gaps */
	size_t batch_count;
	size_t batch_capacity;
	struct model_batch *ghosts; /* were cut by log_truncate since the last recovery: a crash may bring them back */
	size_t ghost_count;
	size_t ghost_capacity;
	int64_t start;
	int64_t end;
	int64_t acked;
	int64_t told_start;              /* the furthest that anybody heard of */
	bool purges;                     /* the start moves by itself, up to `acked` */
	bool keyed;                      /* and records leave whose key comes again below `acked` */
	int64_t delete_retention_ms;     /* and, so long after they came, tombstones */
	int64_t last_of_key[MODEL_KEYS]; /* below `acked`; -1 none */
	int64_t missed;                  /* the last one that was looked at */
	uint64_t missing;                /* records that reads found compacted away */
	uint64_t tombstones_missing;     /* of them the last of their key */
	struct model_opens walked;       /* behind the first `walked_count` batches, all safe */
	size_t walked_count;
};

void log_model_init(struct log_model *m);
void log_model_fini(struct log_model *m);

const char *log_model_append(struct log_model *m, struct bytes batch) MUST_CHECK;
/* Everything below `offset` is safe from now on. */
const char *log_model_acked(struct log_model *m, int64_t offset, int64_t now_us) MUST_CHECK;
/* Batches from `offset` on are gone: taken back because they could not be written, or cut on purpose (`may_return`). */
const char *log_model_cut(struct log_model *m, int64_t offset, bool may_return) MUST_CHECK;
/* A log was opened again and says that it holds [start, end). */
const char *log_model_recovered(struct log_model *m, int64_t start, int64_t end) MUST_CHECK;
/*
 * Bytes that a read at `offset` with this bound gave: whole batches of the model from the one that holds `offset`, the last one
 * perhaps cut off. `*ret_next`: the offset behind the last whole one.
 */
const char *log_model_check_read(struct log_model *m, int64_t offset, int64_t max_offset, struct bytes records,
				 int64_t *ret_next) MUST_CHECK;

/*
 * The same of a compacted log (log_model_keyed.c): batches keep their place and producer, records their offset, order, key and value; what is
 * missing up to where the read ended came again, or is a tombstone that is over at `now_ms`.
 */
const char *log_model_check_keyed(struct log_model *m, int64_t offset, int64_t max_offset, int64_t now_ms,
				  struct bytes records, int64_t *ret_next) MUST_CHECK;
/* Of the batch's records; false when they do not parse. For log_model.c. */
bool log_model_note_records(struct model_batch *b);
/* A batch that was cut on purpose may be back after a crash, where nothing was acknowledged since. */
bool log_model_bring_back(struct log_model *m, struct model_batch *b, struct bytes data);
/* These are below `acked` from now on. For log_model.c. */
void log_model_note_keys(struct log_model *m, const struct model_batch *b);
/* The log says that it starts there: never back, never beyond what was told to it or, by itself, beyond what is safe. */
const char *log_model_started(struct log_model *m, int64_t start) MUST_CHECK;

/*
 * Transactions (log_model_txn.c). Where the first one begins that is open, or whose end is at or behind `committed`; INT64_MAX when there is
 * none. 0 when `committed` is below what was asked about earlier.
 */
int64_t log_model_first_unstable(const struct log_model *m, int64_t committed);
/* Nobody asks about less than `committed` any more. */
void log_model_walk(struct log_model *m, int64_t committed);
/* Whether the producer's last transaction is open at the log's end. */
bool log_model_is_open(const struct log_model *m, int64_t producer_id);
/* Of a batch of data: whether its transaction has ended below `end`, and how. MODEL_DATA: it has not, or it has none. */
enum model_end log_model_outcome(const struct log_model *m, const struct model_batch *b, int64_t end);
/* Of a commit that is safe now: its records hide others of their keys. */
void log_model_note_commit(struct log_model *m, const struct model_batch *marker);
/*
 * What a reader of committed records makes of a read, told which transactions were aborted: no record of an aborted one is seen, and all of a committed
 * one that are there.
 */
const char *log_model_check_committed(const struct log_model *m, struct bytes records, const struct aborted_told *told,
				      size_t told_count) MUST_CHECK;
/* The epoch that a producer writes with next. */
int16_t log_model_epoch(const struct log_model *m, int64_t producer_id);

/* The batch that holds `offset`; NULL when none does. */
const struct model_batch *log_model_find(const struct log_model *m, int64_t offset);
/* The `back`-th last batch of a producer (0: the last); NULL when there are not so many. */
const struct model_batch *log_model_last_of(const struct log_model *m, int64_t producer_id, unsigned back);
/* What a producer has to send next. */
int32_t log_model_next_sequence(const struct log_model *m, int64_t producer_id);

#endif
