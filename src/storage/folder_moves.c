/*
 * folder_moves: what a start makes of moves of logs that a run was at when it ended (move_swap.c): of two folders of one log one is the newer.
 *
 *      here marked, and there is one over there   -> that one is the log; here it goes
 *      here marked, and none over there           -> the move had not happened: the log is here
 *      here marked, the other folder is offline   -> nobody knows: the log is offline, the mark stays
 *      two, no mark                               -> somebody copied it by hand, or a Kafka died in its move: nobody starts
 */
#include <stdio.h>

#include "base/alloc.h"
#include "storage/folder_own.h"

struct mark {
	struct storage_folder *here;
	char *topic;
	int32_t partition;
	struct uuid topic_id;
	struct uuid directory_id;
	bool kept;
};

struct marks {
	struct moves_visitor visitor;
	struct storage *storage;
	struct storage_folder *folder; /* whose files are read */
	struct mark *marks;
	size_t count;
	size_t capacity;
	bool any_file;
};

static void take_mark(struct moves_visitor *v, const struct moved_log *m)
{
	struct marks *x = container_of(v, struct marks, visitor);
	struct mark mark = {.here = x->folder, .partition = m->partition, .topic_id = m->topic_id};

	mark.directory_id = m->directory_id;
	mark.topic = mem_alloc(m->topic.size + 1);
	memcpy(mark.topic, m->topic.data, m->topic.size);
	mark.topic[m->topic.size] = 0;
	x->marks = mem_grow(x->marks, &x->capacity, x->count + 1, sizeof(*x->marks));
	x->marks[x->count++] = mark;
}

static bool is_marks_file(const struct folder_entry *f)
{
	size_t size = strlen(f->name);

	return !f->is_folder && strncmp(f->name, MOVES_PREFIX, sizeof(MOVES_PREFIX) - 1) == 0 &&
	       !(size > 4 && strcmp(f->name + size - 4, ".tmp") == 0);
}

/* A mark that cannot be read is as good as none: it was replaced whole, so it is not from a power failure. */
static enum err load_marks_await(struct fiber *self, struct marks *x, const struct folder_list *list,
				 struct logger *log)
{
	enum err e = OK;

	for (size_t i = 0; i < list->count && !e; i++) {
		char path[LOG_PATH_SIZE], *text;
		size_t size;

		if (!is_marks_file(&list->entries[i]))
			continue;
		x->any_file = true;
		folder_path_in(x->folder, list->entries[i].name, path);
		e = file_load_await(self, path, CHECKPOINT_FILE_MAX, &text, &size);
		if (e)
			break;
		if (moves_read(bytes_of(text, size), &x->visitor) != OK)
			log_warn(log, "%s: damaged: where a log was being moved, both folders may be there", path);
		mem_free(text);
	}
	return e;
}

/* --- which one ---------------------------------------------------------------------------------------------------- */

static struct found_log *find_in(struct storage *s, const struct mark *m, size_t folder)
{
	for (size_t i = 0; i < s->found_count; i++) {
		struct found_log *f = &s->found[i];

		if (f->folder_index == folder && f->partition == m->partition && strcmp(f->topic, m->topic) == 0 &&
		    uuid_equal(f->topic_id, m->topic_id))
			return f;
	}
	return NULL;
}

static void drop_found(struct storage *s, struct found_log *f)
{
	mem_free(f->topic);
	memmove(f, f + 1, (size_t)(s->found + s->found_count - f - 1) * sizeof(*f));
	s->found_count--;
}

static enum err remove_old_await(struct fiber *self, struct storage *s, struct found_log *f, struct logger *log)
{
	struct storage_folder *sf = &s->folders[f->folder_index];
	char from[LOG_PATH_SIZE], to[LOG_PATH_SIZE], name[LOG_NAME_SIZE], id[UUID_TEXT_SIZE];
	enum err e;

	folder_name_format(name, bytes_str(f->topic), f->partition);
	uuid_format(uuid_random(shard_random(fiber_shard(self))), id);
	folder_path_in(sf, name, from);
	snprintf(to, sizeof(to), "%s/%.*s.%s-delete", sf->path, 220, name, id);
	log_info(log, "%s: its log was moved to another folder of log.dirs: finishing that", from);
	e = file_rename_await(self, from, to);
	if (!e)
		e = folder_sync_await(self, sf->path);
	return e ? e : folder_remove_all_await(self, to);
}

static enum err settle_one_await(struct fiber *self, struct storage *s, struct mark *m, struct logger *log)
{
	struct found_log *here = find_in(s, m, (size_t)(m->here - s->folders));
	size_t there;
	enum err e;

