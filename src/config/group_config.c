/* group_config: see the header. Texts and codes were asked of Kafka 4.3.1 itself. */
#include "config/group_config.h"

#include <stdio.h>

#include "base/arena.h"
#include "config/describe.h"
#include "config/table.h"
#include "config/value.h"

#define NAME_SIZE 128

const struct config_definition *group_config_definition(enum group_config_id id)
{
	must(id >= 0 && id < GROUP_CONFIG_COUNT);
	return &group_config_definitions[id];
}

/* The broker's setting group.<protocol>.<middle><rest> of a group's <protocol>.<rest>. */
static bool find_of_broker(const char *name, const char *middle, enum config_id *ret_id)
{
	const char *dot = strchr(name, '.');
	char text[NAME_SIZE];

	if (!dot)
		return false;
	snprintf(text, sizeof(text), "group.%.*s.%s%s", (int)(dot - name), name, middle, dot + 1);
	if (config_find(bytes_str(text), ret_id))
		return true;
	/* streams.num.standby.replicas is bounded by group.streams.max.standby.replicas. */
	if (*middle == 0 || strncmp(dot + 1, "num.", 4) != 0)
		return false;
	snprintf(text, sizeof(text), "group.%.*s.%s%s", (int)(dot - name), name, middle, dot + 5);
	return config_find(bytes_str(text), ret_id);
}

static enum err check_bounds(const struct config_layers *l, const struct config_definition *d, int64_t number,
			     struct buf *message)
{
	enum config_id id;
	const char *how = NULL;

	if (find_of_broker(d->name, "min.", &id) && number < config_layered_int64(l, id))
		how = "greater";
	else if (find_of_broker(d->name, "max.", &id) && number > config_layered_int64(l, id))
		how = "less";
	if (!how)
		return OK;
	buf_printf(message, "%s must be %s than or equal to %s", d->name, how, config_definition(id)->name);
	return ERR_INVALID_CONFIG;
}

/* Digits and one of the letters at the beginning of the text; false when the next part is another. */
static bool take_part(struct bytes *text, const char *letters)
{
	size_t at = 0;

	while (at < text->size && ((text->data[at] >= '0' && text->data[at] <= '9') ||
				   (at > 0 && text->data[at] == '.' && *letters == 'S')))
		at++;
	if (at == 0 || at == text->size || text->data[at] != *letters)
		return false;
	*text = bytes_of(text->data + at + 1, text->size - at - 1);
	return true;
}

/* PnDTnHnMn.nS with at least one part, and one behind each T. */
static bool is_duration(struct bytes text)
{
	bool any;

	if (text.size < 2 || text.data[0] != 'P')
		return false;
	text = bytes_of(text.data + 1, text.size - 1);
	any = take_part(&text, "D");
	if (text.size && text.data[0] == 'T') {
		bool later;

		text = bytes_of(text.data + 1, text.size - 1);
		later = take_part(&text, "H");
		later |= take_part(&text, "M");
		later |= take_part(&text, "S");
		if (!later)
			return false;
		any = true;
	}
	return any && text.size == 0;
}

static enum err check_reset(const struct config_definition *d, struct bytes value, struct buf *message)
{
	static const char by_duration[] = "by_duration:";
	size_t size = strlen(by_duration);

	value = bytes_trim(value);
	if (bytes_equal_str(value, "earliest") || bytes_equal_str(value, "latest"))
		return OK;
	if (value.size > size && memcmp(value.data, by_duration, size) == 0 &&
	    is_duration(bytes_of(value.data + size, value.size - size)))
		return OK;
	buf_printf(
		message,
		"Invalid value %.*s for configuration %s: Invalid value `%.*s` for configuration %s. The value must be "
		"either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
		BYTES_ARG(value), d->name, BYTES_ARG(value), d->name);
	return ERR_INVALID_CONFIG;
}

static enum err check_one(const struct config_layers *l, const struct config_definition *d, struct bytes value,
			  struct buf *message)
{
	struct config_value v = {0};
	enum err e;

	if (config_value_parse(d, value, message, &v))
		return ERR_INVALID_CONFIG;
	if (strcmp(d->name, "share.auto.offset.reset") == 0)
		e = check_reset(d, value, message);
	else
		e = d->type == CONFIG_TYPE_INT || d->type == CONFIG_TYPE_LONG ? check_bounds(l, d, v.number, message)
									      : OK;
	config_value_fini(&v);
	return e;
}

