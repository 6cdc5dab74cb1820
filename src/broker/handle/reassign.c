/*
 * reassign: AlterPartitionReassignments 0-1 and ListPartitionReassignments 0, and ElectLeaders 0-2. With one broker a partition's only
 * place is where it is: what is asked is checked as in Kafka, and nothing is ever under way.
 * May call: the image, controller/topics.h (pure), request.h.
 */
#include <stdarg.h>
#include <stdio.h>

#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "controller/topics.h"
#include "protocol/messages.h"

#define MAX_WORDS 400

static struct bytes words(struct request *rq, const char *format, ...) __attribute__((format(printf, 2, 3)));

static struct bytes words(struct request *rq, const char *format, ...)
{
	char text[MAX_WORDS];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return arena_copy(&rq->arena, bytes_str(text));
}

/* --- reassignments --------------------------------------------------------------------------------------------------------- */

static void judge(struct request *rq, const struct image_topic *topic, struct bytes name,
		  const struct alter_partition_reassignments_request_reassignable_partition *asked,
		  struct alter_partition_reassignments_response_reassignable_partition_response *answer)
{
	struct buf message;

	answer->partition_index = asked->partition_index;
	answer->error_message = bytes_null();
	if (!topic) {
		answer->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		answer->error_message = words(rq, "Unable to find a topic named %.*s.", BYTES_ARG(name));
		return;
	}
	if (!image_partition(topic, asked->partition_index)) {
		answer->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		answer->error_message = words(rq, "Unable to find partition %.*s:%d.", BYTES_ARG(name),
					      asked->partition_index);
		return;
	}
	if (asked->replicas_count < 0) {
		answer->error_code = ERR_NO_REASSIGNMENT_IN_PROGRESS; /* null takes one back, and there is none */
		return;
	}
	buf_init(&message, MAX_WORDS);
	answer->error_code = (int16_t)assignment_check(rq->broker->image, asked->replicas,
						       (size_t)asked->replicas_count, &message);
	if (answer->error_code)
		answer->error_message = arena_copy(&rq->arena, buf_bytes(&message));
	buf_fini(&message);
}

static void alter_partition_reassignments_begin(struct request *rq)
{
	const struct alter_partition_reassignments_request *body = rq->body;
	struct alter_partition_reassignments_response answer;

	message_init(&alter_partition_reassignments_response_type, &answer);
	answer.error_message = body->topics_count ? bytes_null() : bytes_empty();
	answer.allow_replication_factor_change = body->allow_replication_factor_change;
	answer.responses = told_alloc(rq, (size_t)body->topics_count, sizeof(*answer.responses));
	if (!answer.responses)
		return;
	for (int32_t i = 0; i < body->topics_count; i++) {
		const struct alter_partition_reassignments_request_reassignable_topic *t = &body->topics[i];
		struct alter_partition_reassignments_response_reassignable_topic_response *told =
			&answer.responses[answer.responses_count++];

		told->name = t->name;
		told->partitions = told_alloc(rq, (size_t)t->partitions_count, sizeof(*told->partitions));
		if (!told->partitions)
			return;
		for (int32_t k = 0; k < t->partitions_count; k++)
			judge(rq, image_topic_by_name(rq->broker->image, t->name), t->name, &t->partitions[k],
			      &told->partitions[told->partitions_count++]);
	}
	request_reply(rq, &answer);
}

const struct api_handler alter_partition_reassignments_handler = {
	.key = API_ALTER_PARTITION_REASSIGNMENTS,
	.min_version = 0,
	.max_version = 1,
	.begin = alter_partition_reassignments_begin,
};

static void list_partition_reassignments_begin(struct request *rq)
{
	struct list_partition_reassignments_response answer;

	message_init(&list_partition_reassignments_response_type, &answer);
	answer.error_message = bytes_null();
	request_reply(rq, &answer);
}

