/*
 * init: InitProducerId of a transactional id: another epoch for whoever asks, and the end of what an earlier producer left open.
 *
 *      a producer that comes back says the id and epoch that it had (expected): it is refused when somebody else came meanwhile, and told
 *      the same once more when it asks again
 */
#include "txn/state.h"

struct expected {
	bool given;
	int64_t producer_id;
	int16_t epoch;
};

enum err txn_init_check(const struct txn_options *o, const struct init_producer_id_request *request)
{
	if ((request->producer_id == NO_PRODUCER_ID) != (request->producer_epoch == NO_EPOCH))
		return ERR_INVALID_REQUEST;
	if (bytes_is_null(request->transactional_id))
		return OK;
	if (request->transactional_id.size == 0)
		return ERR_INVALID_REQUEST;
	if (request->transaction_timeout_ms <= 0 || request->transaction_timeout_ms > o->transaction_max_timeout_ms)
		return ERR_INVALID_TRANSACTION_TIMEOUT;
	return OK;
}

static bool is_expected(const struct txn *x, const struct expected *e)
{
	return !e->given || e->producer_id == x->producer_id ||
	       (e->producer_id == x->previous_producer_id && txn_epoch_exhausted(e->epoch));
}

static void begin_anew(struct txns *all, struct txn *x, int32_t timeout_ms, struct step *s)
{
	txn_move(all, x, TXN_EMPTY);
	x->timeout_ms = timeout_ms;
	x->start_ms = -1;
	x->update_ms = s->wall_ms;
	x->previous_producer_id = x->producer_id;
	txn_clear_partitions(x);
}

/* Another producer id: the old one has no epoch left that a client may have. */
static enum err rotate(struct txns *all, struct txn *x, struct txn_init_call *c, const struct expected *e,
		       struct step *s)
{
	if (c->fresh_producer_id < 0) {
		c->needs_producer_id = true;
		return OK;
	}
	begin_anew(all, x, c->request->transaction_timeout_ms, s);
	x->last_producer_epoch = e->given ? x->producer_epoch : NO_EPOCH;
	x->producer_id = c->fresh_producer_id;
	x->producer_epoch = 0;
	txn_put(x, s);
	return OK;
}

static enum err bump(struct txns *all, struct txn *x, struct txn_init_call *c, const struct expected *e, struct step *s)
{
	bool again = e->given && e->epoch != x->producer_epoch;

	/* Its own question, once more: nobody came in between, or there were no last epoch. */
	if (again && e->epoch != x->last_producer_epoch)
		return ERR_PRODUCER_FENCED;
	begin_anew(all, x, c->request->transaction_timeout_ms, s);
	if (!again) {
		x->last_producer_epoch = e->given ? x->producer_epoch : NO_EPOCH;
		x->producer_epoch++;
	}
	txn_put(x, s);
	return OK;
}

static enum err init_known(struct txns *all, struct txn *x, struct txn_init_call *c, struct step *s)
{
	const struct init_producer_id_request *r = c->request;
	struct expected e = {r->producer_id != NO_PRODUCER_ID, r->producer_id, r->producer_epoch};

	if (txn_is_prepared(x))
		return ERR_CONCURRENT_TRANSACTIONS;
	if (!is_expected(x, &e))
		return ERR_PRODUCER_FENCED;
	if (x->state == TXN_ONGOING) {
		/* It asks again, and then gets an epoch that nobody has had. */
		all->figures.fenced++;
		txn_fence(all, x, s);
		return ERR_CONCURRENT_TRANSACTIONS;
	}
	if (txn_epoch_exhausted(x->producer_epoch) && (!e.given || e.epoch == x->producer_epoch))
		return rotate(all, x, c, &e, s);
	return bump(all, x, c, &e, s);
}

/* Whatever was expected: whoever had it is gone with its id. */
static enum err init_new(struct txns *all, struct txn_init_call *c, struct step *s)
{
	struct txn *x;

	if (c->fresh_producer_id < 0) {
		c->needs_producer_id = true;
		return OK;
	}
	x = txn_new(all, c->request->transactional_id);
	x->producer_id = c->fresh_producer_id;
	x->producer_epoch = c->first_epoch;
	x->timeout_ms = c->request->transaction_timeout_ms;
	x->update_ms = s->wall_ms;
	x->previous_producer_id = x->producer_id;
	txn_put(x, s);
	return OK;
}

void txn_init(struct txns *t, struct step *s, struct txn_init_call *c)
{
	struct txn *x = txn_find(t, c->request->transactional_id);
	enum err e;

	message_init(&init_producer_id_response_type, &c->response);
	c->needs_producer_id = false;
	c->response.producer_id = NO_PRODUCER_ID;
	c->response.producer_epoch = NO_EPOCH;
	e = x ? init_known(t, x, c, s) : init_new(t, c, s);
	c->response.error_code = err_to_kafka(e);
	if (!e && !c->needs_producer_id) {
		x = txn_find(t, c->request->transactional_id);
		c->response.producer_id = x->producer_id;
		c->response.producer_epoch = x->producer_epoch;
	}
	step_answer(s, &c->call);
}
