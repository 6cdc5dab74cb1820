/* world_group: the groups of a world, and their ledgers, which members reach from their nodes. See sim/world.h. */
#include <stdio.h>

#include "sim/world.h"

void world_groups_init(struct world *w)
{
	struct scheduler *s = &w->sim->scheduler;
	static const int64_t delays_ms[] = {0, 300, 3000};

	w->group_count = (unsigned)choose(s, 1, WORLD_GROUPS);
	w->offsets_count = (int32_t)choose_skewed(s, 1, 8);
	w->initial_delay_ms = delays_ms[choose(s, 0, (int64_t)countof(delays_ms) - 1)];
	w->long_rest = chance(s, 1, 3);
	w->session_ms = (int32_t)choose(s, 1500, 6000);
	w->beat_ms = (int32_t)choose(s, 200, 700);
	for (unsigned i = 0; i < w->group_count; i++) {
		struct world_group *g = &w->groups[i];

		g->world = w;
		snprintf(g->name, sizeof(g->name), "group-%u", i);
		g->topic = i % w->topic_count;
		group_ledger_init(&g->ledger, w->topics[g->topic].partition_count);
		g->talk = chance(s, 1, 2) ? GROUP_BY_WIRE : (enum group_talk)choose(s, GROUP_CLASSIC, GROUP_MIXED);
		g->auto_commit = g->talk != GROUP_BY_WIRE && chance(s, 1, 3);
		g->strategy = (unsigned)choose(s, 0, 3);
		g->ledger.by_partition = g->talk != GROUP_BY_WIRE;
		g->ledger.restarts = g->talk == GROUP_MIXED;
	}
}

void world_groups_fini(struct world *w)
{
	for (unsigned i = 0; i < w->group_count; i++) {
		w->sim->hits[HIT_HANDED_OVER] += w->groups[i].ledger.handed_over;
		w->sim->hits[HIT_FENCED] += w->groups[i].ledger.fenced;
		group_ledger_fini(&w->groups[i].ledger);
	}
}

static struct world_group *group_of(struct world_client *c, unsigned slot)
{
	return &c->world->groups[(slot / CLIENT_MEMBERS + slot) % c->world->group_count];
}

struct world_group *world_group_of(struct world_client *c, unsigned member)
{
	return group_of(c, c->number * CLIENT_MEMBERS + member);
}

unsigned world_group_slot(struct world_client *c, struct world_group **ret_group)
{
	unsigned slot = c->number * CLIENT_MEMBERS + c->members++;

	*ret_group = group_of(c, slot);
	return slot;
}

static int64_t now_us(const struct world_group *g)
{
	return g->world->sim->scheduler.now_us;
}

static void judge(struct world_group *g, int32_t partition, int64_t offset, const char *wrong)
{
	if (wrong)
		world_fail(g->world, "%s, partition %d at %lld: %s", g->name, partition, (long long)offset, wrong);
}

void world_group_generation(struct world_group *g, int32_t generation)
{
	group_ledger_generation(&g->ledger, generation, now_us(g));
}

void world_group_owns(struct world_group *g, unsigned slot, int32_t generation, uint32_t partitions,
		      int64_t valid_until_us)
{
	judge(g, (int32_t)partitions, generation,
	      group_ledger_owns(&g->ledger, slot, generation, partitions, now_us(g), valid_until_us));
}

void world_group_valid(struct world_group *g, unsigned slot, int64_t valid_until_us)
{
	group_ledger_valid(&g->ledger, slot, valid_until_us);
}

void world_group_gives_up(struct world_group *g, unsigned slot)
{
	group_ledger_keeps(&g->ledger, slot, 0);
}

void world_group_keeps(struct world_group *g, unsigned slot, uint32_t partitions)
{
	group_ledger_keeps(&g->ledger, slot, partitions);
}

size_t world_group_commit(struct world_group *g, int32_t partition, int32_t generation, int64_t value)
{
	struct memory_owner *before = memory_enter(NULL);
	size_t number = group_ledger_commit(&g->ledger, partition, generation, value, now_us(g));

	memory_leave(before);
	return number;
}

void world_group_committed(struct world_group *g, int32_t partition, size_t number, enum commit_outcome outcome)
{
	judge(g, partition, (int64_t)number, group_ledger_committed(&g->ledger, partition, number, outcome, now_us(g)));
}

void world_group_fetched(struct world_group *g, int32_t partition, int64_t value, int64_t sent_us)
{
	if (g->auto_commit) /* it commits when it likes */
		return;
	judge(g, partition, value, group_ledger_fetched(&g->ledger, partition, value, sent_us, now_us(g)));
}

void world_group_resumes(struct world_group *g, int32_t partition, int64_t offset)
{
	int64_t start = g->world->topics[g->topic].partitions[partition].start;

	judge(g, partition, offset, group_ledger_resumes(&g->ledger, partition, offset, start));
}

void world_group_processed(struct world_group *g, int32_t partition, int64_t up_to)
{
	group_ledger_processed(&g->ledger, partition, up_to);
}

void world_group_look(struct world_group *g)
{
	uint32_t all = (1U << g->ledger.partition_count) - 1;

	g->rested = g->rested || group_ledger_owned(&g->ledger, now_us(g)) == all;
}
