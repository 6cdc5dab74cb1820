/* api_produce: mo_produce, mo_flush, mo_poll. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/api.h"

/* Of a parcel, worked off before the shard looks after its other work. */
#define TAKE_BYTES ((size_t)128 * 1024)
/* A parcel's memory above this goes back. */
#define PARCEL_KEEP ((size_t)4 * 1024 * 1024)
#define NAME_MAX_SIZE 249

/* --- on the caller's thread -------------------------------------------------------------------------------------- */

/* With the lock held. */
static bool topic_number(struct mo_client *c, const char *name, uint32_t *ret_number)
{
	struct api_topic *t;
	uintptr_t known;
	size_t size;

	if (c->topic_count > 0 && strcmp(c->topics[c->last_topic]->name, name) == 0) {
		*ret_number = c->last_topic;
		return true;
	}
	size = strlen(name);
	if (size == 0 || size > NAME_MAX_SIZE)
		return false;
	known = (uintptr_t)map_get(&c->topic_numbers, bytes_of(name, size));
	if (known == 0) {
		t = mem_new(struct api_topic);
		t->name = mem_strdup(name);
		c->topics = mem_grow(c->topics, &c->topic_capacity, c->topic_count + 1, sizeof(struct api_topic *));
		c->topics[c->topic_count++] = t;
		known = c->topic_count;
		map_put(&c->topic_numbers, bytes_of(name, size), (void *)known);
	}
	c->last_topic = *ret_number = (uint32_t)(known - 1);
	return true;
}

/* With the lock held. */
static void nudge(struct mo_client *c)
{
	if (c->nudge_pending)
		return;
	c->nudge_pending = true;
	c->door->ops->post(c->door, &c->nudge);
}

/* With the lock held. False: the time is over. */
static bool wait_for_room(struct mo_client *c, size_t size)
{
	int64_t deadline_us = INT64_MIN;
	bool room;

	while (!(room = c->buffered == 0 || c->buffered + size <= (size_t)c->config.buffer_memory)) {
		int64_t left;

		if (c->config.max_block_ms == 0)
			return false;
		if (deadline_us == INT64_MIN)
			deadline_us = api_deadline_us(c, c->config.max_block_ms);
		left = api_left_us(c, deadline_us);
		if (left == 0)
			return false;
		c->starving++;
		nudge(c);
		c->door->ops->wait(c->door, left);
		c->starving--;
		if (c->starving == 0)
			nudge(c);
	}
	return room;
}

static struct bytes from_public(struct mo_bytes b)
{
	return bytes_of(b.data, b.data ? b.size : 0);
}

/* With the lock held: why a transactional producer takes no record now; OK: it does. */
static int produce_refusal(const struct mo_client *c)
{
	if (!c->config.transactional_id[0] || transact_allows(c->txn_state, TRANSACT_PRODUCE))
		return OK;
	return c->txn_error.code ? c->txn_error.code : ERR_INVALID_TXN_STATE;
}

static bool may_produce(const struct mo_client *c, struct mo_err *ret_err)
{
	int code = produce_refusal(c);

	if (code)
		api_error(ret_err, code, "%s%s%.300s", transact_state_text(c->txn_state), c->txn_error.code ? ": " : "",
			  c->txn_error.code ? c->txn_error.text : "");
	return code == OK;
}

#define FEW_HEADERS 16

/* With the lock held. */
static int put_record(struct mo_client *c, const struct mo_record *r, struct mo_err *ret_err)
{
	struct record_header few[FEW_HEADERS];
	struct record_header *headers = few;
	struct parcel_record p = {.partition = r->partition};
	size_t size;

	if (!r->topic || !topic_number(c, r->topic, &p.topic))
		return api_error(ret_err, ERR_USAGE, "a topic's name has 1 to %d characters", NAME_MAX_SIZE);
	if (r->partition < MO_ANY_PARTITION)
		return api_error(ret_err, ERR_USAGE, "there is no partition %d", r->partition);
	if (!may_produce(c, ret_err))
		return produce_refusal(c);
	if (r->header_count > FEW_HEADERS)
		headers = mem_alloc(r->header_count * sizeof(*headers));
	for (size_t i = 0; i < r->header_count; i++)
		headers[i] = (struct record_header){.key = from_public(r->headers[i].key),
						    .value = from_public(r->headers[i].value)};
	p.record = (struct produce_record){
		.timestamp = r->timestamp_ms,
		.key = from_public(r->key),
		.value = from_public(r->value),
		.headers = headers,
		.header_count = r->header_count,
		.opaque = r->opaque,
	};
	size = parcel_size(&p.record);
	if (size > (size_t)INT32_MAX || size > (size_t)(c->config.buffer_memory + c->config.max_request_size)) {
		if (headers != few)
			mem_free(headers);
		return api_error(
			ret_err, ERR_MESSAGE_TOO_LARGE,
			"a record of %zu bytes is larger than buffer.memory=%lld and max.request.size=%lld together",
			size, (long long)c->config.buffer_memory, (long long)c->config.max_request_size);
	}
	if (!wait_for_room(c, size)) {
		if (headers != few)
			mem_free(headers);
		return api_error(ret_err, MO_BUSY,
				 "the buffer of %lld bytes is full (buffer.memory); records leave it as brokers "
				 "acknowledge them",
				 (long long)c->config.buffer_memory);
	}
	/* It may have ended while this waited for room. */
	if (!may_produce(c, ret_err)) {
		if (headers != few)
			mem_free(headers);
		return produce_refusal(c);
	}
	parcel_put(&c->filling, &p);
	c->buffered += size;
	c->unsettled++;
	c->counts.produced++;
	if (!c->take_pending) {
		c->take_pending = true;
		c->door->ops->post(c->door, &c->take);
	}
	if (headers != few)
		mem_free(headers);
	return OK;
}

