/* segment_fuzz: a segment's bytes as recovery scans them, and its index files, with anything in them. */
#include "storage/state.h"

struct scan {
	struct batch_walker walker;
	struct segment segment;
	int64_t expected;
};

/* As recover.c takes batches. */
static bool take(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct scan *s = container_of(w, struct scan, walker);

	must(position == s->segment.size && whole.size == batch_size(h));
	if (h->base_offset < s->expected || batch_last_offset(h) > INT32_MAX)
		return false;
	segment_add(&s->segment, h, 100);
	s->expected = batch_last_offset(h) + 1;
	return true;
}

static void scan(struct bytes in, bool check_crc)
{
	struct scan s = {.walker = {.batch = take, .check_crc = check_crc}};

	s.segment.max_timestamp = NO_TIMESTAMP;
	(void)!segment_walk_bytes(in, &s.walker);
	must(s.walker.position == s.segment.size && (size_t)s.segment.size <= in.size);
	must(offset_index_lookup(&s.segment.offsets, INT32_MAX) <= s.segment.size);
	segment_finish_times(&s.segment);
	segment_truncate(&s.segment, s.segment.size / 2, s.expected / 2);
	segment_drop_index(&s.segment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_of(data, size);
	struct offset_index offsets = {0};
	struct time_index times = {0};
	struct aborted_index aborted = {0}, collected = {0};

	scan(in, true);
	scan(in, false);
	(void)!offset_index_read(in, 1000000, &offsets);
	(void)!time_index_read(in, &times);
	if (aborted_index_read(in, 0, &aborted) == OK) {
		struct buf out;

		(void)aborted_index_collect(&aborted, 10, 20, &collected);
		must(collected.count <= aborted.count);
		buf_init(&out, size + 1);
		aborted_index_write(&aborted, 0, &out);
		must(out.size == size && (size == 0 || memcmp(out.data, data, size) == 0));
		buf_fini(&out);
	}
	aborted_index_fini(&aborted);
	aborted_index_fini(&collected);
	(void)offset_index_lookup(&offsets, 17);
	(void)time_index_lookup(&times, 17);
	offset_index_fini(&offsets);
	time_index_fini(&times);
	return 0;
}
