/*
 * housekeeping: what a shard does for its logs in the background at its own pace: retention by time and by size, the bound of the disk's
 * use, flush.ms, files that are due. One fiber a store; it sleeps until something is due, or a log has grown beyond retention.bytes: that
 * is not left to the interval. What goes is decided in retention.c and evict.c.
 */
#include "base/alloc.h"
#include "base/saturate.h"
#include "runtime/call.h"
#include "storage/evict.h"
#include "storage/retention.h"
#include "storage/state.h"

#define SKIPPED_AGAIN_US ((int64_t)100 * 1000)
#define NEVER INT64_MAX
#define DISK_CHECK_US ((int64_t)10 * 1000000)
#define FLUSH_CHECK_US ((int64_t)1000000)
#define LOOKS_A_SEGMENT 16

/* --- all logs, one after the other -------------------------------------------------------------------------------- */

/* The log that stands at `n` or behind it and is of use, pinned; NULL at the end. Its place in the list holds while it is pinned. */
static struct log *pin_from(struct store *s, struct list_node *n)
{
	for (; n != &s->logs.head; n = n->next) {
		struct log *l = container_of(n, struct log, node);

		if (log_is_taken(l))
			continue;
		log_pin(l);
		return l;
	}
	return NULL;
}

static struct log *pin_next(struct store *s, struct log *l)
{
	struct log *next = pin_from(s, l->node.next);

	log_unpin(l);
	return next;
}

static void for_each_log_await(struct fiber *self, struct store *s, void (*body_await)(struct fiber *, struct log *))
{
	struct log *l = pin_from(s, s->logs.head.next);

	while (l && !s->closing) {
		body_await(self, l);
		l = pin_next(s, l);
	}
	if (l)
		log_unpin(l);
}

/* --- files that are due ------------------------------------------------------------------------------------------- */

static void sweep_await(struct fiber *self, struct log *l)
{
	if (!list_empty(&l->doomed))
		log_sweep_doomed_await(self, l, shard_now_us(l->store->shard));
}

static void note_next_doomed(struct store *s)
{
	int64_t now_us = shard_now_us(s->shard);

	s->next_doomed_us = NEVER;
	list_for_each(&s->logs, n)
	{
		const struct log *l = container_of(n, struct log, node);

		if (l->state || l->deleted) /* nobody takes them away before the next start */
			continue;
		list_for_each(&l->doomed, d)
		{
			int64_t due_us = container_of(d, struct doomed, node)->due_us;

			/* What is due and still there could not be looked at now: the log is being cut or closed. */
			if (due_us < now_us + SKIPPED_AGAIN_US)
				due_us = now_us + SKIPPED_AGAIN_US;
			if (due_us < s->next_doomed_us)
				s->next_doomed_us = due_us;
		}
	}
}

void housekeeping_note(struct store *s, int64_t due_us)
{
	if (due_us >= s->next_doomed_us)
		return;
	s->next_doomed_us = due_us;
	event_signal(&s->housework);
}

/* --- retention ---------------------------------------------------------------------------------------------------- */

/* The file's own time stands in where no record has one. */
static enum err load_file_time_await(struct fiber *self, struct log *l, struct segment *s)
{
	char path[LOG_PATH_SIZE];
	struct file_info info;
	enum err e;

	if (s->max_timestamp >= 0 || s->modified_ms || !s->made)
		return OK;
	log_file_path(l, s->base_offset, SEGMENT_LOG, path);
	e = file_info_await(self, path, &info);
	if (!e)
		s->modified_ms = info.modified_ms;
	return e;
}

static enum err load_all_times_await(struct fiber *self, struct log *l)
{
	enum err e = OK;

	for (struct segment *s = l->segments[0]; s && !e; s = log_segment_after(l, s)) {
		e = log_load_times_await(self, l, s);
		if (!e)
			e = load_file_time_await(self, l, s);
		if (e && list_linked(&s->grave))
			e = OK; /* removed meanwhile */
	}
	return e;
}

/* As they are now; the caller frees. */
static struct retention_segment *view_of(const struct log *l)
{
	struct retention_segment *view = mem_zalloc(l->segment_count * sizeof(*view));

