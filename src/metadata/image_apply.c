/*
 * image_apply: changes an image by a delta. Two passes over its records: the first only checks, the second changes and cannot
 * fail, so a delta is applied whole or not at all. A delta's own records may build on each other (a topic, then its partitions): what
 * earlier ones did is remembered while checking.
 */
#include "base/alloc.h"
#include "metadata/delta.h"
#include "metadata/image_state.h"

#define ARENA_MAX ((size_t)1 << 30)

/* What the records so far would have done to a topic. */
struct planned {
	struct planned *next;
	struct uuid id;
	struct bytes name; /* null: removed */
	int32_t partition_count;
};

struct plan {
	const struct image *image;
	struct map by_name; /* -> struct planned, or &gone */
	struct map by_id;
	struct planned *all;
	struct planned gone;
};

static struct bytes id_key(const struct uuid *id)
{
	return bytes_of(id->bytes, sizeof(id->bytes));
}

static struct planned *plan_add(struct plan *p, struct uuid id, struct bytes name, int32_t partition_count)
{
	struct planned *t = mem_new(struct planned);

	*t = (struct planned){.next = p->all, .id = id, .name = name, .partition_count = partition_count};
	p->all = t;
	map_put(&p->by_id, id_key(&id), t);
	map_put(&p->by_name, name, t);
	return t;
}

/* The topic as it would be now; NULL when there is none. */
static struct planned *planned_by_id(struct plan *p, struct uuid id)
{
	struct planned *t = map_get(&p->by_id, id_key(&id));
	const struct image_topic *topic;

	if (t)
		return t == &p->gone ? NULL : t;
	topic = image_topic_by_id(p->image, id);
	return topic ? plan_add(p, id, topic->name, topic->partition_count) : NULL;
}

static bool planned_name_taken(struct plan *p, struct bytes name)
{
	struct planned *t = map_get(&p->by_name, name);

	if (t)
		return t != &p->gone;
	return image_topic_by_name(p->image, name) != NULL;
}

