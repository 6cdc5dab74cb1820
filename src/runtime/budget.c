/* budget: see the header. Calls only the shard's tasks. */
#include "runtime/budget.h"

static bool fits(const struct budget *b, size_t size)
{
	return b->used == 0 || (b->used <= b->limit && size <= b->limit - b->used);
}

static void take(struct budget *b, size_t size)
{
	b->used += size;
	if (b->used > b->peak)
		b->peak = b->used;
}

static void grant_run(struct task *t)
{
	struct budget *b = container_of(t, struct budget, grant);
	struct list_node *n;

	while ((n = list_first(&b->waiters))) {
		struct budget_wish *w = container_of(n, struct budget_wish, node);

		if (!fits(b, w->size))
			return;
		list_remove(n);
		take(b, w->size);
		w->granted(w);
	}
}

static void grant_later(struct budget *b)
{
	struct list_node *n = list_first(&b->waiters);

	if (n && fits(b, container_of(n, struct budget_wish, node)->size))
		shard_defer(b->shard, &b->grant);
}

void budget_init(struct budget *b, struct shard *s, size_t limit_bytes)
{
	*b = (struct budget){.limit = limit_bytes, .shard = s, .grant = {.run = grant_run}};
	list_init(&b->waiters);
}

void budget_fini(struct budget *b)
{
	must(list_empty(&b->waiters) && b->used == 0);
	shard_defer_cancel(b->shard, &b->grant);
}

bool budget_try_take(struct budget *b, size_t size)
{
	if (!list_empty(&b->waiters) || !fits(b, size) || shard_fault(b->shard, FAULT_BUDGET_USED_UP))
		return false;
	take(b, size);
	return true;
}

void budget_wait(struct budget *b, struct budget_wish *w)
{
	list_push_back(&b->waiters, &w->node);
	grant_later(b);
	if (b->watch)
		b->watch->pressed(b->watch);
}

void budget_take_anyway(struct budget *b, size_t size)
{
	take(b, size);
}

void budget_cancel(struct budget *b, struct budget_wish *w)
{
	if (!list_linked(&w->node))
		return;
	list_remove(&w->node);
	grant_later(b); /* whom it held up may fit */
}

void budget_give(struct budget *b, size_t size)
{
	must(size <= b->used);
	b->used -= size;
	grant_later(b);
}
