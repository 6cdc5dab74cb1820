/*
 * write_txn_markers: WriteTxnMarkers 1-2: ends of transactions, from their coordinator or from an operator whose transaction hangs.
 * May call: markers.h, the image.
 *
 * What is said of one producer stands in one place of the answer, however often the request names it; of a partition that is named more than once
 * the outcome that came last is told; one that a marker names again and again gets one marker. A marker that cannot be refuses the whole request, unless all of
 * its partitions are unknown or of the groups' topic. Markers are written in the order of the request, at most AT_ONCE of them at any time: how much memory
 * a request takes follows from what it is told, not from what it asks for.
 */
#include "base/map.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "broker/markers.h"
#include "protocol/messages.h"

#define AT_ONCE 64

/* What is answered of a producer, of a topic and of a partition, with room for all that the request says of it. */
struct told_producer {
	struct write_txn_markers_response_writable_txn_marker_result *answer; /* NULL: no partition yet */
	size_t most;                                                          /* topics */
};

struct told_topic {
	struct write_txn_markers_response_writable_txn_marker_topic_result *answer;
	size_t most; /* partitions */
	uint32_t number;
};

struct told_partition {
	struct write_txn_markers_response_writable_txn_marker_partition_result *answer;
	const struct write_txn_markers_request_writable_txn_marker *last; /* that named it */
};

/* One marker under way. */
struct marker_part {
	struct marker_write write;
	struct request *request;
	struct write_txn_markers_response_writable_txn_marker_partition_result *answer;
	struct marker_part *next; /* of those that have nothing to do */
};

/* A partition in the request. */
struct place {
	int32_t marker, topic, partition;
};

struct write_txn_markers {
	struct write_txn_markers_response response;
	/* While the request is taken. */
	struct map producers;  /* id -> struct told_producer */
	struct map topics;     /* id, name -> struct told_topic */
	struct map partitions; /* number of the topic, partition -> struct told_partition */
	struct buf key;
	uint32_t topic_count;
	bool refused;
	/* Of each place, in the order of the request: where its outcome goes; NULL: nothing is to be written there. */
	struct write_txn_markers_response_writable_txn_marker_partition_result **answers;
	size_t count;
	/* While it is written. */
	size_t at; /* of the answers; the same as `next` */
	struct place next;
	struct marker_part *idle;
	size_t away;
};

static bool can_be(const struct write_txn_markers_request_writable_txn_marker *m)
{
	return m->producer_id >= 0 && m->producer_epoch >= 0 && m->transaction_version >= 0;
}

/* --- places in the answer; NULL, and false, here and below: the request was closed -------------------------------------- */

