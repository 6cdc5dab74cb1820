/* transaction: see the header. Here: the states, the coordinator, the beginning and the end; transaction_add.c has partitions, transaction_offsets.c offsets. */
#include "client/transaction.h"

#include <stdio.h>

#include "base/alloc.h"
#include "client/transaction_own.h"
#include "protocol/messages.h"

/* With keep-prepared transactions from 6 on, which nobody has yet. */
#define INIT_PRODUCER_ID_NEWEST 5
#define INIT_WITH_EPOCH 3
#define END_TXN_NEWEST 5
#define END_TXN_WITHOUT_BUMP 4
#define PRODUCE_WITHOUT_ADDING 11
#define ARENA_MAX ((size_t)64 * 1024)
/* Java's, while the broker still ends the transaction before. */
#define CONCURRENT_BACKOFF_US 20000
/* Records come in parcels of their own way: looked at so often. */
#define SETTLED_POLL_US 5000

/* --- states ------------------------------------------------------------------------------------------------------ */

void transaction_set_state(struct transaction *t, enum transact_state state, enum err e, const char *text)
{
	t->state = state;
	if (state == TRANSACT_FAILED || state == TRANSACT_FATAL) {
		t->error = e;
		snprintf(t->text, sizeof(t->text), "%s", text ? text : err_text(e));
	} else {
		t->error = OK;
		t->text[0] = '\0';
	}
	if (t->options.changed)
		t->options.changed(t->options.user, state, t->error, t->text);
	event_signal(&t->progress);
	producer_wake(t->options.producer);
}

enum transact_state transaction_state(const struct transaction *t)
{
	return t->state;
}

enum err transaction_error(const struct transaction *t, const char **ret_text)
{
	*ret_text = t->text;
	return t->error;
}

bool transaction_enter(struct transaction *t, enum transact_step step, enum err *ret_error, char *ret_why)
{
	if (t->busy) {
		*ret_error = ERR_USAGE;
		snprintf(ret_why, TRANSACT_TEXT_SIZE, "another call about this transaction is under way");
		return false;
	}
	if (!transact_allows(t->state, step)) {
		*ret_error = t->error ? t->error : ERR_INVALID_TXN_STATE;
		snprintf(ret_why, TRANSACT_TEXT_SIZE, "%s%s%.250s", transact_state_text(t->state), t->error ? ": " : "",
			 t->text);
		return false;
	}
	ret_why[0] = '\0';
	t->busy = true;
	return true;
}

void transaction_leave(struct transaction *t)
{
	t->busy = false;
}

void transaction_fail(struct transaction *t, enum err e, const char *text)
{
	if (t->state == TRANSACT_OPEN || t->state == TRANSACT_COMMITTING)
		transaction_set_state(t, TRANSACT_FAILED, e, text);
}

static void fatal(struct transaction *t, enum err e, const char *text)
{
	if (t->state != TRANSACT_FATAL)
		transaction_set_state(t, TRANSACT_FATAL, e, text);
}

/* --- asking the coordinator -------------------------------------------------------------------------------------- */

static int64_t attempt_until_us(const struct transaction_talk *talk)
{
	const struct transaction *t = talk->t;
	int64_t until_us = shard_now_us(t->options.shard) + t->options.config->request_timeout_ms * 1000;

	return until_us < talk->deadline_us ? until_us : talk->deadline_us;
}

static enum err pause_await(struct fiber *self, struct transaction_talk *talk, enum err e)
{
	struct transaction *t = talk->t;
	int64_t wait_us = client_backoff_us(t->options.shard, t->options.config, ++talk->failures);

	if (e == ERR_CONCURRENT_TRANSACTIONS && wait_us > CONCURRENT_BACKOFF_US)
		wait_us = CONCURRENT_BACKOFF_US;
	if (shard_now_us(t->options.shard) + wait_us >= talk->deadline_us)
		return ERR_TIMED_OUT;
	return fiber_sleep_await(self, wait_us);
}

