/*
 * atlas_life: for atlas_test: makes a log folder with files of every kind, and ends its process in one of three ways; tells all that a store
 * gives of such a folder, so that two tellings can be held against each other.
 */
#ifndef STORAGE_ATLAS_LIFE_H
#define STORAGE_ATLAS_LIFE_H

#ifdef RUNTIME_LINUX_BACKENDS_H

#include "storage/atlas_folder.h"
#include "storage/log_fixture.h"
#include "storage/state.h"

enum atlas_end {
	ATLAS_STOPPED, /* cleanly */
	ATLAS_KILLED,  /* what was written is in the files */
	ATLAS_LOST,    /* and after a power failure: only what was synced is, so that the journal counts */
	ATLAS_ENDS,
};

static const char *const atlas_end_words[ATLAS_ENDS] = {"stopped", "killed", "power lost"};

enum atlas_log { ATLAS_TXN, ATLAS_PLAIN, ATLAS_COMPACTED, ATLAS_TRIMMED, ATLAS_SMALL, ATLAS_LOGS };

static const char *const atlas_log_names[ATLAS_LOGS] = {"t", "p", "c", "s", "o"};

static inline struct log_config atlas_config(enum atlas_log which)
{
	struct log_config config = fixture_config();

	config.segment_bytes = which == ATLAS_SMALL ? 1 << 20 : 3000;
	config.index_interval_bytes = 300;
	config.cleanup_delete = which != ATLAS_COMPACTED;
	config.cleanup_compact = which == ATLAS_COMPACTED;
	config.retention_ms = config.retention_bytes = -1;
	config.delete_retention_ms = 86400000;
	config.max_compaction_lag_ms = INT64_MAX;
	config.min_cleanable_dirty_ratio = 0;
	return config;
}

/* --- making -------------------------------------------------------------------------------------------------------- */

/* Shared with the process that makes it. */
struct atlas_making {
	struct fixture x;
	enum atlas_end end;
	/* What of the folder is not a log's. */
	void (*more_await)(struct fiber *self, const char *folder);
	struct {
		char name[ATLAS_NAME_SIZE];
		int64_t size; /* of what was synced */
	} synced[ATLAS_LOGS];
};

/* What is waited for is done by others, who need the processor. */
static inline void atlas_pause_await(struct fiber *self)
{
	EXPECT_OK(fiber_sleep_await(self, 300));
}

static inline void atlas_append(struct log *l, const struct test_batch *b, int32_t epoch)
{
	struct test_append *t = test_append_new(b);

	t->append.leader_epoch = epoch;
	EXPECT_OK(log_append_batch(l, &t->append));
}

static inline void atlas_fill_txns(struct log *l, int from, int count)
{
	for (int i = from; i < from + count; i++) {
		int32_t epoch = i < 20 ? 0 : i < 45 ? 3 : 7;
		struct test_batch b = {.producer_id = i % 4,
				       .sequence = i / 4 * 2,
				       .records = 2,
				       .value_size = 70,
				       .timestamp = 1000000 + i * 10,
				       .seed = i,
				       .transactional = true};
		struct end_marker marker = {
			.committed = i % 3 == 0, .producer_id = (i + 2) % 4, .coordinator_epoch = 1};

		EXPECT_OK(log_assign_epoch(l, epoch));
		atlas_append(l, &b, epoch);
		if (i % 2 == 1 && i > 2)
			EXPECT_OK(append_end_of(l, &marker, 0, epoch));
	}
}

static inline void atlas_fill_keys(struct log *l)
{
	for (int i = 0; i < 60; i++) {
		struct test_append *t = mem_new(struct test_append);
		struct batch_options o = batch_options_default((size_t)1 << 20);
		struct bytes whole;

		batch_builder_init(&t->builder, &o);
		for (int k = 0; k < 3; k++) {
			char key[32];
			int size = snprintf(key, sizeof(key), "key-%d", (i * 7 + k * 3) % 29);

			EXPECT_OK(batch_builder_append(&t->builder, 1000000 + i * 10 + k, bytes_of(key, (size_t)size),
						       bytes_str("a value of some length"), NULL, 0));
		}
		EXPECT_OK(batch_builder_finish(&t->builder, &whole));
		EXPECT_OK(batch_header_read(whole, &t->facts.header));
		t->append = (struct log_append){.batch = (uint8_t *)(uintptr_t)whole.data,
						.size = whole.size,
						.facts = &t->facts,
						.origin = APPEND_CLIENT,
						.released = test_append_released};
		EXPECT_OK(log_append_batch(l, &t->append));
	}
}

