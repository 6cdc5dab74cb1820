/* partition: see the header. Calls storage/log and record/batch; waiting and telling is all its own. */
#include "replica/partition.h"

#include "base/alloc.h"
#include "base/mutant.h"
#include "replica/replicas.h"
#include "runtime/shard.h"

static struct shard *shard_of(const struct partition *p)
{
	return replicas_shard(p->topic->replicas);
}

static void maybe_finish(struct partition_append *a)
{
	if (!a->settled || !a->acknowledged || a->bytes_held)
		return;
	buf_fini(&a->rewritten);
	a->finished(a);
}

static void notify(struct task *t)
{
	struct partition_append *a = container_of(t, struct partition_append, notify);

	a->settled = true;
	a->appended(a);
	maybe_finish(a);
}

/* Its place is settled: the caller hears of it once he is back from partition_append. */
static void settle(struct partition_append *a)
{
	a->notify.run = notify;
	shard_defer(shard_of(a->partition), &a->notify);
}

static void fail(struct partition_append *a, enum err e)
{
	a->error = e;
	a->base_offset = -1;
	a->log_append_time_ms = -1;
	a->acknowledged = true;
}

/* Kafka looks at the request before it asks the log: one whole batch of today's format, or no answer of the log's. */
static bool is_one_batch(struct bytes records)
{
	struct batch_header header;
	struct bytes batch, rest = records;

	return !batch_next(&rest, &header, &batch) && rest.size < BATCH_HEADER_SIZE;
}

/* What was checked before the log was asked has no start offset in its answer. */
static bool checked_before_the_log(const struct partition_append *a, enum err e)
{
	switch (e) {
	case ERR_INVALID_RECORD:
		return !is_one_batch(a->records);
	case ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
	case ERR_INVALID_PRODUCER_EPOCH:
	case ERR_INVALID_TXN_STATE:
	case ERR_TRANSACTION_COORDINATOR_FENCED:
	case ERR_INVALID_TIMESTAMP:
	case ERR_UNKNOWN_SERVER_ERROR:
		return false;
	default:
		return true;
	}
}

static void released(struct log_append *log_append)
{
	struct partition_append *a = container_of(log_append, struct partition_append, log);

	a->bytes_held = false;
	maybe_finish(a);
}

static struct batch_rules rules_of(const struct partition *p, const struct partition_append *a)
{
	const struct replica_settings *s = &p->topic->settings;
	size_t most = replicas_max_decompressed_bytes(p->topic->replicas);

	if (s->max_decompressed_bytes > 0 && s->max_decompressed_bytes < most)
		most = s->max_decompressed_bytes;
	return (struct batch_rules){
		.max_message_bytes = s->max_message_bytes,
		.max_decompressed_bytes = most,
		.compacted = s->compacted,
		.log_append_time = s->log_append_time,
		.allow_zstd = a->allow_zstd,
		.allow_transactional = a->transactional || a->origin == APPEND_COORDINATOR,
		.allow_no_sequence = a->origin == APPEND_COORDINATOR,
		.codec = s->codec,
		.level = s->level,
		.compressor = replicas_compressor(p->topic->replicas),
		.now_ms = shard_wall_ms(shard_of(p)),
		.before_max_ms = s->timestamp_before_max_ms,
		.after_max_ms = s->timestamp_after_max_ms,
	};
}

/* What a coordinator writes of its own: one whole control batch. */
static bool is_marker(const struct partition_append *a)
{
	return a->origin == APPEND_COORDINATOR && batch_is_control(&a->facts.header);
}

/* Validates the bytes and mends what may be mended; a->log.batch and size are what goes to the log. */
static enum err prepare(struct partition *p, struct partition_append *a)
{
	struct batch_rules rules = rules_of(p, a);
	enum err e;

