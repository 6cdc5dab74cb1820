/* txn_history: see the header. */
#include "sim/txn_history.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

const char *txn_anomaly_text(enum txn_anomaly a)
{
	static const char *const texts[] = {
#define X(name, text) text,
		TXN_ANOMALY_LIST(X)
#undef X
	};

	return texts[a];
}

void txn_history_init(struct txn_history *h)
{
	*h = (struct txn_history){0};
	for (unsigned k = 0; k < TXN_KEYS; k++)
		h->keys[k].highest = -1;
	for (unsigned j = 0; j < TXN_JOBS; j++)
		for (unsigned k = 0; k < TXN_KEYS; k++)
			h->positions[j][k] = -1;
}

void txn_history_fini(struct txn_history *h)
{
	for (unsigned k = 0; k < TXN_KEYS; k++)
		mem_free(h->keys[k].at);
	mem_free(h->transactions);
	mem_free(h->writes);
	mem_free(h->reads);
	txn_history_init(h);
}

/* `a` and `b` are what the sentence is about. */
static void wrong(struct txn_found *f, enum txn_anomaly what, unsigned key, int64_t a, int64_t b)
{
	if (!f->first[0])
		snprintf(f->first, sizeof(f->first), "%s (partition %u, %lld, %lld)", txn_anomaly_text(what), key,
			 (long long)a, (long long)b);
	f->counts[what]++;
}

static struct txn_transaction *transaction_of(struct txn_history *h, uint32_t number)
{
	must(number <= h->transaction_count);
	return number ? &h->transactions[number - 1] : NULL;
}

static struct txn_write *write_of(struct txn_history *h, uint32_t number)
{
	return number && number <= h->write_count ? &h->writes[number - 1] : NULL;
}

/* --- what is told --------------------------------------------------------------------------------------------------------------- */

uint32_t txn_history_begin(struct txn_history *h)
{
	h->transactions = mem_grow(h->transactions, &h->transaction_capacity, h->transaction_count + 1,
				   sizeof(*h->transactions));
	h->transactions[h->transaction_count++] = (struct txn_transaction){0};
	return (uint32_t)h->transaction_count;
}

uint32_t txn_history_send(struct txn_history *h, uint32_t transaction, unsigned key, const struct txn_source *source)
{
	must(key < TXN_KEYS && transaction <= h->transaction_count);
	h->writes = mem_grow(h->writes, &h->write_capacity, h->write_count + 1, sizeof(*h->writes));
	h->writes[h->write_count++] = (struct txn_write){
		.transaction = transaction,
		.key = (uint8_t)key,
		.offset = -1,
		.source = source ? *source : (struct txn_source){0},
	};
	return (uint32_t)h->write_count;
}

/* Somebody was told that the write is there. */
static void place(struct txn_history *h, uint32_t number, unsigned key, int64_t offset)
{
	struct txn_write *w = write_of(h, number);
	struct txn_key *k = &h->keys[key];
	size_t before = k->count;

	if ((size_t)offset >= k->count) {
		k->at = mem_grow(k->at, &k->capacity, (size_t)offset + 1, sizeof(*k->at));
		k->count = (size_t)offset + 1;
		for (size_t i = before; i < k->count; i++)
			k->at[i] = TXN_NOBODY;
	}
	if (k->at[offset] != TXN_NOBODY && k->at[offset] != number)
		wrong(&h->told, TXN_INCONSISTENT, key, offset, number);
	k->at[offset] = number;
	if (w && w->offset >= 0 && w->offset != offset)
		wrong(&h->told, TXN_DUPLICATE, key, w->offset, offset);
	if (w && w->offset < 0)
		w->offset = offset;
}

void txn_history_acked(struct txn_history *h, uint32_t write, int64_t offset)
{
	struct txn_write *w = write_of(h, write);

	must(w && offset >= 0);
	w->acked = true;
	place(h, write, w->key, offset);
}

void txn_history_asked(struct txn_history *h, uint32_t transaction)
{
	struct txn_transaction *t = transaction_of(h, transaction);

	if (!t->asked)
		t->asked = ++h->now;
}

void txn_history_ended(struct txn_history *h, uint32_t transaction, bool committed)
{
	struct txn_transaction *t = transaction_of(h, transaction);

	t->ended = true;
	t->committed = committed;
}

static void note_read(struct txn_history *h, struct txn_read r)
{
	h->reads = mem_grow(h->reads, &h->read_capacity, h->read_count + 1, sizeof(*h->reads));
	h->reads[h->read_count++] = r;
}

