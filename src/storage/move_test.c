/* move_test: logs go to another folder while they are used, and whatever a process that died left of that; over the real file system. */
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"
#include "storage/move_own.h"

#define MANY 60

static struct log_config few_a_segment(void)
{
	struct log_config config = fixture_config();

	config.segment_bytes = 20000;
	return config;
}

static void append_more_await(struct fiber *self, struct log *l, int count)
{
	for (int i = 0; i < count; i++) {
		struct test_batch b = plain(i, 2, 900);

		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
}

/* The names in a folder of log.dirs that begin so, and end so. */
static int names(const char *folder, const char *beginning, const char *ending)
{
	struct dirent *entry;
	int count = 0;
	DIR *d = opendir(folder);

	EXPECT(d);
	while ((entry = readdir(d)) != NULL) {
		size_t size = strlen(entry->d_name);

		count += strncmp(entry->d_name, beginning, strlen(beginning)) == 0 && size >= strlen(ending) &&
			 strcmp(entry->d_name + size - strlen(ending), ending) == 0;
	}
	closedir(d);
	return count;
}

static void move_over_await(struct fiber *self, struct log *l, size_t folder)
{
	struct log_future future;

	EXPECT_OK(log_move(l, folder));
	for (int i = 0; l->move; i++) {
		EXPECT(!log_future(l, &future) || future.folder == folder);
		if (i % 3 == 0)
			append_more_await(self, l, 1);
		EXPECT_OK(fiber_sleep_await(self, 500));
	}
	EXPECT(log_folder_index(l) == folder && log_state(l) == OK);
}

static void expect_all_await(struct fiber *self, struct log *l, int64_t end)
{
	EXPECT(log_end_offset(l) == end && log_synced_offset(l) == end);
	EXPECT(read_all_await(self, l, log_start_offset(l), 30000) == end - log_start_offset(l));
}

/* Slow enough that a move does not end by itself. */
static void slow_down(struct fixture *x)
{
	struct store_settings slow = {.move_bytes_per_second = 30000};

	store_configure(x->store, &slow);
}

static void used_main(struct fiber *self, void *argument)
{
	struct log_config config = few_a_segment();
	struct fixture x;
	struct log *l;
	int64_t end;

	(void)argument;
	fixture_init(&x);
	fixture_take_another(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	EXPECT(log_folder_index(l) == 0);
	append_more_await(self, l, MANY);
	EXPECT_OK(log_advance_start_await(self, l, 25));
	move_over_await(self, l, 1);
	append_more_await(self, l, 3);
	end = log_end_offset(l);
	expect_all_await(self, l, end);
	EXPECT(names(x.folder, "t-0", "") == 0 && names(x.folder, MOVES_PREFIX, "") == 0);
	EXPECT(names(x.other, "t-0", "") == 1);
	fixture_close_await(self, &x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	EXPECT(log_folder_index(l) == 1 && log_start_offset(l) == 25);
	expect_all_await(self, l, end);
	move_over_await(self, l, 0);
	EXPECT(names(x.other, "t-0", "") == 0);
	expect_all_await(self, l, log_end_offset(l));
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_log_is_moved_and_back_while_it_is_appended_to_and_read)
{
	run_over_both(1, used_main, NULL);
}

static void empty_main(struct fiber *self, void *argument)
{
	struct fixture x;
	struct log *l;

	(void)argument;
	fixture_init(&x);
	fixture_take_another(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, NULL);
	move_over_await(self, l, 1);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(an_empty_log_is_moved)
{
	run_over_both(1, empty_main, NULL);
}

static void asked_main(struct fiber *self, void *argument)
{
	struct log_config config = few_a_segment();
	struct log_future future;
	struct fixture x;
	struct log *l, *gone;

	(void)argument;
	fixture_init(&x);
	fixture_take_another(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	append_more_await(self, l, MANY);
	EXPECT_OK(log_move(l, 0));
	EXPECT(!log_future(l, &future) && !l->move);
	slow_down(&x);
	EXPECT_OK(log_move(l, 1));
	EXPECT(log_future(l, &future) && future.folder == 1 && future.size_bytes == 0);
	while (future.size_bytes == 0) {
		EXPECT_OK(fiber_sleep_await(self, 500));
		EXPECT(log_future(l, &future));
	}
	EXPECT(future.end_offset > 0 && future.end_offset < log_end_offset(l));
	EXPECT(names(x.other, "t-0.", "-future") == 1);
	/* The one that is wanted last counts. */
	EXPECT_OK(log_move(l, 0));
	EXPECT(!log_future(l, &future));
	while (l->move)
		EXPECT_OK(fiber_sleep_await(self, 500));
	EXPECT(log_folder_index(l) == 0 && names(x.other, "t-0", "") == 0);
	/* A topic that is deleted takes its copy along. */
	gone = fixture_log_await(self, &x, "gone", 0, &config);
	append_more_await(self, gone, MANY);
	EXPECT_OK(log_move(gone, !log_folder_index(gone)));
	while (!gone->move->size_bytes)
		EXPECT_OK(fiber_sleep_await(self, 500));
	EXPECT_OK(log_delete_await(self, gone));
	EXPECT(names(x.folder, "gone", "") == 0 && names(x.other, "gone", "") == 0);
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_move_is_told_and_given_up)
{
	run_over_both(1, asked_main, NULL);
}

/* --- what is mended beside the records while they are copied -------------------------------------------------------- */

/* As a power failure leaves a snapshot that nobody synced. */
static void tear_snapshot(const struct fixture *x, const struct segment *s)
{
	char path[LOG_PATH_SIZE], name[LOG_NAME_SIZE];

	segment_name_format(name, s->base_offset, SEGMENT_SNAPSHOT);
	snprintf(path, sizeof(path), "%s/t-0/%s", x->folder, name);
	EXPECT(truncate(path, 20) == 0);
}

/* Of producer 7, whose transaction is open, only the first segment tells, which goes. */
static void mended_main(struct fiber *self, void *argument)
{
	struct test_batch of_seven = {.producer_id = 7, .records = 1, .value_size = 60, .transactional = true};
	struct log_config config = few_a_segment();
	struct store_settings fast = {0};
	struct fixture x;
	struct log *l;

	(void)argument;
	fixture_init(&x);
	fixture_take_another(&x);
	fixture_open_await(self, &x);
	l = fixture_log_await(self, &x, "t", 0, &config);
	EXPECT_OK(append(l, &of_seven, NULL));
	append_more_await(self, l, MANY);
	while (!list_empty(&l->folder->rolled))
		EXPECT_OK(fiber_sleep_await(self, 500));
	EXPECT_OK(log_sync_files_await(self, l));
	tear_snapshot(&x, l->segments[1]);
	slow_down(&x);
	EXPECT_OK(log_move(l, 1));
	while (!l->segments[1]->sides_moved)
		EXPECT_OK(fiber_sleep_await(self, 500));
	EXPECT_OK(log_advance_start_await(self, l, l->segments[1]->base_offset)); /* needs it, and makes it anew */
	EXPECT(log_folder_index(l) == 0);
	store_configure(x.store, &fast);
	while (l->move)
		EXPECT_OK(fiber_sleep_await(self, 500));
	EXPECT(log_folder_index(l) == 1);
	EXPECT_OK(log_truncate_await(self, l, log_start_offset(l) + 2)); /* the producers are made anew */
	EXPECT(log_producer_count(l) == 1 && log_first_unstable(l) == log_start_offset(l));
	fixture_close_await(self, &x);
	fixture_fini(&x);
}

TEST(a_snapshot_that_is_made_anew_while_its_log_is_moved_comes_along)
{
	run_over_both(1, mended_main, NULL);
}

/* --- what is left by a process that ended -------------------------------------------------------------------------- */

struct ended {
	struct fixture x;
	bool cleanly;
};

static void begin_and_end_main(struct fiber *self, void *argument)
{
	struct log_config config = few_a_segment();
	struct ended *e = argument;
	struct log *l;

	fixture_open_await(self, &e->x);
	l = fixture_log_await(self, &e->x, "t", 0, &config);
	append_more_await(self, l, MANY);
	slow_down(&e->x);
	EXPECT_OK(log_move(l, 1));
	while (l->move->size_bytes < 25000)
		EXPECT_OK(fiber_sleep_await(self, 500));
	if (e->cleanly)
		fixture_close_await(self, &e->x);
	DIE();
}

static void gone_on_main(struct fiber *self, void *argument)
{
	struct log_config config = few_a_segment();
	struct ended *e = argument;
	struct log *l;

	EXPECT(names(e->x.other, "t-0.", "-future") == 1);
	fixture_open_await(self, &e->x);
	l = fixture_log_await(self, &e->x, "t", 0, &config);
	EXPECT(l->move && log_folder_index(l) == 0);
	while (l->move)
		EXPECT_OK(fiber_sleep_await(self, 500));
	EXPECT(log_folder_index(l) == 1 && names(e->x.other, "t-0", "") == 1 && names(e->x.folder, "t-0", "") == 0);
	expect_all_await(self, l, 2 * MANY);
	fixture_close_await(self, &e->x);
	fixture_fini(&e->x);
}

TEST(a_move_that_was_begun_goes_on_after_a_restart)
{
	static const bool cleanly[] = {true, false};

	for (size_t i = 0; i < countof(cleanly); i++) {
		struct ended e = {.cleanly = cleanly[i]};

		fixture_init(&e.x);
		fixture_take_another(&e.x);
		run_and_die(IO_EPOLL, begin_and_end_main, &e);
		run_with(&(struct linux_options){.shards = 1, .io = IO_EPOLL}, gone_on_main, &e);
	}
}

/* What a move that was cut short may leave: the log in both folders, and a mark in the old one. */
struct both {
	struct fixture x;
	struct uuid ids[2];
	enum err opened;       /* the storage, */
	enum err log_opened;   /* the log, */
	size_t folder;         /* and where it is */
	bool other_is_missing; /* the folder itself, at that start */
};

static void make_one_main(struct fiber *self, void *argument)
{
	struct log_config config = few_a_segment();
	struct both *b = argument;
	struct log *l;

	fixture_open_await(self, &b->x);
	for (size_t i = 0; i < 2; i++)
		b->ids[i] = b->x.storage->folders[i].meta.directory_id;
	l = fixture_log_await(self, &b->x, "t", 0, &config);
	append_more_await(self, l, MANY);
	EXPECT_OK(log_sync_files_await(self, l));
	fixture_close_await(self, &b->x);
}

static void run_shell(const char *command)
{
	EXPECT(system(command) == 0);
}

/* As after kill -9, and perhaps with the log in the other folder as well. */
static void spoil(const struct both *b, bool log_is_there)
{
	char command[400];

	snprintf(command, sizeof(command), "rm '%s/.kafka_cleanshutdown' '%s/.kafka_cleanshutdown'", b->x.folder,
		 b->x.other);
	run_shell(command);
	snprintf(command, sizeof(command), "cp -r '%s/t-0' '%s'", b->x.folder, b->x.other);
	if (log_is_there)
		run_shell(command);
}

static void write_mark(const char *folder, struct uuid there)
{
	struct moved_log m = {bytes_str("t"), 0, fixture_id("t"), there};
	char path[100];
	struct buf out;
	FILE *f;

	buf_init(&out, 1000);
	moves_write_head(&out);
	moves_write_entry(&out, &m);
	moves_write_end(&out);
	snprintf(path, sizeof(path), "%s/" MOVES_PREFIX "0", folder);
	f = fopen(path, "w");
	EXPECT(f && fwrite(out.data, 1, out.size, f) == out.size && fclose(f) == 0);
	buf_fini(&out);
}

static void open_both_main(struct fiber *self, void *argument)
{
	struct log_config config = few_a_segment();
	struct both *b = argument;
	struct log *l;

	if (b->other_is_missing)
		b->x.other[0] = 0;
	EXPECT_ERR(fixture_try_open_await(self, &b->x), b->opened);
	if (b->opened)
		return;
	EXPECT_ERR(fixture_try_log_await(self, &b->x, "t", 0, &config, &l), b->log_opened);
	if (!b->log_opened) {
		EXPECT(log_folder_index(l) == b->folder);
		expect_all_await(self, l, 2 * MANY);
		EXPECT(names(b->x.folder, "t-0", "") == (b->folder == 0));
		EXPECT(names(b->x.folder, MOVES_PREFIX, "") == 0 && names(b->x.other, MOVES_PREFIX, "") == 0);
	} else {
		EXPECT(names(b->x.folder, MOVES_PREFIX, "") == 1);
	}
	(void)!store_close_await(self, b->x.store);
	(void)!storage_close_await(self, b->x.storage);
}

static void try_both(bool log_is_there, bool marked, bool missing, struct both b)
{
	fixture_init(&b.x);
	fixture_take_another(&b.x);
	run_with(&(struct linux_options){.shards = 1, .io = IO_EPOLL}, make_one_main, &b);
	spoil(&b, log_is_there);
	if (marked)
		write_mark(b.x.folder, b.ids[1]);
	b.other_is_missing = missing;
	run_with(&(struct linux_options){.shards = 1, .io = IO_EPOLL}, open_both_main, &b);
	fixture_fini(&b.x);
}

TEST(of_two_folders_of_a_log_the_one_that_it_was_moved_to_is_kept)
{
	try_both(true, true, false, (struct both){.folder = 1});
}

TEST(a_move_that_had_not_happened_leaves_the_log_where_it_was)
{
	try_both(false, true, false, (struct both){.folder = 0});
}

TEST(a_log_that_may_be_newer_in_a_folder_that_is_not_there_is_offline)
{
	try_both(true, true, true, (struct both){.log_opened = ERR_OFFLINE});
}

TEST(a_log_in_two_folders_ends_the_start_where_nothing_says_which_is_newer)
{
	try_both(true, false, false, (struct both){.opened = ERR_CORRUPT});
}
