/*
 * workload_care: a caretaker: topics of its own that are compacted, written with write.caching, or deleted and made again under their name while it
 * writes to them and reads them (care_ledger.h has what must be true); and what an operator does to the topics of the others: DeleteRecords, moves to
 * another data folder. One request after the other, but around a deletion. Code of a client's node; what it knows is the world's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "record/builder.h"
#include "sim/wire_client.h"
#include "sim/world.h"

#define ANSWER_US (20 * SECOND_US)
#define DECOMPRESSED_MAX (1 << 20)
#define BATCH_MAX 5
#define AT_ONCE 4

struct caretaker {
	struct world *world;
	struct world_client *client;
	struct wire_client wire;
	struct wire_client other; /* for what is under way during a deletion */
	struct buf scratch;
};

static const char *const names[CARE_KINDS] = {"care-compacted", "care-cached", "care-replaced"};

static struct scheduler *sched(struct caretaker *c)
{
	return world_scheduler(c->world);
}

static int64_t now_us(struct caretaker *c)
{
	return sched(c)->now_us;
}

static void verdict(struct caretaker *c, enum care_kind kind, int64_t offset, const char *wrong)
{
	if (wrong)
		world_fail(c->world, "%s at %lld: %s", names[kind], (long long)offset, wrong);
}

static bool goes_on(struct fiber *self, struct caretaker *c)
{
	return c->world->phase == CLIENT_WORKS && !c->world->sim->failed && !fiber_cancelled(self);
}

/* May a request about a topic that is there fail with this for now? */
static bool may_fail_with(struct caretaker *c, enum err e)
{
	switch (e) {
	case ERR_REQUEST_TIMED_OUT:
	case ERR_NOT_LEADER_OR_FOLLOWER:
	case ERR_LEADER_NOT_AVAILABLE:
	case ERR_NOT_ENOUGH_REPLICAS:
	case ERR_OFFSET_NOT_AVAILABLE:
	case ERR_COORDINATOR_LOAD_IN_PROGRESS:
		return true;
	case ERR_KAFKA_STORAGE_ERROR:
	case ERR_LOG_DIR_NOT_FOUND:
		return c->world->disk_trouble || !world_is_well(c->world);
	default:
		return false;
	}
}

/* An answer's error, when it is none of those of a connection that ended. */
static void judge(struct caretaker *c, const char *what, enum care_kind kind, enum err e, bool may_be_gone)
{
	bool gone = e == ERR_UNKNOWN_TOPIC_OR_PARTITION || e == ERR_UNKNOWN_TOPIC_ID;

	if (e && !(gone && may_be_gone) && !may_fail_with(c, e))
		world_fail(c->world, "%s of %s: %s", what, names[kind], err_name(e));
}

/* --- topics ------------------------------------------------------------------------------------------------------------------------- */

static void put_create(struct caretaker *c, struct wire_client *wire, enum care_kind kind, struct wire_call *call)
{
	struct create_topics_request_creatable_topic_config configs[6];
	struct create_topics_request_creatable_topic topic;
	struct create_topics_request request;
	char tombstones[24];

	snprintf(tombstones, sizeof(tombstones), "%lld", (long long)c->world->care[kind].tombstone_us / 1000);
	struct_init(&create_topics_request_creatable_topic_struct, &topic);
	message_init(api_find(API_CREATE_TOPICS)->request, &request);
	topic.name = bytes_str(names[kind]);
	topic.num_partitions = 1;
	topic.replication_factor = 1;
	topic.configs = configs;
#define CONFIG(n, v) \
	configs[topic.configs_count++] = (struct create_topics_request_creatable_topic_config){bytes_str(n), \
											       bytes_str(v)}
	CONFIG("retention.ms", "-1");
	CONFIG("retention.bytes", "-1");
	if (kind == CARE_COMPACTED) {
		CONFIG("cleanup.policy", "compact");
		CONFIG("min.cleanable.dirty.ratio", "0.01");
		CONFIG("delete.retention.ms", tombstones);
		CONFIG("segment.ms", "300");
	} else if (kind == CARE_CACHED) {
		CONFIG("write.caching", "true");
	}
#undef CONFIG
	request.topics = &topic;
	request.topics_count = 1;
	request.timeout_ms = 10000;
	wire_send(wire, API_CREATE_TOPICS, 7, &request, true, call);
}

