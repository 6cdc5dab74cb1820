/* api_describe: lists and descriptions of topics and of the cluster. */
#include <stdlib.h>

#include "base/alloc.h"
#include "client/admin.h"
#include "client/api.h"
#include "client/api_own.h"
#include "protocol/messages.h"

#define METADATA_NEWEST 13
#define DESCRIBE_CLUSTER_NEWEST 2
#define ENDPOINT_BROKERS 1

/* --- topics ------------------------------------------------------------------------------------------------------ */

static int32_t *copy_ids(const int32_t *ids, int32_t count, size_t *ret_count)
{
	*ret_count = (size_t)(count > 0 ? count : 0);
	return *ret_count ? mem_dup(ids, *ret_count * sizeof(*ids)) : NULL;
}

static int by_partition(const void *a, const void *b)
{
	return ((const struct mo_partition *)a)->partition - ((const struct mo_partition *)b)->partition;
}

static int by_topic_name(const void *a, const void *b)
{
	return strcmp(((const struct mo_topic *)a)->name, ((const struct mo_topic *)b)->name);
}

static void copy_topic(const struct metadata_response_metadata_response_topic *from, struct mo_topic *to)
{
	_Static_assert(sizeof(to->id) >= UUID_TEXT_SIZE, "an id as text fits");
	to->name = bytes_is_null(from->name) ? mem_strdup("") : api_text(from->name);
	if (!uuid_is_zero(from->topic_id))
		uuid_format(from->topic_id, to->id);
	to->internal = from->is_internal;
	to->code = from->error_code;
	to->partition_count = (size_t)(from->partitions_count > 0 ? from->partitions_count : 0);
	to->partitions = mem_zalloc((to->partition_count + 1) * sizeof(*to->partitions));
	for (size_t i = 0; i < to->partition_count; i++) {
		const struct metadata_response_metadata_response_partition *p = &from->partitions[i];
		struct mo_partition *into = &to->partitions[i];

		into->partition = p->partition_index;
		into->leader = p->leader_id;
		into->leader_epoch = p->leader_epoch;
		into->code = p->error_code;
		into->replicas = copy_ids(p->replica_nodes, p->replica_nodes_count, &into->replica_count);
		into->in_sync = copy_ids(p->isr_nodes, p->isr_nodes_count, &into->in_sync_count);
	}
	qsort(to->partitions, to->partition_count, sizeof(*to->partitions), by_partition);
}

static void topics_await(struct fiber *self, struct api_job *job)
{
	const char *name = job->arguments;
	struct mo_topics *result = job->result;
	struct metadata_request_metadata_request_topic topic = {.name = bytes_str(name)};
	struct metadata_response response;
	struct metadata_request request;
	struct blob *frame = NULL;
	struct arena arena;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&metadata_request_type, &request);
	request.allow_auto_topic_creation = false;
	request.topics = name ? &topic : NULL;
	request.topics_count = name ? 1 : -1;
	if (api_ask_await(self, job,
			  &(struct admin_question){.api_key = API_METADATA,
						   .newest = METADATA_NEWEST,
						   .request = &request,
						   .response = &response,
						   .arena = &arena},
			  &frame) == OK) {
		if (name && response.topics_count == 1 && response.topics[0].error_code) {
			enum err e = (enum err)response.topics[0].error_code;

			if (e == ERR_UNKNOWN_TOPIC_OR_PARTITION)
				api_error(&job->error, e, "topic %s does not exist; `moldau topic list` shows which do",
					  name);
			else
				api_error(&job->error, e, "topic %s: %s", name, err_text(e));
		} else {
			result->count = (size_t)(response.topics_count > 0 ? response.topics_count : 0);
			result->topics = mem_zalloc((result->count + 1) * sizeof(*result->topics));
			for (size_t i = 0; i < result->count; i++)
				copy_topic(&response.topics[i], &result->topics[i]);
			qsort(result->topics, result->count, sizeof(*result->topics), by_topic_name);
		}
		blob_unref(frame);
	}
	arena_fini(&arena);
}

int mo_topic_list(struct mo_client *c, struct mo_topics *ret_topics, struct mo_err *ret_err)
{
	struct api_job job = {.work_await = topics_await, .result = ret_topics};

	return api_run(c, &job, ret_err);
}

int mo_topic_describe(struct mo_client *c, const char *name, struct mo_topics *ret_topics, struct mo_err *ret_err)
{
	struct api_job job = {.work_await = topics_await, .arguments = (void *)(uintptr_t)name, .result = ret_topics};

	if (!name || !*name)
		return api_error(ret_err, ERR_USAGE, "a topic's name is wanted");
	return api_run(c, &job, ret_err);
}

void mo_topics_free(struct mo_topics *t)
{
	for (size_t i = 0; i < t->count; i++) {
		for (size_t k = 0; k < t->topics[i].partition_count; k++) {
			mem_free(t->topics[i].partitions[k].replicas);
			mem_free(t->topics[i].partitions[k].in_sync);
		}
		mem_free(t->topics[i].partitions);
		mem_free(t->topics[i].name);
	}
	mem_free(t->topics);
	*t = (struct mo_topics){0};
}

/* --- the cluster ------------------------------------------------------------------------------------------------- */

static int by_node_id(const void *a, const void *b)
{
	return ((const struct mo_node *)a)->id - ((const struct mo_node *)b)->id;
}

static void copy_cluster(const struct describe_cluster_response *from, struct mo_cluster *to)
{
	to->id = api_text(from->cluster_id);
	to->controller = from->controller_id;
	to->node_count = (size_t)(from->brokers_count > 0 ? from->brokers_count : 0);
	to->nodes = mem_zalloc((to->node_count + 1) * sizeof(*to->nodes));
	for (size_t i = 0; i < to->node_count; i++)
		to->nodes[i] = (struct mo_node){
			.id = from->brokers[i].broker_id,
			.host = api_text(from->brokers[i].host),
			.port = from->brokers[i].port,
			.rack = api_text(from->brokers[i].rack),
		};
	qsort(to->nodes, to->node_count, sizeof(*to->nodes), by_node_id);
}

static void cluster_job_await(struct fiber *self, struct api_job *job)
{
	struct describe_cluster_response response;
	struct describe_cluster_request request;
	struct blob *frame = NULL;
	struct arena arena;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&describe_cluster_request_type, &request);
	request.endpoint_type = ENDPOINT_BROKERS;
	if (api_ask_await(self, job,
			  &(struct admin_question){.api_key = API_DESCRIBE_CLUSTER,
						   .newest = DESCRIBE_CLUSTER_NEWEST,
						   .request = &request,
						   .response = &response,
						   .arena = &arena},
			  &frame) == OK) {
		if (response.error_code)
			api_error(&job->error, response.error_code, "%s", err_text((enum err)response.error_code));
		else
			copy_cluster(&response, job->result);
		blob_unref(frame);
	}
	arena_fini(&arena);
}

int mo_cluster_describe(struct mo_client *c, struct mo_cluster *ret_cluster, struct mo_err *ret_err)
{
	struct api_job job = {.work_await = cluster_job_await, .result = ret_cluster};

	return api_run(c, &job, ret_err);
}

void mo_cluster_free(struct mo_cluster *cluster)
{
	for (size_t i = 0; i < cluster->node_count; i++) {
		mem_free(cluster->nodes[i].host);
		mem_free(cluster->nodes[i].rack);
	}
	mem_free(cluster->nodes);
	mem_free(cluster->id);
	*cluster = (struct mo_cluster){0};
}
