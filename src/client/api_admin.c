/* api_admin: topics, offsets, settings: the public calls and the fibers that answer them. api_describe.c has what describes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "client/admin.h"
#include "client/api.h"
#include "client/api_own.h"
#include "protocol/messages.h"

#define CREATE_TOPICS_NEWEST 7
#define DELETE_TOPICS_NEWEST 6
#define DELETE_BY_STATE 6
#define DESCRIBE_CONFIGS_NEWEST 4
#define SOURCE_DEFAULT 5

char *api_text(struct bytes b)
{
	char *text;

	if (bytes_is_null(b))
		return NULL;
	text = mem_alloc(b.size + 1);
	memcpy(text, b.data, b.size);
	text[b.size] = '\0';
	return text;
}

void api_fill_error(struct mo_err *e, int16_t code, struct bytes words, const char *what)
{
	if (words.size > 0)
		api_error(e, code, "%s: %.*s", what, words.size < 400 ? (int)words.size : 400,
			  (const char *)words.data);
	else
		api_error(e, code, "%s: %s", what, err_text((enum err)code));
}

enum err api_ask_await(struct fiber *self, struct api_job *job, const struct admin_question *q, struct blob **ret_frame)
{
	struct admin_question mine = *q;

	mine.client = job->client->core;
	mine.deadline_us = job->deadline_us;
	return admin_ask_await(self, &mine, ret_frame, &job->error);
}

enum err api_change_await(struct fiber *self, struct api_job *job, const struct admin_question *q, const char *what)
{
	struct admin_outcome o = {0};
	struct blob *frame = NULL;
	enum err e = api_ask_await(self, job, q, &frame);

	if (e)
		return e;
	must(q->outcome(q->response, &o));
	if (o.code)
		api_fill_error(&job->error, o.code, o.words, what);
	blob_unref(frame);
	return OK;
}

/* --- create ------------------------------------------------------------------------------------------------------ */

static bool created(const void *response, struct admin_outcome *ret)
{
	const struct create_topics_response *r = response;

	if (r->topics_count != 1)
		return false;
	*ret = (struct admin_outcome){r->topics[0].error_code, r->topics[0].error_message};
	return true;
}

static void create_await(struct fiber *self, struct api_job *job)
{
	const struct mo_new_topic *t = job->arguments;
	struct create_topics_request_creatable_topic topic = {
		.name = bytes_str(t->name),
		.num_partitions = t->partitions,
		.replication_factor = t->replication_factor,
	};
	struct create_topics_request request;
	struct create_topics_response response;
	struct arena arena;

	arena_init(&arena, API_ARENA_MAX);
	topic.configs = arena_alloc_array(&arena, t->config_count + 1, sizeof(*topic.configs));
	if (!topic.configs) {
		api_fill_error(&job->error, ERR_NO_MEMORY, bytes_null(), t->name);
		arena_fini(&arena);
		return;
	}
	for (size_t i = 0; i < t->config_count; i++) {
		topic.configs[i].name = bytes_str(t->configs[i].name);
		topic.configs[i].value = bytes_str(t->configs[i].value);
	}
	topic.configs_count = (int32_t)t->config_count;
	message_init(&create_topics_request_type, &request);
	request.topics = &topic;
	request.topics_count = 1;
	request.timeout_ms = (int32_t)job->client->config.request_timeout_ms;
	request.validate_only = t->validate_only;
	api_change_await(self, job,
			 &(struct admin_question){.api_key = API_CREATE_TOPICS,
						  .newest = CREATE_TOPICS_NEWEST,
						  .request = &request,
						  .response = &response,
						  .arena = &arena,
						  .outcome = created},
			 t->name);
	arena_fini(&arena);
}

int mo_topic_create(struct mo_client *c, const struct mo_new_topic *t, struct mo_err *ret_err)
{
	struct api_job job = {.work_await = create_await, .arguments = (void *)(uintptr_t)t};

	if (!t->name)
		return api_error(ret_err, ERR_USAGE, "a topic needs a name");
	return api_run(c, &job, ret_err);
}

/* --- delete ------------------------------------------------------------------------------------------------------ */

static bool deleted(const void *response, struct admin_outcome *ret)
{
	const struct delete_topics_response *r = response;

	if (r->responses_count != 1)
		return false;
	*ret = (struct admin_outcome){r->responses[0].error_code, r->responses[0].error_message};
	return true;
}

