/*
 * saturate: sums of times and sizes that operators may set to the largest number there is, meaning "never" and "no bound". Pure.
 */
#ifndef BASE_SATURATE_H
#define BASE_SATURATE_H

#include <stdint.h>

static inline int64_t saturating_add(int64_t a, int64_t b)
{
	int64_t sum;

	if (!__builtin_add_overflow(a, b, &sum))
		return sum;
	return a > 0 ? INT64_MAX : INT64_MIN;
}

/* When `ms` from `now_us` on are over, in microseconds; INT64_MAX: never. */
static inline int64_t us_after_ms(int64_t now_us, int64_t ms)
{
	int64_t us;

	if (__builtin_mul_overflow(ms, (int64_t)1000, &us))
		us = ms > 0 ? INT64_MAX : INT64_MIN;
	return saturating_add(now_us, us);
}

#endif
