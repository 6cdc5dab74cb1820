/*
 * round: what the committer's two fibers share: a round on its way from the appends to the disk.
 *
 *      free ---gather, write (commit.c, commit_journal.c)---> written ---sync (commit_sync.c)---> free
 *
 * Invariants
 * 1. Rounds are synced, and end, in the order in which they were written; a journal's file is synced once for all rounds of it that wait.
 * 2. A round whose sync failed takes those behind it along: the folder is offline.
 * 3. log.promised: what the rounds on their way make durable of a log, as long as none fails.
 * For the sources of the committer only.
 */
#ifndef STORAGE_ROUND_H
#define STORAGE_ROUND_H

#include "storage/state.h"

/* Written and not yet synced, at most: with more, each would hold fewer records. */
#define ROUNDS_MAX 4

struct round_log {
	struct log *log;
	struct segment *segment;
	struct cached_file *file;
	size_t part_at;
	size_t part_count;
	size_t bytes;
	int64_t position;
	int64_t base_offset;
	int64_t end_offset;   /* the log is written up to here after this round */
	uint32_t cuts;        /* the log's, when the round began */
	uint32_t truncations; /* and of them those of what was written */
	uint64_t generation;  /* of the journal when end_offset was noted */
	bool sync;            /* somebody wants it durable now */
	enum err error;
	struct file_op op;
	struct fan *fan;
};

struct round {
	struct list_node node; /* free, or written */
	struct store_folder *folder;
	struct round_log *logs;
	size_t count;
	size_t capacity;
	struct bytes *parts; /* of all logs, one behind the other */
	size_t part_count;
	size_t part_capacity;
	struct bytes *journal_parts;
	size_t journal_part_capacity;
	struct list forgets; /* in its journal record */
	struct buf heads;
	int64_t began_us;
	bool journaled; /* what is to be durable of it is so when the journal's file is synced, */
	bool segments;  /* or not all of it: segments have to be synced */
	int journal_file;
	uint64_t number; /* of the journal's rounds */
	uint64_t live;   /* as it says in the journal */
};

struct rounds {
	struct round all[ROUNDS_MAX];
	struct list free;
	struct list written;  /* the oldest first */
	struct event to_sync; /* something was written, or the writer has ended */
	bool ending;
};

/* It was written up to there, and still is: a cut that waited for no round of the log's may have met one that only wanted to sync it. */
static inline bool round_log_holds(const struct round_log *rl)
{
	return rl->sync && rl->truncations == rl->log->truncations;
}

static inline void round_op_done(struct file_op *op)
{
	struct round_log *rl = container_of(op, struct round_log, op);

	rl->error = op->error;
	fan_done(rl->fan);
}

/* Of logs whose files a step of a round holds open together. */
static inline size_t round_step(const struct store *s)
{
	size_t half = s->files.limit / 2;

	return half > PIN_CHUNK ? PIN_CHUNK : half > 0 ? half : 1;
}

static inline void log_tell_owner(struct log *l)
{
	if (l->owner && l->owner->progressed)
		l->owner->progressed(l->owner);
}

/* commit_journal.c: one write of all that is to be remembered. OK, ERR_AGAIN when it does not fit or is not worth it, or the failure. */
enum err round_write_journal_await(struct fiber *self, struct round *r) MUST_CHECK;
/* Says on disk which generations are still needed: the other file is only then free. For this the last block of a file is kept. */
enum err round_note_journal_await(struct fiber *self, struct round *r) MUST_CHECK;

/* commit_sync.c: the fiber that syncs what was written. Ends when rounds.ending is set and nothing is left. */
void round_sync_main(struct fiber *self, void *argument);
void forgets_over(struct list *forgets, enum err error);

#endif
