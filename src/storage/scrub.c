/*
 * scrub: reads what the logs of a shard have on disk again and again, slowly, and says what is bad, before somebody needs it.
 *
 *      every log.scrub.interval.ms: each log -> its small files; each segment -> its indexes; batch by batch: CRC, place, epoch (scrub_check)
 *           bad, and bad when read once more -> where the next good one begins -> a stretch that is not served (damage.h), a line, a figure
 *           indexes that are wrong or missing -> made anew from the records
 *
 * Of closed segments all is looked at, of the active one what is synced. Closed ones are read past the page cache where the file system can, so
 * that what is on the disk is seen and what readers need stays in memory. One fiber, one file, one buffer; a batch is never in memory whole. A log
 * that somebody wants for himself is left at the next step. A stretch that a later pass finds good is served again. Uses the rest of storage/.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/saturate.h"
#include "storage/pace.h"
#include "storage/scrub_check.h"
#include "storage/state.h"

#define NEVER INT64_MAX
#define CHUNK ((size_t)256 * 1024)
#define SEGMENT_COST ((size_t)64 * 1024) /* of opening files, so that thousands of small logs are not read at once */
#define STEP_US 100000
#define STACK_SIZE ((size_t)128 * 1024)
#define CRC_FROM 21 /* the header's fields in front of it have no CRC */

struct scrub {
	struct store *store;
	struct pace pace;
	uint8_t *memory;
	uint8_t *buffer; /* aligned */
	/* The segment at hand. */
	struct log *log;
	struct segment *segment;
	uint32_t cuts;
	bool closed;
	bool controls; /* it has batches that end transactions */
	struct file *file;
	bool direct;
	bool refused;   /* the file system does not read past its cache */
	int64_t end;    /* of its bytes that are looked at */
	int64_t synced; /* offset up to which they are */
	int64_t start;  /* of what is in the buffer */
	size_t size;
	struct scrub_check check;
	struct offset_index offsets;
	struct time_index times;
	struct damage_list found;
};

/* --- what is found ------------------------------------------------------------------------------------------------- */

void log_note_damage(struct log *l, struct segment *s, const struct damage *d, const char *what)
{
	if (!damage_add(&s->damages, d))
		return;
	l->store->figures.damages_found++;
	log_error(log_logger(l),
		  "%s-%d: damage at offset %" PRId64 ", byte %" PRId64 " of segment %020" PRId64
		  ": %s; offsets up to %" PRId64 " (%" PRId64 " bytes) are not served",
		  l->topic, (int)l->partition, d->offset, d->position, s->base_offset, what, d->next_offset - 1,
		  d->end - d->position);
}

static void note_side_damage(struct log *l, const char *file, const char *what)
{
	l->store->figures.side_damages_found++;
	log_error(log_logger(l), "%s-%d: %s: %s", l->topic, (int)l->partition, file, what);
}

/* --- stopping and waiting ------------------------------------------------------------------------------------------ */

static bool enabled(const struct store *s)
{
	return s->settings.scrub_interval_ms > 0 && !s->closing;
}

/* Somebody wants the log, or the segment is not what it was. */
static bool stopped(const struct scrub *x)
{
	const struct log *l = x->log;
	const struct segment *s = x->segment;

	if (!enabled(x->store) || log_is_taken(l) || l->move)
		return true;
	return s && (s->replaced || s->swapped || list_linked(&s->grave) || x->cuts != l->cuts);
}

static enum err pause_await(struct fiber *self, struct scrub *x, size_t bytes)
{
	struct store *s = x->store;
	int64_t due_us = pace_note(&x->pace, shard_now_us(s->shard), bytes, s->settings.scrub_bytes_per_second);

