/*
 * golden: every line of tests/compat/golden/golden.jsonl, which says of a message what it is as JSON and as the bytes that
 * Kafka's own classes write. JSON to struct and struct to JSON go through the same tables as the codec, but through no line
 * of its code. kraft.schema is generated for this test alone.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/test.h"
#include "protocol/codec.h"
#include "protocol/kraft_messages.h"
#include "protocol/messages.h"
#include "protocol/tables.h"

#define GOLDEN_FILE "tests/compat/golden/golden.jsonl"
#define GOLDEN_LINES 2330
#define ARENA_MAX ((size_t)1 << 20)

/* One line of the file, parsed. */
struct vector {
	const struct message_type *type;
	int16_t version;
	json_t *line;
	struct bytes bytes; /* what `hex` says */
	struct arena arena;
};

/* --- text forms ----------------------------------------------------------------------------------------------------*/

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static struct bytes base64_decode(struct arena *a, const char *text)
{
	uint8_t *out = arena_alloc(a, strlen(text) + 1);
	uint32_t bits = 0;
	unsigned have = 0;
	size_t size = 0;

	must(out);
	for (; *text && *text != '='; text++) {
		const char *found = strchr(base64, *text);

		must(found);
		bits = bits << 6 | (uint32_t)(found - base64);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[size++] = (uint8_t)(bits >> have);
		}
	}
	return bytes_of(out, size);
}

static json_t *base64_json(struct bytes in)
{
	char *text = mem_alloc(in.size * 2 + 5);
	size_t size = 0;
	json_t *value;

	for (size_t i = 0; i < in.size; i += 3) {
		size_t part = in.size - i < 3 ? in.size - i : 3;
		uint32_t bits = (uint32_t)in.data[i] << 16;

		bits |= part > 1 ? (uint32_t)in.data[i + 1] << 8 : 0;
		bits |= part > 2 ? (uint32_t)in.data[i + 2] : 0;
		for (size_t k = 0; k < 4; k++)
			text[size++] = k <= part ? base64[bits >> (18 - 6 * k) & 63] : '=';
	}
	value = json_stringn(text, size);
	mem_free(text);
	return value;
}

static struct bytes hex_decode(struct arena *a, const char *hex)
{
	size_t size = strlen(hex) / 2;
	uint8_t *out = arena_alloc(a, size + 1);

	must(out);
	for (size_t i = 0; i < size; i++) {
		unsigned byte = 0;

		must(sscanf(hex + 2 * i, "%2x", &byte) == 1);
		out[i] = (uint8_t)byte;
	}
	return bytes_of(out, size);
}

/* --- JSON to struct ------------------------------------------------------------------------------------------------*/

static void plan_from_json(struct arena *a, const struct message_plan *plan, const json_t *json, uint8_t *to);

static struct bytes run_from_json(struct arena *a, enum field_type type, const json_t *json)
{
	if (json_is_null(json))
		return bytes_null();
	must(json_is_string(json));
	if (type == FIELD_STRING)
		return bytes_of(json_string_value(json), json_string_length(json));
	return base64_decode(a, json_string_value(json));
}

static void scalar_from_json(struct arena *a, enum field_type type, const json_t *json, void *to)
{
	json_int_t number = json_integer_value(json);
	double real = json_number_value(json);
	struct bytes run;

	switch (type) {
	case FIELD_BOOL:
		*(bool *)to = json_is_true(json);
		return;
	case FIELD_INT8:
		*(int8_t *)to = (int8_t)number;
		return;
	case FIELD_INT16:
	case FIELD_UINT16:
		*(uint16_t *)to = (uint16_t)number;
		return;
	case FIELD_INT32:
	case FIELD_UINT32:
		*(uint32_t *)to = (uint32_t)number;
		return;
	case FIELD_INT64:
		*(int64_t *)to = number;
		return;
	case FIELD_FLOAT64:
		memcpy(to, &real, sizeof(real));
		return;
	case FIELD_UUID:
		must_ok(uuid_parse(bytes_str(json_string_value(json)), to));
		return;
	case FIELD_STRING:
	case FIELD_BYTES:
	case FIELD_RECORDS:
		run = run_from_json(a, type, json);
		memcpy(to, &run, sizeof(run));
		return;
	case FIELD_STRUCT:
		break;
	}
	must_not_reach();
}

