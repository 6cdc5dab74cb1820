/* murmur2: the hash of Java's default partitioner (seed 0x9747b28c); partition = (hash & 0x7fffffff) % partitions. */
#ifndef BASE_MURMUR2_H
#define BASE_MURMUR2_H

#include <stdint.h>

#include "base/bytes.h"

uint32_t murmur2(struct bytes key);

#endif
