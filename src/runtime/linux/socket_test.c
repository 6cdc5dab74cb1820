/* socket_test: listening, connecting, sending and receiving over both backends, on the loopback interface. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/backends.h"
#include "runtime/linux/socket.h"

/* One end of a connection, for a fiber that waits for its readiness. */
struct end {
	struct socket_owner owner;
	struct socket *socket;
	struct event ready;
	unsigned calls;
};

static void end_ready(struct socket_owner *owner, unsigned events)
{
	struct end *e = container_of(owner, struct end, owner);

	(void)events;
	e->calls++;
	socket_set_interest(e->socket, 0);
	event_signal(&e->ready);
}

static void end_init(struct end *e)
{
	*e = (struct end){.owner = {.ready = end_ready}};
	event_init(&e->ready);
}

static void end_wait_await(struct fiber *self, struct end *e, unsigned events)
{
	socket_set_interest(e->socket, events);
	EXPECT_OK(event_wait_await(self, &e->ready, FIBER_NO_DEADLINE));
}

static void send_all_await(struct fiber *self, struct end *e, const void *data, size_t size)
{
	size_t sent = 0, n;

	while (sent < size) {
		struct bytes part = bytes_of((const uint8_t *)data + sent, size - sent);
		enum err error = socket_send(e->socket, &part, 1, &n);

		if (error == ERR_AGAIN) {
			end_wait_await(self, e, SOCKET_WRITABLE);
			continue;
		}
		EXPECT_OK(error);
		EXPECT(n > 0 && n <= size - sent);
		sent += n;
	}
}

/* What a receive says when it no longer says "not now". */
static enum err receive_await(struct fiber *self, struct end *e, void *buffer, size_t size, size_t *ret_count)
{
	for (;;) {
		enum err error = socket_receive(e->socket, buffer, size, ret_count);

		if (error != ERR_AGAIN)
			return error;
		end_wait_await(self, e, SOCKET_READABLE);
	}
}

static void receive_all_await(struct fiber *self, struct end *e, void *buffer, size_t size)
{
	size_t have = 0, n;

	while (have < size) {
		EXPECT_OK(receive_await(self, e, (uint8_t *)buffer + have, size - have, &n));
		have += n;
	}
}

/* A listener that keeps what it accepts. */
struct host {
	struct listener_owner owner;
	struct listener *listener;
	struct connection_handle handles[2000];
	size_t count;
	size_t taken;
	struct event came;
	struct address address;
};

static void host_accepted(struct listener_owner *owner, struct connection_handle handle)
{
	struct host *h = container_of(owner, struct host, owner);

	EXPECT(h->count < countof(h->handles));
	h->handles[h->count++] = handle;
	event_signal(&h->came);
}

static struct host *host_open_await(struct fiber *self, const char *name)
{
	struct host *h = mem_new(struct host);
	struct address a = {0};

	snprintf(a.host, sizeof(a.host), "%s", name);
	h->owner.accepted = host_accepted;
	event_init(&h->came);
	EXPECT_OK(listener_open_await(self, &a, &h->owner, &h->listener));
	listener_address(h->listener, &h->address);
	EXPECT(h->address.port != 0);
	return h;
}

static struct connection_handle host_take_await(struct fiber *self, struct host *h)
{
	while (h->taken == h->count)
		EXPECT_OK(event_wait_await(self, &h->came, FIBER_NO_DEADLINE));
	return h->handles[h->taken++];
}

static void host_close(struct host *h)
{
	listener_close(h->listener);
	mem_free(h);
}

static int64_t soon_us(struct fiber *self)
{
	return shard_now_us(fiber_shard(self)) + 30000000;
}

/* Both ends on one shard. */
static struct host *pair_await(struct fiber *self, struct end *client, struct end *server)
{
	struct host *h = host_open_await(self, "127.0.0.1");