static void array_from_json(struct arena *a, const struct message_step *step, const struct message_field *f,
			    const json_t *json, void *to)
{
	size_t count = json_array_size(json);
	uint8_t *items;

	if (json_is_null(json)) {
		array_set(to, NULL, -1);
		return;
	}
	must(json_is_array(json));
	items = arena_alloc_array(a, count, step->element_size_bytes);
	must(items);
	array_set(to, items, (int32_t)count);
	for (size_t i = 0; i < count; i++, items += step->element_size_bytes) {
		if (f->type == FIELD_STRUCT)
			plan_from_json(a, step->plan, json_array_get(json, i), items);
		else
			scalar_from_json(a, f->type, json_array_get(json, i), items);
	}
}

static void step_from_json(struct arena *a, const struct message_step *step, const struct message_field *f,
			   const json_t *json, uint8_t *to)
{
	void *pointed = NULL;

	if (f->is_array) {
		array_from_json(a, step, f, json, to);
	} else if (f->is_pointer) {
		if (!json_is_null(json)) {
			pointed = arena_alloc(a, f->of->size_bytes);
			plan_from_json(a, step->plan, json, pointed);
		}
		memcpy(to, &pointed, sizeof(pointed));
	} else if (f->type == FIELD_STRUCT) {
		plan_from_json(a, step->plan, json, to);
	} else {
		scalar_from_json(a, f->type, json, to);
	}
}

/* Every member has its field, every untagged field its member. */
static void plan_from_json(struct arena *a, const struct message_plan *plan, const json_t *json, uint8_t *to)
{
	size_t found = 0;

	memcpy(to, plan->of->defaults, plan->of->size_bytes);
	for (size_t i = 0; i < (size_t)plan->step_count + plan->tagged_count; i++) {
		bool tagged = i >= plan->step_count;
		const struct message_step *step = tagged ? &plan->tagged[i - plan->step_count] : &plan->steps[i];
		const struct message_field *f = &plan->of->fields[step->field];
		const json_t *member = json_object_get(json, f->name);

		if (!member) {
			must(tagged);
			continue;
		}
		found++;
		step_from_json(a, step, f, member, to + f->offset);
	}
	CHECK_EQ(found, json_object_size(json));
}

static struct tagged_fields *unknown_tags_of(const struct message_type *t, void *message)
{
	return (struct tagged_fields *)(void *)((uint8_t *)message + t->unknown_tags_offset);
}

static void message_from_json(struct vector *v, void *message)
{
	const struct message_plan *plan = plan_find(v->type, v->version);
	struct tagged_fields *unknown = unknown_tags_of(v->type, message);
	const json_t *list = json_object_get(v->line, "unknown");

	must(plan);
	plan_from_json(&v->arena, plan, json_object_get(v->line, "json"), message);
	unknown->items = arena_alloc_array(&v->arena, json_array_size(list), sizeof(*unknown->items));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *pair = json_array_get(list, i);

		unknown->items[unknown->count++] = (struct tagged_field){
			.tag = (uint32_t)json_integer_value(json_array_get(pair, 0)),
			.value = hex_decode(&v->arena, json_string_value(json_array_get(pair, 1))),
		};
	}
}

/* --- struct to JSON ------------------------------------------------------------------------------------------------*/

static json_t *plan_json(const struct message_plan *plan, const uint8_t *at);

