/* adopt: see the header. From top to bottom: the files, what may be taken over, the writing. */
#include "controller/adopt.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "controller/features.h"
#include "controller/kraft.h"
#include "controller/state.h"
#include "record/batch.h"
#include "runtime/file.h"

#define MAX_PICTURE ((size_t)1 << 30)
#define WINDOW_BYTES ((size_t)4 << 20)
#define MAX_WINDOW ((size_t)128 << 20) /* a batch of Kafka's metadata log has 8 MiB at most */
#define MAX_TAIL ((size_t)32 << 20)
#define BATCH_BYTES (METASTORE_MAX_BYTES / 2)
#define PATH_BYTES 4096

struct adoption {
	const struct adopt_options *o;
	struct kraft_picture *picture;
	struct arena arena;
	/* What is to be written next. */
	struct metastore_op *ops;
	size_t op_count;
	size_t op_capacity;
	size_t op_bytes;
};

/* --- the files --------------------------------------------------------------------------------------------------------------- */

/* The number in front of a file's name, which has 20 digits. */
static bool number_of(const char *name, const char *ending, int64_t *ret_number)
{
	size_t size = strlen(name), end = strlen(ending);
	int64_t number = 0;

	if (size < 20 + end || strcmp(name + size - end, ending) != 0)
		return false;
	for (size_t i = 0; i < 20; i++) {
		if (name[i] < '0' || name[i] > '9' || number > (INT64_MAX - 9) / 10)
			return false;
		number = number * 10 + (name[i] - '0');
	}
	*ret_number = number;
	return true;
}

/* Batch by batch through a window, which grows when a batch is larger. ret_used: up to where the file was understood. */
static enum err take_open_file_await(struct fiber *self, struct adoption *a, struct file *f, int64_t from_offset,
				     int64_t *ret_used)
{
	size_t capacity = WINDOW_BYTES, have = 0;
	uint8_t *window = mem_alloc(capacity);
	int64_t at = 0;
	enum err e;

	for (;;) {
		size_t count, used = 0;

		e = file_read_await(self, f, window + have, capacity - have, at + (int64_t)have, &count);
		if (e)
			break;
		have += count;
		e = kraft_take_batches(a->picture, bytes_of(window, have), from_offset, &used);
		at += (int64_t)used;
		have -= used;
		if (e || (!count && !used))
			break;
		memmove(window, window + used, have);
		if (!used && have == capacity) {
			if (capacity >= MAX_WINDOW) {
				e = ERR_CORRUPT;
				break;
			}
			capacity *= 2;
			window = mem_realloc(window, capacity);
		}
	}
	mem_free(window);
	*ret_used = at;
	if (!e && have)
		e = ERR_CORRUPT; /* the front of a batch */
	return e;
}

/* Of what lies behind damage in a file; a rest that is larger than a tail can be counts as one with batches. */
static enum err holds_batch_await(struct fiber *self, struct file *f, int64_t from, bool *ret_holds)
{
	uint8_t *rest = mem_alloc(MAX_TAIL);
	size_t size = 0;
	enum err e = file_read_await(self, f, rest, MAX_TAIL, from, &size);

	*ret_holds = size == MAX_TAIL;
	for (size_t at = 1; !e && !*ret_holds && at < size; at++) {
		struct bytes bytes = bytes_of(rest + at, size - at), batch;
		struct batch_header h;

		*ret_holds = !batch_next(&bytes, &h, &batch) && batch_crc_ok(batch);
	}
	mem_free(rest);
	return e;
}

/* A kill may have cut the last file in the middle of a batch, and Kafka cuts that off as well. Anything else is damage. */
static enum err torn_tail_await(struct fiber *self, struct adoption *a, struct file *f, int64_t used)
{
	bool holds = true;
	enum err e = a->o->clean ? OK : holds_batch_await(self, f, used, &holds);

	if (e)
		return e;
	return holds ? ERR_CORRUPT : OK;
}

