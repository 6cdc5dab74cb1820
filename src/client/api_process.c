/*
 * api_process: mo_process: consume, transform, produce, exactly once. Stands on the public calls alone.
 *
 * Whose offsets are committed: those of the member that one was before the first record of the transaction was read. When the membership moves on
 * meanwhile the group's coordinator refuses them, and the transaction is taken back: no other's offsets are ever overwritten.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "client/api.h"

#define DEFAULT_RECORDS 1000
#define DEFAULT_MS 100
#define LOOK_MS 50   /* for `stop` */
#define END_MS 10000 /* of one attempt */
#define BACKOFF_MS 10
#define BACKOFF_MAX_MS 1000

/* What was read of a partition in the open transaction. */
struct progress_of {
	const char *topic; /* lives as long as the client */
	int32_t partition;
	int64_t first;
	int64_t next;
	int32_t leader_epoch;
};

struct process_run {
	struct mo_client *client;
	const struct mo_process *options;
	struct mo_group_metadata as; /* who reads */
	bool known;                  /* `as` is filled, and nothing was read since but for the open transaction */
	bool open;
	size_t records;
	int64_t due_us;
	struct progress_of *progress;
	size_t count;
	size_t capacity;
	unsigned failures; /* in a row */
	int code;          /* for good */
	struct mo_err error;
};

static int64_t now_us(const struct process_run *r)
{
	return r->client->door->ops->now_us(r->client->door);
}

static void tell(struct process_run *r, enum mo_process_event what, const struct mo_topic_partition *partitions,
		 size_t count)
{
	if (r->options->told)
		r->options->told(r->options->context, what, partitions, count);
}

static void give_up(struct process_run *r, int code, const struct mo_err *e)
{
	if (r->code)
		return;
	r->code = code;
	r->error = *e;
}

/* Errors of a transaction that the same records would bring again. */
static bool is_hopeless(int code)
{
	switch (code) {
	case ERR_MESSAGE_TOO_LARGE:
	case ERR_RECORD_LIST_TOO_LARGE:
	case ERR_INVALID_RECORD:
	case ERR_INVALID_TIMESTAMP:
	case ERR_INVALID_TOPIC_EXCEPTION:
	case ERR_UNKNOWN_TOPIC_OR_PARTITION:
	case ERR_TOPIC_AUTHORIZATION_FAILED:
	case ERR_GROUP_AUTHORIZATION_FAILED:
	case ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
	case ERR_CLUSTER_AUTHORIZATION_FAILED:
	case ERR_OFFSET_METADATA_TOO_LARGE:
	case ERR_FENCED_INSTANCE_ID:
	case ERR_POLICY_VIOLATION:
	case ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
		return true;
	default:
		return false;
	}
}

/* --- the transaction --------------------------------------------------------------------------------------------- */

static void note(struct process_run *r, const struct mo_message *m)
{
	struct progress_of *p = NULL;

	for (size_t i = 0; i < r->count && !p; i++)
		if (r->progress[i].partition == m->partition && strcmp(r->progress[i].topic, m->topic) == 0)
			p = &r->progress[i];
	if (!p) {
		r->progress = mem_grow(r->progress, &r->capacity, r->count + 1, sizeof(*r->progress));
		p = &r->progress[r->count++];
		*p = (struct progress_of){.topic = m->topic, .partition = m->partition, .first = m->offset};
	}
	p->next = m->offset + 1;
	p->leader_epoch = m->leader_epoch;
}

static void over(struct process_run *r)
{
	r->open = false;
	r->known = false;
	r->count = r->records = 0;
}

/* Back to where the transaction began, of what is still ours. */
static void rewind_all(struct process_run *r)
{
	struct mo_topic_partition *back = mem_alloc((r->count + 1) * sizeof(*back));
	size_t count = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct progress_of *p = &r->progress[i];

		if (mo_seek(r->client, p->topic, p->partition, MO_OFFSET(p->first), NULL) == OK)
			back[count++] = (struct mo_topic_partition){p->topic, p->partition};
	}
	tell(r, MO_PROCESS_ABORTED, back, count);
	mem_free(back);
}

