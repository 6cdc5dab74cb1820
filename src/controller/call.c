/*
 * call: the controller's functions from other shards: a fiber on shard 0 does the work on the caller's memory while the caller waits.
 */
#include "runtime/call.h"
#include "controller/state.h"

struct call {
	struct controller *c;
	void (*work_await)(struct fiber *self, struct controller *c, struct call *call);
	void *request;
	enum err error;
};

static void call_main(struct fiber *there, void *argument)
{
	struct call *call = argument;

	call->work_await(there, call->c, call);
}

/* ERR_NO_MEMORY: shard 0 has too much to do; nothing was done. */
static enum err call_await(struct fiber *self, struct call *call)
{
	enum err e = OK;

	if (fiber_shard(self) == call->c->shard)
		call_main(self, call);
	else
		e = shard_call_await(self, call->c->shard, "controller call", call_main, call);
	return e ? e : call->error;
}

static void create_work_await(struct fiber *self, struct controller *c, struct call *call)
{
	controller_create_topics_await(self, c, call->request);
}

static void delete_work_await(struct fiber *self, struct controller *c, struct call *call)
{
	controller_delete_topics_await(self, c, call->request);
}

static void partitions_work_await(struct fiber *self, struct controller *c, struct call *call)
{
	controller_create_partitions_await(self, c, call->request);
}

static void alter_work_await(struct fiber *self, struct controller *c, struct call *call)
{
	controller_alter_configs_await(self, c, call->request);
}

static void levels_work_await(struct fiber *self, struct controller *c, struct call *call)
{
	controller_update_levels_await(self, c, call->request);
}

static void ids_work_await(struct fiber *self, struct controller *c, struct call *call)
{
	call->error = controller_allocate_producer_ids_await(self, c, call->request);
}

/* Why nothing was done. */
struct refusal {
	enum err error; /* OK: it was done, or tried */
	const char *text;
};

static struct refusal call_or_refuse_await(struct fiber *self, struct call *call)
{
	if (call->c->read_only)
		return (struct refusal){ERR_POLICY_VIOLATION,
					"The data folders are read only, since nothing there says what their topics "
					"are: nothing can be created, deleted or altered."};
	if (call_await(self, call)) /* clients try again */
		return (struct refusal){ERR_REQUEST_TIMED_OUT, "The controller has too many requests under way."};
	return (struct refusal){0};
}

void controller_create_topics_from_await(struct fiber *self, struct controller *c, struct create_topics *r)
{
	struct call call = {.c = c, .work_await = create_work_await, .request = r};
	struct refusal refusal = call_or_refuse_await(self, &call);

	if (!refusal.error)
		return;
	for (size_t i = 0; i < r->count; i++) {
		r->topics[i].error = refusal.error;
		r->topics[i].message = bytes_str(refusal.text);
	}
}

void controller_delete_topics_from_await(struct fiber *self, struct controller *c, struct delete_topics *r)
{
	struct call call = {.c = c, .work_await = delete_work_await, .request = r};
	struct refusal refusal = call_or_refuse_await(self, &call);

	if (!refusal.error)
		return;
	for (size_t i = 0; i < r->count; i++) {
		r->topics[i].error = refusal.error;
		r->topics[i].message = bytes_str(refusal.text);
		r->topics[i].ret_name = r->topics[i].name;
		r->topics[i].ret_id = r->topics[i].id;
	}
}

void controller_create_partitions_from_await(struct fiber *self, struct controller *c, struct create_partitions *r)
{
	struct call call = {.c = c, .work_await = partitions_work_await, .request = r};
	struct refusal refusal = call_or_refuse_await(self, &call);

	if (!refusal.error)
		return;
	for (size_t i = 0; i < r->count; i++) {
		r->topics[i].error = refusal.error;
		r->topics[i].message = bytes_str(refusal.text);
	}
}

void controller_alter_configs_from_await(struct fiber *self, struct controller *c, struct alter_configs *r)
{
	struct call call = {.c = c, .work_await = alter_work_await, .request = r};
	struct refusal refusal = call_or_refuse_await(self, &call);

	if (!refusal.error)
		return;
	for (size_t i = 0; i < r->count; i++) {
		r->resources[i].error = refusal.error;
		r->resources[i].message = bytes_str(refusal.text);
	}
}

void controller_update_levels_from_await(struct fiber *self, struct controller *c, struct update_levels *r)
{
	struct call call = {.c = c, .work_await = levels_work_await, .request = r};

	if (call_await(self, &call))
		r->error = ERR_REQUEST_TIMED_OUT;
}

enum err controller_allocate_producer_ids_from_await(struct fiber *self, struct controller *c,
						     struct producer_id_block *ret_block)
{
	struct call call = {.c = c, .work_await = ids_work_await, .request = ret_block};

	return call_await(self, &call);
}
