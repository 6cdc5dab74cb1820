/* fetch_session: see the header. */
#include "broker/fetch_session.h"

#include "base/alloc.h"

#define IDLE_MS (120 * 1000) /* Kafka's MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS */

struct fetch_session_cache {
	struct prng *random;
	struct map_seed seed; /* of the sessions' maps: their topics are others' */
	size_t max_sessions;
	size_t max_bytes;
	size_t used_bytes;   /* by the partitions of all sessions, about */
	struct map sessions; /* by id */
	struct list by_use;  /* the longest unused first */
};

struct fetch_session_cache *fetch_session_cache_new(struct prng *random, size_t max_sessions, size_t max_bytes)
{
	struct fetch_session_cache *c = mem_new(struct fetch_session_cache);

	c->random = random;
	c->max_sessions = max_sessions;
	c->max_bytes = max_bytes;
	c->seed = (struct map_seed){{prng_next(random), prng_next(random)}};
	map_init(&c->sessions);
	list_init(&c->by_use);
	return c;
}

/* A topic's id, or its name, and the partition: into `memory` of target_key_size bytes. */
static struct bytes target_key(const struct fetch_target *t, uint8_t *memory)
{
	size_t name_size = t->topic.size;

	memcpy(memory, &t->partition, 4);
	memcpy(memory + 4, t->topic_id.bytes, 16);
	if (name_size)
		memcpy(memory + 20, t->topic.data, name_size);
	return bytes_of(memory, 20 + name_size);
}

static size_t target_key_size(const struct fetch_target *t)
{
	return 20 + t->topic.size;
}

/* What remembering it costs: itself, its key and its place in the map. Its name is there twice, for each partition of a topic. */
static size_t target_cost(const struct fetch_target *t)
{
	return sizeof(struct fetch_session_partition) + 2 * sizeof(struct map_entry) + t->topic.size +
	       target_key_size(t);
}

static size_t targets_cost(const struct fetch_session_request *rq)
{
	size_t cost = 0;

	for (size_t i = 0; i < rq->target_count; i++)
		cost += target_cost(&rq->targets[i]);
	return cost;
}

static struct fetch_session_partition *find_partition(struct fetch_session *s, const struct fetch_target *t)
{
	uint8_t small[20 + 256];
	uint8_t *memory = target_key_size(t) <= sizeof(small) ? small : mem_alloc(target_key_size(t));
	struct fetch_session_partition *p = map_get(&s->partitions, target_key(t, memory));

	if (memory != small)
		mem_free(memory);
	return p;
}

static void forget(struct fetch_session_cache *c, struct fetch_session *s, const struct fetch_target *t)
{
	uint8_t *memory = mem_alloc(target_key_size(t));
	struct fetch_session_partition *p = map_remove(&s->partitions, target_key(t, memory));

	mem_free(memory);
	if (!p)
		return;
	s->used_bytes -= target_cost(t);
	c->used_bytes -= target_cost(t);
	list_remove(&p->node);
	mem_free(p);
}

/* Adds it, or takes over what the request says of one that is there. */
static void remember(struct fetch_session_cache *c, struct fetch_session *s, const struct fetch_target *t)
{
	struct fetch_session_partition *p = find_partition(s, t);
	uint8_t *key;

	if (p) {
		struct bytes topic = p->target.topic;

		p->target = *t;
		p->target.topic = topic;
		return;
	}
	p = mem_zalloc(sizeof(*p) + t->topic.size);
	p->target = *t;
	p->high_watermark = p->log_start_offset = -1;
	p->name_size = t->topic.size;
	if (t->topic.size) {
		memcpy(p->name, t->topic.data, t->topic.size);
		p->target.topic = bytes_of(p->name, p->name_size);
	}
	key = mem_alloc(target_key_size(t));
	map_put(&s->partitions, target_key(t, key), p);
	mem_free(key);
	list_push_back(&s->order, &p->node);
	s->used_bytes += target_cost(t);
	c->used_bytes += target_cost(t);
}

static struct bytes id_key(const int32_t *id)
{
	return bytes_of(id, sizeof(*id));
}

static void end_session(struct fetch_session_cache *c, struct fetch_session *s)
{
	struct list_node *n;

	map_remove(&c->sessions, id_key(&s->id));
	list_remove(&s->node);
	c->used_bytes -= s->used_bytes;
	while ((n = list_pop_front(&s->order)))
		mem_free(container_of(n, struct fetch_session_partition, node));
	map_fini(&s->partitions);
	mem_free(s);
}

void fetch_session_cache_free(struct fetch_session_cache *c)
{
	struct list_node *n;

	if (!c)
		return;
	while ((n = list_first(&c->by_use)))
		end_session(c, container_of(n, struct fetch_session, node));
	map_fini(&c->sessions);
	mem_free(c);
}

size_t fetch_session_count(const struct fetch_session_cache *c)
{
	return c->sessions.count;
}

struct fetch_session *fetch_session_find(struct fetch_session_cache *c, int32_t id)
{
	return map_get(&c->sessions, id_key(&id));
}

static bool has_room(const struct fetch_session_cache *c, size_t cost)
{
	return c->sessions.count < c->max_sessions && c->used_bytes + cost <= c->max_bytes;
}

