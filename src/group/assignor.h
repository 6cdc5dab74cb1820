/*
 * assignor: who of a group's members gets which partitions of the topics that they want (KIP-848's server side assignors). Pure.
 *
 *      owners, before      topic A  0 0 1 1 - -          -: nobody's
 *      server_assignor_assign     topic A  0 0 1 1 2 2          member 2 came
 *
 * range    each topic's partitions in runs, in the order of the members: static ones first by instance, then the others by id. Topics
 *          with equally many partitions and equal subscribers are co-partitioned: a member gets the same numbers of each. Gives what
 *          Kafka's RangeAssignor gives, whatever the owners were.
 * uniform  as even as the subscriptions allow, and no partition moves that needs not move for that. Which partition moves is our own
 *          choice (in Kafka it is that of a hash map's order): such that each topic is spread over the members too.
 *
 * Invariants
 * 1. A partition has one owner, and he subscribed to its topic; it has none only when nobody subscribed.
 * 2. uniform: no two members who could give and take differ by more than one, but for chains of topics that overlap (Kafka gives up there too).
 * 3. Equal groups give equal assignments.
 */
#ifndef GROUP_ASSIGNOR_H
#define GROUP_ASSIGNOR_H

#include "base/bytes.h"

enum server_assignor {
	SERVER_ASSIGNOR_UNIFORM,
	SERVER_ASSIGNOR_RANGE,
};

struct assignor_member {
	struct bytes member_id;
	struct bytes instance_id; /* null: not a static member */
	const uint32_t *topics;   /* places of those that it subscribed to, rising */
	size_t topic_count;
};

struct assignor_topic {
	int32_t partition_count;
	int32_t *owners; /* of each partition: the place of a member, or -1; before, then after */
};

struct assignor_input {
	const struct assignor_member *members;
	size_t member_count;
	struct assignor_topic *topics;
	size_t topic_count;
};

const char *server_assignor_name(enum server_assignor a);
/* False when there is none of that name. */
bool server_assignor_find(struct bytes name, enum server_assignor *ret_assignor);
void server_assignor_assign(enum server_assignor a, struct assignor_input *g);

#endif
