/* group_own: what the sources of the group share among themselves. */
#ifndef CLIENT_GROUP_OWN_H
#define CLIENT_GROUP_OWN_H

#include "client/classic_member.h"
#include "client/coordinator.h"
#include "client/group.h"
#include "client/modern_member.h"

enum protocol_in_use { PROTOCOL_NONE, PROTOCOL_CLASSIC, PROTOCOL_MODERN };

/* Why a membership ended. */
enum member_end {
	MEMBER_LEFT,    /* by the program's will */
	MEMBER_FAILED,  /* told; until the program subscribes again */
	MEMBER_OTHER,   /* the group does not speak this protocol */
	MEMBER_STOPPED, /* the fiber was cancelled */
};

/* What the member is to have, and how far the program is with it (settle.c). */
struct settle {
	struct fiber *fiber; /* NULL: nothing is under way and nothing to be joined */
	bool running;
	bool over;     /* ran to its end; the member's fiber has not looked yet */
	bool announce; /* that they are assigned, even if none came */
	struct parts target;
	bool released;
	bool told;
};

struct group {
	struct group_options options;
	struct coordinator coordinator;
	struct event changed; /* anything that the member's fiber looks at */
	/* What the program wants. */
	bool subscribed;
	unsigned wanted_version; /* counts changes */
	char **topics;           /* by name */
	size_t topic_count;
	char *pattern;   /* NULL: none */
	bool match_here; /* the broker does not match patterns: `matched` has what does */
	char **matched;
	size_t matched_count;
	int64_t match_due_us;
	/* Who one is. */
	enum protocol_in_use protocol;
	struct classic_member classic;
	struct modern_member modern;
	/* When the last heartbeat was sent that was answered well: a static member's session may be the one from before until then. */
	int64_t heard_us;
	/* Classic: what the last SyncGroup gave, in which generation. */
	struct parts last;
	int32_t last_generation;
	struct parts owned;
	struct settle settle;
	bool out;
	bool failed;
	bool refused_modern; /* this group, or its broker, does not have it */
	/* The program's calls. */
	unsigned activity;
	int64_t active_us;
	struct fiber *main;
	struct fiber *offsets;
	struct fiber *committer;
	struct gate turns; /* commits are sent in the order in which they were asked for */
	struct event wants_offsets;
	bool stopping;
	bool leaving; /* for good */
};

/* Another's turn, until then at the latest. */
enum err group_wait_await(struct fiber *self, struct group *g, int64_t until_us);
/* The program was away too long. */
bool group_is_away(struct group *g);
int64_t group_away_at_us(const struct group *g);
/* Tells the program, once. */
void group_fail(struct group *g, enum err e, const char *words);
/* Those that are subscribed to by name: its own, or those that match here. */
char *const *group_topics(const struct group *g, size_t *ret_count);
bool group_wants_topic(const void *group, const struct cluster_topic *t);
/* Text that may be empty as the protocol has it: null. */
struct bytes group_text(const char *text);

/* Starts to move the program from what it owns to `target`, in a fiber of its own. `target` is empty afterwards. */
void settle_start(struct group *g, struct parts *target, bool announce);
/* True once, when it is over; waits for nothing else. */
bool settle_is_over_await(struct fiber *self, struct group *g);
void settle_stop_await(struct fiber *self, struct group *g);

/* Fibers of group_offsets.c: what partitions start at, and commits now and then. */
void group_offsets_main(struct fiber *self, void *argument);
void group_commit_main(struct fiber *self, void *argument);

enum member_end member_classic_await(struct fiber *self, struct group *g);
enum member_end member_modern_await(struct fiber *self, struct group *g);

/* Where brokers do not match patterns: asks for all names when it is time. INVALID_REGULAR_EXPRESSION with words, CANCELLED; other errors pass. */
enum err match_await(struct fiber *self, struct group *g, char ret_why[static GROUP_WHY_SIZE]) MUST_CHECK;
/* When that is; FIBER_NO_DEADLINE: never. */
int64_t match_due_us(const struct group *g);

#endif
