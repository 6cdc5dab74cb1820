/*
 * transaction_test: a transactional producer against a broker that keeps its transactions as Kafka does (epochs and partitions are checked), in
 * both protocols, and refuses by a script.
 */
#include "client/transaction.h"

#include <stdio.h>

#include "base/test.h"
#include "client/core.h"
#include "rpc/script_broker.h"
#include "runtime/linux/linux.h"

#define TOPIC "orders"
#define PRODUCER 4000
#define ERRORS_MAX 16

struct refusal {
	int16_t api_key;
	enum err error;
	bool lose; /* it happens, but the answer is lost */
};

struct txn_case {
	int16_t level; /* transaction.version */
	struct refusal refusals[ERRORS_MAX];
	size_t refusal_count;
	void (*play_await)(struct fiber *self, struct txn_case *c);
	struct script_broker broker;
	struct client *client;
	/* The broker's. */
	int16_t epoch;
	bool open;
	bool has_partition;
	bool has_group;
	unsigned ends; /* requests */
	unsigned records;
	unsigned visible; /* committed */
	unsigned aborted;
	unsigned pending; /* offsets in the open transaction */
	unsigned offsets; /* committed ones */
	/* The program's. */
	unsigned acknowledged;
	unsigned failed;
	enum err last_error;
	char why[TRANSACT_TEXT_SIZE];
	bool ran;
};

/* --- the broker -------------------------------------------------------------------------------------------------- */

static void answer_versions(struct txn_case *c, struct script_request *q, struct buf *out)
{
	struct api_versions_response_finalized_feature_key feature = {
		.name = bytes_str("transaction.version"), .max_version_level = c->level, .min_version_level = c->level};
	struct api_versions_response_api_version rows[128];
	struct api_versions_response r;

	message_init(&api_versions_response_type, &r);
	r.api_keys = rows;
	for (int16_t key = 0; key < 128; key++) {
		const struct api *api = api_find(key);

		if (api && api->on_broker)
			rows[r.api_keys_count++] = (struct api_versions_response_api_version){
				.api_key = key, .min_version = api->min_version, .max_version = api->max_version};
	}
	r.finalized_features = &feature;
	r.finalized_features_count = 1;
	script_put(q, &r, out);
}

