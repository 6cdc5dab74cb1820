/*
 * lossy_names: names and folders in lossy mode, see lossy.h. Calls the operating system.
 *
 * What a folder's sync makes real, in this order: files and folders that moved (a rename in one folder stays atomic), then new ones
 * (a nameless file gets its name; over an old one by way of NAME.lossy.tmp), then removals. A name whose file lives on elsewhere
 * and is not yet real there is left until it is: better two names after a crash than none.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/lossy.h"

#define NAME_LONGEST 255

void lossy_set(struct lossy_file **at, struct lossy_file *f)
{
	struct lossy_file *before = *at;

	*at = f ? lossy_file_ref(f) : NULL;
	lossy_file_unref(before);
}

static void set_now(struct lossy_entry *e, struct lossy_file *f)
{
	if (f)
		f->names++;
	if (e->now)
		e->now->names--;
	lossy_set(&e->now, f);
}

/* "" for the root. */
void lossy_path(const struct lossy_file *f, char ret_path[LOSSY_PATH_MAX])
{
	size_t used;

	ret_path[0] = 0;
	if (!f->home)
		return;
	lossy_path(f->home, ret_path);
	used = strlen(ret_path);
	must(used + strlen(f->home_name) + 2 <= LOSSY_PATH_MAX);
	snprintf(ret_path + used, LOSSY_PATH_MAX - used, "/%s", f->home_name);
}

static void path_in(const struct lossy_file *folder, const char *name, char ret_path[LOSSY_PATH_MAX])
{
	size_t used;

	lossy_path(folder, ret_path);
	used = strlen(ret_path);
	must(used + strlen(name) + 2 <= LOSSY_PATH_MAX);
	snprintf(ret_path + used, LOSSY_PATH_MAX - used, "/%s", name);
}

static void set_home(struct lossy_file *f, struct lossy_file *home, const char *name)
{
	char *copy = name ? mem_strdup(name) : NULL;

	mem_free(f->home_name);
	f->home = home;
	f->home_name = copy;
}

static bool is_home(const struct lossy_file *f, const struct lossy_file *folder, const char *name)
{
	return f->home == folder && !strcmp(f->home_name, name);
}

/* --- looking up -------------------------------------------------------------------------------------------------- */

/* What the real folder has under the name, NULL for nothing. */
static struct lossy_file *look_at_real(struct lossy_file *folder, const char *name)
{
	char path[LOSSY_PATH_MAX];
	struct lossy_file *f;
	struct stat st;

	if (!folder->real)
		return NULL;
	path_in(folder, name, path);
	if (stat(path, &st))
		return NULL;
	f = lossy_file_new(folder->lossy, S_ISDIR(st.st_mode));
	f->size = f->base = f->real_size = st.st_size;
	f->modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	f->real = true;
	set_home(f, folder, name);
	return f;
}

/* The entry, made when it is not known yet. */
static struct lossy_entry *entry_of(struct lossy_file *folder, const char *name)
{
	struct lossy_entry *e = map_get(&folder->entries, bytes_str(name));
	struct lossy_file *f;

	if (e)
		return e;
	e = mem_new(struct lossy_entry);
	f = look_at_real(folder, name);
	set_now(e, f);
	lossy_set(&e->synced, f);
	map_put(&folder->entries, bytes_str(name), e);
	return e;
}

struct place {
	struct lossy_file *folder;
	char name[NAME_LONGEST + 1]; /* "" for the root itself */
};

static enum err step(struct place *p)
{
	struct lossy_file *f = p->name[0] ? entry_of(p->folder, p->name)->now : p->folder;

	if (!f || !f->is_folder)
		return ERR_NOT_FOUND;
	p->folder = f;
	return OK;
}

static enum err walk(struct place *p, const char *path)
{
	while (*path) {
		size_t size = strcspn(path, "/");
		const char *name = path;
		enum err e;

		path += size + (path[size] == '/');
		if (size == 0 || (size == 1 && name[0] == '.'))
			continue;
		if (size > NAME_LONGEST)
			return ERR_TOO_BIG;
		e = step(p);
		if (e)
			return e;
		memcpy(p->name, name, size);
		p->name[size] = 0;
		if (!strcmp(p->name, "..")) /* nobody here writes such paths */
			return ERR_UNSUPPORTED;
	}
	return OK;
}

