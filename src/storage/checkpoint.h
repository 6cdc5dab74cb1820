/*
 * checkpoint: the small text files of a log folder. Pure: text in, values out, and back.
 *
 *      recovery-point-offset-checkpoint, log-start-offset-checkpoint, replication-offset-checkpoint   offset checkpoints
 *      leader-epoch-checkpoint (in a partition's folder)                                              epochs
 *      partition.metadata                                                                             a topic's id
 *      meta.properties                                                                                cluster, node, directory
 *      .kafka_cleanshutdown                                                                           JSON with a number
 *      moldau-checkpoint-SHARD, moldau-moves-SHARD, moldau-state                                      ours: docs/on-disk-format.md
 *
 * All of it is foreign: ERR_CORRUPT for what does not parse, and nothing of it is then taken.
 */
#ifndef STORAGE_CHECKPOINT_H
#define STORAGE_CHECKPOINT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"
#include "storage/epoch_cache.h"

#define CHECKPOINT_FILE_MAX ((size_t)256 << 20)

/* Calls `entry` for each line; it may be called before a later line turns out to be corrupt. */
struct checkpoint_visitor {
	void (*entry)(struct checkpoint_visitor *v, struct bytes topic, int32_t partition, int64_t offset);
};

enum err offset_checkpoint_read(struct bytes file, struct checkpoint_visitor *v) MUST_CHECK;
/* The head, then a line for each. */
void offset_checkpoint_write_head(struct buf *out, size_t count);
void offset_checkpoint_write_entry(struct buf *out, struct bytes topic, int32_t partition, int64_t offset);

/* Replaces the cache's content. */
enum err epoch_checkpoint_read(struct bytes file, struct epoch_cache *c) MUST_CHECK;
void epoch_checkpoint_write(const struct epoch_cache *c, struct buf *out);

enum err partition_metadata_read(struct bytes file, struct uuid *ret_topic_id) MUST_CHECK;
void partition_metadata_write(struct uuid topic_id, struct buf *out);

struct meta_properties {
	char cluster_id[64];
	int32_t node_id;
	struct uuid directory_id; /* zero when there is none */
};

enum err meta_properties_read(struct bytes file, struct meta_properties *ret_meta) MUST_CHECK;
void meta_properties_write(const struct meta_properties *m, struct buf *out);

/* As Kafka and Moldau write it, to the byte: a number that was cut or altered into another text is none. */
enum err clean_marker_read(struct bytes file, int64_t *ret_broker_epoch) MUST_CHECK;
void clean_marker_write(int64_t broker_epoch, struct buf *out);

/* The run whose records the journals hold; never 0. What version 1 wrote is read too, which has no checksum. */
enum err run_state_read(struct bytes file, uint64_t *ret_run) MUST_CHECK;
void run_state_write(uint64_t run, struct buf *out);

/* Our own checkpoint of a shard: what it knows of each of its logs in a folder. */
struct log_bounds {
	struct uuid topic_id;
	int64_t recovery_point; /* the files are synced up to here */
	int64_t start;          /* the log begins here */
	int64_t acknowledged;   /* what is below was acknowledged: never cut */
};

struct bounds_visitor {
	void (*entry)(struct bounds_visitor *v, struct bytes topic, int32_t partition, const struct log_bounds *b);
};

enum err bounds_checkpoint_read(struct bytes file, struct bounds_visitor *v) MUST_CHECK;
void bounds_checkpoint_write_head(struct buf *out);
void bounds_checkpoint_write_entry(struct buf *out, struct bytes topic, int32_t partition, const struct log_bounds *b);
/* Closes it with a checksum. */
void bounds_checkpoint_write_end(struct buf *out);

/* Logs of a folder that are about to be, or just were, in another one: of two with the name that one is the newer. */
#define MOVES_PREFIX "moldau-moves-"

struct moved_log {
	struct bytes topic;
	int32_t partition;
	struct uuid topic_id;
	struct uuid directory_id; /* of the other folder */
};

struct moves_visitor {
	void (*entry)(struct moves_visitor *v, const struct moved_log *m);
};

enum err moves_read(struct bytes file, struct moves_visitor *v) MUST_CHECK;
void moves_write_head(struct buf *out);
void moves_write_entry(struct buf *out, const struct moved_log *m);
/* Closes it with a checksum. */
void moves_write_end(struct buf *out);

#endif