static bool talk_is_over(struct transaction_talk *talk, enum transact_verdict v, enum err e)
{
	struct transaction *t = talk->t;
	const char *why = talk->why[0] ? talk->why : err_text(e);

	switch (v) {
	case TRANSACT_DONE:
		return true;
	case TRANSACT_AGAIN:
	case TRANSACT_FIND:
		return false;
	case TRANSACT_ABORT_BY_BUMP:
		t->needs_bump = !t->version_2;
		if (t->needs_bump && !t->can_bump) {
			fatal(t, e, why);
			return true;
		}
		break;
	case TRANSACT_ABORTABLE:
		break;
	case TRANSACT_FENCED:
	case TRANSACT_FATAL_ERROR:
		/* Without an id nothing is lost yet: it can be tried again. */
		if (t->state != TRANSACT_NONE || v == TRANSACT_FENCED)
			fatal(t, e, why);
		return true;
	}
	/* What belongs to a transaction that is being aborted anyway does not hold that up. */
	if (t->state == TRANSACT_ABORTING &&
	    (talk->question == TRANSACT_ASK_END || talk->question == TRANSACT_ASK_INIT))
		transaction_set_state(t, TRANSACT_FAILED, e, why);
	else
		transaction_fail(t, e, why);
	return true;
}

enum err transaction_talk_await(struct fiber *self, struct transaction_talk *talk,
				transaction_attempt_await *attempt_await, void *argument)
{
	for (;;) {
		struct peer *peer = NULL;
		enum transact_verdict v;
		enum err e, waited;

		talk->why[0] = '\0';
		e = coordinator_await(self, talk->coordinator, talk->deadline_us, &peer);
		if (e)
			snprintf(talk->why, TRANSACT_TEXT_SIZE, "%s", talk->coordinator->why);
		v = e ? transact_verdict(TRANSACT_ASK_FIND, e) : TRANSACT_DONE;
		if (!e) {
			e = attempt_await(self, talk, peer, attempt_until_us(talk), argument);
			v = transact_verdict(talk->question, e);
		}
		if (fiber_cancelled(self) || e == ERR_CANCELLED)
			return ERR_CANCELLED;
		if (!talk->why[0] && e)
			snprintf(talk->why, TRANSACT_TEXT_SIZE, "%s", err_text(e));
		/* Older coordinators have another code for it. */
		if (v == TRANSACT_FENCED)
			e = ERR_PRODUCER_FENCED;
		if (talk_is_over(talk, v, e))
			return e;
		/* Nobody is there, and nothing is lost by saying so. */
		if (!peer && e <= -1000 && talk->t->state == TRANSACT_NONE && talk->t->options.config->fail_fast)
			return e;
		if (v == TRANSACT_FIND && peer)
			coordinator_lost(talk->coordinator, peer);
		waited = pause_await(self, talk, e);
		if (waited)
			return waited == ERR_TIMED_OUT && talk->t->options.config->fail_fast ? e : waited;
	}
}

/* --- InitProducerId ---------------------------------------------------------------------------------------------- */

static enum err init_once_await(struct fiber *self, struct transaction_talk *talk, struct peer *peer, int64_t until_us,
				void *argument)
{
	struct transaction *t = talk->t;
	struct producer *p = t->options.producer;
	const bool *bump = argument;
	struct init_producer_id_response response;
	struct init_producer_id_request request;
	struct blob *frame = NULL;
	struct arena arena;
	int16_t version = 0;
	enum err e;

	message_init(&init_producer_id_request_type, &request);
	request.transactional_id = bytes_str(t->options.config->transactional_id);
	request.transaction_timeout_ms = (int32_t)t->options.config->transaction_timeout_ms;
	if (*bump) {
		request.producer_id = p->producer_id;
		request.producer_epoch = p->producer_epoch;
	}
	arena_init(&arena, ARENA_MAX);
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_INIT_PRODUCER_ID,
					      .newest = INIT_PRODUCER_ID_NEWEST,
					      .deadline_us = until_us,
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   &version, &frame);
	if (!e)
		e = (enum err)response.error_code;
	if (!e) {
		p->producer_id = response.producer_id;
		p->producer_epoch = response.producer_epoch;
		t->can_bump = version >= INIT_WITH_EPOCH;
	}
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

