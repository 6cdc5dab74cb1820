/* retention_test: which segments go, by tables. */
#include "storage/retention.h"

#include <stdio.h>

#include "base/test.h"

#define NOW 1000000
#define SEGMENTS 4

/* Four segments of ten records and 100 bytes. */
struct row {
	const char *what;
	int64_t timestamps[SEGMENTS];
	int64_t bound;
	int64_t active_size;
	int64_t retention_ms;    /* -1: none */
	int64_t retention_bytes; /* -1: none */
	bool policy_delete;
	size_t by_time;
	size_t by_size;
	bool roll;
	bool future;
};

static struct retention_input input_of(const struct row *r, struct retention_segment segments[static SEGMENTS])
{
	struct log_config c = {.cleanup_delete = r->policy_delete,
			       .retention_ms = r->retention_ms,
			       .retention_bytes = r->retention_bytes};

	for (int i = 0; i < SEGMENTS; i++)
		segments[i] = (struct retention_segment){.base_offset = i * 10,
							 .end_offset = i * 10 + 10,
							 .size = 100,
							 .timestamp_ms = r->timestamps[i]};
	segments[SEGMENTS - 1].size = r->active_size;
	if (r->active_size == 0)
		segments[SEGMENTS - 1].end_offset = 30;
	return retention_input_of(&c, segments, SEGMENTS, r->bound, NOW);
}

TEST(segments_go_by_time_then_by_size_from_the_oldest_on)
{
	static const struct row rows[] = {
		{"nothing is over", {999000, 999100, 999200, 999300}, 40, 100, 1000, -1, true, 0, 0, false, false},
		{"exactly at its time is not over",
		 {999000, 999001, 0, 0},
		 40,
		 100,
		 1000,
		 -1,
		 true,
		 0,
		 0,
		 false,
		 false},
		{"one ms later it is", {998999, 999000, 0, 0}, 40, 100, 1000, -1, true, 1, 0, false, false},
		{"two are over", {1, 2, 999200, 999300}, 40, 100, 1000, -1, true, 2, 0, false, false},
		{"a younger one protects what is behind it",
		 {1, 999999, 3, 4},
		 40,
		 100,
		 1000,
		 -1,
		 true,
		 1,
		 0,
		 false,
		 false},
		{"all are over: the active one too", {1, 2, 3, 4}, 40, 100, 1000, -1, true, 4, 0, true, false},
		{"an empty active one stays", {1, 2, 3, 4}, 40, 0, 1000, -1, true, 3, 0, false, false},
		{"not beyond the bound", {1, 2, 3, 4}, 29, 100, 1000, -1, true, 2, 0, false, false},
		{"no policy, no deletion", {1, 2, 3, 4}, 40, 100, 1000, 0, false, 0, 0, false, false},
		{"for ever", {1, 2, 3, 4}, 40, 100, -1, -1, true, 0, 0, false, false},
		{"a future timestamp stays", {2000000, 2, 3, 4}, 40, 100, 1000, -1, true, 0, 0, false, true},
		{"the far future does not overflow", {INT64_MAX, 2, 3, 4}, 40, 100, 1000, -1, true, 0, 0, false, true},
		{"nor does a retention of for ever but for a little",
		 {1, 2, 3, 4},
		 40,
		 100,
		 INT64_MAX,
		 -1,
		 true,
		 0,
		 0,
		 false,
		 false},
		{"by size: no more than the surplus", {1, 2, 3, 4}, 40, 100, -1, 250, true, 0, 1, false, false},
		{"by size: exactly", {1, 2, 3, 4}, 40, 100, -1, 200, true, 0, 2, false, false},
		{"by size: nothing too much", {1, 2, 3, 4}, 40, 100, -1, 301, true, 0, 0, false, false},
		{"by size: all of it", {1, 2, 3, 4}, 40, 100, -1, 0, true, 0, 4, true, false},
		{"by size: bound", {1, 2, 3, 4}, 10, 100, -1, 0, true, 0, 1, false, false},
		{"time first, and what is left by size",
		 {1, 999999, 999999, 999999},
		 40,
		 100,
		 1000,
		 200,
		 true,
		 1,
		 1,
		 false,
		 false},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		struct retention_segment segments[SEGMENTS];
		struct retention_input in = input_of(&rows[i], segments);
		struct retention_plan p = retention_decide(&in);

		if (p.by_time != rows[i].by_time || p.by_size != rows[i].by_size)
			fprintf(stderr, "%s\n", rows[i].what);
		CHECK_EQ(p.by_time, rows[i].by_time);
		CHECK_EQ(p.by_size, rows[i].by_size);
		CHECK_EQ(p.roll, rows[i].roll);
		CHECK_EQ(p.future, rows[i].future);
	}
}

TEST(each_segment_says_why_it_stays_and_when_it_goes)
{
	static const struct {
		struct row row;
		bool compacted;
		enum segment_kept kept[SEGMENTS];
		int64_t due_at_ms[SEGMENTS];
		int64_t due_after_bytes[SEGMENTS];
	} cases[] = {
		{{"time", {1, 999500, 7, 999800}, 40, 100, 1000, -1, true, 0, 0, false, false},
		 false,
		 {SEGMENT_GOES, SEGMENT_IN_TIME, SEGMENT_BEHIND_ANOTHER, SEGMENT_IN_TIME},
		 {1002, 1000501, 1000501, 1000801},
		 {-1, -1, -1, -1}},
		{{"size", {1, 2, 3, 4}, 30, 100, -1, 250, true, 0, 0, false, false},
		 false,
		 {SEGMENT_GOES, SEGMENT_IN_SIZE, SEGMENT_IN_SIZE, SEGMENT_NOT_COMMITTED},
		 {-1, -1, -1, -1},
		 {0, 50, 150, 250}},
		{{"compacted", {1, 2, 3, 4}, 40, 0, -1, -1, false, 0, 0, false, false},
		 true,
		 {SEGMENT_COMPACTED, SEGMENT_COMPACTED, SEGMENT_COMPACTED, SEGMENT_ACTIVE},
		 {-1, -1, -1, -1},
		 {-1, -1, -1, -1}},
		{{"future", {5000000, 2, INT64_MAX, 4}, 40, 100, 1000, -1, true, 0, 0, false, false},
		 false,
		 {SEGMENT_FUTURE_TIMESTAMP, SEGMENT_BEHIND_ANOTHER, SEGMENT_FUTURE_TIMESTAMP, SEGMENT_BEHIND_ANOTHER},
		 {5001001, 5001001, INT64_MAX, INT64_MAX},
		 {-1, -1, -1, -1}},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct retention_segment segments[SEGMENTS];
		struct segment_info infos[SEGMENTS] = {0};
		struct retention_input in = input_of(&cases[i].row, segments);

		retention_explain(&in, cases[i].compacted, infos);
		for (int k = 0; k < SEGMENTS; k++) {
			CHECK_EQ(infos[k].kept, cases[i].kept[k]);
			CHECK_EQ(infos[k].due_at_ms, cases[i].due_at_ms[k]);
			CHECK_EQ(infos[k].due_after_bytes, cases[i].due_after_bytes[k]);
			CHECK_EQ(infos[k].active, k == SEGMENTS - 1);
		}
	}
}
