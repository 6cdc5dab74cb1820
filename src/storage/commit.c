/*
 * commit: the committer of a shard's logs in one log folder: takes what was appended, writes it, makes it durable, and tells.
 *
 *      dirty logs -> write (page cache, parallel) -> few bytes: journal, one write   | one sync              -> synced moves, owners
 *                                                 -> many bytes                      | segments, in parallel    are told
 *                    this file, commit_journal.c                                     | commit_sync.c
 *
 * A fiber writes and another one syncs: the next rounds are written while a sync is under way (round.h). Why so: docs/decisions/0001.
 * Uses runtime/file and the rest of storage/.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/mutant.h"
#include "storage/round.h"

#define JOURNAL_HEADS_MAX ((size_t)256 << 20)

/* --- gathering ---------------------------------------------------------------------------------------------------- */

void commit_mark(struct log *l)
{
	struct store_folder *f = l->folder;

	if (list_linked(&l->dirty_node) || l->writes_held)
		return;
	if (list_empty(&f->dirty))
		event_signal(&f->work);
	list_push_back(&f->dirty, &l->dirty_node);
}

static bool wants_sync(const struct log *l, int64_t end_offset)
{
	if (!l->config.write_caching || l->flush_wanted)
		return true;
	if (l->config.flush_messages > 0 && end_offset - l->synced >= l->config.flush_messages)
		return true;
	return l->config.flush_ms >= 0 && l->config.flush_ms < INT64_MAX &&
	       shard_now_ms(l->store->shard) - l->last_flush_ms >= l->config.flush_ms;
}

static struct round_log *add_log(struct round *r, struct log *l)
{
	struct round_log *rl;

	r->logs = mem_grow(r->logs, &r->capacity, r->count + 1, sizeof(*r->logs));
	rl = &r->logs[r->count++];
	*rl = (struct round_log){
		.log = l, .part_at = r->part_count, .end_offset = l->written, .base_offset = l->written};
	l->rounds++;
	return rl;
}

/* Takes the appends of one segment; when the log has rolled in between the rest is for the next round. */
static void gather_log(struct round *r, struct log *l)
{
	struct round_log *rl = add_log(r, l);
	bool more = false;

	list_for_each(&l->pending, n)
	{
		struct log_append *a = container_of(n, struct log_append, node);
		struct segment *s = l->segments[log_segment_at(l, a->base_offset)];

		if (rl->segment && s != rl->segment) {
			more = true;
			break;
		}
		if (!rl->segment) {
			rl->segment = s;
			rl->position = a->position;
			rl->base_offset = a->base_offset;
		}
		r->parts = mem_grow(r->parts, &r->part_capacity, r->part_count + 1, sizeof(*r->parts));
		r->parts[r->part_count++] = bytes_of(a->batch, a->size);
		rl->part_count++;
		rl->bytes += a->size;
		rl->end_offset = a->last_offset + 1;
	}
	rl->sync = wants_sync(l, rl->end_offset);
	rl->generation = l->folder->journal.generation;
	rl->cuts = l->cuts;
	rl->truncations = l->truncations;
	if (!more)
		l->flush_wanted = false;
	else
		commit_mark(l);
}

