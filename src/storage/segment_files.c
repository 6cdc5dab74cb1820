/*
 * segment_files: what a log has on disk: its folder, segment files and the files beside them; opening, saving, loading, syncing.
 * Uses runtime/file and the file cache.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "storage/state.h"

static enum err write_metadata_await(struct fiber *self, const struct log *l, const char *path, bool sync)
{
	struct file *file;
	struct buf out;
	enum err e;

	if (uuid_is_zero(l->topic_id))
		return OK;
	e = file_open_await(self, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
	if (e)
		return e;
	buf_init(&out, 256);
	partition_metadata_write(l->topic_id, &out);
	e = file_write_await(self, file, buf_bytes(&out), 0);
	buf_fini(&out);
	if (!e && sync)
		e = file_sync_await(self, file);
	file_close(file);
	return e;
}

enum err log_write_metadata_at_await(struct fiber *self, const struct log *l, const char *path)
{
	return write_metadata_await(self, l, path, store_syncs(l->store));
}

/* After an unclean stop: what is there may be so only in the page cache, or torn. */
static enum err confirm_metadata_await(struct fiber *self, const struct log *l, const char *path, bool sync)
{
	char *text;
	struct file *file;
	struct uuid id;
	struct buf out;
	size_t size;
	bool good;
	enum err e = file_load_await(self, path, SMALL_FILE_MAX, &text, &size);

	if (e && e != ERR_NOT_FOUND)
		return e;
	good = !e && partition_metadata_read(bytes_of(text, size), &id) == OK && uuid_equal(id, l->topic_id);
	if (!e)
		mem_free(text);
	if (good) {
		if (!sync)
			return OK;
		e = file_open_await(self, path, FILE_READ | FILE_WRITE, &file);
		if (e)
			return e;
		e = file_sync_await(self, file);
		file_close(file);
		return e;
	}
	if (uuid_is_zero(l->topic_id))
		return OK;
	buf_init(&out, 256);
	partition_metadata_write(l->topic_id, &out);
	e = file_replace_await(self, path, buf_bytes(&out));
	buf_fini(&out);
	return e;
}

enum err log_write_metadata_await(struct fiber *self, struct log *l, bool sync)
{
	char path[LOG_PATH_SIZE + 32], folder[LOG_PATH_SIZE];
	enum err e = log_make_folder_await(self, l);

	if (e || l->metadata_made)
		return e;
	log_folder_path(l, folder);
	snprintf(path, sizeof(path), "%s/partition.metadata", folder);
	e = l->recovered ? confirm_metadata_await(self, l, path, sync) : write_metadata_await(self, l, path, sync);
	l->metadata_made = !e && sync;
	return e;
}

enum err log_make_folder_await(struct fiber *self, struct log *l)
{
	char path[LOG_PATH_SIZE];
	enum err e;

	if (l->folder_made)
		return OK;
	log_folder_path(l, path);
	e = folder_create_await(self, path);
	if (e && e != ERR_EXISTS)
		return e;
	l->root_version = ++l->folder->root_version;
	l->folder_made = true;
	return OK;
}

/* The names of the partitions' folders, of many with one sync. */
static enum err sync_root_await(struct fiber *self, struct store_folder *f, uint64_t wanted)
{
	uint64_t version = f->root_version;
	enum err e;

	if (f->root_synced >= wanted && wanted > 0)
		return OK;
	e = folder_sync_await(self, f->of->path);
	if (!e && version > f->root_synced)
		f->root_synced = version;
	return e;
}

/* By the name that it has now; one that is being renamed is waited for. */
static enum err open_by_name_await(struct fiber *self, struct log *l, struct segment *s, struct cached_file **ret_file)
{
	char path[LOG_PATH_SIZE];
	unsigned flags = store_is_read_only(l->store) ? FILE_READ
						      : FILE_READ | FILE_WRITE | (s->made ? 0 : FILE_CREATE);
	struct store_folder *folder;
	bool swapped;
	enum err e;

