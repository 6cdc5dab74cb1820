/* log_test: appends, reads, rolls, restarts, producers, cuts, over the real backends. */
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"
#include "storage/state.h"

static void ordinary_main(struct fiber *self, void *argument)
{
	struct fixture x;
	struct log_config config = fixture_config();
	struct log *l;
	int64_t total = 0;

	(void)argument;
	fixture_init(&x);
	config.segment_bytes = 100000;
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "orders", 0, &config);
	EXPECT(log_end_offset(l) == 0 && log_start_offset(l) == 0);
	for (int i = 0; i < 100; i++) {
		struct test_batch b = plain(i, 1 + i % 7, 300 + (size_t)(i % 13) * 200);
		struct test_placed placed;

		EXPECT_OK(append(l, &b, &placed));
		EXPECT(placed.base_offset == total);
		total += b.records;
		EXPECT(placed.last_offset == total - 1 && log_end_offset(l) == total);
		if (i % 10 == 0)
			EXPECT_OK(log_flush_await(self, l));
	}
	EXPECT_OK(log_flush_await(self, l));
	EXPECT(log_synced_offset(l) == total && log_written_offset(l) == total);
	for (int64_t offset = 0; offset < total; offset += 17)
		EXPECT(read_all_await(self, l, offset, 20000) == total - offset);
	EXPECT(read_all_await(self, l, 0, 1) == total);
	EXPECT(log_bytes_between(l, 0, total) == log_size_bytes(l));
	EXPECT(log_bytes_between(l, total, total) == 0 && log_bytes_between(l, total - 1, total) > 0);
	fixture_close_await(self, &x);

	/* Started again from the manifest, nothing is different, and it goes on. */
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "orders", 0, &config);
	EXPECT(log_end_offset(l) == total && log_synced_offset(l) == total);
	EXPECT(read_all_await(self, l, 5, 50000) == total - 5);
	for (int i = 0; i < 30; i++) {
		struct test_batch b = plain(1000 + i, 3, 1000);

		EXPECT_OK(append(l, &b, NULL));
		total += 3;
	}
	EXPECT_OK(log_flush_await(self, l));
	EXPECT(read_all_await(self, l, 0, 50000) == total);
	fixture_close_await(self, &x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "orders", 0, &config);
	EXPECT(read_all_await(self, l, 0, 3000) == total);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(what_is_appended_is_read_back_through_rolls_and_restarts)
{
	run_over_both(1, ordinary_main, NULL);
}

/* --- reads -------------------------------------------------------------------------------------------------------- */

static void limits_main(struct fiber *self, void *argument)
{
	/* Ten batches of three records, about 380 bytes each; what is read from where, how far, how much. */
	static const struct {
		int64_t offset;
		int64_t max_offset;
		size_t max_bytes;
		bool at_least_one;
		enum err error;
		int64_t first; /* base offset of the first batch; -1: nothing */
		int batches;   /* whole ones */
	} cases[] = {
		{0, 30, 100000, true, OK, 0, 10},
		{4, 30, 100000, true, OK, 3, 9},
		{5, 6, 100000, true, OK, 3, 1},
		{5, 7, 100000, true, OK, 3, 2},
		{0, 30, 1, true, OK, 0, 1},
		{0, 30, 1, false, OK, -1, 0},
		{29, 30, 1, true, OK, 27, 1},
		{30, 30, 100, true, OK, -1, 0},
		{31, 30, 100, true, ERR_OFFSET_OUT_OF_RANGE, -1, 0},
		{-1, 30, 100, true, ERR_OFFSET_OUT_OF_RANGE, -1, 0},
		{10, 10, 100, true, OK, -1, 0},
	};
	struct fixture x;
	struct log *l;

	(void)argument;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "reads", 0, NULL);
	for (int i = 0; i < 10; i++) {
		struct test_batch b = plain(i, 3, 100);

		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	for (size_t i = 0; i < countof(cases); i++) {
		struct test_read t = {.read = {.offset = cases[i].offset,
					       .max_offset = cases[i].max_offset,
					       .max_bytes = cases[i].max_bytes,
					       .at_least_one = cases[i].at_least_one,
					       .done = test_read_done}};
		struct bytes rest, batch;
		struct batch_header h;
		int batches = 0;

		event_init(&t.over);
		log_read_start(l, &t.read);
		while (!t.done)
			EXPECT_OK(event_wait_await(self, &t.over, FIBER_NO_DEADLINE));
		EXPECT_ERR(t.read.error, cases[i].error);
		rest = t.read.records;
		if (cases[i].first < 0)
			EXPECT(rest.size == 0 && !t.read.blob);
		while (batch_next(&rest, &h, &batch) == OK) {
			EXPECT(batches > 0 || h.base_offset == cases[i].first);
			batches++;
		}
		EXPECT(batches == cases[i].batches);
		blob_unref(t.read.blob);
	}
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_read_keeps_to_its_limits)
{
	run_over_both(1, limits_main, NULL);
}

