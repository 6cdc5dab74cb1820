/* world_txn: see the header. */
#include "sim/world_txn.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define TEXT_LEAST 9
#define TXN_SESSION_OVER UINT32_MAX

static void add_job(struct world_txn *x, const char *what, unsigned from_topic, int32_t from_partition, bool source)
{
	struct txn_job *j = &x->jobs[x->job_count++];

	must(x->job_count <= TXN_JOBS);
	snprintf(j->transactional_id, sizeof(j->transactional_id), "%s-%d", what, from_partition);
	snprintf(j->group, sizeof(j->group), "group-%s-%d", what, from_partition);
	j->source = source;
	j->from_topic = from_topic;
	j->from_partition = from_partition;
	j->to_topic = source ? 0 : from_topic + 1;
}

void world_txn_init(struct world *w)
{
	static const char *const names[TXN_TOPICS] = {"txn-in", "txn-mid", "txn-out"};
	struct world_txn *x = mem_new(struct world_txn);
	struct scheduler *s = &w->sim->scheduler;

	txn_history_init(&x->history);
	for (unsigned t = 0; t < TXN_TOPICS; t++) {
		snprintf(x->topics[t], sizeof(x->topics[t]), "%s", names[t]);
		x->partitions[t] = (int32_t)choose(s, 1, TXN_PARTITIONS);
	}
	for (int32_t i = 0; i < TXN_SOURCES; i++)
		add_job(x, "source", 0, i, true);
	for (int32_t i = 0; i < x->partitions[0]; i++)
		add_job(x, "copy", 0, i, false);
	for (int32_t i = 0; i < x->partitions[1]; i++)
		add_job(x, "sum", 1, i, false);
	x->state_partitions = (int32_t)choose_skewed(s, 1, 8);
	x->timeout_check_ms = choose(s, 50, 500);
	w->txn = x;
	w->offsets_count = (int32_t)choose_skewed(s, 1, 8);
}

void world_txn_fini(struct world *w)
{
	txn_history_fini(&w->txn->history);
	mem_free(w->txn);
	w->txn = NULL;
}

/* --- the history ------------------------------------------------------------------------------------------------------------------- */

uint32_t world_txn_begin(struct world *w)
{
	struct memory_owner *before = memory_enter(NULL);
	uint32_t number = txn_history_begin(&w->txn->history);

	memory_leave(before);
	return number;
}

uint32_t world_txn_send(struct world *w, uint32_t transaction, unsigned key, const struct txn_source *source)
{
	struct memory_owner *before = memory_enter(NULL);
	uint32_t number = txn_history_send(&w->txn->history, transaction, key, source);

	memory_leave(before);
	return number;
}

void world_txn_acked(struct world *w, uint32_t first_write, int32_t count, unsigned key, int64_t base_offset)
{
	struct memory_owner *before = memory_enter(NULL);

	if (base_offset < 0)
		world_fail(w, "a Produce to partition %u of transactions was acknowledged at %lld", key,
			   (long long)base_offset);
	for (int32_t i = 0; i < count && base_offset >= 0; i++)
		txn_history_acked(&w->txn->history, first_write + (uint32_t)i, base_offset + i);
	w->acked += (uint64_t)count;
	memory_leave(before);
}

void world_txn_asked(struct world *w, uint32_t transaction)
{
	txn_history_asked(&w->txn->history, transaction);
}

void world_txn_ended(struct world *w, uint32_t transaction, bool committed)
{
	txn_history_ended(&w->txn->history, transaction, committed);
	w->txn->committed += committed;
	sim_hit(w->sim, committed ? HIT_TXN_COMMITTED : HIT_TXN_ABORTED);
}

void world_txn_read(struct world *w, unsigned reader, uint32_t transaction, unsigned key, int64_t offset,
		    uint32_t write)
{
	struct memory_owner *before = memory_enter(NULL);

	txn_history_read(&w->txn->history, reader, transaction, key, offset, write);
	w->history->read++;
	memory_leave(before);
}

void world_txn_moved(struct world *w, unsigned reader, unsigned key)
{
	struct memory_owner *before = memory_enter(NULL);

	txn_history_moved(&w->txn->history, reader, key);
	memory_leave(before);
}

void world_txn_judge(struct world *w)
{
	struct memory_owner *before = memory_enter(NULL);
	const struct txn_found *f = txn_history_check(&w->txn->history, true);

	trace_event(&w->sim->scheduler.trace, "checker", "transactions", "%lld committed, %lld aborted, %lld in doubt",
		    f->committed, f->aborted, f->in_doubt);
	if (f->first[0])
		sim_fail(w->sim, "%s", f->first);
	memory_leave(before);
}

/* --- jobs --------------------------------------------------------------------------------------------------------------------------- */

static unsigned sum_of(const unsigned numbers[WORLD_CLIENTS])
{
	unsigned sum = 0;

	for (unsigned i = 0; i < WORLD_CLIENTS; i++)
		sum += numbers[i];
	return sum;
}

struct txn_job *world_txn_take_job(struct world_client *c)
{
	struct scheduler *s = world_scheduler(c->world);
	struct world_txn *x = c->world->txn;
	unsigned at = (unsigned)choose(s, 0, x->job_count - 1);

	/* Now and then somebody's: he becomes a zombie. */
	for (unsigned i = 0; i < x->job_count && !chance(s, 1, 12); i++)
		if (sum_of(x->jobs[at].workers))
			at = (at + 1) % x->job_count;
	x->jobs[at].workers[c->number]++;
	return &x->jobs[at];
}

bool txn_job_has_open_init(const struct txn_job *j)
{
	return sum_of(j->inits_open) > 0;
}

void world_txn_client_starts(struct world_client *c)
{
	struct world_txn *x = c->world->txn;

	for (unsigned i = 0; i < x->job_count; i++) {
		struct txn_job *j = &x->jobs[i];

		if (j->inits_open[c->number])
			j->shaky_until_us = world_scheduler(c->world)->now_us + PATIENCE_US;
		j->inits_open[c->number] = j->workers[c->number] = 0;
	}
}

uint32_t world_txn_session(struct txn_job *j, int64_t producer_id, int16_t epoch)
{
	/* Answers do not come in the order in which epochs were given; and producers' numbers have no order. */
	if (j->session && producer_id == j->producer_id && epoch < j->epoch)
		return TXN_SESSION_OVER;
	for (unsigned i = 0; i < j->earlier_count && i < TXN_EARLIER; i++)
		if (j->earlier[i] == producer_id)
			return TXN_SESSION_OVER;
	if (j->session && producer_id != j->producer_id)
		j->earlier[j->earlier_count++ % TXN_EARLIER] = j->producer_id;
	j->producer_id = producer_id;
	j->epoch = epoch;
	return ++j->session;
}

/* --- records ------------------------------------------------------------------------------------------------------------------------ */

size_t txn_record_text(uint32_t write, char *text, size_t size)
{
	size_t length = TEXT_LEAST + (size_t)(write * 2654435761U >> 8) % 100;

	must(length < size);
	snprintf(text, size, "%08x", write);
	memset(text + 8, 'a' + (int)(write % 26), length - 8);
	return length;
}

uint32_t txn_record_write(struct bytes value)
{
	char digits[9] = "", text[200];
	uint32_t write;

	if (value.size < TEXT_LEAST || value.size > sizeof(text))
		return TXN_NOBODY;
	memcpy(digits, value.data, 8);
	write = (uint32_t)strtoul(digits, NULL, 16);
	return bytes_equal(value, bytes_of(text, txn_record_text(write, text, sizeof(text)))) ? write : TXN_NOBODY;
}