	if (!here)
		return OK;
	for (there = 0; there < s->folder_count; there++)
		if (s->folders[there].online && uuid_equal(s->folders[there].meta.directory_id, m->directory_id))
			break;
	if (there == s->folder_count) {
		log_error(log,
			  "%s-%d is offline: it was being moved to a folder of log.dirs that is not there, and may be "
			  "newer there",
			  m->topic, (int)m->partition);
		here->undecided = m->kept = true;
		return OK;
	}
	if (!find_in(s, m, there))
		return OK;
	e = s->options.read_only ? OK : remove_old_await(self, s, here, log);
	if (!e)
		drop_found(s, here);
	return e;
}

/* --- the marks afterwards ----------------------------------------------------------------------------------------- */

/* What is still open is in one file, which no shard writes; the others go. */
static enum err save_marks_await(struct fiber *self, struct marks *x, const struct folder_list *list)
{
	char path[LOG_PATH_SIZE];
	struct buf out;
	bool any = false;
	enum err e = OK;

	buf_init(&out, CHECKPOINT_FILE_MAX);
	moves_write_head(&out);
	for (size_t i = 0; i < x->count; i++) {
		const struct mark *m = &x->marks[i];
		struct moved_log moved = {bytes_str(m->topic), m->partition, m->topic_id, m->directory_id};

		if (!m->kept || m->here != x->folder)
			continue;
		moves_write_entry(&out, &moved);
		any = true;
	}
	moves_write_end(&out);
	folder_path_in(x->folder, MOVES_PREFIX "start", path);
	if (any)
		e = file_replace_await(self, path, buf_bytes(&out));
	buf_fini(&out);
	for (size_t i = 0; i < list->count && !e; i++) {
		if (!is_marks_file(&list->entries[i]) ||
		    (any && strcmp(list->entries[i].name, MOVES_PREFIX "start") == 0))
			continue;
		folder_path_in(x->folder, list->entries[i].name, path);
		e = file_remove_await(self, path);
	}
	return e ? e : folder_sync_await(self, x->folder->path);
}

/* A folder that does not say whose it is beside one that does is left to who knows the topics' ids; where nobody does, it is refused too. */
static bool same_topic(const struct storage *s, const struct found_log *a, const struct found_log *b)
{
	return uuid_equal(a->topic_id, b->topic_id) ||
	       (s->options.read_only && (uuid_is_zero(a->topic_id) || uuid_is_zero(b->topic_id)));
}

static enum err refuse_doubles(const struct storage *s, struct logger *log)
{
	for (size_t i = 1; i < s->found_count; i++) {
		const struct found_log *a = &s->found[i - 1], *b = &s->found[i];

		if (a->partition != b->partition || strcmp(a->topic, b->topic) != 0 || !same_topic(s, a, b))
			continue;
		log_error(log,
			  "%s-%d is in %s and in %s, and nothing says which one is the newer: perhaps a broker died "
			  "while it moved the log. Nothing was changed: look at both, and take one away",
			  a->topic, (int)a->partition, s->folders[a->folder_index].path,
			  s->folders[b->folder_index].path);
		return ERR_CORRUPT;
	}
	return OK;
}

/* Reads the marks of every folder (`settled` false), or writes what is left of them. */
static enum err each_folder_await(struct fiber *self, struct marks *x, bool settled, struct logger *log)
{
	enum err e = OK;

	for (size_t i = 0; i < x->storage->folder_count && !e; i++) {
		struct folder_list list;

		x->folder = &x->storage->folders[i];
		if (!x->folder->online)
			continue;
		e = folder_list_await(self, x->folder->path, &list);
		if (e)
			return e;
		e = settled ? save_marks_await(self, x, &list) : load_marks_await(self, x, &list, log);
		folder_list_free(&list);
	}
	return e;
}

enum err folder_settle_moves_await(struct fiber *self, struct storage *s, struct logger *log)
{
	struct marks x = {.visitor = {.entry = take_mark}, .storage = s};
	enum err e = each_folder_await(self, &x, false, log);

	for (size_t i = 0; i < x.count && !e; i++)
		e = settle_one_await(self, s, &x.marks[i], log);
	if (!e)
		e = refuse_doubles(s, log);
	if (!e && x.any_file && !s->options.read_only)
		e = each_folder_await(self, &x, true, log);
	for (size_t i = 0; i < x.count; i++)
		mem_free(x.marks[i].topic);
	mem_free(x.marks);
	return e;
}
