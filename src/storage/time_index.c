/* time_index: see time_index.h. Pure; uses base only. */
#include "storage/time_index.h"

#include "base/alloc.h"
#include "base/reader.h"

void time_index_init(struct time_index *x)
{
	*x = (struct time_index){0};
}

void time_index_fini(struct time_index *x)
{
	mem_free(x->entries);
	time_index_init(x);
}

void time_index_maybe_append(struct time_index *x, struct time_entry e)
{
	const struct time_entry *last = x->count ? &x->entries[x->count - 1] : NULL;

	if (last && (e.timestamp <= last->timestamp || e.relative_offset < last->relative_offset))
		return;
	if (e.timestamp < 0)
		return;
	x->entries = mem_grow(x->entries, &x->capacity, x->count + 1, sizeof(*x->entries));
	x->entries[x->count++] = e;
}

struct time_entry time_index_lookup(const struct time_index *x, int64_t timestamp)
{
	size_t low = 0, high = x->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (x->entries[middle].timestamp <= timestamp)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? x->entries[low - 1] : (struct time_entry){.timestamp = -1};
}

void time_index_truncate(struct time_index *x, int32_t relative_offset)
{
	while (x->count > 0 && x->entries[x->count - 1].relative_offset >= relative_offset)
		x->count--;
}

enum err time_index_read(struct bytes file, struct time_index *x)
{
	struct reader r = reader_of(file);
	struct time_index read;

	if (file.size % TIME_INDEX_ENTRY_SIZE)
		return ERR_CORRUPT;
	time_index_init(&read);
	while (reader_left(&r) > 0) {
		struct time_entry e;
		size_t before = read.count;

		e.timestamp = reader_i64(&r);
		e.relative_offset = reader_i32(&r);
		if (e.timestamp == 0 && e.relative_offset == 0 && read.count > 0)
			break; /* what was preallocated and never used */
		if (e.relative_offset >= 0)
			time_index_maybe_append(&read, e);
		if (read.count == before) {
			time_index_fini(&read);
			return ERR_CORRUPT;
		}
	}
	time_index_fini(x);
	*x = read;
	return OK;
}

void time_index_write(const struct time_index *x, struct buf *out)
{
	for (size_t i = 0; i < x->count; i++) {
		buf_put_i64(out, x->entries[i].timestamp);
		buf_put_i32(out, x->entries[i].relative_offset);
	}
}
