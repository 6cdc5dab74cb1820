/*
 * group: consumer groups and their committed offsets, as one machine (coordinator/machine.h) a partition of __consumer_offsets. This is the door:
 * settings, how a state is made, and the requests. What a group is inside is in groups.h.
 *
 *      join, sync, heartbeat, leave          members of the classic protocol (KIP-394, KIP-345, KIP-559, KIP-800, KIP-814)
 *      offset commit, fetch, delete          with or without members; commits of transactions are pending until their marker
 *      list, describe, delete, explain       administration
 *
 * A call embeds a coordinator_call and lies in what carries the request. Its question is borrowed, its answer is built in `arena`, both until
 * `finished`: nothing in an answer points into the state. Where coordinator_call.error is set the answer was not filled in: `_refuse` does
 * that, with what Kafka echoes beside the error. (UNKNOWN_SERVER_ERROR there: the arena was full.) Answers fit the version that the call names.
 *
 * Every call is one step; each of these functions may be asked for by any request at any time and answers at once, but for join and sync,
 * which may wait in the state.
 * Lifetime: a state belongs to the shard of its partition; options may be changed in place between two steps, there.
 * Not here: which requests need a coordinator at all, authorization, whether topics exist, topic ids to names (broker/handle/).
 */
#ifndef GROUP_GROUP_H
#define GROUP_GROUP_H

#include "base/arena.h"
#include "base/map.h"
#include "coordinator/machine.h"
#include "group/consumer_options.h"
#include "protocol/messages.h"

struct config;
struct groups; /* the state: of one partition of __consumer_offsets */

/* Under Kafka's names. */
struct group_options {
	int32_t group_min_session_timeout_ms;
	int32_t group_max_session_timeout_ms;
	int32_t group_initial_rebalance_delay_ms;
	int32_t group_max_size;
	int32_t offset_metadata_max_bytes;
	int64_t offsets_retention_ms;
	int64_t offsets_retention_check_interval_ms;
	struct consumer_options consumer;
};

/* From a broker's settings, which are borrowed for as long as the options are used. */
void group_options_read(const struct config *c, struct group_options *ret_options);

extern const struct machine_ops group_machine;

/* An empty state, to be replayed into. `options` is borrowed for as long as it lives; the seed is for maps of names that clients choose. */
struct groups *group_machine_new(const struct group_options *options, struct map_seed seed);

/* Whose request it is. Kafka writes the host as "/127.0.0.1". */
struct group_client {
	struct bytes id; /* null: "" */
	struct bytes host;
};

struct join_group_call {
	struct coordinator_call call;
	const struct join_group_request *request;
	struct group_client client;
	int16_t version;
	struct arena *arena;
	struct join_group_response response;
};

/* INVALID_GROUP_ID or INVALID_SESSION_TIMEOUT: what Kafka refuses before it asks who coordinates. */
enum err group_join_check(const struct group_options *o, const struct join_group_request *request);
void group_join(struct groups *g, struct step *s, struct join_group_call *c);
void group_join_refuse(struct join_group_call *c, enum err why);

struct sync_group_call {
	struct coordinator_call call;
	const struct sync_group_request *request;
	int16_t version;
	struct arena *arena;
	struct sync_group_response response;
};

/* INCONSISTENT_GROUP_PROTOCOL or INVALID_GROUP_ID: what Kafka refuses before it asks who coordinates. */
enum err group_sync_check(const struct sync_group_request *request, int16_t version);
void group_sync(struct groups *g, struct step *s, struct sync_group_call *c);
void group_sync_refuse(struct sync_group_call *c, enum err why);

struct heartbeat_call {
	struct coordinator_call call;
	const struct heartbeat_request *request;
	struct heartbeat_response response;
};

void group_heartbeat(struct groups *g, struct step *s, struct heartbeat_call *c);
/* COORDINATOR_LOAD_IN_PROGRESS is no error here: the member is told that all is well. */
void group_heartbeat_refuse(struct heartbeat_call *c, enum err why);

struct leave_group_call {
	struct coordinator_call call;
	const struct leave_group_request *request;
	struct group_client client;
	int16_t version; /* up to 2: the one member's error is the answer's */
	struct arena *arena;
	struct leave_group_response response;
};

void group_leave(struct groups *g, struct step *s, struct leave_group_call *c);
void group_leave_refuse(struct leave_group_call *c, enum err why);

/*
 * Topics of the request: those that exist and that the client may read, each with its name; with its id where the request came with ids
 * (else the zero id, and the image's is recorded). The answer has these topics, in this order.
 */
struct offset_commit_call {
	struct coordinator_call call;
	const struct offset_commit_request *request;
	struct group_client client;
	int16_t version;
	struct arena *arena;
	struct offset_commit_response response;
};

void group_offset_commit(struct groups *g, struct step *s, struct offset_commit_call *c);
/* Every partition has the error. False when the arena is full: then there is nothing to answer with. */
bool group_offset_commit_refuse(struct offset_commit_call *c, enum err why) MUST_CHECK;

/* The same in a transaction, which the caller has verified: the step's records belong to the request's producer. */
struct txn_offset_commit_call {
	struct coordinator_call call;
	const struct txn_offset_commit_request *request;
	struct group_client client;
	int16_t version;
	struct arena *arena;
	struct txn_offset_commit_response response;
};

void group_txn_offset_commit(struct groups *g, struct step *s, struct txn_offset_commit_call *c);
bool group_txn_offset_commit_refuse(struct txn_offset_commit_call *c, enum err why) MUST_CHECK;

/*
 * One group, in the form of version 8 and later. Topics null: all that the group has offsets for; else each has its name, and its id
 * where the request came with ids. Partitions without an offset are answered with -1.
 */
