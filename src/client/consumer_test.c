/* consumer_test: the consumer against a broker of one partition that keeps fetch sessions and fails, by a script or by chance. */
#include "client/core.h"

#include <stdio.h>

#include "base/test.h"
#include "record/builder.h"
#include "rpc/script_broker.h"
#include "runtime/linux/linux.h"

#define TOPIC "orders"
#define BATCH 10
#define FIRST 40 /* the log starts here */
#define SESSION 77

struct consume_case {
	struct client_option options[16];
	size_t option_count;
	struct start from;
	int64_t records;     /* the log ends here */
	int16_t first_error; /* of the first Fetch */
	bool chance;
	bool old;  /* no topic ids: Fetch up to 12 */
	bool hint; /* `broker` leads nothing any more and says that `other` does; Metadata does not know it */
	/* The broker. */
	struct script_broker broker;
	struct script_broker other;
	struct prng random;
	struct buf log;
	size_t places[1000]; /* of batches */
	int32_t session_epoch;
	int64_t session_offset; /* -1: the partition is not in the session */
	bool has_session;
	bool loses; /* the broker forgets, once, that the partition is in the session */
	bool mute;  /* it gives nothing of it, though there is more */
	bool keeps; /* nothing is returned before the end */
	bool again; /* the partition is taken away and assigned anew in one go, once something came */
	unsigned fetches;
	unsigned incremental;
	unsigned faults;
	/* What came. */
	struct consumer *consumer;
	int64_t next;
	int64_t count;
	struct list held; /* until the client's reader gets to it */
	size_t held_count;
	size_t held_most;
	enum err error;
	bool ended;
	bool ran;
};

static struct uuid topic_id(const struct consume_case *c)
{
	return c->old ? (struct uuid){{0}} : (struct uuid){{9, 8, 7}};
}

/* --- the broker -------------------------------------------------------------------------------------------------- */

static void fill_log(struct consume_case *c)
{
	buf_init(&c->log, 1 << 24);
	for (int64_t at = FIRST; at < c->records; at += BATCH) {
		struct batch_options o = batch_options_default(10000);
		struct batch_builder b;
		struct bytes bytes;

		o.base_offset = at;
		o.codec = at % 3 ? CODEC_NONE : CODEC_LZ4;
		batch_builder_init(&b, &o);
		for (int64_t i = at; i < at + BATCH; i++)
			must_ok(batch_builder_append(&b, i, bytes_null(), bytes_of(&i, sizeof(i)), NULL, 0));
		must_ok(batch_builder_finish(&b, &bytes));
		c->places[(at - FIRST) / BATCH] = c->log.size;
		buf_put_bytes(&c->log, bytes);
		batch_builder_fini(&b);
	}
}

static void answer_metadata(struct consume_case *c, struct script_request *q, struct buf *out)
{
	struct metadata_response_metadata_response_partition partition = {.leader_id = 1};
	struct metadata_response_metadata_response_topic topic = {
		.name = bytes_str(TOPIC), .topic_id = topic_id(c), .partitions = &partition, .partitions_count = 1};
	struct metadata_response_metadata_response_broker node = {
		.node_id = 1, .host = bytes_str("127.0.0.1"), .port = c->broker.address.port};
	struct metadata_request request;
	struct metadata_response r;

	script_get(q, &request);
	message_init(&metadata_response_type, &r);
	r.brokers = &node;
	r.brokers_count = 1;
	r.topics = &topic;
	r.topics_count = request.topics_count > 0 ? 1 : 0;
	script_put(q, &r, out);
}

static void answer_offsets(struct consume_case *c, struct script_request *q, struct buf *out)
{
	struct list_offsets_response_list_offsets_partition_response partition = {.timestamp = -1, .leader_epoch = -1};
	struct list_offsets_response_list_offsets_topic_response topic = {
		.name = bytes_str(TOPIC), .partitions = &partition, .partitions_count = 1};
	struct list_offsets_request request;
	struct list_offsets_response r;
	int64_t time;

	script_get(q, &request);
	time = request.topics[0].partitions[0].timestamp;
	partition.offset = time == -2 ? FIRST : time == -1 ? c->records : time < c->records ? time : -1;
	message_init(&list_offsets_response_type, &r);
	r.topics = &topic;
	r.topics_count = 1;
	script_put(q, &r, out);
}

