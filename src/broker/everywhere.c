/* everywhere: the same fiber on every shard. See broker_own.h. */
#include "base/alloc.h"
#include "broker/broker_own.h"

struct round {
	struct fiber *waiter;
	size_t left;
};

struct visit {
	struct message message;
	struct round *round;
	struct broker_part *part;
	enum err (*work_await)(struct fiber *self, struct broker_part *part);
	enum err error;
};

static void run_back(struct shard *at, struct message *m)
{
	struct visit *v = container_of(m, struct visit, message);

	(void)at;
	v->round->left--;
	fiber_wake(v->round->waiter);
}

static void go_back(struct visit *v)
{
	v->message.run = run_back;
	shard_send(v->part->shard.shard, v->part->shard.broker->shard_zero, &v->message);
}

static void visit_main(struct fiber *self, void *argument)
{
	struct visit *v = argument;

	v->error = v->work_await(self, v->part);
	go_back(v);
}

static void run_there(struct shard *at, struct message *m)
{
	static const struct fiber_options options = {.name = "everywhere"};
	struct visit *v = container_of(m, struct visit, message);

	if (fiber_start(at, &options, visit_main, v))
		return;
	v->error = ERR_NO_MEMORY;
	go_back(v);
}

enum err everywhere_await(struct fiber *self, struct broker *b,
			  enum err (*work_await)(struct fiber *self, struct broker_part *part))
{
	struct visit *visits = mem_zalloc(b->shard_count * sizeof(*visits));
	struct round round = {.waiter = self, .left = b->shard_count};
	enum err e = OK;

	for (unsigned i = 0; i < b->shard_count; i++) {
		struct visit *v = &visits[i];

		v->round = &round;
		v->part = &b->parts[i];
		v->work_await = work_await;
		v->message.run = run_there;
		shard_send(b->shard_zero, v->part->shard.shard, &v->message);
	}
	while (round.left > 0)
		fiber_park_await(self);
	for (unsigned i = 0; i < b->shard_count && !e; i++)
		e = visits[i].error;
	mem_free(visits);
	return e;
}
