/* orphans: see the header. Uses layout and the metastore. */
#include "controller/orphans.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/murmur2.h"
#include "controller/state.h"

/* The same at every start, so that clients that know it find the topic again. */
static struct uuid id_of(const struct orphan *o)
{
	struct uuid id = o->id;

	if (!uuid_is_zero(id))
		return id;
	for (size_t i = 0; i < sizeof(id.bytes); i += 4) {
		uint8_t text[300];
		size_t size = (size_t)snprintf((char *)text, sizeof(text), "%zu %.*s", i, BYTES_ARG(o->name));

		put_be32(id.bytes + i, (uint32_t)murmur2(bytes_of(text, size < sizeof(text) ? size : sizeof(text))));
	}
	return id;
}

static enum err put_state_await(struct fiber *self, struct metastore *store, int32_t node_id, const struct orphan *o,
				int32_t partition, struct buf *text)
{
	struct delta_partition state = {
		.leader = node_id, .leader_epoch = o->leader_epochs[partition], .isr = &node_id, .isr_count = 1};
	char path[LAYOUT_PATH_SIZE];
	enum err e;

	snprintf(path, sizeof(path), "/brokers/topics/%.*s/partitions/%" PRId32, BYTES_ARG(o->name), partition);
	e = metastore_ensure_await(self, store, path);
	snprintf(path, sizeof(path), "/brokers/topics/%.*s/partitions/%" PRId32 "/state", BYTES_ARG(o->name),
		 partition);
	buf_reset(text);
	layout_put_state(text, &state);
	if (!e && text->error)
		e = text->error;
	return e ? e : metastore_create_await(self, store, path, buf_bytes(text), 0, NULL);
}

static enum err put_topic_await(struct fiber *self, struct metastore *store, int32_t node_id, const struct orphan *o,
				struct buf *text)
{
	struct delta_partition *partitions = mem_zalloc((size_t)o->partition_count * sizeof(*partitions));
	struct delta_record record = {.kind = DELTA_TOPIC,
				      .name = o->name,
				      .topic_id = id_of(o),
				      .partitions = partitions,
				      .partition_count = (uint32_t)o->partition_count};
	char path[LAYOUT_PATH_SIZE];
	enum err e = metastore_ensure_await(self, store, "/brokers/topics");

	for (int32_t i = 0; i < o->partition_count; i++) {
		partitions[i].replicas = &node_id;
		partitions[i].replica_count = 1;
	}
	layout_put_topic(text, &record);
	snprintf(path, sizeof(path), "/brokers/topics/%.*s", BYTES_ARG(o->name));
	if (!e && text->error)
		e = text->error;
	if (!e)
		e = metastore_create_await(self, store, path, buf_bytes(text), 0, NULL);
	mem_free(partitions);
	return e;
}

enum err orphans_put_await(struct fiber *self, struct metastore *store, int32_t node_id, const struct orphan *o)
{
	struct buf text;
	enum err e;

	buf_init(&text, CONTROLLER_MAX_NODE);
	e = put_topic_await(self, store, node_id, o, &text);
	for (int32_t i = 0; i < o->partition_count && !e; i++)
		if (o->leader_epochs[i] > 0)
			e = put_state_await(self, store, node_id, o, i, &text);
	buf_fini(&text);
	return e;
}
