/*
 * describe_configs: DescribeConfigs 1-4, of topics, this broker, groups, client metrics and the log's level: the effective values,
 * where each is from, and what stands behind it.
 * May call: the image, config/, request.h.
 */
#include <stdio.h>

#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "config/group_config.h"
#include "config/topic_config.h"
#include "protocol/messages.h"

static const char INVALID_TEXT[] = "This most likely occurs because of a request being malformed by the client library "
				   "or the message was sent to an "
				   "incompatible broker. See the broker logs for more details.";

/* Null and the empty list are every setting (behaviours no. 14); names that are not known are left out. */
static bool is_asked(const struct describe_configs_request_describe_configs_resource *r, const char *name)
{
	if (r->configuration_keys_count <= 0)
		return true;
	for (int32_t i = 0; i < r->configuration_keys_count; i++)
		if (bytes_equal_str(r->configuration_keys[i], name))
			return true;
	return false;
}

static bool tell_one(struct request *rq, const struct config_described *d,
		     struct describe_configs_response_describe_configs_result *result)
{
	const struct describe_configs_request *body = rq->body;
	struct describe_configs_response_describe_configs_resource_result *told =
		&result->configs[result->configs_count++];

	*told = (struct describe_configs_response_describe_configs_resource_result){
		.name = bytes_str(d->definition->name),
		.value = d->value,
		.read_only = d->read_only,
		.config_source = (int8_t)d->source,
		.is_sensitive = d->sensitive,
		.config_type = (int8_t)d->definition->type,
		.documentation = body->include_documentation ? bytes_str(d->definition->documentation) : bytes_null(),
	};
	if (!body->include_synonyms)
		return true;
	told->synonyms = told_alloc(rq, d->synonym_count, sizeof(*told->synonyms));
	if (!told->synonyms)
		return false;
	for (size_t i = 0; i < d->synonym_count; i++)
		told->synonyms[told->synonyms_count++] = (struct describe_configs_response_describe_configs_synonym){
			bytes_str(d->synonyms[i].name), d->synonyms[i].value, (int8_t)d->synonyms[i].source};
	return true;
}

static void fail(struct describe_configs_response_describe_configs_result *result, enum err e, const char *why)
{
	result->error_code = (int16_t)e;
	result->error_message = bytes_str(why);
}

/* False: the request was closed; so below. */
static bool describe_topic(struct request *rq, const struct describe_configs_request_describe_configs_resource *r,
			   struct describe_configs_response_describe_configs_result *result)
{
	const struct broker_shard *b = rq->broker;
	const char *fault = told_name_fault(rq, r->resource_name);
	const struct image_topic *t = image_topic_by_name(b->image, r->resource_name);
	struct config_layers layers;

	if (fault || !t) {
		fail(result, fault ? ERR_INVALID_TOPIC_EXCEPTION : ERR_UNKNOWN_TOPIC_OR_PARTITION, fault ? fault : "");
		return true;
	}
	layers = image_layers(b->image, broker_config(b->broker), broker_node_id(b->broker), t);
	result->configs = told_alloc(rq, TOPIC_CONFIG_COUNT, sizeof(*result->configs));
	if (!result->configs)
		return false;
	for (enum topic_config_id id = 0; id < TOPIC_CONFIG_COUNT; id++) {
		struct config_described d;

		if (!is_asked(r, topic_config_definition(id)->name))
			continue;
		if (!topic_config_describe(&layers, id, &rq->arena, &d)) {
			request_close(rq, "the answer is too large");
			return false;
		}
		/* Only where somebody set it. */
		if (topic_config_definition(id)->internal && d.source != CONFIG_SOURCE_TOPIC)
			continue;
		if (!tell_one(rq, &d, result))
			return false;
	}
	return true;
}

/* Of all brokers: only what was set for all of them. */
static bool describe_brokers(struct request *rq, const struct describe_configs_request_describe_configs_resource *r,
			     struct describe_configs_response_describe_configs_result *result)
{
	size_t count;
	const struct config_entry *entries = image_broker_configs(rq->broker->image, -1, &count);
	struct config_layers layers = {
		.config = broker_config(rq->broker->broker), .brokers = entries, .brokers_count = count};

