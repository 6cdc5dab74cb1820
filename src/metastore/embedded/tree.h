/*
 * tree: the nodes of the embedded metastore in memory, and how transactions change them. Pure: no file, no waiting.
 *
 * Invariants
 * 1. A transaction happens whole or not at all; what it did can be undone, newest first, until tree_keep.
 * 2. The same transactions, replayed from their bytes, give the same tree: versions, `created`, sequence numbers and all.
 * Format of a transaction and of the whole tree: docs/decisions/0002-metastore.md.
 */
#ifndef METASTORE_EMBEDDED_TREE_H
#define METASTORE_EMBEDDED_TREE_H

#include "base/buf.h"
#include "base/map.h"
#include "base/reader.h"
#include "metastore/metastore.h"

#define TREE_MAX_DEPTH 32
#define TREE_MAX_PATH 1024

struct tree_node {
	struct tree_node *parent;
	struct map *children; /* NULL: it never had any */
	char *name;
	uint8_t *data; /* NULL: null */
	uint32_t size;
	int32_t version;
	int64_t created;
	int64_t modified;
	int64_t owner;
	int64_t sequence; /* children that were ever created */
};

struct tree {
	struct tree_node root;
	size_t bytes; /* of names and data */
	size_t max_bytes;
};

/* What one operation did, for undoing it. */
struct tree_change {
	struct tree_change *older;
	enum metastore_op_kind kind;
	struct tree_node *node; /* created: in the tree; deleted: out of it */
	uint8_t *data;          /* set: the old ones */
	uint32_t size;
	int32_t version;
	int64_t modified;
};

void tree_init(struct tree *t, size_t max_bytes);
void tree_fini(struct tree *t);

struct tree_node *tree_find(const struct tree *t, const char *path);
void tree_stat(const struct tree_node *n, struct node_stat *ret_stat);
size_t tree_child_count(const struct tree_node *n);
/* Sorted; freed by metastore_children_free. */
void tree_children(const struct tree_node *n, struct metastore_children *ret_children);

/*
 * Does the operations of one transaction. On an error nothing has changed and ops[] tell which one failed. `ret_changes`: what was
 * done, newest first (NULL when nothing was): either tree_undo or tree_keep.
 */
enum err tree_apply(struct tree *t, struct metastore_op *ops, size_t count, int64_t transaction, int64_t session,
		    struct tree_change **ret_changes) MUST_CHECK;
void tree_undo(struct tree *t, struct tree_change *changes);
void tree_keep(struct tree_change *changes);

/* A transaction that was applied as bytes; what is only checked is not in it. */
void tree_encode(struct buf *b, const struct metastore_op *ops, size_t count, int64_t transaction, int64_t session);
/* One that ends the session of all ephemeral nodes. */
void tree_encode_end_of_sessions(struct buf *b, int64_t transaction);
/* Reads one transaction and does it. ERR_MALFORMED, or what does not fit the tree: ERR_CORRUPT. */
enum err tree_replay(struct tree *t, struct reader *r, int64_t *ret_transaction) MUST_CHECK;
/* Takes all ephemeral nodes out; true when there were any. */
bool tree_end_sessions(struct tree *t);

/* The whole tree, and back into an empty one. */
void tree_save(const struct tree *t, struct buf *b);
enum err tree_load(struct tree *t, struct reader *r) MUST_CHECK;

#endif
