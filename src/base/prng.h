/*
 * prng: xoshiro256** seeded through splitmix64. Deterministic from its seed; the simulator makes every choice from one.
 * Not for secrets.
 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng {
	uint64_t state[4];
};

void prng_seed(struct prng *p, uint64_t seed);
uint64_t prng_next(struct prng *p);
/* Uniform in [0, bound); bound > 0. */
uint64_t prng_below(struct prng *p, uint64_t bound);
/* Uniform in [low, high]. */
int64_t prng_between(struct prng *p, int64_t low, int64_t high);
/* True with probability numerator / denominator. */
bool prng_chance(struct prng *p, uint32_t numerator, uint32_t denominator);
void prng_fill(struct prng *p, void *memory, size_t size);

#endif
