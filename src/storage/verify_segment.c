/* verify_segment: one segment: its batches, and its indexes held against them. See verify.h. */
#include <stdio.h>

#include "base/alloc.h"
#include "record/record.h"
#include "storage/verify_own.h"

#define DECOMPRESSED_MAX ((size_t)1 << 30)
#define PROGRESS_BATCHES 256

struct segment_check {
	struct batch_walker walker;
	struct verify_log *log;
	const struct verify_segment_facts *facts; /* NULL: none */
	char log_name[LOG_NAME_SIZE];
	char index_name[LOG_NAME_SIZE];
	char time_name[LOG_NAME_SIZE];
	int64_t base;
	int64_t size;
	bool last;
	bool rescanned; /* recovery reads it whole and makes its indexes anew */
	bool has_offsets;
	bool has_times;
	struct offset_index offsets;
	struct time_index times;
	size_t offset_at; /* the first entry that was not held against a batch yet */
	size_t time_at;
	int64_t max_timestamp;
	bool bad_batch; /* the largest timestamp is not known for sure */
};

static void say(struct segment_check *c, enum verify_grade grade, const char *file, int64_t position, int64_t offset,
		const char *text)
{
	verify_say(c->log->v, grade, c->log->name, file, position, offset, "%s", text);
}

/* Of what an index says. */
static enum verify_grade index_grade(const struct segment_check *c)
{
	return c->rescanned ? VERIFY_NOTE : VERIFY_DAMAGE;
}

/*
 * Of an index that is not there, or not all of it, which costs time only: a crash leaves that, and so does the clean stop of a run that
 * recovered and had no need to read the segment (its bytes since the last entry are 0 in the manifest).
 */
static enum verify_grade gap_grade(const struct segment_check *c)
{
	bool unread = c->facts && c->facts->index_bytes == 0;

	return c->log->v->clean && !unread ? VERIFY_DAMAGE : VERIFY_NOTE;
}

/* --- a batch ----------------------------------------------------------------------------------------------------- */

static void check_place(struct segment_check *c, const struct batch_header *h, int64_t position)
{
	struct verify_log *l = c->log;
	char text[VERIFY_TEXT_SIZE];

	if (h->base_offset < c->base || batch_last_offset(h) - c->base > INT32_MAX) {
		snprintf(text, sizeof(text), "a batch at offset %lld cannot be in the segment that begins at %lld",
			 (long long)h->base_offset, (long long)c->base);
		say(c, VERIFY_DAMAGE, c->log_name, position, h->base_offset, text);
	} else if (l->next_offset >= 0 && h->base_offset < l->next_offset) {
		snprintf(text, sizeof(text), "the batch begins at offset %lld, though the one before ends at %lld",
			 (long long)h->base_offset, (long long)l->next_offset - 1);
		say(c, VERIFY_DAMAGE, c->log_name, position, h->base_offset, text);
	} else if (l->next_offset >= 0 && h->base_offset > l->next_offset) {
		snprintf(text, sizeof(text), "there are no offsets %lld to %lld: compaction leaves such gaps",
			 (long long)l->next_offset, (long long)h->base_offset - 1);
		l->gaps = true;
		say(c, VERIFY_NOTE, c->log_name, position, h->base_offset, text);
	}
}

static int64_t start_of(const struct verify_log *l)
{
	return l->facts->by_manifest ? l->facts->start : l->bounds.start;
}

