/* server_test: conversations, limits and times of real connections over both backends. */
#include "http/server.h"

#include "base/alloc.h"
#include "runtime/linux/backends.h"

#define LONG_US 600000000
#define HEAD(status, type, size, connection) \
	"HTTP/1.1 " status "\r\nContent-Type: " type "\r\nContent-Length: " size \
	"\r\nCache-Control: no-store\r\nConnection: " connection "\r\n"
#define TEXT "text/plain; charset=utf-8"
#define HELLO HEAD("200 OK", "text/x", "5", "keep-alive") "\r\nhello"
#define LAST_HELLO HEAD("200 OK", "text/x", "5", "close") "\r\nhello"
#define NOT_FOUND HEAD("404 Not Found", TEXT, "10", "keep-alive") "\r\nnot there\n"

#define FORBIDDEN HEAD("403 Forbidden", TEXT, "12", "keep-alive") "\r\nno stranger\n"

/* --- the site: /hello, /large, /broken, /later (answered when told), nothing else ------------------------------------ */

struct site {
	struct http_server *server;
	struct address address;
	struct http_exchange *kept;
	struct event kept_changed;
};

static void answer_bytes(struct http_exchange *x, const char *text, size_t times, size_t max)
{
	struct buf body;

	buf_init(&body, max);
	for (size_t i = 0; i < times; i++)
		buf_put_str(&body, text);
	http_answer_take(x, 200, "text/x", &body);
}

static void handle(void *context, struct http_exchange *x)
{
	struct site *site = context;
	const char *path = http_exchange_path(x);

	if (strcmp(path, "/hello") == 0) {
		answer_bytes(x, "hello", 1, 100);
	} else if (strcmp(path, "/large") == 0) {
		answer_bytes(x, "0123456789", 800000, 10000000);
	} else if (strcmp(path, "/broken") == 0) {
		answer_bytes(x, "hello", 100, 10);
	} else if (strcmp(path, "/later") == 0) {
		EXPECT(!site->kept);
		site->kept = x;
		event_signal(&site->kept_changed);
	} else {
		http_answer_text(x, 404, "not there");
	}
}

static bool is_own_name(void *context, const char *host)
{
	EXPECT(context);
	return http_host_is(host, "own.name");
}

static void site_open_await(struct fiber *self, struct site *site, size_t max_connections, int64_t request_us,
			    int64_t idle_us)
{
	struct http_server_options o = {
		.shard = fiber_shard(self),
		.max_connections = max_connections,
		.request_us = request_us,
		.answer_us = LONG_US,
		.idle_us = idle_us,
		.context = site,
		.strangers = "no stranger",
		.is_own_name = is_own_name,
		.handle = handle,
	};
	struct address any = {.host = "127.0.0.1"};

	*site = (struct site){0};
	event_init(&site->kept_changed);
	EXPECT_OK(http_server_open_await(self, &o, &any, &site->server));
	http_server_address(site->server, &site->address);
}

/* --- the client ------------------------------------------------------------------------------------------------------ */

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

static void client_open_await(struct fiber *self, struct client *c, const struct site *site)
{
	c->owner.ready = client_ready;
	event_init(&c->ready);
	EXPECT_OK(socket_connect_await(self, &site->address, FIBER_NO_DEADLINE, &c->owner, &c->socket));
}

static void client_send(struct client *c, const char *text)
{
	struct bytes part = bytes_str(text);
	size_t count = 0;

	EXPECT_OK(socket_send(c->socket, &part, 1, &count));
	EXPECT(count == part.size);
}

/* OK with at least one byte, or how it ended. */
static enum err client_receive_await(struct fiber *self, struct client *c, char *buffer, size_t size, size_t *ret_count)
{
	enum err e;

	while ((e = socket_receive(c->socket, buffer, size, ret_count)) == ERR_AGAIN) {
		socket_set_interest(c->socket, SOCKET_READABLE);
		EXPECT_OK(event_wait_await(self, &c->ready, FIBER_NO_DEADLINE));
	}
	return e;
}

static void client_expect_await(struct fiber *self, struct client *c, const char *expected)
{
	size_t size = strlen(expected), at = 0;
	char *got = mem_zalloc(size + 1);

	while (at < size) {
		size_t count = 0;

		EXPECT_OK(client_receive_await(self, c, got + at, size - at, &count));
		at += count;
	}
	if (strcmp(got, expected) != 0)
		fprintf(stderr, "got:\n%s\nexpected:\n%s\n", got, expected);
	EXPECT(strcmp(got, expected) == 0);
	mem_free(got);
}

