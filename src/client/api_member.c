/* api_member: the program as its group sees it (struct group_sink), subscribing, the listener, leaving. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/api.h"
#include "client/api_own.h"

#define NAME_MAX_SIZE 249
#define FAILURES_MAX 100

/* --- what the group asks, on the shard --------------------------------------------------------------------------- */

static struct assignment *assignment_of(const struct mo_client *c, const struct part *p)
{
	return api_assignment(c, p->topic->name, p->index);
}

static bool sink_release(void *user, const struct parts *leaving)
{
	struct mo_client *c = user;
	bool in_hand = false;

	c->door->ops->lock(c->door);
	for (size_t i = 0; i < leaving->count; i++) {
		struct assignment *a = assignment_of(c, &leaving->items[i]);

		a->waits = false;
		api_assignment_stop(c, a);
		in_hand |= c->held == a;
	}
	api_drop_stale(c);
	in_hand &= !c->closing;
	c->release_wanted = in_hand;
	c->door->ops->unlock(c->door);
	for (size_t i = 0; i < leaving->count; i++)
		consumer_unassign(c->core->consumer, leaving->items[i].topic->name, leaving->items[i].index);
	return !in_hand;
}

static bool sink_tell(void *user, enum rebalance_kind kind, const struct parts *p)
{
	static const enum mo_rebalance kinds[] = {
		[REBALANCE_ASSIGNED] = MO_ASSIGNED, [REBALANCE_REVOKED] = MO_REVOKED, [REBALANCE_LOST] = MO_LOST};
	struct mo_client *c = user;
	struct rebalance *r;
	bool heard;

	c->door->ops->lock(c->door);
	heard = c->rebalanced && !c->closing;
	if (heard) {
		must(!c->rebalance);
		r = mem_new(struct rebalance);
		r->what = kinds[kind];
		r->partitions = mem_alloc((p->count + 1) * sizeof(*r->partitions));
		r->count = p->count;
		for (size_t i = 0; i < p->count; i++)
			r->partitions[i] = (struct mo_topic_partition){p->items[i].topic->name, p->items[i].index};
		c->rebalance = r;
		c->door->ops->wake(c->door);
	}
	c->door->ops->unlock(c->door);
	return !heard;
}

static void sink_add(void *user, const struct parts *p)
{
	struct mo_client *c = user;

	c->door->ops->lock(c->door);
	for (size_t i = 0; i < p->count; i++) {
		struct assignment *a = api_assignment_make(c, p->items[i].topic->name, p->items[i].index);

		a->owned = a->waits = true;
		a->paused = false;
		a->start = (struct start){.kind = START_COMMITTED};
		a->restart = a->committed = -1;
		atomic_store_explicit(&a->given, -1, memory_order_relaxed);
		atomic_store_explicit(&a->processed, -1, memory_order_relaxed);
		atomic_store_explicit(&a->epoch, -1, memory_order_relaxed);
	}
	c->door->ops->unlock(c->door);
}

static void sink_begin(void *user, const struct parts *p)
{
	struct mo_client *c = user;

	for (size_t i = 0; i < p->count; i++) {
		struct assignment *a;
		struct start from;
		uint64_t generation = 0;

		c->door->ops->lock(c->door);
		a = assignment_of(c, &p->items[i]);
		if (a->owned && a->waits && !a->paused)
			api_assignment_begin(c, a);
		a->waits = false;
		generation = a->generation;
		from = a->start;
		c->door->ops->unlock(c->door);
		/* Without the lock: it may hand an error over at once. */
		if (generation)
			consumer_assign(c->core->consumer, a->topic, a->partition, from, generation);
	}
}

static void sink_remove(void *user, const struct parts *p)
{
	struct mo_client *c = user;

	c->door->ops->lock(c->door);
	for (size_t i = 0; i < p->count; i++) {
		struct assignment *a = assignment_of(c, &p->items[i]);

		a->owned = a->waits = a->paused = false;
		api_assignment_stop(c, a);
	}
	c->door->ops->wake(c->door);
	c->door->ops->unlock(c->door);
}

/* With the lock held. */
static void add_progress(const struct assignment *a, struct mo_client *c, struct group_offsets *out)
{
	struct group_offset *o;
	long long processed = atomic_load_explicit(&a->processed, memory_order_acquire);

	if (!a->owned || processed < 0 || processed == a->committed)
		return;
	o = group_offsets_add(out, cluster_topic(&c->core->cluster, a->topic, false), a->partition);
	o->offset = processed;
	o->leader_epoch = atomic_load_explicit(&a->epoch, memory_order_relaxed);
}

static void sink_progress(void *user, const struct parts *of, struct group_offsets *out)
{
	struct mo_client *c = user;
	const struct map_entry *entry;
	size_t place = 0;

	c->door->ops->lock(c->door);
	if (of)
		for (size_t i = 0; i < of->count; i++)
			add_progress(assignment_of(c, &of->items[i]), c, out);
	else
		while ((entry = map_next(&c->assignments, &place)))
			add_progress(entry->value, c, out);
	c->door->ops->unlock(c->door);
}

