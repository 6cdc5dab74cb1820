/* producer: see the header. Here: topics, choice of partitions, what is due; producer_send.c has the requests, producer_id.c the id. */
#include "client/producer.h"

#include <stdio.h>

#include "base/alloc.h"
#include "client/producer_own.h"
#include "client/transaction.h"

#define TARGETS_MAX 64
/* While the transaction before still ends; Java's and the broker's own patience. */
#define CONCURRENT_BACKOFF_US 20000
/* How long a topic that the broker does not know is waited for with moldau.fail.fast. */
#define UNKNOWN_PATIENCE_US (3 * INT64_C(1000000))

/* --- topics and partitions --------------------------------------------------------------------------------------- */

struct produce_topic *producer_topic(struct producer *p, const char *name)
{
	struct produce_topic *t = map_get(&p->topics, bytes_str(name));

	if (t)
		return t;
	t = mem_new(struct produce_topic);
	t->producer = p;
	t->picture = cluster_topic(p->options.cluster, name, true);
	t->sticky.partition = -1;
	buf_init(&t->waiting, SIZE_MAX / 2);
	map_put(&p->topics, bytes_str(name), t);
	return t;
}

static struct produce_line *line_of(struct produce_topic *t, int32_t partition)
{
	while (t->line_count <= partition) {
		struct produce_line *l = mem_new(struct produce_line);

		produce_line_init(l, t, t->line_count);
		l->transactional = t->producer->transaction != NULL;
		t->lines = mem_grow(t->lines, &t->line_capacity, (size_t)t->line_count + 1,
				    sizeof(struct produce_line *));
		t->lines[t->line_count++] = l;
	}
	return t->lines[partition];
}

static void pick_sticky(struct produce_topic *t)
{
	struct producer *p = t->producer;
	size_t count = 0, all = (size_t)t->picture->partition_count;

	t->choices = mem_grow(t->choices, &t->choice_capacity, all, sizeof(*t->choices));
	for (int pass = 0; pass < 2 && count == 0; pass++) {
		for (int32_t i = 0; i < t->picture->partition_count; i++) {
			/* Without any leader one is as good as the other. */
			if (pass == 0 && t->picture->partitions[i].leader < 0)
				continue;
			t->choices[count++] = (struct sticky_choice){i, line_of(t, i)->batch_count};
		}
	}
	sticky_pick(&t->sticky, shard_random(p->options.shard), t->choices, count, p->options.config->adaptive);
}

static int32_t choose_partition(struct produce_topic *t, struct bytes key)
{
	const struct client_config *g = t->producer->options.config;

	if (!bytes_is_null(key) && !g->ignore_keys)
		return partition_of_key(key, t->picture->partition_count);
	if (g->keyless == KEYLESS_ROUND_ROBIN)
		return (int32_t)(t->next_round++ % (uint32_t)t->picture->partition_count);
	if (t->sticky.partition < 0 || t->sticky.partition >= t->picture->partition_count)
		pick_sticky(t);
	return t->sticky.partition;
}

static void record_failed(struct producer *p, const struct produce_topic *t, int32_t partition,
			  const struct produce_record *r, const char *text, enum err error)
{
	struct produce_outcome o = {
		.topic = t->picture->name,
		.partition = partition,
		.error = error,
		.text = text,
		.base_offset = -1,
		.log_append_time_ms = -1,
		.opaques = &r->opaque,
		.times = &r->timestamp,
		.count = 1,
		.charged = r->charged,
	};

	if (p->transaction)
		transaction_record_failed(p->transaction, error, text, false);
	p->options.outcome(p->options.user, &o);
	if (p->transaction)
		transaction_progress(p->transaction);
}

static void append(struct producer *p, struct produce_topic *t, int32_t wanted, const struct produce_record *r)
{
	const struct client_config *g = p->options.config;
	int32_t partition = wanted >= 0 ? wanted : choose_partition(t, r->key);
	struct produce_line *l = line_of(t, partition);
	bool begun = false, kept_sticky;
	enum err e = produce_line_append(l, &p->pool, r, shard_now_us(p->options.shard), &begun);
	char text[PRODUCE_TEXT_SIZE];

	if (e) {
		snprintf(text, sizeof(text),
			 "a record of %zu bytes is larger than this client's max.request.size=%lld; raise that, and "
			 "the topic's max.message.bytes with it",
			 r->key.size + r->value.size, (long long)g->max_request_size);
		record_failed(p, t, partition, r, text, ERR_MESSAGE_TOO_LARGE);
		return;
	}
	if (!list_linked(&l->active))
		list_push_back(&p->active, &l->active);
	kept_sticky = wanted < 0 && g->keyless == KEYLESS_STICKY && (bytes_is_null(r->key) || g->ignore_keys);
	if (kept_sticky && sticky_add(&t->sticky, (int64_t)r->charged, g->batch_size, produce_line_full(l, &p->pool)))
		t->sticky.partition = -1;
	/* A new batch: the one before is full, or its linger begins. */
	if (begun || (p->hurry > 0 && l->batch_count == 1))
		shard_defer(p->options.shard, &p->work);
}

