/* history: see the header. */
#include "sim/history.h"

#include <string.h>

const char *world_name(enum world_kind w)
{
	static const char *const names[] = {"log", "broker"};

	return names[w];
}

void history_run(struct history *h)
{
	struct sim s;

	sim_init(&s, h->seed);
	s.scheduler.trace.write = h->write;
	s.scheduler.trace.context = h->write_context;
	switch (h->world) {
	case WORLD_LOG:
		log_world_run(&s, h);
		break;
	case WORLD_BROKER:
		broker_world_run(&s, h);
		break;
	case WORLD_COUNT:
		must_not_reach();
	}
	h->hash = s.scheduler.trace.hash;
	h->events = s.scheduler.event_count;
	h->duration_us = s.scheduler.now_us;
	memcpy(h->hits, s.hits, sizeof(h->hits));
	h->failed = s.failed;
	memcpy(h->failure, s.failure, sizeof(h->failure));
	sim_fini(&s);
}
