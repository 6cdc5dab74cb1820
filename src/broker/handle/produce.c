/*
 * produce: Produce 3-13. One message to each shard that the request touches; each appends its partitions in order. Records of a transaction are first
 * asked about (produce_txn.c), and the connection's next request waits for it.
 *
 *      begin -> group (a shard's partitions) -- go --> partition_append ...
 *               request_ordered  <-- ordered --  every partition of the group has its place, or its error
 *               finish           <-- finished -- and its acks
 *
 *      deadline -> ask -- each group that is away ------> which of its parts are done: they are answered as they are, the others TIMED_OUT
 *
 * May call: replica/, the image, request.h.
 */
#include "broker/handle/produce.h"

#include "base/alloc.h"
#include "base/mutant.h"
#include "broker/handle/handle.h"
#include "record/batch.h"

static void ask_home(struct shard *at, struct message *m);

/*
 * On the partition's shard.
 */
static void part_settled(struct produce_group *g, const struct produce_part *part)
{
	g->failed = g->failed || part->append.error;
	if (--g->unsettled == 0)
		shard_send(g->target->shard, g->request->shard, &g->ordered);
}

static void part_finished(struct produce_group *g)
{
	if (--g->unfinished == 0)
		shard_send(g->target->shard, g->request->shard, &g->finished);
}

static void append_settled(struct partition_append *a)
{
	struct produce_part *part = container_of(a, struct produce_part, append);

	if (a->error == ERR_INVALID_RECORD || a->error == ERR_INVALID_TIMESTAMP)
		part->record_error_count = partition_record_errors(a, part->record_errors, MAX_RECORD_ERRORS);
	part_settled(part->group, part);
}

static void append_finished(struct partition_append *a)
{
	struct produce_part *part = container_of(a, struct produce_part, append);

	part->finished = true;
	part_finished(part->group);
}

static void group_arrived(struct shard *at, struct message *m)
{
	struct produce_group *g = container_of(m, struct produce_group, go);
	struct produce_part *next;

	(void)at;
	/* The last one may finish the group, after which nothing of it may be touched. */
	for (struct produce_part *part = g->first; part; part = next) {
		struct partition *p = replicas_find(g->target->replicas, part->topic_id, part->partition);

		next = part->next;
		if (p && !part->refused) {
			partition_append(p, &part->append);
			continue;
		}
		/* The image knew it when the request was looked at: it has just been deleted. */
		if (!part->refused)
			part->append.error = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		part->append.base_offset = -1;
		part->append.log_append_time_ms = -1;
		part->append.log_start_offset = -1;
		part->finished = true;
		part_settled(g, part);
		part_finished(g);
	}
}

static void ask_arrived(struct shard *at, struct message *m)
{
	struct produce_group *g = container_of(m, struct produce_group, ask);

	for (struct produce_part *part = g->first; part; part = part->next) {
		part->timed_out = !part->finished;
		part->placed_at = part->append.base_offset;
	}
	g->ask.run = ask_home;
	shard_send(at, g->request->shard, &g->ask);
}

/*
 * At home.
 */
/* Kafka's words where they do not tell the time of the answer. */
static struct bytes record_error_text(struct request *rq, const struct produce_part *part, const struct record_error *e)
{
	const struct image_topic *topic = image_topic_by_id(rq->broker->image, part->topic_id);
	struct bytes copy;
	struct buf text;

	if (e->error != ERR_INVALID_RECORD || !topic)
		return bytes_str(e->text);
	buf_init(&text, 512);
	buf_printf(&text, "Compacted topic cannot accept message without key in topic partition %.*s-%d.",
		   (int)topic->name.size, (const char *)topic->name.data, (int)part->partition);
	copy = arena_copy(&rq->arena, buf_bytes(&text));
	buf_fini(&text);
	return copy;
}

