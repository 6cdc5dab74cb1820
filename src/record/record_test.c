#include "record/record.h"

#include "base/test.h"
#include "record/builder.h"
#include "record/control.h"
#include "record/legacy.h"

#define NOW 1700000000000
#define MANY (1u << 20)

/* A batch that claims `count` records in these bytes, sealed. */
static struct bytes batch_of(int32_t count, const char *records, size_t size, struct buf *out)
{
	struct batch_header h = {
		.magic = BATCH_MAGIC, .base_offset = 100, .base_sequence = NO_SEQUENCE, .record_count = count};

	buf_init(out, MANY);
	batch_header_write(buf_extend(out, BATCH_HEADER_SIZE), &h);
	buf_put(out, records, size);
	batch_seal(out->data, out->size);
	return buf_bytes(out);
}

#define R(text) (text), sizeof(text) - 1
/* length 6, attributes, timestamp delta 0, offset delta 0, null key, null value, no headers */
#define SMALL "\x0c\0\0\0\1\1\0"

/* How many records come out of these bytes, and what ends them. */
TEST(records_end_where_the_bytes_do)
{
	/* clang-format off */
	static const struct {
		const char *what;
		int32_t count;
		const char *bytes;
		size_t size;
		int records;
		enum err end;
	} cases[] = {
		{"none",			0, R(""), 0, ERR_END},
		{"one",				1, R(SMALL), 1, ERR_END},
		{"two",				2, R(SMALL SMALL), 2, ERR_END},
		{"one too few",			2, R(SMALL), 1, ERR_CORRUPT},
		{"one too many",		1, R(SMALL SMALL), 1, ERR_CORRUPT},
		{"bytes but no records",	0, R("\0"), 0, ERR_CORRUPT},
		{"a count bomb",		INT32_MAX, R(SMALL), 1, ERR_CORRUPT},
		{"length cut off",		1, R("\x80"), 0, ERR_CORRUPT},
		{"length of six bytes",		1, R("\x8c\x80\x80\x80\x80\0" SMALL), 0, ERR_CORRUPT},
		{"length of 33 bits",		1, R("\x8c\x80\x80\x80\x10" SMALL), 0, ERR_CORRUPT},
		{"length in more bytes than needed", 1, R("\x8c\0\0\0\0\1\1\0"), 1, ERR_END},
		{"length negative",		1, R("\x0b\0\0\0\1\1\0"), 0, ERR_CORRUPT},
		{"length 2^31-1",		1, R("\xfe\xff\xff\xff\x0f\0\0\0\1\1\0"), 0, ERR_CORRUPT},
		{"timestamp of ten bytes",	1, R("\x1e\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0\1\1\0"), 1, ERR_END},
		{"timestamp of 65 bits",	1, R("\x1e\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\2\0\1\1\0"), 0, ERR_CORRUPT},
		{"timestamp cut off",		1, R("\x0c\0\xff\xff\xff\xff\xff"), 0, ERR_CORRUPT},
		{"offset delta negative",	1, R("\x0c\0\0\1\1\1\0"), 0, ERR_CORRUPT},
		{"key length -2",		1, R("\x0c\0\0\0\3\1\0"), 0, ERR_CORRUPT},
		{"key longer than the record",	1, R("\x0c\0\0\0\x10\1\0"), 0, ERR_CORRUPT},
		{"key that reaches into the next", 2, R("\x0c\0\0\0\6\1\0" SMALL), 0, ERR_CORRUPT},
		{"value length -2^31",		1, R("\x14\0\0\0\1\xff\xff\xff\xff\x0f\0"), 0, ERR_CORRUPT},
		{"no header count",		1, R("\x0a\0\0\0\1\1"), 0, ERR_CORRUPT},
		{"one byte left over",		1, R("\x0e\0\0\0\1\1\0\0"), 0, ERR_CORRUPT},
		{"header count negative",	1, R("\x0c\0\0\0\1\1\1"), 0, ERR_CORRUPT},
		{"a header count bomb",		1, R("\x14\0\0\0\1\1\xfe\xff\xff\xff\x0f"), 0, ERR_CORRUPT},
		{"header: empty key, null value", 1, R("\x10\0\0\0\1\1\2\0\1"), 1, ERR_END},
		{"header: null key",		1, R("\x10\0\0\0\1\1\2\1\1"), 0, ERR_CORRUPT},
		{"header: value length -2",	1, R("\x10\0\0\0\1\1\2\0\3"), 0, ERR_CORRUPT},
		{"header: value too long",	1, R("\x10\0\0\0\1\1\2\0\2"), 0, ERR_CORRUPT},
		{"header: one fewer than said",	1, R("\x10\0\0\0\1\1\4\0\1"), 0, ERR_CORRUPT},
	};
	/* clang-format on */
	for (size_t i = 0; i < countof(cases); i++) {
		struct buf raw, scratch;
		struct record_iter it;
		struct record r;
		int seen = 0;
		enum err e;

		buf_init(&scratch, MANY);
		must_ok(record_iter_init(&it, batch_of(cases[i].count, cases[i].bytes, cases[i].size, &raw), &scratch,
					 MANY, NULL));
		while (!(e = record_iter_next(&it, &r)))
			seen++;
		if (seen != cases[i].records || e != cases[i].end)
			fail_msg("%s: %d records, then %s", cases[i].what, seen, err_name(e));
		CHECK_ERR(record_iter_next(&it, &r), cases[i].end); /* it stays */
		buf_fini(&raw);
		buf_fini(&scratch);
	}
}

