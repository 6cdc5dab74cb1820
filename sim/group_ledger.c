/* group_ledger: see the header. */
#include "sim/group_ledger.h"

#include "base/alloc.h"

#define NOBODY (-1)

void group_ledger_init(struct group_ledger *g, int32_t partition_count)
{
	must(partition_count <= GROUP_PARTITIONS);
	*g = (struct group_ledger){.partition_count = partition_count};
	for (int32_t p = 0; p < partition_count; p++)
		g->last_owner[p] = NOBODY;
}

void group_ledger_fini(struct group_ledger *g)
{
	for (int32_t p = 0; p < g->partition_count; p++)
		mem_free(g->partitions[p].commits);
}

/* --- owners ---------------------------------------------------------------------------------------------------------- */

/* What was sent for an earlier one and has no answer happened before, or never. */
static void fence(struct group_partition *p, int32_t generation, int64_t now_us)
{
	for (size_t i = 0; i < p->count; i++) {
		struct group_commit *c = &p->commits[i];

		if (c->generation >= 0 && c->generation < generation && c->end_us > now_us)
			c->end_us = now_us;
	}
}

void group_ledger_generation(struct group_ledger *g, int32_t generation, int64_t now_us)
{
	must(!g->by_partition);
	/* A group that nobody was in and that had no offsets is forgotten, and begins anew. */
	if (generation < g->generation && g->taken == 0)
		g->generation = generation;
	if (generation <= g->generation)
		return;
	g->generation = generation;
	for (int32_t p = 0; p < g->partition_count; p++)
		fence(&g->partitions[p], generation, now_us);
}

/* Of a member with an epoch of its own. A group that was forgotten, as above, begins its epochs anew. */
static void taken(struct group_ledger *g, int32_t partition, bool again, int32_t generation, int64_t now_us)
{
	struct group_partition *p = &g->partitions[partition];

	if (generation < p->generation && (g->taken == 0 || g->restarts))
		p->generation = generation;
	/* Who has it again may have had it all the time, as its coordinator sees it. */
	if (generation <= p->generation || again)
		return;
	p->generation = generation;
	fence(p, generation, now_us);
}

const char *group_ledger_owns(struct group_ledger *g, unsigned slot, int32_t generation, uint32_t partitions,
			      int64_t now_us, int64_t valid_until_us)
{
	const char *wrong = NULL;

	for (unsigned other = 0; other < GROUP_SLOTS; other++)
		if (other != slot && g->slots[other].valid_until_us > now_us && (g->slots[other].owned & partitions))
			wrong = g->slots[other].generation == generation
					? "a partition has two owners in one generation"
					: "a partition has an owner whose session is not over, and a new one";
	g->slots[slot] = (struct group_slot){generation, partitions, valid_until_us};
	for (int32_t p = 0; p < g->partition_count; p++)
		if (partitions & 1U << p) {
			g->handed_over += g->last_owner[p] != NOBODY && g->last_owner[p] != (int)slot;
			if (g->by_partition)
				taken(g, p, g->last_owner[p] == (int)slot, generation, now_us);
			g->last_owner[p] = (int)slot;
		}
	return wrong;
}

void group_ledger_valid(struct group_ledger *g, unsigned slot, int64_t valid_until_us)
{
	g->slots[slot].valid_until_us = valid_until_us;
}

void group_ledger_keeps(struct group_ledger *g, unsigned slot, uint32_t partitions)
{
	g->slots[slot].owned &= partitions;
}

uint32_t group_ledger_owned(const struct group_ledger *g, int64_t now_us)
{
	uint32_t owned = 0;

	for (unsigned i = 0; i < GROUP_SLOTS; i++)
		if (g->slots[i].valid_until_us > now_us)
			owned |= g->slots[i].owned;
	return owned;
}

/* --- commits --------------------------------------------------------------------------------------------------------- */

size_t group_ledger_commit(struct group_ledger *g, int32_t partition, int32_t generation, int64_t value, int64_t now_us)
{
	struct group_partition *p = &g->partitions[partition];
	bool fenced = generation >= 0 && generation < (g->by_partition ? p->generation : g->generation);

	p->commits = mem_grow(p->commits, &p->capacity, p->count + 1, sizeof(*p->commits));
	p->commits[p->count] = (struct group_commit){
		.value = value,
		.generation = generation,
		.sent_us = now_us,
		.end_us = fenced ? now_us : INT64_MAX,
		.fenced = fenced,
	};
	return p->count++;
}

const char *group_ledger_committed(struct group_ledger *g, int32_t partition, size_t number,
				   enum commit_outcome outcome, int64_t now_us)
{
	struct group_commit *c = &g->partitions[partition].commits[number];

	c->outcome = outcome;
	if (outcome == COMMIT_REFUSED) {
		g->refused++;
		g->fenced += c->fenced;
		return NULL;
	}
	if (outcome == COMMIT_OPEN)
		return NULL;
	g->taken++;
	if (c->end_us > now_us)
		c->end_us = now_us;
	return c->fenced ? "a commit of a generation that is over was taken" : NULL;
}

/* It certainly happened, wholly before that time. */
static bool is_before(const struct group_commit *c, int64_t time_us)
{
	return c->outcome == COMMIT_TAKEN && c->end_us < time_us;
}

/* Whether a commit that came wholly after `c` was over before the fetch began. */
static bool is_covered(const struct group_partition *p, int64_t end_us, int64_t sent_us)
{
	for (size_t i = 0; i < p->count; i++)
		if (is_before(&p->commits[i], sent_us) && p->commits[i].sent_us > end_us)
			return true;
	return false;
}

static bool is_fenced_away(const struct group_commit *c)
{
	return c->fenced && c->outcome != COMMIT_TAKEN;
}

const char *group_ledger_fetched(struct group_ledger *g, int32_t partition, int64_t value, int64_t sent_us,
				 int64_t now_us)
{
	struct group_partition *p = &g->partitions[partition];
	const char *wrong = "a committed offset is one that nobody committed";

	if (value == -1)
		return is_covered(p, -1, sent_us) ? "a committed offset is gone" : NULL;
	for (size_t i = 0; i < p->count; i++) {
		struct group_commit *c = &p->commits[i];

		if (c->value != value || c->outcome == COMMIT_REFUSED || c->sent_us >= now_us || is_fenced_away(c))
			continue;
		wrong = "a committed offset is an old one: a later commit was acknowledged";
		if (is_covered(p, c->end_us, sent_us))
			continue;
		/* Now it is known to have happened. */
		if (c->end_us > now_us)
			c->end_us = now_us;
		return NULL;
	}
	return wrong;
}

const char *group_ledger_resumes(struct group_ledger *g, int32_t partition, int64_t offset, int64_t start)
{
	g->resumed++;
	return offset > g->partitions[partition].processed && offset > start
		       ? "a member begins beyond what was processed"
		       : NULL;
}

void group_ledger_processed(struct group_ledger *g, int32_t partition, int64_t up_to)
{
	if (up_to > g->partitions[partition].processed)
		g->partitions[partition].processed = up_to;
}
