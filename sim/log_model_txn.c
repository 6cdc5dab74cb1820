/*
 * log_model_txn: the model's transactions: which are open, how each ended, and what a reader of committed records must see. All is found by walking over
 * the batches, so that cuts and recoveries need no care. See sim/log_model.h.
 */
#include "base/alloc.h"
#include "record/control.h"
#include "sim/log_model.h"

static struct model_open *open_of(struct model_opens *t, int64_t producer_id)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->all[i].producer_id == producer_id)
			return &t->all[i];
	return NULL;
}

/* Gives where the transaction began that `b` ends; -1: it ends none. */
static int64_t walk_over(struct model_opens *t, const struct model_batch *b)
{
	struct model_open *open = b->transactional ? open_of(t, b->producer_id) : NULL;
	int64_t first;

	if (b->transactional && b->end == MODEL_DATA && !open) {
		must(t->count < MODEL_PRODUCERS);
		t->all[t->count++] = (struct model_open){b->producer_id, b->base_offset};
	}
	if (b->end == MODEL_DATA || !open)
		return -1;
	first = open->first_offset;
	*open = t->all[--t->count];
	return first;
}

void log_model_walk(struct log_model *m, int64_t committed)
{
	for (; m->walked_count < m->batch_count; m->walked_count++) {
		const struct model_batch *b = &m->batches[m->walked_count];

		if (b->base_offset + b->count > committed || b->base_offset + b->count > m->acked)
			break;
		(void)walk_over(&m->walked, b);
	}
}

int64_t log_model_first_unstable(const struct log_model *m, int64_t committed)
{
	struct model_opens open = m->walked;
	int64_t least = INT64_MAX;

	if (m->walked_count > 0 && committed <= m->batches[m->walked_count - 1].base_offset)
		return 0;
	for (size_t i = m->walked_count; i < m->batch_count; i++) {
		int64_t first = walk_over(&open, &m->batches[i]);

		if (first >= 0 && m->batches[i].base_offset >= committed && first < least)
			least = first;
	}
	for (unsigned i = 0; i < open.count; i++)
		if (open.all[i].first_offset < least)
			least = open.all[i].first_offset;
	return least;
}

bool log_model_is_open(const struct log_model *m, int64_t producer_id)
{
	for (size_t i = m->batch_count; i > 0; i--)
		if (m->batches[i - 1].producer_id == producer_id && m->batches[i - 1].transactional)
			return m->batches[i - 1].end == MODEL_DATA;
	return false;
}

int16_t log_model_epoch(const struct log_model *m, int64_t producer_id)
{
	const struct model_batch *b = log_model_last_of(m, producer_id, 0);

	return b ? b->producer_epoch : 0;
}

enum model_end log_model_outcome(const struct log_model *m, const struct model_batch *b, int64_t end)
{
	if (!b->transactional)
		return MODEL_DATA;
	for (const struct model_batch *at = b; at < m->batches + m->batch_count && at->base_offset < end; at++)
		if (at->producer_id == b->producer_id && at->end != MODEL_DATA)
			return at->end;
	return MODEL_DATA;
}

void log_model_note_commit(struct log_model *m, const struct model_batch *marker)
{
	for (const struct model_batch *b = marker; m->keyed && b-- > m->batches;) {
		if (b->producer_id != marker->producer_id)
			continue;
		if (b->end != MODEL_DATA)
			return;
		log_model_note_keys(m, b);
	}
}

/* --- a reader of committed records ------------------------------------------------------------------------------------- */

/* As clients do it: who is aborted from where on is told, and his marker ends that. */
struct reader_state {
	const struct aborted_told *told;
	size_t told_count;
	int64_t dropped[MODEL_PRODUCERS];
	unsigned dropped_count;
};

static bool drops(const struct reader_state *r, int64_t producer_id)
{
	for (unsigned i = 0; i < r->dropped_count; i++)
		if (r->dropped[i] == producer_id)
			return true;
	return false;
}

/* In any order, since a client sorts them: one that begins behind this batch does not count yet. One begins once. */
static void begin_up_to(struct reader_state *r, bool *begun, int64_t offset)
{
	for (size_t i = 0; i < r->told_count; i++) {
		if (begun[i] || r->told[i].first_offset > offset)
			continue;
		begun[i] = true;
		if (!drops(r, r->told[i].producer_id) && r->dropped_count < MODEL_PRODUCERS)
			r->dropped[r->dropped_count++] = r->told[i].producer_id;
	}
}

static void end_drop(struct reader_state *r, int64_t producer_id)
{
	for (unsigned i = 0; i < r->dropped_count; i++)
		if (r->dropped[i] == producer_id)
			r->dropped[i--] = r->dropped[--r->dropped_count];
}

static const char *check_seen(const struct log_model *m, const struct batch_header *h, bool seen)
{
	const struct model_batch *b = log_model_find(m, h->base_offset);

	if (!b || h->record_count == 0)
		return NULL;
	switch (log_model_outcome(m, b, m->end)) {
	case MODEL_DATA:
		return "a reader of committed records gets what is not decided";
	case MODEL_COMMIT:
		return seen ? NULL : "LOST: a reader of committed records is told to drop committed ones";
	case MODEL_ABORT:
		return seen ? "a reader of committed records sees aborted ones" : NULL;
	}
	return NULL;
}

const char *log_model_check_committed(const struct log_model *m, struct bytes records, const struct aborted_told *told,
				      size_t told_count)
{
	struct reader_state r = {.told = told, .told_count = told_count};
	bool *begun = mem_zalloc(told_count + 1);
	const char *wrong = NULL;
	struct batch_header h;
	struct bytes batch;

	while (!wrong && batch_next(&records, &h, &batch) == OK) {
		struct end_marker marker;

		begin_up_to(&r, begun, batch_last_offset(&h));
		if (!batch_is_transactional(&h))
			continue;
		if (!batch_is_control(&h))
			wrong = check_seen(m, &h, !drops(&r, h.producer_id));
		else if (end_marker_of(batch, &marker) == OK && !marker.committed)
			end_drop(&r, h.producer_id);
	}
	mem_free(begun);
	return wrong;
}
