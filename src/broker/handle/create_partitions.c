/*
 * create_partitions: CreatePartitions 0-3. A name that comes twice is refused here, once; the rest is the controller's, which has it
 * durable and in every shard's image before the answer.
 * May call: the controller (from a fiber), request.h.
 */
#include "base/map.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "controller/controller.h"
#include "protocol/messages.h"

static void tell(struct create_partitions_response *answer, struct bytes name, enum err e, struct bytes message)
{
	answer->results[answer->results_count++] = (struct create_partitions_response_create_partitions_topic_result){
		.name = name, .error_code = err_to_kafka(e), .error_message = message};
}

static bool fill(struct request *rq, const struct create_partitions_request_create_partitions_topic *asked,
		 struct add_partitions *topic)
{
	/* Null, and not the empty list, is for the broker to choose. */
	size_t count = asked->assignments ? (size_t)asked->assignments_count : 0;
	struct topic_assignment *assignments = told_alloc(rq, count, sizeof(*assignments));

	if (!assignments)
		return false;
	for (size_t i = 0; i < count; i++)
		assignments[i] = (struct topic_assignment){
			.brokers = asked->assignments[i].broker_ids,
			.broker_count = (size_t)asked->assignments[i].broker_ids_count};
	*topic = (struct add_partitions){.name = asked->name,
					 .count = asked->count,
					 .assigned = asked->assignments_count >= 0,
					 .assignments = assignments,
					 .assignment_count = count};
	return true;
}

/* What comes twice is answered once; the rest goes into `call`. False: the request was closed. */
static bool sort_topics(struct request *rq, struct create_partitions_response *answer, struct create_partitions *call)
{
	const struct create_partitions_request *body = rq->body;
	size_t *times = told_alloc(rq, (size_t)body->topics_count, sizeof(*times));
	struct map first;
	bool fits = true;

	if (!times)
		return false;
	map_init(&first);
	for (int32_t i = 0; i < body->topics_count; i++) {
		size_t *earlier = map_get(&first, body->topics[i].name);

		if (!earlier)
			(void)map_put(&first, body->topics[i].name, &times[i]);
		++*(earlier ? earlier : &times[i]);
	}
	map_fini(&first);
	for (int32_t i = 0; i < body->topics_count && fits; i++) {
		if (times[i] > 1)
			tell(answer, body->topics[i].name, ERR_INVALID_REQUEST, bytes_str("Duplicate topic name."));
		else if (times[i] == 1)
			fits = fill(rq, &body->topics[i], &call->topics[call->count++]);
	}
	return fits;
}

static void create_partitions_main(struct fiber *self, struct request *rq)
{
	const struct create_partitions_request *body = rq->body;
	struct create_partitions call = {.validate_only = body->validate_only, .arena = &rq->arena};
	struct create_partitions_response answer;

	message_init(&create_partitions_response_type, &answer);
	answer.results = told_alloc(rq, (size_t)body->topics_count, sizeof(*answer.results));
	if (!answer.results)
		return;
	call.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*call.topics));
	if (!call.topics || !sort_topics(rq, &answer, &call))
		return;
	if (body->timeout_ms <= 0) {
		/* There is no time to do it in: Kafka says so before it starts. */
		for (size_t i = 0; i < call.count; i++)
			tell(&answer, call.topics[i].name, ERR_REQUEST_TIMED_OUT, bytes_null());
	} else {
		controller_create_partitions_from_await(self, broker_controller(rq->broker->broker), &call);
		for (size_t i = 0; i < call.count; i++)
			tell(&answer, call.topics[i].name, call.topics[i].error, call.topics[i].message);
	}
	request_reply(rq, &answer);
}

static void create_partitions_begin(struct request *rq)
{
	request_run_fiber(rq, "create-partitions", create_partitions_main);
}

const struct api_handler create_partitions_handler = {
	.key = API_CREATE_PARTITIONS,
	.min_version = 0,
	.max_version = 3,
	.begin = create_partitions_begin,
};