int mo_produce_many(struct mo_client *c, const struct mo_record *records, size_t count, size_t *ret_count,
		    struct mo_err *ret_err)
{
	int code = OK;
	size_t i;

	c->door->ops->lock(c->door);
	for (i = 0; i < count && !code; i++)
		code = put_record(c, &records[i], ret_err);
	c->door->ops->unlock(c->door);
	if (ret_count)
		*ret_count = code ? i - 1 : i;
	return code;
}

int mo_produce(struct mo_client *c, const struct mo_record *r, struct mo_err *ret_err)
{
	return mo_produce_many(c, r, 1, NULL, ret_err);
}

void mo_set_delivery(struct mo_client *c, void (*delivered)(void *context, const struct mo_delivery *d), void *context)
{
	c->door->ops->lock(c->door);
	c->delivered = delivered;
	c->delivered_context = context;
	c->door->ops->unlock(c->door);
}

static void delivery_free(struct delivery_batch *b)
{
	mem_free(b->text);
	mem_free(b->opaques);
	mem_free(b->times);
	mem_free(b);
}

/* Without the lock. */
static int run_deliveries(struct mo_client *c, struct delivery_batch *b)
{
	for (int32_t i = 0; i < b->count; i++) {
		struct mo_delivery d = {
			.topic = b->topic,
			.partition = b->partition,
			.offset = b->base_offset < 0 ? -1 : b->base_offset + i,
			.timestamp_ms = b->log_append_time_ms >= 0 ? b->log_append_time_ms : b->times[i],
			.code = b->error,
			.text = b->text,
			.opaque = b->opaques[i],
		};

		c->delivered(c->delivered_context, &d);
	}
	return b->count;
}

int api_run_deliveries(struct mo_client *c)
{
	struct list_node *n;
	int count = 0;

	while ((n = list_pop_front(&c->deliveries))) {
		struct delivery_batch *b = container_of(n, struct delivery_batch, node);

		c->door->ops->unlock(c->door);
		count += run_deliveries(c, b);
		delivery_free(b);
		c->door->ops->lock(c->door);
	}
	return count;
}

int mo_poll(struct mo_client *c, int timeout_ms)
{
	int64_t deadline_us = api_deadline_us(c, timeout_ms);
	int count;

	atomic_fetch_add_explicit(&c->poll_calls, 1, memory_order_relaxed);
	c->door->ops->lock(c->door);
	api_is_back(c);
	while ((count = api_run_deliveries(c) + api_run_commits(c) + api_run_rebalance(c)) == 0) {
		int64_t left = api_left_us(c, deadline_us);

		if (left == 0)
			break;
		c->waiting++;
		c->door->ops->wait(c->door, left);
		c->waiting--;
	}
	c->door->ops->unlock(c->door);
	return count;
}

int mo_flush(struct mo_client *c, int timeout_ms, struct mo_err *ret_err)
{
	int64_t deadline_us = api_deadline_us(c, timeout_ms);
	uint64_t left_over;

	c->door->ops->lock(c->door);
	c->flushers++;
	nudge(c);
	for (;;) {
		int64_t left = api_left_us(c, deadline_us);

		if (api_run_deliveries(c) > 0)
			continue;
		if (c->unsettled == 0 || left == 0)
			break;
		c->door->ops->wait(c->door, left);
	}
	left_over = c->unsettled;
	c->flushers--;
	nudge(c);
	c->door->ops->unlock(c->door);
	if (left_over == 0)
		return OK;
	return api_error(ret_err, MO_TIMED_OUT, "%llu records are not acknowledged yet", (unsigned long long)left_over);
}

