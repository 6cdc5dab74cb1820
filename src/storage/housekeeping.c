/*
 * housekeeping: what a shard does for its logs in the background at its own pace: files that are due, flush.ms, producers that are not heard of,
 * and, in their own sources, retention (retain.c) and the bound of the disk's use (disk_bound.c). One fiber a store; it sleeps until something is due,
 * or a log has grown beyond retention.bytes: that is not left to the interval.
 */
#include "storage/housekeeping.h"

#include "base/saturate.h"

#define SKIPPED_AGAIN_US ((int64_t)100 * 1000)
#define NEVER INT64_MAX
#define DISK_CHECK_US ((int64_t)10 * 1000000)
#define FLUSH_CHECK_US ((int64_t)1000000)

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

void housekeeping_each_log_await(struct fiber *self, struct store *s, void (*body_await)(struct fiber *, struct log *))
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
	housekeeping_retain_grown_await(self, s);
	if (now_us >= s->next_retention_us) {
		s->next_retention_us = us_after_ms(now_us, s->settings.retention_check_interval_ms);
		housekeeping_retain_await(self, s);
	}
	if (now_us >= s->next_disk_us) {
		s->next_disk_us = now_us + DISK_CHECK_US;
		housekeeping_bound_disk_await(self, s);
	}
	if (now_us >= s->next_expiry_us) {
		expire_producers(s);
		s->next_expiry_us = us_after_ms(now_us, s->settings.producer_id_check_interval_ms);
	}
	if (now_us >= s->next_doomed_us) {
		housekeeping_each_log_await(self, s, sweep_await);
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
