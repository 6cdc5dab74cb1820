/*
 * broker: `moldau broker`: settings from a file and the command line, then the broker on Linux until SIGTERM.
 * May call: config/, runtime/linux, broker/; stdio and the machine's size (sysconf).
 */
#include "broker/broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "cli/session.h"
#include "config/config.h"
#include "config/table.h"
#include "runtime/linux/linux.h"

#define CONFIG_FILE_MAX ((size_t)1024 * 1024)
#define MEMORY_MOST ((uint64_t)512 * 1024 * 1024)
#define MEMORY_LEAST ((uint64_t)64 * 1024 * 1024)
#define MEMORY_FLOOR (16 * 1024 * 1024)

const char cli_broker_help[] =
	"usage: moldau broker [FILE] [--set NAME=VALUE]... [OPTIONS]\n"
	"\n"
	"Runs a broker until SIGTERM or Ctrl-C. FILE is a server.properties with Kafka's names; what is not in it has\n"
	"Kafka's default.\n"
	"\n"
	"  --config FILE        the same as FILE\n"
	"  --set NAME=VALUE     one setting, stronger than the file's\n"
	"  --data DIR           where the data is: log.dirs\n"
	"  --listen HOST:PORT   where clients connect: listeners=PLAINTEXT://HOST:PORT\n"
	"  --io auto|uring|epoll\n"
	"  --shards N           threads; 0 (the default) is one a core\n"
	"\n"
	"  moldau broker --data ./data --listen 127.0.0.1:9092\n";

struct broker_run {
	const struct cli_verb *verb;
	struct config *config;
	struct logger logger;
	struct linux_options platform;
	struct broker *broker;
	bool stop_asked;
};

/* --- log lines ------------------------------------------------------------------------------------------------------- */

static void write_line(struct logger *l, enum log_level level, const char *line)
{
	struct timespec now;
	struct tm parts;
	char text[1200];
	int size;

	(void)l;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	size = snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d.%03ldZ %-5s %s\n", parts.tm_year + 1900,
			parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
			now.tv_nsec / 1000000, log_level_name(level), line);
	if (size >= (int)sizeof(text))
		size = (int)sizeof(text) - 1;
	/* One call a line: shards log at the same time. */
	fwrite(text, 1, (size_t)size, stderr);
}

/* --- settings -------------------------------------------------------------------------------------------------------- */

static int load_file(struct broker_run *run, const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text;
	size_t size;
	enum err e;

	if (!f)
		return cli_failed(run->verb, "cannot read %s: %s", path, strerror(errno));
	text = mem_alloc(CONFIG_FILE_MAX + 1);
	size = fread(text, 1, CONFIG_FILE_MAX + 1, f);
	e = ferror(f) ? ERR_IO : size > CONFIG_FILE_MAX ? ERR_TOO_BIG : OK;
	fclose(f);
	if (e) {
		cli_failed(run->verb, "cannot read %s: %s", path, err_text(e));
	} else {
		e = config_load_properties(run->config, bytes_of(text, size), path, &run->logger);
		if (e)
			cli_failed(run->verb, "%s has a setting that cannot be; the line above says which", path);
	}
	mem_free(text);
	return e ? CLI_FAILED : CLI_DONE;
}

/* The broker's setting that stands in for a topic's; NULL: it is no topic's. */
static const char *broker_name_of(struct bytes name)
{
	enum topic_config_id id;

	if (!topic_config_find(name, &id) || topic_config_synonyms[id][0].factor == 0)
		return NULL;
	return config_definition(topic_config_synonyms[id][0].id)->name;
}

/* Who knows a topic's name of a setting wants the broker's default of it. */
static void warn_unknown(struct broker_run *run, struct bytes name)
{
	const char *broker_name = broker_name_of(name);

	if (broker_name)
		log_warn(&run->logger, "%.*s is a topic's setting: ignored; its default for all topics is %s",
			 BYTES_ARG(name), broker_name);
	else
		log_warn(&run->logger, "unknown setting %.*s: ignored", BYTES_ARG(name));
}

static int set_value(struct broker_run *run, struct bytes name, struct bytes value)
{
	struct buf message;
	int code = CLI_DONE;
	enum err e;

	buf_init(&message, 1000);
	e = config_set(run->config, name, value, &message);
	if (e == ERR_NOT_FOUND)
		warn_unknown(run, name);
	else if (e)
		code = cli_failed(run->verb, "%.*s", BYTES_ARG(buf_bytes(&message)));
	buf_fini(&message);
	return code;
}

