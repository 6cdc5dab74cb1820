/* topic_config: see the header. Texts and codes were asked of Kafka 4.3.1 itself. */
#include "config/topic_config.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "config/describe.h"
#include "config/table.h"
#include "config/value.h"

const struct config_definition *topic_config_definition(enum topic_config_id id)
{
	must(id >= 0 && id < TOPIC_CONFIG_COUNT);
	return &topic_config_definitions[id];
}

bool topic_config_find(struct bytes name, enum topic_config_id *ret_id)
{
	size_t at;

	if (!definition_find(topic_config_definitions, TOPIC_CONFIG_COUNT, name, &at))
		return false;
	*ret_id = (enum topic_config_id)at;
	return true;
}

/*
 * The effective value of a topic's setting. Returns a value that lives in the config or in `scratch`; with a factor in `ret_factor` that
 * its number still has to be multiplied with.
 */
static const struct config_value *effective(const struct config_layers *l, enum topic_config_id id,
					    struct config_value *scratch, int64_t *ret_factor)
{
	const struct config_definition *d = topic_config_definition(id);
	const struct config_entry *own = config_entry_find(l->topic, l->topic_count, d->name);
	const struct config_unit *units = topic_config_synonyms[id];

	*ret_factor = 1;
	config_value_fini(scratch);
	if (own && config_value_parse(d, own->value, NULL, scratch) == OK)
		return scratch;
	for (size_t i = 0; i < CONFIG_MAX_SYNONYMS && units[i].factor; i++) {
		const struct config_value *v = config_layered_value(l, units[i].id, scratch);

		if (v->text) {
			*ret_factor = units[i].factor;
			return v;
		}
	}
	config_value_fini(scratch);
	if (d->default_text)
		must(config_value_parse(d, bytes_str(d->default_text), NULL, scratch) == OK);
	return scratch;
}

static int64_t number_of(const struct config_layers *l, enum topic_config_id id)
{
	struct config_value scratch = {0};
	int64_t factor, number = effective(l, id, &scratch, &factor)->number;

	config_value_fini(&scratch);
	/* Minutes and hours that are negative mean "no limit", as milliseconds do. */
	if (factor > 1 && number < 0)
		return -1;
	if (__builtin_mul_overflow(number, factor, &number))
		return INT64_MAX;
	return number;
}

static int32_t int_of(const struct config_layers *l, enum topic_config_id id)
{
	return (int32_t)number_of(l, id);
}

static void cleanup_of(const struct config_layers *l, struct topic_settings *s)
{
	struct config_value scratch = {0};
	int64_t factor;
	const struct config_value *v = effective(l, TOPIC_CONFIG_CLEANUP_POLICY, &scratch, &factor);

	for (size_t i = 0; i < v->item_count; i++) {
		s->cleanup_delete |= strcmp(v->items[i], "delete") == 0;
		s->cleanup_compact |= strcmp(v->items[i], "compact") == 0;
	}
	config_value_fini(&scratch);
}

static void compression_of(const struct config_layers *l, struct topic_settings *s)
{
	static const char *const names[] = {"uncompressed", "gzip", "snappy", "lz4", "zstd"}; /* by codec number */
	struct config_value scratch = {0};
	int64_t factor;
	const struct config_value *v = effective(l, TOPIC_CONFIG_COMPRESSION_TYPE, &scratch, &factor);

	s->compression = -1;
	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(v->text, names[i]) == 0)
			s->compression = (int8_t)i;
	config_value_fini(&scratch);
	if (s->compression == 1)
		s->compression_level = int_of(l, TOPIC_CONFIG_COMPRESSION_GZIP_LEVEL);
	else if (s->compression == 3)
		s->compression_level = int_of(l, TOPIC_CONFIG_COMPRESSION_LZ4_LEVEL);
	else if (s->compression == 4)
		s->compression_level = int_of(l, TOPIC_CONFIG_COMPRESSION_ZSTD_LEVEL);
}

void topic_settings_of(const struct config_layers *l, struct topic_settings *ret_settings)
{
	struct topic_settings s = {
		.write_caching = number_of(l, TOPIC_CONFIG_WRITE_CACHING),
		.preallocate = number_of(l, TOPIC_CONFIG_PREALLOCATE),
		.unclean_leader_election = number_of(l, TOPIC_CONFIG_UNCLEAN_LEADER_ELECTION_ENABLE),
		.min_insync_replicas = int_of(l, TOPIC_CONFIG_MIN_INSYNC_REPLICAS),
		.max_message_bytes = int_of(l, TOPIC_CONFIG_MAX_MESSAGE_BYTES),
		.max_decompressed_message_bytes = int_of(l, TOPIC_CONFIG_MAX_DECOMPRESSED_MESSAGE_BYTES),
		.segment_bytes = int_of(l, TOPIC_CONFIG_SEGMENT_BYTES),
		.segment_index_bytes = int_of(l, TOPIC_CONFIG_SEGMENT_INDEX_BYTES),
		.index_interval_bytes = int_of(l, TOPIC_CONFIG_INDEX_INTERVAL_BYTES),
		.segment_ms = number_of(l, TOPIC_CONFIG_SEGMENT_MS),
		.segment_jitter_ms = number_of(l, TOPIC_CONFIG_SEGMENT_JITTER_MS),
		.retention_ms = number_of(l, TOPIC_CONFIG_RETENTION_MS),
		.retention_bytes = number_of(l, TOPIC_CONFIG_RETENTION_BYTES),
		.delete_retention_ms = number_of(l, TOPIC_CONFIG_DELETE_RETENTION_MS),
		.file_delete_delay_ms = number_of(l, TOPIC_CONFIG_FILE_DELETE_DELAY_MS),
		.flush_messages = number_of(l, TOPIC_CONFIG_FLUSH_MESSAGES),
		.flush_ms = number_of(l, TOPIC_CONFIG_FLUSH_MS),
		.min_compaction_lag_ms = number_of(l, TOPIC_CONFIG_MIN_COMPACTION_LAG_MS),
		.max_compaction_lag_ms = number_of(l, TOPIC_CONFIG_MAX_COMPACTION_LAG_MS),
		.message_timestamp_before_max_ms = number_of(l, TOPIC_CONFIG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS),
		.message_timestamp_after_max_ms = number_of(l, TOPIC_CONFIG_MESSAGE_TIMESTAMP_AFTER_MAX_MS),
	};
	struct config_value scratch = {0};
	int64_t factor;

	s.min_cleanable_dirty_ratio = effective(l, TOPIC_CONFIG_MIN_CLEANABLE_DIRTY_RATIO, &scratch, &factor)->real;
	s.log_append_time = strcmp(effective(l, TOPIC_CONFIG_MESSAGE_TIMESTAMP_TYPE, &scratch, &factor)->text,
				   "LogAppendTime") == 0;
	config_value_fini(&scratch);
	/* Kafka's own test hook, and ours: a segment smaller than segment.bytes allows. */
	if (effective(l, TOPIC_CONFIG_INTERNAL_SEGMENT_BYTES, &scratch, &factor)->text)
		s.segment_bytes = (int32_t)effective(l, TOPIC_CONFIG_INTERNAL_SEGMENT_BYTES, &scratch, &factor)->number;
	config_value_fini(&scratch);
	cleanup_of(l, &s);
	compression_of(l, &s);
	*ret_settings = s;
}

