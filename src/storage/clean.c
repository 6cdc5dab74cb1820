/*
 * clean: the log cleaner of a shard: a fiber that compacts the dirtiest of its logs, one at a time, as Kafka's does.
 *
 *      choose (clean_plan) -> which transactions were aborted -> read the dirty part, note keys (clean_batch, clean_map) -> group by group from the
 *      start: read, filter, write *.cleaned, sync -> take the place of the old ones (clean_swap) -> remember how far (clean_point)
 *
 * Reads and writes are throttled; what is computed runs on a helper thread, a chunk at a time; reads and appends of the log go on
 * meanwhile. A log that cannot be cleaned is left alone until a restart, and the log says why. Uses the rest of storage/.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/saturate.h"
#include "storage/clean_batch.h"
#include "storage/clean_plan.h"
#include "storage/state.h"

#define NEVER INT64_MAX
#define CHUNK ((size_t)512 * 1024)
#define OUT_MAX ((size_t)1 << 30)
#define DEDUPE_LEAST ((size_t)1 << 20)
#define BACKOFF_LEAST_MS 100
#define THROTTLE_STEP_US 500000
#define STACK_SIZE ((size_t)128 * 1024)

/* One pass over one log. */
struct pass {
	struct log *log;
	struct store *store;
	struct cleaner cleaner;
	struct clean_producer *producers;
	struct clean_plan plan;
	struct aborted_index aborted; /* that overlap what is cleaned */
	uint8_t *chunk;
	size_t capacity;
	struct buf out;
	int64_t began_us;
	double io_bytes;
	uint64_t segments_before;
	uint64_t segments_made;
	uint64_t bytes_before;
	uint64_t bytes_after;
	/* A step on a helper thread. */
	struct bytes in;
	size_t taken;
	bool full;
	enum err error;
};

static bool stopped(const struct pass *p)
{
	const struct log *l = p->log;

	return log_is_taken(l) || l->move || p->store->closing || !p->store->settings.cleaner_enabled;
}

/* --- reading, a chunk at a time ------------------------------------------------------------------------------------ */

static enum err throttle_await(struct fiber *self, struct pass *p, size_t bytes)
{
	double rate = p->store->settings.cleaner_io_bytes_per_second, due;
	struct shard *shard = p->store->shard;

	p->io_bytes += (double)bytes;
	if (!(rate > 0) || p->io_bytes / rate > 1e9)
		return stopped(p) ? ERR_CANCELLED : OK;
	due = (double)p->began_us + p->io_bytes / rate * 1e6;
	while (!stopped(p) && (double)shard_now_us(shard) < due) {
		int64_t until = (int64_t)due, most = shard_now_us(shard) + THROTTLE_STEP_US;

		if (event_wait_await(self, &p->store->cleaning, until < most ? until : most) == ERR_CANCELLED)
			fiber_yield_await(self);
	}
	return stopped(p) ? ERR_CANCELLED : OK;
}

static enum err read_chunk_await(struct fiber *self, struct pass *p, struct segment *s, int64_t position)
{
	size_t want = p->capacity, count = 0;
	struct cached_file *f;
	enum err e = log_open_segment_await(self, p->log, s, &f);

	if (e)
		return e == ERR_AGAIN || list_linked(&s->grave) ? ERR_CANCELLED : e; /* it left the log meanwhile */
	if ((int64_t)want > s->written - position)
		want = (size_t)(s->written - position);
	e = file_read_await(self, f->file, p->chunk, want, position, &count);
	file_cache_give(&p->log->store->files, f);
	p->in = bytes_of(p->chunk, count);
	return e ? e : throttle_await(self, p, count);
}

/* Not one whole batch was in the chunk: the first is larger, or the segment ends within it. */
static enum err grow(struct pass *p, int64_t left)
{
	size_t size = p->in.size >= BATCH_LOG_OVERHEAD ? (size_t)get_be32(p->in.data + 8) + BATCH_LOG_OVERHEAD : 0;
	uint8_t *larger;

