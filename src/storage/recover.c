/*
 * recover: what a log is after an unclean stop, read from its files.
 *
 *      | trusted: synced, below the recovery point | scanned: CRC of every batch | torn tail: cut
 *                                    ^ acknowledged bound: damage below it is damage, the log stays offline
 *
 * Also the walk over a segment's batches that others use. Uses runtime/file and record/batch.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/mutant.h"
#include "storage/state.h"

#define WALK_BUFFER ((size_t)256 << 10)

/* --- the walk ----------------------------------------------------------------------------------------------------- */

struct walk_buffer {
	uint8_t *data;
	size_t capacity;
	size_t size;
};

/* Fills the buffer from `position` on. */
static enum err fill_await(struct fiber *self, struct file *f, int64_t position, int64_t end, struct walk_buffer *b)
{
	size_t want = b->capacity;

	if ((int64_t)want > end - position)
		want = (size_t)(end - position);
	return file_read_await(self, f, b->data, want, position, &b->size);
}

/* A batch larger than the buffer: ERR_CORRUPT when the file cannot hold it, ERR_NO_MEMORY. */
static enum err grow(struct walk_buffer *b, size_t size, int64_t left)
{
	uint8_t *larger;

	if ((int64_t)size > left)
		return ERR_CORRUPT;
	larger = mem_try_alloc(size);
	if (!larger)
		return ERR_NO_MEMORY;
	mem_free(b->data);
	b->data = larger;
	b->capacity = size;
	return OK;
}

enum err segment_walk_bytes(struct bytes rest, struct batch_walker *w)
{
	struct batch_header h;
	struct bytes batch;
	enum err e;

	while ((e = batch_next(&rest, &h, &batch)) == OK) {
		if (w->check_crc && !batch_crc_ok(batch))
			return ERR_CORRUPT;
		if (h.base_offset < 0 || h.last_offset_delta < 0 || h.base_offset > INT64_MAX - INT32_MAX - 1)
			return ERR_CORRUPT;
		if (!w->batch(w, &h, batch, w->position)) {
			w->enough = true;
			return OK;
		}
		w->position += (int64_t)batch.size;
	}
	return e == ERR_END ? OK : e;
}

/* What the batch at the start of the buffer needs, when the buffer does not hold it; 0 when that is not why the walk stands still. */
static size_t size_wanted(const struct walk_buffer *b)
{
	uint32_t length = b->size >= BATCH_LOG_OVERHEAD ? get_be32(b->data + 8) : 0;

	if (length >= INT32_MAX - BATCH_LOG_OVERHEAD || length + BATCH_LOG_OVERHEAD <= b->size)
		return 0;
	return length + BATCH_LOG_OVERHEAD;
}

enum err segment_walk_await(struct fiber *self, struct file *f, int64_t position, int64_t end_position,
			    struct batch_walker *w)
{
	struct walk_buffer b = {.data = mem_alloc(WALK_BUFFER), .capacity = WALK_BUFFER};
	enum err e = OK;

	w->position = position;
	w->enough = false;
	while (!e && !w->enough && w->position < end_position) {
		int64_t before = w->position;

		e = fill_await(self, f, before, end_position, &b);
		if (!e)
			e = segment_walk_bytes(bytes_of(b.data, b.size), w);
		if (e || w->enough || w->position > before)
			continue;
		/* Not one batch: the first is larger than the buffer, or the file ends within it. */
		e = b.size == b.capacity && size_wanted(&b) ? grow(&b, size_wanted(&b), end_position - before)
							    : ERR_CORRUPT;
	}
	mem_free(b.data);
	return e;
}

/* --- recovery ----------------------------------------------------------------------------------------------------- */

struct recovery {
	struct batch_walker walker;
	struct log *log;
	struct segment *segment;
	int64_t expected; /* the next offset */
	int64_t before;   /* what it was in front of the last batch */
	int32_t last_delta;
	bool gap; /* in front of the last batch, as compaction leaves them */
	int64_t producers_from;
	int64_t recovery_point;
	int64_t bound; /* below it nothing is cut */
	int64_t start; /* below it nothing is read */
	bool epochs_lost;
	int32_t next_epoch; /* of the last batch, not known to the log yet: the next batch tells whether it can be; -1: none */
	int64_t next_epoch_offset;
	bool epochs_told;
	int64_t aborted_from; /* of the segments that begin there and behind, the indexes of aborted transactions are made anew */
	bool makes_aborted;           /* of the segment at hand */
	struct segment *aborted_lost; /* what came before the producers' snapshot is not in its index any more */
};

