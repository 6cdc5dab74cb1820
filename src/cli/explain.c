/* explain: `moldau topic explain`: asks a broker's metrics.listener why segments are still there, and prints it. Calls told and stdio. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/session.h"
#include "cli/told.h"
#include "cli/verbs.h"

#define TOPICS_MAX 1000
#define PATH_MAX_SIZE 512

const char cli_topic_explain_help[] = "usage: moldau topic explain TOPIC... [OPTIONS]\n"
				      "\n"
				      "For each segment of each partition: why it is still there, when it goes, and "
				      "what of it was found damaged.\n"
				      "Asks the broker whose logs they are, "
				      "on the port\n"
				      "of its setting metrics.listener, not on the one that clients use.\n"
				      "\n"
				      "  --topic TOPIC                the same as TOPIC\n"
				      "  -p, --partition N            only this one\n"
				      "  --metrics-server HOST:PORT   default " TOLD_DEFAULT_SERVER "\n"
				      "  --format text|json           json: an object a line for each topic\n"
				      "\n"
				      "Example\n"
				      "  moldau topic explain orders --metrics-server 10.0.0.7:9644\n";

struct explain {
	const struct cli_verb *verb;
	const char *topics[TOPICS_MAX];
	size_t topic_count;
	struct told_server server;
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

static void print_due(const json_t *segment, int64_t now_ms)
{
	int64_t at_ms = told_number(segment, "dueAtMs"), bytes = told_number(segment, "dueAfterBytes");
	char text[TOLD_TEXT_SIZE], span[TOLD_TEXT_SIZE];
	bool timed = at_ms >= 0 && at_ms <= TOLD_LAST_MS;

	if (strcmp(told_text(segment, "kept"), "goes") == 0) {
		printf("with the next look (log.retention.check.interval.ms)");
		return;
	}
	if (timed && at_ms > now_ms)
		printf("%s, in %s", told_time(at_ms, text), told_span(at_ms - now_ms, span));
	else if (timed)
		printf("as soon as that is over");
	if (bytes > 0)
		printf("%s%s more", timed ? "; or after " : "after ", cli_size((uint64_t)bytes, text, sizeof(text)));
	if (!timed && bytes <= 0)
		printf(bytes == 0 ? "as soon as that is over" : "never");
}

/* What the broker's scrub, or a read, found bad. */
static void print_damages(const json_t *segment)
{
	const json_t *damage;
	char size[TOLD_TEXT_SIZE];
	size_t i;

	json_array_foreach(json_object_get(segment, "damages"), i, damage)
	{
		printf("    DAMAGED: offsets %" PRId64 "..%" PRId64
		       " (%s) are not served; moldau log verify tells what is "
		       "wrong with them\n",
		       told_number(damage, "offset"), told_number(damage, "nextOffset") - 1,
		       cli_size((uint64_t)told_number(damage, "bytes"), size, sizeof(size)));
	}
}

/* --- a topic --------------------------------------------------------------------------------------------------------- */

static void print_segment(const json_t *segment, int64_t now_ms)
{
	int64_t base = told_number(segment, "baseOffset"), end = told_number(segment, "endOffset");
	char offsets[TOLD_TEXT_SIZE], size[TOLD_TEXT_SIZE], newest[TOLD_TEXT_SIZE];

	if (end > base)
		snprintf(offsets, sizeof(offsets), "%" PRId64 "..%" PRId64, base, end - 1);
	else
		snprintf(offsets, sizeof(offsets), "%" PRId64 "..", base);
	printf("  %-23s %-10s %-19s  %-45s ", offsets,
	       cli_size((uint64_t)told_number(segment, "sizeBytes"), size, sizeof(size)),
	       told_time(told_number(segment, "largestTimestampMs"), newest), why(told_text(segment, "kept")));
	print_due(segment, now_ms);
	putchar('\n');
	print_damages(segment);
}

