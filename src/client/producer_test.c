/*
 * producer_test: the producer against a broker that keeps a log as Kafka does (sequences and epochs are checked) and fails by a
 * script, or by chance from a seed.
 */
#include "client/core.h"

#include <stdio.h>

#include "base/test.h"
#include "rpc/script_broker.h"
#include "runtime/linux/linux.h"

#define PARTITIONS 3
#define LOG_MAX 8192
#define TOPIC "orders"

enum mishap { MISHAP_NONE, MISHAP_LOSE_REQUEST, MISHAP_LOSE_ANSWER, MISHAP_REFUSE, MISHAP_APPEND_AND_REFUSE };

struct model_log {
	int32_t values[LOG_MAX];
	size_t count;
	int64_t producer_id;
	int16_t epoch;
	int32_t next_sequence;
	/* Of the last batches, for duplicates. */
	int32_t recent[5];
	int32_t recent_count[5];
	size_t recent_at;
};

struct produce_case {
	struct client_option options[16];
	size_t option_count;
	int32_t records;
	bool key_each;
	int32_t partition;
	const enum mishap *faults; /* by Produce; then none */
	size_t fault_count;
	int16_t refuse_with;
	uint64_t seed; /* faults by chance when not 0 */
	bool slow_retries;
	bool mute; /* the first connection that a Produce comes on gets no answer to any */
	unsigned mute_connection;
	unsigned unanswered;
	bool hint; /* `broker` leads nothing any more and says that `other` does; Metadata does not know it */
	struct script_broker broker;
	struct script_broker other;
	struct produce_response_node_endpoint endpoint;
	struct prng chance;
	struct model_log logs[PARTITIONS];
	unsigned produces;
	unsigned refused_out_of_order;
	unsigned epochs;
	size_t most_in_one;
	/* What came of it. */
	int32_t acknowledged;
	int32_t failed;
	enum err last_error;
	int64_t offsets[LOG_MAX];
	bool ran;
};

/* --- the broker -------------------------------------------------------------------------------------------------- */

