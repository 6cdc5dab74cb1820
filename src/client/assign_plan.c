/* assign_plan: a question becomes numbers, and what was decided becomes assignments. See assign_own.h. */
#include <stdlib.h>

#include "base/java_hash.h"
#include "client/assign_own.h"
#include "protocol/codec.h"

/* --- the order of Java's maps ------------------------------------------------------------------------------------ */

uint32_t java_bucket(int32_t hash, uint32_t buckets)
{
	uint32_t h = (uint32_t)hash;

	return (h ^ (h >> 16)) & (buckets - 1);
}

uint32_t java_buckets(uint32_t count)
{
	uint64_t buckets = 16;

	while (count > buckets / 4 * 3)
		buckets *= 2;
	return (uint32_t)(buckets < UINT32_C(1) << 30 ? buckets : UINT32_C(1) << 30);
}

static int by_bucket(const void *a, const void *b)
{
	const struct java_key *x = a, *y = b;

	if (x->bucket != y->bucket)
		return x->bucket < y->bucket ? -1 : 1;
	return x->age < y->age ? -1 : x->age > y->age;
}

void java_map_order(struct java_key *keys, uint32_t count)
{
	uint32_t buckets = java_buckets(count);

	for (uint32_t i = 0; i < count; i++) {
		keys[i].bucket = java_bucket(keys[i].hash, buckets);
		keys[i].age = i;
	}
	qsort(keys, count, sizeof(*keys), by_bucket);
}

/* --- members ----------------------------------------------------------------------------------------------------- */

struct named {
	struct bytes name;
	struct bytes instance_id;
	uint32_t value;
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = java_compare(x->name, y->name);

	if (order)
		return order;
	return x->value < y->value ? -1 : x->value > y->value;
}

static int by_member_info(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	bool x_static = !bytes_is_null(x->instance_id), y_static = !bytes_is_null(y->instance_id);

	if (x_static && y_static) {
		int order = java_compare(x->instance_id, y->instance_id);

		return order ? order : by_name(a, b);
	}
	if (x_static != y_static)
		return x_static ? -1 : 1;
	return by_name(a, b);
}

static struct named *members_by(const struct plan *p, int (*order)(const void *, const void *))
{
	struct named *sorted = arena_alloc_array(p->arena, p->member_count, sizeof(*sorted));

	if (!sorted)
		return NULL;
	for (uint32_t m = 0; m < p->member_count; m++)
		sorted[m] = (struct named){p->members[m].of->id, p->members[m].of->instance_id, m};
	qsort(sorted, p->member_count, sizeof(*sorted), order);
	return sorted;
}

uint32_t *plan_members_sorted(const struct plan *p)
{
	struct named *sorted = members_by(p, by_member_info);
	uint32_t *numbers = arena_alloc_array(p->arena, p->member_count, sizeof(*numbers));

	if (!sorted || !numbers)
		return NULL;
	for (uint32_t m = 0; m < p->member_count; m++)
		numbers[m] = sorted[m].value;
	return numbers;
}

static bool order_members(struct plan *p)
{
	struct named *sorted = members_by(p, by_name);
	struct java_key *keys = arena_alloc_array(p->arena, p->member_count, sizeof(*keys));

	p->member_order = arena_alloc_array(p->arena, p->member_count, sizeof(*p->member_order));
	if (!sorted || !keys || !p->member_order)
		return false;
	for (uint32_t m = 0; m < p->member_count; m++) {
		p->members[sorted[m].value].rank = m;
		keys[m] = (struct java_key){.hash = java_hash(p->members[m].of->id), .value = m};
	}
	java_map_order(keys, p->member_count);
	for (uint32_t m = 0; m < p->member_count; m++)
		p->member_order[m] = keys[m].value;
	return true;
}

/* --- topics ------------------------------------------------------------------------------------------------------ */

static uint32_t find_named(const struct named *sorted, uint32_t count, struct bytes name)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = java_compare(sorted[middle].name, name);

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NOBODY;
}

uint32_t plan_find_topic(const struct plan *p, struct bytes name)
{
	uint32_t low = 0, high = p->topic_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = java_compare(p->topics[middle].name, name);

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NOBODY;
}

/* Every name that is subscribed to, once, in Java's order; `*ret_count` of them. */
static struct named *subscribed_names(struct plan *p, uint32_t *ret_count)
{
	struct named *all;
	uint32_t count = 0, kept = 0;
	size_t total = 0;

