/*
 * clean_swap: a cleaned segment takes the place of those it was made of, so that a process may die, or the power fail, between any two steps.
 *
 *      X.log.cleaned synced      -> nothing has happened yet: recovery removes it
 *      X.txnindex                -> the aborted transactions of all that are replaced, more than the new one needs: right with either
 *      bounds, journal           -> no scan and no replay will look for what the old files held
 *      renamed to X.log.swap     -> from here on recovery finishes it; in memory the new one is read, by its .swap name
 *      old files to *.deleted    -> synced; they go after file.delete.delay.ms
 *      renamed to X.log          -> X.txnindex is written anew, with what is left of it: done
 *
 * Fibers only. Uses runtime/file, the committer and the keeper's checkpoint.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/mutant.h"
#include "storage/state.h"

/* The records last: who finds them under .swap finds the others, or makes them anew. */
static const enum segment_file swapped_files[] = {SEGMENT_INDEX, SEGMENT_TIMEINDEX, SEGMENT_LOG};

#define SWAPPED_FILES (sizeof(swapped_files) / sizeof(swapped_files[0]))
#define REPLACED_FILES (1u << SEGMENT_LOG | 1u << SEGMENT_INDEX | 1u << SEGMENT_TIMEINDEX)

void log_leftover_path(const struct log *l, int64_t base_offset, enum segment_file file, enum leftover kind,
		       char ret_path[static LOG_PATH_SIZE])
{
	size_t size;

	log_file_path(l, base_offset, file, ret_path);
	size = strlen(ret_path);
	snprintf(ret_path + size, LOG_PATH_SIZE - size, "%s", leftover_suffix(kind));
}

static void remove_all_await(struct fiber *self, const struct log *l, int64_t base_offset, enum leftover kind)
{
	char path[LOG_PATH_SIZE];

	for (size_t i = SWAPPED_FILES; i-- > 0;) { /* the records first: without them the rest means nothing */
		log_leftover_path(l, base_offset, swapped_files[i], kind, path);
		(void)!file_remove_await(self, path);
	}
}

void clean_remove_made_await(struct fiber *self, const struct log *l, int64_t base_offset)
{
	remove_all_await(self, l, base_offset, LEFTOVER_CLEANED);
}

static enum err sync_folder_await(struct fiber *self, const struct log *l)
{
	char path[LOG_PATH_SIZE];

	log_folder_path(l, path);
	return store_syncs(l->store) ? folder_sync_await(self, path) : OK;
}

/* --- the steps ---------------------------------------------------------------------------------------------------- */

/*
 * What follows the cleaned segments stays found: the active one's name is durable, the recovery point is behind what is cleaned, and no
 * journal record puts old bytes into the new file.
 */
static enum err prepare_await(struct fiber *self, struct log *l, int64_t end_offset)
{
	struct cached_file *f;
	enum err e = log_open_segment_await(self, l, log_active(l), &f);

	if (e)
		return e;
	file_cache_give(&l->store->files, f);
	e = log_save_all_aborted_await(self, l, end_offset);
	if (!e && (!log_active(l)->name_synced || !l->names_synced) && store_syncs(l->store))
		e = log_sync_names_await(self, l);
	if (!e && log_recovery_point(l) < end_offset)
		return ERR_CANCELLED; /* it was cut */
	if (!e && !MUTANT(SWAP_BEFORE_BOUNDS))
		e = keeper_write_bounds_await(self, l->folder);
	return e ? e : commit_forget_files_await(self, l, end_offset);
}

/*
 * The index that the new segment's name has is of all that are replaced: what it has too much has its marker still (clean_txns.h), and what
 * were missing nobody would make anew.
 */
static enum err merge_aborted_await(struct fiber *self, struct log *l, struct segment *first, size_t count,
				    bool *ret_merged)
{
	struct aborted_index all = {0};
	struct segment *s = first;
	char path[LOG_PATH_SIZE];
	struct buf out;
	enum err e = log_load_aborted_await(self, l, first);

	if (!e)
		e = log_save_aborted_await(self, l, first, INT64_MAX);
	for (size_t i = 0; i < count && !e; i++) {
		e = s ? log_load_aborted_await(self, l, s) : ERR_CANCELLED;
		for (size_t k = 0; !e && k < s->aborted.count; k++)
			aborted_index_append(&all, &s->aborted.entries[k]);
		s = e ? NULL : log_segment_after(l, s);
	}
	if (!e && all.count > first->aborted.count) {
		buf_init(&out, SMALL_FILE_MAX);
		aborted_index_write(&all, 0, &out);
		log_file_path(l, first->base_offset, SEGMENT_TXNINDEX, path);
		*ret_merged = true;
		e = out.error ? out.error : file_replace_await(self, path, buf_bytes(&out));
		buf_fini(&out);
	}
	aborted_index_fini(&all);
	return e == ERR_AGAIN ? ERR_CANCELLED : e;
}

static enum err rename_made_await(struct fiber *self, struct log *l, int64_t base_offset)
{
	char from[LOG_PATH_SIZE], to[LOG_PATH_SIZE];
	enum err e = OK;

