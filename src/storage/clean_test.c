/* clean_test: compaction of real logs: what is left, over restarts, amid reads and appends, and when the process dies between two steps. */
#include "base/prng.h"
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"
#include "storage/state.h"

#define KEYS 50

static struct log_config compacted(void)
{
	struct log_config config = fixture_config();

	config.segment_bytes = 4000;
	config.index_interval_bytes = 300;
	config.cleanup_compact = true;
	config.min_cleanable_dirty_ratio = 0;
	config.delete_retention_ms = 86400000;
	config.file_delete_delay_ms = 60000;
	config.max_compaction_lag_ms = INT64_MAX;
	return config;
}

static const struct store_settings cleaning = {
	.cleaner_enabled = true,
	.cleaner_dedupe_bytes = 1 << 20,
	.cleaner_load_factor = 0.9,
	.cleaner_io_bytes_per_second = 1e300,
	.cleaner_backoff_ms = 1,
};

/* What was written: offset n has key `keys[n]` and a value that says n, or none. */
struct written {
	int count;
	int keys[4000];
	bool tombstones[4000];
};

static enum err append_records(struct log *l, struct written *w, const int *keys, int count, bool tombstone,
			       enum codec codec)
{
	struct test_append *t = mem_new(struct test_append);
	struct batch_options o = batch_options_default((size_t)1 << 20);
	struct bytes whole;
	enum err e;

	o.codec = codec;
	batch_builder_init(&t->builder, &o);
	for (int i = 0; i < count; i++) {
		char key[32], value[64];
		int key_size = snprintf(key, sizeof(key), "key-%d", keys[i]);
		int value_size = snprintf(value, sizeof(value), "value of %d", w->count + i);

		w->keys[w->count + i] = keys[i];
		w->tombstones[w->count + i] = tombstone;
		EXPECT_OK(batch_builder_append(&t->builder, 1000000 + w->count + i, bytes_of(key, (size_t)key_size),
					       tombstone ? bytes_null() : bytes_of(value, (size_t)value_size), NULL,
					       0));
	}
	EXPECT_OK(batch_builder_finish(&t->builder, &whole));
	EXPECT_OK(batch_header_read(whole, &t->facts.header));
	t->append.batch = (uint8_t *)(uintptr_t)whole.data;
	t->append.size = whole.size;
	t->append.facts = &t->facts;
	t->append.leader_epoch = 0;
	t->append.origin = APPEND_CLIENT;
	t->append.released = test_append_released;
	e = log_append_batch(l, &t->append);
	if (e)
		test_append_released(&t->append);
	else
		w->count += count;
	return e;
}

static void append_some(struct log *l, struct written *w, struct prng *random, int batches)
{
	for (int i = 0; i < batches; i++) {
		int keys[5], count = 1 + (int)prng_below(random, 5);
		enum codec codec;
		bool tombstone;

		for (int k = 0; k < count; k++)
			keys[k] = (int)prng_below(random, KEYS);
		tombstone = prng_chance(random, 1, 10);
		codec = (enum codec)prng_below(random, CODEC_COUNT);
		EXPECT_OK(append_records(l, w, keys, count, tombstone, codec));
	}
}

static void settle_await(struct fiber *self, struct log *l)
{
	EXPECT_OK(log_flush_await(self, l));
	EXPECT_OK(log_sync_files_await(self, l));
	log_note_acknowledged(l, log_end_offset(l));
}

/* Until all but the active segment is clean. */
static void wait_clean_await(struct fiber *self, struct log *l)
{
	while (l->clean_offset < log_active(l)->base_offset || l->pins > 0) {
		EXPECT(!l->uncleanable && !l->state);
		fiber_yield_await(self);
	}
}

struct found {
	int records;
	int64_t last[KEYS]; /* offset of the last record of each key; -1: none */
};

/* Reads all from `from` on: offsets grow, each record is what was written there. */
static void scan_await(struct fiber *self, struct log *l, const struct written *w, int64_t from, size_t max_bytes,
		       struct found *ret_found)
{
	int64_t next = from;
	struct buf scratch;

