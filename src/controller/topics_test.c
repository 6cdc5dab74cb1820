/* topics_test: what Kafka 4.3.1 answered to the same topics in CreateTopics; and the nodes' texts, there and back. */
#include "controller/topics.h"

#include <stdio.h>

#include "base/test.h"
#include "controller/json.h"
#include "controller/layout.h"

static const int32_t brokers[] = {1, 1, 2};

static struct image *image_of_one_broker(void)
{
	static const int32_t one[] = {1};
	struct delta_partition p = {.leader = 1, .replicas = one, .replica_count = 1, .isr = one, .isr_count = 1};
	struct delta_record records[] = {
		{.kind = DELTA_BROKER, .broker = 1},
		{.kind = DELTA_TOPIC,
		 .name = bytes_str("c.d"),
		 .topic_id = {.bytes = {1}},
		 .partitions = &p,
		 .partition_count = 1},
	};
	struct image *i = image_new();
	struct buf b;

	buf_init(&b, 10000);
	delta_begin(&b);
	delta_put(&b, &records[0]);
	delta_put(&b, &records[1]);
	must_ok(image_apply(i, buf_bytes(&b)));
	buf_fini(&b);
	return i;
}

struct assigned {
	int32_t partition;
	size_t from; /* in `brokers` */
	size_t count;
};

TEST(topics_are_decided_as_kafka_does)
{
	static const struct {
		const char *name;
		int32_t partitions;
		int16_t replicas;
		size_t assigned_count;
		struct assigned assigned[2];
		const char *config; /* a bad setting's name, or NULL */
		enum err err;
		const char *message;
		int32_t ret_partitions;
	} cases[] = {
		{"p", 3, 1, 0, {{0}}, NULL, OK, NULL, 3},
		{"p", -1, -1, 0, {{0}}, NULL, OK, NULL, 1},
		{"__x", 1, 1, 0, {{0}}, NULL, OK, NULL, 1},
		{"",
		 1,
		 1,
		 0,
		 {{0}},
		 NULL,
		 ERR_INVALID_TOPIC_EXCEPTION,
		 "Topic name is invalid: the empty string is not allowed",
		 0},
		{"..",
		 1,
		 1,
		 0,
		 {{0}},
		 NULL,
		 ERR_INVALID_TOPIC_EXCEPTION,
		 "Topic name is invalid: '..' is not allowed",
		 0},
		{"a b",
		 1,
		 1,
		 0,
		 {{0}},
		 NULL,
		 ERR_INVALID_TOPIC_EXCEPTION,
		 "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', "
		 "'_' and '-'",
		 0},
		{"\xc3\xa4",
		 1,
		 1,
		 0,
		 {{0}},
		 NULL,
		 ERR_INVALID_TOPIC_EXCEPTION,
		 "Topic name is invalid: '\xc3\xa4' contains one or more characters other than ASCII alphanumerics, "
		 "'.', '_' and '-'",
		 0},
		{"__cluster_metadata",
		 1,
		 1,
		 0,
		 {{0}},
		 NULL,
		 ERR_INVALID_REQUEST,
		 "Creation of internal topic __cluster_metadata is prohibited.",
		 0},
		{"c_d",
		 1,
		 1,
		 0,
		 {{0}},
		 NULL,
		 ERR_INVALID_TOPIC_EXCEPTION,
		 "Topic 'c_d' collides with existing topic: c.d",
		 0},
		{"c.d", -5, 1, 0, {{0}}, "foo", ERR_TOPIC_ALREADY_EXISTS, "Topic 'c.d' already exists.", 0},
		{"p", 0, 1, 0, {{0}}, "foo", ERR_INVALID_CONFIG, "Unknown topic config name: foo", 0},
		{"p",
		 0,
		 1,
		 0,
		 {{0}},
		 NULL,
		 ERR_INVALID_PARTITIONS,
		 "Number of partitions was set to an invalid non-positive value.",
		 0},
		{"p",
		 1,
		 0,
		 0,
		 {{0}},
		 NULL,
		 ERR_INVALID_REPLICATION_FACTOR,
		 "Replication factor must be larger than 0, or -1 to use the default value.",
		 0},
		{"p",
		 1,
		 3,
		 0,
		 {{0}},
		 NULL,
		 ERR_INVALID_REPLICATION_FACTOR,
		 "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached "
		 "because only 1 "
		 "broker(s) are registered or some brokers have all their log directories cordoned.",
		 0},
		{"p",
		 1,
		 -1,
		 1,
		 {{0, 0, 1}},
		 NULL,
		 ERR_INVALID_REQUEST,
		 "A manual partition assignment was specified, but numPartitions was not set to -1.",
		 0},
		{"p",
		 1,
		 1,
		 1,
		 {{0, 0, 1}},
		 NULL,
		 ERR_INVALID_REQUEST,
		 "A manual partition assignment was specified, but replication factor was not set to -1.",
		 0},
		{"p",
		 -1,
		 -1,
		 2,
		 {{0, 0, 1}, {0, 0, 1}},
		 NULL,
		 ERR_INVALID_REPLICA_ASSIGNMENT,
		 "Found multiple manual partition assignments for partition 0",
		 0},
		{"p",
		 -1,
		 -1,
		 2,
		 {{0, 0, 1}, {2, 0, 1}},
		 NULL,
		 ERR_INVALID_REPLICA_ASSIGNMENT,
		 "partitions should be a consecutive 0-based integer sequence",
		 0},
		{"p",
		 -1,
		 -1,
		 1,
		 {{-1, 0, 1}},
		 NULL,
		 ERR_INVALID_REPLICA_ASSIGNMENT,
		 "partitions should be a consecutive 0-based integer sequence",
		 0},
		{"p",
		 -1,
		 -1,
		 1,
		 {{0, 0, 0}},
		 NULL,
		 ERR_INVALID_REPLICA_ASSIGNMENT,
		 "The manual partition assignment includes an empty replica list.",
		 0},
		{"p",
		 -1,
		 -1,
		 1,
		 {{0, 0, 2}},
		 NULL,
		 ERR_INVALID_REPLICA_ASSIGNMENT,
		 "The manual partition assignment includes the broker 1 more than once.",
		 0},
		{"p",
		 -1,
		 -1,
		 1,
		 {{0, 1, 2}},
		 NULL,
		 ERR_INVALID_REPLICA_ASSIGNMENT,
		 "The manual partition assignment includes broker 2, but no such broker is registered.",
		 0},
		{"p", -1, -1, 2, {{1, 0, 1}, {0, 0, 1}}, NULL, OK, NULL, 2},
	};
	struct image *i = image_of_one_broker();
	struct config *c = config_new();

	for (size_t k = 0; k < countof(cases); k++) {
		struct config_entry config = {bytes_str(cases[k].config), bytes_str("x")};
		struct topic_assignment assigned[2];
		struct create_topic t = {.name = bytes_str(cases[k].name),
					 .partitions = cases[k].partitions,
					 .replication_factor = cases[k].replicas,
					 .assignments = assigned,
					 .assignment_count = cases[k].assigned_count,
					 .configs = &config,
					 .config_count = cases[k].config != NULL};
		struct delta_record record;
		struct arena a;

		for (size_t m = 0; m < cases[k].assigned_count; m++)
			assigned[m] = (struct topic_assignment){.partition = cases[k].assigned[m].partition,
								.brokers = brokers + cases[k].assigned[m].from,
								.broker_count = cases[k].assigned[m].count};
		arena_init(&a, 100000);
		CHECK_ERR(topics_decide(i, c, &t, &a, &record), cases[k].err);
		CHECK_ERR(t.error, cases[k].err);
		if (cases[k].message)
			CHECK_BYTES(t.message, bytes_str(cases[k].message));
		else
			CHECK(bytes_is_null(t.message));
		if (cases[k].ret_partitions) {
			CHECK_EQ(t.ret_partitions, cases[k].ret_partitions);
			CHECK_EQ(record.partition_count, cases[k].ret_partitions);
			CHECK_EQ(t.ret_replication_factor, 1);
			CHECK_EQ(record.partitions[0].leader, 1);
		}
		arena_fini(&a);
	}
	config_free(c);
	image_free(i);
}

