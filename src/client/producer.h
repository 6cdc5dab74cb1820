/*
 * producer: takes records to the leaders of their partitions and says what became of each.
 *
 *      producer_add -> partitioner -> line of the partition -> Produce to its leader -> outcome
 *                      (or the topic's waiting records, while nobody knows its partitions)
 *
 * Invariants
 * 1. Every record that producer_add took gets exactly one outcome.
 * 2. Records of a partition are written in the order in which they were added; with idempotence also over repetitions, and never
 *    twice, unless the outcome said that they failed.
 * 3. At most max.in.flight requests are under way to a broker, one batch of a partition in each.
 * 4. A batch that failed for good leaves a hole in the sequences: its partition goes on in a new epoch, once nothing is in flight.
 * Lifetime: producer_new .. producer_free on one shard; nothing of it suspends but the fiber that asks for the producer id.
 * With a transactional.id records leave only as part of a transaction (client/transaction.h), and a failed one fails it.
 * Not here: threads and buffer.memory (client/api), the transactions themselves.
 */
#ifndef CLIENT_PRODUCER_H
#define CLIENT_PRODUCER_H

#include "client/accumulator.h"
#include "client/cluster.h"

struct producer;
struct produce_topic;

/* Of `count` records that stood together in one batch, or of one that never came into a batch. */
struct produce_outcome {
	const char *topic;
	int32_t partition; /* -1: none was chosen */
	enum err error;
	const char *text;           /* with an error: a sentence */
	int64_t base_offset;        /* -1: unknown */
	int64_t log_append_time_ms; /* -1: each record's own timestamp holds */
	void *const *opaques;
	const int64_t *times;
	int32_t count;
	size_t charged;
};

struct producer_options {
	struct shard *shard;
	const struct client_config *config;
	struct cluster *cluster;
	struct compressor *compressor;
	void (*outcome)(void *user, const struct produce_outcome *o);
	void *user;
};

struct producer *producer_new(const struct producer_options *o);
/* What is left gets ERR_CANCELLED, inside. */
void producer_stop_await(struct fiber *self, struct producer *p);
void producer_free(struct producer *p);

/* Lives as long as the producer. */
struct produce_topic *producer_topic(struct producer *p, const char *name);
/* Copies. Outcomes may come inside. */
void producer_add(struct producer *p, struct produce_topic *t, int32_t partition, const struct produce_record *r);
/* While on, nothing lingers: somebody flushes, or the buffer is used up. */
void producer_hurry(struct producer *p, bool on);
/* The cluster's picture or a connection changed: look what can be sent. */
void producer_wake(struct producer *p);

#endif
