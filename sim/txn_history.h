/*
 * txn_history: what the clients of a history were told of transactions, and whether it can all be true. After Adya, and the checker of Jepsen's Kafka
 * workload. Pure; believes clients only.
 *
 *      begin -> send .. acked -> asked (to commit) -> ended          a write is visible when it was acknowledged, and its transaction committed
 *                  read by whoever reads committed records           an end without an answer is in doubt, until somebody reads of it
 *
 * A key is one partition, and is named by its number; a write is named by its number too, which its record carries. Events count in the order in which they
 * are told.
 *
 *      G1a, G1b, G1c     read of what was not committed; of what was not yet asked to be; transactions that read each other's records in a circle
 *      lost, unseen      committed and acknowledged, and passed over by all; the same with nothing behind it (only when somebody read all)
 *      duplicate, inconsistent, phantom        one write at two offsets; two at one; one that nobody sent
 *      poll skip, nonmonotonic poll            a reader passes over what is visible; or goes back
 *      effect twice, effect missing            of what is made from records of another key (struct txn_source): its ranges do not follow each other
 *      offset            the offset that a job has in the end is not the end of the last range that it made something of
 *
 * Who wrote first says nothing: Kafka lets records of several transactions lie between each other, so circles over the order of writes are counted only.
 * Nor is there a snapshot over keys: markers arrive one after the other.
 */
#ifndef SIM_TXN_HISTORY_H
#define SIM_TXN_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/must.h"

#define TXN_KEYS 32
#define TXN_READERS 20
#define TXN_JOBS 8
#define TXN_NOBODY 0U /* the number of no transaction, and of no write */

/* X(name, text) */
#define TXN_ANOMALY_LIST(X) \
	X(G1A, "G1a, aborted read: a record of a transaction that was not committed was read") \
	X(G1B, "G1b, intermediate read: a record was read before its transaction was asked to commit") \
	X(G1C, "G1c: transactions read each other's records in a circle") \
	X(LOST_WRITE, "lost write: committed, and passed over by who read what is behind it") \
	X(UNSEEN, "unseen: committed, and nobody ever read it") \
	X(DUPLICATE, "duplicate: one write at two offsets") \
	X(INCONSISTENT, "inconsistent offset: two writes at one offset") \
	X(PHANTOM, "phantom: a record was read that nobody sent") \
	X(POLL_SKIP, "poll skip: a reader passed over a record that can be read") \
	X(NONMONOTONIC_POLL, "nonmonotonic poll: a reader's next record is not behind its last") \
	X(EFFECT_TWICE, "effect twice: something was made of one record two times") \
	X(EFFECT_MISSING, "effect missing: nothing was made of a record that lies before others") \
	X(OFFSET, "offset: a job's committed offset is not where what it made ends")

enum txn_anomaly {
#define X(name, text) TXN_##name,
	TXN_ANOMALY_LIST(X)
#undef X
		TXN_ANOMALIES
};

/* What a write is made of: the records of `key` from `from` up to `to`, by a job. */
struct txn_source {
	unsigned job;
	unsigned key;
	int64_t from;
	int64_t to; /* 0: it is made of nothing */
};

struct txn_transaction {
	bool ended;
	bool committed;
	uint64_t asked; /* when; 0: never */
	bool seen;
};

struct txn_write {
	uint32_t transaction;
	uint8_t key;
	bool acked;
	bool read;
	int64_t offset; /* where it was said to be first; -1 */
	struct txn_source source;
};

struct txn_read {
	uint64_t when;
	uint32_t transaction; /* that it was read in */
	uint32_t write;
	uint8_t reader;
	uint8_t key;
	bool moves; /* the reader begins anew, there was no record */
	int64_t offset;
};

struct txn_key {
	uint32_t *at; /* write by offset */
	size_t count;
	size_t capacity;
	int64_t highest; /* that was read; -1 */
};

struct txn_found {
	unsigned counts[TXN_ANOMALIES];
	char first[200]; /* the first one, with its numbers; empty: all is well */
	/* What the history has, to see that it says something. */
	unsigned committed;
	unsigned aborted;
	unsigned in_doubt;
	unsigned write_circles; /* legal */
};

struct txn_history {
	struct txn_transaction *transactions; /* number n at n - 1 */
	size_t transaction_count;
	size_t transaction_capacity;
	struct txn_write *writes; /* the same */
	size_t write_count;
	size_t write_capacity;
	struct txn_read *reads;
	size_t read_count;
	size_t read_capacity;
	struct txn_key keys[TXN_KEYS];
	int64_t positions[TXN_JOBS][TXN_KEYS]; /* of jobs, in the end; -1: not told */
	uint64_t now;
	struct txn_found told;  /* what was wrong at once */
	struct txn_found found; /* with all that a check found */
};

void txn_history_init(struct txn_history *h);
void txn_history_fini(struct txn_history *h);

uint32_t txn_history_begin(struct txn_history *h);
/* In no transaction: TXN_NOBODY. `source` NULL: it is made of nothing. */
uint32_t txn_history_send(struct txn_history *h, uint32_t transaction, unsigned key, const struct txn_source *source);
void txn_history_acked(struct txn_history *h, uint32_t write, int64_t offset);
/* Its commit is asked for, now. */
void txn_history_asked(struct txn_history *h, uint32_t transaction);
void txn_history_ended(struct txn_history *h, uint32_t transaction, bool committed);
/* `transaction`: that it is read in, or TXN_NOBODY. */
void txn_history_read(struct txn_history *h, unsigned reader, uint32_t transaction, unsigned key, int64_t offset,
		      uint32_t write);
/* The reader's next record may be anywhere. */
void txn_history_moved(struct txn_history *h, unsigned reader, unsigned key);
/* The offset that a job has for a key when all is over. */
void txn_history_position(struct txn_history *h, unsigned job, unsigned key, int64_t offset);

/* All together; may be done again when more was read. `complete`: somebody read every key to its end after the last transaction had ended. */
const struct txn_found *txn_history_check(struct txn_history *h, bool complete);
const char *txn_anomaly_text(enum txn_anomaly a);

#endif
