/* clean_txns: see clean_txns.h. Pure; uses base only. */
#include "storage/clean_txns.h"

#include <stdlib.h>

#include "base/alloc.h"

static int by_first_offset(const void *a, const void *b)
{
	const struct aborted_txn *x = a, *y = b;

	if (x->first_offset != y->first_offset)
		return (x->first_offset > y->first_offset) - (x->first_offset < y->first_offset);
	return (x->last_offset > y->last_offset) - (x->last_offset < y->last_offset);
}

void clean_txns_begin(struct clean_txns *t, struct aborted_index *aborted)
{
	t->aborted = aborted;
	t->next = t->open_count = 0;
	if (aborted->count)
		qsort(aborted->entries, aborted->count, sizeof(*aborted->entries), by_first_offset);
}

void clean_txns_fini(struct clean_txns *t)
{
	mem_free(t->open);
	*t = (struct clean_txns){0};
}

/* One that ended before `offset` and whose marker did not come is of no producer's next transaction. */
static struct clean_txn *open_of(struct clean_txns *t, int64_t producer_id, int64_t offset)
{
	for (size_t i = 0; i < t->open_count; i++) {
		struct clean_txn *open = &t->open[i];

		if (open->producer_id != producer_id)
			continue;
		if (!open->aborted || open->aborted->last_offset >= offset)
			return open;
		*open = t->open[--t->open_count];
		break;
	}
	return NULL;
}

static struct clean_txn *open_add(struct clean_txns *t, int64_t producer_id, const struct aborted_txn *aborted)
{
	t->open = mem_grow(t->open, &t->open_capacity, t->open_count + 1, sizeof(*t->open));
	t->open[t->open_count] = (struct clean_txn){.producer_id = producer_id, .aborted = aborted};
	return &t->open[t->open_count++];
}

/* Those that begin up to there. Of one producer there is one at a time: the entry twice is the same. */
static void begin_up_to(struct clean_txns *t, int64_t offset)
{
	for (; t->aborted && t->next < t->aborted->count && t->aborted->entries[t->next].first_offset <= offset;
	     t->next++) {
		const struct aborted_txn *a = &t->aborted->entries[t->next];

		if (!open_of(t, a->producer_id, a->first_offset))
			(void)open_add(t, a->producer_id, a);
	}
}

bool clean_txns_take_data(struct clean_txns *t, const struct batch_header *h)
{
	struct clean_txn *open;

	begin_up_to(t, batch_last_offset(h));
	if (!batch_is_transactional(h))
		return false;
	open = open_of(t, h->producer_id, h->base_offset);
	if (!open)
		open = open_add(t, h->producer_id, NULL);
	open->seen = true;
	return open->aborted != NULL;
}

struct clean_marker clean_txns_take_control(struct clean_txns *t, const struct batch_header *h,
					    const struct end_marker *marker)
{
	struct clean_marker m = {0};
	struct clean_txn *open;

	begin_up_to(t, batch_last_offset(h));
	open = marker ? open_of(t, h->producer_id, h->base_offset) : NULL;
	if (!open)
		return m;
	m.needed = open->seen;
	m.listed = open->aborted;
	*open = t->open[--t->open_count];
	return m;
}