static void print_settings(const json_t *topic)
{
	int64_t ms = told_number(topic, "retentionMs"), bytes = told_number(topic, "retentionBytes");
	char text[TOLD_TEXT_SIZE];

	printf("cleanup.policy=%s retention.ms=%" PRId64, told_text(topic, "cleanupPolicy"), ms);
	if (ms >= 0 && ms < TOLD_LAST_MS)
		printf(" (%s)", told_span(ms, text));
	printf(" retention.bytes=%" PRId64 "\n", bytes);
}

static void print_partition(const char *name, const json_t *partition, int64_t now_ms)
{
	const json_t *segments = json_object_get(partition, "segments"), *segment;
	char size_text[TOLD_TEXT_SIZE];
	uint64_t size = 0;
	size_t i;

	printf("%s-%" PRId64 ": ", name, told_number(partition, "partition"));
	if (!segments) {
		printf("%s\n", told_text(partition, "error"));
		return;
	}
	json_array_foreach(segments, i, segment) size += (uint64_t)told_number(segment, "sizeBytes");
	printf("log start offset %" PRId64 ", high watermark %" PRId64 ", end offset %" PRId64
	       ", %zu segment%s of %s\n",
	       told_number(partition, "logStartOffset"), told_number(partition, "highWatermark"),
	       told_number(partition, "endOffset"), json_array_size(segments),
	       json_array_size(segments) == 1 ? "" : "s", cli_size(size, size_text, sizeof(size_text)));
	printf("  %-23s %-10s %-19s  %-45s %s\n", "OFFSETS", "SIZE", "NEWEST RECORD (UTC)", "WHY IT IS THERE",
	       "IT GOES");
	json_array_foreach(segments, i, segment) print_segment(segment, now_ms);
}

/* False: it has no such partition. */
static bool keep_partition(json_t *topic, int64_t number)
{
	json_t *partitions = json_object_get(topic, "partitions"), *kept = json_array(), *partition;
	size_t i;

	json_array_foreach(partitions, i, partition) if (told_number(partition, "partition") == number)
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
		return cli_failed(x->verb, "%s has no partition %" PRId64, told_text(topic, "topic"), x->partition);
	if (x->json) {
		json_dumpf(topic, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (json_object_get(topic, "cleanupPolicy")) {
		printf("%s: ", told_text(topic, "topic"));
		print_settings(topic);
	}
	json_array_foreach(json_object_get(topic, "partitions"), i, partition)
	{
		if (!json_object_get(partition, "segments"))
			code = CLI_FAILED;
		if (!x->json)
			print_partition(told_text(topic, "topic"), partition, told_number(topic, "nowMs"));
	}
	return code;
}

static int explain_topic(const struct explain *x, const char *name)
{
	char path[PATH_MAX_SIZE];
	json_t *topic;
	int code;

	snprintf(path, sizeof(path), "/topics/%s/segments", name);
	topic = told_ask(&x->server, path, name);
	if (!topic)
		return CLI_FAILED;
	if (json_is_array(json_object_get(topic, "partitions")))
		code = print_topic(x, topic);
	else
		code = told_nonsense(&x->server);
	json_decref(topic);
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
		return (x->server.text = cli_value(o)) != NULL;
	if (cli_is(o, "--format"))
		return cli_take_format(o, &x->json);
	cli_unknown(o);
	return false;
}

int cli_topic_explain(const struct cli_verb *verb, int argc, char **argv)
{
	struct explain x = {.verb = verb, .server = {.verb = verb, .text = TOLD_DEFAULT_SERVER}, .partition = -1};
	struct cli_options o = cli_options(verb, argc, argv);
	int code = CLI_DONE;

	while (cli_next(&o))
		if (!take_option(&x, &o))
			return CLI_USAGE;
	if (o.failed)
		return CLI_USAGE;
	if (x.topic_count == 0)
		return cli_usage(verb, "which topic?");
	if (told_parse(&x.server))
		return CLI_USAGE;
	for (size_t i = 0; i < x.topic_count; i++)
		if (explain_topic(&x, x.topics[i]))
			code = CLI_FAILED;
	return code;
}
