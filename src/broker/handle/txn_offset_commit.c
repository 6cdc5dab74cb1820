/*
 * txn_offset_commit: TxnOffsetCommit 0-6: offsets of a group that become its own when a transaction is committed. May call: the image, coordinate.h,
 * coordinator/, group/group.h, txn/txn.h.
 *
 *      home: topics that are not there are refused
 *        -- verify --> the group's partition: is the transaction open there? else a guard
 *        -- coordination --> txn_add: up to version 4 whether the client has added the group (AddOffsetsToTxn), from 5 on to add it
 *        -- coordination --> group_txn_offset_commit, with the guard --> home
 *
 * The answer's order is Kafka's: topics as they were first refused, then those of which nothing was refused.
 */
#include "base/java_hash.h"
#include "base/map.h"
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "broker/handle/txn_refusal.h"
#include "txn/txn.h"

#define IDS_FROM 6 /* topics have ids, no names */
#define ADDS_FROM 5
#define ABORTABLE_FROM 4

/* What the request says of one topic, however often it names it. */
struct named_topic {
	struct txn_offset_commit_response_txn_offset_commit_response_topic
		*answer; /* NULL: nothing of it was refused */
	size_t most;     /* partitions */
};

struct txn_offset_commit {
	struct request *client;
	/* The transaction's coordinator. */
	struct coordination asking;
	struct coordinated asked;
	struct txn_add_call add;
	struct txn_partition place; /* of the group */
	bool missing;
	/* The group's. */
	struct message verify;
	struct broker_shard *target;
	enum err unusable; /* why the group cannot be asked */
	struct coordinator_producer producer;
	struct coordination committing;
	struct coordinated part;
	struct txn_offset_commit_call group;
	struct txn_offset_commit_request request; /* of the client's what is there */
	struct txn_offset_commit_response response;
	struct map named; /* name, or id -> struct named_topic */
};

static struct bytes key_of(const struct request *rq, const struct bytes *name, const struct uuid *id)
{
	return rq->header.api_version >= IDS_FROM ? bytes_of(id->bytes, sizeof(id->bytes)) : *name;
}

/* --- taking the request; false, here and below: it was closed ----------------------------------------------------------- */

static bool count_topic(struct request *rq,
			const struct txn_offset_commit_request_txn_offset_commit_request_topic *asked)
{
	struct txn_offset_commit *o = rq->state;
	struct bytes key = key_of(rq, &asked->name, &asked->topic_id);
	struct named_topic *n = map_get(&o->named, key);

	if (!n) {
		n = told_alloc(rq, 1, sizeof(*n));
		if (!n)
			return false;
		(void)map_put(&o->named, key, n);
	}
	n->most += (size_t)asked->partitions_count;
	return true;
}

/* The topic's place in the answer; NULL: the request was closed. */
static struct txn_offset_commit_response_txn_offset_commit_response_topic *
refused(struct request *rq, const struct txn_offset_commit_request_txn_offset_commit_request_topic *asked)
{
	struct txn_offset_commit *o = rq->state;
	struct named_topic *n = map_get(&o->named, key_of(rq, &asked->name, &asked->topic_id));

	if (n->answer)
		return n->answer;
	n->answer = &o->response.topics[o->response.topics_count++];
	n->answer->name = asked->name;
	n->answer->topic_id = asked->topic_id;
	n->answer->partitions = told_alloc(rq, n->most, sizeof(*n->answer->partitions));
	return n->answer->partitions ? n->answer : NULL;
}

static bool refuse(struct request *rq, const struct txn_offset_commit_request_txn_offset_commit_request_topic *asked,
		   int32_t partition, enum err why)
{
	struct txn_offset_commit_response_txn_offset_commit_response_topic *t = refused(rq, asked);

	if (!t)
		return false;
	t->partitions[t->partitions_count++] = (struct txn_offset_commit_response_txn_offset_commit_response_partition){
		partition, (int16_t)why};
	return true;
}

static const struct image_topic *
find_topic(const struct request *rq, const struct txn_offset_commit_request_txn_offset_commit_request_topic *asked)
{
	return rq->header.api_version >= IDS_FROM ? image_topic_by_id(rq->broker->image, asked->topic_id)
						  : image_topic_by_name(rq->broker->image, asked->name);
}

