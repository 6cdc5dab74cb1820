/* configs_test: what Kafka 4.3.1 answered to the same changes of settings. */
#include "controller/configs.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/test.h"
#include "controller/layout.h"
#include "controller/topics.h"

#define OF_TOPIC CONFIG_OF_TOPIC
#define OF_BROKER CONFIG_OF_BROKER
#define OF_GROUP CONFIG_OF_GROUP
#define OF_METRICS CONFIG_OF_CLIENT_METRICS

/* Broker 1 with message.max.bytes=2000000, topic t with cleanup.policy=delete and segment.ms=5, group g with a session timeout. */
static struct image *image_of_one_broker(void)
{
	static const int32_t one[] = {1};
	struct delta_partition p = {.leader = 1, .replicas = one, .replica_count = 1, .isr = one, .isr_count = 1};
	struct config_entry own[] = {{bytes_str("cleanup.policy"), bytes_str("delete")},
				     {bytes_str("segment.ms"), bytes_str("5")}};
	struct delta_record records[] = {
		{.kind = DELTA_BROKER, .broker = 1},
		{.kind = DELTA_TOPIC,
		 .name = bytes_str("t"),
		 .topic_id = {.bytes = {1}},
		 .partitions = &p,
		 .partition_count = 1,
		 .configs = own,
		 .config_count = countof(own)},
		{.kind = DELTA_CONFIG,
		 .resource = OF_BROKER,
		 .broker = 1,
		 .name = bytes_str("message.max.bytes"),
		 .value = bytes_str("2000000")},
		{.kind = DELTA_CONFIG,
		 .resource = OF_GROUP,
		 .resource_name = bytes_str("g"),
		 .name = bytes_str("consumer.session.timeout.ms"),
		 .value = bytes_str("50000")},
	};
	struct image *i = image_new();
	struct buf b;

	buf_init(&b, 10000);
	delta_begin(&b);
	for (size_t k = 0; k < countof(records); k++)
		delta_put(&b, &records[k]);
	must_ok(image_apply(i, buf_bytes(&b)));
	buf_fini(&b);
	return i;
}

struct operation {
	const char *name; /* NULL: no more */
	int8_t operation;
	const char *value;
};

struct deciding {
	struct image *image;
	struct config *config;
	struct arena arena;
};

static void deciding_init(struct deciding *d)
{
	d->image = image_of_one_broker();
	d->config = config_new();
	arena_init(&d->arena, 1 << 20);
}

static void deciding_fini(struct deciding *d)
{
	image_free(d->image);
	config_free(d->config);
	arena_fini(&d->arena);
}

static enum err decide(struct deciding *d, enum config_resource resource, const char *name,
		       const struct operation *operations, size_t count, bool replace, struct alter_config *ret_asked,
		       struct config_plan *ret_plan)
{
	struct configs_decision decision = {.image = d->image, .config = d->config, .node_id = 1, .arena = &d->arena};
	struct alter_entry *entries = arena_alloc_array(&d->arena, count, sizeof(*entries));
	size_t given = 0;

	while (given < count && operations[given].name) {
		entries[given] = (struct alter_entry){bytes_str(operations[given].name), operations[given].operation,
						      bytes_str(operations[given].value)};
		given++;
	}
	*ret_asked = (struct alter_config){.resource = resource,
					   .name = bytes_str(name),
					   .entries = entries,
					   .entry_count = given,
					   .replace = replace};
	return configs_decide(&decision, ret_asked, ret_plan);
}

