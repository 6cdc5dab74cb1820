/* offsets_test: ListOffsets for many partitions at once, against a broker whose answers follow from topic, partition and timestamp. */
#include "client/core.h"

#include <stdio.h>

#include "base/test.h"
#include "rpc/script_broker.h"
#include "runtime/linux/linux.h"

#define TOPICS 3
#define PARTITIONS 40
#define SECOND_US 1000000

struct offsets_case {
	struct script_broker broker;
	unsigned asked;      /* ListOffsets requests */
	int32_t asked_about; /* partitions in all of them */
	int32_t forgotten;   /* a partition that answers leave out; -1: none */
	bool ran;
};

static const char *const names[TOPICS] = {"a", "b", "c"};

static int64_t beginning(int32_t topic, int32_t partition)
{
	return topic * 1000 + partition;
}

static int64_t end(int32_t topic, int32_t partition)
{
	return beginning(topic, partition) + 100;
}

static int32_t topic_of(struct bytes name)
{
	for (int32_t i = 0; i < TOPICS; i++)
		if (bytes_equal_str(name, names[i]))
			return i;
	must_not_reach();
}

/* --- the broker -------------------------------------------------------------------------------------------------- */

static void answer_metadata(struct script_broker *b, struct script_request *q, struct buf *out)
{
	struct metadata_response_metadata_response_partition partitions[PARTITIONS] = {0};
	struct metadata_response_metadata_response_topic topics[TOPICS] = {0};
	struct metadata_response_metadata_response_broker node = {
		.node_id = 1, .host = bytes_str("127.0.0.1"), .port = b->address.port};
	struct metadata_response r;

	message_init(&metadata_response_type, &r);
	for (int32_t i = 0; i < PARTITIONS; i++)
		partitions[i] = (struct metadata_response_metadata_response_partition){.partition_index = i,
										       .leader_id = 1};
	for (int32_t i = 0; i < TOPICS; i++)
		topics[i] = (struct metadata_response_metadata_response_topic){.name = bytes_str(names[i]),
									       .topic_id = {{(uint8_t)(i + 1)}},
									       .partitions = partitions,
									       .partitions_count = PARTITIONS};
	r.brokers = &node;
	r.brokers_count = 1;
	r.topics = topics;
	r.topics_count = TOPICS;
	script_put(q, &r, out);
}

/* Times below 500 are known at offset beginning + time; partition 7 is led by somebody else. */
static void answer_partition(int32_t topic, const struct list_offsets_request_list_offsets_partition *p,
			     struct list_offsets_response_list_offsets_partition_response *ret)
{
	*ret = (struct list_offsets_response_list_offsets_partition_response){
		.partition_index = p->partition_index, .timestamp = -1, .leader_epoch = -1, .offset = -1};
	if (p->partition_index == 7)
		ret->error_code = ERR_NOT_LEADER_OR_FOLLOWER;
	else if (p->timestamp == -2)
		ret->offset = beginning(topic, p->partition_index);
	else if (p->timestamp == -1)
		ret->offset = end(topic, p->partition_index);
	else if (p->timestamp < 500)
		ret->offset = beginning(topic, p->partition_index) + p->timestamp;
}

static void answer_offsets(struct offsets_case *c, struct script_request *q, struct buf *out)
{
	struct list_offsets_response_list_offsets_partition_response rows[TOPICS][PARTITIONS];
	struct list_offsets_response_list_offsets_topic_response topics[TOPICS] = {0};
	struct list_offsets_request request;
	struct list_offsets_response r;

	script_get(q, &request);
	c->asked++;
	message_init(&list_offsets_response_type, &r);
	CHECK(request.topics_count <= TOPICS);
	/* The other way round than asked: the order is nobody's promise. */
	for (int32_t i = request.topics_count - 1; i >= 0; i--) {
		const struct list_offsets_request_list_offsets_topic *t = &request.topics[i];
		struct list_offsets_response_list_offsets_topic_response *to = &topics[r.topics_count];

		to->name = t->name;
		to->partitions = rows[r.topics_count++];
		for (int32_t k = t->partitions_count - 1; k >= 0; k--) {
			c->asked_about++;
			if (t->partitions[k].partition_index != c->forgotten)
				answer_partition(topic_of(t->name), &t->partitions[k],
						 &to->partitions[to->partitions_count++]);
		}
	}
	r.topics = topics;
	script_put(q, &r, out);
}

static enum script_outcome answer(struct script_broker *b, struct script_request *q, struct buf *out)
{
	if (q->header.api_key == API_API_VERSIONS)
		script_put_versions(q, out);
	else if (q->header.api_key == API_METADATA)
		answer_metadata(b, q, out);
	else
		answer_offsets(b->user, q, out);
	return SCRIPT_ANSWER;
}

