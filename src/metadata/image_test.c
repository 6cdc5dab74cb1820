/* image_test: deltas written, read and applied; what must be refused, and that a refused one changes nothing. */
#include "metadata/image.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/test.h"
#include "metadata/delta.h"

static struct uuid id_of(uint8_t n)
{
	return (struct uuid){.bytes = {n, 1}};
}

static const int32_t one[] = {1};
static const int32_t three[] = {3, 1, 2};

static struct delta_partition single = {.leader = 1, .replicas = one, .replica_count = 1, .isr = one, .isr_count = 1};
static struct delta_partition triple = {.leader = 3,
					.leader_epoch = 4,
					.partition_epoch = 5,
					.replicas = three,
					.replica_count = 3,
					.isr = three,
					.isr_count = 2};

static struct delta_record topic_record(const char *name, uint8_t id, const struct delta_partition *p, uint32_t count)
{
	return (struct delta_record){.kind = DELTA_TOPIC,
				     .name = bytes_str(name),
				     .topic_id = id_of(id),
				     .partitions = p,
				     .partition_count = count};
}

static enum err apply(struct image *i, const struct delta_record *records, size_t count)
{
	struct buf b;
	enum err e;

	buf_init(&b, 1 << 20);
	delta_begin(&b);
	for (size_t k = 0; k < count; k++)
		delta_put(&b, &records[k]);
	must_ok(b.error);
	e = image_apply(i, buf_bytes(&b));
	buf_fini(&b);
	return e;
}

static enum err apply_one(struct image *i, struct delta_record r)
{
	return apply(i, &r, 1);
}

TEST(a_partition_with_one_replica_takes_24_bytes)
{
	CHECK_EQ(sizeof(struct image_partition), 24);
}

TEST(topics_are_found_by_name_by_id_and_in_order)
{
	struct delta_partition two[] = {single, triple};
	struct image *i = image_new();
	const struct image_topic *t;
	size_t count;

	must_ok(apply_one(i, topic_record("b", 2, two, 2)));
	must_ok(apply_one(i, topic_record("c", 3, &single, 1)));
	must_ok(apply_one(i, topic_record("a", 1, &single, 1)));
	CHECK_EQ(image_version(i), 3);
	CHECK_EQ(image_topic_count(i), 3);
	CHECK_EQ(image_partition_count(i), 4);
	CHECK_BYTES(image_topic_at(i, 0)->name, bytes_str("a"));
	CHECK_BYTES(image_topic_at(i, 2)->name, bytes_str("c"));
	CHECK_EQ(image_topic_place(i, bytes_str("aa")), 1);
	CHECK_EQ(image_topic_place(i, bytes_str("z")), 3);
	t = image_topic_by_id(i, id_of(2));
	CHECK(t && t == image_topic_by_name(i, bytes_str("b")));
	CHECK(!image_topic_by_name(i, bytes_str("d")) && !image_topic_by_id(i, id_of(9)));
	CHECK_EQ(image_replicas(image_partition(t, 1), &count)[0], 3);
	CHECK_EQ(count, 3);
	CHECK_EQ(image_isr(image_partition(t, 1), &count)[1], 1);
	CHECK_EQ(count, 2);
	CHECK_EQ(image_isr(image_partition(t, 0), &count)[0], 1);
	CHECK_EQ(count, 1);
	CHECK(image_is_replica(image_partition(t, 1), 2) && !image_is_replica(image_partition(t, 0), 2));
	CHECK(!image_partition(t, 2) && !image_partition(t, -1));
	image_free(i);
}

TEST(a_topic_goes_and_leaves_the_others_in_order)
{
	struct image *i = image_new();

	must_ok(apply_one(i, topic_record("a", 1, &single, 1)));
	must_ok(apply_one(i, topic_record("b", 2, &triple, 1)));
	must_ok(apply_one(i, (struct delta_record){.kind = DELTA_TOPIC_REMOVED, .topic_id = id_of(1)}));
	CHECK(!image_topic_by_name(i, bytes_str("a")) && !image_topic_by_id(i, id_of(1)));
	CHECK_EQ(image_topic_count(i), 1);
	CHECK_EQ(image_partition_count(i), 1);
	must_ok(apply_one(i, topic_record("a", 3, &single, 1)));
	CHECK(image_topic_at(i, 0) == image_topic_by_id(i, id_of(3)));
	image_free(i);
}

