/*
 * shard: a thread with its own event loop, memory, timers, fibers and I/O. Nothing of it is shared: other shards, and other
 * threads, reach it only through shard_send and shard_post.
 *
 *      one turn:  inbox -> tasks and fibers that became ready -> timers that are due -> wait for I/O, wake-up or the next timer
 *
 * A process (or a simulated node) is a `struct runtime`: its shards and what they share read-only. The same code runs over
 * three backends (runtime/backend.h): io_uring, epoll with file threads, and the simulator.
 * Invariants: a shard's functions are called on that shard only (except shard_post); callbacks never suspend; an idle shard
 * sleeps in the backend.
 */
#ifndef RUNTIME_SHARD_H
#define RUNTIME_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/prng.h"

struct runtime;
struct shard;

unsigned runtime_shard_count(const struct runtime *rt);
struct shard *runtime_shard(struct runtime *rt, unsigned index);

struct runtime *shard_runtime(struct shard *s);
unsigned shard_index(const struct shard *s);
struct logger *shard_log(struct shard *s);
/* Choices of this shard (ids, jitter). Seeded from the system, or from the history's seed in the simulator. */
struct prng *shard_random(struct shard *s);
/* For maps whose keys others choose (base/map.h). */
struct map_seed shard_map_seed(const struct shard *s);
/* Whether a rare path is to be taken now: false outside simulations (base/fault.h). */
bool shard_fault(struct shard *s, enum fault f);

/* Time since some start, never going back; read once a turn, so that it is cheap and stands still within a callback. */
int64_t shard_now_us(const struct shard *s);
static inline int64_t shard_now_ms(const struct shard *s)
{
	return shard_now_us(s) / 1000;
}
/* The wall clock, milliseconds since 1970: for record timestamps only, never for deadlines. May jump. */
int64_t shard_wall_ms(const struct shard *s);

/*
 * A message to a shard; embedded in what it is about, owned by the receiver until it sends it back. `run` is called on the
 * receiving shard. Messages from one shard to another arrive in the order in which they were sent.
 */
struct message {
	struct message *next; /* the mailbox's own */
	void (*run)(struct shard *at, struct message *m);
};

/* From one shard to another of the same runtime, or to itself (then it runs in a later step of this turn). */
void shard_send(struct shard *from, struct shard *to, struct message *m);
/* From any thread. */
void shard_post(struct shard *to, struct message *m);

/* Something to do later in this turn, after the current callback has returned: how several events become one action. */
struct task {
	struct list_node node;
	void (*run)(struct task *t);
};

/* Does nothing when it is queued already. */
void shard_defer(struct shard *s, struct task *t);
void shard_defer_cancel(struct shard *s, struct task *t);

/* A timer of a shard: embedded, zeroed at first. `fire` runs once, after which it may be armed again. */
struct timer {
	struct heap_node node;
	void (*fire)(struct timer *t);
};

/* Fires when shard_now_us() >= deadline_us; arming an armed timer moves it. */
void timer_arm(struct shard *s, struct timer *t, int64_t deadline_us);
void timer_disarm(struct shard *s, struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
	return heap_linked(&t->node);
}

/*
 * Asks the whole runtime to end: every shard leaves its loop after the current turn. What has to be finished first (a clean
 * stop of the broker) is done before this is called.
 */
void runtime_stop(struct runtime *rt, int exit_code);

/* What a shard has done and holds, for whoever looks at it: gathered when asked, on the shard itself. */
struct shard_figures {
	uint64_t turns;
	uint64_t messages;
	size_t messages_waiting;
	size_t timers;
	unsigned fibers;
	unsigned fibers_max;
	size_t stack_bytes;
	size_t stack_bytes_max;
	int64_t cpu_us; /* of its thread; -1: not known */
	uint64_t stalls;
	int64_t stalled_us;
	int64_t longest_stall_us;
	size_t stall_kinds;
};

#define SHARD_STALL_TEXT 200

/* What held the shard over 10 ms: one entry for each thing that did, up to a bound; `index` below stall_kinds. */
struct shard_stall {
	const char *kind; /* "fiber", "message", ... "others" */
	char what[SHARD_STALL_TEXT];
	uint64_t count;
	int64_t total_us;
};

void shard_figures(struct shard *s, struct shard_figures *ret_figures);
void shard_stall(struct shard *s, size_t index, struct shard_stall *ret_stall);

#endif
