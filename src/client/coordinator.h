/*
 * coordinator: the broker that keeps a group, or a transactional id: found when it is needed, with a connection of its own.
 *
 *      coordinator_await --> FindCoordinator at any broker --> a peer, ready
 *      coordinator_lost  --> it is another one: found again by the next who needs it
 *
 * A JoinGroup stays unanswered while others join, and a broker works on one request of a connection at a time: what else the client
 * asks that broker goes over the cluster's connection.
 * Invariants: several fibers may wait; one of them asks. A peer lives until coordinator_fini, since calls may be under way on it.
 * Lifetime: coordinator_init .. coordinator_end (calls end) .. coordinator_fini, on one shard.
 */
#ifndef CLIENT_COORDINATOR_H
#define CLIENT_COORDINATOR_H

#include "client/cluster.h"

#define COORDINATOR_GROUP 0
#define COORDINATOR_TRANSACTION 1
#define COORDINATOR_WHY_SIZE 400

struct coordinator {
	struct cluster *cluster;
	int8_t type;
	const char *key;     /* borrowed */
	struct peer *peer;   /* NULL: not known */
	struct peer **peers; /* one for each address that it ever had */
	size_t peer_count;
	size_t peer_capacity;
	bool finding;
	struct event found;
	unsigned failures;
	bool ended;
	char why[COORDINATOR_WHY_SIZE]; /* of the last failure */
};

void coordinator_init(struct coordinator *c, struct cluster *cluster, int8_t type, const char *key);
/* Ends the calls under way. */
void coordinator_end(struct coordinator *c);
void coordinator_fini(struct coordinator *c);

/*
 * Connected and ready. Tries again until the deadline what may mend itself; else Kafka's code (GROUP_AUTHORIZATION_FAILED, ...) or ours,
 * with `why`.
 */
enum err coordinator_await(struct fiber *self, struct coordinator *c, int64_t deadline_us, struct peer **ret_peer)
	MUST_CHECK;
/* `peer` is not the coordinator, or cannot be reached. */
void coordinator_lost(struct coordinator *c, const struct peer *peer);

#endif
