/* coordinate: see the header. May call: coordinator/, the image, request.h. */
#include "broker/handle/coordinate.h"

#include "base/java_hash.h"
#include "broker/connection.h"

/* An answer of that size cannot be told anyway; small ones take more memory than they say. */
#define MOST_HELD 4

void coordination_init(struct coordination *n, struct request *rq, void (*over)(struct request *rq))
{
	*n = (struct coordination){.request = rq, .over = over};
	n->last = &n->first;
}

static void add(struct coordination *n, struct coordinated *p)
{
	p->coordination = n;
	p->arena = n->first ? &p->own_arena : &n->request->arena;
	arena_init(&p->own_arena, n->request->table->max_arena);
	*n->last = p;
	n->last = &p->next;
}

void coordination_add_partition(struct coordination *n, struct coordinated *p, enum internal_topic topic,
				const struct image_topic *t, int32_t partition)
{
	add(n, p);
	p->topic = topic;
	p->partition = partition;
	p->target = broker_shard_of(n->request->broker->broker, t->id, partition);
}

void coordination_add(struct coordination *n, struct coordinated *p, enum internal_topic topic, struct bytes key)
{
	const struct image_topic *t = image_topic_by_name(n->request->broker->image,
							  bytes_str(internal_topic_name(topic)));

	if (t) {
		coordination_add_partition(n, p, topic, t, java_hash_partition(key, t->partition_count));
		return;
	}
	add(n, p);
	p->call->error = ERR_NOT_COORDINATOR;
}

/* --- on the coordinator's shard ---------------------------------------------------------------------------------------- */

static void on_finished(struct coordinator_call *call)
{
	struct coordinated *p = call->owner;

	p->finished = true;
	shard_send(p->target->shard, p->coordination->request->shard, &p->message);
}

static void arrived_home(struct shard *at, struct message *m);

static void arrived_there(struct shard *at, struct message *m)
{
	struct coordinated *p = container_of(m, struct coordinated, message);
	struct coordination *n = p->coordination;

	(void)at;
	p->message.run = arrived_home;
	p->call->owner = p;
	p->call->finished = on_finished;
	if (atomic_load_explicit(&n->held, memory_order_relaxed) / MOST_HELD > n->request->table->max_arena) {
		p->call->error = ERR_UNKNOWN_SERVER_ERROR;
		on_finished(p->call);
		return;
	}
	if (p->producer)
		coordinator_submit_of(p->target->coordinators[p->topic], p->partition, p->producer, p->call, p->run);
	else
		coordinator_submit(p->target->coordinators[p->topic], p->partition, p->call, p->run);
	/* It is told later, and what answers at once has its answer by now. */
	atomic_fetch_add_explicit(&n->held, p->own_arena.held, memory_order_relaxed);
}

static void drop_home(struct shard *at, struct message *m)
{
	(void)at;
	request_release(container_of(m, struct coordinated, drop)->coordination->request);
}

static void drop_arrived(struct shard *at, struct message *m)
{
	struct coordinated *p = container_of(m, struct coordinated, drop);

	if (!p->finished)
		coordinator_abandon(p->call);
	p->drop.run = drop_home;
	shard_send(at, p->coordination->request->shard, &p->drop);
}

/* --- at home ---------------------------------------------------------------------------------------------------------- */

static void over(struct coordination *n)
{
	struct coordinated *next;

	for (struct coordinated *p = n->first; p && n->hurried; p = p->next)
		if (p->call->error)
			p->call->error = ERR_COORDINATOR_LOAD_IN_PROGRESS; /* which clients take as "in a moment" */
	n->over(n->request);
	for (struct coordinated *p = n->first; p; p = next) {
		next = p->next;
		arena_fini(&p->own_arena);
	}
}

static void arrived_home(struct shard *at, struct message *m)
{
	struct coordinated *p = container_of(m, struct coordinated, message);
	struct coordination *n = p->coordination;
	struct request *rq = n->request;

	(void)at;
	p->home = true;
	if (--n->away > 0)
		return;
	over(n);
	request_release(rq);
}

void coordination_go(struct coordination *n)
{
	struct request *rq = n->request;

	for (struct coordinated *p = n->first; p; p = p->next)
		n->away += p->target != NULL;
	if (n->away == 0) {
		over(n);
		return;
	}
	request_hold(rq);
	for (struct coordinated *p = n->first; p; p = p->next) {
		if (!p->target)
			continue;
		p->message.run = arrived_there;
		shard_send(rq->shard, p->target->shard, &p->message);
	}
}

static void drop_all(struct coordination *n)
{
	struct request *rq = n->request;

	for (struct coordinated *p = n->first; p; p = p->next) {
		if (!p->target || p->home || p->dropped)
			continue;
		p->dropped = true;
		p->drop.run = drop_arrived;
		request_hold(rq);
		shard_send(rq->shard, p->target->shard, &p->drop);
	}
}

void coordination_abandon(struct request *rq)
{
	struct coordination *n = rq->state;

	if (n && n->away > 0)
		drop_all(n);
}

void coordination_hurry(struct request *rq)
{
	struct coordination *n = rq->state;

	if (!n || n->away == 0)
		return;
	n->hurried = true;
	drop_all(n);
}
