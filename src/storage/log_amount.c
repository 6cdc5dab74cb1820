/* log_amount: how much a log has between two offsets, as far as memory tells. Calls the index. */
#include "storage/state.h"

/* Where the offset lies in the segment, as far as memory tells: never behind its true place. */
static int64_t estimate(const struct log *l, const struct segment *s, int64_t offset)
{
	int64_t position = -1;

	if (offset <= s->base_offset)
		return 0;
	if (s == log_active(l)) {
		if (offset >= l->end)
			return s->size;
		for (uint8_t i = 0; i < l->recent_count; i++)
			if (log_recent(l, i)->base_offset <= offset && log_recent(l, i)->position > position)
				position = log_recent(l, i)->position;
	}
	if (position < 0 && offset - s->base_offset <= INT32_MAX)
		position = offset_index_lookup(&s->offsets, (int32_t)(offset - s->base_offset));
	return position < 0 ? s->size : position;
}

int64_t log_bytes_between(const struct log *l, int64_t offset, int64_t max_offset)
{
	uint32_t first, last;
	int64_t bytes;

	if (max_offset > l->end)
		max_offset = l->end;
	if (offset < l->start_durable)
		offset = l->start_durable;
	if (offset >= max_offset)
		return 0;
	first = log_segment_at(l, offset);
	last = log_segment_at(l, max_offset);
	bytes = estimate(l, l->segments[last], max_offset) - estimate(l, l->segments[first], offset);
	for (uint32_t i = first; i < last; i++)
		bytes += l->segments[i]->size;
	return bytes > 0 ? bytes : 1;
}
