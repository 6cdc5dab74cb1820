/*
 * core: one client on its shard: the cluster's picture, the producer, the consumer, put together. What the public library, and the
 * simulator, stand on.
 *
 * Invariants: everything of it is touched on its shard only; after client_stop_await nothing of it runs any more and every
 * record has had its outcome once client_free returned.
 * Lifetime: client_new .. client_stop_await (in a fiber) .. client_free.
 * Not here: threads (client/api, client/linux).
 */
#ifndef CLIENT_CORE_H
#define CLIENT_CORE_H

#include "client/cluster.h"
#include "client/consumer.h"
#include "client/group.h"
#include "client/producer.h"
#include "client/transaction.h"

struct client {
	struct shard *shard;
	const struct client_config *config; /* borrowed */
	struct budget frames;
	struct cluster cluster;
	struct producer *producer;
	struct consumer *consumer;
	struct group *group;             /* NULL: no group.id */
	struct transaction *transaction; /* NULL: no transactional.id */
	struct compressor *compressor;
	bool stopping;
};

struct client_sink {
	void (*outcome)(void *user, const struct produce_outcome *o);
	void (*hand_over)(void *user, struct fetched *f); /* takes over; consumer_return */
	/* May be NULL (client/consumer.h). */
	void (*located)(void *user, const char *topic, int32_t partition, uint64_t generation, int64_t offset);
	const struct group_sink *group; /* may be NULL without group.id */
	/* May be NULL (client/transaction.h). */
	void (*transaction)(void *user, enum transact_state state, enum err e, const char *text);
	bool (*settled)(void *user);
	void *user;
};

/* ERR_BAD_CONFIG with words. */
enum err client_new(struct shard *s, const struct client_config *config, const struct client_sink *sink,
		    struct buf *message, struct client **ret_client) MUST_CHECK;
/* Afterwards everything that was handed over has to come back before client_free. */
void client_stop_await(struct fiber *self, struct client *c);
void client_free(struct client *c);

#endif
