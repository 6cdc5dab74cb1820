/* api_commit: mo_commit, mo_commit_async, mo_committed: a group's offsets, as the program sees them. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/api.h"
#include "client/api_own.h"

#define NAME_MAX_SIZE 249
#define METADATA_MAX_SIZE 32767
#define STOP_POLL_US 1000

/* What is committed, or was: copies of the caller's, with the outcome of each. */
struct commit_work {
	struct mo_group_offset *offsets;
	size_t count;
	bool once;
	int64_t timeout_ms; /* -1: without bound */
};

/* --- copies ------------------------------------------------------------------------------------------------------ */

static void work_free(struct commit_work *w)
{
	struct mo_group_offsets all = {.offsets = w->offsets, .count = w->count};

	mo_group_offsets_free(&all);
}

static bool are_sane(const struct mo_group_offset *offsets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!offsets[i].topic || !*offsets[i].topic || strlen(offsets[i].topic) > NAME_MAX_SIZE ||
		    offsets[i].partition < 0 || offsets[i].offset < 0 ||
		    (offsets[i].metadata && strlen(offsets[i].metadata) > METADATA_MAX_SIZE))
			return false;
	return true;
}

static void copy_given(struct commit_work *w, const struct mo_group_offset *offsets, size_t count)
{
	w->offsets = mem_alloc((count + 1) * sizeof(*w->offsets));
	w->count = count;
	for (size_t i = 0; i < count; i++) {
		w->offsets[i] = offsets[i];
		w->offsets[i].topic = mem_strdup(offsets[i].topic);
		w->offsets[i].metadata = offsets[i].metadata ? mem_strdup(offsets[i].metadata) : NULL;
		w->offsets[i].code = OK;
	}
}

/* The positions of all that is assigned; with `changed` only those that are not committed yet. */
static void copy_positions(struct mo_client *c, struct commit_work *w, bool changed)
{
	struct mo_group_offsets all;
	size_t kept = 0;

	(void)mo_assignment(c, &all, NULL);
	for (size_t i = 0; i < all.count; i++) {
		struct assignment *a;
		bool wanted;

		c->door->ops->lock(c->door);
		a = api_assignment(c, all.offsets[i].topic, all.offsets[i].partition);
		wanted = all.offsets[i].offset >= 0 && !(changed && a->committed == all.offsets[i].offset);
		c->door->ops->unlock(c->door);
		if (wanted)
			all.offsets[kept++] = all.offsets[i];
		else
			mem_free((char *)(uintptr_t)all.offsets[i].topic);
	}
	w->offsets = all.offsets;
	w->count = kept;
	mem_free(all.group);
}

static int no_group(struct mo_err *ret_err)
{
	return api_error(ret_err, ERR_USAGE, "only a group keeps offsets: set group.id");
}

/* --- on the shard ------------------------------------------------------------------------------------------------ */

static void to_group(struct client *core, const struct commit_work *w, struct group_offsets *ret)
{
	for (size_t i = 0; i < w->count; i++) {
		struct group_offset *o = group_offsets_add(
			ret, cluster_topic(&core->cluster, w->offsets[i].topic, false), w->offsets[i].partition);

		o->offset = w->offsets[i].offset;
		o->leader_epoch = w->offsets[i].leader_epoch;
		o->metadata = w->offsets[i].metadata ? mem_strdup(w->offsets[i].metadata) : NULL;
	}
}

static int64_t deadline_of(struct fiber *self, int64_t timeout_ms)
{
	return timeout_ms < 0 ? FIBER_NO_DEADLINE : shard_now_us(fiber_shard(self)) + timeout_ms * 1000;
}

static void commit_await(struct fiber *self, struct mo_client *c, struct commit_work *w, struct mo_err *ret_error)
{
	struct group_offsets offsets = {0};
	struct group_commit_order commit = {.deadline_us = deadline_of(self, w->timeout_ms), .once = w->once};
	char why[GROUP_WHY_SIZE];
	enum err e;

	if (w->count == 0)
		return;
	to_group(c->core, w, &offsets);
	commit.offsets = offsets.items;
	commit.count = offsets.count;
	e = group_commit_await(self, c->core->group, &commit, why);
	for (size_t i = 0; i < w->count; i++)
		w->offsets[i].code = e && !offsets.items[i].error ? e : offsets.items[i].error;
	if (e)
		api_error(ret_error, e, "group %.100s: the offsets are not committed: %.300s", c->config.group_id, why);
	else
		api_group_sink.committed(c, &offsets);
	group_offsets_fini(&offsets);
}

static void commit_job_await(struct fiber *self, struct api_job *job)
{
	commit_await(self, job->client, job->arguments, &job->error);
}

static void committed_job_await(struct fiber *self, struct api_job *job)
{
	struct mo_client *c = job->client;
	struct commit_work *w = job->arguments;
	struct group_offsets offsets = {0};
	char why[GROUP_WHY_SIZE];
	enum err e;

	to_group(c->core, w, &offsets);
	e = group_offsets_await(self, c->core->group, offsets.items, offsets.count, job->deadline_us, why);
	if (e)
		api_error(&job->error, e, "group %.100s: its offsets cannot be had: %.300s", c->config.group_id, why);
	for (size_t i = 0; i < w->count && !e; i++) {
		w->offsets[i].offset = offsets.items[i].offset;
		w->offsets[i].leader_epoch = offsets.items[i].leader_epoch;
		w->offsets[i].metadata = offsets.items[i].metadata;
		w->offsets[i].code = offsets.items[i].error;
		offsets.items[i].metadata = NULL;
	}
	group_offsets_fini(&offsets);
}

/* --- waiting for it ---------------------------------------------------------------------------------------------- */

