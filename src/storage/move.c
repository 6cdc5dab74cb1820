/*
 * move: see the header. Here: the shard's mover, a fiber that copies one log after the other, a chunk of whole batches at a time. Uses
 * runtime/file and the rest of storage/.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "storage/move_own.h"

#define CHUNK ((size_t)512 * 1024)
#define HOLD_FROM_BYTES ((int64_t)1 << 20) /* left: so much is copied within milliseconds, while nothing is written */
#define PACE_STEP_US 500000
#define STACK_SIZE ((size_t)128 * 1024)

bool move_must_stop(const struct move *m)
{
	const struct log *l = m->log;

	return l->state || l->deleted || l->closing || m->stopped || m->dropped || m->log->store->closing ||
	       m->wanted != m->to || m->to->offline;
}

void move_file_path(const struct move *m, const char *name, char path[static LOG_PATH_SIZE])
{
	snprintf(path, LOG_PATH_SIZE, "%s/%s%s%s", m->to->of->path, m->name, name ? "/" : "", name ? name : "");
}

void move_segment_path(const struct move *m, int64_t base_offset, enum segment_file file,
		       char path[static LOG_PATH_SIZE])
{
	char name[LOG_NAME_SIZE];

	segment_name_format(name, base_offset, file);
	move_file_path(m, name, path);
}

enum err move_there(struct move *m, enum err e)
{
	if (e == ERR_IO)
		folder_fail(m->to, e, "copying a log to it");
	return e;
}

/* --- a segment's records ------------------------------------------------------------------------------------------ */

static void close_copy(struct move *m)
{
	file_close(m->file);
	m->file = NULL;
}

/* From the first segment on: what the copy has by then is compared. */
static void begin_anew(struct move *m)
{
	struct log *l = m->log;

	close_copy(m);
	m->cuts = l->truncations;
	m->swaps = l->swaps;
	m->base = l->segments[0]->base_offset;
	m->position = m->size_bytes = 0;
	m->offset = m->base;
	for (uint32_t i = 0; i < l->segment_count; i++)
		l->segments[i]->sides_moved = false;
}

static enum err open_copy_await(struct fiber *self, struct move *m)
{
	char path[LOG_PATH_SIZE];
	enum err e;

	move_segment_path(m, m->base, SEGMENT_LOG, path);
	e = move_there(m, file_open_await(self, path, FILE_READ | FILE_WRITE | FILE_CREATE, &m->file));
	return e ? e : file_size_await(self, m->file, &m->old_size);
}

/* The one that is being copied, or the first behind it, where it has left the log meanwhile; NULL: all are. */
static struct segment *segment_now(struct move *m)
{
	const struct log *l = m->log;
	uint32_t at = log_segment_at(l, m->base);

	if (l->segments[at]->base_offset < m->base && ++at == l->segment_count)
		return NULL;
	if (l->segments[at]->base_offset != m->base) {
		close_copy(m);
		m->base = l->segments[at]->base_offset;
		m->position = 0;
		m->offset = m->base;
	}
	return l->segments[at];
}

static enum err read_here_await(struct fiber *self, struct move *m, struct segment *s, size_t *ret_count)
{
	struct log *l = m->log;
	size_t want = m->capacity;
	struct cached_file *f;
	enum err e;

	if ((int64_t)want > s->written - m->position)
		want = (size_t)(s->written - m->position);
	log_pin(l);
	e = log_open_segment_await(self, l, s, &f);
	if (!e) {
		e = file_read_await(self, f->file, m->chunk, want, m->position, ret_count);
		file_cache_give(&l->store->files, f);
	}
	if (e == ERR_AGAIN || (e && list_linked(&s->grave)))
		e = ERR_AGAIN; /* removed or replaced meanwhile */
	log_unpin(l);
	return e;
}

struct chunk_walk {
	struct batch_walker walker;
	int64_t end;
};

static bool note_end(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	(void)whole;
	(void)position;
	container_of(w, struct chunk_walk, walker)->end = batch_last_offset(h) + 1;
	return true;
}