	for (size_t i = 0; i < SWAPPED_FILES && !e; i++) {
		log_leftover_path(l, base_offset, swapped_files[i], LEFTOVER_CLEANED, from);
		log_leftover_path(l, base_offset, swapped_files[i], LEFTOVER_SWAP, to);
		e = file_rename_await(self, from, to);
	}
	return e ? e : sync_folder_await(self, l);
}

static enum err rename_swapped_await(struct fiber *self, struct log *l, int64_t base_offset)
{
	char from[LOG_PATH_SIZE], to[LOG_PATH_SIZE];
	enum err e = OK;

	for (size_t i = 0; i < SWAPPED_FILES && !e; i++) {
		log_leftover_path(l, base_offset, swapped_files[i], LEFTOVER_SWAP, from);
		log_file_path(l, base_offset, swapped_files[i], to);
		e = file_rename_await(self, from, to);
		if (e == ERR_NOT_FOUND && swapped_files[i] != SEGMENT_LOG)
			e = OK; /* at recovery: it is made anew */
	}
	return e ? e : sync_folder_await(self, l);
}

/* Where the segments are now; false when they are no more what they were. */
static bool find_group(const struct log *l, const struct segment *first, size_t count, uint32_t *ret_at)
{
	uint32_t at = log_segment_at(l, first->base_offset);

	if (l->closing || l->state || at + count >= l->segment_count || l->segments[at] != first)
		return false;
	*ret_at = at;
	return true;
}

static bool any_aborted(struct segment **olds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (olds[i]->aborted_expected || olds[i]->aborted.count || olds[i]->aborted_stale)
			return true;
	return false;
}

/* No suspension: from now on every new look finds the new one. The old ones are given to the graveyard, and in `olds`. */
static void swap_in_memory(struct log *l, uint32_t at, size_t count, struct segment *made, struct segment **olds)
{
	for (size_t i = 0; i < count; i++) {
		struct segment *s = l->segments[at + i];

		olds[i] = s;
		s->replaced = true;
		file_cache_drop(&l->store->files, &s->file);
		list_push_back(&l->graveyard, &s->grave);
	}
	made->swapped = made->made = made->name_synced = true;
	made->aborted_loaded = true;
	made->aborted_stale = any_aborted(olds, count);
	made->aborted_expected = made->aborted_stale;
	made->snapshot = olds[0]->snapshot; /* where it is not on disk yet */
	made->snapshot_durable = olds[0]->snapshot_durable;
	olds[0]->snapshot = NULL;
	l->segments[at] = made;
	memmove(l->segments + at + 1, l->segments + at + count,
		(l->segment_count - at - count) * sizeof(struct segment *));
	l->segment_count -= (uint32_t)(count - 1);
	l->swaps++;
	l->swapping = true;
	l->side_files_dirty = true;
}

/* The old files go, the new ones get their names. There is no way back: a failure here is the folder's. */
static enum err finish_await(struct fiber *self, struct log *l, struct segment *made, struct segment **olds,
			     size_t count)
{
	enum err e = OK;

	/* One that kept its name would be found beside the one that holds its records. */
	for (size_t i = 0; i < count && !e; i++)
		e = log_doom_files_await(self, l, olds[i]->base_offset,
					 olds[i]->base_offset == made->base_offset ? REPLACED_FILES
										   : ALL_SEGMENT_FILES);
	if (!e)
		e = sync_folder_await(self, l);
	if (!e)
		e = rename_swapped_await(self, l, made->base_offset);
	if (e) {
		folder_fail(l->folder, e, "putting a cleaned segment in its place");
	} else {
		made->swapped = false;
		made->index_saved = true;
	}
	l->swapping = false;
	event_signal(&l->unpinned);
	return e;
}

/* Whose index is just being written, under the name that will be another's. */
static bool any_saving(const struct log *l, const struct segment *first, size_t count)
{
	uint32_t at;

	for (size_t i = 0; find_group(l, first, count, &at) && i < count; i++)
		if (l->segments[at + i]->saving_index)
			return true;
	return false;
}

enum err clean_swap_await(struct fiber *self, struct log *l, struct segment *first, size_t count, struct segment *made)
{
	struct segment *last, **olds;
	bool merged = false;
	uint32_t at;
	enum err e;