	while (!stopped(x) && shard_now_us(s->shard) < due_us) {
		int64_t most = shard_now_us(s->shard) + STEP_US;

		if (event_wait_await(self, &s->scrubbing, due_us < most ? due_us : most) == ERR_CANCELLED)
			fiber_yield_await(self);
	}
	return stopped(x) ? ERR_CANCELLED : OK;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static enum err open_await(struct fiber *self, struct scrub *x, bool direct)
{
	char path[LOG_PATH_SIZE];
	enum err e;

	log_file_path(x->log, x->segment->base_offset, SEGMENT_LOG, path);
	file_close(x->file);
	x->file = NULL;
	x->direct = direct && !x->refused;
	e = file_open_await(self, path, FILE_READ | FILE_IMPATIENT | (x->direct ? FILE_DIRECT : 0), &x->file);
	if (e == ERR_UNSUPPORTED) {
		x->refused = true;
		x->direct = false;
		e = file_open_await(self, path, FILE_READ | FILE_IMPATIENT, &x->file);
	}
	return stopped(x) ? ERR_CANCELLED : e;
}

static enum err fill_await(struct fiber *self, struct scrub *x, int64_t position)
{
	enum err e;

	x->start = position - position % (int64_t)FILE_DIRECT_UNIT;
	x->size = 0;
	e = file_read_await(self, x->file, x->buffer, CHUNK, x->start, &x->size);
	if (e && x->direct) { /* perhaps it cannot be read so */
		e = open_await(self, x, false);
		if (!e)
			e = file_read_await(self, x->file, x->buffer, CHUNK, x->start, &x->size);
	}
	if (e)
		return stopped(x) ? ERR_CANCELLED : e;
	if ((int64_t)x->size > x->end - x->start)
		x->size = (size_t)(x->end - x->start);
	x->store->figures.scrubbed_bytes += x->size;
	return pause_await(self, x, x->size);
}

/* What is there from `position` on, at least `least` bytes of it where the segment has so many. */
static enum err look_await(struct fiber *self, struct scrub *x, int64_t position, size_t least, struct bytes *ret_bytes)
{
	int64_t have = x->start + (int64_t)x->size - position;
	enum err e = OK;

	if ((int64_t)least > x->end - position)
		least = (size_t)(x->end - position);
	if (position < x->start || have < (int64_t)least)
		e = fill_await(self, x, position);
	have = x->start + (int64_t)x->size - position;
	if (!e && have < (int64_t)least)
		e = ERR_END; /* the file is shorter than it was */
	if (!e)
		*ret_bytes = bytes_of(x->buffer + (position - x->start), (size_t)have);
	return e;
}

static enum err crc_await(struct fiber *self, struct scrub *x, int64_t position, int64_t end, uint32_t *ret_crc)
{
	uint32_t crc = 0;

	while (position < end) {
		struct bytes part;
		enum err e = look_await(self, x, position, 1, &part);

		if (e)
			return e;
		if ((int64_t)part.size > end - position)
			part.size = (size_t)(end - position);
		crc = crc32c(crc, part);
		position += (int64_t)part.size;
	}
	*ret_crc = crc;
	return OK;
}

/* A batch that can begin at `position`, with its CRC taken; ERR_CORRUPT when none can. */
static enum err read_batch_await(struct fiber *self, struct scrub *x, int64_t position, struct batch_header *ret_header,
				 bool *ret_crc_ok)
{
	struct bytes at;
	uint32_t crc;
	enum err e = look_await(self, x, position, BATCH_HEADER_SIZE, &at);

	if (!e && batch_header_read(at, ret_header) != OK)
		e = ERR_CORRUPT;
	if (!e && (ret_header->magic != BATCH_MAGIC || ret_header->length < BATCH_HEADER_SIZE - BATCH_LOG_OVERHEAD ||
		   (int64_t)batch_size(ret_header) > x->end - position))
		e = ERR_CORRUPT;
	if (!e)
		e = crc_await(self, x, position + CRC_FROM, position + (int64_t)batch_size(ret_header), &crc);
	if (!e)
		*ret_crc_ok = crc == ret_header->crc;
	return e;
}

/* --- behind damage -------------------------------------------------------------------------------------------------- */

static enum err is_good_await(struct fiber *self, struct scrub *x, int64_t position, struct batch_header *ret_header,
			      bool *ret_good)
{
	struct bytes at;
	bool crc_ok = false;
	enum err e = look_await(self, x, position, BATCH_HEADER_SIZE, &at);

	*ret_good = false;
	if (e || batch_header_read(at, ret_header) != OK || ret_header->base_offset < x->check.expected ||
	    !scrub_can_begin(&x->check, ret_header, x->end - position))
		return e;
	e = read_batch_await(self, x, position, ret_header, &crc_ok);
	*ret_good = !e && crc_ok;
	return e == ERR_CORRUPT ? OK : e;
}

/* The next place behind `position`, byte by byte, where something stands that may be a batch; the end when there is none. */
static enum err search_await(struct fiber *self, struct scrub *x, int64_t *position)
{
	struct batch_header h;
	struct bytes at;

