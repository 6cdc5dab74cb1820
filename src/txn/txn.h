/*
 * txn: transactions, as one machine (coordinator/machine.h) a partition of __transaction_state. This is the door: settings, how a state is made, the
 * requests, and how a transaction whose end is decided leaves for its partitions and comes back.
 *
 *      init, add partitions, end                         producers, through this broker or another (InitProducerId, AddPartitionsToTxn, EndTxn)
 *      describe, list, explain                           administration
 *      prepared --> markers are written --> written      who writes them is not here (broker/markers.h)
 *
 *                    end, timeout, fence        the record is committed                        txn_markers_written
 *      Ongoing ----------------------> Prepare* ------------------> options.prepared(transaction) ------------> Complete*
 *                                         ^-- a load found it so: handed out again
 *
 * A call embeds a coordinator_call and lies in what carries the request. Its question is borrowed until `finished`, its answer is built in `arena`: nothing
 * in an answer points into the state. Where coordinator_call.error is set the answer was not filled in.
 * Every call is one step and answers at once: none waits in the state.
 * Lifetime: a state belongs to the shard of its partition; options may be changed in place between two steps, there.
 * Not here: which broker coordinates, authorization, whether topics exist, markers (broker/).
 */
#ifndef TXN_TXN_H
#define TXN_TXN_H

#include "base/arena.h"
#include "base/map.h"
#include "coordinator/machine.h"
#include "protocol/messages.h"

struct config;
struct prepared_transaction;
struct txns; /* the state: of one partition of __transaction_state */

/* Under Kafka's names. */
struct txn_options {
	int32_t transaction_max_timeout_ms;
	int64_t transactional_id_expiration_ms;
	int64_t transaction_remove_expired_transaction_cleanup_interval_ms;
	/*
	 * The record of its Prepare state is committed: the transaction is the receiver's from here on. Called on the partition's shard, never inside a step. NULL
	 * where nobody writes markers: it is freed.
	 */
	void (*prepared)(void *context, struct prepared_transaction *p);
	void *context;
};

/* From a broker's settings; `prepared` and `context` are left as they are. */
void txn_options_read(const struct config *c, struct txn_options *options);

extern const struct machine_ops txn_machine;

/* An empty state of this partition, to be replayed into. `options` is borrowed for as long as it lives; the seed is for maps of clients' names. */
struct txns *txn_machine_new(const struct txn_options *options, int32_t partition, struct map_seed seed);

/* A partition that a transaction writes to. A group is the partition of __consumer_offsets that has it. */
struct txn_partition {
	struct bytes topic;
	int32_t partition;
};

/* --- what leaves for its partitions, and comes back ------------------------------------------------------------------- */

/*
 * A transaction whose end is decided and stored. It is on its own: the state that it came from may be thrown away and loaded again meanwhile. Then it
 * is handed out a second time, with equal partition, producer and epoch. Such a twin must not be at work beside the first, since a marker that is
 * written late would end the producer's next transaction (before version 2 those have one epoch): free the twin, and let the first come back.
 *
 * Once every partition has its marker, or is no more, `call` is submitted with txn_markers_written to the coordinator of `partition`, `call.finished` and
 * `.owner` set by who submits. Told OK it is Complete* and committed; INVALID_TXN_STATE: it is not in this Prepare state any more (it was
 * completed already, the id expired, the topic was made anew): done as well. Any other error: COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR, ...: submit it again after a
 * pause, or free it when the topic went or the broker stops. `finished` is where it is freed.
 */
struct prepared_transaction {
	struct bytes transactional_id;
	int32_t partition; /* of __transaction_state: its leader epoch is the coordinator's */
	int64_t producer_id;
	int16_t producer_epoch; /* of the markers */
	bool committed;
	int8_t transaction_version;             /* 2: the epoch is above that of the transaction's records */
	const struct txn_partition *partitions; /* by topic, then partition; may be none */
	size_t partition_count;
	struct coordinator_call call;
	void *owner;           /* the receiver's own */
	struct list_node node; /* the receiver's own */
	/* The machine's. */
	void (*prepared)(void *context, struct prepared_transaction *p);
	void *context;
};

void prepared_transaction_free(struct prepared_transaction *p);

/* A step's run function (coordinator_submit), for prepared_transaction.call. */
void txn_markers_written(void *state, struct step *s, struct coordinator_call *call);

/* --- producers -------------------------------------------------------------------------------------------------------- */

