/*
 * describe_producers: DescribeProducers 0 (KIP-664): who wrote to a partition with a producer id, as its log knows them.
 * May call: the image, replica/, storage/log.
 */
#include "base/alloc.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "broker/handle/visits.h"
#include "protocol/messages.h"

/* Of a request, at most: a log may know a million of them. The answer's memory is the request's and is taken at home. */
#define MOST_TOLD 200000

struct listing {
	struct describe_producers_response_partition_response *answer;
	struct producer_told *found; /* made where the partition lives; freed at home */
	size_t count;
	size_t capacity;
	size_t *left; /* of the request; shards are visited one after the other */
};

static void note(void *context, const struct producer_told *p)
{
	struct listing *l = context;

	if (*l->left == 0)
		return;
	--*l->left;
	l->found = mem_grow(l->found, &l->capacity, l->count + 1, sizeof(*l->found));
	l->found[l->count++] = *p;
}

static void visit_await(struct fiber *there, struct broker_shard *at, struct visit *v)
{
	struct listing *l = v->item;
	struct partition *p;
	enum err e = replicas_open_await(there, at->replicas, v->topic_id, v->partition, &p);

	l->answer->error_code = err_to_kafka(e);
	if (!e)
		log_each_producer(p->log, note, l);
}

static bool tell(struct request *rq, struct listing *l)
{
	struct describe_producers_response_partition_response *a = l->answer;

	a->active_producers = request_alloc(rq, l->count ? l->count : 1, sizeof(*a->active_producers));
	for (size_t i = 0; a->active_producers && i < l->count; i++)
		a->active_producers[a->active_producers_count++] = (struct describe_producers_response_producer_state){
			.producer_id = l->found[i].producer_id,
			.producer_epoch = l->found[i].epoch,
			.last_sequence = l->found[i].last_sequence,
			.last_timestamp = l->found[i].last_timestamp,
			.coordinator_epoch = l->found[i].coordinator_epoch,
			.current_txn_start_offset = l->found[i].txn_first_offset,
		};
	return a->active_producers != NULL;
}

struct taking {
	struct visits *visits;
	struct listing **listings;
	size_t count;
	size_t left;
};

/* False: the request was closed. */
static bool take_topic(struct request *rq, struct taking *t,
		       const struct describe_producers_request_topic_request *asked,
		       struct describe_producers_response_topic_response *answer)
{
	const struct image_topic *topic = image_topic_by_name(rq->broker->image, asked->name);
	const char *fault = told_name_fault(rq, asked->name);

	answer->name = asked->name;
	answer->partitions = told_alloc(rq, (size_t)asked->partition_indexes_count, sizeof(*answer->partitions));
	if (!answer->partitions)
		return false;
	for (int32_t i = 0; i < asked->partition_indexes_count; i++) {
		struct describe_producers_response_partition_response *a =
			&answer->partitions[answer->partitions_count++];
		struct listing *l = told_alloc(rq, 1, sizeof(*l));

		*a = (struct describe_producers_response_partition_response){
			.partition_index = asked->partition_indexes[i], .error_message = bytes_str(fault)};
		if (!l)
			return false;
		l->answer = a;
		l->left = &t->left;
		t->listings[t->count++] = l;
		if (fault) {
			a->error_code = ERR_INVALID_TOPIC_EXCEPTION;
		} else if (!topic || !image_partition(topic, a->partition_index)) {
			a->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
			if (!topic)
				a->error_message = bytes_str("This server does not host this topic-partition.");
		} else if (!visits_add(rq, t->visits, topic->id, a->partition_index, l)) {
			request_close(rq, "the answer is too large");
			return false;
		}
	}
	return true;
}

static void describe_producers_main(struct fiber *self, struct request *rq)
{
	const struct describe_producers_request *body = rq->body;
	struct describe_producers_response answer;
	struct taking t = {.visits = visits_new(rq), .left = MOST_TOLD};
	size_t most = 0;
	bool fits = true;
	enum err e;

	message_init(&describe_producers_response_type, &answer);
	for (int32_t i = 0; i < body->topics_count; i++)
		most += (size_t)body->topics[i].partition_indexes_count;
	answer.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*answer.topics));
	if (!answer.topics)
		return;
	t.listings = told_alloc(rq, most, sizeof(*t.listings));
	if (!t.listings)
		return;
	if (!t.visits) {
		request_close(rq, "the answer is too large");
		return;
	}
	for (int32_t i = 0; i < body->topics_count; i++)
		if (!take_topic(rq, &t, &body->topics[i], &answer.topics[answer.topics_count++]))
			return;
	e = visits_await(self, rq, t.visits, visit_await);
	for (size_t i = 0; i < t.count; i++) {
		fits = fits && tell(rq, t.listings[i]);
		mem_free(t.listings[i]->found);
	}
	if (e || !fits)
		request_close(rq, e ? "no fiber for a DescribeProducers" : "the answer is too large");
	else
		request_reply(rq, &answer);
}

static void describe_producers_begin(struct request *rq)
{
	request_run_fiber(rq, "describe-producers", describe_producers_main);
}

const struct api_handler describe_producers_handler = {
	.key = API_DESCRIBE_PRODUCERS,
	.min_version = 0,
	.max_version = 0,
	.begin = describe_producers_begin,
};
