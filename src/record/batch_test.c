#include "record/batch.h"

#include "base/alloc.h"
#include "base/test.h"
#include "record/builder.h"
#include "record/record.h"

#define NOW 1700000000000
#define MANY (16u << 20)

static struct batch_rules rules_default(void)
{
	return (struct batch_rules){
		.max_message_bytes = 1 << 20,
		.max_decompressed_bytes = 8 << 20,
		.allow_transactional = true,
		.allow_zstd = true,
		.codec = BATCH_KEEP_CODEC,
		.level = CODEC_LEVEL_DEFAULT,
		.now_ms = NOW,
		.before_max_ms = INT64_MAX,
		.after_max_ms = 3600000,
	};
}

/* Three records, NOW + 0, 2, 1 ms, in a buffer of the caller's. */
static struct bytes three_records(enum codec codec, struct buf *out)
{
	struct batch_options options = batch_options_default(MANY);
	struct record_header header = {.key = bytes_str("h"), .value = bytes_null()};
	struct batch_builder b;
	struct bytes made;

	options.codec = codec;
	batch_builder_init(&b, &options);
	must_ok(batch_builder_append(&b, NOW, bytes_str("k0"), bytes_str("v0"), NULL, 0));
	must_ok(batch_builder_append(&b, NOW + 2, bytes_str("k1"), bytes_null(), &header, 1));
	must_ok(batch_builder_append(&b, NOW + 1, bytes_str("k2"), bytes_str("v2"), NULL, 0));
	must_ok(batch_builder_finish(&b, &made));
	buf_init(out, MANY);
	buf_put_bytes(out, made);
	batch_builder_fini(&b);
	return buf_bytes(out);
}

enum seal { SEAL_NOT, SEAL_CRC, SEAL_ALL };

/* One edit of a good batch: `bytes` at `at`, then its CRC, or CRC and length, made right again. */
struct edit {
	const char *what;
	size_t at;
	const char *bytes;
	size_t size;
	enum seal seal;
	enum err expected;
};

#define B(text) (text), sizeof(text) - 1

