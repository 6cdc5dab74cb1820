/*
 * call: a fiber asks another shard to run a sequence, and waits for its end.
 *
 * For what is rare and may suspend (opening, administration, lookups by time): one fiber and two messages a call. What is
 * frequent sends a message of its own and comes back (struct message).
 */
#ifndef RUNTIME_CALL_H
#define RUNTIME_CALL_H

#include "base/err.h"
#include "runtime/fiber.h"

/*
 * Runs `body` in a fiber of shard `to` (also when that is the caller's own) and returns when it has ended. `argument` is the caller's and may be
 * used by `body` until then; a cancel of the caller does not shorten the call. ERR_NO_MEMORY when no fiber could be had there: body did not run.
 */
enum err shard_call_await(struct fiber *self, struct shard *to, const char *name,
			  void (*body)(struct fiber *there, void *argument), void *argument) MUST_CHECK;

#endif