static json_t *scalar_json(enum field_type type, const void *at)
{
	char text[UUID_TEXT_SIZE];
	struct bytes run;
	double real;

	switch (type) {
	case FIELD_BOOL:
		return json_boolean(*(const bool *)at);
	case FIELD_INT8:
		return json_integer(*(const int8_t *)at);
	case FIELD_INT16:
		return json_integer(*(const int16_t *)at);
	case FIELD_UINT16:
		return json_integer(*(const uint16_t *)at);
	case FIELD_INT32:
		return json_integer(*(const int32_t *)at);
	case FIELD_UINT32:
		return json_integer(*(const uint32_t *)at);
	case FIELD_INT64:
		return json_integer(*(const int64_t *)at);
	case FIELD_FLOAT64:
		memcpy(&real, at, sizeof(real));
		return json_real(real);
	case FIELD_UUID:
		uuid_format(*(const struct uuid *)at, text);
		return json_string(text);
	case FIELD_STRING:
	case FIELD_BYTES:
	case FIELD_RECORDS:
		memcpy(&run, at, sizeof(run));
		if (bytes_is_null(run))
			return json_null();
		return type == FIELD_STRING ? json_stringn((const char *)run.data, run.size) : base64_json(run);
	case FIELD_STRUCT:
		break;
	}
	must_not_reach();
}

static json_t *step_json(const struct message_step *step, const struct message_field *f, const uint8_t *at)
{
	const uint8_t *items = array_items(at);
	json_t *list;

	if (!f->is_array) {
		if (f->is_pointer)
			return items ? plan_json(step->plan, items) : json_null();
		return f->type == FIELD_STRUCT ? plan_json(step->plan, at) : scalar_json(f->type, at);
	}
	if (array_count(at) < 0)
		return json_null();
	list = json_array();
	for (int32_t i = 0; i < array_count(at); i++, items += step->element_size_bytes) {
		json_t *item = f->type == FIELD_STRUCT ? plan_json(step->plan, items) : scalar_json(f->type, items);

		must(item && json_array_append_new(list, item) == 0);
	}
	return list;
}

static json_t *plan_json(const struct message_plan *plan, const uint8_t *at)
{
	json_t *object = json_object();

	for (size_t i = 0; i < (size_t)plan->step_count + plan->tagged_count; i++) {
		bool tagged = i >= plan->step_count;
		const struct message_step *step = tagged ? &plan->tagged[i - plan->step_count] : &plan->steps[i];
		const struct message_field *f = &plan->of->fields[step->field];
		json_t *value;

		if (tagged && field_is_default(plan->of, f, at))
			continue;
		value = step_json(step, f, at + f->offset);
		must(value && json_object_set_new(object, f->name, value) == 0);
	}
	return object;
}

static void check_json(const struct vector *v, void *message)
{
	const struct tagged_fields *unknown = unknown_tags_of(v->type, message);
	const json_t *list = json_object_get(v->line, "unknown");
	json_t *got = plan_json(plan_find(v->type, v->version), message);

	if (!json_equal(got, json_object_get(v->line, "json"))) {
		char *text = json_dumps(got, JSON_COMPACT);

		print_error("%s v%d decodes to %s\n", v->type->name, v->version, text);
		free(text);
		fail();
	}
	json_decref(got);
	CHECK_EQ(unknown->count, json_array_size(list));
	for (int32_t i = 0; i < unknown->count; i++) {
		const json_t *pair = json_array_get(list, (size_t)i);
		struct arena scratch;

		arena_init(&scratch, ARENA_MAX);
		CHECK_EQ(unknown->items[i].tag, json_integer_value(json_array_get(pair, 0)));
		CHECK_BYTES(unknown->items[i].value, hex_decode(&scratch, json_string_value(json_array_get(pair, 1))));
		arena_fini(&scratch);
	}
}

/* --- the file ------------------------------------------------------------------------------------------------------*/

static const struct message_type *type_of(const char *name)
{
	for (size_t i = 0; i < message_type_count; i++)
		if (strcmp(message_types[i]->name, name) == 0)
			return message_types[i];
	for (size_t i = 0; i < kraft_message_type_count; i++)
		if (strcmp(kraft_message_types[i]->name, name) == 0)
			return kraft_message_types[i];
	return NULL;
}

