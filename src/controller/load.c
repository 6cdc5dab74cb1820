/*
 * load: what the controller does first: makes what a new cluster needs, becomes the controller, reads all topics and settings, and
 * brings them to the images.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "controller/features.h"
#include "controller/state.h"
#include "metadata/delta.h"

#define MAX_ARENA ((size_t)256 << 20)
#define DELTA_FLUSH_BYTES ((size_t)1 << 20) /* a delta larger than this goes out before more is read */

struct load {
	struct controller *c;
	struct arena arena; /* of the topic that is being read */
	struct buf text;
	struct buf delta;
};

/* Null data stay null. */
static enum err node_text_await(struct fiber *self, struct load *l, const char *path, struct bytes *ret_text,
				struct node_stat *ret_stat)
{
	struct node_stat stat;
	enum err e;

	buf_reset(&l->text);
	e = metastore_get_await(self, l->c->store, path, &l->text, &stat, NULL);
	if (e)
		return e;
	*ret_text = stat.null_data ? bytes_null() : buf_bytes(&l->text);
	if (ret_stat)
		*ret_stat = stat;
	return OK;
}

static enum err damaged(struct load *l, const char *path, enum err e)
{
	if (e == ERR_MALFORMED || e == ERR_NO_MEMORY) {
		log_error(shard_log(l->c->shard), "metadata: %s does not parse: %.*s", path,
			  l->text.size < 200 ? (int)l->text.size : 200, (const char *)l->text.data);
		return ERR_CORRUPT;
	}
	return e;
}

/* --- a new cluster --------------------------------------------------------------------------------------------------------- */

static const char *const paths[] = {
	"/admin",
	"/admin/delete_topics",
	"/brokers",
	"/brokers/ids",
	"/brokers/seqid",
	"/brokers/topics",
	"/cluster",
	"/config",
	"/config/brokers",
	"/config/changes",
	"/config/client-metrics",
	"/config/clients",
	"/config/groups",
	"/config/ips",
	"/config/topics",
	"/config/users",
	"/controller_epoch",
	"/latest_producer_id_block",
	"/cluster/id",
	"/feature",
};

static enum err missing_await(struct fiber *self, struct load *l, struct metastore_op *ops, size_t *ret_count)
{
	*ret_count = 0;
	for (size_t i = 0; i < countof(paths); i++) {
		enum err e = metastore_get_await(self, l->c->store, paths[i], NULL, NULL, NULL);

		if (e == ERR_NOT_FOUND)
			ops[(*ret_count)++] = (struct metastore_op){.kind = METASTORE_CREATE, .path = paths[i]};
		else if (e)
			return e;
	}
	return OK;
}

/* All that is missing in one transaction. */
static enum err make_paths_await(struct fiber *self, struct load *l)
{
	struct metastore_op ops[countof(paths)];
	char id[UUID_TEXT_SIZE];
	struct buf cluster, feature;
	size_t count;
	enum err e = missing_await(self, l, ops, &count);

	buf_init(&cluster, CONTROLLER_MAX_NODE);
	buf_init(&feature, CONTROLLER_MAX_NODE);
	uuid_format(uuid_random(shard_random(l->c->shard)), id);
	layout_put_cluster_id(&cluster, l->c->wanted_cluster_id ? l->c->wanted_cluster_id : id);
	features_put_new(&feature);
	for (size_t i = 0; !e && i < count; i++) {
		if (strcmp(ops[i].path, "/cluster/id") == 0)
			ops[i].data = buf_bytes(&cluster);
		else if (strcmp(ops[i].path, "/feature") == 0)
			ops[i].data = buf_bytes(&feature);
		else if (strcmp(ops[i].path, "/controller_epoch") == 0)
			ops[i].data = bytes_str("0");
	}
	if (!e && count)
		e = metastore_multi_await(self, l->c->store, ops, count);
	buf_fini(&cluster);
	buf_fini(&feature);
	return e;
}

/* --- becoming the controller --------------------------------------------------------------------------------------------- */

static enum err elect_await(struct fiber *self, struct load *l)
{
	struct controller *c = l->c;
	struct node_stat stat;
	struct bytes text;
	struct buf holder;
	char epoch[24];
	int64_t number = 0;
	enum err e = node_text_await(self, l, "/controller_epoch", &text, &stat);

