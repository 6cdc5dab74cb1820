/* store: what the logs of one shard share; see store.h. The process's part is folder.c. */
#include "storage/store.h"

#include "base/alloc.h"
#include "storage/state.h"

#define FILES_MIN ((size_t)2)
#define HANDS_MAX 32

static void folder_init(struct store_folder *f, struct store *s, size_t index)
{
	*f = (struct store_folder){.store = s, .of = &s->storage->folders[index], .index = index};
	f->offline = !f->of->online;
	f->no_space = f->of->full;
	f->owes_reserve = f->no_space && shard_index(s->shard) == 0;
	f->journal.refused = s->storage->options.read_only;
	list_init(&f->dirty);
	list_init(&f->noted);
	list_init(&f->rolled);
	list_init(&f->forgets);
	gate_init(&f->bounds_gate, 1);
	event_init(&f->work);
	event_init(&f->chores);
	event_init(&f->round_over);
	commit_start(f);
	keeper_start(f);
}

/*
 * What the shard may open at once: files that are kept open, and two for each of those who go through logs one after the other. With
 * few descriptors it has few hands: what does not fit waits.
 */
static void share_files(struct store *s, size_t files)
{
	size_t hands = files / 4;

	s->hands = hands > HANDS_MAX ? HANDS_MAX : hands < 1 ? 1 : (unsigned)hands;
	files = files > 2 * s->hands + FILES_MIN ? files - 2 * s->hands : FILES_MIN;
	file_cache_init(&s->files, files);
	gate_init(&s->cold_reads, s->hands);
	gate_init(&s->openings, s->hands);
}

struct store *store_new(struct storage *st, struct shard *shard, void (*failed)(void *context, const char *folder),
			void *context)
{
	struct store *s = mem_new(struct store);

	s->storage = st;
	s->shard = shard;
	s->failed = failed;
	s->context = context;
	list_init(&s->logs);
	map_init_seeded(&s->by_name, shard_map_seed(shard));
	map_init_seeded(&s->closed, shard_map_seed(shard));
	share_files(s, st->options.max_open_files / runtime_shard_count(st->runtime));
	budget_init(&s->read_budget, shard, st->options.read_budget_bytes);
	event_init(&s->lent_back);
	s->folders = mem_zalloc(st->folder_count * sizeof(*s->folders));
	for (size_t i = 0; i < st->folder_count; i++)
		folder_init(&s->folders[i], s, i);
	st->stores[shard_index(shard)] = s;
	event_init(&s->visited);
	housekeeping_start(s);
	clean_start(s);
	move_start(s);
	scrub_start(s);
	return s;
}

struct shard *store_shard(struct store *s)
{
	return s->shard;
}

bool store_is_read_only(const struct store *s)
{
	return s->storage->options.read_only;
}

struct budget *store_read_budget(struct store *s)
{
	return &s->read_budget;
}