/* Not one whole batch was in the chunk: the first is larger, or the segment ends within it. */
static enum err grow(struct move *m, size_t count, int64_t left)
{
	size_t size = count >= BATCH_LOG_OVERHEAD ? (size_t)get_be32(m->chunk + 8) + BATCH_LOG_OVERHEAD : 0;

	if (size <= m->capacity || (int64_t)size > left)
		return ERR_CORRUPT;
	mem_free(m->chunk);
	mem_free(m->there);
	m->chunk = mem_try_alloc(size);
	m->there = mem_try_alloc(size);
	m->capacity = m->chunk && m->there ? size : 0;
	return m->capacity ? OK : ERR_NO_MEMORY;
}

/* The same bytes are there already: as an earlier process, or an earlier pass, left them. */
static enum err look_there_await(struct fiber *self, struct move *m, size_t size, bool *ret_same)
{
	size_t count = 0;
	enum err e;

	*ret_same = false;
	if (m->position + (int64_t)size > m->old_size)
		return OK;
	e = file_read_await(self, m->file, m->there, size, m->position, &count);
	*ret_same = !e && count == size && memcmp(m->chunk, m->there, size) == 0;
	return e;
}

static enum err copy_chunk_await(struct fiber *self, struct move *m, struct segment *s)
{
	struct chunk_walk w = {.walker = {.batch = note_end, .check_crc = true}, .end = m->offset};
	int64_t left = s->written - m->position;
	uint32_t cuts = m->log->truncations;
	size_t count = 0;
	bool same;
	enum err e = read_here_await(self, m, s, &count);

	if (e)
		return e;
	if (m->log->truncations != cuts)
		return ERR_AGAIN; /* what was read may be gone */
	e = segment_walk_bytes(bytes_of(m->chunk, count), &w.walker);
	if (!e && w.walker.position == 0)
		return grow(m, count, left);
	if (!e)
		e = look_there_await(self, m, (size_t)w.walker.position, &same);
	if (!e && !same)
		e = move_there(
			m, file_write_await(self, m->file, bytes_of(m->chunk, (size_t)w.walker.position), m->position));
	if (e)
		return e;
	m->position += w.walker.position;
	m->size_bytes += w.walker.position;
	m->offset = w.end;
	pace_note(&m->pace, shard_now_us(m->log->store->shard), (size_t)w.walker.position,
		  m->log->store->settings.move_bytes_per_second);
	m->log->store->figures.moved_bytes += (uint64_t)w.walker.position;
	return OK;
}

enum err move_finish_file_await(struct fiber *self, struct move *m)
{
	enum err e = OK;

	if (!m->file)
		return OK;
	if (m->old_size > m->position)
		e = file_truncate_await(self, m->file, m->position);
	if (!e)
		m->old_size = m->position;
	if (!e && store_syncs(m->log->store))
		e = file_sync_await(self, m->file);
	return move_there(m, e);
}

/* --- what lies beside it ------------------------------------------------------------------------------------------ */

static enum err copy_side_await(struct fiber *self, struct move *m, int64_t base_offset, enum segment_file which)
{
	char from[LOG_PATH_SIZE], to[LOG_PATH_SIZE], *text;
	struct file *file;
	size_t size;
	enum err e;

	log_file_path(m->log, base_offset, which, from);
	move_segment_path(m, base_offset, which, to);
	e = file_load_await(self, from, SMALL_FILE_MAX, &text, &size);
	if (e == ERR_NOT_FOUND) {
		e = file_remove_await(self, to); /* an earlier pass may have left one */
		return e == ERR_NOT_FOUND ? OK : e;
	}
	if (e)
		return e;
	e = file_open_await(self, to, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
	if (!e) {
		if (size)
			e = file_write_await(self, file, bytes_of(text, size), 0);
		if (!e && store_syncs(m->log->store))
			e = file_sync_await(self, file);
		file_close(file);
	}
	mem_free(text);
	return move_there(m, e);
}

enum err move_copy_sides_await(struct fiber *self, struct move *m, struct segment *s)
{
	int64_t base_offset = s->base_offset;
	enum err e = OK;

