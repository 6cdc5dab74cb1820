/*
 * reader: a cursor over foreign bytes with a sticky error.
 *
 * Reading past the end, or a varint that is too long, sets `error` to ERR_MALFORMED; from then on every read gives zero or
 * null, so the caller reads a whole structure and checks once. Nothing is copied: bytes that are returned point into the
 * source and live as long as it does.
 */
#ifndef BASE_READER_H
#define BASE_READER_H

#include "base/bytes.h"
#include "base/err.h"

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	enum err error;
};

static inline struct reader reader_of(struct bytes source)
{
	return (struct reader){.at = source.data, .end = source.data ? source.data + source.size : source.data};
}

static inline size_t reader_left(const struct reader *r)
{
	return r->error ? 0 : (size_t)(r->end - r->at);
}

int8_t reader_i8(struct reader *r);
int16_t reader_i16(struct reader *r);
int32_t reader_i32(struct reader *r);
int64_t reader_i64(struct reader *r);
uint32_t reader_u32(struct reader *r);
double reader_f64(struct reader *r);
/* At most 5 bytes and 32 bits; what does not fit is malformed. */
uint32_t reader_uvarint(struct reader *r);
int32_t reader_varint(struct reader *r);
/* At most 10 bytes and 64 bits. */
int64_t reader_varlong(struct reader *r);
/* The next `size` bytes, in place; null when they are not there. */
struct bytes reader_bytes(struct reader *r, size_t size);
void reader_skip(struct reader *r, size_t size);
/* Sets the error unless one is set already. */
void reader_fail(struct reader *r, enum err error);

#endif
