/* fetched_test: what comes out of a Fetch answer's records: skipping, hiding, cutting, damage. */
#include "client/fetched.h"

#include "base/alloc.h"
#include "base/test.h"
#include "record/builder.h"
#include "record/control.h"

/* Appends a batch of `count` records at `offset`; values are the last digit of their offset. */
static void put_batch(struct buf *out, int64_t offset, int count, int64_t producer_id, bool transactional,
		      enum codec codec)
{
	struct batch_options o = batch_options_default(10000);
	struct batch_builder b;
	struct bytes bytes;

	o.codec = codec;
	o.base_offset = offset;
	o.producer_id = producer_id;
	o.producer_epoch = producer_id >= 0 ? 0 : -1;
	o.base_sequence = producer_id >= 0 ? 0 : -1;
	o.is_transactional = transactional;
	batch_builder_init(&b, &o);
	for (int i = 0; i < count; i++) {
		char digit = (char)('0' + (offset + i) % 10);

		must_ok(batch_builder_append(&b, 1000 + i, bytes_null(), bytes_of(&digit, 1), NULL, 0));
	}
	must_ok(batch_builder_finish(&b, &bytes));
	buf_put_bytes(out, bytes);
	batch_builder_fini(&b);
}

static void put_marker(struct buf *out, int64_t offset, int64_t producer_id, bool committed)
{
	struct end_marker m = {.committed = committed, .producer_id = producer_id};
	size_t at = out->size;

	must_ok(end_marker_write(&m, 1, out));
	batch_set_base_offset(out->data + at, offset);
}

static struct fetched *open_all(const struct buf *records, const struct fetched_rules *rules, bool *ret_cut)
{
	struct fetched *f = fetched_new();

	f->topic = "t";
	fetched_open(f, buf_bytes(records), rules, ret_cut);
	return f;
}

static struct fetched_rules from(int64_t offset)
{
	return (struct fetched_rules){.from_offset = offset, .check_crcs = true, .max_decompressed_bytes = 1 << 20};
}

/* The values one behind the other. */
static void read_all(struct fetched *f, char *ret_text, enum err expected)
{
	const struct batch_header *h;
	struct record r;
	enum err e;
	size_t n = 0;

	while (!(e = fetched_next(f, &r, &h)))
		ret_text[n++] = (char)r.value.data[0];
	ret_text[n] = '\0';
	CHECK_ERR(e, expected);
}

TEST(records_come_from_the_wanted_offset_on_whatever_the_answer_begins_with)
{
	static const struct {
		int64_t from;
		const char *values;
	} cases[] = {{0, "0123456789"}, {3, "3456789"}, {4, "456789"}, {5, "56789"}, {9, "9"}, {10, ""}, {11, ""}};

	for (enum codec codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
		struct buf records;

		buf_init(&records, 100000);
		put_batch(&records, 0, 5, -1, false, codec);
		put_batch(&records, 5, 5, -1, false, codec);
		for (size_t i = 0; i < countof(cases); i++) {
			struct fetched_rules rules = from(cases[i].from);
			bool cut = true;
			struct fetched *f = open_all(&records, &rules, &cut);
			char values[20];

			read_all(f, values, ERR_END);
			CHECK_STR(values, cases[i].values);
			CHECK_EQ(f->next_offset, cases[i].from > 10 ? cases[i].from : 10);
			CHECK(!cut && !f->error);
			fetched_free(f);
		}
		buf_fini(&records);
	}
}

/* Cut at each byte: only whole batches count, and nothing else happens. */
TEST(a_batch_cut_off_at_the_end_is_left_for_the_next_fetch)
{
	struct buf records;
	size_t first, whole;

	buf_init(&records, 100000);
	put_batch(&records, 0, 3, -1, false, CODEC_NONE);
	first = records.size;
	put_batch(&records, 3, 3, -1, false, CODEC_LZ4);
	whole = records.size;
	for (size_t size = 0; size <= whole; size++) {
		struct fetched_rules rules = from(0);
		bool cut = false;
		struct fetched *f;

		records.size = size;
		f = open_all(&records, &rules, &cut);
		CHECK_EQ(f->next_offset, size < first ? 0 : size < whole ? 3 : 6);
		CHECK_EQ(cut, size > 0 && size < first);
		CHECK_EQ(f->error, OK);
		fetched_free(f);
	}
	records.size = whole;
	buf_fini(&records);
}

