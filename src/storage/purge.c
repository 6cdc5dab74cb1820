/*
 * purge: what leaves a log from below: its start moves, durably; segments wholly below it are no part of it any more, and their files
 * become *.deleted, to go when nobody can still be reading them.
 *
 *      start moves in memory -> producers kept (snapshot.c) -> bounds written (one write for all that wait) -> renamed
 *      -> file.delete.delay.ms -> removed
 *
 * Fibers only. Uses runtime/file and the keeper's checkpoint of bounds.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/mutant.h"
#include "base/saturate.h"
#include "storage/state.h"

/* --- files that go later ------------------------------------------------------------------------------------------ */

static void deleted_path(const struct log *l, int64_t base_offset, enum segment_file file,
			 char path[static LOG_PATH_SIZE + 16])
{
	char plain[LOG_PATH_SIZE];

	log_file_path(l, base_offset, file, plain);
	snprintf(path, LOG_PATH_SIZE + 16, "%s%s", plain, leftover_suffix(LEFTOVER_DELETED));
}

enum err log_doom_files_await(struct fiber *self, struct log *l, int64_t base_offset, unsigned files)
{
	struct doomed *d = mem_new(struct doomed);
	enum err failure = OK;

	d->base_offset = base_offset;
	d->due_us = us_after_ms(shard_now_us(l->store->shard), l->config.file_delete_delay_ms);
	for (int i = 0; i < SEGMENT_FILES; i++) {
		char from[LOG_PATH_SIZE], to[LOG_PATH_SIZE + 16];
		enum err e;

		if (!(files & 1u << i))
			continue;
		log_file_path(l, base_offset, (enum segment_file)i, from);
		deleted_path(l, base_offset, (enum segment_file)i, to);
		e = l->config.file_delete_delay_ms > 0 ? file_rename_await(self, from, to)
						       : file_remove_await(self, from);
		if (e && e != ERR_NOT_FOUND) {
			log_warn(log_logger(l), "%s: cannot be %s: %s; recovery will", from,
				 l->config.file_delete_delay_ms > 0 ? "renamed" : "removed", err_text(e));
			failure = failure ? failure : e;
		}
		if (!e && l->config.file_delete_delay_ms > 0)
			d->files |= 1u << i;
	}
	if (!d->files) {
		mem_free(d);
		return failure;
	}
	list_push_back(&l->doomed, &d->node);
	housekeeping_note(l->store, d->due_us);
	return failure;
}

void log_sweep_doomed_await(struct fiber *self, struct log *l, int64_t now_us)
{
	struct list due;
	struct list_node *n;

	list_init(&due);
	list_for_each(&l->doomed, at)
	{
		if (container_of(at, struct doomed, node)->due_us > now_us)
			continue;
		list_remove(at);
		list_push_back(&due, at);
	}
	while ((n = list_pop_front(&due)) != NULL) {
		struct doomed *d = container_of(n, struct doomed, node);
		char path[LOG_PATH_SIZE + 16];

		for (int i = 0; i < SEGMENT_FILES; i++) {
			if (!(d->files & 1u << i))
				continue;
			deleted_path(l, d->base_offset, (enum segment_file)i, path);
			(void)!file_remove_await(self, path);
		}
		mem_free(d);
	}
}

void log_forget_doomed(struct log *l)
{
	struct list_node *n;

	while ((n = list_pop_front(&l->doomed)) != NULL)
		mem_free(container_of(n, struct doomed, node));
}

/* --- the start ---------------------------------------------------------------------------------------------------- */

void log_move_start(struct log *l, int64_t offset)
{
	must(offset <= l->written);
	if (offset <= l->start)
		return;
	l->start = offset;
	l->side_files_dirty = l->epochs_dirty = true;
	epoch_cache_truncate_start(&l->epochs, offset);
}

/* One write of the bounds is for all starts that moved before it began. */
static enum err save_start_await(struct fiber *self, struct log *l)
{
	struct store_folder *f = l->folder;
	uint64_t ticket = l->start_ticket;
	enum err e = OK;

