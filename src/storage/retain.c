/*
 * retain: retention by time and by size, of all logs in their turn or of one that has grown; and why a segment is still there. What goes is decided
 * in retention.c.
 */
#include "base/alloc.h"
#include "storage/housekeeping.h"

#define LOOKS_A_SEGMENT 16

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

enum err housekeeping_load_times_await(struct fiber *self, struct log *l)
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

struct retention_segment *housekeeping_view(const struct log *l)
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
	struct retention_segment *view = housekeeping_view(l);
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
	view = housekeeping_view(l);
	in = retention_input_of(&l->config, view, l->segment_count, log_committed(l), shard_wall_ms(l->store->shard));
	plan = retention_decide(&in);
	going = plan.by_time + plan.by_size;
	ahead = going && view[going - 1].end_offset > l->synced;
	mem_free(view);
	return ahead ? log_note_synced_files(l, log_sync_files_await(self, l)) : OK;
}

static void look_at_await(struct fiber *self, struct log *l, bool rolls)
{
	enum err e = l->config.cleanup_delete ? housekeeping_load_times_await(self, l) : OK;

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
void housekeeping_settle_start_await(struct fiber *self, struct log *l)
{
	enum err e = OK;

	if (l->start > l->start_durable || (l->segment_count > 1 && l->segments[1]->base_offset <= l->start))
		e = log_settle_start_await(self, l);
	if (e && e != ERR_CANCELLED && e != ERR_OFFLINE)
		log_warn(log_logger(l), "%s-%d: segments that are due cannot go: %s", l->topic, (int)l->partition,
			 err_text(e));
}

void housekeeping_keep_producers_await(struct fiber *self, struct log *l)
{
	if (l->start > l->start_kept)
		(void)!log_keep_producers_await(self, l, l->start); /* tried again, and told, when it is settled */
}

/* All starts first, so that one write of the bounds does for all. */
void housekeeping_retain_await(struct fiber *self, struct store *s)
{
	housekeeping_each_log_await(self, s, retain_await);
	housekeeping_each_log_await(self, s, housekeeping_keep_producers_await);
	housekeeping_each_log_await(self, s, housekeeping_settle_start_await);
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
void housekeeping_retain_grown_await(struct fiber *self, struct store *s)
{
	struct list_node *n;

	while (!s->closing && (n = list_pop_front(&s->looks)) != NULL) {
		struct log *l = container_of(n, struct log, look_node);

		if (log_is_taken(l))
			continue;
		log_pin(l);
		look_at_await(self, l, false);
		if (!l->closing && !l->blocked && !l->state && sync_what_goes_await(self, l) == OK)
			housekeeping_settle_start_await(self, l);
		log_unpin(l);
	}
}

static void tell_damages(const struct segment *s, struct segment_info *to)
{
	for (size_t i = 0; i < s->damages.count; i++) {
		const struct damage *d = &s->damages.entries[i];
		struct segment_damage *last;

		if (to->damage_count == SEGMENT_DAMAGES_TOLD) {
			last = &to->damages[SEGMENT_DAMAGES_TOLD - 1];
			last->next_offset = d->next_offset;
			last->bytes += d->end - d->position;
			continue;
		}
		to->damages[to->damage_count++] = (struct segment_damage){d->offset, d->next_offset,
									  d->end - d->position};
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
	e = housekeeping_load_times_await(self, l);
	if (e && e != ERR_CORRUPT) { /* what is damaged has no time, and is told */
		log_unpin(l);
		return e;
	}
	view = housekeeping_view(l);
	infos = mem_zalloc(l->segment_count * sizeof(*infos));
	for (uint32_t i = 0; i < l->segment_count; i++) {
		infos[i] = (struct segment_info){
			.base_offset = view[i].base_offset,
			.end_offset = view[i].end_offset,
			.size = view[i].size,
			.largest_timestamp_ms = l->segments[i]->max_timestamp,
		};
		tell_damages(l->segments[i], &infos[i]);
	}
	in = retention_input_of(&l->config, view, l->segment_count, log_committed(l), shard_wall_ms(l->store->shard));
	retention_explain(&in, l->config.cleanup_compact, infos);
	mem_free(view);
	*ret_infos = infos;
	*ret_count = l->segment_count;
	log_unpin(l);
	return OK;
}
