/* journal_format: see journal_format.h. Pure; uses base, and record for where a batch ends. */
#include "storage/journal_format.h"

#include "base/crc32c.h"
#include "base/reader.h"
#include "record/batch.h"
#include "storage/log_name.h"

#define JOURNAL_MAGIC 0x4d4a4e31u /* MJN1 */

void journal_head_write(struct buf *out, const struct journal_record *r, const struct bytes *parts, size_t part_count)
{
	size_t start = out->size, size = 0;
	uint32_t crc;

	for (size_t i = 0; i < part_count; i++)
		size += parts[i].size;
	must(r->topic.size <= TOPIC_NAME_MAX && size < UINT32_MAX - JOURNAL_RECORD_HEAD_MAX);
	buf_put_u32(out, JOURNAL_MAGIC);
	buf_put_u32(out, 0);
	buf_put_u32(out, (uint32_t)(JOURNAL_HEAD_SIZE + r->topic.size + size));
	buf_put_i8(out, (int8_t)r->kind);
	buf_put_i8(out, (int8_t)r->topic.size);
	buf_put_i16(out, (int16_t)r->unsynced);
	buf_put_i64(out, (int64_t)r->run);
	buf_put_i64(out, (int64_t)r->generation);
	buf_put_i64(out, (int64_t)r->live);
	buf_put_i64(out, (int64_t)r->round);
	buf_put(out, r->topic_id.bytes, sizeof(r->topic_id.bytes));
	buf_put_i32(out, r->partition);
	buf_put_i64(out, r->file_base);
	buf_put_i64(out, r->position);
	buf_put_i64(out, r->base_offset);
	buf_put_i64(out, r->acknowledged);
	buf_put_bytes(out, r->topic);
	if (out->error)
		return;
	crc = crc32c(0, bytes_of(out->data + start + 8, out->size - start - 8));
	for (size_t i = 0; i < part_count; i++)
		crc = crc32c(crc, parts[i]);
	put_be32(out->data + start + 4, crc);
}

static bool plausible(const struct journal_record *r, uint8_t topic_size, uint32_t size)
{
	return r->kind >= JOURNAL_DATA && r->kind <= JOURNAL_END && topic_size <= TOPIC_NAME_MAX &&
	       JOURNAL_HEAD_SIZE + (uint32_t)topic_size <= size && r->partition >= 0 && r->file_base >= 0 &&
	       r->position >= 0 && r->base_offset >= 0 && r->acknowledged >= 0;
}

enum err journal_record_read(struct bytes at, struct journal_record *ret_record, size_t *ret_size)
{
	struct reader r = reader_of(at);
	struct journal_record record = {0};
	uint32_t magic = reader_u32(&r), crc = reader_u32(&r), size = reader_u32(&r);
	uint8_t topic_size;
	struct bytes id;

	if (r.error || magic != JOURNAL_MAGIC)
		return ERR_END;
	if (size < JOURNAL_HEAD_SIZE || size > at.size || crc32c(0, bytes_of(at.data + 8, size - 8)) != crc)
		return ERR_CORRUPT;
	record.kind = (enum journal_kind)reader_i8(&r);
	topic_size = (uint8_t)reader_i8(&r);
	record.unsynced = (uint16_t)reader_i16(&r);
	record.run = (uint64_t)reader_i64(&r);
	record.generation = (uint64_t)reader_i64(&r);
	record.live = (uint64_t)reader_i64(&r);
	record.round = (uint64_t)reader_i64(&r);
	id = reader_bytes(&r, sizeof(record.topic_id.bytes));
	if (!bytes_is_null(id))
		memcpy(record.topic_id.bytes, id.data, id.size);
	record.partition = reader_i32(&r);
	record.file_base = reader_i64(&r);
	record.position = reader_i64(&r);
	record.base_offset = reader_i64(&r);
	record.acknowledged = reader_i64(&r);
	if (r.error || !plausible(&record, topic_size, size))
		return ERR_CORRUPT;
	record.topic = reader_bytes(&r, topic_size);
	record.data = bytes_of(at.data + JOURNAL_HEAD_SIZE + topic_size, size - JOURNAL_HEAD_SIZE - topic_size);
	*ret_record = record;
	*ret_size = size;
	return OK;
}

int64_t journal_record_end(const struct journal_record *r)
{
	struct bytes rest = r->data, batch;
	struct batch_header h;
	int64_t end = r->base_offset;

	while (batch_next(&rest, &h, &batch) == OK)
		end = batch_last_offset(&h) + 1;
	return end;
}

void journal_walk(struct bytes file, struct journal_visitor *v)
{
	size_t at = 0;

	while (at < file.size) {
		struct journal_record r;
		size_t size, end = at;

		while (journal_record_read(bytes_of(file.data + end, file.size - end), &r, &size) == OK) {
			v->record(v, &r);
			end += size;
			if (r.kind == JOURNAL_END)
				break;
		}
		/* A round fills its last block; where nothing parsed, the next block may start one. */
		at = end > at ? (end + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK : at + JOURNAL_BLOCK;
	}
}
