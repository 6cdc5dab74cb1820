/* topics: see the header. */
#include "controller/topics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/map.h"
#include "controller/layout.h"

#define MAX_MESSAGE 2000

enum err topic_refuse(struct create_topic *t, struct arena *a, enum err e, const char *format, ...)
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

static bool is_legal(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

enum err topic_name_check(struct bytes name, struct buf *message)
{
	static const char start[] = "Topic name is invalid:";
	size_t at = 0;

	if (name.size == 0) {
		buf_printf(message, "%s the empty string is not allowed", start);
		return ERR_INVALID_TOPIC_EXCEPTION;
	}
	if (bytes_equal_str(name, ".") || bytes_equal_str(name, "..")) {
		buf_printf(message, "%s '%.*s' is not allowed", start, BYTES_ARG(name));
		return ERR_INVALID_TOPIC_EXCEPTION;
	}
	if (name.size > TOPICS_MAX_NAME) {
		buf_printf(message, "%s the length of '%.*s' is longer than the max allowed length %d", start,
			   BYTES_ARG(name), TOPICS_MAX_NAME);
		return ERR_INVALID_TOPIC_EXCEPTION;
	}
	while (at < name.size && is_legal(name.data[at]))
		at++;
	if (at < name.size) {
		buf_printf(message,
			   "%s '%.*s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
			   start, BYTES_ARG(name));
		return ERR_INVALID_TOPIC_EXCEPTION;
	}
	return OK;
}

void topics_check_request(const struct config *c, struct create_topics *r)
{
	int64_t partitions = 0;
	struct map first;

	map_init_seeded(&first, r->seed);
	for (size_t i = 0; i < r->count; i++) {
		struct create_topic *t = &r->topics[i], *earlier;

		t->error = OK;
		t->message = bytes_null();
		t->topic_id = (struct uuid){0};
		t->ret_partitions = t->ret_replication_factor = -1;
		t->repeated = false;
		if (t->assignment_count)
			partitions += (int64_t)t->assignment_count;
		else if (t->partitions > 0)
			partitions += t->partitions;
		else
			partitions += config_int32(c, CONFIG_NUM_PARTITIONS);
		earlier = map_get(&first, t->name);
		if (!earlier) {
			map_put(&first, t->name, t);
			continue;
		}
		t->repeated = true;
		topic_refuse(t, r->arena, ERR_INVALID_REQUEST, "Duplicate topic name.");
		if (!earlier->error)
			topic_refuse(earlier, r->arena, ERR_INVALID_REQUEST, "Duplicate topic name.");
	}
	map_fini(&first);
	if (partitions <= TOPICS_MAX_PARTITIONS_PER_REQUEST)
		return;
	for (size_t i = 0; i < r->count; i++)
		topic_refuse(&r->topics[i], r->arena, ERR_POLICY_VIOLATION,
			     "Excessively large number of partitions per request.");
}

static bool is_registered(const struct image *i, int32_t broker)
{
	return image_broker_by_id(i, broker) != NULL;
}

enum err assignment_check(const struct image *i, const int32_t *brokers, size_t count, struct buf *message)
{
	static const char start[] = "The manual partition assignment includes";

	if (count == 0)
		buf_printf(message, "%s an empty replica list.", start);
	else if (count > DELTA_MAX_REPLICAS)
		buf_printf(message, "%s too many replicas.", start);
	for (size_t k = 0; k < count && message->size == 0; k++)
		for (size_t m = 0; m < k; m++)
			if (brokers[k] == brokers[m]) {
				buf_printf(message, "%s the broker %" PRId32 " more than once.", start, brokers[k]);
				return ERR_INVALID_REPLICA_ASSIGNMENT;
			}
	for (size_t k = 0; k < count && message->size == 0; k++)
		if (!is_registered(i, brokers[k]))
			buf_printf(message, "%s broker %" PRId32 ", but no such broker is registered.", start,
				   brokers[k]);
	return message->size ? ERR_INVALID_REPLICA_ASSIGNMENT : OK;
}

static enum err check_assigned(const struct image *i, const struct topic_assignment *as, struct create_topic *t,
			       struct arena *a)
{
	struct buf message;
	enum err e;

	buf_init(&message, MAX_MESSAGE);
	e = assignment_check(i, as->brokers, as->broker_count, &message);
	if (e)
		topic_refuse(t, a, e, "%.*s", BYTES_ARG(buf_bytes(&message)));
	buf_fini(&message);
	return e;
}

static void partition_init(struct delta_partition *p, const int32_t *replicas, uint32_t count)
{
	*p = (struct delta_partition){.leader = replicas[0],
				      .replicas = replicas,
				      .replica_count = count,
				      .isr = replicas,
				      .isr_count = count};
}

static enum err full(struct create_topic *t, struct arena *a)
{
	return topic_refuse(t, a, ERR_UNKNOWN_SERVER_ERROR, "The request is larger than this broker handles.");
}

static enum err place_as_told(const struct image *i, struct create_topic *t, struct arena *a,
			      struct delta_record *ret_topic)
{
	size_t count = t->assignment_count;
	struct delta_partition *p = arena_alloc_array(a, count, sizeof(*p));

	if (t->replication_factor != -1)
		return topic_refuse(
			t, a, ERR_INVALID_REQUEST,
			"A manual partition assignment was specified, but replication factor was not set to -1.");
	if (t->partitions != -1)
		return topic_refuse(
			t, a, ERR_INVALID_REQUEST,
			"A manual partition assignment was specified, but numPartitions was not set to -1.");
	if (!p)
		return full(t, a);
	/* One that is out of range leaves a gap elsewhere. */
	for (size_t k = 0; k < count; k++) {
		const struct topic_assignment *as = &t->assignments[k];
		bool in_range = as->partition >= 0 && (size_t)as->partition < count;
		enum err e;

		if (in_range && p[as->partition].replicas)
			return topic_refuse(t, a, ERR_INVALID_REPLICA_ASSIGNMENT,
					    "Found multiple manual partition assignments for partition %" PRId32,
					    as->partition);
		e = check_assigned(i, as, t, a);
		if (e)
			return e;
		if (in_range)
			partition_init(&p[as->partition], as->brokers, (uint32_t)as->broker_count);
	}
	for (size_t k = 0; k < count; k++)
		if (!p[k].replicas)
			return topic_refuse(t, a, ERR_INVALID_REPLICA_ASSIGNMENT,
					    "partitions should be a consecutive 0-based integer sequence");
	ret_topic->partitions = p;
	ret_topic->partition_count = (uint32_t)count;
	return OK;
}

/* Round the brokers, by id, each partition starting one further. */
static enum err place_freely(const struct image *i, const struct config *c, struct create_topic *t, struct arena *a,
			     struct delta_record *ret_topic)
{
	int32_t replicas = t->replication_factor == -1 ? config_int32(c, CONFIG_DEFAULT_REPLICATION_FACTOR)
						       : t->replication_factor;
	int32_t partitions = t->partitions == -1 ? config_int32(c, CONFIG_NUM_PARTITIONS) : t->partitions;
	size_t brokers = image_broker_count(i);
	struct delta_partition *p;
	int32_t *ids;

	if (replicas < 1)
		return topic_refuse(t, a, ERR_INVALID_REPLICATION_FACTOR,
				    "Replication factor must be larger than 0, or -1 to use the default value.");
	if (partitions < 1)
		return topic_refuse(t, a, ERR_INVALID_PARTITIONS,
				    "Number of partitions was set to an invalid non-positive value.");
	if ((size_t)replicas > brokers)
		return topic_refuse(
			t, a, ERR_INVALID_REPLICATION_FACTOR,
			"Unable to replicate the partition %" PRId32
			" time(s): The target replication factor of %" PRId32
			" cannot be reached because only %zu broker(s) are registered or some brokers have all their "
			"log directories cordoned.",
			replicas, replicas, brokers);
	p = arena_alloc_array(a, (size_t)partitions, sizeof(*p));
	ids = arena_alloc_array(a, brokers + (size_t)replicas, sizeof(*ids));
	if (!p || !ids)
		return full(t, a);
	/* The ring of brokers, long enough that any run of `replicas` from any start is in it. */
	for (size_t k = 0; k < brokers + (size_t)replicas; k++)
		ids[k] = image_broker_at(i, k % brokers)->id;
	for (int32_t k = 0; k < partitions; k++)
		partition_init(&p[k], &ids[(size_t)k % brokers], (uint32_t)replicas);
	ret_topic->partitions = p;
	ret_topic->partition_count = (uint32_t)partitions;
	return OK;
}

static enum err check_name(const struct image *i, struct create_topic *t, struct arena *a)
{
	const struct image_topic *other;
	struct buf message;
	enum err e;

	if (bytes_equal_str(t->name, "__cluster_metadata"))
		return topic_refuse(t, a, ERR_INVALID_REQUEST, "Creation of internal topic %.*s is prohibited.",
				    BYTES_ARG(t->name));
	buf_init(&message, MAX_MESSAGE);
	e = topic_name_check(t->name, &message);
	if (e)
		topic_refuse(t, a, e, "%.*s", BYTES_ARG(buf_bytes(&message)));
	buf_fini(&message);
	if (e)
		return e;
	if (image_topic_by_name(i, t->name))
		return topic_refuse(t, a, ERR_TOPIC_ALREADY_EXISTS, "Topic '%.*s' already exists.", BYTES_ARG(t->name));
	other = image_topic_colliding(i, t->name);
	if (other)
		return topic_refuse(t, a, ERR_INVALID_TOPIC_EXCEPTION,
				    "Topic '%.*s' collides with existing topic: %.*s", BYTES_ARG(t->name),
				    BYTES_ARG(other->name));
	return OK;
}

static enum err check_configs(const struct config *c, struct create_topic *t, struct arena *a)
{
	struct buf message;
	enum err e;

	buf_init(&message, MAX_MESSAGE);
	e = topic_config_validate(c, t->configs, t->config_count, &message);
	if (e)
		topic_refuse(t, a, e, "%.*s", BYTES_ARG(buf_bytes(&message)));
	buf_fini(&message);
	return e;
}

enum err topics_decide(const struct image *i, const struct config *c, struct create_topic *t, struct arena *a,
		       struct delta_record *ret_topic)
{
	struct delta_record topic = {.kind = DELTA_TOPIC, .name = t->name};
	enum err e = check_name(i, t, a);

	if (!e)
		e = check_configs(c, t, a);
	if (!e)
		e = t->assignment_count ? place_as_told(i, t, a, &topic) : place_freely(i, c, t, a, &topic);
	if (e)
		return e;
	topic.internal = t->internal || layout_is_internal(t->name);
	topic.configs = t->configs;
	topic.config_count = (uint32_t)t->config_count;
	t->ret_partitions = (int32_t)topic.partition_count;
	t->ret_replication_factor = (int16_t)topic.partitions[0].replica_count;
	*ret_topic = topic;
	return OK;
}