static void check_epoch(struct segment_check *c, const struct batch_header *h, int64_t position)
{
	const struct epoch_cache *e = &c->log->epochs;
	char text[VERIFY_TEXT_SIZE];
	size_t at = e->count;

	if (!c->log->epochs_known || h->leader_epoch == NO_LEADER_EPOCH)
		return;
	while (at > 0 && e->entries[at - 1].start_offset > h->base_offset)
		at--;
	/* Recovery takes epochs that are not in the file yet from the batches. */
	if (c->rescanned && at == e->count && (at == 0 || e->entries[at - 1].epoch < h->leader_epoch) &&
	    epoch_cache_assign(&c->log->epochs, h->leader_epoch, h->base_offset) == OK)
		return;
	if (at > 0 && e->entries[at - 1].epoch == h->leader_epoch)
		return;
	if (at == 0 && (e->count == 0 || h->leader_epoch < e->entries[0].epoch || h->base_offset < start_of(c->log)))
		return; /* in front of the first one, or of the log's start, nobody knows */
	if (at == 0) {
		snprintf(text, sizeof(text), "epoch %d begins there, or earlier; leader-epoch-checkpoint says %lld",
			 h->leader_epoch, (long long)e->entries[0].start_offset);
		say(c, verify_grade_at(c->log, h->base_offset), "leader-epoch-checkpoint", -1, h->base_offset, text);
		return;
	}
	snprintf(text, sizeof(text), "the batch has leader epoch %d; leader-epoch-checkpoint says %d", h->leader_epoch,
		 e->entries[at - 1].epoch);
	say(c, verify_grade_at(c->log, h->base_offset), c->log_name, position, h->base_offset, text);
}

static void check_records(struct segment_check *c, struct bytes whole, const struct batch_header *h, int64_t position)
{
	struct verify *v = c->log->v;
	struct record_iter it;
	struct record r;
	enum err e = record_iter_init(&it, whole, &v->scratch, DECOMPRESSED_MAX, v->compressor);

	while (!e)
		e = record_iter_next(&it, &r);
	if (e != ERR_END)
		say(c, VERIFY_DAMAGE, c->log_name, position, h->base_offset,
		    "the CRC is right, but the records cannot be read: it was written so");
}

/* Index entries up to the batch's end. `h` NULL: the batch is damaged, so that only places are looked at. */
static void check_offset_entries(struct segment_check *c, const struct batch_header *h, int64_t position, int64_t end)
{
	for (; c->offset_at < c->offsets.count; c->offset_at++) {
		struct offset_entry e = c->offsets.entries[c->offset_at];
		int64_t place = (int64_t)c->offset_at * OFFSET_INDEX_ENTRY_SIZE;

		if (e.position >= end)
			return;
		if (e.position != position)
			say(c, index_grade(c), c->index_name, place, c->base + e.relative_offset,
			    "the entry points into the middle of a batch");
		else if (h && c->base + e.relative_offset != batch_last_offset(h))
			say(c, index_grade(c), c->index_name, place, c->base + e.relative_offset,
			    "the entry's offset is not the last one of the batch that it points to");
	}
}

static void check_time_entries(struct segment_check *c, const struct batch_header *h)
{
	for (; c->time_at < c->times.count; c->time_at++) {
		struct time_entry e = c->times.entries[c->time_at];
		int64_t offset = c->base + e.relative_offset;
		int64_t place = (int64_t)c->time_at * TIME_INDEX_ENTRY_SIZE;

		if (offset > batch_last_offset(h))
			return;
		if (c->bad_batch)
			continue;
		if (e.timestamp != c->max_timestamp || h->max_timestamp != e.timestamp)
			say(c, index_grade(c), c->time_name, place, offset,
			    "the entry's timestamp is not the largest one up to its offset");
		else if (offset != batch_last_offset(h) && c->log->v->ours)
			say(c, index_grade(c), c->time_name, place, offset,
			    "the entry's offset is not the last one of a batch");
	}
}

static bool on_batch(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position)
{
	struct segment_check *c = container_of(w, struct segment_check, walker);
	struct verify_log *l = c->log;
	struct verify *v = l->v;

	v->counts.batches++;
	v->counts.bytes += whole.size;
	if (!batch_crc_ok(whole)) {
		say(c, verify_grade_at(l, h->base_offset), c->log_name, position, h->base_offset,
		    "the CRC does not match the batch");
		check_offset_entries(c, NULL, position, position + (int64_t)whole.size);
		c->bad_batch = l->broken = true;
		l->next_offset = -1;
		return true;
	}
	v->counts.records += (uint64_t)(h->record_count > 0 ? h->record_count : 0);
	check_place(c, h, position);
	check_epoch(c, h, position);
	verify_aborted_batch(l, h, whole);
	if (h->max_timestamp > c->max_timestamp)
		c->max_timestamp = h->max_timestamp;
	check_offset_entries(c, h, position, position + (int64_t)whole.size);
	check_time_entries(c, h);
	if (v->options->deep)
		check_records(c, whole, h, position);
	l->next_offset = batch_last_offset(h) + 1;
	if (v->options->progress && v->counts.batches % PROGRESS_BATCHES == 0)
		v->options->progress(v->options->user, &v->counts);
	return true;
}

