/* api_txn_admin: lists and descriptions of transactions, producers of a partition, and markers of abort: the public calls and their fibers. */
#include <stdlib.h>

#include "base/alloc.h"
#include "client/admin.h"
#include "client/api.h"
#include "client/api_own.h"
#include "client/coordinator.h"
#include "client/coordinators.h"
#include "protocol/messages.h"

#define LIST_TRANSACTIONS_NEWEST 2
#define LIST_WITH_DURATION 1
#define LIST_WITH_PATTERN 2
#define DESCRIBE_TRANSACTIONS_NEWEST 0
#define DESCRIBE_PRODUCERS_NEWEST 0
/* From 2 on a marker says which transaction.version it is of, which nobody knows of a transaction that hangs. */
#define WRITE_TXN_MARKERS_NEWEST 1

/* --- lists ------------------------------------------------------------------------------------------------------- */

struct list_arguments {
	const struct mo_txn_filter *filter;
	struct mo_txn_list *list;
	size_t capacity;
	int32_t node;
};

static int by_id(const void *a, const void *b)
{
	const struct mo_txn_listing *x = a, *y = b;
	int order = strcmp(x->id, y->id);

	return order ? order : x->coordinator < y->coordinator ? -1 : x->coordinator > y->coordinator;
}

static bool fill_list(const struct mo_txn_filter *f, struct arena *a, struct list_transactions_request *request)
{
	message_init(&list_transactions_request_type, request);
	if (!f)
		return true;
	request->state_filters = arena_alloc_array(a, f->state_count + 1, sizeof(*request->state_filters));
	request->producer_id_filters = arena_alloc_array(a, f->producer_id_count + 1, sizeof(int64_t));
	if (!request->state_filters || !request->producer_id_filters)
		return false;
	for (size_t i = 0; i < f->state_count; i++)
		request->state_filters[i] = bytes_str(f->states[i]);
	for (size_t i = 0; i < f->producer_id_count; i++)
		request->producer_id_filters[i] = f->producer_ids[i];
	request->state_filters_count = (int32_t)f->state_count;
	request->producer_id_filters_count = (int32_t)f->producer_id_count;
	request->duration_filter = f->duration_ms;
	if (f->pattern)
		request->transactional_id_pattern = bytes_str(f->pattern);
	return true;
}

static void take_listings(const struct list_transactions_response *from, struct list_arguments *l)
{
	struct mo_txn_list *to = l->list;

	for (int32_t i = 0; i < from->transaction_states_count; i++) {
		const struct list_transactions_response_transaction_state *x = &from->transaction_states[i];

		to->txns = mem_grow(to->txns, &l->capacity, to->count + 1, sizeof(*to->txns));
		to->txns[to->count++] = (struct mo_txn_listing){.id = api_text(x->transactional_id),
								.producer_id = x->producer_id,
								.state = api_text(x->transaction_state),
								.coordinator = l->node};
	}
}

static enum err list_once_await(struct fiber *self, struct api_job *job, struct peer *peer, struct arena *arena)
{
	struct list_arguments *l = job->arguments;
	const struct client *c = job->client->core;
	int64_t most_us = shard_now_us(c->shard) + c->config->request_timeout_ms * 1000;
	struct list_transactions_response response;
	struct list_transactions_request request;
	struct blob *frame = NULL;
	int16_t version = 0;
	enum err e = peer_ready_await(self, peer, most_us < job->deadline_us ? most_us : job->deadline_us);

	if (!e)
		e = peer_version(peer, API_LIST_TRANSACTIONS, LIST_TRANSACTIONS_NEWEST, &version);
	if (!e && l->filter &&
	    ((version < LIST_WITH_DURATION && l->filter->duration_ms >= 0) ||
	     (version < LIST_WITH_PATTERN && l->filter->pattern)))
		e = ERR_UNSUPPORTED;
	if (!e && !fill_list(l->filter, arena, &request))
		e = ERR_NO_MEMORY;
	if (!e)
		e = peer_ask_await(
			self, peer,
			&(struct peer_ask){.api_key = API_LIST_TRANSACTIONS,
					   .newest = version,
					   .deadline_us = most_us < job->deadline_us ? most_us : job->deadline_us,
					   .request = &request,
					   .response = &response,
					   .arena = arena},
			NULL, &frame);
	if (!e)
		e = (enum err)response.error_code;
	if (!e && response.unknown_state_filters_count > 0) {
		api_fill_error(&job->error, ERR_INVALID_REQUEST, bytes_str("there is no such state of transactions"),
			       "state");
		e = ERR_CANCELLED;
	}
	if (!e)
		take_listings(&response, l);
	blob_unref(frame);
	return e;
}

