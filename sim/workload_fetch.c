/*
 * workload_fetch: consumers that read every partition along, with and without fetch sessions, and the final reading of all of it. Code of a
 * client's node.
 */
#include "base/alloc.h"
#include "record/record.h"
#include "sim/wire_client.h"
#include "sim/world_txn.h"

#define ANSWER_US (20 * SECOND_US)
#define DECOMPRESSED_MAX (1 << 20)

struct place {
	int64_t next;  /* offset to fetch */
	int64_t floor; /* of the high watermark, when the request was sent */
	int64_t start; /* of the log, as known when the request was sent */
	bool told;     /* the session knows this offset */
	bool gone;     /* out of range: its log starts further on by now */
	int64_t bytes; /* of the final reading */
};

struct consumer {
	struct world *world;
	struct world_client *client;
	struct wire_client wire;
	struct place places[WORLD_TOPICS][WORLD_PARTITIONS];
	bool created[WORLD_TOPICS]; /* known to be, when the request was sent */
	struct buf scratch;
	bool sessions;
	int32_t session_id;
	int32_t session_epoch; /* -1: none, 0: to be opened */
	bool final;            /* the records go to the final reading */
};

static struct scheduler *sched(struct consumer *c)
{
	return world_scheduler(c->world);
}

/* --- what came ---------------------------------------------------------------------------------------------------------------- */

static bool take_record(struct consumer *c, unsigned topic, int32_t partition, const struct record *r)
{
	struct place *p = &c->places[topic][partition];
	uint64_t id = record_id(r->value);

	if (r->offset < p->next)
		return true; /* the batch began before what was asked for */
	if (r->offset > p->next) {
		world_verdict(c->world, topic, partition, r->offset,
			      "a gap between the offsets that a reader was given");
		return false;
	}
	if (!id) {
		world_verdict(c->world, topic, partition, r->offset, "bytes that are no record of anybody");
		return false;
	}
	p->next++;
	if (c->final)
		world_final_record(c->world, topic, partition, r->offset, id);
	else
		world_read(c->world, topic, partition, r->offset, id, r->timestamp);
	return true;
}

static bool take_batch(struct consumer *c, unsigned topic, int32_t partition, struct bytes batch)
{
	struct record_iter it;
	struct record r;
	enum err e;

	if (!batch_crc_ok(batch)) {
		world_verdict(c->world, topic, partition, -1, "a reader was given a batch with a wrong CRC");
		return false;
	}
	e = record_iter_init(&it, batch, &c->scratch, DECOMPRESSED_MAX, NULL);
	while (!e && !(e = record_iter_next(&it, &r)))
		if (!take_record(c, topic, partition, &r))
			return false;
	if (e != ERR_END)
		world_verdict(c->world, topic, partition, -1, "a reader was given a batch that does not parse");
	return e == ERR_END;
}

static void take_records(struct consumer *c, unsigned topic, const struct fetch_response_partition_data *d)
{
	struct place *p = &c->places[topic][d->partition_index];
	struct bytes rest = d->records, batch;
	struct batch_header h;
	int64_t before = p->next;

	while (batch_next(&rest, &h, &batch) == OK) {
		if (h.base_offset >= d->high_watermark) {
			world_verdict(c->world, topic, d->partition_index, h.base_offset,
				      "a reader was given a batch from beyond the high watermark");
			return;
		}
		if (!take_batch(c, topic, d->partition_index, batch))
			return;
		p->bytes += (int64_t)batch.size;
	}
	if (p->next != before)
		world_note(c->client, c->final ? "verified" : "fetched", "topic %lld/%lld up to %lld", topic,
			   d->partition_index, p->next);
}

static bool may_fail_with(struct consumer *c, unsigned topic, enum err e)
{
	switch (e) {
	case ERR_UNKNOWN_TOPIC_OR_PARTITION:
	case ERR_UNKNOWN_TOPIC_ID:
		return !c->created[topic];
	case ERR_KAFKA_STORAGE_ERROR:
		return c->world->disk_trouble || !world_is_well(c->world);
	case ERR_NOT_LEADER_OR_FOLLOWER:
	case ERR_LEADER_NOT_AVAILABLE:
	case ERR_OFFSET_NOT_AVAILABLE:
		return true;
	default:
		return false;
	}
}

static int topic_of(struct consumer *c, const struct fetch_response_fetchable_topic_response *t)
{
	for (unsigned i = 0; i < c->world->topic_count; i++) {
		const struct world_topic *w = &c->world->topics[i];

		if (t->topic.size ? bytes_equal_str(t->topic, w->name)
				  : uuid_equal(t->topic_id, w->id) && !uuid_is_zero(w->id))
			return (int)i;
	}
	return -1;
}

