/* log_dump: `moldau log dump`: prints what a segment file holds, and what is wrong with it. Calls record/, stdio and mmap. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/log_dump.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "record/control.h"
#include "record/record.h"

#define DECOMPRESSED_MAX ((size_t)1024 * 1024 * 1024)

const char cli_log_dump_help[] =
	"usage: moldau log dump FILE... [OPTIONS]\n"
	"\n"
	"Prints what the files of a log folder hold, with the words of Kafka's own tool. By the file's name:\n"
	"\n"
	"  BASE.log                      batches: place, offsets, producer, codec, and whether the CRC is right\n"
	"  BASE.index  BASE.timeindex    entries: offset and position; timestamp and offset\n"
	"  OFFSET.snapshot               producers: epoch, last sequence and offset, open transaction\n"
	"  leader-epoch-checkpoint       epochs and where each began\n"
	"  *-offset-checkpoint           topic, partition, offset\n"
	"  moldau-checkpoint-*           bounds of logs: recovery point, start, what was acknowledged\n"
	"  partition.metadata  meta.properties  .kafka_cleanshutdown  moldau-state    ids\n"
	"  moldau-manifest               logs as the last clean stop left them\n"
	"  moldau-journal-*              records that are not known to be synced in segments: kind, topic, offset, "
	"size\n"
	"\n"
	"Of several files it skips folders and what it does not know, and says so.\n"
	"\n"
	"Exit code: 0, 1 anything is damaged or cannot be read, 2 wrong use. `moldau log verify` checks a whole "
	"folder, and files against each "
	"other.\n"
	"\n"
	"  --records, --deep     segments: the records too: offset, time, sizes; every one is decompressed and parsed\n"
	"  --print-data          with keys and values (implies --records)\n"
	"\n"
	"Examples\n"
	"  moldau log dump data/orders-0/00000000000000000000.log --print-data\n"
	"  moldau log dump data/orders-0/*\n"
	"  moldau log dump data/moldau-*\n";

struct dump {
	const struct cli_verb *verb;
	bool records;
	bool data;
	struct compressor *compressor;
	struct buf scratch;
	uint64_t batches;
	uint64_t record_count;
	int64_t next_offset; /* -1: not known yet */
	bool segments;       /* there was one */
	bool several;        /* files are named */
	bool damaged;
};

static void wrong(struct dump *d, const char *file, size_t position, const char *what)
{
	d->damaged = true;
	printf("  DAMAGED at position %zu of %s: %s\n", position, file, what);
}

static void print_bytes(const char *what, struct bytes b)
{
	printf(" %s: ", what);
	if (bytes_is_null(b)) {
		fputs("null", stdout);
		return;
	}
	for (size_t i = 0; i < b.size; i++) {
		if (b.data[i] >= 0x20 && b.data[i] != 0x7f && b.data[i] != '\\')
			putchar(b.data[i]);
		else
			printf("\\x%02x", b.data[i]);
	}
}

static const char *control_name(struct bytes key)
{
	enum control_type type = CONTROL_UNKNOWN;

	if (control_type_read(key, &type) != OK)
		return "damaged";
	switch (type) {
	case CONTROL_ABORT:
		return "ABORT";
	case CONTROL_COMMIT:
		return "COMMIT";
	case CONTROL_LEADER_CHANGE:
		return "LEADER_CHANGE";
	case CONTROL_SNAPSHOT_HEADER:
	case CONTROL_SNAPSHOT_FOOTER:
	case CONTROL_KRAFT_VERSION:
	case CONTROL_KRAFT_VOTERS:
	case CONTROL_UNKNOWN:
		break;
	}
	return "other";
}

static void print_record(const struct dump *d, const struct batch_header *h, const struct record *r)
{
	printf("  | offset: %lld %s: %lld keySize: %lld valueSize: %lld", (long long)r->offset,
	       batch_is_log_append_time(h) ? "LogAppendTime" : "CreateTime", (long long)r->timestamp,
	       bytes_is_null(r->key) ? -1 : (long long)r->key.size,
	       bytes_is_null(r->value) ? -1 : (long long)r->value.size);
	if (r->sequence >= 0)
		printf(" sequence: %d", r->sequence);
	if (batch_is_control(h))
		printf(" control: %s", control_name(r->key));
	if (r->header_count > 0) {
		struct header_iter it = header_iter_of(r);
		struct record_header header;

		fputs(" headers:", stdout);
		while (header_iter_next(&it, &header))
			printf(" %.*s", BYTES_ARG(header.key));
	}
	if (d->data && !batch_is_control(h)) {
		print_bytes("key", r->key);
		print_bytes("value", r->value);
	}
	putchar('\n');
}

static void dump_records(struct dump *d, const char *file, size_t position, const struct batch_header *h,
			 struct bytes batch)
{
	struct record_iter it;
	struct record r;
	enum err e = record_iter_init(&it, batch, &d->scratch, DECOMPRESSED_MAX, d->compressor);

	while (!e && !(e = record_iter_next(&it, &r))) {
		d->record_count++;
		if (d->records)
			print_record(d, h, &r);
	}
	if (e != ERR_END)
		wrong(d, file, position,
		      e == ERR_TOO_BIG ? "records of more than 1 GiB" : "records that cannot be read");
}

static void dump_batch(struct dump *d, const char *file, size_t position, const struct batch_header *h,
		       struct bytes batch)
{
	bool crc_ok = batch_crc_ok(batch);

