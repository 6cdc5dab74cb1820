/*
 * recover_epochs: whether leader-epoch-checkpoint, which no checksum covers, fits the batches that recovery does not scan: looked at where each epoch
 * begins.
 *
 *      | 0 0 0 | 3 3 3 3 | 7 ...        the batch that ends in front of each beginning, and the first one behind it
 *
 * Uses runtime/file and the walk of recover.c.
 */
#include "base/alloc.h"
#include "storage/state.h"

struct epoch_walk {
	struct batch_walker walker;
	const struct log *log;
	int64_t start;
	int64_t log_start; /* below it epochs need not be known */
	bool wrong;
};

static bool look(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct epoch_walk *x = container_of(w, struct epoch_walk, walker);
	int32_t epoch = log_epoch_at(x->log, h->base_offset);

	(void)position;
	if (!batch_crc_ok(whole))
		return false; /* not the epochs' fault, and not for here */
	if (h->leader_epoch != NO_LEADER_EPOCH && epoch >= 0)
		x->wrong |= epoch != h->leader_epoch;
	else if (h->base_offset >= x->log_start) /* in front of all */
		x->wrong |= h->leader_epoch >= x->log->epochs.entries[0].epoch;
	return !x->wrong && h->base_offset < x->start;
}

/* Around `start`, in the segment `at`. */
static enum err look_at_await(struct fiber *self, struct log *l, uint32_t at, int64_t start, int64_t log_start,
			      bool *ret_wrong)
{
	struct segment *s = l->segments[at];
	struct epoch_walk x = {.walker = {.batch = look}, .log = l, .start = start, .log_start = log_start};
	int64_t before = start - 1 - s->base_offset;
	struct cached_file *f;
	enum err e = OK;

	if (before > 0)
		e = log_load_index_await(self, l, s);
	if (!e)
		e = log_open_segment_await(self, l, s, &f);
	if (e)
		return e;
	e = segment_walk_await(
		self, f->file,
		before > 0 ? offset_index_lookup(&s->offsets, before > INT32_MAX ? INT32_MAX : (int32_t)before) : 0,
		s->written, &x.walker);
	file_cache_give(&l->store->files, f);
	*ret_wrong |= x.wrong;
	return e == ERR_CORRUPT ? OK : e;
}

enum err log_check_epochs_await(struct fiber *self, struct log *l, uint32_t scan_from, int64_t log_start,
				bool *ret_wrong)
{
	enum err e = OK;

	*ret_wrong = scan_from > 0 && l->epochs.count == 0;
	for (size_t i = 0; i < l->epochs.count && !e && !*ret_wrong; i++) {
		int64_t start = l->epochs.entries[i].start_offset;
		uint32_t at;

		if (start < l->segments[0]->base_offset)
			start = l->segments[0]->base_offset;
		at = log_segment_at(l, start);
		if (at < scan_from)
			e = look_at_await(self, l, at, start, log_start, ret_wrong);
		/* The batch in front of it is in the segment before. */
		if (!e && !*ret_wrong && at > 0 && at <= scan_from && start == l->segments[at]->base_offset)
			e = look_at_await(self, l, at - 1, start, log_start, ret_wrong);
	}
	return e;
}
