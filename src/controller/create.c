/*
 * create: CreateTopics. Many topics of a request go into one multi, so that a hundred topics cost one sync.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "controller/state.h"
#include "controller/topics.h"

#define MAX_PLANS ((size_t)64 << 20)
#define BATCH_BYTES (METASTORE_MAX_BYTES / 2)

/* A topic that may be created. */
struct planned_topic {
	struct create_topic *topic;
	struct delta_record record;
	char topic_path[LAYOUT_PATH_SIZE];
	char config_path[LAYOUT_PATH_SIZE];
	struct buf topic_text;
	struct buf config_text;
};

struct creation {
	struct controller *c;
	struct create_topics *request;
	struct arena plans;
	struct planned_topic *topics;
	size_t count;
};

static void plan(struct creation *n, struct create_topic *t)
{
	struct planned_topic *p = &n->topics[n->count];

	*p = (struct planned_topic){.topic = t};
	if (topics_decide(n->c->image, n->c->config, t, &n->plans, &p->record)) {
		/* The refusal's text was made among the plans, which go before the answer is written. */
		t->message = arena_copy(n->request->arena, t->message);
		t->ret_partitions = t->ret_replication_factor = -1;
		return;
	}
	if (n->request->validate_only)
		return;
	p->record.topic_id = uuid_random(shard_random(n->c->shard));
	snprintf(p->topic_path, sizeof(p->topic_path), "/brokers/topics/%.*s", BYTES_ARG(t->name));
	snprintf(p->config_path, sizeof(p->config_path), "/config/topics/%.*s", BYTES_ARG(t->name));
	buf_init(&p->topic_text, CONTROLLER_MAX_NODE);
	buf_init(&p->config_text, CONTROLLER_MAX_NODE);
	layout_put_topic(&p->topic_text, &p->record);
	layout_put_configs(&p->config_text, p->record.configs, p->record.config_count);
	n->count++;
}

static size_t bytes_of_topic(const struct planned_topic *p)
{
	return p->topic_text.size + p->config_text.size + 1200;
}

static void refuse_batch(struct creation *n, size_t from, size_t to, enum err e)
{
	for (size_t i = from; i < to; i++) {
		struct create_topic *t = n->topics[i].topic;

		t->ret_partitions = t->ret_replication_factor = -1;
		if (e == ERR_EXISTS)
			topic_refuse(t, n->request->arena, ERR_TOPIC_ALREADY_EXISTS, "Topic '%.*s' already exists.",
				     BYTES_ARG(t->name));
		else if (e == ERR_TOO_BIG)
			topic_refuse(t, n->request->arena, ERR_INVALID_PARTITIONS,
				     "The topic's description is larger than the metadata store keeps.");
		else
			topic_refuse(t, n->request->arena, controller_store_error(e),
				     "The topic could not be stored: %s.", err_text(e));
	}
}

static enum err write_await(struct fiber *self, struct creation *n, size_t from, size_t to)
{
	size_t count = 1 + 2 * (to - from);
	struct metastore_op *ops = mem_zalloc(count * sizeof(*ops));
	enum err e = OK;

	ops[0] = controller_fence(n->c);
	for (size_t i = from; i < to; i++) {
		struct planned_topic *p = &n->topics[i];
		struct metastore_op *op = &ops[1 + 2 * (i - from)];

		if (p->topic_text.error || p->config_text.error)
			e = ERR_TOO_BIG;
		op[0] = (struct metastore_op){
			.kind = METASTORE_CREATE, .path = p->config_path, .data = buf_bytes(&p->config_text)};
		op[1] = (struct metastore_op){
			.kind = METASTORE_CREATE, .path = p->topic_path, .data = buf_bytes(&p->topic_text)};
	}
	if (!e)
		e = controller_write_await(self, n->c, ops, count);
	mem_free(ops);
	return e;
}

static void publish_batch_await(struct fiber *self, struct creation *n, size_t from, size_t to)
{
	struct buf delta;

	buf_init(&delta, CONTROLLER_MAX_DELTA);
	delta_begin(&delta);
	for (size_t i = from; i < to; i++) {
		n->topics[i].topic->topic_id = n->topics[i].record.topic_id;
		delta_put(&delta, &n->topics[i].record);
	}
	controller_publish_await(self, n->c, &delta);
	buf_fini(&delta);
}

/* One batch; when it fails for a reason that may be one topic's alone, each by itself. */
static void create_batch_await(struct fiber *self, struct creation *n, size_t from, size_t to)
{
	enum err e = write_await(self, n, from, to);

	if (!e) {
		publish_batch_await(self, n, from, to);
		return;
	}
	if (to - from == 1 || (e != ERR_EXISTS && e != ERR_TOO_BIG)) {
		refuse_batch(n, from, to, e);
		return;
	}
	for (size_t i = from; i < to; i++) {
		e = write_await(self, n, i, i + 1);
		if (e)
			refuse_batch(n, i, i + 1, e);
		else
			publish_batch_await(self, n, i, i + 1);
	}
}

void controller_create_topics_await(struct fiber *self, struct controller *c, struct create_topics *r)
{
	struct creation n = {.c = c, .request = r};
	struct bytes *names = mem_zalloc(r->count * sizeof(*names));
	size_t from = 0;

	topics_check_request(c->config, r);
	for (size_t i = 0; i < r->count; i++)
		names[i] = r->topics[i].error ? bytes_null() : r->topics[i].name;
	controller_take_names_await(self, c, names, r->count);

	arena_init(&n.plans, MAX_PLANS);
	n.topics = mem_alloc(r->count * sizeof(*n.topics));
	for (size_t i = 0; i < r->count; i++)
		if (!r->topics[i].error)
			plan(&n, &r->topics[i]);
	while (from < n.count) {
		size_t to = from + 1, size = bytes_of_topic(&n.topics[from]);

		while (to < n.count && size + bytes_of_topic(&n.topics[to]) <= BATCH_BYTES)
			size += bytes_of_topic(&n.topics[to++]);
		create_batch_await(self, &n, from, to);
		from = to;
	}

	controller_give_names(c, names, r->count);
	for (size_t i = 0; i < n.count; i++) {
		buf_fini(&n.topics[i].topic_text);
		buf_fini(&n.topics[i].config_text);
	}
	mem_free(n.topics);
	arena_fini(&n.plans);
	mem_free(names);
}