/* One broker's; its coordinators may still be loading. */
static enum err list_of_broker_await(struct fiber *self, struct api_job *job, int32_t node)
{
	struct list_arguments *l = job->arguments;
	struct client *c = job->client->core;
	unsigned failures = 0;
	enum err e;

	l->node = node;
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

static void list_await(struct fiber *self, struct api_job *job)
{
	struct list_arguments *l = job->arguments;
	struct arena arena;
	int32_t *ids = NULL;
	size_t count = 0;

	arena_init(&arena, API_ARENA_MAX);
	if (api_brokers_await(self, job, &arena, &ids, &count) == OK) {
		for (size_t i = 0; i < count && !job->error.code; i++) {
			enum err e = list_of_broker_await(self, job, ids[i]);

			if (e && !job->error.code)
				admin_explain(job->client->core, e, API_LIST_TRANSACTIONS, &job->error);
		}
	}
	arena_fini(&arena);
	if (l->list->count > 0)
		qsort(l->list->txns, l->list->count, sizeof(*l->list->txns), by_id);
	if (job->error.code)
		mo_txn_list_free(l->list);
}

int mo_txn_list(struct mo_client *c, const struct mo_txn_filter *filter, struct mo_txn_list *ret_txns,
		struct mo_err *ret_err)
{
	struct list_arguments l = {.filter = filter, .list = ret_txns};
	struct api_job job = {.work_await = list_await, .arguments = &l};

	*ret_txns = (struct mo_txn_list){0};
	return api_run(c, &job, ret_err);
}

void mo_txn_list_free(struct mo_txn_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		mem_free(l->txns[i].id);
		mem_free(l->txns[i].state);
	}
	mem_free(l->txns);
	*l = (struct mo_txn_list){0};
}

/* --- descriptions ------------------------------------------------------------------------------------------------ */

struct describe_arguments {
	const char *const *ids;
	size_t count;
};

static int by_topic(const void *a, const void *b)
{
	return strcmp(((const struct mo_topic_partitions *)a)->topic, ((const struct mo_topic_partitions *)b)->topic);
}

static void take_description(struct mo_txn *to, int32_t node,
			     const struct describe_transactions_response_transaction_state *from)
{
	to->state = api_text(from->transaction_state);
	to->timeout_ms = from->transaction_timeout_ms;
	to->start_ms = from->transaction_start_time_ms;
	to->producer_id = from->producer_id;
	to->epoch = from->producer_epoch;
	to->coordinator = node;
	to->partition_count = (size_t)(from->topics_count > 0 ? from->topics_count : 0);
	to->partitions = mem_zalloc((to->partition_count + 1) * sizeof(*to->partitions));
	for (size_t i = 0; i < to->partition_count; i++)
		to->partitions[i] = api_copy_partitions(from->topics[i].topic, from->topics[i].partitions,
							from->topics[i].partitions_count);
	qsort(to->partitions, to->partition_count, sizeof(*to->partitions), by_topic);
}

static enum err describe_some_await(struct fiber *self, struct coordinators *c, struct peer *peer,
				    struct group_key **keys, size_t count)
{
	struct mo_txn_descriptions *result = c->user;
	struct describe_transactions_response response;
	struct describe_transactions_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&describe_transactions_request_type, &request);
	request.transactional_ids = group_key_names(keys, count, &arena);
	request.transactional_ids_count = (int32_t)count;
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_DESCRIBE_TRANSACTIONS,
					      .newest = DESCRIBE_TRANSACTIONS_NEWEST,
					      .deadline_us = coordinators_deadline_us(c),
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	for (int32_t i = 0; !e && i < response.transaction_states_count; i++) {
		const struct describe_transactions_response_transaction_state *x = &response.transaction_states[i];
		struct group_key *k = group_key_find(keys, count, x->transactional_id);

		if (!k)
			continue;
		group_key_answer(k, x->error_code, bytes_null());
		if (!x->error_code)
			take_description(&result->txns[k - c->keys], k->node, x);
	}
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

