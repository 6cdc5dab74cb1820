/* api_group: lists, descriptions and deletions of groups: the public calls and the fibers that answer them. */
#include <stdlib.h>

#include "base/alloc.h"
#include "client/admin.h"
#include "client/api.h"
#include "client/api_own.h"
#include "client/assign.h"
#include "client/coordinators.h"
#include "protocol/messages.h"

#define METADATA_NEWEST 13
#define LIST_GROUPS_NEWEST 5
#define DESCRIBE_GROUPS_NEWEST 6
#define CONSUMER_GROUP_DESCRIBE_NEWEST 1
#define DELETE_GROUPS_NEWEST 3
#define MEMBER_TYPE_CLASSIC 0

void coordinators_init(struct coordinators *c, struct api_job *job, const char *const *groups, size_t count)
{
	*c = (struct coordinators){
		.client = job->client->core, .count = count, .deadline_us = job->deadline_us, .most = GROUP_KEYS_MAX};
	c->keys = mem_zalloc((count + 1) * sizeof(*c->keys));
	for (size_t i = 0; i < count; i++)
		c->keys[i].name = groups[i];
}

/* --- lists ------------------------------------------------------------------------------------------------------- */

struct list_arguments {
	const struct mo_group_filter *filter;
	size_t capacity;
};

static struct bytes *texts(const char *const *from, size_t count, struct arena *a)
{
	struct bytes *to = arena_alloc_array(a, count + 1, sizeof(*to));

	for (size_t i = 0; to && i < count; i++)
		to[i] = bytes_str(from[i]);
	return to;
}

static int by_group_id(const void *a, const void *b)
{
	return strcmp(((const struct mo_group_listing *)a)->id, ((const struct mo_group_listing *)b)->id);
}

static void free_listing(struct mo_group_listing *g)
{
	mem_free(g->id);
	mem_free(g->protocol_type);
	mem_free(g->state);
	mem_free(g->type);
}

static char *text_or_null(struct bytes b)
{
	return b.size > 0 ? api_text(b) : NULL;
}

static void take_listings(const struct list_groups_response *from, struct list_arguments *l, struct mo_group_list *to)
{
	for (int32_t i = 0; i < from->groups_count; i++) {
		const struct list_groups_response_listed_group *g = &from->groups[i];

		to->groups = mem_grow(to->groups, &l->capacity, to->count + 1, sizeof(*to->groups));
		to->groups[to->count++] = (struct mo_group_listing){.id = api_text(g->group_id),
								    .protocol_type = api_text(g->protocol_type),
								    .state = text_or_null(g->group_state),
								    .type = text_or_null(g->group_type)};
	}
}

static enum err list_once_await(struct fiber *self, struct api_job *job, struct peer *peer, struct arena *arena)
{
	struct list_arguments *l = job->arguments;
	const struct client *c = job->client->core;
	int64_t most_us = shard_now_us(c->shard) + c->config->request_timeout_ms * 1000;
	struct list_groups_response response;
	struct list_groups_request request;
	struct blob *frame = NULL;
	enum err e;

	message_init(&list_groups_request_type, &request);
	if (l->filter) {
		request.states_filter = texts(l->filter->states, l->filter->state_count, arena);
		request.states_filter_count = (int32_t)l->filter->state_count;
		request.types_filter = texts(l->filter->types, l->filter->type_count, arena);
		request.types_filter_count = (int32_t)l->filter->type_count;
		if (!request.states_filter || !request.types_filter)
			return ERR_NO_MEMORY;
	}
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_LIST_GROUPS,
					      .newest = LIST_GROUPS_NEWEST,
					      .deadline_us = most_us < job->deadline_us ? most_us : job->deadline_us,
					      .request = &request,
					      .response = &response,
					      .arena = arena},
			   NULL, &frame);
	if (!e && response.error_code)
		e = (enum err)response.error_code;
	if (!e)
		take_listings(&response, l, job->result);
	blob_unref(frame);
	return e;
}

