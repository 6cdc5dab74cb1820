/* read_check: see the header. */
#include "storage/read_check.h"

#include "record/batch.h"
#include "storage/scrub_check.h"

struct walk {
	const struct read_check *x;
	struct scrub_check check;
	struct batch_header header; /* of the batch at `at` */
	size_t at;                  /* in the buffer */
	size_t last_at;             /* of the one in front of it; SIZE_MAX: none, or it was passed as damaged */
	struct batch_header last;
	int64_t last_expected; /* where that one should begin */
	bool last_crc_ok;      /* its CRC was taken */
};

static bool is_whole(const struct walk *w, size_t at, const struct batch_header *h)
{
	return batch_size(h) <= w->x->buffer.size - at;
}

static bool crc_ok(const struct walk *w, size_t at, const struct batch_header *h)
{
	return !is_whole(w, at, h) || batch_crc_ok(bytes_of(w->x->buffer.data + at, batch_size(h)));
}

static bool has_header(const struct walk *w, size_t at)
{
	return at <= w->x->buffer.size && w->x->buffer.size - at >= BATCH_HEADER_SIZE;
}

static bool header_at(const struct walk *w, size_t at, struct batch_header *ret_header)
{
	return has_header(w, at) &&
	       batch_header_read(bytes_of(w->x->buffer.data + at, w->x->buffer.size - at), ret_header) == OK &&
	       ret_header->magic == BATCH_MAGIC && ret_header->length >= BATCH_HEADER_SIZE - BATCH_LOG_OVERHEAD;
}

/* Where it goes on behind the bad batch at `at`: the next one tells, if it makes sense; else the bad one's own words, within bounds. */
static int64_t next_offset(const struct walk *w, size_t at, const struct batch_header *bad, int64_t expected)
{
	struct batch_header h;
	int64_t next = expected + (bad->last_offset_delta >= 0 ? bad->last_offset_delta : 0) + 1;

	if (header_at(w, at + batch_size(bad), &h) && h.base_offset > expected && h.base_offset <= w->check.limit)
		return h.base_offset;
	return next > w->check.limit ? w->check.limit : next;
}

static struct damage damage_of(const struct walk *w, size_t at, const struct batch_header *bad, int64_t expected)
{
	int64_t position = w->x->position + (int64_t)at;

	return (struct damage){position, position + (int64_t)batch_size(bad), expected,
			       next_offset(w, at, bad, expected)};
}

/* The batch in front of this one is the bad one, after all: nobody had taken its CRC, or its offsets do not fit. */
static bool blame_last(const struct walk *w, enum scrub_verdict v)
{
	if (w->last_at == SIZE_MAX)
		return false;
	return v == SCRUB_PREVIOUS || (!w->last_crc_ok && !crc_ok(w, w->last_at, &w->last));
}

/* What stands there is no batch: so far as its length says where it ends, and a batch that fits stands behind it, or nothing. */
static bool is_none(const struct walk *w, struct damage *ret_damage, const char **ret_words)
{
	const uint8_t *at = w->x->buffer.data + w->at;
	struct batch_header behind,
		bad = {.length = (int32_t)get_be32(at + 8), .last_offset_delta = (int32_t)get_be32(at + 23)};

	*ret_words = NULL;
	if (bad.length < BATCH_HEADER_SIZE - BATCH_LOG_OVERHEAD)
		return true;
	*ret_damage = damage_of(w, w->at, &bad, w->check.expected);
	if (header_at(w, w->at + batch_size(&bad), &behind) && behind.base_offset == ret_damage->next_offset)
		*ret_words = scrub_words(SCRUB_NO_BATCH);
	return true;
}

