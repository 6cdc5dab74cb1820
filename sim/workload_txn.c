/*
 * workload_txn: a worker: takes up a job (sim/world_txn.h) and does it in transactions, by raw requests, for a while. Code of a client's node.
 *
 *      session   InitProducerId, where the job's offset is          then transactions, until it is fenced, gives up, or has had enough
 *      transaction     [read] -> Produce, Produce .. and the offset, in any order -> EndTxn
 *
 * Of version 2 (KIP-890) the broker adds partitions by itself and each end brings a new epoch; before, partitions and offsets are added by hand, and who does not know what
 * became of a Produce begins a new session instead of going on. A worker stalls now and then, and goes on as if nothing had been: then it is a zombie.
 * What it sends late is in workload_txn_late.c.
 */
#include "sim/txn_worker.h"

#include <stdio.h>

#include "base/alloc.h"
#include "record/builder.h"

#define ANSWER_US (20 * SECOND_US)

static struct scheduler *sched(struct txn_worker *w)
{
	return world_scheduler(w->world);
}

/* --- connections ---------------------------------------------------------------------------------------------------------------- */

void txn_worker_disconnect(struct txn_worker *w, enum txn_wire which)
{
	if (w->connected[which])
		wire_close(&w->wires[which]);
	w->connected[which] = false;
}

enum err txn_worker_ask_await(struct fiber *self, struct txn_worker *w, enum txn_wire which, int16_t key,
			      int16_t version, const void *request, struct wire_call *call, struct arena *a,
			      void *ret_response)
{
	struct wire_client *wire = &w->wires[which];
	int64_t asked_at_us = sched(w)->now_us;
	enum err e = OK;

	*call = (struct wire_call){0};
	if (w->connected[which] && wire->error)
		txn_worker_disconnect(w, which);
	if (!w->connected[which])
		e = wire_open_await(self, w->world->sim, &w->world->address,
				    shard_now_us(fiber_shard(self)) + 5 * SECOND_US, wire);
	if (e)
		return e;
	w->connected[which] = true;
	e = wire_ask_await(self, wire, key, version, request, ANSWER_US, call, a, ret_response);
	if (e == ERR_TIMED_OUT && world_was_well(w->world, asked_at_us))
		world_fail(w->world, "%s had no answer in %lld s of health", api_find(key)->name,
			   ANSWER_US / SECOND_US);
	if (e)
		txn_worker_disconnect(w, which);
	return e;
}

/* --- what errors mean -------------------------------------------------------------------------------------------------------------- */

/* No answer came: what was sent may still arrive. */
static bool is_ours(enum err e)
{
	return e <= ERR_MALFORMED;
}

/* The same again, in a while. */
static bool is_later(enum err e)
{
	switch (e) {
	case ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case ERR_COORDINATOR_NOT_AVAILABLE:
	case ERR_NOT_COORDINATOR:
	case ERR_CONCURRENT_TRANSACTIONS:
	case ERR_UNSTABLE_OFFSET_COMMIT:
	case ERR_NOT_LEADER_OR_FOLLOWER:
	case ERR_LEADER_NOT_AVAILABLE:
	case ERR_NOT_ENOUGH_REPLICAS:
	case ERR_REQUEST_TIMED_OUT:
	case ERR_UNKNOWN_TOPIC_OR_PARTITION:
	case ERR_KAFKA_STORAGE_ERROR:
		return true;
	default:
		return is_ours(e) && e != ERR_CANCELLED && e != ERR_MALFORMED;
	}
}

/* Nobody took the job up, no timeout can be over, and nothing is lost: then no end but the worker's own may come. */
static bool is_undisturbed(struct txn_worker *w)
{
	return w->job->session == w->session && w->job->inits == w->inits && !w->shaky &&
	       w->clock_jumps == w->world->sim->hits[HIT_CLOCK_JUMP] && !w->world->disk_trouble &&
	       w->cache_losses == w->world->cache_losses &&
	       (!w->transaction || sched(w)->now_us - w->begun_us < (int64_t)w->timeout_ms * 1000 - SECOND_US / 2);
}

