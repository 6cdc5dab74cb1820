/*
 * clean_txns: what compaction knows of the transactions that it walks over: which batches are of aborted ones, and which markers nothing needs any
 * more. Pure.
 *
 *      pass 1      records of an aborted transaction go            entry and marker stay: they were seen with it
 *      pass 2      nothing of it is seen: its entry goes           its marker gets a delete horizon (clean_batch.h)
 *      pass 3..    the horizon is over                             the marker goes
 *
 * Invariants: whatever is left of a transaction has its marker behind it; an entry of an index has its marker: a marker whose entry was there
 * when the pass began stays, even when the entry goes.
 * Lifetime: one walk over a log's batches, in their order. The list of aborted transactions is borrowed.
 */
#ifndef STORAGE_CLEAN_TXNS_H
#define STORAGE_CLEAN_TXNS_H

#include "record/batch.h"
#include "record/control.h"
#include "storage/aborted_index.h"

/* One that has begun and whose marker comes. */
struct clean_txn {
	int64_t producer_id;
	const struct aborted_txn *aborted; /* NULL: it will be committed */
	bool seen;                         /* a batch of it is there */
};

struct clean_txns {
	const struct aborted_index *aborted; /* all that overlap what is walked over, by first offset; NULL: none */
	size_t next;                         /* of them the first that has not begun yet */
	struct clean_txn *open;
	size_t open_count;
	size_t open_capacity;
};

/* Sorts `aborted` by first offset; duplicates are well. */
void clean_txns_begin(struct clean_txns *t, struct aborted_index *aborted);
void clean_txns_fini(struct clean_txns *t);
/* A batch of data comes: whether it is of an aborted transaction. */
bool clean_txns_take_data(struct clean_txns *t, const struct batch_header *h);

struct clean_marker {
	bool needed;                      /* something of its transaction is there */
	const struct aborted_txn *listed; /* the entry that it had when the walk began; NULL: none */
};

/* A control batch comes; `marker` is NULL when it ends no transaction, or has no record any more. */
struct clean_marker clean_txns_take_control(struct clean_txns *t, const struct batch_header *h,
					    const struct end_marker *marker);

#endif
