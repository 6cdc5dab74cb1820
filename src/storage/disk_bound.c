/*
 * disk_bound: disk.usage.max.bytes, of all logs of the process: shard 0 asks every shard for its segments, the oldest go. Which is decided in evict.c.
 */
#include "base/alloc.h"
#include "runtime/call.h"
#include "storage/evict.h"
#include "storage/housekeeping.h"

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
	(void)!housekeeping_load_times_await(self, l); /* what has no time is the youngest */
}

static void add_candidates(struct survey *v, struct log *l)
{
	struct retention_segment *view = housekeeping_view(l);
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
	housekeeping_each_log_await(there, s, load_times_await);
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
	housekeeping_each_log_await(there, s, housekeeping_keep_producers_await);
	housekeeping_each_log_await(there, s, housekeeping_settle_start_await);
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

void housekeeping_bound_disk_await(struct fiber *self, struct store *s)
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