static void take_partition(struct consumer *c, unsigned topic, const struct fetch_response_partition_data *d)
{
	struct place *p;

	if (d->partition_index < 0 || d->partition_index >= c->world->topics[topic].partition_count) {
		world_fail(c->world, "a Fetch was answered for a partition that there is not");
		return;
	}
	p = &c->places[topic][d->partition_index];
	if (d->error_code) {
		world_note(c->client, "fetch", "topic %lld/%lld: error %lld", topic, d->partition_index, d->error_code);
		p->told = false;
		p->gone = d->error_code == ERR_OFFSET_OUT_OF_RANGE && c->world->trims;
		if (!p->gone && !may_fail_with(c, topic, (enum err)d->error_code))
			world_fail(c->world, "fetch of %s-%d at %lld: %s", c->world->topics[topic].name,
				   d->partition_index, (long long)p->next, err_name((enum err)d->error_code));
		return;
	}
	world_high_watermark(c->world, topic, d->partition_index, d->high_watermark, p->floor);
	world_start(c->world, topic, d->partition_index, d->log_start_offset, p->start);
	take_records(c, topic, d);
}

static void take_response(struct consumer *c, const struct fetch_response *r)
{
	if (r->error_code) {
		world_note(c->client, "fetch", "error %lld", r->error_code, 0, 0);
		if (r->error_code != ERR_FETCH_SESSION_ID_NOT_FOUND && r->error_code != ERR_INVALID_FETCH_SESSION_EPOCH)
			world_fail(c->world, "fetch: %s", err_name((enum err)r->error_code));
		c->session_id = 0;
		c->session_epoch = c->sessions ? 0 : -1;
		return;
	}
	for (int32_t i = 0; i < r->responses_count; i++) {
		int topic = topic_of(c, &r->responses[i]);

		if (topic < 0) {
			world_fail(c->world, "a Fetch was answered for a topic that nobody asked for");
			return;
		}
		for (int32_t j = 0; j < r->responses[i].partitions_count; j++)
			take_partition(c, (unsigned)topic, &r->responses[i].partitions[j]);
	}
	if (c->sessions && r->session_id) {
		c->session_id = r->session_id;
		c->session_epoch++;
	} else {
		c->session_id = 0;
		c->session_epoch = c->sessions ? 0 : -1;
	}
}

/* --- asking --------------------------------------------------------------------------------------------------------------------- */

struct question {
	struct fetch_request request;
	struct fetch_request_fetch_topic topics[WORLD_TOPICS];
	struct fetch_request_fetch_partition partitions[WORLD_TOPICS][WORLD_PARTITIONS];
};

/* The partitions of one topic that the session does not know yet at this offset; without a session all. */
static void ask_topic(struct consumer *c, struct question *q, unsigned topic, int32_t only, bool by_id)
{
	const struct world_topic *w = &c->world->topics[topic];
	struct fetch_request_fetch_topic *t = &q->topics[q->request.topics_count];

	c->created[topic] = w->created;
	struct_init(&fetch_request_fetch_topic_struct, t);
	t->topic = by_id ? bytes_empty() : bytes_str(w->name);
	t->topic_id = by_id ? w->id : (struct uuid){0};
	t->partitions = q->partitions[topic];
	for (int32_t i = 0; i < w->partition_count; i++) {
		struct place *p = &c->places[topic][i];
		struct fetch_request_fetch_partition *f = &t->partitions[t->partitions_count];

		if (only >= 0 && only != i)
			continue;
		p->floor = w->partitions[i].high_watermark;
		p->start = w->partitions[i].start;
		if (p->told && c->session_epoch > 0)
			continue;
		struct_init(&fetch_request_fetch_partition_struct, f);
		f->partition = i;
		f->fetch_offset = p->next;
		f->partition_max_bytes = c->final ? 1 << 20 : (int32_t)choose_skewed(sched(c), 0, 100000);
		p->told = false;
		t->partitions_count++;
	}
	if (t->partitions_count)
		q->request.topics_count++;
}

static void make_question(struct consumer *c, struct question *q, int only_topic, int32_t only, int16_t version)
{
	memset(q, 0, sizeof(*q));
	message_init(api_find(API_FETCH)->request, &q->request);
	q->request.max_wait_ms = c->final ? 100 : (int32_t)choose(sched(c), 0, 700);
	q->request.min_bytes = (int32_t)choose_skewed(sched(c), 0, 2000);
	q->request.max_bytes = c->final ? 1 << 20 : (int32_t)choose_skewed(sched(c), 1, 500000);
	q->request.session_id = c->session_id;
	q->request.session_epoch = c->session_epoch;
	q->request.topics = q->topics;
	for (unsigned i = 0; i < c->world->topic_count; i++)
		if (only_topic < 0 || (int)i == only_topic)
			ask_topic(c, q, i, only, version >= 13);
}

