/*
 * txn_ends: the prepared transactions of a shard's coordinator, until every partition that they wrote to has its marker.
 *
 *      txn_ends_take --> a marker to each partition (markers.h) --all are over--> txn_markers_written --committed--> freed
 *                             ^-- not now: again after a pause                        ^-- not now: again
 *
 * Invariants
 * 1. Of one end of a transaction there is one at work: a second one of it, from a state that was loaded again, is freed.
 * 2. A partition is over when its marker is committed, when its topic is no more, or when others have ended the transaction there
 *    (INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED). Nothing else is given up while the broker runs.
 * 3. Markers of at most TXN_ENDS_AT_ONCE transactions are under way; the others wait in their order.
 * Lifetime: one a shard, made before the shard's coordinators and closed after them. Belongs to its shard.
 * Not here: when a transaction ends, and how (txn/); one marker on its way (markers.h).
 */
#ifndef BROKER_TXN_ENDS_H
#define BROKER_TXN_ENDS_H

#include "broker/markers.h"
#include "txn/txn.h"

#define TXN_ENDS_AT_ONCE 256

struct txn_ends;

struct txn_ends *txn_ends_new(struct broker_shard *shard);
/* For txn_options.prepared, with a struct txn_ends as its context. */
void txn_ends_take(void *context, struct prepared_transaction *p);
/* Nothing is begun or tried again: the next start will find it prepared. */
void txn_ends_stop(struct txn_ends *e);
/* Stops, and waits for what is under way. While all shards still have their partitions. */
void txn_ends_quiet_await(struct fiber *self, struct txn_ends *e);
/* After the shard's coordinators are closed. */
void txn_ends_free(struct txn_ends *e);

struct txn_ends_figures {
	size_t prepared;  /* transactions that are not over */
	uint64_t markers; /* that were committed */
	uint64_t retries; /* of partitions */
	uint64_t fenced;  /* partitions where others had ended the transaction */
};

struct txn_ends_figures txn_ends_figures(const struct txn_ends *e);

/* What follows from what became of a marker. */
enum txn_end_outcome { TXN_END_OVER, TXN_END_FENCED, TXN_END_AGAIN };

enum txn_end_outcome txn_end_outcome(enum err e);

#endif