/* The end of a transaction cannot be had: a program that is to stop does not wait for it for ever, nor one whose client is closed. */
static bool is_out_of_patience(const struct process_run *r, int code, int64_t since_us)
{
	if (code == ERR_CLOSED || code == ERR_CANCELLED)
		return true;
	return now_us(r) - since_us > r->client->config.api_timeout_ms * 1000 && r->options->stop(r->options->context);
}

/* Of a transaction that cannot be committed, for this reason. */
static void take_back(struct process_run *r, int code, const struct mo_err *why)
{
	int64_t since_us = now_us(r);
	struct mo_err e = *why;
	int failed = OK;

	if (!r->open)
		return;
	while (mo_txn_state(r->client) != MO_TXN_FATAL && mo_txn_state(r->client) != MO_TXN_READY &&
	       !is_out_of_patience(r, failed, since_us))
		failed = mo_txn_abort(r->client, END_MS, &e);
	/* Fatal, or nobody answers: the coordinator aborts it, by its timeout or for the next who has the id. */
	if (mo_txn_state(r->client) != MO_TXN_READY)
		give_up(r, failed ? failed : code, &e);
	else if (is_hopeless(code))
		give_up(r, code, why);
	rewind_all(r);
	over(r);
	r->failures++;
}

static void commit(struct process_run *r)
{
	static const struct mo_err no_member = {.code = ERR_UNKNOWN_MEMBER_ID, .text = "no member of the group"};
	int64_t since_us = now_us(r);
	struct mo_group_offset *offsets;
	struct mo_err e;
	int code;

	if (!r->open)
		return;
	/* No member's offsets would be anybody's: the coordinator could not tell. */
	if (r->as.generation < 0) {
		take_back(r, no_member.code, &no_member);
		return;
	}
	tell(r, MO_PROCESS_COMMIT, NULL, 0);
	offsets = mem_zalloc((r->count + 1) * sizeof(*offsets));
	for (size_t i = 0; i < r->count; i++)
		offsets[i] = (struct mo_group_offset){.topic = r->progress[i].topic,
						      .partition = r->progress[i].partition,
						      .offset = r->progress[i].next,
						      .leader_epoch = r->progress[i].leader_epoch};
	code = mo_txn_send_offsets(r->client, offsets, r->count, &r->as, &e);
	mem_free(offsets);
	if (!code) {
		do
			code = mo_txn_commit(r->client, END_MS, &e);
		while (code == MO_TIMED_OUT && !is_out_of_patience(r, code, since_us));
	}
	if (code && mo_txn_state(r->client) == MO_TXN_COMMITTING) {
		/* It may be committed or not: who reads on from there waits until that is decided. */
		give_up(r, code, &e);
		over(r);
		return;
	}
	if (code) {
		take_back(r, code, &e);
		return;
	}
	tell(r, MO_PROCESS_COMMITTED, NULL, 0);
	over(r);
	r->failures = 0;
}

/* Who one is, before the first record of a transaction is read. */
static void know_oneself(struct process_run *r)
{
	struct mo_err e;
	int code;

	if (r->known)
		return;
	mo_group_metadata_free(&r->as);
	code = mo_group_metadata(r->client, &r->as, &e);
	if (code)
		give_up(r, code, &e);
	r->known = !code;
}

static void begin(struct process_run *r)
{
	struct mo_err e;
	int code = mo_txn_begin(r->client, &e);

	if (code) {
		give_up(r, code, &e);
		return;
	}
	r->open = true;
	r->due_us = now_us(r) + (int64_t)(r->options->max_ms > 0 ? r->options->max_ms : DEFAULT_MS) * 1000;
	tell(r, MO_PROCESS_BEGIN, NULL, 0);
}

/* --- the group --------------------------------------------------------------------------------------------------- */

static void rebalanced(void *context, enum mo_rebalance what, const struct mo_topic_partition *partitions, size_t count)
{
	static const struct mo_err lost = {.code = ERR_ILLEGAL_GENERATION, .text = "the partitions were lost"};
	struct process_run *r = context;

	if (what == MO_REVOKED)
		commit(r);
	else if (what == MO_LOST)
		take_back(r, lost.code, &lost);
	if (!r->open)
		r->known = false;
	tell(r, what == MO_ASSIGNED ? MO_PROCESS_ASSIGNED : MO_PROCESS_GONE, partitions, count);
}

