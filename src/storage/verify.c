/* verify: see the header. Here: a log folder's own files, what they say of its logs, and whose turn it is. */
#include "storage/verify.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/reader.h"
#include "record/compress.h"
#include "storage/verify_own.h"

/* Brokers' epochs of Kafka's controllers stay far below; ours are drawn above (docs/on-disk-format.md). */
#define OUR_MARKERS (INT64_C(1) << 61)
#define MANIFEST_FILE_MAX ((size_t)1 << 30)
#define SCRATCH_MAX ((size_t)1 << 30)
#define MARKER_FILE ".kafka_cleanshutdown"
#define MANIFEST_FILE "moldau-manifest"
#define STATE_FILE "moldau-state"

/* Names may come out of damaged files. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
}

void verify_say(struct verify *v, enum verify_grade grade, const char *folder, const char *file, int64_t position,
		int64_t offset, const char *format, ...)
{
	char path[LOG_PATH_SIZE], text[VERIFY_TEXT_SIZE * 2];
	struct verify_finding f = {.grade = grade, .path = path, .position = position, .offset = offset, .text = text};
	va_list arguments;

	snprintf(path, sizeof(path), "%s%s%s", folder, folder[0] && file ? "/" : "", file ? file : "");
	if (!path[0])
		snprintf(path, sizeof(path), ".");
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	make_printable(path);
	make_printable(text);
	if (grade == VERIFY_DAMAGE)
		v->counts.damages++;
	else
		v->counts.notes++;
	v->options->found(v->options->user, &f);
}

void verify_path(const struct verify *v, const char *folder, const char *file, char ret_path[static LOG_PATH_SIZE])
{
	snprintf(ret_path, LOG_PATH_SIZE, "%s%s%s%s%s", v->options->path, folder[0] ? "/" : "", folder, file ? "/" : "",
		 file ? file : "");
}

bool verify_load_await(struct fiber *self, struct verify *v, const char *folder, const char *file, size_t max,
		       char **ret_text, size_t *ret_size, bool *ret_missing)
{
	char path[LOG_PATH_SIZE];
	enum err e;

	verify_path(v, folder, file, path);
	e = file_load_await(self, path, max, ret_text, ret_size);
	*ret_missing = e == ERR_NOT_FOUND;
	if (e && e != ERR_NOT_FOUND)
		verify_say(v, VERIFY_DAMAGE, folder, file, -1, -1, "cannot be read: %s", err_text(e));
	return !e;
}

/* A file of the folder itself. */
static bool load_await(struct fiber *self, struct verify *v, const char *file, size_t max, char **ret_text,
		       size_t *ret_size)
{
	bool missing;

	if (!verify_load_await(self, v, "", file, max, ret_text, ret_size, &missing))
		return false;
	v->counts.small_files++;
	return true;
}

static void damaged(struct verify *v, const char *file, const char *text)
{
	verify_say(v, VERIFY_DAMAGE, "", file, -1, -1, "%s", text);
}

/* --- facts ------------------------------------------------------------------------------------------------------- */

static struct verify_facts *facts_of(struct verify *v, struct bytes topic, int32_t partition)
{
	char key[LOG_NAME_SIZE];
	struct bytes name = log_key(key, topic, partition);
	struct verify_facts *f = map_get(&v->facts, name);

	if (f)
		return f;
	f = mem_new(struct verify_facts);
	f->recovery_point = f->checkpoint_start = f->replicated = f->cleaned = -1;
	epoch_cache_init(&f->epochs);
	map_put(&v->facts, name, f);
	return f;
}

static void facts_free_all(struct verify *v)
{
	const struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&v->facts, &place))) {
		struct verify_facts *f = entry->value;

		epoch_cache_fini(&f->epochs);
		mem_free(f->segments);
		mem_free(f);
	}
	map_fini(&v->facts);
	place = 0;
	while ((entry = map_next(&v->replays, &place)))
		mem_free(entry->value);
	map_fini(&v->replays);
}

struct checkpoint_reader {
	struct checkpoint_visitor kafkas;
	struct bounds_visitor ours;
	struct verify *v;
	size_t field; /* of struct verify_facts, where the offsets go */
};

static void take_offset(struct checkpoint_visitor *visitor, struct bytes topic, int32_t partition, int64_t offset)
{
	struct checkpoint_reader *r = container_of(visitor, struct checkpoint_reader, kafkas);

	*(int64_t *)((char *)facts_of(r->v, topic, partition) + r->field) = offset;
}

