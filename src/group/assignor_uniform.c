/*
 * assignor_uniform: even, sticky, spread.
 *
 * Topics that are wanted by the same members are a pool; where all members want the same there is one.
 *
 *      1. what its owner no longer wants is nobody's
 *      2. pool by pool, what is nobody's goes to the subscriber that has least
 *      3. pool by pool, one partition after the other goes from the subscriber that has most to the one that has least, while they differ by two
 *         or more: of the topic of which the giver has most more than the taker, so that who comes gets a part of every topic and not
 *         all of some; again until nothing moves
 *
 * In one pool step 3 moves as few partitions as can be: only who has too many gives, and never what it was given. Each move makes the sum of
 * squares of the loads smaller, so it ends. Where pools overlap, one can undo the balance of another; Kafka stops after 16 passes, and so does this.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/heap.h"
#include "base/must.h"
#include "group/assignor_own.h"

#define MAX_PASSES 16

struct candidate {
	struct heap_node least;
	struct heap_node most;
	int32_t load; /* partitions of all topics */
	int32_t held; /* of the pool that is looked at, and not given just now */
	size_t place; /* among the pool's subscribers */
};

/* What a subscriber has of a topic. */
struct share {
	int32_t own;
	int32_t first; /* its own partitions, rising, are stacks[first .. first + held) */
	int32_t held;
};

struct pool {
	const uint32_t *topics;
	size_t topic_count;
	const uint32_t *members; /* who wants them */
	size_t member_count;
	int64_t partition_count;
};

struct uniform {
	struct assignor_input *g;
	struct subscribers subscribers;
	struct candidate *candidates; /* a member each */
	uint32_t *topics;             /* by their subscribers, so that a pool is a run */
	struct pool *pools;
	size_t pool_count;
	/* Of the pool that is looked at. */
	struct heap least; /* all subscribers, least load first */
	struct heap most;  /* those with something to give, most load first */
	struct share *shares;
	size_t share_capacity;
	int32_t *stacks;
	size_t stack_capacity;
};

static struct candidate *of_least(struct heap_node *n)
{
	return (struct candidate *)((char *)n - offsetof(struct candidate, least));
}

static struct candidate *of_most(struct heap_node *n)
{
	return (struct candidate *)((char *)n - offsetof(struct candidate, most));
}

static void heap_clear(struct heap *h)
{
	while (heap_first(h))
		heap_remove(h, heap_first(h));
}

/* --- pools ---------------------------------------------------------------------------------------------------------------- */

static int compare_subscribers(const struct subscribers *s, uint32_t a, uint32_t b)
{
	size_t count = subscribers_count(s, a), other = subscribers_count(s, b);

	if (count != other)
		return count < other ? -1 : 1;
	return count ? memcmp(s->members + s->first[a], s->members + s->first[b], count * sizeof(*s->members)) : 0;
}

static int compare_topics(const void *left, const void *right, void *subscribers)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	int order = compare_subscribers(subscribers, a, b);

	return order ? order : a < b ? -1 : a > b;
}

static void add_pool(struct uniform *u, size_t first, size_t end)
{
	struct pool *p = &u->pools[u->pool_count++];

	*p = (struct pool){.topics = u->topics + first, .topic_count = end - first};
	p->members = u->subscribers.members + u->subscribers.first[u->topics[first]];
	p->member_count = subscribers_count(&u->subscribers, u->topics[first]);
	for (size_t t = first; t < end; t++)
		p->partition_count += u->g->topics[u->topics[t]].partition_count;
}

/* Most partitions for a member first. */
static int compare_pools(const void *left, const void *right)
{
	const struct pool *a = left, *b = right;
	int64_t weight = a->partition_count * (int64_t)b->member_count;
	int64_t other = b->partition_count * (int64_t)a->member_count;

	if (weight != other)
		return weight > other ? -1 : 1;
	return a->topics < b->topics ? -1 : a->topics > b->topics;
}

