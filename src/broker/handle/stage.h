/*
 * stage: for tests: a broker in this process, in a folder of its own, and a connection to it through which a test asks what a client would.
 * What a handler answers is looked at here; how requests stand in line is connection_test's.
 *
 *      stage_run --> broker_start --> main(fiber, stage): stage_ask_await ... --> broker_stop
 */
#ifndef BROKER_HANDLE_STAGE_H
#define BROKER_HANDLE_STAGE_H

/* Test programs include runtime/linux/backends.h first: a header of broker/ may not, so without it there is nothing here. */
#ifdef RUNTIME_LINUX_BACKENDS_H

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "broker/broker.h"
#include "config/config.h"
#include "protocol/messages.h"
#include "record/batch.h"
#include "record/builder.h"
#include "rpc/peer.h"

#define STAGE_FRAMES 64
#define STAGE_WAIT_US ((int64_t)60 * 1000 * 1000)
#define STAGE_BATCHES 8

struct stage_setting {
	const char *name;
	const char *value;
};

struct stage {
	struct config *config;
	struct broker *broker;
	struct broker_options options;
	void (*main)(struct fiber *self, struct stage *s);
	char folder[32];
	struct budget frames;
	struct peer *peer;
	struct arena arena; /* of what was asked and answered, until the end */
	struct blob *kept[STAGE_FRAMES];
	size_t kept_count;
	struct batch_builder builders[STAGE_BATCHES];
	size_t builder_count;
	struct event changed;
};

static inline void stage_on_changed(void *user, struct peer *p)
{
	struct stage *s = user;

	(void)p;
	event_signal(&s->changed);
}

/* Another connection; peer_free is the caller's. */
static inline struct peer *stage_connect(struct stage *s, const char *client_id)
{
	size_t count;
	struct shard *shard = broker_shard_zero(s->broker);

	return peer_new(&(struct peer_options){.shard = shard,
					       .address = broker_listeners(s->broker, &count)[0].bound,
					       .client_id = client_id,
					       .software_name = "test",
					       .software_version = "1",
					       .frames = &s->frames,
					       .max_response_bytes = 10000000,
					       .max_calls = 10,
					       .connect_timeout_us = STAGE_WAIT_US,
					       .call_timeout_us = STAGE_WAIT_US,
					       .backoff_us = 1000,
					       .backoff_max_us = 1000,
					       .changed = stage_on_changed,
					       .user = s});
}

/* Asks in that version; the answer's strings live until the stage ends. */
static inline void stage_ask_by_await(struct fiber *self, struct stage *s, struct peer *p, int16_t api_key,
				      int16_t version, const void *request, void *response)
{
	struct peer_ask ask = {.api_key = api_key,
			       .newest = version,
			       .deadline_us = shard_now_us(fiber_shard(self)) + STAGE_WAIT_US,
			       .request = request,
			       .response = response,
			       .arena = &s->arena};
	struct blob *frame = NULL;
	int16_t used = -1;

	EXPECT_OK(peer_ask_await(self, p, &ask, &used, &frame));
	EXPECT(used == version);
	EXPECT(s->kept_count < STAGE_FRAMES);
	s->kept[s->kept_count++] = frame;
}

static inline void stage_ask_await(struct fiber *self, struct stage *s, int16_t api_key, int16_t version,
				   const void *request, void *response)
{
	stage_ask_by_await(self, s, s->peer, api_key, version, request, response);
}

/* A topic that is wanted; returns its id. */
static inline struct uuid stage_topic_await(struct fiber *self, struct stage *s, const char *name, int32_t partitions,
					    const char *setting, const char *value)
{
	struct create_topics_request_creatable_topic_config config = {.name = bytes_str(setting ? setting : ""),
								      .value = bytes_str(value ? value : "")};
	struct create_topics_request_creatable_topic topic = {.name = bytes_str(name),
							      .num_partitions = partitions,
							      .replication_factor = 1,
							      .configs = &config,
							      .configs_count = setting != NULL};
	struct create_topics_request request;
	struct create_topics_response response;

	message_init(&create_topics_request_type, &request);
	request.topics = &topic;
	request.topics_count = 1;
	request.timeout_ms = 30000;
	stage_ask_await(self, s, API_CREATE_TOPICS, 7, &request, &response);
	EXPECT(response.topics_count == 1);
	EXPECT(response.topics[0].error_code == 0);
	return response.topics[0].topic_id;
}

