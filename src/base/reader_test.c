/* reader: values, and the error that sticks. */
#include "base/reader.h"

#include "base/alloc.h"
#include "base/test.h"

#define BYTES(...) bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

TEST(numbers_are_big_endian)
{
	struct reader r = reader_of(BYTES(0xfe, 0xff, 0xfd, 0, 0, 1, 0, 0x80, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0x3f,
					  0xf0, 0, 0, 0, 0, 0, 0));

	CHECK_EQ(reader_i8(&r), -2);
	CHECK_EQ(reader_i16(&r), -3);
	CHECK_EQ(reader_i32(&r), 256);
	CHECK_EQ(reader_u32(&r), 0x80000001);
	CHECK_EQ(reader_i64(&r), 0x0102030405060708);
	CHECK(reader_f64(&r) == 1.0);
	must_ok(r.error);
	CHECK_EQ(reader_left(&r), 0);
}

TEST(what_is_not_there_is_zero_and_an_error_that_sticks)
{
	struct reader r = reader_of(BYTES(1, 2, 3));

	CHECK_EQ(reader_i32(&r), 0);
	CHECK_ERR(r.error, ERR_MALFORMED);
	CHECK_EQ(reader_i8(&r), 0); /* it is there, but after an error nothing is read */
	CHECK_EQ(reader_left(&r), 0);
	CHECK(bytes_is_null(reader_bytes(&r, 0)));
	reader_fail(&r, ERR_TOO_BIG);
	CHECK_ERR(r.error, ERR_MALFORMED); /* the first one stays */
}

TEST(bytes_are_taken_in_place)
{
	struct bytes source = bytes_str("abcdef");
	struct reader r = reader_of(source);
	struct bytes b;

	reader_skip(&r, 2);
	b = reader_bytes(&r, 3);
	CHECK(b.data == source.data + 2);
	CHECK_BYTES(b, bytes_str("cde"));
	b = reader_bytes(&r, 0);
	CHECK(!bytes_is_null(b));
	CHECK(bytes_is_null(reader_bytes(&r, SIZE_MAX)));
	CHECK_ERR(r.error, ERR_MALFORMED);
}

TEST(an_empty_source_is_at_its_end)
{
	struct reader r = reader_of(bytes_null());

	CHECK_EQ(reader_left(&r), 0);
	CHECK(!bytes_is_null(reader_bytes(&r, 0)));
	must_ok(r.error);
	CHECK_EQ(reader_i8(&r), 0);
	CHECK_ERR(r.error, ERR_MALFORMED);
}

/* Values that no writer of ours makes; those that it makes are in primitives_test.c. */
TEST(varints_at_their_edges)
{
	static const struct {
		const char *source;
		size_t size;
		enum err err32;
		uint32_t value32;
		enum err err64;
		int64_t value64; /* zigzag */
	} cases[] = {
		{"\x80\x00", 2, OK, 0, OK, 0}, /* longer than it need be */
		{"\x80", 1, ERR_MALFORMED, 0, ERR_MALFORMED, 0},
		{"", 0, ERR_MALFORMED, 0, ERR_MALFORMED, 0},
		{"\xff\xff\xff\xff\x0f", 5, OK, UINT32_MAX, OK, INT32_MIN},
		{"\xff\xff\xff\xff\x1f", 5, ERR_MALFORMED, 0, OK, -4294967296},
		{"\x80\x80\x80\x80\x80\x00", 6, ERR_MALFORMED, 0, OK, 0},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, ERR_MALFORMED, 0, OK, INT64_MIN},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03", 10, ERR_MALFORMED, 0, ERR_MALFORMED, 0},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, ERR_MALFORMED, 0, ERR_MALFORMED, 0},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		uint8_t *exact = mem_dup(cases[i].source, cases[i].size);
		struct reader r = reader_of(bytes_of(exact, cases[i].size));

		CHECK_EQ(reader_uvarint(&r), cases[i].value32);
		CHECK_ERR(r.error, cases[i].err32);
		r = reader_of(bytes_of(exact, cases[i].size));
		CHECK_EQ(reader_varlong(&r), cases[i].value64);
		CHECK_ERR(r.error, cases[i].err64);
		mem_free(exact);
	}
}