static bool take_topic(struct request *rq,
		       const struct txn_offset_commit_request_txn_offset_commit_request_topic *asked)
{
	struct txn_offset_commit *o = rq->state;
	const struct image_topic *topic = find_topic(rq, asked);
	enum err missing = rq->header.api_version >= IDS_FROM ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION;
	struct txn_offset_commit_request_txn_offset_commit_request_topic taken = *asked;

	taken.partitions_count = 0;
	taken.partitions = told_alloc(rq, (size_t)asked->partitions_count, sizeof(*taken.partitions));
	if (!taken.partitions)
		return false;
	if (!topic && !refused(rq, asked)) /* told also where no partition of it was named */
		return false;
	for (int32_t i = 0; i < asked->partitions_count; i++) {
		int32_t partition = asked->partitions[i].partition_index;

		if (topic && image_partition(topic, partition))
			taken.partitions[taken.partitions_count++] = asked->partitions[i];
		else if (!refuse(rq, asked, partition, topic ? ERR_UNKNOWN_TOPIC_OR_PARTITION : missing))
			return false;
	}
	if (taken.partitions_count == 0)
		return true;
	/* The image may be another one when the group is asked. */
	taken.name = arena_copy(&rq->arena, topic->name);
	if (bytes_is_null(taken.name)) {
		request_close(rq, "the answer is too large");
		return false;
	}
	o->request.topics[o->request.topics_count++] = taken;
	return true;
}

static bool take_request(struct request *rq)
{
	const struct txn_offset_commit_request *body = rq->body;
	struct txn_offset_commit *o = rq->state;

	o->request = *body;
	o->request.topics_count = 0;
	o->request.topics = told_alloc(rq, (size_t)body->topics_count, sizeof(*o->request.topics));
	if (!o->request.topics)
		return false;
	/* Those that were refused, and those that were not. */
	o->response.topics = told_alloc(rq, (size_t)body->topics_count, 2 * sizeof(*o->response.topics));
	if (!o->response.topics)
		return false;
	for (int32_t i = 0; i < body->topics_count; i++)
		if (!count_topic(rq, &body->topics[i]))
			return false;
	for (int32_t i = 0; i < body->topics_count; i++)
		if (!take_topic(rq, &body->topics[i]))
			return false;
	return true;
}

/* --- the answer --------------------------------------------------------------------------------------------------------- */

static void merge(struct request *rq, const struct txn_offset_commit_response_txn_offset_commit_response_topic *from)
{
	struct txn_offset_commit *o = rq->state;
	struct named_topic *n = map_get(&o->named, key_of(rq, &from->name, &from->topic_id));

	if (!n->answer) {
		o->response.topics[o->response.topics_count++] = *from;
		return;
	}
	memcpy(n->answer->partitions + n->answer->partitions_count, from->partitions,
	       (size_t)from->partitions_count * sizeof(*from->partitions));
	n->answer->partitions_count += from->partitions_count;
}

/* With what the group has said of its part, or the reason why it was not asked. */
static void answer(struct request *rq, enum err why)
{
	struct txn_offset_commit *o = rq->state;
	bool told = !why || group_txn_offset_commit_refuse(&o->group, why);

	for (int32_t i = 0; told && i < o->group.response.topics_count; i++)
		merge(rq, &o->group.response.topics[i]);
	map_fini(&o->named);
	if (told)
		request_reply(rq, &o->response);
	else
		request_close(rq, "the answer is too large");
}

/* --- the group ---------------------------------------------------------------------------------------------------------- */

static void run_commit(void *state, struct step *out, struct coordinator_call *c)
{
	group_txn_offset_commit(state, out, container_of(c, struct txn_offset_commit_call, call));
}

static void commit_over(struct request *rq)
{
	struct txn_offset_commit *o = rq->state;

	answer(rq, o->group.call.error);
}

static void commit(struct request *rq)
{
	struct txn_offset_commit *o = rq->state;
	const struct image_topic *t = image_topic_by_name(rq->broker->image,
							  bytes_str(internal_topic_name(INTERNAL_GROUPS)));

	if (!t || !image_partition(t, o->place.partition)) {
		answer(rq, ERR_NOT_COORDINATOR);
		return;
	}
	o->part = (struct coordinated){.call = &o->group.call, .run = run_commit, .producer = &o->producer};
	coordination_init(&o->committing, rq, commit_over);
	coordination_add_partition(&o->committing, &o->part, INTERNAL_GROUPS, t, o->place.partition);
	coordination_go(&o->committing);
}

/* --- the transaction ---------------------------------------------------------------------------------------------------- */

