/* assign: names, and what members say to each other. See the header. */
#include "client/assign.h"

#include "base/reader.h"
#include "client/assign_own.h"
#include "protocol/codec.h"

#define SUBSCRIPTION_NEWEST 3
#define ASSIGNMENT_NEWEST 3
#define PAYLOAD_MAX ((size_t)64 * 1024 * 1024)
#define NO_GENERATION (-1)

static const char *const names[ASSIGNOR_COUNT] = {
	[ASSIGNOR_RANGE] = "range",
	[ASSIGNOR_ROUNDROBIN] = "roundrobin",
	[ASSIGNOR_STICKY] = "sticky",
	[ASSIGNOR_COOPERATIVE_STICKY] = "cooperative-sticky",
};

const char *assignor_name(enum assignor a)
{
	return names[a];
}

bool assignor_find(struct bytes name, enum assignor *ret_assignor)
{
	for (int i = 0; i < ASSIGNOR_COUNT; i++) {
		if (bytes_equal_str(name, names[i])) {
			*ret_assignor = (enum assignor)i;
			return true;
		}
	}
	return false;
}

bool assignor_is_cooperative(enum assignor a)
{
	return a == ASSIGNOR_COOPERATIVE_STICKY;
}

/* --- payloads ---------------------------------------------------------------------------------------------------- */

static enum err payload_decode(const struct message_type *type, int16_t newest, struct bytes payload, struct arena *a,
			       void *ret)
{
	struct reader r = reader_of(payload);
	int16_t version = reader_i16(&r);

	if (r.error)
		return r.error;
	if (version < 0)
		return ERR_BAD_VERSION;
	return message_decode(type, version < newest ? version : newest, &r, a, ret);
}

enum err subscription_decode(struct bytes metadata, struct arena *a, struct consumer_protocol_subscription *ret)
{
	return payload_decode(&consumer_protocol_subscription_type, SUBSCRIPTION_NEWEST, metadata, a, ret);
}

enum err assignment_decode(struct bytes bytes, struct arena *a, struct consumer_protocol_assignment *ret)
{
	return payload_decode(&consumer_protocol_assignment_type, ASSIGNMENT_NEWEST, bytes, a, ret);
}

enum err subscription_encode(const struct consumer_protocol_subscription *s, struct buf *out)
{
	buf_put_i16(out, SUBSCRIPTION_NEWEST);
	return out->error ? out->error
			  : message_encode(&consumer_protocol_subscription_type, SUBSCRIPTION_NEWEST, s, out);
}

enum err assignment_encode(const struct consumer_protocol_assignment *assignment, struct buf *out)
{
	buf_put_i16(out, ASSIGNMENT_NEWEST);
	return out->error ? out->error
			  : message_encode(&consumer_protocol_assignment_type, ASSIGNMENT_NEWEST, assignment, out);
}

/* --- user data --------------------------------------------------------------------------------------------------- */

static void put_sticky_user_data(struct buf *b, const struct consumer_protocol_assignment *last, int32_t generation)
{
	buf_put_i32(b, last->assigned_partitions_count);
	for (int32_t i = 0; i < last->assigned_partitions_count; i++) {
		const struct consumer_protocol_assignment_topic_partition *t = &last->assigned_partitions[i];

		buf_put_i16(b, (int16_t)t->topic.size);
		buf_put_bytes(b, t->topic);
		buf_put_i32(b, t->partitions_count);
		for (int32_t k = 0; k < t->partitions_count; k++)
			buf_put_i32(b, t->partitions[k]);
	}
	buf_put_i32(b, generation);
}

enum err assignor_user_data(enum assignor how, const struct consumer_protocol_assignment *last, int32_t generation,
			    struct arena *a, struct bytes *ret_user_data)
{
	struct bytes copy = bytes_null();
	struct buf b;
	enum err e;

	buf_init(&b, PAYLOAD_MAX);
	if (how == ASSIGNOR_STICKY && last)
		put_sticky_user_data(&b, last, generation);
	if (how == ASSIGNOR_COOPERATIVE_STICKY)
		buf_put_i32(&b, generation);
	e = b.error;
	if (!e && b.size > 0) {
		copy = arena_copy(a, buf_bytes(&b));
		e = bytes_is_null(copy) ? ERR_NO_MEMORY : OK;
	}
	buf_fini(&b);
	if (!e)
		*ret_user_data = copy;
	return e;
}

/*
 * previous_assignment of sticky's user data: array of (string topic, array of int32). A count is believed only as far as bytes are there
 * for it: the least that a topic takes is 6 bytes.
 */
static enum err read_previous(struct reader *r, struct arena *a, struct assign_owned *ret)
{
	struct consumer_protocol_subscription_topic_partition *topics;
	int32_t count = reader_i32(r);

	if (r->error || count < 0 || (size_t)count > reader_left(r) / 6)
		return ERR_MALFORMED;
	topics = arena_alloc_array(a, (size_t)count + 1, sizeof(*topics));
	if (!topics)
		return ERR_NO_MEMORY;
	for (int32_t i = 0; i < count; i++) {
		int16_t size = reader_i16(r);
		int32_t partitions;

		if (size < 0)
			return ERR_MALFORMED;
		topics[i].topic = reader_bytes(r, (size_t)size);
		partitions = reader_i32(r);
		if (r->error || partitions < 0 || (size_t)partitions > reader_left(r) / 4)
			return ERR_MALFORMED;
		topics[i].partitions = arena_alloc_array(a, (size_t)partitions + 1, sizeof(int32_t));
		if (!topics[i].partitions)
			return ERR_NO_MEMORY;
		for (int32_t k = 0; k < partitions; k++)
			topics[i].partitions[k] = reader_i32(r);
		topics[i].partitions_count = partitions;
	}
	*ret = (struct assign_owned){.partitions = topics, .count = count};
	return OK;
}

static bool sticky_owned(struct bytes user_data, struct arena *a, struct assign_owned *ret)
{
	struct assign_owned owned = {0};
	struct reader r = reader_of(user_data);
	enum err e;

	if (user_data.size == 0) {
		*ret = owned;
		return true;
	}
	e = read_previous(&r, a, &owned);
	if (e == ERR_NO_MEMORY)
		return false;
	if (e) {
		*ret = (struct assign_owned){.has_generation = true, .generation = NO_GENERATION};
		return true;
	}
	/* Version 0 ended here. */
	if (reader_left(&r) >= 4) {
		owned.has_generation = true;
		owned.generation = reader_i32(&r);
	}
	*ret = owned;
	return true;
}

bool assignor_owned(enum assignor how, const struct consumer_protocol_subscription *s, struct arena *a,
		    struct assign_owned *ret)
{
	struct reader r = reader_of(s->user_data);

	/* Eager members have given up all that they owned when they join: what they had is only in what they remember. */
	if (how == ASSIGNOR_STICKY)
		return sticky_owned(s->user_data, a, ret);
	*ret = (struct assign_owned){.partitions = s->owned_partitions, .count = s->owned_partitions_count};
	if (s->generation_id >= 0) {
		ret->has_generation = true;
		ret->generation = s->generation_id;
	} else if (!bytes_is_null(s->user_data)) {
		int32_t generation = reader_i32(&r);

		ret->has_generation = true;
		ret->generation = r.error ? NO_GENERATION : generation;
	}
	return true;
}
