/* http_get: see the header. */
#include "cli/http_get.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/linux/linux.h"

#define CONNECT_US 5000000
/* A partition that is asked for may have to be recovered first. */
#define ANSWER_US 120000000
#define ANSWER_MAX ((size_t)256 * 1024 * 1024)
#define PIECE 65536

struct get {
	struct socket_owner owner;
	struct socket *socket;
	struct event ready;
	const struct address *server;
	const char *path;
	struct buf answer;
	enum err error;
	char piece[PIECE];
};

static void on_ready(struct socket_owner *o, unsigned events)
{
	struct get *g = container_of(o, struct get, owner);

	(void)events;
	socket_set_interest(g->socket, 0);
	event_signal(&g->ready);
}

static enum err ready_await(struct fiber *self, struct get *g, unsigned interest, int64_t deadline_us)
{
	socket_set_interest(g->socket, interest);
	return event_wait_await(self, &g->ready, deadline_us);
}

/* HTTP/1.0: the answer is over when the connection is. */
static void put_request(struct buf *out, const struct get *g)
{
	bool is_ipv6 = strchr(g->server->host, ':');

	buf_printf(out, "GET %s HTTP/1.0\r\nHost: %s%s%s:%u\r\n\r\n", g->path, is_ipv6 ? "[" : "", g->server->host,
		   is_ipv6 ? "]" : "", g->server->port);
}

static enum err send_await(struct fiber *self, struct get *g, int64_t deadline_us)
{
	struct buf request;
	struct bytes rest;
	enum err e;

	buf_init(&request, 10000);
	put_request(&request, g);
	rest = buf_bytes(&request);
	e = request.error;
	while (!e && rest.size > 0) {
		size_t sent = 0;

		e = socket_send(g->socket, &rest, 1, &sent);
		rest = bytes_of(rest.data + sent, rest.size - sent);
		if (e == ERR_AGAIN)
			e = ready_await(self, g, SOCKET_WRITABLE, deadline_us);
	}
	buf_fini(&request);
	return e;
}

static enum err receive_await(struct fiber *self, struct get *g, int64_t deadline_us)
{
	enum err e = OK;

	while (!e && !g->answer.error) {
		size_t size = 0;

		e = socket_receive(g->socket, g->piece, sizeof(g->piece), &size);
		if (!e)
			buf_put_bytes(&g->answer, bytes_of(g->piece, size));
		else if (e == ERR_AGAIN)
			e = ready_await(self, g, SOCKET_READABLE, deadline_us);
	}
	return e == ERR_CLOSED ? g->answer.error : e;
}

static void get_main(struct fiber *self, void *argument)
{
	struct get *g = argument;
	struct shard *s = fiber_shard(self);
	int64_t now_us = shard_now_us(s);

	g->error = socket_connect_await(self, g->server, now_us + CONNECT_US, &g->owner, &g->socket);
	if (!g->error) {
		g->error = send_await(self, g, now_us + ANSWER_US);
		if (!g->error)
			g->error = receive_await(self, g, now_us + ANSWER_US);
		socket_close(g->socket, false);
	}
	runtime_stop(shard_runtime(s), 0);
}

static void on_start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "get"};

	must(fiber_start(s, &options, get_main, argument));
}

/* The status, and where the body begins; a body that is shorter than it was to be is not taken. */
static enum err take_answer(struct bytes answer, unsigned *ret_status, struct bytes *ret_body)
{
	static const char length_name[] = "\r\nContent-Length: ", end_mark[] = "\r\n\r\n";
	const uint8_t *end = memmem(answer.data, answer.size, end_mark, sizeof(end_mark) - 1), *length;
	char line[32] = "";
	size_t head;

	if (!end)
		return answer.size == 0 ? ERR_CONNECTION_LOST : ERR_CORRUPT;
	head = (size_t)(end - answer.data);
	memcpy(line, answer.data, head < sizeof(line) - 1 ? head : sizeof(line) - 1);
	if (sscanf(line, "HTTP/1.%*1u %3u", ret_status) != 1)
		return ERR_CORRUPT;
	*ret_body = bytes_of(end + sizeof(end_mark) - 1, answer.size - head - (sizeof(end_mark) - 1));
	length = memmem(answer.data, head, length_name, sizeof(length_name) - 1);
	if (length) {
		char digits[24] = "";
		size_t left = (size_t)(end - length) - (sizeof(length_name) - 1);

		memcpy(digits, length + sizeof(length_name) - 1, left < sizeof(digits) - 1 ? left : sizeof(digits) - 1);
		if (strtoull(digits, NULL, 10) != ret_body->size)
			return ERR_CONNECTION_LOST;
	}
	return OK;
}

enum err http_get(const struct address *server, const char *path, unsigned *ret_status, struct buf *ret_body)
{
	struct linux_options platform = {.shards = 1, .io = IO_EPOLL, .file_threads = 1};
	struct get g = {.owner.ready = on_ready, .server = server, .path = path, .error = ERR_IO};
	struct bytes body;
	unsigned status;

	event_init(&g.ready);
	buf_init(&g.answer, ANSWER_MAX);
	if (linux_run(&platform, on_start, &g))
		g.error = ERR_NO_MEMORY;
	if (!g.error)
		g.error = take_answer(buf_bytes(&g.answer), &status, &body);
	if (!g.error) {
		buf_init(ret_body, ANSWER_MAX);
		buf_put_bytes(ret_body, body);
		*ret_status = status;
	}
	buf_fini(&g.answer);
	return g.error;
}