/* --- the loop ---------------------------------------------------------------------------------------------------- */

static void take_record(struct process_run *r, const struct mo_message *m)
{
	struct mo_err e = {.text = "process failed"};
	int code;

	if (!r->open)
		begin(r);
	if (r->code)
		return;
	note(r, m);
	code = r->options->process(r->options->context, r->client, m, &e);
	r->records++;
	if (!code)
		return;
	/* A transaction that failed by itself is another matter than a record that the program cannot do anything with. */
	if (mo_txn_state(r->client) == MO_TXN_OPEN)
		give_up(r, code, &e);
	take_back(r, code, &e);
}

static bool is_due(const struct process_run *r)
{
	size_t most = r->options->max_records ? r->options->max_records : DEFAULT_RECORDS;

	return r->open && (r->records >= most || now_us(r) >= r->due_us);
}

static int wait_ms(const struct process_run *r)
{
	int64_t left_ms = r->open ? (r->due_us - now_us(r) + 999) / 1000 : LOOK_MS;

	return left_ms < 0 ? 0 : left_ms < LOOK_MS ? (int)left_ms : LOOK_MS;
}

static void one_round(struct process_run *r)
{
	const struct mo_message *m;
	struct mo_err e;
	int code;

	if (r->failures > 0 && !r->open) {
		unsigned doubled = r->failures < 8 ? r->failures - 1 : 7;
		int pause_ms = BACKOFF_MS << doubled;

		mo_poll(r->client, pause_ms < BACKOFF_MAX_MS ? pause_ms : BACKOFF_MAX_MS);
	}
	know_oneself(r);
	if (r->code)
		return;
	code = mo_consume(r->client, wait_ms(r), &m, &e);
	if (code == MO_CALLBACK_DUE) {
		mo_poll(r->client, 0);
	} else if (code == MO_TIMED_OUT) {
		/* Another member by the time that something comes. */
		r->known = r->open;
	} else if (code) {
		give_up(r, code, &e);
		take_back(r, code, &e);
	} else if (!m->end) {
		take_record(r, m);
	}
	if (is_due(r))
		commit(r);
}

static int check(const struct mo_client *c, const struct mo_process *p, struct mo_err *ret_err)
{
	const char *lacks = !c->config.group_id[0]           ? "group.id"
			    : !c->config.transactional_id[0] ? "transactional.id"
			    : c->config.auto_commit          ? "enable.auto.commit=false"
			    : !c->config.read_committed      ? "isolation.level=read_committed"
							     : NULL;

	if (lacks)
		return api_error(ret_err, ERR_USAGE, "mo_process needs %s", lacks);
	if (!p->process || !p->stop || p->topic_count == 0)
		return api_error(ret_err, ERR_USAGE, "mo_process needs topics, process and stop");
	return OK;
}

int mo_process(struct mo_client *c, const struct mo_process *p, struct mo_err *ret_err)
{
	struct process_run r = {.client = c, .options = p};
	struct mo_err e;
	int code = check(c, p, ret_err);

	if (code)
		return code;
	if (mo_txn_state(c) == MO_TXN_NONE)
		code = mo_txn_init(c, (int)c->config.api_timeout_ms, ret_err);
	if (code)
		return code;
	mo_set_rebalance(c, rebalanced, &r);
	code = mo_subscribe(c, p->topics, p->topic_count, &e);
	if (code)
		give_up(&r, code, &e);
	while (!r.code && !p->stop(p->context))
		one_round(&r);
	if (!r.code)
		commit(&r);
	/* What is open here failed for good. */
	take_back(&r, r.code, &r.error);
	code = mo_consumer_close(c, (int)c->config.api_timeout_ms, &e);
	if (code)
		give_up(&r, code, &e);
	mo_set_rebalance(c, NULL, NULL);
	mo_group_metadata_free(&r.as);
	mem_free(r.progress);
	if (r.code && ret_err)
		*ret_err = r.error;
	return r.code;
}
