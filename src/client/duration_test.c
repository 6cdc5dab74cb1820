/* duration_test: what java.time.Duration takes, and what not. */
#include "client/duration.h"

#include "base/test.h"

TEST(durations_are_read_as_java_reads_them)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} cases[] = {
		{"PT0S", 0},
		{"PT15M", 900000},
		{"PT10H", 36000000},
		{"P2D", 172800000},
		{"P2DT3H4M", 183840000},
		{"pt1.5s", 1500},
		{"PT1.0005S", 1000},
		{"PT0,25S", 250},
		{"P1DT1S", 86401000},
		{"P", -1},
		{"", -1},
		{"PT", -1},
		{"P1DT", -1},
		{"1D", -1},
		{"P1M", -1},
		{"P1W", -1},
		{"P1H", -1},
		{"PT1D", -1},
		{"PT1M1H", -1},
		{"PT1H1H", -1},
		{"PT1.5H", -1},
		{"P-1D", -1},
		{"-P1D", -1},
		{"P1", -1},
		{"PTS", -1},
		{"PT1S ", -1},
		{"P999999999999999D", -1},
		{"P9999999999999999999D", -1},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		int64_t ms = -1;

		CHECK_EQ(duration_parse(cases[i].text, &ms), cases[i].ms >= 0);
		CHECK_EQ(ms, cases[i].ms);
	}
}
