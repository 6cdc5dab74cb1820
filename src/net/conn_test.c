/* conn_test: framing, backpressure and time limits of real connections over both backends. */
#include "net/conn.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "runtime/linux/backends.h"

#define LIMIT ((size_t)1024 * 1024)
#define IDLE_US 600000000

/* The client's end. */
struct client {
	struct socket_owner owner;
	struct socket *socket;
	struct event ready;
};

static void client_ready(struct socket_owner *owner, unsigned events)
{
	struct client *c = container_of(owner, struct client, owner);

	(void)events;
	socket_set_interest(c->socket, 0);
	event_signal(&c->ready);
}

static void client_wait_await(struct fiber *self, struct client *c, unsigned events)
{
	socket_set_interest(c->socket, events);
	EXPECT_OK(event_wait_await(self, &c->ready, FIBER_NO_DEADLINE));
}

static void client_send_await(struct fiber *self, struct client *c, const void *data, size_t size)
{
	size_t at = 0;

	while (at < size) {
		struct bytes part = bytes_of((const uint8_t *)data + at, size - at);
		size_t count = 0;
		enum err e = socket_send(c->socket, &part, 1, &count);

		if (e == ERR_AGAIN)
			client_wait_await(self, c, SOCKET_WRITABLE);
		else
			EXPECT_OK(e);
		at += count;
	}
}

static enum err client_receive_await(struct fiber *self, struct client *c, void *buffer, size_t size, size_t *ret_count)
{
	enum err e;

	while ((e = socket_receive(c->socket, buffer, size, ret_count)) == ERR_AGAIN)
		client_wait_await(self, c, SOCKET_READABLE);
	return e;
}

/* The server's end and what came out of it. */
struct server {
	struct conn_owner owner;
	struct conn_shard cs;
	struct budget budget;
	struct conn *conn;
	struct blob *frames[64];
	size_t count;
	size_t may; /* frames that it still takes */
	bool closed;
	enum err reason;
	char why[200];
	struct event changed;
};

static void on_frame(struct conn_owner *o, struct blob *frame)
{
	struct server *s = container_of(o, struct server, owner);

	EXPECT(s->may > 0 && s->count < countof(s->frames));
	s->may--;
	s->frames[s->count++] = frame;
	event_signal(&s->changed);
}

static bool may_take(struct conn_owner *o)
{
	return container_of(o, struct server, owner)->may > 0;
}

static bool not_busy(struct conn_owner *o)
{
	(void)o;
	return false;
}

static void on_closed(struct conn_owner *o, enum err reason, const char *why)
{
	struct server *s = container_of(o, struct server, owner);

	EXPECT(!s->closed);
	s->closed = true;
	s->reason = reason;
	snprintf(s->why, sizeof(s->why), "%s", why);
	event_signal(&s->changed);
}

struct door {
	struct listener_owner owner;
	struct connection_handle handle;
	bool came;
	struct event event;
};

static void on_accepted(struct listener_owner *o, struct connection_handle handle)
{
	struct door *d = container_of(o, struct door, owner);

	d->handle = handle;
	d->came = true;
	event_signal(&d->event);
}

struct pair {
	struct client client;
	struct server server;
};

static struct pair *pair_open_await(struct fiber *self, size_t budget, int64_t idle_us)
{
	struct pair *p = mem_new(struct pair);
	struct shard *shard = fiber_shard(self);
	struct door door = {.owner.accepted = on_accepted};
	struct address address = {.host = "127.0.0.1"};
	struct listener *listener;

	event_init(&door.event);
	EXPECT_OK(listener_open_await(self, &address, &door.owner, &listener));
	listener_address(listener, &address);
	p->client.owner.ready = client_ready;
	event_init(&p->client.ready);
	EXPECT_OK(socket_connect_await(self, &address, FIBER_NO_DEADLINE, &p->client.owner, &p->client.socket));
	while (!door.came)
		EXPECT_OK(event_wait_await(self, &door.event, FIBER_NO_DEADLINE));
	listener_close(listener);

