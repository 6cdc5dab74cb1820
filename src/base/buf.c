/* buf: see the header. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
	mem_free(b->data);
	*b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
	b->size = 0;
	b->error = OK;
}

bool buf_reserve(struct buf *b, size_t size)
{
	size_t capacity;

	if (b->error)
		return false;
	if (size > b->max - b->size) {
		b->error = ERR_TOO_BIG;
		return false;
	}
	/* No bytes are a place as well: buf_extend gives NULL for an error only. */
	if (b->data && b->size + size <= b->capacity)
		return true;
	capacity = b->capacity ? b->capacity : 256;
	while (capacity < b->size + size)
		capacity *= 2;
	if (capacity > b->max)
		capacity = b->max;
	b->data = mem_realloc(b->data, capacity);
	b->capacity = capacity;
	return true;
}

uint8_t *buf_extend(struct buf *b, size_t size)
{
	if (!buf_reserve(b, size))
		return NULL;
	b->size += size;
	return b->data + (b->size - size);
}

void buf_put(struct buf *b, const void *data, size_t size)
{
	uint8_t *at = size ? buf_extend(b, size) : NULL;

	if (at)
		memcpy(at, data, size);
}

void buf_put_bytes(struct buf *b, struct bytes bytes)
{
	buf_put(b, bytes.data, bytes.size);
}

void buf_put_str(struct buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}

void buf_put_i8(struct buf *b, int8_t value)
{
	buf_put(b, &value, 1);
}

void buf_put_i16(struct buf *b, int16_t value)
{
	uint8_t *at = buf_extend(b, 2);

	if (at)
		put_be16(at, (uint16_t)value);
}

void buf_put_u32(struct buf *b, uint32_t value)
{
	uint8_t *at = buf_extend(b, 4);

	if (at)
		put_be32(at, value);
}

void buf_put_i32(struct buf *b, int32_t value)
{
	buf_put_u32(b, (uint32_t)value);
}

void buf_put_i64(struct buf *b, int64_t value)
{
	uint8_t *at = buf_extend(b, 8);

	if (at)
		put_be64(at, (uint64_t)value);
}

void buf_put_f64(struct buf *b, double value)
{
	int64_t bits;

	memcpy(&bits, &value, 8);
	buf_put_i64(b, bits);
}

void buf_put_uvarint(struct buf *b, uint64_t value)
{
	uint8_t bytes[10];
	size_t size = 0;

	while (value >= 0x80) {
		bytes[size++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	bytes[size++] = (uint8_t)value;
	buf_put(b, bytes, size);
}

void buf_put_varint(struct buf *b, int32_t value)
{
	buf_put_uvarint(b, ((uint32_t)value << 1) ^ (uint32_t)(value >> 31));
}

void buf_put_varlong(struct buf *b, int64_t value)
{
	buf_put_uvarint(b, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

size_t uvarint_size(uint64_t value)
{
	size_t size = 1;

	while (value >= 0x80) {
		value >>= 7;
		size++;
	}
	return size;
}

size_t varlong_size(int64_t value)
{
	return uvarint_size(((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args, again;
	char few[256], *text = few;
	int needed;

	va_start(args, format);
	va_copy(again, args);
	needed = vsnprintf(few, sizeof(few), format, args);
	va_end(args);
	/* Not straight into the buf: the terminator may have no room there, and is not to be counted. */
	if (needed >= (int)sizeof(few)) {
		text = mem_alloc((size_t)needed + 1);
		vsnprintf(text, (size_t)needed + 1, format, again);
	}
	va_end(again);
	if (needed > 0)
		buf_put(b, text, (size_t)needed);
	if (text != few)
		mem_free(text);
}