static void client_expect_end_await(struct fiber *self, struct client *c)
{
	char byte;
	size_t count = 0;

	EXPECT(client_receive_await(self, c, &byte, 1, &count) != OK);
}

/* --- conversations --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *sent;
	const char *answered;
	bool ends;
} conversations[] = {
	{"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n", HELLO, false},
	{"GET /hello?x=y HTTP/1.1\r\nHost: LocalHost\r\n\r\n", HELLO, false},
	{"HEAD /hello HTTP/1.1\r\nHost: LocalHost\r\n\r\n", HEAD("200 OK", "text/x", "5", "keep-alive") "\r\n", false},
	{"GET /hello HTTP/1.0\r\n\r\n", LAST_HELLO, true},
	{"GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n", LAST_HELLO, true},
	{"GET /nothing HTTP/1.1\r\n\r\n", NOT_FOUND, false},
	{"GET /hello HTTP/1.1\r\nHost: own.name:80\r\n\r\n", HELLO, false},
	{"GET /hello HTTP/1.1\r\nHost: rebound.example\r\n\r\n", FORBIDDEN, false},
	{"HEAD /hello HTTP/1.1\r\nHost: 127.0.0.1.example:80\r\n\r\n",
	 HEAD("403 Forbidden", TEXT, "12", "keep-alive") "\r\n", false},
	{"HEAD /nothing HTTP/1.1\r\n\r\n", HEAD("404 Not Found", TEXT, "10", "keep-alive") "\r\n", false},
	{"PUT /hello HTTP/1.1\r\n\r\n",
	 HEAD("405 Method Not Allowed", TEXT, "19", "keep-alive") "Allow: GET, HEAD\r\n\r\nMethod Not Allowed\n",
	 false},
	{"POST /hello HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde",
	 HEAD("405 Method Not Allowed", TEXT, "19", "close") "Allow: GET, HEAD\r\n\r\nMethod Not Allowed\n", true},
	{"GET /hello HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde",
	 HEAD("413 Content Too Large", TEXT, "18", "close") "\r\nContent Too Large\n", true},
	{"nonsense\r\n\r\n", HEAD("400 Bad Request", TEXT, "12", "close") "\r\nBad Request\n", true},
	{"GET /hello HTTP/9.1\r\n\r\n",
	 HEAD("505 HTTP Version Not Supported", TEXT, "27", "close") "\r\nHTTP Version Not Supported\n", true},
	{"GET /broken HTTP/1.1\r\n\r\n",
	 HEAD("500 Internal Server Error", TEXT, "22", "keep-alive") "\r\nInternal Server Error\n", false},
	{"GET /hello HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\nGET /hello HTTP/1.0\r\n\r\n",
	 HELLO NOT_FOUND LAST_HELLO, true},
	{"GET /hello HTTP/1.1\r\n\r\nnonsense\r\n\r\n",
	 HELLO HEAD("400 Bad Request", TEXT, "12", "close") "\r\nBad Request\n", true},
};

static void converse_main(struct fiber *self, void *argument)
{
	struct site site;

	(void)argument;
	site_open_await(self, &site, 4, LONG_US, LONG_US);
	for (size_t i = 0; i < countof(conversations); i++) {
		struct client c;

		client_open_await(self, &c, &site);
		client_send(&c, conversations[i].sent);
		client_expect_await(self, &c, conversations[i].answered);
		if (!conversations[i].ends) {
			client_send(&c, "GET /hello HTTP/1.0\r\n\r\n");
			client_expect_await(self, &c, LAST_HELLO);
		}
		socket_close(c.socket, false);
	}
	http_server_close_await(self, site.server);
}

TEST(conversations_go_as_written)
{
	run_over_both(1, converse_main, NULL);
}

/* More than 2 KiB at once, and more than a turn takes. */
static void pipeline_main(struct fiber *self, void *argument)
{
	struct site site;
	struct client c;
	struct buf sent, expected;

	(void)argument;
	site_open_await(self, &site, 4, LONG_US, LONG_US);
	client_open_await(self, &c, &site);
	buf_init(&sent, 1000000);
	buf_init(&expected, 1000000);
	for (int i = 0; i < 300; i++) {
		buf_put_str(&sent, "GET /hello HTTP/1.1\r\nHost: localhost:1234\r\nAccept: */*\r\n\r\n");
		buf_put_str(&expected, HELLO);
	}
	buf_put_i8(&sent, 0);
	buf_put_i8(&expected, 0);
	client_send(&c, (const char *)sent.data);
	client_expect_await(self, &c, (const char *)expected.data);
	socket_close(c.socket, false);
	buf_fini(&sent);
	buf_fini(&expected);
	http_server_close_await(self, site.server);
}