	end_init(client);
	end_init(server);
	EXPECT_OK(socket_connect_await(self, &h->address, soon_us(self), &client->owner, &client->socket));
	EXPECT_OK(socket_adopt(fiber_shard(self), host_take_await(self, h), &server->owner, &server->socket));
	return h;
}

static void echo_main(struct fiber *self, void *argument)
{
	struct end client, server;
	struct host *h = pair_await(self, &client, &server);
	struct address mine, theirs;
	char buffer[8];
	size_t n;
	int on = 0;
	socklen_t on_size = sizeof(on);

	(void)argument;
	EXPECT_ERR(socket_receive(client.socket, buffer, 8, &n), ERR_AGAIN);
	for (int i = 0; i < 100; i++) {
		send_all_await(self, &client, "ping", 4);
		receive_all_await(self, &server, buffer, 4);
		EXPECT(memcmp(buffer, "ping", 4) == 0);
		send_all_await(self, &server, "pong", 4);
		receive_all_await(self, &client, buffer, 4);
		EXPECT(memcmp(buffer, "pong", 4) == 0);
	}
	socket_local_address(client.socket, &mine);
	socket_peer_address(server.socket, &theirs);
	EXPECT(mine.port == theirs.port && !strcmp(mine.host, "127.0.0.1") && !strcmp(theirs.host, "127.0.0.1"));
	EXPECT(getsockopt(server.socket->watch.fd, IPPROTO_TCP, TCP_NODELAY, &on, &on_size) == 0 && on);
	EXPECT(getsockopt(client.socket->watch.fd, IPPROTO_TCP, TCP_NODELAY, &on, &on_size) == 0 && on);
	socket_close(client.socket, false);
	EXPECT_ERR(receive_await(self, &server, buffer, 8, &n), ERR_CLOSED);
	EXPECT_ERR(receive_await(self, &server, buffer, 8, &n), ERR_CLOSED); /* and for ever */
	socket_close(server.socket, false);
	host_close(h);
}

TEST(what_is_sent_arrives_and_a_closed_peer_is_the_end)
{
	run_over_both(1, echo_main, NULL);
}

#define FLOOD ((size_t)8 << 20)

struct flood {
	struct end *to;
	uint8_t *data;
};

static void flood_main(struct fiber *self, void *argument)
{
	struct flood *f = argument;

	send_all_await(self, f->to, f->data, FLOOD);
}

/* More than the kernel's buffers hold: sends are partial and wait for room, and nothing is lost on the way. */
static void partial_main(struct fiber *self, void *argument)
{
	static const struct fiber_options options = {.name = "flood", .joinable = true};
	struct end client, server;
	struct host *h = pair_await(self, &client, &server);
	struct flood f = {.to = &client, .data = mem_alloc(FLOOD)};
	uint8_t *back = mem_alloc(FLOOD);
	struct fiber *sender;

	(void)argument;
	prng_fill(shard_random(fiber_shard(self)), f.data, FLOOD);
	sender = fiber_start(fiber_shard(self), &options, flood_main, &f);
	EXPECT(sender);
	receive_all_await(self, &server, back, FLOOD);
	fiber_join_await(self, sender);
	EXPECT(memcmp(f.data, back, FLOOD) == 0);
	EXPECT(client.calls > 0); /* it did have to wait */
	socket_close(client.socket, false);
	socket_close(server.socket, false);
	host_close(h);
	mem_free(f.data);
	mem_free(back);
}

TEST(a_sender_waits_for_room_and_nothing_is_lost)
{
	run_over_both(1, partial_main, NULL);
}

