/* api_assign: what is assigned, by hand or by a group: where it starts, goes on, stands still. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "client/api.h"
#include "client/api_own.h"

#define NAME_MAX_SIZE 249

struct assignment_key {
	char name[NAME_MAX_SIZE + 1];
	int32_t partition;
};

static struct bytes key_of(struct assignment_key *key, const char *topic, int32_t partition)
{
	memset(key, 0, sizeof(*key));
	snprintf(key->name, sizeof(key->name), "%s", topic);
	key->partition = partition;
	return bytes_of(key, sizeof(*key));
}

struct assignment *api_assignment(const struct mo_client *c, const char *topic, int32_t partition)
{
	struct assignment_key key;

	return map_get(&c->assignments, key_of(&key, topic, partition));
}

struct assignment *api_assignment_make(struct mo_client *c, const char *topic, int32_t partition)
{
	struct assignment *a = api_assignment(c, topic, partition);
	struct assignment_key key;

	if (a)
		return a;
	a = mem_new(struct assignment);
	a->topic = mem_strdup(topic);
	a->partition = partition;
	a->restart = a->committed = -1;
	atomic_store_explicit(&a->given, -1, memory_order_relaxed);
	atomic_store_explicit(&a->processed, -1, memory_order_relaxed);
	atomic_store_explicit(&a->epoch, -1, memory_order_relaxed);
	map_put(&c->assignments, key_of(&key, topic, partition), a);
	return a;
}

void api_assignment_stop(struct mo_client *c, struct assignment *a)
{
	a->generation = 0;
	atomic_fetch_add_explicit(&c->assignment_version, 1, memory_order_relaxed);
}

void api_assignment_begin(struct mo_client *c, struct assignment *a)
{
	a->generation = c->next_generation++;
	a->waits = false;
	a->restart = a->start.kind == START_OFFSET ? a->start.value : -1;
	/* A record in hand is of before: who has it notes that when he is back. */
	if (c->held != a) {
		atomic_store_explicit(&a->given, a->restart, memory_order_relaxed);
		atomic_store_explicit(&a->processed, a->restart, memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&c->assignment_version, 1, memory_order_relaxed);
}

/* --- orders to the shard ----------------------------------------------------------------------------------------- */

struct assign_order {
	struct message message;
	struct mo_client *client;
	const char *topic; /* the assignment's */
	int32_t partition;
	struct start from;
	uint64_t generation; /* 0: unassign */
};

static void on_assign(struct shard *at, struct message *m)
{
	struct assign_order *o = container_of(m, struct assign_order, message);
	struct mo_client *c = o->client;

	(void)at;
	if (c->core && !c->closing) {
		if (o->generation)
			consumer_assign(c->core->consumer, o->topic, o->partition, o->from, o->generation);
		else
			consumer_unassign(c->core->consumer, o->topic, o->partition);
	}
	mem_free(o);
}

/* With the lock held, so that orders arrive as they were decided. */
static void post_order(struct mo_client *c, const struct assignment *a)
{
	struct assign_order *o = mem_new(struct assign_order);

	o->message.run = on_assign;
	o->client = c;
	o->topic = a->topic;
	o->partition = a->partition;
	o->from = a->start;
	o->generation = a->generation;
	api_drop_stale(c);
	c->door->ops->post(c->door, &o->message);
}

bool api_start(struct mo_start at, struct start *ret_start)
{
	static const enum start_kind kinds[] = {
		[MO_START_OFFSET] = START_OFFSET, [MO_START_BEGINNING] = START_BEGINNING,
		[MO_START_END] = START_END,       [MO_START_TIME] = START_TIME,
		[MO_START_TAIL] = START_TAIL,     [MO_START_COMMITTED] = START_COMMITTED,
	};

	if ((size_t)at.kind >= countof(kinds) || at.value < 0)
		return false;
	*ret_start = (struct start){.kind = kinds[at.kind], .value = at.value};
	return true;
}

static int check_start(struct mo_client *c, struct mo_start from, struct start *ret_start, struct mo_err *ret_err)
{
	if (!api_start(from, ret_start))
		return api_error(ret_err, ERR_USAGE, "offsets, times and distances are not negative");
	if (ret_start->kind == START_COMMITTED && !c->config.group_id[0])
		return api_error(ret_err, ERR_USAGE, "only a group has committed offsets: set group.id");
	return OK;
}

static bool is_partition(const char *topic, int32_t partition)
{
	return topic && *topic && strlen(topic) <= NAME_MAX_SIZE && partition >= 0;
}

/* --- by hand ----------------------------------------------------------------------------------------------------- */

static int no_partition(struct mo_err *ret_err)
{
	return api_error(ret_err, ERR_USAGE, "a topic's name and a partition from 0 on are wanted");
}

int mo_assign(struct mo_client *c, const char *topic, int32_t partition, struct mo_start from, struct mo_err *ret_err)
{
	struct assignment *a;
	struct start start;
	int code = check_start(c, from, &start, ret_err);

	if (code)
		return code;
	if (!is_partition(topic, partition))
		return no_partition(ret_err);
	c->door->ops->lock(c->door);
	if (c->subscribed) {
		c->door->ops->unlock(c->door);
		return api_error(ret_err, ERR_USAGE, "the group assigns partitions: mo_unsubscribe first, or mo_seek");
	}
	a = api_assignment_make(c, topic, partition);
	a->owned = true;
	a->paused = false;
	a->start = start;
	api_assignment_begin(c, a);
	post_order(c, a);
	c->door->ops->unlock(c->door);
	return OK;
}

