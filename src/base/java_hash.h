/*
 * java_hash: the hash and the order of Java's String. By the hash Kafka finds the partition of an internal topic that holds a group or a
 * transactional id; by both its assignors decide who comes first.
 */
#ifndef BASE_JAVA_HASH_H
#define BASE_JAVA_HASH_H

#include <stdint.h>

#include "base/bytes.h"

/* Of UTF-8, as Java decodes it: h = 31 h + unit over the UTF-16 units; what is no UTF-8 counts as U+FFFD. */
int32_t java_hash(struct bytes text);
/* abs(java_hash) % partitions, where the absolute value of -2^31 is 0; partitions > 0. */
int32_t java_hash_partition(struct bytes text, int32_t partitions);
/* String.compareTo, for valid UTF-8: by UTF-16 units, so what is beyond the first plane comes before U+E000. */
int java_compare(struct bytes a, struct bytes b);

#endif
