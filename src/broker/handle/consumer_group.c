/*
 * consumer_group: ConsumerGroupHeartbeat 0-1, ConsumerGroupDescribe 0-1 (KIP-848), where the cluster's group.version and this broker's
 * group.coordinator.rebalance.protocols allow it. May call: coordinate.h, group/consumer_call.h.
 */
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "group/consumer_call.h"

static bool is_enabled(const struct request *rq)
{
	return rq->broker->group_options.consumer.enabled &&
	       image_feature_level(rq->broker->image, "group.version") >= 1;
}

/* --- ConsumerGroupHeartbeat ------------------------------------------------------------------------------------------------- */

struct consumer_heartbeat {
	struct coordination coordination;
	struct coordinated part;
	struct consumer_heartbeat_call group;
};

static void run_heartbeat(void *state, struct step *out, struct coordinator_call *c)
{
	group_consumer_heartbeat(state, out, container_of(c, struct consumer_heartbeat_call, call));
}

static void heartbeat_over(struct request *rq)
{
	struct consumer_heartbeat *h = rq->state;

	if (h->group.call.error)
		group_consumer_heartbeat_refuse(&h->group, h->group.call.error);
	request_reply(rq, &h->group.response);
}

static void consumer_group_heartbeat_begin(struct request *rq)
{
	const struct consumer_group_heartbeat_request *body = rq->body;
	struct consumer_heartbeat *h = told_alloc(rq, 1, sizeof(*h));

	if (!h)
		return;
	rq->state = h;
	coordination_init(&h->coordination, rq, heartbeat_over);
	h->part = (struct coordinated){.call = &h->group.call, .run = run_heartbeat};
	h->group.request = body;
	h->group.version = rq->header.api_version;
	h->group.client = told_group_client(rq);
	h->group.arena = &rq->arena;
	if (!is_enabled(rq)) {
		h->group.call.error = ERR_UNSUPPORTED_VERSION;
		heartbeat_over(rq);
		return;
	}
	if (group_consumer_heartbeat_check(&rq->broker->group_options, &h->group)) {
		request_reply(rq, &h->group.response);
		return;
	}
	coordination_add(&h->coordination, &h->part, INTERNAL_GROUPS, body->group_id);
	h->group.arena = h->part.arena;
	coordination_go(&h->coordination);
}

const struct api_handler consumer_group_heartbeat_handler = {
	.key = API_CONSUMER_GROUP_HEARTBEAT,
	.min_version = 0,
	.max_version = 1,
	.begin = consumer_group_heartbeat_begin,
};

/* --- ConsumerGroupDescribe -------------------------------------------------------------------------------------------------- */

struct describe_part {
	struct coordinated part;
	struct describe_consumer_group_call group;
};

struct describe_consumer_groups {
	struct coordination coordination;
	struct consumer_group_describe_response response;
	struct describe_part *parts;
};

static void run_describe(void *state, struct step *out, struct coordinator_call *c)
{
	group_describe_consumer(state, out, container_of(c, struct describe_consumer_group_call, call));
}

static void describe_over(struct request *rq)
{
	const struct consumer_group_describe_request *body = rq->body;
	struct describe_consumer_groups *d = rq->state;

	for (int32_t i = 0; i < body->group_ids_count; i++) {
		struct describe_consumer_group_call *g = &d->parts[i].group;

		if (g->call.error)
			group_describe_consumer_refuse(g, g->call.error);
		if (body->include_authorized_operations && !g->response.error_code)
			g->response.authorized_operations = TOLD_GROUP_OPERATIONS;
		d->response.groups[d->response.groups_count++] = g->response;
	}
	request_reply(rq, &d->response);
}

static void add_group(struct request *rq, struct describe_consumer_groups *d, struct describe_part *p, struct bytes id)
{
	p->part = (struct coordinated){.call = &p->group.call, .run = run_describe};
	p->group.group_id = id;
	p->group.arena = &rq->arena;
	if (!is_enabled(rq)) {
		p->group.call.error = ERR_UNSUPPORTED_VERSION;
	} else if (id.size == 0) {
		p->group.call.error = ERR_INVALID_GROUP_ID;
	} else {
		coordination_add(&d->coordination, &p->part, INTERNAL_GROUPS, id);
		p->group.arena = p->part.arena;
	}
}

static void consumer_group_describe_begin(struct request *rq)
{
	const struct consumer_group_describe_request *body = rq->body;
	size_t count = (size_t)body->group_ids_count;
	struct describe_consumer_groups *d = told_alloc(rq, 1, sizeof(*d));

	if (!d)
		return;
	rq->state = d;
	message_init(&consumer_group_describe_response_type, &d->response);
	d->parts = told_alloc(rq, count, sizeof(*d->parts));
	if (!d->parts)
		return;
	d->response.groups = told_alloc(rq, count, sizeof(*d->response.groups));
	if (!d->response.groups)
		return;
	coordination_init(&d->coordination, rq, describe_over);
	d->coordination.may_be_large = true;
	for (size_t i = 0; i < count; i++)
		add_group(rq, d, &d->parts[i], body->group_ids[i]);
	coordination_go(&d->coordination);
}

const struct api_handler consumer_group_describe_handler = {
	.key = API_CONSUMER_GROUP_DESCRIBE,
	.min_version = 0,
	.max_version = 1,
	.begin = consumer_group_describe_begin,
};
