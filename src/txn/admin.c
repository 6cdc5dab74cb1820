/* admin: DescribeTransactions, ListTransactions, figures. Reads only. */
#include <stdlib.h>

#include "txn/state.h"

static const char *const names[TXN_STATES] = {
	[TXN_EMPTY] = "Empty",
	[TXN_ONGOING] = "Ongoing",
	[TXN_PREPARE_COMMIT] = "PrepareCommit",
	[TXN_PREPARE_ABORT] = "PrepareAbort",
	[TXN_COMPLETE_COMMIT] = "CompleteCommit",
	[TXN_COMPLETE_ABORT] = "CompleteAbort",
	[TXN_DEAD] = "Dead",
	[TXN_PREPARE_EPOCH_FENCE] = "PrepareEpochFence",
};

const char *txn_state_name(enum txn_state state)
{
	return names[state];
}

bool txn_state_known(struct bytes name)
{
	for (enum txn_state i = 0; i < TXN_STATES; i++)
		if (bytes_equal_str(name, names[i]))
			return true;
	return false;
}

static void answer(struct step *s, struct coordinator_call *call, bool has_room)
{
	if (!has_room)
		call->error = ERR_UNKNOWN_SERVER_ERROR;
	step_answer(s, call);
}

/* --- DescribeTransactions ----------------------------------------------------------------------------------------------- */

static bool describe_topics(const struct txn *x, struct arena *a,
			    struct describe_transactions_response_transaction_state *to)
{
	to->topics = struct_array_new(&describe_transactions_response_topic_data_struct, x->topic_count, a);
	if (!to->topics)
		return false;
	for (size_t i = 0; i < x->topic_count; i++) {
		const struct txn_topic *from = &x->topics[i];
		struct describe_transactions_response_topic_data *t = &to->topics[i];

		t->topic = arena_copy(a, bytes_of(from->name, from->name_size));
		t->partitions = arena_alloc_array(a, from->partition_count, sizeof(*t->partitions));
		if (!t->partitions || bytes_is_null(t->topic))
			return false;
		memcpy(t->partitions, from->partitions, from->partition_count * sizeof(*t->partitions));
		t->partitions_count = (int32_t)from->partition_count;
	}
	to->topics_count = (int32_t)x->topic_count;
	return true;
}

void txn_describe(struct txns *t, struct step *s, struct txn_describe_call *c)
{
	const struct txn *x = txn_find(t, c->transactional_id);
	struct describe_transactions_response_transaction_state *to = &c->response;

	struct_init(&describe_transactions_response_transaction_state_struct, to);
	to->transactional_id = c->transactional_id;
	if (!x) {
		to->error_code = ERR_TRANSACTIONAL_ID_NOT_FOUND;
		step_answer(s, &c->call);
		return;
	}
	to->transaction_state = bytes_str(names[x->state]);
	to->producer_id = x->producer_id;
	to->producer_epoch = x->producer_epoch;
	to->transaction_timeout_ms = x->timeout_ms;
	to->transaction_start_time_ms = x->start_ms;
	answer(s, &c->call, describe_topics(x, c->arena, to));
}

/* --- ListTransactions --------------------------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static bool among(const struct bytes *some, int32_t count, struct bytes name)
{
	for (int32_t i = 0; i < count; i++)
		if (bytes_equal(some[i], name))
			return true;
	return false;
}

void txn_list_prepare(struct list_transactions_request *request)
{
	struct bytes *filters = request->state_filters;
	int32_t count = 0;

	if (request->producer_id_filters_count > 0)
		qsort(request->producer_id_filters, (size_t)request->producer_id_filters_count,
		      sizeof(*request->producer_id_filters), compare_ids);
	for (int32_t i = 0; i < request->state_filters_count; i++)
		if (txn_state_known(filters[i]) && !among(filters, count, filters[i]))
			filters[count++] = filters[i];
	/* Where none is known one stays, which nothing is in. */
	if (request->state_filters_count > 0)
		request->state_filters_count = count ? count : 1;
}

static bool has_id(const struct list_transactions_request *r, int64_t producer_id)
{
	size_t count = (size_t)r->producer_id_filters_count;

	return count == 0 ||
	       bsearch(&producer_id, r->producer_id_filters, count, sizeof(producer_id), compare_ids) != NULL;
}

static bool has_state(const struct list_transactions_request *r, enum txn_state state)
{
	for (int32_t i = 0; i < r->state_filters_count; i++)
		if (bytes_equal_str(r->state_filters[i], names[state]))
			return true;
	return r->state_filters_count == 0;
}

/* What never began has a start of -1, and so lasts for longer than anything. */
static bool lasts(const struct list_transactions_request *r, const struct txn *x, int64_t wall_ms)
{
	return r->duration_filter < 0 || wall_ms - x->start_ms > r->duration_filter;
}

static bool is_asked_for(const struct txn_list_call *c, const struct txn *x, const struct step *s)
{
	return has_id(c->request, x->producer_id) && has_state(c->request, x->state) &&
	       lasts(c->request, x, s->wall_ms);
}

static bool list(const struct txns *all, struct txn_list_call *c, const struct step *s)
{
	struct list_transactions_response *r = &c->response;
	size_t count = 0, place = 0;

	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));)
		count += is_asked_for(c, e->value, s);
	r->transaction_states = struct_array_new(&list_transactions_response_transaction_state_struct, count, c->arena);
	if (!r->transaction_states)
		return false;
	place = 0;
	for (const struct map_entry *e; (e = map_next(&all->by_id, &place));) {
		const struct txn *x = e->value;
		struct list_transactions_response_transaction_state *to =
			&r->transaction_states[r->transaction_states_count];

		if (!is_asked_for(c, x, s))
			continue;
		to->transactional_id = arena_copy(c->arena, txn_id(x));
		if (bytes_is_null(to->transactional_id))
			return false;
		to->producer_id = x->producer_id;
		to->transaction_state = bytes_str(names[x->state]);
		r->transaction_states_count++;
	}
	return true;
}

void txn_list(struct txns *t, struct step *s, struct txn_list_call *c)
{
	message_init(&list_transactions_response_type, &c->response);
	answer(s, &c->call, list(t, c, s));
}

/* --- figures ------------------------------------------------------------------------------------------------------------ */

void txn_figures(const struct txns *t, struct txn_figures *ret_figures)
{
	size_t place = 0;

	*ret_figures = t->figures;
	ret_figures->oldest_start_ms = INT64_MAX;
	/* Those with a timer are the ones that are ongoing; the first of them by time is not always the oldest. */
	for (const struct map_entry *e; t->timers.count > 0 && (e = map_next(&t->by_id, &place));) {
		const struct txn *x = e->value;

		if (x->state == TXN_ONGOING && x->start_ms < ret_figures->oldest_start_ms)
			ret_figures->oldest_start_ms = x->start_ms;
	}
}
