/* member_modern: the conversation of a member with its group by KIP-848: one kind of request, ConsumerGroupHeartbeat. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/group_own.h"
#include "protocol/messages.h"

#define CONSUMER_GROUP_HEARTBEAT_NEWEST 1
#define KNOWS_REGEX 1
#define ARENA_MAX ((size_t)64 * 1024 * 1024)
/* Until the broker has said how often. */
#define INTERVAL_MS 5000
/*
 * A broker takes up to a second to decide, and says nothing when that is nothing: who has got no partitions with the second heartbeat gets
 * none for now, and its program is told so.
 */
#define ANSWERS_UNTIL_NONE 2

/* What the group wants the member to have, topics by id: their names come with the metadata. */
struct modern_target {
	struct {
		struct uuid topic;
		int32_t index;
	} * items;
	size_t count;
	size_t capacity;
	bool given;
};

struct modern_talk {
	struct group *group;
	struct modern_target target;
	unsigned said_version;
	int64_t heartbeat_us;
	unsigned failures;
	unsigned answers; /* good ones since it joined */
	bool announced;   /* something was, since it joined */
	char why[GROUP_WHY_SIZE];
};

static int64_t in_us(const struct group *g, int64_t ms)
{
	return shard_now_us(g->options.shard) + ms * 1000;
}

/* --- heartbeats -------------------------------------------------------------------------------------------------- */

static void fill_words(struct group *g, struct modern_words *ret, struct bytes *topics, int16_t version)
{
	const struct client_config *c = g->options.config;
	size_t count;
	char *const *names = group_topics(g, &count);

	for (size_t i = 0; i < count; i++)
		topics[i] = bytes_str(names[i]);
	*ret = (struct modern_words){.group = bytes_str(c->group_id),
				     .instance = group_text(c->group_instance_id),
				     .rack = group_text(c->client_rack),
				     .assignor = group_text(c->group_remote_assignor),
				     .rebalance_timeout_ms = (int32_t)c->max_poll_interval_ms,
				     .topics = topics,
				     .topic_count = (int32_t)count,
				     .regex = g->match_here ? bytes_null() : group_text(g->pattern),
				     .knows_regex = version >= KNOWS_REGEX,
				     .owned = &g->owned};
}

static void note_target(struct modern_talk *t, const struct consumer_group_heartbeat_response_assignment *a)
{
	struct modern_target *target = &t->target;

	target->count = 0;
	target->given = true;
	for (int32_t i = 0; i < a->topic_partitions_count; i++) {
		for (int32_t k = 0; k < a->topic_partitions[i].partitions_count; k++) {
			target->items = mem_grow(target->items, &target->capacity, target->count + 1,
						 sizeof(*target->items));
			target->items[target->count].topic = a->topic_partitions[i].topic_id;
			target->items[target->count++].index = a->topic_partitions[i].partitions[k];
		}
	}
}

static bool is_sane(const struct consumer_group_heartbeat_response *r)
{
	if (r->error_code || !r->assignment)
		return r->error_code || r->member_epoch >= 0;
	for (int32_t i = 0; i < r->assignment->topic_partitions_count; i++)
		for (int32_t k = 0; k < r->assignment->topic_partitions[i].partitions_count; k++)
			if (r->assignment->topic_partitions[i].partitions[k] < 0)
				return false;
	return r->member_epoch >= 0;
}

struct modern_exchange {
	struct consumer_group_heartbeat_request request;
	struct consumer_group_heartbeat_response response;
	struct arena arena;
	struct blob *frame;
};

static enum err exchange_await(struct fiber *self, struct modern_talk *t, struct modern_exchange *x, bool leave,
			       struct peer **ret_peer)
{
	struct group *g = t->group;
	int64_t deadline_us = in_us(g, g->options.config->request_timeout_ms);
	struct modern_words words;
	struct bytes *topics;
	struct peer *peer = NULL;
	int16_t version = 0;
	enum err e = coordinator_await(self, &g->coordinator, deadline_us, &peer);

	if (e) {
		snprintf(t->why, sizeof(t->why), "%.390s", g->coordinator.why);
		return e;
	}
	*ret_peer = peer;
	e = peer_version(peer, API_CONSUMER_GROUP_HEARTBEAT, CONSUMER_GROUP_HEARTBEAT_NEWEST, &version);
	if (e)
		return e;
	g->match_here = g->pattern && version < KNOWS_REGEX;
	topics = arena_alloc_array(&x->arena, g->topic_count + g->matched_count + 1, sizeof(*topics));
	if (!topics)
		return ERR_NO_MEMORY;
	fill_words(g, &words, topics, version);
	if (leave)
		modern_fill_leave(&g->modern, &words, &x->request);
	else if (!modern_fill(&g->modern, &words, &x->arena, &x->request))
		return ERR_NO_MEMORY;
	t->said_version = g->wanted_version;
	modern_sent(&g->modern);
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_CONSUMER_GROUP_HEARTBEAT,
					      .newest = version,
					      .deadline_us = deadline_us,
					      .request = &x->request,
					      .response = &x->response,
					      .arena = &x->arena},
			   NULL, &x->frame);
	if (e)
		return e;
	if (!is_sane(&x->response))
		return ERR_MALFORMED;
	if (x->response.error_code)
		snprintf(t->why, sizeof(t->why), "%.*s",
			 x->response.error_message.size < 390 ? (int)x->response.error_message.size : 390,
			 x->response.error_message.data ? (const char *)x->response.error_message.data : "");
	return (enum err)x->response.error_code;
}