/* What the answer moved on has to be told to the session next time. */
static void note_told(struct consumer *c, const struct question *q)
{
	for (unsigned i = 0; i < c->world->topic_count; i++)
		for (int32_t j = 0; j < c->world->topics[i].partition_count; j++)
			c->places[i][j].told = true;
	(void)q;
}

static bool all_ids_known(const struct world *w)
{
	for (unsigned i = 0; i < w->topic_count; i++)
		if (uuid_is_zero(w->topics[i].id))
			return false;
	return true;
}

/* One Fetch. False: the connection is of no more use. */
static bool fetch_await(struct fiber *self, struct consumer *c, int only_topic, int32_t only, int16_t version)
{
	int64_t before[WORLD_TOPICS][WORLD_PARTITIONS];
	struct question *q = mem_new(struct question);
	int64_t asked_at_us = c->world->sim->scheduler.now_us;
	struct fetch_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	for (unsigned i = 0; i < WORLD_TOPICS; i++)
		for (unsigned j = 0; j < WORLD_PARTITIONS; j++)
			before[i][j] = c->places[i][j].next;
	make_question(c, q, only_topic, only, version);
	arena_init(&arena, 4 << 20);
	e = wire_ask_await(self, &c->wire, API_FETCH, version, &q->request, ANSWER_US, &call, &arena, &response);
	if (e == ERR_TIMED_OUT && world_was_well(c->world, asked_at_us))
		world_fail(c->world, "a Fetch had no answer in %lld s of health", ANSWER_US / SECOND_US);
	if (!e) {
		note_told(c, q);
		take_response(c, &response);
		for (unsigned i = 0; i < WORLD_TOPICS; i++)
			for (unsigned j = 0; j < WORLD_PARTITIONS; j++)
				if (c->places[i][j].next != before[i][j])
					c->places[i][j].told = false;
	}
	arena_fini(&arena);
	wire_call_fini(&call);
	mem_free(q);
	return !e;
}

static struct consumer *consumer_new(struct world_client *client, bool final)
{
	struct consumer *c = mem_new(struct consumer);

	c->world = client->world;
	c->client = client;
	c->final = final;
	c->sessions = !final && chance(sched(c), 1, 2);
	buf_init(&c->scratch, DECOMPRESSED_MAX);
	return c;
}

static void consumer_free(struct consumer *c)
{
	buf_fini(&c->scratch);
	mem_free(c);
}

/* ListOffsets of one partition. */
static enum err ask_offset_await(struct fiber *self, struct consumer *c, unsigned topic, int32_t partition,
				 int64_t timestamp, int64_t *ret_offset)
{
	struct list_offsets_request_list_offsets_partition p;
	struct list_offsets_request_list_offsets_topic t;
	struct list_offsets_request request;
	struct list_offsets_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	struct_init(&list_offsets_request_list_offsets_partition_struct, &p);
	struct_init(&list_offsets_request_list_offsets_topic_struct, &t);
	message_init(api_find(API_LIST_OFFSETS)->request, &request);
	p.partition_index = partition;
	p.timestamp = timestamp;
	t.name = bytes_str(c->world->topics[topic].name);
	t.partitions = &p;
	t.partitions_count = 1;
	request.replica_id = -1;
	request.topics = &t;
	request.topics_count = 1;
	arena_init(&arena, 1 << 16);
	e = wire_ask_await(self, &c->wire, API_LIST_OFFSETS, 7, &request, ANSWER_US, &call, &arena, &response);
	if (!e && (response.topics_count != 1 || response.topics[0].partitions_count != 1))
		e = ERR_MALFORMED;
	if (!e)
		e = (enum err)response.topics[0].partitions[0].error_code;
	if (!e)
		*ret_offset = response.topics[0].partitions[0].offset;
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

/* Goes on where the log starts now. False: the connection is of no more use. */
static bool follow_start_await(struct fiber *self, struct consumer *c, unsigned topic, int32_t partition)
{
	struct place *p = &c->places[topic][partition];
	int64_t known = c->world->topics[topic].partitions[partition].start, start = -1;
	enum err e = ask_offset_await(self, c, topic, partition, -2, &start);

	if (c->wire.error || e == ERR_TIMED_OUT)
		return false;
	if (e)
		return may_fail_with(c, topic, e);
	sim_hit(c->world->sim, HIT_OUT_OF_RANGE);
	p->gone = false;
	if (c->final)
		world_final_start(c->world, topic, partition, start);
	else
		world_start(c->world, topic, partition, start, known);
	if (start <= p->next)
		world_fail(c->world, "%s-%d starts at %lld, and %lld was out of range", c->world->topics[topic].name,
			   partition, (long long)start, (long long)p->next);
	p->next = start;
	return true;
}

static bool follow_starts_await(struct fiber *self, struct consumer *c)
{
	for (unsigned i = 0; i < c->world->topic_count; i++)
		for (int32_t j = 0; j < c->world->topics[i].partition_count; j++)
			if (c->places[i][j].gone && !follow_start_await(self, c, i, j))
				return false;
	return true;
}

static void consume_await(struct fiber *self, struct consumer *c)
{
	/* One version for a connection: a session is by name or by id. */
	int16_t version = all_ids_known(c->world) && chance(sched(c), 1, 2) ? (int16_t)choose(sched(c), 13, 17)
									    : (int16_t)choose(sched(c), 7, 12);

	c->session_id = 0;
	c->session_epoch = c->sessions ? 0 : -1;
	for (unsigned i = 0; i < WORLD_TOPICS; i++)
		for (unsigned j = 0; j < WORLD_PARTITIONS; j++)
			c->places[i][j].told = false;
	while (c->world->phase == CLIENT_WORKS && !c->world->sim->failed && !fiber_cancelled(self)) {
		if (!fetch_await(self, c, -1, -1, version) || !follow_starts_await(self, c))
			return;
		if (chance(sched(c), 1, 150)) /* somebody reads it all again */
			memset(c->places, 0, sizeof(c->places));
		if (fiber_sleep_await(self, choose_skewed(sched(c), 100, 500000)))
			return;
	}
}

void consumer_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *client = argument;
	struct consumer *c = consumer_new(client, false);
	struct shard *shard = fiber_shard(self);

	while (c->world->phase == CLIENT_WORKS && !c->world->sim->failed && !fiber_cancelled(self)) {
		if (!wire_open_await(self, c->world->sim, &c->world->address, shard_now_us(shard) + 5 * SECOND_US,
				     &c->wire)) {
			consume_await(self, c);
			wire_close(&c->wire);
		}
		if (fiber_sleep_await(self, choose_skewed(sched(c), 1000, 300000)))
			break;
	}
	consumer_free(c);
	client_role_over(client, self);
}

