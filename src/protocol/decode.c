/*
 * decode: bytes to structs, by the plans. The cursor is a local copy of the caller's reader, so that the compiler keeps it
 * in registers. Errors stick: the first empties the cursor, and what is read after it is zero.
 */
#include "base/must.h"
#include "protocol/codec.h"
#include "protocol/messages.h"
#include "protocol/tables.h"

struct decoder {
	const uint8_t *at;
	const uint8_t *end;
	struct arena *arena;
	enum err error;
};

static void fail(struct decoder *d, enum err error)
{
	if (!d->error)
		d->error = error;
	d->at = d->end;
}

static inline size_t left(const struct decoder *d)
{
	return (size_t)(d->end - d->at);
}

/* The next `size` bytes; NULL, with the error set, when they are not there. */
static inline const uint8_t *take(struct decoder *d, size_t size)
{
	const uint8_t *taken = d->at;

	if (left(d) < size) {
		fail(d, ERR_MALFORMED);
		return NULL;
	}
	d->at += size;
	return taken;
}

/* At most five bytes and 32 bits. */
static uint32_t take_long_uvarint(struct decoder *d)
{
	uint32_t value = 0;

	for (unsigned shift = 0; shift < 35; shift += 7) {
		const uint8_t *byte = take(d, 1);

		if (!byte)
			return 0;
		if (shift == 28 && *byte > 0x0f)
			break;
		value |= (uint32_t)(*byte & 0x7f) << shift;
		if (!(*byte & 0x80))
			return value;
	}
	fail(d, ERR_MALFORMED);
	return 0;
}

static inline uint32_t take_uvarint(struct decoder *d)
{
	const uint8_t *first = d->at;

	if (first && first < d->end && *first < 0x80) {
		d->at++;
		return *first;
	}
	return take_long_uvarint(d);
}

/* A compact length or count: one less than what is written; what no int32 holds is negative, as in Kafka. */
static inline int32_t take_compact(struct decoder *d)
{
	return (int32_t)(take_uvarint(d) - 1);
}

static inline int16_t take_i16(struct decoder *d)
{
	const uint8_t *at = take(d, 2);

	return at ? (int16_t)get_be16(at) : 0;
}

static inline int32_t take_i32(struct decoder *d)
{
	const uint8_t *at = take(d, 4);

	return at ? (int32_t)get_be32(at) : 0;
}

/* Any negative size is null where null may be (Kafka takes it so, and clients have relied on it). */
static inline void take_run(struct decoder *d, int32_t size, bool nullable, void *ret_bytes)
{
	struct bytes run = {0};

	if (size < 0) {
		if (!nullable)
			fail(d, ERR_MALFORMED);
	} else {
		run.data = take(d, (size_t)size);
		run.size = run.data ? (size_t)size : 0;
	}
	memcpy(ret_bytes, &run, sizeof(run));
}

static inline void take_string(struct decoder *d, int32_t size, bool nullable, void *ret_bytes)
{
	if (size > CODEC_MAX_STRING_BYTES)
		fail(d, ERR_MALFORMED);
	take_run(d, size, nullable, ret_bytes);
}

static void decode_plan(struct decoder *d, const struct message_plan *plan, void *to, struct tagged_fields *unknown);

/* Fixed-width values, one or many: `bytes` of each, from the wire's order to the machine's. */
static void decode_fixed(struct decoder *d, enum wire wire, size_t count, void *to)
{
	static const uint8_t width[] = {[WIRE_BOOL] = 1,  [WIRE_INT8] = 1,  [WIRE_INT16] = 2,
					[WIRE_INT32] = 4, [WIRE_INT64] = 8, [WIRE_UUID] = 16};
	const uint8_t *from = take(d, count * width[wire]);

	if (!from)
		return;
	switch (wire) {
	case WIRE_BOOL:
		for (size_t i = 0; i < count; i++)
			((bool *)to)[i] = from[i] != 0;
		return;
	case WIRE_INT16:
		for (size_t i = 0; i < count; i++)
			((uint16_t *)to)[i] = get_be16(from + 2 * i);
		return;
	case WIRE_INT32:
		for (size_t i = 0; i < count; i++)
			((uint32_t *)to)[i] = get_be32(from + 4 * i);
		return;
	case WIRE_INT64:
		for (size_t i = 0; i < count; i++)
			((uint64_t *)to)[i] = get_be64(from + 8 * i);
		return;
	default:
		memcpy(to, from, count * width[wire]);
	}
}

