/* controller_test: from a request on any shard through the store to the image of every shard, and again after a restart. */
#include "controller/controller.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "metastore/embedded/embedded.h"
#include "runtime/file.h"
#include "runtime/linux/backends.h"

#define SHARDS 4

struct node {
	char *folder;
	struct config *config;
	struct metastore *store;
	struct controller *c;
	struct image_subscriber subscribers[SHARDS];
	struct image_subscriber *pointers[SHARDS];
	struct delta_message *held;
};

static struct node *node_new(struct shard *s)
{
	char template[] = "/tmp/moldau-controller-XXXXXX";
	struct node *n = mem_new(struct node);

	EXPECT(mkdtemp(template));
	n->folder = mem_strdup(template);
	n->config = config_new();
	for (unsigned i = 0; i < SHARDS; i++) {
		n->subscribers[i] = (struct image_subscriber){.shard = runtime_shard(shard_runtime(s), i),
							      .image = image_new()};
		n->pointers[i] = &n->subscribers[i];
	}
	return n;
}

static enum err node_start_await(struct fiber *self, struct node *n, const char *cluster_id)
{
	struct image_endpoint endpoint = {
		.listener = (char[]){"PLAINTEXT"}, .host = (char[]){"127.0.0.1"}, .port = 9092};
	struct broker_registration registration = {.endpoints = &endpoint, .endpoint_count = 1, .rack = "r1"};
	struct controller_options o = {.config = n->config, .node_id = 7, .cluster_id = cluster_id};
	struct embedded_options e = {.folder = NULL};
	char path[100];
	enum err error;

	snprintf(path, sizeof(path), "%s/" EMBEDDED_FOLDER, n->folder);
	e.folder = path;
	EXPECT_OK(embedded_open_await(self, &e, &n->store));
	o.store = n->store;
	o.subscribers = n->pointers;
	o.subscriber_count = SHARDS;
	n->c = controller_new(fiber_shard(self), &o);
	error = controller_load_await(self, n->c);
	return error ? error : controller_register_await(self, n->c, &registration);
}

static void node_stop_await(struct fiber *self, struct node *n)
{
	controller_free(n->c);
	EXPECT_OK(metastore_close_await(self, n->store));
	for (unsigned i = 0; i < SHARDS; i++) {
		image_free(n->subscribers[i].image);
		n->subscribers[i].image = image_new();
	}
}

static void node_free_await(struct fiber *self, struct node *n)
{
	EXPECT_OK(folder_remove_all_await(self, n->folder));
	for (unsigned i = 0; i < SHARDS; i++)
		image_free(n->subscribers[i].image);
	config_free(n->config);
	mem_free(n->folder);
	mem_free(n);
}

/* Runs a fiber on a shard and waits for it. */
struct elsewhere {
	struct message message;
	struct node *node;
	void (*work_await)(struct fiber *self, struct node *n);
	struct shard *home;
	struct fiber *caller;
	bool done;
};

static void elsewhere_back(struct shard *at, struct message *m)
{
	struct elsewhere *e = container_of(m, struct elsewhere, message);

	(void)at;
	e->done = true;
	fiber_wake(e->caller);
}

static void elsewhere_main(struct fiber *self, void *argument)
{
	struct elsewhere *e = argument;

	e->work_await(self, e->node);
	e->message.run = elsewhere_back;
	shard_send(fiber_shard(self), e->home, &e->message);
}

static void elsewhere_arrived(struct shard *at, struct message *m)
{
	static const struct fiber_options options = {.name = "elsewhere", .stack_size = (size_t)256 * 1024};

	EXPECT(fiber_start(at, &options, elsewhere_main, container_of(m, struct elsewhere, message)));
}

static void on_shard_await(struct fiber *self, struct node *n, unsigned shard,
			   void (*work_await)(struct fiber *self, struct node *n))
{
	struct elsewhere e = {.message = {.run = elsewhere_arrived},
			      .node = n,
			      .work_await = work_await,
			      .home = fiber_shard(self),
			      .caller = self};

	shard_send(e.home, n->subscribers[shard].shard, &e.message);
	while (!e.done)
		fiber_park_await(self);
}

static struct create_topic topic(const char *name, int32_t partitions)
{
	return (struct create_topic){.name = bytes_str(name), .partitions = partitions, .replication_factor = -1};
}

static void create_from_here_await(struct fiber *self, struct node *n)
{
	struct config_entry config = {bytes_str("segment.ms"), bytes_str("5000")};
	struct create_topic topics[] = {topic("b", 3), topic("a.x", 1), topic("bad name", 1), topic("u_x", 1),
					topic("u.x", 1)};
	struct create_topics r = {.topics = topics, .count = countof(topics)};
	struct image *here = n->subscribers[shard_index(fiber_shard(self))].image;
	struct arena a;

	arena_init(&a, 100000);
	r.arena = &a;
	topics[0].configs = &config;
	topics[0].config_count = 1;
	controller_create_topics_from_await(self, n->c, &r);
	EXPECT_OK(topics[0].error);
	EXPECT_OK(topics[1].error);
	EXPECT_ERR(topics[2].error, ERR_INVALID_TOPIC_EXCEPTION);
	EXPECT_OK(topics[3].error); /* of one request Kafka lets both pass */
	EXPECT_OK(topics[4].error);
	EXPECT(topics[0].ret_partitions == 3 && topics[0].ret_replication_factor == 1);
	EXPECT(topics[2].message.size > 0 && uuid_is_zero(topics[2].topic_id));
	/* Answered means: known here already. */
	EXPECT(image_topic_by_id(here, topics[0].topic_id) == image_topic_by_name(here, bytes_str("b")));
	arena_fini(&a);
}