	log_pin(m->log);
	/* What is written of them later, or just now, is for the moment when the log is held, or for over there. */
	s->sides_moved = s->index_saved && !s->saving_index && !s->snapshot && !segment_owes_aborted(s);
	for (int i = 0; i < SEGMENT_FILES && !e; i++)
		if (i != SEGMENT_LOG)
			e = copy_side_await(self, m, base_offset, (enum segment_file)i);
	if (e)
		s->sides_moved = false;
	log_unpin(m->log);
	return e;
}

/* A segment to which nothing comes any more is copied whole. */
static enum err finish_segment_await(struct fiber *self, struct move *m, struct segment *s)
{
	int64_t next = log_segment_after(m->log, s)->base_offset;
	enum err e;

	log_pin(m->log); /* so that `s` stays */
	e = move_finish_file_await(self, m);
	close_copy(m);
	if (!e)
		e = move_copy_sides_await(self, m, s);
	log_unpin(m->log);
	if (!e) {
		m->base = m->offset = next;
		m->position = 0;
	}
	return e;
}

/* --- a pass ------------------------------------------------------------------------------------------------------- */

/* OK: there is more; ERR_END: all that is written is copied. */
static enum err step_await(struct fiber *self, struct move *m)
{
	struct log *l = m->log;
	struct segment *s;

	if (m->cuts != l->truncations || m->swaps != l->swaps)
		begin_anew(m);
	s = segment_now(m);
	if (!s || (!s->made && s->written == 0))
		return ERR_END;
	if (!m->file)
		return open_copy_await(self, m);
	if (m->position < s->written)
		return copy_chunk_await(self, m, s);
	return s == log_active(l) || s->written < s->size ? ERR_END : finish_segment_await(self, m, s);
}

static void rest_await(struct fiber *self, struct move *m)
{
	struct store *s = m->log->store;

	while (!m->log->held && !move_must_stop(m) && shard_now_us(s->shard) < m->pace.due_us) {
		int64_t most = shard_now_us(s->shard) + PACE_STEP_US;

		if (event_wait_await(self, &s->moving, m->pace.due_us < most ? m->pace.due_us : most) == ERR_CANCELLED)
			fiber_yield_await(self);
	}
}

static enum err damaged(const struct move *m)
{
	log_error(log_logger(m->log),
		  "%s-%d: damage behind offset %lld, byte %lld of segment %020lld: it is not moved to %s",
		  m->log->topic, (int)m->log->partition, (long long)m->offset, (long long)m->position,
		  (long long)m->base, m->to->of->path);
	return ERR_CORRUPT;
}

enum err move_copy_await(struct fiber *self, struct move *m)
{
	enum err e = OK;

	while (!e) {
		if (move_must_stop(m))
			return ERR_CANCELLED;
		e = step_await(self, m);
		if (e == ERR_AGAIN)
			e = OK; /* the segment left meanwhile; the next look finds the next one */
		rest_await(self, m);
	}
	if (e == ERR_CORRUPT && !move_must_stop(m))
		return damaged(m);
	return e == ERR_END ? OK : e;
}

/* Bytes that are written and not copied. */
static int64_t bytes_left(const struct move *m)
{
	const struct log *l = m->log;
	int64_t left = -m->position;

	for (uint32_t i = 0; i < l->segment_count; i++)
		if (l->segments[i]->base_offset >= m->base)
			left += l->segments[i]->written;
	return left;
}

static void make_name(struct move *m)
{
	const struct log *l = m->log;
	char id[33];

	for (int i = 0; i < 2; i++)
		snprintf(id + 16 * i, 17, "%016llx", (unsigned long long)prng_next(shard_random(l->store->shard)));
	snprintf(m->name, sizeof(m->name), "%s-%d.%s-future", l->topic, (int)l->partition, id);
}

static enum err begin_await(struct fiber *self, struct move *m)
{
	char path[LOG_PATH_SIZE];
	enum err e;

