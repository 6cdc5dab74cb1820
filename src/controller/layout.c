/* layout: see the header. */
#include "controller/layout.h"

#include <inttypes.h>
#include <stdio.h>

#include "config/listeners.h"
#include "controller/json.h"

#define MAX_SMALL ((size_t)64 * 1024)

bool layout_is_internal(struct bytes topic)
{
	return bytes_equal_str(topic, "__consumer_offsets") || bytes_equal_str(topic, "__transaction_state") ||
	       bytes_equal_str(topic, "__share_group_state");
}

static bool is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

static const char *config_folder(enum config_resource resource)
{
	switch (resource) {
	case CONFIG_OF_TOPIC:
		return "topics";
	case CONFIG_OF_BROKER:
		return "brokers";
	case CONFIG_OF_GROUP:
		return "groups";
	case CONFIG_OF_CLIENT_METRICS:
		return "client-metrics";
	case CONFIG_OF_LOGGER:
		break;
	}
	must_not_reach();
}

bool layout_config_path(char ret_path[static LAYOUT_PATH_SIZE], enum config_resource resource, struct bytes name)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t size = (size_t)snprintf(ret_path, LAYOUT_PATH_SIZE, "/config/%s/", config_folder(resource));
	/* A name of dots only is none of a node. */
	bool dots = name.size > 0;

	if (resource == CONFIG_OF_BROKER && name.size == 0) {
		snprintf(ret_path + size, LAYOUT_PATH_SIZE - size, "<default>");
		return true;
	}
	for (size_t i = 0; i < name.size; i++)
		dots = dots && name.data[i] == '.';
	for (size_t i = 0; i < name.size; i++) {
		if (size + 4 > LAYOUT_PATH_SIZE)
			return false;
		if (is_plain(name.data[i]) && !dots) {
			ret_path[size++] = (char)name.data[i];
			continue;
		}
		ret_path[size++] = '%';
		ret_path[size++] = digits[name.data[i] >> 4];
		ret_path[size++] = digits[name.data[i] & 15];
	}
	ret_path[size] = 0;
	return name.size > 0;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

struct bytes layout_config_name(const char *node, struct arena *a)
{
	size_t size = 0;
	uint8_t *name = arena_alloc(a, strlen(node) + 1);

	if (!name)
		return bytes_null();
	for (; *node; node++) {
		int high, low;

		if (*node != '%') {
			name[size++] = (uint8_t)*node;
			continue;
		}
		high = digit_of(node[1]);
		low = high < 0 ? -1 : digit_of(node[2]);
		if (low < 0)
			return bytes_null();
		name[size++] = (uint8_t)(high << 4 | low);
		node += 2;
	}
	return bytes_of(name, size);
}

static void put_ids(struct buf *b, const int32_t *ids, uint32_t count)
{
	buf_put_str(b, "[");
	for (uint32_t i = 0; i < count; i++)
		buf_printf(b, "%s%" PRId32, i ? "," : "", ids[i]);
	buf_put_str(b, "]");
}

void layout_put_topic(struct buf *b, const struct delta_record *topic)
{
	char id[UUID_TEXT_SIZE];

	uuid_format(topic->topic_id, id);
	buf_put_str(b, "{\"partitions\":{");
	for (uint32_t i = 0; i < topic->partition_count; i++) {
		buf_printf(b, "%s\"%" PRIu32 "\":", i ? "," : "", i);
		put_ids(b, topic->partitions[i].replicas, topic->partitions[i].replica_count);
	}
	buf_printf(b, "},\"topic_id\":\"%s\",\"adding_replicas\":{},\"removing_replicas\":{},\"version\":3}", id);
}

void layout_put_state(struct buf *b, const struct delta_partition *partition)
{
	buf_printf(b,
		   "{\"controller_epoch\":1,\"leader\":%" PRId32 ",\"version\":1,\"leader_epoch\":%" PRId32 ",\"isr\":",
		   partition->leader, partition->leader_epoch);
	put_ids(b, partition->isr, partition->isr_count);
	buf_put_str(b, "}");
}

