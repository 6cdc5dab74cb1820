/*
 * parse: one encoded record, taken apart in place. Internal to record/: inlined into the loops that touch every record of a broker.
 *
 * Invariants: nothing past `end` is read. What does not parse gives false and no view.
 */
#ifndef RECORD_PARSE_H
#define RECORD_PARSE_H

#include "base/bytes.h"

/* A record without what its batch adds to it. */
struct record_view {
	int64_t timestamp_delta;
	int32_t offset_delta;
	int32_t header_count;
	struct bytes key;
	struct bytes value;
	struct bytes headers; /* encoded */
};

/* At most 5 bytes, 32 bits; `*at` moves only on success. */
bool parse_uvarint_slow(const uint8_t **at, const uint8_t *end, uint32_t *ret_value);
/* At most 10 bytes, 64 bits. */
bool parse_uvarlong_slow(const uint8_t **at, const uint8_t *end, uint64_t *ret_value);
/* True when `headers` are `count` headers and nothing else. */
bool parse_headers(struct bytes headers, int32_t count);
/* True with the next header; false at the end or where none parses. */
bool parse_header(const uint8_t **at, const uint8_t *end, struct bytes *ret_key, struct bytes *ret_value);

/*
 * Nearly all varints are of one byte or two. These are branches on purpose: the records of a batch are alike, so they are predicted,
 * and the next field is read without waiting for this one's length.
 */
static inline bool parse_varint(const uint8_t **at, const uint8_t *end, int32_t *ret_value)
{
	const uint8_t *p = *at;
	uint32_t raw;

	if (end - p >= 1 && p[0] < 0x80) {
		raw = p[0];
		*at = p + 1;
	} else if (end - p >= 2 && p[1] < 0x80) {
		raw = (p[0] & 0x7fU) | (uint32_t)p[1] << 7;
		*at = p + 2;
	} else if (!parse_uvarint_slow(at, end, &raw)) {
		return false;
	}
	*ret_value = (int32_t)((raw >> 1) ^ (0U - (raw & 1)));
	return true;
}

static inline bool parse_varlong(const uint8_t **at, const uint8_t *end, int64_t *ret_value)
{
	const uint8_t *p = *at;
	uint64_t raw;

	if (end - p >= 1 && p[0] < 0x80) {
		raw = p[0];
		*at = p + 1;
	} else if (end - p >= 2 && p[1] < 0x80) {
		raw = (p[0] & 0x7fU) | (uint64_t)p[1] << 7;
		*at = p + 2;
	} else if (!parse_uvarlong_slow(at, end, &raw)) {
		return false;
	}
	*ret_value = (int64_t)((raw >> 1) ^ (0ULL - (raw & 1)));
	return true;
}

/* A length and as many bytes; -1 is null, what is below is no length. */
static inline bool parse_nullable(const uint8_t **at, const uint8_t *end, struct bytes *ret_bytes)
{
	int32_t size;

	if (!parse_varint(at, end, &size) || size < -1 || size > end - *at)
		return false;
	*ret_bytes = size < 0 ? bytes_null() : bytes_of(*at, (size_t)size);
	*at += ret_bytes->size;
	return true;
}

/* The body of a record: what follows its length, up to `end` exactly. */
static inline bool parse_record_body(const uint8_t *at, const uint8_t *end, struct record_view *ret_view)
{
	if (at == end)
		return false;
	at++; /* attributes: none is defined */
	if (!parse_varlong(&at, end, &ret_view->timestamp_delta) || !parse_varint(&at, end, &ret_view->offset_delta) ||
	    !parse_nullable(&at, end, &ret_view->key) || !parse_nullable(&at, end, &ret_view->value) ||
	    !parse_varint(&at, end, &ret_view->header_count))
		return false;
	ret_view->headers = bytes_of(at, (size_t)(end - at));
	if (ret_view->header_count == 0)
		return at == end;
	return parse_headers(ret_view->headers, ret_view->header_count);
}

/* The next record from `*at` on. */
static inline bool parse_record(const uint8_t **at, const uint8_t *end, struct record_view *ret_view)
{
	const uint8_t *p = *at;
	int32_t size;

	if (!parse_varint(&p, end, &size) || size < 0 || size > end - p || !parse_record_body(p, p + size, ret_view))
		return false;
	*at = p + size;
	return true;
}

#endif