static void take_bounds(struct bounds_visitor *visitor, struct bytes topic, int32_t partition,
			const struct log_bounds *b)
{
	struct checkpoint_reader *r = container_of(visitor, struct checkpoint_reader, ours);
	struct verify_facts *f = facts_of(r->v, topic, partition);

	f->bounds = *b;
	f->has_bounds = true;
}

/* True when it was read. */
static bool check_offsets_await(struct fiber *self, struct verify *v, const char *file, size_t field)
{
	struct checkpoint_reader r = {.kafkas.entry = take_offset, .v = v, .field = field};
	char *text = NULL;
	size_t size = 0;
	bool read = false;

	if (load_await(self, v, file, CHECKPOINT_FILE_MAX, &text, &size)) {
		read = offset_checkpoint_read(bytes_of(text, size), &r.kafkas) == OK;
		if (!read)
			damaged(v, file, "not a list of topic, partition and offset as long as it says");
	} else if (v->by_manifest) {
		damaged(v, file, "it is missing, though a clean stop leaves it");
	}
	mem_free(text);
	return read;
}

/* False when the file is not this pass's: the one of the last start first, then what the shards have written since. */
static bool is_bounds_file(const char *name, int pass)
{
	size_t length = strlen(name);

	return strncmp(name, "moldau-checkpoint-", 18) == 0 &&
	       !(length > 4 && strcmp(name + length - 4, ".tmp") == 0) &&
	       (strcmp(name, "moldau-checkpoint-start") == 0) == (pass == 0);
}

static void ignore_bounds(struct bounds_visitor *visitor, struct bytes topic, int32_t partition,
			  const struct log_bounds *b)
{
	(void)visitor;
	(void)topic;
	(void)partition;
	(void)b;
}

/* After a clean stop the manifest counts instead: then they only have to be whole. */
static void check_bounds_await(struct fiber *self, struct verify *v, const struct folder_list *list)
{
	for (size_t i = 0; i < 2 * list->count; i++) {
		struct checkpoint_reader r = {.ours.entry = v->clean ? ignore_bounds : take_bounds, .v = v};
		const char *name = list->entries[i % list->count].name;
		char *text = NULL;
		size_t size = 0;

		if (!is_bounds_file(name, i >= list->count))
			continue;
		if (load_await(self, v, name, CHECKPOINT_FILE_MAX, &text, &size) &&
		    bounds_checkpoint_read(bytes_of(text, size), &r.ours) != OK)
			damaged(v, name, "it does not parse, or its checksum does not match");
		mem_free(text);
	}
}

/* --- the manifest ------------------------------------------------------------------------------------------------ */

static bool read_manifest_segments(struct reader *r, struct verify_facts *f)
{
	int32_t count = reader_i32(r);

	if (r->error || count < 1 || (size_t)count > reader_left(r) / 48)
		return false;
	f->segments = mem_alloc((size_t)count * sizeof(*f->segments));
	for (int32_t i = 0; i < count; i++) {
		struct verify_segment_facts *s = &f->segments[f->segment_count++];

		s->base_offset = reader_i64(r);
		s->size = reader_i64(r);
		reader_skip(r, 24);
		s->index_bytes = reader_i64(r);
	}
	return !r->error;
}

static bool read_manifest_log(struct verify *v, struct bytes content)
{
	struct manifest_log m;
	struct verify_facts *f;
	struct reader r;
	int32_t count;

	if (manifest_read_identity(content, &m) != OK)
		return false;
	f = facts_of(v, m.topic, m.partition);
	f->topic_id = m.topic_id;
	f->start = m.start;
	f->end = m.end;
	r = reader_of(content);
	reader_skip(&r, 2 + m.topic.size + 4 + 16 + 8 + 8 + 8);
	if (!read_manifest_segments(&r, f))
		return false;
	count = reader_i32(&r);
	for (int32_t i = 0; i < count && !r.error; i++) {
		int32_t epoch = reader_i32(&r);
		int64_t start = reader_i64(&r);

		if (r.error || epoch_cache_assign(&f->epochs, epoch, start) != OK)
			return false;
	}
	f->by_manifest = !r.error;
	return f->by_manifest;
}

/* Its sum was looked at. */
static bool read_manifest(struct verify *v, struct bytes file)
{
	struct reader r = reader_of(file);

	if (reader_u32(&r) != 0x4d4d4631u)
		return false;
	(void)reader_i64(&r);
	for (;;) {
		uint32_t size = reader_u32(&r);
		struct bytes content = reader_bytes(&r, size);

		if (r.error)
			return false;
		if (size == 0)
			return true;
		if (!read_manifest_log(v, content))
			return false;
	}
}

