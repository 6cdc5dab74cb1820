/*
 * delete_topics: DeleteTopics 1-6, by name or (6) by id. What cannot be meant is refused here, the rest is the controller's.
 * May call: the controller (from a fiber), request.h.
 */
#include "base/map.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "controller/controller.h"
#include "protocol/messages.h"

static void tell(struct delete_topics_response *answer, struct bytes name, struct uuid id, enum err e,
		 struct bytes message)
{
	answer->responses[answer->responses_count++] = (struct delete_topics_response_deletable_topic_result){
		.name = name, .topic_id = id, .error_code = err_to_kafka(e), .error_message = message};
}

/* Both forms of the request as one. */
static struct delete_topics_request_delete_topic_state *gather(struct request *rq, size_t *ret_count)
{
	const struct delete_topics_request *body = rq->body;
	struct delete_topics_request_delete_topic_state *topics;

	if (rq->header.api_version >= 6) {
		*ret_count = (size_t)body->topics_count;
		return body->topics_count ? body->topics : told_alloc(rq, 0, sizeof(*topics));
	}
	topics = told_alloc(rq, (size_t)body->topic_names_count, sizeof(*topics));
	if (!topics)
		return NULL;
	for (int32_t i = 0; i < body->topic_names_count; i++)
		topics[i].name = body->topic_names[i];
	*ret_count = (size_t)body->topic_names_count;
	return topics;
}

static const char *fault_of(const struct delete_topics_request_delete_topic_state *t)
{
	bool named = !bytes_is_null(t->name), by_id = !uuid_is_zero(t->topic_id);

	if (named && by_id)
		return "You may not specify both topic name and topic id.";
	if (!named && !by_id)
		return "Neither topic name nor id were specified.";
	return NULL;
}

static struct bytes key_of(const struct delete_topics_request_delete_topic_state *t)
{
	return bytes_is_null(t->name) ? bytes_of(t->topic_id.bytes, sizeof(t->topic_id.bytes)) : t->name;
}

/* Refuses what cannot be meant, and what comes twice (once, for all its places); the rest goes into `call`. */
static bool sort_topics(struct request *rq, const struct delete_topics_request_delete_topic_state *topics, size_t count,
			struct delete_topics_response *answer, struct delete_topics *call)
{
	size_t *times = told_alloc(rq, count, sizeof(*times));
	struct map first;

	if (!times)
		return false;
	map_init_seeded(&first, shard_map_seed(rq->shard));
	for (size_t i = 0; i < count; i++) {
		const char *fault = fault_of(&topics[i]);
		size_t *earlier;

		if (fault) {
			tell(answer, topics[i].name, topics[i].topic_id, ERR_INVALID_REQUEST, bytes_str(fault));
			continue;
		}
		earlier = map_get(&first, key_of(&topics[i]));
		if (!earlier)
			(void)map_put(&first, key_of(&topics[i]), &times[i]);
		++*(earlier ? earlier : &times[i]);
	}
	map_fini(&first);
	for (size_t i = 0; i < count; i++) {
		if (times[i] > 1)
			tell(answer, topics[i].name, topics[i].topic_id, ERR_INVALID_REQUEST,
			     bytes_str(bytes_is_null(topics[i].name) ? "Duplicate topic id."
								     : "Duplicate topic name."));
		else if (times[i] == 1)
			call->topics[call->count++] = (struct delete_topic){.name = topics[i].name,
									    .id = topics[i].topic_id};
	}
	return true;
}

static enum err refused_as_a_whole(struct request *rq)
{
	if (!config_bool(broker_config(rq->broker->broker), CONFIG_DELETE_TOPIC_ENABLE))
		return rq->header.api_version < 3 ? ERR_INVALID_REQUEST : ERR_TOPIC_DELETION_DISABLED;
	return OK;
}

static void delete_topics_main(struct fiber *self, struct request *rq)
{
	const struct delete_topics_request *body = rq->body;
	struct delete_topics call = {.arena = &rq->arena, .seed = shard_map_seed(rq->shard)};
	struct delete_topics_response answer;
	size_t count = 0;
	const struct delete_topics_request_delete_topic_state *topics = gather(rq, &count);
	enum err e = refused_as_a_whole(rq);

	if (!topics)
		return;
	/* There is no time to do it in: Kafka says so before it starts. */
	if (!e && body->timeout_ms <= 0)
		e = ERR_REQUEST_TIMED_OUT;
	message_init(&delete_topics_response_type, &answer);
	answer.responses = told_alloc(rq, count, sizeof(*answer.responses));
	if (!answer.responses)
		return;
	call.topics = told_alloc(rq, count, sizeof(*call.topics));
	if (!call.topics)
		return;
	if (e) {
		for (size_t i = 0; i < count; i++)
			tell(&answer, topics[i].name, topics[i].topic_id, e, bytes_null());
	} else {
		if (!sort_topics(rq, topics, count, &answer, &call))
			return;
		controller_delete_topics_from_await(self, broker_controller(rq->broker->broker), &call);
	}
	for (size_t i = 0; i < call.count; i++)
		tell(&answer, call.topics[i].ret_name, call.topics[i].ret_id, call.topics[i].error,
		     call.topics[i].message);
	request_reply(rq, &answer);
}

static void delete_topics_begin(struct request *rq)
{
	request_run_fiber(rq, "delete-topics", delete_topics_main);
}

const struct api_handler delete_topics_handler = {
	.key = API_DELETE_TOPICS,
	.min_version = 1,
	.max_version = 6,
	.begin = delete_topics_begin,
};
