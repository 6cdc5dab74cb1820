/*
 * topic_config: what a topic may set (topics.tsv and own.tsv), with the broker's settings that stand in for what it does not.
 *
 *      topic's own  <-  broker's dynamic  <-  all brokers' dynamic  <-  broker's static  <-  default
 *      segment.ms       log.roll.ms, else log.roll.hours (in their own units), at each level
 *
 * Pure: values come in as text, a struct goes out. Who keeps them: metadata/image.
 */
#ifndef CONFIG_TOPIC_CONFIG_H
#define CONFIG_TOPIC_CONFIG_H

#include "config/config.h"

const struct config_definition *topic_config_definition(enum topic_config_id id);
bool topic_config_find(struct bytes name, enum topic_config_id *ret_id);

/*
 * May a topic have these settings? OK, or ERR_INVALID_CONFIG with Kafka's words in `message` (may be NULL). A name that comes twice
 * counts with its last value, as in Kafka.
 */
enum err topic_config_validate(const struct config *c, const struct config_entry *entries, size_t count,
			       struct buf *message) MUST_CHECK;

/* The effective settings of a topic, decoded once and copied to where they are needed. */
struct topic_settings {
	bool cleanup_delete;
	bool cleanup_compact;
	bool write_caching;
	bool preallocate;
	bool log_append_time; /* message.timestamp.type */
	bool unclean_leader_election;
	int8_t compression;        /* a codec's number; -1 as the producer sent it */
	int32_t compression_level; /* of that codec */
	int32_t min_insync_replicas;
	int32_t max_message_bytes;
	int32_t max_decompressed_message_bytes;
	int32_t segment_bytes;
	int32_t segment_index_bytes;
	int32_t index_interval_bytes;
	int64_t segment_ms;
	int64_t segment_jitter_ms;
	int64_t retention_ms;
	int64_t retention_bytes;
	int64_t delete_retention_ms;
	int64_t file_delete_delay_ms;
	int64_t flush_messages;
	int64_t flush_ms;
	int64_t min_compaction_lag_ms;
	int64_t max_compaction_lag_ms;
	int64_t message_timestamp_before_max_ms;
	int64_t message_timestamp_after_max_ms;
	double min_cleanable_dirty_ratio;
};

void topic_settings_of(const struct config_layers *l, struct topic_settings *ret_settings);

/* One setting as DescribeConfigs tells it. Texts are static or from the arena; false when the arena is full. */
bool topic_config_describe(const struct config_layers *l, enum topic_config_id id, struct arena *a,
			   struct config_described *ret);

#endif
