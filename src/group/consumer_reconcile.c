/*
 * consumer_reconcile: where a member goes from where it is (KIP-848, "Reconciliation of the group"). Pure.
 *
 *      has    a b c d          what it has and shall keep                 stays
 *      shall    b c   e f      what it has and shall not have             is revoked first; until it gave up, nothing else happens to it
 *                              what it shall have and nobody has          is given
 *                              what it shall have and somebody has yet    is waited for
 */
#include "base/mutant.h"
#include "group/consumer_group.h"

bool claimed_within(const struct claimed *c, const struct assigned *a)
{
	if (!c->known)
		return false;
	for (size_t i = 0; i < c->count; i++)
		if (!assigned_find(a, c->items[i].topic, c->items[i].partition))
			return false;
	return true;
}

/* It has not given them up yet, or said nothing. */
static bool still_has(const struct claimed *c, const struct assigned *revoking)
{
	if (MUTANT(GIVE_BEFORE_REVOKED))
		return false;
	if (!c->known)
		return true;
	for (size_t i = 0; i < c->count; i++)
		if (assigned_find(revoking, c->items[i].topic, c->items[i].partition))
			return true;
	return false;
}

struct plan {
	struct assigned keep;
	struct assigned revoke;
	struct assigned give;
	bool waits;
};

static void plan_fini(struct plan *p)
{
	assigned_fini(&p->keep);
	assigned_fini(&p->revoke);
	assigned_fini(&p->give);
}

static void plan_wanted(const struct reconcile_question *q, const struct assigned_partition *wanted, struct plan *p)
{
	/* What it has to give up itself is no other's: given back before it was gone. */
	if (owners_has(q->owners, wanted->topic, wanted->partition) &&
	    !assigned_find(&q->member->revoking, wanted->topic, wanted->partition))
		p->waits = true;
	else
		assigned_push(&p->give, wanted->topic, wanted->partition, q->target_epoch);
}

static int order_of(const struct assigned *has, size_t h, const struct assigned *shall, size_t t)
{
	int order;

	if (h == has->count || t == shall->count)
		return h < has->count ? -1 : 1;
	order = uuid_compare(has->items[h].topic, shall->items[t].topic);
	if (order)
		return order;
	return has->items[h].partition < shall->items[t].partition
		       ? -1
		       : has->items[h].partition > shall->items[t].partition;
}

/* Both sets in one walk. */
static void make_plan(const struct reconcile_question *q, struct plan *p)
{
	const struct assigned *has = &q->member->assigned, *shall = q->target;
	const struct assigned_partition *last = NULL;
	bool wants = false;

	for (size_t h = 0, t = 0; h < has->count || t < shall->count;) {
		int order = order_of(has, h, shall, t);
		const struct assigned_partition *at = order <= 0 ? &has->items[h] : &shall->items[t];

		if (!last || !uuid_equal(last->topic, at->topic))
			wants = q->wants(q->context, at->topic);
		last = at;
		if (order == 0 && wants)
			assigned_push(&p->keep, at->topic, at->partition, at->epoch);
		else if (order <= 0)
			assigned_push(&p->revoke, at->topic, at->partition, at->epoch);
		else if (wants)
			plan_wanted(q, at, p);
		h += order <= 0;
		t += order >= 0;
	}
}

static void merge(struct assigned *into, const struct assigned *more)
{
	for (size_t i = 0; i < more->count; i++)
		assigned_push(into, more->items[i].topic, more->items[i].partition, more->items[i].epoch);
	assigned_sort(into);
}

/* Towards the target. */
static void go_on(const struct reconcile_question *q, int32_t epoch, struct member_position *to)
{
	struct plan p = {0};

	make_plan(q, &p);
	to->previous_epoch = q->member->epoch;
	if (p.revoke.count && still_has(q->claimed, &p.revoke)) {
		to->epoch = epoch;
		to->state = MEMBER_UNREVOKED_PARTITIONS;
		assigned_move(&to->revoking, &p.revoke);
	} else {
		to->epoch = q->target_epoch;
		to->state = p.waits ? MEMBER_UNRELEASED_PARTITIONS : MEMBER_STABLE;
		merge(&p.keep, &p.give);
	}
	assigned_move(&to->assigned, &p.keep);
	plan_fini(&p);
}

/* Only takes away what it does not want any more. False when there is no such thing. */
static bool drop_unwanted(const struct reconcile_question *q, struct member_position *to)
{
	const struct consumer_member *m = q->member;
	struct plan p = {0};
	bool wants = false;

	for (size_t i = 0; i < m->assigned.count; i++) {
		const struct assigned_partition *at = &m->assigned.items[i];

		if (i == 0 || !uuid_equal(at->topic, m->assigned.items[i - 1].topic))
			wants = q->wants(q->context, at->topic);
		assigned_push(wants ? &p.keep : &p.revoke, at->topic, at->partition, at->epoch);
	}
	if (p.revoke.count == 0) {
		plan_fini(&p);
		return false;
	}
	merge(&p.revoke, &m->revoking);
	*to = (struct member_position){.epoch = m->epoch, .previous_epoch = m->epoch, .state = m->state};
	if (still_has(q->claimed, &p.revoke)) {
		to->state = MEMBER_UNREVOKED_PARTITIONS;
		assigned_move(&to->revoking, &p.revoke);
	} else {
		assigned_copy(&to->revoking, &m->revoking);
	}
	assigned_move(&to->assigned, &p.keep);
	plan_fini(&p);
	return true;
}

static bool is_where_it_was(const struct consumer_member *m, const struct member_position *to)
{
	return m->epoch == to->epoch && m->previous_epoch == to->previous_epoch && m->state == to->state &&
	       assigned_equal(&m->assigned, &to->assigned) && assigned_equal(&m->revoking, &to->revoking);
}

static bool went(const struct reconcile_question *q, int32_t epoch, struct member_position *to)
{
	*to = (struct member_position){0};
	go_on(q, epoch, to);
	if (!is_where_it_was(q->member, to))
		return true;
	assigned_fini(&to->assigned);
	assigned_fini(&to->revoking);
	return false;
}

bool consumer_reconcile(const struct reconcile_question *q, struct member_position *ret_to, enum err *ret_error)
{
	const struct consumer_member *m = q->member;

	switch (m->state) {
	case MEMBER_STABLE:
		if (m->epoch != q->target_epoch)
			return went(q, m->epoch, ret_to);
		return q->subscription_changed && drop_unwanted(q, ret_to);
	case MEMBER_UNREVOKED_PARTITIONS:
		if (still_has(q->claimed, &m->revoking))
			return q->subscription_changed && drop_unwanted(q, ret_to);
		return went(q, m->epoch, ret_to);
	case MEMBER_UNRELEASED_PARTITIONS:
		return went(q, m->epoch, ret_to);
	case MEMBER_UNKNOWN:
		break;
	}
	if (!q->claimed->known || q->claimed->count) {
		*ret_error = ERR_FENCED_MEMBER_EPOCH;
		return false;
	}
	return went(q, q->target_epoch, ret_to);
}