static inline void atlas_fill_plain(struct log *l, int from, int count)
{
	for (int i = from; i < from + count; i++) {
		struct test_batch b = plain(i * 3, 3, 80);

		atlas_append(l, &b, 0);
	}
}

static inline void atlas_settle_await(struct fiber *self, struct log *l)
{
	EXPECT_OK(log_flush_await(self, l));
	EXPECT_OK(log_sync_files_await(self, l));
	log_note_acknowledged(l, log_end_offset(l));
	/* The keeper saves indexes and snapshots of what was closed. */
	for (uint32_t i = 0; i + 1 < l->segment_count; i++)
		while (!l->segments[i]->index_saved || l->pins > 0)
			atlas_pause_await(self);
	EXPECT_OK(keeper_write_bounds_await(self, l->folder));
}

static inline void atlas_compact_await(struct fiber *self, struct store *s, struct log *l)
{
	static const struct store_settings cleaning = {.cleaner_enabled = true,
						       .cleaner_dedupe_bytes = 1 << 20,
						       .cleaner_load_factor = 0.9,
						       .cleaner_io_bytes_per_second = 1e300,
						       .cleaner_backoff_ms = 1};

	store_configure(s, &cleaning);
	while (l->clean_offset < log_active(l)->base_offset || l->pins > 0)
		atlas_pause_await(self);
	store_configure(s, &(struct store_settings){0});
}

static inline void atlas_make_await(struct fiber *self, void *argument)
{
	struct atlas_making *m = argument;
	struct log *logs[ATLAS_LOGS];

	fixture_open_await(self, &m->x);
	for (int i = 0; i < ATLAS_LOGS; i++) {
		struct log_config config = atlas_config((enum atlas_log)i);

		logs[i] = fixture_log_await(self, &m->x, atlas_log_names[i], 0, &config);
		EXPECT_OK(log_assign_epoch(logs[i], 0));
	}
	atlas_fill_txns(logs[ATLAS_TXN], 0, 70);
	atlas_fill_plain(logs[ATLAS_PLAIN], 0, 40);
	atlas_fill_keys(logs[ATLAS_COMPACTED]);
	atlas_fill_plain(logs[ATLAS_TRIMMED], 0, 30);
	atlas_fill_plain(logs[ATLAS_SMALL], 0, 1);
	for (int i = 0; i < ATLAS_LOGS; i++)
		atlas_settle_await(self, logs[i]);
	atlas_compact_await(self, m->x.store, logs[ATLAS_COMPACTED]);
	EXPECT_OK(log_advance_start_await(self, logs[ATLAS_TRIMMED], 40));
	for (int i = 0; i < ATLAS_LOGS; i++) {
		atlas_settle_await(self, logs[i]);
		snprintf(m->synced[i].name, sizeof(m->synced[i].name), "%s-0/%020lld.log", atlas_log_names[i],
			 (long long)log_active(logs[i])->base_offset);
		m->synced[i].size = log_active(logs[i])->size;
	}
	atlas_fill_txns(logs[ATLAS_TXN], 70, 4);
	atlas_fill_plain(logs[ATLAS_PLAIN], 40, 4);
	atlas_fill_plain(logs[ATLAS_SMALL], 1, 3);
	for (int i = 0; i < ATLAS_LOGS; i++) {
		EXPECT_OK(log_flush_await(self, logs[i]));
		log_note_acknowledged(logs[i], log_end_offset(logs[i]));
	}
	atlas_fill_plain(logs[ATLAS_PLAIN], 44, 1);
	EXPECT_OK(log_flush_await(self, logs[ATLAS_PLAIN]));
	m->more_await(self, m->x.folder);
	if (m->end != ATLAS_STOPPED)
		DIE();
	fixture_close_await(self, &m->x);
	DIE();
}

