/* consumer_target: who of a group shall have what, computed when the group's epoch has moved; and a member's way there. Calls: the assignors. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/must.h"
#include "group/consumer_group.h"
#include "metadata/image.h"

/* --- what the assignor is asked ------------------------------------------------------------------------------------------------ */

struct target {
	struct groups *all;
	struct consumer_group *c;
	const struct image *image;
	struct consumer_member **members;
	struct assignor_member *described;
	const struct image_topic **topics; /* those of c->topics that exist, by name */
	struct assignor_topic *asked;
	uint32_t *by_id; /* places in `topics`, by topic id */
	struct assignor_input input;
};

static void list_members(struct target *t)
{
	size_t place = 0, count = 0;

	t->members = mem_alloc((t->c->members.count + 1) * sizeof(struct consumer_member *));
	t->described = mem_zalloc((t->c->members.count + 1) * sizeof(*t->described));
	for (struct consumer_member *m; (m = consumer_group_next(t->c, &place));) {
		t->members[count] = m;
		t->described[count++] = (struct assignor_member){.member_id = m->id,
								 .instance_id = m->said.instance_id};
	}
	t->input.members = t->described;
	t->input.member_count = count;
}

static int compare_ids(const void *left, const void *right, void *topics)
{
	const struct image_topic *const *all = topics;

	return uuid_compare(all[*(const uint32_t *)left]->id, all[*(const uint32_t *)right]->id);
}

static void list_topics(struct target *t)
{
	size_t count = 0;

	t->topics = mem_alloc((t->c->topic_count + 1) * sizeof(struct image_topic *));
	for (size_t i = 0; i < t->c->topic_count; i++) {
		t->topics[count] = image_topic_by_name(t->image, t->c->topics[i].name);
		count += t->topics[count] != NULL;
	}
	t->asked = mem_zalloc((count + 1) * sizeof(*t->asked));
	t->by_id = mem_alloc((count + 1) * sizeof(*t->by_id));
	for (size_t i = 0; i < count; i++) {
		t->asked[i].partition_count = t->topics[i]->partition_count;
		t->asked[i].owners = mem_alloc(((size_t)t->topics[i]->partition_count + 1) * sizeof(int32_t));
		for (int32_t p = 0; p < t->topics[i]->partition_count; p++)
			t->asked[i].owners[p] = -1;
		t->by_id[i] = (uint32_t)i;
	}
	qsort_r(t->by_id, count, sizeof(*t->by_id), compare_ids, t->topics);
	t->input.topics = t->asked;
	t->input.topic_count = count;
}

/* Those of the names that exist: both are in order. */
static size_t add_wanted(const struct target *t, const struct bytes *names, size_t count, uint32_t *to)
{
	size_t found = 0, at = 0;

	for (size_t i = 0; i < count; i++) {
		while (at < t->input.topic_count && bytes_compare(t->topics[at]->name, names[i]) < 0)
			at++;
		if (at < t->input.topic_count && bytes_equal(t->topics[at]->name, names[i]))
			to[found++] = (uint32_t)at;
	}
	return found;
}

