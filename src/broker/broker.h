/*
 * broker: composition. What a process (or a simulated node) is made of, and what each shard of it holds.
 *
 * struct broker is written at start and read-only afterwards; struct broker_shard belongs to its shard. Handlers find
 * everything through rq->broker.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include "base/err.h"
#include "base/uuid.h"
#include "metadata/image.h"
#include "replica/replicas.h"
#include "runtime/fiber.h"
#include "storage/store.h"

struct broker;
struct broker_shard;
struct config; /* config/config.h */

struct broker_shard {
	struct broker *broker;
	struct shard *shard;
	struct image *image; /* this shard's copy of the picture of the cluster; changed only by deltas */
	struct store *store;
	struct replicas *replicas;                  /* the partitions that live on this shard */
	struct fetch_session_cache *fetch_sessions; /* of connections on this shard */
	struct budget *frames;
	struct connection_table *connections;
};

/* The shard that a partition lives on: the same on every shard, whatever the image says. */
struct broker_shard *broker_shard_of(struct broker *b, struct uuid topic_id, int32_t partition);
struct broker_shard *broker_shard_at(struct broker *b, unsigned index);
const struct config *broker_config(const struct broker *b);
int32_t broker_node_id(const struct broker *b);

/*
 * Makes sure that a topic exists (auto.create.topics.enable): starts its creation with the broker's defaults when it does not; many who ask for
 * one name share one creation. OK, or Kafka's error (INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION when it is off, ...).
 */
enum err broker_auto_create_await(struct fiber *self, struct broker_shard *b, struct bytes topic) MUST_CHECK;

#endif