	for (uint32_t i = 0; i < l->segment_count; i++) {
		const struct segment *s = l->segments[i];
		int64_t timestamp_ms = s->max_timestamp;

		if (timestamp_ms < 0)
			timestamp_ms = s->modified_ms ? s->modified_ms : INT64_MAX;
		view[i] = (struct retention_segment){
			.base_offset = s->base_offset,
			.end_offset = i + 1 < l->segment_count ? l->segments[i + 1]->base_offset : l->end,
			.size = s->size,
			.timestamp_ms = s->times_known ? timestamp_ms : INT64_MAX,
		};
	}
	return view;
}

/*
 * How far the active segment may grow until the oldest one is too much: the next look by size. Where that is so already it could not go yet,
 * since it is not committed.
 */
static int64_t next_look_bytes(const struct log *l)
{
	const struct segment *active = log_active(l);
	int64_t at, least = active->size + l->config.segment_bytes / LOOKS_A_SEGMENT;
	uint32_t first = 0;

	while (first + 1 < l->segment_count && l->segments[first + 1]->base_offset <= l->start)
		first++; /* on its way out */
	if (first + 1 == l->segment_count)
		return INT64_MAX; /* after the roll */
	at = l->config.retention_bytes + l->segments[first]->size + active->size;
	for (uint32_t i = first; i < l->segment_count; i++)
		at -= l->segments[i]->size;
	return at > least ? at : least;
}

/* `rolls`: the active one may be ended as well. */
static void retain(struct log *l, bool rolls)
{
	struct retention_segment *view = view_of(l);
	size_t count = l->segment_count, going;
	struct retention_input in = retention_input_of(&l->config, view, count, l->acknowledged,
						       shard_wall_ms(l->store->shard));
	struct retention_plan plan = retention_decide(&in);

	going = plan.by_time + plan.by_size;
	if (plan.future && !l->future_told) {
		log_warn(log_logger(l),
			 "%s-%d: segment %020lld holds a timestamp in the future: retention.ms counts from then on",
			 l->topic, (int)l->partition, (long long)view[plan.by_time].base_offset);
		l->future_told = true;
	}
	if (plan.by_time)
		l->over_below = view[plan.by_time - 1].end_offset;
	if (plan.by_size)
		l->surplus_below = view[going - 1].end_offset;
	if (plan.roll && rolls)
		log_roll(l);
	else if (plan.roll)
		going--;
	if (going)
		log_move_start(l, view[going - 1].end_offset);
	l->look_at_bytes = next_look_bytes(l);
	mem_free(view);
}

/* With write.caching: what is committed may go, but no start is ahead of what is synced, so that what is to go is synced first. */
static enum err sync_ahead_await(struct fiber *self, struct log *l)
{
	struct retention_segment *view;
	struct retention_input in;
	struct retention_plan plan;
	size_t going;
	bool ahead;

	if (!l->config.write_caching || l->synced >= log_committed(l))
		return OK;
	view = view_of(l);
	in = retention_input_of(&l->config, view, l->segment_count, log_committed(l), shard_wall_ms(l->store->shard));
	plan = retention_decide(&in);
	going = plan.by_time + plan.by_size;
	ahead = going && view[going - 1].end_offset > l->synced;
	mem_free(view);
	return ahead ? log_note_synced_files(l, log_sync_files_await(self, l)) : OK;
}

static void look_at_await(struct fiber *self, struct log *l, bool rolls)
{
	enum err e = l->config.cleanup_delete ? load_all_times_await(self, l) : OK;

	if (!e && !l->closing && !l->blocked && !l->state)
		e = sync_ahead_await(self, l);
	if (e && e != ERR_NOT_FOUND)
		log_warn(log_logger(l), "%s-%d: retention cannot look at it: %s", l->topic, (int)l->partition,
			 err_text(e));
	else if (!l->closing && !l->blocked && !l->state)
		retain(l, rolls);
}

static void retain_await(struct fiber *self, struct log *l)
{
	look_at_await(self, l, true);
}

/* Also what could not go before, since it was not synced. */
static void settle_await(struct fiber *self, struct log *l)
{
	enum err e = OK;

	if (l->start > l->start_durable || (l->segment_count > 1 && l->segments[1]->base_offset <= l->start))
		e = log_settle_start_await(self, l);
	if (e && e != ERR_CANCELLED && e != ERR_OFFLINE)
		log_warn(log_logger(l), "%s-%d: segments that are due cannot go: %s", l->topic, (int)l->partition,
			 err_text(e));
}

static void keep_await(struct fiber *self, struct log *l)
{
	if (l->start > l->start_kept)
		(void)!log_keep_producers_await(self, l, l->start); /* tried again, and told, when it is settled */
}