static void parts_main(struct fiber *self, void *argument)
{
	struct end client, server;
	struct host *h = pair_await(self, &client, &server);
	struct bytes parts[100];
	char buffer[100];
	size_t n;

	(void)argument;
	for (size_t i = 0; i < 100; i++)
		parts[i] = bytes_str("x");
	EXPECT_OK(socket_send(client.socket, parts, 100, &n));
	EXPECT(n > 0 && n <= 100);
	receive_all_await(self, &server, buffer, n);
	/* Unsent bytes still go out after the close, and the end comes behind them. */
	EXPECT_OK(socket_send(client.socket, parts, 3, &n));
	EXPECT(n == 3);
	socket_close(client.socket, false);
	receive_all_await(self, &server, buffer, 3);
	EXPECT_ERR(receive_await(self, &server, buffer, 8, &n), ERR_CLOSED);
	socket_close(server.socket, false);
	host_close(h);
}

TEST(what_was_sent_before_the_close_arrives)
{
	run_over_both(1, parts_main, NULL);
}

static void reset_main(struct fiber *self, void *argument)
{
	struct end client, server;
	struct host *h = pair_await(self, &client, &server);
	struct bytes part = bytes_str("x");
	char buffer[8];
	size_t n;

	(void)argument;
	socket_close(client.socket, true);
	EXPECT_ERR(receive_await(self, &server, buffer, 8, &n), ERR_CONNECTION_LOST);
	EXPECT_ERR(socket_send(server.socket, &part, 1, &n), ERR_CONNECTION_LOST);
	socket_close(server.socket, false);
	host_close(h);
}

TEST(a_reset_is_a_lost_connection)
{
	run_over_both(1, reset_main, NULL);
}

/* Level-triggered: who does not drain is told again; who has no interest is not told. */
struct lazy {
	struct end end;
	struct fiber *fiber;
	unsigned calls;
};

static void lazy_ready(struct socket_owner *owner, unsigned events)
{
	struct lazy *l = container_of(owner, struct lazy, end.owner);

	EXPECT(events == SOCKET_READABLE);
	if (++l->calls == 3)
		fiber_wake(l->fiber);
}

static void level_main(struct fiber *self, void *argument)
{
	struct end client, server;
	struct host *h = pair_await(self, &client, &server);
	struct lazy l = {.fiber = self};
	struct end other;
	char buffer[8];

	(void)argument;
	end_init(&l.end);
	l.end.owner.ready = lazy_ready;
	end_init(&other);
	EXPECT_OK(socket_connect_await(self, &h->address, soon_us(self), &other.owner, &other.socket));
	EXPECT_OK(socket_adopt(fiber_shard(self), host_take_await(self, h), &l.end.owner, &l.end.socket));
	send_all_await(self, &other, "abc", 3);
	socket_set_interest(l.end.socket, SOCKET_READABLE);
	while (l.calls < 3)
		fiber_park_await(self);
	socket_set_interest(l.end.socket, 0);
	l.calls = 0;
	/* A round trip on another connection: events were looked at meanwhile. */
	send_all_await(self, &client, "x", 1);
	receive_all_await(self, &server, buffer, 1);
	EXPECT(l.calls == 0);
	socket_set_interest(l.end.socket, SOCKET_READABLE);
	while (l.calls < 3)
		fiber_park_await(self);
	l.end.owner.ready = end_ready;
	receive_all_await(self, &l.end, buffer, 3);
	EXPECT(memcmp(buffer, "abc", 3) == 0);
	socket_close(client.socket, false);
	socket_close(server.socket, false);
	socket_close(other.socket, false);
	socket_close(l.end.socket, false);
	host_close(h);
}

TEST(readiness_is_told_as_long_as_it_lasts_to_whom_it_interests)
{
	run_over_both(1, level_main, NULL);
}

/* A handler that closes its own socket, and another's that is ready in the same turn. */
struct closer {
	struct end *mine;
	struct end *other;
	struct socket_owner owner;
};

static void closer_ready(struct socket_owner *owner, unsigned events)
{
	struct closer *c = container_of(owner, struct closer, owner);

	(void)events;
	EXPECT(c->mine->socket && c->other->socket);
	socket_close(c->mine->socket, false);
	socket_close(c->other->socket, false);
	c->mine->socket = c->other->socket = NULL;
}

