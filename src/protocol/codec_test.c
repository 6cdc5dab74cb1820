/* codec: what golden bytes do not show - refusals, limits, tags, defaults, splitting, printing. */
#include "protocol/codec.h"

#include "base/alloc.h"
#include "base/test.h"
#include "protocol/messages.h"

#define ARENA_MAX ((size_t)1 << 16)

#define BYTES(...) bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Decodes into a message of `t` that nobody looks at. */
static enum err decode(const struct message_type *t, int16_t version, struct bytes source, size_t arena_max)
{
	_Alignas(16) uint8_t message[MESSAGE_MAX_SIZE_BYTES];
	struct reader r = reader_of(source);
	struct arena a;
	enum err e;

	arena_init(&a, arena_max);
	e = message_decode(t, version, &r, &a, message);
	arena_fini(&a);
	return e;
}

/* Metadata v1 takes null topics, v0 does not; CreateTopics' assignments and so on are never null. */
TEST(counts_that_are_refused)
{
	static const struct {
		const struct message_type *type;
		int16_t version;
		struct bytes source;
		enum err err;
	} cases[] = {
		{&metadata_request_type, 0, {(const uint8_t *)"\x00\x00\x00\x00", 4}, OK},
		{&metadata_request_type, 0, {(const uint8_t *)"\xff\xff\xff\xff", 4}, ERR_MALFORMED},
		{&metadata_request_type, 1, {(const uint8_t *)"\xff\xff\xff\xff", 4}, OK},
		{&metadata_request_type, 1, {(const uint8_t *)"\xff\xff\xff\xfe", 4}, OK}, /* behaviour 1 */
		{&metadata_request_type, 1, {(const uint8_t *)"\x80\x00\x00\x00", 4}, OK},
		{&metadata_request_type, 1, {(const uint8_t *)"\x00\x00\x00\x01", 4}, ERR_TOO_BIG},
		{&metadata_request_type, 1, {(const uint8_t *)"\x00\x00\x00\x01\x00", 5}, ERR_TOO_BIG},
		{&metadata_request_type, 1, {(const uint8_t *)"\x00\x00\x00\x01\x00\x00", 6}, OK},
		{&metadata_request_type, 1, {(const uint8_t *)"\x00\x00\x00\x01\x00\x01", 6}, ERR_MALFORMED},
		{&metadata_request_type, 1, {(const uint8_t *)"\x00\x00\x00\x01\xff\xff", 6}, ERR_MALFORMED},
		{&metadata_request_type, 1, {(const uint8_t *)"\x7f\xff\xff\xff\x00\x00", 6}, ERR_TOO_BIG},
		{&metadata_request_type, 9, {(const uint8_t *)"\x00\x01\x00\x00\x00", 5}, OK}, /* null */
		{&metadata_request_type, 9, {(const uint8_t *)"\xff\xff\xff\xff\x0f\x01\x00\x00\x00", 9}, OK}, /* -2 */
		{&metadata_request_type,
		 9,
		 {(const uint8_t *)"\xff\xff\xff\xff\x10\x01\x00\x00\x00", 9},
		 ERR_MALFORMED},
		{&metadata_request_type, 9, {(const uint8_t *)"\xff\xff\xff\xff\x07\x01\x00\x00\x00", 9}, ERR_TOO_BIG},
		{&metadata_request_type, 14, {(const uint8_t *)"\x00\x00\x00\x00", 4}, ERR_BAD_VERSION},
		{&metadata_request_type, -1, {(const uint8_t *)"\x00\x00\x00\x00", 4}, ERR_BAD_VERSION},
		{&produce_request_type, 2, {(const uint8_t *)"\x00\x00\x00\x00", 4}, ERR_BAD_VERSION},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		enum err got = decode(cases[i].type, cases[i].version, cases[i].source, ARENA_MAX);

		if (got != cases[i].err)
			fail_msg("case %zu gave %s", i, err_name(got));
	}
}