	if (a->origin == APPEND_COORDINATOR && batch_header_read(a->records, &a->facts.header) == OK && is_marker(a)) {
		a->log.batch = (uint8_t *)(uintptr_t)a->records.data;
		a->log.size = a->records.size;
		return OK;
	}
	e = batch_validate(a->records, &rules, &a->facts);
	if (e)
		return e;
	/* The request's frame belongs to this request alone, so its bytes may be changed where they are. */
	a->log.batch = (uint8_t *)(uintptr_t)a->records.data;
	a->log.size = a->facts.size;
	if (a->facts.change == BATCH_FIX_HEADER)
		batch_fix_header(a->log.batch, &rules, &a->facts);
	if (a->facts.change != BATCH_FIX_RECORDS)
		return OK;
	buf_init(&a->rewritten, rules.max_decompressed_bytes + BATCH_HEADER_SIZE);
	e = batch_rewrite(a->records, &rules, &a->facts, &a->rewritten);
	if (e)
		return e;
	a->log.batch = a->rewritten.data;
	a->log.size = a->rewritten.size;
	return OK;
}

static bool committed(const struct partition *p, const struct partition_append *a)
{
	int64_t last = a->log.last_offset;

	switch (a->acks) {
	case ACKS_NONE:
		return true;
	case ACKS_LEADER:
		return last < log_written_offset(p->log);
	case ACKS_ALL:
		if (MUTANT(ACK_BEFORE_SYNC))
			return last < log_written_offset(p->log);
		return last < p->high_watermark;
	}
	must_not_reach();
}

/* By last offset: nearly always at the end, but a duplicate waits for its original's offsets. */
static void wait_for_acks(struct partition *p, struct partition_append *a)
{
	struct list_node *at = p->appended.head.previous;

	while (at != &p->appended.head &&
	       container_of(at, struct partition_append, node)->log.last_offset > a->log.last_offset)
		at = at->previous;
	list_insert_before(at->next, &a->node);
}

/* The log is open: the append gets its place now, or its error. */
static void append_now(struct partition *p, struct partition_append *a)
{
	enum err e = partition_check_epoch(p, a->current_leader_epoch);

	if (!e)
		e = prepare(p, a);
	if (!e) {
		a->log.facts = &a->facts;
		a->log.leader_epoch = p->leader_epoch;
		a->log.log_append_time = p->topic->settings.log_append_time;
		a->log.origin = a->origin;
		a->log.transaction_version = a->transaction_version;
		a->log.verified_only = a->verified_only;
		a->log.guard = a->guard;
		a->log.released = released;
		e = log_append_batch(p->log, &a->log);
		a->bytes_held = !e;
	}
	if (e && e != ERR_DUPLICATE_SEQUENCE_NUMBER) {
		fail(a, (enum err)err_to_kafka(e));
		a->log_start_offset = checked_before_the_log(a, e) ? -1 : log_start_offset(p->log);
		settle(a);
		return;
	}
	a->base_offset = a->log.base_offset;
	a->log_append_time_ms = a->log.log_append_time_ms;
	a->log_start_offset = log_start_offset(p->log);
	a->acknowledged = committed(p, a);
	if (!a->acknowledged)
		wait_for_acks(p, a);
	settle(a);
}

void partition_append(struct partition *p, struct partition_append *a)
{
	a->partition = p;
	a->error = OK;
	a->log_start_offset = -1;
	if (replicas_refuse_writes(p->topic->replicas)) {
		fail(a, ERR_POLICY_VIOLATION);
		settle(a);
		return;
	}
	switch (p->state) {
	case PARTITION_OPEN:
		append_now(p, a);
		return;
	case PARTITION_CLOSED:
	case PARTITION_OPENING:
		list_push_back(&p->arrivals, &a->node);
		replicas_touch(p->topic->replicas, p);
		return;
	case PARTITION_OFFLINE:
		fail(a, ERR_KAFKA_STORAGE_ERROR);
		settle(a);
		return;
	case PARTITION_REMOVED:
		fail(a, ERR_UNKNOWN_TOPIC_OR_PARTITION);
		settle(a);
		return;
	}
	must_not_reach();
}

