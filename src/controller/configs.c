/* configs: see the header. */
#include "controller/configs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/broker_update.h"
#include "config/group_config.h"
#include "config/topic_config.h"
#include "controller/layout.h"
#include "controller/topics.h"

#define MAX_MESSAGE 2000

static enum err refuse(const struct configs_decision *d, struct alter_config *a, enum err e, struct bytes text)
{
	a->error = e;
	a->message = arena_copy(d->arena, text);
	return e;
}

static enum err refuse_text(const struct configs_decision *d, struct alter_config *a, enum err e, const char *text)
{
	return refuse(d, a, e, bytes_str(text));
}

static enum err full(const struct configs_decision *d, struct alter_config *a)
{
	return refuse_text(d, a, ERR_UNKNOWN_SERVER_ERROR, "The request is larger than this broker handles.");
}

/* --- whose settings -------------------------------------------------------------------------------------------------------- */

/* As Integer.parseInt: signs and leading zeros are fine. */
static bool parse_id(struct bytes text, int32_t *ret_id)
{
	char copy[16] = {0}, *end;
	long long value;

	if (text.size == 0 || text.size >= sizeof(copy) || strchr(" \t\n\v\f\r", text.data[0]))
		return false;
	memcpy(copy, text.data, text.size);
	value = strtoll(copy, &end, 10);
	if (end != copy + text.size || value < INT32_MIN || value > INT32_MAX)
		return false;
	*ret_id = (int32_t)value;
	return true;
}

static enum err find_broker(const struct configs_decision *d, struct alter_config *a, struct config_plan *p)
{
	char text[200];
	int32_t id;

	p->broker = -1;
	p->name = bytes_empty();
	if (a->name.size == 0)
		return OK;
	if (!parse_id(a->name, &id))
		snprintf(text, sizeof(text), "Node id must be an integer, but it is: %.*s",
			 (int)(a->name.size > 100 ? 100 : a->name.size), (const char *)a->name.data);
	else if (id != d->node_id)
		snprintf(text, sizeof(text), "Unexpected broker id, expected %" PRId32 ", but received %" PRId32,
			 d->node_id, id);
	else {
		snprintf(text, sizeof(text), "%" PRId32, id);
		p->broker = id;
		p->name = arena_copy(d->arena, bytes_str(text));
		return bytes_is_null(p->name) ? full(d, a) : OK;
	}
	return refuse_text(d, a, ERR_INVALID_REQUEST, text);
}

/* What it has now. A topic that is not there has nothing: what it would be set to is looked at first, as in Kafka. */
static enum err find(const struct configs_decision *d, struct alter_config *a, struct config_plan *p,
		     const struct config_entry **ret_now, size_t *ret_count)
{
	const struct image_topic *t;
	enum err e;

	p->name = a->name;
	*ret_now = NULL;
	*ret_count = 0;
	switch (a->resource) {
	case CONFIG_OF_BROKER:
		e = find_broker(d, a, p);
		if (!e)
			*ret_now = image_broker_configs(d->image, p->broker, ret_count);
		return e;
	case CONFIG_OF_TOPIC:
		t = image_topic_by_name(d->image, a->name);
		if (t) {
			p->topic_id = t->id;
			*ret_now = t->configs;
			*ret_count = t->config_count;
		}
		return OK;
	case CONFIG_OF_GROUP:
	case CONFIG_OF_CLIENT_METRICS:
		*ret_now = image_resource_configs(d->image, a->resource, a->name, ret_count);
		return OK;
	case CONFIG_OF_LOGGER:
		break;
	}
	must_not_reach();
}

/* --- what they become ------------------------------------------------------------------------------------------------------ */

static const char *operation_name(int8_t operation)
{
	return operation == ALTER_APPEND ? "APPEND" : "SUBTRACT";
}

static bool is_list(enum config_resource resource, struct bytes name)
{
	enum topic_config_id id;

	if (resource == CONFIG_OF_BROKER)
		return broker_update_is_list(name);
	return resource == CONFIG_OF_TOPIC && topic_config_find(name, &id) &&
	       topic_config_definition(id)->type == CONFIG_TYPE_LIST;
}

/* What a list that nobody set begins with. */
static struct bytes default_of(const struct configs_decision *d, const struct alter_config *a, struct bytes name)
{
	struct config_layers l = image_layers(d->image, d->config, d->node_id, NULL);
	struct config_described described;
	enum topic_config_id topic_id;
	enum config_id id;

	if (a->resource == CONFIG_OF_TOPIC && topic_config_find(name, &topic_id) &&
	    topic_config_describe(&l, topic_id, d->arena, &described))
		return described.value;
	if (a->resource == CONFIG_OF_BROKER && config_find(name, &id) && config_describe(&l, id, d->arena, &described))
		return described.value;
	return bytes_null();
}

