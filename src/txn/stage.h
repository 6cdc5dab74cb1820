/*
 * stage: a machine of transactions with a clock and a log, as tests drive it. For tests and fuzz targets only.
 *
 * Every call is one step, whose records are committed at once, unless `failing`: then they are lost, and the state is loaded again from what there was.
 */
#ifndef TXN_STAGE_H
#define TXN_STAGE_H

#include <string.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "coordinator/machine.h"
#include "metadata/delta.h"
#include "metadata/image.h"
#include "txn/state.h"

#define STAGE_MEMORY ((size_t)1024 * 1024)

struct stage_record {
	uint8_t *bytes;
	size_t key_size;
	size_t value_size;
	bool tombstone;
};

struct stage {
	struct txn_options options;
	struct txns *txns;
	struct step step;
	struct image *image;
	struct stage_record *records;
	size_t record_count;
	size_t record_capacity;
	struct list prepared; /* of struct prepared_transaction, by their `node` */
	bool failing;
	int64_t fresh; /* the last producer id that was given away */
	struct arena arena;
};

static inline void stage_prepared(void *context, struct prepared_transaction *p)
{
	struct stage *g = context;

	list_push_back(&g->prepared, &p->node);
}

static inline void stage_level(struct stage *g, int16_t level)
{
	struct buf b;

	if (!g->image)
		g->image = image_new();
	buf_init(&b, 1024);
	delta_begin(&b);
	delta_put(&b, &(struct delta_record){
			      .kind = DELTA_FEATURE, .name = bytes_str("transaction.version"), .level = level});
	must(image_apply(g->image, buf_bytes(&b)) == OK);
	buf_fini(&b);
	g->step.image = g->image;
}

static inline void stage_load(struct stage *g);

static inline void stage_init(struct stage *g)
{
	*g = (struct stage){.options = {.transaction_max_timeout_ms = 900000,
					.transactional_id_expiration_ms = 604800000,
					.transaction_remove_expired_transaction_cleanup_interval_ms = 3600000,
					.prepared = stage_prepared,
					.context = g},
			    .fresh = 99};
	step_init(&g->step);
	g->step.now_ms = 1000;
	g->step.wall_ms = 1700000000000;
	g->step.max_record_bytes = 1000000;
	list_init(&g->prepared);
	arena_init(&g->arena, STAGE_MEMORY);
	stage_level(g, 2);
	stage_load(g);
}

static inline void stage_drop_prepared(struct stage *g)
{
	struct list_node *n;

	while ((n = list_pop_front(&g->prepared)))
		prepared_transaction_free(container_of(n, struct prepared_transaction, node));
}

static inline void stage_fini(struct stage *g)
{
	stage_drop_prepared(g);
	for (size_t i = 0; i < g->record_count; i++)
		mem_free(g->records[i].bytes);
	mem_free(g->records);
	step_fini(&g->step);
	txn_machine.free(g->txns);
	image_free(g->image);
	arena_fini(&g->arena);
}

/* --- a step's end: as the coordinator does it ----------------------------------------------------------------------------- */

static inline void stage_keep(struct stage *g)
{
	const struct step *s = &g->step;

	for (size_t i = 0; i < s->record_count; i++) {
		const struct step_record *r = &s->records[i];
		struct stage_record *to;

		g->records = mem_grow(g->records, &g->record_capacity, g->record_count + 1, sizeof(*g->records));
		to = &g->records[g->record_count++];
		*to = (struct stage_record){
			.key_size = r->key_size, .value_size = r->value_size, .tombstone = r->tombstone};
		to->bytes = mem_dup(s->bytes.data + r->key_offset, r->key_size + r->value_size);
	}
}

/* With an error where the step's records were lost. */
static inline void stage_tell(struct stage *g, enum err why)
{
	struct list told;
	struct list_node *n;

	list_init(&told);
	list_splice_back(&told, &g->step.answered);
	step_reset(&g->step);
	while ((n = list_pop_front(&told))) {
		struct coordinator_call *c = container_of(n, struct coordinator_call, node);

		if (why)
			c->error = why;
		if (c->finished)
			c->finished(c);
	}
}

static inline void stage_commit(struct stage *g)
{
	if (g->failing && g->step.record_count > 0) {
		stage_tell(g, ERR_COORDINATOR_NOT_AVAILABLE);
		stage_load(g);
	} else {
		stage_keep(g);
		stage_tell(g, OK);
	}
}

