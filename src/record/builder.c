/* builder: see the header. */
#include "record/builder.h"

#define RECORD_ATTRIBUTES 0 /* none is defined */

struct batch_options batch_options_default(size_t max_bytes)
{
	return (struct batch_options){
		.codec = CODEC_NONE,
		.level = CODEC_LEVEL_DEFAULT,
		.leader_epoch = NO_LEADER_EPOCH,
		.producer_id = NO_PRODUCER_ID,
		.producer_epoch = NO_PRODUCER_EPOCH,
		.base_sequence = NO_SEQUENCE,
		.max_bytes = max_bytes,
	};
}

void batch_builder_init(struct batch_builder *b, const struct batch_options *options)
{
	*b = (struct batch_builder){0};
	batch_builder_reset(b, options);
}

void batch_builder_fini(struct batch_builder *b)
{
	buf_fini(&b->raw);
	buf_fini(&b->packed);
}

void batch_builder_reset(struct batch_builder *b, const struct batch_options *options)
{
	if (options)
		b->options = *options;
	/* Lengths are 32 bits. */
	if (b->options.max_bytes > INT32_MAX)
		b->options.max_bytes = INT32_MAX;
	must(b->options.max_bytes >= BATCH_HEADER_SIZE);
	buf_reset(&b->raw);
	buf_reset(&b->packed);
	b->raw.max = b->options.max_bytes;
	b->packed.max = INT32_MAX;
	(void)buf_extend(&b->raw, BATCH_HEADER_SIZE);
	b->base_timestamp = NO_TIMESTAMP;
	b->max_timestamp = NO_TIMESTAMP;
	b->last_offset_delta = -1;
	b->record_count = 0;
	b->has_base_timestamp = b->has_delete_horizon = b->finished = false;
}

static size_t varint_size(int32_t value)
{
	return uvarint_size(((uint32_t)value << 1) ^ (uint32_t)(value >> 31));
}

static size_t nullable_size(struct bytes b)
{
	return bytes_is_null(b) ? 1 : varint_size((int32_t)b.size) + b.size;
}

static size_t headers_size(const struct record_header *headers, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += nullable_size(headers[i].key) + nullable_size(headers[i].value);
	return size;
}

static bool headers_usable(const struct record_header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes_is_null(headers[i].key))
			return false;
	return count <= INT32_MAX;
}

