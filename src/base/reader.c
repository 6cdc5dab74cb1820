/* reader: see the header. */
#include "base/reader.h"

#include "base/buf.h"

void reader_fail(struct reader *r, enum err error)
{
	if (!r->error)
		r->error = error;
}

struct bytes reader_bytes(struct reader *r, size_t size)
{
	struct bytes b;

	if (reader_left(r) < size) {
		reader_fail(r, ERR_MALFORMED);
		return bytes_null();
	}
	if (r->error || !r->at)
		return r->error ? bytes_null() : bytes_empty();
	b = bytes_of(r->at, size);
	r->at += size;
	return b;
}

void reader_skip(struct reader *r, size_t size)
{
	(void)reader_bytes(r, size);
}

int8_t reader_i8(struct reader *r)
{
	struct bytes b = reader_bytes(r, 1);

	return b.size ? (int8_t)b.data[0] : 0;
}

int16_t reader_i16(struct reader *r)
{
	struct bytes b = reader_bytes(r, 2);

	return b.size ? (int16_t)get_be16(b.data) : 0;
}

uint32_t reader_u32(struct reader *r)
{
	struct bytes b = reader_bytes(r, 4);

	return b.size ? get_be32(b.data) : 0;
}

int32_t reader_i32(struct reader *r)
{
	return (int32_t)reader_u32(r);
}

int64_t reader_i64(struct reader *r)
{
	struct bytes b = reader_bytes(r, 8);

	return b.size ? (int64_t)get_be64(b.data) : 0;
}

double reader_f64(struct reader *r)
{
	int64_t bits = reader_i64(r);
	double value;

	memcpy(&value, &bits, 8);
	return value;
}

/* An unsigned varint of at most `bits` bits. */
static uint64_t read_varint(struct reader *r, unsigned bits)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < bits; shift += 7) {
		struct bytes b = reader_bytes(r, 1);
		uint64_t group;

		if (!b.size)
			return 0;
		group = b.data[0] & 0x7fU;
		if (shift + 7 > bits && group >> (bits - shift))
			break;
		value |= group << shift;
		if (!(b.data[0] & 0x80))
			return value;
	}
	reader_fail(r, ERR_MALFORMED);
	return 0;
}

uint32_t reader_uvarint(struct reader *r)
{
	return (uint32_t)read_varint(r, 32);
}

int32_t reader_varint(struct reader *r)
{
	uint32_t raw = reader_uvarint(r);

	return (int32_t)((raw >> 1) ^ (0U - (raw & 1)));
}

int64_t reader_varlong(struct reader *r)
{
	uint64_t raw = read_varint(r, 64);

	return (int64_t)((raw >> 1) ^ (0ULL - (raw & 1)));
}
