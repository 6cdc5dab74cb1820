/* store_test: what a stop leaves behind, and what a start makes of it, over the real file system and the one that forgets what is not synced. */
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"
#include "storage/state.h"

#define LOGS 20

static void shell(const struct fixture *x, const char *command)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "cd '%s' && %s", x->folder, command);
	EXPECT(system(whole) == 0);
}

/* In a process of its own in lossy mode, as after a power failure when it has died. */
static void run_and_lose(void (*main)(struct fiber *self, void *argument), void *argument)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL, .lossy_file = true};
	struct backend_run run = {.main = main, .argument = argument};
	int status;
	pid_t child = fork();

	if (child == 0) {
		linux_run(&o, backend_run_start, &run);
		_exit(1);
	}
	EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void append_one_await(struct fiber *self, struct log *l, int64_t seed)
{
	struct test_batch b = plain(seed, 1, 10);

	EXPECT_OK(append(l, &b, NULL));
	EXPECT_OK(log_flush_await(self, l));
}

/* --- a log that does not close ------------------------------------------------------------------------------------ */

static void does_not_close_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;

	fixture_open_await(self, x);
	append_one_await(self, fixture_log_await(self, x, "t", 0, NULL), 1);
	append_one_await(self, fixture_log_await(self, x, "u", 0, NULL), 2);
	shell(x, "mkdir t-0/leader-epoch-checkpoint");
	EXPECT(store_close_await(self, x->store) != OK);
	EXPECT_ERR(storage_close_await(self, x->storage), ERR_OFFLINE);
}

static void both_are_there_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;

	fixture_open_await(self, x);
	EXPECT(!storage_was_clean(x->storage));
	EXPECT(read_all_await(self, fixture_log_await(self, x, "t", 0, NULL), 0, 1000) == 1);
	EXPECT(read_all_await(self, fixture_log_await(self, x, "u", 0, NULL), 0, 1000) == 1);
	fixture_close_await(self, x);
}

TEST(a_stop_that_could_not_close_a_log_leaves_no_marker)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct fixture x;

	fixture_init(&x);
	run_with(&o, does_not_close_main, &x);
	shell(&x, "test ! -e .kafka_cleanshutdown && rmdir t-0/leader-epoch-checkpoint");
	run_with(&o, both_are_there_main, &x);
	shell(&x, "test -e .kafka_cleanshutdown");
	fixture_fini(&x);
}

/* --- one sync for many logs --------------------------------------------------------------------------------------- */

struct many {
	struct fixture x;
	int records; /* in each log */
	bool stop;   /* cleanly, before it dies */
};

static void many_main(struct fiber *self, void *argument)
{
	struct many *m = argument;

	fixture_open_await(self, &m->x);
	for (int i = 0; i < LOGS; i++) {
		struct log *l = fixture_log_await(self, &m->x, "many", i, NULL);

		EXPECT(log_end_offset(l) == m->records);
		EXPECT(read_all_await(self, l, 0, 1000) == m->records);
		append_one_await(self, l, i);
	}
	if (m->stop)
		fixture_close_await(self, &m->x);
	DIE();
}

TEST(many_logs_keep_what_was_synced_together_through_power_failures)
{
	static const bool stops[] = {true, true, false, false, true, false, true};
	struct many m;

	fixture_init(&m.x);
	m.x.sync_together_from = 4;
	for (size_t i = 0; i < countof(stops); i++) {
		m.records = (int)i;
		m.stop = stops[i];
		run_and_lose(many_main, &m);
	}
	fixture_fini(&m.x);
}

/* Their indexes have entries, and are synced with all the rest. */
static void indexed_main(struct fiber *self, void *argument)
{
	struct many *m = argument;

	fixture_open_await(self, &m->x);
	for (int i = 0; i < LOGS; i++) {
		struct log *l = fixture_log_await(self, &m->x, "many", i, NULL);

		EXPECT(log_end_offset(l) == 5 * m->records);
		EXPECT(read_all_await(self, l, 0, 100000) == 5 * m->records);
		for (int k = 0; k < 5; k++) {
			struct test_batch b = plain(k, 1, 3000);

			EXPECT_OK(append(l, &b, NULL));
		}
		EXPECT_OK(log_flush_await(self, l));
	}
	fixture_close_await(self, &m->x);
	DIE();
}