TEST(a_header_that_cannot_be_starts_no_iteration)
{
	struct buf raw, scratch;
	struct bytes batch = batch_of(1, R(SMALL), &raw);
	struct record_iter it;

	buf_init(&scratch, MANY);
	for (size_t size = 0; size < batch.size; size++)
		CHECK_ERR(record_iter_init(&it, bytes_of(batch.data, size), &scratch, MANY, NULL), ERR_CORRUPT);
	raw.data[16] = 1;
	CHECK_ERR(record_iter_init(&it, batch, &scratch, MANY, NULL), ERR_CORRUPT);
	raw.data[16] = 2;
	raw.data[22] = 5;
	CHECK_ERR(record_iter_init(&it, batch, &scratch, MANY, NULL), ERR_CORRUPT);
	raw.data[22] = CODEC_ZSTD;
	CHECK_ERR(record_iter_init(&it, batch, &scratch, MANY, NULL), ERR_CORRUPT);
	raw.data[22] = 0;
	must_ok(record_iter_init(&it, batch, &scratch, MANY, NULL));
	put_be32(raw.data + 57, UINT32_MAX);
	CHECK_ERR(record_iter_init(&it, batch, &scratch, MANY, NULL), ERR_CORRUPT);
	buf_fini(&raw);
	buf_fini(&scratch);
}

TEST(decompression_stops_at_the_bound)
{
	for (int codec = CODEC_GZIP; codec < CODEC_COUNT; codec++) {
		struct batch_options options = batch_options_default(MANY);
		struct batch_builder b;
		struct record_iter it;
		struct bytes made;
		struct buf scratch;

		options.codec = (enum codec)codec;
		batch_builder_init(&b, &options);
		buf_init(&scratch, MANY);
		must_ok(batch_builder_append(&b, NOW, bytes_null(), bytes_str("0123456789"), NULL, 0));
		must_ok(batch_builder_finish(&b, &made));
		CHECK_ERR(record_iter_init(&it, made, &scratch, 16, NULL), ERR_TOO_BIG);
		must_ok(record_iter_init(&it, made, &scratch, 17, NULL));
		buf_fini(&scratch);
		batch_builder_fini(&b);
	}
}

