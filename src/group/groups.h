/*
 * groups: the state behind group.h: all groups of one partition of __consumer_offsets, whatever their protocol, with their offsets.
 *
 *      struct groups -- by id --> struct group -- kind --> what differs between protocols: a table of functions
 *                                       |  `-- body --> struct classic_group, struct consumer_group: members
 *                                       |-- offsets --> topics, partitions (offsets.h)
 *                                       `-- history --> the last rebalances (history.h)
 *                    timers --> what happens when nobody is heard of in time, soonest first
 *
 * A group is there when its metadata is recorded, when it has offsets, or when somebody is about to join it. Who commits without ever joining
 * makes one of kind classic without a protocol type ("simple").
 *
 * Invariants
 * 1. Iteration is in order of creation; nothing depends on addresses or on the seed.
 * 2. A kind's functions change their own body and put records; a group's id, offsets and place are changed here and in offsets.c.
 * 3. A call that waits is linked nowhere: its group's body points at it, and answers it before it lets it go.
 * Not here: the protocols (classic.h, consumer.h), requests and their errors (group.h), records to bytes (coordinator/machine.h).
 */
#ifndef GROUP_GROUPS_H
#define GROUP_GROUPS_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "group/group.h"
#include "group/history.h"
#include "group/offsets.h"

struct group;

/* What happens at a time, unless it is set anew or cancelled before. Embedded; the function finds its owner by container_of. */
struct group_timer {
	struct heap_node node;
	void (*fire)(struct groups *g, struct group_timer *t, struct step *s);
};

/* Who commits offsets, or fetches them. */
struct group_identity {
	struct bytes member_id;
	struct bytes instance_id; /* null: none */
	int32_t generation;       /* or member epoch */
	int16_t version;          /* of the request */
	bool transactional;
};

/* From when on an offset counts as unused. */
enum offset_age {
	OFFSETS_NEVER_EXPIRE,
	OFFSETS_AGE_SINCE_COMMIT,
	OFFSETS_AGE_SINCE_EMPTY, /* since group_kind.empty_since_ms; since its commit where that is not known */
};

/* What differs between protocols. `g` has such a body. No function suspends; NULL where it says so. */
struct group_kind {
	const char *type; /* as in ListGroups: "classic", "consumer" */
	bool classic;
	bool yields; /* when it is empty it becomes classic for whoever joins by the classic protocol */

	/* The state's name as Kafka says it, and "" or "consumer" or what Connect says. */
	const char *(*state_name)(const struct group *g);
	struct bytes (*protocol_type)(const struct group *g);
	/* No members: it may be deleted, and become of another kind. */
	bool (*empty)(const struct group *g);

	/* The classic protocol's requests, whose group exists. Each answers its call, or keeps it (join, sync). */
	void (*join)(struct groups *all, struct group *g, struct step *s, struct join_group_call *c);
	void (*sync)(struct groups *all, struct group *g, struct step *s, struct sync_group_call *c);
	void (*heartbeat)(struct groups *all, struct group *g, struct step *s, struct heartbeat_call *c);
	void (*leave)(struct groups *all, struct group *g, struct step *s, struct leave_group_call *c);

	/* Whether he may; the error is told for every partition, or for the group. */
	enum err (*may_commit)(const struct group *g, const struct group_identity *who);
	/* Beyond that, each of the partitions that he commits; the error is told for all of them. May be NULL. */
	enum err (*may_commit_partition)(const struct group *g, const struct group_identity *who, struct uuid topic,
					 int32_t partition);
	/* He did, in no transaction: it keeps his session alive. May be NULL. */
	void (*committed)(struct groups *all, struct group *g, struct step *s, const struct group_identity *who);
	enum err (*may_fetch)(const struct group *g, const struct group_identity *who);
	enum err (*may_delete_offsets)(const struct group *g);
	/* An active member reads it: its offsets neither expire nor are deleted. */
	bool (*subscribed)(const struct group *g, struct bytes topic);
	enum offset_age (*offset_age)(const struct group *g);
	int64_t (*empty_since_ms)(const struct group *g); /* -1: not known */

	/* NON_EMPTY_GROUP, or OK. */
	enum err (*may_delete)(const struct group *g);
	/* Tombstones of whatever this kind may have recorded. */
	void (*put_tombstones)(const struct group *g, struct step *s);

	void (*loaded)(struct groups *all, struct group *g, struct step *s);
	/* Topics came, went or grew. May be NULL. */
	void (*image_changed)(struct groups *all, struct group *g, struct step *s);
	/* Fills what differs: state_since_ms, generation, protocol_name, leader, members. False when the arena is full. */
	bool (*explain)(const struct group *g, const struct step *s, struct explain_group_call *c);
	/* Every call that waits is answered with `why`. */
	void (*give_up)(struct group *g, enum err why, struct step *s);
	/* The body goes, with its timers. No call waits in it. */
	void (*free)(struct groups *all, struct group *g);
};

struct group {
	struct bytes id;
	const struct group_kind *kind;
	union {
		struct classic_group *classic;
		struct consumer_group *consumer;
	};
	struct offsets offsets;
	struct list pending; /* of struct pending_offsets: of open transactions */
	struct history history;
};

struct groups {
	const struct group_options *options;
	struct map_seed seed;
	struct map by_id; /* of struct group */
	struct heap timers;
	struct topic_names topics;
	struct map transactions; /* by producer id: struct offset_transaction */
	int64_t next_order;      /* of records, as they come in: larger than that of all that were replayed */
	struct group_timer expiry;
	size_t expiry_place; /* where the walk over all groups goes on */
	size_t members;
	size_t pending_bytes;         /* of ids that were given away and not used yet, with the names of their groups */
	struct group_figures figures; /* what it did; what it holds is counted when asked */
};

/* NULL when there is none. */
struct group *groups_find(const struct groups *all, struct bytes id);
/* The group with that id; one of kind classic, empty and without protocol type, when there was none. */
struct group *groups_find_or_add(struct groups *all, struct bytes id, int64_t wall_ms);
/* Its metadata goes: what stays is what holds its offsets, if it has any. While replaying. */
void groups_forget(struct groups *all, struct group *g, int64_t wall_ms);
/* It goes with all it has: when its tombstones are put, or replayed. No call waits in it. */
void groups_remove(struct groups *all, struct group *g);
/* All of it. No call waits. */
void groups_free(struct groups *all);
/* Becomes of another kind, without a body yet; id, offsets and history stay. No call waits in it. */
void group_become(struct groups *all, struct group *g, const struct group_kind *kind);

/* Also when it is set already. `t->fire` is set before. */
void group_timer_set(struct groups *all, struct group_timer *t, int64_t at_ms);
void group_timer_cancel(struct groups *all, struct group_timer *t);

#endif
