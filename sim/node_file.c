/*
 * node_file: file operations, names and helper work of a node, over its disk (sim/disk.h): when they end, and how they fail.
 *
 * An operation takes effect in the moment in which it ends; what is under way when the process dies took effect wholly, in
 * part or not at all. A sync covers the writes that had ended when it began.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "sim/node.h"

/* What is to be sent from a file lies on the disk only. */
#define COLD_ONE_IN 8

struct file {
	struct handle handle;
	struct list_node place; /* in node.files */
	struct node *node;
	struct inode *inode;
	unsigned flags;
	unsigned under_way;
	char top[16];         /* the folder of the root that it is in */
	uint32_t losses_seen; /* of it, and */
	uint32_t disk_losses_seen;
};

enum io_kind { IO_OP, IO_CALL, IO_WARM, IO_OFFLOAD };

struct io {
	struct node_event event;
	struct list_node place; /* in node.ios */
	enum io_kind kind;
	struct shard *shard;
	struct file_op *op;
	struct file_call *call;
	struct file_warm *warm;
	struct offload *offload;
	uint64_t mark; /* of a sync */
};

static struct scheduler *scheduler_of(struct node *n)
{
	return &n->sim->scheduler;
}

static bool is_under(const struct node *n, const char *path)
{
	const char *under = n->faults.under;

	return !under || strncmp(path, under, strlen(under)) == 0;
}

static bool strikes(struct node *n, uint32_t parts_of_million, const char *path)
{
	if (!parts_of_million || !is_under(n, path))
		return false;
	return chance(scheduler_of(n), parts_of_million, 1000000);
}

/* "/data2/t-0/x" -> "/data2/": as much as tells which folder of the root it is. */
static void top_of(const char *path, char ret_top[static 16])
{
	const char *end = strchr(path + 1, '/');

	snprintf(ret_top, 16, "%.*s", end ? (int)(end - path + 1) : 15, path);
}

static void io_due(struct node_event *e);

static int64_t usual_latency(struct io *io)
{
	struct scheduler *s = scheduler_of(node_shard_of(io->shard)->node);

	if (io->kind == IO_OFFLOAD)
		return choose_skewed(s, 20, 3000);
	if (io->kind == IO_WARM || (io->kind == IO_OP && io->op->kind == FILE_OP_READ))
		return choose_skewed(s, 5, 400);
	if (io->kind == IO_OP && io->op->kind == FILE_OP_WRITE)
		return choose_skewed(s, 5, 300);
	if (io->kind == IO_OP || io->call->kind == FILE_CALL_FOLDER_SYNC || io->call->kind == FILE_CALL_SYNC_ALL)
		return choose_skewed(s, 100, 4000);
	return choose_skewed(s, 5, 200);
}

static struct io *io_start(struct shard *shard, struct io start)
{
	struct node *n = node_shard_of(shard)->node;
	struct memory_owner *before = memory_enter(NULL);
	struct io *io = mem_new(struct io);
	int64_t latency;

	*io = start;
	io->shard = shard;
	io->mark = disk_mark(n->disk);
	list_push_back(&n->ios, &io->place);
	latency = usual_latency(io);
	if (n->faults.slow_factor > 1 && io->kind != IO_OFFLOAD) {
		latency *= choose_skewed(scheduler_of(n), 1, n->faults.slow_factor);
		sim_hit(n->sim, HIT_SLOW_DISK);
	}
	node_event_at(n, &io->event, scheduler_of(n)->now_us + latency, io_due);
	memory_leave(before);
	return io;
}

static void io_free(struct io *io)
{
	node_event_cancel(&io->event);
	list_remove(&io->place);
	mem_free(io);
}

/* --- reads, writes, syncs -------------------------------------------------------------------------------------------- */

/* At most `limit` bytes of the parts. */
static enum err write_parts(struct node *n, const struct file_op *op, size_t limit, size_t *ret_count)
{
	int64_t at = op->offset;
	enum err e = OK;

	*ret_count = 0;
	for (size_t i = 0; i < op->part_count && limit && !e; i++) {
		struct bytes part = op->parts[i];
		size_t count = 0;

		if (part.size > limit)
			part.size = limit;
		e = inode_write(op->file->inode, part, at, node_wall_ms(n), &count);
		at += (int64_t)count;
		limit -= count;
		*ret_count += count;
	}
	return e;
}

static size_t parts_size(const struct file_op *op)
{
	size_t size = 0;

	for (size_t i = 0; i < op->part_count; i++)
		size += op->parts[i].size;
	return size;
}

