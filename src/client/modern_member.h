/*
 * modern_member: where a member stands that talks to its group by KIP-848, what its next heartbeat says, and what an answer makes of it.
 * Pure. (Kafka calls this the consumer protocol, a name that has another meaning here.)
 *
 *      OUT --> JOINING --heartbeat, epoch 0--> MEMBER <--> heartbeats; the answer may bring what it shall have
 *               ^  ^                            |  |
 *               |  +-- gave everything up --- FENCED: its epoch is not the group's           (LOST)
 *               +--- the program is back --- STALE: it left, since the program was away too long
 *
 * Invariants
 * 1. What has changed since the group last heard it is owed, and said with the next heartbeat. Where an answer failed or did not come, all of it.
 * 2. At epoch 0 it owns nothing.
 * Lifetime: plain values. One shard.
 * Not here: the conversation (member_modern.c), giving up and taking partitions (settle.c).
 */
#ifndef CLIENT_MODERN_MEMBER_H
#define CLIENT_MODERN_MEMBER_H

#include "base/arena.h"
#include "base/uuid.h"
#include "client/parts.h"
#include "client/verdict.h"
#include "protocol/messages.h"

enum modern_state { MODERN_OUT, MODERN_JOINING, MODERN_MEMBER, MODERN_FENCED, MODERN_STALE };

struct modern_member {
	enum modern_state state;
	unsigned number; /* counts memberships */
	int32_t epoch;
	char id[UUID_TEXT_SIZE];
	int32_t interval_ms; /* the broker's word */
	bool owes_all;
	bool owes_topics; /* what it subscribes to */
	bool owes_owned;  /* it did what it was told to: the group waits for that */
};

/* What it is and wants, for its heartbeats. */
struct modern_words {
	struct bytes group;
	struct bytes instance; /* null: none */
	struct bytes rack;     /* null: none */
	struct bytes assignor; /* null: the broker's choice */
	int32_t rebalance_timeout_ms;
	const struct bytes *topics;
	int32_t topic_count;
	struct bytes regex; /* null: none */
	bool knows_regex;   /* version 1 */
	const struct parts *owned;
};

void modern_init(struct modern_member *m, struct prng *random);
void modern_join(struct modern_member *m);
/* There is something to say now. */
bool modern_owes(const struct modern_member *m);
/* False: the arena is full. */
bool modern_fill(const struct modern_member *m, const struct modern_words *w, struct arena *a,
		 struct consumer_group_heartbeat_request *ret_request) MUST_CHECK;
/* Leaving: a member with an instance id keeps its place (-2) until it is back, or its session is over. */
void modern_fill_leave(const struct modern_member *m, const struct modern_words *w,
		       struct consumer_group_heartbeat_request *ret_request);
/* That request is on its way. */
void modern_sent(struct modern_member *m);
enum verdict modern_answered(struct modern_member *m, enum err e, const struct consumer_group_heartbeat_response *r);
/* FENCED: it has given everything up. */
void modern_gave_up(struct modern_member *m);

#endif
