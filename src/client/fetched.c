/* fetched: see the header. */
#include "client/fetched.h"

#include <stdio.h>

#include "base/alloc.h"
#include "record/control.h"

/* No log comes near it; sums of offsets and deltas below it cannot overflow. */
#define OFFSET_MAX (INT64_MAX / 2)

/* Producers whose records are of an aborted transaction at the place that is being looked at. */
struct aborted_set {
	const struct fetched_rules *rules;
	int64_t *producers;
	size_t count;
	size_t capacity;
	bool *begun; /* by index in rules->aborted */
};

struct fetched *fetched_new(void)
{
	return mem_new(struct fetched);
}

void fetched_free(struct fetched *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->batch_count; i++)
		buf_fini(&f->batches[i].scratch);
	mem_free(f->batches);
	blob_unref(f->frame);
	mem_free(f);
}

static void fail(struct fetched *f, enum err e, int64_t offset, const char *what)
{
	f->error = e;
	snprintf(f->text, sizeof(f->text), "%.249s/%d: %s at offset %lld", f->topic ? f->topic : "", f->partition_index,
		 what, (long long)offset);
}

static void aborted_add(struct aborted_set *s, int64_t producer_id)
{
	s->producers = mem_grow(s->producers, &s->capacity, s->count + 1, sizeof(*s->producers));
	s->producers[s->count++] = producer_id;
}

static bool aborted_has(const struct aborted_set *s, int64_t producer_id)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->producers[i] == producer_id)
			return true;
	return false;
}

static void aborted_remove(struct aborted_set *s, int64_t producer_id)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->producers[i] == producer_id)
			s->producers[i--] = s->producers[--s->count];
}

/* Transactions that began up to `offset` count from here on, until their marker. */
static void aborted_advance(struct aborted_set *s, int64_t offset)
{
	for (int32_t i = 0; i < s->rules->aborted_count; i++) {
		if (s->begun[i] || s->rules->aborted[i].first_offset > offset)
			continue;
		s->begun[i] = true;
		aborted_add(s, s->rules->aborted[i].producer_id);
	}
}

static bool is_abort_marker(const struct batch_header *h, struct bytes batch)
{
	enum control_type type = CONTROL_UNKNOWN;
	struct record_iter it;
	struct record r;
	struct buf scratch;
	bool is;

	buf_init(&scratch, 1024);
	is = batch_is_transactional(h) && record_iter_init(&it, batch, &scratch, 1024, NULL) == OK &&
	     record_iter_next(&it, &r) == OK && control_type_read(r.key, &type) == OK && type == CONTROL_ABORT;
	buf_fini(&scratch);
	return is;
}

static bool is_hidden(struct aborted_set *s, const struct batch_header *h, struct bytes batch)
{
	bool hidden;

	if (!s->rules->read_committed || s->rules->aborted_count == 0)
		return batch_is_control(h);
	aborted_advance(s, batch_last_offset(h));
	if (batch_is_control(h)) {
		if (is_abort_marker(h, batch))
			aborted_remove(s, h->producer_id);
		return true;
	}
	hidden = batch_is_transactional(h) && aborted_has(s, h->producer_id);
	return hidden;
}

static enum err take_batch(struct fetched *f, const struct batch_header *h, struct bytes batch,
			   const struct fetched_rules *rules)
{
	struct fetched_batch *b;
	enum err e;

	f->batches = mem_grow(f->batches, &f->batch_capacity, f->batch_count + 1, sizeof(*f->batches));
	b = &f->batches[f->batch_count];
	buf_init(&b->scratch, rules->max_decompressed_bytes);
	e = record_iter_init(&b->records, batch, &b->scratch, rules->max_decompressed_bytes, rules->compressor);
	if (e) {
		buf_fini(&b->scratch);
		fail(f, e, h->base_offset,
		     e == ERR_TOO_BIG ? "a batch that is too large once decompressed"
				      : "compressed records that cannot be read");
		return e;
	}
	f->batch_count++;
	f->charged += batch.size + b->scratch.capacity;
	return OK;
}

/* False when the rest is not to be looked at. */
static bool look_at_batch(struct fetched *f, const struct batch_header *h, struct bytes batch,
			  struct aborted_set *aborted)
{
	const struct fetched_rules *rules = aborted->rules;

	if (h->base_offset < 0 || h->base_offset > OFFSET_MAX || h->last_offset_delta < 0) {
		fail(f, ERR_CORRUPT, f->next_offset, "a batch with impossible offsets");
		return false;
	}
	if (batch_last_offset(h) < f->next_offset)
		return true; /* the answer begins with the batch that holds the wanted offset, or before */
	if (rules->check_crcs && !batch_crc_ok(batch)) {
		fail(f, ERR_CORRUPT, h->base_offset, "a damaged batch (its CRC does not match)");
		return false;
	}
	if (!is_hidden(aborted, h, batch) && h->record_count > 0 && take_batch(f, h, batch, rules) != OK)
		return false;
	f->next_offset = batch_last_offset(h) + 1;
	return true;
}

void fetched_open(struct fetched *f, struct bytes records, const struct fetched_rules *rules, bool *ret_cut)
{
	struct aborted_set aborted = {.rules = rules};
	struct bytes rest = records, batch;
	struct batch_header h;
	bool any = false;
	enum err e = OK;

	f->from_offset = f->next_offset = rules->from_offset;
	if (rules->aborted_count > 0)
		aborted.begun = mem_zalloc((size_t)rules->aborted_count);
	while (rest.size > 0 && !(e = batch_next(&rest, &h, &batch))) {
		any = true;
		if (!look_at_batch(f, &h, batch, &aborted))
			break;
	}
	if (e == ERR_CORRUPT && rest.size > 16 && rest.data[16] < BATCH_MAGIC)
		fail(f, ERR_UNSUPPORTED, f->next_offset, "records in the old format of Kafka before 0.11");
	else if (e == ERR_CORRUPT)
		fail(f, e, f->next_offset, "bytes that are no record batch");
	*ret_cut = !any && rest.size > 0 && e == ERR_END;
	mem_free(aborted.producers);
	mem_free(aborted.begun);
}

enum err fetched_next(struct fetched *f, struct record *ret_record, const struct batch_header **ret_header)
{
	while (f->at < f->batch_count) {
		struct fetched_batch *b = &f->batches[f->at];
		struct record r;
		enum err e = record_iter_next(&b->records, &r);

		if (e == ERR_END) {
			f->at++;
			continue;
		}
		if (!e && r.offset < f->from_offset)
			continue;
		if (e) {
			fail(f, ERR_CORRUPT, f->from_offset, "records that cannot be read");
			f->at = f->batch_count;
			return ERR_CORRUPT;
		}
		f->from_offset = r.offset + 1;
		*ret_record = r;
		*ret_header = &b->records.header;
		return OK;
	}
	return ERR_END;
}
