/* metrics_test: quantiles are upper bounds within a quarter; what is exposed reads as Prometheus expects. */
#include "metrics/metrics.h"

#include "base/test.h"

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

static int64_t seven(const struct metric *m)
{
	return m->context ? 7 : 0;
}

TEST(all_instruments_are_printed_in_order)
{
	struct counter requests = {0};
	struct histogram times = {0};
	struct metric counter = {
		.name = "a_total", .labels = "api=\"Fetch\"", .kind = METRIC_COUNTER, .of.counter = &requests};
	struct metric gauge = {.name = "b", .labels = "", .kind = METRIC_GAUGE, .of.gauge = seven, .context = "x"};
	struct metric histogram = {.name = "c", .labels = "x=\"1\"", .kind = METRIC_HISTOGRAM, .of.histogram = &times};
	struct metrics m;
	struct buf out;

	metrics_init(&m);
	metrics_add(&m, &counter);
	metrics_add(&m, &gauge);
	metrics_add(&m, &histogram);
	counter_add(&requests, 3);
	histogram_add(&times, 1);
	buf_init(&out, 1000);
	metrics_print(&m, &out);
	CHECK_BYTES(buf_bytes(&out), bytes_str("a_total{api=\"Fetch\"} 3\n"
					       "b 7\n"
					       "c{x=\"1\",quantile=\"0.5\"} 1\n"
					       "c{x=\"1\",quantile=\"0.99\"} 1\n"
					       "c{x=\"1\",quantile=\"0.999\"} 1\n"
					       "c_sum{x=\"1\"} 1\n"
					       "c_count{x=\"1\"} 1\n"));
	buf_reset(&out);
	metrics_remove(&gauge);
	metrics_remove(&histogram);
	metrics_print(&m, &out);
	CHECK_BYTES(buf_bytes(&out), bytes_str("a_total{api=\"Fetch\"} 3\n"));
	buf_fini(&out);
}