static void run_add(void *state, struct step *out, struct coordinator_call *c)
{
	txn_add(state, out, container_of(c, struct txn_add_call, call));
}

static void asked_over(struct request *rq)
{
	struct txn_offset_commit *o = rq->state;
	enum err e = txn_refusal(o->add.call.error ? o->add.call.error : o->add.error, o->missing,
				 rq->header.api_version >= ABORTABLE_FROM);

	if (e)
		answer(rq, e);
	else
		commit(rq);
}

static void ask(struct request *rq)
{
	struct txn_offset_commit *o = rq->state;
	bool adds = rq->header.api_version >= ADDS_FROM;

	o->add = (struct txn_add_call){
		.transactional_id = o->request.transactional_id,
		.producer_id = o->request.producer_id,
		.producer_epoch = o->request.producer_epoch,
		.verify_only = !adds,
		.transaction_version = adds ? 2 : 0,
		.partitions = &o->place,
		.partition_count = 1,
		.missing = &o->missing,
	};
	o->asked = (struct coordinated){.call = &o->add.call, .run = run_add};
	coordination_init(&o->asking, rq, asked_over);
	coordination_add(&o->asking, &o->asked, INTERNAL_TRANSACTIONS, o->request.transactional_id);
	coordination_go(&o->asking);
}

static void verified_home(struct shard *at, struct message *m)
{
	struct txn_offset_commit *o = container_of(m, struct txn_offset_commit, verify);
	struct request *rq = o->client;

	(void)at;
	if (o->unusable)
		answer(rq, o->unusable);
	else if (o->producer.guard)
		ask(rq);
	else
		commit(rq);
	request_release(rq);
}

/* On the group's shard. */
static void verify_arrived(struct shard *at, struct message *m)
{
	struct txn_offset_commit *o = container_of(m, struct txn_offset_commit, verify);
	struct coordinator *c = o->target->coordinators[INTERNAL_GROUPS];

	o->unusable = coordinator_usable(c, o->place.partition);
	if (!o->unusable)
		o->producer.guard = partition_verify_producer(coordinator_partition(c, o->place.partition),
							      o->producer.producer_id, o->producer.producer_epoch);
	o->verify.run = verified_home;
	shard_send(at, o->client->shard, &o->verify);
}

/* Clients of version 5 and later rely on being added; whether older ones are asked about is a setting. */
static void verify(struct request *rq)
{
	struct txn_offset_commit *o = rq->state;
	const struct image_topic *t = image_topic_by_name(rq->broker->image,
							  bytes_str(internal_topic_name(INTERNAL_GROUPS)));

	if (!t) {
		answer(rq, ERR_NOT_COORDINATOR);
		return;
	}
	o->place = (struct txn_partition){.topic = bytes_str(internal_topic_name(INTERNAL_GROUPS)),
					  .partition = java_hash_partition(o->request.group_id, t->partition_count)};
	o->producer = (struct coordinator_producer){.producer_id = o->request.producer_id,
						    .producer_epoch = o->request.producer_epoch,
						    .verified_only = rq->broker->verifies_transactions};
	if (!rq->broker->verifies_transactions && rq->header.api_version < ADDS_FROM) {
		commit(rq);
		return;
	}
	o->target = broker_shard_of(rq->broker->broker, t->id, o->place.partition);
	o->verify.run = verify_arrived;
	request_hold(rq);
	shard_send(rq->shard, o->target->shard, &o->verify);
}

static void txn_offset_commit_begin(struct request *rq)
{
	struct txn_offset_commit *o = told_alloc(rq, 1, sizeof(*o));

	if (!o)
		return;
	rq->state = o;
	o->client = rq;
	message_init(&txn_offset_commit_response_type, &o->response);
	map_init_seeded(&o->named, shard_map_seed(rq->shard));
	if (!take_request(rq)) {
		map_fini(&o->named);
		return;
	}
	o->group.request = &o->request;
	o->group.version = rq->header.api_version;
	o->group.client = told_group_client(rq);
	o->group.arena = &rq->arena;
	if (o->request.topics_count == 0)
		answer(rq, OK);
	else if (o->request.group_id.size == 0)
		answer(rq, ERR_INVALID_GROUP_ID);
	else
		verify(rq);
}

const struct api_handler txn_offset_commit_handler = {
	.key = API_TXN_OFFSET_COMMIT,
	.min_version = 0,
	.max_version = 6,
	.begin = txn_offset_commit_begin,
};
