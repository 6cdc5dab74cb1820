/*
 * call: the controller's functions from other shards: a message to shard 0 starts a fiber there, which does the work on the caller's
 * memory while the caller is parked, and a message back wakes it.
 */
#include "controller/state.h"

struct call {
	struct message message;
	struct controller *c;
	struct shard *home;
	struct fiber *caller;
	void (*work_await)(struct fiber *self, struct controller *c, struct call *call);
	void *request;
	enum err error;
	bool done;
};

static void came_back(struct shard *at, struct message *m)
{
	struct call *call = container_of(m, struct call, message);

	(void)at;
	call->done = true;
	fiber_wake(call->caller);
}

static void send_back(struct call *call)
{
	call->message.run = came_back;
	shard_send(call->c->shard, call->home, &call->message);
}

static void call_main(struct fiber *self, void *argument)
{
	struct call *call = argument;

	call->work_await(self, call->c, call);
	send_back(call);
}

static void arrived(struct shard *at, struct message *m)
{
	static const struct fiber_options options = {.name = "controller call"};
	struct call *call = container_of(m, struct call, message);

	if (!fiber_start(at, &options, call_main, call)) {
		call->error = ERR_NO_MEMORY;
		send_back(call);
	}
}

/* ERR_NO_MEMORY: shard 0 has too much to do; nothing was done. */
static enum err call_await(struct fiber *self, struct call *call)
{
	call->home = fiber_shard(self);
	call->caller = self;
	if (call->home == call->c->shard) {
		call->work_await(self, call->c, call);
		return call->error;
	}
	call->message.run = arrived;
	shard_send(call->home, call->c->shard, &call->message);
	while (!call->done)
		fiber_park_await(self);
	return call->error;
}

static void create_work_await(struct fiber *self, struct controller *c, struct call *call)
{
	controller_create_topics_await(self, c, call->request);
}

static void delete_work_await(struct fiber *self, struct controller *c, struct call *call)
{
	controller_delete_topics_await(self, c, call->request);
}

static void ids_work_await(struct fiber *self, struct controller *c, struct call *call)
{
	call->error = controller_allocate_producer_ids_await(self, c, call->request);
}

static const char busy[] = "The controller has too many requests under way.";

void controller_create_topics_from_await(struct fiber *self, struct controller *c, struct create_topics *r)
{
	struct call call = {.c = c, .work_await = create_work_await, .request = r};

	if (!call_await(self, &call))
		return;
	for (size_t i = 0; i < r->count; i++) {
		r->topics[i].error = ERR_REQUEST_TIMED_OUT; /* clients try again */
		r->topics[i].message = bytes_str(busy);
	}
}

void controller_delete_topics_from_await(struct fiber *self, struct controller *c, struct delete_topics *r)
{
	struct call call = {.c = c, .work_await = delete_work_await, .request = r};

	if (!call_await(self, &call))
		return;
	for (size_t i = 0; i < r->count; i++) {
		r->topics[i].error = ERR_REQUEST_TIMED_OUT;
		r->topics[i].message = bytes_str(busy);
		r->topics[i].ret_name = r->topics[i].name;
		r->topics[i].ret_id = r->topics[i].id;
	}
}

enum err controller_allocate_producer_ids_from_await(struct fiber *self, struct controller *c,
						     struct producer_id_block *ret_block)
{
	struct call call = {.c = c, .work_await = ids_work_await, .request = ret_block};

	return call_await(self, &call);
}
