/*
 * found: what was found in the data folders against what the metadata say: a Kafka node's folder is taken over, folders of partitions that
 * nobody knows are set aside, and where nothing at all says what the partitions are they are only read.
 */
#include "base/alloc.h"
#include "broker/broker_own.h"
#include "controller/adopt.h"
#include "controller/orphans.h"
#include "metastore/embedded/embedded.h"
#include "runtime/file.h"
#include "storage/log_name.h"

#define MAX_ORPHANED 1000000                 /* more partitions of a topic are no topic's */
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

/* --- folders without metadata ------------------------------------------------------------------------------------------- */

struct look_at {
	bool partitions;
	bool metadata; /* ours or Kafka's */
};

static enum err look_into_await(struct fiber *self, const char *folder, struct look_at *seen)
{
	struct folder_list list;
	enum err e = folder_list_await(self, folder, &list);

	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	for (size_t i = 0; i < list.count; i++) {
		const char *name = list.entries[i].name;
		struct bytes topic;
		int32_t partition;

		if (!list.entries[i].is_folder)
			continue;
		if (strcmp(name, EMBEDDED_FOLDER) == 0 || strcmp(name, ADOPT_FOLDER) == 0)
			seen->metadata = true;
		else
			seen->partitions |= folder_name_parse(bytes_str(name), &topic, &partition) == FOLDER_LOG;
	}
	folder_list_free(&list);
	return OK;
}

/* What a topic's settings are decides what may be deleted: where nobody knows them, all is only looked at. */
enum err found_look_await(struct fiber *self, struct broker *b)
{
	struct config_list folders = config_log_folders(b->config);
	struct look_at seen = {0};

	for (size_t i = 0; i < folders.count; i++)
		if (look_into_await(self, folders.items[i], &seen))
			return OK; /* the opening will say what is wrong with it */
	b->read_only = seen.partitions && !seen.metadata;
	return OK;
}

/* The partitions from `first` on that are of one topic; those that lie in between and are not there are offline. */
static enum err put_orphan_await(struct fiber *self, struct broker *b, const struct found_log *first, size_t count)
{
	struct orphan o = {.name = bytes_str(first->topic), .id = first->topic_id};
	int32_t *epochs;
	enum err e;

	o.partition_count = first[count - 1].partition + 1;
	epochs = mem_zalloc((size_t)o.partition_count * sizeof(*epochs));
	for (size_t i = 0; i < count; i++)
		epochs[first[i].partition] = storage_latest_epoch_await(self, b->storage, &first[i]);
	o.leader_epochs = epochs;
	e = orphans_put_await(self, b->metastore, b->node_id, &o);
	mem_free(epochs);
	return e;
}

static enum err take_orphans_await(struct fiber *self, struct broker *b)
{
	size_t count, topics = 0, end;
	const struct found_log *found = storage_found(b->storage, &count);
	enum err e = OK;

	for (size_t i = 0; i < count && !e; i = end) {
		for (end = i + 1; end < count && strcmp(found[end].topic, found[i].topic) == 0; end++)
			;
		if (found[end - 1].partition >= MAX_ORPHANED) {
			log_error(b->log, "%s-%d: no partition has such a number", found[i].topic,
				  found[end - 1].partition);
			return ERR_CORRUPT;
		}
		e = put_orphan_await(self, b, found + i, end - i);
		topics++;
	}
	if (!e)
		log_warn(b->log,
			 "READ ONLY: the data folders have %zu partitions of %zu topics, but nothing that says what "
			 "the topics are: "
			 "neither Moldau's metadata nor a Kafka node's " ADOPT_FOLDER
			 ". They are served as they are; whoever "
			 "wants to write, create, delete or alter anything is refused, nothing is deleted or "
			 "compacted, and no "
			 "file is changed",
			 count, topics);
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
		  "the data folders have %zu partitions (%s-%d ...), but the metadata in " EMBEDDED_FOLDER
		  " are empty and say nothing of their topics. Without their settings records could be lost, so "
		  "nothing was "
		  "changed. Restore the metadata, or take " EMBEDDED_FOLDER
		  " away, and the partitions can be read; or choose an empty folder in log.dirs",
		  orphans, first->topic, first->partition);
	return ERR_CONFLICT;
}

enum err found_check_await(struct fiber *self, struct broker *b)
{
	struct config_list folders = config_log_folders(b->config);
	enum err e = OK;

	if (b->read_only)
		return take_orphans_await(self, b);
	for (size_t i = 0; !e && i < folders.count; i++)
		e = adopt_from_await(self, b, folders.items[i]);
	return e ? e : refuse_orphans_await(self, b);
}

/* --- strays ------------------------------------------------------------------------------------------------------------- */

/* Whether there is a folder of this partition that says so itself. */
static bool is_elsewhere(const struct found_log *found, size_t count, const struct found_log *f, struct uuid topic_id)
{
	for (size_t i = 0; i < count; i++)
		if (found[i].partition == f->partition && strcmp(found[i].topic, f->topic) == 0 &&
		    uuid_equal(found[i].topic_id, topic_id))
			return true;
	return false;
}

/*
 * A folder that does not say whose it is - a power failure left its partition.metadata torn, before anything in it was acknowledged - is the
 * partition's if there is no other.
 */
static bool is_known(const struct image *image, const struct found_log *found, size_t count, const struct found_log *f)
{
	const struct image_topic *t = image_topic_by_name(image, bytes_str(f->topic));

	if (!t || f->partition >= t->partition_count)
		return false;
	return uuid_equal(f->topic_id, t->id) || (uuid_is_zero(f->topic_id) && !is_elsewhere(found, count, f, t->id));
}

/* Sets aside those that nobody knows; counts them. */
static enum err set_aside_await(struct fiber *self, struct broker *b, const struct found_log *found, size_t count,
				size_t *strays)
{
	for (size_t i = 0; i < count; i++) {
		enum err e;

		if (is_known(b->parts[0].shard.image, found, count, &found[i]) || is_kafkas_metadata(&found[i]))
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
