/* assigned: see the header. */
#include "group/assigned.h"

#include <stdlib.h>

#include "base/alloc.h"

void assigned_fini(struct assigned *a)
{
	mem_free(a->items);
	*a = (struct assigned){0};
}

void assigned_push(struct assigned *a, struct uuid topic, int32_t partition, int32_t epoch)
{
	a->items = mem_grow(a->items, &a->capacity, a->count + 1, sizeof(*a->items));
	a->items[a->count++] = (struct assigned_partition){.topic = topic, .partition = partition, .epoch = epoch};
}

static int compare(const struct assigned_partition *a, const struct assigned_partition *b)
{
	int order = uuid_compare(a->topic, b->topic);

	return order ? order : a->partition < b->partition ? -1 : a->partition > b->partition;
}

static int compare_items(const void *left, const void *right)
{
	const struct assigned_partition *a = left, *b = right;
	int order = compare(a, b);

	return order ? order : a->epoch < b->epoch ? -1 : a->epoch > b->epoch;
}

static bool is_sorted(const struct assigned *a)
{
	for (size_t i = 1; i < a->count; i++)
		if (compare(&a->items[i - 1], &a->items[i]) >= 0)
			return false;
	return true;
}

void assigned_sort(struct assigned *a)
{
	size_t kept = 0;

	if (is_sorted(a))
		return;
	qsort(a->items, a->count, sizeof(*a->items), compare_items);
	for (size_t i = 0; i < a->count; i++)
		if (kept == 0 || compare(&a->items[kept - 1], &a->items[i]) != 0)
			a->items[kept++] = a->items[i];
	a->count = kept;
}

void assigned_copy(struct assigned *to, const struct assigned *from)
{
	to->count = 0;
	to->items = mem_grow(to->items, &to->capacity, from->count, sizeof(*to->items));
	if (from->count)
		memcpy(to->items, from->items, from->count * sizeof(*to->items));
	to->count = from->count;
}

void assigned_move(struct assigned *to, struct assigned *from)
{
	mem_free(to->items);
	*to = *from;
	*from = (struct assigned){0};
}

bool assigned_equal(const struct assigned *a, const struct assigned *b)
{
	return a->count == b->count && (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof(*a->items)) == 0);
}

bool assigned_same_partitions(const struct assigned *a, const struct assigned *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (compare(&a->items[i], &b->items[i]) != 0)
			return false;
	return true;
}

const struct assigned_partition *assigned_find(const struct assigned *a, struct uuid topic, int32_t partition)
{
	struct assigned_partition wanted = {.topic = topic, .partition = partition};
	size_t low = 0, high = a->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(&a->items[middle], &wanted);

		if (order == 0)
			return &a->items[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

size_t assigned_topic_end(const struct assigned *a, size_t from)
{
	size_t end = from;

	while (end < a->count && uuid_equal(a->items[end].topic, a->items[from].topic))
		end++;
	return end;
}

size_t assigned_topic_count(const struct assigned *a)
{
	size_t count = 0;

	for (size_t i = 0; i < a->count; i = assigned_topic_end(a, i))
		count++;
	return count;
}

/* --- owners ---------------------------------------------------------------------------------------------------------------- */

/* Topic ids are random, made by controllers: nobody can choose them so that they fall on one place. */
static size_t place_of(const struct owners *o, struct uuid topic, int32_t partition)
{
	uint64_t words[2];

	memcpy(words, topic.bytes, sizeof(words));
	words[0] = (words[0] ^ words[1]) + (uint64_t)(uint32_t)partition * 0x9e3779b97f4a7c15U;
	words[0] ^= words[0] >> 32;
	words[0] *= 0xd6e8feb86659fd93U;
	return (words[0] ^ words[0] >> 32) & (o->slot_count - 1);
}

/* Where it is, or the free place where it would be. */
static struct assigned_partition *slot_of(const struct owners *o, struct uuid topic, int32_t partition)
{
	size_t at = place_of(o, topic, partition);

	for (;; at = (at + 1) & (o->slot_count - 1)) {
		struct assigned_partition *s = &o->slots[at];

		if (s->epoch == OWNERS_FREE || (s->partition == partition && uuid_equal(s->topic, topic)))
			return s;
	}
}

void owners_fini(struct owners *o)
{
	mem_free(o->slots);
	*o = (struct owners){0};
}

static void make_room(struct owners *o)
{
	struct assigned_partition *old = o->slots;
	size_t old_count = o->slot_count;

	if ((o->count + 1) * 4 <= o->slot_count * 3)
		return;
	o->slot_count = old_count ? 2 * old_count : 16;
	o->slots = mem_alloc(o->slot_count * sizeof(*o->slots));
	for (size_t i = 0; i < o->slot_count; i++)
		o->slots[i].epoch = OWNERS_FREE;
	for (size_t i = 0; i < old_count; i++)
		if (old[i].epoch != OWNERS_FREE)
			*slot_of(o, old[i].topic, old[i].partition) = old[i];
	mem_free(old);
}

void owners_set(struct owners *o, struct uuid topic, int32_t partition, int32_t epoch)
{
	struct assigned_partition *s;

	make_room(o);
	s = slot_of(o, topic, partition);
	o->count += s->epoch == OWNERS_FREE;
	*s = (struct assigned_partition){.topic = topic, .partition = partition, .epoch = epoch};
}

/* Moves those behind it that would not be found across the gap. */
static void close_gap(struct owners *o, size_t gap)
{
	size_t mask = o->slot_count - 1;

	for (size_t at = (gap + 1) & mask; o->slots[at].epoch != OWNERS_FREE; at = (at + 1) & mask) {
		size_t home = place_of(o, o->slots[at].topic, o->slots[at].partition);

		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		o->slots[gap] = o->slots[at];
		gap = at;
	}
	o->slots[gap].epoch = OWNERS_FREE;
}

void owners_remove(struct owners *o, struct uuid topic, int32_t partition, int32_t epoch)
{
	struct assigned_partition *s;

	if (o->count == 0)
		return;
	s = slot_of(o, topic, partition);
	if (s->epoch == OWNERS_FREE || s->epoch != epoch)
		return;
	close_gap(o, (size_t)(s - o->slots));
	o->count--;
}

bool owners_has(const struct owners *o, struct uuid topic, int32_t partition)
{
	return o->count && slot_of(o, topic, partition)->epoch != OWNERS_FREE;
}
