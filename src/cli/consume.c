/* consume: `moldau consume`: prints what a topic holds. Calls the client library, stdio's stderr and write(2). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/consume_own.h"
#include "cli/verbs.h"

#define OUT_BYTES ((size_t)256 * 1024)
#define WAIT_MS 200
#define KAFKA_OFFSET_OUT_OF_RANGE 1
#define KAFKA_CORRUPT_MESSAGE 2

const char cli_consume_help[] =
	"usage: moldau consume TOPIC... [OPTIONS]\n"
	"\n"
	"Prints the values of topics' records, a line each, byte for byte; waits for more unless told otherwise.\n"
	"\n"
	"  -t, --topic TOPIC       the same as TOPIC\n"
	"  -p, --partition N,...   default: all\n"
	"  -o, --offset WHERE      beginning (the default), end, N, -N (N before the end), @MS (time in ms since "
	"1970);\n"
	"                          also earliest, start, latest, s@MS, and :end behind any of these is the same as -e\n"
	"  -c, --count N           ends after N records\n"
	"  -e, --exit              ends at the end of all partitions\n"
	"  -f, --format STRING     kcat's: %s %k %S %K %R %t %p %o %T %h, or rpk's: %v %k %V %K %t %T %p %o %e %d %H "
	"%i\n"
	"                          %h{%k=%v } with {hex} {base64} {big32} {strftime[%F]} ...; \\n \\t \\xNN; or: json\n"
	"  -D, --delimiter S       what ends a record (default \\n)\n"
	"  -k, -K S                prints the key and S before the value (--key-separator)\n"
	"  -Z, --null              prints NULL for null\n"
	"  -q, --quiet             no figures on the terminal\n"
	"  --isolation LEVEL         read_committed hides records of open and aborted transactions; read_uncommitted\n"
	"  --from-beginning, --max-messages N   kafka-console-consumer's names of -o beginning and -c N\n"
	"\n"
	"As a member of a group, which shares the partitions and keeps the offsets:\n"
	"\n"
	"  -g, --group GROUP       goes on where the group left off; where it has no offset: -o beginning (the "
	"default) "
	"or end\n"
	"  --group-instance-id ID  a name that stays: within session.timeout.ms the same partitions come back\n"
	"  -v, --verbose           says on stderr which partitions come and go, and what is committed\n"
	"  ^PATTERN for a TOPIC    all topics whose whole name matches the regular expression\n"
	"  What was printed is committed: every auto.commit.interval.ms, when partitions go, and at the end, also by\n"
	"  Ctrl-C; -X enable.auto.commit=false commits nothing. With -e: at the end of the partitions that one "
	"got.\n" SESSION_HELP "\n"
	"Exit code: 0, 1 a partition cannot be read or the output cannot be written, 2 wrong use.\n"
	"\n"
	"Examples\n"
	"  moldau consume orders -e                              all there is, then ends\n"
	"  moldau consume orders -o -10 -e -f '%p %o %k: %v\\n'   the last ten of each partition\n"
	"  moldau consume orders -o @1767225600000 -c 5          five from a time on\n"
	"  moldau consume orders -e -f json | jq .value\n"
	"  moldau consume -g billing orders invoices             a member of the group billing\n"
	"  moldau consume -g audit '^orders\\..*' -v\n";

/* --- options ----------------------------------------------------------------------------------------------------- */

static bool parse_offset(struct consume_run *r, const char *text, size_t size)
{
	static const struct {
		const char *word;
		enum mo_start_kind kind;
	} words[] = {
		{"beginning", MO_START_BEGINNING},
		{"earliest", MO_START_BEGINNING},
		{"start", MO_START_BEGINNING},
		{"oldest", MO_START_BEGINNING},
		{"end", MO_START_END},
		{"latest", MO_START_END},
		{"newest", MO_START_END},
	};
	char copy[32];
	int64_t number;

	if (size >= sizeof(copy))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(copy, words[i].word) == 0) {
			r->from = (struct mo_start){.kind = words[i].kind};
			return true;
		}
	}
	if (copy[0] == '@' || strncmp(copy, "s@", 2) == 0) {
		if (!cli_number(copy + (copy[0] == 's' ? 2 : 1), 0, INT64_MAX, &number))
			return false;
		r->from = MO_TIMESTAMP(number);
		return true;
	}
	if (copy[0] == '-') {
		if (!cli_number(copy + 1, 0, INT64_MAX, &number))
			return false;
		r->from = MO_TAIL(number);
		return true;
	}
	if (!cli_number(copy, 0, INT64_MAX, &number))
		return false;
	r->from = MO_OFFSET(number);
	return true;
}