/* True: it is good, and the walk goes on behind it. */
static bool take(struct walk *w, bool in_answer, struct damage *ret_damage, const char **ret_words)
{
	struct scrub_check before = w->check;
	int64_t position = w->x->position + (int64_t)w->at;
	bool good = !in_answer || crc_ok(w, w->at, &w->header);
	enum scrub_verdict v = scrub_batch(&w->check, &w->header, good, position);
	/* What is in front may hide the wanted one. */
	bool hides = w->at > 0 && in_answer && w->last_at != SIZE_MAX && w->last_at + batch_size(&w->last) == w->at &&
		     w->header.base_offset > w->x->wanted && before.expected <= w->x->wanted;

	if ((v != SCRUB_GOOD && v != SCRUB_CRC) || hides) {
		if (blame_last(w, v)) {
			*ret_damage = damage_of(w, w->last_at, &w->last, w->last_expected);
			*ret_words = scrub_words(v == SCRUB_PREVIOUS ? v : SCRUB_CRC);
			w->at = w->last_at;
			return false;
		}
	}
	if (v != SCRUB_GOOD && v != SCRUB_PREVIOUS) {
		*ret_damage = damage_of(w, w->at, &w->header, before.expected);
		*ret_words = scrub_words(v);
		return false;
	}
	w->last_at = w->at;
	w->last = w->header;
	w->last_expected = before.expected;
	w->last_crc_ok = in_answer;
	w->at += batch_size(&w->header);
	return true;
}

/* The header right behind the answer may tell that the answer's last batch is the wrong one. */
static bool look_behind(struct walk *w, struct damage *ret_damage, const char **ret_words)
{
	if (!header_at(w, w->at, &w->header) || w->last_at == SIZE_MAX ||
	    damage_at(w->x->known ? w->x->known : &(struct damage_list){0}, w->x->position + (int64_t)w->at) ||
	    scrub_batch(&w->check, &w->header, true, w->x->position + (int64_t)w->at) != SCRUB_PREVIOUS)
		return true;
	*ret_damage = damage_of(w, w->last_at, &w->last, w->last_expected);
	*ret_words = scrub_words(SCRUB_PREVIOUS);
	w->at = w->last_at;
	return false;
}

/* What is known to be bad is passed over. */
static bool pass_known(struct walk *w)
{
	int64_t position = w->x->position + (int64_t)w->at;
	const struct damage *d = w->x->known ? damage_at(w->x->known, position) : NULL;

	if (!d)
		return false;
	scrub_skip(&w->check, d->position, d->end, d->next_offset);
	w->at = (size_t)(d->end - w->x->position);
	w->last_at = SIZE_MAX;
	return true;
}

struct bytes read_check_answer(const struct read_check *x, struct bytes answer, struct damage *ret_damage,
			       const char **ret_words)
{
	int64_t expected = x->expected >= 0 ? x->expected : x->base;
	struct walk w = {
		.x = x,
		.check = {.base = x->base,
			  .limit = x->limit,
			  .epochs = x->epochs,
			  .expected = expected,
			  .before = expected,
			  .max_timestamp = NO_TIMESTAMP},
		.last_at = SIZE_MAX,
	};
	size_t from = (size_t)(answer.data - x->buffer.data), end = from + answer.size;
	bool good = true, first = true;

	*ret_words = NULL;
	while (good && w.at < end) {
		if (w.at < from && pass_known(&w)) {
			first = false;
			continue;
		}
		if (!header_at(&w, w.at, &w.header)) {
			if (has_header(&w, w.at)) /* else the last one is cut off */
				good = !is_none(&w, ret_damage, ret_words);
			break;
		}
		if (first && x->expected < 0 && w.header.base_offset >= x->base)
			w.check.expected = w.check.before =
				w.header.base_offset; /* so that the next one is not held against a guess */
		first = false;
		good = take(&w, w.at >= from, ret_damage, ret_words);
		/* Who asks for something behind it need not care. */
		if (!good && w.at < from && x->wanted >= ret_damage->next_offset) {
			scrub_skip(&w.check, ret_damage->position, ret_damage->end, ret_damage->next_offset);
			w.at = (size_t)(ret_damage->end - x->position);
			w.last_at = SIZE_MAX;
			good = true;
		}
	}
	if (good && w.at >= end)
		good = look_behind(&w, ret_damage, ret_words);
	if (good || w.at >= end)
		return answer;
	return bytes_of(answer.data, w.at > from ? w.at - from : 0);
}