TEST(one_wrong_field_gives_kafkas_code)
{
	/* clang-format off */
	static const struct edit edits[] = {
		{"nothing",			0,  B(""),			SEAL_NOT, OK},
		{"base offset 1",		0,  B("\0\0\0\0\0\0\0\1"),	SEAL_NOT, ERR_INVALID_RECORD},
		{"base offset -1",		0,  B("\xff\xff\xff\xff\xff\xff\xff\xff"), SEAL_NOT, ERR_INVALID_RECORD},
		{"length -1",			8,  B("\xff\xff\xff\xff"),	SEAL_NOT, ERR_CORRUPT_MESSAGE},
		{"length 0",			8,  B("\0\0\0\0"),		SEAL_NOT, ERR_CORRUPT_MESSAGE},
		{"length 13",			8,  B("\0\0\0\x0d"),		SEAL_NOT, ERR_CORRUPT_MESSAGE},
		{"length 14: the rest is no batch", 8, B("\0\0\0\x0e"),		SEAL_NOT, ERR_CORRUPT_MESSAGE},
		{"length over the end",		8,  B("\0\0\1\0"),		SEAL_NOT, ERR_INVALID_RECORD},
		{"length 2^31-1",		8,  B("\x7f\xff\xff\xff"),	SEAL_NOT, ERR_INVALID_RECORD},
		{"leader epoch: outside the CRC", 12, B("\0\0\0\7"),		SEAL_NOT, OK},
		{"magic 0",			16, B("\0"),			SEAL_NOT, ERR_INVALID_RECORD},
		{"magic 1",			16, B("\1"),			SEAL_NOT, ERR_INVALID_RECORD},
		{"magic 3",			16, B("\3"),			SEAL_NOT, ERR_CORRUPT_MESSAGE},
		{"magic -1",			16, B("\xff"),			SEAL_NOT, ERR_CORRUPT_MESSAGE},
		{"CRC",				17, B("\0\0\0\0"),		SEAL_NOT, ERR_CORRUPT_MESSAGE},
		{"a flipped bit in a value",	70, B("\1"),			SEAL_NOT, ERR_CORRUPT_MESSAGE},
		{"unknown codec 5",		21, B("\0\5"),			SEAL_CRC, ERR_UNKNOWN_SERVER_ERROR},
		{"unknown codec 7, CRC wrong",	21, B("\0\7"),			SEAL_NOT, ERR_CORRUPT_MESSAGE},
		{"gzip that is none",		21, B("\0\1"),			SEAL_CRC, ERR_UNKNOWN_SERVER_ERROR},
		{"snappy that is none",		21, B("\0\2"),			SEAL_CRC, ERR_UNKNOWN_SERVER_ERROR},
		{"lz4 that is none",		21, B("\0\3"),			SEAL_CRC, ERR_UNKNOWN_SERVER_ERROR},
		{"zstd that is none",		21, B("\0\4"),			SEAL_CRC, ERR_UNKNOWN_SERVER_ERROR},
		{"control",			21, B("\0\x20"),		SEAL_CRC, ERR_INVALID_RECORD},
		{"attributes of later times",	21, B("\x55\x80"),		SEAL_CRC, OK},
		{"last offset delta -1",	23, B("\xff\xff\xff\xff"),	SEAL_CRC, ERR_INVALID_RECORD},
		{"last offset delta 3",		23, B("\0\0\0\3"),		SEAL_CRC, ERR_INVALID_RECORD},
		{"count 0",			57, B("\0\0\0\0"),		SEAL_CRC, ERR_INVALID_RECORD},
		{"count -1",			57, B("\xff\xff\xff\xff"),	SEAL_CRC, ERR_INVALID_RECORD},
		{"count 2, delta 2",		57, B("\0\0\0\2"),		SEAL_CRC, ERR_INVALID_RECORD},
		{"producer without sequence",	43, B("\0\0\0\0\0\0\0\7\0\0\xff\xff\xff\xff"), SEAL_CRC, ERR_INVALID_RECORD},
		{"sequence without producer",	51, B("\0\0\0\0\0\7"),		SEAL_CRC, OK},
		{"producer with sequence",	43, B("\0\0\0\0\0\0\0\7\0\0\0\0\0\7"), SEAL_CRC, OK},
		{"record length -1",		61, B("\1"),			SEAL_CRC, ERR_INVALID_RECORD},
		{"record length 0",		61, B("\0"),			SEAL_CRC, ERR_INVALID_RECORD},
		{"record length over the end",	61, B("\x7e"),			SEAL_CRC, ERR_INVALID_RECORD},
		{"record length one less",	61, B("\x12"),			SEAL_CRC, ERR_INVALID_RECORD},
		{"key length -2",		65, B("\3"),			SEAL_CRC, ERR_INVALID_RECORD},
		{"key length over the end",	65, B("\x20"),			SEAL_CRC, ERR_INVALID_RECORD},
		{"value length -2",		68, B("\3"),			SEAL_CRC, ERR_INVALID_RECORD},
		{"header count -1",		71, B("\1"),			SEAL_CRC, ERR_INVALID_RECORD},
		{"header count 1, none there",	71, B("\2"),			SEAL_CRC, ERR_INVALID_RECORD},
	};
	/* clang-format on */
	struct batch_rules rules = rules_default();

	for (size_t i = 0; i < countof(edits); i++) {
		struct batch_facts facts;
		struct buf raw;
		enum err e;

		(void)three_records(CODEC_NONE, &raw);
		memcpy(raw.data + edits[i].at, edits[i].bytes, edits[i].size);
		if (edits[i].seal == SEAL_CRC)
			batch_seal(raw.data, raw.size);
		e = batch_validate(buf_bytes(&raw), &rules, &facts);
		if (e != edits[i].expected)
			fail_msg("%s: %s, expected %s", edits[i].what, err_name(e), err_name(edits[i].expected));
		buf_fini(&raw);
	}
}

