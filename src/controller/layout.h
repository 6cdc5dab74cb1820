/*
 * layout: what the controller keeps in the metastore and where: Kafka's own layout of znodes (up to 3.9), so that a store in
 * ZooKeeper can be read by Kafka's tools. Pure: values to texts and back; unknown keys are ignored.
 *
 *      /brokers/topics/T                       partitions -> replicas, topic id
 *      /brokers/topics/T/partitions/P/state    leader, epochs, isr; left out while they are as at the creation
 *      /config/topics/T, /config/brokers/N     settings; "<default>" stands for all brokers
 *      /config/groups/G, /config/client-metrics/M
 *      /brokers/ids/N                          ephemeral: the endpoints of a broker that lives
 *      /controller, /controller_epoch          ephemeral holder; the epoch's node version fences every write
 *      /latest_producer_id_block, /cluster/id, /feature
 */
#ifndef CONTROLLER_LAYOUT_H
#define CONTROLLER_LAYOUT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "metadata/delta.h"
#include "metadata/image.h"

#define LAYOUT_PATH_SIZE 512
/* Of one resource: more would not be read back. */
#define LAYOUT_MAX_CONFIGS (TOPIC_CONFIG_COUNT + CONFIG_COUNT)

/*
 * The node of a resource's settings. Names of groups may hold anything: bytes that a path should not have are written as %41. False:
 * the name is too long to be a path's.
 */
bool layout_config_path(char ret_path[static LAYOUT_PATH_SIZE], enum config_resource resource, struct bytes name)
	MUST_CHECK;
/* Back from a node's name, which is at most as long; the text is from the arena. Null when it is none of layout_config_path's. */
struct bytes layout_config_name(const char *node, struct arena *a);
/* Texts of a new topic's two nodes. */
void layout_put_topic(struct buf *b, const struct delta_record *topic);
/* A partition's leader, epoch and isr. */
void layout_put_state(struct buf *b, const struct delta_partition *partition);
void layout_put_configs(struct buf *b, const struct config_entry *configs, size_t count);
void layout_put_broker(struct buf *b, const struct image_endpoint *endpoints, size_t count, const char *rack,
		       int64_t now_ms);
void layout_put_controller(struct buf *b, int32_t broker, int64_t now_ms);
void layout_put_producer_ids(struct buf *b, int32_t broker, int64_t first, int32_t count);
void layout_put_cluster_id(struct buf *b, const char *id);
void layout_put_features(struct buf *b, const struct image_feature *features, size_t count);

/*
 * Back. A topic's partitions come as at their creation: the first replica leads, all are in sync. ERR_MALFORMED when the text is not
 * what it should be; ERR_NO_MEMORY when the arena is full.
 */
enum err layout_get_topic(struct bytes text, struct arena *a, struct delta_record *ret_topic) MUST_CHECK;
/* The replicas stay; leader, epochs and isr are read. */
enum err layout_get_state(struct bytes text, int32_t node_version, struct arena *a, struct delta_partition *partition)
	MUST_CHECK;
enum err layout_get_configs(struct bytes text, struct arena *a, const struct config_entry **ret_configs,
			    uint32_t *ret_count) MUST_CHECK;
/* The first id that no block has yet. */
enum err layout_get_producer_ids(struct bytes text, int64_t *ret_next) MUST_CHECK;
enum err layout_get_cluster_id(struct bytes text, char *ret_id, size_t size) MUST_CHECK;
/* Calls for each; `name` is good until it returns. */
enum err layout_get_features(struct bytes text, void (*feature)(void *context, struct bytes name, int16_t level),
			     void *context) MUST_CHECK;

/* __consumer_offsets and the like, by name. */
bool layout_is_internal(struct bytes topic);

#endif
