/*
 * consumer: fetches assigned partitions ahead of their reader, within a bound of memory.
 *
 *      assign -> (offset unknown: what the group committed, or ListOffsets, all of a broker at once) -> fetching -> fetched -> handed over
 *                        ^                            |                                                                    -> ... -> consumer_return
 *                        +---- out of range: reset ---+---- error that repeating does not mend: stopped, told once
 *
 * One fiber a broker asks for all partitions that it leads, in one fetch session (KIP-227).
 * Invariants
 * 1. What is handed over of one assignment of a partition is in order of offsets, without gap but for hidden records.
 * 2. No fetch begins while more than the bound is handed over and not returned.
 * 3. An answer to a question from before an assignment changed is dropped.
 * Lifetime: consumer_new .. consumer_free on one shard.
 * Not here: groups; threads (client/api).
 */
#ifndef CLIENT_CONSUMER_H
#define CLIENT_CONSUMER_H

#include "client/cluster.h"
#include "client/fetched.h"

/* START_COMMITTED: where the group left off, else as auto.offset.reset says. */
enum start_kind { START_OFFSET, START_BEGINNING, START_END, START_TIME, START_TAIL, START_COMMITTED };

struct start {
	enum start_kind kind;
	int64_t value;
};

struct consumer;

struct consumer_options {
	struct shard *shard;
	const struct client_config *config;
	struct cluster *cluster;
	struct compressor *compressor;
	/* Takes over; comes back by consumer_return. */
	void (*hand_over)(void *user, struct fetched *f);
	/* The offset at which an assignment starts is found. */
	void (*located)(void *user, const char *topic, int32_t partition, uint64_t generation, int64_t offset);
	void *user;
	/* Some partitions wait for consumer_committed. */
	void (*wants_committed)(void *user);
	void *group; /* its argument */
};

struct consumer *consumer_new(const struct consumer_options *o);
void consumer_stop_await(struct fiber *self, struct consumer *c);
void consumer_free(struct consumer *c);

/* `generation` comes back in what is fetched. */
void consumer_assign(struct consumer *c, const char *topic, int32_t partition, struct start from, uint64_t generation);
void consumer_unassign(struct consumer *c, const char *topic, int32_t partition);
/* Its bytes are read. */
void consumer_return(struct consumer *c, struct fetched *f);
/* The cluster's picture changed. */
void consumer_wake(struct consumer *c);

/* An assignment that starts where its group left off, and what the group's coordinator says. */
struct committed_question {
	struct cluster_topic *topic;
	int32_t partition;
	uint64_t generation;
};

/* Those that wait, up to `max`; their number. */
size_t consumer_wanting_committed(const struct consumer *c, struct committed_question *ret_questions, size_t max);
/* `offset` -1: the group has none. An error stops the partition and is told with `text`. */
void consumer_committed(struct consumer *c, const struct committed_question *q, int64_t offset, enum err e,
			const char *text);

/* What a partition's leader is asked, and what came of it. */
struct offset_question {
	struct cluster_topic *topic;
	int32_t partition;
	struct start at; /* not START_OFFSET */
	enum err error;
	int64_t offset; /* without error; -1: the broker knows none */
};

#define OFFSET_QUESTIONS_MAX 1000

/* Asks `peer`, which leads them all, in one request, or two where one answer depends on another. Each partition once. */
void list_offsets_await(struct fiber *self, struct cluster *c, struct peer *peer, struct offset_question *questions,
			size_t count, int64_t deadline_us);

#endif
