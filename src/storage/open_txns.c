/* open_txns: see open_txns.h. Pure; uses base only. */
#include "storage/open_txns.h"

#include "base/alloc.h"

void open_txns_init(struct open_txns *t)
{
	*t = (struct open_txns){0};
}

void open_txns_fini(struct open_txns *t)
{
	mem_free(t->open);
	mem_free(t->ended);
	open_txns_init(t);
}

/* Index of the first open one that begins at or behind `offset`. */
static size_t open_at(const struct open_txns *t, int64_t offset)
{
	size_t low = 0, high = t->open_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->open[middle].first_offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void open_txns_begin(struct open_txns *t, int64_t producer_id, int64_t first_offset)
{
	size_t at = open_at(t, first_offset);

	t->open = mem_grow(t->open, &t->open_capacity, t->open_count + 1, sizeof(*t->open));
	memmove(t->open + at + 1, t->open + at, (t->open_count - at) * sizeof(*t->open));
	t->open[at] = (struct txn_span){producer_id, first_offset, -1};
	t->open_count++;
}

static void take_open(struct open_txns *t, size_t at)
{
	t->open_count--;
	memmove(t->open + at, t->open + at + 1, (t->open_count - at) * sizeof(*t->open));
}

void open_txns_end(struct open_txns *t, int64_t first_offset, int64_t last_offset)
{
	size_t at = open_at(t, first_offset);
	struct txn_span span;

	if (at == t->open_count || t->open[at].first_offset != first_offset)
		return;
	span = t->open[at];
	span.last_offset = last_offset;
	take_open(t, at);
	t->ended = mem_grow(t->ended, &t->ended_capacity, t->ended_count + 1, sizeof(*t->ended));
	t->ended[t->ended_count++] = span;
}

void open_txns_committed(struct open_txns *t, int64_t offset)
{
	size_t gone = 0;

	while (gone < t->ended_count && t->ended[gone].last_offset < offset)
		gone++;
	if (gone == 0)
		return;
	t->ended_count -= gone;
	memmove(t->ended, t->ended + gone, t->ended_count * sizeof(*t->ended));
}

void open_txns_cut(struct open_txns *t, int64_t offset)
{
	while (t->ended_count > 0 && t->ended[t->ended_count - 1].last_offset >= offset) {
		const struct txn_span span = t->ended[--t->ended_count];

		open_txns_begin(t, span.producer_id, span.first_offset);
	}
	while (t->open_count > 0 && t->open[t->open_count - 1].first_offset >= offset)
		t->open_count--;
}

int64_t open_txns_first_unstable(const struct open_txns *t)
{
	int64_t first = t->open_count ? t->open[0].first_offset : TXN_NONE;

	for (size_t i = 0; i < t->ended_count; i++)
		if (t->ended[i].first_offset < first)
			first = t->ended[i].first_offset;
	return first;
}

int64_t open_txns_next_open(const struct open_txns *t, int64_t first_offset)
{
	for (size_t i = 0; i < t->open_count; i++)
		if (t->open[i].first_offset != first_offset)
			return t->open[i].first_offset;
	return TXN_NONE;
}
