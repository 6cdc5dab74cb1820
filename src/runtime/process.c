/* process: see the header. Asks the backend, through a helper thread. */
#include "runtime/process.h"

#include "runtime/backend.h"

struct asking {
	const struct backend *backend;
	struct process_figures figures;
};

static void ask(void *argument)
{
	struct asking *a = argument;

	a->backend->process(&a->figures);
}

bool process_figures_await(struct fiber *self, struct process_figures *ret_figures)
{
	struct asking a = {.backend = shard_backend(fiber_shard(self)), .figures = {-1, -1, -1, -1, -1, -1}};

	if (!a.backend->process)
		return false;
	offload_await(self, ask, &a);
	*ret_figures = a.figures;
	return true;
}
