/* offset_index: see offset_index.h. Pure; uses base only. */
#include "storage/offset_index.h"

#include "base/alloc.h"
#include "base/reader.h"

void offset_index_init(struct offset_index *x)
{
	*x = (struct offset_index){0};
}

void offset_index_fini(struct offset_index *x)
{
	mem_free(x->entries);
	offset_index_init(x);
}

static bool follows(const struct offset_index *x, struct offset_entry e)
{
	const struct offset_entry *last = x->count ? &x->entries[x->count - 1] : NULL;

	if (e.relative_offset < 0 || e.position < 0)
		return false;
	return !last || (e.relative_offset > last->relative_offset && e.position > last->position);
}

void offset_index_append(struct offset_index *x, struct offset_entry e)
{
	must(follows(x, e));
	x->entries = mem_grow(x->entries, &x->capacity, x->count + 1, sizeof(*x->entries));
	x->entries[x->count++] = e;
}

/* How many entries have an offset <= the wanted one. */
static size_t entries_up_to(const struct offset_index *x, int32_t relative_offset)
{
	size_t low = 0, high = x->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (x->entries[middle].relative_offset <= relative_offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int32_t offset_index_lookup(const struct offset_index *x, int32_t relative_offset)
{
	size_t n = entries_up_to(x, relative_offset);

	return n ? x->entries[n - 1].position : 0;
}

int32_t offset_index_lookup_end(const struct offset_index *x, int32_t relative_offset, int32_t none)
{
	size_t n = entries_up_to(x, relative_offset);

	return n < x->count ? x->entries[n].position : none;
}

int32_t offset_index_lookup_position(const struct offset_index *x, int32_t position, int32_t none)
{
	size_t low = 0, high = x->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (x->entries[middle].position < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low < x->count ? x->entries[low].relative_offset : none;
}

void offset_index_truncate(struct offset_index *x, int32_t position)
{
	while (x->count > 0 && x->entries[x->count - 1].position >= position)
		x->count--;
}

enum err offset_index_read(struct bytes file, int64_t segment_size, struct offset_index *x)
{
	struct reader r = reader_of(file);
	struct offset_index read;

	if (file.size % OFFSET_INDEX_ENTRY_SIZE)
		return ERR_CORRUPT;
	offset_index_init(&read);
	while (reader_left(&r) > 0) {
		struct offset_entry e;

		e.relative_offset = reader_i32(&r);
		e.position = reader_i32(&r);
		if (e.relative_offset == 0 && e.position == 0)
			break; /* what was preallocated and never used: no batch but the first is at 0, and that one has no entry */
		if (!follows(&read, e) || e.position >= segment_size) {
			offset_index_fini(&read);
			return ERR_CORRUPT;
		}
		offset_index_append(&read, e);
	}
	while (reader_left(&r) > 0) {
		if (reader_i64(&r) != 0) {
			offset_index_fini(&read);
			return ERR_CORRUPT;
		}
	}
	offset_index_fini(x);
	*x = read;
	return OK;
}

void offset_index_write(const struct offset_index *x, struct buf *out)
{
	for (size_t i = 0; i < x->count; i++) {
		buf_put_i32(out, x->entries[i].relative_offset);
		buf_put_i32(out, x->entries[i].position);
	}
}