static enum err find_place(struct lossy *l, const char *path, struct place *ret_place)
{
	char here[LOSSY_PATH_MAX];
	enum err e = OK;

	*ret_place = (struct place){.folder = l->root};
	if (path[0] != '/') {
		if (!getcwd(here, sizeof(here)))
			return err_of_errno(errno);
		e = walk(ret_place, here);
	}
	return e ? e : walk(ret_place, path);
}

/* What is at the path now; ERR_NOT_FOUND. */
static enum err find(struct lossy *l, const char *path, struct place *ret_place, struct lossy_file **ret_file)
{
	enum err e = find_place(l, path, ret_place);

	if (e)
		return e;
	*ret_file = ret_place->name[0] ? entry_of(ret_place->folder, ret_place->name)->now : ret_place->folder;
	return *ret_file ? OK : ERR_NOT_FOUND;
}

/* --- making names real ------------------------------------------------------------------------------------------- */

static enum err outcome(int result)
{
	return result < 0 ? err_of_errno(errno) : OK;
}

/* The name `to` for a file that is open; replaces what is there. */
static enum err give_name(struct lossy_file *f, const char *to, bool replace)
{
	char from[64], beside[LOSSY_PATH_MAX + 16];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", f->fd);
	if (!replace)
		return outcome(linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW));
	snprintf(beside, sizeof(beside), "%s.lossy.tmp", to);
	unlink(beside);
	if (linkat(AT_FDCWD, from, AT_FDCWD, beside, AT_SYMLINK_FOLLOW))
		return err_of_errno(errno);
	return outcome(rename(beside, to));
}

static enum err remove_real(const char *path)
{
	DIR *folder;
	struct dirent *d;
	enum err e = OK;

	if (unlink(path) == 0 || errno == ENOENT)
		return OK;
	if (errno != EISDIR && errno != EPERM)
		return err_of_errno(errno);
	folder = opendir(path);
	if (!folder)
		return err_of_errno(errno);
	while (!e && (d = readdir(folder))) {
		char inner[LOSSY_PATH_MAX];

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		e = strlen(path) + strlen(d->d_name) + 2 > sizeof(inner) ? ERR_TOO_BIG : OK;
		if (e)
			break;
		snprintf(inner, sizeof(inner), "%.*s/%s", (int)strlen(path), path, d->d_name);
		e = remove_real(inner);
	}
	closedir(folder);
	return e ? e : outcome(rmdir(path));
}

static enum err make_real(struct lossy_file *folder, const char *name, struct lossy_entry *e, struct lossy_file *f);

/* What was synced inside it before it was real. */
static enum err make_inside_real(struct lossy_file *folder)
{
	const struct map_entry *m;
	size_t place = 0;
	enum err error = OK;

	while (!error && (m = map_next(&folder->entries, &place))) {
		struct lossy_entry *e = m->value;
		struct lossy_file *f = e->synced;
		char name[NAME_LONGEST + 1];

		if (!f)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)m->key_size, (const char *)m->key);
		lossy_file_ref(f);
		lossy_set(&e->synced, NULL);
		error = make_real(folder, name, e, f);
		lossy_file_unref(f);
	}
	return error;
}

/* Has a home elsewhere, perhaps in another folder, which loses its name at the same moment: as journals do. */
static enum err move_real(const char *to, struct lossy_file *f)
{
	char from[LOSSY_PATH_MAX];
	struct lossy_entry *old = entry_of(f->home, f->home_name);

	lossy_path(f, from);
	if (rename(from, to))
		return err_of_errno(errno);
	if (old->synced == f)
		lossy_set(&old->synced, NULL);
	return OK;
}

static enum err make_real(struct lossy_file *folder, const char *name, struct lossy_entry *e, struct lossy_file *f)
{
	char to[LOSSY_PATH_MAX];
	enum err error;

