#include "storage/offset_index.h"

#include "base/test.h"

static struct offset_index three_entries(void)
{
	struct offset_index x;

	offset_index_init(&x);
	offset_index_append(&x, (struct offset_entry){9, 4200});
	offset_index_append(&x, (struct offset_entry){25, 8500});
	offset_index_append(&x, (struct offset_entry){60, 20000});
	return x;
}

TEST(a_lookup_gives_a_place_that_is_not_behind_the_offset)
{
	static const struct {
		int32_t wanted, position, end;
	} cases[] = {{0, 0, 4200},      {8, 0, 4200},    {9, 4200, 8500}, {24, 4200, 8500},
		     {25, 8500, 20000}, {60, 20000, -1}, {61, 20000, -1}};
	struct offset_index x = three_entries();

	for (size_t i = 0; i < countof(cases); i++) {
		CHECK_EQ(offset_index_lookup(&x, cases[i].wanted), cases[i].position);
		CHECK_EQ(offset_index_lookup_end(&x, cases[i].wanted, -1), cases[i].end);
	}
	offset_index_fini(&x);
}

TEST(a_place_gives_an_offset_that_what_lies_before_it_does_not_pass)
{
	static const struct {
		int32_t position, offset;
	} cases[] = {{0, 9}, {4200, 9}, {4201, 25}, {8500, 25}, {20000, 60}, {20001, -1}};
	struct offset_index x = three_entries();

	for (size_t i = 0; i < countof(cases); i++)
		CHECK_EQ(offset_index_lookup_position(&x, cases[i].position, -1), cases[i].offset);
	offset_index_fini(&x);
}

TEST(a_cut_takes_what_points_at_or_past_it)
{
	static const struct {
		int32_t position;
		size_t left;
	} cases[] = {{30000, 3}, {20001, 3}, {20000, 2}, {8500, 1}, {4201, 1}, {0, 0}};

	for (size_t i = 0; i < countof(cases); i++) {
		struct offset_index x = three_entries();

		offset_index_truncate(&x, cases[i].position);
		CHECK_EQ(x.count, cases[i].left);
		offset_index_fini(&x);
	}
}

TEST(a_file_goes_out_and_comes_in_the_same)
{
	static const uint8_t golden[] = {0, 0, 0,    9,    0, 0, 0x10, 0x68, 0, 0, 0,    25,
					 0, 0, 0x21, 0x34, 0, 0, 0,    60,   0, 0, 0x4e, 0x20};
	struct offset_index x = three_entries(), back = {0};
	struct buf out;

	buf_init(&out, 1000);
	offset_index_write(&x, &out);
	CHECK_BYTES(buf_bytes(&out), bytes_of(golden, sizeof(golden)));
	buf_put_i64(&out, 0); /* preallocated */
	must_ok(offset_index_read(buf_bytes(&out), 20001, &back));
	CHECK_EQ(back.count, 3);
	CHECK_EQ(back.entries[2].position, 20000);
	offset_index_fini(&x);
	offset_index_fini(&back);
	buf_fini(&out);
}

TEST(a_file_that_cannot_be_an_index_is_refused_and_changes_nothing)
{
	static const struct {
		const char *what;
		int32_t words[6];
		size_t size;
	} cases[] = {
		{"half an entry", {9, 100}, 12},
		{"offsets that fall", {9, 100, 8, 200}, 16},
		{"positions that fall", {9, 100, 10, 90}, 16},
		{"past the segment", {9, 30000}, 8},
		{"negative", {-1, 100}, 8},
		{"entries behind zeros", {9, 100, 0, 0, 12, 300}, 24},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct offset_index x = three_entries();
		struct buf in;

		buf_init(&in, 100);
		for (size_t w = 0; w * 4 < cases[i].size; w++)
			buf_put_i32(&in, cases[i].words[w]);
		CHECK_ERR(offset_index_read(buf_bytes(&in), 25000, &x), ERR_CORRUPT);
		CHECK_EQ(x.count, 3);
		buf_fini(&in);
		offset_index_fini(&x);
	}
}
