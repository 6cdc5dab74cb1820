/*
 * assign_sticky_quota: all members want the same topics, so each gets as many partitions as the next, or one more. First what it owned, up to its
 * quota; then what is near, in turn; then the rest, in turn.
 */
#include <stdlib.h>

#include "client/assign_sticky.h"

/* Members in an order, from which some leave. */
struct line {
	uint32_t *members;
	uint32_t count;
};

struct quotas {
	struct sticky_plan *s;
	struct plan *plan;
	uint32_t least;         /* partitions of each member */
	uint32_t most;          /* the same, or one more */
	uint32_t over_wanted;   /* how many members get more than the least; 0 when it comes out even */
	uint32_t over;          /* how many have */
	struct line hungry;     /* have fewer than the least */
	struct line content;    /* have the least, and may get one more */
	uint32_t *revoked_from; /* a partition: its owner had to leave it, or NOBODY */
};

static void line_add(struct line *l, uint32_t member)
{
	l->members[l->count++] = member;
}

static void line_remove(struct line *l, uint32_t place)
{
	l->count--;
	memmove(l->members + place, l->members + place + 1, (l->count - place) * sizeof(*l->members));
}

static void one_more_is_over(struct quotas *q)
{
	if (++q->over == q->over_wanted)
		q->content.count = 0;
}

/* --- what was owned ---------------------------------------------------------------------------------------------- */

struct sorted_partition {
	uint64_t key; /* its number in the topic, then the topic */
	uint32_t partition;
};

static int by_key(const void *a, const void *b)
{
	const struct sorted_partition *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* Takes the member's list apart: what it may keep comes out, sorted. */
static uint32_t take_owned(struct quotas *q, uint32_t member, struct sorted_partition *owned)
{
	struct plan *p = q->plan;
	uint32_t count = 0;

	while (p->members[member].head != NOBODY) {
		uint32_t at = p->members[member].head;
		uint32_t topic = p->topic_of[at];

		plan_take(p, at);
		if (sticky_rack_differs(q->s, member, at))
			q->revoked_from[at] = member;
		else if (!q->s->contested[at])
			owned[count++] = (struct sorted_partition){
				.key = (uint64_t)(at - p->topics[topic].first) << 32 | topic, .partition = at};
	}
	qsort(owned, count, sizeof(*owned), by_key);
	return count;
}

static void keep(struct quotas *q, uint32_t member, const struct sorted_partition *owned, uint32_t count,
		 uint32_t quota)
{
	for (uint32_t i = 0; i < count; i++) {
		if (i < quota)
			plan_give(q->plan, member, owned[i].partition);
		else
			q->revoked_from[owned[i].partition] = member;
	}
}

static bool keep_owned(struct quotas *q)
{
	struct plan *p = q->plan;
	struct sorted_partition *owned = arena_alloc_array(p->arena, (size_t)p->partition_count + 1, sizeof(*owned));

	if (!owned)
		return false;
	for (uint32_t i = 0; i < p->member_count; i++) {
		uint32_t m = p->member_order[i];
		uint32_t count = take_owned(q, m, owned);

		if (count < q->least) {
			keep(q, m, owned, count, count);
			line_add(&q->hungry, m);
		} else if (count >= q->most && q->over < q->over_wanted) {
			one_more_is_over(q);
			keep(q, m, owned, count, q->most);
		} else {
			keep(q, m, owned, count, q->least);
			if (q->over < q->over_wanted)
				line_add(&q->content, m);
		}
	}
	return true;
}

/* --- the rest ---------------------------------------------------------------------------------------------------- */

static uint32_t give(struct quotas *q, uint32_t member, uint32_t partition)
{
	uint32_t from = q->revoked_from[partition];

	plan_give(q->plan, member, partition);
	if ((from != NOBODY && from != member) || q->s->contested[partition])
		q->s->on_the_move[partition] = 1;
	return q->plan->members[member].count;
}

/* The first of the line from `from` on, around, that is near the partition; NOBODY. */
static uint32_t find_near(const struct quotas *q, const struct line *l, uint32_t partition, uint32_t from)
{
	const struct plan *p = q->plan;

	for (uint32_t i = 0; i < l->count; i++) {
		uint32_t place = (from + i) % l->count;
		uint32_t rack = p->members[l->members[place]].rack;

		if (rack && plan_rack_has(p, partition, rack))
			return place;
	}
	return NOBODY;
}

/* To a hungry one; `*turn` is whose turn it is in their line. */
static uint32_t feed_near(struct quotas *q, uint32_t place, uint32_t *turn)
{
	uint32_t member = q->hungry.members[place];
	uint32_t count = q->plan->members[member].count + 1;

	if (count >= q->least) {
		line_remove(&q->hungry, place);
		if (count < q->most && q->over < q->over_wanted)
			line_add(&q->content, member);
	} else {
		place++;
	}
	*turn = q->hungry.count ? place % q->hungry.count : 0;
	return member;
}

static uint32_t serve_near(struct quotas *q, uint32_t place)
{
	uint32_t member = q->content.members[place];

	if (q->plan->members[member].count + 1 == q->most) {
		line_remove(&q->content, place);
		one_more_is_over(q);
	}
	return member;
}

static void give_near(struct quotas *q, const uint32_t *rest, uint32_t count)
{
	uint32_t turn = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t place = find_near(q, &q->hungry, rest[i], turn);

		if (place != NOBODY) {
			give(q, feed_near(q, place, &turn), rest[i]);
			continue;
		}
		place = find_near(q, &q->content, rest[i], 0);
		if (place != NOBODY)
			give(q, serve_near(q, place), rest[i]);
	}
}

