/* retention: see retention.h. Pure; uses base only. */
#include "storage/retention.h"

#include "base/mutant.h"

struct retention_input retention_input_of(const struct log_config *c, const struct retention_segment *segments,
					  size_t count, int64_t bound, int64_t now_ms)
{
	return (struct retention_input){
		.segments = segments,
		.count = count,
		.bound = bound,
		.now_ms = now_ms,
		.by_time = c->cleanup_delete && c->retention_ms >= 0,
		.retention_ms = c->retention_ms,
		.by_size = c->cleanup_delete && c->retention_bytes >= 0,
		.retention_bytes = c->retention_bytes,
	};
}

static bool may_go(const struct retention_input *in, size_t i)
{
	const struct retention_segment *s = &in->segments[i];

	return (s->end_offset <= in->bound || MUTANT(PURGE_UNCOMMITTED)) && (i + 1 < in->count || s->size > 0);
}

static bool is_over(const struct retention_input *in, size_t i)
{
	/* Differences of timestamps that producers made up must not overflow. */
	return in->segments[i].timestamp_ms < in->now_ms - in->retention_ms;
}

static int64_t size_from(const struct retention_input *in, size_t first)
{
	int64_t size = 0;

	for (size_t i = first; i < in->count; i++)
		size += in->segments[i].size;
	return size;
}

struct retention_plan retention_decide(const struct retention_input *in)
{
	struct retention_plan p = {0};
	size_t at = 0;
	int64_t surplus;

	while (in->by_time && at < in->count && may_go(in, at) && is_over(in, at))
		at++;
	p.by_time = at;
	p.future = in->by_time && at < in->count && in->segments[at].size > 0 &&
		   in->segments[at].timestamp_ms > in->now_ms;
	surplus = size_from(in, at) - in->retention_bytes;
	while (in->by_size && at < in->count && may_go(in, at) && surplus >= in->segments[at].size)
		surplus -= in->segments[at++].size;
	p.by_size = at - p.by_time;
	p.roll = in->count > 0 && at == in->count;
	return p;
}

/* --- why each is there -------------------------------------------------------------------------------------------- */

static enum segment_kept why_kept(const struct retention_input *in, size_t i, bool compacted, size_t going)
{
	const struct retention_segment *s = &in->segments[i];

	if (i < going)
		return SEGMENT_GOES;
	if (s->end_offset > in->bound)
		return SEGMENT_NOT_COMMITTED;
	if (i + 1 == in->count && s->size == 0)
		return SEGMENT_ACTIVE;
	if (in->by_time && s->timestamp_ms > in->now_ms)
		return SEGMENT_FUTURE_TIMESTAMP;
	if (in->by_time && is_over(in, i))
		return SEGMENT_BEHIND_ANOTHER;
	if (in->by_time)
		return SEGMENT_IN_TIME;
	if (in->by_size)
		return SEGMENT_IN_SIZE;
	return compacted ? SEGMENT_COMPACTED : SEGMENT_FOR_EVER;
}

void retention_explain(const struct retention_input *in, bool compacted, struct segment_info *infos)
{
	struct retention_plan p = retention_decide(in);
	int64_t behind = size_from(in, 0), latest = INT64_MIN;

	for (size_t i = 0; i < in->count; i++) {
		const struct retention_segment *s = &in->segments[i];
		struct segment_info *info = &infos[i];

		behind -= s->size;
		if (s->timestamp_ms > latest)
			latest = s->timestamp_ms;
		info->active = i + 1 == in->count;
		info->kept = why_kept(in, i, compacted, p.by_time + p.by_size);
		info->due_at_ms = -1;
		if (in->by_time)
			info->due_at_ms = latest > INT64_MAX - in->retention_ms - 1 ? INT64_MAX
										    : latest + in->retention_ms + 1;
		info->due_after_bytes = -1;
		if (in->by_size)
			info->due_after_bytes = behind < in->retention_bytes ? in->retention_bytes - behind : 0;
	}
}
