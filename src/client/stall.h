/*
 * stall: whether what a consumer is to read moves, and what is done when it does not. Pure.
 *
 *      moves --nothing for `bound`--> CHECK: is there something behind the position? --no--> begins anew
 *                                        | yes, or nobody can say
 *                                        v
 *                                      MEND --nothing for `bound`--> TELL, once --nothing for `bound`--> MEND, again and again
 *
 * Lifetime: plain values, zeroed is one that has just moved at time 0.
 */
#ifndef CLIENT_STALL_H
#define CLIENT_STALL_H

#include <stdbool.h>
#include <stdint.h>

struct stall {
	int64_t since_us; /* nothing moved, and there is something to read, as far as is known */
	int64_t mended_us;
	bool mended;
	bool told;
};

enum stall_step { STALL_NONE, STALL_CHECK, STALL_MEND, STALL_TELL };

/* It moved, or nothing is there to be read, or nobody wants more now. */
void stall_moved(struct stall *s, int64_t now_us);
/* What is to be done now; nothing of it counts as done. */
enum stall_step stall_step(const struct stall *s, int64_t now_us, int64_t bound_us);
/* There is something, and it was mended: everything is asked for anew. */
void stall_mended(struct stall *s, int64_t now_us);
void stall_told(struct stall *s, int64_t now_us);

#endif
