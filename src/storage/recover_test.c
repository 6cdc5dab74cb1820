/* recover_test: what a log is after its process died and its files were damaged, over the real file system. */
#include <fcntl.h>

#include "base/crc32c.h"
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"
#include "storage/state.h"
#include "storage/verify.h"

#define LARGE 70000 /* a batch of this size is not worth the journal: only the segment has it */

static void path_of(const struct fixture *x, const char *name, char path[static 256])
{
	snprintf(path, 256, "%s/%s", x->folder, name);
}

static void shell(const struct fixture *x, const char *command)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "cd '%s' && %s", x->folder, command);
	EXPECT(system(whole) == 0);
}

static void flip(const struct fixture *x, const char *name, off_t at)
{
	char path[256];
	uint8_t byte;
	int fd;

	path_of(x, name, path);
	fd = open(path, O_RDWR);
	EXPECT(fd >= 0);
	EXPECT(pread(fd, &byte, 1, at) == 1);
	byte ^= 0x10;
	EXPECT(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
}

static off_t size_of(const struct fixture *x, const char *name)
{
	char path[256];
	struct stat st;

	path_of(x, name, path);
	EXPECT(stat(path, &st) == 0);
	return st.st_size;
}

#define STATE "moldau-state"
/* As builds before the checksum left it. */
#define OLD_STATE "sed -i -e s/version=2/version=1/ -e /crc32c/d " STATE

#define SEGMENT "t-0/00000000000000000000.log"

static struct log_config large_segments(void)
{
	struct log_config config = fixture_config();

	config.segment_bytes = 100 << 20;
	return config;
}

/* Ten large batches of one record, of which eight are known for ever to be acknowledged; then the process dies. */
static void ten_batches_main(struct fiber *self, void *argument)
{
	struct log_config config = large_segments();
	struct log *l;

	fixture_open_await(self, argument);
	l = fixture_log_await(self, argument, "t", 0, &config);
	for (int i = 0; i < 10; i++) {
		struct test_batch b = plain(i, 1, LARGE);

		EXPECT_OK(append(l, &b, NULL));
		EXPECT_OK(log_flush_await(self, l));
		if (i == 7) {
			log_note_acknowledged(l, 8);
			EXPECT_OK(log_advance_start_await(self, l, 1)); /* writes the bounds */
		}
	}
	DIE();
}

struct harm {
	const char *what;
	int cut_bytes;       /* off the end */
	int flip_batch;      /* -1: none */
	const char *command; /* NULL: none */
	enum err err;
	int64_t end;
};

struct harm_case {
	struct fixture x;
	const struct harm *damage;
};

static void reopen_main(struct fiber *self, void *argument)
{
	struct harm_case *c = argument;
	struct log_config config = large_segments();
	struct log *l = NULL;

	fixture_open_await(self, &c->x);
	EXPECT_ERR(fixture_try_log_await(self, &c->x, "t", 0, &config, &l), c->damage->err);
	if (l) {
		struct test_batch b = plain(99, 1, 10);
		struct test_placed placed;

		EXPECT(log_end_offset(l) == c->damage->end && log_synced_offset(l) == c->damage->end);
		EXPECT(log_start_offset(l) == 1 && log_latest_epoch(l) == 0);
		EXPECT(read_all_await(self, l, 1, 100000) == c->damage->end - 1);
		EXPECT_OK(append(l, &b, &placed));
		EXPECT(placed.base_offset == c->damage->end);
		EXPECT_OK(log_flush_await(self, l));
		EXPECT(read_all_await(self, l, 1, 100000) == c->damage->end);
	}
	fixture_close_await(self, &c->x);
}

TEST(a_torn_tail_is_cut_and_damage_below_the_bound_is_not)
{
	static const struct harm cases[] = {
		{"nothing", 0, -1, NULL, OK, 10},
		{"the last batch is short", 100, -1, NULL, OK, 9},
		{"only a piece of its header is left", LARGE + 50, -1, NULL, OK, 9},
		{"a flipped bit in the last batch", 0, 9, NULL, OK, 9},
		{"a flipped bit in the first that nobody was told of", 0, 8, NULL, OK, 8},
		{"a flipped bit in the last acknowledged one", 0, 7, NULL, ERR_CORRUPT, 0},
		{"a flipped bit early", 0, 1, NULL, ERR_CORRUPT, 0},
		{"an acknowledged batch is missing", 3 * LARGE, -1, NULL, ERR_CORRUPT, 0},
		{"garbage behind the end", 0, -1, "head -c 5000 /dev/zero >> " SEGMENT, OK, 10},
		{"another garbage behind the end", 0, -1, "head -c 5000 /usr/bin/env >> " SEGMENT, OK, 10},
		{"no epochs, no snapshots, no indexes", 0, -1, "rm -f t-0/*.index t-0/*epoch* t-0/*.snapshot", OK, 10},
		{"nonsense in the epochs", 0, -1, "echo nonsense > t-0/leader-epoch-checkpoint", OK, 10},
		{"no segment at all", 0, -1, "rm " SEGMENT, ERR_CORRUPT, 0},
	};
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	for (size_t i = 0; i < countof(cases); i++) {
		struct harm_case c = {.damage = &cases[i]};
		off_t batch;

		fixture_init(&c.x);
		run_and_die(IO_EPOLL, ten_batches_main, &c.x);
		batch = size_of(&c.x, SEGMENT) / 10;
		if (cases[i].cut_bytes) {
			char path[256];

			path_of(&c.x, SEGMENT, path);
			EXPECT(truncate(path, size_of(&c.x, SEGMENT) - cases[i].cut_bytes) == 0);
		}
		if (cases[i].flip_batch >= 0)
			flip(&c.x, SEGMENT, batch * cases[i].flip_batch + batch / 2);
		if (cases[i].command)
			shell(&c.x, cases[i].command);
		run_with(&o, reopen_main, &c);
		fixture_fini(&c.x);
	}
}

/* --- the journal -------------------------------------------------------------------------------------------------- */

#define ROUNDS 12

/* A log whose records are all in the journal; each round of its own. */
static void journalled_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct test_batch b = plain(0, 1, 100);
	struct log *l;

	fixture_open_await(self, x);
	l = fixture_log_await(self, x, "first", 0, NULL);
	while (!x->store->folders[0].journal.ready) {
		EXPECT_OK(append(l, &b, NULL));
		EXPECT_OK(log_flush_await(self, l));
		fiber_yield_await(self);
	}
	l = fixture_log_await(self, x, "t", 0, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		struct test_batch p = {
			.producer_id = 9, .sequence = i, .records = 1, .value_size = 300, .timestamp = i};

		EXPECT_OK(append(l, &p, NULL));
		EXPECT_OK(log_flush_await(self, l));
	}
	DIE();
}

