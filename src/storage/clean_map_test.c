/* clean_map_test: the hash against its authors' vectors; keys, their last offsets, and a map that is full. */
#include <stdio.h>

#include "base/test.h"
#include "storage/clean_map.h"

static const uint64_t secret[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

/* From the reference implementation's table for 128 bits: message 00 01 02 ... of that length. */
TEST(the_hash_is_siphash_2_4_with_128_bits)
{
	static const struct {
		size_t size;
		uint8_t out[16];
	} cases[] = {
		{0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93}},
		{1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45}},
		{2, {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff, 0xe4}},
	};
	uint8_t message[64];

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	for (size_t i = 0; i < countof(cases); i++) {
		uint64_t hash[2];

		clean_map_hash(secret, bytes_of(message, cases[i].size), hash);
		for (int k = 0; k < 16; k++)
			CHECK_EQ((uint8_t)(hash[k / 8] >> (8 * (k % 8))), cases[i].out[k]);
	}
}

static struct bytes key_of(char text[static 32], int n)
{
	return bytes_of(text, (size_t)snprintf(text, 32, "key-%d", n));
}

TEST(a_key_has_its_last_offset_and_an_unknown_one_none)
{
	struct clean_map m;
	char text[32];

	CHECK_ERR(clean_map_init(&m, 1 << 20, 0.9, 10001, secret), OK);
	for (int i = 0; i < 20000; i++)
		CHECK(clean_map_put(&m, key_of(text, i % 10000), i));
	CHECK_EQ(m.count, 10000);
	for (int i = 0; i < 10000; i++)
		CHECK_EQ(clean_map_get(&m, key_of(text, i)), 10000 + i);
	CHECK_EQ(clean_map_get(&m, key_of(text, 10000)), -1);
	CHECK_EQ(clean_map_get(&m, bytes_empty()), -1);
	CHECK(clean_map_put(&m, bytes_empty(), 7)); /* an empty key is a key */
	CHECK_EQ(clean_map_get(&m, bytes_empty()), 7);
	clean_map_fini(&m);
}

TEST(a_full_map_moves_what_it_has_and_takes_no_more)
{
	struct clean_map m;
	char text[32];
	int taken = 0;

	CHECK_ERR(clean_map_init(&m, 1 << 20, 0.9, UINT64_MAX, secret), OK);
	while (clean_map_put(&m, key_of(text, taken), taken))
		taken++;
	CHECK_EQ(taken, 39321); /* as the header says */
	CHECK_EQ(clean_map_get(&m, key_of(text, taken)), -1);
	CHECK(clean_map_put(&m, key_of(text, 0), 99999));
	CHECK_EQ(clean_map_get(&m, key_of(text, 0)), 99999);
	for (int i = 1; i < taken; i++)
		CHECK_EQ(clean_map_get(&m, key_of(text, i)), i);
	clean_map_fini(&m);
}

TEST(no_more_memory_is_taken_than_the_keys_need)
{
	struct clean_map m;

	CHECK_ERR(clean_map_init(&m, (size_t)1 << 40, 0.9, 90, secret), OK);
	CHECK(m.slot_count >= 100 && m.slot_count <= 102);
	CHECK(m.max_keys >= 90);
	clean_map_fini(&m);
}
