/* add: partitions come into a transaction, and whether they are in it. */
#include "base/mutant.h"
#include "txn/state.h"

static bool has_all(const struct txn *x, const struct txn_add_call *c)
{
	for (size_t i = 0; i < c->partition_count; i++)
		if (!txn_has_partition(x, &c->partitions[i]))
			return false;
	return true;
}

static enum err check(const struct txn *x, const struct txn_add_call *c)
{
	/* First, since the producer may already have the id that this one gets when it is complete. */
	if (x && txn_is_prepared(x) && !c->verify_only)
		return ERR_CONCURRENT_TRANSACTIONS;
	if (!x || x->producer_id != c->producer_id)
		return ERR_INVALID_PRODUCER_ID_MAPPING;
	if (x->producer_epoch != c->producer_epoch && !MUTANT(SKIP_TXN_FENCING))
		return ERR_PRODUCER_FENCED;
	return txn_is_prepared(x) ? ERR_CONCURRENT_TRANSACTIONS : OK;
}

static void verify(const struct txn *x, struct txn_add_call *c)
{
	for (size_t i = 0; i < c->partition_count; i++)
		c->missing[i] = !txn_has_partition(x, &c->partitions[i]);
}

static enum err add(struct txns *all, struct txn *x, struct txn_add_call *c, struct step *s)
{
	if (x->state == TXN_ONGOING && has_all(x, c))
		return OK;
	if (txn_record_bound(x, c->partitions, c->partition_count) > s->max_record_bytes)
		return ERR_UNKNOWN_SERVER_ERROR; /* as when Kafka's record is too large */
	if (x->state != TXN_ONGOING) {
		txn_move(all, x, TXN_ONGOING);
		x->start_ms = s->wall_ms;
		all->figures.begun++;
		txn_arm(all, x, s);
	}
	for (size_t i = 0; i < c->partition_count; i++)
		txn_add_partition(x, &c->partitions[i]);
	x->client_version = c->transaction_version;
	x->previous_producer_id = x->producer_id;
	x->update_ms = s->wall_ms;
	txn_put(x, s);
	return OK;
}

void txn_add(struct txns *t, struct step *s, struct txn_add_call *c)
{
	struct txn *x = txn_find(t, c->transactional_id);

	if (bytes_is_null(c->transactional_id) || c->transactional_id.size == 0)
		c->error = ERR_INVALID_REQUEST;
	else
		c->error = check(x, c);
	if (!c->error && c->verify_only)
		verify(x, c);
	else if (!c->error)
		c->error = add(t, x, c, s);
	step_answer(s, &c->call);
}