	do {
		while (s->swapped && l->swapping && !l->state)
			if (event_wait_await(self, &l->unpinned, FIBER_NO_DEADLINE) == ERR_CANCELLED)
				fiber_yield_await(self);
		if (s->replaced)
			return ERR_AGAIN;
		swapped = s->swapped;
		folder = l->folder;
		if (swapped)
			log_leftover_path(l, s->base_offset, SEGMENT_LOG, LEFTOVER_SWAP, path);
		else
			log_file_path(l, s->base_offset, SEGMENT_LOG, path);
		e = file_cache_open_await(self, &l->store->files, path, flags, &s->file, ret_file);
		if (!e && folder != l->folder) { /* it was moved: this is the file that was left behind */
			file_cache_give(&l->store->files, *ret_file);
			file_cache_drop(&l->store->files, &s->file);
		}
	} while ((e == ERR_NOT_FOUND && swapped != s->swapped) || ((!e || e == ERR_NOT_FOUND) && folder != l->folder));
	if (!s->replaced)
		return e;
	if (!e) {
		file_cache_give(&l->store->files, *ret_file); /* what was opened may be the other's already */
		file_cache_drop(&l->store->files, &s->file);
	}
	return ERR_AGAIN;
}

enum err log_open_segment_await(struct fiber *self, struct log *l, struct segment *s, struct cached_file **ret_file)
{
	char path[LOG_PATH_SIZE];
	enum err e;

	if (s->replaced)
		return ERR_AGAIN;
	if (file_cache_take(&l->store->files, &s->file, ret_file))
		return OK;
	if (!s->made) {
		e = log_make_folder_await(self, l);
		if (e)
			return e;
	}
	log_file_path(l, s->base_offset, SEGMENT_LOG, path);
	e = open_by_name_await(self, l, s, ret_file);
	if (e && l->state)
		return l->state; /* a failure while its files were renamed may have left them under either name */
	if (e && s->made && !list_linked(&s->grave) && e != ERR_TOO_MANY_FILES && e != ERR_AGAIN) {
		/* Its disk may be well: this one file was removed, or taken from us. */
		log_error(log_logger(l), "%s: was there, and cannot be opened: %s", path, err_text(e));
		return ERR_CORRUPT;
	}
	if (!e && !s->made && l->config.preallocate)
		s->reserved = file_reserve_await(self, (*ret_file)->file, l->config.segment_bytes) == OK;
	if (!e)
		s->made = true;
	return e;
}

enum err log_give_back_await(struct fiber *self, struct log *l, struct segment *s)
{
	struct cached_file *f;
	enum err e;

	if (!s->reserved || s->written < s->size || (s == log_active(l) && !l->closing))
		return OK;
	e = log_open_segment_await(self, l, s, &f);
	if (e)
		return e;
	s->reserved = false;
	e = file_truncate_await(self, f->file, s->written);
	file_cache_give(&l->store->files, f);
	return e;
}

enum err log_sync_names_await(struct fiber *self, struct log *l)
{
	char path[LOG_PATH_SIZE];
	int64_t last_made = -1;
	uint32_t cuts, names_made;
	enum err e = log_write_metadata_await(self, l, true);

	if (e)
		return e;
	for (uint32_t i = 0; i < l->segment_count; i++)
		if (l->segments[i]->made)
			last_made = l->segments[i]->base_offset;
	cuts = l->cuts;
	names_made = l->names_made;
	log_folder_path(l, path);
	e = folder_sync_await(self, path);
	if (!e && !l->names_synced)
		e = sync_root_await(self, l->folder, l->root_version);
	if (e)
		return e;
	/* A file that was made while the folder was synced may be missing in it. They are made in order. */
	for (uint32_t i = 0; i < l->segment_count && cuts == l->cuts; i++)
		if (l->segments[i]->made && l->segments[i]->base_offset <= last_made)
			l->segments[i]->name_synced = true;
	l->names_synced = names_made == l->names_made;
	return OK;
}

/* One segment's data; a gap in the array may open meanwhile, so it is found by its base. */
static enum err sync_segment_await(struct fiber *self, struct log *l, struct segment *s)
{
	struct cached_file *f;
	enum err e = log_open_segment_await(self, l, s, &f);

