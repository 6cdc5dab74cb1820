/*
 * fetch: Fetch 4-18. The part at home: session, parts, groups by shard, and the answer. See fetch.h for the whole.
 * May call the image, fetch_session.h, request.h.
 */
#include "broker/handle/fetch.h"

#include "base/alloc.h"
#include "broker/handle/handle.h"
#include "protocol/messages.h"

#define CONSUMER (-1)
#define MOST_READS 8 /* an answer has at most this part of a shard's read buffers */
/*
 * What a fetch waits for a log to be opened, whatever it would wait for records: in Kafka all logs are open before a client is let in. A third
 * of the time after which clients take their connection for dead.
 */
#define OPENING_US (10 * 1000 * 1000)

struct fetch {
	struct fetch_response response;
	struct fetch_part *parts; /* in the answer's order */
	size_t part_count;
	struct fetch_group *groups; /* one a shard */
	unsigned group_count;
	unsigned groups_used;
	unsigned groups_left;
	int32_t session_id;
	bool full; /* the answer lists all */
	bool read_committed;
	bool is_follower;
	int64_t max_bytes;
};

static bool by_id(const struct request *rq)
{
	return rq->header.api_version >= 13;
}

/*
 * The answer.
 */
static void fill_partition(const struct fetch *f, const struct fetch_part *part,
			   struct fetch_response_partition_data *answer)
{
	bool unknown = part->error == ERR_UNKNOWN_TOPIC_OR_PARTITION || part->error == ERR_UNKNOWN_TOPIC_ID;

	answer->partition_index = part->target.partition;
	answer->error_code = (int16_t)part->error;
	answer->high_watermark = part->high_watermark;
	answer->last_stable_offset = part->last_stable_offset;
	answer->log_start_offset = part->log_start_offset;
	answer->diverging_epoch.epoch = part->diverging_epoch;
	answer->diverging_epoch.end_offset = part->diverging_epoch < 0 ? -1 : part->diverging_end_offset;
	answer->current_leader.leader_id = answer->current_leader.leader_epoch = -1;
	answer->snapshot_id.end_offset = answer->snapshot_id.epoch = -1;
	answer->preferred_read_replica = -1;
	answer->records = part->blob ? part->records : bytes_empty();
	/* Null where nobody asked for committed records only, and where nothing was read; Kafka's own distinction. */
	answer->aborted_transactions_count = unknown || (f->read_committed && part->error != ERR_OFFSET_OUT_OF_RANGE)
						     ? 0
						     : -1;
	if (part->blob && part->told_aborted) {
		answer->aborted_transactions = part->told_aborted;
		answer->aborted_transactions_count = (int32_t)part->aborted_count;
	}
}

static bool same_topic(const struct fetch_target *a, const struct fetch_target *b)
{
	return uuid_equal(a->topic_id, b->topic_id) && bytes_equal(a->topic, b->topic);
}

static void drop_records(struct request *rq, struct fetch_part *part)
{
	blob_unref_from(rq->shard, part->blob);
	part->blob = NULL;
	part->records = bytes_empty();
}

/* A reader that was not told what was aborted would take it for committed: then the records have to wait. */
static void tell_aborted(struct request *rq, struct fetch_part *part)
{
	struct fetch_response_aborted_transaction *told;

	if (!part->blob || !part->aborted_count)
		return;
	told = part->told_aborted = request_alloc(rq, part->aborted_count, sizeof(*told));
	if (!told)
		drop_records(rq, part);
	for (size_t i = 0; told && i < part->aborted_count; i++) {
		told[i].producer_id = part->aborted[i].producer_id;
		told[i].first_offset = part->aborted[i].first_offset;
	}
}

static void free_aborted(struct fetch *f)
{
	for (size_t i = 0; i < f->part_count; i++) {
		mem_free(f->parts[i].aborted);
		f->parts[i].aborted = NULL;
	}
}

/*
 * Each shard kept to the maximum by itself and let its own first batch be larger than what was asked for. Together only the first in the
 * request's order may (KIP-74); what follows is cut to what is left, and where that holds no whole batch it goes again.
 */
static void trim(struct request *rq)
{
	struct fetch *f = rq->state;
	size_t left = f->max_bytes > 0 ? (size_t)f->max_bytes : 0;
	bool first_one = true;

	for (size_t i = 0; i < f->part_count; i++) {
		struct fetch_part *part = &f->parts[i];
		size_t most = (size_t)part->target.max_bytes < left ? (size_t)part->target.max_bytes : left;

		if (!part->blob)
			continue;
		if (!first_one && part->first_size > most) {
			drop_records(rq, part);
			continue;
		}
		if (!first_one && part->records.size > most)
			part->records.size = most;
		left -= part->records.size < left ? part->records.size : left;
		first_one = false;
	}
}