static struct uuid topic_id(void)
{
	return (struct uuid){{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
}

static void answer_metadata(struct script_broker *b, struct script_request *q, struct buf *out)
{
	struct metadata_response_metadata_response_partition partitions[PARTITIONS] = {0};
	struct metadata_response_metadata_response_topic topic = {.name = bytes_str(TOPIC),
								  .topic_id = topic_id(),
								  .partitions = partitions,
								  .partitions_count = PARTITIONS};
	struct metadata_response_metadata_response_broker node = {
		.node_id = 1, .host = bytes_str("127.0.0.1"), .port = b->address.port};
	struct metadata_request request;
	struct metadata_response r;

	script_get(q, &request);
	message_init(&metadata_response_type, &r);
	for (int32_t i = 0; i < PARTITIONS; i++) {
		partitions[i].partition_index = i;
		partitions[i].leader_id = 1;
	}
	r.brokers = &node;
	r.brokers_count = 1;
	r.topics = &topic;
	r.topics_count = request.topics_count > 0 ? 1 : 0;
	script_put(q, &r, out);
}

static int32_t number_of(struct bytes value)
{
	int32_t n = 0;

	for (size_t i = 0; i < value.size && value.data[i] >= '0' && value.data[i] <= '9'; i++)
		n = n * 10 + value.data[i] - '0';
	return n;
}

static void append_values(struct model_log *l, struct bytes batch)
{
	struct record_iter it;
	struct record r;
	struct buf scratch;

	buf_init(&scratch, 1 << 24);
	must_ok(record_iter_init(&it, batch, &scratch, 1 << 24, NULL));
	while (record_iter_next(&it, &r) == OK) {
		must(l->count < LOG_MAX);
		l->values[l->count++] = number_of(r.value);
	}
	buf_fini(&scratch);
}

/* Kafka's rules for an idempotent producer, as far as this test needs them. */
static int16_t model_append(struct produce_case *c, struct model_log *l, struct bytes batch, int64_t *ret_offset)
{
	struct batch_header h;

	must_ok(batch_header_read(batch, &h));
	CHECK(batch_crc_ok(batch));
	if ((size_t)h.record_count > c->most_in_one)
		c->most_in_one = (size_t)h.record_count;
	if (h.producer_id >= 0) {
		if (h.producer_id == l->producer_id && h.producer_epoch == l->epoch) {
			for (size_t i = 0; i < 5; i++) {
				if (l->recent_count[i] == h.record_count && l->recent[i] == h.base_sequence) {
					*ret_offset = -7; /* where it is does not matter here */
					return OK;
				}
			}
		}
		if (h.producer_id == l->producer_id && h.producer_epoch < l->epoch)
			return ERR_INVALID_PRODUCER_EPOCH;
		if (h.producer_id != l->producer_id || h.producer_epoch > l->epoch) {
			if (h.base_sequence != 0) {
				c->refused_out_of_order++;
				return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
			}
			c->epochs++;
			memset(l->recent_count, 0, sizeof(l->recent_count));
		} else if (h.base_sequence != l->next_sequence) {
			c->refused_out_of_order++;
			return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
		}
		l->producer_id = h.producer_id;
		l->epoch = h.producer_epoch;
		l->next_sequence = h.base_sequence + h.record_count;
		l->recent[l->recent_at] = h.base_sequence;
		l->recent_count[l->recent_at] = h.record_count;
		l->recent_at = (l->recent_at + 1) % 5;
	}
	*ret_offset = (int64_t)l->count;
	append_values(l, batch);
	return OK;
}

static enum mishap next_fault(struct produce_case *c)
{
	unsigned number = c->produces++;

	if (c->seed && prng_chance(&c->chance, 1, 3))
		return (enum mishap)prng_between(&c->chance, MISHAP_LOSE_REQUEST, MISHAP_APPEND_AND_REFUSE);
	return number < c->fault_count ? c->faults[number] : MISHAP_NONE;
}

static int16_t refusal(struct produce_case *c)
{
	static const int16_t retriable[] = {ERR_NOT_LEADER_OR_FOLLOWER, ERR_REQUEST_TIMED_OUT, ERR_NOT_ENOUGH_REPLICAS,
					    ERR_KAFKA_STORAGE_ERROR, ERR_UNKNOWN_TOPIC_ID};

	return c->refuse_with ? c->refuse_with : retriable[prng_below(&c->chance, countof(retriable))];
}

/* From a broker that does not lead: who does. */
static void put_hint(struct produce_case *c, struct produce_response *r)
{
	struct produce_response_partition_produce_response *rows = r->responses[0].partition_responses;

	for (int32_t i = 0; i < r->responses[0].partition_responses_count; i++) {
		rows[i].error_code = ERR_NOT_LEADER_OR_FOLLOWER;
		rows[i].current_leader.leader_id = 2;
		rows[i].current_leader.leader_epoch = 7;
	}
	c->endpoint = (struct produce_response_node_endpoint){
		.node_id = 2, .host = bytes_str("127.0.0.1"), .port = c->other.address.port};
	r->node_endpoints = &c->endpoint;
	r->node_endpoints_count = 1;
}

static enum script_outcome answer_produce(struct produce_case *c, struct script_broker *b, struct script_request *q,
					  struct buf *out)
{
	bool leads = !c->hint || b == &c->other;
	struct produce_response_partition_produce_response rows[PARTITIONS];
	struct produce_response_topic_produce_response topic = {.partition_responses = rows};
	enum mishap fault = next_fault(c);
	struct produce_request request;
	struct produce_response r;

	if (c->mute && (c->unanswered == 0 || b->accepted == c->mute_connection)) {
		c->mute_connection = b->accepted;
		c->unanswered++;
		return SCRIPT_SILENT;
	}
	if (fault == MISHAP_LOSE_REQUEST)
		return SCRIPT_CLOSE;
	script_get(q, &request);
	CHECK_EQ(request.topic_data_count, 1);
	for (int32_t i = 0; i < request.topic_data[0].partition_data_count; i++) {
		const struct produce_request_partition_produce_data *p = &request.topic_data[0].partition_data[i];

		rows[i] = (struct produce_response_partition_produce_response){
			.index = p->index, .base_offset = -1, .log_append_time_ms = -1};
		rows[i].current_leader.leader_id = rows[i].current_leader.leader_epoch = -1;
		if (fault != MISHAP_REFUSE && leads)
			rows[i].error_code = model_append(c, &c->logs[p->index], p->records, &rows[i].base_offset);
		if (fault == MISHAP_REFUSE || (fault == MISHAP_APPEND_AND_REFUSE && !rows[i].error_code))
			rows[i].error_code = fault == MISHAP_REFUSE ? refusal(c) : (int16_t)ERR_REQUEST_TIMED_OUT;
	}
	if (fault == MISHAP_LOSE_ANSWER)
		return SCRIPT_CLOSE;
	if (request.acks == 0)
		return SCRIPT_SILENT;
	message_init(&produce_response_type, &r);
	topic.partition_responses_count = request.topic_data[0].partition_data_count;
	if (q->header.api_version >= 13)
		topic.topic_id = topic_id();
	else
		topic.name = bytes_str(TOPIC);
	r.responses = &topic;
	r.responses_count = 1;
	if (!leads)
		put_hint(c, &r);
	script_put(q, &r, out);
	return SCRIPT_ANSWER;
}

static enum script_outcome answer(struct script_broker *b, struct script_request *q, struct buf *out)
{
	struct produce_case *c = b->user;
	struct init_producer_id_response id;

	switch (q->header.api_key) {
	case API_API_VERSIONS:
		script_put_versions(q, out);
		return SCRIPT_ANSWER;
	case API_METADATA:
		answer_metadata(b, q, out);
		return SCRIPT_ANSWER;
	case API_INIT_PRODUCER_ID:
		message_init(&init_producer_id_response_type, &id);
		id.producer_id = 1000 + b->requests;
		id.producer_epoch = 0;
		script_put(q, &id, out);
		return SCRIPT_ANSWER;
	default:
		CHECK_EQ(q->header.api_key, API_PRODUCE);
		return answer_produce(c, b, q, out);
	}
}

/* --- the client -------------------------------------------------------------------------------------------------- */

static void on_outcome(void *user, const struct produce_outcome *o)
{
	struct produce_case *c = user;

	if (o->error) {
		c->failed += o->count;
		c->last_error = o->error;
		CHECK(strlen(o->text) > 0);
		return;
	}
	for (int32_t i = 0; i < o->count; i++) {
		intptr_t number = (intptr_t)o->opaques[i];

		CHECK(c->offsets[number] == INT64_MIN); /* one outcome each */
		c->offsets[number] = o->base_offset;
	}
	c->acknowledged += o->count;
}

static void on_fetched(void *user, struct fetched *f)
{
	(void)user;
	(void)f;
	must_not_reach();
}

static void add_records(struct produce_case *c, struct client *client, int32_t from, int32_t to)
{
	struct produce_topic *topic = producer_topic(client->producer, TOPIC);

	for (int32_t i = from; i < to; i++) {
		char text[200];
		struct produce_record r = {.timestamp = i, .opaque = (void *)(intptr_t)i, .charged = 1};

		c->offsets[i] = INT64_MIN;
		snprintf(text, sizeof(text), "%d ..................................................", i);
		r.value = bytes_str(text);
		r.key = c->key_each ? bytes_of(text, 3) : bytes_null();
		producer_add(client->producer, topic, c->partition, &r);
	}
}

static void produce_case_main(struct fiber *self, void *argument)
{
	struct produce_case *c = argument;
	struct shard *s = fiber_shard(self);
	struct client_sink sink = {.outcome = on_outcome, .hand_over = on_fetched, .user = c};
	struct client_config config;
	struct client *client;
	struct buf message;
	char port[40];

	script_broker_open_await(self, &c->broker);
	script_broker_open_await(self, &c->other);
	snprintf(port, sizeof(port), "127.0.0.1:%u", c->broker.address.port);
	c->options[c->option_count++] = (struct client_option){"bootstrap.servers", port};
	c->options[c->option_count++] = (struct client_option){"retry.backoff.ms", c->slow_retries ? "30" : "1"};
	c->options[c->option_count++] = (struct client_option){"retry.backoff.max.ms", "3"};
	c->options[c->option_count++] = (struct client_option){"reconnect.backoff.ms", "1"};
	c->options[c->option_count++] = (struct client_option){"reconnect.backoff.max.ms", "2"};
	buf_init(&message, 1000);
	must_ok(client_config_parse(c->options, c->option_count, &config, &message));
	must_ok(client_new(s, &config, &sink, &message, &client));
	/* In pieces, so that batches come to be while others fail. */
	for (int32_t at = 0; at < c->records; at += 50) {
		add_records(c, client, at, at + 50 < c->records ? at + 50 : c->records);
		fiber_yield_await(self);
	}
	while (c->acknowledged + c->failed < c->records)
		fiber_sleep_await(self, 500);
	client_stop_await(self, client);
	client_free(client);
	client_config_fini(&config);
	buf_fini(&message);
	script_broker_close(&c->broker);
	script_broker_close(&c->other);
	fiber_yield_await(self);
	c->ran = true;
	runtime_stop(shard_runtime(s), 0);
}

static void on_start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "test"};

