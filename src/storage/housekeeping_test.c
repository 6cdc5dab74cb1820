/* housekeeping_test: retention, rolls and flushes that nobody asks for, over the real backends. */
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"
#include "storage/state.h"

static const struct store_settings look_always = {.retention_check_interval_ms = 1};

static struct log_config four_batches_a_segment(void)
{
	struct log_config config = fixture_config();

	config.segment_bytes = 4500;
	config.cleanup_delete = true;
	config.retention_ms = -1;
	config.retention_bytes = -1;
	return config;
}

/* Twenty batches of one record of 1000 bytes: segments begin at 0, 4, 8, 12, 16. Batch i has the time first_ms + i * step_ms. */
static struct log *twenty_await(struct fiber *self, struct fixture *x, const struct log_config *config,
				int64_t first_ms, int64_t step_ms)
{
	struct log *l = fixture_log_await(self, x, "t", 0, config);

	for (int i = 0; i < 20; i++) {
		struct test_batch b = plain(i, 1, 1000);

		b.timestamp = first_ms + i * step_ms;
		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	EXPECT_OK(log_sync_files_await(self, l));
	EXPECT(l->segment_count == 5);
	return l;
}

/* Until housekeeping has looked at everything twice more. */
static void looks_await(struct fiber *self, struct fixture *x)
{
	for (int i = 0; i < 2; i++) {
		int64_t next_us = x->store->next_retention_us;

		while (x->store->next_retention_us == next_us)
			fiber_yield_await(self);
	}
}

#define HOUR_MS ((int64_t)3600000)

static void retention_main(struct fiber *self, void *argument)
{
	/* Batches are an hour apart, the newest is of now; what the rules leave. */
	static const struct {
		const char *what;
		int64_t retention_ms;
		int64_t retention_bytes;
		int64_t acknowledged;
		bool policy_delete;
		int64_t start;
		uint32_t segments;
	} cases[] = {
		{"nothing", -1, -1, 20, true, 0, 5},
		{"ten hours: segments whose last record is older", 10 * HOUR_MS + HOUR_MS / 2, -1, 20, true, 8, 3},
		{"only what is committed", 10 * HOUR_MS + HOUR_MS / 2, -1, 7, true, 4, 4},
		{"nothing older than now: the active one is rolled", 0, -1, 20, true, 20, 1},
		{"two segments' bytes", -1, 9000, 20, true, 8, 3},
		{"both", 14 * HOUR_MS + HOUR_MS / 2, 9000, 20, true, 8, 3},
		{"no bytes at all", -1, 0, 20, true, 20, 1},
		{"not by policy", 0, 0, 20, false, 0, 5},
	};

	(void)argument;
	for (size_t i = 0; i < countof(cases); i++) {
		struct log_config config = four_batches_a_segment();
		struct fixture x;
		struct log *l;
		int64_t now_ms = shard_wall_ms(fiber_shard(self));

		config.retention_ms = cases[i].retention_ms;
		config.retention_bytes = cases[i].retention_bytes;
		config.cleanup_delete = cases[i].policy_delete;
		fixture_init(&x);
		fixture_open_await(self, &x);
		l = twenty_await(self, &x, &config, now_ms - 1 - 19 * HOUR_MS, HOUR_MS);
		log_note_acknowledged(l, cases[i].acknowledged);
		store_configure(x.store, &look_always);
		looks_await(self, &x);
		if (log_start_offset(l) != cases[i].start)
			fprintf(stderr, "%s: starts at %lld\n", cases[i].what, (long long)log_start_offset(l));
		EXPECT(log_start_offset(l) == cases[i].start && l->segment_count == cases[i].segments);
		EXPECT(read_all_await(self, l, cases[i].start, 10000) == 20 - cases[i].start);
		fixture_close_await(self, &x);
		fixture_open_await(self, &x);
		l = fixture_log_await(self, &x, "t", 0, &config);
		EXPECT(log_start_offset(l) == cases[i].start && log_end_offset(l) == 20);
		fixture_close_await(self, &x);
		fixture_fini(&x);
	}
}

TEST(what_is_too_old_or_too_much_goes_also_of_an_idle_log)
{
	run_over_both(1, retention_main, NULL);
}

static void live_main(struct fiber *self, void *argument)
{
	struct log_config config = four_batches_a_segment();
	struct segment_info *infos;
	size_t count;
	struct fixture x;
	struct log *l;

	(void)argument;
	fixture_init(&x);
	fixture_open_await(self, &x);
	store_configure(x.store, &look_always);
	l = twenty_await(self, &x, &config, 1000, 1);
	log_note_acknowledged(l, 20);
	looks_await(self, &x);
	EXPECT(log_start_offset(l) == 0);
	EXPECT_OK(log_explain_await(self, l, &infos, &count));
	EXPECT(count == 5 && infos[0].kept == SEGMENT_FOR_EVER && infos[0].largest_timestamp_ms == 1003);
	mem_free(infos);
	config.retention_bytes = 9000;
	log_configure(l, &config);
	looks_await(self, &x);
	EXPECT(log_start_offset(l) == 8);
	EXPECT_OK(log_explain_await(self, l, &infos, &count));
	EXPECT(count == 3 && infos[0].base_offset == 8 && infos[0].kept == SEGMENT_IN_SIZE && infos[2].active);
	EXPECT(infos[0].end_offset == 12 && infos[0].due_after_bytes == 9000 - infos[1].size - infos[2].size);
	mem_free(infos);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_setting_that_changes_counts_from_the_next_look_on)
{
	run_over_both(1, live_main, NULL);
}

static void never_main(struct fiber *self, void *argument)
{
	static const struct store_settings never = {
		.retention_check_interval_ms = INT64_MAX,
		.initial_delay_ms = INT64_MAX,
		.disk_usage_max_bytes = 1,
		.cleaner_enabled = true,
		.cleaner_backoff_ms = INT64_MAX,
	};
	struct log_config config = four_batches_a_segment();
	struct fixture x;

	(void)argument;
	config.cleanup_compact = true;
	config.file_delete_delay_ms = INT64_MAX;
	fixture_init(&x);
	fixture_open_await(self, &x);
	(void)twenty_await(self, &x, &config, 1000, 1);
	store_configure(x.store, &look_always);
	looks_await(self, &x);
	store_configure(x.store, &never);
	for (int i = 0; i < 20; i++)
		fiber_yield_await(self);
	EXPECT(x.store->next_retention_us > shard_now_us(fiber_shard(self)) && x.store->next_disk_us == INT64_MAX);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(an_interval_that_never_ends_does_not_wrap)
{
	run_over_both(1, never_main, NULL);
}

#define A_SEGMENT 4500

/* The interval is an hour: only growth makes anybody look. */
static void growth_main(struct fiber *self, void *argument)
{
	static const struct store_settings look_hourly = {.retention_check_interval_ms = HOUR_MS,
							  .initial_delay_ms = HOUR_MS};
	struct log_config config = four_batches_a_segment();
	struct fixture x;
	struct log *l;

	(void)argument;
	config.retention_bytes = 9000;
	fixture_init(&x);
	fixture_open_await(self, &x);
	store_configure(x.store, &look_hourly);
	l = fixture_log_await(self, &x, "t", 0, &config);
	for (int i = 0; i < 100; i++) {
		struct test_batch b = plain(i, 1, 1000);

		EXPECT_OK(append(l, &b, NULL));
		EXPECT_OK(log_flush_await(self, l));
		log_note_acknowledged(l, i + 1);
		while (log_size_bytes(l) >= config.retention_bytes + A_SEGMENT)
			fiber_yield_await(self);
	}
	EXPECT(log_start_offset(l) > 80 && log_size_bytes(l) >= config.retention_bytes);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_log_that_grows_beyond_its_bytes_does_not_wait_for_the_next_look)
{
	run_over_both(1, growth_main, NULL);
}

/* --- the disk's use ----------------------------------------------------------------------------------------------- */

static void evict_main(struct fiber *self, void *argument)
{
	/* Two logs of five segments each, the second one's records an hour younger; what a bound of so many segments leaves. */
	static const struct {
		int bound;
		int64_t starts[2];
	} cases[] = {{10, {0, 0}}, {9, {4, 0}}, {7, {8, 4}}, {2, {16, 16}}, {0, {16, 16}}};

	(void)argument;
	for (size_t i = 0; i < countof(cases); i++) {
		struct log_config config = four_batches_a_segment();
		struct store_settings settings = {.disk_usage_max_bytes = -1};
		struct fixture x;
		struct log *logs[2];

		fixture_init(&x);
		fixture_open_await(self, &x);
		for (int k = 0; k < 2; k++) {
			logs[k] = fixture_log_await(self, &x, "t", k, &config);
			for (int n = 0; n < 20; n++) {
				struct test_batch b = plain(n, 1, 1000);

				b.timestamp = 1000 + n * 2 * HOUR_MS + k * HOUR_MS;
				EXPECT_OK(append(logs[k], &b, NULL));
			}
			EXPECT_OK(log_flush_await(self, logs[k]));
			EXPECT_OK(log_sync_files_await(self, logs[k]));
			log_note_acknowledged(logs[k], 20);
		}
		store_configure(x.store, &settings);
		EXPECT(x.store->next_disk_us == INT64_MAX);
		settings.disk_usage_max_bytes = cases[i].bound ? cases[i].bound * log_size_bytes(logs[0]) / 5 : 1;
		store_configure(x.store, &settings);
		while (x.store->next_disk_us <= shard_now_us(fiber_shard(self)) ||
		       logs[0]->start_durable < cases[i].starts[0] || logs[1]->start_durable < cases[i].starts[1] ||
		       logs[0]->pins || logs[1]->pins)
			fiber_yield_await(self);
		EXPECT(log_start_offset(logs[0]) == cases[i].starts[0] &&
		       log_start_offset(logs[1]) == cases[i].starts[1]);
		fixture_close_await(self, &x);
		fixture_fini(&x);
	}
}

TEST(the_oldest_segments_of_all_logs_go_when_the_disks_use_is_bounded)
{
	run_over_both(1, evict_main, NULL);
}

/* --- write.caching -------------------------------------------------------------------------------------------------- */

/* Nobody asks for a sync: what is committed goes all the same, the active segment too. */
static void cached_main(struct fiber *self, void *argument)
{
	static const struct {
		int64_t retention_ms;
		int64_t retention_bytes;
		int64_t committed;
		int64_t start;
	} cases[] = {
		{10 * HOUR_MS + HOUR_MS / 2, -1, 20, 8},
		{10 * HOUR_MS + HOUR_MS / 2, -1, 7, 4},
		{0, -1, 20, 20},
		{-1, 9000, 20, 8},
		{-1, -1, 20, 0},
	};

	(void)argument;
	for (size_t i = 0; i < countof(cases); i++) {
		struct log_config config = four_batches_a_segment();
		int64_t now_ms = shard_wall_ms(fiber_shard(self));
		struct fixture x;
		struct log *l;

		config.write_caching = true;
		config.retention_ms = cases[i].retention_ms;
		config.retention_bytes = cases[i].retention_bytes;
		fixture_init(&x);
		fixture_open_await(self, &x);
		l = fixture_log_await(self, &x, "t", 0, &config);
		for (int n = 0; n < 20; n++) {
			struct test_batch b = plain(n, 1, 1000);

			b.timestamp = now_ms - 1 - (19 - n) * HOUR_MS;
			EXPECT_OK(append(l, &b, NULL));
		}
		while (log_written_offset(l) < 20)
			fiber_yield_await(self);
		EXPECT(log_synced_offset(l) == 0);
		log_note_acknowledged(l, cases[i].committed);
		EXPECT(l->acknowledged == 0);
		/* What has rolled is synced without anybody's asking, and the recovery point with it. */
		while (l->file_synced < 16)
			fiber_yield_await(self);
		EXPECT(log_synced_offset(l) == 16);
		EXPECT(l->acknowledged == (cases[i].committed < 16 ? cases[i].committed : 16));
		store_configure(x.store, &look_always);
		looks_await(self, &x);
		EXPECT(log_start_offset(l) == cases[i].start && log_start_offset(l) <= log_synced_offset(l));
		fixture_close_await(self, &x);
		fixture_open_await(self, &x);
		l = fixture_log_await(self, &x, "t", 0, &config);
		EXPECT(log_start_offset(l) == cases[i].start && log_end_offset(l) == 20);
		fixture_close_await(self, &x);
		fixture_fini(&x);
	}
}

TEST(what_is_committed_goes_also_when_nobody_waits_for_a_sync)
{
	run_over_both(1, cached_main, NULL);
}

/* --- rolls -------------------------------------------------------------------------------------------------------- */

static uint32_t segments_of_await(struct fiber *self, const struct log_config *config, int batches, int64_t step_ms)
{
	struct fixture x;
	struct log *l;
	uint32_t count;

	fixture_init(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, config);
	for (int i = 0; i < batches; i++) {
		struct test_batch b = plain(i, 1, 100);

		b.timestamp = 5000 + i * step_ms;
		EXPECT_OK(append(l, &b, NULL));
	}
	count = l->segment_count;
	fixture_close_await(self, &x);
	fixture_fini(&x);
	return count;
}

static void rolls_main(struct fiber *self, void *argument)
{
	struct log_config config = fixture_config();
	uint32_t count;

	(void)argument;
	EXPECT(segments_of_await(self, &config, 100, 1) == 1);
	config.segment_ms = 9; /* ten batches, then the eleventh is 10 ms behind the first */
	EXPECT(segments_of_await(self, &config, 100, 1) == 10);
	config.segment_jitter_ms = 9;
	count = segments_of_await(self, &config, 100, 1);
	EXPECT(count > 10 && count < 100);
	config = fixture_config();
	config.cleanup_compact = true;
	config.max_compaction_lag_ms = 9;
	EXPECT(segments_of_await(self, &config, 100, 1) == 10);
	config = fixture_config();
	config.index_interval_bytes = 0;
	config.segment_index_bytes =
		80; /* ten entries of the offset index, five of the time index with one kept for the end */
	EXPECT(segments_of_await(self, &config, 100, 0) == 10);
	count = segments_of_await(self, &config, 100, 1);
	EXPECT(count > 14 && count <= 20);
}

TEST(a_segment_ends_by_time_with_jitter_by_its_index_and_by_the_compaction_lag)
{
	run_over_both(1, rolls_main, NULL);
}

/* --- preallocate -------------------------------------------------------------------------------------------------- */

static int64_t disk_bytes(const struct fixture *x, const char *name, int64_t *ret_size)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", x->folder, name);
	EXPECT(stat(path, &st) == 0);
	*ret_size = st.st_size;
	return (int64_t)st.st_blocks * 512;
}

static void preallocate_main(struct fiber *self, void *argument)
{
	struct log_config config = fixture_config();
	struct test_batch b = plain(1, 1, 100000);
	int64_t size;
	struct fixture x;
	struct log *l;

	(void)argument;
	config.preallocate = true;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	EXPECT_OK(append(l, &b, NULL));
	EXPECT_OK(log_flush_await(self, l));
	EXPECT(disk_bytes(&x, "t-0/00000000000000000000.log", &size) >= 1 << 20 && size == log_size_bytes(l));
	log_roll(l);
	EXPECT_OK(append(l, &b, NULL));
	EXPECT_OK(log_flush_await(self, l));
	EXPECT(disk_bytes(&x, "t-0/00000000000000000001.log", &size) >= 1 << 20 && size < 110000);
	EXPECT_OK(log_save_index_await(self, l, l->segments[0]));
	EXPECT(disk_bytes(&x, "t-0/00000000000000000000.log", &size) < 200000 && size == l->segments[0]->size);
	fixture_close_await(self, &x);
	EXPECT(disk_bytes(&x, "t-0/00000000000000000001.log", &size) < 200000 && size > 100000);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	EXPECT(read_all_await(self, l, 0, 1000) == 2);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(preallocate_keeps_space_for_a_segment_until_it_is_closed)
{
	run_over_both(1, preallocate_main, NULL);
}

/* --- flush.ms ----------------------------------------------------------------------------------------------------- */

static void flush_main(struct fiber *self, void *argument)
{
	struct log_config config = fixture_config();
	struct test_batch b = plain(1, 1, 100);
	struct fixture x;
	struct log *l;

	(void)argument;
	config.write_caching = true;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	EXPECT_OK(append(l, &b, NULL));
	while (log_written_offset(l) < 1)
		fiber_yield_await(self);
	EXPECT(log_synced_offset(l) == 0 && x.store->next_flush_us == INT64_MAX);
	config.flush_ms = 1;
	log_configure(l, &config);
	while (log_synced_offset(l) < 1)
		EXPECT_OK(event_wait_await(self, &l->folder->round_over, FIBER_NO_DEADLINE));
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(what_is_only_written_is_synced_after_flush_ms_without_another_append)
{
	run_over_both(1, flush_main, NULL);
}

/* --- producers ---------------------------------------------------------------------------------------------------- */

static void expiry_main(struct fiber *self, void *argument)
{
	struct store_settings settings = {.producer_id_expiration_ms = 86400000, .producer_id_check_interval_ms = 1};
	struct test_batch b = plain(1, 1, 100);
	int64_t checked_us;
	struct fixture x;
	struct log *l;

	(void)argument;
	b.producer_id = 7;
	b.sequence = 0;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, NULL);
	EXPECT_OK(append(l, &b, NULL));
	EXPECT_OK(log_flush_await(self, l));
	store_configure(x.store, &settings);
	checked_us = x.store->next_expiry_us;
	while (x.store->next_expiry_us == checked_us)
		fiber_yield_await(self);
	EXPECT(log_producer_count(l) == 1);
	settings.producer_id_expiration_ms = 1; /* a second at least */
	store_configure(x.store, &settings);
	while (log_producer_count(l) > 0)
		EXPECT(fiber_sleep_await(self, 10000) == OK);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(producers_that_are_idle_are_forgotten_by_the_setting_of_now)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	run_with(&o, expiry_main, NULL);
}