static void vector_parse(struct vector *v, const char *line)
{
	json_error_t error;

	arena_init(&v->arena, ARENA_MAX);
	v->line = json_loads(line, JSON_ALLOW_NUL, &error);
	must(v->line);
	v->type = type_of(json_string_value(json_object_get(v->line, "name")));
	must(v->type);
	v->version = (int16_t)json_integer_value(json_object_get(v->line, "version"));
	v->bytes = hex_decode(&v->arena, json_string_value(json_object_get(v->line, "hex")));
}

/* Calls `check` with every vector of the file, in order, and returns how many there were. */
static size_t each_vector(void (*check)(struct vector *v))
{
	FILE *file = fopen(GOLDEN_FILE, "r");
	char *line = NULL;
	size_t capacity = 0, count = 0;

	must(file);
	while (getline(&line, &capacity, file) > 0) {
		struct vector v;

		vector_parse(&v, line);
		check(&v);
		json_decref(v.line);
		arena_fini(&v.arena);
		count++;
	}
	free(line);
	fclose(file);
	return count;
}

/* --- the tests -----------------------------------------------------------------------------------------------------*/

static void check_both_directions(struct vector *v)
{
	_Alignas(16) uint8_t message[MESSAGE_MAX_SIZE_BYTES];
	const char *name = v->type->name;
	struct reader r = reader_of(v->bytes);
	struct buf out;

	buf_init(&out, ARENA_MAX);
	message_from_json(v, message);
	test_check_err(message_encode(v->type, v->version, message, &out), OK, name, __FILE__, __LINE__);
	CHECK_BYTES(buf_bytes(&out), v->bytes);

	test_check_err(message_decode(v->type, v->version, &r, &v->arena, message), OK, name, __FILE__, __LINE__);
	CHECK_EQ(reader_left(&r), 0);
	check_json(v, message);
	buf_reset(&out);
	must_ok(message_encode(v->type, v->version, message, &out));
	CHECK_BYTES(buf_bytes(&out), v->bytes);
	buf_fini(&out);
}

TEST(every_golden_message_has_its_bytes_and_its_json)
{
	size_t count = each_vector(check_both_directions);

	CHECK_EQ(count, GOLDEN_LINES);
	print_message("%zu golden vectors, both directions\n", count);
}

/* The API table and the header rule, against what the file says beside each message. */
static void check_key_and_header(struct vector *v)
{
	const json_t *key = json_object_get(v->line, "key");
	const json_t *header = json_object_get(v->line, "header");
	const struct api *api;
	bool is_request = v->type->kind == MESSAGE_REQUEST;
	bool flexible = v->version >= v->type->flexible_from;

	CHECK_EQ(v->type->key, key ? json_integer_value(key) : -1);
	if (!header)
		return;
	api = api_find(v->type->key);
	CHECK(api);
	CHECK(v->type == (is_request ? api->request : api->response));
	CHECK_EQ(api->flexible_from, v->type->flexible_from);
	CHECK(v->version >= api->min_version && v->version <= api->max_version);
	if (is_request)
		CHECK_EQ(json_integer_value(header), flexible ? 2 : 1);
	else
		CHECK_EQ(json_integer_value(header), flexible && api->key != API_API_VERSIONS ? 1 : 0);
}

TEST(keys_and_header_versions_are_those_of_the_file)
{
	CHECK_EQ(each_vector(check_key_and_header), GOLDEN_LINES);
}

