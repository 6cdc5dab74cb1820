/*
 * move_swap: the change of folders of a log that is copied (move.h), so that a process may die, or the power fail, between any two steps.
 *
 *      held: all written, synced here -> rest copied, synced there
 *      moldau-moves-SHARD here        -> from now on a folder of the name over there is the newer one
 *      bounds there, both journals    -> no recovery there starts from nothing, no replay brings back what is of an earlier time
 *      *-future renamed there, synced -> it is the log; in memory too, and what was appended meanwhile is written
 *      here renamed to *-delete, synced -> the mark goes, then the files
 *
 * Fibers only. Uses runtime/file, the committer and the keeper's checkpoint.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "storage/move_own.h"

/* --- the mark ----------------------------------------------------------------------------------------------------- */

static void mark_path(const struct move *m, const struct store_folder *here, char path[static LOG_PATH_SIZE])
{
	snprintf(path, LOG_PATH_SIZE, "%s/" MOVES_PREFIX "%u", here->of->path, shard_index(m->log->store->shard));
}

static enum err write_mark_await(struct fiber *self, struct move *m, struct store_folder *here)
{
	struct moved_log moved = {.topic_id = m->log->topic_id, .directory_id = m->to->of->meta.directory_id};
	char path[LOG_PATH_SIZE];
	struct buf out;
	enum err e;

	moved.topic = log_topic(m->log);
	moved.partition = m->log->partition;
	buf_init(&out, 4096);
	moves_write_head(&out);
	moves_write_entry(&out, &moved);
	moves_write_end(&out);
	mark_path(m, here, path);
	e = file_replace_await(self, path, buf_bytes(&out));
	buf_fini(&out);
	return e;
}

/* Before another log of this shard is moved, or this one again: a mark that came back would speak of a move that is long over. */
static void remove_mark_await(struct fiber *self, struct move *m, struct store_folder *here)
{
	char path[LOG_PATH_SIZE];
	enum err e;

	mark_path(m, here, path);
	e = file_remove_await(self, path);
	if (e == ERR_NOT_FOUND)
		e = OK;
	if (!e && store_syncs(m->log->store))
		e = folder_sync_await(self, here->of->path);
	if (e)
		folder_fail(here, e, "ending a move");
}

/* --- the rest of the copy ----------------------------------------------------------------------------------------- */

/* Nobody writes, reads or changes it: what was under way has ended, and some of that may have waited for a commit. */
static enum err hold_await(struct fiber *self, struct move *m)
{
	struct log *l = m->log;
	enum err e;

