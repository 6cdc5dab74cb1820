/* clean_batch: see clean_batch.h. Pure; uses base and record. */
#include "storage/clean_batch.h"

#include "base/mutant.h"
#include "base/saturate.h"

void cleaner_init(struct cleaner *c, size_t max_decompressed)
{
	struct batch_options o = batch_options_default(INT32_MAX);

	*c = (struct cleaner){.max_decompressed = max_decompressed, .compressor = compressor_new()};
	buf_init(&c->scratch, max_decompressed);
	batch_builder_init(&c->builder, &o);
}

void cleaner_fini(struct cleaner *c)
{
	clean_map_fini(&c->map);
	buf_fini(&c->scratch);
	batch_builder_fini(&c->builder);
	compressor_free(c->compressor);
	clean_txns_fini(&c->txns);
	aborted_index_fini(&c->kept);
}

static enum err check_batch(const struct batch_header *h, struct bytes batch)
{
	if (!batch_crc_ok(batch) || h->last_offset_delta < 0 || h->base_offset < 0)
		return ERR_CORRUPT;
	return OK;
}

static enum err open_batch(struct cleaner *c, struct bytes batch, struct record_iter *it)
{
	return record_iter_init(it, batch, &c->scratch, c->max_decompressed, c->compressor);
}

static const struct end_marker *marker_of(const struct batch_header *h, struct bytes batch, struct end_marker *marker)
{
	return h->producer_id >= 0 && end_marker_of(batch, marker) == OK ? marker : NULL;
}

/* --- the map ------------------------------------------------------------------------------------------------------ */

/* ERR_END: the map is full. */
static enum err note_batch(struct cleaner *c, struct bytes batch)
{
	struct record_iter it;
	struct record r;
	enum err e = open_batch(c, batch, &it);

	while (!e && (e = record_iter_next(&it, &r)) == OK) {
		if (r.offset < c->map_start || bytes_is_null(r.key))
			continue;
		if (!clean_map_put(&c->map, r.key, r.offset))
			return ERR_END;
	}
	return e == ERR_END ? OK : e;
}

enum err cleaner_note(struct cleaner *c, struct bytes chunk, size_t *ret_taken, bool *ret_full)
{
	struct bytes rest = chunk, batch;
	struct end_marker marker;
	struct batch_header h;
	enum err e;

	*ret_full = false;
	while ((e = batch_next(&rest, &h, &batch)) == OK) {
		e = check_batch(&h, batch);
		if (!e && batch_is_control(&h))
			(void)clean_txns_take_control(&c->txns, &h, marker_of(&h, batch, &marker));
		else if (!e && !clean_txns_take_data(&c->txns, &h) && batch_last_offset(&h) >= c->map_start)
			e = note_batch(c, batch);
		if (e == ERR_END) {
			*ret_full = true;
			break;
		}
		if (e)
			return e;
		c->map_end = batch_last_offset(&h) + 1;
	}
	*ret_taken = chunk.size - rest.size;
	return e == ERR_END ? OK : e;
}

/* --- what is kept ------------------------------------------------------------------------------------------------- */

/* Its last batch of data, or, where there is none, the marker that has its epoch. */
static bool ends_a_producer(const struct cleaner *c, const struct batch_header *h)
{
	const struct clean_producer *p;
	size_t low = 0, high = c->producer_count;

	if (h->producer_id < 0)
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->producers[middle].producer_id < h->producer_id)
			low = middle + 1;
		else
			high = middle;
	}
	p = low < c->producer_count ? &c->producers[low] : NULL;
	if (!p || p->producer_id != h->producer_id)
		return false;
	return p->last_offset >= 0 ? p->last_offset == batch_last_offset(h)
				   : batch_is_control(h) && p->epoch == h->producer_epoch;
}

static bool keeps(struct cleaner *c, const struct batch_header *h, const struct record *r)
{
	bool horizon_is_over = MUTANT(TOMBSTONE_DROPPED_EARLY) ||
			       ((h->attributes & BATCH_DELETE_HORIZON) && c->now_ms >= h->base_timestamp);

	if (r->offset >= c->map_end || batch_is_control(h))
		return true;
	if (bytes_is_null(r->key))
		return false;
	if (r->offset < clean_map_get(&c->map, r->key))
		return false;
	return !bytes_is_null(r->value) || !horizon_is_over;
}

struct verdict {
	uint32_t records;
	uint32_t kept;
	bool tombstone; /* one of those that are kept below the map's end */
};

static enum err judge(struct cleaner *c, struct record_iter it, struct verdict *v)
{
	const struct batch_header h = it.header;
	struct record r;
	enum err e;

	while ((e = record_iter_next(&it, &r)) == OK) {
		v->records++;
		if (keeps(c, &h, &r)) {
			v->kept++;
			v->tombstone |= bytes_is_null(r.value) && r.offset < c->map_end;
			continue;
		}
		c->counts.keyless += bytes_is_null(r.key);
		c->counts.tombstones_dropped += bytes_is_null(r.value) && r.offset >= clean_map_get(&c->map, r.key);
	}
	return e == ERR_END ? OK : e;
}

static enum err put(struct cleaner *c, struct buf *out, struct bytes batch)
{
	buf_put_bytes(out, batch);
	c->counts.batches_kept++;
	c->counts.bytes_kept += batch.size;
	return out->error;
}

/* Its records are gone; its place, its producer's sequence and its end stay known. */
static enum err put_empty(struct cleaner *c, struct buf *out, const struct batch_header *h)
{
	uint8_t bytes[BATCH_HEADER_SIZE];
	struct batch_header empty = *h;