/* One broker's groups; its coordinators may still be loading. */
static enum err list_of_broker_await(struct fiber *self, struct api_job *job, int32_t node)
{
	struct client *c = job->client->core;
	unsigned failures = 0;
	enum err e;

	for (;;) {
		struct peer *peer = cluster_broker(&c->cluster, node);
		struct arena arena;
		int64_t wait_us;

		arena_init(&arena, API_ARENA_MAX);
		e = peer ? list_once_await(self, job, peer, &arena) : ERR_MALFORMED;
		arena_fini(&arena);
		if (!e || c->stopping || e == ERR_CANCELLED || e == ERR_UNSUPPORTED || e == ERR_BAD_VERSION ||
		    (c->config->fail_fast && e <= -1000) || (e > -1000 && !err_retriable(e)))
			return e;
		wait_us = client_backoff_us(c->shard, c->config, ++failures);
		if (shard_now_us(c->shard) + wait_us >= job->deadline_us || fiber_sleep_await(self, wait_us) != OK)
			return e;
	}
}

static void sort_list(struct mo_group_list *l)
{
	size_t kept = 0;

	if (l->count > 0)
		qsort(l->groups, l->count, sizeof(*l->groups), by_group_id);
	/* A group that moved meanwhile was told twice. */
	for (size_t i = 0; i < l->count; i++) {
		if (kept > 0 && strcmp(l->groups[kept - 1].id, l->groups[i].id) == 0)
			free_listing(&l->groups[i]);
		else
			l->groups[kept++] = l->groups[i];
	}
	l->count = kept;
}

enum err api_brokers_await(struct fiber *self, struct api_job *job, struct arena *arena, int32_t **ret_ids,
			   size_t *ret_count)
{
	struct cluster *cluster = &job->client->core->cluster;
	struct metadata_response response;
	struct metadata_request request;
	struct blob *frame = NULL;
	enum err e;

	message_init(&metadata_request_type, &request);
	request.topics_count = 0;
	request.allow_auto_topic_creation = false;
	e = api_ask_await(self, job,
			  &(struct admin_question){.api_key = API_METADATA,
						   .newest = METADATA_NEWEST,
						   .request = &request,
						   .response = &response,
						   .arena = arena},
			  &frame);
	if (e)
		return e;
	*ret_ids = arena_alloc_array(arena, (size_t)response.brokers_count + 1, sizeof(**ret_ids));
	*ret_count = *ret_ids ? (size_t)response.brokers_count : 0;
	for (size_t i = 0; i < *ret_count; i++) {
		(*ret_ids)[i] = response.brokers[i].node_id;
		cluster_note_broker(cluster, response.brokers[i].node_id, response.brokers[i].host,
				    response.brokers[i].port);
	}
	blob_unref(frame);
	return OK;
}

static void list_await(struct fiber *self, struct api_job *job)
{
	struct mo_group_list *l = job->result;
	struct arena arena;
	int32_t *ids = NULL;
	size_t count = 0;
	enum err e;

	arena_init(&arena, API_ARENA_MAX);
	if (api_brokers_await(self, job, &arena, &ids, &count) == OK) {
		for (size_t i = 0; i < count && !job->error.code; i++) {
			e = list_of_broker_await(self, job, ids[i]);
			if (e)
				admin_explain(job->client->core, e, API_LIST_GROUPS, &job->error);
		}
		sort_list(l);
		if (job->error.code)
			mo_group_list_free(l);
	}
	arena_fini(&arena);
}

int mo_group_list(struct mo_client *c, const struct mo_group_filter *filter, struct mo_group_list *ret_groups,
		  struct mo_err *ret_err)
{
	struct list_arguments l = {.filter = filter};
	struct api_job job = {.work_await = list_await, .arguments = &l, .result = ret_groups};

	*ret_groups = (struct mo_group_list){0};
	return api_run(c, &job, ret_err);
}

