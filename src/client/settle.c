/*
 * settle: moves the program from what it has to what its member is to have, while the member's own fiber goes on with its heartbeats.
 *
 *      lets go of records -> commit -> told: revoked or lost -> taken away -> added -> told: assigned -> read
 */
#include <stdio.h>

#include "base/alloc.h"
#include "client/group_own.h"

/* Is what it owned still its own? */
static bool is_lost(const struct group *g)
{
	switch (g->protocol) {
	case PROTOCOL_NONE:
		return true;
	case PROTOCOL_CLASSIC:
		return g->classic.lost || g->classic.generation < 0;
	case PROTOCOL_MODERN:
		return g->modern.state != MODERN_MEMBER;
	}
	must_not_reach();
}

static bool wait_for_await(struct fiber *self, struct group *g, const bool *done)
{
	while (!*done)
		if (group_wait_await(self, g, FIBER_NO_DEADLINE))
			return false;
	return true;
}

/* What the program is done with of these. That it fails does not hold up the rebalance: others read it again. */
static void commit_await(struct fiber *self, struct group *g, const struct parts *leaving)
{
	int64_t most_ms = g->options.config->max_poll_interval_ms < g->options.config->api_timeout_ms
				  ? g->options.config->max_poll_interval_ms
				  : g->options.config->api_timeout_ms;
	struct group_offsets offsets = {0};
	char why[GROUP_WHY_SIZE];
	enum err e;

	g->options.sink->progress(g->options.user, leaving, &offsets);
	if (offsets.count > 0) {
		e = group_commit_await(
			self, g,
			&(struct group_commit_order){.offsets = offsets.items,
						     .count = offsets.count,
						     .deadline_us = shard_now_us(g->options.shard) + most_ms * 1000},
			why);
		if (!e)
			g->options.sink->committed(g->options.user, &offsets);
	}
	group_offsets_fini(&offsets);
}

static bool tell_await(struct fiber *self, struct group *g, enum rebalance_kind kind, const struct parts *p)
{
	g->settle.told = false;
	if (g->options.sink->tell(g->options.user, kind, p))
		return true;
	return wait_for_await(self, g, &g->settle.told);
}

static bool give_up_await(struct fiber *self, struct group *g, const struct parts *gone)
{
	struct parts left = {0};

	g->settle.released = false;
	if (!g->options.sink->release(g->options.user, gone) && !wait_for_await(self, g, &g->settle.released))
		return false;
	if (g->options.config->auto_commit && !is_lost(g))
		commit_await(self, g, gone);
	if (fiber_cancelled(self) || !tell_await(self, g, is_lost(g) ? REBALANCE_LOST : REBALANCE_REVOKED, gone))
		return false;
	g->options.sink->remove(g->options.user, gone);
	parts_minus(&left, &g->owned, gone);
	parts_move(&g->owned, &left);
	return true;
}

static bool take_await(struct fiber *self, struct group *g, const struct parts *added, bool announce)
{
	struct parts all = {0};

	if (added->count == 0 && !announce)
		return true;
	g->options.sink->add(g->options.user, added);
	parts_plus(&all, &g->owned, added);
	parts_move(&g->owned, &all);
	if (!tell_await(self, g, REBALANCE_ASSIGNED, added))
		return false;
	/* The program may have taken its time: what is another's by now is not read any more. */
	if (!is_lost(g))
		g->options.sink->begin(g->options.user, added);
	return true;
}

static void settle_main(struct fiber *self, void *argument)
{
	struct group *g = argument;
	struct parts gone = {0}, added = {0};

	parts_minus(&gone, &g->owned, &g->settle.target);
	parts_minus(&added, &g->settle.target, &g->owned);
	/* What it was to get may be another's by the time it has given up the rest. */
	if ((gone.count == 0 || give_up_await(self, g, &gone)) && (added.count == 0 || !is_lost(g)))
		(void)take_await(self, g, &added, g->settle.announce && !is_lost(g));
	parts_fini(&gone);
	parts_fini(&added);
	g->settle.running = false;
	g->settle.over = true;
	event_signal(&g->changed);
}

void settle_start(struct group *g, struct parts *target, bool announce)
{
	static const struct fiber_options options = {.name = "client_settle", .joinable = true};

	must(!g->settle.fiber);
	parts_move(&g->settle.target, target);
	g->settle.announce = announce;
	g->settle.running = true;
	g->settle.over = false;
	g->settle.fiber = fiber_start(g->options.shard, &options, settle_main, g);
	must(g->settle.fiber);
}

bool settle_is_over_await(struct fiber *self, struct group *g)
{
	if (!g->settle.over)
		return false;
	settle_stop_await(self, g);
	return true;
}

void settle_stop_await(struct fiber *self, struct group *g)
{
	if (!g->settle.fiber)
		return;
	if (g->settle.running)
		fiber_cancel(g->settle.fiber);
	fiber_join_await(self, g->settle.fiber);
	g->settle.fiber = NULL;
	g->settle.over = false;
}
