/* classic_protocol: what the members of a classic group have in common (classic.h): a protocol, topics. May call: the codec. */
#include <stdlib.h>

#include "base/alloc.h"
#include "group/classic.h"

static bool all_support(const struct classic_group *c, struct bytes name)
{
	for (size_t i = 0; i < c->protocol_count; i++)
		if (bytes_equal(c->protocols[i].name, name))
			return c->protocols[i].members == c->members.count;
	return c->members.count == 0;
}

bool classic_supports(const struct classic_group *c, struct bytes protocol_type,
		      const struct join_group_request_join_group_request_protocol *protocols, int32_t count)
{
	if (c->state == CLASSIC_EMPTY)
		return protocol_type.size > 0 && count > 0;
	if (bytes_is_null(c->protocol_type) || !bytes_equal(c->protocol_type, protocol_type))
		return false;
	for (int32_t i = 0; i < count; i++)
		if (all_support(c, protocols[i].name))
			return true;
	return false;
}

bool classic_same_protocols(const struct classic_member *m,
			    const struct join_group_request_join_group_request_protocol *protocols, int32_t count)
{
	if (m->protocol_count != (size_t)count)
		return false;
	for (size_t i = 0; i < m->protocol_count; i++)
		if (!bytes_equal(m->protocols[i].name, protocols[i].name) ||
		    !bytes_equal(m->protocols[i].metadata, protocols[i].metadata))
			return false;
	return true;
}

/* The first that it supports of those that all do. */
static struct bytes vote(const struct classic_group *c, const struct classic_member *m)
{
	for (size_t i = 0; i < m->protocol_count; i++)
		if (all_support(c, m->protocols[i].name))
			return m->protocols[i].name;
	must_not_reach();
}

struct bytes classic_select_protocol(const struct classic_group *c)
{
	size_t *votes = mem_zalloc(c->protocol_count * sizeof(*votes)), place = 0, best = 0;

	for (const struct classic_member *m; (m = classic_next(c, &place));) {
		struct bytes name = vote(c, m);

		for (size_t i = 0; i < c->protocol_count; i++)
			votes[i] += bytes_equal(c->protocols[i].name, name);
	}
	for (size_t i = 1; i < c->protocol_count; i++)
		if (votes[i] > votes[best])
			best = i;
	mem_free(votes);
	return c->protocols[best].name;
}

struct bytes classic_metadata(const struct classic_member *m, struct bytes protocol)
{
	for (size_t i = 0; i < m->protocol_count; i++)
		if (bytes_equal(m->protocols[i].name, protocol))
			return m->protocols[i].metadata;
	return bytes_null();
}

/* --- topics ---------------------------------------------------------------------------------------------------------- */

static int order_of(const void *a, const void *b)
{
	return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

struct topic_set {
	struct bytes *topics; /* point into the members' metadata */
	size_t count;
	size_t capacity;
};

/* What comes after the topics differs by version; the topics are where version 0 has them. False when it does not parse. */
static bool add_topics(struct topic_set *set, struct bytes metadata)
{
	struct reader r = reader_of(metadata);
	int32_t count, user_data_size;

	(void)reader_i16(&r);
	count = reader_i32(&r);
	for (int32_t i = 0; i < count && !r.error; i++) {
		int16_t size = reader_i16(&r);

		if (size < 0)
			return false;
		set->topics = mem_grow(set->topics, &set->capacity, set->count + 1, sizeof(*set->topics));
		set->topics[set->count++] = reader_bytes(&r, (size_t)size);
	}
	user_data_size = reader_i32(&r);
	if (user_data_size > 0)
		reader_skip(&r, (size_t)user_data_size);
	return !r.error && count >= 0;
}

static void keep_topics(struct classic_group *c, struct topic_set *set)
{
	size_t kept = 0, size = 1;
	uint8_t *at;

	if (set->count)
		qsort(set->topics, set->count, sizeof(*set->topics), order_of);
	for (size_t i = 0; i < set->count; i++)
		if (i == 0 || !bytes_equal(set->topics[i], set->topics[kept - 1]))
			set->topics[kept++] = set->topics[i];
	for (size_t i = 0; i < kept; i++)
		size += set->topics[i].size;
	c->subscribed = mem_alloc(kept * sizeof(*c->subscribed) + size);
	c->subscribed_count = kept;
	at = (uint8_t *)(c->subscribed + kept);
	for (size_t i = 0; i < kept; i++) {
		if (set->topics[i].size)
			memcpy(at, set->topics[i].data, set->topics[i].size);
		c->subscribed[i] = bytes_of(at, set->topics[i].size);
		at += set->topics[i].size;
	}
}

static bool are_consumers(const struct classic_group *c)
{
	return !bytes_is_null(c->protocol_type) && bytes_equal_str(c->protocol_type, "consumer");
}

void classic_update_subscribed(struct classic_group *c)
{
	struct topic_set set = {0};
	size_t place = 0;

	mem_free(c->subscribed);
	c->subscribed = NULL;
	c->subscribed_count = 0;
	c->subscribed_known = are_consumers(c) && (c->members.count == 0 || !bytes_is_null(c->protocol_name));
	if (!c->subscribed_known)
		return;
	for (const struct classic_member *m; c->subscribed_known && (m = classic_next(c, &place));)
		c->subscribed_known = add_topics(&set, classic_metadata(m, c->protocol_name));
	if (c->subscribed_known)
		keep_topics(c, &set);
	mem_free(set.topics);
}

bool classic_subscribed(const struct group *g, struct bytes topic)
{
	const struct classic_group *c = g->classic;

	if (!c->subscribed_known)
		return are_consumers(c);
	return c->subscribed_count &&
	       bsearch(&topic, c->subscribed, c->subscribed_count, sizeof(*c->subscribed), order_of);
}