/* --- what a log gives ---------------------------------------------------------------------------------------------- */

#define ATLAS_BATCHES_MAX 200
#define ATLAS_TEXT_MAX 8000

struct atlas_batch {
	int64_t base;
	int64_t last;
	uint32_t crc; /* of all of it, its header too */
};

struct atlas_told {
	enum err opened;
	enum err read;      /* the first error of a read */
	enum err looked_up; /* of a timestamp */
	int64_t start;
	int64_t end;
	int64_t unstable;
	size_t count;
	struct atlas_batch batches[ATLAS_BATCHES_MAX];
	bool wrong_place; /* a read did not begin with the batch that holds its offset */
	char epochs[ATLAS_TEXT_MAX];
	char producers[ATLAS_TEXT_MAX];
	char aborted[ATLAS_TEXT_MAX];
	char times[ATLAS_TEXT_MAX];
};

struct atlas_text {
	char *text;
	size_t size;
};

static void atlas_say(struct atlas_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void atlas_say(struct atlas_text *t, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	t->size += (size_t)vsnprintf(t->text + t->size, ATLAS_TEXT_MAX - t->size, format, arguments);
	va_end(arguments);
	EXPECT(t->size < ATLAS_TEXT_MAX);
}

static inline void atlas_say_producer(void *context, const struct producer_told *p)
{
	/* In whatever order. */
	atlas_say(context, "%lld:%d:%d:%lld ", (long long)p->producer_id, p->epoch, (int)p->last_sequence,
		  (long long)p->txn_first_offset);
}

static inline void atlas_read_await(struct fiber *self, struct log *l, struct test_read *t, int64_t offset, size_t max)
{
	*t = (struct test_read){.read = {.offset = offset,
					 .max_offset = log_synced_offset(l),
					 .max_bytes = max,
					 .at_least_one = true,
					 .committed_only = true,
					 .done = test_read_done}};
	event_init(&t->over);
	log_read_start(l, &t->read);
	while (!t->done)
		EXPECT_OK(event_wait_await(self, &t->over, FIBER_NO_DEADLINE));
}

static inline void atlas_note_aborted(struct atlas_told *told, const struct log_read *r, int64_t next)
{
	struct atlas_text t = {told->aborted, strlen(told->aborted)};

	/* More than overlap the answer may be told. */
	for (size_t i = 0; i < r->aborted_count; i++) {
		char words[64];

		snprintf(words, sizeof(words), "[%lld:%lld]", (long long)r->aborted[i].producer_id,
			 (long long)r->aborted[i].first_offset);
		if (r->aborted[i].first_offset < next && !strstr(told->aborted, words))
			atlas_say(&t, "%s", words);
	}
}

/* One answer; gives where it ended, at least one further. */
static inline int64_t atlas_take_answer_await(struct fiber *self, struct log *l, struct atlas_told *told,
					      int64_t offset)
{
	struct bytes rest, batch;
	struct batch_header h;
	struct test_read t;
	int64_t next = offset;

	atlas_read_await(self, l, &t, offset, 1000);
	rest = t.read.records;
	if (t.read.error && !told->read)
		told->read = t.read.error;
	while (!t.read.error && batch_next(&rest, &h, &batch) == OK) {
		if (batch_last_offset(&h) < next) /* in a damaged place of a mad world; so that the walk ends */
			break;
		EXPECT(told->count < ATLAS_BATCHES_MAX);
		told->batches[told->count++] = (struct atlas_batch){h.base_offset, batch_last_offset(&h),
								    crc32c(0, batch)};
		next = batch_last_offset(&h) + 1;
	}
	atlas_note_aborted(told, &t.read, next);
	if (t.read.blob)
		blob_unref(t.read.blob);
	mem_free(t.read.aborted);
	return next > offset ? next : offset + 1;
}

/* Reads that begin anywhere: what the index says counts there. */
static inline void atlas_jump_await(struct fiber *self, struct log *l, struct atlas_told *told)
{
	for (int64_t offset = told->start; offset < told->end; offset += 5) {
		struct test_read t;
		struct batch_header h = {0};
		bool there = false;

		for (size_t i = 0; i < told->count && !there; i++)
			there = told->batches[i].base <= offset && told->batches[i].last >= offset;
		if (!there)
			continue;
		atlas_read_await(self, l, &t, offset, 200);
		if (t.read.error && !told->read)
			told->read = t.read.error;
		told->wrong_place |= !t.read.error && (batch_header_read(t.read.records, &h) != OK ||
						       h.base_offset > offset || batch_last_offset(&h) < offset);
		if (t.read.blob)
			blob_unref(t.read.blob);
		mem_free(t.read.aborted);
	}
}

static inline void atlas_look_up_await(struct fiber *self, struct log *l, struct atlas_told *told)
{
	struct atlas_text t = {told->times, 0};

	for (int64_t at = 1000000; at < 1000800; at += 31) {
		int64_t offset = -1, timestamp = -1;
		int32_t epoch;
		enum err e = log_find_timestamp_await(self, l, at, told->end, &offset, &timestamp, &epoch);

		if (e && !told->looked_up)
			told->looked_up = e;
		atlas_say(&t, "%lld:%lld ", (long long)offset, (long long)timestamp);
	}
	if (!told->looked_up) {
		int64_t offset = -1, timestamp = -1;
		int32_t epoch;

		told->looked_up = log_find_max_timestamp_await(self, l, told->end, &offset, &timestamp, &epoch);
		atlas_say(&t, "max %lld:%lld", (long long)offset, (long long)timestamp);
	}
}

static inline void atlas_tell_await(struct fiber *self, struct log *l, struct atlas_told *told)
{
	struct atlas_text epochs = {told->epochs, 0}, producers = {told->producers, 0};

	memset(told, 0, sizeof(*told));
	told->start = log_start_offset(l);
	told->end = log_end_offset(l);
	told->unstable = log_first_unstable(l);
	for (int64_t offset = told->start; offset < log_synced_offset(l);)
		offset = atlas_take_answer_await(self, l, told, offset);
	atlas_jump_await(self, l, told);
	/* As far as there are records: where else an epoch began does not matter. */
	for (size_t i = 0; i < told->count; i++) {
		int32_t epoch = log_epoch_at(l, told->batches[i].base);

		if (i == 0 || epoch != log_epoch_at(l, told->batches[i - 1].base))
			atlas_say(&epochs, "%d:%lld ", (int)epoch, (long long)told->batches[i].base);
	}
	log_each_producer(l, atlas_say_producer, &producers);
	atlas_look_up_await(self, l, told);
}

/* --- holding one against the other --------------------------------------------------------------------------------- */

static inline const struct atlas_batch *atlas_find(const struct atlas_told *told, int64_t base)
{
	for (size_t i = 0; i < told->count; i++)
		if (told->batches[i].base == base)
			return &told->batches[i];
	return NULL;
}

/* What of it is not as it was, without an error that says so; NULL: nothing. `ret_shorter`: only its end is lower. */
static inline const char *atlas_compare(const struct atlas_told *was, const struct atlas_told *is, bool *ret_shorter)
{
	*ret_shorter = false;
	if (is->opened)
		return NULL;
	if (is->start != was->start)
		return "another start";
	for (size_t i = 0; i < is->count; i++) {
		const struct atlas_batch *b = atlas_find(was, is->batches[i].base);

		if (!b || b->last != is->batches[i].last || b->crc != is->batches[i].crc)
			return "other bytes";
		if (i > 0 && is->batches[i].base <= is->batches[i - 1].base)
			return "batches twice";
	}
	if (is->end > was->end)
		return "a later end";
	if (is->wrong_place)
		return "batches passed over";
	if (is->end < was->end) {
		*ret_shorter = true;
		return "an earlier end";
	}
	if (is->count < was->count && !is->read)
		return "missing batches";
	if (!is->read && strcmp(is->epochs, was->epochs) != 0)
		return "other leader epochs";
	if (is->unstable != was->unstable)
		return "another last stable offset";
	if (strcmp(is->producers, was->producers) != 0)
		return "other producers";
	if (!is->read && strcmp(is->aborted, was->aborted) != 0)
		return "other aborted transactions";
	if (!is->looked_up && !is->read && strcmp(is->times, was->times) != 0)
		return "other offsets by time";
	return NULL;
}

#endif
#endif
