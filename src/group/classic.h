/*
 * classic: a group of the classic protocol (JoinGroup, SyncGroup), and how it rebalances. Facts: KIP-62, KIP-134, KIP-345, KIP-394, KIP-559, KIP-800,
 * KIP-814, and Apache Kafka's own coordinator.
 *
 *                    the last member leaves or expires
 *         .------------------------------------------------.
 *         v                                                |
 *      EMPTY --a member joins--> PREPARING_REBALANCE --all are back, or the time is over--> COMPLETING_REBALANCE
 *                                   ^        ^                                                 |          |
 *                                   |        '--- join, leave, expiry, sync not asked for -----'          |
 *                                   '------- join with news, leave, expiry --------- STABLE <--the leader's sync
 *
 * Preparing: joins wait. Completing: each has its generation, the leader the list of members; syncs of the others wait for his. Stable: the assignment
 * is recorded and told.
 *
 * Invariants
 * 1. Of a member at most one call waits: a join while preparing, a sync while completing.
 * 2. All members support one protocol in common; its name is set from completing on.
 * 3. Who waits does not expire, but for a member whose first join waits over NEW_MEMBER_JOIN_TIMEOUT_MS.
 * 4. What is recorded is a generation with its assignment, or that a group is empty; what happens in between is not, and a coordinator that loads the group
 *    begins at the last recorded one.
 * 5. No instance id is held by two members.
 * Not here: offsets (offsets.h), which request leads here (request.c), the consumer protocol (consumer.h).
 */
#ifndef GROUP_CLASSIC_H
#define GROUP_CLASSIC_H

#include "group/replay.h"

/* Kafka's, no setting. */
#define NEW_MEMBER_JOIN_TIMEOUT_MS (5 * 60 * 1000)
/* Of those that were given an id and have not come back with it; Kafka has no bound. */
#define PENDING_MEMBERS_MAX 10000
/* The same of all groups of a state, whose names and clients' ids may have 32 KiB each: some 10,000 where they are as long as they usually are. */
#define PENDING_BYTES_MAX ((size_t)2 << 20)
/* That one member may support; Kafka has no bound. */
#define MEMBER_PROTOCOLS_MAX 100

enum classic_state { CLASSIC_EMPTY, CLASSIC_PREPARING_REBALANCE, CLASSIC_COMPLETING_REBALANCE, CLASSIC_STABLE };

struct classic_protocol {
	struct bytes name;
	struct bytes metadata;
};

/* Its id, instance id, client id and host stand behind it. */
struct classic_member {
	struct group_timer session;
	struct group *group;
	struct bytes id;
	struct bytes instance_id; /* null: dynamic */
	struct bytes client_id;
	struct bytes client_host;
	struct classic_protocol *protocols; /* as it prefers them; one allocation with all texts */
	size_t protocol_count;
	struct bytes assignment; /* its own memory, or null */
	int32_t rebalance_timeout_ms;
	int32_t session_timeout_ms;
	struct join_group_call *join; /* waits */
	struct sync_group_call *sync; /* waits */
	bool is_new;                  /* its first join waits */
	bool owes_sync;               /* has its generation and did not ask for its assignment yet */
};

/* Has been given an id (KIP-394); its id stands behind it. */
struct pending_member {
	struct group_timer session;
	struct list_node node;
	struct group *group;
	struct bytes id;
};

struct protocol_count {
	struct bytes name; /* its own memory */
	size_t members;
};

struct classic_group {
	enum classic_state state;
	enum classic_state previous;
	int64_t state_since_ms; /* wall clock; -1: an old record does not say */
	int32_t generation;
	struct bytes protocol_type;    /* its own memory; null: nobody ever joined */
	struct bytes protocol_name;    /* likewise */
	struct classic_member *leader; /* NULL: none */
	struct map members;            /* by id; in the order in which they came */
	size_t awaiting_join;
	size_t owing_sync;
	struct protocol_count *protocols; /* what members support */
	size_t protocol_count;
	size_t protocol_capacity;
	struct list pending; /* of struct pending_member */
	size_t pending_count;
	bool member_added;        /* during the initial delay, which is then made longer */
	int32_t initial_delay_ms; /* the running part of it */
	int32_t initial_remains_ms;
	struct group_timer join_timer;
	struct group_timer sync_timer;
	struct group *group;
	/* What members of type "consumer" subscribe to, sorted; one allocation. */
	struct bytes *subscribed;
	size_t subscribed_count;
	bool subscribed_known; /* false: no consumers, or their metadata does not parse */
};

extern const struct group_kind classic_kind;

/* Why a group is to rebalance, and by whom; texts are borrowed. */
struct rebalance_reason {
	enum rebalance_cause cause;
	struct bytes member_id;
	struct bytes client_id;
	struct bytes client_host;
	struct bytes client_reason; /* null: not told */
	int32_t gone;               /* members that are not counted any more, and were before it */
};

/* --- classic.c: members ---------------------------------------------------------------------------------------------- */

/* With an empty body: no members, no protocol type. What it was before is freed; no call waits in it. */
void group_become_classic(struct groups *all, struct group *g, int64_t wall_ms);
const char *classic_state_name(enum classic_state state);
/* The moves of the picture above, and no other. */
void classic_move(struct classic_group *c, enum classic_state to, int64_t wall_ms);

struct classic_member *classic_find(const struct classic_group *c, struct bytes member_id);
struct classic_member *classic_find_static(const struct classic_group *c, struct bytes instance_id);
/* NULL at the end; start with 0. Members may be removed meanwhile. */
struct classic_member *classic_next(const struct classic_group *c, size_t *place);

