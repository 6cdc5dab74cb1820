/*
 * describe_transactions: DescribeTransactions 0, ListTransactions 0-2: each id is asked where it lives, all at once; a list is asked of every partition, and
 * its pattern is looked at here, before anybody is asked. What is more than one answer may hold is told as UNKNOWN_SERVER_ERROR, id by id.
 * May call: coordinate.h, regex/, txn/txn.h.
 */
#include "broker/connection.h"
#include "broker/handle/coordinate.h"
#include "broker/handle/handle.h"
#include "broker/handle/told.h"
#include "regex/regex.h"

/* --- DescribeTransactions ----------------------------------------------------------------------------------------------- */

struct describe_part {
	struct coordinated part;
	struct txn_describe_call txn;
	enum err refused;
};

struct describe_transactions {
	struct coordination coordination;
	struct describe_transactions_response response;
	struct describe_part *parts;
};

static void run_describe(void *state, struct step *out, struct coordinator_call *c)
{
	txn_describe(state, out, container_of(c, struct txn_describe_call, call));
}

/* A state encoded, at the most, without its topics. */
#define STATE_BYTES 64

static size_t topics_bytes(const struct describe_transactions_response_transaction_state *s)
{
	size_t size = 0;

	for (int32_t i = 0; i < s->topics_count; i++)
		size += s->topics[i].topic.size + 16 +
			(size_t)s->topics[i].partitions_count * sizeof(*s->topics[i].partitions);
	return size;
}

static void tell_error(struct describe_transactions *d, struct bytes id, enum err e)
{
	struct describe_transactions_response_transaction_state *s =
		&d->response.transaction_states[d->response.transaction_states_count++];

	struct_init(&describe_transactions_response_transaction_state_struct, s);
	s->transactional_id = id;
	s->error_code = err_to_kafka(e);
}

static void describe_over(struct request *rq)
{
	const struct describe_transactions_request *body = rq->body;
	struct describe_transactions *d = rq->state;
	size_t left_bytes = rq->table->max_arena;

	/* An id and its error have to be told in any case. */
	for (int32_t i = 0; i < body->transactional_ids_count; i++) {
		size_t size = STATE_BYTES + body->transactional_ids[i].size;

		left_bytes -= size < left_bytes ? size : left_bytes;
	}
	for (int32_t i = 0; i < body->transactional_ids_count; i++) {
		struct describe_part *p = &d->parts[i];
		size_t size = p->txn.call.error ? 0 : topics_bytes(&p->txn.response);
		enum err e = p->refused ? p->refused : p->txn.call.error;

		if (!e && size > left_bytes)
			e = ERR_UNKNOWN_SERVER_ERROR;
		if (e) {
			tell_error(d, body->transactional_ids[i], e);
			continue;
		}
		left_bytes -= size;
		d->response.transaction_states[d->response.transaction_states_count++] = p->txn.response;
	}
	request_reply(rq, &d->response);
}

static void refuse_all(struct request *rq)
{
	const struct describe_transactions_request *body = rq->body;
	struct describe_transactions *d = rq->state;

	for (int32_t i = 0; i < body->transactional_ids_count; i++)
		tell_error(d, body->transactional_ids[i], ERR_UNKNOWN_SERVER_ERROR);
	request_reply(rq, &d->response);
}

static void describe_transactions_begin(struct request *rq)
{
	const struct describe_transactions_request *body = rq->body;
	size_t count = (size_t)body->transactional_ids_count;
	struct describe_transactions *d = told_alloc(rq, 1, sizeof(*d));

	if (!d)
		return;
	rq->state = d;
	message_init(&describe_transactions_response_type, &d->response);
	d->response.transaction_states = told_alloc(rq, count, sizeof(*d->response.transaction_states));
	if (!d->response.transaction_states)
		return;
	d->parts = request_alloc(rq, count, sizeof(*d->parts));
	if (!d->parts) {
		refuse_all(rq);
		return;
	}
	coordination_init(&d->coordination, rq, describe_over);
	d->coordination.may_be_large = true;
	for (size_t i = 0; i < count; i++) {
		struct describe_part *p = &d->parts[i];

		p->txn.transactional_id = body->transactional_ids[i];
		if (p->txn.transactional_id.size == 0) {
			p->refused = ERR_INVALID_REQUEST;
			continue;
		}
		p->part = (struct coordinated){.call = &p->txn.call, .run = run_describe};
		coordination_add(&d->coordination, &p->part, INTERNAL_TRANSACTIONS, p->txn.transactional_id);
		p->txn.arena = p->part.arena;
	}
	coordination_go(&d->coordination);
}

const struct api_handler describe_transactions_handler = {
	.key = API_DESCRIBE_TRANSACTIONS,
	.min_version = 0,
	.max_version = 0,
	.begin = describe_transactions_begin,
};

/* --- ListTransactions --------------------------------------------------------------------------------------------------- */

struct list_part {
	struct coordinated part;
	struct txn_list_call txn;
};

struct list_transactions {
	struct coordination coordination;
	struct list_transactions_response response;
	struct list_transactions_request asked; /* as txn_list takes it */
	struct regex *pattern;                  /* NULL: all of them */
	struct list_part *parts;                /* by partition */
	size_t count;
};

