/*
 * folder_state: how the last run of a log folder ended: state, marker, manifest, checkpoints, bounds, journals; taken into use at the end.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "storage/folder_own.h"

#define STATE "moldau-state"
#define CHECKPOINT_PREFIX "moldau-checkpoint-"

/* A run that is not known would void the journals, and with them what was acknowledged: then nobody starts. */
static enum err load_state_await(struct fiber *self, struct storage_folder *sf, struct logger *log)
{
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e;

	folder_path_in(sf, STATE, path);
	e = file_load_await(self, path, SMALL_FILE_MAX, &text, &size);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	e = run_state_read(bytes_of(text, size), &sf->run);
	mem_free(text);
	if (e)
		log_error(log,
			  "%s: damaged, and only it says which records of the journals count. If the last stop was "
			  "clean, or if what "
			  "only the journals have may be lost, remove it and start again",
			  path);
	return e;
}

static enum err save_state_await(struct fiber *self, struct storage_folder *sf, uint64_t run)
{
	char path[LOG_PATH_SIZE];
	struct buf out;
	enum err e;

	folder_path_in(sf, STATE, path);
	buf_init(&out, SMALL_FILE_MAX);
	run_state_write(run, &out);
	e = file_replace_await(self, path, buf_bytes(&out));
	buf_fini(&out);
	if (!e)
		sf->run = run;
	return e;
}

/* The marker of a clean stop, ours or Kafka's; the manifest is good only with the very marker that it names. */
static enum err load_marker_await(struct fiber *self, struct storage_folder *sf, struct logger *log)
{
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	int64_t marker;
	bool ours; /* so that there is a manifest of it; above what a controller of Kafka's reaches (docs/on-disk-format.md) */
	enum err e;

	folder_path_in(sf, FOLDER_MARKER, path);
	e = file_load_await(self, path, SMALL_FILE_MAX, &text, &size);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	sf->clean = true;
	e = clean_marker_read(bytes_of(text, size), &marker);
	mem_free(text);
	if (e && size > 0) /* an older Kafka's is empty */
		log_warn(log,
			 "%s: damaged, though it says that the last stop was clean: the partitions' folders are read",
			 path);
	if (e)
		return OK;
	ours = marker >= INT64_C(1) << 61;
	folder_path_in(sf, FOLDER_MANIFEST, path);
	e = file_load_await(self, path, MANIFEST_MAX, &text, &size);
	if (e == ERR_NOT_FOUND && ours)
		log_warn(log, "%s: is missing, though the last stop was clean: the partitions' folders are read", path);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	sf->manifest_text = text;
	sf->manifest_trusted = manifest_read(bytes_of(text, size), marker, &sf->manifest) == OK;
	if (!sf->manifest_trusted) {
		log_write(log, ours ? LOG_WARN : LOG_INFO, "%s: %s: the partitions' folders are read", path,
			  ours ? "damaged" : "not of the last clean stop");
		folder_free_values(&sf->manifest);
		map_init(&sf->manifest);
	}
	return OK;
}

struct bounds_reader {
	struct bounds_visitor ours;
	struct checkpoint_visitor kafkas;
	struct storage_folder *folder;
	bool start; /* which of Kafka's two */
};

static void take_bounds(struct bounds_visitor *v, struct bytes topic, int32_t partition, const struct log_bounds *b)
{
	struct bounds_reader *r = container_of(v, struct bounds_reader, ours);

	*bounds_of(&r->folder->bounds, topic, partition, true) = *b;
}

static void take_offset(struct checkpoint_visitor *v, struct bytes topic, int32_t partition, int64_t offset)
{
	struct bounds_reader *r = container_of(v, struct bounds_reader, kafkas);
	struct log_bounds *b = bounds_of(&r->folder->recovery_points, topic, partition, true);

	if (r->start)
		b->start = offset > 0 ? offset : 0;
	else
		b->recovery_point = offset > 0 ? offset : 0;
}

static enum err load_kafka_checkpoint_await(struct fiber *self, struct storage_folder *sf, const char *name, bool start,
					    struct logger *log)
{
	struct bounds_reader r = {.kafkas = {.entry = take_offset}, .folder = sf, .start = start};
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e;

	folder_path_in(sf, name, path);
	e = file_load_await(self, path, CHECKPOINT_FILE_MAX, &text, &size);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	if (offset_checkpoint_read(bytes_of(text, size), &r.kafkas) != OK)
		log_warn(log, "%s: not readable; logs are scanned from their beginning", path);
	mem_free(text);
	return OK;
}

/* The merged one of the last start first, then what the shards have written since. */
static enum err load_bounds_await(struct fiber *self, struct storage_folder *sf, const struct folder_list *list,
				  struct logger *log)
{
	struct bounds_reader r = {.ours = {.entry = take_bounds}, .folder = sf};
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e = OK;

