/*
 * replay_fuzz: any bytes as records of __consumer_offsets: a state that was loaded from them can be asked, lives through time, is the same when its own
 * records are replayed again, and gives everything back.
 *
 *      input = records: u8 kind, u16 key size, key, u16 value size, value
 *      kind: 0 record, 1 tombstone, 2 record of a producer (its id is the first byte of the key), 3, 4 the end of its transaction
 */
#include "base/reader.h"
#include "group/stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_one(struct stage *t, struct reader *r, int64_t offset)
{
	uint8_t kind = (uint8_t)reader_i8(r) % 5;
	struct bytes key = reader_bytes(r, (uint16_t)reader_i16(r)), value = reader_bytes(r, (uint16_t)reader_i16(r));
	int64_t producer_id = key.size ? key.data[key.size - 1] % 4 : 0;

	if (r->error)
		return;
	if (kind >= 3) {
		group_machine.replay_marker(t->groups,
					    &(struct end_marker){.producer_id = producer_id, .committed = kind == 3});
		return;
	}
	(void)!group_machine.replay(t->groups, &(struct replayed){
						       .offset = offset,
						       .key = key,
						       .value = kind == 1 ? bytes_null() : value,
						       .producer_id = kind == 2 ? producer_id : NO_PRODUCER_ID,
					       });
}

static void ask_about(struct stage *t, struct bytes group_id)
{
	struct offset_fetch_request_offset_fetch_request_group all_offsets = {.group_id = group_id, .topics_count = -1};
	struct stage_ask *a = stage_ask_new(t);

	a->describe.group_id = group_id;
	a->describe.version = 6;
	a->describe.arena = &a->arena;
	group_describe(t->groups, &t->step, &a->describe);
	stage_settle(t);
	a = stage_ask_new(t);
	a->explain.group_id = group_id;
	a->explain.arena = &a->arena;
	group_explain(t->groups, &t->step, &a->explain);
	stage_settle(t);
	a = stage_ask_new(t);
	a->fetch.request = &all_offsets;
	a->fetch.require_stable = true;
	a->fetch.arena = &a->arena;
	group_offset_fetch(t->groups, &t->step, &a->fetch);
	stage_settle(t);
}

/* By KIP-848, whatever the group is: somebody comes to it, who has nothing, and goes. */
static void beat(struct stage *t, struct bytes group_id, int32_t epoch)
{
	struct bytes topic = bytes_str("t");
	struct consumer_group_heartbeat_request request;
	struct stage_ask *a = stage_ask_new(t);

	message_init(&consumer_group_heartbeat_request_type, &request);
	request.group_id = group_id;
	request.member_id = bytes_str("somebody");
	request.member_epoch = epoch;
	request.rebalance_timeout_ms = 1000;
	request.subscribed_topic_names = &topic;
	request.subscribed_topic_names_count = 1;
	request.topic_partitions_count = 0;
	a->consumer.request = &request;
	a->consumer.version = 1;
	a->consumer.arena = &a->arena;
	if (group_consumer_heartbeat_check(&t->options, &a->consumer))
		step_answer(&t->step, &a->consumer.call);
	else
		group_consumer_heartbeat(t->groups, &t->step, &a->consumer);
	stage_settle(t);
	a = stage_ask_new(t);
	a->describe_consumer.group_id = group_id;
	a->describe_consumer.arena = &a->arena;
	group_describe_consumer(t->groups, &t->step, &a->describe_consumer);
	stage_settle(t);
}

static void delete (struct stage *t, struct bytes group_id)
{
	struct stage_ask *a = stage_ask_new(t);

	a->delete_group.group_id = group_id;
	a->delete_group.arena = &a->arena;
	group_delete(t->groups, &t->step, &a->delete_group);
	stage_settle(t);
}

/* Of any group, the first: its id is copied, since it may go. */
static struct bytes some_group(struct stage *t)
{
	size_t place = 0;
	const struct map_entry *e = map_next(&t->groups->by_id, &place);

	return e ? arena_copy(&t->memory, ((struct group *)e->value)->id) : bytes_null();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(bytes_of(data, size));
	struct stage t;
	struct bytes id;
	int64_t offset = 0;

	stage_init(&t);
	while (reader_left(&r) > 0)
		replay_one(&t, &r, offset++);
	group_machine.loaded(t.groups, &t.step);
	stage_settle(&t);
	id = some_group(&t);
	if (id.data)
		ask_about(&t, id);
	if (id.data) {
		beat(&t, id, 0);
		stage_wait(&t, 500);
		beat(&t, id, -1);
	}
	stage_wait(&t, 60000);
	if (id.data)
		delete (&t, id);
	t.options.offsets_retention_ms = 1;
	stage_wait(&t, 700000);
	stage_restart(&t);
	stage_fini(&t);
	return 0;
}
