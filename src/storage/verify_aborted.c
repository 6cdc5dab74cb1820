/*
 * verify_aborted: the index of a segment's aborted transactions, held against the transactions that its batches begin and end. See verify.h.
 *
 * Compaction takes the records of an aborted transaction first, then its entry, then its marker: so an entry without records is well, one without a
 * marker is not.
 */
#include "base/alloc.h"
#include "storage/verify_own.h"

static void say(const struct verify_log *l, enum verify_grade grade, const char *file, size_t entry, int64_t offset,
		const char *text, int64_t producer_id)
{
	verify_say(l->v, grade, l->name, file, (int64_t)(entry * ABORTED_ENTRY_SIZE), offset, "producer %lld: %s",
		   (long long)producer_id, text);
}

/* Who had a transaction open where the log begins is in the snapshot that is kept of there. */
void verify_aborted_begin_await(struct fiber *self, struct verify_log *l, int64_t base)
{
	char name[LOG_NAME_SIZE];
	bool missing = false;
	char *text = NULL;
	size_t size = 0;

	producer_state_init(&l->producers);
	l->txns_known = base == 0;
	segment_name_format(name, base, SEGMENT_SNAPSHOT);
	for (size_t i = 0; i < l->files.count && base > 0; i++)
		if (strcmp(l->files.entries[i].name, name) == 0 &&
		    verify_load_await(self, l->v, l->name, name, VERIFY_SMALL_MAX * 16, &text, &size, &missing))
			l->txns_known = producer_state_read(&l->producers, bytes_of(text, size), 0) == OK;
	mem_free(text);
}

void verify_aborted_batch(struct verify_log *l, const struct batch_header *h, struct bytes whole)
{
	struct end_marker of_marker;
	const struct end_marker *marker = log_marker_of(h, whole, &of_marker);
	struct txn_ended ended = producer_state_update(&l->producers, h, marker, 0, false);
	struct aborted_txn t = {h->producer_id, ended.any ? ended.first_offset : -1, h->base_offset,
				ended.any ? ended.last_stable_offset : -1};

	open_txns_committed(&l->producers.txns, h->base_offset + 1);
	if (marker && !marker->committed)
		aborted_index_append(&l->abort_markers, &t);
}

static const struct aborted_txn *find(const struct aborted_index *x, int64_t last_offset)
{
	size_t at = aborted_index_count_below(x, last_offset);

	return at < x->count && x->entries[at].last_offset == last_offset ? &x->entries[at] : NULL;
}

static void check_entries(const struct verify_log *l, const char *name, const struct aborted_index *index,
			  enum verify_grade grade)
{
	for (size_t i = 0; i < index->count; i++) {
		const struct aborted_txn *e = &index->entries[i];
		const struct aborted_txn *m = find(&l->abort_markers, e->last_offset);

		if (!m || m->producer_id != e->producer_id)
			say(l, grade, name, i, e->last_offset, "there is no marker there that aborts a transaction",
			    e->producer_id);
		else if (l->txns_known && m->first_offset >= 0 && e->first_offset > m->first_offset)
			say(l, grade, name, i, e->first_offset, "its transaction begins before that offset",
			    e->producer_id);
		else if (l->txns_known && m->first_offset > e->first_offset && e->first_offset >= l->first_base &&
			 !l->gaps)
			say(l, grade, name, i, e->first_offset, "its transaction begins behind that offset",
			    e->producer_id);
	}
}

static void check_markers(const struct verify_log *l, const char *name, const struct aborted_index *index,
			  enum verify_grade grade)
{
	for (size_t i = 0; i < l->abort_markers.count && l->txns_known; i++) {
		const struct aborted_txn *m = &l->abort_markers.entries[i];

		if (m->first_offset >= 0 && !find(index, m->last_offset))
			say(l, grade, name, index->count, m->last_offset,
			    "an aborted transaction is not in it: read_committed would give its records",
			    m->producer_id);
	}
}

static bool has_file(const struct verify_log *l, const char *name)
{
	for (size_t i = 0; i < l->files.count; i++)
		if (strcmp(l->files.entries[i].name, name) == 0)
			return true;
	return false;
}

void verify_aborted_segment_await(struct fiber *self, struct verify_log *l, int64_t base, bool rescanned)
{
	struct aborted_index index = {0};
	char name[LOG_NAME_SIZE];
	bool missing = false, well = true;
	char *text = NULL;
	size_t size = 0;

	segment_name_format(name, base, SEGMENT_TXNINDEX);
	if (has_file(l, name) &&
	    verify_load_await(self, l->v, l->name, name, VERIFY_INDEX_MAX, &text, &size, &missing)) {
		l->v->counts.indexes++;
		well = aborted_index_read(bytes_of(text, size), base, &index) == OK;
		if (!well)
			verify_say(l->v, rescanned ? VERIFY_NOTE : VERIFY_DAMAGE, l->name, name, 0, -1,
				   "not an index of aborted transactions of this segment");
	}
	mem_free(text);
	if (well && !l->broken) {
		check_entries(l, name, &index, rescanned ? VERIFY_NOTE : VERIFY_DAMAGE);
		if (!rescanned) /* recovery makes it anew */
			check_markers(l, name, &index, VERIFY_DAMAGE);
	}
	aborted_index_fini(&index);
	aborted_index_fini(&l->abort_markers);
}
