#include "storage/aborted_index.h"

#include "base/test.h"

/* Markers at 20, 30, 44; while the one at 30 was written a transaction of 25 was open, that ended at 44. */
static struct aborted_index three(void)
{
	static const struct aborted_txn all[] = {{7, 10, 20, 21}, {8, 22, 30, 25}, {9, 25, 44, 45}};
	struct aborted_index x = {0};

	for (size_t i = 0; i < countof(all); i++)
		aborted_index_append(&x, &all[i]);
	return x;
}

TEST(a_reader_gets_those_that_overlap_its_range)
{
	static const struct {
		int64_t from, to;
		size_t count;
		int64_t producer_id; /* of the first */
		bool over;
	} cases[] = {
		{0, 10, 0, 0, true},    {0, 11, 1, 7, true},  {20, 21, 1, 7, true}, {21, 22, 0, 0, true},
		{21, 23, 1, 8, true},   {0, 46, 3, 7, false}, {31, 40, 1, 9, true}, {44, 45, 1, 9, true},
		{45, 100, 0, 0, false}, {0, 25, 2, 7, true},  {0, 26, 3, 7, true},
	};
	struct aborted_index x = three();

	for (size_t i = 0; i < countof(cases); i++) {
		struct aborted_index out = {0};

		CHECK_EQ(aborted_index_collect(&x, cases[i].from, cases[i].to, &out), cases[i].over);
		CHECK_EQ(out.count, cases[i].count);
		if (out.count)
			CHECK_EQ(out.entries[0].producer_id, cases[i].producer_id);
		aborted_index_fini(&out);
	}
	aborted_index_fini(&x);
}

TEST(a_cut_takes_the_markers_behind_it)
{
	static const struct {
		int64_t offset;
		size_t left;
	} cases[] = {{45, 3}, {44, 2}, {31, 2}, {30, 1}, {21, 1}, {20, 0}, {0, 0}};

	for (size_t i = 0; i < countof(cases); i++) {
		struct aborted_index x = three();

		aborted_index_truncate(&x, cases[i].offset);
		CHECK_EQ(x.count, cases[i].left);
		aborted_index_fini(&x);
	}
}

TEST(a_file_is_kafkas_and_comes_back_the_same)
{
	static const uint8_t first[ABORTED_ENTRY_SIZE] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 21,
	};
	struct aborted_index x = three(), back = {0};
	struct buf out;

	buf_init(&out, 1000);
	aborted_index_write(&x, 0, &out);
	CHECK_EQ(out.size, 3 * ABORTED_ENTRY_SIZE);
	CHECK(memcmp(out.data, first, sizeof(first)) == 0);
	must_ok(aborted_index_read(buf_bytes(&out), 15, &back));
	CHECK_EQ(back.count, 3);
	CHECK(memcmp(back.entries, x.entries, 3 * sizeof(*x.entries)) == 0);
	buf_reset(&out);
	aborted_index_write(&x, 2, &out);
	CHECK_EQ(out.size, ABORTED_ENTRY_SIZE);
	buf_fini(&out);
	aborted_index_fini(&x);
	aborted_index_fini(&back);
}

TEST(what_cannot_be_a_segments_index_is_refused_and_changes_nothing)
{
	struct aborted_index x = three(), back = {0};
	struct aborted_txn late = {1, 50, 44, 51};
	struct buf out;

	buf_init(&out, 1000);
	aborted_index_write(&x, 0, &out);
	must_ok(aborted_index_read(buf_bytes(&out), 0, &back));
	CHECK_ERR(aborted_index_read(bytes_of(out.data, out.size - 1), 0, &back), ERR_CORRUPT);
	CHECK_ERR(aborted_index_read(buf_bytes(&out), 21, &back), ERR_CORRUPT); /* a marker before the segment */
	out.data[1] = 1;
	CHECK_ERR(aborted_index_read(buf_bytes(&out), 0, &back), ERR_CORRUPT); /* of a newer version */
	out.data[1] = 0;
	aborted_index_append(&x, &late);
	buf_reset(&out);
	aborted_index_write(&x, 0, &out);
	CHECK_ERR(aborted_index_read(buf_bytes(&out), 0, &back), ERR_CORRUPT); /* not behind the one before */
	CHECK_EQ(back.count, 3);
	buf_fini(&out);
	aborted_index_fini(&x);
	aborted_index_fini(&back);
}
