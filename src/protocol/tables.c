/* tables: see the header. Also the table of APIs. */
#include "protocol/tables.h"

#include "base/must.h"
#include "protocol/codec.h"
#include "protocol/messages.h"

const struct message_plan *plan_find(const struct message_type *t, int16_t version)
{
	if (version < t->first_version || version > t->last_version)
		return NULL;
	return t->plans[version - t->first_version];
}

void struct_init(const struct message_struct *of, void *at)
{
	memcpy(at, of->defaults, of->size_bytes);
}

void message_init(const struct message_type *t, void *message)
{
	struct_init(t->body, message);
}

void *struct_array_new(const struct message_struct *of, size_t count, struct arena *a)
{
	uint8_t *items = arena_alloc_array(a, count, of->size_bytes);

	for (size_t i = 0; items && i < count; i++)
		struct_init(of, items + i * of->size_bytes);
	return items;
}

static bool struct_is_default(const struct message_struct *of, const void *at)
{
	/* Nearly always so; text elsewhere in memory, or other padding, may still be the default. */
	if (memcmp(at, of->defaults, of->size_bytes) == 0)
		return true;
	for (size_t i = 0; i < of->field_count; i++)
		if (!field_is_default(of, &of->fields[i], at))
			return false;
	return true;
}

static bool text_equal(const void *at, const void *default_at)
{
	struct bytes value, default_value;

	memcpy(&value, at, sizeof(value));
	memcpy(&default_value, default_at, sizeof(default_value));
	return bytes_is_null(value) == bytes_is_null(default_value) && bytes_equal(value, default_value);
}

static bool pointed_is_default(const struct message_field *f, const void *at, const void *default_at)
{
	const void *value = array_items(at);

	if (!value || !array_items(default_at))
		return value == (const void *)array_items(default_at);
	return struct_is_default(f->of, value);
}

static size_t size_in_memory(enum field_type type)
{
	switch (type) {
	case FIELD_BOOL:
	case FIELD_INT8:
		return 1;
	case FIELD_INT16:
	case FIELD_UINT16:
		return 2;
	case FIELD_INT32:
	case FIELD_UINT32:
		return 4;
	case FIELD_INT64:
	case FIELD_FLOAT64:
		return 8;
	case FIELD_UUID:
		return 16;
	case FIELD_STRING:
	case FIELD_BYTES:
	case FIELD_RECORDS:
	case FIELD_STRUCT:
		break;
	}
	must_not_reach();
}

bool field_is_default(const struct message_struct *of, const struct message_field *f, const void *at)
{
	const uint8_t *value = (const uint8_t *)at + f->offset;
	const uint8_t *default_value = (const uint8_t *)of->defaults + f->offset;

	if (f->is_array)
		return array_count(value) == array_count(default_value);
	if (f->is_pointer)
		return pointed_is_default(f, value, default_value);
	if (f->type == FIELD_STRUCT)
		return struct_is_default(f->of, value);
	if (f->type == FIELD_STRING || f->type == FIELD_BYTES || f->type == FIELD_RECORDS)
		return text_equal(value, default_value);
	return memcmp(value, default_value, size_in_memory(f->type)) == 0;
}

const struct api *api_find(int16_t key)
{
	size_t low = 0, high = api_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (apis[middle].key == key)
			return &apis[middle];
		if (apis[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *api_name(int16_t key)
{
	const struct api *api = api_find(key);

	return api ? api->name : "unknown";
}
