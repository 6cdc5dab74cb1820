/*
 * said: how often one kind of line may go to the log, so that a storm of bad clients costs neither disk nor sight. Pure.
 *
 *      second:   | said said ... said (as many as `max`) kept kept |  said: "and 4711 more" ...
 *
 * Invariant: of what happened in a second at most `max` are said, and what was kept is told as a number with the next that is, or by said_rest.
 * Embedded, zeroed; belongs to whoever logs.
 */
#ifndef BASE_SAID_H
#define BASE_SAID_H

#include <stdbool.h>
#include <stdint.h>

struct said {
	int64_t second_began_us;
	uint32_t count; /* said in this second */
	uint64_t kept;  /* and not said since the last that was */
};

#define SAID_SECOND_US 1000000

/* True: say it, and that `*ret_kept` more of its kind were not (0: none). */
bool said_may(struct said *s, int64_t now_us, uint32_t max, uint64_t *ret_kept);
/* How many are still untold, once a second is over; 0 before. They count as told then. */
uint64_t said_rest(struct said *s, int64_t now_us);

#endif
