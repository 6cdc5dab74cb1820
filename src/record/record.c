/* record: see the header. */
#include "record/record.h"

#include "record/parse.h"

/* The records of `batch` not compressed: in place, or out of `scratch`. */
static enum err plain_records(const struct batch_header *h, struct bytes batch, struct buf *scratch,
			      size_t max_decompressed, struct compressor *compressor, struct bytes *ret_records)
{
	struct bytes records = bytes_of(batch.data + BATCH_HEADER_SIZE, batch.size - BATCH_HEADER_SIZE);
	int codec = batch_codec(h);
	enum err e;

	*ret_records = records;
	/* Compaction leaves batches without records; there is nothing to decompress in them. */
	if (codec == CODEC_NONE || h->record_count == 0)
		return OK;
	if (codec >= CODEC_COUNT)
		return ERR_CORRUPT;
	buf_reset(scratch);
	e = codec_decompress(compressor, (enum codec)codec, records, max_decompressed, scratch);
	if (!e)
		*ret_records = buf_bytes(scratch);
	return e;
}

enum err record_iter_init(struct record_iter *it, struct bytes batch, struct buf *scratch, size_t max_decompressed,
			  struct compressor *compressor)
{
	struct batch_header h;
	struct bytes records;
	enum err e;

	if (batch_header_read(batch, &h) || h.magic != BATCH_MAGIC || h.record_count < 0 || h.length < 0 ||
	    batch_size(&h) != batch.size)
		return ERR_CORRUPT;
	e = plain_records(&h, batch, scratch, max_decompressed, compressor, &records);
	if (e)
		return e;
	*it = (struct record_iter){
		.header = h, .at = records.data, .end = records.data + records.size, .left = h.record_count};
	return OK;
}

static int64_t add_wrapping(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

enum err record_iter_next(struct record_iter *it, struct record *ret_record)
{
	const struct batch_header *h = &it->header;
	struct record_view v;

	if (it->error)
		return it->error;
	if (it->left == 0) {
		it->error = it->at == it->end ? ERR_END : ERR_CORRUPT;
		return it->error;
	}
	if (!parse_record(&it->at, it->end, &v) || v.offset_delta < 0) {
		it->error = ERR_CORRUPT;
		return it->error;
	}
	it->left--;
	*ret_record = (struct record){
		.offset = add_wrapping(h->base_offset, v.offset_delta),
		.timestamp = batch_is_log_append_time(h) ? h->max_timestamp
							 : add_wrapping(h->base_timestamp, v.timestamp_delta),
		.sequence = sequence_add(h->base_sequence, v.offset_delta),
		.key = v.key,
		.value = v.value,
		.header_count = v.header_count,
		.headers = v.headers,
		.offset_delta = v.offset_delta,
	};
	return OK;
}

struct header_iter header_iter_of(const struct record *r)
{
	return (struct header_iter){
		.at = r->headers.data, .end = r->headers.data + r->headers.size, .left = r->header_count};
}

bool header_iter_next(struct header_iter *it, struct record_header *ret_header)
{
	struct record_header h;

	if (it->left <= 0 || !parse_header(&it->at, it->end, &h.key, &h.value))
		return false;
	it->left--;
	*ret_header = h;
	return true;
}
