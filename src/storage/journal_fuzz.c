/* journal_fuzz: a journal file, and a manifest, with any bytes in them. CRCs are made right at every place where a record may start. */
#include "base/alloc.h"
#include "base/crc32c.h"
#include "storage/state.h"

static void see(struct journal_visitor *v, const struct journal_record *r)
{
	(void)v;
	must(r->partition >= 0 && r->file_base >= 0 && r->position >= 0 && r->topic.size <= TOPIC_NAME_MAX);
	must(crc32c(0, r->data) != 1 || r->data.size > 0); /* touches every byte */
}

static void mend(uint8_t *at, size_t left)
{
	uint32_t size;

	if (left < JOURNAL_HEAD_SIZE)
		return;
	size = get_be32(at + 8);
	if (size >= JOURNAL_HEAD_SIZE && size <= left)
		put_be32(at + 4, crc32c(0, bytes_of(at + 8, size - 8)));
}

static void read_manifest(uint8_t *data, size_t size)
{
	struct map entries;
	const struct map_entry *at;
	size_t place = 0;

	if (size < 20)
		return;
	put_be32(data + size - 4, crc32c(0, bytes_of(data, size - 4)));
	map_init(&entries);
	(void)!manifest_read(bytes_of(data, size), (int64_t)get_be64(data + 4), &entries);
	while ((at = map_next(&entries, &place)) != NULL)
		mem_free(at->value);
	map_fini(&entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_visitor v = {.record = see};
	uint8_t *copy = mem_dup(data, size);

	journal_walk(bytes_of(copy, size), &v);
	for (size_t at = 0; at < size; at += JOURNAL_BLOCK)
		mend(copy + at, size - at);
	journal_walk(bytes_of(copy, size), &v);
	read_manifest(copy, size);
	mem_free(copy);
	return 0;
}
