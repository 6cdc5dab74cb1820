/*
 * history: one run of one world from one seed, and what came of it. The worlds differ in what lives in them:
 *
 *      log       storage alone: logs, appends, reads, cuts, crashes, against a model (log_world.c)
 *      broker    a broker and its clients (world.c)
 */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "sim/sim.h"

enum world_kind { WORLD_LOG, WORLD_BROKER, WORLD_COUNT };

struct history {
	/* In. */
	enum world_kind world;
	uint64_t seed;
	void (*write)(struct trace *t, const char *line); /* NULL: silent */
	void *write_context;
	/* Out. */
	uint64_t hash;
	uint64_t events;
	uint64_t acked; /* records acknowledged */
	uint64_t read;  /* records read and checked */
	uint64_t faults;
	unsigned clients;
	int64_t duration_us;
	uint64_t hits[HIT_COUNT];
	bool failed;
	char failure[500];
};

void history_run(struct history *h);
const char *world_name(enum world_kind w);

/* Each world's own run, inside a simulation that history_run made. */
void log_world_run(struct sim *s, struct history *h);
void broker_world_run(struct sim *s, struct history *h);

#endif