/* From the batch that holds the offset, cut off in the middle of one mostly. */
static struct bytes records_from(const struct consume_case *c, int64_t offset)
{
	size_t begin, size;

	if (offset >= c->records)
		return bytes_empty();
	begin = c->places[(offset - FIRST) / BATCH];
	size = c->log.size - begin < 3000 ? c->log.size - begin : 3000;
	return bytes_of(c->log.data + begin, size);
}

static int16_t session_check(struct consume_case *c, const struct fetch_request *request)
{
	if (request->session_epoch == 0) {
		c->session_offset = -1;
		c->has_session = true;
		c->session_epoch = 1;
		return OK;
	}
	if (!c->has_session || request->session_id != SESSION)
		return ERR_FETCH_SESSION_ID_NOT_FOUND;
	if (request->session_epoch != c->session_epoch)
		return ERR_INVALID_FETCH_SESSION_EPOCH;
	c->session_epoch++;
	c->incremental++;
	return OK;
}

static enum script_outcome answer_fetch(struct consume_case *c, const struct script_broker *b, struct script_request *q,
					struct buf *out)
{
	struct fetch_response_node_endpoint endpoint;
	struct fetch_response_partition_data partition;
	struct fetch_response_fetchable_topic_response topic = {.partitions = &partition, .partitions_count = 1};
	struct fetch_request request;
	struct fetch_response r;
	uint64_t chance = c->chance ? prng_below(&c->random, 12) : 99;

	script_get(q, &request);
	c->fetches++;
	c->faults += chance < 4;
	if (chance == 0)
		return SCRIPT_CLOSE;
	if (chance == 1)
		c->has_session = false; /* evicted */
	message_init(&fetch_response_type, &r);
	r.error_code = session_check(c, &request);
	if (!r.error_code) {
		r.session_id = SESSION;
		CHECK_EQ(request.topics_count <= 1, 1);
		if (request.topics_count == 1)
			c->session_offset = request.topics[0].partitions[0].fetch_offset;
		if (c->loses && c->fetches > 2) {
			c->session_offset = -1;
			c->loses = false;
		}
		/* What is named in both is forgotten: Kafka's brokers take them in this order. */
		if (request.forgotten_topics_data_count > 0)
			c->session_offset = -1;
		if (c->session_offset < 0 || c->mute) {
			script_put(q, &r, out);
			return SCRIPT_ANSWER;
		}
		partition = (struct fetch_response_partition_data){.high_watermark = c->records,
								   .last_stable_offset = c->records};
		partition.diverging_epoch = (struct fetch_response_epoch_end_offset){.epoch = -1, .end_offset = -1};
		partition.current_leader.leader_id = partition.current_leader.leader_epoch = -1;
		partition.snapshot_id = (struct fetch_response_snapshot_id){.end_offset = -1, .epoch = -1};
		partition.preferred_read_replica = -1;
		partition.error_code = c->fetches == 1 ? c->first_error : (int16_t)OK;
		if (c->session_offset < FIRST || c->session_offset > c->records)
			partition.error_code = ERR_OFFSET_OUT_OF_RANGE;
		if (chance == 2)
			partition.error_code = ERR_NOT_LEADER_OR_FOLLOWER;
		if (chance == 3)
			partition.error_code = ERR_UNKNOWN_TOPIC_ID;
		if (!partition.error_code)
			partition.records = records_from(c, c->session_offset);
		if (q->header.api_version >= 13)
			topic.topic_id = topic_id(c);
		else
			topic.topic = bytes_str(TOPIC);
		r.responses = &topic;
		r.responses_count = 1;
		if (c->hint && b == &c->broker) {
			partition.error_code = ERR_NOT_LEADER_OR_FOLLOWER;
			partition.records = bytes_empty();
			partition.current_leader.leader_id = 2;
			partition.current_leader.leader_epoch = 7;
			endpoint = (struct fetch_response_node_endpoint){
				.node_id = 2, .host = bytes_str("127.0.0.1"), .port = c->other.address.port};
			r.node_endpoints = &endpoint;
			r.node_endpoints_count = 1;
		}
	}
	script_put(q, &r, out);
	return SCRIPT_ANSWER;
}

static enum script_outcome answer(struct script_broker *b, struct script_request *q, struct buf *out)
{
	struct consume_case *c = b->user;

