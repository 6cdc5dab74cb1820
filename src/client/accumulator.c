/* accumulator: see the header. */
#include "client/accumulator.h"

#include "base/alloc.h"

#define SPARE_MAX 16
/* A spare batch that grew beyond so many times the batch size gives its memory back. */
#define SPARE_GROWTH 4
#define DECOMPRESSED_MAX ((size_t)256 * 1024 * 1024)

void batch_pool_init(struct batch_pool *p, const struct batch_options *options, size_t batch_size, size_t max_bytes)
{
	*p = (struct batch_pool){.options = *options, .batch_size = batch_size, .max_bytes = max_bytes};
	p->options.max_bytes = max_bytes;
	list_init(&p->spare);
}

static void batch_free(struct produce_batch *b)
{
	batch_builder_fini(&b->builder);
	mem_free(b->opaques);
	mem_free(b->times);
	mem_free(b);
}

void batch_pool_fini(struct batch_pool *p)
{
	struct list_node *n;

	while ((n = list_pop_front(&p->spare)))
		batch_free(container_of(n, struct produce_batch, node));
}

static struct produce_batch *batch_take(struct batch_pool *p, struct produce_line *l, int64_t now_us)
{
	struct list_node *n = list_pop_front(&p->spare);
	struct produce_batch *b;

	if (n) {
		b = container_of(n, struct produce_batch, node);
		p->spare_count--;
		batch_builder_reset(&b->builder, &p->options);
	} else {
		b = mem_new(struct produce_batch);
		batch_builder_init(&b->builder, &p->options);
	}
	b->line = l;
	b->record_count = 0;
	b->charged = 0;
	b->created_us = now_us;
	b->retry_at_us = 0;
	b->sequence = NO_SEQUENCE;
	b->attempts = 0;
	b->in_flight = b->closed = false;
	b->bytes = bytes_null();
	return b;
}

void produce_batch_drop(struct batch_pool *p, struct produce_batch *b)
{
	must(!list_linked(&b->node));
	if (p->spare_count >= SPARE_MAX || b->builder.raw.capacity > SPARE_GROWTH * p->batch_size + 65536) {
		batch_free(b);
		return;
	}
	list_push_front(&p->spare, &b->node);
	p->spare_count++;
}

void produce_line_init(struct produce_line *l, void *topic, int32_t partition)
{
	*l = (struct produce_line){.topic = topic, .partition = partition, .producer_id = NO_PRODUCER_ID};
	l->producer_epoch = NO_PRODUCER_EPOCH;
	list_init(&l->batches);
}

static struct produce_batch *newest(const struct produce_line *l)
{
	return list_empty(&l->batches) ? NULL : container_of(l->batches.head.previous, struct produce_batch, node);
}

static bool has_room(const struct produce_batch *b, const struct batch_pool *p, size_t size)
{
	return !b->closed && batch_builder_size(&b->builder) + size <= p->batch_size;
}

static void note_record(struct produce_batch *b, const struct produce_record *r)
{
	size_t count = (size_t)b->record_count + 1;

	b->opaques = mem_grow(b->opaques, &b->opaque_capacity, count, sizeof(*b->opaques));
	b->times = mem_grow(b->times, &b->time_capacity, count, sizeof(*b->times));
	b->opaques[count - 1] = r->opaque;
	b->times[count - 1] = r->timestamp;
	b->record_count = (int32_t)count;
	b->charged += r->charged;
}

static enum err batch_append(struct produce_batch *b, const struct produce_record *r)
{
	enum err e = batch_builder_append(&b->builder, r->timestamp, r->key, r->value, r->headers, r->header_count);

	if (!e)
		note_record(b, r);
	return e;
}

enum err produce_line_append(struct produce_line *l, struct batch_pool *pool, const struct produce_record *r,
			     int64_t now_us, bool *ret_new_batch)
{
	struct produce_batch *b = newest(l);
	size_t bound = record_size_bound(r->key, r->value, r->headers, r->header_count);
	enum err e;

	if (b && has_room(b, pool, bound)) {
		*ret_new_batch = false;
		return batch_append(b, r);
	}
	/* One that is larger than a batch has a batch for itself. */
	b = batch_take(pool, l, now_us);
	e = batch_append(b, r);
	if (e) {
		produce_batch_drop(pool, b);
		return e;
	}
	list_push_back(&l->batches, &b->node);
	l->batch_count++;
	*ret_new_batch = true;
	return OK;
}

bool produce_line_full(const struct produce_line *l, const struct batch_pool *pool)
{
	const struct produce_batch *b = newest(l);

	/* A few bytes are what one more small record needs. */
	return !b || !has_room(b, pool, 32);
}

static bool is_newest(const struct produce_batch *b)
{
	return b->node.next == &b->line->batches.head;
}

static struct produce_batch *first_waiting(const struct produce_line *l)
{
	list_for_each(&l->batches, n)
	{
		struct produce_batch *b = container_of(n, struct produce_batch, node);

		if (!b->in_flight)
			return b;
	}
	return NULL;
}

