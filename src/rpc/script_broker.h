/*
 * script_broker: a broker for tests, on the shard of the test itself: takes frames, lets the test answer each, and misbehaves as the
 * test wants. Only tests include it.
 *
 *      client's peer --loopback--> script_broker --answer()--> the test writes the body, or says to be silent or to hang up
 *
 * Invariants: answers leave in the order of requests; with `cut_after` exactly so many bytes of answers leave on each connection.
 */
#ifndef RPC_SCRIPT_BROKER_H
#define RPC_SCRIPT_BROKER_H

#include "base/alloc.h"
#include "protocol/codec.h"
#include "protocol/messages.h"
#include "runtime/socket.h"

enum script_outcome { SCRIPT_ANSWER, SCRIPT_SILENT, SCRIPT_CLOSE, SCRIPT_RAW };

struct script_request {
	struct request_header header;
	struct reader body;
	struct arena arena;
	int32_t correlation_shift;       /* added to what the answer carries */
	struct request_header answer_as; /* whose header and version the answer has; the request's own at first */
};

struct script_broker {
	struct listener_owner owner;
	struct listener *listener;
	struct address address;
	struct shard *shard;
	struct list connections;
	/* Fills `out` with the answer's body; with SCRIPT_RAW with all bytes, size included. */
	enum script_outcome (*answer)(struct script_broker *b, struct script_request *q, struct buf *out);
	void *user;
	size_t cut_after; /* SIZE_MAX: whole answers */
	unsigned accepted;
	unsigned requests;
	struct buf transcript; /* a line a request */
};

struct script_connection {
	struct socket_owner owner;
	struct list_node node;
	struct script_broker *broker;
	struct socket *socket;
	struct buf in;
	struct buf out;
	size_t sent;
	struct task work;
	bool closed;
};

static inline void script_close(struct script_connection *c)
{
	if (c->closed)
		return;
	c->closed = true;
	list_remove(&c->node);
	socket_close(c->socket, false);
	shard_defer(c->broker->shard, &c->work);
}

static inline void script_send(struct script_connection *c)
{
	size_t end = c->out.size < c->broker->cut_after ? c->out.size : c->broker->cut_after;

	while (!c->closed && c->sent < end) {
		struct bytes part = bytes_of(c->out.data + c->sent, end - c->sent);
		size_t count = 0;
		enum err e = socket_send(c->socket, &part, 1, &count);

		if (e == ERR_AGAIN) {
			socket_set_interest(c->socket, SOCKET_READABLE | SOCKET_WRITABLE);
			return;
		}
		if (e) {
			script_close(c);
			return;
		}
		c->sent += count;
	}
	if (!c->closed && c->broker->cut_after != SIZE_MAX && c->sent >= c->broker->cut_after)
		script_close(c);
	else if (!c->closed)
		socket_set_interest(c->socket, SOCKET_READABLE);
}

static inline void script_note(struct script_broker *b, const struct script_request *q)
{
	const struct api *api = api_find(q->header.api_key);

	buf_printf(&b->transcript, "%s v%d\n", api ? api->name : "unknown", q->header.api_version);
}

static inline void script_frame(struct script_connection *c, struct bytes frame)
{
	struct script_request q = {.body = reader_of(frame)};
	struct buf body;
	enum script_outcome outcome;

	must(request_header_decode(&q.body, &q.header) == OK);
	c->broker->requests++;
	script_note(c->broker, &q);
	q.answer_as = q.header;
	arena_init(&q.arena, (size_t)16 * 1024 * 1024);
	buf_init(&body, (size_t)64 * 1024 * 1024);
	outcome = c->broker->answer(c->broker, &q, &body);
	if (outcome == SCRIPT_ANSWER) {
		size_t at = c->out.size;

		q.answer_as.correlation_id = q.header.correlation_id + q.correlation_shift;
		buf_put_i32(&c->out, 0);
		must(response_header_encode(&q.answer_as, &c->out) == OK);
		buf_put_bytes(&c->out, buf_bytes(&body));
		put_be32(c->out.data + at, (uint32_t)(c->out.size - at - 4));
	} else if (outcome == SCRIPT_RAW) {
		buf_put_bytes(&c->out, buf_bytes(&body));
	} else if (outcome == SCRIPT_CLOSE) {
		script_close(c);
	}
	buf_fini(&body);
	arena_fini(&q.arena);
}