static void describe_await(struct fiber *self, struct api_job *job)
{
	const struct describe_arguments *a = job->arguments;
	struct mo_txn_descriptions *result = job->result;
	struct coordinators c;

	coordinators_init(&c, job, a->ids, a->count);
	c.key_type = COORDINATOR_TRANSACTION;
	c.api_key = API_DESCRIBE_TRANSACTIONS;
	c.ask_await = describe_some_await;
	c.user = result;
	coordinators_ask_await(self, &c);
	for (size_t i = 0; i < a->count; i++) {
		result->txns[i].code = c.keys[i].error.code;
		if (c.keys[i].error.code)
			result->txns[i].text = mem_strdup(c.keys[i].error.text);
	}
	coordinators_end(&c, job);
}

int mo_txn_describe(struct mo_client *c, const char *const *ids, size_t count, struct mo_txn_descriptions *ret_txns,
		    struct mo_err *ret_err)
{
	struct describe_arguments a = {.ids = ids, .count = count};
	struct mo_txn_descriptions result = {.txns = mem_zalloc((count + 1) * sizeof(*result.txns)), .count = count};
	struct api_job job = {.work_await = describe_await, .arguments = &a, .result = &result};
	int code;

	for (size_t i = 0; i < count; i++) {
		result.txns[i].id = mem_strdup(ids[i]);
		result.txns[i].start_ms = result.txns[i].producer_id = -1;
		result.txns[i].coordinator = -1;
	}
	code = count > 0 ? api_run(c, &job, ret_err) : OK;
	if (code)
		mo_txn_descriptions_free(&result);
	*ret_txns = result;
	return code;
}

void mo_txn_descriptions_free(struct mo_txn_descriptions *d)
{
	for (size_t i = 0; i < d->count; i++) {
		mem_free(d->txns[i].id);
		mem_free(d->txns[i].text);
		mem_free(d->txns[i].state);
		api_free_partitions(d->txns[i].partitions, d->txns[i].partition_count);
	}
	mem_free(d->txns);
	*d = (struct mo_txn_descriptions){0};
}

/* --- one partition ----------------------------------------------------------------------------------------------- */

struct partition_arguments {
	const char *topic;
	int32_t partition;
	const struct mo_producer *producer; /* to abort */
};

static const struct describe_producers_response_partition_response *
producers_of(const struct describe_producers_response *r)
{
	return r->topics_count == 1 && r->topics[0].partitions_count == 1 ? &r->topics[0].partitions[0] : NULL;
}

/* Errors that go away, and bytes that are no answer. */
static enum err look_at_producers(const void *response)
{
	const struct describe_producers_response_partition_response *p = producers_of(response);

	if (!p)
		return ERR_MALFORMED;
	return err_retriable((enum err)p->error_code) && p->error_code != ERR_UNKNOWN_TOPIC_OR_PARTITION
		       ? (enum err)p->error_code
		       : OK;
}

static int by_producer(const void *a, const void *b)
{
	int64_t x = ((const struct mo_producer *)a)->producer_id, y = ((const struct mo_producer *)b)->producer_id;

	return x < y ? -1 : x > y;
}

static void take_producers(const struct describe_producers_response_partition_response *from, struct mo_producers *to)
{
	to->count = (size_t)(from->active_producers_count > 0 ? from->active_producers_count : 0);
	to->producers = mem_zalloc((to->count + 1) * sizeof(*to->producers));
	for (size_t i = 0; i < to->count; i++)
		to->producers[i] = (struct mo_producer){
			.producer_id = from->active_producers[i].producer_id,
			.epoch = from->active_producers[i].producer_epoch,
			.last_sequence = from->active_producers[i].last_sequence,
			.last_timestamp_ms = from->active_producers[i].last_timestamp,
			.coordinator_epoch = from->active_producers[i].coordinator_epoch,
			.txn_start_offset = from->active_producers[i].current_txn_start_offset,
		};
	qsort(to->producers, to->count, sizeof(*to->producers), by_producer);
}

