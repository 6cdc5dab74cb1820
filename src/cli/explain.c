/* explain: `moldau topic explain`: asks a broker's metrics.listener why segments are still there, and prints it. Calls http_get and stdio. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/observe.h"
#include "cli/http_get.h"
#include "cli/session.h"
#include "cli/verbs.h"

#define DEFAULT_SERVER "127.0.0.1:9644" /* metrics.listener's own default */
#define TOPICS_MAX 1000
#define PATH_MAX_SIZE 512
#define TEXT_SIZE 96
#define LAST_MS INT64_C(253402300799000) /* of the year 9999 */

const char cli_topic_explain_help[] = "usage: moldau topic explain TOPIC... [OPTIONS]\n"
				      "\n"
				      "For each segment of each partition: why it is still there, and when it goes. "
				      "Asks the broker whose logs they are, "
				      "on the port\n"
				      "of its setting metrics.listener, not on the one that clients use.\n"
				      "\n"
				      "  --topic TOPIC                the same as TOPIC\n"
				      "  -p, --partition N            only this one\n"
				      "  --metrics-server HOST:PORT   default " DEFAULT_SERVER "\n"
				      "  --format text|json           json: an object a line for each topic\n"
				      "\n"
				      "Example\n"
				      "  moldau topic explain orders --metrics-server 10.0.0.7:9644\n";

struct explain {
	const struct cli_verb *verb;
	const char *topics[TOPICS_MAX];
	size_t topic_count;
	const char *server_text;
	struct address server;
	int64_t partition; /* -1: all */
	bool json;
};

/* --- words ----------------------------------------------------------------------------------------------------------- */

