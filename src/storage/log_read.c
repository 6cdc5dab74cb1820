/*
 * log_read: reads of a log: where the wanted offset lies, a buffer from the budget, one read of the file, the cut at what may be seen.
 *
 *      place (index, recent batches) -> budget -> read -> skip to the batch that holds the offset -> stop at max_offset
 *      nothing of it left in the segment, since it was compacted: the same in the next one
 *                                                 \-> enough, and only to be sent: read the beginning, lend the file
 *
 * When index and file are in memory and open, nothing of it needs a fiber; else a fiber loads and opens first. A batch larger than what
 * was read is read once more, whole. A reader of committed records is told which transactions up to there were aborted.
 *
 * What is bad is not served: an answer ends before it, and one that would begin with it is ERR_CORRUPT. That is what the scrub found
 * (damage.h), and what shows where it comes through our memory (read_check.h). Where an index led to what cannot be, it is made anew from the
 * records and the read begins again, once.
 */
#include "base/alloc.h"
#include "base/mutant.h"
#include "storage/read_check.h"
#include "storage/state.h"

#define READ_MIN ((size_t)4096)
#define READ_TINY ((size_t)100) /* a batch's header and a little, when the simulator wants a read cut short */
#define GUESS_FROM ((size_t)64 * 1024)
/* Less is cheaper read, and sent in one call with what is around it: an open file for each would also be many. */
#define STAY_MIN ((size_t)64 * 1024)

struct read_state {
	struct log_read *r;
	struct log *log;
	struct task finish;
	struct budget_wish wish;
	struct file_op op;
	struct fiber *fiber; /* of a cold read, while it waits for the gate */
	struct cached_file *file;
	int64_t from; /* where the segment is looked for: the offset, or behind it where nothing of it is left */
	int64_t segment_base;
	uint32_t swaps; /* the log's, when position was placed */
	int64_t position;
	int64_t end_position; /* of the segment's written bytes when it was placed */
	size_t size;
	struct blob *blob;
	enum err error;
	bool from_index;    /* so that the batch there ends at or before the offset */
	int64_t expected;   /* where the batch at `position` begins; -1: not known */
	int64_t known_last; /* where it ends, as the index says; -1: nothing is known */
	bool placed;        /* position and size are set: another read of the same segment */
	bool guessed;
	bool guessed_wrong; /* once is enough */
	bool mended;        /* the segment's index was made anew for it */
	bool stays;         /* only the beginning is read: to find the first batch */
	size_t stays_least; /* how much the answer must then be */
	int64_t answer_end; /* behind the answer's last byte in the segment */
	int64_t visible_end; /* what lies before it may be seen: max_offset, or short of it where memory does not tell its place */
};

/* A segment's file while an answer is sent from it. */
struct loan {
	struct blob blob;
	struct store *store;
	struct cached_file *file;
};

static void place(struct read_state *st);

/* Its disk's or its files' fault, which no client can tell anybody: said once. */
static void tell_failure(struct log *l, const struct log_read *r)
{
	bool client = r->error == ERR_CANCELLED || r->error == ERR_OFFSET_OUT_OF_RANGE || r->error == ERR_NO_MEMORY;

	if (!r->error || client || l->read_failed)
		return;
	l->read_failed = true;
	log_error(log_logger(l), "%.*s-%d: reading at offset %lld failed: %s; later failures of this log are not told",
		  BYTES_ARG(log_topic(l)), (int)l->partition, (long long)r->offset, err_text(r->error));
}

static void finish_task(struct task *t)
{
	struct read_state *st = container_of(t, struct read_state, finish);
	struct log_read *r = st->r;
	struct log *l = st->log;

	if (st->file)
		file_cache_give(&l->store->files, st->file);
	r->error = st->error;
	tell_failure(l, r);
	if (st->error || r->records.size == 0) {
		blob_unref(st->blob);
		st->blob = NULL;
		r->records = bytes_empty();
		mem_free(r->aborted);
		r->aborted = NULL;
		r->aborted_count = 0;
	}
	r->blob = st->blob;
	list_remove(&r->node);
	mem_free(st);
	r->state = NULL;
	event_signal(&l->unpinned);
	l->figures.read_bytes += r->records.size;
	l->store->figures.logs.read_bytes += r->records.size;
	r->done(r);
}

