/* member_classic: the conversation of a member with its group by the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/assign.h"
#include "client/group_own.h"
#include "client/lead.h"
#include "protocol/messages.h"

#define JOIN_GROUP_NEWEST 9
#define SYNC_GROUP_NEWEST 5
#define HEARTBEAT_NEWEST 4
#define LEAVE_GROUP_NEWEST 5
/* From these on requests carry an instance id, and LeaveGroup members. */
#define JOIN_WITH_INSTANCE 5
#define SYNC_WITH_INSTANCE 3
#define SYNC_WITH_PROTOCOL 5
#define HEARTBEAT_WITH_INSTANCE 3
#define LEAVE_MANY 3
#define ARENA_MAX ((size_t)64 * 1024 * 1024)
#define METADATA_MAX ((size_t)16 * 1024 * 1024)
#define PROTOCOL_TYPE "consumer"
/* Beyond what others may take to come back a JoinGroup has so long for its way, as Java's has. */
#define JOIN_GRACE_MS 5000

struct classic_talk {
	struct group *group;
	unsigned said_version; /* of what is wanted, as the last JoinGroup said it */
	int64_t heartbeat_us;  /* when the next is due */
	int64_t heard_us;      /* when the last was answered */
	unsigned failures;
	bool cooperative;
	bool away;  /* it left, since the program was away too long */
	bool again; /* once the program has what it got: others wait for what it gave up */
	struct lead lead;
	char why[GROUP_WHY_SIZE];
};

/* --- asking ------------------------------------------------------------------------------------------------------ */

static int64_t in_us(const struct group *g, int64_t ms)
{
	return shard_now_us(g->options.shard) + ms * 1000;
}

/* What follows from where the coordinator is: another place to ask, or a wait. */
static void after_failure(struct classic_talk *t, enum verdict v, const struct peer *peer)
{
	if (v == VERDICT_FIND && peer)
		coordinator_lost(&t->group->coordinator, peer);
}

static void pause_await(struct fiber *self, struct classic_talk *t)
{
	struct group *g = t->group;

	(void)group_wait_await(self, g,
			       shard_now_us(g->options.shard) +
				       client_backoff_us(g->options.shard, g->options.config, ++t->failures));
}

/* An answer that may take as long as others need: given up when the program leaves. */
struct long_call {
	struct peer_call call;
	struct group *group;
	bool done;
};

static void long_call_done(struct peer_call *call)
{
	struct long_call *l = container_of(call, struct long_call, call);

	l->done = true;
	event_signal(&l->group->changed);
}

static enum err ask_long_await(struct fiber *self, struct group *g, struct peer *peer, struct long_call *l)
{
	enum err e = OK;

	l->group = g;
	l->call.done = long_call_done;
	e = peer_send(peer, &l->call);
	if (e)
		return e;
	while (!l->done) {
		bool unwanted = !g->subscribed || fiber_cancelled(self);

		if (unwanted || group_wait_await(self, g, FIBER_NO_DEADLINE)) {
			if (l->done)
				break;
			peer_call_cancel(peer, &l->call);
			/* The broker works on nothing else of this connection before it has answered. */
			peer_drop(peer, ERR_CANCELLED);
			return ERR_INTERRUPTED;
		}
	}
	return l->call.error;
}

/* --- JoinGroup --------------------------------------------------------------------------------------------------- */

static bool fill_owned(const struct parts *owned, struct arena *a, struct consumer_protocol_subscription *s)
{
	struct consumer_protocol_subscription_topic_partition *rows, *row = NULL;
	const struct cluster_topic *last = NULL;

	rows = arena_alloc_array(a, owned->count + 1, sizeof(*rows));
	if (!rows)
		return false;
	s->owned_partitions = rows;
	s->owned_partitions_count = 0;
	for (size_t i = 0; i < owned->count; i++) {
		if (owned->items[i].topic != last) {
			last = owned->items[i].topic;
			row = &rows[s->owned_partitions_count++];
			row->topic = bytes_str(last->name);
			row->partitions = arena_alloc_array(a, owned->count - i, sizeof(int32_t));
			if (!row->partitions)
				return false;
		}
		row->partitions[row->partitions_count++] = owned->items[i].index;
	}
	return true;
}