	while (*position + BATCH_HEADER_SIZE <= x->end) {
		enum err e = look_await(self, x, *position, BATCH_HEADER_SIZE, &at);

		if (e)
			return e;
		for (; at.size >= BATCH_HEADER_SIZE; at.data++, at.size--, (*position)++)
			if (at.data[BATCH_MAGIC_PLACE] == BATCH_MAGIC && batch_header_read(at, &h) == OK &&
			    scrub_can_begin(&x->check, &h, x->end - *position))
				return OK;
	}
	*position = x->end;
	return OK;
}

/* From the batch at `position` on all is bad up to a place where a good one begins: behind it, if its length can be believed. */
static enum err find_next_await(struct fiber *self, struct scrub *x, struct damage *d, const struct batch_header *bad)
{
	struct batch_header h;
	bool good = false;
	enum err e = OK;

	d->end = bad ? d->position + (int64_t)batch_size(bad) : x->end;
	if (bad && d->end < x->end)
		e = is_good_await(self, x, d->end, &h, &good);
	if (bad && d->end >= x->end)
		good = true;
	if (!e && !good) {
		d->end = d->position + 1;
		while (!e && !good && d->end < x->end) {
			e = search_await(self, x, &d->end);
			if (!e && d->end < x->end)
				e = is_good_await(self, x, d->end, &h, &good);
			d->end += !e && !good && d->end < x->end;
		}
	}
	d->next_offset = d->end < x->end ? h.base_offset : x->check.limit;
	return e;
}

/* --- a segment ------------------------------------------------------------------------------------------------------ */

static void take_damage(struct scrub *x, const struct damage *d, enum scrub_verdict v)
{
	damage_add(&x->found, d);
	log_note_damage(x->log, x->segment, d, scrub_words(v));
}

/* One step: a batch, or what is none. What is bad is read once more before it is called so. ERR_END: the file ends early. */
static enum err step_await(struct fiber *self, struct scrub *x, int64_t *position, bool *doubt)
{
	struct damage d = {.position = *position, .offset = x->check.expected};
	struct scrub_check before = x->check;
	struct batch_header h = {0};
	enum scrub_verdict v = SCRUB_NO_BATCH;
	bool crc_ok = false;
	enum err e = read_batch_await(self, x, *position, &h, &crc_ok);

	if (!e)
		v = scrub_batch(&x->check, &h, crc_ok, *position);
	if (e && e != ERR_CORRUPT)
		return e;
	if (v == SCRUB_GOOD || v == SCRUB_PREVIOUS) {
		if (v == SCRUB_PREVIOUS) {
			d = (struct damage){before.last_position, *position, before.before, h.base_offset};
			take_damage(x, &d, v);
		}
		*position += (int64_t)batch_size(&h);
		*doubt = false;
		x->controls |= batch_is_control(&h);
		return OK;
	}
	x->size = 0;
	if (!*doubt) {
		*doubt = true;
		return OK;
	}
	*doubt = false;
	e = find_next_await(self, x, &d, v == SCRUB_NO_BATCH ? NULL : &h);
	if (e)
		return e;
	take_damage(x, &d, v);
	scrub_skip(&x->check, d.position, d.end, d.next_offset);
	*position = d.end;
	return OK;
}

static enum err walk_await(struct fiber *self, struct scrub *x)
{
	int64_t position = 0;
	bool doubt = false;
	enum err e = OK;

