/*
 * classic_join: JoinGroup at a classic group: who may, as whom, and what it sets off. Kafka's checks in Kafka's order. Calls classic.c,
 * classic_protocol.c, classic_rebalance.c.
 *
 *      no member id: dynamic   version 4 on: gets an id and must come back with it (KIP-394); before: a member at once
 *                    static    takes the place of whoever holds its instance id (KIP-345), or is a member at once
 *      member id:    pending   a member now
 *                    member    joins again: news make a rebalance, nothing new gets the present generation
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/saturate.h"
#include "group/classic.h"
#include "group/request.h"

#define UUID_SUFFIX_SIZE 37 /* "-" and 36 characters */
#define STRING_MAX ((size_t)INT16_MAX)

/* --- answers --------------------------------------------------------------------------------------------------------- */

static void begin_answer(struct join_group_call *c)
{
	message_init(&join_group_response_type, &c->response);
	/* Null from version 7 on, the empty text before. */
	c->response.protocol_name = c->version >= 7 ? bytes_null() : bytes_empty();
}

void group_join_refuse(struct join_group_call *c, enum err why)
{
	begin_answer(c);
	c->response.error_code = err_to_kafka(why);
	if (why == ERR_INVALID_GROUP_ID || why == ERR_INVALID_SESSION_TIMEOUT)
		c->response.member_id = c->request->member_id;
}

void join_answer_error(struct step *s, struct join_group_call *c, struct bytes member_id, enum err error)
{
	begin_answer(c);
	c->response.error_code = err_to_kafka(error);
	if (!copy_text(c->arena, member_id, &c->response.member_id))
		c->response.member_id = bytes_empty();
	step_answer(s, &c->call);
}

static bool answer_members(struct join_group_call *c, const struct classic_group *g)
{
	struct join_group_response_join_group_response_member *to;
	size_t place = 0;

	to = struct_array_new(&join_group_response_join_group_response_member_struct, g->members.count, c->arena);
	if (!to)
		return false;
	c->response.members = to;
	c->response.members_count = (int32_t)g->members.count;
	for (const struct classic_member *m; (m = classic_next(g, &place)); to++)
		if (!copy_text(c->arena, m->id, &to->member_id) ||
		    !copy_text(c->arena, m->instance_id, &to->group_instance_id) ||
		    !copy_text(c->arena, classic_metadata(m, g->protocol_name), &to->metadata))
			return false;
	return true;
}

static bool answer_generation(struct join_group_call *c, const struct classic_group *g, const struct classic_member *m)
{
	struct join_group_response *r = &c->response;

	begin_answer(c);
	r->generation_id = g->generation;
	return copy_text(c->arena, m->id, &r->member_id) &&
	       copy_text(c->arena, g->leader ? g->leader->id : bytes_empty(), &r->leader) &&
	       copy_text(c->arena, g->protocol_type, &r->protocol_type) &&
	       copy_text(c->arena, g->protocol_name, &r->protocol_name) && (m != g->leader || answer_members(c, g));
}

void join_answer(struct step *s, struct join_group_call *c, const struct classic_group *g,
		 const struct classic_member *m, bool skip_assignment)
{
	if (!answer_generation(c, g, m)) {
		join_answer_error(s, c, c->request->member_id, ERR_UNKNOWN_SERVER_ERROR);
		return;
	}
	c->response.skip_assignment = skip_assignment;
	step_answer(s, &c->call);
}

/* --- becoming a member ----------------------------------------------------------------------------------------------- */

/* Version 0 knows no rebalance timeout. */
static int32_t rebalance_timeout_of(const struct join_group_call *c)
{
	return c->version == 0 ? c->request->session_timeout_ms : c->request->rebalance_timeout_ms;
}

static struct rebalance_reason reason_of(const struct join_group_call *c, struct bytes member_id,
					 enum rebalance_cause cause)
{
	return (struct rebalance_reason){
		.cause = cause,
		.member_id = member_id,
		.client_id = c->client.id,
		.client_host = c->client.host,
		.client_reason = c->request->reason,
	};
}