static void answer_metadata(struct txn_case *c, struct script_request *q, struct buf *out)
{
	struct metadata_response_metadata_response_partition partition = {.leader_id = 1};
	struct metadata_response_metadata_response_topic topic = {
		.name = bytes_str(TOPIC), .topic_id = {{1, 2, 3}}, .partitions = &partition, .partitions_count = 1};
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

static void answer_coordinator(struct txn_case *c, struct script_request *q, struct buf *out)
{
	struct find_coordinator_response_coordinator one = {.key = bytes_str("worker"),
							    .node_id = 1,
							    .host = bytes_str("127.0.0.1"),
							    .port = c->broker.address.port};
	struct find_coordinator_response r;

	message_init(&find_coordinator_response_type, &r);
	r.coordinators = &one;
	r.coordinators_count = 1;
	script_put(q, &r, out);
}

static enum err epoch_error(const struct txn_case *c, int64_t producer_id, int16_t epoch)
{
	if (producer_id != PRODUCER)
		return ERR_INVALID_PRODUCER_ID_MAPPING;
	return epoch == c->epoch ? OK : ERR_PRODUCER_FENCED;
}

static void answer_init(struct txn_case *c, struct script_request *q, enum err e, struct buf *out)
{
	struct init_producer_id_request request;
	struct init_producer_id_response r;

	script_get(q, &request);
	CHECK(bytes_equal_str(request.transactional_id, "worker"));
	message_init(&init_producer_id_response_type, &r);
	if (!e && request.producer_id >= 0)
		e = epoch_error(c, request.producer_id, request.producer_epoch);
	r.error_code = (int16_t)e;
	if (!e) {
		r.producer_id = PRODUCER;
		r.producer_epoch = ++c->epoch;
	}
	script_put(q, &r, out);
}

static void answer_add(struct txn_case *c, struct script_request *q, enum err e, struct buf *out)
{
	struct add_partitions_to_txn_response_add_partitions_to_txn_partition_result row = {0};
	struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result topic = {
		.name = bytes_str(TOPIC), .results_by_partition = &row, .results_by_partition_count = 1};
	struct add_partitions_to_txn_request request;
	struct add_partitions_to_txn_response r;

	script_get(q, &request);
	CHECK(c->level < 2);
	CHECK_EQ(request.v3_and_below_topics_count, 1);
	if (!e)
		e = epoch_error(c, request.v3_and_below_producer_id, request.v3_and_below_producer_epoch);
	if (!e)
		c->open = c->has_partition = true;
	row.partition_error_code = (int16_t)e;
	message_init(&add_partitions_to_txn_response_type, &r);
	r.results_by_topic_v3_and_below = &topic;
	r.results_by_topic_v3_and_below_count = 1;
	script_put(q, &r, out);
}

static void answer_add_offsets(struct txn_case *c, struct script_request *q, enum err e, struct buf *out)
{
	struct add_offsets_to_txn_request request;
	struct add_offsets_to_txn_response r;

	script_get(q, &request);
	CHECK(c->level < 2);
	message_init(&add_offsets_to_txn_response_type, &r);
	if (!e)
		e = epoch_error(c, request.producer_id, request.producer_epoch);
	if (!e)
		c->open = c->has_group = true;
	r.error_code = (int16_t)e;
	script_put(q, &r, out);
}

static void answer_offsets(struct txn_case *c, struct script_request *q, enum err e, struct buf *out)
{
	struct txn_offset_commit_response_txn_offset_commit_response_partition row = {0};
	struct txn_offset_commit_response_txn_offset_commit_response_topic topic = {
		.name = bytes_str(TOPIC), .partitions = &row, .partitions_count = 1};
	struct txn_offset_commit_request request;
	struct txn_offset_commit_response r;

	script_get(q, &request);
	CHECK(bytes_equal_str(request.group_id, "readers"));
	CHECK_EQ(request.generation_id_or_member_epoch, 7);
	CHECK(bytes_equal_str(request.member_id, "me"));
	CHECK_EQ(request.topics[0].partitions[0].committed_offset, 16);
	CHECK_EQ(q->header.api_version, c->level < 2 ? 4 : 5);
	if (!e)
		e = epoch_error(c, request.producer_id, request.producer_epoch);
	if (!e && c->level < 2 && !c->has_group)
		e = ERR_INVALID_TXN_STATE;
	if (!e) {
		c->open = true;
		c->pending = 1;
	}
	row.error_code = (int16_t)e;
	message_init(&txn_offset_commit_response_type, &r);
	r.topics = &topic;
	r.topics_count = 1;
	script_put(q, &r, out);
}

static void answer_produce(struct txn_case *c, struct script_request *q, enum err e, struct buf *out)
{
	struct produce_response_partition_produce_response row = {.base_offset = -1, .log_append_time_ms = -1};
	struct produce_response_topic_produce_response topic = {
		.name = bytes_str(TOPIC), .partition_responses = &row, .partition_responses_count = 1};
	struct produce_request request;
	struct produce_response r;
	struct batch_header h;

	script_get(q, &request);
	CHECK(bytes_equal_str(request.transactional_id, "worker"));
	must_ok(batch_header_read(request.topic_data[0].partition_data[0].records, &h));
	CHECK(batch_is_transactional(&h));
	if (!e)
		e = epoch_error(c, h.producer_id, h.producer_epoch);
	if (!e && c->level < 2 && !c->has_partition)
		e = ERR_INVALID_TXN_STATE;
	if (!e && q->header.api_version < 12 && c->level >= 2)
		e = ERR_INVALID_TXN_STATE;
	if (!e) {
		c->open = true;
		row.base_offset = c->records + c->aborted + c->visible;
		c->records += (unsigned)h.record_count;
	}
	topic.topic_id = (struct uuid){{1, 2, 3}};
	row.current_leader.leader_id = row.current_leader.leader_epoch = -1;
	row.error_code = (int16_t)e;
	message_init(&produce_response_type, &r);
	r.responses = &topic;
	r.responses_count = 1;
	script_put(q, &r, out);
}

static void end(struct txn_case *c, bool commit)
{
	if (commit) {
		c->visible += c->records;
		c->offsets += c->pending;
	} else {
		c->aborted += c->records;
	}
	c->records = c->pending = 0;
	c->open = c->has_partition = c->has_group = false;
	if (c->level >= 2)
		c->epoch++;
}

static void answer_end(struct txn_case *c, struct script_request *q, enum err e, struct buf *out)
{
	struct end_txn_request request;
	struct end_txn_response r;

	script_get(q, &request);
	c->ends++;
	CHECK_EQ(q->header.api_version, c->level < 2 ? 4 : 5);
	message_init(&end_txn_response_type, &r);
	/* A repetition of what was done. */
	if (!e && c->level >= 2 && !c->open && request.producer_epoch == c->epoch - 1)
		c->epoch--, c->open = true;
	if (!e)
		e = epoch_error(c, request.producer_id, request.producer_epoch);
	if (!e && c->level < 2 && !c->open)
		e = ERR_INVALID_TXN_STATE;
	r.error_code = (int16_t)e;
	if (!e) {
		end(c, request.committed);
		r.producer_id = c->level >= 2 ? PRODUCER : -1;
		r.producer_epoch = c->level >= 2 ? c->epoch : -1;
	}
	script_put(q, &r, out);
}

static struct refusal take_refusal(struct txn_case *c, int16_t api_key)
{
	for (size_t i = 0; i < c->refusal_count; i++) {
		struct refusal r = c->refusals[i];

		if (r.api_key != api_key)
			continue;
		memmove(&c->refusals[i], &c->refusals[i + 1], (c->refusal_count - i - 1) * sizeof(r));
		c->refusal_count--;
		return r;
	}
	return (struct refusal){0};
}

static enum script_outcome answer(struct script_broker *b, struct script_request *q, struct buf *out)
{
	struct txn_case *c = b->user;
	struct refusal r = take_refusal(c, q->header.api_key);

	switch (q->header.api_key) {
	case API_API_VERSIONS:
		answer_versions(c, q, out);
		break;
	case API_METADATA:
		answer_metadata(c, q, out);
		break;
	case API_FIND_COORDINATOR:
		answer_coordinator(c, q, out);
		break;
	case API_INIT_PRODUCER_ID:
		answer_init(c, q, r.error, out);
		break;
	case API_ADD_PARTITIONS_TO_TXN:
		answer_add(c, q, r.error, out);
		break;
	case API_ADD_OFFSETS_TO_TXN:
		answer_add_offsets(c, q, r.error, out);
		break;
	case API_TXN_OFFSET_COMMIT:
		answer_offsets(c, q, r.error, out);
		break;
	case API_PRODUCE:
		answer_produce(c, q, r.error, out);
		break;
	default:
		CHECK_EQ(q->header.api_key, API_END_TXN);
		answer_end(c, q, r.error, out);
	}
	return r.lose ? SCRIPT_CLOSE : SCRIPT_ANSWER;
}

/* --- the client -------------------------------------------------------------------------------------------------- */

static void on_outcome(void *user, const struct produce_outcome *o)
{
	struct txn_case *c = user;

	if (o->error) {
		c->failed += (unsigned)o->count;
		c->last_error = o->error;
	} else {
		c->acknowledged += (unsigned)o->count;
	}
}

static void on_fetched(void *user, struct fetched *f)
{
	(void)user;
	(void)f;
	must_not_reach();
}

static void add_records(struct txn_case *c, unsigned count)
{
	struct produce_topic *topic = producer_topic(c->client->producer, TOPIC);

	for (unsigned i = 0; i < count; i++)
		producer_add(c->client->producer, topic, 0,
			     &(struct produce_record){.timestamp = 1, .value = bytes_str("x"), .charged = 1});
}

static int64_t soon(struct fiber *self)
{
	return shard_now_us(fiber_shard(self)) + 20000000;
}

static enum err init_await(struct fiber *self, struct txn_case *c)
{
	return transaction_init_await(self, c->client->transaction, soon(self), c->why);
}

static enum err begin(struct txn_case *c)
{
	return transaction_begin(c->client->transaction, c->why);
}

static enum err commit_await(struct fiber *self, struct txn_case *c)
{
	return transaction_commit_await(self, c->client->transaction, soon(self), c->why);
}

static enum err abort_await(struct fiber *self, struct txn_case *c)
{
	return transaction_abort_await(self, c->client->transaction, soon(self), c->why);
}

static enum err offsets_await(struct fiber *self, struct txn_case *c)
{
	struct group_offset one = {
		.topic = cluster_topic(&c->client->cluster, TOPIC, false), .offset = 16, .leader_epoch = -1};

	return transaction_offsets_await(self, c->client->transaction,
					 &(struct transaction_offsets){.group = "readers",
								       .generation = 7,
								       .member_id = "me",
								       .instance_id = "",
								       .offsets = &one,
								       .count = 1,
								       .deadline_us = soon(self)},
					 c->why);
}

static enum transact_state state_of(const struct txn_case *c)
{
	return transaction_state(c->client->transaction);
}

static void case_main(struct fiber *self, void *argument)
{
	struct txn_case *c = argument;
	struct shard *s = fiber_shard(self);
	struct client_sink sink = {.outcome = on_outcome, .hand_over = on_fetched, .user = c};
	struct client_config config;
	struct buf message;
	char port[40];

	script_broker_open_await(self, &c->broker);
	snprintf(port, sizeof(port), "127.0.0.1:%u", c->broker.address.port);
	struct client_option options[] = {{"bootstrap.servers", port},       {"retry.backoff.ms", "1"},
					  {"retry.backoff.max.ms", "2"},     {"reconnect.backoff.ms", "1"},
					  {"reconnect.backoff.max.ms", "2"}, {"transactional.id", "worker"}};

	buf_init(&message, 1000);
	must_ok(client_config_parse(options, countof(options), &config, &message));
	must_ok(client_new(s, &config, &sink, &message, &c->client));
	c->play_await(self, c);
	client_stop_await(self, c->client);
	client_free(c->client);
	client_config_fini(&config);
	buf_fini(&message);
	script_broker_close(&c->broker);
	fiber_yield_await(self);
	c->ran = true;
	runtime_stop(shard_runtime(s), 0);
}

static void on_start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "test"};

	must(fiber_start(s, &options, case_main, argument));
}