/* All starts first, so that one write of the bounds does for all. */
static void look_await(struct fiber *self, struct store *s)
{
	for_each_log_await(self, s, retain_await);
	for_each_log_await(self, s, keep_await);
	for_each_log_await(self, s, settle_await);
}

void housekeeping_note_size(struct log *l)
{
	struct store *s = l->store;

	if (!l->config.cleanup_delete || l->config.retention_bytes < 0 || s->settings.retention_check_interval_ms <= 0)
		return;
	l->look_at_bytes = INT64_MAX; /* until it was looked at */
	if (list_linked(&l->look_node))
		return;
	list_push_back(&s->looks, &l->look_node);
	event_signal(&s->housework);
}

/* What is synced only in the journal has to be so in the segments: the journal may hold more than retention.bytes. */
static enum err sync_what_goes_await(struct fiber *self, struct log *l)
{
	struct log *one[1] = {l};

	if (l->segment_count < 2 || l->segments[1]->base_offset > l->start ||
	    l->file_synced >= l->segments[1]->base_offset)
		return OK;
	return log_note_synced_files(l, sync_many_await(self, l->folder, one, 1));
}

/* Of the logs that have grown beyond retention.bytes. */
static void look_at_grown_await(struct fiber *self, struct store *s)
{
	struct list_node *n;

	while (!s->closing && (n = list_pop_front(&s->looks)) != NULL) {
		struct log *l = container_of(n, struct log, look_node);

		if (log_is_taken(l))
			continue;
		log_pin(l);
		look_at_await(self, l, false);
		if (!l->closing && !l->blocked && !l->state && sync_what_goes_await(self, l) == OK)
			settle_await(self, l);
		log_unpin(l);
	}
}

enum err log_explain_await(struct fiber *self, struct log *l, struct segment_info **ret_infos, size_t *ret_count)
{
	struct retention_segment *view;
	struct retention_input in;
	struct segment_info *infos;
	enum err e;

	log_wait_held_await(self, l);
	if (l->state || l->closing)
		return l->state ? l->state : ERR_CANCELLED;
	log_pin(l);
	e = load_all_times_await(self, l);
	if (e) {
		log_unpin(l);
		return e;
	}
	view = view_of(l);
	infos = mem_zalloc(l->segment_count * sizeof(*infos));
	for (uint32_t i = 0; i < l->segment_count; i++)
		infos[i] = (struct segment_info){
			.base_offset = view[i].base_offset,
			.end_offset = view[i].end_offset,
			.size = view[i].size,
			.largest_timestamp_ms = l->segments[i]->max_timestamp,
		};
	in = retention_input_of(&l->config, view, l->segment_count, log_committed(l), shard_wall_ms(l->store->shard));
	retention_explain(&in, l->config.cleanup_compact, infos);
	mem_free(view);
	*ret_infos = infos;
	*ret_count = l->segment_count;
	log_unpin(l);
	return OK;
}

/* --- the bound of the disk's use ---------------------------------------------------------------------------------- */

/* What a shard tells of its segments, and how many bytes of them are to go then; the fiber of shard 0 asks one shard after the other. */
struct survey {
	struct storage *storage;
	unsigned shard;
	int64_t total;
	struct evict_candidate *candidates;
	size_t count;
	size_t capacity;
	int64_t going;
};

static void load_times_await(struct fiber *self, struct log *l)
{
	(void)!load_all_times_await(self, l); /* what has no time is the youngest */
}

static void add_candidates(struct survey *v, struct log *l)
{
	struct retention_segment *view = view_of(l);
	int64_t latest = INT64_MIN;

	v->total += log_size_bytes(l);
	for (uint32_t i = 0; i + 1 < l->segment_count && view[i].end_offset <= l->acknowledged; i++) {
		if (view[i].timestamp_ms > latest)
			latest = view[i].timestamp_ms;
		v->candidates = mem_grow(v->candidates, &v->capacity, v->count + 1, sizeof(*v->candidates));
		v->candidates[v->count] = (struct evict_candidate){
			.timestamp_ms = latest,
			.size = view[i].size,
			.end_offset = view[i].end_offset,
			.log = l,
			.compacted = l->config.cleanup_compact && !l->config.cleanup_delete,
			.shard = v->shard,
			.order = v->count,
		};
		v->count++;
	}
	mem_free(view);
}

/* Never suspends: the logs that the candidates name are there until the caller does. */
static void collect(struct store *s, struct survey *v)
{
	v->total = 0;
	v->count = 0;
	list_for_each(&s->logs, n)
	{
		struct log *l = container_of(n, struct log, node);

		if (!log_is_taken(l))
			add_candidates(v, l);
	}
}