static void closing_main(struct fiber *self, void *argument)
{
	struct host *h = host_open_await(self, "127.0.0.1");
	struct end clients[2], servers[2];
	struct closer c = {.mine = &servers[0], .other = &servers[1], .owner = {.ready = closer_ready}};
	struct closer d = {.mine = &servers[1], .other = &servers[0], .owner = {.ready = closer_ready}};
	char byte;
	size_t n;

	(void)argument;
	for (int i = 0; i < 2; i++) {
		end_init(&clients[i]);
		EXPECT_OK(
			socket_connect_await(self, &h->address, soon_us(self), &clients[i].owner, &clients[i].socket));
		EXPECT_OK(socket_adopt(fiber_shard(self), host_take_await(self, h), i ? &d.owner : &c.owner,
				       &servers[i].socket));
	}
	send_all_await(self, &clients[0], "x", 1);
	send_all_await(self, &clients[1], "x", 1);
	socket_set_interest(servers[0].socket, SOCKET_READABLE);
	socket_set_interest(servers[1].socket, SOCKET_READABLE);
	/* Both ends see it: no further call of `ready`, or closer_ready would not find its sockets. Unread bytes make it a reset. */
	for (int i = 0; i < 2; i++) {
		enum err e = receive_await(self, &clients[i], &byte, 1, &n);

		EXPECT(e == ERR_CLOSED || e == ERR_CONNECTION_LOST);
		socket_close(clients[i].socket, false);
	}
	host_close(h);
}

TEST(a_handler_may_close_its_own_socket_and_others)
{
	run_over_both(1, closing_main, NULL);
}

/* --- other shards ------------------------------------------------------------------------------------------------ */

struct adoption {
	struct message message;
	struct connection_handle handle;
	struct end end;
	struct shard *home;
	struct fiber *fiber;
	bool over;
};

static void adopted_over(struct shard *at, struct message *m)
{
	struct adoption *a = container_of(m, struct adoption, message);

	(void)at;
	a->over = true;
	fiber_wake(a->fiber);
}

static void adopted_main(struct fiber *self, void *argument)
{
	struct adoption *a = argument;
	char buffer[4];

	EXPECT(shard_index(fiber_shard(self)) == 1);
	EXPECT_OK(socket_adopt(fiber_shard(self), a->handle, &a->end.owner, &a->end.socket));
	receive_all_await(self, &a->end, buffer, 4);
	send_all_await(self, &a->end, buffer, 4);
	socket_close(a->end.socket, false);
	a->message.run = adopted_over;
	shard_send(fiber_shard(self), a->home, &a->message);
}

static void adopt_run(struct shard *at, struct message *m)
{
	static const struct fiber_options options = {.name = "adopted"};

	EXPECT(fiber_start(at, &options, adopted_main, container_of(m, struct adoption, message)));
}

static void adopt_main(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);
	struct host *h = host_open_await(self, "127.0.0.1");
	struct end client;
	struct adoption a = {.message = {.run = adopt_run}, .home = s, .fiber = self};
	char buffer[4];
	size_t n;

	(void)argument;
	end_init(&client);
	end_init(&a.end);
	EXPECT_OK(socket_connect_await(self, &h->address, soon_us(self), &client.owner, &client.socket));
	a.handle = host_take_await(self, h);
	shard_send(s, runtime_shard(shard_runtime(s), 1), &a.message);
	send_all_await(self, &client, "over", 4);
	receive_all_await(self, &client, buffer, 4);
	EXPECT(memcmp(buffer, "over", 4) == 0);
	EXPECT_ERR(receive_await(self, &client, buffer, 4, &n), ERR_CLOSED);
	while (!a.over)
		fiber_park_await(self);
	socket_close(client.socket, false);
	/* A connection that nobody adopts is dropped. */
	EXPECT_OK(socket_connect_await(self, &h->address, soon_us(self), &client.owner, &client.socket));
	connection_handle_drop(s, host_take_await(self, h));
	EXPECT_ERR(receive_await(self, &client, buffer, 4, &n), ERR_CLOSED);
	socket_close(client.socket, false);
	host_close(h);
}

