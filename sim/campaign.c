/* campaign: see the header. */
#include "sim/campaign.h"

#include <inttypes.h>
#include <stdio.h>

void campaign_add(struct campaign *c, const struct history *h)
{
	c->histories[h->world]++;
	c->events += h->events;
	c->acked += h->acked;
	c->read += h->read;
	c->faults += h->faults;
	c->simulated_us += h->duration_us;
	for (unsigned i = 0; i < HIT_COUNT; i++)
		c->hits[i] += h->hits[i];
	for (unsigned i = 0; i < FAULT_COUNT; i++)
		c->rare[i] += h->rare[i];
	if (h->failed)
		campaign_fail(c, h->world, h->seed, h->failure);
}

void campaign_fail(struct campaign *c, enum world_kind world, uint64_t seed, const char *text)
{
	struct campaign_failure *f = &c->failures[c->failure_count];

	if (c->failure_count++ >= CAMPAIGN_FAILURES_MAX)
		return;
	f->world = world;
	f->seed = seed;
	snprintf(f->text, sizeof(f->text), "%s", text);
}

static bool print_count(uint64_t count, const char *what, void (*line)(const char *text))
{
	char text[200];

	snprintf(text, sizeof(text), "  %12" PRIu64 "  %s%s", count, what, count ? "" : "   <- never");
	line(text);
	return count > 0;
}

bool campaign_print(const struct campaign *c, bool demand_hits, void (*line)(const char *text))
{
	char text[700];
	bool well = c->failure_count == 0, all = true;

	for (unsigned i = 0; i < HIT_COUNT; i++)
		all = print_count(c->hits[i], hit_text((enum hit)i), line) && all;
	line("rare paths:");
	for (unsigned i = 0; i < FAULT_COUNT; i++)
		all = print_count(c->rare[i], fault_text((enum fault)i), line) && all;
	well = well && (all || !demand_hits);
	snprintf(text, sizeof(text),
		 "%" PRIu64 " histories of the broker, %" PRIu64 " of groups, %" PRIu64 " of transactions, %" PRIu64
		 " of the log alone; %" PRIu64 " events, %" PRIu64 " faults, %" PRIu64 " records acknowledged, %" PRIu64
		 " read, %" PRId64 " simulated hours",
		 c->histories[WORLD_BROKER], c->histories[WORLD_GROUP], c->histories[WORLD_TXN],
		 c->histories[WORLD_LOG], c->events, c->faults, c->acked, c->read,
		 (int64_t)(c->simulated_us / 3600000000LL));
	line(text);
	for (uint64_t i = 0; i < c->failure_count && i < CAMPAIGN_FAILURES_MAX; i++) {
		const struct campaign_failure *f = &c->failures[i];

		snprintf(text, sizeof(text), "FAILED  moldau-sim --world %s %" PRIu64 "   %s", world_name(f->world),
			 f->seed, f->text);
		line(text);
	}
	return well;
}
