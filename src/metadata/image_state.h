/* image_state: what the sources of an image share: its insides. Not for others. */
#ifndef METADATA_IMAGE_STATE_H
#define METADATA_IMAGE_STATE_H

#include "base/map.h"
#include "metadata/delta.h"
#include "metadata/image.h"

#define IMAGE_MAX_NAME 249 /* Kafka's longest topic name */

/* Of a broker, a group, or client metrics. */
struct resource_configs {
	enum config_resource resource;
	int32_t broker;    /* -1: of all; 0 where it is no broker */
	struct bytes name; /* empty for brokers */
	struct config_entry *configs;
	size_t count;
};

struct image {
	int64_t version;
	char *cluster_id;
	int32_t controller;
	struct map by_name;
	struct map by_id;
	struct map collisions;       /* name with '_' for '.', of names that have one of both -> a topic */
	struct image_topic **topics; /* by name */
	size_t topic_count;
	size_t topic_capacity;
	int64_t partition_count;
	struct image_broker *brokers; /* by id */
	size_t broker_count;
	size_t broker_capacity;
	struct image_feature *features; /* by name */
	size_t feature_count;
	size_t feature_capacity;
	struct resource_configs *resources; /* by kind, broker, name */
	size_t resource_count;
	size_t resource_capacity;
};

void image_partition_fini(struct image_partition *p);
void image_topic_free(struct image_topic *t);
void image_broker_fini(struct image_broker *b);
/* Sets (or, with a null value, removes) a setting in a list sorted by name. */
void image_configs_put(struct config_entry **configs, size_t *count, struct bytes name, struct bytes value);
void image_configs_free(struct config_entry *configs, size_t count);
void image_resource_set(struct image *i, const struct delta_record *r);
void image_resource_fini(struct resource_configs *r);
/* The name as metrics see it. False: it cannot collide with any other. */
bool image_collision_key(struct bytes name, char *ret_key, size_t size);

#endif
