/* move_own: what copying (move.c) and the change of folders (move_swap.c) share; for these sources only. */
#ifndef STORAGE_MOVE_OWN_H
#define STORAGE_MOVE_OWN_H

#include "storage/move.h"
#include "storage/pace.h"
#include "storage/state.h"

struct move {
	struct list_node node; /* in the store's line */
	struct log *log;
	struct store_folder *wanted; /* where the log shall lie, as was said last */
	struct store_folder *to;     /* where it is copied to; NULL: not begun */
	char name[LOG_NAME_SIZE];    /* of the copy's folder; empty: to be made */
	bool stopped;                /* by the log's end: what is copied stays */
	bool dropped;                /* by its deletion: what is copied goes */
	uint32_t cuts;               /* the log's, and */
	uint32_t swaps;              /* its, when the copy began: after another one all is compared again */
	int64_t base;                /* all segments before the one that begins here, or behind, are copied */
	int64_t position;            /* of it, so much is */
	int64_t old_size;            /* of its copy, when it was opened: what lies below is compared */
	int64_t offset;              /* all records below it are copied */
	int64_t size_bytes;
	struct file *file; /* the copy of the segment at `base`; NULL: not opened */
	uint8_t *chunk;
	uint8_t *there; /* what the copy has, to be compared */
	size_t capacity;
	struct pace pace;
};

/* Somebody wants the move to end, or it cannot go on. */
bool move_must_stop(const struct move *m);
/* Gives `e`, the outcome of a write or sync over there: a failure is that folder's. */
enum err move_there(struct move *m, enum err e) MUST_CHECK;
void move_file_path(const struct move *m, const char *name, char path[static LOG_PATH_SIZE]);
void move_segment_path(const struct move *m, int64_t base_offset, enum segment_file file,
		       char path[static LOG_PATH_SIZE]);
/* All that is written of the log. OK, ERR_CANCELLED: move_must_stop; ERR_CORRUPT: the log is damaged; ERR_NO_SPACE, ERR_IO ... */
enum err move_copy_await(struct fiber *self, struct move *m) MUST_CHECK;
/* The copy of the segment at `base` ends where it is now, durably. */
enum err move_finish_file_await(struct fiber *self, struct move *m) MUST_CHECK;
/* The files beside a segment, as they are on disk, durably. */
enum err move_copy_sides_await(struct fiber *self, struct move *m, struct segment *s) MUST_CHECK;

/*
 * move_swap.c: holds the log, copies the rest, and lets it go on over there. OK: it lies there. ERR_AGAIN: not yet, to be tried again; else it lies
 * where it was, or its folder is offline.
 */
enum err move_swap_await(struct fiber *self, struct move *m) MUST_CHECK;

#endif
