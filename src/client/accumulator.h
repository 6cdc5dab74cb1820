/*
 * accumulator: the records of one partition that are not acknowledged yet, as a line of batches. No I/O, no clock: `now` is an
 * argument.
 *
 *      oldest                                                     newest
 *      | in flight | in flight | to repeat | waits | waits | open |
 *      sequence 0    10          20          none ...
 *
 * Invariants
 * 1. Batches leave the line only by their outcome, are sent in the order of the line, and a batch's place never changes.
 * 2. A sequence is given at a batch's first sending, contiguous along the line; it changes only when the line starts a new epoch,
 *    which needs that nothing of it is in flight.
 * 3. While any batch has to be repeated, only the oldest is sent, alone: what was sent behind it would overtake it.
 * Lifetime: a line belongs to the producer, on its shard. Batches come from a pool and go back to it.
 * Not here: which broker, requests, when the timer fires (client/producer).
 */
#ifndef CLIENT_ACCUMULATOR_H
#define CLIENT_ACCUMULATOR_H

#include "base/list.h"
#include "record/builder.h"

/* A record on its way into a batch. */
struct produce_record {
	int64_t timestamp;
	struct bytes key;
	struct bytes value;
	const struct record_header *headers;
	size_t header_count;
	void *opaque;
	size_t charged; /* bytes of buffer.memory */
};

struct produce_line;

struct produce_batch {
	struct list_node node;
	struct produce_line *line;
	struct batch_builder builder;
	void **opaques; /* by record */
	size_t opaque_capacity;
	int64_t *times;
	size_t time_capacity;
	int32_t record_count;
	size_t charged;
	int64_t created_us;
	int64_t retry_at_us;
	int32_t sequence; /* NO_SEQUENCE: never sent */
	unsigned attempts;
	bool in_flight;
	bool closed;        /* takes no more records */
	struct bytes bytes; /* once finished */
};

struct produce_line {
	struct list batches;
	struct list_node active; /* in the producer's list while it has batches */
	void *topic;             /* of the producer */
	int32_t partition;
	unsigned batch_count;
	unsigned in_flight;
	int32_t next_sequence;
	int64_t producer_id; /* NO_PRODUCER_ID: takes the producer's at the next sending */
	int16_t producer_epoch;
	bool renew;           /* a new epoch, once nothing is in flight */
	bool transactional;   /* its batches are of transactions */
	uint64_t transaction; /* the producer's: the last one that the partition was added to */
};

struct batch_pool {
	struct list spare;
	size_t spare_count;
	size_t batch_size;
	size_t max_bytes; /* of one batch */
	struct batch_options options;
};

void batch_pool_init(struct batch_pool *p, const struct batch_options *options, size_t batch_size, size_t max_bytes);
void batch_pool_fini(struct batch_pool *p);

void produce_line_init(struct produce_line *l, void *topic, int32_t partition);

/*
 * Adds a record at the end of the line. ERR_TOO_BIG when no batch could ever hold it. `ret_new_batch`: a batch was begun, so
 * that the one before it is full.
 */
enum err produce_line_append(struct produce_line *l, struct batch_pool *pool, const struct produce_record *r,
			     int64_t now_us, bool *ret_new_batch) MUST_CHECK;

/* The newest batch is full, or there is none. */
bool produce_line_full(const struct produce_line *l, const struct batch_pool *pool);

struct send_rules {
	int64_t now_us;
	int64_t linger_us;
	unsigned max_in_flight; /* batches of one line */
	bool hurry;             /* flushing, closing, or the buffer is used up */
};

/* The batch that may be sent now; NULL when none, and then `ret_due_us` is when to look again (INT64_MAX: after an outcome). */
struct produce_batch *produce_line_next(struct produce_line *l, const struct batch_pool *pool,
					const struct send_rules *rules, int64_t *ret_due_us);

/* It is being sent: closes it, gives it its sequence when the line has a producer id, and finishes its bytes. */
enum err produce_batch_seal(struct produce_batch *b) MUST_CHECK;
/* It failed and goes again, not before `retry_at_us`. */
void produce_batch_again(struct produce_batch *b, int64_t retry_at_us);
/* Takes it out of its line. */
void produce_batch_remove(struct produce_batch *b);
/* Back to the pool. */
void produce_batch_drop(struct batch_pool *pool, struct produce_batch *b);
/* Two batches with half of the records each take its place; false when it has only one record. */
bool produce_batch_split(struct batch_pool *pool, struct produce_batch *b) MUST_CHECK;
/* Nothing in flight: all that waits gets sequences from 0 under the new id and epoch. */
void produce_line_renew(struct produce_line *l, int64_t producer_id, int16_t producer_epoch);

static inline struct produce_batch *produce_line_oldest(const struct produce_line *l)
{
	struct list_node *n = list_first(&l->batches);

	return n ? container_of(n, struct produce_batch, node) : NULL;
}

#endif
