/* segment: see segment.h. No I/O here. */
#include "storage/segment.h"

#include "base/alloc.h"
#include "base/mutant.h"

struct segment *segment_new(int64_t base_offset, int64_t now_ms)
{
	struct segment *s = mem_new(struct segment);

	s->base_offset = base_offset;
	s->created_ms = now_ms;
	s->jitter_ms = -1;
	s->max_timestamp = NO_TIMESTAMP;
	s->max_timestamp_offset = base_offset;
	s->first_timestamp = NO_TIMESTAMP;
	s->times_known = true;
	s->index_loaded = true;
	s->aborted_loaded = true;
	return s;
}

void segment_drop_index(struct segment *s)
{
	offset_index_fini(&s->offsets);
	time_index_fini(&s->times);
	s->index_loaded = false;
}

void segment_free(struct segment *s, struct file_cache *c)
{
	if (!s)
		return;
	file_cache_drop(c, &s->file);
	segment_drop_index(s);
	aborted_index_fini(&s->aborted);
	damage_fini(&s->damages);
	if (s->snapshot) {
		buf_fini(s->snapshot);
		mem_free(s->snapshot);
	}
	mem_free(s);
}

void segment_add(struct segment *s, const struct batch_header *h, int64_t index_interval_bytes)
{
	int64_t last_offset = batch_last_offset(h);
	int32_t relative = (int32_t)(last_offset - s->base_offset);

	if (s->size == 0)
		s->first_timestamp = h->max_timestamp;
	if (h->max_timestamp > s->max_timestamp) {
		s->max_timestamp = h->max_timestamp;
		s->max_timestamp_offset = last_offset;
	}
	if (s->index_bytes > index_interval_bytes) {
		int64_t position = MUTANT(STALE_INDEX_ENTRY) ? s->size + (int64_t)batch_size(h) : s->size;

		offset_index_append(&s->offsets, (struct offset_entry){relative, (int32_t)position});
		time_index_maybe_append(
			&s->times,
			(struct time_entry){s->max_timestamp, (int32_t)(s->max_timestamp_offset - s->base_offset)});
		s->index_bytes = 0;
	}
	s->index_bytes += (int64_t)batch_size(h);
	s->size += (int64_t)batch_size(h);
	s->index_saved = false;
}

void segment_cut_aborted(struct segment *s, int64_t offset)
{
	aborted_index_truncate(&s->aborted, offset);
	if (s->aborted_durable <= s->aborted.count)
		return;
	s->aborted_durable = 0;
	s->aborted_stale = true;
}

void segment_truncate(struct segment *s, int64_t position, int64_t offset)
{
	segment_cut_aborted(s, offset);
	damage_truncate(&s->damages, position);
	if (position > INT32_MAX)
		return;
	offset_index_truncate(&s->offsets, (int32_t)position);
	time_index_truncate(&s->times, (int32_t)(offset - s->base_offset));
	s->size = position;
	s->index_saved = false;
	/* The next batch gets an entry, so that the ways through the file do not grow with each cut. */
	s->index_bytes = position > 0 ? INT32_MAX : 0;
	if (s->max_timestamp_offset >= offset) {
		/* At least what the index knows; what lies behind its last entry is looked at when somebody asks. */
		struct time_entry e = time_index_lookup(&s->times, INT64_MAX);

		s->max_timestamp = e.timestamp;
		s->max_timestamp_offset = s->base_offset + (e.timestamp < 0 ? 0 : e.relative_offset);
		s->times_known = position == 0;
	}
	if (position == 0)
		s->first_timestamp = NO_TIMESTAMP;
}

void segment_finish_times(struct segment *s)
{
	if (s->max_timestamp >= 0)
		time_index_maybe_append(
			&s->times,
			(struct time_entry){s->max_timestamp, (int32_t)(s->max_timestamp_offset - s->base_offset)});
}

size_t segment_index_memory(const struct segment *s)
{
	return s->offsets.capacity * sizeof(*s->offsets.entries) + s->times.capacity * sizeof(*s->times.entries);
}
