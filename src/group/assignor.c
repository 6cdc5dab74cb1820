/* assignor: see the header. Range is here, uniform in its own file. */
#include "group/assignor.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "group/assignor_own.h"

const char *server_assignor_name(enum server_assignor a)
{
	return a == SERVER_ASSIGNOR_RANGE ? "range" : "uniform";
}

bool server_assignor_find(struct bytes name, enum server_assignor *ret_assignor)
{
	static const enum server_assignor all[] = {SERVER_ASSIGNOR_UNIFORM, SERVER_ASSIGNOR_RANGE};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (bytes_equal_str(name, server_assignor_name(all[i]))) {
			*ret_assignor = all[i];
			return true;
		}
	}
	return false;
}

void server_assignor_assign(enum server_assignor a, struct assignor_input *g)
{
	if (a == SERVER_ASSIGNOR_RANGE)
		assignor_range(g);
	else
		assignor_uniform(g);
}

void subscribers_init(struct subscribers *s, const struct assignor_input *g, const uint32_t *order)
{
	size_t *next = mem_zalloc((g->topic_count + 1) * sizeof(*next));

	s->first = mem_zalloc((g->topic_count + 1) * sizeof(*s->first));
	for (size_t m = 0; m < g->member_count; m++)
		for (size_t i = 0; i < g->members[m].topic_count; i++)
			s->first[g->members[m].topics[i] + 1]++;
	for (size_t t = 0; t < g->topic_count; t++)
		s->first[t + 1] += s->first[t];
	memcpy(next, s->first, (g->topic_count + 1) * sizeof(*next));
	s->members = mem_alloc((s->first[g->topic_count] + 1) * sizeof(*s->members));
	for (size_t at = 0; at < g->member_count; at++) {
		uint32_t m = order ? order[at] : (uint32_t)at;

		for (size_t i = 0; i < g->members[m].topic_count; i++)
			s->members[next[g->members[m].topics[i]]++] = m;
	}
	mem_free(next);
}

void subscribers_fini(struct subscribers *s)
{
	mem_free(s->first);
	mem_free(s->members);
}

/* --- range ------------------------------------------------------------------------------------------------------------- */

/*
 * Java compares strings by UTF-16 units, in which what lies beyond U+FFFF (lead bytes from F0 on) comes before U+E000 to U+FFFF
 * (lead bytes EE and EF).
 */
static int utf16_rank(uint8_t lead)
{
	return lead >= 0xf0 ? 2 * 0xed + 1 : 2 * lead;
}

static int compare_as_java(struct bytes a, struct bytes b)
{
	for (size_t i = 0; i < a.size && i < b.size; i++)
		if (a.data[i] != b.data[i])
			return a.data[i] >= 0xf0 && b.data[i] >= 0xf0 ? a.data[i] - b.data[i]
								      : utf16_rank(a.data[i]) - utf16_rank(b.data[i]);
	return a.size < b.size ? -1 : a.size > b.size;
}

static int compare_members(const void *left, const void *right, void *members)
{
	const struct assignor_member *a = (const struct assignor_member *)members + *(const uint32_t *)left;
	const struct assignor_member *b = (const struct assignor_member *)members + *(const uint32_t *)right;

	if (!bytes_is_null(a->instance_id) && !bytes_is_null(b->instance_id))
		return compare_as_java(a->instance_id, b->instance_id);
	if (bytes_is_null(a->instance_id) != bytes_is_null(b->instance_id))
		return bytes_is_null(a->instance_id) ? 1 : -1;
	return compare_as_java(a->member_id, b->member_id);
}

void assignor_range(struct assignor_input *g)
{
	uint32_t *order = mem_alloc((g->member_count + 1) * sizeof(*order));
	struct subscribers s;

	for (size_t m = 0; m < g->member_count; m++)
		order[m] = (uint32_t)m;
	qsort_r(order, g->member_count, sizeof(*order), compare_members, (void *)(uintptr_t)g->members);
	subscribers_init(&s, g, order);
	for (size_t t = 0; t < g->topic_count; t++) {
		struct assignor_topic *topic = &g->topics[t];
		int32_t count = (int32_t)subscribers_count(&s, t);
		int32_t at = 0;

		for (int32_t i = 0; i < count; i++) {
			int32_t quota = topic->partition_count / count + (i < topic->partition_count % count);

			while (quota-- > 0)
				topic->owners[at++] = (int32_t)s.members[s.first[t] + (size_t)i];
		}
		while (at < topic->partition_count)
			topic->owners[at++] = -1;
	}
	subscribers_fini(&s);
	mem_free(order);
}
