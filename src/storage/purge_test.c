/* purge_test: the start moves, segments below it go, and what was told stays so when the process dies; over the real file system. */
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"
#include "storage/state.h"

static struct log_config four_batches_a_segment(void)
{
	struct log_config config = fixture_config();

	config.segment_bytes = 4500;
	config.file_delete_delay_ms = 60000;
	return config;
}

/* Twenty batches of one record of 1000 bytes: segments begin at 0, 4, 8, 12, 16. */
static struct log *twenty_await(struct fiber *self, struct fixture *x, const struct log_config *config)
{
	struct log *l = fixture_log_await(self, x, "t", 0, config);

	for (int i = 0; i < 20; i++) {
		struct test_batch b = plain(i, 1, 1000);

		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	EXPECT_OK(log_sync_files_await(self, l));
	EXPECT(l->segment_count == 5);
	return l;
}

static void expect_refused_await(struct fiber *self, struct log *l, int64_t offset)
{
	struct test_read t;

	read_await(self, l, &t, offset, 100000);
	EXPECT_ERR(t.read.error, ERR_OFFSET_OUT_OF_RANGE);
}

static void moved_main(struct fiber *self, void *argument)
{
	static const struct {
		int64_t to;
		enum err err;
		int64_t start;
		int segments;
		int deleted; /* .log files */
	} steps[] = {
		{3, OK, 3, 5, 0},   {4, OK, 4, 4, 1},   {2, OK, 4, 4, 1}, {21, ERR_OFFSET_OUT_OF_RANGE, 4, 4, 1},
		{13, OK, 13, 2, 3}, {20, OK, 20, 1, 4},
	};
	struct log_config config = four_batches_a_segment();
	struct fixture x;
	struct log *l;

	(void)argument;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = twenty_await(self, &x, &config);
	for (size_t i = 0; i < countof(steps); i++) {
		EXPECT_ERR(log_advance_start_await(self, l, steps[i].to), steps[i].err);
		EXPECT(log_start_offset(l) == steps[i].start && l->segment_count == (uint32_t)steps[i].segments);
		EXPECT(fixture_files_with(&x, "t-0", ".log") == steps[i].segments);
		EXPECT(fixture_files_with(&x, "t-0", ".log.deleted") == steps[i].deleted);
		expect_refused_await(self, l, steps[i].start - 1);
		EXPECT(read_all_await(self, l, steps[i].start, 2000) == 20 - steps[i].start);
	}
	fixture_close_await(self, &x);
	/* A clean stop leaves none: the start after it does not look. */
	EXPECT(fixture_files_with(&x, "t-0", ".deleted") == 0);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	EXPECT(log_start_offset(l) == 20 && log_end_offset(l) == 20);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(segments_below_the_start_leave_the_log_and_stay_on_disk_for_their_delay)
{
	run_over_both(1, moved_main, NULL);
}

static void die_moved_main(struct fiber *self, void *argument)
{
	struct log_config config = four_batches_a_segment();
	struct log *l;

	fixture_open_await(self, argument);
	l = twenty_await(self, argument, &config);
	log_note_acknowledged(l, 20);
	EXPECT_OK(log_advance_start_await(self, l, 10));
	DIE();
}

static void survives_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct log_config config = four_batches_a_segment();
	struct log *l;

	fixture_open_await(self, x);
	EXPECT(fixture_files_with(x, "t-0", ".log.deleted") == 2);
	l = fixture_log_await(self, x, "t", 0, &config);
	EXPECT(log_start_offset(l) == 10 && log_end_offset(l) == 20);
	EXPECT(fixture_files_with(x, "t-0", ".deleted") == 0);
	expect_refused_await(self, l, 9);
	EXPECT(read_all_await(self, l, 10, 100000) == 10);
	fixture_close_await(self, x);
}

TEST(a_start_that_was_told_is_there_after_the_process_died)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct fixture x;

	fixture_init(&x);
	run_and_die(IO_EPOLL, die_moved_main, &x);
	run_with(&o, survives_main, &x);
	fixture_fini(&x);
}

/* --- many at once ------------------------------------------------------------------------------------------------- */

struct mover {
	struct log *log;
	int64_t to;
	int *left;
	struct event *over;
};

static void mover_main(struct fiber *self, void *argument)
{
	struct mover *m = argument;

	EXPECT_OK(log_advance_start_await(self, m->log, m->to));
	EXPECT(m->log->start_durable >= m->to);
	--*m->left;
	event_signal(m->over);
}

