/* tree: see the header. */
#include "metastore/embedded/tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

/* In a transaction's bytes; never renumbered. */
enum effect { EFFECT_CREATE = 1, EFFECT_SET = 2, EFFECT_DELETE = 3, EFFECT_END_SESSIONS = 4 };

void tree_init(struct tree *t, size_t max_bytes)
{
	*t = (struct tree){.max_bytes = max_bytes};
}

static struct map *children_of(struct tree_node *n)
{
	if (!n->children) {
		n->children = mem_new(struct map);
		map_init(n->children);
	}
	return n->children;
}

static void node_free(struct tree_node *n)
{
	if (n->children) {
		map_fini(n->children);
		mem_free(n->children);
	}
	mem_free(n->name);
	mem_free(n->data);
	mem_free(n);
}

/* From the leaves up: a node's first child again and again, so that no depth of recursion is needed. */
static void free_below(struct tree_node *n)
{
	struct tree_node *at = n;

	for (;;) {
		const struct map_entry *e = NULL;
		size_t place = 0;

		if (at->children)
			e = map_next(at->children, &place);
		if (e) {
			at = e->value;
			continue;
		}
		if (at == n)
			return;
		{
			struct tree_node *parent = at->parent;

			map_remove(parent->children, bytes_str(at->name));
			node_free(at);
			at = parent;
		}
	}
}

void tree_fini(struct tree *t)
{
	free_below(&t->root);
	if (t->root.children) {
		map_fini(t->root.children);
		mem_free(t->root.children);
	}
	mem_free(t->root.data);
	tree_init(t, t->max_bytes);
}

static struct tree_node *child_of(const struct tree_node *n, struct bytes name)
{
	return n->children ? map_get(n->children, name) : NULL;
}

size_t tree_child_count(const struct tree_node *n)
{
	return n->children ? n->children->count : 0;
}

/* The node that `path` (without a slash at its beginning) leads to from the root. */
static struct tree_node *walk(const struct tree *t, const char *path, size_t size)
{
	const struct tree_node *n = &t->root;

	while (n && size) {
		const char *slash = memchr(path, '/', size);
		size_t part = slash ? (size_t)(slash - path) : size;

		n = child_of(n, bytes_of(path, part));
		part += slash != NULL;
		path += part;
		size -= part;
	}
	return (struct tree_node *)(uintptr_t)n;
}

struct tree_node *tree_find(const struct tree *t, const char *path)
{
	return walk(t, path + 1, strlen(path) - 1);
}