	if (e)
		return e;
	e = file_sync_await(self, f->file);
	file_cache_give(&l->store->files, f);
	return e;
}

void log_files_cover(struct log *l, int64_t upto, uint64_t generation)
{
	log_note_files_synced(l, upto);
	if (l->written <= upto)
		l->first_generation = 0;
	else if (generation)
		l->first_generation = generation;
	l->folder->bounds_dirty = true;
}

/* Up to the end of what is written, or of the last closed segment. */
static enum err sync_upto_await(struct fiber *self, struct log *l, int64_t upto, bool closed_only)
{
	uint32_t cuts = l->cuts;
	uint64_t generation = l->folder->journal.generation;
	bool names;
	enum err e;

	log_pin(l);
	e = log_save_all_aborted_await(self, l, upto);
	names = !l->names_synced;
	for (struct segment *s = l->segments[log_segment_at(l, l->file_synced)]; s && !e; s = log_segment_after(l, s)) {
		if ((closed_only || s->written == 0) && s->base_offset >= upto && s != l->segments[0])
			break;
		names |= !s->name_synced;
		e = store_syncs(l->store) ? sync_segment_await(self, l, s) : OK;
		if (e && list_linked(&s->grave))
			e = OK; /* removed meanwhile: below the log's start */
	}
	if (!e && names && store_syncs(l->store))
		e = log_sync_names_await(self, l);
	/* Of the active segment, what is in front of the noted generation may still be in the journal alone. */
	if (!e && cuts == l->cuts)
		log_files_cover(l, upto, closed_only ? 0 : generation);
	log_unpin(l);
	return e;
}

enum err log_sync_files_await(struct fiber *self, struct log *l)
{
	return sync_upto_await(self, l, l->written, false);
}

enum err log_sync_closed_await(struct fiber *self, struct log *l)
{
	int64_t upto = log_active(l)->base_offset;

	if (l->segment_count < 2 || l->file_synced >= upto || l->written < upto)
		return OK;
	return sync_upto_await(self, l, upto, true);
}

/* --- indexes ------------------------------------------------------------------------------------------------------ */

static enum err load_await(struct fiber *self, struct log *l, int64_t base, enum segment_file which, char **ret_text,
			   size_t *ret_size)
{
	char path[LOG_PATH_SIZE];

	log_file_path(l, base, which, path);
	return file_load_await(self, path, SMALL_FILE_MAX, ret_text, ret_size);
}

static enum err read_indexes_await(struct fiber *self, struct log *l, struct segment *s, struct offset_index *offsets,
				   struct time_index *times)
{
	char *text;
	size_t size;
	enum err e = load_await(self, l, s->base_offset, SEGMENT_INDEX, &text, &size);

	if (!e) {
		e = offset_index_read(bytes_of(text, size), s->size, offsets);
		mem_free(text);
	}
	if (!e)
		e = load_await(self, l, s->base_offset, SEGMENT_TIMEINDEX, &text, &size);
	if (!e) {
		e = time_index_read(bytes_of(text, size), times);
		mem_free(text);
	}
	return e;
}

struct index_builder {
	struct batch_walker walker;
	struct segment made;
	int64_t interval;
	int64_t next;   /* offset */
	bool misplaced; /* a batch was left out, whose offset cannot be, or whose CRC is wrong */
};

static bool build_entry(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct index_builder *b = container_of(w, struct index_builder, walker);

	(void)position;
	if (h->base_offset < b->next || batch_last_offset(h) - b->made.base_offset > INT32_MAX ||
	    !batch_crc_ok(whole)) {
		b->misplaced = true;
		b->made.size += (int64_t)whole.size;
		return true;
	}
	b->next = batch_last_offset(h) + 1;
	segment_add(&b->made, h, b->interval);
	return true;
}

/* The indexes were missing or made no sense: made anew from the records. */
static enum err rebuild_indexes_await(struct fiber *self, struct log *l, struct segment *s, struct index_builder *b)
{
	struct cached_file *f;
	enum err e = log_open_segment_await(self, l, s, &f);

