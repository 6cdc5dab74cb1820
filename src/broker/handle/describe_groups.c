/*
 * describe_groups: DescribeGroups 0-6, DeleteGroups 0-3, ListGroups 0-5: each group is asked where it lives, all at once; a list is asked of
 * every partition. May call: coordinate.h, group/group.h.
 */
#include "base/map.h"
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"

/* --- DescribeGroups --------------------------------------------------------------------------------------------------- */

struct describe_part {
	struct coordinated part;
	struct describe_group_call group;
};

struct describe_groups {
	struct coordination coordination;
	struct describe_groups_response response;
	struct describe_part *parts;
};

static void run_describe(void *state, struct step *out, struct coordinator_call *c)
{
	group_describe(state, out, container_of(c, struct describe_group_call, call));
}

static void describe_over(struct request *rq)
{
	const struct describe_groups_request *body = rq->body;
	struct describe_groups *d = rq->state;

	for (int32_t i = 0; i < body->groups_count; i++) {
		struct describe_group_call *g = &d->parts[i].group;

		if (g->call.error)
			group_describe_refuse(g, g->call.error);
		if (body->include_authorized_operations && !g->response.error_code)
			g->response.authorized_operations = TOLD_GROUP_OPERATIONS;
		d->response.groups[d->response.groups_count++] = g->response;
	}
	request_reply(rq, &d->response);
}

static void describe_groups_begin(struct request *rq)
{
	const struct describe_groups_request *body = rq->body;
	size_t count = (size_t)body->groups_count;
	struct describe_groups *d = told_alloc(rq, 1, sizeof(*d));

	if (!d)
		return;
	rq->state = d;
	message_init(&describe_groups_response_type, &d->response);
	d->parts = told_alloc(rq, count, sizeof(*d->parts));
	if (!d->parts)
		return;
	d->response.groups = told_alloc(rq, count, sizeof(*d->response.groups));
	if (!d->response.groups)
		return;
	coordination_init(&d->coordination, rq, describe_over);
	d->coordination.may_be_large = true;
	for (size_t i = 0; i < count; i++) {
		struct describe_part *p = &d->parts[i];

		p->part = (struct coordinated){.call = &p->group.call, .run = run_describe};
		p->group.group_id = body->groups[i];
		p->group.version = rq->header.api_version;
		coordination_add(&d->coordination, &p->part, INTERNAL_GROUPS, body->groups[i]);
		p->group.arena = p->part.arena;
	}
	coordination_go(&d->coordination);
}

const struct api_handler describe_groups_handler = {
	.key = API_DESCRIBE_GROUPS,
	.min_version = 0,
	.max_version = 6,
	.begin = describe_groups_begin,
};

/* --- DeleteGroups ----------------------------------------------------------------------------------------------------- */

struct delete_part {
	struct coordinated part;
	struct delete_group_call group;
};

struct delete_groups {
	struct coordination coordination;
	struct delete_groups_response response;
	struct delete_part *parts; /* each group once */
	size_t count;
};

static void run_delete(void *state, struct step *out, struct coordinator_call *c)
{
	group_delete(state, out, container_of(c, struct delete_group_call, call));
}

static void delete_over(struct request *rq)
{
	struct delete_groups *d = rq->state;

	for (size_t i = 0; i < d->count; i++) {
		struct delete_group_call *g = &d->parts[i].group;

		if (g->call.error)
			group_delete_refuse(g, g->call.error);
		d->response.results[d->response.results_count++] = g->response;
	}
	request_reply(rq, &d->response);
}

static void take_group(struct request *rq, struct delete_groups *d, struct bytes group_id)
{
	struct delete_part *p = &d->parts[d->count++];

	p->part = (struct coordinated){.call = &p->group.call, .run = run_delete};
	p->group.group_id = group_id;
	p->group.version = rq->header.api_version;
	coordination_add(&d->coordination, &p->part, INTERNAL_GROUPS, group_id);
	p->group.arena = p->part.arena;
}