static void gather(struct round *r)
{
	struct store_folder *f = r->folder;
	struct list dirty;
	struct list_node *n;

	r->count = 0;
	r->part_count = 0;
	list_init(&dirty);
	list_splice_back(&dirty, &f->dirty);
	while ((n = list_pop_front(&dirty)) != NULL) {
		struct log *l = container_of(n, struct log, dirty_node);

		if (!l->writes_held) /* who lets it go marks it again */
			gather_log(r, l);
	}
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

/* What was begun of a segment that the cut takes away would be found at the next start. */
static void remove_file_await(struct fiber *self, struct log *l, struct segment *s)
{
	char path[LOG_PATH_SIZE];

	file_cache_drop(&l->store->files, &s->file);
	log_file_path(l, s->base_offset, SEGMENT_LOG, path);
	(void)!file_remove_await(self, path);
}

/* What went into the file of a write that failed. Synced: the log may go on in another segment, and then nobody looks here again. */
static enum err take_back_await(struct fiber *self, struct round *r, struct round_log *rl)
{
	enum err e = file_truncate_await(self, rl->file->file, rl->segment->written);

	return !e && store_syncs(r->folder->store) ? file_sync_await(self, rl->file->file) : e;
}

/* The bytes of this log's round could not be written: its appends are undone, and what came behind them. */
static void write_failed_await(struct fiber *self, struct round *r, struct round_log *rl)
{
	struct store_folder *f = r->folder;
	enum err reason = rl->error;
	bool removed;

	if (reason == ERR_NO_SPACE && rl->file)
		reason = take_back_await(self, r, rl) ? ERR_IO : ERR_NO_SPACE;
	if (rl->file)
		file_cache_give(&f->store->files, rl->file);
	rl->file = NULL;
	removed = reason == ERR_NO_SPACE && rl->segment->written == 0 && rl->segment != rl->log->segments[0];
	if (removed)
		remove_file_await(self, rl->log, rl->segment);
	rl->segment = NULL; /* the cut may free it */
	switch (reason) {
	case ERR_NO_SPACE:
		folder_no_space(f);
		break;
	case ERR_OFFLINE:
	case ERR_TOO_MANY_FILES: /* passes: these appends are refused, later ones may go */
		break;
	case ERR_CORRUPT:
		log_fail_alone(rl->log, "a segment of it is gone");
		break;
	default:
		folder_fail(f, reason, "writing");
	}
	rl->error = reason == ERR_NO_SPACE ? ERR_NO_SPACE : ERR_IO;
	log_cut_pending(rl->log, rl->base_offset, rl->error);
	if (removed) /* the name must not come back once the recovery point has passed it in the segment before */
		log_active(rl->log)->name_synced = false;
	rl->end_offset = rl->log->written;
	rl->bytes = 0;
	rl->part_count = 0;
}

static void write_done(struct round *r, struct round_log *rl)
{
	struct log *l = rl->log;

	rl->segment->written += (int64_t)rl->bytes;
	l->written = rl->end_offset;
	l->last_write_ms = shard_now_ms(l->store->shard);
	producer_state_settle(&l->producers, l->written);
	file_cache_give(&r->folder->store->files, rl->file);
	rl->file = NULL;
}

static void write_chunk_await(struct fiber *self, struct round *r, size_t first, size_t end)
{
	struct fan fan = {.fiber = self};

	for (size_t i = first; i < end; i++) {
		struct round_log *rl = &r->logs[i];

		if (!rl->part_count)
			continue;
		rl->error = r->folder->offline ? ERR_OFFLINE
					       : log_open_segment_await(self, rl->log, rl->segment, &rl->file);
		if (rl->error)
			continue;
		rl->fan = &fan;
		rl->op = (struct file_op){.done = round_op_done};
		fan_add(&fan);
		file_write(rl->file->file, &rl->op, r->parts + rl->part_at, rl->part_count, rl->position);
	}
	fan_wait_await(self, &fan);
	for (size_t i = first; i < end; i++) {
		struct round_log *rl = &r->logs[i];

		if (!rl->part_count)
			continue;
		if (rl->error)
			write_failed_await(self, r, rl);
		else
			write_done(r, rl);
	}
}

/* The frames are needed no more: everything that read their bytes is over. */
static void release_written(struct round *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct log *l = r->logs[i].log;
		struct list_node *n;

		while ((n = list_first(&l->pending)) != NULL) {
			struct log_append *a = container_of(n, struct log_append, node);

			if (a->last_offset >= l->written)
				break;
			list_remove(n);
			a->released(a);
		}
		/* Who waits for the leader's write alone (acks=1) need not wait for the sync. */
		if (r->logs[i].part_count)
			log_tell_owner(l);
	}
}

/* --- what is left to be done ---------------------------------------------------------------------------------------- */

static bool anything_to_sync(const struct round *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->logs[i].sync && r->logs[i].end_offset > log_promised(r->logs[i].log))
			return true;
	return !list_empty(&r->folder->forgets) || r->folder->note_wanted || r->folder->bounds_due;
}

/* A log that was written in an earlier round without being synced, and has to be durable now, is not in this round's journal record. */
static bool all_in_journal(const struct round *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct round_log *rl = &r->logs[i];
		int64_t promised = log_promised(rl->log);

		if (rl->sync && rl->end_offset > promised && (!rl->part_count || rl->base_offset > promised))
			return false;
	}
	return true;
}

static void promise(const struct round *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (round_log_holds(&r->logs[i]) && r->logs[i].end_offset > r->logs[i].log->promised)
			r->logs[i].log->promised = r->logs[i].end_offset;
}

/* To the journal, or else it is for the segments' sync. */
static enum err put_down_await(struct fiber *self, struct round *r)
{
	struct store_folder *f = r->folder;
	bool forgets = !list_empty(&f->forgets), all;
	enum err e = ERR_AGAIN;