struct journal_case {
	struct fixture x;
	int64_t end;
};

static void replayed_main(struct fiber *self, void *argument)
{
	struct journal_case *c = argument;
	struct test_batch p = {.producer_id = 9, .sequence = (int32_t)c->end, .records = 1, .value_size = 300};
	struct log *l;

	fixture_open_await(self, &c->x);
	l = fixture_log_await(self, &c->x, "t", 0, NULL);
	EXPECT(log_end_offset(l) == c->end && log_synced_offset(l) == c->end);
	EXPECT(read_all_await(self, l, 0, 1000) == c->end);
	EXPECT_OK(append(l, &p, NULL));
	fixture_close_await(self, &c->x);
}

/* The last block of the journal on which a round starts. */
static off_t last_round(const struct fixture *x)
{
	char path[256], block[JOURNAL_BLOCK];
	off_t last = -1;
	int fd;

	path_of(x, "moldau-journal-0-0", path);
	fd = open(path, O_RDONLY);
	EXPECT(fd >= 0);
	for (off_t at = 0; pread(fd, block, sizeof(block), at) == (ssize_t)sizeof(block); at += (off_t)sizeof(block))
		if (memcmp(block, "MJN1", 4) == 0)
			last = at;
	close(fd);
	return last;
}

TEST(what_only_the_journal_has_comes_back)
{
	static const struct {
		const char *what;
		const char *command;
		bool tear; /* the journal's last round */
		int64_t end;
	} cases[] = {
		{"all is there", "true", false, ROUNDS},
		{"the folder is gone", "rm -r t-0", false, ROUNDS},
		{"the segment is gone", "rm " SEGMENT, false, ROUNDS},
		{"the segment is short", "truncate -s 500 " SEGMENT, false, ROUNDS},
		{"the segment is zeros", "truncate -s 0 " SEGMENT " && truncate -s 4000 " SEGMENT, false, ROUNDS},
		{"the metadata is torn", "truncate -s 3 t-0/partition.metadata || true", false, ROUNDS},
		{"the state is of version 1", OLD_STATE, false, ROUNDS},
		{"the folder is gone, the last round torn", "rm -r t-0", true, ROUNDS - 1},
	};
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	for (size_t i = 0; i < countof(cases); i++) {
		struct journal_case c = {.end = cases[i].end};

		fixture_init(&c.x);
		run_and_die(IO_EPOLL, journalled_main, &c.x);
		shell(&c.x, cases[i].command);
		if (cases[i].tear)
			flip(&c.x, "moldau-journal-0-0", last_round(&c.x) + 200);
		run_with(&o, replayed_main, &c);
		fixture_fini(&c.x);
	}
}