static void survey_main(struct fiber *there, void *argument)
{
	struct survey *v = argument;
	struct store *s = v->storage->stores[v->shard];

	if (!s || s->closing)
		return;
	store_enter(s);
	for_each_log_await(there, s, load_times_await);
	if (!s->closing)
		collect(s, v);
	store_leave(s);
}

/* Looks again, since logs may have come and grown, or have gone: then so much less is to go. */
static void evict_main(struct fiber *there, void *argument)
{
	struct survey *v = argument;
	struct store *s = v->storage->stores[v->shard];
	int64_t left, most;
	size_t going;

	if (!s || s->closing)
		return;
	left = v->total - v->going;
	most = v->total;
	collect(s, v);
	going = evict_decide(v->candidates, v->count, v->total < most ? v->total : most, left);
	for (size_t i = 0; i < going; i++) {
		struct log *l = v->candidates[i].log;

		if (v->candidates[i].end_offset > l->evicted_below)
			l->evicted_below = v->candidates[i].end_offset;
		log_move_start(l, v->candidates[i].end_offset);
	}
	store_enter(s);
	for_each_log_await(there, s, keep_await);
	for_each_log_await(there, s, settle_await);
	store_leave(s);
}

static void call_all_await(struct fiber *self, struct store *s, struct survey *surveys,
			   void (*body)(struct fiber *there, void *argument))
{
	struct runtime *rt = s->storage->runtime;

	for (unsigned i = 0; i < runtime_shard_count(rt) && !s->closing; i++)
		(void)!shard_call_await(self, runtime_shard(rt, i), "disk usage", body, &surveys[i]);
}

/* Every shard's candidates in one order: how many bytes of each shard's are among those that go. */
static size_t share_out(struct store *s, struct survey *surveys, unsigned shards)
{
	struct evict_candidate *all = NULL;
	size_t count = 0, capacity = 0, going;
	int64_t total = 0;

	for (unsigned i = 0; i < shards; i++) {
		total += surveys[i].total;
		for (size_t k = 0; k < surveys[i].count; k++) {
			all = mem_grow(all, &capacity, count + 1, sizeof(*all));
			all[count++] = surveys[i].candidates[k];
		}
	}
	going = evict_decide(all, count, total, s->settings.disk_usage_max_bytes);
	for (size_t i = 0; i < going; i++)
		surveys[all[i].shard].going += all[i].size;
	mem_free(all);
	return going;
}

static void bound_disk_await(struct fiber *self, struct store *s)
{
	unsigned shards = runtime_shard_count(s->storage->runtime);
	struct survey *surveys = mem_zalloc(shards * sizeof(*surveys));

	for (unsigned i = 0; i < shards; i++)
		surveys[i] = (struct survey){.storage = s->storage, .shard = i};
	call_all_await(self, s, surveys, survey_main);
	if (!s->closing && share_out(s, surveys, shards))
		call_all_await(self, s, surveys, evict_main);
	for (unsigned i = 0; i < shards; i++)
		mem_free(surveys[i].candidates);
	mem_free(surveys);
}

/* --- flush.ms ----------------------------------------------------------------------------------------------------- */

/* Only where appends do not wait for a sync anyhow. */
static bool flush_is_timed(const struct log *l)
{
	return l->config.write_caching && l->config.flush_ms >= 0 && l->config.flush_ms < INT64_MAX;
}

static void flush_due(struct store *s)
{
	int64_t now_ms = shard_now_ms(s->shard);
	bool any = false;

	list_for_each(&s->logs, n)
	{
		struct log *l = container_of(n, struct log, node);

		if (!flush_is_timed(l) || l->state)
			continue;
		any = true;
		if (l->synced == l->end || now_ms - l->last_flush_ms < l->config.flush_ms)
			continue;
		l->flush_wanted = true;
		commit_mark(l);
	}
	s->next_flush_us = any ? shard_now_us(s->shard) + FLUSH_CHECK_US : NEVER;
}

void housekeeping_note_config(struct log *l)
{
	if (l->config.cleanup_compact)
		event_signal(&l->store->cleaning);
	l->look_at_bytes = 0;
	if (!flush_is_timed(l) || l->store->next_flush_us != NEVER)
		return;
	l->store->next_flush_us = shard_now_us(l->store->shard) + FLUSH_CHECK_US;
	event_signal(&l->store->housework);
}

