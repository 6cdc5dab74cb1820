/* server: see the header. Calls runtime/socket and request.h. */
#include "http/server.h"

#include "base/alloc.h"

#define RECEIVE_BYTES 2048
/* After a refusal, what the client still sends is thrown away so long and so much, that the kernel does not reset the answer away. */
#define LINGER_US 1000000
#define LINGER_BYTES ((size_t)256 * 1024)
#define REQUESTS_PER_TURN 8
#define TEXT_MAX ((size_t)64 * 1024)

enum mode { MODE_IDLE, MODE_READING, MODE_HANDLING, MODE_ANSWERING, MODE_LINGERING };

struct http_connection {
	struct socket_owner events;
	struct http_server *server;
	struct list_node node;
	struct socket *socket;
	struct http_reader *reader;
	struct http_exchange *exchange; /* NULL unless HANDLING */
	struct buf head;                /* of the answer */
	struct buf body;                /* empty when only its size is wanted */
	size_t sent;                    /* of both */
	struct task work;
	struct timer timer;
	enum mode mode;
	bool last;  /* closes behind the answer under way */
	bool ended; /* the peer sends no more */
	bool closed;
	int64_t since_us; /* when it became idle, or its request began */
	size_t lingered;
	size_t in_at;
	size_t in_size;
	uint8_t in[RECEIVE_BYTES];
};

struct http_exchange {
	struct http_server *server;
	struct http_connection *connection; /* NULL: gone meanwhile */
	struct http_request request;
};

struct http_server {
	struct http_server_options options;
	struct listener_owner owner;
	struct listener *listener;
	struct list connections;
	size_t connection_count;
	size_t alive; /* connections that are not freed, and exchanges */
	struct event fewer;
	uint64_t requests;
	uint64_t refused;
};

static const char *reason_of(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}

static void schedule(struct http_connection *c)
{
	shard_defer(c->server->options.shard, &c->work);
}

static void arm(struct http_connection *c, int64_t duration_us)
{
	struct shard *s = c->server->options.shard;

	timer_arm(s, &c->timer, shard_now_us(s) + duration_us);
}

static void one_less(struct http_server *s)
{
	if (--s->alive == 0)
		event_signal(&s->fewer);
}

static void connection_close(struct http_connection *c)
{
	struct http_server *s = c->server;

	if (c->closed)
		return;
	c->closed = true;
	timer_disarm(s->options.shard, &c->timer);
	socket_close(c->socket, false);
	buf_fini(&c->head);
	buf_fini(&c->body);
	if (c->exchange)
		c->exchange->connection = NULL;
	c->exchange = NULL;
	list_remove(&c->node);
	s->connection_count--;
	schedule(c); /* frees it: it may be on the stack */
}

static void connection_free(struct http_connection *c)
{
	struct http_server *s = c->server;

	http_reader_free(c->reader);
	mem_free(c);
	one_less(s);
}

/* --- answers --------------------------------------------------------------------------------------------------------- */

static void put_head(struct buf *out, const struct http_connection *c, unsigned status, const char *type, size_t size)
{
	buf_printf(out,
		   "HTTP/1.1 %u %s\r\n"
		   "Content-Type: %s\r\n"
		   "Content-Length: %zu\r\n"
		   "Cache-Control: no-store\r\n"
		   "Connection: %s\r\n"
		   "%s\r\n",
		   status, reason_of(status), type, size, c->last ? "close" : "keep-alive",
		   status == 405 ? "Allow: GET, HEAD\r\n" : "");
}

/* Takes over the body's memory; `without_body`: HEAD wants its size alone. */
static void answer(struct http_connection *c, unsigned status, const char *type, struct buf *body, bool without_body)
{
	buf_init(&c->head, TEXT_MAX);
	put_head(&c->head, c, status, type, body->size);
	if (without_body)
		buf_fini(body);
	c->body = *body;
	c->sent = 0;
	buf_init(body, 0);
	c->mode = MODE_ANSWERING;
	arm(c, c->server->options.answer_us);
	schedule(c);
}

static void put_text(struct buf *body, const char *text)
{
	buf_init(body, TEXT_MAX);
	buf_printf(body, "%s\n", text);
}

static void refuse_with(struct http_connection *c, unsigned status, const char *text, bool without_body)
{
	struct buf body;

	put_text(&body, text);
	answer(c, status, "text/plain; charset=utf-8", &body, without_body);
}

static void refuse(struct http_connection *c, unsigned status, bool without_body)
{
	refuse_with(c, status, reason_of(status), without_body);
}