	path_in(folder, name, to);
	if (f->is_folder && e->synced)
		error = remove_real(to);
	else
		error = OK;
	if (error)
		return error;
	if (f->home)
		error = move_real(to, f);
	else if (f->is_folder)
		error = outcome(mkdir(to, 0755));
	else
		error = give_name(f, to, e->synced != NULL);
	if (error)
		return error;
	set_home(f, folder, name);
	lossy_set(&e->synced, f);
	if (!f->is_folder || f->real)
		return OK;
	f->real = true;
	lossy_set(&f->near_real, NULL);
	return make_inside_real(f);
}

enum pass { PASS_MOVES, PASS_NEW, PASS_REMOVALS };

/* Does `e` have something to do in this pass that can be done now? */
static bool is_due(const struct lossy_file *folder, const char *name, const struct lossy_entry *e, enum pass pass)
{
	if (e->now == e->synced)
		return false;
	/* Its file lives on under another name that is not real yet. */
	if (e->synced && e->synced->names > 0 && is_home(e->synced, folder, name))
		return false;
	switch (pass) {
	case PASS_MOVES:
		return e->now && e->now->home;
	case PASS_NEW:
		return e->now && !e->now->home;
	case PASS_REMOVALS:
		return !e->now;
	}
	must_not_reach();
}

static enum err sync_entry(struct lossy_file *folder, const char *name, struct lossy_entry *e)
{
	char path[LOSSY_PATH_MAX];
	enum err error;

	if (e->now)
		return make_real(folder, name, e, e->now);
	path_in(folder, name, path);
	error = remove_real(path);
	if (error)
		return error;
	if (is_home(e->synced, folder, name))
		set_home(e->synced, NULL, NULL);
	lossy_set(&e->synced, NULL);
	return OK;
}

static enum err sync_pass(struct lossy_file *folder, enum pass pass, bool *ret_progress)
{
	const struct map_entry *m;
	size_t place = 0;
	enum err error = OK;

	while (!error && (m = map_next(&folder->entries, &place))) {
		char name[NAME_LONGEST + 1];

		snprintf(name, sizeof(name), "%.*s", (int)m->key_size, (const char *)m->key);
		if (!is_due(folder, name, m->value, pass))
			continue;
		error = sync_entry(folder, name, m->value);
		*ret_progress = true;
	}
	return error;
}

static void sync_in_memory(struct lossy_file *folder)
{
	const struct map_entry *m;
	size_t place = 0;

	while ((m = map_next(&folder->entries, &place))) {
		struct lossy_entry *e = m->value;

		lossy_set(&e->synced, e->now);
	}
}

/* Names that mean nothing any more, now and after a crash. */
static void forget_empty(struct lossy_file *folder)
{
	const struct map_entry *m;
	size_t place = 0;

	while ((m = map_next(&folder->entries, &place))) {
		struct lossy_entry *e = m->value;

		char name[NAME_LONGEST + 1];

		if (e->now || e->synced)
			continue;
		memcpy(name, m->key, m->key_size); /* the map's copy goes with the entry */
		map_remove(&folder->entries, bytes_of(name, m->key_size));
		mem_free(e);
	}
}

static enum err sync_folder(struct lossy_file *folder)
{
	enum err e = OK;
	bool progress = true;

	if (!folder->real)
		sync_in_memory(folder);
	/* One move may make room for another. */
	while (folder->real && progress && !e) {
		progress = false;
		for (enum pass pass = PASS_MOVES; pass <= PASS_REMOVALS && !e; pass++)
			e = sync_pass(folder, pass, &progress);
	}
	if (!e)
		forget_empty(folder);
	return e;
}

enum err lossy_settle(struct lossy_file *folder)
{
	const struct map_entry *m;
	size_t place = 0;
	enum err failure = OK, e;

	while ((m = map_next(&folder->entries, &place))) {
		struct lossy_file *f = ((const struct lossy_entry *)m->value)->now;

		if (!f)
			continue;
		e = f->is_folder ? lossy_settle(f) : lossy_flush(f);
		failure = failure ? failure : e;
	}
	e = sync_folder(folder);
	return failure ? failure : e;
}

