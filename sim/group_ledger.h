/*
 * group_ledger: what members of one consumer group were told, and whether that can be true. It knows nothing of the broker.
 *
 *      owners     a partition has one owner at most, as the owners see it: each from the first heartbeat of its generation until it gives up, or until
 *                 its session is over, counted from when it sent what was last answered
 *      commits    what is fetched is what was committed last: a register of each partition with commits that overlap, whose answer never came,
 *                 or whose generation was over. Nothing that was acknowledged is lost; only a commit that says so goes back
 *      fencing    once a member of a later generation has its assignment, no commit of an earlier one is taken any more. Where members have
 *                 epochs of their own (`by_partition`): of a partition, once another has taken it in a later epoch
 *      resuming   nobody begins beyond what was processed: nothing is skipped
 *
 * A function returns NULL, or what is wrong. Times are those of the simulation.
 * Lifetime: embedded; group_ledger_init .. group_ledger_fini. Belongs to the simulator's memory.
 */
#ifndef SIM_GROUP_LEDGER_H
#define SIM_GROUP_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GROUP_PARTITIONS 6
#define GROUP_SLOTS 12 /* members at the same time, and what is left of those before */

enum commit_outcome {
	COMMIT_OPEN,    /* no answer yet, or never: it may have happened, or may yet */
	COMMIT_TAKEN,   /* acknowledged */
	COMMIT_REFUSED, /* it did not happen and never will */
};

struct group_commit {
	int64_t value;
	int32_t generation; /* -1: of no member */
	int64_t sent_us;
	int64_t end_us; /* it happened before, if it happened; INT64_MAX: not known */
	enum commit_outcome outcome;
	bool fenced; /* a later generation was at work when it was sent */
};

struct group_partition {
	struct group_commit *commits; /* by when they were sent */
	size_t count;
	size_t capacity;
	int64_t processed;  /* up to here, without a gap */
	int32_t generation; /* by_partition: in which it was taken last */
};

struct group_slot {
	int32_t generation;
	uint32_t owned; /* bits of partitions */
	int64_t valid_until_us;
};

struct group_ledger {
	struct group_partition partitions[GROUP_PARTITIONS];
	struct group_slot slots[GROUP_SLOTS];
	int32_t partition_count;
	bool by_partition;
	bool restarts; /* by_partition: a group without members may begin anew, with offsets (it changes its protocol) */
	int32_t generation; /* the latest that gave a member its assignment */
	uint64_t taken;     /* commits */
	uint64_t refused;
	uint64_t resumed;
	uint64_t handed_over; /* partitions, from one member to another */
	uint64_t fenced;      /* commits of generations that were over, refused */
	int last_owner[GROUP_PARTITIONS];
};

void group_ledger_init(struct group_ledger *g, int32_t partition_count);
void group_ledger_fini(struct group_ledger *g);

/* Its sync was answered: no commit of an earlier generation may be taken from now on. Not by_partition. */
void group_ledger_generation(struct group_ledger *g, int32_t generation, int64_t now_us);
/* It owns these from now on; what it owned before and is not among them it has given up. */
const char *group_ledger_owns(struct group_ledger *g, unsigned slot, int32_t generation, uint32_t partitions,
			      int64_t now_us, int64_t valid_until_us);
void group_ledger_valid(struct group_ledger *g, unsigned slot, int64_t valid_until_us);
/* All others it gives up. */
void group_ledger_keeps(struct group_ledger *g, unsigned slot, uint32_t partitions);

/* A commit is sent; returns its number for the answer. */
size_t group_ledger_commit(struct group_ledger *g, int32_t partition, int32_t generation, int64_t value,
			   int64_t now_us);
const char *group_ledger_committed(struct group_ledger *g, int32_t partition, size_t number,
				   enum commit_outcome outcome, int64_t now_us);
/* A fetch that was sent then is answered with this, -1 for none. */
const char *group_ledger_fetched(struct group_ledger *g, int32_t partition, int64_t value, int64_t sent_us,
				 int64_t now_us);
/* A member goes on at `offset`, which was fetched; `start` is where the log begins. */
const char *group_ledger_resumes(struct group_ledger *g, int32_t partition, int64_t offset, int64_t start);
void group_ledger_processed(struct group_ledger *g, int32_t partition, int64_t up_to);

/* Bits of the partitions that somebody owns now. */
uint32_t group_ledger_owned(const struct group_ledger *g, int64_t now_us);

#endif