static bool is_told(const struct fetch *f, struct fetch_session *s, const struct fetch_part *part)
{
	struct fetch_news news = {
		.error = part->error,
		.high_watermark = part->high_watermark,
		.log_start_offset = part->log_start_offset,
		.has_records = part->blob != NULL,
		.diverges = part->diverging_epoch >= 0,
	};
	bool tell = s ? fetch_session_tell(s, &part->target, &news) : true;

	return tell || f->full;
}

/* Adds the part to the answer, in its topic's entry when that is the last one. */
static void list_part(struct fetch *f, const struct fetch_part *part, const struct fetch_target **last_topic,
		      struct fetch_response_partition_data *slot)
{
	struct fetch_response *r = &f->response;

	if (!*last_topic || !same_topic(*last_topic, &part->target)) {
		struct fetch_response_fetchable_topic_response *t = &r->responses[r->responses_count++];

		t->topic = part->target.topic;
		t->topic_id = part->target.topic_id;
		t->partitions = slot;
		*last_topic = &part->target;
	}
	r->responses[r->responses_count - 1].partitions_count++;
	fill_partition(f, part, slot);
}

static void fetch_finish(struct request *rq)
{
	struct fetch *f = rq->state;
	struct fetch_session *s = fetch_session_find(rq->broker->fetch_sessions, f->session_id);
	struct fetch_response_partition_data *slots = request_alloc(rq, f->part_count, sizeof(*slots));
	struct blob **blobs = request_alloc(rq, f->part_count, sizeof(struct blob *));
	const struct fetch_target *last_topic = NULL;
	size_t listed = 0, blob_count = 0;

	f->response.responses = request_alloc(rq, f->part_count, sizeof(*f->response.responses));
	if (!slots || !blobs || !f->response.responses) {
		for (size_t i = 0; i < f->part_count; i++)
			if (f->parts[i].blob)
				drop_records(rq, &f->parts[i]);
		free_aborted(f);
		request_close(rq, "a Fetch names more partitions than a request has memory for");
		return;
	}
	trim(rq);
	for (size_t i = 0; i < f->part_count; i++) {
		struct fetch_part *part = &f->parts[i];

		tell_aborted(rq, part);
		if (part->blob)
			blobs[blob_count++] = part->blob;
		if (is_told(f, s, part))
			list_part(f, part, &last_topic, &slots[listed++]);
	}
	free_aborted(f);
	f->response.session_id = f->session_id;
	request_reply_blobs(rq, &f->response, blobs, blob_count);
}

static void flush_all(struct request *rq, enum fetch_flush how)
{
	struct fetch *f = rq->state;

	for (unsigned i = 0; i < f->group_count; i++)
		if (f->groups[i].first)
			fetch_group_flush(&f->groups[i], how);
}

static void flush_now(struct request *rq)
{
	flush_all(rq, FETCH_FLUSH_NOW);
}

/* Its own time is over, then that of logs which open. */
static void fetch_expired(struct request *rq)
{
	int64_t opening_until = rq->received_us + OPENING_US;

	if (shard_now_us(rq->shard) >= opening_until) {
		flush_now(rq);
		return;
	}
	flush_all(rq, FETCH_FLUSH_OPENED);
	request_arm(rq, opening_until);
}

static void group_news(struct shard *at, struct message *m)
{
	struct fetch_group *from = container_of(m, struct fetch_group, news);
	struct request *rq = from->request;
	struct fetch *f = rq->state;
	int64_t available = 0;

	(void)at;
	from->told_available = from->news_available;
	for (unsigned i = 0; i < f->group_count; i++)
		if (f->groups[i].first)
			available += f->groups[i].told_available;
	fetch_group_return_news(from);
	if (available >= from->min_bytes)
		flush_all(rq, FETCH_FLUSH_OPENED);
}

static void drop_all(struct request *rq)
{
	struct fetch *f = rq->state;

	for (unsigned i = 0; i < f->group_count; i++)
		if (f->groups[i].first)
			fetch_group_drop(&f->groups[i]);
}

