/*
 * history: one run of one world from one seed, and what came of it. The worlds differ in what lives in them:
 *
 *      log       storage alone: logs, appends, reads, cuts, crashes, against a model (log_world.c)
 *      broker    a broker and its clients (world.c)
 *      group     the same with members of consumer groups (workload_group.c)
 *      txn       the same with workers that do everything in transactions (world_txn.h)
 */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "sim/sim.h"

/* What a history has at least, or it has failed: one in which nothing happens shows nothing. */
#define HISTORY_LEAST_US (30 * 1000000LL)
#define HISTORY_LEAST_CLIENTS 3
#define HISTORY_LEAST_ACKED 300
#define HISTORY_LEAST_FAULTS 5

enum world_kind { WORLD_LOG, WORLD_BROKER, WORLD_GROUP, WORLD_TXN, WORLD_COUNT };

struct history {
	/* In. */
	enum world_kind world;
	uint64_t seed;
	void (*write)(struct trace *t, const char *line); /* NULL: silent */
	void *write_context;
	bool one_rare_path; /* only `rare_path` is taken, every other time; else the seed chooses */
	enum fault rare_path;
	/* Out. */
	uint64_t hash;
	uint64_t events;
	uint64_t acked; /* records acknowledged */
	uint64_t read;  /* records read and checked */
	uint64_t faults;
	unsigned clients; /* who works at the same time: nodes, or a log's actors */
	int64_t duration_us;
	uint64_t hits[HIT_COUNT];
	uint64_t rare[FAULT_COUNT];
	bool failed;
	char failure[500];
};

void history_run(struct history *h);
/* So far; a world goes on until it is true, up to a bound. */
bool history_is_long_enough(const struct history *h, const struct sim *s);
const char *world_name(enum world_kind w);
/* Whether this seed is run in this world where all worlds are: one of transactions is as costly as all others together. */
bool world_takes_seed(enum world_kind w, uint64_t seed);

/* Each world's own run, inside a simulation that history_run made. */
void log_world_run(struct sim *s, struct history *h);
void broker_world_run(struct sim *s, struct history *h);

#endif
