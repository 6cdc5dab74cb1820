/* aborted_index: see aborted_index.h. Pure; uses base only. */
#include "storage/aborted_index.h"

#include "base/alloc.h"
#include "base/reader.h"

#define ENTRY_VERSION 0

void aborted_index_fini(struct aborted_index *x)
{
	mem_free(x->entries);
	*x = (struct aborted_index){0};
}

void aborted_index_append(struct aborted_index *x, const struct aborted_txn *t)
{
	x->entries = mem_grow(x->entries, &x->capacity, x->count + 1, sizeof(*x->entries));
	x->entries[x->count++] = *t;
}

size_t aborted_index_count_below(const struct aborted_index *x, int64_t offset)
{
	size_t low = 0, high = x->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (x->entries[middle].last_offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void aborted_index_truncate(struct aborted_index *x, int64_t offset)
{
	x->count = aborted_index_count_below(x, offset);
}

bool aborted_index_collect(const struct aborted_index *x, int64_t from, int64_t to, struct aborted_index *out)
{
	for (size_t i = aborted_index_count_below(x, from); i < x->count; i++) {
		const struct aborted_txn *t = &x->entries[i];

		if (t->first_offset < to)
			aborted_index_append(out, t);
		if (t->last_stable_offset >= to)
			return true;
	}
	return false;
}

enum err aborted_index_read(struct bytes file, int64_t base_offset, struct aborted_index *x)
{
	struct reader r = reader_of(file);
	struct aborted_index read = {0};
	int64_t before = base_offset - 1;

	if (file.size % ABORTED_ENTRY_SIZE)
		return ERR_CORRUPT;
	while (reader_left(&r) > 0) {
		int16_t version = reader_i16(&r);
		struct aborted_txn t = {
			.producer_id = reader_i64(&r),
			.first_offset = reader_i64(&r),
			.last_offset = reader_i64(&r),
			.last_stable_offset = reader_i64(&r),
		};

		if (version != ENTRY_VERSION || t.producer_id < 0 || t.first_offset < 0 || t.last_offset <= before ||
		    t.first_offset > t.last_offset || t.last_stable_offset < 0 ||
		    t.last_stable_offset > t.last_offset + 1) {
			aborted_index_fini(&read);
			return ERR_CORRUPT;
		}
		before = t.last_offset;
		aborted_index_append(&read, &t);
	}
	aborted_index_fini(x);
	*x = read;
	return OK;
}

void aborted_index_write(const struct aborted_index *x, size_t from, struct buf *out)
{
	for (size_t i = from; i < x->count; i++) {
		buf_put_i16(out, ENTRY_VERSION);
		buf_put_i64(out, x->entries[i].producer_id);
		buf_put_i64(out, x->entries[i].first_offset);
		buf_put_i64(out, x->entries[i].last_offset);
		buf_put_i64(out, x->entries[i].last_stable_offset);
	}
}
