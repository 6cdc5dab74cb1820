/*
 * campaign: many histories added up: how many, how fast, what failed, what struck how often.
 *
 * Pure: who runs them (one after the other, or in processes) is main.c's affair.
 */
#ifndef SIM_CAMPAIGN_H
#define SIM_CAMPAIGN_H

#include "sim/history.h"

#define CAMPAIGN_FAILURES_MAX 100

struct campaign_failure {
	enum world_kind world;
	uint64_t seed;
	char text[500];
};

struct campaign {
	uint64_t histories[WORLD_COUNT];
	uint64_t events;
	uint64_t acked;
	uint64_t read;
	uint64_t faults;
	int64_t simulated_us;
	uint64_t hits[HIT_COUNT];
	uint64_t rare[FAULT_COUNT];
	uint64_t failure_count;
	struct campaign_failure failures[CAMPAIGN_FAILURES_MAX];
};

void campaign_add(struct campaign *c, const struct history *h);
/* Another's sums into this one's. */
void campaign_fail(struct campaign *c, enum world_kind world, uint64_t seed, const char *text);
/*
 * Prints the totals line by line. True when all is well: no failure, and (with `demand_hits`) nothing that never struck.
 */
bool campaign_print(const struct campaign *c, bool demand_hits, void (*line)(const char *text));

#endif