	for (int pass = 0; pass < 2 && !e; pass++) {
		for (size_t i = 0; i < list->count && !e; i++) {
			const char *name = list->entries[i].name;
			size_t length = strlen(name);

			if (strncmp(name, CHECKPOINT_PREFIX, sizeof(CHECKPOINT_PREFIX) - 1) != 0 ||
			    (length > 4 && strcmp(name + length - 4, ".tmp") == 0) ||
			    (strcmp(name, CHECKPOINT_PREFIX "start") == 0) != (pass == 0))
				continue;
			folder_path_in(sf, name, path);
			e = file_load_await(self, path, CHECKPOINT_FILE_MAX, &text, &size);
			if (e)
				break;
			if (bounds_checkpoint_read(bytes_of(text, size), &r.ours) != OK) {
				log_warn(log, "%s: damaged; what it says of later lines is not used", path);
				sf->bounds_doubtful = true;
			}
			mem_free(text);
		}
	}
	return e;
}

/* After a clean stop all is synced up to each log's end; what the shards' files say is older than what may have been cut since. */
static void bounds_from_manifest(struct storage_folder *sf)
{
	const struct map_entry *at;
	size_t place = 0;

	while ((at = map_next(&sf->manifest, &place)) != NULL) {
		const struct manifest_entry *entry = at->value;
		struct manifest_log m;

		if (manifest_read_identity(entry->content, &m) == OK)
			*bounds_of(&sf->bounds, m.topic, m.partition, true) = (struct log_bounds){m.topic_id, m.end,
												  m.start, m.end};
	}
}

/* One file instead of the shards': their number may change from start to start. */
static enum err merge_bounds_await(struct fiber *self, struct storage_folder *sf, const struct folder_list *list)
{
	char path[LOG_PATH_SIZE];
	const struct map_entry *at;
	size_t place = 0;
	struct buf out;
	enum err e;

	buf_init(&out, CHECKPOINT_FILE_MAX);
	bounds_checkpoint_write_head(&out);
	while ((at = map_next(&sf->bounds, &place)) != NULL) {
		struct bytes topic;
		int32_t partition;

		if (folder_name_parse(bytes_of(at->key, at->key_size), &topic, &partition) == FOLDER_LOG)
			bounds_checkpoint_write_entry(&out, topic, partition, at->value);
	}
	bounds_checkpoint_write_end(&out);
	folder_path_in(sf, CHECKPOINT_PREFIX "start", path);
	e = file_replace_await(self, path, buf_bytes(&out));
	buf_fini(&out);
	for (size_t i = 0; i < list->count && !e; i++) {
		const char *name = list->entries[i].name;

		if (strncmp(name, CHECKPOINT_PREFIX, sizeof(CHECKPOINT_PREFIX) - 1) != 0 ||
		    strcmp(name, CHECKPOINT_PREFIX "start") == 0)
			continue;
		folder_path_in(sf, name, path);
		e = file_remove_await(self, path);
		if (e == ERR_NOT_FOUND)
			e = OK; /* a leftover of a replacement, which took it */
	}
	return e;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

enum err folder_take_await(struct fiber *self, struct storage *s, struct storage_folder *sf, struct logger *log)
{
	struct folder_list list;
	char path[LOG_PATH_SIZE];
	uint64_t run = prng_next(shard_random(fiber_shard(self))) | 1;
	enum err e = load_state_await(self, sf, log);

	if (!s->options.read_only)
		reserve_begin_await(self, sf, log);
	if (!e)
		e = load_marker_await(self, sf, log);
	if (!e)
		e = load_kafka_checkpoint_await(self, sf, "recovery-point-offset-checkpoint", false, log);
	if (!e)
		e = load_kafka_checkpoint_await(self, sf, "log-start-offset-checkpoint", true, log);
	if (!e)
		e = clean_point_load_await(self, sf);
	if (!e)
		e = folder_list_await(self, sf->path, &list);
	if (e)
		return e;
	if (sf->clean)
		bounds_from_manifest(sf);
	else
		e = load_bounds_await(self, sf, &list, log);
	if (s->options.read_only) {
		folder_list_free(&list);
		return e;
	}
	if (!e && !sf->clean && sf->run)
		e = journal_replay_await(self, s, sf, list.count, log);
	if (!e)
		e = merge_bounds_await(self, sf, &list);
	folder_list_free(&list);
	if (e)
		return e;
	/* From here on the folder is in use: the marker goes, and the journals' records of earlier runs are void. */
	folder_path_in(sf, FOLDER_MARKER, path);
	e = file_remove_await(self, path);
	if (e && e != ERR_NOT_FOUND)
		return e;
	return save_state_await(self, sf, run);
}
