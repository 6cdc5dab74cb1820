/*
 * workload_txn_late: what arrives after its transaction, as a network may hold it: batches and ends of a producer that has gone on. With a new epoch for each
 * transaction (version 2), or for each session, none of it may touch a later transaction, nor become visible. Code of a client's node; see workload_txn.c.
 */
#include "base/alloc.h"
#include "sim/txn_worker.h"

static struct scheduler *sched(struct txn_worker *w)
{
	return world_scheduler(w->world);
}

static void note(struct txn_worker *w, struct txn_late *late)
{
	*late = (struct txn_late){
		.any = true,
		.job = w->job,
		.producer_id = w->producer_id,
		.epoch = w->epoch,
		.version2 = w->version2,
	};
	memcpy(late->sequences, w->sequences, sizeof(w->sequences));
	memcpy(late->added, w->added, sizeof(w->added));
}

void txn_late_note_end(struct txn_worker *w)
{
	/* Another one began and ended since: so the one before is complete. */
	w->late = w->last;
	note(w, &w->last);
}

/* The producer that it had in the session before is over once the new one has begun. */
void txn_late_note_session(struct txn_worker *w)
{
	w->late = w->last; /* it will be complete */
	w->late.any = w->late.any && w->late.job == w->job;
	w->last.any = false;
}

/* Of one of the partitions that the transaction had. False: it had none. */
static bool make_chunk(struct txn_worker *w, struct txn_chunk *c, uint32_t transaction)
{
	unsigned key, from = txn_key(w->job->to_topic, 0), tries = 0;

	do
		key = from + (unsigned)choose(sched(w), 0, w->world->txn->partitions[w->job->to_topic] - 1);
	while (!w->late.added[key] && ++tries < 8);
	if (!w->late.added[key])
		return false;
	*c = (struct txn_chunk){
		.topic = w->job->to_topic,
		.partition = (int32_t)(key - from),
		.count = 1,
		.producer_id = w->late.producer_id,
		.epoch = w->late.epoch,
		.sequence = w->late.sequences[key],
		.version2 = w->late.version2,
		.first_write = world_txn_send(w->world, transaction, key, NULL),
	};
	txn_chunk_fill(w, c);
	return true;
}

void txn_late_send_await(struct fiber *self, struct txn_worker *w)
{
	struct txn_chunk c;
	enum err e;

	if (!w->late.any || !chance(sched(w), 1, 15))
		return;
	/* A transaction of its own, which nobody asks to commit: who reads of it reads what was not committed. */
	if (!make_chunk(w, &c, world_txn_begin(w->world)))
		return;
	e = txn_chunk_send_await(self, w, &c);
	world_note(w->client, "late produce", "error %lld, epoch %lld", e, c.epoch, 0);
	mem_free(c.data);
	if (!e)
		world_fail(w->world, "a record of a transaction of %s that is over was taken at %lld",
			   w->job->transactional_id, (long long)c.base_offset);
	sim_hit(w->world->sim, HIT_TXN_LATE);
}

/* It names the epoch of the transaction before, whose end was answered: nobody would wait for it any more. */
enum err txn_late_end_await(struct fiber *self, struct txn_worker *w)
{
	struct end_txn_request request;
	struct end_txn_response response;
	struct wire_call call;
	struct arena arena;
	enum err e;

	if (!w->last.any || !w->last.version2 || !w->version2 || !w->produced || !chance(sched(w), 1, 40))
		return OK;
	message_init(api_find(API_END_TXN)->request, &request);
	request.transactional_id = bytes_str(w->job->transactional_id);
	request.producer_id = w->last.producer_id;
	request.producer_epoch = w->last.epoch;
	request.committed = chance(sched(w), 1, 2);
	arena_init(&arena, 1 << 16);
	e = txn_worker_ask_await(self, w, TXN_WIRE_COORDINATOR, API_END_TXN, 5, &request, &call, &arena, &response);
	if (!e && !response.error_code && w->job->session == w->session)
		world_fail(w->world, "an end of a transaction of %s that is over was taken for another",
			   w->job->transactional_id);
	world_note(w->client, "late end", "error %lld, epoch %lld, commit %lld", e ? e : response.error_code,
		   request.producer_epoch, request.committed);
	arena_fini(&arena);
	wire_call_fini(&call);
	sim_hit(w->world->sim, HIT_TXN_LATE);
	return OK;
}

void txn_late_race(struct txn_worker *w)
{
	struct txn_late kept = w->late;
	struct txn_produce p;
	struct wire_call call = {0};
	struct txn_chunk c;

	if (!w->connected[TXN_WIRE_DATA] || w->wires[TXN_WIRE_DATA].error || !chance(sched(w), 1, 4))
		return;
	note(w, &w->late);
	if (make_chunk(w, &c, w->transaction)) {
		txn_chunk_request(w, &c, &p);
		wire_send(&w->wires[TXN_WIRE_DATA], API_PRODUCE, w->version2 ? 12 : 11, &p.request, true, &call);
		mem_free(c.data);
		w->unknown = true;
		sim_hit(w->world->sim, HIT_TXN_LATE);
		/* Whoever waited for an answer is gone. */
		txn_worker_disconnect(w, TXN_WIRE_DATA);
		wire_call_fini(&call);
	}
	w->late = kept;
}
