/* transaction_offsets: a group's offsets as part of a transaction: AddOffsetsToTxn (before version 2), then TxnOffsetCommit at the group's coordinator. */
#include <stdio.h>

#include "base/alloc.h"
#include "client/transaction_own.h"
#include "protocol/messages.h"

#define ADD_OFFSETS_NEWEST 4
/* Without AddOffsetsToTxn; topics by id are not asked for: names say the same. */
#define TRANSACT_OFFSET_COMMIT_NEWEST 5
#define TRANSACT_OFFSET_COMMIT_ADDED 4
#define COMMIT_WITH_MEMBER 3
#define ARENA_MAX ((size_t)64 * 1024 * 1024)

static struct transaction_group *group_of(struct transaction *t, const char *id)
{
	struct transaction_group *g;

	list_for_each(&t->groups, n)
	{
		g = container_of(n, struct transaction_group, node);
		if (strcmp(g->id, id) == 0)
			return g;
	}
	g = mem_new(struct transaction_group);
	g->id = mem_strdup(id);
	coordinator_init(&g->coordinator, t->options.cluster, COORDINATOR_GROUP, g->id);
	list_push_back(&t->groups, &g->node);
	return g;
}

/* --- AddOffsetsToTxn --------------------------------------------------------------------------------------------- */

