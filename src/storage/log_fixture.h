/*
 * log_fixture: for tests: a storage of one shard in a temporary folder, over the real backends; appends, reads, and a process that
 * dies in the middle. Test code on fiber stacks uses EXPECT, not CHECK.
 */
#ifndef STORAGE_LOG_FIXTURE_H
#define STORAGE_LOG_FIXTURE_H

/* Test programs include runtime/linux/backends.h first: a header of storage/ may not, so without it there is nothing here. */
#ifdef RUNTIME_LINUX_BACKENDS_H

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "record/builder.h"
#include "record/control.h"
#include "storage/log.h"
#include "storage/store.h"

struct fixture {
	char folder[64];
	char other[64]; /* the second one of log.dirs; empty: there is none (fixture_take_another) */
	const char *folders[2];
	size_t journal_bytes;
	size_t max_open_files;
	size_t read_budget;
	size_t sync_together_from;
	bool sync_disabled;
	struct storage *storage;
	struct store *store;
	unsigned failed;
};

static inline void fixture_init(struct fixture *x)
{
	*x = (struct fixture){.journal_bytes = (size_t)1 << 20, .max_open_files = 64, .read_budget = (size_t)4 << 20};
	strcpy(x->folder, "/tmp/moldau-log-XXXXXX");
	EXPECT(mkdtemp(x->folder));
	x->folders[0] = x->folder;
}

/* From the next opening on there are two folders. */
static inline void fixture_take_another(struct fixture *x)
{
	strcpy(x->other, "/tmp/moldau-log-XXXXXX");
	EXPECT(mkdtemp(x->other));
	x->folders[1] = x->other;
}

static inline void fixture_fini(struct fixture *x)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf '%s' '%s'", x->folder, x->other);
	EXPECT(system(command) == 0);
}

/* How many files of the log's folder have names that end so. */
static inline int fixture_files_with(const struct fixture *x, const char *log, const char *suffix)
{
	char path[512];
	struct dirent *entry;
	int count = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", x->folder, log);
	d = opendir(path);
	EXPECT(d);
	while ((entry = readdir(d)) != NULL) {
		size_t length = strlen(entry->d_name), wanted = strlen(suffix);

		count += length > wanted && strcmp(entry->d_name + length - wanted, suffix) == 0;
	}
	closedir(d);
	return count;
}

static inline void fixture_failed(void *context, const char *folder)
{
	struct fixture *x = context;

	(void)folder;
	x->failed++;
}

static inline enum err fixture_try_open_await(struct fiber *self, struct fixture *x)
{
	struct storage_options o = {
		.folders = x->folders,
		.folder_count = x->other[0] ? 2 : 1,
		.node_id = 1,
		.max_open_files = x->max_open_files,
		.read_budget_bytes = x->read_budget,
		.flush_offset_checkpoint_interval_ms = 60000,
		.max_decompressed_bytes = (size_t)64 << 20,
		.journal_bytes = x->journal_bytes,
		.sync_together_from = x->sync_together_from,
		.sync_disabled = x->sync_disabled,
	};
	enum err e = storage_open_await(self, &o, &x->storage);

	if (!e)
		x->store = store_new(x->storage, fiber_shard(self), fixture_failed, x);
	return e;
}

static inline void fixture_open_await(struct fiber *self, struct fixture *x)
{
	EXPECT_OK(fixture_try_open_await(self, x));
}

static inline void fixture_close_await(struct fiber *self, struct fixture *x)
{
	EXPECT_OK(store_close_await(self, x->store));
	EXPECT_OK(storage_close_await(self, x->storage));
}

static inline struct log_config fixture_config(void)
{
	return (struct log_config){
		.segment_bytes = 1 << 20,
		.segment_ms = INT64_C(7) * 86400000,
		.segment_index_bytes = 10 << 20,
		.index_interval_bytes = 4096,
		.flush_messages = INT64_MAX,
		.flush_ms = INT64_MAX,
	};
}

static inline struct uuid fixture_id(const char *topic)
{
	struct uuid id = {0};

	for (size_t i = 0; i < sizeof(id.bytes) && topic[i]; i++)
		id.bytes[i] = (uint8_t)topic[i];
	return id;
}

static inline enum err fixture_try_log_await(struct fiber *self, struct fixture *x, const char *topic,
					     int32_t partition, const struct log_config *config, struct log **ret_log)
{
	struct log_spec spec = {
		.topic = bytes_str(topic),
		.topic_id = fixture_id(topic),
		.partition = partition,
		.config = config ? *config : fixture_config(),
	};

	return log_open_await(self, x->store, &spec, true, ret_log);
}

static inline struct log *fixture_log_await(struct fiber *self, struct fixture *x, const char *topic, int32_t partition,
					    const struct log_config *config)
{
	struct log *l = NULL;

	EXPECT_OK(fixture_try_log_await(self, x, topic, partition, config, &l));
	return l;
}

struct test_batch {
	int64_t producer_id;
	int16_t epoch;
	int32_t sequence;
	int records;
	size_t value_size;
	int64_t timestamp;
	int64_t seed; /* what the values say */
	bool transactional;
};

struct test_append {
	struct log_append append;
	struct batch_builder builder;
	struct batch_facts facts;
	bool released;
};

static inline void test_append_released(struct log_append *a)
{
	struct test_append *t = container_of(a, struct test_append, append);

	batch_builder_fini(&t->builder);
	mem_free(t);
}

