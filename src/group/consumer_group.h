/*
 * consumer_group: a group of the consumer protocol (KIP-848): its members say by heartbeats what they want and what they have; the group computes who shall
 * have what, and brings each member there step by step, alone, while the others go on reading. Facts: KIP-848 and Apache Kafka's own coordinator.
 *
 *      group epoch       moves when what has to be assigned changes: members, subscriptions, topics
 *      assignment epoch  the group epoch for which the target was computed; the target is each member's share
 *      member epoch      up to where the member has followed
 *
 *             has more than it shall                                   all it shall have is free, or not all of it
 *      STABLE -----------------------> UNREVOKED_PARTITIONS --it gave up--> STABLE, or UNRELEASED_PARTITIONS
 *        |  ^                           (epoch stays as it was)                           |   ^    |
 *        |  '----- the others gave up what it waits for: given ---------------------------'   '----' some of it
 *        '-- shall have what others have not given up yet ----------> UNRELEASED_PARTITIONS
 *
 * Members of the classic protocol live here too while a group migrates: their JoinGroup is a heartbeat that follows to the end, their Heartbeat says that
 * they must join again when there is something to do.
 *
 * Invariants
 * 1. A partition is had (assigned, or to be given up and not yet given up) by one member at a time: it is given only when it is free.
 * 2. assignment epoch <= group epoch; a member's epoch <= assignment epoch. What is recorded is all that there is, but for sessions, timers, who is
 *    resolving patterns, and which settings were read.
 * 3. A partition's epoch is the member epoch at which it was given: commits of that epoch and later are accepted for it.
 * 4. `owners` are the partitions of `assigned` and `revoking` of all members. `topics` are the names that members want plus those that patterns resolve to.
 * Not here: who gets what (assignor.h), offsets (offsets.h), which requests lead here (consumer_heartbeat.c, consumer_classic.c).
 */
#ifndef GROUP_CONSUMER_GROUP_H
#define GROUP_CONSUMER_GROUP_H

#include "group/assigned.h"
#include "group/assignor.h"
#include "group/classic.h"
#include "group/consumer_call.h"
#include "group/groups.h"

/* As recorded. */
enum member_state {
	MEMBER_STABLE = 0,
	MEMBER_UNREVOKED_PARTITIONS = 1,
	MEMBER_UNRELEASED_PARTITIONS = 2,
	MEMBER_UNKNOWN = 127, /* of a newer broker's record */
};

#define EPOCH_LEAVE (-1)
#define EPOCH_LEAVE_STATIC (-2) /* also of a static member that is away */

/* What a member of the classic protocol said when it joined. One allocation. */
struct classic_part {
	int32_t session_timeout_ms;
	size_t protocol_count;
	struct classic_protocol protocols[]; /* as it prefers them */
};

/* Of a member's record: what it said of itself. Texts and names are borrowed, or a member's own. */
struct member_metadata {
	struct bytes instance_id; /* null: dynamic */
	struct bytes rack_id;     /* may be null */
	struct bytes client_id;
	struct bytes client_host;
	struct bytes pattern;         /* "" or null: none */
	struct bytes server_assignor; /* null: none in particular */
	const struct bytes *topics;   /* in order, each once */
	size_t topic_count;
	int32_t rebalance_timeout_ms;
	const struct classic_part *classic; /* NULL: a member of the consumer protocol */
};

/* Its id stands behind it. */
struct consumer_member {
	struct group *group;
	struct bytes id;
	struct member_metadata said; /* its own memory */
	int32_t epoch;
	int32_t previous_epoch;
	enum member_state state;
	struct assigned assigned;
	struct assigned revoking;
	struct assigned target;
	bool recorded;       /* what it said; else its share or its position was replayed first */
	bool counts;         /* one of these two was: it is a member */
	bool has_target;     /* one is recorded, be it empty */
	int64_t expires_ms;  /* its session; the timer may be earlier and is then set again */
	int32_t timed_epoch; /* that `progress` was set for */
	struct group_timer session;
	struct group_timer progress; /* to give up what it must; of a classic member: to join again */
	struct group_timer sync;     /* of a classic member: to ask for its assignment */
};

