/* controller: see the header. What its parts share: fenced writes, deltas to all, names that are worked on; and the registration. */
#include "controller/controller.h"

#include <stdio.h>

#include "base/alloc.h"
#include "controller/state.h"
#include "metadata/delta.h"

struct controller *controller_new(struct shard *s, const struct controller_options *o)
{
	struct controller *c = mem_new(struct controller);

	must(shard_index(s) == 0 && o->subscriber_count > 0 && o->subscribers[0]->shard == s);
	c->shard = s;
	c->config = o->config;
	c->store = o->store;
	c->node_id = o->node_id;
	c->wanted_cluster_id = o->cluster_id ? mem_strdup(o->cluster_id) : NULL;
	c->subscribers = mem_dup(o->subscribers, o->subscriber_count * sizeof(struct image_subscriber *));
	c->subscriber_count = o->subscriber_count;
	c->read_only = o->read_only;
	c->image = o->subscribers[0]->image;
	map_init_seeded(&c->busy, shard_map_seed(s));
	event_init(&c->name_free);
	return c;
}

void controller_free(struct controller *c)
{
	if (!c)
		return;
	must(c->busy.count == 0);
	map_fini(&c->busy);
	mem_free(c->subscribers);
	mem_free(c->wanted_cluster_id);
	mem_free(c);
}

struct metastore_op controller_fence(const struct controller *c)
{
	return (struct metastore_op){.kind = METASTORE_CHECK, .path = "/controller_epoch", .version = c->epoch_version};
}

enum err controller_write_await(struct fiber *self, struct controller *c, struct metastore_op *ops, size_t count)
{
	enum err e;

	if (c->ousted)
		return ERR_NOT_CONTROLLER;
	e = metastore_multi_await(self, c->store, ops, count);
	if (e == ERR_NO_SESSION || (e && (ops[0].error == ERR_CONFLICT || ops[0].error == ERR_NOT_FOUND))) {
		log_error(shard_log(c->shard), "another controller has taken over: this one makes no more changes");
		c->ousted = true;
		return ERR_NOT_CONTROLLER;
	}
	return e;
}

void controller_publish_await(struct fiber *self, struct controller *c, struct buf *delta)
{
	must(!delta->error);
	publish_await(self, c->subscribers, c->subscriber_count, buf_bytes(delta));
}

enum err controller_store_error(enum err e)
{
	switch ((int)e) {
	case ERR_NOT_CONTROLLER:
		return ERR_NOT_CONTROLLER;
	case ERR_NO_SPACE:
	case ERR_IO:
	case ERR_OFFLINE:
		return ERR_KAFKA_STORAGE_ERROR;
	case ERR_CONNECTION_LOST:
	case ERR_TIMED_OUT:
		return ERR_REQUEST_TIMED_OUT;
	default:
		return ERR_UNKNOWN_SERVER_ERROR;
	}
}

/* --- names --------------------------------------------------------------------------------------------------------------- */

#define KEY_SIZE 250

/* Two names that collide have one key. Longer names are refused anyway, and share their beginning's. */
static struct bytes key_of(struct bytes name, char *key)
{
	size_t size = name.size < KEY_SIZE ? name.size : KEY_SIZE;

	for (size_t i = 0; i < size; i++)
		key[i] = name.data[i] == '.' ? '_' : (char)name.data[i];
	return bytes_of(key, size);
}

static bool any_busy(struct controller *c, const struct bytes *names, size_t count)
{
	char key[KEY_SIZE];

	for (size_t i = 0; i < count; i++)
		if (!bytes_is_null(names[i]) && map_get(&c->busy, key_of(names[i], key)))
			return true;
	return false;
}

/* All or none, so that two requests never wait for each other. */
void controller_take_names_await(struct fiber *self, struct controller *c, const struct bytes *names, size_t count)
{
	char key[KEY_SIZE];

	while (any_busy(c, names, count))
		if (event_wait_await(self, &c->name_free, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	for (size_t i = 0; i < count; i++)
		if (!bytes_is_null(names[i]))
			map_put(&c->busy, key_of(names[i], key), c);
}

void controller_give_names(struct controller *c, const struct bytes *names, size_t count)
{
	char key[KEY_SIZE];

	for (size_t i = 0; i < count; i++)
		if (!bytes_is_null(names[i]))
			map_remove(&c->busy, key_of(names[i], key));
	event_signal(&c->name_free);
}

/* --- registration ---------------------------------------------------------------------------------------------------------- */

enum err controller_register_await(struct fiber *self, struct controller *c, const struct broker_registration *r)
{
	struct delta_endpoint *endpoints = mem_zalloc(r->endpoint_count * sizeof(*endpoints));
	struct delta_record record = {.kind = DELTA_BROKER,
				      .broker = c->node_id,
				      .value = bytes_str(r->rack),
				      .endpoints = endpoints,
				      .endpoint_count = (uint32_t)r->endpoint_count};
	struct metastore_op ops[3];
	size_t count = 0;
	char path[LAYOUT_PATH_SIZE];
	struct buf text, delta;
	enum err e;

	buf_init(&text, CONTROLLER_MAX_NODE);
	buf_init(&delta, CONTROLLER_MAX_DELTA);
	snprintf(path, sizeof(path), "/brokers/ids/%d", c->node_id);
	layout_put_broker(&text, r->endpoints, r->endpoint_count, r->rack, shard_wall_ms(c->shard));
	e = text.error ? text.error : metastore_get_await(self, c->store, path, NULL, NULL, NULL);
	if (!e || e == ERR_NOT_FOUND) {
		ops[count++] = controller_fence(c);
		if (!e) /* registered before, by this process: a new node, and so a new epoch */
			ops[count++] = (struct metastore_op){
				.kind = METASTORE_DELETE, .path = path, .version = METASTORE_ANY_VERSION};
		ops[count++] = (struct metastore_op){
			.kind = METASTORE_CREATE, .path = path, .data = buf_bytes(&text), .flags = NODE_EPHEMERAL};
		e = controller_write_await(self, c, ops, count);
	}
	if (!e) {
		record.broker_epoch = ops[count - 1].stat.created;
		for (size_t i = 0; i < r->endpoint_count; i++)
			endpoints[i] = (struct delta_endpoint){.listener = bytes_str(r->endpoints[i].listener),
							       .host = bytes_str(r->endpoints[i].host),
							       .port = r->endpoints[i].port,
							       .security_protocol = r->endpoints[i].security_protocol};
		delta_begin(&delta);
		delta_put(&delta, &record);
		controller_publish_await(self, c, &delta);
	}
	buf_fini(&delta);
	buf_fini(&text);
	mem_free(endpoints);
	return e;
}