/* --- the final reading ------------------------------------------------------------------------------------------------------------ */

static enum err verify_partition_await(struct fiber *self, struct consumer *c, unsigned topic, int32_t partition)
{
	struct place *p = &c->places[topic][partition];
	int64_t start = -1, end = -1, deadline = shard_now_us(c->wire.shard) + PATIENCE_US;
	enum err e = ask_offset_await(self, c, topic, partition, -2, &start);

	if (!e)
		e = ask_offset_await(self, c, topic, partition, -1, &end);
	if (e == ERR_UNKNOWN_TOPIC_OR_PARTITION && !c->world->topics[topic].created)
		return OK;
	if (e) {
		world_fail(c->world, "ListOffsets of %s-%d on a healthy broker: %s", c->world->topics[topic].name,
			   partition, err_name(e));
		return e;
	}
	world_final_start(c->world, topic, partition, start);
	p->next = start;
	p->bytes = 0;
	while (p->next < end && !c->world->sim->failed) {
		if (!fetch_await(self, c, (int)topic, partition, 12))
			return ERR_CLOSED;
		if (p->gone && !follow_start_await(self, c, topic, partition))
			return ERR_CLOSED;
		if (shard_now_us(c->wire.shard) > deadline) {
			world_fail(c->world, "%s-%d cannot be read to its end", c->world->topics[topic].name,
				   partition);
			return ERR_TIMED_OUT;
		}
	}
	world_final_end(c->world, topic, partition, end);
	if (c->world->retention_bytes >= 0 && start > 0 && p->bytes < c->world->retention_bytes)
		world_fail(c->world, "%s-%d has %lld bytes left, and retention.bytes is %lld",
			   c->world->topics[topic].name, partition, (long long)p->bytes,
			   (long long)c->world->retention_bytes);
	return OK;
}

void verifier_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *client = argument;
	struct consumer *c = consumer_new(client, true);
	struct shard *shard = fiber_shard(self);
	enum err e = wire_open_await(self, c->world->sim, &c->world->address, shard_now_us(shard) + 5 * SECOND_US,
				     &c->wire);

	if (e) {
		world_fail(c->world, "a healthy broker cannot be reached: %s", err_name(e));
	} else {
		c->session_epoch = -1;
		for (unsigned t = 0; t < c->world->topic_count && !e; t++)
			for (int32_t i = 0; i < c->world->topics[t].partition_count && !e; i++)
				e = verify_partition_await(self, c, t, i);
		if (e)
			world_fail(c->world, "the final reading failed: %s", err_name(e));
		wire_close(&c->wire);
	}
	if (!e)
		verify_offsets_await(self, client);
	if (!e && client->world->care)
		verify_care_await(self, client);
	if (!e && client->world->txn)
		verify_txns_await(self, client);
	client->done = true;
	consumer_free(c);
	client_role_over(client, self);
}
