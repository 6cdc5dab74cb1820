/*
 * request_own: the side of a request that its connection sees: how it comes to be, leaves the line and goes. Only
 * connection.c, request.c and their tests include this; handlers use request.h.
 */
#ifndef BROKER_REQUEST_OWN_H
#define BROKER_REQUEST_OWN_H

#include "broker/request.h"

/* What a request may use besides its frame: arrays of its body, its answer's structs. */
#define REQUEST_MAX_ARENA ((size_t)64 * 1024 * 1024)

/* Takes over the frame's reference. */
struct request *request_new(struct connection *c, struct blob *frame);
/* Its answer was handed on; frees it unless something holds it. */
void request_left(struct request *rq);
/* The connection is gone: it has left the line; tells the handler when it was not answered. */
void request_abandon(struct request *rq);

#endif
