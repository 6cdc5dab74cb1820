/*
 * verdict: what an answer of a group's coordinator, or none, means for who asked. Pure: Kafka's codes and ours in, what to do next out.
 * The tables are Java's (ConsumerCoordinator, AbstractCoordinator, CommitRequestManager, AbstractHeartbeatRequestManager of 4.3).
 */
#ifndef CLIENT_VERDICT_H
#define CLIENT_VERDICT_H

#include "base/err.h"

enum verdict {
	VERDICT_DONE,
	VERDICT_AGAIN,  /* the same after the backoff */
	VERDICT_FIND,   /* another broker coordinates, or this one cannot be reached: find it, then the same */
	VERDICT_REJOIN, /* the group rebalances: join as the member that one is */
	VERDICT_LOST,   /* one is no member any more, and what one owned is lost: join anew */
	VERDICT_NAMED,  /* the answer has the id to join with (KIP-394) */
	VERDICT_STALE,  /* the member's epoch has moved on: again once the new one is known */
	VERDICT_TELL,   /* the program is told, and it is tried again */
	VERDICT_FATAL,  /* repeating does not mend it */
};

enum group_question {
	ASK_FIND,    /* FindCoordinator */
	ASK_JOIN,    /* JoinGroup */
	ASK_SYNC,    /* SyncGroup */
	ASK_CLASSIC, /* Heartbeat */
	ASK_MODERN,  /* ConsumerGroupHeartbeat */
	ASK_COMMIT,  /* OffsetCommit, of one partition */
	ASK_OFFSETS, /* OffsetFetch, of the whole answer or of one partition */
};

enum verdict verdict_of(enum group_question q, enum err e);
/* After VERDICT_LOST: the coordinator still knows the member's id, only the generation is not its own. */
bool verdict_keeps_id(enum err e);

#endif