/* A list of `count` one-byte strings (v0: two bytes of length each, so 3 x count), all there. */
static struct buf many_topics(uint32_t count)
{
	struct buf b;

	buf_init(&b, (size_t)1 << 24);
	buf_put_u32(&b, count);
	for (uint32_t i = 0; i < count; i++)
		buf_put(&b, "\0\1t", 3);
	return b;
}

TEST(a_million_elements_are_read_and_one_more_is_refused)
{
	struct buf most = many_topics(CODEC_MAX_ELEMENTS), too_many = many_topics(CODEC_MAX_ELEMENTS + 1);

	must_ok(decode(&metadata_request_type, 0, buf_bytes(&most), (size_t)1 << 28));
	CHECK_ERR(decode(&metadata_request_type, 0, buf_bytes(&too_many), (size_t)1 << 28), ERR_TOO_BIG);
	buf_fini(&most);
	buf_fini(&too_many);
}

/* The count is believed only as far as the bytes behind it could hold it, before any memory is taken. */
TEST(an_unlikely_count_takes_no_memory)
{
	struct buf b = many_topics(1000);
	struct metadata_request message;
	struct reader r;
	struct arena a;

	put_be32(b.data, 1501); /* a topic takes two bytes at least */
	r = reader_of(buf_bytes(&b));
	arena_init(&a, ARENA_MAX);
	CHECK_ERR(message_decode(&metadata_request_type, 0, &r, &a, &message), ERR_TOO_BIG);
	CHECK_EQ(a.used, 0);
	CHECK(a.blocks == NULL);
	arena_fini(&a);
	buf_fini(&b);
}

TEST(a_full_arena_is_an_error_wherever_it_happens)
{
	struct fetch_request_fetch_partition partitions[3];
	struct fetch_request_fetch_topic topics[2];
	struct fetch_request f;
	struct arena a;
	struct buf out;
	size_t failed = 0;

	message_init(&fetch_request_type, &f);
	memset(partitions, 0, sizeof(partitions));
	memset(topics, 0, sizeof(topics));
	for (size_t i = 0; i < countof(topics); i++) {
		topics[i].topic = bytes_str("t");
		topics[i].partitions = partitions;
		topics[i].partitions_count = countof(partitions);
	}
	f.topics = topics;
	f.topics_count = countof(topics);
	buf_init(&out, 4096);
	must_ok(message_encode(&fetch_request_type, 12, &f, &out));
	for (size_t max = 0;; max += 8) {
		struct fetch_request got;
		struct reader r = reader_of(buf_bytes(&out));
		enum err e;

		memset(&got, 0x5a, sizeof(got));
		arena_init(&a, max);
		e = message_decode(&fetch_request_type, 12, &r, &a, &got);
		arena_fini(&a);
		if (!e)
			break;
		CHECK_ERR(e, ERR_NO_MEMORY);
		CHECK_EQ(got.max_wait_ms, 0x5a5a5a5a); /* untouched on failure */
		failed++;
	}
	CHECK(failed > 20);
	buf_fini(&out);
}

/* Heartbeat v4: three strings, a number, then the tag section that each case writes. */
static enum err decode_with_tags(struct bytes section)
{
	static const uint8_t start[] = {1, 0, 0, 0, 0, 1, 0};
	struct buf b;
	enum err e;

	buf_init(&b, (size_t)1 << 20);
	buf_put(&b, start, sizeof(start));
	buf_put_bytes(&b, section);
	e = decode(&heartbeat_request_type, 4, buf_bytes(&b), (size_t)1 << 20);
	buf_fini(&b);
	return e;
}

