/*
 * list: a doubly linked list through a node that the element embeds. Owns nothing. A node that is not in a list is zeroed
 * or removed; list_remove of such a node is a mistake (list_linked tells).
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/must.h"

struct list_node {
	struct list_node *next;
	struct list_node *previous;
};

struct list {
	struct list_node head;
};

static inline void list_init(struct list *l)
{
	l->head.next = l->head.previous = &l->head;
}

static inline bool list_empty(const struct list *l)
{
	return l->head.next == &l->head;
}

static inline bool list_linked(const struct list_node *n)
{
	return n->next != NULL;
}

static inline void list_insert_before(struct list_node *at, struct list_node *n)
{
	must(!list_linked(n));
	n->next = at;
	n->previous = at->previous;
	at->previous->next = n;
	at->previous = n;
}

static inline void list_push_back(struct list *l, struct list_node *n)
{
	list_insert_before(&l->head, n);
}

static inline void list_push_front(struct list *l, struct list_node *n)
{
	list_insert_before(l->head.next, n);
}

static inline void list_remove(struct list_node *n)
{
	must(list_linked(n));
	n->next->previous = n->previous;
	n->previous->next = n->next;
	n->next = n->previous = NULL;
}

static inline struct list_node *list_first(const struct list *l)
{
	return list_empty(l) ? NULL : l->head.next;
}

/* Takes the first one out; NULL when there is none. */
static inline struct list_node *list_pop_front(struct list *l)
{
	struct list_node *n = list_first(l);

	if (n)
		list_remove(n);
	return n;
}

/* Moves all of `from` to the end of `to`. */
static inline void list_splice_back(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->head.next->previous = to->head.previous;
	to->head.previous->next = from->head.next;
	from->head.previous->next = &to->head;
	to->head.previous = from->head.previous;
	list_init(from);
}

/* The current node may be removed inside the loop. */
#define list_for_each(list, node) \
	for (struct list_node *node = (list)->head.next, *node##_next = node->next; node != &(list)->head; \
	     node = node##_next, node##_next = node->next)

#endif
