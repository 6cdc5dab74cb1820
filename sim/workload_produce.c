/*
 * workload_produce: a producer as a client library has it: up to five requests in flight, retries in order, sequences.
 *
 *      batches (oldest first):  [sent] [sent] [sent] [queued] [queued]
 *      flights:                 request 1: batches a, b    request 2: batch c
 *
 * When an answer says that a batch failed, nothing new is sent until all flights have landed; then what is left is sent again in its order, with
 * the sequences that it had. Code of a client's node.
 */
#include "base/alloc.h"
#include "record/builder.h"
#include "sim/wire_client.h"
#include "sim/world.h"

#define FLIGHTS_MAX 5
#define FLIGHT_BATCHES 3
#define ANSWER_US (20 * SECOND_US)

struct out_batch {
	struct list_node node; /* in producer.batches */
	unsigned topic;
	int32_t partition;
	uint64_t first_id;
	int32_t count;
	int32_t base_sequence;
	unsigned sends;
	bool in_flight;
	bool topic_created;    /* known to be, when it was sent */
	uint64_t cache_losses; /* of the world, when it was sent */
	uint8_t *data;
	size_t size;
};

struct flight {
	struct list_node node;
	struct wire_call call;
	struct out_batch *batches[FLIGHT_BATCHES];
	unsigned count;
};

struct track {
	uint32_t number; /* in the ledger; 0: none yet */
	int32_t next_sequence;
	bool known;    /* a batch was acknowledged: the broker knows this producer */
	int64_t acked; /* the last base offset that this connection was told */
};

struct producer {
	struct world *world;
	struct world_client *client;
	struct wire_client wire;
	bool connected;
	bool idempotent;
	int16_t acks;
	enum codec codec;
	int64_t id; /* -1: to be asked for */
	int16_t epoch;
	struct track tracks[WORLD_TOPICS][WORLD_PARTITIONS];
	struct list batches;
	struct list flights;
	unsigned flight_count;
	unsigned flights_max;
	bool draining;
};

static struct scheduler *sched(struct producer *p)
{
	return world_scheduler(p->world);
}

/* --- batches ------------------------------------------------------------------------------------------------------------- */

static void batch_free(struct out_batch *b)
{
	list_remove(&b->node);
	mem_free(b->data);
	mem_free(b);
}

/* A producer id of its own begins anew; what is not acknowledged has an outcome that nobody knows. */
static void new_session(struct producer *p)
{
	while (!list_empty(&p->batches))
		batch_free(container_of(list_first(&p->batches), struct out_batch, node));
	memset(p->tracks, 0, sizeof(p->tracks));
	p->id = -1;
	p->draining = false;
}

static void fill_batch(struct producer *p, struct out_batch *b)
{
	struct batch_options options = batch_options_default(100000);
	struct batch_builder builder;
	struct bytes bytes;
	int64_t now_ms = shard_wall_ms(p->wire.shard);

	options.codec = p->codec;
	if (p->idempotent) {
		options.producer_id = p->id;
		options.producer_epoch = p->epoch;
		options.base_sequence = b->base_sequence;
	}
	batch_builder_init(&builder, &options);
	for (int32_t i = 0; i < b->count; i++) {
		char text[600];
		size_t size = record_text(b->first_id + (uint64_t)i, text, sizeof(text));

		must(batch_builder_append(&builder, now_ms, bytes_null(), bytes_of(text, size), NULL, 0) == OK);
	}
	must(batch_builder_finish(&builder, &bytes) == OK);
	b->data = mem_dup(bytes.data, bytes.size);
	b->size = bytes.size;
	batch_builder_fini(&builder);
}

static void make_batch(struct producer *p)
{
	struct out_batch *b = mem_new(struct out_batch);
	struct track *t;

	b->topic = (unsigned)choose(sched(p), 0, p->world->topic_count - 1);
	b->partition = (int32_t)choose(sched(p), 0, p->world->topics[b->topic].partition_count - 1);
	b->count = (int32_t)choose_skewed(sched(p), 1, 8);
	t = &p->tracks[b->topic][b->partition];
	if (!t->number)
		t->number = world_new_producer(p->world, b->topic, b->partition, p->idempotent);
	b->base_sequence = t->next_sequence;
	t->next_sequence += b->count;
	b->first_id = world_next_id(p->world, b->topic, b->partition, t->number);
	for (int32_t i = 1; i < b->count; i++)
		(void)world_next_id(p->world, b->topic, b->partition, t->number);
	fill_batch(p, b);
	list_push_back(&p->batches, &b->node);
}