/* The same as an assignment, for assignors that want to know what they gave. */
static bool last_assignment(const struct parts *last, struct arena *a, struct consumer_protocol_assignment *ret)
{
	struct consumer_protocol_subscription s;

	message_init(&consumer_protocol_subscription_type, &s);
	message_init(&consumer_protocol_assignment_type, ret);
	if (!fill_owned(last, a, &s))
		return false;
	ret->assigned_partitions = arena_alloc_array(a, (size_t)s.owned_partitions_count + 1,
						     sizeof(*ret->assigned_partitions));
	if (!ret->assigned_partitions)
		return false;
	ret->assigned_partitions_count = s.owned_partitions_count;
	for (int32_t i = 0; i < s.owned_partitions_count; i++) {
		ret->assigned_partitions[i].topic = s.owned_partitions[i].topic;
		ret->assigned_partitions[i].partitions = s.owned_partitions[i].partitions;
		ret->assigned_partitions[i].partitions_count = s.owned_partitions[i].partitions_count;
	}
	return true;
}

static enum err fill_subscription(struct group *g, enum assignor how, struct arena *a, struct buf *out)
{
	struct consumer_protocol_assignment last;
	struct consumer_protocol_subscription s;
	size_t count;
	char *const *topics = group_topics(g, &count);

	message_init(&consumer_protocol_subscription_type, &s);
	s.topics = arena_alloc_array(a, count + 1, sizeof(*s.topics));
	if (!s.topics || !fill_owned(&g->owned, a, &s) || !last_assignment(&g->last, a, &last))
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		s.topics[i] = bytes_str(topics[i]);
	s.topics_count = (int32_t)count;
	s.generation_id = g->classic.generation;
	s.rack_id = group_text(g->options.config->client_rack);
	return assignor_user_data(how, g->last_generation < 0 ? NULL : &last, g->last_generation, a, &s.user_data)
		       ?: subscription_encode(&s, out);
}

static enum err fill_protocols(struct group *g, struct arena *a, struct join_group_request *request)
{
	const struct client_config *c = g->options.config;
	struct buf out;
	enum err e = OK;

	request->protocols = arena_alloc_array(a, c->assignor_count, sizeof(*request->protocols));
	if (!request->protocols)
		return ERR_NO_MEMORY;
	request->protocols_count = (int32_t)c->assignor_count;
	buf_init(&out, METADATA_MAX);
	for (size_t i = 0; i < c->assignor_count && !e; i++) {
		buf_reset(&out);
		e = fill_subscription(g, (enum assignor)c->assignors[i], a, &out);
		request->protocols[i].name = bytes_str(assignor_name((enum assignor)c->assignors[i]));
		request->protocols[i].metadata = arena_copy(a, buf_bytes(&out));
		if (!e && bytes_is_null(request->protocols[i].metadata))
			e = ERR_NO_MEMORY;
	}
	buf_fini(&out);
	return e;
}

static enum err ask_join_await(struct fiber *self, struct classic_talk *t, struct peer *peer, struct arena *a,
			       struct join_group_response *response, struct blob **ret_frame)
{
	struct group *g = t->group;
	const struct client_config *c = g->options.config;
	int64_t long_ms = c->max_poll_interval_ms + JOIN_GRACE_MS;
	struct join_group_request request;
	struct long_call l = {0};
	int16_t version = 0;
	enum err e = peer_version(peer, API_JOIN_GROUP, JOIN_GROUP_NEWEST, &version);

	if (e)
		return e;
	message_init(&join_group_request_type, &request);
	request.group_id = bytes_str(c->group_id);
	request.session_timeout_ms = (int32_t)c->session_timeout_ms;
	request.rebalance_timeout_ms = (int32_t)c->max_poll_interval_ms;
	request.member_id = bytes_str(g->classic.id);
	if (version >= JOIN_WITH_INSTANCE)
		request.group_instance_id = group_text(c->group_instance_id);
	request.protocol_type = bytes_str(PROTOCOL_TYPE);
	t->said_version = g->wanted_version;
	t->again = false;
	e = fill_protocols(g, a, &request);
	if (e)
		return e;
	l.call = (struct peer_call){
		.api_key = API_JOIN_GROUP,
		.version = version,
		.deadline_us = in_us(g, long_ms > c->request_timeout_ms ? long_ms : c->request_timeout_ms),
		.request = &request,
		.response = response,
		.arena = a};
	e = ask_long_await(self, g, peer, &l);
	if (e)
		return e;
	*ret_frame = l.call.frame;
	return (enum err)response->error_code;
}

