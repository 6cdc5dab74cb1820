/*
 * end: a transaction's end is decided. With version 2 (EndTxn 5) every end takes the next epoch, so a question that comes again is known by the epoch
 * before the present one, where the last end was one of version 2 (else that epoch was another producer's):
 *
 *      state             same epoch                       the epoch before (a retry)
 *      Ongoing           prepared                         fenced
 *      Empty             abort: an empty one; commit 48   fenced
 *      CompleteCommit    abort: an empty one; commit 48   commit: OK; abort 48
 *      CompleteAbort     abort: an empty one; commit 48   abort: OK; commit 48
 *      Prepare*          not complete yet: CONCURRENT_TRANSACTIONS (51), whoever asks
 *
 * Before that the epoch stays, and the state alone says what was asked before.
 */
#include "base/mutant.h"
#include "txn/state.h"

static void prepare(struct txns *all, struct txn *x, bool commit, struct step *s)
{
	txn_move(all, x, commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
	txn_arm(all, x, s);
	x->update_ms = s->wall_ms;
	txn_put(x, s);
	txn_hand_out(all, x, s);
}

/* There is always one: clients get none from LAST_EPOCH on. Somebody else's log may have it all the same. */
static void next_epoch(struct txn *x)
{
	if (x->producer_epoch < LAST_EPOCH)
		x->producer_epoch++;
}

void txn_fence(struct txns *all, struct txn *x, struct step *s)
{
	must(x->state == TXN_ONGOING);
	next_epoch(x);
	x->last_producer_epoch = NO_EPOCH;
	x->previous_producer_id = x->producer_id;
	x->client_version = txn_level(s) >= VERSION_2 ? VERSION_2 : 0;
	prepare(all, x, false, s);
}

/* --- before version 2 --------------------------------------------------------------------------------------------------- */

static enum err end_1(struct txns *all, struct txn *x, const struct end_txn_request *r, struct step *s)
{
	if (x->producer_id != r->producer_id)
		return ERR_INVALID_PRODUCER_ID_MAPPING;
	if (x->producer_epoch != r->producer_epoch)
		return ERR_PRODUCER_FENCED;
	switch (x->state) {
	case TXN_ONGOING:
		x->client_version = 0;
		x->previous_producer_id = x->producer_id;
		prepare(all, x, r->committed, s);
		return OK;
	case TXN_COMPLETE_COMMIT:
	case TXN_COMPLETE_ABORT:
		return r->committed == (x->state == TXN_COMPLETE_COMMIT) ? OK : ERR_INVALID_TXN_STATE;
	case TXN_PREPARE_COMMIT:
	case TXN_PREPARE_ABORT:
		return ERR_CONCURRENT_TRANSACTIONS;
	default:
		return ERR_INVALID_TXN_STATE;
	}
}

/* --- version 2 ---------------------------------------------------------------------------------------------------------- */

static enum err bump_and_prepare(struct txns *all, struct txn *x, struct txn_end_call *c, struct step *s)
{
	int64_t next = NO_PRODUCER_ID;

	if (txn_epoch_exhausted(x->producer_epoch)) {
		if (c->fresh_producer_id < 0) {
			c->needs_producer_id = true;
			return OK;
		}
		next = c->fresh_producer_id;
	}
	if (x->state != TXN_ONGOING)
		x->start_ms = s->wall_ms; /* it has no partitions, and never began */
	x->last_producer_epoch = x->producer_epoch;
	next_epoch(x);
	x->previous_producer_id = x->producer_id;
	x->next_producer_id = next;
	x->client_version = VERSION_2;
	prepare(all, x, c->request->committed, s);
	return OK;
}

static enum err end_2(struct txns *all, struct txn *x, struct txn_end_call *c, struct step *s)
{
	const struct end_txn_request *r = c->request;
	bool over = x->previous_producer_id == r->producer_id && r->producer_epoch == LAST_EPOCH - 1 &&
		    x->producer_epoch == 0;
	bool before = over || x->producer_epoch == r->producer_epoch + 1;
	bool again = before && x->client_version == VERSION_2;
	bool is_complete = x->state == TXN_COMPLETE_COMMIT || x->state == TXN_COMPLETE_ABORT;

	if (txn_is_prepared(x))
		return ERR_CONCURRENT_TRANSACTIONS;
	if (x->producer_id != r->producer_id && !over)
		return ERR_INVALID_PRODUCER_ID_MAPPING;
	if (x->producer_epoch != r->producer_epoch && !(is_complete && again) && !(MUTANT(END_HITS_NEXT) && before))
		return ERR_PRODUCER_FENCED;
	if (is_complete && again)
		return r->committed == (x->state == TXN_COMPLETE_COMMIT) ? OK : ERR_INVALID_TXN_STATE;
	if (x->state != TXN_ONGOING && r->committed)
		return ERR_INVALID_TXN_STATE;
	return bump_and_prepare(all, x, c, s);
}

/* What the producer goes on with: of an end that is prepared, what it will be. */
static void fill(const struct txn *x, struct end_txn_response *told)
{
	bool over = x->next_producer_id != NO_PRODUCER_ID;

	told->producer_id = over ? x->next_producer_id : x->producer_id;
	told->producer_epoch = over ? 0 : x->producer_epoch;
}

void txn_end(struct txns *t, struct step *s, struct txn_end_call *c)
{
	const struct end_txn_request *r = c->request;
	struct txn *x = txn_find(t, r->transactional_id);
	enum err e = OK;

	message_init(&end_txn_response_type, &c->response);
	c->needs_producer_id = false;
	if (bytes_is_null(r->transactional_id) || r->transactional_id.size == 0)
		e = ERR_INVALID_REQUEST;
	else if (!x)
		e = ERR_INVALID_PRODUCER_ID_MAPPING;
	else
		e = c->version >= 5 ? end_2(t, x, c, s) : end_1(t, x, r, s);
	c->response.error_code = err_to_kafka(e);
	if (!e && !c->needs_producer_id)
		fill(x, &c->response);
	step_answer(s, &c->call);
}
