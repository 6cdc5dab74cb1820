/*
 * produce: `moldau produce`: lines of stdin, or whole files, become records. Calls the client library, stdio and read(2).
 *
 * Lines are cut where they were read and handed over many at a time: the library copies them once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/session.h"
#include "cli/verbs.h"

#define HEADERS_MAX 64
#define FILES_MAX 1000
#define RECORDS_AT_ONCE 512
#define READ_BYTES ((size_t)1024 * 1024)
/* What no topic would take anyhow; a file without line ends must not fill the memory. */
#define LINE_MAX_BYTES ((size_t)256 * 1024 * 1024)
#define FLUSH_STEP_MS 100
#define SAY_WAITING_STEPS 15
#define END_TIMEOUT_MS 60000
#define HOST_SIZE 100

const char cli_produce_help[] =
	"usage: moldau produce TOPIC [FILE...] [OPTIONS]\n"
	"\n"
	"Each line of stdin becomes a record; each FILE becomes one record as a whole. The exit code is 1 when a "
	"record was\n"
	"not acknowledged.\n"
	"\n"
	"  -t, --topic TOPIC         the same as TOPIC\n"
	"  -l, --lines FILE          the lines of FILE instead of stdin's\n"
	"  -p, --partition N         default: by the key, or sticky\n"
	"  --partition-by WAY        key (the default: by the key's hash as Kafka does, without key sticky), sticky or "
	"round-robin: "
	"keys do not count\n"
	"  -k, -K, --key-separator S what is before S in a line is the key\n"
	"  --key KEY                 one key for all records\n"
	"  -H, --header NAME=VALUE   a header for all records\n"
	"  -D, --delimiter S         what ends a line (default \\n); \\t, \\0, \\xNN are understood, one byte\n"
	"  -z, --compression CODEC   none, gzip, snappy, lz4, zstd\n"
	"  -a, --acks 0|1|all        default all\n"
	"  -Z, --null                empty values and keys become null\n"
	"  -c, --count N             ends after N records\n"
	"  --transaction             all records in one transaction: readers of committed records get all or none\n"
	"  --transaction-records N   the same, but a new transaction after each N records\n"
	"  --transactional-id ID     the producer's name, which fences others of it (default: one of its own)\n"
	"  -q, --quiet               no figures on the terminal\n" SESSION_HELP "\n"
	"Examples\n"
	"  moldau produce orders <lines.txt                  each line is a record\n"
	"  moldau produce orders -k : -z zstd <lines.txt     what is before the first ':' is the key\n"
	"  moldau produce orders picture.png letter.txt      each file is one record\n"
	"  moldau produce orders --transaction <lines.txt    all of them or none\n";

struct produce_run {
	struct session session;
	const char *topic;
	bool topic_argument; /* it was the first argument, not -t */
	const char *files[FILES_MAX];
	size_t file_count;
	const char *lines_file;
	struct mo_header headers[HEADERS_MAX];
	size_t header_count;
	char *separator;
	size_t separator_size;
	const char *key;
	int64_t partition;
	int64_t count_left;
	char delimiter;
	bool transaction;
	int64_t transaction_records; /* of one; INT64_MAX: all are in one */
	int64_t transaction_left;
	bool empty_is_null;
	bool quiet;
	struct mo_record records[RECORDS_AT_ONCE];
	size_t record_count;
	uint64_t bytes;
	struct progress progress;
	struct mo_err error;
};

/* --- options ----------------------------------------------------------------------------------------------------- */

static bool take_header(struct produce_run *r, struct cli_options *o)
{
	const char *text = cli_value(o);
	const char *equals = cli_pair(o->verb, "-H", text);

	if (!text || !equals || r->header_count == HEADERS_MAX)
		return false;
	r->headers[r->header_count++] = (struct mo_header){
		.key = {text, (size_t)(equals - text)},
		.value = {equals + 1, strlen(equals + 1)},
	};
	return true;
}

