/* group: see the header. Here: what the program wants, and the member's fiber. settle.c, member_*.c and group_offsets.c have the rest. */
#include "client/group.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "client/group_own.h"
#include "protocol/messages.h"

/* --- what the program wants -------------------------------------------------------------------------------------- */

static void texts_free(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mem_free(texts[i]);
	mem_free(texts);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void forget_wanted(struct group *g)
{
	texts_free(g->topics, g->topic_count);
	texts_free(g->matched, g->matched_count);
	mem_free(g->pattern);
	g->topics = g->matched = NULL;
	g->topic_count = g->matched_count = 0;
	g->pattern = NULL;
	g->match_due_us = 0;
	g->wanted_version++;
}

void group_subscribe(struct group *g, const char *const *topics, size_t count, const char *pattern)
{
	forget_wanted(g);
	g->topics = mem_alloc((count + 1) * sizeof(*g->topics));
	for (size_t i = 0; i < count; i++)
		g->topics[i] = mem_strdup(topics[i]);
	qsort(g->topics, count, sizeof(*g->topics), compare_texts);
	for (size_t i = 0; i < count; i++) {
		if (g->topic_count > 0 && strcmp(g->topics[g->topic_count - 1], g->topics[i]) == 0)
			mem_free(g->topics[i]);
		else
			g->topics[g->topic_count++] = g->topics[i];
	}
	for (size_t i = 0; i < g->topic_count; i++)
		cluster_topic(g->options.cluster, g->topics[i], true);
	g->pattern = pattern ? mem_strdup(pattern) : NULL;
	g->subscribed = true;
	g->failed = false;
	g->out = false;
	event_signal(&g->changed);
}

void group_unsubscribe(struct group *g)
{
	g->subscribed = false;
	event_signal(&g->changed);
}

bool group_out_await(struct fiber *self, struct group *g, int64_t deadline_us)
{
	while (!g->out && !g->subscribed)
		if (group_wait_await(self, g, deadline_us))
			return false;
	return true;
}

char *const *group_topics(const struct group *g, size_t *ret_count)
{
	*ret_count = g->match_here && g->pattern ? g->matched_count : g->topic_count;
	return g->match_here && g->pattern ? g->matched : g->topics;
}

bool group_wants_topic(const void *group, const struct cluster_topic *t)
{
	size_t count;
	char *const *topics = group_topics(group, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(topics[i], t->name) == 0)
			return true;
	return false;
}

struct bytes group_text(const char *text)
{
	return text && *text ? bytes_str(text) : bytes_null();
}

/* --- the program's part ------------------------------------------------------------------------------------------ */

void group_released(struct group *g)
{
	g->settle.released = true;
	event_signal(&g->changed);
}

void group_told(struct group *g)
{
	g->settle.told = true;
	event_signal(&g->changed);
}

void group_wake(struct group *g)
{
	event_signal(&g->changed);
}

bool group_is_away(struct group *g)
{
	int64_t now_us = shard_now_us(g->options.shard);
	bool waits = false;
	unsigned activity = g->options.sink->activity(g->options.user, &waits);

	if (waits || activity != g->activity) {
		g->activity = activity;
		g->active_us = now_us;
	}
	return now_us >= group_away_at_us(g);
}

int64_t group_away_at_us(const struct group *g)
{
	return g->active_us + g->options.config->max_poll_interval_ms * 1000;
}

enum err group_wait_await(struct fiber *self, struct group *g, int64_t until_us)
{
	return event_wait_await(self, &g->changed, until_us);
}

void group_fail(struct group *g, enum err e, const char *words)
{
	char text[GROUP_WHY_SIZE];

	snprintf(text, sizeof(text), "group %.100s: %s%s%.220s", g->options.config->group_id, err_text(e),
		 *words ? ": " : "", words);
	g->options.sink->fail(g->options.user, e, text);
}

struct membership group_membership(const struct group *g)
{
	struct membership m = {.generation = -1, .member_id = "", .number = g->classic.number + g->modern.number};

	switch (g->protocol) {
	case PROTOCOL_NONE:
		break;
	case PROTOCOL_CLASSIC:
		m.joining = g->classic.state == CLASSIC_JOINING || g->classic.state == CLASSIC_SYNCING;
		if (!classic_is_member(&g->classic))
			break;
		m.generation = g->classic.generation;
		m.member_id = g->classic.id;
		break;
	case PROTOCOL_MODERN:
		m.modern = true;
		if (g->modern.state != MODERN_MEMBER)
			break;
		m.generation = g->modern.epoch;
		m.member_id = g->modern.id;
		break;
	}
	return m;
}

bool group_is_wanted(const struct group *g)
{
	return g->subscribed || g->protocol != PROTOCOL_NONE;
}

/* --- the member's fiber ------------------------------------------------------------------------------------------ */

/* Both know the group once the coordinator is connected: its versions tell what it speaks. */
static enum err choose_await(struct fiber *self, struct group *g, enum protocol_in_use *ret_protocol)
{
	const struct client_config *c = g->options.config;
	struct peer *peer = NULL;
	int16_t version = 0;
	enum err e = coordinator_await(self, &g->coordinator, FIBER_NO_DEADLINE, &peer);

	if (e)
		return e;
	*ret_protocol = PROTOCOL_CLASSIC;
	if (c->group_protocol == GROUP_PROTOCOL_CLASSIC)
		return OK;
	e = peer_version(peer, API_CONSUMER_GROUP_HEARTBEAT, 1, &version);
	if (!e && !g->refused_modern)
		*ret_protocol = PROTOCOL_MODERN;
	if (c->group_protocol == GROUP_PROTOCOL_CONSUMER) {
		*ret_protocol = PROTOCOL_MODERN;
		return e;
	}
	return OK;
}

static void member_main(struct fiber *self, void *argument)
{
	struct group *g = argument;

	while (!fiber_cancelled(self)) {
		enum member_end end;
		enum err e;

		if (!g->subscribed || g->failed) {
			g->out = !g->subscribed || g->out;
			event_signal(&g->changed);
			if (g->stopping || group_wait_await(self, g, FIBER_NO_DEADLINE))
				break;
			continue;
		}
		g->active_us = shard_now_us(g->options.shard);
		e = choose_await(self, g, &g->protocol);
		if (e == ERR_CANCELLED)
			break;
		if (e) {
			g->failed = true;
			group_fail(g, e, g->coordinator.why);
			continue;
		}
		if (!g->subscribed)
			continue;
		end = g->protocol == PROTOCOL_CLASSIC ? member_classic_await(self, g) : member_modern_await(self, g);
		g->protocol = PROTOCOL_NONE;
		if (end == MEMBER_STOPPED)
			break;
		g->failed = end == MEMBER_FAILED;
		g->refused_modern |= end == MEMBER_OTHER;
	}
	g->out = true;
	event_signal(&g->changed);
}

/* --- the door ---------------------------------------------------------------------------------------------------- */

static void start(struct group *g, struct fiber **ret_fiber, const char *name,
		  void (*entry)(struct fiber *self, void *argument))
{
	struct fiber_options options = {.name = name, .joinable = true};

	*ret_fiber = fiber_start(g->options.shard, &options, entry, g);
	must(*ret_fiber);
}

struct group *group_new(const struct group_options *o)
{
	struct group *g = mem_new(struct group);

	g->options = *o;
	g->out = true;
	coordinator_init(&g->coordinator, o->cluster, COORDINATOR_GROUP, o->config->group_id);
	event_init(&g->changed);
	event_init(&g->wants_offsets);
	gate_init(&g->turns, 1);
	classic_init(&g->classic);
	modern_init(&g->modern, shard_random(o->shard));
	start(g, &g->main, "client_member", member_main);
	start(g, &g->offsets, "client_offsets", group_offsets_main);
	if (o->config->auto_commit)
		start(g, &g->committer, "client_commit", group_commit_main);
	return g;
}

static void stop_await(struct fiber *self, struct fiber **fiber)
{
	if (!*fiber)
		return;
	fiber_cancel(*fiber);
	fiber_join_await(self, *fiber);
	*fiber = NULL;
}

void group_stop_await(struct fiber *self, struct group *g, int64_t timeout_us)
{
	int64_t deadline_us = shard_now_us(g->options.shard) + timeout_us;

	stop_await(self, &g->committer);
	stop_await(self, &g->offsets);
	g->stopping = true;
	group_unsubscribe(g);
	(void)group_out_await(self, g, deadline_us);
	stop_await(self, &g->main);
	settle_stop_await(self, g);
}

void group_end(struct group *g)
{
	coordinator_end(&g->coordinator);
}

void group_free(struct group *g)
{
	if (!g)
		return;
	forget_wanted(g);
	coordinator_fini(&g->coordinator);
	classic_fini(&g->classic);
	parts_fini(&g->owned);
	parts_fini(&g->last);
	parts_fini(&g->settle.target);
	mem_free(g);
}