TEST(a_connection_accepted_on_one_shard_is_adopted_on_another)
{
	run_over_both(2, adopt_main, NULL);
}

/* --- addresses and errors ---------------------------------------------------------------------------------------- */

static void addresses_main(struct fiber *self, void *argument)
{
	struct host *h = host_open_await(self, "127.0.0.1");
	struct listener *second;
	struct address a = h->address;
	struct host *any;
	struct end client;
	struct address seen;
	struct socket *s;

	(void)argument;
	EXPECT_ERR(listener_open_await(self, &a, &h->owner, &second), ERR_ADDRESS_IN_USE);
	a = (struct address){.host = "no..name", .port = 1};
	EXPECT_ERR(listener_open_await(self, &a, &h->owner, &second), ERR_NAME_RESOLUTION);
	EXPECT_ERR(socket_connect_await(self, &a, FIBER_NO_DEADLINE, NULL, &s), ERR_NAME_RESOLUTION);
	a = (struct address){.host = "192.0.2.1", .port = 0}; /* not ours */
	EXPECT_ERR(listener_open_await(self, &a, &h->owner, &second), ERR_NAME_RESOLUTION);

	/* Refused: the port of a listener that is gone. */
	a = h->address;
	host_close(h);
	end_init(&client);
	EXPECT_ERR(socket_connect_await(self, &a, soon_us(self), &client.owner, &client.socket),
		   ERR_CONNECTION_REFUSED);

	/* Listening everywhere, reached by name. */
	any = host_open_await(self, "");
	a = (struct address){.host = "localhost", .port = any->address.port};
	EXPECT_OK(socket_connect_await(self, &a, soon_us(self), &client.owner, &client.socket));
	connection_handle_drop(fiber_shard(self), host_take_await(self, any));
	socket_peer_address(client.socket, &seen);
	EXPECT(seen.port == a.port);
	socket_close(client.socket, false);
	host_close(any);
	any = host_open_await(self, "localhost");
	host_close(any);
}

TEST(addresses_in_use_unknown_or_refusing_have_their_errors)
{
	run_over_both(1, addresses_main, NULL);
}

/* A listener that never accepts and whose queue is full leaves further connects hanging: the deadline ends them. */
static void connect_late_main(struct fiber *self, void *argument)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(any);
	int full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct end ends[8];
	struct address a = {.host = "127.0.0.1"};
	enum err e = OK;
	size_t count = 0;

	(void)argument;
	EXPECT(bind(full, (struct sockaddr *)&any, size) == 0 && listen(full, 0) == 0);
	EXPECT(getsockname(full, (struct sockaddr *)&any, &size) == 0);
	a.port = ntohs(any.sin_port);
	while (count < countof(ends) && !e) {
		end_init(&ends[count]);
		e = socket_connect_await(self, &a, shard_now_us(fiber_shard(self)) + 50000, &ends[count].owner,
					 &ends[count].socket);
		if (!e)
			count++;
	}
	EXPECT_ERR(e, ERR_TIMED_OUT);
	EXPECT_ERR(socket_connect_await(self, &a, shard_now_us(fiber_shard(self)), &ends[0].owner, &ends[0].socket),
		   ERR_TIMED_OUT);
	for (size_t i = 0; i < count; i++)
		socket_close(ends[i].socket, true);
	close(full);
}

TEST(a_connect_ends_at_its_deadline)
{
	run_over_both(1, connect_late_main, NULL);
}

struct hanging {
	struct address address;
	struct end end;
	enum err error;
};

static void hanging_main(struct fiber *self, void *argument)
{
	struct hanging *h = argument;

	h->error = socket_connect_await(self, &h->address, FIBER_NO_DEADLINE, &h->end.owner, &h->end.socket);
}

