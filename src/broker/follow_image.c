/*
 * follow_image: after each delta, the partitions of a shard become what its image says. Reads the delta only to know which
 * topics it is about; what they are is in the image.
 */
#include "base/alloc.h"
#include "base/arena.h"
#include "broker/broker_own.h"
#include "metadata/delta.h"

/* A delta's own arrays while one record of it is looked at: as many partitions as the controller ever puts into one. */
#define RECORD_MAX ((size_t)256 * 1024 * 1024)

static struct replica_settings settings_of(const struct broker_part *part, const struct image_topic *t)
{
	const struct broker *b = part->shard.broker;
	struct topic_settings s;

	topic_effective(b->config, part->shard.image, b->node_id, t, &s);
	return (struct replica_settings){
		.log =
			{
				.segment_bytes = s.segment_bytes,
				.segment_ms = s.segment_ms,
				.segment_jitter_ms = s.segment_jitter_ms,
				.segment_index_bytes = s.segment_index_bytes,
				.index_interval_bytes = s.index_interval_bytes,
				.flush_messages = s.flush_messages,
				.flush_ms = s.flush_ms,
				.preallocate = s.preallocate,
				.write_caching = s.write_caching,
				.cleanup_delete = s.cleanup_delete,
				.cleanup_compact = s.cleanup_compact,
				.retention_ms = s.retention_ms,
				.retention_bytes = s.retention_bytes,
				.file_delete_delay_ms = s.file_delete_delay_ms,
				.delete_retention_ms = s.delete_retention_ms,
				.min_compaction_lag_ms = s.min_compaction_lag_ms,
				.max_compaction_lag_ms = s.max_compaction_lag_ms,
				.min_cleanable_dirty_ratio = s.min_cleanable_dirty_ratio,
			},
		.max_message_bytes = (size_t)s.max_message_bytes,
		.max_decompressed_bytes = (size_t)s.max_decompressed_message_bytes,
		.compacted = s.cleanup_compact,
		.log_append_time = s.log_append_time,
		.timestamp_before_max_ms = s.message_timestamp_before_max_ms,
		.timestamp_after_max_ms = s.message_timestamp_after_max_ms,
		.codec = s.compression < 0 ? BATCH_KEEP_CODEC : s.compression,
		.level = s.compression_level,
	};
}

static void add(struct broker_part *part, struct uuid id)
{
	const struct image_topic *t = image_topic_by_id(part->shard.image, id);
	struct replica_settings s;
	int32_t *epochs;

	if (!t)
		return; /* created and removed in one delta */
	s = settings_of(part, t);
	epochs = mem_alloc((size_t)t->partition_count * sizeof(*epochs));
	for (int32_t i = 0; i < t->partition_count; i++)
		epochs[i] = t->partitions[i].leader_epoch;
	replicas_add_topic(part->shard.replicas, t->name, t->id, epochs, t->partition_count, &s);
	mem_free(epochs);
	coordinators_topic_added(part, t);
}

static void configure(struct broker_part *part, const struct image_topic *t)
{
	struct replica_settings s = settings_of(part, t);

	replicas_configure_topic(part->shard.replicas, t->id, &s);
}

static void follow_topic_config(struct broker_part *part, const struct delta_record *r)
{
	const struct image_topic *t = image_topic_by_id(part->shard.image, r->topic_id);

	if (t)
		configure(part, t);
}

/* What holds for brokers stands behind every topic: once for a whole delta. */
static void follow_broker_configs(struct broker_part *part)
{
	const struct image *image = part->shard.image;
	struct store_settings settings = store_settings_of(part);

	store_configure(part->shard.store, &settings);
	part->shard.verifies_transactions = verifies_transactions(part);
	for (size_t i = 0; i < image_topic_count(image); i++)
		configure(part, image_topic_at(image, i));
	if (part->shard.shard == part->shard.broker->shard_zero)
		listening_follow(part->shard.broker);
}

static bool is_of_topics(const struct delta_record *r)
{
	return r->kind == DELTA_TOPIC || r->kind == DELTA_PARTITIONS || r->kind == DELTA_TOPIC_REMOVED;
}

static void follow_record(struct broker_part *part, const struct delta_record *r)
{
	switch (r->kind) {
	case DELTA_TOPIC:
	case DELTA_PARTITIONS:
		add(part, r->topic_id);
		break;
	case DELTA_TOPIC_REMOVED:
		coordinators_topic_removed(part, r->topic_id);
		replicas_remove_topic(part->shard.replicas, r->topic_id);
		break;
	case DELTA_CONFIG:
		if (r->resource == CONFIG_OF_TOPIC)
			follow_topic_config(part, r);
		break;
	case DELTA_CLUSTER:
	case DELTA_BROKER:
	case DELTA_BROKER_REMOVED:
	case DELTA_FEATURE:
	case DELTA_PARTITION: /* the only replica of a partition does not change its leader */
		break;
	}
}

void follow_image(struct image_subscriber *s, struct bytes delta, struct delta_message *m)
{
	struct broker_part *part = container_of(s, struct broker_part, subscriber);
	bool of_brokers = false, of_topics = false;
	struct reader r;

	(void)m;
	if (delta_open(delta, &r))
		must_not_reach(); /* the image took it */
	while (reader_left(&r) > 0) {
		struct delta_record record;
		struct arena arena;

		arena_init(&arena, RECORD_MAX);
		if (delta_next(&r, &arena, &record))
			must_not_reach();
		follow_record(part, &record);
		of_topics = of_topics || is_of_topics(&record);
		of_brokers = of_brokers || (record.kind == DELTA_CONFIG && record.resource == CONFIG_OF_BROKER);
		arena_fini(&arena);
	}
	if (of_brokers)
		follow_broker_configs(part);
	if (of_topics)
		coordinators_image_changed(part);
}
