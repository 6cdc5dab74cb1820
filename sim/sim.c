/* sim: see the header. */
#include "sim/sim.h"

#include <stdarg.h>
#include <stdio.h>

#include "sim/memory.h"
#include "sim/network.h"

const char *hit_text(enum hit h)
{
	static const char *const texts[] = {
#define X(name, text) text,
		HIT_LIST(X)
#undef X
	};

	return texts[h];
}

const char *fault_text(enum fault f)
{
	static const char *const texts[] = {
#define X(name, text) text,
		FAULT_LIST(X)
#undef X
	};

	return texts[f];
}

void sim_init(struct sim *s, uint64_t seed)
{
	*s = (struct sim){0};
	scheduler_init(&s->scheduler, seed);
	list_init(&s->nodes);
	s->network = network_new(s);
}

void sim_fini(struct sim *s)
{
	must(list_empty(&s->nodes));
	network_free(s->network);
	scheduler_fini(&s->scheduler);
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->failed)
		return;
	s->failed = true;
	va_start(args, format);
	vsnprintf(s->failure, sizeof(s->failure), format, args);
	va_end(args);
	trace_text(&s->scheduler.trace, "checker", "FAILED", s->failure);
}
