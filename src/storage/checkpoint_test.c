#include "storage/checkpoint.h"

#include <stdio.h>

#include "base/test.h"
#include "storage/log_name.h"

struct seen {
	struct checkpoint_visitor visitor;
	struct bounds_visitor bounds;
	struct moves_visitor moves;
	char text[512];
};

static void see(struct checkpoint_visitor *v, struct bytes topic, int32_t partition, int64_t offset)
{
	struct seen *s = container_of(v, struct seen, visitor);
	size_t used = strlen(s->text);

	snprintf(s->text + used, sizeof(s->text) - used, "%.*s/%d=%lld ", BYTES_ARG(topic), (int)partition,
		 (long long)offset);
}

static void see_bounds(struct bounds_visitor *v, struct bytes topic, int32_t partition, const struct log_bounds *b)
{
	struct seen *s = container_of(v, struct seen, bounds);
	size_t used = strlen(s->text);

	snprintf(s->text + used, sizeof(s->text) - used, "%.*s/%d=%lld,%lld,%lld ", BYTES_ARG(topic), (int)partition,
		 (long long)b->recovery_point, (long long)b->start, (long long)b->acknowledged);
}

TEST(offset_checkpoints_as_kafka_writes_them)
{
	static const struct {
		const char *file;
		enum err err;
		const char *seen;
	} cases[] = {
		{"0\n0\n", OK, ""},
		{"0\n2\na 0 17\nb-c.d 12 9223372036854775807\n", OK, "a/0=17 b-c.d/12=9223372036854775807 "},
		{"0\n1\na 0 17", OK, "a/0=17 "},
		{"", ERR_CORRUPT, ""},
		{"1\n0\n", ERR_CORRUPT, ""},
		{"0\n2\na 0 17\n", ERR_CORRUPT, "a/0=17 "},
		{"0\n1\na 0 17\nb 0 1\n", ERR_CORRUPT, "a/0=17 "},
		{"0\n1\na 0\n", ERR_CORRUPT, ""},
		{"0\n1\na 0 1 2\n", ERR_CORRUPT, ""},
		{"0\n1\na x 1\n", ERR_CORRUPT, ""},
		{"0\n1\na -1 1\n", ERR_CORRUPT, ""},
		{"0\n1\na 0 9223372036854775808\n", ERR_CORRUPT, ""},
		{"0\n-1\n", ERR_CORRUPT, ""},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct seen s = {.visitor = {.entry = see}};

		CHECK_ERR(offset_checkpoint_read(bytes_str(cases[i].file), &s.visitor), cases[i].err);
		CHECK_STR(s.text, cases[i].seen);
	}
}

TEST(epoch_checkpoints_as_kafka_writes_them)
{
	struct epoch_cache c = {0};
	struct buf out;

	must_ok(epoch_checkpoint_read(bytes_str("0\n3\n0 0\n2 40\n5 100\n"), &c));
	CHECK_EQ(c.count, 3);
	buf_init(&out, 100);
	epoch_checkpoint_write(&c, &out);
	CHECK_BYTES(buf_bytes(&out), bytes_str("0\n3\n0 0\n2 40\n5 100\n"));
	CHECK_ERR(epoch_checkpoint_read(bytes_str("0\n2\n2 40\n1 50\n"), &c), ERR_CORRUPT);
	CHECK_ERR(epoch_checkpoint_read(bytes_str("0\n1\n2 -4\n"), &c), ERR_CORRUPT);
	CHECK_ERR(epoch_checkpoint_read(bytes_str("0\n1\n2 4"), &c), ERR_CORRUPT); /* was 2 40 once */
	CHECK_EQ(c.count, 3);
	epoch_cache_fini(&c);
	buf_fini(&out);
}

TEST(our_checkpoint_is_whole_or_not_used)
{
	struct log_bounds b = {.recovery_point = 5, .start = 2, .acknowledged = 4};
	struct seen s = {.bounds = {.entry = see_bounds}};
	struct buf out;

	buf_init(&out, 1000);
	bounds_checkpoint_write_head(&out);
	bounds_checkpoint_write_entry(&out, bytes_str("t"), 3, &b);
	bounds_checkpoint_write_end(&out);
	must_ok(bounds_checkpoint_read(buf_bytes(&out), &s.bounds));
	CHECK_STR(s.text, "t/3=5,2,4 ");
	for (size_t i = 0; i < out.size; i++) {
		out.data[i] ^= 1;
		CHECK_ERR(bounds_checkpoint_read(buf_bytes(&out), &s.bounds), ERR_CORRUPT);
		out.data[i] ^= 1;
		if (i + 1 < out.size) /* the last line may lack its end */
			CHECK_ERR(bounds_checkpoint_read(bytes_of(out.data, i), &s.bounds), ERR_CORRUPT);
	}
	buf_fini(&out);
}

static void see_move(struct moves_visitor *v, const struct moved_log *m)
{
	struct seen *s = container_of(v, struct seen, moves);
	size_t used = strlen(s->text);

	snprintf(s->text + used, sizeof(s->text) - used, "%.*s/%d:%d>%d ", BYTES_ARG(m->topic), (int)m->partition,
		 m->topic_id.bytes[0], m->directory_id.bytes[0]);
}