static void do_read(struct node *n, struct file_op *op)
{
	must(op->file->flags & FILE_READ);
	if (strikes(n, n->faults.read_errors, op->file->top)) {
		sim_hit(n->sim, HIT_READ_ERROR);
		op->error = ERR_IO;
		return;
	}
	op->count = inode_read(op->file->inode, op->buffer, op->size, op->offset);
}

static void do_write(struct node *n, struct file_op *op)
{
	size_t size = parts_size(op), count;

	must(op->file->flags & FILE_WRITE);
	if (strikes(n, n->faults.write_errors, op->file->top)) {
		sim_hit(n->sim, HIT_WRITE_ERROR);
		/* Where in the write it failed is anybody's guess. */
		op->error = write_parts(n, op, (size_t)choose(scheduler_of(n), 0, (int64_t)size), &count);
		op->error = ERR_IO;
		return;
	}
	if (n->faults.full && is_under(n, op->file->top) && op->offset + (int64_t)size > inode_size(op->file->inode)) {
		sim_hit(n->sim, HIT_ONE_FULL);
		op->error = ERR_NO_SPACE;
		return;
	}
	op->error = write_parts(n, op, size, &count);
	if (op->error)
		sim_hit(n->sim, HIT_NO_SPACE);
	else
		op->count = size;
}

static void do_sync(struct node *n, struct file_op *op, uint64_t mark)
{
	struct inode *i = op->file->inode;

	if (strikes(n, n->faults.sync_errors, op->file->top)) {
		bool lost = chance(scheduler_of(n), 1, 2);

		if (lost)
			inode_sync_lost(i, mark);
		sim_hit(n->sim, lost ? HIT_SYNC_LOST : HIT_SYNC_ERROR);
		op->error = ERR_IO;
		return;
	}
	op->count = 0;
	if (op->file->losses_seen != inode_losses(i)) { /* by a sync of all, which somebody else was told of */
		op->file->losses_seen = inode_losses(i);
		op->error = ERR_IO;
		return;
	}
	trace_event(&scheduler_of(n)->trace, n->name, "sync", "file %lld, %lld writes durable",
		    (int64_t)inode_number(i), (int64_t)inode_sync(i, mark), 0);
}

static void op_due(struct node *n, struct io *io)
{
	struct file_op *op = io->op;
	struct shard *shard = io->shard;
	struct memory_owner *before;

	op->error = OK;
	op->count = 0;
	switch ((enum file_op_kind)op->kind) {
	case FILE_OP_READ:
		do_read(n, op);
		break;
	case FILE_OP_WRITE:
		do_write(n, op);
		break;
	case FILE_OP_SYNC:
		do_sync(n, op, io->mark);
		break;
	}
	if (op->kind != FILE_OP_SYNC || op->error)
		trace_event(&scheduler_of(n)->trace, node_shard_of(shard)->who,
			    op->kind == FILE_OP_READ    ? "read"
			    : op->kind == FILE_OP_WRITE ? "write"
							: "sync",
			    op->error ? "file %lld at %lld: error %lld" : "file %lld at %lld, %lld bytes",
			    (int64_t)inode_number(op->file->inode), op->offset,
			    op->error ? (int64_t)op->error : (int64_t)op->count);
	op->file->under_way--;
	io_free(io);
	before = node_call_begin(shard);
	op->done(op);
	node_call_end(shard, before);
}

void node_file_submit(struct shard *s, struct file_op *op)
{
	must(op->file->node == node_shard_of(s)->node);
	op->file->under_way++;
	io_start(s, (struct io){.kind = IO_OP, .op = op});
}

/* --- names ----------------------------------------------------------------------------------------------------------- */

static enum err open_call(struct node *n, struct file_call *c)
{
	struct file *f;
	struct inode *i;
	enum err e;

	if (n->open_file_count >= n->open_file_limit || node_rare_path(n, FAULT_TOO_MANY_FILES))
		return ERR_TOO_MANY_FILES;
	e = disk_open(n->disk, c->path, c->flags, node_wall_ms(n), &i);
	if (e)
		return e;
	f = mem_new(struct file);
	f->handle.backend = shard_backend(c->shard);
	f->handle.shard = c->shard;
	f->node = n;
	f->inode = i;
	f->flags = c->flags;
	f->losses_seen = inode_losses(i);
	f->disk_losses_seen = disk_losses(n->disk);
	top_of(c->path, f->top);
	list_push_back(&n->files, &f->place);
	n->open_file_count++;
	c->file = f;
	return OK;
}

static enum err list_call(struct node *n, struct file_call *c)
{
	/* The list becomes the caller's. */
	struct memory_owner *before = memory_enter(&n->memory);
	enum err e = disk_folder_list(n->disk, c->path, &c->list);

	memory_leave(before);
	return e;
}

