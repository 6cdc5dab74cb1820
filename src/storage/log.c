/* log: see log.h. What needs no waiting: the accessors, the append, the cut. Files are written by commit.c. */
#include "storage/log.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/mutant.h"
#include "storage/state.h"

/* What is told never goes back, so it is not told before it is on disk; until then the records are there too. */
int64_t log_start_offset(const struct log *l)
{
	return l->start_durable;
}

int64_t log_end_offset(const struct log *l)
{
	return l->end;
}

int64_t log_written_offset(const struct log *l)
{
	return l->written;
}

int64_t log_synced_offset(const struct log *l)
{
	return l->synced;
}

int64_t log_first_unstable(const struct log *l)
{
	int64_t first = open_txns_first_unstable(&l->producers.txns);

	if (MUTANT(STABLE_OFF_BY_ONE) && first < TXN_NONE)
		first++;
	return first < l->start_durable ? l->start_durable : first;
}

int64_t log_size_bytes(const struct log *l)
{
	int64_t size = 0;

	for (uint32_t i = 0; i < l->segment_count; i++)
		size += l->segments[i]->size;
	return size;
}

enum err log_state(const struct log *l)
{
	return l->state;
}

void log_configure(struct log *l, const struct log_config *config)
{
	l->config = *config;
	housekeeping_note_config(l);
}

void log_set_owner(struct log *l, struct log_owner *owner)
{
	l->owner = owner;
}

size_t log_producer_count(const struct log *l)
{
	return l->producers.count;
}

void log_note_acknowledged(struct log *l, int64_t offset)
{
	if (offset > l->written)
		offset = l->written;
	if (offset > l->committed) {
		l->committed = offset;
		open_txns_committed(&l->producers.txns, offset);
		if (list_linked(&l->rolled_node) && !l->folder->tick_armed)
			event_signal(&l->folder->chores); /* it syncs what has rolled */
	}
	log_note_synced(l);
}

void log_note_synced(struct log *l)
{
	int64_t offset = l->committed < l->synced ? l->committed : l->synced;

	if (offset <= l->acknowledged)
		return;
	l->acknowledged = offset;
	if (!list_linked(&l->noted_node)) {
		list_push_back(&l->folder->noted, &l->noted_node);
		if (!l->folder->tick_armed)
			event_signal(&l->folder->chores);
	}
}

void log_note_files_synced(struct log *l, int64_t offset)
{
	if (l->file_synced < offset)
		l->file_synced = offset;
	if (!l->config.write_caching || l->state || l->synced >= l->file_synced)
		return;
	l->synced = l->file_synced;
	l->last_flush_ms = shard_now_ms(l->store->shard);
	log_note_synced(l);
}

/* --- segments ----------------------------------------------------------------------------------------------------- */