	if (e)
		return e;
	for (size_t i = 0; i < text.size && number < INT32_MAX; i++)
		if (text.data[i] >= '0' && text.data[i] <= '9')
			number = number * 10 + (text.data[i] - '0');
	snprintf(epoch, sizeof(epoch), "%" PRId64, number + 1);
	buf_init(&holder, CONTROLLER_MAX_NODE);
	layout_put_controller(&holder, c->node_id, shard_wall_ms(c->shard));
	struct metastore_op ops[] = {
		{.kind = METASTORE_CREATE, .path = "/controller", .data = buf_bytes(&holder), .flags = NODE_EPHEMERAL},
		{.kind = METASTORE_SET, .path = "/controller_epoch", .data = bytes_str(epoch), .version = stat.version},
	};
	e = metastore_multi_await(self, c->store, ops, countof(ops));
	buf_fini(&holder);
	if (!e)
		c->epoch_version = ops[1].stat.version;
	return e;
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

static void flush_await(struct fiber *self, struct load *l)
{
	controller_publish_await(self, l->c, &l->delta);
	buf_reset(&l->delta);
	delta_begin(&l->delta);
}

static enum err load_cluster_await(struct fiber *self, struct load *l)
{
	struct controller *c = l->c;
	char id[64];
	struct bytes text;
	struct delta_record record = {.kind = DELTA_CLUSTER, .broker = c->node_id};
	enum err e = node_text_await(self, l, "/cluster/id", &text, NULL);

	if (!e)
		e = damaged(l, "/cluster/id", layout_get_cluster_id(text, id, sizeof(id)));
	if (e)
		return e;
	if (c->wanted_cluster_id && strcmp(c->wanted_cluster_id, id) != 0) {
		log_error(shard_log(c->shard), "the log folders belong to cluster %s, but the metadata to cluster %s",
			  c->wanted_cluster_id, id);
		return ERR_CONFLICT;
	}
	record.name = bytes_str(id);
	delta_put(&l->delta, &record);
	return OK;
}

static void put_feature(void *context, struct bytes name, int16_t level)
{
	struct load *l = context;
	struct delta_record record = {.kind = DELTA_FEATURE, .name = name, .level = level};

	delta_put(&l->delta, &record);
}

static enum err load_features_await(struct fiber *self, struct load *l)
{
	struct bytes text;
	enum err e = node_text_await(self, l, "/feature", &text, NULL);

	return e ? e : damaged(l, "/feature", layout_get_features(text, put_feature, l));
}

static enum err load_broker_configs_await(struct fiber *self, struct load *l)
{
	struct metastore_children names;
	enum err e = metastore_children_await(self, l->c->store, "/config/brokers", &names, NULL);

	if (e)
		return e;
	for (size_t i = 0; !e && i < names.count; i++) {
		struct delta_record record = {.kind = DELTA_CONFIG, .resource = CONFIG_OF_BROKER, .broker = -1};
		const struct config_entry *configs;
		char path[LAYOUT_PATH_SIZE];
		struct bytes text;
		uint32_t count;

		if (strcmp(names.names[i], "<default>") != 0 && sscanf(names.names[i], "%" SCNd32, &record.broker) != 1)
			continue;
		snprintf(path, sizeof(path), "/config/brokers/%s", names.names[i]);
		e = node_text_await(self, l, path, &text, NULL);
		if (!e)
			e = damaged(l, path, layout_get_configs(text, &l->arena, &configs, &count));
		for (uint32_t k = 0; !e && k < count; k++) {
			record.name = configs[k].name;
			record.value = configs[k].value;
			delta_put(&l->delta, &record);
		}
		arena_fini(&l->arena);
	}
	metastore_children_free(&names);
	return e;
}

static enum err load_named_configs_await(struct fiber *self, struct load *l, enum config_resource resource,
					 const char *folder)
{
	struct metastore_children names;
	enum err e = metastore_children_await(self, l->c->store, folder, &names, NULL);

	if (e)
		return e;
	for (size_t i = 0; !e && i < names.count; i++) {
		struct delta_record record = {.kind = DELTA_CONFIG, .resource = resource};
		const struct config_entry *configs;
		char path[LAYOUT_PATH_SIZE];
		struct bytes text;
		uint32_t count;

		record.resource_name = layout_config_name(names.names[i], &l->arena);
		snprintf(path, sizeof(path), "%s/%s", folder, names.names[i]);
		e = node_text_await(self, l, path, &text, NULL);
		if (!e)
			e = damaged(l, path, layout_get_configs(text, &l->arena, &configs, &count));
		for (uint32_t k = 0; !e && !bytes_is_null(record.resource_name) && k < count; k++) {
			record.name = configs[k].name;
			record.value = configs[k].value;
			delta_put(&l->delta, &record);
		}
		arena_fini(&l->arena);
		if (l->delta.size > DELTA_FLUSH_BYTES)
			flush_await(self, l);
	}
	metastore_children_free(&names);
	return e;
}

/* Only what changed since the topic's creation has a node of its own. */
static enum err load_states_await(struct fiber *self, struct load *l, const char *name, struct delta_record *topic)
{
	struct delta_partition *partitions = (struct delta_partition *)(uintptr_t)topic->partitions;
	char path[LAYOUT_PATH_SIZE];
	enum err e = OK;