	/* The very first commit waits for the journal: without it every new log costs four syncs. */
	while (!f->journal.ready && !f->journal.refused && !f->offline)
		if (event_wait_await(self, &f->round_over, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	all = all_in_journal(r);
	if (f->journal.ready && (forgets || all)) {
		e = round_write_journal_await(self, r);
		if (e == ERR_AGAIN && f->note_wanted) {
			e = round_note_journal_await(self, r);
			f->note_wanted = false;
			e = e ? e : ERR_AGAIN;
		}
	}
	r->journaled = e == OK;
	if (r->journaled)
		f->note_wanted = f->journal.live > r->live;
	r->segments = !r->journaled || !all;
	return e == ERR_AGAIN ? OK : e;
}

/* --- the round ---------------------------------------------------------------------------------------------------- */

static void write_round_await(struct fiber *self, struct round *r)
{
	struct store_folder *f = r->folder;
	size_t step = round_step(f->store);
	enum err e = OK;

	r->began_us = shard_now_us(f->store->shard);
	r->journaled = r->segments = false;
	gather(r);
	for (size_t i = 0; i < r->count; i += step)
		write_chunk_await(self, r, i, i + step < r->count ? i + step : r->count);
	if (MUTANT(ACK_BEFORE_SYNC)) {
		for (size_t i = 0; i < r->count; i++)
			if (r->logs[i].part_count && r->logs[i].sync) {
				r->logs[i].log->synced = r->logs[i].end_offset;
				log_tell_owner(r->logs[i].log);
			}
	}
	if (!f->offline && anything_to_sync(r))
		e = put_down_await(self, r);
	promise(r);
	release_written(r);
	if (e)
		folder_fail(f, e, "syncing");
	if (f->offline)
		forgets_over(&f->forgets, ERR_OFFLINE);
	list_push_back(&f->rounds->written, &r->node);
	event_signal(&f->rounds->to_sync);
}

/* Notes for the next start are of no use at the end, when all is closed; there may be no room for them either, and nobody who makes some. */
static bool has_work(const struct store_folder *f)
{
	bool notes = (f->note_wanted || f->bounds_due) && f->journal.ready && !f->offline;

	return !list_empty(&f->dirty) || !list_empty(&f->forgets) || (notes && !f->stopping);
}

static void commit_main(struct fiber *self, void *argument)
{
	struct store_folder *f = argument;
	struct rounds *rounds = f->rounds;

	while (!f->stopping || has_work(f)) {
		if (!has_work(f)) {
			if (event_wait_await(self, &f->work, FIBER_NO_DEADLINE) == ERR_CANCELLED)
				fiber_yield_await(self); /* what is appended is committed, cancelled or not */
			continue;
		}
		/* Room for a record of the journal alone may have to be made by the keeper first. */
		if (list_empty(&f->dirty) && !f->offline && !f->note_wanted && f->journal.ready &&
		    !journal_make_room(f, JOURNAL_BLOCK * 4)) {
			if (event_wait_await(self, &f->work, FIBER_NO_DEADLINE) == ERR_CANCELLED)
				fiber_yield_await(self);
			continue;
		}
		if (list_empty(&rounds->free)) {
			if (event_wait_await(self, &f->round_over, FIBER_NO_DEADLINE) == ERR_CANCELLED)
				fiber_yield_await(self);
			continue;
		}
		write_round_await(self, container_of(list_pop_front(&rounds->free), struct round, node));
	}
	rounds->ending = true;
	event_signal(&rounds->to_sync);
}

void commit_start(struct store_folder *f)
{
	static const struct fiber_options writing = {.name = "commit"}, syncing = {.name = "sync"};
	struct rounds *rounds = mem_new(struct rounds);
	bool started;

	list_init(&rounds->free);
	list_init(&rounds->written);
	event_init(&rounds->to_sync);
	for (int i = 0; i < ROUNDS_MAX; i++) {
		struct round *r = &rounds->all[i];

		r->folder = f;
		list_init(&r->forgets);
		buf_init(&r->heads, JOURNAL_HEADS_MAX);
		list_push_back(&rounds->free, &r->node);
	}
	f->rounds = rounds;
	f->committer_runs = true;
	started = fiber_start(f->store->shard, &writing, commit_main, f) &&
		  fiber_start(f->store->shard, &syncing, round_sync_main, f);
	must(started); /* the first fibers of a shard */
}

void commit_free(struct store_folder *f)
{
	if (!f->rounds)
		return;
	for (int i = 0; i < ROUNDS_MAX; i++) {
		struct round *r = &f->rounds->all[i];

		mem_free(r->logs);
		mem_free(r->parts);
		mem_free(r->journal_parts);
		buf_fini(&r->heads);
	}
	mem_free(f->rounds);
	f->rounds = NULL;
}

static enum err forget_await(struct fiber *self, struct store_folder *f, struct forget forget)
{
	if (f->offline)
		return ERR_OFFLINE;
	if (!f->journal.ready)
		return OK; /* nothing was ever written to it in this run */
	list_push_back(&f->forgets, &forget.node);
	event_signal(&f->work);
	while (!forget.over)
		if (event_wait_await(self, &f->round_over, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	return forget.error;
}

enum err commit_forget_await(struct fiber *self, struct log *l, int64_t end_offset)
{
	return forget_await(self, l->folder, (struct forget){.log = l, .end_offset = end_offset});
}

enum err commit_forget_in_await(struct fiber *self, struct log *l, struct store_folder *f)
{
	return forget_await(self, f, (struct forget){.log = l, .end_offset = l->written});
}

enum err commit_forget_files_await(struct fiber *self, struct log *l, int64_t base_offset)
{
	must(base_offset <= log_active(l)->base_offset);
	return base_offset ? forget_await(self, l->folder, (struct forget){.log = l, .file_base = base_offset}) : OK;
}