enum err lossy_name_at_once(struct lossy_file *f)
{
	list_for_each(&f->lossy->files, n)
	{
		struct lossy_file *folder = container_of(n, struct lossy_file, node);
		const struct map_entry *m;
		size_t place = 0;

		while (folder->real && !f->home && (m = map_next(&folder->entries, &place))) {
			char name[NAME_LONGEST + 1];
			struct lossy_entry *e = m->value;

			snprintf(name, sizeof(name), "%.*s", (int)m->key_size, (const char *)m->key);
			if (e->now == f && is_due(folder, name, e, PASS_NEW))
				return sync_entry(folder, name, e);
		}
	}
	return OK;
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

/* Of the folder itself, or of a real one on the same disk. */
static void path_near(const struct lossy_file *folder, char ret_path[LOSSY_PATH_MAX])
{
	lossy_path(folder->real ? folder : folder->near_real, ret_path);
	if (!ret_path[0])
		snprintf(ret_path, LOSSY_PATH_MAX, "/");
}

static enum err new_file(struct lossy_file *folder, struct lossy_file **ret_file)
{
	char path[LOSSY_PATH_MAX];
	int fd;

	path_near(folder, path);
	fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_of_errno(errno);
	*ret_file = lossy_file_new(folder->lossy, false);
	(*ret_file)->fd = fd;
	return OK;
}

static enum err call_open(struct lossy *l, struct file_call *c)
{
	struct lossy_entry *entry;
	struct lossy_file *f;
	struct place p;
	enum err e = find_place(l, c->path, &p);

	if (e)
		return e;
	if (!p.name[0])
		return ERR_IO; /* a folder: nothing can be read from it */
	entry = entry_of(p.folder, p.name);
	f = entry->now;
	if (f && f->is_folder)
		return ERR_IO;
	if (f && (c->flags & FILE_EXCLUSIVE))
		return ERR_EXISTS;
	if (!f && !(c->flags & FILE_CREATE))
		return ERR_NOT_FOUND;
	e = f ? lossy_open_real(f) : new_file(p.folder, &f);
	if (e)
		return e;
	if (!entry->now)
		set_now(entry, f);
	if (c->flags & FILE_TRUNCATE)
		lossy_truncate(f, 0);
	c->file = mem_new(struct file);
	c->file->fd = -1;
	c->file->flags = c->flags;
	c->file->lossy = lossy_file_ref(f);
	return OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct folder_entry *)a)->name, ((const struct folder_entry *)b)->name);
}

/* So that every name in it has an entry. */
static enum err look_at_all(struct lossy_file *folder)
{
	char path[LOSSY_PATH_MAX];
	struct dirent *d;
	DIR *real;