static void large_main(struct fiber *self, void *argument)
{
	struct fixture x;
	struct log *l;
	struct log_config config = fixture_config();
	struct test_batch small = plain(1, 1, 10), large = plain(2, 1, 900000);

	(void)argument;
	fixture_init(&x);
	config.segment_bytes = 8 << 20;
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "large", 0, &config);
	for (int i = 0; i < 4; i++) {
		EXPECT_OK(append(l, &small, NULL));
		EXPECT_OK(append(l, &large, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	EXPECT(read_all_await(self, l, 0, 100) == 8);
	fixture_close_await(self, &x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "large", 0, &config);
	EXPECT(read_all_await(self, l, 0, 100) == 8);
	EXPECT(read_all_await(self, l, 3, 100) == 5);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_batch_larger_than_the_limit_is_read_whole)
{
	run_over_both(1, large_main, NULL);
}

/* Large batches have an index entry each, small ones between them have none: each offset's own batch comes first. */
static void apart_main(struct fiber *self, void *argument)
{
	enum { BATCHES = 40, RECORDS = 3 };
	struct fixture x;
	struct log *l;
	struct log_config config = fixture_config();

	(void)argument;
	fixture_init(&x);
	config.segment_bytes = 64 << 20;
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "apart", 0, &config);
	for (int i = 0; i < BATCHES; i++) {
		struct test_batch b = plain(i, RECORDS, i % 5 == 3 ? 10 : 40000 + (size_t)i * 100);

		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	for (int64_t offset = 0; offset < (int64_t)BATCHES * RECORDS; offset++) {
		struct test_read t = {.read = {.offset = offset,
					       .max_offset = (int64_t)BATCHES * RECORDS,
					       .max_bytes = offset % 2 ? 1 : 200000,
					       .at_least_one = true,
					       .done = test_read_done}};
		struct bytes rest, batch;
		struct batch_header h;

		event_init(&t.over);
		log_read_start(l, &t.read);
		while (!t.done)
			EXPECT_OK(event_wait_await(self, &t.over, FIBER_NO_DEADLINE));
		EXPECT_OK(t.read.error);
		rest = t.read.records;
		EXPECT_OK(batch_next(&rest, &h, &batch));
		EXPECT(h.base_offset == offset / RECORDS * RECORDS);
		blob_unref(t.read.blob);
	}
	EXPECT(read_all_await(self, l, 0, 100000) == (int64_t)BATCHES * RECORDS);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(where_index_entries_lie_far_apart_the_right_batch_is_read)
{
	run_over_both(1, apart_main, NULL);
}

static struct test_read one_read_await(struct fiber *self, struct log *l, struct log_read what)
{
	struct test_read t = {.read = what};

	t.read.done = test_read_done;
	event_init(&t.over);
	log_read_start(l, &t.read);
	while (!t.done)
		EXPECT_OK(event_wait_await(self, &t.over, FIBER_NO_DEADLINE));
	EXPECT_OK(t.read.error);
	return t;
}

/* What stays in its file is the very same that would have been read. 1 when it stayed. */
static int compare_await(struct fiber *self, struct log *l, struct log_read what)
{
	struct test_read copied = one_read_await(self, l, what), stayed;
	const struct blob *b;
	uint8_t *bytes;
	size_t count;
	int stays;

	what.may_stay = true;
	stayed = one_read_await(self, l, what);
	b = stayed.read.blob;
	stays = b && b->file;
	if (stays) {
		struct bytes rest, batch;
		struct batch_header h;

		EXPECT(stayed.read.records.size == b->size && b->size <= copied.read.records.size);
		EXPECT(b->size >= (size_t)64 * 1024 && (b->size <= what.max_bytes || what.at_least_one));
		bytes = mem_alloc(b->size);
		EXPECT_OK(file_read_await(self, b->file, bytes, b->size, b->position, &count));
		EXPECT(count == b->size && memcmp(bytes, copied.read.records.data, count) == 0);
		rest = bytes_of(bytes, count);
		while (batch_next(&rest, &h, &batch) == OK)
			EXPECT(h.base_offset < what.max_offset);
		mem_free(bytes);
	} else {
		EXPECT(bytes_equal(stayed.read.records, copied.read.records));
	}
	blob_unref(stayed.read.blob);
	blob_unref(copied.read.blob);
	return stays;
}

static void stays_main(struct fiber *self, void *argument)
{
	/* Values of one size each: far apart in the index, and close together. */
	static const size_t sizes[] = {300, 3000, 40000, 200000};
	struct fixture x;

	(void)argument;
	fixture_init(&x);
	x.read_budget = (size_t)64 << 20;
	fixture_open_await(self, &x);
	for (size_t i = 0; i < countof(sizes); i++) {
		struct log_config config = fixture_config();
		char topic[32];
		struct log *l;
		int64_t total = 0;
		int stayed = 0, reads = 0;

		config.segment_bytes = 1500000;
		snprintf(topic, sizeof(topic), "stays-%zu", sizes[i]);
		l = fixture_log_await(self, &x, topic, 0, &config);
		for (int64_t bytes = 0; bytes < 4000000; bytes += 3 * (int64_t)sizes[i], total += 3) {
			struct test_batch b = plain(total, 3, sizes[i]);

			EXPECT_OK(append(l, &b, NULL));
		}
		EXPECT_OK(log_flush_await(self, l));
		for (int64_t offset = 0; offset < total; offset += 1 + total / 97)
			for (int64_t bound = offset + 1; bound <= total + 2; bound += 1 + (total - offset) / 5) {
				struct log_read what = {.offset = offset,
							.max_offset = bound > total ? total : bound,
							.max_bytes = reads % 3 ? 1000000 : 70000,
							.at_least_one = reads % 2};

				stayed += compare_await(self, l, what);
				reads++;
			}
		EXPECT(stayed > reads / 4 && stayed < reads);
	}
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(what_stays_in_its_file_is_what_would_have_been_read)
{
	run_over_both(1, stays_main, NULL);
}

static void outlives_main(struct fiber *self, void *argument)
{
	struct fixture x;
	struct log *l;
	struct log_read what = {.max_offset = 300, .max_bytes = 1000000, .may_stay = true};
	struct test_read t;
	uint8_t header[BATCH_HEADER_SIZE];
	size_t count;

	(void)argument;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "outlives", 0, NULL);
	for (int i = 0; i < 100; i++) {
		struct test_batch b = plain(i, 3, 1000);

		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	t = one_read_await(self, l, what);
	EXPECT(t.read.blob->file);
	EXPECT_OK(log_delete_await(self, l));
	EXPECT_OK(file_read_await(self, t.read.blob->file, header, sizeof(header), t.read.blob->position, &count));
	EXPECT(count == sizeof(header) && get_be64(header) == 0);
	blob_unref(t.read.blob);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_lent_file_outlives_its_log)
{
	run_over_both(1, outlives_main, NULL);
}

/* --- producers ---------------------------------------------------------------------------------------------------- */

static void producers_main(struct fiber *self, void *argument)
{
	struct fixture x;
	struct log *l;
	struct test_batch b = {
		.producer_id = 77, .epoch = 0, .sequence = 0, .records = 2, .value_size = 50, .timestamp = 500};
	struct test_placed placed;

	(void)argument;
	fixture_init(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "idempotent", 0, NULL);
	EXPECT_OK(append(l, &b, NULL));
	b.sequence = 2;
	EXPECT_OK(append(l, &b, NULL));
	EXPECT_ERR(append(l, &b, &placed), ERR_DUPLICATE_SEQUENCE_NUMBER);
	EXPECT(placed.base_offset == 2 && placed.last_offset == 3 && placed.timestamp == 501);
	b.sequence = 6;
	EXPECT_ERR(append(l, &b, &placed), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	EXPECT(log_end_offset(l) == 4 && log_producer_count(l) == 1);
	EXPECT_OK(log_flush_await(self, l));
	fixture_close_await(self, &x);
	/* The last batch is known after a restart. */
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "idempotent", 0, NULL);
	b.sequence = 2;
	EXPECT_ERR(append(l, &b, &placed), ERR_DUPLICATE_SEQUENCE_NUMBER);
	EXPECT(placed.base_offset == 2);
	b.sequence = 4;
	EXPECT_OK(append(l, &b, NULL));
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_duplicate_is_known_over_a_restart)
{
	run_over_both(1, producers_main, NULL);
}

/* --- cutting and moving ------------------------------------------------------------------------------------------- */

static void cut_main(struct fiber *self, void *argument)
{
	struct fixture x;
	struct log *l;
	struct log_config config = fixture_config();
	struct test_batch b = plain(0, 5, 500);
	struct test_batch p = {.producer_id = 5, .records = 5, .value_size = 500, .timestamp = 10};

	(void)argument;
	fixture_init(&x);
	config.segment_bytes = 20000;
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "cut", 3, &config);
	for (int i = 0; i < 40; i++)
		EXPECT_OK(append(l, &b, NULL));
	for (int i = 0; i < 4; i++, p.sequence += 5)
		EXPECT_OK(append(l, &p, NULL));
	EXPECT_OK(log_flush_await(self, l));
	log_note_acknowledged(l, 220);
	EXPECT_OK(log_truncate_await(self, l, 210));
	EXPECT(log_end_offset(l) == 210 && log_synced_offset(l) == 210);
	p.sequence = 15;
	EXPECT_ERR(append(l, &p, NULL), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	p.sequence = 10;
	EXPECT_OK(append(l, &p, NULL));
	EXPECT_OK(log_truncate_await(self, l, 31)); /* in the middle of the batch that begins at 30 */
	EXPECT(log_end_offset(l) == 30);
	EXPECT(read_all_await(self, l, 0, 10000) == 30);
	for (int i = 0; i < 10; i++)
		EXPECT_OK(append(l, &b, NULL));
	EXPECT_OK(log_flush_await(self, l));
	EXPECT_OK(log_advance_start_await(self, l, 47));
	EXPECT(log_start_offset(l) == 47);
	EXPECT(read_all_await(self, l, 47, 10000) == 33);
	EXPECT_ERR(log_advance_start_await(self, l, 81), ERR_OFFSET_OUT_OF_RANGE);
	fixture_close_await(self, &x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "cut", 3, &config);
	EXPECT(log_start_offset(l) == 47 && log_end_offset(l) == 80);
	EXPECT(read_all_await(self, l, 47, 10000) == 33);
	EXPECT_OK(log_delete_await(self, l));
	l = fixture_log_await(self, &x, "cut", 3, &config);
	EXPECT(log_start_offset(l) == 0 && log_end_offset(l) == 0);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_log_is_cut_moved_and_deleted)
{
	run_over_both(1, cut_main, NULL);
}

/* --- timestamps --------------------------------------------------------------------------------------------------- */

static void times_main(struct fiber *self, void *argument)
{
	/* Batches of two records at these times and one more; the third goes back in time. */
	static const int64_t times[] = {100, 200, 150, 300, 300, 400};
	static const struct {
		int64_t wanted, max_offset, offset, timestamp;
	} cases[] = {
		{0, 12, 0, 100},   {101, 12, 1, 101},  {102, 12, 2, 200},  {201, 12, 3, 201}, {202, 12, 6, 300},
		{301, 12, 7, 301}, {302, 12, 10, 400}, {401, 12, 11, 401}, {402, 12, -1, -1}, {302, 10, -1, -1},
	};
	struct fixture x;
	struct log *l;
	struct log_config config = fixture_config();
	int64_t offset, timestamp;
	int32_t epoch;

	(void)argument;
	fixture_init(&x);
	config.segment_bytes = 600;
	config.index_interval_bytes = 0;
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "times", 0, &config);
	EXPECT_OK(log_find_max_timestamp_await(self, l, 0, &offset, &timestamp, &epoch));
	EXPECT(offset == -1);
	for (size_t i = 0; i < countof(times); i++) {
		struct test_batch b = plain(0, 2, 100);

		b.timestamp = times[i];
		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < countof(cases); i++) {
			EXPECT_OK(log_find_timestamp_await(self, l, cases[i].wanted, cases[i].max_offset, &offset,
							   &timestamp, &epoch));
			EXPECT(offset == cases[i].offset && timestamp == cases[i].timestamp);
		}
		EXPECT_OK(log_find_max_timestamp_await(self, l, 12, &offset, &timestamp, &epoch));
		EXPECT(offset == 11 && timestamp == 401 && epoch == 0);
		EXPECT_OK(log_find_max_timestamp_await(self, l, 10, &offset, &timestamp, &epoch));
		EXPECT(offset == 7 && timestamp == 301);
		fixture_close_await(self, &x);
		fixture_open_await(self, &x);
		l = fixture_log_await(self, &x, "times", 0, &config);
	}
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(offsets_are_found_by_timestamp_in_order_of_offset)
{
	run_over_both(1, times_main, NULL);
}

/* --- many logs, few files ----------------------------------------------------------------------------------------- */

#define MANY 300

static void many_main(struct fiber *self, void *argument)
{
	struct fixture x;
	static struct log *logs[MANY];

	(void)argument;
	fixture_init(&x);
	x.max_open_files = 20;
	x.journal_bytes = 256 << 10;
	fixture_open_await(self, &x);
	for (int i = 0; i < MANY; i++)
		logs[i] = fixture_log_await(self, &x, "many", i, NULL);
	for (int round = 0; round < 5; round++) {
		struct test_batch b = plain(round, 2, 200);

		for (int i = 0; i < MANY; i++)
			EXPECT_OK(append(logs[i], &b, NULL));
		for (int i = 0; i < MANY; i++)
			EXPECT_OK(log_flush_await(self, logs[i]));
	}
	for (int i = 0; i < MANY; i++)
		EXPECT(read_all_await(self, logs[i], 0, 1000) == 10);
	fixture_close_await(self, &x);
	fixture_open_await(self, &x);
	for (int i = 0; i < MANY; i++)
		logs[i] = fixture_log_await(self, &x, "many", i, NULL);
	for (int i = 0; i < MANY; i += 7)
		EXPECT(read_all_await(self, logs[i], 0, 1000) == 10);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(many_logs_live_with_few_open_files)
{
	run_over_both(1, many_main, NULL);
}

/* --- who may use a folder ----------------------------------------------------------------------------------------- */

static void busy_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;

	EXPECT_ERR(fixture_try_open_await(self, x), ERR_BUSY);
	DIE();
}

static void lock_main(struct fiber *self, void *argument)
{
	struct fixture x;
	char path[128], *text;
	FILE *f;

	(void)argument;
	fixture_init(&x);
	fixture_open_await(self, &x);
	run_and_die(IO_EPOLL, busy_main, &x);
	fixture_close_await(self, &x);
	snprintf(path, sizeof(path), "%s/meta.properties", x.folder);
	f = fopen(path, "w");
	EXPECT(f);
	fputs("version=1\ncluster.id=abc\nnode.id=2\n", f);
	fclose(f);
	EXPECT_ERR(fixture_try_open_await(self, &x), ERR_CONFLICT);
	f = fopen(path, "w");
	EXPECT(f);
	fputs("nonsense", f);
	fclose(f);
	EXPECT_ERR(fixture_try_open_await(self, &x), ERR_CORRUPT);
	(void)text;
	fixture_fini(&x);
}

TEST(a_folder_in_use_or_of_another_node_is_refused)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	run_with(&o, lock_main, NULL);
}

/* --- a cut amid rounds -------------------------------------------------------------------------------------------- */

struct marking {
	struct log *cut;
	struct log *other;
	bool over;
	bool ended;
};

/*
 * While the cut syncs what is there, somebody wants the log synced, which is nothing to do, in rounds that take their time for another log: they
 * end when it is cut.
 */
static void marking_main(struct fiber *self, void *argument)
{
	struct marking *m = argument;
	uint32_t before = m->cut->truncations;

	while (m->cut->truncations == before && !m->over) {
		struct test_batch b = plain(0, 1, 50);

		if (m->cut->closing && m->cut->pins > 0) {
			m->cut->flush_wanted = true;
			commit_mark(m->cut);
			EXPECT_OK(append(m->other, &b, NULL));
		}
		fiber_yield_await(self);
	}
	m->ended = true;
}

static void cut_amid_main(struct fiber *self, void *argument)
{
	static const struct fiber_options options = {.name = "marking"};
	struct marking m = {0};
	struct fixture x;

	(void)argument;
	fixture_init(&x);
	fixture_open_await(self, &x);
	m.cut = fixture_log_await(self, &x, "cut", 0, NULL);
	m.other = fixture_log_await(self, &x, "other", 0, NULL);
	for (int i = 0; i < 60; i++) {
		struct test_batch b = plain(i, 1, 50);

		EXPECT_OK(append(m.cut, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, m.cut));
	for (int64_t end = 50; end > 0; end -= 10) {
		m.over = m.ended = false;
		EXPECT(fiber_start(fiber_shard(self), &options, marking_main, &m));
		EXPECT_OK(log_truncate_await(self, m.cut, end));
		m.over = true;
		EXPECT_OK(log_flush_await(self, m.other));
		while (!m.ended || m.cut->rounds)
			fiber_yield_await(self);
		EXPECT(log_end_offset(m.cut) == end && log_synced_offset(m.cut) == end);
	}
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_round_that_began_before_a_cut_does_not_say_that_what_is_gone_is_synced)
{
	run_over_both(1, cut_amid_main, NULL);
}
