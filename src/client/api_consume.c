/* api_consume: mo_assign, mo_consume and what lies between them and the consumer on its shard. */
#include <stdio.h>

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

/* With the lock held. */
static bool is_current(struct mo_client *c, const struct fetched *f)
{
	struct assignment_key key;
	const struct assignment *a = map_get(&c->assignments, key_of(&key, f->topic, f->partition_index));

	return a && a->generation == f->generation;
}

/* --- on the shard ------------------------------------------------------------------------------------------------ */

void api_return(struct mo_client *c, struct fetched *f)
{
	consumer_return(c->core->consumer, f);
}

static void on_return(struct shard *at, struct message *m)
{
	struct fetched *f = container_of(m, struct fetched, message);

	(void)at;
	api_return(f->user, f);
}

void api_hand_over(void *user, struct fetched *f)
{
	struct mo_client *c = user;
	bool current;

	f->user = c;
	f->message.run = on_return;
	c->door->ops->lock(c->door);
	current = is_current(c, f);
	if (current) {
		list_push_back(&c->ready, &f->node);
		c->door->ops->wake(c->door);
	}
	c->door->ops->unlock(c->door);
	/* Not inside the consumer's own call. */
	if (!current)
		c->door->ops->post(c->door, &f->message);
}

struct assign_order {
	struct message message;
	struct mo_client *client;
	char *topic;
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
	mem_free(o->topic);
	mem_free(o);
}

/* --- on the caller's thread -------------------------------------------------------------------------------------- */

/* With the lock held: what was fetched for an assignment that is no more goes back. */
static void drop_stale(struct mo_client *c)
{
	list_for_each(&c->ready, n)
	{
		struct fetched *f = container_of(n, struct fetched, node);

		if (is_current(c, f))
			continue;
		list_remove(n);
		c->door->ops->post(c->door, &f->message);
	}
}

static int order(struct mo_client *c, const char *topic, int32_t partition, const struct start *from,
		 struct mo_err *ret_err)
{
	struct assignment_key key;
	struct assign_order *o;
	struct assignment *a;

	if (!topic || !*topic || strlen(topic) > NAME_MAX_SIZE || partition < 0)
		return api_error(ret_err, ERR_USAGE, "a topic's name and a partition from 0 on are wanted");
	o = mem_new(struct assign_order);
	o->message.run = on_assign;
	o->client = c;
	o->topic = mem_strdup(topic);
	o->partition = partition;
	c->door->ops->lock(c->door);
	a = map_get(&c->assignments, key_of(&key, topic, partition));
	if (!a) {
		a = mem_new(struct assignment);
		map_put(&c->assignments, key_of(&key, topic, partition), a);
	}
	a->generation = from ? c->next_generation++ : 0;
	o->generation = a->generation;
	if (from)
		o->from = *from;
	atomic_fetch_add_explicit(&c->assignment_version, 1, memory_order_relaxed);
	drop_stale(c);
	c->door->ops->post(c->door, &o->message);
	c->door->ops->unlock(c->door);
	return OK;
}

bool api_start(struct mo_start at, struct start *ret_start)
{
	static const enum start_kind kinds[] = {
		[MO_START_OFFSET] = START_OFFSET, [MO_START_BEGINNING] = START_BEGINNING, [MO_START_END] = START_END,
		[MO_START_TIME] = START_TIME,     [MO_START_TAIL] = START_TAIL,
	};

	if ((size_t)at.kind >= countof(kinds) || at.value < 0)
		return false;
	*ret_start = (struct start){.kind = kinds[at.kind], .value = at.value};
	return true;
}

int mo_assign(struct mo_client *c, const char *topic, int32_t partition, struct mo_start from, struct mo_err *ret_err)
{
	struct start start;

	if (!api_start(from, &start))
		return api_error(ret_err, ERR_USAGE, "offsets, times and distances are not negative");
	return order(c, topic, partition, &start, ret_err);
}

int mo_unassign(struct mo_client *c, const char *topic, int32_t partition, struct mo_err *ret_err)
{
	return order(c, topic, partition, NULL, ret_err);
}

