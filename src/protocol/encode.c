/*
 * encode: structs to bytes, by the plans. Errors stick in the encoder; a full buf keeps its own. Both are looked at once.
 */
#include "base/must.h"
#include "protocol/codec.h"
#include "protocol/messages.h"
#include "protocol/tables.h"

struct encoder {
	struct buf *out;
	struct encode_cut *cuts; /* NULL: records are copied */
	size_t max_cuts;
	size_t cut_count;
	struct encode_errors *errors; /* NULL: nobody asks */
	enum err error;
};

static void fail(struct encoder *e, enum err error)
{
	if (!e->error)
		e->error = error;
}

/* Room for `size` bytes at the end, counted already; NULL when the buf is full. */
static inline uint8_t *room(struct encoder *e, size_t size)
{
	struct buf *b = e->out;

	if (!b->error && b->capacity - b->size >= size) {
		b->size += size;
		return b->data + (b->size - size);
	}
	return buf_extend(b, size);
}

static inline void put_uvarint(struct encoder *e, uint32_t value)
{
	if (value < 0x80) {
		uint8_t *at = room(e, 1);

		if (at)
			*at = (uint8_t)value;
		return;
	}
	buf_put_uvarint(e->out, value);
}

static inline void put_i16(struct encoder *e, int16_t value)
{
	uint8_t *at = room(e, 2);

	if (at)
		put_be16(at, (uint16_t)value);
}

static inline void put_i32(struct encoder *e, int32_t value)
{
	uint8_t *at = room(e, 4);

	if (at)
		put_be32(at, (uint32_t)value);
}

static inline struct bytes bytes_at(const void *from)
{
	struct bytes b;

	memcpy(&b, from, sizeof(b));
	return b;
}

static void put_run(struct encoder *e, struct bytes run)
{
	uint8_t *at;

	if (run.size == 0)
		return;
	at = room(e, run.size);
	if (at)
		memcpy(at, run.data, run.size);
}

static void put_records(struct encoder *e, struct bytes run)
{
	if (!e->cuts) {
		put_run(e, run);
		return;
	}
	if (run.size == 0)
		return;
	if (e->cut_count == e->max_cuts) {
		fail(e, ERR_TOO_BIG);
		return;
	}
	e->cuts[e->cut_count++] = (struct encode_cut){.offset = e->out->size, .records = run};
}

/* The length of a run; false when nothing follows it. */
static bool put_length(struct encoder *e, enum wire wire, struct bytes run, bool nullable)
{
	bool is_string = wire == WIRE_STRING || wire == WIRE_COMPACT_STRING;
	bool null = bytes_is_null(run);

	if (null && !nullable) {
		fail(e, ERR_BAD_VERSION);
		return false;
	}
	if (run.size > (is_string ? CODEC_MAX_STRING_BYTES : INT32_MAX)) {
		fail(e, ERR_TOO_BIG);
		return false;
	}
	if (wire == WIRE_STRING)
		put_i16(e, null ? -1 : (int16_t)run.size);
	else if (wire == WIRE_BYTES)
		put_i32(e, null ? -1 : (int32_t)run.size);
	else
		put_uvarint(e, null ? 0 : (uint32_t)run.size + 1);
	return !null;
}

/* Fixed-width values, one or many, from the machine's order to the wire's. */
static void encode_fixed(struct encoder *e, enum wire wire, size_t count, const void *from)
{
	static const uint8_t width[] = {[WIRE_BOOL] = 1,  [WIRE_INT8] = 1,  [WIRE_INT16] = 2,
					[WIRE_INT32] = 4, [WIRE_INT64] = 8, [WIRE_UUID] = 16};
	uint8_t *to = room(e, count * width[wire]);

	if (!to)
		return;
	switch (wire) {
	case WIRE_INT16:
		for (size_t i = 0; i < count; i++)
			put_be16(to + 2 * i, ((const uint16_t *)from)[i]);
		return;
	case WIRE_INT32:
		for (size_t i = 0; i < count; i++)
			put_be32(to + 4 * i, ((const uint32_t *)from)[i]);
		return;
	case WIRE_INT64:
		for (size_t i = 0; i < count; i++)
			put_be64(to + 8 * i, ((const uint64_t *)from)[i]);
		return;
	default:
		memcpy(to, from, count * width[wire]);
	}
}

static void note_error(struct encode_errors *errors, int16_t code)
{
	size_t i = 0;

	while (i < errors->kinds && errors->codes[i] != code)
		i++;
	if (i == ENCODE_ERROR_KINDS) {
		errors->others++;
		return;
	}
	if (i == errors->kinds) {
		errors->codes[errors->kinds++] = code;
		errors->counts[i] = 0;
	}
	errors->counts[i]++;
}

static void encode_int16(struct encoder *e, const struct message_step *step, const uint8_t *from)
{
	int16_t value;

	memcpy(&value, from, sizeof(value));
	put_i16(e, value);
	if (value && step->noted && e->errors)
		note_error(e->errors, value);
}