static int compare_places(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void describe_wants(const struct target *t, struct assignor_member *to, const struct member_metadata *said)
{
	const struct topic_pattern *p = member_has_pattern(said) ? consumer_group_find_pattern(t->c, said->pattern)
								 : NULL;
	uint32_t *topics = mem_alloc((said->topic_count + (p ? p->topic_count : 0) + 1) * sizeof(*topics));
	size_t count = add_wanted(t, said->topics, said->topic_count, topics), kept = 0;

	if (p && p->topic_count) {
		count += add_wanted(t, p->topics, p->topic_count, topics + count);
		qsort(topics, count, sizeof(*topics), compare_places);
		for (size_t i = 0; i < count; i++)
			if (kept == 0 || topics[kept - 1] != topics[i])
				topics[kept++] = topics[i];
		count = kept;
	}
	to->topics = topics;
	to->topic_count = count;
}

/* Whose a partition is in the target as it stands: sets and topics are both in order of ids. */
static void fill_owners(const struct target *t, size_t member)
{
	const struct assigned *a = &t->members[member]->target;
	size_t at = 0;

	for (size_t i = 0; i < a->count; i++) {
		const struct assigned_partition *p = &a->items[i];

		while (at < t->input.topic_count && uuid_compare(t->topics[t->by_id[at]]->id, p->topic) < 0)
			at++;
		if (at == t->input.topic_count)
			return;
		if (uuid_equal(t->topics[t->by_id[at]]->id, p->topic) && p->partition >= 0 &&
		    p->partition < t->asked[t->by_id[at]].partition_count)
			t->asked[t->by_id[at]].owners[p->partition] = (int32_t)member;
	}
}

static void target_init(struct target *t, struct groups *all, struct group *g, const struct image *image)
{
	*t = (struct target){.all = all, .c = g->consumer, .image = image};
	list_members(t);
	list_topics(t);
	for (size_t m = 0; m < t->input.member_count; m++) {
		describe_wants(t, &t->described[m], &t->members[m]->said);
		fill_owners(t, m);
	}
}

static void target_fini(struct target *t)
{
	for (size_t m = 0; m < t->input.member_count; m++)
		mem_free((void *)t->described[m].topics);
	for (size_t i = 0; i < t->input.topic_count; i++)
		mem_free(t->asked[i].owners);
	mem_free(t->members);
	mem_free(t->described);
	mem_free((void *)t->topics);
	mem_free(t->asked);
	mem_free(t->by_id);
}

/* --- what it answered ------------------------------------------------------------------------------------------------------------ */

/* Each member's share, in order of ids. */
static struct assigned *shares_of(const struct target *t)
{
	struct assigned *shares = mem_zalloc((t->input.member_count + 1) * sizeof(*shares));

	for (size_t i = 0; i < t->input.topic_count; i++) {
		const struct assignor_topic *a = &t->asked[t->by_id[i]];

		for (int32_t p = 0; p < a->partition_count; p++)
			if (a->owners[p] >= 0)
				assigned_push(&shares[a->owners[p]], t->topics[t->by_id[i]]->id, p, 0);
	}
	return shares;
}

static bool fits(const struct target *t, const struct step *s, const struct assigned *shares)
{
	for (size_t m = 0; m < t->input.member_count; m++)
		if (assigned_record_bytes(&shares[m]) + t->c->group->id.size + t->members[m]->id.size + 100 >
		    s->max_record_bytes)
			return false;
	return true;
}

static void record_shares(struct target *t, struct step *s, struct assigned *shares)
{
	for (size_t m = 0; m < t->input.member_count; m++) {
		struct consumer_member *member = t->members[m];

		if (member->has_target && assigned_same_partitions(&member->target, &shares[m]))
			continue;
		consumer_member_set_target_take(member, &shares[m]);
		consumer_put_target(s, member);
	}
	consumer_group_set_assignment_epoch(t->c, t->c->epoch, s->wall_ms);
	consumer_put_assignment_epoch(s, t->c->group);
}

/* The one that most members name; of equally many the broker's first. */
static enum server_assignor assignor_of(const struct consumer_options *o, const struct consumer_group *c)
{
	size_t votes[CONSUMER_ASSIGNORS_MAX] = {0}, place = 0;
	enum server_assignor best = o->assignors[0];
	size_t best_votes = 0;

	for (const struct consumer_member *m; (m = consumer_group_next(c, &place));)
		for (size_t i = 0; i < o->assignor_count; i++)
			votes[i] += bytes_equal_str(m->said.server_assignor, server_assignor_name(o->assignors[i]));
	for (size_t i = 0; i < o->assignor_count; i++) {
		if (votes[i] <= best_votes)
			continue;
		best_votes = votes[i];
		best = o->assignors[i];
	}
	return best;
}

enum server_assignor consumer_group_assignor(const struct groups *all, const struct group *g)
{
	return assignor_of(&all->options->consumer, g->consumer);
}

/*
 * Not too soon after the last one, so that members that come together are assigned together. A clock that was set back must not keep a group
 * from its assignment until it has caught up.
 */
static bool is_due(struct groups *all, struct group *g, const struct step *s)
{
	int64_t interval_ms = consumer_group_settings(all, g, s)->assignment_interval_ms;

	return s->wall_ms < g->consumer->assignment_ms || s->wall_ms - g->consumer->assignment_ms >= interval_ms;
}

enum err consumer_group_update_target(struct groups *all, struct group *g, struct step *s)
{
	struct assigned *shares;
	enum err error = OK;
	struct target t;

	if (g->consumer->assignment_epoch >= g->consumer->epoch || !is_due(all, g, s))
		return OK;
	target_init(&t, all, g, s->image);
	server_assignor_assign(consumer_group_assignor(all, g), &t.input);
	shares = shares_of(&t);
	if (fits(&t, s, shares))
		record_shares(&t, s, shares);
	else
		error = ERR_UNKNOWN_SERVER_ERROR;
	for (size_t m = 0; m < t.input.member_count; m++)
		assigned_fini(&shares[m]);
	mem_free(shares);
	target_fini(&t);
	return error;
}

/* --- a member's way ---------------------------------------------------------------------------------------------------------------- */

struct wants_context {
	const struct consumer_member *member;
	const struct image *image;
};

static bool wants_topic(const void *context, struct uuid topic)
{
	const struct wants_context *w = context;
	const struct image_topic *t = image_topic_by_id(w->image, topic);

	return t && consumer_member_wants(w->member->group->consumer, &w->member->said, t->name);
}

/* Of the consumer protocol: it has so long to give up what it must. Those of the classic one are timed by their joins and syncs. */
static void time_progress(struct groups *all, struct consumer_member *m, const struct step *s)
{
	if (member_is_classic(m))
		return;
	if (m->state != MEMBER_UNREVOKED_PARTITIONS) {
		group_timer_cancel(all, &m->progress);
		return;
	}
	m->timed_epoch = m->epoch;
	group_timer_set(all, &m->progress, s->now_ms + m->said.rebalance_timeout_ms);
}

enum err consumer_member_follow(struct groups *all, struct consumer_member *m, struct step *s,
				const struct claimed *claimed, bool subscription_changed, bool *ret_assigned_changed)
{
	struct consumer_group *c = m->group->consumer;
	struct wants_context context = {.member = m, .image = s->image};
	struct reconcile_question q = {
		.member = m,
		.target_epoch = c->assignment_epoch,
		.target = &m->target,
		.owners = &c->owners,
		.claimed = claimed,
		.subscription_changed = subscription_changed,
		.wants = wants_topic,
		.context = &context,
	};
	struct member_position to;
	enum err error = OK;

	if (!consumer_reconcile(&q, &to, &error))
		return error;
	*ret_assigned_changed = !assigned_equal(&m->assigned, &to.assigned);
	consumer_member_move_take(all, m, &to);
	consumer_put_position(s, m);
	time_progress(all, m, s);
	if (c->reconciled == c->member_count && c->epoch == c->assignment_epoch)
		history_end(&m->group->history, s->wall_ms, c->epoch, (int32_t)c->member_count);
	return OK;
}
