/*
 * commit_sync: the second half of a commit: what rounds have written is synced, in order, and their logs are told. While it is at one the
 * committer writes the next ones; a journal's file is synced once for all that wait. See round.h.
 */
#include "base/alloc.h"
#include "storage/round.h"

/* --- segments ----------------------------------------------------------------------------------------------------- */

static bool only_active_unsynced(const struct log *l, const struct segment *s)
{
	return l->file_synced >= s->base_offset && l->names_synced && s->name_synced && s->made;
}

/* One that rolled meanwhile and has aborted transactions that are not in their file is covered by a later sync. */
static void file_is_synced(const struct round_log *rl)
{
	if (rl->log->cuts == rl->cuts && !log_owes_aborted(rl->log, rl->end_offset))
		log_files_cover(rl->log, rl->end_offset, rl->generation);
}

/* Syncs the segments of a chunk of logs: those with one file to sync all at once, the others one after the other. */
static enum err sync_chunk_await(struct fiber *self, struct round *r, size_t first, size_t end)
{
	struct fan fan = {.fiber = self};
	enum err failure = OK;

	for (size_t i = first; i < end; i++) {
		struct round_log *rl = &r->logs[i];
		struct log *l = rl->log;

		rl->error = OK;
		if (!rl->sync || l->file_synced >= rl->end_offset || l->state == ERR_CORRUPT)
			continue;
		if (!rl->segment)
			rl->segment = log_active(l);
		if (!only_active_unsynced(l, rl->segment)) {
			rl->error = log_sync_files_await(self, l);
			continue;
		}
		rl->error = log_open_segment_await(self, l, rl->segment, &rl->file);
		if (rl->error && list_linked(&rl->segment->grave)) /* removed or replaced meanwhile */
			rl->error = log_sync_files_await(self, l);
		if (!rl->file)
			continue;
		rl->fan = &fan;
		rl->op = (struct file_op){.done = round_op_done};
		fan_add(&fan);
		file_sync(rl->file->file, &rl->op);
	}
	fan_wait_await(self, &fan);
	for (size_t i = first; i < end; i++) {
		struct round_log *rl = &r->logs[i];

		if (rl->file) {
			file_cache_give(&r->folder->store->files, rl->file);
			rl->file = NULL;
			if (!rl->error)
				file_is_synced(rl);
		}
		if (rl->error == ERR_CORRUPT)
			log_fail_alone(rl->log, "a segment of it is gone");
		else if (rl->error && !failure)
			failure = rl->error;
	}
	return failure;
}

static enum err sync_segments_await(struct fiber *self, struct round *r)
{
	struct store *s = r->folder->store;
	int64_t began_us = shard_now_us(s->shard);
	size_t step = round_step(s);
	enum err e = OK;

	for (size_t i = 0; i < r->count && !e; i += step)
		e = sync_chunk_await(self, r, i, i + step < r->count ? i + step : r->count);
	histogram_add(&s->figures.segments_sync_us, shard_now_us(s->shard) - began_us);
	return e;
}

/* --- the end of a round ------------------------------------------------------------------------------------------- */

void forgets_over(struct list *forgets, enum err error)
{
	struct list_node *n;

	while ((n = list_pop_front(forgets)) != NULL) {
		struct forget *forget = container_of(n, struct forget, node);

		forget->over = true;
		forget->error = error;
	}
}

static void finish_log(struct round_log *rl, bool durable)
{
	struct log *l = rl->log;
	bool moved = rl->part_count > 0;

	if (durable && round_log_holds(rl) && !l->state && rl->end_offset > l->synced) {
		l->synced = rl->end_offset;
		l->last_flush_ms = shard_now_ms(l->store->shard);
		log_note_synced(l);
		moved = true;
	}
	l->rounds--;
	log_bury(l);
	if (l->state && l->rounds == 0)
		log_lose_unsynced(l);
	if (moved)
		log_tell_owner(l);
	event_signal(&l->unpinned);
}

/* A round that wrote nothing, for the journal's own sake, is none to be counted. */
static void count_round(const struct round *r, int64_t began_us)
{
	struct store *s = r->folder->store;
	size_t bytes = 0;

	for (size_t i = 0; i < r->count; i++)
		bytes += r->logs[i].bytes;
	if (bytes == 0)
		return;
	histogram_add(&s->figures.commit_bytes, (int64_t)bytes);
	histogram_add(&s->figures.commit_us, shard_now_us(s->shard) - began_us);
}

static void finish_round(struct round *r, enum err error)
{
	struct store_folder *f = r->folder;

	if (f->offline && !error)
		error = ERR_OFFLINE;
	forgets_over(&r->forgets, error);
	for (size_t i = 0; i < r->count; i++)
		finish_log(&r->logs[i], !error);
	count_round(r, r->began_us);
	list_push_back(&f->rounds->free, &r->node);
}

/* --- syncing ------------------------------------------------------------------------------------------------------ */

static enum err sync_journal_await(struct fiber *self, struct store_folder *f, const struct round *last)
{
	struct journal *j = &f->journal;
	int64_t began_us = shard_now_us(f->store->shard);
	enum err e = store_syncs(f->store) ? file_sync_await(self, j->files[last->journal_file]) : OK;

	histogram_add(&f->store->figures.journal_sync_us, shard_now_us(f->store->shard) - began_us);
	if (e)
		return e;
	j->round_synced = last->number;
	if (j->durable_live < last->live) {
		j->durable_live = last->live;
		event_signal(&f->work); /* it may have waited for the room that this makes */
	}
	return OK;
}

/* The oldest, and those behind it that the same sync covers. Gives the last one that is in the journal, or the oldest. */
static struct round *take_group(struct rounds *rounds, struct list *group)
{
	struct round *last = container_of(list_pop_front(&rounds->written), struct round, node);
	struct list_node *n;

	list_init(group);
	list_push_back(group, &last->node);
	while (!last->segments && (n = list_first(&rounds->written)) != NULL) {
		struct round *next = container_of(n, struct round, node);

		if (next->segments || (last->journaled && next->journaled && next->journal_file != last->journal_file))
			break;
		list_remove(n);
		list_push_back(group, n);
		if (next->journaled)
			last = next;
	}
	return last;
}

static void sync_group_await(struct fiber *self, struct store_folder *f)
{
	struct list group;
	struct list_node *n;
	struct round *last = take_group(f->rounds, &group);
	enum err e = OK;

	if (!f->offline && last->journaled)
		e = sync_journal_await(self, f, last);
	if (!e && !f->offline && last->segments && store_syncs(f->store))
		e = sync_segments_await(self, last);
	if (e)
		folder_fail(f, e, "syncing");
	while ((n = list_pop_front(&group)) != NULL)
		finish_round(container_of(n, struct round, node), e);
	event_signal(&f->round_over);
}

void round_sync_main(struct fiber *self, void *argument)
{
	struct store_folder *f = argument;
	struct rounds *rounds = f->rounds;

	while (!rounds->ending || !list_empty(&rounds->written)) {
		if (!list_empty(&rounds->written))
			sync_group_await(self, f);
		else if (event_wait_await(self, &rounds->to_sync, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self); /* what is appended is committed, cancelled or not */
	}
	f->committer_runs = false;
	event_signal(&f->round_over);
}
