/*
 * txn_fetch: one Fetch of committed records, as a client's library makes of it: what was aborted is dropped, ends of transactions are not shown. Code of a
 * client's node.
 */
#ifndef SIM_TXN_FETCH_H
#define SIM_TXN_FETCH_H

#include "sim/wire_client.h"
#include "sim/world_txn.h"

#define TXN_FETCH_MAX 64

struct txn_record {
	int64_t offset;
	uint32_t write;
};

struct txn_fetch {
	/* In. */
	unsigned topic;
	int32_t partition;
	int64_t offset;
	unsigned most; /* records, up to TXN_FETCH_MAX */
	int32_t max_wait_ms;
	/* Out. */
	struct txn_record records[TXN_FETCH_MAX];
	unsigned count;
	int64_t next; /* where to go on */
	int64_t last_stable_offset;
	int64_t high_watermark;
};

/* Kafka's error of the partition, or the connection's end. What is plainly wrong in the answer fails the history. */
enum err txn_fetch_await(struct fiber *self, struct world *w, struct wire_client *wire, struct txn_fetch *f) MUST_CHECK;

#endif
