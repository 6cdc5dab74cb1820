/* log_level: each shard has a logger of its own; its level changes by a call to that shard. */
#include "broker/broker_own.h"
#include "runtime/call.h"

struct new_level {
	enum log_level least;
};

static void set_main(struct fiber *there, void *argument)
{
	const struct new_level *n = argument;
	struct logger *l = shard_log(fiber_shard(there));

	if (l)
		l->least = n->least;
}

void broker_set_log_level_await(struct fiber *self, struct broker *b, enum log_level least)
{
	struct new_level n = {.least = least};

	/* A shard that has no fiber left just now keeps the old level: lines are no promise. */
	for (unsigned i = 0; i < b->shard_count; i++)
		(void)!shard_call_await(self, b->parts[i].shard.shard, "log level", set_main, &n);
}
