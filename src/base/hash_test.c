/* crc32c and murmur2: what primitives_test.c does not show - in parts, at any alignment. */
#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/java_hash.h"
#include "base/murmur2.h"
#include "base/prng.h"
#include "base/test.h"

/* Bit by bit, as the polynomial says. */
static uint32_t slow_crc32c(struct bytes b)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < b.size; i++) {
		crc ^= b.data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

TEST(a_crc_in_parts_is_the_crc_of_the_whole)
{
	uint8_t data[300];
	struct prng p;

	prng_seed(&p, 3);
	prng_fill(&p, data, sizeof(data));
	for (size_t size = 0; size <= sizeof(data); size++) {
		size_t cut = (size_t)prng_below(&p, size + 1);
		uint32_t whole = crc32c(0, bytes_of(data, size));

		CHECK_EQ(whole, slow_crc32c(bytes_of(data, size)));
		CHECK_EQ(crc32c(crc32c(0, bytes_of(data, cut)), bytes_of(data + cut, size - cut)), whole);
	}
}

TEST(hashes_read_no_byte_beyond_their_key_at_any_alignment)
{
	for (size_t size = 0; size < 40; size++) {
		for (size_t shift = 0; shift < 8; shift++) {
			uint8_t *memory = mem_zalloc(size + shift), *same = mem_zalloc(size);

			for (size_t i = 0; i < size; i++)
				memory[shift + i] = same[i] = (uint8_t)(i * 37 + 200);
			CHECK_EQ(murmur2(bytes_of(memory + shift, size)), murmur2(bytes_of(same, size)));
			CHECK_EQ(crc32c(0, bytes_of(memory + shift, size)), crc32c(0, bytes_of(same, size)));
			mem_free(memory);
			mem_free(same);
		}
	}
}

TEST(java_orders_text_by_units_of_utf16)
{
	CHECK(java_compare(bytes_str("a"), bytes_str("b")) < 0);
	CHECK(java_compare(bytes_str("ab"), bytes_str("a")) > 0);
	CHECK(java_compare(bytes_str("a"), bytes_str("a")) == 0);
	CHECK(java_compare(bytes_str("z"), bytes_str("\u00e9")) < 0);
	/* A surrogate is less than a private character, and more than what is below the surrogates. */
	CHECK(java_compare(bytes_str("\U0001f600"), bytes_str("\ue000")) < 0);
	CHECK(java_compare(bytes_str("\U0001f600"), bytes_str("\ud7a3")) > 0);
	CHECK(java_compare(bytes_str("\U0001f600"), bytes_str("\U0001f601")) < 0);
}
