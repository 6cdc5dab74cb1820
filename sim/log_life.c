/* log_life: one life of the storage under test: opens, works until it is told to stop, closes. Code of a node; see sim/log_life.h. */
#include <stdio.h>

#include "base/alloc.h"
#include "runtime/call.h"
#include "sim/log_life.h"
#include "storage/figures.h"
#include "storage/move.h"

#define READ_MAX 20000
#define KEEP_START_US 24000000LL
#define SILENCE_MIN_US 200000
#define SILENCE_MAX_US 2000000

static struct scheduler *scheduler_of(struct log_world *w)
{
	return &w->sim->scheduler;
}

/* Models and failures live in the simulator's memory. */
void log_life_report(struct log_partition *p, const char *what)
{
	struct memory_owner *before;

	if (!what)
		return;
	before = memory_enter(NULL);
	if (p->compacts)
		trace_event(&scheduler_of(p->world)->trace, "checker", "compacted", "the last missing is %lld",
			    p->model.missed, 0, 0);
	sim_fail(p->world->sim, "partition %u [start %lld, safe %lld, end %lld]: %s", p->index,
		 (long long)p->model.start, (long long)p->model.acked, (long long)p->model.end, what);
	memory_leave(before);
}

static const char *trace_who(struct log_partition *p)
{
	static const char *const names[LOG_WORLD_PARTITIONS] = {"log 0", "log 1", "log 2", "log 3", "log 4", "log 5"};

	return names[p->index];
}

void log_life_note(struct log_partition *p, const char *what, const char *format, int64_t a, int64_t b, int64_t c)
{
	struct memory_owner *before = memory_enter(NULL);

	trace_event(&scheduler_of(p->world)->trace, trace_who(p), what, format, a, b, c);
	memory_leave(before);
}

/* --- what the log tells ------------------------------------------------------------------------------------------------- */

void log_life_note_start(struct live_log *l)
{
	log_life_report(l->p, log_model_started(&l->p->model, log_start_offset(l->log)));
}

/* Every other time; now and then for so long that more is appended than retention.bytes allows. */
static bool acknowledges_late(struct live_log *l)
{
	struct scheduler *s = scheduler_of(l->p->world);

	if (s->now_us < l->silent_until_us)
		return true;
	if (chance(s, 1, 100))
		l->silent_until_us = s->now_us + choose(s, SILENCE_MIN_US, SILENCE_MAX_US);
	return chance(s, 1, 2);
}

static void note_synced(struct live_log *l)
{
	struct log_partition *p = l->p;
	int64_t synced = log_synced_offset(l->log);
	struct memory_owner *before;
	const char *wrong = NULL;
	int64_t acked_before = p->model.acked;

	if (synced < l->synced || synced > log_end_offset(l->log) || log_written_offset(l->log) < synced)
		wrong = "synced went back, or past the end";
	l->synced = synced;
	/* Somebody who acknowledges late: then what is synced may still be cut, and must not go for its size. */
	if (p->lazy_acks && acknowledges_late(l)) {
		log_life_report(p, wrong);
		return;
	}
	before = memory_enter(NULL);
	if (!wrong)
		wrong = log_model_acked(&p->model, synced < l->cut_at ? synced : l->cut_at,
					scheduler_of(p->world)->now_us);
	memory_leave(before);
	log_life_report(p, wrong);
	if (p->model.acked > acked_before) {
		p->world->history->acked += (uint64_t)(p->model.acked - acked_before);
		log_life_note(p, "safe", "up to %lld", p->model.acked, 0, 0);
		log_note_acknowledged(l->log, p->model.acked);
		l->noted = p->model.acked;
	}
}

static void progressed(struct log_owner *o)
{
	struct live_log *l = container_of(o, struct live_log, owner);

	note_synced(l);
	event_signal(&l->progress);
}

static void cut(struct log_owner *o, int64_t offset, enum err reason)
{
	struct live_log *l = container_of(o, struct live_log, owner);
	struct memory_owner *before = memory_enter(NULL);
	const char *wrong = log_model_cut(&l->p->model, offset, true);

	memory_leave(before);
	log_life_note(l->p, "taken back", "from %lld (%lld)", offset, reason, 0);
	log_life_report(l->p, wrong);
}

static void folder_failed(void *context, const char *folder)
{
	struct log_life *life = context;

	(void)folder;
	life->world->folder_failed = true;
}