TEST(a_full_builder_takes_no_more_and_can_be_finished)
{
	struct record_header header = {.key = bytes_str("key"), .value = bytes_str("value")};
	struct record_header bad = {.value = bytes_str("value")};
	struct batch_options options = batch_options_default(BATCH_HEADER_SIZE + 3 * 7 + 5);
	struct batch_builder b;
	struct bytes made;
	struct batch_header h;

	batch_builder_init(&b, &options);
	CHECK_ERR(batch_builder_finish(&b, &made), ERR_USAGE);
	CHECK_ERR(batch_builder_append(&b, NOW, bytes_null(), bytes_null(), &bad, 1), ERR_USAGE);
	for (int i = 0; i < 3; i++)
		must_ok(batch_builder_append(&b, NOW, bytes_null(), bytes_null(), NULL, 0));
	CHECK_EQ(batch_builder_size(&b), options.max_bytes - 5);
	CHECK_ERR(batch_builder_append(&b, NOW + 5, bytes_null(), bytes_null(), NULL, 0), ERR_TOO_BIG);
	CHECK_ERR(batch_builder_append(&b, NOW + 5, bytes_null(), bytes_null(), &header, 1), ERR_TOO_BIG);
	CHECK_ERR(batch_builder_append(&b, NOW + 5, bytes_of("", SIZE_MAX), bytes_null(), NULL, 0), ERR_TOO_BIG);
	CHECK_ERR(batch_builder_append(&b, NOW + 5, bytes_null(), bytes_of("", 5ULL << 30), NULL, 0), ERR_TOO_BIG);
	must_ok(batch_builder_finish(&b, &made));
	must_ok(batch_header_read(made, &h));
	CHECK_EQ(h.record_count, 3);
	CHECK_EQ(h.max_timestamp, NOW);
	CHECK(batch_crc_ok(made));

	/* The next one from the same memory owes nothing to the last. */
	batch_builder_reset(&b, NULL);
	must_ok(batch_builder_append(&b, 5, bytes_null(), bytes_null(), NULL, 0));
	must_ok(batch_builder_finish(&b, &made));
	must_ok(batch_header_read(made, &h));
	CHECK_EQ(h.record_count, 1);
	CHECK_EQ(h.base_timestamp, 5);
	CHECK_EQ(h.max_timestamp, 5);
	CHECK_EQ(made.size, BATCH_HEADER_SIZE + 7);
	batch_builder_fini(&b);
}

TEST(the_bound_of_a_record_holds)
{
	static const int64_t timestamps[] = {0, NOW, -1, INT64_MIN, INT64_MAX};
	struct record_header header = {.key = bytes_str("key"), .value = bytes_null()};
	struct batch_options options = batch_options_default(MANY);
	struct batch_builder b;

	batch_builder_init(&b, &options);
	for (size_t i = 0; i < countof(timestamps); i++) {
		size_t before = batch_builder_size(&b), added;

		must_ok(batch_builder_append(&b, timestamps[i], bytes_str("k"), bytes_null(), &header, 1));
		added = batch_builder_size(&b) - before;
		CHECK(added <= record_size_bound(bytes_str("k"), bytes_null(), &header, 1));
	}
	batch_builder_fini(&b);
}

TEST(an_end_marker_is_kafkas_bytes)
{
	/* "control commit" of batches.jsonl, but at base offset 0 and with no leader epoch */
	static const char expected[] = "\0\0\0\0\0\0\0\0\0\0\0\x42\xff\xff\xff\xff\x02\x86\x30\x59\x6e\0\x30\0\0\0\0"
				       "\0\0\x01\x8b\xcf\xe5\x68\0\0\0\x01\x8b\xcf\xe5\x68\0\0\0\0\0\0\0\x10\x92\0\x03"
				       "\xff\xff\xff\xff\0\0\0\x01\x20\0\0\0\x08\0\0\0\x01\x0c\0\0\0\0\0\x05";
	struct end_marker marker = {
		.committed = true, .producer_id = 4242, .producer_epoch = 3, .coordinator_epoch = 5};
	struct buf out;

	buf_init(&out, MANY);
	must_ok(end_marker_write(&marker, NOW, &out));
	CHECK_BYTES(buf_bytes(&out), bytes_of(expected, sizeof(expected)));
	buf_fini(&out);
}