static void group_done(struct shard *at, struct message *m)
{
	struct fetch_group *g = container_of(m, struct fetch_group, done);
	struct request *rq = g->request;
	struct fetch *f = rq->state;

	(void)at;
	fetch_group_over(g);
	if (--f->groups_left == 0)
		fetch_finish(rq);
	else
		flush_all(rq, FETCH_FLUSH_OPENED); /* one has enough: the others come with what they have */
	request_release(rq);
}

/*
 * The request.
 */
static const struct image_topic *topic_of(const struct request *rq, const struct fetch_target *t)
{
	return by_id(rq) ? image_topic_by_id(rq->broker->image, t->topic_id)
			 : image_topic_by_name(rq->broker->image, t->topic);
}

static void join_group(struct request *rq, struct fetch_part *part)
{
	const struct fetch_request *body = rq->body;
	struct fetch *f = rq->state;
	struct broker_shard *target = broker_shard_of(rq->broker->broker, part->topic_id, part->target.partition);
	struct fetch_group *g = &f->groups[shard_index(target->shard)];

	if (!g->first) {
		fetch_group_init(g, group_news, group_done);
		g->request = rq;
		g->target = target;
		g->min_bytes = body->max_wait_ms > 0 ? body->min_bytes : 0;
		g->max_bytes = f->max_bytes;
		g->is_follower = f->is_follower;
		g->read_committed = f->read_committed && !f->is_follower;
		f->groups_used++;
	}
	part->group = g;
	*g->last = part;
	g->last = &part->next;
}

static void take_target(struct request *rq, const struct fetch_target *target, struct fetch_part *part)
{
	const struct fetch *f = rq->state;
	const struct image_topic *topic = topic_of(rq, target);

	part->target = *target;
	part->high_watermark = part->last_stable_offset = part->log_start_offset = -1;
	part->diverging_epoch = -1;
	if (!topic)
		part->error = by_id(rq) ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION;
	else if (!image_partition(topic, target->partition))
		part->error = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	else if (target->max_bytes < 0 || f->max_bytes < 0)
		part->error = ERR_UNKNOWN_SERVER_ERROR;
	else if (f->is_follower)
		part->error = ERR_NOT_LEADER_OR_FOLLOWER; /* no replica but this broker's own, for now */
	if (part->error)
		return;
	part->topic_id = topic->id;
	join_group(rq, part);
}

/* What the request itself names. NULL: out of memory. */
static struct fetch_target *targets_of(struct request *rq, size_t *ret_count)
{
	const struct fetch_request *body = rq->body;
	struct fetch_target *targets;
	size_t count = 0, at = 0;

	for (int32_t i = 0; i < body->topics_count; i++)
		count += (size_t)body->topics[i].partitions_count;
	targets = request_alloc(rq, count, sizeof(*targets));
	if (!targets)
		return NULL;
	for (int32_t i = 0; i < body->topics_count; i++)
		for (int32_t j = 0; j < body->topics[i].partitions_count; j++) {
			const struct fetch_request_fetch_partition *p = &body->topics[i].partitions[j];

			targets[at++] = (struct fetch_target){
				.topic = body->topics[i].topic,
				.topic_id = body->topics[i].topic_id,
				.partition = p->partition,
				.current_leader_epoch = p->current_leader_epoch,
				.last_fetched_epoch = p->last_fetched_epoch,
				.max_bytes = p->partition_max_bytes,
				.fetch_offset = p->fetch_offset,
			};
		}
	*ret_count = count;
	return targets;
}

static struct fetch_target *forgotten_of(struct request *rq, size_t *ret_count)
{
	const struct fetch_request *body = rq->body;
	struct fetch_target *targets;
	size_t count = 0, at = 0;

	for (int32_t i = 0; i < body->forgotten_topics_data_count; i++)
		count += (size_t)body->forgotten_topics_data[i].partitions_count;
	targets = request_alloc(rq, count, sizeof(*targets));
	if (!targets)
		return NULL;
	for (int32_t i = 0; i < body->forgotten_topics_data_count; i++)
		for (int32_t j = 0; j < body->forgotten_topics_data[i].partitions_count; j++)
			targets[at++] = (struct fetch_target){
				.topic = body->forgotten_topics_data[i].topic,
				.topic_id = body->forgotten_topics_data[i].topic_id,
				.partition = body->forgotten_topics_data[i].partitions[j],
			};
	*ret_count = count;
	return targets;
}

/* A session's targets, copied: the session may change or go before the answer. */
static struct fetch_target *targets_of_session(struct request *rq, const struct fetch_session *s, size_t *ret_count)
{
	struct fetch_target *targets = request_alloc(rq, s->partitions.count, sizeof(*targets));
	size_t at = 0;