	if (!m->name[0])
		make_name(m);
	begin_anew(m);
	m->pace = (struct pace){0};
	move_file_path(m, NULL, path);
	e = folder_create_await(self, path);
	if (e && e != ERR_EXISTS)
		return move_there(m, e);
	move_file_path(m, "partition.metadata", path);
	return move_there(m, log_write_metadata_at_await(self, m->log, path));
}

static enum err move_await(struct fiber *self, struct move *m)
{
	enum err e = begin_await(self, m);

	log_info(log_logger(m->log), "%s-%d: moving from %s to %s", m->log->topic, (int)m->log->partition,
		 m->log->folder->of->path, m->to->of->path);
	while (!e) {
		e = move_copy_await(self, m);
		/* So that little is left to be synced while the log is held. */
		if (!e && m->file && store_syncs(m->log->store))
			e = move_there(m, file_sync_await(self, m->file));
		if (e || bytes_left(m) > HOLD_FROM_BYTES)
			continue;
		e = move_swap_await(self, m);
		if (!e)
			return OK;
		if (e == ERR_AGAIN)
			e = OK;
	}
	return e;
}

/* --- the mover ---------------------------------------------------------------------------------------------------- */

static void remove_copy_await(struct fiber *self, struct move *m)
{
	char path[LOG_PATH_SIZE];

	if (!m->name[0])
		return;
	move_file_path(m, NULL, path);
	if (!m->to->offline && folder_remove_all_await(self, path) != OK)
		log_warn(log_logger(m->log),
			 "%s: the copy that is given up cannot be removed; the next start goes on with it", path);
	m->name[0] = 0;
}

static const char *why_not(const struct move *m, enum err e)
{
	if (m->to->offline)
		return "that folder is offline";
	if (m->log->state)
		return "its log is offline";
	return err_text(e);
}

/* Until it lies where it is wanted, or cannot; true: it was not given up for the sake of another folder. */
static bool settle_await(struct fiber *self, struct move *m)
{
	struct log *l = m->log;
	enum err e = move_await(self, m);

	close_copy(m);
	if (!e) {
		m->name[0] = 0;
		return m->wanted == l->folder;
	}
	if (l->closing || l->store->closing || m->stopped)
		return true;
	if (!m->dropped && m->wanted != m->to)
		log_info(log_logger(l), "%s-%d: the move to %s is given up", l->topic, (int)l->partition,
			 m->to->of->path);
	remove_copy_await(self, m);
	if (m->dropped)
		return true;
	if (m->wanted != m->to)
		return m->wanted == l->folder;
	log_error(log_logger(l), "%s-%d: cannot be moved to %s: %s. It stays in %s", l->topic, (int)l->partition,
		  m->to->of->path, why_not(m, e), l->folder->of->path);
	return true;
}

static void end(struct move *m)
{
	struct log *l = m->log;

	list_remove(&m->node);
	l->move = NULL;
	mem_free(m->chunk);
	mem_free(m->there);
	mem_free(m);
	event_signal(&l->store->cleaning); /* it may be compacted again */
	event_signal(&l->unpinned);
}

static void move_one_await(struct fiber *self, struct move *m)
{
	bool over = m->wanted == m->log->folder;

	m->capacity = CHUNK;
	m->chunk = mem_alloc(CHUNK);
	m->there = mem_alloc(CHUNK);
	while (!over) {
		if (m->to != m->wanted)
			remove_copy_await(self, m);
		m->to = m->wanted;
		if (m->to->offline || m->stopped || m->dropped)
			break;
		over = settle_await(self, m);
	}
	if (m->dropped)
		remove_copy_await(self, m);
	end(m);
}

static void mover_main(struct fiber *self, void *argument)
{
	struct store *s = argument;

	while (!s->closing) {
		struct list_node *n = list_first(&s->moves);

		if (n)
			move_one_await(self, container_of(n, struct move, node));
		else if (event_wait_await(self, &s->moving, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	}
	while (!list_empty(&s->moves)) /* the next start goes on with those that were begun */
		end(container_of(list_first(&s->moves), struct move, node));
	s->mover_runs = false;
	event_signal(&s->moving);
}

void move_start(struct store *s)
{
	static const struct fiber_options options = {.name = "log mover", .stack_size = STACK_SIZE};
	struct fiber *fiber;

	list_init(&s->moves);
	event_init(&s->moving);
	s->mover_runs = true;
	fiber = fiber_start(s->shard, &options, mover_main, s);
	must(fiber != NULL); /* among the first fibers of a shard */
}

void move_stop_await(struct fiber *self, struct store *s)
{
	must(s->closing);
	event_signal(&s->moving);
	while (s->mover_runs)
		if (event_wait_await(self, &s->moving, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
}

/* --- from outside ------------------------------------------------------------------------------------------------- */

/* `name`: of a copy that is there; NULL: there is none. */
static void begin(struct log *l, struct store_folder *wanted, const char *name)
{
	struct move *m = mem_new(struct move);

	m->log = l;
	m->wanted = wanted;
	if (name) {
		m->to = wanted;
		snprintf(m->name, sizeof(m->name), "%s", name);
	}
	l->move = m;
	list_push_back(&l->store->moves, &m->node);
	event_signal(&l->store->moving);
	event_signal(&l->store->cleaning); /* a pass over it ends */
}

enum err log_move(struct log *l, size_t folder)
{
	struct store *s = l->store;

	must(folder < s->storage->folder_count);
	if (l->state)
		return l->state;
	if (l->closing || l->deleted || s->closing)
		return ERR_CANCELLED;
	if (store_is_read_only(s))
		return l->folder->index == folder ? OK : ERR_POLICY_VIOLATION;
	if (l->move) {
		l->move->wanted = &s->folders[folder];
		event_signal(&s->moving);
		return s->folders[folder].offline ? ERR_OFFLINE : OK;
	}
	if (l->folder->index == folder)
		return OK;
	/* A copy that is in a folder that cannot be looked at would go on beside this one. */
	for (size_t i = 0; i < s->storage->folder_count; i++)
		if (s->folders[i].offline)
			return ERR_OFFLINE;
	begin(l, &s->folders[folder], NULL);
	return OK;
}

bool log_future(const struct log *l, struct log_future *ret_future)
{
	const struct move *m = l->move;

	if (!m || m->wanted == l->folder || m->wanted->offline || m->stopped || m->dropped)
		return false;
	*ret_future = (struct log_future){.folder = m->wanted->index, .end_offset = l->start_durable};
	if (m->to == m->wanted) {
		ret_future->size_bytes = m->size_bytes;
		ret_future->end_offset = m->offset > l->start_durable ? m->offset : l->start_durable;
	}
	return true;
}

/* What an earlier process began to copy, into a folder that is there. */
void log_resume_move(struct log *l)
{
	struct storage *st = l->store->storage;

	for (size_t i = 0; !st->options.read_only && i < st->future_count && !l->move; i++) {
		struct found_log *f = &st->futures[i];

		if (f->partition != l->partition || strcmp(f->topic, l->topic) != 0 ||
		    !uuid_equal(f->topic_id, l->topic_id) || st->futures_taken[i])
			continue;
		st->futures_taken[i] = true; /* its shard's alone, as the log is */
		if (f->folder_index == l->folder->index || l->store->folders[f->folder_index].offline)
			continue;
		begin(l, &l->store->folders[f->folder_index], f->folder_name);
	}
}

void log_end_move_await(struct fiber *self, struct log *l, bool drop)
{
	if (l->move && drop)
		l->move->dropped = true;
	else if (l->move)
		l->move->stopped = true;
	event_signal(&l->store->moving);
	while (l->move)
		if (event_wait_await(self, &l->unpinned, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
}

void log_wait_held_await(struct fiber *self, struct log *l)
{
	while (l->held)
		if (event_wait_await(self, &l->unpinned, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
}