	result->configs = told_alloc(rq, count, sizeof(*result->configs));
	if (!result->configs)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct config_described d;
		enum config_id id;

		if (!config_find(entries[i].name, &id) || !is_asked(r, config_definition(id)->name))
			continue;
		if (!config_describe(&layers, id, &rq->arena, &d)) {
			request_close(rq, "the answer is too large");
			return false;
		}
		d.synonym_count = 1; /* what stands behind it is each broker's own */
		if (!tell_one(rq, &d, result))
			return false;
	}
	return true;
}

/* True: `text` is this broker's id; else the refusal is in `result`. */
static bool names_this_broker(struct request *rq, struct bytes name,
			      struct describe_configs_response_describe_configs_result *result)
{
	int32_t own = broker_node_id(rq->broker->broker), id;
	char text[200];

	if (!told_parse_id(name, &id))
		snprintf(text, sizeof(text), "Broker id must be an integer, but it is: %.*s",
			 (int)(name.size > 100 ? 100 : name.size), (const char *)name.data);
	else if (id != own)
		snprintf(text, sizeof(text), "Unexpected broker id, expected %d or empty string, but received %d", own,
			 id);
	else
		return true;
	fail(result, ERR_INVALID_REQUEST, "");
	result->error_message = arena_copy(&rq->arena, bytes_str(text));
	return false;
}

/* Client metrics of any name have settings, whether somebody set some or not (behaviours no. 18). */
static bool describe_client_metrics(struct request *rq,
				    const struct describe_configs_request_describe_configs_resource *r,
				    struct describe_configs_response_describe_configs_result *result)
{
	size_t count;
	const struct config_entry *entries = image_resource_configs(rq->broker->image, CONFIG_OF_CLIENT_METRICS,
								    r->resource_name, &count);

	if (r->resource_name.size == 0) {
		fail(result, ERR_INVALID_REQUEST, "Client metrics subscription name must not be empty");
		return true;
	}
	result->configs = told_alloc(rq, CLIENT_METRICS_CONFIG_COUNT, sizeof(*result->configs));
	if (!result->configs)
		return false;
	for (size_t i = 0; i < CLIENT_METRICS_CONFIG_COUNT; i++) {
		struct config_described d;

		if (!is_asked(r, client_metrics_definition(i)->name))
			continue;
		if (!client_metrics_describe(entries, count, i, &rq->arena, &d)) {
			request_close(rq, "the answer is too large");
			return false;
		}
		if (!tell_one(rq, &d, result))
			return false;
	}
	return true;
}

static bool describe_group(struct request *rq, const struct describe_configs_request_describe_configs_resource *r,
			   struct describe_configs_response_describe_configs_result *result)
{
	const struct broker_shard *b = rq->broker;
	struct config_layers layers = image_layers(b->image, broker_config(b->broker), broker_node_id(b->broker), NULL);
	size_t count;
	const struct config_entry *entries = image_resource_configs(b->image, CONFIG_OF_GROUP, r->resource_name,
								    &count);

	if (r->resource_name.size == 0) {
		fail(result, ERR_INVALID_REQUEST, "Group name must not be empty");
		return true;
	}
	result->configs = told_alloc(rq, GROUP_CONFIG_COUNT, sizeof(*result->configs));
	if (!result->configs)
		return false;
	for (enum group_config_id id = 0; id < GROUP_CONFIG_COUNT; id++) {
		struct config_described d;

		if (group_config_definition(id)->internal || !is_asked(r, group_config_definition(id)->name))
			continue;
		if (!group_config_describe(&layers, entries, count, id, &rq->arena, &d)) {
			request_close(rq, "the answer is too large");
			return false;
		}
		if (!tell_one(rq, &d, result))
			return false;
	}
	return true;
}

/* There is one logger, the root of all; each shard has the same level. */
static bool describe_logger(struct request *rq, const struct describe_configs_request_describe_configs_resource *r,
			    struct describe_configs_response_describe_configs_result *result)
{
	static const char *const names[] = {
		[LOG_DEBUG] = "DEBUG", [LOG_INFO] = "INFO", [LOG_WARN] = "WARN", [LOG_ERROR] = "ERROR"};
	const struct logger *l = shard_log(rq->shard);