static void encode_plan(struct encoder *e, const struct message_plan *plan, const void *from,
			const struct tagged_fields *unknown);

static void encode_elements(struct encoder *e, const struct message_step *step, size_t count, const uint8_t *from)
{
	for (size_t i = 0; i < count && !e->error; i++, from += step->element_size_bytes) {
		if (step->element_wire == WIRE_STRUCT) {
			encode_plan(e, step->plan, from, NULL);
			continue;
		}
		if (put_length(e, step->element_wire, bytes_at(from), false))
			put_run(e, bytes_at(from));
	}
}

static void encode_array(struct encoder *e, const struct message_step *step, const void *from)
{
	const uint8_t *items = array_items(from);
	int32_t count = array_count(from);

	if (count < 0 && !step->nullable) {
		fail(e, ERR_BAD_VERSION);
		return;
	}
	if (step->wire == WIRE_ARRAY)
		put_i32(e, count < 0 ? -1 : count);
	else
		put_uvarint(e, count < 0 ? 0 : (uint32_t)count + 1);
	if (count <= 0)
		return;
	if (step->element_wire <= WIRE_UUID)
		encode_fixed(e, step->element_wire, (size_t)count, items);
	else
		encode_elements(e, step, (size_t)count, items);
}

static void encode_nullable_struct(struct encoder *e, const struct message_step *step, const void *from)
{
	const uint8_t *pointed = array_items(from);
	uint8_t *present = room(e, 1);
	uint8_t null_mark = step->wire == WIRE_NULLABLE_STRUCT ? 0xff : 0; /* int8 -1, or uvarint 0 */

	if (present)
		*present = pointed ? 1 : null_mark;
	if (pointed)
		encode_plan(e, step->plan, pointed, NULL);
}

static void encode_step(struct encoder *e, const struct message_step *step, const uint8_t *from)
{
	switch ((enum wire)step->wire) {
	case WIRE_BOOL:
	case WIRE_INT8:
	case WIRE_INT32:
	case WIRE_INT64:
	case WIRE_UUID:
		encode_fixed(e, step->wire, 1, from);
		return;
	case WIRE_INT16:
		encode_int16(e, step, from);
		return;
	case WIRE_STRING:
	case WIRE_COMPACT_STRING:
	case WIRE_BYTES:
	case WIRE_COMPACT_BYTES:
		if (!put_length(e, step->wire, bytes_at(from), step->nullable))
			return;
		if (step->noted)
			put_records(e, bytes_at(from));
		else
			put_run(e, bytes_at(from));
		return;
	case WIRE_STRUCT:
		encode_plan(e, step->plan, from, NULL);
		return;
	case WIRE_NULLABLE_STRUCT:
	case WIRE_TAGGED_NULLABLE_STRUCT:
		encode_nullable_struct(e, step, from);
		return;
	case WIRE_ARRAY:
	case WIRE_COMPACT_ARRAY:
		encode_array(e, step, from);
		return;
	}
	must_not_reach();
}

/* The value goes first and its size is moved in before it: most are a few bytes long. */
static void encode_tagged(struct encoder *e, const struct message_step *step, const uint8_t *from)
{
	size_t start, size, prefix;

	put_uvarint(e, step->tag);
	start = e->out->size;
	encode_step(e, step, from);
	if (e->error || e->out->error)
		return;
	size = e->out->size - start;
	prefix = uvarint_size(size);
	if (!room(e, prefix))
		return;
	memmove(e->out->data + start + prefix, e->out->data + start, size);
	e->out->size = start;
	put_uvarint(e, (uint32_t)size);
	e->out->size += size;
}

/* Unknown tags up to `below`, which is where the next known one goes. */
static void encode_unknown(struct encoder *e, const struct tagged_fields *unknown, int32_t *next, int64_t below)
{
	while (unknown && *next < unknown->count && unknown->items[*next].tag < below) {
		const struct tagged_field *field = &unknown->items[(*next)++];

		put_uvarint(e, field->tag);
		put_uvarint(e, (uint32_t)field->value.size);
		put_run(e, field->value);
	}
}

/* Unknown tags rise strictly and are none of the plan's own. */
static bool unknown_in_order(const struct message_plan *plan, const struct tagged_fields *unknown)
{
	int64_t before = -1;

	for (int32_t i = 0; i < unknown->count; i++) {
		if (unknown->items[i].tag <= before || unknown->items[i].value.size > INT32_MAX)
			return false;
		before = unknown->items[i].tag;
		for (size_t k = 0; k < plan->tagged_count; k++)
			if (plan->tagged[k].tag == before)
				return false;
	}
	return true;
}