TEST(partitions_are_added_and_changed)
{
	struct image *i = image_new();
	size_t count;

	must_ok(apply_one(i, topic_record("a", 1, &single, 1)));
	must_ok(apply_one(i, (struct delta_record){.kind = DELTA_PARTITIONS,
						   .topic_id = id_of(1),
						   .first_partition = 1,
						   .partitions = &triple,
						   .partition_count = 1}));
	must_ok(apply_one(i, (struct delta_record){.kind = DELTA_PARTITION,
						   .topic_id = id_of(1),
						   .first_partition = 0,
						   .partitions = &triple,
						   .partition_count = 1}));
	must_ok(apply_one(i, (struct delta_record){.kind = DELTA_PARTITION,
						   .topic_id = id_of(1),
						   .first_partition = 1,
						   .partitions = &single,
						   .partition_count = 1}));
	CHECK_EQ(image_partition_count(i), 2);
	CHECK_EQ(image_partition(image_topic_by_name(i, bytes_str("a")), 0)->leader_epoch, 4);
	image_replicas(image_partition(image_topic_by_name(i, bytes_str("a")), 1), &count);
	CHECK_EQ(count, 1);
	image_free(i);
}

TEST(a_delta_that_does_not_fit_changes_nothing)
{
	static const int32_t stranger[] = {9};
	struct delta_partition bad_isr = {.replicas = three, .replica_count = 3, .isr = stranger, .isr_count = 1};
	struct delta_partition none = {0};
	const struct {
		struct delta_record record;
		enum err err;
	} cases[] = {
		{topic_record("a", 7, &single, 1), ERR_CONFLICT},
		{topic_record("b", 1, &single, 1), ERR_CONFLICT},
		{topic_record("", 7, &single, 1), ERR_MALFORMED},
		{topic_record("b", 7, &bad_isr, 1), ERR_MALFORMED},
		{topic_record("b", 7, &none, 1), ERR_MALFORMED},
		{{.kind = DELTA_TOPIC_REMOVED, .topic_id = id_of(7)}, ERR_CONFLICT},
		{{.kind = DELTA_PARTITIONS,
		  .topic_id = id_of(1),
		  .first_partition = 2,
		  .partitions = &single,
		  .partition_count = 1},
		 ERR_CONFLICT},
		{{.kind = DELTA_PARTITION,
		  .topic_id = id_of(1),
		  .first_partition = 1,
		  .partitions = &single,
		  .partition_count = 1},
		 ERR_CONFLICT},
		{{.kind = DELTA_PARTITION, .topic_id = id_of(1), .first_partition = 0}, ERR_MALFORMED},
		{{.kind = DELTA_CONFIG, .resource = CONFIG_OF_TOPIC, .topic_id = id_of(7), .name = bytes_str("x")},
		 ERR_CONFLICT},
	};
	struct image *i = image_new();

	must_ok(apply_one(i, topic_record("a", 1, &single, 1)));
	for (size_t k = 0; k < countof(cases); k++) {
		struct delta_record both[] = {topic_record("new", 50, &single, 1), cases[k].record};

		CHECK_ERR(apply(i, both, 2), cases[k].err);
		CHECK_EQ(image_version(i), 1);
		CHECK_EQ(image_topic_count(i), 1);
	}
	image_free(i);
}

TEST(records_of_one_delta_build_on_each_other)
{
	struct delta_record records[] = {
		topic_record("a", 1, &single, 1),
		{.kind = DELTA_PARTITIONS,
		 .topic_id = id_of(1),
		 .first_partition = 1,
		 .partitions = &single,
		 .partition_count = 1},
		{.kind = DELTA_TOPIC_REMOVED, .topic_id = id_of(1)},
		topic_record("a", 2, &single, 1),
	};
	struct image *i = image_new();

	must_ok(apply(i, records, countof(records)));
	CHECK_EQ(image_topic_count(i), 1);
	CHECK(image_topic_by_id(i, id_of(2)) && !image_topic_by_id(i, id_of(1)));
	image_free(i);
}