static int set_pair(struct broker_run *run, const char *pair)
{
	const char *equals = strchr(pair, '=');

	if (!equals)
		return cli_usage(run->verb, "--set wants NAME=VALUE, not %s", pair);
	return set_value(run, bytes_of(pair, (size_t)(equals - pair)), bytes_str(equals + 1));
}

static int set_named(struct broker_run *run, const char *name, const char *prefix, const char *value)
{
	struct buf whole;
	int code;

	buf_init(&whole, 8192);
	buf_put_str(&whole, prefix);
	buf_put_str(&whole, value);
	code = whole.error ? cli_usage(run->verb, "%s is too long", name)
			   : set_value(run, bytes_str(name), buf_bytes(&whole));
	buf_fini(&whole);
	return code;
}

/* Which setting an option stands for. */
struct option_setting {
	const char *option;
	const char *setting;
	const char *prefix;
};

static const struct option_setting *find_option(const struct cli_options *o)
{
	static const struct option_setting known[] = {
		{"--data", "log.dirs", ""},
		{"--listen", "listeners", "PLAINTEXT://"},
		{"--io", "io", ""},
		{"--shards", "shards", ""},
	};

	for (size_t i = 0; i < countof(known); i++)
		if (cli_is(o, known[i].option))
			return &known[i];
	return NULL;
}

static int set_option(struct broker_run *run, struct cli_options *o)
{
	const struct option_setting *s = find_option(o);
	const char *value = s ? cli_value(o) : NULL;
	const char *colon;
	int64_t port;

	if (!s)
		return cli_unknown(o);
	if (!value)
		return CLI_USAGE;
	colon = strrchr(value, ':');
	if (strcmp(s->setting, "listeners") == 0 && (!colon || !cli_number(colon + 1, 0, 65535, &port)))
		return cli_usage(run->verb, "--listen wants HOST:PORT with a port from 0 to 65535, not %s", value);
	return set_named(run, s->setting, s->prefix, value);
}

/* The file first, whatever its place, so that the command line is stronger. */
static int read_file_argument(struct broker_run *run, int argc, char **argv)
{
	struct cli_options o = cli_options(run->verb, argc, argv);
	const char *path = NULL;

	while (cli_next(&o)) {
		const char *given = NULL;

		if (cli_is(&o, NULL))
			given = o.name;
		else if (cli_is(&o, "--config"))
			given = cli_value(&o);
		else if (cli_is(&o, "--set") || find_option(&o))
			(void)cli_value(&o);
		else if (!cli_is(&o, "--lossy-disk") && !cli_is(&o, "--no-sync"))
			return cli_unknown(&o);
		if (given && path)
			return cli_usage(run->verb, "one file only, not %s and %s", path, given);
		if (given)
			path = given;
	}
	if (o.failed)
		return CLI_USAGE;
	return path ? load_file(run, path) : CLI_DONE;
}

static int read_options(struct broker_run *run, struct broker_options *options, int argc, char **argv)
{
	struct cli_options o = cli_options(run->verb, argc, argv);
	int code = read_file_argument(run, argc, argv);

	while (!code && cli_next(&o)) {
		if (cli_is(&o, NULL))
			continue;
		if (cli_is(&o, "--config")) {
			(void)cli_value(&o);
		} else if (cli_is(&o, "--lossy-disk")) {
			run->platform.lossy_file = true;
		} else if (cli_is(&o, "--no-sync")) {
			options->sync_disabled = true;
		} else if (cli_is(&o, "--set")) {
			const char *pair = cli_value(&o);

			code = pair ? set_pair(run, pair) : CLI_USAGE;
		} else {
			code = set_option(run, &o);
		}
	}
	return code;
}

/* A quarter of the machine's memory, within bounds that fit a small machine and do not surprise on a large one. */
static size_t default_memory(void)
{
	uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t quarter = all / 4;

	if (quarter > MEMORY_MOST)
		quarter = MEMORY_MOST;
	return quarter < MEMORY_LEAST ? MEMORY_LEAST : (size_t)quarter;
}

static int take_settings(struct broker_run *run, struct broker_options *options)
{
	int64_t limit = config_int64(run->config, CONFIG_MEMORY_LIMIT_BYTES);
	const char *io = config_string(run->config, CONFIG_IO);

	run->platform.io = strcmp(io, "uring") == 0 ? IO_URING : strcmp(io, "epoll") == 0 ? IO_EPOLL : IO_AUTO;
	run->platform.shards = (unsigned)config_int32(run->config, CONFIG_SHARDS);
	run->platform.logger = &run->logger;
	if (limit < 0)
		options->memory_limit_bytes = default_memory();
	else if (limit < MEMORY_FLOOR)
		return cli_failed(
			run->verb,
			"memory.limit.bytes=%lld: at least %d, so that requests, what is read for fetches and answers "
			"have room; -1 chooses by the machine's memory",
			(long long)limit, MEMORY_FLOOR);
	return CLI_DONE;
}