TEST(refusals_are_kafkas)
{
	static const struct {
		enum config_resource resource;
		const char *name;
		struct operation operation;
		enum err err;
		const char *message;
	} cases[] = {
		{OF_TOPIC,
		 "",
		 {"retention.ms", ALTER_SET, "1"},
		 ERR_INVALID_REQUEST,
		 "Default topic resources are not allowed."},
		{OF_TOPIC,
		 "a b",
		 {"retention.ms", ALTER_SET, "1"},
		 ERR_INVALID_TOPIC_EXCEPTION,
		 "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', "
		 "'_' "
		 "and '-'"},
		{OF_TOPIC,
		 "none",
		 {"retention.ms", ALTER_SET, "1"},
		 ERR_UNKNOWN_TOPIC_OR_PARTITION,
		 "The topic 'none' does not exist."},
		{OF_TOPIC,
		 "none",
		 {"retention.ms", ALTER_SET, "x"},
		 ERR_INVALID_CONFIG,
		 "Invalid value x for configuration retention.ms: Not a number of type LONG"},
		{OF_TOPIC, "t", {"retention.ms", 7, "1"}, ERR_UNKNOWN_SERVER_ERROR, NULL},
		{OF_TOPIC,
		 "t",
		 {"retention.ms", ALTER_APPEND, "1"},
		 ERR_INVALID_CONFIG,
		 "Can't APPEND to key retention.ms because its type is not LIST."},
		{OF_TOPIC,
		 "t",
		 {"no.such", ALTER_SUBTRACT, "1"},
		 ERR_INVALID_CONFIG,
		 "Can't SUBTRACT to key no.such because its type is not LIST."},
		{OF_TOPIC, "t", {"no.such", ALTER_SET, "1"}, ERR_INVALID_CONFIG, "Unknown topic config name: no.such"},
		{OF_TOPIC,
		 "t",
		 {"cleanup.policy", ALTER_APPEND, ""},
		 ERR_INVALID_CONFIG,
		 "Configuration 'cleanup.policy' values must not be empty."},
		{OF_BROKER,
		 "7",
		 {"message.max.bytes", ALTER_SET, "1"},
		 ERR_INVALID_REQUEST,
		 "Unexpected broker id, expected 1, but received 7"},
		{OF_BROKER,
		 "x",
		 {"message.max.bytes", ALTER_SET, "1"},
		 ERR_INVALID_REQUEST,
		 "Node id must be an integer, but it is: x"},
		{OF_BROKER,
		 "1",
		 {"message.max.bytes", ALTER_SET, "x"},
		 ERR_INVALID_REQUEST,
		 "Invalid value x for configuration message.max.bytes: Not a number of type INT"},
		{OF_BROKER, "1", {"message.max.bytes", 9, "1"}, ERR_INVALID_REQUEST, "Unknown operations type 9"},
		{OF_BROKER,
		 "1",
		 {"message.max.bytes", ALTER_APPEND, "1"},
		 ERR_INVALID_CONFIG,
		 "Config value append is not allowed for config key: message.max.bytes"},
		{OF_BROKER,
		 "1",
		 {"num.partitions", ALTER_SET, "3"},
		 ERR_INVALID_REQUEST,
		 "Cannot update these configs dynamically: [num.partitions]"},
		{OF_BROKER,
		 "",
		 {"ssl.keystore.location", ALTER_SET, "/x"},
		 ERR_INVALID_REQUEST,
		 "These security configs can be dynamically updated only per-listener using the listener prefix: "
		 "[ssl.keystore.location]"},
		{OF_BROKER,
		 "",
		 {"listeners", ALTER_SET, "x"},
		 ERR_INVALID_REQUEST,
		 "Cannot update these configs at default cluster level, broker id must be specified: [listeners]"},
		{OF_BROKER,
		 "1",
		 {"listeners", ALTER_SET, "x"},
		 ERR_INVALID_REQUEST,
		 "This broker cannot change these while it runs: [listeners]"},
		{OF_BROKER,
		 "",
		 {"listener.name.a.ssl.keystore.type", ALTER_SET, "x"},
		 ERR_INVALID_REQUEST,
		 "Cannot update these configs at default cluster level, broker id must be specified: "
		 "[listener.name.a.ssl.keystore.type]"},
		{OF_BROKER,
		 "1",
		 {"log.retention.ms", ALTER_SET, "0"},
		 ERR_INVALID_REQUEST,
		 "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1"},
		{OF_BROKER,
		 "1",
		 {"leader.replication.throttled.rate", ALTER_SET, "x"},
		 ERR_INVALID_REQUEST,
		 "Invalid value x for configuration leader.replication.throttled.rate: Not a number of type LONG"},
		{OF_BROKER,
		 "1",
		 {"max.connections.per.ip.overrides", ALTER_SET, "a:b"},
		 ERR_INVALID_REQUEST,
		 "For input string: \"b\""},
		{OF_BROKER,
		 "1",
		 {"num.io.threads", ALTER_SET, "100"},
		 ERR_INVALID_REQUEST,
		 "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation "
		 "failed for num.io.threads=100, value should not be greater than double the current value 8 for "
		 "configuration Invalid dynamic configuration"},
		{OF_GROUP,
		 "",
		 {"consumer.session.timeout.ms", ALTER_SET, "50000"},
		 ERR_INVALID_REQUEST,
		 "Default group resources are not allowed."},
		{OF_GROUP, "g", {"no.such", ALTER_SET, "5"}, ERR_INVALID_CONFIG, "Unknown group config name: no.such"},
		{OF_GROUP,
		 "g",
		 {"consumer.session.timeout.ms", ALTER_SET, "5"},
		 ERR_INVALID_CONFIG,
		 "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"},
		{OF_GROUP,
		 "g",
		 {"streams.num.standby.replicas", ALTER_SET, "9"},
		 ERR_INVALID_CONFIG,
		 "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas"},
		{OF_GROUP,
		 "g",
		 {"share.auto.offset.reset", ALTER_SET, "by_duration:P"},
		 ERR_INVALID_CONFIG,
		 "Invalid value by_duration:P for configuration share.auto.offset.reset: Invalid value `by_duration:P` "
		 "for configuration share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the "
		 "format 'by_duration:<PnDTnHnMn.nS>'."},
		{OF_METRICS,
		 "",
		 {"interval.ms", ALTER_SET, "1000"},
		 ERR_INVALID_REQUEST,
		 "Subscription name can't be empty"},
		{OF_METRICS,
		 "m",
		 {"interval.ms", ALTER_SET, "10"},
		 ERR_INVALID_REQUEST,
		 "Invalid value 10 for interval.ms, interval must be between 100 and 3600000 (1 hour)"},
		{OF_METRICS,
		 "m",
		 {"match", ALTER_SET, "client_id=a["},
		 ERR_INVALID_CONFIG,
		 "Illegal client matching pattern: client_id=a["},
		{OF_METRICS,
		 "m",
		 {"metrics", ALTER_APPEND, "a"},
		 ERR_INVALID_CONFIG,
		 "Can't APPEND to key metrics because its type is not LIST."},
	};
	struct deciding d;

	deciding_init(&d);
	for (size_t i = 0; i < countof(cases); i++) {
		struct alter_config asked;
		struct config_plan plan;

		CHECK_ERR(decide(&d, cases[i].resource, cases[i].name, &cases[i].operation, 1, false, &asked, &plan),
			  cases[i].err);
		CHECK_ERR(asked.error, cases[i].err);
		CHECK_BYTES(asked.message, bytes_str(cases[i].message));
	}
	deciding_fini(&d);
}

