/*
 * folder: the log folders of the process, opened and closed by shard 0: lock, ids, marker of a clean stop, checkpoints, manifest,
 * replay of the journals, what partitions are there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "storage/state.h"

#define MARKER ".kafka_cleanshutdown"
#define MANIFEST "moldau-manifest"
#define STATE "moldau-state"
#define CHECKPOINT_PREFIX "moldau-checkpoint-"
#define MANIFEST_MAX ((size_t)1 << 30)

static void path_in(struct storage_folder *sf, const char *name, char path[static LOG_PATH_SIZE])
{
	snprintf(sf->at_file, sizeof(sf->at_file), "%s", name);
	snprintf(path, LOG_PATH_SIZE, "%s/%s", sf->path, name);
}

struct bytes log_key(char key[static LOG_NAME_SIZE], struct bytes topic, int32_t partition)
{
	folder_name_format(key, topic, partition);
	return bytes_str(key);
}

struct log_bounds *bounds_of(struct map *bounds, struct bytes topic, int32_t partition, bool make)
{
	char key[LOG_NAME_SIZE];
	struct bytes name = log_key(key, topic, partition);
	struct log_bounds *b = map_get(bounds, name);

	if (!b && make) {
		b = mem_new(struct log_bounds);
		map_put(bounds, name, b);
	}
	return b;
}

static void free_values(struct map *m)
{
	const struct map_entry *at;
	size_t place = 0;

	while ((at = map_next(m, &place)) != NULL)
		mem_free(at->value);
	map_fini(m);
}

/* --- lock and ids ------------------------------------------------------------------------------------------------- */

/*
 * The names that lead to the folder. That they are there does not say that they are on the disk: who made them may have died before he
 * synced them. Above what we may open it is not ours to care.
 */
static enum err sync_way_await(struct fiber *self, const char *folder)
{
	char path[LOG_PATH_SIZE];
	size_t size = strlen(folder);
	enum err e = OK;

	snprintf(path, sizeof(path), "%s", folder);
	while (!e && size > 0) {
		while (size > 0 && path[size - 1] == '/')
			size--;
		while (size > 0 && path[size - 1] != '/')
			size--;
		path[size] = 0;
		e = folder_sync_await(self, size > 0 ? path : folder[0] == '/' ? "/" : ".");
		if (e == ERR_PERMISSION)
			return OK;
	}
	return e;
}

static enum err lock_folder_await(struct fiber *self, struct storage *s, struct storage_folder *sf)
{
	char path[LOG_PATH_SIZE];
	enum err e = folder_create_all_await(self, sf->path);

	if (!e && !s->options.sync_disabled)
		e = sync_way_await(self, sf->path);
	if (e)
		return e;
	path_in(sf, ".lock", path);
	e = file_open_await(self, path, FILE_READ | FILE_WRITE | FILE_CREATE, &sf->lock);
	return e ? e : file_lock_await(self, sf->lock);
}

/* meta.properties: OK with directory_id zero where there is none yet. */
static enum err load_meta_await(struct fiber *self, struct storage *s, struct storage_folder *sf, struct logger *log)
{
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e;

	path_in(sf, "meta.properties", path);
	e = file_load_await(self, path, SMALL_FILE_MAX, &text, &size);
	if (e == ERR_NOT_FOUND)
		return OK;
	if (e)
		return e;
	e = meta_properties_read(bytes_of(text, size), &sf->meta);
	mem_free(text);
	if (e) {
		log_error(log, "%s: not readable as meta.properties", path);
		return e;
	}
	if (sf->meta.node_id != s->options.node_id) {
		log_error(log, "%s: the folder belongs to node %d, this one is %d", path, (int)sf->meta.node_id,
			  (int)s->options.node_id);
		return ERR_CONFLICT;
	}
	if (s->cluster_id[0] && strcmp(s->cluster_id, sf->meta.cluster_id) != 0) {
		log_error(log, "%s: the folder belongs to cluster %s, this one is %s", path, sf->meta.cluster_id,
			  s->cluster_id);
		return ERR_CONFLICT;
	}
	snprintf(s->cluster_id, sizeof(s->cluster_id), "%s", sf->meta.cluster_id);
	return OK;
}

static enum err save_meta_await(struct fiber *self, struct storage *s, struct storage_folder *sf)
{
	char path[LOG_PATH_SIZE];
	struct buf out;
	enum err e;

