/*
 * assign_sticky_balance: members want different topics. Each keeps what it owned and still wants, what is left goes to who has least of those that
 * want it, and then partitions move one by one from who has more to who has less, until no move would help.
 *
 * Moves of one topic between two members go one way only: before a partition goes from A to B, one that came from B to A goes back.
 */
#include <stdlib.h>

#include "base/java_hash.h"
#include "client/assign_sticky.h"

/* The partitions of one topic that went from one member to another, as a HashSet of Java's. */
struct move_set {
	struct move_set *next;
	uint32_t from;
	uint32_t to;
	uint32_t first; /* the oldest one, then balance.later */
	uint32_t last;
	uint32_t count;
	uint32_t buckets; /* a HashSet never shrinks */
};

struct balance {
	struct sticky_plan *s;
	struct plan *plan;
	uint32_t *line; /* members that take part, by how many they have, then by id */
	uint32_t line_count;
	uint32_t *readers;        /* of a topic */
	uint32_t *sorted;         /* partitions: topics with few readers first */
	uint32_t *previous_owner; /* a partition: in an older generation, or NOBODY */
	int32_t *previous_generation;
	bool revocation_required;
	/* Moves. */
	struct move_set **moves_of; /* a topic's */
	struct move_set **move_of;  /* a partition's, or NULL */
	uint32_t *later;            /* the next one of its set */
	uint32_t *topic_most;       /* for is_balanced */
	uint32_t *topic_least;
	bool balanced_known;
	bool balanced;
};

/* --- members by how many they have ------------------------------------------------------------------------------- */

static bool is_before(const struct plan *p, uint32_t a, uint32_t b)
{
	const struct plan_member *x = &p->members[a], *y = &p->members[b];

	return x->count != y->count ? x->count < y->count : x->rank < y->rank;
}