/* behaviours.md 19-21: what is there besides, or instead of, one whole batch. */
TEST(exactly_one_whole_batch)
{
	struct batch_rules rules = rules_default();
	struct batch_facts facts = {.size = 77};
	struct buf one, more;
	struct bytes batch = three_records(CODEC_NONE, &one);

	CHECK_ERR(batch_validate(bytes_null(), &rules, &facts), ERR_INVALID_RECORD);
	CHECK_ERR(batch_validate(bytes_empty(), &rules, &facts), ERR_INVALID_RECORD);
	for (size_t size = 0; size < batch.size; size++)
		CHECK_ERR(batch_validate(bytes_of(batch.data, size), &rules, &facts), ERR_INVALID_RECORD);
	CHECK_EQ(facts.size, 77); /* untouched by failures */

	buf_init(&more, MANY);
	buf_put_bytes(&more, batch);
	for (size_t garbage = 0; garbage < 12; garbage++) {
		must_ok(batch_validate(buf_bytes(&more), &rules, &facts));
		CHECK_EQ(facts.size, batch.size);
		buf_put_i8(&more, 0x55);
	}
	more.size = batch.size;
	buf_put_bytes(&more, bytes_of(batch.data, batch.size - 1));
	must_ok(batch_validate(buf_bytes(&more), &rules, &facts)); /* a second one cut off is garbage */
	buf_put_i8(&more, 0);
	CHECK_ERR(batch_validate(buf_bytes(&more), &rules, &facts), ERR_INVALID_RECORD);
	more.data[batch.size + 16] = 3;
	CHECK_ERR(batch_validate(buf_bytes(&more), &rules, &facts), ERR_CORRUPT_MESSAGE);
	buf_fini(&more);
	buf_fini(&one);
}

TEST(rules_refuse)
{
	/* clang-format off */
	static const struct {
		const char *what;
		struct batch_rules change;	/* what differs from the default, where not 0 */
		enum codec codec;
		bool transactional;
		enum err expected;
	} cases[] = {
		{"size",		{.max_message_bytes = 94}, CODEC_NONE, false, ERR_MESSAGE_TOO_LARGE},
		{"transactional",	{.allow_transactional = true}, CODEC_NONE, true, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED},
		{"zstd",		{.allow_zstd = true}, CODEC_ZSTD, false, ERR_UNSUPPORTED_COMPRESSION_TYPE},
		{"gzip, no zstd",	{.allow_zstd = true}, CODEC_GZIP, false, OK},
		{"decompressed size, gzip", {.max_decompressed_bytes = 20}, CODEC_GZIP, false, ERR_MESSAGE_TOO_LARGE},
		{"decompressed size, zstd", {.max_decompressed_bytes = 20}, CODEC_ZSTD, false, ERR_MESSAGE_TOO_LARGE},
		{"decompressed size, lz4", {.max_decompressed_bytes = 20}, CODEC_LZ4, false, ERR_MESSAGE_TOO_LARGE},
		{"decompressed size, snappy", {.max_decompressed_bytes = 20}, CODEC_SNAPPY, false, ERR_MESSAGE_TOO_LARGE},
		{"decompressed size, exact", {.max_decompressed_bytes = 34}, CODEC_ZSTD, false, OK},
	};
	/* clang-format on */
	for (size_t i = 0; i < countof(cases); i++) {
		struct batch_rules rules = rules_default();
		struct batch_facts facts;
		struct buf raw;
		enum err e;

		(void)three_records(cases[i].codec, &raw);
		if (cases[i].change.max_message_bytes)
			rules.max_message_bytes = cases[i].change.max_message_bytes;
		if (cases[i].change.max_decompressed_bytes)
			rules.max_decompressed_bytes = cases[i].change.max_decompressed_bytes;
		rules.allow_transactional = !cases[i].change.allow_transactional;
		rules.allow_zstd = !cases[i].change.allow_zstd;
		if (cases[i].transactional) {
			raw.data[22] |= BATCH_TRANSACTIONAL;
			batch_seal(raw.data, raw.size);
		}
		e = batch_validate(buf_bytes(&raw), &rules, &facts);
		if (e != cases[i].expected)
			fail_msg("%s: %s, expected %s", cases[i].what, err_name(e), err_name(cases[i].expected));
		buf_fini(&raw);
	}
}

/* A batch of one record per timestamp; every third record has no key. */
static struct bytes with_timestamps(const int64_t *timestamps, size_t count, bool keys, struct buf *out)
{
	struct batch_options options = batch_options_default(MANY);
	struct batch_builder b;
	struct bytes made;

	batch_builder_init(&b, &options);
	for (size_t i = 0; i < count; i++)
		must_ok(batch_builder_append(&b, timestamps[i], keys || i % 3 ? bytes_str("k") : bytes_null(),
					     bytes_str("v"), NULL, 0));
	must_ok(batch_builder_finish(&b, &made));
	buf_init(out, MANY);
	buf_put_bytes(out, made);
	batch_builder_fini(&b);
	return buf_bytes(out);
}

