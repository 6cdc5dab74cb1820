/*
 * folder_found: what partitions are in the log folders at a start: listed, leftovers of deletions removed, strays set aside.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "storage/folder_own.h"

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

struct finder {
	struct storage *storage;
	struct storage_folder *folder;
	struct logger *log;
	size_t capacity;
	size_t future_capacity;
};

static void add(struct found_log **found, size_t *count, size_t *capacity, const struct found_log *f)
{
	*found = mem_grow(*found, capacity, *count + 1, sizeof(**found));
	(*found)[(*count)++] = *f;
}

static enum err find_log_await(struct fiber *self, struct finder *x, const char *name, struct bytes topic,
			       int32_t partition, bool future)
{
	struct storage *s = x->storage;
	struct storage_folder *sf = x->folder;
	struct found_log found = {.partition = partition, .folder_index = (size_t)(sf - s->folders)};
	struct manifest_entry *entry = future ? NULL : map_get(&sf->manifest, bytes_str(name));
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
	if (future) {
		found.folder_name = mem_strdup(name);
		add(&s->futures, &s->future_count, &x->future_capacity, &found);
	} else {
		add(&s->found, &s->found_count, &x->capacity, &found);
	}
	return OK;
}

static enum err find_one_await(struct fiber *self, struct finder *x, const char *name)
{
	char path[LOG_PATH_SIZE];
	struct bytes topic;
	int32_t partition;
	enum folder_kind kind = folder_name_parse(bytes_str(name), &topic, &partition);

	switch (kind) {
	case FOLDER_LOG:
	case FOLDER_FUTURE:
		return find_log_await(self, x, name, topic, partition, kind == FOLDER_FUTURE);
	case FOLDER_DELETED:
		if (x->storage->options.read_only)
			break;
		folder_path_in(x->folder, name, path);
		log_info(x->log, "%s: finishing the deletion that the last run began", path);
		return folder_remove_all_await(self, path);
	case FOLDER_STRAY:
	case FOLDER_OTHER:
		break;
	}
	return OK;
}

static enum err find_logs_await(struct fiber *self, struct finder *x)
{
	struct folder_list list;
	enum err e = folder_list_await(self, x->folder->path, &list);

	if (e)
		return e;
	for (size_t i = 0; i < list.count && !e; i++)
		if (list.entries[i].is_folder)
			e = find_one_await(self, x, list.entries[i].name);
	folder_list_free(&list);
	return e;
}

static int by_name(const void *a, const void *b)
{
	const struct found_log *x = a, *y = b;
	int order = strcmp(x->topic, y->topic);

	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

enum err folder_find_all_await(struct fiber *self, struct storage *s, struct logger *log)
{
	struct finder x = {.storage = s, .log = log};
	enum err e = OK;

	for (size_t i = 0; i < s->folder_count && !e; i++) {
		x.folder = &s->folders[i];
		if (x.folder->online)
			e = find_logs_await(self, &x);
	}
	if (!e && s->found_count)
		qsort(s->found, s->found_count, sizeof(*s->found), by_name);
	return e;
}

int32_t storage_latest_epoch_await(struct fiber *self, struct storage *s, const struct found_log *f)
{
	char path[LOG_PATH_SIZE], name[LOG_NAME_SIZE], *text;
	struct epoch_cache epochs;
	int32_t latest = -1;
	size_t size;

	folder_name_format(name, bytes_str(f->topic), f->partition);
	snprintf(path, sizeof(path), "%s/%s/leader-epoch-checkpoint", s->folders[f->folder_index].path, name);
	if (file_load_await(self, path, SMALL_FILE_MAX, &text, &size) != OK)
		return -1;
	epoch_cache_init(&epochs);
	if (epoch_checkpoint_read(bytes_of(text, size), &epochs) == OK && epochs.count)
		latest = epochs.entries[epochs.count - 1].epoch;
	epoch_cache_fini(&epochs);
	mem_free(text);
	return latest;
}

enum err storage_set_aside_await(struct fiber *self, struct storage *s, const struct found_log *f)
{
	struct storage_folder *sf = &s->folders[f->folder_index];
	char from[LOG_PATH_SIZE], to[LOG_PATH_SIZE], name[LOG_NAME_SIZE], id[UUID_TEXT_SIZE];
	struct manifest_entry *entry;
	enum err e;

	folder_name_format(name, bytes_str(f->topic), f->partition);
	uuid_format(uuid_random(shard_random(fiber_shard(self))), id);
	folder_path_in(sf, f->folder_name ? f->folder_name : name, from);
	snprintf(to, sizeof(to), "%s/%.*s.%s-stray", sf->path, 220, name, id);
	entry = f->folder_name ? NULL : map_get(&sf->manifest, bytes_str(name));
	if (entry)
		entry->taken = true;
	e = file_rename_await(self, from, to);
	if (!e && !f->folder_name)
		s->accounted[f - s->found] = true;
	return e ? e : folder_sync_await(self, sf->path);
}
