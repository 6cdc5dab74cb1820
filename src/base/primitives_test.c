/* primitives: every line of tests/compat/golden/primitives.jsonl, which Kafka's own classes computed. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/java_hash.h"
#include "base/murmur2.h"
#include "base/reader.h"
#include "base/test.h"
#include "base/uuid.h"

#define FILE_NAME "tests/compat/golden/primitives.jsonl"
#define MAX_BYTES 4096

struct vector {
	json_t *json;
	uint8_t memory[MAX_BYTES];
	struct bytes hex; /* what `hex` or `key_hex` says; null without either */
};

static int64_t integer(const struct vector *v, const char *name)
{
	const json_t *value = json_object_get(v->json, name);

	must(json_is_integer(value));
	return json_integer_value(value);
}

static struct bytes text(const struct vector *v, const char *name)
{
	const json_t *value = json_object_get(v->json, name);

	must(json_is_string(value));
	return bytes_of(json_string_value(value), json_string_length(value));
}

static void check_varint(const struct vector *v, const char *what)
{
	int64_t value = integer(v, "value");
	struct reader r = reader_of(v->hex);
	struct buf out;

	buf_init(&out, 16);
	if (strcmp(what, "uvarint") == 0) {
		buf_put_uvarint(&out, (uint64_t)value);
		CHECK_EQ(reader_uvarint(&r), value);
		CHECK_EQ(uvarint_size((uint64_t)value), v->hex.size);
	} else if (strcmp(what, "varint") == 0) {
		buf_put_varint(&out, (int32_t)value);
		CHECK_EQ(reader_varint(&r), value);
	} else {
		buf_put_varlong(&out, value);
		CHECK_EQ(reader_varlong(&r), value);
		CHECK_EQ(varlong_size(value), v->hex.size);
	}
	must_ok(r.error);
	CHECK_EQ(reader_left(&r), 0);
	CHECK_BYTES(buf_bytes(&out), v->hex);
	buf_fini(&out);
}

/* `partition_of_<n>` for each n that the line has; returns how many. */
static size_t check_partitions(const struct vector *v, int32_t (*partition)(const struct vector *v, int32_t count))
{
	const char *name;
	json_t *value;
	size_t checked = 0;

	json_object_foreach(v->json, name, value)
	{
		int32_t count = 0;

		if (sscanf(name, "partition_of_%d", &count) != 1)
			continue;
		CHECK_EQ(partition(v, count), json_integer_value(value));
		checked++;
	}
	return checked;
}

static struct bytes murmur_key(const struct vector *v)
{
	return bytes_is_null(v->hex) ? text(v, "key") : v->hex;
}

static int32_t murmur_partition(const struct vector *v, int32_t count)
{
	return (int32_t)(murmur2(murmur_key(v)) & 0x7fffffff) % count;
}

static int32_t coordinator_partition(const struct vector *v, int32_t count)
{
	return java_hash_partition(text(v, "id"), count);
}

static void check_uuid(const struct vector *v)
{
	char got[UUID_TEXT_SIZE];
	struct uuid u;

	must_ok(uuid_parse(text(v, "text"), &u));
	CHECK_BYTES(bytes_of(u.bytes, sizeof(u.bytes)), v->hex);
	uuid_format(u, got);
	CHECK_BYTES(bytes_str(got), text(v, "text"));
}

static void check_vector(const struct vector *v)
{
	const char *what = json_string_value(json_object_get(v->json, "what"));

	if (strcmp(what, "uvarint") == 0 || strcmp(what, "varint") == 0 || strcmp(what, "varlong") == 0) {
		check_varint(v, what);
	} else if (strcmp(what, "crc32c") == 0) {
		CHECK_EQ(crc32c(0, v->hex), integer(v, "value"));
	} else if (strcmp(what, "murmur2") == 0) {
		CHECK_EQ((int32_t)murmur2(murmur_key(v)), integer(v, "hash"));
		CHECK(check_partitions(v, murmur_partition) > 0);
	} else if (strcmp(what, "coordinator_partition") == 0) {
		CHECK_EQ(java_hash(text(v, "id")), integer(v, "java_string_hash"));
		CHECK(check_partitions(v, coordinator_partition) > 0);
	} else if (strcmp(what, "uuid") == 0) {
		check_uuid(v);
	} else {
		fail_msg("nothing checks '%s'", what);
	}
}

static void parse(struct vector *v, const char *line)
{
	const char *hex;

	*v = (struct vector){.json = json_loads(line, JSON_ALLOW_NUL, NULL)};
	must(v->json);
	hex = json_string_value(json_object_get(v->json, "hex"));
	if (!hex)
		hex = json_string_value(json_object_get(v->json, "key_hex"));
	if (!hex)
		return;
	must(strlen(hex) / 2 <= MAX_BYTES);
	for (size_t i = 0; i < strlen(hex) / 2; i++) {
		unsigned byte = 0;

		must(sscanf(hex + 2 * i, "%2x", &byte) == 1);
		v->memory[i] = (uint8_t)byte;
	}
	v->hex = bytes_of(v->memory, strlen(hex) / 2);
}

TEST(every_primitive_is_as_kafka_computes_it)
{
	FILE *file = fopen(FILE_NAME, "r");
	char *line = NULL;
	size_t capacity = 0, count = 0;

	must(file);
	while (getline(&line, &capacity, file) > 0) {
		struct vector v;

		parse(&v, line);
		check_vector(&v);
		json_decref(v.json);
		count++;
	}
	free(line);
	fclose(file);
	CHECK_EQ(count, 74);
	print_message("%zu primitives\n", count);
}

/* Java replaces what is no UTF-8, once for each longest run of bytes that could have begun a character. */
TEST(text_that_is_no_utf8_hashes_as_java_reads_it)
{
	static const struct {
		const char *text;
		const char *as; /* the same with U+FFFD written out */
	} cases[] = {
		{"a\xff", "a\xef\xbf\xbd"},
		{"\xc3", "\xef\xbf\xbd"},
		{"\xc3(", "\xef\xbf\xbd("},
		{"\xe2\x82", "\xef\xbf\xbd"},
		{"\xe2\x82z", "\xef\xbf\xbdz"},
		{"\xf0\x9f\x98", "\xef\xbf\xbd"},
		{"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xed\xa0\x80z", "\xef\xbf\xbdz"}, /* a surrogate: one for its three bytes */
		{"\xed\xa0", "\xef\xbf\xbd"},
		{"\xe0\x80z", "\xef\xbf\xbd\xef\xbf\xbdz"},
		{"\xf5\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
	};

	for (size_t i = 0; i < countof(cases); i++)
		CHECK_EQ(java_hash(bytes_str(cases[i].text)), java_hash(bytes_str(cases[i].as)));
	CHECK_EQ(java_hash(bytes_str("\xf0\x9f\x98\x80")), (int32_t)(31 * 0xd83d + 0xde00));
	CHECK_EQ(java_hash(bytes_null()), 0);
}
