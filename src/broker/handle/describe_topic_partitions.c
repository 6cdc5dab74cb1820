/*
 * describe_topic_partitions: DescribeTopicPartitions 0: topics by name, a page of partitions at a time.
 *
 *      topics by name:   a [0 1 2] | b [0 1 2 3 4] | c [0]        limit 4 -> a 0 1 2, b 0; cursor (b, 1)
 *
 * May call: the image, request.h.
 */
#include <stdlib.h>

#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "protocol/messages.h"

struct page {
	struct request *rq;
	struct describe_topic_partitions_response answer;
	struct describe_topic_partitions_response_cursor next;
	int32_t left; /* partitions that still fit */
	bool full;    /* the cursor is set */
	bool closed;  /* no memory */
};

static void tell_partitions(struct page *page, const struct image_topic *t, int32_t from,
			    struct describe_topic_partitions_response_describe_topic_partitions_response_topic *told)
{
	int32_t to = t->partition_count - from > page->left ? from + page->left : t->partition_count;

	told->partitions = told_alloc(page->rq, to > from ? (size_t)(to - from) : 0, sizeof(*told->partitions));
	if (!told->partitions) {
		page->closed = true;
		return;
	}
	for (int32_t i = from; i < to; i++) {
		const struct image_partition *p = &t->partitions[i];
		struct describe_topic_partitions_response_describe_topic_partitions_response_partition *one =
			&told->partitions[told->partitions_count++];
		size_t replica_count, isr_count;

		one->partition_index = i;
		one->leader_id = image_broker_by_id(page->rq->broker->image, p->leader) ? p->leader : -1;
		one->error_code = one->leader_id < 0 ? ERR_LEADER_NOT_AVAILABLE : 0;
		one->leader_epoch = p->leader_epoch;
		one->replica_nodes = told_ids(image_replicas(p, &replica_count));
		one->replica_nodes_count = (int32_t)replica_count;
		one->isr_nodes = told_ids(image_isr(p, &isr_count));
		one->isr_nodes_count = (int32_t)isr_count;
	}
	page->left -= told->partitions_count;
	if (to < t->partition_count) {
		page->full = true;
		page->next.topic_name = t->name;
		page->next.partition_index = to;
	}
}

/* `from` is above 0 for the cursor's topic only. */
static void tell_topic(struct page *page, struct bytes name, int32_t from)
{
	const struct image_topic *t = image_topic_by_name(page->rq->broker->image, name);
	struct describe_topic_partitions_response_describe_topic_partitions_response_topic *told;

	if (page->left == 0) {
		page->full = true;
		page->next.topic_name = name;
		page->next.partition_index = 0;
		return;
	}
	told = &page->answer.topics[page->answer.topics_count++];
	told->name = name;
	told->is_internal = told_is_internal(name) || (t && t->internal);
	told->topic_authorized_operations = TOLD_TOPIC_OPERATIONS;
	if (t) {
		told->topic_id = t->id;
		tell_partitions(page, t, from, told);
	} else {
		told->error_code = told_name_fault(page->rq, name) ? ERR_INVALID_TOPIC_EXCEPTION
								   : ERR_UNKNOWN_TOPIC_OR_PARTITION;
	}
}

static int by_name(const void *a, const void *b)
{
	return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* The names that the request is about, from the cursor on, sorted, each once; -1: the request was closed. */
static int64_t gather_names(struct request *rq, struct bytes **ret_names)
{
	const struct describe_topic_partitions_request *body = rq->body;
	const struct image *image = rq->broker->image;
	bool all = body->topics_count <= 0;
	size_t first = all && body->cursor ? image_topic_place(image, body->cursor->topic_name) : 0;
	size_t count = all ? image_topic_count(image) - first : (size_t)body->topics_count;
	struct bytes *names = told_alloc(rq, count, sizeof(*names));
	int64_t n = 0;

	if (!names)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct bytes name = all ? image_topic_at(image, first + i)->name : body->topics[i].name;

		if (all || !body->cursor || bytes_compare(name, body->cursor->topic_name) >= 0)
			names[n++] = name;
	}
	if (!all && n > 0) {
		int64_t kept = 1;

		qsort(names, (size_t)n, sizeof(*names), by_name);
		for (int64_t i = 1; i < n; i++)
			if (!bytes_equal(names[i], names[kept - 1]))
				names[kept++] = names[i];
		n = kept;
	}
	*ret_names = names;
	return n;
}

static bool names_cursor(const struct bytes *names, int64_t count, struct bytes cursor)
{
	return count > 0 && bytes_equal(names[0], cursor);
}

static void answer_bad_cursor(struct request *rq)
{
	const struct describe_topic_partitions_request *body = rq->body;
	struct describe_topic_partitions_response answer;

	message_init(&describe_topic_partitions_response_type, &answer);
	answer.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*answer.topics));
	if (!answer.topics)
		return;
	for (int32_t i = 0; i < body->topics_count; i++) {
		answer.topics[i].error_code = ERR_INVALID_REQUEST;
		answer.topics[i].name = body->topics[i].name;
		answer.topics[i].topic_authorized_operations = TOLD_NO_OPERATIONS;
	}
	answer.topics_count = body->topics_count > 0 ? body->topics_count : 0;
	request_reply(rq, &answer);
}

static int32_t page_size(struct request *rq, int32_t asked)
{
	int32_t most = config_int32(broker_config(rq->broker->broker), CONFIG_MAX_REQUEST_PARTITION_SIZE_LIMIT);

	if (asked > most)
		return most;
	return asked < 1 ? 1 : asked;
}

static void describe_topic_partitions_begin(struct request *rq)
{
	const struct describe_topic_partitions_request *body = rq->body;
	struct page page = {.rq = rq, .left = page_size(rq, body->response_partition_limit)};
	struct bytes *names = NULL;
	int64_t count = gather_names(rq, &names);
	bool at_cursor;

	if (count < 0)
		return;
	at_cursor = body->cursor && names_cursor(names, count, body->cursor->topic_name);
	if (body->cursor && (body->cursor->partition_index < 0 || (body->topics_count > 0 && !at_cursor))) {
		answer_bad_cursor(rq);
		return;
	}
	message_init(&describe_topic_partitions_response_type, &page.answer);
	page.answer.topics = told_alloc(rq, (size_t)count, sizeof(*page.answer.topics));
	if (!page.answer.topics)
		return;
	for (int64_t i = 0; i < count && !page.full && !page.closed; i++)
		tell_topic(&page, names[i], i == 0 && at_cursor ? body->cursor->partition_index : 0);
	if (page.closed)
		return;
	if (page.full)
		page.answer.next_cursor = &page.next;
	request_reply(rq, &page.answer);
}

const struct api_handler describe_topic_partitions_handler = {
	.key = API_DESCRIBE_TOPIC_PARTITIONS,
	.min_version = 0,
	.max_version = 0,
	.begin = describe_topic_partitions_begin,
};