static void check_split(struct vector *v)
{
	_Alignas(16) uint8_t message[MESSAGE_MAX_SIZE_BYTES];
	struct encode_cut cuts[16];
	size_t cut_count = 0, from = 4;
	struct reader r = reader_of(v->bytes);
	struct buf out, whole;

	buf_init(&out, ARENA_MAX);
	buf_init(&whole, ARENA_MAX);
	must_ok(message_decode(v->type, v->version, &r, &v->arena, message));
	buf_put_i32(&out, 0); /* room for a frame's size: cuts count from the start of the buf */
	must_ok(message_encode_split(v->type, v->version, message, &out, cuts, countof(cuts), &cut_count));
	for (size_t i = 0; i < cut_count; i++) {
		buf_put(&whole, out.data + from, cuts[i].offset - from);
		buf_put_bytes(&whole, cuts[i].records);
		from = cuts[i].offset;
	}
	buf_put(&whole, out.data + from, out.size - from);
	CHECK_BYTES(buf_bytes(&whole), v->bytes);
	buf_fini(&out);
	buf_fini(&whole);
}

TEST(split_at_its_records_every_golden_message_is_the_same)
{
	CHECK_EQ(each_vector(check_split), GOLDEN_LINES);
}

/* Every prefix, in memory of exactly its size, so that a read beyond it is seen. */
static void check_cut_short(struct vector *v)
{
	for (size_t size = 0; size < v->bytes.size; size++) {
		_Alignas(16) uint8_t message[MESSAGE_MAX_SIZE_BYTES];
		uint8_t *part = mem_dup(v->bytes.data, size);
		struct reader r = reader_of(bytes_of(part, size));
		struct arena arena;
		enum err e;

		arena_init(&arena, ARENA_MAX);
		e = message_decode(v->type, v->version, &r, &arena, message);
		if (e != ERR_MALFORMED && e != ERR_TOO_BIG)
			fail_msg("%s v%d cut to %zu bytes gave %s", v->type->name, v->version, size, err_name(e));
		arena_fini(&arena);
		mem_free(part);
	}
}

TEST(no_golden_message_can_be_cut_short_unnoticed)
{
	CHECK_EQ(each_vector(check_cut_short), GOLDEN_LINES);
}

/* One byte changed at each place: an error, or a message that survives being written and read again. */
static void check_flipped(struct vector *v)
{
	for (size_t i = 0; i < v->bytes.size; i++) {
		_Alignas(16) uint8_t message[MESSAGE_MAX_SIZE_BYTES];
		uint8_t *changed = mem_dup(v->bytes.data, v->bytes.size);
		struct reader r = reader_of(bytes_of(changed, v->bytes.size));
		struct buf once, twice;
		struct arena arena;

		changed[i] = (uint8_t)(changed[i] + 0x7f);
		arena_init(&arena, ARENA_MAX);
		buf_init(&once, ARENA_MAX);
		buf_init(&twice, ARENA_MAX);
		if (!message_decode(v->type, v->version, &r, &arena, message)) {
			must_ok(message_encode(v->type, v->version, message, &once));
			r = reader_of(buf_bytes(&once));
			must_ok(message_decode(v->type, v->version, &r, &arena, message));
			CHECK_EQ(reader_left(&r), 0);
			must_ok(message_encode(v->type, v->version, message, &twice));
			CHECK_BYTES(buf_bytes(&twice), buf_bytes(&once));
		}
		buf_fini(&once);
		buf_fini(&twice);
		arena_fini(&arena);
		mem_free(changed);
	}
}

TEST(a_changed_byte_is_an_error_or_another_sound_message)
{
	CHECK_EQ(each_vector(check_flipped), GOLDEN_LINES);
}

static void check_print(struct vector *v)
{
	_Alignas(16) uint8_t message[MESSAGE_MAX_SIZE_BYTES];
	struct reader r = reader_of(v->bytes);
	struct buf out;

	buf_init(&out, ARENA_MAX);
	must_ok(message_decode(v->type, v->version, &r, &v->arena, message));
	message_print(v->type, v->version, message, &out);
	CHECK(out.size > strlen(v->type->name) + 4 && out.size <= MESSAGE_PRINT_MAX);
	for (size_t i = 0; i < out.size; i++)
		CHECK(out.data[i] >= ' ' && out.data[i] < 0x7f);
	buf_fini(&out);
}

TEST(every_golden_message_prints_as_one_short_line)
{
	CHECK_EQ(each_vector(check_print), GOLDEN_LINES);
}
