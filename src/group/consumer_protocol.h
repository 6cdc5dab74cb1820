/*
 * consumer_protocol: what consumers of the classic protocol put into its opaque bytes: subscriptions and assignments, each an int16 version and a message of it.
 * A newer version is read as the newest that is known.
 */
#ifndef GROUP_CONSUMER_PROTOCOL_H
#define GROUP_CONSUMER_PROTOCOL_H

#include "base/arena.h"
#include "base/buf.h"
#include "protocol/messages.h"

/* ERR_MALFORMED; ERR_NO_MEMORY when the arena is full. What is read points into the bytes. */
enum err subscription_read(struct bytes metadata, struct arena *a, struct consumer_protocol_subscription *ret)
	MUST_CHECK;
enum err assignment_read(struct bytes assignment, struct arena *a, struct consumer_protocol_assignment *ret) MUST_CHECK;
/* In the version of that subscription; out->error when it does not fit. */
void assignment_write(struct bytes metadata, const struct consumer_protocol_assignment *v, struct buf *out);

#endif
