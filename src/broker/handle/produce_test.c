/* produce_test: each partition of a Produce has an answer of its own, whatever becomes of the others; and acks 0, which has none. */
#include "runtime/linux/backends.h" /* before the stage */

#include "broker/handle/stage.h"

#define ROWS 8

/* One partition of a request, and what must come back for it. */
struct row {
	const char *topic;
	struct uuid id; /* instead, from version 13 on */
	int32_t partition;
	struct bytes records;
	enum err error;
	int64_t base_offset;
	const char *message; /* NULL: none */
	int32_t record_errors;
};

static void fill(struct produce_request *request, const struct row *rows, size_t count, int16_t acks,
		 struct produce_request_topic_produce_data *topics, struct produce_request_partition_produce_data *data)
{
	EXPECT(count <= ROWS);
	message_init(&produce_request_type, request);
	request->acks = acks;
	request->timeout_ms = 30000;
	request->topic_data = topics;
	request->topic_data_count = (int32_t)count;
	for (size_t i = 0; i < count; i++) {
		data[i] = (struct produce_request_partition_produce_data){rows[i].partition, rows[i].records};
		topics[i] = (struct produce_request_topic_produce_data){
			.name = bytes_str(rows[i].topic ? rows[i].topic : ""),
			.topic_id = rows[i].id,
			.partition_data = &data[i],
			.partition_data_count = 1};
	}
}

