/* describe_cluster: DescribeCluster 0-2: the brokers, for admin clients. May call: the image, request.h. */
#include <stdio.h>

#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "protocol/messages.h"

enum endpoint_type { ENDPOINT_BROKER = 1, ENDPOINT_CONTROLLER = 2 };

static void answer_wrong_endpoint(struct request *rq, int8_t type)
{
	struct describe_cluster_response answer;
	char text[100];

	message_init(&describe_cluster_response_type, &answer);
	answer.cluster_id = bytes_empty();
	if (type == ENDPOINT_CONTROLLER) {
		answer.error_code = ERR_MISMATCHED_ENDPOINT_TYPE;
		answer.error_message = bytes_str("The request was sent to an endpoint of type BROKER, but we wanted an "
						 "endpoint of type CONTROLLER");
	} else {
		snprintf(text, sizeof(text), "Unsupported endpoint type %d", type);
		answer.error_code = ERR_UNSUPPORTED_ENDPOINT_TYPE;
		answer.error_message = bytes_str(text);
	}
	request_reply(rq, &answer);
}

static void describe_cluster_begin(struct request *rq)
{
	const struct describe_cluster_request *body = rq->body;
	const struct image *image = rq->broker->image;
	struct describe_cluster_response answer;

	if (body->endpoint_type != ENDPOINT_BROKER) {
		answer_wrong_endpoint(rq, body->endpoint_type);
		return;
	}
	message_init(&describe_cluster_response_type, &answer);
	answer.cluster_id = bytes_str(image_cluster_id(image));
	answer.controller_id = image_controller(image);
	if (body->include_cluster_authorized_operations)
		answer.cluster_authorized_operations = TOLD_CLUSTER_OPERATIONS;
	answer.brokers = told_alloc(rq, image_broker_count(image), sizeof(*answer.brokers));
	if (!answer.brokers)
		return;
	for (size_t i = 0; i < image_broker_count(image); i++) {
		const struct image_broker *b = image_broker_at(image, i);
		struct told_endpoint e;

		if (told_endpoint_of(rq, b, &e))
			answer.brokers[answer.brokers_count++] =
				(struct describe_cluster_response_describe_cluster_broker){
					.broker_id = b->id, .host = e.host, .port = e.port, .rack = bytes_str(b->rack)};
	}
	request_reply(rq, &answer);
}

const struct api_handler describe_cluster_handler = {
	.key = API_DESCRIBE_CLUSTER,
	.min_version = 0,
	.max_version = 2,
	.begin = describe_cluster_begin,
};
