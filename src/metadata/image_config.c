/*
 * image_config: the settings that an image has of brokers, groups and client metrics, sorted by kind, broker and name. Topics keep
 * their own. A resource whose last setting went is no longer there.
 */
#include "base/alloc.h"
#include "metadata/image_state.h"

/* Name and value in one piece of memory, which begins with the name. */
static struct config_entry entry_copy(struct bytes name, struct bytes value)
{
	char *copy = mem_alloc(name.size + value.size + 1);

	if (name.size)
		memcpy(copy, name.data, name.size);
	if (value.size)
		memcpy(copy + name.size, value.data, value.size);
	copy[name.size + value.size] = 0;
	return (struct config_entry){.name = bytes_of(copy, name.size),
				     .value = bytes_of(copy + name.size, value.size)};
}

/* Small and exact: lists are short and live long. */
void image_configs_put(struct config_entry **configs, size_t *count, struct bytes name, struct bytes value)
{
	struct config_entry *list = *configs;
	size_t at = 0;
	bool found;

	while (at < *count && bytes_compare(list[at].name, name) < 0)
		at++;
	found = at < *count && bytes_equal(list[at].name, name);
	if (found)
		mem_free((void *)(uintptr_t)list[at].name.data);
	if (bytes_is_null(value)) {
		if (!found)
			return;
		memmove(&list[at], &list[at + 1], (*count - at - 1) * sizeof(*list));
		(*count)--;
		return;
	}
	if (!found) {
		list = mem_realloc(list, (*count + 1) * sizeof(*list));
		memmove(&list[at + 1], &list[at], (*count - at) * sizeof(*list));
		(*count)++;
	}
	list[at] = entry_copy(name, value);
	*configs = list;
}

void image_configs_free(struct config_entry *configs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mem_free((void *)(uintptr_t)configs[i].name.data);
	mem_free(configs);
}

void image_resource_fini(struct resource_configs *r)
{
	image_configs_free(r->configs, r->count);
	mem_free((void *)(uintptr_t)r->name.data);
}

static int order_of(const struct resource_configs *r, enum config_resource resource, int32_t broker, struct bytes name)
{
	if (r->resource != resource)
		return r->resource < resource ? -1 : 1;
	if (r->broker != broker)
		return r->broker < broker ? -1 : 1;
	return bytes_compare(r->name, name);
}

/* The place of that resource, or where it belongs. */
static size_t place_of(const struct image *i, enum config_resource resource, int32_t broker, struct bytes name)
{
	size_t low = 0, high = i->resource_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (order_of(&i->resources[middle], resource, broker, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct resource_configs *find(const struct image *i, enum config_resource resource, int32_t broker,
					   struct bytes name)
{
	size_t at = place_of(i, resource, broker, name);

	return at < i->resource_count && order_of(&i->resources[at], resource, broker, name) == 0 ? &i->resources[at]
												  : NULL;
}

void image_resource_set(struct image *i, const struct delta_record *r)
{
	bool of_broker = r->resource == CONFIG_OF_BROKER;
	int32_t broker = of_broker ? r->broker : 0;
	struct bytes name = of_broker ? bytes_empty() : r->resource_name;
	size_t at = place_of(i, r->resource, broker, name);
	struct resource_configs *list;

	if (!find(i, r->resource, broker, name)) {
		if (bytes_is_null(r->value))
			return;
		i->resources = mem_grow(i->resources, &i->resource_capacity, i->resource_count + 1,
					sizeof(*i->resources));
		memmove(&i->resources[at + 1], &i->resources[at], (i->resource_count - at) * sizeof(*i->resources));
		i->resources[at] = (struct resource_configs){.resource = r->resource, .broker = broker};
		i->resources[at].name = bytes_of(mem_dup(name.data, name.size), name.size);
		i->resource_count++;
	}
	list = &i->resources[at];
	image_configs_put(&list->configs, &list->count, r->name, r->value);
	if (list->count > 0)
		return;
	image_resource_fini(list);
	memmove(list, list + 1, (i->resource_count - at - 1) * sizeof(*list));
	i->resource_count--;
}

static const struct config_entry *configs_of(const struct resource_configs *r, size_t *ret_count)
{
	*ret_count = r ? r->count : 0;
	return r ? r->configs : NULL;
}

const struct config_entry *image_broker_configs(const struct image *i, int32_t broker, size_t *ret_count)
{
	return configs_of(find(i, CONFIG_OF_BROKER, broker, bytes_empty()), ret_count);
}

const struct config_entry *image_resource_configs(const struct image *i, enum config_resource resource,
						  struct bytes name, size_t *ret_count)
{
	must(resource == CONFIG_OF_GROUP || resource == CONFIG_OF_CLIENT_METRICS);
	return configs_of(find(i, resource, 0, name), ret_count);
}

size_t image_resource_count(const struct image *i, enum config_resource resource)
{
	return place_of(i, resource, INT32_MAX, bytes_empty()) - place_of(i, resource, INT32_MIN, bytes_empty());
}

struct bytes image_resource_at(const struct image *i, enum config_resource resource, size_t at)
{
	must(at < image_resource_count(i, resource));
	return i->resources[place_of(i, resource, INT32_MIN, bytes_empty()) + at].name;
}

struct config_layers image_layers(const struct image *i, const struct config *c, int32_t node_id,
				  const struct image_topic *t)
{
	struct config_layers l = {.config = c};

	if (t) {
		l.topic = t->configs;
		l.topic_count = t->config_count;
	}
	l.broker = image_broker_configs(i, node_id, &l.broker_count);
	l.brokers = image_broker_configs(i, -1, &l.brokers_count);
	return l;
}

void topic_effective(const struct config *c, const struct image *i, int32_t node_id, const struct image_topic *t,
		     struct topic_settings *ret_settings)
{
	struct config_layers l = image_layers(i, c, node_id, t);

	topic_settings_of(&l, ret_settings);
}
