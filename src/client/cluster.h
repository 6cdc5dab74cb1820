/*
 * cluster: what the client knows of the brokers and of the topics that it uses, kept fresh by a fiber.
 *
 *      bootstrap servers --Metadata--> brokers (a peer each, connected when used), topics -> partitions -> leader
 *
 * Invariants
 * 1. A topic that somebody asked for stays here, with an error or without, until the client ends; its struct does not move.
 * 2. A partition's leader epoch never goes back while the topic's id stays.
 * 3. Metadata is asked for when somebody needs it (cluster_refresh), when a topic has no answer or an error, and when it is old;
 *    never twice within the backoff.
 * 4. A broker's address may change; its former peer lives until the client ends, since calls may be under way on it.
 * Lifetime: cluster_init .. cluster_stop_await .. cluster_end .. cluster_fini on one shard.
 * Not here: what is sent to leaders (producer, fetcher).
 */
#ifndef CLIENT_CLUSTER_H
#define CLIENT_CLUSTER_H

#include "base/map.h"
#include "base/uuid.h"
#include "client/config.h"
#include "rpc/peer.h"

#define CLUSTER_WHY_SIZE 400

struct cluster_partition {
	int32_t leader; /* -1: none */
	int32_t leader_epoch;
	enum err error;
};

struct cluster_topic {
	char *name;
	struct uuid id; /* zero: not known */
	enum err error; /* OK once it is known; ERR_AGAIN before the first answer */
	struct cluster_partition *partitions;
	int32_t partition_count;
	bool may_create; /* a producer's or consumer's wish: the broker may create it */
};

struct cluster_broker {
	int32_t id;
	struct peer *peer;
};

struct cluster {
	struct shard *shard;
	const struct client_config *config;
	struct budget *frames;
	void (*changed_hook)(void *user); /* the picture or a connection changed; may be NULL */
	void *user;
	unsigned peers_alive;           /* 0: nothing of the peers is left */
	struct cluster_broker *brokers; /* by id */
	size_t broker_count;
	size_t broker_capacity;
	struct peer **bootstrap;
	size_t bootstrap_count;
	struct peer **former;
	size_t former_count;
	size_t former_capacity;
	struct map topics;       /* name -> struct cluster_topic */
	struct uuid *wanted_ids; /* of topics whose names are not known */
	size_t wanted_id_count;
	size_t wanted_id_capacity;
	struct event changed;
	struct event wanted_event;
	struct fiber *fiber;
	unsigned version; /* counts answers */
	unsigned failures;
	bool wanted;
	bool stopping;
	enum err error; /* of the last round; OK after an answer */
	char why[CLUSTER_WHY_SIZE];
};

/* ERR_BAD_CONFIG when bootstrap.servers does not parse, with words. */
enum err cluster_init(struct cluster *c, struct shard *s, const struct client_config *config, struct budget *frames,
		      struct buf *message) MUST_CHECK;
void cluster_start(struct cluster *c);
/* Ends the fiber. */
void cluster_stop_await(struct fiber *self, struct cluster *c);
/* Its peers end, and with them the calls under way, which still see the topics: until peers_alive is 0. */
void cluster_end(struct cluster *c);
void cluster_fini(struct cluster *c);

/* Never NULL. Asks for it when it is new. */
struct cluster_topic *cluster_topic(struct cluster *c, const char *name, bool may_create);
/* NULL when nobody asked for a topic of this id or name. */
struct cluster_topic *cluster_topic_by_id(struct cluster *c, struct uuid id);
struct cluster_topic *cluster_topic_by_name(struct cluster *c, struct bytes name);
/* A topic that is only known by its id: brokers that can (Metadata 12) are asked once for its name; it may be there afterwards. */
void cluster_want_id(struct cluster *c, struct uuid id);
/* The picture may be wrong: ask soon. */
void cluster_refresh(struct cluster *c);
/*
 * What an answer says about a partition that its broker does not lead (KIP-951): who does, since when, and where that broker listens. True when
 * this is news: the next request may go there at once. An older epoch, no epoch or a broker without address say nothing.
 */
struct leader_hint {
	int32_t leader;
	int32_t leader_epoch;
	struct bytes host; /* null: not told */
	int32_t port;
};

bool cluster_take_hint(struct cluster *c, struct cluster_topic *t, int32_t partition, const struct leader_hint *hint);
/* NULL: no leader known. The peer need not be connected. */
struct peer *cluster_leader(struct cluster *c, const struct cluster_topic *t, int32_t partition);
struct peer *cluster_broker(struct cluster *c, int32_t id);
/* Another answer than Metadata says where a broker listens. An address that cannot be one says nothing. */
void cluster_note_broker(struct cluster *c, int32_t id, struct bytes host, int32_t port);
/* A connection of the caller's own, counted in peers_alive; he frees it. */
struct peer *cluster_peer_new(struct cluster *c, const struct address *address);

/* A broker that is connected, else the first that can be. On an error `cluster->why` tells of each. */
enum err cluster_any_await(struct fiber *self, struct cluster *c, int64_t deadline_us, struct peer **ret_peer)
	MUST_CHECK;
/* Waits for the next answer to Metadata, or its failure (also by the deadline). */
enum err cluster_wait_await(struct fiber *self, struct cluster *c, int64_t deadline_us) MUST_CHECK;

/* The wait before try number `failures` + 1, with jitter. */
int64_t client_backoff_us(struct shard *s, const struct client_config *config, unsigned failures);

#endif
