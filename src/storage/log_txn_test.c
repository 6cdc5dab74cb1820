/* log_txn_test: a log with transactions, over the real file system: what is stable, what was aborted; through rolls, cuts, stops and kills. */
#include <sys/mman.h>

#include "base/prng.h"
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"
#include "storage/state.h"
#include "storage/verify.h"

enum { PRODUCERS = 6, ENDED_MAX = 2000 };

struct model_txn {
	int64_t producer_id;
	int64_t first_offset;
	int64_t last_offset;
	bool aborted;
};

/* What a log with transactions should know. */
struct model {
	struct {
		int32_t next_sequence;
		int64_t first_offset; /* -1: none is open */
	} producers[PRODUCERS];
	struct model_txn *ended;
	size_t ended_count;
};

/* Shared with the processes that die. */
struct world {
	struct fixture x;
	struct model model;
	struct model_txn ended[ENDED_MAX];
	struct prng random;
	int64_t end;
	int64_t start;
	int steps;
};

static struct log_config small_segments(void)
{
	struct log_config config = fixture_config();

	config.segment_bytes = 3000;
	config.index_interval_bytes = 300;
	return config;
}

static void step(struct world *w, struct log *l)
{
	int64_t id = (int64_t)prng_below(&w->random, PRODUCERS);
	bool ends = prng_below(&w->random, 3) == 0;
	struct model *m = &w->model;

	if (ends) {
		struct end_marker marker = {
			.committed = prng_below(&w->random, 2) == 0, .producer_id = id, .coordinator_epoch = 1};

		if (m->producers[id].first_offset >= 0)
			w->ended[m->ended_count++] = (struct model_txn){id, m->producers[id].first_offset,
									log_end_offset(l), !marker.committed};
		m->producers[id].first_offset = -1;
		EXPECT_OK(append_end(l, &marker, 0));
	} else {
		int records = 1 + (int)prng_below(&w->random, 4);
		struct test_batch b = {.producer_id = id,
				       .sequence = m->producers[id].next_sequence,
				       .records = records,
				       .value_size = 60,
				       .timestamp = 1000,
				       .transactional = true};

		if (prng_below(&w->random, 8) == 0) /* beside them */
			b = plain(1, 2, 60);
		else
			m->producers[id].next_sequence += records;
		if (b.transactional && m->producers[id].first_offset < 0)
			m->producers[id].first_offset = log_end_offset(l);
		EXPECT_OK(append(l, &b, NULL));
	}
}

static int64_t model_unstable(const struct world *w, int64_t committed)
{
	int64_t first = INT64_MAX;

	for (int i = 0; i < PRODUCERS; i++) {
		int64_t at = w->model.producers[i].first_offset;

		if (at >= 0 && at < first)
			first = at;
	}
	for (size_t i = 0; i < w->model.ended_count; i++)
		if (w->ended[i].last_offset >= committed && w->ended[i].first_offset < first)
			first = w->ended[i].first_offset;
	return first < w->start ? w->start : first;
}

static bool told(const struct test_read *t, const struct model_txn *e)
{
	for (size_t i = 0; i < t->read.aborted_count; i++)
		if (t->read.aborted[i].producer_id == e->producer_id &&
		    t->read.aborted[i].first_offset == e->first_offset)
			return true;
	return false;
}

/* Each aborted one that overlaps what was read is told; what is told was aborted, and not before the read. */
static void check_read_await(struct fiber *self, struct world *w, struct log *l, int64_t offset, size_t max_bytes)
{
	struct test_read t = {.read = {.offset = offset,
				       .max_offset = log_synced_offset(l),
				       .max_bytes = max_bytes,
				       .at_least_one = true,
				       .committed_only = true,
				       .done = test_read_done}};
	struct bytes rest, batch;
	struct batch_header h;
	int64_t next = offset;

	event_init(&t.over);
	log_read_start(l, &t.read);
	while (!t.done)
		EXPECT_OK(event_wait_await(self, &t.over, FIBER_NO_DEADLINE));
	EXPECT_OK(t.read.error);
	rest = t.read.records;
	while (batch_next(&rest, &h, &batch) == OK)
		next = batch_last_offset(&h) + 1;
	for (size_t i = 0; i < w->model.ended_count; i++) {
		const struct model_txn *e = &w->ended[i];

		if (e->aborted && e->first_offset < next && e->last_offset >= offset)
			EXPECT(told(&t, e));
		if (told(&t, e))
			EXPECT(e->aborted && e->last_offset >= offset);
	}
	blob_unref(t.read.blob);
	mem_free(t.read.aborted);
}

