/* embedded: see the header. The calls of the store's users; the files are commit.c's and recover.c's. */
#include "metastore/embedded/embedded.h"

#include "base/alloc.h"
#include "metastore/embedded/state.h"

#define DEFAULT_JOURNAL_BYTES ((size_t)4 << 20)
#define DEFAULT_MAX_BYTES ((size_t)1 << 30)
#define MAX_PENDING ((size_t)1 << 30)

static struct embedded *embedded_of(struct metastore *m)
{
	return container_of(m, struct embedded, base);
}

/* Until all that was done so far is durable. ERR_AGAIN: it was taken back, look again. */
static enum err durable_await(struct fiber *self, struct embedded *s)
{
	int64_t target = s->applied;
	uint64_t undone = s->undone;

	while (!s->failed && s->undone == undone && s->synced < target) {
		if (event_wait_await(self, &s->progress, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			return ERR_CANCELLED;
	}
	if (s->failed)
		return ERR_OFFLINE;
	return s->undone == undone ? OK : ERR_AGAIN;
}

static void watch_set(struct embedded *s, struct metastore_watch *w, const char *path, bool of_children)
{
	if (!w)
		return;
	must(!list_linked(&w->node) && !w->path);
	w->path = mem_strdup(path);
	w->of_children = of_children;
	w->due = false;
	list_push_back(&s->watches, &w->node);
}

static void watch_cancel(struct metastore *m, struct metastore_watch *w)
{
	(void)m;
	if (!list_linked(&w->node))
		return;
	list_remove(&w->node);
	mem_free(w->path);
	w->path = NULL;
}

static void mark_watches(struct embedded *s, const struct metastore_op *op)
{
	const char *path = op->created_path ? op->created_path : op->path;
	const char *slash = strrchr(path, '/');
	size_t parent_size = slash == path ? 1 : (size_t)(slash - path);
	bool changes_children = op->kind == METASTORE_CREATE || op->kind == METASTORE_DELETE;

	list_for_each(&s->watches, n)
	{
		struct metastore_watch *w = container_of(n, struct metastore_watch, node);

		if (strcmp(w->path, path) == 0)
			w->due |= !w->of_children || op->kind == METASTORE_DELETE;
		else if (w->of_children && changes_children && strlen(w->path) == parent_size)
			w->due |= memcmp(w->path, path, parent_size) == 0;
	}
}

static enum err embedded_get_await(struct fiber *self, struct metastore *m, const char *path, struct buf *ret_data,
				   struct node_stat *ret_stat, struct metastore_watch *watch)
{
	struct embedded *s = embedded_of(m);
	size_t size = ret_data ? ret_data->size : 0;
	struct node_stat stat = {0};
	struct tree_node *n;
	enum err e;

	watch_set(s, watch, path, false);
	do {
		n = tree_find(&s->tree, path);
		if (ret_data)
			ret_data->size = size;
		if (n) {
			tree_stat(n, &stat);
			if (ret_data && n->size)
				buf_put(ret_data, n->data, n->size);
		}
		e = durable_await(self, s);
	} while (e == ERR_AGAIN);
	if (e && watch)
		watch_cancel(m, watch);
	if (!e && !n)
		e = ERR_NOT_FOUND;
	if (!e && ret_data && ret_data->error)
		e = ret_data->error;
	if (!e && ret_stat)
		*ret_stat = stat;
	return e;
}

static enum err embedded_children_await(struct fiber *self, struct metastore *m, const char *path,
					struct metastore_children *ret_children, struct metastore_watch *watch)
{
	struct embedded *s = embedded_of(m);
	struct metastore_children children = {0};
	struct tree_node *n;
	enum err e;

	watch_set(s, watch, path, true);
	do {
		metastore_children_free(&children);
		n = tree_find(&s->tree, path);
		if (n)
			tree_children(n, &children);
		e = durable_await(self, s);
	} while (e == ERR_AGAIN);
	if (!e && !n)
		e = ERR_NOT_FOUND;
	if (e) {
		if (watch)
			watch_cancel(m, watch);
		metastore_children_free(&children);
		return e;
	}
	*ret_children = children;
	return OK;
}

static void not_done(struct metastore_op *ops, size_t count, enum err e)
{
	for (size_t i = 0; i < count; i++) {
		ops[i].error = e;
		mem_free(ops[i].created_path);
		ops[i].created_path = NULL;
	}
}

static enum err embedded_multi_await(struct fiber *self, struct metastore *m, struct metastore_op *ops, size_t count)
{
	struct embedded *s = embedded_of(m);
	struct commit c = {.caller = self};
	enum err e, wait;

	for (;;) {
		if (s->failed || s->closing)
			return ERR_OFFLINE;
		if (s->pending.size > MAX_PENDING)
			return ERR_NO_MEMORY;
		c.changes = NULL;
		e = tree_apply(&s->tree, ops, count, s->applied + 1, s->session, &c.changes);
		if (!e && c.changes)
			break;
		/* Refused, or nothing but checks: the answer is as durable as what it was drawn from. */
		wait = durable_await(self, s);
		if (wait != ERR_AGAIN)
			return wait ? wait : e;
	}
	s->applied++;
	tree_encode(&s->pending, ops, count, s->applied, s->session);
	for (size_t i = 0; i < count && !list_empty(&s->watches); i++)
		if (ops[i].kind != METASTORE_CHECK)
			mark_watches(s, &ops[i]);
	list_push_back(&s->waiting, &c.node);
	event_signal(&s->work);
	while (!c.done)
		fiber_park_await(self);
	if (c.error)
		not_done(ops, count, c.error);
	return c.error;
}

static int64_t embedded_session(struct metastore *m)
{
	return embedded_of(m)->session;
}

static void embedded_free(struct embedded *s)
{
	list_for_each(&s->watches, n) watch_cancel(&s->base, container_of(n, struct metastore_watch, node));
	file_close(s->journal);
	file_close(s->bound_file);
	tree_fini(&s->tree);
	buf_fini(&s->pending);
	mem_free(s->folder);
	mem_free(s);
}

/* Ephemeral nodes are ended by the next start, which finds them without their session. */
static enum err embedded_close_await(struct fiber *self, struct metastore *m)
{
	struct embedded *s = embedded_of(m);
	enum err e;

	s->closing = true;
	event_signal(&s->work);
	while (!s->ended)
		if (event_wait_await(self, &s->progress, FIBER_NO_DEADLINE) == ERR_CANCELLED)
			fiber_yield_await(self);
	e = s->failed ? ERR_OFFLINE : OK;
	embedded_free(s);
	return e;
}

static const struct metastore_ops embedded_ops = {
	.get_await = embedded_get_await,
	.children_await = embedded_children_await,
	.multi_await = embedded_multi_await,
	.watch_cancel = watch_cancel,
	.session = embedded_session,
	.close_await = embedded_close_await,
};

enum err embedded_open_await(struct fiber *self, const struct embedded_options *o, struct metastore **ret_store)
{
	static const struct fiber_options options = {.name = "metastore commit"};
	struct embedded *s = mem_new(struct embedded);
	enum err e;

	s->base = (struct metastore){.ops = &embedded_ops, .owner = o->owner};
	s->log = o->log;
	s->folder = o->folder ? mem_strdup(o->folder) : NULL;
	s->journal_bytes = o->journal_bytes;
	s->next_snapshot = o->journal_bytes ? o->journal_bytes : DEFAULT_JOURNAL_BYTES;
	s->bound_due_us = FIBER_NO_DEADLINE;
	tree_init(&s->tree, o->max_bytes ? o->max_bytes : DEFAULT_MAX_BYTES);
	buf_init(&s->pending, SIZE_MAX / 2);
	list_init(&s->waiting);
	list_init(&s->writing);
	list_init(&s->watches);
	event_init(&s->work);
	event_init(&s->progress);
	do {
		s->session = (int64_t)(prng_next(shard_random(fiber_shard(self))) >> 1);
	} while (!s->session);

	e = s->folder ? embedded_recover_await(self, s) : OK;
	if (e) {
		embedded_free(s);
		return e;
	}
	if (tree_end_sessions(&s->tree))
		s->end_of_sessions = ++s->applied;
	s->synced = s->applied;
	s->committer = fiber_start(fiber_shard(self), &options, embedded_commit_main, s);
	if (!s->committer) {
		embedded_free(s);
		return ERR_NO_MEMORY;
	}
	*ret_store = &s->base;
	return OK;
}