/* --- the run --------------------------------------------------------------------------------------------------------- */

static void print_listeners(struct broker *b)
{
	size_t count;
	const struct broker_listener *listeners = broker_listeners(b, &count);

	for (size_t i = 0; i < count; i++) {
		const struct broker_listener *l = &listeners[i];

		bool v6 = strchr(l->bound.host, ':') != NULL;

		printf("  listening   %s%s%s:%u (%s)\n", v6 ? "[" : "", l->bound.host, v6 ? "]" : "", l->bound.port,
		       l->name);
		if (l->advertised_host)
			printf("              clients are told %s:%u\n", l->advertised_host, l->advertised_port);
		else
			printf("              clients are told the address that they came to; behind NAT or port "
			       "mapping set "
			       "advertised.listeners\n");
	}
}

static void print_next(struct broker *b)
{
	size_t count;
	const struct broker_listener *l = broker_listeners(b, &count);
	bool everywhere = strcmp(l->bound.host, "0.0.0.0") == 0 || strcmp(l->bound.host, "::") == 0;
	const char *program = program_invocation_name;
	const char *quote = strchr(program, ' ') ? "'" : "";
	char bootstrap[100] = "";

	if (l->bound.port != 9092 || (!everywhere && strcmp(l->bound.host, "127.0.0.1") != 0)) {
		const char *host = everywhere ? "127.0.0.1" : l->bound.host;

		snprintf(bootstrap, sizeof(bootstrap), strchr(host, ':') ? " -b [%s]:%u" : " -b %s:%u", host,
			 l->bound.port);
	}
	/* What was typed to start this is what works again. */
	printf("next:\n"
	       "  %s%s%s topic create hello%s\n"
	       "  echo world | %s%s%s produce hello%s\n"
	       "  %s%s%s consume hello -o beginning -e%s\n",
	       quote, program, quote, bootstrap, quote, program, quote, bootstrap, quote, program, quote, bootstrap);
}

static void on_started(struct broker *b, void *context)
{
	struct broker_run *run = context;
	struct config_list folders = config_log_folders(run->config);
	struct runtime *rt = shard_runtime(broker_shard_zero(b));
	const struct address *metrics = broker_metrics_address(b);
	bool is_ipv6 = metrics && strchr(metrics->host, ':');
	char size[32];

	printf("moldau %s, broker %d of cluster %s\n", MOLDAU_VERSION, broker_node_id(b), broker_cluster_id(b));
	print_listeners(b);
	if (metrics)
		printf("  metrics     http://%s%s%s:%u/metrics and /healthz\n", is_ipv6 ? "[" : "", metrics->host,
		       is_ipv6 ? "]" : "", metrics->port);
	for (size_t i = 0; i < folders.count; i++)
		printf("  data        %s\n", folders.items[i]);
	if (config_bool(run->config, CONFIG_WRITE_CACHING))
		printf("  durability  write.caching=true: a power failure may lose acknowledged records\n");
	else
		printf("  durability  a record is synced to disk before it is acknowledged with acks=all or read; with "
		       "acks=1 it is acknowledged once written, and synced right after\n");
	printf("  memory      %s (memory.limit.bytes)\n", cli_size(broker_memory_limit(b), size, sizeof(size)));
	printf("  shards      %u, over %s\n", runtime_shard_count(rt), linux_io_name(rt));
	print_next(b);
	fflush(stdout);
}

static void on_signal(struct shard *s, int signal_number, void *argument)
{
	struct broker_run *run = argument;

	(void)signal_number;
	if (!run->stop_asked)
		log_info(shard_log(s), "stopping");
	run->stop_asked = true;
	broker_stop(run->broker);
}

struct start {
	struct broker_run *run;
	const struct broker_options *options;
};

static void on_start(struct shard *shard_zero, void *argument)
{
	struct start *start = argument;

	start->run->broker = broker_start(shard_zero, start->options);
	linux_on_signal(shard_zero, on_signal, start->run);
}

int cli_broker(const struct cli_verb *verb, int argc, char **argv)
{
	struct broker_run run = {
		.verb = verb, .config = config_new(), .logger = {.least = LOG_INFO, .write = write_line}};
	struct broker_options options = {.config = run.config, .started = on_started, .context = &run};
	struct start start = {&run, &options};
	int code = read_options(&run, &options, argc, argv);

	if (!code)
		code = take_settings(&run, &options);
	if (!code) {
		code = linux_run(&run.platform, on_start, &start);
		broker_free(run.broker);
	}
	config_free(run.config);
	return code;
}
