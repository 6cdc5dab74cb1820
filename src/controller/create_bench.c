/* create_bench: how long the creation of 5,000 partitions takes up to the answer, and the reading back; logs are not in it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "controller/controller.h"
#include "metastore/embedded/embedded.h"
#include "runtime/file.h"
#include "runtime/linux/linux.h"

struct bench {
	const char *name;
	size_t topics;
	int32_t partitions;
};

static const struct bench benches[] = {{"1 topic of 5,000 partitions", 1, 5000},
				       {"100 topics of 50 partitions", 100, 50},
				       {"5,000 topics of 1 partition", 5000, 1}};

static void run_await(struct fiber *self, const struct bench *b)
{
	struct shard *s = fiber_shard(self);
	struct config *config = config_new();
	struct image_subscriber subscriber = {.shard = s, .image = image_new()}, *pointer = &subscriber;
	struct controller_options o = {.config = config, .node_id = 1, .subscribers = &pointer, .subscriber_count = 1};
	struct broker_registration registration = {.rack = NULL};
	struct create_topics r = {.topics = mem_zalloc(b->topics * sizeof(*r.topics)), .count = b->topics};
	char template[] = "/tmp/moldau-bench-XXXXXX", folder[100];
	struct embedded_options e = {.folder = folder};
	struct metastore *store;
	struct controller *c;
	struct arena a;
	int64_t start, created, loaded;

	must(mkdtemp(template));
	snprintf(folder, sizeof(folder), "%s/" EMBEDDED_FOLDER, template);
	arena_init(&a, (size_t)64 << 20);
	r.arena = &a;
	for (size_t i = 0; i < b->topics; i++) {
		char name[32];

		snprintf(name, sizeof(name), "topic-%zu", i);
		r.topics[i].name = arena_copy(&a, bytes_str(name));
		r.topics[i].partitions = b->partitions;
		r.topics[i].replication_factor = -1;
	}
	must(embedded_open_await(self, &e, &store) == OK);
	o.store = store;
	c = controller_new(s, &o);
	must(controller_load_await(self, c) == OK);
	must(controller_register_await(self, c, &registration) == OK);
	fiber_yield_await(self);
	start = shard_now_us(s);
	controller_create_topics_await(self, c, &r);
	created = shard_now_us(s) - start;
	must(image_partition_count(subscriber.image) == 5000);
	controller_free(c);
	must(metastore_close_await(self, store) == OK);
	image_free(subscriber.image);

	subscriber.image = image_new();
	fiber_sleep_await(self, 1000) ? must_not_reach() : (void)0;
	start = shard_now_us(s);
	must(embedded_open_await(self, &e, &store) == OK);
	o.store = store;
	c = controller_new(s, &o);
	must(controller_load_await(self, c) == OK);
	loaded = shard_now_us(s) - start;
	must(image_partition_count(subscriber.image) == 5000);
	printf("%-32s created in %6.1f ms, loaded in %6.1f ms\n", b->name, (double)created / 1000,
	       (double)loaded / 1000);
	controller_free(c);
	must(metastore_close_await(self, store) == OK);
	must(folder_remove_all_await(self, template) == OK);
	image_free(subscriber.image);
	config_free(config);
	arena_fini(&a);
	mem_free(r.topics);
}

static void bench_main(struct fiber *self, void *argument)
{
	(void)argument;
	for (size_t i = 0; i < countof(benches); i++)
		run_await(self, &benches[i]);
	runtime_stop(shard_runtime(fiber_shard(self)), 0);
}

static void start_bench(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "bench", .stack_size = (size_t)256 * 1024};

	must(fiber_start(s, &options, bench_main, argument));
}

int main(void)
{
	static const struct linux_options o = {.shards = 1, .io = IO_AUTO};

	return linux_run(&o, start_bench, NULL);
}
