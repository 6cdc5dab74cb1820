/* partitioner: see the header. */
#include "client/partitioner.h"

#include "base/murmur2.h"
#include "base/must.h"

int32_t partition_of_key(struct bytes key, int32_t partitions)
{
	must(partitions > 0);
	return (int32_t)(murmur2(key) & 0x7fffffff) % partitions;
}

void sticky_pick(struct sticky *s, struct prng *random, const struct sticky_choice *choices, size_t count,
		 bool adaptive)
{
	uint32_t longest = 0;
	uint64_t total = 0, at;
	size_t i;

	must(count > 0);
	for (i = 0; i < count && adaptive; i++)
		longest = choices[i].queued > longest ? choices[i].queued : longest;
	for (i = 0; i < count; i++)
		total += adaptive ? longest + 1 - choices[i].queued : 1;
	at = prng_below(random, total);
	for (i = 0; i + 1 < count; i++) {
		uint64_t weight = adaptive ? longest + 1 - choices[i].queued : 1;

		if (at < weight)
			break;
		at -= weight;
	}
	*s = (struct sticky){.partition = choices[i].partition};
}

bool sticky_add(struct sticky *s, int64_t bytes, int64_t batch_size, bool batch_full)
{
	s->bytes += bytes;
	return (s->bytes >= batch_size && batch_full) || s->bytes >= 2 * batch_size;
}
