/*
 * broker: composition. What a process (or a simulated node) is made of, and what each shard of it holds.
 *
 * struct broker is written at start and read-only afterwards; struct broker_shard belongs to its shard. Handlers find
 * everything through rq->broker.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "base/err.h"
#include "base/map.h"
#include "base/uuid.h"
#include "broker/internal_topics.h"
#include "controller/controller.h"
#include "coordinator/coordinator.h"
#include "group/group.h"
#include "metadata/image.h"
#include "replica/replicas.h"
#include "runtime/fiber.h"
#include "runtime/socket.h"
#include "storage/store.h"
#include "txn/txn.h"

struct broker;
struct broker_shard;
struct config;   /* config/config.h */
struct txn_ends; /* broker/txn_ends.h */

struct broker_shard {
	struct broker *broker;
	struct shard *shard;
	struct image *image; /* this shard's copy of the picture of the cluster; changed only by deltas */
	struct store *store;
	struct replicas *replicas;                         /* the partitions that live on this shard */
	struct coordinator *coordinators[INTERNAL_TOPICS]; /* the machines on those; NULL: none of that kind yet */
	struct group_options group_options;
	struct txn_options txn_options;
	struct txn_ends
		*txn_ends; /* what this shard's coordinator of transactions has decided, on its way to the partitions */
	bool verifies_transactions;                 /* transaction.partition.verification.enable */
	struct fetch_session_cache *fetch_sessions; /* of connections on this shard */
	struct budget *frames;
	struct connection_table *connections;
	struct producer_ids producer_ids; /* this shard's supply */
	struct map creations;             /* topic -> struct creation: under way (auto_create.c) */
	int64_t no_coordinator_due_us; /* when a line may say again that somebody asked for one (find_coordinator.c) */
};

/* The shard that a partition lives on: the same on every shard, whatever the image says. */
struct broker_shard *broker_shard_of(struct broker *b, struct uuid topic_id, int32_t partition);
const struct config *broker_config(const struct broker *b);
int32_t broker_node_id(const struct broker *b);
struct controller *broker_controller(struct broker *b);
/* The name of a listener by its number (connection_listener). */
const char *broker_listener_name(const struct broker *b, unsigned number);

/*
 * Starts to create a topic with the broker's defaults, when auto.create.topics.enable says so and nobody does already; what comes of it
 * shows in the image.
 */
void broker_auto_create(struct broker_shard *b, struct bytes topic);
/* Creates Kafka's own topic and returns when it is there, or cannot be: the image tells. */
void broker_create_internal_await(struct fiber *self, struct broker_shard *b, enum internal_topic topic);

/* Which lines every shard's log shows from now on, until the broker ends. */
void broker_set_log_level_await(struct fiber *self, struct broker *b, enum log_level least);

/* --- the whole ------------------------------------------------------------------------------------------------------ */

struct broker_options {
	const struct config *config; /* outlives the broker */
	size_t memory_limit_bytes;   /* 0: from memory.limit.bytes, or 512 MiB */
	bool sync_disabled;          /* for the test that shows that the power-loss test can fail */
	size_t journal_bytes;        /* storage_options; 0: the default. The simulator takes few */
	/* On shard 0, once clients are served: for the start lines. May be NULL. */
	void (*started)(struct broker *b, void *context);
	void *context;
};

/*
 * On shard 0 of a runtime: starts the broker as a fiber. It ends with runtime_stop: exit code 0 after broker_stop, 1 when it could not
 * start or lost its last log folder (with one line in the log that says what to do about it).
 */
struct broker *broker_start(struct shard *shard_zero, const struct broker_options *o);
/* On shard 0: a clean stop. Harmless when it is stopping already. */
void broker_stop(struct broker *b);
/* After the runtime has ended (linux_run returned). */
void broker_free(struct broker *b);

struct broker_listener {
	const char *name;
	struct address bound;
	const char *advertised_host; /* NULL: not set */
	uint16_t advertised_port;
};

const struct broker_listener *broker_listeners(const struct broker *b, size_t *ret_count);
/* Where /metrics and /healthz are; NULL when they are nowhere. */
const struct address *broker_metrics_address(const struct broker *b);
size_t broker_memory_limit(const struct broker *b);
const char *broker_cluster_id(const struct broker *b);
struct shard *broker_shard_zero(struct broker *b);

#endif