	if (size <= p->capacity || (int64_t)size > left)
		return ERR_CORRUPT;
	larger = mem_try_alloc(size);
	if (!larger)
		return ERR_NO_MEMORY;
	mem_free(p->chunk);
	p->chunk = larger;
	p->capacity = size;
	return OK;
}

static void note_work(void *argument)
{
	struct pass *p = argument;

	p->error = cleaner_note(&p->cleaner, p->in, &p->taken, &p->full);
}

static void filter_work(void *argument)
{
	struct pass *p = argument;

	p->error = cleaner_filter(&p->cleaner, p->in, &p->out, &p->taken);
}

/* --- the map ------------------------------------------------------------------------------------------------------- */

static enum err note_segment_await(struct fiber *self, struct pass *p, struct segment *s)
{
	int64_t position = 0;
	enum err e = OK;

	while (!e && !p->full && position < s->written) {
		e = read_chunk_await(self, p, s, position);
		if (e)
			break;
		offload_await(self, note_work, p);
		e = p->error;
		if (!e && !p->full && p->taken == 0)
			e = grow(p, s->written - position);
		position += (int64_t)p->taken;
	}
	return e;
}

/* The last offset of each key of the dirty part, or of as much of it as the memory allows. */
static enum err note_dirty_await(struct fiber *self, struct pass *p)
{
	struct log *l = p->log;
	struct segment *s = l->segments[log_segment_at(l, p->plan.first_dirty)];
	enum err e = OK;

	clean_txns_begin(&p->cleaner.txns, &p->aborted);
	p->cleaner.map_start = p->cleaner.map_end = p->plan.first_dirty;
	for (; s && !e && !p->full && s->base_offset < p->plan.uncleanable; s = log_segment_after(l, s)) {
		if (s->replaced || list_linked(&s->grave))
			return ERR_CANCELLED;
		e = note_segment_await(self, p, s);
		/* A cleaned segment may end before the next one begins. */
		if (!e && !p->full && p->cleaner.map_end < p->plan.uncleanable && log_segment_after(l, s) &&
		    log_segment_after(l, s)->base_offset > p->cleaner.map_end)
			p->cleaner.map_end = log_segment_after(l, s)->base_offset;
	}
	if (!e && p->cleaner.map_end <= p->plan.first_dirty && p->full) {
		log_error(log_logger(l),
			  "%s-%d: cannot be compacted: one batch at offset %" PRId64
			  " has more keys than log.cleaner.dedupe.buffer.size has room for",
			  l->topic, (int)l->partition, p->plan.first_dirty);
		return ERR_TOO_BIG;
	}
	p->cleaner.upper_bound = p->cleaner.map_end;
	return e;
}

/* --- one group ------------------------------------------------------------------------------------------------------ */

static enum err take_batches(struct pass *p, struct segment *made)
{
	struct bytes rest = buf_bytes(&p->out), batch;
	struct batch_header h;

	if (made->size + (int64_t)rest.size > INT32_MAX)
		return ERR_TOO_BIG;
	while (batch_next(&rest, &h, &batch) == OK)
		segment_add(made, &h, p->log->config.index_interval_bytes);
	return OK;
}

static enum err filter_segment_await(struct fiber *self, struct pass *p, struct segment *s, struct segment *made,
				     struct file *file)
{
	int64_t position = 0;
	enum err e = OK;

	while (!e && position < s->written) {
		int64_t at = made->size;

		e = read_chunk_await(self, p, s, position);
		if (e)
			break;
		buf_reset(&p->out);
		offload_await(self, filter_work, p);
		e = p->error;
		if (!e && p->taken == 0)
			e = grow(p, s->written - position);
		if (!e)
			e = take_batches(p, made);
		if (!e && p->out.size)
			e = file_write_await(self, file, buf_bytes(&p->out), at);
		if (!e)
			e = throttle_await(self, p, p->out.size);
		position += (int64_t)p->taken;
	}
	made->written = made->size;
	return e;
}