static bool has_broker(const int32_t *ids, uint32_t count, int32_t id)
{
	for (uint32_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static bool good_partitions(const struct delta_record *r)
{
	for (uint32_t i = 0; i < r->partition_count; i++) {
		const struct delta_partition *p = &r->partitions[i];

		if (p->replica_count == 0 || p->isr_count > p->replica_count ||
		    (p->replica_count == 1 && p->isr_count != 1))
			return false;
		for (uint32_t k = 0; k < p->isr_count; k++)
			if (!has_broker(p->replicas, p->replica_count, p->isr[k]))
				return false;
	}
	return true;
}

static bool has_zero(struct bytes text)
{
	return text.size && memchr(text.data, 0, text.size);
}

static enum err check_topic(struct plan *p, const struct delta_record *r)
{
	if (r->name.size == 0 || r->name.size > IMAGE_MAX_NAME || uuid_is_zero(r->topic_id) || !good_partitions(r))
		return ERR_MALFORMED;
	if (planned_by_id(p, r->topic_id) || planned_name_taken(p, r->name))
		return ERR_CONFLICT;
	plan_add(p, r->topic_id, r->name, (int32_t)r->partition_count);
	return OK;
}

static enum err check_record(struct plan *p, const struct delta_record *r)
{
	struct planned *t = NULL;

	if (r->kind == DELTA_PARTITIONS || r->kind == DELTA_PARTITION || r->kind == DELTA_TOPIC_REMOVED ||
	    (r->kind == DELTA_CONFIG && r->resource == CONFIG_OF_TOPIC)) {
		t = planned_by_id(p, r->topic_id);
		if (!t)
			return ERR_CONFLICT;
	}
	switch (r->kind) {
	case DELTA_CLUSTER:
	case DELTA_FEATURE:
		return has_zero(r->name) ? ERR_MALFORMED : OK;
	case DELTA_BROKER:
		for (uint32_t i = 0; i < r->endpoint_count; i++)
			if (has_zero(r->endpoints[i].listener) || has_zero(r->endpoints[i].host))
				return ERR_MALFORMED;
		return has_zero(r->value) ? ERR_MALFORMED : OK;
	case DELTA_BROKER_REMOVED:
	case DELTA_CONFIG:
		return OK;
	case DELTA_TOPIC:
		return check_topic(p, r);
	case DELTA_PARTITIONS:
		if (!good_partitions(r))
			return ERR_MALFORMED;
		if (r->first_partition != t->partition_count ||
		    r->partition_count > DELTA_MAX_PARTITIONS - (uint32_t)t->partition_count)
			return ERR_CONFLICT;
		t->partition_count += (int32_t)r->partition_count;
		return OK;
	case DELTA_PARTITION:
		if (!good_partitions(r) || r->partition_count != 1)
			return ERR_MALFORMED;
		return r->first_partition >= 0 && r->first_partition < t->partition_count ? OK : ERR_CONFLICT;
	case DELTA_TOPIC_REMOVED:
		map_put(&p->by_name, t->name, &p->gone);
		map_put(&p->by_id, id_key(&t->id), &p->gone);
		return OK;
	}
	must_not_reach();
}

/* Decodes all records into the arena and checks each against what comes before it. */
static enum err check(const struct image *i, struct bytes delta, struct arena *a)
{
	struct plan p = {.image = i};
	struct reader r;
	enum err e = delta_open(delta, &r);

	map_init_seeded(&p.by_name, i->by_name.seed);
	map_init_seeded(&p.by_id, i->by_id.seed);
	while (!e && reader_left(&r)) {
		struct delta_record record;

		e = delta_next(&r, a, &record);
		if (!e)
			e = check_record(&p, &record);
	}
	map_fini(&p.by_name);
	map_fini(&p.by_id);
	while (p.all) {
		struct planned *next = p.all->next;

		mem_free(p.all);
		p.all = next;
	}
	return e;
}

/* --- changing; nothing below can fail -------------------------------------------------------------------------------------- */

static char *text_copy(struct bytes b)
{
	char *copy = mem_alloc(b.size + 1);

	if (b.size)
		memcpy(copy, b.data, b.size);
	copy[b.size] = 0;
	return copy;
}

static void partition_set(struct image_partition *p, const struct delta_partition *d)
{
	p->leader = d->leader;
	p->leader_epoch = d->leader_epoch;
	p->partition_epoch = d->partition_epoch;
	p->replica_count = (uint16_t)d->replica_count;
	p->isr_count = (uint16_t)d->isr_count;
	if (d->replica_count == 1) {
		p->brokers.one = d->replicas[0];
		return;
	}
	p->brokers.many = mem_alloc((d->replica_count + d->isr_count) * sizeof(int32_t));
	memcpy(p->brokers.many, d->replicas, d->replica_count * sizeof(int32_t));
	if (d->isr_count)
		memcpy(p->brokers.many + d->replica_count, d->isr, d->isr_count * sizeof(int32_t));
}

static void partitions_add(struct image *i, struct image_topic *t, const struct delta_record *r)
{
	size_t total = (size_t)t->partition_count + r->partition_count;

	if (r->partition_count == 0)
		return;
	t->partitions = mem_realloc(t->partitions, total * sizeof(*t->partitions));
	for (uint32_t k = 0; k < r->partition_count; k++)
		partition_set(&t->partitions[(size_t)t->partition_count + k], &r->partitions[k]);
	t->partition_count = (int32_t)total;
	i->partition_count += r->partition_count;
}

static void topic_add(struct image *i, const struct delta_record *r)
{
	struct image_topic *t = mem_new(struct image_topic);
	size_t place = image_topic_place(i, r->name);
	char key[IMAGE_MAX_NAME];

	t->name = bytes_of(text_copy(r->name), r->name.size);
	t->id = r->topic_id;
	t->internal = r->internal;
	partitions_add(i, t, r);
	for (uint32_t k = 0; k < r->config_count; k++)
		image_configs_put(&t->configs, &t->config_count, r->configs[k].name, r->configs[k].value);
	i->topics = mem_grow(i->topics, &i->topic_capacity, i->topic_count + 1, sizeof(struct image_topic *));
	memmove(&i->topics[place + 1], &i->topics[place], (i->topic_count - place) * sizeof(struct image_topic *));
	i->topics[place] = t;
	i->topic_count++;
	map_put(&i->by_name, t->name, t);
	map_put(&i->by_id, id_key(&t->id), t);
	if (image_collision_key(t->name, key, sizeof(key)) && !map_get(&i->collisions, bytes_of(key, t->name.size)))
		map_put(&i->collisions, bytes_of(key, t->name.size), t);
}

/* The topic that stood for a collision goes: another of the same key takes its place. Rare, so all are looked at. */
static void collision_remove(struct image *i, const struct image_topic *gone)
{
	char key[IMAGE_MAX_NAME], other[IMAGE_MAX_NAME];
	struct bytes name = gone->name;

	if (!image_collision_key(name, key, sizeof(key)) || map_get(&i->collisions, bytes_of(key, name.size)) != gone)
		return;
	map_remove(&i->collisions, bytes_of(key, name.size));
	for (size_t at = 0; at < i->topic_count; at++) {
		struct image_topic *t = i->topics[at];

		if (t != gone && t->name.size == name.size && image_collision_key(t->name, other, sizeof(other)) &&
		    memcmp(key, other, name.size) == 0) {
			map_put(&i->collisions, bytes_of(key, name.size), t);
			return;
		}
	}
}

static void topic_remove(struct image *i, struct image_topic *t)
{
	size_t place = image_topic_place(i, t->name);

	collision_remove(i, t);
	map_remove(&i->by_name, t->name);
	map_remove(&i->by_id, id_key(&t->id));
	memmove(&i->topics[place], &i->topics[place + 1], (i->topic_count - place - 1) * sizeof(struct image_topic *));
	i->topic_count--;
	i->partition_count -= t->partition_count;
	image_topic_free(t);
}

static void broker_remove(struct image *i, int32_t id)
{
	for (size_t at = 0; at < i->broker_count; at++) {
		if (i->brokers[at].id != id)
			continue;
		image_broker_fini(&i->brokers[at]);
		memmove(&i->brokers[at], &i->brokers[at + 1], (i->broker_count - at - 1) * sizeof(*i->brokers));
		i->broker_count--;
		return;
	}
}

static void broker_set(struct image *i, const struct delta_record *r)
{
	struct image_broker b = {
		.id = r->broker,
		.epoch = r->broker_epoch,
		.rack = bytes_is_null(r->value) ? NULL : text_copy(r->value),
		.endpoints = mem_zalloc(r->endpoint_count * sizeof(*b.endpoints)),
		.endpoint_count = r->endpoint_count,
	};
	size_t at = 0;

	for (uint32_t k = 0; k < r->endpoint_count; k++)
		b.endpoints[k] = (struct image_endpoint){.listener = text_copy(r->endpoints[k].listener),
							 .host = text_copy(r->endpoints[k].host),
							 .port = r->endpoints[k].port,
							 .security_protocol = r->endpoints[k].security_protocol};
	broker_remove(i, r->broker);
	i->brokers = mem_grow(i->brokers, &i->broker_capacity, i->broker_count + 1, sizeof(*i->brokers));
	while (at < i->broker_count && i->brokers[at].id < b.id)
		at++;
	memmove(&i->brokers[at + 1], &i->brokers[at], (i->broker_count - at) * sizeof(*i->brokers));
	i->brokers[at] = b;
	i->broker_count++;
}

static void feature_set(struct image *i, const struct delta_record *r)
{
	size_t at = 0;
	bool found;

	while (at < i->feature_count && bytes_compare(bytes_str(i->features[at].name), r->name) < 0)
		at++;
	found = at < i->feature_count && bytes_equal_str(r->name, i->features[at].name);
	if (r->level == 0) {
		if (!found)
			return;
		mem_free(i->features[at].name);
		memmove(&i->features[at], &i->features[at + 1], (i->feature_count - at - 1) * sizeof(*i->features));
		i->feature_count--;
		return;
	}
	if (!found) {
		i->features = mem_grow(i->features, &i->feature_capacity, i->feature_count + 1, sizeof(*i->features));
		memmove(&i->features[at + 1], &i->features[at], (i->feature_count - at) * sizeof(*i->features));
		i->features[at].name = text_copy(r->name);
		i->feature_count++;
	}
	i->features[at].level = r->level;
}

static void change(struct image *i, const struct delta_record *r)
{
	struct image_topic *t = map_get(&i->by_id, id_key(&r->topic_id));

	switch (r->kind) {
	case DELTA_CLUSTER:
		mem_free(i->cluster_id);
		i->cluster_id = text_copy(r->name);
		i->controller = r->broker;
		return;
	case DELTA_BROKER:
		broker_set(i, r);
		return;
	case DELTA_BROKER_REMOVED:
		broker_remove(i, r->broker);
		return;
	case DELTA_FEATURE:
		feature_set(i, r);
		return;
	case DELTA_TOPIC:
		topic_add(i, r);
		return;
	case DELTA_PARTITIONS:
		partitions_add(i, t, r);
		return;
	case DELTA_PARTITION:
		image_partition_fini(&t->partitions[r->first_partition]);
		partition_set(&t->partitions[r->first_partition], &r->partitions[0]);
		return;
	case DELTA_TOPIC_REMOVED:
		topic_remove(i, t);
		return;
	case DELTA_CONFIG:
		if (r->resource == CONFIG_OF_TOPIC)
			image_configs_put(&t->configs, &t->config_count, r->name, r->value);
		else
			image_resource_set(i, r);
		return;
	}
}

enum err image_apply(struct image *i, struct bytes delta)
{
	struct arena a;
	struct reader r;
	enum err e;

	arena_init(&a, ARENA_MAX);
	e = check(i, delta, &a);
	arena_fini(&a);
	if (e)
		return e;

	must(delta_open(delta, &r) == OK);
	while (reader_left(&r)) {
		struct delta_record record;

		must(delta_next(&r, &a, &record) == OK);
		change(i, &record);
		arena_fini(&a);
	}
	i->version++;
	return OK;
}
