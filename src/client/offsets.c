/* offsets: which offset a beginning, end, time or distance from the end is (ListOffsets). */
#include "base/alloc.h"
#include "client/consumer_own.h"

#define LIST_OFFSETS_NEWEST 10
#define ARENA_MAX ((size_t)64 * 1024)
#define TIMESTAMP_END (-1)
#define TIMESTAMP_BEGINNING (-2)

static enum err ask_leader_await(struct fiber *self, struct cluster *c, const struct offset_question *q,
				 int64_t timestamp, int64_t *ret_offset)
{
	struct list_offsets_request_list_offsets_partition partition = {
		.partition_index = q->partition,
		.current_leader_epoch = -1,
		.timestamp = timestamp,
	};
	struct list_offsets_request_list_offsets_topic topic = {
		.name = bytes_str(q->topic->name),
		.partitions = &partition,
		.partitions_count = 1,
	};
	struct peer *peer = cluster_leader(c, q->topic, q->partition);
	struct list_offsets_request request;
	struct list_offsets_response response;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	if (!peer)
		return q->topic->error ? q->topic->error : ERR_LEADER_NOT_AVAILABLE;
	message_init(&list_offsets_request_type, &request);
	request.replica_id = -1;
	request.isolation_level = (int8_t)c->config->read_committed;
	request.topics = &topic;
	request.topics_count = 1;
	arena_init(&arena, ARENA_MAX);
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_LIST_OFFSETS,
					      .newest = LIST_OFFSETS_NEWEST,
					      .deadline_us = q->deadline_us,
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	if (!e) {
		e = ERR_MALFORMED;
		if (response.topics_count == 1 && response.topics[0].partitions_count == 1) {
			e = (enum err)response.topics[0].partitions[0].error_code;
			if (!e)
				*ret_offset = response.topics[0].partitions[0].offset;
		}
		blob_unref(frame);
	}
	arena_fini(&arena);
	return e;
}

static enum err tail_await(struct fiber *self, struct cluster *c, const struct offset_question *q, int64_t *ret_offset)
{
	int64_t end = 0, beginning = 0;
	enum err e = ask_leader_await(self, c, q, TIMESTAMP_END, &end);

	if (!e)
		e = ask_leader_await(self, c, q, TIMESTAMP_BEGINNING, &beginning);
	if (e)
		return e;
	*ret_offset = end - beginning > q->at.value ? end - q->at.value : beginning;
	return OK;
}

static enum err time_await(struct fiber *self, struct cluster *c, const struct offset_question *q, int64_t *ret_offset)
{
	int64_t offset = -1;
	enum err e = ask_leader_await(self, c, q, q->at.value, &offset);

	/* Nothing is so young: the end. */
	if (!e && offset < 0)
		e = ask_leader_await(self, c, q, TIMESTAMP_END, &offset);
	if (!e)
		*ret_offset = offset;
	return e;
}

enum err list_offset_await(struct fiber *self, struct cluster *c, const struct offset_question *q, int64_t *ret_offset)
{
	switch (q->at.kind) {
	case START_OFFSET:
		break;
	case START_BEGINNING:
		return ask_leader_await(self, c, q, TIMESTAMP_BEGINNING, ret_offset);
	case START_END:
		return ask_leader_await(self, c, q, TIMESTAMP_END, ret_offset);
	case START_TIME:
		return time_await(self, c, q, ret_offset);
	case START_TAIL:
		return tail_await(self, c, q, ret_offset);
	}
	return ERR_USAGE;
}
