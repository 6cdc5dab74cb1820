/*
 * manifest: what a clean stop leaves of all logs of a folder in one file, so that the next start opens ten thousand of them without
 * touching one. Trusted only together with the marker of that clean stop. Pure, but for filling a struct log.
 *
 *      "MMF1" | marker i64 | count-free list of: size u32, entry | 0 u32 | crc u32
 *      entry: topic, partition, id, start, end, acknowledged; segments; epochs; producers (a snapshot); which segments have an index of aborted
 *      transactions
 */
#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/reader.h"
#include "storage/state.h"

#define MANIFEST_MAGIC 0x4d4d4631u /* MMF1 */

void manifest_write_head(struct buf *out, int64_t marker)
{
	buf_put_u32(out, MANIFEST_MAGIC);
	buf_put_i64(out, marker);
}

void manifest_write_end(struct buf *out)
{
	buf_put_u32(out, 0);
	if (!out->error)
		buf_put_u32(out, crc32c(0, buf_bytes(out)));
}

/* 0: none has any. */
static void write_aborted(const struct log *l, struct buf *out)
{
	bool any = false;

	for (uint32_t i = 0; i < l->segment_count; i++)
		any = any || !l->segments[i]->aborted_loaded || l->segments[i]->aborted.count;
	buf_put_i32(out, any ? (int32_t)l->segment_count : 0);
	for (uint32_t i = 0; any && i < l->segment_count; i++)
		buf_put_i8(out, !l->segments[i]->aborted_loaded || l->segments[i]->aborted.count);
}

void manifest_write_log(const struct log *l, struct buf *out)
{
	size_t start = out->size, size_at;

	buf_put_u32(out, 0);
	buf_put_i16(out, (int16_t)strlen(l->topic));
	buf_put_str(out, l->topic);
	buf_put_i32(out, l->partition);
	buf_put(out, l->topic_id.bytes, sizeof(l->topic_id.bytes));
	buf_put_i64(out, l->start);
	buf_put_i64(out, l->end);
	buf_put_i64(out, l->acknowledged);
	buf_put_i32(out, (int32_t)l->segment_count);
	for (uint32_t i = 0; i < l->segment_count; i++) {
		const struct segment *s = l->segments[i];

		buf_put_i64(out, s->base_offset);
		buf_put_i64(out, s->size);
		buf_put_i64(out, s->times_known ? s->max_timestamp : INT64_MIN);
		buf_put_i64(out, s->max_timestamp_offset);
		buf_put_i64(out, s->first_timestamp);
		buf_put_i64(out, s->index_bytes);
	}
	buf_put_i32(out, (int32_t)l->epochs.count);
	for (size_t i = 0; i < l->epochs.count; i++) {
		buf_put_i32(out, l->epochs.entries[i].epoch);
		buf_put_i64(out, l->epochs.entries[i].start_offset);
	}
	size_at = out->size;
	buf_put_u32(out, 0);
	producer_state_write(&l->producers, out);
	if (out->error)
		return;
	put_be32(out->data + size_at, (uint32_t)(out->size - size_at - 4));
	write_aborted(l, out);
	if (out->error)
		return;
	put_be32(out->data + start, (uint32_t)(out->size - start - 4));
}

static struct manifest_log read_identity(struct reader *r)
{
	struct manifest_log m = {0};
	int16_t topic_size = reader_i16(r);
	struct bytes id;

	if (topic_size <= 0 || topic_size > TOPIC_NAME_MAX) {
		reader_fail(r, ERR_CORRUPT);
		return m;
	}
	m.topic = reader_bytes(r, (size_t)topic_size);
	m.partition = reader_i32(r);
	id = reader_bytes(r, sizeof(m.topic_id.bytes));
	if (!bytes_is_null(id))
		memcpy(m.topic_id.bytes, id.data, id.size);
	m.start = reader_i64(r);
	m.end = reader_i64(r);
	if (m.partition < 0 || m.start < 0 || m.end < m.start)
		reader_fail(r, ERR_CORRUPT);
	return m;
}

enum err manifest_read_identity(struct bytes content, struct manifest_log *ret_log)
{
	struct reader r = reader_of(content);
	struct manifest_log m = read_identity(&r);

	if (r.error)
		return ERR_CORRUPT;
	*ret_log = m;
	return OK;
}

