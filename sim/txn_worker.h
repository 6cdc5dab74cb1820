/*
 * txn_worker: what the sources of a transactional worker share; see workload_txn.c. For them, and for the final reading.
 *
 * Lifetime: of a fiber of a client's node, or of the verifier.
 */
#ifndef SIM_TXN_WORKER_H
#define SIM_TXN_WORKER_H

#include "sim/txn_fetch.h"
#include "sim/wire_client.h"
#include "sim/world_txn.h"

#define TXN_CHUNKS 3 /* batches of a transaction, at most */

/* Produces go one way, what the coordinators are asked another: so either may be late. */
enum txn_wire { TXN_WIRE_DATA, TXN_WIRE_COORDINATOR, TXN_WIRES };

/* A batch of a transaction: writes that follow each other. */
struct txn_chunk {
	unsigned topic;
	int32_t partition;
	uint32_t first_write;
	int32_t count;
	int64_t producer_id;
	int16_t epoch;
	int32_t sequence;
	bool version2;
	uint8_t *data;
	size_t size;
	int64_t base_offset; /* once it is acknowledged */
};

struct txn_produce {
	struct produce_request request;
	struct produce_request_topic_produce_data topic;
	struct produce_request_partition_produce_data partition;
};

/* The producer of a transaction that is over, as it was: what it sends now is late. */
struct txn_late {
	bool any;
	const struct txn_job *job;
	int64_t producer_id;
	int16_t epoch;
	bool version2;
	int32_t sequences[TXN_KEYS];
	bool added[TXN_KEYS];
};

struct txn_worker {
	struct world *world;
	struct world_client *client;
	struct shard *shard;
	struct wire_client wires[TXN_WIRES];
	bool connected[TXN_WIRES];
	unsigned reader; /* in the history */
	/* Of the session. */
	struct txn_job *job;
	uint32_t session;
	uint32_t inits; /* of the job, when it began */
	bool shaky;     /* another one's InitProducerId may still arrive */
	bool tainted;   /* something was sent that may still arrive */
	bool version2;
	int32_t timeout_ms;
	int64_t producer_id;
	int16_t epoch;
	int64_t next_producer_id; /* that an end of version 2 gave */
	int16_t next_epoch;
	int64_t position;  /* of its input */
	int64_t committed; /* the same, as of the last transaction */
	int32_t sequences[TXN_KEYS];
	bool unknown; /* what became of a Produce */
	/* Of the transaction. */
	uint32_t transaction;
	int64_t begun_us;
	uint64_t clock_jumps;
	uint64_t cache_losses;
	bool added[TXN_KEYS];
	bool produced; /* something was acknowledged */
	bool offset_sent;
	bool told_coordinator; /* that it begins */
	struct txn_late
		last; /* its last transaction: its ends may not all be written, so that a batch would still be of it */
	struct txn_late late; /* one before: they are */
};

/* Asks over one of its connections, which is made where there is none and closed after an error. wire_call_fini always. */
enum err txn_worker_ask_await(struct fiber *self, struct txn_worker *w, enum txn_wire which, int16_t key,
			      int16_t version, const void *request, struct wire_call *call, struct arena *a,
			      void *ret_response) MUST_CHECK;
enum err txn_worker_find_await(struct fiber *self, struct txn_worker *w, bool of_group, const char *of) MUST_CHECK;
void txn_worker_disconnect(struct txn_worker *w, enum txn_wire which);
/* The offset that a job has, once it is stable; -1: none. */
enum err txn_worker_position_await(struct fiber *self, struct txn_worker *w, const struct txn_job *j,
				   int64_t *ret_position) MUST_CHECK;

/* The chunk's bytes, from its numbers; the caller frees them. */
void txn_chunk_fill(struct txn_worker *w, struct txn_chunk *c);
void txn_chunk_request(struct txn_worker *w, const struct txn_chunk *c, struct txn_produce *p);
/* One Produce of it; `argument` is the chunk. */
enum err txn_chunk_send_await(struct fiber *self, struct txn_worker *w, void *argument) MUST_CHECK;

/* workload_txn_late.c. A transaction of version 2, or a session of an older one, ended with the epoch that the worker still has; a session begins. */
void txn_late_note_end(struct txn_worker *w);
void txn_late_note_session(struct txn_worker *w);
/* Now and then: a batch of a transaction that is over arrives. It must be refused. */
void txn_late_send_await(struct fiber *self, struct txn_worker *w);
/* Now and then: its end arrives, while another is open. */
enum err txn_late_end_await(struct fiber *self, struct txn_worker *w) MUST_CHECK;
/* Now and then, before an abort: a batch is on its way, and nobody waits for it. */
void txn_late_race(struct txn_worker *w);

#endif
