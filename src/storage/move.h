/*
 * move: a log goes to another folder of log.dirs while it is used (AlterReplicaLogDirs).
 *
 *      wanted -> copied: its segments into TOPIC-PARTITION.ID-future over there, while appends and reads go on here
 *             -> held for a moment: nothing is written, the rest is copied, all is synced
 *             -> over there it gets the plain name, here it becomes *-delete; what was appended meanwhile is written over there
 *
 * Invariants
 * 1. Until the copy has the plain name, durably, the log is the one here; from then on the one over there. A process that dies between that and the
 *    end of the old folder leaves both, and `moldau-moves-SHARD` beside the old one, which says so (folder_moves.c).
 * 2. What was begun and not finished is gone on with when the log is opened again, also by another process: what the copy has is compared, not
 *    written again.
 * 3. Appends always get their place; while the log is held only their writing waits, and reads do.
 * Lifetime: one a log at most, from log_move until it lies where it was wanted last, or cannot. On the log's shard.
 */
#ifndef STORAGE_MOVE_H
#define STORAGE_MOVE_H

#include "storage/log.h"

/*
 * The log shall lie in that folder of log.dirs: begins a move in the background, gives up one to another folder, and with it what it copied. OK
 * also where it lies there already. ERR_OFFLINE: its folder, that one or any other of log.dirs; ERR_CORRUPT; ERR_CANCELLED: it is being
 * closed or deleted.
 */
enum err log_move(struct log *l, size_t folder) MUST_CHECK;

/* A copy under way. */
struct log_future {
	size_t folder;
	int64_t size_bytes;
	int64_t end_offset; /* of what is copied */
};

/* False: there is none. */
bool log_future(const struct log *l, struct log_future *ret_future);

#endif