static void finish(struct read_state *st, enum err error)
{
	st->error = error;
	shard_defer(st->log->store->shard, &st->finish);
}

/* Segments below the log's start may leave it while the read waits: the one that is now the first has other records. */
static bool is_purged(const struct read_state *st)
{
	return st->from < st->log->segments[0]->base_offset && st->r->offset < st->log->start_durable;
}

/* --- aborted transactions ----------------------------------------------------------------------------------------- */

/* An offset that the answer's records do not reach, as near as the index tells. */
static int64_t answer_bound(const struct read_state *st)
{
	const struct log *l = st->log;
	uint32_t at = log_segment_at(l, st->segment_base);
	const struct segment *s = l->segments[at];
	int64_t bound = at + 1 < l->segment_count ? l->segments[at + 1]->base_offset : l->end;
	int32_t relative = -1;

	if (st->swaps != l->swaps || s->base_offset != st->segment_base) /* the places are another file's */
		return st->r->max_offset;
	if (st->answer_end <= INT32_MAX)
		relative = offset_index_lookup_position(&s->offsets, (int32_t)st->answer_end, -1);
	if (relative >= 0)
		bound = s->base_offset + relative + 1;
	return bound < st->r->max_offset ? bound : st->r->max_offset;
}

static void give_aborted(struct read_state *st, struct aborted_index *found)
{
	struct log_read *r = st->r;

	r->aborted = found->count ? mem_alloc(found->count * sizeof(*r->aborted)) : NULL;
	r->aborted_count = found->count;
	for (size_t i = 0; i < found->count; i++)
		r->aborted[i] = (struct aborted_told){found->entries[i].producer_id, found->entries[i].first_offset};
	aborted_index_fini(found);
}

static void aborted_main(struct fiber *self, void *argument)
{
	struct read_state *st = argument;
	struct log *l = st->log;
	struct aborted_index found = {0};
	enum err e = gate_enter_await(self, &l->store->cold_reads, FIBER_NO_DEADLINE);

	if (!e) {
		log_pin(l);
		e = log_collect_aborted_await(self, l, st->r->offset, answer_bound(st), &found);
		gate_leave(&l->store->cold_reads);
		log_unpin(l);
	}
	give_aborted(st, &found);
	finish(st, is_purged(st) ? ERR_OFFSET_OUT_OF_RANGE : e); /* what was aborted in it is not known any more */
}

/* The answer's records are known: who reads committed ones only is told what to drop of them. */
static void finish_answer(struct read_state *st, struct bytes records)
{
	static const struct fiber_options options = {.name = "cold read"};
	struct aborted_index found = {0};
	struct log *l = st->log;

	st->r->records = records;
	if (!st->r->committed_only || records.size == 0) {
		finish(st, OK);
	} else if (is_purged(st)) {
		finish(st, ERR_OFFSET_OUT_OF_RANGE);
	} else if (log_collect_aborted(l, st->r->offset, answer_bound(st), &found) &&
		   !shard_fault(l->store->shard, FAULT_READ_COLD)) {
		give_aborted(st, &found);
		finish(st, OK);
	} else {
		aborted_index_fini(&found);
		if (!fiber_start(l->store->shard, &options, aborted_main, st))
			finish(st, ERR_NO_MEMORY);
	}
}

/* --- what was read ------------------------------------------------------------------------------------------------ */

/* Drops what was read. */
static void read_from_start(struct read_state *st)
{
	blob_unref(st->blob);
	st->blob = NULL;
	file_cache_give(&st->log->store->files, st->file);
	st->file = NULL;
	place(st);
}

/* The same from `position` on, where a batch begins with `expected` (-1: not known). */
static void read_again(struct read_state *st, int64_t position, int64_t expected, size_t size)
{
	st->placed = true;
	st->from_index = false;
	st->known_last = -1;
	st->expected = expected;
	st->position = position;
	st->size = size;
	read_from_start(st);
}

/* The segment that was read; NULL: it has left the log, or was cut or cleaned, since. */
static struct segment *segment_of(const struct read_state *st)
{
	const struct log *l = st->log;
	struct segment *s = l->segments[log_segment_at(l, st->segment_base)];

	return st->swaps == l->swaps && s->base_offset == st->segment_base ? s : NULL;
}

/* --- what is bad -------------------------------------------------------------------------------------------------- */