void mo_group_list_free(struct mo_group_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free_listing(&l->groups[i]);
	mem_free(l->groups);
	*l = (struct mo_group_list){0};
}

/* --- descriptions: what they are made of ------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return x < y ? -1 : x > y;
}

static int by_topic(const void *a, const void *b)
{
	return strcmp(((const struct mo_topic_partitions *)a)->topic, ((const struct mo_topic_partitions *)b)->topic);
}

struct mo_topic_partitions api_copy_partitions(struct bytes topic, const int32_t *numbers, int32_t count)
{
	struct mo_topic_partitions t = {.topic = bytes_is_null(topic) ? mem_strdup("") : api_text(topic),
					.count = (size_t)(count > 0 ? count : 0)};

	t.partitions = t.count ? mem_dup(numbers, t.count * sizeof(*numbers)) : NULL;
	if (t.count)
		qsort(t.partitions, t.count, sizeof(*t.partitions), by_number);
	return t;
}

static void copy_assignment(const struct consumer_group_describe_response_assignment *from,
			    struct mo_topic_partitions **ret, size_t *ret_count)
{
	*ret_count = (size_t)(from->topic_partitions_count > 0 ? from->topic_partitions_count : 0);
	*ret = mem_zalloc((*ret_count + 1) * sizeof(**ret));
	for (size_t i = 0; i < *ret_count; i++)
		(*ret)[i] = api_copy_partitions(from->topic_partitions[i].topic_name,
						from->topic_partitions[i].partitions,
						from->topic_partitions[i].partitions_count);
	qsort(*ret, *ret_count, sizeof(**ret), by_topic);
}

static void copy_names(const struct bytes *from, int32_t count, struct mo_group_member *to)
{
	to->topic_count = (size_t)(count > 0 ? count : 0);
	to->topics = mem_zalloc((to->topic_count + 1) * sizeof(*to->topics));
	for (size_t i = 0; i < to->topic_count; i++)
		to->topics[i] = api_text(from[i]);
}

static int by_member(const void *a, const void *b)
{
	const struct mo_group_member *x = a, *y = b;
	int order = strcmp(x->client_id, y->client_id);

	if (!order)
		order = strcmp(x->host, y->host);
	return order ? order : strcmp(x->id, y->id);
}

void api_free_partitions(struct mo_topic_partitions *of, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		mem_free(of[i].topic);
		mem_free(of[i].partitions);
	}
	mem_free(of);
}

static void free_member(struct mo_group_member *m)
{
	mem_free(m->id);
	mem_free(m->instance_id);
	mem_free(m->client_id);
	mem_free(m->host);
	mem_free(m->rack);
	for (size_t i = 0; i < m->topic_count; i++)
		mem_free(m->topics[i]);
	mem_free(m->topics);
	mem_free(m->pattern);
	api_free_partitions(m->assigned, m->assigned_count);
	api_free_partitions(m->target, m->target_count);
}

static void free_group(struct mo_group *g)
{
	mem_free(g->id);
	mem_free(g->text);
	mem_free(g->type);
	mem_free(g->state);
	mem_free(g->protocol_type);
	mem_free(g->assignor);
	mem_free(g->coordinator.host);
	for (size_t i = 0; i < g->member_count; i++)
		free_member(&g->members[i]);
	mem_free(g->members);
}

void mo_group_descriptions_free(struct mo_group_descriptions *d)
{
	for (size_t i = 0; i < d->count; i++)
		free_group(&d->groups[i]);
	mem_free(d->groups);
	*d = (struct mo_group_descriptions){0};
}

/* --- descriptions: of either protocol ---------------------------------------------------------------------------- */

struct describe_arguments {
	const char *const *groups;
	size_t count;
	bool *is_classic; /* of each key: the new protocol's question did not know it */
};

static void copy_coordinator(const struct peer *peer, const struct group_key *k, struct mo_group *to)
{
	to->coordinator.id = k->node;
	to->coordinator.host = mem_strdup(peer_address(peer)->host);
	to->coordinator.port = peer_address(peer)->port;
}