	l->held = true;
	while (l->pins > 0 || !list_empty(&l->reads))
		if (event_wait_await(self, &l->unpinned, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	l->writes_held = true;
	log_wait_alone_await(self, l);
	e = l->state ? l->state : log_note_synced_files(l, log_sync_files_await(self, l));
	/* A start that moved and is not told yet would be behind what the bounds over there say. */
	if (!e && l->start > l->start_durable)
		e = log_settle_start_await(self, l);
	log_wait_alone_await(self, l);
	if (move_must_stop(m))
		return ERR_CANCELLED;
	return !e && l->synced < l->written ? ERR_AGAIN : e; /* write.caching was just switched off */
}

static void let_go(struct log *l, struct store_folder *here)
{
	l->held = l->writes_held = false;
	if (!list_empty(&l->pending) || l->flush_wanted)
		commit_mark(l);
	log_begin_postponed(l);
	l->look_at_bytes = 0;
	event_signal(&l->unpinned);
	event_signal(&here->round_over);
}

/* Of segments that have left the log since, or that an earlier process copied. */
static enum err remove_strangers_await(struct fiber *self, struct move *m)
{
	const struct log *l = m->log;
	char path[LOG_PATH_SIZE];
	struct folder_list list;
	enum err e;

	move_file_path(m, NULL, path);
	e = folder_list_await(self, path, &list);
	if (e)
		return e;
	for (size_t i = 0; !e && i < list.count; i++) {
		enum segment_file file;
		int64_t base;

		if (segment_name_parse(bytes_str(list.entries[i].name), &base, &file) != OK ||
		    l->segments[log_segment_at(l, base)]->base_offset == base)
			continue;
		move_file_path(m, list.entries[i].name, path);
		e = file_remove_await(self, path);
	}
	folder_list_free(&list);
	return move_there(m, e);
}

/* Indexes and snapshots that were written since their segment was copied. */
static enum err copy_late_sides_await(struct fiber *self, struct move *m)
{
	struct log *l = m->log;
	enum err e = OK;

	for (uint32_t i = 0; i < l->segment_count && !e; i++)
		if (!l->segments[i]->sides_moved && l->segments[i]->made)
			e = move_copy_sides_await(self, m, l->segments[i]);
	return e;
}

static enum err copy_rest_await(struct fiber *self, struct move *m)
{
	bool syncs = store_syncs(m->log->store);
	char path[LOG_PATH_SIZE];
	enum err e = move_copy_await(self, m);

	if (!e)
		e = move_finish_file_await(self, m);
	file_close(m->file);
	m->file = NULL;
	if (!e)
		e = copy_late_sides_await(self, m);
	move_file_path(m, "leader-epoch-checkpoint", path);
	if (!e && m->log->epochs.count)
		e = move_there(m, log_save_epochs_at_await(self, m->log, path, syncs));
	if (!e)
		e = remove_strangers_await(self, m);
	move_file_path(m, NULL, path);
	return !e && syncs ? move_there(m, folder_sync_await(self, path)) : e;
}

/* --- the change --------------------------------------------------------------------------------------------------- */

static void plain_path(const struct move *m, const struct store_folder *in, char path[static LOG_PATH_SIZE])
{
	snprintf(path, LOG_PATH_SIZE, "%s/%s-%d", in->of->path, m->log->topic, (int)m->log->partition);
}

static void relink(struct list *to, struct list_node *n)
{
	if (!list_linked(n))
		return;
	list_remove(n);
	list_push_back(to, n);
}

/* No suspension: from now on every path leads over there. */
static void switch_in_memory(struct move *m)
{
	struct log *l = m->log;
	struct store_folder *to = m->to;

	l->folder->log_count--;
	to->log_count++;
	if (list_linked(&l->dirty_node))
		list_remove(&l->dirty_node);
	relink(&to->noted, &l->noted_node);
	relink(&to->rolled, &l->rolled_node);
	if (!list_linked(&l->rolled_node)) /* indexes that were not saved yet are so over there */
		list_push_back(&to->rolled, &l->rolled_node);
	l->folder->bounds_dirty = to->bounds_dirty = true;
	l->also_in = l->folder; /* until there is nothing of it any more */
	l->folder = to;
	l->first_generation = 0;
	l->start_ticket = 0;
	l->root_version = ++to->root_version;
	l->place = PLACE_UNKNOWN;
	l->folder_made = l->metadata_made = l->names_synced = true;
	l->found_durable = false;
	l->epochs_dirty = l->side_files_dirty = true;
	log_forget_doomed(l); /* they go with the old folder */
	for (uint32_t i = 0; i < l->segment_count; i++) {
		struct segment *s = l->segments[i];

		file_cache_drop(&l->store->files, &s->file);
		s->name_synced = s->made;
		s->reserved = false;
		s->snapshot_durable = s->snapshot_durable && s->sides_moved;
	}
	event_signal(&to->chores);
}

static enum err prepare_await(struct fiber *self, struct move *m, struct store_folder *here)
{
	struct log *l = m->log;
	char path[LOG_PATH_SIZE];
	struct file_info info;
	enum err e;

	plain_path(m, m->to, path);
	e = file_info_await(self, path, &info);
	if (e != ERR_NOT_FOUND)
		return e ? e : ERR_EXISTS; /* another topic's, or what somebody copied by hand */
	e = write_mark_await(self, m, here);
	if (e)
		return e;
	l->also_in = m->to;
	e = move_there(m, keeper_write_bounds_await(self, m->to));
	if (!e) /* it may have been there before */
		e = commit_forget_in_await(self, l, m->to);
	if (!e)
		e = commit_forget_in_await(self, l, here);
	return !e && move_must_stop(m) ? ERR_CANCELLED : e;
}

/* OK: it lies over there, perhaps without an end of its trouble: then its folder is offline. */
static enum err commit_await(struct fiber *self, struct move *m, struct store_folder *here)
{
	char from[LOG_PATH_SIZE], to[LOG_PATH_SIZE];
	enum err e = prepare_await(self, m, here), synced = OK;

	move_file_path(m, NULL, from);
	plain_path(m, m->to, to);
	if (!e)
		e = move_there(m, file_rename_await(self, from, to));
	if (e) {
		m->log->also_in = NULL;
		remove_mark_await(self, m, here);
		return e;
	}
	if (store_syncs(m->log->store))
		synced = folder_sync_await(self, m->to->of->path);
	log_wait_alone_await(self, m->log);
	switch_in_memory(m);
	/* Whether it has the name is not known before a restart: nothing may be written to either. */
	if (synced)
		folder_fail(m->to, synced, "ending a move");
	if (m->to->offline && !m->log->state) {
		m->log->state = ERR_OFFLINE;
		log_lose_unsynced(m->log);
	}
	return OK;
}

/* The old folder. What cannot be removed now goes at the next start. */
static void leave_await(struct fiber *self, struct move *m, struct store_folder *here)
{
	struct log *l = m->log;
	char from[LOG_PATH_SIZE], to[LOG_PATH_SIZE], id[UUID_TEXT_SIZE];
	enum err e;

	if (here->offline || l->state)
		return;
	plain_path(m, here, from);
	uuid_format(uuid_random(shard_random(l->store->shard)), id);
	snprintf(to, sizeof(to), "%s/%.*s-%d.%s-delete", here->of->path, 200, l->topic, (int)l->partition, id);
	e = file_rename_await(self, from, to);
	if (!e && store_syncs(l->store))
		e = folder_sync_await(self, here->of->path);
	if (e && e != ERR_NOT_FOUND) {
		folder_fail(here, e, "ending a move");
		return;
	}
	l->also_in = NULL;
	here->bounds_dirty = true;
	remove_mark_await(self, m, here);
	clean_point_move_await(self, l, here->of);
	if (!e && folder_remove_all_await(self, to) != OK)
		log_warn(log_logger(l), "%s: cannot be removed now; the next start tries again", to);
}

enum err move_swap_await(struct fiber *self, struct move *m)
{
	struct log *l = m->log;
	struct store_folder *here = l->folder;
	int64_t held_us;
	enum err e = log_flush_await(self, l);

	if (e)
		return e == ERR_NO_SPACE ? ERR_AGAIN : e; /* what could not be written was taken back */
	held_us = shard_now_us(l->store->shard);
	e = hold_await(self, m);
	if (!e)
		e = copy_rest_await(self, m);
	if (!e)
		e = commit_await(self, m, here);
	let_go(l, here);
	if (e)
		return e;
	if (l->state)
		return OK;
	log_info(log_logger(l), "%s-%d: moved from %s to %s: %lld bytes, held for %lld ms", l->topic, (int)l->partition,
		 here->of->path, m->to->of->path, (long long)m->size_bytes,
		 (long long)(shard_now_us(l->store->shard) - held_us) / 1000);
	leave_await(self, m, here);
	return OK;
}