static void mend_main(struct fiber *self, void *argument)
{
	struct read_state *st = argument;
	struct log *l = st->log;
	struct segment *s;
	enum err e = gate_enter_await(self, &l->store->cold_reads, FIBER_NO_DEADLINE);

	if (e) {
		finish(st, e);
		return;
	}
	log_pin(l);
	s = segment_of(st);
	if (s && !s->index_mended) {
		s->index_mended = true;
		e = log_remake_index_await(self, l, s);
		if (!e)
			log_warn(log_logger(l),
				 "%s-%d: the index of segment %020lld led to where no batch begins: made anew",
				 l->topic, (int)l->partition, (long long)st->segment_base);
		l->store->figures.side_damages_found += !e;
	}
	gate_leave(&l->store->cold_reads);
	if (l->closing || l->state)
		finish(st, l->state ? l->state : ERR_CANCELLED);
	else if (e && e != ERR_AGAIN)
		finish(st, ERR_CORRUPT);
	else
		read_from_start(st);
	log_unpin(l);
}

/* What was read makes no sense there; perhaps the index is to blame. False: it is not. */
static bool mend_index(struct read_state *st)
{
	static const struct fiber_options options = {.name = "cold read"};
	const struct segment *s = segment_of(st);

	if (st->mended || !s || s->index_mended || s == log_active(st->log) || s->damages.count > 0)
		return false;
	st->mended = true;
	st->placed = st->guessed = false;
	st->guessed_wrong = true;
	return fiber_start(st->log->store->shard, &options, mend_main, st) != NULL;
}

/* What is in the segment begins below it. */
static int64_t limit_of(const struct read_state *st, const struct segment *s)
{
	const struct segment *next = s ? log_segment_after(st->log, s) : NULL;

	return next ? next->base_offset : s ? st->log->end : INT64_MAX;
}

/* Of an answer in our memory: the bytes in front of the first batch that cannot be. */
static struct bytes good_part(const struct read_state *st, struct bytes records)
{
	const struct log *l = st->log;
	struct segment *s = segment_of(st);
	struct read_check x = {
		.buffer = bytes_of(st->blob->data, st->blob->size),
		.position = st->position,
		.base = st->segment_base,
		.limit = limit_of(st, s),
		.expected = st->expected,
		.wanted = st->from,
		.known = s ? &s->damages : NULL,
		.epochs = s ? &l->epochs : NULL,
	};
	const char *words;
	struct damage d;
	struct bytes good;

	if (records.size == 0)
		return records;
	good = read_check_answer(&x, records, &d, &words);
	if (words && s)
		log_note_damage(st->log, s, &d, words);
	return good;
}

/* What the buffer holds of what is wanted. */
struct selection {
	size_t start;   /* of the batch that holds the offset */
	int64_t behind; /* where the one in front of it ends, or the last one that was walked over; -1: there was none */
	size_t first_size; /* of that batch; 0: it was not found */
	size_t end;        /* of the last byte that may be seen */
	size_t next;       /* where the walk stopped; past the buffer when its last batch is cut off */
	bool over;         /* nothing behind it is to be seen */
	bool at_end;       /* of the segment, and only that is why */
};

/* Where the buffer comes to what is bad. OK also when it was passed over; `ret_stop`: nothing behind it is given. */
static enum err meet_damage(const struct read_state *st, const struct damage *d, struct selection *s, bool *ret_stop)
{
	*ret_stop = s->first_size || d->offset >= st->r->max_offset;
	s->over = *ret_stop;
	if (!*ret_stop && st->r->offset < d->next_offset)
		return ERR_CORRUPT;
	if (!*ret_stop) {
		s->next = (size_t)(d->end - st->position);
		s->behind = d->next_offset;
	}
	return OK;
}

/* No batch that could be there stands where the walk has come to: as far as that is clear, it is noted. */
static enum err bad_at(const struct read_state *st, const struct selection *s)
{
	(void)good_part(st, bytes_of(st->blob->data + s->next, st->blob->size - s->next));
	return ERR_CORRUPT;
}

static enum err select_batches(const struct read_state *st, struct selection *s)
{
	const struct segment *of = segment_of(st);
	const uint8_t *data = st->blob->data;
	size_t size = st->blob->size;
	int64_t max_offset = MUTANT(FETCH_BEYOND_SYNCED) ? st->log->end : st->r->max_offset;
	int64_t limit = limit_of(st, of);
	bool bad = false;

