/* verify_log: one log's folder: its segments in order, and the small files beside them. See verify.h. */
#include <stdio.h>

#include "base/alloc.h"
#include "storage/verify_own.h"

static void say(struct verify_log *l, enum verify_grade grade, const char *file, const char *text)
{
	verify_say(l->v, grade, l->name, file, -1, -1, "%s", text);
}

/* What recovery never cuts below. */
static int64_t bound_of(const struct verify_log *l)
{
	const struct log_bounds *b = &l->bounds;
	int64_t bound = b->recovery_point > b->acknowledged ? b->recovery_point : b->acknowledged;

	return bound > b->start ? bound : 0;
}

static bool in_journal(const struct verify_log *l, int64_t offset)
{
	return l->replay && offset >= l->replay->from && offset < l->replay->end;
}

enum verify_grade verify_grade_at(const struct verify_log *l, int64_t offset)
{
	if (l->v->clean || (l->facts->alone && offset >= 0))
		return VERIFY_DAMAGE;
	return offset >= 0 && offset < bound_of(l) && !in_journal(l, offset) ? VERIFY_DAMAGE : VERIFY_NOTE;
}

/* As log_open.c and the journal's replay have them. */
static void take_bounds(struct verify_log *l)
{
	struct verify_facts *f = l->facts;
	struct log_bounds kafkas = {.recovery_point = f->recovery_point > 0 ? f->recovery_point : 0,
				    .start = f->checkpoint_start > 0 ? f->checkpoint_start : 0};
	struct log_bounds *b = &l->bounds;

	if (f->by_manifest)
		return;
	if (uuid_is_zero(l->topic_id))
		l->topic_id = f->bounds.topic_id;
	l->replay = verify_replay_of(l->v, l->name, l->topic_id);
	if (f->has_bounds && uuid_equal(f->bounds.topic_id, l->topic_id))
		*b = f->bounds;
	else if (!f->has_bounds && !l->replay)
		*b = kafkas;
	if (!l->replay)
		return;
	if (l->replay->forgotten || l->replay->acknowledged > b->acknowledged)
		b->acknowledged = l->replay->acknowledged;
	if (l->replay->forgotten && b->recovery_point > b->acknowledged)
		b->recovery_point = b->acknowledged;
	if (l->replay->start > b->start)
		b->start = l->replay->start;
}

/* --- small files ------------------------------------------------------------------------------------------------- */

static bool same_epochs(const struct epoch_cache *a, const struct epoch_cache *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->entries[i].epoch != b->entries[i].epoch ||
		    a->entries[i].start_offset != b->entries[i].start_offset)
			return false;
	return true;
}

static void check_epochs_await(struct fiber *self, struct verify_log *l)
{
	static const char name[] = "leader-epoch-checkpoint";
	bool missing = false;
	char *text = NULL;
	size_t size = 0;

	if (verify_load_await(self, l->v, l->name, name, VERIFY_SMALL_MAX, &text, &size, &missing)) {
		l->v->counts.small_files++;
		if (epoch_checkpoint_read(bytes_of(text, size), &l->epochs) != OK)
			say(l, VERIFY_DAMAGE, name, "not a list of epochs and offsets that both rise");
		else if (l->facts->by_manifest && !same_epochs(&l->epochs, &l->facts->epochs))
			say(l, VERIFY_DAMAGE, name, "not what the last clean stop left (moldau-manifest has it)");
		else
			l->epochs_known = true;
	} else if (missing && l->facts->by_manifest && l->facts->epochs.count > 0) {
		say(l, VERIFY_DAMAGE, name, "the file is missing");
	}
	mem_free(text);
	if (l->facts->by_manifest && !l->epochs_known) {
		for (size_t i = 0; i < l->facts->epochs.count; i++)
			(void)epoch_cache_assign(&l->epochs, l->facts->epochs.entries[i].epoch,
						 l->facts->epochs.entries[i].start_offset);
		l->epochs_known = same_epochs(&l->epochs, &l->facts->epochs);
	}
}