static void give_in_turn(struct quotas *q, const uint32_t *rest, uint32_t count)
{
	uint32_t turn = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t member, has;

		if (q->plan->owner[rest[i]] != NOBODY)
			continue;
		if (turn >= q->hungry.count)
			turn = 0;
		if (q->hungry.count > 0) {
			member = q->hungry.members[turn++];
		} else {
			/* The quotas add up to all partitions, so somebody is left. */
			must(q->content.count > 0);
			member = q->content.members[0];
			line_remove(&q->content, 0);
		}
		has = give(q, member, rest[i]);
		if (has == q->least) {
			line_remove(&q->hungry, --turn);
			line_add(&q->content, member);
		} else if (has == q->most) {
			q->over++;
		}
	}
}

/* --- orders ------------------------------------------------------------------------------------------------------ */

struct ranked {
	uint32_t rank;
	uint32_t value;
};

static int by_rank(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static void sort_line(const struct plan *p, struct line *l, struct ranked *space)
{
	for (uint32_t i = 0; i < l->count; i++)
		space[i] = (struct ranked){p->members[l->members[i]].rank, l->members[i]};
	qsort(space, l->count, sizeof(*space), by_rank);
	for (uint32_t i = 0; i < l->count; i++)
		l->members[i] = space[i].value;
}

/* What nobody owns; when racks are known, first what few members are near to. */
static uint32_t collect_rest(const struct plan *p, struct ranked *space, uint32_t *members_in, uint32_t *rest)
{
	uint32_t count = 0;

	for (uint32_t m = 0; m < p->member_count && p->racks.first; m++)
		members_in[p->members[m].rack]++;
	for (uint32_t i = 0; i < p->partition_count; i++) {
		if (p->owner[i] != NOBODY)
			continue;
		space[count] = (struct ranked){.value = i};
		for (uint32_t r = p->racks.first ? p->racks.first[i] : 0; p->racks.first && r < p->racks.first[i + 1];
		     r++)
			space[count].rank += members_in[p->racks.numbers[r]];
		count++;
	}
	qsort(space, count, sizeof(*space), by_rank);
	for (uint32_t i = 0; i < count; i++)
		rest[i] = space[i].value;
	return count;
}

bool sticky_fill_quotas(struct sticky_plan *s)
{
	struct plan *p = s->plan;
	size_t partitions = (size_t)p->partition_count + 1, members = (size_t)p->member_count + 1;
	struct ranked *space = arena_alloc_array(p->arena, partitions + members, sizeof(*space));
	uint32_t *members_in = arena_alloc_array(p->arena, (size_t)p->racks.count + 1, sizeof(*members_in));
	uint32_t *rest = arena_alloc_array(p->arena, partitions, sizeof(*rest));
	struct quotas q = {
		.s = s,
		.plan = p,
		.least = p->partition_count / p->member_count,
		.over_wanted = p->partition_count % p->member_count,
		.hungry.members = arena_alloc_array(p->arena, members, sizeof(uint32_t)),
		.content.members = arena_alloc_array(p->arena, members, sizeof(uint32_t)),
		.revoked_from = arena_alloc_array(p->arena, partitions, sizeof(uint32_t)),
	};
	uint32_t count;

	if (!space || !members_in || !rest || !q.hungry.members || !q.content.members || !q.revoked_from)
		return false;
	q.most = q.least + (q.over_wanted > 0);
	for (uint32_t i = 0; i < p->partition_count; i++)
		q.revoked_from[i] = NOBODY;
	if (!keep_owned(&q))
		return false;
	sort_line(p, &q.hungry, space);
	sort_line(p, &q.content, space);
	count = collect_rest(p, space, members_in, rest);
	if (s->racks_matter)
		give_near(&q, rest, count);
	give_in_turn(&q, rest, count);
	return true;
}
