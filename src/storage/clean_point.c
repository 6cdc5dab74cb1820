/*
 * clean_point: cleaner-offset-checkpoint of a log folder, in Kafka's format: up to where each log is compacted. Shard 0 writes it for all
 * shards. Losing it costs a cleaning of what was clean; it can never lose a record.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "runtime/call.h"
#include "storage/state.h"

#define CLEAN_POINTS "cleaner-offset-checkpoint"

static void points_path(const struct storage_folder *sf, char path[static LOG_PATH_SIZE])
{
	snprintf(path, LOG_PATH_SIZE, "%s/" CLEAN_POINTS, sf->path);
}

static void set(struct map *points, struct bytes topic, int32_t partition, int64_t offset)
{
	char key[LOG_NAME_SIZE];
	struct bytes name = log_key(key, topic, partition);
	struct clean_point *p = map_get(points, name);

	if (!p) {
		p = mem_new(struct clean_point);
		map_put(points, name, p);
	}
	p->offset = offset;
}

struct points_reader {
	struct checkpoint_visitor visitor;
	struct storage_folder *folder;
};

static void take_point(struct checkpoint_visitor *v, struct bytes topic, int32_t partition, int64_t offset)
{
	struct points_reader *r = container_of(v, struct points_reader, visitor);

	if (offset < 0)
		return;
	set(&r->folder->cleaned, topic, partition, offset);
	set(&r->folder->cleaned_now, topic, partition, offset);
}

enum err clean_point_load_await(struct fiber *self, struct storage_folder *sf)
{
	struct points_reader r = {.visitor = {.entry = take_point}, .folder = sf};
	char path[LOG_PATH_SIZE], *text;
	size_t size;
	enum err e;

	points_path(sf, path);
	e = file_load_await(self, path, CHECKPOINT_FILE_MAX, &text, &size);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	if (offset_checkpoint_read(bytes_of(text, size), &r.visitor) != OK)
		log_warn(shard_log(fiber_shard(self)), "%s: not readable; logs are compacted from their beginning",
			 path);
	mem_free(text);
	return OK;
}

static void free_points(struct map *m)
{
	const struct map_entry *at;
	size_t place = 0;

	while ((at = map_next(m, &place)) != NULL)
		mem_free(at->value);
	map_fini(m);
}

void clean_point_free(struct storage_folder *sf)
{
	free_points(&sf->cleaned);
	free_points(&sf->cleaned_now);
}

int64_t clean_point_of(const struct log *l)
{
	char key[LOG_NAME_SIZE];
	const struct clean_point *p = map_get(&l->folder->of->cleaned, log_key(key, bytes_str(l->topic), l->partition));

	return p ? p->offset : 0;
}

/* --- saving ------------------------------------------------------------------------------------------------------- */

struct saving {
	struct storage_folder *folder;
	struct storage *storage;
	struct bytes topic;
	int32_t partition;
	int64_t offset;
};

/* Nobody's data hangs on it, so its failure is nobody's. */
static void write_points_await(struct fiber *self, struct storage_folder *sf)
{
	const struct map_entry *at;
	char path[LOG_PATH_SIZE];
	size_t place = 0;
	struct buf out;

	buf_init(&out, CHECKPOINT_FILE_MAX);
	offset_checkpoint_write_head(&out, sf->cleaned_now.count);
	while ((at = map_next(&sf->cleaned_now, &place)) != NULL) {
		const struct clean_point *p = at->value;
		struct bytes topic;
		int32_t partition;

		if (folder_name_parse(bytes_of(at->key, at->key_size), &topic, &partition) == FOLDER_LOG)
			offset_checkpoint_write_entry(&out, topic, partition, p->offset);
	}
	points_path(sf, path);
	if (!out.error)
		(void)!file_replace_await(self, path, buf_bytes(&out));
	buf_fini(&out);
}

static void save_main(struct fiber *there, void *argument)
{
	struct saving *v = argument;
	struct store *s = v->storage->stores[0];
	char key[LOG_NAME_SIZE];
	struct bytes name = log_key(key, v->topic, v->partition);

	if (!s || s->folders[v->folder - v->storage->folders].offline)
		return;
	if (v->offset < 0 && !map_get(&v->folder->cleaned_now, name))
		return;
	if (v->offset < 0)
		mem_free(map_remove(&v->folder->cleaned_now, name));
	else
		set(&v->folder->cleaned_now, v->topic, v->partition, v->offset);
	store_enter(s);
	if (gate_enter_await(there, &s->clean_points, FIBER_NO_DEADLINE) == OK) {
		write_points_await(there, v->folder);
		gate_leave(&s->clean_points);
	}
	store_leave(s);
}

static void save_await(struct fiber *self, struct log *l, struct storage_folder *folder, int64_t offset)
{
	struct storage *st = l->store->storage;
	struct saving v = {
		.folder = folder,
		.storage = st,
		.topic = log_topic(l),
		.partition = l->partition,
		.offset = offset,
	};

	(void)!shard_call_await(self, runtime_shard(st->runtime, 0), "cleaner checkpoint", save_main, &v);
}

void clean_point_save_await(struct fiber *self, struct log *l, int64_t offset)
{
	/* Most logs were never compacted. */
	if (offset < 0 && !l->clean_offset && !l->config.cleanup_compact)
		return;
	save_await(self, l, l->folder->of, offset);
}

void clean_point_begin_await(struct fiber *self, struct log *l)
{
	if (clean_point_of(l) > 0)
		save_await(self, l, l->folder->of, -1);
}

void clean_point_move_await(struct fiber *self, struct log *l, struct storage_folder *from)
{
	if (!l->clean_offset && !l->config.cleanup_compact)
		return;
	save_await(self, l, l->folder->of, l->clean_offset);
	save_await(self, l, from, -1);
}
