/*
 * image: see the header. Topics are found through two hash maps and kept in an array sorted by name, which gives listings one
 * order; a delta is checked as a whole (image_check) before the first of its records changes anything.
 */
#include "metadata/image.h"

#include "base/alloc.h"
#include "base/map.h"
#include "metadata/image_state.h"

struct image *image_new(void)
{
	struct image *i = mem_new(struct image);

	map_init(&i->by_name);
	map_init(&i->by_id);
	map_init(&i->collisions);
	i->cluster_id = mem_strdup("");
	i->controller = -1;
	return i;
}

void image_partition_fini(struct image_partition *p)
{
	if (p->replica_count != 1)
		mem_free(p->brokers.many);
}

void image_topic_free(struct image_topic *t)
{
	for (int32_t i = 0; i < t->partition_count; i++)
		image_partition_fini(&t->partitions[i]);
	mem_free(t->partitions);
	image_configs_free(t->configs, t->config_count);
	mem_free((void *)(uintptr_t)t->name.data);
	mem_free(t);
}

void image_broker_fini(struct image_broker *b)
{
	for (size_t i = 0; i < b->endpoint_count; i++) {
		mem_free(b->endpoints[i].listener);
		mem_free(b->endpoints[i].host);
	}
	mem_free(b->endpoints);
	mem_free(b->rack);
}

void image_seed(struct image *i, struct map_seed seed)
{
	must(i->by_name.count == 0 && i->by_id.count == 0);
	map_init_seeded(&i->by_name, seed);
	map_init_seeded(&i->by_id, seed);
	map_init_seeded(&i->collisions, seed);
}

void image_free(struct image *i)
{
	if (!i)
		return;
	for (size_t at = 0; at < i->topic_count; at++)
		image_topic_free(i->topics[at]);
	for (size_t at = 0; at < i->broker_count; at++)
		image_broker_fini(&i->brokers[at]);
	for (size_t at = 0; at < i->feature_count; at++)
		mem_free(i->features[at].name);
	for (size_t at = 0; at < i->resource_count; at++)
		image_resource_fini(&i->resources[at]);
	mem_free(i->topics);
	mem_free(i->brokers);
	mem_free(i->features);
	mem_free(i->resources);
	mem_free(i->cluster_id);
	map_fini(&i->by_name);
	map_fini(&i->by_id);
	map_fini(&i->collisions);
	mem_free(i);
}

int64_t image_version(const struct image *i)
{
	return i->version;
}

const char *image_cluster_id(const struct image *i)
{
	return i->cluster_id;
}

int32_t image_controller(const struct image *i)
{
	return i->controller;
}

const struct image_topic *image_topic_by_name(const struct image *i, struct bytes name)
{
	return map_get(&i->by_name, name);
}

const struct image_topic *image_topic_by_id(const struct image *i, struct uuid id)
{
	return map_get(&i->by_id, bytes_of(id.bytes, sizeof(id.bytes)));
}

size_t image_topic_count(const struct image *i)
{
	return i->topic_count;
}

const struct image_topic *image_topic_at(const struct image *i, size_t at)
{
	must(at < i->topic_count);
	return i->topics[at];
}

size_t image_topic_place(const struct image *i, struct bytes name)
{
	size_t low = 0, high = i->topic_count;

	/* Topics are often loaded in order: then the place is the end. */
	if (high && bytes_compare(i->topics[high - 1]->name, name) < 0)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bytes_compare(i->topics[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int64_t image_partition_count(const struct image *i)
{
	return i->partition_count;
}

bool image_collision_key(struct bytes name, char *ret_key, size_t size)
{
	bool has = false;

	if (name.size > size)
		return false;
	for (size_t at = 0; at < name.size; at++) {
		has |= name.data[at] == '.' || name.data[at] == '_';
		ret_key[at] = name.data[at] == '.' ? '_' : (char)name.data[at];
	}
	return has;
}

const struct image_topic *image_topic_colliding(const struct image *i, struct bytes name)
{
	char key[IMAGE_MAX_NAME];
	const struct image_topic *t = NULL;

	if (!image_collision_key(name, key, sizeof(key)))
		return NULL;
	/* Of several that collide with each other only one is in the map; that one may be the asked one itself. */
	t = map_get(&i->collisions, bytes_of(key, name.size));
	if (t && bytes_equal(t->name, name))
		return NULL;
	return t;
}

const struct image_partition *image_partition(const struct image_topic *t, int32_t partition)
{
	if (partition < 0 || partition >= t->partition_count)
		return NULL;
	return &t->partitions[partition];
}

const int32_t *image_replicas(const struct image_partition *p, size_t *ret_count)
{
	*ret_count = p->replica_count;
	return p->replica_count == 1 ? &p->brokers.one : p->brokers.many;
}

const int32_t *image_isr(const struct image_partition *p, size_t *ret_count)
{
	*ret_count = p->isr_count;
	return p->replica_count == 1 ? &p->brokers.one : p->brokers.many + p->replica_count;
}

bool image_is_replica(const struct image_partition *p, int32_t broker)
{
	size_t count;
	const int32_t *replicas = image_replicas(p, &count);

	for (size_t i = 0; i < count; i++)
		if (replicas[i] == broker)
			return true;
	return false;
}

size_t image_broker_count(const struct image *i)
{
	return i->broker_count;
}

const struct image_broker *image_broker_at(const struct image *i, size_t at)
{
	must(at < i->broker_count);
	return &i->brokers[at];
}

const struct image_broker *image_broker_by_id(const struct image *i, int32_t id)
{
	for (size_t at = 0; at < i->broker_count; at++)
		if (i->brokers[at].id == id)
			return &i->brokers[at];
	return NULL;
}

const struct image_endpoint *image_endpoint(const struct image_broker *b, const char *listener)
{
	for (size_t at = 0; at < b->endpoint_count; at++)
		if (strcmp(b->endpoints[at].listener, listener) == 0)
			return &b->endpoints[at];
	return NULL;
}

size_t image_feature_count(const struct image *i)
{
	return i->feature_count;
}

const struct image_feature *image_feature_at(const struct image *i, size_t at)
{
	must(at < i->feature_count);
	return &i->features[at];
}

int16_t image_feature_level(const struct image *i, const char *name)
{
	for (size_t at = 0; at < i->feature_count; at++)
		if (strcmp(i->features[at].name, name) == 0)
			return i->features[at].level;
	return 0;
}