	buf_init(&scratch, 1 << 20);
	ret_found->records = 0;
	for (int i = 0; i < KEYS; i++)
		ret_found->last[i] = -1;
	while (next < log_synced_offset(l)) {
		struct test_read t;
		struct bytes rest, batch;
		struct batch_header h;

		read_await(self, l, &t, next, max_bytes);
		EXPECT_OK(t.read.error);
		rest = t.read.records;
		EXPECT(rest.size > 0);
		while (batch_next(&rest, &h, &batch) == OK) {
			struct record_iter it;
			struct record r;

			EXPECT(batch_crc_ok(batch) && batch_last_offset(&h) >= next);
			EXPECT_OK(record_iter_init(&it, batch, &scratch, 1 << 20, NULL));
			while (record_iter_next(&it, &r) == OK) {
				char key[32], value[64];

				if (r.offset < next)
					continue;
				snprintf(key, sizeof(key), "key-%d", w->keys[r.offset]);
				snprintf(value, sizeof(value), "value of %d", (int)r.offset);
				EXPECT(bytes_equal_str(r.key, key));
				EXPECT(bytes_is_null(r.value) == w->tombstones[r.offset]);
				EXPECT(bytes_is_null(r.value) || bytes_equal_str(r.value, value));
				ret_found->last[w->keys[r.offset]] = r.offset;
				ret_found->records++;
				next = r.offset + 1;
			}
			next = batch_last_offset(&h) + 1;
		}
		blob_unref(t.read.blob);
	}
	buf_fini(&scratch);
}

static void expect_last_of_each(const struct written *w, const struct found *f)
{
	int64_t last[KEYS];

	for (int i = 0; i < KEYS; i++)
		last[i] = -1;
	for (int i = 0; i < w->count; i++)
		last[w->keys[i]] = i;
	for (int i = 0; i < KEYS; i++)
		EXPECT(f->last[i] == last[i]);
}

/* --- what is left -------------------------------------------------------------------------------------------------- */

static void ordinary_main(struct fiber *self, void *argument)
{
	struct log_config config = compacted();
	struct written *w = mem_new(struct written);
	struct prng random;
	struct fixture x;
	struct found f;

	(void)argument;
	prng_seed(&random, 1);
	fixture_init(&x);
	for (int round = 0; round < 4; round++) {
		struct log *l;
		int64_t offset, timestamp;
		int32_t epoch;

		fixture_open_await(self, &x);
		l = fixture_log_await(self, &x, "t", 0, &config);
		EXPECT(log_end_offset(l) == w->count);
		append_some(l, w, &random, 150);
		settle_await(self, l);
		store_configure(x.store, &cleaning);
		wait_clean_await(self, l);
		for (size_t bytes = 1; bytes < 100000; bytes *= 40) {
			scan_await(self, l, w, 0, bytes, &f);
			expect_last_of_each(w, &f);
		}
		/* All keys once, and what the active segment adds. */
		EXPECT(f.records <= KEYS + (int)(log_end_offset(l) - log_active(l)->base_offset));
		EXPECT(fixture_files_with(&x, "t-0", ".swap") == 0);
		EXPECT(fixture_files_with(&x, "t-0", ".cleaned") == 0 &&
		       fixture_files_with(&x, "t-0", ".log") == (int)l->segment_count);
		for (int64_t from = 0; from < w->count; from += 37)
			scan_await(self, l, w, from, 500, &f);
		EXPECT_OK(log_find_max_timestamp_await(self, l, log_end_offset(l), &offset, &timestamp, &epoch));
		EXPECT(offset == w->count - 1 && timestamp == 1000000 + offset);
		EXPECT_OK(log_find_timestamp_await(self, l, 1000000 + 20, log_end_offset(l), &offset, &timestamp,
						   &epoch));
		EXPECT(offset >= 20 && timestamp == 1000000 + offset);
		fixture_close_await(self, &x);
	}
	/* Started again: nothing is dirty, nothing is different. */
	fixture_open_await(self, &x);
	{
		struct log *l = fixture_log_await(self, &x, "t", 0, &config);

		EXPECT(l->clean_offset == log_active(l)->base_offset);
		scan_await(self, l, w, 0, 5000, &f);
		expect_last_of_each(w, &f);
		EXPECT_OK(log_delete_await(self, l));
		l = fixture_log_await(self, &x, "t", 0, &config);
		EXPECT(l->clean_offset == 0);
	}
	fixture_close_await(self, &x);
	fixture_fini(&x);
	mem_free(w);
}