/* In each protocol. */
static void play(void (*play_await)(struct fiber *self, struct txn_case *c), const struct refusal *refusals,
		 size_t count, int16_t level)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct txn_case c = {.level = level, .play_await = play_await, .epoch = -1, .refusal_count = count};

	must(count <= ERRORS_MAX);
	if (count > 0)
		memcpy(c.refusals, refusals, count * sizeof(*refusals));
	c.broker.answer = answer;
	c.broker.user = &c;
	CHECK_EQ(linux_run(&o, on_start, &c), 0);
	CHECK(c.ran);
	CHECK(!c.open);
}

static void play_both(void (*play_await)(struct fiber *self, struct txn_case *c), const struct refusal *refusals,
		      size_t count)
{
	for (int16_t level = 1; level <= 2; level++)
		play(play_await, refusals, count, level);
}

/* --- what happens ------------------------------------------------------------------------------------------------ */

static void commits_await(struct fiber *self, struct txn_case *c)
{
	must_ok(init_await(self, c));
	for (unsigned i = 1; i <= 3; i++) {
		must_ok(begin(c));
		add_records(c, 10);
		must_ok(offsets_await(self, c));
		must_ok(commit_await(self, c));
		CHECK_EQ(c->visible, 10 * i);
		CHECK_EQ(c->acknowledged, 10 * i);
		CHECK_EQ(c->offsets, i);
	}
	CHECK_EQ(c->epoch, c->level < 2 ? 0 : 3);
}