TEST(tags_rise_strictly_and_lie_within_their_section)
{
	CHECK_ERR(decode_with_tags(BYTES(0)), OK);
	CHECK_ERR(decode_with_tags(BYTES(2, 3, 1, 0xaa, 5, 0)), OK);
	CHECK_ERR(decode_with_tags(BYTES(2, 5, 0, 3, 0)), ERR_MALFORMED);
	CHECK_ERR(decode_with_tags(BYTES(2, 5, 0, 5, 0)), ERR_MALFORMED);
	CHECK_ERR(decode_with_tags(BYTES(1, 3, 4, 0xaa)), ERR_MALFORMED);
	CHECK_ERR(decode_with_tags(BYTES(2, 3, 0)), ERR_TOO_BIG);
	CHECK_ERR(decode_with_tags(BYTES(0xff, 0xff, 0xff, 0xff, 0x0f)), ERR_TOO_BIG);
	CHECK_ERR(decode_with_tags(BYTES(1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0)), OK);
	CHECK_ERR(decode_with_tags(BYTES(1, 3, 0x80)), ERR_MALFORMED);
}

static struct buf tag_section(uint32_t count)
{
	struct buf b;

	buf_init(&b, (size_t)1 << 20);
	buf_put_uvarint(&b, count);
	for (uint32_t i = 0; i < count; i++) {
		buf_put_uvarint(&b, i);
		buf_put_uvarint(&b, 0);
	}
	return b;
}

TEST(ten_thousand_tags_are_read_and_one_more_is_refused)
{
	struct buf most = tag_section(CODEC_MAX_TAGS), too_many = tag_section(CODEC_MAX_TAGS + 1);

	CHECK_ERR(decode_with_tags(buf_bytes(&most)), OK);
	CHECK_ERR(decode_with_tags(buf_bytes(&too_many)), ERR_TOO_BIG);
	buf_fini(&most);
	buf_fini(&too_many);
}

/* AddRaftVoter and the like have nothing tagged; Fetch v12 has ClusterId at tag 0. Its size must be the value's. */
TEST(a_known_tag_takes_up_its_size_exactly)
{
	static const struct {
		const char *tags; /* with a length before it */
		size_t size;
		enum err err;
	} cases[] = {
		{"\x01\x00\x02\x02x", 5, OK},
		{"\x01\x00\x03\x02x\x00", 6, ERR_MALFORMED},
		{"\x01\x00\x01\x02x", 5, ERR_MALFORMED},
		{"\x01\x00\x00\x02x", 5, ERR_MALFORMED},
	};
	struct fetch_request f;
	struct buf out;

	message_init(&fetch_request_type, &f);
	for (size_t i = 0; i < countof(cases); i++) {
		buf_init(&out, 4096);
		must_ok(message_encode(&fetch_request_type, 12, &f, &out));
		out.size--; /* the empty tag section */
		buf_put(&out, cases[i].tags, cases[i].size);
		CHECK_ERR(decode(&fetch_request_type, 12, buf_bytes(&out), ARENA_MAX), cases[i].err);
		buf_fini(&out);
	}
}

TEST(a_string_over_32767_bytes_is_refused_both_ways)
{
	static const char text[CODEC_MAX_STRING_BYTES + 1] = {0};
	struct heartbeat_request h;
	struct buf out;

	message_init(&heartbeat_request_type, &h);
	h.group_id = bytes_of(text, sizeof(text));
	buf_init(&out, 1 << 20);
	buf_put_i32(&out, 7);
	for (int16_t version = 0; version <= 4; version++)
		CHECK_ERR(message_encode(&heartbeat_request_type, version, &h, &out), ERR_TOO_BIG);
	CHECK_EQ(out.size, 4);
	buf_reset(&out);
	h.group_id.size--;
	must_ok(message_encode(&heartbeat_request_type, 4, &h, &out));
	CHECK_ERR(decode(&heartbeat_request_type, 4, buf_bytes(&out), ARENA_MAX), OK);
	buf_reset(&out);
	buf_put_uvarint(&out, sizeof(text) + 1);
	buf_put(&out, text, sizeof(text));
	buf_put(&out, "\0\0\0\0\1\0\0", 7);
	CHECK_ERR(decode(&heartbeat_request_type, 4, buf_bytes(&out), ARENA_MAX), ERR_MALFORMED);
	buf_fini(&out);
}

