/*
 * recover: from the files to the tree, at the start.
 *
 * The newest snapshot counts, and the journal of the same number must be there, since it was made durable first. No
 * snapshot at all: a store that is new, or whose making was interrupted; unless the file `acknowledged` says otherwise.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "metastore/embedded/state.h"

void embedded_path(const struct embedded *s, char ret_path[static EMBEDDED_PATH_SIZE], const char *name, int64_t number)
{
	if (number < 0)
		snprintf(ret_path, EMBEDDED_PATH_SIZE, "%s/%s", s->folder, name);
	else
		snprintf(ret_path, EMBEDDED_PATH_SIZE, "%s/%s-%" PRId64, s->folder, name, number);
}

/* The number in "journal-7"; -1 when the name is another. */
static int64_t number_of(const char *name, const char *prefix)
{
	size_t size = strlen(prefix);
	int64_t number = 0;

	if (strncmp(name, prefix, size) != 0 || !name[size] || strlen(name) > size + 18)
		return -1;
	for (const char *at = name + size; *at; at++) {
		if (*at < '0' || *at > '9')
			return -1;
		number = number * 10 + (*at - '0');
	}
	return number;
}

void embedded_remove_older_await(struct fiber *self, struct embedded *s, int64_t number)
{
	struct folder_list list;
	char path[EMBEDDED_PATH_SIZE];

	if (folder_list_await(self, s->folder, &list))
		return;
	for (size_t i = 0; i < list.count; i++) {
		const char *name = list.entries[i].name;
		int64_t journal = number_of(name, "journal-"), snapshot = number_of(name, "snapshot-");
		size_t size = strlen(name);
		bool unfinished = size > 4 && strcmp(name + size - 4, ".tmp") == 0;

		if (!unfinished && !(journal >= 0 && journal != number) && !(snapshot >= 0 && snapshot != number))
			continue;
		embedded_path(s, path, name, -1);
		if (file_remove_await(self, path))
			log_warn(s->log, "%s: cannot be removed; it is not needed any more", path);
	}
	folder_list_free(&list);
}

enum err embedded_new_journal_await(struct fiber *self, struct embedded *s, int64_t number, int64_t last_transaction,
				    struct file **ret_file, struct journal_head *ret_head)
{
	struct journal_head head = {.id = prng_next(shard_random(fiber_shard(self))),
				    .number = number,
				    .last_transaction = last_transaction};
	char path[EMBEDDED_PATH_SIZE];
	struct file *f = NULL;
	struct buf b;
	enum err e;

	embedded_path(s, path, "journal", number);
	buf_init(&b, JOURNAL_HEADER_SIZE);
	journal_put_head(&b, &head);
	e = file_open_await(self, path, FILE_READ | FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &f);
	if (!e)
		e = file_write_await(self, f, buf_bytes(&b), 0);
	if (!e)
		e = file_sync_await(self, f);
	buf_fini(&b);
	if (e) {
		file_close(f);
		return e;
	}
	*ret_file = f;
	*ret_head = head;
	return OK;
}

enum err embedded_write_snapshot_await(struct fiber *self, struct embedded *s, int64_t number, int64_t last_transaction,
				       struct bytes body, bool *ret_named)
{
	struct snapshot_head head = {.number = number,
				     .last_transaction = last_transaction,
				     .size = (int64_t)body.size,
				     .body_crc = crc32c(0, body)};
	char path[EMBEDDED_PATH_SIZE], unfinished[EMBEDDED_PATH_SIZE];
	struct buf header;
	struct file *f = NULL;
	enum err e;