	if (!folder->real)
		return OK;
	lossy_path(folder, path);
	real = opendir(path[0] ? path : "/");
	if (!real)
		return err_of_errno(errno);
	while ((d = readdir(real)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			(void)entry_of(folder, d->d_name);
	closedir(real);
	return OK;
}

/* The next name that is there now; NULL at the end. */
static struct lossy_file *next_now(const struct lossy_file *folder, size_t *place, char ret_name[NAME_LONGEST + 1])
{
	const struct map_entry *m;

	while ((m = map_next(&folder->entries, place))) {
		const struct lossy_entry *entry = m->value;

		if (!entry->now)
			continue;
		snprintf(ret_name, NAME_LONGEST + 1, "%.*s", (int)m->key_size, (const char *)m->key);
		return entry->now;
	}
	return NULL;
}

static enum err call_list(struct lossy *l, struct file_call *c)
{
	struct folder_list list = {0};
	struct lossy_file *folder, *f;
	size_t capacity = 0, at = 0;
	char name[NAME_LONGEST + 1];
	struct place p;
	enum err e = find(l, c->path, &p, &folder);

	if (!e)
		e = folder->is_folder ? look_at_all(folder) : ERR_NOT_FOUND;
	if (e)
		return e;
	while ((f = next_now(folder, &at, name))) {
		list.entries = mem_grow(list.entries, &capacity, list.count + 1, sizeof(*list.entries));
		list.entries[list.count++] = (struct folder_entry){mem_strdup(name), f->is_folder};
	}
	if (list.count > 0)
		qsort(list.entries, list.count, sizeof(*list.entries), by_name);
	c->list = list;
	return OK;
}

static enum err must_be_empty(struct lossy_file *folder)
{
	char name[NAME_LONGEST + 1];
	size_t at = 0;
	enum err e = look_at_all(folder);

	return !e && next_now(folder, &at, name) ? ERR_EXISTS : e;
}

static enum err call_remove(struct lossy *l, struct file_call *c)
{
	struct lossy_file *f;
	struct place p;
	enum err e = find(l, c->path, &p, &f);

	if (!e && !p.name[0])
		e = ERR_BUSY;
	if (!e && f->is_folder)
		e = must_be_empty(f);
	if (!e)
		set_now(entry_of(p.folder, p.name), NULL);
	return e;
}

static enum err call_rename(struct lossy *l, struct file_call *c)
{
	struct place from, to;
	struct lossy_entry *target;
	struct lossy_file *f;
	enum err e = find(l, c->path, &from, &f);

	if (!e)
		e = find_place(l, c->path2, &to);
	if (e)
		return e;
	if (!from.name[0] || !to.name[0])
		return ERR_BUSY;
	target = entry_of(to.folder, to.name);
	if (target->now == f)
		return OK;
	if (target->now && target->now->is_folder != f->is_folder)
		return ERR_EXISTS;
	if (target->now && f->is_folder)
		e = must_be_empty(target->now);
	if (e)
		return e;
	set_now(target, f);
	set_now(entry_of(from.folder, from.name), NULL);
	return OK;
}

static enum err call_folder_create(struct lossy *l, struct file_call *c)
{
	struct lossy_entry *entry;
	struct lossy_file *f;
	struct place p;
	enum err e = find_place(l, c->path, &p);

	if (e)
		return e;
	if (!p.name[0])
		return ERR_EXISTS;
	entry = entry_of(p.folder, p.name);
	if (entry->now)
		return ERR_EXISTS;
	f = lossy_file_new(l, true);
	lossy_set(&f->near_real, p.folder->real ? p.folder : p.folder->near_real);
	set_now(entry, f);
	return OK;
}

static enum err call_info(struct lossy *l, struct file_call *c)
{
	struct lossy_file *f;
	struct place p;
	enum err e = find(l, c->path, &p, &f);

	if (!e)
		c->info = (struct file_info){.size = f->size, .modified_ms = f->modified_ms, .is_folder = f->is_folder};
	return e;
}

static enum err call_space(struct lossy *l, struct file_call *c)
{
	char path[LOSSY_PATH_MAX];
	struct lossy_file *f;
	struct statvfs st;
	struct place p;
	enum err e = find(l, c->path, &p, &f);

	if (e)
		return e;
	path_near(f->is_folder ? f : p.folder, path);
	if (statvfs(path, &st))
		return err_of_errno(errno);
	c->size = (int64_t)(st.f_bavail * st.f_frsize);
	c->size2 = (int64_t)(st.f_blocks * st.f_frsize);
	return OK;
}

static enum err call_folder_sync(struct lossy *l, struct file_call *c)
{
	struct lossy_file *f;
	struct place p;
	enum err e = find(l, c->path, &p, &f);

	if (e)
		return e;
	return f->is_folder ? sync_folder(f) : ERR_NOT_FOUND;
}

enum err lossy_names_call(struct lossy *l, struct file_call *c)
{
	switch (c->kind) {
	case FILE_CALL_OPEN:
		return call_open(l, c);
	case FILE_CALL_INFO:
		return call_info(l, c);
	case FILE_CALL_REMOVE:
		return call_remove(l, c);
	case FILE_CALL_RENAME:
		return call_rename(l, c);
	case FILE_CALL_FOLDER_CREATE:
		return call_folder_create(l, c);
	case FILE_CALL_FOLDER_SYNC:
		return call_folder_sync(l, c);
	case FILE_CALL_FOLDER_LIST:
		return call_list(l, c);
	case FILE_CALL_SPACE:
		return call_space(l, c);
	case FILE_CALL_LOCK:
	case FILE_CALL_TRUNCATE:
	case FILE_CALL_SIZE:
	case FILE_CALL_SYNC_ALL:
	case FILE_CALL_RESERVE:
		break;
	}
	must_not_reach();
}