	while (!e && f->starts_saved < ticket) {
		uint64_t covered = f->starts_asked;

		if (f->starts_saving) {
			if (event_wait_await(self, &f->round_over, FIBER_NO_DEADLINE) == ERR_CANCELLED)
				fiber_yield_await(self);
			continue;
		}
		f->starts_saving = true;
		e = f->offline ? ERR_OFFLINE : keeper_write_bounds_await(self, f);
		f->starts_saving = false;
		if (!e)
			f->starts_saved = covered;
		event_signal(&f->round_over);
	}
	return e;
}

static void tell_why(const struct log *l, const struct segment *s)
{
	const char *why = "is below the log's start";
	int64_t limit = l->start;

	if (s->base_offset < l->over_below) {
		why = "is older than retention.ms allows";
		limit = l->config.retention_ms;
	} else if (s->base_offset < l->surplus_below) {
		why = "is more than retention.bytes allows";
		limit = l->config.retention_bytes;
	} else if (s->base_offset < l->evicted_below) {
		why = "is the oldest while the disk's use is above disk.usage.max.bytes";
		limit = l->store->settings.disk_usage_max_bytes;
	}
	log_info(log_logger(l),
		 "%s-%d: deleting segment %020" PRId64 ", which %s (%" PRId64 "): %" PRId64
		 " bytes, largest timestamp %" PRId64 "; the log keeps %" PRId64 " bytes",
		 l->topic, (int)l->partition, s->base_offset, why, limit, s->size, s->max_timestamp, log_size_bytes(l));
}

static void leave_log_await(struct fiber *self, struct log *l)
{
	struct segment *s = l->segments[0];

	memmove(l->segments, l->segments + 1, (l->segment_count - 1) * sizeof(struct segment *));
	l->segment_count--;
	tell_why(l, s);
	file_cache_drop(&l->store->files, &s->file);
	list_push_back(&l->graveyard, &s->grave);
	/* What stays under its name is below the start: the next start removes it. */
	(void)!log_doom_files_await(self, l, s->base_offset, ALL_SEGMENT_FILES);
}

static bool may_leave(const struct log *l)
{
	/* A segment that is not synced yet would be missed by the next sync: it goes when it is. */
	return !l->closing && !l->swapping && l->segment_count > 1 && l->segments[1]->base_offset <= l->start_durable &&
	       l->file_synced >= l->segments[1]->base_offset;
}

static struct segment *first_that_stays(const struct log *l)
{
	int64_t below = l->file_synced < l->start_durable ? l->file_synced : l->start_durable;

	return l->segments[log_segment_at(l, below)];
}

enum err log_settle_start_await(struct fiber *self, struct log *l)
{
	int64_t start = l->start;
	enum err e = OK;

	log_pin(l);
	if (start > l->start_durable)
		e = log_keep_producers_await(self, l, start);
	if (!e && start > l->start_durable && !MUTANT(START_NOT_DURABLE))
		e = save_start_await(self, l);
	if (!e && start > l->start_durable)
		l->start_durable = start;
	while (!e && may_leave(l)) {
		struct segment *s = first_that_stays(l);

		e = log_keep_snapshot_await(self, l, s);
		if (!e && may_leave(l) && s == first_that_stays(l))
			leave_log_await(self, l);
	}
	log_unpin(l);
	return e;
}

static enum err advance_pinned_await(struct fiber *self, struct log *l, int64_t offset)
{
	enum err e = OK;

	/* With write.caching: what is below the start must not be missing in the log itself after a power failure. */
	if (offset > l->synced)
		e = log_flush_await(self, l);
	if (e || l->closing)
		return e ? e : ERR_CANCELLED;
	log_move_start(l, offset);
	return log_settle_start_await(self, l);
}

enum err log_advance_start_await(struct fiber *self, struct log *l, int64_t offset)
{
	enum err e;

	log_wait_held_await(self, l);
	if (l->state || l->closing)
		return l->state ? l->state : ERR_CANCELLED;
	if (store_is_read_only(l->store))
		return ERR_POLICY_VIOLATION;
	if (offset > l->written)
		return ERR_OFFSET_OUT_OF_RANGE;
	if (offset <= l->start_durable)
		return OK;
	log_pin(l); /* so that nobody frees it meanwhile */
	e = advance_pinned_await(self, l, offset);
	log_unpin(l);
	return e;
}