/* Where the member is, or would be. */
static uint32_t line_place(const struct balance *b, uint32_t member)
{
	uint32_t low = 0, high = b->line_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (is_before(b->plan, b->line[middle], member))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void line_leave(struct balance *b, uint32_t member)
{
	uint32_t place = line_place(b, member);

	must(place < b->line_count && b->line[place] == member);
	b->line_count--;
	memmove(b->line + place, b->line + place + 1, (b->line_count - place) * sizeof(*b->line));
}

static void line_enter(struct balance *b, uint32_t member)
{
	uint32_t place = line_place(b, member);

	memmove(b->line + place + 1, b->line + place, (b->line_count - place) * sizeof(*b->line));
	b->line[place] = member;
	b->line_count++;
}

/* Who has least of those that want the topic (and are near the partition); NOBODY. */
static uint32_t find_least(const struct balance *b, uint32_t partition, bool near_only)
{
	const struct plan *p = b->plan;

	for (uint32_t i = 0; i < b->line_count; i++)
		if (sticky_wants(&p->members[b->line[i]], p->topic_of[partition]) &&
		    !(near_only && sticky_rack_differs(b->s, b->line[i], partition)))
			return b->line[i];
	return NOBODY;
}

/* --- what was owned ---------------------------------------------------------------------------------------------- */

/* Owners in generations before the newest: to them a partition goes back when that helps. */
static void note_previous_owner(struct balance *b, uint32_t member)
{
	const struct plan *p = b->plan;
	const struct sticky_member *m = &b->s->members[member];

	/* Also where no generation was said, as long as anybody said one. */
	if (m->generation >= b->s->newest_generation)
		return;
	for (int32_t t = 0; t < m->owned.count; t++) {
		uint32_t topic = plan_find_topic(p, m->owned.partitions[t].topic);

		for (int32_t k = 0; k < m->owned.partitions[t].partitions_count; k++) {
			uint32_t at = sticky_partition(p, topic, m->owned.partitions[t].partitions[k]);

			if (at == NOBODY ||
			    (b->previous_owner[at] != NOBODY && m->generation <= b->previous_generation[at]))
				continue;
			b->previous_owner[at] = member;
			b->previous_generation[at] = m->generation;
		}
	}
}

/* What a member does not want any more, or where it is not near, leaves it. */
static void drop_unwanted(struct balance *b)
{
	struct plan *p = b->plan;

	for (uint32_t i = 0; i < p->partition_count; i++) {
		uint32_t owner = p->owner[i];

		if (owner == NOBODY ||
		    (sticky_wants(&p->members[owner], p->topic_of[i]) && !sticky_rack_differs(b->s, owner, i)))
			continue;
		plan_take(p, i);
		b->revocation_required = true;
	}
}

/* --- moves ------------------------------------------------------------------------------------------------------- */

static struct move_set *find_moves(const struct balance *b, uint32_t topic, uint32_t from, uint32_t to)
{
	struct move_set *m = b->moves_of[topic];

	while (m && (m->from != from || m->to != to))
		m = m->next;
	return m;
}

static void forget_move(struct balance *b, uint32_t partition)
{
	struct move_set *m = b->move_of[partition], **link = &b->moves_of[b->plan->topic_of[partition]];
	uint32_t *at = &m->first, before = NOBODY;

	while (*at != partition) {
		before = *at;
		at = &b->later[*at];
	}
	*at = b->later[partition];
	if (m->last == partition)
		m->last = before;
	m->count--;
	b->move_of[partition] = NULL;
	if (m->count > 0)
		return;
	while (*link != m)
		link = &(*link)->next;
	*link = m->next;
}

static bool note_move(struct balance *b, uint32_t partition, uint32_t from, uint32_t to)
{
	uint32_t topic = b->plan->topic_of[partition];
	struct move_set *m = find_moves(b, topic, from, to);

	if (!m) {
		m = arena_new(b->plan->arena, struct move_set);
		if (!m)
			return false;
		*m = (struct move_set){
			.next = b->moves_of[topic], .from = from, .to = to, .first = NOBODY, .last = NOBODY};
		b->moves_of[topic] = m;
	}
	if (m->last == NOBODY)
		m->first = partition;
	else
		b->later[m->last] = partition;
	m->last = partition;
	b->later[partition] = NOBODY;
	m->count++;
	if (java_buckets(m->count) > m->buckets)
		m->buckets = java_buckets(m->count);
	b->move_of[partition] = m;
	return true;
}

/* The one that a HashSet gives first. */
static uint32_t first_of(const struct balance *b, const struct move_set *m)
{
	const struct plan_topic *t = &b->plan->topics[b->plan->topic_of[m->first]];
	uint32_t topic_hash = (uint32_t)java_hash(t->name);
	uint32_t best = m->first, best_bucket = UINT32_MAX;

	for (uint32_t at = m->first; at != NOBODY; at = b->later[at]) {
		uint32_t hash = 31 * (31 + (at - t->first)) + topic_hash;
		uint32_t bucket = java_bucket((int32_t)hash, m->buckets);

		if (bucket < best_bucket) {
			best = at;
			best_bucket = bucket;
		}
	}
	return best;
}

/* Which partition of the topic really moves, when this one is to go to `to`. */
static uint32_t choose_move(const struct balance *b, uint32_t partition, uint32_t to)
{
	const struct move_set *mine = b->move_of[partition], *back;

	back = find_moves(b, b->plan->topic_of[partition], to, mine ? mine->from : b->plan->owner[partition]);
	return back ? first_of(b, back) : partition;
}

static bool move(struct balance *b, uint32_t partition, uint32_t to)
{
	struct plan *p = b->plan;
	uint32_t from, origin;

	partition = choose_move(b, partition, to);
	from = origin = p->owner[partition];
	line_leave(b, from);
	line_leave(b, to);
	if (b->move_of[partition]) {
		origin = b->move_of[partition]->from;
		forget_move(b, partition);
	}
	if (origin != to && !note_move(b, partition, origin, to))
		return false;
	plan_take(p, partition);
	plan_give(p, to, partition);
	line_enter(b, to);
	line_enter(b, from);
	b->balanced_known = false;
	return true;
}

/* --- balance ----------------------------------------------------------------------------------------------------- */

/* Nobody that has two fewer than an owner wants what that one has. */
static bool is_balanced(struct balance *b)
{
	const struct plan *p = b->plan;

	if (b->balanced_known)
		return b->balanced;
	b->balanced_known = true;
	b->balanced = true;
	if (p->members[b->line[0]].count + 1 >= p->members[b->line[b->line_count - 1]].count)
		return true;
	for (uint32_t t = 0; t < p->topic_count; t++) {
		b->topic_most[t] = 0;
		b->topic_least[t] = UINT32_MAX;
	}
	/* The line rises, so what comes last is the most. */
	for (uint32_t i = 0; i < b->line_count; i++) {
		const struct plan_member *m = &p->members[b->line[i]];

		for (uint32_t at = m->head; at != NOBODY; at = p->next[at])
			b->topic_most[p->topic_of[at]] = m->count;
		for (uint32_t k = 0; k < m->topic_count; k++)
			if (m->count < b->topic_least[m->topics[k]])
				b->topic_least[m->topics[k]] = m->count;
	}
	for (uint32_t t = 0; t < p->topic_count && b->balanced; t++)
		b->balanced = b->topic_most[t] == 0 || b->topic_least[t] >= b->topic_most[t] - 1;
	return b->balanced;
}

static bool improve(struct balance *b, const uint32_t *partitions, uint32_t count, bool *ret_moved)
{
	struct plan *p = b->plan;
	uint32_t rounds = 0;
	bool moved;

	/* Each round that moves something makes it more even; the bound is for what nobody has proven. */
	do {
		moved = false;
		for (uint32_t i = 0; i < count && !is_balanced(b); i++) {
			uint32_t at = partitions[i], owner = p->owner[at], before = b->previous_owner[at], to;

			to = find_least(b, at, false);
			if (before != NOBODY && before != owner &&
			    p->members[owner].count > p->members[before].count + 1 &&
			    sticky_wants(&p->members[before], p->topic_of[at]))
				to = before;
			if (to == NOBODY || p->members[owner].count <= p->members[to].count + 1)
				continue;
			if (!move(b, at, to))
				return false;
			moved = true;
		}
		*ret_moved = *ret_moved || moved;
	} while (moved && rounds++ < p->partition_count);
	return true;
}

static int by_count(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The sum of the differences of all pairs. */
static uint64_t score(const struct balance *b, uint32_t *space)
{
	uint64_t sum = 0, before = 0;

	for (uint32_t i = 0; i < b->line_count; i++)
		space[i] = b->plan->members[b->line[i]].count;
	qsort(space, b->line_count, sizeof(*space), by_count);
	for (uint32_t i = 0; i < b->line_count; i++) {
		sum += (uint64_t)space[i] * i - before;
		before += space[i];
	}
	return sum;
}

/* A member without a choice: it has all that it could, and nobody else wants any of it. */
static bool takes_part(const struct balance *b, uint32_t member)
{
	const struct plan *p = b->plan;
	const struct plan_member *m = &p->members[member];
	uint64_t most = 0;

	for (uint32_t i = 0; i < m->topic_count; i++)
		most += p->topics[m->topics[i]].count;
	if (m->topic_count == p->topic_count)
		most = p->partition_count;
	if (m->count < most)
		return true;
	for (uint32_t at = m->head; at != NOBODY; at = p->next[at])
		if (b->readers[p->topic_of[at]] >= 2)
			return true;
	return false;
}

static void give_rest(struct balance *b, const uint32_t *rest, uint32_t count, bool near_only)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t to;

		if (b->plan->owner[rest[i]] != NOBODY)
			continue;
		to = find_least(b, rest[i], near_only);
		if (to == NOBODY)
			continue;
		line_leave(b, to);
		plan_give(b->plan, to, rest[i]);
		line_enter(b, to);
	}
}

