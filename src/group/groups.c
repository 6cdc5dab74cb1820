/* groups: see the header. May call: its kinds, containers of base/. */
#include "group/groups.h"

#include "base/alloc.h"
#include "group/classic.h"
#include "group/offset_expire.h"

struct groups *group_machine_new(const struct group_options *options, struct map_seed seed)
{
	struct groups *all = mem_new(struct groups);

	all->options = options;
	all->seed = seed;
	map_init_seeded(&all->by_id, seed);
	map_init_seeded(&all->transactions, seed);
	heap_init(&all->timers);
	topic_names_init(&all->topics, seed);
	all->expiry.fire = offset_expiry_fire;
	return all;
}

struct group *groups_find(const struct groups *all, struct bytes id)
{
	return map_get(&all->by_id, id);
}

struct group *groups_find_or_add(struct groups *all, struct bytes id, int64_t wall_ms)
{
	struct group *g = groups_find(all, id);

	if (g)
		return g;
	g = mem_zalloc(sizeof(*g) + id.size);
	if (id.size)
		memcpy(g + 1, id.data, id.size);
	g->id = bytes_of(g + 1, id.size);
	list_init(&g->pending);
	map_put(&all->by_id, g->id, g);
	group_become_classic(all, g, wall_ms);
	return g;
}

void groups_remove(struct groups *all, struct group *g)
{
	map_remove(&all->by_id, g->id);
	g->kind->free(all, g);
	pending_offsets_free_all(all, g);
	offsets_fini(&g->offsets, &all->topics);
	history_fini(&g->history);
	mem_free(g);
}

void groups_forget(struct groups *all, struct group *g, int64_t wall_ms)
{
	if (g->offsets.count == 0 && list_empty(&g->pending))
		groups_remove(all, g);
	else
		group_become_classic(all, g, wall_ms);
}

void group_become(struct groups *all, struct group *g, const struct group_kind *kind)
{
	if (g->kind)
		g->kind->free(all, g);
	g->kind = kind;
}

void group_timer_set(struct groups *all, struct group_timer *t, int64_t at_ms)
{
	must(t->fire);
	group_timer_cancel(all, t);
	heap_insert(&all->timers, &t->node, at_ms);
}

void group_timer_cancel(struct groups *all, struct group_timer *t)
{
	if (heap_linked(&t->node))
		heap_remove(&all->timers, &t->node);
}

void groups_free(struct groups *all)
{
	size_t place = 0;

	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));)
		groups_remove(all, e->value);
	group_timer_cancel(all, &all->expiry);
	must(all->timers.count == 0 && all->transactions.count == 0);
	map_fini(&all->by_id);
	map_fini(&all->transactions);
	heap_fini(&all->timers);
	topic_names_fini(&all->topics);
	mem_free(all);
}
