/*
 * membership: JoinGroup 0-9, SyncGroup 0-5, Heartbeat 0-4, LeaveGroup 0-5: the members of a group. What is refused before anybody is asked is
 * refused here; all else is group/'s. May call: coordinate.h, group/group.h.
 */
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"

/* --- JoinGroup -------------------------------------------------------------------------------------------------------- */

struct join_group {
	struct coordination coordination;
	struct coordinated part;
	struct join_group_call group;
};

static void run_join(void *state, struct step *out, struct coordinator_call *c)
{
	group_join(state, out, container_of(c, struct join_group_call, call));
}

static void join_over(struct request *rq)
{
	struct join_group *j = rq->state;

	if (j->group.call.error)
		group_join_refuse(&j->group, j->group.call.error);
	request_reply(rq, &j->group.response);
}

static void join_group_begin(struct request *rq)
{
	const struct join_group_request *body = rq->body;
	struct join_group *j = told_alloc(rq, 1, sizeof(*j));

	if (!j)
		return;
	rq->state = j;
	coordination_init(&j->coordination, rq, join_over);
	j->part = (struct coordinated){.call = &j->group.call, .run = run_join};
	j->group.request = body;
	j->group.version = rq->header.api_version;
	j->group.client = told_group_client(rq);
	j->group.call.error = group_join_check(&rq->broker->group_options, body);
	if (j->group.call.error) {
		j->group.arena = &rq->arena;
		join_over(rq);
		return;
	}
	coordination_add(&j->coordination, &j->part, INTERNAL_GROUPS, body->group_id);
	j->group.arena = j->part.arena;
	coordination_go(&j->coordination);
}

const struct api_handler join_group_handler = {
	.key = API_JOIN_GROUP,
	.min_version = 0,
	.max_version = 9,
	.begin = join_group_begin,
	.hurry = coordination_hurry,
	.abandon = coordination_abandon,
};

/* --- SyncGroup -------------------------------------------------------------------------------------------------------- */

struct sync_group {
	struct coordination coordination;
	struct coordinated part;
	struct sync_group_call group;
};

static void run_sync(void *state, struct step *out, struct coordinator_call *c)
{
	group_sync(state, out, container_of(c, struct sync_group_call, call));
}

static void sync_over(struct request *rq)
{
	struct sync_group *s = rq->state;

	if (s->group.call.error)
		group_sync_refuse(&s->group, s->group.call.error);
	request_reply(rq, &s->group.response);
}

/* From version 5 on a member has to say what it thinks the group's protocol is. */
static enum err check_sync(const struct sync_group_request *body, int16_t version)
{
	if (version >= 5 && (bytes_is_null(body->protocol_type) || bytes_is_null(body->protocol_name)))
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	return body->group_id.size == 0 ? ERR_INVALID_GROUP_ID : OK;
}

static void sync_group_begin(struct request *rq)
{
	const struct sync_group_request *body = rq->body;
	struct sync_group *s = told_alloc(rq, 1, sizeof(*s));

	if (!s)
		return;
	rq->state = s;
	coordination_init(&s->coordination, rq, sync_over);
	s->part = (struct coordinated){.call = &s->group.call, .run = run_sync};
	s->group.request = body;
	s->group.version = rq->header.api_version;
	s->group.call.error = check_sync(body, rq->header.api_version);
	if (s->group.call.error) {
		s->group.arena = &rq->arena;
		sync_over(rq);
		return;
	}
	coordination_add(&s->coordination, &s->part, INTERNAL_GROUPS, body->group_id);
	s->group.arena = s->part.arena;
	coordination_go(&s->coordination);
}

const struct api_handler sync_group_handler = {
	.key = API_SYNC_GROUP,
	.min_version = 0,
	.max_version = 5,
	.begin = sync_group_begin,
	.hurry = coordination_hurry,
	.abandon = coordination_abandon,
};

/* --- Heartbeat -------------------------------------------------------------------------------------------------------- */

struct heartbeat {
	struct coordination coordination;
	struct coordinated part;
	struct heartbeat_call group;
};

static void run_heartbeat(void *state, struct step *out, struct coordinator_call *c)
{
	group_heartbeat(state, out, container_of(c, struct heartbeat_call, call));
}

static void heartbeat_over(struct request *rq)
{
	struct heartbeat *h = rq->state;

	if (h->group.call.error)
		group_heartbeat_refuse(&h->group, h->group.call.error);
	request_reply(rq, &h->group.response);
}

static void heartbeat_begin(struct request *rq)
{
	const struct heartbeat_request *body = rq->body;
	struct heartbeat *h = told_alloc(rq, 1, sizeof(*h));

	if (!h)
		return;
	rq->state = h;
	coordination_init(&h->coordination, rq, heartbeat_over);
	h->part = (struct coordinated){.call = &h->group.call, .run = run_heartbeat};
	h->group.request = body;
	if (body->group_id.size == 0) {
		h->group.call.error = ERR_INVALID_GROUP_ID;
		heartbeat_over(rq);
		return;
	}
	coordination_add(&h->coordination, &h->part, INTERNAL_GROUPS, body->group_id);
	coordination_go(&h->coordination);
}

const struct api_handler heartbeat_handler = {
	.key = API_HEARTBEAT,
	.min_version = 0,
	.max_version = 4,
	.begin = heartbeat_begin,
};

/* --- LeaveGroup ------------------------------------------------------------------------------------------------------- */

struct leave_group {
	struct coordination coordination;
	struct coordinated part;
	struct leave_group_call group;
};

static void run_leave(void *state, struct step *out, struct coordinator_call *c)
{
	group_leave(state, out, container_of(c, struct leave_group_call, call));
}

static void leave_over(struct request *rq)
{
	struct leave_group *l = rq->state;

	if (l->group.call.error)
		group_leave_refuse(&l->group, l->group.call.error);
	request_reply(rq, &l->group.response);
}

static void leave_group_begin(struct request *rq)
{
	const struct leave_group_request *body = rq->body;
	struct leave_group *l = told_alloc(rq, 1, sizeof(*l));

	if (!l)
		return;
	rq->state = l;
	coordination_init(&l->coordination, rq, leave_over);
	l->part = (struct coordinated){.call = &l->group.call, .run = run_leave};
	l->group.request = body;
	l->group.version = rq->header.api_version;
	l->group.client = told_group_client(rq);
	if (body->group_id.size == 0) {
		l->group.call.error = ERR_INVALID_GROUP_ID;
		l->group.arena = &rq->arena;
		leave_over(rq);
		return;
	}
	coordination_add(&l->coordination, &l->part, INTERNAL_GROUPS, body->group_id);
	l->group.arena = l->part.arena;
	coordination_go(&l->coordination);
}

const struct api_handler leave_group_handler = {
	.key = API_LEAVE_GROUP,
	.min_version = 0,
	.max_version = 5,
	.begin = leave_group_begin,
};
