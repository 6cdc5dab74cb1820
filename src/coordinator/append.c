/* append: what steps record becomes batches of the log, and what they answer waits for them. See hosted.h. May call: replica/, record/. */
#include "base/alloc.h"
#include "base/mutant.h"
#include "base/saturate.h"
#include "coordinator/hosted.h"

enum err coordinator_error(enum err e)
{
	switch ((int)(enum err)err_to_kafka(e)) {
	case OK:
		return OK;
	case ERR_UNKNOWN_TOPIC_OR_PARTITION:
	case ERR_NOT_ENOUGH_REPLICAS:
	case ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
	case ERR_REQUEST_TIMED_OUT:
		return ERR_COORDINATOR_NOT_AVAILABLE;
	case ERR_NOT_LEADER_OR_FOLLOWER:
	case ERR_KAFKA_STORAGE_ERROR:
	case ERR_FENCED_LEADER_EPOCH:
	case ERR_UNKNOWN_LEADER_EPOCH:
		return ERR_NOT_COORDINATOR;
	default:
		return ERR_UNKNOWN_SERVER_ERROR;
	}
}

void coordinator_tell(struct coordinator *c, struct list *answered, enum err why)
{
	if (list_empty(answered))
		return;
	if (why)
		list_for_each(answered, n) container_of(n, struct coordinator_call, node)->error = why;
	list_splice_back(&c->told, answered);
	shard_defer(c->options.shard, &c->tell);
}

#define MARKER_BYTES ((size_t)1024)

/* --- batches ---------------------------------------------------------------------------------------------------------- */

size_t hosted_batch_bytes(const struct hosted *h)
{
	const struct replica_settings *s = &h->partition->topic->settings;
	size_t segment_bytes = (size_t)s->log.segment_bytes;
	size_t bytes = s->max_message_bytes < segment_bytes ? s->max_message_bytes : segment_bytes;

	/* What does not compress grows a little, and the topic's maximum is of what it then is. */
	if (h->coordinator->options.codec != CODEC_NONE)
		bytes = bytes > bytes / 128 + 512 ? bytes - bytes / 128 - 512 : 0;
	return bytes > BATCH_HEADER_SIZE ? bytes : BATCH_HEADER_SIZE;
}

static void batch_free(struct step_batch *b)
{
	must(list_empty(&b->answered));
	batch_builder_fini(&b->builder);
	buf_fini(&b->marker);
	mem_free(b);
}

static void arm_late(struct hosted *h, const struct step_batch *b)
{
	if (!timer_armed(&h->late))
		timer_arm(hosted_shard(h), &h->late, b->late_us);
}

static struct step_batch *batch_new(struct hosted *h)
{
	struct coordinator *c = h->coordinator;
	struct step_batch *b = mem_new(struct step_batch);

	list_init(&b->answered);
	b->hosted = h;
	b->late_us = us_after_ms(shard_now_us(c->options.shard), c->options.commit_timeout_ms);
	return b;
}

static void open_batch(struct hosted *h, const struct step *s)
{
	struct coordinator *c = h->coordinator;
	struct step_batch *b = batch_new(h);
	struct batch_options o = batch_options_default(hosted_batch_bytes(h));

	o.codec = c->options.codec;
	o.compressor = replicas_compressor(c->options.replicas);
	o.producer_id = s->producer_id;
	o.producer_epoch = s->producer_epoch;
	o.is_transactional = s->producer_id != NO_PRODUCER_ID;
	if (o.is_transactional) {
		o.base_sequence = 0; /* as Kafka writes it; nobody counts these */
		b->append.verified_only = c->producer.verified_only;
		b->append.guard = c->producer.guard;
	}
	batch_builder_init(&b->builder, &o);
	h->open = b;
	arm_late(h, b);
	shard_defer(c->options.shard, &h->flush);
}

static void on_appended(struct partition_append *a)
{
	(void)a; /* that it has its place is of no use before it is committed */
}