/* Value of record n: "SEED.n " repeated to the size. */
static inline struct test_append *test_append_new(const struct test_batch *b)
{
	struct test_append *t = mem_new(struct test_append);
	struct batch_options o = batch_options_default((size_t)32 << 20);
	char *value = mem_zalloc(b->value_size + 32);
	struct bytes whole;

	o.producer_id = b->producer_id;
	o.producer_epoch = b->producer_id < 0 ? NO_PRODUCER_EPOCH : b->epoch;
	o.base_sequence = b->producer_id < 0 ? NO_SEQUENCE : b->sequence;
	o.is_transactional = b->transactional;
	batch_builder_init(&t->builder, &o);
	for (int i = 0; i < b->records; i++) {
		memset(value, '.', b->value_size);
		snprintf(value, b->value_size + 32, "%lld.%d", (long long)b->seed, i);
		EXPECT_OK(batch_builder_append(&t->builder, b->timestamp + i, bytes_null(),
					       bytes_of(value, b->value_size), NULL, 0));
	}
	mem_free(value);
	EXPECT_OK(batch_builder_finish(&t->builder, &whole));
	EXPECT_OK(batch_header_read(whole, &t->facts.header));
	t->append.batch = (uint8_t *)(uintptr_t)whole.data;
	t->append.size = whole.size;
	t->append.facts = &t->facts;
	t->append.leader_epoch = 0;
	t->append.origin = APPEND_CLIENT;
	t->append.released = test_append_released;
	return t;
}

struct test_placed {
	int64_t base_offset;
	int64_t last_offset;
	int64_t timestamp;
};

static inline enum err append(struct log *l, const struct test_batch *b, struct test_placed *ret_placed)
{
	struct test_append *t = test_append_new(b);
	enum err e = log_append_batch(l, &t->append);

	if (ret_placed)
		*ret_placed = (struct test_placed){t->append.base_offset, t->append.last_offset,
						   t->append.log_append_time_ms};
	if (e)
		test_append_released(&t->append);
	return e;
}

/* The end of a producer's transaction, as its coordinator writes it. */
static inline enum err append_end_of(struct log *l, const struct end_marker *marker, int8_t version,
				     int32_t leader_epoch)
{
	struct test_append *t = mem_new(struct test_append);
	struct batch_options o = batch_options_default(200);
	struct buf out;
	enum err e;

	buf_init(&out, 200);
	EXPECT_OK(end_marker_write(marker, 1000, &out));
	batch_builder_init(&t->builder, &o);
	buf_reset(&t->builder.raw);
	buf_put_bytes(&t->builder.raw, buf_bytes(&out));
	buf_fini(&out);
	t->append = (struct log_append){
		.batch = t->builder.raw.data,
		.size = t->builder.raw.size,
		.facts = &t->facts,
		.leader_epoch = leader_epoch,
		.origin = APPEND_COORDINATOR,
		.transaction_version = version,
		.released = test_append_released,
	};
	e = log_append_batch(l, &t->append);
	if (e)
		test_append_released(&t->append);
	return e;
}

static inline enum err append_end(struct log *l, const struct end_marker *marker, int8_t version)
{
	return append_end_of(l, marker, version, 0);
}

static inline struct test_batch plain(int64_t seed, int records, size_t value_size)
{
	return (struct test_batch){.producer_id = -1,
				   .records = records,
				   .value_size = value_size,
				   .timestamp = 1000000 + seed,
				   .seed = seed};
}

struct test_read {
	struct log_read read;
	struct event over;
	bool done;
};

static inline void test_read_done(struct log_read *r)
{
	struct test_read *t = container_of(r, struct test_read, read);

	t->done = true;
	event_signal(&t->over);
}

static inline void read_await(struct fiber *self, struct log *l, struct test_read *t, int64_t offset, size_t max_bytes)
{
	*t = (struct test_read){.read = {.offset = offset,
					 .max_offset = log_synced_offset(l),
					 .max_bytes = max_bytes,
					 .at_least_one = true,
					 .done = test_read_done}};
	event_init(&t->over);
	log_read_start(l, &t->read);
	while (!t->done)
		EXPECT_OK(event_wait_await(self, &t->over, FIBER_NO_DEADLINE));
}

/* Reads all from `offset` on and gives the number of records; each batch has a good CRC and follows the one before it. */
static inline int64_t read_all_await(struct fiber *self, struct log *l, int64_t offset, size_t max_bytes)
{
	int64_t next = offset, records = 0;
	bool first = true;

	while (next < log_synced_offset(l)) {
		struct test_read t;
		struct bytes rest, batch;
		struct batch_header h;
		int64_t before = next;

		read_await(self, l, &t, next, max_bytes);
		EXPECT_OK(t.read.error);
		rest = t.read.records;
		while (batch_next(&rest, &h, &batch) == OK) {
			EXPECT(batch_crc_ok(batch));
			EXPECT(first ? h.base_offset <= next && batch_last_offset(&h) >= next : h.base_offset == next);
			records += batch_last_offset(&h) + 1 - next;
			next = batch_last_offset(&h) + 1;
			first = false;
		}
		blob_unref(t.read.blob);
		EXPECT(next > before);
	}
	return records;
}

/* Runs `main` in a process of its own, which ends at once when it returns: as with kill -9, the page cache stays. */
static inline void run_and_die(enum linux_io io, void (*main)(struct fiber *self, void *argument), void *argument)
{
	struct linux_options o = {.shards = 1, .io = io};
	struct backend_run run = {.main = main, .argument = argument};
	int status;
	pid_t child = fork();

	if (child == 0) {
		linux_run(&o, backend_run_start, &run);
		_exit(1); /* main was to end the process */
	}
	EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

#define DIE() _exit(7)

#endif
#endif
