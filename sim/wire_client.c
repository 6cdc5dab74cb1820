/* wire_client: see the header. Code of a client's node. */
#include "sim/wire_client.h"

#include "base/alloc.h"
#include "sim/memory.h"

#define FRAME_MAX (64 << 20)
#define OUT_MAX (16 << 20)

static void fail(struct wire_client *c, const char *what, int64_t a, int64_t b)
{
	struct memory_owner *before = memory_enter(NULL);

	sim_fail(c->sim, "connection: %s (%lld, %lld)", what, (long long)a, (long long)b);
	memory_leave(before);
}

static void call_over(struct wire_call *call, enum err e)
{
	list_remove(&call->node);
	call->over = true;
	call->error = e;
}

static void connection_over(struct wire_client *c, enum err e)
{
	if (c->error)
		return;
	c->error = e;
	while (!list_empty(&c->calls))
		call_over(container_of(list_first(&c->calls), struct wire_call, node), e);
	socket_close(c->socket, false);
	c->socket = NULL;
	event_signal(&c->changed);
}

/* One whole answer. */
static void take_frame(struct wire_client *c, const uint8_t *frame, size_t size)
{
	struct list_node *first = list_first(&c->calls);
	struct wire_call *call;

	if (!first) {
		fail(c, "an answer came that nobody asked for", (int64_t)size, 0);
		return;
	}
	call = container_of(first, struct wire_call, node);
	if (size < 4 || (int32_t)get_be32(frame) != call->header.correlation_id)
		fail(c, "an answer to another request than the oldest", size < 4 ? -1 : (int32_t)get_be32(frame),
		     call->header.correlation_id);
	call->frame = mem_dup(frame, size);
	call->frame_size = size;
	call_over(call, OK);
	event_signal(&c->changed);
}

static void take_frames(struct wire_client *c)
{
	size_t at = 0;

	while (!c->error && c->in_size - at >= 4) {
		size_t size = get_be32(c->in + at);

		if (size > FRAME_MAX) {
			fail(c, "an answer with an impossible size", (int64_t)size, 0);
			connection_over(c, ERR_MALFORMED);
			return;
		}
		if (c->in_size - at - 4 < size)
			break;
		take_frame(c, c->in + at + 4, size);
		at += 4 + size;
	}
	if (at)
		memmove(c->in, c->in + at, c->in_size - at);
	c->in_size -= at;
}

static void receive(struct wire_client *c)
{
	while (!c->error) {
		size_t count = 0;
		enum err e;

		c->in = mem_grow(c->in, &c->in_capacity, c->in_size + 4096, 1);
		e = socket_receive(c->socket, c->in + c->in_size, c->in_capacity - c->in_size, &count);
		if (e == ERR_AGAIN)
			return;
		if (e) {
			connection_over(c, e);
			return;
		}
		c->in_size += count;
		take_frames(c);
	}
}

static void flush(struct wire_client *c)
{
	while (!c->error && c->out_at < c->out.size) {
		struct bytes part = bytes_of(c->out.data + c->out_at, c->out.size - c->out_at);
		size_t count = 0;
		enum err e = socket_send(c->socket, &part, 1, &count);

		if (e == ERR_AGAIN)
			break;
		if (e) {
			/* What the broker said before it closed is still worth reading. */
			receive(c);
			connection_over(c, e);
			return;
		}
		c->out_at += count;
	}
	if (c->error)
		return;
	if (c->out_at == c->out.size) {
		buf_reset(&c->out);
		c->out_at = 0;
	}
	socket_set_interest(c->socket, SOCKET_READABLE | (c->out.size ? SOCKET_WRITABLE : 0));
}

static void ready(struct socket_owner *owner, unsigned events)
{
	struct wire_client *c = container_of(owner, struct wire_client, owner);

	if (events & SOCKET_READABLE)
		receive(c);
	if (!c->error && (events & SOCKET_WRITABLE))
		flush(c);
}

enum err wire_open_await(struct fiber *self, struct sim *sim, const struct address *address, int64_t deadline_us,
			 struct wire_client *c)
{
	enum err e;

	*c = (struct wire_client){.owner.ready = ready, .sim = sim, .shard = fiber_shard(self)};
	event_init(&c->changed);
	list_init(&c->calls);
	e = socket_connect_await(self, address, deadline_us, &c->owner, &c->socket);
	if (e)
		return e;
	buf_init(&c->out, OUT_MAX);
	socket_set_interest(c->socket, SOCKET_READABLE);
	return OK;
}

void wire_close(struct wire_client *c)
{
	connection_over(c, ERR_CLOSED);
	buf_fini(&c->out);
	mem_free(c->in);
	c->in = NULL;
}

void wire_send(struct wire_client *c, int16_t key, int16_t version, const void *request, bool answered,
	       struct wire_call *call)
{
	size_t start = c->out.size;

	*call = (struct wire_call){
		.header = {.api_key = key,
			   .api_version = version,
			   .correlation_id = c->next_correlation++,
			   .client_id = bytes_str("sim")},
		.sent_us = shard_now_us(c->shard),
		.sent_at_us = c->sim->scheduler.now_us,
	};
	if (c->error) {
		call->over = true;
		call->error = c->error;
		return;
	}
	buf_put_i32(&c->out, 0);
	must(request_header_encode(&call->header, &c->out) == OK);
	must(message_encode(api_find(key)->request, version, request, &c->out) == OK);
	must(!c->out.error);
	put_be32(c->out.data + start, (uint32_t)(c->out.size - start - 4));
	if (answered)
		list_push_back(&c->calls, &call->node);
	else
		call->over = true;
	flush(c);
}

enum err wire_wait_await(struct fiber *self, struct wire_client *c, struct wire_call *call, int64_t deadline_us)
{
	while (!call->over) {
		enum err e = event_wait_await(self, &c->changed, deadline_us);

		if (e && !call->over)
			return e;
	}
	return OK;
}

enum err wire_answer(struct wire_call *call, struct arena *a, void *ret_response)
{
	struct reader r = reader_of(bytes_of(call->frame, call->frame_size));
	int32_t correlation;
	enum err e;

	must(call->over && !call->error && call->frame);
	e = response_header_decode(&r, &call->header, &correlation);
	if (e)
		return e;
	return message_decode(api_find(call->header.api_key)->response, call->header.api_version, &r, a, ret_response);
}

void wire_call_fini(struct wire_call *call)
{
	if (list_linked(&call->node))
		list_remove(&call->node);
	mem_free(call->frame);
	call->frame = NULL;
}

enum err wire_ask_await(struct fiber *self, struct wire_client *c, int16_t key, int16_t version, const void *request,
			int64_t timeout_us, struct wire_call *call, struct arena *a, void *ret_response)
{
	enum err e;

	wire_send(c, key, version, request, true, call);
	e = wire_wait_await(self, c, call, shard_now_us(c->shard) + timeout_us);
	if (!e)
		e = call->error;
	if (!e) {
		e = wire_answer(call, a, ret_response);
		if (e)
			fail(c, "an answer that does not parse", key, e);
	}
	return e;
}
