/*
 * assign_range: of each topic a run of partitions to each of its members. With racks (KIP-881) first what is near: topics that the same members read
 * and that have equally many partitions stay together, so that joins of them find their keys.
 */
#include <stdlib.h>

#include "base/java_hash.h"
#include "client/assign_own.h"

/* One topic while it is shared out. */
struct range_topic {
	const struct plan_topic *of;
	uint32_t number;
	uint32_t *members; /* in order */
	uint32_t *got;     /* how many each of them has */
	uint32_t member_count;
	uint32_t each;   /* that every member gets */
	uint32_t extras; /* members that may get one more */
	uint32_t left;   /* partitions without owner */
	bool near;       /* racks make a difference */
	bool racked;     /* a member has a rack */
};

static uint32_t may_get(const struct range_topic *t, uint32_t place)
{
	uint32_t most = t->each + (t->extras > 0);

	return most > t->got[place] ? most - t->got[place] : 0;
}

static void give(struct plan *p, struct range_topic *t, uint32_t place, uint32_t partition, bool *ret_over)
{
	plan_give(p, t->members[place], t->of->first + partition);
	t->got[place]++;
	t->left--;
	*ret_over = t->got[place] > t->each;
}

static bool matches(const struct plan *p, const struct range_topic *t, uint32_t place, uint32_t partition)
{
	uint32_t rack = p->members[t->members[place]].rack;

	return !rack || (t->racked && plan_rack_has(p, t->of->first + partition, rack));
}

/* To each member in order what it may get, from the first partition that is left on. */
static void give_ranges(struct plan *p, struct range_topic *t, bool near_only)
{
	for (uint32_t place = 0; place < t->member_count && t->left > 0; place++) {
		uint32_t most = may_get(t, place);
		bool over = false;

		for (uint32_t i = 0; i < t->of->count && most > 0; i++) {
			if (p->owner[t->of->first + i] != NOBODY || (near_only && !matches(p, t, place, i)))
				continue;
			give(p, t, place, i, &over);
			most--;
		}
		/* Once for the whole run, as Java counts. */
		t->extras -= over;
	}
}

/* Partition i of all of them to the first member that is near to each and may still get one of each. */
static void give_together(struct plan *p, struct range_topic *const *topics, uint32_t count)
{
	const struct range_topic *first = topics[0];

	for (uint32_t i = 0; i < first->of->count; i++) {
		for (uint32_t place = 0; place < first->member_count; place++) {
			bool fits = true, over;

			for (uint32_t t = 0; t < count && fits; t++)
				fits = may_get(topics[t], place) > 0 && matches(p, topics[t], place, i);
			if (!fits)
				continue;
			for (uint32_t t = 0; t < count; t++) {
				give(p, topics[t], place, i, &over);
				topics[t]->extras -= over;
			}
			break;
		}
	}
}

static int by_members_and_size(const void *a, const void *b)
{
	const struct range_topic *x = *(const struct range_topic *const *)a, *y = *(const struct range_topic *const *)b;
	int order;

	if (x->racked != y->racked)
		return x->racked ? -1 : 1;
	if (x->of->count != y->of->count)
		return x->of->count < y->of->count ? -1 : 1;
	if (x->member_count != y->member_count)
		return x->member_count < y->member_count ? -1 : 1;
	order = x->member_count ? memcmp(x->members, y->members, x->member_count * sizeof(*x->members)) : 0;
	return order ? order : x->number < y->number ? -1 : x->number > y->number;
}

static bool same_readers(const struct range_topic *x, const struct range_topic *y)
{
	return x->of->count == y->of->count && x->member_count == y->member_count &&
	       memcmp(x->members, y->members, x->member_count * sizeof(*x->members)) == 0;
}

static bool give_near(struct plan *p, struct range_topic *topics)
{
	struct range_topic **sorted = arena_alloc_array(p->arena, p->topic_count, sizeof(struct range_topic *));

	if (!sorted)
		return false;
	for (uint32_t t = 0; t < p->topic_count; t++)
		sorted[t] = &topics[t];
	qsort(sorted, p->topic_count, sizeof(struct range_topic *), by_members_and_size);
	for (uint32_t from = 0, to; from < p->topic_count; from = to) {
		for (to = from + 1; to < p->topic_count && same_readers(sorted[from], sorted[to]);)
			to++;
		if (!sorted[from]->racked)
			continue;
		if (to - from > 1)
			give_together(p, sorted + from, to - from);
		else if (sorted[from]->near)
			give_ranges(p, sorted[from], true);
	}
	return true;
}

/* Each topic's members, in order, a member once however often it names the topic. */
static bool find_readers(struct plan *p, struct range_topic *topics)
{
	uint32_t *sorted = plan_members_sorted(p);
	size_t total = 0;
	uint32_t *places, *got;

	if (!sorted)
		return false;
	for (uint32_t m = 0; m < p->member_count; m++) {
		total += p->members[m].topic_count;
		for (uint32_t i = 0; i < p->members[m].topic_count; i++)
			topics[p->members[m].topics[i]].member_count++;
	}
	places = arena_alloc_array(p->arena, total + 1, sizeof(*places));
	got = arena_alloc_array(p->arena, total + 1, sizeof(*got));
	if (!places || !got)
		return false;
	for (uint32_t t = 0; t < p->topic_count; t++) {
		topics[t].members = places;
		topics[t].got = got;
		places += topics[t].member_count;
		got += topics[t].member_count;
		topics[t].member_count = 0;
	}
	for (uint32_t i = 0; i < p->member_count; i++) {
		const struct plan_member *m = &p->members[sorted[i]];

		for (uint32_t k = 0; k < m->topic_count; k++) {
			struct range_topic *t = &topics[m->topics[k]];

			if (t->member_count == 0 || t->members[t->member_count - 1] != sorted[i])
				t->members[t->member_count++] = sorted[i];
			t->racked = t->racked || m->rack;
		}
	}
	return true;
}

/* By topic and number, where racks mixed the order. */
static void sort_lists(struct plan *p)
{
	for (uint32_t m = 0; m < p->member_count; m++) {
		p->members[m].head = p->members[m].tail = NOBODY;
		p->members[m].count = 0;
	}
	for (uint32_t i = 0; i < p->partition_count; i++) {
		uint32_t owner = p->owner[i];

		p->owner[i] = NOBODY;
		if (owner != NOBODY)
			plan_give(p, owner, i);
	}
}

bool plan_range(struct plan *p)
{
	struct range_topic *topics = arena_alloc_array(p->arena, (size_t)p->topic_count + 1, sizeof(*topics));
	uint8_t *seen = arena_alloc_array(p->arena, (size_t)p->racks.count + 1, 1);
	bool near = false;

	if (!topics || !seen || !find_readers(p, topics))
		return false;
	for (uint32_t i = 0; i < p->topic_count; i++) {
		struct range_topic *t = &topics[i];

		t->of = &p->topics[i];
		t->number = i;
		t->left = t->of->count;
		t->each = t->of->count / t->member_count;
		t->extras = t->of->count % t->member_count;
		t->near = plan_racks_matter(p, t->members, t->member_count, t->of->first, t->of->first + t->of->count,
					    seen);
		near = near || t->near;
	}
	if (near && !give_near(p, topics))
		return false;
	for (uint32_t i = 0; i < p->topic_count; i++)
		give_ranges(p, &topics[p->topic_order[i]], false);
	if (near)
		sort_lists(p);
	return true;
}
