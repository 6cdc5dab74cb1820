/*
 * xxh3: XXH3 with 64 bits, seed 0 and its default secret (Yann Collet's, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md): by which
 * Kafka's coordinators see that a group's topics changed. Not against those who choose the input: map.h has a hash for that.
 */
#ifndef BASE_XXH3_H
#define BASE_XXH3_H

#include <stdint.h>

#include "base/bytes.h"

uint64_t xxh3_64(struct bytes input);

#endif