const struct api_handler list_partition_reassignments_handler = {
	.key = API_LIST_PARTITION_REASSIGNMENTS,
	.min_version = 0,
	.max_version = 0,
	.begin = list_partition_reassignments_begin,
};

/* --- elections ------------------------------------------------------------------------------------------------------------- */

enum election { ELECTION_PREFERRED = 0, ELECTION_UNCLEAN = 1 };

/* Why nobody is elected: there always is a leader, and it is the preferred one. */
static void judge_election(struct request *rq, struct bytes name, int32_t partition, enum err whole,
			   struct elect_leaders_response_partition_result *answer)
{
	const struct elect_leaders_request *body = rq->body;
	const struct image_topic *topic = image_topic_by_name(rq->broker->image, name);

	answer->partition_id = partition;
	answer->error_code = (int16_t)whole;
	answer->error_message = bytes_null();
	if (whole == ERR_INVALID_REQUEST)
		answer->error_message = words(rq, "Unknown election type %d", body->election_type);
	if (whole)
		return;
	answer->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (!topic) {
		answer->error_message = words(rq, "No such topic as %.*s", BYTES_ARG(name));
	} else if (!image_partition(topic, partition)) {
		answer->error_message = words(rq, "No such partition as %.*s-%d", BYTES_ARG(name), partition);
	} else {
		answer->error_code = ERR_ELECTION_NOT_NEEDED;
		answer->error_message = bytes_str("Leader election not needed for topic partition.");
	}
}

/* All partitions are meant: only those would be told that had an election. False: the request was closed. */
static bool elect_all(struct request *rq, struct elect_leaders_response *answer)
{
	const struct image *image = rq->broker->image;

	answer->replica_election_results = told_alloc(rq, image_topic_count(image),
						      sizeof(*answer->replica_election_results));
	for (size_t i = 0; answer->replica_election_results && i < image_topic_count(image); i++)
		answer->replica_election_results[answer->replica_election_results_count++].topic =
			image_topic_at(image, i)->name;
	return answer->replica_election_results != NULL;
}

static void elect_leaders_begin(struct request *rq)
{
	const struct elect_leaders_request *body = rq->body;
	struct elect_leaders_response answer;
	enum err whole = OK;

	message_init(&elect_leaders_response_type, &answer);
	if (rq->header.api_version > 0 && body->election_type != ELECTION_PREFERRED &&
	    body->election_type != ELECTION_UNCLEAN)
		whole = ERR_INVALID_REQUEST;
	else if (body->timeout_ms <= 0)
		whole = ERR_REQUEST_TIMED_OUT;
	answer.error_code = (int16_t)whole;
	if (body->topic_partitions_count < 0 && !whole) {
		if (elect_all(rq, &answer))
			request_reply(rq, &answer);
		return;
	}
	answer.replica_election_results = told_alloc(
		rq, (size_t)(body->topic_partitions_count < 0 ? 0 : body->topic_partitions_count),
		sizeof(*answer.replica_election_results));
	if (!answer.replica_election_results)
		return;
	for (int32_t i = 0; i < body->topic_partitions_count; i++) {
		const struct elect_leaders_request_topic_partitions *t = &body->topic_partitions[i];
		struct elect_leaders_response_replica_election_result *told =
			&answer.replica_election_results[answer.replica_election_results_count++];

		told->topic = t->topic;
		told->partition_result = told_alloc(rq, (size_t)t->partitions_count, sizeof(*told->partition_result));
		if (!told->partition_result)
			return;
		for (int32_t k = 0; k < t->partitions_count; k++)
			judge_election(rq, t->topic, t->partitions[k], whole,
				       &told->partition_result[told->partition_result_count++]);
	}
	request_reply(rq, &answer);
}

const struct api_handler elect_leaders_handler = {
	.key = API_ELECT_LEADERS,
	.min_version = 0,
	.max_version = 2,
	.begin = elect_leaders_begin,
};
