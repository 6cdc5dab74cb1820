/* offsets: see the header. May call: containers of base/, the image for ids of topics; groups.h for what a transaction touches. */
#include "group/offsets.h"

#include "base/alloc.h"
#include "group/groups.h"
#include "metadata/image.h"

/* --- names of topics -------------------------------------------------------------------------------------------------- */

void topic_names_init(struct topic_names *n, struct map_seed seed)
{
	map_init_seeded(&n->by_name, seed);
}

void topic_names_fini(struct topic_names *n)
{
	must(n->by_name.count == 0);
	map_fini(&n->by_name);
}

static struct topic_name *use_name(struct topic_names *n, struct bytes name)
{
	struct topic_name *t = map_get(&n->by_name, name);

	if (!t) {
		t = mem_zalloc(sizeof(*t) + name.size);
		memcpy(t + 1, name.data, name.size);
		t->name = bytes_of(t + 1, name.size);
		map_put(&n->by_name, name, t);
	}
	t->users++;
	return t;
}

static void leave_name(struct topic_names *n, struct topic_name *t)
{
	if (--t->users > 0)
		return;
	map_remove(&n->by_name, t->name);
	mem_free(t);
}

void topic_name_look(struct topic_names *n, struct bytes name, const struct image *image)
{
	struct topic_name *t = map_get(&n->by_name, name);
	const struct image_topic *there;

	if (!t || !uuid_is_zero(t->id) || !image)
		return;
	there = image_topic_by_name(image, name);
	if (there)
		t->id = there->id;
}

/* --- topics of a group ------------------------------------------------------------------------------------------------ */

/* Where the topic is, or would be. */
static size_t topic_place(const struct offsets *o, struct bytes topic, bool *ret_found)
{
	size_t low = 0, high = o->topic_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = bytes_compare(o->topics[middle]->topic->name, topic);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = false;
	return low;
}

static struct topic_offsets *add_topic(struct offsets *o, struct topic_names *n, struct bytes name, size_t place)
{
	struct topic_offsets *t = mem_new(struct topic_offsets);

	t->topic = use_name(n, name);
	o->topics = mem_grow(o->topics, &o->topic_capacity, o->topic_count + 1, sizeof(struct topic_offsets *));
	memmove(o->topics + place + 1, o->topics + place, (o->topic_count - place) * sizeof(struct topic_offsets *));
	o->topics[place] = t;
	o->topic_count++;
	return t;
}

static void free_topic(struct topic_offsets *t, struct topic_names *n)
{
	for (size_t i = 0; i < t->count; i++)
		mem_free(t->offsets[i].extra);
	mem_free(t->offsets);
	mem_free(t->ids);
	leave_name(n, t->topic);
	mem_free(t);
}

void offsets_fini(struct offsets *o, struct topic_names *n)
{
	for (size_t i = 0; i < o->topic_count; i++)
		free_topic(o->topics[i], n);
	mem_free(o->topics);
	*o = (struct offsets){0};
}

const struct topic_offsets *offsets_of_topic(const struct offsets *o, struct bytes topic)
{
	bool found;
	size_t place = topic_place(o, topic, &found);

	return found ? o->topics[place] : NULL;
}

/* --- partitions of a topic -------------------------------------------------------------------------------------------- */

static size_t partition_place(const struct topic_offsets *t, int32_t partition, bool *ret_found)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->offsets[middle].partition < partition)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < t->count && t->offsets[low].partition == partition;
	return low;
}

const struct committed_offset *offsets_find(const struct topic_offsets *t, int32_t partition)
{
	bool found;
	size_t place = partition_place(t, partition, &found);

	return found ? &t->offsets[place] : NULL;
}

static bool id_is_used(const struct topic_offsets *t, size_t id)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->offsets[i].topic_id == id + 1)
			return true;
	return false;
}

