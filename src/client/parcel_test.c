/* parcel_test: records come out of a parcel as they went in. */
#include "client/parcel.h"

#include "base/test.h"

static const struct record_header headers[] = {
	{{(const uint8_t *)"a", 1}, {(const uint8_t *)"1", 1}},
	{{(const uint8_t *)"", 0}, {NULL, 0}},
	{{(const uint8_t *)"long name", 9}, {(const uint8_t *)"", 0}},
};

static const struct parcel_record rows[] = {
	{.record = {.timestamp = 5, .key = {(const uint8_t *)"k", 1}, .value = {(const uint8_t *)"value", 5}},
	 .topic = 3,
	 .partition = -1},
	/* Null is not empty. */
	{.record = {.timestamp = -1, .key = {NULL, 0}, .value = {(const uint8_t *)"", 0}}, .topic = 0, .partition = 7},
	{.record = {.timestamp = INT64_MAX, .key = {(const uint8_t *)"", 0}, .value = {NULL, 0}},
	 .topic = UINT32_MAX,
	 .partition = INT32_MAX},
	{.record = {.headers = headers, .header_count = countof(headers), .value = {(const uint8_t *)"odd", 3}}},
	{.record = {.headers = headers + 1, .header_count = 1}},
};

static void check_record(const struct parcel_record *got, const struct parcel_record *expected)
{
	CHECK_EQ(got->topic, expected->topic);
	CHECK_EQ(got->partition, expected->partition);
	CHECK_EQ(got->record.timestamp, expected->record.timestamp);
	CHECK(got->record.opaque == expected->record.opaque);
	CHECK_EQ(bytes_is_null(got->record.key), bytes_is_null(expected->record.key));
	CHECK_EQ(bytes_is_null(got->record.value), bytes_is_null(expected->record.value));
	CHECK_BYTES(got->record.key, expected->record.key);
	CHECK_BYTES(got->record.value, expected->record.value);
	CHECK_EQ(got->record.header_count, expected->record.header_count);
	for (size_t i = 0; i < got->record.header_count; i++) {
		CHECK_BYTES(got->record.headers[i].key, expected->record.headers[i].key);
		CHECK_EQ(bytes_is_null(got->record.headers[i].value), bytes_is_null(expected->record.headers[i].value));
		CHECK_BYTES(got->record.headers[i].value, expected->record.headers[i].value);
	}
}

TEST(records_of_every_shape_come_out_as_they_went_in)
{
	struct parcel_reader reader;
	struct parcel_record r;
	struct buf parcel;

	buf_init(&parcel, SIZE_MAX / 2);
	for (size_t round = 0; round < 3; round++)
		for (size_t i = 0; i < countof(rows); i++)
			parcel_put(&parcel, &rows[i]);
	parcel_reader_init(&reader, buf_bytes(&parcel));
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < countof(rows); i++) {
			CHECK(parcel_next(&reader, &r));
			check_record(&r, &rows[i]);
		}
	}
	CHECK(!parcel_next(&reader, &r));
	parcel_reader_fini(&reader);
	buf_fini(&parcel);
}

/* What is charged against buffer.memory is what is used. */
TEST(a_record_takes_as_many_bytes_as_its_size_says)
{
	for (size_t i = 0; i < countof(rows); i++) {
		struct buf parcel;

		buf_init(&parcel, SIZE_MAX / 2);
		parcel_put(&parcel, &rows[i]);
		CHECK_EQ(parcel.size, parcel_size(&rows[i].record));
		CHECK_EQ(parcel.size % 8, 0);
		buf_fini(&parcel);
	}
}

TEST(an_empty_parcel_has_no_records)
{
	struct parcel_reader reader;
	struct parcel_record r;

	parcel_reader_init(&reader, bytes_empty());
	CHECK(!parcel_next(&reader, &r));
	parcel_reader_fini(&reader);
}