/* A topic that somebody wants. */
struct wanted_topic {
	struct bytes name; /* its own memory */
	uint32_t by_name;  /* members */
	uint32_t by_pattern;
};

/* A pattern that members want, or that is resolved. */
struct topic_pattern {
	struct bytes text; /* its own memory */
	size_t members;
	bool resolved;
	struct bytes *topics; /* in order; one allocation with their texts */
	size_t topic_count;
	int64_t version; /* of the image */
	int64_t resolved_ms;
};

/* What a group, or the broker for it, has set; read again when the image has changed. */
struct consumer_settings {
	int64_t image_version; /* -1: not read */
	int32_t session_timeout_ms;
	int32_t heartbeat_interval_ms;
	int32_t assignment_interval_ms;
};

struct pattern_job; /* consumer_pattern.c */

struct consumer_group {
	struct group *group;
	struct map members; /* by id; in the order in which they came */
	struct map statics; /* by instance id */
	int32_t epoch;
	int32_t assignment_epoch;
	int64_t assignment_ms; /* wall clock; 0: not known */
	int64_t metadata_hash;
	struct wanted_topic *topics; /* in order */
	size_t topic_count;
	size_t topic_capacity;
	struct topic_pattern *patterns; /* in order */
	size_t pattern_count;
	size_t pattern_capacity;
	size_t subscribed_patterns; /* with members */
	size_t resolved_patterns;
	struct owners owners;
	size_t member_count;  /* those that count */
	size_t classic_count; /* of them of the classic protocol */
	size_t reconciled;    /* STABLE at the assignment epoch */
	bool old_metadata;    /* an old broker's record 4 is there and has to go */
	bool unsettled; /* it was a classic group between two generations: what it has is not all that is to be had */
	bool topics_changed;  /* since patterns were resolved */
	int64_t seen_version; /* of the image, when metadata_hash was last computed; -1: never */
	struct consumer_settings settings;
	struct pattern_job *job; /* NULL: nobody resolves patterns */
};

extern const struct group_kind consumer_kind;

static inline bool member_is_classic(const struct consumer_member *m)
{
	return m->said.classic != NULL;
}

static inline bool member_has_pattern(const struct member_metadata *said)
{
	return said->pattern.size > 0;
}

static inline bool member_is_reconciled(const struct consumer_group *c, const struct consumer_member *m)
{
	return m->state == MEMBER_STABLE && m->epoch == c->assignment_epoch;
}

/* --- consumer_group.c: the state; the same functions change it whether something happens or is replayed --------------------- */

/* With an empty body, as before its first record. What it was before is freed; no call waits in it. */
void group_become_consumer(struct groups *all, struct group *g);
/* Its members are gone first. */
void consumer_group_free(struct groups *all, struct group *g);
struct consumer_member *consumer_group_find(const struct consumer_group *c, struct bytes member_id);
struct consumer_member *consumer_group_find_static(const struct consumer_group *c, struct bytes instance_id);
/* NULL at the end; start with 0. The one at hand may be removed meanwhile. */
struct consumer_member *consumer_group_next(const struct consumer_group *c, size_t *place);
struct consumer_member *consumer_group_find_or_add(struct groups *all, struct group *g, struct bytes member_id);
void consumer_group_remove(struct groups *all, struct consumer_member *m);
/* Under another id, with all it has but its timers. The old one is gone. */
struct consumer_member *consumer_member_rename(struct groups *all, struct consumer_member *old, struct bytes member_id);
/* Copies it. `said` may be what another member has. */
void consumer_member_say(struct groups *all, struct consumer_member *m, const struct member_metadata *said);

/* Where a member is. */
struct member_position {
	int32_t epoch;
	int32_t previous_epoch;
	enum member_state state;
	struct assigned assigned;
	struct assigned revoking;
};

/* Takes the sets. */
void consumer_member_move_take(struct groups *all, struct consumer_member *m, struct member_position *to);
/* What it has, with what it has to give up: both is had. */
void consumer_member_had(const struct consumer_member *m, struct assigned *ret_had);
void consumer_member_set_target_take(struct consumer_member *m, struct assigned *target);
void consumer_member_drop_target(struct consumer_member *m);
void consumer_group_set_assignment_epoch(struct consumer_group *c, int32_t epoch, int64_t assignment_ms);