/* --- the client -------------------------------------------------------------------------------------------------- */

static void on_outcome(void *user, const struct produce_outcome *o)
{
	(void)user;
	(void)o;
	must_not_reach();
}

static void on_fetched(void *user, struct fetched *f)
{
	(void)user;
	(void)f;
	must_not_reach();
}

static const struct start starts[] = {
	{START_BEGINNING, 0}, {START_END, 0}, {START_TIME, 20}, {START_TIME, 900}, {START_TAIL, 30}, {START_TAIL, 5000},
};

static int64_t wanted_offset(const struct start *at, int32_t topic, int32_t partition)
{
	switch (at->kind) {
	case START_BEGINNING:
		return beginning(topic, partition);
	case START_END:
		return end(topic, partition);
	case START_TIME:
		return at->value < 500 ? beginning(topic, partition) + at->value : end(topic, partition);
	case START_TAIL:
		return at->value < 100 ? end(topic, partition) - at->value : beginning(topic, partition);
	case START_OFFSET:
	case START_COMMITTED:
		break;
	}
	must_not_reach();
}

/* Every kind of start in one go, topics mixed. */
static void check_offsets_await(struct fiber *self, struct offsets_case *c, struct client *client)
{
	static struct offset_question questions[TOPICS * PARTITIONS];
	struct cluster *cluster = &client->cluster;
	size_t count = 0;

	for (int32_t i = 0; i < PARTITIONS; i++)
		for (int32_t t = 0; t < TOPICS; t++)
			questions[count++] = (struct offset_question){.topic = cluster_topic(cluster, names[t], false),
								      .partition = i,
								      .at = starts[i % (int32_t)countof(starts)]};
	list_offsets_await(self, cluster, cluster_broker(cluster, 1), questions, count,
			   shard_now_us(client->shard) + 5 * SECOND_US);
	for (size_t i = 0; i < count; i++) {
		const struct offset_question *q = &questions[i];

		if (q->partition == 7) {
			CHECK_EQ(q->error, ERR_NOT_LEADER_OR_FOLLOWER);
		} else if (q->partition == c->forgotten) {
			CHECK_EQ(q->error, ERR_MALFORMED);
		} else {
			CHECK_EQ(q->error, OK);
			CHECK_EQ(q->offset, wanted_offset(&q->at, topic_of(bytes_str(q->topic->name)), q->partition));
		}
	}
}

static void case_main(struct fiber *self, void *argument)
{
	struct offsets_case *c = argument;
	struct shard *s = fiber_shard(self);
	struct client_sink sink = {.outcome = on_outcome, .hand_over = on_fetched, .user = c};
	struct client_option option = {"bootstrap.servers", NULL};
	struct client_config config;
	struct client *client;
	struct buf message;
	char address[40];

	script_broker_open_await(self, &c->broker);
	snprintf(address, sizeof(address), "127.0.0.1:%u", c->broker.address.port);
	option.value = address;
	buf_init(&message, 1000);
	must_ok(client_config_parse(&option, 1, &config, &message));
	must_ok(client_new(s, &config, &sink, &message, &client));
	for (int32_t i = 0; i < TOPICS; i++)
		(void)cluster_topic(&client->cluster, names[i], false);
	while (!cluster_broker(&client->cluster, 1))
		must_ok(cluster_wait_await(self, &client->cluster, FIBER_NO_DEADLINE));
	check_offsets_await(self, c, client);
	client_stop_await(self, client);
	client_free(client);
	client_config_fini(&config);
	buf_fini(&message);
	script_broker_close(&c->broker);
	fiber_yield_await(self);
	c->ran = true;
	runtime_stop(shard_runtime(s), 0);
}

static void on_start(struct shard *s, void *argument)
{
	static const struct fiber_options options = {.name = "test"};

	must(fiber_start(s, &options, case_main, argument));
}

static void run_case(struct offsets_case *c)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};

	c->broker.answer = answer;
	c->broker.user = c;
	CHECK_EQ(linux_run(&o, on_start, c), 0);
	CHECK(c->ran);
}

TEST(all_partitions_of_a_broker_are_asked_about_in_two_requests)
{
	struct offsets_case c = {.forgotten = -1};

	run_case(&c);
	CHECK_EQ(c.asked, 2);
	/* The second is about tails, and times that nothing is as young as. */
	CHECK(c.asked_about > TOPICS * PARTITIONS && c.asked_about < 2 * TOPICS * PARTITIONS);
}

TEST(what_the_answer_leaves_out_is_an_error_of_that_partition_alone)
{
	struct offsets_case c = {.forgotten = 11};

	run_case(&c);
}