static void many_main(struct fiber *self, void *argument)
{
	enum { MOVERS = 12 };
	static const struct fiber_options options = {.name = "mover"};
	struct log_config config = four_batches_a_segment();
	struct mover movers[MOVERS];
	struct event over;
	struct fixture x;
	struct log *l;
	int left = MOVERS;

	(void)argument;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = twenty_await(self, &x, &config);
	event_init(&over);
	for (int i = 0; i < MOVERS; i++) {
		movers[i] = (struct mover){l, 1 + (i * 7) % 20, &left, &over};
		EXPECT(fiber_start(fiber_shard(self), &options, mover_main, &movers[i]));
	}
	while (left > 0)
		EXPECT_OK(event_wait_await(self, &over, FIBER_NO_DEADLINE));
	EXPECT(log_start_offset(l) == 18 && l->folder->starts_saved == l->folder->starts_asked);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(starts_that_move_at_the_same_time_share_one_write_and_none_is_told_too_early)
{
	run_over_both(1, many_main, NULL);
}

/* --- readers ------------------------------------------------------------------------------------------------------ */

/* Reads that began before the segments went end with the right records, or say that they are gone; never with others. */
static void readers_main(struct fiber *self, void *argument)
{
	struct log_config config = four_batches_a_segment();
	struct test_read reads[20];
	struct fixture x;
	struct log *l;

	(void)argument;
	for (int delay_ms = 0; delay_ms <= 60000; delay_ms += 60000) {
		config.file_delete_delay_ms = delay_ms;
		fixture_init(&x);
		fixture_open_await(self, &x);
		l = twenty_await(self, &x, &config);
		/* Opened again, so that indexes and files are not at hand. */
		fixture_close_await(self, &x);
		fixture_open_await(self, &x);
		l = fixture_log_await(self, &x, "t", 0, &config);
		for (int i = 0; i < 20; i++) {
			reads[i] = (struct test_read){.read = {.offset = i,
							       .max_offset = 20,
							       .max_bytes = 100000,
							       .at_least_one = true,
							       .done = test_read_done}};
			event_init(&reads[i].over);
			log_read_start(l, &reads[i].read);
		}
		EXPECT_OK(log_advance_start_await(self, l, 18));
		for (int i = 0; i < 20; i++) {
			struct batch_header h;

			while (!reads[i].done)
				EXPECT_OK(event_wait_await(self, &reads[i].over, FIBER_NO_DEADLINE));
			if (reads[i].read.error) {
				EXPECT_ERR(reads[i].read.error, ERR_OFFSET_OUT_OF_RANGE);
				EXPECT(i < 18);
				continue;
			}
			EXPECT_OK(batch_header_read(reads[i].read.records, &h));
			EXPECT(h.base_offset == i);
			blob_unref(reads[i].read.blob);
		}
		fixture_close_await(self, &x);
		fixture_fini(&x);
	}
}

TEST(readers_of_a_segment_that_goes_are_answered_rightly)
{
	run_over_both(1, readers_main, NULL);
}

/* The first segment leaves between a read's beginning and the opening of its file: as leave_log_await does it, before its first suspension. */
static void overtaken_main(struct fiber *self, void *argument)
{
	struct log_config config = four_batches_a_segment();
	struct test_read t = {.read = {.offset = 2,
				       .max_offset = 20,
				       .max_bytes = 5000,
				       .at_least_one = true,
				       .done = test_read_done}};
	struct segment *first;
	struct fixture x;
	struct log *l;

	(void)argument;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = twenty_await(self, &x, &config);
	first = l->segments[0];
	file_cache_drop(&x.store->files, &first->file);
	event_init(&t.over);
	log_read_start(l, &t.read);
	EXPECT(!t.done);
	l->start = l->start_durable = 4;
	memmove(l->segments, l->segments + 1, --l->segment_count * sizeof(struct segment *));
	list_push_back(&l->graveyard, &first->grave);
	while (!t.done)
		EXPECT_OK(event_wait_await(self, &t.over, FIBER_NO_DEADLINE));
	EXPECT_ERR(t.read.error, ERR_OFFSET_OUT_OF_RANGE);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_read_whose_segment_goes_before_it_is_opened_does_not_give_the_next_ones_records)
{
	run_over_both(1, overtaken_main, NULL);
}

static void delay_main(struct fiber *self, void *argument)
{
	struct log_config config = four_batches_a_segment();
	struct fixture x;
	struct log *l;

	(void)argument;
	config.file_delete_delay_ms = 1;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = twenty_await(self, &x, &config);
	EXPECT_OK(log_advance_start_await(self, l, 16));
	while (!list_empty(&l->doomed) || l->pins > 0)
		fiber_yield_await(self);
	EXPECT(fixture_files_with(&x, "t-0", ".deleted") == 0 && fixture_files_with(&x, "t-0", ".log") == 1);
	EXPECT(x.store->next_doomed_us == INT64_MAX);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(the_files_go_when_their_delay_is_over)
{
	run_over_both(1, delay_main, NULL);
}
