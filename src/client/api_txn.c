/* api_txn: mo_txn_*, mo_group_metadata: transactions as the program sees them. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/api.h"
#include "client/api_own.h"

_Static_assert((int)MO_TXN_FATAL == (int)TRANSACT_FATAL && (int)MO_TXN_FAILED == (int)TRANSACT_FAILED &&
		       (int)MO_TXN_READY == (int)TRANSACT_READY,
	       "the public numbers are the client's");

#define NAME_MAX_SIZE 249

/* --- what the shard says ----------------------------------------------------------------------------------------- */

void api_txn_changed(void *user, enum transact_state state, enum err e, const char *text)
{
	struct mo_client *c = user;

	c->door->ops->lock(c->door);
	c->txn_state = state;
	c->txn_error.code = e;
	snprintf(c->txn_error.text, sizeof(c->txn_error.text), "%s", e ? text : "");
	/* Who waits for room in the buffer may not want it any more. */
	c->door->ops->wake(c->door);
	c->door->ops->unlock(c->door);
}

bool api_txn_settled(void *user)
{
	struct mo_client *c = user;
	bool settled;

	c->door->ops->lock(c->door);
	settled = c->unsettled == 0;
	c->door->ops->unlock(c->door);
	return settled;
}

enum mo_txn_state mo_txn_state(struct mo_client *c)
{
	enum mo_txn_state state;

	c->door->ops->lock(c->door);
	state = (enum mo_txn_state)c->txn_state;
	c->door->ops->unlock(c->door);
	return state;
}

/* --- on the shard ------------------------------------------------------------------------------------------------ */

static int64_t deadline_of(struct fiber *self, int64_t timeout_ms)
{
	return timeout_ms < 0 ? FIBER_NO_DEADLINE : shard_now_us(fiber_shard(self)) + timeout_ms * 1000;
}

/* The client's own membership; false when it has none though it wants one. */
static bool own_membership(const struct client *core, struct transaction_offsets *ret)
{
	struct membership m = group_membership(core->group);

	ret->group = core->config->group_id;
	ret->generation = m.generation;
	ret->member_id = m.member_id;
	ret->instance_id = m.generation >= 0 ? core->config->group_instance_id : "";
	return !m.joining && !(group_is_wanted(core->group) && m.generation < 0);
}

static enum err send_offsets_await(struct fiber *self, struct api_txn_job *job, char *ret_why)
{
	struct client *core = job->job.client->core;
	struct group_offsets offsets = {0};
	struct transaction_offsets order = {.deadline_us = deadline_of(self, job->timeout_ms)};
	enum err e;

	if (job->as) {
		order.group = job->as->group;
		order.generation = job->as->generation;
		order.member_id = job->as->member_id;
		order.instance_id = job->as->instance_id;
	} else if (!own_membership(core, &order) && transaction_state(core->transaction) == TRANSACT_OPEN) {
		snprintf(ret_why, TRANSACT_TEXT_SIZE,
			 "the group rebalances, so that its offsets are perhaps another's by now");
		transaction_fail(core->transaction, ERR_ILLEGAL_GENERATION, ret_why);
		return ERR_ILLEGAL_GENERATION;
	}
	for (size_t i = 0; i < job->count; i++) {
		struct group_offset *o = group_offsets_add(&offsets,
							   cluster_topic(&core->cluster, job->offsets[i].topic, false),
							   job->offsets[i].partition);

		o->offset = job->offsets[i].offset;
		o->leader_epoch = job->offsets[i].leader_epoch;
		o->metadata = job->offsets[i].metadata ? mem_strdup(job->offsets[i].metadata) : NULL;
	}
	order.offsets = offsets.items;
	order.count = offsets.count;
	e = transaction_offsets_await(self, core->transaction, &order, ret_why);
	group_offsets_fini(&offsets);
	return e;
}

static void step_await(struct fiber *self, struct api_job *base)
{
	struct api_txn_job *job = container_of(base, struct api_txn_job, job);
	struct transaction *t = base->client->core->transaction;
	int64_t deadline_us = deadline_of(self, job->timeout_ms);
	char why[TRANSACT_TEXT_SIZE] = "";
	enum err e = ERR_USAGE, failed;
	const char *text;

	switch (job->step) {
	case TRANSACT_INIT:
		e = transaction_init_await(self, t, deadline_us, why);
		break;
	case TRANSACT_BEGIN:
		e = transaction_begin(t, why);
		break;
	case TRANSACT_OFFSETS:
		e = send_offsets_await(self, job, why);
		break;
	case TRANSACT_COMMIT:
		e = transaction_commit_await(self, t, deadline_us, why);
		break;
	case TRANSACT_ABORT:
		e = transaction_abort_await(self, t, deadline_us, why);
		break;
	case TRANSACT_PRODUCE:
		break;
	}
	/* A refused call changed nothing. */
	failed = transaction_error(t, &text);
	api_txn_changed(base->client, transaction_state(t), failed, text);
	if (e)
		api_error(&base->error, e, "transactional.id %.100s: %s", base->client->config.transactional_id,
			  why[0] ? why : err_text(e));
}