	for (uint32_t m = 0; m < p->member_count; m++)
		total += (size_t)p->members[m].of->subscription.topics_count;
	all = total < UINT32_MAX ? arena_alloc_array(p->arena, total + 1, sizeof(*all)) : NULL;
	if (!all)
		return NULL;
	/* `value` is how early a HashSet met the name, for the order in which it is walked. */
	for (uint32_t m = 0; m < p->member_count; m++) {
		const struct consumer_protocol_subscription *s = &p->members[p->member_order[m]].of->subscription;

		for (int32_t i = 0; i < s->topics_count; i++, count++)
			all[count] = (struct named){.name = s->topics[i], .value = count};
	}
	qsort(all, count, sizeof(*all), by_name);
	for (uint32_t i = 0; i < count; i++)
		if (kept == 0 || !bytes_equal(all[kept - 1].name, all[i].name))
			all[kept++] = all[i];
	*ret_count = kept;
	return all;
}

static int by_value(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

/* Java walks first the set of all names, then the map of those that it knows. */
static bool order_topics(struct plan *p, struct named *names, uint32_t name_count)
{
	struct java_key *keys = arena_alloc_array(p->arena, (size_t)name_count + 1, sizeof(*keys));
	uint32_t known = 0;

	p->topic_order = arena_alloc_array(p->arena, (size_t)p->topic_count + 1, sizeof(*p->topic_order));
	if (!keys || !p->topic_order)
		return false;
	qsort(names, name_count, sizeof(*names), by_value);
	for (uint32_t i = 0; i < name_count; i++)
		keys[i] = (struct java_key){.hash = java_hash(names[i].name),
					    .value = plan_find_topic(p, names[i].name)};
	java_map_order(keys, name_count);
	for (uint32_t i = 0; i < name_count; i++)
		if (keys[i].value != NOBODY)
			keys[known++] = keys[i];
	java_map_order(keys, known);
	for (uint32_t i = 0; i < known; i++)
		p->topic_order[i] = keys[i].value;
	return true;
}

static enum err number_topics(struct plan *p, const struct assign_question *q)
{
	uint32_t name_count;
	struct named *names = subscribed_names(p, &name_count);
	struct named *known;
	uint32_t known_count = 0;
	uint64_t total = 0;

	if (!names)
		return ERR_NO_MEMORY;
	known = arena_alloc_array(p->arena, q->topic_count + 1, sizeof(*known));
	p->topics = arena_alloc_array(p->arena, q->topic_count + 1, sizeof(*p->topics));
	if (!known || !p->topics)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < q->topic_count; i++)
		if (q->topics[i].partition_count > 0 && find_named(names, name_count, q->topics[i].name) != NOBODY)
			known[known_count++] = (struct named){.name = q->topics[i].name, .value = (uint32_t)i};
	qsort(known, known_count, sizeof(*known), by_name);
	for (uint32_t i = 0; i < known_count; i++) {
		const struct assign_topic *t = &q->topics[known[i].value];

		p->topics[i] = (struct plan_topic){.name = t->name,
						   .first = (uint32_t)total,
						   .count = (uint32_t)t->partition_count,
						   .racks = t->racks};
		total += (uint32_t)t->partition_count;
		if (total > INT32_MAX)
			return ERR_TOO_BIG;
	}
	p->topic_count = known_count;
	p->partition_count = (uint32_t)total;
	return order_topics(p, names, name_count) ? OK : ERR_NO_MEMORY;
}

static bool number_subscriptions(struct plan *p)
{
	for (uint32_t m = 0; m < p->member_count; m++) {
		struct plan_member *member = &p->members[m];
		const struct consumer_protocol_subscription *s = &member->of->subscription;

		member->topics = arena_alloc_array(p->arena, (size_t)s->topics_count + 1, sizeof(*member->topics));
		if (!member->topics)
			return false;
		for (int32_t i = 0; i < s->topics_count; i++) {
			uint32_t t = plan_find_topic(p, s->topics[i]);

			if (t != NOBODY)
				member->topics[member->topic_count++] = t;
		}
	}
	return true;
}

/* --- racks ------------------------------------------------------------------------------------------------------- */

static size_t count_replicas(const struct plan *p)
{
	size_t total = 0;

	for (uint32_t t = 0; t < p->topic_count; t++)
		for (uint32_t i = 0; p->topics[t].racks && i < p->topics[t].count; i++)
			total += p->topics[t].racks[i].count;
	return total;
}

/* All racks of members and replicas, each once, by name. */
static struct named *rack_names(const struct plan *p, size_t replicas, uint32_t *ret_count)
{
	struct named *all = arena_alloc_array(p->arena, replicas + p->member_count + 1, sizeof(*all));
	uint32_t count = 0, kept = 0;