TEST(the_last_record_of_each_key_is_left_at_its_offset)
{
	run_over_both(1, ordinary_main, NULL);
}

static void small_map_main(struct fiber *self, void *argument)
{
	/* So many keys that the map is full again and again. */
	enum { MANY = 200000 };
	struct log_config config = compacted();
	struct fixture x;
	struct log *l;
	int records = 0;

	(void)argument;
	config.segment_bytes = 1 << 20;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	for (int n = 0; n < MANY; n += 500) {
		struct test_append *t = mem_new(struct test_append);
		struct batch_options o = batch_options_default((size_t)1 << 20);
		struct bytes whole;

		batch_builder_init(&t->builder, &o);
		for (int i = 0; i < 500; i++) {
			char key[32];

			EXPECT_OK(batch_builder_append(
				&t->builder, 1,
				bytes_of(key, (size_t)snprintf(key, sizeof(key), "%d", (n + i) % (MANY / 2))),
				bytes_str("value"), NULL, 0));
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
	log_roll(l);
	settle_await(self, l);
	store_configure(x.store, &cleaning);
	wait_clean_await(self, l);
	for (int64_t next = 0; next < log_end_offset(l);) {
		struct test_read t;
		struct bytes rest, batch;
		struct batch_header h;

		read_await(self, l, &t, next, 1 << 20);
		EXPECT_OK(t.read.error);
		rest = t.read.records;
		EXPECT(rest.size > 0);
		while (batch_next(&rest, &h, &batch) == OK) {
			records += h.record_count;
			next = batch_last_offset(&h) + 1;
			EXPECT(h.record_count == 0 || next > MANY / 2);
		}
		blob_unref(t.read.blob);
	}
	EXPECT(records == MANY / 2);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_map_that_is_too_small_takes_several_passes)
{
	run_over_both(1, small_map_main, NULL);
}

/* --- amid reads and appends ---------------------------------------------------------------------------------------- */

static void amid_main(struct fiber *self, void *argument)
{
	struct log_config config = compacted();
	struct written *w = mem_new(struct written);
	struct prng random;
	struct fixture x;
	struct found f;
	struct log *l;

	(void)argument;
	prng_seed(&random, 2);
	fixture_init(&x);
	x.max_open_files = 4; /* so that files are opened again and again */
	fixture_open_await(self, &x);
	store_configure(x.store, &cleaning);
	l = fixture_log_await(self, &x, "t", 0, &config);
	config.file_delete_delay_ms = 0;
	for (int round = 0; round < 60; round++) {
		append_some(l, w, &random, 12);
		settle_await(self, l);
		if (round == 30)
			log_configure(l, &config);
		scan_await(self, l, w, 0, 1 + prng_below(&random, 3000), &f);
		expect_last_of_each(w, &f);
		for (int i = 0; i < 5; i++)
			scan_await(self, l, w, (int64_t)prng_below(&random, (uint64_t)w->count), 700, &f);
	}
	EXPECT(l->swaps > 3);
	wait_clean_await(self, l);
	fixture_close_await(self, &x);
	fixture_fini(&x);
	mem_free(w);
}

TEST(reads_and_appends_go_on_while_a_log_is_cleaned)
{
	run_over_both(1, amid_main, NULL);
}

/* --- what is not decided ------------------------------------------------------------------------------------------- */

/* A transaction that begins in the first segment and whose end, the last record, is not committed when the log is closed. */
static void ended_late_await(struct fiber *self, struct fixture *x, const struct log_config *config)
{
	struct test_batch begins = {.producer_id = 5, .records = 1, .value_size = 60, .transactional = true};
	struct end_marker commit = {.committed = true, .producer_id = 5};
	struct written *w = mem_new(struct written);
	struct prng random;
	struct log *l;

	prng_seed(&random, 4);
	fixture_open_await(self, x);
	l = fixture_log_await(self, x, "t", 0, config);
	EXPECT_OK(append(l, &begins, NULL));
	append_some(l, w, &random, 100);
	EXPECT_OK(append_end(l, &commit, 0));
	EXPECT_OK(log_flush_await(self, l));
	log_note_acknowledged(l, log_end_offset(l) - 1);
	EXPECT(l->segment_count > 2 && log_first_unstable(l) == 0);
	fixture_close_await(self, x);
	mem_free(w);
}

static void not_decided_main(struct fiber *self, void *argument)
{
	struct log_config config = compacted();
	struct written *w = mem_new(struct written);
	struct prng random;
	struct fixture x;
	struct log *l, *other;

	(void)argument;
	prng_seed(&random, 5);
	fixture_init(&x);
	ended_late_await(self, &x, &config);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	other = fixture_log_await(self, &x, "other", 0, &config);
	append_some(other, w, &random, 50);
	settle_await(self, other);
	store_configure(x.store, &cleaning);
	wait_clean_await(self, other); /* it comes after the first one, if that can be cleaned */
	EXPECT(l->clean_offset == 0);
	log_note_acknowledged(l, log_end_offset(l));
	wait_clean_await(self, l);
	fixture_close_await(self, &x);
	fixture_fini(&x);
	mem_free(w);
}

TEST(a_log_is_cleaned_once_all_that_was_found_of_it_is_committed)
{
	run_over_both(1, not_decided_main, NULL);
}

/* --- a process that dies ------------------------------------------------------------------------------------------- */

struct mishap {
	struct fixture x;
	struct written *written;
	const char *shell; /* in the log's folder, after the process died */
	int deleted;
};

/* Dies amid cleaning: after a number of turns that the test counts up. */
static void die_amid_main(struct fiber *self, void *argument)
{
	struct mishap *m = argument;
	struct log_config config = compacted();
	struct prng random;
	struct log *l;

	prng_seed(&random, 3);
	fixture_open_await(self, &m->x);
	l = fixture_log_await(self, &m->x, "t", 0, &config);
	append_some(l, m->written, &random, 200);
	settle_await(self, l);
	store_configure(m->x.store, &cleaning);
	for (int turns = m->deleted; turns > 0; turns--)
		fiber_yield_await(self);
	DIE();
}

static void after_main(struct fiber *self, void *argument)
{
	struct mishap *m = argument;
	struct log_config config = compacted();
	struct found f;
	struct log *l;

	fixture_open_await(self, &m->x);
	l = fixture_log_await(self, &m->x, "t", 0, &config);
	EXPECT(log_end_offset(l) == m->written->count);
	EXPECT(fixture_files_with(&m->x, "t-0", ".swap") + fixture_files_with(&m->x, "t-0", ".cleaned") +
		       fixture_files_with(&m->x, "t-0", ".deleted") ==
	       0);
	scan_await(self, l, m->written, 0, 2000, &f);
	expect_last_of_each(m->written, &f);
	log_note_acknowledged(l, log_end_offset(l));
	store_configure(m->x.store, &cleaning);
	wait_clean_await(self, l);
	scan_await(self, l, m->written, 0, 2000, &f);
	expect_last_of_each(m->written, &f);
	fixture_close_await(self, &m->x);
}

/* The child knows what it wrote only by the seed: the parent does the same without a log. */
static void repeat_writes(struct written *w, int batches)
{
	struct prng random;

	prng_seed(&random, 3);
	for (int i = 0; i < batches; i++) {
		int keys[5], count = 1 + (int)prng_below(&random, 5);
		bool tombstone;

		for (int k = 0; k < count; k++)
			keys[k] = (int)prng_below(&random, KEYS);
		tombstone = prng_chance(&random, 1, 10);
		(void)prng_below(&random, CODEC_COUNT);
		for (int k = 0; k < count; k++) {
			w->keys[w->count] = keys[k];
			w->tombstones[w->count++] = tombstone;
		}
	}
}

#define LARGE_BATCH ((size_t)100000)

/* Segments that are read in several steps; while the cleaner waits for its rate the first one goes. */
static void left_main(struct fiber *self, void *argument)
{
	struct store_settings slowly = cleaning;
	struct log_config config = compacted();
	struct fixture x;
	struct log *l;

	(void)argument;
	config.segment_bytes = 2000000;
	slowly.cleaner_io_bytes_per_second = 2e6;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	for (int i = 0; i < 50; i++) {
		struct test_batch b = plain(i, 1, LARGE_BATCH);

		EXPECT_OK(append(l, &b, NULL));
	}
	settle_await(self, l);
	EXPECT(l->segment_count == 3);
	store_configure(x.store, &slowly);
	while (l->pins == 0)
		fiber_yield_await(self);
	EXPECT_OK(log_advance_start_await(self, l, l->segments[1]->base_offset));
	EXPECT(l->segment_count == 2);
	store_configure(x.store, &cleaning);
	wait_clean_await(self, l);
	EXPECT(!l->uncleanable);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_segment_that_goes_while_it_is_cleaned_does_not_end_the_cleaning_of_its_log)
{
	run_over_both(1, left_main, NULL);
}

static void named_alike_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct log *l;

	fixture_open_await(self, x);
	l = fixture_log_await(self, x, "t", 0, NULL);
	EXPECT(l->clean_offset == 0);
	for (int i = 0; i < 10; i++) {
		struct test_batch b = plain(i, 1, 100);

		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	EXPECT_OK(log_sync_files_await(self, l));
	DIE();
}

static void found_again_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct log *l;

	fixture_open_await(self, x);
	l = fixture_log_await(self, x, "t", 0, NULL);
	EXPECT(log_end_offset(l) == 10 && l->clean_offset == 0);
	fixture_close_await(self, x);
}

TEST(a_new_topic_is_not_clean_as_far_as_an_older_one_of_its_name_was)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct fixture x;
	char path[120];
	FILE *f;

	fixture_init(&x);
	snprintf(path, sizeof(path), "%s/cleaner-offset-checkpoint", x.folder);
	f = fopen(path, "w");
	EXPECT(f && fputs("0\n1\nt 0 5\n", f) >= 0 && fclose(f) == 0);
	run_and_die(IO_EPOLL, named_alike_main, &x);
	run_with(&o, found_again_main, &x);
	fixture_fini(&x);
}

