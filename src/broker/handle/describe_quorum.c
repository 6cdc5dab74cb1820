/*
 * describe_quorum: DescribeQuorum 0-2: this broker keeps its metadata itself, and is told as a quorum of one: its leader and its only voter,
 * with as many records as deltas were applied. May call: the image, request.h.
 */
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "protocol/messages.h"

#define LEADER_EPOCH 1 /* there never was another one */

static bool asks_for_metadata(const struct describe_quorum_request *body)
{
	return body->topics_count == 1 && body->topics[0].partitions_count == 1 &&
	       bytes_equal_str(body->topics[0].topic_name, "__cluster_metadata") &&
	       body->topics[0].partitions[0].partition_index == 0;
}

/* False, here and below: the request was closed. */
static bool tell_quorum(struct request *rq, struct describe_quorum_response_partition_data *p)
{
	int64_t end = image_version(rq->broker->image), now = shard_wall_ms(rq->shard);

	p->error_message = bytes_empty();
	p->leader_id = broker_node_id(rq->broker->broker);
	p->leader_epoch = LEADER_EPOCH;
	p->high_watermark = end;
	p->current_voters = told_alloc(rq, 1, sizeof(*p->current_voters));
	if (!p->current_voters)
		return false;
	p->current_voters[p->current_voters_count++] = (struct describe_quorum_response_replica_state){
		.replica_id = p->leader_id,
		.log_end_offset = end,
		.last_fetch_timestamp = now,
		.last_caught_up_timestamp = now,
	};
	return true;
}

static bool tell_node(struct request *rq, struct describe_quorum_response *answer)
{
	const struct image_broker *b = image_broker_by_id(rq->broker->image, broker_node_id(rq->broker->broker));
	struct told_endpoint e;

	answer->nodes = told_alloc(rq, 1, sizeof(*answer->nodes));
	if (!answer->nodes)
		return false;
	answer->nodes[0].node_id = broker_node_id(rq->broker->broker);
	answer->nodes[0].listeners = told_alloc(rq, 1, sizeof(*answer->nodes[0].listeners));
	if (!answer->nodes[0].listeners)
		return false;
	if (b && told_endpoint_of(rq, b, &e))
		answer->nodes[0].listeners[answer->nodes[0].listeners_count++] =
			(struct describe_quorum_response_listener){bytes_str("CONTROLLER"), e.host, (uint16_t)e.port};
	answer->nodes_count = 1;
	return true;
}

static void describe_quorum_begin(struct request *rq)
{
	const struct describe_quorum_request *body = rq->body;
	struct describe_quorum_response answer;
	bool known = asks_for_metadata(body);

	message_init(&describe_quorum_response_type, &answer);
	answer.error_message = bytes_empty();
	answer.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*answer.topics));
	if (!answer.topics)
		return;
	for (int32_t i = 0; i < body->topics_count; i++) {
		struct describe_quorum_response_topic_data *t = &answer.topics[answer.topics_count++];
		size_t count = (size_t)body->topics[i].partitions_count;

		t->topic_name = body->topics[i].topic_name;
		t->partitions = told_alloc(rq, count, sizeof(*t->partitions));
		if (!t->partitions)
			return;
		for (size_t k = 0; k < count; k++) {
			struct describe_quorum_response_partition_data *p = &t->partitions[t->partitions_count++];

			p->partition_index = body->topics[i].partitions[k].partition_index;
			if (known && !tell_quorum(rq, p))
				return;
			if (known)
				continue;
			p->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
			p->error_message = bytes_str("This server does not host this topic-partition.");
		}
	}
	if (known && rq->header.api_version >= 2 && !tell_node(rq, &answer))
		return;
	request_reply(rq, &answer);
}

const struct api_handler describe_quorum_handler = {
	.key = API_DESCRIBE_QUORUM,
	.min_version = 0,
	.max_version = 2,
	.begin = describe_quorum_begin,
};