/* What a version cannot say is an error, unless the schema says that it may be dropped. */
TEST(what_a_version_lacks_must_be_at_its_default)
{
	struct fetch_request f;
	struct metadata_request m;
	struct buf out;

	buf_init(&out, 4096);
	message_init(&fetch_request_type, &f);
	f.rack_id = bytes_str("r1"); /* 11+, ignorable */
	must_ok(message_encode(&fetch_request_type, 4, &f, &out));
	f.replica_state.replica_epoch = 1; /* 15+, not ignorable */
	buf_reset(&out);
	must_ok(message_encode(&fetch_request_type, 15, &f, &out));
	buf_reset(&out);
	CHECK_ERR(message_encode(&fetch_request_type, 14, &f, &out), ERR_BAD_VERSION);
	CHECK_EQ(out.size, 0);
	CHECK_ERR(message_encode(&fetch_request_type, 19, &f, &out), ERR_BAD_VERSION);

	message_init(&metadata_request_type, &m);
	m.topics_count = -1; /* null from 1 on */
	CHECK_ERR(message_encode(&metadata_request_type, 0, &m, &out), ERR_BAD_VERSION);
	must_ok(message_encode(&metadata_request_type, 1, &m, &out));
	m.topics_count = 0;
	m.allow_auto_topic_creation = false; /* 4+, true by default */
	CHECK_ERR(message_encode(&metadata_request_type, 3, &m, &out), ERR_BAD_VERSION);
	buf_fini(&out);
}

TEST(a_null_where_none_may_be_is_an_error)
{
	struct heartbeat_request h;
	struct buf out;

	buf_init(&out, 4096);
	message_init(&heartbeat_request_type, &h);
	CHECK(bytes_is_null(h.group_instance_id) && !bytes_is_null(h.group_id));
	h.group_id = bytes_null();
	CHECK_ERR(message_encode(&heartbeat_request_type, 0, &h, &out), ERR_BAD_VERSION);
	buf_fini(&out);
}

TEST(unknown_tags_are_kept_and_written_again_in_order)
{
	struct bytes section = BYTES(3, 0, 2, 2, 'x', 1, 1, 0xbb, 0x90, 0x4e, 0);
	struct fetch_request f;
	struct reader r;
	struct arena a;
	struct buf in, out;

	buf_init(&in, 4096);
	buf_init(&out, 4096);
	arena_init(&a, ARENA_MAX);
	message_init(&fetch_request_type, &f);
	must_ok(message_encode(&fetch_request_type, 12, &f, &in));
	in.size--;
	buf_put_bytes(&in, section);
	r = reader_of(buf_bytes(&in));
	must_ok(message_decode(&fetch_request_type, 12, &r, &a, &f));
	CHECK_BYTES(f.cluster_id, bytes_str("x"));
	CHECK_EQ(f.unknown_tags.count, 2); /* tag 1 is ReplicaState, but only from 15 on */
	must_ok(message_encode(&fetch_request_type, 12, &f, &out));
	CHECK_BYTES(buf_bytes(&out), buf_bytes(&in));
	CHECK_ERR(message_encode(&fetch_request_type, 15, &f, &out), ERR_MALFORMED);   /* knows tag 1 itself */
	CHECK_ERR(message_encode(&fetch_request_type, 11, &f, &out), ERR_BAD_VERSION); /* has no tags */
	f.unknown_tags.items[1].tag = 1;
	CHECK_ERR(message_encode(&fetch_request_type, 12, &f, &out), ERR_MALFORMED);
	arena_fini(&a);
	buf_fini(&in);
	buf_fini(&out);
}

TEST(inner_structs_have_defaults_of_their_own)
{
	struct fetch_response_partition_data *parts;
	struct arena a;

	arena_init(&a, 4096);
	parts = struct_array_new(&fetch_response_partition_data_struct, 3, &a);
	CHECK(parts);
	for (size_t i = 0; i < 3; i++) {
		CHECK_EQ(parts[i].preferred_read_replica, -1);
		CHECK_EQ(parts[i].diverging_epoch.end_offset, -1);
		CHECK(!bytes_is_null(parts[i].records) && parts[i].records.size == 0);
	}
	CHECK(struct_array_new(&fetch_response_partition_data_struct, 1000, &a) == NULL);
	CHECK(struct_array_new(&fetch_response_partition_data_struct, SIZE_MAX, &a) == NULL);
	arena_fini(&a);
}