static void same_on_all(struct node *n)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		struct image *image = n->subscribers[i].image;
		const struct image_topic *t = image_topic_by_name(image, bytes_str("b"));

		EXPECT(image_topic_count(image) == 4);
		EXPECT(t && t->partition_count == 3 && t->config_count == 1);
		EXPECT(image_partition(t, 2)->leader == 7);
		EXPECT(image_version(image) == image_version(n->subscribers[0].image));
		EXPECT(image_broker_by_id(image, 7) && strcmp(image_broker_by_id(image, 7)->rack, "r1") == 0);
		EXPECT(image_feature_level(image, "metadata.version") == 30);
		EXPECT(image_controller(image) == 7);
	}
}

static void life_main(struct fiber *self, void *argument)
{
	struct node *n = node_new(fiber_shard(self));
	struct uuid id;
	int64_t epoch;
	char *cluster;

	(void)argument;
	EXPECT_OK(node_start_await(self, n, NULL));
	on_shard_await(self, n, 3, create_from_here_await);
	same_on_all(n);
	id = image_topic_by_name(n->subscribers[0].image, bytes_str("b"))->id;
	epoch = image_broker_by_id(n->subscribers[0].image, 7)->epoch;
	cluster = mem_strdup(image_cluster_id(n->subscribers[2].image));
	EXPECT(strlen(cluster) == 22);
	node_stop_await(self, n);

	EXPECT_OK(node_start_await(self, n, cluster));
	same_on_all(n);
	EXPECT(uuid_equal(id, image_topic_by_name(n->subscribers[1].image, bytes_str("b"))->id));
	EXPECT(image_broker_by_id(n->subscribers[0].image, 7)->epoch > epoch);
	EXPECT(strcmp(cluster, image_cluster_id(n->subscribers[1].image)) == 0);
	node_stop_await(self, n);

	EXPECT_ERR(node_start_await(self, n, "another-cluster"), ERR_CONFLICT);
	node_stop_await(self, n);
	mem_free(cluster);
	node_free_await(self, n);
}

TEST(what_was_answered_is_on_every_shard_and_there_after_a_restart)
{
	run_over_both(SHARDS, life_main, NULL);
}

static enum err delete_one_await(struct fiber *self, struct node *n, const char *name, struct uuid id)
{
	struct delete_topic t = {.name = bytes_str(name), .id = id};
	struct delete_topics r = {.topics = &t, .count = 1};
	struct arena a;

	arena_init(&a, 10000);
	r.arena = &a;
	controller_delete_topics_from_await(self, n->c, &r);
	arena_fini(&a);
	return t.error;
}