	p->server.owner = (struct conn_owner){
		.frame = on_frame, .may_take = may_take, .busy = not_busy, .closed = on_closed};
	p->server.may = countof(p->server.frames);
	event_init(&p->server.changed);
	budget_init(&p->server.budget, shard, budget);
	conn_shard_init(&p->server.cs, shard, &p->server.budget, LIMIT, idle_us);
	EXPECT_OK(conn_open(&p->server.cs, door.handle, &p->server.owner, &p->server.conn));
	conn_resume(p->server.conn);
	return p;
}

static void frames_drop(struct server *s)
{
	for (size_t i = 0; i < s->count; i++)
		blob_unref(s->frames[i]);
	s->count = 0;
}

static void pair_close_await(struct fiber *self, struct pair *p)
{
	frames_drop(&p->server);
	conn_close(p->server.conn);
	socket_close(p->client.socket, false);
	fiber_yield_await(self); /* the connection frees itself later in the turn */
	EXPECT(p->server.budget.used == 0);
	conn_shard_fini(&p->server.cs);
	budget_fini(&p->server.budget);
	mem_free(p);
}

static void frames_wait_await(struct fiber *self, struct server *s, size_t count)
{
	while (s->count < count)
		EXPECT_OK(event_wait_await(self, &s->changed, FIBER_NO_DEADLINE));
}

static void closed_wait_await(struct fiber *self, struct server *s)
{
	while (!s->closed)
		EXPECT_OK(event_wait_await(self, &s->changed, FIBER_NO_DEADLINE));
}

static void put_frame(struct buf *b, size_t size, uint8_t seed)
{
	buf_put_i32(b, (int32_t)size);
	for (size_t i = 0; i < size; i++)
		buf_put_i8(b, (int8_t)(uint8_t)(seed + i));
}

static void expect_frame(const struct blob *frame, size_t size, uint8_t seed)
{
	EXPECT(frame->size == size);
	for (size_t i = 0; i < size; i++)
		EXPECT(frame->data[i] == (uint8_t)(seed + i));
}

static void split_everywhere_fiber(struct fiber *self, void *argument)
{
	static const size_t sizes[] = {0, 1, 5, 30, 0, 12};
	struct pair *p = pair_open_await(self, LIMIT, IDLE_US);
	struct buf all;

	(void)argument;
	buf_init(&all, LIMIT);
	for (size_t i = 0; i < countof(sizes); i++)
		put_frame(&all, sizes[i], (uint8_t)i);
	for (size_t at = 1; at < all.size; at++) {
		client_send_await(self, &p->client, all.data, at);
		fiber_yield_await(self);
		client_send_await(self, &p->client, all.data + at, all.size - at);
		frames_wait_await(self, &p->server, countof(sizes));
		for (size_t i = 0; i < countof(sizes); i++)
			expect_frame(p->server.frames[i], sizes[i], (uint8_t)i);
		frames_drop(&p->server);
		p->server.may = countof(sizes);
	}
	buf_fini(&all);
	pair_close_await(self, p);
}

TEST(frames_that_are_split_at_any_byte_come_out_whole)
{
	run_over_both(1, split_everywhere_fiber, NULL);
}

static void large_fiber(struct fiber *self, void *argument)
{
	static const size_t sizes[] = {100000, 3, CONN_SCRATCH_SIZE - 4, CONN_SCRATCH_SIZE, 700001, 9000, 1};
	struct pair *p = pair_open_await(self, 8 * LIMIT, IDLE_US);
	struct buf all;

	(void)argument;
	buf_init(&all, 8 * LIMIT);
	for (size_t i = 0; i < countof(sizes); i++)
		put_frame(&all, sizes[i], (uint8_t)(3 * i));
	client_send_await(self, &p->client, all.data, all.size);
	frames_wait_await(self, &p->server, countof(sizes));
	for (size_t i = 0; i < countof(sizes); i++)
		expect_frame(p->server.frames[i], sizes[i], (uint8_t)(3 * i));
	buf_fini(&all);
	pair_close_await(self, p);
}

TEST(large_and_small_frames_follow_each_other)
{
	run_over_both(1, large_fiber, NULL);
}

