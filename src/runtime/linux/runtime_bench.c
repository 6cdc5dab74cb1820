/*
 * runtime_bench: what the runtime's own steps cost: a fiber switch, a message to another shard and back, an echo over a loopback
 * connection, small file operations. Prints a line each, over both backends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/fiber.h"
#include "runtime/file.h"
#include "runtime/linux/system.h"
#include "runtime/socket.h"

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* --- samples ----------------------------------------------------------------------------------------------------- */

#define SAMPLES 20000

struct samples {
	int64_t ns[SAMPLES];
	size_t count;
	int64_t cpu_ns;
};

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void samples_print(struct samples *s, const char *io, const char *what)
{
	qsort(s->ns, s->count, sizeof(s->ns[0]), by_value);
	printf("%-9s %-40s p50 %7.2f us   p99 %8.2f us   cpu %6.2f us\n", io, what, (double)s->ns[s->count / 2] / 1e3,
	       (double)s->ns[s->count * 99 / 100] / 1e3, (double)s->cpu_ns / 1e3 / (double)s->count);
}

static void samples_begin(struct samples *s)
{
	s->count = 0;
	s->cpu_ns = -clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void samples_end(struct samples *s)
{
	s->cpu_ns += clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* --- fibers ------------------------------------------------------------------------------------------------------ */

static void nothing_main(struct fiber *self, void *argument)
{
	(void)self;
	(void)argument;
}

static void bench_fibers_await(struct fiber *self, const char *io)
{
	static const struct fiber_options options = {.name = "nothing", .joinable = true};
	int count = 2000000;
	int64_t start = now_ns();

	for (int i = 0; i < count; i++)
		fiber_yield_await(self);
	printf("%-9s %-40s %.1f ns\n", io, "yield (two switches and a turn's share)",
	       (double)(now_ns() - start) / count);
	count = 200000;
	start = now_ns();
	for (int i = 0; i < count; i++)
		fiber_join_await(self, fiber_start(fiber_shard(self), &options, nothing_main, NULL));
	printf("%-9s %-40s %.1f ns\n", io, "start, run and join a fiber", (double)(now_ns() - start) / count);
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

struct ping {
	struct message message;
	struct shard *home;
	struct fiber *fiber;
	bool back;
};

static void ping_run(struct shard *at, struct message *m)
{
	struct ping *p = container_of(m, struct ping, message);

	if (at != p->home) {
		shard_send(at, p->home, m);
		return;
	}
	p->back = true;
	fiber_wake(p->fiber);
}

static void bench_messages_await(struct fiber *self, const char *io, struct samples *s)
{
	struct shard *here = fiber_shard(self);
	struct shard *there = runtime_shard(shard_runtime(here), 1);
	struct ping p = {.message = {.run = ping_run}, .home = here, .fiber = self};

	samples_begin(s);
	while (s->count < SAMPLES) {
		int64_t start = now_ns();

		p.back = false;
		shard_send(here, there, &p.message);
		while (!p.back)
			fiber_park_await(self);
		s->ns[s->count++] = now_ns() - start;
	}
	samples_end(s);
	if (io)
		samples_print(s, io, "message to a sleeping shard and back");
}

/* --- sockets ----------------------------------------------------------------------------------------------------- */

struct end {
	struct socket_owner owner;
	struct socket *socket;
	struct fiber *fiber; /* NULL: answers by itself */
	struct crowd *crowd;
	struct connection_handle handle;
	struct message message;
	struct shard *shard;
};

static void echo_ready(struct socket_owner *owner, unsigned events)
{
	struct end *e = container_of(owner, struct end, owner);
	char buffer[256];
	size_t n;

	(void)events;
	if (e->fiber) {
		fiber_wake(e->fiber);
		socket_set_interest(e->socket, 0);
		return;
	}
	for (;;) {
		enum err error = socket_receive(e->socket, buffer, sizeof(buffer), &n);
		struct bytes part = bytes_of(buffer, error ? 0 : n);

		if (error == ERR_AGAIN)
			return;
		if (error || socket_send(e->socket, &part, 1, &n)) {
			socket_close(e->socket, false);
			return;
		}
	}
}

static void adopt_run(struct shard *at, struct message *m)
{
	struct end *e = container_of(m, struct end, message);

	must(!socket_adopt(at, e->handle, &e->owner, &e->socket));
	socket_set_interest(e->socket, SOCKET_READABLE);
}

struct door {
	struct listener_owner owner;
	struct end *next;
	struct shard *shard;
};

static void door_accepted(struct listener_owner *owner, struct connection_handle handle)
{
	struct door *d = container_of(owner, struct door, owner);

	d->next->handle = handle;
	shard_send(d->shard, d->next->shard, &d->next->message);
}

static void bench_echo_await(struct fiber *self, const char *io, struct samples *s)
{
	struct shard *here = fiber_shard(self);
	struct end server = {.owner = {.ready = echo_ready}, .message = {.run = adopt_run}};
	struct end client = {.owner = {.ready = echo_ready}, .fiber = self};
	struct door d = {.owner = {.accepted = door_accepted}, .next = &server, .shard = here};
	struct address a = {.host = "127.0.0.1"};
	struct listener *l;
	char buffer[256] = {0};
	size_t n;

	server.shard = runtime_shard(shard_runtime(here), 1);
	must(!listener_open_await(self, &a, &d.owner, &l));
	listener_address(l, &a);
	must(!socket_connect_await(self, &a, FIBER_NO_DEADLINE, &client.owner, &client.socket));
	samples_begin(s);
	while (s->count < SAMPLES) {
		struct bytes part = bytes_of(buffer, 100);
		int64_t start = now_ns();

		must(!socket_send(client.socket, &part, 1, &n));
		while (socket_receive(client.socket, buffer, sizeof(buffer), &n) == ERR_AGAIN) {
			socket_set_interest(client.socket, SOCKET_READABLE);
			fiber_park_await(self);
		}
		s->ns[s->count++] = now_ns() - start;
	}
	samples_end(s);
	samples_print(s, io, "echo of 100 bytes over loopback");
	socket_close(client.socket, false);
	/* The server's end lies on this stack: one more round trip through its shard, behind its close. */
	bench_messages_await(self, NULL, s);
	listener_close(l);
}

#define CROWD 64
#define CROWD_ECHOES 300000

/* Many connections, each with one echo under way: what a busy shard's readiness costs. */
struct crowd {
	struct end clients[CROWD];
	struct end servers[CROWD];
	size_t left;
	struct fiber *fiber;
};

static void crowd_ready(struct socket_owner *owner, unsigned events)
{
	struct end *e = container_of(owner, struct end, owner);
	struct crowd *c = e->crowd;
	char buffer[256];
	size_t n;

	(void)events;
	while (!socket_receive(e->socket, buffer, sizeof(buffer), &n)) {
		struct bytes part = bytes_of(buffer, 100);

		if (c->left == 0 || --c->left == 0)
			fiber_wake(c->fiber);
		else
			must(!socket_send(e->socket, &part, 1, &n));
	}
}

static void bench_crowd_await(struct fiber *self, const char *io)
{
	struct shard *here = fiber_shard(self);
	struct crowd *c = mem_new(struct crowd);
	struct door d = {.owner = {.accepted = door_accepted}, .shard = here};
	struct address a = {.host = "127.0.0.1"};
	static const char data[100];
	struct bytes part = bytes_of(data, sizeof(data));
	int64_t start, cpu;
	struct listener *l;
	size_t n;

	c->fiber = self;
	c->left = CROWD_ECHOES;
	must(!listener_open_await(self, &a, &d.owner, &l));
	listener_address(l, &a);
	for (size_t i = 0; i < CROWD; i++) {
		c->servers[i] = (struct end){.owner = {.ready = echo_ready}, .message = {.run = adopt_run}};
		c->servers[i].shard = runtime_shard(shard_runtime(here), 1);
		c->clients[i] = (struct end){.owner = {.ready = crowd_ready}, .crowd = c};
		d.next = &c->servers[i];
		must(!socket_connect_await(self, &a, FIBER_NO_DEADLINE, &c->clients[i].owner, &c->clients[i].socket));
		while (!d.next->handle.value)
			fiber_yield_await(self);
		socket_set_interest(c->clients[i].socket, SOCKET_READABLE);
	}
	start = now_ns();
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < CROWD; i++)
		must(!socket_send(c->clients[i].socket, &part, 1, &n));
	while (c->left > 0)
		fiber_park_await(self);
	printf("%-9s %-40s %.0f /s   cpu %6.2f us\n", io, "echoes over 64 connections at once",
	       CROWD_ECHOES * 1e9 / (double)(now_ns() - start),
	       (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e3 / CROWD_ECHOES);
	for (size_t i = 0; i < CROWD; i++)
		socket_close(c->clients[i].socket, false);
	listener_close(l);
	/* The servers' ends see the close later: c stays, the process ends soon. */
}

/* --- files ------------------------------------------------------------------------------------------------------- */

struct op_wait {
	struct file_op op;
	struct fiber *fiber;
	size_t *left;
};

static void op_wait_done(struct file_op *op)
{
	struct op_wait *w = container_of(op, struct op_wait, op);

	if (--*w->left == 0)
		fiber_wake(w->fiber);
}

static void bench_write_await(struct fiber *self, const char *io, struct samples *s, struct file *f, size_t size,
			      const char *what)
{
	uint8_t *data = mem_zalloc(size);
	int64_t at = 0;

	samples_begin(s);
	while (s->count < SAMPLES / 10) {
		int64_t start = now_ns();

		must(!file_write_await(self, f, bytes_of(data, size), at));
		s->ns[s->count++] = now_ns() - start;
		at = (at + (int64_t)size) % (64 << 20);
	}
	samples_end(s);
	samples_print(s, io, what);
	samples_begin(s);
	while (s->count < SAMPLES / 10) {
		int64_t start = now_ns();
		size_t n;

		at = at ? at - (int64_t)size : 0;
		must(!file_read_await(self, f, data, size, at, &n));
		s->ns[s->count++] = now_ns() - start;
	}
	samples_end(s);
	samples_print(s, io, "  and read back");
	mem_free(data);
}

/* 1 KB to each of `count` files, then all synced at once. */
static void bench_sync_await(struct fiber *self, const char *io, struct samples *s, const char *folder, size_t count)
{
	struct file **files = mem_alloc(count * sizeof(struct file *));
	struct op_wait *ops = mem_alloc(count * sizeof(*ops));
	static uint8_t const data[1024];
	char text[100];

	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%s/%zu", folder, i);
		must(!file_open_await(self, text, FILE_READ | FILE_WRITE | FILE_CREATE, &files[i]));
	}
	samples_begin(s);
	for (int round = 0; round < (count >= 100 ? 20 : 200); round++) {
		int64_t start = now_ns();
		size_t left = count;

		for (size_t i = 0; i < count; i++) {
			must(!file_write_await(self, files[i], bytes_of(data, sizeof(data)), round * 1024));
			ops[i] = (struct op_wait){.op = {.done = op_wait_done}, .fiber = self, .left = &left};
		}
		for (size_t i = 0; i < count; i++)
			file_sync(files[i], &ops[i].op);
		while (left)
			fiber_park_await(self);
		s->ns[s->count++] = now_ns() - start;
	}
	samples_end(s);
	snprintf(text, sizeof(text), "write 1 KB to %zu files and sync them", count);
	samples_print(s, io, text);
	for (size_t i = 0; i < count; i++)
		file_close(files[i]);
	mem_free(files);
	mem_free(ops);
}

static void bench_files_await(struct fiber *self, const char *io, struct samples *s)
{
	char folder[] = "moldau-bench-XXXXXX";
	char path[64];
	struct file *f;

	must(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a", folder);
	must(!file_open_await(self, path, FILE_READ | FILE_WRITE | FILE_CREATE, &f));
	bench_write_await(self, io, s, f, 1024, "write 1 KB");
	bench_write_await(self, io, s, f, 65536, "write 64 KB");
	bench_write_await(self, io, s, f, 1 << 20, "write 1 MB");
	file_close(f);
	bench_sync_await(self, io, s, folder, 1);
	bench_sync_await(self, io, s, folder, 6);
	bench_sync_await(self, io, s, folder, 100);
	bench_sync_await(self, io, s, folder, 1000);
	must(!folder_remove_all_await(self, folder));
}

/* ----------------------------------------------------------------------------------------------------------------- */

static void bench_main(struct fiber *self, void *argument)
{
	const char *io = linux_io_name(shard_runtime(fiber_shard(self)));
	struct samples *s = mem_new(struct samples);

	(void)argument;
	bench_fibers_await(self, io);
	bench_messages_await(self, io, s);
	bench_echo_await(self, io, s);
	bench_crowd_await(self, io);
	bench_files_await(self, io, s);
	mem_free(s);
	runtime_stop(shard_runtime(fiber_shard(self)), 0);
}

static void bench_start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "bench"};

	must(fiber_start(s, &options, bench_main, argument));
}

int main(void)
{
	struct linux_options o = {.shards = 2, .io = IO_EPOLL};
	int failed = linux_run(&o, bench_start, NULL);

	o.io = IO_URING;
	return failed | linux_run(&o, bench_start, NULL);
}