static void copy_consumer_group(const struct consumer_group_describe_response_described_group *from,
				struct mo_group *to)
{
	to->type = mem_strdup("Consumer");
	to->state = api_text(from->group_state);
	to->protocol_type = mem_strdup("consumer");
	to->assignor = api_text(from->assignor_name);
	to->epoch = from->group_epoch;
	to->assignment_epoch = from->assignment_epoch;
	to->member_count = (size_t)(from->members_count > 0 ? from->members_count : 0);
	to->members = mem_zalloc((to->member_count + 1) * sizeof(*to->members));
	for (size_t i = 0; i < to->member_count; i++) {
		const struct consumer_group_describe_response_member *m = &from->members[i];
		struct mo_group_member *into = &to->members[i];

		*into = (struct mo_group_member){.id = api_text(m->member_id),
						 .instance_id = api_text(m->instance_id),
						 .client_id = api_text(m->client_id),
						 .host = api_text(m->client_host),
						 .rack = api_text(m->rack_id),
						 .epoch = m->member_epoch,
						 .classic = m->member_type == MEMBER_TYPE_CLASSIC,
						 .pattern = text_or_null(m->subscribed_topic_regex)};
		copy_names(m->subscribed_topic_names, m->subscribed_topic_names_count, into);
		copy_assignment(&m->assignment, &into->assigned, &into->assigned_count);
		copy_assignment(&m->target_assignment, &into->target, &into->target_count);
	}
	qsort(to->members, to->member_count, sizeof(*to->members), by_member);
}

static void copy_classic_member(const struct describe_groups_response_described_group_member *from, bool consumers,
				struct arena *arena, struct mo_group_member *to)
{
	struct consumer_protocol_subscription wants;
	struct consumer_protocol_assignment has;

	*to = (struct mo_group_member){.id = api_text(from->member_id),
				       .instance_id = api_text(from->group_instance_id),
				       .client_id = api_text(from->client_id),
				       .host = api_text(from->client_host),
				       .epoch = -1,
				       .classic = true};
	/* What members of other kinds say to each other is theirs, and damaged bytes say nothing. */
	if (consumers && subscription_decode(from->member_metadata, arena, &wants) == OK) {
		copy_names(wants.topics, wants.topics_count, to);
		to->rack = text_or_null(wants.rack_id);
	}
	if (!consumers || assignment_decode(from->member_assignment, arena, &has) != OK)
		return;
	to->assigned_count = (size_t)has.assigned_partitions_count;
	to->assigned = mem_zalloc((to->assigned_count + 1) * sizeof(*to->assigned));
	for (size_t i = 0; i < to->assigned_count; i++)
		to->assigned[i] = api_copy_partitions(has.assigned_partitions[i].topic,
						      has.assigned_partitions[i].partitions,
						      has.assigned_partitions[i].partitions_count);
	qsort(to->assigned, to->assigned_count, sizeof(*to->assigned), by_topic);
}

static void copy_classic_group(const struct describe_groups_response_described_group *from, struct arena *arena,
			       struct mo_group *to)
{
	bool consumers = from->protocol_type.size == 0 || bytes_equal_str(from->protocol_type, "consumer");

	to->type = mem_strdup("Classic");
	to->state = api_text(from->group_state);
	to->protocol_type = api_text(from->protocol_type);
	to->assignor = api_text(from->protocol_data);
	to->member_count = (size_t)(from->members_count > 0 ? from->members_count : 0);
	to->members = mem_zalloc((to->member_count + 1) * sizeof(*to->members));
	for (size_t i = 0; i < to->member_count; i++)
		copy_classic_member(&from->members[i], consumers, arena, &to->members[i]);
	qsort(to->members, to->member_count, sizeof(*to->members), by_member);
}

/* Kafka's reason to ask the other way: the group is not of this protocol, or the broker does not know it. */
static bool is_other_protocol(int16_t code)
{
	return code == ERR_GROUP_ID_NOT_FOUND || code == ERR_UNSUPPORTED_VERSION;
}

