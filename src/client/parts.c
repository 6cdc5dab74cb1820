/* parts: see the header. */
#include "client/parts.h"

#include <stdlib.h>

#include "base/alloc.h"

static int compare(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int order = x->topic == y->topic ? 0 : strcmp(x->topic->name, y->topic->name);

	if (order)
		return order;
	return x->index < y->index ? -1 : x->index > y->index;
}

void parts_fini(struct parts *s)
{
	mem_free(s->items);
	*s = (struct parts){0};
}

void parts_append(struct parts *s, struct cluster_topic *topic, int32_t index)
{
	s->items = mem_grow(s->items, &s->capacity, s->count + 1, sizeof(*s->items));
	s->items[s->count++] = (struct part){.topic = topic, .index = index};
}

void parts_sort(struct parts *s)
{
	size_t kept = 0;

	if (s->count == 0)
		return;
	qsort(s->items, s->count, sizeof(*s->items), compare);
	for (size_t i = 1; i < s->count; i++)
		if (compare(&s->items[kept], &s->items[i]) != 0)
			s->items[++kept] = s->items[i];
	s->count = kept + 1;
}

bool parts_has(const struct parts *s, const struct cluster_topic *topic, int32_t index)
{
	struct part wanted = {.topic = (struct cluster_topic *)(uintptr_t)topic, .index = index};

	return s->count > 0 && bsearch(&wanted, s->items, s->count, sizeof(*s->items), compare) != NULL;
}

bool parts_equal(const struct parts *a, const struct parts *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (compare(&a->items[i], &b->items[i]) != 0)
			return false;
	return true;
}

void parts_copy(struct parts *to, const struct parts *from)
{
	to->count = 0;
	for (size_t i = 0; i < from->count; i++)
		parts_append(to, from->items[i].topic, from->items[i].index);
}

void parts_minus(struct parts *to, const struct parts *a, const struct parts *b)
{
	to->count = 0;
	for (size_t i = 0; i < a->count; i++)
		if (!parts_has(b, a->items[i].topic, a->items[i].index))
			parts_append(to, a->items[i].topic, a->items[i].index);
}

void parts_plus(struct parts *to, const struct parts *a, const struct parts *b)
{
	parts_copy(to, a);
	for (size_t i = 0; i < b->count; i++)
		parts_append(to, b->items[i].topic, b->items[i].index);
	parts_sort(to);
}

void parts_move(struct parts *to, struct parts *from)
{
	parts_fini(to);
	*to = *from;
	*from = (struct parts){0};
}
