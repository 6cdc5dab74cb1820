/* scrub_test: damage of each kind in the files of a real log: found, said, and not served; indexes made anew. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "runtime/linux/backends.h"
#include "storage/log_fixture.h"
#include "storage/state.h"

#define BATCHES 60
#define RECORDS 3

struct place {
	struct fixture x;
	struct log *log;
	char path[200]; /* of the second segment, without its suffix */
	int64_t batch;  /* size of each */
	int64_t base;   /* of the second segment */
	int64_t count;  /* of its batches */
	char saved[3][8192];
	ssize_t sizes[3];
};

static const char *const suffixes[] = {".log", ".index", ".timeindex"};

static struct log_config small_segments(void)
{
	struct log_config config = fixture_config();

	config.segment_bytes = 4000;
	config.index_interval_bytes = 300;
	return config;
}

static void fill_await(struct fiber *self, struct place *p)
{
	struct log_config config = small_segments();
	struct log *l = fixture_log_await(self, &p->x, "t", 0, &config);

	EXPECT_OK(log_assign_epoch(l, 0));
	for (int i = 0; i < BATCHES; i++) {
		struct test_batch b = plain(i * RECORDS, RECORDS, 100);

		EXPECT_OK(append(l, &b, NULL));
	}
	EXPECT_OK(log_flush_await(self, l));
	EXPECT_OK(log_sync_files_await(self, l));
	log_note_acknowledged(l, log_end_offset(l));
	EXPECT(l->segment_count > 4);
	while (l->segment_count > 2 && !(l->segments[0]->index_saved && l->segments[1]->index_saved && l->pins == 0))
		fiber_yield_await(self);
	p->log = l;
	p->base = l->segments[1]->base_offset;
	p->count = (l->segments[2]->base_offset - p->base) / RECORDS;
	p->batch = l->segments[1]->size / p->count;
	snprintf(p->path, sizeof(p->path), "%s/t-0/%020lld", p->x.folder, (long long)p->base);
	for (int i = 0; i < 3; i++) {
		char name[220];
		int fd;

		snprintf(name, sizeof(name), "%s%s", p->path, suffixes[i]);
		fd = open(name, O_RDONLY);
		EXPECT(fd >= 0);
		p->sizes[i] = read(fd, p->saved[i], sizeof(p->saved[i]));
		EXPECT(p->sizes[i] > 0 && p->sizes[i] < (ssize_t)sizeof(p->saved[i]));
		close(fd);
	}
}

static void put_back(const struct place *p, int file)
{
	char name[220];
	int fd;

	snprintf(name, sizeof(name), "%s%s", p->path, suffixes[file]);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	EXPECT(fd >= 0 && pwrite(fd, p->saved[file], (size_t)p->sizes[file], 0) == p->sizes[file]);
	close(fd);
}

static void change(const struct place *p, int file, int64_t at, const char *bytes, size_t size)
{
	char name[220];
	int fd;

	snprintf(name, sizeof(name), "%s%s", p->path, suffixes[file]);
	fd = open(name, O_WRONLY);
	EXPECT(fd >= 0 && pwrite(fd, bytes, size, at) == (ssize_t)size);
	close(fd);
}

static void scrub_await(struct fiber *self, struct place *p)
{
	struct store_settings settings = {.scrub_interval_ms = 86400000};
	uint64_t before = store_figures(p->x.store)->scrubs;

	store_configure(p->x.store, &(struct store_settings){0});
	store_configure(p->x.store, &settings);
	while (store_figures(p->x.store)->scrubs == before)
		fiber_yield_await(self);
}

static enum err read_at_await(struct fiber *self, struct place *p, int64_t offset, size_t max, int64_t *ret_next)
{
	struct test_read t;
	struct bytes rest, batch;
	struct batch_header h;
	enum err e;

	read_await(self, p->log, &t, offset, max);
	e = t.read.error;
	rest = t.read.records;
	*ret_next = offset;
	while (!e && batch_next(&rest, &h, &batch) == OK) {
		EXPECT(batch_crc_ok(batch));
		*ret_next = batch_last_offset(&h) + 1;
	}
	if (t.read.blob)
		blob_unref(t.read.blob);
	return e;
}

struct bad {
	const char *what;
	int64_t batch; /* number in the segment */
	int64_t at;    /* in it */
	const char *bytes;
	size_t size;
	int64_t gone; /* so many batches are not served, */
	int64_t from; /* the first of them */
};

static const char zeros[4096];