TEST(timestamps_and_keys_are_checked_record_by_record)
{
	const int64_t hour = 3600000;
	/* clang-format off */
	const struct {
		int64_t timestamps[3];
		int64_t before_ms;
		bool log_append_time, compacted, keys;
		enum err expected;
		size_t wrong;
	} cases[] = {
		{{NOW, NOW, NOW},		   INT64_MAX, false, false, true,  OK, 0},
		{{NOW, NOW + hour, NOW},	   INT64_MAX, false, false, true,  OK, 0},
		{{NOW, NOW + hour + 1, NOW},	   INT64_MAX, false, false, true,  ERR_INVALID_TIMESTAMP, 1},
		{{NOW, NOW + hour + 1, NOW},	   INT64_MAX, true,  false, true,  OK, 0},
		{{-1, -500, 0},			   INT64_MAX, false, false, true,  OK, 0},
		{{-1, NOW - hour, NOW - hour - 1}, hour,      false, false, true,  ERR_INVALID_TIMESTAMP, 1},
		{{INT64_MAX, INT64_MIN, NOW},	   INT64_MAX, false, false, true,  ERR_INVALID_TIMESTAMP, 2},
		{{NOW, NOW, NOW},		   INT64_MAX, false, true,  true,  OK, 0},
		{{NOW, NOW, NOW},		   INT64_MAX, false, true,  false, ERR_INVALID_RECORD, 1},
		{{NOW, NOW + hour + 1, NOW},	   INT64_MAX, false, true,  false, ERR_INVALID_TIMESTAMP, 2},
	};
	/* clang-format on */
	for (size_t i = 0; i < countof(cases); i++) {
		struct batch_rules rules = rules_default();
		struct record_error errors[3];
		struct batch_facts facts;
		struct buf raw;
		struct bytes batch = with_timestamps(cases[i].timestamps, 3, cases[i].keys, &raw);

		rules.before_max_ms = cases[i].before_ms;
		rules.log_append_time = cases[i].log_append_time;
		rules.compacted = cases[i].compacted;
		CHECK_ERR(batch_validate(batch, &rules, &facts), cases[i].expected);
		CHECK_EQ(batch_record_errors(batch, &rules, errors, 3), cases[i].wrong);
		buf_fini(&raw);
	}
}

TEST(record_errors_name_the_records)
{
	static const int64_t timestamps[] = {NOW, NOW + 3600001, NOW, NOW};
	struct batch_rules rules = rules_default();
	struct record_error errors[4];
	struct buf raw;
	struct bytes batch = with_timestamps(timestamps, 4, false, &raw);

	rules.compacted = true;
	CHECK_EQ(batch_record_errors(batch, &rules, errors, 4), 3);
	CHECK_EQ(errors[0].index, 0);
	CHECK_EQ(errors[0].error, ERR_INVALID_RECORD);
	CHECK_EQ(errors[1].index, 1);
	CHECK_EQ(errors[1].error, ERR_INVALID_TIMESTAMP);
	CHECK_EQ(errors[2].index, 3);
	CHECK_EQ(batch_record_errors(batch, &rules, errors, 2), 2);
	buf_fini(&raw);
}

TEST(facts_of_a_good_batch)
{
	for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
		struct batch_rules rules = rules_default();
		struct batch_facts facts;
		struct buf raw;
		struct bytes batch = three_records((enum codec)codec, &raw);

		must_ok(batch_validate(batch, &rules, &facts));
		CHECK_EQ(facts.size, batch.size);
		CHECK_EQ(facts.record_count, 3);
		CHECK_EQ(facts.max_timestamp, NOW + 2);
		CHECK_EQ(facts.offset_delta_of_max_timestamp, 1);
		CHECK_EQ(facts.records_size, 34);
		CHECK_EQ(facts.change, BATCH_AS_IS);
		CHECK_EQ(batch_codec(&facts.header), codec);
		buf_fini(&raw);
	}
}

