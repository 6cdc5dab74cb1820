/*
 * group: one client's part in its group: membership, by either protocol, and the offsets that are kept there.
 *
 *      subscribe --> main fiber: finds the coordinator, joins, heartbeats --> what it shall have
 *                                                                                |
 *                    settle fiber: the program lets go, commit, revoked, taken away; added, assigned, begun
 *      offsets fiber: partitions that start where the group left off -- OffsetFetch --> consumer
 *      commit fiber:  what the program is done with, now and then    -- OffsetCommit -->
 *
 * Invariants
 * 1. A partition is given up only when the program has let go of its last record, and what it was done with is committed (if that is
 *    wanted and possible) before another member may get it.
 * 2. Heartbeats go on while the program is waited for, until it was away for max.poll.interval.ms.
 * 3. What is committed is the next offset to read. Nothing is committed for a membership that is over: not for a new one of the same client either.
 * 4. Commits leave in the order in which they were asked for; one that is repeated comes behind those that left meanwhile.
 * 5. The program is asked by one call of the sink at a time, and never inside a call from it.
 * Lifetime: group_new .. group_stop_await .. group_end .. group_free, on one shard.
 * Not here: threads and callbacks (client/api_member.c), fetching (client/consumer.h).
 */
#ifndef CLIENT_GROUP_H
#define CLIENT_GROUP_H

#include "client/consumer.h"
#include "client/parts.h"

enum rebalance_kind { REBALANCE_ASSIGNED, REBALANCE_REVOKED, REBALANCE_LOST };

/* Of a partition: what is committed, to be committed, or why not. */
struct group_offset {
	struct cluster_topic *topic;
	int32_t index;
	int64_t offset; /* -1: none */
	int32_t leader_epoch;
	char *metadata; /* allocated, for who frees the offset; NULL: none */
	enum err error;
};

struct group_offsets {
	struct group_offset *items;
	size_t count;
	size_t capacity;
};

struct group_offset *group_offsets_add(struct group_offsets *o, struct cluster_topic *topic, int32_t index);
void group_offsets_fini(struct group_offsets *o);

/* The program, as its group sees it. Where a function returns false the program has to do something first: group_released, group_told. */
struct group_sink {
	/* Nothing more is given of these; the program lets go of what it has in hand. */
	bool (*release)(void *user, const struct parts *leaving);
	/* Its listener is to be called. */
	bool (*tell)(void *user, enum rebalance_kind kind, const struct parts *p);
	/* They are its own now, and can be positioned; then they are read. */
	void (*add)(void *user, const struct parts *p);
	void (*begin)(void *user, const struct parts *p);
	/* They are its own no more. */
	void (*remove)(void *user, const struct parts *p);
	/* What it is done with, of `of` (NULL: of all that it has), and what differs from what is committed. */
	void (*progress)(void *user, const struct parts *of, struct group_offsets *out);
	void (*committed)(void *user, const struct group_offsets *offsets);
	/* An error that the program should know of. */
	void (*fail)(void *user, enum err e, const char *text);
	/* Counts its calls; `ret_waits`: it is in one that waits. */
	unsigned (*activity)(void *user, bool *ret_waits);
	/* It was away for long: its next call is told by group_wake. */
	void (*watch)(void *user);
};

struct group_options {
	struct shard *shard;
	const struct client_config *config;
	struct cluster *cluster;
	struct consumer *consumer;
	const struct group_sink *sink;
	void *user;
};

struct group;

struct group *group_new(const struct group_options *o);
/* Leaves, with a last commit, if that can be had in `timeout_us`. The sink answers everything with true by now. */
void group_stop_await(struct fiber *self, struct group *g, int64_t timeout_us);
/* Its connections end. */
void group_end(struct group *g);
void group_free(struct group *g);

/* Joins with these topics, or those that match the whole pattern (a regular expression); replaces what was subscribed to before. */
void group_subscribe(struct group *g, const char *const *topics, size_t count, const char *pattern);
/* Leaves: group_out_await. */
void group_unsubscribe(struct group *g);
/* False: not within the time. */
bool group_out_await(struct fiber *self, struct group *g, int64_t deadline_us);
void group_released(struct group *g);
void group_told(struct group *g);
/* The program called again, after it was away (watch). The cluster's picture changed. */
void group_wake(struct group *g);

/* For the consumer's options: some partitions start where the group left off. */
void group_wants_committed(void *group);

/* The identity that goes with commits; also with a transaction's. -1 and "": no member. */
struct membership {
	bool modern;
	bool joining;       /* between two generations: nothing can be committed */
	int32_t generation; /* or the member's epoch */
	const char *member_id;
	unsigned number; /* of memberships: another one than before may not commit for it */
};

struct membership group_membership(const struct group *g);
/* It is subscribed, so that it commits as a member or not at all. */
bool group_is_wanted(const struct group *g);

/*
 * Commits; each gets its error, the whole the worst. `once`: without repetition. `ret_why` (may be NULL) has words.
 * REBALANCE_IN_PROGRESS: nothing was committed, the membership goes on; UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, STALE_MEMBER_EPOCH,
 * FENCED_INSTANCE_ID: it is over, and the partitions may be another's.
 */
struct group_commit_order {
	struct group_offset *offsets;
	size_t count;
	int64_t deadline_us;
	bool once;
};

#define GROUP_WHY_SIZE 400

enum err group_commit_await(struct fiber *self, struct group *g, const struct group_commit_order *c,
			    char ret_why[static GROUP_WHY_SIZE]) MUST_CHECK;
/* Fills the offsets, which are stable: none of a transaction that is still open. */
enum err group_offsets_await(struct fiber *self, struct group *g, struct group_offset *offsets, size_t count,
			     int64_t deadline_us, char ret_why[static GROUP_WHY_SIZE]) MUST_CHECK;

#endif