/* Every flipped bit under the CRC is found, with the place in words; what came before it is still read. */
TEST(damage_is_told_and_what_came_before_is_read)
{
	struct buf records;
	size_t first;

	buf_init(&records, 100000);
	put_batch(&records, 0, 3, -1, false, CODEC_NONE);
	first = records.size;
	put_batch(&records, 3, 3, -1, false, CODEC_NONE);
	for (size_t at = first + 21; at < records.size; at++) {
		struct fetched_rules rules = from(0);
		bool cut = false;
		struct fetched *f;
		char values[20];

		records.data[at] ^= 0x10;
		f = open_all(&records, &rules, &cut);
		read_all(f, values, ERR_END);
		CHECK_STR(values, "012");
		CHECK_EQ(f->error, ERR_CORRUPT);
		CHECK_EQ(f->next_offset, 3);
		CHECK(strstr(f->text, "t/0: ") == f->text);
		records.data[at] ^= 0x10;
		fetched_free(f);
	}
	buf_fini(&records);
}

/*
 *      0-1 of 7, 2 aborts 7; 3-4 of 8, 5-6 of 7 again, 7 commits 7, 8 aborts 8; 9 of nobody
 */
TEST(records_of_aborted_transactions_are_hidden_when_only_committed_ones_are_wanted)
{
	static const struct fetch_response_aborted_transaction aborted[] = {{.producer_id = 7, .first_offset = 0},
									    {.producer_id = 8, .first_offset = 3}};
	struct fetched_rules rules = from(0);
	struct buf records;

	buf_init(&records, 100000);
	put_batch(&records, 0, 2, 7, true, CODEC_NONE);
	put_marker(&records, 2, 7, false);
	put_batch(&records, 3, 2, 8, true, CODEC_NONE);
	put_batch(&records, 5, 2, 7, true, CODEC_ZSTD);
	put_marker(&records, 7, 7, true);
	put_marker(&records, 8, 8, false);
	put_batch(&records, 9, 1, -1, false, CODEC_NONE);
	for (int committed = 0; committed < 2; committed++) {
		bool cut;
		struct fetched *f;
		char values[20];

		rules.read_committed = committed;
		rules.aborted = committed ? aborted : NULL;
		rules.aborted_count = committed ? 2 : 0;
		f = open_all(&records, &rules, &cut);
		read_all(f, values, ERR_END);
		CHECK_STR(values, committed ? "569" : "0134569");
		CHECK_EQ(f->next_offset, 10);
		fetched_free(f);
	}
	buf_fini(&records);
}

TEST(a_bomb_is_an_error)
{
	struct fetched_rules rules = from(0);
	struct batch_options o = batch_options_default(4 << 20);
	struct batch_builder b;
	struct bytes bytes;
	struct buf records;
	bool cut;
	struct fetched *f;
	uint8_t *zeros = mem_zalloc(3 << 20);

	o.codec = CODEC_ZSTD;
	batch_builder_init(&b, &o);
	must_ok(batch_builder_append(&b, 1, bytes_null(), bytes_of(zeros, 3 << 20), NULL, 0));
	must_ok(batch_builder_finish(&b, &bytes));
	buf_init(&records, 1 << 20);
	buf_put_bytes(&records, bytes);
	f = open_all(&records, &rules, &cut);
	CHECK_EQ(f->error, ERR_TOO_BIG);
	CHECK_EQ(f->batch_count, 0);
	fetched_free(f);
	buf_fini(&records);
	batch_builder_fini(&b);
	mem_free(zeros);
}
