/* scrub_check: see the header. */
#include "storage/scrub_check.h"

const char *scrub_words(enum scrub_verdict v)
{
	switch (v) {
	case SCRUB_GOOD:
		return "good";
	case SCRUB_NO_BATCH:
		return "what begins here is no batch";
	case SCRUB_CRC:
		return "the CRC does not match the batch";
	case SCRUB_PLACE:
		return "its offsets cannot be in this segment";
	case SCRUB_OVERLAP:
		return "it begins before the batch in front of it ends";
	case SCRUB_PREVIOUS:
		return "it ends behind where the next batch begins";
	case SCRUB_EPOCH:
		return "its leader epoch is not the one of its offset";
	case SCRUB_INDEX:
		return "its offset is not the one that the index has, which fits the batch in front of it";
	}
	return "";
}

bool scrub_can_begin(const struct scrub_check *c, const struct batch_header *h, int64_t left)
{
	return h->magic == BATCH_MAGIC && h->length >= BATCH_HEADER_SIZE - BATCH_LOG_OVERHEAD &&
	       (int64_t)h->length + BATCH_LOG_OVERHEAD <= left && h->base_offset >= c->base &&
	       h->base_offset < c->limit && h->last_offset_delta >= 0 &&
	       h->last_offset_delta < c->limit - h->base_offset;
}

static bool epoch_fits(const struct scrub_check *c, const struct batch_header *h)
{
	size_t at = c->epochs ? c->epochs->count : 0;

	if (h->leader_epoch == NO_LEADER_EPOCH)
		return true;
	while (at > 0 && c->epochs->entries[at - 1].start_offset > h->base_offset)
		at--;
	return at == 0 || c->epochs->entries[at - 1].epoch == h->leader_epoch; /* below the first one nobody knows */
}

/* The index has the batch at `position` right behind the one before it, and the batch says otherwise. */
static bool index_contradicts(const struct scrub_check *c, const struct batch_header *h, int64_t position)
{
	const struct offset_index *x = c->offsets;
	size_t at = c->offset_at;

	if (!x || h->base_offset <= c->expected)
		return false;
	while (at < x->count && x->entries[at].position < position)
		at++;
	return at < x->count && x->entries[at].position == position &&
	       c->base + x->entries[at].relative_offset == c->expected + h->last_offset_delta;
}

static enum scrub_verdict verdict_of(const struct scrub_check *c, const struct batch_header *h, bool crc_ok,
				     int64_t position)
{
	if (!crc_ok)
		return SCRUB_CRC;
	if (h->base_offset < c->base || h->last_offset_delta < 0 || h->base_offset >= c->limit ||
	    h->last_offset_delta >= c->limit - h->base_offset || batch_last_offset(h) - c->base > INT32_MAX)
		return SCRUB_PLACE;
	if (h->base_offset < c->expected) {
		/* The one before it, with its offsets right behind the one before that, would end where this one begins. */
		if (!c->gap || h->base_offset < c->before + c->last_delta + 1)
			return SCRUB_OVERLAP;
		return epoch_fits(c, h) ? SCRUB_PREVIOUS : SCRUB_EPOCH;
	}
	if (index_contradicts(c, h, position))
		return SCRUB_INDEX;
	return epoch_fits(c, h) ? SCRUB_GOOD : SCRUB_EPOCH;
}

/* Entries up to `end`; `h` NULL: of what lies there nothing is known but where it begins. */
static void take_offset_entries(struct scrub_check *c, const struct batch_header *h, int64_t position, int64_t end)
{
	const struct offset_index *x = c->offsets;

	for (; x && c->offset_at < x->count && x->entries[c->offset_at].position < end; c->offset_at++) {
		const struct offset_entry *e = &x->entries[c->offset_at];

		if (h && (e->position != position || c->base + e->relative_offset != batch_last_offset(h)))
			c->offsets_wrong = true;
	}
}

/* Where there is no entry by offset, nobody looks up the one by time: it is written without a sync, and what a power loss made of it is no damage. */
static void times_are_wrong(struct scrub_check *c)
{
	if (c->offsets && c->offsets->count == 0)
		c->times_short = true;
	else
		c->times_wrong = true;
}

static void take_time_entries(struct scrub_check *c, const struct batch_header *h)
{
	const struct time_index *x = c->times;

	for (; x && c->time_at < x->count; c->time_at++) {
		const struct time_entry *e = &x->entries[c->time_at];

		if (c->base + e->relative_offset > batch_last_offset(h))
			return;
		if (c->damaged)
			continue;
		if (h->max_timestamp != e->timestamp)
			times_are_wrong(c);
		else if (e->timestamp != c->max_timestamp) /* what was known after a cut */
			c->times_short = true;
	}
}

enum scrub_verdict scrub_batch(struct scrub_check *c, const struct batch_header *h, bool crc_ok, int64_t position)
{
	enum scrub_verdict v = verdict_of(c, h, crc_ok, position);

	if (v != SCRUB_GOOD && v != SCRUB_PREVIOUS)
		return v;
	if (v == SCRUB_PREVIOUS)
		c->damaged = true;
	c->gap = v == SCRUB_GOOD && h->base_offset > c->expected;
	c->before = v == SCRUB_GOOD ? c->expected : h->base_offset;
	c->expected = batch_last_offset(h) + 1;
	c->last_position = position;
	c->last_delta = h->last_offset_delta;
	if (h->max_timestamp > c->max_timestamp)
		c->max_timestamp = h->max_timestamp;
	take_offset_entries(c, h, position, position + (int64_t)batch_size(h));
	take_time_entries(c, h);
	return v;
}

void scrub_skip(struct scrub_check *c, int64_t position, int64_t end, int64_t next_offset)
{
	take_offset_entries(c, NULL, position, end);
	c->damaged = true;
	c->gap = false;
	c->expected = c->before = next_offset;
}

void scrub_end(struct scrub_check *c, bool closed)
{
	const struct time_index *t = c->times;

	if (!closed || c->damaged)
		return;
	if (c->offsets && c->offset_at < c->offsets->count)
		c->offsets_wrong = true;
	if (t && c->time_at < t->count)
		times_are_wrong(c);
	c->times_short |= t && c->max_timestamp >= 0 &&
			  (t->count == 0 || t->entries[t->count - 1].timestamp < c->max_timestamp);
}