static enum err write_whole_await(struct fiber *self, struct log *l, int64_t base_offset, enum segment_file which,
				  struct bytes content)
{
	char path[LOG_PATH_SIZE];
	struct file *file;
	enum err e;

	log_leftover_path(l, base_offset, which, LEFTOVER_CLEANED, path);
	e = file_open_await(self, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
	if (e)
		return e;
	if (content.size)
		e = file_write_await(self, file, content, 0);
	if (!e)
		e = file_sync_await(self, file);
	file_close(file);
	return e;
}

static enum err write_indexes_await(struct fiber *self, struct log *l, struct segment *made)
{
	struct buf offsets, times;
	enum err e;

	buf_init(&offsets, SMALL_FILE_MAX);
	buf_init(&times, SMALL_FILE_MAX);
	segment_finish_times(made);
	offset_index_write(&made->offsets, &offsets);
	time_index_write(&made->times, &times);
	e = offsets.error ? offsets.error : times.error;
	if (!e)
		e = write_whole_await(self, l, made->base_offset, SEGMENT_INDEX, buf_bytes(&offsets));
	if (!e)
		e = write_whole_await(self, l, made->base_offset, SEGMENT_TIMEINDEX, buf_bytes(&times));
	buf_fini(&offsets);
	buf_fini(&times);
	return e;
}

static enum err make_segment_await(struct fiber *self, struct pass *p, struct segment *first, size_t count,
				   struct segment *made)
{
	struct log *l = p->log;
	struct segment *s = first;
	char path[LOG_PATH_SIZE];
	struct file *file;
	enum err e;

	log_leftover_path(l, made->base_offset, SEGMENT_LOG, LEFTOVER_CLEANED, path);
	e = file_open_await(self, path, FILE_READ | FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
	if (e)
		return e;
	for (size_t i = 0; i < count && !e; i++) {
		if (!s || s->replaced || list_linked(&s->grave))
			e = ERR_CANCELLED;
		else
			e = filter_segment_await(self, p, s, made, file);
		s = e ? NULL : log_segment_after(l, s); /* none, when the log was cut meanwhile */
	}
	if (!e)
		e = file_sync_await(self, file);
	file_close(file);
	return e ? e : write_indexes_await(self, l, made);
}

static int64_t bytes_of_group(const struct log *l, uint32_t at, size_t count)
{
	int64_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += l->segments[at + i]->size;
	return size;
}

/* Nothing of it changes but which of its aborted transactions have records. */
static void take_kept(struct log *l, struct segment *s, struct segment *made)
{
	if (s->replaced || list_linked(&s->grave) || !s->aborted_loaded || s->aborted.count == made->aborted.count)
		return;
	aborted_index_fini(&s->aborted);
	s->aborted = made->aborted;
	made->aborted = (struct aborted_index){0};
	s->aborted_durable = 0;
	s->aborted_stale = true;
	l->side_files_dirty = true;
}

/* A group of one that nothing leaves and nothing changes in stays as it is. */
static enum err clean_group_await(struct fiber *self, struct pass *p, uint32_t at, size_t count)
{
	struct log *l = p->log;
	struct segment *first = l->segments[at];
	struct segment *made = segment_new(first->base_offset, first->created_ms);
	uint64_t changed = p->cleaner.counts.batches_changed;
	int64_t before = bytes_of_group(l, at, count);
	enum err e;

	p->cleaner.kept.count = 0;
	e = make_segment_await(self, p, first, count, made);
	made->aborted = p->cleaner.kept;
	p->cleaner.kept = (struct aborted_index){0};
	p->segments_before += count;
	p->segments_made++;
	p->bytes_before += (uint64_t)before;
	p->bytes_after += (uint64_t)made->size;
	if (e || (count == 1 && p->cleaner.counts.batches_changed == changed)) {
		clean_remove_made_await(self, l, made->base_offset);
		if (!e)
			take_kept(l, first, made);
		segment_free(made, &l->store->files);
		return e;
	}
	return clean_swap_await(self, l, first, count, made);
}

/* --- one log -------------------------------------------------------------------------------------------------------- */

/* As they are now; the caller frees. */
static struct clean_segment *view_of(const struct log *l)
{
	struct clean_segment *view = mem_zalloc(l->segment_count * sizeof(*view));

