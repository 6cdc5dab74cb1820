/*
 * budget: bytes that a shard may use for one purpose (frames, fetch buffers), with backpressure instead of growth.
 *
 * Who does not get its share now waits in line: when enough was given back, `granted` runs with the bytes already taken.
 * FIFO, and a small one does not overtake a large one, so the large one does get its turn. A single wish above the limit is
 * granted when nothing else is held (otherwise it would never be); callers cap single wishes themselves.
 */
#ifndef RUNTIME_BUDGET_H
#define RUNTIME_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "runtime/shard.h"

/* Who wants to know that somebody has to wait: called at the end of budget_wait, and takes nothing back inside the call. */
struct budget_watch {
	void (*pressed)(struct budget_watch *w);
};

struct budget {
	size_t limit;
	size_t used;
	size_t peak;
	struct list waiters;
	struct shard *shard;
	struct task grant;
	struct budget_watch *watch; /* may be NULL */
};

struct budget_wish {
	struct list_node node;
	size_t size;
	void (*granted)(struct budget_wish *w);
};

void budget_init(struct budget *b, struct shard *s, size_t limit_bytes);
void budget_fini(struct budget *b);
/* True: taken. False when others wait or there is not enough. */
bool budget_try_take(struct budget *b, size_t size);
/* What is used already and could not be known before: taken beyond the limit too; who comes next waits the longer. */
void budget_take_anyway(struct budget *b, size_t size);
/* Waits in line; `granted` runs later, never inside. */
void budget_wait(struct budget *b, struct budget_wish *w);
/* Leaves the line. */
void budget_cancel(struct budget *b, struct budget_wish *w);
void budget_give(struct budget *b, size_t size);

#endif