size_t partition_record_errors(const struct partition_append *a, struct record_error *ret_errors, size_t max)
{
	struct batch_rules rules = rules_of(a->partition, a);

	return batch_record_errors(a->records, &rules, ret_errors, max);
}

static void wake_readers(struct partition *p)
{
	struct list woken;
	struct list_node *n;

	/* Aside first: who is told may wait again at once, for the next progress. */
	list_init(&woken);
	list_splice_back(&woken, &p->readers);
	while ((n = list_pop_front(&woken))) {
		struct partition_reader *r = container_of(n, struct partition_reader, node);

		r->progressed(r);
	}
}

static void finish_all(struct list *done)
{
	struct list_node *n;

	while ((n = list_pop_front(done))) {
		struct partition_append *a = container_of(n, struct partition_append, node);

		a->acknowledged = true;
		maybe_finish(a);
	}
}

/* Those whose acks are there now leave the line together. */
static void finish_committed(struct partition *p)
{
	struct list done;
	int64_t written = log_written_offset(p->log);

	list_init(&done);
	list_for_each(&p->appended, n)
	{
		struct partition_append *a = container_of(n, struct partition_append, node);

		if (a->log.last_offset >= written)
			break;
		if (!committed(p, a))
			continue;
		list_remove(n);
		if (MUTANT(LOST_WAITER) && !list_empty(&done))
			continue;
		list_push_back(&done, n);
	}
	finish_all(&done);
}

static bool advance_high_watermark(struct partition *p)
{
	int64_t to = p->topic->settings.log.write_caching ? log_written_offset(p->log) : log_synced_offset(p->log);

	if (to <= p->high_watermark)
		return false;
	p->high_watermark = to;
	/* With write.caching what is acknowledged may be lost, as in Kafka: the log makes no more of it than is synced. */
	log_note_acknowledged(p->log, to);
	return true;
}

void partition_update(struct partition *p)
{
	bool moved;

	if (p->state != PARTITION_OPEN)
		return;
	moved = advance_high_watermark(p);
	finish_committed(p);
	if (moved || MUTANT(FETCH_BEYOND_SYNCED))
		wake_readers(p);
}

static void log_progressed(struct log_owner *o)
{
	partition_update(container_of(o, struct partition, log_owner));
}

/* What was taken back will never be committed: its producers are told, and may send it again. */
static void log_cut(struct log_owner *o, int64_t offset, enum err reason)
{
	struct partition *p = container_of(o, struct partition, log_owner);
	struct list done;

	list_init(&done);
	list_for_each(&p->appended, n)
	{
		struct partition_append *a = container_of(n, struct partition_append, node);

		if (a->log.last_offset < offset)
			continue;
		fail(a, (enum err)err_to_kafka(reason));
		list_remove(n);
		list_push_back(&done, n);
	}
	finish_all(&done);
	if (p->state == PARTITION_OPEN && log_state(p->log))
		partition_failed(p);
}

void partition_init(struct partition *p, struct topic_replicas *topic, int32_t index, int32_t leader_epoch)
{
	*p = (struct partition){
		.log_owner = {.progressed = log_progressed, .cut = log_cut},
		.topic = topic,
		.index = index,
		.leader_epoch = leader_epoch,
	};
	list_init(&p->arrivals);
	list_init(&p->appended);
	list_init(&p->readers);
}

void partition_opened(struct partition *p, struct log *log)
{
	struct list_node *n;

	must(p->state == PARTITION_OPENING);
	p->log = log;
	p->state = PARTITION_OPEN;
	p->high_watermark = log_synced_offset(log);
	log_note_acknowledged(log, p->high_watermark);
	while (p->state == PARTITION_OPEN && (n = list_pop_front(&p->arrivals)))
		append_now(p, container_of(n, struct partition_append, node));
	wake_readers(p);
}

static void refuse(struct partition *p, struct list *line, enum err reason)
{
	struct list_node *n;

	while ((n = list_pop_front(line))) {
		struct partition_append *a = container_of(n, struct partition_append, node);
		bool unsettled = line == &p->arrivals;

		fail(a, reason);
		if (unsettled)
			settle(a);
		else
			maybe_finish(a);
	}
}

