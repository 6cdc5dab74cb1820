/*
 * aborted: the indexes of aborted transactions on disk, and who asks them. Nothing tells a file that was lost from one that never was, and none of a
 * segment that the next recovery trusts is made anew: so it is synced before the recovery point passes the end of its segment.
 *
 *      marker -> in memory -> (the segment is synced) appended to BASE.txnindex, synced -> the recovery point may pass
 *      recovery: of segments that are scanned, made anew from the records, and from the producers where the segment begins
 *
 * Fibers only, but for the look into memory. Uses runtime/file, recover.c.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "storage/state.h"

/* One at a time in a log. */
static void begin_await(struct fiber *self, struct log *l)
{
	while (l->saving_aborted)
		if (event_wait_await(self, &l->unpinned, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	l->saving_aborted = true;
}

static void end(struct log *l)
{
	l->saving_aborted = false;
	event_signal(&l->unpinned);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static enum err append_await(struct fiber *self, const char *path, struct bytes entries, int64_t at, bool sync)
{
	struct file *file;
	enum err e = file_open_await(self, path, FILE_WRITE | FILE_CREATE | (at ? 0 : FILE_TRUNCATE), &file);

	if (e)
		return e;
	e = file_write_await(self, file, entries, at);
	if (!e && sync)
		e = file_sync_await(self, file);
	file_close(file);
	return e;
}

static enum err remove_await(struct fiber *self, const char *path)
{
	enum err e = file_remove_await(self, path);

	return e == ERR_NOT_FOUND ? OK : e;
}

static enum err save_await(struct fiber *self, struct log *l, struct segment *s, int64_t upto, bool sync,
			   size_t *ret_saved)
{
	bool whole = s->aborted_stale;
	size_t from = whole ? 0 : s->aborted_durable, count = aborted_index_count_below(&s->aborted, upto);
	char path[LOG_PATH_SIZE];
	struct buf out;
	enum err e;

	*ret_saved = count;
	if (!whole && count <= from)
		return OK;
	log_file_path(l, s->base_offset, SEGMENT_TXNINDEX, path);
	buf_init(&out, SMALL_FILE_MAX);
	aborted_index_write(&s->aborted, from, &out);
	if (!out.error)
		out.size = (count - from) * ABORTED_ENTRY_SIZE;
	s->aborted_stale = false; /* a cut meanwhile sets it again */
	e = out.error;
	if (!e && whole)
		e = out.size ? file_replace_await(self, path, buf_bytes(&out)) : remove_await(self, path);
	else if (!e)
		e = append_await(self, path, buf_bytes(&out), (int64_t)from * ABORTED_ENTRY_SIZE, sync);
	if (!e && !whole && from == 0) { /* a new name */
		l->names_synced = false;
		l->names_made++;
	}
	buf_fini(&out);
	s->sides_moved = false;
	s->aborted_stale |= e && whole;
	s->aborted_expected = count > 0;
	return e;
}

enum err log_save_aborted_await(struct fiber *self, struct log *l, struct segment *s, int64_t upto)
{
	uint32_t cuts;
	size_t saved;
	enum err e;

	if (!segment_owes_aborted(s))
		return OK;
	log_pin(l);
	begin_await(self, l);
	cuts = l->cuts;
	e = s->replaced ? ERR_AGAIN : save_await(self, l, s, upto, store_syncs(l->store), &saved);
	if (!e && cuts == l->cuts && saved > s->aborted_durable)
		s->aborted_durable = saved;
	end(l);
	log_unpin(l);
	return e;
}

enum err log_save_all_aborted_await(struct fiber *self, struct log *l, int64_t upto)
{
	enum err e = OK;

	for (struct segment *s = l->segments[0]; s && s->base_offset < upto && !e; s = log_segment_after(l, s)) {
		e = log_save_aborted_await(self, l, s, upto);
		if (e && (list_linked(&s->grave) || s->replaced))
			e = OK; /* removed meanwhile */
	}
	return e;
}

/* The segment that the recovery point is in; where that is where one begins, the one before: it may have ended there after it was synced. */
static uint32_t recovered_from(const struct log *l)
{
	uint32_t at = log_segment_at(l, l->file_synced);

	return at > 0 && l->segments[at]->base_offset == l->file_synced ? at - 1 : at;
}

bool log_owes_aborted(const struct log *l, int64_t upto)
{
	for (uint32_t i = recovered_from(l); i + 1 < l->segment_count && l->segments[i + 1]->base_offset <= upto; i++)
		if (segment_owes_aborted(l->segments[i]))
			return true;
	return false;
}

int64_t log_recovery_point(const struct log *l)
{
	const struct segment *active;

	if (l->segment_count == 0)
		return l->file_synced; /* being recovered */
	active = log_active(l);
	if (log_owes_aborted(l, l->file_synced))
		return l->segments[recovered_from(l)]->base_offset;
	/* It may end here before anybody writes this down again: the point has to stay within it. */
	return segment_owes_aborted(active) && l->file_synced > active->base_offset ? l->file_synced - 1
										    : l->file_synced;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

struct aborted_walk {
	struct batch_walker walker;
	struct producer_state *producers;
	struct aborted_index found;
	struct aborted_index markers; /* all that abort a transaction, of which records may be left or not */
	struct aborted_index held;    /* of them those that a reader would be given records of, by this segment alone */
	struct map writing;           /* producers with records since their last marker */
	int64_t end;
};

/* Compaction leaves the last batch of a producer, without its records. */
static void note_records(struct aborted_walk *a, const struct batch_header *h, const struct end_marker *m)
{
	struct bytes key = bytes_of(&h->producer_id, sizeof(h->producer_id));
	struct aborted_txn t = {h->producer_id, h->base_offset, h->base_offset, 0};

	if (!m && h->record_count > 0 && batch_is_transactional(h))
		(void)map_put(&a->writing, key, a);
	else if (m && map_remove(&a->writing, key) && !m->committed)
		aborted_index_append(&a->held, &t);
}

static bool note_batch(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct aborted_walk *a = container_of(w, struct aborted_walk, walker);
	struct end_marker marker;
	const struct end_marker *m = log_marker_of(h, whole, &marker);
	struct txn_ended ended = producer_state_update(a->producers, h, m, 0, false);

	(void)position;
	log_note_ended(&a->found, h, &ended);
	note_records(a, h, m);
	if (m && !m->committed)
		aborted_index_append(&a->markers,
				     &(struct aborted_txn){h->producer_id, h->base_offset, h->base_offset, 0});
	a->end = batch_last_offset(h) + 1;
	return true;
}

/* From the records, and from what was open where the segment begins. The caller frees what was found, also after a failure. */
static enum err walk_await(struct fiber *self, struct log *l, struct segment *s, struct aborted_walk *a)
{
	struct producer_state producers;
	struct cached_file *f;
	enum err e;

	*a = (struct aborted_walk){
		.walker = {.batch = note_batch, .check_crc = true}, .producers = &producers, .end = s->base_offset};
	map_init(&a->writing);
	producer_state_init(&producers);
	e = log_producers_at_await(self, l, s->base_offset, &producers);
	if (!e)
		e = log_open_segment_await(self, l, s, &f);
	if (!e) {
		e = segment_walk_await(self, f->file, 0, s->written, &a->walker);
		file_cache_give(&l->store->files, f);
	}
	producer_state_fini(&producers);
	map_fini(&a->writing);
	return e;
}

static enum err rebuild_await(struct fiber *self, struct log *l, struct segment *s, struct aborted_index *ret_index)
{
	struct aborted_walk a;
	enum err e = walk_await(self, l, s, &a);

	aborted_index_fini(&a.markers);
	aborted_index_fini(&a.held);
	if (e)
		aborted_index_fini(&a.found);
	*ret_index = a.found;
	return e;
}

static enum err read_await(struct fiber *self, struct log *l, const struct segment *s, struct aborted_index *ret_index)
{
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e;

	log_file_path(l, s->base_offset, SEGMENT_TXNINDEX, path);
	e = file_load_await(self, path, SMALL_FILE_MAX, &text, &size);
	if (e)
		return e == ERR_NOT_FOUND && !s->aborted_expected ? OK : e;
	e = aborted_index_read(bytes_of(text, size), s->base_offset, ret_index);
	mem_free(text);
	return e;
}

enum err log_load_aborted_await(struct fiber *self, struct log *l, struct segment *s)
{
	struct aborted_index found = {0};
	bool rebuilt = false;
	enum err e;

	if (s->aborted_loaded)
		return OK;
	if (s->replaced)
		return ERR_AGAIN;
	log_pin(l);
	e = shard_fault(l->store->shard, FAULT_INDEX_MISSING) && s->aborted_expected ? ERR_NOT_FOUND
										     : read_await(self, l, s, &found);
	rebuilt = e == ERR_NOT_FOUND || e == ERR_CORRUPT || e == ERR_TOO_BIG;
	if (rebuilt)
		e = rebuild_await(self, l, s, &found);
	if (!e && s->replaced)
		e = ERR_AGAIN;
	if (!e && !s->aborted_loaded) {
		s->aborted = found;
		found = (struct aborted_index){0};
		s->aborted_durable = rebuilt ? 0 : s->aborted.count;
		s->aborted_stale = rebuilt;
		s->aborted_loaded = true;
		l->store->index_memory += s->aborted.count * sizeof(*s->aborted.entries);
	}
	aborted_index_fini(&found);
	log_unpin(l);
	return e;
}

/* --- held against the records --------------------------------------------------------------------------------------- */

static const struct aborted_txn *find(const struct aborted_index *x, int64_t last_offset)
{
	size_t at = aborted_index_count_below(x, last_offset);

	return at < x->count && x->entries[at].last_offset == last_offset ? &x->entries[at] : NULL;
}

/*
 * Of a transaction whose marker is there: `has` is what the index has (NULL: nothing), `made` what the records say (NULL: nothing is known of it).
 * Compaction takes the records, then the entry; those below the log's first segment are gone as well. `held`: some are in this very segment.
 */
static bool fits(const struct log *l, const struct aborted_txn *has, const struct aborted_txn *made, bool held,
		 int64_t producer_id)
{
	bool compacted = l->config.cleanup_compact || l->clean_offset > 0;
	int64_t oldest = l->segments[0]->base_offset;

	if (!has)
		return !made || (!held && (compacted || made->first_offset < oldest));
	if (has->producer_id != producer_id)
		return false;
	if (!made)
		return true;
	if (has->first_offset > made->first_offset)
		return false;
	if (compacted)
		return true;
	return has->last_stable_offset <= made->last_stable_offset &&
	       (has->first_offset == made->first_offset || has->first_offset < oldest);
}

/* What the index of this segment should have, up to where the walk came; true when it is that already. */
static bool merge(const struct log *l, const struct segment *s, const struct aborted_walk *a, struct aborted_index *out)
{
	size_t below = aborted_index_count_below(&s->aborted, a->end), matched = 0;
	bool same = true;

	for (size_t i = 0; i < a->markers.count; i++) {
		const struct aborted_txn *m = &a->markers.entries[i], *has = find(&s->aborted, m->last_offset);
		const struct aborted_txn *made = find(&a->found, m->last_offset);
		bool good = fits(l, has, made, find(&a->held, m->last_offset) != NULL, m->producer_id);

		matched += has != NULL;
		same &= good;
		if (good && has)
			aborted_index_append(out, has);
		else if (made)
			aborted_index_append(out, made);
	}
	for (size_t i = below; i < s->aborted.count; i++)
		aborted_index_append(out, &s->aborted.entries[i]);
	return same && matched == below;
}

enum err log_check_aborted_await(struct fiber *self, struct log *l, struct segment *s, bool *ret_wrong)
{
	struct aborted_index merged = {0};
	struct aborted_walk a = {0};
	uint32_t cuts = l->cuts;
	enum err e;

	*ret_wrong = false;
	log_pin(l);
	e = log_load_aborted_await(self, l, s);
	if (!e)
		e = walk_await(self, l, s, &a);
	begin_await(self, l);
	if (!e && !s->replaced && s->aborted_loaded && cuts == l->cuts && !merge(l, s, &a, &merged)) {
		struct aborted_index was = s->aborted;

		s->aborted = merged;
		merged = was;
		s->aborted_durable = 0;
		s->aborted_stale = *ret_wrong = true;
	}
	end(l);
	aborted_index_fini(&merged);
	aborted_index_fini(&a.found);
	aborted_index_fini(&a.markers);
	aborted_index_fini(&a.held);
	log_unpin(l);
	return e;
}

/* --- who asks ------------------------------------------------------------------------------------------------------ */

bool log_collect_aborted(const struct log *l, int64_t from, int64_t to, struct aborted_index *out)
{
	for (uint32_t i = log_segment_at(l, from); i < l->segment_count; i++) {
		const struct segment *s = l->segments[i];

		if (!s->aborted_loaded)
			return false;
		if (aborted_index_collect(&s->aborted, from, to, out))
			return true;
	}
	return true;
}

enum err log_collect_aborted_await(struct fiber *self, struct log *l, int64_t from, int64_t to,
				   struct aborted_index *out)
{
	struct segment *s = l->segments[log_segment_at(l, from)];
	bool over = false;
	enum err e = OK;

	while (s && !over && !e) {
		e = log_load_aborted_await(self, l, s);
		/* What took its place, or the one behind it, has the entry. */
		if (e && (s->replaced || list_linked(&s->grave)) && !l->closing && !l->state)
			e = OK;
		else if (!e)
			over = aborted_index_collect(&s->aborted, from, to, out);
		s = e || over ? NULL : log_segment_after(l, s);
	}
	return e;
}