	for (uint32_t i = 0; i < l->segment_count; i++) {
		const struct segment *s = l->segments[i];

		view[i] = (struct clean_segment){
			.base_offset = s->base_offset,
			.end_offset = i + 1 < l->segment_count ? l->segments[i + 1]->base_offset : l->end,
			.size = s->size,
			.first_timestamp_ms = s->first_timestamp,
			.max_timestamp_ms = s->times_known ? s->max_timestamp : INT64_MAX,
			.index_entries = (size_t)(s->size / (l->config.index_interval_bytes + 1)),
		};
	}
	return view;
}

/* Committed, synced, and of no transaction that is open. */
static int64_t cleanable_bound(const struct log *l)
{
	int64_t bound = l->acknowledged < l->file_synced ? l->acknowledged : l->file_synced;
	int64_t unstable = open_txns_first_unstable(&l->producers.txns);

	/* An end that is not committed may be cut, and the transaction end otherwise. */
	if (l->acknowledged < l->end_found)
		return 0;
	return unstable < bound ? unstable : bound;
}

static struct clean_input input_of(const struct log *l, const struct clean_segment *view)
{
	return (struct clean_input){
		.segments = view,
		.count = l->segment_count,
		.clean_offset = l->clean_offset,
		.bound = cleanable_bound(l),
		.now_ms = shard_wall_ms(l->store->shard),
		.config = &l->config,
	};
}

/* Group by group; the array changes under way, so each is found by its offset. */
static enum err clean_groups_await(struct fiber *self, struct pass *p)
{
	struct log *l = p->log;
	int64_t next = l->segments[0]->base_offset;
	enum err e = OK;

	clean_txns_begin(&p->cleaner.txns, &p->aborted);
	while (!e && next < p->cleaner.map_end) {
		uint32_t at = log_segment_at(l, next);
		struct clean_segment *view;
		struct clean_input in;
		size_t count;

		if (stopped(p) || at + 1 >= l->segment_count)
			return ERR_CANCELLED;
		if (l->segments[at]->base_offset >= p->cleaner.map_end) /* those before it have left the log */
			break;
		view = view_of(l);
		in = input_of(l, view);
		count = clean_group(&in, at, p->plan.uncleanable);
		/* Segments wholly behind the map's end are for the next pass. */
		while (count > 1 && view[at + count - 1].base_offset >= p->cleaner.map_end)
			count--;
		next = view[at + count - 1].end_offset;
		mem_free(view);
		e = clean_group_await(self, p, at, count);
	}
	return e;
}

static int by_id(const void *a, const void *b)
{
	const struct clean_producer *x = a, *y = b;

	return (x->producer_id > y->producer_id) - (x->producer_id < y->producer_id);
}

static void note_producers(struct pass *p)
{
	const struct producer_state *state = &p->log->producers;

	p->producers = mem_zalloc((state->count + 1) * sizeof(*p->producers));
	for (uint32_t i = 0; i < state->count; i++)
		p->producers[i] = (struct clean_producer){state->entries[i].producer_id, state->entries[i].last_offset,
							  state->entries[i].epoch};
	if (state->count)
		qsort(p->producers, state->count, sizeof(*p->producers), by_id);
	p->cleaner.producers = p->producers;
	p->cleaner.producer_count = state->count;
}

static enum err prepare(struct pass *p)
{
	struct store *s = p->store;
	struct log *l = p->log;
	size_t bytes = s->settings.cleaner_dedupe_bytes > (int64_t)DEDUPE_LEAST
			       ? (size_t)s->settings.cleaner_dedupe_bytes
			       : DEDUPE_LEAST;
	uint64_t secret[2] = {prng_next(shard_random(s->shard)), prng_next(shard_random(s->shard))};