static void fill_record_errors(struct request *rq, const struct produce_part *part)
{
	struct produce_response_partition_produce_response *answer = part->answer;

	if (part->record_error_count == 0)
		return;
	answer->record_errors = request_alloc(rq, part->record_error_count, sizeof(*answer->record_errors));
	if (!answer->record_errors)
		return;
	for (size_t i = 0; i < part->record_error_count; i++) {
		answer->record_errors[i].batch_index = part->record_errors[i].index;
		answer->record_errors[i].batch_index_error_message = record_error_text(rq, part,
										       &part->record_errors[i]);
	}
	answer->record_errors_count = (int32_t)part->record_error_count;
	answer->error_message = bytes_str(part->append.error == ERR_INVALID_TIMESTAMP
						  ? "One or more records have been rejected due to invalid timestamp"
						  : "One or more records have been rejected, see the record errors");
}

/* The one damaged batch for which Kafka has words. */
static void fill_magic_error(struct request *rq, const struct produce_part *part)
{
	struct bytes records = part->append.records;
	struct buf text;

	if (part->append.error != ERR_CORRUPT_MESSAGE || records.size < BATCH_HEADER_SIZE)
		return;
	if ((int8_t)records.data[BATCH_MAGIC_PLACE] <= BATCH_MAGIC)
		return;
	buf_init(&text, 64);
	buf_printf(&text, "Invalid magic found in record: %d", (int8_t)records.data[BATCH_MAGIC_PLACE]);
	part->answer->error_message = arena_copy(&rq->arena, buf_bytes(&text));
	buf_fini(&text);
}

static void fill_answer(struct request *rq, const struct produce_group *g)
{
	for (const struct produce_part *part = g->first; part; part = part->next) {
		struct produce_response_partition_produce_response *answer = part->answer;

		if (!g->over && part->timed_out) {
			/* It has its place, and may still be committed: Kafka tells the place too. */
			answer->error_code = ERR_REQUEST_TIMED_OUT;
			answer->base_offset = part->placed_at;
			continue;
		}
		answer->error_code = (int16_t)part->append.error;
		answer->base_offset = part->append.base_offset;
		answer->log_append_time_ms = part->append.log_append_time_ms;
		answer->log_start_offset = part->append.log_start_offset;
		fill_record_errors(rq, part);
		fill_magic_error(rq, part);
		if (part->refusal)
			answer->error_message = bytes_str(part->refusal);
	}
}

static void produce_finish(struct request *rq)
{
	struct produce *pr = rq->state;

	for (unsigned i = 0; i < pr->group_count; i++)
		fill_answer(rq, &pr->groups[i]);
	request_reply(rq, &pr->response);
}

/* Which partitions are done is known where they live. */
static void produce_expired(struct request *rq)
{
	struct produce *pr = rq->state;

	for (unsigned i = 0; i < pr->group_count; i++) {
		struct produce_group *g = &pr->groups[i];

		if (!g->first || g->over)
			continue;
		pr->asking++;
		g->ask.run = ask_arrived;
		request_hold(rq);
		shard_send(rq->shard, g->target->shard, &g->ask);
	}
}

static void ask_home(struct shard *at, struct message *m)
{
	struct produce_group *g = container_of(m, struct produce_group, ask);
	struct request *rq = g->request;
	struct produce *pr = rq->state;

	(void)at;
	if (--pr->asking == 0 && !rq->answered)
		produce_finish(rq);
	request_release(rq);
}

/* Nobody hears of an error but by the end of the connection, as in Kafka. */
static void finish_without_acks(struct request *rq)
{
	const struct produce *pr = rq->state;

	if (pr->failed)
		request_close(rq, "a Produce with acks 0 failed, which has no other way to be told");
	else
		request_no_reply(rq);
}