/* The next part of a text that commas divide, as Java's split: false at the end, which is before empty parts that only commas follow. */
static bool next_part(struct bytes *rest, bool *first, struct bytes *ret_part)
{
	const uint8_t *comma;
	size_t commas = 0;

	while (commas < rest->size && rest->data[commas] == ',')
		commas++;
	if (commas == rest->size && !(*first && rest->size == 0))
		return false;
	*first = false;
	comma = memchr(rest->data, ',', rest->size);
	*ret_part = bytes_of(rest->data, comma ? (size_t)(comma - rest->data) : rest->size);
	*rest = comma ? bytes_of(comma + 1, rest->size - ret_part->size - 1) : bytes_of(rest->data + rest->size, 0);
	return true;
}

static bool holds_part(struct bytes list, struct bytes wanted)
{
	struct bytes part;
	bool first = true;

	while (next_part(&list, &first, &part))
		if (bytes_equal(part, wanted))
			return true;
	return false;
}

static void put_part(struct buf *b, size_t *count, struct bytes part)
{
	if ((*count)++)
		buf_put_str(b, ",");
	buf_put_bytes(b, part);
}

/* `operand`'s parts behind those of `old` that are not there yet; or those of `old` without `operand`'s. */
static struct bytes combine(struct arena *a, struct bytes old, int8_t operation, struct bytes operand)
{
	struct bytes rest = old, part, result;
	bool first = true;
	size_t count = 0;
	struct buf b;

	buf_init(&b, old.size + operand.size + 2);
	while (next_part(&rest, &first, &part))
		if (part.size && (operation == ALTER_APPEND || !holds_part(operand, part)))
			put_part(&b, &count, part);
	rest = operand;
	first = true;
	while (operation == ALTER_APPEND && next_part(&rest, &first, &part))
		if (!holds_part(buf_bytes(&b), part) || (count == 0))
			put_part(&b, &count, part);
	result = arena_copy(a, b.size ? buf_bytes(&b) : bytes_empty());
	buf_fini(&b);
	return result;
}

struct change {
	const struct configs_decision *d;
	struct alter_config *a;
	const struct config_entry *now;
	size_t now_count;
	struct config_entry *changes;
	size_t change_count;
};

static const struct config_entry *entry_of(const struct config_entry *entries, size_t count, struct bytes name)
{
	for (size_t i = 0; i < count; i++)
		if (bytes_equal(entries[i].name, name))
			return &entries[i];
	return NULL;
}

static enum err new_value(struct change *c, const struct alter_entry *entry, struct bytes *ret_value)
{
	const struct config_entry *old = entry_of(c->now, c->now_count, entry->name);
	struct bytes value;
	char text[400];

	switch (entry->operation) {
	case ALTER_SET:
		*ret_value = entry->value;
		return OK;
	case ALTER_DELETE:
		*ret_value = bytes_null();
		return OK;
	case ALTER_APPEND:
	case ALTER_SUBTRACT:
		break;
	default:
		c->a->error = c->a->resource == CONFIG_OF_BROKER ? ERR_INVALID_REQUEST : ERR_UNKNOWN_SERVER_ERROR;
		c->a->message = bytes_null();
		snprintf(text, sizeof(text), "Unknown operations type %d", entry->operation);
		if (c->a->resource == CONFIG_OF_BROKER)
			c->a->message = arena_copy(c->d->arena, bytes_str(text));
		return c->a->error;
	}
	if (!is_list(c->a->resource, entry->name)) {
		if (c->a->resource == CONFIG_OF_BROKER)
			snprintf(text, sizeof(text), "Config value %s is not allowed for config key: %.*s",
				 entry->operation == ALTER_APPEND ? "append" : "subtract",
				 (int)(entry->name.size > 200 ? 200 : entry->name.size),
				 (const char *)entry->name.data);
		else
			snprintf(text, sizeof(text), "Can't %s to key %.*s because its type is not LIST.",
				 operation_name(entry->operation),
				 (int)(entry->name.size > 200 ? 200 : entry->name.size),
				 (const char *)entry->name.data);
		return refuse_text(c->d, c->a, ERR_INVALID_CONFIG, text);
	}
	value = combine(c->d->arena, old ? old->value : default_of(c->d, c->a, entry->name), entry->operation,
			entry->value);
	if (bytes_is_null(value))
		return full(c->d, c->a);
	*ret_value = value;
	return OK;
}

static void note(struct change *c, struct bytes name, struct bytes value)
{
	const struct config_entry *old = entry_of(c->now, c->now_count, name);

	if (bytes_is_null(value) ? old != NULL : !old || !bytes_equal(old->value, value))
		c->changes[c->change_count++] = (struct config_entry){.name = name, .value = value};
}

static enum err find_changes(struct change *c)
{
	struct alter_config *a = c->a;