	cleaner_init(&p->cleaner, s->storage->options.max_decompressed_bytes);
	p->cleaner.now_ms = shard_wall_ms(s->shard);
	p->cleaner.delete_retention_ms = l->config.delete_retention_ms;
	p->began_us = shard_now_us(s->shard);
	p->capacity = CHUNK;
	p->chunk = mem_alloc(CHUNK);
	buf_init(&p->out, OUT_MAX);
	note_producers(p);
	return clean_map_init(&p->cleaner.map, bytes, s->settings.cleaner_load_factor,
			      (uint64_t)(p->plan.uncleanable - p->plan.first_dirty), secret);
}

static void tell_end(const struct pass *p, enum err e)
{
	const struct log *l = p->log;
	const struct clean_counts *c = &p->cleaner.counts;
	int64_t took_ms = (shard_now_us(p->store->shard) - p->began_us) / 1000;

	if (e == ERR_CANCELLED)
		return;
	if (e)
		log_error(log_logger(l), "%s-%d: compaction failed: %s%s", l->topic, (int)l->partition, err_text(e),
			  l->uncleanable ? "; it is not tried again before a restart" : "");
	else
		log_info(log_logger(l),
			 "%s-%d: compacted up to offset %" PRId64 " of %" PRId64 ": %" PRIu64 " segments to %" PRIu64
			 ", %" PRIu64 " bytes to %" PRIu64 ", %" PRIu64 " records to %" PRIu64 ", %" PRIu64
			 " tombstones over, %zu keys, in %" PRId64 " ms",
			 l->topic, (int)l->partition, p->cleaner.map_end, l->end, p->segments_before, p->segments_made,
			 p->bytes_before, p->bytes_after, c->records_read, c->records_kept, c->tombstones_dropped,
			 p->cleaner.map.count, took_ms);
}

static void count_pass(const struct pass *p, enum err e)
{
	struct store_figures *f = &p->store->figures;

	f->cleaning_us += (uint64_t)(shard_now_us(p->store->shard) - p->began_us);
	f->cleaned_bytes_read += p->bytes_before;
	f->cleaned_bytes_left += p->bytes_after;
	f->cleaned_tombstones += p->cleaner.counts.tombstones_dropped;
	if (!e) {
		f->last_cleaning_us = (uint64_t)(shard_now_us(p->store->shard) - p->began_us);
		f->last_cleaning_ms = (uint64_t)shard_wall_ms(p->store->shard);
		f->last_recopy_percent = p->bytes_before ? (unsigned)(100 * p->bytes_after / p->bytes_before) : 0;
	}
	f->cleanings += e == OK;
	f->cleanings_failed += e && e != ERR_CANCELLED;
}

/* What may pass by itself is tried again; what is of the log's own making is not. */
static void note_failure(struct log *l, enum err e)
{
	switch (e) {
	case OK:
	case ERR_CANCELLED:
	case ERR_NO_SPACE:
	case ERR_NO_MEMORY:
	case ERR_TOO_MANY_FILES:
	case ERR_OFFLINE:
		return;
	case ERR_IO:
		folder_fail(l->folder, e, "compacting");
		return;
	default:
		l->uncleanable = true;
	}
}

static enum err clean_log_await(struct fiber *self, struct log *l, const struct clean_plan *plan)
{
	struct pass p = {.log = l, .store = l->store, .plan = *plan};
	enum err e = prepare(&p);

	if (!e)
		e = log_collect_aborted_await(self, l, l->segments[0]->base_offset, plan->uncleanable, &p.aborted);
	if (!e)
		e = note_dirty_await(self, &p);
	if (!e)
		e = clean_groups_await(self, &p);
	if (!e) {
		l->clean_offset = p.cleaner.map_end;
		clean_point_save_await(self, l, l->clean_offset);
	}
	note_failure(l, e);
	tell_end(&p, e);
	count_pass(&p, e);
	cleaner_fini(&p.cleaner);
	aborted_index_fini(&p.aborted);
	buf_fini(&p.out);
	mem_free(p.producers);
	mem_free(p.chunk);
	return e;
}

/* --- the choice ----------------------------------------------------------------------------------------------------- */

static bool may_clean(const struct log *l)
{
	return l->config.cleanup_compact && !l->uncleanable && !log_is_taken(l) && !l->move && !l->folder->no_space;
}

static enum err load_times_await(struct fiber *self, struct log *l)
{
	enum err e = OK;