struct classic_member_texts {
	struct bytes id;
	struct bytes instance_id;
	struct bytes client_id;
	struct bytes client_host;
};

/* A member with that id; the first one is the leader. Its session is not running. */
struct classic_member *classic_add(struct groups *all, struct group *g, const struct classic_member_texts *texts,
				   struct bytes protocol_type);
/* It goes; the next one leads when it led. No call of it waits. */
void classic_remove(struct groups *all, struct classic_member *m);
/* Another id for it: assignment, leadership, client and protocols stay; its session is not running. Calls that wait were answered. */
struct classic_member *classic_replace(struct groups *all, struct classic_member *old, struct bytes member_id);
/* Copies them; of two with one name the first counts. */
void classic_set_protocols(struct classic_group *c, struct classic_member *m, const struct classic_protocol *protocols,
			   size_t count);
void classic_set_assignment(struct classic_member *m, struct bytes assignment);
void classic_set_text(struct bytes *own, struct bytes text);

/* What a pending member counts. */
size_t classic_pending_bytes(struct bytes group_id, size_t member_id_size);
struct pending_member *classic_find_pending(const struct classic_group *c, struct bytes member_id);
struct pending_member *classic_add_pending(struct groups *all, struct group *g, struct bytes member_id);
void classic_remove_pending(struct groups *all, struct pending_member *p);

/* --- classic_protocol.c: what members have in common ------------------------------------------------------------------ */

/* Whether a member that supports these may join, be it one already. */
bool classic_supports(const struct classic_group *c, struct bytes protocol_type,
		      const struct join_group_request_join_group_request_protocol *protocols, int32_t count);
bool classic_same_protocols(const struct classic_member *m,
			    const struct join_group_request_join_group_request_protocol *protocols, int32_t count);
/* The one with most votes of those that all support; the group has members. */
struct bytes classic_select_protocol(const struct classic_group *c);
/* Null when it does not support that. */
struct bytes classic_metadata(const struct classic_member *m, struct bytes protocol);
/* Looks anew what members subscribe to. */
void classic_update_subscribed(struct classic_group *c);
bool classic_subscribed(const struct group *g, struct bytes topic);

/* --- classic_rebalance.c --------------------------------------------------------------------------------------------- */

/* The greatest of its members. */
int32_t classic_rebalance_timeout_ms(const struct classic_group *c);
/* Its session runs from now on. */
void classic_heard_of(struct groups *all, struct classic_member *m, int64_t now_ms);
bool classic_all_joined(const struct classic_group *c);
/* A rebalance begins, or goes on when one is being prepared. */
void classic_rebalance_or_go_on(struct groups *all, struct group *g, struct step *s,
				const struct rebalance_reason *why);
void classic_prepare_rebalance(struct groups *all, struct group *g, struct step *s, const struct rebalance_reason *why);
/* Completes the join phase when that may be now. */
void classic_go_on(struct groups *all, struct group *g, struct step *s);
/* Their assignment, or an error, is told to those that wait for it. */
void classic_tell_assignment(struct groups *all, struct group *g, struct step *s, enum err error);
/* Its call that waits, if any, is answered. */
void classic_refuse_waiting(struct step *s, struct classic_member *m, enum err error);
/* Its client is gone: the call that waits is answered, and its session runs. */
void classic_abandon(struct groups *all, struct classic_member *m, struct step *s);
/* It has synced. */
void classic_synced(struct groups *all, struct classic_member *m);
void classic_session_fire(struct groups *all, struct group_timer *t, struct step *s);
void classic_pending_fire(struct groups *all, struct group_timer *t, struct step *s);
void classic_join_fire(struct groups *all, struct group_timer *t, struct step *s);
void classic_sync_fire(struct groups *all, struct group_timer *t, struct step *s);

/* --- classic_join.c, classic_member.c: requests ----------------------------------------------------------------------- */

/* `fresh`: the group was made by this request, so something has to be recorded of it. */
void classic_join(struct groups *all, struct group *g, struct step *s, struct join_group_call *c, bool fresh);
void classic_sync(struct groups *all, struct group *g, struct step *s, struct sync_group_call *c);
void classic_heartbeat(struct groups *all, struct group *g, struct step *s, struct heartbeat_call *c);
void classic_leave(struct groups *all, struct group *g, struct step *s, struct leave_group_call *c);
/* UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, or OK with the member. */
enum err classic_member_check(const struct classic_group *c, struct bytes member_id, struct bytes instance_id,
			      struct classic_member **ret_member);
enum err classic_may_commit(const struct group *g, const struct group_identity *who);

/* Answers to a join. `member_id` is the request's, or is copied. */
void join_answer_error(struct step *s, struct join_group_call *c, struct bytes member_id, enum err error);
/* The member's current generation; with the list of members when it leads. */
void join_answer(struct step *s, struct join_group_call *c, const struct classic_group *g,
		 const struct classic_member *m, bool skip_assignment);
void sync_answer(struct step *s, struct sync_group_call *c, const struct classic_group *g, struct bytes assignment,
		 enum err error);

/* --- classic_record.c ------------------------------------------------------------------------------------------------ */

/* What its record would take at most. */
size_t classic_record_bytes(const struct group *g);
/* The group as it is: empty, or with its assignment. */
void classic_put(const struct group *g, struct step *s);
/* That the group is there, and nothing of it. */
void classic_put_empty(const struct group *g, struct step *s);
enum err classic_replay(struct groups *all, const struct group_record *r);

#endif
