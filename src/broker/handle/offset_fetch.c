/*
 * offset_fetch: OffsetFetch 1-10: up to 7 one group, from 8 on several, each asked where it lives, all at once; from 10 on topics have ids. A topic that
 * is not there is no error where it has a name, as in Kafka. May call: the image, coordinate.h, group/group.h.
 */
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"

#define GROUPS_FROM 8
#define IDS_FROM 10
#define WHOLE_ERRORS_FROM 2 /* before, each partition has the group's error */

struct fetch_group_part {
	struct coordinated part;
	struct offset_fetch_call group;
	struct offset_fetch_request_offset_fetch_request_group request; /* as asked, without topics of unknown ids */
	struct offset_fetch_response_offset_fetch_response_topics *unknown;
	int32_t unknown_count;
};

struct offset_fetch {
	struct coordination coordination;
	struct offset_fetch_response response;
	struct fetch_group_part *parts;
	size_t count;
};

/* --- taking the request; false, here and below: it was closed ----------------------------------------------------------- */

static bool put_unknown(struct request *rq, struct fetch_group_part *p,
			const struct offset_fetch_request_offset_fetch_request_topics *asked)
{
	struct offset_fetch_response_offset_fetch_response_topics *t = &p->unknown[p->unknown_count++];

	t->topic_id = asked->topic_id;
	t->partitions = told_alloc(rq, (size_t)asked->partition_indexes_count, sizeof(*t->partitions));
	if (!t->partitions)
		return false;
	for (int32_t i = 0; i < asked->partition_indexes_count; i++)
		t->partitions[t->partitions_count++] = (struct offset_fetch_response_offset_fetch_response_partitions){
			.partition_index = asked->partition_indexes[i],
			.committed_offset = -1,
			.committed_leader_epoch = -1,
			.metadata = bytes_empty(),
			.error_code = ERR_UNKNOWN_TOPIC_ID,
		};
	return true;
}

/* Names of ids. */
static bool take_ids(struct request *rq, struct fetch_group_part *p,
		     const struct offset_fetch_request_offset_fetch_request_group *asked)
{
	size_t count = (size_t)asked->topics_count;

	p->request.topics_count = 0;
	p->request.topics = told_alloc(rq, count, sizeof(*p->request.topics));
	if (!p->request.topics)
		return false;
	p->unknown = told_alloc(rq, count, sizeof(*p->unknown));
	if (!p->unknown)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct image_topic *t = image_topic_by_id(rq->broker->image, asked->topics[i].topic_id);
		struct offset_fetch_request_offset_fetch_request_topics taken = asked->topics[i];

		if (!t && !put_unknown(rq, p, &asked->topics[i]))
			return false;
		if (!t)
			continue;
		taken.name = arena_copy(&rq->arena, t->name);
		if (bytes_is_null(taken.name)) {
			request_close(rq, "the answer is too large");
			return false;
		}
		p->request.topics[p->request.topics_count++] = taken;
	}
	return true;
}

/* As version 8 would have asked. */
static bool take_old(struct request *rq, struct fetch_group_part *p)
{
	const struct offset_fetch_request *body = rq->body;

	struct_init(&offset_fetch_request_offset_fetch_request_group_struct, &p->request);
	p->request.group_id = body->group_id;
	p->request.topics = NULL;
	p->request.topics_count = body->topics_count;
	if (body->topics_count < 0)
		return true;
	p->request.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*p->request.topics));
	if (!p->request.topics)
		return false;
	for (int32_t i = 0; i < body->topics_count; i++) {
		p->request.topics[i].name = body->topics[i].name;
		p->request.topics[i].partition_indexes = body->topics[i].partition_indexes;
		p->request.topics[i].partition_indexes_count = body->topics[i].partition_indexes_count;
	}
	return true;
}

static bool take_request(struct request *rq)
{
	const struct offset_fetch_request *body = rq->body;
	struct offset_fetch *o = rq->state;

	o->count = rq->header.api_version < GROUPS_FROM ? 1 : (size_t)body->groups_count;
	o->parts = told_alloc(rq, o->count, sizeof(*o->parts));
	if (!o->parts)
		return false;
	if (rq->header.api_version < GROUPS_FROM)
		return take_old(rq, &o->parts[0]);
	o->response.groups = told_alloc(rq, o->count, sizeof(*o->response.groups));
	if (!o->response.groups)
		return false;
	for (size_t i = 0; i < o->count; i++) {
		o->parts[i].request = body->groups[i];
		if (rq->header.api_version >= IDS_FROM && body->groups[i].topics_count >= 0 &&
		    !take_ids(rq, &o->parts[i], &body->groups[i]))
			return false;
	}
	return true;
}

/* --- the answer --------------------------------------------------------------------------------------------------------- */

/* Of all that a group has offsets for only the names are known: topics that are there no more have no id, and are left out. */
static void name_ids(const struct image *image, struct offset_fetch_response_offset_fetch_response_group *g)
{
	int32_t kept = 0;

	for (int32_t i = 0; i < g->topics_count; i++) {
		const struct image_topic *t = image_topic_by_name(image, g->topics[i].name);

		if (!t)
			continue;
		g->topics[kept] = g->topics[i];
		g->topics[kept++].topic_id = t->id;
	}
	g->topics_count = kept;
}

/* Topics of unknown ids are told behind the others, unless the group has an error. */
static bool add_unknown(struct request *rq, const struct fetch_group_part *p,
			struct offset_fetch_response_offset_fetch_response_group *g)
{
	struct offset_fetch_response_offset_fetch_response_topics *topics;

