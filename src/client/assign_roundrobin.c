/* assign_roundrobin: all partitions in turn to the members that want their topic. */
#include <stdlib.h>

#include "client/assign_own.h"

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static bool wants(const struct plan_member *m, uint32_t topic)
{
	return m->topic_count && bsearch(&topic, m->topics, m->topic_count, sizeof(topic), by_number);
}

bool plan_roundrobin(struct plan *p)
{
	uint32_t *sorted = plan_members_sorted(p);
	uint32_t at = 0;

	if (!sorted)
		return false;
	for (uint32_t m = 0; m < p->member_count; m++)
		qsort(p->members[m].topics, p->members[m].topic_count, sizeof(uint32_t), by_number);
	/* Every topic of a plan has a subscriber, so the search for one ends. */
	for (uint32_t i = 0; i < p->partition_count; i++) {
		while (!wants(&p->members[sorted[at]], p->topic_of[i]))
			at = (at + 1) % p->member_count;
		plan_give(p, sorted[at], i);
		at = (at + 1) % p->member_count;
	}
	return true;
}
