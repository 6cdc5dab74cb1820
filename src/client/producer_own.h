/* producer_own: what the sources of the producer share among themselves. */
#ifndef CLIENT_PRODUCER_OWN_H
#define CLIENT_PRODUCER_OWN_H

#include "base/map.h"
#include "client/parcel.h"
#include "client/partitioner.h"
#include "client/producer.h"

#define PRODUCE_TEXT_SIZE 400

struct produce_topic {
	struct producer *producer;
	struct cluster_topic *picture;
	struct list_node waiting_node; /* in producer.waiting */
	struct produce_line **lines;   /* by partition */
	int32_t line_count;
	size_t line_capacity;
	struct buf waiting; /* records whose partition cannot be chosen yet (client/parcel) */
	int64_t waiting_since_us;
	struct sticky sticky;
	struct sticky_choice *choices;
	size_t choice_capacity;
	uint32_t next_round; /* round robin */
};

struct transaction;

struct producer {
	struct producer_options options;
	struct transaction *transaction; /* NULL: no transactional.id */
	struct map topics;
	struct list waiting; /* topics with waiting records */
	struct list active;  /* lines with batches */
	struct batch_pool pool;
	struct task work;
	struct timer timer;
	struct list flights;
	unsigned hurry;
	bool stopping;
	/* The producer's id: asked for when the first batch wants to leave. */
	struct fiber *id_fiber;
	int64_t producer_id;
	int16_t producer_epoch;
	int64_t id_retry_at_us;
	enum err id_error; /* final: no idempotence with this broker */
	char id_text[PRODUCE_TEXT_SIZE];
};

/* Another batch of the line failed with this; text may be NULL. Removes the batch. */
void produce_batch_fail(struct producer *p, struct produce_batch *b, enum err error, const char *text);
void produce_batch_done(struct producer *p, struct produce_batch *b, int64_t base_offset, int64_t log_append_time_ms);
/* What a broker, or the way to it, said about a batch that was in flight. `moved`: its leader is another one, which need not be waited for. */
void produce_batch_answered(struct producer *p, struct produce_batch *b, enum err error, const char *text, bool moved);

/* True when batches may leave: not idempotent, or the id is known. Asks for it. */
bool producer_id_ready(struct producer *p);
/* A line that waits for a new epoch and has nothing in flight. False: the id is not known yet. */
bool producer_renew(struct producer *p, struct produce_line *l);

/* Sends to `peer` what the lines of `targeted` have. `ret_due_us` becomes smaller when a line says so. */
void producer_send(struct producer *p, struct peer *peer, struct list *targeted, int64_t *ret_due_us);
/* Requests under way to this peer. */
unsigned producer_flights(const struct producer *p, const struct peer *peer);

#endif
