/*
 * auto_create: topics that come to be because somebody asked for them. One creation a name and shard at a time; when two
 * shards create one name at once, the controller puts them in order and refuses the second, which nobody hears of.
 */
#include "base/alloc.h"
#include "broker/broker_own.h"
#include "broker/internal_topics.h"

/* At once on a shard: a client that asks for thousands of names gets them in several rounds. */
#define MAX_CREATIONS 64
#define MAX_TEXTS 4096 /* of one answer */

struct creation {
	struct broker_part *part;
	enum internal_topic internal; /* INTERNAL_TOPICS: none of them */
	size_t name_size;
	char name[];
};

static struct broker_part *part_of(struct broker_shard *b)
{
	return container_of(b, struct broker_part, shard);
}

static void creation_main(struct fiber *self, void *argument)
{
	struct creation *c = argument;
	struct broker_part *part = c->part;
	struct arena arena;
	struct internal_topic_plan plan = {
		.topic = {.name = bytes_of(c->name, c->name_size), .partitions = -1, .replication_factor = -1}};
	struct create_topic *topic = &plan.topic;
	struct create_topics call = {.topics = topic, .count = 1, .arena = &arena};

	if (c->internal != INTERNAL_TOPICS)
		internal_topic_plan(part->shard.broker->config, image_broker_count(part->shard.image), c->internal,
				    &plan);
	arena_init(&arena, MAX_TEXTS);
	controller_create_topics_from_await(self, part->shard.broker->controller, &call);
	if (topic->error && topic->error != ERR_TOPIC_ALREADY_EXISTS) /* whoever asked sees only that it is not there */
		log_warn(shard_log(part->shard.shard), "topic %.*s was asked for and could not be created: %s%s%.*s",
			 BYTES_ARG(topic->name), err_text(topic->error), topic->message.size ? ": " : "",
			 BYTES_ARG(topic->message));
	arena_fini(&arena);
	(void)map_remove(&part->shard.creations, bytes_of(c->name, c->name_size));
	mem_free(c);
	part->creating--;
	event_signal(&part->created);
}

static void create(struct broker_part *part, struct bytes topic)
{
	static const struct fiber_options options = {.name = "auto-create"};
	struct creation *c;

	if (topic.size == 0 || map_get(&part->shard.creations, topic))
		return;
	if (part->creating >= MAX_CREATIONS || part->connections.draining)
		return;
	c = mem_zalloc(sizeof(*c) + topic.size);
	c->part = part;
	if (!internal_topic_find(topic, &c->internal))
		c->internal = INTERNAL_TOPICS;
	c->name_size = topic.size;
	memcpy(c->name, topic.data, topic.size);
	if (!fiber_start(part->shard.shard, &options, creation_main, c)) {
		mem_free(c);
		return;
	}
	(void)map_put(&part->shard.creations, topic, c);
	part->creating++;
}

void broker_auto_create(struct broker_shard *b, struct bytes topic)
{
	if (config_bool(b->broker->config, CONFIG_AUTO_CREATE_TOPICS_ENABLE))
		create(part_of(b), topic);
}

/* A coordinator needs its topic whether or not clients may have theirs made. */
void broker_create_internal_await(struct fiber *self, struct broker_shard *b, enum internal_topic topic)
{
	struct broker_part *part = part_of(b);
	struct bytes name = bytes_str(internal_topic_name(topic));

	create(part, name);
	while (map_get(&b->creations, name))
		if (event_wait_await(self, &part->created, FIBER_NO_DEADLINE))
			fiber_yield_await(self);
}

void auto_create_quiet_await(struct fiber *self, struct broker_part *part)
{
	while (part->creating > 0)
		if (event_wait_await(self, &part->created, FIBER_NO_DEADLINE))
			fiber_yield_await(self);
}