static int64_t effective_number(const struct config_layers *l, const struct config_entry *entries, size_t count,
				const char *name)
{
	const struct config_entry *own = config_entry_find(entries, count, name);
	struct config_value v = {0};
	enum config_id id;
	size_t at;
	int64_t number;

	if (!own) {
		must(find_of_broker(name, "", &id));
		return config_layered_int64(l, id);
	}
	must(definition_find(group_config_definitions, GROUP_CONFIG_COUNT, bytes_str(name), &at));
	must(config_value_parse(&group_config_definitions[at], own->value, NULL, &v) == OK);
	number = v.number;
	config_value_fini(&v);
	return number;
}

int64_t group_config_int64(const struct config_layers *l, const struct config_entry *entries, size_t count,
			   enum group_config_id id)
{
	return effective_number(l, entries, count, group_config_definition(id)->name);
}

/* A member that is heard of more seldom than it may be silent would never stay. */
static enum err check_together(const struct config_layers *l, const struct config_entry *entries, size_t count,
			       struct buf *message)
{
	static const char *const protocols[] = {"consumer", "share", "streams"};

	for (size_t i = 0; i < countof(protocols); i++) {
		char session[NAME_SIZE], heartbeat[NAME_SIZE];

		snprintf(session, sizeof(session), "%s.session.timeout.ms", protocols[i]);
		snprintf(heartbeat, sizeof(heartbeat), "%s.heartbeat.interval.ms", protocols[i]);
		if (effective_number(l, entries, count, session) > effective_number(l, entries, count, heartbeat))
			continue;
		buf_printf(message, "%s must be greater than %s", session, heartbeat);
		return ERR_INVALID_CONFIG;
	}
	return OK;
}

enum err group_config_validate(const struct config_layers *l, const struct config_entry *entries, size_t count,
			       struct buf *message)
{
	size_t at;

	for (size_t i = 0; i < count; i++) {
		if (!definition_find(group_config_definitions, GROUP_CONFIG_COUNT, entries[i].name, &at)) {
			buf_printf(message, "Unknown group config name: %.*s", BYTES_ARG(entries[i].name));
			return ERR_INVALID_CONFIG;
		}
	}
	for (size_t i = 0; i < count; i++) {
		must(definition_find(group_config_definitions, GROUP_CONFIG_COUNT, entries[i].name, &at));
		if (check_one(l, &group_config_definitions[at], entries[i].value, message))
			return ERR_INVALID_CONFIG;
	}
	return check_together(l, entries, count, message);
}

bool group_config_describe(const struct config_layers *l, const struct config_entry *entries, size_t count,
			   enum group_config_id id, struct arena *a, struct config_described *ret)
{
	struct config_described d = {.definition = group_config_definition(id)};
	const struct config_entry *own = config_entry_find(entries, count, d.definition->name);
	struct config_synonyms s = {.items = arena_alloc_array(a, 4 * CONFIG_MAX_SYNONYMS + 2, sizeof(*s.items))};
	struct config_value scratch = {0};
	enum config_id of_broker;

	if (!s.items)
		return false;
	if (own) {
		d.value = own->value;
		if (config_value_parse(d.definition, own->value, NULL, &scratch) == OK)
			d.value = arena_copy(a, bytes_str(scratch.text));
		config_value_fini(&scratch);
		s.items[s.count++] = (struct config_synonym){
			.name = d.definition->name, .value = d.value, .source = CONFIG_SOURCE_GROUP};
	}
	if (find_of_broker(d.definition->name, "", &of_broker)) {
		if (!own)
			d.value = arena_copy(a, bytes_str(config_layered_value(l, of_broker, &scratch)->text));
		config_value_fini(&scratch);
		config_synonyms_put(l, &of_broker, 1, config_definition(of_broker)->name, a, &s);
	} else if (d.definition->default_text) {
		if (!own)
			d.value = bytes_str(d.definition->default_text);
		s.items[s.count++] = (struct config_synonym){.name = d.definition->name,
							     .value = bytes_str(d.definition->default_text),
							     .source = CONFIG_SOURCE_DEFAULT};
	}
	config_described_finish(&d, &s);
	*ret = d;
	return true;
}

