/* murmur2: see the header. Austin Appleby's MurmurHash2, 32 bits, with little-endian words. */
#include "base/murmur2.h"

uint32_t murmur2(struct bytes key)
{
	const uint32_t m = 0x5bd1e995;
	uint32_t h = 0x9747b28cU ^ (uint32_t)key.size;
	const uint8_t *at = key.data;
	size_t left = key.size;

	for (; left >= 4; at += 4, left -= 4) {
		uint32_t k = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;

		k *= m;
		k ^= k >> 24;
		h = (h * m) ^ (k * m);
	}
	if (left > 2)
		h ^= (uint32_t)at[2] << 16;
	if (left > 1)
		h ^= (uint32_t)at[1] << 8;
	if (left > 0)
		h = (h ^ at[0]) * m;
	h ^= h >> 13;
	h *= m;
	return h ^ h >> 15;
}