int mo_unassign(struct mo_client *c, const char *topic, int32_t partition, struct mo_err *ret_err)
{
	struct assignment *a;

	if (!is_partition(topic, partition))
		return no_partition(ret_err);
	c->door->ops->lock(c->door);
	if (c->subscribed) {
		c->door->ops->unlock(c->door);
		return api_error(ret_err, ERR_USAGE, "the group assigns partitions: mo_unsubscribe gives them up");
	}
	a = api_assignment(c, topic, partition);
	if (a && a->owned) {
		a->owned = false;
		api_assignment_stop(c, a);
		post_order(c, a);
	}
	c->door->ops->unlock(c->door);
	return OK;
}

void api_unassign_all(struct mo_client *c)
{
	const struct map_entry *entry;
	size_t place = 0;

	c->door->ops->lock(c->door);
	while (!c->subscribed && (entry = map_next(&c->assignments, &place))) {
		struct assignment *a = entry->value;

		if (!a->owned)
			continue;
		a->owned = false;
		api_assignment_stop(c, a);
		post_order(c, a);
	}
	c->door->ops->unlock(c->door);
}

/* --- what is assigned -------------------------------------------------------------------------------------------- */

/* With the lock held on success: the partition, which is assigned. */
static int find_owned(struct mo_client *c, const char *topic, int32_t partition, struct assignment **ret_assignment,
		      struct mo_err *ret_err)
{
	struct assignment *a;

	if (!is_partition(topic, partition))
		return no_partition(ret_err);
	c->door->ops->lock(c->door);
	a = api_assignment(c, topic, partition);
	if (!a || !a->owned) {
		c->door->ops->unlock(c->door);
		return api_error(ret_err, ERR_USAGE, "%s/%d is not assigned", topic, partition);
	}
	*ret_assignment = a;
	return OK;
}

int mo_seek(struct mo_client *c, const char *topic, int32_t partition, struct mo_start to, struct mo_err *ret_err)
{
	struct assignment *a = NULL;
	struct start start;
	int code = check_start(c, to, &start, ret_err);

	if (!code)
		code = find_owned(c, topic, partition, &a, ret_err);
	if (code)
		return code;
	a->start = start;
	if (a->generation) {
		api_assignment_begin(c, a);
		post_order(c, a);
	} else {
		/* It begins there: with the group's word, or mo_resume. */
		a->restart = start.kind == START_OFFSET ? start.value : -1;
		atomic_store_explicit(&a->given, a->restart, memory_order_relaxed);
		atomic_store_explicit(&a->processed, a->restart, memory_order_relaxed);
	}
	c->door->ops->unlock(c->door);
	return OK;
}

/* What was fetched is dropped, so that it does not take the memory that others need, and fetched again. */
int mo_pause(struct mo_client *c, const char *topic, int32_t partition, struct mo_err *ret_err)
{
	struct assignment *a = NULL;
	int code = find_owned(c, topic, partition, &a, ret_err);

	if (code)
		return code;
	a->paused = true;
	if (a->generation) {
		long long given = atomic_load_explicit(&a->given, memory_order_relaxed);

		if (given >= 0)
			a->start = (struct start){.kind = START_OFFSET, .value = given};
		api_assignment_stop(c, a);
		post_order(c, a);
	}
	c->door->ops->unlock(c->door);
	return OK;
}

int mo_resume(struct mo_client *c, const char *topic, int32_t partition, struct mo_err *ret_err)
{
	struct assignment *a = NULL;
	int code = find_owned(c, topic, partition, &a, ret_err);

	if (code)
		return code;
	if (a->paused) {
		a->paused = false;
		/* What waits for the group begins with its word. */
		if (!a->waits) {
			api_assignment_begin(c, a);
			post_order(c, a);
		}
	}
	c->door->ops->unlock(c->door);
	return OK;
}

int mo_position(struct mo_client *c, const char *topic, int32_t partition, int64_t *ret_offset, struct mo_err *ret_err)
{
	int64_t deadline_us = api_deadline_us(c, c->config.api_timeout_ms);
	struct assignment *a = NULL;
	int code = find_owned(c, topic, partition, &a, ret_err);
	long long given = -1;

	if (code)
		return code;
	while (a->owned && (given = atomic_load_explicit(&a->given, memory_order_relaxed)) < 0) {
		int64_t left = a->generation ? api_left_us(c, deadline_us) : 0;

		if (left == 0)
			break;
		c->door->ops->wait(c->door, left);
	}
	c->door->ops->unlock(c->door);
	if (given < 0)
		return api_error(ret_err, MO_TIMED_OUT, "the position of %s/%d is not known yet", topic, partition);
	*ret_offset = given;
	return OK;
}

static int compare_offsets(const void *a, const void *b)
{
	const struct mo_group_offset *x = a, *y = b;
	int order = strcmp(x->topic, y->topic);

	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

int mo_assignment(struct mo_client *c, struct mo_group_offsets *ret_offsets, struct mo_err *ret_err)
{
	struct mo_group_offsets all = {0};
	const struct map_entry *entry;
	size_t place = 0;

	(void)ret_err;
	c->door->ops->lock(c->door);
	all.offsets = mem_alloc((c->assignments.count + 1) * sizeof(*all.offsets));
	while ((entry = map_next(&c->assignments, &place))) {
		const struct assignment *a = entry->value;

		if (a->owned)
			all.offsets[all.count++] = (struct mo_group_offset){
				.topic = mem_strdup(a->topic),
				.partition = a->partition,
				.offset = atomic_load_explicit(&a->given, memory_order_acquire),
				.leader_epoch = atomic_load_explicit(&a->epoch, memory_order_relaxed),
			};
	}
	c->door->ops->unlock(c->door);
	all.group = c->config.group_id[0] ? mem_strdup(c->config.group_id) : NULL;
	qsort(all.offsets, all.count, sizeof(*all.offsets), compare_offsets);
	*ret_offsets = all;
	return OK;
}
