/* config_test: values, properties files, topics' settings, listeners; what Kafka 4.3.1 says is in the tables. */
#include "config/config.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/test.h"
#include "config/listeners.h"
#include "config/topic_config.h"

/* A logger that keeps its lines. */
struct lines {
	struct logger logger;
	char text[4000];
};

static void keep_line(struct logger *l, enum log_level level, const char *line)
{
	struct lines *lines = container_of(l, struct lines, logger);
	size_t size = strlen(lines->text);

	snprintf(lines->text + size, sizeof(lines->text) - size, "%s %s\n", log_level_name(level), line);
}

static enum err set(struct config *c, const char *name, const char *value)
{
	return config_set(c, bytes_str(name), bytes_str(value), NULL);
}

static const char *text_of(struct buf *b)
{
	buf_put_i8(b, 0);
	return (const char *)b->data;
}

TEST(the_table_can_be_searched_by_every_name)
{
	for (int i = 0; i < CONFIG_COUNT; i++) {
		enum config_id id;

		CHECK(config_find(bytes_str(config_definition((enum config_id)i)->name), &id));
		CHECK_EQ(id, i);
	}
	for (int i = 0; i < TOPIC_CONFIG_COUNT; i++) {
		enum topic_config_id id;

		CHECK(topic_config_find(bytes_str(topic_config_definition((enum topic_config_id)i)->name), &id));
		CHECK_EQ(id, i);
	}
}

TEST(defaults_are_kafkas)
{
	struct config *c = config_new();

	CHECK_EQ(config_int32(c, CONFIG_LOG_SEGMENT_BYTES), 1073741824);
	CHECK_EQ(config_int64(c, CONFIG_CONNECTIONS_MAX_IDLE_MS), 600000);
	CHECK(config_bool(c, CONFIG_AUTO_CREATE_TOPICS_ENABLE));
	CHECK_STR(config_string(c, CONFIG_COMPRESSION_TYPE), "producer");
	CHECK(config_is_null(c, CONFIG_LOG_RETENTION_MS));
	CHECK_EQ(config_node_id(c), 1);
	CHECK_EQ(config_log_folders(c).count, 1);
	CHECK_STR(config_log_folders(c).items[0], "/tmp/kafka-logs");
	config_free(c);
}

TEST(log_dirs_and_node_id_have_two_names)
{
	struct config *c = config_new();

	must_ok(set(c, "broker.id", "7"));
	CHECK_EQ(config_node_id(c), 7);
	must_ok(set(c, "log.dirs", "/a, /b"));
	CHECK_EQ(config_log_folders(c).count, 2);
	CHECK_STR(config_log_folders(c).items[1], "/b");
	config_free(c);
}

TEST(a_value_that_is_refused_changes_nothing)
{
	struct config *c = config_new();

	CHECK_ERR(set(c, "num.partitions", "0"), ERR_BAD_CONFIG);
	CHECK_EQ(config_int32(c, CONFIG_NUM_PARTITIONS), 1);
	CHECK(!config_is_set(c, CONFIG_NUM_PARTITIONS));
	CHECK_ERR(set(c, "no.such.setting", "0"), ERR_NOT_FOUND);
	config_free(c);
}

TEST(properties_follow_javas_syntax)
{
	static const char text[] = "# a comment \\\n"
				   "! another\n"
				   "\n"
				   "   num.partitions = 3   \n"
				   "log.dirs:/tmp/a b,\\\n"
				   "    /tmp/c\r\n"
				   "broker.rack   r\\u00e4ck\\t1\n"
				   "client\\ id\\=x=ignored\n"
				   "broker.rack=second wins\\\\\n"
				   "delete.topic.enable=FALSE\n"
				   "compression.type=";
	struct config *c = config_new();
	struct lines lines = {.logger = {.write = keep_line}};

	CHECK_ERR(config_load_properties(c, bytes_str(text), "server.properties", &lines.logger), ERR_BAD_CONFIG);
	CHECK_STR(
		lines.text,
		"WARN server.properties:8: unknown setting client id=x is ignored\n"
		"ERROR server.properties:11: Invalid value  for configuration compression.type: String must be one of: "
		"uncompressed, zstd, lz4, snappy, gzip, producer\n");
	CHECK_EQ(config_int32(c, CONFIG_NUM_PARTITIONS), 3);
	CHECK_STR(config_log_folders(c).items[0], "/tmp/a b");
	CHECK_STR(config_log_folders(c).items[1], "/tmp/c");
	CHECK_STR(config_string(c, CONFIG_BROKER_RACK), "second wins\\");
	CHECK(!config_bool(c, CONFIG_DELETE_TOPIC_ENABLE));
	config_free(c);
}

