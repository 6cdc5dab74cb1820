/* delete: DeleteTopics, by name or id. A topic goes with its settings and all below it in one multi. */
#include <stdio.h>

#include "base/alloc.h"
#include "controller/state.h"

struct paths {
	char **items; /* children before their parents */
	size_t count;
	size_t capacity;
};

static void refuse(struct delete_topic *t, enum err e, const char *text)
{
	t->error = e;
	t->message = bytes_str(text);
}

/* The topic that is meant, if there is one; else refuses, with Kafka's words. */
static const struct image_topic *resolve(const struct image *i, struct delete_topic *t)
{
	const struct image_topic *topic;
	bool by_name = !bytes_is_null(t->name), by_id = !uuid_is_zero(t->id);

	t->error = OK;
	t->message = bytes_null();
	t->repeated = false;
	t->ret_name = t->name;
	t->ret_id = t->id;
	if (by_name && by_id) {
		refuse(t, ERR_INVALID_REQUEST, "You may not specify both topic name and topic id.");
		return NULL;
	}
	if (!by_name && !by_id) {
		refuse(t, ERR_INVALID_REQUEST, "Neither topic name nor id were specified.");
		return NULL;
	}
	topic = by_name ? image_topic_by_name(i, t->name) : image_topic_by_id(i, t->id);
	if (!topic)
		refuse(t, by_name ? ERR_UNKNOWN_TOPIC_OR_PARTITION : ERR_UNKNOWN_TOPIC_ID,
		       by_name ? "This server does not host this topic-partition."
			       : "This server does not host this topic ID.");
	return topic;
}

static const char *repeated_text(const struct delete_topic *t, const struct delete_topic *earlier)
{
	bool t_named = !bytes_is_null(t->name), earlier_named = !bytes_is_null(earlier->name);

	if (t_named && earlier_named)
		return "Duplicate topic name.";
	if (!t_named && !earlier_named)
		return "Duplicate topic id.";
	return "The provided topic name maps to an ID that was already supplied.";
}

static struct bytes id_key(const struct delete_topic *t)
{
	return bytes_of(t->ret_id.bytes, sizeof(t->ret_id.bytes));
}

/* What is asked for twice is not done at all. Names and ids apart: a name that is not there has no id. */
static void refuse_repeated(struct delete_topics *r)
{
	struct map by_name, by_id;

	map_init_seeded(&by_name, r->seed);
	map_init_seeded(&by_id, r->seed);
	for (size_t i = 0; i < r->count; i++) {
		struct delete_topic *t = &r->topics[i], *earlier = NULL;
		bool named = !bytes_is_null(t->name), has_id = !uuid_is_zero(t->ret_id);

		if (named)
			earlier = map_get(&by_name, t->name);
		if (!earlier && has_id)
			earlier = map_get(&by_id, id_key(t));
		if (earlier) {
			t->repeated = true;
			refuse(t, ERR_INVALID_REQUEST, repeated_text(t, earlier));
			refuse(earlier, ERR_INVALID_REQUEST, repeated_text(t, earlier));
			continue;
		}
		if (named)
			map_put(&by_name, t->name, t);
		if (has_id)
			map_put(&by_id, id_key(t), t);
	}
	map_fini(&by_name);
	map_fini(&by_id);
}

static void paths_add(struct paths *p, const char *path)
{
	p->items = mem_grow(p->items, &p->capacity, p->count + 1, sizeof(char *));
	p->items[p->count++] = mem_strdup(path);
}

/* The node and all below it. Three levels at most lie below a topic. */
static enum err collect_await(struct fiber *self, struct controller *c, const char *path, struct paths *p)
{
	struct metastore_children children;
	char *child = mem_alloc(LAYOUT_PATH_SIZE);
	enum err e = metastore_children_await(self, c->store, path, &children, NULL);

	if (!e) {
		for (size_t i = 0; !e && i < children.count; i++) {
			snprintf(child, LAYOUT_PATH_SIZE, "%s/%s", path, children.names[i]);
			e = collect_await(self, c, child, p);
		}
		metastore_children_free(&children);
		paths_add(p, path);
	} else if (e == ERR_NOT_FOUND) {
		e = OK;
	}
	mem_free(child);
	return e;
}

static enum err remove_await(struct fiber *self, struct controller *c, struct bytes name)
{
	char path[LAYOUT_PATH_SIZE];
	struct metastore_op *ops;
	struct paths p = {0};
	enum err e;

	snprintf(path, sizeof(path), "/brokers/topics/%.*s", BYTES_ARG(name));
	e = collect_await(self, c, path, &p);
	snprintf(path, sizeof(path), "/config/topics/%.*s", BYTES_ARG(name));
	if (!e)
		e = collect_await(self, c, path, &p);
	if (!e) {
		ops = mem_zalloc((p.count + 1) * sizeof(*ops));
		ops[0] = controller_fence(c);
		for (size_t i = 0; i < p.count; i++)
			ops[1 + i] = (struct metastore_op){
				.kind = METASTORE_DELETE, .path = p.items[i], .version = METASTORE_ANY_VERSION};
		e = controller_write_await(self, c, ops, p.count + 1);
		mem_free(ops);
	}
	for (size_t i = 0; i < p.count; i++)
		mem_free(p.items[i]);
	mem_free(p.items);
	return e;
}

static void delete_one_await(struct fiber *self, struct controller *c, struct delete_topic *t)
{
	struct delta_record record = {.kind = DELTA_TOPIC_REMOVED, .topic_id = t->ret_id};
	struct buf delta;
	enum err e = remove_await(self, c, t->ret_name);

	if (e) {
		refuse(t, controller_store_error(e), err_text(e));
		return;
	}
	buf_init(&delta, CONTROLLER_MAX_DELTA);
	delta_begin(&delta);
	delta_put(&delta, &record);
	controller_publish_await(self, c, &delta);
	buf_fini(&delta);
}

/* With the names taken; the topic may have gone, or come, while they were waited for. */
static void resolve_all(struct controller *c, struct delete_topics *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct delete_topic *t = &r->topics[i];
		const struct image_topic *topic = resolve(c->image, t);

		if (!topic)
			continue;
		t->ret_id = topic->id;
		t->ret_name = arena_copy(r->arena, topic->name);
		if (bytes_is_null(t->ret_name))
			refuse(t, ERR_UNKNOWN_SERVER_ERROR, "The request is larger than this broker handles.");
	}
	refuse_repeated(r);
}

void controller_delete_topics_await(struct fiber *self, struct controller *c, struct delete_topics *r)
{
	struct bytes *names = mem_zalloc(r->count * sizeof(*names));

	/* An id has one name for ever, so the names can be taken before all is decided again. */
	resolve_all(c, r);
	for (size_t i = 0; i < r->count; i++)
		names[i] = r->topics[i].error ? bytes_null() : r->topics[i].ret_name;
	controller_take_names_await(self, c, names, r->count);
	resolve_all(c, r);
	for (size_t i = 0; i < r->count; i++) {
		struct delete_topic *t = &r->topics[i];

		if (t->error)
			continue;
		if (!config_bool(c->config, CONFIG_DELETE_TOPIC_ENABLE))
			refuse(t, ERR_TOPIC_DELETION_DISABLED, "Topic deletion is disabled.");
		else if (bytes_is_null(
				 names[i])) /* it came while the names were waited for: the next request finds it */
			refuse(t, ERR_UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition.");
		else
			delete_one_await(self, c, t);
	}
	controller_give_names(c, names, r->count);
	mem_free(names);
}