	*s = (struct selection){.behind = -1};
	while (s->next + BATCH_HEADER_SIZE <= size || (s->first_size && s->next + BATCH_LOG_OVERHEAD <= size)) {
		const struct damage *d = of ? damage_at(&of->damages, st->position + (int64_t)s->next) : NULL;
		const uint8_t *at = data + s->next;
		int64_t base = (int64_t)get_be64(at);
		int32_t length = (int32_t)get_be32(at + 8);
		size_t whole = (size_t)length + BATCH_LOG_OVERHEAD;
		bool stop = false;

		if (d && meet_damage(st, d, s, &stop) != OK)
			return ERR_CORRUPT;
		if (stop)
			break;
		if (d)
			continue;
		bad = length < BATCH_HEADER_SIZE - BATCH_LOG_OVERHEAD || base < st->segment_base || base >= limit ||
		      st->position + (int64_t)(s->next + whole) > st->end_position;
		if (bad)
			break;
		s->over = base >= max_offset;
		if (s->over)
			break;
		if (!s->first_size && base + (int32_t)get_be32(at + 23) >= st->r->offset) {
			s->start = s->next;
			s->first_size = whole;
		}
		if (!s->first_size)
			s->behind = base + (int32_t)get_be32(at + 23) + 1;
		s->next += whole;
	}
	if (bad && !s->first_size)
		return bad_at(st, s);
	s->over |= bad; /* what is in front of it is given */
	s->end = s->next > size ? size : s->next;
	s->at_end = !s->over && st->position + (int64_t)s->next >= st->end_position;
	s->over |= s->at_end;
	/* Less than a header is left, and no more comes: to read it again would be for ever. */
	return !s->first_size && !s->over && s->next < size && st->position + (int64_t)size >= st->end_position
		       ? ERR_CORRUPT
		       : OK;
}

/* The answer's bytes: the first batch whole or nothing, the last one may be cut. */
static struct bytes answer(const struct read_state *st, const struct selection *s)
{
	size_t size = s->end - s->start, max = st->r->max_bytes;

	if (!s->first_size || (s->first_size > max && !st->r->at_least_one))
		return bytes_empty();
	if (max < s->first_size)
		max = s->first_size;
	return bytes_of(st->blob->data + s->start, size < max ? size : max);
}

static void loan_over(struct blob *b)
{
	struct loan *n = container_of(b, struct loan, blob);

	file_cache_give(&n->store->files, n->file);
	n->store->lent--;
	event_signal(&n->store->lent_back);
	mem_free(n);
}

/* The answer's bytes stay in the file, which stays open until they are sent. */
static void lend(struct read_state *st, int64_t position, size_t size)
{
	struct loan *n = mem_new(struct loan);
	struct file_range range = {.file = st->file->file, .position = position, .size = size};

	n->store = st->log->store;
	n->file = st->file;
	n->store->lent++;
	st->file = NULL;
	blob_init_file(&n->blob, n->store->shard, &range, loan_over);
	blob_unref(st->blob);
	st->blob = &n->blob;
	st->answer_end = position + (int64_t)size;
	finish_answer(st, bytes_of(n->blob.data, size));
}

/* The first batch was found in what was read; true when the rest need not be. */
static bool lend_rest(struct read_state *st, const struct selection *s)
{
	int64_t from = st->position + (int64_t)s->start;
	const struct segment *of = segment_of(st);
	const struct damage *d = of ? damage_from(&of->damages, from) : NULL;
	int64_t to = d && d->position < st->visible_end ? d->position : st->visible_end;
	size_t size = to > from ? (size_t)(to - from) : 0, max = st->r->max_bytes;

	if (!st->stays || s->first_size > size || size < st->stays_least ||
	    (s->first_size > max && !st->r->at_least_one))
		return false;
	if (max < s->first_size)
		max = s->first_size;
	st->r->first_size = s->first_size;
	lend(st, from, size < max ? size : max);
	return true;
}

/*
 * Compaction left nothing at or behind the offset here: what comes next is in a later segment. False when there is none. That there is nothing is a
 * statement, too: a log that has gone offline meanwhile makes none.
 */