	for (struct segment *s = l->segments[0]; s && !e; s = log_segment_after(l, s)) {
		e = log_load_times_await(self, l, s);
		if (e && list_linked(&s->grave))
			e = OK;
	}
	return e;
}

static struct clean_plan look_at(struct log *l)
{
	struct clean_segment *view = view_of(l);
	struct clean_input in = input_of(l, view);
	struct clean_plan plan = clean_decide(&in);

	if (clean_wants_roll(&in))
		log_roll(l);
	mem_free(view);
	return plan;
}

/* The dirtiest, pinned; NULL when none is worth it. Those that are overdue come first. */
static struct log *choose_await(struct fiber *self, struct store *s, struct clean_plan *ret_plan)
{
	struct log *best = NULL;
	struct list_node *n = s->logs.head.next;
	double dirtiest = 0;

	while (n != &s->logs.head && !s->closing) {
		struct log *l = container_of(n, struct log, node);
		struct clean_plan plan = {0};

		if (!may_clean(l)) {
			n = n->next;
			continue;
		}
		log_pin(l);
		if (load_times_await(self, l) == OK && may_clean(l))
			plan = look_at(l);
		if (plan.ratio > dirtiest)
			dirtiest = plan.ratio;
		if (plan.wanted && (!best || (plan.overdue && !ret_plan->overdue) ||
				    (plan.overdue == ret_plan->overdue && plan.ratio > ret_plan->ratio))) {
			if (best)
				log_unpin(best);
			log_pin(l);
			best = l;
			*ret_plan = plan;
		}
		n = n->next;
		log_unpin(l);
	}
	s->figures.dirtiest_percent = (unsigned)(100 * dirtiest);
	return best;
}

static bool any_compacted(const struct store *s)
{
	list_for_each(&s->logs, n) if (container_of(n, struct log, node)->config.cleanup_compact) return true;
	return false;
}

static void wait_await(struct fiber *self, struct store *s)
{
	int64_t backoff_ms = s->settings.cleaner_backoff_ms > BACKOFF_LEAST_MS ? s->settings.cleaner_backoff_ms
									       : BACKOFF_LEAST_MS;
	bool idle = !s->settings.cleaner_enabled || !any_compacted(s);

	if (event_wait_await(self, &s->cleaning, idle ? NEVER : us_after_ms(shard_now_us(s->shard), backoff_ms)) ==
	    ERR_CANCELLED)
		fiber_yield_await(self);
}

static void clean_main(struct fiber *self, void *argument)
{
	struct store *s = argument;

	while (!s->closing) {
		struct clean_plan plan = {0};
		struct log *l = s->settings.cleaner_enabled ? choose_await(self, s, &plan) : NULL;
		enum err e = ERR_NOT_FOUND;

		if (l) {
			e = s->closing ? ERR_CANCELLED : clean_log_await(self, l, &plan);
			log_unpin(l);
		}
		if (e && !s->closing)
			wait_await(self, s);
	}
	s->cleaner_runs = false;
	event_signal(&s->cleaning);
}

void clean_start(struct store *s)
{
	static const struct fiber_options options = {.name = "log cleaner", .stack_size = STACK_SIZE};
	struct fiber *fiber;

	event_init(&s->cleaning);
	gate_init(&s->clean_points, 1);
	s->cleaner_runs = true;
	fiber = fiber_start(s->shard, &options, clean_main, s);
	must(fiber != NULL); /* among the first fibers of a shard */
}

void clean_stop_await(struct fiber *self, struct store *s)
{
	must(s->closing);
	event_signal(&s->cleaning);
	while (s->cleaner_runs)
		if (event_wait_await(self, &s->cleaning, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
}