static bool take_offset(struct consume_run *r, struct cli_options *o)
{
	const char *text = cli_value(o);
	size_t size = text ? strlen(text) : 0;

	if (!text)
		return false;
	if (size > 4 && strcmp(text + size - 4, ":end") == 0) {
		r->exit_at_end = true;
		size -= 4;
	}
	r->from_given = true;
	if (parse_offset(r, text, size))
		return true;
	cli_usage(o->verb, "%s wants beginning, end, N, -N or @MS, not %s", o->name, text);
	return false;
}

static bool take_partitions(struct consume_run *r, struct cli_options *o)
{
	const char *at = cli_value(o);

	if (!at)
		return false;
	for (;;) {
		char *end = NULL;
		long number = strtol(at, &end, 10);

		if (end == at || number < 0 || number > INT32_MAX || (*end && *end != ',') ||
		    r->number_count == CONSUME_NUMBERS_MAX) {
			cli_usage(o->verb, "%s wants numbers separated by commas", o->name);
			return false;
		}
		r->numbers[r->number_count++] = (int32_t)number;
		if (!*end)
			return true;
		at = end + 1;
	}
}

static bool take_format(struct consume_run *r, struct cli_options *o)
{
	const char *text = cli_value(o);
	char why[120];

	if (!text)
		return false;
	r->json = strcmp(text, "json") == 0;
	if (r->json)
		return true;
	format_free(r->format);
	r->format = format_new(text, why, sizeof(why));
	if (r->format)
		return true;
	cli_usage(o->verb, "%s: %s", o->name, why);
	return false;
}

static bool take_topic(struct consume_run *r, struct cli_options *o, const char *name)
{
	name = name ? name : cli_value(o);
	if (name && !*name)
		cli_usage(o->verb, "the topic's name is empty");
	else if (name && r->topic_count == CONSUME_TOPICS_MAX)
		cli_usage(o->verb, "more than %d topics", CONSUME_TOPICS_MAX);
	else if (name)
		r->topics[r->topic_count++] = name;
	return name && *name && r->topics[r->topic_count - 1] == name;
}

static bool take_option(struct consume_run *r, struct cli_options *o)
{
	if (session_takes(&r->session, o))
		return !r->session.usage_error;
	if (cli_is(o, NULL))
		return take_topic(r, o, o->name);
	if (cli_is(o, "-t") || cli_is(o, "--topic"))
		return take_topic(r, o, NULL);
	if (cli_is(o, "-g") || cli_is(o, "--group"))
		return (r->group = cli_value(o));
	if (cli_is(o, "--group-instance-id"))
		return (r->instance = cli_value(o));
	if (cli_is(o, "-v") || cli_is(o, "--verbose"))
		return r->verbose = true;
	if (cli_is(o, "-p") || cli_is(o, "--partition") || cli_is(o, "--partitions"))
		return take_partitions(r, o);
	if (cli_is(o, "-o") || cli_is(o, "--offset"))
		return take_offset(r, o);
	if (cli_is(o, "--isolation") || cli_is(o, "--isolation-level")) {
		const char *level = cli_value(o);

		if (level)
			session_set(&r->session, "isolation.level", level);
		return level != NULL;
	}
	if (cli_is(o, "--from-beginning")) {
		r->from = MO_BEGINNING;
		r->from_given = true;
		return true;
	}
	if (cli_is(o, "-c") || cli_is(o, "--count") || cli_is(o, "--max-messages"))
		return cli_take_number(o, 1, INT64_MAX, &r->count_left);
	if (cli_is(o, "-e") || cli_is(o, "--exit"))
		return r->exit_at_end = true;
	if (cli_is(o, "-f") || cli_is(o, "--format"))
		return take_format(r, o);
	if (cli_is(o, "-D") || cli_is(o, "--delimiter"))
		return r->delimiter_given = cli_take_text(o, &r->delimiter, &r->delimiter_size);
	if (cli_is(o, "-K") || cli_is(o, "-k") || cli_is(o, "--key-separator"))
		return cli_take_text(o, &r->separator, &r->separator_size);
	if (cli_is(o, "-Z") || cli_is(o, "--null"))
		return r->show_null = true;
	if (cli_is(o, "-q") || cli_is(o, "--quiet"))
		return r->quiet = true;
	cli_unknown(o);
	return false;
}

