/*
 * request: the doors of JoinGroup, SyncGroup, Heartbeat and LeaveGroup: which group, of which kind, and what is answered when there is none. What they mean is
 * their kind's (classic_join.c, classic_member.c, consumer.h).
 */
#include "group/request.h"

#include "config/config.h"
#include "group/classic.h"

void group_options_read(const struct config *c, struct group_options *ret_options)
{
	*ret_options = (struct group_options){
		.group_min_session_timeout_ms = config_int32(c, CONFIG_GROUP_MIN_SESSION_TIMEOUT_MS),
		.group_max_session_timeout_ms = config_int32(c, CONFIG_GROUP_MAX_SESSION_TIMEOUT_MS),
		.group_initial_rebalance_delay_ms = config_int32(c, CONFIG_GROUP_INITIAL_REBALANCE_DELAY_MS),
		.group_max_size = config_int32(c, CONFIG_GROUP_MAX_SIZE),
		.offset_metadata_max_bytes = config_int32(c, CONFIG_OFFSET_METADATA_MAX_BYTES),
		.offsets_retention_ms = config_int64(c, CONFIG_OFFSETS_RETENTION_MINUTES) * 60 * 1000,
		.offsets_retention_check_interval_ms = config_int64(c, CONFIG_OFFSETS_RETENTION_CHECK_INTERVAL_MS),
	};
	consumer_options_read(c, &ret_options->consumer);
}

void answer_without_room(struct step *s, struct coordinator_call *c)
{
	c->error = ERR_UNKNOWN_SERVER_ERROR;
	step_answer(s, c);
}

/* --- join ------------------------------------------------------------------------------------------------------------ */

enum err group_join_check(const struct group_options *o, const struct join_group_request *request)
{
	if (request->group_id.size == 0)
		return ERR_INVALID_GROUP_ID;
	if (request->session_timeout_ms < o->group_min_session_timeout_ms ||
	    request->session_timeout_ms > o->group_max_session_timeout_ms)
		return ERR_INVALID_SESSION_TIMEOUT;
	return OK;
}

/* It would be given an id and come back with it; there are enough of those, perhaps of who never comes back. Its client tries again. */
static bool has_no_room(const struct groups *all, const struct join_group_call *c)
{
	size_t bytes = classic_pending_bytes(c->request->group_id, c->client.id.size + 1 + UUID_TEXT_SIZE);

	return c->request->member_id.size == 0 && bytes_is_null(c->request->group_instance_id) && c->version >= 4 &&
	       all->pending_bytes + bytes > PENDING_BYTES_MAX;
}

void group_join(struct groups *all, struct step *s, struct join_group_call *c)
{
	enum err error = group_join_check(all->options, c->request);
	struct group *g;
	bool fresh;

	if (error) {
		join_answer_error(s, c, c->request->member_id, error);
		return;
	}
	if (has_no_room(all, c)) {
		join_answer_error(s, c, bytes_empty(), ERR_COORDINATOR_NOT_AVAILABLE);
		return;
	}
	g = groups_find(all, c->request->group_id);
	/* Empty groups of another protocol become classic ones. */
	if (g && !g->kind->classic && (!g->kind->empty(g) || !g->kind->yields)) {
		g->kind->join(all, g, s, c);
		return;
	}
	fresh = !g || !g->kind->classic;
	if (!g && c->request->member_id.size > 0) {
		join_answer_error(s, c, c->request->member_id, ERR_UNKNOWN_MEMBER_ID);
		return;
	}
	if (!g)
		g = groups_find_or_add(all, c->request->group_id, s->wall_ms);
	if (!g->kind->classic) {
		g->kind->put_tombstones(g, s);
		group_become_classic(all, g, s->wall_ms);
	}
	classic_join(all, g, s, c, fresh);
}

/* --- sync, heartbeat ------------------------------------------------------------------------------------------------- */