/* No CRC covers a batch's leader epoch. What is wrong is not served: reads hold it against the log's epochs. */
static void tell_epoch(struct recovery *r, int64_t offset, int32_t epoch)
{
	if (r->epochs_told)
		return;
	r->epochs_told = true;
	log_error(log_logger(r->log),
		  "%s-%d: damage at offset %" PRId64
		  ": the batch has leader epoch %d, which the log did not have there",
		  r->log->topic, (int)r->log->partition, offset, (int)epoch);
}

/* Of one that is new to the log the batch behind it tells whether it can be: epochs do not fall. */
static void settle_epoch(struct recovery *r, int32_t behind)
{
	struct log *l = r->log;

	if (r->next_epoch < 0)
		return;
	if (behind < r->next_epoch)
		tell_epoch(r, r->next_epoch_offset, r->next_epoch);
	else if (epoch_cache_assign(&l->epochs, r->next_epoch, r->next_epoch_offset) == OK)
		l->epochs_dirty = true;
	r->next_epoch = -1;
}

static void note_epoch(struct recovery *r, const struct batch_header *h)
{
	int32_t known;

	if (h->leader_epoch < 0)
		return;
	settle_epoch(r, h->leader_epoch);
	known = log_epoch_at(r->log, h->base_offset);
	if (known == h->leader_epoch)
		return;
	if (h->leader_epoch > log_latest_epoch(r->log)) {
		r->next_epoch = h->leader_epoch;
		r->next_epoch_offset = h->base_offset;
	} else if (known >= 0) {
		tell_epoch(r, h->base_offset, h->leader_epoch);
	}
}

/* Whether the log cannot end at what was found. */
static bool too_early(const struct recovery *r)
{
	return r->expected < r->bound && r->bound > r->start;
}

/*
 * The batch at hand would fit, but for the one in front of it, behind a gap that it left itself: no torn tail looks so. The log is good up to that
 * one, if that is not where it may be cut.
 */
static void doubt_last(struct recovery *r, const struct batch_header *h)
{
	int64_t expected = r->expected;

	if (!r->gap || h->base_offset <= r->before + r->last_delta)
		return;
	r->expected = r->before;
	if (!too_early(r))
		r->expected = expected;
}

static bool recover_batch(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct recovery *r = container_of(w, struct recovery, walker);
	struct log *l = r->log;
	struct end_marker marker;

	if (h->base_offset < r->expected || batch_last_offset(h) - r->segment->base_offset > INT32_MAX) {
		doubt_last(r, h);
		return false;
	}
	r->gap = h->base_offset > r->expected;
	r->before = r->expected;
	r->last_delta = h->last_offset_delta;
	segment_add(r->segment, h, l->config.index_interval_bytes);
	log_note_batch(l, h->base_offset, position);
	if (h->base_offset >= r->producers_from && !(MUTANT(MARKER_LOST_ON_RECOVERY) && batch_is_control(h))) {
		struct txn_ended ended = producer_state_update(&l->producers, h, log_marker_of(h, whole, &marker),
							       log_now_s(l), false);

		if (r->makes_aborted)
			log_note_ended(&r->segment->aborted, h, &ended);
	}
	note_epoch(r, h);
	r->expected = batch_last_offset(h) + 1;
	return true;
}

/* Nothing of the log's records is kept: it begins anew, at its start. */
static void restart_at_await(struct fiber *self, struct recovery *r, int64_t start)
{
	struct log *l = r->log;

	l->found_durable = false;
	while (l->segment_count > 0)
		log_remove_segment_await(self, l, l->segments[--l->segment_count]);
	log_add_segment(l, start);
	producer_state_clear(&l->producers);
	l->recent_count = 0;
	r->expected = start;
}

static enum err damaged(const struct recovery *r, int64_t position)
{
	log_error(log_logger(r->log),
		  "%s-%d: damage at offset %" PRId64 ", byte %" PRId64 " of segment %020" PRId64
		  ": records up to %" PRId64 " were acknowledged, so nothing is cut and the partition stays offline",
		  r->log->topic, (int)r->log->partition, r->expected, position, r->segment->base_offset, r->bound);
	return ERR_CORRUPT;
}