/* Offsets, timestamps and values of what `batch` holds. */
static void check_three(struct bytes batch, const int64_t timestamps[3])
{
	static const char *const keys[] = {"k0", "k1", "k2"};
	struct record_iter it;
	struct record r;
	struct buf scratch;

	buf_init(&scratch, MANY);
	CHECK(batch_crc_ok(batch));
	must_ok(record_iter_init(&it, batch, &scratch, MANY, NULL));
	for (int i = 0; i < 3; i++) {
		must_ok(record_iter_next(&it, &r));
		CHECK_EQ(r.offset, i);
		CHECK_EQ(r.timestamp, timestamps[i]);
		CHECK_EQ(r.header_count, i == 1);
		CHECK_BYTES(r.key, bytes_str(keys[i]));
	}
	CHECK_ERR(record_iter_next(&it, &r), ERR_END);
	CHECK_EQ(batch_last_offset(&it.header), 2);
	buf_fini(&scratch);
}

static const int64_t as_sent[3] = {NOW, NOW + 2, NOW + 1};

TEST(a_lying_max_timestamp_is_corrected_in_place)
{
	static const int64_t lies[] = {-1, 0, NOW + 1, INT64_MAX};

	for (size_t i = 0; i < countof(lies); i++) {
		struct batch_rules rules = rules_default();
		struct batch_facts facts;
		struct batch_header h;
		struct buf raw;

		(void)three_records(CODEC_NONE, &raw);
		batch_set_create_time(raw.data, raw.size, lies[i]);
		must_ok(batch_validate(buf_bytes(&raw), &rules, &facts));
		CHECK_EQ(facts.change, BATCH_FIX_HEADER);
		CHECK_EQ(facts.max_timestamp, NOW + 2);
		batch_fix_header(raw.data, &rules, &facts);
		must_ok(batch_header_read(buf_bytes(&raw), &h));
		CHECK_EQ(h.max_timestamp, NOW + 2);
		check_three(buf_bytes(&raw), as_sent);
		must_ok(batch_validate(buf_bytes(&raw), &rules, &facts));
		CHECK_EQ(facts.change, BATCH_AS_IS);
		buf_fini(&raw);
	}
}

TEST(log_append_time_is_the_topics_choice)
{
	static const int64_t appended[3] = {NOW, NOW, NOW};
	struct batch_rules rules = rules_default();
	struct batch_facts facts;
	struct buf raw;

	/* A topic of log append time stamps it. */
	(void)three_records(CODEC_LZ4, &raw);
	rules.log_append_time = true;
	must_ok(batch_validate(buf_bytes(&raw), &rules, &facts));
	CHECK_EQ(facts.change, BATCH_FIX_HEADER);
	CHECK_EQ(facts.max_timestamp, NOW);
	CHECK_EQ(facts.offset_delta_of_max_timestamp, 0);
	batch_fix_header(raw.data, &rules, &facts);
	check_three(buf_bytes(&raw), appended);

	/* A producer that claims it is refused there, and elsewhere the claim is cleared. */
	CHECK_ERR(batch_validate(buf_bytes(&raw), &rules, &facts), ERR_INVALID_TIMESTAMP);
	rules.log_append_time = false;
	must_ok(batch_validate(buf_bytes(&raw), &rules, &facts));
	CHECK_EQ(facts.change, BATCH_FIX_HEADER);
	CHECK_EQ(facts.max_timestamp, NOW + 2);
	batch_set_log_append_time(raw.data, raw.size, NO_TIMESTAMP);
	CHECK_ERR(batch_validate(buf_bytes(&raw), &rules, &facts), ERR_INVALID_TIMESTAMP);
	batch_fix_header(raw.data, &rules, &facts);
	check_three(buf_bytes(&raw), as_sent);
	must_ok(batch_validate(buf_bytes(&raw), &rules, &facts));
	CHECK_EQ(facts.change, BATCH_AS_IS);
	buf_fini(&raw);
}

/* Three records at deltas 0, 5, 9 that claim to be dense. */
static struct bytes with_gaps(enum codec codec, struct buf *out)
{
	static const char *const keys[] = {"k0", "k1", "k2"};
	struct batch_options options = batch_options_default(MANY);
	struct record_header header = {.key = bytes_str("h"), .value = bytes_str("w")};
	struct batch_builder b;
	struct bytes made;

	options.codec = codec;
	options.producer_id = 4242;
	options.producer_epoch = 3;
	options.base_sequence = 17;
	options.is_transactional = true;
	batch_builder_init(&b, &options);
	for (int32_t i = 0; i < 3; i++)
		must_ok(batch_builder_append_at(&b, i * 4 + (i == 1), as_sent[i], bytes_str(keys[i]), bytes_str("v"),
						&header, i == 1));
	must_ok(batch_builder_finish(&b, &made));
	buf_init(out, MANY);
	buf_put_bytes(out, made);
	put_be32(out->data + 23, 2);
	batch_seal(out->data, out->size);
	batch_builder_fini(&b);
	return buf_bytes(out);
}