uint32_t log_segment_at(const struct log *l, int64_t offset)
{
	uint32_t low = 0, high = l->segment_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (l->segments[middle]->base_offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : 0;
}

struct segment *log_segment_after(const struct log *l, const struct segment *s)
{
	uint32_t at = log_segment_at(l, s->base_offset);

	if (s->replaced)
		return l->segments[at]; /* what was made of it, and perhaps of the next ones */
	if (l->segments[at]->base_offset > s->base_offset)
		return l->segments[at]; /* it was the first one, and is gone */
	return at + 1 < l->segment_count ? l->segments[at + 1] : NULL;
}

struct segment *log_add_segment(struct log *l, int64_t base_offset)
{
	if (l->segment_count == l->segment_capacity) {
		l->segment_capacity = l->segment_capacity ? l->segment_capacity * 2 : 1;
		l->segments = mem_realloc(l->segments, l->segment_capacity * sizeof(struct segment *));
	}
	l->segments[l->segment_count] = segment_new(base_offset, shard_now_ms(l->store->shard));
	return l->segments[l->segment_count++];
}

void log_note_batch(struct log *l, int64_t base_offset, int64_t position)
{
	l->recent[l->recent_next] = (struct recent_batch){base_offset, position};
	l->recent_next = (uint8_t)((l->recent_next + 1) % RECENT_BATCHES);
	if (l->recent_count < RECENT_BATCHES)
		l->recent_count++;
}

void log_forget_batches(struct log *l, int64_t offset)
{
	while (l->recent_count > 0) {
		uint8_t last = (uint8_t)((l->recent_next + RECENT_BATCHES - 1) % RECENT_BATCHES);

		if (l->recent[last].base_offset < offset)
			break;
		l->recent_next = last;
		l->recent_count--;
	}
}

void log_folder_path(const struct log *l, char ret_path[static LOG_PATH_SIZE])
{
	snprintf(ret_path, LOG_PATH_SIZE, "%s/%s-%d", l->folder->of->path, l->topic, (int)l->partition);
}

void log_file_path(const struct log *l, int64_t base_offset, enum segment_file file,
		   char ret_path[static LOG_PATH_SIZE])
{
	char name[LOG_NAME_SIZE];

	segment_name_format(name, base_offset, file);
	snprintf(ret_path, LOG_PATH_SIZE, "%s/%s-%d/%s", l->folder->of->path, l->topic, (int)l->partition, name);
}

void log_pin(struct log *l)
{
	l->pins++;
}

void log_unpin(struct log *l)
{
	must(l->pins > 0);
	if (--l->pins == 0) {
		log_bury(l);
		event_signal(&l->unpinned);
	}
}

void log_bury(struct log *l)
{
	struct list_node *n;

	if (l->pins > 0 || l->rounds)
		return;
	while ((n = list_pop_front(&l->graveyard)) != NULL)
		segment_free(container_of(n, struct segment, grave), &l->store->files);
}

void log_wait_alone_await(struct fiber *self, struct log *l)
{
	while (l->pins > 0 || l->rounds || !list_empty(&l->reads)) {
		if (event_wait_await(self, &l->unpinned, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self); /* the memory is theirs: who is cancelled waits as well */
	}
}

/* --- append ------------------------------------------------------------------------------------------------------- */

/* By segment.ms; a compacted log rolls early enough for what is written to be compacted in its time. */
static bool time_is_over(const struct log *l, struct segment *s, int64_t waited_ms)
{
	const struct log_config *c = &l->config;
	int64_t ms = c->segment_ms, jitter_ms;

	if (c->cleanup_compact && c->max_compaction_lag_ms > 0 && c->max_compaction_lag_ms < ms)
		ms = c->max_compaction_lag_ms;
	jitter_ms = c->segment_jitter_ms < ms ? c->segment_jitter_ms : ms;
	if (s->jitter_ms < 0 && jitter_ms > 0)
		s->jitter_ms = (int64_t)prng_below(shard_random(l->store->shard), (uint64_t)jitter_ms);
	if (s->jitter_ms > 0 && s->jitter_ms < jitter_ms)
		ms -= s->jitter_ms;
	return ms > 0 && waited_ms > ms;
}

static bool index_is_full(const struct log *l, const struct segment *s)
{
	size_t bytes = (size_t)l->config.segment_index_bytes;

	return bytes > 0 && (s->offsets.count >= bytes / OFFSET_INDEX_ENTRY_SIZE ||
			     s->times.count + 1 >= bytes / TIME_INDEX_ENTRY_SIZE);
}

/* Whether the batch has to begin a new segment. */
static bool must_roll(const struct log *l, const struct batch_header *h, size_t size)
{
	struct segment *s = log_active(l);
	int64_t now_ms = shard_now_ms(l->store->shard);
	int64_t waited_ms;

	if (s->size == 0)
		return l->end + h->last_offset_delta - s->base_offset > INT32_MAX;
	if (s->size + (int64_t)size > l->config.segment_bytes || shard_fault(l->store->shard, FAULT_SEGMENT_ROLL))
		return true;
	if (l->end + h->last_offset_delta - s->base_offset > INT32_MAX || index_is_full(l, s))
		return true;
	waited_ms = s->first_timestamp >= 0 && h->max_timestamp >= 0 ? h->max_timestamp - s->first_timestamp
								     : now_ms - s->created_ms;
	return time_is_over(l, s, waited_ms);
}

/* The active segment ends here: a snapshot of the producers as they are at this offset goes with the new one. */
void log_roll(struct log *l)
{
	struct segment *s = log_active(l);

	segment_finish_times(s);
	s = log_add_segment(l, l->end);
	s->snapshot = mem_new(struct buf);
	buf_init(s->snapshot, SMALL_FILE_MAX);
	producer_state_write(&l->producers, s->snapshot);
	l->recent_count = 0;
	l->side_files_dirty = true;
	if (!list_linked(&l->rolled_node))
		list_push_back(&l->folder->rolled, &l->rolled_node);
}

static enum err may_append(const struct log *l, const struct log_append *a)
{
	if (l->state)
		return l->state;
	if (store_is_read_only(l->store))
		return ERR_POLICY_VIOLATION;
	if (l->blocked)
		return ERR_OFFLINE;
	if (l->folder->no_space)
		return ERR_NO_SPACE;
	if (a->size > (size_t)l->config.segment_bytes)
		return ERR_RECORD_LIST_TOO_LARGE;
	if (l->end > INT64_MAX - INT32_MAX - 1)
		return ERR_RECORD_LIST_TOO_LARGE;
	return OK;
}

const struct end_marker *log_marker_of(const struct batch_header *h, struct bytes whole, struct end_marker *marker)
{
	return batch_is_control(h) && h->producer_id >= 0 && end_marker_of(whole, marker) == OK ? marker : NULL;
}

static enum err check_producer(const struct log *l, struct log_append *a, const struct batch_header *h,
			       const struct end_marker *marker)
{
	const struct producer_append p = {
		.origin = a->origin,
		.marker = marker,
		.transaction_version = a->transaction_version,
		.verified_only = a->verified_only,
		.guard = a->guard,
	};
	struct producer_duplicate original;
	enum err e = producer_state_check(&l->producers, h, &p, &original);

	if (e == ERR_DUPLICATE_SEQUENCE_NUMBER) {
		a->base_offset = original.base_offset;
		a->last_offset = original.last_offset;
		a->log_append_time_ms = original.timestamp;
	}
	return e;
}

enum err log_check_producer(const struct log *l, const struct log_append *a, int64_t producer_id,
			    int16_t producer_epoch)
{
	const struct batch_header h = {
		.attributes = BATCH_TRANSACTIONAL, .producer_id = producer_id, .producer_epoch = producer_epoch};
	struct log_append asked = *a;

	return check_producer(l, &asked, &h, NULL);
}

uint64_t log_verify(struct log *l, const struct batch_header *h, bool begins_at_zero)
{
	return producer_state_verify(&l->producers, h, begins_at_zero, log_now_s(l));
}

void log_note_ended(struct aborted_index *x, const struct batch_header *h, const struct txn_ended *ended)
{
	struct aborted_txn t = {h->producer_id, ended->first_offset, h->base_offset, ended->last_stable_offset};

	if (ended->any && ended->aborted)
		aborted_index_append(x, &t);
}

/* A client's batch takes the next offsets; a copied one keeps its own, which must not be below the end. */
static enum err place_batch(struct log *l, struct log_append *a, struct batch_header *h)
{
	bool copied = a->origin == APPEND_REPLICA;
	int64_t base = copied ? h->base_offset : l->end;
	enum err e;

	if (base < l->end)
		return ERR_OFFSET_OUT_OF_RANGE;
	if (a->leader_epoch >= 0 && a->leader_epoch != log_latest_epoch(l)) {
		e = epoch_cache_assign(&l->epochs, a->leader_epoch, base);
		if (e)
			return e;
		l->epochs_dirty = true;
		l->side_files_dirty = true;
	}
	h->base_offset = base;
	a->base_offset = base;
	a->last_offset = base + h->last_offset_delta;
	a->log_append_time_ms = -1;
	batch_set_base_offset(a->batch, base);
	if (!copied || a->leader_epoch >= 0)
		batch_set_leader_epoch(a->batch, a->leader_epoch);
	if (a->log_append_time) {
		a->log_append_time_ms = shard_wall_ms(l->store->shard);
		batch_set_log_append_time(a->batch, a->size, a->log_append_time_ms);
		h->max_timestamp = a->log_append_time_ms;
	}
	return OK;
}

static void count_append(struct log *l, const struct log_append *a)
{
	struct log_figures *all = &l->store->figures.logs;
	uint64_t records = (uint64_t)(a->last_offset - a->base_offset + 1);

	l->figures.appended_records += records;
	l->figures.appended_bytes += a->size;
	all->appended_records += records;
	all->appended_bytes += a->size;
}

enum err log_append_batch(struct log *l, struct log_append *a)
{
	const struct end_marker *marker;
	struct end_marker of_marker;
	struct txn_ended ended;
	struct batch_header h;
	struct segment *s;
	bool rolls;
	enum err e = may_append(l, a);

	if (e)
		return e;
	/* The bytes as they are now: facts.header is how they came, before a change. */
	e = batch_header_read(bytes_of(a->batch, a->size), &h);
	if (e)
		return e;
	must(batch_size(&h) == a->size);
	marker = log_marker_of(&h, bytes_of(a->batch, a->size), &of_marker);
	e = check_producer(l, a, &h, marker);
	if (e)
		return e;
	e = place_batch(l, a, &h);
	if (e)
		return e;
	rolls = must_roll(l, &h, a->size);
	if (rolls)
		log_roll(l);
	s = log_active(l);
	a->position = s->size;
	ended = producer_state_update(&l->producers, &h, marker, log_now_s(l), true);
	log_note_ended(&s->aborted, &h, &ended);
	log_note_batch(l, h.base_offset, s->size);
	segment_add(s, &h, l->config.index_interval_bytes);
	l->end = a->last_offset + 1;
	l->side_files_dirty = true;
	a->node = (struct list_node){0};
	list_push_back(&l->pending, &a->node);
	commit_mark(l);
	count_append(l, a);
	if (rolls || s->size >= l->look_at_bytes)
		housekeeping_note_size(l);
	return OK;
}

/* --- the cut ------------------------------------------------------------------------------------------------------ */

static void release_all(struct list *appends)
{
	struct list_node *n;

	while ((n = list_pop_front(appends)) != NULL) {
		struct log_append *a = container_of(n, struct log_append, node);

		a->released(a);
	}
}

/* Segments that began at or behind the offset: nothing of them is written. */
static void drop_segments_from(struct log *l, int64_t offset)
{
	while (l->segment_count > 1 && log_active(l)->base_offset >= offset) {
		struct segment *s = l->segments[--l->segment_count];

		file_cache_drop(&l->store->files, &s->file);
		list_push_back(&l->graveyard, &s->grave);
	}
	log_bury(l);
}

void log_cut_pending(struct log *l, int64_t offset, enum err reason)
{
	struct list gone;
	int64_t position = -1;
	bool within;

	list_init(&gone);
	list_for_each(&l->pending, n)
	{
		struct log_append *a = container_of(n, struct log_append, node);

		if (a->base_offset < offset)
			continue;
		if (position < 0)
			position = a->position;
		list_remove(n);
		list_push_back(&gone, n);
	}
	if (position < 0)
		return;
	l->cuts++;
	within = log_segment_at(l, offset) == 0 || l->segments[log_segment_at(l, offset)]->base_offset < offset;
	drop_segments_from(l, offset);
	if (within) /* else the cut is where a segment begins, and that one is gone */
		segment_truncate(log_active(l), position, offset);
	producer_state_cut(&l->producers, offset);
	epoch_cache_truncate_end(&l->epochs, offset);
	log_forget_batches(l, offset);
	l->end = MUTANT(REUSE_OFFSET_AFTER_TRUNCATION) && offset > l->start ? offset - 1 : offset;
	if (l->owner && l->owner->cut)
		l->owner->cut(l->owner, offset, reason);
	release_all(&gone);
}

void log_lose_unsynced(struct log *l)
{
	struct list gone;

	list_init(&gone);
	list_splice_back(&gone, &l->pending);
	l->end = l->written = l->synced;
	/* Told even if nothing was lost: the log has gone offline. */
	if (l->owner && l->owner->cut)
		l->owner->cut(l->owner, l->synced, ERR_IO);
	release_all(&gone);
}

/* --- epochs ------------------------------------------------------------------------------------------------------- */

enum err log_assign_epoch(struct log *l, int32_t epoch)
{
	int32_t before = log_latest_epoch(l);
	enum err e = epoch_cache_assign(&l->epochs, epoch, l->end);

	if (!e && epoch != before) {
		l->epochs_dirty = true;
		l->side_files_dirty = true;
	}
	return e;
}

int32_t log_latest_epoch(const struct log *l)
{
	return l->epochs.count ? l->epochs.entries[l->epochs.count - 1].epoch : -1;
}

int32_t log_epoch_at(const struct log *l, int64_t offset)
{
	int32_t epoch = -1;

	for (size_t i = 0; i < l->epochs.count && l->epochs.entries[i].start_offset <= offset; i++)
		epoch = l->epochs.entries[i].epoch;
	return epoch;
}

enum err log_epoch_end(const struct log *l, int32_t epoch, int32_t *ret_epoch, int64_t *ret_end_offset)
{
	return epoch_cache_end(&l->epochs, epoch, l->end, ret_epoch, ret_end_offset);
}
