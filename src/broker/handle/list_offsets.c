/*
 * list_offsets: ListOffsets 1-11: a fiber, with one call to each shard that has some of the partitions. May call replica/, storage/log.
 */
#include "broker/handle/handle.h"

#include "broker/handle/offset_rules.h"
#include "protocol/messages.h"
#include "runtime/call.h"

#define CONSUMER (-1)
#define READ_COMMITTED 1

struct question {
	struct question *next; /* of the same shard */
	struct uuid topic_id;
	const struct list_offsets_request_list_offsets_partition *asked;
	struct list_offsets_response_list_offsets_partition_response *answer;
};

/* The questions to one shard. */
struct inquiry {
	struct broker_shard *target;
	struct question *first;
	struct question **last;
	bool to_log_end; /* asked by a replica or a debugging tool */
	bool read_committed;
};

static enum err find_offset_await(struct fiber *self, const struct inquiry *in, const struct partition *p,
				  struct question *q)
{
	struct list_offsets_response_list_offsets_partition_response *a = q->answer;
	int64_t bound = in->to_log_end ? log_end_offset(p->log) : partition_read_bound(p, in->read_committed);

	switch (q->asked->timestamp) {
	case OFFSET_LATEST:
		a->offset = bound;
		a->leader_epoch = p->leader_epoch;
		return OK;
	case OFFSET_EARLIEST:
	case OFFSET_EARLIEST_LOCAL:
		a->offset = log_start_offset(p->log);
		a->leader_epoch = log_epoch_at(p->log, a->offset);
		return OK;
	case OFFSET_LATEST_TIERED:
	case OFFSET_EARLIEST_PENDING_UPLOAD:
		return OK; /* nothing is tiered: -1 */
	case OFFSET_MAX_TIMESTAMP:
		return log_find_max_timestamp_await(self, p->log, bound, &a->offset, &a->timestamp, &a->leader_epoch);
	default:
		return log_find_timestamp_await(self, p->log, q->asked->timestamp, bound, &a->offset, &a->timestamp,
						&a->leader_epoch);
	}
}

static enum err answer_await(struct fiber *self, const struct inquiry *in, struct question *q)
{
	struct partition *p;
	enum err e = replicas_open_await(self, in->target->replicas, q->topic_id, q->asked->partition_index, &p);

	if (!e)
		e = partition_check_epoch(p, q->asked->current_leader_epoch);
	return e ? e : find_offset_await(self, in, p, q);
}

static void inquire_main(struct fiber *there, void *argument)
{
	struct inquiry *in = argument;

	for (struct question *q = in->first; q; q = q->next) {
		enum err e = answer_await(there, in, q);

		if (!e)
			continue;
		q->answer->error_code = err_to_kafka(e);
		q->answer->offset = q->answer->timestamp = q->answer->leader_epoch = -1;
	}
}

static bool ask(struct request *rq, struct inquiry *inquiries, const struct image_topic *topic,
		const struct list_offsets_request_list_offsets_partition *asked,
		struct list_offsets_response_list_offsets_partition_response *answer)
{
	struct broker_shard *target = broker_shard_of(rq->broker->broker, topic->id, asked->partition_index);
	struct inquiry *in = &inquiries[shard_index(target->shard)];
	struct question *q = request_alloc(rq, 1, sizeof(*q));

	if (!q)
		return false;
	*q = (struct question){.topic_id = topic->id, .asked = asked, .answer = answer};
	if (!in->first)
		in->last = &in->first;
	in->target = target;
	*in->last = q;
	in->last = &q->next;
	return true;
}

static bool take_topic(struct request *rq, const bool *repeated, struct inquiry *inquiries,
		       const struct list_offsets_request_list_offsets_topic *t,
		       struct list_offsets_response_list_offsets_topic_response *answer)
{
	const struct image_topic *topic = image_topic_by_name(rq->broker->image, t->name);

	answer->name = t->name;
	answer->partitions = request_alloc(rq, (size_t)t->partitions_count, sizeof(*answer->partitions));
	if (!answer->partitions)
		return false;
	answer->partitions_count = t->partitions_count;
	for (int32_t i = 0; i < t->partitions_count; i++) {
		struct list_offsets_response_list_offsets_partition_response *a = &answer->partitions[i];
		enum err e = offset_refuse(topic, &t->partitions[i], repeated[i], rq->header.api_version);

		a->partition_index = t->partitions[i].partition_index;
		a->error_code = (int16_t)e;
		a->timestamp = a->offset = a->leader_epoch = -1;
		if (!e && !ask(rq, inquiries, topic, &t->partitions[i], a))
			return false;
	}
	return true;
}

static bool take_request(struct request *rq, struct inquiry *inquiries, struct list_offsets_response *response)
{
	const struct list_offsets_request *body = rq->body;
	bool *repeated = request_alloc(rq, offset_count(body) + 1, sizeof(*repeated));

	response->topics = request_alloc(rq, (size_t)body->topics_count, sizeof(*response->topics));
	if (!response->topics || !repeated)
		return false;
	if (!offset_find_repeated(body, shard_map_seed(rq->shard), &rq->arena, repeated))
		return false;
	response->topics_count = body->topics_count;
	for (int32_t i = 0; i < body->topics_count; i++) {
		if (!take_topic(rq, repeated, inquiries, &body->topics[i], &response->topics[i]))
			return false;
		repeated += body->topics[i].partitions_count;
	}
	return true;
}

/* Versions before 4 know no epochs. */
static void drop_epochs(struct list_offsets_response *response)
{
	for (int32_t i = 0; i < response->topics_count; i++)
		for (int32_t j = 0; j < response->topics[i].partitions_count; j++)
			response->topics[i].partitions[j].leader_epoch = -1;
}

static void list_offsets_await(struct fiber *self, struct request *rq)
{
	const struct list_offsets_request *body = rq->body;
	unsigned shard_count = runtime_shard_count(shard_runtime(rq->shard));
	struct inquiry *inquiries = request_alloc(rq, shard_count, sizeof(*inquiries));
	struct list_offsets_response response;

	message_init(&list_offsets_response_type, &response);
	if (!inquiries || !take_request(rq, inquiries, &response)) {
		request_close(rq, "a ListOffsets names more partitions than a request has memory for");
		return;
	}
	for (unsigned i = 0; i < shard_count; i++) {
		struct inquiry *in = &inquiries[i];

		in->to_log_end = body->replica_id != CONSUMER;
		in->read_committed = body->isolation_level == READ_COMMITTED;
		if (!in->first)
			continue;
		if (shard_call_await(self, in->target->shard, "list offsets", inquire_main, in)) {
			request_close(rq, "no fiber for a ListOffsets");
			return;
		}
	}
	if (rq->header.api_version < 4)
		drop_epochs(&response);
	request_reply(rq, &response);
}

static void list_offsets_begin(struct request *rq)
{
	request_run_fiber(rq, "list offsets", list_offsets_await);
}

const struct api_handler list_offsets_handler = {
	.key = API_LIST_OFFSETS,
	.min_version = 1,
	.max_version = 11,
	.begin = list_offsets_begin,
};