/* "name=value" of each, divided by blanks; a null value is "-". */
static void print_entries(struct buf *b, const struct config_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct bytes value = bytes_is_null(entries[i].value) ? bytes_str("-") : entries[i].value;

		buf_printf(b, "%s%.*s=%.*s", i ? " " : "", BYTES_ARG(entries[i].name), BYTES_ARG(value));
	}
}

TEST(changes_and_what_is_there_then)
{
	static const struct {
		enum config_resource resource;
		const char *name;
		struct operation operations[2];
		bool replace;
		const char *changes;
		const char *after;
	} cases[] = {
		{OF_TOPIC,
		 "t",
		 {{"retention.ms", ALTER_SET, " 7 "}},
		 false,
		 "retention.ms= 7 ",
		 "cleanup.policy=delete retention.ms= 7  segment.ms=5"},
		{OF_TOPIC, "t", {{"segment.ms", ALTER_SET, "5"}}, false, "", "cleanup.policy=delete segment.ms=5"},
		{OF_TOPIC, "t", {{"segment.ms", ALTER_DELETE, NULL}}, false, "segment.ms=-", "cleanup.policy=delete"},
		{OF_TOPIC, "t", {{"no.such", ALTER_DELETE, NULL}}, false, "", "cleanup.policy=delete segment.ms=5"},
		{OF_TOPIC,
		 "t",
		 {{"cleanup.policy", ALTER_APPEND, "compact"}},
		 false,
		 "cleanup.policy=delete,compact",
		 "cleanup.policy=delete,compact segment.ms=5"},
		{OF_TOPIC,
		 "t",
		 {{"cleanup.policy", ALTER_APPEND, "compact,delete"}},
		 false,
		 "cleanup.policy=delete,compact",
		 "cleanup.policy=delete,compact segment.ms=5"},
		{OF_TOPIC,
		 "t",
		 {{"cleanup.policy", ALTER_SUBTRACT, "delete"}},
		 false,
		 "cleanup.policy=",
		 "cleanup.policy= segment.ms=5"},
		{OF_TOPIC,
		 "t",
		 {{"leader.replication.throttled.replicas", ALTER_APPEND, "0:1"}},
		 false,
		 "leader.replication.throttled.replicas=0:1",
		 "cleanup.policy=delete leader.replication.throttled.replicas=0:1 segment.ms=5"},
		{OF_TOPIC,
		 "t",
		 {{"retention.ms", ALTER_SET, "1"}},
		 true,
		 "retention.ms=1 cleanup.policy=- segment.ms=-",
		 "retention.ms=1"},
		{OF_TOPIC, "t", {{NULL}}, true, "cleanup.policy=- segment.ms=-", ""},
		{OF_BROKER,
		 "1",
		 {{"message.max.bytes", ALTER_DELETE, NULL}, {"no.such", ALTER_SET, "3"}},
		 false,
		 "message.max.bytes=- no.such=3",
		 "no.such=3"},
		{OF_BROKER,
		 "+01",
		 {{"message.max.bytes", ALTER_SET, "1"}},
		 false,
		 "message.max.bytes=1",
		 "message.max.bytes=1"},
		{OF_BROKER,
		 "",
		 {{"log.cleanup.policy", ALTER_APPEND, "compact"}},
		 false,
		 "log.cleanup.policy=delete,compact",
		 "log.cleanup.policy=delete,compact"},
		{OF_BROKER, "1", {{"num.partitions", ALTER_DELETE, NULL}}, false, "", "message.max.bytes=2000000"},
		{OF_GROUP,
		 "g",
		 {{"consumer.session.timeout.ms", ALTER_DELETE, NULL}},
		 false,
		 "consumer.session.timeout.ms=-",
		 ""},
		{OF_GROUP,
		 "h",
		 {{"share.auto.offset.reset", ALTER_SET, "by_duration:P1DT2H3M4.5S"}},
		 false,
		 "share.auto.offset.reset=by_duration:P1DT2H3M4.5S",
		 "share.auto.offset.reset=by_duration:P1DT2H3M4.5S"},
		{OF_METRICS,
		 "m",
		 {{"match", ALTER_SET, "client_id=a.*,client_source_port=[0-9]+"}},
		 false,
		 "match=client_id=a.*,client_source_port=[0-9]+",
		 "match=client_id=a.*,client_source_port=[0-9]+"},
	};
	struct deciding d;

	deciding_init(&d);
	for (size_t i = 0; i < countof(cases); i++) {
		struct alter_config asked;
		struct config_plan plan;
		struct buf changes, after;

		must_ok(decide(&d, cases[i].resource, cases[i].name, cases[i].operations, 2, cases[i].replace, &asked,
			       &plan));
		buf_init(&changes, 1000);
		buf_init(&after, 1000);
		print_entries(&changes, plan.changes, plan.change_count);
		print_entries(&after, plan.after, plan.after_count);
		CHECK_BYTES(buf_bytes(&changes), bytes_str(cases[i].changes));
		CHECK_BYTES(buf_bytes(&after), bytes_str(cases[i].after));
		buf_fini(&changes);
		buf_fini(&after);
	}
	deciding_fini(&d);
}