	if (p->unknown_count == 0 || g->error_code)
		return true;
	topics = told_alloc(rq, (size_t)(g->topics_count + p->unknown_count), sizeof(*topics));
	if (!topics)
		return false;
	if (g->topics_count)
		memcpy(topics, g->topics, (size_t)g->topics_count * sizeof(*topics));
	memcpy(topics + g->topics_count, p->unknown, (size_t)p->unknown_count * sizeof(*topics));
	g->topics = topics;
	g->topics_count += p->unknown_count;
	return true;
}

static void answer_groups(struct request *rq)
{
	struct offset_fetch *o = rq->state;

	for (size_t i = 0; i < o->count; i++) {
		struct fetch_group_part *p = &o->parts[i];
		struct offset_fetch_response_offset_fetch_response_group *g = &p->group.response;

		if (rq->header.api_version >= IDS_FROM && p->request.topics_count < 0)
			name_ids(rq->broker->image, g);
		if (!add_unknown(rq, p, g))
			return;
		o->response.groups[o->response.groups_count++] = *g;
	}
	request_reply(rq, &o->response);
}

static bool put_old_topic(struct request *rq, const struct offset_fetch_response_offset_fetch_response_topics *from,
			  struct offset_fetch_response_offset_fetch_response_topic *to)
{
	to->name = from->name;
	to->partitions = told_alloc(rq, (size_t)from->partitions_count, sizeof(*to->partitions));
	if (!to->partitions)
		return false;
	for (int32_t i = 0; i < from->partitions_count; i++)
		to->partitions[to->partitions_count++] = (struct offset_fetch_response_offset_fetch_response_partition){
			.partition_index = from->partitions[i].partition_index,
			.committed_offset = from->partitions[i].committed_offset,
			.committed_leader_epoch = from->partitions[i].committed_leader_epoch,
			.metadata = from->partitions[i].metadata,
			.error_code = from->partitions[i].error_code,
		};
	return true;
}

/* Version 1 knows no error of the whole. */
static bool put_errors(struct request *rq, enum err error)
{
	const struct offset_fetch_request *body = rq->body;
	struct offset_fetch *o = rq->state;

	o->response.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*o->response.topics));
	if (!o->response.topics)
		return false;
	for (int32_t i = 0; i < body->topics_count; i++) {
		const struct offset_fetch_request_offset_fetch_request_topic *asked = &body->topics[i];
		struct offset_fetch_response_offset_fetch_response_topic *t = &o->response.topics[i];

		t->name = asked->name;
		t->partitions = told_alloc(rq, (size_t)asked->partition_indexes_count, sizeof(*t->partitions));
		if (!t->partitions)
			return false;
		for (int32_t j = 0; j < asked->partition_indexes_count; j++)
			t->partitions[t->partitions_count++] =
				(struct offset_fetch_response_offset_fetch_response_partition){
					.partition_index = asked->partition_indexes[j],
					.committed_offset = -1,
					.committed_leader_epoch = -1,
					.metadata = bytes_empty(),
					.error_code = (int16_t)error,
				};
	}
	o->response.topics_count = body->topics_count;
	return true;
}

static void answer_old(struct request *rq)
{
	struct offset_fetch *o = rq->state;
	const struct offset_fetch_response_offset_fetch_response_group *g = &o->parts[0].group.response;

	o->response.error_code = g->error_code;
	if (g->error_code && rq->header.api_version < WHOLE_ERRORS_FROM) {
		if (put_errors(rq, (enum err)g->error_code))
			request_reply(rq, &o->response);
		return;
	}
	o->response.topics = told_alloc(rq, (size_t)g->topics_count, sizeof(*o->response.topics));
	if (!o->response.topics)
		return;
	for (int32_t i = 0; i < g->topics_count; i++)
		if (!put_old_topic(rq, &g->topics[i], &o->response.topics[o->response.topics_count++]))
			return;
	request_reply(rq, &o->response);
}

static void run_fetch(void *state, struct step *out, struct coordinator_call *c)
{
	group_offset_fetch(state, out, container_of(c, struct offset_fetch_call, call));
}

static void fetch_over(struct request *rq)
{
	struct offset_fetch *o = rq->state;

	for (size_t i = 0; i < o->count; i++)
		if (o->parts[i].group.call.error)
			group_offset_fetch_refuse(&o->parts[i].group, o->parts[i].group.call.error);
	if (rq->abandoned)
		return;
	if (rq->header.api_version < GROUPS_FROM)
		answer_old(rq);
	else
		answer_groups(rq);
}

static void offset_fetch_begin(struct request *rq)
{
	const struct offset_fetch_request *body = rq->body;
	struct offset_fetch *o = told_alloc(rq, 1, sizeof(*o));

	if (!o)
		return;
	rq->state = o;
	message_init(&offset_fetch_response_type, &o->response);
	if (!take_request(rq))
		return;
	coordination_init(&o->coordination, rq, fetch_over);
	o->coordination.may_be_large = true;
	for (size_t i = 0; i < o->count; i++) {
		struct fetch_group_part *p = &o->parts[i];

		p->part = (struct coordinated){.call = &p->group.call, .run = run_fetch};
		p->group.request = &p->request;
		p->group.require_stable = body->require_stable;
		p->group.version = rq->header.api_version;
		coordination_add(&o->coordination, &p->part, INTERNAL_GROUPS, p->request.group_id);
		p->group.arena = p->part.arena;
	}
	coordination_go(&o->coordination);
}

const struct api_handler offset_fetch_handler = {
	.key = API_OFFSET_FETCH,
	.min_version = 1,
	.max_version = 10,
	.begin = offset_fetch_begin,
};
