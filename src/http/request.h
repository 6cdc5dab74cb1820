/*
 * request: HTTP requests out of bytes, one at a time: http_parser's grammar under our limits. Pure: foreign bytes in, no socket.
 *
 *      GET /metrics?x=1 HTTP/1.1 CRLF  headers CRLF CRLF | the next request of the same connection
 *                                                        ^ http_reader_step stops here
 *
 * Invariants
 * 1. A step consumes nothing behind the end of a request, so that what follows is still the caller's.
 * 2. A request line and its headers take at most HTTP_HEAD_MAX bytes, and a reader never holds more of them than the target.
 * 3. A body is never read: a request that announces one is its connection's last.
 * After REQUEST_BAD a reader says the same for ever: its connection has to go.
 * Not here: which paths there are (the handler), other headers' values than Host's (nobody needs one so far).
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/bytes.h"
#include "base/err.h"

#define HTTP_HEAD_MAX ((size_t)8192)
#define HTTP_TARGET_MAX 1024
#define HTTP_HOST_MAX 262 /* a name of the longest, a colon and a port, rounded up */

enum request_method { METHOD_GET, METHOD_HEAD, METHOD_OTHER };

struct http_request {
	enum request_method method;
	bool keep_alive; /* another request may follow on the connection */
	bool has_body;
	char path[HTTP_TARGET_MAX + 1]; /* as it came, without query, "/" at least */
	char host[HTTP_HOST_MAX + 1];   /* what Host says, as it came; "" when there is none */
};

enum request_step {
	REQUEST_MORE,  /* the source is used up and the request is not complete */
	REQUEST_WHOLE, /* *ret_request is filled */
	REQUEST_BAD,   /* *ret_status is what to answer: 400, 414, 431 or 505 */
};

struct http_reader;

struct http_reader *http_reader_new(void);
void http_reader_free(struct http_reader *r);
/* A request has begun and is not complete. */
bool http_reader_within(const struct http_reader *r);
/* Consumes from the front of `source`, up to the end of one request. */
enum request_step http_reader_step(struct http_reader *r, struct bytes *source, struct http_request *ret_request,
				   unsigned *ret_status) MUST_CHECK;

/*
 * Whose page may have sent a browser here. A page of a name that its owner lets point at us is of our own origin to the browser, and could
 * read our answers; it cannot make the browser say another Host. An address or "localhost" is nobody's name, and who says nothing is no browser.
 */
bool http_host_is_no_name(const char *host);
/* Whether it is `name`, with any port, in any case. */
bool http_host_is(const char *host, const char *name);

/* Undoes %XX; `ret_text` has room for text.size bytes. False where two digits do not follow. */
bool http_unescape(struct bytes text, char *ret_text, size_t *ret_size) MUST_CHECK;

#endif
