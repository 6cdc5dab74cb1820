/*
 * offset_delete: OffsetDelete 0. Topics and partitions that are not there are refused here, the rest is the group's, which is asked also when
 * nothing is left. May call: the image, coordinate.h, group/group.h.
 *
 * The answer's order is Kafka's, as in offset_commit.c.
 */
#include "base/map.h"
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"

struct named_topic {
	struct offset_delete_response_offset_delete_response_topic *answer; /* NULL: nothing of it was refused */
	size_t most;                                                        /* partitions */
};

struct offset_delete {
	struct coordination coordination;
	struct coordinated part;
	struct offset_delete_call group;
	struct offset_delete_request request; /* of the client's what is there */
	struct offset_delete_response response;
	struct map named; /* name -> struct named_topic */
};

/* --- taking the request; false, here and below: it was closed ----------------------------------------------------------- */

static bool count_topic(struct request *rq, const struct offset_delete_request_offset_delete_request_topic *asked)
{
	struct offset_delete *o = rq->state;
	struct named_topic *n = map_get(&o->named, asked->name);

	if (!n) {
		n = told_alloc(rq, 1, sizeof(*n));
		if (!n)
			return false;
		(void)map_put(&o->named, asked->name, n);
	}
	n->most += (size_t)asked->partitions_count;
	return true;
}

/* The topic's place in the answer; NULL: the request was closed. */
static struct offset_delete_response_offset_delete_response_topic *
refused(struct request *rq, const struct offset_delete_request_offset_delete_request_topic *asked)
{
	struct offset_delete *o = rq->state;
	struct named_topic *n = map_get(&o->named, asked->name);

	if (n->answer)
		return n->answer;
	n->answer = &o->response.topics[o->response.topics_count++];
	n->answer->name = asked->name;
	n->answer->partitions = told_alloc(rq, n->most, sizeof(*n->answer->partitions));
	return n->answer->partitions ? n->answer : NULL;
}

static bool refuse(struct request *rq, const struct offset_delete_request_offset_delete_request_topic *asked,
		   int32_t partition)
{
	struct offset_delete_response_offset_delete_response_topic *t = refused(rq, asked);

	if (!t)
		return false;
	t->partitions[t->partitions_count++] = (struct offset_delete_response_offset_delete_response_partition){
		partition, ERR_UNKNOWN_TOPIC_OR_PARTITION};
	return true;
}

static bool take_topic(struct request *rq, const struct offset_delete_request_offset_delete_request_topic *asked)
{
	struct offset_delete *o = rq->state;
	const struct image_topic *topic = image_topic_by_name(rq->broker->image, asked->name);
	struct offset_delete_request_offset_delete_request_topic taken = *asked;

	taken.partitions_count = 0;
	taken.partitions = told_alloc(rq, (size_t)asked->partitions_count, sizeof(*taken.partitions));
	if (!taken.partitions)
		return false;
	if (!topic && !refused(rq, asked)) /* told also where no partition of it was named */
		return false;
	for (int32_t i = 0; i < asked->partitions_count; i++) {
		if (topic && image_partition(topic, asked->partitions[i].partition_index))
			taken.partitions[taken.partitions_count++] = asked->partitions[i];
		else if (!refuse(rq, asked, asked->partitions[i].partition_index))
			return false;
	}
	if (taken.partitions_count > 0)
		o->request.topics[o->request.topics_count++] = taken;
	return true;
}

static bool take_request(struct request *rq)
{
	const struct offset_delete_request *body = rq->body;
	struct offset_delete *o = rq->state;

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

static void merge(struct offset_delete *o, const struct offset_delete_response_offset_delete_response_topic *from)
{
	struct named_topic *n = map_get(&o->named, from->name);

	if (!n->answer) {
		o->response.topics[o->response.topics_count++] = *from;
		return;
	}
	memcpy(n->answer->partitions + n->answer->partitions_count, from->partitions,
	       (size_t)from->partitions_count * sizeof(*from->partitions));
	n->answer->partitions_count += from->partitions_count;
}

static void run_delete(void *state, struct step *out, struct coordinator_call *c)
{
	group_offset_delete(state, out, container_of(c, struct offset_delete_call, call));
}

/* An error of the whole leaves no topics in the answer. */
static void delete_over(struct request *rq)
{
	struct offset_delete *o = rq->state;

	if (o->group.call.error)
		group_offset_delete_refuse(&o->group, o->group.call.error);
	for (int32_t i = 0; i < o->group.response.topics_count; i++)
		merge(o, &o->group.response.topics[i]);
	if (o->group.response.error_code)
		o->response.topics_count = 0;
	o->response.error_code = o->group.response.error_code;
	map_fini(&o->named);
	request_reply(rq, &o->response);
}

static void offset_delete_begin(struct request *rq)
{
	const struct offset_delete_request *body = rq->body;
	struct offset_delete *o = told_alloc(rq, 1, sizeof(*o));

	if (!o)
		return;
	rq->state = o;
	message_init(&offset_delete_response_type, &o->response);
	map_init_seeded(&o->named, shard_map_seed(rq->shard));
	if (!take_request(rq)) {
		map_fini(&o->named);
		return;
	}
	coordination_init(&o->coordination, rq, delete_over);
	o->part = (struct coordinated){.call = &o->group.call, .run = run_delete};
	o->group.request = &o->request;
	if (body->group_id.size == 0) {
		o->group.arena = &rq->arena;
		o->group.call.error = ERR_INVALID_GROUP_ID;
		delete_over(rq);
		return;
	}
	coordination_add(&o->coordination, &o->part, INTERNAL_GROUPS, body->group_id);
	o->group.arena = o->part.arena;
	coordination_go(&o->coordination);
}

const struct api_handler offset_delete_handler = {
	.key = API_OFFSET_DELETE,
	.min_version = 0,
	.max_version = 0,
	.begin = offset_delete_begin,
};
