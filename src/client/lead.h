/*
 * lead: what the leader of a classic group does between JoinGroup and SyncGroup: reads what the members want, learns the topics' sizes, lets the
 * assignor that all agreed on decide, and watches those topics from then on. A static leader that comes back within its session decides nothing:
 * it asks the coordinator what was given out, so that topics that grew or came meanwhile do not stay without an owner.
 *
 * Lifetime: lead_init .. lead_fini; lead_await suspends, in the member's fiber. Not here: the assignors (assign.h).
 */
#ifndef CLIENT_LEAD_H
#define CLIENT_LEAD_H

#include "client/group.h"
#include "protocol/messages.h"

struct lead_topic {
	struct cluster_topic *topic;
	int32_t partition_count; /* as it was decided on */
};

struct lead {
	struct group *group;
	struct lead_topic *topics;
	size_t count;
	size_t capacity;
};

void lead_init(struct lead *l, struct group *g);
void lead_fini(struct lead *l);
/* It does not lead any more. */
void lead_forget(struct lead *l);
/* Fills the assignments of `request`, in memory of `a`. */
enum err lead_await(struct fiber *self, struct lead *l, const struct join_group_response *joined, struct arena *a,
		    struct sync_group_request *request) MUST_CHECK;
/*
 * Behind a SyncGroup whose assignment stood before: learns what was given out, until `deadline_us`. Where it is not told, it was all that there is
 * now, as Java's leaders take it.
 */
void lead_take_over_await(struct fiber *self, struct lead *l, struct peer *peer, int64_t deadline_us);
/* A topic has other partitions than were given out: all have to join again. */
bool lead_has_changed(const struct lead *l);

#endif
