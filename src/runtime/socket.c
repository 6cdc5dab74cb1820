/* socket: hands calls to the backend, and the _await forms of listening and connecting. */
#include "runtime/core.h"

#define LISTEN_ADDRESSES_MAX 4

static const struct backend *backend_of(const void *handle)
{
	return ((const struct handle *)handle)->backend;
}

void socket_set_interest(struct socket *s, unsigned events)
{
	backend_of(s)->socket_set_interest(s, events);
}

enum err socket_receive(struct socket *s, void *buffer, size_t size, size_t *ret_count)
{
	return backend_of(s)->socket_receive(s, buffer, size, ret_count);
}

enum err socket_send(struct socket *s, const struct bytes *parts, size_t part_count, size_t *ret_count)
{
	return backend_of(s)->socket_send(s, parts, part_count, ret_count);
}

enum err socket_send_file(struct socket *s, const struct bytes *parts, size_t part_count,
			  const struct file_range *range, bool warmed, size_t *ret_count)
{
	return backend_of(s)->socket_send_file(s, parts, part_count, range, warmed, ret_count);
}

void socket_close(struct socket *s, bool reset)
{
	backend_of(s)->socket_close(s, reset);
}

void socket_local_address(const struct socket *s, struct address *ret_address)
{
	backend_of(s)->socket_address(s, false, ret_address);
}

void socket_peer_address(const struct socket *s, struct address *ret_address)
{
	backend_of(s)->socket_address(s, true, ret_address);
}

void listener_address(const struct listener *l, struct address *ret_address)
{
	backend_of(l)->listener_address(l, ret_address);
}

void listener_pause(struct listener *l, bool paused)
{
	backend_of(l)->listener_pause(l, paused);
}

void listener_close(struct listener *l)
{
	backend_of(l)->listener_close(l);
}

enum err socket_adopt(struct shard *s, struct connection_handle handle, struct socket_owner *owner,
		      struct socket **ret_socket)
{
	return s->backend->socket_adopt(s, handle, owner, ret_socket);
}

void connection_handle_drop(struct shard *s, struct connection_handle handle)
{
	s->backend->handle_drop(s, handle);
}

/* --- listening --------------------------------------------------------------------------------------------------- */

struct resolving {
	const struct backend *backend;
	const char *host;
	struct address addresses[LISTEN_ADDRESSES_MAX];
	size_t count;
	enum err error;
};

static void resolve_work(void *argument)
{
	struct resolving *r = argument;

	r->error = r->backend->resolve(r->host, r->addresses, LISTEN_ADDRESSES_MAX, &r->count);
}

enum err listener_open_await(struct fiber *self, const struct address *address, struct listener_owner *owner,
			     struct listener **ret_listener)
{
	struct shard *s = fiber_shard(self);
	struct resolving r = {.backend = s->backend, .host = address->host};

	if (!address->host[0] || !s->backend->resolve)
		return s->backend->listener_open(s, address, owner, ret_listener);
	offload_await(self, resolve_work, &r);
	if (r.error)
		return r.error;
	must(r.count > 0);
	r.addresses[0].port = address->port;
	return s->backend->listener_open(s, &r.addresses[0], owner, ret_listener);
}

/* --- connecting -------------------------------------------------------------------------------------------------- */

struct awaited_connect {
	struct connect_call call;
	struct timer timer;
	struct fiber *fiber;
	bool timed_out;
	bool given_up;
	bool over;
};

static void connect_done(struct connect_call *c)
{
	struct awaited_connect *a = container_of(c, struct awaited_connect, call);

	a->over = true;
	fiber_wake(a->fiber);
}

static void give_up(struct awaited_connect *a)
{
	if (a->over || a->given_up)
		return;
	a->given_up = true;
	fiber_shard(a->fiber)->backend->connect_cancel(&a->call);
}

static void connect_late(struct timer *t)
{
	struct awaited_connect *a = container_of(t, struct awaited_connect, timer);

	a->timed_out = true;
	give_up(a);
}

enum err socket_connect_await(struct fiber *self, const struct address *address, int64_t deadline_us,
			      struct socket_owner *owner, struct socket **ret_socket)
{
	struct shard *s = fiber_shard(self);
	struct awaited_connect a = {
		.call = {.shard = s, .address = *address, .owner = owner, .done = connect_done},
		.timer = {.fire = connect_late},
		.fiber = self,
	};

	if (fiber_cancelled(self))
		return ERR_CANCELLED;
	if (deadline_us <= shard_now_us(s))
		return ERR_TIMED_OUT;
	s->backend->connect(&a.call);
	if (deadline_us != FIBER_NO_DEADLINE)
		timer_arm(s, &a.timer, deadline_us);
	while (!a.over) {
		if (fiber_cancelled(self))
			give_up(&a);
		if (!a.over)
			fiber_park_await(self);
	}
	timer_disarm(s, &a.timer);
	if (!a.call.error)
		*ret_socket = a.call.socket;
	return a.call.error == ERR_CANCELLED && a.timed_out ? ERR_TIMED_OUT : a.call.error;
}