static uint8_t *write_uvarint(uint8_t *to, uint64_t value)
{
	while (value >= 0x80) {
		*to++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*to++ = (uint8_t)value;
	return to;
}

static uint8_t *write_varint(uint8_t *to, int32_t value)
{
	return write_uvarint(to, ((uint32_t)value << 1) ^ (uint32_t)(value >> 31));
}

static uint8_t *write_bytes(uint8_t *to, struct bytes b)
{
	if (b.size)
		memcpy(to, b.data, b.size);
	return to + b.size;
}

static uint8_t *write_nullable(uint8_t *to, struct bytes b)
{
	return write_bytes(write_varint(to, bytes_is_null(b) ? -1 : (int32_t)b.size), b);
}

/*
 * Counts a record in and writes it up to and with its header count. Returns where its encoded headers (`encoded_headers` bytes)
 * go; NULL, with nothing changed, when it does not fit.
 */
static uint8_t *begin_record(struct batch_builder *b, int32_t offset_delta, const struct record *r,
			     size_t encoded_headers)
{
	int64_t base = b->has_base_timestamp ? b->base_timestamp : r->timestamp;
	int64_t timestamp_delta = (int64_t)((uint64_t)r->timestamp - (uint64_t)base);
	size_t body, room = b->raw.max - b->raw.size;
	uint8_t *at;

	must(!b->finished && offset_delta > b->last_offset_delta);
	/* Far too long ones first: what follows counts in 32 bits. */
	if (r->key.size > room || r->value.size > room || encoded_headers > room)
		return NULL;
	body = 1 + varlong_size(timestamp_delta) + varint_size(offset_delta) + nullable_size(r->key) +
	       nullable_size(r->value) + varint_size(r->header_count) + encoded_headers;
	if (body > room || varint_size((int32_t)body) + body > room)
		return NULL;
	at = buf_extend(&b->raw, varint_size((int32_t)body) + body);
	must(at);
	at = write_varint(at, (int32_t)body);
	*at++ = RECORD_ATTRIBUTES;
	at = write_uvarint(at, ((uint64_t)timestamp_delta << 1) ^ (uint64_t)(timestamp_delta >> 63));
	at = write_varint(at, offset_delta);
	at = write_nullable(at, r->key);
	at = write_nullable(at, r->value);
	at = write_varint(at, r->header_count);

	b->base_timestamp = base;
	b->has_base_timestamp = true;
	if (r->timestamp > b->max_timestamp)
		b->max_timestamp = r->timestamp;
	b->last_offset_delta = offset_delta;
	b->record_count++;
	return at;
}

enum err batch_builder_append_at(struct batch_builder *b, int32_t offset_delta, int64_t timestamp, struct bytes key,
				 struct bytes value, const struct record_header *headers, size_t header_count)
{
	struct record r = {.timestamp = timestamp, .key = key, .value = value, .header_count = (int32_t)header_count};
	uint8_t *at;

	if (!headers_usable(headers, header_count))
		return ERR_USAGE;
	at = begin_record(b, offset_delta, &r, headers_size(headers, header_count));
	if (!at)
		return ERR_TOO_BIG;
	for (size_t i = 0; i < header_count; i++)
		at = write_nullable(write_nullable(at, headers[i].key), headers[i].value);
	return OK;
}

enum err batch_builder_append(struct batch_builder *b, int64_t timestamp, struct bytes key, struct bytes value,
			      const struct record_header *headers, size_t header_count)
{
	if (b->last_offset_delta == INT32_MAX)
		return ERR_TOO_BIG;
	return batch_builder_append_at(b, b->last_offset_delta + 1, timestamp, key, value, headers, header_count);
}

enum err batch_builder_append_record(struct batch_builder *b, int32_t offset_delta, const struct record *r)
{
	uint8_t *at = begin_record(b, offset_delta, r, r->headers.size);

	if (!at)
		return ERR_TOO_BIG;
	write_bytes(at, r->headers);
	return OK;
}

size_t batch_builder_size(const struct batch_builder *b)
{
	return b->raw.size;
}

size_t record_size_bound(struct bytes key, struct bytes value, const struct record_header *headers, size_t header_count)
{
	/* length, attributes, timestamp delta, offset delta, lengths of key and value, header count */
	const size_t overhead = 5 + 1 + 10 + 5 + 5 + 5 + 5;
	size_t size = overhead + key.size + value.size;

	for (size_t i = 0; i < header_count; i++)
		size += 5 + headers[i].key.size + 5 + headers[i].value.size;
	return size;
}

void batch_builder_set_producer(struct batch_builder *b, int64_t producer_id, int16_t producer_epoch,
				int32_t base_sequence, bool is_transactional)
{
	must(!b->finished);
	b->options.producer_id = producer_id;
	b->options.producer_epoch = producer_epoch;
	b->options.base_sequence = base_sequence;
	b->options.is_transactional = is_transactional;
}

void batch_builder_set_last_offset_delta(struct batch_builder *b, int32_t last_offset_delta)
{
	must(!b->finished && last_offset_delta >= b->last_offset_delta);
	b->last_offset_delta = last_offset_delta;
}

void batch_builder_set_delete_horizon(struct batch_builder *b, int64_t delete_horizon_ms)
{
	must(!b->finished && b->record_count == 0);
	b->base_timestamp = delete_horizon_ms;
	b->has_base_timestamp = b->has_delete_horizon = true;
}

static int16_t attributes_of(const struct batch_builder *b)
{
	int attributes = (int)b->options.codec;

	if (b->options.is_transactional)
		attributes |= BATCH_TRANSACTIONAL;
	if (b->options.is_control)
		attributes |= BATCH_CONTROL;
	if (b->has_delete_horizon)
		attributes |= BATCH_DELETE_HORIZON;
	return (int16_t)attributes;
}

static enum err pack(struct batch_builder *b)
{
	struct bytes records = bytes_of(b->raw.data + BATCH_HEADER_SIZE, b->raw.size - BATCH_HEADER_SIZE);

	buf_reset(&b->packed);
	(void)buf_extend(&b->packed, BATCH_HEADER_SIZE);
	return codec_compress(b->options.compressor, b->options.codec, b->options.level, records, &b->packed);
}

enum err batch_builder_finish(struct batch_builder *b, struct bytes *ret_batch)
{
	const struct batch_options *o = &b->options;
	struct buf *done = o->codec == CODEC_NONE ? &b->raw : &b->packed;
	struct batch_header h = {
		.base_offset = o->base_offset,
		.leader_epoch = o->leader_epoch,
		.magic = BATCH_MAGIC,
		.attributes = attributes_of(b),
		.last_offset_delta = b->last_offset_delta,
		.base_timestamp = b->base_timestamp,
		.max_timestamp = b->max_timestamp,
		.producer_id = o->producer_id,
		.producer_epoch = o->producer_epoch,
		.base_sequence = o->base_sequence,
		.record_count = b->record_count,
	};

	if (b->record_count == 0)
		return ERR_USAGE;
	if (!b->finished) {
		enum err e = o->codec == CODEC_NONE ? OK : pack(b);

		if (e)
			return e;
		batch_header_write(done->data, &h);
		batch_seal(done->data, done->size);
		b->finished = true;
	}
	*ret_batch = buf_bytes(done);
	return OK;
}