struct refused_case {
	struct fixture x;
	enum err error;
};

static void refused_main(struct fiber *self, void *argument)
{
	struct refused_case *c = argument;

	EXPECT_ERR(fixture_try_open_await(self, &c->x), c->error);
}

TEST(a_damaged_state_starts_nothing_and_loses_nothing)
{
	static const struct {
		const char *what;
		const char *damage;
	} cases[] = {
		{"a flipped bit of the run", "printf '!' | dd of=" STATE " bs=1 seek=20 conv=notrunc status=none"},
		{"another run", "sed -i s/^run=.*/run=0123456789abcdef/ " STATE},
		{"no checksum", "sed -i /crc32c/d " STATE},
		{"nothing in it", "truncate -s 0 " STATE},
		{"a version that nobody knows", "sed -i s/version=2/version=9/ " STATE},
	};
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	for (size_t i = 0; i < countof(cases); i++) {
		struct journal_case c = {.end = ROUNDS};
		struct refused_case refused = {.error = ERR_CORRUPT};

		fixture_init(&c.x);
		run_and_die(IO_EPOLL, journalled_main, &c.x);
		shell(&c.x, "rm -r t-0 && cp " STATE " as-it-was");
		shell(&c.x, cases[i].damage);
		refused.x = c.x;
		refused.x.folders[0] = refused.x.folder;
		run_with(&o, refused_main, &refused);
		shell(&c.x, "cp as-it-was " STATE);
		run_with(&o, replayed_main, &c);
		fixture_fini(&c.x);
	}
}

/* --- files beside the records ------------------------------------------------------------------------------------- */

#define SIDE_BATCHES 200

static struct log_config small_segments(void)
{
	struct log_config config = fixture_config();

	config.segment_bytes = 8000;
	config.index_interval_bytes = 500;
	return config;
}

static void side_files_main(struct fiber *self, void *argument)
{
	struct log_config config = small_segments();
	struct log *l;

	fixture_open_await(self, argument);
	l = fixture_log_await(self, argument, "t", 0, &config);
	for (int i = 0; i < SIDE_BATCHES; i++) {
		struct test_batch p = {
			.producer_id = 3, .sequence = i, .records = 1, .value_size = 100, .timestamp = 1000 + i * 10};

		EXPECT_OK(append(l, &p, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	fixture_close_await(self, argument);
}

static void side_files_used_main(struct fiber *self, void *argument)
{
	struct log_config config = small_segments();
	struct test_batch p = {
		.producer_id = 3, .sequence = SIDE_BATCHES - 1, .records = 1, .value_size = 100, .timestamp = 5};
	int64_t offset, timestamp;
	int32_t epoch;
	struct log *l;

	fixture_open_await(self, argument);
	l = fixture_log_await(self, argument, "t", 0, &config);
	EXPECT(log_end_offset(l) == SIDE_BATCHES);
	EXPECT_ERR(append(l, &p, NULL), ERR_DUPLICATE_SEQUENCE_NUMBER);
	for (int64_t i = 0; i < SIDE_BATCHES; i += 3) {
		struct test_read t;

		read_await(self, l, &t, i, 1);
		EXPECT_OK(t.read.error);
		EXPECT((int64_t)get_be64(t.read.records.data) == i);
		blob_unref(t.read.blob);
		EXPECT_OK(log_find_timestamp_await(self, l, 995 + i * 10, SIDE_BATCHES, &offset, &timestamp, &epoch));
		EXPECT(offset == i && timestamp == 1000 + i * 10);
	}
	fixture_close_await(self, argument);
}

TEST(what_is_missing_or_wrong_beside_the_records_is_made_anew)
{
	static const char *const damages[] = {
		"true",
		"rm t-0/*.index t-0/*.timeindex",
		"for f in t-0/*.index; do echo 1234567890 > $f; done; rm t-0/*.timeindex",
		"for f in t-0/*.timeindex; do truncate -s 30 $f; done",
		"rm t-0/*.snapshot moldau-manifest",
		"rm moldau-manifest",
		"truncate -s 100 moldau-manifest",
		"rm moldau-*",             /* as Kafka leaves a folder */
		"rm .kafka_cleanshutdown", /* as an older one of ours that was killed */
		"rm .kafka_cleanshutdown moldau-* *checkpoint t-0/*index t-0/*.snapshot t-0/*epoch*",
		"for f in t-0/*.snapshot; do echo x > $f; done; rm moldau-manifest",
		"echo '{\"version\":0,\"brokerEpoch\":12}' > .kafka_cleanshutdown", /* Kafka ran in between */
	};
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	for (size_t i = 0; i < countof(damages); i++) {
		struct fixture x;

		fixture_init(&x);
		run_with(&o, side_files_main, &x);
		shell(&x, damages[i]);
		run_with(&o, side_files_used_main, &x);
		run_with(&o, side_files_used_main, &x);
		fixture_fini(&x);
	}
}

/* --- a topic of the same name ------------------------------------------------------------------------------------- */

static void renamed_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct log_spec spec = {.topic = bytes_str("t"), .topic_id = {{1, 2, 3}}, .config = fixture_config()};
	struct log *l = NULL;
	size_t count;

	fixture_open_await(self, x);
	EXPECT(storage_found(x->storage, &count) && count == 1);
	EXPECT_ERR(log_open_await(self, x->store, &spec, false, &l), ERR_NOT_FOUND);
	EXPECT_OK(log_open_await(self, x->store, &spec, true, &l));
	EXPECT(log_end_offset(l) == 0);
	fixture_close_await(self, x);
}

static void moved_start_main(struct fiber *self, void *argument)
{
	struct test_batch p = {.producer_id = -1, .records = 1, .value_size = 100};
	struct fixture *x = argument;
	struct log *l;

	fixture_open_await(self, x);
	l = fixture_log_await(self, x, "t", 0, NULL);
	for (int i = 0; i < 4; i++)
		EXPECT_OK(append(l, &p, NULL));
	EXPECT_OK(log_flush_await(self, l));
	EXPECT_OK(log_advance_start_await(self, l, 3));
	DIE();
}

static void nothing_opened_main(struct fiber *self, void *argument)
{
	fixture_open_await(self, argument);
	fixture_close_await(self, argument);
}

static void start_kept_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct log *l;

	fixture_open_await(self, x);
	l = fixture_log_await(self, x, "t", 0, NULL);
	EXPECT(log_start_offset(l) == 3 && log_end_offset(l) == 4);
	fixture_close_await(self, x);
}

TEST(a_start_that_fails_after_a_crash_forgets_no_log)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct fixture x;

	fixture_init(&x);
	run_and_die(IO_EPOLL, moved_start_main, &x);
	for (int i = 0; i < 3; i++)
		run_with(&o, nothing_opened_main, &x);
	run_with(&o, start_kept_main, &x);
	for (int i = 0; i < 2; i++)
		run_with(&o, nothing_opened_main, &x);
	run_with(&o, start_kept_main, &x);
	fixture_fini(&x);
}