static void group_ordered(struct shard *at, struct message *m)
{
	struct produce_group *g = container_of(m, struct produce_group, ordered);
	struct request *rq = g->request;
	struct produce *pr = rq->state;
	const struct produce_request *body = rq->body;

	if (body->acks == ACKS_NONE)
		pr->failed = pr->failed || g->failed;
	if (--pr->unordered > 0)
		return;
	if (body->acks == ACKS_NONE)
		finish_without_acks(rq);
	else if (body->acks == ACKS_ALL)
		request_arm(rq, shard_now_us(at) + (int64_t)(body->timeout_ms > 0 ? body->timeout_ms : 0) * 1000);
	request_ordered(rq);
}

static void group_finished(struct shard *at, struct message *m)
{
	struct produce_group *g = container_of(m, struct produce_group, finished);
	struct request *rq = g->request;
	struct produce *pr = rq->state;
	const struct produce_request *body = rq->body;

	(void)at;
	g->over = true;
	if (--pr->unfinished == 0 && !rq->answered && body->acks != ACKS_NONE)
		produce_finish(rq);
	request_release(rq);
}

static enum err find_topic(const struct request *rq, const struct produce_request_topic_produce_data *data,
			   const struct image_topic **ret_topic)
{
	bool by_id = rq->header.api_version >= 13;
	const struct image_topic *t = by_id ? image_topic_by_id(rq->broker->image, data->topic_id)
					    : image_topic_by_name(rq->broker->image, data->name);

	if (!t)
		return by_id ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION;
	*ret_topic = t;
	return OK;
}

/* The name by which Kafka's own tools may write to its own topics; it keeps others from doing so by mistake, not on purpose. */
static bool is_admin_client(const struct request *rq)
{
	return bytes_equal_str(rq->header.client_id, "__admin_client");
}

static void join_group(struct request *rq, struct produce_part *part)
{
	struct produce *pr = rq->state;
	struct broker_shard *target = broker_shard_of(rq->broker->broker, part->topic_id, part->partition);
	struct produce_group *g = &pr->groups[shard_index(target->shard)];

	if (!g->first) {
		g->last = &g->first;
		g->request = rq;
		g->target = target;
		g->ordered.run = group_ordered;
		g->finished.run = group_finished;
	}
	part->group = g;
	*g->last = part;
	g->last = &part->next;
	g->unsettled++;
	g->unfinished++;
}

/* One partition of the request: its answer, and its part when there is somebody to ask. False: out of memory. */
static bool take_partition(struct request *rq, const struct image_topic *topic, enum err topic_error,
			   const struct produce_request_partition_produce_data *data,
			   struct produce_response_partition_produce_response *answer)
{
	const struct produce_request *body = rq->body;
	struct produce *pr = rq->state;
	struct produce_part *part;

	answer->index = data->index;
	answer->base_offset = answer->log_append_time_ms = answer->log_start_offset = -1;
	answer->error_message = bytes_null();
	answer->current_leader.leader_id = answer->current_leader.leader_epoch = -1;
	answer->error_code = (int16_t)topic_error;
	if (!topic_error && !image_partition(topic, data->index))
		answer->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (!answer->error_code && (body->acks < ACKS_ALL || body->acks > ACKS_LEADER))
		answer->error_code = ERR_INVALID_REQUIRED_ACKS;
	if (!answer->error_code && topic->internal && !is_admin_client(rq))
		answer->error_code = ERR_INVALID_TOPIC_EXCEPTION;
	if (answer->error_code) {
		pr->failed = true;
		return true;
	}
	part = request_alloc(rq, 1, sizeof(*part));
	if (!part)
		return false;
	part->answer = answer;
	part->topic_id = topic->id;
	part->partition = data->index;
	part->append.records = data->records;
	part->append.acks = (enum acks)body->acks;
	part->append.allow_zstd = rq->header.api_version >= 7;
	part->append.current_leader_epoch = -1;
	part->append.appended = append_settled;
	part->append.finished = append_finished;
	produce_txn_look(rq, part);
	join_group(rq, part);
	return true;
}