TEST(an_unknown_name_is_warned_about_once)
{
	struct config *c = config_new();
	struct lines lines = {.logger = {.write = keep_line}};

	must_ok(config_load_properties(c, bytes_str("a.b=1\na.b=2\n"), "f", &lines.logger));
	must_ok(config_load_properties(c, bytes_str("a.b=3\n"), "g", &lines.logger));
	CHECK_STR(lines.text, "WARN f:1: unknown setting a.b is ignored\n");
	config_free(c);
}

/* The settings of the files that Kafka itself ships (4.x, and 3.x for ZooKeeper). */
static const char kraft_properties[] =
	"process.roles=broker,controller\n"
	"node.id=1\n"
	"controller.quorum.bootstrap.servers=localhost:9093\n"
	"listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
	"inter.broker.listener.name=PLAINTEXT\n"
	"advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n"
	"controller.listener.names=CONTROLLER\n"
	"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,"
	"SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n"
	"num.network.threads=3\nnum.io.threads=8\n"
	"socket.send.buffer.bytes=102400\nsocket.receive.buffer.bytes=102400\n"
	"socket.request.max.bytes=104857600\nlog.dirs=/tmp/kraft-combined-logs\n"
	"num.partitions=1\nnum.recovery.threads.per.data.dir=2\n"
	"offsets.topic.replication.factor=1\nshare.coordinator.state.topic.replication.factor=1\n"
	"share.coordinator.state.topic.min.isr=1\ntransaction.state.log.replication.factor=1\n"
	"transaction.state.log.min.isr=1\nlog.retention.hours=168\n"
	"log.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n";
static const char zookeeper_properties[] =
	"broker.id=0\nnum.network.threads=3\nnum.io.threads=8\n"
	"socket.send.buffer.bytes=102400\nlog.dirs=/tmp/kafka-logs\nnum.partitions=1\n"
	"log.retention.hours=168\nzookeeper.connect=localhost:2181\n"
	"zookeeper.connection.timeout.ms=18000\ngroup.initial.rebalance.delay.ms=0\n";

TEST(kafkas_own_files_make_a_broker)
{
	static const struct {
		const char *text;
		const char *warnings;
		int32_t node_id;
		size_t listeners;
		const char *advertised;
	} cases[] = {
		{kraft_properties, "", 1, 1, "localhost"},
		{zookeeper_properties,
		 "WARN f:8: unknown setting zookeeper.connect is ignored\n"
		 "WARN f:9: unknown setting zookeeper.connection.timeout.ms is ignored\n",
		 0, 1, NULL},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct config *c = config_new();
		struct lines lines = {.logger = {.write = keep_line}};
		struct listener_specs specs;
		struct buf message;

		buf_init(&message, 1000);
		must_ok(config_load_properties(c, bytes_str(cases[i].text), "f", &lines.logger));
		CHECK_STR(lines.text, cases[i].warnings);
		must_ok(config_validate(c, &message));
		CHECK_EQ(config_node_id(c), cases[i].node_id);
		must_ok(listeners_parse(c, &message, &specs));
		CHECK_EQ(specs.count, cases[i].listeners);
		CHECK_STR(specs.items[0].name, "PLAINTEXT");
		CHECK_EQ(specs.items[0].port, 9092);
		if (cases[i].advertised)
			CHECK_STR(specs.items[0].advertised_host, cases[i].advertised);
		else
			CHECK(!specs.items[0].advertised_host);
		listeners_free(&specs);
		buf_fini(&message);
		config_free(c);
	}
}