	if (q->header.api_key == API_API_VERSIONS)
		script_put_versions(q, out);
	else if (q->header.api_key == API_METADATA)
		answer_metadata(c, q, out);
	else if (q->header.api_key == API_LIST_OFFSETS)
		answer_offsets(c, q, out);
	else
		return answer_fetch(c, b, q, out);
	return SCRIPT_ANSWER;
}

/* --- the client -------------------------------------------------------------------------------------------------- */

static void on_outcome(void *user, const struct produce_outcome *o)
{
	(void)user;
	(void)o;
	must_not_reach();
}

static void on_fetched(void *user, struct fetched *f)
{
	struct consume_case *c = user;
	const struct batch_header *h;
	struct record r;

	CHECK_EQ(f->generation, 5);
	while (fetched_next(f, &r, &h) == OK) {
		int64_t value;

		memcpy(&value, r.value.data, sizeof(value));
		CHECK_EQ(value, r.offset);
		if (c->count > 0)
			CHECK_EQ(r.offset, c->next);
		c->next = r.offset + 1;
		c->count++;
	}
	c->error = f->error ? f->error : c->error;
	c->ended |= f->end;
	c->held_count++;
	c->held_most = c->held_count > c->held_most ? c->held_count : c->held_most;
	list_push_back(&c->held, &f->node);
}

static void return_all(struct consume_case *c)
{
	struct list_node *n;

	while ((n = list_pop_front(&c->held)))
		consumer_return(c->consumer, container_of(n, struct fetched, node));
	c->held_count = 0;
}

static void consume_case_main(struct fiber *self, void *argument)
{
	struct consume_case *c = argument;
	struct shard *s = fiber_shard(self);
	struct client_sink sink = {.outcome = on_outcome, .hand_over = on_fetched, .user = c};
	struct client_config config;
	struct client *client;
	struct buf message;
	char address[40];

	list_init(&c->held);
	fill_log(c);
	script_broker_open_await(self, &c->broker);
	script_broker_open_await(self, &c->other);
	snprintf(address, sizeof(address), "127.0.0.1:%u", c->broker.address.port);
	c->options[c->option_count++] = (struct client_option){"bootstrap.servers", address};
	c->options[c->option_count++] = (struct client_option){"retry.backoff.ms", "1"};
	c->options[c->option_count++] = (struct client_option){"retry.backoff.max.ms", "2"};
	c->options[c->option_count++] = (struct client_option){"reconnect.backoff.ms", "1"};
	c->options[c->option_count++] = (struct client_option){"enable.partition.eof", "true"};
	buf_init(&message, 1000);
	must_ok(client_config_parse(c->options, c->option_count, &config, &message));
	must_ok(client_new(s, &config, &sink, &message, &client));
	c->consumer = client->consumer;
	consumer_assign(client->consumer, TOPIC, 0, c->from, 5);
	while (!c->ended && !c->error) {
		fiber_sleep_await(self, 500);
		if (!c->keeps)
			return_all(c);
		if (c->again && c->count > 0) {
			c->again = false;
			consumer_unassign(client->consumer, TOPIC, 0);
			consumer_assign(client->consumer, TOPIC, 0, (struct start){START_OFFSET, c->next}, 5);
		}
	}
	client_stop_await(self, client);
	return_all(c);
	client_free(client);
	client_config_fini(&config);
	buf_fini(&message);
	buf_fini(&c->log);
	script_broker_close(&c->broker);
	script_broker_close(&c->other);
	fiber_yield_await(self);
	c->ran = true;
	runtime_stop(shard_runtime(s), 0);
}

static void on_start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "test"};

	must(fiber_start(s, &options, consume_case_main, argument));
}

static void run_case(struct consume_case *c)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	c->broker.answer = answer;
	c->broker.user = c;
	c->other.answer = answer;
	c->other.user = c;
	c->records = c->records ? c->records : FIRST + 100;
	CHECK_EQ(linux_run(&o, on_start, c), 0);
	CHECK(c->ran);
}

TEST(what_a_broker_forgot_is_asked_for_anew)
{
	struct consume_case c = {
		.options = {{"moldau.stall.timeout.ms", "20"}},
		.option_count = 1,
		.from = {START_BEGINNING},
		.records = 1000,
		.loses = true,
	};

	run_case(&c);
	CHECK(!c.loses);
	CHECK_EQ(c.error, OK);
	CHECK_EQ(c.count, c.records - FIRST);
}

