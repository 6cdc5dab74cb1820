/* clean_plan: see clean_plan.h. Pure. */
#include "storage/clean_plan.h"

#include "storage/offset_index.h"

static int64_t uncleanable_from(const struct clean_input *in)
{
	int64_t at = in->segments[0].base_offset, lag_ms = in->config->min_compaction_lag_ms;

	for (size_t i = 0; i + 1 < in->count; i++) {
		const struct clean_segment *s = &in->segments[i];

		if (s->end_offset > in->bound || (lag_ms > 0 && s->max_timestamp_ms > in->now_ms - lag_ms))
			break;
		at = s->end_offset;
	}
	return at;
}

static bool lag_is_over(const struct clean_input *in, const struct clean_segment *s)
{
	int64_t lag_ms = in->config->max_compaction_lag_ms;

	return lag_ms > 0 && s->first_timestamp_ms >= 0 && s->first_timestamp_ms < in->now_ms - lag_ms;
}

struct clean_plan clean_decide(const struct clean_input *in)
{
	struct clean_plan p = {.first_dirty = in->clean_offset};
	int64_t end = in->segments[in->count - 1].end_offset;

	if (p.first_dirty < in->segments[0].base_offset || p.first_dirty > end)
		p.first_dirty = in->segments[0].base_offset;
	p.uncleanable = uncleanable_from(in);
	for (size_t i = 0; i < in->count && in->segments[i].base_offset < p.uncleanable; i++) {
		const struct clean_segment *s = &in->segments[i];

		if (s->end_offset <= p.first_dirty) {
			p.clean_bytes += s->size;
			continue;
		}
		p.dirty_bytes += s->size;
		p.overdue |= lag_is_over(in, s);
	}
	if (p.dirty_bytes > 0)
		p.ratio = (double)p.dirty_bytes / (double)(p.clean_bytes + p.dirty_bytes);
	p.wanted = p.dirty_bytes > 0 && (p.overdue || p.ratio > in->config->min_cleanable_dirty_ratio);
	return p;
}

bool clean_wants_roll(const struct clean_input *in)
{
	const struct clean_segment *s = &in->segments[in->count - 1];

	return s->size > 0 && s->end_offset <= in->bound && lag_is_over(in, s);
}

size_t clean_group(const struct clean_input *in, size_t first, int64_t uncleanable)
{
	const struct log_config *c = in->config;
	int64_t size = in->segments[first].size;
	size_t entries = in->segments[first].index_entries, count = 1;

	for (; first + count + 1 < in->count && in->segments[first + count].end_offset <= uncleanable; count++) {
		const struct clean_segment *s = &in->segments[first + count];

		size += s->size;
		entries += s->index_entries;
		if (size > c->segment_bytes || s->end_offset - in->segments[first].base_offset > INT32_MAX)
			break;
		if (c->segment_index_bytes > 0 && entries * OFFSET_INDEX_ENTRY_SIZE > (size_t)c->segment_index_bytes)
			break;
	}
	return count;
}
