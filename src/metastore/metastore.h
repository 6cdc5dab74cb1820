/*
 * metastore: where agreement lives, behind one small interface: a tree of small nodes with versions, as ZooKeeper has it.
 * Three stores fit behind it: embedded (a journal of our own; a single broker), zookeeper (later) and the simulator's.
 *
 *      /brokers/topics/t1   data, version 3 -> set(expected 3) makes it 4; set(expected 2) is ERR_CONFLICT
 *
 * Invariants
 * 1. Writes have one order; a multi happens whole or not at all; each node's version grows by one with every set.
 * 2. What was acknowledged is durable, and no read shows what is not.
 * 3. `created` of a node (ZooKeeper's czxid) never repeats and grows, also over restarts of the embedded store.
 * 4. Ephemeral nodes go with their session.
 * Errors: ERR_NOT_FOUND, ERR_EXISTS, ERR_CONFLICT (another version), ERR_WRONG_STATE (delete of a node with children, child of an
 * ephemeral one), ERR_TOO_BIG (above METASTORE_MAX_BYTES), ERR_NO_SESSION (expired: make a new one), ERR_CONNECTION_LOST and
 * ERR_TIMED_OUT (unknown whether it happened: read and compare), ERR_NO_SPACE (did not happen), ERR_OFFLINE (the store is lost).
 * Shard: all calls on the shard that opened it, by fibers. Paths are absolute, without a slash at the end; a bad one is the
 * program's mistake. Data: null and empty differ.
 */
#ifndef METASTORE_METASTORE_H
#define METASTORE_METASTORE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"
#include "runtime/fiber.h"

#define METASTORE_MAX_BYTES \
	((size_t)1000 * 1000) /* of a multi as a whole: ZooKeeper's jute.maxbuffer, less its framing */
#define METASTORE_ANY_VERSION (-1)

struct metastore;

struct node_stat {
	int64_t created;  /* the transaction that created it */
	int64_t modified; /* the transaction that last set it */
	int64_t owner;    /* the session of an ephemeral node; 0 otherwise */
	int32_t version;
	int32_t children;
	bool null_data; /* no data, as opposed to empty data */
};

enum node_flags {
	NODE_EPHEMERAL = 1,
	NODE_SEQUENTIAL = 2, /* ten digits, counted by the parent, are put behind the path */
};

enum metastore_op_kind { METASTORE_CREATE, METASTORE_SET, METASTORE_DELETE, METASTORE_CHECK };

struct metastore_op {
	enum metastore_op_kind kind;
	const char *path;
	struct bytes data; /* create, set */
	unsigned flags;    /* create: enum node_flags */
	int32_t version;   /* set, delete, check: the expected one, or METASTORE_ANY_VERSION */
	/* Out. On failure: the error at the operation that failed, OK before it, ERR_CANCELLED behind it. */
	enum err error;
	struct node_stat stat; /* create, set */
	char *created_path;    /* sequential creates: mem_free it; else NULL */
};

/* One change of a node, or of its list of children, is told once; then it has to be set again. */
struct metastore_watch {
	struct list_node node; /* the store's: linked while it is set */
	char *path;            /* the store's */
	bool of_children;      /* the store's */
	bool due;              /* the store's */
	/* On the store's shard, never inside a call. Must not suspend. Read again to learn what changed. */
	void (*fired)(struct metastore_watch *w);
};

struct metastore_children {
	char **names; /* sorted */
	size_t count;
};

/* Told when the session ended (`expired`): ephemeral nodes and watches are gone. May be NULL. */
struct metastore_owner {
	void (*expired)(struct metastore_owner *o);
};

/* What a store implements. Use the functions below. */
struct metastore_ops {
	enum err (*get_await)(struct fiber *self, struct metastore *m, const char *path, struct buf *ret_data,
			      struct node_stat *ret_stat, struct metastore_watch *watch);
	enum err (*children_await)(struct fiber *self, struct metastore *m, const char *path,
				   struct metastore_children *ret_children, struct metastore_watch *watch);
	enum err (*multi_await)(struct fiber *self, struct metastore *m, struct metastore_op *ops, size_t count);
	void (*watch_cancel)(struct metastore *m, struct metastore_watch *watch);
	int64_t (*session)(struct metastore *m);
	enum err (*close_await)(struct fiber *self, struct metastore *m);
};

/* Every store begins with this. */
struct metastore {
	const struct metastore_ops *ops;
	struct metastore_owner *owner;
};

/* Appends the data to `ret_data` (may be NULL). A watch, when given, is set also when the node is not there (then: for its creation). */
enum err metastore_get_await(struct fiber *self, struct metastore *m, const char *path, struct buf *ret_data,
			     struct node_stat *ret_stat, struct metastore_watch *watch) MUST_CHECK;
enum err metastore_children_await(struct fiber *self, struct metastore *m, const char *path,
				  struct metastore_children *ret_children, struct metastore_watch *watch) MUST_CHECK;
void metastore_children_free(struct metastore_children *c);
/* The parent must exist. ret_stat may be NULL. */
enum err metastore_create_await(struct fiber *self, struct metastore *m, const char *path, struct bytes data,
				unsigned flags, struct node_stat *ret_stat) MUST_CHECK;
/* Creates the node and what is missing above it, without data; one that is there already is fine. */
enum err metastore_ensure_await(struct fiber *self, struct metastore *m, const char *path) MUST_CHECK;
enum err metastore_set_await(struct fiber *self, struct metastore *m, const char *path, struct bytes data,
			     int32_t expected_version, struct node_stat *ret_stat) MUST_CHECK;
enum err metastore_delete_await(struct fiber *self, struct metastore *m, const char *path, int32_t expected_version)
	MUST_CHECK;
/* Atomic. Later operations see what earlier ones did. Returns the first error; ops[] tell the rest. */
enum err metastore_multi_await(struct fiber *self, struct metastore *m, struct metastore_op *ops, size_t count)
	MUST_CHECK;
/* The watch was not told and will not be. */
void metastore_watch_cancel(struct metastore *m, struct metastore_watch *watch);
int64_t metastore_session(struct metastore *m);
/* Ends the session and frees the store. NULL ok. Nothing may be waiting in it. */
enum err metastore_close_await(struct fiber *self, struct metastore *m) MUST_CHECK;

#endif