TEST(many_pipelined_requests_are_answered_in_order)
{
	run_over_both(1, pipeline_main, NULL);
}

static void large_main(struct fiber *self, void *argument)
{
	struct site site;
	struct client c;
	char got[5000];
	size_t at = 0, count = 0;

	(void)argument;
	site_open_await(self, &site, 4, LONG_US, LONG_US);
	client_open_await(self, &c, &site);
	client_send(&c, "GET /large HTTP/1.0\r\n\r\n");
	while (client_receive_await(self, &c, got, sizeof(got), &count) == OK)
		at += count;
	EXPECT(at == 8000000 + strlen(HEAD("200 OK", "text/x", "8000000", "close") "\r\n"));
	socket_close(c.socket, false);
	http_server_close_await(self, site.server);
}

TEST(an_answer_larger_than_the_kernel_takes_at_once_arrives_whole)
{
	run_over_both(1, large_main, NULL);
}

/* --- answers that come later ----------------------------------------------------------------------------------------- */

static void wait_kept_await(struct fiber *self, struct site *site)
{
	while (!site->kept)
		EXPECT_OK(event_wait_await(self, &site->kept_changed, FIBER_NO_DEADLINE));
}

static void later_main(struct fiber *self, void *argument)
{
	struct site site;
	struct client c;

	(void)argument;
	site_open_await(self, &site, 4, LONG_US, LONG_US);
	client_open_await(self, &c, &site);
	client_send(&c, "GET /later HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\n");
	wait_kept_await(self, &site);
	http_answer_text(site.kept, 503, "wait");
	client_expect_await(self, &c, HEAD("503 Service Unavailable", TEXT, "5", "keep-alive") "\r\nwait\n" HELLO);
	socket_close(c.socket, false);
	http_server_close_await(self, site.server);
}

TEST(a_later_answer_holds_up_the_requests_behind_it)
{
	run_over_both(1, later_main, NULL);
}

static void close_main(struct fiber *self, void *argument)
{
	http_server_close_await(self, ((struct site *)argument)->server);
	((struct site *)argument)->server = NULL;
}

static void closing_main(struct fiber *self, void *argument)
{
	static const struct fiber_options options = {.name = "close", .joinable = true};
	struct fiber *closer;
	struct site site;
	struct client c;

	(void)argument;
	site_open_await(self, &site, 4, LONG_US, LONG_US);
	client_open_await(self, &c, &site);
	client_send(&c, "GET /later HTTP/1.1\r\n\r\n");
	wait_kept_await(self, &site);
	closer = fiber_start(fiber_shard(self), &options, close_main, &site);
	EXPECT(closer);
	client_expect_end_await(self, &c);
	EXPECT(site.server); /* the exchange is still out */
	http_answer_text(site.kept, 200, "to nobody");
	fiber_join_await(self, closer);
	EXPECT(!site.server);
	socket_close(c.socket, false);
}

TEST(closing_ends_connections_at_once_and_waits_for_exchanges)
{
	run_over_both(1, closing_main, NULL);
}

/* --- limits ---------------------------------------------------------------------------------------------------------- */

static void places_main(struct fiber *self, void *argument)
{
	struct http_exchange *waiting;
	struct http_server_figures f;
	struct client first, second, third, fourth;
	struct site site;

	(void)argument;
	site_open_await(self, &site, 2, LONG_US, LONG_US);
	client_open_await(self, &first, &site);
	client_send(&first, "GET /hello HTTP/1.1\r\n\r\n");
	client_expect_await(self, &first, HELLO);
	client_open_await(self, &second, &site);
	client_send(&second, "GET /later HTTP/1.1\r\n\r\n");
	wait_kept_await(self, &site);
	/* The idle one gives its place. */
	client_open_await(self, &third, &site);
	client_send(&third, "GET /hello HTTP/1.1\r\n\r\nGET");
	client_expect_await(self, &third, HELLO);
	client_expect_end_await(self, &first);
	/* Nobody is idle now: one waits for its answer, the other does not end its request. */
	waiting = site.kept;
	site.kept = NULL;
	client_open_await(self, &fourth, &site);
	client_send(&fourth, "GET /later HTTP/1.1\r\n\r\n");
	client_expect_end_await(self, &third);
	http_answer_text(waiting, 200, "kept");
	client_expect_await(self, &second, HEAD("200 OK", TEXT, "5", "keep-alive") "\r\nkept\n");
	wait_kept_await(self, &site);
	http_server_figures(site.server, &f);
	EXPECT(f.connections == 2 && f.refused == 2 && f.requests == 4);
	http_answer_text(site.kept, 200, "kept");
	client_expect_await(self, &fourth, HEAD("200 OK", TEXT, "5", "keep-alive") "\r\nkept\n");
	socket_close(first.socket, false);
	socket_close(second.socket, false);
	socket_close(third.socket, false);
	socket_close(fourth.socket, false);
	http_server_close_await(self, site.server);
}