TEST(indexes_that_were_synced_together_are_whole_after_a_power_failure)
{
	struct many m;

	fixture_init(&m.x);
	m.x.sync_together_from = 4;
	for (m.records = 0; m.records < 3; m.records++) {
		run_and_lose(indexed_main, &m);
		shell(&m.x, "test $(find . -name '*.index' -size +0 | wc -l) = 20");
		shell(&m.x, "test $(find . -name '*.timeindex' -size +0 | wc -l) = 20");
		shell(&m.x, "test $(find . -name '*.tmp' | wc -l) = 0");
	}
	fixture_fini(&m.x);
}

/* --- power fails while logs are being recovered ------------------------------------------------------------------- */

static void first_life_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct log *l;

	fixture_open_await(self, x);
	l = fixture_log_await(self, x, "t", 0, NULL);
	append_one_await(self, l, 1);
	append_one_await(self, l, 2);
	log_note_acknowledged(l, 2);
	EXPECT_OK(keeper_write_bounds_await(self, &x->store->folders[0]));
	DIE();
}

/* The bounds are written while the log is in memory and not yet what it is on disk. */
static void second_life_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct log_spec spec = {.topic = bytes_str("t"), .topic_id = fixture_id("t"), .config = fixture_config()};

	fixture_open_await(self, x);
	log_new(x->store, &x->store->folders[0], &spec);
	EXPECT_OK(keeper_write_bounds_await(self, &x->store->folders[0]));
	DIE();
}

static void third_life_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	const struct log_bounds *b;

	fixture_open_await(self, x);
	b = bounds_of(&x->storage->folders[0].bounds, bytes_str("t"), 0, false);
	EXPECT(b && b->acknowledged == 2);
	fixture_close_await(self, x);
}

TEST(bounds_written_while_a_log_is_recovered_do_not_forget_it)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct fixture x;

	fixture_init(&x);
	run_and_die(IO_EPOLL, first_life_main, &x);
	run_and_die(IO_EPOLL, second_life_main, &x);
	run_with(&o, third_life_main, &x);
	fixture_fini(&x);
}

/* --- power fails while logs are closed, one after the other ---------------------------------------------------------- */

static void closing_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct log *l;

	fixture_open_await(self, x);
	fixture_log_await(self, x, "u", 0, NULL);
	l = fixture_log_await(self, x, "t", 0, NULL);
	append_one_await(self, l, 1);
	append_one_await(self, l, 2);
	log_note_acknowledged(l, 2);
	EXPECT_OK(log_advance_start_await(self, l, 1));
	EXPECT_OK(log_close_await(self, l));
	EXPECT_OK(keeper_write_bounds_await(self, &x->store->folders[0]));
	DIE();
}

static void closed_is_known_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	const struct log_bounds *b;
	struct log *l;

	fixture_open_await(self, x);
	b = bounds_of(&x->storage->folders[0].bounds, bytes_str("t"), 0, false);
	EXPECT(b && b->acknowledged == 2 && b->start == 1);
	l = fixture_log_await(self, x, "t", 0, NULL);
	EXPECT(log_start_offset(l) == 1 && log_end_offset(l) == 2);
	fixture_close_await(self, x);
}

TEST(bounds_written_after_a_log_was_closed_do_not_forget_it)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct fixture x;

	fixture_init(&x);
	run_and_die(IO_EPOLL, closing_main, &x);
	run_with(&o, closed_is_known_main, &x);
	fixture_fini(&x);
}