/* Two partitions with records, one null, one empty between them. */
TEST(a_fetch_answer_is_cut_at_its_records)
{
	struct fetch_response_partition_data partitions[4];
	struct fetch_response_fetchable_topic_response topic;
	struct fetch_response f;
	struct encode_cut cuts[2];
	struct buf whole, split;
	size_t count = 99;

	message_init(&fetch_response_type, &f);
	struct_init(&fetch_response_fetchable_topic_response_struct, &topic);
	for (size_t i = 0; i < countof(partitions); i++)
		struct_init(&fetch_response_partition_data_struct, &partitions[i]);
	partitions[0].records = bytes_str("first records");
	partitions[1].records = bytes_null();
	partitions[2].records = bytes_empty();
	partitions[3].records = bytes_str("more");
	topic.partitions = partitions;
	topic.partitions_count = countof(partitions);
	f.responses = &topic;
	f.responses_count = 1;
	buf_init(&whole, 4096);
	buf_init(&split, 4096);
	must_ok(message_encode(&fetch_response_type, 13, &f, &whole));
	must_ok(message_encode_split(&fetch_response_type, 13, &f, &split, cuts, countof(cuts), &count));
	CHECK_EQ(count, 2);
	CHECK(cuts[0].records.data == partitions[0].records.data);
	CHECK_BYTES(cuts[1].records, bytes_str("more"));
	CHECK_EQ(split.size + 13 + 4, whole.size);
	CHECK_BYTES(bytes_of(split.data, cuts[0].offset), bytes_of(whole.data, cuts[0].offset));
	CHECK_BYTES(bytes_of(whole.data + cuts[0].offset, 13), bytes_str("first records"));
	count = 99;
	buf_reset(&split);
	CHECK_ERR(message_encode_split(&fetch_response_type, 13, &f, &split, cuts, 1, &count), ERR_TOO_BIG);
	CHECK_EQ(count, 99);
	CHECK_EQ(split.size, 0);
	CHECK_ERR(message_encode_split(&fetch_response_type, 13, &f, &split, NULL, 0, &count), ERR_TOO_BIG);
	buf_fini(&whole);
	buf_fini(&split);
}

/* The codes of a Fetch's partitions, its own code, and what is told of them. */
TEST(an_answers_errors_are_counted_by_code_wherever_they_are)
{
	static const int16_t codes[] = {0, 3, 3, 0, 6, 7, 8, 9, 10, 11, 12, 12, 3};
	struct fetch_response_partition_data partitions[countof(codes)];
	struct fetch_response_fetchable_topic_response topic;
	struct encode_errors errors = {.kinds = 99};
	struct fetch_response f;
	size_t cuts = 0;
	struct buf out;

	message_init(&fetch_response_type, &f);
	struct_init(&fetch_response_fetchable_topic_response_struct, &topic);
	for (size_t i = 0; i < countof(codes); i++) {
		struct_init(&fetch_response_partition_data_struct, &partitions[i]);
		partitions[i].error_code = codes[i];
	}
	topic.partitions = partitions;
	topic.partitions_count = countof(codes);
	f.responses = &topic;
	f.responses_count = 1;
	f.error_code = 5;
	buf_init(&out, 4096);
	must_ok(message_encode_answer(&fetch_response_type, 13, &f, &out, NULL, 0, &cuts, &errors));
	CHECK_EQ(errors.kinds, 8);
	CHECK_EQ(errors.codes[0], 5);
	CHECK_EQ(errors.counts[0], 1);
	CHECK_EQ(errors.codes[1], 3);
	CHECK_EQ(errors.counts[1], 3);
	CHECK_EQ(errors.codes[7], 11);
	CHECK_EQ(errors.counts[7], 1);
	CHECK_EQ(errors.others, 2);
	/* What cannot be encoded says nothing. */
	errors.kinds = 99;
	CHECK_ERR(message_encode_answer(&fetch_response_type, 99, &f, &out, NULL, 0, &cuts, &errors), ERR_BAD_VERSION);
	CHECK_EQ(errors.kinds, 99);
	buf_fini(&out);
}

