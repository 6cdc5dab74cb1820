/*
 * relief: what a shard does while requests wait for memory that others hold for nothing. An idle broker never runs it.
 *
 *      a budget's line begins --pressed--> tick, every 100 ms while anybody waits:
 *        our own budgets (frames, requests)    long polls of those who hold at least the average are answered with what is there;
 *                                              connections whose client does not take its answer are ended
 *        our read buffers                      the same ending on every shard: their answers hold our buffers
 *
 * Invariant: of each other shard at most one message is away.
 * Lifetime: in a shard's part of the broker, relief_init .. relief_fini; the messages' memory lives as long as the broker.
 * Not here: how much each budget has (broker.c), who waits in which order (runtime/budget), requests that come too slowly (net/conn).
 */
#ifndef BROKER_RELIEF_H
#define BROKER_RELIEF_H

#include "broker/connection.h"

struct relief;

struct relief_call {
	struct message message;
	struct relief *from;
	struct relief *to;
	bool away;
};

struct relief {
	struct shard *shard; /* set before any is open, since others send here */
	struct budget_watch watch;
	struct timer tick;
	struct connection_table *table; /* NULL: not open */
	struct budget *reads;
	struct relief_call *calls; /* to the other shards */
	size_t call_count;
};

/* `calls` has one for every other shard, its `to` filled; on the shard of `table`. */
void relief_init(struct relief *r, struct connection_table *table, struct budget *reads, struct relief_call *calls,
		 size_t call_count);
void relief_fini(struct relief *r);

#endif