TEST(names_of_groups_come_back_from_their_nodes)
{
	static const struct {
		const char *name;
		const char *path;
	} cases[] = {
		{"g", "/config/groups/g"},
		{"a/b c%", "/config/groups/a%2Fb%20c%25"},
		{"..", "/config/groups/%2E%2E"},
		{"\xc3\xa4", "/config/groups/%C3%A4"},
	};
	char path[LAYOUT_PATH_SIZE], *long_name = mem_zalloc(600);
	struct arena a;

	arena_init(&a, 100000);
	for (size_t i = 0; i < countof(cases); i++) {
		CHECK(layout_config_path(path, OF_GROUP, bytes_str(cases[i].name)));
		CHECK_STR(path, cases[i].path);
		CHECK_BYTES(layout_config_name(strrchr(path, '/') + 1, &a), bytes_str(cases[i].name));
	}
	CHECK(layout_config_path(path, OF_BROKER, bytes_empty()));
	CHECK_STR(path, "/config/brokers/<default>");
	memset(long_name, 'a', 599);
	CHECK(!layout_config_path(path, OF_GROUP, bytes_str(long_name)));
	CHECK(bytes_is_null(layout_config_name("a%2", &a)));
	CHECK(bytes_is_null(layout_config_name("%zz", &a)));
	mem_free(long_name);
	arena_fini(&a);
}