static void play_by_await(struct fiber *self, struct stage *s, struct peer *p, int16_t version, int16_t acks,
			  const struct row *rows, size_t count)
{
	struct produce_request_topic_produce_data topics[ROWS];
	struct produce_request_partition_produce_data data[ROWS];
	struct produce_request request;
	struct produce_response response;

	fill(&request, rows, count, acks, topics, data);
	stage_ask_by_await(self, s, p, API_PRODUCE, version, &request, &response);
	EXPECT(response.responses_count == (int32_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct produce_response_partition_produce_response *told;

		EXPECT(response.responses[i].partition_responses_count == 1);
		told = &response.responses[i].partition_responses[0];
		EXPECT(told->index == rows[i].partition);
		EXPECT_ERR((enum err)told->error_code, rows[i].error);
		EXPECT(told->base_offset == (rows[i].error ? -1 : rows[i].base_offset));
		EXPECT(told->record_errors_count == rows[i].record_errors);
		if (rows[i].message)
			EXPECT(bytes_equal_str(told->error_message, rows[i].message));
		else
			EXPECT(bytes_is_null(told->error_message));
		if (!rows[i].error)
			EXPECT(told->log_start_offset == (version < 5 ? -1 : 0));
	}
}

static void play_await(struct fiber *self, struct stage *s, int16_t version, int16_t acks, const struct row *rows,
		       size_t count)
{
	play_by_await(self, s, s->peer, version, acks, rows, count);
}

static void mixed_main(struct fiber *self, struct stage *s)
{
	struct uuid id = stage_topic_await(self, s, "t", 4, NULL, NULL);
	struct bytes good = stage_batch(s, NULL, "value", 3);
	struct row rows[] = {
		{.topic = "t", .partition = 0, .records = good},
		{.topic = "none", .partition = 0, .records = good, .error = ERR_UNKNOWN_TOPIC_OR_PARTITION},
		{.topic = "t", .partition = 4, .records = good, .error = ERR_UNKNOWN_TOPIC_OR_PARTITION},
		{.topic = "t", .partition = -1, .records = good, .error = ERR_UNKNOWN_TOPIC_OR_PARTITION},
		{.topic = "t", .partition = 1, .records = good},
		{.topic = "t", .partition = 2, .records = good},
		{.topic = "t", .partition = 3, .records = good},
	};
	struct row by_id[] = {
		{.id = id, .partition = 0, .records = good, .base_offset = 6},
		{.id = {{7}}, .partition = 0, .records = good, .error = ERR_UNKNOWN_TOPIC_ID},
	};

	play_await(self, s, 9, -1, rows, countof(rows));
	for (size_t i = 0; i < countof(rows); i++)
		rows[i].base_offset = 3;
	play_await(self, s, 12, 1, rows, countof(rows));
	play_await(self, s, 13, -1, by_id, countof(by_id));
}

TEST(each_partition_on_whichever_shard_has_an_answer_of_its_own)
{
	stage_run(NULL, mixed_main);
}

static void acks_main(struct fiber *self, struct stage *s)
{
	struct bytes good;
	struct row rows[2];

	stage_topic_await(self, s, "t", 1, NULL, NULL);
	good = stage_batch(s, NULL, "value", 1);
	rows[0] = (struct row){.topic = "t", .records = good, .error = ERR_INVALID_REQUIRED_ACKS};
	rows[1] = (struct row){.topic = "t", .partition = 1, .records = good, .error = ERR_UNKNOWN_TOPIC_OR_PARTITION};
	play_await(self, s, 9, 2, rows, 2);
	play_await(self, s, 9, -2, rows, 2);
	rows[0].error = OK;
	play_await(self, s, 3, -1, rows, 1);
}

TEST(acks_that_there_are_not_are_refused_where_there_is_a_partition)
{
	stage_run(NULL, acks_main);
}

static void damage_main(struct fiber *self, struct stage *s)
{
	struct bytes good, crc, magic, old;
	struct row rows[6];

	stage_topic_await(self, s, "t", 6, NULL, NULL);
	good = stage_batch(s, NULL, "value", 1);
	crc = stage_batch(s, NULL, "value", 1);
	magic = stage_batch(s, NULL, "value", 1);
	old = stage_batch(s, NULL, "value", 1);
	((uint8_t *)(uintptr_t)crc.data)[crc.size - 1] ^= 1;
	((uint8_t *)(uintptr_t)magic.data)[BATCH_MAGIC_PLACE] = 3;
	((uint8_t *)(uintptr_t)old.data)[BATCH_MAGIC_PLACE] = 1;
	rows[0] = (struct row){.topic = "t", .partition = 0, .records = crc, .error = ERR_CORRUPT_MESSAGE};
	rows[1] = (struct row){.topic = "t",
			       .partition = 1,
			       .records = magic,
			       .error = ERR_CORRUPT_MESSAGE,
			       .message = "Invalid magic found in record: 3"};
	rows[2] = (struct row){.topic = "t", .partition = 2, .records = old, .error = ERR_INVALID_RECORD};
	rows[3] = (struct row){.topic = "t", .partition = 3, .records = bytes_null(), .error = ERR_INVALID_RECORD};
	rows[4] = (struct row){.topic = "t",
			       .partition = 4,
			       .records = bytes_of(good.data, good.size - 1),
			       .error = ERR_INVALID_RECORD};
	rows[5] = (struct row){.topic = "t", .partition = 5, .records = good};
	play_await(self, s, 9, -1, rows, countof(rows));
}

TEST(damage_is_told_of_its_partition_alone)
{
	stage_run(NULL, damage_main);
}

static void keyless_main(struct fiber *self, struct stage *s)
{
	struct row rows[2];

	stage_topic_await(self, s, "keyed", 2, "cleanup.policy", "compact");
	rows[0] = (struct row){.topic = "keyed",
			       .partition = 1,
			       .records = stage_batch(s, NULL, "value", 2),
			       .error = ERR_INVALID_RECORD,
			       .message = "One or more records have been rejected, see the record errors",
			       .record_errors = 2};
	rows[1] = (struct row){.topic = "keyed", .partition = 0, .records = stage_batch(s, "key", "value", 2)};
	play_await(self, s, 9, -1, rows, 2);
}

TEST(records_that_a_compacted_topic_does_not_take_are_named)
{
	stage_run(NULL, keyless_main);
}

static void internal_main(struct fiber *self, struct stage *s)
{
	struct find_coordinator_request ask;
	struct find_coordinator_response told;
	struct bytes group = bytes_str("group");
	struct peer *admin = stage_connect(s, "__admin_client");
	struct row row = {.topic = "__consumer_offsets", .error = ERR_INVALID_TOPIC_EXCEPTION};

	/* It is made by who first asks for a coordinator. */
	message_init(&find_coordinator_request_type, &ask);
	ask.coordinator_keys = &group;
	ask.coordinator_keys_count = 1;
	stage_ask_await(self, s, API_FIND_COORDINATOR, 4, &ask, &told);
	row.records = stage_batch(s, "key", "value", 1);
	play_await(self, s, 9, -1, &row, 1);
	row.error = OK;
	play_by_await(self, s, admin, 9, -1, &row, 1);
	peer_free(admin);
}

TEST(kafkas_own_topics_take_records_from_its_own_tools_alone)
{
	stage_run(NULL, internal_main);
}

/* --- acks 0 --------------------------------------------------------------------------------------------------------- */

struct silent {
	struct peer_call call;
	struct event sent;
	bool done;
};

static void on_sent(struct peer_call *c)
{
	struct silent *silent = container_of(c, struct silent, call);

	silent->done = true;
	event_signal(&silent->sent);
}

static void send_silently_await(struct fiber *self, struct stage *s, const struct row *row)
{
	struct produce_request_topic_produce_data topic;
	struct produce_request_partition_produce_data data;
	struct produce_request request;
	struct silent silent = {.call = {.api_key = API_PRODUCE,
					 .version = 9,
					 .no_answer = true,
					 .deadline_us = shard_now_us(fiber_shard(self)) + STAGE_WAIT_US,
					 .request = &request,
					 .done = on_sent}};

	fill(&request, row, 1, 0, &topic, &data);
	event_init(&silent.sent);
	EXPECT_OK(peer_ready_await(self, s->peer, silent.call.deadline_us));
	EXPECT_OK(peer_send(s->peer, &silent.call));
	while (!silent.done)
		EXPECT_OK(event_wait_await(self, &silent.sent, FIBER_NO_DEADLINE));
	EXPECT_OK(silent.call.error);
}

static void silent_main(struct fiber *self, struct stage *s)
{
	struct bytes good = stage_batch(s, NULL, "value", 1);
	struct row row = {.topic = "t", .records = good};

	stage_topic_await(self, s, "t", 1, NULL, NULL);
	send_silently_await(self, s, &row);
	send_silently_await(self, s, &row);
	/* The next answer on the connection is that of the next request. */
	EXPECT(stage_produce_await(self, s, "t", 0, good) == 2);
	EXPECT(peer_failures(s->peer) == 0);
	row.partition = 1;
	send_silently_await(self, s, &row);
	while (peer_state(s->peer) == PEER_READY)
		EXPECT_OK(event_wait_await(self, &s->changed, FIBER_NO_DEADLINE));
	EXPECT(!strcmp(peer_why(s->peer), "the broker closed the connection"));
	EXPECT(stage_produce_await(self, s, "t", 0, good) == 3);
}

TEST(without_acks_an_error_is_told_by_the_end_of_the_connection)
{
	stage_run(NULL, silent_main);
}
