/*
 * layers: what a broker's setting is when all that may say something about it is counted (config_layers), and how DescribeConfigs
 * tells it. Pure.
 */
#include "base/arena.h"
#include "config/describe.h"
#include "config/table.h"

/* The last entry of that name. */
const struct config_entry *config_entry_find(const struct config_entry *entries, size_t count, const char *name)
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
	const struct config_entry *e = config_entry_find(l->broker, l->broker_count, name);

	*ret_source = CONFIG_SOURCE_DYNAMIC_BROKER;
	if (!e) {
		e = config_entry_find(l->brokers, l->brokers_count, name);
		*ret_source = CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER;
	}
	return e;
}

/* What a broker's setting says now, all layers counted. `scratch` is used when a dynamic text has to be parsed. */
const struct config_value *config_layered_value(const struct config_layers *l, enum config_id id,
						struct config_value *scratch)
{
	enum config_source source;
	const struct config_entry *e = dynamic_of(l, id, &source);

	config_value_fini(scratch);
	if (e && config_value_parse(config_definition(id), e->value, NULL, scratch) == OK)
		return scratch;
	return config_value_of(l->config, id);
}

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

/* Every layer that says something for one of `ids`; then, as Kafka does, all in front of the first that bears `name` is dropped. */
void config_synonyms_put(const struct config_layers *l, const enum config_id *ids, size_t count, const char *name,
			 struct arena *a, struct config_synonyms *out)
{
	size_t first = out->count, skip = first;

	for (int source = CONFIG_SOURCE_DYNAMIC_BROKER; source <= CONFIG_SOURCE_DEFAULT; source++) {
		for (size_t i = 0; i < count; i++) {
			const struct config_definition *d = config_definition(ids[i]);
			const struct config_entry *e = NULL;
			struct bytes value = bytes_null();

			if (source == CONFIG_SOURCE_DYNAMIC_BROKER)
				e = config_entry_find(l->broker, l->broker_count, d->name);
			else if (source == CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER)
				e = config_entry_find(l->brokers, l->brokers_count, d->name);
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

void config_described_finish(struct config_described *d, const struct config_synonyms *s)
{
	d->synonyms = s->items;
	d->synonym_count = s->count;
	d->source = s->count ? s->items[0].source : CONFIG_SOURCE_DEFAULT;
	d->sensitive = d->definition->type == CONFIG_TYPE_PASSWORD;
	if (d->sensitive)
		d->value = bytes_null();
}

bool config_describe(const struct config_layers *l, enum config_id id, struct arena *a, struct config_described *ret)
{
	struct config_described d = {.definition = config_definition(id)};
	struct config_synonyms s = {.items = arena_alloc_array(a, 4 * CONFIG_MAX_SYNONYMS, sizeof(*s.items))};
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
	d.value = arena_copy(a, bytes_str(config_layered_value(l, id, &scratch)->text));
	config_value_fini(&scratch);
	config_synonyms_put(l, ids, count, d.definition->name, a, &s);
	config_described_finish(&d, &s);
	d.read_only = d.definition->update == CONFIG_READ_ONLY;
	*ret = d;
	return true;
}

int64_t config_layered_int64(const struct config_layers *l, enum config_id id)
{
	struct config_value scratch = {0};
	enum config_type type = config_definition(id)->type;
	int64_t number;

	must(type == CONFIG_TYPE_INT || type == CONFIG_TYPE_SHORT || type == CONFIG_TYPE_LONG);
	must(!config_is_null(l->config, id));
	number = config_layered_value(l, id, &scratch)->number;
	config_value_fini(&scratch);
	return number;
}

bool config_layered_bool(const struct config_layers *l, enum config_id id)
{
	struct config_value scratch = {0};
	bool yes;

	must(config_definition(id)->type == CONFIG_TYPE_BOOLEAN);
	yes = config_layered_value(l, id, &scratch)->number;
	config_value_fini(&scratch);
	return yes;
}

double config_layered_double(const struct config_layers *l, enum config_id id)
{
	struct config_value scratch = {0};
	double number;

	must(config_definition(id)->type == CONFIG_TYPE_DOUBLE);
	number = config_layered_value(l, id, &scratch)->real;
	config_value_fini(&scratch);
	return number;
}