static bool take_delimiter(struct produce_run *r, struct cli_options *o)
{
	char *text;
	size_t size;

	if (!cli_take_text(o, &text, &size))
		return false;
	if (size != 1) {
		cli_usage(o->verb, "%s is one byte", o->name);
		return false;
	}
	r->delimiter = text[0];
	return true;
}

static bool take_separator(struct produce_run *r, struct cli_options *o)
{
	if (!cli_take_text(o, &r->separator, &r->separator_size))
		return false;
	if (r->separator_size > 0)
		return true;
	cli_usage(o->verb, "the separator is empty");
	return false;
}

static bool take_partition_by(struct produce_run *r, struct cli_options *o)
{
	static const struct {
		const char *word;
		const char *partitioner;
		const char *ignore_keys;
	} ways[] = {
		{"key", "sticky", "false"},
		{"sticky", "sticky", "true"},
		{"round-robin", "round_robin", "true"},
	};
	const char *word = cli_value(o);

	for (size_t i = 0; word && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(word, ways[i].word) != 0)
			continue;
		session_set(&r->session, "partitioner", ways[i].partitioner);
		session_set(&r->session, "partitioner.ignore.keys", ways[i].ignore_keys);
		return true;
	}
	if (word)
		cli_usage(o->verb, "--partition-by is key, sticky or round-robin, not %s", word);
	return false;
}

static bool take_setting(struct produce_run *r, struct cli_options *o, const char *name)
{
	const char *value = cli_value(o);

	if (!value)
		return false;
	session_set(&r->session, name, value);
	return true;
}

static bool take_argument(struct produce_run *r, struct cli_options *o)
{
	if (!r->topic) {
		r->topic_argument = true;
		return cli_take_topic(o, o->name, &r->topic);
	}
	if (r->file_count == FILES_MAX) {
		cli_usage(o->verb, "more than %d files", FILES_MAX);
		return false;
	}
	r->files[r->file_count++] = o->name;
	return true;
}

/* With -t all arguments are files, wherever it stands. */
static bool take_topic_option(struct produce_run *r, struct cli_options *o)
{
	if (r->topic_argument && r->file_count < FILES_MAX) {
		memmove(r->files + 1, r->files, r->file_count * sizeof(r->files[0]));
		r->files[0] = r->topic;
		r->file_count++;
		r->topic = NULL;
		r->topic_argument = false;
	}
	return cli_take_topic(o, NULL, &r->topic);
}

static bool take_option(struct produce_run *r, struct cli_options *o)
{
	if (session_takes(&r->session, o))
		return !r->session.usage_error;
	if (cli_is(o, NULL))
		return take_argument(r, o);
	if (cli_is(o, "-t") || cli_is(o, "--topic"))
		return take_topic_option(r, o);
	if (cli_is(o, "-l") || cli_is(o, "--lines"))
		return (r->lines_file = cli_value(o));
	if (cli_is(o, "-p") || cli_is(o, "--partition"))
		return cli_take_number(o, -1, INT32_MAX, &r->partition);
	if (cli_is(o, "--partition-by"))
		return take_partition_by(r, o);
	if (cli_is(o, "-k") || cli_is(o, "-K") || cli_is(o, "--key-separator"))
		return take_separator(r, o);
	if (cli_is(o, "--key"))
		return (r->key = cli_value(o));
	if (cli_is(o, "-H") || cli_is(o, "--header"))
		return take_header(r, o);
	if (cli_is(o, "-D") || cli_is(o, "--delimiter"))
		return take_delimiter(r, o);
	if (cli_is(o, "-z") || cli_is(o, "--compression"))
		return take_setting(r, o, "compression.type");
	if (cli_is(o, "-a") || cli_is(o, "--acks"))
		return take_setting(r, o, "acks");
	if (cli_is(o, "-c") || cli_is(o, "--count"))
		return cli_take_number(o, 1, INT64_MAX, &r->count_left);
	if (cli_is(o, "--transaction"))
		return r->transaction = true;
	if (cli_is(o, "--transaction-records"))
		return r->transaction = true, cli_take_number(o, 1, INT64_MAX, &r->transaction_records);
	if (cli_is(o, "--transactional-id"))
		return r->transaction = true, take_setting(r, o, "transactional.id");
	if (cli_is(o, "-Z") || cli_is(o, "--null"))
		return r->empty_is_null = true;
	if (cli_is(o, "-q") || cli_is(o, "--quiet"))
		return r->quiet = true;
	cli_unknown(o);
	return false;
}