/* --- client metrics ---------------------------------------------------------------------------------------------------- */

static const struct config_definition metrics[CLIENT_METRICS_CONFIG_COUNT] = {
	{.name = "interval.ms",
	 .default_text = "300000",
	 .type = CONFIG_TYPE_INT,
	 .documentation = "How often, in milliseconds, clients push their metrics."},
	{.name = "match",
	 .default_text = "",
	 .type = CONFIG_TYPE_LIST,
	 .documentation = "Which clients push metrics: a comma-separated list of name=pattern."},
	{.name = "metrics",
	 .default_text = "",
	 .type = CONFIG_TYPE_LIST,
	 .documentation = "Prefixes of the names of the metrics that clients push."},
};

const struct config_definition *client_metrics_definition(size_t at)
{
	must(at < countof(metrics));
	return &metrics[at];
}

/* Brackets that close, and nothing repeated that is not there. Java's patterns are not compiled here. */
static bool looks_like_pattern(const char *text)
{
	int round = 0;
	bool square = false;

	if (strchr("*+?", *text) && *text)
		return false;
	for (; *text; text++) {
		if (*text == '\\') {
			if (!*++text)
				return false;
		} else if (*text == '[') {
			square = true;
		} else if (*text == ']') {
			square = false;
		} else if (!square && *text == '(') {
			round++;
		} else if (!square && *text == ')' && --round < 0) {
			return false;
		}
	}
	return round == 0 && !square;
}

static bool is_match(const char *item)
{
	static const char *const names[] = {"client_instance_id",    "client_id",
					    "client_software_name",  "client_software_version",
					    "client_source_address", "client_source_port"};
	const char *equals = strchr(item, '=');

	for (size_t i = 0; equals && i < countof(names); i++)
		if (strlen(names[i]) == (size_t)(equals - item) &&
		    strncmp(names[i], item, (size_t)(equals - item)) == 0)
			return equals[1] && looks_like_pattern(equals + 1);
	return false;
}

static enum err check_metric(const struct config_definition *d, struct bytes value, struct buf *message)
{
	struct config_value v = {0};
	enum err e = OK;

	if (config_value_parse(d, value, message, &v))
		return ERR_INVALID_CONFIG;
	if (d == &metrics[0] && (v.number < 100 || v.number > 3600000)) {
		buf_printf(message,
			   "Invalid value %s for interval.ms, interval must be between 100 and 3600000 (1 hour)",
			   v.text);
		e = ERR_INVALID_REQUEST;
	}
	for (size_t i = 0; !e && d == &metrics[1] && i < v.item_count; i++) {
		if (!is_match(v.items[i])) {
			buf_printf(message, "Illegal client matching pattern: %s", v.items[i]);
			e = ERR_INVALID_CONFIG;
		}
	}
	config_value_fini(&v);
	return e;
}

enum err client_metrics_validate(const struct config_entry *entries, size_t count, struct buf *message)
{
	size_t at;

	for (size_t i = 0; i < count; i++) {
		if (!definition_find(metrics, countof(metrics), entries[i].name, &at)) {
			buf_printf(message, "Unknown client metrics configuration: %.*s", BYTES_ARG(entries[i].name));
			return ERR_INVALID_REQUEST;
		}
	}
	for (size_t i = 0; i < count; i++) {
		enum err e;

		must(definition_find(metrics, countof(metrics), entries[i].name, &at));
		e = check_metric(&metrics[at], entries[i].value, message);
		if (e)
			return e;
	}
	return OK;
}

bool client_metrics_describe(const struct config_entry *entries, size_t count, size_t at, struct arena *a,
			     struct config_described *ret)
{
	struct config_described d = {.definition = client_metrics_definition(at)};
	const struct config_entry *own = config_entry_find(entries, count, d.definition->name);
	struct config_synonyms s = {.items = arena_alloc_array(a, 1, sizeof(*s.items))};

	if (!s.items)
		return false;
	d.value = own ? own->value : bytes_str(d.definition->default_text);
	if (own)
		s.items[s.count++] = (struct config_synonym){
			.name = d.definition->name, .value = d.value, .source = CONFIG_SOURCE_CLIENT_METRICS};
	config_described_finish(&d, &s);
	*ret = d;
	return true;
}
