/*
 * stall: decides what counts as a stall of a shard, who is to blame, and when a line is due. Pure.
 *
 *      callback over        callback over                        callback over
 *      |--- 0.2 ms ---------|------------ 31 ms -----------------|          mark_us is the last of them
 *                                         a stall of what ended there
 *
 * Invariants: every stall is counted; a line is asked for from STALL_LINE_US on, at most one a second; blame is kept by what ran (a fiber's name, or a function),
 * and beyond STALL_CULPRITS - 1 of them in one entry for all others.
 * Not here: clocks, and the line (shard.c).
 */
#ifndef RUNTIME_STALL_H
#define RUNTIME_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STALL_US 10000
#define STALL_LINE_US 100000
#define STALL_LINE_EVERY_US 1000000
#define STALL_CULPRITS 24

struct stall_culprit {
	const char *kind; /* "fiber", "message", ... */
	const char *name; /* static text, or NULL: then the function tells; both NULL: all others */
	void (*function)(void);
	uint64_t count;
	int64_t total_us;
};

struct stall_watch {
	int64_t mark_us; /* when the last callback ended, by the coarse clock */
	int64_t next_line_us;
	uint64_t unsaid; /* since the last line */
	uint64_t count;
	int64_t total_us;
	int64_t longest_us;
	struct stall_culprit culprits[STALL_CULPRITS];
	size_t culprit_count;
};

enum stall_verdict { STALL_NONE, STALL_COUNTED, STALL_SAY };

/*
 * A callback is over now: moves the mark. STALL_SAY: log it, `ret_took_us` long, with `ret_unsaid` such before it that were not
 * logged. `kind` and `name` are static text.
 */
enum stall_verdict stall_note(struct stall_watch *w, int64_t now_us, const char *kind, const char *name,
			      void (*function)(void), int64_t *ret_took_us, uint64_t *ret_unsaid);

#endif
