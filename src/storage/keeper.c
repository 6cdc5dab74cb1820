/*
 * keeper: what has to be done in the background for a shard's logs in one log folder: it makes the journal, frees its files by syncing
 * the segments that they cover, saves indexes and snapshots of closed segments, writes the bounds, looks for space on a full disk.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/saturate.h"
#include "storage/state.h"

#define TICK_US 1000000
#define PROBE_US 250000
#define REST_MS 1000

/* The logs of the folder that `wanted` picks, pinned. */
static struct log **pick_logs(struct store_folder *f, bool (*wanted)(const struct log *l, uint64_t argument),
			      uint64_t argument, size_t *ret_count)
{
	struct log **logs = NULL;
	size_t capacity = 0, count = 0;

	list_for_each(&f->store->logs, n)
	{
		struct log *l = container_of(n, struct log, node);

		if (l->folder != f || l->deleted || !wanted(l, argument))
			continue;
		logs = mem_grow(logs, &capacity, count + 1, sizeof(struct log *));
		logs[count++] = l;
		log_pin(l);
	}
	*ret_count = count;
	return logs;
}

/* Nothing was written to it for a while, and its files are not synced: the journal alone has it. */
static bool came_to_rest(const struct log *l, uint64_t now_ms)
{
	return l->first_generation && (int64_t)now_ms - l->last_write_ms >= REST_MS;
}

static void unpick_logs(struct log **logs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		log_unpin(logs[i]);
	mem_free(logs);
}

static bool holds_generation(const struct log *l, uint64_t generation)
{
	return l->first_generation && l->first_generation <= generation;
}

/* --- bounds ------------------------------------------------------------------------------------------------------- */

static void bounds_path(const struct store_folder *f, char path[static LOG_PATH_SIZE])
{
	snprintf(path, LOG_PATH_SIZE, "%s/moldau-checkpoint-%u", f->of->path, shard_index(f->store->shard));
}

/* Of logs that are closed, as all are one after the other while a broker stops: until its marker is there this is what the next start knows. */
static void write_closed_bounds(const struct store_folder *f, struct buf *out)
{
	const struct map_entry *at;
	struct bytes topic;
	int32_t partition;
	size_t place = 0;

	while ((at = map_next(&f->store->closed, &place)) != NULL) {
		const struct closed_log *c = at->value;
		struct log_bounds b = c->bounds;

		if (c->gone || c->folder != f->index ||
		    folder_name_parse(bytes_of(at->key, at->key_size), &topic, &partition) != FOLDER_LOG)
			continue;
		b.start = c->start_kept;
		bounds_checkpoint_write_entry(out, topic, partition, &b);
	}
}

enum err keeper_write_bounds_await(struct fiber *self, struct store_folder *f)
{
	char path[LOG_PATH_SIZE];
	struct buf out;
	enum err e;

	while (gate_enter_await(self, &f->bounds_gate, FIBER_NO_DEADLINE) != OK)
		fiber_yield_await(self);
	if (f->offline) {
		gate_leave(&f->bounds_gate);
		return ERR_OFFLINE;
	}
	buf_init(&out, CHECKPOINT_FILE_MAX);
	bounds_checkpoint_write_head(&out);
	write_closed_bounds(f, &out);
	list_for_each(&f->store->logs, n)
	{
		struct log *l = container_of(n, struct log, node);
		struct log_bounds b = {l->topic_id, log_recovery_point(l), l->start_kept, l->acknowledged};

		/* Of one that is being recovered the file of the last start still knows more. */
		if ((l->folder == f && l->opened) || l->also_in == f)
			bounds_checkpoint_write_entry(&out, log_topic(l), l->partition, &b);
	}
	bounds_checkpoint_write_end(&out);
	f->bounds_dirty = false;
	bounds_path(f, path);
	e = out.error ? out.error : file_replace_await(self, path, buf_bytes(&out));
	/* Without it no start moves, so that retention could not give back anything. */
	if (e == ERR_NO_SPACE && reserve_use_await(self, f))
		e = file_replace_await(self, path, buf_bytes(&out));
	buf_fini(&out);
	gate_leave(&f->bounds_gate);
	if (e)
		f->bounds_dirty = true;
	return e;
}

