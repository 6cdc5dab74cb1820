/*
 * log_model_keyed: the model of a compacted log: which records may be missing, and that what is there is what was appended. See sim/log_model.h.
 * Calls record/ to take batches apart.
 */
#include "base/alloc.h"
#include "record/record.h"
#include "sim/log_model.h"

#define CLOCK_SLACK_MS 60 /* records' times are up to 50 ms ahead of the clock */
#define BATCH_MAX ((size_t)1 << 20)

static uint32_t hash_of(struct bytes b)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < b.size; i++)
		hash = (hash ^ b.data[i]) * 16777619u;
	return hash;
}

static bool model_record_of(const struct record *r, struct model_record *ret)
{
	unsigned key;

	if (r->key.size != 2)
		return false;
	key = (unsigned)(r->key.data[0] - '0') * 10 + (unsigned)(r->key.data[1] - '0');
	if (key >= MODEL_KEYS)
		return false;
	*ret = (struct model_record){
		.value_hash = hash_of(r->value),
		.key = (uint8_t)key,
		.tombstone = bytes_is_null(r->value),
	};
	return true;
}

bool log_model_note_records(struct model_batch *b)
{
	struct record_iter it;
	struct record r;
	struct buf none;
	bool well;

	if (b->end != MODEL_DATA)
		return true;
	buf_init(&none, 1);
	b->records = mem_zalloc((size_t)b->count * sizeof(*b->records));
	well = record_iter_init(&it, bytes_of(b->data, b->size), &none, BATCH_MAX, NULL) == OK;
	for (int32_t i = 0; i < b->count && well; i++)
		well = record_iter_next(&it, &r) == OK && model_record_of(&r, &b->records[i]);
	buf_fini(&none);
	return well;
}

void log_model_note_keys(struct log_model *m, const struct model_batch *b)
{
	for (int32_t i = 0; m->keyed && b->records && i < b->count; i++)
		if (m->last_of_key[b->records[i].key] < b->base_offset + i)
			m->last_of_key[b->records[i].key] = b->base_offset + i;
}

/* --- what is missing ---------------------------------------------------------------------------------------------- */

static const char *may_miss(struct log_model *m, const struct model_batch *b, int32_t i, int64_t now_ms)
{
	const struct model_record *r = b->records ? &b->records[i] : NULL;
	int64_t offset = b->base_offset + i;
	bool over = now_ms + CLOCK_SLACK_MS >= b->max_timestamp + m->delete_retention_ms;

	m->missing++;
	m->missed = offset;
	if (!r && (offset >= m->acked || !over))
		return "the end of a transaction left a compacted log before its time";
	if (!r)
		return NULL;
	if (b->transactional && log_model_outcome(m, b, m->acked) == MODEL_DATA)
		return "LOST: a record of an open transaction left a compacted log";
	if (log_model_outcome(m, b, m->acked) == MODEL_ABORT)
		return NULL;
	if (m->last_of_key[r->key] > offset)
		return NULL;
	if (offset >= m->acked)
		return "LOST: a record left a compacted log that was not safe yet";
	if (!r->tombstone)
		return "LOST: the last record of a key left a compacted log";
	m->tombstones_missing++;
	return over ? NULL : "a tombstone left a compacted log before its time";
}

/* All records in [from, to). */
static const char *may_miss_all(struct log_model *m, int64_t from, int64_t to, int64_t now_ms)
{
	const char *wrong = NULL;

	while (from < to && !wrong) {
		const struct model_batch *b = log_model_find(m, from);

		if (!b)
			return "a read passed what was never appended";
		wrong = may_miss(m, b, (int32_t)(from - b->base_offset), now_ms);
		from++;
	}
	return wrong;
}

/* --- what is there ------------------------------------------------------------------------------------------------ */

static const char *check_records(struct log_model *m, const struct model_batch *b, struct bytes batch, int64_t offset,
				 int64_t now_ms)
{
	int64_t next = b->base_offset > offset ? b->base_offset : offset, end = b->base_offset + b->count;
	const char *wrong = NULL;
	struct record_iter it;
	struct record r;
	struct buf none;
	enum err e;

	buf_init(&none, 1);
	e = record_iter_init(&it, batch, &none, BATCH_MAX, NULL);
	while (!wrong && !e && (e = record_iter_next(&it, &r)) == OK) {
		struct model_record is, was;

		if (r.offset < b->base_offset || r.offset >= end) {
			wrong = "a record of a compacted batch stands outside it";
			break;
		}
		was = b->records[r.offset - b->base_offset];
		if (!model_record_of(&r, &is) || is.key != was.key || is.tombstone != was.tombstone ||
		    is.value_hash != was.value_hash)
			wrong = "a record of a compacted batch is not what was appended at its offset";
		if (r.offset < offset)
			continue;
		if (!wrong && r.offset < next)
			wrong = "records of a compacted batch stand in another order";
		if (!wrong)
			wrong = may_miss_all(m, next, r.offset, now_ms);
		next = r.offset + 1;
	}
	buf_fini(&none);
	if (!wrong && e != ERR_END)
		wrong = "a batch of a compacted log cannot be taken apart";
	return wrong ? wrong : may_miss_all(m, next, end, now_ms);
}

static const char *check_batch(struct log_model *m, const struct batch_header *h, struct bytes batch, int64_t offset,
			       int64_t now_ms)
{
	struct model_batch *b = (struct model_batch *)(uintptr_t)log_model_find(m, h->base_offset);

	if (!b || b->base_offset != h->base_offset)
		return "a read gave a batch that was never appended there";
	if (b->size == batch.size && memcmp(b->data, batch.data, b->size) == 0)
		return NULL;
	if (log_model_bring_back(m, b, batch))
		return NULL;
	if (!batch_crc_ok(batch))
		return "a read of a compacted log gave a broken batch";
	if (h->base_offset + h->last_offset_delta != b->base_offset + b->count - 1 ||
	    h->producer_id != b->producer_id || h->base_sequence != b->base_sequence)
		return "compaction changed a batch's end, producer or sequence";
	if (batch_is_control(h) != (b->end != MODEL_DATA) || batch_is_transactional(h) != b->transactional)
		return "compaction changed what kind a batch is";
	if (b->end != MODEL_DATA)
		return h->record_count ? NULL : may_miss(m, b, 0, now_ms);
	return check_records(m, b, batch, offset, now_ms);
}

const char *log_model_check_keyed(struct log_model *m, int64_t offset, int64_t max_offset, int64_t now_ms,
				  struct bytes records, int64_t *ret_next)
{
	struct bytes rest = records, batch;
	struct batch_header h;
	const char *wrong = NULL;
	int64_t next = offset;

	*ret_next = offset;
	while (!wrong && batch_next(&rest, &h, &batch) == OK) {
		if (h.base_offset >= max_offset)
			return "a read gave a batch beyond its bound";
		if (h.base_offset + h.last_offset_delta < next)
			return "a read gave a batch before its offset";
		wrong = may_miss_all(m, next, h.base_offset, now_ms);
		if (!wrong)
			wrong = check_batch(m, &h, batch, next, now_ms);
		next = h.base_offset + h.last_offset_delta + 1;
	}
	if (wrong)
		return wrong;
	if (next == offset && records.size)
		return "a read gave not even its first batch whole";
	if (!records.size) { /* nothing is left up to the bound */
		wrong = may_miss_all(m, offset, max_offset, now_ms);
		next = max_offset;
	}
	*ret_next = next;
	return wrong;
}
