/* saturate_test: the largest numbers that an operator may set. */
#include "base/saturate.h"

#include "base/test.h"

TEST(a_sum_stops_at_the_largest_and_the_smallest_number)
{
	static const struct {
		int64_t a, b, sum;
	} cases[] = {
		{1, 2, 3},
		{INT64_MAX, 0, INT64_MAX},
		{INT64_MAX, 1, INT64_MAX},
		{1, INT64_MAX, INT64_MAX},
		{INT64_MAX, INT64_MAX, INT64_MAX},
		{INT64_MIN, -1, INT64_MIN},
		{INT64_MAX, INT64_MIN, -1},
	};

	for (size_t i = 0; i < countof(cases); i++)
		CHECK_EQ(saturating_add(cases[i].a, cases[i].b), cases[i].sum);
}

TEST(what_is_too_far_away_never_comes)
{
	static const struct {
		int64_t now_us, ms, at_us;
	} cases[] = {
		{5, 0, 5},
		{5, 7, 7005},
		{7000, -7, 0},
		{5, INT64_MAX, INT64_MAX},
		{1000, INT64_MAX / 1000, INT64_MAX},
		{0, INT64_MAX / 1000, INT64_MAX / 1000 * 1000},
		{0, INT64_MIN, INT64_MIN},
	};

	for (size_t i = 0; i < countof(cases); i++)
		CHECK_EQ(us_after_ms(cases[i].now_us, cases[i].ms), cases[i].at_us);
}
