/* log_find: offsets by timestamp, in order of offsets as Kafka answers them: index first, then the batches, then the records of one. */
#include "base/alloc.h"
#include "record/record.h"
#include "storage/state.h"

struct time_walk {
	struct batch_walker walker;
	struct log *log;
	struct buf scratch;
	int64_t wanted; /* the first record with a timestamp >= this */
	int64_t min_offset;
	int64_t max_offset;
	int64_t offset; /* -1: not found */
	int64_t timestamp;
	int32_t epoch;
	struct time_entry entry; /* by which the walk began; timestamp -1: none, or the batch that it names was seen */
	int64_t entry_offset;
	bool misled;   /* that batch says otherwise */
	int64_t limit; /* what is in the segment begins below it */
	int64_t next;  /* behind the last batch; -1: none yet */
	bool doubtful; /* what was found lies behind a gap: the next batch tells whether that can be */
	enum err error;
};

static void note_found(struct time_walk *w, int64_t offset, int64_t timestamp, const struct batch_header *h)
{
	w->offset = offset;
	w->timestamp = timestamp;
	w->epoch = h->leader_epoch;
}

/* False once it is found, or nothing more can be. */
static bool look_in_batch(struct batch_walker *bw, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct time_walk *w = container_of(bw, struct time_walk, walker);
	struct record_iter it;
	struct record record;
	bool gap;

	(void)position;
	/* No CRC covers a batch's base offset. */
	if (h->base_offset < w->next || h->base_offset >= w->limit) {
		w->error = ERR_CORRUPT;
		return false;
	}
	if (w->doubtful)
		return false;
	gap = w->next >= 0 && h->base_offset > w->next;
	w->next = batch_last_offset(h) + 1;
	if (w->entry.timestamp >= 0 && batch_last_offset(h) >= w->entry_offset) {
		w->misled = h->base_offset > w->entry_offset || h->max_timestamp != w->entry.timestamp;
		if (w->misled)
			return false;
		w->entry.timestamp = -1;
	}
	if (h->base_offset >= w->max_offset)
		return false;
	if (h->max_timestamp < w->wanted || batch_last_offset(h) < w->min_offset)
		return true;
	w->error = record_iter_init(&it, whole, &w->scratch, w->log->store->storage->options.max_decompressed_bytes,
				    NULL);
	while (!w->error && (w->error = record_iter_next(&it, &record)) == OK) {
		if (record.timestamp < w->wanted || record.offset < w->min_offset)
			continue;
		if (record.offset < w->max_offset)
			note_found(w, record.offset, record.timestamp, h);
		return w->doubtful = gap && w->offset >= 0;
	}
	if (w->error == ERR_END)
		w->error = OK;
	return !w->error;
}

/* From where the time index says that such a timestamp may come, or from the segment's start. */
static enum err walk_from_await(struct fiber *self, struct log *l, struct segment *s, bool from_start,
				struct time_walk *w)
{
	int64_t position = 0;
	struct cached_file *f;
	enum err e = log_open_segment_await(self, l, s, &f);

	if (e)
		return e;
	w->misled = w->doubtful = false;
	w->error = OK;
	w->offset = w->next = -1;
	w->limit = log_segment_after(l, s) ? log_segment_after(l, s)->base_offset : l->end;
	w->entry = from_start ? (struct time_entry){.timestamp = -1} : time_index_lookup(&s->times, w->wanted - 1);
	w->entry_offset = s->base_offset + w->entry.relative_offset;
	if (w->entry.timestamp >= 0)
		position = offset_index_lookup(&s->offsets, w->entry.relative_offset);
	e = segment_walk_await(self, f->file, position, s->written, &w->walker);
	file_cache_give(&l->store->files, f);
	if (!e && !w->walker.enough && w->entry.timestamp >= 0)
		w->misled = true; /* there is no such batch */
	return e ? e : w->error;
}

/* An entry that its batch contradicts has led nowhere: all of the segment is looked at then, and the index made anew. */
static enum err walk_segment_await(struct fiber *self, struct log *l, struct segment *s, struct time_walk *w)
{
	enum err e = log_load_index_await(self, l, s);

	if (!e)
		e = walk_from_await(self, l, s, false, w);
	if ((e && e != ERR_CORRUPT) || (!e && !w->misled))
		return e;
	if (s != log_active(l) && !s->index_mended && !s->replaced) {
		s->index_mended = true;
		if (log_remake_index_await(self, l, s) == OK) {
			l->store->figures.side_damages_found++;
			log_warn(log_logger(l),
				 "%s-%d: an index of segment %020lld led to where no such batch is: made anew",
				 l->topic, (int)l->partition, (long long)s->base_offset);
		}
	}
	return w->misled || e == ERR_CORRUPT ? walk_from_await(self, l, s, true, w) : e;
}

