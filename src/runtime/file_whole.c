/*
 * file_whole: what is composed of several operations: folders with their parents or all that is in them, small files read and
 * replaced as a whole. Calls only runtime/file.h.
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "runtime/file.h"

#define PATH_LONGEST 4096
#define DEPTH_MAX 32

/* "a/b" of "a/b/c", "/" of "/c", "." of "c". */
static char *parent_of(const char *path)
{
	size_t end = strlen(path);
	char *copy;

	while (end > 1 && path[end - 1] == '/')
		end--;
	while (end > 0 && path[end - 1] != '/')
		end--;
	while (end > 1 && path[end - 1] == '/')
		end--;
	if (end == 0)
		return mem_strdup(".");
	copy = mem_strdup(path);
	copy[end] = 0;
	return copy;
}

static char *path_join(const char *folder, const char *name)
{
	struct buf b;

	buf_init(&b, SIZE_MAX);
	buf_printf(&b, "%s/%s", folder, name);
	buf_put_i8(&b, 0);
	must(!b.error);
	return (char *)b.data;
}

/* Creates it and syncs its name; a folder that exists is fine, a file of that name is not. */
static enum err create_one_await(struct fiber *self, const char *path, const char *parent)
{
	struct file_info info;
	enum err e = folder_create_await(self, path);

	if (!e)
		return folder_sync_await(self, parent);
	if (e != ERR_EXISTS)
		return e;
	e = file_info_await(self, path, &info);
	return e ? e : info.is_folder ? OK : ERR_EXISTS;
}

static enum err create_all_await(struct fiber *self, const char *path, unsigned depth)
{
	char *parent = parent_of(path);
	enum err e = create_one_await(self, path, parent);

	if (e == ERR_NOT_FOUND && depth < DEPTH_MAX && strcmp(parent, path) != 0) {
		e = create_all_await(self, parent, depth + 1);
		if (!e)
			e = create_one_await(self, path, parent);
	}
	mem_free(parent);
	return e;
}

enum err folder_create_all_await(struct fiber *self, const char *path)
{
	if (strlen(path) >= PATH_LONGEST)
		return ERR_TOO_BIG;
	return create_all_await(self, path, 0);
}

static enum err remove_all_await(struct fiber *self, const char *path, unsigned depth)
{
	struct folder_list list;
	enum err e;

	if (depth >= DEPTH_MAX)
		return ERR_TOO_BIG;
	e = folder_list_await(self, path, &list);
	if (e)
		return e;
	for (size_t i = 0; i < list.count && !e; i++) {
		char *inner = path_join(path, list.entries[i].name);

		e = list.entries[i].is_folder ? remove_all_await(self, inner, depth + 1)
					      : file_remove_await(self, inner);
		if (e == ERR_NOT_FOUND) /* somebody else was quicker */
			e = OK;
		mem_free(inner);
	}
	folder_list_free(&list);
	return e ? e : file_remove_await(self, path);
}

enum err folder_remove_all_await(struct fiber *self, const char *path)
{
	return remove_all_await(self, path, 0);
}

static enum err load_await(struct fiber *self, struct file *f, size_t max, char **ret_text, size_t *ret_size)
{
	int64_t size;
	size_t count;
	char *text;
	enum err e = file_size_await(self, f, &size);

	if (e)
		return e;
	if ((uint64_t)size > max)
		return ERR_TOO_BIG;
	text = mem_alloc((size_t)size + 1);
	e = file_read_await(self, f, text, (size_t)size, 0, &count);
	if (e) {
		mem_free(text);
		return e;
	}
	text[count] = 0;
	*ret_text = text;
	*ret_size = count;
	return OK;
}

enum err file_load_await(struct fiber *self, const char *path, size_t max, char **ret_text, size_t *ret_size)
{
	struct file *f;
	enum err e = file_open_await(self, path, FILE_READ, &f);

	if (e)
		return e;
	e = load_await(self, f, max, ret_text, ret_size);
	file_close(f);
	return e;
}

static enum err write_synced_await(struct fiber *self, const char *path, struct bytes content)
{
	struct file *f;
	enum err e = file_open_await(self, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &f);

	if (e)
		return e;
	e = file_write_await(self, f, content, 0);
	if (!e)
		e = file_sync_await(self, f);
	file_close(f);
	return e;
}

enum err file_replace_await(struct fiber *self, const char *path, struct bytes content)
{
	char *parent = parent_of(path);
	struct buf beside;
	enum err e;

	buf_init(&beside, SIZE_MAX);
	buf_printf(&beside, "%s.tmp", path);
	buf_put_i8(&beside, 0);
	e = write_synced_await(self, (const char *)beside.data, content);
	if (!e)
		e = file_rename_await(self, (const char *)beside.data, path);
	if (!e)
		e = folder_sync_await(self, parent);
	buf_fini(&beside);
	mem_free(parent);
	return e;
}
