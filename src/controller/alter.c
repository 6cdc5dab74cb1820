/*
 * alter: settings of topics, brokers, groups and client metrics: decide (configs.h), one fenced multi for each resource, delta. Two
 * requests about one resource run one after the other: they take its name as those about topics do.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "controller/configs.h"
#include "controller/state.h"

#define MAX_PLANS ((size_t)64 << 20)

/* Topics have their name, so that a deletion is waited for; no topic is called like the others. */
static struct bytes name_of(const struct alter_config *a, struct arena *arena)
{
	char path[LAYOUT_PATH_SIZE];

	if (a->resource == CONFIG_OF_TOPIC)
		return a->name;
	if (a->resource == CONFIG_OF_BROKER) /* 1 and 01 are one broker */
		return bytes_str("/config/brokers");
	if (!layout_config_path(path, a->resource, a->name))
		return bytes_null();
	return arena_copy(arena, bytes_str(path));
}

static void publish_plan_await(struct fiber *self, struct controller *c, const struct alter_config *a,
			       const struct config_plan *p)
{
	struct buf delta;

	buf_init(&delta, CONTROLLER_MAX_DELTA);
	delta_begin(&delta);
	for (size_t i = 0; i < p->change_count; i++)
		delta_put(&delta, &(struct delta_record){.kind = DELTA_CONFIG,
							 .resource = a->resource,
							 .resource_name = p->name,
							 .topic_id = p->topic_id,
							 .broker = p->broker,
							 .name = p->changes[i].name,
							 .value = p->changes[i].value});
	controller_publish_await(self, c, &delta);
	buf_fini(&delta);
}

/* Groups and client metrics that have no settings any more leave no node behind. */
static enum err write_plan_await(struct fiber *self, struct controller *c, const struct alter_config *a,
				 const struct config_plan *p)
{
	char path[LAYOUT_PATH_SIZE];
	struct metastore_op ops[] = {controller_fence(c), {.kind = METASTORE_SET, .path = path}};
	struct buf text;
	enum err e;

	must(layout_config_path(path, a->resource, p->name));
	buf_init(&text, CONTROLLER_MAX_NODE);
	layout_put_configs(&text, p->after, p->after_count);
	ops[1].data = buf_bytes(&text);
	ops[1].version = METASTORE_ANY_VERSION;
	e = text.error ? ERR_TOO_BIG : metastore_get_await(self, c->store, path, NULL, NULL, NULL);
	if (e == ERR_NOT_FOUND)
		ops[1].kind = METASTORE_CREATE;
	else if (!e && p->after_count == 0 && a->resource != CONFIG_OF_TOPIC && a->resource != CONFIG_OF_BROKER)
		ops[1].kind = METASTORE_DELETE;
	if (!e || e == ERR_NOT_FOUND)
		e = controller_write_await(self, c, ops, countof(ops));
	buf_fini(&text);
	return e;
}

static void alter_await(struct fiber *self, struct controller *c, struct alter_config *a, const struct alter_configs *r)
{
	struct arena plans;
	struct configs_decision d = {.image = c->image, .config = c->config, .node_id = c->node_id, .arena = &plans};
	struct config_plan p = {0};
	enum err e;

	arena_init(&plans, MAX_PLANS);
	if (configs_decide(&d, a, &p)) {
		a->message = arena_copy(r->arena, a->message);
	} else if (!r->validate_only && p.change_count > 0) {
		/* What is kept of the image in the plan is written before the delta changes it. */
		e = write_plan_await(self, c, a, &p);
		if (!e) {
			publish_plan_await(self, c, a, &p);
		} else {
			a->error = e == ERR_TOO_BIG ? ERR_INVALID_REQUEST : controller_store_error(e);
			a->message = bytes_str(e == ERR_TOO_BIG
						       ? "The settings are larger than the metadata store keeps."
						       : err_text(e));
		}
	}
	arena_fini(&plans);
}

void controller_alter_configs_await(struct fiber *self, struct controller *c, struct alter_configs *r)
{
	struct bytes *names = mem_zalloc((r->count + 1) * sizeof(*names));

	for (size_t i = 0; i < r->count; i++)
		names[i] = name_of(&r->resources[i], r->arena);
	controller_take_names_await(self, c, names, r->count);
	for (size_t i = 0; i < r->count; i++)
		alter_await(self, c, &r->resources[i], r);
	controller_give_names(c, names, r->count);
	mem_free(names);
}