static void put_delete(struct wire_client *wire, enum care_kind kind, struct wire_call *call)
{
	struct delete_topics_request_delete_topic_state state;
	struct delete_topics_request request;

	struct_init(&delete_topics_request_delete_topic_state_struct, &state);
	message_init(api_find(API_DELETE_TOPICS)->request, &request);
	state.name = bytes_str(names[kind]);
	request.topics = &state;
	request.topics_count = 1;
	request.timeout_ms = 10000;
	wire_send(wire, API_DELETE_TOPICS, 6, &request, true, call);
}

/* The answer of a call, decoded; an error when there is none. */
static enum err take_await(struct fiber *self, struct wire_client *wire, struct wire_call *call, struct arena *a,
			   void *ret_response)
{
	enum err e = wire_wait_await(self, wire, call, call->sent_us + ANSWER_US);

	if (!e)
		e = call->error;
	return e ? e : wire_answer(call, a, ret_response);
}

static void told_id(struct caretaker *c, enum care_kind kind, struct uuid id)
{
	struct care_topic *t = &c->world->care[kind];
	unsigned before = t->life_count;

	verdict(c, kind, -1, care_told_id(t, id));
	if (before && t->life_count > before)
		sim_hit(c->world->sim, HIT_REPLACED);
}

static enum err created_await(struct fiber *self, struct caretaker *c, enum care_kind kind, struct wire_call *call)
{
	struct create_topics_response response;
	struct arena arena;
	enum err e;

	arena_init(&arena, 1 << 18);
	e = take_await(self, &c->wire, call, &arena, &response);
	if (!e && response.topics_count == 1) {
		e = (enum err)response.topics[0].error_code;
		if (!e)
			told_id(c, kind, response.topics[0].topic_id);
	}
	arena_fini(&arena);
	world_note(c->client, "care create", "kind %lld: error %lld", kind, e, 0);
	return e;
}

/* The id that the name has now. OK also when there is no such topic. */
static enum err look_await(struct fiber *self, struct caretaker *c, enum care_kind kind)
{
	struct metadata_request_metadata_request_topic topic;
	struct metadata_request request;
	struct metadata_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	message_init(api_find(API_METADATA)->request, &request);
	struct_init(&metadata_request_metadata_request_topic_struct, &topic);
	topic.name = bytes_str(names[kind]);
	request.topics = &topic;
	request.topics_count = 1;
	request.allow_auto_topic_creation = false;
	arena_init(&arena, 1 << 18);
	e = wire_ask_await(self, &c->wire, API_METADATA, 12, &request, ANSWER_US, &call, &arena, &response);
	if (!e && response.topics_count == 1) {
		const struct care_life *l = care_life(&c->world->care[kind]);

		if (!response.topics[0].error_code)
			told_id(c, kind, response.topics[0].topic_id);
		else if (l && l->ending_us == INT64_MAX)
			judge(c, "metadata", kind, (enum err)response.topics[0].error_code, false);
	}
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

/* Makes it when it is not there. False: the connection is of no more use. */
static bool be_there_await(struct fiber *self, struct caretaker *c, enum care_kind kind)
{
	const struct care_life *l = care_life(&c->world->care[kind]);
	struct wire_call call;
	enum err e;

	if (l && l->ending_us == INT64_MAX)
		return true;
	put_create(c, &c->wire, kind, &call);
	e = created_await(self, c, kind, &call);
	wire_call_fini(&call);
	if (!c->wire.error && e == ERR_TOPIC_ALREADY_EXISTS)
		e = look_await(self, c, kind);
	return !c->wire.error && e != ERR_TIMED_OUT && e != ERR_CANCELLED;
}

/* --- writing ------------------------------------------------------------------------------------------------------------------------ */

struct written {
	struct wire_call call;
	uint32_t serials[BATCH_MAX];
	unsigned count;
	bool by_id;
	unsigned life;
};

static void put_records(struct caretaker *c, enum care_kind kind, struct written *w, struct bytes *ret_batch,
			struct batch_builder *builder)
{
	struct batch_options options = batch_options_default(100000);
	struct care_topic *t = &c->world->care[kind];
	unsigned wanted = (unsigned)choose(sched(c), 1, BATCH_MAX);
	int64_t now_ms = shard_wall_ms(c->wire.shard);