void mo_client_counts(struct mo_client *c, struct mo_counts *ret_counts)
{
	c->door->ops->lock(c->door);
	*ret_counts = c->counts;
	ret_counts->consumed = atomic_load_explicit(&c->consumed, memory_order_relaxed);
	c->door->ops->unlock(c->door);
}

/* --- on the shard ------------------------------------------------------------------------------------------------ */

/* True: there is something to work off. */
static bool refill(struct mo_client *c)
{
	struct buf empty = c->taken;
	bool any;

	buf_reset(&empty);
	if (empty.capacity > PARCEL_KEEP) {
		buf_fini(&empty);
		buf_init(&empty, SIZE_MAX / 2);
	}
	c->door->ops->lock(c->door);
	any = c->filling.size > 0;
	c->take_pending = any;
	if (any) {
		c->taken = c->filling;
		c->filling = empty;
	} else {
		c->taken = empty;
	}
	c->door->ops->unlock(c->door);
	c->reader.rest = any ? buf_bytes(&c->taken) : bytes_empty();
	return any;
}

/* The array of topics may be moved by a caller at any time; what it points to does not move. */
static struct produce_topic *topic_of(struct mo_client *c, uint32_t number)
{
	struct api_topic *t;

	c->door->ops->lock(c->door);
	t = c->topics[number];
	c->door->ops->unlock(c->door);
	if (!t->topic)
		t->topic = producer_topic(c->core->producer, t->name);
	return t->topic;
}

void api_on_take(struct shard *at, struct message *m)
{
	struct mo_client *c = container_of(m, struct mo_client, take);
	struct produce_topic *topic = NULL;
	uint32_t number = UINT32_MAX;
	int64_t now_ms = shard_wall_ms(at);
	struct parcel_record r;
	size_t worked = 0;

	if (!c->core)
		return;
	if (c->reader.rest.size == 0 && !refill(c))
		return;
	while (worked < TAKE_BYTES && parcel_next(&c->reader, &r)) {
		worked += r.record.charged;
		if (r.topic != number)
			topic = topic_of(c, r.topic);
		number = r.topic;
		if (r.record.timestamp < 0)
			r.record.timestamp = now_ms;
		producer_add(c->core->producer, topic, r.partition, &r.record);
	}
	shard_send(at, at, m);
}

void api_on_nudge(struct shard *at, struct message *m)
{
	struct mo_client *c = container_of(m, struct mo_client, nudge);
	bool hurry;

	(void)at;
	c->door->ops->lock(c->door);
	c->nudge_pending = false;
	hurry = c->flushers > 0 || c->starving > 0;
	c->door->ops->unlock(c->door);
	if (!c->core || hurry == c->hurried)
		return;
	c->hurried = hurry;
	producer_hurry(c->core->producer, hurry);
}

static struct delivery_batch *delivery_new(const struct produce_outcome *o)
{
	struct delivery_batch *b = mem_new(struct delivery_batch);

	b->topic = o->topic;
	b->partition = o->partition;
	b->base_offset = o->base_offset;
	b->log_append_time_ms = o->log_append_time_ms;
	b->error = o->error;
	b->text = o->error ? mem_strdup(o->text) : NULL;
	b->count = o->count;
	b->opaques = mem_dup(o->opaques, (size_t)o->count * sizeof(*o->opaques));
	b->times = mem_dup(o->times, (size_t)o->count * sizeof(*o->times));
	return b;
}

void api_produce_outcome(void *user, const struct produce_outcome *o)
{
	struct mo_client *c = user;

	c->door->ops->lock(c->door);
	must(c->buffered >= o->charged && c->unsettled >= (uint64_t)o->count);
	c->buffered -= o->charged;
	c->unsettled -= (uint64_t)o->count;
	if (o->error) {
		if (c->counts.failed == 0)
			api_error(&c->counts.first_error, o->error, "%s", o->text);
		c->counts.failed += (uint64_t)o->count;
	} else {
		c->counts.acknowledged += (uint64_t)o->count;
	}
	if (c->delivered)
		list_push_back(&c->deliveries, &delivery_new(o)->node);
	if (c->delivered || c->starving > 0 || c->unsettled == 0)
		c->door->ops->wake(c->door);
	c->door->ops->unlock(c->door);
}

void api_produce_fini(struct mo_client *c)
{
	struct list_node *n;

	while ((n = list_pop_front(&c->deliveries)))
		delivery_free(container_of(n, struct delivery_batch, node));
	for (size_t i = 0; i < c->topic_count; i++) {
		mem_free(c->topics[i]->name);
		mem_free(c->topics[i]);
	}
	mem_free(c->topics);
	map_fini(&c->topic_numbers);
	parcel_reader_fini(&c->reader);
	buf_fini(&c->filling);
	buf_fini(&c->taken);
}