/* The last of an id's 22 characters has bits to spare, so that several files read the same. A line end more or less does not matter. */
static bool is_written_so(struct bytes file, struct uuid id)
{
	struct buf out;
	struct bytes wanted;
	bool same;

	buf_init(&out, 200);
	partition_metadata_write(id, &out);
	wanted = buf_bytes(&out);
	while (wanted.size > 0 && wanted.data[wanted.size - 1] == '\n')
		wanted.size--;
	while (file.size > 0 && file.data[file.size - 1] == '\n')
		file.size--;
	same = bytes_equal(file, wanted);
	buf_fini(&out);
	return same;
}

static void check_metadata_await(struct fiber *self, struct verify_log *l)
{
	static const char name[] = "partition.metadata";
	struct uuid id;
	bool missing = false;
	char *text = NULL;
	size_t size = 0;

	if (verify_load_await(self, l->v, l->name, name, VERIFY_SMALL_MAX, &text, &size, &missing)) {
		l->v->counts.small_files++;
		if (partition_metadata_read(bytes_of(text, size), &id) != OK)
			say(l, VERIFY_DAMAGE, name, "not a version and a topic id");
		else if (l->facts->by_manifest && !uuid_equal(id, l->facts->topic_id))
			say(l, VERIFY_DAMAGE, name, "another topic's id than at the last clean stop");
		else if (l->v->ours && !is_written_so(bytes_of(text, size), id))
			say(l, VERIFY_DAMAGE, name, "the right id, but not as it was written");
		else
			l->topic_id = id;
	} else if (missing) {
		/* A journal has what a folder lacks until the next clean stop. */
		say(l, l->facts->by_manifest ? VERIFY_DAMAGE : VERIFY_NOTE, name, "the file is missing");
	}
	mem_free(text);
}

static void check_snapshot_await(struct fiber *self, struct verify_log *l, const char *name, int64_t offset)
{
	struct producer_state p;
	bool missing = false;
	char *text = NULL;
	size_t size = 0;

	if (!verify_load_await(self, l->v, l->name, name, VERIFY_SMALL_MAX * 16, &text, &size, &missing))
		return;
	l->v->counts.snapshots++;
	producer_state_init(&p);
	if (producer_state_read(&p, bytes_of(text, size), 0) != OK)
		/* It is not synced when it is written; recovery reads an older one, and more of the log. */
		say(l, l->v->clean ? VERIFY_DAMAGE : VERIFY_NOTE, name,
		    "not a snapshot of producers, or its CRC does not match");
	for (uint32_t i = 0; i < p.count; i++)
		if (p.entries[i].last_offset >= offset)
			verify_say(l->v, VERIFY_DAMAGE, l->name, name, -1, p.entries[i].last_offset,
				   "producer %lld has written behind the snapshot's own offset",
				   (long long)p.entries[i].producer_id);
	producer_state_fini(&p);
	mem_free(text);
}

/* --- the folder -------------------------------------------------------------------------------------------------- */

static bool has_segment(const struct verify_log *l, int64_t base)
{
	char name[LOG_NAME_SIZE];

	segment_name_format(name, base, SEGMENT_LOG);
	for (size_t i = 0; i < l->files.count; i++)
		if (strcmp(l->files.entries[i].name, name) == 0)
			return true;
	return false;
}

static void check_file_await(struct fiber *self, struct verify_log *l, const char *name)
{
	enum segment_file which;
	enum leftover leftover;
	int64_t offset;

	if (leftover_name_parse(bytes_str(name), &offset, &which, &leftover) == OK) {
		say(l, VERIFY_NOTE, name, "left over from something that did not end; the next start deals with it");
		return;
	}
	if (segment_name_parse(bytes_str(name), &offset, &which) != OK)
		return;
	if (which == SEGMENT_SNAPSHOT)
		check_snapshot_await(self, l, name, offset);
	else if (which != SEGMENT_LOG && !has_segment(l, offset))
		say(l, VERIFY_NOTE, name, "an index without its segment");
}

