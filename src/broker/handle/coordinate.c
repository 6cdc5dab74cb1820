/* coordinate: see the header. May call: coordinator/, the image, request.h. */
#include "broker/handle/coordinate.h"

#include "base/java_hash.h"
#include "broker/connection.h"
#include "runtime/budget.h"

/* More requests' worth than that cannot be told anyway; small answers take more memory than they say. */
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

static struct budget *work_of(const struct coordinated *p)
{
	return p->target->connections->work;
}

/* What an answer takes is charged where it was built, until home has told it. */
static void charge(struct coordinated *p)
{
	p->charged_bytes = p->arena->held - p->charged_bytes;
	if (p->charged_bytes == 0)
		return;
	budget_take_anyway(work_of(p), p->charged_bytes);
	atomic_fetch_add_explicit(&p->coordination->held, p->charged_bytes, memory_order_relaxed);
}

static void on_finished(struct coordinator_call *call)
{
	struct coordinated *p = call->owner;

	p->finished = true;
	charge(p);
	shard_send(p->target->shard, p->coordination->request->shard, &p->message);
}

/* Invariant 4. */
static enum err room_for(const struct coordinated *p)
{
	const struct coordination *n = p->coordination;
	const struct budget *work = work_of(p);
	size_t own_bytes = atomic_load_explicit(&n->held, memory_order_relaxed);

	if (own_bytes / MOST_HELD > n->request->table->max_arena)
		return ERR_UNKNOWN_SERVER_ERROR;
	own_bytes += n->begun_bytes;
	if (n->may_be_large && work->used > own_bytes && work->used - own_bytes > work->limit)
		return ERR_COORDINATOR_LOAD_IN_PROGRESS;
	return OK;
}

static void arrived_home(struct shard *at, struct message *m);

static void arrived_there(struct shard *at, struct message *m)
{
	struct coordinated *p = container_of(m, struct coordinated, message);
	enum err e = room_for(p);

	(void)at;
	p->message.run = arrived_home;
	p->call->owner = p;
	p->call->finished = on_finished;
	p->charged_bytes = p->arena->held; /* which is not ours to charge */
	if (e) {
		p->call->error = e;
		on_finished(p->call);
	} else if (p->producer) {
		coordinator_submit_of(p->target->coordinators[p->topic], p->partition, p->producer, p->call, p->run);
	} else {
		coordinator_submit(p->target->coordinators[p->topic], p->partition, p->call, p->run);
	}
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

static void given_home(struct shard *at, struct message *m)
{
	(void)at;
	request_release(container_of(m, struct coordinated, message)->coordination->request);
}

static void give_there(struct shard *at, struct message *m)
{
	struct coordinated *p = container_of(m, struct coordinated, message);

	budget_give(work_of(p), p->charged_bytes);
	p->message.run = given_home;
	shard_send(at, p->coordination->request->shard, &p->message);
}

/* What was charged goes back, to each other shard by its first part. */
static void give_back(struct coordination *n)
{
	struct request *rq = n->request;
	struct coordinated *givers = NULL, *next;

	for (struct coordinated *p = n->first; p; p = p->next) {
		struct coordinated *g = givers;

		if (p->charged_bytes == 0)
			continue;
		if (p->target->shard == rq->shard) {
			budget_give(work_of(p), p->charged_bytes);
			continue;
		}
		while (g && g->target != p->target)
			g = g->next_giver;
		if (g) {
			g->charged_bytes += p->charged_bytes;
		} else {
			p->next_giver = givers;
			givers = p;
		}
	}
	for (struct coordinated *g = givers; g; g = next) {
		next = g->next_giver;
		request_hold(rq);
		g->message.run = give_there;
		shard_send(rq->shard, g->target->shard, &g->message);
	}
}

/* While the request is held. */
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
	give_back(n);
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
	n->begun_bytes = rq->charged_bytes;
	request_hold(rq);
	if (n->away == 0) {
		over(n);
		request_release(rq);
		return;
	}
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
