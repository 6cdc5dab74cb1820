/*
 * coordinators: a question about many groups, or transactional ids, asked of the brokers that keep them, and asked again while that is of use.
 *
 *      keys without a broker --FindCoordinator, all at once--> keys by broker --ask--> decided
 *               ^                                                       |
 *               +--- NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, lost --+--- COORDINATOR_LOAD_IN_PROGRESS: later, the same broker
 *
 * As Java's Admin does it (AdminApiDriver, CoordinatorStrategy). Functions suspend; they run in the fiber of an api_job.
 * Invariant: after coordinators_ask_await every key is decided: with code 0, or with the error that came last.
 * Not here: a member's own coordinator, which has a connection of its own.
 */
#ifndef CLIENT_COORDINATORS_H
#define CLIENT_COORDINATORS_H

#include "client/core.h"
#include "moldau/moldau.h"

#define GROUP_KEYS_MAX 1000 /* of one question */

struct group_key {
	const char *name;
	struct mo_err error; /* code 0: answered */
	int32_t node;        /* -1: not known */
	bool decided;
	bool answered; /* in this round */
};

struct coordinators {
	struct client *client;
	struct group_key *keys;
	size_t count;
	int64_t deadline_us;
	int8_t key_type; /* COORDINATOR_GROUP or COORDINATOR_TRANSACTION */
	int16_t api_key; /* for words */
	size_t most;     /* keys of one question, up to GROUP_KEYS_MAX */
	/*
	 * Asks `peer`, which is ready, about `keys`, and says of each what came of it by group_key_answer. An error is the connection's,
	 * or ERR_UNSUPPORTED, and concerns all that have no answer.
	 */
	enum err (*ask_await)(struct fiber *self, struct coordinators *c, struct peer *peer, struct group_key **keys,
			      size_t count);
	void *user;
};

/* All keys start undecided, with their names. */
void coordinators_ask_await(struct fiber *self, struct coordinators *c);
/* When one question is over at the latest. */
int64_t coordinators_deadline_us(const struct coordinators *c);
/* `words` may be null. */
void group_key_answer(struct group_key *k, int16_t code, struct bytes words);
/* The one of this name among them that has no answer yet; NULL. */
struct group_key *group_key_find(struct group_key **keys, size_t count, struct bytes name);
/* Their names, for a request; count <= GROUP_KEYS_MAX. */
struct bytes *group_key_names(struct group_key **keys, size_t count, struct arena *a);

#endif
