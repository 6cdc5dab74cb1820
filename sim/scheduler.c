/* scheduler: see the header. */
#include "sim/scheduler.h"

#include "base/must.h"

void scheduler_init(struct scheduler *s, uint64_t seed)
{
	*s = (struct scheduler){0};
	heap_init(&s->events);
	prng_seed(&s->random, seed);
	trace_init(&s->trace, &s->now_us);
}

void scheduler_fini(struct scheduler *s)
{
	heap_fini(&s->events);
}

void scheduler_at(struct scheduler *s, struct sim_event *e, int64_t time_us)
{
	if (heap_linked(&e->node))
		heap_remove(&s->events, &e->node);
	heap_insert(&s->events, &e->node, time_us > s->now_us ? time_us : s->now_us);
}

void scheduler_cancel(struct scheduler *s, struct sim_event *e)
{
	if (heap_linked(&e->node))
		heap_remove(&s->events, &e->node);
}

bool scheduler_step(struct scheduler *s)
{
	struct heap_node *first = heap_first(&s->events);
	struct sim_event *e;

	if (!first)
		return false;
	e = container_of(first, struct sim_event, node);
	heap_remove(&s->events, first);
	must(first->key >= s->now_us);
	s->now_us = first->key;
	s->event_count++;
	e->run(e);
	return true;
}

void scheduler_run_until(struct scheduler *s, int64_t time_us)
{
	for (;;) {
		struct heap_node *first = heap_first(&s->events);

		if (!first || first->key > time_us)
			break;
		scheduler_step(s);
	}
	if (time_us > s->now_us)
		s->now_us = time_us;
}

int64_t choose_skewed(struct scheduler *s, int64_t low, int64_t high)
{
	uint64_t r = prng_next(&s->random);
	/* The product of two uniform numbers of 16 bits: its median is below a fifth of the range. */
	uint64_t product = (r & 0xffff) * (r >> 16 & 0xffff);

	return low + (int64_t)((uint64_t)(high - low) * product >> 32);
}
