/* prng: the same seed, the same choices; choices within their bounds. */
#include "base/prng.h"

#include <string.h>

#include "base/must.h"
#include "base/test.h"

/* The published first outputs of xoshiro256** for the state 1, 2, 3, 4. */
TEST(the_sequence_is_the_published_one)
{
	static const uint64_t expected[] = {
		11520, 0, 1509978240, 1215971899390074240, 1216172134540287360, 607988272756665600,
	};
	struct prng p = {.state = {1, 2, 3, 4}};

	for (size_t i = 0; i < countof(expected); i++)
		CHECK(prng_next(&p) == expected[i]);
}

TEST(a_seed_decides_everything)
{
	struct prng a, b, c;
	uint8_t first[13], second[13];

	prng_seed(&a, 42);
	prng_seed(&b, 42);
	prng_seed(&c, 43);
	for (size_t i = 0; i < 100; i++) {
		uint64_t value = prng_next(&a);

		CHECK(value == prng_next(&b));
		CHECK(value != prng_next(&c));
	}
	prng_fill(&a, first, sizeof(first));
	prng_fill(&b, second, sizeof(second));
	CHECK_EQ(memcmp(first, second, sizeof(first)), 0);
}

TEST(bounds_are_kept_and_reached)
{
	size_t seen[7] = {0};
	struct prng p;

	prng_seed(&p, 0); /* a seed of zero is as good as any */
	for (size_t i = 0; i < 7000; i++)
		seen[prng_below(&p, 7)]++;
	for (size_t i = 0; i < countof(seen); i++)
		CHECK(seen[i] > 800 && seen[i] < 1200);
	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < 1000; i++) {
		int64_t value = prng_between(&p, -3, 3);

		CHECK(value >= -3 && value <= 3);
		seen[value + 3]++;
	}
	for (size_t i = 0; i < countof(seen); i++)
		CHECK(seen[i] > 0);
	CHECK_EQ(prng_below(&p, 1), 0);
	CHECK(prng_between(&p, INT64_MAX, INT64_MAX) == INT64_MAX);
	CHECK(prng_between(&p, INT64_MIN, INT64_MIN + 1) <= INT64_MIN + 1);
	(void)prng_between(&p, INT64_MIN, INT64_MAX);
}

TEST(chances)
{
	size_t hits = 0;
	struct prng p;

	prng_seed(&p, 5);
	for (size_t i = 0; i < 10000; i++) {
		CHECK(!prng_chance(&p, 0, 3));
		CHECK(prng_chance(&p, 3, 3));
		hits += prng_chance(&p, 1, 4);
	}
	CHECK(hits > 2300 && hits < 2700);
}
