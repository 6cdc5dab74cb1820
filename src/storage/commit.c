/*
 * commit: the committer of a shard's logs in one log folder: a fiber that takes what was appended, writes it, makes it durable, and tells.
 *
 *      dirty logs -> write (page cache, parallel) -> few bytes: journal, one write, one sync      -> synced moves, owners are told
 *                                                 -> many bytes: sync the segments, in parallel
 *
 * One round at a time; the next one gathers what comes meanwhile. See docs/decisions/0001. Uses runtime/file and the rest of storage/.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/mutant.h"
#include "storage/state.h"

#define JOURNAL_HEADS_MAX ((size_t)256 << 20)

static const uint8_t zeros[JOURNAL_BLOCK];

struct round_log {
	struct log *log;
	struct segment *segment;
	struct cached_file *file;
	size_t part_at;
	size_t part_count;
	size_t bytes;
	int64_t position;
	int64_t base_offset;
	int64_t end_offset;  /* the log is written up to here after this round */
	uint32_t cuts;       /* the log's, when the round began */
	uint64_t generation; /* of the journal when end_offset was noted */
	bool sync;           /* somebody wants it durable now */
	enum err error;
	struct file_op op;
	struct fan *fan;
};

struct round {
	struct store_folder *folder;
	struct round_log *logs;
	size_t count;
	size_t capacity;
	struct bytes *parts; /* of all logs, one behind the other */
	size_t part_count;
	size_t part_capacity;
	struct bytes *journal_parts;
	size_t journal_part_capacity;
	struct list
		forgets; /* in the journal record that is being synced; what comes meanwhile waits for the next one */
	struct buf heads;
};

static void op_done(struct file_op *op)
{
	struct round_log *rl = container_of(op, struct round_log, op);

	rl->error = op->error;
	fan_done(rl->fan);
}

/* --- gathering ---------------------------------------------------------------------------------------------------- */