	if (!targets)
		return NULL;
	list_for_each(&s->order, n)
	{
		const struct fetch_target *t = &container_of(n, struct fetch_session_partition, node)->target;

		targets[at] = *t;
		targets[at].topic = arena_copy(&rq->arena, t->topic);
		if (bytes_is_null(targets[at].topic) && !bytes_is_null(t->topic))
			return NULL;
		at++;
	}
	*ret_count = at;
	return targets;
}

/* Session and targets. False: answered already. */
static bool take_session(struct request *rq, struct fetch_target **ret_targets, size_t *ret_count)
{
	const struct fetch_request *body = rq->body;
	struct fetch *f = rq->state;
	struct fetch_session_request sr = {.id = body->session_id, .epoch = body->session_epoch, .by_id = by_id(rq)};
	struct fetch_target *named = targets_of(rq, &sr.target_count);
	struct fetch_target *forgotten = forgotten_of(rq, &sr.forgotten_count);
	struct fetch_session *s = NULL;
	enum err e;

	if (!named || !forgotten) {
		request_close(rq, "a Fetch names more partitions than a request has memory for");
		return false;
	}
	sr.targets = named;
	sr.forgotten = forgotten;
	e = fetch_session_take(rq->broker->fetch_sessions, &sr, shard_now_ms(rq->shard), &s, &f->full);
	if (e) {
		f->response.error_code = (int16_t)e;
		request_reply(rq, &f->response);
		return false;
	}
	f->session_id = s ? s->id : FETCH_SESSION_NONE;
	*ret_targets = named;
	*ret_count = sr.target_count;
	if (s && !f->full)
		*ret_targets = targets_of_session(rq, s, ret_count);
	if (!*ret_targets)
		request_close(rq, "a fetch session has more partitions than a request has memory for");
	return *ret_targets != NULL;
}

/* Several clients that do not read their answers must not have the shard's read buffers among them. */
static int64_t fair_bytes(const struct request *rq, int32_t asked_bytes)
{
	size_t share = store_read_budget(rq->broker->store)->limit / MOST_READS;

	return asked_bytes > 0 && (size_t)asked_bytes > share ? (int64_t)share : asked_bytes;
}

static bool take_request(struct request *rq)
{
	const struct fetch_request *body = rq->body;
	struct fetch *f = request_alloc(rq, 1, sizeof(*f));
	struct fetch_target *targets;

	if (f) {
		rq->state = f;
		message_init(&fetch_response_type, &f->response);
		f->group_count = runtime_shard_count(shard_runtime(rq->shard));
		f->groups = request_alloc(rq, f->group_count, sizeof(*f->groups));
	}
	if (!f || !f->groups) {
		request_close(rq, "no memory for a Fetch");
		return false;
	}
	f->max_bytes = fair_bytes(rq, body->max_bytes);
	f->read_committed = body->isolation_level == 1;
	f->is_follower = body->replica_id > CONSUMER || body->replica_state.replica_id > CONSUMER;
	if (!take_session(rq, &targets, &f->part_count))
		return false;
	f->parts = request_alloc(rq, f->part_count, sizeof(*f->parts));
	if (!f->parts) {
		request_close(rq, "a Fetch names more partitions than a request has memory for");
		return false;
	}
	for (size_t i = 0; i < f->part_count; i++)
		take_target(rq, &targets[i], &f->parts[i]);
	return true;
}

static void fetch_begin(struct request *rq)
{
	const struct fetch_request *body = rq->body;
	struct fetch *f;

	if (!take_request(rq))
		return;
	f = rq->state;
	f->groups_left = f->groups_used;
	if (f->groups_used == 0) {
		fetch_finish(rq);
		return;
	}
	for (unsigned i = 0; i < f->group_count; i++)
		if (f->groups[i].first) {
			f->groups[i].report = f->groups_used > 1 && f->groups[i].min_bytes > 1;
			request_hold(rq);
			fetch_group_go(&f->groups[i]);
		}
	request_arm(rq, rq->received_us + (body->max_wait_ms > 0 ? (int64_t)body->max_wait_ms * 1000 : OPENING_US));
	/* A later request may begin while this one waits. */
	request_ordered(rq);
}

const struct api_handler fetch_handler = {
	.key = API_FETCH,
	.min_version = 4,
	.max_version = 18,
	.overlaps = true,
	.one_at_a_time = true,
	.begin = fetch_begin,
	.expired = fetch_expired,
	.hurry = flush_now,
	.abandon = drop_all,
};