static void *named(struct request *rq, struct map *map, struct bytes key, size_t size)
{
	void *found = map_get(map, key);

	if (found)
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
	struct told_topic *t;

	w->key.size = 0;
	buf_put_i64(&w->key, id);
	buf_put_bytes(&w->key, name);
	must(!w->key.error); /* a name has 32,767 bytes at most */
	t = named(rq, &w->topics, buf_bytes(&w->key), sizeof(*t));
	if (t && !t->number)
		t->number = ++w->topic_count;
	return t;
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

static bool topic_answer(struct request *rq, int64_t id, struct bytes name, struct told_topic *t)
{
	struct write_txn_markers *w = rq->state;
	struct told_producer *p = producer_of(rq, id);

	if (!p)
		return false;
	if (!p->answer) {
		p->answer = &w->response.markers[w->response.markers_count];
		p->answer->topics = told_alloc(rq, p->most, sizeof(*p->answer->topics));
		if (!p->answer->topics)
			return false;
		p->answer->producer_id = id;
		w->response.markers_count++;
	}
	t->answer = &p->answer->topics[p->answer->topics_count];
	t->answer->partitions = told_alloc(rq, t->most, sizeof(*t->answer->partitions));
	if (!t->answer->partitions)
		return false;
	t->answer->name = name;
	p->answer->topics_count++;
	return true;
}

static struct told_partition *partition_of(struct request *rq, int64_t id, struct bytes name, int32_t partition)
{
	struct write_txn_markers *w = rq->state;
	struct told_topic *t = topic_of(rq, id, name);
	struct told_partition *p;
	uint64_t key;

	if (!t)
		return NULL;
	key = (uint64_t)t->number << 32 | (uint32_t)partition;
	p = named(rq, &w->partitions, map_key_u64(&key), sizeof(*p));
	if (!p || p->answer)
		return p;
	if (!t->answer && !topic_answer(rq, id, name, t))
		return NULL;
	p->answer = &t->answer->partitions[t->answer->partitions_count++];
	p->answer->partition_index = partition;
	return p;
}

/* --- taking the request ------------------------------------------------------------------------------------------------- */

static bool take_partition(struct request *rq, const struct write_txn_markers_request_writable_txn_marker *m,
			   struct bytes name, int32_t partition)
{
	const struct image_topic *topic = image_topic_by_name(rq->broker->image, name);
	struct write_txn_markers *w = rq->state;
	struct told_partition *p = partition_of(rq, m->producer_id, name, partition);
	enum internal_topic internal = INTERNAL_TOPICS;
	size_t place = w->count++;

	if (!p)
		return false;
	if (p->last == m)
		return true;
	p->last = m;
	if (!topic || !image_partition(topic, partition)) {
		p->answer->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		return true;
	}
	(void)internal_topic_find(name, &internal);
	if (!can_be(m)) {
		p->answer->error_code = ERR_UNKNOWN_SERVER_ERROR;
		w->refused = w->refused || internal != INTERNAL_GROUPS;
		return true;
	}
	w->answers[place] = p->answer;
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

static size_t count_places(const struct write_txn_markers_request *body)
{
	size_t count = 0;

	for (int32_t i = 0; i < body->markers_count; i++)
		for (int32_t t = 0; t < body->markers[i].topics_count; t++)
			count += (size_t)body->markers[i].topics[t].partition_indexes_count;
	return count;
}

static bool take_request(struct request *rq)
{
	const struct write_txn_markers_request *body = rq->body;
	struct write_txn_markers *w = rq->state;

	w->response.markers = told_alloc(rq, (size_t)body->markers_count, sizeof(*w->response.markers));
	if (!w->response.markers)
		return false;
	w->answers = told_alloc(rq, count_places(body), sizeof(*w->answers));
	if (!w->answers)
		return false;
	for (int32_t i = 0; i < body->markers_count; i++)
		if (!count(rq, &body->markers[i]))
			return false;
	for (int32_t i = 0; i < body->markers_count; i++)
		if (!take_marker(rq, &body->markers[i]))
			return false;
	return true;
}

/* --- writing ------------------------------------------------------------------------------------------------------------ */

/* False: there is no more. What has no partitions left is passed over. */
static bool find_place(const struct write_txn_markers_request *body, struct place *at)
{
	while (at->marker < body->markers_count) {
		const struct write_txn_markers_request_writable_txn_marker *m = &body->markers[at->marker];

		if (at->topic == m->topics_count)
			*at = (struct place){.marker = at->marker + 1};
		else if (at->partition == m->topics[at->topic].partition_indexes_count)
			*at = (struct place){.marker = at->marker, .topic = at->topic + 1};
		else
			return true;
	}
	return false;
}

static void write_more(struct request *rq);

static void part_finished(struct marker_write *write)
{
	struct marker_part *part = container_of(write, struct marker_part, write);
	struct request *rq = part->request;
	struct write_txn_markers *w = rq->state;

	part->answer->error_code = err_to_kafka(write->error);
	part->next = w->idle;
	w->idle = part;
	w->away--;
	write_more(rq);
	if (w->away == 0)
		request_reply(rq, &w->response);
	request_release(rq);
}

/* What was there when the request was taken may be gone by now. */
static bool aim(struct request *rq, struct marker_part *part)
{
	const struct write_txn_markers_request *body = rq->body;
	struct write_txn_markers *w = rq->state;
	const struct write_txn_markers_request_writable_txn_marker *m = &body->markers[w->next.marker];
	struct bytes name = m->topics[w->next.topic].name;
	const struct image_topic *topic = image_topic_by_name(rq->broker->image, name);
	int32_t partition = m->topics[w->next.topic].partition_indexes[w->next.partition];

	part->answer = w->answers[w->at];
	if (!topic || !image_partition(topic, partition)) {
		part->answer->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
		return false;
	}
	part->write = (struct marker_write){
		.topic_id = topic->id,
		.partition = partition,
		.of_groups = bytes_equal_str(name, internal_topic_name(INTERNAL_GROUPS)),
		.transaction_version = m->transaction_version,
		.marker = {m->transaction_result, m->producer_id, m->producer_epoch, m->coordinator_epoch},
		.finished = part_finished,
	};
	return true;
}

/* Until all that may are under way, or nothing is left. */
static void write_more(struct request *rq)
{
	struct write_txn_markers *w = rq->state;

	while (w->idle && find_place(rq->body, &w->next)) {
		struct marker_part *part = w->idle;

		if (w->answers[w->at] && aim(rq, part)) {
			w->idle = part->next;
			w->away++;
			request_hold(rq);
			marker_write_start(&part->write, rq->broker);
		}
		w->at++;
		w->next.partition++;
	}
}

static bool make_parts(struct request *rq)
{
	struct write_txn_markers *w = rq->state;
	size_t count = w->count < AT_ONCE ? w->count : AT_ONCE;
	struct marker_part *parts = told_alloc(rq, count, sizeof(*parts));

	for (size_t i = 0; parts && i < count; i++) {
		parts[i].request = rq;
		parts[i].next = w->idle;
		w->idle = &parts[i];
	}
	return parts != NULL;
}

static void refuse_all(struct write_txn_markers_response *r)
{
	for (int32_t i = 0; i < r->markers_count; i++)
		for (int32_t t = 0; t < r->markers[i].topics_count; t++)
			for (int32_t p = 0; p < r->markers[i].topics[t].partitions_count; p++)
				r->markers[i].topics[t].partitions[p].error_code = ERR_UNKNOWN_SERVER_ERROR;
}

static bool take(struct request *rq)
{
	struct write_txn_markers *w = rq->state;
	bool taken;

	map_init_seeded(&w->producers, shard_map_seed(rq->shard));
	map_init_seeded(&w->topics, shard_map_seed(rq->shard));
	map_init_seeded(&w->partitions, shard_map_seed(rq->shard));
	buf_init(&w->key, sizeof(int64_t) + CODEC_MAX_STRING_BYTES);
	taken = take_request(rq);
	map_fini(&w->producers);
	map_fini(&w->topics);
	map_fini(&w->partitions);
	buf_fini(&w->key);
	return taken && make_parts(rq);
}

static void write_txn_markers_begin(struct request *rq)
{
	struct write_txn_markers *w = told_alloc(rq, 1, sizeof(*w));

	if (!w)
		return;
	rq->state = w;
	message_init(&write_txn_markers_response_type, &w->response);
	if (!take(rq))
		return;
	if (w->refused)
		refuse_all(&w->response);
	else
		write_more(rq);
	if (w->away == 0)
		request_reply(rq, &w->response);
}

const struct api_handler write_txn_markers_handler = {
	.key = API_WRITE_TXN_MARKERS,
	.min_version = 1,
	.max_version = 2,
	.begin = write_txn_markers_begin,
};