/* Between segments. */
static void check_boundary(struct verify_log *l, const char *name, int64_t base)
{
	bool unclean = !l->v->clean && !l->facts->alone;

	if (l->next_offset < 0 || base == l->next_offset)
		return;
	if (base < l->next_offset)
		verify_say(l->v, unclean && base >= l->bounds.recovery_point ? VERIFY_NOTE : VERIFY_DAMAGE, l->name,
			   name, -1, base, "begins at offset %lld, though the segment before ends at %lld",
			   (long long)base, (long long)l->next_offset - 1);
	else if (unclean && l->next_offset >= l->bounds.recovery_point)
		verify_say(l->v, verify_grade_at(l, l->next_offset), l->name, name, -1, base,
			   "there are no offsets %lld to %lld before it: the next start cuts the log there",
			   (long long)l->next_offset, (long long)base - 1);
	else
		verify_say(l->v, VERIFY_NOTE, l->name, name, -1, base,
			   "there are no offsets %lld to %lld before it: compaction leaves such gaps",
			   (long long)l->next_offset, (long long)base - 1);
	l->gaps |= base > l->next_offset;
}

/* Where the next segment behind file `i` begins; -1: there is none. */
static int64_t base_behind(const struct verify_log *l, size_t i)
{
	while (++i < l->files.count) {
		enum segment_file which;
		int64_t base;

		if (segment_name_parse(bytes_str(l->files.entries[i].name), &base, &which) == OK &&
		    which == SEGMENT_LOG)
			return base;
	}
	return -1;
}

static enum err check_segments_await(struct fiber *self, struct verify_log *l)
{
	enum err e = OK;

	for (size_t i = 0; i < l->files.count && !e; i++) {
		const char *name = l->files.entries[i].name;
		enum segment_file which;
		int64_t base, next;

		if (segment_name_parse(bytes_str(name), &base, &which) != OK || which != SEGMENT_LOG)
			continue;
		next = base_behind(l, i);
		if (!l->facts->by_manifest && next >= 0 && next <= l->bounds.start) {
			say(l, VERIFY_NOTE, name, "all of it is below the log's start; the next start removes it");
			continue;
		}
		if (l->first_base < 0) {
			l->first_base = base;
			verify_aborted_begin_await(self, l, base);
		}
		check_boundary(l, name, base);
		l->next_offset = base;
		e = verify_segment_await(self, l, base, next);
	}
	return e;
}

static void check_missing_segments(struct verify_log *l)
{
	for (size_t i = 0; i < l->facts->segment_count; i++) {
		char name[LOG_NAME_SIZE];

		segment_name_format(name, l->facts->segments[i].base_offset, SEGMENT_LOG);
		if (l->facts->segments[i].size > 0 && !has_segment(l, l->facts->segments[i].base_offset)) {
			say(l, VERIFY_DAMAGE, name, "the segment is missing; it was there at the last clean stop");
			l->broken = true;
		}
	}
}

static void check_bounds(struct verify_log *l)
{
	const struct verify_facts *f = l->facts;
	int64_t end = l->next_offset < 0 && l->first_base < 0 ? l->bounds.start : l->next_offset;

	if (f->by_manifest && l->first_base > f->start)
		verify_say(l->v, VERIFY_DAMAGE, l->name, NULL, -1, f->start,
			   "the log begins at offset %lld, but its oldest segment at %lld", (long long)f->start,
			   (long long)l->first_base);
	if (end < 0 || l->broken)
		return;
	if (f->by_manifest && end != f->end)
		verify_say(l->v, VERIFY_DAMAGE, l->name, NULL, -1, end,
			   "the log ends at offset %lld; at the last clean stop it ended at %lld", (long long)end,
			   (long long)f->end);
	else if (!f->by_manifest && end < bound_of(l))
		verify_say(l->v,
			   l->replay && l->replay->from <= end && l->replay->end >= bound_of(l) ? VERIFY_NOTE
												: VERIFY_DAMAGE,
			   l->name, NULL, -1, end, "the log ends at offset %lld, though it was synced up to %lld%s",
			   (long long)end, (long long)bound_of(l), in_journal(l, end) ? "; the journal has more" : "");
}