TEST(who_gets_nothing_though_there_is_more_is_told)
{
	struct consume_case c = {
		.options = {{"moldau.stall.timeout.ms", "20"}},
		.option_count = 1,
		.from = {START_BEGINNING},
		.records = 100,
		.mute = true,
	};

	run_case(&c);
	CHECK_EQ(c.error, ERR_STALLED);
	CHECK_EQ(c.count, 0);
}

TEST(reading_starts_where_it_was_asked_to_and_ends_at_the_end)
{
	static const struct {
		struct start from;
		int64_t count;
	} cases[] = {
		{{START_BEGINNING, 0}, 100},      {{START_END, 0}, 0},     {{START_OFFSET, FIRST}, 100},
		{{START_OFFSET, FIRST + 37}, 63}, {{START_TAIL, 7}, 7},    {{START_TAIL, 5000}, 100},
		{{START_TIME, FIRST + 3}, 97},    {{START_TIME, 5000}, 0}, {{START_OFFSET, FIRST + 100}, 0},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct consume_case c = {.from = cases[i].from, .old = i % 2};

		run_case(&c);
		CHECK_EQ(c.count, cases[i].count);
		CHECK(c.ended && !c.error);
	}
}

TEST(an_offset_that_is_gone_is_reset_as_the_setting_says)
{
	static const struct {
		const char *reset;
		int64_t count;
		enum err err;
	} cases[] = {{"earliest", 100, OK}, {"latest", 0, OK}, {"none", 0, ERR_OFFSET_OUT_OF_RANGE}};

	for (size_t i = 0; i < countof(cases); i++) {
		struct consume_case c = {.from = {START_OFFSET, 3}, .options = {{"auto.offset.reset", cases[i].reset}}};

		c.option_count = 1;
		run_case(&c);
		CHECK_EQ(c.count, cases[i].count);
		CHECK_EQ(c.error, cases[i].err);
	}
}

TEST(what_repeating_does_not_mend_stops_the_partition_with_an_error)
{
	struct consume_case c = {.from = {START_BEGINNING, 0}, .first_error = ERR_TOPIC_AUTHORIZATION_FAILED};

	run_case(&c);
	CHECK_EQ(c.error, ERR_TOPIC_AUTHORIZATION_FAILED);
}

/* Lost connections, evicted sessions, moved leaders: a third of the fetches fail. */
TEST(under_faults_by_chance_every_record_comes_once_and_in_order)
{
	unsigned faults = 0, incremental = 0;

	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct consume_case c = {
			.from = {START_BEGINNING, 0}, .records = FIRST + 5000, .chance = true, .old = seed % 2};

		prng_seed(&c.random, seed);
		run_case(&c);
		CHECK_EQ(c.count, 5000);
		CHECK_EQ(c.next, FIRST + 5000);
		CHECK(!c.error);
		faults += c.faults;
		incremental += c.incremental;
	}
	/* It was as bad as it should be, and sessions were used. */
	CHECK(faults > 100);
	CHECK(incremental > 100);
}

/* One kilobyte may be outstanding, which each answer is more than: the next is asked for when it is read. */
TEST(memory_for_what_is_fetched_ahead_is_bounded)
{
	struct consume_case free_run = {.from = {START_BEGINNING, 0}, .records = FIRST + 1000, .keeps = true};
	struct consume_case c = {.from = {START_BEGINNING, 0},
				 .records = FIRST + 1000,
				 .options = {{"queued.max.messages.kbytes", "1"}}};

	c.option_count = 1;
	run_case(&c);
	CHECK_EQ(c.count, 1000);
	CHECK_EQ(c.held_most, 1);
	run_case(&free_run);
	CHECK(free_run.held_most > 2);
}

TEST(a_refusal_that_names_the_new_leader_moves_the_reader_there)
{
	struct consume_case c = {.from = {START_OFFSET, FIRST}, .hint = true};

	run_case(&c);
	CHECK_EQ(c.count, 100);
	CHECK(!c.error);
	CHECK(c.other.accepted > 0);
}

/* A rebalance that takes a partition away and gives it back: the session has it all the time. */
TEST(a_partition_that_goes_and_comes_before_the_next_request_is_read_on)
{
	for (unsigned old = 0; old < 2; old++) {
		struct consume_case c = {
			.from = {START_BEGINNING, 0}, .records = FIRST + 1000, .old = old, .again = true};

		run_case(&c);
		CHECK_EQ(c.count, 1000);
		CHECK(!c.again && c.ended && !c.error);
	}
}