static void bad_sizes_fiber(struct fiber *self, void *argument)
{
	static const struct {
		int32_t size;
		const char *why;
	} cases[] = {
		{-1, "negative"},
		{INT32_MIN, "negative"},
		{(int32_t)LIMIT + 1, "socket.request.max.bytes"},
		{INT32_MAX, "socket.request.max.bytes"},
		{0x47455420 /* "GET " */, "HTTP"},
		{0x504f5354 /* "POST" */, "HTTP"},
		{0x16030102 /* a TLS hello */, "TLS"},
	};

	(void)argument;
	for (size_t i = 0; i < countof(cases); i++) {
		struct pair *p = pair_open_await(self, LIMIT, IDLE_US);
		uint8_t head[4];

		put_be32(head, (uint32_t)cases[i].size);
		client_send_await(self, &p->client, head, sizeof(head));
		closed_wait_await(self, &p->server);
		EXPECT_ERR(p->server.reason, ERR_TOO_BIG);
		EXPECT(strstr(p->server.why, cases[i].why));
		EXPECT(p->server.budget.peak == 0);
		pair_close_await(self, p);
	}
}

TEST(a_size_that_cannot_be_ends_the_connection_before_memory_is_taken)
{
	run_over_both(1, bad_sizes_fiber, NULL);
}

static void one_at_a_time_fiber(struct fiber *self, void *argument)
{
	struct pair *p = pair_open_await(self, LIMIT, IDLE_US);
	struct buf all;

	(void)argument;
	p->server.may = 1;
	buf_init(&all, LIMIT);
	for (uint8_t i = 0; i < 10; i++)
		put_frame(&all, 100, i);
	client_send_await(self, &p->client, all.data, all.size);
	for (uint8_t i = 0; i < 10; i++) {
		frames_wait_await(self, &p->server, i + 1u);
		fiber_yield_await(self);
		EXPECT(p->server.count == i + 1u);
		expect_frame(p->server.frames[i], 100, i);
		p->server.may = 1;
		conn_resume(p->server.conn);
	}
	buf_fini(&all);
	pair_close_await(self, p);
}

TEST(an_owner_that_takes_one_frame_gets_one_frame)
{
	run_over_both(1, one_at_a_time_fiber, NULL);
}

static void budget_fiber(struct fiber *self, void *argument)
{
	struct pair *p = pair_open_await(self, 1000, IDLE_US);
	struct buf all;

	(void)argument;
	buf_init(&all, LIMIT);
	put_frame(&all, 600, 1);
	put_frame(&all, 700, 2);
	put_frame(&all, 50, 3);
	client_send_await(self, &p->client, all.data, all.size);
	frames_wait_await(self, &p->server, 1);
	/* Nothing more comes, however long one waits: the second has no place yet. */
	for (int i = 0; i < 20; i++)
		fiber_yield_await(self);
	EXPECT(p->server.count == 1);
	blob_unref(p->server.frames[0]);
	p->server.frames[0] = blob_new(fiber_shard(self), 1, NULL, 0);
	frames_wait_await(self, &p->server, 3);
	expect_frame(p->server.frames[1], 700, 2);
	expect_frame(p->server.frames[2], 50, 3);
	EXPECT(p->server.budget.peak <= 1000);
	buf_fini(&all);
	pair_close_await(self, p);
}

TEST(a_frame_waits_until_the_budget_has_room_for_its_size)
{
	run_over_both(1, budget_fiber, NULL);
}

static void closed_while_waiting_fiber(struct fiber *self, void *argument)
{
	struct pair *p = pair_open_await(self, 1000, IDLE_US);
	struct buf all;

	(void)argument;
	EXPECT(budget_try_take(&p->server.budget, 1000));
	buf_init(&all, LIMIT);
	put_frame(&all, 600, 1);
	client_send_await(self, &p->client, all.data, all.size);
	while (list_empty(&p->server.budget.waiters))
		fiber_yield_await(self);
	conn_close(p->server.conn);
	fiber_yield_await(self);
	EXPECT(list_empty(&p->server.budget.waiters));
	budget_give(&p->server.budget, 1000);
	socket_close(p->client.socket, false);
	conn_shard_fini(&p->server.cs);
	budget_fini(&p->server.budget);
	buf_fini(&all);
	mem_free(p);
}

TEST(a_connection_that_goes_leaves_the_line_for_memory)
{
	run_over_both(1, closed_while_waiting_fiber, NULL);
}

