/*
 * load: a machine's state from its partition's log, in a fiber, a slice at a time: the shard goes on with its other work. See hosted.h.
 * May call: replica/, storage/log, record/.
 */
#include "base/alloc.h"
#include "coordinator/hosted.h"

/* Between two looks at what else there is to do: about a quarter of a millisecond in a release build. */
#define SLICE_RECORDS 512
#define SLICE_BYTES ((size_t)256 * 1024)
/* How long until somebody has given memory, or a fiber, back. */
#define SOON_US 10000

struct load {
	struct hosted *hosted;
	struct coordinator *coordinator;
	int64_t next; /* offset */
	struct buf scratch;
	struct log_read read;
	bool read_over;
	struct partition_reader reader;
	size_t slice_records;
	size_t slice_bytes;
	uint64_t records;
};

static bool unwanted(const struct load *l)
{
	return l->hosted->state == HOSTED_UNHOSTED;
}

static void yield_await(struct fiber *self, struct load *l)
{
	l->slice_records = 0;
	l->slice_bytes = 0;
	fiber_yield_await(self);
}

/* --- the records of a batch ---------------------------------------------------------------------------------------------- */

static enum err replay_marker(struct load *l, const struct batch_header *h, const struct record *r)
{
	const struct machine_ops *ops = l->coordinator->options.ops;
	struct end_marker marker;
	enum err e = end_marker_read(h, r, &marker);

	if (e == ERR_NOT_FOUND)
		return OK; /* a leader's change, or what a newer broker wrote */
	if (!e && ops->replay_marker)
		ops->replay_marker(l->hosted->machine, &marker);
	return e;
}

static enum err replay_record(struct load *l, const struct batch_header *h, const struct record *r)
{
	bool of_producer = batch_is_transactional(h);
	struct replayed replayed = {
		.offset = r->offset,
		.timestamp_ms = r->timestamp,
		.key = r->key,
		.value = r->value,
		.producer_id = of_producer ? h->producer_id : NO_PRODUCER_ID,
		.producer_epoch = of_producer ? h->producer_epoch : NO_PRODUCER_EPOCH,
	};

	if (r->offset < l->next)
		return OK;
	l->records++;
	if (batch_is_control(h))
		return replay_marker(l, h, r);
	/* No record of a machine is without a key: somebody else wrote it. */
	return bytes_is_null(r->key) ? OK : l->coordinator->options.ops->replay(l->hosted->machine, &replayed);
}

static enum err replay_batch_await(struct fiber *self, struct load *l, struct bytes batch)
{
	struct coordinator *c = l->coordinator;
	struct record_iter it;
	struct record r;
	enum err e = batch_crc_ok(batch) ? OK : ERR_CORRUPT;

	if (!e)
		e = record_iter_init(&it, batch, &l->scratch, replicas_max_decompressed_bytes(c->options.replicas),
				     replicas_compressor(c->options.replicas));
	while (!e && !(e = record_iter_next(&it, &r))) {
		e = replay_record(l, &it.header, &r);
		l->slice_bytes += r.key.size + r.value.size;
		if (++l->slice_records < SLICE_RECORDS && l->slice_bytes < SLICE_BYTES)
			continue;
		yield_await(self, l);
		if (unwanted(l))
			return ERR_CANCELLED;
	}
	return e == ERR_END ? OK : ERR_CORRUPT;
}

/* --- the log --------------------------------------------------------------------------------------------------------- */

static void on_read(struct log_read *r)
{
	struct load *l = container_of(r, struct load, read);

	l->read_over = true;
	event_signal(&l->coordinator->changed);
}

static void on_progress(struct partition_reader *r)
{
	event_signal(&container_of(r, struct load, reader)->coordinator->changed);
}

static void wait_await(struct fiber *self, struct load *l, int64_t deadline_us)
{
	if (event_wait_await(self, &l->coordinator->changed, deadline_us) == ERR_CANCELLED)
		fiber_yield_await(self);
}

static enum err read_await(struct fiber *self, struct load *l, int64_t to)
{
	l->read = (struct log_read){
		.offset = l->next,
		.max_offset = to,
		.max_bytes = l->coordinator->options.load_bytes,
		.at_least_one = true,
		.done = on_read,
	};
	l->read_over = false;
	log_read_start(l->hosted->partition->log, &l->read);
	while (!l->read_over) {
		l->read.unwanted = unwanted(l);
		wait_await(self, l, FIBER_NO_DEADLINE);
	}
	return l->read.error;
}

static enum err replay_bytes_await(struct fiber *self, struct load *l, struct bytes bytes)
{
	struct batch_header h;
	struct bytes batch;
	enum err e;

	while (!(e = batch_next(&bytes, &h, &batch))) {
		e = replay_batch_await(self, l, batch);
		if (e)
			return e;
		l->next = batch_last_offset(&h) + 1;
	}
	return e == ERR_END ? OK : e;
}

/* What there is from l->next on, up to `to` at most; l->next moves. */
static enum err replay_some_await(struct fiber *self, struct load *l, int64_t to)
{
	enum err e = read_await(self, l, to);