static bool partition_known(const struct produce_topic *t, int32_t partition)
{
	return t->picture->error == OK && t->picture->partition_count > 0 && partition < t->picture->partition_count;
}

void producer_add(struct producer *p, struct produce_topic *t, int32_t partition, const struct produce_record *r)
{
	enum err dropped;
	const char *text;

	if (p->stopping) {
		record_failed(p, t, partition, r, "the client is being closed", ERR_CANCELLED);
		return;
	}
	if (p->transaction && transaction_drops(p->transaction, &dropped, &text)) {
		record_failed(p, t, partition, r, text, dropped);
		return;
	}
	if (t->waiting.size == 0 && partition_known(t, partition)) {
		append(p, t, partition, r);
		return;
	}
	if (t->waiting.size == 0) {
		t->waiting_since_us = shard_now_us(p->options.shard);
		list_push_back(&p->waiting, &t->waiting_node);
		cluster_refresh(p->options.cluster);
		shard_defer(p->options.shard, &p->work);
	}
	parcel_put(&t->waiting, &(struct parcel_record){.record = *r, .partition = partition});
}

/* --- topics that are not known yet ------------------------------------------------------------------------------- */

/* Errors that will not go away by asking again. */
static bool topic_is_hopeless(enum err e)
{
	return e != OK && e != ERR_AGAIN && !err_retriable(e);
}

static void explain_waiting(struct producer *p, const struct produce_topic *t, int32_t partition, char *ret_text,
			    enum err *ret_error)
{
	const struct cluster_topic *picture = t->picture;
	const struct cluster *c = p->options.cluster;

	if (c->error) {
		*ret_error = c->error;
		snprintf(ret_text, PRODUCE_TEXT_SIZE, "%.350s; is the broker running?", c->why);
	} else if (picture->error == OK) {
		*ret_error = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		snprintf(ret_text, PRODUCE_TEXT_SIZE, "topic %.249s has %d partitions, so there is no number %d",
			 picture->name, picture->partition_count, partition);
	} else if (picture->error == ERR_UNKNOWN_TOPIC_OR_PARTITION) {
		*ret_error = picture->error;
		snprintf(ret_text, PRODUCE_TEXT_SIZE,
			 "topic %.249s does not exist, and the broker does not create it; `moldau topic create` does",
			 picture->name);
	} else {
		*ret_error = picture->error == ERR_AGAIN ? ERR_TIMED_OUT : picture->error;
		snprintf(ret_text, PRODUCE_TEXT_SIZE, "topic %.249s: %s", picture->name, err_text(*ret_error));
	}
}

/* `failed`: with this error; OK: with what is known of the topic. */
static void end_waiting(struct producer *p, struct produce_topic *t, bool failed, enum err why, const char *words)
{
	struct parcel_reader reader;
	struct parcel_record r;
	struct buf waiting = t->waiting;

	buf_init(&t->waiting, SIZE_MAX / 2);
	list_remove(&t->waiting_node);
	parcel_reader_init(&reader, buf_bytes(&waiting));
	while (parcel_next(&reader, &r)) {
		char text[PRODUCE_TEXT_SIZE];
		enum err error = why;

		if (!failed && partition_known(t, r.partition)) {
			append(p, t, r.partition, &r.record);
			continue;
		}
		if (why)
			snprintf(text, sizeof(text), "%s", words);
		else
			explain_waiting(p, t, r.partition, text, &error);
		record_failed(p, t, r.partition, &r.record, text, error);
	}
	parcel_reader_fini(&reader);
	buf_fini(&waiting);
}

/* max.block.ms is how long Java waits for a topic; with 0 (for the buffer) this would be never. */
static int64_t patience_us(const struct client_config *g)
{
	return (g->max_block_ms > 0 ? g->max_block_ms : g->delivery_timeout_ms) * 1000;
}