struct offset_fetch_call {
	struct coordinator_call call;
	const struct offset_fetch_request_offset_fetch_request_group *request;
	bool require_stable; /* what a transaction may yet change is UNSTABLE_OFFSET_COMMIT */
	int16_t version;
	struct arena *arena;
	struct offset_fetch_response_offset_fetch_response_group response;
};

void group_offset_fetch(struct groups *g, struct step *s, struct offset_fetch_call *c);
void group_offset_fetch_refuse(struct offset_fetch_call *c, enum err why);

struct offset_delete_call {
	struct coordinator_call call;
	const struct offset_delete_request *request;
	struct arena *arena;
	struct offset_delete_response response;
};

void group_offset_delete(struct groups *g, struct step *s, struct offset_delete_call *c);
void group_offset_delete_refuse(struct offset_delete_call *c, enum err why);

/* What one state has; the answer to a client is that of all states of a broker, one after the other. */
struct list_groups_call {
	struct coordinator_call call;
	const struct list_groups_request *request;
	struct arena *arena;
	struct list_groups_response response;
};

void group_list(struct groups *g, struct step *s, struct list_groups_call *c);

/* One group. */
struct describe_group_call {
	struct coordinator_call call;
	struct bytes group_id;
	int16_t version;
	struct arena *arena;
	struct describe_groups_response_described_group response;
};

void group_describe(struct groups *g, struct step *s, struct describe_group_call *c);
void group_describe_refuse(struct describe_group_call *c, enum err why);

/* One group. */
struct delete_group_call {
	struct coordinator_call call;
	struct bytes group_id;
	int16_t version;
	struct arena *arena;
	struct delete_groups_response_deletable_group_result response;
};

void group_delete(struct groups *g, struct step *s, struct delete_group_call *c);
void group_delete_refuse(struct delete_group_call *c, enum err why);

/* Why a group rebalanced. */
enum rebalance_cause {
	REBALANCE_MEMBER_JOINED,
	REBALANCE_MEMBER_LEFT,
	REBALANCE_SESSION_EXPIRED,
	REBALANCE_METADATA_CHANGED, /* a member joined again with other protocols or subscriptions */
	REBALANCE_LEADER_REJOINED,  /* it wants to assign anew, as when a topic grew */
	REBALANCE_STATIC_REPLACED,  /* another member took the place of one with the same instance id */
	REBALANCE_SYNC_EXPIRED,     /* members joined and then did not ask for their assignment */
	REBALANCE_TOO_LARGE,        /* the assignment was too large to be recorded, or the group when it was loaded */
	REBALANCE_TOPICS_CHANGED,   /* the consumer protocol: the topics that it subscribes to */
	REBALANCE_NOT_REVOKED,      /* the consumer protocol: a member did not give up what it had to in time */
	REBALANCE_CAUSE_COUNT,
};

const char *rebalance_cause_name(enum rebalance_cause cause);

/* One that is over, or under way. Texts are cut where they are long. */
struct group_rebalance {
	enum rebalance_cause cause; /* the first; what came in meanwhile adds nothing */
	int64_t began_ms;           /* wall clock */
	int64_t took_ms;            /* -1: under way */
	int32_t generation;         /* that it led to */
	int32_t members_before;
	int32_t members_after;
	struct bytes member_id; /* who caused it */
	struct bytes client_id;
	struct bytes client_host;
	struct bytes reason; /* in the client's own words (KIP-800); "" */
};

struct explained_member {
	struct bytes member_id;
	struct bytes instance_id; /* null: none */
	struct bytes client_id;
	struct bytes client_host;
	int64_t expires_in_ms; /* its session, unless it is heard of; -1: not while it waits */
	bool awaits_join;
	bool awaits_sync;
};

/* What an operator asks about one group: its state, whom it waits for, and its last rebalances, newest first. */
struct explain_group_call {
	struct coordinator_call call;
	struct bytes group_id;
	struct arena *arena;
	bool found;
	const char *type;
	const char *state;
	int64_t state_since_ms; /* wall clock; -1: not known */
	int32_t generation;
	struct bytes protocol_type;
	struct bytes protocol_name;
	struct bytes leader;
	struct explained_member *members;
	size_t member_count;
	size_t pending_member_count; /* have an id, have not joined yet */
	struct group_rebalance *rebalances;
	size_t rebalance_count;
	size_t offset_count;
	size_t pending_offset_count; /* of transactions */
};

void group_explain(struct groups *g, struct step *s, struct explain_group_call *c);

#define GROUP_FIGURES_OTHER 4 /* behind the classic states: Empty, PreparingRebalance, CompletingRebalance, Stable */

/* What a state holds and what it did since it was made. */
struct group_figures {
	size_t groups_in_state[GROUP_FIGURES_OTHER + 1];
	size_t members;
	size_t offsets;
	size_t pending_offsets;
	uint64_t rebalances;
	uint64_t commits; /* of one partition each */
	uint64_t expired_offsets;
	uint64_t expired_members;
};

void group_figures(const struct groups *g, struct group_figures *ret_figures);

/* From group to group, and within one from offset to offset; begins zeroed. What it points to is the state's, which must not change meanwhile. */
struct group_walk {
	struct bytes id;
	size_t members;
	/* Of the last group_walk_offset. */
	struct bytes topic;
	int32_t partition;
	int64_t offset;
	/* Own. */
	const struct group *group;
	size_t place;
	size_t topic_place;
	size_t offset_place;
};

bool group_walk_next(const struct groups *g, struct group_walk *w);
bool group_walk_offset(struct group_walk *w);

#endif