TEST(a_full_buf_is_left_as_it_was)
{
	struct fetch_request f;
	struct buf out;
	size_t needed;

	message_init(&fetch_request_type, &f);
	f.cluster_id = bytes_str("a cluster");
	buf_init(&out, 4096);
	must_ok(message_encode(&fetch_request_type, 18, &f, &out));
	needed = out.size;
	buf_fini(&out);
	for (size_t max = 0; max < needed; max++) {
		buf_init(&out, max);
		CHECK_ERR(message_encode(&fetch_request_type, 18, &f, &out), ERR_TOO_BIG);
		CHECK_EQ(out.size, 0);
		buf_fini(&out);
	}
}

/* Key, version, correlation id 7, client id "me"; what follows depends on the version. */
TEST(request_headers_of_every_kind)
{
	static const struct {
		int16_t key, version;
		size_t size; /* of a header with an empty tag section where there is one */
	} cases[] = {
		{API_FETCH, 11, 12},        {API_FETCH, 12, 13},         {API_API_VERSIONS, 2, 12},
		{API_API_VERSIONS, 3, 13},  {API_SASL_HANDSHAKE, 1, 12}, {API_API_VERSIONS, 99, 13},
		{API_API_VERSIONS, -1, 12}, {API_LEADER_AND_ISR, 0, 12}, {1234, 5, 12},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct request_header got = {0}, h = {cases[i].key, cases[i].version, 7, bytes_str("me")};
		const struct api *api = api_find(h.api_key);
		bool known = api && h.api_version >= api->min_version && h.api_version <= api->max_version;
		uint8_t bytes[20] = {0};
		struct reader r = reader_of(bytes_of(bytes, sizeof(bytes)));
		struct buf out;

		put_be16(bytes, (uint16_t)h.api_key);
		put_be16(bytes + 2, (uint16_t)h.api_version);
		put_be32(bytes + 4, 7);
		memcpy(bytes + 8, "\0\2me", 4);
		must_ok(request_header_decode(&r, &got));
		CHECK_EQ(got.api_key, h.api_key);
		CHECK_EQ(got.api_version, h.api_version);
		CHECK_EQ(got.correlation_id, 7);
		CHECK_BYTES(got.client_id, h.client_id);
		CHECK_EQ(reader_left(&r), sizeof(bytes) - cases[i].size);

		buf_init(&out, 100);
		CHECK_ERR(request_header_encode(&h, &out), known ? OK : ERR_BAD_VERSION);
		if (known)
			CHECK_BYTES(buf_bytes(&out), bytes_of(bytes, cases[i].size));
		buf_fini(&out);
	}
}

TEST(a_header_that_is_cut_or_wrong_is_malformed)
{
	static const uint8_t whole[] = {0, 1, 0, 12, 0, 0, 0, 7, 0, 2, 'm', 'e', 2, 0, 1, 9, 4, 0};
	struct request_header h = {.correlation_id = 42};
	struct reader r;

	for (size_t size = 0; size < sizeof(whole); size++) {
		r = reader_of(bytes_of(whole, size));
		CHECK(request_header_decode(&r, &h) != OK);
		CHECK_EQ(h.correlation_id, 42);
	}
	r = reader_of(bytes_of(whole, sizeof(whole)));
	must_ok(request_header_decode(&r, &h));
	CHECK_EQ(reader_left(&r), 0);
}

