/*
 * tables: small readings of the generated tables that decode.c, encode.c and print.c share. Not for other modules.
 */
#ifndef PROTOCOL_TABLES_H
#define PROTOCOL_TABLES_H

#include "protocol/message_type.h"

/* The plan of a version; NULL when the message has no such version. */
const struct message_plan *plan_find(const struct message_type *t, int16_t version);

/* Whether the field of the struct at `at` holds its default; text, bytes and structs by their content. */
bool field_is_default(const struct message_struct *of, const struct message_field *f, const void *at);

/* The elements and the count of the array field at `at`, wherever it lies; a negative count is null. */
static inline const uint8_t *array_items(const void *at)
{
	const uint8_t *items;

	memcpy(&items, at, sizeof(items));
	return items;
}

static inline int32_t array_count(const void *at)
{
	int32_t count;

	memcpy(&count, (const uint8_t *)at + sizeof(void *), sizeof(count));
	return count;
}

static inline void array_set(void *at, const void *items, int32_t count)
{
	memcpy(at, &items, sizeof(items));
	memcpy((uint8_t *)at + sizeof(void *), &count, sizeof(count));
}

#endif