void txn_history_read(struct txn_history *h, unsigned reader, uint32_t transaction, unsigned key, int64_t offset,
		      uint32_t write)
{
	struct txn_write *w = write_of(h, write);
	struct txn_transaction *t;

	must(reader < TXN_READERS && key < TXN_KEYS && offset >= 0 && transaction <= h->transaction_count);
	note_read(h, (struct txn_read){
			     .when = ++h->now,
			     .transaction = transaction,
			     .write = write,
			     .reader = (uint8_t)reader,
			     .key = (uint8_t)key,
			     .offset = offset,
		     });
	place(h, write, key, offset);
	if (offset > h->keys[key].highest)
		h->keys[key].highest = offset;
	if (!w || w->key != key) {
		wrong(&h->told, TXN_PHANTOM, key, offset, write);
		return;
	}
	w->read = true;
	t = transaction_of(h, w->transaction);
	if (t)
		t->seen = true;
}

void txn_history_moved(struct txn_history *h, unsigned reader, unsigned key)
{
	must(reader < TXN_READERS && key < TXN_KEYS);
	note_read(h, (struct txn_read){.moves = true, .reader = (uint8_t)reader, .key = (uint8_t)key});
}

void txn_history_position(struct txn_history *h, unsigned job, unsigned key, int64_t offset)
{
	must(job < TXN_JOBS && key < TXN_KEYS);
	h->positions[job][key] = offset;
}

/* --- what is known of outcomes ---------------------------------------------------------------------------------------------------- */

enum outcome { OUTCOME_COMMITTED, OUTCOME_ABORTED, OUTCOME_IN_DOUBT };

/* Also by what was read: all of it or nothing can be. */
static enum outcome outcome_of(const struct txn_transaction *t)
{
	if (t->ended)
		return t->committed ? OUTCOME_COMMITTED : OUTCOME_ABORTED;
	if (!t->asked)
		return OUTCOME_ABORTED;
	return t->seen ? OUTCOME_COMMITTED : OUTCOME_IN_DOUBT;
}

/* Must whoever reads on find it? */
static bool is_visible(struct txn_history *h, const struct txn_write *w)
{
	const struct txn_transaction *t = transaction_of(h, w->transaction);

	if (!w->acked)
		return w->read;
	return !t || outcome_of(t) == OUTCOME_COMMITTED;
}

/* --- checks ------------------------------------------------------------------------------------------------------------------- */

static void check_reads(struct txn_history *h)
{
	for (size_t i = 0; i < h->read_count; i++) {
		const struct txn_read *r = &h->reads[i];
		const struct txn_write *w = r->moves ? NULL : write_of(h, r->write);
		const struct txn_transaction *t = w ? transaction_of(h, w->transaction) : NULL;

		if (!t)
			continue;
		if (outcome_of(t) == OUTCOME_ABORTED)
			wrong(&h->found, TXN_G1A, r->key, r->offset, w->transaction);
		else if (r->when < t->asked)
			wrong(&h->found, TXN_G1B, r->key, r->offset, w->transaction);
	}
}

static void check_losses(struct txn_history *h, bool complete)
{
	for (size_t i = 0; i < h->write_count; i++) {
		const struct txn_write *w = &h->writes[i];

		if (w->read || !is_visible(h, w))
			continue;
		if (w->offset < h->keys[w->key].highest)
			wrong(&h->found, TXN_LOST_WRITE, w->key, w->offset, w->transaction);
		else if (complete)
			wrong(&h->found, TXN_UNSEEN, w->key, w->offset, w->transaction);
	}
}

/* `before[o]`: how many visible ones there are below o. */
static uint32_t *count_visible(struct txn_history *h, const struct txn_key *k)
{
	uint32_t *before = mem_alloc((k->count + 1) * sizeof(*before));

	before[0] = 0;
	for (size_t o = 0; o < k->count; o++) {
		const struct txn_write *w = write_of(h, k->at[o]);

		before[o + 1] = before[o] + (w && is_visible(h, w));
	}
	return before;
}

/* Each reader's way through a key. */
static void check_progress(struct txn_history *h, unsigned key)
{
	uint32_t *before = count_visible(h, &h->keys[key]);
	int64_t last[TXN_READERS];

	for (unsigned i = 0; i < TXN_READERS; i++)
		last[i] = -1;
	for (size_t i = 0; i < h->read_count; i++) {
		const struct txn_read *r = &h->reads[i];
		int64_t from = last[r->reader];

		if (r->key != key)
			continue;
		last[r->reader] = r->moves ? -1 : r->offset;
		if (r->moves || from < 0)
			continue;
		if (r->offset <= from)
			wrong(&h->found, TXN_NONMONOTONIC_POLL, key, from, r->offset);
		else if (before[r->offset] > before[from + 1])
			wrong(&h->found, TXN_POLL_SKIP, key, from, r->offset);
	}
	mem_free(before);
}

/* --- circles ------------------------------------------------------------------------------------------------------------------ */

struct edge {
	uint32_t from;
	uint32_t to;
};

struct graph {
	struct edge *edges;
	size_t count;
	size_t capacity;
};

static void add_edge(struct graph *g, uint32_t from, uint32_t to)
{
	g->edges = mem_grow(g->edges, &g->capacity, g->count + 1, sizeof(*g->edges));
	g->edges[g->count++] = (struct edge){from, to};
}

