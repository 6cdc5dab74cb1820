/* care_ledger: see the header. */
#include "sim/care_ledger.h"

#include <stddef.h>

uint32_t care_send(struct care_topic *t, unsigned key, bool tombstone, bool by_id, int64_t now_us, uint64_t losses)
{
	must(t->life_count > 0 && key < CARE_KEYS);
	if (t->sent == CARE_RECORDS)
		return CARE_NONE;
	t->records[t->sent] = (struct care_record){
		.offset = -1,
		.sent_us = now_us,
		.acked_us = INT64_MAX,
		.losses = losses,
		.life = t->life_count - 1,
		.key = key,
		.by_id = by_id,
		.tombstone = tombstone,
	};
	return t->sent++;
}

void care_acked(struct care_topic *t, uint32_t serial, int64_t offset, int64_t now_us)
{
	t->records[serial].offset = offset;
	t->records[serial].acked_us = now_us;
}

struct care_life *care_life(struct care_topic *t)
{
	struct care_life *l = t->life_count ? &t->lives[t->life_count - 1] : NULL;

	return l && !l->deleted ? l : NULL;
}

const char *care_told_id(struct care_topic *t, struct uuid id)
{
	for (unsigned i = 0; i < t->life_count; i++) {
		const struct care_life *l = &t->lives[i];

		if (!uuid_equal(l->id, id))
			continue;
		if (l->deleted)
			return "a topic that was deleted is there again";
		return i + 1 == t->life_count ? NULL : "a topic has the id of one that had its name before";
	}
	if (t->life_count && t->lives[t->life_count - 1].ending_us == INT64_MAX)
		return "a topic has another id, and nobody deleted it";
	if (t->life_count == CARE_LIVES)
		return "more lives of a topic than were planned for";
	t->lives[t->life_count++] = (struct care_life){.id = id, .ending_us = INT64_MAX};
	return NULL;
}

void care_deleting(struct care_life *l, int64_t now_us)
{
	if (l->ending_us == INT64_MAX)
		l->ending_us = now_us;
}

/* --- scans ------------------------------------------------------------------------------------------------------------------------ */

const char *care_scan_begin(struct care_topic *t, int64_t start, int64_t end, int64_t now_us, uint64_t losses)
{
	struct care_scan *s = &t->scan;

	*s = (struct care_scan){
		.number = s->number + 1,
		.life = t->life_count - 1,
		.begun_us = now_us,
		.losses = losses,
		.start = start,
		.end = end,
		.next = start,
	};
	for (unsigned i = 0; i < CARE_KEYS; i++) {
		s->key_offset[i] = -1;
		s->key_serial[i] = CARE_NONE;
	}
	return start == 0 ? NULL : "the start of a log moved that nobody asked to move";
}

static const char *misplaced(const struct care_topic *t, const struct care_record *r, int64_t offset)
{
	const struct care_scan *s = &t->scan;

	if (t->kind == CARE_REPLACED) {
		if (r->by_id && r->life != s->life)
			return "a record that was sent to another topic's id";
		if (s->life > 0 && r->acked_us < t->lives[s->life - 1].ending_us)
			return "a record of the old topic is in the new one of its name";
		if (r->offset >= 0 && r->offset != offset && r->by_id)
			return "a record stands elsewhere than was acknowledged";
		return NULL;
	}
	/* What a loss took may stand elsewhere only if it was sent again, which nobody does. */
	return r->offset >= 0 && r->offset != offset ? "a record stands elsewhere than was acknowledged" : NULL;
}

const char *care_scan_record(struct care_topic *t, int64_t offset, unsigned key, uint32_t serial)
{
	struct care_scan *s = &t->scan;
	struct care_record *r;
	const char *wrong;

	if (offset < s->next)
		return "offsets that go back";
	if (offset > s->next) {
		if (t->kind != CARE_COMPACTED)
			return "a gap between offsets";
		s->gaps = true;
	}
	s->next = offset + 1;
	if (key >= CARE_KEYS || (serial != CARE_NONE && serial >= t->sent))
		return "a record that nobody sent";
	s->key_offset[key] = offset;
	s->key_serial[key] = serial;
	if (serial == CARE_NONE)
		return t->kind == CARE_COMPACTED ? NULL : "a record without its value";
	r = &t->records[serial];
	if (r->key != key || r->tombstone)
		return "a record with another key";
	if (r->seen == s->number)
		return "a record that stands twice";
	r->seen = s->number;
	wrong = misplaced(t, r, offset);
	if (t->kind == CARE_COMPACTED && r->offset < 0)
		r->offset = offset; /* its outcome is known now */
	return wrong;
}

/* The last record that was acknowledged of the key, within the scan; NULL: none. */
static const struct care_record *last_acked(const struct care_topic *t, unsigned key)
{
	const struct care_record *last = NULL;

	for (uint32_t i = 0; i < t->sent; i++) {
		const struct care_record *r = &t->records[i];

		if (r->key == key && r->offset >= 0 && r->offset < t->scan.end && (!last || r->offset > last->offset))
			last = r;
	}
	return last;
}

/* One without a known outcome may have come at any time, also behind the scan's end while it went on, and taken the place of the others. */
static bool any_unknown(const struct care_topic *t, unsigned key)
{
	for (uint32_t i = 0; i < t->sent; i++)
		if (t->records[i].key == key && t->records[i].offset < 0)
			return true;
	return false;
}

static const char *judge_key(struct care_topic *t, unsigned key)
{
	struct care_scan *s = &t->scan;
	const struct care_record *last = last_acked(t, key);
	uint32_t found = s->key_serial[key];

	if (!last)
		return NULL;
	if (s->key_offset[key] < 0) {
		if (any_unknown(t, key))
			return NULL;
		if (!last->tombstone)
			return "LOST: the last record of a key left a compacted log";
		s->tombstones_over++;
		return last->sent_us + t->tombstone_us > s->begun_us
			       ? "a tombstone left a compacted log before its time"
			       : NULL;
	}
	if (s->key_offset[key] < last->offset)
		return any_unknown(t, key) ? NULL : "LOST: an older record is the last one of its key";
	if (s->key_offset[key] == last->offset)
		return last->tombstone == (found == CARE_NONE) ? NULL
							       : "another record stands where one was acknowledged";
	if (found == CARE_NONE)
		return any_unknown(t, key) ? NULL : "a tombstone that nobody sent";
	return t->records[found].offset < 0 ? NULL : "a record stands elsewhere than was acknowledged";
}

static const char *judge_all_there(struct care_topic *t, uint64_t losses)
{
	struct care_scan *s = &t->scan;

	for (uint32_t i = 0; i < t->sent; i++) {
		const struct care_record *r = &t->records[i];
		bool there = r->seen == s->number;

		if (r->offset < 0 || there)
			continue;
		if (t->kind == CARE_REPLACED && r->by_id && r->life == s->life)
			return "LOST: a record that was acknowledged is not in its topic";
		if (t->kind != CARE_CACHED)
			continue;
		if (r->losses == losses && s->losses == losses)
			return "LOST: a record of write.caching is gone, and nothing but kills happened";
		s->lost++;
	}
	return NULL;
}

const char *care_scan_end(struct care_topic *t, uint64_t losses)
{
	const char *wrong = NULL;

	if (t->kind != CARE_COMPACTED)
		return judge_all_there(t, losses);
	for (unsigned i = 0; i < CARE_KEYS && !wrong; i++)
		wrong = judge_key(t, i);
	return wrong;
}
