/*
 * log_world: storage alone under every fault: a node whose process opens logs, appends, reads, cuts and flushes at random, and
 * is killed, stopped and powered off at random; what it sees is held against sim/log_model.h.
 *
 *      log_world.c    the history: lives and deaths of the process, faults of its disk
 *      log_life.h     one life: code of the node
 *
 * The world belongs to the simulator's memory, all that a life allocates to the node's.
 */
#ifndef SIM_LOG_WORLD_H
#define SIM_LOG_WORLD_H

#include "sim/history.h"
#include "sim/log_model.h"
#include "sim/node.h"
#include "storage/store.h"

#define LOG_WORLD_PARTITIONS 6
#define LOG_WORLD_ACTORS 3 /* of a partition, at work at the same time */

struct log_life;

struct log_partition {
	struct log_world *world;
	unsigned index;
	struct log_model model;
	bool purges;         /* retention.bytes and a housekeeper */
	bool compacts;       /* a cleaner; its records have keys */
	bool transacts;      /* some of its producers write transactions */
	bool lazy_acks;      /* synced is not acknowledged at once: cuts may go below it */
	bool damaged;        /* a bit was flipped in it: only what it says at the next opening counts */
	int64_t damage_safe; /* what must not be cut then */
	bool offline;        /* in this life */
	size_t folder;       /* where it was seen last */
	uint64_t txns_ended;
	uint64_t aborted_told;
};

struct log_world {
	struct sim *sim;
	struct history *history;
	struct node *node;
	unsigned shard_count;
	unsigned partition_count;
	struct uuid topic_id;
	bool two_folders; /* of log.dirs, and logs are moved from one to the other */
	int32_t segment_bytes;
	size_t max_open_files;
	struct log_partition partitions[LOG_WORLD_PARTITIONS];
	uint64_t lost_syncs; /* when the machine last booted */
	/* Of the present life. */
	bool opened;
	bool stop_requested;
	bool folder_failed;
	enum err open_error;
	struct log_life *lives[NODE_SHARDS_MAX];
};

/* By number; the second one is there only where there are two. */
extern const char *const log_world_folders[2];

/* The first thing of a life; `argument` is the world. */
void log_life_start(struct shard *zero, void *argument);

#endif