/* --- producers that are not heard of any more ---------------------------------------------------------------------- */

static void expire_producers(struct store *s)
{
	int64_t ms = s->settings.producer_id_expiration_ms;
	int64_t rounded = ms / 1000 > 0 ? ms / 1000 : 1;
	uint32_t seconds = rounded < UINT32_MAX ? (uint32_t)rounded : UINT32_MAX;

	list_for_each(&s->logs, n)
	{
		struct log *l = container_of(n, struct log, node);

		if (!log_is_taken(l) && (l->producers.count > 0 || l->producers.verifying_count > 0) &&
		    producer_state_expire(&l->producers, log_now_s(l), seconds))
			l->side_files_dirty = true;
	}
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static int64_t earliest(const struct store *s)
{
	int64_t at = s->next_doomed_us < s->next_retention_us ? s->next_doomed_us : s->next_retention_us;

	if (s->next_disk_us < at)
		at = s->next_disk_us;
	if (s->next_expiry_us < at)
		at = s->next_expiry_us;
	return s->next_flush_us < at ? s->next_flush_us : at;
}

static void work_await(struct fiber *self, struct store *s)
{
	int64_t now_us = shard_now_us(s->shard);

	if (now_us >= s->next_flush_us)
		flush_due(s);
	look_at_grown_await(self, s);
	if (now_us >= s->next_retention_us) {
		s->next_retention_us = us_after_ms(now_us, s->settings.retention_check_interval_ms);
		look_await(self, s);
	}
	if (now_us >= s->next_disk_us) {
		s->next_disk_us = now_us + DISK_CHECK_US;
		bound_disk_await(self, s);
	}
	if (now_us >= s->next_expiry_us) {
		expire_producers(s);
		s->next_expiry_us = us_after_ms(now_us, s->settings.producer_id_check_interval_ms);
	}
	if (now_us >= s->next_doomed_us) {
		for_each_log_await(self, s, sweep_await);
		note_next_doomed(s);
	}
}

static void housekeeping_main(struct fiber *self, void *argument)
{
	struct store *s = argument;

	while (!s->closing) {
		work_await(self, s);
		if (!s->closing && list_empty(&s->looks) && shard_now_us(s->shard) < earliest(s) &&
		    event_wait_await(self, &s->housework, earliest(s)) == ERR_CANCELLED)
			fiber_yield_await(self);
	}
	s->housekeeping_runs = false;
	event_signal(&s->housework);
}

void store_configure(struct store *s, const struct store_settings *settings)
{
	int64_t now_us = shard_now_us(s->shard);
	bool began = s->settings.retention_check_interval_ms > 0;

	s->settings = *settings;
	if (settings->retention_check_interval_ms <= 0)
		s->next_retention_us = NEVER;
	else if (!began)
		s->next_retention_us = us_after_ms(now_us, settings->initial_delay_ms);
	else if (s->next_retention_us > us_after_ms(now_us, settings->retention_check_interval_ms))
		s->next_retention_us = us_after_ms(now_us, settings->retention_check_interval_ms);
	/* One shard looks for all. */
	if (settings->disk_usage_max_bytes <= 0 || shard_index(s->shard) != 0)
		s->next_disk_us = NEVER;
	else if (s->next_disk_us == NEVER)
		s->next_disk_us = us_after_ms(now_us, settings->initial_delay_ms);
	s->next_expiry_us = NEVER;
	if (settings->producer_id_expiration_ms > 0 && settings->producer_id_check_interval_ms > 0)
		s->next_expiry_us = us_after_ms(now_us, settings->producer_id_check_interval_ms);
	event_signal(&s->housework);
	event_signal(&s->cleaning);
	scrub_configure(s);
}

void housekeeping_start(struct store *s)
{
	static const struct fiber_options options = {.name = "housekeeping"};
	struct fiber *fiber;

	event_init(&s->housework);
	list_init(&s->looks);
	s->next_doomed_us = s->next_retention_us = s->next_flush_us = s->next_disk_us = s->next_expiry_us = NEVER;
	s->housekeeping_runs = true;
	fiber = fiber_start(s->shard, &options, housekeeping_main, s);
	must(fiber != NULL); /* among the first fibers of a shard */
}

void housekeeping_stop_await(struct fiber *self, struct store *s)
{
	must(s->closing);
	event_signal(&s->housework);
	while (s->housekeeping_runs)
		if (event_wait_await(self, &s->housework, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
}
