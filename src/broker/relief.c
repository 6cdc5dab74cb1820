/* relief: see the header. May call connection.h and budgets. */
#include "broker/relief.h"

#define TICK_US 100000
/* A client that reads has taken something by then; who pauses longer while memory is short asks again. */
#define PATIENCE_US 1000000

static bool has_waiters(const struct budget *b)
{
	return b && !list_empty(&b->waiters);
}

static bool own_short(const struct relief *r)
{
	const struct connection_table *t = r->table;

	return has_waiters(t->work) || has_waiters(t->conns.frames) || has_waiters(&t->conns.small_frames);
}

static void call_back(struct shard *at, struct message *m)
{
	(void)at;
	container_of(m, struct relief_call, message)->away = false;
}

static void called(struct shard *at, struct message *m)
{
	struct relief_call *c = container_of(m, struct relief_call, message);

	if (c->to->table)
		connection_table_end_stalled(c->to->table, PATIENCE_US);
	m->run = call_back;
	shard_send(at, c->from->shard, m);
}

static void call_others(struct relief *r)
{
	for (size_t i = 0; i < r->call_count; i++) {
		struct relief_call *c = &r->calls[i];

		if (c->away)
			continue;
		c->away = true;
		c->from = r;
		c->message.run = called;
		shard_send(r->shard, c->to->shard, &c->message);
	}
}

static void tick(struct timer *timer)
{
	struct relief *r = container_of(timer, struct relief, tick);
	bool own = own_short(r), reads = has_waiters(r->reads);

	if (!own && !reads)
		return;
	if (own)
		connection_table_hurry(r->table);
	connection_table_end_stalled(r->table, PATIENCE_US);
	if (reads)
		call_others(r);
	timer_arm(r->shard, &r->tick, shard_now_us(r->shard) + TICK_US);
}

static void pressed(struct budget_watch *w)
{
	struct relief *r = container_of(w, struct relief, watch);

	if (!timer_armed(&r->tick))
		timer_arm(r->shard, &r->tick, shard_now_us(r->shard) + TICK_US);
}

static void watch_all(struct relief *r, struct budget_watch *w)
{
	r->table->work->watch = w;
	r->table->conns.frames->watch = w;
	r->table->conns.small_frames.watch = w;
	if (r->reads)
		r->reads->watch = w;
}

void relief_init(struct relief *r, struct connection_table *table, struct budget *reads, struct relief_call *calls,
		 size_t call_count)
{
	r->watch.pressed = pressed;
	r->tick.fire = tick;
	r->table = table;
	r->reads = reads;
	r->calls = calls;
	r->call_count = call_count;
	watch_all(r, &r->watch);
}

void relief_fini(struct relief *r)
{
	watch_all(r, NULL);
	timer_disarm(r->shard, &r->tick);
	r->table = NULL;
}