static int by_ends(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

/* Index of the first edge from `node`. */
static size_t edges_from(const struct graph *g, uint32_t node)
{
	size_t low = 0, high = g->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (g->edges[middle].from < node)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Takes away whoever has no edge to him, until nobody goes: what is left is in a circle or behind one. Gives an edge of it; false: there is
 * no circle.
 */
static bool find_circle(struct graph *g, size_t nodes, struct edge *ret_edge)
{
	uint32_t *into = mem_zalloc((nodes + 1) * sizeof(*into)),
		 *free_ones = mem_alloc((nodes + 1) * sizeof(*free_ones));
	size_t count = 0;
	bool found = false;

	if (g->count)
		qsort(g->edges, g->count, sizeof(*g->edges), by_ends);
	for (size_t i = 0; i < g->count; i++)
		into[g->edges[i].to]++;
	for (uint32_t n = 1; n <= nodes; n++)
		if (!into[n])
			free_ones[count++] = n;
	for (size_t at = 0; at < count; at++)
		for (size_t i = edges_from(g, free_ones[at]); i < g->count && g->edges[i].from == free_ones[at]; i++)
			if (--into[g->edges[i].to] == 0)
				free_ones[count++] = g->edges[i].to;
	for (size_t i = 0; i < g->count && !found; i++)
		if (into[g->edges[i].from] && into[g->edges[i].to]) {
			*ret_edge = g->edges[i];
			found = true;
		}
	mem_free(into);
	mem_free(free_ones);
	return found;
}

static void check_circles(struct txn_history *h)
{
	struct graph reads = {0}, writes = {0};
	struct edge found;

	for (size_t i = 0; i < h->read_count; i++) {
		const struct txn_read *r = &h->reads[i];
		const struct txn_write *w = r->moves ? NULL : write_of(h, r->write);

		if (w && w->transaction && r->transaction &&
		    outcome_of(transaction_of(h, r->transaction)) != OUTCOME_ABORTED)
			add_edge(&reads, w->transaction, r->transaction);
	}
	if (find_circle(&reads, h->transaction_count, &found))
		wrong(&h->found, TXN_G1C, 0, found.from, found.to);
	for (unsigned k = 0; k < TXN_KEYS; k++) {
		uint32_t last = TXN_NOBODY;

		for (size_t o = 0; o < h->keys[k].count; o++) {
			const struct txn_write *w = write_of(h, h->keys[k].at[o]);

			if (!w || !w->transaction || w->transaction == last)
				continue;
			if (last)
				add_edge(&writes, last, w->transaction);
			last = w->transaction;
		}
	}
	h->found.write_circles = find_circle(&writes, h->transaction_count, &found);
	mem_free(reads.edges);
	mem_free(writes.edges);
}

/* --- what is made of what ------------------------------------------------------------------------------------------------------ */

static int by_source(const void *a, const void *b)
{
	const struct txn_source *x = a, *y = b;

	if (x->job != y->job)
		return x->job < y->job ? -1 : 1;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

/* What was made and is there. In an incomplete history what is in doubt may be, so that a gap says nothing. */
static void check_effects(struct txn_history *h, bool complete)
{
	struct txn_source *made = mem_alloc((h->write_count + 1) * sizeof(*made));
	size_t count = 0;

	for (size_t i = 0; i < h->write_count; i++)
		if (h->writes[i].source.to > 0 && is_visible(h, &h->writes[i]))
			made[count++] = h->writes[i].source;
	if (count)
		qsort(made, count, sizeof(*made), by_source);
	for (size_t i = 0; i < count; i++) {
		bool first = i == 0 || made[i].job != made[i - 1].job || made[i].key != made[i - 1].key;
		bool last = i + 1 == count || made[i].job != made[i + 1].job || made[i].key != made[i + 1].key;
		int64_t from = first ? 0 : made[i - 1].to, position = h->positions[made[i].job][made[i].key];

		if (made[i].from < from)
			wrong(&h->found, TXN_EFFECT_TWICE, made[i].key, made[i].from, from);
		else if (complete && made[i].from > from)
			wrong(&h->found, TXN_EFFECT_MISSING, made[i].key, from, made[i].from);
		if (complete && last && position >= 0 && position != made[i].to)
			wrong(&h->found, TXN_OFFSET, made[i].key, position, made[i].to);
	}
	mem_free(made);
}

const struct txn_found *txn_history_check(struct txn_history *h, bool complete)
{
	h->found = h->told;
	check_reads(h);
	check_losses(h, complete);
	for (unsigned k = 0; k < TXN_KEYS; k++)
		check_progress(h, k);
	check_circles(h);
	check_effects(h, complete);
	for (size_t i = 0; i < h->transaction_count; i++) {
		enum outcome o = outcome_of(&h->transactions[i]);

		h->found.committed += o == OUTCOME_COMMITTED;
		h->found.aborted += o == OUTCOME_ABORTED;
		h->found.in_doubt += o == OUTCOME_IN_DOUBT;
	}
	return &h->found;
}
