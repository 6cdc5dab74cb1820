/* metrics_test: quantiles are upper bounds within a quarter; pages add up; what is exposed reads as Prometheus expects. */
#include "metrics/metrics.h"

#include <stdio.h>

#include "base/test.h"

static const struct metric requests = {
	.name = "a_total", .help = "Requests.", .type = METRIC_COUNTER, .unit = METRIC_NUMBER};
static const struct metric seconds = {
	.name = "b_seconds", .help = "A time.", .type = METRIC_GAUGE, .unit = METRIC_MICROSECONDS};
static const struct metric times = {.name = "c_seconds",
				    .help = "Times.",
				    .type = METRIC_HISTOGRAM,
				    .unit = METRIC_MICROSECONDS,
				    .least_power = 10,
				    .most_power = 12};
static const struct metric sizes = {.name = "d_bytes",
				    .help = "Sizes.",
				    .type = METRIC_HISTOGRAM,
				    .unit = METRIC_NUMBER,
				    .least_power = 2,
				    .most_power = 4};

TEST(a_quantile_is_at_most_a_quarter_too_large_and_never_too_small)
{
	static const int64_t values[] = {0, 1, 3, 4, 5, 7, 8, 9, 100, 1000, 12345, 1000000, INT64_C(1) << 40};

	for (size_t i = 0; i < countof(values); i++) {
		struct histogram h = {0};
		uint64_t got;

		histogram_add(&h, values[i]);
		histogram_add(&h, INT64_MAX);
		got = histogram_quantile(&h, 500);
		CHECK(got >= (uint64_t)values[i]);
		CHECK(got <= (uint64_t)values[i] + (uint64_t)values[i] / 4);
	}
}

TEST(quantiles_follow_the_counts)
{
	struct histogram h = {0};

	CHECK_EQ(histogram_quantile(&h, 990), 0);
	for (int i = 0; i < 99; i++)
		histogram_add(&h, 2);
	histogram_add(&h, -5);
	histogram_add(&h, 3000);
	CHECK_EQ(histogram_quantile(&h, 500), 2);
	CHECK_EQ(histogram_quantile(&h, 1000), 3000);
	CHECK_EQ(histogram_quantile(&h, 0), 0);
	CHECK_EQ(h.count, 101);
	CHECK_EQ(h.sum, 99 * 2 + 3000);
}

TEST(what_is_below_a_power_of_two_is_counted_exactly)
{
	for (unsigned power = 2; power <= 40; power++) {
		struct histogram h = {0};

		histogram_add(&h, (INT64_C(1) << power) - 1);
		histogram_add(&h, INT64_C(1) << power);
		CHECK_EQ(histogram_below(&h, power), 1);
	}
}

static void check_text(const struct metrics_page *p, const char *expected)
{
	struct buf out;

	buf_init(&out, 10000);
	metrics_print(p, &out);
	CHECK_BYTES(buf_bytes(&out), bytes_str(expected));
	buf_fini(&out);
}

TEST(the_same_name_and_labels_are_added_up_and_others_stand_beside)
{
	struct metrics_page p;

	metrics_page_init(&p, 100);
	metrics_put(&p, &requests, bytes_str("api=\"Fetch\""), 3);
	metrics_put(&p, &seconds, bytes_empty(), 1500000);
	metrics_put(&p, &requests, bytes_str("api=\"Produce\""), 1);
	metrics_put(&p, &requests, bytes_str("api=\"Fetch\""), 4);
	metrics_put(&p, &seconds, bytes_empty(), 500001);
	check_text(&p, "# HELP a_total Requests.\n"
		       "# TYPE a_total counter\n"
		       "a_total{api=\"Fetch\"} 7\n"
		       "a_total{api=\"Produce\"} 1\n"
		       "# HELP b_seconds A time.\n"
		       "# TYPE b_seconds gauge\n"
		       "b_seconds 2.000001\n");
	metrics_page_fini(&p);
}

