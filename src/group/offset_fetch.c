/* offset_fetch: OffsetFetch: what a group has committed. Calls offsets.h and what the group's kind says of who asks. */
#include "group/request.h"

/* As generated; their names are longer than a line has room for. */
#define FETCHED_TOPIC struct offset_fetch_response_offset_fetch_response_topics
#define FETCHED_PARTITION struct offset_fetch_response_offset_fetch_response_partitions

static void begin_answer(struct offset_fetch_call *c)
{
	struct_init(&offset_fetch_response_offset_fetch_response_group_struct, &c->response);
	c->response.group_id = c->request->group_id;
}

void group_offset_fetch_refuse(struct offset_fetch_call *c, enum err why)
{
	begin_answer(c);
	c->response.error_code = err_to_kafka(why);
}

/* With room for its partitions, each without an offset. */
static bool begin_topic(struct offset_fetch_call *c, FETCHED_TOPIC *to, size_t partitions)
{
	to->partitions = struct_array_new(&offset_fetch_response_offset_fetch_response_partitions_struct, partitions,
					  c->arena);
	if (!to->partitions)
		return false;
	to->partitions_count = (int32_t)partitions;
	return true;
}

static bool tell(struct offset_fetch_call *c, FETCHED_PARTITION *to, const struct topic_offsets *t,
		 const struct committed_offset *committed)
{
	struct offset_value v = offset_value(t, committed);

	to->committed_offset = v.offset;
	to->committed_leader_epoch = v.leader_epoch;
	return copy_text(c->arena, v.metadata, &to->metadata);
}

static void tell_none(FETCHED_PARTITION *to, int32_t partition)
{
	to->partition_index = partition;
	to->committed_offset = -1;
	to->committed_leader_epoch = -1;
	to->metadata = bytes_empty();
}

/* Committed for another topic of that name, which is gone. */
static bool is_of_another(const struct topic_offsets *t, const struct committed_offset *committed, struct uuid asked)
{
	return committed->topic_id != 0 && !uuid_is_zero(asked) && !uuid_equal(t->ids[committed->topic_id - 1], asked);
}

static bool tell_partition(struct offset_fetch_call *c, const struct group *g, struct bytes topic, struct uuid topic_id,
			   int32_t partition, FETCHED_PARTITION *to)
{
	const struct topic_offsets *t = g ? offsets_of_topic(&g->offsets, topic) : NULL;
	const struct committed_offset *committed = t ? offsets_find(t, partition) : NULL;

	tell_none(to, partition);
	if (g && c->require_stable && offsets_pending(g, topic, partition)) {
		to->error_code = ERR_UNSTABLE_OFFSET_COMMIT;
		return true;
	}
	if (!committed || is_of_another(t, committed, topic_id))
		return true;
	return tell(c, to, t, committed);
}

/* The partitions that were asked for; of a group that is not there (NULL) without offsets. */
static bool fetch_asked(struct offset_fetch_call *c, const struct group *g)
{
	const struct offset_fetch_request_offset_fetch_request_group *r = c->request;
	FETCHED_TOPIC *topics = struct_array_new(&offset_fetch_response_offset_fetch_response_topics_struct,
						 (size_t)r->topics_count, c->arena);

	if (!topics)
		return false;
	for (int32_t i = 0; i < r->topics_count; i++) {
		const struct offset_fetch_request_offset_fetch_request_topics *from = &r->topics[i];

		topics[i].name = from->name;
		topics[i].topic_id = from->topic_id;
		if (!begin_topic(c, &topics[i], (size_t)from->partition_indexes_count))
			return false;
		for (int32_t p = 0; p < from->partition_indexes_count; p++)
			if (!tell_partition(c, g, from->name, from->topic_id, from->partition_indexes[p],
					    &topics[i].partitions[p]))
				return false;
	}
	c->response.topics = topics;
	c->response.topics_count = r->topics_count;
	return true;
}

static bool fetch_topic(struct offset_fetch_call *c, const struct group *g, const struct topic_offsets *t,
			FETCHED_TOPIC *to)
{
	if (!copy_text(c->arena, t->topic->name, &to->name) || !begin_topic(c, to, t->count))
		return false;
	for (size_t i = 0; i < t->count; i++)
		if (!tell_partition(c, g, t->topic->name, (struct uuid){0}, t->offsets[i].partition,
				    &to->partitions[i]))
			return false;
	return true;
}

static bool fetch_all(struct offset_fetch_call *c, const struct group *g)
{
	size_t count = g ? g->offsets.topic_count : 0;
	FETCHED_TOPIC *topics = struct_array_new(&offset_fetch_response_offset_fetch_response_topics_struct, count,
						 c->arena);

	if (!topics)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!fetch_topic(c, g, g->offsets.topics[i], &topics[i]))
			return false;
	c->response.topics = topics;
	c->response.topics_count = (int32_t)count;
	return true;
}

void group_offset_fetch(struct groups *all, struct step *s, struct offset_fetch_call *c)
{
	const struct offset_fetch_request_offset_fetch_request_group *r = c->request;
	struct group *g = groups_find(all, r->group_id);
	struct group_identity who = {
		.member_id = r->member_id,
		.instance_id = bytes_null(),
		.generation = r->member_epoch,
		.version = c->version,
	};
	enum err error = g ? g->kind->may_fetch(g, &who) : OK;

	begin_answer(c);
	c->response.error_code = err_to_kafka(error);
	if (!error && !(r->topics_count >= 0 ? fetch_asked(c, g) : fetch_all(c, g))) {
		answer_without_room(s, &c->call);
		return;
	}
	step_answer(s, &c->call);
}