	if (e)
		return e;
	b->walker.batch = build_entry;
	b->interval = l->config.index_interval_bytes;
	b->made.base_offset = b->next = s->base_offset;
	b->made.max_timestamp = NO_TIMESTAMP;
	b->made.first_timestamp = NO_TIMESTAMP;
	b->made.max_timestamp_offset = s->base_offset;
	e = segment_walk_await(self, f->file, 0, s->written, &b->walker);
	file_cache_give(&l->store->files, f);
	return e;
}

static void drop_indexes(struct segment *s)
{
	if (s->index_saved && !s->index_waits)
		segment_drop_index(s);
	if (!s->aborted_loaded || segment_owes_aborted(s) || s->aborted.count == 0)
		return;
	aborted_index_fini(&s->aborted);
	s->aborted_loaded = false;
}

/* Too much in memory: what is on disk as well goes. */
static void purge_indexes(struct store *store)
{
	list_for_each(&store->logs, n)
	{
		struct log *l = container_of(n, struct log, node);

		for (uint32_t i = 0; i + 1 < l->segment_count; i++)
			drop_indexes(l->segments[i]);
	}
	store->index_memory = 0;
}

/* What was appended to the active segment before its index was loaded has entries already: they come behind. */
static void take_indexes(struct log *l, struct segment *s, struct offset_index *offsets, struct time_index *times)
{
	for (size_t i = 0; i < s->offsets.count; i++)
		if (!offsets->count || s->offsets.entries[i].position > offsets->entries[offsets->count - 1].position)
			offset_index_append(offsets, s->offsets.entries[i]);
	for (size_t i = 0; i < s->times.count; i++)
		time_index_maybe_append(times, s->times.entries[i]);
	if (s != log_active(l) &&
	    (l->store->index_memory > INDEX_MEMORY_MAX || shard_fault(l->store->shard, FAULT_INDEX_PURGE)))
		purge_indexes(l->store);
	segment_drop_index(s);
	s->offsets = *offsets;
	s->times = *times;
	s->index_loaded = true;
	*offsets = (struct offset_index){0};
	*times = (struct time_index){0};
	if (s != log_active(l))
		l->store->index_memory += segment_index_memory(s);
}

/* The file was missing, or made no sense: the keeper saves what was made instead. */
static void want_saved(struct log *l, struct segment *s)
{
	if (s == log_active(l) || store_is_read_only(l->store))
		return;
	s->index_saved = false;
	l->side_files_dirty = true;
	if (list_linked(&l->rolled_node))
		return;
	list_push_back(&l->folder->rolled, &l->rolled_node);
	event_signal(&l->folder->chores);
}

enum err log_load_index_await(struct fiber *self, struct log *l, struct segment *s)
{
	struct offset_index offsets = {0};
	struct time_index times = {0};
	struct index_builder b = {0};
	bool whole = false;
	enum err e;

	if (s->index_loaded)
		return OK;
	e = shard_fault(l->store->shard, FAULT_INDEX_MISSING) ? ERR_NOT_FOUND
							      : read_indexes_await(self, l, s, &offsets, &times);
	if (e == ERR_NOT_FOUND || e == ERR_CORRUPT || e == ERR_TOO_BIG) {
		offset_index_fini(&offsets);
		time_index_fini(&times);
		e = rebuild_indexes_await(self, l, s, &b);
		offsets = b.made.offsets;
		times = b.made.times;
		whole = !e && !b.misplaced;
		if (e == ERR_CORRUPT)
			e = OK; /* up to what is damaged there is one: it is not the index that has to say so */
	}
	if (!e && !s->index_loaded) {
		take_indexes(l, s, &offsets, &times);
		if (whole && b.made.size > 0)
			want_saved(l, s);
	}
	offset_index_fini(&offsets);
	time_index_fini(&times);
	return e;
}