	*ret_named = false;
	embedded_path(s, path, "snapshot", number);
	embedded_path(s, unfinished, "snapshot.tmp", -1);
	buf_init(&header, SNAPSHOT_HEADER_SIZE);
	snapshot_put_head(&header, &head);
	e = file_open_await(self, unfinished, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &f);
	if (!e)
		e = file_write_await(self, f, buf_bytes(&header), 0);
	if (!e)
		e = file_write_await(self, f, body, SNAPSHOT_HEADER_SIZE);
	if (!e)
		e = file_sync_await(self, f);
	file_close(f);
	if (!e) {
		*ret_named = true;
		e = file_rename_await(self, unfinished, path);
	}
	if (!e)
		e = folder_sync_await(self, s->folder);
	if (!e && s->next_snapshot < body.size * 2 && !s->journal_bytes)
		s->next_snapshot = body.size * 2;
	buf_fini(&header);
	return e;
}

static enum err corrupt(struct embedded *s, const char *path, const char *what)
{
	log_error(s->log, "%s: %s; the metadata cannot be trusted: restore the folder %s from a copy", path, what,
		  s->folder);
	return ERR_CORRUPT;
}

static enum err too_new(struct embedded *s, const char *path)
{
	log_error(s->log, "%s: written in a newer format than this program knows: use the newer program", path);
	return ERR_BAD_VERSION;
}

static enum err load_snapshot_await(struct fiber *self, struct embedded *s, int64_t number)
{
	char path[EMBEDDED_PATH_SIZE], *text = NULL;
	struct snapshot_head head;
	struct bytes body;
	struct reader r;
	size_t size;
	enum err e;

	embedded_path(s, path, "snapshot", number);
	e = file_load_await(self, path, EMBEDDED_MAX_FILE, &text, &size);
	if (e)
		return e;
	e = snapshot_get(bytes_of(text, size), &head, &body);
	if (!e && head.number != number)
		e = ERR_MALFORMED;
	if (!e) {
		r = reader_of(body);
		e = tree_load(&s->tree, &r);
	}
	if (!e && reader_left(&r))
		e = ERR_MALFORMED;
	mem_free(text);
	if (e == ERR_BAD_VERSION)
		return too_new(s, path);
	if (e)
		return corrupt(s, path, "the snapshot is damaged");
	s->applied = head.last_transaction;
	if (!s->journal_bytes && s->next_snapshot < size * 2)
		s->next_snapshot = size * 2;
	return OK;
}

static enum err replay_frame(struct embedded *s, struct bytes payload)
{
	struct reader r = reader_of(payload);
	enum err e = OK;

	while (!e && reader_left(&r)) {
		int64_t transaction = 0;

		e = tree_replay(&s->tree, &r, &transaction);
		if (!e && transaction <= s->applied)
			e = ERR_CORRUPT;
		if (!e)
			s->applied = transaction;
	}
	return e ? e : r.error;
}

static enum err replay_journal(struct embedded *s, const char *path, struct bytes file, const struct bound *bound)
{
	int64_t acknowledged = bound && bound->id == s->head.id ? bound->position : 0;
	char where[128];
	enum err e = OK;

	s->position = JOURNAL_HEADER_SIZE;
	while (!e) {
		int64_t begin = s->position;
		struct bytes payload;

		e = journal_next_frame(file, s->head.id, acknowledged, &s->position, &payload);
		if (e == ERR_CORRUPT) {
			snprintf(where, sizeof(where), "damaged at byte %" PRId64 ", in what was acknowledged", begin);
			return corrupt(s, path, where);
		}
		if (!e && replay_frame(s, payload)) {
			snprintf(where, sizeof(where), "the frame at byte %" PRId64 " does not fit what is before it",
				 begin);
			return corrupt(s, path, where);
		}
	}
	s->bound_position = acknowledged;
	return OK;
}

/* What is behind the last good frame was never acknowledged: away with it, and what stays is made durable before anybody sees it. */
static enum err cut_tail_await(struct fiber *self, struct embedded *s, const char *path, int64_t size)
{
	enum err e = OK;

	if (size > s->position) {
		log_warn(s->log, "%s: cut at byte %" PRId64 " of %" PRId64 ": the rest was never acknowledged", path,
			 s->position, size);
		e = file_truncate_await(self, s->journal, s->position);
	}
	if (!e && s->bound_position != s->position)
		e = file_sync_await(self, s->journal);
	return e;
}

