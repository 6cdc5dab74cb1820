/*
 * fiber: a sequence that reads from top to bottom and may suspend: its own stack on its shard's thread.
 *
 * A function that may suspend ends in _await, takes the running fiber first, and nothing checked before it is trusted after it.
 * A fiber never leaves its shard. Stacks have a guard page and a stated size; fiber_stack_peak says how much was ever used.
 * Cancelling sets a flag and wakes the fiber: awaits that can be given up return ERR_CANCELLED at once, file operations are
 * awaited to their end (their buffers are on the stack).
 */
#ifndef RUNTIME_FIBER_H
#define RUNTIME_FIBER_H

#include "base/err.h"
#include "runtime/shard.h"

struct fiber;

#define FIBER_STACK_DEFAULT ((size_t)64 * 1024)
#define FIBER_NO_DEADLINE INT64_MAX

struct fiber_options {
	const char *name;  /* static text, for traces and the stall detector */
	size_t stack_size; /* 0: FIBER_STACK_DEFAULT; rounded up to pages */
	bool joinable;     /* is kept after its end until fiber_join_await, which must then come */
};

/*
 * Starts it: it first runs in a later step of this turn. NULL when the shard's limit of fibers or of stack memory is reached.
 * The fiber frees itself when main returns; who needs its end waits on an event of his own or uses fiber_join_await.
 */
struct fiber *fiber_start(struct shard *s, const struct fiber_options *options,
			  void (*main)(struct fiber *self, void *argument), void *argument) MUST_CHECK;

/* Waits for the end of a joinable fiber of the same shard and frees it. Not given up when cancelled. */
void fiber_join_await(struct fiber *self, struct fiber *other);

struct shard *fiber_shard(struct fiber *self);
const char *fiber_name(const struct fiber *f);
/* From the same shard. Harmless on one that is cancelled already. */
void fiber_cancel(struct fiber *f);
bool fiber_cancelled(const struct fiber *self);
/* Lets others run; comes back in this or the next turn. */
void fiber_yield_await(struct fiber *self);
/* ERR_CANCELLED when cancelled meanwhile. */
enum err fiber_sleep_await(struct fiber *self, int64_t duration_us);
/* Bytes of stack that were ever touched, of all fibers of the shard with that name. */
size_t fiber_stack_peak(struct shard *s, const char *name);

/*
 * The primitive below everything else: fiber_park_await suspends until fiber_wake. A wake before the park is remembered (one).
 */
void fiber_park_await(struct fiber *self);
void fiber_wake(struct fiber *f);

/*
 * event: something to wait for. Any number of fibers wait in order; signal wakes all that wait now. No memory: who comes after
 * the signal waits for the next one, so the condition is checked in a loop around it.
 */
struct event {
	struct list waiters;
};

void event_init(struct event *e);
void event_signal(struct event *e);
/* OK, ERR_TIMED_OUT at deadline_us (shard_now_us), ERR_CANCELLED. */
enum err event_wait_await(struct fiber *self, struct event *e, int64_t deadline_us);

/* gate: at most `limit` holders at once, in order of coming (a storm of connections must not be ten thousand stacks). */
struct gate {
	struct event free_place;
	unsigned limit;
	unsigned held;
	unsigned waiting;
};

void gate_init(struct gate *g, unsigned limit);
enum err gate_enter_await(struct fiber *self, struct gate *g, int64_t deadline_us);
void gate_leave(struct gate *g);

/*
 * Blocking or long work on a helper thread (inline in the simulator): `work` may touch only what `argument` points at.
 * offload is the form for parked objects: `done` runs on the shard afterwards.
 */
struct offload {
	struct message message; /* the runtime's own */
	void (*work)(struct offload *o);
	void (*done)(struct offload *o);
	struct shard *shard;
};

void offload_start(struct shard *s, struct offload *o);
void offload_await(struct fiber *self, void (*work)(void *argument), void *argument);

#endif