void http_answer_take(struct http_exchange *x, unsigned status, const char *type, struct buf *body)
{
	struct http_connection *c = x->connection;
	bool without_body = x->request.method == METHOD_HEAD;

	if (c) {
		c->exchange = NULL;
		if (body->error)
			refuse(c, 500, without_body);
		else
			answer(c, status, type, body, without_body);
	}
	buf_fini(body);
	one_less(x->server);
	mem_free(x);
}

void http_answer_text(struct http_exchange *x, unsigned status, const char *text)
{
	struct buf body;

	put_text(&body, text);
	http_answer_take(x, status, "text/plain; charset=utf-8", &body);
}

const char *http_exchange_path(const struct http_exchange *x)
{
	return x->request.path;
}

/* --- requests -------------------------------------------------------------------------------------------------------- */

static bool may_ask(const struct http_server *s, const char *host)
{
	return http_host_is_no_name(host) ||
	       (s->options.is_own_name && s->options.is_own_name(s->options.context, host));
}

static void handle(struct http_connection *c, const struct http_request *request)
{
	struct http_server *s = c->server;
	struct http_exchange *x;

	s->requests++;
	c->last = !request->keep_alive;
	if (request->method == METHOD_OTHER || request->has_body) {
		refuse(c, request->method == METHOD_OTHER ? 405 : 413, request->method == METHOD_HEAD);
		return;
	}
	if (!may_ask(s, request->host)) {
		refuse_with(c, 403, s->options.strangers ? s->options.strangers : reason_of(403),
			    request->method == METHOD_HEAD);
		return;
	}
	x = mem_new(struct http_exchange);
	x->server = s;
	x->connection = c;
	x->request = *request;
	s->alive++;
	c->mode = MODE_HANDLING;
	c->exchange = x;
	timer_disarm(s->options.shard, &c->timer);
	s->options.handle(s->options.context, x);
}

/* Takes one request out of what was received; false when there is no whole one. */
static bool take_request(struct http_connection *c)
{
	struct bytes source = bytes_of(c->in + c->in_at, c->in_size - c->in_at);
	struct http_request request;
	unsigned status = 0;
	enum request_step step = http_reader_step(c->reader, &source, &request, &status);

	c->in_at = c->in_size - source.size;
	switch (step) {
	case REQUEST_MORE:
		if (http_reader_within(c->reader) && c->mode == MODE_IDLE) {
			c->mode = MODE_READING;
			c->since_us = shard_now_us(c->server->options.shard);
			arm(c, c->server->options.request_us);
		}
		return false;
	case REQUEST_WHOLE:
		handle(c, &request);
		return true;
	case REQUEST_BAD:
		c->last = true;
		refuse(c, status, false);
		return true;
	}
	must_not_reach();
}

/* True when something came. */
static bool receive(struct http_connection *c)
{
	enum err e;

	c->in_at = c->in_size = 0;
	if (c->ended)
		return false;
	e = socket_receive(c->socket, c->in, sizeof(c->in), &c->in_size);
	if (e)
		c->in_size = 0;
	if (e && e != ERR_AGAIN)
		c->ended = true;
	return !e;
}

static void become_idle(struct http_connection *c)
{
	c->mode = MODE_IDLE;
	c->since_us = shard_now_us(c->server->options.shard);
	arm(c, c->server->options.idle_us);
}

/* The answer is out: the next request, or the end. */
static void answered(struct http_connection *c)
{
	if (!c->last) {
		become_idle(c);
		return;
	}
	c->mode = MODE_LINGERING;
	arm(c, LINGER_US);
}

/* What is left of the answer; the number of parts. */
static size_t left_of(const struct http_connection *c, struct bytes parts[static 2])
{
	size_t in_head = c->sent < c->head.size ? c->sent : c->head.size, in_body = c->sent - in_head, n = 0;

	if (in_head < c->head.size)
		parts[n++] = bytes_of(c->head.data + in_head, c->head.size - in_head);
	if (in_body < c->body.size)
		parts[n++] = bytes_of(c->body.data + in_body, c->body.size - in_body);
	return n;
}

static void flush(struct http_connection *c)
{
	struct bytes parts[2];
	size_t sent = 0;
	enum err e;

	e = socket_send(c->socket, parts, left_of(c, parts), &sent);
	if (e == ERR_AGAIN)
		return;
	if (e) {
		connection_close(c);
		return;
	}
	c->sent += sent;
	if (c->sent < c->head.size + c->body.size) {
		schedule(c);
		return;
	}
	buf_fini(&c->head);
	buf_fini(&c->body);
	answered(c);
}