TEST(control_records_read_back)
{
	struct leader_change change = {.leader_id = 12}, got = {0};
	struct record_iter it;
	struct record r;
	struct buf out, scratch;

	buf_init(&out, MANY);
	buf_init(&scratch, MANY);
	must_ok(leader_change_write(&change, 4, NOW, &out));
	must_ok(record_iter_init(&it, buf_bytes(&out), &scratch, MANY, NULL));
	must_ok(record_iter_next(&it, &r));
	must_ok(leader_change_read(&r, &got));
	CHECK_EQ(got.leader_id, 12);
	CHECK(batch_is_control(&it.header) && !batch_is_transactional(&it.header));
	CHECK_EQ(it.header.leader_epoch, 4);
	buf_fini(&out);
	buf_fini(&scratch);
}

TEST(control_keys_and_values_that_are_none)
{
	/* clang-format off */
	static const struct { const char *key; size_t size; enum err err; enum control_type type; } keys[] = {
		{NULL, 0, ERR_CORRUPT, 77}, {R("\0\0\0"), ERR_CORRUPT, 77}, {R("\xff\xff\0\1"), ERR_CORRUPT, 77},
		{R("\0\0\0\0"), OK, CONTROL_ABORT}, {R("\0\0\0\1"), OK, CONTROL_COMMIT}, {R("\0\1\0\1more"), OK, CONTROL_COMMIT},
		{R("\0\0\0\7"), OK, CONTROL_UNKNOWN}, {R("\0\0\xff\xff"), OK, CONTROL_UNKNOWN},
	};
	static const struct { const char *value; size_t size; enum err err; } values[] = {
		{NULL, 0, ERR_CORRUPT}, {R("\0\0\0\0\0"), ERR_CORRUPT}, {R("\xff\xff\0\0\0\1"), ERR_CORRUPT},
		{R("\0\0\0\0\0\1"), OK}, {R("\0\1\0\0\0\1more"), OK},
	};
	/* clang-format on */
	struct batch_header h = {.producer_id = 1};
	struct end_marker marker;

	for (size_t i = 0; i < countof(keys); i++) {
		enum control_type type = (enum control_type)77;

		CHECK_ERR(control_type_read(bytes_of(keys[i].key, keys[i].size), &type), keys[i].err);
		CHECK_EQ(type, keys[i].type);
	}
	for (size_t i = 0; i < countof(values); i++) {
		struct record r = {.key = bytes_of("\0\0\0\1", 4), .value = bytes_of(values[i].value, values[i].size)};

		CHECK_ERR(end_marker_read(&h, &r, &marker), values[i].err);
	}
}

/* One message of magic 1: crc, magic, attributes, timestamp, null key, null value. */
#define MESSAGE \
	"\0\0\0\0\0\0\0\x09\0\0\0\x16\x86\xb8\x3c\x96" \
	"\1\0\0\0\0\0\0\0\0\5\xff\xff\xff\xff\xff\xff\xff\xff"

TEST(damaged_messages_of_magic_0_and_1)
{
	/* clang-format off */
	static const struct { size_t at; const char *bytes; size_t size; enum err expected; } edits[] = {
		{8, R("\0\0\0\x0d"), ERR_CORRUPT}, {8, R("\xff\xff\xff\xff"), ERR_CORRUPT}, {8, R("\0\0\0\x17"), ERR_END},
		{16, R("\2"), ERR_CORRUPT}, {17, R("\4"), ERR_CORRUPT}, {25, R("\6"), ERR_CORRUPT}, {0, R("\1"), OK},
	};
	/* clang-format on */
	for (size_t i = 0; i < countof(edits); i++) {
		uint8_t raw[sizeof(MESSAGE) - 1];
		struct legacy_message m;
		struct bytes rest = bytes_of(raw, sizeof(raw));

		memcpy(raw, MESSAGE, sizeof(raw));
		memcpy(raw + edits[i].at, edits[i].bytes, edits[i].size);
		CHECK_ERR(legacy_next(&rest, &m), edits[i].expected);
		CHECK_EQ(rest.size, edits[i].expected ? sizeof(raw) : 0);
	}
}