static const char *why(const char *kept)
{
	static const char *const reasons[][2] = {
		{"goes", "nothing keeps it any more"},
		{"active", "it is the one that is written to"},
		{"notCommitted", "it has records at or above the high watermark"},
		{"inTime", "retention.ms is not over"},
		{"inSize", "retention.bytes is not passed"},
		{"futureTimestamp", "a record's timestamp is in the future"},
		{"behindAnother", "an older segment stays, and so does it"},
		{"compacted", "its records leave by compaction only"},
		{"forEver", "no setting takes it"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(kept, reasons[i][0]) == 0)
			return reasons[i][1];
	return kept;
}

static int64_t number_of(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static const char *time_text(int64_t ms, char ret_text[static TEXT_SIZE])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;

	if (ms < 0 || ms > LAST_MS || !gmtime_r(&seconds, &parts))
		return "-";
	strftime(ret_text, TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &parts);
	return ret_text;
}

/* The two largest units. */
static const char *span_text(int64_t ms, char ret_text[static TEXT_SIZE])
{
	int64_t s = ms / 1000, m = s / 60, h = m / 60, d = h / 24;

	if (d > 0)
		snprintf(ret_text, TEXT_SIZE, "%" PRId64 " d %" PRId64 " h", d, h % 24);
	else if (h > 0)
		snprintf(ret_text, TEXT_SIZE, "%" PRId64 " h %" PRId64 " min", h, m % 60);
	else if (m > 0)
		snprintf(ret_text, TEXT_SIZE, "%" PRId64 " min %" PRId64 " s", m, s % 60);
	else
		snprintf(ret_text, TEXT_SIZE, "%" PRId64 " s", s);
	return ret_text;
}

static void print_due(const json_t *segment, int64_t now_ms)
{
	int64_t at_ms = number_of(segment, "dueAtMs"), bytes = number_of(segment, "dueAfterBytes");
	char text[TEXT_SIZE], span[TEXT_SIZE];
	bool timed = at_ms >= 0 && at_ms <= LAST_MS;

	if (strcmp(text_of(segment, "kept"), "goes") == 0) {
		printf("with the next look (log.retention.check.interval.ms)");
		return;
	}
	if (timed && at_ms > now_ms)
		printf("%s, in %s", time_text(at_ms, text), span_text(at_ms - now_ms, span));
	else if (timed)
		printf("as soon as that is over");
	if (bytes > 0)
		printf("%s%s more", timed ? "; or after " : "after ", cli_size((uint64_t)bytes, text, sizeof(text)));
	if (!timed && bytes <= 0)
		printf(bytes == 0 ? "as soon as that is over" : "never");
}

/* --- a topic --------------------------------------------------------------------------------------------------------- */

static void print_segment(const json_t *segment, int64_t now_ms)
{
	int64_t base = number_of(segment, "baseOffset"), end = number_of(segment, "endOffset");
	char offsets[TEXT_SIZE], size[TEXT_SIZE], newest[TEXT_SIZE];

	if (end > base)
		snprintf(offsets, sizeof(offsets), "%" PRId64 "..%" PRId64, base, end - 1);
	else
		snprintf(offsets, sizeof(offsets), "%" PRId64 "..", base);
	printf("  %-23s %-10s %-19s  %-45s ", offsets,
	       cli_size((uint64_t)number_of(segment, "sizeBytes"), size, sizeof(size)),
	       time_text(number_of(segment, "largestTimestampMs"), newest), why(text_of(segment, "kept")));
	print_due(segment, now_ms);
	putchar('\n');
}

static void print_settings(const json_t *topic)
{
	int64_t ms = number_of(topic, "retentionMs"), bytes = number_of(topic, "retentionBytes");
	char text[TEXT_SIZE];

	printf("cleanup.policy=%s retention.ms=%" PRId64, text_of(topic, "cleanupPolicy"), ms);
	if (ms >= 0 && ms < LAST_MS)
		printf(" (%s)", span_text(ms, text));
	printf(" retention.bytes=%" PRId64 "\n", bytes);
}

static void print_partition(const char *name, const json_t *partition, int64_t now_ms)
{
	const json_t *segments = json_object_get(partition, "segments"), *segment;
	char size_text[TEXT_SIZE];
	uint64_t size = 0;
	size_t i;

	printf("%s-%" PRId64 ": ", name, number_of(partition, "partition"));
	if (!segments) {
		printf("%s\n", text_of(partition, "error"));
		return;
	}
	json_array_foreach(segments, i, segment) size += (uint64_t)number_of(segment, "sizeBytes");
	printf("log start offset %" PRId64 ", high watermark %" PRId64 ", end offset %" PRId64
	       ", %zu segment%s of %s\n",
	       number_of(partition, "logStartOffset"), number_of(partition, "highWatermark"),
	       number_of(partition, "endOffset"), json_array_size(segments), json_array_size(segments) == 1 ? "" : "s",
	       cli_size(size, size_text, sizeof(size_text)));
	printf("  %-23s %-10s %-19s  %-45s %s\n", "OFFSETS", "SIZE", "NEWEST RECORD (UTC)", "WHY IT IS THERE",
	       "IT GOES");
	json_array_foreach(segments, i, segment) print_segment(segment, now_ms);
}

/* False: it has no such partition. */
static bool keep_partition(json_t *topic, int64_t number)
{
	json_t *partitions = json_object_get(topic, "partitions"), *kept = json_array(), *partition;
	size_t i;

	json_array_foreach(partitions, i, partition) if (number_of(partition, "partition") == number)
		json_array_append(kept, partition);
	json_object_set_new(topic, "partitions", kept);
	return json_array_size(kept) > 0;
}

static int print_topic(const struct explain *x, json_t *topic)
{
	const json_t *partition;
	int code = CLI_DONE;
	size_t i;

	if (x->partition >= 0 && !keep_partition(topic, x->partition))
		return cli_failed(x->verb, "%s has no partition %" PRId64, text_of(topic, "topic"), x->partition);
	if (x->json) {
		json_dumpf(topic, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (json_object_get(topic, "cleanupPolicy")) {
		printf("%s: ", text_of(topic, "topic"));
		print_settings(topic);
	}
	json_array_foreach(json_object_get(topic, "partitions"), i, partition)
	{
		if (!json_object_get(partition, "segments"))
			code = CLI_FAILED;
		if (!x->json)
			print_partition(text_of(topic, "topic"), partition, number_of(topic, "nowMs"));
	}
	return code;
}

static int no_answer(const struct explain *x, enum err e)
{
	return cli_failed(x->verb,
			  "no answer from %s: %s. The broker tells this on the port of its setting metrics.listener "
			  "(default " DEFAULT_SERVER
			  ", empty: off): start it with one, and name it with --metrics-server",
			  x->server_text, e == ERR_CORRUPT ? "what listens there is not that port" : err_text(e));
}

static int refused(const struct explain *x, const char *name, unsigned status, struct bytes text)
{
	const uint8_t *end = text.size > 0 ? memchr(text.data, '\n', text.size) : NULL;

	if (end)
		text.size = (size_t)(end - text.data);
	return cli_failed(x->verb, "%s: %.*s (%s answered %u)", name, BYTES_ARG(text), x->server_text, status);
}

static int explain_topic(const struct explain *x, const char *name)
{
	char path[PATH_MAX_SIZE];
	unsigned status = 0;
	struct buf body;
	json_t *topic;
	int code;
	enum err e;

	snprintf(path, sizeof(path), "/topics/%s/segments", name);
	e = http_get(&x->server, path, &status, &body);
	if (e)
		return no_answer(x, e);
	topic = status == 200 ? json_loadb((const char *)body.data, body.size, 0, NULL) : NULL;
	if (status != 200)
		code = refused(x, name, status, buf_bytes(&body));
	else if (!json_is_array(json_object_get(topic, "partitions")))
		code = no_answer(x, ERR_CORRUPT);
	else
		code = print_topic(x, topic);
	json_decref(topic);
	buf_fini(&body);
	return code;
}

/* --- arguments ------------------------------------------------------------------------------------------------------- */

/* What no topic can be called must not become another path. */
static bool add_topic(struct explain *x, const char *name)
{
	size_t size = name ? strlen(name) : 0;

	if (!name)
		return false;
	if (size == 0 || size > 249 ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != size) {
		cli_usage(x->verb, "%s is not a topic's name", name);
		return false;
	}
	if (x->topic_count == TOPICS_MAX) {
		cli_usage(x->verb, "more than %d topics", TOPICS_MAX);
		return false;
	}
	x->topics[x->topic_count++] = name;
	return true;
}

static bool take_option(struct explain *x, struct cli_options *o)
{
	if (cli_is(o, NULL))
		return add_topic(x, o->name);
	if (cli_is(o, "--topic"))
		return add_topic(x, cli_value(o));
	if (cli_is(o, "-p") || cli_is(o, "--partition"))
		return cli_take_number(o, 0, INT32_MAX, &x->partition);
	if (cli_is(o, "--metrics-server"))
		return (x->server_text = cli_value(o)) != NULL;
	if (cli_is(o, "--format"))
		return cli_take_format(o, &x->json);
	cli_unknown(o);
	return false;
}

int cli_topic_explain(const struct cli_verb *verb, int argc, char **argv)
{
	struct explain x = {.verb = verb, .server_text = DEFAULT_SERVER, .partition = -1};
	struct cli_options o = cli_options(verb, argc, argv);
	int code = CLI_DONE;

	while (cli_next(&o))
		if (!take_option(&x, &o))
			return CLI_USAGE;
	if (o.failed)
		return CLI_USAGE;
	if (x.topic_count == 0)
		return cli_usage(verb, "which topic?");
	if (!observe_parse_listener(x.server_text, &x.server) || !x.server.host[0] || !x.server.port)
		return cli_usage(verb, "--metrics-server wants HOST:PORT, not %s", x.server_text);
	for (size_t i = 0; i < x.topic_count; i++)
		if (explain_topic(&x, x.topics[i]))
			code = CLI_FAILED;
	return code;
}
