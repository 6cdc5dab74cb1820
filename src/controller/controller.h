/*
 * controller: decides about topics, registers this broker, hands out producer ids. It runs on shard 0; other shards ask by the
 * _from_await forms. Each change: decide (pure, topics.h) -> one multi in the metastore, fenced by the controller's epoch ->
 * delta to all shards (publish.h) -> answer.
 *
 * Invariants
 * 1. What is answered is durable in the metastore and in the image of every shard.
 * 2. Two requests about one topic name (or two that collide by '.' and '_') run one after the other.
 * 3. A producer id is handed out once, over all restarts.
 * 4. A write that fails by the epoch ends the controller: ERR_NOT_CONTROLLER from then on.
 * Lifetime: controller_new .. controller_free on shard 0, with nothing waiting in it.
 * As far as one broker needs it: no election, no failover, no reassignment yet.
 */
#ifndef CONTROLLER_CONTROLLER_H
#define CONTROLLER_CONTROLLER_H

#include "base/arena.h"
#include "config/config.h"
#include "controller/publish.h"
#include "metastore/metastore.h"

struct controller;

struct controller_options {
	const struct config *config;
	struct metastore *store;
	int32_t node_id;
	const char *cluster_id; /* from the log folders' meta.properties; NULL: the store's, or a new one */
	struct image_subscriber *const *subscribers; /* one a shard, in order of shards; copied */
	size_t subscriber_count;
	bool read_only; /* whatever is asked from other shards' requests is refused: POLICY_VIOLATION */
};

/* On shard 0. */
struct controller *controller_new(struct shard *s, const struct controller_options *o);
void controller_free(struct controller *c);

/*
 * Reads the store and brings its content to all images; makes what a new cluster needs (cluster id, paths, features). ERR_CONFLICT when
 * the store belongs to another cluster than `cluster_id`; ERR_CORRUPT when a node does not parse (the log names it).
 */
enum err controller_load_await(struct fiber *self, struct controller *c) MUST_CHECK;

/* Registers this broker (again, when its listeners changed): its epoch is new each time. */
struct broker_registration {
	const struct image_endpoint *endpoints;
	size_t endpoint_count;
	const char *rack; /* NULL: none */
};
enum err controller_register_await(struct fiber *self, struct controller *c, const struct broker_registration *r)
	MUST_CHECK;

/* --- topics --------------------------------------------------------------------------------------------------------- */

struct topic_assignment {
	int32_t partition;
	const int32_t *brokers;
	size_t broker_count;
};

struct create_topic {
	/* In. */
	struct bytes name;
	int32_t partitions;         /* -1: num.partitions */
	int16_t replication_factor; /* -1: default.replication.factor */
	const struct topic_assignment *assignments;
	size_t assignment_count;
	const struct config_entry *configs;
	size_t config_count;
	bool internal; /* __consumer_offsets and the like */
	/* Out; texts are from the request's arena, or static. */
	bool repeated;        /* an earlier entry has the same name: Kafka answers only that one */
	enum err error;       /* Kafka's */
	struct bytes message; /* null: none */
	struct uuid topic_id;
	int32_t ret_partitions;
	int16_t ret_replication_factor;
};

struct create_topics {
	struct create_topic *topics;
	size_t count;
	bool validate_only;
	struct arena *arena;  /* the answers' texts */
	struct map_seed seed; /* for maps of the names */
};

struct delete_topic {
	/* In: one of both. */
	struct bytes name; /* null: by id */
	struct uuid id;
	/* Out. */
	bool repeated; /* an earlier entry means the same topic: Kafka answers only that one */
	enum err error;
	struct bytes message;
	struct bytes ret_name; /* of what was deleted; else as asked */
	struct uuid ret_id;
};

struct delete_topics {
	struct delete_topic *topics;
	size_t count;
	struct arena *arena;
	struct map_seed seed; /* for maps of the names */
};

/* CreatePartitions: a topic that shall have more partitions. */
struct add_partitions {
	/* In. */
	struct bytes name;
	int32_t count;                              /* in all */
	bool assigned;                              /* the new ones' brokers are told */
	const struct topic_assignment *assignments; /* of the new ones, in order; their numbers count for nothing */
	size_t assignment_count;
	/* Out. */
	enum err error;
	struct bytes message; /* null: none */
};

struct create_partitions {
	struct add_partitions *topics; /* each name once */
	size_t count;
	bool validate_only;
	struct arena *arena;
};

/* --- settings --------------------------------------------------------------------------------------------------------- */

enum alter_operation { ALTER_SET = 0, ALTER_DELETE = 1, ALTER_APPEND = 2, ALTER_SUBTRACT = 3 };

struct alter_entry {
	struct bytes name;
	int8_t operation; /* any number: what is no enum alter_operation is refused */
	struct bytes value;
};

/* The settings of one topic, broker (or all: the empty name), group, or client metrics. */
struct alter_config {
	/* In. */
	enum config_resource resource;
	struct bytes name;
	const struct alter_entry *entries; /* each name once, values not null unless deleted */
	size_t entry_count;
	bool replace; /* what is not named goes */
	/* Out; texts are from the request's arena, or static. */
	enum err error;
	struct bytes message; /* null: none */
};

struct alter_configs {
	struct alter_config *resources; /* each once */
	size_t count;
	bool validate_only;
	struct arena *arena;
};

/* Feature levels that become others; 0 takes one away. */
struct update_levels {
	/* In. */
	const struct image_feature *levels; /* each name once */
	size_t count;
	/* Out. */
	enum err error; /* Kafka's */
};

struct producer_id_block {
	int64_t first;
	int32_t count;
};

/* On shard 0. Every topic gets its answer; what is written was also published. */
void controller_create_topics_await(struct fiber *self, struct controller *c, struct create_topics *r);
void controller_delete_topics_await(struct fiber *self, struct controller *c, struct delete_topics *r);
void controller_create_partitions_await(struct fiber *self, struct controller *c, struct create_partitions *r);
void controller_alter_configs_await(struct fiber *self, struct controller *c, struct alter_configs *r);
void controller_update_levels_await(struct fiber *self, struct controller *c, struct update_levels *r);
/* 1,000 ids that nobody had. ERR_NOT_CONTROLLER, ERR_UNKNOWN_SERVER_ERROR (no ids left), or the store's error. */
enum err controller_allocate_producer_ids_await(struct fiber *self, struct controller *c,
						struct producer_id_block *ret_block) MUST_CHECK;

/* The same from any shard. The request (and its arena) belongs to shard 0 until they return; they cannot be cancelled. */
void controller_create_topics_from_await(struct fiber *self, struct controller *c, struct create_topics *r);
void controller_delete_topics_from_await(struct fiber *self, struct controller *c, struct delete_topics *r);
void controller_create_partitions_from_await(struct fiber *self, struct controller *c, struct create_partitions *r);
void controller_alter_configs_from_await(struct fiber *self, struct controller *c, struct alter_configs *r);
void controller_update_levels_from_await(struct fiber *self, struct controller *c, struct update_levels *r);
enum err controller_allocate_producer_ids_from_await(struct fiber *self, struct controller *c,
						     struct producer_id_block *ret_block) MUST_CHECK;

/*
 * A shard's own supply of producer ids; embedded, zeroed at first. Never gives one twice; asks for the next block when the last is used up.
 */
struct producer_ids {
	int64_t next;
	int64_t end;
	bool asking;
	bool ready; /* initialised */
	struct event arrived;
};

enum err producer_ids_next_await(struct fiber *self, struct controller *c, struct producer_ids *p, int64_t *ret_id)
	MUST_CHECK;

#endif