static void check_all_await(struct fiber *self, struct world *w, struct log *l)
{
	EXPECT(log_end_offset(l) == w->end);
	EXPECT(log_first_unstable(l) == model_unstable(w, l->committed));
	for (int i = 0; i < 40; i++)
		check_read_await(self, w, l, w->start + (int64_t)prng_below(&w->random, (uint64_t)(w->end - w->start)),
				 100 + (size_t)prng_below(&w->random, 5000));
}

static void work_await(struct fiber *self, struct world *w, struct log *l, int steps)
{
	for (int i = 0; i < steps; i++) {
		step(w, l);
		w->end = log_end_offset(l);
		EXPECT(log_first_unstable(l) == model_unstable(w, l->committed));
		if (i % 16)
			continue;
		EXPECT_OK(log_flush_await(self, l));
		if (prng_below(&w->random, 3) == 0) { /* the recovery point moves */
			EXPECT_OK(log_sync_files_await(self, l));
			EXPECT_OK(keeper_write_bounds_await(self, l->folder));
		}
		log_note_acknowledged(l, log_synced_offset(l) - (int64_t)prng_below(&w->random, 20));
		EXPECT(log_first_unstable(l) == model_unstable(w, l->committed));
	}
	EXPECT_OK(log_flush_await(self, l));
	log_note_acknowledged(l, log_synced_offset(l));
	check_all_await(self, w, l);
}

static struct log *open_await(struct fiber *self, struct world *w)
{
	struct log_config config = small_segments();
	struct log *l;

	fixture_open_await(self, &w->x);
	l = fixture_log_await(self, &w->x, "t", 0, &config);
	log_note_acknowledged(l, log_synced_offset(l));
	return l;
}

static void damaged(void *user, const struct verify_finding *f)
{
	const bool *expected = user;

	if (f->grade == VERIFY_DAMAGE && !*expected)
		fprintf(stderr, "%s at %lld, offset %lld: %s\n", f->path, (long long)f->position, (long long)f->offset,
			f->text);
}

static bool is_damaged_await(struct fiber *self, struct world *w, bool expected)
{
	struct verify_options o = {.path = w->x.folder, .deep = true, .found = damaged, .user = &expected};
	struct verify_counts counts;

	EXPECT_OK(verify_await(self, &o, &counts));
	return counts.damages > 0;
}

static void world_init(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	fixture_init(&w->x);
	prng_seed(&w->random, seed);
	for (int i = 0; i < PRODUCERS; i++)
		w->model.producers[i].first_offset = -1;
}

/* --- stops -------------------------------------------------------------------------------------------------------- */

static void stops_main(struct fiber *self, void *argument)
{
	struct world *w = argument;
	struct log *l;

	for (int life = 0; life < 4; life++) {
		if (w->end)
			EXPECT(is_damaged_await(self, w, life == 3) ==
			       (life == 3)); /* entries of the files that were lost */
		l = open_await(self, w);
		if (w->end)
			check_all_await(self, w, l);
		work_await(self, w, l, 150);
		EXPECT(l->segment_count > 3);
		if (life == 2) { /* a file that is lost is made anew */
			char command[160];

			snprintf(command, sizeof(command), "ls %s/t-0/*.txnindex > /dev/null", w->x.folder);
			fixture_close_await(self, &w->x);
			EXPECT(system(command) == 0);
			snprintf(command, sizeof(command), "rm $(ls %s/t-0/*.txnindex | head -3)", w->x.folder);
			EXPECT(system(command) == 0);
			continue;
		}
		fixture_close_await(self, &w->x);
	}
}