/* A batch of `count` records; it may be changed, and lives until the stage ends. */
static inline struct bytes stage_batch(struct stage *s, const char *key, const char *value, int count)
{
	struct batch_options o = batch_options_default(100000);
	struct batch_builder *b = &s->builders[s->builder_count];
	struct bytes whole;

	EXPECT(s->builder_count++ < STAGE_BATCHES);
	batch_builder_init(b, &o);
	for (int i = 0; i < count; i++)
		EXPECT_OK(batch_builder_append(b, 1000000 + i, key ? bytes_str(key) : bytes_null(), bytes_str(value),
					       NULL, 0));
	EXPECT_OK(batch_builder_finish(b, &whole));
	return whole;
}

/* One partition of one topic, which must work: the base offset. */
static inline int64_t stage_produce_await(struct fiber *self, struct stage *s, const char *topic, int32_t partition,
					  struct bytes records)
{
	struct produce_request_partition_produce_data data = {.index = partition, .records = records};
	struct produce_request_topic_produce_data named = {
		.name = bytes_str(topic), .partition_data = &data, .partition_data_count = 1};
	struct produce_request request;
	struct produce_response response;

	message_init(&produce_request_type, &request);
	request.acks = -1;
	request.timeout_ms = 30000;
	request.topic_data = &named;
	request.topic_data_count = 1;
	stage_ask_await(self, s, API_PRODUCE, 9, &request, &response);
	EXPECT(response.responses_count == 1);
	EXPECT(response.responses[0].partition_responses_count == 1);
	EXPECT(response.responses[0].partition_responses[0].error_code == 0);
	return response.responses[0].partition_responses[0].base_offset;
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

static inline void stage_main(struct fiber *self, void *argument)
{
	struct stage *s = argument;
	struct broker *b = s->broker;

	budget_init(&s->frames, fiber_shard(self), 100000000);
	arena_init(&s->arena, 10000000);
	event_init(&s->changed);
	s->peer = stage_connect(s, "test");
	s->main(self, s);
	peer_free(s->peer);
	for (size_t i = 0; i < s->kept_count; i++)
		blob_unref(s->kept[i]);
	fiber_yield_await(self); /* what was freed ends in a turn of its own */
	fiber_yield_await(self);
	budget_fini(&s->frames);
	arena_fini(&s->arena);
	for (size_t i = 0; i < s->builder_count; i++)
		batch_builder_fini(&s->builders[i]);
	broker_stop(b);
}

static inline void stage_started(struct broker *b, void *context)
{
	static const struct fiber_options options = {.name = "test", .stack_size = (size_t)256 * 1024};
	struct stage *s = context;

	s->broker = b;
	EXPECT(fiber_start(broker_shard_zero(b), &options, stage_main, s));
}

static inline void stage_start(struct shard *zero, void *argument)
{
	struct stage *s = argument;

	s->broker = broker_start(zero, &s->options);
}

static inline void stage_set(struct stage *s, const char *name, const char *value)
{
	EXPECT_OK(config_set(s->config, bytes_str(name), bytes_str(value), NULL));
}

/* Starts a broker of two shards with those settings (ended by one without a name; NULL: none), runs `main`, and stops it. */
static inline void stage_run(const struct stage_setting *settings, void (*main)(struct fiber *self, struct stage *s))
{
	struct stage *s = mem_new(struct stage);
	struct linux_options platform = {.shards = 2, .io = IO_EPOLL};
	char command[64];

	memcpy(s->folder, "/tmp/moldau-stage-XXXXXX", 25);
	EXPECT(mkdtemp(s->folder));
	s->main = main;
	s->config = config_new();
	stage_set(s, "listeners", "PLAINTEXT://127.0.0.1:0");
	stage_set(s, "metrics.listener", "");
	stage_set(s, "log.dirs", s->folder);
	stage_set(s, "memory.limit.bytes", "67108864");
	stage_set(s, "offsets.topic.num.partitions", "1");
	for (; settings && settings->name; settings++)
		stage_set(s, settings->name, settings->value);
	s->options = (struct broker_options){
		.config = s->config, .journal_bytes = (size_t)128 << 10, .started = stage_started, .context = s};
	CHECK_EQ(linux_run(&platform, stage_start, s), 0);
	broker_free(s->broker);
	config_free(s->config);
	snprintf(command, sizeof(command), "rm -r %s", s->folder);
	CHECK_EQ(system(command), 0);
	mem_free(s);
}

#endif
#endif
