/*
 * store_settings: what the broker's settings, the dynamic ones too, say about the background work of a shard's logs. May call config/, metadata/ and
 * storage/.
 */
#include "broker/broker_own.h"

struct store_settings store_settings_of(const struct broker_part *part)
{
	const struct broker *b = part->shard.broker;
	struct config_layers l = image_layers(part->shard.image, b->config, b->node_id, NULL);

	if (b->read_only) /* nothing goes, nothing is compacted */
		return (struct store_settings){0};
	return (struct store_settings){
		.retention_check_interval_ms = config_layered_int64(&l, CONFIG_LOG_RETENTION_CHECK_INTERVAL_MS),
		.initial_delay_ms = config_layered_int64(&l, CONFIG_LOG_INITIAL_TASK_DELAY_MS),
		.disk_usage_max_bytes = config_layered_int64(&l, CONFIG_DISK_USAGE_MAX_BYTES),
		.cleaner_enabled = config_bool(b->config, CONFIG_LOG_CLEANER_ENABLE),
		.cleaner_dedupe_bytes = config_layered_int64(&l, CONFIG_LOG_CLEANER_DEDUPE_BUFFER_SIZE) /
					b->shard_count,
		.cleaner_load_factor = config_layered_double(&l, CONFIG_LOG_CLEANER_IO_BUFFER_LOAD_FACTOR),
		.cleaner_io_bytes_per_second = config_layered_double(&l, CONFIG_LOG_CLEANER_IO_MAX_BYTES_PER_SECOND) /
					       b->shard_count,
		.cleaner_backoff_ms = config_layered_int64(&l, CONFIG_LOG_CLEANER_BACKOFF_MS),
		.scrub_interval_ms = config_layered_int64(&l, CONFIG_LOG_SCRUB_INTERVAL_MS),
		.scrub_bytes_per_second = (double)config_layered_int64(&l, CONFIG_LOG_SCRUB_BYTES_PER_SECOND) /
					  b->shard_count,
		.producer_id_expiration_ms = config_layered_int64(&l, CONFIG_PRODUCER_ID_EXPIRATION_MS),
		.producer_id_check_interval_ms = config_int64(b->config,
							      CONFIG_PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS),
		.move_bytes_per_second = (double)config_layered_move_rate(&l) / b->shard_count,
	};
}

bool verifies_transactions(const struct broker_part *part)
{
	const struct broker *b = part->shard.broker;
	struct config_layers l = image_layers(part->shard.image, b->config, b->node_id, NULL);

	return config_layered_bool(&l, CONFIG_TRANSACTION_PARTITION_VERIFICATION_ENABLE);
}
