/*
 * folder: the log folders of the process, opened and closed by shard 0: locks, ids, and the order of what folder_own.h names.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "storage/folder_own.h"

void folder_path_in(struct storage_folder *sf, const char *name, char path[static LOG_PATH_SIZE])
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

void folder_free_values(struct map *m)
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
	enum err e = s->options.read_only ? OK : folder_create_all_await(self, sf->path);

	if (!e && !s->options.sync_disabled)
		e = sync_way_await(self, sf->path);
	if (e)
		return e;
	folder_path_in(sf, ".lock", path);
	e = file_open_await(self, path, FILE_READ | FILE_WRITE | (s->options.read_only ? 0 : FILE_CREATE), &sf->lock);
	if (e && s->options.read_only) /* nobody had one, or the file system is read-only: then nobody writes there */
		return e == ERR_NOT_FOUND || e == ERR_PERMISSION ? OK : e;
	return e ? e : file_lock_await(self, sf->lock);
}

/* meta.properties: OK with directory_id zero where there is none yet. */
static enum err load_meta_await(struct fiber *self, struct storage *s, struct storage_folder *sf, struct logger *log)
{
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e;

	folder_path_in(sf, "meta.properties", path);
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

	if ((sf->meta.cluster_id[0] && !uuid_is_zero(sf->meta.directory_id)) || s->options.read_only)
		return OK;
	snprintf(sf->meta.cluster_id, sizeof(sf->meta.cluster_id), "%s", s->cluster_id);
	sf->meta.node_id = s->options.node_id;
	if (uuid_is_zero(sf->meta.directory_id))
		sf->meta.directory_id = uuid_random(shard_random(fiber_shard(self)));
	buf_init(&out, 4096);
	meta_properties_write(&sf->meta, &out);
	folder_path_in(sf, "meta.properties", path);
	e = file_replace_await(self, path, buf_bytes(&out));
	buf_fini(&out);
	return e;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

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
		e = each_folder_await(self, s, folder_take_await);
	if (!e)
		e = folder_find_all_await(self, s, shard_log(fiber_shard(self)));
	if (!e)
		e = folder_settle_moves_await(self, s, shard_log(fiber_shard(self)));
	s->accounted = mem_zalloc(s->found_count + 1);
	s->futures_taken = mem_zalloc(s->future_count + 1);
	return e;
}

static void free_found(struct found_log *found, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		mem_free(found[i].topic);
		mem_free(found[i].folder_name);
	}
	mem_free(found);
}

static void storage_free(struct storage *s)
{
	size_t closing = s->runtime ? runtime_shard_count(s->runtime) * s->folder_count : 0;

	for (size_t i = 0; i < s->folder_count; i++) {
		struct storage_folder *sf = &s->folders[i];

		file_close(sf->lock);
		folder_free_values(&sf->bounds);
		folder_free_values(&sf->recovery_points);
		folder_free_values(&sf->manifest);
		clean_point_free(sf);
		mem_free(sf->manifest_text);
		mem_free(sf->path);
	}
	mem_free(s->accounted);
	mem_free(s->futures_taken);
	free_found(s->found, s->found_count);
	free_found(s->futures, s->future_count);
	for (size_t i = 0; s->closing && i < closing; i++)
		buf_fini(&s->closing[i]);
	mem_free(s->closing);
	mem_free(s->lost);
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
	s->options.sync_disabled |= o->read_only;
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
	if (s->options.read_only) {
		storage_free(s);
		return OK;
	}
	for (size_t i = 0; i < s->folder_count; i++) {
		enum err e = OK;

		if (s->folders[i].online && !lost_by_any(s, i))
			e = any_unaccounted(s, i) ? OK : folder_close_await(self, s, i);
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

const struct found_log *storage_found_futures(const struct storage *s, size_t *ret_count)
{
	*ret_count = s->future_count;
	return s->futures;
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
