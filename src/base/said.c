/* said: see the header. */
#include "base/said.h"

/* The first second begins with the first line, whatever the clock's zero is. */
static bool second_over(const struct said *s, int64_t now_us)
{
	return s->count == 0 || now_us - s->second_began_us >= SAID_SECOND_US;
}

bool said_may(struct said *s, int64_t now_us, uint32_t max, uint64_t *ret_kept)
{
	if (second_over(s, now_us)) {
		s->second_began_us = now_us;
		s->count = 0;
	}
	if (s->count >= max) {
		s->kept++;
		return false;
	}
	s->count++;
	*ret_kept = s->kept;
	s->kept = 0;
	return true;
}

uint64_t said_rest(struct said *s, int64_t now_us)
{
	uint64_t kept = s->kept;

	if (!second_over(s, now_us))
		return 0;
	s->kept = 0;
	return kept;
}