/* Client id or instance id, a dash, and a random uuid as Java writes it. The id is the arena's; null when that is full. */
static struct bytes new_member_id(struct step *s, const struct join_group_call *c)
{
	struct bytes front = bytes_is_null(c->request->group_instance_id) ? c->client.id
									  : c->request->group_instance_id;
	struct uuid u = uuid_random(s->random);
	const uint8_t *b = u.bytes;
	size_t front_size = front.size;
	uint8_t *text;

	/* A longer one would be no text of the protocol. */
	if (front_size > STRING_MAX - UUID_SUFFIX_SIZE)
		front_size = STRING_MAX - UUID_SUFFIX_SIZE;
	text = arena_alloc(c->arena, front_size + UUID_SUFFIX_SIZE + 1);
	if (!text)
		return bytes_null();
	if (front_size)
		memcpy(text, front.data, front_size);
	snprintf((char *)text + front_size, UUID_SUFFIX_SIZE + 1,
		 "-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
		 b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return bytes_of(text, front_size + UUID_SUFFIX_SIZE);
}

static void take_timeouts_and_protocols(struct classic_group *g, struct classic_member *m,
					const struct join_group_call *c)
{
	struct classic_protocol protocols[MEMBER_PROTOCOLS_MAX];

	for (int32_t i = 0; i < c->request->protocols_count; i++)
		protocols[i] = (struct classic_protocol){.name = c->request->protocols[i].name,
							 .metadata = c->request->protocols[i].metadata};
	classic_set_protocols(g, m, protocols, (size_t)c->request->protocols_count);
	m->rebalance_timeout_ms = rebalance_timeout_of(c);
	m->session_timeout_ms = c->request->session_timeout_ms;
}

/* The call waits in the member. One that waited before is from a connection that its client has given up. */
static void wait_for_join(struct step *s, struct classic_group *g, struct classic_member *m, struct join_group_call *c)
{
	if (m->join)
		classic_refuse_waiting(s, m, ERR_REBALANCE_IN_PROGRESS);
	m->join = c;
	c->call.waiter = m;
	g->awaiting_join++;
}

static void add_member(struct groups *all, struct group *g, struct step *s, struct join_group_call *c,
		       struct bytes member_id)
{
	struct classic_group *classic = g->classic;
	struct rebalance_reason why = reason_of(c, member_id, REBALANCE_MEMBER_JOINED);
	struct classic_member *m = classic_add(all, g,
					       &(struct classic_member_texts){
						       .id = member_id,
						       .instance_id = c->request->group_instance_id,
						       .client_id = c->client.id,
						       .client_host = c->client.host,
					       },
					       c->request->protocol_type);

	take_timeouts_and_protocols(classic, m, c);
	m->is_new = true;
	if (classic->state == CLASSIC_PREPARING_REBALANCE && classic->previous == CLASSIC_EMPTY)
		classic->member_added = true;
	wait_for_join(s, classic, m, c);
	/* It has no id yet to send heartbeats with, so its session cannot end; its client comes back before this. */
	group_timer_set(all, &m->session, saturating_add(s->now_ms, NEW_MEMBER_JOIN_TIMEOUT_MS));
	classic_rebalance_or_go_on(all, g, s, &why);
}

static void require_member_id(struct groups *all, struct group *g, struct step *s, struct join_group_call *c,
			      struct bytes member_id)
{
	struct pending_member *p;

	if (g->classic->pending_count >= PENDING_MEMBERS_MAX) {
		join_answer_error(s, c, bytes_empty(), ERR_GROUP_MAX_SIZE_REACHED);
		return;
	}
	p = classic_add_pending(all, g, member_id);
	group_timer_set(all, &p->session, saturating_add(s->now_ms, c->request->session_timeout_ms));
	join_answer_error(s, c, member_id, ERR_MEMBER_ID_REQUIRED);
}

/* --- a static member comes back -------------------------------------------------------------------------------------- */

/* The group is stable and stays so: its record has the new id, and he the present generation. */
static void keep_generation(struct group *g, struct step *s, struct join_group_call *c, const struct classic_member *m,
			    struct bytes leader_before)
{
	struct classic_group *classic = g->classic;

