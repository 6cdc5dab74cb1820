/* group_plan_test: what commands and files say about offsets, and what follows. */
#include "cli/group_plan.h"

#include "base/alloc.h"
#include "base/test.h"

TEST(a_topic_stands_alone_or_with_partitions)
{
	struct plan_topic t;

	CHECK(plan_parse_topic("orders", &t));
	CHECK_BYTES(t.name, bytes_str("orders"));
	CHECK_EQ(t.count, 0);
	CHECK(plan_parse_topic("orders:0,12,3", &t));
	CHECK_BYTES(t.name, bytes_str("orders"));
	CHECK_EQ(t.count, 3);
	CHECK_EQ(t.partitions[1], 12);
	plan_topic_fini(&t);
	CHECK(!plan_parse_topic("", &t));
	CHECK(!plan_parse_topic(":1", &t));
	CHECK(!plan_parse_topic("orders:", &t));
	CHECK(!plan_parse_topic("orders:1,", &t));
	CHECK(!plan_parse_topic("orders:1,x", &t));
	CHECK(!plan_parse_topic("orders:-1", &t));
	CHECK(!plan_parse_topic("orders:2147483648", &t));
	CHECK(!plan_parse_topic("orders:1 ", &t));
}

TEST(times_are_those_of_the_calendar)
{
	static const struct {
		const char *text;
		int64_t ms;
	} right[] = {
		{"1970-01-01T00:00:00", 0},
		{"1970-01-01T00:00:00.001Z", 1},
		{"2026-11-30T15:26:00.5", 1796052360500},
		{"2026-11-30T15:26:00.5+01:00", 1796048760500},
		{"2026-11-30T15:26:00.5-0130", 1796057760500},
		{"2026-11-30T15:26:00+02", 1796045160000},
		{"2024-02-29T23:59:59.999Z", 1709251199999},
		{"2000-03-01T00:00:00Z", 951868800000},
		{"1969-12-31T23:59:59Z", -1000},
		{"0001-01-01T00:00:00Z", -62135596800000},
		{"9999-12-31T23:59:59.9999Z", 253402300799999},
	};
	static const char *const wrong[] = {"",
					    "2026-11-30",
					    "2026-11-30 15:26:00",
					    "2026-13-01T00:00:00",
					    "2023-02-29T00:00:00",
					    "1900-02-29T00:00:00",
					    "2026-04-31T00:00:00",
					    "2026-11-30T24:00:00",
					    "2026-11-30T15:26",
					    "2026-11-30T15:26:60",
					    "2026-11-30T15:26:00.",
					    "2026-11-30T15:26:00+1",
					    "2026-11-30T15:26:00+24:00",
					    "2026-11-30T15:26:00Zulu",
					    "26-11-30T15:26:00"};
	int64_t ms;

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		CHECK(plan_parse_time(right[i].text, &ms));
		CHECK_EQ(ms, right[i].ms);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (plan_parse_time(wrong[i], &ms))
			fail_msg("%s is no time", wrong[i]);
}

TEST(spans_are_those_of_java)
{
	static const struct {
		const char *text;
		int64_t ms;
	} right[] = {
		{"PT1S", 1000},          {"P1D", 86400000}, {"P2DT3H4M5.678S", 183845678}, {"PT0.5S", 500},
		{"PT0,25S", 250},        {"pt1h", 3600000}, {"-PT1H", -3600000},           {"PT-1H30M", -1800000},
		{"-PT-6H+3M", 21420000}, {"PT0S", 0},
	};
	static const char *const wrong[] = {"",
					    "P",
					    "PT",
					    "P1DT",
					    "1H",
					    "PT1",
					    "PT1H2H",
					    "PT1M2H",
					    "PT1.5H",
					    "P1H",
					    "PT1D",
					    "P1W",
					    "PT S",
					    "PTS",
					    "PT1S ",
					    "P1 ",
					    "PT1 ",
					    "--PT1S",
					    "PT1S1S",
					    "P1D1D",
					    "PT1.5.5S",
					    "P106751991168D",
					    "PT9223372036854775807S"};
	int64_t ms;

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		CHECK(plan_parse_duration(right[i].text, &ms));
		CHECK_EQ(ms, right[i].ms);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (plan_parse_duration(wrong[i], &ms))
			fail_msg("%s is no span", wrong[i]);
}

