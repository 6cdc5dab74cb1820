/*
 * partitioner: which partition a record goes to. Pure but for the random numbers it is given.
 *
 * With a key: Java's murmur2, so that all clients agree. Without: one partition until about a batch went there, then another
 * (KIP-794), or one after the other.
 */
#ifndef CLIENT_PARTITIONER_H
#define CLIENT_PARTITIONER_H

#include "base/bytes.h"
#include "base/prng.h"

/* partitions > 0. */
int32_t partition_of_key(struct bytes key, int32_t partitions);

struct sticky {
	int32_t partition; /* -1: none yet */
	int64_t bytes;     /* that went there */
};

/* What is known of a partition when one is picked. */
struct sticky_choice {
	int32_t partition;
	uint32_t queued; /* batches that wait */
};

/*
 * Picks among those that have a leader (count > 0). With `adaptive` the chance of each is how much shorter than the longest
 * its queue is, plus one.
 */
void sticky_pick(struct sticky *s, struct prng *random, const struct sticky_choice *choices, size_t count,
		 bool adaptive);

/*
 * So many bytes went to the current partition. True when it is time for another: a batch's worth went there and no started
 * batch is left half full (`batch_full`), or twice as much.
 */
bool sticky_add(struct sticky *s, int64_t bytes, int64_t batch_size, bool batch_full);

#endif
