/*
 * delete_records: DeleteRecords 0-2: a partition's log starts further on. How far it may, and what is answered, says replica/partition.h.
 * May call: the image, replica/.
 */
#include "base/map.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "broker/handle/visits.h"
#include "protocol/messages.h"

struct deletion {
	int64_t offset;
	struct delete_records_response_delete_records_partition_result *answer;
};

static void visit_await(struct fiber *there, struct broker_shard *at, struct visit *v)
{
	struct deletion *d = v->item;
	struct partition *p;
	int64_t low_watermark = -1;
	enum err e = replicas_open_await(there, at->replicas, v->topic_id, v->partition, &p);

	if (!e)
		e = partition_delete_records_await(there, p, d->offset, &low_watermark);
	d->answer->error_code = err_to_kafka(e);
	d->answer->low_watermark = low_watermark;
}

/* What a request says of one topic, however often it names it: Kafka answers each topic and partition once, and the last offset counts. */
struct named_topic {
	struct delete_records_response_delete_records_topic_result *answer;
	size_t most;
};

struct taking {
	struct request *rq;
	struct map by_name;      /* -> struct named_topic */
	struct map by_partition; /* of a topic in the answer -> its place */
	struct visits *visits;
	struct delete_records_response answer;
};

/* False, here and below: the request was closed. */
static bool count_topic(struct taking *t, const struct delete_records_request_delete_records_topic *asked)
{
	struct named_topic *n = map_get(&t->by_name, asked->name);

	if (!n) {
		n = told_alloc(t->rq, 1, sizeof(*n));
		if (!n)
			return false;
		(void)map_put(&t->by_name, asked->name, n);
	}
	n->most += (size_t)asked->partitions_count;
	return true;
}

static struct delete_records_response_delete_records_topic_result *topic_of(struct taking *t, struct bytes name)
{
	struct named_topic *n = map_get(&t->by_name, name);
	struct delete_records_response_delete_records_partition_result *partitions;

	if (n->answer)
		return n->answer;
	partitions = told_alloc(t->rq, n->most, sizeof(*partitions));
	if (!partitions)
		return NULL;
	n->answer = &t->answer.topics[t->answer.topics_count++];
	n->answer->name = name;
	n->answer->partitions = partitions;
	return n->answer;
}

static struct delete_records_response_delete_records_partition_result *
place_of(struct taking *t, struct delete_records_response_delete_records_topic_result *topic, int32_t partition)
{
	uint64_t key = (uint64_t)(topic - t->answer.topics) << 32 | (uint32_t)partition;
	struct delete_records_response_delete_records_partition_result *p = map_get(&t->by_partition,
										    map_key_u64(&key));

	if (p)
		return p;
	p = &topic->partitions[topic->partitions_count++];
	*p = (struct delete_records_response_delete_records_partition_result){.partition_index = partition,
									      .low_watermark = -1};
	(void)map_put(&t->by_partition, map_key_u64(&key), p);
	return p;
}

static bool take_topic(struct taking *t, const struct delete_records_request_delete_records_topic *asked)
{
	const struct image_topic *topic = image_topic_by_name(t->rq->broker->image, asked->name);
	struct delete_records_response_delete_records_topic_result *answer;

	if (asked->partitions_count == 0)
		return true;
	answer = topic_of(t, asked->name);
	if (!answer)
		return false;
	for (int32_t i = 0; i < asked->partitions_count; i++) {
		int32_t index = asked->partitions[i].partition_index;
		struct deletion *d = told_alloc(t->rq, 1, sizeof(*d));

		if (!d)
			return false;
		*d = (struct deletion){.offset = asked->partitions[i].offset, .answer = place_of(t, answer, index)};
		if (!topic || !image_partition(topic, index)) {
			d->answer->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		} else if (!visits_add(t->rq, t->visits, topic->id, index, d)) {
			request_close(t->rq, "the answer is too large");
			return false;
		}
	}
	return true;
}

static bool take_request(struct taking *t)
{
	const struct delete_records_request *body = t->rq->body;

	message_init(&delete_records_response_type, &t->answer);
	t->answer.topics = told_alloc(t->rq, (size_t)body->topics_count, sizeof(*t->answer.topics));
	if (!t->answer.topics)
		return false;
	t->visits = visits_new(t->rq);
	if (!t->visits) {
		request_close(t->rq, "the answer is too large");
		return false;
	}
	for (int32_t i = 0; i < body->topics_count; i++)
		if (!count_topic(t, &body->topics[i]))
			return false;
	for (int32_t i = 0; i < body->topics_count; i++)
		if (!take_topic(t, &body->topics[i]))
			return false;
	return true;
}

static void delete_records_main(struct fiber *self, struct request *rq)
{
	struct taking t = {.rq = rq};
	bool taken;

	map_init(&t.by_name);
	map_init(&t.by_partition);
	taken = take_request(&t);
	map_fini(&t.by_name);
	map_fini(&t.by_partition);
	if (!taken)
		return;
	if (visits_await(self, rq, t.visits, visit_await))
		request_close(rq, "no fiber for a DeleteRecords");
	else
		request_reply(rq, &t.answer);
}

static void delete_records_begin(struct request *rq)
{
	request_run_fiber(rq, "delete-records", delete_records_main);
}

const struct api_handler delete_records_handler = {
	.key = API_DELETE_RECORDS,
	.min_version = 0,
	.max_version = 2,
	.begin = delete_records_begin,
};