static void check_checkpoints(struct verify_log *l)
{
	const struct verify_facts *f = l->facts;
	int64_t end = f->by_manifest ? f->end : l->broken ? -1 : l->next_offset;
	const struct {
		const char *file;
		int64_t value;
		bool read;
		int64_t wanted;
	} rows[] = {
		{"recovery-point-offset-checkpoint", f->recovery_point, l->v->has_recovery_points, f->end},
		{"log-start-offset-checkpoint", f->checkpoint_start, l->v->has_starts, f->start},
		{"replication-offset-checkpoint", f->replicated, l->v->has_replicated, f->end},
	};

	/* Between clean stops Kafka's checkpoints stay as they were; what counts then was held against the batches. */
	enum verify_grade grade = l->v->clean ? VERIFY_DAMAGE : VERIFY_NOTE;

	if (!l->v->clean && (f->has_bounds || l->replay))
		return;
	if (f->cleaned >= 0 && end >= 0 && f->cleaned > end)
		/* Losing it costs a cleaning. */
		verify_say(l->v, VERIFY_NOTE, "", "cleaner-offset-checkpoint", -1, f->cleaned,
			   "%s: offset %lld is behind the log's end, %lld", l->name, (long long)f->cleaned,
			   (long long)end);
	for (size_t i = 0; i < countof(rows); i++) {
		if (rows[i].value < 0 && f->by_manifest && rows[i].read)
			verify_say(l->v, VERIFY_DAMAGE, "", rows[i].file, -1, -1, "%s is not in it", l->name);
		if (rows[i].value < 0)
			continue;
		if (f->by_manifest && rows[i].value != rows[i].wanted)
			verify_say(l->v, VERIFY_DAMAGE, "", rows[i].file, -1, rows[i].value,
				   "%s: offset %lld; at the last clean stop it was %lld", l->name,
				   (long long)rows[i].value, (long long)rows[i].wanted);
		else if (!f->by_manifest && end >= 0 && rows[i].value > end)
			verify_say(l->v, grade, "", rows[i].file, -1, rows[i].value,
				   "%s: offset %lld is behind the log's end, %lld", l->name, (long long)rows[i].value,
				   (long long)end);
	}
}

enum err verify_log_await(struct fiber *self, struct verify *v, const char *name, struct verify_facts *facts)
{
	struct verify_log *l = mem_new(struct verify_log);
	char path[LOG_PATH_SIZE];
	enum err e;

	l->v = v;
	l->facts = facts;
	l->next_offset = l->first_base = -1;
	snprintf(l->name, sizeof(l->name), "%s", name);
	epoch_cache_init(&l->epochs);
	v->counts.logs++;
	facts->seen = true;
	verify_path(v, name, NULL, path);
	e = folder_list_await(self, path, &l->files);
	if (e) {
		say(l, VERIFY_DAMAGE, NULL, "the folder cannot be read");
	} else {
		check_epochs_await(self, l);
		check_metadata_await(self, l);
		take_bounds(l);
		e = check_segments_await(self, l);
		for (size_t i = 0; i < l->files.count && !e; i++)
			check_file_await(self, l, l->files.entries[i].name);
		check_missing_segments(l);
		check_bounds(l);
		check_checkpoints(l);
		folder_list_free(&l->files);
	}
	epoch_cache_fini(&l->epochs);
	producer_state_fini(&l->producers);
	mem_free(l);
	return e == ERR_CANCELLED ? e : OK;
}
