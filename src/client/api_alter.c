/* api_alter: what changes a topic or a setting that is there: the public calls and the fibers that answer them. */
#include "base/alloc.h"
#include "client/admin.h"
#include "client/api.h"
#include "client/api_own.h"
#include "protocol/messages.h"

#define CREATE_PARTITIONS_NEWEST 3
#define DELETE_RECORDS_NEWEST 2
#define INCREMENTAL_ALTER_CONFIGS_NEWEST 1

/* --- partitions -------------------------------------------------------------------------------------------------------- */

struct partitions_arguments {
	const char *name;
	int32_t count;
	bool validate_only;
};

static bool added(const void *response, struct admin_outcome *ret)
{
	const struct create_partitions_response *r = response;

	if (r->results_count != 1)
		return false;
	*ret = (struct admin_outcome){r->results[0].error_code, r->results[0].error_message};
	return true;
}

static void add_partitions_await(struct fiber *self, struct api_job *job)
{
	const struct partitions_arguments *a = job->arguments;
	struct create_partitions_request_create_partitions_topic topic = {
		.name = bytes_str(a->name), .count = a->count, .assignments_count = -1};
	struct create_partitions_request request;
	struct create_partitions_response response;
	struct arena arena;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&create_partitions_request_type, &request);
	request.topics = &topic;
	request.topics_count = 1;
	request.timeout_ms = (int32_t)job->client->config.request_timeout_ms;
	request.validate_only = a->validate_only;
	api_change_await(self, job,
			 &(struct admin_question){.api_key = API_CREATE_PARTITIONS,
						  .newest = CREATE_PARTITIONS_NEWEST,
						  .request = &request,
						  .response = &response,
						  .arena = &arena,
						  .outcome = added},
			 a->name);
	arena_fini(&arena);
}

int mo_topic_add_partitions(struct mo_client *c, const char *name, int32_t partitions, int validate_only,
			    struct mo_err *ret_err)
{
	struct partitions_arguments a = {.name = name, .count = partitions, .validate_only = validate_only};
	struct api_job job = {.work_await = add_partitions_await, .arguments = &a};

	if (!name)
		return api_error(ret_err, ERR_USAGE, "a topic needs a name");
	return api_run(c, &job, ret_err);
}

/* --- records ----------------------------------------------------------------------------------------------------------- */

struct records_arguments {
	const char *topic;
	int32_t partition;
	int64_t offset;
};

static enum err look_deleted(const void *response)
{
	const struct delete_records_response *r = response;
	enum err e;

	if (r->topics_count != 1 || r->topics[0].partitions_count != 1)
		return ERR_MALFORMED;
	/* Another leader by now, or a broker that is about to know. */
	e = (enum err)r->topics[0].partitions[0].error_code;
	return e && err_retriable(e) && e != ERR_UNKNOWN_TOPIC_OR_PARTITION ? e : OK;
}

static void delete_records_await(struct fiber *self, struct api_job *job)
{
	const struct records_arguments *a = job->arguments;
	struct delete_records_request_delete_records_partition partition = {.partition_index = a->partition,
									    .offset = a->offset};
	struct delete_records_request_delete_records_topic topic = {
		.name = bytes_str(a->topic), .partitions = &partition, .partitions_count = 1};
	struct delete_records_request request;
	struct delete_records_response response;
	struct blob *frame = NULL;
	struct arena arena;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&delete_records_request_type, &request);
	request.topics = &topic;
	request.topics_count = 1;
	request.timeout_ms = (int32_t)job->client->config.request_timeout_ms;
	if (api_ask_await(self, job,
			  &(struct admin_question){.api_key = API_DELETE_RECORDS,
						   .newest = DELETE_RECORDS_NEWEST,
						   .topic = a->topic,
						   .partition = a->partition,
						   .request = &request,
						   .response = &response,
						   .arena = &arena,
						   .look = look_deleted},
			  &frame) == OK) {
		if (response.topics[0].partitions[0].error_code)
			api_fill_error(&job->error, response.topics[0].partitions[0].error_code, bytes_null(),
				       a->topic);
		else
			*(int64_t *)job->result = response.topics[0].partitions[0].low_watermark;
		blob_unref(frame);
	}
	arena_fini(&arena);
}

int mo_records_delete(struct mo_client *c, const char *topic, int32_t partition, int64_t offset, int64_t *ret_start,
		      struct mo_err *ret_err)
{
	struct records_arguments a = {.topic = topic, .partition = partition, .offset = offset};
	int64_t start;
	struct api_job job = {.work_await = delete_records_await, .arguments = &a, .result = &start};
	int e;

	if (!topic || partition < 0 || offset < -1)
		return api_error(ret_err, ERR_USAGE, "a topic, a partition and an offset (or -1) are wanted");
	e = api_run(c, &job, ret_err);
	if (!e && ret_start)
		*ret_start = start;
	return e;
}

/* --- settings ---------------------------------------------------------------------------------------------------------- */

struct alter_arguments {
	enum mo_resource kind;
	const char *name;
	const struct mo_config_change *changes;
	size_t count;
	bool validate_only;
};

static bool altered(const void *response, struct admin_outcome *ret)
{
	const struct incremental_alter_configs_response *r = response;

	if (r->responses_count != 1)
		return false;
	*ret = (struct admin_outcome){r->responses[0].error_code, r->responses[0].error_message};
	return true;
}

static void alter_await(struct fiber *self, struct api_job *job)
{
	const struct alter_arguments *a = job->arguments;
	struct incremental_alter_configs_request_alter_configs_resource resource = {
		.resource_type = (int8_t)a->kind, .resource_name = bytes_str(a->name)};
	struct incremental_alter_configs_request request;
	struct incremental_alter_configs_response response;
	struct arena arena;

	arena_init(&arena, API_ARENA_MAX);
	resource.configs = arena_alloc_array(&arena, a->count + 1, sizeof(*resource.configs));
	if (!resource.configs) {
		api_fill_error(&job->error, ERR_NO_MEMORY, bytes_null(), a->name[0] ? a->name : "all brokers");
		arena_fini(&arena);
		return;
	}
	for (size_t i = 0; i < a->count; i++)
		resource.configs[resource.configs_count++] =
			(struct incremental_alter_configs_request_alterable_config){bytes_str(a->changes[i].name),
										    (int8_t)a->changes[i].kind,
										    bytes_str(a->changes[i].value)};
	message_init(&incremental_alter_configs_request_type, &request);
	request.resources = &resource;
	request.resources_count = 1;
	request.validate_only = a->validate_only;
	api_change_await(self, job,
			 &(struct admin_question){.api_key = API_INCREMENTAL_ALTER_CONFIGS,
						  .newest = INCREMENTAL_ALTER_CONFIGS_NEWEST,
						  .request = &request,
						  .response = &response,
						  .arena = &arena,
						  .outcome = altered},
			 a->name[0] ? a->name : "all brokers");
	arena_fini(&arena);
}

int mo_config_alter(struct mo_client *c, enum mo_resource kind, const char *name,
		    const struct mo_config_change *changes, size_t count, int validate_only, struct mo_err *ret_err)
{
	struct alter_arguments a = {
		.kind = kind, .name = name, .changes = changes, .count = count, .validate_only = validate_only};
	struct api_job job = {.work_await = alter_await, .arguments = &a};

	if (!name || (count && !changes) || count >= INT32_MAX)
		return api_error(ret_err, ERR_USAGE, "whose settings, and which?");
	return api_run(c, &job, ret_err);
}