	if (r->resource_name.size == 0) {
		fail(result, ERR_INVALID_REQUEST, "Broker id must not be empty");
		return true;
	}
	if (!names_this_broker(rq, r->resource_name, result) || !is_asked(r, "root"))
		return true;
	result->configs = told_alloc(rq, 1, sizeof(*result->configs));
	if (!result->configs)
		return false;
	result->configs[result->configs_count++] = (struct describe_configs_response_describe_configs_resource_result){
		.name = bytes_str("root"),
		.value = bytes_str(names[l ? l->least : LOG_INFO]),
		.config_source = CONFIG_SOURCE_LOGGER,
		.documentation = bytes_empty(),
	};
	return true;
}

static bool describe_broker(struct request *rq, const struct describe_configs_request_describe_configs_resource *r,
			    struct describe_configs_response_describe_configs_result *result)
{
	const struct broker_shard *b = rq->broker;
	struct config_layers layers = image_layers(b->image, broker_config(b->broker), broker_node_id(b->broker), NULL);

	if (r->resource_name.size == 0)
		return describe_brokers(rq, r, result);
	if (!names_this_broker(rq, r->resource_name, result))
		return true;
	result->configs = told_alloc(rq, CONFIG_COUNT, sizeof(*result->configs));
	if (!result->configs)
		return false;
	for (enum config_id i = 0; i < CONFIG_COUNT; i++) {
		struct config_described d;

		if (config_definition(i)->internal || !is_asked(r, config_definition(i)->name))
			continue;
		if (!config_describe(&layers, i, &rq->arena, &d)) {
			request_close(rq, "the answer is too large");
			return false;
		}
		if (!tell_one(rq, &d, result))
			return false;
	}
	return true;
}

static bool describe(struct request *rq, const struct describe_configs_request_describe_configs_resource *r,
		     struct describe_configs_response_describe_configs_result *result)
{
	result->resource_type = r->resource_type;
	result->resource_name = r->resource_name;
	result->error_message = bytes_empty();
	switch ((enum config_resource)r->resource_type) {
	case CONFIG_OF_TOPIC:
		return describe_topic(rq, r, result);
	case CONFIG_OF_BROKER:
		return describe_broker(rq, r, result);
	case CONFIG_OF_LOGGER:
		return describe_logger(rq, r, result);
	case CONFIG_OF_CLIENT_METRICS:
		return describe_client_metrics(rq, r, result);
	case CONFIG_OF_GROUP:
		return describe_group(rq, r, result);
	}
	must_not_reach(); /* is_known_type */
}

static bool is_known_type(int8_t type)
{
	return type == CONFIG_OF_TOPIC || type == CONFIG_OF_BROKER || type == CONFIG_OF_LOGGER ||
	       type == CONFIG_OF_CLIENT_METRICS || type == CONFIG_OF_GROUP;
}

static void describe_configs_begin(struct request *rq)
{
	const struct describe_configs_request *body = rq->body;
	struct describe_configs_response answer;
	bool known = true;

	message_init(&describe_configs_response_type, &answer);
	answer.results = told_alloc(rq, (size_t)body->resources_count, sizeof(*answer.results));
	if (!answer.results)
		return;
	/* One kind that Kafka does not know spoils the whole request. */
	for (int32_t i = 0; i < body->resources_count; i++)
		known = known && is_known_type(body->resources[i].resource_type);
	for (int32_t i = 0; i < body->resources_count; i++) {
		struct describe_configs_response_describe_configs_result *result =
			&answer.results[answer.results_count++];

		if (!known) {
			result->resource_type = body->resources[i].resource_type;
			result->resource_name = body->resources[i].resource_name;
			fail(result, ERR_INVALID_REQUEST, INVALID_TEXT);
		} else if (!describe(rq, &body->resources[i], result)) {
			return;
		}
	}
	request_reply(rq, &answer);
}

const struct api_handler describe_configs_handler = {
	.key = API_DESCRIBE_CONFIGS,
	.min_version = 1,
	.max_version = 4,
	.begin = describe_configs_begin,
};