	if (e == ERR_NO_MEMORY) {
		wait_await(self, l, shard_now_us(fiber_shard(self)) + SOON_US);
		return unwanted(l) ? ERR_CANCELLED : OK;
	}
	if (e == ERR_OFFSET_OUT_OF_RANGE && !unwanted(l) && l->next < log_start_offset(l->hosted->partition->log)) {
		l->next = log_start_offset(l->hosted->partition->log);
		return OK;
	}
	if (e || unwanted(l)) {
		if (!e)
			blob_unref(l->read.blob);
		return e ? e : ERR_CANCELLED;
	}
	if (l->read.records.size == 0) {
		l->next = to; /* what was there was compacted away */
		return OK;
	}
	e = replay_bytes_await(self, l, l->read.records);
	blob_unref(l->read.blob);
	return e;
}

/* Up to the log's end, all of it committed: then nothing is under way that the state would not know of. */
static enum err replay_all_await(struct fiber *self, struct load *l)
{
	struct hosted *h = l->hosted;
	enum err e = OK;

	l->next = log_start_offset(h->partition->log);
	while (!e) {
		struct partition *p = h->partition;

		e = partition_readable(p);
		if (e)
			break;
		if (l->next < p->high_watermark) {
			e = replay_some_await(self, l, p->high_watermark);
		} else if (p->high_watermark < log_end_offset(p->log)) {
			partition_wait_progress(p, &l->reader);
			wait_await(self, l, FIBER_NO_DEADLINE);
			partition_stop_waiting(&l->reader);
		} else {
			break;
		}
		if (unwanted(l))
			return ERR_CANCELLED;
	}
	return e;
}

/* --- the loaders ------------------------------------------------------------------------------------------------------ */

static void say(struct load *l, enum err e, int64_t began_us)
{
	struct hosted *h = l->hosted;
	struct coordinator *c = l->coordinator;
	struct logger *log = shard_log(c->options.shard);
	int64_t took_us = shard_now_us(c->options.shard) - began_us;
	const char *topic = h->partition->topic->name, *name = c->options.ops->name;

	c->figures.load_us += took_us;
	c->figures.loaded_records += l->records;
	if (e == ERR_CORRUPT)
		log_error(log,
			  "%s-%d: its %s cannot be loaded: what is at offset %lld or right behind it is damaged; its "
			  "groups "
			  "are not available",
			  topic, h->index, name, (long long)l->next);
	else if (e && h->pauses == 0)
		log_warn(log, "%s-%d: its %s cannot be loaded: %s; it is tried again", topic, h->index, name,
			 err_text(e));
	else if (!e && l->records > 0)
		log_info(log, "%s-%d: %s loaded, %llu records in %lld ms", topic, h->index, name,
			 (unsigned long long)l->records, (long long)(took_us / 1000));
}

static enum err load_await(struct fiber *self, struct load *l)
{
	struct hosted *h = l->hosted;
	const struct coordinator_options *o = &l->coordinator->options;
	struct partition *p;
	enum err e;

	/* What a state before this one appended must be decided first: it is there, or it was cut. */
	while (!list_empty(&h->appended) && !unwanted(l))
		wait_await(self, l, FIBER_NO_DEADLINE);
	if (unwanted(l))
		return ERR_CANCELLED;
	e = replicas_open_await(self, o->replicas, h->topic_id, h->index, &p);
	if (unwanted(l))
		return ERR_CANCELLED;
	if (e)
		return e;
	must(p == h->partition);
	h->machine = o->machine_new(o->context, h->index);
	return replay_all_await(self, l);
}

static void load_one_await(struct fiber *self, struct hosted *h)
{
	struct coordinator *c = h->coordinator;
	struct load l = {.hosted = h, .coordinator = c, .reader = {.progressed = on_progress}};
	int64_t began_us = shard_now_us(c->options.shard);
	enum err e;

	h->has_loader = true;
	buf_init(&l.scratch, replicas_max_decompressed_bytes(c->options.replicas));
	e = load_await(self, &l);
	buf_fini(&l.scratch);
	h->has_loader = false;
	if (unwanted(&l)) {
		if (h->machine)
			c->options.ops->free(h->machine);
		h->machine = NULL;
		hosted_maybe_free(h);
		return;
	}
	say(&l, e, began_us);
	hosted_loaded(h, e);
}

static void loader_main(struct fiber *self, void *argument)
{
	struct coordinator *c = argument;
	struct list_node *n;

	while ((n = list_pop_front(&c->to_load)))
		load_one_await(self, container_of(n, struct hosted, to_load));
	c->loaders--;
	event_signal(&c->changed);
}

static void start_loaders(struct coordinator *c)
{
	static const struct fiber_options options = {.name = "coordinator loader", .stack_size = (size_t)128 * 1024};

	if (list_empty(&c->to_load) || c->loaders >= LOADERS_MAX)
		return;
	if (fiber_start(c->options.shard, &options, loader_main, c))
		c->loaders++;
	else if (c->loaders == 0)
		timer_arm(c->options.shard, &c->more_loaders, shard_now_us(c->options.shard) + SOON_US);
}

void coordinator_more_loaders(struct timer *t)
{
	start_loaders(container_of(t, struct coordinator, more_loaders));
}

void hosted_load(struct hosted *h, bool ahead)
{
	struct coordinator *c = h->coordinator;

	if (h->has_loader || timer_armed(&h->retry))
		return;
	if (list_linked(&h->to_load)) {
		if (!ahead)
			return;
		list_remove(&h->to_load);
	}
	if (ahead)
		list_push_front(&c->to_load, &h->to_load);
	else
		list_push_back(&c->to_load, &h->to_load);
	start_loaders(c);
}
