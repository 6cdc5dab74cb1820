/*
 * list_config_resources: ListConfigResources 0-1: what there is that has settings or may have some: topics, brokers and their
 * loggers; of groups and client metrics those that somebody set something of. Version 0 knows client metrics only.
 * May call: the image, request.h.
 */
#include <stdio.h>

#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "protocol/messages.h"

/* In the order of Kafka's answer. */
static const enum config_resource kinds[] = {CONFIG_OF_GROUP, CONFIG_OF_CLIENT_METRICS, CONFIG_OF_LOGGER,
					     CONFIG_OF_BROKER, CONFIG_OF_TOPIC};

static bool is_asked(const struct request *rq, enum config_resource kind)
{
	const struct list_config_resources_request *body = rq->body;

	if (rq->header.api_version == 0)
		return kind == CONFIG_OF_CLIENT_METRICS;
	for (int32_t i = 0; i < body->resource_types_count; i++)
		if (body->resource_types[i] == (int8_t)kind)
			return true;
	return body->resource_types_count == 0;
}

static bool all_known(const struct list_config_resources_request *body)
{
	for (int32_t i = 0; i < body->resource_types_count; i++) {
		bool known = false;

		for (size_t k = 0; k < countof(kinds); k++)
			known = known || body->resource_types[i] == (int8_t)kinds[k];
		if (!known)
			return false;
	}
	return true;
}

static size_t count_of(const struct image *image, enum config_resource kind)
{
	if (kind == CONFIG_OF_TOPIC)
		return image_topic_count(image);
	if (kind == CONFIG_OF_BROKER || kind == CONFIG_OF_LOGGER)
		return image_broker_count(image);
	return image_resource_count(image, kind);
}

static struct bytes name_of(struct request *rq, enum config_resource kind, size_t at)
{
	const struct image *image = rq->broker->image;
	char text[16];

	if (kind == CONFIG_OF_TOPIC)
		return image_topic_at(image, at)->name;
	if (kind != CONFIG_OF_BROKER && kind != CONFIG_OF_LOGGER)
		return image_resource_at(image, kind, at);
	snprintf(text, sizeof(text), "%d", image_broker_at(image, at)->id);
	return arena_copy(&rq->arena, bytes_str(text));
}

static void list_config_resources_begin(struct request *rq)
{
	const struct list_config_resources_request *body = rq->body;
	struct list_config_resources_response answer;
	size_t count = 0;

	message_init(&list_config_resources_response_type, &answer);
	if (!all_known(body)) {
		answer.error_code = ERR_UNSUPPORTED_VERSION;
		request_reply(rq, &answer);
		return;
	}
	for (size_t i = 0; i < countof(kinds); i++)
		count += is_asked(rq, kinds[i]) ? count_of(rq->broker->image, kinds[i]) : 0;
	answer.config_resources = told_alloc(rq, count, sizeof(*answer.config_resources));
	if (!answer.config_resources)
		return;
	for (size_t i = 0; i < countof(kinds); i++) {
		size_t those = is_asked(rq, kinds[i]) ? count_of(rq->broker->image, kinds[i]) : 0;

		for (size_t k = 0; k < those; k++)
			answer.config_resources[answer.config_resources_count++] =
				(struct list_config_resources_response_config_resource){name_of(rq, kinds[i], k),
											(int8_t)kinds[i]};
	}
	request_reply(rq, &answer);
}

const struct api_handler list_config_resources_handler = {
	.key = API_LIST_CONFIG_RESOURCES,
	.min_version = 0,
	.max_version = 1,
	.begin = list_config_resources_begin,
};
