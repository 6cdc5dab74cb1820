/*
 * heap: a binary min-heap of nodes that elements embed, ordered by (key, sequence): equal keys leave in the order in which
 * they came, so that timers of one instant fire deterministically. Owns its array, not the elements.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	int64_t key;
	uint64_t sequence;
	size_t place; /* index + 1 in the heap's array; 0: in no heap */
};

struct heap {
	struct heap_node **nodes;
	size_t count;
	size_t capacity;
	uint64_t next_sequence;
};

void heap_init(struct heap *h);
void heap_fini(struct heap *h);
void heap_insert(struct heap *h, struct heap_node *n, int64_t key);
void heap_remove(struct heap *h, struct heap_node *n);

static inline bool heap_linked(const struct heap_node *n)
{
	return n->place != 0;
}

/* The smallest; NULL when empty. */
static inline struct heap_node *heap_first(const struct heap *h)
{
	return h->count ? h->nodes[0] : NULL;
}

#endif