TEST(gaps_are_renumbered)
{
	for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
		struct batch_rules rules = rules_default();
		struct batch_facts facts;
		struct batch_header h;
		struct buf raw, out;
		struct bytes batch = with_gaps((enum codec)codec, &raw);

		must_ok(batch_validate(batch, &rules, &facts));
		CHECK_EQ(facts.change, BATCH_FIX_RECORDS);
		buf_init(&out, MANY);
		must_ok(batch_rewrite(batch, &rules, &facts, &out));
		check_three(buf_bytes(&out), as_sent);
		must_ok(batch_header_read(buf_bytes(&out), &h));
		CHECK_EQ(h.producer_id, 4242);
		CHECK_EQ(h.producer_epoch, 3);
		CHECK_EQ(h.base_sequence, 17);
		CHECK_EQ(h.attributes, codec | BATCH_TRANSACTIONAL);
		must_ok(batch_validate(buf_bytes(&out), &rules, &facts));
		CHECK_EQ(facts.change, BATCH_AS_IS);
		buf_fini(&raw);
		buf_fini(&out);
	}
}

TEST(every_codec_becomes_the_topics)
{
	struct compressor *c = compressor_new();

	for (int from = CODEC_NONE; from < CODEC_COUNT; from++) {
		for (int to = CODEC_NONE; to < CODEC_COUNT; to++) {
			struct batch_rules rules = rules_default();
			struct batch_facts facts;
			struct batch_header h;
			struct buf raw, out;
			struct bytes batch = three_records((enum codec)from, &raw);

			rules.codec = to;
			rules.compressor = c;
			must_ok(batch_validate(batch, &rules, &facts));
			CHECK_EQ(facts.change, from == to ? BATCH_AS_IS : BATCH_FIX_RECORDS);
			buf_init(&out, MANY);
			must_ok(batch_rewrite(batch, &rules, &facts, &out));
			must_ok(batch_header_read(buf_bytes(&out), &h));
			CHECK_EQ(batch_codec(&h), to);
			check_three(buf_bytes(&out), as_sent);
			buf_fini(&raw);
			buf_fini(&out);
		}
	}
	compressor_free(c);
}

TEST(a_rewrite_with_log_append_time_has_it)
{
	static const int64_t appended[3] = {NOW + 9, NOW + 9, NOW + 9};
	struct batch_rules rules = rules_default();
	struct batch_facts facts;
	struct buf raw, out;
	struct bytes batch = with_gaps(CODEC_GZIP, &raw);

	rules.log_append_time = true;
	rules.now_ms = NOW + 9;
	rules.codec = CODEC_ZSTD;
	must_ok(batch_validate(batch, &rules, &facts));
	buf_init(&out, MANY);
	must_ok(batch_rewrite(batch, &rules, &facts, &out));
	check_three(buf_bytes(&out), appended);
	buf_fini(&out);

	/* What grows past the topic's maximum is too large, and leaves no trace. */
	buf_init(&out, MANY);
	rules.max_message_bytes = 70;
	CHECK_ERR(batch_rewrite(batch, &rules, &facts, &out), ERR_MESSAGE_TOO_LARGE);
	rules.max_message_bytes = MANY;
	out.max = 70;
	CHECK_ERR(batch_rewrite(batch, &rules, &facts, &out), ERR_TOO_BIG);
	CHECK_EQ(out.size, 0);
	CHECK_EQ(out.error, OK);
	buf_fini(&raw);
	buf_fini(&out);
}

