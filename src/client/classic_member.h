/*
 * classic_member: where a member of a classic group stands, and what answers make of it. Pure.
 *
 *      OUT ----> PREPARING ----> JOINING ----> SYNCING ----> STABLE
 *                 ^  gives up      |              |            |
 *                 |  what it has   |              |            |
 *                 +----------------+--------------+------------+     told to join again, lost, other topics wanted
 *
 * Invariants
 * 1. A generation is only one's own between a SyncGroup that worked and the next JoinGroup: only then there are heartbeats and commits.
 * 2. `lost` is set with the answer that says so and cleared by classic_prepared: between the two nothing is committed.
 * Lifetime: zeroed is OUT; classic_fini. One shard.
 * Not here: the conversation (member_classic.c), who gets what (assign.h).
 */
#ifndef CLIENT_CLASSIC_MEMBER_H
#define CLIENT_CLASSIC_MEMBER_H

#include "base/bytes.h"
#include "client/parts.h"
#include "client/verdict.h"

enum classic_state { CLASSIC_OUT, CLASSIC_PREPARING, CLASSIC_JOINING, CLASSIC_SYNCING, CLASSIC_STABLE };

struct classic_member {
	enum classic_state state;
	int32_t generation; /* -1: none */
	char *id;           /* "": not given yet */
	bool lost;
	unsigned number; /* counts memberships */
};

void classic_init(struct classic_member *m);
void classic_fini(struct classic_member *m);

/* Heartbeats are due, and commits are possible. */
bool classic_is_member(const struct classic_member *m);
/* From OUT or STABLE: join (again). */
void classic_prepare(struct classic_member *m);
/* It has given up what it had to. */
void classic_prepared(struct classic_member *m);
/* Left by its own will, or thrown out for good: nothing of the membership is left but, with `keep_id`, the id. */
void classic_left(struct classic_member *m);

/* What an answer says; the id and the generation are those of a JoinGroup. Moves the state; the verdict says what else is to be done. */
struct classic_answer {
	enum group_question question;
	enum err error;
	struct bytes id;
	int32_t generation;
};

enum verdict classic_answered(struct classic_member *m, const struct classic_answer *a);

/* What it keeps until it has joined: nothing (eager), or what it owns of the topics that it still wants (cooperative). */
void classic_keeps(struct parts *ret_kept, const struct parts *owned, bool cooperative, bool lost,
		   bool (*wants)(const void *user, const struct cluster_topic *t), const void *user);
/* Cooperatively what went away can be given to others only once all have joined again. */
bool classic_joins_again(const struct parts *owned, const struct parts *assigned, bool cooperative);

#endif
