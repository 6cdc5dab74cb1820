/* consumer_change: what several requests do to a group of the consumer protocol: epochs, sessions, members that change, are replaced and go. */
#include "base/alloc.h"
#include "group/consumer_group.h"
#include "group/topic_hash.h"
#include "metadata/image.h"

/* One topic as it is hashed: some bytes a partition and replica; of a million partitions 14 MB. */
#define HASHED_BYTES_MAX ((size_t)1 << 30)

/* --- epochs ------------------------------------------------------------------------------------------------------------------ */

int64_t consumer_group_hash(const struct consumer_group *c, const struct image *image)
{
	int64_t *hashes = mem_alloc((c->topic_count + 1) * sizeof(*hashes)), hash;
	struct buf scratch;
	size_t count = 0;

	buf_init(&scratch, HASHED_BYTES_MAX);
	for (size_t i = 0; i < c->topic_count; i++) {
		const struct image_topic *t = image_topic_by_name(image, c->topics[i].name);

		if (t)
			hashes[count++] = topic_hash(image, t, &scratch);
	}
	hash = topics_hash(hashes, count, &scratch);
	buf_fini(&scratch);
	mem_free(hashes);
	return hash;
}

static void note(struct group *g, const struct step *s, const struct consumer_cause *why)
{
	struct group_rebalance what = {
		.cause = why->cause,
		.began_ms = s->wall_ms,
		/* Who joins is there already. */
		.members_before = (int32_t)g->consumer->member_count - (why->cause == REBALANCE_MEMBER_JOINED),
		.reason = bytes_is_null(why->reason) ? bytes_empty() : why->reason,
	};

	if (why->member) {
		what.member_id = why->member->id;
		what.client_id = why->member->said.client_id;
		what.client_host = why->member->said.client_host;
	}
	history_begin(&g->history, &what);
}

static void begin_epoch(struct groups *all, struct group *g, struct step *s, int64_t hash)
{
	g->consumer->epoch++;
	g->consumer->metadata_hash = hash;
	g->consumer->seen_version = image_version(s->image);
	all->figures.rebalances++;
	consumer_put_epoch(s, g);
}

void consumer_group_refresh(struct groups *all, struct group *g, struct step *s, bool bump,
			    const struct consumer_cause *why)
{
	static const struct consumer_cause topics = {.cause = REBALANCE_TOPICS_CHANGED};
	struct consumer_group *c = g->consumer;
	int64_t hash;

	if (!bump && c->seen_version == image_version(s->image))
		return;
	hash = consumer_group_hash(c, s->image);
	c->seen_version = image_version(s->image);
	if (c->old_metadata)
		consumer_put_old_metadata_gone(s, g);
	c->old_metadata = false;
	if (!bump && hash == c->metadata_hash)
		return;
	note(g, s, bump ? why : &topics);
	begin_epoch(all, g, s, hash);
}

/* --- sessions ------------------------------------------------------------------------------------------------------------------ */

void consumer_member_heard_of(struct groups *all, struct consumer_member *m, const struct step *s, int32_t timeout_ms)
{
	m->expires_ms = s->now_ms + timeout_ms;
	/* Most are heard of again before the timer, which then only sets itself anew: a heartbeat costs no walk in a heap. */
	if (!heap_linked(&m->session.node) || m->session.node.key > m->expires_ms)
		group_timer_set(all, &m->session, m->expires_ms);
}

void consumer_session_fire(struct groups *all, struct group_timer *t, struct step *s)
{
	struct consumer_member *m = container_of(t, struct consumer_member, session);

	if (m->expires_ms > s->now_ms) {
		group_timer_set(all, t, m->expires_ms);
		return;
	}
	all->figures.expired_members++;
	consumer_group_fence(all, m->group, s, &m, 1,
			     &(struct consumer_cause){.cause = REBALANCE_SESSION_EXPIRED, .member = m});
}

/* It did not give up what it must; or, of the classic protocol, did not join again. */
void consumer_progress_fire(struct groups *all, struct group_timer *t, struct step *s)
{
	struct consumer_member *m = container_of(t, struct consumer_member, progress);

	if (!member_is_classic(m) && m->epoch != m->timed_epoch)
		return;
	all->figures.expired_members++;
	consumer_group_fence(all, m->group, s, &m, 1,
			     &(struct consumer_cause){.cause = REBALANCE_NOT_REVOKED, .member = m});
}

void consumer_sync_fire(struct groups *all, struct group_timer *t, struct step *s)
{
	struct consumer_member *m = container_of(t, struct consumer_member, sync);

	all->figures.expired_members++;
	consumer_group_fence(all, m->group, s, &m, 1,
			     &(struct consumer_cause){.cause = REBALANCE_SYNC_EXPIRED, .member = m});
}

/* --- members ------------------------------------------------------------------------------------------------------------------- */

