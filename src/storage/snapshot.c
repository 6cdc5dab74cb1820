/*
 * snapshot: producer snapshots on disk, and the producers as they were at an offset, made of one and of the records behind it. They are written
 * unsynced, since recovery makes the producers anew from the records; but not from records that are gone: before a start is made durable, and
 * before segments leave, the snapshot of the first segment that stays is synced.
 *
 *      roll -> in memory -> written by the keeper -> (older segments are to go) synced, with its name
 *                                                    missing or torn: made anew, from an older one and the records
 *
 * Fibers only. Uses runtime/file and the walk of recover.c.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "storage/state.h"

/* --- read, and what is behind it ----------------------------------------------------------------------------------- */

/*
 * Only what is written unsynced can be missing: where records are gone, below the first segment or by compaction, the snapshot behind them was
 * synced before they went.
 */
static bool may_be_missing(const struct log *l, int64_t offset)
{
	return !l->config.cleanup_compact && offset > l->segments[0]->base_offset &&
	       shard_fault(l->store->shard, FAULT_SNAPSHOT_MISSING);
}

/* As in Kafka: a power failure may have left it torn; it is of no use, and after the next clean stop it would count as damage. */
static void give_up_snapshot_await(struct fiber *self, struct log *l, int64_t offset, const char *path)
{
	log_warn(log_logger(l),
		 "%s-%d: the snapshot of the producers at %" PRId64 " is torn or damaged: an older one is read",
		 l->topic, (int)l->partition, offset);
	if (!store_is_read_only(l->store))
		(void)!file_remove_await(self, path);
}

enum err log_load_snapshot_await(struct fiber *self, struct log *l, int64_t limit, struct producer_state *into,
				 int64_t *ret_offset)
{
	char path[LOG_PATH_SIZE], *text;
	struct folder_list list;
	size_t size;
	enum err e;

	producer_state_clear(into);
	*ret_offset = l->segments[0]->base_offset;
	log_folder_path(l, path);
	e = folder_list_await(self, path, &list);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	for (size_t i = list.count; i-- > 0 && !e;) {
		int64_t offset;
		enum segment_file which;

		if (segment_name_parse(bytes_str(list.entries[i].name), &offset, &which) != OK ||
		    which != SEGMENT_SNAPSHOT || offset > limit || offset < l->segments[0]->base_offset)
			continue;
		if (may_be_missing(l, offset))
			continue;
		log_file_path(l, offset, SEGMENT_SNAPSHOT, path);
		e = file_load_await(self, path, SMALL_FILE_MAX, &text, &size);
		if (e == ERR_NOT_FOUND) { /* its segment went meanwhile */
			e = OK;
			continue;
		}
		if (e)
			break;
		e = producer_state_read(into, bytes_of(text, size), log_now_s(l));
		mem_free(text);
		if (!e) {
			*ret_offset = offset;
			break;
		}
		give_up_snapshot_await(self, l, offset, path);
		e = OK; /* an older one, and more to read */
	}
	folder_list_free(&list);
	return e;
}

struct producer_walk {
	struct batch_walker walker;
	struct log *log;
	struct producer_state *into;
	int64_t from;
};

static bool note_producer(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct producer_walk *p = container_of(w, struct producer_walk, walker);
	struct end_marker marker;

	(void)position;
	if (h->base_offset >= p->from)
		(void)producer_state_update(p->into, h, log_marker_of(h, whole, &marker), log_now_s(p->log), false);
	return true;
}

enum err log_walk_producers_await(struct fiber *self, struct log *l, struct segment *s, int64_t from,
				  struct producer_state *into)
{
	struct producer_walk p = {.walker = {.batch = note_producer}, .log = l, .into = into, .from = from};
	struct cached_file *f;
	enum err e;

	if (s->written == 0)
		return OK;
	e = log_open_segment_await(self, l, s, &f);
	if (e)
		return e;
	e = segment_walk_await(self, f->file, 0, s->written, &p.walker);
	file_cache_give(&l->store->files, f);
	return e;
}

enum err log_producers_at_await(struct fiber *self, struct log *l, int64_t base_offset, struct producer_state *into)
{
	int64_t from;
	enum err e = log_load_snapshot_await(self, l, base_offset < l->end ? base_offset : l->end, into, &from);
	struct segment *s = l->segments[log_segment_at(l, from)];

	for (; s && s->base_offset < base_offset && !e; s = log_segment_after(l, s))
		e = log_walk_producers_await(self, l, s, from, into);
	return e;
}

enum err log_rebuild_producers_await(struct fiber *self, struct log *l)
{
	return log_producers_at_await(self, l, INT64_MAX, &l->producers);
}