static enum err ask_id_await(struct fiber *self, struct transaction *t, bool bump, int64_t deadline_us, char *ret_why)
{
	struct transaction_talk talk = {.t = t,
					.coordinator = &t->coordinator,
					.question = TRANSACT_ASK_INIT,
					.deadline_us = deadline_us,
					.why = ret_why};

	return transaction_talk_await(self, &talk, init_once_await, &bump);
}

enum err transaction_init_await(struct fiber *self, struct transaction *t, int64_t deadline_us,
				char ret_why[static TRANSACT_TEXT_SIZE])
{
	enum err e;

	if (!transaction_enter(t, TRANSACT_INIT, &e, ret_why))
		return e;
	e = ask_id_await(self, t, false, deadline_us, ret_why);
	if (!e)
		transaction_set_state(t, TRANSACT_READY, OK, NULL);
	transaction_leave(t);
	return e;
}

/* --- begin ------------------------------------------------------------------------------------------------------- */

enum err transaction_begin(struct transaction *t, char ret_why[static TRANSACT_TEXT_SIZE])
{
	const struct peer *peer = t->coordinator.peer;
	enum err e;

	if (!transaction_enter(t, TRANSACT_BEGIN, &e, ret_why))
		return e;
	/* While the coordinator is not connected what it said last holds. */
	if (peer && (peer_state(peer) == PEER_READY || peer_state(peer) == PEER_QUIET))
		t->version_2 = peer_feature(peer, "transaction.version") >= 2;
	t->number++;
	t->started = t->in_doubt = false;
	transaction_set_state(t, TRANSACT_OPEN, OK, NULL);
	transaction_leave(t);
	return OK;
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

static enum err end_once_await(struct fiber *self, struct transaction_talk *talk, struct peer *peer, int64_t until_us,
			       void *argument)
{
	struct transaction *t = talk->t;
	struct producer *p = t->options.producer;
	const bool *commit = argument;
	struct end_txn_response response;
	struct end_txn_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	message_init(&end_txn_request_type, &request);
	request.transactional_id = bytes_str(t->options.config->transactional_id);
	request.producer_id = p->producer_id;
	request.producer_epoch = p->producer_epoch;
	request.committed = *commit;
	arena_init(&arena, ARENA_MAX);
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_END_TXN,
					      .newest = t->version_2 ? END_TXN_NEWEST : END_TXN_WITHOUT_BUMP,
					      .deadline_us = until_us,
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	if (!e)
		e = (enum err)response.error_code;
	if (!e && response.producer_id >= 0) {
		p->producer_id = response.producer_id;
		p->producer_epoch = response.producer_epoch;
	}
	/* The broker never heard of what was in doubt: there is nothing to abort. */
	if (e == ERR_INVALID_TXN_STATE && t->in_doubt && !t->started && !*commit)
		e = OK;
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

static enum err end_await(struct fiber *self, struct transaction *t, bool commit, int64_t deadline_us, char *ret_why)
{
	struct transaction_talk talk = {.t = t,
					.coordinator = &t->coordinator,
					.question = TRANSACT_ASK_END,
					.deadline_us = deadline_us,
					.why = ret_why};

	if (!t->started && !t->in_doubt)
		return OK;
	return transaction_talk_await(self, &talk, end_once_await, &commit);
}

static bool is_settled(const struct transaction *t)
{
	const struct producer *p = t->options.producer;

	if (t->adding || !list_empty(&p->waiting) || !list_empty(&p->active))
		return false;
	return !t->options.settled || t->options.settled(t->options.user);
}

/* Until all of the transaction has its outcome, or the state is another one. */
static enum err settle_await(struct fiber *self, struct transaction *t, int64_t deadline_us)
{
	enum transact_state state = t->state;
	enum err e = OK;

	producer_hurry(t->options.producer, true);
	while (t->state == state && !t->stopping && !is_settled(t)) {
		int64_t now_us = shard_now_us(t->options.shard), until_us = now_us + SETTLED_POLL_US;

		if (now_us >= deadline_us) {
			e = ERR_TIMED_OUT;
			break;
		}
		e = event_wait_await(self, &t->progress, until_us < deadline_us ? until_us : deadline_us);
		if (e == ERR_CANCELLED)
			break;
		e = OK;
	}
	if (t->stopping)
		return ERR_CANCELLED;
	producer_hurry(t->options.producer, false);
	return e;
}

static enum err over_time(enum err e, char *ret_why, const char *what)
{
	if (e == ERR_TIMED_OUT) {
		char because[TRANSACT_TEXT_SIZE];

		snprintf(because, sizeof(because), "%s", ret_why);
		snprintf(ret_why, TRANSACT_TEXT_SIZE, "%s%s%.250s", what, because[0] ? ": " : "", because);
	}
	return e;
}

enum err transaction_commit_await(struct fiber *self, struct transaction *t, int64_t deadline_us,
				  char ret_why[static TRANSACT_TEXT_SIZE])
{
	enum err e;

	if (!transaction_enter(t, TRANSACT_COMMIT, &e, ret_why))
		return e;
	if (t->state == TRANSACT_OPEN)
		transaction_set_state(t, TRANSACT_COMMITTING, OK, NULL);
	e = over_time(settle_await(self, t, deadline_us), ret_why, "not all records are acknowledged yet");
	if (!e && t->state == TRANSACT_COMMITTING)
		e = over_time(end_await(self, t, true, deadline_us, ret_why), ret_why,
			      "the coordinator has not answered yet");
	if (t->error) {
		e = t->error;
		snprintf(ret_why, TRANSACT_TEXT_SIZE, "%s", t->text);
	}
	if (!e)
		transaction_set_state(t, TRANSACT_READY, OK, NULL);
	transaction_leave(t);
	return e;
}

/* Before version 2 what a transaction left behind may be unknown to the partitions: a new epoch begins anew. */
static enum err renew_await(struct fiber *self, struct transaction *t, int64_t deadline_us, char *ret_why)
{
	enum err e;

	if (!t->needs_bump)
		return OK;
	if (!t->can_bump) {
		fatal(t, ERR_UNSUPPORTED, "the broker cannot give a producer that lost records a new epoch");
		return ERR_UNSUPPORTED;
	}
	e = ask_id_await(self, t, true, deadline_us, ret_why);
	if (!e)
		t->needs_bump = false;
	return e;
}

enum err transaction_abort_await(struct fiber *self, struct transaction *t, int64_t deadline_us,
				 char ret_why[static TRANSACT_TEXT_SIZE])
{
	enum err e;

	if (!transaction_enter(t, TRANSACT_ABORT, &e, ret_why))
		return e;
	if (t->state != TRANSACT_ABORTING)
		transaction_set_state(t, TRANSACT_ABORTING, OK, NULL);
	e = over_time(settle_await(self, t, deadline_us), ret_why, "requests are under way still");
	if (!e && t->state == TRANSACT_ABORTING)
		e = over_time(end_await(self, t, false, deadline_us, ret_why), ret_why,
			      "the coordinator has not answered yet");
	if (!e && t->state == TRANSACT_ABORTING) {
		t->started = t->in_doubt = false;
		e = over_time(renew_await(self, t, deadline_us, ret_why), ret_why,
			      "the coordinator has not given a new epoch yet");
	}
	if (t->error) {
		e = t->error;
		snprintf(ret_why, TRANSACT_TEXT_SIZE, "%s", t->text);
	}
	if (!e)
		transaction_set_state(t, TRANSACT_READY, OK, NULL);
	transaction_leave(t);
	return e;
}

/* --- for the producer -------------------------------------------------------------------------------------------- */

bool transaction_takes(const struct transaction *t)
{
	return t->state == TRANSACT_OPEN || t->state == TRANSACT_COMMITTING;
}

bool transaction_drops(const struct transaction *t, enum err *ret_error, const char **ret_text)
{
	if (transaction_takes(t))
		return false;
	*ret_error = t->error ? t->error : t->state == TRANSACT_ABORTING ? ERR_CANCELLED : ERR_INVALID_TXN_STATE;
	*ret_text = t->error                        ? t->text
		    : t->state == TRANSACT_ABORTING ? "the record was not sent: its transaction is aborted"
						    : transact_state_text(t->state);
	return true;
}

bool transaction_may_send(struct transaction *t, struct produce_line *l)
{
	if (!transaction_takes(t))
		return false;
	if (t->version_2 || l->transaction == t->number)
		return true;
	event_signal(&t->add_wanted);
	return false;
}

void transaction_sends(struct transaction *t)
{
	t->started = true;
}

int16_t transaction_produce_newest(const struct transaction *t, int16_t newest)
{
	return !t->version_2 && newest > PRODUCE_WITHOUT_ADDING ? PRODUCE_WITHOUT_ADDING : newest;
}

void transaction_record_failed(struct transaction *t, enum err e, const char *text, bool sequenced)
{
	enum transact_verdict v = transact_verdict(TRANSACT_ASK_PRODUCE, e);

	if (sequenced && !t->version_2)
		t->needs_bump = true;
	if (t->stopping || t->state == TRANSACT_FATAL || t->state == TRANSACT_NONE || t->state == TRANSACT_READY)
		return;
	if (e != ERR_CANCELLED && (v == TRANSACT_FENCED || v == TRANSACT_FATAL_ERROR))
		fatal(t, e, text);
	else
		transaction_fail(t, e, text);
}

void transaction_progress(struct transaction *t)
{
	event_signal(&t->progress);
}

/* --- birth and end ----------------------------------------------------------------------------------------------- */

struct transaction *transaction_new(const struct transaction_options *o)
{
	static const struct fiber_options add = {.name = "client_txn_add", .joinable = true};
	struct transaction *t = mem_new(struct transaction);

	t->options = *o;
	coordinator_init(&t->coordinator, o->cluster, COORDINATOR_TRANSACTION, o->config->transactional_id);
	list_init(&t->groups);
	event_init(&t->progress);
	event_init(&t->add_wanted);
	t->adder = fiber_start(o->shard, &add, transaction_add_main, t);
	must(t->adder);
	o->producer->transaction = t;
	return t;
}

void transaction_stop_await(struct fiber *self, struct transaction *t, int64_t timeout_us)
{
	char why[TRANSACT_TEXT_SIZE];

	/* What is being committed may be committed by now: its coordinator decides, by the timeout or the next producer. */
	if (!t->busy && (t->state == TRANSACT_OPEN || t->state == TRANSACT_FAILED || t->state == TRANSACT_ABORTING))
		if (transaction_abort_await(self, t, shard_now_us(t->options.shard) + timeout_us, why) != OK)
			t->needs_bump = false; /* its timeout aborts it */
	t->stopping = true;
	event_signal(&t->progress);
	fiber_cancel(t->adder);
	fiber_join_await(self, t->adder);
}

void transaction_disconnect(struct transaction *t)
{
	coordinator_end(&t->coordinator);
	list_for_each(&t->groups, n) coordinator_end(&container_of(n, struct transaction_group, node)->coordinator);
}

void transaction_free(struct transaction *t)
{
	struct list_node *n;

	if (!t)
		return;
	while ((n = list_pop_front(&t->groups))) {
		struct transaction_group *g = container_of(n, struct transaction_group, node);

		coordinator_fini(&g->coordinator);
		mem_free(g->id);
		mem_free(g);
	}
	coordinator_fini(&t->coordinator);
	mem_free(t);
}