TEST(a_topic_made_again_does_not_get_the_old_ones_records)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct fixture x;

	fixture_init(&x);
	run_with(&o, side_files_main, &x);
	run_with(&o, renamed_main, &x);
	shell(&x, "test -d t-0 && ls -d t-0.*-stray > /dev/null");
	fixture_fini(&x);
}

/* --- torn snapshots ------------------------------------------------------------------------------------------------- */

/* Everything is below the recovery point, and the snapshots of closed segments are written; then the process dies. */
static void snapshots_main(struct fiber *self, void *argument)
{
	struct log_config config = small_segments();
	struct log *l;

	fixture_open_await(self, argument);
	l = fixture_log_await(self, argument, "t", 0, &config);
	for (int i = 0; i < 40; i++) {
		struct test_batch b = {.producer_id = 7, .sequence = i, .records = 1, .value_size = 400};

		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	while (!list_empty(&l->folder->rolled))
		EXPECT_OK(fiber_sleep_await(self, 500));
	EXPECT(l->segment_count > 2);
	EXPECT_OK(log_sync_files_await(self, l));
	EXPECT_OK(keeper_write_bounds_await(self, l->folder));
	DIE();
}

static void recover_and_stop_main(struct fiber *self, void *argument)
{
	struct log_config config = small_segments();
	struct log *l;

	fixture_open_await(self, argument);
	l = fixture_log_await(self, argument, "t", 0, &config);
	EXPECT(log_end_offset(l) == 40 && log_producer_count(l) == 1);
	fixture_close_await(self, argument);
}

static void tell(void *user, const struct verify_finding *f)
{
	(void)user;
	fprintf(stderr, "%s: %s\n", f->path, f->text);
}

static void sound_main(struct fiber *self, void *argument)
{
	struct fixture *x = argument;
	struct verify_options o = {.path = x->folder, .deep = true, .found = tell};
	struct verify_counts counts;

	EXPECT_OK(verify_await(self, &o, &counts));
	EXPECT(counts.snapshots > 0 && counts.damages == 0);
}

TEST(a_snapshot_that_a_power_failure_tore_is_passed_over_and_goes)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct fixture x;

	fixture_init(&x);
	run_and_die(IO_EPOLL, snapshots_main, &x);
	shell(&x, "truncate -s 5 $(ls t-0/*.snapshot | tail -1)");
	run_with(&o, recover_and_stop_main, &x);
	run_with(&o, sound_main, &x);
	fixture_fini(&x);
}