static enum err find_pinned_await(struct fiber *self, struct log *l, struct time_walk *w)
{
	struct segment *s = l->segments[log_segment_at(l, l->start_durable)];
	enum err e = OK;

	for (; s && s->base_offset < w->max_offset && !e && w->offset < 0; s = log_segment_after(l, s)) {
		e = log_load_times_await(self, l, s);
		if (!e && s->max_timestamp >= w->wanted && s->written > 0)
			e = walk_segment_await(self, l, s, w);
		if (e && list_linked(&s->grave))
			e = OK; /* removed meanwhile: below the start */
	}
	return e;
}

enum err log_find_timestamp_await(struct fiber *self, struct log *l, int64_t timestamp_ms, int64_t max_offset,
				  int64_t *ret_offset, int64_t *ret_timestamp_ms, int32_t *ret_epoch)
{
	struct time_walk w = {
		.walker = {.batch = look_in_batch, .check_crc = true},
		.log = l,
		.wanted = timestamp_ms,
		.min_offset = l->start_durable,
		.max_offset = max_offset,
		.offset = -1,
		.timestamp = -1,
		.epoch = -1,
	};
	enum err e;

	log_wait_held_await(self, l);
	if (l->state)
		return l->state;
	buf_init(&w.scratch, l->store->storage->options.max_decompressed_bytes);
	log_pin(l);
	e = find_pinned_await(self, l, &w);
	log_unpin(l);
	buf_fini(&w.scratch);
	if (e)
		return e;
	*ret_offset = w.offset;
	*ret_timestamp_ms = w.timestamp;
	*ret_epoch = w.epoch;
	return OK;
}

/* --- the largest -------------------------------------------------------------------------------------------------- */

struct max_walk {
	struct batch_walker walker;
	int64_t max_offset;
	int64_t largest;
};

/* Of a batch that goes beyond max_offset nothing counts: batches are committed whole. */
static bool note_largest(struct batch_walker *bw, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct max_walk *w = container_of(bw, struct max_walk, walker);

	(void)whole;
	(void)position;
	if (batch_last_offset(h) >= w->max_offset)
		return false;
	if (h->max_timestamp > w->largest)
		w->largest = h->max_timestamp;
	return true;
}

static enum err largest_timestamp_await(struct fiber *self, struct log *l, struct max_walk *w)
{
	enum err e = OK;

	for (struct segment *s = l->segments[0]; s && !e; s = log_segment_after(l, s)) {
		struct segment *after = log_segment_after(l, s);
		bool whole = (after ? after->base_offset : l->end) <= w->max_offset;
		struct cached_file *f;

		if (s->base_offset >= w->max_offset || s->written == 0)
			continue;
		e = log_load_times_await(self, l, s);
		if (e && list_linked(&s->grave))
			e = OK; /* removed, or cleaned: what it has become comes next */
		if (!e && whole && s->max_timestamp > w->largest)
			w->largest = s->max_timestamp;
		if (e || whole || s->max_timestamp <= w->largest)
			continue;
		e = log_open_segment_await(self, l, s, &f);
		if (!e) {
			e = segment_walk_await(self, f->file, 0, s->written, &w->walker);
			file_cache_give(&l->store->files, f);
		}
		if (e && list_linked(&s->grave))
			e = OK;
	}
	return e;
}

enum err log_find_max_timestamp_await(struct fiber *self, struct log *l, int64_t max_offset, int64_t *ret_offset,
				      int64_t *ret_timestamp_ms, int32_t *ret_epoch)
{
	struct max_walk w = {
		.walker = {.batch = note_largest, .check_crc = true}, .max_offset = max_offset, .largest = -1};
	enum err e;

	log_wait_held_await(self, l);
	if (l->state)
		return l->state;
	log_pin(l);
	e = largest_timestamp_await(self, l, &w);
	log_unpin(l);
	if (e)
		return e;
	if (w.largest < 0) {
		*ret_offset = -1;
		*ret_timestamp_ms = -1;
		*ret_epoch = -1;
		return OK;
	}
	return log_find_timestamp_await(self, l, w.largest, max_offset, ret_offset, ret_timestamp_ms, ret_epoch);
}
