/*
 * offset_commit: OffsetCommit 2-10. Topics and partitions that are not there are refused here, the rest is the group's. May call: the image,
 * coordinate.h, group/group.h.
 *
 * The answer's order is Kafka's: topics as they were first refused, each with its refused partitions before its others; then those of which
 * nothing was refused.
 */
#include "base/map.h"
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"

#define IDS_FROM 10 /* topics have ids, no names */

/* What the request says of one topic, however often it names it. */
struct named_topic {
	struct offset_commit_response_offset_commit_response_topic *answer; /* NULL: nothing of it was refused */
	size_t most;                                                        /* partitions */
};

struct offset_commit {
	struct coordination coordination;
	struct coordinated part;
	struct offset_commit_call group;
	struct offset_commit_request request; /* of the client's what is there */
	struct offset_commit_response response;
	struct map named; /* name, or id -> struct named_topic */
};

static struct bytes key_of(const struct request *rq, const struct bytes *name, const struct uuid *id)
{
	return rq->header.api_version >= IDS_FROM ? bytes_of(id->bytes, sizeof(id->bytes)) : *name;
}

/* --- taking the request; false, here and below: it was closed ----------------------------------------------------------- */

static bool count_topic(struct request *rq, const struct offset_commit_request_offset_commit_request_topic *asked)
{
	struct offset_commit *o = rq->state;
	struct bytes key = key_of(rq, &asked->name, &asked->topic_id);
	struct named_topic *n = map_get(&o->named, key);

	if (!n) {
		n = told_alloc(rq, 1, sizeof(*n));
		if (!n)
			return false;
		(void)map_put(&o->named, key, n);
	}
	n->most += (size_t)asked->partitions_count;
	return true;
}

/* The topic's place in the answer; NULL: the request was closed. */
static struct offset_commit_response_offset_commit_response_topic *
refused(struct request *rq, const struct offset_commit_request_offset_commit_request_topic *asked)
{
	struct offset_commit *o = rq->state;
	struct named_topic *n = map_get(&o->named, key_of(rq, &asked->name, &asked->topic_id));

	if (n->answer)
		return n->answer;
	n->answer = &o->response.topics[o->response.topics_count++];
	n->answer->name = asked->name;
	n->answer->topic_id = asked->topic_id;
	n->answer->partitions = told_alloc(rq, n->most, sizeof(*n->answer->partitions));
	return n->answer->partitions ? n->answer : NULL;
}

static bool refuse(struct request *rq, const struct offset_commit_request_offset_commit_request_topic *asked,
		   int32_t partition, enum err why)
{
	struct offset_commit_response_offset_commit_response_topic *t = refused(rq, asked);

	if (!t)
		return false;
	t->partitions[t->partitions_count++] = (struct offset_commit_response_offset_commit_response_partition){
		partition, (int16_t)why};
	return true;
}