/* --- printing ---------------------------------------------------------------------------------------------------- */

bool consume_write_out(struct consume_run *r)
{
	struct bytes rest = buf_bytes(&r->out);

	while (rest.size > 0) {
		ssize_t n = write(STDOUT_FILENO, rest.data, rest.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EPIPE)
				cli_failed(r->session.verb, "cannot write: %s", strerror(errno));
			return false;
		}
		rest = bytes_of(rest.data + n, rest.size - (size_t)n);
	}
	buf_reset(&r->out);
	return true;
}

static void put_field(struct consume_run *r, struct mo_bytes b)
{
	if (b.data)
		buf_put(&r->out, b.data, b.size);
	else if (r->show_null)
		buf_put(&r->out, "NULL", 4);
}

static bool print_message(struct consume_run *r, const struct mo_message *m)
{
	if (r->json) {
		format_print_json(m, &r->out);
	} else if (r->format) {
		format_print(r->format, m, r->records, r->show_null, &r->out);
	} else {
		if (r->separator) {
			put_field(r, m->key);
			buf_put(&r->out, r->separator, r->separator_size);
		}
		put_field(r, m->value);
		buf_put(&r->out, r->delimiter, r->delimiter_size);
	}
	r->records++;
	if (r->group && r->verbose)
		consume_group_note(r, m);
	r->bytes += m->value.size;
	r->count_left--;
	if (r->out.size < OUT_BYTES)
		return true;
	progress_show(&r->progress, r->records, r->bytes);
	return consume_write_out(r);
}

/* --- consuming --------------------------------------------------------------------------------------------------- */

/* All partitions that exist, unless some were named. */
static int find_partitions(struct consume_run *r, const char *topic)
{
	struct mo_topics topics = {0};
	struct mo_err e;

	if (mo_topic_describe(r->session.client, topic, &topics, &e))
		return session_failed(&r->session, &e);
	for (size_t i = 0; i < r->number_count; i++)
		consume_add(r, topic, r->numbers[i]);
	if (r->number_count == 0 && topics.count == 1)
		for (size_t i = 0; i < topics.topics[0].partition_count; i++)
			consume_add(r, topic, topics.topics[0].partitions[i].partition);
	mo_topics_free(&topics);
	return CLI_DONE;
}

static int assign_all(struct consume_run *r)
{
	struct mo_err e;
	int code = CLI_DONE;

	for (size_t i = 0; i < r->topic_count && !code; i++)
		code = find_partitions(r, r->topics[i]);
	for (size_t i = 0; i < r->part_count && !code; i++)
		if (mo_assign(r->session.client, r->parts[i].topic, r->parts[i].partition, r->from, &e))
			code = session_failed(&r->session, &e);
	return code;
}

static bool is_at_end(struct consume_run *r)
{
	return r->exit_at_end && r->ended == r->part_count && (!r->group || consume_group_is_settled(r));
}

static bool wants_more(struct consume_run *r)
{
	return r->count_left > 0 && !(r->group && consume_group_stopped(r)) && !is_at_end(r);
}

static int cannot_read(struct consume_run *r, const struct mo_err *e)
{
	int code = session_failed(&r->session, e);

	if (e->code == KAFKA_OFFSET_OUT_OF_RANGE)
		fprintf(stderr,
			"  -o beginning, -o end, or -X auto.offset.reset=earliest goes on where there are records\n");
	else if (e->code == KAFKA_CORRUPT_MESSAGE)
		fprintf(stderr, "  -p PARTITION -o N goes on behind it, -X check.crcs=false reads it as it is; with "
				"the broker stopped "
				"`moldau log verify FOLDER` says what else is damaged\n");
	return code;
}