TEST(transactions_are_committed_in_both_protocols)
{
	play_both(commits_await, NULL, 0);
}

TEST(what_may_mend_itself_is_repeated)
{
	static const struct refusal refusals[] = {
		{API_INIT_PRODUCER_ID, ERR_CONCURRENT_TRANSACTIONS, false},
		{API_INIT_PRODUCER_ID, ERR_COORDINATOR_LOAD_IN_PROGRESS, false},
		{API_ADD_PARTITIONS_TO_TXN, ERR_CONCURRENT_TRANSACTIONS, false},
		{API_ADD_PARTITIONS_TO_TXN, OK, true},
		{API_PRODUCE, ERR_CONCURRENT_TRANSACTIONS, false},
		{API_PRODUCE, ERR_NOT_LEADER_OR_FOLLOWER, false},
		{API_ADD_OFFSETS_TO_TXN, ERR_NOT_COORDINATOR, false},
		{API_ADD_OFFSETS_TO_TXN, OK, true},
		{API_TXN_OFFSET_COMMIT, ERR_COORDINATOR_NOT_AVAILABLE, false},
		{API_TXN_OFFSET_COMMIT, OK, true},
		{API_END_TXN, ERR_COORDINATOR_NOT_AVAILABLE, false},
		{API_END_TXN, ERR_CONCURRENT_TRANSACTIONS, false},
	};

	play_both(commits_await, refusals, countof(refusals));
}

