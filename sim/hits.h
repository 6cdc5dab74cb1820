/*
 * hits: how often each fault and each consequence of one happened. A campaign adds them up and fails when one is 0: a fault that never
 * strikes protects nobody.
 */
#ifndef SIM_HITS_H
#define SIM_HITS_H

#include <stdint.h>

/* X(name, text) */
#define HIT_LIST(X) \
	X(KILL, "process killed") \
	X(KILL_IN_WRITE, "killed in the middle of a write") \
	X(KILL_IN_SYNC, "killed in the middle of a sync") \
	X(POWER_LOSS, "power lost") \
	X(WRITE_DROPPED, "unsynced write dropped") \
	X(WRITE_KEPT, "unsynced write kept") \
	X(WRITE_TORN, "unsynced write torn by sector") \
	X(NAME_DROPPED, "unsynced name dropped") \
	X(NAME_KEPT, "unsynced name kept") \
	X(ZERO_TAIL, "size without data: a tail of zeros") \
	X(CLEAN_STOP, "clean stop") \
	X(EMPTY_DISK, "restart with an empty disk") \
	X(PAUSE, "process paused") \
	X(CLOCK_JUMP, "wall clock jumped") \
	X(READ_ERROR, "read failed") \
	X(WRITE_ERROR, "write failed") \
	X(SYNC_ERROR, "sync failed, writes stay pending") \
	X(SYNC_LOST, "sync failed, writes count as clean") \
	X(NO_SPACE, "disk full") \
	X(SLOW_DISK, "operation on a slow disk") \
	X(COLD_FILE, "part of an answer lay on the disk only") \
	X(HUNG_DISK, "operation on a hung disk") \
	X(BIT_FLIP, "bit flipped at rest") \
	X(CUT, "connection cut") \
	X(CUT_IN_FLIGHT, "connection cut with bytes on the way") \
	X(HALF_OPEN, "one side learns of a cut much later") \
	X(STALL, "connection stalled") \
	X(PARTITION, "two nodes cannot reach each other") \
	X(REFUSED, "connect refused") \
	X(UNREACHABLE, "connect without an answer") \
	X(PARTIAL_SEND, "send took a part") \
	X(SEND_AGAIN, "send took nothing") \
	X(FRAGMENT, "bytes arrived in fragments") \
	X(ACKS_1, "record acknowledged before its sync, to be held against kills") \
	X(ONE_FOLDER, "one of two data folders failed") \
	X(COMPACTED, "log with records compacted away, as readers saw") \
	X(TOMBSTONE_OVER, "log with a last tombstone compacted away") \
	X(PURGED, "log whose start moved by retention") \
	X(MOVED, "log moved to another folder of log.dirs") \
	X(MOVE_GONE_ON, "move of a log gone on with after a restart") \
	X(TXN_ENDED, "log with transactions that ended") \
	X(ABORTED_TOLD, "log whose reader was told of aborted transactions") \
	X(ONE_FULL, "write that found one of two data folders full") \
	X(CARE_COMPACTED, "compacted topic of a broker read, with records gone") \
	X(CARE_TOMBSTONE, "tombstone of such a topic whose time was over") \
	X(CACHED_LOST, "topic of write.caching that lost records with the power") \
	X(REPLACED, "topic deleted and made again while it was written to") \
	X(OLD_ID, "Produce to the id of a topic that was replaced, refused") \
	X(RECORDS_DELETED, "DeleteRecords that moved a start") \
	X(MOVED_ALIVE, "partition of a broker in its new folder") \
	X(TXN_COMMITTED, "transaction committed") \
	X(TXN_ABORTED, "transaction aborted by who had begun it") \
	X(TXN_DROPPED, "reader told of aborted transactions") \
	X(TXN_STALLED, "worker that stalled in a transaction") \
	X(TXN_FENCED, "what a zombie of a transaction sent, refused") \
	X(TXN_LATE, "batch or end that came after its transaction, refused") \
	X(TXN_WRAPPED, "producer id changed since its epochs were used up") \
	X(TRIMMED, "a log's start moved on") \
	X(OUT_OF_RANGE, "reader found its place deleted") \
	X(COORDINATOR_LOADS, "coordinator found loading") \
	X(PIPELINED, "Produces that waited behind the creation of their topic") \
	X(HANDED_OVER, "partition handed from one member of a group to another") \
	X(STALLED_MEMBER, "member of a group that slept on") \
	X(DAWDLING_MEMBER, "member of a group that beat and did not join") \
	X(ZOMBIE, "commit in the name of a generation or member that may be over") \
	X(FENCED, "commit of a generation that is over, refused")

enum hit {
#define X(name, text) HIT_##name,
	HIT_LIST(X)
#undef X
		HIT_COUNT
};

const char *hit_text(enum hit h);

#endif
