/*
 * metadata: Metadata 0-13: brokers, and topics by name or id. A topic that is not there is created when the client and
 * auto.create.topics.enable allow it, and is unknown in this answer: the client asks again, as it does with Kafka.
 * May call: the image, broker_auto_create, request.h.
 */
#include "base/map.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "protocol/messages.h"

static void answer_refused(struct request *rq, const struct metadata_request *body, enum err e)
{
	struct metadata_response answer;

	message_init(&metadata_response_type, &answer);
	answer.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*answer.topics));
	if (!answer.topics)
		return;
	for (int32_t i = 0; i < body->topics_count; i++)
		answer.topics[answer.topics_count++] = (struct metadata_response_metadata_response_topic){
			.error_code = (int16_t)e,
			.name = bytes_is_null(body->topics[i].name) ? bytes_empty() : body->topics[i].name,
			.topic_id = body->topics[i].topic_id,
			.topic_authorized_operations = TOLD_NO_OPERATIONS,
		};
	request_reply(rq, &answer);
}

static bool list_brokers(struct request *rq, struct metadata_response *answer)
{
	const struct image *image = rq->broker->image;

	answer->brokers = told_alloc(rq, image_broker_count(image), sizeof(*answer->brokers));
	if (!answer->brokers)
		return false;
	for (size_t i = 0; i < image_broker_count(image); i++) {
		const struct image_broker *b = image_broker_at(image, i);
		struct told_endpoint e;

		if (told_endpoint_of(rq, b, &e))
			answer->brokers[answer->brokers_count++] = (struct metadata_response_metadata_response_broker){
				b->id, e.host, e.port, bytes_str(b->rack)};
	}
	return true;
}

static struct metadata_response_metadata_response_partition
tell_partition(const struct image *image, const struct image_partition *p, int32_t index)
{
	struct metadata_response_metadata_response_partition told = {
		.partition_index = index, .leader_id = p->leader, .leader_epoch = p->leader_epoch};
	size_t replica_count, isr_count;

	told.replica_nodes = told_ids(image_replicas(p, &replica_count));
	told.replica_nodes_count = (int32_t)replica_count;
	told.isr_nodes = told_ids(image_isr(p, &isr_count));
	told.isr_nodes_count = (int32_t)isr_count;
	if (!image_broker_by_id(image, p->leader)) {
		told.error_code = ERR_LEADER_NOT_AVAILABLE;
		told.leader_id = -1;
	}
	return told;
}

static bool tell_topic(struct request *rq, const struct image_topic *t, struct metadata_response *answer)
{
	const struct metadata_request *body = rq->body;
	struct metadata_response_metadata_response_topic told = {.name = t->name, .topic_id = t->id};

	told.is_internal = t->internal || told_is_internal(t->name);
	told.topic_authorized_operations = body->include_topic_authorized_operations ? TOLD_TOPIC_OPERATIONS
										     : TOLD_NO_OPERATIONS;
	told.partitions = told_alloc(rq, (size_t)t->partition_count, sizeof(*told.partitions));
	if (!told.partitions)
		return false;
	for (int32_t i = 0; i < t->partition_count; i++)
		told.partitions[told.partitions_count++] = tell_partition(rq->broker->image, &t->partitions[i], i);
	answer->topics[answer->topics_count++] = told;
	return true;
}

/* A topic that is not there, or cannot be. */
static void tell_missing(struct request *rq, const struct metadata_request_metadata_request_topic *asked,
			 struct metadata_response *answer)
{
	const struct metadata_request *body = rq->body;
	bool by_id = !uuid_is_zero(asked->topic_id);
	enum err e = ERR_UNKNOWN_TOPIC_OR_PARTITION;

