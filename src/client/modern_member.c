/* modern_member: see the header. */
#include "client/modern_member.h"

#define EPOCH_JOIN 0
#define EPOCH_LEAVE (-1)
#define EPOCH_LEAVE_FOR_NOW (-2)

void modern_init(struct modern_member *m, struct prng *random)
{
	*m = (struct modern_member){.epoch = EPOCH_JOIN};
	/* Made here once and kept over all joins (KIP-1082). */
	uuid_format(uuid_random(random), m->id);
}

void modern_join(struct modern_member *m)
{
	m->state = MODERN_JOINING;
	m->number++;
	m->epoch = EPOCH_JOIN;
	m->owes_all = true;
}

bool modern_owes(const struct modern_member *m)
{
	if (m->state == MODERN_JOINING)
		return m->owes_all;
	return m->state == MODERN_MEMBER && (m->owes_topics || m->owes_owned);
}

/* Of each topic's id its numbers; they stand together in the set. */
static bool fill_owned(const struct parts *owned, struct arena *a, struct consumer_group_heartbeat_request *request)
{
	struct consumer_group_heartbeat_request_topic_partitions *rows, *row = NULL;
	const struct cluster_topic *last = NULL;

	rows = arena_alloc_array(a, owned->count + 1, sizeof(*rows));
	if (!rows)
		return false;
	request->topic_partitions = rows;
	request->topic_partitions_count = 0;
	for (size_t i = 0; i < owned->count; i++) {
		const struct part *p = &owned->items[i];

		if (p->topic != last) {
			row = &rows[request->topic_partitions_count++];
			row->topic_id = p->topic->id;
			row->partitions = arena_alloc_array(a, owned->count - i, sizeof(int32_t));
			if (!row->partitions)
				return false;
		}
		last = p->topic;
		row->partitions[row->partitions_count++] = p->index;
	}
	return true;
}

bool modern_fill(const struct modern_member *m, const struct modern_words *w, struct arena *a,
		 struct consumer_group_heartbeat_request *ret_request)
{
	static const struct parts none = {0};
	struct consumer_group_heartbeat_request *r = ret_request;

	message_init(&consumer_group_heartbeat_request_type, r);
	r->group_id = w->group;
	r->member_id = bytes_str(m->id);
	r->member_epoch = m->epoch;
	r->instance_id = w->instance;
	if (m->owes_all) {
		r->rebalance_timeout_ms = w->rebalance_timeout_ms;
		r->rack_id = w->rack;
		r->server_assignor = w->assignor;
	}
	if (m->owes_all || m->owes_topics) {
		r->subscribed_topic_names = arena_alloc_array(a, (size_t)w->topic_count + 1, sizeof(struct bytes));
		if (!r->subscribed_topic_names)
			return false;
		r->subscribed_topic_names_count = w->topic_count;
		for (int32_t i = 0; i < w->topic_count; i++)
			r->subscribed_topic_names[i] = w->topics[i];
		/* Empty takes one back that was there before. */
		if (w->knows_regex && (!bytes_is_null(w->regex) || !m->owes_all))
			r->subscribed_topic_regex = bytes_is_null(w->regex) ? bytes_empty() : w->regex;
	}
	if (m->owes_all || m->owes_owned)
		return fill_owned(m->epoch == EPOCH_JOIN ? &none : w->owned, a, r);
	return true;
}

void modern_fill_leave(const struct modern_member *m, const struct modern_words *w,
		       struct consumer_group_heartbeat_request *ret_request)
{
	message_init(&consumer_group_heartbeat_request_type, ret_request);
	ret_request->group_id = w->group;
	ret_request->member_id = bytes_str(m->id);
	ret_request->instance_id = w->instance;
	ret_request->member_epoch = bytes_is_null(w->instance) ? EPOCH_LEAVE : EPOCH_LEAVE_FOR_NOW;
}

void modern_sent(struct modern_member *m)
{
	m->owes_all = m->owes_topics = m->owes_owned = false;
}

enum verdict modern_answered(struct modern_member *m, enum err e, const struct consumer_group_heartbeat_response *r)
{
	enum verdict v = verdict_of(ASK_MODERN, e);

	if (v == VERDICT_DONE) {
		m->epoch = r->member_epoch;
		m->interval_ms = r->heartbeat_interval_ms;
		m->state = MODERN_MEMBER;
		return v;
	}
	m->owes_all = true;
	if (v == VERDICT_LOST)
		m->state = MODERN_FENCED;
	return v;
}

void modern_gave_up(struct modern_member *m)
{
	must(m->state == MODERN_FENCED || m->state == MODERN_STALE);
	modern_join(m);
}
