/*
 * workload_admin: makes the history's topics, asks for metadata, and makes and deletes topics that nobody else uses. Code of a
 * client's node.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "record/builder.h"
#include "sim/wire_client.h"
#include "sim/world.h"

#define ANSWER_US (20 * SECOND_US)

struct admin {
	struct world *world;
	struct world_client *client;
	struct wire_client wire;
	unsigned scratch; /* topics of its own so far */
};

static struct scheduler *sched(struct admin *a)
{
	return world_scheduler(a->world);
}

static enum err create_await(struct fiber *self, struct admin *a, const char *name, int32_t partitions,
			     struct uuid *ret_id)
{
	struct create_topics_request_creatable_topic topic;
	struct create_topics_request request;
	struct create_topics_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	struct_init(&create_topics_request_creatable_topic_struct, &topic);
	message_init(api_find(API_CREATE_TOPICS)->request, &request);
	topic.name = bytes_str(name);
	topic.num_partitions = partitions;
	topic.replication_factor = 1;
	request.topics = &topic;
	request.topics_count = 1;
	request.timeout_ms = 10000;
	arena_init(&arena, 1 << 18);
	e = wire_ask_await(self, &a->wire, API_CREATE_TOPICS, 7, &request, ANSWER_US, &call, &arena, &response);
	if (!e)
		e = response.topics_count == 1 ? (enum err)response.topics[0].error_code : ERR_MALFORMED;
	if (!e)
		*ret_id = response.topics[0].topic_id;
	arena_fini(&arena);
	wire_call_fini(&call);
	world_note(a->client, "create", "error %lld", e, 0, 0);
	return e;
}

static enum err delete_await(struct fiber *self, struct admin *a, const char *name)
{
	struct delete_topics_request_delete_topic_state state;
	struct delete_topics_request request;
	struct delete_topics_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	struct_init(&delete_topics_request_delete_topic_state_struct, &state);
	message_init(api_find(API_DELETE_TOPICS)->request, &request);
	state.name = bytes_str(name);
	request.topics = &state;
	request.topics_count = 1;
	request.timeout_ms = 10000;
	arena_init(&arena, 1 << 18);
	e = wire_ask_await(self, &a->wire, API_DELETE_TOPICS, 6, &request, ANSWER_US, &call, &arena, &response);
	if (!e)
		e = response.responses_count == 1 ? (enum err)response.responses[0].error_code : ERR_MALFORMED;
	arena_fini(&arena);
	wire_call_fini(&call);
	world_note(a->client, "delete", "error %lld", e, 0, 0);
	return e;
}

/* What Metadata says of the history's topics, asked for by name; creates those that come by being asked for. */
static enum err metadata_await(struct fiber *self, struct admin *a)
{
	struct metadata_request_metadata_request_topic topics[WORLD_TOPICS];
	struct metadata_request request;
	struct metadata_response response;
	struct world *w = a->world;
	struct wire_call call;
	struct arena arena;
	int32_t count = 0;
	enum err e;

