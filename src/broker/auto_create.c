/*
 * auto_create: topics that come to be because somebody asked for them. One creation a name and shard, whoever waits; two
 * shards that create one name at once are put in order by the controller, and both are content.
 */
#include "base/alloc.h"
#include "broker/broker_own.h"
#include "broker/handle/told.h"

/* At once on a shard: a client that asks for thousands of names gets them in several rounds. */
#define MAX_CREATIONS 64
#define MAX_TEXTS 4096 /* of one answer */

struct creation {
	struct broker_part *part;
	struct event over;
	size_t waiting; /* fibers that will look at the outcome */
	bool done;
	enum err error;
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
	struct create_topic topic = {
		.name = bytes_of(c->name, c->name_size), .partitions = -1, .replication_factor = -1};
	struct create_topics call = {.topics = &topic, .count = 1, .arena = &arena};

	arena_init(&arena, MAX_TEXTS);
	controller_create_topics_from_await(self, part->shard.broker->controller, &call);
	arena_fini(&arena);
	c->error = topic.error == ERR_TOPIC_ALREADY_EXISTS ? OK : topic.error;
	c->done = true;
	(void)map_remove(&part->shard.creations, bytes_of(c->name, c->name_size));
	event_signal(&c->over);
	if (c->waiting == 0)
		mem_free(c);
	part->creating--;
	event_signal(&part->created);
}

/* The one under way, or a new one; NULL with the reason. */
static struct creation *start(struct broker_part *part, struct bytes topic, enum err *ret_error)
{
	static const struct fiber_options options = {.name = "auto-create"};
	struct creation *c = map_get(&part->shard.creations, topic);

	if (c)
		return c;
	*ret_error = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (!config_bool(part->shard.broker->config, CONFIG_AUTO_CREATE_TOPICS_ENABLE) || told_is_internal(topic) ||
	    part->creating >= MAX_CREATIONS || part->connections.draining)
		return NULL;
	c = mem_zalloc(sizeof(*c) + topic.size);
	c->part = part;
	c->name_size = topic.size;
	memcpy(c->name, topic.data, topic.size);
	event_init(&c->over);
	if (!fiber_start(part->shard.shard, &options, creation_main, c)) {
		mem_free(c);
		return NULL;
	}
	(void)map_put(&part->shard.creations, topic, c);
	part->creating++;
	return c;
}

void broker_auto_create(struct broker_shard *b, struct bytes topic)
{
	enum err ignored;

	if (topic.size > 0)
		(void)start(part_of(b), topic, &ignored);
}

enum err broker_auto_create_await(struct fiber *self, struct broker_shard *b, struct bytes topic)
{
	struct creation *c;
	enum err e = OK;

	if (image_topic_by_name(b->image, topic))
		return OK;
	if (topic.size == 0)
		return ERR_INVALID_TOPIC_EXCEPTION;
	c = start(part_of(b), topic, &e);
	if (!c)
		return e;
	c->waiting++;
	/* A cancelled waiter stays until it is over: creations end soon, and it may not leave while it is counted. */
	while (!c->done)
		if (event_wait_await(self, &c->over, FIBER_NO_DEADLINE) && !c->done)
			fiber_yield_await(self);
	e = c->error;
	if (--c->waiting == 0)
		mem_free(c);
	return e;
}

void auto_create_quiet_await(struct fiber *self, struct broker_part *part)
{
	while (part->creating > 0)
		if (event_wait_await(self, &part->created, FIBER_NO_DEADLINE))
			fiber_yield_await(self);
}
