/*
 * sync_many: the segment files of many logs, made durable together: each with its own syncs, several logs at once; from some number on
 * with one sync of the whole file system, which takes as long as a few of those (docs/decisions/0005).
 *
 *      note each log (how far it is written, what was made) -> one sync -> what was noted is durable
 *
 * Uses runtime/file and segment_files.c.
 */
#include "base/alloc.h"
#include "storage/state.h"

/* What of a log is in its files before the sync begins. */
struct sync_note {
	bool covered;
	int64_t upto;
	int64_t last_made;
	uint64_t generation;
	uint64_t root_version;
	uint32_t cuts;
	uint32_t names_made;
};

struct sync_many {
	struct store_folder *folder;
	struct log **logs;
	struct sync_note *notes;
	size_t count;
	size_t next;
	struct fan fan;
	void (*step_await)(struct fiber *self, struct sync_many *m, size_t i);
	enum err failure;
};

static void many_main(struct fiber *self, void *argument)
{
	struct sync_many *m = argument;

	while (m->next < m->count && !m->failure)
		m->step_await(self, m, m->next++);
	fan_done(&m->fan);
}

/* A step for each log; several at once, since each waits again and again. */
static enum err for_all_await(struct fiber *self, struct sync_many *m,
			      void (*step_await)(struct fiber *self, struct sync_many *m, size_t i))
{
	static const struct fiber_options options = {.name = "sync logs"};
	struct store *s = m->folder->store;

	m->step_await = step_await;
	m->next = 0;
	m->fan = (struct fan){.fiber = self, .left = 1};
	for (size_t i = 1; i < s->hands && i < m->count; i++) {
		fan_add(&m->fan);
		if (!fiber_start(s->shard, &options, many_main, m)) {
			m->fan.left--;
			break;
		}
	}
	many_main(self, m);
	fan_wait_await(self, &m->fan);
	return m->failure;
}

static void fail(struct sync_many *m, const struct log *l, enum err e)
{
	if (e && !l->deleted && !m->failure)
		m->failure = e;
}

static void sync_one_await(struct fiber *self, struct sync_many *m, size_t i)
{
	struct log *l = m->logs[i];

	if (!l->deleted && !(m->notes && m->notes[i].covered))
		fail(m, l, log_sync_files_await(self, l));
}

/* --- together ----------------------------------------------------------------------------------------------------- */

/* Its folder may be a link to another disk, or a disk of its own. */
static enum err look_where_await(struct fiber *self, struct log *l)
{
	char path[LOG_PATH_SIZE];
	struct file_info root, info;
	enum err e;

	if (l->place != PLACE_UNKNOWN)
		return OK;
	log_folder_path(l, path);
	e = file_info_await(self, path, &info);
	if (!e)
		e = file_info_await(self, l->folder->of->path, &root);
	if (!e)
		l->place = info.device == root.device ? PLACE_HOME : PLACE_ELSEWHERE;
	return e;
}

static void note_one_await(struct fiber *self, struct sync_many *m, size_t i)
{
	struct sync_note *n = &m->notes[i];
	struct log *l = m->logs[i];
	enum err e;

	if (l->deleted || l->state)
		return;
	/* Few have any: each is synced by itself, its name with the others. */
	e = log_save_all_aborted_await(self, l, l->written);
	if (!e)
		e = log_write_metadata_await(self, l, false);
	if (!e)
		e = look_where_await(self, l);
	if (e || l->place != PLACE_HOME) {
		fail(m, l, e);
		return;
	}
	*n = (struct sync_note){.covered = true,
				.upto = l->written,
				.last_made = -1,
				.generation = l->folder->journal.generation,
				.root_version = l->folder->root_version,
				.cuts = l->cuts,
				.names_made = l->names_made};
	for (uint32_t k = 0; k < l->segment_count; k++)
		if (l->segments[k]->made)
			n->last_made = l->segments[k]->base_offset;
}

static void take_note(struct log *l, struct sync_note *n)
{
	struct store_folder *f = l->folder;

	if (!n->covered || l->deleted)
		return;
	if (f->root_synced < n->root_version)
		f->root_synced = n->root_version;
	n->covered = l->cuts == n->cuts && !log_owes_aborted(l, n->upto);
	if (!n->covered)
		return;
	for (uint32_t k = 0; k < l->segment_count; k++)
		if (l->segments[k]->made && l->segments[k]->base_offset <= n->last_made)
			l->segments[k]->name_synced = true;
	l->names_synced = l->names_made == n->names_made;
	l->metadata_made = true;
	log_files_cover(l, n->upto, n->generation);
}

/* The journal's file was opened when the run began: no error of a write since then is missed. */
static enum err together_await(struct fiber *self, struct sync_many *m)
{
	struct store_folder *f = m->folder;
	enum err e = for_all_await(self, m, note_one_await);

	if (!e)
		e = file_sync_all_await(self, f->journal.files[0]);
	if (e == ERR_UNSUPPORTED)
		f->syncs_each = true;
	for (size_t i = 0; i < m->count; i++) {
		if (e)
			m->notes[i].covered = false;
		take_note(m->logs[i], &m->notes[i]);
	}
	return e == ERR_UNSUPPORTED ? OK : e;
}

bool sync_many_together(const struct store_folder *f, size_t count)
{
	size_t wish = f->store->storage->options.sync_together_from;

	return count >= (wish ? wish : SYNC_TOGETHER_FROM) && store_syncs(f->store) && f->journal.files[0] &&
	       !f->syncs_each && !f->offline;
}

enum err sync_many_await(struct fiber *self, struct store_folder *f, struct log **logs, size_t count)
{
	struct sync_many m = {.folder = f, .logs = logs, .count = count};
	enum err e = OK;

	if (sync_many_together(f, count)) {
		m.notes = mem_zalloc(count * sizeof(*m.notes));
		e = together_await(self, &m);
	}
	if (!e)
		e = for_all_await(self, &m, sync_one_await);
	mem_free(m.notes);
	return e;
}
