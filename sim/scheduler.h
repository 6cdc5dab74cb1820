/*
 * scheduler: virtual time. A queue of events; the earliest runs, and the clock is then what it says. Nothing waits for real.
 *
 * Invariants: time never goes back; events of one instant run in the order in which they were put in; every choice of the
 * simulator comes from the one prng in here, so a seed is a history.
 * Lifetime: events are embedded in what they are about and must be cancelled before that goes.
 */
#ifndef SIM_SCHEDULER_H
#define SIM_SCHEDULER_H

#include "base/heap.h"
#include "base/prng.h"
#include "sim/trace.h"

struct sim_event {
	struct heap_node node;
	void (*run)(struct sim_event *e);
};

struct scheduler {
	struct heap events;
	struct prng random;
	struct trace trace;
	int64_t now_us;
	uint64_t event_count;
};

void scheduler_init(struct scheduler *s, uint64_t seed);
/* Events that are still queued are forgotten. */
void scheduler_fini(struct scheduler *s);

/* At `time_us`, or now when that is over. One that is queued already moves. */
void scheduler_at(struct scheduler *s, struct sim_event *e, int64_t time_us);
/* Harmless on one that is not queued. */
void scheduler_cancel(struct scheduler *s, struct sim_event *e);
static inline bool scheduler_queued(const struct sim_event *e)
{
	return heap_linked(&e->node);
}

/* Runs the earliest event; false when there is none. */
bool scheduler_step(struct scheduler *s);
/* Runs everything up to `time_us`; the clock then shows it. */
void scheduler_run_until(struct scheduler *s, int64_t time_us);

/* Choices, short to write. */
static inline int64_t choose(struct scheduler *s, int64_t low, int64_t high)
{
	return prng_between(&s->random, low, high);
}

static inline bool chance(struct scheduler *s, uint32_t numerator, uint32_t denominator)
{
	return prng_chance(&s->random, numerator, denominator);
}

/* Mostly near `low`, seldom up to `high`: latencies look like this. */
int64_t choose_skewed(struct scheduler *s, int64_t low, int64_t high);

#endif