/* Elements that are no fixed-width values. */
static void decode_elements(struct decoder *d, const struct message_step *step, size_t count, uint8_t *to)
{
	for (size_t i = 0; i < count && !d->error; i++, to += step->element_size_bytes) {
		switch ((enum wire)step->element_wire) {
		case WIRE_STRUCT:
			decode_plan(d, step->plan, to, NULL);
			break;
		case WIRE_STRING:
			take_string(d, take_i16(d), false, to);
			break;
		case WIRE_COMPACT_STRING:
			take_string(d, take_compact(d), false, to);
			break;
		case WIRE_BYTES:
			take_run(d, take_i32(d), false, to);
			break;
		case WIRE_COMPACT_BYTES:
			take_run(d, take_compact(d), false, to);
			break;
		default:
			must_not_reach();
		}
	}
}

static void decode_array(struct decoder *d, const struct message_step *step, int32_t count, void *to)
{
	void *items;

	if (d->error)
		return;
	if (count < 0) {
		if (!step->nullable)
			fail(d, ERR_MALFORMED);
		array_set(to, NULL, -1);
		return;
	}
	array_set(to, NULL, 0);
	if (count == 0)
		return;
	/* Before anything is allocated: a few bytes must not make us reserve megabytes. */
	if (count > CODEC_MAX_ELEMENTS || (size_t)count > left(d) / step->element_wire_least) {
		fail(d, ERR_TOO_BIG);
		return;
	}
	items = arena_alloc_array(d->arena, (size_t)count, step->element_size_bytes);
	if (!items) {
		fail(d, ERR_NO_MEMORY);
		return;
	}
	array_set(to, items, count);
	if (step->element_wire <= WIRE_UUID)
		decode_fixed(d, step->element_wire, (size_t)count, items);
	else
		decode_elements(d, step, (size_t)count, items);
}

static void decode_nullable_struct(struct decoder *d, const struct message_plan *plan, bool present, void *to)
{
	void *pointed = NULL;

	if (present && !d->error) {
		pointed = arena_alloc(d->arena, plan->of->size_bytes);
		if (pointed)
			decode_plan(d, plan, pointed, NULL);
		else
			fail(d, ERR_NO_MEMORY);
	}
	memcpy(to, &pointed, sizeof(pointed));
}

static bool take_present_i8(struct decoder *d)
{
	const uint8_t *at = take(d, 1);

	return at && (int8_t)*at >= 0;
}

static void decode_step(struct decoder *d, const struct message_step *step, uint8_t *to)
{
	int32_t number;

	switch ((enum wire)step->wire) {
	case WIRE_INT32: /* the most frequent by far */
		number = take_i32(d);
		memcpy(to, &number, sizeof(number));
		return;
	case WIRE_BOOL:
	case WIRE_INT8:
	case WIRE_INT16:
	case WIRE_INT64:
	case WIRE_UUID:
		decode_fixed(d, step->wire, 1, to);
		return;
	case WIRE_STRING:
		take_string(d, take_i16(d), step->nullable, to);
		return;
	case WIRE_COMPACT_STRING:
		take_string(d, take_compact(d), step->nullable, to);
		return;
	case WIRE_BYTES:
		take_run(d, take_i32(d), step->nullable, to);
		return;
	case WIRE_COMPACT_BYTES:
		take_run(d, take_compact(d), step->nullable, to);
		return;
	case WIRE_STRUCT:
		decode_plan(d, step->plan, to, NULL);
		return;
	case WIRE_NULLABLE_STRUCT:
		decode_nullable_struct(d, step->plan, take_present_i8(d), to);
		return;
	case WIRE_TAGGED_NULLABLE_STRUCT:
		decode_nullable_struct(d, step->plan, take_uvarint(d) != 0, to);
		return;
	case WIRE_ARRAY:
		decode_array(d, step, take_i32(d), to);
		return;
	case WIRE_COMPACT_ARRAY:
		decode_array(d, step, take_compact(d), to);
		return;
	}
	must_not_reach();
}

static const struct message_step *find_tag(const struct message_plan *plan, uint32_t tag)
{
	for (size_t i = 0; plan && i < plan->tagged_count; i++)
		if (plan->tagged[i].tag == tag)
			return &plan->tagged[i];
	return NULL;
}