static const struct bad kinds[] = {
	{"a value", 3, 100, "\1", 1, 1, 3},
	{"the first batch", 0, 100, "\1", 1, 1, 0},
	{"a base offset that is higher", 3, 6, "\7", 1, 1, 3},
	{"a base offset that is lower", 3, 7, "\1", 1, 1, 3},
	{"the length", 3, 11, "\1", 1, 1, 3},
	{"the length, to more than there is", 3, 8, "\1", 1, 1, 3},
	{"the magic", 3, 16, "\6", 1, 1, 3},
	{"the leader epoch", 3, 15, "\1", 1, 1, 3},
	{"the CRC", 3, 18, "\1", 1, 1, 3},
	{"nothing but zeros over two batches", 3, 20, zeros, 400, 2, 3},
	{"zeros to the end", 3, 0, zeros, 4096, -1, 3},
};

static void damage_one_await(struct fiber *self, struct place *p, const struct bad *b)
{
	const struct store_figures *f = store_figures(p->x.store);
	int64_t gone = b->gone < 0 ? p->count - b->from : b->gone, next;
	int64_t first = p->base + b->from * RECORDS, behind = first + gone * RECORDS;
	size_t size = b->size < (size_t)(p->batch * (p->count - b->batch)) ? b->size
									   : (size_t)(p->batch * (p->count - b->batch));
	uint64_t before = f->damages_found;
	struct store_holds holds;

	change(p, 0, b->batch * p->batch + b->at, b->bytes, size);
	scrub_await(self, p);
	store_holds(p->x.store, &holds);
	EXPECT(f->damages_found == before + 1 && holds.damages == 1);
	EXPECT(p->log->segments[1]->damages.entries[0].offset == first);
	EXPECT(p->log->segments[1]->damages.entries[0].next_offset == behind);
	/* What lies in front of it and behind it is there, what is bad is not. */
	EXPECT_OK(read_at_await(self, p, p->base - RECORDS, 8000, &next));
	EXPECT(next <= first && next >= p->base);
	for (int64_t offset = first; offset < behind; offset += RECORDS)
		EXPECT(read_at_await(self, p, offset, 8000, &next) == ERR_CORRUPT);
	for (int64_t offset = p->base; offset < first; offset += RECORDS) {
		EXPECT_OK(read_at_await(self, p, offset, 8000, &next));
		EXPECT(next == first);
	}
	EXPECT_OK(read_at_await(self, p, behind, 8000, &next));
	EXPECT(next > behind);
	/* It is told once, and when it is whole again it is served again. */
	scrub_await(self, p);
	EXPECT(f->damages_found == before + 1);
	put_back(p, 0);
	scrub_await(self, p);
	store_holds(p->x.store, &holds);
	EXPECT(holds.damages == 0 && f->damages_found == before + 1 && f->side_damages_found == 0);
	EXPECT(read_all_await(self, p->log, 0, 3000) == BATCHES * RECORDS);
}

static void open_place_await(struct fiber *self, struct place *p)
{
	fixture_init(&p->x);
	fixture_open_await(self, &p->x);
	fill_await(self, p);
}

static void close_place_await(struct fiber *self, struct place *p)
{
	fixture_close_await(self, &p->x);
	fixture_fini(&p->x);
}

static void damage_fiber(struct fiber *self, void *argument)
{
	struct place *p = argument;

	open_place_await(self, p);
	scrub_await(self, p);
	EXPECT(store_figures(p->x.store)->scrubbed_segments == p->log->segment_count);
	EXPECT(store_figures(p->x.store)->damages_found == 0);
	EXPECT(store_figures(p->x.store)->side_damages_found == 0);
	for (size_t i = 0; i < countof(kinds); i++)
		damage_one_await(self, p, &kinds[i]);
	close_place_await(self, p);
}

static void run_place(void (*main)(struct fiber *self, void *argument))
{
	struct place *p = mem_zalloc(sizeof(*p));

	run_over_both(1, main, p);
	mem_free(p);
}

TEST(damage_of_each_kind_is_found_and_nothing_else_is_withheld)
{
	run_place(damage_fiber);
}

/* The file is as it was before it was damaged. */
static bool is_whole(const struct place *p, int file)
{
	char name[220], now[8192];
	ssize_t size;
	int fd;

	snprintf(name, sizeof(name), "%s%s", p->path, suffixes[file]);
	fd = open(name, O_RDONLY);
	if (fd < 0)
		return false;
	size = read(fd, now, sizeof(now));
	close(fd);
	return size == p->sizes[file] && memcmp(now, p->saved[file], (size_t)size) == 0;
}

