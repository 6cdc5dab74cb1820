/*
 * coordinator_bench: what a coordinator adds to its machine: loading N committed offsets of a toy machine (toy.h), and commits that wait for
 * the disk, a number of them at once.
 *
 *      build/release/tests/coordinator_coordinator_bench [OFFSETS] [FOLDER]
 */
#include "coordinator/coordinator.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "coordinator/toy.h"
#include "runtime/linux/linux.h"

#define AT_ONCE 1000
#define COMMITS 200000
#define NAME_SIZE 32

struct bench {
	long offsets;
	const char *folders[1];
	struct storage *storage;
	struct store *store;
	struct replicas *replicas;
	struct coordinator *coordinator;
	struct event finished;
	long submitted;
	long answered;
	long wanted;
	long names;
	long errors;
};

struct bench_call {
	struct toy_call toy;
	struct bench *bench;
	char name[NAME_SIZE];
};

static const struct uuid topic_id = {.bytes = {7}};

static double now_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(enum err e, const char *what)
{
	if (!e)
		return;
	fprintf(stderr, "%s: %s\n", what, err_text(e));
	exit(1);
}

static void *new_toy(void *context, int32_t partition)
{
	(void)context;
	(void)partition;
	return toy_new();
}

static void open_await(struct fiber *self, struct bench *b)
{
	static const int32_t epochs[1];
	struct storage_options s = {
		.folders = b->folders,
		.folder_count = 1,
		.node_id = 1,
		.max_open_files = 1000,
		.read_budget_bytes = 16 << 20,
		.flush_offset_checkpoint_interval_ms = 60000,
		.max_decompressed_bytes = 64 << 20,
	};
	struct replicas_options r = {
		.shard = fiber_shard(self), .shard_count = 1, .max_decompressed_bytes = 64 << 20, .opening_at_once = 2};
	struct replica_settings settings = {
		.log = {.segment_bytes = 104857600,
			.segment_ms = INT64_C(604800000),
			.segment_index_bytes = 10 << 20,
			.index_interval_bytes = 4096,
			.flush_messages = INT64_MAX,
			.flush_ms = INT64_MAX},
		.max_message_bytes = 1048588,
		.timestamp_before_max_ms = INT64_MAX,
		.timestamp_after_max_ms = INT64_MAX,
		.codec = BATCH_KEEP_CODEC,
	};
	struct coordinator_options c = {
		.shard = fiber_shard(self),
		.ops = &toy_ops,
		.machine_new = new_toy,
		.commit_timeout_ms = 60000,
		.load_bytes = 1 << 20,
	};

	check(storage_open_await(self, &s, &b->storage), "open");
	b->store = store_new(b->storage, fiber_shard(self), NULL, NULL);
	r.store = b->store;
	b->replicas = replicas_new(&r);
	replicas_add_topic(b->replicas, bytes_str("t"), topic_id, epochs, 1, &settings);
	c.replicas = b->replicas;
	b->coordinator = coordinator_new(&c);
	coordinator_host(b->coordinator, topic_id, 1);
}

static void close_await(struct fiber *self, struct bench *b)
{
	coordinator_close_await(self, b->coordinator);
	replicas_close_await(self, b->replicas);
	check(store_close_await(self, b->store), "close");
	check(storage_close_await(self, b->storage), "close");
}

static struct coordinator_figures loaded_await(struct fiber *self, struct bench *b)
{
	struct coordinator_figures f;

	do {
		fiber_yield_await(self);
		coordinator_figures(b->coordinator, &f);
	} while (f.active == 0);
	return f;
}

static void next(struct bench_call *c)
{
	struct bench *b = c->bench;

	snprintf(c->name, sizeof(c->name), "topic-%ld", b->submitted % b->names);
	c->toy.offset = b->submitted++;
	coordinator_submit(b->coordinator, 0, &c->toy.call, toy_set);
}

static void on_finished(struct coordinator_call *call)
{
	struct bench_call *c = container_of(call, struct bench_call, toy.call);
	struct bench *b = c->bench;

	b->errors += call->error != OK;
	b->answered++;
	if (b->submitted < b->wanted)
		next(c);
	else if (b->answered == b->wanted)
		event_signal(&b->finished);
}

/* `count` commits, `at_once` of them under way at any time. */
static void commit_await(struct fiber *self, struct bench *b, long count, int at_once)
{
	struct bench_call *calls = mem_zalloc((size_t)at_once * sizeof(*calls));

	b->submitted = b->answered = 0;
	b->wanted = count;
	for (int i = 0; i < at_once && b->submitted < count; i++) {
		calls[i].bench = b;
		calls[i].toy.topic = calls[i].name;
		calls[i].toy.call.finished = on_finished;
		next(&calls[i]);
	}
	while (b->answered < count)
		(void)!event_wait_await(self, &b->finished, FIBER_NO_DEADLINE);
	mem_free(calls);
}

static void measure_commits_await(struct fiber *self, struct bench *b, long count, int at_once)
{
	struct coordinator_figures before, after;
	double began = now_ms(CLOCK_MONOTONIC), cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID), took;

	coordinator_figures(b->coordinator, &before);
	commit_await(self, b, count, at_once);
	took = now_ms(CLOCK_MONOTONIC) - began;
	coordinator_figures(b->coordinator, &after);
	printf("%5d at once: %8.0f commits/s, %5.2f us of CPU each, %6.1f a batch, %ld errors\n", at_once,
	       (double)count / took * 1e3, (now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e3 / (double)count,
	       (double)count / (double)(after.batches - before.batches), b->errors);
}

static void bench_main(struct fiber *self, void *argument)
{
	struct bench *b = argument;
	struct coordinator_figures f;
	double began, cpu;

	event_init(&b->finished);
	open_await(self, b);
	(void)loaded_await(self, b);
	b->names = b->offsets;
	commit_await(self, b, b->offsets, 20000);
	close_await(self, b);

	open_await(self, b);
	began = now_ms(CLOCK_MONOTONIC);
	cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
	f = loaded_await(self, b);
	printf("%llu offsets loaded in %.0f ms, %.0f ms of CPU\n", (unsigned long long)f.loaded_records,
	       now_ms(CLOCK_MONOTONIC) - began, now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	b->names = 1000;
	measure_commits_await(self, b, COMMITS / 50, 1);
	measure_commits_await(self, b, COMMITS / 10, 10);
	measure_commits_await(self, b, COMMITS, 100);
	measure_commits_await(self, b, COMMITS * 5, AT_ONCE);
	close_await(self, b);
	runtime_stop(shard_runtime(fiber_shard(self)), 0);
}

static void start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "bench", .stack_size = (size_t)128 * 1024};

	must(fiber_start(s, &options, bench_main, argument) != NULL);
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/moldau-coordinator-XXXXXX", command[64];
	struct bench b = {.offsets = argc > 1 ? atol(argv[1]) : 1000000};
	struct linux_options o = {.shards = 1};
	int code;

	b.folders[0] = argc > 2 ? argv[2] : mkdtemp(folder);
	if (!b.folders[0])
		return 1;
	code = linux_run(&o, start, &b);
	if (argc <= 2) {
		snprintf(command, sizeof(command), "rm -rf '%s'", folder);
		code = system(command) ? 1 : code;
	}
	return code;
}
