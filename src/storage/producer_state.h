/*
 * producer_state: what a log knows of its idempotent and transactional producers (KIP-98): who wrote last with which sequence, so that a batch
 * sent twice is answered with the place of the first, and a gap is refused; who has a transaction open, and who may end it.
 *
 *      producer 4000, epoch 2:   [seq 0..4] [5..9] [10..10] [11..19] [20..24]      the last five batches
 *      arrives 11..19 -> duplicate, its offsets     arrives 25.. -> next     anything else -> out of order
 *
 *      the first batch of a transaction (KIP-890): verify -> guard -> the coordinator knows of it -> append with that guard
 *      a marker, or a batch, meanwhile takes the guard away: what was verified for an earlier transaction begins no later one
 *
 * Invariants
 * 1. Changes only with a batch that is appended (producer_state_update), and goes back with it (producer_state_cut).
 * 2. The batches of an entry follow each other in sequence and offset; a batch that does not follow starts the entry anew.
 * 3. Iteration and snapshots are in order of first appearance: the same in every run.
 * An idle producer costs sizeof(struct producer_entry) and a slot of the table, about 110 bytes.
 * Lifetime: embedded in struct log, on its shard. Pure: time is an argument. Snapshots are foreign bytes: checked.
 * Not here: who asks the coordinator (broker/), which transactions were aborted (aborted_index.h), where snapshots lie (storage/log).
 */
#ifndef STORAGE_PRODUCER_STATE_H
#define STORAGE_PRODUCER_STATE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "record/batch.h"
#include "record/control.h"
#include "storage/open_txns.h"

#define PRODUCER_BATCHES 5
#define VERIFICATIONS_MAX 10000 /* of a log; beyond, the oldest is forgotten, and has to be verified again */

/* A batch before the last one, told from the one that followed it. */
struct producer_prior {
	uint32_t offset_back;
	int32_t timestamp_back;
	int32_t offset_delta;
};

struct producer_entry {
	int64_t producer_id;
	int64_t last_offset; /* -1 without a batch */
	int64_t last_timestamp;
	int64_t txn_first_offset; /* -1: no transaction is open */
	int32_t last_sequence;    /* -1: the next one is 0 */
	int32_t last_offset_delta;
	int32_t coordinator_epoch;
	uint32_t seen_s;
	int16_t epoch;
	uint8_t batch_count;                                /* 0..PRODUCER_BATCHES */
	struct producer_prior priors[PRODUCER_BATCHES - 1]; /* newest first */
};

/* A producer whose transaction is being verified, or was and has not written yet. */
struct verification {
	int64_t producer_id;
	uint64_t guard;
	uint32_t since_s;
	int32_t lowest_sequence; /* that was seen of its epoch: what comes behind it must not be written first */
	int16_t epoch;
	bool begins_at_zero; /* sent by a client that bumps its epoch for each transaction */
};

struct producer_undo {
	int64_t base_offset;
	struct producer_entry before;
};

struct producer_state {
	struct producer_entry *entries;
	uint32_t count;
	uint32_t capacity;
	uint32_t *slots;     /* entry index + 1; 0 free */
	uint32_t slot_count; /* a power of two, or 0 */
	uint32_t undo_first;
	struct producer_undo *undo; /* of what may still be cut, oldest first */
	size_t undo_count;
	size_t undo_capacity;
	struct open_txns txns;
	struct verification *verifying; /* oldest first */
	size_t verifying_count;
	size_t verifying_capacity;
	uint64_t last_guard;
};

/* Who brings a batch. */
enum append_origin {
	APPEND_CLIENT,
	APPEND_COORDINATOR, /* of groups or transactions: no sequences */
	APPEND_REPLICA,     /* copied from the leader, who has checked it */
};

/* Of an append what is asked about its producer. */
struct producer_append {
	enum append_origin origin;
	const struct end_marker *marker; /* of a control batch that ends a transaction, else NULL */
	int8_t transaction_version;      /* of a marker: from 2 on its epoch is above the transaction's */
	bool verified_only;              /* no transaction begins here without a guard */
	uint64_t guard;                  /* 0: none */
};

/* Where the original of a duplicate is. */
struct producer_duplicate {
	int64_t base_offset;
	int64_t last_offset;
	int64_t timestamp;
};

void producer_state_init(struct producer_state *p);
void producer_state_fini(struct producer_state *p);
/* NULL when not known. */
const struct producer_entry *producer_state_find(const struct producer_state *p, int64_t producer_id);
/*
 * May a batch be appended? OK (also for what has no producer, and for any first sequence of an unknown one); of a client's
 * ERR_DUPLICATE_SEQUENCE_NUMBER with the original's place, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER; ERR_INVALID_PRODUCER_EPOCH; ERR_INVALID_TXN_STATE:
 * it would begin a transaction that was not verified, or is plain while one is open; of a marker ERR_TRANSACTION_COORDINATOR_FENCED.
 */
enum err producer_state_check(const struct producer_state *p, const struct batch_header *h,
			      const struct producer_append *a, struct producer_duplicate *ret_original) MUST_CHECK;

/* A transaction that a marker has ended, as it stands in the index of aborted ones. */
struct txn_ended {
	bool any; /* false: none was open */
	bool aborted;
	int64_t first_offset;
	int64_t last_stable_offset;
};

/*
 * Notes an appended batch, whose base offset is in `h`; `marker` as in producer_append. `undoable`: it may be cut before producer_state_settle
 * passes it.
 */
struct txn_ended producer_state_update(struct producer_state *p, const struct batch_header *h,
				       const struct end_marker *marker, uint32_t now_s, bool undoable);
/* What starts below `offset` will not be cut any more. */
void producer_state_settle(struct producer_state *p, int64_t offset);
/* Takes back the batches from `offset` on, which were not settled. A producer that was new then is still known: it has to start with what was cut. */
void producer_state_cut(struct producer_state *p, int64_t offset);
/* Forgets who was not seen for that long and has no transaction open; how many. */
uint32_t producer_state_expire(struct producer_state *p, uint32_t now_s, uint32_t expiration_s);
void producer_state_clear(struct producer_state *p);

/*
 * A client's transactional batch arrived: 0 when its transaction is open here, so that it needs no verification; else the guard with which it is
 * to be appended once the coordinator has said yes.
 */
uint64_t producer_state_verify(struct producer_state *p, const struct batch_header *h, bool begins_at_zero,
			       uint32_t now_s);

/* Kafka's snapshot file, version 1: the last batch of each producer. */
void producer_state_write(const struct producer_state *p, struct buf *out);
/* Replaces all. ERR_CORRUPT and unchanged when the bytes are not a snapshot. */
enum err producer_state_read(struct producer_state *p, struct bytes snapshot, uint32_t now_s) MUST_CHECK;

#endif