struct topic_pattern *consumer_group_find_pattern(const struct consumer_group *c, struct bytes text);
/* Copies the names, which are in order. */
void consumer_group_resolve(struct consumer_group *c, struct bytes text, const struct bytes *topics, size_t count,
			    int64_t version, int64_t resolved_ms);
/* No longer resolved. */
void consumer_group_unresolve(struct consumer_group *c, struct bytes text);

const char *consumer_group_state_name(const struct consumer_group *c);
/* The member wants this topic, by name or by pattern. */
bool consumer_member_wants(const struct consumer_group *c, const struct member_metadata *said, struct bytes topic);
/* How many of the classic members support a protocol of that name. */
size_t consumer_group_supporters(const struct consumer_group *c, struct bytes protocol);

struct bytes *names_sorted(const struct bytes *names, size_t count, size_t *ret_count) MUST_CHECK;
bool names_equal(const struct bytes *a, size_t a_count, const struct bytes *b, size_t b_count);
/* A copy in one allocation. */
struct bytes *names_copy(const struct bytes *names, size_t count);
bool names_have(const struct bytes *names, size_t count, struct bytes name);

/* --- consumer_record.c ----------------------------------------------------------------------------------------------------- */

void consumer_put_member(struct step *s, const struct consumer_member *m);
void consumer_put_epoch(struct step *s, const struct group *g);
void consumer_put_target(struct step *s, const struct consumer_member *m);
void consumer_put_assignment_epoch(struct step *s, const struct group *g);
void consumer_put_position(struct step *s, const struct consumer_member *m);
void consumer_put_pattern(struct step *s, const struct group *g, const struct topic_pattern *p);
/* Position, target and metadata of a member go, in this order. */
void consumer_put_member_gone(struct step *s, const struct group *g, struct bytes member_id);
void consumer_put_pattern_gone(struct step *s, const struct group *g, struct bytes text);
void consumer_put_old_metadata_gone(struct step *s, const struct group *g);
void consumer_put_tombstones(const struct group *g, struct step *s);
/* All that there is, as after a migration. */
void consumer_put_all(struct step *s, const struct group *g);
/* What the record would take at most. */
size_t member_record_bytes(size_t group_id_size, struct bytes member_id, const struct member_metadata *said);
size_t assigned_record_bytes(const struct assigned *a);

/* --- consumer_settings.c --------------------------------------------------------------------------------------------------- */

/* As of now. */
const struct consumer_settings *consumer_group_settings(const struct groups *all, struct group *g,
							const struct step *s);

/* --- consumer_reconcile.c: where a member goes from where it is; pure ------------------------------------------------------- */

/* What a member says that it has. */
struct claimed {
	bool known; /* it said something */
	const struct assigned_partition *items;
	size_t count; /* in any order */
};

struct reconcile_question {
	const struct consumer_member *member;
	int32_t target_epoch;
	const struct assigned *target;
	const struct owners *owners;
	const struct claimed *claimed;
	bool subscription_changed;
	/* Whether it wants that topic; asked once for each. */
	bool (*wants)(const void *context, struct uuid topic);
	const void *context;
};

/*
 * False when it stays as it is. FENCED_MEMBER_EPOCH only for one in an unknown state: it has to begin anew.
 */
bool consumer_reconcile(const struct reconcile_question *q, struct member_position *ret_to, enum err *ret_error);
/* All that is claimed is in the set; false also when nothing is known. */
bool claimed_within(const struct claimed *c, const struct assigned *a);

/* --- consumer_target.c ----------------------------------------------------------------------------------------------------- */

enum server_assignor consumer_group_assignor(const struct groups *all, const struct group *g);
/* Computes it when the group epoch is ahead and the interval is over; the error is Kafka's when it cannot be recorded. */
enum err consumer_group_update_target(struct groups *all, struct group *g, struct step *s);
/* Follows the target as far as it can now; says whether what it has is other than before. FENCED_MEMBER_EPOCH as consumer_reconcile. */
enum err consumer_member_follow(struct groups *all, struct consumer_member *m, struct step *s,
				const struct claimed *claimed, bool subscription_changed, bool *ret_assigned_changed);

