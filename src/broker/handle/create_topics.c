/*
 * create_topics: CreateTopics 2-7. Names that come twice, and those that nobody may create, are refused here, the rest is the
 * controller's; what it decided is durable and in every shard's image before the answer.
 * May call: the controller (from a fiber), the image, request.h.
 */
#include "base/map.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "config/topic_config.h"
#include "controller/controller.h"
#include "protocol/messages.h"

#define METADATA_TOPIC "__cluster_metadata" /* Kafka's own log of its metadata, which is no topic here */

static void tell(struct create_topics_response *answer, struct bytes name, enum err e, struct bytes message)
{
	answer->topics[answer->topics_count++] = (struct create_topics_response_creatable_topic_result){
		.name = name,
		.error_code = err_to_kafka(e),
		.error_message = message,
		.num_partitions = -1,
		.replication_factor = -1,
	};
}

/* A setting that came with the request is told as it came, spaces included (behaviours no. 11); the last of a name counts. */
static struct bytes as_given(const struct create_topic *t, const char *name, struct bytes effective)
{
	for (size_t i = t->config_count; i-- > 0;)
		if (bytes_equal_str(t->configs[i].name, name))
			return t->configs[i].value;
	return effective;
}

/* All settings of a topic, as in DescribeConfigs; of one that was only validated, those that it would have. */
static bool tell_configs(struct request *rq, const struct create_topic *t,
			 struct create_topics_response_creatable_topic_result *told)
{
	const struct broker_shard *b = rq->broker;
	struct config_layers layers = image_layers(b->image, broker_config(b->broker), broker_node_id(b->broker), NULL);

	layers.topic = t->configs;
	layers.topic_count = t->config_count;
	told->configs = told_alloc(rq, TOPIC_CONFIG_COUNT, sizeof(*told->configs));
	if (!told->configs)
		return false;
	for (enum topic_config_id id = 0; id < TOPIC_CONFIG_COUNT; id++) {
		struct config_described d;

		if (!topic_config_describe(&layers, id, &rq->arena, &d)) {
			request_close(rq, "the answer is too large");
			return false;
		}
		/* Only where somebody set it. */
		if (topic_config_definition(id)->internal && d.source != CONFIG_SOURCE_TOPIC)
			continue;
		told->configs[told->configs_count++] = (struct create_topics_response_creatable_topic_configs){
			bytes_str(d.definition->name), as_given(t, d.definition->name, d.value), d.read_only,
			(int8_t)d.source, d.sensitive};
	}
	return true;
}

/* False: the request was closed. */
static bool tell_outcome(struct request *rq, const struct create_topic *t, struct create_topics_response *answer)
{
	struct create_topics_response_creatable_topic_result *told = &answer->topics[answer->topics_count];

	tell(answer, t->name, t->error, t->message);
	if (t->error)
		return true;
	/* Kafka gives an id also to what it only checks. */
	told->topic_id = uuid_is_zero(t->topic_id) ? uuid_random(shard_random(rq->shard)) : t->topic_id;
	told->num_partitions = t->ret_partitions;
	told->replication_factor = t->ret_replication_factor;
	return rq->header.api_version < 5 || tell_configs(rq, t, told);
}

static bool fill_topic(struct request *rq, const struct create_topics_request_creatable_topic *asked,
		       struct create_topic *topic)
{
	struct topic_assignment *assignments = told_alloc(rq, (size_t)asked->assignments_count, sizeof(*assignments));
	struct config_entry *configs;

	if (!assignments)
		return false;
	configs = told_alloc(rq, (size_t)asked->configs_count, sizeof(*configs));
	if (!configs)
		return false;
	for (int32_t i = 0; i < asked->assignments_count; i++)
		assignments[i] = (struct topic_assignment){asked->assignments[i].partition_index,
							   asked->assignments[i].broker_ids,
							   (size_t)asked->assignments[i].broker_ids_count};
	for (int32_t i = 0; i < asked->configs_count; i++)
		configs[i] = (struct config_entry){asked->configs[i].name, asked->configs[i].value};
	*topic = (struct create_topic){
		.name = asked->name,
		.partitions = asked->num_partitions,
		.replication_factor = asked->replication_factor,
		.assignments = assignments,
		.assignment_count = (size_t)asked->assignments_count,
		.configs = configs,
		.config_count = (size_t)asked->configs_count,
	};
	return true;
}

struct creation {
	struct create_topics call;
	const char **
		refused; /* by place in the request; NULL: it goes to the controller, or a later place of its name is told */
};

/* Sorts the request into what goes to the controller and what is refused. False: the request was closed. */
static bool sort_topics(struct request *rq, const struct create_topics_request *body, struct creation *c)
{
	size_t count = (size_t)body->topics_count;
	struct map first;
	bool fits = true;

	c->call.topics = told_alloc(rq, count, sizeof(*c->call.topics));
	if (!c->call.topics)
		return false;
	c->refused = told_alloc(rq, count, sizeof(*c->refused));
	if (!c->refused)
		return false;
	map_init_seeded(&first, shard_map_seed(rq->shard));
	for (size_t i = 0; i < count; i++) {
		const char **earlier = map_put(&first, body->topics[i].name, &c->refused[i]);

		if (bytes_equal_str(body->topics[i].name, METADATA_TOPIC))
			c->refused[i] = "Creation of internal topic " METADATA_TOPIC " is prohibited.";
		if (earlier) {
			*earlier = NULL;
			c->refused[i] = "Duplicate topic name.";
		}
	}
	for (size_t i = 0; i < count && fits; i++)
		if (map_get(&first, body->topics[i].name) == &c->refused[i] && !c->refused[i])
			fits = fill_topic(rq, &body->topics[i], &c->call.topics[c->call.count++]);
	map_fini(&first);
	return fits;
}

static void create_topics_main(struct fiber *self, struct request *rq)
{
	const struct create_topics_request *body = rq->body;
	struct creation c = {
		.call = {.validate_only = body->validate_only, .arena = &rq->arena, .seed = shard_map_seed(rq->shard)}};
	struct create_topics_response answer;

	if (!sort_topics(rq, body, &c))
		return;
	message_init(&create_topics_response_type, &answer);
	answer.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*answer.topics));
	if (!answer.topics)
		return;
	if (body->timeout_ms <= 0) {
		/* There is no time to do it in: Kafka says so before it starts. */
		for (size_t i = 0; i < c.call.count; i++)
			tell(&answer, c.call.topics[i].name, ERR_REQUEST_TIMED_OUT, bytes_null());
	} else {
		controller_create_topics_from_await(self, broker_controller(rq->broker->broker), &c.call);
		for (size_t i = 0; i < c.call.count; i++)
			if (!tell_outcome(rq, &c.call.topics[i], &answer))
				return;
	}
	for (int32_t i = 0; i < body->topics_count; i++)
		if (c.refused[i])
			tell(&answer, body->topics[i].name, ERR_INVALID_REQUEST, bytes_str(c.refused[i]));
	request_reply(rq, &answer);
}

static void create_topics_begin(struct request *rq)
{
	request_run_fiber(rq, "create-topics", create_topics_main);
}

const struct api_handler create_topics_handler = {
	.key = API_CREATE_TOPICS,
	.min_version = 2,
	.max_version = 7,
	.begin = create_topics_begin,
};
