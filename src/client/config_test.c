/* config_test: settings as text, what is refused and in which words. */
#include "client/config.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/test.h"
#include "client/assign.h"

static enum err parse(const char *name, const char *value, const char *name2, const char *value2,
		      struct client_config *ret_config, char *ret_words)
{
	struct client_option options[] = {{name, value}, {name2, value2}};
	struct buf message;
	enum err e;

	buf_init(&message, 1000);
	e = client_config_parse(options, name2 ? 2 : name ? 1 : 0, ret_config, &message);
	snprintf(ret_words, 400, "%.*s", BYTES_ARG(buf_bytes(&message)));
	buf_fini(&message);
	return e;
}

TEST(what_is_wrong_is_said_in_words)
{
	static const struct {
		const char *pairs[4];
		const char *words;
	} cases[] = {
		{{"acks", "2"}, "acks=2: one of all, -1, 0, 1 is wanted"},
		{{"linger.ms", "soon"}, "linger.ms=soon: a number is wanted"},
		{{"linger.ms", "-1"}, "linger.ms=-1: from 0 to 2147483647 is possible"},
		{{"lingr.ms", "1"}, "unknown setting lingr.ms; did you mean linger.ms?"},
		{{"max.poll.records", "1"}, "unknown setting max.poll.records; docs/guide.md lists them"},
		{{"auto.offset.reset", "by_duration:1h"},
		 "auto.offset.reset=by_duration:1h: a duration such as PT12H or P7DT30M is wanted, not negative"},
		{{"partition.assignment.strategy", "range,rang"},
		 "partition.assignment.strategy: rang is not one of range, roundrobin, sticky, cooperative-sticky"},
		{{"partition.assignment.strategy", "sticky,sticky"},
		 "partition.assignment.strategy names sticky twice"},
		{{"group.protocol", "consumer", "session.timeout.ms", "9000"},
		 "session.timeout.ms cannot be set with group.protocol=consumer: there the broker decides it"},
		{{"group.protocol", "classic", "group.remote.assignor", "range"},
		 "group.remote.assignor cannot be set with group.protocol=classic"},
		{{"heartbeat.interval.ms", "3000", "session.timeout.ms", "3000"},
		 "heartbeat.interval.ms=3000 must be lower than session.timeout.ms=3000"},
		{{"group.instance.id", ""}, "group.instance.id must not be empty"},
		{{"enable.idempotence", "yes"}, "enable.idempotence=yes: true or false is wanted"},
		{{"security.protocol", "SSL"}, "security.protocol=SSL: only PLAINTEXT is supported as yet"},
		{{"enable.idempotence", "true", "acks", "1"},
		 "enable.idempotence=true needs acks=all; change that, or set enable.idempotence=false"},
		{{"enable.idempotence", "true", "retries", "0"},
		 "enable.idempotence=true needs retries above 0; change that, or set enable.idempotence=false"},
		{{"delivery.timeout.ms", "10", "request.timeout.ms", "20"},
		 "delivery.timeout.ms=10 is less than linger.ms + request.timeout.ms"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		const char *const *p = cases[i].pairs;
		struct client_config c;
		char words[400];

		CHECK_EQ(parse(p[0], p[1], p[2], p[3], &c, words), ERR_BAD_CONFIG);
		CHECK_STR(words, cases[i].words);
	}
}

TEST(names_of_both_worlds_are_understood_and_later_ones_win)
{
	struct client_config c;
	char words[400];

	must_ok(parse("metadata.broker.list", "a:1", "bootstrap.servers", "b:2", &c, words));
	CHECK_STR(c.bootstrap_servers, "b:2");
	client_config_fini(&c);
	must_ok(parse("queue.buffering.max.ms", "7", "compression.codec", "ZSTD", &c, words));
	CHECK_EQ(c.linger_ms, 7);
	CHECK_EQ(c.codec, CODEC_ZSTD);
	CHECK_EQ(client_config_level(&c), 3);
	client_config_fini(&c);
}

TEST(idempotence_is_given_up_quietly_when_it_was_not_asked_for)
{
	struct client_config c;
	char words[400];

	must_ok(parse(NULL, NULL, NULL, NULL, &c, words));
	CHECK(c.idempotence && c.acks == -1);
	client_config_fini(&c);
	must_ok(parse("acks", "1", NULL, NULL, &c, words));
	CHECK(!c.idempotence && c.acks == 1);
	client_config_fini(&c);
	must_ok(parse("max.in.flight", "6", NULL, NULL, &c, words));
	CHECK(!c.idempotence);
	client_config_fini(&c);
}

static char *read_guide(size_t *ret_size)
{
	FILE *file = fopen("docs/guide.md", "rb");
	char *text = mem_alloc(1 << 20);

	/* The tests run at the top of the tree. */
	must(file);
	*ret_size = fread(text, 1, 1 << 20, file);
	fclose(file);
	return text;
}

TEST(the_guide_has_the_table_of_settings_as_it_is)
{
	struct buf table;
	size_t size;
	char *guide = read_guide(&size);

	buf_init(&table, 1 << 20);
	client_config_print(&table);
	if (!memmem(guide, size, table.data, table.size))
		fail_msg("docs/guide.md is to have:\n%.*s", (int)table.size, (const char *)table.data);
	buf_fini(&table);
	mem_free(guide);
}

TEST(a_groups_protocol_follows_from_what_is_given)
{
	static const struct {
		const char *pairs[4];
		enum group_protocol protocol;
	} cases[] = {
		{{NULL}, GROUP_PROTOCOL_AUTOMATIC},
		{{"group.protocol", "CONSUMER"}, GROUP_PROTOCOL_CONSUMER},
		{{"group.protocol", "classic"}, GROUP_PROTOCOL_CLASSIC},
		{{"partition.assignment.strategy", "sticky"}, GROUP_PROTOCOL_CLASSIC},
		{{"session.timeout.ms", "10000"}, GROUP_PROTOCOL_CLASSIC},
		{{"heartbeat.interval.ms", "1000"}, GROUP_PROTOCOL_CLASSIC},
		{{"group.remote.assignor", "range"}, GROUP_PROTOCOL_CONSUMER},
		{{"max.poll.interval.ms", "1000"}, GROUP_PROTOCOL_AUTOMATIC},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		const char *const *p = cases[i].pairs;
		struct client_config c;
		char words[400];

		must_ok(parse(p[0], p[1], p[2], p[3], &c, words));
		CHECK_EQ(c.group_protocol, cases[i].protocol);
		client_config_fini(&c);
	}
}

TEST(assignors_have_kafkas_defaults_and_javas_names)
{
	struct client_config c;
	char words[400];

	must_ok(parse(NULL, NULL, NULL, NULL, &c, words));
	CHECK_EQ(c.assignor_count, 2);
	CHECK_EQ(c.assignors[0], ASSIGNOR_RANGE);
	CHECK_EQ(c.assignors[1], ASSIGNOR_COOPERATIVE_STICKY);
	client_config_fini(&c);
	must_ok(parse("partition.assignment.strategy",
		      "org.apache.kafka.clients.consumer.CooperativeStickyAssignor, roundrobin", NULL, NULL, &c,
		      words));
	CHECK_EQ(c.assignor_count, 2);
	CHECK_EQ(c.assignors[0], ASSIGNOR_COOPERATIVE_STICKY);
	CHECK_EQ(c.assignors[1], ASSIGNOR_ROUNDROBIN);
	client_config_fini(&c);
}

TEST(the_reset_is_a_word_or_a_time_before_now)
{
	struct client_config c;
	char words[400];

	must_ok(parse("auto.offset.reset", "by_duration:P1DT1S", NULL, NULL, &c, words));
	CHECK_EQ(c.reset, RESET_DURATION);
	CHECK_EQ(c.reset_back_ms, 86401000);
	client_config_fini(&c);
	must_ok(parse("auto.offset.reset", "smallest", NULL, NULL, &c, words));
	CHECK_EQ(c.reset, RESET_EARLIEST);
	client_config_fini(&c);
}