void layout_put_configs(struct buf *b, const struct config_entry *configs, size_t count)
{
	buf_put_str(b, "{\"version\":1,\"config\":{");
	for (size_t i = 0; i < count; i++) {
		buf_put_str(b, i ? "," : "");
		json_put_text(b, configs[i].name);
		buf_put_str(b, ":");
		json_put_text(b, configs[i].value);
	}
	buf_put_str(b, "}}");
}

void layout_put_broker(struct buf *b, const struct image_endpoint *endpoints, size_t count, const char *rack,
		       int64_t now_ms)
{
	const struct image_endpoint *plain = NULL;

	buf_put_str(b, "{\"features\":{},\"listener_security_protocol_map\":{");
	for (size_t i = 0; i < count; i++) {
		buf_put_str(b, i ? "," : "");
		json_put_text(b, bytes_str(endpoints[i].listener));
		buf_printf(b, ":\"%s\"",
			   security_protocol_name((enum security_protocol)endpoints[i].security_protocol));
		if (!plain && endpoints[i].security_protocol == SECURITY_PLAINTEXT)
			plain = &endpoints[i];
	}
	buf_put_str(b, "},\"endpoints\":[");
	for (size_t i = 0; i < count; i++) {
		bool v6 = strchr(endpoints[i].host, ':');

		buf_printf(b, "%s\"%s://%s%s%s:%u\"", i ? "," : "", endpoints[i].listener, v6 ? "[" : "",
			   endpoints[i].host, v6 ? "]" : "", endpoints[i].port);
	}
	buf_put_str(b, "]");
	if (rack) {
		buf_put_str(b, ",\"rack\":");
		json_put_text(b, bytes_str(rack));
	}
	buf_put_str(b, ",\"jmx_port\":-1,\"host\":");
	if (plain)
		json_put_text(b, bytes_str(plain->host));
	else
		buf_put_str(b, "null");
	buf_printf(b, ",\"port\":%d,\"version\":5,\"timestamp\":\"%" PRId64 "\"}", plain ? plain->port : -1, now_ms);
}

void layout_put_controller(struct buf *b, int32_t broker, int64_t now_ms)
{
	buf_printf(b,
		   "{\"version\":2,\"brokerid\":%" PRId32 ",\"timestamp\":\"%" PRId64 "\",\"kraftControllerEpoch\":-1}",
		   broker, now_ms);
}

void layout_put_producer_ids(struct buf *b, int32_t broker, int64_t first, int32_t count)
{
	buf_printf(b,
		   "{\"version\":1,\"broker\":%" PRId32 ",\"block_start\":\"%" PRId64 "\",\"block_end\":\"%" PRId64
		   "\"}",
		   broker, first, first + count - 1);
}

void layout_put_cluster_id(struct buf *b, const char *id)
{
	buf_put_str(b, "{\"version\":\"1\",\"id\":");
	json_put_text(b, bytes_str(id));
	buf_put_str(b, "}");
}

void layout_put_features(struct buf *b, const struct image_feature *features, size_t count)
{
	buf_put_str(b, "{\"features\":{");
	for (size_t i = 0; i < count; i++) {
		buf_put_str(b, i ? "," : "");
		json_put_text(b, bytes_str(features[i].name));
		buf_printf(b, ":{\"max_version_level\":%d}", features[i].level);
	}
	buf_put_str(b, "},\"version\":2,\"status\":1}");
}

/* --- back ------------------------------------------------------------------------------------------------------------------ */

/* An array of broker ids; NULL with the error set when there is none. */
static int32_t *get_ids(struct json *j, struct arena *a, uint32_t *ret_count)
{
	int32_t ids[DELTA_MAX_REPLICAS], *copy;
	uint32_t count = 0;

	if (!json_enter_array(j))
		return NULL;
	while (json_element(j)) {
		int64_t id = json_number(j);

		if (count == countof(ids) || id < INT32_MIN || id > INT32_MAX)
			j->error = ERR_MALFORMED;
		if (j->error)
			return NULL;
		ids[count++] = (int32_t)id;
	}
	if (j->error)
		return NULL;
	copy = arena_alloc_array(a, count ? count : 1, sizeof(*copy));
	if (!copy) {
		j->error = ERR_NO_MEMORY;
		return NULL;
	}
	if (count)
		memcpy(copy, ids, count * sizeof(*copy));
	*ret_count = count;
	return copy;
}