static void encode_tags(struct encoder *e, const struct message_plan *plan, const uint8_t *from,
			const struct tagged_fields *unknown)
{
	uint32_t set = 0, count = unknown ? (uint32_t)unknown->count : 0;
	int32_t next = 0;

	for (size_t i = 0; i < plan->tagged_count; i++)
		if (!field_is_default(plan->of, &plan->of->fields[plan->tagged[i].field], from)) {
			set |= 1U << i;
			count++;
		}
	put_uvarint(e, count);
	if (count == 0)
		return;
	if (unknown && !unknown_in_order(plan, unknown)) {
		fail(e, ERR_MALFORMED);
		return;
	}
	for (size_t i = 0; i < plan->tagged_count; i++) {
		const struct message_step *step = &plan->tagged[i];

		if (!(set & 1U << i))
			continue;
		encode_unknown(e, unknown, &next, step->tag);
		encode_tagged(e, step, from + step->offset);
	}
	encode_unknown(e, unknown, &next, INT64_MAX);
}

/* What this version cannot say must be unsaid. */
static bool lacking_at_default(const struct message_plan *plan, const void *from)
{
	for (size_t i = 0; i < plan->lacking_count; i++)
		if (!field_is_default(plan->of, &plan->of->fields[plan->lacking[i]], from))
			return false;
	return true;
}

static void encode_plan(struct encoder *e, const struct message_plan *plan, const void *from,
			const struct tagged_fields *unknown)
{
	const uint8_t *base = from;

	if (!lacking_at_default(plan, from)) {
		fail(e, ERR_BAD_VERSION);
		return;
	}
	for (size_t i = 0; i < plan->step_count && !e->error; i++)
		encode_step(e, &plan->steps[i], base + plan->steps[i].offset);
	if (plan->flexible)
		encode_tags(e, plan, base, unknown);
	else if (unknown && unknown->count > 0)
		fail(e, ERR_BAD_VERSION);
}

static enum err encode(struct encoder *e, const struct message_type *t, int16_t version, const void *message)
{
	const struct message_plan *plan = plan_find(t, version);
	size_t before = e->out->size;
	enum err error;

	if (!plan)
		return ERR_BAD_VERSION;
	encode_plan(e, plan, message, (const void *)((const uint8_t *)message + t->unknown_tags_offset));
	error = e->error ? e->error : e->out->error;
	if (error)
		e->out->size = before;
	return error;
}

enum err message_encode(const struct message_type *t, int16_t version, const void *message, struct buf *out)
{
	struct encoder e = {.out = out};

	return encode(&e, t, version, message);
}

enum err message_encode_split(const struct message_type *t, int16_t version, const void *message, struct buf *out,
			      struct encode_cut *cuts, size_t max_cuts, size_t *ret_cuts)
{
	return message_encode_answer(t, version, message, out, cuts, max_cuts, ret_cuts, NULL);
}

enum err message_encode_answer(const struct message_type *t, int16_t version, const void *message, struct buf *out,
			       struct encode_cut *cuts, size_t max_cuts, size_t *ret_cuts,
			       struct encode_errors *ret_errors)
{
	/* Without a place for cuts there may still be none to make. */
	struct encode_cut none;
	struct encode_errors errors;
	struct encoder e = {.out = out, .cuts = cuts ? cuts : &none, .max_cuts = cuts ? max_cuts : 0};
	enum err error;

	if (ret_errors) {
		errors.kinds = errors.others = 0;
		e.errors = &errors;
	}
	error = encode(&e, t, version, message);
	if (error)
		return error;
	*ret_cuts = e.cut_count;
	if (ret_errors && errors.kinds > 0)
		*ret_errors = errors;
	else if (ret_errors)
		ret_errors->kinds = ret_errors->others = 0;
	return OK;
}

/* Header versions with a tag section write an empty one. */
static void put_no_tags(struct encoder *e, const struct api *api, int16_t version)
{
	if (version >= api->flexible_from)
		put_uvarint(e, 0);
}

static const struct api *api_of(const struct request_header *h)
{
	const struct api *api = api_find(h->api_key);

	return api && h->api_version >= api->min_version && h->api_version <= api->max_version ? api : NULL;
}

enum err request_header_encode(const struct request_header *h, struct buf *out)
{
	const struct api *api = api_of(h);
	struct encoder e = {.out = out};
	size_t before = out->size;
	enum err error;

	if (!api)
		return ERR_BAD_VERSION;
	put_i16(&e, h->api_key);
	put_i16(&e, h->api_version);
	put_i32(&e, h->correlation_id);
	if (put_length(&e, WIRE_STRING, h->client_id, true)) /* never compact */
		put_run(&e, h->client_id);
	put_no_tags(&e, api, h->api_version);
	error = e.error ? e.error : out->error;
	if (error)
		out->size = before;
	return error;
}

enum err response_header_encode(const struct request_header *request, struct buf *out)
{
	const struct api *api = api_find(request->api_key);
	struct encoder e = {.out = out};
	size_t before = out->size;

	if (!api)
		return ERR_BAD_VERSION;
	put_i32(&e, request->correlation_id);
	if (request->api_key != API_API_VERSIONS)
		put_no_tags(&e, api, request->api_version);
	if (out->error)
		out->size = before;
	return out->error;
}
