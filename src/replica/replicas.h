/*
 * replicas: the partitions that live on one shard, by topic, made and removed as the image says.
 *
 * A partition's log is opened when it is first touched, a bounded number at once, since ten thousand idle partitions should
 * cost neither start-up time nor descriptors. After an unclean stop all are opened in the background.
 * Lifetime: one a shard, replicas_new .. replicas_close_await. Belongs to its shard.
 * Not here: the picture of the cluster (metadata/), which topic gets which partitions (controller/).
 */
#ifndef REPLICA_REPLICAS_H
#define REPLICA_REPLICAS_H

#include "base/map.h"
#include "base/uuid.h"
#include "record/compress.h"
#include "replica/partition.h"
#include "runtime/fiber.h"
#include "storage/store.h"

/* What a topic's settings say about its partitions; replaced whole when they change. */
struct replica_settings {
	struct log_config log;
	size_t max_message_bytes;
	size_t max_decompressed_bytes; /* 0, or above the broker's: that one counts */
	bool compacted;
	bool log_append_time;
	int64_t timestamp_before_max_ms;
	int64_t timestamp_after_max_ms;
	int codec; /* or BATCH_KEEP_CODEC */
	int level;
};

struct topic_replicas {
	struct replicas *replicas;
	char *name;
	struct uuid id;
	struct replica_settings settings;
	struct partition **partitions; /* by index; NULL where it lives on another shard */
	int32_t partition_count;       /* of the whole topic */
	int32_t here;                  /* how many live on this shard */
};

struct replicas_options {
	struct shard *shard;
	struct store *store;
	unsigned shard_count;
	size_t max_decompressed_bytes;
	unsigned opening_at_once;
	int64_t open_all_after_ms; /* so long after the start those that are still closed are opened, for retention to see them; 0: never */
};

struct replicas *replicas_new(const struct replicas_options *o);
/* Tells everybody who still waits, and frees all. The logs stay open: store_close_await closes them. */
void replicas_close_await(struct fiber *self, struct replicas *r);

/* On which shard a partition lives: the same on every shard, and spread evenly over a topic's partitions. */
unsigned partition_shard_index(struct uuid topic_id, int32_t partition, unsigned shard_count);

/* A topic with its partitions and their leader epochs; again with a larger count when partitions were added. */
void replicas_add_topic(struct replicas *r, struct bytes name, struct uuid id, const int32_t *leader_epochs,
			int32_t partition_count, const struct replica_settings *settings);
void replicas_configure_topic(struct replicas *r, struct uuid id, const struct replica_settings *settings);
/* Tells everybody who waits, then deletes the logs in the background. */
void replicas_remove_topic(struct replicas *r, struct uuid id);
/* NULL when it does not live here. */
struct partition *replicas_find(struct replicas *r, struct uuid topic_id, int32_t partition);

/* Starts to open the log if it is closed. */
void replicas_touch(struct replicas *r, struct partition *p);
/* Waits until it is open: OK, or why it is not (as partition_readable). */
enum err replicas_open_await(struct fiber *self, struct replicas *r, struct uuid topic_id, int32_t partition,
			     struct partition **ret_partition) MUST_CHECK;
/* Opens all that are closed, behind what is touched by clients. */
void replicas_open_all(struct replicas *r);

struct replicas_count {
	size_t partitions;
	size_t open;
	size_t offline;
	size_t opening; /* or in line for it */
};

struct replicas_count replicas_count(const struct replicas *r);
/* The next topic from `*place` on (start with 0), in the order in which they came; NULL at the end. No topic may come or go meanwhile. */
const struct topic_replicas *replicas_next_topic(const struct replicas *r, size_t *place);
struct shard *replicas_shard(struct replicas *r);
size_t replicas_max_decompressed_bytes(const struct replicas *r);
/* The folders may not be changed (storage_options.read_only). The first time somebody is refused for it the log says so. */
bool replicas_refuse_writes(struct replicas *r);
/* Shared by the shard's appends, one at a time. */
struct compressor *replicas_compressor(struct replicas *r);

#endif