enum err group_sync_check(const struct sync_group_request *request, int16_t version)
{
	/* What version 5 brought may not be left out (KIP-559). */
	if (version >= 5 && (bytes_is_null(request->protocol_type) || bytes_is_null(request->protocol_name)))
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	return request->group_id.size > 0 ? OK : ERR_INVALID_GROUP_ID;
}

void group_sync(struct groups *all, struct step *s, struct sync_group_call *c)
{
	struct group *g = groups_find(all, c->request->group_id);
	enum err error = group_sync_check(c->request, c->version);

	if (!error && g && !g->kind->empty(g)) {
		g->kind->sync(all, g, s, c);
		return;
	}
	group_sync_refuse(c, error ? error : ERR_UNKNOWN_MEMBER_ID);
	step_answer(s, &c->call);
}

void group_heartbeat_refuse(struct heartbeat_call *c, enum err why)
{
	message_init(&heartbeat_response_type, &c->response);
	c->response.error_code = why == ERR_COORDINATOR_LOAD_IN_PROGRESS ? (int16_t)OK : err_to_kafka(why);
}

void group_heartbeat(struct groups *all, struct step *s, struct heartbeat_call *c)
{
	struct group *g = groups_find(all, c->request->group_id);

	if (g && c->request->group_id.size > 0) {
		g->kind->heartbeat(all, g, s, c);
		return;
	}
	group_heartbeat_refuse(c, c->request->group_id.size > 0 ? ERR_UNKNOWN_MEMBER_ID : ERR_INVALID_GROUP_ID);
	step_answer(s, &c->call);
}

/* --- leave ----------------------------------------------------------------------------------------------------------- */

struct leave_members leave_members_of(const struct leave_group_request *request, int16_t version)
{
	struct leave_members m = {.request = request, .count = request->members_count};

	if (version <= 2) {
		m.is_one = true;
		m.count = 1;
		m.one.member_id = request->member_id;
	}
	return m;
}

const struct leave_group_request_member_identity *leave_member(const struct leave_members *m, int32_t at)
{
	return m->is_one ? &m->one : &m->request->members[at];
}

void group_leave_refuse(struct leave_group_call *c, enum err why)
{
	message_init(&leave_group_response_type, &c->response);
	c->response.error_code = err_to_kafka(why);
}

bool leave_answer_begin(struct leave_group_call *c)
{
	struct leave_members who = leave_members_of(c->request, c->version);

	message_init(&leave_group_response_type, &c->response);
	if (who.is_one)
		return true;
	c->response.members = struct_array_new(&leave_group_response_member_response_struct, (size_t)who.count,
					       c->arena);
	if (!c->response.members)
		return false;
	c->response.members_count = who.count;
	return true;
}

void leave_answer_one(struct leave_group_call *c, int32_t at, enum err error)
{
	struct leave_group_response_member_response *to;

	if (c->version <= 2) {
		c->response.error_code = err_to_kafka(error);
		return;
	}
	to = &c->response.members[at];
	to->member_id = c->request->members[at].member_id;
	to->group_instance_id = c->request->members[at].group_instance_id;
	to->error_code = err_to_kafka(error);
}

/* The group is not there: nobody is its member. */
static void leave_nothing(struct step *s, struct leave_group_call *c)
{
	struct leave_members who = leave_members_of(c->request, c->version);

	if (!leave_answer_begin(c)) {
		answer_without_room(s, &c->call);
		return;
	}
	for (int32_t i = 0; i < who.count; i++)
		leave_answer_one(c, i, ERR_UNKNOWN_MEMBER_ID);
	step_answer(s, &c->call);
}

void group_leave(struct groups *all, struct step *s, struct leave_group_call *c)
{
	struct group *g = groups_find(all, c->request->group_id);

	if (c->request->group_id.size == 0) {
		group_leave_refuse(c, ERR_INVALID_GROUP_ID);
		step_answer(s, &c->call);
		return;
	}
	if (g)
		g->kind->leave(all, g, s, c);
	else
		leave_nothing(s, c);
}
