/*
 * classic_rebalance: from "somebody came, went or changed" to a new generation (classic.h has the picture). What decides when is here; who may do what is
 * in classic_join.c and classic_member.c. Calls classic.c, classic_record.c, history.h.
 *
 *      prepare --from EMPTY--> the initial delay, made longer while members come, no longer than the rebalance timeout --> complete
 *              --otherwise---> all have joined again, or the rebalance timeout is over ------------------------------------> complete
 *
 *      complete: who did not come back goes (static members stay until their session ends), the leader is one of those that did, everybody is told
 */
#include "base/mutant.h"
#include "base/saturate.h"
#include "group/classic.h"

/* Clients may say that a rebalance takes no time. */
#define RETRY_LEAST_MS 100

static int32_t max_i32(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

int32_t classic_rebalance_timeout_ms(const struct classic_group *c)
{
	int32_t greatest = 0;
	size_t place = 0;

	for (const struct classic_member *m; (m = classic_next(c, &place));)
		greatest = max_i32(greatest, m->rebalance_timeout_ms);
	return greatest;
}

void classic_heard_of(struct groups *all, struct classic_member *m, int64_t now_ms)
{
	int32_t timeout_ms = MUTANT(SESSION_ENDS_EARLY) ? m->session_timeout_ms / 4 : m->session_timeout_ms;

	group_timer_set(all, &m->session, saturating_add(now_ms, timeout_ms));
}

bool classic_all_joined(const struct classic_group *c)
{
	return c->awaiting_join == c->members.count && c->pending_count == 0;
}

/* --- telling --------------------------------------------------------------------------------------------------------- */

void classic_refuse_waiting(struct step *s, struct classic_member *m, enum err error)
{
	struct join_group_call *join = m->join;
	struct sync_group_call *sync = m->sync;

	if (join) {
		m->join = NULL;
		m->group->classic->awaiting_join--;
		join_answer_error(s, join, error == ERR_UNKNOWN_MEMBER_ID ? bytes_empty() : m->id, error);
	}
	if (sync) {
		m->sync = NULL;
		sync_answer(s, sync, m->group->classic, bytes_empty(), error);
	}
}

/* As if it had not come back yet: its session runs again, and others wait for it until that ends. */
void classic_abandon(struct groups *all, struct classic_member *m, struct step *s)
{
	classic_refuse_waiting(s, m, ERR_REBALANCE_IN_PROGRESS);
	m->is_new = false;
	classic_heard_of(all, m, s->now_ms);
}

void classic_tell_assignment(struct groups *all, struct group *g, struct step *s, enum err error)
{
	size_t place = 0;

	for (struct classic_member *m; (m = classic_next(g->classic, &place));) {
		struct sync_group_call *sync = m->sync;

		if (!sync)
			continue;
		m->sync = NULL;
		sync_answer(s, sync, g->classic, error ? bytes_empty() : m->assignment, error);
		/* Its session was not looked at while it waited. */
		classic_heard_of(all, m, s->now_ms);
	}
}

/* --- completing ------------------------------------------------------------------------------------------------------ */

static void remove_who_did_not_join(struct groups *all, struct classic_group *c)
{
	size_t place = 0;

	for (struct classic_member *m; (m = classic_next(c, &place));)
		if (!m->join && bytes_is_null(m->instance_id))
			classic_remove(all, m);
}

/* False when nobody has joined who could lead. */
static bool leader_has_joined(struct classic_group *c)
{
	size_t place = 0;

	if (c->leader && c->leader->join)
		return true;
	for (struct classic_member *m; (m = classic_next(c, &place));)
		if (m->join) {
			c->leader = m;
			return true;
		}
	return false;
}

static void become_empty(struct group *g, struct step *s)
{
	struct classic_group *c = g->classic;

	c->generation++;
	classic_set_text(&c->protocol_name, bytes_null());
	classic_update_subscribed(c);
	classic_move(c, CLASSIC_EMPTY, s->wall_ms);
	history_end(&g->history, s->wall_ms, c->generation, 0);
	classic_put(g, s);
}

/* Everybody has a new generation; syncs are awaited. */
static void begin_generation(struct groups *all, struct group *g, struct step *s)
{
	struct classic_group *c = g->classic;
	size_t place = 0;

	c->generation++;
	classic_set_text(&c->protocol_name, classic_select_protocol(c));
	classic_update_subscribed(c);
	classic_move(c, CLASSIC_COMPLETING_REBALANCE, s->wall_ms);
	c->owing_sync = 0;
	for (struct classic_member *m; (m = classic_next(c, &place));) {
		struct join_group_call *join = m->join;

		m->join = NULL;
		m->is_new = false;
		m->owes_sync = true;
		c->owing_sync++;
		if (join)
			join_answer(s, join, c, m, false);
		classic_heard_of(all, m, s->now_ms);
	}
	c->awaiting_join = 0;
	group_timer_set(all, &c->sync_timer, saturating_add(s->now_ms, classic_rebalance_timeout_ms(c)));
}

static void complete_join(struct groups *all, struct group *g, struct step *s)
{
	struct classic_group *c = g->classic;

	group_timer_cancel(all, &c->join_timer);
	remove_who_did_not_join(all, c);
	if (c->members.count == 0) {
		become_empty(g, s);
		return;
	}
	if (!leader_has_joined(c)) {
		/* Static members alone, and none came back: until their sessions end. */
		group_timer_set(all, &c->join_timer,
				saturating_add(s->now_ms, max_i32(classic_rebalance_timeout_ms(c), RETRY_LEAST_MS)));
		return;
	}
	begin_generation(all, g, s);
}

void classic_go_on(struct groups *all, struct group *g, struct step *s)
{
	const struct classic_group *c = g->classic;

	/* The initial delay is waited for, whoever is there. */
	if (c->state == CLASSIC_PREPARING_REBALANCE && c->previous != CLASSIC_EMPTY && classic_all_joined(c))
		complete_join(all, g, s);
}

/* --- preparing ------------------------------------------------------------------------------------------------------- */

static void note_rebalance(struct groups *all, struct group *g, struct step *s, const struct rebalance_reason *why)
{
	/* Who joined is a member already. */
	int32_t members = (int32_t)g->classic->members.count + why->gone;

	if (why->cause == REBALANCE_MEMBER_JOINED)
		members--;
	all->figures.rebalances += !g->history.under_way;
	history_begin(&g->history, &(struct group_rebalance){
					   .cause = why->cause,
					   .began_ms = s->wall_ms,
					   .members_before = members,
					   .member_id = why->member_id,
					   .client_id = why->client_id,
					   .client_host = why->client_host,
					   .reason = why->client_reason,
				   });
}

static void forget_syncs(struct groups *all, struct classic_group *c)
{
	size_t place = 0;

	for (struct classic_member *m; (m = classic_next(c, &place));)
		m->owes_sync = false;
	c->owing_sync = 0;
	group_timer_cancel(all, &c->sync_timer);
}

static void wait_initially(struct groups *all, struct group *g, struct step *s)
{
	struct classic_group *c = g->classic;

	c->member_added = false;
	c->initial_delay_ms = all->options->group_initial_rebalance_delay_ms;
	c->initial_remains_ms = max_i32(classic_rebalance_timeout_ms(c) - c->initial_delay_ms, 0);
	group_timer_set(all, &c->join_timer, saturating_add(s->now_ms, c->initial_delay_ms));
}

void classic_prepare_rebalance(struct groups *all, struct group *g, struct step *s, const struct rebalance_reason *why)
{
	struct classic_group *c = g->classic;
	bool initial = c->state == CLASSIC_EMPTY;
	size_t place = 0;

	if (c->state == CLASSIC_COMPLETING_REBALANCE) {
		for (struct classic_member *m; (m = classic_next(c, &place));)
			classic_set_assignment(m, bytes_null());
		classic_tell_assignment(all, g, s, ERR_REBALANCE_IN_PROGRESS);
	}
	forget_syncs(all, c);
	note_rebalance(all, g, s, why);
	classic_move(c, CLASSIC_PREPARING_REBALANCE, s->wall_ms);
	if (initial)
		wait_initially(all, g, s);
	else if (classic_all_joined(c))
		complete_join(all, g, s);
	else if (!MUTANT(REBALANCE_WAITS_FOREVER))
		group_timer_set(all, &c->join_timer, saturating_add(s->now_ms, classic_rebalance_timeout_ms(c)));
}

void classic_rebalance_or_go_on(struct groups *all, struct group *g, struct step *s, const struct rebalance_reason *why)
{
	if (g->classic->state != CLASSIC_PREPARING_REBALANCE)
		classic_prepare_rebalance(all, g, s, why);
	else
		classic_go_on(all, g, s);
}

void classic_synced(struct groups *all, struct classic_member *m)
{
	struct classic_group *c = m->group->classic;

	if (m->owes_sync)
		c->owing_sync--;
	m->owes_sync = false;
	if (c->owing_sync == 0)
		group_timer_cancel(all, &c->sync_timer);
}

/* --- when nobody is heard of ----------------------------------------------------------------------------------------- */

void classic_join_fire(struct groups *all, struct group_timer *t, struct step *s)
{
	struct classic_group *c = container_of(t, struct classic_group, join_timer);

	if (c->state != CLASSIC_PREPARING_REBALANCE)
		return;
	if (c->previous == CLASSIC_EMPTY && c->member_added && c->initial_remains_ms > 0) {
		int32_t remains_ms = c->initial_remains_ms, delay_ms = all->options->group_initial_rebalance_delay_ms;

		c->member_added = false;
		c->initial_remains_ms = max_i32(remains_ms - c->initial_delay_ms, 0);
		c->initial_delay_ms = delay_ms < remains_ms ? delay_ms : remains_ms;
		group_timer_set(all, t, saturating_add(s->now_ms, c->initial_delay_ms));
		return;
	}
	complete_join(all, c->group, s);
}

static struct rebalance_reason reason_of(enum rebalance_cause cause, const struct classic_member *m)
{
	return (struct rebalance_reason){
		.cause = cause, .member_id = m->id, .client_id = m->client_id, .client_host = m->client_host};
}

/* It goes with a rebalance, or lets the one that is prepared go on. */
static void expire_member(struct groups *all, struct classic_member *m, struct step *s)
{
	struct group *g = m->group;
	struct classic_group *c = g->classic;
	struct rebalance_reason why = reason_of(REBALANCE_SESSION_EXPIRED, m);

	all->figures.expired_members++;
	/* The member's texts are gone before the reason is noted. */
	if (c->state != CLASSIC_PREPARING_REBALANCE)
		note_rebalance(all, g, s, &why);
	classic_refuse_waiting(s, m, ERR_UNKNOWN_MEMBER_ID);
	classic_remove(all, m);
	if (c->state == CLASSIC_STABLE || c->state == CLASSIC_COMPLETING_REBALANCE)
		classic_prepare_rebalance(all, g, s, &(struct rebalance_reason){.cause = REBALANCE_SESSION_EXPIRED});
	else if (c->state == CLASSIC_PREPARING_REBALANCE && classic_all_joined(c))
		complete_join(all, g, s);
}

void classic_session_fire(struct groups *all, struct group_timer *t, struct step *s)
{
	struct classic_member *m = container_of(t, struct classic_member, session);

	/* Who waits is heard of when it is answered; a new member may have gone while its first join waited. */
	if (m->is_new || (!m->join && !m->sync))
		expire_member(all, m, s);
}

void classic_pending_fire(struct groups *all, struct group_timer *t, struct step *s)
{
	struct pending_member *p = container_of(t, struct pending_member, session);
	struct group *g = p->group;
	struct classic_group *c = g->classic;

	classic_remove_pending(all, p);
	if (c->state == CLASSIC_PREPARING_REBALANCE && classic_all_joined(c))
		complete_join(all, g, s);
}

void classic_sync_fire(struct groups *all, struct group_timer *t, struct step *s)
{
	struct classic_group *c = container_of(t, struct classic_group, sync_timer);
	struct group *g = c->group;
	size_t place = 0;

	if (c->owing_sync == 0)
		return;
	for (struct classic_member *m; (m = classic_next(c, &place));) {
		struct rebalance_reason why = reason_of(REBALANCE_SYNC_EXPIRED, m);

		if (!m->owes_sync)
			continue;
		note_rebalance(all, g, s, &why);
		classic_remove(all, m);
	}
	classic_prepare_rebalance(all, g, s, &(struct rebalance_reason){.cause = REBALANCE_SYNC_EXPIRED});
}
