/* Tests of simulated processes: time, files, sockets, death; and that a seed is a history. */
#include "sim/node.h"

#include "base/alloc.h"
#include "base/test.h"
#include "runtime/fiber.h"
#include "sim/network.h"

#define SECOND 1000000

/* --- an echo service and its caller -------------------------------------------------------------------------------------- */

struct echo_connection {
	struct socket_owner owner;
	struct socket *socket;
	uint8_t kept[100];
	size_t size;
};

static void echo_ready(struct socket_owner *owner, unsigned events)
{
	struct echo_connection *c = container_of(owner, struct echo_connection, owner);
	struct bytes part;
	size_t count = 0;
	enum err e = OK;

	(void)events;
	if (!c->size)
		e = socket_receive(c->socket, c->kept, sizeof(c->kept), &c->size);
	part = bytes_of(c->kept, c->size);
	if (!e && c->size)
		e = socket_send(c->socket, &part, 1, &count);
	if (e && e != ERR_AGAIN) {
		socket_close(c->socket, false);
		mem_free(c);
		return;
	}
	memmove(c->kept, c->kept + count, c->size - count);
	c->size -= count;
	socket_set_interest(c->socket, c->size ? SOCKET_WRITABLE : SOCKET_READABLE);
}

struct echo_service {
	struct listener_owner owner;
	struct listener *listener;
	struct shard *shard;
};

static void echo_accepted(struct listener_owner *owner, struct connection_handle h)
{
	struct echo_service *s = container_of(owner, struct echo_service, owner);
	struct echo_connection *c = mem_new(struct echo_connection);

	c->owner.ready = echo_ready;
	must_ok(socket_adopt(s->shard, h, &c->owner, &c->socket));
	socket_set_interest(c->socket, SOCKET_READABLE);
}

static void echo_fiber(struct fiber *self, void *argument)
{
	struct echo_service *s = mem_new(struct echo_service);
	struct address a = {.port = 7};

	(void)argument;
	s->owner.accepted = echo_accepted;
	s->shard = fiber_shard(self);
	must_ok(listener_open_await(self, &a, &s->owner, &s->listener));
}

static void start_fiber(struct shard *zero, void *main)
{
	static const struct fiber_options options = {.name = "test"};

	CHECK(fiber_start(zero, &options, *(void (**)(struct fiber *, void *))main, NULL));
}

/* What the caller has seen; belongs to the test, not to the node. */
static struct {
	size_t echoed;
	enum err error;
	unsigned finished;
	int64_t at_us;
} seen;

struct caller {
	struct socket_owner owner;
	struct fiber *fiber;
};

static void caller_ready(struct socket_owner *owner, unsigned events)
{
	(void)events;
	fiber_wake(container_of(owner, struct caller, owner)->fiber);
}

static enum err call_echo_await(struct fiber *self, struct socket *s)
{
	uint8_t out[5000], in[5000];
	size_t sent = 0, received = 0;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7);
	while (received < sizeof(out)) {
		struct bytes part = bytes_of(out + sent, sizeof(out) - sent);
		size_t count = 0;
		enum err e = part.size ? socket_send(s, &part, 1, &count) : ERR_AGAIN;

		if (e && e != ERR_AGAIN)
			return e;
		sent += count;
		count = 0;
		e = socket_receive(s, in + received, sizeof(in) - received, &count);
		if (e && e != ERR_AGAIN)
			return e;
		received += count;
		CHECK(memcmp(in, out, received) == 0);
		if (received == sizeof(out))
			break;
		socket_set_interest(s, SOCKET_READABLE | (sent < sizeof(out) ? SOCKET_WRITABLE : 0));
		fiber_park_await(self);
	}
	seen.echoed += received;
	return OK;
}

static void caller_fiber(struct fiber *self, void *argument)
{
	struct caller c = {.owner.ready = caller_ready, .fiber = self};
	struct address a = {.host = "10.0.0.1", .port = 7};
	struct socket *s;

	(void)argument;
	seen.error = socket_connect_await(self, &a, shard_now_us(fiber_shard(self)) + 3 * SECOND, &c.owner, &s);
	if (!seen.error) {
		seen.error = call_echo_await(self, s);
		socket_close(s, false);
	}
	seen.finished++;
	seen.at_us = shard_now_us(fiber_shard(self));
	runtime_stop(shard_runtime(fiber_shard(self)), 0);
}