TEST(what_does_not_fit_together_is_refused)
{
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
		{"node.id=1\nbroker.id=2", "node.id is 1 and broker.id is 2: they must be the same, or leave one out"},
		{"process.roles=controller",
		 "process.roles is controller: a broker keeps its metadata itself; add 'broker', or leave it out"},
		{"log.retention.ms=0", "log.retention.ms must be unlimited (-1) or, equal or greater than 1"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct config *c = config_new();
		struct buf message;

		buf_init(&message, 1000);
		must_ok(config_load_properties(c, bytes_str(cases[i].text), "f", NULL));
		CHECK_ERR(config_validate(c, &message), ERR_BAD_CONFIG);
		CHECK_STR(text_of(&message), cases[i].message);
		buf_fini(&message);
		config_free(c);
	}
}

TEST(listeners_are_taken_apart)
{
	static const struct {
		const char *listeners;
		const char *advertised;
		const char *map;     /* NULL: the default */
		const char *message; /* NULL: good */
		const char *host;
		uint16_t port;
		enum security_protocol protocol;
	} cases[] = {
		{"PLAINTEXT://127.0.0.1:9092", "", NULL, NULL, "127.0.0.1", 9092, SECURITY_PLAINTEXT},
		{"ssl://[::1]:1", "", NULL, NULL, "::1", 1, SECURITY_SSL},
		{"IN://:5", "", "IN:SASL_SSL, EX:SSL", NULL, "", 5, SECURITY_SASL_SSL},
		{"PLAINTEXT://:0", "", NULL, NULL, "", 0, SECURITY_PLAINTEXT},
		{"PLAINTEXT", "", NULL, "listeners: 'PLAINTEXT' is not of the form NAME://host:port", NULL, 0, 0},
		{"PLAINTEXT://:99999", "", NULL, "listeners: 'PLAINTEXT://:99999': a port is at most 65535", NULL, 0,
		 0},
		{"PLAINTEXT://::1:9", "", NULL, "listeners: 'PLAINTEXT://::1:9' is not of the form NAME://host:port",
		 NULL, 0, 0},
		{"IN://:5", "", NULL,
		 "listener IN has no security protocol: add IN:PLAINTEXT (or another) to "
		 "listener.security.protocol.map",
		 NULL, 0, 0},
		{"IN://:5", "", "IN:TLS", "listener.security.protocol.map: 'TLS' is no security protocol", NULL, 0, 0},
		{"PLAINTEXT://:1,PLAINTEXT://:2", "", NULL,
		 "listeners: each listener must have a different name, listener PLAINTEXT comes twice", NULL, 0, 0},
		{"PLAINTEXT://:1,SSL://:1", "", NULL,
		 "listeners: each listener must have a different port, port 1 comes twice", NULL, 0, 0},
		{"PLAINTEXT://:1", "SSL://a:1", NULL, "advertised.listeners: there is no listener SSL in listeners",
		 NULL, 0, 0},
		{"PLAINTEXT://:1", "PLAINTEXT://0.0.0.0:1", NULL,
		 "advertised.listeners: clients cannot connect to '0.0.0.0'; name the host they know", NULL, 0, 0},
		{"", "", NULL, "listeners: there is no listener for clients", NULL, 0, 0},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct config *c = config_new();
		struct listener_specs specs = {0};
		struct buf message;

		buf_init(&message, 1000);
		must_ok(set(c, "listeners", cases[i].listeners));
		if (*cases[i].advertised)
			must_ok(set(c, "advertised.listeners", cases[i].advertised));
		if (cases[i].map)
			must_ok(set(c, "listener.security.protocol.map", cases[i].map));
		CHECK_ERR(listeners_parse(c, &message, &specs), cases[i].message ? ERR_BAD_CONFIG : OK);
		if (cases[i].message) {
			CHECK_STR(text_of(&message), cases[i].message);
		} else {
			CHECK_STR(specs.items[0].host, cases[i].host);
			CHECK_EQ(specs.items[0].port, cases[i].port);
			CHECK_EQ(specs.items[0].protocol, cases[i].protocol);
		}
		listeners_free(&specs);
		buf_fini(&message);
		config_free(c);
	}
}

/* --- topics --------------------------------------------------------------------------------------------------------------- */

struct pair {
	const char *name;
	const char *value;
};

