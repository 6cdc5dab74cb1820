/* classic_member: see the header. */
#include "client/classic_member.h"

#include "base/alloc.h"

static void set_id(struct classic_member *m, struct bytes id)
{
	char *text = mem_alloc(id.size + 1);

	if (id.size > 0)
		memcpy(text, id.data, id.size);
	text[id.size] = '\0';
	mem_free(m->id);
	m->id = text;
}

void classic_init(struct classic_member *m)
{
	*m = (struct classic_member){.generation = -1};
	set_id(m, bytes_empty());
}

void classic_fini(struct classic_member *m)
{
	mem_free(m->id);
	*m = (struct classic_member){.generation = -1};
}

bool classic_is_member(const struct classic_member *m)
{
	return m->generation >= 0 && (m->state == CLASSIC_STABLE || m->state == CLASSIC_PREPARING);
}

void classic_prepare(struct classic_member *m)
{
	must(m->state == CLASSIC_OUT || m->state == CLASSIC_STABLE);
	m->state = CLASSIC_PREPARING;
}

void classic_prepared(struct classic_member *m)
{
	must(m->state == CLASSIC_PREPARING);
	m->lost = false;
	m->state = CLASSIC_JOINING;
}

void classic_left(struct classic_member *m)
{
	m->state = CLASSIC_OUT;
	m->number++;
	m->generation = -1;
	m->lost = false;
	set_id(m, bytes_empty());
}

static void lose(struct classic_member *m, enum err e)
{
	m->number++;
	m->generation = -1;
	m->lost = true;
	m->state = CLASSIC_PREPARING;
	if (!verdict_keeps_id(e))
		set_id(m, bytes_empty());
}

enum verdict classic_answered(struct classic_member *m, const struct classic_answer *a)
{
	enum verdict v = verdict_of(a->question, a->error);

	switch (v) {
	case VERDICT_DONE:
		if (a->question == ASK_JOIN) {
			set_id(m, a->id);
			m->generation = a->generation;
			m->state = CLASSIC_SYNCING;
		} else if (a->question == ASK_SYNC) {
			m->state = CLASSIC_STABLE;
		}
		return v;
	case VERDICT_NAMED:
		set_id(m, a->id);
		return v;
	case VERDICT_LOST:
		lose(m, a->error);
		return v;
	case VERDICT_REJOIN:
		m->state = CLASSIC_PREPARING;
		return v;
	case VERDICT_AGAIN:
	case VERDICT_FIND:
		/* The round may go on without a member whose SyncGroup has no answer: it joins once more, as Java's does. */
		if (a->question == ASK_SYNC)
			m->state = CLASSIC_PREPARING;
		return v;
	case VERDICT_STALE:
	case VERDICT_TELL:
	case VERDICT_FATAL:
		return v;
	}
	must_not_reach();
}

void classic_keeps(struct parts *ret_kept, const struct parts *owned, bool cooperative, bool lost,
		   bool (*wants)(const void *user, const struct cluster_topic *t), const void *user)
{
	ret_kept->count = 0;
	if (!cooperative || lost)
		return;
	for (size_t i = 0; i < owned->count; i++)
		if (wants(user, owned->items[i].topic))
			parts_append(ret_kept, owned->items[i].topic, owned->items[i].index);
}

bool classic_joins_again(const struct parts *owned, const struct parts *assigned, bool cooperative)
{
	if (!cooperative)
		return false;
	for (size_t i = 0; i < owned->count; i++)
		if (!parts_has(assigned, owned->items[i].topic, owned->items[i].index))
			return true;
	return false;
}