TEST(the_longest_name_has_249_characters)
{
	char name[251];
	struct buf message;

	memset(name, 'x', sizeof(name));
	buf_init(&message, 1000);
	must_ok(topic_name_check(bytes_of(name, 249), &message));
	CHECK_ERR(topic_name_check(bytes_of(name, 250), &message), ERR_INVALID_TOPIC_EXCEPTION);
	buf_fini(&message);
}

TEST(a_topic_that_comes_twice_is_refused_and_answered_once)
{
	struct create_topic topics[] = {{.name = bytes_str("z"), .partitions = 1},
					{.name = bytes_str("q"), .partitions = 1},
					{.name = bytes_str("z"), .partitions = 1}};
	struct create_topics r = {.topics = topics, .count = 3};
	struct config *c = config_new();
	struct arena a;

	arena_init(&a, 10000);
	r.arena = &a;
	topics_check_request(c, &r);
	CHECK_ERR(topics[0].error, ERR_INVALID_REQUEST);
	CHECK_BYTES(topics[0].message, bytes_str("Duplicate topic name."));
	CHECK(topics[2].repeated && !topics[0].repeated);
	CHECK_ERR(topics[1].error, OK);
	topics[1].partitions = 10000;
	topics_check_request(c, &r);
	CHECK_ERR(topics[1].error, ERR_POLICY_VIOLATION);
	arena_fini(&a);
	config_free(c);
}

/* --- texts of nodes -------------------------------------------------------------------------------------------------------- */

