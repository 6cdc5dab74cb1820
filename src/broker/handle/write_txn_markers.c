/*
 * write_txn_markers: WriteTxnMarkers 1-2: ends of transactions, from their coordinator or from an operator whose transaction hangs.
 * May call: markers.h, the image.
 *
 * What is said of one producer stands in one place of the answer, however often the request names it; of a partition that is named more than once
 * the last marker's outcome is told. A marker that cannot be refuses the whole request, unless all of its partitions are unknown or of the groups' topic.
 */
#include "base/map.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "broker/markers.h"
#include "protocol/messages.h"

/* What is answered of a producer and of a topic, with room for all that the request says of it. */
struct told_producer {
	struct write_txn_markers_response_writable_txn_marker_result *answer; /* NULL: no partition yet */
	size_t most;                                                          /* topics */
};

struct told_topic {
	struct write_txn_markers_response_writable_txn_marker_topic_result *answer;
	size_t most; /* partitions */
};

struct marker_part {
	struct marker_write write;
	struct request *request;
	struct marker_part *next;
	struct write_txn_markers_response_writable_txn_marker_partition_result *answer;
};

struct write_txn_markers {
	struct write_txn_markers_response response;
	struct map producers;  /* id -> struct told_producer */
	struct map topics;     /* id, name -> struct told_topic */
	struct map partitions; /* id, partition, name -> its answer */
	struct marker_part *first;
	struct marker_part **last;
	size_t unfinished;
	bool refused;
};

static bool can_be(const struct write_txn_markers_request_writable_txn_marker *m)
{
	return m->producer_id >= 0 && m->producer_epoch >= 0 && m->transaction_version >= 0;
}

/* --- places in the answer; NULL, and false, here and below: the request was closed -------------------------------------- */

static struct bytes key_of(struct request *rq, int64_t producer_id, struct bytes topic, const int32_t *partition)
{
	size_t front = sizeof(producer_id) + (partition ? sizeof(*partition) : 0);
	uint8_t *key = told_alloc(rq, 1, front + topic.size);

	if (!key)
		return bytes_null();
	memcpy(key, &producer_id, sizeof(producer_id));
	if (partition)
		memcpy(key + sizeof(producer_id), partition, sizeof(*partition));
	if (topic.size)
		memcpy(key + front, topic.data, topic.size);
	return bytes_of(key, front + topic.size);
}

static void *named(struct request *rq, struct map *map, struct bytes key, size_t size)
{
	void *found = bytes_is_null(key) ? NULL : map_get(map, key);

	if (found || bytes_is_null(key))
		return found;
	found = told_alloc(rq, 1, size);
	if (found)
		(void)map_put(map, key, found);
	return found;
}

static struct told_producer *producer_of(struct request *rq, int64_t id)
{
	struct write_txn_markers *w = rq->state;

	return named(rq, &w->producers, bytes_of(&id, sizeof(id)), sizeof(struct told_producer));
}

static struct told_topic *topic_of(struct request *rq, int64_t id, struct bytes name)
{
	struct write_txn_markers *w = rq->state;

	return named(rq, &w->topics, key_of(rq, id, name, NULL), sizeof(struct told_topic));
}

static bool count(struct request *rq, const struct write_txn_markers_request_writable_txn_marker *m)
{
	struct told_producer *p = producer_of(rq, m->producer_id);

	if (!p)
		return false;
	p->most += (size_t)m->topics_count;
	for (int32_t i = 0; i < m->topics_count; i++) {
		struct told_topic *t = topic_of(rq, m->producer_id, m->topics[i].name);

		if (!t)
			return false;
		t->most += (size_t)m->topics[i].partition_indexes_count;
	}
	return true;
}

static struct write_txn_markers_response_writable_txn_marker_topic_result *topic_answer(struct request *rq, int64_t id,
											struct bytes name)
{
	struct write_txn_markers *w = rq->state;
	struct told_producer *p = producer_of(rq, id);
	struct told_topic *t = topic_of(rq, id, name);

	if (!p || !t)
		return NULL;
	if (t->answer)
		return t->answer;
	if (!p->answer) {
		p->answer = &w->response.markers[w->response.markers_count];
		p->answer->topics = told_alloc(rq, p->most, sizeof(*p->answer->topics));
		if (!p->answer->topics)
			return NULL;
		p->answer->producer_id = id;
		w->response.markers_count++;
	}
	t->answer = &p->answer->topics[p->answer->topics_count];
	t->answer->partitions = told_alloc(rq, t->most, sizeof(*t->answer->partitions));
	if (!t->answer->partitions)
		return NULL;
	t->answer->name = name;
	p->answer->topics_count++;
	return t->answer;
}

static struct write_txn_markers_response_writable_txn_marker_partition_result *
partition_answer(struct request *rq, int64_t id, struct bytes name, int32_t partition)
{
	struct write_txn_markers *w = rq->state;
	struct write_txn_markers_response_writable_txn_marker_topic_result *t;
	struct write_txn_markers_response_writable_txn_marker_partition_result *a;
	struct bytes key = key_of(rq, id, name, &partition);

	if (bytes_is_null(key))
		return NULL;
	a = map_get(&w->partitions, key);
	if (a)
		return a;
	t = topic_answer(rq, id, name);
	if (!t)
		return NULL;
	a = &t->partitions[t->partitions_count++];
	a->partition_index = partition;
	(void)map_put(&w->partitions, key, a);
	return a;
}

