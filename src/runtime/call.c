/* call: see the header. */
#include "runtime/call.h"

struct call {
	struct message message;
	struct shard *home;
	struct fiber *caller;
	const char *name;
	void (*body)(struct fiber *there, void *argument);
	void *argument;
	enum err error;
	bool over;
};

static void come_home(struct shard *at, struct message *m)
{
	struct call *c = container_of(m, struct call, message);

	(void)at;
	c->over = true;
	fiber_wake(c->caller);
}

static void send_home(struct shard *from, struct call *c)
{
	c->message.run = come_home;
	shard_send(from, c->home, &c->message);
}

static void call_main(struct fiber *self, void *argument)
{
	struct call *c = argument;

	c->body(self, c->argument);
	send_home(fiber_shard(self), c);
}

static void arrive(struct shard *at, struct message *m)
{
	struct call *c = container_of(m, struct call, message);
	struct fiber_options options = {.name = c->name};

	if (fiber_start(at, &options, call_main, c))
		return;
	c->error = ERR_NO_MEMORY;
	send_home(at, c);
}

enum err shard_call_await(struct fiber *self, struct shard *to, const char *name,
			  void (*body)(struct fiber *there, void *argument), void *argument)
{
	struct call c = {
		.message.run = arrive,
		.home = fiber_shard(self),
		.caller = self,
		.name = name,
		.body = body,
		.argument = argument,
	};

	shard_send(c.home, to, &c.message);
	/* Other wake-ups (a cancel among them) may come in between: the call's struct is on this stack and must outlive it. */
	while (!c.over)
		fiber_park_await(self);
	return c.error;
}
