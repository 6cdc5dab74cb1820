/*
 * classic_member: what members of a classic group ask besides joining: SyncGroup, Heartbeat, LeaveGroup, and whether they may commit. Kafka's checks in
 * Kafka's order. Calls classic.c, classic_rebalance.c, classic_record.c.
 */
#include "base/alloc.h"
#include "base/mutant.h"
#include "group/classic.h"
#include "group/request.h"

enum err classic_member_check(const struct classic_group *c, struct bytes member_id, struct bytes instance_id,
			      struct classic_member **ret_member)
{
	struct classic_member *m = classic_find(c, member_id);

	if (!bytes_is_null(instance_id)) {
		const struct classic_member *holder = classic_find_static(c, instance_id);

		if (!holder)
			return ERR_UNKNOWN_MEMBER_ID;
		if (holder != m)
			return ERR_FENCED_INSTANCE_ID;
	}
	if (!m)
		return ERR_UNKNOWN_MEMBER_ID;
	*ret_member = m;
	return OK;
}

/* --- sync ------------------------------------------------------------------------------------------------------------ */

void group_sync_refuse(struct sync_group_call *c, enum err why)
{
	message_init(&sync_group_response_type, &c->response);
	c->response.error_code = err_to_kafka(why);
}

void sync_answer(struct step *s, struct sync_group_call *c, const struct classic_group *g, struct bytes assignment,
		 enum err error)
{
	struct sync_group_response *r = &c->response;

	group_sync_refuse(c, error);
	if (!error) {
		r->protocol_type = arena_copy(c->arena, g->protocol_type);
		r->protocol_name = arena_copy(c->arena, g->protocol_name);
		r->assignment = arena_copy(c->arena, assignment.data ? assignment : bytes_empty());
		if (!r->protocol_type.data || !r->protocol_name.data || !r->assignment.data)
			group_sync_refuse(c, ERR_UNKNOWN_SERVER_ERROR);
	}
	step_answer(s, &c->call);
}

static bool names_another(struct bytes asked, struct bytes present)
{
	return !bytes_is_null(asked) && !bytes_is_null(present) && !bytes_equal(asked, present);
}

static enum err check_sync(const struct classic_group *g, const struct sync_group_request *r,
			   struct classic_member **ret_member)
{
	enum err error = classic_member_check(g, r->member_id, r->group_instance_id, ret_member);

	if (error)
		return error;
	if (r->generation_id != g->generation)
		return ERR_ILLEGAL_GENERATION;
	if (names_another(r->protocol_type, g->protocol_type) || names_another(r->protocol_name, g->protocol_name))
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	return g->state == CLASSIC_PREPARING_REBALANCE ? ERR_REBALANCE_IN_PROGRESS : OK;
}

/* The last of equal ids counts, as in Kafka. */
static void take_assignments(struct classic_group *g, const struct sync_group_request *r)
{
	size_t place = 0;

	for (struct classic_member *m; (m = classic_next(g, &place));)
		classic_set_assignment(m, bytes_null());
	for (int32_t i = 0; i < r->assignments_count; i++) {
		struct classic_member *m = classic_find(g, r->assignments[i].member_id);

		if (m)
			classic_set_assignment(m, r->assignments[i].assignment);
	}
}

static size_t assignments_bytes(const struct sync_group_request *r)
{
	size_t size = 0;

	for (int32_t i = 0; i < r->assignments_count; i++)
		size += r->assignments[i].assignment.size;
	return size;
}

/* The leader brings the assignment: the generation is recorded and stands. */
static void stabilize(struct groups *all, struct group *g, struct step *s, const struct sync_group_request *r)
{
	struct classic_group *classic = g->classic;

	/* What members still have of the generation before goes. */
	if (classic_record_bytes(g) + assignments_bytes(r) > s->max_record_bytes) {
		classic_tell_assignment(all, g, s, ERR_UNKNOWN_SERVER_ERROR);
		classic_prepare_rebalance(all, g, s,
					  &(struct rebalance_reason){
						  .cause = REBALANCE_TOO_LARGE,
						  .member_id = classic->leader->id,
						  .client_id = classic->leader->client_id,
						  .client_host = classic->leader->client_host,
					  });
		return;
	}
	take_assignments(classic, r);
	classic_put(g, s);
	classic_move(classic, CLASSIC_STABLE, s->wall_ms);
	history_end(&g->history, s->wall_ms, classic->generation, (int32_t)classic->members.count);
	classic_tell_assignment(all, g, s, OK);
}

void classic_sync(struct groups *all, struct group *g, struct step *s, struct sync_group_call *c)
{
	struct classic_group *classic = g->classic;
	struct classic_member *m = NULL;
	enum err error = classic->state == CLASSIC_EMPTY ? ERR_UNKNOWN_MEMBER_ID : check_sync(classic, c->request, &m);

	if (error) {
		sync_answer(s, c, classic, bytes_empty(), error);
		return;
	}
	classic_synced(all, m);
	if (classic->state == CLASSIC_STABLE) {
		sync_answer(s, c, classic, m->assignment, OK);
		return;
	}
	/* One that waited before is from a connection that its client has given up. */
	if (m->sync)
		classic_refuse_waiting(s, m, ERR_REBALANCE_IN_PROGRESS);
	m->sync = c;
	c->call.waiter = m;
	if (m == classic->leader)
		stabilize(all, g, s, c->request);
}

/* --- heartbeat ------------------------------------------------------------------------------------------------------- */

static void answer_heartbeat(struct step *s, struct heartbeat_call *c, enum err error)
{
	message_init(&heartbeat_response_type, &c->response);
	c->response.error_code = err_to_kafka(error);
	step_answer(s, &c->call);
}