static void (*const echo_main)(struct fiber *, void *) = echo_fiber;
static void (*const caller_main)(struct fiber *, void *) = caller_fiber;

struct pair {
	struct sim sim;
	struct node *server;
	struct node *client;
};

static void pair_init(struct pair *p, uint64_t seed)
{
	memset(&seen, 0, sizeof(seen));
	sim_init(&p->sim, seed);
	p->server = node_new(&p->sim, 1, "server");
	p->client = node_new(&p->sim, 2, "client");
	p->client->check_leaks = true;
	node_start(p->server, 1, start_fiber, (void *)&echo_main);
	scheduler_run_until(&p->sim.scheduler, SECOND);
	node_start(p->client, 1, start_fiber, (void *)&caller_main);
}

static void pair_fini(struct pair *p)
{
	node_free(p->client);
	node_free(p->server);
	CHECK_EQ(network_connection_count(p->sim.network), 0);
	sim_fini(&p->sim);
}

TEST(bytes_come_back_through_any_windows_and_fragments)
{
	struct pair p;
	uint64_t partial = 0, fragments = 0;

	for (uint64_t seed = 0; seed < 60; seed++) {
		pair_init(&p, seed);
		scheduler_run_until(&p.sim.scheduler, 30 * (int64_t)SECOND);
		CHECK_EQ(seen.finished, 1);
		must_ok(seen.error);
		CHECK_EQ(seen.echoed, 5000);
		CHECK(!p.sim.failed);
		CHECK(!node_up(p.client));
		partial += p.sim.hits[HIT_PARTIAL_SEND] + p.sim.hits[HIT_SEND_AGAIN];
		fragments += p.sim.hits[HIT_FRAGMENT];
		pair_fini(&p);
	}
	CHECK(partial > 0 && fragments > 0);
}

TEST(equal_seeds_give_equal_histories_and_others_do_not)
{
	uint64_t hashes[3], events[3];

	for (unsigned i = 0; i < 3; i++) {
		struct pair p;

		pair_init(&p, i < 2 ? 5 : 6);
		scheduler_run_until(&p.sim.scheduler, 10 * (int64_t)SECOND);
		hashes[i] = p.sim.scheduler.trace.hash;
		events[i] = p.sim.scheduler.event_count;
		pair_fini(&p);
	}
	CHECK(hashes[0] == hashes[1] && events[0] == events[1]);
	CHECK(hashes[0] != hashes[2]);
}

/* Whenever the server dies, the caller learns of it and nothing of the server is left. */
TEST(a_kill_at_any_moment_ends_the_other_side_and_frees_everything)
{
	unsigned failed = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		struct pair p;

		pair_init(&p, seed);
		for (uint64_t steps = 0; steps < seed; steps++)
			scheduler_step(&p.sim.scheduler);
		if (seed % 2)
			node_kill(p.server);
		else
			node_power_loss(p.server);
		CHECK_EQ(p.server->memory.block_count, 0);
		scheduler_run_until(&p.sim.scheduler, 30 * (int64_t)SECOND);
		CHECK_EQ(seen.finished, 1);
		failed += seen.error != OK;
		pair_fini(&p);
	}
	CHECK(failed > 50);
}

TEST(a_connect_that_nobody_answers_ends_at_its_deadline)
{
	struct pair p;

	pair_init(&p, 1);
	network_block(p.sim.network, p.server, NULL, true);
	scheduler_run_until(&p.sim.scheduler, 30 * (int64_t)SECOND);
	CHECK_EQ(seen.finished, 1);
	CHECK_ERR(seen.error, ERR_TIMED_OUT);
	pair_fini(&p);
}

TEST(a_cut_is_seen_by_both_sides)
{
	unsigned lost = 0;

	for (uint64_t seed = 0; seed < 50; seed++) {
		struct pair p;

		pair_init(&p, seed);
		while (!network_connection_count(p.sim.network))
			scheduler_step(&p.sim.scheduler);
		for (uint64_t steps = 0; steps < 5 + seed / 2; steps++)
			scheduler_step(&p.sim.scheduler);
		network_cut_one(p.sim.network, NULL);
		scheduler_run_until(&p.sim.scheduler, 60 * (int64_t)SECOND);
		CHECK_EQ(seen.finished, 1);
		lost += seen.error == ERR_CONNECTION_LOST;
		CHECK_EQ(network_connection_count(p.sim.network), 0);
		pair_fini(&p);
	}
	CHECK(lost > 10);
}

