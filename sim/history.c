/* history: see the header. */
#include "sim/history.h"

#include <string.h>

const char *world_name(enum world_kind w)
{
	static const char *const names[] = {"log", "broker", "group", "txn"};

	return names[w];
}

bool world_takes_seed(enum world_kind w, uint64_t seed)
{
	return w != WORLD_TXN || seed % 3 == 1;
}

bool history_is_long_enough(const struct history *h, const struct sim *s)
{
	return s->scheduler.now_us >= HISTORY_LEAST_US && h->clients >= HISTORY_LEAST_CLIENTS &&
	       h->acked >= HISTORY_LEAST_ACKED && h->faults >= HISTORY_LEAST_FAULTS;
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
	case WORLD_GROUP:
	case WORLD_TXN:
		broker_world_run(&s, h);
		break;
	case WORLD_COUNT:
		must_not_reach();
	}
	if (!s.failed && !history_is_long_enough(h, &s))
		sim_fail(&s, "the history falls short: %lld ms, %u clients, %llu records acknowledged, %llu faults",
			 (long long)s.scheduler.now_us / 1000, h->clients, (unsigned long long)h->acked,
			 (unsigned long long)h->faults);
	h->hash = s.scheduler.trace.hash;
	h->events = s.scheduler.event_count;
	h->duration_us = s.scheduler.now_us;
	memcpy(h->hits, s.hits, sizeof(h->hits));
	memcpy(h->rare, s.rare, sizeof(h->rare));
	h->failed = s.failed;
	memcpy(h->failure, s.failure, sizeof(h->failure));
	sim_fini(&s);
}