/* --- sending ------------------------------------------------------------------------------------------------------------- */

/* One topic entry a batch, as no library does it but the protocol allows: partitions of one topic are not gathered. */
static void send_flight(struct producer *p, struct flight *f)
{
	struct produce_request_topic_produce_data topics[FLIGHT_BATCHES];
	struct produce_request_partition_produce_data parts[FLIGHT_BATCHES];
	struct produce_request request;
	bool ids_known = true;
	int16_t version;

	message_init(api_find(API_PRODUCE)->request, &request);
	request.transactional_id = bytes_null();
	request.acks = p->acks;
	request.timeout_ms = (int32_t)choose(sched(p), 500, 20000);
	request.topic_data = topics;
	request.topic_data_count = (int32_t)f->count;
	for (unsigned i = 0; i < f->count; i++) {
		const struct world_topic *t = &p->world->topics[f->batches[i]->topic];

		topics[i] = (struct produce_request_topic_produce_data){
			.name = bytes_str(t->name),
			.topic_id = t->id,
			.partition_data = &parts[i],
			.partition_data_count = 1,
		};
		parts[i] = (struct produce_request_partition_produce_data){
			.index = f->batches[i]->partition,
			.records = bytes_of(f->batches[i]->data, f->batches[i]->size),
		};
		ids_known = ids_known && !uuid_is_zero(t->id);
	}
	version = ids_known && chance(sched(p), 1, 2) ? 13 : (int16_t)choose(sched(p), 9, 12);
	for (unsigned i = 0; i < f->count; i++) {
		if (version >= 13)
			topics[i].name = bytes_empty();
		else
			topics[i].topic_id = (struct uuid){0};
	}
	wire_send(&p->wire, API_PRODUCE, version, &request, p->acks != 0, &f->call);
}

/*
 * A broker takes any first sequence of a producer that it does not know, as Kafka does. Whoever sends a second batch before the
 * first one is acknowledged may find that the second was taken without it.
 */
static bool waits_for_first(struct producer *p, const struct out_batch *b)
{
	if (!p->idempotent || p->tracks[b->topic][b->partition].known)
		return false;
	list_for_each(&p->batches, node)
	{
		const struct out_batch *o = container_of(node, struct out_batch, node);

		if (o->topic == b->topic && o->partition == b->partition)
			return o != b;
	}
	return false;
}