	c->changes = arena_alloc_array(c->d->arena, a->entry_count + c->now_count + 1, sizeof(*c->changes));
	if (!c->changes)
		return full(c->d, a);
	for (size_t i = 0; i < a->entry_count; i++) {
		struct bytes value = bytes_null();
		enum err e = new_value(c, &a->entries[i], &value);

		if (e)
			return e;
		note(c, a->entries[i].name, value);
	}
	for (size_t i = 0; a->replace && i < c->now_count; i++) {
		struct bytes name;
		bool named = false;

		for (size_t k = 0; k < a->entry_count; k++)
			named = named || bytes_equal(a->entries[k].name, c->now[i].name);
		if (named)
			continue;
		/* What is in the image may be gone when the change is told. */
		name = arena_copy(c->d->arena, c->now[i].name);
		if (bytes_is_null(name))
			return full(c->d, a);
		note(c, name, bytes_null());
	}
	return OK;
}

static int by_name(const void *a, const void *b)
{
	return bytes_compare(((const struct config_entry *)a)->name, ((const struct config_entry *)b)->name);
}

static enum err find_after(const struct change *c, struct config_plan *p)
{
	struct config_entry *after = arena_alloc_array(c->d->arena, c->now_count + c->change_count + 1, sizeof(*after));
	size_t count = 0;

	if (!after)
		return full(c->d, c->a);
	for (size_t i = 0; i < c->now_count; i++)
		if (!entry_of(c->changes, c->change_count, c->now[i].name))
			after[count++] = c->now[i];
	for (size_t i = 0; i < c->change_count; i++)
		if (!bytes_is_null(c->changes[i].value))
			after[count++] = c->changes[i];
	qsort(after, count, sizeof(*after), by_name);
	p->after = after;
	p->after_count = count;
	p->changes = c->changes;
	p->change_count = c->change_count;
	return OK;
}

/* --- whether they may ------------------------------------------------------------------------------------------------------ */

static enum err check_topic(const struct configs_decision *d, struct alter_config *a, const struct config_plan *p,
			    struct buf *message)
{
	enum err e;

	if (a->name.size == 0) {
		buf_put_str(message, "Default topic resources are not allowed.");
		return ERR_INVALID_REQUEST;
	}
	e = topic_name_check(a->name, message);
	if (!e)
		e = topic_config_validate(d->config, p->after, p->after_count, message);
	if (!e && !image_topic_by_name(d->image, a->name)) {
		buf_printf(message, "The topic '%.*s' does not exist.", BYTES_ARG(a->name));
		e = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	}
	return e;
}

static enum err check_resource(const struct configs_decision *d, struct alter_config *a, const struct config_plan *p,
			       struct buf *message)
{
	struct config_layers l = image_layers(d->image, d->config, d->node_id, NULL);

	switch (a->resource) {
	case CONFIG_OF_TOPIC:
		return check_topic(d, a, p, message);
	case CONFIG_OF_BROKER:
		return broker_update_check(
			&(struct broker_update){
				.now = &l, .entries = p->after, .count = p->after_count, .of_all = p->broker < 0},
			message);
	case CONFIG_OF_GROUP:
		if (a->name.size == 0) {
			buf_put_str(message, "Default group resources are not allowed.");
			return ERR_INVALID_REQUEST;
		}
		return group_config_validate(&l, p->after, p->after_count, message);
	case CONFIG_OF_CLIENT_METRICS:
		if (a->name.size == 0) {
			buf_put_str(message, "Subscription name can't be empty");
			return ERR_INVALID_REQUEST;
		}
		return client_metrics_validate(p->after, p->after_count, message);
	case CONFIG_OF_LOGGER:
		break;
	}
	must_not_reach();
}

static enum err check(const struct configs_decision *d, struct alter_config *a, const struct config_plan *p)
{
	char path[LAYOUT_PATH_SIZE];
	struct buf message;
	enum err e;

	if (p->after_count > LAYOUT_MAX_CONFIGS)
		return refuse_text(d, a, ERR_INVALID_REQUEST, "There are more settings than this broker keeps.");
	buf_init(&message, MAX_MESSAGE);
	e = check_resource(d, a, p, &message);
	if (e)
		refuse(d, a, e, buf_bytes(&message));
	buf_fini(&message);
	if (!e && !layout_config_path(path, a->resource, p->name))
		return refuse_text(d, a, ERR_INVALID_REQUEST, "The name is longer than this broker keeps.");
	return e;
}

enum err configs_decide(const struct configs_decision *d, struct alter_config *a, struct config_plan *ret_plan)
{
	struct change c = {.d = d, .a = a};
	struct config_plan p = {.broker = -1};
	enum err e;

	a->error = OK;
	a->message = bytes_null();
	e = find(d, a, &p, &c.now, &c.now_count);
	if (!e)
		e = find_changes(&c);
	if (!e)
		e = find_after(&c, &p);
	if (!e)
		e = check(d, a, &p);
	if (!e)
		*ret_plan = p;
	return e;
}