bool log_life_is_trouble(enum err e)
{
	return e == ERR_NO_SPACE || e == ERR_OFFLINE || e == ERR_CORRUPT || e == ERR_IO || e == ERR_NO_MEMORY ||
	       e == ERR_TOO_MANY_FILES || e == ERR_CANCELLED;
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

/* Committed readers stop where the first transaction begins that is open, or whose end the log does not know to be committed yet. */
static void check_stable(struct live_log *l)
{
	struct log_partition *p = l->p;
	int64_t stable = log_first_unstable(l->log), start = log_start_offset(l->log), least, most;

	log_model_walk(&p->model, l->noted);
	least = log_model_first_unstable(&p->model, l->noted);
	most = log_model_first_unstable(&p->model, l->synced);
	if (stable > (most < start ? start : most))
		log_life_report(p, "what is not decided counts as stable");
	else if (stable < (least < start ? start : least))
		log_life_report(p, "what is decided does not count as stable");
}

struct awaited_read {
	struct log_read read;
	struct fiber *fiber;
	bool over;
};

static void read_done(struct log_read *r)
{
	struct awaited_read *a = container_of(r, struct awaited_read, read);

	a->over = true;
	fiber_wake(a->fiber);
}

/* Reads at `offset` and checks what came; false when it ended with an error. */
static bool read_await(struct fiber *self, struct live_log *l, int64_t offset, int64_t max_offset, size_t max_bytes,
		       int64_t *ret_next)
{
	struct log_partition *p = l->p;
	struct awaited_read a = {
		.read = {.offset = offset,
			 .max_offset = max_offset,
			 .max_bytes = max_bytes,
			 .at_least_one = true,
			 .committed_only = p->transacts && max_offset <= log_first_unstable(l->log),
			 .done = read_done},
		.fiber = self,
	};
	int64_t estimate = log_bytes_between(l->log, offset, max_offset);
	struct memory_owner *before;
	const char *wrong;

	log_read_start(l->log, &a.read);
	while (!a.over)
		fiber_park_await(self);
	log_life_note(p, "read", "%lld: %lld bytes (%lld)", offset, (int64_t)a.read.records.size, a.read.error);
	if (a.read.error) {
		if (a.read.error == ERR_CORRUPT && !p->damaged)
			log_life_report(p, "a read found damage where none was done");
		else if (a.read.error == ERR_OFFSET_OUT_OF_RANGE && offset >= p->model.start &&
			 !(p->purges && offset < log_start_offset(l->log)))
			log_life_report(p, "a read of an offset that is there was out of range");
		return false;
	}
	before = memory_enter(NULL);
	wrong = p->compacts
			? log_model_check_keyed(&p->model, offset, max_offset,
						shard_wall_ms(store_shard(l->life->store)), a.read.records, ret_next)
			: log_model_check_read(&p->model, offset, max_offset, a.read.records, ret_next);
	if (!wrong && a.read.committed_only)
		wrong = log_model_check_committed(&p->model, a.read.records, a.read.aborted, a.read.aborted_count);
	memory_leave(before);
	p->aborted_told += a.read.aborted_count;
	mem_free(a.read.aborted);
	if (!wrong && offset < max_offset && !a.read.records.size && !p->compacts)
		wrong = "a read gave nothing where there is something";
	if (!wrong && offset < max_offset && estimate <= 0 && !p->compacts)
		wrong = "the log estimates no bytes where there are some";
	log_life_report(p, wrong);
	p->world->history->read += (uint64_t)(*ret_next - offset);
	if (a.read.blob)
		blob_unref(a.read.blob);
	return !wrong && *ret_next > offset;
}

static void read_some_await(struct fiber *self, struct live_log *l)
{
	struct scheduler *s = scheduler_of(l->p->world);
	int64_t start = log_start_offset(l->log), synced = log_synced_offset(l->log), next;
	int64_t offset, bound;

	log_life_note_start(l);
	if (l->p->transacts && log_state(l->log) == OK) {
		check_stable(l);
		if (chance(s, 1, 2) && log_first_unstable(l->log) < synced)
			synced = log_first_unstable(l->log);
	}
	if (start >= synced)
		return;
	offset = choose(s, start, synced - 1);
	bound = chance(s, 1, 3) ? choose(s, offset + 1, synced) : synced;
	(void)read_await(self, l, offset, bound, (size_t)choose_skewed(s, 1, READ_MAX), &next);
}

/* Everything, as a consumer from the beginning does. */
static bool read_all_await(struct fiber *self, struct live_log *l)
{
	int64_t at = log_start_offset(l->log), end = log_synced_offset(l->log);

	while (at < end)
		if (!read_await(self, l, at, end, READ_MAX, &at))
			return false;
	return true;
}

/* --- cutting, flushing, moving the start ----------------------------------------------------------------------------------- */

/* Alone on the log; false when somebody is already, or the life ends. */
static bool exclusive_await(struct fiber *self, struct live_log *l)
{
	if (l->exclusive)
		return false;
	l->exclusive = true;
	while (l->users > 1)
		if (fiber_sleep_await(self, 500))
			return false;
	return true;
}

static void truncate_await(struct fiber *self, struct live_log *l)
{
	struct log_partition *p = l->p;
	struct memory_owner *before;
	const struct model_batch *b;
	const char *wrong;
	int64_t offset;
	enum err e;

	if (!exclusive_await(self, l))
		return;
	offset = choose(scheduler_of(p->world), p->model.acked, p->model.end);
	b = log_model_find(&p->model, offset);
	if (b && b->base_offset >= p->model.acked)
		offset = b->base_offset;
	else if (b)
		offset = b->base_offset + b->count;
	l->cut_at = offset;
	e = log_truncate_await(self, l->log, offset);
	l->cut_at = INT64_MAX;
	log_life_note(p, "truncate", "to %lld (%lld)", offset, e, 0);
	if (!e || offset < p->model.end) {
		before = memory_enter(NULL);
		wrong = log_model_cut(&p->model, offset, true);
		memory_leave(before);
		if (!e && (log_end_offset(l->log) != p->model.end || log_synced_offset(l->log) > p->model.end))
			wrong = "after a cut the log does not end there";
		l->synced = log_synced_offset(l->log);
		log_life_report(p, e ? NULL : wrong);
	}
	l->exclusive = false;
}

static void advance_start_await(struct fiber *self, struct live_log *l)
{
	struct log_partition *p = l->p;
	int64_t start = log_start_offset(l->log), to;
	enum err e;

	if (!exclusive_await(self, l))
		return;
	to = choose(scheduler_of(p->world), start, p->model.acked > start ? p->model.acked : start);
	/* A death in the middle, or an error, may leave it moved all the same. */
	if (to > p->model.start)
		p->model.start = to;
	e = log_advance_start_await(self, l->log, to);
	log_life_note(p, "start", "to %lld (%lld)", to, e, 0);
	/* It may be further: by an earlier call that failed, and told nobody. */
	if (!e && (log_start_offset(l->log) < to || (log_start_offset(l->log) > p->model.start && !p->purges)))
		log_life_report(p, "the log does not start where it was told to");
	l->exclusive = false;
}

static void flush_await(struct fiber *self, struct live_log *l)
{
	int64_t end = log_end_offset(l->log);
	enum err e = log_flush_await(self, l->log);

	log_life_note(l->p, "flush", "to %lld (%lld)", end, e, 0);
	if (!e && log_synced_offset(l->log) < end && log_end_offset(l->log) >= end)
		log_life_report(l->p, "a flush did not sync what was appended before it");
}

/* To the other folder, or not after all. What comes of it shows in what is read, and at the next opening. */
static void move(struct live_log *l)
{
	size_t folder = (size_t)choose(scheduler_of(l->p->world), 0, 1);
	enum err e = log_move(l->log, folder);

	log_life_note(l->p, "move", "to folder %lld (%lld)", (int64_t)folder, e, 0);
	if (e && !log_life_is_trouble(e))
		log_life_report(l->p, "a move was refused for a reason that there is not");
}

static void note_folder(struct live_log *l)
{
	if (l->p->folder == log_folder_index(l->log))
		return;
	l->p->folder = log_folder_index(l->log);
	sim_hit(l->p->world->sim, HIT_MOVED);
	log_life_note(l->p, "moved", "to folder %lld", (int64_t)l->p->folder, 0, 0);
}

static void find_timestamp_await(struct fiber *self, struct live_log *l)
{
	int64_t offset = -1, timestamp, synced = log_synced_offset(l->log), start = log_start_offset(l->log);
	int32_t epoch;
	enum err e;

	if (start >= synced)
		return;
	e = log_find_timestamp_await(self, l->log, 0, synced, &offset, &timestamp, &epoch);
	log_life_note(l->p, "find time 0", "%lld (%lld)", offset, e, 0);
	/* A move of the start that failed may be settled meanwhile. */
	if (!e && (offset < start || offset > log_start_offset(l->log)) && !l->exclusive && !l->p->purges &&
	    !l->p->compacts)
		log_life_report(l->p, "the first record by time is not the first record");
}

/* --- the life --------------------------------------------------------------------------------------------------------------- */

static void act_await(struct fiber *self, struct live_log *l)
{
	struct scheduler *s = scheduler_of(l->p->world);
	int64_t what = choose(s, 0, 99);

	if (l->p->transacts && chance(s, 1, 8))
		log_life_append_end(l);
	else if (l->p->transacts && chance(s, 1, 40))
		log_life_append_fenced(l);
	else if (what < 45)
		log_life_append_next(l);
	else if (what < 52)
		log_life_append_again(l);
	else if (what < 56)
		log_life_append_gap(l);
	else if (what < 85)
		read_some_await(self, l);
	else if (what < 88)
		flush_await(self, l);
	else if (what < 91)
		truncate_await(self, l);
	else if (what < 93 && s->now_us < KEEP_START_US) /* what rots in the end has to be there */
		advance_start_await(self, l);
	else if (what < 95)
		find_timestamp_await(self, l);
	else if (what < 96)
		(void)read_all_await(self, l);
	else if (what < 98 && l->p->world->two_folders)
		move(l);
	note_folder(l);
}

static void actor_fiber(struct fiber *self, void *argument)
{
	struct live_log *l = argument;
	struct log_world *w = l->p->world;

	while (!w->stop_requested && !w->sim->failed) {
		if (!l->exclusive) {
			l->users++;
			act_await(self, l);
			l->users--;
		}
		if (fiber_sleep_await(
			    self, choose_skewed(scheduler_of(w), 50, chance(scheduler_of(w), 1, 30) ? 400000 : 100000)))
			break;
	}
	l->life->actors--;
	event_signal(&l->life->over);
}

static void check_opened_await(struct fiber *self, struct live_log *l)
{
	struct log_partition *p = l->p;
	struct memory_owner *before;
	const char *wrong;

	log_life_note(p, "opened", "[%lld, %lld), synced %lld", log_start_offset(l->log), log_end_offset(l->log),
		      log_synced_offset(l->log));
	if (p->damaged) {
		if (log_end_offset(l->log) < p->damage_safe)
			log_life_report(p, "LOST: damage in what was safe was cut as if it were a torn tail");
		return;
	}
	before = memory_enter(NULL);
	wrong = log_model_recovered(&p->model, log_start_offset(l->log), log_end_offset(l->log));
	memory_leave(before);
	if (!wrong && log_synced_offset(l->log) != log_end_offset(l->log))
		wrong = "what recovery kept is not synced";
	log_life_report(p, wrong);
	l->synced = log_synced_offset(l->log);
	if (!wrong && read_all_await(self, l))
		/* It was readable: it must stay. */
		note_synced(l);
}

static void open_one_await(struct fiber *self, struct log_life *life, struct log_partition *p)
{
	static const struct fiber_options options = {.name = "actor"};
	struct log_world *w = life->world;
	struct live_log *l = mem_new(struct live_log);
	struct log_spec spec = {
		.topic = bytes_str("t"),
		.topic_id = w->topic_id,
		.partition = (int32_t)p->index,
		.config = {.segment_bytes = p->purges || p->compacts ? 4000 : w->segment_bytes,
			   .segment_ms = chance(scheduler_of(w), 1, 3) ? 2000 : INT64_MAX / 2000,
			   .segment_index_bytes = 1000,
			   .index_interval_bytes = 500,
			   .flush_messages = INT64_MAX,
			   .flush_ms = INT64_MAX,
			   .cleanup_delete = p->purges,
			   .cleanup_compact = p->compacts,
			   .retention_ms = -1,
			   .retention_bytes = p->purges ? 10000 : -1,
			   .file_delete_delay_ms = chance(scheduler_of(w), 1, 2) ? 300 : 0,
			   .delete_retention_ms = p->model.delete_retention_ms,
			   .min_cleanable_dirty_ratio = 0.05},
		.owner = &l->owner,
	};
	struct log_future future;
	enum err e;

	l->owner = (struct log_owner){.progressed = progressed, .cut = cut};
	l->p = p;
	l->life = life;
	l->cut_at = INT64_MAX;
	event_init(&l->progress);
	e = log_open_await(self, life->store, &spec, true, &l->log);
	if (e) {
		log_life_note(p, "not opened", "error %lld", e, 0, 0);
		p->offline = true;
		if (e == ERR_CORRUPT && !p->damaged)
			log_life_report(p, "the log says that it is damaged, and it is not");
		else if (!log_life_is_trouble(e))
			log_life_report(p, "the log does not open for a reason that there is not");
		mem_free(l);
		return;
	}
	life->logs[life->log_count++] = l;
	p->folder = log_folder_index(l->log);
	if (log_future(l->log, &future))
		sim_hit(w->sim, HIT_MOVE_GONE_ON);
	check_opened_await(self, l);
	for (unsigned i = 0; i < LOG_WORLD_ACTORS && !p->damaged; i++) {
		if (fiber_start(fiber_shard(self), &options, actor_fiber, l))
			life->actors++;
	}
}

struct open_argument {
	struct log_world *world;
	struct storage *storage;
	unsigned shard;
};

/* Often enough for many passes in a life; not from the very beginning. */
static void configure(struct log_life *life)
{
	struct store_settings settings = {
		.retention_check_interval_ms = choose(scheduler_of(life->world), 50, 1000),
		.initial_delay_ms = choose(scheduler_of(life->world), 0, 500),
		.cleaner_enabled = true,
		.cleaner_dedupe_bytes = 1 << 20,
		.cleaner_load_factor = 0.9,
		.cleaner_io_bytes_per_second = 1e300,
		.cleaner_backoff_ms = choose(scheduler_of(life->world), 100, 700),
		.scrub_interval_ms = choose(scheduler_of(life->world), 200, 3000),
		.scrub_bytes_per_second = 1e6,
	};

	store_configure(life->store, &settings);
}

static void open_body_await(struct fiber *there, void *argument)
{
	struct open_argument *o = argument;
	struct log_world *w = o->world;
	struct log_life *life = mem_new(struct log_life);

	life->world = w;
	life->storage = o->storage;
	event_init(&life->over);
	w->lives[o->shard] = life;
	life->store = store_new(o->storage, fiber_shard(there), folder_failed, life);
	configure(life);
	for (unsigned i = o->shard; i < w->partition_count; i += w->shard_count)
		open_one_await(there, life, &w->partitions[i]);
}

/* The scrub, or a read, called something bad; there is nothing bad unless a bit was flipped. */
static void check_no_damage(struct log_life *life)
{
	const struct store_figures *f = store_figures(life->store);

	for (unsigned i = 0; i < life->world->partition_count; i++)
		if (life->world->partitions[i].damaged)
			return;
	if (f->damages_found || f->side_damages_found)
		sim_fail(life->world->sim, "damage was told of where none was done: %llu of records, %llu beside them",
			 (unsigned long long)f->damages_found, (unsigned long long)f->side_damages_found);
}

static void close_body_await(struct fiber *there, void *argument)
{
	struct log_life *life = argument;
	enum err e;

	while (life->actors)
		(void)event_wait_await(there, &life->over, FIBER_NO_DEADLINE);
	check_no_damage(life);
	e = store_close_await(there, life->store);
	if (e && !log_life_is_trouble(e))
		sim_fail(life->world->sim, "a store does not close: %s", err_name(e));
	for (unsigned i = 0; i < life->log_count; i++)
		mem_free(life->logs[i]);
	mem_free(life);
}

static void life_fiber(struct fiber *self, void *argument)
{
	struct log_world *w = argument;
	struct storage_options o = {
		.folders = log_world_folders,
		.folder_count = w->two_folders ? 2 : 1,
		.node_id = 1,
		.max_open_files = w->max_open_files,
		.read_budget_bytes = 1 << 20,
		.flush_offset_checkpoint_interval_ms = 1000,
		.max_decompressed_bytes = 1 << 20,
		.journal_bytes = 128 << 10,
		.sync_together_from = 2,
	};
	struct runtime *rt = shard_runtime(fiber_shard(self));
	struct storage *storage = NULL;
	enum err e = storage_open_await(self, &o, &storage);

	w->open_error = e;
	if (e) {
		if (!log_life_is_trouble(e))
			sim_fail(w->sim, "the storage does not open: %s", err_name(e));
		runtime_stop(rt, 1);
		return;
	}
	for (unsigned i = 0; i < w->shard_count; i++) {
		struct open_argument a = {.world = w, .storage = storage, .shard = i};

		must(shard_call_await(self, runtime_shard(rt, i), "open", open_body_await, &a) == OK);
	}
	w->opened = true;
	while (!w->stop_requested)
		(void)fiber_sleep_await(self, 5000);
	for (unsigned i = 0; i < w->shard_count; i++)
		must(shard_call_await(self, runtime_shard(rt, i), "close", close_body_await, w->lives[i]) == OK);
	e = storage_close_await(self, storage);
	if (e && !log_life_is_trouble(e))
		sim_fail(w->sim, "the storage does not close: %s", err_name(e));
	runtime_stop(rt, e ? 2 : 0);
}

void log_life_start(struct shard *zero, void *argument)
{
	static const struct fiber_options options = {.name = "life"};

	must(fiber_start(zero, &options, life_fiber, argument));
}