	for (uint32_t i = 0; !e && i < topic->partition_count; i++) {
		struct node_stat stat;
		struct bytes text;

		snprintf(path, sizeof(path), "/brokers/topics/%s/partitions/%" PRIu32 "/state", name, i);
		e = node_text_await(self, l, path, &text, &stat);
		if (e == ERR_NOT_FOUND)
			e = OK;
		else if (!e)
			e = damaged(l, path, layout_get_state(text, stat.version, &l->arena, &partitions[i]));
	}
	return e;
}

static enum err load_topic_configs_await(struct fiber *self, struct load *l, const char *name,
					 struct delta_record *topic)
{
	char path[LAYOUT_PATH_SIZE];
	struct bytes text, copy;
	enum err e;

	snprintf(path, sizeof(path), "/config/topics/%s", name);
	e = node_text_await(self, l, path, &text, NULL);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	copy = arena_copy(&l->arena, text);
	return damaged(l, path, layout_get_configs(copy, &l->arena, &topic->configs, &topic->config_count));
}

static enum err load_topic_await(struct fiber *self, struct load *l, const char *name)
{
	struct delta_record topic = {.kind = DELTA_TOPIC, .name = bytes_str(name)};
	char path[LAYOUT_PATH_SIZE];
	struct node_stat stat;
	struct bytes text;
	enum err e;

	snprintf(path, sizeof(path), "/brokers/topics/%s", name);
	e = node_text_await(self, l, path, &text, &stat);
	if (!e)
		e = damaged(l, path, layout_get_topic(text, &l->arena, &topic));
	if (!e && stat.children)
		e = load_states_await(self, l, name, &topic);
	if (!e)
		e = load_topic_configs_await(self, l, name, &topic);
	if (!e) {
		topic.internal = layout_is_internal(topic.name);
		delta_put(&l->delta, &topic);
	}
	arena_fini(&l->arena);
	return e;
}

static enum err load_topics_await(struct fiber *self, struct load *l)
{
	struct metastore_children names;
	enum err e = metastore_children_await(self, l->c->store, "/brokers/topics", &names, NULL);

	if (e)
		return e;
	for (size_t i = 0; !e && i < names.count; i++) {
		e = load_topic_await(self, l, names.names[i]);
		if (l->delta.size > DELTA_FLUSH_BYTES)
			flush_await(self, l);
	}
	metastore_children_free(&names);
	return e;
}

enum err controller_load_await(struct fiber *self, struct controller *c)
{
	struct load l = {.c = c};
	enum err e;

	arena_init(&l.arena, MAX_ARENA);
	buf_init(&l.text, CONTROLLER_MAX_NODE);
	buf_init(&l.delta, CONTROLLER_MAX_DELTA);
	delta_begin(&l.delta);
	e = make_paths_await(self, &l);
	if (!e)
		e = elect_await(self, &l);
	if (!e)
		e = load_cluster_await(self, &l);
	if (!e)
		e = load_features_await(self, &l);
	if (!e)
		e = load_broker_configs_await(self, &l);
	if (!e)
		e = load_named_configs_await(self, &l, CONFIG_OF_GROUP, "/config/groups");
	if (!e)
		e = load_named_configs_await(self, &l, CONFIG_OF_CLIENT_METRICS, "/config/client-metrics");
	if (!e)
		e = load_topics_await(self, &l);
	if (!e)
		flush_await(self, &l);
	arena_fini(&l.arena);
	buf_fini(&l.text);
	buf_fini(&l.delta);
	return e;
}