static bool parse_index(struct bytes text, uint32_t *ret_index)
{
	uint32_t index = 0;

	if (text.size == 0 || text.size > 7)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		index = index * 10 + (uint32_t)(text.data[i] - '0');
	}
	*ret_index = index;
	return true;
}

struct partitions {
	struct delta_partition *items;
	uint32_t count; /* the largest index + 1 */
	uint32_t seen;
	uint32_t capacity;
};

static bool partitions_room(struct partitions *p, struct arena *a, uint32_t index)
{
	uint32_t capacity = p->capacity ? p->capacity : 8;
	struct delta_partition *items;

	if (index < p->capacity)
		return true;
	while (capacity <= index)
		capacity *= 2;
	items = arena_alloc_array(a, capacity, sizeof(*items));
	if (!items)
		return false;
	if (p->count)
		memcpy(items, p->items, p->count * sizeof(*items));
	p->items = items;
	p->capacity = capacity;
	return true;
}

/* {"0":[1,2],"1":[2,1]}: in any order, without gaps in the end. */
static void get_partitions(struct json *j, struct arena *a, struct partitions *p)
{
	struct bytes key;

	if (!json_enter_object(j))
		return;
	while (json_key(j, &key)) {
		uint32_t index, count = 0;
		int32_t *replicas;

		if (!parse_index(key, &index) || index >= DELTA_MAX_PARTITIONS ||
		    (index < p->count && p->items[index].replicas)) {
			j->error = ERR_MALFORMED;
			return;
		}
		replicas = get_ids(j, a, &count);
		if (j->error)
			return;
		if (count == 0 || !partitions_room(p, a, index)) {
			j->error = count ? ERR_NO_MEMORY : ERR_MALFORMED;
			return;
		}
		if (index >= p->count)
			p->count = index + 1;
		p->seen++;
		p->items[index] = (struct delta_partition){.leader = replicas[0],
							   .replicas = replicas,
							   .replica_count = count,
							   .isr = replicas,
							   .isr_count = count};
	}
}

enum err layout_get_topic(struct bytes text, struct arena *a, struct delta_record *ret_topic)
{
	struct json j = json_of(text, a);
	struct partitions p = {0};
	struct uuid id = {0};
	struct bytes key;

	if (json_enter_object(&j)) {
		while (json_key(&j, &key)) {
			if (bytes_equal_str(key, "partitions") && !p.items)
				get_partitions(&j, a, &p);
			else if (bytes_equal_str(key, "topic_id")) {
				if (uuid_parse(json_text(&j), &id))
					j.error = j.error ? j.error : ERR_MALFORMED;
			} else
				json_skip(&j);
		}
	}
	if (json_end(&j))
		return j.error;
	if (p.seen != p.count || uuid_is_zero(id))
		return ERR_MALFORMED;
	ret_topic->kind = DELTA_TOPIC;
	ret_topic->topic_id = id;
	ret_topic->partitions = p.items;
	ret_topic->partition_count = p.count;
	return OK;
}

enum err layout_get_state(struct bytes text, int32_t node_version, struct arena *a, struct delta_partition *partition)
{
	struct json j = json_of(text, a);
	struct delta_partition p = *partition;
	struct bytes key;

	p.isr = NULL;
	p.partition_epoch = node_version;
	if (json_enter_object(&j)) {
		while (json_key(&j, &key)) {
			if (bytes_equal_str(key, "leader"))
				p.leader = (int32_t)json_number(&j);
			else if (bytes_equal_str(key, "leader_epoch"))
				p.leader_epoch = (int32_t)json_number(&j);
			else if (bytes_equal_str(key, "isr"))
				p.isr = get_ids(&j, a, &p.isr_count);
			else
				json_skip(&j);
		}
	}
	if (json_end(&j))
		return j.error;
	if (!p.isr)
		return ERR_MALFORMED;
	*partition = p;
	return OK;
}

