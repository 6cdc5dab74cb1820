/* prng: see the header. Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators" (2018). */
#include "base/prng.h"

#include <string.h>

#include "base/must.h"

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void prng_seed(struct prng *p, uint64_t seed)
{
	for (size_t i = 0; i < countof(p->state); i++)
		p->state[i] = splitmix(&seed);
}

static uint64_t rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

uint64_t prng_next(struct prng *p)
{
	uint64_t *s = p->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

uint64_t prng_below(struct prng *p, uint64_t bound)
{
	uint64_t threshold, value;

	must(bound > 0);
	/* Values below the threshold would make small results likelier. */
	threshold = (0 - bound) % bound;
	do
		value = prng_next(p);
	while (value < threshold);
	return value % bound;
}

int64_t prng_between(struct prng *p, int64_t low, int64_t high)
{
	must(low <= high);
	if (low == INT64_MIN && high == INT64_MAX)
		return (int64_t)prng_next(p);
	return (int64_t)((uint64_t)low + prng_below(p, (uint64_t)high - (uint64_t)low + 1));
}

bool prng_chance(struct prng *p, uint32_t numerator, uint32_t denominator)
{
	return prng_below(p, denominator) < numerator;
}

void prng_fill(struct prng *p, void *memory, size_t size)
{
	uint8_t *at = memory;

	while (size > 0) {
		uint64_t value = prng_next(p);
		size_t part = size < sizeof(value) ? size : sizeof(value);

		memcpy(at, &value, part);
		at += part;
		size -= part;
	}
}