/* --- the journal -------------------------------------------------------------------------------------------------- */

/* Frees the file that is not being written: its logs are synced, and what only the journal knew of bounds is written. */
static enum err checkpoint_await(struct fiber *self, struct store_folder *f)
{
	uint64_t generation = f->journal.generation - 1;
	size_t count;
	struct log **logs;
	enum err e;

	f->checkpoint_wanted = false;
	logs = pick_logs(f, holds_generation, generation, &count);
	e = sync_many_await(self, f, logs, count);
	unpick_logs(logs, count);
	if (!e)
		e = keeper_write_bounds_await(self, f);
	if (e) {
		f->checkpoint_wanted = true; /* when it passes; until then rounds sync their segments */
		return e;
	}
	if (generation + 1 > f->journal.live)
		f->journal.live = generation + 1;
	f->note_wanted = true;
	event_signal(&f->work);
	return OK;
}

/* --- files beside the records ------------------------------------------------------------------------------------- */

/* Indexes of closed segments go to disk and out of memory; snapshots and epochs too. */
static enum err save_closed_await(struct fiber *self, struct log *l)
{
	enum err e = OK;

	for (struct segment *s = l->segments[0]; s && !e && !l->closing; s = log_segment_after(l, s)) {
		if (s->made)
			e = log_put_snapshot_await(self, l, s);
		if (e || s == log_active(l) || list_linked(&s->grave) || s->index_saved || s->written < s->size)
			continue;
		e = log_save_index_await(self, l, s);
		if (!e)
			segment_drop_index(s);
		else if (list_linked(&s->grave))
			e = OK; /* removed meanwhile */
	}
	return e ? e : log_save_epochs_await(self, l, store_syncs(l->store));
}

static bool not_yet_written(const struct log *l)
{
	for (uint32_t i = 0; i < l->segment_count; i++)
		if (l->segments[i]->snapshot && !l->segments[i]->made)
			return true;
	return l->segment_count > 1 &&
	       l->segments[l->segment_count - 2]->written < l->segments[l->segment_count - 2]->size;
}

static enum err save_rolled_await(struct fiber *self, struct store_folder *f)
{
	struct list now;
	struct list_node *n;
	enum err e = OK;

	list_init(&now);
	list_splice_back(&now, &f->rolled);
	while (!e && (n = list_pop_front(&now)) != NULL) {
		struct log *l = container_of(n, struct log, rolled_node);

		if (l->deleted || l->state)
			continue;
		if (l->closing || l->held || not_yet_written(l)) {
			list_push_back(&f->rolled, n);
			continue;
		}
		log_pin(l);
		e = save_closed_await(self, l);
		/* Without waiting for each append a rolled segment is synced all the same: else no recovery point would ever move. */
		if (!e && l->config.write_caching && !l->state && !l->closing)
			e = log_sync_closed_await(self, l);
		log_unpin(l);
		if (e == ERR_TOO_MANY_FILES && !l->deleted && !list_linked(&l->rolled_node))
			list_push_back(&f->rolled, &l->rolled_node);
	}
	list_splice_back(&f->rolled, &now);
	return e == ERR_NO_SPACE || e == ERR_CORRUPT ? OK : e;
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void probe_space_await(struct fiber *self, struct store_folder *f)
{
	if (!reserve_space_is_back_await(self, f))
		return;
	f->no_space = false;
	log_info(shard_log(f->store->shard), "%s: there is space again: appends are taken", f->of->path);
}

static enum err make_journal_await(struct fiber *self, struct store_folder *f)
{
	enum err e = journal_prepare_await(self, f);

	if (e == ERR_NO_SPACE) { /* segments are synced instead; tried again when the store is opened again */
		log_warn(shard_log(f->store->shard), "%s: no space for a journal: each commit syncs its segments",
			 f->of->path);
		f->journal.refused = true;
		event_signal(&f->round_over);
		event_signal(&f->work);
		return OK;
	}
	f->journal.complete = !e;
	return e;
}

/* So that a stop, or a recovery, has little to do. */
static enum err sync_resting_await(struct fiber *self, struct store_folder *f)
{
	size_t count;
	struct log **logs = pick_logs(f, came_to_rest, (uint64_t)shard_now_ms(f->store->shard), &count);
	enum err e = sync_many_await(self, f, logs, count);