/* Records larger and smaller than the window through which compressed batches are read, and a CRC of many steps. */
TEST(large_batches_are_read_whole)
{
	static const size_t sizes[] = {10, 200000, 1000, 65536, 65530, 1, 400000, 64 << 10, 3};
	uint8_t *value = mem_zalloc(400000);

	for (size_t i = 0; i < 400000; i++)
		value[i] = (uint8_t)(i * 7 + (i >> 8));
	for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
		struct batch_options options = batch_options_default(MANY);
		struct batch_rules rules = rules_default();
		struct batch_builder b;
		struct batch_facts facts;
		struct bytes made;

		options.codec = (enum codec)codec;
		rules.max_message_bytes = MANY;
		batch_builder_init(&b, &options);
		for (size_t i = 0; i < countof(sizes); i++)
			must_ok(batch_builder_append(&b, NOW, bytes_null(), bytes_of(value, sizes[i]), NULL, 0));
		must_ok(batch_builder_finish(&b, &made));
		must_ok(batch_validate(made, &rules, &facts));
		CHECK_EQ(facts.record_count, countof(sizes));
		CHECK_EQ(facts.change, BATCH_AS_IS);
		((uint8_t *)(uintptr_t)made.data)[made.size - 1] ^= 1;
		CHECK_ERR(batch_validate(made, &rules, &facts), ERR_CORRUPT_MESSAGE);
		batch_builder_fini(&b);
	}
	mem_free(value);
}

TEST(batches_are_walked_until_the_end_or_a_cut)
{
	struct batch_header h;
	struct bytes rest, batch, one;
	struct buf all, raw;

	one = three_records(CODEC_NONE, &raw);
	buf_init(&all, MANY);
	buf_put_bytes(&all, one);
	buf_put_bytes(&all, one);
	for (size_t cut = 0; cut <= one.size; cut++) {
		int seen = 0;
		enum err e;

		rest = bytes_of(all.data, all.size - cut);
		while (!(e = batch_next(&rest, &h, &batch))) {
			CHECK_BYTES(batch, one);
			seen++;
		}
		CHECK_ERR(e, ERR_END);
		CHECK_EQ(seen, cut == 0 ? 2 : 1);
		CHECK_EQ(rest.size, cut == 0 ? 0 : one.size - cut);
	}
	buf_fini(&all);

	/* clang-format off */
	static const struct { size_t at; const char *bytes; size_t size; enum err expected; } edits[] = {
		{8, B("\0\0\0\x30"), ERR_CORRUPT}, {8, B("\xff\xff\xff\xff"), ERR_CORRUPT}, {8, B("\0\0\1\0"), ERR_END},
		{16, B("\1"), ERR_CORRUPT}, {16, B("\3"), ERR_CORRUPT}, {17, B("\0"), OK},
	};
	/* clang-format on */
	for (size_t i = 0; i < countof(edits); i++) {
		buf_init(&all, MANY);
		buf_put_bytes(&all, one);
		memcpy(all.data + edits[i].at, edits[i].bytes, edits[i].size);
		rest = buf_bytes(&all);
		CHECK_ERR(batch_next(&rest, &h, &batch), edits[i].expected);
		CHECK_EQ(rest.size, edits[i].expected ? one.size : 0);
		buf_fini(&all);
	}
	buf_fini(&raw);
}

TEST(offset_and_epoch_lie_outside_the_crc)
{
	struct batch_header h;
	struct buf raw;

	(void)three_records(CODEC_NONE, &raw);
	batch_set_base_offset(raw.data, 1LL << 40);
	batch_set_leader_epoch(raw.data, 12);
	CHECK(batch_crc_ok(buf_bytes(&raw)));
	batch_set_producer(raw.data, raw.size, 7, 8, 9);
	CHECK(batch_crc_ok(buf_bytes(&raw)));
	must_ok(batch_header_read(buf_bytes(&raw), &h));
	CHECK_EQ(h.base_offset, 1LL << 40);
	CHECK_EQ(h.leader_epoch, 12);
	CHECK_EQ(h.producer_id, 7);
	CHECK_EQ(h.producer_epoch, 8);
	CHECK_EQ(batch_last_sequence(&h), 11);
	CHECK_ERR(batch_header_read(bytes_of(raw.data, 60), &h), ERR_MALFORMED);
	CHECK(!batch_crc_ok(bytes_of(raw.data, 60)));
	buf_fini(&raw);
}

TEST(sequences_wrap)
{
	CHECK_EQ(sequence_add(-1, 5), -1);
	CHECK_EQ(sequence_add(0, 0), 0);
	CHECK_EQ(sequence_add(INT32_MAX, 0), INT32_MAX);
	CHECK_EQ(sequence_add(INT32_MAX, 1), 0);
	CHECK_EQ(sequence_add(INT32_MAX - 1, 6), 4);
	CHECK_EQ(sequence_add(INT32_MAX, INT32_MAX), INT32_MAX - 1);
}
