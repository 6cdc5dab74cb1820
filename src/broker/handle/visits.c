/* visits: see the header. */
#include "broker/handle/visits.h"

#include "runtime/call.h"

struct stop {
	struct broker_shard *target;
	struct visit *first;
	struct visit **last;
	void (*one_await)(struct fiber *there, struct broker_shard *at, struct visit *visit);
};

struct visits {
	unsigned count;
	struct stop stops[]; /* by shard */
};

struct visits *visits_new(struct request *rq)
{
	unsigned count = runtime_shard_count(shard_runtime(rq->shard));
	struct visits *v = request_alloc(rq, 1, sizeof(*v) + count * sizeof(struct stop));

	if (v)
		v->count = count;
	return v;
}

bool visits_add(struct request *rq, struct visits *v, struct uuid topic_id, int32_t partition, void *item)
{
	struct broker_shard *target = broker_shard_of(rq->broker->broker, topic_id, partition);
	struct stop *s = &v->stops[shard_index(target->shard)];
	struct visit *visit = request_alloc(rq, 1, sizeof(*visit));

	if (!visit)
		return false;
	*visit = (struct visit){.topic_id = topic_id, .partition = partition, .item = item};
	if (!s->first)
		s->last = &s->first;
	s->target = target;
	*s->last = visit;
	s->last = &visit->next;
	return true;
}

static void stop_main(struct fiber *there, void *argument)
{
	struct stop *s = argument;

	for (struct visit *v = s->first; v; v = v->next)
		s->one_await(there, s->target, v);
}

enum err visits_await(struct fiber *self, struct request *rq, struct visits *v,
		      void (*one_await)(struct fiber *there, struct broker_shard *at, struct visit *visit))
{
	(void)rq;
	for (unsigned i = 0; i < v->count; i++) {
		struct stop *s = &v->stops[i];
		enum err e;

		if (!s->first)
			continue;
		s->one_await = one_await;
		e = shard_call_await(self, s->target->shard, "administration", stop_main, s);
		if (e)
			return e;
	}
	return OK;
}