/* The number of this id; takes the place of one that no offset has any more, so that topics made again and again leave nothing behind. */
static uint32_t id_number(struct topic_offsets *t, struct uuid id)
{
	size_t capacity = t->id_count;

	if (uuid_is_zero(id))
		return 0;
	for (size_t i = 0; i < t->id_count; i++)
		if (uuid_equal(t->ids[i], id))
			return (uint32_t)i + 1;
	for (size_t i = 0; i < t->id_count; i++)
		if (!id_is_used(t, i)) {
			t->ids[i] = id;
			return (uint32_t)i + 1;
		}
	t->ids = mem_grow(t->ids, &capacity, t->id_count + 1, sizeof(*t->ids));
	t->ids[t->id_count++] = id;
	return (uint32_t)t->id_count;
}

static struct offset_extra *new_extra(const struct offset_value *value)
{
	struct offset_extra *extra;

	if (value->metadata.size == 0 && value->expire_ms == OFFSET_NEVER_EXPIRES)
		return NULL;
	extra = mem_alloc(sizeof(*extra) + value->metadata.size);
	extra->expire_ms = value->expire_ms;
	extra->metadata_size = (uint32_t)value->metadata.size;
	if (value->metadata.size)
		memcpy(extra->metadata, value->metadata.data, value->metadata.size);
	return extra;
}

static struct committed_offset *add_partition(struct topic_offsets *t, int32_t partition, size_t place)
{
	struct committed_offset *c;

	/* By half only: most of the memory of a state is in these. */
	if (t->count == t->capacity) {
		t->capacity = t->capacity < 2 ? t->capacity + 1 : t->capacity + t->capacity / 2;
		t->offsets = mem_realloc(t->offsets, t->capacity * sizeof(*t->offsets));
	}
	c = &t->offsets[place];
	memmove(c + 1, c, (t->count - place) * sizeof(*c));
	t->count++;
	*c = (struct committed_offset){.partition = partition};
	return c;
}

void offsets_put(struct offsets *o, struct topic_names *n, struct bytes topic, int32_t partition,
		 const struct offset_value *value, int64_t order)
{
	bool found;
	size_t place = topic_place(o, topic, &found);
	struct topic_offsets *t = found ? o->topics[place] : add_topic(o, n, topic, place);
	struct offset_extra *extra = new_extra(
		value); /* before the old one goes: a caller may put what he found here */
	struct committed_offset *c;

	place = partition_place(t, partition, &found);
	if (found) {
		c = &t->offsets[place];
		c->topic_id = 0;
	} else {
		c = add_partition(t, partition, place);
		o->count++;
	}
	mem_free(c->extra);
	c->extra = extra;
	c->offset = value->offset;
	c->leader_epoch = value->leader_epoch;
	c->commit_ms = value->commit_ms;
	c->order = order;
	c->topic_id = id_number(t, value->topic_id);
}

bool offsets_remove(struct offsets *o, struct topic_names *n, struct bytes topic, int32_t partition)
{
	bool found;
	size_t topic_at = topic_place(o, topic, &found), place;
	struct topic_offsets *t;

	if (!found)
		return false;
	t = o->topics[topic_at];
	place = partition_place(t, partition, &found);
	if (!found)
		return false;
	mem_free(t->offsets[place].extra);
	t->count--;
	memmove(t->offsets + place, t->offsets + place + 1, (t->count - place) * sizeof(*t->offsets));
	o->count--;
	if (t->count == 0) {
		free_topic(t, n);
		o->topic_count--;
		memmove(o->topics + topic_at, o->topics + topic_at + 1,
			(o->topic_count - topic_at) * sizeof(struct topic_offsets *));
	}
	return true;
}

struct offset_value offset_value(const struct topic_offsets *t, const struct committed_offset *c)
{
	struct offset_value v = {
		.offset = c->offset,
		.leader_epoch = c->leader_epoch,
		.metadata = bytes_empty(),
		.commit_ms = c->commit_ms,
		.expire_ms = OFFSET_NEVER_EXPIRES,
	};