static enum err take_file_await(struct fiber *self, struct adoption *a, const char *name, int64_t from_offset,
				bool may_be_torn)
{
	char path[PATH_BYTES];
	struct file *f;
	int64_t used = 0;
	enum err e;

	snprintf(path, sizeof(path), "%s/%s", a->o->folder, name);
	e = file_open_await(self, path, FILE_READ, &f);
	if (!e) {
		e = take_open_file_await(self, a, f, from_offset, &used);
		if (e == ERR_CORRUPT && may_be_torn) {
			e = torn_tail_await(self, a, f, used);
			if (!e)
				log_warn(a->o->log,
					 "%s: what follows byte %" PRId64 " is no whole batch and was left out", path,
					 used);
		}
		file_close(f);
	}
	if (e)
		log_error(a->o->log, "%s at byte %" PRId64 ": %s", path, used, err_text(e));
	return e;
}

static const char *newest_snapshot(const struct folder_list *l, int64_t *ret_offset)
{
	const char *found = NULL;

	*ret_offset = 0;
	for (size_t i = 0; i < l->count; i++) {
		int64_t offset;

		/* By name, so by offset and then by epoch. */
		if (number_of(l->entries[i].name, ".checkpoint", &offset)) {
			found = l->entries[i].name;
			*ret_offset = offset;
		}
	}
	return found;
}

/* Segments from the one that holds `from_offset` on, in order of their base offsets, which is the order of names. */
static enum err take_segments_await(struct fiber *self, struct adoption *a, const struct folder_list *l,
				    int64_t from_offset)
{
	const char *last = NULL;
	int64_t next;
	enum err e = OK;

	for (size_t i = 0; !e && i < l->count; i++) {
		if (!number_of(l->entries[i].name, ".log", &next))
			continue;
		if (!last && next > from_offset) {
			log_error(a->o->log, "%s: records before offset %" PRId64 " are missing", a->o->folder, next);
			return ERR_CORRUPT;
		}
		if (last && next > from_offset)
			e = take_file_await(self, a, last, from_offset, false);
		last = l->entries[i].name;
	}
	return e || !last ? e : take_file_await(self, a, last, from_offset, true);
}

static enum err read_await(struct fiber *self, struct adoption *a)
{
	struct folder_list l;
	int64_t from_offset;
	const char *snapshot;
	enum err e = folder_list_await(self, a->o->folder, &l);

	if (e) {
		log_error(a->o->log, "%s cannot be listed: %s", a->o->folder, err_text(e));
		return e;
	}
	snapshot = newest_snapshot(&l, &from_offset);
	if (snapshot)
		e = take_file_await(self, a, snapshot, 0, false);
	if (!e)
		e = take_segments_await(self, a, &l, from_offset);
	folder_list_free(&l);
	return e;
}

/* --- what may be taken over -------------------------------------------------------------------------------------------------- */

static bool is_whole_and_ours(const struct adoption *a, const struct kraft_topic *t)
{
	if (!t->partition_count)
		return false;
	for (uint32_t i = 0; i < t->partition_count; i++) {
		const struct kraft_partition *p = &t->partitions[i];

		if (!p->known || p->replica_count != 1 || p->replicas[0] != a->o->node_id)
			return false;
	}
	return true;
}

static enum err check(const struct adoption *a)
{
	struct kraft_left left = kraft_left_out(a->picture);
	const struct kraft_topic *t;
	size_t place = 0;

	while ((t = kraft_next_topic(a->picture, &place))) {
		if (is_whole_and_ours(a, t))
			continue;
		log_error(a->o->log,
			  "the folder is of a Kafka cluster with several nodes: topic %.*s has replicas elsewhere than "
			  "on "
			  "node %" PRId32,
			  BYTES_ARG(t->name), a->o->node_id);
		return ERR_CONFLICT;
	}
	if (left.access_rules || left.credentials || left.quotas)
		log_warn(a->o->log,
			 "not taken over from Kafka: %" PRId64 " access rules, %" PRId64 " credentials, %" PRId64
			 " quotas",
			 left.access_rules, left.credentials, left.quotas);
	return OK;
}

/* --- the writing --------------------------------------------------------------------------------------------------------------- */

static enum err flush_await(struct fiber *self, struct adoption *a)
{
	enum err e = a->op_count ? metastore_multi_await(self, a->o->store, a->ops, a->op_count) : OK;

	a->op_count = 0;
	a->op_bytes = 0;
	arena_fini(&a->arena);
	return e;
}