static enum err add_once_await(struct fiber *self, struct transaction_talk *talk, struct peer *peer, int64_t until_us,
			       void *argument)
{
	struct transaction *t = talk->t;
	const struct producer *p = t->options.producer;
	const struct transaction_offsets *o = argument;
	struct add_offsets_to_txn_response response;
	struct add_offsets_to_txn_request request;
	struct blob *frame = NULL;
	struct arena arena;
	enum err e;

	message_init(&add_offsets_to_txn_request_type, &request);
	request.transactional_id = bytes_str(t->options.config->transactional_id);
	request.producer_id = p->producer_id;
	request.producer_epoch = p->producer_epoch;
	request.group_id = bytes_str(o->group);
	arena_init(&arena, ARENA_MAX);
	t->in_doubt = true;
	e = peer_ask_await(self, peer,
			   &(struct peer_ask){.api_key = API_ADD_OFFSETS_TO_TXN,
					      .newest = ADD_OFFSETS_NEWEST,
					      .deadline_us = until_us,
					      .request = &request,
					      .response = &response,
					      .arena = &arena},
			   NULL, &frame);
	if (!e)
		e = (enum err)response.error_code;
	t->started = t->started || !e;
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

/* --- TxnOffsetCommit --------------------------------------------------------------------------------------------- */

static bool is_first_of_topic(const struct transaction_offsets *o, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (o->offsets[i].topic == o->offsets[at].topic)
			return false;
	return true;
}

static bool fill(const struct transaction_offsets *o, struct arena *a, struct txn_offset_commit_request *request)
{
	request->topics = arena_alloc_array(a, o->count + 1, sizeof(*request->topics));
	if (!request->topics)
		return false;
	for (size_t i = 0; i < o->count; i++) {
		struct txn_offset_commit_request_txn_offset_commit_request_topic *row;

		if (!is_first_of_topic(o, i))
			continue;
		row = &request->topics[request->topics_count++];
		row->name = bytes_str(o->offsets[i].topic->name);
		row->partitions = arena_alloc_array(a, o->count - i, sizeof(*row->partitions));
		if (!row->partitions)
			return false;
		for (size_t k = i; k < o->count; k++) {
			const struct group_offset *one = &o->offsets[k];

			if (one->topic != o->offsets[i].topic)
				continue;
			row->partitions[row->partitions_count++] =
				(struct txn_offset_commit_request_txn_offset_commit_request_partition){
					.partition_index = one->index,
					.committed_offset = one->offset,
					.committed_leader_epoch = one->leader_epoch,
					.committed_metadata = bytes_str(one->metadata ? one->metadata : ""),
				};
		}
	}
	return true;
}

static struct group_offset *find(const struct transaction_offsets *o, struct bytes topic, int32_t index)
{
	for (size_t i = 0; i < o->count; i++)
		if (o->offsets[i].index == index && bytes_equal_str(topic, o->offsets[i].topic->name))
			return &o->offsets[i];
	return NULL;
}

static enum err take_answer(struct transaction_talk *talk, const struct transaction_offsets *o,
			    const struct txn_offset_commit_response *r)
{
	enum err worst = OK;

	for (size_t i = 0; i < o->count; i++)
		o->offsets[i].error = ERR_MALFORMED;
	for (int32_t i = 0; i < r->topics_count; i++) {
		for (int32_t k = 0; k < r->topics[i].partitions_count; k++) {
			struct group_offset *one = find(o, r->topics[i].name,
							r->topics[i].partitions[k].partition_index);

			if (one)
				one->error = (enum err)r->topics[i].partitions[k].error_code;
		}
	}
	for (size_t i = 0; i < o->count; i++)
		worst = transact_worse(TRANSACT_ASK_COMMIT_OFFSETS, worst, o->offsets[i].error);
	if (worst)
		snprintf(talk->why, TRANSACT_TEXT_SIZE, "the offsets of group %.200s: %s", o->group, err_text(worst));
	return worst;
}

static enum err commit_once_await(struct fiber *self, struct transaction_talk *talk, struct peer *peer,
				  int64_t until_us, void *argument)
{
	struct transaction *t = talk->t;
	const struct producer *p = t->options.producer;
	const struct transaction_offsets *o = argument;
	struct txn_offset_commit_response response;
	struct txn_offset_commit_request request;
	struct blob *frame = NULL;
	struct arena arena;
	int16_t version = 0;
	enum err e = peer_version(peer, API_TXN_OFFSET_COMMIT,
				  t->version_2 ? TRANSACT_OFFSET_COMMIT_NEWEST : TRANSACT_OFFSET_COMMIT_ADDED,
				  &version);

	if (e)
		return e == ERR_WRONG_STATE ? ERR_AGAIN : e;
	message_init(&txn_offset_commit_request_type, &request);
	request.transactional_id = bytes_str(t->options.config->transactional_id);
	request.group_id = bytes_str(o->group);
	request.producer_id = p->producer_id;
	request.producer_epoch = p->producer_epoch;
	/* An older broker cannot tell a zombie by its generation; nothing can be done about it here. */
	if (version >= COMMIT_WITH_MEMBER) {
		request.generation_id_or_member_epoch = o->generation;
		request.member_id = bytes_str(o->member_id);
		request.group_instance_id = o->instance_id[0] ? bytes_str(o->instance_id) : bytes_null();
	}
	arena_init(&arena, ARENA_MAX);
	if (!fill(o, &arena, &request))
		e = ERR_NO_MEMORY;
	if (!e && t->version_2)
		t->started = true;
	if (!e)
		e = peer_ask_await(self, peer,
				   &(struct peer_ask){.api_key = API_TXN_OFFSET_COMMIT,
						      .newest = version,
						      .deadline_us = until_us,
						      .request = &request,
						      .response = &response,
						      .arena = &arena},
				   NULL, &frame);
	if (!e)
		e = take_answer(talk, o, &response);
	blob_unref(frame);
	arena_fini(&arena);
	return e;
}

static enum err offsets_await(struct fiber *self, struct transaction *t, const struct transaction_offsets *o,
			      char *ret_why)
{
	struct transaction_talk add = {.t = t,
				       .coordinator = &t->coordinator,
				       .question = TRANSACT_ASK_ADD_OFFSETS,
				       .deadline_us = o->deadline_us,
				       .why = ret_why};
	struct transaction_talk commit = {
		.t = t, .question = TRANSACT_ASK_COMMIT_OFFSETS, .deadline_us = o->deadline_us, .why = ret_why};
	enum err e = OK;

	if (!t->version_2)
		e = transaction_talk_await(self, &add, add_once_await, (void *)(uintptr_t)o);
	if (e)
		return e;
	commit.coordinator = &group_of(t, o->group)->coordinator;
	return transaction_talk_await(self, &commit, commit_once_await, (void *)(uintptr_t)o);
}

enum err transaction_offsets_await(struct fiber *self, struct transaction *t, const struct transaction_offsets *o,
				   char ret_why[static TRANSACT_TEXT_SIZE])
{
	enum err e = OK;

	if (!transaction_enter(t, TRANSACT_OFFSETS, &e, ret_why))
		return e;
	if (o->count > 0) {
		e = offsets_await(self, t, o, ret_why);
		/* Whether they are part of it nobody knows: it must not be committed as if they were. */
		if (e && e != ERR_CANCELLED)
			transaction_fail(t, e, ret_why);
	}
	transaction_leave(t);
	return e;
}