	classic_update_subscribed(classic);
	classic_put(g, s);
	if (c->version >= 9) {
		join_answer(s, c, classic, m, m == classic->leader);
		return;
	}
	/* Who does not know skip_assignment must not assign: he is told that the one who led before leads, and no members. */
	if (!answer_generation(c, classic, m) || !copy_text(c->arena, leader_before, &c->response.leader)) {
		join_answer_error(s, c, bytes_empty(), ERR_UNKNOWN_SERVER_ERROR);
		return;
	}
	c->response.members = NULL;
	c->response.members_count = 0;
	step_answer(s, &c->call);
}

/* Before anything changes: the group's record, should it be written, with what this request brings. */
static bool record_has_room(const struct step *s, const struct group *g, const struct join_group_call *c)
{
	size_t size = classic_record_bytes(g) + c->client.id.size + UUID_SUFFIX_SIZE;

	for (int32_t i = 0; i < c->request->protocols_count; i++)
		size += c->request->protocols[i].metadata.size;
	return size <= s->max_record_bytes;
}

static void replace_static(struct groups *all, struct group *g, struct step *s, struct join_group_call *c,
			   struct classic_member *old, struct bytes member_id)
{
	struct classic_group *classic = g->classic;
	struct rebalance_reason why = reason_of(c, member_id, REBALANCE_STATIC_REPLACED);
	struct bytes leader_before = arena_copy(c->arena, classic->leader ? classic->leader->id : bytes_empty());
	struct classic_member *m;

	if (bytes_is_null(leader_before) || !record_has_room(s, g, c)) {
		join_answer_error(s, c, bytes_empty(), ERR_UNKNOWN_SERVER_ERROR);
		return;
	}
	classic_refuse_waiting(s, old, ERR_FENCED_INSTANCE_ID);
	m = classic_replace(all, old, member_id);
	classic_heard_of(all, m, s->now_ms);
	take_timeouts_and_protocols(classic, m, c);
	switch (classic->state) {
	case CLASSIC_STABLE:
		if (bytes_equal(classic_select_protocol(classic), classic->protocol_name)) {
			keep_generation(g, s, c, m, leader_before);
			return;
		}
		wait_for_join(s, classic, m, c);
		classic_prepare_rebalance(all, g, s, &why);
		return;
	case CLASSIC_COMPLETING_REBALANCE:
		/* The leader may have the old id in hand: what it assigns would reach nobody. */
		wait_for_join(s, classic, m, c);
		classic_prepare_rebalance(all, g, s, &why);
		return;
	case CLASSIC_PREPARING_REBALANCE:
		wait_for_join(s, classic, m, c);
		classic_go_on(all, g, s);
		return;
	case CLASSIC_EMPTY:
		break;
	}
	must_not_reach();
}

/* --- who asks -------------------------------------------------------------------------------------------------------- */

static bool supports(const struct classic_group *g, const struct join_group_call *c)
{
	return c->request->protocols_count <= MEMBER_PROTOCOLS_MAX &&
	       classic_supports(g, c->request->protocol_type, c->request->protocols, c->request->protocols_count);
}

static void join_without_id(struct groups *all, struct group *g, struct step *s, struct join_group_call *c)
{
	struct classic_member *old = NULL;
	struct bytes member_id;

	if (!supports(g->classic, c)) {
		join_answer_error(s, c, bytes_empty(), ERR_INCONSISTENT_GROUP_PROTOCOL);
		return;
	}
	member_id = new_member_id(s, c);
	if (bytes_is_null(member_id)) {
		join_answer_error(s, c, bytes_empty(), ERR_UNKNOWN_SERVER_ERROR);
		return;
	}
	if (!bytes_is_null(c->request->group_instance_id))
		old = classic_find_static(g->classic, c->request->group_instance_id);
	if (old)
		replace_static(all, g, s, c, old, member_id);
	else if (bytes_is_null(c->request->group_instance_id) && c->version >= 4)
		require_member_id(all, g, s, c, member_id);
	else
		add_member(all, g, s, c, member_id);
}

/* What a member that joins again sets off: nothing, when it only missed the answer. */
static bool has_news(const struct classic_group *g, const struct classic_member *m, const struct join_group_call *c,
		     enum rebalance_cause *ret_cause)
{
	*ret_cause = REBALANCE_METADATA_CHANGED;
	/* So it makes the group assign anew when topics grew, which shows in nobody's metadata. */
	if (g->state == CLASSIC_STABLE && m == g->leader) {
		*ret_cause = REBALANCE_LEADER_REJOINED;
		return true;
	}
	return g->state == CLASSIC_PREPARING_REBALANCE ||
	       !classic_same_protocols(m, c->request->protocols, c->request->protocols_count);
}

static void rejoin(struct groups *all, struct group *g, struct step *s, struct join_group_call *c,
		   struct classic_member *m)
{
	struct classic_group *classic = g->classic;
	enum rebalance_cause cause;
	struct rebalance_reason why;

