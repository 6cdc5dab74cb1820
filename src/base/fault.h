/*
 * fault: rare paths of the code by name, so that a simulation can make them common: a journal that is full early, a read that is cut
 * short. What is behind a switch is always right, only seldom taken; it is no planted bug (that is base/mutant.h).
 *
 *      code     if (wanted_anyway || shard_fault(s, FAULT_X))      a shard without switches: one comparison with NULL
 *      sim/     a node's switches decide by the seed, and count
 *
 * Nothing here is global: who wants rare paths gives his shards a struct fault_points.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>
#include <stddef.h>

/* X(name, what is made to happen) */
#define FAULT_LIST(X) \
	X(JOURNAL_FULL, "journal file full early") \
	X(JOURNAL_NO_ROOM, "no room in either journal file") \
	X(SEGMENT_ROLL, "segment rolled early") \
	X(FILE_BUDGET, "budget of open files used up") \
	X(TOO_MANY_FILES, "the system has no descriptor left") \
	X(READ_SHORT, "read cut short within a batch") \
	X(READ_COLD, "read by a fiber, though all is at hand") \
	X(READ_STAYS, "records of a small answer sent from their file") \
	X(SNAPSHOT_MISSING, "producer snapshot missing") \
	X(INDEX_MISSING, "index missing") \
	X(INDEX_PURGE, "indexes of closed segments dropped from memory") \
	X(MANIFEST_MISSING, "manifest entry of a clean stop missing") \
	X(BUDGET_USED_UP, "memory budget used up for a moment") \
	X(MAILBOX_LATE, "messages of other shards come a round later") \
	X(METASTORE_SNAPSHOT, "metastore snapshot early") \
	X(METASTORE_NO_SPACE, "metastore write taken back for want of space") \
	X(METASTORE_RETRY, "metastore write repeated, its answer lost") \
	X(EPOCHS_NEARLY_USED, "producer id of transactions begun near its last epoch")

enum fault {
#define X(name, text) FAULT_##name,
	FAULT_LIST(X)
#undef X
		FAULT_COUNT
};

struct fault_points {
	/* Whether the rare path is to be taken now. Must not suspend. */
	bool (*hit)(struct fault_points *p, enum fault f);
};

/* NULL: never. */
static inline bool fault_hit(struct fault_points *p, enum fault f)
{
	return __builtin_expect(p != NULL, 0) && p->hit(p, f);
}

#endif