static void linger(struct http_connection *c)
{
	while (c->lingered <= LINGER_BYTES && receive(c))
		c->lingered += c->in_size;
	if (c->ended || c->lingered > LINGER_BYTES)
		connection_close(c);
}

static void read_on(struct http_connection *c)
{
	for (int i = 0; i < REQUESTS_PER_TURN; i++) {
		if (c->in_at == c->in_size && !receive(c)) {
			if (c->ended)
				connection_close(c);
			return;
		}
		if (take_request(c))
			return;
	}
	schedule(c);
}

static void on_work(struct task *t)
{
	struct http_connection *c = container_of(t, struct http_connection, work);

	if (c->closed) {
		connection_free(c);
		return;
	}
	if (c->mode == MODE_ANSWERING)
		flush(c);
	else if (c->mode == MODE_IDLE || c->mode == MODE_READING)
		read_on(c);
	if (!c->closed && c->mode == MODE_LINGERING)
		linger(c);
	if (c->closed)
		return;
	/* What was received behind an answered request is looked at in the next round. */
	if (c->mode == MODE_IDLE && c->in_at < c->in_size)
		schedule(c);
	if (c->mode == MODE_ANSWERING)
		socket_set_interest(c->socket, SOCKET_WRITABLE);
	else
		socket_set_interest(c->socket, c->mode == MODE_HANDLING ? 0 : SOCKET_READABLE);
}

static void on_ready(struct socket_owner *o, unsigned events)
{
	(void)events;
	schedule(container_of(o, struct http_connection, events));
}

/* Every mode but HANDLING has its time. */
static void on_timer(struct timer *t)
{
	connection_close(container_of(t, struct http_connection, timer));
}

/* --- connections ----------------------------------------------------------------------------------------------------- */

static struct http_connection *longest_in(struct http_server *s, enum mode mode)
{
	struct http_connection *found = NULL;

	list_for_each(&s->connections, n)
	{
		struct http_connection *c = container_of(n, struct http_connection, node);

		if (c->mode == mode && (!found || c->since_us < found->since_us))
			found = c;
	}
	return found;
}

/* Who says nothing, or never ends what he says, costs those who have a question none of the places. */
static struct http_connection *least_wanted(struct http_server *s)
{
	struct http_connection *c = longest_in(s, MODE_IDLE);

	return c ? c : longest_in(s, MODE_READING);
}

static void on_accepted(struct listener_owner *o, struct connection_handle handle)
{
	struct http_server *s = container_of(o, struct http_server, owner);
	struct http_connection *c;

	if (s->connection_count >= s->options.max_connections) {
		c = least_wanted(s);
		s->refused++;
		if (!c) {
			connection_handle_drop(s->options.shard, handle);
			return;
		}
		connection_close(c);
	}
	c = mem_new(struct http_connection);
	c->events.ready = on_ready;
	c->server = s;
	c->work.run = on_work;
	c->timer.fire = on_timer;
	if (socket_adopt(s->options.shard, handle, &c->events, &c->socket)) {
		mem_free(c);
		return;
	}
	c->reader = http_reader_new();
	buf_init(&c->head, 0);
	buf_init(&c->body, 0);
	list_push_back(&s->connections, &c->node);
	s->connection_count++;
	s->alive++;
	become_idle(c);
	/* Who connects has something to say: not for as long as one that said something before. */
	arm(c, s->options.request_us);
	socket_set_interest(c->socket, SOCKET_READABLE);
}

enum err http_server_open_await(struct fiber *self, const struct http_server_options *o, const struct address *address,
				struct http_server **ret_server)
{
	struct http_server *s = mem_new(struct http_server);
	enum err e;

	must(o->max_connections > 0);
	s->options = *o;
	s->owner.accepted = on_accepted;
	list_init(&s->connections);
	event_init(&s->fewer);
	e = listener_open_await(self, address, &s->owner, &s->listener);
	if (e) {
		mem_free(s);
		return e;
	}
	*ret_server = s;
	return OK;
}

void http_server_address(const struct http_server *s, struct address *ret_address)
{
	listener_address(s->listener, ret_address);
}

void http_server_figures(const struct http_server *s, struct http_server_figures *ret_figures)
{
	*ret_figures = (struct http_server_figures){
		.connections = s->connection_count, .requests = s->requests, .refused = s->refused};
}

void http_server_close_await(struct fiber *self, struct http_server *s)
{
	if (!s)
		return;
	listener_close(s->listener);
	while (!list_empty(&s->connections))
		connection_close(container_of(list_first(&s->connections), struct http_connection, node));
	while (s->alive > 0)
		if (event_wait_await(self, &s->fewer, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self); /* the connections are its memory: who is cancelled waits as well */
	mem_free(s);
}