static void run_list(void *state, struct step *out, struct coordinator_call *c)
{
	txn_list(state, out, container_of(c, struct txn_list_call, call));
}

/* One that is not coordinated here has nothing to tell; one that loads makes the whole list wait. */
static enum err error_of(const struct list_transactions *l)
{
	for (size_t i = 0; i < l->count; i++) {
		enum err e = l->parts[i].txn.call.error;

		if (e && e != ERR_NOT_COORDINATOR)
			return e;
	}
	return OK;
}

static void refuse(struct request *rq, enum err e)
{
	struct list_transactions_response told;

	message_init(&list_transactions_response_type, &told);
	told.error_code = err_to_kafka(e);
	request_reply(rq, &told);
}

static enum err pattern_of(const struct list_transactions_request *body, struct regex **ret_pattern)
{
	*ret_pattern = NULL;
	if (bytes_is_null(body->transactional_id_pattern) || body->transactional_id_pattern.size == 0)
		return OK;
	return regex_new(body->transactional_id_pattern, NULL, ret_pattern);
}

static void join(struct list_transactions *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct txn_list_call *c = &l->parts[i].txn;

		for (int32_t k = 0; !c->call.error && k < c->response.transaction_states_count; k++)
			if (!l->pattern ||
			    regex_matches(l->pattern, c->response.transaction_states[k].transactional_id))
				l->response.transaction_states[l->response.transaction_states_count++] =
					c->response.transaction_states[k];
	}
}

static bool tell_unknown(struct request *rq, struct list_transactions *l)
{
	const struct list_transactions_request *body = rq->body;

	l->response.unknown_state_filters = told_alloc(rq, (size_t)body->state_filters_count,
						       sizeof(*l->response.unknown_state_filters));
	if (!l->response.unknown_state_filters)
		return false;
	for (int32_t i = 0; i < body->state_filters_count; i++)
		if (!txn_state_known(body->state_filters[i]))
			l->response.unknown_state_filters[l->response.unknown_state_filters_count++] =
				body->state_filters[i];
	return true;
}

static void answer_list(struct request *rq)
{
	struct list_transactions *l = rq->state;
	size_t count = 0;

	for (size_t i = 0; i < l->count; i++)
		count += l->parts[i].txn.call.error ? 0 : (size_t)l->parts[i].txn.response.transaction_states_count;
	l->response.transaction_states = told_alloc(rq, count, sizeof(*l->response.transaction_states));
	if (l->response.transaction_states && tell_unknown(rq, l)) {
		join(l);
		request_reply(rq, &l->response);
	}
}

static void list_over(struct request *rq)
{
	struct list_transactions *l = rq->state;
	enum err e = error_of(l);

	if (e)
		refuse(rq, e);
	else
		answer_list(rq);
	regex_free(l->pattern);
}

/* False: the request was closed. */
static bool copy_filters(struct request *rq, struct list_transactions *l)
{
	const struct list_transactions_request *body = rq->body;
	size_t ids = (size_t)body->producer_id_filters_count, states = (size_t)body->state_filters_count;

	l->asked = *body;
	l->asked.producer_id_filters = told_alloc(rq, ids, sizeof(*l->asked.producer_id_filters));
	if (!l->asked.producer_id_filters)
		return false;
	l->asked.state_filters = told_alloc(rq, states, sizeof(*l->asked.state_filters));
	if (!l->asked.state_filters)
		return false;
	if (ids)
		memcpy(l->asked.producer_id_filters, body->producer_id_filters,
		       ids * sizeof(*body->producer_id_filters));
	if (states)
		memcpy(l->asked.state_filters, body->state_filters, states * sizeof(*body->state_filters));
	txn_list_prepare(&l->asked);
	return true;
}

static void list_transactions_begin(struct request *rq)
{
	const struct image_topic *t = image_topic_by_name(rq->broker->image,
							  bytes_str(internal_topic_name(INTERNAL_TRANSACTIONS)));
	struct list_transactions *l = told_alloc(rq, 1, sizeof(*l));
	enum err e;

	if (!l)
		return;
	rq->state = l;
	message_init(&list_transactions_response_type, &l->response);
	if (!copy_filters(rq, l))
		return;
	l->count = t ? (size_t)t->partition_count : 0;
	l->parts = told_alloc(rq, l->count, sizeof(*l->parts));
	if (!l->parts)
		return;
	e = pattern_of(rq->body, &l->pattern);
	if (e) {
		refuse(rq, e);
		return;
	}
	coordination_init(&l->coordination, rq, list_over);
	l->coordination.may_be_large = true;
	for (size_t i = 0; i < l->count; i++) {
		struct list_part *p = &l->parts[i];

		p->part = (struct coordinated){.call = &p->txn.call, .run = run_list};
		p->txn.request = &l->asked;
		coordination_add_partition(&l->coordination, &p->part, INTERNAL_TRANSACTIONS, t, (int32_t)i);
		p->txn.arena = p->part.arena;
	}
	coordination_go(&l->coordination);
}

const struct api_handler list_transactions_handler = {
	.key = API_LIST_TRANSACTIONS,
	.min_version = 0,
	.max_version = 2,
	.begin = list_transactions_begin,
};