static void drop_segments_from_await(struct fiber *self, struct log *l, uint32_t first)
{
	l->found_durable = false;
	while (l->segment_count > first && l->segment_count > 1)
		log_remove_segment_await(self, l, l->segments[--l->segment_count]);
}

static void drop_leftover_await(struct fiber *self, struct log *l, uint32_t i)
{
	struct segment *s = l->segments[i];

	l->found_durable = false;
	memmove(l->segments + i, l->segments + i + 1, (l->segment_count - i - 1) * sizeof(struct segment *));
	l->segment_count--;
	log_remove_segment_await(self, l, s);
}

/* The log ends in the middle of segment `i`, at `position`. */
static enum err cut_tail_await(struct fiber *self, struct recovery *r, uint32_t i, struct cached_file *f,
			       int64_t position, int64_t file_size)
{
	struct log *l = r->log;
	enum err e;

	if (too_early(r))
		return damaged(r, position);
	log_warn(log_logger(l),
		 "%s-%d: cut a torn tail of %" PRId64 " bytes at offset %" PRId64 ", which was not acknowledged",
		 l->topic, (int)l->partition, file_size - position, r->expected);
	l->found_durable = false;
	e = store_is_read_only(l->store) ? OK : file_truncate_await(self, f->file, position);
	if (e)
		return e;
	drop_segments_from_await(self, l, i + 1);
	log_remove_indexes_await(self, l, r->segment);
	return OK;
}

/* The planted fault: a batch whose header is there counts, whatever of its records is. */
static enum err keep_torn_batch_await(struct fiber *self, struct recovery *r, struct cached_file *f, int64_t *file_size)
{
	uint8_t bytes[BATCH_HEADER_SIZE];
	struct batch_header h;
	size_t count = 0;
	enum err e = file_read_await(self, f->file, bytes, sizeof(bytes), r->segment->size, &count);

	if (e || count < sizeof(bytes) || batch_header_read(bytes_of(bytes, count), &h) != OK ||
	    h.magic != BATCH_MAGIC || h.length < BATCH_HEADER_SIZE || h.length > 1 << 20 ||
	    h.base_offset != r->expected)
		return ERR_CORRUPT;
	*file_size = r->segment->size + (int64_t)batch_size(&h);
	(void)recover_batch(&r->walker, &h, bytes_of(bytes, count), r->segment->size);
	return file_truncate_await(self, f->file, *file_size);
}

/*
 * What a snapshot within the segment was written behind is in the file, synced: only what comes behind it is made from the batches. A
 * file with more than that may be of what is cut now.
 */
static enum err begin_aborted_await(struct fiber *self, struct recovery *r, struct segment *s)
{
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e;

	r->makes_aborted = s->base_offset >= r->aborted_from;
	if (!r->makes_aborted)
		return OK;
	aborted_index_fini(&s->aborted);
	s->aborted_loaded = true;
	s->aborted_durable = 0;
	s->aborted_stale = s->aborted_expected;
	if (!s->aborted_expected || s->base_offset >= r->producers_from)
		return OK;
	log_file_path(r->log, s->base_offset, SEGMENT_TXNINDEX, path);
	e = file_load_await(self, path, SMALL_FILE_MAX, &text, &size);
	if (!e) {
		e = aborted_index_read(bytes_of(text, size), s->base_offset, &s->aborted);
		mem_free(text);
	}
	if (e == ERR_NOT_FOUND || e == ERR_CORRUPT || e == ERR_TOO_BIG) {
		r->aborted_lost = s;
		e = OK;
	}
	aborted_index_truncate(&s->aborted, r->producers_from);
	return e;
}

/* ERR_END: the log ends in this segment. */
static enum err recover_segment_await(struct fiber *self, struct recovery *r, uint32_t i)
{
	struct log *l = r->log;
	struct segment *s = l->segments[i];
	int64_t file_size = s->written;
	struct cached_file *f;
	bool cut = false;
	enum err e = begin_aborted_await(self, r, s);

