/*
 * assign: who reads which partitions, as the leader of a classic group decides it: Kafka's four assignors, with the results of Java's,
 * and what members say to each other inside JoinGroup and SyncGroup.
 *
 *      JoinGroup's metadata ---- subscription_decode ----> members --+
 *      topics, partitions, racks ------------------------------------+--> assign --> assignments -- assignment_encode --> SyncGroup
 *
 *      before joining:  assignor_user_data, then subscription_encode
 *
 * Pure. What members sent is foreign: all that can be wrong with it is an error or ignored as Java ignores it.
 * Invariants
 * 1. With equal members, in equal order, the result is Java's, list by list in its order (tests/compat/assignors). But nobody gets what he does not
 *    want, or what a topic does not have; Java's sticky ones may, when members claim such things or name topics twice.
 * 2. No partition has two owners. Cooperatively one that moves has none for now: its old owner gives it up first, and who gave up joins again.
 * Not here: the conversation (client's member), assignors on the broker (KIP-848).
 */
#ifndef CLIENT_ASSIGN_H
#define CLIENT_ASSIGN_H

#include "base/arena.h"
#include "base/buf.h"
#include "protocol/messages.h"

enum assignor { ASSIGNOR_RANGE, ASSIGNOR_ROUNDROBIN, ASSIGNOR_STICKY, ASSIGNOR_COOPERATIVE_STICKY };

#define ASSIGNOR_COUNT 4

/* The protocol's name in JoinGroup, as in partition.assignment.strategy: "cooperative-sticky". */
const char *assignor_name(enum assignor a);
bool assignor_find(struct bytes name, enum assignor *ret_assignor) MUST_CHECK;
/* Members keep reading while they rebalance, and give up only what moves (KIP-429). */
bool assignor_is_cooperative(enum assignor a);

struct assign_member {
	struct bytes id;
	struct bytes instance_id; /* null: none */
	struct consumer_protocol_subscription subscription;
};

/* The racks of a partition's replicas; null ones are not known and passed over. */
struct assign_racks {
	const struct bytes *racks;
	size_t count;
};

struct assign_topic {
	struct bytes name;
	int32_t partition_count;          /* 0 or less: not known, nobody gets any */
	const struct assign_racks *racks; /* one for each partition; NULL: none is known */
};

struct assign_question {
	const struct assign_member *members; /* in the order of the JoinGroup answer */
	size_t member_count;
	const struct assign_topic *topics; /* at least those subscribed to that exist, each once */
	size_t topic_count;
};

/*
 * Fills one assignment a member, in the order of the members, in memory of `a`. ERR_NO_MEMORY: the arena is full. ERR_TOO_BIG: more
 * partitions than an int32 counts.
 */
enum err assign(enum assignor how, const struct assign_question *q, struct arena *a,
		struct consumer_protocol_assignment *ret_assignments) MUST_CHECK;

/* --- what members say to each other ------------------------------------------------------------------------------ */

/*
 * An int16 version before the message. What is newer than we know is read as the newest that we know; what comes behind it is ignored.
 * Text stays in `metadata`, arrays are in `a`.
 */
enum err subscription_decode(struct bytes metadata, struct arena *a, struct consumer_protocol_subscription *ret)
	MUST_CHECK;
enum err assignment_decode(struct bytes bytes, struct arena *a, struct consumer_protocol_assignment *ret) MUST_CHECK;
/* In the newest version. */
enum err subscription_encode(const struct consumer_protocol_subscription *s, struct buf *out) MUST_CHECK;
enum err assignment_encode(const struct consumer_protocol_assignment *assignment, struct buf *out) MUST_CHECK;

/*
 * The user data of a member's next subscription under this assignor: what it was assigned last (NULL: nothing yet) in which generation
 * (-1: none). Null where the assignor has nothing to say.
 */
enum err assignor_user_data(enum assignor how, const struct consumer_protocol_assignment *last, int32_t generation,
			    struct arena *a, struct bytes *ret_user_data) MUST_CHECK;

/* What a member owned, by its own word. */
struct assign_owned {
	const struct consumer_protocol_subscription_topic_partition *partitions;
	int32_t count;
	bool has_generation;
	int32_t generation;
};

/*
 * As the assignor sees it: in the user data (sticky), in the fields, or the generation in the user data of older clients
 * (cooperative-sticky). What cannot be understood is nothing owned, in generation -1. False: the arena is full.
 */
bool assignor_owned(enum assignor how, const struct consumer_protocol_subscription *s, struct arena *a,
		    struct assign_owned *ret) MUST_CHECK;

#endif