/* --- what is no batch -------------------------------------------------------------------------------------------- */

static void describe_rest_await(struct fiber *self, struct segment_check *c, struct file *f, int64_t position)
{
	uint8_t head[BATCH_HEADER_SIZE] = {0};
	char text[VERIFY_TEXT_SIZE];
	int64_t left = c->size - position, wanted;
	size_t count = 0;

	if (file_read_await(self, f, head, sizeof(head), position, &count) != OK)
		count = 0;
	wanted = (int64_t)(int32_t)get_be32(head + 8) + BATCH_LOG_OVERHEAD;
	if (count > BATCH_MAGIC_PLACE && head[BATCH_MAGIC_PLACE] < BATCH_MAGIC && wanted > BATCH_LOG_OVERHEAD)
		snprintf(text, sizeof(text), "messages of magic %d, written by Kafka before 0.11",
			 head[BATCH_MAGIC_PLACE]);
	else if (count < BATCH_LOG_OVERHEAD || (head[BATCH_MAGIC_PLACE] == BATCH_MAGIC && wanted > left))
		snprintf(text, sizeof(text), "a batch is cut off: %lld bytes of it are there", (long long)left);
	else
		snprintf(text, sizeof(text), "what begins here is no batch; %lld bytes follow", (long long)left);
	say(c, verify_grade_at(c->log, c->log->next_offset), c->log_name, position, c->log->next_offset, text);
}

/* Where the index says that another batch begins behind `position`; the file's end when it says nothing. */
static int64_t next_known(const struct segment_check *c, int64_t position)
{
	for (size_t i = 0; i < c->offsets.count; i++)
		if (c->offsets.entries[i].position > position)
			return c->offsets.entries[i].position;
	return c->size;
}

static enum err walk_await(struct fiber *self, struct segment_check *c, struct file *f)
{
	int64_t position = 0;

	c->walker.batch = on_batch;
	while (position < c->size) {
		enum err e = segment_walk_await(self, f, position, c->size, &c->walker);

		if (!e)
			return OK;
		if (e != ERR_CORRUPT) {
			say(c, VERIFY_DAMAGE, c->log_name, c->walker.position, c->log->next_offset,
			    "the file cannot be read here");
			c->log->broken = true;
			return e == ERR_CANCELLED ? e : OK;
		}
		describe_rest_await(self, c, f, c->walker.position);
		c->log->broken = c->bad_batch = true;
		c->log->next_offset = -1;
		position = next_known(c, c->walker.position);
		check_offset_entries(c, NULL, c->walker.position, position);
	}
	return OK;
}

/* --- indexes ----------------------------------------------------------------------------------------------------- */

static void missing_index(struct segment_check *c, const char *file)
{
	bool without_entry = c->facts && c->facts->index_bytes >= c->facts->size;

	/* The active segment has none before a clean stop, nor after one while it has no entry; one without batches may do without. */
	if (c->size > 0 && (c->last ? c->log->v->clean && !without_entry : true))
		say(c, gap_grade(c), file, -1, -1, "the file is missing; it is made anew when it is needed");
}

static void load_indexes_await(struct fiber *self, struct segment_check *c)
{
	struct verify *v = c->log->v;
	bool missing = false;
	char *text = NULL;
	size_t size = 0;

	if (verify_load_await(self, v, c->log->name, c->index_name, VERIFY_INDEX_MAX, &text, &size, &missing)) {
		v->counts.indexes++;
		c->has_offsets = offset_index_read(bytes_of(text, size), c->size, &c->offsets) == OK;
		if (!c->has_offsets)
			say(c, gap_grade(c), c->index_name, -1, -1,
			    "not an index of this segment: entries do not rise, or lie outside it");
	} else if (missing) {
		missing_index(c, c->index_name);
	}
	mem_free(text);
	text = NULL;
	if (verify_load_await(self, v, c->log->name, c->time_name, VERIFY_INDEX_MAX, &text, &size, &missing)) {
		v->counts.indexes++;
		c->has_times = time_index_read(bytes_of(text, size), &c->times) == OK;
		if (!c->has_times)
			say(c, gap_grade(c), c->time_name, -1, -1, "not a time index: entries do not rise");
		/* Kafka makes room for entries before there are any. */
		if (c->times.count == 1 && size > TIME_INDEX_ENTRY_SIZE && c->times.entries[0].timestamp == 0 &&
		    c->times.entries[0].relative_offset == 0)
			time_index_truncate(&c->times, 0);
	} else if (missing) {
		missing_index(c, c->time_name);
	}
	mem_free(text);
}

