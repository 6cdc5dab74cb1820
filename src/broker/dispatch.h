/*
 * dispatch: from a frame to the request that its handler gets: header, handler, version, body. Pure: foreign bytes in.
 *
 * As Kafka: an API that is not served, a version that is not, or bytes that do not parse end the connection with one line in
 * the log. One exception: an ApiVersions of unknown version is answered in version 0 (its handler sees rq->body NULL),
 * so that a client can find out what to speak. What follows the body in a frame is ignored.
 */
#ifndef BROKER_DISPATCH_H
#define BROKER_DISPATCH_H

#include "broker/request.h"

#define DISPATCH_WHY_SIZE 200

/*
 * Fills header, api, handler and body of `rq` from its frame. False: the connection has to go, and `ret_why` says why; rq->handler is then
 * NULL, so that nobody tells a handler of the end of what it never began.
 */
bool dispatch_decode(struct request *rq, const struct api_handler *(*find)(int16_t key),
		     char ret_why[static DISPATCH_WHY_SIZE]) MUST_CHECK;

#endif