/* --- taking the request ------------------------------------------------------------------------------------------------- */

static void part_finished(struct marker_write *write)
{
	struct marker_part *part = container_of(write, struct marker_part, write);
	struct request *rq = part->request;
	struct write_txn_markers *w = rq->state;

	part->answer->error_code = err_to_kafka(write->error);
	if (--w->unfinished == 0)
		request_reply(rq, &w->response);
	request_release(rq);
}

static bool take_partition(struct request *rq, const struct write_txn_markers_request_writable_txn_marker *m,
			   struct bytes name, int32_t partition)
{
	const struct image_topic *topic = image_topic_by_name(rq->broker->image, name);
	struct write_txn_markers *w = rq->state;
	struct marker_part *part;
	struct write_txn_markers_response_writable_txn_marker_partition_result *answer = partition_answer(
		rq, m->producer_id, name, partition);
	enum internal_topic internal = INTERNAL_TOPICS;

	if (!answer)
		return false;
	if (!topic || !image_partition(topic, partition)) {
		answer->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		return true;
	}
	(void)internal_topic_find(name, &internal);
	if (!can_be(m)) {
		answer->error_code = ERR_UNKNOWN_SERVER_ERROR;
		w->refused = w->refused || internal != INTERNAL_GROUPS;
		return true;
	}
	part = told_alloc(rq, 1, sizeof(*part));
	if (!part)
		return false;
	part->request = rq;
	part->answer = answer;
	part->write = (struct marker_write){
		.topic_id = topic->id,
		.partition = partition,
		.of_groups = internal == INTERNAL_GROUPS,
		.transaction_version = m->transaction_version,
		.marker = {m->transaction_result, m->producer_id, m->producer_epoch, m->coordinator_epoch},
		.finished = part_finished,
	};
	*w->last = part;
	w->last = &part->next;
	w->unfinished++;
	return true;
}

static bool take_marker(struct request *rq, const struct write_txn_markers_request_writable_txn_marker *m)
{
	for (int32_t t = 0; t < m->topics_count; t++)
		for (int32_t p = 0; p < m->topics[t].partition_indexes_count; p++)
			if (!take_partition(rq, m, m->topics[t].name, m->topics[t].partition_indexes[p]))
				return false;
	return true;
}

static bool take_request(struct request *rq)
{
	const struct write_txn_markers_request *body = rq->body;
	struct write_txn_markers *w = rq->state;

	w->response.markers = told_alloc(rq, (size_t)body->markers_count, sizeof(*w->response.markers));
	if (!w->response.markers)
		return false;
	for (int32_t i = 0; i < body->markers_count; i++)
		if (!count(rq, &body->markers[i]))
			return false;
	for (int32_t i = 0; i < body->markers_count; i++)
		if (!take_marker(rq, &body->markers[i]))
			return false;
	return true;
}

/* --- the answer --------------------------------------------------------------------------------------------------------- */

static void refuse_all(struct write_txn_markers_response *r)
{
	for (int32_t i = 0; i < r->markers_count; i++)
		for (int32_t t = 0; t < r->markers[i].topics_count; t++)
			for (int32_t p = 0; p < r->markers[i].topics[t].partitions_count; p++)
				r->markers[i].topics[t].partitions[p].error_code = ERR_UNKNOWN_SERVER_ERROR;
}

static void write_all(struct request *rq)
{
	struct write_txn_markers *w = rq->state;
	struct marker_part *next;

	for (struct marker_part *part = w->first; part; part = part->next)
		request_hold(rq);
	/* The last one may be the end of the request. */
	for (struct marker_part *part = w->first; part; part = next) {
		next = part->next;
		marker_write_start(&part->write, rq->broker);
	}
}

static void write_txn_markers_begin(struct request *rq)
{
	struct write_txn_markers *w = told_alloc(rq, 1, sizeof(*w));
	bool taken;

	if (!w)
		return;
	rq->state = w;
	message_init(&write_txn_markers_response_type, &w->response);
	w->last = &w->first;
	map_init_seeded(&w->producers, shard_map_seed(rq->shard));
	map_init_seeded(&w->topics, shard_map_seed(rq->shard));
	map_init_seeded(&w->partitions, shard_map_seed(rq->shard));
	taken = take_request(rq);
	map_fini(&w->producers);
	map_fini(&w->topics);
	map_fini(&w->partitions);
	if (!taken)
		return;
	if (w->refused) {
		refuse_all(&w->response);
		w->unfinished = 0;
	}
	if (w->unfinished > 0)
		write_all(rq);
	else
		request_reply(rq, &w->response);
}

const struct api_handler write_txn_markers_handler = {
	.key = API_WRITE_TXN_MARKERS,
	.min_version = 1,
	.max_version = 2,
	.begin = write_txn_markers_begin,
};
