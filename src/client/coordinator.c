/* coordinator: see the header. */
#include "client/coordinator.h"

#include <stdio.h>

#include "base/alloc.h"
#include "client/verdict.h"
#include "protocol/messages.h"

#define FIND_COORDINATOR_NEWEST 6
#define FIND_MANY 4
#define ARENA_MAX ((size_t)1024 * 1024)

void coordinator_init(struct coordinator *c, struct cluster *cluster, int8_t type, const char *key)
{
	*c = (struct coordinator){.cluster = cluster, .type = type, .key = key};
	event_init(&c->found);
}

void coordinator_end(struct coordinator *c)
{
	c->ended = true;
	c->peer = NULL;
	for (size_t i = 0; i < c->peer_count; i++)
		peer_free(c->peers[i]);
	c->peer_count = 0;
	event_signal(&c->found);
}

void coordinator_fini(struct coordinator *c)
{
	must(c->peer_count == 0);
	mem_free(c->peers);
}

void coordinator_lost(struct coordinator *c, const struct peer *peer)
{
	if (c->peer == peer)
		c->peer = NULL;
}

static struct peer *peer_at(struct coordinator *c, const struct address *address)
{
	for (size_t i = 0; i < c->peer_count; i++) {
		const struct address *a = peer_address(c->peers[i]);

		if (a->port == address->port && strcmp(a->host, address->host) == 0)
			return c->peers[i];
	}
	c->peers = mem_grow(c->peers, &c->peer_capacity, c->peer_count + 1, sizeof(*c->peers));
	return c->peers[c->peer_count++] = cluster_peer_new(c->cluster, address);
}

/* What the answer says about our key, in either form. */
static enum err take_answer(struct coordinator *c, const struct find_coordinator_response *r, int16_t version)
{
	struct find_coordinator_response_coordinator one = {.node_id = r->node_id,
							    .host = r->host,
							    .port = r->port,
							    .error_code = r->error_code,
							    .error_message = r->error_message};
	struct address address = {0};

	if (version >= FIND_MANY) {
		if (r->coordinators_count != 1)
			return ERR_MALFORMED;
		one = r->coordinators[0];
	}
	if (one.error_code) {
		snprintf(c->why, sizeof(c->why), "%.*s",
			 one.error_message.size < 300 ? (int)one.error_message.size : 300,
			 one.error_message.data ? (const char *)one.error_message.data : "");
		return (enum err)one.error_code;
	}
	if (one.host.size == 0 || one.host.size >= sizeof(address.host) || one.port < 1 || one.port > 65535)
		return ERR_MALFORMED;
	memcpy(address.host, one.host.data, one.host.size);
	address.port = (uint16_t)one.port;
	c->peer = peer_at(c, &address);
	return OK;
}

static enum err find_await(struct fiber *self, struct coordinator *c, int64_t deadline_us)
{
	struct bytes key = bytes_str(c->key);
	struct find_coordinator_response response;
	struct find_coordinator_request request;
	struct blob *frame = NULL;
	struct peer *any = NULL;
	struct arena arena;
	int16_t version = 0;
	enum err e = cluster_any_await(self, c->cluster, deadline_us, &any);

	if (!e)
		e = peer_version(any, API_FIND_COORDINATOR, FIND_COORDINATOR_NEWEST, &version);
	if (e) {
		snprintf(c->why, sizeof(c->why), "%s", c->cluster->why);
		return e;
	}
	message_init(&find_coordinator_request_type, &request);
	request.key_type = c->type;
	if (version >= FIND_MANY) {
		request.coordinator_keys = &key;
		request.coordinator_keys_count = 1;
	} else {
		request.key = key;
	}
	arena_init(&arena, ARENA_MAX);
	e = peer_ask_await(self, any,
			   &(struct peer_ask){.api_key = API_FIND_COORDINATOR,
					      .newest = version,
					      .deadline_us = deadline_us,
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   &version, &frame);
	if (!e && !c->ended) {
		c->why[0] = '\0';
		e = take_answer(c, &response, version);
	}
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

/* One attempt, or the end of somebody else's. */
static enum err find_once_await(struct fiber *self, struct coordinator *c, int64_t deadline_us)
{
	int64_t now_us = shard_now_us(c->cluster->shard);
	int64_t most_us = now_us + c->cluster->config->request_timeout_ms * 1000;
	enum err e;

	if (c->finding) {
		e = event_wait_await(self, &c->found, deadline_us);
		return e ? e : c->peer ? OK : ERR_COORDINATOR_NOT_AVAILABLE;
	}
	c->finding = true;
	e = find_await(self, c, most_us < deadline_us ? most_us : deadline_us);
	c->finding = false;
	event_signal(&c->found);
	return e;
}

static enum err pause_await(struct fiber *self, struct coordinator *c, int64_t deadline_us)
{
	int64_t wait_us = client_backoff_us(c->cluster->shard, c->cluster->config, ++c->failures);

	if (shard_now_us(c->cluster->shard) + wait_us >= deadline_us)
		return ERR_TIMED_OUT;
	return fiber_sleep_await(self, wait_us);
}

enum err coordinator_await(struct fiber *self, struct coordinator *c, int64_t deadline_us, struct peer **ret_peer)
{
	for (;;) {
		struct peer *peer = c->peer;
		enum err e = c->ended ? ERR_CANCELLED : OK, waited;

		if (!e && !peer)
			e = find_once_await(self, c, deadline_us);
		else if (!e && (e = peer_ready_await(self, peer, deadline_us)))
			snprintf(c->why, sizeof(c->why), "coordinator %.200s:%u: %.150s", peer_address(peer)->host,
				 peer_address(peer)->port, peer_why(peer));
		if (c->ended)
			return ERR_CANCELLED;
		if (!e && peer && c->peer == peer) {
			c->failures = 0;
			*ret_peer = peer;
			return OK;
		}
		if (!e)
			continue;
		if (peer)
			coordinator_lost(c, peer);
		if (verdict_of(ASK_FIND, e) == VERDICT_FATAL || (c->cluster->config->fail_fast && e <= -1000))
			return e;
		waited = pause_await(self, c, deadline_us);
		if (waited)
			return waited == ERR_TIMED_OUT ? e : waited;
	}
}