static void look_at_waiting(struct producer *p, int64_t now_us, int64_t *ret_due_us)
{
	const struct cluster *c = p->options.cluster;

	list_for_each(&p->waiting, n)
	{
		struct produce_topic *t = container_of(n, struct produce_topic, waiting_node);
		int64_t due_us = t->waiting_since_us + patience_us(p->options.config);
		bool known = t->picture->error == OK && t->picture->partition_count > 0;
		bool hopeless = topic_is_hopeless(t->picture->error) || (c->error && p->options.config->fail_fast);

		/* A broker that creates it does so at once, but what it said of others' topics may be older than the topic. */
		if (p->options.config->fail_fast && t->picture->error == ERR_UNKNOWN_TOPIC_OR_PARTITION &&
		    due_us > t->waiting_since_us + UNKNOWN_PATIENCE_US)
			due_us = t->waiting_since_us + UNKNOWN_PATIENCE_US;

		if (known)
			end_waiting(p, t, false, OK, NULL);
		else if (hopeless || due_us <= now_us)
			end_waiting(p, t, true, OK, NULL);
		else if (due_us < *ret_due_us)
			*ret_due_us = due_us;
	}
}

/* --- outcomes ---------------------------------------------------------------------------------------------------- */

static void batch_over(struct producer *p, struct produce_batch *b, struct produce_outcome *o)
{
	struct produce_line *l = b->line;
	struct produce_topic *t = l->topic;

	produce_batch_remove(b);
	if (list_empty(&l->batches))
		list_remove(&l->active);
	o->topic = t->picture->name;
	o->partition = l->partition;
	o->opaques = b->opaques;
	o->times = b->times;
	o->count = b->record_count;
	o->charged = b->charged;
	if (o->error && p->transaction)
		transaction_record_failed(p->transaction, o->error, o->text, b->sequence != NO_SEQUENCE);
	p->options.outcome(p->options.user, o);
	produce_batch_drop(&p->pool, b);
	if (p->transaction)
		transaction_progress(p->transaction);
}

void produce_batch_done(struct producer *p, struct produce_batch *b, int64_t base_offset, int64_t log_append_time_ms)
{
	batch_over(p, b,
		   &(struct produce_outcome){.base_offset = base_offset, .log_append_time_ms = log_append_time_ms});
}

void produce_batch_fail(struct producer *p, struct produce_batch *b, enum err error, const char *text)
{
	batch_over(p, b,
		   &(struct produce_outcome){.error = error,
					     .text = text ? text : err_text(error),
					     .base_offset = -1,
					     .log_append_time_ms = -1});
}

static int64_t expiry_us(const struct producer *p, const struct produce_batch *b)
{
	return b->created_us + p->options.config->delivery_timeout_ms * 1000;
}

static bool is_over_time(const struct producer *p, const struct produce_batch *b)
{
	return expiry_us(p, b) <= shard_now_us(p->options.shard);
}

/* A broker's refusal is final knowledge; of what got lost on the way nobody knows whether it was written. */
static bool is_in_doubt(enum err e)
{
	return e <= -1000 || e == ERR_REQUEST_TIMED_OUT || e == ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND ||
	       e == ERR_NETWORK_EXCEPTION || e == ERR_UNKNOWN_SERVER_ERROR;
}

static void give_up(struct producer *p, struct produce_batch *b, enum err error, const char *text)
{
	/* What is in doubt leaves the sequences as they are: the batch behind it will tell whether there is a hole. */
	if (b->sequence != NO_SEQUENCE && !is_in_doubt(error) && !p->transaction)
		b->line->renew = true;
	produce_batch_fail(p, b, error, text);
}

/* Errors about the producer's id and sequences: repeated in a new epoch, as Java does for producers without transactions. */
static bool mend_sequences(struct producer *p, struct produce_batch *b, enum err error)
{
	struct produce_line *l = b->line;

	if (b->sequence == NO_SEQUENCE)
		return false;
	/* In a transaction nothing gets new sequences: what the oldest is refused for ends it. */
	if (p->transaction)
		return error == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER && b != produce_line_oldest(l);
	switch ((int)error) {
	case ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
	case ERR_UNKNOWN_PRODUCER_ID:
		/* Only of the oldest it says that something is missing; others came too early. */
		if (b == produce_line_oldest(l))
			l->renew = true;
		return true;
	case ERR_INVALID_PRODUCER_EPOCH:
	case ERR_PRODUCER_FENCED:
	case ERR_INVALID_PRODUCER_ID_MAPPING:
		if (l->producer_id == p->producer_id && l->producer_epoch == p->producer_epoch)
			p->producer_id = NO_PRODUCER_ID;
		l->renew = true;
		return true;
	default:
		return false;
	}
}