	if (sf->meta.cluster_id[0] && !uuid_is_zero(sf->meta.directory_id))
		return OK;
	snprintf(sf->meta.cluster_id, sizeof(sf->meta.cluster_id), "%s", s->cluster_id);
	sf->meta.node_id = s->options.node_id;
	if (uuid_is_zero(sf->meta.directory_id))
		sf->meta.directory_id = uuid_random(shard_random(fiber_shard(self)));
	buf_init(&out, 4096);
	meta_properties_write(&sf->meta, &out);
	path_in(sf, "meta.properties", path);
	e = file_replace_await(self, path, buf_bytes(&out));
	buf_fini(&out);
	return e;
}

/* --- how the last run ended --------------------------------------------------------------------------------------- */

/* A run that is not known would void the journals, and with them what was acknowledged: then nobody starts. */
static enum err load_state_await(struct fiber *self, struct storage_folder *sf, struct logger *log)
{
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e;

	path_in(sf, STATE, path);
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

	path_in(sf, STATE, path);
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
	enum err e;

	path_in(sf, MARKER, path);
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
	path_in(sf, MANIFEST, path);
	e = file_load_await(self, path, MANIFEST_MAX, &text, &size);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	sf->manifest_text = text;
	sf->manifest_trusted = manifest_read(bytes_of(text, size), marker, &sf->manifest) == OK;
	if (!sf->manifest_trusted) {
		log_info(log, "%s: the manifest is not of the last clean stop: the partitions' folders are read",
			 sf->path);
		free_values(&sf->manifest);
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

	path_in(sf, name, path);
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
			path_in(sf, name, path);
			e = file_load_await(self, path, CHECKPOINT_FILE_MAX, &text, &size);
			if (e)
				break;
			if (bounds_checkpoint_read(bytes_of(text, size), &r.ours) != OK)
				log_warn(log, "%s: damaged; what it says of later lines is not used", path);
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
	path_in(sf, CHECKPOINT_PREFIX "start", path);
	e = file_replace_await(self, path, buf_bytes(&out));
	buf_fini(&out);
	for (size_t i = 0; i < list->count && !e; i++) {
		const char *name = list->entries[i].name;

		if (strncmp(name, CHECKPOINT_PREFIX, sizeof(CHECKPOINT_PREFIX) - 1) != 0 ||
		    strcmp(name, CHECKPOINT_PREFIX "start") == 0)
			continue;
		path_in(sf, name, path);
		e = file_remove_await(self, path);
		if (e == ERR_NOT_FOUND)
			e = OK; /* a leftover of a replacement, which took it */
	}
	return e;
}

/* --- what is there ------------------------------------------------------------------------------------------------ */

static enum err load_topic_id_await(struct fiber *self, struct storage_folder *sf, const char *name,
				    struct uuid *ret_id)
{
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e;

	snprintf(path, sizeof(path), "%s/%s/partition.metadata", sf->path, name);
	e = file_load_await(self, path, SMALL_FILE_MAX, &text, &size);
	if (e == ERR_NOT_FOUND)
		return OK;
	if (e)
		return e;
	(void)!partition_metadata_read(bytes_of(text, size), ret_id); /* torn at a power failure: unknown */
	mem_free(text);
	return OK;
}

static enum err find_log_await(struct fiber *self, struct storage *s, struct storage_folder *sf, const char *name,
			       struct bytes topic, int32_t partition, size_t *capacity)
{
	struct found_log found = {.partition = partition, .folder_index = (size_t)(sf - s->folders)};
	struct manifest_entry *entry = map_get(&sf->manifest, bytes_str(name));
	struct manifest_log m;
	enum err e = OK;

	if (entry && manifest_read_identity(entry->content, &m) == OK)
		found.topic_id = m.topic_id;
	else
		e = load_topic_id_await(self, sf, name, &found.topic_id);
	if (e)
		return e;
	found.topic = mem_alloc(topic.size + 1);
	memcpy(found.topic, topic.data, topic.size);
	found.topic[topic.size] = 0;
	s->found = mem_grow(s->found, capacity, s->found_count + 1, sizeof(*s->found));
	s->found[s->found_count++] = found;
	return OK;
}

static enum err find_logs_await(struct fiber *self, struct storage *s, struct storage_folder *sf, size_t *capacity,
				struct logger *log)
{
	struct folder_list list;
	enum err e = folder_list_await(self, sf->path, &list);