TEST(a_paused_process_goes_on_where_it_was)
{
	struct pair p;

	pair_init(&p, 3);
	node_pause(p.server);
	scheduler_run_until(&p.sim.scheduler, 2 * (int64_t)SECOND);
	CHECK_EQ(seen.finished, 0);
	node_resume(p.server);
	scheduler_run_until(&p.sim.scheduler, 30 * (int64_t)SECOND);
	CHECK_EQ(seen.finished, 1);
	must_ok(seen.error);
	pair_fini(&p);
}

/* --- files ------------------------------------------------------------------------------------------------------------------- */

static void writer_fiber(struct fiber *self, void *argument)
{
	struct file *f;

	(void)argument;
	must_ok(folder_create_all_await(self, "/data/x"));
	must_ok(folder_sync_await(self, "/data"));
	must_ok(folder_sync_await(self, "/"));
	must_ok(file_replace_await(self, "/data/x/name", bytes_str("content")));
	must_ok(file_open_await(self, "/data/x/log", FILE_READ | FILE_WRITE | FILE_CREATE, &f));
	must_ok(folder_sync_await(self, "/data/x"));
	must_ok(file_lock_await(self, f));
	for (int64_t at = 0;; at++) {
		must_ok(file_write_await(self, f, bytes_of(&at, sizeof(at)), at * (int64_t)sizeof(at)));
		if (at % 3)
			continue;
		must_ok(file_sync_await(self, f));
		seen.echoed = (size_t)at + 1; /* so many numbers are safe */
	}
}

static void reader_fiber(struct fiber *self, void *argument)
{
	struct file *f;
	char *text;
	size_t size, count;
	int64_t value;

	(void)argument;
	must_ok(file_load_await(self, "/data/x/name", 100, &text, &size));
	CHECK_STR(text, "content");
	mem_free(text);
	must_ok(file_open_await(self, "/data/x/log", FILE_READ, &f));
	must_ok(file_lock_await(self, f));
	for (size_t at = 0; at < seen.echoed; at++) {
		must_ok(file_read_await(self, f, &value, sizeof(value), (int64_t)(at * sizeof(value)), &count));
		CHECK_EQ(count, sizeof(value));
		CHECK_EQ(value, at);
	}
	file_close(f);
	seen.finished++;
	runtime_stop(shard_runtime(fiber_shard(self)), 0);
}

static void (*const writer_main)(struct fiber *, void *) = writer_fiber;
static void (*const reader_main)(struct fiber *, void *) = reader_fiber;

TEST(what_was_synced_is_there_after_any_death)
{
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct sim sim;
		struct node *n;

		memset(&seen, 0, sizeof(seen));
		sim_init(&sim, seed);
		n = node_new(&sim, 1, "disk");
		n->check_leaks = true;
		node_start(n, 1, start_fiber, (void *)&writer_main);
		scheduler_run_until(&sim.scheduler, 50000 + (int64_t)seed * 100);
		CHECK(seen.echoed > 0);
		if (seed % 2)
			node_power_loss(n);
		else
			node_kill(n);
		node_start(n, 1, start_fiber, (void *)&reader_main);
		scheduler_run_until(&sim.scheduler, 10 * (int64_t)SECOND);
		CHECK_EQ(seen.finished, 1);
		CHECK(!sim.failed);
		node_free(n);
		sim_fini(&sim);
	}
}

static void leaker_fiber(struct fiber *self, void *argument)
{
	(void)argument;
	(void)!mem_alloc(10);
	runtime_stop(shard_runtime(fiber_shard(self)), 0);
}

static void (*const leaker_main)(struct fiber *, void *) = leaker_fiber;

TEST(a_clean_stop_that_leaves_memory_behind_is_a_failure)
{
	struct sim sim;
	struct node *n;

	sim_init(&sim, 1);
	n = node_new(&sim, 1, "leaker");
	n->check_leaks = true;
	node_start(n, 1, start_fiber, (void *)&leaker_main);
	scheduler_run_until(&sim.scheduler, SECOND);
	CHECK(!node_up(n));
	CHECK(sim.failed);
	node_free(n);
	sim_fini(&sim);
}