static void check_manifest_await(struct fiber *self, struct verify *v, int64_t marker)
{
	char *text = NULL;
	size_t size = 0;
	struct bytes file;

	if (!load_await(self, v, MANIFEST_FILE, MANIFEST_FILE_MAX, &text, &size)) {
		if (marker >= OUR_MARKERS)
			damaged(v, MANIFEST_FILE, "it is missing, though the marker of a clean stop is Moldau's");
		return;
	}
	file = bytes_of(text, size);
	if (size < 20 || crc32c(0, bytes_of(file.data, size - 4)) != get_be32(file.data + size - 4))
		damaged(v, MANIFEST_FILE, "its CRC does not match");
	else if ((int64_t)get_be64(file.data + 4) != marker)
		verify_say(v, marker >= OUR_MARKERS ? VERIFY_DAMAGE : VERIFY_NOTE, "", MANIFEST_FILE, -1, -1,
			   "it is of another clean stop than the marker: it is not used");
	else if (!read_manifest(v, file))
		damaged(v, MANIFEST_FILE, "it does not parse, though its CRC is right");
	else
		v->ours = v->by_manifest = true;
	mem_free(text);
}

static bool has_name(const struct folder_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->entries[i].name, name) == 0)
			return true;
	return false;
}

static void check_marker_await(struct fiber *self, struct verify *v, const struct folder_list *list)
{
	int64_t marker = 0;
	char *text = NULL;
	size_t size = 0;

	if (!load_await(self, v, MARKER_FILE, VERIFY_SMALL_MAX, &text, &size)) {
		verify_say(v, VERIFY_NOTE, "", MARKER_FILE, -1, -1,
			   "it is not there: the last stop was none, or not clean; what was not synced is not judged");
		return;
	}
	v->clean = true;
	/* Older Kafka's are empty, Moldau's never. */
	if ((size > 0 || has_name(list, MANIFEST_FILE)) && clean_marker_read(bytes_of(text, size), &marker) != OK)
		damaged(v, MARKER_FILE, "not the JSON that a clean stop leaves");
	else
		check_manifest_await(self, v, marker);
	mem_free(text);
}

/* --- the run ----------------------------------------------------------------------------------------------------- */

static uint64_t check_state_await(struct fiber *self, struct verify *v)
{
	uint64_t run = 0;
	char *text = NULL;
	size_t size = 0;

	if (!load_await(self, v, STATE_FILE, VERIFY_SMALL_MAX, &text, &size))
		return 0;
	v->ours = v->ours || !v->clean;
	if (run_state_read(bytes_of(text, size), &run) != OK)
		damaged(v, STATE_FILE, "not a version, a run of 16 hexadecimal digits, and their checksum");
	mem_free(text);
	return run;
}

/* --- the folder -------------------------------------------------------------------------------------------------- */

static void check_meta_await(struct fiber *self, struct verify *v)
{
	struct meta_properties m;
	char *text = NULL;
	size_t size = 0;

	if (!load_await(self, v, "meta.properties", VERIFY_SMALL_MAX, &text, &size))
		verify_say(v, VERIFY_DAMAGE, "", "meta.properties", -1, -1,
			   "it is missing: nobody can tell whose folder this is");
	else if (meta_properties_read(bytes_of(text, size), &m) != OK)
		damaged(v, "meta.properties", "it does not say version, cluster.id and node.id");
	mem_free(text);
}

static const char *checkpoint_of(const struct verify_facts *f)
{
	return f->recovery_point >= 0     ? "recovery-point-offset-checkpoint"
	       : f->checkpoint_start >= 0 ? "log-start-offset-checkpoint"
					  : "replication-offset-checkpoint";
}

static bool had_records(const struct verify_facts *f)
{
	return f->recovery_point > 0 || f->bounds.recovery_point > 0 || f->bounds.acknowledged > 0;
}

static void check_unseen(struct verify *v)
{
	const struct map_entry *entry;
	size_t place = 0;

	while ((entry = map_next(&v->facts, &place))) {
		const struct verify_facts *f = entry->value;

		/* The cleaner's checkpoint may still have a topic that is gone. */
		if (f->seen || (!f->by_manifest && !had_records(f) && f->recovery_point < 0 &&
				f->checkpoint_start < 0 && f->replicated < 0))
			continue;
		if (v->by_manifest && !f->by_manifest) {
			verify_say(v, VERIFY_DAMAGE, "", checkpoint_of(f), -1, -1,
				   "%.*s: at the last clean stop there was no such log", (int)entry->key_size,
				   (const char *)entry->key);
			continue;
		}
		if (!f->by_manifest && !had_records(f))
			continue;
		verify_say(v, f->by_manifest && f->end > f->start ? VERIFY_DAMAGE : VERIFY_NOTE, "", NULL, -1, -1,
			   "the folder %.*s is missing, though %s names it", (int)entry->key_size,
			   (const char *)entry->key, f->by_manifest ? MANIFEST_FILE : "a checkpoint");
	}
}