TEST(names_that_collide_are_known)
{
	struct image *i = image_new();

	must_ok(apply_one(i, topic_record("a.b_c", 1, &single, 1)));
	must_ok(apply_one(i, topic_record("plain", 2, &single, 1)));
	CHECK_BYTES(image_topic_colliding(i, bytes_str("a_b.c"))->name, bytes_str("a.b_c"));
	CHECK(!image_topic_colliding(i, bytes_str("a.b_c")));
	CHECK(!image_topic_colliding(i, bytes_str("plain")));
	/* Kafka lets two that come in one request collide; when one goes, the other still counts. */
	must_ok(apply_one(i, topic_record("a_b_c", 3, &single, 1)));
	must_ok(apply_one(i, (struct delta_record){.kind = DELTA_TOPIC_REMOVED, .topic_id = id_of(1)}));
	CHECK_BYTES(image_topic_colliding(i, bytes_str("a.b.c"))->name, bytes_str("a_b_c"));
	image_free(i);
}

TEST(brokers_features_and_settings_are_kept_in_order)
{
	struct delta_endpoint endpoint = {.listener = bytes_str("PLAINTEXT"), .host = bytes_str("h"), .port = 65000};
	struct delta_record records[] = {
		{.kind = DELTA_CLUSTER, .name = bytes_str("cluster"), .broker = 2},
		{.kind = DELTA_BROKER,
		 .broker = 5,
		 .broker_epoch = 77,
		 .value = bytes_str("rack"),
		 .endpoints = &endpoint,
		 .endpoint_count = 1},
		{.kind = DELTA_BROKER, .broker = 2},
		{.kind = DELTA_BROKER, .broker = 5, .broker_epoch = 78, .endpoints = &endpoint, .endpoint_count = 1},
		{.kind = DELTA_BROKER, .broker = 9},
		{.kind = DELTA_BROKER_REMOVED, .broker = 9},
		{.kind = DELTA_FEATURE, .name = bytes_str("z"), .level = 3},
		{.kind = DELTA_FEATURE, .name = bytes_str("a"), .level = 1},
		{.kind = DELTA_FEATURE, .name = bytes_str("z"), .level = 0},
		{.kind = DELTA_CONFIG,
		 .resource = CONFIG_OF_BROKER,
		 .broker = -1,
		 .name = bytes_str("log.roll.ms"),
		 .value = bytes_str("7")},
		{.kind = DELTA_CONFIG,
		 .resource = CONFIG_OF_BROKER,
		 .broker = 5,
		 .name = bytes_str("log.roll.ms"),
		 .value = bytes_str("8")},
		{.kind = DELTA_CONFIG,
		 .resource = CONFIG_OF_BROKER,
		 .broker = 5,
		 .name = bytes_str("gone"),
		 .value = bytes_str("8")},
		{.kind = DELTA_CONFIG,
		 .resource = CONFIG_OF_BROKER,
		 .broker = 5,
		 .name = bytes_str("gone"),
		 .value = bytes_null()},
	};
	struct config *c = config_new();
	struct topic_settings s;
	struct image *i = image_new();
	size_t count;

	must_ok(apply(i, records, countof(records)));
	CHECK_STR(image_cluster_id(i), "cluster");
	CHECK_EQ(image_controller(i), 2);
	CHECK_EQ(image_broker_count(i), 2);
	CHECK_EQ(image_broker_at(i, 0)->id, 2);
	CHECK_EQ(image_broker_by_id(i, 5)->epoch, 78);
	CHECK(!image_broker_by_id(i, 5)->rack);
	CHECK_EQ(image_endpoint(image_broker_by_id(i, 5), "PLAINTEXT")->port, 65000);
	CHECK(!image_endpoint(image_broker_by_id(i, 5), "SSL"));
	CHECK_EQ(image_feature_count(i), 1);
	CHECK_EQ(image_feature_level(i, "a"), 1);
	CHECK_EQ(image_feature_level(i, "z"), 0);
	image_broker_configs(i, 5, &count);
	CHECK_EQ(count, 1);
	topic_effective(c, i, 5, NULL, &s);
	CHECK_EQ(s.segment_ms, 8);
	topic_effective(c, i, 6, NULL, &s);
	CHECK_EQ(s.segment_ms, 7);
	image_free(i);
	config_free(c);
}