/* Kafka names all settings without a value at once. */
static bool any_null(const struct config_entry *entries, size_t count, struct buf *message)
{
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		if (!bytes_is_null(entries[i].value))
			continue;
		if (message)
			buf_printf(message, "%s%.*s", found ? "," : "Null value not supported for topic configs: ",
				   BYTES_ARG(entries[i].name));
		found = true;
	}
	return found;
}

static enum err check_together(const struct config *c, const struct config_entry *entries, size_t count,
			       struct buf *message)
{
	struct config_layers l = {.config = c, .topic = entries, .topic_count = count};
	int64_t least = number_of(&l, TOPIC_CONFIG_MIN_COMPACTION_LAG_MS);
	int64_t most = number_of(&l, TOPIC_CONFIG_MAX_COMPACTION_LAG_MS);

	if (least > most) {
		if (message)
			buf_printf(message,
				   "conflict topic config setting min.compaction.lag.ms (%lld) > max.compaction.lag.ms "
				   "(%lld)",
				   (long long)least, (long long)most);
		return ERR_INVALID_CONFIG;
	}
	if (number_of(&l, TOPIC_CONFIG_REMOTE_STORAGE_ENABLE)) {
		if (message)
			buf_put_str(message, "Tiered Storage functionality is disabled in the broker. "
					     "Topic cannot be configured with remote log storage.");
		return ERR_INVALID_CONFIG;
	}
	return OK;
}

enum err topic_config_validate(const struct config *c, const struct config_entry *entries, size_t count,
			       struct buf *message)
{
	enum topic_config_id id;

	if (count == 0)
		return OK;
	if (any_null(entries, count, message))
		return ERR_INVALID_CONFIG;
	for (size_t i = 0; i < count; i++) {
		if (!topic_config_find(entries[i].name, &id)) {
			if (message)
				buf_printf(message, "Unknown topic config name: %.*s", BYTES_ARG(entries[i].name));
			return ERR_INVALID_CONFIG;
		}
	}
	for (size_t i = 0; i < count; i++) {
		must(topic_config_find(entries[i].name, &id));
		if (config_entry_find(entries, count, topic_config_definitions[id].name) != &entries[i])
			continue; /* a later one of that name counts */
		if (config_check_value(&topic_config_definitions[id], entries[i].value, message))
			return ERR_INVALID_CONFIG;
	}
	return check_together(c, entries, count, message);
}

/* --- what DescribeConfigs tells ---------------------------------------------------------------------------------------- */

bool topic_config_describe(const struct config_layers *l, enum topic_config_id id, struct arena *a,
			   struct config_described *ret)
{
	struct config_described d = {.definition = topic_config_definition(id)};
	const struct config_entry *own = config_entry_find(l->topic, l->topic_count, d.definition->name);
	struct config_synonyms s = {.items = arena_alloc_array(a, 4 * CONFIG_MAX_SYNONYMS + 1, sizeof(*s.items))};
	enum config_id ids[CONFIG_MAX_SYNONYMS];
	struct config_value scratch = {0};
	const struct config_value *v;
	int64_t factor;
	size_t count = 0;

	if (!s.items)
		return false;
	v = effective(l, id, &scratch, &factor);
	if (factor > 1) {
		char text[24];

		snprintf(text, sizeof(text), "%lld", (long long)number_of(l, id));
		d.value = arena_copy(a, bytes_str(text));
	} else {
		d.value = arena_copy(a, bytes_str(v->text));
	}
	if (own)
		s.items[s.count++] = (struct config_synonym){
			.name = d.definition->name, .value = d.value, .source = CONFIG_SOURCE_TOPIC};
	while (count < CONFIG_MAX_SYNONYMS && topic_config_synonyms[id][count].factor) {
		ids[count] = topic_config_synonyms[id][count].id;
		count++;
	}
	if (count)
		config_synonyms_put(l, ids, count, config_definition(ids[0])->name, a, &s);
	config_described_finish(&d, &s);
	config_value_fini(&scratch);
	*ret = d;
	return true;
}
