/* assign_test: the assignors against what Java's decide, and what members say to each other. */
#include "client/assign.h"

#include "base/test.h"

#define ARENA_MAX ((size_t)64 << 20)

/* --- what members say -------------------------------------------------------------------------------------------- */

TEST(a_subscription_comes_back_as_it_was_written)
{
	struct bytes topics[] = {bytes_str("a"), bytes_str("b")};
	int32_t owned[] = {0, 2};
	struct consumer_protocol_subscription_topic_partition of = {bytes_str("a"), owned, 2};
	struct consumer_protocol_subscription s = {.topics = topics,
						   .topics_count = 2,
						   .owned_partitions = &of,
						   .owned_partitions_count = 1,
						   .generation_id = 7,
						   .rack_id = bytes_str("r")};
	struct consumer_protocol_subscription back;
	struct arena a;
	struct buf b;

	arena_init(&a, ARENA_MAX);
	buf_init(&b, 1000);
	must_ok(subscription_encode(&s, &b));
	must_ok(subscription_decode(buf_bytes(&b), &a, &back));
	CHECK_EQ(back.topics_count, 2);
	CHECK_BYTES(back.topics[1], bytes_str("b"));
	CHECK_EQ(back.owned_partitions[0].partitions[1], 2);
	CHECK_EQ(back.generation_id, 7);
	CHECK_BYTES(back.rack_id, bytes_str("r"));
	CHECK(bytes_is_null(back.user_data));
	buf_fini(&b);
	arena_fini(&a);
}

TEST(a_version_of_the_future_is_read_as_ours_and_one_below_zero_not_at_all)
{
	static const uint8_t newer[] = {0,   9, 0, 0, 0, 1, 0, 1, 't', 255, 255, 255,
					255, 0, 0, 0, 0, 0, 0, 0, 3,   255, 255, 42};
	static const uint8_t below[] = {255, 255, 0, 0, 0, 0, 255, 255, 255, 255};
	struct consumer_protocol_subscription s;
	struct arena a;

	arena_init(&a, ARENA_MAX);
	must_ok(subscription_decode(bytes_of(newer, sizeof(newer)), &a, &s));
	CHECK_BYTES(s.topics[0], bytes_str("t"));
	CHECK_EQ(s.generation_id, 3);
	CHECK_ERR(subscription_decode(bytes_of(below, sizeof(below)), &a, &s), ERR_BAD_VERSION);
	CHECK_ERR(subscription_decode(bytes_null(), &a, &s), ERR_MALFORMED);
	CHECK_ERR(subscription_decode(bytes_of(newer, 8), &a, &s), ERR_MALFORMED);
	arena_fini(&a);
}

TEST(what_a_sticky_member_was_assigned_comes_back_in_its_user_data)
{
	int32_t numbers[] = {1, 4};
	struct consumer_protocol_assignment_topic_partition of = {bytes_str("t"), numbers, 2};
	struct consumer_protocol_assignment last = {.assigned_partitions = &of, .assigned_partitions_count = 1};
	struct consumer_protocol_subscription s = {.generation_id = -1};
	struct assign_owned owned;
	struct arena a;

	arena_init(&a, ARENA_MAX);
	must_ok(assignor_user_data(ASSIGNOR_STICKY, NULL, -1, &a, &s.user_data));
	CHECK(bytes_is_null(s.user_data));
	must_ok(assignor_user_data(ASSIGNOR_STICKY, &last, 5, &a, &s.user_data));
	CHECK(assignor_owned(ASSIGNOR_STICKY, &s, &a, &owned));
	CHECK_EQ(owned.count, 1);
	CHECK_EQ(owned.partitions[0].partitions[1], 4);
	CHECK_EQ(owned.generation, 5);
	/* Version 0 had no generation. */
	s.user_data.size -= 4;
	CHECK(assignor_owned(ASSIGNOR_STICKY, &s, &a, &owned));
	CHECK_EQ(owned.count, 1);
	CHECK(!owned.has_generation);
	/* What cannot be read is nothing. */
	s.user_data.size -= 1;
	CHECK(assignor_owned(ASSIGNOR_STICKY, &s, &a, &owned));
	CHECK_EQ(owned.count, 0);
	CHECK_EQ(owned.generation, -1);
	must_ok(assignor_user_data(ASSIGNOR_COOPERATIVE_STICKY, NULL, 6, &a, &s.user_data));
	CHECK(assignor_owned(ASSIGNOR_COOPERATIVE_STICKY, &s, &a, &owned));
	CHECK_EQ(owned.generation, 6);
	must_ok(assignor_user_data(ASSIGNOR_RANGE, &last, 6, &a, &s.user_data));
	CHECK(bytes_is_null(s.user_data));
	arena_fini(&a);
}

TEST(assignors_are_found_by_their_names)
{
	enum assignor found;

	for (int i = 0; i < ASSIGNOR_COUNT; i++) {
		CHECK(assignor_find(bytes_str(assignor_name((enum assignor)i)), &found));
		CHECK_EQ(found, i);
	}
	CHECK(!assignor_find(bytes_str("uniform"), &found));
}