TEST(marks_of_moves_are_whole_or_not_used)
{
	struct moved_log m = {bytes_str("t"), 3, {{7}}, {{9}}};
	struct seen s = {.moves = {.entry = see_move}};
	struct buf out;

	buf_init(&out, 1000);
	moves_write_head(&out);
	moves_write_entry(&out, &m);
	moves_write_end(&out);
	must_ok(moves_read(buf_bytes(&out), &s.moves));
	CHECK_STR(s.text, "t/3:7>9 ");
	for (size_t i = 0; i < out.size; i++) {
		out.data[i] ^= 1;
		CHECK_ERR(moves_read(buf_bytes(&out), &s.moves), ERR_CORRUPT);
		out.data[i] ^= 1;
		if (i + 1 < out.size) /* the last line may lack its end */
			CHECK_ERR(moves_read(bytes_of(out.data, i), &s.moves), ERR_CORRUPT);
	}
	buf_fini(&out);
}

TEST(meta_properties_of_every_kafka)
{
	static const struct {
		const char *file;
		enum err err;
	} cases[] = {
		{"#\n#Mon Nov "
		 "23\nversion=1\ncluster.id=5L6g3nShT-eMCtK--X86sw\nnode.id=4\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n",
		 OK},
		{"version=0\nbroker.id=4\ncluster.id=abc\n", OK},
		{"version = 1 \r\n cluster.id = abc\r\nnode.id=4\r\n", OK},
		{"version=2\ncluster.id=abc\nnode.id=4\n", ERR_CORRUPT},
		{"cluster.id=abc\nnode.id=4\n", ERR_CORRUPT},
		{"version=1\nnode.id=4\n", ERR_CORRUPT},
		{"version=1\ncluster.id=abc\n", ERR_CORRUPT},
		{"version=1\ncluster.id=abc\nnode.id=-4\n", ERR_CORRUPT},
		{"version=1\ncluster.id=abc\nnode.id=4\ndirectory.id=short\n", ERR_CORRUPT},
		{"", ERR_CORRUPT},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct meta_properties m = {.node_id = 99};

		CHECK_ERR(meta_properties_read(bytes_str(cases[i].file), &m), cases[i].err);
		CHECK_EQ(m.node_id, cases[i].err ? 99 : 4);
	}
}

TEST(partition_metadata_and_the_clean_marker)
{
	struct uuid id = {.bytes = {1, 2, 3}}, back = {0};
	struct buf out;

	buf_init(&out, 1000);
	partition_metadata_write(id, &out);
	must_ok(partition_metadata_read(buf_bytes(&out), &back));
	CHECK(uuid_equal(id, back));
	CHECK_ERR(partition_metadata_read(bytes_str("version: 1\ntopic_id: AQIDAAAAAAAAAAAAAAAAAA"), &back),
		  ERR_CORRUPT);
	CHECK_ERR(partition_metadata_read(bytes_str(""), &back), ERR_CORRUPT);
	CHECK_ERR(partition_metadata_read(bytes_str("version: 0\n"), &back), ERR_CORRUPT);
	buf_reset(&out);
	clean_marker_write(-1, &out);
	CHECK_BYTES(buf_bytes(&out), bytes_str("{\"version\":0,\"brokerEpoch\":-1}"));
	buf_fini(&out);
}

TEST(a_marker_is_read_only_as_it_is_written)
{
	static const struct {
		const char *file;
		enum err err;
		int64_t epoch;
	} cases[] = {
		{"{\"version\":0,\"brokerEpoch\":-1}", OK, -1},
		{"{\"version\":0,\"brokerEpoch\":4711}", OK, 4711},
		{"{\"version\":0,\"brokerEpoch\":9223372036854775807}", OK, INT64_MAX},
		{"{\"version\":0,\"brokerEpoch\":47", ERR_CORRUPT, 0},
		{"{\"version\":0,\"brokerEpoch\":4711", ERR_CORRUPT, 0},
		{"{\"version\":0,\"brokerEpoch\":47!1}", ERR_CORRUPT, 0},
		{"{\"version\":0,\"brokerEpoch\":4711]", ERR_CORRUPT, 0},
		{"{\"version\":0,\"brokerEpoch\":04711}", ERR_CORRUPT, 0},
		{"{\"version\":0,\"brokerEpoch\":9223372036854775808}", ERR_CORRUPT, 0},
		{"{\"version\":1,\"brokerEpoch\":4711}", ERR_CORRUPT, 0},
		{"{\"version\":0,\"brokerEpoch\":4711}}", ERR_CORRUPT, 0},
		{"{\"version\":0,\"brokerEpoch\":}", ERR_CORRUPT, 0},
		{"", ERR_CORRUPT, 0},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		int64_t epoch = 0;

		CHECK_ERR(clean_marker_read(bytes_str(cases[i].file), &epoch), cases[i].err);
		CHECK_EQ(epoch, cases[i].epoch);
	}
}