/* As Kafka 4.3.1 answered to the same settings in CreateTopics. */
TEST(a_topics_settings_are_refused_with_kafkas_words)
{
	static const struct {
		struct pair pairs[3];
		const char *message; /* NULL: accepted */
	} cases[] = {
		{{{"foo", "bar"}}, "Unknown topic config name: foo"},
		{{{"segment.bytes", NULL}}, "Null value not supported for topic configs: segment.bytes"},
		{{{"foo", NULL}, {"segment.ms", NULL}}, "Null value not supported for topic configs: foo,segment.ms"},
		{{{"segment.bytes", "a"}}, "Invalid value a for configuration segment.bytes: Not a number of type INT"},
		{{{"segment.bytes", ""}}, "Invalid value  for configuration segment.bytes: Not a number of type INT"},
		{{{"segment.bytes", "1"}},
		 "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576"},
		{{{"segment.bytes", "99999999999"}},
		 "Invalid value 99999999999 for configuration segment.bytes: Not a number of type INT"},
		{{{"segment.bytes", " 1048577 "}}, NULL},
		{{{"retention.ms", "-2"}},
		 "Invalid value -2 for configuration retention.ms: Value must be at least -1"},
		{{{"retention.ms", "1.5"}},
		 "Invalid value 1.5 for configuration retention.ms: Not a number of type LONG"},
		{{{"retention.ms", "9223372036854775807"}}, NULL},
		{{{"retention.ms", "9223372036854775808"}},
		 "Invalid value 9223372036854775808 for configuration retention.ms: Not a number of type LONG"},
		{{{"retention.bytes", "-9223372036854775808"}}, NULL},
		{{{"cleanup.policy", "foo"}},
		 "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"},
		{{{"cleanup.policy", "delete,foo"}},
		 "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"},
		{{{"cleanup.policy", ""}}, NULL},
		{{{"cleanup.policy", " delete , compact "}}, NULL},
		{{{"cleanup.policy", "delete,delete"}}, NULL},
		{{{"cleanup.policy", "delete,"}}, "Configuration 'cleanup.policy' values must not be empty."},
		{{{"cleanup.policy", ",,"}}, "Configuration 'cleanup.policy' values must not be empty."},
		{{{"cleanup.policy", "delete,,x"}},
		 "Invalid value x for configuration cleanup.policy: String must be one of: compact, delete"},
		{{{"leader.replication.throttled.replicas", "0:1,"}}, NULL},
		{{{"leader.replication.throttled.replicas", "*,*"}},
		 "Invalid value [*, *] for configuration leader.replication.throttled.replicas: "
		 "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following "
		 "format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."},
		{{{"compression.gzip.level", "0"}},
		 "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to "
		 "-1"},
		{{{"compression.gzip.level", "-1"}}, NULL},
		{{{"compression.zstd.level", "23"}},
		 "Invalid value 23 for configuration compression.zstd.level: Value must be no more than 22"},
		{{{"min.cleanable.dirty.ratio", "2"}},
		 "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{{{"min.cleanable.dirty.ratio", "-0.1"}},
		 "Invalid value -0.1 for configuration min.cleanable.dirty.ratio: Value must be at least 0"},
		/* As Java reads numbers: NaN is neither below 0 nor above 1. */
		{{{"min.cleanable.dirty.ratio", "NaN"}}, NULL},
		{{{"min.cleanable.dirty.ratio", "0.5f"}}, NULL},
		{{{"min.cleanable.dirty.ratio", "Infinity"}},
		 "Invalid value Infinity for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{{{"min.cleanable.dirty.ratio", "x"}},
		 "Invalid value x for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE"},
		{{{"preallocate", "maybe"}},
		 "Invalid value maybe for configuration preallocate: Expected value to be either true or false"},
		{{{"preallocate", " TRUE "}}, NULL},
		{{{"leader.replication.throttled.replicas", "x"}},
		 "Invalid value [x] for configuration leader.replication.throttled.replicas: "
		 "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following "
		 "format: "
		 "[partitionId]:[brokerId],[partitionId]:[brokerId],..."},
		{{{"leader.replication.throttled.replicas", "*"}}, NULL},
		{{{"leader.replication.throttled.replicas", "0:1,1:2"}}, NULL},
		{{{"min.compaction.lag.ms", "10"}, {"max.compaction.lag.ms", "5"}},
		 "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"},
		{{{"segment.bytes", "1048576"}, {"segment.bytes", "zz"}},
		 "Invalid value zz for configuration segment.bytes: Not a number of type INT"},
		{{{"segment.bytes", "zz"}, {"segment.bytes", "1048576"}}, NULL},
		{{{"segment.bytes", "1"}, {"foo", "2"}}, "Unknown topic config name: foo"},
		{{{"segment.ms", "0x10"}},
		 "Invalid value 0x10 for configuration segment.ms: Not a number of type LONG"},
		{{{"segment.ms", "+10"}}, NULL},
		{{{"internal.segment.bytes", "2"}}, NULL},
		{{{"remote.storage.enable", "true"}},
		 "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log "
		 "storage."},
		{{{"write.caching", "true"}}, NULL}, /* ours */
	};
	struct config *c = config_new();

	for (size_t i = 0; i < countof(cases); i++) {
		struct config_entry entries[3];
		size_t count = 0;
		struct buf message;

		buf_init(&message, 1000);
		for (; count < 3 && cases[i].pairs[count].name; count++)
			entries[count] = (struct config_entry){.name = bytes_str(cases[i].pairs[count].name),
							       .value = bytes_str(cases[i].pairs[count].value)};
		CHECK_ERR(topic_config_validate(c, entries, count, &message),
			  cases[i].message ? ERR_INVALID_CONFIG : OK);
		if (cases[i].message)
			CHECK_STR(text_of(&message), cases[i].message);
		buf_fini(&message);
	}
	config_free(c);
}

