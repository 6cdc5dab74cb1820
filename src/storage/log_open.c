/*
 * log_open: how a log comes to be and goes: opening from the manifest, by recovery or anew; closing, deleting, cutting. Fibers only.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "storage/state.h"

#define SETTLE_TRIES 5 /* each waits for a descriptor, where it needs one */

struct log *log_new(struct store *s, struct store_folder *f, const struct log_spec *spec)
{
	struct log *l = mem_new(struct log);
	char key[LOG_NAME_SIZE];

	l->store = s;
	l->folder = f;
	l->topic = mem_alloc(spec->topic.size + 1);
	memcpy(l->topic, spec->topic.data, spec->topic.size);
	l->topic[spec->topic.size] = 0;
	l->topic_id = spec->topic_id;
	l->partition = spec->partition;
	l->config = spec->config;
	l->owner = spec->owner;
	l->blocked = true;
	list_init(&l->pending);
	list_init(&l->reads);
	list_init(&l->postponed);
	list_init(&l->graveyard);
	list_init(&l->doomed);
	event_init(&l->unpinned);
	epoch_cache_init(&l->epochs);
	producer_state_init(&l->producers);
	list_push_back(&s->logs, &l->node);
	must(map_put(&s->by_name, log_key(key, spec->topic, spec->partition), l) == NULL);
	f->log_count++;
	return l;
}

static void unlink_node(struct list_node *n)
{
	if (list_linked(n))
		list_remove(n);
}