TEST(beyond_the_limit_the_idle_make_room_first_and_then_the_slow)
{
	run_over_both(1, places_main, NULL);
}

/* Both wait for their answers: who comes then is the one that goes. */
static void busy_main(struct fiber *self, void *argument)
{
	struct http_exchange *first_exchange;
	struct client first, second, third;
	struct http_server_figures f;
	struct site site;

	(void)argument;
	site_open_await(self, &site, 2, LONG_US, LONG_US);
	client_open_await(self, &first, &site);
	client_send(&first, "GET /later HTTP/1.1\r\n\r\n");
	wait_kept_await(self, &site);
	first_exchange = site.kept;
	site.kept = NULL;
	client_open_await(self, &second, &site);
	client_send(&second, "GET /later HTTP/1.1\r\n\r\n");
	wait_kept_await(self, &site);
	client_open_await(self, &third, &site);
	client_expect_end_await(self, &third);
	http_server_figures(site.server, &f);
	EXPECT(f.connections == 2 && f.refused == 1 && f.requests == 2);
	http_answer_text(first_exchange, 200, "kept");
	client_expect_await(self, &first, HEAD("200 OK", TEXT, "5", "keep-alive") "\r\nkept\n");
	http_answer_text(site.kept, 200, "kept");
	client_expect_await(self, &second, HEAD("200 OK", TEXT, "5", "keep-alive") "\r\nkept\n");
	socket_close(first.socket, false);
	socket_close(second.socket, false);
	socket_close(third.socket, false);
	http_server_close_await(self, site.server);
}

TEST(who_waits_for_an_answer_keeps_the_place)
{
	run_over_both(1, busy_main, NULL);
}

/* Any number of silent and slow ones: who has a question always gets in. */
static void flood_main(struct fiber *self, void *argument)
{
	struct client silent[12], asking;
	struct site site;

	(void)argument;
	site_open_await(self, &site, 4, LONG_US, LONG_US);
	for (size_t i = 0; i < countof(silent); i++) {
		client_open_await(self, &silent[i], &site);
		if (i % 2)
			client_send(&silent[i], "GET /hello HTTP/1.1\r\nA:");
	}
	client_open_await(self, &asking, &site);
	client_send(&asking, "GET /hello HTTP/1.1\r\n\r\n");
	client_expect_await(self, &asking, HELLO);
	client_expect_end_await(self, &silent[0]);
	socket_close(asking.socket, false);
	for (size_t i = 0; i < countof(silent); i++)
		socket_close(silent[i].socket, false);
	http_server_close_await(self, site.server);
}

TEST(the_silent_and_the_slow_hold_no_place_against_who_asks)
{
	run_over_both(1, flood_main, NULL);
}

/* Who says nothing, who stops within a request, and who stays idle: each is ended. */
static void times_main(struct fiber *self, void *argument)
{
	static const char *const sent[] = {NULL, "GET /hello HT", "GET /hello HTTP/1.1\r\n\r\n"};
	struct site site;

	(void)argument;
	site_open_await(self, &site, 4, 20000, 20000);
	for (size_t i = 0; i < countof(sent); i++) {
		struct client c;

		client_open_await(self, &c, &site);
		if (sent[i])
			client_send(&c, sent[i]);
		if (i == 2)
			client_expect_await(self, &c, HELLO);
		client_expect_end_await(self, &c);
		socket_close(c.socket, false);
	}
	http_server_close_await(self, site.server);
}

TEST(the_silent_the_slow_and_the_idle_are_ended)
{
	run_over_both(1, times_main, NULL);
}