static void slow_fiber(struct fiber *self, void *argument)
{
	static const struct {
		const char *sent;
		size_t size;
		const char *why;
	} cases[] = {
		{"", 0, "idle"},
		{"\0\0", 2, "did not arrive"},
		{"\0\0\0\5abc", 7, "did not arrive"},
	};

	(void)argument;
	for (size_t i = 0; i < countof(cases); i++) {
		struct pair *p = pair_open_await(self, LIMIT, 2000);

		client_send_await(self, &p->client, cases[i].sent, cases[i].size);
		closed_wait_await(self, &p->server);
		EXPECT(strstr(p->server.why, cases[i].why));
		pair_close_await(self, p);
	}
}

TEST(idle_connections_and_half_requests_end)
{
	run_over_both(1, slow_fiber, NULL);
}

static void unread_fiber(struct fiber *self, void *argument)
{
	struct pair *p = pair_open_await(self, LIMIT, IDLE_US);
	size_t size = 8 * LIMIT, have = 0;
	uint8_t *buffer = mem_alloc(LIMIT);
	struct send_piece piece = {.memory = mem_zalloc(size)};

	(void)argument;
	for (size_t i = 0; i < size; i++)
		((uint8_t *)piece.memory)[i] = (uint8_t)(i * 7 / 5);
	piece.bytes = bytes_of(piece.memory, size);
	conn_send_take(p->server.conn, &piece, 1);
	for (int i = 0; i < 5; i++)
		fiber_yield_await(self);
	EXPECT(conn_unsent(p->server.conn) > CONN_SEND_HIGH);
	while (have < size) {
		size_t count = 0;

		EXPECT_OK(client_receive_await(self, &p->client, buffer, LIMIT, &count));
		for (size_t i = 0; i < count; i++)
			EXPECT(buffer[i] == (uint8_t)((have + i) * 7 / 5));
		have += count;
	}
	mem_free(buffer);
	pair_close_await(self, p);
}

TEST(what_a_slow_reader_has_not_taken_waits_and_arrives_whole)
{
	run_over_both(1, unread_fiber, NULL);
}

static void never_read_fiber(struct fiber *self, void *argument)
{
	struct pair *p = pair_open_await(self, LIMIT, 20000);
	struct send_piece piece = {.memory = mem_zalloc(16 * LIMIT)};

	(void)argument;
	piece.bytes = bytes_of(piece.memory, 16 * LIMIT);
	conn_send_take(p->server.conn, &piece, 1);
	closed_wait_await(self, &p->server);
	EXPECT(strstr(p->server.why, "does not read"));
	pair_close_await(self, p);
}

TEST(a_peer_that_never_reads_is_given_up)
{
	run_over_both(1, never_read_fiber, NULL);
}

static void gone_fiber(struct fiber *self, void *argument)
{
	struct pair *p = pair_open_await(self, LIMIT, IDLE_US);
	struct buf all;

	(void)argument;
	buf_init(&all, LIMIT);
	put_frame(&all, 10, 1);
	put_frame(&all, 10, 2);
	client_send_await(self, &p->client, all.data, all.size - 3);
	frames_wait_await(self, &p->server, 1);
	socket_close(p->client.socket, *(bool *)argument);
	closed_wait_await(self, &p->server);
	EXPECT_ERR(p->server.reason, ERR_CLOSED);
	frames_drop(&p->server);
	conn_close(p->server.conn);
	fiber_yield_await(self);
	EXPECT(p->server.budget.used == 0);
	conn_shard_fini(&p->server.cs);
	budget_fini(&p->server.budget);
	buf_fini(&all);
	mem_free(p);
}

TEST(a_peer_that_goes_within_a_frame_leaves_nothing_behind)
{
	bool reset = false;

	run_over_both(1, gone_fiber, &reset);
	reset = true;
	run_over_both(1, gone_fiber, &reset);
}

static void granted_when_closed_fiber(struct fiber *self, void *argument)
{
	struct pair *p = pair_open_await(self, LIMIT, 2000);
	struct buf all;
	int64_t later_us;

	(void)argument;
	EXPECT(budget_try_take(&p->server.budget, LIMIT));
	buf_init(&all, LIMIT);
	put_frame(&all, (size_t)LIMIT / 2, 1);
	client_send_await(self, &p->client, all.data, 104);
	while (list_empty(&p->server.budget.waiters))
		fiber_yield_await(self);
	budget_give(&p->server.budget, LIMIT);
	conn_close(p->server.conn);
	/* No timer of it may fire any more. */
	later_us = shard_now_us(fiber_shard(self)) + 10000;
	while (shard_now_us(fiber_shard(self)) < later_us)
		fiber_yield_await(self);
	EXPECT(p->server.budget.used == 0);
	socket_close(p->client.socket, false);
	conn_shard_fini(&p->server.cs);
	budget_fini(&p->server.budget);
	buf_fini(&all);
	mem_free(p);
}

