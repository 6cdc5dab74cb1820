/* api_consume: mo_consume, and what comes to it from the consumer on its shard. api_assign.c has what is assigned. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/api.h"
#include "client/api_own.h"

/* With the lock held. */
static struct assignment *current(const struct mo_client *c, const struct fetched *f)
{
	struct assignment *a = api_assignment(c, f->topic, f->partition_index);

	return a && a->generation == f->generation ? a : NULL;
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
	bool wanted;

	f->user = c;
	f->message.run = on_return;
	c->door->ops->lock(c->door);
	wanted = current(c, f) != NULL;
	if (wanted) {
		list_push_back(&c->ready, &f->node);
		c->door->ops->wake(c->door);
	}
	c->door->ops->unlock(c->door);
	/* Not inside the consumer's own call. */
	if (!wanted)
		c->door->ops->post(c->door, &f->message);
}

void api_located(void *user, const char *topic, int32_t partition, uint64_t generation, int64_t offset)
{
	struct mo_client *c = user;
	struct assignment *a;

	c->door->ops->lock(c->door);
	a = api_assignment(c, topic, partition);
	if (a && a->generation == generation) {
		a->restart = offset;
		atomic_store_explicit(&a->given, offset, memory_order_relaxed);
		atomic_store_explicit(&a->processed, offset, memory_order_relaxed);
		c->door->ops->wake(c->door);
	}
	c->door->ops->unlock(c->door);
}

/* --- on the caller's thread -------------------------------------------------------------------------------------- */

void api_drop_stale(struct mo_client *c)
{
	list_for_each(&c->ready, n)
	{
		struct fetched *f = container_of(n, struct fetched, node);

		if (current(c, f))
			continue;
		list_remove(n);
		c->door->ops->post(c->door, &f->message);
	}
}

void api_let_go(struct mo_client *c)
{
	c->held = NULL;
	if (!c->release_wanted)
		return;
	c->release_wanted = false;
	c->door->ops->post(c->door, &c->released);
}

static void give_back(struct mo_client *c)
{
	struct fetched *f = c->reading;

	c->reading = NULL;
	c->reading_of = NULL;
	if (f)
		c->door->ops->post(c->door, &f->message);
}

static void set_processed(struct assignment *a)
{
	atomic_store_explicit(&a->processed, atomic_load_explicit(&a->given, memory_order_relaxed),
			      memory_order_relaxed);
}

/* With the lock held: what was being read is not the program's any more, or starts elsewhere. */
static void stop_reading(struct mo_client *c)
{
	struct assignment *a = c->reading_of;

	/* Taken away or paused: the last record was the last. Moved: it does not count any more. */
	if (a->generation != 0) {
		atomic_store_explicit(&a->given, a->restart, memory_order_relaxed);
		atomic_store_explicit(&a->processed, a->restart, memory_order_relaxed);
	} else {
		set_processed(a);
	}
	give_back(c);
	api_let_go(c);
}

/* The program is back: it is done with the record that it had. */
static void come_back(struct mo_client *c)
{
	unsigned version = atomic_load_explicit(&c->assignment_version, memory_order_relaxed);

	atomic_fetch_add_explicit(&c->consume_calls, 1, memory_order_relaxed);
	if (version != c->seen_version || atomic_load_explicit(&c->watched, memory_order_relaxed)) {
		c->seen_version = version;
		c->door->ops->lock(c->door);
		api_is_back(c);
		if (c->reading && !current(c, c->reading))
			stop_reading(c);
		c->door->ops->unlock(c->door);
	}
	if (c->reading)
		set_processed(c->reading_of);
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
	/* Who sees the position sees an epoch that is not older. */
	atomic_store_explicit(&c->reading_of->epoch, h->leader_epoch, memory_order_relaxed);
	atomic_store_explicit(&c->reading_of->given, r->offset + 1, memory_order_release);
	/* One thread counts, others may look. */
	atomic_store_explicit(&c->consumed, atomic_load_explicit(&c->consumed, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* All records of c->reading are done with: control records behind the last one, which nobody sees, are as well. */
static void pass_hidden(struct mo_client *c)
{
	struct fetched *f = c->reading;

	c->door->ops->lock(c->door);
	if (current(c, f) == c->reading_of &&
	    f->next_offset > atomic_load_explicit(&c->reading_of->given, memory_order_relaxed)) {
		atomic_store_explicit(&c->reading_of->given, f->next_offset, memory_order_relaxed);
		set_processed(c->reading_of);
	}
	c->door->ops->unlock(c->door);
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
		give_back(c);
		return true;
	}
	pass_hidden(c);
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

/* With the lock held: what comes before records. */
static int first_of_all(struct mo_client *c, struct mo_err *ret_err)
{
	struct list_node *n = list_pop_front(&c->failures);
	int code;

	if (n) {
		struct group_failure *f = container_of(n, struct group_failure, node);

		c->failure_count--;
		code = api_error(ret_err, f->error.code, "%s", f->error.text);
		mem_free(f);
		return code;
	}
	if (c->rebalance && !c->telling)
		return api_error(ret_err, MO_CALLBACK_DUE,
				 "the group rebalances: call mo_poll, which tells the listener");
	return OK;
}

/* The next that is ready becomes c->reading; or why there is none. */
static int next_ready(struct mo_client *c, int timeout_ms, struct mo_err *ret_err)
{
	int64_t deadline_us = INT64_MIN;
	struct list_node *n = NULL;
	int code;

	c->door->ops->lock(c->door);
	api_let_go(c);
	while (!(code = first_of_all(c, ret_err)) && !(n = list_pop_front(&c->ready)) && timeout_ms != 0) {
		int64_t left;

		if (deadline_us == INT64_MIN)
			deadline_us = api_deadline_us(c, timeout_ms);
		left = api_left_us(c, deadline_us);
		if (left == 0)
			break;
		c->waiting++;
		c->door->ops->wait(c->door, left);
		c->waiting--;
	}
	if (n) {
		c->reading = container_of(n, struct fetched, node);
		c->reading_of = c->held = current(c, c->reading);
	} else if (!code) {
		code = api_error(ret_err, MO_TIMED_OUT, "no message came in %d ms", timeout_ms);
	}
	c->door->ops->unlock(c->door);
	return code;
}

int mo_consume(struct mo_client *c, int timeout_ms, const struct mo_message **ret_message, struct mo_err *ret_err)
{
	come_back(c);
	for (;;) {
		int code = OK;

		if (c->reading && read_on(c, &code, ret_err)) {
			if (!code)
				*ret_message = &c->message;
			return code;
		}
		give_back(c);
		c->told_end = false;
		code = next_ready(c, timeout_ms, ret_err);
		if (code)
			return code;
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
	while ((entry = map_next(&c->assignments, &place))) {
		struct assignment *a = entry->value;

		mem_free(a->topic);
		mem_free(a);
	}
	map_fini(&c->assignments);
}
