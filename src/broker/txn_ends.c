/* txn_ends: see the header. May call: markers.h, the image, coordinator/. */
#include "broker/txn_ends.h"

#include "base/alloc.h"
#include "base/saturate.h"
#include "runtime/shard.h"

#define PAUSE_FIRST_MS 10
#define PAUSE_MAX_MS 1000
/* When a line says that somebody's records wait: after about two seconds. */
#define TRIES_SAID 8

struct end_part {
	struct marker_write write;
	struct end *end;
	bool over;
};

struct end {
	struct txn_ends *all;
	struct prepared_transaction *transaction;
	struct bytes key;      /* in the map of them; the first member's is a copy of it */
	struct list_node node; /* in the line of those that wait to begin */
	struct timer retry;
	unsigned tries;
	bool at_work;
	size_t left; /* partitions */
	size_t away; /* markers under way */
	struct end_part parts[];
};

struct txn_ends {
	struct broker_shard *shard;
	struct map ends; /* key -> struct end */
	struct list waiting;
	size_t at_work;
	bool stopped;
	struct event fewer;
	struct txn_ends_figures figures;
};

enum txn_end_outcome txn_end_outcome(enum err e)
{
	switch ((int)e) {
	case OK:
		return TXN_END_OVER;
	case ERR_INVALID_PRODUCER_EPOCH:
	case ERR_TRANSACTION_COORDINATOR_FENCED:
		return TXN_END_FENCED;
	default:
		return TXN_END_AGAIN;
	}
}

struct txn_ends *txn_ends_new(struct broker_shard *shard)
{
	struct txn_ends *e = mem_new(struct txn_ends);

	e->shard = shard;
	map_init_seeded(&e->ends, shard_map_seed(shard->shard));
	list_init(&e->waiting);
	event_init(&e->fewer);
	return e;
}

/* --- one of them ------------------------------------------------------------------------------------------------------ */

static void begin_more(struct txn_ends *all);

/* It is over, or will be found again by the next start. */
static void end_free(struct end *e)
{
	struct txn_ends *all = e->all;

	must(e->away == 0);
	timer_disarm(all->shard->shard, &e->retry);
	if (list_linked(&e->node))
		list_remove(&e->node);
	(void)map_remove(&all->ends, e->key);
	all->at_work -= e->at_work;
	prepared_transaction_free(e->transaction);
	mem_free((void *)(uintptr_t)e->key.data);
	mem_free(e);
	event_signal(&all->fewer);
	begin_more(all);
}

static void pause(struct end *e)
{
	struct shard *s = e->all->shard->shard;
	int64_t pause_ms = PAUSE_FIRST_MS;

	for (unsigned i = 0; i < e->tries && pause_ms < PAUSE_MAX_MS; i++)
		pause_ms *= 2;
	e->tries++;
	timer_arm(s, &e->retry, us_after_ms(shard_now_us(s), pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS));
}

static const struct image_topic *own_topic(const struct txn_ends *all)
{
	return image_topic_by_name(all->shard->image, bytes_str(internal_topic_name(INTERNAL_TRANSACTIONS)));
}

static void reported(struct coordinator_call *c)
{
	struct end *e = c->owner;

	/* INVALID_TXN_STATE: it is not what this was the end of, so somebody else has ended it. */
	if (!c->error || c->error == ERR_INVALID_TXN_STATE || e->all->stopped || !own_topic(e->all))
		end_free(e);
	else
		pause(e);
}

/* Every partition is over. */
static void report(struct end *e)
{
	struct coordinator *c = e->all->shard->coordinators[INTERNAL_TRANSACTIONS];

	e->transaction->call.owner = e;
	e->transaction->call.finished = reported;
	coordinator_submit(c, e->transaction->partition, &e->transaction->call, txn_markers_written);
}

static void say_waits(const struct end *e, const struct end_part *part, enum err why)
{
	const struct txn_partition *p = &e->transaction->partitions[part - e->parts];

	if (e->tries == TRIES_SAID)
		log_warn(shard_log(e->all->shard->shard),
			 "the transaction of %.*s cannot be ended in %.*s-%d: %s; it is tried again",
			 BYTES_ARG(e->transaction->transactional_id), BYTES_ARG(p->topic), p->partition, err_text(why));
}