	if (!e)
		e = log_open_segment_await(self, l, s, &f);
	if (e)
		return e;
	s->size = 0;
	segment_drop_index(s); /* made anew */
	s->index_loaded = true;
	s->times_known = true;
	l->recent_count = 0;
	r->segment = s;
	r->gap = false;
	r->walker.batch = recover_batch;
	r->walker.check_crc = !MUTANT(KEEP_TORN_BATCH);
	e = segment_walk_await(self, f->file, 0, file_size, &r->walker);
	if (MUTANT(KEEP_TORN_BATCH) && e == ERR_CORRUPT)
		e = keep_torn_batch_await(self, r, f, &file_size);
	if (e == ERR_CORRUPT || (!e && s->size < file_size)) {
		e = cut_tail_await(self, r, i, f, s->size, file_size);
		cut = true;
	}
	s->written = s->size;
	if (!e && store_syncs(l->store) && !l->found_durable)
		e = file_sync_await(self, f->file);
	file_cache_give(&l->store->files, f);
	if (MUTANT(REUSE_OFFSET_AFTER_TRUNCATION) && cut && !e && r->expected > s->base_offset)
		r->expected--;
	return !e && cut ? ERR_END : e;
}

struct end_walk {
	struct batch_walker walker;
	int64_t end;
};

static bool note_end(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct end_walk *x = container_of(w, struct end_walk, walker);

	(void)whole;
	(void)position;
	x->end = batch_last_offset(h) + 1;
	return true;
}

/*
 * Where the scan begins: in the segment that holds the recovery point. When that point is where the segment begins, it may be one that was
 * begun on a full disk, given up and removed, and whose name came back, while the segment before it went on: the records are there.
 */
static enum err scan_from_await(struct fiber *self, struct recovery *r, uint32_t *ret_index)
{
	struct log *l = r->log;
	uint32_t i = log_segment_at(l, r->recovery_point);
	struct end_walk x = {.walker = {.batch = note_end, .check_crc = true}};
	struct cached_file *f;
	struct segment *before;
	enum err e;

	*ret_index = i;
	if (i == 0 || l->segments[i]->base_offset != r->recovery_point)
		return OK;
	before = l->segments[i - 1];
	if (log_load_index_await(self, l, before) != OK) { /* then it is read from its start, and its index made anew */
		*ret_index = i - 1;
		return OK;
	}
	e = log_open_segment_await(self, l, before, &f);
	if (e)
		return e;
	e = segment_walk_await(
		self, f->file,
		offset_index_lookup(&before->offsets, (int32_t)(r->recovery_point - before->base_offset)),
		before->written, &x.walker);
	file_cache_give(&l->store->files, f);
	if (x.end > r->recovery_point)
		*ret_index = i - 1;
	return e == ERR_CORRUPT ? OK : e; /* a tail that is not whole belongs to nobody */
}

/* Every segment from the first that is not known to be whole. */
static enum err recover_segments_await(struct fiber *self, struct recovery *r, uint32_t scan_from)
{
	struct log *l = r->log;
	enum err e = OK;

	for (uint32_t i = log_segment_at(l, r->producers_from); i < scan_from && !e; i++)
		e = log_walk_producers_await(self, l, l->segments[i], r->producers_from, &l->producers);
	if (e == ERR_CORRUPT) {
		r->segment = l->segments[0];
		return damaged(r, 0);
	}
	r->expected = l->segments[scan_from]->base_offset;
	for (uint32_t i = scan_from; i < l->segment_count && !e; i++) {
		struct segment *s = l->segments[i];

		if (s->base_offset < r->expected) { /* begun, given up and removed, but the name came back */
			drop_leftover_await(self, l, i--);
			continue;
		}
		/* What is missing between two segments was never synced, unless cleaning made the gap below the recovery point. */
		if (s->base_offset > r->expected && r->expected >= r->recovery_point) {
			r->segment = s;
			if (too_early(r))
				return damaged(r, 0);
			drop_segments_from_await(self, l, i);
			break;
		}
		r->expected = s->base_offset;
		e = recover_segment_await(self, r, i);
	}
	return e == ERR_END ? OK : e;
}