static void lost_end_await(struct fiber *self, struct txn_case *c)
{
	must_ok(init_await(self, c));
	must_ok(begin(c));
	add_records(c, 10);
	must_ok(commit_await(self, c));
	CHECK_EQ(c->visible, 10);
	must_ok(begin(c));
	add_records(c, 5);
	must_ok(abort_await(self, c));
	CHECK_EQ(c->visible, 10);
}

TEST(an_end_whose_answer_is_lost_is_asked_for_again)
{
	static const struct refusal lost[] = {{API_END_TXN, OK, true}};

	play(lost_end_await, lost, 1, 2);
}

static void fails_await(struct fiber *self, struct txn_case *c)
{
	must_ok(init_await(self, c));
	must_ok(begin(c));
	add_records(c, 10);
	/* The first batch is refused for good: nothing of it can be committed, also not what comes after. */
	CHECK_ERR(commit_await(self, c), ERR_INVALID_RECORD);
	CHECK_EQ(state_of(c), TRANSACT_FAILED);
	CHECK_EQ(c->failed, 10);
	CHECK_ERR(commit_await(self, c), ERR_INVALID_RECORD);
	add_records(c, 3);
	CHECK_EQ(c->failed, 13);
	CHECK_ERR(begin(c), ERR_INVALID_RECORD);
	CHECK_ERR(offsets_await(self, c), ERR_INVALID_RECORD);
	must_ok(abort_await(self, c));
	CHECK_EQ(state_of(c), TRANSACT_READY);
	must_ok(begin(c));
	add_records(c, 4);
	must_ok(commit_await(self, c));
	CHECK_EQ(c->visible, 4);
	/* In a new epoch: of the one before sequences are missing. */
	CHECK_EQ(c->epoch, c->level < 2 ? 1 : 2);
}

TEST(after_a_record_failed_only_abort_is_possible)
{
	static const struct refusal refused[] = {{API_PRODUCE, ERR_INVALID_RECORD, false}};

	play_both(fails_await, refused, 1);
}

static void fenced_await(struct fiber *self, struct txn_case *c)
{
	must_ok(init_await(self, c));
	must_ok(begin(c));
	add_records(c, 10);
	CHECK_ERR(commit_await(self, c), ERR_PRODUCER_FENCED);
	CHECK_EQ(state_of(c), TRANSACT_FATAL);
	CHECK_ERR(abort_await(self, c), ERR_PRODUCER_FENCED);
	CHECK_ERR(begin(c), ERR_PRODUCER_FENCED);
	add_records(c, 1);
	CHECK_EQ(c->last_error, ERR_PRODUCER_FENCED);
	/* The other one ends it. */
	end(c, false);
}

