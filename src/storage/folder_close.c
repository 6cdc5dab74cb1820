/*
 * folder_close: the files of a clean stop: the manifest of all logs of a folder, Kafka's checkpoints, and last the marker that makes them count.
 */
#include "base/alloc.h"
#include "storage/folder_own.h"

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

	folder_path_in(sf, name, path);
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

enum err folder_close_await(struct fiber *self, struct storage *s, size_t folder)
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
	e = replace_await(self, sf, FOLDER_MANIFEST, &c.manifest);
	if (!e)
		e = replace_checkpoint_await(self, sf, "recovery-point-offset-checkpoint", &c.recovery, c.count);
	if (!e)
		e = replace_checkpoint_await(self, sf, "log-start-offset-checkpoint", &c.start, c.count);
	if (!e)
		e = replace_checkpoint_await(self, sf, "replication-offset-checkpoint", &c.replication, c.count);
	clean_marker_write(number, &marker);
	if (!e)
		e = replace_await(self, sf, FOLDER_MARKER, &marker);
	buf_fini(&c.manifest);
	buf_fini(&c.recovery);
	buf_fini(&c.start);
	buf_fini(&c.replication);
	buf_fini(&marker);
	return e;
}
