/*
 * core: what the sources of src/runtime share among themselves: the insides of a shard and of a fiber. Nobody else includes
 * this; a backend sees runtime/backend.h.
 */
#ifndef RUNTIME_CORE_H
#define RUNTIME_CORE_H

#include <stdatomic.h>

#include "runtime/backend.h"
#include "runtime/fiber.h"
#include "runtime/stall.h"

#define CACHE_LINE 64

struct runtime {
	const struct backend *backend;
	void *backend_data;
	unsigned shard_count;
	struct shard *shards[];
};

/* First in, first out, through message.next. */
struct message_queue {
	struct message *first;
	struct message *last;
};

struct stack_peak {
	const char *name;
	size_t bytes;
};

/* The fibers of a shard. */
struct fibers {
	struct list all;          /* fiber.member */
	struct list spare_stacks; /* of the default size, wiped */
	unsigned spare_count;
	unsigned count;
	unsigned max;
	size_t stack_bytes; /* of living fibers */
	size_t stack_bytes_max;
	struct fiber *current; /* NULL: the shard's own loop runs */
	void *loop_context;    /* where the loop stands while a fiber runs */
	struct stack_peak *peaks;
	size_t peak_count;
	size_t peak_capacity;
	/* For the sanitizers. */
	const void *loop_stack;
	size_t loop_stack_size;
	void *loop_fake_stack;
	void *loop_thread;
};

/*
 * Large blobs whose memory waits for the next one. Frames and read buffers of a megabyte come and go by the hundred a second: to give their pages
 * back and touch new ones each time cost a third of a fetch, and malloc alone either does that or keeps what it cannot give back.
 */
#define SPARE_CLASSES 7                            /* of 64 KiB, 128 KiB, ... 4 MiB */
#define SPARE_LEAST ((size_t)64 * 1024)            /* smaller ones are malloc's own business */
#define SPARE_BYTES_MAX ((size_t)12 * 1024 * 1024) /* of a shard */
#define SPARE_MORE 4096                            /* a round number of bytes and what belongs to it still fit */

struct spare {
	struct spare *next;
};

struct spares {
	struct spare *first[SPARE_CLASSES];
	size_t bytes;
};

struct shard {
	/* Touched by other threads; on a cache line of its own. */
	_Atomic(struct message *) inbox; /* a stack: newest first */
	atomic_bool asleep;
	char padding[CACHE_LINE];

	struct runtime *runtime;
	unsigned index;
	const struct backend *backend;
	void *backend_data;
	struct logger *logger;       /* own_logger, or NULL */
	struct logger own_logger;    /* a copy of the runtime's, so that a shard's level is its own */
	struct fault_points *faults; /* NULL outside simulations */
	struct prng random;
	struct map_seed map_seed;

	int64_t now_us;
	struct message_queue messages; /* taken from the inbox, or sent to itself */
	struct list tasks;             /* deferred since the round began */
	struct list round_tasks;       /* this round's */
	struct heap timers;
	struct fibers fibers;
	struct spares spares;
	struct stall_watch stall;
	uint64_t messages_run;
	uint64_t turns;
};

void spares_free(struct spares *s);

void fibers_init(struct shard *s, unsigned max_fibers);
void fibers_fini(struct shard *s);

/* Wakes the first that waits; false when none does. */
bool event_signal_first(struct event *e);

#endif
