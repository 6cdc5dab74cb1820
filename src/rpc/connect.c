/* connect: the way to a connection whose versions are known, in a fiber, and the time between two attempts. */
#include <stdio.h>

#include "rpc/peer_own.h"

#define ARENA_MAX ((size_t)64 * 1024)
/* Version 5 adds a check of cluster and node that a client without knowledge of either does not want. */
#define API_VERSIONS_NEWEST 4

static void note_versions(struct peer *p, const struct api_versions_response *r)
{
	memset(p->versions, 0, sizeof(p->versions));
	for (int32_t i = 0; i < r->api_keys_count; i++) {
		const struct api_versions_response_api_version *v = &r->api_keys[i];

		if (v->api_key >= 0 && v->api_key < MAX_API_KEY && v->min_version <= v->max_version)
			p->versions[v->api_key] = (struct version_range){v->min_version, v->max_version, true};
	}
	p->feature_count = 0;
	for (int32_t i = 0; i < r->finalized_features_count && p->feature_count < PEER_FEATURES_MAX; i++) {
		struct peer_feature *f = &p->features[p->feature_count];
		struct bytes name = r->finalized_features[i].name;

		/* No name that anybody asks for is so long. */
		if (name.size == 0 || name.size >= sizeof(f->name))
			continue;
		memcpy(f->name, name.data, name.size);
		f->name[name.size] = '\0';
		f->level = r->finalized_features[i].max_version_level;
		p->feature_count++;
	}
}

/* One ApiVersions exchange. ERR_BAD_VERSION with the newest that the broker has. */
static enum err ask_versions_await(struct fiber *self, struct peer *p, int16_t version, int16_t *ret_newest)
{
	struct api_versions_request request;
	struct api_versions_response response;
	struct peer_call call;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	message_init(&api_versions_request_type, &request);
	request.client_software_name = bytes_str(p->options.software_name);
	request.client_software_version = bytes_str(p->options.software_version);
	arena_init(&arena, ARENA_MAX);
	call = (struct peer_call){
		.api_key = API_API_VERSIONS,
		.version = version,
		.deadline_us = shard_now_us(p->options.shard) + p->options.call_timeout_us,
		.request = &request,
		.response = &response,
		.arena = &arena,
	};
	e = peer_exchange_await(self, p, &call, peer_send_call, &frame);
	if (!e && response.error_code == ERR_UNSUPPORTED_VERSION) {
		note_versions(p, &response);
		*ret_newest = p->versions[API_API_VERSIONS].listed ? p->versions[API_API_VERSIONS].max : 0;
		e = ERR_BAD_VERSION;
	} else if (!e && response.error_code) {
		e = (enum err)response.error_code;
	} else if (!e) {
		note_versions(p, &response);
	}
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

static enum err negotiate_await(struct fiber *self, struct peer *p)
{
	int16_t newest = 0;
	enum err e = ask_versions_await(self, p, API_VERSIONS_NEWEST, &newest);

	if (e != ERR_BAD_VERSION)
		return e;
	if (newest < 0 || newest >= API_VERSIONS_NEWEST)
		newest = 0;
	return ask_versions_await(self, p, newest, &newest);
}

static void describe_connect(const struct peer *p, enum err e, char *ret_why)
{
	if (e == ERR_TIMED_OUT)
		snprintf(ret_why, PEER_WHY_SIZE, "no connection within %lld ms",
			 (long long)(p->options.connect_timeout_us / 1000));
	else
		snprintf(ret_why, PEER_WHY_SIZE, "%s", err_text(e));
}

static enum err connect_await(struct fiber *self, struct peer *p)
{
	char why[PEER_WHY_SIZE];
	struct socket *socket = NULL;
	int64_t deadline_us = shard_now_us(p->options.shard) + p->options.connect_timeout_us;
	enum err e = socket_connect_await(self, &p->options.address, deadline_us, &p->events, &socket);

	if (p->closed) {
		if (!e)
			socket_close(socket, true);
		return ERR_CANCELLED;
	}
	if (e) {
		describe_connect(p, e, why);
		peer_fail(p, e, why);
		return e;
	}
	p->socket = socket;
	intake_init(&p->intake, p->options.shard, p->options.frames, p->options.max_response_bytes, peer_on_granted);
	send_queue_init(&p->sending, p->options.shard);
	peer_want_events(p, SOCKET_READABLE);
	e = negotiate_await(self, p);
	if (p->closed || !p->socket)
		return ERR_CONNECTION_LOST; /* told already */
	if (e) {
		snprintf(why, sizeof(why), "the broker does not tell its versions: %s", err_text(e));
		peer_fail(p, e, why);
	}
	return e;
}

static void connect_main(struct fiber *self, void *argument)
{
	struct peer *p = argument;
	enum err e = connect_await(self, p);

	p->connecting = NULL;
	if (p->closed) {
		peer_schedule(p);
		return;
	}
	if (e) {
		if (p->wanted && p->state == PEER_IDLE)
			peer_wake(p);
		return;
	}
	p->negotiated = true;
	p->failures = 0;
	p->backoff_us = p->options.backoff_us;
	peer_set_state(p, PEER_READY);
	event_signal(&p->ready_or_failed);
}

void peer_wake(struct peer *p)
{
	static const struct fiber_options options = {.name = "peer_connect"};

	if (p->closed || p->state == PEER_READY || p->state == PEER_CONNECTING)
		return;
	p->wanted = true;
	if (p->state == PEER_BACKOFF || p->connecting)
		return;
	p->wanted = false;
	peer_set_state(p, PEER_CONNECTING);
	p->connecting = fiber_start(p->options.shard, &options, connect_main, p);
	if (!p->connecting)
		peer_fail(p, ERR_NO_MEMORY, "too many fibers");
}

void peer_on_backoff(struct timer *t)
{
	struct peer *p = container_of(t, struct peer, backoff);

	peer_set_state(p, PEER_IDLE);
	if (p->wanted)
		peer_wake(p);
}
