/* driven_test: a client without a thread of its own: it works inside mo_client_drive and calls that wait, and nowhere else. */
#include "moldau/moldau.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "record/batch.h"
#include "rpc/script_broker.h"
#include "runtime/linux/linux.h"

#define TOPIC "orders"
#define TURNS_MAX 6000
#define TURN_MS 10

/* A broker of one partition that takes everything, on a thread of its own. */
struct fixture {
	struct script_broker broker;
	struct linux_thread *thread;
	int64_t offset;
	atomic_uint port; /* 0: not open yet */
	atomic_uint requests;
	atomic_bool stop;
};

static void answer_metadata(struct fixture *f, struct script_request *q, struct buf *out)
{
	struct metadata_response_metadata_response_partition partition = {.leader_id = 1};
	struct metadata_response_metadata_response_topic topic = {
		.name = bytes_str(TOPIC), .topic_id = {{1}}, .partitions = &partition, .partitions_count = 1};
	struct metadata_response_metadata_response_broker node = {
		.node_id = 1, .host = bytes_str("127.0.0.1"), .port = f->broker.address.port};
	struct metadata_response r;

	message_init(&metadata_response_type, &r);
	r.brokers = &node;
	r.brokers_count = 1;
	r.topics = &topic;
	r.topics_count = 1;
	script_put(q, &r, out);
}

static void answer_produce(struct fixture *f, struct script_request *q, struct buf *out)
{
	struct produce_response_partition_produce_response row;
	struct produce_response_topic_produce_response topic = {
		.topic_id = {{1}}, .partition_responses = &row, .partition_responses_count = 1};
	struct batch_header h;
	struct produce_request request;
	struct produce_response r;

	script_get(q, &request);
	must_ok(batch_header_read(request.topic_data[0].partition_data[0].records, &h));
	struct_init(&produce_response_partition_produce_response_struct, &row);
	row.base_offset = f->offset;
	f->offset += h.record_count;
	message_init(&produce_response_type, &r);
	r.responses = &topic;
	r.responses_count = 1;
	script_put(q, &r, out);
}

static enum script_outcome answer(struct script_broker *b, struct script_request *q, struct buf *out)
{
	struct fixture *f = b->user;
	struct init_producer_id_response id;

	atomic_fetch_add(&f->requests, 1);
	if (q->header.api_key == API_API_VERSIONS) {
		script_put_versions(q, out);
	} else if (q->header.api_key == API_METADATA) {
		answer_metadata(f, q, out);
	} else if (q->header.api_key == API_INIT_PRODUCER_ID) {
		message_init(&init_producer_id_response_type, &id);
		id.producer_id = 1000;
		id.producer_epoch = 0;
		script_put(q, &id, out);
	} else {
		CHECK_EQ(q->header.api_key, API_PRODUCE);
		answer_produce(f, q, out);
	}
	return SCRIPT_ANSWER;
}

static void broker_main(struct fiber *self, void *argument)
{
	struct fixture *f = argument;

	f->broker.answer = answer;
	f->broker.user = f;
	script_broker_open_await(self, &f->broker);
	atomic_store(&f->port, f->broker.address.port);
	while (!atomic_load(&f->stop))
		fiber_sleep_await(self, 1000);
	script_broker_close(&f->broker);
	fiber_yield_await(self);
	runtime_stop(shard_runtime(fiber_shard(self)), 0);
}

static void on_start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "broker"};

	must(fiber_start(s, &options, broker_main, argument));
}

static void setup(struct fixture *f)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	*f = (struct fixture){.offset = 0};
	must_ok(linux_thread_start(&o, on_start, f, &f->thread));
	while (!atomic_load(&f->port))
		sched_yield();
}

static void teardown(struct fixture *f)
{
	atomic_store(&f->stop, true);
	CHECK_EQ(linux_thread_join(f->thread), 0);
}

static struct mo_client *open_client(const struct fixture *f)
{
	char address[40];
	struct mo_option options[] = {{"bootstrap.servers", address}, {"linger.ms", "0"}};
	struct mo_client *c = NULL;
	struct mo_err e;

	snprintf(address, sizeof(address), "127.0.0.1:%u", atomic_load(&f->port));
	if (mo_client_open_driven(options, countof(options), &c, &e))
		fail_msg("%s", e.text);
	return c;
}

static void produce(struct mo_client *c, int count)
{
	struct mo_record r = {.topic = TOPIC, .partition = 0, .timestamp_ms = MO_NOW, .value = {"value", 5}};
	struct mo_err e;

	for (int i = 0; i < count; i++)
		if (mo_produce(c, &r, &e))
			fail_msg("%s", e.text);
}

static void count_delivery(void *context, const struct mo_delivery *d)
{
	int *count = context;

	CHECK_EQ(d->code, 0);
	CHECK_EQ(d->offset, *count);
	(*count)++;
}

static uint64_t acknowledged(struct mo_client *c)
{
	struct mo_counts counts;

	mo_client_counts(c, &counts);
	CHECK_EQ(counts.failed, 0);
	return counts.acknowledged;
}

TEST(nothing_is_sent_before_the_client_is_driven_and_callbacks_run_in_poll_only)
{
	struct fixture f;
	struct mo_client *c;
	int delivered = 0;

	setup(&f);
	c = open_client(&f);
	mo_set_delivery(c, count_delivery, &delivered);
	produce(c, 20);
	CHECK_EQ(acknowledged(c), 0);
	CHECK_EQ(atomic_load(&f.requests), 0);
	for (int i = 0; i < TURNS_MAX && acknowledged(c) < 20; i++)
		mo_client_drive(c, TURN_MS);
	CHECK_EQ(acknowledged(c), 20);
	CHECK_EQ(delivered, 0);
	for (int i = 0; i < TURNS_MAX && delivered < 20; i++)
		mo_poll(c, 0);
	CHECK_EQ(delivered, 20);
	mo_client_close(c);
	teardown(&f);
}

TEST(a_flush_drives_the_client_itself)
{
	struct fixture f;
	struct mo_client *c;
	struct mo_err e;

	setup(&f);
	c = open_client(&f);
	produce(c, 5);
	CHECK_EQ(mo_flush(c, 60000, &e), 0);
	CHECK_EQ(acknowledged(c), 5);
	mo_client_close(c);
	teardown(&f);
	CHECK_EQ(f.offset, 5);
}

TEST(driving_without_work_ends_in_its_time_and_closing_with_work_frees_it)
{
	struct fixture f;
	struct mo_client *c;

	setup(&f);
	c = open_client(&f);
	mo_client_drive(c, 0);
	mo_client_drive(c, 5);
	produce(c, 3);
	mo_client_close(c);
	teardown(&f);
}

TEST(a_client_with_a_thread_is_not_driven)
{
	struct mo_option options[] = {{"bootstrap.servers", "127.0.0.1:1"}};
	struct mo_client *c = NULL;
	struct mo_err e;

	CHECK_EQ(mo_client_open(options, 1, &c, &e), 0);
	mo_client_drive(c, 1000000); /* would be long */
	mo_client_close(c);
}