static enum err describe_consumer_await(struct fiber *self, struct coordinators *c, struct peer *peer,
					struct group_key **keys, size_t count)
{
	struct api_job *job = c->user;
	struct describe_arguments *a = job->arguments;
	struct mo_group_descriptions *d = job->result;
	struct consumer_group_describe_response response;
	struct consumer_group_describe_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&consumer_group_describe_request_type, &request);
	request.group_ids = group_key_names(keys, count, &arena);
	request.group_ids_count = (int32_t)count;
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_CONSUMER_GROUP_DESCRIBE,
					      .newest = CONSUMER_GROUP_DESCRIBE_NEWEST,
					      .deadline_us = coordinators_deadline_us(c),
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	for (int32_t i = 0; !e && i < response.groups_count; i++) {
		const struct consumer_group_describe_response_described_group *g = &response.groups[i];
		struct group_key *k = group_key_find(keys, count, g->group_id);

		if (!k)
			continue;
		if (is_other_protocol(g->error_code)) {
			a->is_classic[k - c->keys] = true;
			k->answered = true;
			continue;
		}
		group_key_answer(k, g->error_code, g->error_message);
		if (!g->error_code) {
			copy_consumer_group(g, &d->groups[k - c->keys]);
			copy_coordinator(peer, k, &d->groups[k - c->keys]);
		}
	}
	/* Those that will be asked about the other way have no answer after all. */
	for (size_t i = 0; i < count; i++)
		if (a->is_classic[keys[i] - c->keys])
			keys[i]->answered = false;
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

static enum err describe_classic_await(struct fiber *self, struct coordinators *c, struct peer *peer,
				       struct group_key **keys, size_t count)
{
	struct api_job *job = c->user;
	struct mo_group_descriptions *d = job->result;
	struct describe_groups_response response;
	struct describe_groups_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&describe_groups_request_type, &request);
	request.groups = group_key_names(keys, count, &arena);
	request.groups_count = (int32_t)count;
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_DESCRIBE_GROUPS,
					      .newest = DESCRIBE_GROUPS_NEWEST,
					      .deadline_us = coordinators_deadline_us(c),
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	for (int32_t i = 0; !e && i < response.groups_count; i++) {
		const struct describe_groups_response_described_group *g = &response.groups[i];
		struct group_key *k = group_key_find(keys, count, g->group_id);

		if (!k)
			continue;
		group_key_answer(k, g->error_code, g->error_message);
		if (!g->error_code) {
			copy_classic_group(g, &arena, &d->groups[k - c->keys]);
			copy_coordinator(peer, k, &d->groups[k - c->keys]);
		}
	}
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

/* First as groups of the new protocol; what that does not know as classic ones. */
static enum err describe_some_await(struct fiber *self, struct coordinators *c, struct peer *peer,
				    struct group_key **keys, size_t count)
{
	struct describe_arguments *a = ((struct api_job *)c->user)->arguments;
	struct group_key **some = mem_alloc((count + 1) * sizeof(struct group_key *));
	size_t kept = 0;
	enum err e = OK;

	for (size_t i = 0; i < count; i++)
		if (!a->is_classic[keys[i] - c->keys])
			some[kept++] = keys[i];
	if (kept > 0)
		e = describe_consumer_await(self, c, peer, some, kept);
	if (e == ERR_UNSUPPORTED) {
		for (size_t i = 0; i < kept; i++)
			a->is_classic[some[i] - c->keys] = true;
		e = OK;
	}
	kept = 0;
	for (size_t i = 0; i < count; i++)
		if (a->is_classic[keys[i] - c->keys])
			some[kept++] = keys[i];
	if (!e && kept > 0)
		e = describe_classic_await(self, c, peer, some, kept);
	mem_free(some);
	return e;
}