enum err layout_get_configs(struct bytes text, struct arena *a, const struct config_entry **ret_configs,
			    uint32_t *ret_count)
{
	struct json j = json_of(text, a);
	struct config_entry configs[LAYOUT_MAX_CONFIGS], *copy;
	uint32_t count = 0;
	struct bytes key, name;

	if (json_enter_object(&j)) {
		while (json_key(&j, &key)) {
			if (!bytes_equal_str(key, "config") || !json_enter_object(&j)) {
				json_skip(&j);
				continue;
			}
			while (json_key(&j, &name)) {
				struct bytes value = json_text(&j);

				if (count == countof(configs) || bytes_is_null(value))
					j.error = j.error ? j.error : ERR_MALFORMED;
				else
					configs[count++] = (struct config_entry){.name = name, .value = value};
			}
		}
	}
	if (json_end(&j))
		return j.error;
	copy = arena_alloc_array(a, count ? count : 1, sizeof(*copy));
	if (!copy)
		return ERR_NO_MEMORY;
	if (count)
		memcpy(copy, configs, count * sizeof(*copy));
	*ret_configs = copy;
	*ret_count = count;
	return OK;
}

enum err layout_get_producer_ids(struct bytes text, int64_t *ret_next)
{
	struct json j;
	struct arena a;
	struct bytes key;
	int64_t end = -1;
	enum err e;

	/* Null until the first block is taken. */
	if (bytes_is_null(text) || text.size == 0) {
		*ret_next = 0;
		return OK;
	}
	arena_init(&a, MAX_SMALL);
	j = json_of(text, &a);
	if (json_enter_object(&j)) {
		while (json_key(&j, &key)) {
			if (bytes_equal_str(key, "block_end"))
				end = json_number(&j);
			else
				json_skip(&j);
		}
	}
	e = json_end(&j);
	arena_fini(&a);
	if (!e && (end < 0 || end == INT64_MAX))
		e = ERR_MALFORMED;
	if (!e)
		*ret_next = end + 1;
	return e;
}

enum err layout_get_cluster_id(struct bytes text, char *ret_id, size_t size)
{
	struct arena a;
	struct json j;
	struct bytes key, id = bytes_null();
	enum err e;

	arena_init(&a, MAX_SMALL);
	j = json_of(text, &a);
	if (json_enter_object(&j)) {
		while (json_key(&j, &key)) {
			if (bytes_equal_str(key, "id"))
				id = json_text(&j);
			else
				json_skip(&j);
		}
	}
	e = json_end(&j);
	if (!e && (id.size == 0 || id.size >= size || memchr(id.data, 0, id.size)))
		e = ERR_MALFORMED;
	if (!e) {
		memcpy(ret_id, id.data, id.size);
		ret_id[id.size] = 0;
	}
	arena_fini(&a);
	return e;
}

static int16_t get_level(struct json *j)
{
	struct bytes key;
	int64_t level = 0;

	if (json_enter_object(j)) {
		while (json_key(j, &key)) {
			if (bytes_equal_str(key, "max_version_level"))
				level = json_number(j);
			else
				json_skip(j);
		}
	}
	if (level < 0 || level > INT16_MAX)
		j->error = ERR_MALFORMED;
	return (int16_t)level;
}

enum err layout_get_features(struct bytes text, void (*feature)(void *context, struct bytes name, int16_t level),
			     void *context)
{
	struct arena a;
	struct json j;
	struct bytes key, name;
	enum err e;

	arena_init(&a, MAX_SMALL);
	j = json_of(text, &a);
	if (json_enter_object(&j)) {
		while (json_key(&j, &key)) {
			if (!bytes_equal_str(key, "features") || !json_enter_object(&j)) {
				json_skip(&j);
				continue;
			}
			while (json_key(&j, &name)) {
				int16_t level = get_level(&j);

				if (!j.error)
					feature(context, name, level);
			}
		}
	}
	e = json_end(&j);
	arena_fini(&a);
	return e;
}