static void index_fiber(struct fiber *self, void *argument)
{
	struct place *p = argument;
	const struct store_figures *f;
	char name[220];

	open_place_await(self, p);
	f = store_figures(p->x.store);
	for (int file = 1; file < 3; file++) {
		uint64_t before = f->side_damages_found;

		change(p, file, 3, "\1", 1); /* out of order, or of no batch */
		scrub_await(self, p);
		EXPECT(f->side_damages_found == before + 1 && is_whole(p, file));
		change(p, file, file == 1 ? 7 : 11, "\7", 1);
		scrub_await(self, p);
		EXPECT(f->side_damages_found == before + 2 && is_whole(p, file));
		snprintf(name, sizeof(name), "%s%s", p->path, suffixes[file]);
		EXPECT(unlink(name) == 0);
		scrub_await(self, p);
		EXPECT(f->side_damages_found == before + 2 && is_whole(p, file)); /* that happens without damage */
	}
	EXPECT(f->damages_found == 0);
	EXPECT(read_all_await(self, p->log, 0, 3000) == BATCHES * RECORDS);
	close_place_await(self, p);
}

TEST(an_index_that_is_wrong_or_missing_is_made_anew)
{
	run_place(index_fiber);
}

/* After a clean stop nobody looks at the indexes before they are needed. */
static void lost_index_fiber(struct fiber *self, void *argument)
{
	static const struct {
		int file;
		int64_t at; /* negative: the file is removed */
		const char *byte;
	} cases[] = {{1, -1, ""}, {2, -1, ""}, {1, 0, "\1"}, {1, 7, "\7"}, {1, 3, "\52"}, {1, 11, "\5"}};
	struct log_config config = small_segments();
	struct place *p = argument;

	open_place_await(self, p);
	for (size_t i = 0; i < countof(cases); i++) {
		char name[220];
		int64_t next;

		EXPECT_OK(store_close_await(self, p->x.store));
		EXPECT_OK(storage_close_await(self, p->x.storage));
		snprintf(name, sizeof(name), "%s%s", p->path, suffixes[cases[i].file]);
		if (cases[i].at < 0)
			EXPECT(unlink(name) == 0);
		else
			change(p, cases[i].file, cases[i].at, cases[i].byte, 1);
		fixture_open_await(self, &p->x);
		p->log = fixture_log_await(self, &p->x, "t", 0, &config);
		for (int64_t offset = 0; offset < BATCHES * RECORDS; offset++) {
			EXPECT_OK(read_at_await(self, p, offset, 500, &next));
			EXPECT(next > offset && next <= offset + 2 * RECORDS);
		}
		while (!is_whole(p, cases[i].file))
			fiber_yield_await(self);
		EXPECT(store_figures(p->x.store)->damages_found == 0);
	}
	close_place_await(self, p);
}

TEST(indexes_that_are_lost_or_wrong_after_a_clean_stop_are_made_anew_when_they_are_read)
{
	run_place(lost_index_fiber);
}

/* A clean stop does not sync the file of the epochs, and a power failure may tear it then: the manifest has them. */
static void torn_epochs_fiber(struct fiber *self, void *argument)
{
	struct log_config config = small_segments();
	struct place *p = argument;
	const struct store_figures *f;
	struct stat found;
	char name[220];

	open_place_await(self, p);
	fixture_close_await(self, &p->x);
	snprintf(name, sizeof(name), "%s/t-0/leader-epoch-checkpoint", p->x.folder);
	EXPECT(truncate(name, 0) == 0);
	fixture_open_await(self, &p->x);
	p->log = fixture_log_await(self, &p->x, "t", 0, &config);
	f = store_figures(p->x.store);
	for (unsigned damages = 0; damages < 2; damages++) { /* what this process has written is another matter */
		scrub_await(self, p);
		EXPECT(f->side_damages_found == damages && stat(name, &found) == 0 && found.st_size > 0);
		EXPECT(truncate(name, 0) == 0);
	}
	close_place_await(self, p);
}

TEST(epochs_that_a_clean_stop_left_to_the_manifest_are_written_anew_without_an_alarm)
{
	run_place(torn_epochs_fiber);
}

/* Nobody has scrubbed yet: what comes through our memory is looked at there. */
static void read_fiber(struct fiber *self, void *argument)
{
	struct place *p = argument;
	const struct store_figures *f;
	int64_t bad, next;

	open_place_await(self, p);
	f = store_figures(p->x.store);
	bad = p->base + 3 * RECORDS;
	change(p, 0, 3 * p->batch + 100, "\1", 1);
	EXPECT_OK(read_at_await(self, p, p->base, 8000, &next));
	EXPECT(next == bad && f->damages_found == 1);
	EXPECT(read_at_await(self, p, bad, 8000, &next) == ERR_CORRUPT && f->damages_found == 1);
	EXPECT_OK(read_at_await(self, p, bad + RECORDS, 8000, &next));
	EXPECT(next > bad + RECORDS);
	close_place_await(self, p);
}

TEST(a_batch_with_a_wrong_crc_is_not_given_to_a_reader)
{
	run_place(read_fiber);
}