static bool go_on_behind(struct read_state *st)
{
	const struct log *l = st->log;
	uint32_t at = log_segment_at(l, st->from) + 1;
	/* What was read is no more there: the one that took its place may have records of those behind it, too. */
	bool changed = st->swaps != l->swaps || st->from < l->segments[0]->base_offset;

	if (l->closing || l->state) {
		finish(st, l->state ? l->state : ERR_CANCELLED);
		return true;
	}
	if (!changed && (at >= l->segment_count || l->segments[at]->base_offset >= st->r->max_offset))
		return false;
	if (!changed)
		st->from = l->segments[at]->base_offset;
	st->placed = st->guessed = st->guessed_wrong = false;
	read_from_start(st);
	return true;
}

/* What was read begins with a batch behind the offset, or with what is known to be bad. */
static bool is_behind(const struct read_state *st, bool *ret_damaged)
{
	const struct segment *of = segment_of(st);

	*ret_damaged = of && damage_at(&of->damages, st->position);
	return st->blob->size >= BATCH_HEADER_SIZE && (int64_t)get_be64(st->blob->data) > st->r->offset;
}

/* It is not the batch that the index has there. */
static bool is_other(const struct read_state *st)
{
	const uint8_t *at = st->blob->data;

	return st->known_last >= 0 && st->blob->size >= BATCH_HEADER_SIZE &&
	       (int64_t)(get_be64(at) + get_be32(at + 23)) != st->known_last;
}

/*
 * A guess may be wrong, and is not made again. But an index's entry names a batch that ends at or before the offset: where it begins behind the
 * offset one of the two is wrong.
 */
static enum err check_place(struct read_state *st, bool *ret_again)
{
	bool damaged, behind = is_behind(st, &damaged);

	bool other = !damaged && is_other(st);

	*ret_again = st->guessed && (behind || damaged || other);
	if (*ret_again) {
		st->guessed = false;
		st->guessed_wrong = true;
		return OK;
	}
	if (st->known_last >= 0 && !damaged && !other && st->blob->size >= BATCH_HEADER_SIZE)
		st->expected = (int64_t)get_be64(st->blob->data);
	return st->from_index && !damaged && ((behind && !st->guessed) || other) ? ERR_CORRUPT : OK;
}