	batch_builder_init(builder, &options);
	while (w->count < wanted) {
		unsigned key = (unsigned)choose_skewed(sched(c), 0, CARE_KEYS - 1);
		bool tombstone = kind == CARE_COMPACTED && chance(sched(c), 1, 6);
		uint32_t serial = care_send(t, key, tombstone, w->by_id, now_us(c), c->world->cache_losses);
		char key_text[8], text[600];
		struct bytes value = bytes_null();

		if (serial == CARE_NONE)
			break;
		w->serials[w->count++] = serial;
		snprintf(key_text, sizeof(key_text), "%02u", key);
		if (!tombstone)
			value = bytes_of(text, record_text((uint64_t)serial + 1, text, sizeof(text)));
		must(batch_builder_append(builder, now_ms, bytes_str(key_text), value, NULL, 0) == OK);
	}
	if (w->count)
		must(batch_builder_finish(builder, ret_batch) == OK);
}

/* False: no record is left to be sent. */
static bool write_begin(struct caretaker *c, struct wire_client *wire, enum care_kind kind, struct written *w)
{
	struct care_topic *t = &c->world->care[kind];
	struct produce_request_topic_produce_data topic = {.partition_data_count = 1};
	struct produce_request_partition_produce_data part = {.index = 0};
	struct batch_builder builder;
	struct produce_request request;

	*w = (struct written){.by_id = chance(sched(c), 1, 2), .life = t->life_count - 1};
	put_records(c, kind, w, &part.records, &builder);
	if (w->count) {
		message_init(api_find(API_PRODUCE)->request, &request);
		request.transactional_id = bytes_null();
		request.acks = -1;
		request.timeout_ms = 15000;
		topic.name = w->by_id ? bytes_empty() : bytes_str(names[kind]);
		topic.topic_id = w->by_id ? t->lives[w->life].id : (struct uuid){0};
		topic.partition_data = &part;
		request.topic_data = &topic;
		request.topic_data_count = 1;
		wire_send(wire, API_PRODUCE, w->by_id ? 13 : 12, &request, true, &w->call);
	}
	batch_builder_fini(&builder);
	return w->count > 0;
}

static enum err write_end_await(struct fiber *self, struct caretaker *c, struct wire_client *wire, enum care_kind kind,
				struct written *w)
{
	struct care_topic *t = &c->world->care[kind];
	const struct produce_response_partition_produce_response *part;
	struct produce_response response;
	struct arena arena;
	enum err e;