static void offline_writes_nothing_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;

	fixture_open_await(self, x);
	fixture_log_await(self, x, "t", 0, NULL);
	folder_fail_here(&x->store->folders[0]);
	EXPECT_ERR(keeper_write_bounds_await(self, &x->store->folders[0]), ERR_OFFLINE);
	EXPECT(store_close_await(self, x->store) != OK);
	EXPECT_ERR(storage_close_await(self, x->storage), ERR_OFFLINE);
}

TEST(a_folder_that_is_offline_gets_no_bounds)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct fixture x;

	fixture_init(&x);
	run_with(&o, offline_writes_nothing_main, &x);
	fixture_fini(&x);
}

/* --- power fails while a log is cut ------------------------------------------------------------------------------- */

enum { CUT_RECORDS = 20, CUT_TO = 17, CUT_AGAIN = 4 };

struct cutting {
	struct fixture x;
	int dies_after; /* so many syncs that the keeper began while the log was cut */
	struct log *log;
	bool over;
	struct event event;
};

static struct log_config four_records_a_segment(void)
{
	struct log_config config = fixture_config();

	config.segment_bytes = 4500;
	return config;
}

static void cutter_main(struct fiber *self, void *argument)
{
	struct cutting *c = argument;

	EXPECT_OK(log_truncate_await(self, c->log, CUT_TO));
	c->over = true;
	event_signal(&c->event);
}

/* As the keeper does it, at any moment of the cut. */
static void cut_and_sync_main(struct fiber *self, void *argument)
{
	static const struct fiber_options options = {.name = "cutter"};
	struct cutting *c = argument;
	struct log_config config = four_records_a_segment();
	struct test_batch b = plain(1, 1, 1000);
	struct log *l;

	fixture_open_await(self, &c->x);
	l = c->log = fixture_log_await(self, &c->x, "t", 0, &config);
	for (int i = 0; i < CUT_RECORDS; i++)
		EXPECT_OK(append(l, &b, NULL));
	EXPECT_OK(log_flush_await(self, l));
	log_note_acknowledged(l, CUT_TO);
	event_init(&c->event);
	EXPECT(fiber_start(fiber_shard(self), &options, cutter_main, c));
	for (int i = 0; !c->over; i++) {
		EXPECT_OK(log_sync_files_await(self, l));
		EXPECT(l->file_synced <= l->end);
		EXPECT_OK(keeper_write_bounds_await(self, l->folder));
		if (i == c->dies_after)
			DIE();
	}
	EXPECT(l->file_synced == CUT_TO);
	for (int i = 0; i < CUT_AGAIN; i++) /* the last one is in the next segment */
		EXPECT_OK(append(l, &b, NULL));
	EXPECT_OK(log_flush_await(self, l));
	log_note_acknowledged(l, l->end);
	EXPECT_OK(log_sync_files_await(self, l));
	EXPECT_OK(keeper_write_bounds_await(self, l->folder));
	DIE();
}

static void whole_after_cut_main(struct fiber *self, void *argument)
{
	struct cutting *c = argument;
	struct log_config config = four_records_a_segment();
	struct log *l;

	fixture_open_await(self, &c->x);
	l = fixture_log_await(self, &c->x, "t", 0, &config);
	EXPECT(l && log_end_offset(l) >= CUT_TO);
	EXPECT(read_all_await(self, l, 0, 100000) == log_end_offset(l));
	DIE();
}

TEST(a_sync_that_runs_while_a_log_is_cut_does_not_take_what_comes_later_for_synced)
{
	static const int dies_after[] = {0, 1, 2, 3, 5, INT32_MAX};

	for (size_t i = 0; i < countof(dies_after); i++) {
		struct cutting c = {.dies_after = dies_after[i]};

		fixture_init(&c.x);
		run_and_lose(cut_and_sync_main, &c);
		run_and_lose(whole_after_cut_main, &c);
		fixture_fini(&c.x);
	}
}