/* What only shows at the end: entries of nothing, and entries that are not there. */
static void check_ends(struct segment_check *c)
{
	const struct verify_segment_facts *f = c->facts;
	size_t count = c->offsets.count;
	bool complete = c->log->v->clean || !c->last;

	if (c->time_at < c->times.count && !c->log->broken)
		say(c, index_grade(c), c->time_name, (int64_t)c->time_at * TIME_INDEX_ENTRY_SIZE,
		    c->base + c->times.entries[c->time_at].relative_offset, "the entry is of no batch in this segment");
	if (f && f->size != c->size)
		verify_say(c->log->v, VERIFY_DAMAGE, c->log->name, c->log_name, c->size < f->size ? c->size : f->size,
			   -1, "the file has %lld bytes; at the last clean stop it had %lld", (long long)c->size,
			   (long long)f->size);
	if (f && f->size == c->size && c->has_offsets && f->index_bytes > 0 && f->index_bytes <= c->size &&
	    (count ? c->offsets.entries[count - 1].position : 0) != c->size - f->index_bytes)
		say(c, VERIFY_DAMAGE, c->index_name, (int64_t)count * OFFSET_INDEX_ENTRY_SIZE, -1,
		    "the last entries are missing: reading there takes longer");
	if (complete && c->has_times && !c->bad_batch && c->max_timestamp >= 0 &&
	    (c->times.count == 0 || c->times.entries[c->times.count - 1].timestamp != c->max_timestamp))
		say(c, gap_grade(c), c->time_name, (int64_t)c->times.count * TIME_INDEX_ENTRY_SIZE, -1,
		    "it does not end with the segment's largest timestamp: entries are missing");
}

static const struct verify_segment_facts *facts_of(const struct verify_log *l, int64_t base)
{
	for (size_t i = 0; i < l->facts->segment_count; i++)
		if (l->facts->segments[i].base_offset == base)
			return &l->facts->segments[i];
	return NULL;
}

enum err verify_segment_await(struct fiber *self, struct verify_log *l, int64_t base_offset, int64_t next_base)
{
	struct segment_check *c = mem_new(struct segment_check);
	char path[LOG_PATH_SIZE];
	struct file *f = NULL;
	enum err e;

	c->log = l;
	c->base = base_offset;
	c->last = next_base < 0;
	c->rescanned = !l->v->clean && !l->facts->alone && (c->last || next_base > l->bounds.recovery_point);
	c->max_timestamp = NO_TIMESTAMP;
	c->facts = facts_of(l, base_offset);
	segment_name_format(c->log_name, base_offset, SEGMENT_LOG);
	segment_name_format(c->index_name, base_offset, SEGMENT_INDEX);
	segment_name_format(c->time_name, base_offset, SEGMENT_TIMEINDEX);
	l->v->counts.segments++;
	verify_path(l->v, l->name, c->log_name, path);
	e = file_open_await(self, path, FILE_READ, &f);
	if (!e)
		e = file_size_await(self, f, &c->size);
	if (e) {
		verify_say(l->v, VERIFY_DAMAGE, l->name, c->log_name, -1, base_offset, "cannot be opened: %s",
			   err_text(e));
		l->broken = true;
		l->next_offset = -1;
		e = e == ERR_CANCELLED ? e : OK;
	} else {
		load_indexes_await(self, c);
		e = walk_await(self, c, f);
		if (!e) {
			check_ends(c);
			verify_aborted_segment_await(self, l, base_offset, c->rescanned);
		}
	}
	file_close(f);
	offset_index_fini(&c->offsets);
	time_index_fini(&c->times);
	mem_free(c);
	return e;
}