struct produce_batch *produce_line_next(struct produce_line *l, const struct batch_pool *pool,
					const struct send_rules *rules, int64_t *ret_due_us)
{
	struct produce_batch *oldest = produce_line_oldest(l);
	struct produce_batch *b = first_waiting(l);

	*ret_due_us = INT64_MAX;
	if (!b || (l->renew && l->in_flight > 0))
		return NULL;
	if (oldest->attempts > 1 || b->attempts > 0) {
		/* Invariant 3: `attempts` counts sendings, so a second one is a repetition under way. */
		if (l->in_flight > 0)
			return NULL;
		*ret_due_us = b->retry_at_us;
		return b->retry_at_us <= rules->now_us ? b : NULL;
	}
	if (l->in_flight >= rules->max_in_flight)
		return NULL;
	if (rules->hurry || !is_newest(b) || produce_line_full(l, pool))
		return b;
	*ret_due_us = b->created_us + rules->linger_us;
	return *ret_due_us <= rules->now_us ? b : NULL;
}

enum err produce_batch_seal(struct produce_batch *b)
{
	struct produce_line *l = b->line;

	b->closed = true;
	if (l->producer_id != NO_PRODUCER_ID && b->sequence == NO_SEQUENCE) {
		b->sequence = l->next_sequence;
		l->next_sequence = sequence_add(l->next_sequence, b->record_count);
		batch_builder_set_producer(&b->builder, l->producer_id, l->producer_epoch, b->sequence,
					   l->transactional);
	}
	if (!bytes_is_null(b->bytes))
		return OK;
	return batch_builder_finish(&b->builder, &b->bytes);
}

void produce_batch_again(struct produce_batch *b, int64_t retry_at_us)
{
	must(b->in_flight);
	b->in_flight = false;
	b->line->in_flight--;
	b->retry_at_us = retry_at_us;
}

void produce_batch_remove(struct produce_batch *b)
{
	if (b->in_flight)
		b->line->in_flight--;
	b->in_flight = false;
	b->line->batch_count--;
	list_remove(&b->node);
}

/* The records of a finished batch, read back. */
static bool split_records(struct produce_batch *from, struct produce_batch *halves[2])
{
	struct record_iter it;
	struct record r;
	struct buf scratch;
	int32_t at = 0, half = from->record_count / 2;
	enum err e;

	buf_init(&scratch, DECOMPRESSED_MAX);
	e = record_iter_init(&it, from->bytes, &scratch, DECOMPRESSED_MAX, NULL);
	while (!e && !(e = record_iter_next(&it, &r))) {
		struct produce_batch *to = halves[at < half ? 0 : 1];

		e = batch_builder_append_record(&to->builder, to->record_count, &r);
		if (!e)
			note_record(to, &(struct produce_record){.timestamp = from->times[at],
								 .opaque = from->opaques[at]});
		at++;
	}
	buf_fini(&scratch);
	return e == ERR_END;
}

bool produce_batch_split(struct batch_pool *pool, struct produce_batch *b)
{
	struct produce_line *l = b->line;
	struct produce_batch *halves[2];
	bool split;

	if (b->record_count < 2 || b->in_flight)
		return false;
	for (int i = 0; i < 2; i++)
		halves[i] = batch_take(pool, l, b->created_us);
	split = split_records(b, halves);
	for (int i = 0; i < 2; i++) {
		halves[i]->closed = true;
		halves[i]->attempts = b->attempts;
		if (!split) {
			produce_batch_drop(pool, halves[i]);
			continue;
		}
		list_insert_before(&b->node, &halves[i]->node);
		l->batch_count++;
	}
	if (!split)
		return false;
	halves[0]->charged = b->charged / 2;
	halves[1]->charged = b->charged - b->charged / 2;
	/* The halves have the sequences that the whole had: those behind it keep theirs. */
	if (b->sequence != NO_SEQUENCE) {
		halves[0]->sequence = b->sequence;
		halves[1]->sequence = sequence_add(b->sequence, halves[0]->record_count);
		for (int i = 0; i < 2; i++)
			batch_builder_set_producer(&halves[i]->builder, l->producer_id, l->producer_epoch,
						   halves[i]->sequence, l->transactional);
	}
	produce_batch_remove(b);
	produce_batch_drop(pool, b);
	return true;
}

void produce_line_renew(struct produce_line *l, int64_t producer_id, int16_t producer_epoch)
{
	must(l->in_flight == 0);
	l->renew = false;
	l->producer_id = producer_id;
	l->producer_epoch = producer_epoch;
	l->next_sequence = 0;
	list_for_each(&l->batches, n)
	{
		struct produce_batch *b = container_of(n, struct produce_batch, node);

		if (b->sequence == NO_SEQUENCE)
			continue;
		b->sequence = l->next_sequence;
		l->next_sequence = sequence_add(l->next_sequence, b->record_count);
		if (bytes_is_null(b->bytes))
			batch_builder_set_producer(&b->builder, producer_id, producer_epoch, b->sequence,
						   l->transactional);
		else
			/* The bytes are the builder's own, and nobody sends them now. */
			batch_set_producer((uint8_t *)(uintptr_t)b->bytes.data, b->bytes.size, producer_id,
					   producer_epoch, b->sequence);
	}
}