TEST(the_run_is_read_as_both_versions_wrote_it)
{
	static const struct {
		const char *file;
		enum err err;
	} cases[] = {
		{"version=1\nrun=00000000deadbeef\n", OK},
		{"version=2\nrun=00000000deadbeef\ncrc32c=5bc7f34d\n", OK},
		{"version=2\nrun=00000000deadbeef\n", ERR_CORRUPT},
		{"version=1\nrun=00000000deadbeef\ncrc32c=5bc7f34d\n", ERR_CORRUPT},
		{"version=1\nrun=deadbeef\n", ERR_CORRUPT},
		{"version=1\nrun=00000000DEADBEEF\n", ERR_CORRUPT},
		{"version=1\nrun=0000000000000000\n", ERR_CORRUPT},
		{"version=1\nrun=00000000deadbeef", ERR_CORRUPT},
		{"version=3\nrun=00000000deadbeef\n", ERR_CORRUPT},
		{"", ERR_CORRUPT},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		uint64_t run = 0;

		CHECK_ERR(run_state_read(bytes_str(cases[i].file), &run), cases[i].err);
		CHECK_EQ(run, cases[i].err ? 0 : 0xdeadbeef);
	}
}

TEST(a_run_with_any_bit_flipped_or_any_end_missing_is_none)
{
	uint64_t run = 0;
	struct buf out;
	uint8_t *at;

	buf_init(&out, 1000);
	run_state_write(0x0123456789abcdef, &out);
	must_ok(run_state_read(buf_bytes(&out), &run));
	CHECK_EQ(run, 0x0123456789abcdef);
	at = (uint8_t *)(uintptr_t)buf_bytes(&out).data;
	for (size_t bit = 0; bit < buf_bytes(&out).size * 8; bit++) {
		at[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK_ERR(run_state_read(buf_bytes(&out), &run), ERR_CORRUPT);
		at[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t size = 0; size < buf_bytes(&out).size; size++)
		CHECK_ERR(run_state_read(bytes_of(at, size), &run), ERR_CORRUPT);
	buf_fini(&out);
}

TEST(names_of_folders)
{
	static const struct {
		const char *name;
		enum folder_kind kind;
		const char *topic;
		int32_t partition;
	} cases[] = {
		{"a-0", FOLDER_LOG, "a", 0},
		{"my-topic.x_1-2147483647", FOLDER_LOG, "my-topic.x_1", 2147483647},
		{"__consumer_offsets-49", FOLDER_LOG, "__consumer_offsets", 49},
		{"a-2147483648", FOLDER_OTHER, "", 0},
		{"a--1", FOLDER_LOG, "a-", 1},
		{"-1", FOLDER_OTHER, "", 0},
		{"a-", FOLDER_OTHER, "", 0},
		{"a", FOLDER_OTHER, "", 0},
		{"a-x", FOLDER_OTHER, "", 0},
		{"a-0.5f-delete", FOLDER_DELETED, "", 0},
		{"a-0.5f-stray", FOLDER_STRAY, "", 0},
		{"a.b-3.b3c0d1e2f30415263748596a7b8c9d0e-future", FOLDER_FUTURE, "a.b", 3},
		{"a-x.5f-future", FOLDER_OTHER, "", 0},
		{"a-future", FOLDER_OTHER, "", 0},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct bytes topic = bytes_empty();
		int32_t partition = 0;

		CHECK_EQ(folder_name_parse(bytes_str(cases[i].name), &topic, &partition), cases[i].kind);
		CHECK_BYTES(topic, bytes_str(cases[i].topic));
		CHECK_EQ(partition, cases[i].partition);
	}
}

TEST(names_of_segment_files)
{
	static const struct {
		const char *name;
		enum err err;
		int64_t base;
		enum segment_file file;
	} cases[] = {
		{"00000000000000000042.log", OK, 42, SEGMENT_LOG},
		{"09223372036854775807.timeindex", OK, INT64_MAX, SEGMENT_TIMEINDEX},
		{"00000000000000000042.snapshot", OK, 42, SEGMENT_SNAPSHOT},
		{"00000000000000000042.log.deleted", ERR_NOT_FOUND, 0, SEGMENT_LOG},
		{"0000000000000000042.log", ERR_NOT_FOUND, 0, SEGMENT_LOG},
		{"09223372036854775808.log", ERR_NOT_FOUND, 0, SEGMENT_LOG},
		{"leader-epoch-checkpoint", ERR_NOT_FOUND, 0, SEGMENT_LOG},
	};
	char name[LOG_NAME_SIZE];

	for (size_t i = 0; i < countof(cases); i++) {
		int64_t base = 0;
		enum segment_file file = SEGMENT_LOG;

		CHECK_ERR(segment_name_parse(bytes_str(cases[i].name), &base, &file), cases[i].err);
		CHECK_EQ(base, cases[i].base);
		CHECK_EQ(file, cases[i].file);
		if (cases[i].err)
			continue;
		segment_name_format(name, base, file);
		CHECK_STR(name, cases[i].name);
	}
}
