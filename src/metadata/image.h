/*
 * image: the picture of the cluster that a shard works with: topics and their partitions, brokers, features, settings. One
 * copy a shard, nothing shared; it changes only by deltas (delta.h), which reach all shards in one order.
 *
 * Invariants
 * 1. Equal deltas in equal order give equal images; every iteration has one order (topics by name, brokers by id, ...).
 * 2. A delta is applied whole or not at all; `version` counts them.
 * 3. Partitions of a topic are 0 .. partition_count-1 without gaps; every isr is a part of its replicas.
 * Lifetime: pointers into it are good until the next delta: never across an await.
 * Memory: 24 bytes a partition with one replica, about 340 a topic with one partition.
 * Not here: who decides (controller/), where it is kept (metastore/), the partitions that live on a shard (replica/).
 */
#ifndef METADATA_IMAGE_H
#define METADATA_IMAGE_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/map.h"
#include "base/uuid.h"
#include "config/topic_config.h"

struct image;

struct image_partition {
	int32_t leader; /* -1: none */
	int32_t leader_epoch;
	int32_t partition_epoch;
	uint16_t replica_count;
	uint16_t isr_count;
	union {
		int32_t one;   /* the only replica, which is then also the isr */
		int32_t *many; /* replicas, then isr */
	} brokers;             /* use image_replicas, image_isr */
};

struct image_topic {
	struct bytes name; /* with a zero byte behind it */
	struct uuid id;
	struct image_partition *partitions;
	int32_t partition_count;
	bool internal;
	struct config_entry *configs; /* the topic's own, by name */
	size_t config_count;
};

struct image_endpoint {
	char *listener;
	char *host; /* "": tell a client the local address of its own connection */
	uint16_t port;
	int16_t security_protocol;
};

struct image_broker {
	int32_t id;
	int64_t epoch;
	char *rack; /* NULL: none */
	struct image_endpoint *endpoints;
	size_t endpoint_count;
};

struct image_feature {
	char *name;
	int16_t level;
};

struct image *image_new(void);
/* Right after it is made: for its maps of names, which clients choose. */
void image_seed(struct image *i, struct map_seed seed);
void image_free(struct image *i);

/* How many deltas were applied. */
int64_t image_version(const struct image *i);
/* "" until it is known. */
const char *image_cluster_id(const struct image *i);
/* -1: none known. */
int32_t image_controller(const struct image *i);

const struct image_topic *image_topic_by_name(const struct image *i, struct bytes name);
const struct image_topic *image_topic_by_id(const struct image *i, struct uuid id);
size_t image_topic_count(const struct image *i);
/* By name; `at` < image_topic_count. */
const struct image_topic *image_topic_at(const struct image *i, size_t at);
/* The place of the first topic whose name is not below `name`: where a cursor goes on. */
size_t image_topic_place(const struct image *i, struct bytes name);
/* Of all topics. */
int64_t image_partition_count(const struct image *i);
/* A topic whose name equals this one but for '.' and '_' (Kafka's metrics cannot tell them apart); NULL when none, never `name` itself. */
const struct image_topic *image_topic_colliding(const struct image *i, struct bytes name);

/* NULL when there is no such partition. */
const struct image_partition *image_partition(const struct image_topic *t, int32_t partition);
const int32_t *image_replicas(const struct image_partition *p, size_t *ret_count);
const int32_t *image_isr(const struct image_partition *p, size_t *ret_count);
bool image_is_replica(const struct image_partition *p, int32_t broker);

size_t image_broker_count(const struct image *i);
const struct image_broker *image_broker_at(const struct image *i, size_t at); /* by id */
const struct image_broker *image_broker_by_id(const struct image *i, int32_t id);
/* NULL when it has no such listener. */
const struct image_endpoint *image_endpoint(const struct image_broker *b, const char *listener);

size_t image_feature_count(const struct image *i);
const struct image_feature *image_feature_at(const struct image *i, size_t at); /* by name */
/* 0 when it is not there. */
int16_t image_feature_level(const struct image *i, const char *name);

/* Dynamic settings of one broker, or of all (broker -1). Sorted by name. */
const struct config_entry *image_broker_configs(const struct image *i, int32_t broker, size_t *ret_count);

/* Of a group or of client metrics, by their name. */
const struct config_entry *image_resource_configs(const struct image *i, enum config_resource resource,
						  struct bytes name, size_t *ret_count);
/* How many groups, or client metrics, have settings; and their names in order. */
size_t image_resource_count(const struct image *i, enum config_resource resource);
struct bytes image_resource_at(const struct image *i, enum config_resource resource, size_t at);

/* The layers for a topic (NULL: none) as seen by broker `node_id`; they point into the image. */
struct config_layers image_layers(const struct image *i, const struct config *c, int32_t node_id,
				  const struct image_topic *t);
/* The effective settings of a topic. */
void topic_effective(const struct config *c, const struct image *i, int32_t node_id, const struct image_topic *t,
		     struct topic_settings *ret_settings);

/*
 * Applies a delta (bytes made by delta.h; foreign ones are safe). ERR_MALFORMED, ERR_BAD_VERSION (a newer format), ERR_CONFLICT (it does
 * not fit this image: an unknown topic, a partition out of order, ...): then nothing was changed.
 */
enum err image_apply(struct image *i, struct bytes delta) MUST_CHECK;

#endif