static void make_pools(struct uniform *u)
{
	size_t first = 0;

	u->topics = mem_alloc((u->g->topic_count + 1) * sizeof(*u->topics));
	u->pools = mem_alloc((u->g->topic_count + 1) * sizeof(*u->pools));
	for (size_t t = 0; t < u->g->topic_count; t++)
		u->topics[t] = (uint32_t)t;
	qsort_r(u->topics, u->g->topic_count, sizeof(*u->topics), compare_topics, &u->subscribers);
	/* Whom nobody wants is in no pool. */
	while (first < u->g->topic_count && subscribers_count(&u->subscribers, u->topics[first]) == 0)
		first++;
	for (size_t t = first; t < u->g->topic_count; t++) {
		if (t + 1 < u->g->topic_count &&
		    compare_subscribers(&u->subscribers, u->topics[t], u->topics[t + 1]) == 0)
			continue;
		add_pool(u, first, t + 1);
		first = t + 1;
	}
	qsort(u->pools, u->pool_count, sizeof(*u->pools), compare_pools);
}

/* --- 1 and 2 -------------------------------------------------------------------------------------------------------------- */

/* Marks each topic's subscribers by the topic's own number, so that no marks have to be taken away. */
static void drop_unwanted(struct uniform *u)
{
	size_t *wants = mem_zalloc((u->g->member_count + 1) * sizeof(*wants));

	for (size_t t = 0; t < u->g->topic_count; t++) {
		struct assignor_topic *topic = &u->g->topics[t];

		for (size_t i = u->subscribers.first[t]; i < u->subscribers.first[t + 1]; i++)
			wants[u->subscribers.members[i]] = t + 1;
		for (int32_t p = 0; p < topic->partition_count; p++) {
			if (topic->owners[p] < 0)
				continue;
			if (wants[topic->owners[p]] == t + 1)
				u->candidates[topic->owners[p]].load++;
			else
				topic->owners[p] = -1;
		}
	}
	mem_free(wants);
}

static void give_unowned(struct uniform *u, const struct pool *pool)
{
	for (size_t i = 0; i < pool->member_count; i++)
		heap_insert(&u->least, &u->candidates[pool->members[i]].least, u->candidates[pool->members[i]].load);
	for (size_t t = 0; t < pool->topic_count; t++) {
		struct assignor_topic *topic = &u->g->topics[pool->topics[t]];

		for (int32_t p = 0; p < topic->partition_count; p++) {
			struct candidate *taker;

			if (topic->owners[p] >= 0)
				continue;
			taker = of_least(heap_first(&u->least));
			topic->owners[p] = (int32_t)(taker - u->candidates);
			taker->load++;
			heap_remove(&u->least, &taker->least);
			heap_insert(&u->least, &taker->least, taker->load);
		}
	}
	heap_clear(&u->least);
}

/* --- 3 -------------------------------------------------------------------------------------------------------------------- */

static int32_t difference(const struct uniform *u, const struct pool *pool)
{
	int32_t low = INT32_MAX, high = 0;

	for (size_t i = 0; i < pool->member_count; i++) {
		int32_t load = u->candidates[pool->members[i]].load;

		low = load < low ? load : low;
		high = load > high ? load : high;
	}
	return high - low;
}

static struct share *share_of(const struct uniform *u, const struct pool *pool, const struct candidate *c, size_t topic)
{
	return &u->shares[topic * pool->member_count + c->place];
}

/* Sorts one topic's partitions by owner, behind the `at` that lie in the stacks already. */
static int32_t stack_topic(struct uniform *u, const struct pool *pool, size_t t, int32_t at)
{
	const struct assignor_topic *topic = &u->g->topics[pool->topics[t]];

	u->stacks = mem_grow(u->stacks, &u->stack_capacity, (size_t)(at + topic->partition_count), sizeof(*u->stacks));
	for (int32_t p = 0; p < topic->partition_count; p++)
		share_of(u, pool, &u->candidates[topic->owners[p]], t)->own++;
	for (size_t i = 0; i < pool->member_count; i++) {
		struct share *s = &u->shares[t * pool->member_count + i];

		s->first = at;
		at += s->own;
		u->candidates[pool->members[i]].held += s->own;
	}
	for (int32_t p = 0; p < topic->partition_count; p++) {
		struct share *s = share_of(u, pool, &u->candidates[topic->owners[p]], t);

		u->stacks[s->first + s->held++] = p;
	}
	return at;
}