/* The next flight: the oldest batches that are not on their way, at most one a partition. */
static bool launch(struct producer *p)
{
	struct flight *f = NULL;
	unsigned want = (unsigned)choose_skewed(sched(p), 1, FLIGHT_BATCHES);

	list_for_each(&p->batches, node)
	{
		struct out_batch *b = container_of(node, struct out_batch, node);
		bool taken = false;

		if (b->in_flight || waits_for_first(p, b))
			continue;
		for (unsigned i = 0; f && i < f->count; i++)
			taken = taken || (f->batches[i]->topic == b->topic);
		if (taken || (f && f->count == want))
			break;
		if (!f)
			f = mem_new(struct flight);
		f->batches[f->count++] = b;
	}
	if (!f)
		return false;
	for (unsigned i = 0; i < f->count; i++) {
		f->batches[i]->in_flight = true;
		f->batches[i]->sends++;
		f->batches[i]->cache_losses = p->world->cache_losses;
		f->batches[i]->topic_created = p->world->topics[f->batches[i]->topic].created;
	}
	list_push_back(&p->flights, &f->node);
	p->flight_count++;
	send_flight(p, f);
	return true;
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

static void flight_free(struct producer *p, struct flight *f)
{
	for (unsigned i = 0; i < f->count; i++)
		if (f->batches[i])
			f->batches[i]->in_flight = false;
	list_remove(&f->node);
	p->flight_count--;
	wire_call_fini(&f->call);
	mem_free(f);
}

static bool is_oldest_of_partition(struct producer *p, const struct out_batch *b)
{
	list_for_each(&p->batches, node)
	{
		const struct out_batch *o = container_of(node, struct out_batch, node);

		if (o->topic == b->topic && o->partition == b->partition)
			return o == b;
	}
	return false;
}

/* May the broker refuse it for now? */
static bool may_fail_with(struct producer *p, const struct out_batch *b, enum err e)
{
	switch (e) {
	case ERR_REQUEST_TIMED_OUT:
	case ERR_NOT_LEADER_OR_FOLLOWER:
	case ERR_LEADER_NOT_AVAILABLE:
	case ERR_NOT_ENOUGH_REPLICAS:
	case ERR_COORDINATOR_LOAD_IN_PROGRESS:
		return true;
	case ERR_KAFKA_STORAGE_ERROR:
		return p->world->disk_trouble || !world_is_well(p->world);
	case ERR_UNKNOWN_TOPIC_OR_PARTITION:
	case ERR_UNKNOWN_TOPIC_ID:
		return !b->topic_created;
	default:
		return false;
	}
}

/* False: the producer gives up its id. */
static bool batch_failed(struct producer *p, struct out_batch *b, enum err e)
{
	world_note(p->client, "produce", "topic %lld/%lld: error %lld", b->topic, b->partition, e);
	p->draining = true;
	if (e == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER && p->idempotent) {
		if (!is_oldest_of_partition(p, b))
			return true; /* what is before it has to be sent again first */
		/* What a failed disk took with it may have been the batches before. */
		if (p->world->disk_trouble)
			return false;
	}
	if (!may_fail_with(p, b, e))
		world_fail(p->world, "produce to %s-%d, sequence %d: %s", p->world->topics[b->topic].name, b->partition,
			   b->base_sequence, err_name(e));
	return true;
}

static bool part_answered(struct producer *p, struct flight *f, unsigned i,
			  const struct produce_response_partition_produce_response *part)
{
	struct out_batch *b = f->batches[i];

	if (part->index != b->partition) {
		world_fail(p->world, "a Produce was answered for another partition");
		return true;
	}
	if (part->error_code && part->error_code != ERR_DUPLICATE_SEQUENCE_NUMBER)
		return batch_failed(p, b, (enum err)part->error_code);
	if (p->acks == -1 && part->base_offset >= 0)
		world_acked(p->world, b->topic, b->partition, part->base_offset, b->first_id, b->count);
	else if (part->base_offset >= 0)
		world_cached(p->world, b->topic, b->partition, part->base_offset, b->first_id, b->count,
			     b->cache_losses);
	if (b->sends == 1 && part->base_offset >= 0 && part->base_offset < p->tracks[b->topic][b->partition].acked)
		world_verdict(p->world, b->topic, b->partition, part->base_offset,
			      "a Produce was overtaken by a later one of its connection");
	if (b->sends == 1) /* what was sent again may have been in the log for long */
		p->tracks[b->topic][b->partition].acked = part->base_offset;
	world_note(p->client, "acked", "topic %lld/%lld at %lld", b->topic, b->partition, part->base_offset);
	p->tracks[b->topic][b->partition].known = true;
	f->batches[i] = NULL;
	batch_free(b);
	return true;
}

static bool flight_answered(struct producer *p, struct flight *f)
{
	struct produce_response response;
	struct arena arena;
	bool goes_on = true;
	enum err e;

	arena_init(&arena, 1 << 20);
	e = wire_answer(&f->call, &arena, &response);
	if (e || response.responses_count != (int32_t)f->count) {
		world_fail(p->world, "an answer to Produce does not parse, or has not the topics that were asked");
	} else {
		for (unsigned i = 0; i < f->count && goes_on; i++) {
			if (response.responses[i].partition_responses_count != 1)
				world_fail(p->world, "an answer to Produce has not the partitions that were asked");
			else
				goes_on = part_answered(p, f, i, &response.responses[i].partition_responses[0]);
		}
	}
	arena_fini(&arena);
	return goes_on;
}

/* Waits for the oldest flight. False: the connection is of no more use. */
static bool land_await(struct fiber *self, struct producer *p)
{
	struct flight *f = container_of(list_first(&p->flights), struct flight, node);
	enum err e = wire_wait_await(self, &p->wire, &f->call, f->call.sent_us + ANSWER_US);
	bool goes_on = true;

	if (e == ERR_TIMED_OUT && world_was_well(p->world, f->call.sent_at_us))
		world_fail(p->world, "a Produce had no answer in %lld s of health", ANSWER_US / SECOND_US);
	if (e || f->call.error)
		return false;
	if (p->acks == 0) {
		for (unsigned i = 0; i < f->count; i++)
			batch_free(f->batches[i]);
		f->count = 0;
	} else {
		goes_on = flight_answered(p, f);
	}
	flight_free(p, f);
	if (!goes_on) {
		while (!list_empty(&p->flights))
			flight_free(p, container_of(list_first(&p->flights), struct flight, node));
		p->world->abandoned++;
		new_session(p);
		return false;
	}
	if (p->draining && list_empty(&p->flights))
		p->draining = false;
	return true;
}

static enum err ask_id_await(struct fiber *self, struct producer *p)
{
	struct init_producer_id_request request;
	struct init_producer_id_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	message_init(api_find(API_INIT_PRODUCER_ID)->request, &request);
	request.transactional_id = bytes_null();
	arena_init(&arena, 1 << 16);
	e = wire_ask_await(self, &p->wire, API_INIT_PRODUCER_ID, 4, &request, ANSWER_US, &call, &arena, &response);
	if (!e)
		e = (enum err)response.error_code;
	if (!e) {
		p->id = response.producer_id;
		p->epoch = response.producer_epoch;
	}
	world_note(p->client, "producer id", "%lld (error %lld)", p->id, e, 0);
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static void disconnect(struct producer *p)
{
	while (!list_empty(&p->flights))
		flight_free(p, container_of(list_first(&p->flights), struct flight, node));
	p->draining = false;
	if (p->connected)
		wire_close(&p->wire);
	p->connected = false;
}

/* Over connections there is no order of Produces, unless their sequences make one. */
static void forget_acked(struct producer *p)
{
	for (unsigned i = 0; i < WORLD_TOPICS; i++)
		for (unsigned j = 0; j < WORLD_PARTITIONS; j++)
			p->tracks[i][j].acked = -1;
}

static bool finished(const struct producer *p)
{
	return p->world->phase != CLIENT_WORKS && list_empty(&p->batches);
}

static void work_await(struct fiber *self, struct producer *p)
{
	while (!finished(p) && !p->world->sim->failed && !fiber_cancelled(self)) {
		if (p->idempotent && p->id < 0 && ask_id_await(self, p))
			return;
		if (p->world->phase == CLIENT_WORKS && !p->draining && chance(sched(p), 3, 4))
			make_batch(p);
		while (!p->draining && p->flight_count < p->flights_max && chance(sched(p), 5, 6) && launch(p))
			;
		if (p->flight_count >= p->flights_max || p->draining || p->world->phase != CLIENT_WORKS ||
		    chance(sched(p), 1, 3)) {
			if (p->flight_count ? !land_await(self, p) : false)
				return;
		}
		if (!p->wire.error && fiber_sleep_await(self, choose_skewed(sched(p), 100, 500000)))
			return;
		if (p->wire.error)
			return;
	}
}

void producer_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *c = argument;
	struct producer *p = mem_new(struct producer);
	struct shard *shard = fiber_shard(self);

	p->world = c->world;
	p->client = c;
	p->idempotent = chance(sched(p), 4, 5);
	p->acks = p->idempotent || chance(sched(p), 1, 2) ? -1 : (int16_t)choose(sched(p), 0, 1);
	p->codec = chance(sched(p), 1, 3) ? (enum codec)choose(sched(p), 0, CODEC_COUNT - 1) : CODEC_NONE;
	p->flights_max = (unsigned)choose(sched(p), 1, FLIGHTS_MAX);
	p->id = -1;
	list_init(&p->batches);
	list_init(&p->flights);
	while (!finished(p) && !p->world->sim->failed && !fiber_cancelled(self)) {
		if (!wire_open_await(self, p->world->sim, &p->world->address, shard_now_us(shard) + 5 * SECOND_US,
				     &p->wire)) {
			p->connected = true;
			forget_acked(p);
			work_await(self, p);
		}
		disconnect(p);
		if (fiber_sleep_await(self, choose_skewed(sched(p), 1000, 300000)))
			break;
	}
	disconnect(p);
	new_session(p);
	mem_free(p);
	client_role_over(c, self);
}