/* --- consumer_change.c: what several requests do --------------------------------------------------------------------------- */

/* Why, and whose doing it is; for the history. */
struct consumer_cause {
	enum rebalance_cause cause;
	const struct consumer_member *member; /* may be NULL */
	struct bytes reason;                  /* the client's; null: none */
};

int64_t consumer_group_hash(const struct consumer_group *c, const struct image *image);
/* Another group epoch, when `bump` or when topics are no longer what they were; recorded. */
void consumer_group_refresh(struct groups *all, struct group *g, struct step *s, bool bump,
			    const struct consumer_cause *why);
/* Its session runs from now on. */
void consumer_member_heard_of(struct groups *all, struct consumer_member *m, const struct step *s, int32_t timeout_ms);
/* Another member in its place, with what it said, has and shall have, at the beginning of its way; recorded. The old one is gone. */
struct consumer_member *consumer_member_replace(struct groups *all, struct consumer_member *old, struct bytes member_id,
						struct step *s);
/*
 * What a member says now, recorded when it is new. Sets what changed by that; patterns that nobody wants any more go, new ones are
 * resolved if they can be at once, and another group epoch begins if one is due.
 */
void consumer_member_update(struct groups *all, struct consumer_member *m, struct step *s,
			    const struct member_metadata *said, const struct consumer_cause *why,
			    bool *ret_subscription_changed);
/* They go; the group may become classic by that. */
void consumer_group_fence(struct groups *all, struct group *g, struct step *s, struct consumer_member *const *members,
			  size_t count, const struct consumer_cause *why);
void consumer_session_fire(struct groups *all, struct group_timer *t, struct step *s);
void consumer_progress_fire(struct groups *all, struct group_timer *t, struct step *s);
void consumer_sync_fire(struct groups *all, struct group_timer *t, struct step *s);

/* --- consumer_pattern.c ---------------------------------------------------------------------------------------------------- */

/*
 * Begins to resolve the group's patterns when that is due, and does as much as can be done at once; the rest follows by its own timer. True when
 * another group epoch has begun by that.
 */
bool consumer_group_resolve_patterns(struct groups *all, struct group *g, struct step *s);
void consumer_group_drop_job(struct groups *all, struct consumer_group *c);

/* --- consumer_classic.c: members of the classic protocol ----------------------------------------------------------------------- */

void consumer_classic_join(struct groups *all, struct group *g, struct step *s, struct join_group_call *c);
void consumer_classic_sync(struct groups *all, struct group *g, struct step *s, struct sync_group_call *c);
void consumer_classic_heartbeat(struct groups *all, struct group *g, struct step *s, struct heartbeat_call *c);
void consumer_classic_leave(struct groups *all, struct group *g, struct step *s, struct leave_group_call *c);
/* A set as the classic protocol has it, in the version of that subscription; topics that are gone are left out. */
void consumer_assignment_write(const struct assigned *a, const struct image *image, struct bytes metadata,
			       struct buf *out);

/* --- consumer_migrate.c ---------------------------------------------------------------------------------------------------- */

/* OK, or why a classic group with members cannot become one of the consumer protocol; says why. */
enum err consumer_may_upgrade(const struct groups *all, const struct group *g, const char **ret_why);
/* It has become one: records, sessions. Those that waited in it are told to join again. OK, or nothing was changed. */
enum err consumer_upgrade(struct groups *all, struct group *g, struct step *s, const char **ret_why);
/* All members that stay would be of the classic protocol, and would fit into its record. */
bool consumer_may_downgrade(const struct groups *all, const struct group *g, const struct step *s,
			    struct consumer_member *const *leaving, size_t count);
/* `leaving` go; the others are a classic group, which rebalances when `why` is given. */
void consumer_downgrade(struct groups *all, struct group *g, struct step *s, struct consumer_member *const *leaving,
			size_t count, const struct rebalance_reason *why);

#endif