/* A node gets this text, whether it was there or not: a kill may have left half of an earlier adoption. */
static enum err put_await(struct fiber *self, struct adoption *a, const char *path, const struct buf *text)
{
	struct metastore_op *op;
	struct node_stat stat;
	enum err e;

	if (text && text->error)
		return ERR_TOO_BIG;
	if (a->op_bytes > BATCH_BYTES) {
		e = flush_await(self, a);
		if (e)
			return e;
	}
	e = metastore_get_await(self, a->o->store, path, NULL, &stat, NULL);
	if (e && e != ERR_NOT_FOUND)
		return e;
	if (a->op_count == a->op_capacity) {
		a->op_capacity = a->op_capacity ? 2 * a->op_capacity : 64;
		a->ops = mem_realloc(a->ops, a->op_capacity * sizeof(*a->ops));
	}
	op = &a->ops[a->op_count++];
	*op = (struct metastore_op){.kind = e ? METASTORE_CREATE : METASTORE_SET, .version = METASTORE_ANY_VERSION};
	op->path = (const char *)arena_copy(&a->arena, bytes_str(path)).data;
	if (text)
		op->data = arena_copy(&a->arena, buf_bytes(text));
	a->op_bytes += strlen(path) + op->data.size + 100;
	return op->path && (!text || op->data.data) ? OK : ERR_NO_MEMORY;
}

/* Only what is not as at a topic's creation. */
static enum err put_states_await(struct fiber *self, struct adoption *a, const struct kraft_topic *t, struct buf *text)
{
	bool any = false;
	enum err e = OK;

	for (uint32_t i = 0; !e && i < t->partition_count; i++) {
		const struct kraft_partition *p = &t->partitions[i];
		struct delta_partition state = {.leader = a->o->node_id,
						.leader_epoch = p->leader_epoch,
						.isr = p->replicas,
						.isr_count = p->replica_count};
		char path[LAYOUT_PATH_SIZE];

		if (!p->leader_epoch)
			continue;
		snprintf(path, sizeof(path), "/brokers/topics/%.*s/partitions", BYTES_ARG(t->name));
		if (!any)
			e = put_await(self, a, path, NULL);
		any = true;
		snprintf(path, sizeof(path), "/brokers/topics/%.*s/partitions/%" PRIu32, BYTES_ARG(t->name), i);
		if (!e)
			e = put_await(self, a, path, NULL);
		snprintf(path, sizeof(path), "/brokers/topics/%.*s/partitions/%" PRIu32 "/state", BYTES_ARG(t->name),
			 i);
		buf_reset(text);
		layout_put_state(text, &state);
		if (!e)
			e = put_await(self, a, path, text);
	}
	return e;
}

static enum err put_topic_await(struct fiber *self, struct adoption *a, const struct kraft_topic *t, struct buf *text)
{
	struct delta_partition *partitions = mem_zalloc(t->partition_count * sizeof(*partitions));
	struct delta_record record = {.kind = DELTA_TOPIC,
				      .name = t->name,
				      .topic_id = t->id,
				      .partitions = partitions,
				      .partition_count = t->partition_count};
	char path[LAYOUT_PATH_SIZE];
	enum err e;

	for (uint32_t i = 0; i < t->partition_count; i++) {
		partitions[i].replicas = t->partitions[i].replicas;
		partitions[i].replica_count = t->partitions[i].replica_count;
	}
	buf_reset(text);
	layout_put_topic(text, &record);
	snprintf(path, sizeof(path), "/brokers/topics/%.*s", BYTES_ARG(t->name));
	e = put_await(self, a, path, text);
	mem_free(partitions);
	return e ? e : put_states_await(self, a, t, text);
}

static enum err put_topics_await(struct fiber *self, struct adoption *a, struct buf *text)
{
	const struct kraft_topic *t;
	size_t place = 0;
	enum err e = metastore_ensure_await(self, a->o->store, "/brokers/topics");

	while (!e && (t = kraft_next_topic(a->picture, &place)))
		e = put_topic_await(self, a, t, text);
	return e;
}

static const char *const config_folders[] = {"/config/topics", "/config/brokers", "/config/groups",
					     "/config/client-metrics"};