/* --- records ----------------------------------------------------------------------------------------------------- */

/* After so many records as one transaction is to have: commits it and begins the next. False after an error. */
static bool next_transaction(struct produce_run *r)
{
	if (!r->transaction || r->transaction_left > 0)
		return true;
	r->transaction_left = r->transaction_records;
	return mo_txn_commit(r->session.client, -1, &r->error) == MO_OK &&
	       mo_txn_begin(r->session.client, &r->error) == MO_OK;
}

/* False when no more can be taken: an error, or enough. */
static bool hand_over(struct produce_run *r)
{
	size_t count = r->record_count;
	struct mo_counts counts;

	r->record_count = 0;
	if (count > 0 && mo_produce_many(r->session.client, r->records, count, NULL, &r->error))
		return false;
	/* With the first failure the rest would only fail more slowly. */
	mo_client_counts(r->session.client, &counts);
	if (counts.failed > 0 || !next_transaction(r))
		return false;
	progress_show(&r->progress, counts.acknowledged, r->bytes);
	return r->count_left > 0;
}

static struct mo_bytes field(const struct produce_run *r, const char *data, size_t size)
{
	if (size == 0 && r->empty_is_null)
		return (struct mo_bytes){0};
	return (struct mo_bytes){data, size};
}

static bool add_record(struct produce_run *r, const char *data, size_t size)
{
	struct mo_record *to = &r->records[r->record_count++];
	const char *cut = r->separator ? memmem(data, size, r->separator, r->separator_size) : NULL;

	*to = (struct mo_record){
		.topic = r->topic,
		.partition = (int32_t)r->partition,
		.timestamp_ms = MO_NOW,
		.headers = r->headers,
		.header_count = r->header_count,
	};
	if (r->key)
		to->key = field(r, r->key, strlen(r->key));
	if (cut) {
		to->key = field(r, data, (size_t)(cut - data));
		size -= (size_t)(cut - data) + r->separator_size;
		data = cut + r->separator_size;
	}
	to->value = field(r, data, size);
	r->bytes += size;
	r->count_left--;
	r->transaction_left--;
	return (r->record_count < RECORDS_AT_ONCE && r->count_left > 0 && r->transaction_left > 0) || hand_over(r);
}

struct line_buffer {
	char *data;
	size_t begin; /* of the line under way */
	size_t seen;  /* up to here there is no end of it */
	size_t end;
	size_t capacity;
};

/* Room for another read behind what is there. */
static bool make_room(struct line_buffer *b)
{
	if (b->begin > 0) {
		memmove(b->data, b->data + b->begin, b->end - b->begin);
		b->end -= b->begin;
		b->seen -= b->begin;
		b->begin = 0;
	}
	if (b->capacity - b->end >= READ_BYTES / 2)
		return true;
	if (b->capacity >= LINE_MAX_BYTES)
		return false;
	b->capacity = b->capacity ? b->capacity * 2 : READ_BYTES;
	b->data = realloc(b->data, b->capacity);
	if (!b->data)
		abort();
	return true;
}