/* --- SyncGroup --------------------------------------------------------------------------------------------------- */

static enum err take_assignment(struct group *g, struct bytes assignment, struct arena *a, struct parts *ret_target)
{
	struct consumer_protocol_assignment given;
	enum err e = OK;

	message_init(&consumer_protocol_assignment_type, &given);
	/* A member that gets nothing may get no bytes at all. */
	if (assignment.size > 0)
		e = assignment_decode(assignment, a, &given);
	for (int32_t i = 0; i < given.assigned_partitions_count && !e; i++) {
		const struct consumer_protocol_assignment_topic_partition *row = &given.assigned_partitions[i];
		struct bytes name = arena_copy(a, row->topic);

		if (name.size == 0 || strlen((const char *)name.data) != name.size)
			return ERR_MALFORMED;
		for (int32_t k = 0; k < row->partitions_count; k++) {
			if (row->partitions[k] < 0)
				return ERR_MALFORMED;
			parts_append(ret_target, cluster_topic(g->options.cluster, (const char *)name.data, true),
				     row->partitions[k]);
		}
	}
	parts_sort(ret_target);
	return e;
}

static enum err ask_sync_await(struct fiber *self, struct classic_talk *t, struct peer *peer, struct arena *a,
			       const struct join_group_response *joined, struct bytes *ret_assignment,
			       struct blob **ret_frame)
{
	struct group *g = t->group;
	const struct client_config *c = g->options.config;
	struct sync_group_request request;
	struct sync_group_response *response = arena_new(a, struct sync_group_response);
	struct long_call l = {0};
	int16_t version = 0;
	enum err e = peer_version(peer, API_SYNC_GROUP, SYNC_GROUP_NEWEST, &version);

	if (e || !response)
		return e ? e : ERR_NO_MEMORY;
	message_init(&sync_group_request_type, &request);
	request.group_id = bytes_str(c->group_id);
	request.generation_id = g->classic.generation;
	request.member_id = bytes_str(g->classic.id);
	if (version >= SYNC_WITH_INSTANCE)
		request.group_instance_id = group_text(c->group_instance_id);
	if (version >= SYNC_WITH_PROTOCOL) {
		request.protocol_type = bytes_str(PROTOCOL_TYPE);
		request.protocol_name = joined->protocol_name;
	}
	lead_forget(&t->lead);
	if (bytes_equal_str(joined->leader, g->classic.id)) {
		e = lead_await(self, &t->lead, joined, a, &request);
		if (e)
			return e;
	}
	l.call = (struct peer_call){.api_key = API_SYNC_GROUP,
				    .version = version,
				    .deadline_us = in_us(g, c->request_timeout_ms > c->max_poll_interval_ms
								    ? c->request_timeout_ms
								    : c->max_poll_interval_ms + JOIN_GRACE_MS),
				    .request = &request,
				    .response = response,
				    .arena = a};
	e = ask_long_await(self, g, peer, &l);
	if (e)
		return e;
	*ret_frame = l.call.frame;
	if (response->error_code)
		return (enum err)response->error_code;
	/* It says which assignor all have agreed on, from version 5 on; another than ours would be somebody else's bytes. */
	if (!bytes_is_null(response->protocol_name) && !bytes_equal(response->protocol_name, joined->protocol_name))
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	*ret_assignment = response->assignment;
	return OK;
}

static void note_given(struct classic_talk *t, const struct parts *target)
{
	struct group *g = t->group;

	parts_copy(&g->last, target);
	g->last_generation = g->classic.generation;
	t->again = classic_joins_again(&g->owned, target, t->cooperative);
	t->heard_us = shard_now_us(g->options.shard);
	t->heartbeat_us = in_us(g, g->options.config->heartbeat_interval_ms);
}

