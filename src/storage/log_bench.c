/*
 * log_bench: what many partitions cost: N logs with a first append each, made durable; a clean stop; the next start; memory.
 *
 *      build/release/tests/storage_log_bench [PARTITIONS] [FOLDER]
 */
#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "record/builder.h"
#include "runtime/fiber.h"
#include "runtime/linux/linux.h"
#include "storage/log.h"
#include "storage/store.h"

#include <stdlib.h>

struct bench {
	int partitions;
	const char *folders[1];
	struct storage *storage;
	struct store *store;
	struct log **logs;
	uint8_t batch[512];
	size_t size;
	struct log_append *appends;
	int released;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(enum err e, const char *what)
{
	if (!e)
		return;
	fprintf(stderr, "%s: %s\n", what, err_text(e));
	exit(1);
}

static void open_await(struct fiber *self, struct bench *b)
{
	struct storage_options o = {
		.folders = b->folders,
		.folder_count = 1,
		.node_id = 1,
		.max_open_files = 4000,
		.read_budget_bytes = 16 << 20,
		.flush_offset_checkpoint_interval_ms = 60000,
		.max_decompressed_bytes = 64 << 20,
	};

	check(storage_open_await(self, &o, &b->storage), "open");
	b->store = store_new(b->storage, fiber_shard(self), NULL, NULL);
}

static void open_logs_await(struct fiber *self, struct bench *b)
{
	for (int i = 0; i < b->partitions; i++) {
		struct log_spec spec = {
			.topic = bytes_str("bench"),
			.topic_id = {{1}},
			.partition = i,
			.config = {.segment_bytes = 1 << 30,
				   .index_interval_bytes = 4096,
				   .segment_index_bytes = 10 << 20},
		};

		check(log_open_await(self, b->store, &spec, true, &b->logs[i]), "log");
	}
}

static void released(struct log_append *a)
{
	(void)a;
}

static void append_each_await(struct fiber *self, struct bench *b, bool alone)
{
	for (int i = 0; i < b->partitions; i++) {
		b->appends[i] = (struct log_append){
			.batch = b->batch, .size = b->size, .origin = APPEND_CLIENT, .released = released};
		check(log_append_batch(b->logs[i], &b->appends[i]), "append");
		if (alone)
			check(log_flush_await(self, b->logs[i]), "flush");
	}
	for (int i = 0; i < b->partitions; i++)
		check(log_flush_await(self, b->logs[i]), "flush");
}

static void make_batch(struct bench *b)
{
	struct batch_options o = batch_options_default(512);
	struct batch_builder builder;
	struct bytes whole;

	batch_builder_init(&builder, &o);
	check(batch_builder_append(&builder, 1, bytes_null(), bytes_str("a first record of a hundred bytes or so"),
				   NULL, 0),
	      "build");
	check(batch_builder_finish(&builder, &whole), "build");
	memcpy(b->batch, whole.data, whole.size);
	b->size = whole.size;
	batch_builder_fini(&builder);
}

static void close_await(struct fiber *self, struct bench *b)
{
	check(store_close_await(self, b->store), "close");
	check(storage_close_await(self, b->storage), "close");
}

static void bench_main(struct fiber *self, void *argument)
{
	struct bench *b = argument;
	double t = now_ms();
	size_t before;

	make_batch(b);
	open_await(self, b);
	printf("open an empty folder           %8.1f ms\n", now_ms() - t);
	t = now_ms();
	open_logs_await(self, b);
	append_each_await(self, b, false);
	printf("%d first appends, synced     %8.1f ms\n", b->partitions, now_ms() - t);
	for (int i = 0; i < 5; i++) {
		t = now_ms();
		append_each_await(self, b, false);
		printf("an append to each, synced      %8.1f ms\n", now_ms() - t);
	}
	t = now_ms();
	close_await(self, b);
	printf("clean stop                     %8.1f ms\n", now_ms() - t);
	t = now_ms();
	open_await(self, b);
	printf("open                           %8.1f ms\n", now_ms() - t);
	before = mallinfo2().uordblks;
	t = now_ms();
	open_logs_await(self, b);
	printf("open every log                 %8.1f ms, %zu bytes each\n", now_ms() - t,
	       (mallinfo2().uordblks - before) / (size_t)b->partitions);
	t = now_ms();
	close_await(self, b);
	printf("clean stop, nothing written    %8.1f ms\n", now_ms() - t);
	runtime_stop(shard_runtime(fiber_shard(self)), 0);
}

static void start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "bench"};

	if (!fiber_start(s, &options, bench_main, argument))
		exit(1);
}

int main(int argc, char **argv)
{
	static const enum linux_io ios[] = {IO_EPOLL, IO_URING};
	static const char *const names[] = {"epoll", "io_uring"};

	for (int i = 0; i < 2; i++) {
		struct linux_options o = {.shards = 1, .io = ios[i]};
		struct bench b = {.partitions = argc > 1 ? atoi(argv[1]) : 5000};
		char folder[256], command[512];

		snprintf(folder, sizeof(folder), "%s-%s", argc > 2 ? argv[2] : "/tmp/moldau-log-bench", names[i]);
		snprintf(command, sizeof(command), "rm -rf '%s'", folder);
		if (system(command) != 0)
			return 1;
		printf("-- %s\n", names[i]);
		fflush(stdout);
		b.folders[0] = folder;
		b.logs = mem_zalloc((size_t)b.partitions * sizeof(struct log *));
		b.appends = mem_zalloc((size_t)b.partitions * sizeof(*b.appends));
		if (linux_run(&o, start, &b) != 0)
			return 1;
		if (system(command) != 0)
			return 1;
		mem_free(b.logs);
		mem_free(b.appends);
	}
	return 0;
}