/* The group, or its broker, does not have this protocol; where nobody asked for it the classic one is used. */
static bool is_refusal(const struct group *g, enum err e)
{
	if (g->options.config->group_protocol != GROUP_PROTOCOL_AUTOMATIC || g->modern.state != MODERN_JOINING)
		return false;
	return e == ERR_UNSUPPORTED_VERSION || e == ERR_UNSUPPORTED || e == ERR_BAD_VERSION ||
	       e == ERR_GROUP_ID_NOT_FOUND || e == ERR_INCONSISTENT_GROUP_PROTOCOL;
}

/* FATAL: the membership is over, and told. REJOIN: it is to be had by the other protocol. */
static enum verdict heartbeat_await(struct fiber *self, struct modern_talk *t)
{
	struct group *g = t->group;
	struct modern_exchange *x = mem_new(struct modern_exchange);
	int64_t sent_us = shard_now_us(g->options.shard);
	struct peer *peer = NULL;
	enum verdict v;
	enum err e;

	arena_init(&x->arena, ARENA_MAX);
	t->why[0] = '\0';
	e = exchange_await(self, t, x, false, &peer);
	/* Nobody was left in the group, as it saw it, and the next one spoke the other protocol. */
	if (e == ERR_GROUP_ID_NOT_FOUND && g->modern.state == MODERN_MEMBER)
		e = ERR_UNKNOWN_MEMBER_ID;
	if (is_refusal(g, e)) {
		v = VERDICT_REJOIN;
	} else {
		v = modern_answered(&g->modern, e, &x->response);
		t->answers += v == VERDICT_DONE;
		g->heard_us = v == VERDICT_DONE ? sent_us : g->heard_us;
		if (v == VERDICT_DONE && x->response.assignment)
			note_target(t, x->response.assignment);
		if ((v == VERDICT_FATAL && e != ERR_CANCELLED) || v == VERDICT_TELL)
			group_fail(g, e, t->why);
		if (v == VERDICT_FIND && peer)
			coordinator_lost(&g->coordinator, peer);
	}
	t->failures = v == VERDICT_DONE || v == VERDICT_LOST ? 0 : t->failures + 1;
	t->heartbeat_us = t->failures ? shard_now_us(g->options.shard) +
						client_backoff_us(g->options.shard, g->options.config, t->failures)
				      : in_us(g, g->modern.interval_ms > 0 ? g->modern.interval_ms : INTERVAL_MS);
	blob_unref(x->frame);
	arena_fini(&x->arena);
	mem_free(x);
	return v;
}

/* Once; if it does not arrive the session ends by itself. */
static void leave_await(struct fiber *self, struct modern_talk *t)
{
	struct modern_exchange *x = mem_new(struct modern_exchange);
	struct peer *peer = NULL;

	arena_init(&x->arena, ARENA_MAX);
	(void)exchange_await(self, t, x, true, &peer);
	blob_unref(x->frame);
	arena_fini(&x->arena);
	mem_free(x);
}

/* --- having what it shall have ----------------------------------------------------------------------------------- */

/* Those whose topics are known by name; the others' names are asked for. */
static void resolve(struct modern_talk *t, struct parts *ret_target)
{
	struct cluster *cluster = t->group->options.cluster;

	for (size_t i = 0; i < t->target.count; i++) {
		struct cluster_topic *topic = cluster_topic_by_id(cluster, t->target.items[i].topic);

		if (topic)
			parts_append(ret_target, topic, t->target.items[i].index);
		else
			cluster_want_id(cluster, t->target.items[i].topic);
	}
	parts_sort(ret_target);
}

static void reconcile(struct modern_talk *t)
{
	struct group *g = t->group;
	struct parts target = {0};

	if (g->settle.fiber || g->modern.state != MODERN_MEMBER)
		return;
	if (t->target.given)
		resolve(t, &target);
	if ((t->target.given && !parts_equal(&target, &g->owned)) ||
	    (!t->announced && t->answers >= ANSWERS_UNTIL_NONE)) {
		t->announced = true;
		settle_start(g, &target, true);
	}
	parts_fini(&target);
}