struct consumer_member *consumer_member_replace(struct groups *all, struct consumer_member *old, struct bytes member_id,
						struct step *s)
{
	struct member_position beginning = {.state = old->state};
	struct consumer_member *m;

	consumer_put_member_gone(s, old->group, old->id);
	m = consumer_member_rename(all, old, member_id);
	assigned_copy(&beginning.assigned, &m->assigned);
	assigned_copy(&beginning.revoking, &m->revoking);
	consumer_member_move_take(all, m, &beginning);
	m->has_target = true;
	consumer_put_member(s, m);
	consumer_put_target(s, m);
	consumer_put_position(s, m);
	return m;
}

static bool same_text(struct bytes a, struct bytes b)
{
	return bytes_is_null(a) == bytes_is_null(b) && bytes_equal(a, b);
}

static bool same_classic(const struct classic_part *a, const struct classic_part *b)
{
	if (!a || !b)
		return a == b;
	if (a->session_timeout_ms != b->session_timeout_ms || a->protocol_count != b->protocol_count)
		return false;
	for (size_t i = 0; i < a->protocol_count; i++)
		if (!bytes_equal(a->protocols[i].name, b->protocols[i].name) ||
		    !bytes_equal(a->protocols[i].metadata, b->protocols[i].metadata))
			return false;
	return true;
}

static bool said_the_same(const struct member_metadata *a, const struct member_metadata *b)
{
	return same_text(a->instance_id, b->instance_id) && same_text(a->rack_id, b->rack_id) &&
	       bytes_equal(a->client_id, b->client_id) && bytes_equal(a->client_host, b->client_host) &&
	       same_text(a->pattern, b->pattern) && same_text(a->server_assignor, b->server_assignor) &&
	       names_equal(a->topics, a->topic_count, b->topics, b->topic_count) &&
	       a->rebalance_timeout_ms == b->rebalance_timeout_ms && same_classic(a->classic, b->classic);
}

static void drop_unwanted_patterns(struct group *g, struct step *s)
{
	struct consumer_group *c = g->consumer;

	for (size_t i = 0; i < c->pattern_count;) {
		struct topic_pattern *p = &c->patterns[i];

		if (p->members) {
			i++;
			continue;
		}
		consumer_put_pattern_gone(s, g, p->text);
		consumer_group_unresolve(c, p->text);
	}
}

void consumer_member_update(struct groups *all, struct consumer_member *m, struct step *s,
			    const struct member_metadata *said, const struct consumer_cause *why,
			    bool *ret_subscription_changed)
{
	struct group *g = m->group;
	bool names, pattern, bump;

	names = !names_equal(m->said.topics, m->said.topic_count, said->topics, said->topic_count);
	/* None is null or empty; that is no difference in what is wanted. */
	pattern = !bytes_equal(m->said.pattern, said->pattern);
	if (!m->recorded || !said_the_same(&m->said, said)) {
		consumer_member_say(all, m, said);
		consumer_put_member(s, m);
	}
	if (pattern)
		drop_unwanted_patterns(g, s);
	*ret_subscription_changed = names || pattern;
	bump = names || (pattern && (m->said.pattern.size == 0 ||
				     consumer_group_find_pattern(g->consumer, m->said.pattern)->resolved));
	/*
	 * Of a rebalance that ended with the classic group somebody may have nothing, who will not ask; and in its first one there was no
	 * generation yet: epoch 0 would mean to join.
	 */
	bump |= g->consumer->unsettled;
	g->consumer->unsettled = false;
	/* What is not resolved yet begins another epoch when it is. */
	if (g->consumer->subscribed_patterns && consumer_group_resolve_patterns(all, g, s))
		return;
	consumer_group_refresh(all, g, s, bump, why);
}

/* --- members that go ----------------------------------------------------------------------------------------------------------- */

void consumer_group_fence(struct groups *all, struct group *g, struct step *s, struct consumer_member *const *members,
			  size_t count, const struct consumer_cause *why)
{
	struct consumer_group *c = g->consumer;

	if (consumer_may_downgrade(all, g, s, members, count)) {
		struct rebalance_reason reason = {.cause = why->cause, .client_reason = why->reason};

		if (why->member) {
			reason.member_id = why->member->id;
			reason.client_id = why->member->said.client_id;
			reason.client_host = why->member->said.client_host;
		}
		consumer_downgrade(all, g, s, members, count, &reason);
		return;
	}
	/* It keeps who it was. */
	note(g, s, why);
	for (size_t i = 0; i < count; i++) {
		consumer_put_member_gone(s, g, members[i]->id);
		consumer_group_remove(all, members[i]);
	}
	drop_unwanted_patterns(g, s);
	begin_epoch(all, g, s, consumer_group_hash(c, s->image));
	if (c->member_count == 0)
		history_end(&g->history, s->wall_ms, c->epoch, 0);
}
