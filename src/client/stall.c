/* stall: see the header. */
#include "client/stall.h"

void stall_moved(struct stall *s, int64_t now_us)
{
	*s = (struct stall){.since_us = now_us};
}

enum stall_step stall_step(const struct stall *s, int64_t now_us, int64_t bound_us)
{
	if (now_us - (s->mended ? s->mended_us : s->since_us) < bound_us)
		return STALL_NONE;
	if (!s->mended)
		return STALL_CHECK;
	return s->told ? STALL_MEND : STALL_TELL;
}

void stall_mended(struct stall *s, int64_t now_us)
{
	s->mended = true;
	s->mended_us = now_us;
}

void stall_told(struct stall *s, int64_t now_us)
{
	s->told = true;
	stall_mended(s, now_us);
}