	while (!e && position < x->end && x->check.expected < x->synced)
		e = step_await(self, x, &position, &doubt);
	return e;
}

static enum err load_side_await(struct fiber *self, struct scrub *x, enum segment_file which, char **ret_text,
				size_t *ret_size)
{
	char path[LOG_PATH_SIZE];

	log_file_path(x->log, x->segment->base_offset, which, path);
	return file_load_await(self, path, SMALL_FILE_MAX, ret_text, ret_size);
}

/* Of a closed segment whose indexes are on disk. False: they have to be made anew. */
static bool load_indexes_await(struct fiber *self, struct scrub *x)
{
	struct segment *s = x->segment;
	char *text;
	size_t size;
	enum err e;

	if (!x->closed || !s->index_saved || s->index_waits || s->saving_index)
		return true;
	e = load_side_await(self, x, SEGMENT_INDEX, &text, &size);
	if (!e) {
		e = offset_index_read(bytes_of(text, size), s->size, &x->offsets);
		mem_free(text);
	}
	if (!e) {
		x->check.offsets = &x->offsets;
		e = load_side_await(self, x, SEGMENT_TIMEINDEX, &text, &size);
	}
	if (e == OK) {
		e = time_index_read(bytes_of(text, size), &x->times);
		mem_free(text);
	}
	if (!e)
		x->check.times = &x->times;
	if (e == ERR_CORRUPT && s->index_saved && !stopped(x))
		note_side_damage(x->log, x->check.offsets ? "time index" : "offset index",
				 "not an index of its segment: made anew");
	return e != ERR_CORRUPT && e != ERR_NOT_FOUND;
}

static enum err mend_indexes_await(struct fiber *self, struct scrub *x, bool loaded)
{
	struct log *l = x->log;
	struct segment *s = x->segment;
	bool wrong = x->check.offsets_wrong || x->check.times_wrong;
	char what[100];

	if (!x->closed || !s->index_saved || (loaded && !wrong && !x->check.times_short))
		return OK;
	if (wrong) {
		snprintf(what, sizeof(what), "an entry for segment %020" PRId64 " is of no batch of it: made anew",
			 s->base_offset);
		note_side_damage(l, x->check.offsets_wrong ? "offset index" : "time index", what);
	} else {
		log_info(log_logger(l),
			 "%s-%d: indexes of segment %020" PRId64 " are missing or not complete: made anew", l->topic,
			 (int)l->partition, s->base_offset);
	}
	if (store_is_read_only(l->store) || x->check.damaged)
		return OK; /* without all of its batches it cannot be made; who reads it does what he can */
	return log_remake_index_await(self, l, s);
}

/* Nobody writes the file of aborted transactions, nor has to: what it has is what it should have. */
static bool aborted_settled(const struct scrub *x)
{
	return !x->segment->aborted_stale && !x->log->saving_aborted;
}

/* OK; ERR_CORRUPT or ERR_NOT_FOUND when it is not what was written; anything else: it cannot be told now. */
static enum err compare_aborted_await(struct fiber *self, struct scrub *x)
{
	struct segment *s = x->segment;
	bool known = s->aborted_loaded;
	size_t size, durable = s->aborted_durable;
	struct aborted_index found = {0};
	char *text;
	enum err e;