static enum err find_topic(const struct request *rq,
			   const struct offset_commit_request_offset_commit_request_topic *asked,
			   const struct image_topic **ret_topic)
{
	const struct image *image = rq->broker->image;

	if (rq->header.api_version >= IDS_FROM) {
		*ret_topic = image_topic_by_id(image, asked->topic_id);
		return *ret_topic ? OK : ERR_UNKNOWN_TOPIC_ID;
	}
	*ret_topic = image_topic_by_name(image, asked->name);
	return *ret_topic ? OK : ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static bool take_topic(struct request *rq, const struct offset_commit_request_offset_commit_request_topic *asked)
{
	struct offset_commit *o = rq->state;
	const struct image_topic *topic;
	enum err missing = find_topic(rq, asked, &topic);
	struct offset_commit_request_offset_commit_request_topic taken = *asked;

	taken.partitions_count = 0;
	taken.partitions = told_alloc(rq, (size_t)asked->partitions_count, sizeof(*taken.partitions));
	if (!taken.partitions)
		return false;
	if (missing && !refused(rq, asked)) /* told also where no partition of it was named */
		return false;
	for (int32_t i = 0; i < asked->partitions_count; i++) {
		int32_t partition = asked->partitions[i].partition_index;
		enum err e = missing;

		if (!e && !image_partition(topic, partition))
			e = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		if (!e)
			taken.partitions[taken.partitions_count++] = asked->partitions[i];
		else if (!refuse(rq, asked, partition, e))
			return false;
	}
	if (taken.partitions_count == 0)
		return true;
	/* The image may be another one when the group is asked. */
	taken.name = arena_copy(&rq->arena, topic->name);
	if (bytes_is_null(taken.name)) {
		request_close(rq, "the answer is too large");
		return false;
	}
	o->request.topics[o->request.topics_count++] = taken;
	return true;
}

static bool take_request(struct request *rq)
{
	const struct offset_commit_request *body = rq->body;
	struct offset_commit *o = rq->state;

	o->request = *body;
	o->request.topics_count = 0;
	o->request.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*o->request.topics));
	if (!o->request.topics)
		return false;
	/* Those that were refused, and those that were not. */
	o->response.topics = told_alloc(rq, (size_t)body->topics_count, 2 * sizeof(*o->response.topics));
	if (!o->response.topics)
		return false;
	for (int32_t i = 0; i < body->topics_count; i++)
		if (!count_topic(rq, &body->topics[i]))
			return false;
	for (int32_t i = 0; i < body->topics_count; i++)
		if (!take_topic(rq, &body->topics[i]))
			return false;
	return true;
}

/* --- the answer --------------------------------------------------------------------------------------------------------- */

static void merge(struct request *rq, const struct offset_commit_response_offset_commit_response_topic *from)
{
	struct offset_commit *o = rq->state;
	struct named_topic *n = map_get(&o->named, key_of(rq, &from->name, &from->topic_id));

	if (!n->answer) {
		o->response.topics[o->response.topics_count++] = *from;
		return;
	}
	memcpy(n->answer->partitions + n->answer->partitions_count, from->partitions,
	       (size_t)from->partitions_count * sizeof(*from->partitions));
	n->answer->partitions_count += from->partitions_count;
}

static void run_commit(void *state, struct step *out, struct coordinator_call *c)
{
	group_offset_commit(state, out, container_of(c, struct offset_commit_call, call));
}

static void commit_over(struct request *rq)
{
	struct offset_commit *o = rq->state;
	bool told = !o->group.call.error || group_offset_commit_refuse(&o->group, o->group.call.error);

	for (int32_t i = 0; told && i < o->group.response.topics_count; i++)
		merge(rq, &o->group.response.topics[i]);
	map_fini(&o->named);
	if (told)
		request_reply(rq, &o->response);
	else
		request_close(rq, "the answer is too large");
}

static void ask_group(struct request *rq)
{
	struct offset_commit *o = rq->state;

	coordination_init(&o->coordination, rq, commit_over);
	if (o->request.topics_count > 0) {
		o->part = (struct coordinated){.call = &o->group.call, .run = run_commit};
		o->group.request = &o->request;
		o->group.version = rq->header.api_version;
		o->group.client = told_group_client(rq);
		coordination_add(&o->coordination, &o->part, INTERNAL_GROUPS, o->request.group_id);
		o->group.arena = o->part.arena;
	}
	coordination_go(&o->coordination);
}

static void offset_commit_begin(struct request *rq)
{
	struct offset_commit *o = told_alloc(rq, 1, sizeof(*o));

	if (!o)
		return;
	rq->state = o;
	message_init(&offset_commit_response_type, &o->response);
	map_init_seeded(&o->named, shard_map_seed(rq->shard));
	if (take_request(rq))
		ask_group(rq);
	else
		map_fini(&o->named);
}

const struct api_handler offset_commit_handler = {
	.key = API_OFFSET_COMMIT,
	.min_version = 2,
	.max_version = 10,
	.begin = offset_commit_begin,
};