	empty.attributes = (int16_t)(h->attributes & (BATCH_LOG_APPEND_TIME | BATCH_TRANSACTIONAL | BATCH_CONTROL));
	empty.base_timestamp = h->max_timestamp;
	empty.record_count = 0;
	batch_header_write(bytes, &empty);
	batch_seal(bytes, sizeof(bytes));
	return put(c, out, bytes_of(bytes, sizeof(bytes)));
}

static enum err rewrite(struct cleaner *c, struct record_iter it, bool new_horizon, struct buf *out)
{
	const struct batch_header h = it.header;
	struct batch_options o = {
		.codec = (enum codec)batch_codec(&h),
		.level = CODEC_LEVEL_DEFAULT,
		.base_offset = h.base_offset,
		.leader_epoch = h.leader_epoch,
		.producer_id = h.producer_id,
		.producer_epoch = h.producer_epoch,
		.base_sequence = h.base_sequence,
		.is_transactional = batch_is_transactional(&h),
		.is_control = batch_is_control(&h),
		.max_bytes = INT32_MAX,
		.compressor = c->compressor,
	};
	struct record r;
	struct bytes batch;
	enum err e;

	batch_builder_reset(&c->builder, &o);
	if (new_horizon)
		batch_builder_set_delete_horizon(&c->builder, saturating_add(c->now_ms, c->delete_retention_ms));
	else if (h.attributes & BATCH_DELETE_HORIZON)
		batch_builder_set_delete_horizon(&c->builder, h.base_timestamp);
	while ((e = record_iter_next(&it, &r)) == OK) {
		if (!keeps(c, &h, &r) || (MUTANT(COMPACTION_LOSES_LAST) && r.offset_delta == h.last_offset_delta))
			continue;
		e = batch_builder_append_record(&c->builder, r.offset_delta, &r);
		if (e)
			return e;
	}
	if (e != ERR_END)
		return e;
	batch_builder_set_last_offset_delta(&c->builder, h.last_offset_delta);
	e = batch_builder_finish(&c->builder, &batch);
	if (e)
		return e;
	if (batch_is_log_append_time(&h))
		batch_set_log_append_time((uint8_t *)(uintptr_t)batch.data, batch.size, h.max_timestamp);
	return put(c, out, batch);
}

static bool stays_empty(const struct cleaner *c, const struct batch_header *h)
{
	return ends_a_producer(c, h) || batch_last_offset(h) + 1 == c->upper_bound;
}

/* None of its records is worth keeping; some may be there. */
static enum err drop_records(struct cleaner *c, const struct batch_header *h, struct bytes batch, struct buf *out)
{
	if (!stays_empty(c, h)) {
		c->counts.batches_changed++;
		return OK;
	}
	if (h->record_count == 0)
		return put(c, out, batch);
	c->counts.batches_changed++;
	return put_empty(c, out, h);
}

static enum err filter_control(struct cleaner *c, const struct batch_header *h, struct bytes batch, struct buf *out)
{
	struct end_marker of_marker;
	const struct end_marker *marker = marker_of(h, batch, &of_marker);
	struct clean_marker m = clean_txns_take_control(&c->txns, h, marker);
	bool has_horizon = h->attributes & BATCH_DELETE_HORIZON, ends = marker || h->record_count == 0;
	struct record_iter it;
	enum err e;

	if (m.listed && (m.needed || h->base_offset >= c->map_end))
		aborted_index_append(&c->kept, m.listed);
	if (!ends || m.needed || h->base_offset >= c->map_end)
		return put(c, out, batch);
	if (h->record_count == 0 || (!m.listed && has_horizon && c->now_ms >= h->base_timestamp))
		return drop_records(c, h, batch, out);
	if (has_horizon)
		return put(c, out, batch);
	e = open_batch(c, batch, &it);
	if (e)
		return e;
	c->counts.batches_changed++;
	return rewrite(c, it, true, out);
}

static enum err filter_batch(struct cleaner *c, const struct batch_header *h, struct bytes batch, struct buf *out)
{
	bool has_horizon = h->attributes & BATCH_DELETE_HORIZON, new_horizon, aborted;
	struct record_iter it;
	struct verdict v = {0};
	enum err e;

	if (batch_is_control(h))
		return filter_control(c, h, batch, out);
	aborted = clean_txns_take_data(&c->txns, h);
	if (h->base_offset >= c->map_end)
		return put(c, out, batch);
	if (aborted) {
		c->counts.records_read += (uint64_t)h->record_count;
		c->counts.aborted += (uint64_t)h->record_count;
		return drop_records(c, h, batch, out);
	}
	e = open_batch(c, batch, &it);
	if (!e)
		e = judge(c, it, &v);
	if (e)
		return e;
	c->counts.records_read += v.records;
	c->counts.records_kept += v.kept;
	new_horizon = v.tombstone && !has_horizon;
	if (v.kept > 0 && v.kept == v.records && !new_horizon)
		return put(c, out, batch);
	if (v.kept == 0)
		return drop_records(c, h, batch, out);
	c->counts.batches_changed++;
	return rewrite(c, it, new_horizon, out);
}

enum err cleaner_filter(struct cleaner *c, struct bytes chunk, struct buf *out, size_t *ret_taken)
{
	struct bytes rest = chunk, batch;
	struct batch_header h;
	enum err e;

	while ((e = batch_next(&rest, &h, &batch)) == OK) {
		e = check_batch(&h, batch);
		if (!e)
			e = filter_batch(c, &h, batch, out);
		if (e)
			return e;
		c->counts.batches_read++;
		c->counts.bytes_read += batch.size;
	}
	*ret_taken = chunk.size - rest.size;
	return e == ERR_END ? OK : e;
}