void log_free(struct log *l)
{
	char key[LOG_NAME_SIZE];

	must(list_empty(&l->pending) && list_empty(&l->reads) && list_empty(&l->postponed));
	must(l->pins == 0 && !l->rounds && !l->move);
	unlink_node(&l->node);
	unlink_node(&l->dirty_node);
	unlink_node(&l->noted_node);
	unlink_node(&l->rolled_node);
	unlink_node(&l->look_node);
	map_remove(&l->store->by_name, log_key(key, log_topic(l), l->partition));
	l->folder->log_count--;
	while (l->segment_count > 0)
		segment_free(l->segments[--l->segment_count], &l->store->files);
	log_bury(l);
	log_forget_doomed(l);
	mem_free(l->segments);
	epoch_cache_fini(&l->epochs);
	producer_state_fini(&l->producers);
	mem_free(l->topic);
	mem_free(l);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static bool is_of(const struct found_log *f, const struct log_spec *spec)
{
	return f->partition == spec->partition && bytes_equal_str(spec->topic, f->topic);
}

static bool is_same_topic(const struct found_log *f, const struct log_spec *spec)
{
	return uuid_equal(f->topic_id, spec->topic_id) || uuid_is_zero(f->topic_id) || uuid_is_zero(spec->topic_id);
}

/* One that did not say whose it was and was opened is that topic's; the next one of the name has nothing to do with it. */
static bool is_over(const struct storage *st, size_t i)
{
	return uuid_is_zero(st->found[i].topic_id) && st->accounted[i];
}

/* Where the partition was found at start; NULL when it was not, or with another topic's id. */
static const struct found_log *find(const struct storage *st, const struct log_spec *spec)
{
	const struct found_log *found = NULL;
	size_t low = 0, high = st->found_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct found_log *f = &st->found[middle];
		int order = bytes_compare(bytes_str(f->topic), spec->topic);

		if (!order)
			order = (f->partition > spec->partition) - (f->partition < spec->partition);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	/* Folders of two topics of one name may lie in two folders of log.dirs; one that says whose it is counts more than one that does not. */
	for (; low < st->found_count && is_of(&st->found[low], spec); low++)
		if (is_same_topic(&st->found[low], spec) && !is_over(st, low) &&
		    (!found || uuid_is_zero(found->topic_id)))
			found = &st->found[low];
	return found;
}

static bool any_folder_offline(const struct store *s)
{
	for (size_t i = 0; i < s->storage->folder_count; i++)
		if (s->folders[i].offline)
			return true;
	return false;
}

/* The folder with the fewest logs of this shard. */
static struct store_folder *choose_folder(struct store *s)
{
	struct store_folder *best = NULL;

	for (size_t i = 0; i < s->storage->folder_count; i++) {
		struct store_folder *f = &s->folders[i];

		if (!f->offline && (!best || f->log_count < best->log_count))
			best = f;
	}
	return best;
}

/* A folder of that name that is another topic's, left by what the broker did not set aside: it must not get our records. */
static enum err check_free_name_await(struct fiber *self, struct log *l, bool wait)
{
	char path[LOG_PATH_SIZE], to[LOG_PATH_SIZE], id[UUID_TEXT_SIZE];
	struct file_info info;
	enum err e;

	log_folder_path(l, path);
	e = file_info_await(self, path, &info);
	if (e == ERR_NOT_FOUND)
		return OK;
	if (e || wait)
		return e ? e : ERR_EXISTS;
	uuid_format(uuid_random(shard_random(l->store->shard)), id);
	snprintf(to, sizeof(to), "%s/%.*s-%d.%s-stray", l->folder->of->path, 200, l->topic, (int)l->partition, id);
	log_warn(log_logger(l), "%s: is another topic's; set aside as %s", path, to);
	e = file_rename_await(self, path, to);
	return e ? e : folder_sync_await(self, l->folder->of->path);
}

/* What is known of where the log's good part ends: ours where it is of this topic, Kafka's where there is none. */
static struct log_bounds bounds_for(struct log *l)
{
	struct storage_folder *sf = l->folder->of;
	struct log_bounds *ours = bounds_of(&sf->bounds, log_topic(l), l->partition, false);
	struct log_bounds *kafkas = bounds_of(&sf->recovery_points, log_topic(l), l->partition, false);

	if (sf->clean && kafkas)
		return *kafkas;
	if (ours && uuid_equal(ours->topic_id, l->topic_id))
		return *ours;
	return kafkas && !ours ? *kafkas : (struct log_bounds){0};
}

/* After a clean stop the files are as long as they were then, or somebody was at them. */
static enum err check_sizes_await(struct fiber *self, struct log *l)
{
	for (uint32_t i = 0; i < l->segment_count; i++) {
		char path[LOG_PATH_SIZE];
		struct file_info info;
		enum err e;

		if (!l->segments[i]->made)
			continue;
		log_file_path(l, l->segments[i]->base_offset, SEGMENT_LOG, path);
		e = file_info_await(self, path, &info);
		if (!e && !info.is_folder && info.size >= l->segments[i]->size)
			continue;
		if (e && e != ERR_NOT_FOUND)
			return e;
		log_error(log_logger(l), "%s: %s, but a clean stop left %lld bytes there", path,
			  e ? "is gone" : "is shorter", (long long)l->segments[i]->size);
		return ERR_CORRUPT;
	}
	return OK;
}

/* Whether the last stop, or the last bounds, knew of records of this very log: its folder cannot be missing then. */
static bool had_records(const struct store *s, const struct log_spec *spec, struct bytes key)
{
	for (size_t i = 0; i < s->storage->folder_count; i++) {
		const struct storage_folder *sf = s->folders[i].of;
		const struct manifest_entry *entry = map_get(&sf->manifest, key);
		const struct log_bounds *b = map_get(&sf->bounds, key);
		struct manifest_log m;

		/* Those are from the manifest as well, where there is one. */
		if (!sf->clean && b && uuid_equal(b->topic_id, spec->topic_id) && b->acknowledged > b->start)
			return true;
		if (entry && !entry->taken && !manifest_read_identity(entry->content, &m) &&
		    uuid_equal(m.topic_id, spec->topic_id) && m.end > m.start)
			return true;
	}
	return false;
}

static enum err finish_clean_await(struct fiber *self, struct log *l)
{
	enum err e = check_sizes_await(self, l);

	return e ? e : log_load_aborted_await(self, l, log_active(l)); /* what is appended there comes behind it */
}

static enum err open_found_await(struct fiber *self, struct log *l)
{
	char key[LOG_NAME_SIZE];
	struct manifest_entry *entry = map_get(&l->folder->of->manifest, log_key(key, log_topic(l), l->partition));
	struct log_bounds bounds = bounds_for(l);

	if (entry && !entry->taken) {
		entry->taken = true;
		if (!shard_fault(l->store->shard, FAULT_MANIFEST_MISSING) && manifest_read_log(entry->content, l) == OK)
			return finish_clean_await(self, l);
		log_warn(log_logger(l), "%s: its entry in the manifest makes no sense: it is recovered", key);
		epoch_cache_fini(&l->epochs);
		producer_state_clear(&l->producers);
	}
	l->found_durable = l->folder->of->all_durable;
	return log_recover_await(self, l, &bounds);
}

static enum err open_new_await(struct fiber *self, struct log *l, const struct log_spec *spec)
{
	/* A topic of that name may just be going, on this shard or on another: two logs must never share a folder. */
	enum err e = check_free_name_await(self, l, spec->wait_for_name);

	if (e)
		return e;
	log_add_segment(l, 0);
	clean_point_begin_await(self, l);
	return OK;
}

static enum err open_any_await(struct fiber *self, struct log *l, const struct log_spec *spec,
			       const struct closed_log *closed, bool found)
{
	if (closed)
		return closed->gone ? open_new_await(self, l, spec) : log_recover_await(self, l, &closed->bounds);
	return found ? open_found_await(self, l) : open_new_await(self, l, spec);
}

static enum err open_in_turn_await(struct fiber *self, struct store *s, const struct log_spec *spec, bool create,
				   struct log **ret_log)
{
	const struct found_log *found = find(s->storage, spec);
	char key[LOG_NAME_SIZE];
	struct bytes name = log_key(key, spec->topic, spec->partition);
	struct closed_log *closed = map_get(&s->closed, name);
	struct store_folder *f = NULL;
	struct log *l;
	enum err e;

	if (map_get(&s->by_name, name))
		return ERR_EXISTS;
	if (closed && !closed->gone)
		f = &s->folders[closed->folder];
	else if (found && !closed)
		f = &s->folders[found->folder_index];
	if (!f && (!create || store_is_read_only(s)))
		return ERR_NOT_FOUND;
	if (!f && !closed && had_records(s, spec, name)) {
		log_error(shard_log(s->shard),
			  "%.*s-%d: its folder is gone, or has another topic's id in partition.metadata, but the last "
			  "run left records "
			  "there",
			  BYTES_ARG(spec->topic), (int)spec->partition);
		return ERR_CORRUPT;
	}
	if (!f && !closed && spec->may_be_elsewhere && any_folder_offline(s))
		return ERR_OFFLINE;
	if (!f)
		f = choose_folder(s);
	if (!f || f->offline || (found && found->undecided))
		return ERR_OFFLINE;
	l = log_new(s, f, spec);
	e = open_any_await(self, l, spec, closed, found != NULL);
	if (e) {
		l->closing = true; /* the keeper may be at it already */
		log_wait_alone_await(self, l);
		log_free(l);
		return e;
	}
	mem_free(map_remove(&s->closed, name));
	if (found)
		s->storage->accounted[found - s->storage->found] = true;
	l->last_flush_ms = shard_now_ms(s->shard);
	l->start_kept = l->start_durable = l->start;
	l->end_found = l->end;
	l->clean_offset = l->recovered || l->folder_made ? clean_point_of(l) : 0;
	if (l->clean_offset > l->end)
		l->clean_offset = 0; /* of an earlier topic of the name, whose deletion a kill cut short */
	l->blocked = false;
	l->opened = true;
	log_resume_move(l);
	*ret_log = l;
	return OK;
}

enum err log_open_await(struct fiber *self, struct store *s, const struct log_spec *spec, bool create,
			struct log **ret_log)
{
	enum err e;

	must(spec->topic.size > 0 && spec->partition >= 0);
	e = gate_enter_await(self, &s->openings, FIBER_NO_DEADLINE);
	if (e)
		return e;
	e = open_in_turn_await(self, s, spec, create, ret_log);
	gate_leave(&s->openings);
	return e;
}

/* --- flushing ----------------------------------------------------------------------------------------------------- */

enum err log_flush_await(struct fiber *self, struct log *l)
{
	int64_t target = l->end;

	while (!l->state && l->synced < target) {
		if (l->end < target)
			return ERR_NO_SPACE; /* it was cut */
		if (log_promised(l) < target) {
			l->flush_wanted = true;
			commit_mark(l);
		}
		if (event_wait_await(self, &l->folder->round_over, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	}
	return l->state;
}

/* No appends any more, what was appended is synced or refused, nobody else is at work on it. */
static enum err quiesce_await(struct fiber *self, struct log *l)
{
	enum err e;

	l->blocked = true;
	e = log_flush_await(self, l);
	l->closing = true;
	log_wait_alone_await(self, l);
	return e == ERR_NO_SPACE ? OK : e;
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

/* Whoever finds none makes it anew from the few records that are there: thousands of small logs end sooner without. */
static bool needs_index(const struct log *l, const struct segment *s)
{
	return s != log_active(l) || !s->index_loaded || s->offsets.count > 0;
}

static enum err save_snapshot_await(struct fiber *self, struct log *l)
{
	struct buf snapshot;
	enum err e;

	if (l->producers.count == 0)
		return OK;
	buf_init(&snapshot, SMALL_FILE_MAX);
	producer_state_write(&l->producers, &snapshot);
	e = snapshot.error ? snapshot.error : log_save_snapshot_await(self, l, l->end, buf_bytes(&snapshot));
	buf_fini(&snapshot);
	return e;
}

static enum err save_side_files_await(struct fiber *self, struct log *l)
{
	struct cached_file *f;
	enum err e = OK;

	if (!log_active(l)->made) {
		e = log_open_segment_await(self, l, log_active(l), &f);
		if (!e)
			file_cache_give(&l->store->files, f);
	}
	for (uint32_t i = 0; i < l->segment_count && !e; i++)
		if (needs_index(l, l->segments[i]))
			e = log_save_index_await(self, l, l->segments[i]);
	/* Before the snapshot: what it was taken behind is not made anew. */
	if (!e)
		e = log_save_all_aborted_await(self, l, l->end);
	if (!e)
		e = save_snapshot_await(self, l);
	if (!e)
		e = log_save_epochs_await(self, l, false);
	return e;
}

static enum err settle_once_await(struct fiber *self, struct log *l)
{
	enum err e = save_side_files_await(self, l);

	if (!e)
		e = log_sync_files_await(self, l);
	if (!e && !l->names_synced && store_syncs(l->store))
		e = log_sync_names_await(self, l);
	if (!e && l->committed > l->end)
		l->committed = l->end;
	if (!e && l->acknowledged > l->end)
		l->acknowledged = l->end;
	return e;
}

enum err log_settle_unsynced_await(struct fiber *self, struct log *l)
{
	enum err e = quiesce_await(self, l);

	l->indexes_wait = !e;
	return e ? e : save_side_files_await(self, l);
}

/* All that the next start relies on. */
static enum err settle_await(struct fiber *self, struct log *l)
{
	enum err e = ERR_TOO_MANY_FILES;

	if (log_is_settled(l))
		return OK;
	for (int i = 0; i < SETTLE_TRIES && e == ERR_TOO_MANY_FILES; i++)
		e = settle_once_await(self, l);
	return e;
}

static void remember_closed(struct log *l, bool gone)
{
	struct closed_log *c = mem_new(struct closed_log);
	char key[LOG_NAME_SIZE];

	c->folder = l->folder->index;
	c->gone = gone;
	c->start_kept = l->start_kept;
	c->bounds = (struct log_bounds){l->topic_id, log_recovery_point(l), l->start, l->acknowledged};
	mem_free(map_put(&l->store->closed, log_key(key, log_topic(l), l->partition), c));
}

enum err log_close_await(struct fiber *self, struct log *l)
{
	struct storage *st = l->store->storage;
	enum err e;

	log_end_move_await(self, l, false);
	e = quiesce_await(self, l);
	if (!e && !store_is_read_only(l->store))
		e = settle_await(self, l);
	if (!e)
		(void)!log_give_back_await(self, l, log_active(l));
	/* The next start, from the manifest, does not look into its folder. */
	log_sweep_doomed_await(self, l, INT64_MAX);
	log_wait_alone_await(self, l); /* last: a read that is refused meanwhile is over only in a later turn */
	if (!e)
		manifest_write_log(l, &st->closing[shard_index(l->store->shard) * st->folder_count + l->folder->index]);
	remember_closed(l, false);
	log_free(l);
	return e;
}

/* --- deleting ----------------------------------------------------------------------------------------------------- */

enum err log_delete_await(struct fiber *self, struct log *l)
{
	char path[LOG_PATH_SIZE], to[LOG_PATH_SIZE], id[UUID_TEXT_SIZE];
	enum err e;

	log_end_move_await(self, l, true);
	(void)!quiesce_await(self, l);
	l->deleted = true;
	clean_point_save_await(self, l, -1); /* another topic of its name begins anew */
	e = commit_forget_await(self, l, l->end);
	if (!e && l->folder_made) {
		log_folder_path(l, path);
		uuid_format(uuid_random(shard_random(l->store->shard)), id);
		snprintf(to, sizeof(to), "%s/%.*s-%d.%s-delete", l->folder->of->path, 200, l->topic, (int)l->partition,
			 id);
		e = file_rename_await(self, path, to);
		if (!e)
			e = folder_sync_await(self, l->folder->of->path);
		/* What is left of it goes at the next start. */
		if (!e && folder_remove_all_await(self, to) != OK)
			log_warn(log_logger(l), "%s: cannot be removed now; the next start tries again", to);
	}
	log_wait_alone_await(self, l);
	remember_closed(l, true);
	l->folder->bounds_dirty = true;
	log_free(l);
	return e;
}

/* --- cutting ------------------------------------------------------------------------------------------------------ */

struct cut_walk {
	struct batch_walker walker;
	int64_t wanted;
	int64_t base; /* of the batch that holds `wanted`, or follows it */
	bool found;
};

static bool look_for_batch(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct cut_walk *c = container_of(w, struct cut_walk, walker);

	(void)whole;
	(void)position;
	c->found = batch_last_offset(h) >= c->wanted;
	c->base = h->base_offset;
	return !c->found;
}

/* Where the first batch that ends at or behind `offset` lies in the segment. */
static enum err find_cut_await(struct fiber *self, struct log *l, struct segment *s, int64_t offset, struct cut_walk *c)
{
	struct cached_file *f;
	enum err e = log_load_index_await(self, l, s);

	if (!e)
		e = log_open_segment_await(self, l, s, &f);
	if (e)
		return e;
	*c = (struct cut_walk){.walker = {.batch = look_for_batch}, .wanted = offset, .base = offset};
	e = segment_walk_await(self, f->file, offset_index_lookup(&s->offsets, (int32_t)(offset - s->base_offset)),
			       s->written, &c->walker);
	file_cache_give(&l->store->files, f);
	return e;
}

/*
 * The lower end is on disk before anything is taken away: else recovery would miss what is gone. The recovery point too: else what is written behind the
 * cut, up to where the point was, would count as looked at. Where there is no space for it the keeper tries again.
 */
static enum err note_cut_await(struct fiber *self, struct log *l, int64_t end)
{
	enum err e;

	if (l->committed > end)
		l->committed = end;
	if (l->acknowledged > end)
		l->acknowledged = end;
	if (l->file_synced > end)
		l->file_synced = end;
	l->end_found = end;
	if (!l->folder->journal.ready)
		return keeper_write_bounds_await(self, l->folder);
	e = commit_forget_await(self, l, end);
	if (!e && store_syncs(l->store))
		e = keeper_write_bounds_await(self, l->folder);
	return e == ERR_NO_SPACE ? OK : e;
}

static enum err cut_files_await(struct fiber *self, struct log *l, uint32_t keep, int64_t position, int64_t end)
{
	struct segment *s = l->segments[keep];
	char path[LOG_PATH_SIZE];
	struct cached_file *f;
	enum err e;

	while (l->segment_count > keep + 1)
		log_remove_segment_await(self, l, l->segments[--l->segment_count]);
	log_remove_snapshots_await(self, l, end);
	log_remove_indexes_await(self, l, s);
	e = log_save_aborted_await(self, l, s, end);
	log_folder_path(l, path);
	if (!e && store_syncs(l->store))
		e = folder_sync_await(self, path);
	if (e) /* else what is gone may come back and go on where the log will end then */
		return e;
	e = log_open_segment_await(self, l, s, &f);
	if (e)
		return e;
	e = file_truncate_await(self, f->file, position);
	if (!e && store_syncs(l->store))
		e = file_sync_await(self, f->file);
	file_cache_give(&l->store->files, f);
	segment_truncate(s, position, end);
	s->written = position;
	return e;
}

static enum err truncate_quiet_await(struct fiber *self, struct log *l, int64_t offset)
{
	uint32_t at = log_segment_at(l, offset);
	struct cut_walk c;
	enum err e = log_sync_files_await(self, l);

	if (!e)
		e = find_cut_await(self, l, l->segments[at], offset, &c);
	if (!e)
		e = log_load_aborted_await(self, l, l->segments[at]);
	if (e)
		return e;
	/* Before anything suspends: a sync of the keeper's that begins while the files are cut must not end with the old end as what is synced. */
	l->cuts++;
	l->truncations++;
	l->end = l->written = l->synced = c.base;
	l->promised = 0;
	segment_cut_aborted(l->segments[at], c.base);
	e = note_cut_await(self, l, c.base);
	if (!e)
		e = cut_files_await(self, l, at, c.walker.position, c.base);
	if (e)
		return e;
	l->side_files_dirty = l->epochs_dirty = true;
	epoch_cache_truncate_end(&l->epochs, l->end);
	log_forget_batches(l, l->end);
	producer_state_settle(&l->producers, INT64_MAX);
	e = log_rebuild_producers_await(self, l);
	open_txns_committed(&l->producers.txns, l->committed);
	if (!e)
		e = log_save_epochs_await(self, l, store_syncs(l->store));
	l->file_synced = l->end;
	return e;
}

enum err log_truncate_await(struct fiber *self, struct log *l, int64_t offset)
{
	enum err e;

	log_wait_held_await(self, l);
	if (l->state || l->blocked)
		return l->state ? l->state : ERR_BUSY;
	if (offset < l->start)
		return ERR_OFFSET_OUT_OF_RANGE;
	e = quiesce_await(self, l);
	if (!e && offset < l->end)
		e = truncate_quiet_await(self, l, offset);
	l->closing = false;
	l->blocked = false;
	if (e && e != ERR_OFFLINE)
		folder_fail(l->folder, e, "cutting a log");
	return e;
}
