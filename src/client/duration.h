/* duration: ISO 8601 durations as java.time.Duration reads them: "P2DT3H4M5.5S". Pure. */
#ifndef CLIENT_DURATION_H
#define CLIENT_DURATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/must.h"

/* In ms, cut off below. False: no duration, a negative one, or one that int64 does not hold. Letters may be small; weeks, months and years are none. */
bool duration_parse(const char *text, int64_t *ret_ms) MUST_CHECK;

#endif
