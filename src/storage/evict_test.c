/* evict_test: which segments go when the disk's use is bounded, by tables. */
#include "storage/evict.h"

#include "base/test.h"

TEST(the_oldest_go_first_over_all_logs_and_only_as_many_as_needed)
{
	static const struct evict_candidate segments[] = {
		{.timestamp_ms = 50, .size = 100, .shard = 0, .order = 0},
		{.timestamp_ms = 50, .size = 100, .shard = 0, .order = 1},
		{.timestamp_ms = 10, .size = 30, .shard = 1, .order = 0},
		{.timestamp_ms = 90, .size = 100, .shard = 1, .order = 1},
		{.timestamp_ms = 1, .size = 100, .shard = 1, .order = 2, .compacted = true},
	};
	static const struct {
		int64_t total, bound;
		size_t going;
		int64_t sizes[5]; /* of those that go */
	} cases[] = {
		{430, 430, 0, {0}},
		{430, 429, 1, {30}},
		{430, 400, 1, {30}},
		{430, 399, 2, {30, 100}},
		{430, 200, 3, {30, 100, 100}},
		{430, 199, 4, {30, 100, 100, 100}},
		{430, 90, 5, {30, 100, 100, 100, 100}},
		{9000, 0, 5, {30, 100, 100, 100, 100}},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct evict_candidate c[countof(segments)];

		memcpy(c, segments, sizeof(c));
		CHECK_EQ(evict_decide(c, countof(c), cases[i].total, cases[i].bound), cases[i].going);
		for (size_t k = 0; k < cases[i].going; k++)
			CHECK_EQ(c[k].size, cases[i].sizes[k]);
		CHECK_EQ(c[1].order, 0);
		CHECK(c[4].compacted);
	}
	CHECK_EQ(evict_decide(NULL, 0, 10, 5), 0);
}