/* The broker's own words do not say which limit it was. */
static void refused_size(const struct produce_batch *b, char *ret_text, size_t size)
{
	const struct produce_topic *t = b->line->topic;
	const char *topic = t->picture->name;

	snprintf(ret_text, size,
		 "a record of about %zu bytes is larger than topic %.100s takes (its max.message.bytes); `moldau topic "
		 "alter %.100s "
		 "--add-config max.message.bytes=%zu` lets it in",
		 b->bytes.size, topic, topic, b->bytes.size);
}

void produce_batch_answered(struct producer *p, struct produce_batch *b, enum err error, const char *text, bool moved)
{
	char size_text[PRODUCE_TEXT_SIZE];
	const char *dropped;
	enum err drop;
	int64_t wait_us;
	bool again;

	if (p->stopping) {
		produce_batch_fail(p, b, ERR_CANCELLED, "the client is being closed");
		return;
	}
	if (p->transaction && transaction_drops(p->transaction, &drop, &dropped)) {
		produce_batch_fail(p, b, drop, dropped);
		return;
	}
	if (err_refreshes_metadata(error) || error <= -1000)
		cluster_refresh(p->options.cluster);
	if ((error == ERR_MESSAGE_TOO_LARGE || error == ERR_RECORD_LIST_TOO_LARGE) && b->record_count > 1) {
		produce_batch_again(b, 0);
		if (produce_batch_split(&p->pool, b))
			return;
		give_up(p, b, error, text);
		return;
	}
	again = mend_sequences(p, b, error) || err_retriable(error) || (error <= -1000 && error != ERR_BAD_VERSION);
	if (error == ERR_MESSAGE_TOO_LARGE) {
		refused_size(b, size_text, sizeof(size_text));
		text = size_text;
	}
	if (!again || b->attempts > p->options.config->retries || is_over_time(p, b)) {
		give_up(p, b, error, text);
		return;
	}
	wait_us = client_backoff_us(p->options.shard, p->options.config, b->attempts);
	if (error == ERR_CONCURRENT_TRANSACTIONS && wait_us > CONCURRENT_BACKOFF_US)
		wait_us = CONCURRENT_BACKOFF_US;
	produce_batch_again(b, moved ? 0 : shard_now_us(p->options.shard) + wait_us);
}

/* --- what is due ------------------------------------------------------------------------------------------------- */

/* The oldest that are over time and not under way. False when the line has no batch left. */
static bool expire(struct producer *p, struct produce_line *l, int64_t now_us, int64_t *ret_due_us)
{
	struct produce_batch *b;

	while ((b = produce_line_oldest(l)) && !b->in_flight) {
		struct produce_topic *t = l->topic;
		char text[PRODUCE_TEXT_SIZE];

		if (expiry_us(p, b) > now_us) {
			if (expiry_us(p, b) < *ret_due_us)
				*ret_due_us = expiry_us(p, b);
			return true;
		}
		snprintf(text, sizeof(text), "%.249s/%d: not delivered within delivery.timeout.ms=%lld%s%.80s",
			 t->picture->name, l->partition, (long long)p->options.config->delivery_timeout_ms,
			 p->options.cluster->error ? "; " : "",
			 p->options.cluster->error ? p->options.cluster->why : "");
		produce_batch_fail(p, b, ERR_TIMED_OUT, text);
	}
	return b != NULL;
}

struct targets {
	struct peer *peers[TARGETS_MAX];
	struct list lines[TARGETS_MAX];
	size_t count;
};

/* Lines beyond the first 64 leaders have their turn when these are served. */
static void target(struct targets *t, struct peer *peer, struct produce_line *l)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		if (t->peers[i] == peer)
			break;
	if (i == TARGETS_MAX)
		return;
	if (i == t->count) {
		t->peers[t->count] = peer;
		list_init(&t->lines[t->count++]);
	}
	list_remove(&l->active);
	list_push_back(&t->lines[i], &l->active);
}

static struct peer *usable_leader(struct producer *p, const struct produce_line *l)
{
	const struct produce_topic *t = l->topic;
	struct peer *peer = cluster_leader(p->options.cluster, t->picture, l->partition);

	if (!peer) {
		cluster_refresh(p->options.cluster);
		return NULL;
	}
	if (peer_state(peer) != PEER_READY) {
		peer_wake(peer);
		return NULL;
	}
	return peer;
}

static void fail_all(struct producer *p, enum err error, const char *text)
{
	list_for_each(&p->active, n)
	{
		struct produce_line *l = container_of(n, struct produce_line, active);
		struct produce_batch *b;

		while ((b = produce_line_oldest(l)) && !b->in_flight)
			produce_batch_fail(p, b, error, text);
	}
}