/* OK with *ret_message, or MO_TIMED_OUT; what there is is shown before it waits. False: nobody reads any more. */
static bool next_message(struct consume_run *r, const struct mo_message **ret_message, int *ret_code, struct mo_err *e)
{
	*ret_code = mo_consume(r->session.client, 0, ret_message, e);
	if (*ret_code != MO_TIMED_OUT)
		return true;
	if (!consume_write_out(r))
		return false;
	*ret_code = mo_consume(r->session.client, WAIT_MS, ret_message, e);
	return true;
}

static int consume_all(struct consume_run *r)
{
	int code = MO_TIMED_OUT;

	while (wants_more(r)) {
		const struct mo_message *m = NULL;
		struct mo_err e;

		if (r->group && !consume_group_turn(r, code == MO_OK))
			return CLI_FAILED;
		if (!next_message(r, &m, &code, &e))
			return CLI_FAILED;
		if (code == MO_TIMED_OUT || code == MO_CALLBACK_DUE)
			continue;
		/* It is tried on. */
		if (code == MO_STALLED) {
			consume_write_out(r);
			fprintf(stderr, "moldau: %s\n", e.text);
			continue;
		}
		if (code) {
			consume_write_out(r);
			return cannot_read(r, &e);
		}
		if (m->end)
			consume_note_end(r, m->topic, m->partition);
		else if (!print_message(r, m))
			return CLI_FAILED;
	}
	return consume_write_out(r) ? CLI_DONE : CLI_FAILED;
}

static int run(struct consume_run *r)
{
	int code = r->group ? consume_group_prepare(r) : CLI_DONE;

	if (!code)
		code = session_open(&r->session);
	if (!code)
		code = r->group ? consume_group_join(r) : assign_all(r);
	if (code)
		return code;
	progress_init(&r->progress, "consumed");
	/* Where records go to the same terminal a line over them would be in the way. */
	r->progress.on = r->progress.on && !r->quiet && !isatty(STDOUT_FILENO);
	code = consume_all(r);
	if (r->group)
		code = consume_group_leave(r, code);
	progress_end(&r->progress, r->records, r->bytes);
	return code;
}

/* What cannot be together. */
static int check(struct consume_run *r)
{
	const struct cli_verb *verb = r->session.verb;

	if (r->topic_count == 0)
		return cli_usage(verb, "which topic?");
	if (r->topic_count > 1 && r->number_count > 0)
		return cli_usage(verb, "-p is for one topic");
	if (!r->group && r->instance)
		return cli_usage(verb, "--group-instance-id is for members of a group: -g GROUP");
	for (size_t i = 0; i < r->topic_count && !r->group; i++)
		if (r->topics[i][0] == '^')
			return cli_usage(verb, "patterns are for members of a group: -g GROUP");
	if (r->delimiter_given && (r->json || r->format))
		fprintf(stderr, "moldau consume: -D is not used with -f, which says itself what ends a record\n");
	return CLI_DONE;
}

int cli_consume(const struct cli_verb *verb, int argc, char **argv)
{
	char newline[] = "\n";
	struct cli_options o = cli_options(verb, argc, argv);
	struct consume_run *r = calloc(1, sizeof(*r));
	int code = CLI_DONE;

	if (!r)
		abort();
	session_init(&r->session, verb);
	session_set(&r->session, "enable.partition.eof", "true");
	r->from = MO_BEGINNING;
	r->count_left = INT64_MAX;
	r->delimiter = newline;
	r->delimiter_size = 1;
	buf_init(&r->out, SIZE_MAX / 2);
	while (!code && cli_next(&o))
		code = take_option(r, &o) ? CLI_DONE : CLI_USAGE;
	if (!code && o.failed)
		code = CLI_USAGE;
	if (!code)
		code = check(r);
	/* An offset that was asked for and is not there is told, not replaced. */
	if (!code && !r->group)
		session_set_default(&r->session, "auto.offset.reset", "none");
	if (!code)
		code = run(r);
	session_close(&r->session);
	buf_fini(&r->out);
	format_free(r->format);
	consume_forget_all(r);
	free(r);
	return code;
}