void tree_stat(const struct tree_node *n, struct node_stat *ret_stat)
{
	*ret_stat = (struct node_stat){
		.created = n->created,
		.modified = n->modified,
		.owner = n->owner,
		.version = n->version,
		.children = (int32_t)tree_child_count(n),
		.null_data = !n->data,
	};
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void tree_children(const struct tree_node *n, struct metastore_children *ret_children)
{
	struct metastore_children c = {.names = mem_alloc(tree_child_count(n) * sizeof(char *))};
	const struct map_entry *e;
	size_t place = 0;

	while (n->children && (e = map_next(n->children, &place)))
		c.names[c.count++] = mem_strdup(((struct tree_node *)e->value)->name);
	if (c.count)
		qsort(c.names, c.count, sizeof(char *), by_name);
	*ret_children = c;
}

static uint8_t *data_copy(struct bytes data)
{
	return bytes_is_null(data) ? NULL : mem_dup(data.data, data.size);
}

static void attach(struct tree *t, struct tree_node *parent, struct tree_node *n)
{
	must(!map_put(children_of(parent), bytes_str(n->name), n));
	n->parent = parent;
	t->bytes += strlen(n->name) + n->size;
}

static void detach(struct tree *t, struct tree_node *n)
{
	must(map_remove(n->parent->children, bytes_str(n->name)) == n);
	t->bytes -= strlen(n->name) + n->size;
}

/* --- one operation ------------------------------------------------------------------------------------------------------- */

struct transaction {
	struct tree *tree;
	int64_t id;
	int64_t session;
	struct tree_change *changes;
};

static struct tree_change *change_add(struct transaction *x, enum metastore_op_kind kind, struct tree_node *n)
{
	struct tree_change *c = mem_new(struct tree_change);

	*c = (struct tree_change){.older = x->changes, .kind = kind, .node = n};
	x->changes = c;
	return c;
}

/* `path` as far as it is the parent's; the last part goes to ret_name. */
static enum err parent_of(const struct tree *t, const char *path, struct tree_node **ret_parent, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	size_t depth = 0;

	for (const char *at = path; *at; at++)
		depth += *at == '/';
	if (strlen(path) > TREE_MAX_PATH || depth > TREE_MAX_DEPTH)
		return ERR_TOO_BIG;
	*ret_parent = slash == path ? (struct tree_node *)(uintptr_t)&t->root
				    : walk(t, path + 1, (size_t)(slash - path - 1));
	*ret_name = slash + 1;
	return *ret_parent ? OK : ERR_NOT_FOUND;
}

static enum err create(struct transaction *x, struct metastore_op *op, int64_t owner)
{
	struct tree_node *parent, *n;
	const char *name;
	char *full = NULL;
	enum err e = parent_of(x->tree, op->path, &parent, &name);

	if (e)
		return e;
	if (parent->owner)
		return ERR_WRONG_STATE;
	if (strlen(name) + op->data.size > x->tree->max_bytes - x->tree->bytes)
		return ERR_TOO_BIG;
	if (op->flags & NODE_SEQUENTIAL) {
		size_t size = strlen(op->path) + 24;

		full = mem_alloc(size);
		snprintf(full, size, "%s%010lld", op->path, (long long)parent->sequence);
		name = strrchr(full, '/') + 1;
	}
	if (child_of(parent, bytes_str(name))) {
		mem_free(full);
		return ERR_EXISTS;
	}
	n = mem_new(struct tree_node);
	*n = (struct tree_node){.name = mem_strdup(name),
				.data = data_copy(op->data),
				.size = (uint32_t)op->data.size,
				.created = x->id,
				.modified = x->id,
				.owner = owner};
	attach(x->tree, parent, n);
	parent->sequence++;
	change_add(x, METASTORE_CREATE, n);
	op->created_path = full;
	tree_stat(n, &op->stat);
	return OK;
}

static enum err set(struct transaction *x, struct metastore_op *op, struct tree_node *n)
{
	struct tree_change *c;

	if (op->data.size > n->size && op->data.size - n->size > x->tree->max_bytes - x->tree->bytes)
		return ERR_TOO_BIG;
	c = change_add(x, METASTORE_SET, n);
	c->data = n->data;
	c->size = n->size;
	c->version = n->version;
	c->modified = n->modified;
	x->tree->bytes = x->tree->bytes - n->size + op->data.size;
	n->data = data_copy(op->data);
	n->size = (uint32_t)op->data.size;
	n->version++;
	n->modified = x->id;
	tree_stat(n, &op->stat);
	return OK;
}

static enum err apply_one(struct transaction *x, struct metastore_op *op)
{
	struct tree_node *n;

	if (op->kind == METASTORE_CREATE)
		return create(x, op, op->flags & NODE_EPHEMERAL ? x->session : 0);
	n = tree_find(x->tree, op->path);
	if (!n)
		return ERR_NOT_FOUND;
	if (op->version != METASTORE_ANY_VERSION && op->version != n->version)
		return ERR_CONFLICT;
	if (op->kind == METASTORE_SET)
		return set(x, op, n);
	if (op->kind == METASTORE_DELETE) {
		if (tree_child_count(n))
			return ERR_WRONG_STATE;
		detach(x->tree, n);
		change_add(x, METASTORE_DELETE, n);
	}
	return OK;
}

void tree_undo(struct tree *t, struct tree_change *changes)
{
	while (changes) {
		struct tree_change *c = changes;
		struct tree_node *n = c->node;

		changes = c->older;
		if (c->kind == METASTORE_CREATE) {
			n->parent->sequence--;
			detach(t, n);
			node_free(n);
		} else if (c->kind == METASTORE_DELETE) {
			attach(t, n->parent, n);
		} else {
			t->bytes = t->bytes - n->size + c->size;
			mem_free(n->data);
			n->data = c->data;
			n->size = c->size;
			n->version = c->version;
			n->modified = c->modified;
		}
		mem_free(c);
	}
}

/* Newest first: a node's older sets are passed before the node itself would be freed by its deletion, which is why none is looked into. */
void tree_keep(struct tree_change *changes)
{
	while (changes) {
		struct tree_change *c = changes;

		changes = c->older;
		if (c->kind == METASTORE_DELETE)
			node_free(c->node);
		mem_free(c->data);
		mem_free(c);
	}
}

enum err tree_apply(struct tree *t, struct metastore_op *ops, size_t count, int64_t transaction, int64_t session,
		    struct tree_change **ret_changes)
{
	struct transaction x = {.tree = t, .id = transaction, .session = session};
	size_t at = 0;
	enum err e = OK;

	for (; at < count; at++) {
		e = ops[at].error = apply_one(&x, &ops[at]);
		if (e)
			break;
	}
	if (!e) {
		*ret_changes = x.changes;
		return OK;
	}
	tree_undo(t, x.changes);
	for (size_t i = 0; i < count; i++) {
		mem_free(ops[i].created_path);
		ops[i].created_path = NULL;
		if (i > at)
			ops[i].error = ERR_CANCELLED;
	}
	return e;
}

/* --- as bytes --------------------------------------------------------------------------------------------------------------- */

static void put_text(struct buf *b, struct bytes text)
{
	buf_put_uvarint(b, text.size);
	buf_put_bytes(b, text);
}

static void put_data(struct buf *b, struct bytes data)
{
	buf_put_uvarint(b, bytes_is_null(data) ? 0 : data.size + 1);
	buf_put_bytes(b, data);
}

static struct bytes get_text(struct reader *r)
{
	return reader_bytes(r, reader_uvarint(r));
}

static struct bytes get_data(struct reader *r)
{
	uint32_t size = reader_uvarint(r);

	return size ? reader_bytes(r, size - 1) : bytes_null();
}

void tree_encode(struct buf *b, const struct metastore_op *ops, size_t count, int64_t transaction, int64_t session)
{
	uint64_t effects = 0;

	for (size_t i = 0; i < count; i++)
		effects += ops[i].kind != METASTORE_CHECK;
	buf_put_i64(b, transaction);
	buf_put_uvarint(b, effects);
	for (size_t i = 0; i < count; i++) {
		const char *path = ops[i].created_path ? ops[i].created_path : ops[i].path;

		if (ops[i].kind == METASTORE_CHECK)
			continue;
		buf_put_i8(b, ops[i].kind == METASTORE_CREATE ? EFFECT_CREATE
			      : ops[i].kind == METASTORE_SET  ? EFFECT_SET
							      : EFFECT_DELETE);
		put_text(b, bytes_str(path));
		if (ops[i].kind == METASTORE_CREATE)
			buf_put_i64(b, ops[i].flags & NODE_EPHEMERAL ? session : 0);
		if (ops[i].kind != METASTORE_DELETE)
			put_data(b, ops[i].data);
	}
}

void tree_encode_end_of_sessions(struct buf *b, int64_t transaction)
{
	buf_put_i64(b, transaction);
	buf_put_uvarint(b, 1);
	buf_put_i8(b, EFFECT_END_SESSIONS);
}

/* A path from a file: as strict as the program's own, but never trusted. */
static bool good_path(struct bytes path)
{
	if (path.size < 1 || path.size > TREE_MAX_PATH || path.data[0] != '/' || memchr(path.data, 0, path.size))
		return false;
	for (size_t i = 0; i + 1 < path.size; i++)
		if (path.data[i] == '/' && path.data[i + 1] == '/')
			return false;
	return path.size == 1 || path.data[path.size - 1] != '/';
}

static enum err replay_one(struct transaction *x, struct reader *r)
{
	struct metastore_op op = {.version = METASTORE_ANY_VERSION};
	char path[TREE_MAX_PATH + 1];
	int8_t effect = reader_i8(r);
	int64_t owner = 0;
	struct bytes text;
	enum err e;

	if (effect == EFFECT_END_SESSIONS) {
		tree_end_sessions(x->tree);
		return r->error;
	}
	text = get_text(r);
	if (effect == EFFECT_CREATE)
		owner = reader_i64(r);
	if (effect != EFFECT_DELETE)
		op.data = get_data(r);
	if (r->error || effect < EFFECT_CREATE || effect > EFFECT_DELETE || !good_path(text) ||
	    (text.size == 1 && effect != EFFECT_SET))
		return ERR_MALFORMED;
	memcpy(path, text.data, text.size);
	path[text.size] = 0;
	op.path = path;
	if (effect == EFFECT_CREATE) {
		e = create(x, &op, owner);
	} else {
		op.kind = effect == EFFECT_SET ? METASTORE_SET : METASTORE_DELETE;
		e = apply_one(x, &op);
	}
	return e ? ERR_CORRUPT : OK;
}

enum err tree_replay(struct tree *t, struct reader *r, int64_t *ret_transaction)
{
	struct transaction x = {.tree = t, .id = reader_i64(r)};
	uint32_t effects = reader_uvarint(r);
	enum err e = r->error;

	for (uint32_t i = 0; i < effects && !e; i++) {
		e = replay_one(&x, r);
		tree_keep(x.changes);
		x.changes = NULL;
	}
	if (!e)
		*ret_transaction = x.id;
	return e;
}

/* Ephemeral nodes have no children, so they are leaves of what is walked. */
static bool end_below(struct tree *t, struct tree_node *n)
{
	const struct map_entry *e;
	size_t place = 0;
	bool any = false;

	while (n->children && (e = map_next(n->children, &place))) {
		struct tree_node *child = e->value;

		if (child->owner) {
			detach(t, child);
			node_free(child);
			any = true;
		} else if (tree_child_count(child)) {
			any |= end_below(t, child);
		}
	}
	return any;
}

bool tree_end_sessions(struct tree *t)
{
	return end_below(t, &t->root);
}

static void save_node(const struct tree_node *n, struct buf *b)
{
	const struct map_entry *e;
	size_t place = 0;

	put_text(b, bytes_str(n->name ? n->name : ""));
	put_data(b, n->data ? bytes_of(n->data, n->size) : bytes_null());
	buf_put_varint(b, n->version);
	buf_put_varlong(b, n->created);
	buf_put_varlong(b, n->modified);
	buf_put_varlong(b, n->owner);
	buf_put_varlong(b, n->sequence);
	buf_put_uvarint(b, tree_child_count(n));
	while (n->children && (e = map_next(n->children, &place)))
		save_node(e->value, b);
}

void tree_save(const struct tree *t, struct buf *b)
{
	save_node(&t->root, b);
}

static enum err load_node(struct tree *t, struct reader *r, struct tree_node *n, struct bytes *ret_name,
			  uint32_t *ret_children)
{
	struct bytes name = get_text(r), data = get_data(r);

	n->version = reader_varint(r);
	n->created = reader_varlong(r);
	n->modified = reader_varlong(r);
	n->owner = reader_varlong(r);
	n->sequence = reader_varlong(r);
	*ret_children = reader_uvarint(r);
	if (r->error)
		return r->error;
	if (name.size > TREE_MAX_PATH ||
	    (name.size && (memchr(name.data, 0, name.size) || memchr(name.data, '/', name.size))))
		return ERR_MALFORMED;
	if (name.size + data.size > t->max_bytes - t->bytes)
		return ERR_TOO_BIG;
	n->data = data_copy(data);
	n->size = (uint32_t)data.size;
	*ret_name = name;
	return OK;
}

static enum err load_children(struct tree *t, struct reader *r, struct tree_node *parent, uint32_t count, size_t depth)
{
	if (count && depth > TREE_MAX_DEPTH)
		return ERR_MALFORMED;
	for (uint32_t i = 0; i < count; i++) {
		struct tree_node *n = mem_new(struct tree_node);
		struct bytes name;
		uint32_t children;
		enum err e = load_node(t, r, n, &name, &children);

		if (!e && (name.size == 0 || child_of(parent, name) || parent->owner))
			e = ERR_MALFORMED;
		if (e) {
			node_free(n);
			return e;
		}
		n->name = mem_alloc(name.size + 1);
		memcpy(n->name, name.data, name.size);
		n->name[name.size] = 0;
		attach(t, parent, n);
		e = load_children(t, r, n, children, depth + 1);
		if (e)
			return e;
	}
	return OK;
}

enum err tree_load(struct tree *t, struct reader *r)
{
	struct bytes name;
	uint32_t children;
	enum err e = load_node(t, r, &t->root, &name, &children);

	if (!e && name.size)
		e = ERR_MALFORMED;
	return e ? e : load_children(t, r, &t->root, children, 1);
}