void partition_failed(struct partition *p)
{
	p->state = PARTITION_OFFLINE;
	refuse(p, &p->arrivals, ERR_KAFKA_STORAGE_ERROR);
	refuse(p, &p->appended, ERR_KAFKA_STORAGE_ERROR);
	wake_readers(p);
}

void partition_removed(struct partition *p, enum err reason)
{
	p->state = PARTITION_REMOVED;
	if (p->log)
		log_set_owner(p->log, NULL);
	refuse(p, &p->arrivals, reason);
	refuse(p, &p->appended, reason);
	wake_readers(p);
}

void partition_wait_progress(struct partition *p, struct partition_reader *r)
{
	list_push_back(&p->readers, &r->node);
}

void partition_stop_waiting(struct partition_reader *r)
{
	if (list_linked(&r->node))
		list_remove(&r->node);
}

enum err partition_check_epoch(const struct partition *p, int32_t current_leader_epoch)
{
	if (current_leader_epoch < 0 || current_leader_epoch == p->leader_epoch)
		return OK;
	return current_leader_epoch < p->leader_epoch ? ERR_FENCED_LEADER_EPOCH : ERR_UNKNOWN_LEADER_EPOCH;
}

enum err partition_readable(const struct partition *p)
{
	switch (p->state) {
	case PARTITION_OPEN:
		return OK;
	case PARTITION_CLOSED:
	case PARTITION_OPENING:
		return ERR_AGAIN;
	case PARTITION_OFFLINE:
		return ERR_KAFKA_STORAGE_ERROR;
	case PARTITION_REMOVED:
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	}
	must_not_reach();
}

enum err partition_delete_records_await(struct fiber *self, struct partition *p, int64_t offset,
					int64_t *ret_low_watermark)
{
	const struct log_config *c = &p->topic->settings.log;
	enum err e;

	if ((c->cleanup_compact && !c->cleanup_delete) || replicas_refuse_writes(p->topic->replicas))
		return ERR_POLICY_VIOLATION;
	if (offset == -1)
		offset = p->high_watermark;
	if (offset < 0 || offset > p->high_watermark)
		return ERR_OFFSET_OUT_OF_RANGE;
	e = log_advance_start_await(self, p->log, offset);
	/* The topic may have gone meanwhile; then its log is not to be asked any more. */
	if (p->state == PARTITION_REMOVED || e == ERR_CANCELLED)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (e)
		return ERR_KAFKA_STORAGE_ERROR;
	*ret_low_watermark = log_start_offset(p->log);
	return OK;
}

int64_t partition_last_stable(const struct partition *p)
{
	int64_t unstable = log_first_unstable(p->log);

	return unstable < p->high_watermark ? unstable : p->high_watermark;
}

int64_t partition_read_bound(const struct partition *p, bool committed_only)
{
	if (MUTANT(FETCH_BEYOND_SYNCED))
		return log_written_offset(p->log);
	return committed_only ? partition_last_stable(p) : p->high_watermark;
}

enum err partition_check_producer(const struct partition *p, const struct partition_append *a, int64_t producer_id,
				  int16_t producer_epoch)
{
	const struct log_append append = {
		.origin = APPEND_COORDINATOR, .verified_only = a->verified_only, .guard = a->guard};

	return log_check_producer(p->log, &append, producer_id, producer_epoch);
}

uint64_t partition_verify(struct partition *p, struct bytes records, bool begins_at_zero)
{
	struct batch_header h;

	if (batch_header_read(records, &h) || !batch_is_transactional(&h) || batch_is_control(&h) || h.producer_id < 0)
		return 0;
	return log_verify(p->log, &h, begins_at_zero);
}

uint64_t partition_verify_producer(struct partition *p, int64_t producer_id, int16_t producer_epoch)
{
	const struct batch_header h = {
		.producer_id = producer_id, .producer_epoch = producer_epoch, .base_sequence = 0};

	return log_verify(p->log, &h, false);
}