/* A sync that began before there was a journal once took away the claim of the round behind it: its records were then in no file. */
TEST(a_sync_leaves_the_journals_claim_on_what_was_written_behind_it)
{
	static const struct {
		int64_t written, upto;
		uint64_t generation, claimed, after;
	} cases[] = {
		{881, 881, 3, 3, 0}, {883, 881, 3, 2, 3}, {883, 881, 0, 1, 1}, {883, 881, 0, 0, 0}, {881, 881, 0, 1, 0},
	};
	struct store_folder folder = {0};

	for (size_t i = 0; i < countof(cases); i++) {
		struct log l = {.folder = &folder, .written = cases[i].written, .first_generation = cases[i].claimed};

		log_files_cover(&l, cases[i].upto, cases[i].generation);
		CHECK_EQ(l.first_generation, cases[i].after);
		CHECK_EQ(l.file_synced, cases[i].upto);
	}
	CHECK(folder.bounds_dirty);
}

/* --- power fails when the segments of a producer are gone ---------------------------------------------------------- */

enum { PRODUCER = 7, PRODUCED = 4, KEEP_FROM = 13 };

struct producing {
	struct fixture x;
	bool again;   /* power fails before segments go, too: no snapshot is on disk when they do */
	bool journal; /* has it all, and the segments are not synced: they go at the next start */
};

static struct test_batch produced(int32_t sequence)
{
	struct test_batch b = plain(sequence, 1, 1000);

	b.producer_id = PRODUCER;
	b.sequence = sequence;
	return b;
}

static void drop_oldest_await(struct fiber *self, struct log *l, bool journal)
{
	if (!journal)
		EXPECT_OK(log_sync_files_await(self, l));
	EXPECT(l->segment_count == 5);
	EXPECT_OK(log_advance_start_await(self, l, KEEP_FROM));
	EXPECT(l->segment_count == (journal ? 5 : 2) && log_start_offset(l) == KEEP_FROM);
	DIE();
}

/* The producer's records are all in the first segment. */
static void produce_and_die_main(struct fiber *self, void *argument)
{
	struct producing *p = argument;
	struct log_config config = four_records_a_segment();
	struct log *l;

	fixture_open_await(self, &p->x);
	l = fixture_log_await(self, &p->x, "t", 0, &config);
	for (int i = 0; i < CUT_RECORDS; i++) {
		struct test_batch b = i < PRODUCED ? produced(i) : plain(i, 1, 1000);

		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	log_note_acknowledged(l, l->end);
	if (p->again)
		DIE();
	drop_oldest_await(self, l, p->journal);
}

static void drop_and_die_main(struct fiber *self, void *argument)
{
	struct producing *p = argument;
	struct log_config config = four_records_a_segment();

	fixture_open_await(self, &p->x);
	drop_oldest_await(self, fixture_log_await(self, &p->x, "t", 0, &config), false);
}

static void go_on_producing_main(struct fiber *self, void *argument)
{
	struct producing *p = argument;
	struct log_config config = four_records_a_segment();
	struct test_batch again = produced(PRODUCED - 1), next = produced(PRODUCED), later = produced(PRODUCED + 2);
	struct log *l;

	fixture_open_await(self, &p->x);
	l = fixture_log_await(self, &p->x, "t", 0, &config);
	EXPECT(log_start_offset(l) == KEEP_FROM && log_end_offset(l) == CUT_RECORDS);
	EXPECT_ERR(append(l, &again, NULL), ERR_DUPLICATE_SEQUENCE_NUMBER);
	EXPECT_OK(append(l, &next, NULL));
	EXPECT_ERR(append(l, &later, NULL), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	EXPECT_OK(log_flush_await(self, l));
	DIE();
}

TEST(a_producer_is_known_after_a_power_failure_though_the_segments_with_its_records_are_gone)
{
	static const struct producing cases[] = {{.again = false}, {.again = true}, {.journal = true}};

	for (size_t i = 0; i < countof(cases); i++) {
		struct producing p = cases[i];

		fixture_init(&p.x);
		run_and_lose(produce_and_die_main, &p);
		if (p.again)
			run_and_lose(drop_and_die_main, &p);
		run_and_lose(go_on_producing_main, &p);
		fixture_fini(&p.x);
	}
}
