/*
 * workload_txn_read: readers of committed records, who follow each partition along while transactions come and go, and the final reading of all of it. Code of a
 * client's node.
 */
#include "base/alloc.h"
#include "sim/txn_worker.h"

struct txn_reader {
	struct txn_worker worker; /* for its connections */
	int64_t next[TXN_KEYS];
};

static struct scheduler *sched(struct txn_reader *r)
{
	return world_scheduler(r->worker.world);
}

static struct txn_reader *reader_new(struct world_client *client, struct shard *shard)
{
	struct txn_reader *r = mem_new(struct txn_reader);

	r->worker.world = client->world;
	r->worker.client = client;
	r->worker.shard = shard;
	/* Numbers below are workers'. */
	r->worker.reader = WORLD_CLIENTS * CLIENT_MEMBERS + client->number;
	for (unsigned t = 0; t < TXN_TOPICS; t++)
		for (int32_t p = 0; p < TXN_PARTITIONS; p++)
			world_txn_moved(client->world, r->worker.reader, txn_key(t, p));
	return r;
}

static void reader_free(struct txn_reader *r)
{
	txn_worker_disconnect(&r->worker, TXN_WIRE_DATA);
	txn_worker_disconnect(&r->worker, TXN_WIRE_COORDINATOR);
	mem_free(r);
}

static enum err connect_await(struct fiber *self, struct txn_reader *r)
{
	struct txn_worker *w = &r->worker;
	enum err e;

	if (w->connected[TXN_WIRE_DATA] && !w->wires[TXN_WIRE_DATA].error)
		return OK;
	txn_worker_disconnect(w, TXN_WIRE_DATA);
	e = wire_open_await(self, w->world->sim, &w->world->address, shard_now_us(w->shard) + 5 * SECOND_US,
			    &w->wires[TXN_WIRE_DATA]);
	w->connected[TXN_WIRE_DATA] = !e;
	return e;
}

static enum err read_await(struct fiber *self, struct txn_reader *r, struct txn_fetch *f)
{
	unsigned key = txn_key(f->topic, f->partition);
	enum err e = connect_await(self, r);

	f->offset = r->next[key];
	f->most = TXN_FETCH_MAX;
	if (!e)
		e = txn_fetch_await(self, r->worker.world, &r->worker.wires[TXN_WIRE_DATA], f);
	for (unsigned i = 0; i < f->count && !e; i++)
		world_txn_read(r->worker.world, r->worker.reader, TXN_NOBODY, key, f->records[i].offset,
			       f->records[i].write);
	if (!e)
		r->next[key] = f->next;
	return e;
}

void txn_reader_role_fiber(struct fiber *self, void *argument)
{
	struct world_client *client = argument;
	struct txn_reader *r = reader_new(client, fiber_shard(self));
	struct txn_fetch *f = mem_new(struct txn_fetch);
	struct world *w = client->world;

	while (w->phase == CLIENT_WORKS && !w->sim->failed && !fiber_cancelled(self)) {
		*f = (struct txn_fetch){.topic = (unsigned)choose(sched(r), 0, TXN_TOPICS - 1),
					.max_wait_ms = (int32_t)choose(sched(r), 0, 300)};
		f->partition = (int32_t)choose(sched(r), 0, w->txn->partitions[f->topic] - 1);
		if (w->txn->created[f->topic])
			(void)!read_await(self, r, f);
		if (fiber_sleep_await(self, choose_skewed(sched(r), 100, 200000)))
			break;
	}
	mem_free(f);
	reader_free(r);
	client_role_over(client, self);
}

/* --- the final reading ------------------------------------------------------------------------------------------------------------- */

/* Until no transaction is open in it, which their timeouts bound; then to its end. */
static enum err verify_partition_await(struct fiber *self, struct txn_reader *r, struct txn_fetch *f,
				       int64_t stable_by_us)
{
	struct world *w = r->worker.world;
	unsigned key = txn_key(f->topic, f->partition);
	bool stable = false;
	enum err e = OK;

	while (!w->sim->failed && !e && !(stable && r->next[key] >= f->high_watermark)) {
		e = read_await(self, r, f);
		stable = !e && f->last_stable_offset == f->high_watermark;
		if (!e && !stable && w->sim->scheduler.now_us > stable_by_us)
			world_fail(w, "%s-%d is stable up to %lld of %lld only, and every transaction is over time",
				   w->txn->topics[f->topic], f->partition, (long long)f->last_stable_offset,
				   (long long)f->high_watermark);
		if (!e && f->count == 0 && fiber_sleep_await(self, 20000))
			e = ERR_CANCELLED;
	}
	return e;
}

static enum err verify_positions_await(struct fiber *self, struct txn_reader *r)
{
	struct world *w = r->worker.world;
	enum err e = OK;

	for (unsigned i = 0; i < w->txn->job_count && !e; i++) {
		const struct txn_job *j = &w->txn->jobs[i];
		int64_t position = -1;
		int tries = 0;

		if (j->source)
			continue;
		do {
			e = txn_worker_find_await(self, &r->worker, true, j->group);
			if (!e)
				e = txn_worker_position_await(self, &r->worker, j, &position);
		} while (e && e != ERR_MALFORMED && ++tries < 100 && !fiber_sleep_await(self, 20000));
		if (!e && position >= 0)
			txn_history_position(&w->txn->history, i, txn_key(j->from_topic, j->from_partition), position);
	}
	return e;
}

void verify_txns_await(struct fiber *self, struct world_client *client)
{
	struct txn_reader *r = reader_new(client, fiber_shard(self));
	struct txn_fetch *f = mem_new(struct txn_fetch);
	struct world *w = client->world;
	int64_t stable_by_us = w->sim->scheduler.now_us + (TXN_TIMEOUT_MOST_MS + w->txn->timeout_check_ms) * 1000 +
			       SECOND_US;
	enum err e = OK;

	for (unsigned t = 0; t < TXN_TOPICS && !e; t++)
		for (int32_t p = 0; p < w->txn->partitions[t] && !e && w->txn->created[t]; p++) {
			*f = (struct txn_fetch){.topic = t, .partition = p, .max_wait_ms = 100};
			e = verify_partition_await(self, r, f, stable_by_us);
		}
	if (!e)
		e = verify_positions_await(self, r);
	if (e)
		world_fail(w, "the final reading of transactions failed: %s", err_name(e));
	else
		world_txn_judge(w);
	mem_free(f);
	reader_free(r);
}