static enum err load_epochs_await(struct fiber *self, struct log *l, bool *ret_lost)
{
	char path[LOG_PATH_SIZE + 64], folder[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e;

	log_folder_path(l, folder);
	snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", folder);
	e = file_load_await(self, path, SMALL_FILE_MAX, &text, &size);
	if (e == ERR_NOT_FOUND) {
		*ret_lost = true;
		return OK;
	}
	if (e)
		return e;
	*ret_lost = epoch_checkpoint_read(bytes_of(text, size), &l->epochs) != OK;
	l->epochs_seen = !*ret_lost;
	mem_free(text);
	if (*ret_lost)
		log_warn(log_logger(l), "%s: damaged: made anew from the records", path);
	return OK;
}

/* What the checkpoint says is not what the batches say: then theirs counts. */
static enum err doubt_epochs_await(struct fiber *self, struct recovery *r, uint32_t scan_from)
{
	struct log *l = r->log;
	enum err e = log_check_epochs_await(self, l, scan_from, r->start, &r->epochs_lost);

	if (e || !r->epochs_lost)
		return e;
	log_warn(log_logger(l),
		 "%s-%d: leader-epoch-checkpoint is not what the batches say: made anew from the records", l->topic,
		 (int)l->partition);
	epoch_cache_fini(&l->epochs);
	return OK;
}

/* The segments that are there, with the sizes of their files. */
static enum err list_segments_await(struct fiber *self, struct log *l)
{
	char path[LOG_PATH_SIZE];
	struct folder_list list;
	enum err e;

	log_folder_path(l, path);
	e = folder_list_await(self, path, &list);
	if (e)
		return e;
	while (l->segment_count > 0)
		segment_free(l->segments[--l->segment_count], &l->store->files);
	for (size_t i = 0; i < list.count && !e; i++) {
		struct file_info info;
		struct segment *s;
		int64_t base;
		enum segment_file which;

		if (segment_name_parse(bytes_str(list.entries[i].name), &base, &which) != OK)
			continue;
		if (which == SEGMENT_TXNINDEX && l->segment_count &&
		    log_active(l)->base_offset == base) { /* behind .log */
			log_active(l)->aborted_expected = true;
			log_active(l)->aborted_loaded = false;
		}
		if (which != SEGMENT_LOG)
			continue;
		log_file_path(l, base, SEGMENT_LOG, path);
		e = file_info_await(self, path, &info);
		if (e)
			break;
		s = log_add_segment(l, base);
		s->size = s->written = info.size;
		s->made = true;
		s->index_loaded = false;
		s->index_saved = true;
		s->times_known = false;
	}
	folder_list_free(&list);
	return e;
}

void log_remove_snapshots_await(struct fiber *self, struct log *l, int64_t beyond)
{
	char path[LOG_PATH_SIZE];
	struct folder_list list;

	log_folder_path(l, path);
	if (store_is_read_only(l->store) || folder_list_await(self, path, &list) != OK)
		return;
	for (size_t i = 0; i < list.count; i++) {
		int64_t offset;
		enum segment_file which;

		if (segment_name_parse(bytes_str(list.entries[i].name), &offset, &which) != OK ||
		    which != SEGMENT_SNAPSHOT || offset <= beyond)
			continue;
		l->found_durable = false;
		log_file_path(l, offset, SEGMENT_SNAPSHOT, path);
		(void)!file_remove_await(self, path);
	}
	folder_list_free(&list);
}

static enum err confirm_names_await(struct fiber *self, struct log *l)
{
	enum err e;

	if (!l->found_durable)
		return log_sync_names_await(self, l);
	e = log_write_metadata_await(self, l, false);
	if (e)
		return e;
	for (uint32_t i = 0; i < l->segment_count; i++)
		l->segments[i]->name_synced = l->segments[i]->made;
	l->names_synced = l->metadata_made = true;
	return OK;
}

/* The recovery point will be the log's end: by then the indexes are on disk. */
static enum err finish_aborted_await(struct fiber *self, struct recovery *r)
{
	struct segment *lost = r->aborted_lost;
	struct log *l = r->log;
	uint32_t names_made = l->names_made;
	enum err e = OK;