static void describe_await(struct fiber *self, struct api_job *job)
{
	struct describe_arguments *a = job->arguments;
	struct mo_group_descriptions *d = job->result;
	struct coordinators c;

	coordinators_init(&c, job, a->groups, a->count);
	c.api_key = API_DESCRIBE_GROUPS;
	c.ask_await = describe_some_await;
	c.user = job;
	a->is_classic = mem_zalloc(a->count + 1);
	d->groups = mem_zalloc((a->count + 1) * sizeof(*d->groups));
	d->count = a->count;
	for (size_t i = 0; i < a->count; i++)
		d->groups[i] = (struct mo_group){
			.id = mem_strdup(a->groups[i]), .epoch = -1, .assignment_epoch = -1, .coordinator.id = -1};
	coordinators_ask_await(self, &c);
	for (size_t i = 0; i < a->count; i++) {
		d->groups[i].code = c.keys[i].error.code;
		d->groups[i].text = c.keys[i].error.code ? mem_strdup(c.keys[i].error.text) : NULL;
	}
	coordinators_end(&c, job);
	mem_free(a->is_classic);
	if (job->error.code)
		mo_group_descriptions_free(d);
}

/* When nobody could be asked, the whole question failed. */
void coordinators_end(struct coordinators *c, struct api_job *job)
{
	size_t unreached = 0;

	for (size_t i = 0; i < c->count; i++)
		unreached += c->keys[i].error.code <= -1000;
	if (c->count > 0 && unreached == c->count)
		job->error = c->keys[0].error;
	mem_free(c->keys);
}

static bool are_names(const char *const *groups, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!groups || !groups[i])
			return false;
	return true;
}

int mo_group_describe(struct mo_client *c, const char *const *groups, size_t count,
		      struct mo_group_descriptions *ret_groups, struct mo_err *ret_err)
{
	struct describe_arguments a = {.groups = groups, .count = count};
	struct api_job job = {.work_await = describe_await, .arguments = &a, .result = ret_groups};

	*ret_groups = (struct mo_group_descriptions){0};
	if (!are_names(groups, count))
		return api_error(ret_err, ERR_USAGE, "the groups need names");
	return api_run(c, &job, ret_err);
}

/* --- delete ------------------------------------------------------------------------------------------------------ */

struct delete_arguments {
	const char *const *groups;
	size_t count;
};

static enum err delete_some_await(struct fiber *self, struct coordinators *c, struct peer *peer,
				  struct group_key **keys, size_t count)
{
	struct delete_groups_response response;
	struct delete_groups_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&delete_groups_request_type, &request);
	request.groups_names = group_key_names(keys, count, &arena);
	request.groups_names_count = (int32_t)count;
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_DELETE_GROUPS,
					      .newest = DELETE_GROUPS_NEWEST,
					      .deadline_us = coordinators_deadline_us(c),
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	for (int32_t i = 0; !e && i < response.results_count; i++) {
		struct group_key *k = group_key_find(keys, count, response.results[i].group_id);

		if (k)
			group_key_answer(k, response.results[i].error_code, response.results[i].error_message);
	}
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

static void delete_await(struct fiber *self, struct api_job *job)
{
	const struct delete_arguments *a = job->arguments;
	struct mo_err *results = job->result;
	struct coordinators c;

	coordinators_init(&c, job, a->groups, a->count);
	c.api_key = API_DELETE_GROUPS;
	c.ask_await = delete_some_await;
	coordinators_ask_await(self, &c);
	for (size_t i = 0; i < a->count; i++)
		results[i] = c.keys[i].error;
	coordinators_end(&c, job);
}

int mo_group_delete(struct mo_client *c, const char *const *groups, size_t count, struct mo_err *ret_results,
		    struct mo_err *ret_err)
{
	struct delete_arguments a = {.groups = groups, .count = count};
	struct api_job job = {.work_await = delete_await, .arguments = &a, .result = ret_results};

	if (!are_names(groups, count) || (count && !ret_results))
		return api_error(ret_err, ERR_USAGE, "the groups need names, and their results a place");
	return api_run(c, &job, ret_err);
}