TEST(memory_that_is_granted_to_a_closed_connection_comes_back)
{
	run_over_both(1, granted_when_closed_fiber, NULL);
}

static void small_fiber(struct fiber *self, void *argument)
{
	struct pair *p = pair_open_await(self, LIMIT, IDLE_US);
	struct buf all;

	(void)argument;
	/* Large frames have taken all that there is for them, and more of them wait. */
	EXPECT(budget_try_take(&p->server.budget, LIMIT));
	buf_init(&all, LIMIT);
	put_frame(&all, 100, 1);
	put_frame(&all, (size_t)LIMIT / 2, 2);
	client_send_await(self, &p->client, all.data, 104);
	frames_wait_await(self, &p->server, 1);
	expect_frame(p->server.frames[0], 100, 1);
	EXPECT(p->server.budget.used == LIMIT);
	client_send_await(self, &p->client, all.data + 104, all.size - 104);
	while (list_empty(&p->server.budget.waiters))
		fiber_yield_await(self);
	budget_give(&p->server.budget, LIMIT);
	frames_wait_await(self, &p->server, 2);
	expect_frame(p->server.frames[1], (size_t)LIMIT / 2, 2);
	buf_fini(&all);
	pair_close_await(self, p);
}

TEST(small_frames_do_not_wait_for_the_memory_of_large_ones)
{
	run_over_both(1, small_fiber, NULL);
}

static void no_grant(struct budget_wish *w)
{
	(void)w;
}

static void hoard_fiber(struct fiber *self, void *argument)
{
	struct pair *p = pair_open_await(self, LIMIT, IDLE_US);
	struct budget_wish other = {.size = LIMIT, .granted = no_grant};
	struct buf all;

	(void)argument;
	p->server.cs.patience_us = 2000;
	buf_init(&all, LIMIT);
	put_frame(&all, (size_t)LIMIT / 2, 1);
	/* The size in two parts, and a little of the body. */
	client_send_await(self, &p->client, all.data, 2);
	fiber_yield_await(self);
	client_send_await(self, &p->client, all.data + 2, 100);
	while (p->server.budget.used == 0)
		fiber_yield_await(self);
	budget_wait(&p->server.budget, &other);
	closed_wait_await(self, &p->server);
	EXPECT(strstr(p->server.why, "others wait for the memory"));
	conn_close(p->server.conn);
	while (p->server.budget.used != LIMIT)
		fiber_yield_await(self);
	budget_give(&p->server.budget, LIMIT);
	socket_close(p->client.socket, false);
	fiber_yield_await(self);
	conn_shard_fini(&p->server.cs);
	budget_fini(&p->server.budget);
	buf_fini(&all);
	mem_free(p);
}

TEST(a_large_frame_that_stops_gives_way_to_those_who_wait)
{
	run_over_both(1, hoard_fiber, NULL);
}

/* --- answers that lie in files ------------------------------------------------------------------------------------- */

#define FILE_SIZE ((size_t)5 * 1024 * 1024 + 333)
#define FILE_FROM 77

/* What keeps the file open while it is sent. */
struct lent {
	struct blob blob;
	struct file *file;
	unsigned over;
};

static void lent_over(struct blob *b)
{
	struct lent *l = container_of(b, struct lent, blob);

	file_close(l->file);
	l->over++;
}

enum file_case { FILE_IN_MEMORY, FILE_COLD, FILE_COPIED, FILE_COLD_COPIED, FILE_SHORT, FILE_CASES };

static uint8_t file_byte(size_t at)
{
	return (uint8_t)(at * 7 + at / 4096);
}

