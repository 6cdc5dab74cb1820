/* http_get: one question to a broker's metrics.listener, and its whole answer. May call: runtime/, on a shard of its own for as long as it lasts. */
#ifndef CLI_HTTP_GET_H
#define CLI_HTTP_GET_H

#include "base/buf.h"
#include "runtime/socket.h"

/*
 * GET `path`. OK with the status and the body, which the caller frees; ERR_CORRUPT: what answers is no HTTP server; ERR_TIMED_OUT;
 * ERR_CONNECTION_LOST: it broke off; else as of socket_connect_await.
 */
enum err http_get(const struct address *server, const char *path, unsigned *ret_status, struct buf *ret_body)
	MUST_CHECK;

#endif