int mo_commit(struct mo_client *c, const struct mo_group_offset *offsets, size_t count, struct mo_err *ret_err)
{
	struct commit_work w = {.timeout_ms = c->config.api_timeout_ms};
	struct api_job job = {.work_await = commit_job_await, .arguments = &w};
	int code;

	if (!c->config.group_id[0])
		return no_group(ret_err);
	if (offsets && !are_sane(offsets, count))
		return api_error(ret_err, ERR_USAGE, "topics have names, partitions and offsets are not negative");
	if (offsets)
		copy_given(&w, offsets, count);
	else
		copy_positions(c, &w, false);
	code = api_run(c, &job, ret_err);
	work_free(&w);
	return code;
}

int api_commit_processed(struct mo_client *c, int64_t timeout_ms, struct mo_err *ret_err)
{
	struct commit_work w = {.timeout_ms = timeout_ms};
	struct api_job job = {.work_await = commit_job_await, .arguments = &w};
	int code;

	copy_positions(c, &w, true);
	code = api_run(c, &job, ret_err);
	work_free(&w);
	return code;
}

int mo_committed(struct mo_client *c, const struct mo_topic_partition *partitions, size_t count,
		 struct mo_group_offsets *ret_offsets, struct mo_err *ret_err)
{
	struct commit_work w = {.count = count};
	struct api_job job = {.work_await = committed_job_await, .arguments = &w};
	int code;

	if (!c->config.group_id[0])
		return no_group(ret_err);
	w.offsets = mem_alloc((count + 1) * sizeof(*w.offsets));
	for (size_t i = 0; i < count; i++)
		w.offsets[i] = (struct mo_group_offset){
			.topic = mem_strdup(partitions[i].topic ? partitions[i].topic : ""),
			.partition = partitions[i].partition,
			.leader_epoch = -1};
	code = are_sane(w.offsets, count)
		       ? api_run(c, &job, ret_err)
		       : api_error(ret_err, ERR_USAGE, "topics have names, partitions are not negative");
	if (code)
		work_free(&w);
	else
		*ret_offsets = (struct mo_group_offsets){
			.group = mem_strdup(c->config.group_id), .offsets = w.offsets, .count = count};
	return code;
}

/* --- without waiting --------------------------------------------------------------------------------------------- */

struct commit_async {
	struct message message;
	struct list_node node; /* in mo_client.running, then in .commits */
	struct fiber *fiber;
	struct mo_client *client;
	struct commit_work work;
	struct mo_err outcome;
	void (*done)(void *context, const struct mo_err *outcome, const struct mo_group_offset *offsets, size_t count);
	void *context;
};

static void async_free(struct commit_async *a)
{
	work_free(&a->work);
	mem_free(a);
}

static void async_over(struct commit_async *a)
{
	struct mo_client *c = a->client;

	if (!a->done) {
		async_free(a);
		return;
	}
	c->door->ops->lock(c->door);
	list_push_back(&c->commits, &a->node);
	c->door->ops->wake(c->door);
	c->door->ops->unlock(c->door);
}

static void async_main(struct fiber *self, void *argument)
{
	struct commit_async *a = argument;

	commit_await(self, a->client, &a->work, &a->outcome);
	list_remove(&a->node);
	async_over(a);
}

void api_commits_stop_await(struct fiber *self, struct mo_client *c)
{
	while (!list_empty(&c->running)) {
		for (struct list_node *n = c->running.head.next; n != &c->running.head; n = n->next)
			fiber_cancel(container_of(n, struct commit_async, node)->fiber);
		(void)fiber_sleep_await(self, STOP_POLL_US);
	}
}

static void on_async(struct shard *at, struct message *m)
{
	static const struct fiber_options options = {.name = "client_commit_async"};
	struct commit_async *a = container_of(m, struct commit_async, message);

	if (a->client->core && !a->client->closing && (a->fiber = fiber_start(at, &options, async_main, a))) {
		list_push_back(&a->client->running, &a->node);
		return;
	}
	api_error(&a->outcome, a->client->closing ? ERR_CLOSED : ERR_NO_MEMORY, "the offsets are not committed: %s",
		  a->client->closing ? "the client is being closed" : "too many calls at once");
	async_over(a);
}

int mo_commit_async(struct mo_client *c, const struct mo_group_offset *offsets, size_t count,
		    void (*done)(void *context, const struct mo_err *outcome, const struct mo_group_offset *offsets,
				 size_t count),
		    void *context, struct mo_err *ret_err)
{
	struct commit_async *a;

	if (!c->config.group_id[0])
		return no_group(ret_err);
	if (offsets && !are_sane(offsets, count))
		return api_error(ret_err, ERR_USAGE, "topics have names, partitions and offsets are not negative");
	a = mem_new(struct commit_async);
	a->message.run = on_async;
	a->client = c;
	a->work = (struct commit_work){.once = true, .timeout_ms = c->config.api_timeout_ms};
	a->done = done;
	a->context = context;
	if (offsets)
		copy_given(&a->work, offsets, count);
	else
		copy_positions(c, &a->work, false);
	c->door->ops->post(c->door, &a->message);
	return OK;
}

int api_run_commits(struct mo_client *c)
{
	struct list_node *n;
	int count = 0;

	while ((n = list_pop_front(&c->commits))) {
		struct commit_async *a = container_of(n, struct commit_async, node);

		c->door->ops->unlock(c->door);
		a->done(a->context, &a->outcome, a->work.offsets, a->work.count);
		async_free(a);
		count++;
		c->door->ops->lock(c->door);
	}
	return count;
}

void api_commits_fini(struct mo_client *c)
{
	struct list_node *n;

	while ((n = list_pop_front(&c->commits)))
		async_free(container_of(n, struct commit_async, node));
}
