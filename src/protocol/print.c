/*
 * print: a message as one line of text for traces. Written into a buffer of fixed size first, so that a message of a
 * million elements costs no more than one that fits.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/must.h"
#include "protocol/codec.h"
#include "protocol/tables.h"

#define PRINT_MAX_TEXT 100 /* characters of one string */

struct printer {
	char text[MESSAGE_PRINT_MAX];
	size_t size;
	bool full;
};

static const char more[] = "...";

__attribute__((format(printf, 2, 3))) static void put(struct printer *p, const char *format, ...)
{
	/* The end is kept free for the mark that something is missing. */
	size_t space = sizeof(p->text) - p->size - (sizeof(more) - 1);
	va_list args;
	int size;

	if (p->full)
		return;
	va_start(args, format);
	size = vsnprintf(p->text + p->size, space, format, args);
	va_end(args);
	if (size < 0 || (size_t)size >= space) {
		p->full = true;
		memcpy(p->text + p->size, more, sizeof(more) - 1);
		p->size += sizeof(more) - 1;
		return;
	}
	p->size += (size_t)size;
}

static void print_string(struct printer *p, struct bytes text)
{
	if (bytes_is_null(text)) {
		put(p, "null");
		return;
	}
	put(p, "\"");
	for (size_t i = 0; i < text.size && i < PRINT_MAX_TEXT; i++) {
		uint8_t c = text.data[i];

		if (c == '"' || c == '\\')
			put(p, "\\%c", c);
		else if (c >= ' ' && c < 0x7f)
			put(p, "%c", c);
		else
			put(p, "\\x%02x", c);
	}
	put(p, text.size > PRINT_MAX_TEXT ? "...\"" : "\"");
}

static void print_size(struct printer *p, struct bytes run)
{
	if (bytes_is_null(run))
		put(p, "null");
	else
		put(p, "<%zu bytes>", run.size);
}

#define VALUE(type, at) \
	({ \
		type value_; \
		memcpy(&value_, (at), sizeof(value_)); \
		value_; \
	})

static void print_plan(struct printer *p, const struct message_plan *plan, const uint8_t *at);

static void print_scalar(struct printer *p, enum field_type type, const uint8_t *at)
{
	char uuid[UUID_TEXT_SIZE];

	switch (type) {
	case FIELD_BOOL:
		put(p, VALUE(bool, at) ? "true" : "false");
		return;
	case FIELD_INT8:
		put(p, "%d", VALUE(int8_t, at));
		return;
	case FIELD_INT16:
		put(p, "%d", VALUE(int16_t, at));
		return;
	case FIELD_UINT16:
		put(p, "%u", VALUE(uint16_t, at));
		return;
	case FIELD_INT32:
		put(p, "%d", VALUE(int32_t, at));
		return;
	case FIELD_UINT32:
		put(p, "%u", VALUE(uint32_t, at));
		return;
	case FIELD_INT64:
		put(p, "%lld", (long long)VALUE(int64_t, at));
		return;
	case FIELD_FLOAT64:
		put(p, "%g", VALUE(double, at));
		return;
	case FIELD_UUID:
		uuid_format(VALUE(struct uuid, at), uuid);
		put(p, "%s", uuid);
		return;
	case FIELD_STRING:
		print_string(p, VALUE(struct bytes, at));
		return;
	case FIELD_BYTES:
	case FIELD_RECORDS:
		print_size(p, VALUE(struct bytes, at));
		return;
	case FIELD_STRUCT:
		break;
	}
	must_not_reach();
}

static void print_array(struct printer *p, const struct message_step *step, enum field_type type, const uint8_t *at)
{
	const uint8_t *items = array_items(at);
	int32_t count = array_count(at);

	if (count < 0) {
		put(p, "null");
		return;
	}
	put(p, "[");
	for (int32_t i = 0; i < count && !p->full; i++, items += step->element_size_bytes) {
		put(p, i ? ", " : "");
		if (type == FIELD_STRUCT)
			print_plan(p, step->plan, items);
		else
			print_scalar(p, type, items);
	}
	put(p, "]");
}

static void print_step(struct printer *p, const struct message_step *step, const struct message_field *f,
		       const uint8_t *at)
{
	put(p, "%s: ", f->name);
	if (f->is_array) {
		print_array(p, step, f->type, at);
		return;
	}
	if (f->type != FIELD_STRUCT) {
		print_scalar(p, f->type, at);
		return;
	}
	if (f->is_pointer)
		at = array_items(at);
	if (at)
		print_plan(p, step->plan, at);
	else
		put(p, "null");
}

static void print_plan(struct printer *p, const struct message_plan *plan, const uint8_t *at)
{
	const char *between = "";

	put(p, "{");
	for (size_t i = 0; i < plan->step_count; i++) {
		put(p, "%s", between);
		print_step(p, &plan->steps[i], &plan->of->fields[plan->steps[i].field], at + plan->steps[i].offset);
		between = ", ";
	}
	for (size_t i = 0; i < plan->tagged_count; i++) {
		const struct message_field *f = &plan->of->fields[plan->tagged[i].field];

		if (field_is_default(plan->of, f, at))
			continue;
		put(p, "%s", between);
		print_step(p, &plan->tagged[i], f, at + plan->tagged[i].offset);
		between = ", ";
	}
	put(p, "}");
}

void message_print(const struct message_type *t, int16_t version, const void *message, struct buf *out)
{
	const struct message_plan *plan = plan_find(t, version);
	const struct tagged_fields *unknown = (const void *)((const uint8_t *)message + t->unknown_tags_offset);
	struct printer p = {.size = 0};

	put(&p, "%s v%d ", t->name, version);
	if (!plan) {
		put(&p, "(no such version)");
	} else {
		print_plan(&p, plan, message);
		if (unknown->count > 0)
			put(&p, " and %d unknown tags", unknown->count);
	}
	buf_put(out, p.text, p.size);
}