TEST(response_headers_have_tags_unless_they_are_of_api_versions)
{
	static const struct {
		int16_t key, version;
		size_t size;
	} cases[] = {
		{API_FETCH, 11, 4},       {API_FETCH, 12, 5},        {API_API_VERSIONS, 2, 4},
		{API_API_VERSIONS, 4, 4}, {API_API_VERSIONS, 99, 4}, {API_SASL_HANDSHAKE, 1, 4},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct request_header h = {cases[i].key, cases[i].version, -3, bytes_null()};
		struct reader r;
		struct buf out;
		int32_t id = 0;

		buf_init(&out, 100);
		must_ok(response_header_encode(&h, &out));
		CHECK_EQ(out.size, cases[i].size);
		r = reader_of(buf_bytes(&out));
		must_ok(response_header_decode(&r, &h, &id));
		CHECK_EQ(id, -3);
		CHECK_EQ(reader_left(&r), 0);
		buf_fini(&out);
	}
}

TEST(the_table_of_apis)
{
	CHECK(api_find(-1) == NULL);
	CHECK(api_find(API_CONTROLLED_SHUTDOWN) == NULL); /* no version left */
	CHECK(api_find(INT16_MAX) == NULL);
	for (size_t i = 0; i < api_count; i++) {
		CHECK(api_find(apis[i].key) == &apis[i]);
		CHECK(i == 0 || apis[i - 1].key < apis[i].key);
		CHECK_EQ(apis[i].request->key, apis[i].key);
		CHECK_EQ(apis[i].response->key, apis[i].key);
		CHECK_EQ(apis[i].latest_unstable, apis[i].key == API_INIT_PRODUCER_ID);
	}
	CHECK_STR(api_name(API_FETCH), "Fetch");
	CHECK_STR(api_name(4), "unknown");
	CHECK_EQ(api_find(API_FETCH)->on_controller, true);
	CHECK_EQ(api_find(API_PRODUCE)->on_controller, false);
	CHECK_EQ(api_find(API_SASL_HANDSHAKE)->flexible_from, VERSION_NONE);
	CHECK_EQ(api_find(API_PRODUCE)->min_version, 3);
}

static void check_printed(const struct message_type *t, int16_t version, const void *message, const char *expected)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	message_print(t, version, message, &out);
	CHECK_BYTES(buf_bytes(&out), bytes_str(expected));
	buf_fini(&out);
}

TEST(a_message_prints_as_the_version_has_it)
{
	struct metadata_request_metadata_request_topic topics[2];
	struct metadata_request m;

	message_init(&metadata_request_type, &m);
	memset(topics, 0, sizeof(topics));
	topics[0].name = bytes_str("a\"b\n");
	topics[1].name = bytes_null();
	m.topics = topics;
	m.topics_count = 2;
	check_printed(
		&metadata_request_type, 4, &m,
		"MetadataRequest v4 {topics: [{name: \"a\\\"b\\x0a\"}, {name: null}], allowAutoTopicCreation: true}");
	m.topics_count = -1;
	check_printed(&metadata_request_type, 0, &m, "MetadataRequest v0 {topics: null}");
	check_printed(&metadata_request_type, 77, &m, "MetadataRequest v77 (no such version)");
}

TEST(printing_hides_bytes_and_ends_in_time)
{
	struct sasl_authenticate_request s;
	struct metadata_request m;
	struct buf out;

	message_init(&sasl_authenticate_request_type, &s);
	s.auth_bytes = bytes_str("secret");
	check_printed(&sasl_authenticate_request_type, 2, &s, "SaslAuthenticateRequest v2 {authBytes: <6 bytes>}");

	message_init(&metadata_request_type, &m);
	m.topics_count = 1000000;
	m.topics = mem_zalloc(sizeof(*m.topics) * (size_t)m.topics_count);
	buf_init(&out, 1 << 16);
	message_print(&metadata_request_type, 4, &m, &out);
	CHECK(out.size > MESSAGE_PRINT_MAX - 50 && out.size <= MESSAGE_PRINT_MAX);
	CHECK_BYTES(bytes_of(out.data + out.size - 3, 3), bytes_str("..."));
	mem_free(m.topics);
	buf_fini(&out);
}