static void delete_await(struct fiber *self, struct api_job *job)
{
	const char *name = job->arguments;
	struct delete_topics_request_delete_topic_state state = {.name = bytes_str(name)};
	struct bytes old_name = bytes_str(name);
	struct delete_topics_response response;
	struct delete_topics_request request;
	struct arena arena;
	struct admin_question q = {
		.api_key = API_DELETE_TOPICS,
		.newest = DELETE_TOPICS_NEWEST,
		.request = &request,
		.response = &response,
		.arena = &arena,
		.outcome = deleted,
	};

	arena_init(&arena, API_ARENA_MAX);
	message_init(&delete_topics_request_type, &request);
	request.topics = &state;
	request.topics_count = 1;
	request.timeout_ms = (int32_t)job->client->config.request_timeout_ms;
	if (api_change_await(self, job, &q, name) == ERR_BAD_VERSION) {
		/* A broker before 2.8 takes names another way. */
		request.topics = NULL;
		request.topics_count = 0;
		request.topic_names = &old_name;
		request.topic_names_count = 1;
		q.newest = DELETE_BY_STATE - 1;
		job->error.code = OK;
		api_change_await(self, job, &q, name);
	}
	arena_fini(&arena);
}

int mo_topic_delete(struct mo_client *c, const char *name, struct mo_err *ret_err)
{
	struct api_job job = {.work_await = delete_await, .arguments = (void *)(uintptr_t)name};

	return api_run(c, &job, ret_err);
}

/* --- settings ---------------------------------------------------------------------------------------------------- */

struct config_arguments {
	enum mo_resource kind;
	const char *name;
};

static int by_config_name(const void *a, const void *b)
{
	return strcmp(((const struct mo_config *)a)->name, ((const struct mo_config *)b)->name);
}

static void copy_configs(const struct describe_configs_response_describe_configs_result *from, struct mo_configs *to)
{
	to->count = (size_t)(from->configs_count > 0 ? from->configs_count : 0);
	to->configs = mem_zalloc((to->count + 1) * sizeof(*to->configs));
	for (size_t i = 0; i < to->count; i++) {
		const struct describe_configs_response_describe_configs_resource_result *r = &from->configs[i];

		to->configs[i] = (struct mo_config){
			.name = api_text(r->name),
			.value = api_text(r->value),
			.is_default = r->config_source == SOURCE_DEFAULT,
			.read_only = r->read_only,
			.sensitive = r->is_sensitive,
			.source = r->config_source,
		};
	}
	qsort(to->configs, to->count, sizeof(*to->configs), by_config_name);
}

static void configs_await(struct fiber *self, struct api_job *job)
{
	const struct config_arguments *a = job->arguments;
	struct describe_configs_request_describe_configs_resource resource = {
		.resource_type = (int8_t)a->kind,
		.resource_name = bytes_str(a->name),
		.configuration_keys_count = -1,
	};
	struct describe_configs_response response;
	struct describe_configs_request request;
	struct blob *frame = NULL;
	struct arena arena;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&describe_configs_request_type, &request);
	request.resources = &resource;
	request.resources_count = 1;
	if (api_ask_await(self, job,
			  &(struct admin_question){.api_key = API_DESCRIBE_CONFIGS,
						   .newest = DESCRIBE_CONFIGS_NEWEST,
						   .request = &request,
						   .response = &response,
						   .arena = &arena},
			  &frame) == OK) {
		if (response.results_count != 1)
			api_error(&job->error, ERR_MALFORMED, "an answer about another resource");
		else if (response.results[0].error_code)
			api_fill_error(&job->error, response.results[0].error_code, response.results[0].error_message,
				       a->name);
		else
			copy_configs(&response.results[0], job->result);
		blob_unref(frame);
	}
	arena_fini(&arena);
}

int mo_config_describe(struct mo_client *c, enum mo_resource kind, const char *name, struct mo_configs *ret_configs,
		       struct mo_err *ret_err)
{
	struct config_arguments a = {.kind = kind, .name = name};
	struct api_job job = {.work_await = configs_await, .arguments = &a, .result = ret_configs};

	return api_run(c, &job, ret_err);
}

void mo_configs_free(struct mo_configs *configs)
{
	for (size_t i = 0; i < configs->count; i++) {
		mem_free(configs->configs[i].name);
		mem_free(configs->configs[i].value);
	}
	mem_free(configs->configs);
	*configs = (struct mo_configs){0};
}