	if (lost && !list_linked(&lost->grave)) {
		aborted_index_fini(&lost->aborted);
		lost->aborted_loaded = false;
		lost->aborted_expected = true;
		l->end = r->expected; /* the producers are read up to where the segment begins */
		e = log_load_aborted_await(self, l, lost);
	}
	if (!e && !log_active(l)->aborted_loaded) /* trusted, since nothing had to be scanned in it */
		e = log_load_aborted_await(self, l, log_active(l));
	if (!e)
		e = log_save_all_aborted_await(self, l, r->expected);
	if (names_made != l->names_made)
		l->found_durable = false;
	return e;
}

static enum err finish_recovery_await(struct fiber *self, struct recovery *r, const struct log_bounds *bounds)
{
	struct log *l = r->log;
	enum err e;

	if (r->expected < r->start && r->bound <= r->start) /* all that is left is below the start */
		restart_at_await(self, r, r->start);
	if (too_early(r)) {
		r->segment = log_active(l);
		return damaged(r, log_active(l)->size);
	}
	e = finish_aborted_await(self, r);
	if (e)
		return e;
	settle_epoch(r, INT32_MAX);
	l->end = l->written = l->synced = l->file_synced = r->expected;
	l->start = l->segments[0]->base_offset;
	if (bounds->start > l->start)
		l->start = bounds->start;
	if (l->start > l->end)
		l->start = l->end;
	l->acknowledged = l->acknowledged_durable = bounds->acknowledged < l->end ? bounds->acknowledged : l->end;
	epoch_cache_truncate_end(&l->epochs, l->end);
	log_remove_snapshots_await(self, l, l->end);
	l->side_files_dirty = true;
	l->recovered = true;
	if (!l->root_version)
		l->root_version = ++l->folder->root_version;
	if (!list_linked(&l->rolled_node))
		list_push_back(&l->folder->rolled, &l->rolled_node);
	l->folder->bounds_dirty = true;
	return store_syncs(l->store) ? confirm_names_await(self, l) : OK;
}

/*
 * What lies wholly below the start is of no use, and may be only half there: it was on its way out. But where the start moved to the end of the log
 * before a new segment began there, nobody else knows who wrote it: he who goes on must be known.
 */
static enum err drop_below_start_await(struct fiber *self, struct log *l, int64_t start)
{
	uint32_t count = 0;
	enum err e;

	while (count + 1 < l->segment_count && l->segments[count + 1]->base_offset <= start)
		count++;
	if (count == 0)
		return OK;
	l->end = INT64_MAX; /* not known yet */
	e = log_keep_snapshot_await(self, l, l->segments[count]);
	l->end = 0;
	for (; count > 0; count--)
		drop_leftover_await(self, l, 0);
	return e;
}

enum err log_recover_await(struct fiber *self, struct log *l, const struct log_bounds *bounds)
{
	struct recovery r = {
		.log = l, .recovery_point = bounds->recovery_point, .start = bounds->start, .next_epoch = -1};
	uint32_t scan_from;
	int64_t limit;
	enum err e;

	r.bound = bounds->acknowledged > bounds->recovery_point ? bounds->acknowledged : bounds->recovery_point;
	if (MUTANT(CUT_BELOW_ACKNOWLEDGED))
		r.bound = 0;
	l->folder_made = true;
	e = clean_finish_swaps_await(self, l);
	if (!e)
		e = list_segments_await(self, l);
	if (!e)
		e = load_epochs_await(self, l, &r.epochs_lost);
	if (e)
		return e;
	if (l->segment_count == 0) {
		log_add_segment(l, bounds->start);
		r.expected = bounds->start;
		return finish_recovery_await(self, &r, bounds);
	}
	e = drop_below_start_await(self, l, r.start);
	if (e)
		return e;
	/* The first segment's was synced before the start moved there, which the recovery point need not have followed yet. */
	limit = r.recovery_point > l->segments[0]->base_offset ? r.recovery_point : l->segments[0]->base_offset;
	e = log_load_snapshot_await(self, l, limit, &l->producers, &r.producers_from);
	if (e)
		return e;
	e = scan_from_await(self, &r, &scan_from);
	if (e)
		return e;
	if (!r.epochs_lost)
		e = doubt_epochs_await(self, &r, scan_from);
	if (e)
		return e;
	r.aborted_from = l->segments[scan_from]->base_offset;
	e = recover_segments_await(self, &r, r.epochs_lost ? 0 : scan_from);
	return e ? e : finish_recovery_await(self, &r, bounds);
}