static enum err folder_sync_call(struct node *n, struct file_call *c, uint64_t mark)
{
	if (strikes(n, n->faults.sync_errors, c->path)) {
		sim_hit(n->sim, HIT_SYNC_ERROR);
		return ERR_IO;
	}
	return disk_folder_sync(n->disk, c->path, mark);
}

static enum err sync_all_call(struct node *n, struct file *f, uint64_t mark)
{
	if (!n->sync_all) /* what the file system can do does not change */
		n->sync_all = chance(scheduler_of(n), 3, 4) ? 1 : -1;
	if (n->sync_all < 0)
		return ERR_UNSUPPORTED;
	if (strikes(n, n->faults.sync_errors, "/")) {
		disk_sync_all_lost(n->disk, mark, &scheduler_of(n)->random);
		sim_hit(n->sim, HIT_SYNC_LOST);
		return ERR_IO;
	}
	if (f->disk_losses_seen != disk_losses(n->disk)) {
		f->disk_losses_seen = disk_losses(n->disk);
		return ERR_IO;
	}
	disk_sync_all(n->disk, mark, NULL);
	return OK;
}

static enum err perform_call(struct node *n, struct file_call *c, uint64_t mark)
{
	switch (c->kind) {
	case FILE_CALL_OPEN:
		return open_call(n, c);
	case FILE_CALL_LOCK:
		return inode_lock(c->file->inode, c->file);
	case FILE_CALL_TRUNCATE:
		return inode_truncate(c->file->inode, c->size, node_wall_ms(n));
	case FILE_CALL_SIZE:
		c->size = inode_size(c->file->inode);
		return OK;
	case FILE_CALL_INFO:
		return disk_info(n->disk, c->path, &c->info);
	case FILE_CALL_REMOVE:
		return disk_remove(n->disk, c->path);
	case FILE_CALL_RENAME:
		return disk_rename(n->disk, c->path, c->path2);
	case FILE_CALL_FOLDER_CREATE:
		return disk_folder_create(n->disk, c->path, node_wall_ms(n));
	case FILE_CALL_FOLDER_SYNC:
		return folder_sync_call(n, c, mark);
	case FILE_CALL_FOLDER_LIST:
		return list_call(n, c);
	case FILE_CALL_SPACE:
		c->size = n->faults.full && is_under(n, c->path) ? 0 : disk_capacity(n->disk) - disk_used(n->disk);
		c->size2 = disk_capacity(n->disk);
		return OK;
	case FILE_CALL_SYNC_ALL:
		return sync_all_call(n, c->file, mark);
	case FILE_CALL_RESERVE:
		return OK; /* where things lie is nothing that it knows */
	}
	must_not_reach();
}

static const char *call_name(enum file_call_kind kind)
{
	static const char *const names[] = {"open",   "lock",     "truncate", "size",        "info",
					    "remove", "rename",   "mkdir",    "folder sync", "folder list",
					    "space",  "sync all", "reserve"};

	return names[kind];
}

static void call_due(struct node *n, struct io *io)
{
	struct file_call *c = io->call;
	struct shard *shard = io->shard;
	struct memory_owner *before;
	char text[256];

	c->error = perform_call(n, c, io->mark);
	snprintf(text, sizeof(text), "%s%s%s%s%s", c->path ? c->path : "", c->path2 ? " -> " : "",
		 c->path2 ? c->path2 : "", c->error ? " " : "", c->error ? err_name(c->error) : "");
	trace_text(&scheduler_of(n)->trace, node_shard_of(shard)->who, call_name(c->kind), text);
	if (c->file && c->kind != FILE_CALL_OPEN)
		c->file->under_way--;
	io_free(io);
	before = node_call_begin(shard);
	c->done(c);
	node_call_end(shard, before);
}

void node_file_call(struct shard *s, struct file_call *c)
{
	if (c->file)
		c->file->under_way++;
	io_start(s, (struct io){.kind = IO_CALL, .call = c});
}

static void file_free(struct file *f)
{
	inode_unlock(f->inode, f);
	inode_release(f->inode);
	list_remove(&f->place);
	mem_free(f);
}

void node_file_close(struct file *f)
{
	struct memory_owner *before = memory_enter(NULL);

	must(f->under_way == 0);
	f->node->open_file_count--;
	file_free(f);
	memory_leave(before);
}

/* --- files that are sent --------------------------------------------------------------------------------------------- */

enum err node_file_peek(const struct file_range *range, bool warmed, void *buffer, size_t *ret_count)
{
	struct file *f = range->file;

	must(f->flags & FILE_READ);
	*ret_count = 0;
	if (!warmed && chance(scheduler_of(f->node), 1, COLD_ONE_IN)) {
		sim_hit(f->node->sim, HIT_COLD_FILE);
		return OK;
	}
	*ret_count = inode_read(f->inode, buffer, range->size, range->position);
	return *ret_count < range->size ? ERR_CORRUPT : OK;
}