static struct config_entry entry(const char *name, const char *value)
{
	return (struct config_entry){.name = bytes_str(name), .value = bytes_str(value)};
}

TEST(effective_settings_come_from_the_strongest_layer)
{
	struct config *c = config_new();
	struct config_entry topic = entry("segment.ms", "5"), broker = entry("log.roll.hours", "2"),
			    brokers = entry("log.roll.ms", "9000");
	struct config_layers l = {.config = c};
	struct topic_settings s;

	topic_settings_of(&l, &s);
	CHECK_EQ(s.segment_ms, 604800000);
	CHECK_EQ(s.retention_ms, 604800000);
	CHECK_EQ(s.flush_ms, INT64_MAX);
	CHECK(s.cleanup_delete && !s.cleanup_compact && !s.write_caching);
	CHECK_EQ(s.compression, -1);

	must_ok(set(c, "log.retention.minutes", "2"));
	must_ok(set(c, "log.flush.scheduler.interval.ms", "77"));
	must_ok(set(c, "write.caching", "true"));
	topic_settings_of(&l, &s);
	CHECK_EQ(s.retention_ms, 120000);
	CHECK_EQ(s.flush_ms, 77);
	CHECK(s.write_caching);
	must_ok(set(c, "log.retention.minutes", "-1"));
	topic_settings_of(&l, &s);
	CHECK_EQ(s.retention_ms, -1);

	l.broker = &broker;
	l.broker_count = 1;
	topic_settings_of(&l, &s);
	CHECK_EQ(s.segment_ms, 7200000);
	l.brokers = &brokers;
	l.brokers_count = 1;
	topic_settings_of(&l, &s);
	CHECK_EQ(s.segment_ms, 9000); /* ms wins over hours, wherever each comes from */
	l.topic = &topic;
	l.topic_count = 1;
	topic_settings_of(&l, &s);
	CHECK_EQ(s.segment_ms, 5);
	config_free(c);
}

/* One line a setting: value, source, its synonyms; as Kafka 4.3.1 describes them. */
static void described(const struct config_described *d, char *text, size_t size)
{
	size_t at = (size_t)snprintf(text, size, "%.*s %d", BYTES_ARG(d->value), d->source);

	for (size_t i = 0; i < d->synonym_count; i++)
		at += (size_t)snprintf(text + at, size - at, " %s=%.*s:%d", d->synonyms[i].name,
				       BYTES_ARG(d->synonyms[i].value), d->synonyms[i].source);
}