/* The committer ends when nothing is left to commit; the keeper after what it is at. */
static void stop_folder_await(struct fiber *self, struct store_folder *f)
{
	f->stopping = true;
	while (f->committer_runs || f->keeper_runs) {
		event_signal(&f->work);
		event_signal(&f->chores);
		if (event_wait_await(self, &f->round_over, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	}
	journal_close(&f->journal);
	commit_free(f);
}

static void free_closed(struct map *m)
{
	const struct map_entry *at;
	size_t place = 0;

	while ((at = map_next(m, &place)) != NULL)
		mem_free(at->value);
	map_fini(m);
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

/* Closing waits for the disk again and again: several logs at once. */
struct closer {
	struct store *store;
	void (*step_await)(struct fiber *self, struct closer *c, struct log *l);
	struct log **logs;
	size_t count;
	size_t next;
	struct fan fan;
	enum err failure;
};

static void closer_main(struct fiber *self, void *argument)
{
	struct closer *c = argument;

	while (c->next < c->count)
		c->step_await(self, c, c->logs[c->next++]);
	fan_done(&c->fan);
}

static void for_all_await(struct fiber *self, struct closer *c,
			  void (*step_await)(struct fiber *self, struct closer *c, struct log *l))
{
	static const struct fiber_options options = {.name = "close logs"};

	c->step_await = step_await;
	c->next = 0;
	c->fan = (struct fan){.fiber = self, .left = 1};
	for (size_t i = 1; i < c->store->hands && i < c->count; i++) {
		fan_add(&c->fan);
		if (!fiber_start(c->store->shard, &options, closer_main, c)) {
			c->fan.left--;
			break;
		}
	}
	closer_main(self, c);
	fan_wait_await(self, &c->fan);
}

/* Those of a folder that are not yet as a clean stop leaves them; of NULL all. */
static void choose_logs(struct closer *c, const struct store_folder *f)
{
	size_t capacity = 0;

	mem_free(c->logs);
	c->logs = NULL;
	c->count = 0;
	list_for_each(&c->store->logs, n)
	{
		struct log *l = container_of(n, struct log, node);

		if (f && (l->folder != f || l->state || log_is_settled(l)))
			continue;
		c->logs = mem_grow(c->logs, &capacity, c->count + 1, sizeof(struct log *));
		c->logs[c->count++] = l;
	}
}

static void settle_one_await(struct fiber *self, struct closer *c, struct log *l)
{
	(void)c;
	/* What fails is tried again, and told, when the log is closed. */
	if (log_settle_unsynced_await(self, l) == OK)
		l->settled_but_sync = true;
	else
		(void)!log_place_indexes_await(self, l, false);
}

/* What was synced under other names. */
static void place_indexes_await(struct fiber *self, struct closer *c, struct log *l)
{
	(void)c;
	if (log_place_indexes_await(self, l, l->settled_but_sync) != OK)
		l->settled_but_sync = false;
}

/* By the sync of the whole file system, and not one by one. */
static bool all_was_synced(const struct log *l, enum err e)
{
	return !e && !l->folder->syncs_each && l->place == PLACE_HOME && l->file_synced == l->end && l->names_synced;
}

/* Thousands of logs that were written to wait for one sync, not each for its own. */
static void settle_folder_await(struct fiber *self, struct closer *c, struct store_folder *f)
{
	size_t count = 0;
	enum err e;

	choose_logs(c, f);
	if (!sync_many_together(f, c->count))
		return;
	for_all_await(self, c, settle_one_await);
	for (size_t i = 0; i < c->count; i++)
		if (c->logs[i]->settled_but_sync)
			c->logs[count++] = c->logs[i];
	for (size_t i = 0; i < count; i++)
		log_pin(c->logs[i]);
	e = sync_many_await(self, f, c->logs, count);
	for (size_t i = 0; i < count; i++) {
		log_unpin(c->logs[i]);
		c->logs[i]->settled_but_sync = all_was_synced(c->logs[i], e);
	}
	c->count = count;
	for_all_await(self, c, place_indexes_await);
	if (!e) /* the new names */
		e = f->syncs_each ? OK : file_sync_all_await(self, f->journal.files[0]);
	for (size_t i = 0; i < count; i++)
		if (!e && c->logs[i]->settled_but_sync)
			c->logs[i]->side_files_dirty = false;
	if (e && e != ERR_TOO_MANY_FILES)
		folder_fail(f, e, "syncing");
}

static void close_one_await(struct fiber *self, struct closer *c, struct log *l)
{
	struct store_folder *f = l->folder;
	enum err e = log_close_await(self, l);

	/* What could not be made durable is in the journals still: without the marker of a clean stop they are replayed. */
	if (e)
		f->close_failed = true;
	if (!c->failure)
		c->failure = e;
}

static enum err close_logs_await(struct fiber *self, struct store *s)
{
	struct closer c = {.store = s};

	for (size_t i = 0; i < s->storage->folder_count; i++)
		settle_folder_await(self, &c, &s->folders[i]);
	choose_logs(&c, NULL);
	for_all_await(self, &c, close_one_await);
	mem_free(c.logs);
	return c.failure;
}

enum err store_close_await(struct fiber *self, struct store *s)
{
	enum err failure;

	s->closing = true;
	housekeeping_stop_await(self, s);
	clean_stop_await(self, s);
	move_stop_await(self, s);
	scrub_stop_await(self, s);
	for (size_t i = 0; i < s->storage->folder_count; i++)
		if (s->folders[i].no_space)
			(void)reserve_use_await(self, &s->folders[i]); /* for what a clean stop writes */
	failure = close_logs_await(self, s);
	for (size_t i = 0; i < s->storage->folder_count; i++) {
		stop_folder_await(self, &s->folders[i]);
		s->storage->lost[shard_index(s->shard) * s->storage->folder_count + i] = s->folders[i].offline ||
											 s->folders[i].close_failed;
	}
	/* Their connections are closed by now. */
	while (s->lent > 0)
		if (event_wait_await(self, &s->lent_back, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	/* Also who came after `closing` was set: other shards save their cleaning points through shard 0's. */
	while (s->visitors > 0)
		if (event_wait_await(self, &s->visited, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	s->storage->stores[shard_index(s->shard)] = NULL;
	file_cache_fini(&s->files);
	budget_fini(&s->read_budget);
	map_fini(&s->by_name);
	free_closed(&s->closed);
	mem_free(s->folders);
	mem_free(s);
	return failure;
}