/* A new state, from what is recorded. */
static inline void stage_load(struct stage *g)
{
	if (g->txns)
		txn_machine.free(g->txns);
	g->txns = txn_machine_new(&g->options, 7, (struct map_seed){{1, 2}});
	for (size_t i = 0; i < g->record_count; i++) {
		const struct stage_record *from = &g->records[i];
		struct replayed r = {.offset = (int64_t)i, .producer_id = NO_PRODUCER_ID};

		r.key = bytes_of(from->bytes, from->key_size);
		r.value = from->tombstone ? bytes_null() : bytes_of(from->bytes + from->key_size, from->value_size);
		must(txn_machine.replay(g->txns, &r) == OK);
	}
	txn_machine.loaded(g->txns, &g->step);
	stage_commit(g);
}

static inline void stage_restart(struct stage *g)
{
	stage_drop_prepared(g);
	stage_load(g);
}

/* Time passes, with every tick that is due. */
static inline void stage_wait(struct stage *g, int64_t ms)
{
	int64_t until_ms = g->step.now_ms + ms;

	for (;;) {
		int64_t due_ms = txn_machine.deadline_ms(g->txns);
		int64_t to_ms = due_ms < until_ms ? due_ms : until_ms;

		g->step.wall_ms += to_ms - g->step.now_ms;
		g->step.now_ms = to_ms;
		if (due_ms > until_ms)
			return;
		txn_machine.tick(g->txns, &g->step);
		stage_commit(g);
	}
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

struct stage_answer {
	enum err error;
	int64_t producer_id;
	int16_t producer_epoch;
};

static inline struct stage_answer stage_init_id(struct stage *g, const char *id, int64_t producer_id, int16_t epoch)
{
	struct init_producer_id_request r;
	struct txn_init_call c = {.request = &r, .fresh_producer_id = -1};

	message_init(&init_producer_id_request_type, &r);
	r.transactional_id = bytes_str(id);
	r.transaction_timeout_ms = 60000;
	r.producer_id = producer_id;
	r.producer_epoch = epoch;
	txn_init(g->txns, &g->step, &c);
	stage_commit(g);
	if (!c.call.error && c.needs_producer_id) {
		c.fresh_producer_id = ++g->fresh;
		txn_init(g->txns, &g->step, &c);
		stage_commit(g);
	}
	return (struct stage_answer){c.call.error ? c.call.error : (enum err)c.response.error_code,
				     c.response.producer_id, c.response.producer_epoch};
}

/* Partitions 0 .. count - 1 of topic "t". */
static inline enum err stage_add(struct stage *g, const char *id, int64_t producer_id, int16_t epoch, int8_t version,
				 int32_t count)
{
	struct txn_partition partitions[8];
	struct txn_add_call c = {.transactional_id = bytes_str(id),
				 .producer_id = producer_id,
				 .producer_epoch = epoch,
				 .transaction_version = version,
				 .partitions = partitions,
				 .partition_count = (size_t)count};

	for (int32_t i = 0; i < count; i++)
		partitions[i] = (struct txn_partition){bytes_str("t"), i};
	txn_add(g->txns, &g->step, &c);
	stage_commit(g);
	return c.call.error ? c.call.error : c.error;
}

static inline struct stage_answer stage_end(struct stage *g, const char *id, int64_t producer_id, int16_t epoch,
					    bool committed, int16_t version)
{
	struct end_txn_request r;
	struct txn_end_call c = {.request = &r, .version = version, .fresh_producer_id = -1};

	message_init(&end_txn_request_type, &r);
	r.transactional_id = bytes_str(id);
	r.producer_id = producer_id;
	r.producer_epoch = epoch;
	r.committed = committed;
	txn_end(g->txns, &g->step, &c);
	stage_commit(g);
	if (!c.call.error && c.needs_producer_id) {
		c.fresh_producer_id = ++g->fresh;
		txn_end(g->txns, &g->step, &c);
		stage_commit(g);
	}
	return (struct stage_answer){c.call.error ? c.call.error : (enum err)c.response.error_code,
				     c.response.producer_id, c.response.producer_epoch};
}

static inline void stage_written(struct coordinator_call *c)
{
	(void)c;
}

/* The markers of the first that was handed out are written. */
static inline enum err stage_complete(struct stage *g)
{
	struct prepared_transaction *p = container_of(list_pop_front(&g->prepared), struct prepared_transaction, node);
	enum err e;

	p->call.error = OK;
	p->call.finished = stage_written;
	txn_markers_written(g->txns, &g->step, &p->call);
	stage_commit(g);
	e = p->call.error;
	prepared_transaction_free(p);
	return e;
}

static inline const char *stage_state(const struct stage *g, const char *id)
{
	const struct txn *x = txn_find(g->txns, bytes_str(id));

	return x ? txn_state_name(x->state) : "none";
}

#endif