/* The lists as they stand, to come back to. */
struct lists {
	struct plan_member *members;
	uint32_t *owner;
	uint32_t *next;
	uint32_t *previous;
};

static void *copy_array(struct arena *a, const void *from, size_t count, size_t size)
{
	void *to = arena_alloc_array(a, count + 1, size);

	if (to)
		memcpy(to, from, count * size);
	return to;
}

static bool save_lists(const struct plan *p, struct lists *l)
{
	l->members = copy_array(p->arena, p->members, p->member_count, sizeof(*l->members));
	l->owner = copy_array(p->arena, p->owner, p->partition_count, sizeof(*l->owner));
	l->next = copy_array(p->arena, p->next, p->partition_count, sizeof(*l->next));
	l->previous = copy_array(p->arena, p->previous, p->partition_count, sizeof(*l->previous));
	return l->members && l->owner && l->next && l->previous;
}

/* Leaves out what has one reader only. */
static uint32_t keep_movable(const struct balance *b, uint32_t *partitions, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++)
		if (b->readers[b->plan->topic_of[partitions[i]]] >= 2)
			partitions[kept++] = partitions[i];
	return kept;
}

static void leave_out_fixed(struct balance *b)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < b->line_count; i++)
		if (takes_part(b, b->line[i]))
			b->line[kept++] = b->line[i];
	b->line_count = kept;
}

