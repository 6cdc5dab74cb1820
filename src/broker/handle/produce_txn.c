/*
 * produce_txn: a Produce with records of a transaction. Where the transaction is not open yet in a partition its coordinator is asked: up to version 11
 * whether the client has added the partition (the first part of KIP-890: a batch that comes late must not begin a transaction that nobody ends), from 12 on
 * to add it (the second part).
 *
 *      home: produce_txn_begin -- go --> each shard: the logs are open, a guard for each partition where nothing is open yet
 *      home  <-- verified --
 *            -- coordination --> txn_add, the shard of the transactional id -- back --> home: produce_append, with the guards
 *
 * A batch that is appended meanwhile, or a marker, takes a guard away: then the log refuses the batch, and the client sends it again.
 * May call: replica/, coordinate.h, txn/txn.h.
 */
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/produce.h"
#include "broker/handle/txn_refusal.h"
#include "record/batch.h"
#include "txn/txn.h"

#define ADDS_FROM 12 /* the broker adds the partition itself */

struct produce_txn {
	struct coordination coordination;
	struct coordinated part;
	struct txn_add_call add;
	struct txn_partition *partitions;
	bool *missing;
	struct produce_part **asked; /* in the order of `partitions` */
	size_t asked_count;
	size_t unverified; /* groups */
};

/* --- deciding --------------------------------------------------------------------------------------------------------- */

static bool first_batch(struct bytes records, struct batch_header *ret_header)
{
	struct bytes rest = records, batch;

	return !bytes_is_null(records) && batch_next(&rest, ret_header, &batch) == OK;
}

enum err produce_txn_refuse_unnamed(const struct produce_request *body)
{
	struct batch_header h;

	if (!bytes_is_null(body->transactional_id))
		return OK;
	for (int32_t t = 0; t < body->topic_data_count; t++)
		for (int32_t p = 0; p < body->topic_data[t].partition_data_count; p++)
			if (first_batch(body->topic_data[t].partition_data[p].records, &h) &&
			    batch_is_transactional(&h))
				return ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	return OK;
}

enum err produce_txn_refuse_mixed(const struct produce *pr)
{
	struct batch_header first = {.producer_id = NO_PRODUCER_ID}, h;

	for (unsigned i = 0; i < pr->group_count; i++)
		for (const struct produce_part *part = pr->groups[i].first; part; part = part->next) {
			if (!part->of_transaction || !first_batch(part->append.records, &h))
				continue;
			if (first.producer_id == NO_PRODUCER_ID)
				first = h;
			if (h.producer_id != first.producer_id || h.producer_epoch != first.producer_epoch)
				return ERR_INVALID_PRODUCER_ID_MAPPING;
		}
	return OK;
}

/* transaction.partition.verification.enable says whether older clients are asked about; newer ones need their partitions added. */
static bool asks(const struct request *rq)
{
	const struct produce_request *body = rq->body;

	return !bytes_is_null(body->transactional_id) &&
	       (rq->header.api_version >= ADDS_FROM || rq->broker->verifies_transactions);
}

void produce_txn_look(struct request *rq, struct produce_part *part)
{
	const struct produce_request *body = rq->body;
	struct batch_header h;

	part->append.transactional = !bytes_is_null(body->transactional_id);
	part->append.verified_only = rq->broker->verifies_transactions;
	part->of_transaction = part->append.transactional && first_batch(part->append.records, &h) &&
			       batch_is_transactional(&h) && h.producer_id >= 0;
}

/* --- on the partition's shard ----------------------------------------------------------------------------------------- */

static void verified_home(struct shard *at, struct message *m);

static void part_verified(struct produce_group *g)
{
	if (--g->unverified > 0)
		return;
	g->verified.run = verified_home;
	shard_send(g->target->shard, g->request->shard, &g->verified);
}

/* Once the log is open, or will never be: then its append says why. */
static bool look_at_log(struct produce_part *part)
{
	struct produce_group *g = part->group;
	struct partition *p = replicas_find(g->target->replicas, part->topic_id, part->partition);
	enum err e = p ? partition_readable(p) : ERR_UNKNOWN_TOPIC_OR_PARTITION;

	if (e == ERR_AGAIN) {
		partition_wait_progress(p, &part->reader);
		replicas_touch(g->target->replicas, p);
		return false;
	}
	if (!e)
		part->append.guard = partition_verify(p, part->append.records,
						      g->request->header.api_version >= ADDS_FROM);
	return true;
}

static void log_progressed(struct partition_reader *r)
{
	struct produce_part *part = container_of(r, struct produce_part, reader);

	if (look_at_log(part))
		part_verified(part->group);
}

static void verify_arrived(struct shard *at, struct message *m)
{
	struct produce_group *g = container_of(m, struct produce_group, go);
	struct produce_part *next;

	(void)at;
	g->unverified = 1; /* this round's own */
	for (struct produce_part *part = g->first; part; part = next) {
		next = part->next;
		if (!part->of_transaction)
			continue;
		part->reader.progressed = log_progressed;
		g->unverified++;
		if (look_at_log(part))
			g->unverified--;
	}
	part_verified(g);
}

