/* offset_rules_test: what a ListOffsets is told without its log, by tables. */
#include "broker/handle/offset_rules.h"

#include "base/test.h"

static struct image_partition partitions[2];
static const struct image_topic topic = {.partitions = partitions, .partition_count = 2};

TEST(a_special_time_is_refused_below_the_version_that_has_it)
{
	static const struct {
		int64_t timestamp;
		int16_t first_version; /* 0: no version has it */
	} cases[] = {{1700000000000, 1}, {0, 1},  {-1, 1},       {-2, 1}, {-3, 7}, {-4, 8}, {-5, 9},
		     {-6, 11},           {-7, 0}, {INT64_MIN, 0}};

	for (size_t i = 0; i < countof(cases); i++)
		for (int16_t version = 1; version <= 11; version++) {
			const struct list_offsets_request_list_offsets_partition asked = {
				.timestamp = cases[i].timestamp, .current_leader_epoch = -1};
			bool has = cases[i].first_version && version >= cases[i].first_version;

			CHECK_EQ(offset_refuse(&topic, &asked, false, version), has ? OK : ERR_UNSUPPORTED_VERSION);
		}
}

TEST(of_several_faults_the_first_in_order_is_told)
{
	static const struct {
		bool known;
		int32_t partition;
		int64_t timestamp;
		int32_t epoch;
		bool repeated;
		enum err error;
	} cases[] = {
		{true, 1, -1, -1, false, OK},
		{true, 1, -1, 0, false, OK},
		{true, 1, -1, -2, false, ERR_FENCED_LEADER_EPOCH},
		{true, 1, -7, -2, false, ERR_UNSUPPORTED_VERSION},
		{true, 2, -1, -2, false, ERR_UNKNOWN_TOPIC_OR_PARTITION},
		{true, -1, -1, -1, false, ERR_UNKNOWN_TOPIC_OR_PARTITION},
		{false, 0, -1, -1, false, ERR_UNKNOWN_TOPIC_OR_PARTITION},
		{false, 0, -7, -2, true, ERR_INVALID_REQUEST},
		{false, 0, -7, -2, false, ERR_UNSUPPORTED_VERSION},
		{true, 0, -1, -1, true, ERR_INVALID_REQUEST},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		const struct list_offsets_request_list_offsets_partition asked = {
			.partition_index = cases[i].partition,
			.timestamp = cases[i].timestamp,
			.current_leader_epoch = cases[i].epoch};

		CHECK_EQ(offset_refuse(cases[i].known ? &topic : NULL, &asked, cases[i].repeated, 11), cases[i].error);
	}
}

TEST(a_partition_named_twice_is_told_so_at_all_its_places)
{
	struct list_offsets_request_list_offsets_partition a[] = {
		{.partition_index = 0}, {.partition_index = 1}, {.partition_index = 0}, {.partition_index = 2}};
	struct list_offsets_request_list_offsets_partition b[] = {{.partition_index = 1}};
	struct list_offsets_request_list_offsets_partition a_again[] = {{.partition_index = 2}, {.partition_index = 0}};
	struct list_offsets_request_list_offsets_topic topics[] = {
		{.name = bytes_str("a"), .partitions = a, .partitions_count = 4},
		{.name = bytes_str("b"), .partitions = b, .partitions_count = 1},
		{.name = bytes_str("a"), .partitions = a_again, .partitions_count = 2}};
	const struct list_offsets_request body = {.topics = topics, .topics_count = 3};
	static const bool expected[] = {true, false, true, true, false, true, true};
	bool repeated[countof(expected)];
	struct arena arena, small;

	CHECK_EQ(offset_count(&body), countof(expected));
	arena_init(&arena, 10000);
	CHECK(offset_find_repeated(&body, (struct map_seed){{1, 2}}, &arena, repeated));
	for (size_t i = 0; i < countof(expected); i++)
		CHECK_EQ(repeated[i], expected[i]);
	arena_fini(&arena);
	arena_init(&small, 0);
	CHECK(!offset_find_repeated(&body, (struct map_seed){{1, 2}}, &small, repeated));
	arena_fini(&small);
}