static void connect_cancel_main(struct fiber *self, void *argument)
{
	static const struct fiber_options options = {.name = "hanging", .joinable = true};
	struct hanging by_name = {.address = {.host = "localhost", .port = 1}};
	struct fiber *f = fiber_start(fiber_shard(self), &options, hanging_main, &by_name);

	(void)argument;
	EXPECT(f);
	fiber_yield_await(self);
	fiber_cancel(f); /* while the name is being resolved, most likely */
	fiber_join_await(self, f);
	EXPECT(by_name.error == ERR_CANCELLED || by_name.error == ERR_CONNECTION_REFUSED);
}

TEST(a_cancelled_connect_is_given_up)
{
	run_over_both(1, connect_cancel_main, NULL);
}

/* --- out of descriptors ------------------------------------------------------------------------------------------ */

struct lines {
	struct logger logger;
	unsigned starved;
	unsigned again;
	struct event changed;
};

static void lines_write(struct logger *l, enum log_level level, const char *line)
{
	struct lines *lines = l->context; /* the shard has a copy of the logger */

	(void)level;
	lines->starved += strstr(line, "no connection is accepted") != NULL;
	lines->again += strstr(line, "accepted again") != NULL;
}

static void starved_main(struct fiber *self, void *argument)
{
	struct lines *lines = argument;
	struct host *h = host_open_await(self, "127.0.0.1");
	struct end ends[3];
	struct rlimit limit, before;
	int lowest;
	size_t i;

	EXPECT(getrlimit(RLIMIT_NOFILE, &before) == 0);
	for (i = 0; i < 3; i++)
		end_init(&ends[i]);
	/* Connected while nothing is accepted, so that the descriptors run out for accept and not for connect. */
	listener_pause(h->listener, true);
	for (i = 0; i < 3; i++)
		EXPECT_OK(socket_connect_await(self, &h->address, soon_us(self), &ends[i].owner, &ends[i].socket));
	EXPECT(h->count == 0);
	lowest = dup(0);
	close(lowest);
	limit = (struct rlimit){.rlim_cur = (rlim_t)lowest + 1, .rlim_max = before.rlim_max}; /* room for one */
	EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	listener_pause(h->listener, false);
	while (!lines->starved)
		fiber_yield_await(self);
	EXPECT(h->count == 1);

	/* One is closed: the next comes in its place. */
	connection_handle_drop(fiber_shard(self), host_take_await(self, h));
	(void)host_take_await(self, h);
	EXPECT(h->count == 2 && lines->again == 1);
	EXPECT(setrlimit(RLIMIT_NOFILE, &before) == 0);
	/* The limit was lifted outside of us: it is noticed after a while. */
	(void)host_take_await(self, h);
	EXPECT(h->count == 3);
	EXPECT(lines->starved == 1); /* not a line for every try */
	connection_handle_drop(fiber_shard(self), h->handles[1]);
	connection_handle_drop(fiber_shard(self), h->handles[2]);
	for (i = 0; i < 3; i++)
		socket_close(ends[i].socket, false);
	host_close(h);
}

TEST(out_of_descriptors_accepting_pauses_with_a_line_and_resumes)
{
	static const enum linux_io ios[] = {IO_EPOLL, IO_URING};
	const char *reason;

	for (size_t i = 0; i < countof(ios); i++) {
		struct lines lines = {.logger = {.write = lines_write}};
		struct linux_options o = {.shards = 1, .io = ios[i], .logger = &lines.logger};

		lines.logger.context = &lines;
		if (ios[i] == IO_EPOLL || uring_usable(&reason))
			run_with(&o, starved_main, &lines);
	}
}

static void left_open_main(struct fiber *self, void *argument)
{
	struct end client, server;

	(void)argument;
	mem_free(pair_await(self, &client, &server)); /* the listener stays, with nobody to come */
}

TEST(sockets_that_are_left_open_are_closed_at_the_end)
{
	run_over_both(1, left_open_main, NULL);
}