static void marker_finished(struct marker_write *w)
{
	struct end_part *part = container_of(w, struct end_part, write);
	struct end *e = part->end;
	struct txn_ends_figures *figures = &e->all->figures;

	switch (txn_end_outcome(w->error)) {
	case TXN_END_OVER:
		figures->markers++;
		part->over = true;
		break;
	case TXN_END_FENCED:
		figures->fenced++;
		part->over = true;
		break;
	case TXN_END_AGAIN:
		figures->retries++;
		say_waits(e, part, w->error);
		break;
	}
	e->left -= part->over;
	if (--e->away > 0)
		return;
	if (e->left == 0)
		report(e);
	else if (e->all->stopped)
		end_free(e);
	else
		pause(e);
}

/* False: the partition is no more. */
static bool aim(const struct end *e, const struct txn_partition *p, struct marker_write *w)
{
	const struct image *image = e->all->shard->image;
	const struct image_topic *topic = image_topic_by_name(image, p->topic);
	const struct prepared_transaction *t = e->transaction;
	const struct image_topic *own = own_topic(e->all);
	const struct image_partition *led = own ? image_partition(own, t->partition) : NULL;

	if (!topic || !image_partition(topic, p->partition))
		return false;
	*w = (struct marker_write){
		.topic_id = topic->id,
		.partition = p->partition,
		.of_groups = bytes_equal_str(p->topic, internal_topic_name(INTERNAL_GROUPS)),
		.transaction_version = t->transaction_version,
		.marker = {.committed = t->committed,
			   .producer_id = t->producer_id,
			   .producer_epoch = t->producer_epoch,
			   .coordinator_epoch = led ? led->leader_epoch : 0},
		.finished = marker_finished,
	};
	return true;
}

/* A marker to each partition that is not over. */
static void write_markers(struct end *e)
{
	for (size_t i = 0; i < e->transaction->partition_count; i++) {
		struct end_part *part = &e->parts[i];

		if (part->over)
			continue;
		part->end = e;
		part->over = !aim(e, &e->transaction->partitions[i], &part->write);
		e->left -= part->over;
		if (part->over)
			continue;
		e->away++;
		marker_write_start(&part->write, e->all->shard);
	}
	if (e->left == 0)
		report(e);
}

static void on_retry(struct timer *t)
{
	write_markers(container_of(t, struct end, retry));
}

/* --- all of them ------------------------------------------------------------------------------------------------------ */

static void begin_more(struct txn_ends *all)
{
	struct list_node *n;

	while (!all->stopped && all->at_work < TXN_ENDS_AT_ONCE && (n = list_pop_front(&all->waiting))) {
		struct end *e = container_of(n, struct end, node);

		e->at_work = true;
		all->at_work++;
		write_markers(e);
	}
}

static struct bytes key_of(const struct prepared_transaction *p)
{
	struct buf key;

	buf_init(&key, p->transactional_id.size + 32);
	buf_put_i32(&key, p->partition);
	buf_put_i64(&key, p->producer_id);
	buf_put_i16(&key, p->producer_epoch);
	buf_put_i8(&key, p->committed);
	buf_put_bytes(&key, p->transactional_id);
	must(!key.error);
	return buf_bytes(&key);
}

void txn_ends_take(void *context, struct prepared_transaction *p)
{
	struct txn_ends *all = context;
	struct bytes key = key_of(p);
	struct end *e;

	if (all->stopped || map_get(&all->ends, key)) {
		mem_free((void *)(uintptr_t)key.data);
		prepared_transaction_free(p);
		return;
	}
	e = mem_zalloc(sizeof(*e) + p->partition_count * sizeof(e->parts[0]));
	e->all = all;
	e->transaction = p;
	e->key = key;
	e->left = p->partition_count;
	e->retry.fire = on_retry;
	(void)map_put(&all->ends, key, e);
	list_push_back(&all->waiting, &e->node);
	begin_more(all);
}

void txn_ends_stop(struct txn_ends *all)
{
	size_t place = 0;
	const struct map_entry *entry;

	all->stopped = true;
	/* Those that neither have markers under way nor wait to be told that all is written. */
	while ((entry = map_next(&all->ends, &place))) {
		struct end *e = entry->value;

		if (list_linked(&e->node) || timer_armed(&e->retry))
			end_free(e);
	}
}

void txn_ends_quiet_await(struct fiber *self, struct txn_ends *e)
{
	txn_ends_stop(e);
	while (e->ends.count > 0)
		if (event_wait_await(self, &e->fewer, FIBER_NO_DEADLINE))
			fiber_yield_await(self);
}

void txn_ends_free(struct txn_ends *e)
{
	must(e->ends.count == 0);
	map_fini(&e->ends);
	mem_free(e);
}

struct txn_ends_figures txn_ends_figures(const struct txn_ends *e)
{
	struct txn_ends_figures f = e->figures;

	f.prepared = e->ends.count;
	return f;
}