static void on_finished(struct partition_append *a)
{
	struct step_batch *b = container_of(a, struct step_batch, append);
	struct hosted *h = b->hosted;
	struct coordinator *c = h->coordinator;
	enum err e = a->error;
	bool harmless = b->harmless;

	list_remove(&b->node);
	h->appended_count--;
	coordinator_tell(c, &b->answered, harmless ? OK : coordinator_error(e));
	batch_free(b);
	if (e && !harmless && h->state == HOSTED_ACTIVE && !MUTANT(COORDINATOR_KEEPS_STATE))
		hosted_fail(h, e);
	else if (!e)
		h->pauses = 0;
	if (h->open)
		shard_defer(c->options.shard, &h->flush);
	if (list_empty(&h->appended))
		event_signal(&c->changed);
	hosted_maybe_free(h);
}

/* What was appended last, or is being; NULL: all is committed. One that was refused alone says nothing of those before it. */
static struct step_batch *last_appended(const struct hosted *h)
{
	for (struct list_node *n = h->appended.head.previous; n != &h->appended.head; n = n->previous) {
		struct step_batch *b = container_of(n, struct step_batch, node);

		if (!b->harmless)
			return b;
	}
	return NULL;
}

/* Once one of them has failed, those behind it must not stay: the log cuts them, and nothing may follow. */
static bool may_append(struct hosted *h)
{
	const struct step_batch *last = last_appended(h);

	if (!h->refused && last)
		h->refused = last->append.error;
	return !h->refused || MUTANT(COORDINATOR_KEEPS_STATE);
}

static void append_batch(struct hosted *h, struct step_batch *b, struct bytes records)
{
	list_push_back(&h->appended, &b->node);
	h->appended_count++;
	b->append.records = records;
	b->append.origin = APPEND_COORDINATOR;
	b->append.acks = ACKS_ALL;
	b->append.allow_zstd = true;
	b->append.current_leader_epoch = -1;
	b->append.appended = on_appended;
	b->append.finished = on_finished;
	partition_append(h->partition, &b->append);
}

void hosted_flush(struct hosted *h)
{
	struct coordinator *c = h->coordinator;
	struct step_batch *b = h->open;
	struct bytes records;

	if (!b || !may_append(h))
		return;
	if (batch_builder_finish(&b->builder, &records))
		must_not_reach(); /* it has records, and room for them compressed */
	h->open = NULL;
	c->figures.batches++;
	c->figures.records += (uint64_t)b->builder.record_count;
	append_batch(h, b, records);
	/* Refused at once: `finished` comes later, but nothing may be appended meanwhile. */
	h->refused = b->append.error;
}

enum err hosted_append_marker(struct hosted *h, const struct end_marker *marker, int8_t transaction_version)
{
	struct step_batch *b;

	hosted_flush(h);
	if (!may_append(h))
		return OK;
	b = batch_new(h);
	buf_init(&b->marker, MARKER_BYTES);
	b->append.transaction_version = transaction_version;
	if (end_marker_write(marker, shard_wall_ms(hosted_shard(h)), &b->marker))
		must_not_reach();
	append_batch(h, b, buf_bytes(&b->marker));
	if (b->append.error == ERR_INVALID_PRODUCER_EPOCH || b->append.error == ERR_TRANSACTION_COORDINATOR_FENCED) {
		b->harmless = true;
		return b->append.error;
	}
	h->refused = b->append.error;
	return OK;
}

void hosted_flush_task(struct task *t)
{
	struct hosted *h = container_of(t, struct hosted, flush);

	if (h->state != HOSTED_ACTIVE || h->appended_count >= BATCHES_ON_THEIR_WAY)
		return;
	hosted_flush(h);
	if (MUTANT(COORDINATOR_KEEPS_STATE))
		h->refused = OK;
	if (h->refused)
		hosted_fail(h, h->refused);
}

void hosted_drop_open(struct hosted *h, enum err why)
{
	struct step_batch *b = h->open;

	if (!b)
		return;
	h->open = NULL;
	coordinator_tell(h->coordinator, &b->answered, why);
	batch_free(b);
}

/* --- steps ------------------------------------------------------------------------------------------------------------ */

static struct bytes key_of(const struct step *s, const struct step_record *r)
{
	return bytes_of(s->bytes.data + r->key_offset, r->key_size);
}

