#include "storage/time_index.h"

#include "base/test.h"

static struct time_index three_entries(void)
{
	struct time_index x;

	time_index_init(&x);
	time_index_maybe_append(&x, (struct time_entry){100, 5});
	time_index_maybe_append(&x, (struct time_entry){100, 9}); /* not younger: no entry */
	time_index_maybe_append(&x, (struct time_entry){200, 12});
	time_index_maybe_append(&x, (struct time_entry){-1, 14});
	time_index_maybe_append(&x, (struct time_entry){300, 30});
	return x;
}

TEST(a_lookup_gives_the_youngest_that_is_not_younger)
{
	static const struct {
		int64_t wanted, timestamp;
		int32_t offset;
	} cases[] = {{0, -1, 0}, {99, -1, 0}, {100, 100, 5}, {199, 100, 5}, {200, 200, 12}, {1000, 300, 30}};
	struct time_index x = three_entries();

	CHECK_EQ(x.count, 3);
	for (size_t i = 0; i < countof(cases); i++) {
		struct time_entry e = time_index_lookup(&x, cases[i].wanted);

		CHECK_EQ(e.timestamp, cases[i].timestamp);
		CHECK_EQ(e.relative_offset, cases[i].offset);
	}
	time_index_fini(&x);
}

TEST(a_cut_takes_what_points_at_or_past_it)
{
	struct time_index x = three_entries();

	time_index_truncate(&x, 31);
	CHECK_EQ(x.count, 3);
	time_index_truncate(&x, 12);
	CHECK_EQ(x.count, 1);
	time_index_fini(&x);
}

TEST(a_file_goes_out_and_comes_in_the_same)
{
	struct time_index x = three_entries(), back = {0};
	struct buf out;

	buf_init(&out, 1000);
	time_index_write(&x, &out);
	CHECK_EQ(out.size, 36);
	CHECK_EQ(get_be64(out.data + 12), 200);
	CHECK_EQ(get_be32(out.data + 20), 12);
	must_ok(time_index_read(buf_bytes(&out), &back));
	CHECK_EQ(back.count, 3);
	put_be64(out.data + 24, 150); /* time falls */
	CHECK_ERR(time_index_read(buf_bytes(&out), &back), ERR_CORRUPT);
	CHECK_ERR(time_index_read(bytes_of(out.data, 35), &back), ERR_CORRUPT);
	CHECK_EQ(back.count, 3);
	time_index_fini(&x);
	time_index_fini(&back);
	buf_fini(&out);
}
