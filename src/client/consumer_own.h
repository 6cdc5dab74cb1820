/* consumer_own: what the sources of the consumer share among themselves. */
#ifndef CLIENT_CONSUMER_OWN_H
#define CLIENT_CONSUMER_OWN_H

#include "base/map.h"
#include "client/consumer.h"
#include "client/stall.h"

struct fetcher;

enum consume_state {
	CONSUME_NEEDS_COMMITTED,
	CONSUME_NEEDS_OFFSET,
	CONSUME_FETCHING,
	CONSUME_STOPPED, /* by an error that was told; until it is assigned again */
};

struct consume_partition {
	struct cluster_topic *picture;
	int32_t index;
	enum consume_state state;
	struct start start;
	uint64_t generation;
	int64_t position;
	int64_t end_told; /* the offset at which the end was told; -1: not yet */
	int64_t retry_at_us;
	int32_t max_bytes;
	unsigned failures;
	bool assigned;
	struct stall stall;
	/* What the session of `fetcher` says about it. */
	struct fetcher *fetcher; /* NULL: in no session */
	int64_t sent_offset;
	int32_t sent_epoch;
	int32_t sent_max_bytes;
	struct uuid sent_id;
	uint64_t sent_generation;
};

struct consumer {
	struct consumer_options options;
	struct map partitions; /* {topic, index} -> struct consume_partition, kept for ever: few */
	struct fetcher **fetchers;
	size_t fetcher_count;
	size_t fetcher_capacity;
	struct event changed;
	struct fiber *watchdog; /* NULL: nothing was assigned yet, or nobody is to look */
	size_t outstanding;     /* bytes handed over */
	bool stopping;
};

struct partition_key {
	const struct cluster_topic *topic;
	uint64_t index;
};

struct fetcher *fetcher_new(struct consumer *c, int32_t broker_id);
void fetcher_stop_await(struct fiber *self, struct fetcher *f);
void fetcher_free(struct fetcher *f);
int32_t fetcher_broker_id(const struct fetcher *f);
/* The partition leaves the session: the broker is told with the next request. */
void fetcher_forget(struct fetcher *f, struct consume_partition *p);

/* Its session ends, and everything is named again: a request that is under way is left alone. */
void fetcher_start_anew(struct fetcher *f);
/* A fiber: watchdog.c. */
void watchdog_main(struct fiber *self, void *argument);

/* Stops the partition and tells why. */
void consume_fail(struct consumer *c, struct consume_partition *p, enum err e, const char *text);
/* Tries again later. */
void consume_backoff(struct consumer *c, struct consume_partition *p);
/* There is no offset to go on at, for `why`: auto.offset.reset says what then. */
void consume_reset(struct consumer *c, struct consume_partition *p, const char *why);
/* Its offset is known: fetching begins. */
void consume_at(struct consumer *c, struct consume_partition *p, int64_t offset);

#endif
