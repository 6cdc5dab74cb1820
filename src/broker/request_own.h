/*
 * request_own: the side of a request that its connection sees: how it comes to be, leaves the line and goes. Only
 * connection.c, request.c and their tests include this; handlers use request.h.
 */
#ifndef BROKER_REQUEST_OWN_H
#define BROKER_REQUEST_OWN_H

#include "broker/request.h"

/*
 * What a request may use besides its frame: arrays of its body, its answer's structs; and the encoded answer without its records. A Metadata
 * answer of 200,000 partitions takes 15 MB and 10 MB. Limits that follow from the memory limit: the budget cannot know before what a
 * request will need, so it may be passed by this much.
 */
#define REQUEST_MAX_ARENA ((size_t)64 * 1024 * 1024)
#define REQUEST_LEAST_ARENA ((size_t)4 * 1024 * 1024)
/* What the budget must have for a request to begin: itself and its arena's first blocks. */
#define REQUEST_FIRST_BYTES ((size_t)4096)

/* Takes over the frame's reference. */
struct request *request_new(struct connection *c, struct blob *frame);
/* Brings what is charged up to what it holds now. */
void request_account(struct request *rq);
/* Its answer was handed on; frees it unless something holds it. */
void request_left(struct request *rq);
/* The connection is gone: it has left the line; tells the handler when it was not answered. */
void request_abandon(struct request *rq);

#endif