static enum err check_logs_await(struct fiber *self, struct verify *v, const struct folder_list *list)
{
	enum err e = OK;

	for (size_t i = 0; i < list->count && !e; i++) {
		const char *name = list->entries[i].name;
		struct bytes topic;
		int32_t partition;
		struct verify_facts *f;

		if (!list->entries[i].is_folder)
			continue;
		switch (folder_name_parse(bytes_str(name), &topic, &partition)) {
		case FOLDER_LOG:
			f = facts_of(v, topic, partition);
			e = verify_log_await(self, v, name, f);
			break;
		case FOLDER_DELETED:
			verify_say(v, VERIFY_NOTE, name, NULL, -1, -1, "on its way out: not looked at");
			break;
		case FOLDER_STRAY:
			verify_say(v, VERIFY_NOTE, name, NULL, -1, -1, "set aside: not looked at");
			break;
		case FOLDER_FUTURE:
			verify_say(v, VERIFY_NOTE, name, NULL, -1, -1,
				   "a copy of a log on its way here: not looked at");
			break;
		case FOLDER_OTHER:
			break;
		}
	}
	return e;
}

static enum err check_folder_await(struct fiber *self, struct verify *v, const struct folder_list *list)
{
	uint64_t run;
	enum err e;

	check_meta_await(self, v);
	check_marker_await(self, v, list);
	run = check_state_await(self, v);
	v->has_recovery_points = check_offsets_await(self, v, "recovery-point-offset-checkpoint",
						     offsetof(struct verify_facts, recovery_point));
	v->has_starts = check_offsets_await(self, v, "log-start-offset-checkpoint",
					    offsetof(struct verify_facts, checkpoint_start));
	v->has_replicated = check_offsets_await(self, v, "replication-offset-checkpoint",
						offsetof(struct verify_facts, replicated));
	if (has_name(list, "cleaner-offset-checkpoint"))
		(void)check_offsets_await(self, v, "cleaner-offset-checkpoint", offsetof(struct verify_facts, cleaned));
	check_bounds_await(self, v, list);
	/* After a clean stop nobody reads the journals. */
	if (!v->clean && run)
		verify_journals_await(self, v, list, run);
	e = check_logs_await(self, v, list);
	check_unseen(v);
	return e;
}

static bool has_segments(const struct folder_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		enum segment_file which;
		int64_t base;

		if (segment_name_parse(bytes_str(list->entries[i].name), &base, &which) == OK)
			return true;
	}
	return false;
}

/* Held while the folder is looked at. Where it cannot be taken for want of rights nobody writes either. */
static enum err lock_await(struct fiber *self, struct verify *v, struct file **ret_lock)
{
	char path[LOG_PATH_SIZE];
	struct file *f = NULL;
	enum err e;

	verify_path(v, "", ".lock", path);
	if (file_open_await(self, path, FILE_READ | FILE_WRITE, &f) != OK)
		return OK;
	e = file_lock_await(self, f);
	if (e) {
		file_close(f);
		return e;
	}
	*ret_lock = f;
	return OK;
}

static enum err look_await(struct fiber *self, struct verify *v, const struct folder_list *list)
{
	struct verify_facts alone = {
		.alone = true, .recovery_point = -1, .checkpoint_start = -1, .replicated = -1, .cleaned = -1};
	struct file *lock = NULL;
	enum err e;

	if (has_segments(list))
		return verify_log_await(self, v, "", &alone);
	if (!has_name(list, "meta.properties") && !has_name(list, ".lock"))
		return ERR_USAGE;
	e = lock_await(self, v, &lock);
	if (!e)
		e = check_folder_await(self, v, list);
	file_close(lock);
	return e;
}

enum err verify_await(struct fiber *self, const struct verify_options *o, struct verify_counts *ret_counts)
{
	struct verify *v = mem_new(struct verify);
	struct folder_list list;
	enum err e;

	v->options = o;
	map_init(&v->facts);
	map_init(&v->replays);
	buf_init(&v->scratch, SCRATCH_MAX);
	v->compressor = o->deep ? compressor_new() : NULL;
	e = folder_list_await(self, o->path, &list);
	if (!e) {
		e = look_await(self, v, &list);
		folder_list_free(&list);
	}
	*ret_counts = v->counts;
	facts_free_all(v);
	compressor_free(v->compressor);
	buf_fini(&v->scratch);
	mem_free(v);
	return e;
}
