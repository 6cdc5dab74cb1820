/*
 * server: a small HTTP/1.1 server on one shard: for those who look at a broker, not for traffic.
 *
 *      connection:  IDLE -> READING -> HANDLING (the handler has an exchange) -> ANSWERING -> IDLE, or LINGERING -> closed
 *
 * Invariants
 * 1. At most max_connections; one more takes the place of the one that has been idle longest, else of the one that has been at sending its
 *    request longest, and where all wait for or take their answers it is closed.
 * 2. One request of a connection at a time. What was received of the next ones waits in the connection's buffer (2 KiB), the rest in the
 *    kernel.
 * 3. A request arrives within request_us, an answer is taken within answer_us, a connection is idle for idle_us at most.
 * 4. Nothing is answered to a Host that is neither an address, nor localhost, nor a name of ours, but 403: it may be a page that had its name
 *    point at us.
 * 5. Every exchange is answered exactly once by its handler, also when its connection has gone.
 * Lifetime: opened and closed by fibers of its shard; http_server_close_await returns when nothing of it is left.
 * Not here: bodies of requests, TLS, ranges, compression.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/buf.h"
#include "http/request.h"
#include "runtime/socket.h"

struct http_server;
struct http_exchange;

struct http_server_options {
	struct shard *shard;
	size_t max_connections;
	int64_t request_us;
	int64_t answer_us;
	int64_t idle_us;
	void *context;
	const char *strangers; /* what those are told who use a name that is none of ours; NULL: the status alone */
	/* Whether `host` (http_host_is) is one of our names. NULL: there are none. */
	bool (*is_own_name)(void *context, const char *host);
	/* A GET or HEAD: others were answered with 405. Calls http_answer_take, now or later. */
	void (*handle)(void *context, struct http_exchange *x);
};

struct http_server_figures {
	size_t connections;
	uint64_t requests;
	uint64_t refused; /* connections for which there was no place */
};

/* Errors as of listener_open_await. */
enum err http_server_open_await(struct fiber *self, const struct http_server_options *o, const struct address *address,
				struct http_server **ret_server) MUST_CHECK;
void http_server_address(const struct http_server *s, struct address *ret_address);
void http_server_figures(const struct http_server *s, struct http_server_figures *ret_figures);
/* Closes everything, and waits for the exchanges that handlers still have. NULL ok. */
void http_server_close_await(struct fiber *self, struct http_server *s);

const char *http_exchange_path(const struct http_exchange *x);
/* Takes over the body's memory; on the server's shard. `type`: static text. A body that hit its maximum becomes a 500. */
void http_answer_take(struct http_exchange *x, unsigned status, const char *type, struct buf *body);
/* The status' words and `text` as plain text. */
void http_answer_text(struct http_exchange *x, unsigned status, const char *text);

#endif