static void sink_committed(void *user, const struct group_offsets *offsets)
{
	struct mo_client *c = user;

	c->door->ops->lock(c->door);
	for (size_t i = 0; i < offsets->count; i++) {
		struct assignment *a = api_assignment(c, offsets->items[i].topic->name, offsets->items[i].index);

		if (a && !offsets->items[i].error)
			a->committed = offsets->items[i].offset;
	}
	c->door->ops->unlock(c->door);
}

static void sink_fail(void *user, enum err e, const char *text)
{
	struct mo_client *c = user;
	struct group_failure *f;

	c->door->ops->lock(c->door);
	/* Who does not look at them has had enough of them. */
	if (c->failure_count < FAILURES_MAX) {
		f = mem_new(struct group_failure);
		api_error(&f->error, e, "%s", text);
		list_push_back(&c->failures, &f->node);
		c->failure_count++;
		c->door->ops->wake(c->door);
	}
	c->door->ops->unlock(c->door);
}

static unsigned sink_activity(void *user, bool *ret_waits)
{
	struct mo_client *c = user;

	c->door->ops->lock(c->door);
	*ret_waits = c->waiting > 0;
	c->door->ops->unlock(c->door);
	return atomic_load_explicit(&c->consume_calls, memory_order_relaxed) +
	       atomic_load_explicit(&c->poll_calls, memory_order_relaxed);
}

static void sink_watch(void *user)
{
	struct mo_client *c = user;

	atomic_store_explicit(&c->watched, true, memory_order_relaxed);
}

const struct group_sink api_group_sink = {
	.release = sink_release,
	.tell = sink_tell,
	.add = sink_add,
	.begin = sink_begin,
	.remove = sink_remove,
	.progress = sink_progress,
	.committed = sink_committed,
	.fail = sink_fail,
	.activity = sink_activity,
	.watch = sink_watch,
};

static void on_released(struct shard *at, struct message *m)
{
	struct mo_client *c = container_of(m, struct mo_client, released);

	(void)at;
	if (c->core)
		group_released(c->core->group);
}

static void on_told(struct shard *at, struct message *m)
{
	struct mo_client *c = container_of(m, struct mo_client, told);

	(void)at;
	if (c->core)
		group_told(c->core->group);
}

static void on_back(struct shard *at, struct message *m)
{
	struct mo_client *c = container_of(m, struct mo_client, back);

	(void)at;
	if (c->core)
		group_wake(c->core->group);
}

/* --- on the caller's thread -------------------------------------------------------------------------------------- */

void api_is_back(struct mo_client *c)
{
	if (!atomic_load_explicit(&c->watched, memory_order_relaxed))
		return;
	atomic_store_explicit(&c->watched, false, memory_order_relaxed);
	c->door->ops->post(c->door, &c->back);
}

static void rebalance_free(struct rebalance *r)
{
	if (!r)
		return;
	mem_free(r->partitions);
	mem_free(r);
}

int api_run_rebalance(struct mo_client *c)
{
	struct rebalance *r = c->rebalance;

	/* Another thread may be telling it; a callback that calls mo_poll is not called again. */
	if (!r || c->telling)
		return 0;
	c->telling = true;
	c->door->ops->unlock(c->door);
	c->rebalanced(c->rebalanced_context, r->what, r->partitions, r->count);
	c->door->ops->lock(c->door);
	c->telling = false;
	c->rebalance = NULL;
	rebalance_free(r);
	c->door->ops->post(c->door, &c->told);
	return 1;
}

void mo_set_rebalance(struct mo_client *c,
		      void (*rebalanced)(void *context, enum mo_rebalance what,
					 const struct mo_topic_partition *partitions, size_t count),
		      void *context)
{
	c->door->ops->lock(c->door);
	c->rebalanced = rebalanced;
	c->rebalanced_context = context;
	c->door->ops->unlock(c->door);
}

struct subscribe_order {
	struct message message;
	struct mo_client *client;
	char **topics;
	size_t count;
	char *pattern;
};

static void subscribe_order_free(struct subscribe_order *o)
{
	for (size_t i = 0; i < o->count; i++)
		mem_free(o->topics[i]);
	mem_free(o->topics);
	mem_free(o->pattern);
	mem_free(o);
}

static void on_subscribe(struct shard *at, struct message *m)
{
	struct subscribe_order *o = container_of(m, struct subscribe_order, message);
	struct mo_client *c = o->client;

	(void)at;
	if (c->core && !c->closing)
		group_subscribe(c->core->group, (const char *const *)o->topics, o->count, o->pattern);
	subscribe_order_free(o);
}

/* With the lock held. */
static bool has_by_hand(const struct mo_client *c)
{
	const struct map_entry *entry;
	size_t place = 0;

	while (!c->subscribed && (entry = map_next(&c->assignments, &place)))
		if (((const struct assignment *)entry->value)->owned)
			return true;
	return false;
}

