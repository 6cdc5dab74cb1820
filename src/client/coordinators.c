/* coordinators: see the header. */
#include "client/coordinators.h"

#include <stdio.h>

#include "base/alloc.h"
#include "client/admin.h"
#include "client/api.h"
#include "client/api_own.h"
#include "protocol/messages.h"

#define FIND_COORDINATOR_NEWEST 6
#define FIND_MANY 4 /* from this version on */
#define NO_NODE (-1)

/* --- what an answer means ---------------------------------------------------------------------------------------- */

static bool is_elsewhere(enum err e)
{
	return e == ERR_NOT_COORDINATOR || e == ERR_COORDINATOR_NOT_AVAILABLE;
}

static bool is_worth_another(enum err e)
{
	return is_elsewhere(e) || e == ERR_COORDINATOR_LOAD_IN_PROGRESS || e == ERR_REBALANCE_IN_PROGRESS ||
	       e == ERR_UNSTABLE_OFFSET_COMMIT;
}

void group_key_answer(struct group_key *k, int16_t code, struct bytes words)
{
	enum err e = (enum err)code;

	k->answered = true;
	k->error.code = code;
	if (code)
		api_fill_error(&k->error, code, words, k->name);
	if (is_elsewhere(e))
		k->node = NO_NODE;
	k->decided = !is_worth_another(e);
}

struct group_key *group_key_find(struct group_key **keys, size_t count, struct bytes name)
{
	for (size_t i = 0; i < count; i++)
		if (!keys[i]->answered && bytes_equal_str(name, keys[i]->name))
			return keys[i];
	return NULL;
}

struct bytes *group_key_names(struct group_key **keys, size_t count, struct arena *a)
{
	struct bytes *names = arena_alloc_array(a, count, sizeof(*names));

	must(names); /* GROUP_KEYS_MAX of them */
	for (size_t i = 0; i < count; i++)
		names[i] = bytes_str(keys[i]->name);
	return names;
}

/* No answer came: the broker may be gone, and the group elsewhere. */
static void not_answered(struct coordinators *c, struct group_key *k, enum err e)
{
	const struct client *client = c->client;

	admin_explain(c->client, e, c->api_key, &k->error);
	k->node = NO_NODE;
	k->decided = client->stopping || e == ERR_CANCELLED || e == ERR_UNSUPPORTED || e == ERR_BAD_VERSION ||
		     (client->config->fail_fast && e <= -1000) || (e > -1000 && !err_retriable(e));
}

/* --- finding ----------------------------------------------------------------------------------------------------- */

static void take_coordinator(struct coordinators *c, struct group_key *k,
			     const struct find_coordinator_response_coordinator *from)
{
	if (from->error_code) {
		group_key_answer(k, from->error_code, from->error_message);
		/* Here it is the group that is still loading, or has no broker yet. */
		k->node = NO_NODE;
		return;
	}
	k->answered = true;
	k->node = from->node_id;
	cluster_note_broker(&c->client->cluster, from->node_id, from->host, from->port);
	if (!cluster_broker(&c->client->cluster, k->node)) {
		api_error(&k->error, ERR_MALFORMED, "%s: its coordinator has no address", k->name);
		k->node = NO_NODE;
	}
}

static enum err find_once_await(struct fiber *self, struct coordinators *c, struct peer *peer, int16_t version,
				struct group_key **keys, size_t count, int64_t deadline_us)
{
	struct find_coordinator_response response;
	struct find_coordinator_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&find_coordinator_request_type, &request);
	request.key_type = c->key_type;
	if (version >= FIND_MANY) {
		request.coordinator_keys = group_key_names(keys, count, &arena);
		request.coordinator_keys_count = (int32_t)count;
	} else {
		request.key = bytes_str(keys[0]->name);
	}
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_FIND_COORDINATOR,
					      .newest = version,
					      .deadline_us = deadline_us,
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	if (!e && version < FIND_MANY) {
		struct find_coordinator_response_coordinator one = {.node_id = response.node_id,
								    .host = response.host,
								    .port = response.port,
								    .error_code = response.error_code,
								    .error_message = response.error_message};

		take_coordinator(c, keys[0], &one);
	}
	for (int32_t i = 0; !e && version >= FIND_MANY && i < response.coordinators_count; i++) {
		struct group_key *k = group_key_find(keys, count, response.coordinators[i].key);

		if (k)
			take_coordinator(c, k, &response.coordinators[i]);
	}
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

