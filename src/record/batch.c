/* batch: the header's bytes; see the header. The checks are in validate.c. */
#include "record/batch.h"

#include "base/crc32c.h"

/* Where the fields are. */
enum {
	AT_LENGTH = 8,
	AT_LEADER_EPOCH = 12,
	AT_MAGIC = 16,
	AT_CRC = 17,
	AT_ATTRIBUTES = 21,
	AT_LAST_OFFSET_DELTA = 23,
	AT_BASE_TIMESTAMP = 27,
	AT_MAX_TIMESTAMP = 35,
	AT_PRODUCER_ID = 43,
	AT_PRODUCER_EPOCH = 51,
	AT_BASE_SEQUENCE = 53,
	AT_RECORD_COUNT = 57,
};

/* All bits that have a meaning: setting a timestamp type clears the others, as Kafka does. */
#define ATTRIBUTES_KNOWN 0x7f

enum err batch_header_read(struct bytes at, struct batch_header *ret_header)
{
	const uint8_t *p = at.data;

	if (at.size < BATCH_HEADER_SIZE)
		return ERR_MALFORMED;
	*ret_header = (struct batch_header){
		.base_offset = (int64_t)get_be64(p),
		.length = (int32_t)get_be32(p + AT_LENGTH),
		.leader_epoch = (int32_t)get_be32(p + AT_LEADER_EPOCH),
		.magic = (int8_t)p[AT_MAGIC],
		.crc = get_be32(p + AT_CRC),
		.attributes = (int16_t)get_be16(p + AT_ATTRIBUTES),
		.last_offset_delta = (int32_t)get_be32(p + AT_LAST_OFFSET_DELTA),
		.base_timestamp = (int64_t)get_be64(p + AT_BASE_TIMESTAMP),
		.max_timestamp = (int64_t)get_be64(p + AT_MAX_TIMESTAMP),
		.producer_id = (int64_t)get_be64(p + AT_PRODUCER_ID),
		.producer_epoch = (int16_t)get_be16(p + AT_PRODUCER_EPOCH),
		.base_sequence = (int32_t)get_be32(p + AT_BASE_SEQUENCE),
		.record_count = (int32_t)get_be32(p + AT_RECORD_COUNT),
	};
	return OK;
}

void batch_header_write(uint8_t at[static BATCH_HEADER_SIZE], const struct batch_header *h)
{
	put_be64(at, (uint64_t)h->base_offset);
	put_be32(at + AT_LENGTH, (uint32_t)h->length);
	put_be32(at + AT_LEADER_EPOCH, (uint32_t)h->leader_epoch);
	at[AT_MAGIC] = (uint8_t)h->magic;
	put_be32(at + AT_CRC, h->crc);
	put_be16(at + AT_ATTRIBUTES, (uint16_t)h->attributes);
	put_be32(at + AT_LAST_OFFSET_DELTA, (uint32_t)h->last_offset_delta);
	put_be64(at + AT_BASE_TIMESTAMP, (uint64_t)h->base_timestamp);
	put_be64(at + AT_MAX_TIMESTAMP, (uint64_t)h->max_timestamp);
	put_be64(at + AT_PRODUCER_ID, (uint64_t)h->producer_id);
	put_be16(at + AT_PRODUCER_EPOCH, (uint16_t)h->producer_epoch);
	put_be32(at + AT_BASE_SEQUENCE, (uint32_t)h->base_sequence);
	put_be32(at + AT_RECORD_COUNT, (uint32_t)h->record_count);
}

static uint32_t crc_of(const uint8_t *batch, size_t size)
{
	return crc32c(0, bytes_of(batch + AT_ATTRIBUTES, size - AT_ATTRIBUTES));
}

static void set_crc(uint8_t *batch, size_t size)
{
	must(size >= BATCH_HEADER_SIZE);
	put_be32(batch + AT_CRC, crc_of(batch, size));
}

void batch_seal(uint8_t *batch, size_t size)
{
	must(size >= BATCH_HEADER_SIZE && size <= INT32_MAX);
	put_be32(batch + AT_LENGTH, (uint32_t)(size - BATCH_LOG_OVERHEAD));
	set_crc(batch, size);
}

bool batch_crc_ok(struct bytes whole_batch)
{
	if (whole_batch.size < BATCH_HEADER_SIZE)
		return false;
	return get_be32(whole_batch.data + AT_CRC) == crc_of(whole_batch.data, whole_batch.size);
}

enum err batch_next(struct bytes *rest, struct batch_header *ret_header, struct bytes *ret_batch)
{
	int32_t length;
	size_t size;

	if (rest->size < BATCH_LOG_OVERHEAD)
		return ERR_END;
	length = (int32_t)get_be32(rest->data + AT_LENGTH);
	if (length < BATCH_HEADER_SIZE - BATCH_LOG_OVERHEAD)
		return ERR_CORRUPT;
	if (rest->size > AT_MAGIC && rest->data[AT_MAGIC] != BATCH_MAGIC)
		return ERR_CORRUPT;
	size = (size_t)length + BATCH_LOG_OVERHEAD;
	if (size > rest->size)
		return ERR_END;
	if (batch_header_read(*rest, ret_header))
		return ERR_CORRUPT;
	*ret_batch = bytes_of(rest->data, size);
	rest->data += size;
	rest->size -= size;
	return OK;
}

void batch_set_base_offset(uint8_t *batch, int64_t base_offset)
{
	put_be64(batch, (uint64_t)base_offset);
}

void batch_set_leader_epoch(uint8_t *batch, int32_t leader_epoch)
{
	put_be32(batch + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

static void set_timestamp_type(uint8_t *batch, size_t size, uint16_t type, int64_t max_timestamp)
{
	uint16_t attributes = get_be16(batch + AT_ATTRIBUTES);

	must(size >= BATCH_HEADER_SIZE);
	if ((attributes & BATCH_LOG_APPEND_TIME) == type &&
	    (int64_t)get_be64(batch + AT_MAX_TIMESTAMP) == max_timestamp)
		return;
	attributes = (uint16_t)((attributes & ATTRIBUTES_KNOWN & ~BATCH_LOG_APPEND_TIME) | type);
	put_be16(batch + AT_ATTRIBUTES, attributes);
	put_be64(batch + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
	set_crc(batch, size);
}

void batch_set_log_append_time(uint8_t *batch, size_t size, int64_t now_ms)
{
	set_timestamp_type(batch, size, BATCH_LOG_APPEND_TIME, now_ms);
}

void batch_set_create_time(uint8_t *batch, size_t size, int64_t max_timestamp)
{
	set_timestamp_type(batch, size, 0, max_timestamp);
}

void batch_set_producer(uint8_t *batch, size_t size, int64_t producer_id, int16_t producer_epoch, int32_t base_sequence)
{
	put_be64(batch + AT_PRODUCER_ID, (uint64_t)producer_id);
	put_be16(batch + AT_PRODUCER_EPOCH, (uint16_t)producer_epoch);
	put_be32(batch + AT_BASE_SEQUENCE, (uint32_t)base_sequence);
	set_crc(batch, size);
}