TEST(a_topics_settings_are_set_replaced_and_removed)
{
	struct config_entry configs[] = {{bytes_str("segment.ms"), bytes_str("5")}, {bytes_str("a"), bytes_str("1")}};
	struct delta_record topic = topic_record("a", 1, &single, 1);
	struct image *i = image_new();
	const struct image_topic *t;

	topic.configs = configs;
	topic.config_count = 2;
	must_ok(apply_one(i, topic));
	t = image_topic_by_id(i, id_of(1));
	CHECK_EQ(t->config_count, 2);
	CHECK_BYTES(t->configs[0].name, bytes_str("a"));
	must_ok(apply_one(i, (struct delta_record){.kind = DELTA_CONFIG,
						   .resource = CONFIG_OF_TOPIC,
						   .topic_id = id_of(1),
						   .name = bytes_str("a"),
						   .value = bytes_str("changed")}));
	CHECK_BYTES(t->configs[0].value, bytes_str("changed"));
	must_ok(apply_one(i, (struct delta_record){.kind = DELTA_CONFIG,
						   .resource = CONFIG_OF_TOPIC,
						   .topic_id = id_of(1),
						   .name = bytes_str("a")}));
	CHECK_EQ(t->config_count, 1);
	image_free(i);
}

TEST(groups_with_settings_are_listed_by_name_until_their_last_one_goes)
{
	static const char *const names[] = {"b", "a", "", "c"};
	struct image *i = image_new();
	const struct config_entry *configs;
	size_t count;

	for (size_t k = 0; k < countof(names); k++)
		must_ok(apply_one(i, (struct delta_record){.kind = DELTA_CONFIG,
							   .resource = CONFIG_OF_GROUP,
							   .resource_name = bytes_str(names[k]),
							   .name = bytes_str("x"),
							   .value = bytes_str(names[k])}));
	must_ok(apply_one(i, (struct delta_record){.kind = DELTA_CONFIG,
						   .resource = CONFIG_OF_CLIENT_METRICS,
						   .resource_name = bytes_str("a"),
						   .name = bytes_str("x"),
						   .value = bytes_str("5")}));
	must_ok(apply_one(i, (struct delta_record){.kind = DELTA_CONFIG,
						   .resource = CONFIG_OF_GROUP,
						   .resource_name = bytes_str("b"),
						   .name = bytes_str("x")}));
	CHECK_EQ(image_resource_count(i, CONFIG_OF_GROUP), 3);
	CHECK_BYTES(image_resource_at(i, CONFIG_OF_GROUP, 1), bytes_str("a"));
	CHECK_BYTES(image_resource_at(i, CONFIG_OF_GROUP, 2), bytes_str("c"));
	CHECK_EQ(image_resource_count(i, CONFIG_OF_CLIENT_METRICS), 1);
	CHECK_EQ(image_resource_count(i, CONFIG_OF_BROKER), 0);
	configs = image_resource_configs(i, CONFIG_OF_CLIENT_METRICS, bytes_str("a"), &count);
	CHECK_EQ(count, 1);
	CHECK_BYTES(configs[0].value, bytes_str("5"));
	image_resource_configs(i, CONFIG_OF_GROUP, bytes_str("b"), &count);
	CHECK_EQ(count, 0);
	image_free(i);
}

TEST(a_delta_cut_anywhere_is_refused)
{
	struct delta_endpoint endpoint = {.listener = bytes_str("L"), .host = bytes_str("h"), .port = 1};
	struct delta_record records[] = {
		topic_record("a", 1, &triple, 1),
		{.kind = DELTA_BROKER,
		 .broker = 5,
		 .value = bytes_str("r"),
		 .endpoints = &endpoint,
		 .endpoint_count = 1},
	};
	struct buf b;

	buf_init(&b, 10000);
	delta_begin(&b);
	size_t first_end = 0;
	for (size_t k = 0; k < countof(records); k++) {
		delta_put(&b, &records[k]);
		first_end = k ? first_end : b.size;
	}
	for (size_t size = 0; size < b.size; size++) {
		struct image *i = image_new();
		uint8_t *copy = mem_dup(b.data, size); /* so that reading past it is seen */
		enum err e = image_apply(i, bytes_of(copy, size));

		CHECK_ERR(e, size == 1 || size == first_end ? OK : ERR_MALFORMED);
		mem_free(copy);
		image_free(i);
	}
	buf_fini(&b);
}

TEST(an_unknown_kind_or_format_is_a_newer_version)
{
	static const uint8_t kind[] = {1, 2, 99, 0}, format[] = {2, 2, 1, 0};
	struct image *i = image_new();

	CHECK_ERR(image_apply(i, bytes_of(kind, sizeof(kind))), ERR_BAD_VERSION);
	CHECK_ERR(image_apply(i, bytes_of(format, sizeof(format))), ERR_BAD_VERSION);
	image_free(i);
}
