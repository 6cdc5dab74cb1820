/* offload: work on a helper thread, awaited. Calls the backend. */
#include "runtime/core.h"

void offload_start(struct shard *s, struct offload *o)
{
	o->shard = s;
	s->backend->offload(s, o);
}

struct awaited_offload {
	struct offload offload;
	void (*work)(void *argument);
	void *argument;
	struct fiber *fiber;
	bool over;
};

static void awaited_work(struct offload *o)
{
	struct awaited_offload *a = container_of(o, struct awaited_offload, offload);

	a->work(a->argument);
}

static void awaited_done(struct offload *o)
{
	struct awaited_offload *a = container_of(o, struct awaited_offload, offload);

	a->over = true;
	fiber_wake(a->fiber);
}

void offload_await(struct fiber *self, void (*work)(void *argument), void *argument)
{
	struct awaited_offload a = {
		.offload = {.work = awaited_work, .done = awaited_done},
		.work = work,
		.argument = argument,
		.fiber = self,
	};

	offload_start(fiber_shard(self), &a.offload);
	while (!a.over)
		fiber_park_await(self);
}
