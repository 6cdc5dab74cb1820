/* xxh3: see the header. */
#include "base/xxh3.h"

#define SECRET_SIZE 192
#define STRIPE_SIZE 64
#define LANES 8
#define SECRET_STEP 8 /* of the secret, from stripe to stripe */
#define BLOCK_STRIPES ((SECRET_SIZE - STRIPE_SIZE) / SECRET_STEP)
#define MIDDLE_MAX 240

#define PRIME32_1 0x9e3779b1U
#define PRIME32_2 0x85ebca77U
#define PRIME32_3 0xc2b2ae3dU
#define PRIME64_1 0x9e3779b185ebca87U
#define PRIME64_2 0xc2b2ae3d27d4eb4fU
#define PRIME64_3 0x165667b19e3779f9U
#define PRIME64_4 0x85ebca77c2b2ae63U
#define PRIME64_5 0x27d4eb2f165667c5U

static const uint8_t secret[SECRET_SIZE] = {
	0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4,
	0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e,
	0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43,
	0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb,
	0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19,
	0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7,
	0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78,
	0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
	0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e, 0x2b, 0x16,
	0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f,
	0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static uint32_t le32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static uint64_t le64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static uint64_t rotate(uint64_t v, int by)
{
	return v << by | v >> (64 - by);
}

/* Both halves of the product, folded. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t avalanche(uint64_t h)
{
	h ^= h >> 37;
	h *= 0x165667919e3779f9U;
	return h ^ h >> 32;
}

/* XXH64's, for the shortest. */
static uint64_t avalanche_short(uint64_t h)
{
	h ^= h >> 33;
	h *= PRIME64_2;
	h ^= h >> 29;
	h *= PRIME64_3;
	return h ^ h >> 32;
}

/* --- up to 16 bytes ------------------------------------------------------------------------------------------------------ */

static uint64_t hash_1_to_3(const uint8_t *in, size_t size)
{
	uint32_t combined = (uint32_t)in[0] << 16 | (uint32_t)in[size >> 1] << 24 | in[size - 1] | (uint32_t)size << 8;

	return avalanche_short(combined ^ (uint64_t)(le32(secret) ^ le32(secret + 4)));
}

static uint64_t hash_4_to_8(const uint8_t *in, size_t size)
{
	uint64_t combined = le32(in + size - 4) + ((uint64_t)le32(in) << 32);
	uint64_t h = combined ^ le64(secret + 8) ^ le64(secret + 16);

	h ^= rotate(h, 49) ^ rotate(h, 24);
	h *= 0x9fb21c651e98df25U;
	h ^= (h >> 35) + size;
	h *= 0x9fb21c651e98df25U;
	return h ^ h >> 28;
}

static uint64_t hash_9_to_16(const uint8_t *in, size_t size)
{
	uint64_t low = le64(in) ^ le64(secret + 24) ^ le64(secret + 32);
	uint64_t high = le64(in + size - 8) ^ le64(secret + 40) ^ le64(secret + 48);

	return avalanche(size + __builtin_bswap64(low) + high + fold(low, high));
}

/* --- up to 240 ------------------------------------------------------------------------------------------------------------ */

static uint64_t mix16(const uint8_t *in, size_t at)
{
	return fold(le64(in) ^ le64(secret + at), le64(in + 8) ^ le64(secret + at + 8));
}

static uint64_t hash_17_to_128(const uint8_t *in, size_t size)
{
	uint64_t h = size * PRIME64_1;

	/* Pairs of 16 bytes from both ends, the outermost last. */
	for (size_t i = (size - 1) / 32 + 1; i-- > 0;) {
		h += mix16(in + 16 * i, 32 * i);
		h += mix16(in + size - 16 * (i + 1), 32 * i + 16);
	}
	return avalanche(h);
}

static uint64_t hash_129_to_240(const uint8_t *in, size_t size)
{
	uint64_t h = size * PRIME64_1;

	for (size_t i = 0; i < 8; i++)
		h += mix16(in + 16 * i, 16 * i);
	h = avalanche(h);
	for (size_t i = 8; i < size / 16; i++)
		h += mix16(in + 16 * i, 16 * (i - 8) + 3);
	h += mix16(in + size - 16, 136 - 17);
	return avalanche(h);
}

/* --- more ------------------------------------------------------------------------------------------------------------------ */

static void accumulate(uint64_t lanes[static LANES], const uint8_t *stripe, const uint8_t *key)
{
	for (size_t i = 0; i < LANES; i++) {
		uint64_t value = le64(stripe + 8 * i), keyed = value ^ le64(key + 8 * i);

		lanes[i ^ 1] += value;
		lanes[i] += (keyed & UINT32_MAX) * (keyed >> 32);
	}
}

static void scramble(uint64_t lanes[static LANES])
{
	for (size_t i = 0; i < LANES; i++) {
		lanes[i] ^= lanes[i] >> 47;
		lanes[i] ^= le64(secret + SECRET_SIZE - STRIPE_SIZE + 8 * i);
		lanes[i] *= PRIME32_1;
	}
}

static uint64_t hash_long(const uint8_t *in, size_t size)
{
	uint64_t lanes[LANES] = {PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3,
				 PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1};
	size_t stripes = (size - 1) / STRIPE_SIZE;
	uint64_t h = size * PRIME64_1;

	for (size_t i = 0; i < stripes; i++) {
		accumulate(lanes, in + i * STRIPE_SIZE, secret + i % BLOCK_STRIPES * SECRET_STEP);
		if (i % BLOCK_STRIPES == BLOCK_STRIPES - 1)
			scramble(lanes);
	}
	accumulate(lanes, in + size - STRIPE_SIZE, secret + SECRET_SIZE - STRIPE_SIZE - 7);
	for (size_t i = 0; i < LANES; i += 2)
		h += fold(lanes[i] ^ le64(secret + 11 + 8 * i), lanes[i + 1] ^ le64(secret + 11 + 8 * (i + 1)));
	return avalanche(h);
}

uint64_t xxh3_64(struct bytes input)
{
	const uint8_t *in = input.data;

	if (input.size == 0)
		return avalanche_short(le64(secret + 56) ^ le64(secret + 64));
	if (input.size <= 3)
		return hash_1_to_3(in, input.size);
	if (input.size <= 8)
		return hash_4_to_8(in, input.size);
	if (input.size <= 16)
		return hash_9_to_16(in, input.size);
	if (input.size <= 128)
		return hash_17_to_128(in, input.size);
	if (input.size <= MIDDLE_MAX)
		return hash_129_to_240(in, input.size);
	return hash_long(in, input.size);
}