static enum verdict sync_await(struct fiber *self, struct classic_talk *t, struct peer *peer, struct arena *a,
			       const struct join_group_response *joined)
{
	struct group *g = t->group;
	struct bytes assignment = bytes_empty();
	struct parts target = {0};
	struct blob *frame = NULL;
	enum err e = ask_sync_await(self, t, peer, a, joined, &assignment, &frame);
	enum verdict v;

	if (!e)
		e = take_assignment(g, assignment, a, &target);
	v = classic_answered(&g->classic, &(struct classic_answer){.question = ASK_SYNC, .error = e});
	if (e != ERR_INTERRUPTED)
		after_failure(t, v, peer);
	if (v == VERDICT_FATAL && e != ERR_CANCELLED)
		group_fail(g, e, "");
	if (v == VERDICT_DONE) {
		note_given(t, &target);
		settle_start(g, &target, true);
		if (joined->skip_assignment)
			lead_take_over_await(self, &t->lead, peer, t->heartbeat_us);
	}
	parts_fini(&target);
	blob_unref(frame);
	return v;
}

/* From JOINING to STABLE, or as far as it comes. */
static enum verdict join_and_sync_await(struct fiber *self, struct classic_talk *t)
{
	struct group *g = t->group;
	struct join_group_response joined;
	struct blob *frame = NULL;
	struct peer *peer = NULL;
	struct arena a;
	enum verdict v;
	enum err e = coordinator_await(self, &g->coordinator, in_us(g, g->options.config->request_timeout_ms), &peer);

	arena_init(&a, ARENA_MAX);
	if (e)
		snprintf(t->why, sizeof(t->why), "%.390s", g->coordinator.why);
	else
		e = ask_join_await(self, t, peer, &a, &joined, &frame);
	if (e == ERR_INTERRUPTED) {
		/* The group may still wait for it: as long as it does, what it owns is its own. */
		g->classic.state = CLASSIC_PREPARING;
		v = VERDICT_REJOIN;
	} else {
		struct classic_answer answer = {.question = ASK_JOIN, .error = e};

		if (!e || e == ERR_MEMBER_ID_REQUIRED) {
			answer.id = joined.member_id;
			answer.generation = joined.generation_id;
		}
		v = classic_answered(&g->classic, &answer);
		after_failure(t, v, peer);
		if (v == VERDICT_FATAL && e != ERR_CANCELLED)
			group_fail(g, e, t->why);
		t->heard_us = shard_now_us(g->options.shard);
	}
	if (v == VERDICT_DONE)
		v = sync_await(self, t, peer, &a, &joined);
	blob_unref(frame);
	arena_fini(&a);
	return v;
}

/* --- Heartbeat, LeaveGroup --------------------------------------------------------------------------------------- */

static enum verdict heartbeat_await(struct fiber *self, struct classic_talk *t)
{
	struct group *g = t->group;
	const struct client_config *c = g->options.config;
	struct heartbeat_response response;
	struct heartbeat_request request;
	struct blob *frame = NULL;
	struct peer *peer = NULL;
	struct arena arena;
	int64_t sent_us = shard_now_us(g->options.shard);
	int16_t version = 0;
	enum verdict v;
	enum err e = coordinator_await(self, &g->coordinator, in_us(g, c->heartbeat_interval_ms), &peer);

	arena_init(&arena, ARENA_MAX);
	if (!e)
		e = peer_version(peer, API_HEARTBEAT, HEARTBEAT_NEWEST, &version);
	if (!e) {
		message_init(&heartbeat_request_type, &request);
		request.group_id = bytes_str(c->group_id);
		request.generation_id = g->classic.generation;
		request.member_id = bytes_str(g->classic.id);
		if (version >= HEARTBEAT_WITH_INSTANCE)
			request.group_instance_id = group_text(c->group_instance_id);
		e = peer_ask_await(
			self, peer,
			&(struct peer_ask){.api_key = API_HEARTBEAT,
					   .newest = version,
					   .deadline_us = in_us(g, c->request_timeout_ms < c->session_timeout_ms
									   ? c->request_timeout_ms
									   : c->session_timeout_ms),
					   .request = &request,
					   .response = &response,
					   .arena = &arena},
			NULL, &frame);
	}
	if (!e)
		e = (enum err)response.error_code;
	blob_unref(frame);
	arena_fini(&arena);
	/* A commit may have been told meanwhile what this one is told too. */
	if (!classic_is_member(&g->classic))
		return VERDICT_LOST;
	v = classic_answered(&g->classic, &(struct classic_answer){.question = ASK_CLASSIC, .error = e});
	after_failure(t, v, peer);
	g->heard_us = v == VERDICT_DONE ? sent_us : g->heard_us;
	if (v == VERDICT_FATAL && e != ERR_CANCELLED)
		group_fail(g, e, "");
	if (v == VERDICT_FIND || v == VERDICT_AGAIN) {
		t->heartbeat_us = shard_now_us(g->options.shard) +
				  client_backoff_us(g->options.shard, c, ++t->failures);
		return v;
	}
	t->failures = 0;
	t->heard_us = shard_now_us(g->options.shard);
	t->heartbeat_us = in_us(g, c->heartbeat_interval_ms);
	return v;
}