static void delete_groups_begin(struct request *rq)
{
	const struct delete_groups_request *body = rq->body;
	size_t count = (size_t)body->groups_names_count;
	struct delete_groups *d = told_alloc(rq, 1, sizeof(*d));
	struct map seen;

	if (!d)
		return;
	rq->state = d;
	message_init(&delete_groups_response_type, &d->response);
	d->parts = told_alloc(rq, count, sizeof(*d->parts));
	if (!d->parts)
		return;
	d->response.results = told_alloc(rq, count, sizeof(*d->response.results));
	if (!d->response.results)
		return;
	coordination_init(&d->coordination, rq, delete_over);
	map_init_seeded(&seen, shard_map_seed(rq->shard));
	for (size_t i = 0; i < count; i++)
		if (!map_put(&seen, body->groups_names[i], d))
			take_group(rq, d, body->groups_names[i]);
	map_fini(&seen);
	coordination_go(&d->coordination);
}

const struct api_handler delete_groups_handler = {
	.key = API_DELETE_GROUPS,
	.min_version = 0,
	.max_version = 3,
	.begin = delete_groups_begin,
};

/* --- ListGroups ------------------------------------------------------------------------------------------------------- */

struct list_part {
	struct coordinated part;
	struct list_groups_call group;
};

struct list_groups {
	struct coordination coordination;
	struct list_groups_response response;
	struct list_part *parts; /* by partition */
	size_t count;
};

static void run_list(void *state, struct step *out, struct coordinator_call *c)
{
	group_list(state, out, container_of(c, struct list_groups_call, call));
}

/* A partition that is not coordinated here has no groups to tell, as in Kafka; one that loads makes the whole list wait. */
static enum err error_of(const struct list_groups_call *g)
{
	if (g->call.error == ERR_NOT_COORDINATOR)
		return OK;
	return g->call.error ? g->call.error : (enum err)g->response.error_code;
}

static void list_over(struct request *rq)
{
	struct list_groups *l = rq->state;
	size_t count = 0;

	for (size_t i = 0; i < l->count; i++) {
		const struct list_groups_call *g = &l->parts[i].group;

		if (error_of(g))
			l->response.error_code = (int16_t)error_of(g);
		count += g->call.error ? 0 : (size_t)g->response.groups_count;
	}
	if (l->response.error_code) {
		request_reply(rq, &l->response);
		return;
	}
	l->response.groups = request_alloc(rq, count ? count : 1, sizeof(*l->response.groups));
	if (!l->response.groups) {
		request_close(rq, "there are more groups than an answer may name");
		return;
	}
	for (size_t i = 0; i < l->count; i++) {
		const struct list_groups_call *g = &l->parts[i].group;

		for (int32_t j = 0; !g->call.error && j < g->response.groups_count; j++)
			l->response.groups[l->response.groups_count++] = g->response.groups[j];
	}
	request_reply(rq, &l->response);
}

static void list_groups_begin(struct request *rq)
{
	const struct image_topic *t = image_topic_by_name(rq->broker->image,
							  bytes_str(internal_topic_name(INTERNAL_GROUPS)));
	struct list_groups *l = told_alloc(rq, 1, sizeof(*l));

	if (!l)
		return;
	rq->state = l;
	message_init(&list_groups_response_type, &l->response);
	l->count = t ? (size_t)t->partition_count : 0;
	l->parts = told_alloc(rq, l->count, sizeof(*l->parts));
	if (!l->parts)
		return;
	coordination_init(&l->coordination, rq, list_over);
	l->coordination.may_be_large = true;
	for (size_t i = 0; i < l->count; i++) {
		struct list_part *p = &l->parts[i];

		p->part = (struct coordinated){.call = &p->group.call, .run = run_list};
		p->group.request = rq->body;
		coordination_add_partition(&l->coordination, &p->part, INTERNAL_GROUPS, t, (int32_t)i);
		p->group.arena = p->part.arena;
	}
	coordination_go(&l->coordination);
}

const struct api_handler list_groups_handler = {
	.key = API_LIST_GROUPS,
	.min_version = 0,
	.max_version = 5,
	.begin = list_groups_begin,
};
