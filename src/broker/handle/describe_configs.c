/*
 * describe_configs: DescribeConfigs 1-4, of topics and of this broker: the effective values, where each is from, and what
 * stands behind it. Other resources that Kafka knows are not there yet and are described as such.
 * May call: the image, config/, request.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "config/topic_config.h"
#include "protocol/messages.h"

enum resource_type {
	RESOURCE_TOPIC = 2,
	RESOURCE_BROKER = 4,
	RESOURCE_BROKER_LOGGER = 8,
	RESOURCE_CLIENT_METRICS = 16,
	RESOURCE_GROUP = 32
};

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

		if (topic_config_definition(id)->internal || !is_asked(r, topic_config_definition(id)->name))
			continue;
		if (!topic_config_describe(&layers, id, &rq->arena, &d)) {
			request_close(rq, "the answer is too large");
			return false;
		}
		if (!tell_one(rq, &d, result))
			return false;
	}
	return true;
}

static bool parse_id(struct bytes text, int32_t *ret_id)
{
	char copy[16] = {0};
	char *end;
	long value;

	if (text.size == 0 || text.size >= sizeof(copy))
		return false;
	memcpy(copy, text.data, text.size);
	value = strtol(copy, &end, 10);
	if (*end != '\0' || copy[0] == ' ' || value < INT32_MIN || value > INT32_MAX)
		return false;
	*ret_id = (int32_t)value;
	return true;
}

/* Of all brokers: only what was set for all of them, and nothing of that exists before there are dynamic settings. */
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

	if (!parse_id(name, &id))
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

/* Client metrics of any name have these until somebody sets others (behaviours no. 18). */
static bool describe_client_metrics(struct request *rq,
				    const struct describe_configs_request_describe_configs_resource *r,
				    struct describe_configs_response_describe_configs_result *result)
{
	static const struct config_definition definitions[] = {
		{.name = "interval.ms",
		 .default_text = "300000",
		 .type = CONFIG_TYPE_INT,
		 .documentation = "How often, in milliseconds, clients push their metrics."},
		{.name = "match",
		 .default_text = "",
		 .type = CONFIG_TYPE_LIST,
		 .documentation = "Which clients push metrics: a comma-separated list of name=pattern."},
		{.name = "metrics",
		 .default_text = "",
		 .type = CONFIG_TYPE_LIST,
		 .documentation = "Prefixes of the names of the metrics that clients push."},
	};

	result->configs = told_alloc(rq, countof(definitions), sizeof(*result->configs));
	if (!result->configs)
		return false;
	for (size_t i = 0; i < countof(definitions); i++) {
		struct config_described d = {.definition = &definitions[i],
					     .value = bytes_str(definitions[i].default_text),
					     .source = CONFIG_SOURCE_DEFAULT};

		if (is_asked(r, definitions[i].name) && !tell_one(rq, &d, result))
			return false;
	}
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
	switch ((enum resource_type)r->resource_type) {
	case RESOURCE_TOPIC:
		return describe_topic(rq, r, result);
	case RESOURCE_BROKER:
		return describe_broker(rq, r, result);
	case RESOURCE_BROKER_LOGGER:
		(void)names_this_broker(rq, r->resource_name, result); /* and it has no loggers that could be set */
		return true;
	case RESOURCE_CLIENT_METRICS:
		return describe_client_metrics(rq, r, result);
	case RESOURCE_GROUP:
		break;
	}
	fail(result, ERR_INVALID_REQUEST, "This kind of resource is not there yet.");
	return true;
}

static bool is_known_type(int8_t type)
{
	return type == RESOURCE_TOPIC || type == RESOURCE_BROKER || type == RESOURCE_BROKER_LOGGER ||
	       type == RESOURCE_CLIENT_METRICS || type == RESOURCE_GROUP;
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