	unpick_logs(logs, count);
	return e;
}

static bool any_unsynced(const struct store_folder *f)
{
	list_for_each(&f->store->logs, n)
	{
		const struct log *l = container_of(n, struct log, node);

		if (l->folder == f && l->first_generation)
			return true;
	}
	return false;
}

/* What is due once a second, while there is anything to note. */
static enum err tick_await(struct fiber *self, struct store_folder *f)
{
	int64_t now_us = shard_now_us(f->store->shard);
	enum err e = OK;

	if (!list_empty(&f->noted)) {
		if (f->journal.ready) {
			f->bounds_due = true;
			event_signal(&f->work);
		} else {
			struct list_node *n;

			while ((n = list_pop_front(&f->noted)) != NULL)
				;
			e = keeper_write_bounds_await(self, f);
		}
	}
	if (!e && store_syncs(f->store))
		e = sync_resting_await(self, f);
	if (!e && f->bounds_dirty && now_us >= f->next_bounds_us) {
		e = keeper_write_bounds_await(self, f);
		f->next_bounds_us = us_after_ms(now_us, f->store->storage->options.flush_offset_checkpoint_interval_ms);
	}
	return e;
}

static enum err chores_await(struct fiber *self, struct store_folder *f)
{
	enum err e = OK;

	if (!f->journal.complete && !f->journal.refused)
		e = make_journal_await(self, f);
	if (!e && !list_empty(&f->rolled))
		e = save_rolled_await(self, f);
	if (!e && f->checkpoint_wanted)
		e = checkpoint_await(self, f);
	if (f->no_space)
		probe_space_await(self, f);
	return e;
}

static bool urgent(const struct store_folder *f)
{
	return f->checkpoint_wanted || (!f->journal.complete && !f->journal.refused);
}

static void keeper_main(struct fiber *self, void *argument)
{
	struct store_folder *f = argument;
	int64_t next_tick_us = 0;

	while (!f->stopping) {
		bool idle = f->offline || store_is_read_only(f->store);
		enum err e = idle ? OK : chores_await(self, f);
		int64_t now_us = shard_now_us(f->store->shard);
		bool more = !idle && (!list_empty(&f->noted) || !list_empty(&f->rolled) || f->bounds_dirty ||
				      (now_us >= next_tick_us ? any_unsynced(f) : f->tick_armed));

		if (!e && !f->offline && more && now_us >= next_tick_us) {
			if (next_tick_us)
				e = tick_await(self, f);
			next_tick_us = now_us + TICK_US;
		}
		if (e == ERR_TOO_MANY_FILES) {
			/* Passes when connections or readers go; nothing was acknowledged for what this would have done. */
			log_warn(shard_log(f->store->shard),
				 "%s: too many open files for background work: it is tried again", f->of->path);
			(void)!fiber_sleep_await(self, TICK_US);
			continue;
		}
		if (e == ERR_NO_SPACE && !f->offline) {
			/* What was promised is on disk without the file that found no space: it is tried again. */
			folder_no_space(f);
			if (fiber_sleep_await(self, PROBE_US) == ERR_CANCELLED)
				fiber_yield_await(self);
			continue;
		}
		if (e)
			folder_fail(f, e, "background work");
		if (f->stopping || (!f->offline && !f->no_space && urgent(f)))
			continue;
		f->tick_armed = more || (f->no_space && !f->offline);
		if (!f->tick_armed)
			next_tick_us = 0;
		(void)!event_wait_await(self, &f->chores,
					!f->tick_armed ? FIBER_NO_DEADLINE
					: f->no_space  ? now_us + PROBE_US
						       : next_tick_us);
		if (fiber_cancelled(self))
			fiber_yield_await(self);
	}
	f->keeper_runs = false;
	event_signal(&f->round_over);
}

void keeper_start(struct store_folder *f)
{
	static const struct fiber_options options = {.name = "keeper"};
	struct fiber *fiber;

	f->keeper_runs = true;
	fiber = fiber_start(f->store->shard, &options, keeper_main, f);
	must(fiber != NULL); /* the first fibers of a shard */
}