/* FILE_SIZE bytes on the disk, in memory or not. */
static struct file *file_make_await(struct fiber *self, enum file_case which)
{
	char path[] = "/var/tmp/moldau-conn-XXXXXX"; /* where it is no file system in memory */
	uint8_t *data = mem_alloc(FILE_SIZE);
	size_t size = which == FILE_SHORT ? FILE_SIZE / 2 : FILE_SIZE;
	struct file *file;
	int fd = mkstemp(path);

	EXPECT(fd >= 0);
	for (size_t i = 0; i < FILE_SIZE; i++)
		data[i] = file_byte(i);
	EXPECT(write(fd, data, size) == (ssize_t)size);
	EXPECT(fsync(fd) == 0);
	if (which == FILE_COLD || which == FILE_COLD_COPIED)
		EXPECT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	mem_free(data);
	EXPECT_OK(file_open_await(self, path, FILE_READ, &file));
	EXPECT(close(fd) == 0 && unlink(path) == 0);
	return file;
}

/* Words, most of the file, words. */
static void send_file(struct conn *c, struct lent *l, struct shard *s)
{
	struct file_range range = {.file = l->file, .position = FILE_FROM, .size = FILE_SIZE - FILE_FROM};
	struct send_piece pieces[] = {
		{.bytes = bytes_str("head")},
		{.bytes = {.size = range.size}, .file = range.file, .position = range.position},
		{.blob = &l->blob},
		{.bytes = bytes_str("tail")},
	};

	blob_init_file(&l->blob, s, &range, lent_over);
	conn_send_take(c, pieces, countof(pieces));
	EXPECT(conn_unsent(c) == range.size + 8);
}

static void receive_file_await(struct fiber *self, struct client *c)
{
	size_t whole = FILE_SIZE - FILE_FROM + 8, have = 0, count;
	uint8_t *got = mem_alloc(whole);

	while (have < whole) {
		EXPECT_OK(client_receive_await(self, c, got + have, whole - have, &count));
		have += count;
	}
	EXPECT(memcmp(got, "head", 4) == 0 && memcmp(got + whole - 4, "tail", 4) == 0);
	for (size_t i = FILE_FROM; i < FILE_SIZE; i++)
		EXPECT(got[i - FILE_FROM + 4] == file_byte(i));
	mem_free(got);
}

static void file_fiber(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);

	(void)argument;
	for (enum file_case which = 0; which < FILE_CASES; which++) {
		struct pair *p = pair_open_await(self, LIMIT, IDLE_US);
		struct lent lent = {.file = file_make_await(self, which)};

		linux_shard_of(s)->copies_files = which == FILE_COPIED || which == FILE_COLD_COPIED;
		send_file(p->server.conn, &lent, s);
		if (which == FILE_SHORT) {
			/* It was cut meanwhile: what was promised cannot come, and nobody may take what else there is for it. */
			uint8_t buffer[4096];
			size_t count;

			/* Nothing comes any more by the time that it is found out, so the end is not waited for by reading. */
			while (!p->server.closed) {
				(void)!socket_receive(p->client.socket, buffer, sizeof(buffer), &count);
				fiber_yield_await(self);
			}
			EXPECT_ERR(p->server.reason, ERR_CORRUPT);
		} else {
			receive_file_await(self, &p->client);
			EXPECT(conn_unsent(p->server.conn) == 0);
		}
		EXPECT(lent.over == 1);
		pair_close_await(self, p);
	}
}

TEST(an_answer_may_lie_in_a_file)
{
	run_over_both(1, file_fiber, NULL);
}

/* Its file stays open while a helper thread reads it. */
static void closed_while_read_fiber(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);

	(void)argument;
	for (int i = 0; i < 20; i++) {
		struct pair *p = pair_open_await(self, LIMIT, IDLE_US);
		struct lent lent = {.file = file_make_await(self, FILE_COLD)};

		send_file(p->server.conn, &lent, s);
		for (int turns = 0; turns < i; turns++)
			fiber_yield_await(self);
		conn_close(p->server.conn);
		socket_close(p->client.socket, false);
		while (!lent.over)
			fiber_yield_await(self);
		fiber_yield_await(self);
		conn_shard_fini(&p->server.cs);
		budget_fini(&p->server.budget);
		mem_free(p);
	}
}

TEST(a_connection_closes_while_its_answer_is_read_from_the_disk)
{
	run_over_both(1, closed_while_read_fiber, NULL);
}
