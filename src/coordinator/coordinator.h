/*
 * coordinator: the machines (machine.h) of one internal topic on one shard: loads each from its partition's log, runs their steps, appends what
 * they record, tells calls their answers when that is committed.
 *
 *      request --coordinator_submit--> step --records--> open batch --end of the turn--> partition_append --committed--> call.finished
 *                                        \--no records: behind what was appended before it ------------------------------^
 *
 *      LOADING --all replayed--> ACTIVE --an append failed--> LOADING, after a pause
 *         |  \--it cannot be read: FAILED, tried again (damaged: never)
 *         \--the topic went, or the end: UNHOSTED (from every state)
 *
 * Invariants
 * 1. Calls of a partition are answered in the order of their steps, each when all that was appended before its end is committed.
 * 2. After an append that failed nothing of the same state is appended any more: the log never has a step without those before it.
 * 3. A step's records are in one batch, unless they are larger than the topic's batches may be; records of a producer have their own.
 * 4. `finished` is called exactly once for each call, never inside the call that submitted it.
 * Lifetime: coordinator_new .. coordinator_close_await. Belongs to its shard; a partition lives on the shard that replicas.h says.
 * Not here: which partition a key belongs to and how a request gets to its shard (broker/), what groups and transactions are (group/, txn/).
 */
#ifndef COORDINATOR_COORDINATOR_H
#define COORDINATOR_COORDINATOR_H

#include "base/uuid.h"
#include "coordinator/machine.h"
#include "record/compress.h"
#include "replica/replicas.h"

struct coordinator;

struct coordinator_options {
	struct shard *shard;
	struct replicas *replicas;
	const struct image *image; /* this shard's */
	const struct machine_ops *ops;
	void *(*machine_new)(void *context, int32_t partition); /* an empty state */
	void *context;
	enum codec codec; /* of what is appended */
	int64_t commit_timeout_ms; /* how long an answer waits to be committed; then COORDINATOR_NOT_AVAILABLE, and what was appended stays */
	size_t load_bytes; /* of one read while loading */
};

struct coordinator *coordinator_new(const struct coordinator_options *o);

/* The topic is there, or has more partitions: those that live on this shard begin to load. */
void coordinator_host(struct coordinator *c, struct uuid topic_id, int32_t partition_count);
/* The topic goes, before its partitions do: whoever waits is told NOT_COORDINATOR. */
void coordinator_unhost(struct coordinator *c, struct uuid topic_id);
/* Topics came, went or grew: every machine hears of it. */
void coordinator_image_changed(struct coordinator *c);

/*
 * Runs one step of the partition's machine, with `run`, for this call. Without one the call is finished with an error: NOT_COORDINATOR (it is not
 * here, or cannot be read), COORDINATOR_LOAD_IN_PROGRESS. `run` is called inside or never.
 */
void coordinator_submit(struct coordinator *c, int32_t partition, struct coordinator_call *call,
			void (*run)(void *state, struct step *out, struct coordinator_call *call));

/* OK, or the error that a call would be finished with now. */
enum err coordinator_usable(struct coordinator *c, int32_t partition) MUST_CHECK;

/* Whose transaction a call belongs to; `verified_only` and `guard` as in partition_append. */
struct coordinator_producer {
	int64_t producer_id;
	int16_t producer_epoch;
	bool verified_only;
	uint64_t guard;
};

/*
 * The same for a call of a producer's transaction, whose records are then pending until its end is appended here (coordinator_end_transaction).
 * Before the step the log is asked whether it would take them: INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE; then there is no step.
 */
void coordinator_submit_of(struct coordinator *c, int32_t partition, const struct coordinator_producer *producer,
			   struct coordinator_call *call,
			   void (*run)(void *state, struct step *out, struct coordinator_call *call));
/*
 * Appends the end of a producer's transaction and tells the machine, in a step; the call is finished when that is committed.
 * INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED: it is refused, and nothing is changed.
 */
void coordinator_end_transaction(struct coordinator *c, int32_t partition, const struct end_marker *marker,
				 int8_t transaction_version, struct coordinator_call *call);
/* For a client's verification (partition_verify); NULL when it is not ACTIVE here. */
struct partition *coordinator_partition(const struct coordinator *c, int32_t partition);

/*
 * Nobody waits any more for a call that was submitted here: one that waits in its machine's state is finished soon, with an error; any other is
 * finished when it would have been anyway.
 */
void coordinator_abandon(struct coordinator_call *call);

/* On which partitions there is something to ask: the next one that is hosted here, from `from` on; -1: none. */
int32_t coordinator_next(const struct coordinator *c, int32_t from);

/*
 * The state of a partition that is active, to be read at once and not kept; NULL where it is not. For figures: it may be ahead of what is
 * committed.
 */
const void *coordinator_state(const struct coordinator *c, int32_t partition);

/* No step any more: whoever waits in a state is told NOT_COORDINATOR, and so is who comes. What was appended is still committed and answered. */
void coordinator_stop(struct coordinator *c);
/* Stops, waits for loads and appends that are under way, and frees it. Before replicas_close_await. */
void coordinator_close_await(struct fiber *self, struct coordinator *c);

struct coordinator_figures {
	size_t loading;
	size_t active;
	size_t failed;
	uint64_t loads; /* that came to their end */
	uint64_t loaded_records;
	int64_t load_us; /* how long they took, added up */
	uint64_t steps;
	uint64_t batches;
	uint64_t records;
	uint64_t failures; /* appends that threw a state away */
	uint64_t timeouts; /* calls that were not committed in time */
};

void coordinator_figures(const struct coordinator *c, struct coordinator_figures *ret_figures);

#endif