static void look_at(struct uniform *u, const struct pool *pool)
{
	size_t share_count = pool->topic_count * pool->member_count;
	int32_t at = 0;

	u->shares = mem_grow(u->shares, &u->share_capacity, share_count, sizeof(*u->shares));
	memset(u->shares, 0, share_count * sizeof(*u->shares));
	for (size_t i = 0; i < pool->member_count; i++) {
		u->candidates[pool->members[i]].place = i;
		u->candidates[pool->members[i]].held = 0;
	}
	for (size_t t = 0; t < pool->topic_count; t++)
		at = stack_topic(u, pool, t, at);
	for (size_t i = 0; i < pool->member_count; i++) {
		struct candidate *c = &u->candidates[pool->members[i]];

		heap_insert(&u->least, &c->least, c->load);
		if (c->held)
			heap_insert(&u->most, &c->most, -(int64_t)c->load);
	}
}

static void reinsert(struct uniform *u, struct candidate *c)
{
	heap_remove(&u->least, &c->least);
	heap_insert(&u->least, &c->least, c->load);
	if (heap_linked(&c->most))
		heap_remove(&u->most, &c->most);
	if (c->held)
		heap_insert(&u->most, &c->most, -(int64_t)c->load);
}

static void give(struct uniform *u, const struct pool *pool, struct candidate *giver, struct candidate *taker)
{
	struct share *from;
	int32_t most = INT32_MIN;
	size_t topic = 0;

	for (size_t t = 0; t < pool->topic_count; t++) {
		int32_t more = share_of(u, pool, giver, t)->own - share_of(u, pool, taker, t)->own;

		if (share_of(u, pool, giver, t)->held && more > most) {
			most = more;
			topic = t;
		}
	}
	from = share_of(u, pool, giver, topic);
	must(from->held > 0);
	u->g->topics[pool->topics[topic]].owners[u->stacks[from->first + --from->held]] = (int32_t)(taker -
												    u->candidates);
	from->own--;
	giver->held--;
	giver->load--;
	share_of(u, pool, taker, topic)->own++;
	taker->load++;
	reinsert(u, giver);
	reinsert(u, taker);
}

/* Moves while who has most has more than `slack` more than who has least. */
static size_t even_out(struct uniform *u, const struct pool *pool, int32_t slack)
{
	size_t moves = 0;

	if (difference(u, pool) <= slack)
		return 0;
	look_at(u, pool);
	while (heap_first(&u->most)) {
		struct candidate *giver = of_most(heap_first(&u->most));
		struct candidate *taker = of_least(heap_first(&u->least));

		if (giver->load - taker->load <= slack)
			break;
		give(u, pool, giver, taker);
		moves++;
	}
	heap_clear(&u->least);
	heap_clear(&u->most);
	return moves;
}

static size_t pass(struct uniform *u, int32_t slack)
{
	size_t moves = 0;

	for (size_t i = 0; i < u->pool_count; i++)
		moves += even_out(u, &u->pools[i], slack);
	return moves;
}

void assignor_uniform(struct assignor_input *g)
{
	struct uniform u = {.g = g, .candidates = mem_zalloc((g->member_count + 1) * sizeof(struct candidate))};
	int32_t slack = 1;

	subscribers_init(&u.subscribers, g, NULL);
	make_pools(&u);
	heap_init(&u.least);
	heap_init(&u.most);

	drop_unwanted(&u);
	for (size_t i = 0; i < u.pool_count; i++)
		give_unowned(&u, &u.pools[i]);
	for (size_t m = 0; m < g->member_count; m++)
		while (slack < u.candidates[m].load)
			slack *= 2;
	for (; slack > 1; slack /= 2)
		pass(&u, slack);
	for (int i = 0; i < MAX_PASSES && pass(&u, 1); i++)
		;

	heap_fini(&u.least);
	heap_fini(&u.most);
	subscribers_fini(&u.subscribers);
	mem_free(u.topics);
	mem_free(u.pools);
	mem_free(u.shares);
	mem_free(u.stacks);
	mem_free(u.candidates);
}