TEST(what_was_aborted_is_told_through_rolls_and_stops)
{
	struct world *w = mem_alloc(sizeof(*w));

	for (uint64_t seed = 1; seed <= 3; seed++) {
		world_init(w, seed);
		run_over_both(1, stops_main, w);
		fixture_fini(&w->x);
	}
	mem_free(w);
}

/* --- kills -------------------------------------------------------------------------------------------------------- */

static void live_and_die_main(struct fiber *self, void *argument)
{
	struct world *w = argument;
	struct log *l;

	EXPECT(!w->end || !is_damaged_await(self, w, false));
	l = open_await(self, w);
	if (w->end)
		check_all_await(self, w, l);
	work_await(self, w, l, w->steps);
	DIE();
}

static void live_and_stop_main(struct fiber *self, void *argument)
{
	struct world *w = argument;
	struct log *l = open_await(self, w);

	check_all_await(self, w, l);
	work_await(self, w, l, w->steps);
	fixture_close_await(self, &w->x);
}

/* Recovery scans from a recovery point that is anywhere: nothing was ever synced but by the journal, or some of it, or a stop was in between. */
TEST(what_was_aborted_is_told_after_a_kill)
{
	struct world *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(w != MAP_FAILED);
	for (uint64_t seed = 1; seed <= 4; seed++) {
		world_init(w, seed);
		for (int life = 0; life < 6; life++) {
			w->steps = 20 + 40 * (int)prng_below(&w->random, 3);
			w->x.journal_bytes = seed % 2 ? (size_t)1 << 20 : 64 << 10;
			if (life == 3)
				run_over_both(1, live_and_stop_main, w);
			else
				run_and_die(life % 2 ? IO_EPOLL : IO_URING, live_and_die_main, w);
		}
		fixture_fini(&w->x);
	}
	munmap(w, sizeof(*w));
}

/* --- cuts --------------------------------------------------------------------------------------------------------- */

static void cuts_main(struct fiber *self, void *argument)
{
	struct world *w = argument;
	struct log *l = open_await(self, w);

	for (int i = 0; i < 6; i++) {
		struct model before;
		int64_t end;

		work_await(self, w, l, 60);
		before = w->model;
		end = w->end;
		for (int k = 0; k < 10 + 30 * (i % 2); k++)
			step(w, l);
		EXPECT_OK(log_truncate_await(self, l, end));
		w->model = before;
		w->end = end;
		check_all_await(self, w, l);
		if (i % 3 == 2) {
			fixture_close_await(self, &w->x);
			l = open_await(self, w);
			check_all_await(self, w, l);
		}
		EXPECT_OK(log_advance_start_await(self, l, end / 2));
		w->start = end / 2 > w->start ? end / 2 : w->start;
		check_all_await(self, w, l);
	}
	fixture_close_await(self, &w->x);
}

TEST(a_cut_forgets_what_it_takes_and_a_start_that_moves_keeps_the_rest)
{
	struct world *w = mem_alloc(sizeof(*w));

	for (uint64_t seed = 1; seed <= 2; seed++) {
		world_init(w, seed);
		run_over_both(1, cuts_main, w);
		fixture_fini(&w->x);
	}
	mem_free(w);
}

/* --- what only the journal tells ---------------------------------------------------------------------------------- */

static struct log *journalled_await(struct fiber *self, struct fixture *x)
{
	struct log_config config = small_segments();
	struct test_batch b = plain(0, 1, 100);
	struct log *l;

	fixture_open_await(self, x);
	l = fixture_log_await(self, x, "first", 0, NULL);
	while (!x->store->folders[0].journal.ready) {
		EXPECT_OK(append(l, &b, NULL));
		EXPECT_OK(log_flush_await(self, l));
		fiber_yield_await(self);
	}
	return fixture_log_await(self, x, "t", 0, &config);
}

