/* internal_topics: how each is made, by default and by settings, in clusters of several sizes. */
#include "broker/internal_topics.h"

#include <stdlib.h>

#include "base/test.h"

static const char *value_of(const struct internal_topic_plan *p, const char *name)
{
	for (size_t i = 0; i < p->topic.config_count; i++)
		if (bytes_equal_str(p->configs[i].name, name))
			return (const char *)p->configs[i].value.data;
	return "";
}

TEST(by_default_each_is_as_kafka_makes_it_with_no_more_replicas_than_brokers)
{
	static const struct {
		enum internal_topic topic;
		size_t brokers;
		int16_t replicas;
		const char *cleanup_policy;
		const char *compression;
		const char *min_isr;
		const char *unclean;
		const char *retention;
	} cases[] = {
		{INTERNAL_GROUPS, 1, 1, "compact", "producer", "", "", ""},
		{INTERNAL_GROUPS, 2, 2, "compact", "producer", "", "", ""},
		{INTERNAL_GROUPS, 5, 3, "compact", "producer", "", "", ""},
		{INTERNAL_TRANSACTIONS, 1, 1, "compact", "uncompressed", "1", "false", ""},
		{INTERNAL_TRANSACTIONS, 3, 3, "compact", "uncompressed", "2", "false", ""},
		{INTERNAL_SHARES, 1, 1, "delete", "producer", "1", "", "-1"},
		{INTERNAL_SHARES, 4, 3, "delete", "producer", "2", "", "-1"},
	};
	struct config *c = config_new();

	for (size_t i = 0; i < countof(cases); i++) {
		struct internal_topic_plan p;

		internal_topic_plan(c, cases[i].brokers, cases[i].topic, &p);
		CHECK(p.topic.internal);
		CHECK_EQ(p.topic.partitions, 50);
		CHECK_EQ(p.topic.replication_factor, cases[i].replicas);
		CHECK_STR(value_of(&p, "cleanup.policy"), cases[i].cleanup_policy);
		CHECK_STR(value_of(&p, "compression.type"), cases[i].compression);
		CHECK_STR(value_of(&p, "segment.bytes"), "104857600");
		CHECK_STR(value_of(&p, "min.insync.replicas"), cases[i].min_isr);
		CHECK_STR(value_of(&p, "unclean.leader.election.enable"), cases[i].unclean);
		CHECK_STR(value_of(&p, "retention.ms"), cases[i].retention);
		must_ok(topic_config_validate(c, p.topic.configs, p.topic.config_count, NULL));
	}
	config_free(c);
}

TEST(settings_say_how_many_partitions_and_how_large_a_segment)
{
	struct config *c = config_new();
	struct internal_topic_plan p;

	must_ok(config_set(c, bytes_str("offsets.topic.num.partitions"), bytes_str("7"), NULL));
	must_ok(config_set(c, bytes_str("offsets.topic.segment.bytes"), bytes_str("1048576"), NULL));
	internal_topic_plan(c, 1, INTERNAL_GROUPS, &p);
	CHECK_EQ(p.topic.partitions, 7);
	CHECK_STR(value_of(&p, "segment.bytes"), "1048576");
	config_free(c);
}

TEST(a_name_is_one_of_them_or_not)
{
	enum internal_topic t;

	CHECK(internal_topic_find(bytes_str("__transaction_state"), &t));
	CHECK_EQ(t, INTERNAL_TRANSACTIONS);
	CHECK(!internal_topic_find(bytes_str("__consumer_offsets2"), &t));
	CHECK(!internal_topic_find(bytes_empty(), &t));
}
