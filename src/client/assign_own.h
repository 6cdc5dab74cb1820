/*
 * assign_own: what the assignors share. A question becomes a plan of numbers: members and topics are numbered, and the partitions of all
 * topics stand behind each other.
 *
 *      topic        0: "a"         1: "b"      2: "c"           by name, in Java's order
 *      partition    0  1  2        3  4        5  6  7  8
 *                   first=0        first=3     first=5
 *
 * Each partition is in the list of one member at most; a member's list keeps the order in which it was given them, as Java's does.
 */
#ifndef CLIENT_ASSIGN_OWN_H
#define CLIENT_ASSIGN_OWN_H

#include "client/assign.h"

#define NOBODY UINT32_MAX

struct plan_topic {
	struct bytes name;
	uint32_t first;
	uint32_t count;                   /* more than 0 */
	const struct assign_racks *racks; /* NULL: none known */
};

struct plan_member {
	const struct assign_member *of;
	uint32_t *topics; /* known ones, in the order of the subscription, as often as they stand there */
	uint32_t topic_count;
	uint32_t rank; /* place among the ids, in Java's order */
	uint32_t rack; /* a number; 0: none */
	/* Its list, of partitions. */
	uint32_t head;
	uint32_t tail;
	uint32_t count;
};

/* Racks as numbers from 1 on, in the order of their names; those of partition p are numbers[first[p]] .. numbers[first[p + 1] - 1], each once. */
struct plan_racks {
	uint32_t *first; /* NULL: no member has a rack, and nothing else is known */
	uint32_t *numbers;
	uint32_t count; /* of racks */
};

struct plan {
	enum assignor how;
	struct arena *arena;
	struct plan_member *members; /* in the question's order */
	uint32_t member_count;
	uint32_t *member_order; /* as a HashMap of the ids is walked */
	struct plan_topic *topics;
	uint32_t topic_count;
	uint32_t *topic_order; /* as a HashMap of the names is walked */
	uint32_t partition_count;
	uint32_t *topic_of; /* a partition's topic */
	uint32_t *owner;    /* a partition's member, or NOBODY */
	uint32_t *next;     /* in its owner's list */
	uint32_t *previous;
	struct plan_racks racks;
};

/* False in all of these: the arena is full. */
bool plan_range(struct plan *p) MUST_CHECK;
bool plan_roundrobin(struct plan *p) MUST_CHECK;
bool plan_sticky(struct plan *p) MUST_CHECK;

/* At the end of the member's list. Nobody may own it. */
void plan_give(struct plan *p, uint32_t member, uint32_t partition);
void plan_take(struct plan *p, uint32_t partition);

/* The topic of this name, or NOBODY. */
uint32_t plan_find_topic(const struct plan *p, struct bytes name);

/* A replica of the partition is in this rack. */
bool plan_rack_has(const struct plan *p, uint32_t partition, uint32_t rack);
/*
 * Whether racks make a difference for these partitions [from, to) and members: some member is where a replica is, and not all partitions are
 * everywhere. `seen` is the caller's, for racks.count + 1 numbers, all 0; it is left so.
 */
bool plan_racks_matter(const struct plan *p, const uint32_t *members, uint32_t member_count, uint32_t from, uint32_t to,
		       uint8_t *seen);

/* The members in the order of MemberInfo: static ones by their instance first, then by id. NULL: the arena is full. */
uint32_t *plan_members_sorted(const struct plan *p) MUST_CHECK;

/*
 * The order in which a java.util.HashMap is walked that was filled with keys of these hashes one after the other: by bucket, in a bucket by age.
 * (Java makes trees of buckets with more than seven keys; their order is not followed.)
 */
struct java_key {
	int32_t hash;
	uint32_t value;
	uint32_t bucket; /* filled in */
	uint32_t age;
};
void java_map_order(struct java_key *keys, uint32_t count);
/* The bucket of a key in a table of so many (a power of two), and how many a HashMap of so many keys has. */
uint32_t java_bucket(int32_t hash, uint32_t buckets);
uint32_t java_buckets(uint32_t count);

#endif