/* A tag's value takes up its size exactly: a field that ends elsewhere is not what its writer meant. */
static void decode_tagged(struct decoder *d, const struct message_step *step, size_t size, uint8_t *to)
{
	const uint8_t *end = d->end;

	if (left(d) < size) {
		fail(d, ERR_MALFORMED);
		return;
	}
	d->end = d->at + size;
	decode_step(d, step, to + step->offset);
	if (d->at != d->end)
		fail(d, ERR_MALFORMED);
	d->end = end;
	if (d->error)
		d->at = d->end;
}

static void keep_unknown(struct decoder *d, struct tagged_fields *unknown, uint32_t most, struct tagged_field field)
{
	if (!unknown->items)
		unknown->items = arena_alloc_array(d->arena, most, sizeof(*unknown->items));
	if (!unknown->items) {
		fail(d, ERR_NO_MEMORY);
		return;
	}
	unknown->items[unknown->count++] = field;
}

/* A tag section. `plan` NULL knows no tag; `unknown` NULL drops what is not known. */
static void decode_tags(struct decoder *d, const struct message_plan *plan, void *to, struct tagged_fields *unknown)
{
	uint32_t count = take_uvarint(d);
	int64_t before = -1;

	/* Tag and size take at least a byte each. */
	if (count > CODEC_MAX_TAGS || count > left(d) / 2) {
		fail(d, ERR_TOO_BIG);
		return;
	}
	for (uint32_t i = 0; i < count && !d->error; i++) {
		uint32_t tag = take_uvarint(d);
		uint32_t size = take_uvarint(d);
		const struct message_step *step = find_tag(plan, tag);
		const uint8_t *value;

		if (d->error || tag <= before) {
			fail(d, ERR_MALFORMED);
			return;
		}
		before = tag;
		if (step) {
			decode_tagged(d, step, size, to);
			continue;
		}
		value = take(d, size);
		if (value && unknown)
			keep_unknown(d, unknown, count - i, (struct tagged_field){tag, bytes_of(value, size)});
	}
}

static void decode_plan(struct decoder *d, const struct message_plan *plan, void *to, struct tagged_fields *unknown)
{
	uint8_t *base = to;

	memcpy(to, plan->of->defaults, plan->of->size_bytes);
	for (size_t i = 0; i < plan->step_count; i++)
		decode_step(d, &plan->steps[i], base + plan->steps[i].offset);
	if (plan->flexible)
		decode_tags(d, plan, to, unknown);
}

enum err message_decode(const struct message_type *t, int16_t version, struct reader *r, struct arena *a,
			void *ret_message)
{
	_Alignas(16) uint8_t message[MESSAGE_MAX_SIZE_BYTES];
	const struct message_plan *plan = plan_find(t, version);
	struct decoder d = {.at = r->at, .end = r->end, .arena = a, .error = r->error};

	if (r->error)
		return r->error;
	if (!plan) {
		reader_fail(r, ERR_BAD_VERSION);
		return ERR_BAD_VERSION;
	}
	must(t->body->size_bytes <= sizeof(message));
	decode_plan(&d, plan, message, (struct tagged_fields *)(void *)(message + t->unknown_tags_offset));
	r->at = d.at;
	if (d.error) {
		reader_fail(r, d.error);
		return d.error;
	}
	memcpy(ret_message, message, t->body->size_bytes);
	return OK;
}

/* The key that clients and brokers peek at decides how the rest of the header is laid out. */
static bool has_tags(int16_t key, int16_t version)
{
	const struct api *api = api_find(key);

	return api && version >= api->flexible_from;
}

enum err request_header_decode(struct reader *r, struct request_header *ret_header)
{
	struct decoder d = {.at = r->at, .end = r->end, .error = r->error};
	struct request_header h = {0};

	h.api_key = take_i16(&d);
	h.api_version = take_i16(&d);
	h.correlation_id = take_i32(&d);
	take_run(&d, take_i16(&d), true, &h.client_id); /* never compact */
	if (has_tags(h.api_key, h.api_version))
		decode_tags(&d, NULL, NULL, NULL);
	r->at = d.at;
	if (d.error)
		reader_fail(r, d.error);
	else
		*ret_header = h;
	return d.error;
}

enum err response_header_decode(struct reader *r, const struct request_header *request, int32_t *ret_correlation_id)
{
	struct decoder d = {.at = r->at, .end = r->end, .error = r->error};
	int32_t correlation_id = take_i32(&d);

	if (request->api_key != API_API_VERSIONS && has_tags(request->api_key, request->api_version))
		decode_tags(&d, NULL, NULL, NULL);
	r->at = d.at;
	if (d.error)
		reader_fail(r, d.error);
	else
		*ret_correlation_id = correlation_id;
	return d.error;
}