	must(fiber_start(s, &options, produce_case_main, argument));
}

static struct produce_case *case_new(int32_t records)
{
	struct produce_case *c = mem_new(struct produce_case);

	c->records = records;
	c->broker.answer = answer;
	c->broker.user = c;
	c->other.answer = answer;
	c->other.user = c;
	for (int i = 0; i < PARTITIONS; i++)
		c->logs[i].producer_id = -1;
	return c;
}

static void set(struct produce_case *c, const char *name, const char *value)
{
	c->options[c->option_count++] = (struct client_option){name, value};
}

static void run_case(struct produce_case *c)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	prng_seed(&c->chance, c->seed);
	CHECK_EQ(linux_run(&o, on_start, c), 0);
	CHECK(c->ran);
}

/* Every acknowledged record is there once, and those of a partition are in the order of their numbers. */
static void check_logs(const struct produce_case *c)
{
	size_t total = 0;

	for (int p = 0; p < PARTITIONS; p++) {
		const struct model_log *l = &c->logs[p];

		total += l->count;
		for (size_t i = 1; i < l->count; i++)
			CHECK(l->values[i - 1] < l->values[i]);
	}
	CHECK_EQ(total, c->records - c->failed);
}

TEST(records_go_to_their_partition_in_order_and_are_acknowledged)
{
	struct produce_case *c = case_new(1000);

	c->partition = 1;
	run_case(c);
	CHECK_EQ(c->acknowledged, 1000);
	CHECK_EQ(c->logs[1].count, 1000);
	CHECK_EQ(c->offsets[0], 0);
	check_logs(c);
	mem_free(c);
}