	arena_init(&arena, 1 << 18);
	e = take_await(self, wire, &w->call, &arena, &response);
	if (!e) {
		must(response.responses_count == 1 && response.responses[0].partition_responses_count == 1);
		part = &response.responses[0].partition_responses[0];
		if (part->error_code) {
			judge(c, "produce", kind, (enum err)part->error_code, t->lives[w->life].ending_us != INT64_MAX);
			if (w->by_id && part->error_code == ERR_UNKNOWN_TOPIC_ID)
				sim_hit(c->world->sim, HIT_OLD_ID);
		}
		for (unsigned i = 0; i < w->count && !part->error_code; i++)
			care_acked(t, w->serials[i], part->base_offset + i, now_us(c));
		if (!part->error_code)
			c->world->acked += w->count;
		world_note(c->client, "care produce", "kind %lld: error %lld at %lld", kind, part->error_code,
			   part->base_offset);
	}
	arena_fini(&arena);
	wire_call_fini(&w->call);
	return e;
}

static bool write_await(struct fiber *self, struct caretaker *c, enum care_kind kind)
{
	struct written w;

	return !write_begin(c, &c->wire, kind, &w) || !write_end_await(self, c, &c->wire, kind, &w);
}

/* --- reading ------------------------------------------------------------------------------------------------------------------------ */

static enum err ask_offset_await(struct fiber *self, struct caretaker *c, enum care_kind kind, int64_t timestamp,
				 int64_t *ret_offset)
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
	p.timestamp = timestamp;
	t.name = bytes_str(names[kind]);
	t.partitions = &p;
	t.partitions_count = 1;
	request.replica_id = -1;
	request.topics = &t;
	request.topics_count = 1;
	arena_init(&arena, 1 << 16);
	e = wire_ask_await(self, &c->wire, API_LIST_OFFSETS, 7, &request, ANSWER_US, &call, &arena, &response);
	if (!e)
		e = (enum err)response.topics[0].partitions[0].error_code;
	if (!e)
		*ret_offset = response.topics[0].partitions[0].offset;
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static uint32_t serial_of(struct bytes value)
{
	uint64_t id = record_id(value);

	return id ? (uint32_t)(id - 1) : CARE_NONE - 1; /* which nobody sent */
}

static void take_batch(struct caretaker *c, enum care_kind kind, struct bytes batch)
{
	struct care_topic *t = &c->world->care[kind];
	struct record_iter it;
	struct record r;
	enum err e = batch_crc_ok(batch) ? record_iter_init(&it, batch, &c->scratch, DECOMPRESSED_MAX, NULL)
					 : ERR_CORRUPT;

	while (!e && !c->world->sim->failed && !(e = record_iter_next(&it, &r))) {
		char key[8] = "";

		if (r.offset < t->scan.next || r.offset >= t->scan.end)
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)(r.key.size < 4 ? r.key.size : 4), (const char *)r.key.data);
		verdict(c, kind, r.offset,
			care_scan_record(t, r.offset, (unsigned)strtoul(key, NULL, 10),
					 bytes_is_null(r.value) ? CARE_NONE : serial_of(r.value)));
	}
	if (e != ERR_END && !c->world->sim->failed)
		verdict(c, kind, t->scan.next, "a batch that does not parse, or has a wrong CRC");
}

/* One Fetch by the id of the life that is scanned. */
static enum err fetch_await(struct fiber *self, struct caretaker *c, enum care_kind kind, int64_t *next)
{
	struct care_topic *t = &c->world->care[kind];
	struct fetch_request_fetch_partition p;
	struct fetch_request_fetch_topic topic;
	struct fetch_request request;
	struct fetch_response response;
	struct batch_header h;
	struct bytes rest, batch;
	struct wire_call call;
	struct arena arena;
	enum err e;

	struct_init(&fetch_request_fetch_partition_struct, &p);
	struct_init(&fetch_request_fetch_topic_struct, &topic);
	message_init(api_find(API_FETCH)->request, &request);
	p.fetch_offset = *next;
	p.partition_max_bytes = 1 << 20;
	topic.topic_id = t->lives[t->scan.life].id;
	topic.partitions = &p;
	topic.partitions_count = 1;
	request.max_wait_ms = 200;
	request.min_bytes = 1;
	request.max_bytes = 1 << 20;
	request.session_epoch = -1;
	request.topics = &topic;
	request.topics_count = 1;
	arena_init(&arena, 4 << 20);
	e = wire_ask_await(self, &c->wire, API_FETCH, 13, &request, ANSWER_US, &call, &arena, &response);
	if (!e)
		e = (enum err)response.error_code;
	if (!e && (response.responses_count != 1 || response.responses[0].partitions_count != 1))
		e = ERR_MALFORMED;
	if (!e)
		e = (enum err)response.responses[0].partitions[0].error_code;
	if (!e) {
		rest = response.responses[0].partitions[0].records;
		while (batch_next(&rest, &h, &batch) == OK && !c->world->sim->failed) {
			take_batch(c, kind, batch);
			*next = h.base_offset + h.last_offset_delta + 1;
		}
	}
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static void scan_over(struct caretaker *c, enum care_kind kind)
{
	struct care_topic *t = &c->world->care[kind];

	verdict(c, kind, t->scan.end, care_scan_end(t, c->world->cache_losses));
	if (t->scan.gaps)
		sim_hit(c->world->sim, HIT_CARE_COMPACTED);
	for (unsigned i = 0; i < t->scan.tombstones_over; i++)
		sim_hit(c->world->sim, HIT_CARE_TOMBSTONE);
	if (t->scan.lost)
		sim_hit(c->world->sim, HIT_CACHED_LOST);
	world_note(c->client, "care scan", "kind %lld up to %lld", kind, t->scan.end, 0);
}

/* Reads it all. OK, also when that could not be brought to its end for a good reason; else the connection is of no more use. */
static enum err scan_await(struct fiber *self, struct caretaker *c, enum care_kind kind, bool must_end)
{
	struct care_topic *t = &c->world->care[kind];
	int64_t start = -1, end = -1, next, until = now_us(c) + PATIENCE_US;
	uint64_t losses = c->world->cache_losses;
	enum err e;