/* Whoever asks for a coordinator makes its topic. */
enum err txn_worker_find_await(struct fiber *self, struct txn_worker *w, bool of_group, const char *of)
{
	struct bytes key = bytes_str(of);
	struct find_coordinator_request request;
	struct find_coordinator_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	message_init(api_find(API_FIND_COORDINATOR)->request, &request);
	request.key_type = of_group ? 0 : 1;
	request.coordinator_keys = &key;
	request.coordinator_keys_count = 1;
	arena_init(&arena, 1 << 18);
	e = txn_worker_ask_await(self, w, TXN_WIRE_COORDINATOR, API_FIND_COORDINATOR, 4, &request, &call, &arena,
				 &response);
	if (!e)
		e = response.coordinators_count == 1 ? (enum err)response.coordinators[0].error_code : ERR_MALFORMED;
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static void find_again_await(struct fiber *self, struct txn_worker *w)
{
	(void)!txn_worker_find_await(self, w, false, w->job->transactional_id);
	if (!w->job->source)
		(void)!txn_worker_find_await(self, w, true, w->job->group);
}

/* Asks until it is settled, and nobody else's may be taken where that `fences`: OK, an error that does not pass, or ERR_CANCELLED where the worker gave up and does not know. */
static enum err settle_await(struct fiber *self, struct txn_worker *w, const char *what, bool fences,
			     enum err (*ask_await)(struct fiber *self, struct txn_worker *w, void *argument),
			     void *argument)
{
	int64_t since_us = sched(w)->now_us;
	enum err e;

	for (;;) {
		bool stale = w->session && w->job->session != w->session;

		e = ask_await(self, w, argument);
		world_note(w->client, what, "error %lld, epoch %lld, stale %lld", e, w->epoch, stale);
		if (!e && stale && fences)
			world_fail(w->world, "%s of %s: what a zombie sent was taken", what, w->job->transactional_id);
		w->tainted = w->tainted || is_ours(e);
		if (!is_later(e))
			break;
		if (sched(w)->now_us - since_us > PATIENCE_US && world_was_well(w->world, since_us))
			world_fail(w->world, "%s of %s: %s for %lld s of health", what, w->job->transactional_id,
				   err_name(e), PATIENCE_US / SECOND_US);
		if (w->world->sim->failed || fiber_cancelled(self) ||
		    (w->world->phase == CLIENT_WORKS && chance(sched(w), 1, 60)))
			return ERR_CANCELLED;
		if (fiber_sleep_await(self, choose_skewed(sched(w), 1000, 300000)))
			return ERR_CANCELLED;
		if (e == ERR_NOT_COORDINATOR || e == ERR_COORDINATOR_NOT_AVAILABLE)
			find_again_await(self, w);
	}
	if (e && e != ERR_CANCELLED && is_undisturbed(w))
		world_fail(w->world, "%s of %s: %s, and nobody disturbed it", what, w->job->transactional_id,
			   err_name(e));
	if (e && w->session && w->job->session != w->session)
		sim_hit(w->world->sim, HIT_TXN_FENCED);
	return e;
}

/* --- topics ------------------------------------------------------------------------------------------------------------------------ */

static enum err create_await(struct fiber *self, struct txn_worker *w, void *argument)
{
	const unsigned *topic = argument;
	struct create_topics_request_creatable_topic t;
	struct create_topics_request request;
	struct create_topics_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	struct_init(&create_topics_request_creatable_topic_struct, &t);
	message_init(api_find(API_CREATE_TOPICS)->request, &request);
	t.name = bytes_str(w->world->txn->topics[*topic]);
	t.num_partitions = w->world->txn->partitions[*topic];
	t.replication_factor = 1;
	request.topics = &t;
	request.topics_count = 1;
	request.timeout_ms = 10000;
	arena_init(&arena, 1 << 18);
	e = txn_worker_ask_await(self, w, TXN_WIRE_DATA, API_CREATE_TOPICS, 7, &request, &call, &arena, &response);
	if (!e)
		e = response.topics_count == 1 ? (enum err)response.topics[0].error_code : ERR_MALFORMED;
	if (!e || e == ERR_TOPIC_ALREADY_EXISTS)
		w->world->txn->created[*topic] = true;
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static bool create_missing_await(struct fiber *self, struct txn_worker *w)
{
	for (unsigned i = 0; i < TXN_TOPICS; i++)
		if (!w->world->txn->created[i] && create_await(self, w, &i) && !w->world->txn->created[i])
			return false;
	return true;
}

/* --- a session --------------------------------------------------------------------------------------------------------------------- */

static enum err init_await(struct fiber *self, struct txn_worker *w, void *argument)
{
	struct init_producer_id_request request;
	struct init_producer_id_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	(void)argument;
	message_init(api_find(API_INIT_PRODUCER_ID)->request, &request);
	request.transactional_id = bytes_str(w->job->transactional_id);
	request.transaction_timeout_ms = w->timeout_ms;
	request.producer_id = -1;
	request.producer_epoch = -1;
	w->job->inits++;
	w->job->inits_open[w->client->number]++;
	arena_init(&arena, 1 << 16);
	e = txn_worker_ask_await(self, w, TXN_WIRE_COORDINATOR, API_INIT_PRODUCER_ID, w->version2 ? 5 : 2, &request,
				 &call, &arena, &response);
	w->job->inits_open[w->client->number]--;
	if (e) /* it may still arrive, and fence whoever has it then */
		w->job->shaky_until_us = sched(w)->now_us + PATIENCE_US;
	if (!e)
		e = (enum err)response.error_code;
	if (!e) {
		w->shaky = txn_job_has_open_init(w->job) || sched(w)->now_us < w->job->shaky_until_us;
		w->producer_id = response.producer_id;
		w->epoch = response.producer_epoch;
		w->session = world_txn_session(w->job, w->producer_id, w->epoch);
		w->inits = w->job->inits;
	}
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static enum err position_await(struct fiber *self, struct txn_worker *w, void *argument)
{
	enum err e;

	(void)argument;
	e = txn_worker_position_await(self, w, w->job, &w->position);
	if (!e && w->position < 0)
		w->position = 0;
	w->committed = w->position;
	if (!e)
		world_txn_moved(w->world, w->reader, txn_key(w->job->from_topic, w->job->from_partition));
	return e;
}

enum err txn_worker_position_await(struct fiber *self, struct txn_worker *w, const struct txn_job *j,
				   int64_t *ret_position)
{
	struct offset_fetch_request_offset_fetch_request_topics topic;
	struct offset_fetch_request_offset_fetch_request_group group;
	struct offset_fetch_request request;
	struct offset_fetch_response response;
	int32_t index = j->from_partition;
	struct wire_call call;
	struct arena arena;
	enum err e;

	struct_init(&offset_fetch_request_offset_fetch_request_topics_struct, &topic);
	struct_init(&offset_fetch_request_offset_fetch_request_group_struct, &group);
	message_init(api_find(API_OFFSET_FETCH)->request, &request);
	topic.name = bytes_str(w->world->txn->topics[j->from_topic]);
	topic.partition_indexes = &index;
	topic.partition_indexes_count = 1;
	group.group_id = bytes_str(j->group);
	group.topics = &topic;
	group.topics_count = 1;
	request.groups = &group;
	request.groups_count = 1;
	request.require_stable = true;
	arena_init(&arena, 1 << 18);
	e = txn_worker_ask_await(self, w, TXN_WIRE_COORDINATOR, API_OFFSET_FETCH, 8, &request, &call, &arena,
				 &response);
	if (!e)
		e = response.groups_count == 1 ? (enum err)response.groups[0].error_code : ERR_MALFORMED;
	if (!e && (response.groups[0].topics_count != 1 || response.groups[0].topics[0].partitions_count != 1))
		e = ERR_MALFORMED;
	if (!e)
		e = (enum err)response.groups[0].topics[0].partitions[0].error_code;
	if (!e)
		*ret_position = response.groups[0].topics[0].partitions[0].committed_offset;
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

/* A new epoch has sequences of its own. */
static void new_epoch(struct txn_worker *w)
{
	memset(w->sequences, 0, sizeof(w->sequences));
}

static enum err begin_session_await(struct fiber *self, struct txn_worker *w)
{
	enum err e;

	w->version2 = chance(sched(w), 2, 3);
	w->timeout_ms = (int32_t)choose(sched(w), TXN_TIMEOUT_LEAST_MS, TXN_TIMEOUT_MOST_MS);
	w->transaction = TXN_NOBODY;
	w->session = 0; /* comes with the answer */
	w->inits = UINT32_MAX;
	w->unknown = w->tainted = false;
	new_epoch(w);
	txn_late_note_session(w);
	e = settle_await(self, w, "init", false, init_await, NULL);
	if (!e && !w->job->source)
		e = settle_await(self, w, "position", false, position_await, NULL);
	return e;
}

/* --- what a transaction is made of ------------------------------------------------------------------------------------------------- */

/* Which partitions, in a transaction of an older version: added by hand. */
static enum err add_partition_await(struct fiber *self, struct txn_worker *w, void *argument)
{
	struct txn_chunk *c = argument;
	struct add_partitions_to_txn_request_add_partitions_to_txn_topic topic;
	struct add_partitions_to_txn_request request;
	struct add_partitions_to_txn_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	struct_init(&add_partitions_to_txn_request_add_partitions_to_txn_topic_struct, &topic);
	message_init(api_find(API_ADD_PARTITIONS_TO_TXN)->request, &request);
	topic.name = bytes_str(w->world->txn->topics[w->job->to_topic]);
	topic.partitions = &c->partition;
	topic.partitions_count = 1;
	w->told_coordinator = true;
	request.v3_and_below_transactional_id = bytes_str(w->job->transactional_id);
	request.v3_and_below_producer_id = w->producer_id;
	request.v3_and_below_producer_epoch = w->epoch;
	request.v3_and_below_topics = &topic;
	request.v3_and_below_topics_count = 1;
	arena_init(&arena, 1 << 16);
	e = txn_worker_ask_await(self, w, TXN_WIRE_COORDINATOR, API_ADD_PARTITIONS_TO_TXN, 3, &request, &call, &arena,
				 &response);
	if (!e && (response.results_by_topic_v3_and_below_count != 1 ||
		   response.results_by_topic_v3_and_below[0].results_by_partition_count != 1))
		e = ERR_MALFORMED;
	if (!e)
		e = (enum err)response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

void txn_chunk_fill(struct txn_worker *w, struct txn_chunk *c)
{
	struct batch_options options = batch_options_default(100000);
	struct batch_builder builder;
	struct bytes bytes;

	options.producer_id = c->producer_id;
	options.producer_epoch = c->epoch;
	options.base_sequence = c->sequence;
	options.is_transactional = true;
	batch_builder_init(&builder, &options);
	for (int32_t i = 0; i < c->count; i++) {
		char text[200];
		size_t size = txn_record_text(c->first_write + (uint32_t)i, text, sizeof(text));

		must(batch_builder_append(&builder, shard_wall_ms(w->shard), bytes_null(), bytes_of(text, size), NULL,
					  0) == OK);
	}
	must(batch_builder_finish(&builder, &bytes) == OK);
	c->data = mem_dup(bytes.data, bytes.size);
	c->size = bytes.size;
	batch_builder_fini(&builder);
}

void txn_chunk_request(struct txn_worker *w, const struct txn_chunk *c, struct txn_produce *p)
{
	message_init(api_find(API_PRODUCE)->request, &p->request);
	p->topic = (struct produce_request_topic_produce_data){
		.name = bytes_str(w->world->txn->topics[c->topic]),
		.partition_data = &p->partition,
		.partition_data_count = 1,
	};
	p->partition = (struct produce_request_partition_produce_data){
		.index = c->partition,
		.records = bytes_of(c->data, c->size),
	};
	p->request.transactional_id = bytes_str(w->job->transactional_id);
	p->request.acks = -1;
	p->request.timeout_ms = 10000;
	p->request.topic_data = &p->topic;
	p->request.topic_data_count = 1;
}

enum err txn_chunk_send_await(struct fiber *self, struct txn_worker *w, void *argument)
{
	struct txn_chunk *c = argument;
	struct produce_response response;
	struct txn_produce p;
	struct wire_call call;
	struct arena arena;
	enum err e;

	txn_chunk_request(w, c, &p);
	arena_init(&arena, 1 << 16);
	e = txn_worker_ask_await(self, w, TXN_WIRE_DATA, API_PRODUCE,
				 c->version2 ? 12 : (int16_t)choose(sched(w), 7, 11), &p.request, &call, &arena,
				 &response);
	if (!e && (response.responses_count != 1 || response.responses[0].partition_responses_count != 1))
		e = ERR_MALFORMED;
	if (!e)
		e = (enum err)response.responses[0].partition_responses[0].error_code;
	if (!e)
		c->base_offset = response.responses[0].partition_responses[0].base_offset;
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static enum err produce_await(struct fiber *self, struct txn_worker *w, struct txn_chunk *c)
{
	unsigned key = txn_key(c->topic, c->partition);
	enum err e = OK;

	c->producer_id = w->producer_id;
	c->epoch = w->epoch;
	c->sequence = w->sequences[key];
	c->version2 = w->version2;
	if (!w->version2 && !w->added[key])
		e = settle_await(self, w, "add partition", true, add_partition_await, c);
	if (e)
		return e;
	w->added[key] = true;
	txn_chunk_fill(w, c);
	e = settle_await(self, w, "produce", true, txn_chunk_send_await, c);
	mem_free(c->data);
	c->data = NULL;
	if (e) {
		w->unknown = true; /* what became of it */
		return e;
	}
	w->sequences[key] += c->count;
	w->produced = true;
	world_txn_acked(w->world, c->first_write, c->count, key, c->base_offset);
	return OK;
}

static enum err add_offsets_await(struct fiber *self, struct txn_worker *w, void *argument)
{
	struct add_offsets_to_txn_request request;
	struct add_offsets_to_txn_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	(void)argument;
	w->told_coordinator = true;
	message_init(api_find(API_ADD_OFFSETS_TO_TXN)->request, &request);
	request.transactional_id = bytes_str(w->job->transactional_id);
	request.producer_id = w->producer_id;
	request.producer_epoch = w->epoch;
	request.group_id = bytes_str(w->job->group);
	arena_init(&arena, 1 << 16);
	e = txn_worker_ask_await(self, w, TXN_WIRE_COORDINATOR, API_ADD_OFFSETS_TO_TXN, (int16_t)choose(sched(w), 0, 3),
				 &request, &call, &arena, &response);
	if (!e)
		e = (enum err)response.error_code;
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static enum err send_offset_await(struct fiber *self, struct txn_worker *w, void *argument)
{
	const int64_t *offset = argument;
	struct txn_offset_commit_request_txn_offset_commit_request_partition partition;
	struct txn_offset_commit_request_txn_offset_commit_request_topic topic;
	struct txn_offset_commit_request request;
	struct txn_offset_commit_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	struct_init(&txn_offset_commit_request_txn_offset_commit_request_partition_struct, &partition);
	struct_init(&txn_offset_commit_request_txn_offset_commit_request_topic_struct, &topic);
	message_init(api_find(API_TXN_OFFSET_COMMIT)->request, &request);
	partition.partition_index = w->job->from_partition;
	partition.committed_offset = *offset;
	partition.committed_metadata = bytes_empty();
	topic.name = bytes_str(w->world->txn->topics[w->job->from_topic]);
	topic.partitions = &partition;
	topic.partitions_count = 1;
	request.transactional_id = bytes_str(w->job->transactional_id);
	request.group_id = bytes_str(w->job->group);
	request.producer_id = w->producer_id;
	request.producer_epoch = w->epoch;
	request.topics = &topic;
	request.topics_count = 1;
	arena_init(&arena, 1 << 16);
	e = txn_worker_ask_await(self, w, TXN_WIRE_COORDINATOR, API_TXN_OFFSET_COMMIT,
				 w->version2 ? 5 : (int16_t)choose(sched(w), 2, 4), &request, &call, &arena, &response);
	if (!e && (response.topics_count != 1 || response.topics[0].partitions_count != 1))
		e = ERR_MALFORMED;
	if (!e)
		e = (enum err)response.topics[0].partitions[0].error_code;
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static enum err commit_offset_await(struct fiber *self, struct txn_worker *w, int64_t offset)
{
	enum err e = w->version2 ? OK : settle_await(self, w, "add offsets", true, add_offsets_await, NULL);

	return e ? e : settle_await(self, w, "offset", true, send_offset_await, &offset);
}

/* --- its end ------------------------------------------------------------------------------------------------------------------------ */

static enum err end_await(struct fiber *self, struct txn_worker *w, void *argument)
{
	const bool *commit = argument;
	struct end_txn_request request;
	struct end_txn_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	message_init(api_find(API_END_TXN)->request, &request);
	request.transactional_id = bytes_str(w->job->transactional_id);
	request.producer_id = w->producer_id;
	request.producer_epoch = w->epoch;
	request.committed = *commit;
	arena_init(&arena, 1 << 16);
	e = txn_worker_ask_await(self, w, TXN_WIRE_COORDINATOR, API_END_TXN,
				 w->version2 ? 5 : (int16_t)choose(sched(w), 1, 4), &request, &call, &arena, &response);
	if (!e)
		e = (enum err)response.error_code;
	if (!e && w->version2) {
		if (response.producer_id == w->producer_id && response.producer_epoch != w->epoch + 1)
			world_fail(w->world, "an end of %s gave epoch %d after %d", w->job->transactional_id,
				   response.producer_epoch, w->epoch);
		if (response.producer_id != w->producer_id)
			sim_hit(w->world->sim, HIT_TXN_WRAPPED);
		w->next_producer_id = response.producer_id;
		w->next_epoch = response.producer_epoch;
	}
	arena_fini(&arena);
	wire_call_fini(&call);
	return e;
}

static enum err end_transaction_await(struct fiber *self, struct txn_worker *w, bool commit)
{
	bool touched = w->produced || w->offset_sent;
	enum err e;

	if (commit)
		world_txn_asked(w->world, w->transaction);
	e = settle_await(self, w, commit ? "commit" : "abort", commit, end_await, &commit);
	if (e)
		return e;
	world_txn_ended(w->world, w->transaction, commit);
	w->transaction = TXN_NOBODY;
	if (w->version2) {
		if (touched)
			txn_late_note_end(w);
		w->producer_id = w->next_producer_id;
		w->epoch = w->next_epoch;
		new_epoch(w);
	}
	return OK;
}

/* --- transactions ------------------------------------------------------------------------------------------------------------------- */

/* A worker that others think is gone; it does not know. */
static bool stall_await(struct fiber *self, struct txn_worker *w)
{
	if (!chance(sched(w), 1, 60))
		return true;
	sim_hit(w->world->sim, HIT_TXN_STALLED);
	return !fiber_sleep_await(self, choose_skewed(sched(w), 300000, 8 * SECOND_US));
}

static void begin_transaction(struct txn_worker *w)
{
	w->transaction = world_txn_begin(w->world);
	w->begun_us = sched(w)->now_us;
	w->clock_jumps = w->world->sim->hits[HIT_CLOCK_JUMP];
	w->cache_losses = w->world->cache_losses;
	w->produced = w->offset_sent = w->told_coordinator = false;
	memset(w->added, 0, sizeof(w->added));
}

/* What comes out of what was read, in a few batches. A source makes it of nothing, a copy a record of each, a sum one of all. */
static unsigned plan(struct txn_worker *w, const struct txn_fetch *f, struct txn_chunk *chunks)
{
	unsigned outputs = w->job->source            ? (unsigned)choose_skewed(sched(w), 1, 10)
			   : w->job->from_topic == 0 ? f->count
						     : 1;
	unsigned count = 0, key_of_input = w->job->source ? 0 : txn_key(f->topic, f->partition);
	int64_t from = w->committed; /* with the ends of transactions that lie before */
	unsigned job = (unsigned)(w->job - w->world->txn->jobs);

	for (unsigned i = 0; i < outputs; i++) {
		bool last = i + 1 == outputs;
		struct txn_source source = {job, key_of_input, from, last ? f->next : f->records[i].offset + 1};
		struct txn_chunk *c = &chunks[count > 0 ? count - 1 : 0];
		uint32_t write;

		if (count == 0 || (count < TXN_CHUNKS && chance(sched(w), 1, 3))) {
			c = &chunks[count++];
			*c = (struct txn_chunk){.topic = w->job->to_topic};
			c->partition = (int32_t)choose(sched(w), 0, w->world->txn->partitions[c->topic] - 1);
		}
		write = world_txn_send(w->world, w->transaction, txn_key(c->topic, c->partition),
				       w->job->source ? NULL : &source);
		if (c->count++ == 0)
			c->first_write = write;
		from = source.to;
	}
	return count;
}

static enum err fill_transaction_await(struct fiber *self, struct txn_worker *w, const struct txn_fetch *f)
{
	struct txn_chunk chunks[TXN_CHUNKS];
	unsigned count = plan(w, f, chunks), offset_at = (unsigned)choose(sched(w), 0, count);
	enum err e = OK;

	for (unsigned i = 0; i <= count && !e; i++) {
		if (!stall_await(self, w))
			return ERR_CANCELLED;
		if (i == offset_at && !w->job->source) {
			e = commit_offset_await(self, w, f->next);
			w->offset_sent = !e;
		}
		if (i < count && !e)
			e = produce_await(self, w, &chunks[i]);
		if (!e)
			e = txn_late_end_await(self, w);
	}
	return e;
}

static void note_input(struct txn_worker *w, const struct txn_fetch *f)
{
	for (unsigned i = 0; i < f->count; i++)
		world_txn_read(w->world, w->reader, w->transaction, txn_key(f->topic, f->partition),
			       f->records[i].offset, f->records[i].write);
}

static void rewind_input(struct txn_worker *w)
{
	if (!w->job->source)
		world_txn_moved(w->world, w->reader, txn_key(w->job->from_topic, w->job->from_partition));
}

/*
 * Before version 2 the next transaction has the same epoch: what of this one arrives late would count there (KIP-890). So a session ends where something
 * may.
 */
static enum err end_of_session(struct txn_worker *w)
{
	return !w->version2 && (w->unknown || w->tainted) ? ERR_CANCELLED : OK;
}

static enum err abort_await(struct fiber *self, struct txn_worker *w, enum err failure)
{
	enum err e = OK;

	if (w->version2 || w->told_coordinator)
		e = end_transaction_await(self, w, false);
	if (e)
		return e;
	rewind_input(w);
	return w->version2 ? OK : failure ? failure : end_of_session(w);
}

/* An error ends the session. */
static enum err transact_await(struct fiber *self, struct txn_worker *w, const struct txn_fetch *f)
{
	bool commit = chance(sched(w), 4, 5);
	enum err e;

	begin_transaction(w);
	if (!w->job->source)
		note_input(w, f);
	e = fill_transaction_await(self, w, f);
	if (e == ERR_CANCELLED)
		return e;
	if (e)
		return abort_await(self, w, e);
	if (!stall_await(self, w) || (w->world->phase != CLIENT_WORKS && chance(sched(w), 1, 3)))
		return ERR_CANCELLED; /* it is left open */
	if (!commit) {
		txn_late_race(w);
		return abort_await(self, w, OK);
	}
	e = end_transaction_await(self, w, true);
	if (!e && !w->job->source)
		w->position = w->committed = f->next;
	return e ? e : end_of_session(w);
}

static enum err read_await(struct fiber *self, struct txn_worker *w, struct txn_fetch *f)
{
	enum err e;

	f->topic = w->job->from_topic;
	f->partition = w->job->from_partition;
	f->offset = w->position;
	f->most = (unsigned)choose_skewed(sched(w), 1, TXN_FETCH_MAX);
	f->max_wait_ms = (int32_t)choose(sched(w), 0, 500);
	if (!w->connected[TXN_WIRE_DATA] || w->wires[TXN_WIRE_DATA].error) {
		txn_worker_disconnect(w, TXN_WIRE_DATA);
		e = wire_open_await(self, w->world->sim, &w->world->address, shard_now_us(w->shard) + 5 * SECOND_US,
				    &w->wires[TXN_WIRE_DATA]);
		if (e)
			return e;
		w->connected[TXN_WIRE_DATA] = true;
	}
	e = txn_fetch_await(self, w->world, &w->wires[TXN_WIRE_DATA], f);
	if (e && !is_later(e) && e != ERR_CANCELLED)
		world_fail(w->world, "fetch of %s-%d at %lld: %s", w->world->txn->topics[f->topic], f->partition,
			   (long long)f->offset, err_name(e));
	return e;
}

static void session_await(struct fiber *self, struct txn_worker *w)
{
	struct txn_fetch *f = mem_new(struct txn_fetch);
	int64_t until_us = sched(w)->now_us + choose_skewed(sched(w), SECOND_US / 2, 10 * SECOND_US);
	enum err e = begin_session_await(self, w);

	while (!e && w->world->phase == CLIENT_WORKS && !w->world->sim->failed && !fiber_cancelled(self) &&
	       sched(w)->now_us < until_us) {
		txn_late_send_await(self, w);
		f->count = 0;
		f->next = f->offset = w->position;
		if (w->job->source || (!read_await(self, w, f) && f->count))
			e = transact_await(self, w, f);
		else if (f->next > w->position)
			w->position = f->next; /* ends of transactions, and what was aborted */
		if (fiber_sleep_await(self, choose_skewed(sched(w), 500, w->job->source ? 400000 : 60000)))
			break;
	}
	if (!w->version2 && w->session)
		txn_late_note_end(w);
	mem_free(f);
}

void txn_worker_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *client = argument;
	struct txn_worker *w = mem_new(struct txn_worker);

	w->world = client->world;
	w->client = client;
	w->shard = fiber_shard(self);
	w->reader = client->number * CLIENT_MEMBERS + client->members++;
	while (w->world->phase == CLIENT_WORKS && !w->world->sim->failed && !fiber_cancelled(self)) {
		if (create_missing_await(self, w)) {
			w->job = world_txn_take_job(client);
			session_await(self, w);
			w->job->workers[client->number]--;
		}
		if (fiber_sleep_await(self, choose_skewed(sched(w), 1000, 300000)))
			break;
	}
	txn_worker_disconnect(w, TXN_WIRE_DATA);
	txn_worker_disconnect(w, TXN_WIRE_COORDINATOR);
	mem_free(w);
	client_role_over(client, self);
}
