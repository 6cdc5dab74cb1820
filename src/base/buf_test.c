/* buf: the writers, and the maximum. */
#include "base/buf.h"

#include "base/test.h"

#define BYTES(...) bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

TEST(numbers_are_big_endian)
{
	struct buf b;

	buf_init(&b, 1000);
	buf_put_i8(&b, -2);
	buf_put_i16(&b, 0x0102);
	buf_put_i32(&b, -3);
	buf_put_u32(&b, 0x80000001);
	buf_put_i64(&b, 0x0102030405060708);
	buf_put_f64(&b, 1.0);
	must_ok(b.error);
	CHECK_BYTES(buf_bytes(&b), BYTES(0xfe, 1, 2, 0xff, 0xff, 0xff, 0xfd, 0x80, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8,
					 0x3f, 0xf0, 0, 0, 0, 0, 0, 0));
	CHECK_EQ(get_be16(b.data + 1), 0x0102);
	CHECK_EQ(get_be32(b.data + 7), 0x80000001);
	CHECK_EQ(get_be64(b.data + 11), 0x0102030405060708);
	put_be16(b.data + 1, 0xabcd);
	CHECK_EQ(b.data[1], 0xab);
	buf_fini(&b);
}

TEST(what_passes_the_maximum_writes_nothing_and_sticks)
{
	struct buf b;

	buf_init(&b, 10);
	buf_put_i64(&b, 1);
	buf_put_i32(&b, 1);
	CHECK_ERR(b.error, ERR_TOO_BIG);
	CHECK_EQ(b.size, 8);
	buf_put_i8(&b, 1); /* would have had room */
	CHECK_EQ(b.size, 8);
	CHECK(buf_extend(&b, 1) == NULL);
	CHECK(!buf_reserve(&b, 0));
	buf_reset(&b);
	CHECK_ERR(b.error, OK);
	buf_put(&b, "0123456789", 10);
	CHECK_ERR(b.error, OK);
	CHECK(!buf_reserve(&b, SIZE_MAX));
	buf_fini(&b);
}

TEST(it_grows_to_its_maximum_and_keeps_what_it_has)
{
	struct buf b;

	buf_init(&b, 5000);
	for (int i = 0; i < 5000; i++)
		buf_put_i8(&b, (int8_t)(i % 100));
	CHECK_ERR(b.error, OK);
	CHECK_EQ(b.capacity, 5000);
	for (int i = 0; i < 5000; i++)
		CHECK_EQ(b.data[i], i % 100);
	buf_fini(&b);
}

TEST(an_empty_buf_has_empty_bytes_not_null)
{
	struct buf b;

	buf_init(&b, 10);
	CHECK(!bytes_is_null(buf_bytes(&b)));
	CHECK(buf_extend(&b, 0)); /* NULL would be an error */
	buf_put(&b, NULL, 0);
	buf_put_bytes(&b, bytes_null());
	CHECK_ERR(b.error, OK);
	CHECK_EQ(b.size, 0);
	buf_fini(&b);
}

/* The terminator that printf writes is no part of the text and needs no room of the maximum. */
TEST(printed_text_fits_where_its_characters_do)
{
	struct buf b;

	buf_init(&b, 7);
	buf_printf(&b, "%d-%s", 42, "abcd");
	CHECK_ERR(b.error, OK);
	CHECK_BYTES(buf_bytes(&b), bytes_str("42-abcd"));
	buf_printf(&b, "%s", "");
	CHECK_ERR(b.error, OK);
	buf_printf(&b, "x");
	CHECK_ERR(b.error, ERR_TOO_BIG);
	CHECK_EQ(b.size, 7);
	buf_fini(&b);
}

TEST(long_text_is_printed_whole)
{
	struct buf b;

	buf_init(&b, 10000);
	buf_printf(&b, "%05000d", 7);
	CHECK_EQ(b.size, 5000);
	CHECK_EQ(b.data[4999], '7');
	CHECK_EQ(b.data[4998], '0');
	buf_fini(&b);
}