/* --- written ------------------------------------------------------------------------------------------------------- */

/* One at a time: who syncs it must not find it half written. */
static void begin_await(struct fiber *self, struct log *l)
{
	while (l->saving_snapshot)
		if (event_wait_await(self, &l->unpinned, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	l->saving_snapshot = true;
}

static void end(struct log *l)
{
	l->saving_snapshot = false;
	event_signal(&l->unpinned);
}

static enum err put_await(struct fiber *self, struct log *l, struct segment *s)
{
	struct buf *snapshot = s->snapshot;
	enum err e;

	if (!snapshot)
		return OK;
	s->snapshot = NULL; /* the cleaner may give it to another segment */
	e = log_save_snapshot_await(self, l, s->base_offset, buf_bytes(snapshot));
	s->sides_moved = false;
	if (e && !s->replaced) { /* for the next try */
		s->snapshot = snapshot;
		return e;
	}
	buf_fini(snapshot);
	mem_free(snapshot);
	return e;
}

enum err log_put_snapshot_await(struct fiber *self, struct log *l, struct segment *s)
{
	enum err e;

	if (!s->snapshot)
		return OK;
	log_pin(l);
	begin_await(self, l);
	e = put_await(self, l, s);
	end(l);
	log_unpin(l);
	return e;
}

/* Whether it can be read. */
static enum err look_await(struct fiber *self, const struct log *l, const char *path)
{
	struct producer_state found;
	size_t size;
	char *text;
	enum err e = file_load_await(self, path, SMALL_FILE_MAX, &text, &size);

	if (e)
		return e;
	producer_state_init(&found);
	e = producer_state_read(&found, bytes_of(text, size), log_now_s(l));
	producer_state_fini(&found);
	mem_free(text);
	return e;
}

static enum err make_anew_await(struct fiber *self, struct log *l, int64_t base_offset)
{
	struct producer_state producers;
	struct buf out;
	enum err e;

	producer_state_init(&producers);
	e = log_producers_at_await(self, l, base_offset, &producers);
	if (!e) {
		buf_init(&out, SMALL_FILE_MAX);
		producer_state_write(&producers, &out);
		e = out.error ? out.error : log_save_snapshot_await(self, l, base_offset, buf_bytes(&out));
		buf_fini(&out);
	}
	producer_state_fini(&producers);
	return e;
}

static enum err sync_await(struct fiber *self, const struct log *l, const char *path)
{
	char folder[LOG_PATH_SIZE];
	struct file *file;
	enum err e = file_open_await(self, path, FILE_READ | FILE_WRITE, &file);

	if (e)
		return e;
	e = file_sync_await(self, file);
	file_close(file);
	log_folder_path(l, folder);
	return e ? e : folder_sync_await(self, folder);
}

static enum err keep_await(struct fiber *self, struct log *l, struct segment *s)
{
	char path[LOG_PATH_SIZE];
	enum err e = put_await(self, l, s);

	log_file_path(l, s->base_offset, SEGMENT_SNAPSHOT, path);
	if (!e)
		e = look_await(self, l, path);
	if (e == ERR_NOT_FOUND || e == ERR_CORRUPT || e == ERR_TOO_BIG) {
		e = make_anew_await(self, l, s->base_offset);
		s->sides_moved = false;
	}
	return e ? e : sync_await(self, l, path);
}

enum err log_keep_snapshot_await(struct fiber *self, struct log *l, struct segment *s)
{
	enum err e = OK;

	if (s->snapshot_durable || !store_syncs(l->store))
		return OK;
	log_pin(l);
	begin_await(self, l);
	if (!s->snapshot_durable && !s->replaced)
		e = keep_await(self, l, s);
	end(l);
	if (!e && !s->replaced)
		s->snapshot_durable = true;
	if (e == ERR_NO_SPACE || e == ERR_CORRUPT) {
		/* Else a full disk would never get space, nor damage ever leave. The next segment that goes tries again. */
		log_warn(log_logger(l),
			 "%s-%d: no snapshot of the producers at %lld (%s): after a power failure some may be unknown",
			 l->topic, (int)l->partition, (long long)s->base_offset, err_text(e));
		e = OK;
	}
	log_unpin(l);
	return e;
}

enum err log_keep_producers_await(struct fiber *self, struct log *l, int64_t start)
{
	uint32_t at = log_segment_at(l, start);
	enum err e = OK;

	log_pin(l);
	if (start > l->start_kept && at > 0)
		e = log_keep_snapshot_await(self, l, l->segments[at]);
	if (!e && start > l->start_kept) {
		l->start_kept = start;
		l->start_ticket = ++l->folder->starts_asked;
	}
	log_unpin(l);
	return e;
}