	message_init(api_find(API_METADATA)->request, &request);
	for (unsigned i = 0; i < w->topic_count; i++) {
		if (!w->topics[i].created && !w->topics[i].auto_created)
			continue; /* its creation failed: asked for, it would come with another number of partitions */
		struct_init(&metadata_request_metadata_request_topic_struct, &topics[count]);
		topics[count++].name = bytes_str(w->topics[i].name);
	}
	request.topics = topics;
	request.topics_count = count;
	request.allow_auto_topic_creation = true;
	arena_init(&arena, 1 << 18);
	e = wire_ask_await(self, &a->wire, API_METADATA, 12, &request, ANSWER_US, &call, &arena, &response);
	for (int32_t i = 0; !e && i < response.topics_count; i++) {
		const struct metadata_response_metadata_response_topic *t = &response.topics[i];

		for (unsigned j = 0; j < w->topic_count; j++) {
			struct world_topic *own = &w->topics[j];

			if (!bytes_equal_str(t->name, own->name))
				continue;
			if (!t->error_code && (own->created || own->auto_created))
				world_topic_told(w, j, t->topic_id);
			else if (t->error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION && own->created)
				world_fail(w, "topic %s was created and is unknown", own->name);
			if (!t->error_code && t->partitions_count != own->partition_count)
				world_fail(w, "topic %s has %d partitions instead of %d", own->name,
					   t->partitions_count, own->partition_count);
		}
	}
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static bool create_missing_await(struct fiber *self, struct admin *a)
{
	for (unsigned i = 0; i < a->world->topic_count; i++) {
		struct world_topic *t = &a->world->topics[i];
		struct uuid id = {0};
		enum err e;

		if (t->created || t->auto_created)
			continue;
		e = create_await(self, a, t->name, t->partition_count, &id);
		if (a->wire.error || e == ERR_TIMED_OUT || e == ERR_CANCELLED)
			return false;
		if (e && e != ERR_TOPIC_ALREADY_EXISTS && world_is_well(a->world) && !a->world->disk_trouble &&
		    !a->world->broker->rare[FAULT_METASTORE_NO_SPACE] && e != ERR_REQUEST_TIMED_OUT)
			world_fail(a->world, "topic %s cannot be created: %s", t->name, err_name(e));
		if (!e || e == ERR_TOPIC_ALREADY_EXISTS) {
			t->created = true;
			if (!e)
				world_topic_told(a->world, i, id);
		}
	}
	return true;
}

#define PIPELINED 3

static void send_create(struct admin *a, const char *name, int32_t partitions, struct wire_call *call)
{
	struct create_topics_request_creatable_topic topic;
	struct create_topics_request request;

	struct_init(&create_topics_request_creatable_topic_struct, &topic);
	message_init(api_find(API_CREATE_TOPICS)->request, &request);
	topic.name = bytes_str(name);
	topic.num_partitions = partitions;
	topic.replication_factor = 1;
	request.topics = &topic;
	request.topics_count = 1;
	request.timeout_ms = 10000;
	wire_send(&a->wire, API_CREATE_TOPICS, 7, &request, true, call);
}

static void send_produce(struct admin *a, const char *name, struct wire_call *call)
{
	struct produce_request_topic_produce_data topic = {.name = bytes_str(name), .partition_data_count = 1};
	struct produce_request_partition_produce_data part = {.index = 0};
	struct batch_options options = batch_options_default(1000);
	struct batch_builder builder;
	struct produce_request request;

	batch_builder_init(&builder, &options);
	must(batch_builder_append(&builder, shard_wall_ms(a->wire.shard), bytes_null(), bytes_str("x"), NULL, 0) == OK);
	must(batch_builder_finish(&builder, &part.records) == OK);
	message_init(api_find(API_PRODUCE)->request, &request);
	request.transactional_id = bytes_null();
	request.acks = -1;
	request.timeout_ms = 15000;
	topic.partition_data = &part;
	request.topic_data = &topic;
	request.topic_data_count = 1;
	wire_send(&a->wire, API_PRODUCE, 9, &request, true, call);
	batch_builder_fini(&builder);
}

/* The error that a call was answered with; ERR_CLOSED when it was not answered. */
static enum err answer_await(struct fiber *self, struct admin *a, struct wire_call *call, int64_t *ret_offset)
{
	union {
		struct create_topics_response create;
		struct produce_response produce;
	} r;
	struct arena arena;
	enum err e = wire_wait_await(self, &a->wire, call, call->sent_us + ANSWER_US);

