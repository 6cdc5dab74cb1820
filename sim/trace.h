/*
 * trace: what happened, in order, as readable lines and as one running hash.
 *
 *      12.034518  broker-1.2  sync       file 7, 3 writes made durable
 *      seconds    who         what       numbers
 *
 * The hash runs over every event whether lines are printed or not (over its numbers, not its formatted text, so that a silent run
 * is fast). Equal seeds must give equal hashes; the first differing line of two printed traces shows where they part.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct trace {
	uint64_t hash;
	uint64_t lines;
	const int64_t *now_us; /* the scheduler's clock */
	/* Gets each line without its newline; NULL: silent. */
	void (*write)(struct trace *t, const char *line);
	void *context;
};

void trace_init(struct trace *t, const int64_t *now_us);

/* `format` takes up to three long long. `who` and `what` are short names. */
void trace_event(struct trace *t, const char *who, const char *what, const char *format, int64_t a, int64_t b,
		 int64_t c);
/* One with text that somebody else wrote: a log line, a path. */
void trace_text(struct trace *t, const char *who, const char *what, const char *text);
/* Bytes that belong to the history but to no line. */
void trace_mix(struct trace *t, struct bytes data);

#endif