static bool take_topic(struct request *rq, const struct produce_request_topic_produce_data *data,
		       struct produce_response_topic_produce_response *answer)
{
	const struct image_topic *topic = NULL;
	enum err e = find_topic(rq, data, &topic);
	int32_t count = data->partition_data_count;

	answer->name = data->name;
	answer->topic_id = data->topic_id;
	answer->partition_responses = request_alloc(rq, (size_t)count, sizeof(*answer->partition_responses));
	if (!answer->partition_responses)
		return false;
	answer->partition_responses_count = count;
	for (int32_t i = 0; i < count; i++)
		if (!take_partition(rq, topic, e, &data->partition_data[i], &answer->partition_responses[i]))
			return false;
	return true;
}

static bool take_request(struct request *rq)
{
	const struct produce_request *body = rq->body;
	struct produce *pr = request_alloc(rq, 1, sizeof(*pr));

	if (!pr)
		return false;
	rq->state = pr;
	pr->group_count = runtime_shard_count(shard_runtime(rq->shard));
	pr->groups = request_alloc(rq, pr->group_count, sizeof(*pr->groups));
	message_init(&produce_response_type, &pr->response);
	pr->response.responses = request_alloc(rq, (size_t)body->topic_data_count, sizeof(*pr->response.responses));
	if (!pr->groups || !pr->response.responses)
		return false;
	pr->response.responses_count = body->topic_data_count;
	for (int32_t i = 0; i < body->topic_data_count; i++)
		if (!take_topic(rq, &body->topic_data[i], &pr->response.responses[i]))
			return false;
	return true;
}

void produce_append(struct request *rq)
{
	const struct produce_request *body = rq->body;
	struct produce *pr = rq->state;

	for (unsigned i = 0; i < pr->group_count; i++)
		if (pr->groups[i].first)
			pr->unordered++;
	pr->unfinished = pr->unordered;
	for (unsigned i = 0; i < pr->group_count; i++)
		if (pr->groups[i].first) {
			request_hold(rq);
			pr->groups[i].go.run = group_arrived;
			shard_send(rq->shard, pr->groups[i].target->shard, &pr->groups[i].go);
		}
	if (pr->unordered == 0 && body->acks == ACKS_NONE)
		finish_without_acks(rq);
	else if (pr->unordered == 0)
		produce_finish(rq);
	if (MUTANT(APPEND_OVERTAKES) && !rq->answered)
		request_ordered(rq);
}

/* Every partition has this error, and nothing is asked any more. */
static void refuse_all(struct request *rq, enum err e)
{
	struct produce *pr = rq->state;
	const char *words = e == ERR_INVALID_PRODUCER_ID_MAPPING
				    ? "Transactional records contained more than one producer ID"
				    : NULL;

	for (int32_t t = 0; t < pr->response.responses_count; t++)
		for (int32_t p = 0; p < pr->response.responses[t].partition_responses_count; p++) {
			pr->response.responses[t].partition_responses[p].error_code = (int16_t)e;
			pr->response.responses[t].partition_responses[p].error_message = bytes_str(words);
		}
	for (unsigned i = 0; i < pr->group_count; i++)
		pr->groups[i].first = NULL;
	pr->failed = true;
}

static void produce_begin(struct request *rq)
{
	enum err e = produce_txn_refuse_unnamed(rq->body);

	if (!take_request(rq)) {
		request_close(rq, "a Produce names more partitions than a request has memory for");
		return;
	}
	if (!e)
		e = produce_txn_refuse_mixed(rq->state);
	if (e)
		refuse_all(rq, e);
	if (e || !produce_txn_begin(rq))
		produce_append(rq);
}

const struct api_handler produce_handler = {
	.key = API_PRODUCE,
	.min_version = 3,
	.max_version = 13,
	.overlaps = true,
	.begin = produce_begin,
	.expired = produce_expired,
};