enum err log_remake_index_await(struct fiber *self, struct log *l, struct segment *s)
{
	struct index_builder b = {0};
	enum err e = s->replaced ? ERR_AGAIN : rebuild_indexes_await(self, l, s, &b);

	if (!e && (s->replaced || b.misplaced))
		e = s->replaced ? ERR_AGAIN : ERR_CORRUPT;
	if (!e) {
		segment_drop_index(s);
		take_indexes(l, s, &b.made.offsets, &b.made.times);
		s->index_saved = false;
		l->side_files_dirty = true;
		e = store_is_read_only(l->store) ? OK : log_save_index_await(self, l, s);
	}
	offset_index_fini(&b.made.offsets);
	time_index_fini(&b.made.times);
	return e;
}

void log_remove_indexes_await(struct fiber *self, struct log *l, const struct segment *s)
{
	char path[LOG_PATH_SIZE];

	for (int i = SEGMENT_INDEX; i <= SEGMENT_TIMEINDEX && !store_is_read_only(l->store); i++) {
		log_file_path(l, s->base_offset, (enum segment_file)i, path);
		(void)!file_remove_await(self, path);
	}
}

enum err log_load_times_await(struct fiber *self, struct log *l, struct segment *s)
{
	struct index_builder b = {0};
	enum err e;

	if (s->times_known)
		return OK;
	e = rebuild_indexes_await(self, l, s, &b);
	if (!e && !s->times_known && b.made.max_timestamp > s->max_timestamp) {
		s->max_timestamp = b.made.max_timestamp;
		s->max_timestamp_offset = b.made.max_timestamp_offset;
	}
	if (!e && s->first_timestamp < 0)
		s->first_timestamp = b.made.first_timestamp;
	if (!e)
		s->times_known = true;
	offset_index_fini(&b.made.offsets);
	time_index_fini(&b.made.times);
	return e;
}

/* Not synced: what is missing or torn at the next start is made anew. */
static enum err save_await(struct fiber *self, struct log *l, int64_t base, enum segment_file which,
			   struct bytes content)
{
	char path[LOG_PATH_SIZE];
	struct file *file;
	enum err e;

	log_file_path(l, base, which, path);
	e = file_open_await(self, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
	if (e)
		return e;
	if (content.size)
		e = file_write_await(self, file, content, 0);
	file_close(file);
	return e;
}

static void made_path(const struct log *l, int64_t base, enum segment_file which,
		      char ret_path[static LOG_PATH_SIZE + 8])
{
	log_file_path(l, base, which, ret_path);
	strcat(ret_path, ".tmp");
}

/* Beside its name, which it does not have yet. */
static enum err make_await(struct fiber *self, struct log *l, int64_t base, enum segment_file which,
			   struct bytes content, bool sync)
{
	char made[LOG_PATH_SIZE + 8];
	struct file *file;
	enum err e;

	made_path(l, base, which, made);
	e = file_open_await(self, made, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
	if (e)
		return e;
	e = file_write_await(self, file, content, 0);
	if (!e && sync)
		e = file_sync_await(self, file);
	file_close(file);
	return e;
}

static enum err place_await(struct fiber *self, struct log *l, int64_t base, enum segment_file which)
{
	char path[LOG_PATH_SIZE], made[LOG_PATH_SIZE + 8];

	log_file_path(l, base, which, path);
	made_path(l, base, which, made);
	return file_rename_await(self, made, path);
}

/* Whole or not at all, whatever happens: nothing in an index tells a torn entry from a good one. Its name need not be durable. */
static enum err save_whole_await(struct fiber *self, struct log *l, int64_t base, enum segment_file which,
				 struct bytes content)
{
	bool now = !l->indexes_wait;
	enum err e = make_await(self, l, base, which, content, now);

	return e || !now ? e : place_await(self, l, base, which);
}

enum err log_place_indexes_await(struct fiber *self, struct log *l, bool synced)
{
	enum err e = OK;