static enum err load_journal_await(struct fiber *self, struct embedded *s, int64_t number, const struct bound *bound)
{
	char path[EMBEDDED_PATH_SIZE], *text = NULL;
	size_t size;
	enum err e;

	embedded_path(s, path, "journal", number);
	e = file_load_await(self, path, EMBEDDED_MAX_FILE, &text, &size);
	if (e == ERR_NOT_FOUND)
		return corrupt(s, path, "the journal is missing");
	if (e)
		return e;
	e = journal_get_head(bytes_of(text, size), &s->head);
	if (e == ERR_BAD_VERSION)
		e = too_new(s, path);
	else if (e || s->head.number != number || s->head.last_transaction != s->applied ||
		 (bound && bound->number == number && bound->id != s->head.id))
		e = corrupt(s, path, "the journal's header is damaged, or it belongs to another snapshot");
	else
		e = replay_journal(s, path, bytes_of(text, size), bound);
	mem_free(text);
	if (!e)
		e = file_open_await(self, path, FILE_READ | FILE_WRITE, &s->journal);
	return e ? e : cut_tail_await(self, s, path, (int64_t)size);
}

static enum err create_await(struct fiber *self, struct embedded *s)
{
	char *parent = mem_strdup(s->folder);
	char *slash = strrchr(parent, '/');
	struct buf body;
	bool named;
	enum err e = embedded_new_journal_await(self, s, 1, 0, &s->journal, &s->head);

	buf_init(&body, EMBEDDED_MAX_FILE);
	tree_save(&s->tree, &body);
	if (!e)
		e = folder_sync_await(self, s->folder);
	if (!e)
		e = embedded_write_snapshot_await(self, s, 1, 0, buf_bytes(&body), &named);
	buf_fini(&body);
	if (slash)
		*slash = 0;
	/* The store's own name must last as well. */
	if (!e)
		e = folder_sync_await(self, slash == parent ? "/" : slash ? parent : ".");
	mem_free(parent);
	s->position = JOURNAL_HEADER_SIZE;
	s->bound_position = 0;
	return e;
}

static enum err load_bound_await(struct fiber *self, struct embedded *s, struct bound *ret_bound, bool *ret_known)
{
	char path[EMBEDDED_PATH_SIZE], *text = NULL;
	size_t size;
	enum err e;

	*ret_known = false;
	embedded_path(s, path, "acknowledged", -1);
	e = file_load_await(self, path, 2 * BOUND_SLOT_SPACING, &text, &size);
	if (!e)
		*ret_known = bound_get(bytes_of(text, size), ret_bound);
	mem_free(text);
	return e == ERR_NOT_FOUND ? OK : e;
}

enum err embedded_recover_await(struct fiber *self, struct embedded *s)
{
	struct folder_list list;
	struct bound bound = {0};
	int64_t newest = -1;
	bool known;
	char path[EMBEDDED_PATH_SIZE];
	enum err e = folder_create_all_await(self, s->folder);

	if (!e)
		e = load_bound_await(self, s, &bound, &known);
	if (!e)
		e = folder_list_await(self, s->folder, &list);
	if (e)
		return e;
	for (size_t i = 0; i < list.count; i++) {
		int64_t number = number_of(list.entries[i].name, "snapshot-");

		newest = number > newest ? number : newest;
	}
	folder_list_free(&list);
	if (known && bound.number > newest)
		return corrupt(s, s->folder, "the newest snapshot is missing");
	/* Before a new store syncs its folder, so that this name lasts too. */
	embedded_path(s, path, "acknowledged", -1);
	e = file_open_await(self, path, FILE_READ | FILE_WRITE | FILE_CREATE, &s->bound_file);
	if (e)
		return e;
	if (newest < 0) {
		e = create_await(self, s);
	} else {
		e = load_snapshot_await(self, s, newest);
		if (!e)
			e = load_journal_await(self, s, newest, known ? &bound : NULL);
		if (!e)
			embedded_remove_older_await(self, s, newest);
	}
	return e;
}