	if (!aborted_settled(x) || (known ? durable == 0 : !s->aborted_expected))
		return OK;
	e = load_side_await(self, x, SEGMENT_TXNINDEX, &text, &size);
	if (!e) {
		e = aborted_index_read(bytes_of(text, size), s->base_offset, &found);
		mem_free(text);
	}
	if (stopped(x) || !aborted_settled(x) || s->aborted_loaded != known || s->aborted_durable != durable)
		e = OK; /* it was written meanwhile */
	else if (!e && known &&
		 (found.count < durable ||
		  memcmp(found.entries, s->aborted.entries, durable * sizeof(*found.entries)) != 0))
		e = ERR_CORRUPT;
	aborted_index_fini(&found);
	return e;
}

/* What the file has of aborted transactions, where memory knows better. Twice: it may have been written anew between two looks. */
static void check_aborted_await(struct fiber *self, struct scrub *x)
{
	struct segment *s = x->segment;
	enum err e = compare_aborted_await(self, x);

	if (e && !stopped(x))
		e = compare_aborted_await(self, x);
	if (!e && !stopped(x) && !x->check.damaged && (x->controls || s->aborted_expected)) {
		bool wrong;

		/* Nothing in the file tells what is missing in it: the records do. */
		e = log_check_aborted_await(self, x->log, s, &wrong) == OK && wrong ? ERR_CORRUPT : OK;
	}
	if (stopped(x) || (e != ERR_CORRUPT && e != ERR_NOT_FOUND))
		return;
	note_side_damage(x->log, "index of aborted transactions",
			 s->aborted_loaded ? "not what was written: written anew"
					   : "not readable, or gone: made anew when it is needed");
	s->aborted_stale = s->aborted_loaded;
	x->log->side_files_dirty = true;
	if (s->aborted_loaded && !store_is_read_only(x->log->store))
		(void)!log_save_aborted_await(self, x->log, s, INT64_MAX); /* tried again with the next sync */
}

static void take_bounds(struct scrub *x)
{
	struct log *l = x->log;
	struct segment *s = x->segment;
	const struct segment *next = log_segment_after(l, s);
	int64_t base = s->base_offset;

	x->closed = next != NULL;
	x->controls = false;
	x->cuts = l->cuts;
	x->end = s->written;
	x->synced = next ? INT64_MAX : l->file_synced;
	x->start = 0;
	x->size = 0;
	x->check = (struct scrub_check){
		.base = base,
		.limit = next ? next->base_offset : l->written,
		.epochs = &l->epochs,
		.expected = base,
		.before = base,
		.max_timestamp = NO_TIMESTAMP,
	};
}

/* ERR_CANCELLED: the log, or the segment, is no longer to be looked at. */
static enum err scrub_segment_await(struct fiber *self, struct scrub *x)
{
	struct segment *s = x->segment;
	bool loaded;
	enum err e;