/* Settling is over: what came of it. */
static void settled(struct modern_talk *t)
{
	struct group *g = t->group;

	if (g->modern.state == MODERN_MEMBER)
		g->modern.owes_owned = true;
}

/* FENCED and STALE: everything goes, then it joins anew; a stale one when the program is back. */
static void start_anew(struct modern_talk *t)
{
	struct group *g = t->group;
	struct parts none = {0};

	t->target.given = t->announced = false;
	t->answers = 0;
	if (g->settle.fiber)
		return;
	if (g->owned.count > 0)
		settle_start(g, &none, false);
	else if (g->modern.state == MODERN_FENCED || !group_is_away(g))
		modern_gave_up(&g->modern);
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

static bool is_due(struct modern_talk *t)
{
	struct group *g = t->group;

	if (g->modern.state != MODERN_JOINING && g->modern.state != MODERN_MEMBER)
		return false;
	if (t->failures == 0 && modern_owes(&g->modern))
		return true;
	return shard_now_us(g->options.shard) >= t->heartbeat_us;
}

static int64_t due_us(const struct modern_talk *t)
{
	const struct group *g = t->group;
	int64_t due = group_away_at_us(g);

	if (g->modern.state != MODERN_JOINING && g->modern.state != MODERN_MEMBER)
		return FIBER_NO_DEADLINE;
	due = match_due_us(g) < due ? match_due_us(g) : due;
	return t->heartbeat_us < due ? t->heartbeat_us : due;
}

/* Until the program has what was settled, with heartbeats. */
static bool settle_await(struct fiber *self, struct modern_talk *t)
{
	struct group *g = t->group;

	while (!settle_is_over_await(self, g)) {
		if (is_due(t))
			(void)heartbeat_await(self, t);
		else if (group_wait_await(self, g,
					  g->modern.state == MODERN_MEMBER ? t->heartbeat_us : FIBER_NO_DEADLINE) ==
			 ERR_CANCELLED)
			return false;
	}
	return true;
}

static enum member_end end_await(struct fiber *self, struct modern_talk *t, enum member_end end)
{
	struct group *g = t->group;
	bool was_in = g->modern.state == MODERN_MEMBER || g->modern.state == MODERN_JOINING;
	struct parts none = {0};

	if (end != MEMBER_LEFT)
		g->modern.state = MODERN_FENCED;
	if (g->settle.fiber && !settle_await(self, t))
		return MEMBER_STOPPED;
	if (g->owned.count > 0) {
		settle_start(g, &none, false);
		if (!settle_await(self, t))
			return MEMBER_STOPPED;
	}
	if (end == MEMBER_LEFT && was_in)
		leave_await(self, t);
	g->modern.state = MODERN_OUT;
	return end;
}

/* What the fiber does next; DONE: nothing that ends the membership. */
static enum verdict step_await(struct fiber *self, struct modern_talk *t)
{
	struct group *g = t->group;
	bool is_away = group_is_away(g);
	enum err e;

	if (settle_is_over_await(self, g))
		settled(t);
	if (is_away && (g->modern.state == MODERN_JOINING || g->modern.state == MODERN_MEMBER)) {
		g->options.sink->watch(g->options.user);
		/* Before it is sent: who is told now that it has partitions must not take itself for a member. */
		g->modern.state = MODERN_STALE;
		leave_await(self, t);
	}
	if (g->modern.state == MODERN_FENCED || g->modern.state == MODERN_STALE)
		start_anew(t);
	e = match_await(self, g, t->why);
	if (e) {
		if (e != ERR_CANCELLED)
			group_fail(g, e, t->why);
		return VERDICT_FATAL;
	}
	if (t->said_version != g->wanted_version)
		g->modern.owes_topics = true;
	reconcile(t);
	if (is_due(t))
		return heartbeat_await(self, t);
	return group_wait_await(self, g, due_us(t)) == ERR_CANCELLED ? VERDICT_FATAL : VERDICT_DONE;
}

enum member_end member_modern_await(struct fiber *self, struct group *g)
{
	struct modern_talk t = {.group = g, .said_version = g->wanted_version};
	enum member_end end = MEMBER_STOPPED;

	g->match_here = false;
	modern_join(&g->modern);
	while (!fiber_cancelled(self)) {
		enum verdict v;

		if (!g->subscribed) {
			end = end_await(self, &t, MEMBER_LEFT);
			break;
		}
		v = step_await(self, &t);
		if (fiber_cancelled(self) || (v != VERDICT_FATAL && v != VERDICT_REJOIN))
			continue;
		end = end_await(self, &t, v == VERDICT_FATAL ? MEMBER_FAILED : MEMBER_OTHER);
		break;
	}
	mem_free(t.target.items);
	return end;
}