TEST(a_topics_node_reads_back_and_is_kafkas)
{
	static const int32_t replicas[] = {1001, 1, 2};
	struct delta_partition p[] = {
		{.leader = 1001, .replicas = replicas, .replica_count = 3, .isr = replicas, .isr_count = 3},
		{.leader = 1001, .replicas = replicas, .replica_count = 1, .isr = replicas, .isr_count = 1},
	};
	struct delta_record topic = {.partitions = p, .partition_count = 2}, back = {0};
	struct arena a;
	struct buf b;

	must_ok(uuid_parse(bytes_str("q2xaPDXiRe-a7XO177AwMA"), &topic.topic_id));
	buf_init(&b, 10000);
	layout_put_topic(&b, &topic);
	CHECK_BYTES(buf_bytes(&b),
		    bytes_str("{\"partitions\":{\"0\":[1001,1,2],\"1\":[1001]},\"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\","
			      "\"adding_replicas\":{},\"removing_replicas\":{},\"version\":3}"));
	arena_init(&a, 10000);
	must_ok(layout_get_topic(buf_bytes(&b), &a, &back));
	CHECK(uuid_equal(back.topic_id, topic.topic_id));
	CHECK_EQ(back.partition_count, 2);
	CHECK_EQ(back.partitions[0].replica_count, 3);
	CHECK_EQ(back.partitions[0].replicas[2], 2);
	CHECK_EQ(back.partitions[1].leader, 1001);
	arena_fini(&a);
	buf_fini(&b);
}

/* As Kafka 3.9.2 wrote them. */
TEST(kafkas_own_nodes_are_read)
{
	static const char topic[] =
		"{\"removing_replicas\":{\"0\":[1]}, \"partitions\":{\"1\":[2,1001], \"0\":[2]},\"new\":[{\"a\":null}],"
		"\"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\",\"adding_replicas\":{},\"version\":3}";
	static const char state_text[] =
		"{\"controller_epoch\":4,\"leader\":1001,\"version\":1,\"leader_recovery_state\":1,"
		"\"leader_epoch\":6,\"isr\":[1001]}";
	struct delta_record record = {0};
	const struct config_entry *configs;
	struct delta_partition p;
	uint32_t count;
	int64_t next;
	char id[64];
	struct arena a;

	arena_init(&a, 10000);
	must_ok(layout_get_topic(bytes_str(topic), &a, &record));
	CHECK_EQ(record.partition_count, 2);
	CHECK_EQ(record.partitions[1].replicas[1], 1001);
	p = record.partitions[1];
	must_ok(layout_get_state(bytes_str(state_text), 8, &a, &p));
	CHECK_EQ(p.leader, 1001);
	CHECK_EQ(p.leader_epoch, 6);
	CHECK_EQ(p.partition_epoch, 8);
	CHECK_EQ(p.isr_count, 1);
	CHECK_EQ(p.replica_count, 2);
	must_ok(layout_get_configs(
		bytes_str("{\"version\":1,\"config\":{\"a\":\"x\\\"\\u00e4\\ud83d\\ude00\",\"b\":\"\"}}"), &a, &configs,
		&count));
	CHECK_EQ(count, 2);
	CHECK_BYTES(configs[0].value, bytes_str("x\"\xc3\xa4\xf0\x9f\x98\x80"));
	must_ok(layout_get_producer_ids(
		bytes_str("{\"version\":1,\"broker\":2,\"block_start\":\"1000\",\"block_end\":\"1999\"}"), &next));
	CHECK_EQ(next, 2000);
	must_ok(layout_get_producer_ids(bytes_null(), &next));
	CHECK_EQ(next, 0);
	must_ok(layout_get_cluster_id(bytes_str("{\"version\":\"1\",\"id\":\"SGkP0t1bSae-HubGd0gbhg\"}"), id,
				      sizeof(id)));
	CHECK_STR(id, "SGkP0t1bSae-HubGd0gbhg");
	arena_fini(&a);
}

TEST(texts_that_are_no_topic_are_refused)
{
	static const char *const cases[] = {
		"",
		"{",
		"{}",
		"[]",
		"null",
		"{\"partitions\":{\"0\":[1]}}",
		"{\"partitions\":{\"1\":[1]},\"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\"}",
		"{\"partitions\":{\"0\":[]},\"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\"}",
		"{\"partitions\":{\"0\":[1],\"0\":[2]},\"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\"}",
		"{\"partitions\":{\"x\":[1]},\"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\"}",
		"{\"partitions\":{\"0\":[1e3]},\"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\"}",
		"{\"partitions\":{\"0\":[99999999999]},\"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\"}",
		"{\"partitions\":{\"0\":[1]},\"topic_id\":\"short\"}",
		"{\"partitions\":{\"0\":[1]},\"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\"} x",
		"{\"partitions\":{\"0\":[1]},\"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\"",
		"{\"partitions\":{\"0\":[1]} \"topic_id\":\"q2xaPDXiRe-a7XO177AwMA\"}",
		"{\"deep\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}",
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct delta_record record = {0};
		struct arena a;

		arena_init(&a, 10000);
		CHECK_ERR(layout_get_topic(bytes_str(cases[i]), &a, &record), ERR_MALFORMED);
		arena_fini(&a);
	}
}
