/* said_test: how many lines of a storm are said, and that none is forgotten in the count. */
#include "base/said.h"

#include "base/test.h"

TEST(so_many_a_second_are_said_and_the_others_are_counted)
{
	static const struct {
		int64_t at_us;
		bool says;
		uint64_t kept;
	} steps[] = {
		{7000000, true, 0},  {7000000, true, 0},  {7000001, false, 0}, {7500000, false, 0},
		{7999999, false, 0}, {8000000, true, 3}, /* a new second: the storm's rest is told with its first line */
		{8000001, true, 0},  {8999999, false, 0}, {9500000, true, 1},
	};
	struct said s = {0};

	for (size_t i = 0; i < countof(steps); i++) {
		uint64_t kept = 0;

		CHECK_EQ(said_may(&s, steps[i].at_us, 2, &kept), steps[i].says);
		CHECK_EQ(kept, steps[i].kept);
	}
}

TEST(what_nobody_follows_is_told_once_its_second_is_over)
{
	struct said s = {0};
	uint64_t kept;

	CHECK(said_may(&s, 0, 1, &kept));
	CHECK(!said_may(&s, 10, 1, &kept));
	CHECK(!said_may(&s, 20, 1, &kept));
	CHECK_EQ(said_rest(&s, 999999), 0);
	CHECK_EQ(said_rest(&s, 1000000), 2);
	CHECK_EQ(said_rest(&s, 1000001), 0); /* told */
	CHECK(said_may(&s, 1000002, 1, &kept));
	CHECK_EQ(kept, 0);
}

TEST(clocks_that_begin_anywhere_say_the_first_line)
{
	static const int64_t starts[] = {0, 1, 5000000, INT64_MAX / 2};

	for (size_t i = 0; i < countof(starts); i++) {
		struct said s = {0};
		uint64_t kept = 1;

		CHECK(said_may(&s, starts[i], 1, &kept));
		CHECK_EQ(kept, 0);
	}
}
