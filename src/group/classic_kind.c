/* classic_kind: the classic protocol as a kind of group (group_kind): what is asked of any group, answered for one of this protocol. */
#include "base/alloc.h"
#include "group/classic.h"
#include "group/request.h"

static const char *state_name(const struct group *g)
{
	return classic_state_name(g->classic->state);
}

static struct bytes protocol_type(const struct group *g)
{
	return g->classic->protocol_type.data ? g->classic->protocol_type : bytes_empty();
}

static bool is_empty(const struct group *g)
{
	return g->classic->state == CLASSIC_EMPTY;
}

static void join(struct groups *all, struct group *g, struct step *s, struct join_group_call *c)
{
	classic_join(all, g, s, c, false);
}

/* --- offsets --------------------------------------------------------------------------------------------------------- */

static void committed(struct groups *all, struct group *g, struct step *s, const struct group_identity *who)
{
	struct classic_group *c = g->classic;
	struct classic_member *m = classic_find(c, who->member_id);

	if (m && (c->state == CLASSIC_STABLE || c->state == CLASSIC_PREPARING_REBALANCE))
		classic_heard_of(all, m, s->now_ms);
}

static enum err may_fetch(const struct group *g, const struct group_identity *who)
{
	(void)g;
	(void)who;
	return OK;
}

/* Of consumers it is known what they read, of others it is not. */
static enum err may_delete_offsets(const struct group *g)
{
	return is_empty(g) || bytes_equal_str(protocol_type(g), "consumer") ? OK : ERR_NON_EMPTY_GROUP;
}

static enum offset_age offset_age(const struct group *g)
{
	const struct classic_group *c = g->classic;

	if (bytes_is_null(c->protocol_type))
		return OFFSETS_AGE_SINCE_COMMIT;
	if (c->state == CLASSIC_EMPTY)
		return OFFSETS_AGE_SINCE_EMPTY;
	if (c->state == CLASSIC_STABLE && c->subscribed_known)
		return OFFSETS_AGE_SINCE_COMMIT; /* of what nobody of it reads any more */
	return OFFSETS_NEVER_EXPIRE;
}

static int64_t empty_since_ms(const struct group *g)
{
	return g->classic->state_since_ms;
}

/* --- the group itself ------------------------------------------------------------------------------------------------ */

static enum err may_delete(const struct group *g)
{
	return is_empty(g) ? OK : ERR_NON_EMPTY_GROUP;
}

static void put_tombstones(const struct group *g, struct step *s)
{
	struct group_metadata_key key = {.group = g->id};

	step_remove(s, &group_metadata_key_type, &key);
}

static void loaded(struct groups *all, struct group *g, struct step *s)
{
	struct classic_group *c = g->classic;
	size_t place = 0;

	for (struct classic_member *m; (m = classic_next(c, &place));)
		classic_heard_of(all, m, s->now_ms);
	/* The limit may have been lowered. They can commit before some of them are refused. */
	if (c->members.count > (size_t)all->options->group_max_size)
		classic_prepare_rebalance(all, g, s, &(struct rebalance_reason){.cause = REBALANCE_TOO_LARGE});
}

static int64_t expires_in_ms(const struct classic_member *m, const struct step *s)
{
	if (m->join || m->sync || !heap_linked(&m->session.node))
		return -1;
	return m->session.node.key > s->now_ms ? m->session.node.key - s->now_ms : 0;
}

static bool explain(const struct group *g, const struct step *s, struct explain_group_call *c)
{
	const struct classic_group *classic = g->classic;
	size_t place = 0;

	c->state_since_ms = classic->state_since_ms;
	c->generation = classic->generation;
	c->members = arena_alloc_array(c->arena, classic->members.count, sizeof(*c->members));
	if (!c->members || !copy_text(c->arena, classic->protocol_name, &c->protocol_name) ||
	    !copy_text(c->arena, classic->leader ? classic->leader->id : bytes_empty(), &c->leader))
		return false;
	c->pending_member_count = classic->pending_count;
	for (const struct classic_member *m; (m = classic_next(classic, &place)); c->member_count++) {
		struct explained_member *to = &c->members[c->member_count];

		to->expires_in_ms = expires_in_ms(m, s);
		to->awaits_join = m->join != NULL;
		to->awaits_sync = m->sync != NULL;
		if (!copy_text(c->arena, m->id, &to->member_id) ||
		    !copy_text(c->arena, m->instance_id, &to->instance_id) ||
		    !copy_text(c->arena, m->client_id, &to->client_id) ||
		    !copy_text(c->arena, m->client_host, &to->client_host))
			return false;
	}
	return true;
}

static void give_up_call(struct step *s, struct coordinator_call *c, enum err why)
{
	c->error = why;
	step_answer(s, c);
}

static void give_up(struct group *g, enum err why, struct step *s)
{
	struct classic_group *c = g->classic;
	size_t place = 0;

	for (struct classic_member *m; (m = classic_next(c, &place));) {
		if (m->join)
			give_up_call(s, &m->join->call, why);
		if (m->sync)
			give_up_call(s, &m->sync->call, why);
		m->join = NULL;
		m->sync = NULL;
	}
	c->awaiting_join = 0;
}

static void free_classic(struct groups *all, struct group *g)
{
	struct classic_group *c = g->classic;
	size_t place = 0;

	list_for_each(&c->pending, node) classic_remove_pending(all, container_of(node, struct pending_member, node));
	c->leader = NULL;
	for (struct classic_member *m; (m = classic_next(c, &place));)
		classic_remove(all, m);
	group_timer_cancel(all, &c->join_timer);
	group_timer_cancel(all, &c->sync_timer);
	map_fini(&c->members);
	mem_free(c->protocols);
	mem_free(c->subscribed);
	mem_free((void *)c->protocol_type.data);
	mem_free((void *)c->protocol_name.data);
	mem_free(c);
	g->classic = NULL;
}

const struct group_kind classic_kind = {
	.type = "classic",
	.classic = true,
	.state_name = state_name,
	.protocol_type = protocol_type,
	.empty = is_empty,
	.join = join,
	.sync = classic_sync,
	.heartbeat = classic_heartbeat,
	.leave = classic_leave,
	.may_commit = classic_may_commit,
	.committed = committed,
	.may_fetch = may_fetch,
	.may_delete_offsets = may_delete_offsets,
	.subscribed = classic_subscribed,
	.offset_age = offset_age,
	.empty_since_ms = empty_since_ms,
	.may_delete = may_delete,
	.put_tombstones = put_tombstones,
	.loaded = loaded,
	.explain = explain,
	.give_up = give_up,
	.free = free_classic,
};