	d->batches++;
	printf("baseOffset: %lld lastOffset: %lld count: %d baseSequence: %d lastSequence: %d producerId: %lld "
	       "producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %s isControl: %s position: %zu %s: %lld "
	       "size: %zu "
	       "magic: %d compresscodec: %s crc: %u isvalid: %s\n",
	       (long long)h->base_offset, (long long)batch_last_offset(h), h->record_count, h->base_sequence,
	       batch_last_sequence(h), (long long)h->producer_id, h->producer_epoch, h->leader_epoch,
	       batch_is_transactional(h) ? "true" : "false", batch_is_control(h) ? "true" : "false", position,
	       batch_is_log_append_time(h) ? "LogAppendTime" : "CreateTime", (long long)h->max_timestamp, batch.size,
	       h->magic, batch_codec(h) < CODEC_COUNT ? codec_name((enum codec)batch_codec(h)) : "unknown", h->crc,
	       crc_ok ? "true" : "false");
	if (!crc_ok)
		wrong(d, file, position, "the CRC does not match");
	if (d->next_offset >= 0 && h->base_offset < d->next_offset)
		wrong(d, file, position, "offsets go back");
	d->next_offset = batch_last_offset(h) + 1;
	if (d->records)
		dump_records(d, file, position, h, batch);
	else
		d->record_count += (uint64_t)(h->record_count > 0 ? h->record_count : 0);
}

static void dump_bytes(struct dump *d, const char *file, struct bytes whole)
{
	struct bytes rest = whole, batch;
	struct batch_header h;
	enum err e;
	char what[120];

	while (!(e = batch_next(&rest, &h, &batch)))
		dump_batch(d, file, (size_t)(batch.data - whole.data), &h, batch);
	if (rest.size == 0)
		return;
	if (e == ERR_CORRUPT && rest.size > 16 && rest.data[16] < BATCH_MAGIC)
		snprintf(what, sizeof(what), "messages of magic %d: written by Kafka before 0.11", rest.data[16]);
	else if (e == ERR_CORRUPT)
		snprintf(what, sizeof(what), "%zu bytes that are no record batch", rest.size);
	else
		snprintf(what, sizeof(what), "the last batch is cut off: %zu bytes of it are there", rest.size);
	wrong(d, file, whole.size - rest.size, what);
}

/* A folder's files by a pattern: what is none of ours is no mistake there. */
static int skip(const char *name, const char *why)
{
	printf("Skipping %s: it is %s\n", name, why);
	return CLI_DONE;
}

static void dump_content(struct dump *d, const char *name, struct bytes whole)
{
	printf("Dumping %s\n", name);
	if (log_dump_kind(name) <= SMALL_UNKNOWN) {
		d->next_offset = -1;
		d->segments = true;
		dump_bytes(d, name, whole);
	} else if (!log_dump_small(name, whole)) {
		wrong(d, name, 0, "it does not parse, or its checksum does not match");
	}
}

static int dump_file(struct dump *d, const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat info;
	void *map;

	if (fd < 0 || fstat(fd, &info) != 0) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return cli_failed(d->verb, "cannot open %s: %s", name, strerror(error));
	}
	if (d->several && (S_ISDIR(info.st_mode) || log_dump_kind(name) == SMALL_UNKNOWN)) {
		close(fd);
		return skip(name, S_ISDIR(info.st_mode) ? "a folder" : "not a segment, by its name");
	}
	if (!S_ISREG(info.st_mode)) {
		close(fd);
		return cli_failed(
			d->verb, "%s is no file; a segment is wanted, such as orders-0/00000000000000000000.log", name);
	}
	if (info.st_size == 0) {
		dump_content(d, name, bytes_empty());
		close(fd);
		return CLI_DONE;
	}
	map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return cli_failed(d->verb, "cannot read %s: %s", name, strerror(errno));
	dump_content(d, name, bytes_of(map, (size_t)info.st_size));
	munmap(map, (size_t)info.st_size);
	return CLI_DONE;
}

int cli_log_dump(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = cli_options(verb, argc, argv);
	struct dump d = {.verb = verb};
	int code = CLI_DONE, files = 0;

	/* Options hold wherever they stand. */
	while (cli_next(&o)) {
		if (cli_is(&o, "--records") || cli_is(&o, "--deep") || cli_is(&o, "--deep-iteration"))
			d.records = true;
		else if (cli_is(&o, "--print-data") || cli_is(&o, "--print-data-log"))
			d.records = d.data = true;
		else if (!cli_is(&o, NULL))
			return cli_unknown(&o);
		else
			files++;
	}
	if (files == 0)
		return cli_usage(verb, "which file?");
	d.several = files > 1;
	d.compressor = compressor_new();
	buf_init(&d.scratch, DECOMPRESSED_MAX);
	o = cli_options(verb, argc, argv);
	while (!code && cli_next(&o))
		if (cli_is(&o, NULL))
			code = dump_file(&d, o.name);
	if (d.segments)
		printf("%llu batches, %llu records%s\n", (unsigned long long)d.batches,
		       (unsigned long long)d.record_count, d.damaged ? ", DAMAGED" : "");
	buf_fini(&d.scratch);
	compressor_free(d.compressor);
	return code ? code : d.damaged ? CLI_FAILED : CLI_DONE;
}