int64_t coordinators_deadline_us(const struct coordinators *c)
{
	int64_t most_us = shard_now_us(c->client->shard) + c->client->config->request_timeout_ms * 1000;

	return most_us < c->deadline_us ? most_us : c->deadline_us;
}

/* What came of one question to those without an answer of their own. */
static void settle(struct coordinators *c, struct group_key **keys, size_t count, enum err e)
{
	for (size_t i = 0; i < count; i++) {
		if (!keys[i]->answered)
			not_answered(c, keys[i], e ? e : ERR_MALFORMED);
		keys[i]->answered = false;
	}
}

static void find_some_await(struct fiber *self, struct coordinators *c, struct group_key **keys, size_t count)
{
	int64_t deadline_us = coordinators_deadline_us(c);
	struct peer *peer = NULL;
	int16_t version = 0;
	enum err e = cluster_any_await(self, &c->client->cluster, deadline_us, &peer);

	if (!e)
		e = peer_version(peer, API_FIND_COORDINATOR, FIND_COORDINATOR_NEWEST, &version);
	for (size_t at = 0, some; at < count; at += some) {
		some = version < FIND_MANY ? 1 : count - at < GROUP_KEYS_MAX ? count - at : GROUP_KEYS_MAX;
		if (!e)
			e = find_once_await(self, c, peer, version, keys + at, some, deadline_us);
		settle(c, keys + at, some, e);
	}
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

static void ask_some_await(struct fiber *self, struct coordinators *c, int32_t node, struct group_key **keys,
			   size_t count)
{
	struct peer *peer = cluster_broker(&c->client->cluster, node);
	enum err e = peer ? peer_ready_await(self, peer, coordinators_deadline_us(c)) : ERR_NOT_COORDINATOR;

	if (e && peer)
		snprintf(c->client->cluster.why, sizeof(c->client->cluster.why), "cannot connect to %s:%u: %s",
			 peer_address(peer)->host, peer_address(peer)->port, peer_why(peer));
	for (size_t at = 0, some; at < count; at += some) {
		some = count - at < c->most ? count - at : c->most;
		if (!e)
			e = c->ask_await(self, c, peer, keys + at, some);
		settle(c, keys + at, some, e);
	}
}

/* Those that are not decided and whose coordinator is `node`, in `ret_keys`. */
static size_t select_keys(const struct coordinators *c, int32_t node, struct group_key **ret_keys)
{
	size_t count = 0;

	for (size_t i = 0; i < c->count; i++)
		if (!c->keys[i].decided && c->keys[i].node == node)
			ret_keys[count++] = &c->keys[i];
	return count;
}

static bool round_await(struct fiber *self, struct coordinators *c, struct group_key **space)
{
	int32_t *nodes = mem_alloc((c->count + 1) * sizeof(*nodes));
	size_t node_count = 0, count = select_keys(c, NO_NODE, space);
	bool left = false;

	if (count > 0)
		find_some_await(self, c, space, count);
	for (size_t i = 0; i < c->count; i++) {
		bool known = c->keys[i].decided || c->keys[i].node == NO_NODE;

		for (size_t n = 0; n < node_count && !known; n++)
			known = nodes[n] == c->keys[i].node;
		if (!known)
			nodes[node_count++] = c->keys[i].node;
	}
	for (size_t n = 0; n < node_count; n++) {
		count = select_keys(c, nodes[n], space);
		ask_some_await(self, c, nodes[n], space, count);
	}
	for (size_t i = 0; i < c->count; i++)
		left = left || !c->keys[i].decided;
	mem_free(nodes);
	return left;
}

void coordinators_ask_await(struct fiber *self, struct coordinators *c)
{
	struct group_key **space = mem_alloc((c->count + 1) * sizeof(struct group_key *));
	struct client *client = c->client;
	unsigned failures = 0;

	must(c->most > 0);
	for (size_t i = 0; i < c->count; i++)
		c->keys[i].node = NO_NODE;
	while (round_await(self, c, space)) {
		int64_t wait_us = client_backoff_us(client->shard, client->config, ++failures);

		if (client->stopping || shard_now_us(client->shard) + wait_us >= c->deadline_us ||
		    fiber_sleep_await(self, wait_us) != OK)
			break;
	}
	for (size_t i = 0; i < c->count; i++)
		if (!c->keys[i].decided && !c->keys[i].error.code)
			api_error(&c->keys[i].error, ERR_TIMED_OUT, "%s: %s", c->keys[i].name, err_text(ERR_TIMED_OUT));
	mem_free(space);
}