	if (!has_news(classic, m, c, &cause)) {
		join_answer(s, c, classic, m, false);
		return;
	}
	why = reason_of(c, m->id, cause);
	take_timeouts_and_protocols(classic, m, c);
	/* Should a sync of it wait, it is told of the rebalance with those of the others. */
	wait_for_join(s, classic, m, c);
	classic_rebalance_or_go_on(all, g, s, &why);
}

static void join_with_id(struct groups *all, struct group *g, struct step *s, struct join_group_call *c)
{
	const struct join_group_request *r = c->request;
	struct pending_member *pending = classic_find_pending(g->classic, r->member_id);
	struct classic_member *m = NULL;
	enum err error;

	if (!supports(g->classic, c)) {
		join_answer_error(s, c, r->member_id, ERR_INCONSISTENT_GROUP_PROTOCOL);
		return;
	}
	/* An instance id never has a pending member: who sends one with such an id made it up. */
	if (pending && bytes_is_null(r->group_instance_id)) {
		classic_remove_pending(all, pending);
		add_member(all, g, s, c, r->member_id);
		return;
	}
	error = classic_member_check(g->classic, r->member_id, r->group_instance_id, &m);
	if (error)
		join_answer_error(s, c, r->member_id, error);
	else
		rejoin(all, g, s, c, m);
}

/* --- the door -------------------------------------------------------------------------------------------------------- */

/*
 * While preparing, who has joined already counts: so that a group over a limit that was lowered loses those that come back last. Later
 * those that did not join again are gone.
 */
static bool has_room(const struct groups *all, const struct classic_group *g, struct bytes member_id)
{
	const struct classic_member *m = classic_find(g, member_id);
	size_t max = (size_t)all->options->group_max_size;

	switch (g->state) {
	case CLASSIC_EMPTY:
		return true;
	case CLASSIC_PREPARING_REBALANCE:
		return (m && m->join) || g->awaiting_join < max;
	case CLASSIC_COMPLETING_REBALANCE:
	case CLASSIC_STABLE:
		return m || g->members.count < max;
	}
	return false;
}

static void forget(struct groups *all, const struct classic_group *g, struct bytes member_id)
{
	struct classic_member *m = classic_find(g, member_id);
	struct pending_member *p = classic_find_pending(g, member_id);

	if (m)
		classic_remove(all, m);
	if (p)
		classic_remove_pending(all, p);
}

void classic_join(struct groups *all, struct group *g, struct step *s, struct join_group_call *c, bool fresh)
{
	size_t records = s->record_count;

	if (!has_room(all, g->classic, c->request->member_id)) {
		forget(all, g->classic, c->request->member_id);
		join_answer_error(s, c, bytes_empty(), ERR_GROUP_MAX_SIZE_REACHED);
	} else if (c->request->member_id.size == 0) {
		join_without_id(all, g, s, c);
	} else {
		join_with_id(all, g, s, c);
	}
	if (fresh && s->record_count == records)
		classic_put_empty(g, s);
}