static inline void script_ready(struct socket_owner *o, unsigned events)
{
	struct script_connection *c = container_of(o, struct script_connection, owner);
	uint8_t chunk[65536];
	size_t count = 0, at = 0;

	if (events & SOCKET_WRITABLE)
		script_send(c);
	while (!c->closed) {
		enum err e = socket_receive(c->socket, chunk, sizeof(chunk), &count);

		if (e == ERR_AGAIN)
			break;
		if (e) {
			script_close(c);
			return;
		}
		buf_put(&c->in, chunk, count);
	}
	while (!c->closed && c->in.size - at >= 4 && c->in.size - at - 4 >= get_be32(c->in.data + at)) {
		size_t size = get_be32(c->in.data + at);

		script_frame(c, bytes_of(c->in.data + at + 4, size));
		at += 4 + size;
	}
	if (at > 0) {
		memmove(c->in.data, c->in.data + at, c->in.size - at);
		c->in.size -= at;
	}
	if (!c->closed)
		script_send(c);
}

static inline void script_connection_free(struct task *t)
{
	struct script_connection *c = container_of(t, struct script_connection, work);

	buf_fini(&c->in);
	buf_fini(&c->out);
	mem_free(c);
}

static inline void script_accepted(struct listener_owner *o, struct connection_handle handle)
{
	struct script_broker *b = container_of(o, struct script_broker, owner);
	struct script_connection *c = mem_new(struct script_connection);

	c->owner.ready = script_ready;
	c->broker = b;
	c->work.run = script_connection_free;
	buf_init(&c->in, (size_t)64 * 1024 * 1024);
	buf_init(&c->out, (size_t)64 * 1024 * 1024);
	must(socket_adopt(b->shard, handle, &c->owner, &c->socket) == OK);
	b->accepted++;
	list_push_back(&b->connections, &c->node);
	socket_set_interest(c->socket, SOCKET_READABLE);
}

static inline void script_broker_open_await(struct fiber *self, struct script_broker *b)
{
	struct address any = {.host = "127.0.0.1"};

	b->shard = fiber_shard(self);
	b->owner.accepted = script_accepted;
	b->cut_after = b->cut_after ? b->cut_after : SIZE_MAX;
	list_init(&b->connections);
	buf_init(&b->transcript, (size_t)16 * 1024 * 1024);
	must(listener_open_await(self, &any, &b->owner, &b->listener) == OK);
	listener_address(b->listener, &b->address);
}

static inline void script_broker_drop_all(struct script_broker *b)
{
	list_for_each(&b->connections, n) script_close(container_of(n, struct script_connection, node));
}

static inline void script_broker_close(struct script_broker *b)
{
	script_broker_drop_all(b);
	listener_close(b->listener);
	buf_fini(&b->transcript);
}

/* Encodes `body` as the answer to q. */
static inline void script_put(const struct script_request *q, const void *body, struct buf *out)
{
	must(message_encode(api_find(q->answer_as.api_key)->response, q->answer_as.api_version, body, out) == OK);
}

/* Decodes the request; its arrays live as long as q. */
static inline void script_get(struct script_request *q, void *ret_body)
{
	must(message_decode(api_find(q->header.api_key)->request, q->header.api_version, &q->body, &q->arena,
			    ret_body) == OK);
}

/* ApiVersions as a broker answers that knows all that the schema has. */
static inline void script_put_versions(struct script_request *q, struct buf *out)
{
	struct api_versions_response_api_version rows[128];
	struct api_versions_response r;

	message_init(&api_versions_response_type, &r);
	r.api_keys = rows;
	for (int16_t key = 0; key < 128; key++) {
		const struct api *api = api_find(key);

		if (api && api->on_broker)
			rows[r.api_keys_count++] = (struct api_versions_response_api_version){
				.api_key = key, .min_version = api->min_version, .max_version = api->max_version};
	}
	script_put(q, &r, out);
}

#endif
