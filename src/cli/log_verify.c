/* log_verify: `moldau log verify`: prints what storage/verify finds. Runs a shard of its own for that; calls stdio and the terminal. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/session.h"
#include "cli/verbs.h"
#include "runtime/linux/linux.h"
#include "storage/verify.h"

const char cli_log_verify_help[] =
	"usage: moldau log verify FOLDER... [OPTIONS]\n"
	"\n"
	"Looks at everything in a log folder (one of log.dirs) or in one partition's folder, and changes nothing: the "
	"CRC of every batch,\n"
	"offsets and leader epochs, which no CRC covers, by their neighbours; every index entry; producer snapshots; "
	"checkpoints; what the\n"
	"last clean stop left. Each finding has the file, the place in it and the offset. The broker must not be "
	"running on the folder;\n"
	"the broker's own store (.moldau-metadata) is not looked at: the broker checks it whole when it starts.\n"
	"\n"
	"Exit code: 0 nothing is damaged (notes are no damage), 1 something is, or a folder cannot be read, 2 wrong "
	"use.\n"
	"\n"
	"  --deep               decompresses every batch and parses every record as well\n"
	"  --format text|json   json: an object a line for each finding, then one with the counts\n"
	"  -q, --quiet          only damage, no notes and no counts\n"
	"\n"
	"Examples\n"
	"  moldau log verify ./data\n"
	"  moldau log verify ./data/orders-0 --deep\n";

struct verify_run {
	const struct cli_verb *verb;
	struct verify_options options;
	struct verify_counts counts;
	struct progress progress;
	bool json;
	bool quiet;
	enum err error;
};

static void clear_progress(const struct verify_run *r)
{
	if (r->progress.shown)
		fputs("\r\033[K", stderr);
}

static void print_json(const struct verify_run *r, const struct verify_finding *f)
{
	json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "grade", f->grade == VERIFY_DAMAGE ? "damage" : "note",
				"folder", r->options.path, "file", f->path, "text", f->text);

	if (f->position >= 0)
		json_object_set_new(row, "position", json_integer(f->position));
	if (f->offset >= 0)
		json_object_set_new(row, "offset", json_integer(f->offset));
	json_dumpf(row, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(row);
}

static void on_found(void *user, const struct verify_finding *f)
{
	struct verify_run *r = user;

	if (f->grade == VERIFY_NOTE && r->quiet)
		return;
	clear_progress(r);
	if (r->json) {
		print_json(r, f);
		return;
	}
	printf("%s %s/%s", f->grade == VERIFY_DAMAGE ? "DAMAGED" : "note   ", r->options.path, f->path);
	if (f->position >= 0)
		printf(" at position %lld", (long long)f->position);
	if (f->offset >= 0)
		printf(" (offset %lld)", (long long)f->offset);
	printf(": %s\n", f->text);
}

static void on_progress(void *user, const struct verify_counts *c)
{
	struct verify_run *r = user;

	progress_show(&r->progress, c->records, c->bytes);
}

static void run_main(struct fiber *self, void *argument)
{
	struct verify_run *r = argument;

	r->error = verify_await(self, &r->options, &r->counts);
	runtime_stop(shard_runtime(fiber_shard(self)), 0);
}

static void on_start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "verify", .stack_size = 256 * 1024};

	must(fiber_start(s, &options, run_main, argument));
}

static void print_counts(const struct verify_run *r)
{
	const struct verify_counts *c = &r->counts;
	char size[32];

	if (r->json) {
		json_t *row = json_pack(
			"{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "folder", r->options.path, "logs",
			(json_int_t)c->logs, "segments", (json_int_t)c->segments, "batches", (json_int_t)c->batches,
			"records", (json_int_t)c->records, "bytes", (json_int_t)c->bytes, "indexes",
			(json_int_t)c->indexes, "snapshots", (json_int_t)c->snapshots, "files",
			(json_int_t)c->small_files, "damages", (json_int_t)c->damages, "notes", (json_int_t)c->notes);

		json_dumpf(row, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(row);
		return;
	}
	printf("%s: %llu logs, %llu segments of %s, %llu batches, %llu records, %llu indexes, %llu snapshots, %llu "
	       "other files: ",
	       r->options.path, (unsigned long long)c->logs, (unsigned long long)c->segments,
	       cli_size(c->bytes, size, sizeof(size)), (unsigned long long)c->batches, (unsigned long long)c->records,
	       (unsigned long long)c->indexes, (unsigned long long)c->snapshots, (unsigned long long)c->small_files);
	if (c->damages)
		printf("%llu DAMAGED", (unsigned long long)c->damages);
	else
		printf("nothing is damaged");
	if (c->notes)
		printf(", %llu note%s", (unsigned long long)c->notes, c->notes == 1 ? "" : "s");
	putchar('\n');
}

static bool is_file(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

static int verify_folder(struct verify_run *r)
{
	struct linux_options platform = {.shards = 1, .io = IO_EPOLL, .file_threads = 1};

	if (is_file(r->options.path))
		return cli_failed(r->verb,
				  "%s is a file: name the folder that it is in; moldau log dump prints one file",
				  r->options.path);
	progress_init(&r->progress, "checked");
	r->progress.on = r->progress.on && !r->quiet;
	r->error = ERR_IO;
	r->counts = (struct verify_counts){0};
	if (linux_run(&platform, on_start, r))
		return cli_failed(r->verb, "cannot start a thread");
	clear_progress(r);
	switch ((int)r->error) {
	case OK:
		break;
	case ERR_BUSY:
		return cli_failed(r->verb, "%s: a broker runs on this folder; stop it first", r->options.path);
	case ERR_USAGE:
		return cli_failed(r->verb, "%s: neither a log folder (there is no meta.properties) nor a partition's",
				  r->options.path);
	default:
		return cli_failed(r->verb, "%s: %s", r->options.path, err_text(r->error));
	}
	if (!r->quiet)
		print_counts(r);
	return r->counts.damages ? CLI_FAILED : CLI_DONE;
}

static bool take_option(struct verify_run *r, struct cli_options *o)
{
	if (cli_is(o, "--deep"))
		return r->options.deep = true;
	if (cli_is(o, "-q") || cli_is(o, "--quiet"))
		return r->quiet = true;
	if (cli_is(o, "--format"))
		return cli_take_format(o, &r->json);
	cli_unknown(o);
	return false;
}

int cli_log_verify(const struct cli_verb *verb, int argc, char **argv)
{
	struct verify_run r = {.verb = verb};
	struct cli_options o = cli_options(verb, argc, argv);
	int code = CLI_DONE, folders = 0;

	r.options.found = on_found;
	r.options.progress = on_progress;
	r.options.user = &r;
	/* Options hold wherever they stand. */
	while (cli_next(&o)) {
		if (cli_is(&o, NULL))
			folders++;
		else if (!take_option(&r, &o))
			return CLI_USAGE;
	}
	if (o.failed)
		return CLI_USAGE;
	if (folders == 0)
		return cli_usage(verb, "which folder? one of log.dirs, such as ./data");
	o = cli_options(verb, argc, argv);
	while (cli_next(&o)) {
		if (cli_is(&o, "--format"))
			(void)cli_value(&o);
		if (!cli_is(&o, NULL))
			continue;
		r.options.path = o.name;
		if (verify_folder(&r))
			code = CLI_FAILED;
	}
	return code;
}