void commit_mark(struct log *l)
{
	struct store_folder *f = l->folder;

	if (list_linked(&l->dirty_node))
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
	l->in_round = true;
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
	while ((n = list_pop_front(&dirty)) != NULL)
		gather_log(r, container_of(n, struct log, dirty_node));
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

/* Of logs whose files a step of a round holds open together. */
static size_t chunk_size(const struct store *s)
{
	size_t half = s->files.limit / 2;

	return half > PIN_CHUNK ? PIN_CHUNK : half > 0 ? half : 1;
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
		rl->op = (struct file_op){.done = op_done};
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

static void tell_owner(struct log *l)
{
	if (l->owner && l->owner->progressed)
		l->owner->progressed(l->owner);
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
			tell_owner(l);
	}
}

/* --- the journal -------------------------------------------------------------------------------------------------- */

static void journal_part(struct round *r, size_t *count, struct bytes part)
{
	r->journal_parts = mem_grow(r->journal_parts, &r->journal_part_capacity, *count + 1, sizeof(*r->journal_parts));
	r->journal_parts[(*count)++] = part;
}

/* A record's head, in `heads` (whose memory was reserved: it does not move), and its bytes. */
static void journal_record(struct round *r, size_t *count, struct journal_record *record, const struct bytes *parts,
			   size_t part_count)
{
	struct journal *j = &r->folder->journal;
	size_t start = r->heads.size;

	record->run = r->folder->of->run;
	record->generation = j->generation;
	record->live = j->live;
	record->round = j->round;
	journal_head_write(&r->heads, record, parts, part_count);
	must(!r->heads.error);
	journal_part(r, count, bytes_of(r->heads.data + start, r->heads.size - start));
	for (size_t i = 0; i < part_count; i++)
		journal_part(r, count, parts[i]);
}

static struct journal_record record_of(const struct log *l, enum journal_kind kind)
{
	return (struct journal_record){
		.kind = kind,
		.topic_id = l->topic_id,
		.topic = log_topic(l),
		.partition = l->partition,
		.acknowledged = l->acknowledged,
		.position = l->start,
	};
}

struct journal_plan {
	size_t logs;
	size_t bytes;
	size_t records;
};

static struct journal_plan journal_plan(struct round *r)
{
	struct journal_plan plan = {0};

	for (size_t i = 0; i < r->count; i++) {
		if (r->logs[i].sync && r->logs[i].part_count) {
			plan.logs++;
			plan.bytes += r->logs[i].bytes;
		}
	}
	plan.records = plan.logs + 1;
	if (r->folder->bounds_due)
		list_for_each(&r->folder->noted, n) plan.records++;
	list_for_each(&r->folder->forgets, n) plan.records++;
	return plan;
}

static void journal_fill(struct round *r, size_t *count)
{
	struct store_folder *f = r->folder;
	struct journal_record record;
	struct list_node *n;

	while ((n = list_pop_front(&f->forgets)) != NULL) {
		struct forget *forget = container_of(n, struct forget, node);

		list_push_back(&r->forgets, n);
		record = record_of(forget->log, JOURNAL_FORGET);
		record.base_offset = forget->end_offset;
		record.file_base = forget->file_base;
		journal_record(r, count, &record, NULL, 0);
	}
	for (size_t i = 0; i < r->count; i++) {
		struct round_log *rl = &r->logs[i];

		if (!rl->sync || !rl->part_count)
			continue;
		record = record_of(rl->log, JOURNAL_DATA);
		record.file_base = rl->segment->base_offset;
		record.position = rl->position;
		record.base_offset = rl->base_offset;
		if (list_linked(&rl->log->noted_node)) /* its bound goes with it */
			list_remove(&rl->log->noted_node);
		journal_record(r, count, &record, r->parts + rl->part_at, rl->part_count);
	}
	while (f->bounds_due && (n = list_pop_front(&f->noted)) != NULL) {
		struct log *l = container_of(n, struct log, noted_node);

		record = record_of(l, JOURNAL_NOTE);
		journal_record(r, count, &record, NULL, 0);
		f->bounds_dirty = true;
	}
	f->bounds_due = false;
	record = (struct journal_record){.kind = JOURNAL_END};
	journal_record(r, count, &record, NULL, 0);
}

/* Before its round is synced a log is in the generation: the keeper must not free it before the segment is synced. */
static void journal_claim(struct round *r)
{
	struct journal *j = &r->folder->journal;

	for (size_t i = 0; i < r->count; i++) {
		struct log *l = r->logs[i].log;

		if (!r->logs[i].sync || !r->logs[i].part_count || l->first_generation)
			continue;
		l->first_generation = j->generation;
		if (!r->folder->tick_armed)
			event_signal(&r->folder->chores); /* it is synced when it came to rest */
	}
}

static enum err journal_put_await(struct fiber *self, struct round *r, size_t count)
{
	struct journal *j = &r->folder->journal;
	size_t size = 0, padding;
	struct fan fan = {.fiber = self};
	struct round_log write = {.fan = &fan, .op = {.done = op_done}};

	for (size_t i = 0; i < count; i++)
		size += r->journal_parts[i].size;
	padding = (JOURNAL_BLOCK - size % JOURNAL_BLOCK) % JOURNAL_BLOCK;
	journal_part(r, &count, bytes_of(zeros, padding));
	must(j->at + size + padding <= j->size);
	fan_add(&fan);
	file_write(j->files[j->active], &write.op, r->journal_parts, count, (int64_t)j->at);
	j->at += size + padding;
	fan_wait_await(self, &fan);
	return write.error;
}

static enum err journal_sync_await(struct fiber *self, struct store_folder *f)
{
	struct journal *j = &f->journal;
	int64_t began_us = shard_now_us(f->store->shard);
	uint64_t live = j->live; /* what the round just written says */
	enum err e = store_syncs(f->store) ? file_sync_await(self, j->files[j->active]) : OK;

	histogram_add(&f->store->figures.journal_sync_us, shard_now_us(f->store->shard) - began_us);

	if (e)
		return e;
	f->note_wanted = j->live > live;
	j->durable_live = live;
	return OK;
}

/* One write of all that is to be remembered. OK, ERR_AGAIN when it does not fit or is not worth it, or the failure. */
static enum err journal_write_await(struct fiber *self, struct round *r)
{
	struct store_folder *f = r->folder;
	struct journal_plan plan = journal_plan(r);
	size_t count = 0;

	if (plan.bytes > plan.logs * JOURNAL_BYTES_PER_LOG_MAX ||
	    !journal_make_room(f, plan.bytes + plan.records * JOURNAL_RECORD_HEAD_MAX + JOURNAL_BLOCK))
		return ERR_AGAIN;
	buf_reset(&r->heads);
	if (!buf_reserve(&r->heads, plan.records * JOURNAL_RECORD_HEAD_MAX))
		return ERR_AGAIN;
	f->journal.round++;
	journal_fill(r, &count);
	journal_claim(r);
	return journal_put_await(self, r, count);
}

/* Says on disk which generations are still needed: the other file is only then free. For this the last block of a file is kept. */
static enum err journal_note_await(struct fiber *self, struct round *r)
{
	struct journal *j = &r->folder->journal;
	struct journal_record end = {.kind = JOURNAL_END};
	size_t count = 0;
	enum err e;

	if (j->at + JOURNAL_BLOCK > j->size)
		return ERR_AGAIN;
	buf_reset(&r->heads);
	if (!buf_reserve(&r->heads, JOURNAL_RECORD_HEAD_MAX))
		return ERR_AGAIN;
	j->round++;
	journal_record(r, &count, &end, NULL, 0);
	e = journal_put_await(self, r, count);
	return e ? e : journal_sync_await(self, r->folder);
}

/* --- durability --------------------------------------------------------------------------------------------------- */

static bool only_active_unsynced(const struct log *l, const struct segment *s)
{
	return l->file_synced >= s->base_offset && l->names_synced && s->name_synced && s->made;
}

static void file_is_synced(const struct round_log *rl)
{
	struct log *l = rl->log;

	if (l->cuts != rl->cuts)
		return;
	if (l->file_synced < rl->end_offset)
		l->file_synced = rl->end_offset;
	l->first_generation = l->written > rl->end_offset ? rl->generation : 0;
	l->folder->bounds_dirty = true;
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
		if (rl->error)
			continue;
		rl->fan = &fan;
		rl->op = (struct file_op){.done = op_done};
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
	size_t step = chunk_size(s);
	enum err e = OK;

	for (size_t i = 0; i < r->count && !e; i += step)
		e = sync_chunk_await(self, r, i, i + step < r->count ? i + step : r->count);
	histogram_add(&s->figures.segments_sync_us, shard_now_us(s->shard) - began_us);
	return e;
}

static bool anything_to_sync(const struct round *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->logs[i].sync && r->logs[i].end_offset > r->logs[i].log->synced)
			return true;
	return !list_empty(&r->folder->forgets) || r->folder->note_wanted || r->folder->bounds_due;
}