static void drop_all(struct producer *p, enum err error, const char *text)
{
	list_for_each(&p->waiting, n)
		end_waiting(p, container_of(n, struct produce_topic, waiting_node), true, error, text);
	fail_all(p, error, text);
}

static void send_what_is_due(struct producer *p, int64_t now_us, int64_t *ret_due_us)
{
	struct targets targets = {.count = 0};
	struct list back;

	list_for_each(&p->active, n)
	{
		struct produce_line *l = container_of(n, struct produce_line, active);
		struct peer *peer;

		if (!expire(p, l, now_us, ret_due_us))
			continue;
		peer = usable_leader(p, l);
		if (p->transaction && !transaction_may_send(p->transaction, l))
			continue;
		if (!peer || (l->renew && l->in_flight > 0) || (l->renew && !producer_renew(p, l)))
			continue;
		target(&targets, peer, l);
	}
	list_init(&back);
	for (size_t i = 0; i < targets.count; i++) {
		producer_send(p, targets.peers[i], &targets.lines[i], ret_due_us);
		list_splice_back(&back, &targets.lines[i]);
	}
	list_splice_back(&p->active, &back);
}

static void on_work(struct task *task)
{
	struct producer *p = container_of(task, struct producer, work);
	int64_t now_us = shard_now_us(p->options.shard), due_us = INT64_MAX;
	const char *text;
	enum err error;

	if (p->stopping)
		return;
	if (p->transaction && transaction_drops(p->transaction, &error, &text))
		drop_all(p, error, text);
	look_at_waiting(p, now_us, &due_us);
	if (!list_empty(&p->active)) {
		if (p->id_error)
			fail_all(p, p->id_error, p->id_text);
		else if (!producer_id_ready(p))
			list_for_each(&p->active, n)
				expire(p, container_of(n, struct produce_line, active), now_us, &due_us);
		else
			send_what_is_due(p, now_us, &due_us);
	}
	if (due_us == INT64_MAX)
		timer_disarm(p->options.shard, &p->timer);
	else
		timer_arm(p->options.shard, &p->timer, due_us);
}

static void on_timer(struct timer *t)
{
	producer_wake(container_of(t, struct producer, timer));
}

void producer_wake(struct producer *p)
{
	shard_defer(p->options.shard, &p->work);
}

void producer_hurry(struct producer *p, bool on)
{
	if (on)
		p->hurry++;
	else
		p->hurry--;
	producer_wake(p);
}

/* --- the door ---------------------------------------------------------------------------------------------------- */

struct producer *producer_new(const struct producer_options *o)
{
	struct producer *p = mem_new(struct producer);
	size_t max = (size_t)o->config->max_request_size;
	struct batch_options batch = batch_options_default(max);

	p->options = *o;
	map_init(&p->topics);
	list_init(&p->waiting);
	list_init(&p->active);
	list_init(&p->flights);
	p->work.run = on_work;
	p->timer.fire = on_timer;
	p->producer_id = NO_PRODUCER_ID;
	batch.codec = (enum codec)o->config->codec;
	batch.level = client_config_level(o->config);
	batch.compressor = o->compressor;
	batch_pool_init(&p->pool, &batch, (size_t)o->config->batch_size, max);
	return p;
}

void producer_stop_await(struct fiber *self, struct producer *p)
{
	p->stopping = true;
	timer_disarm(p->options.shard, &p->timer);
	shard_defer_cancel(p->options.shard, &p->work);
	if (p->id_fiber) {
		fiber_cancel(p->id_fiber);
		fiber_join_await(self, p->id_fiber);
		p->id_fiber = NULL;
	}
	drop_all(p, ERR_CANCELLED, "the client is being closed");
}

void producer_free(struct producer *p)
{
	const struct map_entry *entry;
	size_t place = 0;

	if (!p)
		return;
	must(list_empty(&p->flights));
	fail_all(p, ERR_CANCELLED, "the client is being closed");
	timer_disarm(p->options.shard, &p->timer);
	shard_defer_cancel(p->options.shard, &p->work);
	while ((entry = map_next(&p->topics, &place))) {
		struct produce_topic *t = entry->value;

		for (int32_t i = 0; i < t->line_count; i++)
			mem_free(t->lines[i]);
		mem_free(t->lines);
		mem_free(t->choices);
		buf_fini(&t->waiting);
		mem_free(t);
	}
	map_fini(&p->topics);
	batch_pool_fini(&p->pool);
	mem_free(p);
}
