/* log_dump_own: what `moldau log dump` prints of Moldau's own files in a log folder: run, manifest, journals. Calls storage's pure readers and stdio. */
#include <stdio.h>

#include "base/crc32c.h"
#include "base/reader.h"
#include "cli/log_dump.h"
#include "storage/checkpoint.h"
#include "storage/journal_format.h"

#define MANIFEST_MAGIC 0x4d4d4631u /* MMF1 */

bool log_dump_state(struct bytes file)
{
	uint64_t run;

	if (run_state_read(file, &run) != OK)
		return false;
	printf("run: %016llx\n", (unsigned long long)run);
	return true;
}

/* --- the manifest ------------------------------------------------------------------------------------------------ */

static bool print_log(struct bytes content)
{
	struct reader r = reader_of(content);
	int16_t size = reader_i16(&r);
	struct bytes topic = reader_bytes(&r, size > 0 ? (size_t)size : 0);
	int32_t partition = reader_i32(&r), segments;
	struct uuid id = {0};
	struct bytes id_bytes = reader_bytes(&r, sizeof(id.bytes));
	int64_t start = reader_i64(&r), end = reader_i64(&r);
	char text[UUID_TEXT_SIZE];

	reader_skip(&r, 8);
	segments = reader_i32(&r);
	if (r.error || size <= 0)
		return false;
	memcpy(id.bytes, id_bytes.data, sizeof(id.bytes));
	uuid_format(id, text);
	printf("topic: %.*s partition: %d topicId: %s start: %lld end: %lld segments: %d\n", BYTES_ARG(topic),
	       partition, text, (long long)start, (long long)end, segments);
	return true;
}

bool log_dump_manifest(struct bytes file)
{
	struct reader r = reader_of(file);
	size_t count = 0;

	if (file.size < 20 || crc32c(0, bytes_of(file.data, file.size - 4)) != get_be32(file.data + file.size - 4) ||
	    reader_u32(&r) != MANIFEST_MAGIC)
		return false;
	printf("marker: %lld\n", (long long)reader_i64(&r));
	for (;;) {
		uint32_t size = reader_u32(&r);
		struct bytes content = reader_bytes(&r, size);

		if (r.error)
			return false;
		if (size == 0)
			break;
		if (!print_log(content))
			return false;
		count++;
	}
	printf("%zu logs\n", count);
	return true;
}

/* --- journals ---------------------------------------------------------------------------------------------------- */

struct journal_printer {
	struct journal_visitor visitor;
	size_t count;
};

static const char *kind_name(enum journal_kind kind)
{
	switch (kind) {
	case JOURNAL_DATA:
		return "data";
	case JOURNAL_FORGET:
		return "forget";
	case JOURNAL_NOTE:
		return "note";
	case JOURNAL_END:
		return "end";
	}
	return "unknown";
}

static void print_journal(struct journal_visitor *v, const struct journal_record *r)
{
	container_of(v, struct journal_printer, visitor)->count++;
	printf("round: %llu run: %016llx generation: %llu live: %llu kind: %s", (unsigned long long)r->round,
	       (unsigned long long)r->run, (unsigned long long)r->generation, (unsigned long long)r->live,
	       kind_name(r->kind));
	if (r->kind != JOURNAL_END)
		printf(" topic: %.*s partition: %d segment: %lld position: %lld offset: %lld acknowledged: %lld "
		       "size: %zu",
		       BYTES_ARG(r->topic), r->partition, (long long)r->file_base, (long long)r->position,
		       (long long)r->base_offset, (long long)r->acknowledged, r->data.size);
	putchar('\n');
}

/* What is broken is what earlier rounds left, or a round that was not synced: whether anything is lost only log verify can tell. */
bool log_dump_journal(struct bytes file)
{
	struct journal_printer p = {.visitor.record = print_journal};

	journal_walk(file, &p.visitor);
	printf("%zu records\n", p.count);
	return true;
}