TEST(each_loss_and_refusal_is_repeated_without_a_duplicate)
{
	static const enum mishap faults[] = {MISHAP_LOSE_REQUEST, MISHAP_LOSE_ANSWER, MISHAP_REFUSE,
					     MISHAP_APPEND_AND_REFUSE};

	for (size_t i = 0; i < countof(faults); i++) {
		struct produce_case *c = case_new(600);

		c->faults = &faults[i];
		c->fault_count = 1;
		c->refuse_with = ERR_NOT_LEADER_OR_FOLLOWER;
		set(c, "batch.size", "2000");
		run_case(c);
		CHECK_EQ(c->acknowledged, 600);
		CHECK_EQ(c->failed, 0);
		check_logs(c);
		mem_free(c);
	}
}

/* Thousands of batches, a third of the requests fail one way or another; five in flight. */
TEST(under_faults_by_chance_nothing_is_lost_doubled_or_out_of_order)
{
	unsigned overtaken = 0, produces = 0;

	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct produce_case *c = case_new(3000);

		c->seed = seed;
		c->partition = seed % 2 ? -1 : 0;
		c->key_each = seed % 3 == 0;
		set(c, "batch.size", "1000");
		set(c, "linger.ms", "0");
		set(c, "compression.type", seed % 4 == 0 ? "lz4" : "none");
		run_case(c);
		CHECK_EQ(c->acknowledged, 3000);
		check_logs(c);
		overtaken += c->refused_out_of_order;
		produces += c->produces;
		mem_free(c);
	}
	/* It was as bad as it should be. */
	CHECK(overtaken > 20);
	CHECK(produces > 500);
}

/* A batch that the broker refuses for good fails alone; what follows it goes on in a new epoch. */
TEST(after_a_final_refusal_the_partition_goes_on_in_a_new_epoch)
{
	static const enum mishap faults[] = {MISHAP_NONE, MISHAP_REFUSE};
	struct produce_case *c = case_new(1000);

	c->faults = faults;
	c->fault_count = countof(faults);
	c->refuse_with = ERR_INVALID_RECORD;
	c->partition = 0;
	set(c, "batch.size", "1000");
	run_case(c);
	CHECK(c->failed > 0 && c->failed < 100);
	CHECK_EQ(c->last_error, ERR_INVALID_RECORD);
	CHECK_EQ(c->acknowledged + c->failed, 1000);
	CHECK_EQ(c->epochs, 2);
	check_logs(c);
	mem_free(c);
}

TEST(a_batch_that_is_too_large_for_the_broker_is_split)
{
	static const enum mishap faults[] = {MISHAP_REFUSE};
	struct produce_case *c = case_new(400);

	c->faults = faults;
	c->fault_count = 1;
	c->refuse_with = ERR_MESSAGE_TOO_LARGE;
	c->partition = 2;
	set(c, "batch.size", "100000");
	set(c, "compression.type", "zstd");
	run_case(c);
	CHECK_EQ(c->acknowledged, 400);
	CHECK(c->most_in_one <= 200);
	check_logs(c);
	mem_free(c);
}