	if (by_id)
		e = ERR_UNKNOWN_TOPIC_ID;
	else if (told_name_fault(rq, asked->name))
		e = ERR_INVALID_TOPIC_EXCEPTION;
	else if (body->allow_auto_topic_creation)
		broker_auto_create(rq->broker, asked->name);
	answer->topics[answer->topics_count++] = (struct metadata_response_metadata_response_topic){
		.error_code = (int16_t)e,
		.name = by_id ? bytes_null() : asked->name,
		.topic_id = asked->topic_id,
		.is_internal = !by_id && told_is_internal(asked->name),
		.topic_authorized_operations = body->include_topic_authorized_operations ? TOLD_TOPIC_OPERATIONS
											 : TOLD_NO_OPERATIONS,
	};
}

/* An id decides where one is given, whatever the name beside it says (behaviours no. 8). */
static const struct image_topic *find_topic(const struct image *image,
					    const struct metadata_request_metadata_request_topic *asked)
{
	return uuid_is_zero(asked->topic_id) ? image_topic_by_name(image, asked->name)
					     : image_topic_by_id(image, asked->topic_id);
}

/* What was asked by name or id, each once: those that are there first, as in Kafka. */
static bool tell_asked(struct request *rq, struct metadata_response *answer)
{
	const struct metadata_request *body = rq->body;
	size_t count = (size_t)body->topics_count;
	bool *known = told_alloc(rq, count, sizeof(*known));
	struct map seen;
	bool fits = known != NULL;

	if (!fits)
		return false;
	map_init_seeded(&seen, shard_map_seed(rq->shard));
	for (size_t i = 0; i < count && fits; i++) {
		const struct metadata_request_metadata_request_topic *asked = &body->topics[i];
		const struct image_topic *t = find_topic(rq->broker->image, asked);
		struct bytes key = uuid_is_zero(asked->topic_id) ? asked->name : bytes_of(asked->topic_id.bytes, 16);

		if (map_put(&seen, key, known)) {
			known[i] = true; /* again: told already */
			continue;
		}
		known[i] = t != NULL;
		if (t)
			fits = tell_topic(rq, t, answer);
	}
	map_fini(&seen);
	for (size_t i = 0; i < count && fits; i++)
		if (!known[i])
			tell_missing(rq, &body->topics[i], answer);
	return fits;
}

static bool tell_all(struct request *rq, struct metadata_response *answer)
{
	const struct image *image = rq->broker->image;

	for (size_t i = 0; i < image_topic_count(image); i++)
		if (!tell_topic(rq, image_topic_at(image, i), answer))
			return false;
	return true;
}

/* OK, or what is wrong with the request as a whole. */
static enum err check(const struct request *rq, const struct metadata_request *body)
{
	for (int32_t i = 0; i < body->topics_count; i++) {
		bool by_id = !uuid_is_zero(body->topics[i].topic_id);

		/* Ids came with 10, but were meant to be used from 12 on. */
		if (rq->header.api_version < 12 && (by_id || bytes_is_null(body->topics[i].name)))
			return ERR_INVALID_REQUEST;
		if (!by_id && bytes_is_null(body->topics[i].name))
			return ERR_UNKNOWN_SERVER_ERROR;
	}
	return OK;
}

static void metadata_begin(struct request *rq)
{
	const struct metadata_request *body = rq->body;
	const struct image *image = rq->broker->image;
	bool all = body->topics_count < 0 || (rq->header.api_version == 0 && body->topics_count == 0);
	struct metadata_response answer;
	enum err e = check(rq, body);

	if (e) {
		answer_refused(rq, body, e);
		return;
	}
	message_init(&metadata_response_type, &answer);
	answer.cluster_id = bytes_str(image_cluster_id(image));
	answer.controller_id = image_controller(image);
	if (body->include_cluster_authorized_operations)
		answer.cluster_authorized_operations = TOLD_CLUSTER_OPERATIONS;
	answer.topics = told_alloc(rq, all ? image_topic_count(image) : (size_t)body->topics_count,
				   sizeof(*answer.topics));
	if (!answer.topics || !list_brokers(rq, &answer))
		return;
	if (all ? tell_all(rq, &answer) : tell_asked(rq, &answer))
		request_reply(rq, &answer);
}

const struct api_handler metadata_handler = {
	.key = API_METADATA,
	.min_version = 0,
	.max_version = 13,
	.begin = metadata_begin,
};
