/* offset_rules: see the header. */
#include "broker/handle/offset_rules.h"

/* Below its version, or no such special time at all: Kafka's answer is the same. */
static bool unsupported(int64_t timestamp, int16_t version)
{
	switch (timestamp) {
	case OFFSET_MAX_TIMESTAMP:
		return version < 7;
	case OFFSET_EARLIEST_LOCAL:
		return version < 8;
	case OFFSET_LATEST_TIERED:
		return version < 9;
	case OFFSET_EARLIEST_PENDING_UPLOAD:
		return version < 11;
	default:
		return timestamp < OFFSET_EARLIEST_PENDING_UPLOAD;
	}
}

size_t offset_count(const struct list_offsets_request *body)
{
	size_t count = 0;

	for (int32_t i = 0; i < body->topics_count; i++)
		count += (size_t)body->topics[i].partitions_count;
	return count;
}

/* False: the arena is full. */
static bool note(struct map *first, struct arena *arena, struct bytes topic, int32_t partition, bool *repeated)
{
	uint8_t *key = arena_alloc(arena, topic.size + sizeof(partition));
	bool *earlier;

	if (!key)
		return false;
	memcpy(key, &partition, sizeof(partition));
	if (topic.size)
		memcpy(key + sizeof(partition), topic.data, topic.size);
	earlier = map_get(first, bytes_of(key, topic.size + sizeof(partition)));
	*repeated = earlier != NULL;
	if (earlier)
		*earlier = true;
	else
		(void)map_put(first, bytes_of(key, topic.size + sizeof(partition)), repeated);
	return true;
}

bool offset_find_repeated(const struct list_offsets_request *body, struct map_seed seed, struct arena *arena,
			  bool *ret_repeated)
{
	struct map first;
	bool fits = true;

	map_init_seeded(&first, seed);
	for (int32_t i = 0; i < body->topics_count; i++)
		for (int32_t j = 0; fits && j < body->topics[i].partitions_count; j++)
			fits = note(&first, arena, body->topics[i].name, body->topics[i].partitions[j].partition_index,
				    ret_repeated++);
	map_fini(&first);
	return fits;
}

enum err offset_refuse(const struct image_topic *topic, const struct list_offsets_request_list_offsets_partition *asked,
		       bool repeated, int16_t version)
{
	if (repeated)
		return ERR_INVALID_REQUEST;
	if (unsupported(asked->timestamp, version))
		return ERR_UNSUPPORTED_VERSION;
	if (!topic || !image_partition(topic, asked->partition_index))
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	/* Only -1 is none here: Kafka takes what is below for an epoch of long ago. */
	if (asked->current_leader_epoch < -1)
		return ERR_FENCED_LEADER_EPOCH;
	return OK;
}