	take_bounds(x);
	if (!s->made || s->swapped || s->replaced || (x->closed && s->written < s->size) || x->end == 0)
		return OK;
	if (!x->closed && x->synced <= s->base_offset)
		return OK;
	loaded = load_indexes_await(self, x);
	e = open_await(self, x, x->closed);
	if (!e)
		e = pause_await(self, x, SEGMENT_COST);
	if (!e)
		e = walk_await(self, x);
	if (!e) {
		scrub_end(&x->check, x->closed);
		damage_fini(&s->damages);
		s->damages = x->found;
		x->found = (struct damage_list){0};
		x->store->figures.scrubbed_segments++;
		check_aborted_await(self, x);
		e = stopped(x) ? ERR_CANCELLED : mend_indexes_await(self, x, loaded);
	} else if (e != ERR_CANCELLED && e != ERR_TOO_MANY_FILES && e != ERR_NO_MEMORY) {
		log_error(log_logger(x->log), "%s-%d: segment %020" PRId64 " cannot be read: %s", x->log->topic,
			  (int)x->log->partition, s->base_offset,
			  e == ERR_END ? "it is shorter than it was" : err_text(e));
		x->store->figures.segments_unreadable++;
	}
	file_close(x->file);
	x->file = NULL;
	offset_index_fini(&x->offsets);
	time_index_fini(&x->times);
	damage_fini(&x->found);
	return e;
}

/* --- a log ---------------------------------------------------------------------------------------------------------- */

/* All that memory has; the file may have more, which was cut since, and where the first one begins may have moved. */
static bool has_epochs(const struct epoch_cache *file, const struct epoch_cache *memory)
{
	size_t at = 0;

	for (size_t i = 0; i < memory->count; i++) {
		while (at < file->count && file->entries[at].epoch < memory->entries[i].epoch)
			at++;
		if (at == file->count || file->entries[at].epoch != memory->entries[i].epoch ||
		    (i > 0 && file->entries[at].start_offset != memory->entries[i].start_offset))
			return false;
	}
	return true;
}

static enum err load_beside_await(struct fiber *self, const struct log *l, const char *name, char **ret_text,
				  size_t *ret_size)
{
	char path[LOG_PATH_SIZE + 64], folder[LOG_PATH_SIZE];

	log_folder_path(l, folder);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return file_load_await(self, path, SMALL_FILE_MAX, ret_text, ret_size);
}

/* What memory has is written again. */
static void check_epochs_await(struct fiber *self, struct scrub *x)
{
	struct log *l = x->log;
	struct epoch_cache found;
	char *text;
	size_t size;
	unsigned saved = l->epochs_saved;
	bool wrong;
	enum err e;

	if (l->epochs_dirty || l->saving_epochs || l->epochs.count == 0)
		return;
	e = load_beside_await(self, l, "leader-epoch-checkpoint", &text, &size);
	if (e && e != ERR_NOT_FOUND)
		return;
	epoch_cache_init(&found);
	wrong = e || epoch_checkpoint_read(bytes_of(text, size), &found) != OK || !has_epochs(&found, &l->epochs);
	if (!e)
		mem_free(text);
	epoch_cache_fini(&found);
	l->epochs_seen |= !wrong;
	if (!wrong || stopped(x) || l->epochs_dirty || l->saving_epochs || l->epochs_saved != saved ||
	    store_is_read_only(l->store))
		return;
	/* A clean stop leaves it to the manifest: that it is missing or torn is no damage then. */
	if (!e && l->epochs_seen)
		note_side_damage(l, "leader-epoch-checkpoint", "not what was written: written anew");
	l->epochs_dirty = l->side_files_dirty = true;
	(void)!log_save_epochs_await(self, l, store_syncs(l->store)); /* else the keeper, or the stop, does */
}

static void check_metadata_await(struct fiber *self, struct scrub *x)
{
	struct log *l = x->log;
	char *text;
	struct uuid id;
	size_t size;
	bool wrong;
	enum err e;

	if (!l->metadata_made || uuid_is_zero(l->topic_id))
		return;
	e = load_beside_await(self, l, "partition.metadata", &text, &size);
	if (e && e != ERR_NOT_FOUND)
		return;
	wrong = e || partition_metadata_read(bytes_of(text, size), &id) != OK || !uuid_equal(id, l->topic_id);
	if (!e)
		mem_free(text);
	if (!wrong || stopped(x) || store_is_read_only(l->store))
		return;
	note_side_damage(l, "partition.metadata", "not this topic's id, or gone: written anew");
	l->metadata_made = l->names_synced = false;
	l->side_files_dirty = true;
	(void)!log_sync_names_await(self, l);
}

static bool is_snapshot_await(struct fiber *self, const struct log *l, const char *name)
{
	struct producer_state p;
	char *text;
	size_t size;
	bool good;

	if (load_beside_await(self, l, name, &text, &size) != OK)
		return true; /* it went meanwhile */
	producer_state_init(&p);
	good = producer_state_read(&p, bytes_of(text, size), 0) == OK;
	producer_state_fini(&p);
	mem_free(text);
	return good;
}

/*
 * Recovery does with an older one, and more of the log. They are written unsynced, so that a power failure may have left one torn, which is no
 * damage. One that is just being written is whole when it is read once more.
 */
static void check_snapshots_await(struct fiber *self, struct scrub *x)
{
	struct log *l = x->log;
	char path[LOG_PATH_SIZE];
	struct folder_list list;

	log_folder_path(l, path);
	if (folder_list_await(self, path, &list) != OK)
		return;
	for (size_t i = 0; i < list.count && !stopped(x); i++) {
		const char *name = list.entries[i].name;
		enum segment_file which;
		int64_t offset;

		if (segment_name_parse(bytes_str(name), &offset, &which) != OK || which != SEGMENT_SNAPSHOT)
			continue;
		if (is_snapshot_await(self, l, name) || l->saving_snapshot || is_snapshot_await(self, l, name) ||
		    l->saving_snapshot || stopped(x))
			continue;
		x->store->figures.snapshots_found_bad++;
		log_warn(log_logger(l), "%s-%d: %s: torn, or damaged: a recovery would use an older one", l->topic,
			 (int)l->partition, name);
	}
	folder_list_free(&list);
}

static void scrub_log_await(struct fiber *self, struct scrub *x, struct log *l)
{
	struct segment *s = NULL;
	enum err e = OK;

	x->log = l;
	x->segment = NULL;
	if (!l->folder_made || l->end == l->segments[0]->base_offset)
		return;
	check_epochs_await(self, x);
	if (!stopped(x))
		check_metadata_await(self, x);
	if (!stopped(x))
		check_snapshots_await(self, x);
	if (!stopped(x))
		s = l->segments[0];
	for (; s && e != ERR_CANCELLED; s = stopped(x) ? NULL : log_segment_after(l, s)) {
		x->segment = s;
		e = scrub_segment_await(self, x);
		if (e == ERR_CANCELLED && (s->replaced || list_linked(&s->grave)))
			e = OK; /* what took its place is of today */
		x->segment = NULL;
	}
}

/* --- all logs ------------------------------------------------------------------------------------------------------- */

static struct log *pin_from(struct store *s, struct list_node *n)
{
	for (; n != &s->logs.head; n = n->next) {
		struct log *l = container_of(n, struct log, node);

		if (log_is_taken(l) || !l->opened || l->move)
			continue;
		log_pin(l);
		return l;
	}
	return NULL;
}

static void pass_await(struct fiber *self, struct store *s)
{
	struct scrub x = {.store = s};
	struct log *l;

	x.memory = mem_alloc(CHUNK + FILE_DIRECT_UNIT);
	x.buffer = x.memory + (FILE_DIRECT_UNIT - (uintptr_t)x.memory % FILE_DIRECT_UNIT) % FILE_DIRECT_UNIT;
	l = pin_from(s, s->logs.head.next);
	while (l && enabled(s)) {
		struct log *next;

		scrub_log_await(self, &x, l);
		next = pin_from(s, l->node.next);
		log_unpin(l);
		l = next;
	}
	if (l)
		log_unpin(l);
	else
		s->figures.scrubs++;
	mem_free(x.memory);
}

static void scrub_main(struct fiber *self, void *argument)
{
	struct store *s = argument;

	while (!s->closing) {
		if (enabled(s) && shard_now_us(s->shard) >= s->next_scrub_us) {
			s->next_scrub_us = us_after_ms(shard_now_us(s->shard), s->settings.scrub_interval_ms);
			pass_await(self, s);
		}
		if (!s->closing &&
		    event_wait_await(self, &s->scrubbing, enabled(s) ? s->next_scrub_us : NEVER) == ERR_CANCELLED)
			fiber_yield_await(self);
	}
	s->scrub_runs = false;
	event_signal(&s->scrubbing);
}

void scrub_configure(struct store *s)
{
	int64_t now_us = shard_now_us(s->shard);
	int64_t interval_ms = s->settings.scrub_interval_ms;

	if (interval_ms <= 0)
		s->next_scrub_us = NEVER;
	else if (s->next_scrub_us == NEVER)
		s->next_scrub_us = us_after_ms(now_us, s->settings.initial_delay_ms);
	else if (s->next_scrub_us > us_after_ms(now_us, interval_ms))
		s->next_scrub_us = us_after_ms(now_us, interval_ms);
	event_signal(&s->scrubbing);
}

void scrub_start(struct store *s)
{
	static const struct fiber_options options = {.name = "log scrub", .stack_size = STACK_SIZE};
	struct fiber *fiber;

	event_init(&s->scrubbing);
	s->next_scrub_us = NEVER;
	s->scrub_runs = true;
	fiber = fiber_start(s->shard, &options, scrub_main, s);
	must(fiber != NULL); /* among the first fibers of a shard */
}

void scrub_stop_await(struct fiber *self, struct store *s)
{
	must(s->closing);
	event_signal(&s->scrubbing);
	while (s->scrub_runs)
		if (event_wait_await(self, &s->scrubbing, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
}