/* The folder failed between a cleaned segment's last rename and the end of its swap: either name may be on disk. */
static void failed_amid_main(struct fiber *self, void *argument)
{
	struct fixture x;
	struct cached_file *f;
	struct test_batch b = plain(1, 1, 100);
	struct log *l;

	(void)argument;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, NULL);
	EXPECT_OK(append(l, &b, NULL));
	EXPECT_OK(log_flush_await(self, l));
	folder_fail(l->folder, ERR_IO, "putting a cleaned segment in its place");
	file_cache_drop(&x.store->files, &l->segments[0]->file);
	l->segments[0]->swapped = true;
	EXPECT_ERR(log_open_segment_await(self, l, l->segments[0], &f), ERR_OFFLINE);
	(void)!store_close_await(self, x.store);
	(void)!storage_close_await(self, x.storage);
	fixture_fini(&x);
}

TEST(a_segment_whose_folder_failed_while_it_was_swapped_is_not_told_as_damage)
{
	run_over_both(1, failed_amid_main, NULL);
}

TEST(a_process_may_die_at_any_step_of_a_cleaning)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	for (int turns = 0; turns < 400; turns += 1 + turns / 8) {
		struct mishap m = {.written = mem_new(struct written), .deleted = turns};

		fixture_init(&m.x);
		run_and_die(IO_EPOLL, die_amid_main, &m);
		repeat_writes(m.written, 200);
		run_with(&o, after_main, &m);
		fixture_fini(&m.x);
		mem_free(m.written);
	}
}
