/* request_test: what is a request, what is refused and with which status, and that nothing depends on how bytes arrive. */
#include "http/request.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/test.h"

#define H "Host: a\r\n"

struct expected {
	const char *text;
	enum request_step step;
	unsigned status; /* of a bad one */
	enum request_method method;
	bool keep_alive;
	bool has_body;
	const char *path;
	const char *rest; /* not consumed */
};

static const struct expected cases[] = {
	{"GET /metrics HTTP/1.1\r\n" H "\r\n", REQUEST_WHOLE, 0, METHOD_GET, true, false, "/metrics", ""},
	{"HEAD /healthz HTTP/1.1\r\n" H "\r\n", REQUEST_WHOLE, 0, METHOD_HEAD, true, false, "/healthz", ""},
	{"DELETE /a HTTP/1.1\r\n" H "\r\n", REQUEST_WHOLE, 0, METHOD_OTHER, true, false, "/a", ""},
	{"GET /a?name=b&c HTTP/1.1\r\n" H "\r\n", REQUEST_WHOLE, 0, METHOD_GET, true, false, "/a", ""},
	{"GET http://host:9/a?b HTTP/1.1\r\n" H "\r\n", REQUEST_WHOLE, 0, METHOD_GET, true, false, "/a", ""},
	{"GET http://host HTTP/1.1\r\n" H "\r\n", REQUEST_WHOLE, 0, METHOD_GET, true, false, "/", ""},
	{"OPTIONS * HTTP/1.1\r\n" H "\r\n", REQUEST_WHOLE, 0, METHOD_OTHER, true, false, "/", ""},
	{"CONNECT host:1 HTTP/1.1\r\n" H "\r\n", REQUEST_WHOLE, 0, METHOD_OTHER, false, false, "/", ""},
	{"GET / HTTP/1.0\r\n\r\n", REQUEST_WHOLE, 0, METHOD_GET, false, false, "/", ""},
	{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", REQUEST_WHOLE, 0, METHOD_GET, true, false, "/", ""},
	{"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", REQUEST_WHOLE, 0, METHOD_GET, false, false, "/", ""},
	{"GET / HTTP/1.1\n\n", REQUEST_WHOLE, 0, METHOD_GET, true, false, "/", ""},
	{"\r\nGET / HTTP/1.1\r\n\r\n", REQUEST_WHOLE, 0, METHOD_GET, true, false, "/", ""},
	{"GET / HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", REQUEST_WHOLE, 0, METHOD_GET, true, false, "/",
	 "GET /b HTTP/1.1\r\n\r\n"},
	{"GET / HTTP/1.1\r\n\r\n\x16\x03", REQUEST_WHOLE, 0, METHOD_GET, true, false, "/", "\x16\x03"},
	{"GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", REQUEST_WHOLE, 0, METHOD_GET, false, false,
	 "/", ""},
	{"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", REQUEST_WHOLE, 0, METHOD_OTHER, false, true, "/a", "abc"},
	{"GET /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n", REQUEST_WHOLE, 0, METHOD_GET, true, false, "/a", ""},
	{"GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REQUEST_WHOLE, 0, METHOD_GET, false, true,
	 "/a", "0\r\n\r\n"},
	{"", REQUEST_MORE, 0, METHOD_GET, false, false, NULL, ""},
	{"GET / HTTP/1.1\r\n\r", REQUEST_MORE, 0, METHOD_GET, false, false, NULL, ""},
	{"GET / HTTP/2.0\r\n\r\n", REQUEST_BAD, 505, METHOD_GET, false, false, NULL, NULL},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REQUEST_BAD, 400, METHOD_GET, false, false, NULL, NULL},
	{"GET /\r\n\r\n", REQUEST_BAD, 505, METHOD_GET, false, false, NULL, NULL},
	{"get / HTTP/1.1\r\n\r\n", REQUEST_BAD, 400, METHOD_GET, false, false, NULL, NULL},
	{"GET  HTTP/1.1\r\n\r\n", REQUEST_BAD, 400, METHOD_GET, false, false, NULL, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", REQUEST_BAD, 400, METHOD_GET, false, false, NULL, NULL},
	{"GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n", REQUEST_BAD, 400, METHOD_GET, false, false, NULL, NULL},
	{"GET / HTTP/1.1\r\nno colon\r\n\r\n", REQUEST_BAD, 400, METHOD_GET, false, false, NULL, NULL},
	{"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", REQUEST_BAD, 400, METHOD_GET, false, false,
	 NULL, NULL},
	{"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", REQUEST_BAD, 400, METHOD_GET,
	 false, false, NULL, NULL},
	{"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", REQUEST_BAD, 400, METHOD_GET, false, false,
	 NULL, NULL},
	/* Kafka's protocol, and TLS, on this port. */
	{"\x16\x03\x01\x02", REQUEST_BAD, 400, METHOD_GET, false, false, NULL, NULL},
};

/* Gives the reader `piece` bytes at a time. */
static enum request_step feed(struct http_reader *r, struct bytes *all, size_t piece, struct http_request *request,
			      unsigned *status)
{
	enum request_step step = REQUEST_MORE;

	while (step == REQUEST_MORE && all->size > 0) {
		struct bytes part = bytes_of(all->data, piece < all->size ? piece : all->size);
		size_t given = part.size;

		step = http_reader_step(r, &part, request, status);
		given -= part.size;
		*all = bytes_of(all->data + given, all->size - given);
	}
	return step;
}

static void check_case(const struct expected *c, size_t piece)
{
	struct http_reader *r = http_reader_new();
	struct http_request request = {.path = "untouched"};
	struct bytes all = bytes_str(c->text);
	unsigned status = 0;

	CHECK_EQ(feed(r, &all, piece, &request, &status), c->step);
	CHECK_EQ(status, c->status);
	CHECK_STR(request.path, c->path ? c->path : "untouched");
	if (c->rest)
		CHECK_BYTES(all, bytes_str(c->rest));
	if (c->step == REQUEST_WHOLE) {
		CHECK_EQ(request.method, c->method);
		CHECK_EQ(request.keep_alive, c->keep_alive);
		CHECK_EQ(request.has_body, c->has_body);
		CHECK(!http_reader_within(r));
	} else if (c->step == REQUEST_MORE) {
		CHECK_EQ(http_reader_within(r), *c->text != 0);
	}
	http_reader_free(r);
}

TEST(requests_are_read_alike_however_their_bytes_arrive)
{
	for (size_t i = 0; i < countof(cases); i++) {
		check_case(&cases[i], 10000);
		check_case(&cases[i], 1);
		check_case(&cases[i], 7);
	}
}

static void check_host(const char *headers, const char *host, size_t piece)
{
	static const char after[] = "GET /b HTTP/1.1\r\n\r\n";
	struct http_reader *r = http_reader_new();
	struct http_request request = {.host = "untouched"};
	unsigned status = 0;
	struct bytes all;
	struct buf text;

	buf_init(&text, 100000);
	buf_printf(&text, "GET /a HTTP/1.1\r\n%s\r\n%s", headers, after);
	all = buf_bytes(&text);
	CHECK_EQ(feed(r, &all, piece, &request, &status), REQUEST_WHOLE);
	CHECK_STR(request.host, host);
	CHECK_EQ(feed(r, &all, piece, &request, &status), REQUEST_WHOLE);
	CHECK_STR(request.host, "");
	buf_fini(&text);
	http_reader_free(r);
}

TEST(the_host_is_what_its_own_header_says)
{
	static const struct {
		const char *headers;
		const char *host;
	} hosts[] = {
		{"Host: localhost:9644\r\n", "localhost:9644"},
		{"hOsT:a \r\nAccept: */*\r\n", "a"},
		{"Accept: */*\r\nHost: [::1]\r\n", "[::1]"},
		{"Hos: b\r\nHosts: c\r\nX-Host: d\r\nHost: a\r\n", "a"},
		{"Host:\r\nAccept: b\r\n", ""},
		{"Accept: a\r\n", ""},
	};

	for (size_t i = 0; i < countof(hosts); i++) {
		check_host(hosts[i].headers, hosts[i].host, 10000);
		check_host(hosts[i].headers, hosts[i].host, 1);
		check_host(hosts[i].headers, hosts[i].host, 3);
	}
}

TEST(what_is_no_name_and_what_is_ours)
{
	static const struct {
		const char *host;
		bool no_name;
		bool ours; /* "broker-1.Example" */
	} hosts[] = {
		{"", true, false},
		{"localhost", true, false},
		{"LOCALHOST:9644", true, false},
		{"localhost.", true, false},
		{"127.0.0.1", true, false},
		{"10.0.0.255:80", true, false},
		{"[::1]:9644", true, false},
		{"[fe80::1:2]", true, false},
		{"broker-1.example", false, true},
		{"BROKER-1.example.:9644", false, true},
		{"broker-1.example.evil", false, false},
		{"evil.broker-1.example", false, false},
		{"localhost.evil", false, false},
		{"127.0.0.1.evil", false, false},
		{"127.0.0", false, false},
		{"127.0.0.1.1", false, false},
		{"127.0..1", false, false},
		{"1270.0.0.1", false, false},
		{"[evil]", false, false},
		{"[]", false, false},
		{":9644", false, false},
		{".", false, false},
		{"a b", false, false},
	};

	for (size_t i = 0; i < countof(hosts); i++) {
		CHECK_EQ(http_host_is_no_name(hosts[i].host), hosts[i].no_name);
		CHECK_EQ(http_host_is(hosts[i].host, "broker-1.Example"), hosts[i].ours);
	}
}

/* What one reader makes of a head with so many bytes in its target, or in a header. */
static unsigned status_of(size_t target, size_t header, size_t piece)
{
	struct http_reader *r = http_reader_new();
	struct http_request request;
	unsigned status = 200;
	struct bytes all;
	struct buf text;

	buf_init(&text, 100000);
	buf_put_str(&text, "GET /");
	memset(buf_extend(&text, target - 1), 'a', target - 1);
	buf_put_str(&text, " HTTP/1.1\r\nA: ");
	memset(buf_extend(&text, header), 'b', header);
	buf_put_str(&text, "\r\n\r\n");
	all = buf_bytes(&text);
	if (feed(r, &all, piece, &request, &status) == REQUEST_WHOLE)
		CHECK_EQ(strlen(request.path), target);
	buf_fini(&text);
	http_reader_free(r);
	return status;
}

TEST(what_is_too_long_is_refused_at_its_limit)
{
	static const size_t pieces[] = {1, 100, 100000};
	size_t around = strlen("GET / HTTP/1.1\r\nA: \r\n\r\n");

	for (size_t i = 0; i < countof(pieces); i++) {
		CHECK_EQ(status_of(HTTP_TARGET_MAX, 1, pieces[i]), 200);
		CHECK_EQ(status_of(HTTP_TARGET_MAX + 1, 1, pieces[i]), 414);
		CHECK_EQ(status_of(50000, 1, pieces[i]), 414);
		CHECK_EQ(status_of(1, HTTP_HEAD_MAX - around, pieces[i]), 200);
		CHECK_EQ(status_of(1, HTTP_HEAD_MAX - around + 1, pieces[i]), 431);
		CHECK_EQ(status_of(1, 50000, pieces[i]), 431);
	}
}

TEST(pipelined_requests_come_one_by_one_and_each_has_its_own_limit)
{
	struct http_reader *r = http_reader_new();
	struct http_request request;
	unsigned status = 0;
	struct bytes all;
	struct buf text;

	buf_init(&text, 1000000);
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
	all = buf_bytes(&text);
	for (int i = 0; i < 1000; i++) {
		char path[20];

		snprintf(path, sizeof(path), "/%d", i);
		CHECK_EQ(http_reader_step(r, &all, &request, &status), REQUEST_WHOLE);
		CHECK_STR(request.path, path);
	}
	CHECK_EQ(all.size, 0);
	buf_fini(&text);
	http_reader_free(r);
}

TEST(after_a_bad_request_nothing_is_read_any_more)
{
	struct http_reader *r = http_reader_new();
	struct bytes all = bytes_str("?\r\n\r\n"), good = bytes_str("GET / HTTP/1.1\r\n\r\n");
	struct http_request request;
	unsigned status = 0;

	CHECK_EQ(http_reader_step(r, &all, &request, &status), REQUEST_BAD);
	status = 0;
	CHECK_EQ(http_reader_step(r, &good, &request, &status), REQUEST_BAD);
	CHECK_EQ(status, 400);
	http_reader_free(r);
}

TEST(what_is_escaped_in_a_path_is_undone)
{
	static const struct {
		const char *text, *plain;
	} right[] = {{"", ""}, {"a-b", "a-b"}, {"a%20b%2fC", "a b/C"}, {"%C3%a9", "\xc3\xa9"}, {"%2525", "%25"}};
	static const char *const wrong[] = {"%", "%2", "a%", "a%2", "%g0", "%0g", "%%20"};
	char plain[32];
	size_t size;

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		CHECK(http_unescape(bytes_str(right[i].text), plain, &size));
		CHECK_BYTES(bytes_of(plain, size), bytes_str(right[i].plain));
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(!http_unescape(bytes_str(wrong[i]), plain, &size));
	CHECK(http_unescape(bytes_str("%00"), plain, &size));
	CHECK_EQ(size, 1);
}
