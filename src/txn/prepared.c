/* prepared: settings, and what leaves a state for its partitions and comes back. See txn.h. */
#include "base/alloc.h"
#include "config/config.h"
#include "txn/state.h"

void txn_options_read(const struct config *c, struct txn_options *options)
{
	options->transaction_max_timeout_ms = config_int32(c, CONFIG_TRANSACTION_MAX_TIMEOUT_MS);
	options->transactional_id_expiration_ms = config_int32(c, CONFIG_TRANSACTIONAL_ID_EXPIRATION_MS);
	options->transaction_remove_expired_transaction_cleanup_interval_ms = config_int32(
		c, CONFIG_TRANSACTION_REMOVE_EXPIRED_TRANSACTION_CLEANUP_INTERVAL_MS);
}

/* One allocation. */
void prepared_transaction_free(struct prepared_transaction *p)
{
	mem_free(p);
}

/* The Prepare record is committed, or lost with its state: then the next load finds what there is. */
static void on_stored(struct coordinator_call *c)
{
	struct prepared_transaction *p = container_of(c, struct prepared_transaction, call);

	if (c->error || !p->prepared)
		prepared_transaction_free(p);
	else
		p->prepared(p->context, p);
}

static struct bytes keep(uint8_t **at, struct bytes b)
{
	struct bytes kept = bytes_of(*at, b.size);

	memcpy(*at, b.data, b.size);
	*at += b.size;
	return kept;
}

/* The transaction, its partitions, then the names. */
static struct prepared_transaction *copy(const struct txn *x)
{
	size_t count = txn_partition_count(x), size = sizeof(struct prepared_transaction) + x->id_size;
	struct prepared_transaction *p;
	struct txn_partition *to;
	uint8_t *names;

	for (size_t i = 0; i < x->topic_count; i++)
		size += x->topics[i].name_size;
	p = mem_zalloc(size + count * sizeof(*to));
	to = (struct txn_partition *)(p + 1);
	names = (uint8_t *)(to + count);
	p->transactional_id = keep(&names, txn_id(x));
	p->partitions = to;
	p->partition_count = count;
	for (size_t i = 0; i < x->topic_count; i++) {
		const struct txn_topic *t = &x->topics[i];
		struct bytes name = keep(&names, bytes_of(t->name, t->name_size));

		for (size_t k = 0; k < t->partition_count; k++)
			*to++ = (struct txn_partition){name, t->partitions[k]};
	}
	return p;
}

void txn_hand_out(struct txns *all, const struct txn *x, struct step *s)
{
	struct prepared_transaction *p = copy(x);

	p->partition = all->partition;
	p->producer_id = x->producer_id;
	p->producer_epoch = x->producer_epoch;
	p->committed = x->state == TXN_PREPARE_COMMIT;
	p->transaction_version = (int8_t)x->client_version;
	p->prepared = all->options->prepared;
	p->context = all->options->context;
	p->call.patient = true;
	p->call.finished = on_stored;
	step_answer(s, &p->call);
}

/* With another producer id, where this one has no epoch left. */
static void complete(struct txns *all, struct txn *x, struct step *s)
{
	bool committed = x->state == TXN_PREPARE_COMMIT;

	txn_move(all, x, committed ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
	all->figures.committed += committed;
	all->figures.aborted += !committed;
	if (x->client_version >= VERSION_2)
		x->last_producer_epoch = x->producer_epoch;
	x->previous_producer_id = x->producer_id;
	if (x->next_producer_id != NO_PRODUCER_ID) {
		x->producer_id = x->next_producer_id;
		x->producer_epoch = 0;
		x->next_producer_id = NO_PRODUCER_ID;
	}
	txn_clear_partitions(x);
	x->update_ms = s->wall_ms;
	txn_put(x, s);
}

void txn_markers_written(void *state, struct step *s, struct coordinator_call *call)
{
	const struct prepared_transaction *p = container_of(call, struct prepared_transaction, call);
	struct txns *all = state;
	struct txn *x = txn_find(all, p->transactional_id);

	if (!x || x->producer_id != p->producer_id || x->producer_epoch != p->producer_epoch ||
	    x->state != (p->committed ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT))
		call->error = ERR_INVALID_TXN_STATE;
	else
		complete(all, x, s);
	step_answer(s, call);
}