static void read_done(struct file_op *op)
{
	struct read_state *st = container_of(op, struct read_state, op);
	struct selection s;
	struct bytes records;
	bool again = false;
	enum err e = op->error;

	if (!e && op->count < st->size)
		e = ERR_CORRUPT; /* the file is shorter than what was written to it */
	st->blob->size = op->count;
	if (!e)
		e = check_place(st, &again);
	if (again) {
		read_from_start(st);
		return;
	}
	if (!e)
		e = select_batches(st, &s);
	if (e == ERR_CORRUPT && mend_index(st))
		return;
	if (e) {
		finish(st, e);
		return;
	}
	if (!s.first_size && s.at_end && go_on_behind(st))
		return;
	if (!s.first_size && !s.over) { /* the place was early by more than was read */
		read_again(st, st->position + (int64_t)s.next, s.behind,
			   st->stays || st->r->max_bytes < READ_MIN ? READ_MIN : st->r->max_bytes);
		return;
	}
	if (s.first_size && lend_rest(st, &s))
		return;
	if (st->stays && s.first_size) { /* it has to be read after all */
		st->stays = false;
		read_again(st, st->position + (int64_t)s.start, s.start ? s.behind : st->expected,
			   st->r->max_bytes < READ_MIN ? READ_MIN : st->r->max_bytes);
		return;
	}
	if (s.first_size && s.start + s.first_size > st->blob->size) {
		if (st->r->at_least_one || s.first_size <= st->r->max_bytes)
			read_again(st, st->position + (int64_t)s.start, s.start ? s.behind : st->expected,
				   s.first_size + BATCH_HEADER_SIZE);
		else
			finish(st, OK);
		return;
	}
	records = good_part(st, answer(st, &s));
	if (!records.size && s.first_size && s.first_size <= st->blob->size - s.start && answer(st, &s).size) {
		finish(st, ERR_CORRUPT);
		return;
	}
	if (records.size)
		st->answer_end = st->position + (records.data - st->blob->data) + (int64_t)records.size;
	st->r->first_size = s.first_size;
	finish_answer(st, records);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void start_read(struct read_state *st)
{
	struct store *s = st->log->store;

	st->blob = blob_new(s->shard, st->size, &s->read_budget, st->size);
	if (!st->blob) {
		budget_give(&s->read_budget, st->size);
		finish(st, ERR_NO_MEMORY);
		return;
	}
	st->op = (struct file_op){.done = read_done};
	file_read(st->file->file, &st->op, st->blob->data, st->size, st->position);
}

static void granted(struct budget_wish *w)
{
	struct read_state *st = container_of(w, struct read_state, wish);

	if (st->r->unwanted) {
		budget_give(&st->log->store->read_budget, st->size);
		finish(st, ERR_CANCELLED);
		return;
	}
	start_read(st);
}

/* The file is open and the place is known. */
static void take_budget(struct read_state *st)
{
	struct store *s = st->log->store;

	if (budget_try_take(&s->read_budget, st->size)) {
		start_read(st);
		return;
	}
	st->wish = (struct budget_wish){.size = st->size, .granted = granted};
	budget_wait(&s->read_budget, &st->wish);
}

/* A place in the segment before which everything may be seen: as late as memory tells. */
static int64_t visible_end(const struct read_state *st, const struct segment *s)
{
	const struct log *l = st->log;
	const struct segment *next = log_segment_after(l, s);
	int64_t max_offset = MUTANT(FETCH_BEYOND_SYNCED) ? l->end : st->r->max_offset;
	int64_t relative = max_offset - s->base_offset, position = -1;

	if (max_offset >= (next ? next->base_offset : l->written))
		return s->written;
	/* The first batch at or behind the bound, when the one before it is known too. */
	for (uint8_t i = 0; !next && i < l->recent_count; i++) {
		const struct recent_batch *b = log_recent(l, i);

		if (b->base_offset < max_offset)
			break;
		position = i + 1 < l->recent_count && log_recent(l, i + 1)->base_offset < max_offset ? b->position : -1;
	}
	if (position < 0)
		position = relative > INT32_MAX ? 0 : offset_index_lookup(&s->offsets, (int32_t)relative);
	return position < s->written ? position : s->written;
}

/* Whether the records may be sent from the file: enough of them, and not too many files open for it. */
static bool may_stay(struct read_state *st, const struct segment *s, size_t slack)
{
	const struct store *store = st->log->store;
	bool small = st->r->may_stay && shard_fault(store->shard, FAULT_READ_STAYS);

	st->stays_least = small ? 1 : STAY_MIN;
	if (!st->r->may_stay || st->r->max_bytes < st->stays_least || store->lent >= store->files.limit / 2)
		return false;
	st->visible_end = visible_end(st, s);
	return small || st->visible_end - st->position >= (int64_t)(STAY_MIN + slack);
}

/*
 * From where, and how much: from the recent batches exactly, else from the index, which may be a few batches early. Entries lie far apart where
 * batches are large, and then each batch has one, as a rule: it names its last offset, so that the entry of the batch before is found, which would
 * be read for nothing. The next entry is the guess; whether it was right shows in what was read.
 */
static void place_in_segment(struct read_state *st, const struct segment *s)
{
	struct log *l = st->log;
	int64_t offset = st->r->offset, position = -1, next;
	size_t slack = 0;

	st->segment_base = s->base_offset;
	st->end_position = s->written;
	if (st->placed && st->swaps == l->swaps)
		return;
	st->placed = st->from_index = false;
	st->known_last = -1;
	st->expected = -1;
	st->swaps = l->swaps;
	for (uint8_t i = 0; s == log_active(l) && i < l->recent_count; i++) {
		const struct recent_batch *b = log_recent(l, i);

		if (b->base_offset <= offset && b->position > position) {
			position = b->position;
			st->expected = b->base_offset;
		}
	}
	if (position < 0) {
		int64_t relative = offset - s->base_offset;
		int32_t wanted = relative > INT32_MAX ? INT32_MAX : relative < 0 ? 0 : (int32_t)relative;

		position = offset_index_lookup(&s->offsets, wanted);
		st->from_index = position > 0;
		next = offset_index_lookup_end(&s->offsets, wanted, -1);
		slack = (size_t)(next < 0 ? l->config.index_interval_bytes : next - position);
	}
	if (slack > GUESS_FROM && next < st->end_position && !st->guessed_wrong) {
		st->guessed = true;
		position = next;
		slack = 0;
	}
	if ((st->from_index || st->guessed) && position > 0 && !s->index_mended)
		st->known_last = s->base_offset + offset_index_lookup_position(&s->offsets, (int32_t)position, -1);
	if (position == 0)
		st->expected = s->base_offset;
	st->position = position;
	st->stays = may_stay(st, s, slack);
	st->size = st->stays ? READ_MIN + slack : st->r->max_bytes + slack;
	if (st->size < READ_MIN)
		st->size = READ_MIN;
}

static void limit_size(struct read_state *st)
{
	size_t budget = st->log->store->read_budget.limit;

	if (!st->placed && st->size > budget / 2 && budget / 2 > READ_MIN)
		st->size = budget / 2;
	if (!st->placed && shard_fault(st->log->store->shard, FAULT_READ_SHORT))
		st->size = READ_TINY;
	if ((int64_t)st->size > st->end_position - st->position)
		st->size = (size_t)(st->end_position - st->position);
}

static void cold_read_main(struct fiber *self, void *argument)
{
	struct read_state *st = argument;
	struct log *l = st->log;
	struct segment *s;
	enum err e = gate_enter_await(self, &l->store->cold_reads, FIBER_NO_DEADLINE);

	if (e) {
		finish(st, e);
		return;
	}
	log_pin(l);
	do { /* again where a cleaned segment took its place meanwhile */
		s = l->segments[log_segment_at(l, st->from)];
		e = log_load_index_await(self, l, s);
		if (!e)
			e = log_open_segment_await(self, l, s, &st->file);
	} while (e == ERR_AGAIN && !l->closing && !l->state);
	if ((e && st->r->offset < l->start_durable) || is_purged(st))
		e = ERR_OFFSET_OUT_OF_RANGE;
	if (!e) {
		place_in_segment(st, s);
		limit_size(st);
		take_budget(st);
	} else {
		finish(st, e);
	}
	gate_leave(&l->store->cold_reads);
	log_unpin(l);
}

/* Finds the segment; reads at once when all is at hand. */
static void place(struct read_state *st)
{
	static const struct fiber_options options = {.name = "cold read"};
	struct log *l = st->log;
	uint32_t at = log_segment_at(l, st->from);
	struct segment *s = l->segments[at];
	bool hot;

	if (is_purged(st)) {
		finish(st, ERR_OFFSET_OUT_OF_RANGE);
		return;
	}
	/* All records of a segment may have been compacted away. */
	while (s->size == 0 && at + 1 < l->segment_count && l->segments[at + 1]->base_offset < st->r->max_offset) {
		s = l->segments[++at];
		st->from = s->base_offset;
	}
	hot = s->index_loaded && !shard_fault(l->store->shard, FAULT_READ_COLD);
	if (s->written == 0 || (hot && file_cache_take(&l->store->files, &s->file, &st->file))) {
		place_in_segment(st, s);
		limit_size(st);
		if (st->size == 0 || s->written == 0)
			finish(st, OK);
		else
			take_budget(st);
		return;
	}
	if (!fiber_start(l->store->shard, &options, cold_read_main, st))
		finish(st, ERR_NO_MEMORY);
}

void log_read_start(struct log *l, struct log_read *r)
{
	struct read_state *st;

	if (l->held) {
		r->node = (struct list_node){0};
		list_push_back(&l->postponed, &r->node);
		return;
	}
	st = mem_new(struct read_state);
	st->r = r;
	st->log = l;
	st->finish.run = finish_task;
	st->from = r->offset;
	r->log = l;
	r->state = st;
	r->error = OK;
	r->blob = NULL;
	r->records = bytes_empty();
	r->aborted = NULL;
	r->aborted_count = 0;
	r->node = (struct list_node){0};
	list_push_back(&l->reads, &r->node);
	if (l->state)
		finish(st, l->state);
	else if (l->closing)
		finish(st, ERR_CANCELLED);
	else if (r->offset < l->start_durable || r->offset > l->end)
		finish(st, ERR_OFFSET_OUT_OF_RANGE);
	else if (r->offset >= r->max_offset || r->offset >= l->written)
		finish(st, OK);
	else
		place(st);
}

void log_begin_postponed(struct log *l)
{
	struct list_node *n;

	while (!l->held && (n = list_pop_front(&l->postponed)) != NULL)
		log_read_start(l, container_of(n, struct log_read, node));
}
