/* metastore: the calls that every store shares. The store itself does multi, get and children; the rest is made of these. */
#include "metastore/metastore.h"

#include "base/alloc.h"
#include "base/must.h"

/* A mistake of the program, never of a client: names from outside are checked long before they become paths. */
static void check_path(const char *path)
{
	must(path[0] == '/');
	for (const char *at = path + 1; *at; at++)
		must(!(at[0] == '/' && (at[1] == '/' || at[1] == 0)));
	must(path[1] != '/');
}

static bool is_root(const char *path)
{
	return path[1] == 0;
}

enum err metastore_get_await(struct fiber *self, struct metastore *m, const char *path, struct buf *ret_data,
			     struct node_stat *ret_stat, struct metastore_watch *watch)
{
	check_path(path);
	return m->ops->get_await(self, m, path, ret_data, ret_stat, watch);
}

enum err metastore_children_await(struct fiber *self, struct metastore *m, const char *path,
				  struct metastore_children *ret_children, struct metastore_watch *watch)
{
	check_path(path);
	return m->ops->children_await(self, m, path, ret_children, watch);
}

void metastore_children_free(struct metastore_children *c)
{
	for (size_t i = 0; i < c->count; i++)
		mem_free(c->names[i]);
	mem_free(c->names);
	*c = (struct metastore_children){0};
}

enum err metastore_multi_await(struct fiber *self, struct metastore *m, struct metastore_op *ops, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++) {
		check_path(ops[i].path);
		must(!is_root(ops[i].path) || ops[i].kind == METASTORE_SET || ops[i].kind == METASTORE_CHECK);
		size += strlen(ops[i].path) + ops[i].data.size + 64;
		ops[i].error = OK;
		ops[i].created_path = NULL;
	}
	if (size > METASTORE_MAX_BYTES)
		return ERR_TOO_BIG;
	return m->ops->multi_await(self, m, ops, count);
}

enum err metastore_create_await(struct fiber *self, struct metastore *m, const char *path, struct bytes data,
				unsigned flags, struct node_stat *ret_stat)
{
	struct metastore_op op = {.kind = METASTORE_CREATE, .path = path, .data = data, .flags = flags};
	enum err e;

	must(!(flags & NODE_SEQUENTIAL)); /* its name would be lost: use a multi */
	e = metastore_multi_await(self, m, &op, 1);
	if (!e && ret_stat)
		*ret_stat = op.stat;
	return e;
}

enum err metastore_ensure_await(struct fiber *self, struct metastore *m, const char *path)
{
	char *prefix = mem_strdup(path);
	enum err e = OK;

	for (char *at = prefix + 1; !e; at++) {
		char saved = *at;

		if (saved && saved != '/')
			continue;
		*at = 0;
		e = metastore_get_await(self, m, prefix, NULL, NULL, NULL);
		if (e == ERR_NOT_FOUND)
			e = metastore_create_await(self, m, prefix, bytes_null(), 0, NULL);
		if (e == ERR_EXISTS)
			e = OK;
		*at = saved;
		if (!saved)
			break;
	}
	mem_free(prefix);
	return e;
}

enum err metastore_set_await(struct fiber *self, struct metastore *m, const char *path, struct bytes data,
			     int32_t expected_version, struct node_stat *ret_stat)
{
	struct metastore_op op = {.kind = METASTORE_SET, .path = path, .data = data, .version = expected_version};
	enum err e = metastore_multi_await(self, m, &op, 1);

	if (!e && ret_stat)
		*ret_stat = op.stat;
	return e;
}

enum err metastore_delete_await(struct fiber *self, struct metastore *m, const char *path, int32_t expected_version)
{
	struct metastore_op op = {.kind = METASTORE_DELETE, .path = path, .version = expected_version};

	return metastore_multi_await(self, m, &op, 1);
}

void metastore_watch_cancel(struct metastore *m, struct metastore_watch *watch)
{
	m->ops->watch_cancel(m, watch);
}

int64_t metastore_session(struct metastore *m)
{
	return m->ops->session(m);
}

enum err metastore_close_await(struct fiber *self, struct metastore *m)
{
	return m ? m->ops->close_await(self, m) : OK;
}
