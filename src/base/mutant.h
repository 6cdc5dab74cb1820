/*
 * mutant: faults planted on purpose, one a build, to show that the simulator finds them. A normal build has none of them:
 * MUTANT(x) is then the constant false. `./dev sim --mutants` builds each with -DMOLDAU_MUTANT=<number>.
 */
#ifndef BASE_MUTANT_H
#define BASE_MUTANT_H

/* X(name, number, what is broken) */
#define MUTANT_LIST(X) \
	X(ACK_BEFORE_SYNC, 1, "answers acks=all before the sync") \
	X(KEEP_TORN_BATCH, 2, "recovery keeps a torn batch") \
	X(REUSE_OFFSET_AFTER_TRUNCATION, 3, "an offset is given out again after the log was cut") \
	X(LOST_WAITER, 4, "a waiter on the high watermark is forgotten") \
	X(FETCH_BEYOND_SYNCED, 5, "a fetch reads what is not synced") \
	X(STALE_INDEX_ENTRY, 6, "an index entry points past its batch") \
	X(SKIP_SEQUENCE_CHECK, 7, "a producer's sequence is not checked") \
	X(REPLY_TO_WRONG_REQUEST, 8, "an answer carries another request's correlation id") \
	X(APPEND_OVERTAKES, 9, "a second append overtakes the first on a connection") \
	X(CUT_BELOW_ACKNOWLEDGED, 10, "damage below the acknowledged bound is cut as a torn tail") \
	X(TOMBSTONE_DROPPED_EARLY, 11, "compaction drops a tombstone before its time") \
	X(COMPACTION_LOSES_LAST, 12, "compaction loses the last record of a batch that it rewrites") \
	X(PURGE_UNCOMMITTED, 13, "retention takes away what is not committed") \
	X(START_NOT_DURABLE, 14, "a start is told that is not on disk") \
	X(SWAP_BEFORE_BOUNDS, 15, "a cleaned segment takes its place before the bounds are written") \
	X(STABLE_OFF_BY_ONE, 16, "the last stable offset is one too far") \
	X(MARKER_LOST_ON_RECOVERY, 17, "recovery passes over the ends of transactions") \
	X(COORDINATOR_ANSWERS_EARLY, 30, "a coordinator answers before what it decided is committed") \
	X(COORDINATOR_KEEPS_STATE, 31, "a coordinator goes on with a state that could not be stored") \
	X(FENCED_GENERATION_COMMITS, 40, "a member of a generation that is over may commit") \
	X(EXPIRED_MEMBER_COMMITS, 41, "who is no member any more may commit") \
	X(COMMIT_ONE_LOW, 42, "an offset is committed one too low") \
	X(ACTIVE_OFFSETS_EXPIRE, 43, "offsets expire that an active group reads") \
	X(SESSION_ENDS_EARLY, 44, "a member's session ends before its time") \
	X(REBALANCE_WAITS_FOREVER, 45, "a rebalance waits for members that do not come back") \
	X(OFFSETS_OUTSIDE, 46, "offsets of a transaction count before it is committed") \
	X(SKIP_TXN_FENCING, 50, "who adds partitions to a transaction may have an older epoch") \
	X(END_HITS_NEXT, 51, "the end of a transaction ends the producer's next one") \
	X(GIVE_BEFORE_REVOKED, 60, "a partition is given to a member before the one that has it gave it up") \
	X(SKIP_MEMBER_EPOCH, 61, "a member's epoch is not checked")

enum mutant {
	MUTANT_NONE = 0,
#define X(name, number, text) MUTANT_##name = (number),
	MUTANT_LIST(X)
#undef X
};

#ifndef MOLDAU_MUTANT
#define MOLDAU_MUTANT 0
#endif

#define MUTANT(name) (MOLDAU_MUTANT == MUTANT_##name)

#endif