/* A campaign: MOLDAU_SCRUB_DAMAGES=10000 MOLDAU_SCRUB_SEED=2 build/dev/tests/storage_scrub_test damage_at_random_is_... */

/* --- at random ------------------------------------------------------------------------------------------------------ */

enum outcome { FOUND_AS_RECORDS, FOUND_AS_SIDE, MENDED_QUIETLY, NOT_FOUND_SAME, NOT_FOUND_HARMLESS, OUTCOMES };

static const char *const outcome_words[OUTCOMES] = {
	[FOUND_AS_RECORDS] = "found, and not served",
	[FOUND_AS_SIDE] = "found, and made anew",
	[MENDED_QUIETLY] = "an index that was cut: made anew",
	[NOT_FOUND_SAME] = "nobody can tell: what is there reads the same",
	[NOT_FOUND_HARMLESS] = "nobody can tell: an index without its last entries, which is still one",
};

/* Flips a bit, cuts the file, or fills a piece with zeros; false: nothing changed. */
static bool harm(const struct place *p, int file, struct prng *random)
{
	char bytes[8192];
	size_t size = (size_t)p->sizes[file], at = prng_below(random, size), piece;
	char name[220];

	memcpy(bytes, p->saved[file], size);
	switch (prng_below(random, 5)) {
	case 0: /* a cut would be told by the file's size at the next start; zeros behind it are what a lost write leaves */
		memset(bytes + at, 0, size - at);
		break;
	case 1:
		piece = (size_t[]){1, 4, 8, 61, 512}[prng_below(random, 5)];
		memset(bytes + at, 0, piece < size - at ? piece : size - at);
		break;
	default:
		bytes[at] = (char)(bytes[at] ^ (1 << prng_below(random, 8)));
	}
	if (memcmp(bytes, p->saved[file], size) == 0)
		return false;
	change(p, file, 0, bytes, size);
	if (file > 0 && prng_chance(random, 1, 8)) {
		snprintf(name, sizeof(name), "%s%s", p->path, suffixes[file]);
		EXPECT(truncate(name, (off_t)at) == 0);
	}
	return true;
}

/* All that is served is right, and only what is bad is missing. */
static int64_t count_served_await(struct fiber *self, struct place *p)
{
	int64_t served = 0, next;

	for (int64_t offset = 0; offset < BATCHES * RECORDS; offset = next)
		if (read_at_await(self, p, offset, 4000, &next) == OK && next > offset)
			served += next - offset;
		else
			next = offset + 1;
	return served;
}

static enum outcome look_await(struct fiber *self, struct place *p, int file)
{
	const struct store_figures *f = store_figures(p->x.store);
	uint64_t records = f->damages_found, side = f->side_damages_found;

	scrub_await(self, p);
	if (f->damages_found > records)
		return FOUND_AS_RECORDS;
	if (f->side_damages_found > side)
		return FOUND_AS_SIDE;
	if (file > 0 && is_whole(p, file))
		return MENDED_QUIETLY;
	return file > 0 ? NOT_FOUND_HARMLESS : NOT_FOUND_SAME;
}

static void random_fiber(struct fiber *self, void *argument)
{
	const char *wanted = getenv("MOLDAU_SCRUB_DAMAGES"), *seed = getenv("MOLDAU_SCRUB_SEED");
	int count = wanted ? atoi(wanted) : 10, outcomes[3][OUTCOMES] = {0};
	struct place *p = argument;
	struct prng random;

	prng_seed(&random, seed ? (uint64_t)atoi(seed) : 1);
	open_place_await(self, p);
	for (int i = 0; i < count; i++) {
		int file = (int)(prng_below(&random, 5) < 3 ? 0 : prng_between(&random, 1, 2));
		enum outcome o;

		if (!harm(p, file, &random)) {
			i--;
			continue;
		}
		o = look_await(self, p, file);
		outcomes[file][o]++;
		EXPECT(file > 0 || o == FOUND_AS_RECORDS);
		if (i % 20 == 0) /* a read at each offset takes far longer */
			EXPECT((count_served_await(self, p) == BATCHES * RECORDS) == (file > 0));
		put_back(p, 0);
		put_back(p, file);
		damage_fini(&p->log->segments[1]->damages);
	}
	scrub_await(self, p);
	EXPECT(count_served_await(self, p) == BATCHES * RECORDS);
	for (int file = 0; file < 3; file++)
		for (int o = 0; o < OUTCOMES; o++)
			if (outcomes[file][o])
				fprintf(stderr, "%s: %d %s\n", suffixes[file], outcomes[file][o], outcome_words[o]);
	close_place_await(self, p);
}

TEST(damage_at_random_is_found_by_the_scrub_or_of_a_kind_that_is_named)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct place *p = mem_zalloc(sizeof(*p));

	run_with(&o, random_fiber, p);
	mem_free(p);
}
