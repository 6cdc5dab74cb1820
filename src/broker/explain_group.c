/*
 * explain_group: GET /groups/NAME/rebalances: how a group is, whom it waits for, and its last rebalances: who caused each, why, how long it took; as
 * JSON. NAME is percent-encoded where it has to be. Calls http/, the image, coordinator/, group/.
 *
 *      request, on shard 0 --message--> the shard of the group's partition: a step of its machine --answered, message--> text
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "base/java_hash.h"
#include "broker/broker_own.h"
#include "controller/json.h"
#include "http/request.h"
#include "http/server.h"

#define PREFIX "/groups/"
#define SUFFIX "/rebalances"
#define JSON_TYPE "application/json"
#define TEXT_MAX ((size_t)64 * 1024 * 1024)
#define ARENA_MAX ((size_t)16 * 1024 * 1024)

struct explaining {
	struct message message;
	struct broker *broker;
	struct http_exchange *exchange;
	struct broker_shard *target;
	int32_t partition;
	struct arena arena;
	struct explain_group_call call;
	char group[HTTP_TARGET_MAX + 1];
	size_t group_size;
};

/* --- the answer ------------------------------------------------------------------------------------------------------ */

/* How many bytes begin a sequence of UTF-8 there; 0: none. Overlong ones and surrogates pass: readers of JSON bear them, or complain. */
static size_t sequence(const uint8_t *at, size_t left)
{
	size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;

	if (size > left)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

/* Names are foreign, and long ones were cut anywhere. */
static void put_text(struct buf *out, const char *key, struct bytes text)
{
	struct buf whole;

	buf_printf(out, ",\"%s\":", key);
	if (bytes_is_null(text)) {
		buf_put_str(out, "null");
		return;
	}
	buf_init(&whole, 3 * text.size + 1);
	for (size_t i = 0, size; i < text.size; i += size ? size : 1) {
		size = sequence(text.data + i, text.size - i);
		if (size)
			buf_put(&whole, text.data + i, size);
		else
			buf_put_str(&whole, "\xef\xbf\xbd");
	}
	json_put_text(out, buf_bytes(&whole));
	buf_fini(&whole);
}

static void put_number(struct buf *out, const char *key, int64_t number)
{
	if (number >= 0)
		buf_printf(out, ",\"%s\":%" PRId64, key, number);
	else
		buf_printf(out, ",\"%s\":null", key);
}

static void put_flag(struct buf *out, const char *key, bool flag)
{
	buf_printf(out, ",\"%s\":%s", key, flag ? "true" : "false");
}

static void put_member(struct buf *out, const struct explained_member *m, bool first)
{
	/* The first pair is written without the comma that put_... begin with. */
	buf_printf(out, "%s{\"awaitsJoin\":%s", first ? "" : ",", m->awaits_join ? "true" : "false");
	put_flag(out, "awaitsSync", m->awaits_sync);
	put_number(out, "expiresInMs", m->expires_in_ms);
	put_text(out, "memberId", m->member_id);
	put_text(out, "instanceId", m->instance_id);
	put_text(out, "clientId", m->client_id);
	put_text(out, "clientHost", m->client_host);
	buf_put_str(out, "}");
}

static void put_rebalance(struct buf *out, const struct group_rebalance *r, bool first)
{
	buf_printf(out, "%s{\"cause\":\"%s\"", first ? "" : ",", rebalance_cause_name(r->cause));
	put_number(out, "beganMs", r->began_ms);
	put_number(out, "tookMs", r->took_ms);
	put_number(out, "generation", r->generation);
	put_number(out, "membersBefore", r->members_before);
	put_number(out, "membersAfter", r->members_after);
	put_text(out, "memberId", r->member_id);
	put_text(out, "clientId", r->client_id);
	put_text(out, "clientHost", r->client_host);
	put_text(out, "reason", r->reason);
	buf_put_str(out, "}");
}

static void print(struct buf *out, const struct explaining *x)
{
	const struct explain_group_call *c = &x->call;

	buf_printf(out, "{\"nowMs\":%" PRId64, shard_wall_ms(x->broker->shard_zero));
	put_text(out, "group", bytes_of(x->group, x->group_size));
	put_text(out, "type", bytes_str(c->type));
	put_text(out, "state", bytes_str(c->state));
	put_number(out, "stateSinceMs", c->state_since_ms);
	put_number(out, "generation", c->generation);
	put_text(out, "protocolType", c->protocol_type);
	put_text(out, "protocol", c->protocol_name);
	put_text(out, "leader", c->leader);
	put_number(out, "pendingMembers", (int64_t)c->pending_member_count);
	put_number(out, "offsets", (int64_t)c->offset_count);
	put_number(out, "pendingOffsets", (int64_t)c->pending_offset_count);
	buf_put_str(out, ",\"members\":[");
	for (size_t i = 0; i < c->member_count; i++)
		put_member(out, &c->members[i], i == 0);
	buf_put_str(out, "],\"rebalances\":[");
	for (size_t i = 0; i < c->rebalance_count; i++)
		put_rebalance(out, &c->rebalances[i], i == 0);
	buf_put_str(out, "]}\n");
}

static void answer(struct explaining *x)
{
	struct buf text;

	if (x->call.call.error) {
		http_answer_text(x->exchange, 503, err_text(x->call.call.error));
	} else if (!x->call.found) {
		http_answer_text(x->exchange, 404, "there is no such group");
	} else {
		buf_init(&text, TEXT_MAX);
		print(&text, x);
		http_answer_take(x->exchange, 200, JSON_TYPE, &text);
	}
	arena_fini(&x->arena);
	mem_free(x);
}

/* --- the question ---------------------------------------------------------------------------------------------------- */

static void run_home(struct shard *at, struct message *m)
{
	(void)at;
	answer(container_of(m, struct explaining, message));
}

static void on_finished(struct coordinator_call *call)
{
	struct explaining *x = call->owner;

	x->message.run = run_home;
	shard_send(x->target->shard, x->broker->shard_zero, &x->message);
}

static void run_step(void *state, struct step *out, struct coordinator_call *call)
{
	group_explain(state, out, container_of(call, struct explain_group_call, call));
}

static void run_there(struct shard *at, struct message *m)
{
	struct explaining *x = container_of(m, struct explaining, message);

	(void)at;
	x->call.call.owner = x;
	x->call.call.finished = on_finished;
	coordinator_submit(x->target->coordinators[INTERNAL_GROUPS], x->partition, &x->call.call, run_step);
}

/* NAME of /groups/NAME/rebalances; false: another path. */
static bool group_of(const char *path, char *ret_name, size_t *ret_size)
{
	struct bytes all = bytes_str(path);
	const size_t prefix = sizeof(PREFIX) - 1, suffix = sizeof(SUFFIX) - 1;

	if (all.size < prefix + suffix || memcmp(path, PREFIX, prefix) != 0 ||
	    strcmp(path + all.size - suffix, SUFFIX) != 0)
		return false;
	return http_unescape(bytes_of(all.data + prefix, all.size - prefix - suffix), ret_name, ret_size);
}

bool explain_group_answer(struct broker *b, struct http_exchange *exchange, const char *path)
{
	char name[HTTP_TARGET_MAX + 1];
	const struct image_topic *t;
	struct explaining *x;
	size_t size;

	if (!group_of(path, name, &size))
		return false;
	if (!b->observer.serving || b->stopping) {
		http_answer_text(exchange, 503, b->stopping ? "the broker is stopping" : "the broker is starting");
		return true;
	}
	t = image_topic_by_name(b->parts[0].shard.image, bytes_str(internal_topic_name(INTERNAL_GROUPS)));
	if (!t) {
		http_answer_text(exchange, 404, "there is no such group");
		return true;
	}
	x = mem_new(struct explaining);
	x->broker = b;
	x->exchange = exchange;
	memcpy(x->group, name, size);
	x->group_size = size;
	x->partition = java_hash_partition(bytes_of(name, size), t->partition_count);
	x->target = broker_shard_of(b, t->id, x->partition);
	arena_init(&x->arena, ARENA_MAX);
	x->call.arena = &x->arena;
	x->call.group_id = bytes_of(x->group, x->group_size);
	x->message.run = run_there;
	shard_send(b->shard_zero, x->target->shard, &x->message);
	return true;
}
