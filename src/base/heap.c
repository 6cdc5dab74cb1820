/* heap: see the header. */
#include "base/heap.h"

#include "base/alloc.h"
#include "base/must.h"

void heap_init(struct heap *h)
{
	*h = (struct heap){0};
}

void heap_fini(struct heap *h)
{
	mem_free(h->nodes);
	heap_init(h);
}

static bool before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

static void put(struct heap *h, size_t index, struct heap_node *n)
{
	h->nodes[index] = n;
	n->place = index + 1;
}

static void sift_up(struct heap *h, size_t index, struct heap_node *n)
{
	while (index > 0 && before(n, h->nodes[(index - 1) / 2])) {
		put(h, index, h->nodes[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	put(h, index, n);
}

static void sift_down(struct heap *h, size_t index, struct heap_node *n)
{
	for (;;) {
		size_t child = 2 * index + 1;

		if (child >= h->count)
			break;
		if (child + 1 < h->count && before(h->nodes[child + 1], h->nodes[child]))
			child++;
		if (!before(h->nodes[child], n))
			break;
		put(h, index, h->nodes[child]);
		index = child;
	}
	put(h, index, n);
}

void heap_insert(struct heap *h, struct heap_node *n, int64_t key)
{
	must(!heap_linked(n));
	h->nodes = mem_grow(h->nodes, &h->capacity, h->count + 1, sizeof(struct heap_node *));
	n->key = key;
	n->sequence = h->next_sequence++;
	sift_up(h, h->count++, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	size_t index;
	struct heap_node *last;

	must(heap_linked(n));
	index = n->place - 1;
	must(index < h->count && h->nodes[index] == n);
	n->place = 0;
	last = h->nodes[--h->count];
	if (last == n)
		return;
	if (index > 0 && before(last, h->nodes[(index - 1) / 2]))
		sift_up(h, index, last);
	else
		sift_down(h, index, last);
}
