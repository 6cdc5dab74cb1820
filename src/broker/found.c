/*
 * found: what was found in the data folders against what the metadata say: a Kafka node's folder is taken over, folders of partitions that
 * nobody knows are set aside, and where nothing at all says what the partitions are the broker does not start.
 */
#include "broker/broker_own.h"
#include "controller/adopt.h"

#define KAFKAS_METADATA "__cluster_metadata" /* the log of a Kafka node's own metadata */

static bool is_kafkas_metadata(const struct found_log *f)
{
	return strcmp(f->topic, KAFKAS_METADATA) == 0;
}

static enum err adopt_from_await(struct fiber *self, struct broker *b, const char *log_folder)
{
	struct adopt_options o = {.store = b->metastore,
				  .cluster_id = storage_cluster_id(b->storage),
				  .node_id = b->node_id,
				  .clean = storage_was_clean(b->storage),
				  .log = b->log};
	struct buf folder;
	enum err e;

	buf_init(&folder, 8192);
	buf_printf(&folder, "%s/" ADOPT_FOLDER, log_folder);
	buf_put_i8(&folder, 0);
	o.folder = (const char *)folder.data;
	e = folder.error ? folder.error : adopt_await(self, &o);
	buf_fini(&folder);
	return e;
}

/* A new cluster would know none of them, and rename them all. */
static enum err refuse_orphans_await(struct fiber *self, struct broker *b)
{
	size_t count, orphans = 0;
	const struct found_log *found = storage_found(b->storage, &count), *first = NULL;
	enum err e = metastore_get_await(self, b->metastore, "/cluster/id", NULL, NULL, NULL);

	if (e != ERR_NOT_FOUND)
		return e;
	for (size_t i = 0; i < count; i++) {
		if (is_kafkas_metadata(&found[i]))
			continue;
		first = first ? first : &found[i];
		orphans++;
	}
	if (!first)
		return OK;
	log_error(b->log,
		  "the data folders have %zu partitions (%s-%d ...), but nothing that says what their topics are: "
		  "neither "
		  "Moldau's metadata nor a Kafka node's __cluster_metadata-0. Without their "
		  "settings records could be lost, so nothing was changed. Restore the metadata, or choose an empty "
		  "folder in log.dirs",
		  orphans, first->topic, first->partition);
	return ERR_CONFLICT;
}

enum err found_check_await(struct fiber *self, struct broker *b)
{
	struct config_list folders = config_log_folders(b->config);
	enum err e = OK;

	for (size_t i = 0; !e && i < folders.count; i++)
		e = adopt_from_await(self, b, folders.items[i]);
	return e ? e : refuse_orphans_await(self, b);
}

static bool is_known(const struct image *image, const struct found_log *f)
{
	const struct image_topic *t = image_topic_by_name(image, bytes_str(f->topic));

	return t && f->partition < t->partition_count && (uuid_is_zero(f->topic_id) || uuid_equal(f->topic_id, t->id));
}

/* Sets aside those that nobody knows; counts them. */
static enum err set_aside_await(struct fiber *self, struct broker *b, const struct found_log *found, size_t count,
				size_t *strays)
{
	for (size_t i = 0; i < count; i++) {
		enum err e;

		if (is_known(b->parts[0].shard.image, &found[i]) || is_kafkas_metadata(&found[i]))
			continue;
		e = storage_set_aside_await(self, b->storage, &found[i]);
		if (e) {
			log_error(b->log, "%s-%d, which is no topic of this cluster, cannot be set aside: %s",
				  found[i].topic, found[i].partition, err_text(e));
			return e;
		}
		if ((*strays)++ < 10)
			log_warn(b->log,
				 "%s-%d is no topic of this cluster: its folder was renamed to *-stray and kept",
				 found[i].topic, found[i].partition);
	}
	return OK;
}

enum err found_strays_await(struct fiber *self, struct broker *b)
{
	size_t count, strays = 0;
	const struct found_log *found = storage_found(b->storage, &count);
	enum err e = set_aside_await(self, b, found, count, &strays);

	if (e)
		return e;
	found = storage_found_futures(b->storage, &count);
	e = set_aside_await(self, b, found, count, &strays);
	if (strays > 10)
		log_warn(b->log, "%zu folders in all are no topics of this cluster and were renamed to *-stray",
			 strays);
	return e;
}