static enum err put_configs_await(struct fiber *self, struct adoption *a, struct buf *text)
{
	const struct kraft_configured *c;
	size_t place = 0;
	enum err e = OK;

	for (size_t i = 0; !e && i < countof(config_folders); i++)
		e = metastore_ensure_await(self, a->o->store, config_folders[i]);
	while (!e && (c = kraft_next_configured(a->picture, &place))) {
		char path[LAYOUT_PATH_SIZE];

		if (!c->count || !layout_config_path(path, c->kind, c->name))
			continue;
		buf_reset(text);
		layout_put_configs(text, c->entries, c->count);
		e = put_await(self, a, path, text);
	}
	return e;
}

/* Kafka's levels where we know the feature, at most what we know of it. */
static enum err put_features_await(struct fiber *self, struct adoption *a, struct buf *text)
{
	size_t count, taken = 0, place = 0;
	const struct feature_range *ranges = features_supported(&count);
	struct image_feature *levels = mem_zalloc(count * sizeof(*levels));
	const struct kraft_feature *f;
	enum err e;

	while ((f = kraft_next_feature(a->picture, &place)))
		for (size_t i = 0; i < count; i++)
			if (bytes_equal_str(f->name, ranges[i].name) && f->level >= ranges[i].min)
				levels[taken++] = (struct image_feature){
					.name = (char *)(uintptr_t)ranges[i].name,
					.level = f->level < ranges[i].max ? f->level : ranges[i].max};
	buf_reset(text);
	if (taken)
		layout_put_features(text, levels, taken);
	else
		features_put_new(text);
	e = put_await(self, a, "/feature", text);
	mem_free(levels);
	return e;
}

static enum err put_cluster_await(struct fiber *self, struct adoption *a, struct buf *text)
{
	int64_t next = kraft_next_producer_id(a->picture);
	enum err e = OK;

	if (next > 0) {
		buf_reset(text);
		layout_put_producer_ids(text, a->o->node_id, next - 1, 1);
		e = put_await(self, a, "/latest_producer_id_block", text);
	}
	/* What makes it ours comes when all before it is there. */
	if (!e)
		e = flush_await(self, a);
	if (!e)
		e = metastore_ensure_await(self, a->o->store, "/cluster");
	buf_reset(text);
	layout_put_cluster_id(text, a->o->cluster_id);
	if (!e)
		e = put_await(self, a, "/cluster/id", text);
	return e ? e : flush_await(self, a);
}

static enum err write_await(struct fiber *self, struct adoption *a)
{
	struct buf text;
	enum err e;

	buf_init(&text, CONTROLLER_MAX_NODE);
	e = put_topics_await(self, a, &text);
	if (!e)
		e = put_configs_await(self, a, &text);
	if (!e)
		e = put_features_await(self, a, &text);
	if (!e)
		e = put_cluster_await(self, a, &text);
	buf_fini(&text);
	if (e)
		log_error(a->o->log, "what Kafka's metadata say cannot be stored: %s", err_text(e));
	return e;
}

static void say(const struct adoption *a)
{
	size_t place = 0, topics = 0, partitions = 0;
	const struct kraft_topic *t;

	while ((t = kraft_next_topic(a->picture, &place))) {
		topics++;
		partitions += t->partition_count;
	}
	log_info(a->o->log,
		 "this folder was a Kafka node's: %zu topics with %zu partitions were taken over, as %s has them; it "
		 "stays as "
		 "it is, and Kafka will not know what changes from now on",
		 topics, partitions, a->o->folder);
}

enum err adopt_await(struct fiber *self, const struct adopt_options *o)
{
	struct adoption a = {.o = o};
	struct file_info info;
	enum err e = metastore_get_await(self, o->store, "/cluster/id", NULL, NULL, NULL);

	if (e != ERR_NOT_FOUND)
		return e;
	e = file_info_await(self, o->folder, &info);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	a.picture = kraft_picture_new(MAX_PICTURE);
	arena_init(&a.arena, METASTORE_MAX_BYTES * 4);
	e = read_await(self, &a);
	if (!e)
		e = check(&a);
	if (!e)
		e = write_await(self, &a);
	if (!e)
		say(&a);
	mem_free(a.ops);
	arena_fini(&a.arena);
	kraft_picture_free(a.picture);
	return e;
}