	if (!find_group(l, first, count, &at)) {
		clean_remove_made_await(self, l, made->base_offset);
		segment_free(made, &l->store->files);
		return ERR_CANCELLED;
	}
	last = l->segments[at + count];
	/* A producer whose last batch lies behind the group has none in it any more: a cut there would forget it. */
	e = log_keep_snapshot_await(self, l, last);
	if (!e)
		e = prepare_await(self, l, last->base_offset);
	if (!e)
		e = merge_aborted_await(self, l, first, count, &merged);
	if (!e)
		e = rename_made_await(self, l, made->base_offset);
	while (!e && any_saving(l, first, count))
		if (event_wait_await(self, &l->unpinned, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	if (!e && !find_group(l, first, count, &at))
		e = ERR_CANCELLED;
	if (e) {
		first->aborted_stale |= merged;
		remove_all_await(self, l, made->base_offset, LEFTOVER_SWAP);
		clean_remove_made_await(self, l, made->base_offset);
		segment_free(made, &l->store->files);
		return e;
	}
	olds = mem_zalloc(count * sizeof(struct segment *));
	swap_in_memory(l, at, count, made, olds);
	e = finish_await(self, l, made, olds, count);
	if (!e)
		e = log_save_aborted_await(self, l, made, INT64_MAX);
	mem_free(olds);
	return e == ERR_AGAIN ? OK : e;
}

/* --- what an earlier process left --------------------------------------------------------------------------------- */

struct swap_walk {
	struct batch_walker walker;
	int64_t end;
};

static bool note_end(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct swap_walk *x = container_of(w, struct swap_walk, walker);

	(void)whole;
	(void)position;
	x->end = batch_last_offset(h) + 1;
	return true;
}

/* Behind its last record; it is whole, since it was synced before it got its name. */
static enum err end_of_swap_await(struct fiber *self, struct log *l, int64_t base_offset, int64_t *ret_end)
{
	struct swap_walk x = {.walker = {.batch = note_end, .check_crc = true}, .end = base_offset + 1};
	char path[LOG_PATH_SIZE];
	struct file *file;
	int64_t size;
	enum err e;

	log_leftover_path(l, base_offset, SEGMENT_LOG, LEFTOVER_SWAP, path);
	e = file_open_await(self, path, FILE_READ | FILE_WRITE, &file);
	if (e)
		return e;
	e = file_size_await(self, file, &size);
	if (!e)
		e = segment_walk_await(self, file, 0, size, &x.walker);
	file_close(file);
	if (e == ERR_CORRUPT)
		log_error(log_logger(l), "%s: damaged; it took the place of others, so nothing else has its records",
			  path);
	*ret_end = x.end;
	return e;
}

/*
 * Removes what the folder still has of segments in [base, end): the swap is of them. Snapshots are of offsets, not of files: they stay. So does the
 * index of aborted transactions of the first: it is of all.
 */
static void remove_replaced_await(struct fiber *self, struct log *l, const struct folder_list *list, int64_t base,
				  int64_t end)
{
	for (size_t i = 0; i < list->count; i++) {
		char path[LOG_PATH_SIZE];
		enum segment_file file;
		int64_t at;

		if (segment_name_parse(bytes_str(list->entries[i].name), &at, &file) != OK || at < base || at >= end ||
		    file == SEGMENT_SNAPSHOT || (file == SEGMENT_TXNINDEX && at == base))
			continue;
		log_file_path(l, at, file, path);
		(void)!file_remove_await(self, path);
	}
}

static enum err finish_swap_await(struct fiber *self, struct log *l, const struct folder_list *list, int64_t base)
{
	int64_t end;
	enum err e = end_of_swap_await(self, l, base, &end);

	if (e)
		return e;
	log_info(log_logger(l), "%s-%d: finishing what the last run began: segment %020lld was cleaned", l->topic,
		 (int)l->partition, (long long)base);
	remove_replaced_await(self, l, list, base, end);
	e = sync_folder_await(self, l);
	return e ? e : rename_swapped_await(self, l, base);
}

/* Which files are the log's says the swap that it was at; nothing may be renamed to look like its end. */
static enum err refuse_swap(const struct log *l, int64_t base)
{
	log_error(log_logger(l),
		  "%s-%d: the last run was just putting the cleaned segment %020lld in its place, and nothing may be "
		  "changed here: it is not served",
		  l->topic, (int)l->partition, (long long)base);
	return ERR_CORRUPT;
}

static bool has_swap(const struct folder_list *list, int64_t base)
{
	for (size_t i = 0; i < list->count; i++) {
		enum segment_file file;
		enum leftover kind;
		int64_t at;

		if (leftover_name_parse(bytes_str(list->entries[i].name), &at, &file, &kind) == OK && at == base &&
		    kind == LEFTOVER_SWAP && file == SEGMENT_LOG)
			return true;
	}
	return false;
}

enum err clean_finish_swaps_await(struct fiber *self, struct log *l)
{
	char folder[LOG_PATH_SIZE], path[LOG_PATH_SIZE + LOG_NAME_SIZE];
	struct folder_list list;
	enum err e;

	log_folder_path(l, folder);
	e = folder_list_await(self, folder, &list);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	for (size_t i = 0; i < list.count && !e; i++) {
		enum segment_file file;
		enum leftover kind;
		int64_t base;

		if (leftover_name_parse(bytes_str(list.entries[i].name), &base, &file, &kind) != OK)
			continue;
		if (store_is_read_only(l->store)) {
			if (kind == LEFTOVER_SWAP && file == SEGMENT_LOG)
				e = refuse_swap(l, base);
			continue;
		}
		snprintf(path, sizeof(path), "%s/%s", folder, list.entries[i].name);
		if (kind != LEFTOVER_SWAP || !has_swap(&list, base))
			(void)!file_remove_await(self, path);
		else if (file == SEGMENT_LOG)
			e = finish_swap_await(self, l, &list, base);
	}
	folder_list_free(&list);
	return e;
}