	if (e)
		return e;
	for (size_t i = 0; i < list.count && !e; i++) {
		struct bytes topic;
		int32_t partition;
		char path[LOG_PATH_SIZE];

		if (!list.entries[i].is_folder)
			continue;
		switch (folder_name_parse(bytes_str(list.entries[i].name), &topic, &partition)) {
		case FOLDER_LOG:
			e = find_log_await(self, s, sf, list.entries[i].name, topic, partition, capacity);
			break;
		case FOLDER_DELETED:
			path_in(sf, list.entries[i].name, path);
			log_info(log, "%s: finishing the deletion that the last run began", path);
			e = folder_remove_all_await(self, path);
			break;
		case FOLDER_STRAY:
		case FOLDER_OTHER:
			break;
		}
	}
	folder_list_free(&list);
	return e;
}

static int by_name(const void *a, const void *b)
{
	const struct found_log *x = a, *y = b;
	int order = strcmp(x->topic, y->topic);

	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static enum err recover_folder_await(struct fiber *self, struct storage *s, struct storage_folder *sf,
				     struct logger *log)
{
	struct folder_list list;
	char path[LOG_PATH_SIZE];
	uint64_t run = prng_next(shard_random(fiber_shard(self))) | 1;
	enum err e = load_state_await(self, sf, log);

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
	if (!e && !sf->clean && sf->run)
		e = journal_replay_await(self, s, sf, list.count, log);
	if (!e)
		e = merge_bounds_await(self, sf, &list);
	folder_list_free(&list);
	if (e)
		return e;
	/* From here on the folder is in use: the marker goes, and the journals' records of earlier runs are void. */
	path_in(sf, MARKER, path);
	e = file_remove_await(self, path);
	if (e && e != ERR_NOT_FOUND)
		return e;
	return save_state_await(self, sf, run);
}

static const char *reason_of(enum err e)
{
	if (e == ERR_BUSY)
		return "another process uses it (its .lock is taken)";
	if (e == ERR_CONFLICT)
		return "it was made for another broker or cluster";
	return e == ERR_EXISTS ? "a file, where a folder has to be" : err_text(e);
}

/* Whether the process can go on without this folder. */
static bool survivable(enum err e)
{
	return e == ERR_IO;
}

static enum err each_folder_await(struct fiber *self, struct storage *s,
				  enum err (*step_await)(struct fiber *, struct storage *, struct storage_folder *,
							 struct logger *))
{
	struct logger *log = shard_log(fiber_shard(self));

	for (size_t i = 0; i < s->folder_count; i++) {
		struct storage_folder *sf = &s->folders[i];
		enum err e = sf->online ? step_await(self, s, sf, log) : OK;

		if (!e)
			continue;
		if (sf->at_file[0] && e != ERR_BUSY)
			log_error(log, "log folder %s: %s: %s", sf->path, sf->at_file, reason_of(e));
		else
			log_error(log, "log folder %s: %s", sf->path, reason_of(e));
		if (!survivable(e))
			return e;
		sf->online = false;
	}
	return storage_online_folders(s) ? OK : ERR_IO;
}

static enum err lock_step_await(struct fiber *self, struct storage *s, struct storage_folder *sf, struct logger *log)
{
	enum err e = lock_folder_await(self, s, sf);

	return e ? e : load_meta_await(self, s, sf, log);
}

static enum err meta_step_await(struct fiber *self, struct storage *s, struct storage_folder *sf, struct logger *log)
{
	(void)log;
	return save_meta_await(self, s, sf);
}

static enum err open_folders_await(struct fiber *self, struct storage *s)
{
	size_t capacity = 0;
	enum err e = each_folder_await(self, s, lock_step_await);

	if (e)
		return e;
	if (!s->cluster_id[0]) {
		char text[UUID_TEXT_SIZE];

		uuid_format(uuid_random(shard_random(fiber_shard(self))), text);
		snprintf(s->cluster_id, sizeof(s->cluster_id), "%s", text);
	}
	e = each_folder_await(self, s, meta_step_await);
	if (!e)
		e = each_folder_await(self, s, recover_folder_await);
	for (size_t i = 0; i < s->folder_count && !e; i++)
		if (s->folders[i].online)
			e = find_logs_await(self, s, &s->folders[i], &capacity, shard_log(fiber_shard(self)));
	if (!e && s->found_count)
		qsort(s->found, s->found_count, sizeof(*s->found), by_name);
	s->accounted = mem_zalloc(s->found_count + 1);
	return e;
}

static void storage_free(struct storage *s)
{
	size_t closing = s->runtime ? runtime_shard_count(s->runtime) * s->folder_count : 0;

	for (size_t i = 0; i < s->folder_count; i++) {
		struct storage_folder *sf = &s->folders[i];

		file_close(sf->lock);
		free_values(&sf->bounds);
		free_values(&sf->recovery_points);
		free_values(&sf->manifest);
		clean_point_free(sf);
		mem_free(sf->manifest_text);
		mem_free(sf->path);
	}
	mem_free(s->accounted);
	for (size_t i = 0; i < s->found_count; i++)
		mem_free(s->found[i].topic);
	for (size_t i = 0; s->closing && i < closing; i++)
		buf_fini(&s->closing[i]);
	mem_free(s->closing);
	mem_free(s->lost);
	mem_free(s->found);
	mem_free(s->folders);
	mem_free(s->stores);
	mem_free(s);
}

enum err storage_open_await(struct fiber *self, const struct storage_options *o, struct storage **ret_storage)
{
	struct storage *s = mem_new(struct storage);
	unsigned shards;
	enum err e;

	must(o->folder_count > 0);
	s->options = *o;
	s->options.folders = NULL;
	s->options.cluster_id = NULL;
	s->runtime = shard_runtime(fiber_shard(self));
	shards = runtime_shard_count(s->runtime);
	s->stores = mem_zalloc(shards * sizeof(struct store *));
	s->folder_count = o->folder_count;
	s->folders = mem_zalloc(o->folder_count * sizeof(*s->folders));
	s->lost = mem_zalloc(shards * o->folder_count);
	s->closing = mem_zalloc(shards * o->folder_count * sizeof(*s->closing));
	for (size_t i = 0; i < shards * o->folder_count; i++)
		buf_init(&s->closing[i], MANIFEST_MAX);
	if (o->cluster_id)
		snprintf(s->cluster_id, sizeof(s->cluster_id), "%s", o->cluster_id);
	e = OK;
	for (size_t i = 0; i < o->folder_count; i++) {
		s->folders[i].path = mem_strdup(o->folders[i]);
		s->folders[i].online = true;
		map_init(&s->folders[i].bounds);
		map_init(&s->folders[i].recovery_points);
		map_init(&s->folders[i].manifest);
		map_init(&s->folders[i].cleaned);
		map_init(&s->folders[i].cleaned_now);
		if (strlen(o->folders[i]) > FOLDER_PATH_MAX)
			e = ERR_TOO_BIG;
	}
	if (!e)
		e = open_folders_await(self, s);
	if (e) {
		storage_free(s);
		return e;
	}
	*ret_storage = s;
	return OK;
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

struct close_files {
	struct buf manifest;
	struct buf recovery;
	struct buf start;
	struct buf replication;
	size_t count;
};

static void close_entry(struct close_files *c, struct bytes content)
{
	struct manifest_log m;

	if (manifest_read_identity(content, &m) != OK)
		return;
	buf_put_u32(&c->manifest, (uint32_t)content.size);
	buf_put_bytes(&c->manifest, content);
	offset_checkpoint_write_entry(&c->recovery, m.topic, m.partition, m.end);
	offset_checkpoint_write_entry(&c->start, m.topic, m.partition, m.start);
	offset_checkpoint_write_entry(&c->replication, m.topic, m.partition, m.end);
	c->count++;
}

/* What the shards closed, and what nobody opened in this run. */
static void close_entries(struct storage *s, size_t folder, struct close_files *c)
{
	const struct map_entry *at;
	size_t place = 0;

	for (unsigned shard = 0; shard < runtime_shard_count(s->runtime); shard++) {
		struct bytes rest = buf_bytes(&s->closing[shard * s->folder_count + folder]);

		while (rest.size >= 4) {
			uint32_t size = get_be32(rest.data);

			close_entry(c, bytes_of(rest.data + 4, size));
			rest = bytes_of(rest.data + 4 + size, rest.size - 4 - size);
		}
	}
	while ((at = map_next(&s->folders[folder].manifest, &place)) != NULL) {
		const struct manifest_entry *entry = at->value;

		if (!entry->taken)
			close_entry(c, entry->content);
	}
}

static enum err replace_await(struct fiber *self, struct storage_folder *sf, const char *name,
			      const struct buf *content)
{
	char path[LOG_PATH_SIZE];

	path_in(sf, name, path);
	return content->error ? content->error : file_replace_await(self, path, buf_bytes(content));
}

static enum err replace_checkpoint_await(struct fiber *self, struct storage_folder *sf, const char *name,
					 const struct buf *lines, size_t count)
{
	struct buf whole;
	enum err e;

	buf_init(&whole, MANIFEST_MAX);
	offset_checkpoint_write_head(&whole, count);
	buf_put_bytes(&whole, buf_bytes(lines));
	e = lines->error ? lines->error : replace_await(self, sf, name, &whole);
	buf_fini(&whole);
	return e;
}

static enum err close_folder_await(struct fiber *self, struct storage *s, size_t folder)
{
	struct storage_folder *sf = &s->folders[folder];
	struct close_files c = {0};
	struct buf marker;
	/* Above what a Kafka controller will ever count to, so that a marker of Kafka's is never taken for ours. */
	int64_t number = (int64_t)(prng_next(shard_random(fiber_shard(self))) >> 2) | ((int64_t)1 << 61);
	enum err e;

	buf_init(&c.manifest, MANIFEST_MAX);
	buf_init(&c.recovery, MANIFEST_MAX);
	buf_init(&c.start, MANIFEST_MAX);
	buf_init(&c.replication, MANIFEST_MAX);
	buf_init(&marker, 4096);
	manifest_write_head(&c.manifest, number);
	close_entries(s, folder, &c);
	manifest_write_end(&c.manifest);
	e = replace_await(self, sf, MANIFEST, &c.manifest);
	if (!e)
		e = replace_checkpoint_await(self, sf, "recovery-point-offset-checkpoint", &c.recovery, c.count);
	if (!e)
		e = replace_checkpoint_await(self, sf, "log-start-offset-checkpoint", &c.start, c.count);
	if (!e)
		e = replace_checkpoint_await(self, sf, "replication-offset-checkpoint", &c.replication, c.count);
	clean_marker_write(number, &marker);
	if (!e)
		e = replace_await(self, sf, MARKER, &marker);
	buf_fini(&c.manifest);
	buf_fini(&c.recovery);
	buf_fini(&c.start);
	buf_fini(&c.replication);
	buf_fini(&marker);
	return e;
}

/*
 * A log that was not opened, since the start failed or the log is damaged, and that no manifest tells of: a clean stop would forget its start and
 * what of it was acknowledged. The next start has them from where this one had them.
 */
static bool any_unaccounted(const struct storage *s, size_t folder)
{
	for (size_t i = 0; i < s->found_count; i++) {
		const struct found_log *f = &s->found[i];
		const struct manifest_entry *entry;
		char name[LOG_NAME_SIZE];

		if (f->folder_index != folder || s->accounted[i])
			continue;
		entry = map_get(&s->folders[folder].manifest, log_key(name, bytes_str(f->topic), f->partition));
		if (!entry || entry->taken)
			return true;
	}
	return false;
}

static bool lost_by_any(const struct storage *s, size_t folder)
{
	for (unsigned shard = 0; shard < runtime_shard_count(s->runtime); shard++)
		if (s->lost[shard * s->folder_count + folder])
			return true;
	return s->folders[folder].failed;
}

enum err storage_close_await(struct fiber *self, struct storage *s)
{
	enum err failure = OK;

	if (!s)
		return OK;
	for (size_t i = 0; i < s->folder_count; i++) {
		enum err e = OK;

		if (s->folders[i].online && !lost_by_any(s, i))
			e = any_unaccounted(s, i) ? OK : close_folder_await(self, s, i);
		else
			failure = failure ? failure : ERR_OFFLINE;
		failure = failure ? failure : e;
	}
	storage_free(s);
	return failure;
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

const char *storage_cluster_id(const struct storage *s)
{
	return s->cluster_id;
}

const struct found_log *storage_found(const struct storage *s, size_t *ret_count)
{
	*ret_count = s->found_count;
	return s->found;
}

const char *storage_first_folder(const struct storage *s)
{
	return s->folders[0].online ? s->folders[0].path : NULL;
}

size_t storage_online_folders(const struct storage *s)
{
	size_t count = 0;

	for (size_t i = 0; i < s->folder_count; i++)
		count += s->folders[i].online && !s->folders[i].failed;
	return count;
}

bool storage_was_clean(const struct storage *s)
{
	for (size_t i = 0; i < s->folder_count; i++)
		if (s->folders[i].online && !s->folders[i].clean)
			return s->found_count == 0;
	return true;
}

enum err storage_set_aside_await(struct fiber *self, struct storage *s, const struct found_log *f)
{
	struct storage_folder *sf = &s->folders[f->folder_index];
	char from[LOG_PATH_SIZE], to[LOG_PATH_SIZE], name[LOG_NAME_SIZE], id[UUID_TEXT_SIZE];
	struct manifest_entry *entry;
	enum err e;

	folder_name_format(name, bytes_str(f->topic), f->partition);
	uuid_format(uuid_random(shard_random(fiber_shard(self))), id);
	path_in(sf, name, from);
	snprintf(to, sizeof(to), "%s/%.*s.%s-stray", sf->path, 220, name, id);
	entry = map_get(&sf->manifest, bytes_str(name));
	if (entry)
		entry->taken = true;
	e = file_rename_await(self, from, to);
	if (!e)
		s->accounted[f - s->found] = true;
	return e ? e : folder_sync_await(self, sf->path);
}