/*
 * With a transactional id that is not empty. Where a step needs a fresh producer id it changes nothing and answers `needs_producer_id`: the same call is submitted again
 * with one in `fresh_producer_id`.
 */
struct txn_init_call {
	struct coordinator_call call;
	const struct init_producer_id_request *request;
	int64_t fresh_producer_id; /* -1: none yet */
	int16_t first_epoch;       /* of an id that is not known yet: 0, but in simulations */
	bool needs_producer_id;
	struct init_producer_id_response response;
};

/* INVALID_REQUEST or INVALID_TRANSACTION_TIMEOUT: what Kafka refuses before it asks who coordinates. */
enum err txn_init_check(const struct txn_options *o, const struct init_producer_id_request *request);
void txn_init(struct txns *t, struct step *s, struct txn_init_call *c);

/*
 * Adds partitions to a producer's transaction, which begins with the first; or asks whether they are in it (`verify_only`), without a record.
 * Produce and TxnOffsetCommit use it as AddPartitionsToTxn does. `error`, of all:
 *      INVALID_PRODUCER_ID_MAPPING   the id is not known, or has another producer
 *      PRODUCER_FENCED               another epoch
 *      CONCURRENT_TRANSACTIONS       its last end is not complete: in a moment
 * Where it is OK and verify_only, `missing[i]` tells which partitions are not in it: TRANSACTION_ABORTABLE, in words of older versions
 * INVALID_TXN_STATE. An empty id or a null one: INVALID_REQUEST.
 */
struct txn_add_call {
	struct coordinator_call call;
	struct bytes transactional_id;
	int64_t producer_id;
	int16_t producer_epoch;
	bool verify_only;
	int8_t transaction_version; /* 2: Produce 12+, TxnOffsetCommit 5+ and AddPartitionsToTxn 4+; else 0 */
	const struct txn_partition *partitions;
	size_t partition_count;
	enum err error;
	bool *missing; /* as many as partitions; the submitter's. May be NULL unless verify_only */
};

void txn_add(struct txns *t, struct step *s, struct txn_add_call *c);

/* EndTxn; `needs_producer_id` as above. Answered when the Prepare state is committed. */
struct txn_end_call {
	struct coordinator_call call;
	const struct end_txn_request *request;
	int16_t version;
	int64_t fresh_producer_id;
	bool needs_producer_id;
	struct end_txn_response response;
};

void txn_end(struct txns *t, struct step *s, struct txn_end_call *c);

/* --- administration --------------------------------------------------------------------------------------------------- */

/* One transactional id. */
struct txn_describe_call {
	struct coordinator_call call;
	struct bytes transactional_id;
	struct arena *arena;
	struct describe_transactions_response_transaction_state response;
};

void txn_describe(struct txns *t, struct step *s, struct txn_describe_call *c);

/*
 * What one state has; the answer to a client is that of all states of a broker, one after the other. The request's pattern is not looked at.
 * `request` went through txn_list_prepare before.
 */
struct txn_list_call {
	struct coordinator_call call;
	const struct list_transactions_request *request;
	struct arena *arena;
	struct list_transactions_response response; /* without unknown states */
};

/* Its filters become such that looking at an id costs little, however many were given: producer ids in order, each state once. In place. */
void txn_list_prepare(struct list_transactions_request *request);
void txn_list(struct txns *t, struct step *s, struct txn_list_call *c);
/* "Ongoing", ...: is there such a state? Else it is listed in UnknownStateFilters. */
bool txn_state_known(struct bytes name);

enum txn_state {
	TXN_EMPTY,
	TXN_ONGOING,
	TXN_PREPARE_COMMIT,
	TXN_PREPARE_ABORT,
	TXN_COMPLETE_COMMIT,
	TXN_COMPLETE_ABORT,
	TXN_DEAD,
	TXN_PREPARE_EPOCH_FENCE,
	TXN_STATES,
};

const char *txn_state_name(enum txn_state state);

/* What a state holds and what it did since it was made. */
struct txn_figures {
	size_t ids_in_state[TXN_STATES];
	int64_t oldest_start_ms; /* of those that are ongoing, wall clock; INT64_MAX: none */
	uint64_t begun;
	uint64_t committed;
	uint64_t aborted;
	uint64_t timed_out; /* of those that were aborted */
	uint64_t fenced;    /* open transactions of producers that another one replaced */
	uint64_t expired_ids;
};

void txn_figures(const struct txns *t, struct txn_figures *ret_figures);

#endif
