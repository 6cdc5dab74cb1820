/*
 * offset_for_leader_epoch: OffsetForLeaderEpoch 2-4 (KIP-101): where an epoch ended. What is not known is -1, which is no error;
 * neither is the epoch -2, which is told back. May call: the image, replica/, storage/log.
 */
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "broker/handle/visits.h"
#include "protocol/messages.h"

#define NO_EPOCH (-1)

struct question {
	const struct offset_for_leader_epoch_request_offset_for_leader_partition *asked;
	struct offset_for_leader_epoch_response_epoch_end_offset *answer;
};

static void find_end(const struct partition *p, const struct question *q)
{
	int32_t asked = q->asked->leader_epoch, epoch;
	int64_t end;

	if (asked == NO_EPOCH || asked > p->leader_epoch)
		return;
	if (asked == p->leader_epoch) {
		epoch = asked;
		end = log_end_offset(p->log);
	} else if (log_epoch_end(p->log, asked, &epoch, &end)) {
		/* Nothing was written yet: as one from before all that is known. */
		epoch = asked;
		end = log_start_offset(p->log);
	}
	q->answer->leader_epoch = epoch;
	q->answer->end_offset = end;
}

static void visit_await(struct fiber *there, struct broker_shard *at, struct visit *v)
{
	const struct question *q = v->item;
	struct partition *p;
	enum err e = replicas_open_await(there, at->replicas, v->topic_id, v->partition, &p);

	if (!e)
		e = partition_check_epoch(p, q->asked->current_leader_epoch);
	q->answer->error_code = err_to_kafka(e);
	if (!e)
		find_end(p, q);
}

/* False: the request was closed. */
static bool take_topic(struct request *rq, struct visits *visits,
		       const struct offset_for_leader_epoch_request_offset_for_leader_topic *t,
		       struct offset_for_leader_epoch_response_offset_for_leader_topic_result *answer)
{
	const struct image_topic *topic = image_topic_by_name(rq->broker->image, t->topic);

	answer->topic = t->topic;
	answer->partitions = told_alloc(rq, (size_t)t->partitions_count, sizeof(*answer->partitions));
	if (!answer->partitions)
		return false;
	for (int32_t i = 0; i < t->partitions_count; i++) {
		struct offset_for_leader_epoch_response_epoch_end_offset *a =
			&answer->partitions[answer->partitions_count++];
		struct question *q = told_alloc(rq, 1, sizeof(*q));

		*a = (struct offset_for_leader_epoch_response_epoch_end_offset){
			.partition = t->partitions[i].partition, .leader_epoch = -1, .end_offset = -1};
		if (!q)
			return false;
		*q = (struct question){&t->partitions[i], a};
		if (!topic || !image_partition(topic, a->partition)) {
			a->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		} else if (t->partitions[i].current_leader_epoch < NO_EPOCH) {
			a->error_code = ERR_FENCED_LEADER_EPOCH; /* as one of long ago: only -1 is none */
		} else if (!visits_add(rq, visits, topic->id, a->partition, q)) {
			request_close(rq, "the answer is too large");
			return false;
		}
	}
	return true;
}

static void offset_for_leader_epoch_main(struct fiber *self, struct request *rq)
{
	const struct offset_for_leader_epoch_request *body = rq->body;
	struct offset_for_leader_epoch_response answer;
	struct visits *visits = visits_new(rq);

	message_init(&offset_for_leader_epoch_response_type, &answer);
	answer.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*answer.topics));
	if (!answer.topics)
		return;
	if (!visits) {
		request_close(rq, "the answer is too large");
		return;
	}
	for (int32_t i = 0; i < body->topics_count; i++)
		if (!take_topic(rq, visits, &body->topics[i], &answer.topics[answer.topics_count++]))
			return;
	if (visits_await(self, rq, visits, visit_await))
		request_close(rq, "no fiber for an OffsetForLeaderEpoch");
	else
		request_reply(rq, &answer);
}

static void offset_for_leader_epoch_begin(struct request *rq)
{
	request_run_fiber(rq, "offset-for-leader-epoch", offset_for_leader_epoch_main);
}

const struct api_handler offset_for_leader_epoch_handler = {
	.key = API_OFFSET_FOR_LEADER_EPOCH,
	.min_version = 2,
	.max_version = 4,
	.begin = offset_for_leader_epoch_begin,
};
