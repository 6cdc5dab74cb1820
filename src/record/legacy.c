/* legacy: see the header. Calls zlib for CRC-32. */
#include "record/legacy.h"

#include <zlib.h>

#include "base/reader.h"

#define AT_SIZE 8
#define OVERHEAD 12
#define LEAST_SIZE 14
#define LEGACY_CODEC_MASK 0x07
#define LEGACY_LOG_APPEND_TIME 0x08

static struct bytes nullable(struct reader *r)
{
	int32_t size = reader_i32(r);

	if (size == -1)
		return bytes_null();
	if (size < 0) {
		reader_fail(r, ERR_MALFORMED);
		return bytes_null();
	}
	return reader_bytes(r, (size_t)size);
}

/* `message` is whole, its offset and size included. */
static enum err parse_message(struct bytes message, struct legacy_message *ret_message)
{
	struct reader r = reader_of(message);
	struct legacy_message m = {.offset = reader_i64(&r), .size = message.size, .timestamp = NO_TIMESTAMP};
	uint32_t crc;
	int8_t attributes;

	reader_skip(&r, 4);
	crc = reader_u32(&r);
	if (r.error || (uint32_t)crc32_z(0, r.at, reader_left(&r)) != crc)
		return ERR_CORRUPT;
	m.magic = reader_i8(&r);
	attributes = reader_i8(&r);
	if (m.magic == 1) {
		m.timestamp = reader_i64(&r);
		m.log_append_time = attributes & LEGACY_LOG_APPEND_TIME;
	}
	m.key = nullable(&r);
	m.value = nullable(&r);
	/* zstd came later than these. */
	if (r.error || reader_left(&r) > 0 || (attributes & LEGACY_CODEC_MASK) > CODEC_LZ4)
		return ERR_CORRUPT;
	m.codec = (enum codec)(attributes & LEGACY_CODEC_MASK);
	*ret_message = m;
	return OK;
}

enum err legacy_next(struct bytes *rest, struct legacy_message *ret_message)
{
	int32_t size;
	enum err e;

	if (rest->size < OVERHEAD)
		return ERR_END;
	size = (int32_t)get_be32(rest->data + AT_SIZE);
	if (size < LEAST_SIZE)
		return ERR_CORRUPT;
	if ((size_t)size > rest->size - OVERHEAD)
		return ERR_END;
	if (rest->data[LEGACY_HEADER_SIZE - 2] > 1)
		return ERR_CORRUPT;
	e = parse_message(bytes_of(rest->data, (size_t)size + OVERHEAD), ret_message);
	if (e)
		return e;
	rest->data += ret_message->size;
	rest->size -= ret_message->size;
	return OK;
}

static uint32_t rotate(uint32_t value, int bits)
{
	return value << bits | value >> (32 - bits);
}

/* XXH32 with seed 0 of less than 16 bytes: what an lz4 frame's header checksum is made of. */
static uint32_t xxh32_short(struct bytes b)
{
	const uint32_t p1 = 2654435761U, p2 = 2246822519U, p3 = 3266489917U, p4 = 668265263U, p5 = 374761393U;
	uint32_t hash = p5 + (uint32_t)b.size;
	size_t i = 0;

	for (; i + 4 <= b.size; i += 4)
		hash = rotate(hash + __builtin_bswap32(get_be32(b.data + i)) * p3, 17) * p4;
	for (; i < b.size; i++)
		hash = rotate(hash + b.data[i] * p5, 11) * p1;
	hash = (hash ^ hash >> 15) * p2;
	hash = (hash ^ hash >> 13) * p3;
	return hash ^ hash >> 16;
}

/*
 * The writers of magic 0 took the header checksum over the frame's magic number as well. Gives the frame with the checksum that the
 * format demands, in `mended`; the frame as it is where its header cannot be.
 */
static struct bytes mend_lz4(struct bytes frame, struct buf *mended)
{
	const uint8_t has_content_size = 0x08;
	size_t descriptor;

	if (frame.size < 7)
		return frame;
	descriptor = frame.data[4] & has_content_size ? 10 : 2;
	if (frame.size < 4 + descriptor + 1)
		return frame;
	buf_put_bytes(mended, frame);
	if (mended->error)
		return frame;
	mended->data[4 + descriptor] = (uint8_t)(xxh32_short(bytes_of(frame.data + 4, descriptor)) >> 8);
	return buf_bytes(mended);
}

/* All messages inside parse; `ret_last` is the last one's offset as it stands there. */
static enum err check_inner(const struct legacy_iter *it, int64_t *ret_last)
{
	struct bytes rest = it->rest;
	struct legacy_message m;
	enum err e;

	if (rest.size == 0)
		return ERR_CORRUPT;
	while (!(e = legacy_next(&rest, &m))) {
		/* A wrapper inside a wrapper: no writer does that. */
		if (m.magic != it->outer.magic || m.codec != CODEC_NONE)
			return ERR_CORRUPT;
		*ret_last = m.offset;
	}
	return e == ERR_END && rest.size == 0 ? OK : ERR_CORRUPT;
}

enum err legacy_iter_init(struct legacy_iter *it, const struct legacy_message *message, struct buf *scratch,
			  size_t max_decompressed, struct compressor *compressor)
{
	struct bytes packed = message->value;
	struct legacy_iter made = {.outer = *message};
	struct buf mended;
	int64_t last = 0;
	enum err e;

	if (message->codec == CODEC_NONE) {
		*it = made;
		return OK;
	}
	if (bytes_is_null(packed))
		return ERR_CORRUPT;
	buf_init(&mended, packed.size);
	if (message->codec == CODEC_LZ4 && message->magic == 0)
		packed = mend_lz4(packed, &mended);
	buf_reset(scratch);
	e = codec_decompress(compressor, message->codec, packed, max_decompressed, scratch);
	buf_fini(&mended);
	if (e)
		return e;
	made.rest = buf_bytes(scratch);
	e = check_inner(&made, &last);
	if (e)
		return e;
	if (message->magic == 1)
		made.base_offset = (int64_t)((uint64_t)message->offset - (uint64_t)last);
	*it = made;
	return OK;
}

enum err legacy_iter_next(struct legacy_iter *it, struct record *ret_record)
{
	struct legacy_message m = it->outer;

	if (it->outer.codec != CODEC_NONE) {
		enum err e = legacy_next(&it->rest, &m);

		if (e)
			return e;
	} else if (it->done) {
		return ERR_END;
	}
	it->done = true;
	*ret_record = (struct record){
		.offset = (int64_t)((uint64_t)m.offset + (uint64_t)it->base_offset),
		.timestamp = it->outer.log_append_time ? it->outer.timestamp : m.timestamp,
		.sequence = NO_SEQUENCE,
		.key = m.key,
		.value = m.value,
		.headers = bytes_empty(),
	};
	return OK;
}