TEST(a_topics_settings_are_described_as_kafka_does)
{
	static const struct {
		enum topic_config_id id;
		const char *text;
	} cases[] = {
		{TOPIC_CONFIG_RETENTION_MS, "5000 1 retention.ms=5000:1"},
		{TOPIC_CONFIG_SEGMENT_BYTES, "1048577 1 segment.bytes=1048577:1 log.segment.bytes=1073741824:5"},
		{TOPIC_CONFIG_CLEANUP_POLICY,
		 "compact,delete 1 cleanup.policy=compact,delete:1 log.cleanup.policy=delete:5"},
		{TOPIC_CONFIG_SEGMENT_MS, "604800000 5"},
		{TOPIC_CONFIG_FLUSH_MS, "9223372036854775807 5"},
		{TOPIC_CONFIG_MAX_MESSAGE_BYTES, "1048588 5 message.max.bytes=1048588:5"},
		{TOPIC_CONFIG_LEADER_REPLICATION_THROTTLED_REPLICAS, " 5"},
		{TOPIC_CONFIG_MIN_CLEANABLE_DIRTY_RATIO, "0.5 5 log.cleaner.min.cleanable.ratio=0.5:5"},
		{TOPIC_CONFIG_INDEX_INTERVAL_BYTES,
		 "99 4 log.index.interval.bytes=99:4 log.index.interval.bytes=4096:5"},
	};
	struct config_entry topic[] = {entry("cleanup.policy", " compact, delete"), entry("retention.ms", "5000"),
				       entry("segment.bytes", " 1048577 ")};
	struct config *c = config_new();
	struct config_layers l = {.config = c, .topic = topic, .topic_count = countof(topic)};
	struct arena a;

	must_ok(set(c, "log.index.interval.bytes", "99"));
	arena_init(&a, 100000);
	for (size_t i = 0; i < countof(cases); i++) {
		struct config_described d;
		char text[300];

		CHECK(topic_config_describe(&l, cases[i].id, &a, &d));
		described(&d, text, sizeof(text));
		CHECK_STR(text, cases[i].text);
		CHECK(!d.read_only && !d.sensitive);
	}
	arena_fini(&a);
	config_free(c);
}

TEST(a_brokers_settings_are_described_as_kafka_does)
{
	static const struct {
		enum config_id id;
		bool read_only;
		bool sensitive;
		const char *text;
	} cases[] = {
		{CONFIG_BROKER_ID, true, false, "1 4 broker.id=1:4 broker.id=-1:5"},
		{CONFIG_LOG_ROLL_MS, false, false, " 5"},
		{CONFIG_LOG_FLUSH_INTERVAL_MS, false, false, " 5"},
		{CONFIG_BACKGROUND_THREADS, false, false, "10 5 background.threads=10:5"},
		{CONFIG_SSL_KEY_PASSWORD, false, true, " 4 ssl.key.password=:4"},
		{CONFIG_ADVERTISED_LISTENERS, true, false, " 5"},
		{CONFIG_LOG_CLEANER_IO_MAX_BYTES_PER_SECOND, false, false,
		 "1.7976931348623157E308 5 log.cleaner.io.max.bytes.per.second=1.7976931348623157E308:5"},
	};
	struct config *c = config_new();
	struct config_layers l = {.config = c};
	struct arena a;

	must_ok(set(c, "node.id", "1"));
	must_ok(set(c, "ssl.key.password", "secret"));
	arena_init(&a, 100000);
	for (size_t i = 0; i < countof(cases); i++) {
		struct config_described d;
		char text[300];

		CHECK(config_describe(&l, cases[i].id, &a, &d));
		described(&d, text, sizeof(text));
		CHECK_STR(text, cases[i].text);
		CHECK_EQ(d.read_only, cases[i].read_only);
		CHECK_EQ(d.sensitive, cases[i].sensitive);
		CHECK(!d.sensitive || bytes_is_null(d.value));
	}
	arena_fini(&a);
	config_free(c);
}

TEST(every_setting_can_be_described_within_a_small_arena_or_is_refused)
{
	struct config *c = config_new();
	struct config_layers l = {.config = c};
	struct config_described d;
	struct arena a;

	arena_init(&a, 16);
	CHECK(!config_describe(&l, CONFIG_LISTENERS, &a, &d));
	arena_fini(&a);
	for (int i = 0; i < CONFIG_COUNT; i++) {
		arena_init(&a, 10000);
		CHECK(config_describe(&l, (enum config_id)i, &a, &d));
		arena_fini(&a);
	}
	config_free(c);
}