enum err manifest_read(struct bytes file, int64_t marker, struct map *entries)
{
	struct reader r = reader_of(file);

	if (file.size < 20 || crc32c(0, bytes_of(file.data, file.size - 4)) != get_be32(file.data + file.size - 4))
		return ERR_CORRUPT;
	if (reader_u32(&r) != MANIFEST_MAGIC || reader_i64(&r) != marker)
		return ERR_CORRUPT;
	for (;;) {
		uint32_t size = reader_u32(&r);
		struct bytes content = reader_bytes(&r, size);
		char key[LOG_NAME_SIZE];
		struct manifest_log m;
		struct manifest_entry *entry;

		if (r.error)
			return ERR_CORRUPT;
		if (size == 0)
			return reader_left(&r) == 4 ? OK : ERR_CORRUPT;
		if (manifest_read_identity(content, &m) != OK)
			return ERR_CORRUPT;
		entry = mem_new(struct manifest_entry);
		entry->content = content;
		mem_free(map_put(entries, log_key(key, m.topic, m.partition), entry));
	}
}

static enum err read_segments(struct reader *r, struct log *l)
{
	int32_t count = reader_i32(r);

	if (r->error || count < 1 || (size_t)count > reader_left(r) / 48)
		return ERR_CORRUPT;
	while (l->segment_count > 0)
		segment_free(l->segments[--l->segment_count], &l->store->files);
	for (int32_t i = 0; i < count; i++) {
		int64_t base = reader_i64(r);
		struct segment *s;

		if (base < 0 || (i > 0 && base <= log_active(l)->base_offset))
			return ERR_CORRUPT;
		s = log_add_segment(l, base);
		s->size = s->written = reader_i64(r);
		s->max_timestamp = reader_i64(r);
		s->max_timestamp_offset = reader_i64(r);
		s->first_timestamp = reader_i64(r);
		s->index_bytes = reader_i64(r);
		s->times_known = s->max_timestamp != INT64_MIN;
		if (!s->times_known)
			s->max_timestamp = NO_TIMESTAMP;
		s->made = s->name_synced = s->index_saved = true;
		s->index_loaded = s->size <= l->config.index_interval_bytes; /* then it has no entry */
		if (r->error || s->size < 0)
			return ERR_CORRUPT;
	}
	return OK;
}

static enum err read_epochs(struct reader *r, struct log *l)
{
	int32_t count = reader_i32(r);

	for (int32_t i = 0; i < count; i++) {
		int32_t epoch = reader_i32(r);
		int64_t start = reader_i64(r);

		if (r->error || epoch_cache_assign(&l->epochs, epoch, start < 0 ? 0 : start) != OK)
			return ERR_CORRUPT;
	}
	return r->error ? ERR_CORRUPT : OK;
}

/* What an earlier build left says nothing of them: then their files are looked for. */
static enum err read_aborted(struct reader *r, struct log *l)
{
	bool told = reader_left(r) > 0;
	int32_t count = told ? reader_i32(r) : 0;

	if (r->error || (count && (uint32_t)count != l->segment_count))
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < l->segment_count; i++) {
		l->segments[i]->aborted_expected = count && reader_i8(r);
		l->segments[i]->aborted_loaded = told && !l->segments[i]->aborted_expected;
	}
	return r->error ? ERR_CORRUPT : OK;
}

enum err manifest_read_log(struct bytes content, struct log *l)
{
	struct reader r = reader_of(content);
	struct manifest_log m = read_identity(&r);
	int64_t acknowledged = reader_i64(&r);
	struct bytes producers;
	enum err e = r.error ? ERR_CORRUPT : read_segments(&r, l);

	if (!e)
		e = read_epochs(&r, l);
	producers = reader_bytes(&r, reader_u32(&r));
	if (!e && !r.error)
		e = producer_state_read(&l->producers, producers, log_now_s(l));
	if (!e && !r.error)
		e = read_aborted(&r, l);
	if (e || r.error)
		return ERR_CORRUPT;
	l->start = m.start;
	l->end = l->written = l->synced = l->file_synced = m.end;
	l->acknowledged = l->acknowledged_durable = acknowledged;
	l->folder_made = l->metadata_made = l->names_synced = true;
	return OK;
}
