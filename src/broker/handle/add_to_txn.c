/*
 * add_to_txn: AddPartitionsToTxn 0-5 (from 4 on by other brokers: many transactions, also only to verify), AddOffsetsToTxn 0-4: a group is added as
 * the partition of __consumer_offsets that has it. One partition that is not there lets the others of its transaction be left as well.
 * May call: the image, coordinate.h, txn/txn.h.
 */
#include "base/java_hash.h"
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"

#define BATCHED_FROM 4
#define FENCED_FROM 2 /* older clients know PRODUCER_FENCED as INVALID_PRODUCER_EPOCH */

static void run_add(void *state, struct step *out, struct coordinator_call *c)
{
	txn_add(state, out, container_of(c, struct txn_add_call, call));
}

static enum err error_of(const struct request *rq, const struct txn_add_call *c)
{
	enum err e = c->call.error ? c->call.error : c->error;

	return e == ERR_PRODUCER_FENCED && rq->header.api_version < FENCED_FROM ? ERR_INVALID_PRODUCER_EPOCH : e;
}

/* --- AddPartitionsToTxn ------------------------------------------------------------------------------------------------- */

struct add_part {
	struct coordinated part;
	struct txn_add_call txn;
	const struct add_partitions_to_txn_request_add_partitions_to_txn_topic *topics;
	int32_t topic_count;
	struct txn_partition *partitions;
	bool refused; /* some are not to be had: nobody is asked */
};

struct add_to_txn {
	struct coordination coordination;
	struct add_partitions_to_txn_response response;
	struct add_part *parts;
	size_t count;
};

/* In the request's order. False, here and below: the request was closed. */
static bool take_partitions(struct request *rq, struct add_part *p)
{
	size_t count = 0;

	for (int32_t t = 0; t < p->topic_count; t++)
		count += (size_t)p->topics[t].partitions_count;
	p->partitions = told_alloc(rq, count, sizeof(*p->partitions));
	if (!p->partitions)
		return false;
	p->txn.missing = told_alloc(rq, count, sizeof(*p->txn.missing));
	if (!p->txn.missing)
		return false;
	count = 0;
	for (int32_t t = 0; t < p->topic_count; t++)
		for (int32_t i = 0; i < p->topics[t].partitions_count; i++)
			p->partitions[count++] = (struct txn_partition){p->topics[t].name, p->topics[t].partitions[i]};
	p->txn.partitions = p->partitions;
	p->txn.partition_count = count;
	return true;
}

/* Clients write to Kafka's own topics only through their coordinators. */
static enum err usable(const struct request *rq, const struct txn_partition *p)
{
	const struct image_topic *t = image_topic_by_name(rq->broker->image, p->topic);

	if (rq->header.api_version < BATCHED_FROM && told_is_internal(p->topic))
		return ERR_TOPIC_AUTHORIZATION_FAILED;
	return t && image_partition(t, p->partition) ? OK : ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static bool are_usable(const struct request *rq, const struct add_part *p)
{
	for (size_t i = 0; i < p->txn.partition_count; i++)
		if (usable(rq, &p->partitions[i]))
			return false;
	return true;
}

/* --- its answer */

static enum err partition_error(const struct request *rq, const struct add_part *p, size_t i)
{
	enum err e = error_of(rq, &p->txn);