static void producers_await(struct fiber *self, struct api_job *job)
{
	const struct partition_arguments *a = job->arguments;
	int32_t number = a->partition;
	struct describe_producers_request_topic_request topic = {
		.name = bytes_str(a->topic), .partition_indexes = &number, .partition_indexes_count = 1};
	struct describe_producers_response response;
	struct describe_producers_request request;
	struct blob *frame = NULL;
	struct arena arena;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&describe_producers_request_type, &request);
	request.topics = &topic;
	request.topics_count = 1;
	if (api_ask_await(self, job,
			  &(struct admin_question){.api_key = API_DESCRIBE_PRODUCERS,
						   .newest = DESCRIBE_PRODUCERS_NEWEST,
						   .topic = a->topic,
						   .partition = a->partition,
						   .request = &request,
						   .response = &response,
						   .arena = &arena,
						   .look = look_at_producers},
			  &frame) == OK) {
		const struct describe_producers_response_partition_response *p = producers_of(&response);

		if (p->error_code)
			api_fill_error(&job->error, p->error_code, p->error_message, a->topic);
		else
			take_producers(p, job->result);
		blob_unref(frame);
	}
	arena_fini(&arena);
}

int mo_producer_list(struct mo_client *c, const char *topic, int32_t partition, struct mo_producers *ret_producers,
		     struct mo_err *ret_err)
{
	struct partition_arguments a = {.topic = topic, .partition = partition};
	struct api_job job = {.work_await = producers_await, .arguments = &a, .result = ret_producers};

	*ret_producers = (struct mo_producers){0};
	return api_run(c, &job, ret_err);
}

void mo_producers_free(struct mo_producers *p)
{
	mem_free(p->producers);
	*p = (struct mo_producers){0};
}

static bool marker_outcome(const void *response, struct admin_outcome *ret)
{
	const struct write_txn_markers_response *r = response;

	if (r->markers_count != 1 || r->markers[0].topics_count != 1 || r->markers[0].topics[0].partitions_count != 1)
		return false;
	ret->code = r->markers[0].topics[0].partitions[0].error_code;
	ret->words = bytes_null();
	return true;
}

static void abort_await(struct fiber *self, struct api_job *job)
{
	const struct partition_arguments *a = job->arguments;
	int32_t number = a->partition;
	struct write_txn_markers_request_writable_txn_marker_topic topic = {
		.name = bytes_str(a->topic), .partition_indexes = &number, .partition_indexes_count = 1};
	struct write_txn_markers_request_writable_txn_marker marker;
	struct write_txn_markers_response response;
	struct write_txn_markers_request request;
	struct arena arena;
	enum err e;

	arena_init(&arena, API_ARENA_MAX);
	message_init(&write_txn_markers_request_type, &request);
	struct_init(&write_txn_markers_request_writable_txn_marker_struct, &marker);
	marker.producer_id = a->producer->producer_id;
	marker.producer_epoch = (int16_t)a->producer->epoch;
	marker.transaction_result = false;
	marker.topics = &topic;
	marker.topics_count = 1;
	marker.coordinator_epoch = a->producer->coordinator_epoch < 0 ? 0 : a->producer->coordinator_epoch;
	request.markers = &marker;
	request.markers_count = 1;
	e = api_change_await(self, job,
			     &(struct admin_question){.api_key = API_WRITE_TXN_MARKERS,
						      .newest = WRITE_TXN_MARKERS_NEWEST,
						      .topic = a->topic,
						      .partition = a->partition,
						      .request = &request,
						      .response = &response,
						      .arena = &arena,
						      .outcome = marker_outcome},
			     a->topic);
	must(!e || job->error.code);
	arena_fini(&arena);
}

int mo_txn_abort_in(struct mo_client *c, const char *topic, int32_t partition, const struct mo_producer *producer,
		    struct mo_err *ret_err)
{
	struct partition_arguments a = {.topic = topic, .partition = partition, .producer = producer};
	struct api_job job = {.work_await = abort_await, .arguments = &a};

	if (producer->producer_id < 0 || producer->epoch < 0 || producer->epoch > INT16_MAX)
		return api_error(ret_err, ERR_USAGE,
				 "a producer's id and epoch are not negative, an epoch at most 32767");
	return api_run(c, &job, ret_err);
}
