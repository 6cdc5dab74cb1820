/* pace: who reads and writes in the background does so many bytes a second. Pure. */
#ifndef STORAGE_PACE_H
#define STORAGE_PACE_H

#include <stddef.h>
#include <stdint.h>

#define PACE_BURST_US 100000 /* of rest that was not needed counts later */

struct pace {
	int64_t due_us; /* the next bytes are due then */
};

/* So many bytes were moved; `rate` of 0 or less: no limit. Gives when the next ones are due: no later than now is at once. */
static inline int64_t pace_note(struct pace *p, int64_t now_us, size_t bytes, double rate)
{
	double us;

	if (!(rate > 0))
		return p->due_us = now_us;
	us = (double)bytes / rate * 1e6;
	if (p->due_us < now_us - PACE_BURST_US)
		p->due_us = now_us - PACE_BURST_US;
	p->due_us += us < 1e15 ? (int64_t)us : (int64_t)1e15;
	return p->due_us;
}

#endif