/* A log that was written in an earlier round, and has to be durable now, is not in this round's journal record. */
static bool all_in_journal(const struct round *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct round_log *rl = &r->logs[i];

		if (rl->sync && rl->end_offset > rl->log->synced && rl->base_offset > rl->log->synced)
			return false;
		if (rl->sync && !rl->part_count && rl->end_offset > rl->log->synced)
			return false;
	}
	return true;
}

static void forgets_over(struct list *forgets, enum err error)
{
	struct list_node *n;

	while ((n = list_pop_front(forgets)) != NULL) {
		struct forget *forget = container_of(n, struct forget, node);

		forget->over = true;
		forget->error = error;
	}
}

/* Makes the round durable. Releases the appends as soon as their bytes were written for the last time. */
static enum err make_durable_await(struct fiber *self, struct round *r)
{
	struct store_folder *f = r->folder;
	bool forgets = !list_empty(&f->forgets);
	enum err e = ERR_AGAIN;

	/* The very first commit waits for the journal: without it every new log costs four syncs. */
	while (!f->journal.ready && !f->journal.refused && !f->offline)
		if (event_wait_await(self, &f->round_over, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	if (f->journal.ready && (forgets || all_in_journal(r))) {
		e = journal_write_await(self, r);
		if (e == ERR_AGAIN && f->note_wanted) {
			e = journal_note_await(self, r);
			f->note_wanted = false;
			e = e ? e : ERR_AGAIN;
		}
	}
	release_written(r);
	if (e == OK) {
		e = journal_sync_await(self, f);
		if (!e)
			forgets_over(&r->forgets, OK);
		if (e || all_in_journal(r))
			return e;
		e = ERR_AGAIN;
	}
	if (e != ERR_AGAIN)
		return e;
	if (!store_syncs(f->store))
		return OK;
	return sync_segments_await(self, r);
}

/* --- the round ---------------------------------------------------------------------------------------------------- */

static void finish_log(struct round_log *rl, bool durable)
{
	struct log *l = rl->log;
	bool moved = rl->part_count > 0;

	if (durable && rl->sync && !l->state && rl->end_offset > l->synced) {
		l->synced = rl->end_offset;
		l->last_flush_ms = shard_now_ms(l->store->shard);
		moved = true;
	}
	l->in_round = false;
	log_bury(l);
	if (l->state)
		log_lose_unsynced(l);
	if (!list_empty(&l->pending))
		commit_mark(l);
	if (moved)
		tell_owner(l);
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

static void round_await(struct fiber *self, struct round *r)
{
	struct store_folder *f = r->folder;
	int64_t began_us = shard_now_us(f->store->shard);
	size_t step = chunk_size(f->store);
	enum err e = OK;

	gather(r);
	for (size_t i = 0; i < r->count; i += step)
		write_chunk_await(self, r, i, i + step < r->count ? i + step : r->count);
	if (MUTANT(ACK_BEFORE_SYNC)) {
		for (size_t i = 0; i < r->count; i++)
			if (r->logs[i].part_count && r->logs[i].sync) {
				r->logs[i].log->synced = r->logs[i].end_offset;
				tell_owner(r->logs[i].log);
			}
	}
	if (!f->offline && anything_to_sync(r))
		e = make_durable_await(self, r);
	else
		release_written(r);
	if (e)
		folder_fail(f, e, "syncing");
	if (f->offline) {
		forgets_over(&r->forgets, ERR_OFFLINE);
		forgets_over(&f->forgets, ERR_OFFLINE);
	}
	for (size_t i = 0; i < r->count; i++)
		finish_log(&r->logs[i], !e && !f->offline);
	count_round(r, began_us);
	event_signal(&f->round_over);
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
	struct round *r = f->round;

	while (!f->stopping || has_work(f)) {
		if (!has_work(f)) {
			if (event_wait_await(self, &f->work, FIBER_NO_DEADLINE) == ERR_CANCELLED)
				fiber_yield_await(self); /* what is appended is committed, cancelled or not */
			continue;
		}
		/* Room for a record of the journal alone may have to be made by the keeper first. */
		if (list_empty(&f->dirty) && !f->offline && !f->note_wanted && f->journal.ready &&
		    !journal_make_room(f, JOURNAL_BLOCK * 4)) {
			(void)!event_wait_await(self, &f->work, FIBER_NO_DEADLINE);
			continue;
		}
		round_await(self, r);
	}
	f->committer_runs = false;
	event_signal(&f->round_over);
}

void commit_start(struct store_folder *f)
{
	static const struct fiber_options options = {.name = "commit"};
	struct fiber *fiber;

	f->round = mem_new(struct round);
	f->round->folder = f;
	list_init(&f->round->forgets);
	buf_init(&f->round->heads, JOURNAL_HEADS_MAX);
	f->committer_runs = true;
	fiber = fiber_start(f->store->shard, &options, commit_main, f);
	must(fiber != NULL); /* the first fibers of a shard */
}

void commit_free(struct store_folder *f)
{
	if (!f->round)
		return;
	mem_free(f->round->logs);
	mem_free(f->round->parts);
	mem_free(f->round->journal_parts);
	buf_fini(&f->round->heads);
	mem_free(f->round);
	f->round = NULL;
}

static enum err forget_await(struct fiber *self, struct log *l, struct forget forget)
{
	struct store_folder *f = l->folder;

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
	return forget_await(self, l, (struct forget){.log = l, .end_offset = end_offset});
}

enum err commit_forget_files_await(struct fiber *self, struct log *l, int64_t base_offset)
{
	must(base_offset <= log_active(l)->base_offset);
	return base_offset ? forget_await(self, l, (struct forget){.log = l, .file_base = base_offset}) : OK;
}