/* Members with an instance id do not leave: they are expected back. Once, and as far as the connection is there. */
static void leave_await(struct fiber *self, struct classic_talk *t, const char *id)
{
	struct group *g = t->group;
	const struct client_config *c = g->options.config;
	struct leave_group_request_member_identity member = {.member_id = bytes_str(id)};
	struct leave_group_response response;
	struct leave_group_request request;
	struct blob *frame = NULL;
	struct peer *peer = NULL;
	struct arena arena;
	int16_t version = 0;
	enum err e;

	if (c->group_instance_id[0] || !id[0])
		return;
	e = coordinator_await(self, &g->coordinator, in_us(g, c->request_timeout_ms), &peer);
	if (!e)
		e = peer_version(peer, API_LEAVE_GROUP, LEAVE_GROUP_NEWEST, &version);
	if (e)
		return;
	message_init(&leave_group_request_type, &request);
	request.group_id = bytes_str(c->group_id);
	if (version >= LEAVE_MANY) {
		request.members = &member;
		request.members_count = 1;
	} else {
		request.member_id = member.member_id;
	}
	arena_init(&arena, ARENA_MAX);
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_LEAVE_GROUP,
					      .newest = version,
					      .deadline_us = in_us(g, c->request_timeout_ms),
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	/* Whatever the answer is: the session ends by itself too. */
	if (!e)
		blob_unref(frame);
	arena_fini(&arena);
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

/* Until the program has let go of all, with heartbeats as long as there is something to be alive for. */
static bool settle_await(struct fiber *self, struct classic_talk *t)
{
	struct group *g = t->group;

	while (!settle_is_over_await(self, g)) {
		if (classic_is_member(&g->classic) && shard_now_us(g->options.shard) >= t->heartbeat_us)
			(void)heartbeat_await(self, t);
		else if (group_wait_await(self, g,
					  classic_is_member(&g->classic) ? t->heartbeat_us : FIBER_NO_DEADLINE) ==
			 ERR_CANCELLED)
			return false;
	}
	return true;
}

static enum member_end end_await(struct fiber *self, struct classic_talk *t, enum member_end end)
{
	struct group *g = t->group;
	struct parts none = {0};

	if (g->settle.fiber && !settle_await(self, t))
		return MEMBER_STOPPED;
	if (end == MEMBER_FAILED)
		g->classic.lost = true;
	if (g->owned.count > 0) {
		settle_start(g, &none, false);
		if (!settle_await(self, t))
			return MEMBER_STOPPED;
	}
	if (end == MEMBER_LEFT)
		leave_await(self, t, g->classic.id);
	classic_left(&g->classic);
	g->last.count = 0;
	g->last_generation = -1;
	return end;
}

/* Away for too long: others get what it had. Static members keep quiet instead, and are thrown out when their session is over. */
static void go_away_await(struct fiber *self, struct classic_talk *t)
{
	struct group *g = t->group;
	char *id;

	t->away = true;
	g->options.sink->watch(g->options.user);
	if (g->options.config->group_instance_id[0])
		return;
	id = mem_strdup(g->classic.id);
	/* Before it is sent: who is told now that it has partitions must not take itself for a member. */
	classic_left(&g->classic);
	classic_prepare(&g->classic);
	g->classic.lost = true;
	leave_await(self, t, id);
	mem_free(id);
}

static bool wants_to_join(struct classic_talk *t)
{
	struct group *g = t->group;

	return t->again || t->said_version != g->wanted_version || lead_has_changed(&t->lead);
}

/* When the member's fiber has something to do, if nothing happens. */
static int64_t due_us(const struct classic_talk *t)
{
	const struct group *g = t->group;
	int64_t due = group_away_at_us(g);

	if (t->away)
		return FIBER_NO_DEADLINE;
	due = match_due_us(g) < due ? match_due_us(g) : due;
	return classic_is_member(&g->classic) && t->heartbeat_us < due ? t->heartbeat_us : due;
}

/* It may join once it keeps only what it may keep meanwhile. */
static void prepare(struct classic_talk *t)
{
	struct group *g = t->group;
	struct parts kept = {0};

	if (g->settle.fiber)
		return;
	classic_keeps(&kept, &g->owned, t->cooperative, g->classic.lost, group_wants_topic, g);
	if (parts_equal(&kept, &g->owned))
		classic_prepared(&g->classic);
	else
		settle_start(g, &kept, false);
	parts_fini(&kept);
}

static enum verdict step_await(struct fiber *self, struct classic_talk *t)
{
	struct group *g = t->group;
	const struct client_config *c = g->options.config;
	int64_t now_us = shard_now_us(g->options.shard);
	enum verdict v = VERDICT_DONE;
	enum err e;

	if (settle_is_over_await(self, g))
		return VERDICT_DONE;
	e = match_await(self, g, t->why);
	if (e) {
		if (e != ERR_CANCELLED)
			group_fail(g, e, t->why);
		return VERDICT_FATAL;
	}
	if (classic_is_member(&g->classic) && now_us - t->heard_us > c->session_timeout_ms * 1000) {
		/* Not heard for a session: perhaps it is the place that is wrong. */
		g->coordinator.peer = NULL;
		t->heard_us = now_us;
	}
	switch (g->classic.state) {
	case CLASSIC_OUT:
		classic_prepare(&g->classic);
		return VERDICT_DONE;
	case CLASSIC_PREPARING:
		prepare(t);
		if (g->classic.state != CLASSIC_PREPARING)
			return VERDICT_DONE;
		break;
	case CLASSIC_JOINING:
		v = join_and_sync_await(self, t);
		if (v == VERDICT_AGAIN || v == VERDICT_FIND)
			pause_await(self, t);
		else if (v == VERDICT_DONE)
			t->failures = 0;
		return v;
	case CLASSIC_SYNCING:
		must_not_reach();
	case CLASSIC_STABLE:
		if (!g->settle.fiber && wants_to_join(t)) {
			classic_prepare(&g->classic);
			return VERDICT_DONE;
		}
		break;
	}
	if (classic_is_member(&g->classic) && !t->away && now_us >= t->heartbeat_us)
		return heartbeat_await(self, t);
	return group_wait_await(self, g, due_us(t)) == ERR_CANCELLED ? VERDICT_FATAL : VERDICT_DONE;
}

enum member_end member_classic_await(struct fiber *self, struct group *g)
{
	struct classic_talk t = {.group = g, .said_version = g->wanted_version};
	enum member_end end = MEMBER_STOPPED;

	t.cooperative = g->options.config->assignor_count == 1 &&
			assignor_is_cooperative((enum assignor)g->options.config->assignors[0]);
	g->last_generation = -1;
	g->match_here = true;
	lead_init(&t.lead, g);
	while (!fiber_cancelled(self)) {
		bool is_away = group_is_away(g);

		if (!g->subscribed) {
			end = end_await(self, &t, MEMBER_LEFT);
			break;
		}
		if (is_away && !t.away && g->classic.state != CLASSIC_OUT)
			go_away_await(self, &t);
		if (t.away && !is_away)
			t.away = false;
		if (t.away && (g->classic.state == CLASSIC_JOINING || g->classic.state == CLASSIC_STABLE)) {
			if (group_wait_await(self, g, FIBER_NO_DEADLINE))
				break;
			continue;
		}
		if (step_await(self, &t) == VERDICT_FATAL) {
			if (!fiber_cancelled(self))
				end = end_await(self, &t, MEMBER_FAILED);
			break;
		}
	}
	lead_fini(&t.lead);
	return end;
}
