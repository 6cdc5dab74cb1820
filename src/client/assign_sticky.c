/* assign_sticky: who owned what, which of the two ways decides, and what a cooperative member has to give up first. See the header. */
#include "client/assign_sticky.h"

#include <stdlib.h>

#define NO_GENERATION (-1)

uint32_t sticky_partition(const struct plan *p, uint32_t topic, int32_t number)
{
	if (topic == NOBODY || number < 0 || (uint32_t)number >= p->topics[topic].count)
		return NOBODY;
	return p->topics[topic].first + (uint32_t)number;
}

bool sticky_rack_differs(const struct sticky_plan *s, uint32_t member, uint32_t partition)
{
	uint32_t rack = s->plan->members[member].rack;

	return s->racks_matter && rack && !plan_rack_has(s->plan, partition, rack);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

bool sticky_wants(const struct plan_member *m, uint32_t topic)
{
	return m->topic_count && bsearch(&topic, m->topics, m->topic_count, sizeof(topic), by_number);
}

/* --- who owned what ---------------------------------------------------------------------------------------------- */

/* `claimant[partition]` said last that it owns it. Another one says so too: the newer generation has it, of two alike none. */
static void claim(struct sticky_plan *s, uint32_t *claimant, uint32_t member, uint32_t partition)
{
	struct plan *p = s->plan;
	uint32_t other = claimant[partition];
	int32_t generation = s->members[member].generation, other_generation;

	if (other == NOBODY) {
		plan_give(p, member, partition);
		claimant[partition] = member;
		return;
	}
	/* Java asks the field even where the generation stands in the user data. */
	other_generation = p->members[other].of->subscription.generation_id;
	if (other_generation < 0)
		other_generation = NO_GENERATION;
	if (generation < other_generation)
		return;
	if (p->owner[partition] != NOBODY)
		plan_take(p, partition);
	if (generation > other_generation)
		plan_give(p, member, partition);
	else
		s->contested[partition] = 1;
	claimant[partition] = member;
}

static bool read_claims(struct sticky_plan *s)
{
	struct plan *p = s->plan;
	uint32_t *claimant = arena_alloc_array(p->arena, (size_t)p->partition_count + 1, sizeof(*claimant));

	if (!claimant)
		return false;
	for (uint32_t i = 0; i < p->partition_count; i++)
		claimant[i] = NOBODY;
	s->newest_generation = NO_GENERATION;
	for (uint32_t i = 0; i < p->member_count; i++) {
		uint32_t m = p->member_order[i];
		struct sticky_member *sm = &s->members[m];

		if (!assignor_owned(p->how, &p->members[m].of->subscription, p->arena, &sm->owned))
			return false;
		sm->generation = sm->owned.has_generation ? sm->owned.generation : NO_GENERATION;
		if (sm->generation > s->newest_generation)
			s->newest_generation = sm->generation;
		for (int32_t t = 0; t < sm->owned.count; t++) {
			uint32_t topic = plan_find_topic(p, sm->owned.partitions[t].topic);

			for (int32_t k = 0; k < sm->owned.partitions[t].partitions_count; k++) {
				uint32_t at = sticky_partition(p, topic, sm->owned.partitions[t].partitions[k]);

				if (at != NOBODY)
					claim(s, claimant, m, at);
			}
		}
	}
	return true;
}

static int by_bytes(const void *a, const void *b)
{
	return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

/*
 * Whether all want the same topics, known or not. As in Java a member that names one twice wants something else. Other than in Java so does one
 * that wants nothing and comes first, or that names as many with one twice: there they are given what they do not want.
 */
static bool same_subscriptions(const struct plan *p, bool *ret_same)
{
	const struct consumer_protocol_subscription *first;
	struct bytes *names;
	uint32_t *named_by; /* the member that named it last; its place, from 1 on */
	int32_t kept = 0;

	*ret_same = true;
	if (p->member_count == 0)
		return true;
	first = &p->members[p->member_order[0]].of->subscription;
	names = arena_alloc_array(p->arena, (size_t)first->topics_count + 1, sizeof(*names));
	named_by = arena_alloc_array(p->arena, (size_t)first->topics_count + 1, sizeof(*named_by));
	if (!names || !named_by)
		return false;
	for (int32_t i = 0; i < first->topics_count; i++)
		names[i] = first->topics[i];
	qsort(names, (size_t)first->topics_count, sizeof(*names), by_bytes);
	for (int32_t i = 0; i < first->topics_count; i++)
		if (kept == 0 || !bytes_equal(names[kept - 1], names[i]))
			names[kept++] = names[i];
	for (uint32_t i = 1; i < p->member_count && *ret_same; i++) {
		const struct consumer_protocol_subscription *s = &p->members[p->member_order[i]].of->subscription;

		*ret_same = s->topics_count == kept;
		for (int32_t t = 0; t < s->topics_count && *ret_same; t++) {
			const struct bytes *at = bsearch(&s->topics[t], names, (size_t)kept, sizeof(*names), by_bytes);

			*ret_same = at && named_by[at - names] != i;
			if (at)
				named_by[at - names] = i;
		}
	}
	return true;
}

/* --- cooperatively ----------------------------------------------------------------------------------------------- */

/*
 * Partitions that somebody says he owns and that another one was given: nobody gets them now. The old owner sees that they are not his, gives
 * them up, and joins again.
 */
static bool mark_moves(struct sticky_plan *s)
{
	struct plan *p = s->plan;
	uint8_t *kept = arena_alloc_array(p->arena, (size_t)p->partition_count + 1, 1);

	if (!kept)
		return false;
	for (uint32_t m = 0; m < p->member_count; m++) {
		const struct assign_owned *o = &s->members[m].owned;

		for (int32_t t = 0; t < o->count; t++) {
			uint32_t topic = plan_find_topic(p, o->partitions[t].topic);

			for (int32_t k = 0; k < o->partitions[t].partitions_count; k++) {
				uint32_t at = sticky_partition(p, topic, o->partitions[t].partitions[k]);

				if (at != NOBODY && p->owner[at] == m)
					kept[at] = 1;
				else if (at != NOBODY)
					s->on_the_move[at] = 1;
			}
		}
	}
	for (uint32_t i = 0; i < p->partition_count; i++)
		if (kept[i])
			s->on_the_move[i] = 0;
	return true;
}

bool plan_sticky(struct plan *p)
{
	size_t count = (size_t)p->partition_count + 1;
	uint32_t *all = arena_alloc_array(p->arena, (size_t)p->member_count + 1, sizeof(*all));
	uint8_t *seen = arena_alloc_array(p->arena, (size_t)p->racks.count + 1, 1);
	struct sticky_plan s = {
		.plan = p,
		.members = arena_alloc_array(p->arena, (size_t)p->member_count + 1, sizeof(*s.members)),
		.contested = arena_alloc_array(p->arena, count, 1),
		.on_the_move = arena_alloc_array(p->arena, count, 1),
	};
	bool same;

	if (!all || !seen || !s.members || !s.contested || !s.on_the_move || !same_subscriptions(p, &same))
		return false;
	for (uint32_t m = 0; m < p->member_count; m++) {
		all[m] = m;
		qsort(p->members[m].topics, p->members[m].topic_count, sizeof(uint32_t), by_number);
	}
	s.racks_matter = plan_racks_matter(p, all, p->member_count, 0, p->partition_count, seen);
	if (!read_claims(&s))
		return false;
	if (p->member_count == 0)
		return true;
	if (!(same ? sticky_fill_quotas(&s) : sticky_balance(&s)))
		return false;
	if (p->how != ASSIGNOR_COOPERATIVE_STICKY)
		return true;
	if (!same && !mark_moves(&s))
		return false;
	for (uint32_t i = 0; i < p->partition_count; i++)
		if (s.on_the_move[i] && p->owner[i] != NOBODY)
			plan_take(p, i);
	return true;
}
