/* clean_plan_test: what is cleaned when, by tables. */
#include "storage/clean_plan.h"

#include "base/test.h"

#define NOW 1000000

/* Four segments of ten offsets and 100 bytes, with the active one. First timestamps 1000, 2000, 3000, 4000; largest 900 later. */
static void make(struct clean_segment segments[static 4])
{
	for (int i = 0; i < 4; i++)
		segments[i] = (struct clean_segment){i * 10, i * 10 + 10, 100, 1000 + i * 1000, 1900 + i * 1000, 5};
}

TEST(a_log_is_cleaned_when_enough_of_it_is_dirty_or_something_waits_too_long)
{
	static const struct {
		const char *what;
		int64_t clean_offset;
		int64_t bound;
		double min_ratio;
		int64_t min_lag, max_lag;
		int64_t first_dirty, uncleanable, clean_bytes, dirty_bytes;
		bool wanted;
	} cases[] = {
		{"all but the active one", 0, 40, 0.5, 0, INT64_MAX, 0, 30, 0, 300, true},
		{"nothing is dirty", 30, 40, 0.5, 0, INT64_MAX, 30, 30, 300, 0, false},
		{"a third is not above the half", 20, 40, 0.5, 0, INT64_MAX, 20, 30, 200, 100, false},
		{"a third is above a fourth", 20, 40, 0.25, 0, INT64_MAX, 20, 30, 200, 100, true},
		{"a ratio of 1 is never passed", 0, 40, 1, 0, INT64_MAX, 0, 30, 0, 300, false},
		{"in the middle of a segment: it is dirty", 15, 40, 0.5, 0, INT64_MAX, 15, 30, 100, 200, true},
		{"only what is committed", 0, 29, 0.5, 0, INT64_MAX, 0, 20, 0, 200, true},
		{"nothing is committed", 0, 5, 0.5, 0, INT64_MAX, 0, 0, 0, 0, false},
		{"what is young waits", 0, 40, 0.5, NOW - 2500, INT64_MAX, 0, 10, 0, 100, true},
		{"overdue", 20, 40, 0.5, 0, NOW - 3001, 20, 30, 200, 100, true},
		{"not quite", 20, 40, 0.5, 0, NOW - 3000, 20, 30, 200, 100, false},
		{"overdue, but clean", 30, 40, 0.5, 0, 1, 30, 30, 300, 0, false},
		{"a checkpoint beyond the log is of another one", 99, 40, 0.5, 0, INT64_MAX, 0, 30, 0, 300, true},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct clean_segment segments[4];
		struct log_config config = {.min_cleanable_dirty_ratio = cases[i].min_ratio,
					    .min_compaction_lag_ms = cases[i].min_lag,
					    .max_compaction_lag_ms = cases[i].max_lag};
		struct clean_input in = {segments, 4, cases[i].clean_offset, cases[i].bound, NOW, &config};
		struct clean_plan p;

		make(segments);
		p = clean_decide(&in);
		CHECK_EQ(p.first_dirty, cases[i].first_dirty);
		CHECK_EQ(p.uncleanable, cases[i].uncleanable);
		CHECK_EQ(p.clean_bytes, cases[i].clean_bytes);
		CHECK_EQ(p.dirty_bytes, cases[i].dirty_bytes);
		CHECK_EQ(p.wanted, cases[i].wanted);
	}
}

TEST(the_active_segment_ends_when_its_first_record_waits_too_long)
{
	static const struct {
		int64_t max_lag, bound, size;
		bool roll;
	} cases[] = {
		{NOW - 4001, 40, 100, true}, {NOW - 4000, 40, 100, false}, {NOW - 4001, 39, 100, false},
		{NOW - 4001, 40, 0, false},  {INT64_MAX, 40, 100, false},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct clean_segment segments[4];
		struct log_config config = {.max_compaction_lag_ms = cases[i].max_lag};
		struct clean_input in = {segments, 4, 0, cases[i].bound, NOW, &config};

		make(segments);
		segments[3].size = cases[i].size;
		CHECK_EQ(clean_wants_roll(&in), cases[i].roll);
	}
}

TEST(neighbours_become_one_as_long_as_it_stays_small_enough)
{
	static const struct {
		int32_t segment_bytes, index_bytes;
		int64_t last_end, uncleanable;
		size_t count;
	} cases[] = {
		{300, 0, 30, 30, 3},
		{299, 0, 30, 30, 2},
		{200, 0, 30, 30, 2},
		{50, 0, 30, 30, 1},
		{300, 120, 30, 30, 3},
		{300, 119, 30, 30, 2},
		{300, 0, 30, 20, 2},
		{300, 0, (int64_t)1 << 31, (int64_t)1 << 31, 2},
		{300, 0, INT32_MAX, INT32_MAX, 3},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct clean_segment segments[4];
		struct log_config config = {.segment_bytes = cases[i].segment_bytes,
					    .segment_index_bytes = cases[i].index_bytes};
		struct clean_input in = {segments, 4, 0, INT64_MAX, NOW, &config};

		make(segments);
		segments[2].end_offset = cases[i].last_end;
		CHECK_EQ(clean_group(&in, 0, cases[i].uncleanable), cases[i].count);
	}
}