/* The whole lines in the buffer. False when no more are wanted. */
static bool add_lines(struct produce_run *r, struct line_buffer *b)
{
	char *at;

	while ((at = memchr(b->data + b->seen, r->delimiter, b->end - b->seen))) {
		size_t begin = b->begin;

		b->begin = b->seen = (size_t)(at - b->data) + 1;
		if (!add_record(r, b->data + begin, (size_t)(at - b->data) - begin))
			return false;
	}
	b->seen = b->end;
	/* What they point to is about to move. */
	return hand_over(r);
}

static int produce_lines(struct produce_run *r, int fd, const char *name)
{
	struct line_buffer b = {0};
	int code = CLI_DONE;

	for (;;) {
		ssize_t n;

		if (!make_room(&b)) {
			code = cli_failed(r->session.verb, "%s: a line of more than %zu bytes", name, LINE_MAX_BYTES);
			break;
		}
		n = read(fd, b.data + b.end, b.capacity - b.end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			code = cli_failed(r->session.verb, "cannot read %s: %s", name, strerror(errno));
		if (n <= 0)
			break;
		b.end += (size_t)n;
		if (!add_lines(r, &b))
			break;
	}
	/* A last line without its end. */
	if (!code && b.end > b.begin && r->count_left > 0 && !r->error.code)
		add_record(r, b.data + b.begin, b.end - b.begin);
	hand_over(r);
	free(b.data);
	return code;
}

static int produce_whole(struct produce_run *r, const char *name)
{
	size_t size = 0, capacity = READ_BYTES;
	char *data = malloc(capacity);
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
	size_t n;
	bool failed;

	if (!data)
		abort();
	if (!file) {
		free(data);
		return cli_failed(r->session.verb, "cannot open %s: %s", name, strerror(errno));
	}
	while ((n = fread(data + size, 1, capacity - size, file)) > 0) {
		size += n;
		if (size < capacity)
			continue;
		data = capacity < LINE_MAX_BYTES ? realloc(data, capacity *= 2) : data;
		if (!data)
			abort();
		if (size == capacity)
			break;
	}
	failed = ferror(file) != 0;
	if (file != stdin)
		fclose(file);
	if (failed || size == LINE_MAX_BYTES) {
		free(data);
		return cli_failed(r->session.verb, "cannot read %s: %s", name, failed ? strerror(errno) : "too large");
	}
	add_record(r, data, size);
	hand_over(r);
	free(data);
	return CLI_DONE;
}

static int produce_all(struct produce_run *r)
{
	int code = CLI_DONE, fd = STDIN_FILENO;

	if (r->lines_file && strcmp(r->lines_file, "-") != 0) {
		fd = open(r->lines_file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return cli_failed(r->session.verb, "cannot open %s: %s", r->lines_file, strerror(errno));
	}
	if (r->file_count == 0)
		code = produce_lines(r, fd, r->lines_file ? r->lines_file : "stdin");
	for (size_t i = 0; i < r->file_count && !code; i++)
		code = produce_whole(r, r->files[i]);
	if (fd != STDIN_FILENO)
		close(fd);
	return code;
}

/* Commits the last one, or takes it back. False: it was committed. */
static bool end_transaction(struct produce_run *r, int code)
{
	struct mo_client *c = r->session.client;
	struct mo_counts counts;
	struct mo_err e;

	mo_client_counts(c, &counts);
	if (!code && !r->error.code && counts.failed == 0) {
		if (mo_txn_commit(c, -1, &e) == MO_OK)
			return false;
		cli_failed(r->session.verb, "the transaction is not committed: %s", e.text);
	} else if (!code) {
		cli_failed(r->session.verb, "the transaction is not committed: %s",
			   counts.failed > 0 ? counts.first_error.text : r->error.text);
	}
	if (mo_txn_state(c) != MO_TXN_FATAL && mo_txn_state(c) != MO_TXN_READY &&
	    mo_txn_abort(c, END_TIMEOUT_MS, &e) != MO_OK)
		cli_failed(r->session.verb, "it cannot be taken back either, and ends by its timeout: %s", e.text);
	return true;
}

static int begin_transaction(struct produce_run *r)
{
	struct mo_err e;

	if (!r->transaction)
		return CLI_DONE;
	r->transaction_left = r->transaction_records;
	if (mo_txn_init(r->session.client, END_TIMEOUT_MS, &e) || mo_txn_begin(r->session.client, &e))
		return session_failed(&r->session, &e);
	return CLI_DONE;
}

/* Waits for what is under way; the library's own delivery.timeout.ms bounds it. */
static int settle(struct produce_run *r, int code)
{
	struct mo_counts counts;
	struct mo_err e;

	for (unsigned steps = 1; mo_flush(r->session.client, FLUSH_STEP_MS, &e) == MO_TIMED_OUT; steps++) {
		mo_client_counts(r->session.client, &counts);
		if (steps == SAY_WAITING_STEPS && counts.acknowledged == 0 && !r->quiet && isatty(STDERR_FILENO))
			fprintf(stderr, "moldau produce: waiting for a broker to take the first record for topic %s\n",
				r->topic);
		progress_show(&r->progress, counts.acknowledged, r->bytes);
	}
	mo_client_counts(r->session.client, &counts);
	progress_end(&r->progress, counts.acknowledged, r->bytes);
	if (r->transaction && end_transaction(r, code))
		return CLI_FAILED;
	if (counts.failed > 0)
		return cli_failed(r->session.verb, "%llu of %llu records were not acknowledged: %s",
				  (unsigned long long)counts.failed, (unsigned long long)counts.produced,
				  counts.first_error.text);
	if (r->error.code)
		return session_failed(&r->session, &r->error);
	return code;
}

static bool reads_terminal(const struct produce_run *r)
{
	return r->file_count == 0 && (!r->lines_file || strcmp(r->lines_file, "-") == 0) && isatty(STDIN_FILENO);
}

static const char *host_name(char ret_name[static HOST_SIZE])
{
	if (gethostname(ret_name, HOST_SIZE))
		snprintf(ret_name, HOST_SIZE, "host");
	ret_name[HOST_SIZE - 1] = '\0';
	return ret_name;
}

int cli_produce(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = cli_options(verb, argc, argv);
	struct produce_run *r = calloc(1, sizeof(*r));
	char own_id[200], host[HOST_SIZE];
	int code = CLI_DONE;

	if (!r)
		abort();
	session_init(&r->session, verb);
	/* One reader of a pipe: large batches cost least, and a person does not see 5 ms. The broker judges what is too large. */
	session_set(&r->session, "batch.size", "524288");
	session_set(&r->session, "max.request.size", "104857600");
	session_set(&r->session, "buffer.memory", "33554432");
	r->partition = -1;
	r->count_left = INT64_MAX;
	r->transaction_records = r->transaction_left = INT64_MAX;
	r->delimiter = '\n';
	while (!code && cli_next(&o))
		code = take_option(r, &o) ? CLI_DONE : CLI_USAGE;
	if (!code && o.failed)
		code = CLI_USAGE;
	if (!code && !r->topic)
		code = cli_usage(verb, "which topic?");
	if (!code && r->lines_file && r->file_count > 0)
		code = cli_usage(verb, "either -l %s, each line a record, or files, each one record: not both",
				 r->lines_file);
	if (!code && r->transaction && !session_value(&r->session, "transactional.id")) {
		snprintf(own_id, sizeof(own_id), "moldau-produce-%s-%d-%lld", host_name(host), (int)getpid(),
			 (long long)time(NULL));
		session_set_default(&r->session, "transactional.id", own_id);
	}
	if (!code)
		code = session_open(&r->session);
	if (!code)
		code = begin_transaction(r);
	if (!code) {
		progress_init(&r->progress, "produced");
		/* Nobody wants to be written over while typing. */
		r->progress.on = r->progress.on && !r->quiet && !reads_terminal(r);
		code = settle(r, produce_all(r));
	}
	session_close(&r->session);
	free(r);
	return code;
}