static void delete_main(struct fiber *self, void *argument)
{
	struct uuid zero = {0}, unknown = {.bytes = {9}}, id;
	struct delete_topic twice[] = {
		{.name = bytes_str("a.x")}, {.name = bytes_str("a.x")}, {.name = bytes_str("u_x")}};
	struct delete_topics r = {.topics = twice, .count = 3};
	struct node *n = node_new(fiber_shard(self));
	struct arena a;

	(void)argument;
	arena_init(&a, 10000);
	r.arena = &a;
	EXPECT_OK(node_start_await(self, n, NULL));
	create_from_here_await(self, n);
	id = image_topic_by_name(n->subscribers[0].image, bytes_str("b"))->id;
	EXPECT_ERR(delete_one_await(self, n, "nope", zero), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	EXPECT_ERR(delete_one_await(self, n, NULL, unknown), ERR_UNKNOWN_TOPIC_ID);
	EXPECT_ERR(delete_one_await(self, n, NULL, zero), ERR_INVALID_REQUEST);
	EXPECT_ERR(delete_one_await(self, n, "b", id), ERR_INVALID_REQUEST);
	controller_delete_topics_await(self, n->c, &r);
	EXPECT_ERR(twice[0].error, ERR_INVALID_REQUEST);
	EXPECT(twice[1].repeated && !twice[0].repeated);
	EXPECT_OK(twice[2].error);
	EXPECT_OK(delete_one_await(self, n, NULL, id));
	for (unsigned i = 0; i < SHARDS; i++)
		EXPECT(!image_topic_by_name(n->subscribers[i].image, bytes_str("b")));
	EXPECT_OK(config_set(n->config, bytes_str("delete.topic.enable"), bytes_str("false"), NULL));
	EXPECT_ERR(delete_one_await(self, n, "a.x", zero), ERR_TOPIC_DELETION_DISABLED);
	node_stop_await(self, n);
	EXPECT_OK(node_start_await(self, n, NULL));
	EXPECT(image_topic_count(n->subscribers[0].image) == 2);
	EXPECT(!image_topic_by_id(n->subscribers[0].image, id));
	node_stop_await(self, n);
	arena_fini(&a);
	node_free_await(self, n);
}

TEST(topics_are_deleted_by_name_and_by_id)
{
	run_over_both(SHARDS, delete_main, NULL);
}

/* --- producer ids --------------------------------------------------------------------------------------------------------- */

static void take_ids_await(struct fiber *self, struct node *n)
{
	static const int64_t wanted = 2500;
	struct producer_ids ids = {0};
	int64_t last = -1, id;

	for (int64_t i = 0; i < wanted; i++) {
		EXPECT_OK(producer_ids_next_await(self, n->c, &ids, &id));
		EXPECT(id > last);
		last = id;
	}
	/* Three blocks, all of this shard's own. */
	EXPECT(ids.end % 1000 == 0);
}

static void ids_main(struct fiber *self, void *argument)
{
	struct node *n = node_new(fiber_shard(self));
	struct producer_id_block block;

	(void)argument;
	EXPECT_OK(node_start_await(self, n, NULL));
	EXPECT_OK(controller_allocate_producer_ids_await(self, n->c, &block));
	EXPECT(block.first == 0 && block.count == 1000);
	on_shard_await(self, n, 1, take_ids_await);
	on_shard_await(self, n, 2, take_ids_await);
	node_stop_await(self, n);
	EXPECT_OK(node_start_await(self, n, NULL));
	EXPECT_OK(controller_allocate_producer_ids_await(self, n->c, &block));
	EXPECT(block.first == 7000);
	node_stop_await(self, n);
	node_free_await(self, n);
}

TEST(producer_ids_are_never_given_twice)
{
	run_over_both(SHARDS, ids_main, NULL);
}

/* --- two at once, and holding --------------------------------------------------------------------------------------------- */

struct race {
	struct node *node;
	struct event over;
	int left;
	int created;
	int refused;
};

static void race_main(struct fiber *self, void *argument)
{
	struct race *race = argument;
	struct create_topic t = topic(race->left % 2 ? "one.name" : "one_name", 1);
	struct create_topics r = {.topics = &t, .count = 1};
	struct arena a;

	arena_init(&a, 10000);
	r.arena = &a;
	race->left--;
	controller_create_topics_await(self, race->node->c, &r);
	race->created += t.error == OK;
	race->refused += t.error == ERR_TOPIC_ALREADY_EXISTS || t.error == ERR_INVALID_TOPIC_EXCEPTION;
	arena_fini(&a);
	if (race->created + race->refused == 10)
		event_signal(&race->over);
}

static void races_main(struct fiber *self, void *argument)
{
	static const struct fiber_options options = {.name = "race", .stack_size = (size_t)256 * 1024};
	struct node *n = node_new(fiber_shard(self));
	struct race race = {.node = n, .left = 10};

	(void)argument;
	event_init(&race.over);
	EXPECT_OK(node_start_await(self, n, NULL));
	for (int i = 0; i < 10; i++)
		EXPECT(fiber_start(fiber_shard(self), &options, race_main, &race));
	while (race.created + race.refused < 10)
		EXPECT_OK(event_wait_await(self, &race.over, FIBER_NO_DEADLINE));
	EXPECT(race.created == 1);
	node_stop_await(self, n);
	node_free_await(self, n);
}

TEST(of_ten_who_create_one_name_at_once_one_succeeds)
{
	run_over_both(SHARDS, races_main, NULL);
}

struct holder {
	struct timer timer;
	struct delta_message *held;
	bool released;
};

static struct holder holder; /* a test's own */

static void holder_fire(struct timer *t)
{
	struct holder *h = container_of(t, struct holder, timer);

	h->released = true;
	delta_message_release(h->held);
}

static void hold_changed(struct image_subscriber *s, struct bytes delta, struct delta_message *m)
{
	must(delta.size > 0);
	holder = (struct holder){.timer = {.fire = holder_fire}, .held = m};
	delta_message_hold(m);
	timer_arm(s->shard, &holder.timer, shard_now_us(s->shard) + 2000);
}

static void hold_main(struct fiber *self, void *argument)
{
	struct node *n = node_new(fiber_shard(self));
	struct create_topic t = topic("held", 1);
	struct create_topics r = {.topics = &t, .count = 1};
	struct arena a;

	(void)argument;
	arena_init(&a, 10000);
	r.arena = &a;
	EXPECT_OK(node_start_await(self, n, NULL));
	n->subscribers[2].changed = hold_changed;
	controller_create_topics_await(self, n->c, &r);
	EXPECT_OK(t.error);
	EXPECT(holder.released);
	n->subscribers[2].changed = NULL;
	node_stop_await(self, n);
	arena_fini(&a);
	node_free_await(self, n);
}

TEST(an_answer_waits_for_the_shard_that_holds_the_delta)
{
	run_over_both(SHARDS, hold_main, NULL);
}
