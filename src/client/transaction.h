/*
 * transaction: the transactions of one producer: its coordinator, its id and epoch, what is part of the open one and how it ends.
 *
 *      transaction_init_await --InitProducerId--> READY
 *      transaction_begin --> OPEN: batches leave (transaction.version 2: the brokers add their partitions; before: AddPartitionsToTxn first)
 *      transaction_offsets_await --(AddOffsetsToTxn), TxnOffsetCommit--> part of it
 *      transaction_commit_await --all records settled--> EndTxn --> READY, with version 2 in a new epoch
 *
 * Which of the two protocols is asked anew at each begin, of the coordinator's finalized features, as Java does.
 *
 * Invariants
 * 1. Once anything of a transaction failed it is not committed (transact.h); what waits of it is dropped, not sent.
 * 2. EndTxn leaves only when no batch and no AddPartitionsToTxn of the transaction is under way.
 * 3. One call of a program at a time; another is ERR_USAGE.
 * Lifetime: transaction_new .. transaction_stop_await (aborts what is open) .. transaction_disconnect .. transaction_free, on one shard.
 * Not here: threads and the caller's gate (client/api_txn.c), batches (client/producer.h).
 */
#ifndef CLIENT_TRANSACTION_H
#define CLIENT_TRANSACTION_H

#include "client/coordinator.h"
#include "client/group.h"
#include "client/producer.h"
#include "client/transact.h"

#define TRANSACT_TEXT_SIZE 400

struct transaction;

struct transaction_options {
	struct shard *shard;
	const struct client_config *config;
	struct cluster *cluster;
	struct producer *producer;
	/* The state is another one; `text` with FAILED and FATAL. May be NULL, as the next. */
	void (*changed)(void *user, enum transact_state state, enum err e, const char *text);
	/* Every record that the program gave has its outcome. NULL: those that the producer knows. */
	bool (*settled)(void *user);
	void *user;
};

struct transaction *transaction_new(const struct transaction_options *o);
/* Aborts what is open, if that can be had in `timeout_us`. */
void transaction_stop_await(struct fiber *self, struct transaction *t, int64_t timeout_us);
/* Its connections end. */
void transaction_disconnect(struct transaction *t);
void transaction_free(struct transaction *t);

enum transact_state transaction_state(const struct transaction *t);
/* OK unless FAILED or FATAL. */
enum err transaction_error(const struct transaction *t, const char **ret_text);

/* Each gives OK, ERR_TIMED_OUT (to be called again), or an error with `ret_why`; the state says what is possible then. */
enum err transaction_init_await(struct fiber *self, struct transaction *t, int64_t deadline_us,
				char ret_why[static TRANSACT_TEXT_SIZE]) MUST_CHECK;
enum err transaction_begin(struct transaction *t, char ret_why[static TRANSACT_TEXT_SIZE]) MUST_CHECK;
enum err transaction_commit_await(struct fiber *self, struct transaction *t, int64_t deadline_us,
				  char ret_why[static TRANSACT_TEXT_SIZE]) MUST_CHECK;
enum err transaction_abort_await(struct fiber *self, struct transaction *t, int64_t deadline_us,
				 char ret_why[static TRANSACT_TEXT_SIZE]) MUST_CHECK;

/* Offsets that become the group's when the transaction is committed. */
struct transaction_offsets {
	const char *group;
	int32_t generation; /* or the member's epoch; -1: no member */
	const char *member_id;
	const char *instance_id; /* "": none */
	struct group_offset *offsets;
	size_t count;
	int64_t deadline_us;
};

enum err transaction_offsets_await(struct fiber *self, struct transaction *t, const struct transaction_offsets *o,
				   char ret_why[static TRANSACT_TEXT_SIZE]) MUST_CHECK;
/* Something that the transaction needs cannot be had: it can only be aborted. */
void transaction_fail(struct transaction *t, enum err e, const char *text);

/* --- for the producer -------------------------------------------------------------------------------------------- */

/* True while records are taken: a transaction is open, or its last ones come while it is being committed. */
bool transaction_takes(const struct transaction *t);
/* True when what waits is to be dropped, with this error. */
bool transaction_drops(const struct transaction *t, enum err *ret_error, const char **ret_text);
/* The line's batches may leave. Sees to it that they may soon. */
bool transaction_may_send(struct transaction *t, struct produce_line *l);
/* A batch leaves. */
void transaction_sends(struct transaction *t);
/* What the broker has to know: the newest Produce that means the protocol in use. */
int16_t transaction_produce_newest(const struct transaction *t, int16_t newest);
/* A record has no good outcome. `sequenced`: its batch had sequences. */
void transaction_record_failed(struct transaction *t, enum err e, const char *text, bool sequenced);
/* Something has its outcome. */
void transaction_progress(struct transaction *t);

#endif