static void warm_due(struct node *n, struct io *io)
{
	struct file_warm *w = io->warm;
	struct shard *shard = io->shard;
	struct memory_owner *before;

	if (strikes(n, n->faults.read_errors, w->range.file->top)) {
		sim_hit(n->sim, HIT_READ_ERROR);
		w->error = ERR_IO;
	} else if (w->range.position + (int64_t)w->range.size > inode_size(w->range.file->inode)) {
		w->error = ERR_CORRUPT;
	}
	trace_event(&scheduler_of(n)->trace, node_shard_of(shard)->who, "warm",
		    w->error ? "file %lld at %lld: error %lld" : "file %lld at %lld, %lld bytes",
		    (int64_t)inode_number(w->range.file->inode), w->range.position,
		    w->error ? (int64_t)w->error : (int64_t)w->range.size);
	w->range.file->under_way--;
	io_free(io);
	before = node_call_begin(shard);
	w->done(w);
	node_call_end(shard, before);
}

void node_file_warm(struct shard *s, struct file_warm *w)
{
	must(w->range.file->node == node_shard_of(s)->node);
	w->range.file->under_way++;
	io_start(s, (struct io){.kind = IO_WARM, .warm = w});
}

/* --- helper work ------------------------------------------------------------------------------------------------------- */

static void offload_due(struct io *io)
{
	struct offload *o = io->offload;
	struct shard *shard = io->shard;
	struct memory_owner *before;

	io_free(io);
	before = node_call_begin(shard);
	o->work(o);
	o->done(o);
	node_call_end(shard, before);
}

void node_offload(struct shard *s, struct offload *o)
{
	io_start(s, (struct io){.kind = IO_OFFLOAD, .offload = o});
}

/* --- all --------------------------------------------------------------------------------------------------------------- */

static void io_due(struct node_event *e)
{
	struct io *io = container_of(e, struct io, event);
	struct node *n = e->node;

	if (n->faults.hung && io->kind != IO_OFFLOAD) {
		sim_hit(n->sim, HIT_HUNG_DISK);
		node_event_at(n, e, scheduler_of(n)->now_us + choose(scheduler_of(n), 5000, 50000), io_due);
		return;
	}
	switch (io->kind) {
	case IO_OP:
		op_due(n, io);
		break;
	case IO_CALL:
		call_due(n, io);
		break;
	case IO_WARM:
		warm_due(n, io);
		break;
	case IO_OFFLOAD:
		offload_due(io);
		break;
	}
}

/* The kernel had begun with it, or not, or was in the middle. */
static void decide_op(struct node *n, struct io *io)
{
	struct scheduler *s = scheduler_of(n);
	struct file_op *op = io->op;

	if (op->kind == FILE_OP_WRITE && chance(s, 2, 3)) {
		size_t size = parts_size(op), count;
		enum err e;

		if (chance(s, 1, 2))
			size = (size_t)choose(s, 0, (int64_t)size);
		e = write_parts(n, op, size, &count);
		trace_event(&s->trace, n->name, "dies in", "write of %lld bytes: %lld done (%lld)",
			    (int64_t)parts_size(op), (int64_t)count, e);
		sim_hit(n->sim, HIT_KILL_IN_WRITE);
	} else if (op->kind == FILE_OP_SYNC) {
		if (chance(s, 1, 2))
			inode_sync(op->file->inode, io->mark);
		sim_hit(n->sim, HIT_KILL_IN_SYNC);
	}
}

static void decide_call(struct node *n, struct io *io)
{
	struct file_call *c = io->call;
	enum err e = OK;

	switch (c->kind) {
	case FILE_CALL_TRUNCATE:
	case FILE_CALL_REMOVE:
	case FILE_CALL_RENAME:
	case FILE_CALL_FOLDER_CREATE:
	case FILE_CALL_FOLDER_SYNC:
		if (chance(scheduler_of(n), 1, 2))
			e = perform_call(n, c, io->mark);
		trace_event(&scheduler_of(n)->trace, n->name, "dies in", "call %lld (%lld)", c->kind, e, 0);
		break;
	case FILE_CALL_SYNC_ALL:
		disk_sync_all(n->disk, io->mark, &scheduler_of(n)->random);
		break;
	default:
		break;
	}
}

void node_files_down(struct node *n)
{
	list_for_each(&n->ios, place)
	{
		struct io *io = container_of(place, struct io, place);

		if (io->kind == IO_OP)
			decide_op(n, io);
		else if (io->kind == IO_CALL)
			decide_call(n, io);
		io_free(io);
	}
	list_for_each(&n->files, place) file_free(container_of(place, struct file, place));
}
