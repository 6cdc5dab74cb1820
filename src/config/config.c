/* config: see the header. Values at their default are parsed once at config_new, so that getters only look up. */
#include "config/config.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/map.h"
#include "config/describe.h"
#include "config/table.h"
#include "config/value.h"

struct setting {
	struct config_value value;
	bool set;   /* static: from the file or --set */
	bool given; /* under its own name, not through node.id <-> broker.id */
};

struct config {
	struct setting settings[CONFIG_COUNT];
	struct map unknown; /* names that were warned about */
};

const struct config_definition *config_definition(enum config_id id)
{
	must(id >= 0 && id < CONFIG_COUNT);
	return &config_definitions[id];
}

bool definition_find(const struct config_definition *table, size_t count, struct bytes name, size_t *ret_at)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = bytes_compare(bytes_str(table[middle].name), name);

		if (order == 0) {
			*ret_at = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

bool config_find(struct bytes name, enum config_id *ret_id)
{
	size_t at;

	if (!definition_find(config_definitions, CONFIG_COUNT, name, &at))
		return false;
	*ret_id = (enum config_id)at;
	return true;
}

struct config *config_new(void)
{
	struct config *c = mem_new(struct config);

	map_init(&c->unknown);
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		const struct config_definition *d = &config_definitions[i];

		if (d->default_text)
			must(config_value_parse(d, bytes_str(d->default_text), NULL, &c->settings[i].value) == OK);
	}
	return c;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CONFIG_COUNT; i++)
		config_value_fini(&c->settings[i].value);
	map_fini(&c->unknown);
	mem_free(c);
}

static void take_value(struct config *c, enum config_id id, struct config_value *v)
{
	config_value_fini(&c->settings[id].value);
	c->settings[id].value = *v;
	c->settings[id].set = true;
}

enum err config_set(struct config *c, struct bytes name, struct bytes value, struct buf *message)
{
	struct config_value v = {0}, twin = {0};
	enum config_id id, other;

	name = bytes_trim(name);
	if (!config_find(name, &id)) {
		map_put(&c->unknown, name, c);
		if (message)
			buf_printf(message, "Unknown setting %.*s", BYTES_ARG(name));
		return ERR_NOT_FOUND;
	}
	if (config_value_parse(&config_definitions[id], value, message, &v))
		return ERR_BAD_CONFIG;
	if (id == CONFIG_NODE_ID || id == CONFIG_BROKER_ID) {
		/* One and the same under two names; config_validate compares them when both were given. */
		other = id == CONFIG_NODE_ID ? CONFIG_BROKER_ID : CONFIG_NODE_ID;
		if (!c->settings[other].given &&
		    config_value_parse(&config_definitions[other], value, NULL, &twin) == OK)
			take_value(c, other, &twin);
	}
	take_value(c, id, &v);
	c->settings[id].given = true;
	return OK;
}

enum err config_validate(const struct config *c, struct buf *message)
{
	static const enum config_id times[] = {CONFIG_LOG_RETENTION_MS, CONFIG_LOG_RETENTION_MINUTES,
					       CONFIG_LOG_RETENTION_HOURS};
	const struct setting *node = &c->settings[CONFIG_NODE_ID], *broker = &c->settings[CONFIG_BROKER_ID];
	struct config_list roles = config_list(c, CONFIG_PROCESS_ROLES);
	bool is_broker = roles.count == 0;

	if (node->given && broker->given && broker->value.number >= 0 && node->value.number != broker->value.number) {
		buf_printf(message, "node.id is %s and broker.id is %s: they must be the same, or leave one out",
			   node->value.text, broker->value.text);
		return ERR_BAD_CONFIG;
	}
	for (size_t i = 0; i < roles.count; i++)
		is_broker |= strcmp(roles.items[i], "broker") == 0;
	if (!is_broker) {
		buf_printf(message,
			   "process.roles is %s: a broker keeps its metadata itself; add 'broker', or leave it out",
			   c->settings[CONFIG_PROCESS_ROLES].value.text);
		return ERR_BAD_CONFIG;
	}
	for (size_t i = 0; i < countof(times); i++) {
		if (!config_is_null(c, times[i]) && config_int64(c, times[i]) == 0) {
			buf_printf(message, "%s must be unlimited (-1) or, equal or greater than 1",
				   config_definitions[times[i]].name);
			return ERR_BAD_CONFIG;
		}
	}
	if (config_log_folders(c).count == 0) {
		buf_printf(message, "log.dirs names no folder");
		return ERR_BAD_CONFIG;
	}
	return OK;
}

static const struct config_value *value_of(const struct config *c, enum config_id id)
{
	must(id >= 0 && id < CONFIG_COUNT);
	return &c->settings[id].value;
}

int64_t config_int64(const struct config *c, enum config_id id)
{
	enum config_type type = config_definition(id)->type;

	must(type == CONFIG_TYPE_INT || type == CONFIG_TYPE_SHORT || type == CONFIG_TYPE_LONG);
	must(value_of(c, id)->text);
	return value_of(c, id)->number;
}

int32_t config_int32(const struct config *c, enum config_id id)
{
	must(config_definition(id)->type != CONFIG_TYPE_LONG);
	return (int32_t)config_int64(c, id);
}

double config_double(const struct config *c, enum config_id id)
{
	must(config_definition(id)->type == CONFIG_TYPE_DOUBLE);
	return value_of(c, id)->real;
}

bool config_bool(const struct config *c, enum config_id id)
{
	must(config_definition(id)->type == CONFIG_TYPE_BOOLEAN);
	return value_of(c, id)->number;
}

const char *config_string(const struct config *c, enum config_id id)
{
	enum config_type type = config_definition(id)->type;

	must(type == CONFIG_TYPE_STRING || type == CONFIG_TYPE_CLASS || type == CONFIG_TYPE_PASSWORD);
	return value_of(c, id)->text;
}

struct config_list config_list(const struct config *c, enum config_id id)
{
	must(config_definition(id)->type == CONFIG_TYPE_LIST);
	return (struct config_list){.items = value_of(c, id)->items, .count = value_of(c, id)->item_count};
}

bool config_is_null(const struct config *c, enum config_id id)
{
	return !value_of(c, id)->text;
}

bool config_is_set(const struct config *c, enum config_id id)
{
	must(id >= 0 && id < CONFIG_COUNT);
	return c->settings[id].set;
}

const struct config_value *config_value_of(const struct config *c, enum config_id id)
{
	return value_of(c, id);
}

bool config_note_unknown(struct config *c, struct bytes name)
{
	return !map_put(&c->unknown, name, c);
}

int32_t config_node_id(const struct config *c)
{
	if (config_is_set(c, CONFIG_NODE_ID))
		return config_int32(c, CONFIG_NODE_ID);
	return 1;
}

struct config_list config_log_folders(const struct config *c)
{
	if (!config_is_null(c, CONFIG_LOG_DIRS))
		return config_list(c, CONFIG_LOG_DIRS);
	return config_list(c, CONFIG_LOG_DIR);
}