	for (uint32_t k = 0; k < l->segment_count; k++) {
		struct segment *s = l->segments[k];

		if (!s->index_waits)
			continue;
		for (int i = SEGMENT_INDEX; i <= SEGMENT_TIMEINDEX && synced && !e; i++)
			e = place_await(self, l, s->base_offset, (enum segment_file)i);
		s->index_waits = false;
		s->index_saved = synced && !e;
	}
	l->indexes_wait = false;
	return e;
}

/* With no entry, or only the one at the end, which nobody looks up, there is nothing to be torn. */
static enum err save_index_file_await(struct fiber *self, struct log *l, const struct segment *s,
				      enum segment_file which, struct bytes content, bool any)
{
	if (!any)
		return save_await(self, l, s->base_offset, which, content);
	return save_whole_await(self, l, s->base_offset, which, content);
}

enum err log_save_index_await(struct fiber *self, struct log *l, struct segment *s)
{
	struct buf offsets, times;
	bool any;
	enum err e;

	if (s->index_saved || !s->made || s->replaced)
		return OK;
	e = log_give_back_await(self, l, s);
	if (!e)
		e = log_load_index_await(self, l, s);
	if (e || s->replaced)
		return e;
	buf_init(&offsets, SMALL_FILE_MAX);
	buf_init(&times, SMALL_FILE_MAX);
	segment_finish_times(s);
	any = s->offsets.count > 0; /* while the first is written, both may go out of memory */
	offset_index_write(&s->offsets, &offsets);
	time_index_write(&s->times, &times);
	s->index_saved = true;  /* what is appended meanwhile takes it back */
	s->saving_index = true; /* who would put other files under these names waits */
	e = save_index_file_await(self, l, s, SEGMENT_INDEX, buf_bytes(&offsets), any);
	if (!e)
		e = save_index_file_await(self, l, s, SEGMENT_TIMEINDEX, buf_bytes(&times), any);
	if (e)
		s->index_saved = false;
	s->index_waits = !e && l->indexes_wait && any;
	s->saving_index = s->sides_moved = false;
	event_signal(&l->unpinned);
	buf_fini(&offsets);
	buf_fini(&times);
	return e;
}

/* Not synced: a kill leaves the one before or the new one, a power failure perhaps a torn one. */
enum err log_save_snapshot_await(struct fiber *self, struct log *l, int64_t offset, struct bytes snapshot)
{
	enum err e = make_await(self, l, offset, SEGMENT_SNAPSHOT, snapshot, false);

	return e ? e : place_await(self, l, offset, SEGMENT_SNAPSHOT);
}

enum err log_save_epochs_at_await(struct fiber *self, const struct log *l, const char *path, bool sync)
{
	struct file *file;
	struct buf out;
	enum err e;

	buf_init(&out, SMALL_FILE_MAX);
	epoch_checkpoint_write(&l->epochs, &out);
	e = file_open_await(self, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
	if (!e) {
		e = file_write_await(self, file, buf_bytes(&out), 0);
		if (!e && sync)
			e = file_sync_await(self, file);
		file_close(file);
	}
	buf_fini(&out);
	return e;
}

enum err log_save_epochs_await(struct fiber *self, struct log *l, bool sync)
{
	char path[LOG_PATH_SIZE + 64], folder[LOG_PATH_SIZE];
	enum err e;

	if (!l->epochs_dirty || !l->folder_made)
		return OK;
	log_folder_path(l, folder);
	snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", folder);
	l->epochs_dirty = false;
	l->saving_epochs++;
	e = log_save_epochs_at_await(self, l, path, sync);
	l->saving_epochs--;
	l->epochs_saved++;
	if (e)
		l->epochs_dirty = true;
	else
		l->epochs_seen = true;
	return e;
}

void log_remove_segment_await(struct fiber *self, struct log *l, struct segment *s)
{
	char path[LOG_PATH_SIZE];

	for (int i = 0; i < SEGMENT_FILES && !store_is_read_only(l->store); i++) {
		log_file_path(l, s->base_offset, (enum segment_file)i, path);
		(void)!file_remove_await(self, path);
	}
	file_cache_drop(&l->store->files, &s->file);
	list_push_back(&l->graveyard, &s->grave);
	log_bury(l);
}
