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

/* The last entry of that name. */
static const struct config_entry *entry_of(const struct config_entry *entries, size_t count, const char *name)
{
	for (size_t i = count; i-- > 0;)
		if (bytes_equal_str(entries[i].name, name) && !bytes_is_null(entries[i].value))
			return &entries[i];
	return NULL;
}

static const struct config_entry *dynamic_of(const struct config_layers *l, enum config_id id,
					     enum config_source *ret_source)
{
	const char *name = config_definition(id)->name;
	const struct config_entry *e = entry_of(l->broker, l->broker_count, name);

	*ret_source = CONFIG_SOURCE_DYNAMIC_BROKER;
	if (!e) {
		e = entry_of(l->brokers, l->brokers_count, name);
		*ret_source = CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER;
	}
	return e;
}

/* What a broker's setting says now, all layers counted. `scratch` is used when a dynamic text has to be parsed. */
static const struct config_value *broker_value(const struct config_layers *l, enum config_id id,
					       struct config_value *scratch)
{
	enum config_source source;
	const struct config_entry *e = dynamic_of(l, id, &source);

	config_value_fini(scratch);
	if (e && config_value_parse(config_definition(id), e->value, NULL, scratch) == OK)
		return scratch;
	return config_value_of(l->config, id);
}

/*
 * The effective value of a topic's setting. Returns a value that lives in the config or in `scratch`; with a factor in `ret_factor` that
 * its number still has to be multiplied with.
 */
static const struct config_value *effective(const struct config_layers *l, enum topic_config_id id,
					    struct config_value *scratch, int64_t *ret_factor)
{
	const struct config_definition *d = topic_config_definition(id);
	const struct config_entry *own = entry_of(l->topic, l->topic_count, d->name);
	const struct config_unit *units = topic_config_synonyms[id];

	*ret_factor = 1;
	config_value_fini(scratch);
	if (own && config_value_parse(d, own->value, NULL, scratch) == OK)
		return scratch;
	for (size_t i = 0; i < CONFIG_MAX_SYNONYMS && units[i].factor; i++) {
		const struct config_value *v = broker_value(l, units[i].id, scratch);

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
		if (entry_of(entries, count, topic_config_definitions[id].name) != &entries[i])
			continue; /* a later one of that name counts */
		if (config_check_value(&topic_config_definitions[id], entries[i].value, message))
			return ERR_INVALID_CONFIG;
	}
	return check_together(c, entries, count, message);
}

/* --- what DescribeConfigs tells ---------------------------------------------------------------------------------------- */

/* The value's text as Kafka prints it, in the arena; null in, null out. */
static struct bytes normal_text(const struct config_definition *d, struct bytes text, struct arena *a)
{
	struct config_value v = {0};
	struct bytes normal;

	if (config_value_parse(d, text, NULL, &v) || !v.text)
		return text;
	normal = arena_copy(a, bytes_str(v.text));
	config_value_fini(&v);
	return normal;
}

struct synonyms {
	struct config_synonym *items;
	size_t count;
};

/* Every layer that says something for one of `ids`; then, as Kafka does, all in front of the first that bears `name` is dropped. */
static void put_broker_synonyms(const struct config_layers *l, const enum config_id *ids, size_t count,
				const char *name, struct arena *a, struct synonyms *out)
{
	size_t first = out->count, skip = first;

	for (int source = CONFIG_SOURCE_DYNAMIC_BROKER; source <= CONFIG_SOURCE_DEFAULT; source++) {
		for (size_t i = 0; i < count; i++) {
			const struct config_definition *d = config_definition(ids[i]);
			const struct config_entry *e = NULL;
			struct bytes value = bytes_null();

			if (source == CONFIG_SOURCE_DYNAMIC_BROKER)
				e = entry_of(l->broker, l->broker_count, d->name);
			else if (source == CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER)
				e = entry_of(l->brokers, l->brokers_count, d->name);
			else if (source == CONFIG_SOURCE_STATIC_BROKER && config_is_set(l->config, ids[i]))
				value = bytes_str(config_value_of(l->config, ids[i])->text);
			else if (source == CONFIG_SOURCE_DEFAULT)
				value = bytes_str(d->default_text);
			if (e)
				value = normal_text(d, e->value, a);
			if (bytes_is_null(value))
				continue;
			if (d->type == CONFIG_TYPE_PASSWORD)
				value = bytes_null();
			out->items[out->count++] = (struct config_synonym){
				.name = d->name, .value = value, .source = (enum config_source)source};
		}
	}
	while (skip < out->count && strcmp(out->items[skip].name, name) != 0)
		skip++;
	for (size_t i = skip; i < out->count; i++)
		out->items[first + i - skip] = out->items[i];
	out->count -= skip - first;
}

static void finish(const struct synonyms *s, struct config_described *d)
{
	d->synonyms = s->items;
	d->synonym_count = s->count;
	d->source = s->count ? s->items[0].source : CONFIG_SOURCE_DEFAULT;
	d->sensitive = d->definition->type == CONFIG_TYPE_PASSWORD;
	if (d->sensitive)
		d->value = bytes_null();
}

bool topic_config_describe(const struct config_layers *l, enum topic_config_id id, struct arena *a,
			   struct config_described *ret)
{
	struct config_described d = {.definition = topic_config_definition(id)};
	const struct config_entry *own = entry_of(l->topic, l->topic_count, d.definition->name);
	struct synonyms s = {.items = arena_alloc_array(a, 4 * CONFIG_MAX_SYNONYMS + 1, sizeof(*s.items))};
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
		put_broker_synonyms(l, ids, count, config_definition(ids[0])->name, a, &s);
	finish(&s, &d);
	config_value_fini(&scratch);
	*ret = d;
	return true;
}

bool config_describe(const struct config_layers *l, enum config_id id, struct arena *a, struct config_described *ret)
{
	struct config_described d = {.definition = config_definition(id)};
	struct synonyms s = {.items = arena_alloc_array(a, 4 * CONFIG_MAX_SYNONYMS, sizeof(*s.items))};
	enum config_id ids[CONFIG_MAX_SYNONYMS] = {id};
	struct config_value scratch = {0};
	size_t count = 1;

	if (!s.items)
		return false;
	/* The settings that stand in for each other are those that share a topic's setting (log.roll.ms, log.roll.hours). */
	for (size_t t = 0; t < TOPIC_CONFIG_COUNT; t++) {
		const struct config_unit *units = topic_config_synonyms[t];
		size_t in_row = 0;
		bool mine = false;

		while (in_row < CONFIG_MAX_SYNONYMS && units[in_row].factor)
			mine |= units[in_row++].id == id;
		if (mine && in_row > 1) {
			for (count = 0; count < in_row; count++)
				ids[count] = units[count].id;
			break;
		}
	}
	d.value = arena_copy(a, bytes_str(broker_value(l, id, &scratch)->text));
	config_value_fini(&scratch);
	put_broker_synonyms(l, ids, count, d.definition->name, a, &s);
	finish(&s, &d);
	d.read_only = d.definition->update == CONFIG_READ_ONLY;
	*ret = d;
	return true;
}
