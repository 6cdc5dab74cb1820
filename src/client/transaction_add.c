/* transaction_add: before transaction.version 2 the coordinator is told of each partition before the first batch goes there. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/transaction_own.h"
#include "protocol/messages.h"

/* From 4 on it is for brokers, many transactions at once. */
#define ADD_PARTITIONS_NEWEST 3
#define ARENA_MAX ((size_t)16 * 1024 * 1024)
#define PARTITIONS_MAX 10000 /* of one request */

struct addition {
	struct produce_line **lines;
	size_t count;
	size_t capacity;
};

static const char *topic_of(const struct produce_line *l)
{
	return ((const struct produce_topic *)l->topic)->picture->name;
}

/* Of the same topic, and not the first of it. */
static bool is_named(const struct addition *a, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (a->lines[i]->topic == a->lines[at]->topic)
			return true;
	return false;
}

static bool fill(const struct addition *a, struct arena *arena, struct add_partitions_to_txn_request *request)
{
	struct add_partitions_to_txn_request_add_partitions_to_txn_topic *topics;

	topics = arena_alloc_array(arena, a->count, sizeof(*topics));
	request->v3_and_below_topics = topics;
	if (!topics)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		struct add_partitions_to_txn_request_add_partitions_to_txn_topic *row;

		if (is_named(a, i))
			continue;
		row = &topics[request->v3_and_below_topics_count++];
		row->name = bytes_str(topic_of(a->lines[i]));
		row->partitions = arena_alloc_array(arena, a->count - i, sizeof(*row->partitions));
		row->partitions_count = 0;
		if (!row->partitions)
			return false;
		for (size_t k = i; k < a->count; k++)
			if (a->lines[k]->topic == a->lines[i]->topic)
				row->partitions[row->partitions_count++] = a->lines[k]->partition;
	}
	return true;
}

/* What is worse than what is known so far: none, then what a repetition mends, then what aborts, then the rest. */
static enum err take_answer(struct transaction_talk *talk, const struct addition *a,
			    const struct add_partitions_to_txn_response *r)
{
	enum err worst = OK;
	size_t answered = 0;

	for (int32_t i = 0; i < r->results_by_topic_v3_and_below_count; i++) {
		const struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result *row =
			&r->results_by_topic_v3_and_below[i];

		for (int32_t k = 0; k < row->results_by_partition_count; k++, answered++) {
			enum err e = (enum err)row->results_by_partition[k].partition_error_code, before = worst;

			worst = transact_worse(TRANSACT_ASK_ADD, worst, e);
			if (worst != before)
				snprintf(talk->why, TRANSACT_TEXT_SIZE, "%.*s/%d cannot be part of the transaction: %s",
					 row->name.size < 249 ? (int)row->name.size : 249, (const char *)row->name.data,
					 row->results_by_partition[k].partition_index, err_text(e));
		}
	}
	return !worst && answered < a->count ? ERR_MALFORMED : worst;
}

static enum err add_once_await(struct fiber *self, struct transaction_talk *talk, struct peer *peer, int64_t until_us,
			       void *argument)
{
	struct transaction *t = talk->t;
	const struct producer *p = t->options.producer;
	const struct addition *a = argument;
	struct add_partitions_to_txn_response response;
	struct add_partitions_to_txn_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e = OK;

	message_init(&add_partitions_to_txn_request_type, &request);
	request.v3_and_below_transactional_id = bytes_str(t->options.config->transactional_id);
	request.v3_and_below_producer_id = p->producer_id;
	request.v3_and_below_producer_epoch = p->producer_epoch;
	arena_init(&arena, ARENA_MAX);
	if (!fill(a, &arena, &request))
		e = ERR_NO_MEMORY;
	if (!e)
		e = peer_ask_await(self, peer,
				   &(struct peer_ask){.api_key = API_ADD_PARTITIONS_TO_TXN,
						      .newest = ADD_PARTITIONS_NEWEST,
						      .deadline_us = until_us,
						      .request = &request,
						      .response = &response,
						      .arena = &arena},
				   NULL, &frame);
	if (!e)
		e = take_answer(talk, a, &response);
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

static void collect(const struct transaction *t, struct addition *a)
{
	a->count = 0;
	if (t->version_2 || !transaction_takes(t))
		return;
	list_for_each(&t->options.producer->active, n)
	{
		struct produce_line *l = container_of(n, struct produce_line, active);

		if (l->transaction == t->number || a->count >= PARTITIONS_MAX)
			continue;
		a->lines = mem_grow(a->lines, &a->capacity, a->count + 1, sizeof(struct produce_line *));
		a->lines[a->count++] = l;
	}
}

void transaction_add_main(struct fiber *self, void *argument)
{
	struct transaction *t = argument;
	struct addition a = {0};
	char why[TRANSACT_TEXT_SIZE];

	while (!fiber_cancelled(self) && !t->stopping) {
		struct transaction_talk talk = {.t = t,
						.coordinator = &t->coordinator,
						.question = TRANSACT_ASK_ADD,
						.deadline_us = FIBER_NO_DEADLINE,
						.why = why};
		enum err e;

		collect(t, &a);
		if (a.count == 0) {
			if (event_wait_await(self, &t->add_wanted, FIBER_NO_DEADLINE) == ERR_CANCELLED)
				break;
			continue;
		}
		/* Until there is an answer, also when the transaction fails meanwhile: its end has to know. */
		t->adding = true;
		e = transaction_talk_await(self, &talk, add_once_await, &a);
		t->adding = false;
		for (size_t i = 0; i < a.count && !e; i++)
			a.lines[i]->transaction = t->number;
		t->started = t->started || !e;
		transaction_progress(t);
		producer_wake(t->options.producer);
	}
	mem_free(a.lines);
}
