/*
 * assigned: a set of partitions, each with the epoch from which on its member has it; in order of topic ids, then of numbers. What a member has, what
 * it shall give up, and what it shall have (there the epochs are 0).
 *
 * Values: copied by assigned_copy, moved by assigned_move. Everything is a walk over sorted arrays: a group of thousands of partitions costs no tree.
 */
#ifndef GROUP_ASSIGNED_H
#define GROUP_ASSIGNED_H

#include "base/bytes.h"
#include "base/uuid.h"

struct assigned_partition {
	struct uuid topic;
	int32_t partition;
	int32_t epoch;
};

struct assigned {
	struct assigned_partition *items;
	size_t count;
	size_t capacity;
};

void assigned_fini(struct assigned *a);
/* Empty, keeps its memory. */
static inline void assigned_clear(struct assigned *a)
{
	a->count = 0;
}
/* At the end: larger than all there, or to be sorted before anybody looks. */
void assigned_push(struct assigned *a, struct uuid topic, int32_t partition, int32_t epoch);
/* Brings what was pushed in any order into order; of equal ones the oldest stays. */
void assigned_sort(struct assigned *a);
void assigned_copy(struct assigned *to, const struct assigned *from);
/* `to` takes what `from` has, which is empty then. */
void assigned_move(struct assigned *to, struct assigned *from);
/* With their epochs. */
bool assigned_equal(const struct assigned *a, const struct assigned *b);
/* Also when their epochs differ. */
bool assigned_same_partitions(const struct assigned *a, const struct assigned *b);
/* NULL when it is not there. */
const struct assigned_partition *assigned_find(const struct assigned *a, struct uuid topic, int32_t partition);
/* Behind the last one of the topic at `from`. */
size_t assigned_topic_end(const struct assigned *a, size_t from);
/* How many topics, and how long the one with most partitions is. */
size_t assigned_topic_count(const struct assigned *a);

static inline int uuid_compare(struct uuid a, struct uuid b)
{
	return memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

/* --- owners ---------------------------------------------------------------------------------------------------------------- */

/*
 * Which partitions of a group somebody has, and at which member epoch: what must be free before it is given to another. A hash table of its own, with
 * places side by side: it is asked for each partition that a member waits for.
 */
struct owners {
	struct assigned_partition *slots; /* epoch OWNERS_FREE: empty */
	size_t slot_count;                /* a power of two, or 0 */
	size_t count;
};

#define OWNERS_FREE INT32_MIN

void owners_fini(struct owners *o);
/* Whoever had it before. */
void owners_set(struct owners *o, struct uuid topic, int32_t partition, int32_t epoch);
/* When it is held at that epoch; else somebody else has it by now, and keeps it. */
void owners_remove(struct owners *o, struct uuid topic, int32_t partition, int32_t epoch);
bool owners_has(const struct owners *o, struct uuid topic, int32_t partition);

#endif
