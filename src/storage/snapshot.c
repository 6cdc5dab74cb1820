/*
 * snapshot: producer snapshots on disk. They are written unsynced, since recovery makes the producers anew from the records; but not from
 * records that are gone: before a start is made durable, and before segments leave, the snapshot of the first segment that stays is synced.
 *
 *      roll -> in memory -> written by the keeper -> (older segments are to go) synced, with its name
 *                                                    missing or torn: made anew, from an older one and the records
 *
 * Fibers only. Uses runtime/file, recover.c.
 */
#include "base/alloc.h"
#include "storage/state.h"

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