static struct bytes value_of(const struct step *s, const struct step_record *r)
{
	return r->tombstone ? bytes_null() : bytes_of(s->bytes.data + r->value_offset, r->value_size);
}

static bool is_of(const struct step_batch *b, const struct step *s)
{
	return b->builder.options.producer_id == s->producer_id &&
	       b->builder.options.producer_epoch == s->producer_epoch;
}

/* A crash between two batches would leave half a step, so a new one is begun where that keeps it whole. */
static bool fits(const struct hosted *h, const struct step *s)
{
	size_t size = batch_builder_size(&h->open->builder);

	for (size_t i = 0; i < s->record_count; i++)
		size += record_size_bound(key_of(s, &s->records[i]), value_of(s, &s->records[i]), NULL, 0);
	return size <= h->open->builder.options.max_bytes;
}

static enum err put_record(struct hosted *h, const struct step *s, const struct step_record *r)
{
	if (!h->open)
		open_batch(h, s);
	return batch_builder_append(&h->open->builder, s->wall_ms, key_of(s, r), value_of(s, r), NULL, 0);
}

static void put_records(struct hosted *h, const struct step *s)
{
	bool of_producer = s->producer_id != NO_PRODUCER_ID;

	if (h->open && (of_producer || !is_of(h->open, s) || !fits(h, s)))
		hosted_flush(h);
	for (size_t i = 0; i < s->record_count && !h->refused; i++) {
		enum err e = put_record(h, s, &s->records[i]);

		if (e == ERR_TOO_BIG && h->open->builder.record_count > 0) {
			hosted_flush(h);
			if (!h->refused)
				e = put_record(h, s, &s->records[i]);
		}
		/* The machine passed step.max_record_bytes. */
		if (e && !h->refused)
			h->refused = ERR_MESSAGE_TOO_LARGE;
	}
	if (of_producer && !h->refused)
		hosted_flush(h);
}

/* Behind what was appended last; when all of that is committed, at once. */
static void put_answers(struct hosted *h, struct list *answered)
{
	struct step_batch *last = h->open ? h->open : last_appended(h);

	if (h->refused) {
		coordinator_tell(h->coordinator, answered, coordinator_error(h->refused));
	} else if (last && !MUTANT(COORDINATOR_ANSWERS_EARLY)) {
		list_splice_back(&last->answered, answered);
		arm_late(h, last);
	} else {
		coordinator_tell(h->coordinator, answered, OK);
	}
}

void hosted_take_step(struct hosted *h, struct step *s)
{
	if (s->record_count > 0)
		put_records(h, s);
	list_for_each(&s->answered, n) container_of(n, struct coordinator_call, node)->place = NULL;
	put_answers(h, &s->answered);
}

/* --- answers that take too long ---------------------------------------------------------------------------------------- */

static void tell_late(struct hosted *h, struct step_batch *b, int64_t now_us, int64_t *next_us)
{
	struct coordinator *c = h->coordinator;
	struct list patient, late;
	struct list_node *n;

	if (list_empty(&b->answered))
		return;
	if (b->late_us > now_us) {
		*next_us = b->late_us < *next_us ? b->late_us : *next_us;
		return;
	}
	list_init(&patient);
	list_init(&late);
	while ((n = list_pop_front(&b->answered))) {
		bool waits = container_of(n, struct coordinator_call, node)->patient;

		list_push_back(waits ? &patient : &late, n);
		c->figures.timeouts += !waits;
	}
	list_splice_back(&b->answered, &patient);
	coordinator_tell(c, &late, coordinator_error(ERR_REQUEST_TIMED_OUT));
}

void hosted_late(struct timer *t)
{
	struct hosted *h = container_of(t, struct hosted, late);
	int64_t now_us = shard_now_us(hosted_shard(h)), next_us = INT64_MAX;

	list_for_each(&h->appended, n) tell_late(h, container_of(n, struct step_batch, node), now_us, &next_us);
	if (h->open)
		tell_late(h, h->open, now_us, &next_us);
	if (next_us < INT64_MAX)
		timer_arm(hosted_shard(h), &h->late, next_us);
}