TEST(without_retries_a_lost_answer_is_an_error)
{
	static const enum mishap faults[] = {MISHAP_LOSE_ANSWER};
	struct produce_case *c = case_new(10);

	c->faults = faults;
	c->fault_count = 1;
	c->partition = 0;
	set(c, "retries", "0");
	run_case(c);
	CHECK_EQ(c->failed, 10);
	CHECK_EQ(c->last_error, ERR_CONNECTION_LOST);
	CHECK_EQ(c->logs[0].count, 10); /* it was written: in doubt is what the error means */
	mem_free(c);
}

TEST(with_acks_0_records_are_done_when_they_are_sent)
{
	struct produce_case *c = case_new(500);

	c->partition = 0;
	set(c, "acks", "0");
	run_case(c);
	CHECK_EQ(c->acknowledged, 500);
	CHECK_EQ(c->offsets[0], -1);
	mem_free(c);
}

TEST(a_partition_that_does_not_exist_is_told)
{
	struct produce_case *c = case_new(3);

	c->partition = 77;
	run_case(c);
	CHECK_EQ(c->failed, 3);
	CHECK_EQ(c->last_error, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	mem_free(c);
}

TEST(without_key_records_are_spread_by_batches_or_in_turn)
{
	struct produce_case *c = case_new(900);

	c->partition = -1;
	set(c, "partitioner", "round_robin");
	run_case(c);
	for (int p = 0; p < PARTITIONS; p++)
		CHECK_EQ(c->logs[p].count, 300);
	mem_free(c);

	c = case_new(3000);
	c->partition = -1;
	set(c, "batch.size", "1000");
	run_case(c);
	for (int p = 0; p < PARTITIONS; p++)
		CHECK(c->logs[p].count > 300);
	CHECK(c->most_in_one > 5);
	mem_free(c);
}

/* The Metadata of this case never tells of the second broker: only what the refused Produce says leads there. */
TEST(a_refusal_that_names_the_new_leader_sends_the_batch_there)
{
	struct produce_case *c = case_new(600);

	c->hint = true;
	c->partition = 1;
	set(c, "batch.size", "2000");
	run_case(c);
	CHECK_EQ(c->acknowledged, 600);
	CHECK(c->other.accepted > 0);
	check_logs(c);
	mem_free(c);
}

TEST(a_record_over_its_time_fails_and_is_not_sent_later)
{
	static const enum mishap mishaps[] = {MISHAP_REFUSE, MISHAP_REFUSE, MISHAP_REFUSE, MISHAP_REFUSE,
					      MISHAP_REFUSE, MISHAP_REFUSE, MISHAP_REFUSE, MISHAP_REFUSE,
					      MISHAP_REFUSE, MISHAP_REFUSE};
	struct produce_case *c = case_new(20);

	c->faults = mishaps;
	c->fault_count = countof(mishaps);
	c->refuse_with = ERR_NOT_ENOUGH_REPLICAS;
	c->slow_retries = true;
	c->partition = 0;
	set(c, "delivery.timeout.ms", "60");
	set(c, "request.timeout.ms", "40");
	set(c, "linger.ms", "1");
	run_case(c);
	CHECK_EQ(c->failed, 20);
	CHECK_EQ(c->last_error, ERR_TIMED_OUT);
	CHECK_EQ(c->logs[0].count, 0);
	CHECK(c->produces < countof(mishaps));
	mem_free(c);
}

/* Nothing is answered on the first connection, so what comes there is all that the client has under way. */
TEST(no_more_requests_are_under_way_than_the_setting_allows)
{
	static const struct {
		const char *setting;
		unsigned most;
	} cases[] = {{"1", 1}, {"3", 3}, {"5", 5}};

	for (size_t i = 0; i < countof(cases); i++) {
		struct produce_case *c = case_new(2000);

		c->mute = true;
		c->partition = 0;
		set(c, "max.in.flight.requests.per.connection", cases[i].setting);
		set(c, "batch.size", "1000");
		set(c, "linger.ms", "0");
		set(c, "request.timeout.ms", "300");
		set(c, "delivery.timeout.ms", "100000");
		run_case(c);
		CHECK_EQ(c->unanswered, cases[i].most);
		mem_free(c);
	}
}