/* --- the caller's side ------------------------------------------------------------------------------------------- */

void api_txn_prepare(struct mo_client *c, struct api_txn_job *job, enum transact_step step, int64_t timeout_ms)
{
	*job = (struct api_txn_job){.job.work_await = step_await, .step = step, .timeout_ms = timeout_ms};
	/* From here on it takes no record, although the shard does not know yet. */
	c->door->ops->lock(c->door);
	if ((step == TRANSACT_COMMIT || step == TRANSACT_ABORT) && c->txn_state == TRANSACT_OPEN)
		c->txn_state = step == TRANSACT_COMMIT ? TRANSACT_COMMITTING : TRANSACT_ABORTING;
	c->door->ops->unlock(c->door);
}

static int run(struct mo_client *c, enum transact_step step, int timeout_ms, struct mo_err *ret_err)
{
	struct api_txn_job job;
	int code;

	if (!c->config.transactional_id[0])
		return api_error(ret_err, ERR_USAGE, "transactions need a name of the producer: set transactional.id");
	api_txn_prepare(c, &job, step, timeout_ms);
	code = api_run(c, &job.job, ret_err);
	c->door->ops->lock(c->door);
	api_run_deliveries(c);
	c->door->ops->unlock(c->door);
	return code;
}

int mo_txn_init(struct mo_client *c, int timeout_ms, struct mo_err *ret_err)
{
	return run(c, TRANSACT_INIT, timeout_ms, ret_err);
}

int mo_txn_begin(struct mo_client *c, struct mo_err *ret_err)
{
	return run(c, TRANSACT_BEGIN, -1, ret_err);
}

int mo_txn_commit(struct mo_client *c, int timeout_ms, struct mo_err *ret_err)
{
	return run(c, TRANSACT_COMMIT, timeout_ms, ret_err);
}

int mo_txn_abort(struct mo_client *c, int timeout_ms, struct mo_err *ret_err)
{
	return run(c, TRANSACT_ABORT, timeout_ms, ret_err);
}

static bool are_sane(const struct mo_group_offset *offsets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!offsets[i].topic || !*offsets[i].topic || strlen(offsets[i].topic) > NAME_MAX_SIZE ||
		    offsets[i].partition < 0 || offsets[i].offset < 0)
			return false;
	return true;
}

int mo_txn_send_offsets(struct mo_client *c, const struct mo_group_offset *offsets, size_t count,
			const struct mo_group_metadata *as, struct mo_err *ret_err)
{
	struct api_txn_job job;

	if (!c->config.transactional_id[0])
		return api_error(ret_err, ERR_USAGE, "transactions need a name of the producer: set transactional.id");
	if (as ? !as->group || !*as->group || !as->member_id || !as->instance_id : !c->config.group_id[0])
		return api_error(ret_err, ERR_USAGE, "only a group keeps offsets: set group.id, or name the reader's");
	if (!are_sane(offsets, count))
		return api_error(ret_err, ERR_USAGE, "topics have names, partitions and offsets are not negative");
	api_txn_prepare(c, &job, TRANSACT_OFFSETS, c->config.api_timeout_ms);
	job.offsets = offsets;
	job.count = count;
	job.as = as;
	return api_run(c, &job.job, ret_err);
}

/* --- who one is -------------------------------------------------------------------------------------------------- */

static void metadata_await(struct fiber *self, struct api_job *job)
{
	const struct client *core = job->client->core;
	struct mo_group_metadata *m = job->result;
	struct transaction_offsets order = {0};

	(void)self;
	(void)own_membership(core, &order);
	*m = (struct mo_group_metadata){.group = mem_strdup(order.group),
					.generation = order.generation,
					.member_id = mem_strdup(order.member_id),
					.instance_id = mem_strdup(order.instance_id)};
}

int mo_group_metadata(struct mo_client *c, struct mo_group_metadata *ret_metadata, struct mo_err *ret_err)
{
	struct mo_group_metadata m = {0};
	struct api_job job = {.work_await = metadata_await, .result = &m};
	int code;

	if (!c->config.group_id[0])
		return api_error(ret_err, ERR_USAGE, "no member of a group: set group.id");
	code = api_run(c, &job, ret_err);
	if (!code)
		*ret_metadata = m;
	return code;
}

void mo_group_metadata_free(struct mo_group_metadata *m)
{
	mem_free(m->group);
	mem_free(m->member_id);
	mem_free(m->instance_id);
	*m = (struct mo_group_metadata){0};
}