static bool balance(struct balance *b, uint32_t *rest, uint32_t rest_count, uint32_t *space)
{
	struct plan *p = b->plan;
	uint32_t sorted_count = p->partition_count;
	bool fresh = p->members[b->line[b->line_count - 1]].count == 0, moved = false;
	uint64_t score_before;
	struct lists before;

	if (b->s->racks_matter)
		give_rest(b, rest, rest_count, true);
	give_rest(b, rest, rest_count, false);
	sorted_count = keep_movable(b, b->sorted, sorted_count);
	rest_count = keep_movable(b, rest, rest_count);
	leave_out_fixed(b);
	if (b->line_count == 0)
		return true;
	score_before = score(b, space);
	if (!save_lists(p, &before))
		return false;
	if (!b->revocation_required && !improve(b, rest, rest_count, &(bool){false}))
		return false;
	if (!improve(b, b->sorted, sorted_count, &moved))
		return false;
	/* Whoever had something keeps it, if that is no less even. */
	if (!fresh && moved && score(b, space) >= score_before) {
		p->members = before.members;
		p->owner = before.owner;
		p->next = before.next;
		p->previous = before.previous;
	}
	return true;
}

/* --- the start --------------------------------------------------------------------------------------------------- */

struct topic_readers {
	uint32_t readers;
	uint32_t topic;
};

static int by_readers(const void *a, const void *b)
{
	const struct topic_readers *x = a, *y = b;

	if (x->readers != y->readers)
		return x->readers < y->readers ? -1 : 1;
	return x->topic < y->topic ? -1 : x->topic > y->topic;
}

static bool sort_partitions(struct balance *b)
{
	const struct plan *p = b->plan;
	struct topic_readers *topics = arena_alloc_array(p->arena, (size_t)p->topic_count + 1, sizeof(*topics));
	uint32_t count = 0;

	if (!topics)
		return false;
	for (uint32_t m = 0; m < p->member_count; m++)
		for (uint32_t i = 0; i < p->members[m].topic_count; i++)
			b->readers[p->members[m].topics[i]]++;
	for (uint32_t t = 0; t < p->topic_count; t++)
		topics[t] = (struct topic_readers){b->readers[t], t};
	qsort(topics, p->topic_count, sizeof(*topics), by_readers);
	for (uint32_t t = 0; t < p->topic_count; t++)
		for (uint32_t i = 0; i < p->topics[topics[t].topic].count; i++)
			b->sorted[count++] = p->topics[topics[t].topic].first + i;
	return true;
}

static bool make_room(struct balance *b)
{
	struct arena *a = b->plan->arena;
	size_t partitions = (size_t)b->plan->partition_count + 1, topics = (size_t)b->plan->topic_count + 1;

	b->line = arena_alloc_array(a, (size_t)b->plan->member_count + 1, sizeof(*b->line));
	b->readers = arena_alloc_array(a, topics, sizeof(*b->readers));
	b->sorted = arena_alloc_array(a, partitions, sizeof(*b->sorted));
	b->previous_owner = arena_alloc_array(a, partitions, sizeof(*b->previous_owner));
	b->previous_generation = arena_alloc_array(a, partitions, sizeof(*b->previous_generation));
	b->moves_of = arena_alloc_array(a, topics, sizeof(struct move_set *));
	b->move_of = arena_alloc_array(a, partitions, sizeof(struct move_set *));
	b->later = arena_alloc_array(a, partitions, sizeof(*b->later));
	b->topic_most = arena_alloc_array(a, topics, sizeof(*b->topic_most));
	b->topic_least = arena_alloc_array(a, topics, sizeof(*b->topic_least));
	return b->line && b->readers && b->sorted && b->previous_owner && b->previous_generation && b->moves_of &&
	       b->move_of && b->later && b->topic_most && b->topic_least;
}

bool sticky_balance(struct sticky_plan *s)
{
	struct plan *p = s->plan;
	struct balance b = {.s = s, .plan = p};
	uint32_t *rest = arena_alloc_array(p->arena, (size_t)p->partition_count + 1, sizeof(*rest));
	uint32_t *space = arena_alloc_array(p->arena, (size_t)p->member_count + 1, sizeof(*space));
	uint32_t rest_count = 0;

	if (!rest || !space || !make_room(&b) || !sort_partitions(&b))
		return false;
	for (uint32_t i = 0; i < p->partition_count; i++)
		b.previous_owner[i] = NOBODY;
	for (uint32_t m = 0; m < p->member_count; m++)
		note_previous_owner(&b, p->member_order[m]);
	drop_unwanted(&b);
	for (uint32_t i = 0; i < p->partition_count; i++)
		if (p->owner[b.sorted[i]] == NOBODY)
			rest[rest_count++] = b.sorted[i];
	for (uint32_t m = 0; m < p->member_count; m++)
		line_enter(&b, m);
	return balance(&b, rest, rest_count, space);
}