static void shell(const struct fixture *x, const char *command)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "cd '%s' && %s", x->folder, command);
	EXPECT(system(whole) == 0);
}

#define OPENS_AT 1 /* where producer 5 begins its transaction */

static struct test_batch of_five(int32_t sequence)
{
	return (struct test_batch){
		.producer_id = 5, .sequence = sequence, .records = 1, .value_size = 60, .transactional = true};
}

static void all_below_the_start_main(struct fiber *self, void *argument)
{
	struct log *l = journalled_await(self, argument);
	struct test_batch other = plain(1, 1, 60), five = of_five(0);

	EXPECT_OK(append(l, &other, NULL));
	EXPECT_OK(append(l, &five, NULL));
	EXPECT_OK(log_flush_await(self, l));
	log_note_acknowledged(l, 2);
	EXPECT_OK(log_advance_start_await(self, l, 2));
	DIE();
}

static void who_wrote_is_known_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct test_batch five = of_five(7);
	struct log *l;

	fixture_open_await(self, x);
	l = fixture_log_await(self, x, "t", 0, NULL);
	EXPECT(log_start_offset(l) == 2 && log_end_offset(l) == 2);
	EXPECT(log_producer_count(l) == 1 && log_first_unstable(l) == 2);
	EXPECT_ERR(append(l, &five, NULL), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	five.sequence = 1;
	EXPECT_OK(append(l, &five, NULL));
	fixture_close_await(self, x);
}

/* Nothing had synced the segment's name when the power went. */
TEST(a_start_at_the_end_keeps_the_transactions_of_a_log_that_only_the_journal_has)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct fixture x;

	fixture_init(&x);
	run_and_die(IO_EPOLL, all_below_the_start_main, &x);
	shell(&x, "rm -r t-0");
	run_with(&o, who_wrote_is_known_main, &x);
	fixture_fini(&x);
}

/* The recovery point is where the log ended before it was cut; by now other segments reach beyond it. */
static void cut_below_the_point_main(struct fiber *self, void *argument)
{
	struct end_marker aborted = {.producer_id = 5};
	struct log *l = journalled_await(self, argument);
	struct test_batch other = plain(1, 1, 60), five = of_five(0);

	for (int i = 0; i < 60; i++)
		EXPECT_OK(append(l, &other, NULL));
	EXPECT_OK(log_sync_files_await(self, l));
	EXPECT_OK(keeper_write_bounds_await(self, l->folder));
	EXPECT_OK(log_truncate_await(self, l, OPENS_AT));
	shell(argument, "cp moldau-checkpoint-0 earlier");
	EXPECT_OK(append(l, &five, NULL));
	EXPECT_OK(append_end(l, &aborted, 0));
	for (int i = 0; i < 60; i++)
		EXPECT_OK(append(l, &other, NULL));
	EXPECT_OK(log_flush_await(self, l));
	log_note_acknowledged(l, log_end_offset(l));
	EXPECT_OK(append(l, &other, NULL)); /* brings the bound */
	EXPECT_OK(log_flush_await(self, l));
	DIE();
}

static void the_aborted_one_is_told_main(struct fiber *self, void *argument)
{
	struct world *w = argument;
	struct log *l = open_await(self, w);

	EXPECT(l->segment_count > 1);
	check_read_await(self, w, l, 0, 1000);
	fixture_close_await(self, &w->x);
}

TEST(a_cut_takes_the_recovery_point_along)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct world *w = mem_alloc(sizeof(*w));

	world_init(w, 1);
	w->ended[w->model.ended_count++] = (struct model_txn){5, OPENS_AT, OPENS_AT + 1, true};
	run_and_die(IO_EPOLL, cut_below_the_point_main, &w->x);
	shell(&w->x, "mv earlier moldau-checkpoint-0 && rm -f t-0/*.txnindex"); /* neither need be written yet */
	run_with(&o, the_aborted_one_is_told_main, w);
	fixture_fini(&w->x);
	mem_free(w);
}
