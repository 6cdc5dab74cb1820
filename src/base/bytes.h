/*
 * bytes: a borrowed run of bytes; also how text travels (no terminator). Null (data == NULL) and empty differ, as they do
 * in the protocol: bytes_null() is null, bytes_empty() points at something and has size 0.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *data;
	size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size)
{
	return (struct bytes){.data = data, .size = size};
}

static inline struct bytes bytes_null(void)
{
	return (struct bytes){0};
}

static inline struct bytes bytes_empty(void)
{
	return bytes_of("", 0);
}

/* The text without its terminator; null for NULL. */
static inline struct bytes bytes_str(const char *text)
{
	return bytes_of(text, text ? strlen(text) : 0);
}

static inline bool bytes_is_null(struct bytes b)
{
	return b.data == NULL;
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool bytes_equal_str(struct bytes a, const char *text)
{
	return bytes_equal(a, bytes_str(text));
}

/* Like memcmp over the common part, then the shorter one first. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
	size_t common = a.size < b.size ? a.size : b.size;
	int order = common ? memcmp(a.data, b.data, common) : 0;

	if (order)
		return order;
	return a.size < b.size ? -1 : a.size > b.size;
}

/* For printf's "%.*s". */
#define BYTES_ARG(b) (int)(b).size, (const char *)((b).data ? (b).data : (const uint8_t *)"")

#endif
