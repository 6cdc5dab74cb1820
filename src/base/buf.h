/*
 * buf: a growing run of bytes with a maximum, and the big-endian and varint writers on it.
 *
 * Errors stick: when a write would pass `max` nothing is written, `error` becomes ERR_TOO_BIG, and every later write is
 * ignored; the writer checks once at the end. Lifetime: buf_init .. buf_fini, or embedded zeroed with buf_init.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

struct buf {
	uint8_t *data;
	size_t size;
	size_t capacity;
	size_t max;
	enum err error;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
/* Empties it and clears the error; keeps the memory. */
void buf_reset(struct buf *b);
/* Makes room for `size` more bytes and returns where they start, already counted in `size`; NULL when past `max`. */
uint8_t *buf_extend(struct buf *b, size_t size);
/* Room for `size` more bytes without counting them; false when past `max`. */
bool buf_reserve(struct buf *b, size_t size);

void buf_put(struct buf *b, const void *data, size_t size);
void buf_put_bytes(struct buf *b, struct bytes bytes);
void buf_put_str(struct buf *b, const char *text);
void buf_put_i8(struct buf *b, int8_t value);
void buf_put_i16(struct buf *b, int16_t value);
void buf_put_i32(struct buf *b, int32_t value);
void buf_put_i64(struct buf *b, int64_t value);
void buf_put_u32(struct buf *b, uint32_t value);
void buf_put_f64(struct buf *b, double value);
/* uvarint: 7 bits a byte, low group first; varint and varlong are zigzag over it. */
void buf_put_uvarint(struct buf *b, uint64_t value);
void buf_put_varint(struct buf *b, int32_t value);
void buf_put_varlong(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How many bytes the value takes as uvarint / varlong. */
size_t uvarint_size(uint64_t value);
size_t varlong_size(int64_t value);

static inline struct bytes buf_bytes(const struct buf *b)
{
	return bytes_of(b->data ? b->data : (const uint8_t *)"", b->size);
}

/* Big-endian values at a place in memory, for fields that are patched after the fact. */
static inline void put_be16(void *at, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(at, &v, 2);
}

static inline void put_be32(void *at, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(at, &v, 4);
}

static inline void put_be64(void *at, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(at, &v, 8);
}

static inline uint16_t get_be16(const void *at)
{
	uint16_t v;

	memcpy(&v, at, 2);
	return __builtin_bswap16(v);
}

static inline uint32_t get_be32(const void *at)
{
	uint32_t v;

	memcpy(&v, at, 4);
	return __builtin_bswap32(v);
}

static inline uint64_t get_be64(const void *at)
{
	uint64_t v;

	memcpy(&v, at, 8);
	return __builtin_bswap64(v);
}

#endif
