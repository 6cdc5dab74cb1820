/*
 * throttle: how long a broker asks to be left alone after an answer (KIP-219). Pure.
 *
 * A broker with quotas answers at once and then does not read from the connection for throttle_time_ms; a client that sends all the
 * same fills the broker's socket and counts the wait into its own timeouts. In versions from before KIP-219 the same field only
 * tells how long the answer was held back, which asks for nothing.
 * Not here: the pause itself (peer).
 */
#ifndef RPC_THROTTLE_H
#define RPC_THROTTLE_H

#include "protocol/message_type.h"

/* 0: none asked for. Never negative. */
int32_t throttle_ms(const struct api *api, int16_t version, const void *response);

#endif