	if (!care_life(t))
		return OK;
	e = ask_offset_await(self, c, kind, -2, &start);
	if (!e)
		e = ask_offset_await(self, c, kind, -1, &end);
	if (!e) {
		verdict(c, kind, start, care_scan_begin(t, start, end, now_us(c), losses));
		next = start;
	}
	while (!e && next < end && !c->world->sim->failed) {
		e = fetch_await(self, c, kind, &next);
		if (!e && now_us(c) > until) {
			if (must_end)
				world_fail(c->world, "%s cannot be read to its end", names[kind]);
			return OK;
		}
	}
	if (c->wire.error || e == ERR_TIMED_OUT || e == ERR_CANCELLED)
		return e ? e : ERR_CLOSED;
	if (e == ERR_OFFSET_OUT_OF_RANGE && kind == CARE_CACHED && c->world->cache_losses != losses)
		return OK;
	if (e)
		judge(c, "reading", kind, e, care_life(t)->ending_us != INT64_MAX);
	else
		scan_over(c, kind);
	return OK;
}

/* --- deleted and made again --------------------------------------------------------------------------------------------------------- */

/* A deletion and a creation on one connection, and Produces before, between and behind them on another: whatever comes first. */
static bool replace_await(struct fiber *self, struct caretaker *c)
{
	struct care_topic *t = &c->world->care[CARE_REPLACED];
	struct care_life *l = care_life(t);
	struct delete_topics_response response;
	struct wire_call deletion, creation;
	struct written writes[AT_ONCE];
	unsigned count = 0, before = (unsigned)choose(sched(c), 0, AT_ONCE);
	bool many = t->life_count + 2 > CARE_LIVES;
	struct arena arena;
	enum err e;

	if (!l || many)
		return true;
	while (count < before && write_begin(c, &c->other, CARE_REPLACED, &writes[count]))
		count++;
	(void)!fiber_sleep_await(self, choose_skewed(sched(c), 1, 20000));
	care_deleting(l, now_us(c));
	put_delete(&c->wire, CARE_REPLACED, &deletion);
	put_create(c, &c->wire, CARE_REPLACED, &creation);
	while (count < AT_ONCE && write_begin(c, &c->other, CARE_REPLACED, &writes[count])) {
		count++;
		(void)!fiber_sleep_await(self, choose_skewed(sched(c), 1, 20000));
	}
	arena_init(&arena, 1 << 18);
	e = take_await(self, &c->wire, &deletion, &arena, &response);
	if (!e && response.responses_count == 1 && !response.responses[0].error_code)
		l->deleted = true;
	arena_fini(&arena);
	wire_call_fini(&deletion);
	if (!e)
		e = created_await(self, c, CARE_REPLACED, &creation);
	wire_call_fini(&creation);
	for (unsigned i = 0; i < count; i++)
		if (write_end_await(self, c, &c->other, CARE_REPLACED, &writes[i]))
			e = ERR_CLOSED;
	return !c->wire.error && !c->other.error && e != ERR_TIMED_OUT && e != ERR_CLOSED && e != ERR_CANCELLED;
}

/* --- what an operator does to the others' topics --------------------------------------------------------------------------------- */

static bool delete_records_await(struct fiber *self, struct caretaker *c)
{
	unsigned topic = (unsigned)choose(sched(c), 0, c->world->topic_count - 1);
	struct world_topic *w = &c->world->topics[topic];
	int32_t partition = (int32_t)choose(sched(c), 0, w->partition_count - 1);
	struct ledger_partition *ledger = &w->partitions[partition];
	struct delete_records_request_delete_records_partition p = {.partition_index = partition};
	struct delete_records_request_delete_records_topic t = {
		.name = bytes_str(w->name), .partitions = &p, .partitions_count = 1};
	int64_t floor = ledger->start,
		asked = choose(sched(c), ledger->start,
			       ledger->start > ledger->high_watermark ? ledger->start : ledger->high_watermark);
	struct delete_records_request request;
	struct delete_records_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	if (!w->created)
		return true;
	p.offset = chance(sched(c), 1, 5) ? -1 : asked;
	world_start_asked(c->world, topic, partition, p.offset < 0 ? INT64_MAX : p.offset);
	message_init(api_find(API_DELETE_RECORDS)->request, &request);
	request.topics = &t;
	request.topics_count = 1;
	request.timeout_ms = 10000;
	arena_init(&arena, 1 << 18);
	e = wire_ask_await(self, &c->wire, API_DELETE_RECORDS, 2, &request, ANSWER_US, &call, &arena, &response);
	if (!e) {
		const struct delete_records_response_delete_records_partition_result *r =
			&response.topics[0].partitions[0];

		world_note(c->client, "delete records", "topic %lld/%lld: error %lld", topic, partition, r->error_code);
		if (r->error_code && !may_fail_with(c, (enum err)r->error_code))
			world_fail(c->world, "DeleteRecords of %s-%d before %lld: %s", w->name, partition,
				   (long long)p.offset, err_name((enum err)r->error_code));
		if (!r->error_code && r->low_watermark < p.offset)
			world_fail(c->world, "DeleteRecords of %s-%d before %lld leaves it at %lld", w->name, partition,
				   (long long)p.offset, (long long)r->low_watermark);
		if (!r->error_code) {
			world_start(c->world, topic, partition, r->low_watermark, floor);
			if (r->low_watermark > floor)
				sim_hit(c->world->sim, HIT_RECORDS_DELETED);
		}
	}
	arena_fini(&arena);
	wire_call_fini(&call);
	return !e;
}

/* In which of the two folders it is; -1: nowhere, both, or on its way. */
static enum err folder_of_await(struct fiber *self, struct caretaker *c, struct bytes name, int32_t partition,
				int *ret_folder)
{
	struct describe_log_dirs_request_describable_log_dir_topic topic = {
		.topic = name, .partitions = &partition, .partitions_count = 1};
	struct describe_log_dirs_request request;
	struct describe_log_dirs_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	message_init(api_find(API_DESCRIBE_LOG_DIRS)->request, &request);
	request.topics = &topic;
	request.topics_count = 1;
	arena_init(&arena, 1 << 18);
	e = wire_ask_await(self, &c->wire, API_DESCRIBE_LOG_DIRS, 4, &request, ANSWER_US, &call, &arena, &response);
	*ret_folder = -1;
	for (int32_t i = 0; !e && i < response.results_count; i++)
		for (int32_t j = 0; j < response.results[i].topics_count; j++)
			if (response.results[i].topics[j].partitions_count &&
			    !response.results[i].topics[j].partitions[0].is_future_key)
				*ret_folder = bytes_equal_str(response.results[i].log_dir, "/data2");
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static bool move_await(struct fiber *self, struct caretaker *c)
{
	const struct world_topic *w = &c->world->topics[choose(sched(c), 0, c->world->topic_count - 1)];
	bool own = chance(sched(c), 1, 2);
	struct bytes name = own ? bytes_str(names[choose(sched(c), 0, CARE_KINDS - 1)]) : bytes_str(w->name);
	int32_t partition = own ? 0 : (int32_t)choose(sched(c), 0, w->partition_count - 1);
	struct alter_replica_log_dirs_request_alter_replica_log_dir_topic topic = {
		.name = name, .partitions = &partition, .partitions_count = 1};
	struct alter_replica_log_dirs_request_alter_replica_log_dir dir = {.topics = &topic, .topics_count = 1};
	struct alter_replica_log_dirs_request request;
	struct alter_replica_log_dirs_response response;
	struct wire_call call;
	struct arena arena;
	int before, after;
	enum err e = folder_of_await(self, c, name, partition, &before);

	if (e || before < 0)
		return !e;
	dir.path = bytes_str(before ? "/data" : "/data2");
	message_init(api_find(API_ALTER_REPLICA_LOG_DIRS)->request, &request);
	request.dirs = &dir;
	request.dirs_count = 1;
	arena_init(&arena, 1 << 18);
	e = wire_ask_await(self, &c->wire, API_ALTER_REPLICA_LOG_DIRS, 2, &request, ANSWER_US, &call, &arena,
			   &response);
	world_note(c->client, "care move", "to folder %lld: error %lld", !before,
		   e ? e : response.results[0].partitions[0].error_code, 0);
	arena_fini(&arena);
	wire_call_fini(&call);
	if (e || fiber_sleep_await(self, choose_skewed(sched(c), 1000, SECOND_US)))
		return false;
	e = folder_of_await(self, c, name, partition, &after);
	if (!e && after == !before)
		sim_hit(c->world->sim, HIT_MOVED_ALIVE);
	return !e;
}

/* --- life --------------------------------------------------------------------------------------------------------------------------- */

static bool act_await(struct fiber *self, struct caretaker *c)
{
	enum care_kind kind = (enum care_kind)choose(sched(c), 0, CARE_KINDS - 1);
	int64_t what = choose(sched(c), 0, 99);

	if (what < 8 && c->world->deletes_records)
		return delete_records_await(self, c);
	if (what < 14 && c->world->two_folders)
		return move_await(self, c);
	if (!be_there_await(self, c, kind))
		return false;
	if (!care_life(&c->world->care[kind]))
		return true;
	if (what < 25)
		return !scan_await(self, c, kind, false);
	if (what < 45 && kind == CARE_REPLACED)
		return replace_await(self, c);
	return write_await(self, c, kind);
}

static void care_await(struct fiber *self, struct caretaker *c)
{
	/* What the last connection did not hear of. */
	for (unsigned i = 0; i < CARE_KINDS; i++)
		if (c->world->care[i].life_count && look_await(self, c, (enum care_kind)i))
			return;
	while (goes_on(self, c) && act_await(self, c))
		if (fiber_sleep_await(self, choose_skewed(sched(c), 1000, 600000)))
			return;
}

static bool open_await(struct fiber *self, struct caretaker *c)
{
	int64_t until = shard_now_us(fiber_shard(self)) + 5 * SECOND_US;

	if (wire_open_await(self, c->world->sim, &c->world->address, until, &c->wire))
		return false;
	if (!wire_open_await(self, c->world->sim, &c->world->address, until, &c->other))
		return true;
	wire_close(&c->wire);
	return false;
}

void caretaker_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *client = argument;
	struct caretaker *c = mem_new(struct caretaker);

	c->world = client->world;
	c->client = client;
	buf_init(&c->scratch, DECOMPRESSED_MAX);
	while (goes_on(self, c)) {
		if (open_await(self, c)) {
			care_await(self, c);
			wire_close(&c->other);
			wire_close(&c->wire);
		}
		if (fiber_sleep_await(self, choose_skewed(sched(c), 1000, 300000)))
			break;
	}
	buf_fini(&c->scratch);
	mem_free(c);
	client_role_over(client, self);
}

void verify_care_await(struct fiber *self, struct world_client *client)
{
	struct caretaker *c = mem_new(struct caretaker);

	c->world = client->world;
	c->client = client;
	buf_init(&c->scratch, DECOMPRESSED_MAX);
	if (open_await(self, c)) {
		for (unsigned i = 0; i < CARE_KINDS && !c->world->sim->failed; i++)
			if (look_await(self, c, (enum care_kind)i) || scan_await(self, c, (enum care_kind)i, true))
				world_fail(c->world, "the final reading of %s failed", names[i]);
		wire_close(&c->other);
		wire_close(&c->wire);
	} else {
		world_fail(c->world, "a healthy broker cannot be reached");
	}
	buf_fini(&c->scratch);
	mem_free(c);
}