	if (!all)
		return NULL;
	for (uint32_t m = 0; m < p->member_count; m++)
		if (p->members[m].of->subscription.rack_id.size > 0)
			all[count++].name = p->members[m].of->subscription.rack_id;
	for (uint32_t t = 0; t < p->topic_count; t++)
		for (uint32_t i = 0; p->topics[t].racks && i < p->topics[t].count; i++)
			for (size_t r = 0; r < p->topics[t].racks[i].count; r++)
				if (!bytes_is_null(p->topics[t].racks[i].racks[r]))
					all[count++].name = p->topics[t].racks[i].racks[r];
	qsort(all, count, sizeof(*all), by_name);
	for (uint32_t i = 0; i < count; i++)
		if (kept == 0 || !bytes_equal(all[kept - 1].name, all[i].name))
			all[kept++] = all[i];
	*ret_count = kept;
	return all;
}

bool plan_rack_has(const struct plan *p, uint32_t partition, uint32_t rack)
{
	for (uint32_t i = p->racks.first[partition]; i < p->racks.first[partition + 1]; i++)
		if (p->racks.numbers[i] == rack)
			return true;
	return false;
}

static void number_partition_racks(struct plan *p, const struct named *names, uint32_t partition,
				   const struct assign_racks *racks)
{
	p->racks.first[partition + 1] = p->racks.first[partition];
	for (size_t r = 0; racks && r < racks->count; r++) {
		uint32_t number;

		if (bytes_is_null(racks->racks[r]))
			continue;
		number = find_named(names, p->racks.count, racks->racks[r]) + 1;
		if (!plan_rack_has(p, partition, number))
			p->racks.numbers[p->racks.first[partition + 1]++] = number;
	}
}

static bool number_racks(struct plan *p)
{
	size_t replicas = count_replicas(p);
	struct named *names;
	bool any = false;

	for (uint32_t m = 0; m < p->member_count; m++)
		any = any || p->members[m].of->subscription.rack_id.size > 0;
	if (!any)
		return true;
	if (replicas + p->member_count >= UINT32_MAX)
		return false;
	names = rack_names(p, replicas, &p->racks.count);
	p->racks.first = arena_alloc_array(p->arena, (size_t)p->partition_count + 1, sizeof(uint32_t));
	p->racks.numbers = arena_alloc_array(p->arena, replicas + 1, sizeof(uint32_t));
	if (!names || !p->racks.first || !p->racks.numbers)
		return false;
	for (uint32_t m = 0; m < p->member_count; m++)
		if (p->members[m].of->subscription.rack_id.size > 0)
			p->members[m].rack = find_named(names, p->racks.count, p->members[m].of->subscription.rack_id) +
					     1;
	for (uint32_t t = 0; t < p->topic_count; t++)
		for (uint32_t i = 0; i < p->topics[t].count; i++)
			number_partition_racks(p, names, p->topics[t].first + i,
					       p->topics[t].racks ? &p->topics[t].racks[i] : NULL);
	return true;
}

bool plan_racks_matter(const struct plan *p, const uint32_t *members, uint32_t member_count, uint32_t from, uint32_t to,
		       uint8_t *seen)
{
	uint32_t different = 0;
	bool shared = false, all_everywhere = true;

	if (!p->racks.first)
		return false;
	for (uint32_t i = p->racks.first[from]; i < p->racks.first[to]; i++) {
		different += !seen[p->racks.numbers[i]];
		seen[p->racks.numbers[i]] = 1;
	}
	for (uint32_t m = 0; m < member_count; m++)
		shared = shared || (p->members[members[m]].rack && seen[p->members[members[m]].rack]);
	for (uint32_t i = from; i < to; i++)
		all_everywhere = all_everywhere && p->racks.first[i + 1] - p->racks.first[i] == different;
	for (uint32_t i = p->racks.first[from]; i < p->racks.first[to]; i++)
		seen[p->racks.numbers[i]] = 0;
	return shared && !all_everywhere;
}

/* --- lists ------------------------------------------------------------------------------------------------------- */

void plan_give(struct plan *p, uint32_t member, uint32_t partition)
{
	struct plan_member *m = &p->members[member];

	must(p->owner[partition] == NOBODY);
	p->owner[partition] = member;
	p->next[partition] = NOBODY;
	p->previous[partition] = m->tail;
	if (m->tail == NOBODY)
		m->head = partition;
	else
		p->next[m->tail] = partition;
	m->tail = partition;
	m->count++;
}

void plan_take(struct plan *p, uint32_t partition)
{
	struct plan_member *m = &p->members[p->owner[partition]];
	uint32_t previous = p->previous[partition], next = p->next[partition];

	if (previous == NOBODY)
		m->head = next;
	else
		p->next[previous] = next;
	if (next == NOBODY)
		m->tail = previous;
	else
		p->previous[next] = previous;
	m->count--;
	p->owner[partition] = NOBODY;
}