TEST(partitions_are_added_as_kafka_does)
{
	static const int32_t one[] = {1}, seven[] = {7}, twice[] = {1, 1};
	static const struct topic_assignment good[] = {{.brokers = one, .broker_count = 1}},
					     unknown[] = {{.brokers = seven, .broker_count = 1}},
					     doubled[] = {{.brokers = twice, .broker_count = 2}},
					     empty[] = {{.broker_count = 0}};
	static const struct {
		const char *name;
		int32_t count;
		const struct topic_assignment *assigned;
		size_t assigned_count;
		enum err err;
		const char *message;
	} cases[] = {
		{"t", 2, NULL, 0, OK, NULL},
		{"t", 10001, NULL, 0, OK, NULL},
		{"t", 10002, NULL, 0, ERR_POLICY_VIOLATION, "Excessively large number of partitions per request."},
		{"t", 1, NULL, 0, ERR_INVALID_PARTITIONS, "Topic already has 1 partition(s)."},
		{"t", -1, NULL, 0, ERR_INVALID_PARTITIONS,
		 "The topic t currently has 1 partition(s); -1 would not be an increase."},
		{"none", 2, NULL, 0, ERR_UNKNOWN_TOPIC_OR_PARTITION, NULL},
		{"t", 2, good, 1, OK, NULL},
		{"t", 3, good, 1, ERR_INVALID_REPLICA_ASSIGNMENT,
		 "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."},
		{"t", 2, unknown, 1, ERR_INVALID_REPLICA_ASSIGNMENT,
		 "The manual partition assignment includes broker 7, but no such broker is registered."},
		{"t", 2, doubled, 1, ERR_INVALID_REPLICA_ASSIGNMENT,
		 "The manual partition assignment includes the broker 1 more than once."},
		{"t", 2, empty, 1, ERR_INVALID_REPLICA_ASSIGNMENT,
		 "The manual partition assignment includes an empty replica list."},
	};
	struct deciding d;

	deciding_init(&d);
	for (size_t i = 0; i < countof(cases); i++) {
		struct add_partitions t = {.name = bytes_str(cases[i].name),
					   .count = cases[i].count,
					   .assigned = cases[i].assigned != NULL,
					   .assignments = cases[i].assigned,
					   .assignment_count = cases[i].assigned_count};
		struct delta_record added;

		CHECK_ERR(partitions_decide(d.image, &t, &d.arena, &added), cases[i].err);
		CHECK_BYTES(t.message, bytes_str(cases[i].message));
		if (cases[i].err)
			continue;
		CHECK_EQ(added.first_partition, 1);
		CHECK_EQ(added.partition_count, cases[i].count - 1);
		CHECK_EQ(added.partitions[added.partition_count - 1].leader, 1);
	}
	deciding_fini(&d);
}