	if (e || call->error)
		return ERR_CLOSED;
	arena_init(&arena, 1 << 18);
	e = wire_answer(call, &arena, &r);
	if (!e && call->header.api_key == API_CREATE_TOPICS) {
		e = r.create.topics_count == 1 ? (enum err)r.create.topics[0].error_code : ERR_MALFORMED;
	} else if (!e) {
		e = r.produce.responses_count == 1 && r.produce.responses[0].partition_responses_count == 1
			    ? (enum err)r.produce.responses[0].partition_responses[0].error_code
			    : ERR_MALFORMED;
		if (!e)
			*ret_offset = r.produce.responses[0].partition_responses[0].base_offset;
	}
	arena_fini(&arena);
	return e;
}

/*
 * A creation and several Produces to what is being created, all under way at once: a connection's requests are worked on one at a time, so
 * each Produce finds the topic, and the first one is the first record.
 */
static bool pipelined_create_await(struct fiber *self, struct admin *a, const char *name)
{
	struct wire_call create, produces[PIPELINED];
	enum err created, e = OK;
	bool all = true;

	send_create(a, name, (int32_t)choose(sched(a), 1, 5), &create);
	for (unsigned i = 0; i < PIPELINED; i++)
		send_produce(a, name, &produces[i]);
	created = answer_await(self, a, &create, NULL);
	for (unsigned i = 0; i < PIPELINED && e != ERR_CLOSED; i++) {
		int64_t offset = -1;

		e = answer_await(self, a, &produces[i], &offset);
		world_note(a->client, "pipelined", "create %lld, produce %lld at %lld", created, e, offset);
		all = all && !e;
		if (!created && e == ERR_UNKNOWN_TOPIC_OR_PARTITION)
			world_fail(a->world, "a Produce overtook the creation of its topic on one connection");
		if (!created && all && offset != (int64_t)i)
			world_fail(a->world, "Produce %u of a new topic on one connection got offset %lld", i,
				   (long long)offset);
	}
	if (!created && all)
		sim_hit(a->world->sim, HIT_PIPELINED);
	if (created == ERR_CLOSED || e == ERR_CLOSED) /* what still waits goes with its connection */
		wire_close(&a->wire);
	wire_call_fini(&create);
	for (unsigned i = 0; i < PIPELINED; i++)
		wire_call_fini(&produces[i]);
	return created != ERR_CLOSED && e != ERR_CLOSED;
}

/* A topic of its own: made, seen to be new, deleted again. */
static bool scratch_await(struct fiber *self, struct admin *a)
{
	char name[32];
	struct uuid id;
	enum err e;

	snprintf(name, sizeof(name), "scratch-%u", (unsigned)choose(sched(a), 0, 3));
	if (chance(sched(a), 1, 2)) {
		if (!pipelined_create_await(self, a, name))
			return false;
		e = delete_await(self, a, name);
		return !a->wire.error && e != ERR_TIMED_OUT;
	}
	e = create_await(self, a, name, (int32_t)choose(sched(a), 1, 5), &id);
	if (a->wire.error)
		return false;
	if (e && e != ERR_TOPIC_ALREADY_EXISTS)
		return e != ERR_TIMED_OUT;
	if (chance(sched(a), 1, 3))
		return true;
	e = delete_await(self, a, name);
	return !a->wire.error && e != ERR_TIMED_OUT;
}

static void work_await(struct fiber *self, struct admin *a)
{
	while (a->world->phase == CLIENT_WORKS && !a->world->sim->failed && !fiber_cancelled(self)) {
		enum err e;

		if (!create_missing_await(self, a))
			return;
		e = metadata_await(self, a);
		if (a->wire.error || e)
			return;
		if (chance(sched(a), 1, 2) && !scratch_await(self, a))
			return;
		if (fiber_sleep_await(self, choose_skewed(sched(a), 1000, 2 * SECOND_US)))
			return;
	}
}

void admin_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *c = argument;
	struct admin *a = mem_new(struct admin);
	struct shard *shard = fiber_shard(self);

	a->world = c->world;
	a->client = c;
	while (a->world->phase == CLIENT_WORKS && !a->world->sim->failed && !fiber_cancelled(self)) {
		if (!wire_open_await(self, a->world->sim, &a->world->address, shard_now_us(shard) + 5 * SECOND_US,
				     &a->wire)) {
			work_await(self, a);
			wire_close(&a->wire);
		}
		if (fiber_sleep_await(self, choose_skewed(sched(a), 1000, 300000)))
			break;
	}
	mem_free(a);
	client_role_over(c, self);
}
