/*
 * add_partitions: CreatePartitions: decide (pure), the topic's node anew in one fenced multi, delta. The topic's name is taken meanwhile.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "controller/state.h"
#include "controller/topics.h"

#define MAX_PLANS ((size_t)256 << 20)
#define MAX_MESSAGE 2000
/* Kafka's bound; it answers an unknown error beyond it, and adds some of them: that is not followed. */
#define MAX_ADDED 10000
#define TOO_MANY "Excessively large number of partitions per request."

static enum err refuse(struct add_partitions *t, struct arena *a, enum err e, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static enum err refuse(struct add_partitions *t, struct arena *a, enum err e, const char *format, ...)
{
	char text[MAX_MESSAGE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	t->error = e;
	t->message = arena_copy(a, bytes_str(text));
	return e;
}

static enum err check_count(const struct image_topic *topic, struct add_partitions *t, struct arena *a)
{
	int32_t now = topic->partition_count;

	if (t->count == now)
		return refuse(t, a, ERR_INVALID_PARTITIONS, "Topic already has %" PRId32 " partition(s).", now);
	if (t->count < now)
		return refuse(t, a, ERR_INVALID_PARTITIONS,
			      "The topic %.*s currently has %" PRId32 " partition(s); %" PRId32
			      " would not be an increase.",
			      BYTES_ARG(t->name), now, t->count);
	if (t->assigned && t->assignment_count != (size_t)(t->count - now))
		return refuse(t, a, ERR_INVALID_REPLICA_ASSIGNMENT,
			      "Attempted to add %" PRId32 " additional partition(s), but only %zu assignment(s) were "
			      "specified.",
			      t->count - now, t->assignment_count);
	if (t->count - now > MAX_ADDED)
		return refuse(t, a, ERR_POLICY_VIOLATION, TOO_MANY);
	return OK;
}

static enum err check_assigned(const struct image *i, struct add_partitions *t, size_t replicas, struct arena *a)
{
	struct buf message;
	enum err e = OK;

	buf_init(&message, MAX_MESSAGE);
	for (size_t k = 0; k < t->assignment_count && !e; k++) {
		const struct topic_assignment *as = &t->assignments[k];

		e = assignment_check(i, as->brokers, as->broker_count, &message);
		if (!e && as->broker_count != replicas) {
			buf_printf(&message,
				   "The manual partition assignment includes a partition with %zu replica(s), but this "
				   "is not consistent with previous partitions, which have %zu replica(s).",
				   as->broker_count, replicas);
			e = ERR_INVALID_REPLICA_ASSIGNMENT;
		}
	}
	if (e)
		refuse(t, a, e, "%.*s", BYTES_ARG(buf_bytes(&message)));
	buf_fini(&message);
	return e;
}

/* The ring of brokers by id, each new partition starting one further, as at the topic's creation. */
static void place(const struct image *i, int32_t first, size_t replicas, int32_t *ids, struct delta_partition *p,
		  uint32_t count)
{
	size_t brokers = image_broker_count(i);

	for (size_t k = 0; k < brokers + replicas; k++)
		ids[k] = image_broker_at(i, k % brokers)->id;
	for (uint32_t k = 0; k < count; k++)
		p[k].replicas = &ids[((size_t)first + k) % brokers];
}

enum err partitions_decide(const struct image *i, struct add_partitions *t, struct arena *a,
			   struct delta_record *ret_partitions)
{
	const struct image_topic *topic = image_topic_by_name(i, t->name);
	struct delta_partition *p;
	uint32_t added;
	size_t replicas;
	int32_t *ids;

	t->error = OK;
	t->message = bytes_null();
	if (!topic) {
		t->error = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		return t->error;
	}
	(void)image_replicas(&topic->partitions[0], &replicas);
	if (check_count(topic, t, a) || check_assigned(i, t, replicas, a))
		return t->error;
	if (replicas > image_broker_count(i))
		return refuse(t, a, ERR_INVALID_REPLICATION_FACTOR,
			      "Unable to replicate the partition %zu time(s): The target replication factor of %zu "
			      "cannot be reached because only %zu broker(s) are registered.",
			      replicas, replicas, image_broker_count(i));
	added = (uint32_t)(t->count - topic->partition_count);
	p = arena_alloc_array(a, added, sizeof(*p));
	ids = arena_alloc_array(a, image_broker_count(i) + replicas, sizeof(*ids));
	if (!p || !ids)
		return refuse(t, a, ERR_UNKNOWN_SERVER_ERROR, "The request is larger than this broker handles.");
	place(i, topic->partition_count, replicas, ids, p, added);
	for (uint32_t k = 0; k < added; k++) {
		if (t->assigned)
			p[k].replicas = t->assignments[k].brokers;
		p[k].leader = p[k].replicas[0];
		p[k].isr = p[k].replicas;
		p[k].replica_count = p[k].isr_count = (uint32_t)replicas;
	}
	*ret_partitions = (struct delta_record){.kind = DELTA_PARTITIONS,
						.topic_id = topic->id,
						.first_partition = topic->partition_count,
						.partitions = p,
						.partition_count = added};
	return OK;
}

/* --- the change -------------------------------------------------------------------------------------------------------- */

/* All partitions of the topic, for its node. ERR_NO_MEMORY. */
static enum err whole_topic(const struct image *i, const struct delta_record *added, struct arena *a,
			    struct delta_record *ret_topic)
{
	const struct image_topic *topic = image_topic_by_id(i, added->topic_id);
	size_t count = (size_t)topic->partition_count + added->partition_count;
	struct delta_partition *p = arena_alloc_array(a, count, sizeof(*p));

	if (!p)
		return ERR_NO_MEMORY;
	for (int32_t k = 0; k < topic->partition_count; k++) {
		size_t replicas;

		p[k].replicas = image_replicas(&topic->partitions[k], &replicas);
		p[k].replica_count = (uint32_t)replicas;
	}
	memcpy(&p[topic->partition_count], added->partitions, added->partition_count * sizeof(*p));
	*ret_topic = (struct delta_record){
		.kind = DELTA_TOPIC, .topic_id = added->topic_id, .partitions = p, .partition_count = (uint32_t)count};
	return OK;
}

static enum err write_await(struct fiber *self, struct controller *c, const struct add_partitions *t,
			    const struct delta_record *added, struct arena *plans)
{
	char path[LAYOUT_PATH_SIZE];
	struct metastore_op ops[] = {controller_fence(c),
				     {.kind = METASTORE_SET, .path = path, .version = METASTORE_ANY_VERSION}};
	struct delta_record topic;
	struct buf text;
	enum err e = whole_topic(c->image, added, plans, &topic);

	if (e)
		return e;
	snprintf(path, sizeof(path), "/brokers/topics/%.*s", BYTES_ARG(t->name));
	buf_init(&text, CONTROLLER_MAX_NODE);
	layout_put_topic(&text, &topic);
	ops[1].data = buf_bytes(&text);
	e = text.error ? ERR_TOO_BIG : controller_write_await(self, c, ops, countof(ops));
	buf_fini(&text);
	return e;
}

static void add_await(struct fiber *self, struct controller *c, struct add_partitions *t,
		      const struct create_partitions *r, int64_t *added_in_all)
{
	struct delta_record added;
	struct arena plans;
	struct buf delta;
	enum err e;

	arena_init(&plans, MAX_PLANS);
	e = partitions_decide(c->image, t, &plans, &added);
	t->message = arena_copy(r->arena, t->message);
	if (!e) {
		*added_in_all += added.partition_count;
		if (*added_in_all > MAX_ADDED)
			e = refuse(t, r->arena, ERR_POLICY_VIOLATION, TOO_MANY);
	}
	if (!e && !r->validate_only) {
		e = write_await(self, c, t, &added, &plans);
		if (!e) {
			buf_init(&delta, CONTROLLER_MAX_DELTA);
			delta_begin(&delta);
			delta_put(&delta, &added);
			controller_publish_await(self, c, &delta);
			buf_fini(&delta);
		} else {
			t->error = e == ERR_TOO_BIG ? ERR_INVALID_PARTITIONS : controller_store_error(e);
			t->message = bytes_str(
				e == ERR_TOO_BIG ? "The topic's description is larger than the metadata store keeps."
						 : err_text(e));
		}
	}
	arena_fini(&plans);
}

void controller_create_partitions_await(struct fiber *self, struct controller *c, struct create_partitions *r)
{
	struct bytes *names = mem_zalloc((r->count + 1) * sizeof(*names));
	int64_t added = 0;

	for (size_t i = 0; i < r->count; i++)
		names[i] = r->topics[i].name;
	controller_take_names_await(self, c, names, r->count);
	for (size_t i = 0; i < r->count; i++)
		add_await(self, c, &r->topics[i], r, &added);
	controller_give_names(c, names, r->count);
	mem_free(names);
}