	if (p->refused)
		return usable(rq, &p->partitions[i]) ? usable(rq, &p->partitions[i]) : ERR_OPERATION_NOT_ATTEMPTED;
	if (!e && p->txn.verify_only && p->txn.missing[i])
		return ERR_TRANSACTION_ABORTABLE;
	return e;
}

static struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result *tell_part(struct request *rq,
											   const struct add_part *p)
{
	struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result *topics = told_alloc(
		rq, (size_t)p->topic_count, sizeof(*topics));
	struct add_partitions_to_txn_response_add_partitions_to_txn_partition_result *results;
	size_t at = 0;

	if (!topics)
		return NULL;
	results = told_alloc(rq, p->txn.partition_count, sizeof(*results));
	if (!results)
		return NULL;
	for (int32_t t = 0; t < p->topic_count; t++) {
		topics[t].name = p->topics[t].name;
		topics[t].results_by_partition = &results[at];
		topics[t].results_by_partition_count = p->topics[t].partitions_count;
		for (int32_t i = 0; i < p->topics[t].partitions_count; i++, at++) {
			results[at].partition_index = p->partitions[at].partition;
			results[at].partition_error_code = err_to_kafka(partition_error(rq, p, at));
		}
	}
	return topics;
}

static void add_partitions_over(struct request *rq)
{
	struct add_to_txn *a = rq->state;
	struct add_partitions_to_txn_response *r = &a->response;

	for (size_t i = 0; i < a->count; i++) {
		int32_t count = a->parts[i].topic_count;
		struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result *topics = tell_part(
			rq, &a->parts[i]);

		if (!topics)
			return;
		if (rq->header.api_version < BATCHED_FROM) {
			r->results_by_topic_v3_and_below = topics;
			r->results_by_topic_v3_and_below_count = count;
		} else {
			r->results_by_transaction[i].transactional_id = a->parts[i].txn.transactional_id;
			r->results_by_transaction[i].topic_results = topics;
			r->results_by_transaction[i].topic_results_count = count;
		}
	}
	request_reply(rq, r);
}

/* --- its question */

/* One transaction, as version 4 says it. */
static bool take_transaction(struct request *rq, struct add_part *p,
			     const struct add_partitions_to_txn_request_add_partitions_to_txn_transaction *t)
{
	struct add_to_txn *a = rq->state;

	p->txn.transactional_id = t->transactional_id;
	p->txn.producer_id = t->producer_id;
	p->txn.producer_epoch = t->producer_epoch;
	p->txn.verify_only = t->verify_only;
	p->txn.transaction_version = rq->header.api_version >= BATCHED_FROM ? 2 : 0;
	p->topics = t->topics;
	p->topic_count = t->topics_count;
	if (!take_partitions(rq, p))
		return false;
	p->refused = !are_usable(rq, p);
	if (p->refused)
		return true;
	if (t->transactional_id.size == 0) {
		p->txn.error = ERR_INVALID_REQUEST;
		return true;
	}
	p->part = (struct coordinated){.call = &p->txn.call, .run = run_add};
	coordination_add(&a->coordination, &p->part, INTERNAL_TRANSACTIONS, t->transactional_id);
	return true;
}

static void add_partitions_to_txn_begin(struct request *rq)
{
	const struct add_partitions_to_txn_request *body = rq->body;
	struct add_partitions_to_txn_request_add_partitions_to_txn_transaction one = {
		.transactional_id = body->v3_and_below_transactional_id,
		.producer_id = body->v3_and_below_producer_id,
		.producer_epoch = body->v3_and_below_producer_epoch,
		.topics = body->v3_and_below_topics,
		.topics_count = body->v3_and_below_topics_count,
	};
	bool batched = rq->header.api_version >= BATCHED_FROM;
	struct add_to_txn *a = told_alloc(rq, 1, sizeof(*a));

	if (!a)
		return;
	rq->state = a;
	message_init(&add_partitions_to_txn_response_type, &a->response);
	a->count = batched ? (size_t)body->transactions_count : 1;
	a->parts = told_alloc(rq, a->count, sizeof(*a->parts));
	if (!a->parts)
		return;
	if (batched) {
		a->response.results_by_transaction = told_alloc(rq, a->count,
								sizeof(*a->response.results_by_transaction));
		if (!a->response.results_by_transaction)
			return;
		a->response.results_by_transaction_count = (int32_t)a->count;
	}
	coordination_init(&a->coordination, rq, add_partitions_over);
	for (size_t i = 0; i < a->count; i++)
		if (!take_transaction(rq, &a->parts[i], batched ? &body->transactions[i] : &one))
			return;
	coordination_go(&a->coordination);
}

const struct api_handler add_partitions_to_txn_handler = {
	.key = API_ADD_PARTITIONS_TO_TXN,
	.min_version = 0,
	.max_version = 5,
	.begin = add_partitions_to_txn_begin,
};

/* --- AddOffsetsToTxn ---------------------------------------------------------------------------------------------------- */

struct add_offsets {
	struct coordination coordination;
	struct coordinated part;
	struct txn_add_call txn;
	struct txn_partition partition;
};

static void tell_offsets(struct request *rq, enum err e)
{
	struct add_offsets_to_txn_response told;

	message_init(&add_offsets_to_txn_response_type, &told);
	told.error_code = err_to_kafka(e);
	request_reply(rq, &told);
}

static void add_offsets_over(struct request *rq)
{
	tell_offsets(rq, error_of(rq, &((struct add_offsets *)rq->state)->txn));
}

static struct txn_partition partition_of_group(const struct request *rq, struct bytes group_id)
{
	struct bytes name = bytes_str(internal_topic_name(INTERNAL_GROUPS));
	const struct image_topic *t = image_topic_by_name(rq->broker->image, name);
	int32_t count = t ? t->partition_count
			  : config_int32(broker_config(rq->broker->broker), CONFIG_OFFSETS_TOPIC_NUM_PARTITIONS);

	return (struct txn_partition){name, java_hash_partition(group_id, count)};
}

static void add_offsets_to_txn_begin(struct request *rq)
{
	const struct add_offsets_to_txn_request *body = rq->body;
	struct add_offsets *a;

	if (body->transactional_id.size == 0) {
		tell_offsets(rq, ERR_INVALID_REQUEST);
		return;
	}
	a = told_alloc(rq, 1, sizeof(*a));
	if (!a)
		return;
	rq->state = a;
	a->partition = partition_of_group(rq, body->group_id);
	a->txn.transactional_id = body->transactional_id;
	a->txn.producer_id = body->producer_id;
	a->txn.producer_epoch = body->producer_epoch;
	a->txn.partitions = &a->partition;
	a->txn.partition_count = 1;
	coordination_init(&a->coordination, rq, add_offsets_over);
	a->part = (struct coordinated){.call = &a->txn.call, .run = run_add};
	coordination_add(&a->coordination, &a->part, INTERNAL_TRANSACTIONS, body->transactional_id);
	coordination_go(&a->coordination);
}

const struct api_handler add_offsets_to_txn_handler = {
	.key = API_ADD_OFFSETS_TO_TXN,
	.min_version = 0,
	.max_version = 4,
	.begin = add_offsets_to_txn_begin,
};