static bool make_lists(struct plan *p)
{
	size_t count = (size_t)p->partition_count + 1;
	uint32_t *owner = arena_alloc_array(p->arena, count, sizeof(*owner));
	uint32_t *topic_of = arena_alloc_array(p->arena, count, sizeof(*topic_of));

	p->next = arena_alloc_array(p->arena, count, sizeof(*p->next));
	p->previous = arena_alloc_array(p->arena, count, sizeof(*p->previous));
	if (!owner || !topic_of || !p->next || !p->previous)
		return false;
	for (uint32_t t = 0; t < p->topic_count; t++)
		for (uint32_t i = 0; i < p->topics[t].count; i++) {
			topic_of[p->topics[t].first + i] = t;
			owner[p->topics[t].first + i] = NOBODY;
		}
	p->owner = owner;
	p->topic_of = topic_of;
	return true;
}

/* --- from a question to its answer ------------------------------------------------------------------------------- */

static enum err make_plan(struct plan *p, const struct assign_question *q)
{
	enum err e;

	if (q->member_count >= INT32_MAX || q->topic_count >= INT32_MAX)
		return ERR_TOO_BIG;
	p->member_count = (uint32_t)q->member_count;
	p->members = arena_alloc_array(p->arena, q->member_count + 1, sizeof(*p->members));
	if (!p->members)
		return ERR_NO_MEMORY;
	for (uint32_t m = 0; m < p->member_count; m++)
		p->members[m] = (struct plan_member){.of = &q->members[m], .head = NOBODY, .tail = NOBODY};
	if (!order_members(p))
		return ERR_NO_MEMORY;
	e = number_topics(p, q);
	if (e)
		return e;
	return make_lists(p) && number_subscriptions(p) && number_racks(p) ? OK : ERR_NO_MEMORY;
}

/*
 * A member's list as a message: topics in the order in which they first appear. `slot_of` has a place for each topic, all 0; it is
 * left so.
 */
static bool tell_member(const struct plan *p, const struct plan_member *m, uint32_t *slot_of,
			struct consumer_protocol_assignment *ret)
{
	struct consumer_protocol_assignment_topic_partition *topics;
	int32_t *numbers = arena_alloc_array(p->arena, (size_t)m->count + 1, sizeof(*numbers));
	int32_t count = 0;

	for (uint32_t at = m->head; at != NOBODY; at = p->next[at])
		if (!slot_of[p->topic_of[at]])
			slot_of[p->topic_of[at]] = (uint32_t)++count;
	topics = arena_alloc_array(p->arena, (size_t)count + 1, sizeof(*topics));
	if (!topics || !numbers)
		return false;
	for (uint32_t at = m->head; at != NOBODY; at = p->next[at])
		topics[slot_of[p->topic_of[at]] - 1].partitions_count++;
	for (uint32_t at = m->head; at != NOBODY; at = p->next[at]) {
		const struct plan_topic *t = &p->topics[p->topic_of[at]];
		struct consumer_protocol_assignment_topic_partition *into = &topics[slot_of[p->topic_of[at]] - 1];

		if (!into->partitions) {
			into->topic = t->name;
			into->partitions = numbers;
			numbers += into->partitions_count;
			into->partitions_count = 0;
		}
		into->partitions[into->partitions_count++] = (int32_t)(at - t->first);
	}
	for (uint32_t at = m->head; at != NOBODY; at = p->next[at])
		slot_of[p->topic_of[at]] = 0;
	message_init(&consumer_protocol_assignment_type, ret);
	ret->assigned_partitions = topics;
	ret->assigned_partitions_count = count;
	return true;
}

enum err assign(enum assignor how, const struct assign_question *q, struct arena *a,
		struct consumer_protocol_assignment *ret_assignments)
{
	static bool (*const deciders[ASSIGNOR_COUNT])(struct plan *) = {
		[ASSIGNOR_RANGE] = plan_range,
		[ASSIGNOR_ROUNDROBIN] = plan_roundrobin,
		[ASSIGNOR_STICKY] = plan_sticky,
		[ASSIGNOR_COOPERATIVE_STICKY] = plan_sticky,
	};
	struct plan p = {.how = how, .arena = a};
	enum err e = make_plan(&p, q);
	uint32_t *slot_of;

	if (e)
		return e;
	slot_of = arena_alloc_array(a, (size_t)p.topic_count + 1, sizeof(*slot_of));
	if (!slot_of || !deciders[how](&p))
		return ERR_NO_MEMORY;
	for (uint32_t m = 0; m < p.member_count; m++)
		if (!tell_member(&p, &p.members[m], slot_of, &ret_assignments[m]))
			return ERR_NO_MEMORY;
	return OK;
}