/* --- at home ---------------------------------------------------------------------------------------------------------- */

static void refuse(struct produce_part *part, const struct produce_refusal *r)
{
	part->refused = true;
	part->append.error = r->error;
	part->refusal = r->words;
}

static void asked_over(struct request *rq)
{
	struct produce *pr = rq->state;
	struct produce_txn *t = pr->txn;
	enum err e = t->add.call.error ? t->add.call.error : t->add.error;

	for (size_t i = 0; i < t->asked_count; i++) {
		struct produce_refusal r = produce_refusal(e, t->missing[i], rq->header.api_version);

		if (r.error)
			refuse(t->asked[i], &r);
	}
	produce_append(rq);
}

static void run_add(void *state, struct step *out, struct coordinator_call *c)
{
	txn_add(state, out, container_of(c, struct txn_add_call, call));
}

/* The topic may be another one by the time that the coordinator looks at its name. */
static bool name_partition(struct request *rq, struct produce_part *part, struct txn_partition *ret_partition)
{
	const struct image_topic *t = image_topic_by_id(rq->broker->image, part->topic_id);

	if (!t) {
		refuse(part, &(struct produce_refusal){ERR_UNKNOWN_TOPIC_OR_PARTITION, NULL});
		return false;
	}
	*ret_partition = (struct txn_partition){arena_copy(&rq->arena, t->name), part->partition};
	if (!bytes_is_null(ret_partition->topic))
		return true;
	/* What nobody was asked about must not be appended. */
	refuse(part, &(struct produce_refusal){ERR_UNKNOWN_SERVER_ERROR, NULL});
	return false;
}

static void find_asked(struct request *rq)
{
	struct produce *pr = rq->state;
	struct produce_txn *t = pr->txn;
	struct batch_header h;

	for (unsigned i = 0; i < pr->group_count; i++)
		for (struct produce_part *part = pr->groups[i].first; part; part = part->next) {
			if (!part->append.guard || !name_partition(rq, part, &t->partitions[t->asked_count]))
				continue;
			t->asked[t->asked_count++] = part;
			if (!first_batch(part->append.records, &h))
				must_not_reach(); /* it has a guard */
			t->add.producer_id = h.producer_id;
			t->add.producer_epoch = h.producer_epoch;
		}
}

static void ask(struct request *rq)
{
	const struct produce_request *body = rq->body;
	struct produce *pr = rq->state;
	struct produce_txn *t = pr->txn;

	find_asked(rq);
	if (t->asked_count == 0) {
		produce_append(rq);
		return;
	}
	t->add.transactional_id = body->transactional_id;
	t->add.verify_only = rq->header.api_version < ADDS_FROM;
	t->add.transaction_version = rq->header.api_version < ADDS_FROM ? 0 : 2;
	t->add.partitions = t->partitions;
	t->add.partition_count = t->asked_count;
	t->add.missing = t->missing;
	t->part = (struct coordinated){.call = &t->add.call, .run = run_add};
	coordination_init(&t->coordination, rq, asked_over);
	coordination_add(&t->coordination, &t->part, INTERNAL_TRANSACTIONS, body->transactional_id);
	coordination_go(&t->coordination);
}

static void verified_home(struct shard *at, struct message *m)
{
	struct produce_group *g = container_of(m, struct produce_group, verified);
	struct request *rq = g->request;
	struct produce *pr = rq->state;

	(void)at;
	if (--pr->txn->unverified == 0)
		ask(rq);
	request_release(rq);
}

static size_t parts_of_transaction(const struct produce_group *g)
{
	size_t count = 0;

	for (const struct produce_part *part = g->first; part; part = part->next)
		count += part->of_transaction;
	return count;
}

static bool make_room(struct request *rq, size_t count)
{
	struct produce *pr = rq->state;
	struct produce_txn *t = request_alloc(rq, 1, sizeof(*t));

	if (!t)
		return false;
	pr->txn = t;
	t->partitions = request_alloc(rq, count, sizeof(*t->partitions));
	t->missing = request_alloc(rq, count, sizeof(*t->missing));
	t->asked = request_alloc(rq, count, sizeof(*t->asked));
	return t->partitions && t->missing && t->asked;
}

bool produce_txn_begin(struct request *rq)
{
	struct produce *pr = rq->state;
	size_t count = 0;

	if (!asks(rq))
		return false;
	for (unsigned i = 0; i < pr->group_count; i++)
		count += parts_of_transaction(&pr->groups[i]);
	if (count == 0)
		return false;
	if (!make_room(rq, count)) {
		request_close(rq, "a Produce names more partitions than a request has memory for");
		return true;
	}
	for (unsigned i = 0; i < pr->group_count; i++)
		pr->txn->unverified += parts_of_transaction(&pr->groups[i]) > 0;
	for (unsigned i = 0; i < pr->group_count; i++) {
		struct produce_group *g = &pr->groups[i];

		if (parts_of_transaction(g) == 0)
			continue;
		g->go.run = verify_arrived;
		request_hold(rq);
		shard_send(rq->shard, g->target->shard, &g->go);
	}
	return true;
}