/* Room for one more: the longest unused ones go as far as they were idle for long enough, or are smaller than the new one. */
static bool make_room(struct fetch_session_cache *c, const struct fetch_session_request *rq, int64_t now_ms)
{
	size_t cost = targets_cost(rq);

	if (cost > c->max_bytes)
		return false;
	while (!has_room(c, cost)) {
		struct fetch_session *oldest;
		bool too_many = c->sessions.count >= c->max_sessions;

		if (list_empty(&c->by_use))
			return false;
		oldest = container_of(list_first(&c->by_use), struct fetch_session, node);
		/* Who is large may push out a smaller one for its place, but not for its memory: that would favour the greedy. */
		if (now_ms - oldest->used_ms < IDLE_MS && !(too_many && oldest->partitions.count < rq->target_count))
			return false;
		end_session(c, oldest);
	}
	return true;
}

static int32_t new_id(struct fetch_session_cache *c)
{
	int32_t id;

	do
		id = (int32_t)(prng_next(c->random) & 0x7fffffff);
	while (id == FETCH_SESSION_NONE || fetch_session_find(c, id));
	return id;
}

static struct fetch_session *begin_session(struct fetch_session_cache *c, const struct fetch_session_request *rq,
					   int64_t now_ms)
{
	struct fetch_session *s;

	if (rq->target_count == 0 || !make_room(c, rq, now_ms))
		return NULL;
	s = mem_new(struct fetch_session);
	s->id = new_id(c);
	s->next_epoch = 1;
	s->by_id = rq->by_id;
	s->used_ms = now_ms;
	map_init_seeded(&s->partitions, c->seed);
	list_init(&s->order);
	for (size_t i = 0; i < rq->target_count; i++)
		remember(c, s, &rq->targets[i]);
	map_put(&c->sessions, id_key(&s->id), s);
	list_push_back(&c->by_use, &s->node);
	return s;
}

static enum err take_full(struct fetch_session_cache *c, const struct fetch_session_request *rq, int64_t now_ms,
			  struct fetch_session **ret_session)
{
	struct fetch_session *old = fetch_session_find(c, rq->id);

	if (old)
		end_session(c, old);
	*ret_session = rq->epoch == FETCH_SESSION_EPOCH_FINAL ? NULL : begin_session(c, rq, now_ms);
	return OK;
}

static size_t cost_of_new(struct fetch_session *s, const struct fetch_session_request *rq)
{
	size_t cost = 0;

	for (size_t i = 0; i < rq->target_count; i++)
		if (!find_partition(s, &rq->targets[i]))
			cost += target_cost(&rq->targets[i]);
	return cost;
}

/* After 2^31-1 comes 1: 0 is a new session's. */
static int32_t epoch_after(int32_t epoch)
{
	return epoch == INT32_MAX ? 1 : epoch + 1;
}

enum err fetch_session_take(struct fetch_session_cache *c, const struct fetch_session_request *rq, int64_t now_ms,
			    struct fetch_session **ret_session, bool *ret_full)
{
	struct fetch_session *s;

	*ret_full = rq->epoch == FETCH_SESSION_EPOCH_FIRST || rq->epoch == FETCH_SESSION_EPOCH_FINAL;
	if (*ret_full)
		return take_full(c, rq, now_ms, ret_session);
	s = fetch_session_find(c, rq->id);
	if (!s)
		return ERR_FETCH_SESSION_ID_NOT_FOUND;
	if (s->next_epoch != rq->epoch)
		return ERR_INVALID_FETCH_SESSION_EPOCH;
	if (s->by_id != rq->by_id)
		return ERR_FETCH_SESSION_TOPIC_ID_ERROR;
	if (c->used_bytes + cost_of_new(s, rq) > c->max_bytes) {
		/* It outgrew its memory: the client starts anew, and is served without a session if that is still so. */
		end_session(c, s);
		return ERR_FETCH_SESSION_ID_NOT_FOUND;
	}
	for (size_t i = 0; i < rq->target_count; i++)
		remember(c, s, &rq->targets[i]);
	for (size_t i = 0; i < rq->forgotten_count; i++)
		forget(c, s, &rq->forgotten[i]);
	if (s->partitions.count == 0) {
		/* Nothing left to remember: this request is served without a session, the next one finds none. */
		end_session(c, s);
		*ret_session = NULL;
		return OK;
	}
	s->next_epoch = epoch_after(s->next_epoch);
	s->used_ms = now_ms;
	list_remove(&s->node);
	list_push_back(&c->by_use, &s->node);
	*ret_session = s;
	return OK;
}

bool fetch_session_tell(struct fetch_session *s, const struct fetch_target *t, const struct fetch_news *news)
{
	struct fetch_session_partition *p = find_partition(s, t);
	bool tell = news->has_records || news->error || news->diverges;

	if (!p)
		return true;
	if (p->high_watermark != news->high_watermark || p->log_start_offset != news->log_start_offset)
		tell = true;
	/* After an error all is told anew. */
	p->high_watermark = news->error ? -1 : news->high_watermark;
	p->log_start_offset = news->log_start_offset;
	if (news->has_records || news->error) {
		list_remove(&p->node);
		list_push_back(&s->order, &p->node);
	}
	return tell;
}