TEST(a_fenced_producer_is_told_so_wherever_it_learns_of_it)
{
	static const struct refusal by_end[] = {{API_END_TXN, ERR_PRODUCER_FENCED, false}};
	static const struct refusal by_produce[] = {{API_PRODUCE, ERR_PRODUCER_FENCED, false}};
	static const struct refusal by_adding[] = {{API_ADD_PARTITIONS_TO_TXN, ERR_INVALID_PRODUCER_EPOCH, false}};

	play_both(fenced_await, by_end, 1);
	play_both(fenced_await, by_produce, 1);
	play(fenced_await, by_adding, 1, 1);
}

static void offsets_fail_await(struct fiber *self, struct txn_case *c)
{
	must_ok(init_await(self, c));
	must_ok(begin(c));
	add_records(c, 10);
	CHECK_ERR(offsets_await(self, c), ERR_ILLEGAL_GENERATION);
	CHECK_EQ(state_of(c), TRANSACT_FAILED);
	CHECK_ERR(commit_await(self, c), ERR_ILLEGAL_GENERATION);
	must_ok(abort_await(self, c));
	CHECK_EQ(c->visible, 0);
	CHECK_EQ(c->offsets, 0);
}

TEST(offsets_of_a_member_that_is_none_any_more_fail_the_transaction)
{
	static const struct refusal refused[] = {{API_TXN_OFFSET_COMMIT, ERR_ILLEGAL_GENERATION, false}};

	play_both(offsets_fail_await, refused, 1);
}

static void aborts_await(struct fiber *self, struct txn_case *c)
{
	CHECK_ERR(begin(c), ERR_INVALID_TXN_STATE);
	must_ok(init_await(self, c));
	add_records(c, 1);
	CHECK_EQ(c->last_error, ERR_INVALID_TXN_STATE);
	must_ok(begin(c));
	must_ok(abort_await(self, c)); /* nothing in it: nobody is asked */
	CHECK_EQ(c->ends, 0);
	must_ok(begin(c));
	must_ok(commit_await(self, c));
	must_ok(begin(c));
	add_records(c, 10);
	must_ok(abort_await(self, c)); /* dropped before they left */
	CHECK_EQ(c->failed, 11);
	must_ok(begin(c));
	add_records(c, 10);
	while (c->records == 0)
		fiber_sleep_await(self, 500);
	must_ok(abort_await(self, c));
	CHECK_EQ(c->aborted, 10);
	CHECK_EQ(c->visible, 0);
}

TEST(an_abort_drops_what_was_not_sent_and_takes_back_what_was)
{
	play_both(aborts_await, NULL, 0);
}

static void left_open_await(struct fiber *self, struct txn_case *c)
{
	must_ok(init_await(self, c));
	must_ok(begin(c));
	add_records(c, 10);
	while (c->records == 0)
		fiber_sleep_await(self, 500);
	/* play() sees that it is not open any more. */
}

TEST(closing_aborts_what_is_open)
{
	play_both(left_open_await, NULL, 0);
}

static void timed_out_await(struct fiber *self, struct txn_case *c)
{
	must_ok(init_await(self, c));
	must_ok(begin(c));
	add_records(c, 10);
	while (c->acknowledged < 10)
		fiber_sleep_await(self, 500);
	CHECK_ERR(transaction_commit_await(self, c->client->transaction, shard_now_us(fiber_shard(self)) + 1, c->why),
		  ERR_TIMED_OUT);
	CHECK_EQ(state_of(c), TRANSACT_COMMITTING);
	CHECK_ERR(abort_await(self, c), ERR_INVALID_TXN_STATE);
	must_ok(commit_await(self, c));
	CHECK_EQ(c->visible, 10);
}

TEST(a_commit_that_timed_out_can_only_be_asked_for_again)
{
	play_both(timed_out_await, NULL, 0);
}
