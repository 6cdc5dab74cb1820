/*
 * sim: what one simulated history shares: time and choices (scheduler), the nodes, the network between them, the counts of what
 * happened, and the first thing that was wrong.
 *
 *      scheduler ---- events ----> node (a process: struct runtime with M shards, a disk, a wall clock)
 *                                    |  backend (sim/node_*.c): files, sockets, timers, helper work
 *                                  network: connections between nodes
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/fault.h"
#include "base/list.h"
#include "sim/hits.h"
#include "sim/scheduler.h"

struct network;

struct sim {
	struct scheduler scheduler;
	struct list nodes; /* node.place */
	struct network *network;
	uint64_t hits[HIT_COUNT];
	uint64_t rare[FAULT_COUNT]; /* how often each switch of base/fault.h struck */
	/* Log lines of nodes go into the trace. */
	bool failed;
	char failure[500];
};

void sim_init(struct sim *s, uint64_t seed);
void sim_fini(struct sim *s);

static inline void sim_hit(struct sim *s, enum hit h)
{
	s->hits[h]++;
}

const char *fault_text(enum fault f);

/* Notes that something is wrong; the first one counts, and goes into the trace. */
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