	if (c->extra) {
		v.metadata = bytes_of(c->extra->metadata, c->extra->metadata_size);
		v.expire_ms = c->extra->expire_ms;
	}
	if (c->topic_id)
		v.topic_id = t->ids[c->topic_id - 1];
	return v;
}

/* --- transactions ----------------------------------------------------------------------------------------------------- */

static bool has(const struct offsets *o, struct bytes topic, int32_t partition)
{
	const struct topic_offsets *t = offsets_of_topic(o, topic);

	return t && offsets_find(t, partition);
}

bool offsets_committed(const struct group *g, struct bytes topic, int32_t partition)
{
	return has(&g->offsets, topic, partition);
}

bool offsets_pending(const struct group *g, struct bytes topic, int32_t partition)
{
	list_for_each(&g->pending, node) if (has(&container_of(node, struct pending_offsets, in_group)->offsets, topic,
						 partition)) return true;
	return false;
}

static struct offset_transaction *transaction_of(struct groups *all, int64_t producer_id)
{
	uint64_t key = (uint64_t)producer_id;
	struct offset_transaction *t = map_get(&all->transactions, map_key_u64(&key));

	if (t)
		return t;
	t = mem_new(struct offset_transaction);
	t->producer_id = producer_id;
	list_init(&t->parts);
	map_put(&all->transactions, map_key_u64(&key), t);
	return t;
}

static void free_transaction(struct groups *all, struct offset_transaction *t)
{
	uint64_t key = (uint64_t)t->producer_id;

	map_remove(&all->transactions, map_key_u64(&key));
	mem_free(t);
}

struct pending_offsets *pending_offsets_of(struct groups *all, struct group *g, int64_t producer_id)
{
	struct pending_offsets *p;

	list_for_each(&g->pending, node)
	{
		p = container_of(node, struct pending_offsets, in_group);
		if (p->transaction->producer_id == producer_id)
			return p;
	}
	p = mem_new(struct pending_offsets);
	p->group = g;
	p->transaction = transaction_of(all, producer_id);
	list_push_back(&g->pending, &p->in_group);
	list_push_back(&p->transaction->parts, &p->in_transaction);
	return p;
}

/* Its transaction goes with its last part. */
static void free_pending(struct groups *all, struct pending_offsets *p)
{
	struct offset_transaction *t = p->transaction;

	list_remove(&p->in_group);
	list_remove(&p->in_transaction);
	offsets_fini(&p->offsets, &all->topics);
	mem_free(p);
	if (list_empty(&t->parts))
		free_transaction(all, t);
}

static void take_over_topic(struct groups *all, struct group *g, const struct topic_offsets *pending)
{
	for (size_t i = 0; i < pending->count; i++) {
		const struct committed_offset *c = &pending->offsets[i];
		const struct topic_offsets *t = offsets_of_topic(&g->offsets, pending->topic->name);
		const struct committed_offset *there = t ? offsets_find(t, c->partition) : NULL;
		struct offset_value v = offset_value(pending, c);

		if (!there || c->order > there->order)
			offsets_put(&g->offsets, &all->topics, pending->topic->name, c->partition, &v, c->order);
	}
}

void transaction_end(struct groups *all, int64_t producer_id, bool committed)
{
	uint64_t key = (uint64_t)producer_id;
	struct offset_transaction *t = map_get(&all->transactions, map_key_u64(&key));

	if (!t)
		return;
	for (;;) {
		struct pending_offsets *p = container_of(list_first(&t->parts), struct pending_offsets, in_transaction);
		bool last = p->in_transaction.next == &t->parts.head;

		if (committed)
			for (size_t i = 0; i < p->offsets.topic_count; i++)
				take_over_topic(all, p->group, p->offsets.topics[i]);
		free_pending(all, p);
		if (last)
			return;
	}
}

void pending_offsets_free_all(struct groups *all, struct group *g)
{
	list_for_each(&g->pending, node) free_pending(all, container_of(node, struct pending_offsets, in_group));
}