void classic_heartbeat(struct groups *all, struct group *g, struct step *s, struct heartbeat_call *c)
{
	const struct classic_group *classic = g->classic;
	struct classic_member *m = NULL;
	enum err error = classic_member_check(classic, c->request->member_id, c->request->group_instance_id, &m);

	if (!error && c->request->generation_id != classic->generation)
		error = ERR_ILLEGAL_GENERATION;
	if (!error) {
		classic_heard_of(all, m, s->now_ms);
		if (classic->state == CLASSIC_PREPARING_REBALANCE)
			error = ERR_REBALANCE_IN_PROGRESS;
	}
	answer_heartbeat(s, c, error);
}

/* --- leave ----------------------------------------------------------------------------------------------------------- */

/* Whom a rebalance is noted for, since the member itself is gone by then. */
struct leaver {
	struct bytes member_id;
	struct bytes client_id;
	struct bytes client_host;
	struct bytes reason;
	int32_t count; /* of those that left with it */
};

static bool copy_leaver(struct arena *a, const struct classic_member *m, struct bytes reason, struct leaver *ret)
{
	*ret = (struct leaver){
		.member_id = arena_copy(a, m->id),
		.client_id = arena_copy(a, m->client_id),
		.client_host = arena_copy(a, m->client_host),
		.reason = reason,
		.count = ret->count,
	};
	return ret->member_id.data && ret->client_id.data && ret->client_host.data;
}

static void remove_leaver(struct groups *all, struct step *s, struct leave_group_call *c, struct classic_member *m,
			  struct bytes reason, struct leaver *leaver)
{
	if (!leaver->member_id.data && !copy_leaver(c->arena, m, reason, leaver))
		*leaver = (struct leaver){.count = leaver->count};
	leaver->count++;
	classic_refuse_waiting(s, m, ERR_UNKNOWN_MEMBER_ID);
	classic_remove(all, m);
}

/* One of those that leave: OK or its error. */
static enum err leave_one(struct groups *all, struct group *g, struct step *s, struct leave_group_call *c,
			  const struct leave_group_request_member_identity *who, struct leaver *leaver)
{
	struct classic_group *classic = g->classic;
	struct pending_member *pending;
	struct classic_member *m = NULL;
	enum err error;

	/* An administrator removes a static member by its instance id alone. */
	if (who->member_id.size == 0) {
		m = bytes_is_null(who->group_instance_id) ? NULL : classic_find_static(classic, who->group_instance_id);
		if (!m)
			return ERR_UNKNOWN_MEMBER_ID;
		remove_leaver(all, s, c, m, who->reason, leaver);
		return OK;
	}
	pending = classic_find_pending(classic, who->member_id);
	if (pending) {
		classic_remove_pending(all, pending);
		return OK;
	}
	error = classic_member_check(classic, who->member_id, who->group_instance_id, &m);
	if (!error)
		remove_leaver(all, s, c, m, who->reason, leaver);
	return error;
}

static void go_on_without(struct groups *all, struct group *g, struct step *s, const struct leaver *leaver)
{
	switch (g->classic->state) {
	case CLASSIC_STABLE:
	case CLASSIC_COMPLETING_REBALANCE:
		classic_prepare_rebalance(all, g, s,
					  &(struct rebalance_reason){
						  .cause = REBALANCE_MEMBER_LEFT,
						  .member_id = leaver->member_id,
						  .client_id = leaver->client_id,
						  .client_host = leaver->client_host,
						  .client_reason = leaver->reason,
						  .gone = leaver->count,
					  });
		return;
	case CLASSIC_PREPARING_REBALANCE:
		classic_go_on(all, g, s);
		return;
	case CLASSIC_EMPTY:
		return;
	}
}

void classic_leave(struct groups *all, struct group *g, struct step *s, struct leave_group_call *c)
{
	struct leave_members who = leave_members_of(c->request, c->version);
	struct leaver leaver = {0};
	bool any = false;

	if (!leave_answer_begin(c)) {
		answer_without_room(s, &c->call);
		return;
	}
	for (int32_t i = 0; i < who.count; i++) {
		enum err error = leave_one(all, g, s, c, leave_member(&who, i), &leaver);

		leave_answer_one(c, i, error);
		any |= !error;
	}
	step_answer(s, &c->call);
	if (any)
		go_on_without(all, g, s, &leaver);
}

/* --- committing ------------------------------------------------------------------------------------------------------ */

enum err classic_may_commit(const struct group *g, const struct group_identity *who)
{
	const struct classic_group *c = g->classic;
	bool names_member = who->generation >= 0 || who->member_id.size > 0 || !bytes_is_null(who->instance_id);
	struct classic_member *m = NULL;

	/* An administrator, or a client that assigns partitions to itself. */
	if (who->generation < 0 && c->state == CLASSIC_EMPTY)
		return OK;
	if (names_member) {
		enum err error = classic_member_check(c, who->member_id, who->instance_id, &m);

		if (error)
			return MUTANT(EXPIRED_MEMBER_COMMITS) ? OK : error;
		if (who->generation != c->generation && !MUTANT(FENCED_GENERATION_COMMITS))
			return ERR_ILLEGAL_GENERATION;
	} else if (!who->transactional && c->state != CLASSIC_EMPTY) {
		/* Producers of before KIP-447 name no member. */
		return ERR_UNKNOWN_MEMBER_ID;
	}
	if (!who->transactional && c->state == CLASSIC_COMPLETING_REBALANCE)
		return ERR_REBALANCE_IN_PROGRESS;
	return OK;
}