TEST(a_histogram_has_cumulative_buckets_with_a_sum_and_a_count)
{
	struct histogram h = {0}, more = {0};
	struct metrics_page p;

	histogram_add(&h, 1023);
	histogram_add(&h, 1024);
	histogram_add(&more, 5000000);
	metrics_page_init(&p, 100);
	metrics_put_histogram(&p, &times, bytes_str("x=\"1\""), &h);
	metrics_put_histogram(&p, &times, bytes_str("x=\"1\""), &more);
	check_text(&p, "# HELP c_seconds Times.\n"
		       "# TYPE c_seconds histogram\n"
		       "c_seconds_bucket{x=\"1\",le=\"0.001024\"} 1\n"
		       "c_seconds_bucket{x=\"1\",le=\"0.002048\"} 2\n"
		       "c_seconds_bucket{x=\"1\",le=\"0.004096\"} 2\n"
		       "c_seconds_bucket{x=\"1\",le=\"+Inf\"} 3\n"
		       "c_seconds_sum{x=\"1\"} 5.002047\n"
		       "c_seconds_count{x=\"1\"} 3\n");
	metrics_page_fini(&p);
}

TEST(bounds_of_numbers_are_the_largest_that_they_hold)
{
	struct histogram h = {0};
	struct metrics_page p;

	histogram_add(&h, 7);
	histogram_add(&h, 8);
	metrics_page_init(&p, 100);
	metrics_put_histogram(&p, &sizes, bytes_empty(), &h);
	check_text(&p, "# HELP d_bytes Sizes.\n"
		       "# TYPE d_bytes histogram\n"
		       "d_bytes_bucket{le=\"3\"} 0\n"
		       "d_bytes_bucket{le=\"7\"} 1\n"
		       "d_bytes_bucket{le=\"15\"} 2\n"
		       "d_bytes_bucket{le=\"+Inf\"} 2\n"
		       "d_bytes_sum 15\n"
		       "d_bytes_count 2\n");
	metrics_page_fini(&p);
}

TEST(times_print_as_exact_seconds)
{
	static const struct {
		int64_t value;
		const char *text;
	} cases[] = {{0, "0"},       {1, "0.000001"},         {999999, "0.999999"},
		     {3000000, "3"}, {-1500000, "-1.500000"}, {INT64_C(1792000000123456), "1792000000.123456"}};

	for (size_t i = 0; i < countof(cases); i++) {
		struct metrics_page p;
		char expected[200];

		metrics_page_init(&p, 1);
		metrics_put(&p, &seconds, bytes_empty(), cases[i].value);
		snprintf(expected, sizeof(expected), "# HELP b_seconds A time.\n# TYPE b_seconds gauge\nb_seconds %s\n",
			 cases[i].text);
		check_text(&p, expected);
		metrics_page_fini(&p);
	}
}

TEST(a_full_page_keeps_adding_up_what_it_has_and_says_what_it_left_out)
{
	struct metrics_page p;

	metrics_page_init(&p, 1);
	metrics_put(&p, &requests, bytes_str("api=\"A\""), 1);
	metrics_put(&p, &requests, bytes_str("api=\"B\""), 1);
	metrics_put(&p, &requests, bytes_str("api=\"A\""), 1);
	check_text(&p, "# HELP a_total Requests.\n"
		       "# TYPE a_total counter\n"
		       "a_total{api=\"A\"} 2\n"
		       "# 1 values were left out: the page is full\n");
	metrics_page_fini(&p);
}

TEST(label_values_are_escaped)
{
	struct buf labels;

	buf_init(&labels, 100);
	metrics_label(&labels, "path", bytes_str("C:\\a\"b\nc"));
	metrics_label(&labels, "n", bytes_empty());
	CHECK_BYTES(buf_bytes(&labels), bytes_str("path=\"C:\\\\a\\\"b\\nc\",n=\"\""));
	buf_fini(&labels);
}