static int subscribe(struct mo_client *c, const char *const *topics, size_t count, const char *pattern,
		     struct mo_err *ret_err)
{
	struct subscribe_order *o;
	bool by_hand;

	if (!c->config.group_id[0])
		return api_error(ret_err, ERR_USAGE, "which group? set group.id, or assign partitions by mo_assign");
	for (size_t i = 0; i < count; i++)
		if (!topics[i] || !*topics[i] || strlen(topics[i]) > NAME_MAX_SIZE)
			return api_error(ret_err, ERR_USAGE, "topics have names of 1 to %d letters", NAME_MAX_SIZE);
	o = mem_new(struct subscribe_order);
	o->message.run = on_subscribe;
	o->client = c;
	o->topics = mem_alloc((count + 1) * sizeof(*o->topics));
	o->count = count;
	for (size_t i = 0; i < count; i++)
		o->topics[i] = mem_strdup(topics[i]);
	o->pattern = pattern ? mem_strdup(pattern) : NULL;
	c->door->ops->lock(c->door);
	by_hand = has_by_hand(c);
	if (!by_hand) {
		c->subscribed = true;
		c->door->ops->post(c->door, &o->message);
	}
	c->door->ops->unlock(c->door);
	if (!by_hand)
		return OK;
	subscribe_order_free(o);
	return api_error(ret_err, ERR_USAGE, "partitions are assigned by hand: mo_unassign them first");
}

int mo_subscribe(struct mo_client *c, const char *const *topics, size_t count, struct mo_err *ret_err)
{
	if (count == 0)
		return mo_unsubscribe(c, ret_err);
	return subscribe(c, topics, count, NULL, ret_err);
}

int mo_subscribe_pattern(struct mo_client *c, const char *pattern, struct mo_err *ret_err)
{
	if (!pattern || !*pattern)
		return api_error(ret_err, ERR_USAGE, "a pattern is wanted");
	return subscribe(c, NULL, 0, pattern, ret_err);
}

/* --- leaving ----------------------------------------------------------------------------------------------------- */

static void leave_await(struct fiber *self, struct api_job *job)
{
	struct mo_client *c = job->client;
	const int64_t *timeout_ms = job->arguments;
	int64_t deadline_us = *timeout_ms < 0 ? FIBER_NO_DEADLINE
					      : shard_now_us(fiber_shard(self)) + *timeout_ms * 1000;

	group_unsubscribe(c->core->group);
	if (!group_out_await(self, c->core->group, deadline_us))
		api_error(&job->error, MO_TIMED_OUT, "the group was not left in %lld ms; that goes on by itself",
			  (long long)*timeout_ms);
}

void api_end_reading(struct mo_client *c)
{
	c->door->ops->lock(c->door);
	if (c->reading) {
		atomic_store_explicit(&c->reading_of->processed,
				      atomic_load_explicit(&c->reading_of->given, memory_order_relaxed),
				      memory_order_relaxed);
		c->door->ops->post(c->door, &c->reading->message);
		c->reading = NULL;
		c->reading_of = NULL;
	}
	api_let_go(c);
	c->door->ops->unlock(c->door);
}

static int leave(struct mo_client *c, int64_t timeout_ms, struct mo_err *ret_err)
{
	struct api_job job = {.work_await = leave_await, .arguments = &timeout_ms};
	struct door *door = c->door;

	api_end_reading(c);
	if (!c->config.group_id[0])
		return OK;
	api_start_job(c, &job);
	door->ops->lock(door);
	while (!job.done)
		if (api_run_commits(c) + api_run_rebalance(c) == 0)
			door->ops->wait(door, -1);
	c->subscribed = job.error.code != OK && c->subscribed;
	door->ops->unlock(door);
	if (job.error.code && ret_err)
		*ret_err = job.error;
	return job.error.code;
}

int mo_unsubscribe(struct mo_client *c, struct mo_err *ret_err)
{
	return leave(c, c->config.api_timeout_ms, ret_err);
}

int mo_consumer_close(struct mo_client *c, int timeout_ms, struct mo_err *ret_err)
{
	struct mo_err first = {0};
	int code;

	api_end_reading(c);
	if (c->config.auto_commit && c->config.group_id[0])
		(void)api_commit_processed(c, timeout_ms, &first);
	api_unassign_all(c);
	code = leave(c, timeout_ms, ret_err);
	if (!first.code)
		return code;
	if (ret_err)
		*ret_err = first;
	return first.code;
}

/* --- the door ---------------------------------------------------------------------------------------------------- */

void api_group_init(struct mo_client *c)
{
	list_init(&c->failures);
	list_init(&c->commits);
	list_init(&c->running);
	c->released.run = on_released;
	c->told.run = on_told;
	c->back.run = on_back;
}

void api_group_fini(struct mo_client *c)
{
	struct list_node *n;

	while ((n = list_pop_front(&c->failures)))
		mem_free(container_of(n, struct group_failure, node));
	rebalance_free(c->rebalance);
	api_commits_fini(c);
}