static void give_back(struct mo_client *c)
{
	struct fetched *f = c->reading;

	c->reading = NULL;
	if (f)
		c->door->ops->post(c->door, &f->message);
}

static void fill_message(struct mo_client *c, const struct batch_header *h)
{
	const struct record *r = &c->record;

	c->message = (struct mo_message){
		.topic = c->reading->topic,
		.partition = c->reading->partition_index,
		.offset = r->offset,
		.leader_epoch = h->leader_epoch,
		.timestamp_ms = r->timestamp,
		.log_append_time = batch_is_log_append_time(h),
		.key = {r->key.data, r->key.size},
		.value = {r->value.data, r->value.size},
		.header_count = (size_t)r->header_count,
		.insides = r,
	};
	/* One thread counts, others may look. */
	atomic_store_explicit(&c->consumed, atomic_load_explicit(&c->consumed, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* What is left of c->reading: true when there is something to return. */
static bool read_on(struct mo_client *c, int *ret_code, struct mo_err *ret_err)
{
	struct fetched *f = c->reading;
	const struct batch_header *h = NULL;
	enum err e = fetched_next(f, &c->record, &h);

	if (!e) {
		fill_message(c, h);
		*ret_code = OK;
		return true;
	}
	if (f->error) {
		*ret_code = api_error(ret_err, f->error, "%s", f->text);
		f->error = OK;
		give_back(c);
		return true;
	}
	if (f->end && !c->told_end) {
		c->told_end = true;
		c->message = (struct mo_message){.topic = f->topic,
						 .partition = f->partition_index,
						 .offset = f->next_offset,
						 .leader_epoch = -1,
						 .timestamp_ms = -1,
						 .end = true};
		*ret_code = OK;
		return true;
	}
	return false;
}

static void check_assignment(struct mo_client *c)
{
	unsigned version = atomic_load_explicit(&c->assignment_version, memory_order_relaxed);
	bool current;

	if (version == c->seen_version)
		return;
	c->seen_version = version;
	c->door->ops->lock(c->door);
	current = is_current(c, c->reading);
	c->door->ops->unlock(c->door);
	if (!current)
		give_back(c);
}

/* The next that is ready; NULL when none came in time. */
static struct fetched *next_ready(struct mo_client *c, int timeout_ms)
{
	int64_t deadline_us = INT64_MIN;
	struct list_node *n;

	c->door->ops->lock(c->door);
	while (!(n = list_pop_front(&c->ready)) && timeout_ms != 0) {
		int64_t left;

		if (deadline_us == INT64_MIN)
			deadline_us = api_deadline_us(c, timeout_ms);
		left = api_left_us(c, deadline_us);
		if (left == 0)
			break;
		c->door->ops->wait(c->door, left);
	}
	c->door->ops->unlock(c->door);
	return n ? container_of(n, struct fetched, node) : NULL;
}

int mo_consume(struct mo_client *c, int timeout_ms, const struct mo_message **ret_message, struct mo_err *ret_err)
{
	for (;;) {
		int code = OK;

		if (c->reading)
			check_assignment(c);
		if (c->reading && read_on(c, &code, ret_err)) {
			if (!code)
				*ret_message = &c->message;
			return code;
		}
		give_back(c);
		c->told_end = false;
		c->reading = next_ready(c, timeout_ms);
		if (!c->reading)
			return api_error(ret_err, MO_TIMED_OUT, "no message came in %d ms", timeout_ms);
	}
}

bool mo_message_header(const struct mo_message *m, size_t index, struct mo_header *ret_header)
{
	struct record_header h;
	struct header_iter it;

	if (!m->insides || index >= m->header_count)
		return false;
	it = header_iter_of(m->insides);
	for (size_t i = 0; header_iter_next(&it, &h); i++) {
		if (i != index)
			continue;
		*ret_header = (struct mo_header){.key = {h.key.data, h.key.size},
						 .value = {h.value.data, h.value.size}};
		return true;
	}
	return false;
}

void api_consume_fini(struct mo_client *c)
{
	const struct map_entry *entry;
	size_t place = 0;

	must(!c->reading && list_empty(&c->ready));
	while ((entry = map_next(&c->assignments, &place)))
		mem_free(entry->value);
	map_fini(&c->assignments);
}