static void check_row(const char *line, const char *group, const char *topic, int32_t partition, int64_t offset)
{
	struct plan_row r = {0};

	CHECK(plan_parse_row(bytes_str(line), &r));
	CHECK((r.group == NULL) == (group == NULL));
	if (group)
		CHECK_STR(r.group, group);
	CHECK_STR(r.topic, topic);
	CHECK_EQ(r.partition, partition);
	CHECK_EQ(r.offset, offset);
	plan_row_fini(&r);
}

TEST(rows_have_three_fields_or_four)
{
	static const char *const wrong[] = {"",        "t",       "t,0",
					    "t,0,",    "t,x,1",   ",0,1",
					    "t,-1,1",  "t,0,1x",  "g,t,0,1,2",
					    "\"t,0,1", "t,0,1,",  "t,2147483648,1",
					    "t, 0, 1", "t,0,--1", "t,0,9223372036854775808"};
	struct plan_row r;

	check_row("t,0,42", NULL, "t", 0, 42);
	check_row("g,t,3,9223372036854775807", "g", "t", 3, INT64_MAX);
	check_row("\"a,\"\"b\"\" \",\"t\",0,-1", "a,\"b\" ", "t", 0, -1);
	check_row("\"\",t,0,1", "", "t", 0, 1);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (plan_parse_row(bytes_str(wrong[i]), &r))
			fail_msg("%s is no row", wrong[i]);
}

TEST(what_is_printed_reads_back)
{
	static const struct plan_row rows[] = {{NULL, (char *)"t", 0, 42},
					       {(char *)"a,\"b\" ", (char *)"t", 3, 0},
					       {(char *)"", (char *)"t.x_y-z", 1, INT64_MAX}};
	struct buf b;

	buf_init(&b, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&b);
		plan_put_row(&b, &rows[i]);
		CHECK_EQ(b.data[b.size - 1], '\n');
		b.data[b.size - 1] = '\0';
		check_row((const char *)b.data, rows[i].group, rows[i].topic, rows[i].partition, rows[i].offset);
	}
	buf_reset(&b);
	plan_put_row(&b, &rows[1]);
	CHECK_BYTES(buf_bytes(&b), bytes_str("\"a,\"\"b\"\" \",t,3,0\n"));
	buf_fini(&b);
}

TEST(offsets_that_are_named_stay_within_the_log)
{
	static const struct {
		enum plan_kind kind;
		int64_t value;
		struct plan_facts facts;
		enum plan_note note;
		int64_t offset;
	} cases[] = {
		{PLAN_EARLIEST, 0, {5, 20, 7, 0}, PLAN_FINE, 5},
		{PLAN_LATEST, 0, {5, 20, 7, 0}, PLAN_FINE, 20},
		{PLAN_CURRENT, 0, {5, 20, 7, 0}, PLAN_FINE, 7},
		{PLAN_CURRENT, 0, {5, 20, -1, 0}, PLAN_FINE, 20},
		{PLAN_TIME, 0, {5, 20, 7, 13}, PLAN_FINE, 13},
		{PLAN_OFFSET, 11, {5, 20, 7, 0}, PLAN_FINE, 11},
		{PLAN_OFFSET, 21, {5, 20, 7, 0}, PLAN_ABOVE_END, 20},
		{PLAN_OFFSET, 4, {5, 20, 7, 0}, PLAN_BELOW_START, 5},
		{PLAN_SHIFT, 3, {5, 20, 7, 0}, PLAN_FINE, 10},
		{PLAN_SHIFT, -3, {5, 20, 7, 0}, PLAN_BELOW_START, 5},
		{PLAN_SHIFT, INT64_MAX, {5, 20, 7, 0}, PLAN_ABOVE_END, 20},
		{PLAN_SHIFT, INT64_MIN, {5, 20, 7, 0}, PLAN_BELOW_START, 5},
	};
	int64_t offset = -7;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_EQ(plan_offset(cases[i].kind, cases[i].value, &cases[i].facts, &offset), cases[i].note);
		CHECK_EQ(offset, cases[i].offset);
	}
	CHECK_EQ(plan_offset(PLAN_SHIFT, 1, &(struct plan_facts){5, 20, -1, 0}, &offset), PLAN_NO_CURRENT);
}
