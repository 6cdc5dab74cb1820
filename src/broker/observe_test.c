/* observe_test: what /healthz decides, which listeners are understood, and that every metric is well named and documented. */
#include "broker/observe.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"

#define DOCUMENT "docs/operations.md"

TEST(health_says_ready_only_when_everything_is)
{
	static const struct {
		struct health_facts facts;
		struct health_sums sums;
		unsigned status;
		const char *line;
	} cases[] = {
		{{.serving = true, .online_folders = 1}, {10, 0, 0}, 200, "ok"},
		{{.serving = true, .online_folders = 1}, {0, 0, 0}, 200, "ok"},
		{{.serving = true, .online_folders = 1}, {10, 3, 0}, 200, "ok"}, /* opened as clients ask */
		{{.serving = true, .online_folders = 1},
		 {10, 0, 2},
		 200,
		 "ok, but 2 of 10 partitions are offline: see the log"},
		{{.doing = "opening the data folders"}, {0, 0, 0}, 503, "starting: opening the data folders"},
		{{.doing = "opening the data folders", .recovering = true},
		 {10, 5, 0},
		 503,
		 "starting: opening the data folders"},
		{{.serving = true, .stopping = true, .online_folders = 1}, {10, 0, 0}, 503, "stopping"},
		{{.doing = "x", .stopping = true}, {0, 0, 0}, 503, "stopping"},
		{{.serving = true, .recovering = true},
		 {300, 100, 0},
		 503,
		 "recovering: 200 of 300 partitions are done (66 %)"},
		{{.serving = true, .recovering = true}, {300, 0, 0}, 200, "ok"},
		{{.serving = true, .offline_folder = "/a", .online_folders = 2},
		 {10, 0, 4},
		 503,
		 "data folder /a is offline (2 others work): see the log"},
		{{.serving = true, .recovering = true, .offline_folder = "/a"},
		 {10, 1, 0},
		 503,
		 "data folder /a is offline (0 others work): see the log"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct buf line;

		buf_init(&line, 1000);
		CHECK_EQ(health_decide(&cases[i].facts, &cases[i].sums, &line), cases[i].status);
		CHECK_BYTES(buf_bytes(&line), bytes_str(cases[i].line));
		buf_fini(&line);
	}
}

TEST(listeners_are_host_and_port_or_nothing)
{
	static const struct {
		const char *text;
		bool good;
		const char *host;
		unsigned port;
	} cases[] = {
		{"", true, "", 0},
		{"127.0.0.1:9644", true, "127.0.0.1", 9644},
		{"localhost:0", true, "localhost", 0},
		{"[::1]:65535", true, "::1", 65535},
		{":9644", false, "untouched", 1},
		{"127.0.0.1", false, "untouched", 1},
		{"127.0.0.1:", false, "untouched", 1},
		{"127.0.0.1:65536", false, "untouched", 1},
		{"127.0.0.1:99999999999999999999", false, "untouched", 1},
		{"127.0.0.1:-1", false, "untouched", 1},
		{"127.0.0.1:9x", false, "untouched", 1},
		{"::1:9644", false, "untouched", 1},
		{"[]:9644", false, "untouched", 1},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1", false,
		 "untouched", 1},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct address a = {.host = "untouched", .port = 1};

		CHECK_EQ(observe_parse_listener(cases[i].text, &a), cases[i].good);
		CHECK_STR(a.host, cases[i].host);
		CHECK_EQ(a.port, cases[i].port);
	}
}

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);

	return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* Prometheus' conventions: counters end in _total and nothing else does; times are in seconds, sizes in bytes. */
static void check_name(const struct metric *m)
{
	for (const char *c = m->name; *c; c++)
		CHECK(islower((unsigned char)*c) || *c == '_');
	/* What kafka_exporter shows, and what dashboards ask Kafka for by JMX, has its names. */
	CHECK(strncmp(m->name, "moldau_", 7) == 0 || strncmp(m->name, "process_", 8) == 0 ||
	      strncmp(m->name, "kafka_consumergroup_", 20) == 0 || strncmp(m->name, "kafka_log_", 10) == 0);
	CHECK_EQ(m->type == METRIC_COUNTER, ends_with(m->name, "_total"));
	CHECK_EQ(m->unit == METRIC_MICROSECONDS, strstr(m->name, "_seconds") != NULL);
	CHECK_EQ(m->type == METRIC_HISTOGRAM, m->most_power > 0);
	CHECK(m->least_power <= m->most_power);
	CHECK(!strchr(m->help, '\n') && !strchr(m->help, '\\') && strlen(m->help) > 4);
}

TEST(metrics_are_named_as_prometheus_expects_and_each_once)
{
	for (size_t i = 0; i < OBSERVED_COUNT; i++) {
		CHECK(observed_metrics[i].name != NULL);
		check_name(&observed_metrics[i]);
		for (size_t k = 0; k < i; k++)
			CHECK(strcmp(observed_metrics[i].name, observed_metrics[k].name) != 0);
	}
}

static char *load(const char *path)
{
	char *text = calloc(1, 1000000);
	FILE *f = fopen(path, "rb");

	CHECK(f && text);
	CHECK(fread(text, 1, 999999, f) > 0);
	fclose(f);
	return text;
}

TEST(every_metric_is_in_the_operators_document_with_its_meaning)
{
	char *text = load(DOCUMENT);

	for (size_t i = 0; i < OBSERVED_COUNT; i++) {
		char row[1000];

		snprintf(row, sizeof(row), "| `%s` | ", observed_metrics[i].name);
		if (!strstr(text, row))
			fprintf(stderr, "%s has no row for %s\n", DOCUMENT, observed_metrics[i].name);
		CHECK(strstr(text, row));
		CHECK(strstr(text, observed_metrics[i].help));
	}
	free(text);
}
