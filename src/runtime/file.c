/*
 * file: hands operations to the backend, and their _await forms, whose operation lies on the fiber's stack: they are waited for to
 * their end, cancelled or not.
 */
#include "base/alloc.h"
#include "runtime/core.h"

#define PATIENCE_US 1000000
#define PATIENCE_STEP_US 5000

static const struct handle *handle_of(const struct file *f)
{
	return (const struct handle *)(const void *)f;
}

static void submit(struct file *f, struct file_op *op, int kind)
{
	const struct handle *h = handle_of(f);

	op->file = f;
	op->kind = kind;
	op->error = OK;
	op->count = 0;
	op->part_at = 0;
	op->part_offset = 0;
	op->node = (struct list_node){0};
	h->backend->file_submit(h->shard, op);
}

void file_read(struct file *f, struct file_op *op, void *buffer, size_t size, int64_t offset)
{
	op->buffer = buffer;
	op->size = size;
	op->offset = offset;
	submit(f, op, FILE_OP_READ);
}

void file_write(struct file *f, struct file_op *op, struct bytes *parts, size_t part_count, int64_t offset)
{
	op->parts = parts;
	op->part_count = part_count;
	op->offset = offset;
	submit(f, op, FILE_OP_WRITE);
}

void file_sync(struct file *f, struct file_op *op)
{
	submit(f, op, FILE_OP_SYNC);
}

void file_warm(struct shard *s, struct file_warm *w)
{
	w->shard = s;
	w->error = OK;
	s->backend->file_warm(s, w);
}

void file_close(struct file *f)
{
	if (f)
		handle_of(f)->backend->file_close(f);
}

/* --- awaiting an operation --------------------------------------------------------------------------------------- */

struct awaited_op {
	struct file_op op;
	struct fiber *fiber;
	bool over;
};

static void op_done(struct file_op *op)
{
	struct awaited_op *a = container_of(op, struct awaited_op, op);

	a->over = true;
	fiber_wake(a->fiber);
}

static enum err op_end_await(struct awaited_op *a)
{
	while (!a->over)
		fiber_park_await(a->fiber);
	return a->op.error;
}

enum err file_read_await(struct fiber *self, struct file *f, void *buffer, size_t size, int64_t offset,
			 size_t *ret_count)
{
	struct awaited_op a = {.op = {.done = op_done}, .fiber = self};
	enum err e;

	file_read(f, &a.op, buffer, size, offset);
	e = op_end_await(&a);
	if (!e)
		*ret_count = a.op.count;
	return e;
}

enum err file_write_await(struct fiber *self, struct file *f, struct bytes data, int64_t offset)
{
	struct awaited_op a = {.op = {.done = op_done}, .fiber = self};

	file_write(f, &a.op, &data, 1, offset);
	return op_end_await(&a);
}

enum err file_sync_await(struct fiber *self, struct file *f)
{
	struct awaited_op a = {.op = {.done = op_done}, .fiber = self};

	file_sync(f, &a.op);
	return op_end_await(&a);
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

struct awaited_call {
	struct file_call call;
	struct fiber *fiber;
	bool over;
};

static void call_done(struct file_call *c)
{
	struct awaited_call *a = container_of(c, struct awaited_call, call);

	a->over = true;
	fiber_wake(a->fiber);
}

/* Carries out `c` and leaves its outcome in it. */
static enum err call_await(struct fiber *self, struct file_call *c)
{
	struct awaited_call a = {.call = *c, .fiber = self};
	struct shard *s = fiber_shard(self);

	a.call.shard = s;
	a.call.done = call_done;
	s->backend->file_call(s, &a.call);
	while (!a.over)
		fiber_park_await(self);
	*c = a.call;
	return c->error;
}

/* The same for what takes a descriptor. Who holds the others of the process often gives one back at once. */
static enum err patient_call_await(struct fiber *self, struct file_call *c)
{
	struct shard *s = fiber_shard(self);
	int64_t until_us = shard_now_us(s) + PATIENCE_US;
	enum err e = call_await(self, c);

	while (e == ERR_TOO_MANY_FILES && shard_now_us(s) < until_us && fiber_sleep_await(self, PATIENCE_STEP_US) == OK)
		e = call_await(self, c);
	return e;
}

enum err file_sync_all_await(struct fiber *self, struct file *f)
{
	struct file_call c = {.kind = FILE_CALL_SYNC_ALL, .file = f};

	return call_await(self, &c);
}

enum err file_truncate_await(struct fiber *self, struct file *f, int64_t size)
{
	struct file_call c = {.kind = FILE_CALL_TRUNCATE, .file = f, .size = size};

	return call_await(self, &c);
}

enum err file_reserve_await(struct fiber *self, struct file *f, int64_t size)
{
	struct file_call c = {.kind = FILE_CALL_RESERVE, .file = f, .size = size};

	return call_await(self, &c);
}

enum err file_size_await(struct fiber *self, struct file *f, int64_t *ret_size)
{
	struct file_call c = {.kind = FILE_CALL_SIZE, .file = f};
	enum err e = call_await(self, &c);

	if (!e)
		*ret_size = c.size;
	return e;
}

enum err file_open_await(struct fiber *self, const char *path, unsigned flags, struct file **ret_file)
{
	struct file_call c = {.kind = FILE_CALL_OPEN, .path = path, .flags = flags & ~(unsigned)FILE_IMPATIENT};
	enum err e = flags & FILE_IMPATIENT ? call_await(self, &c) : patient_call_await(self, &c);

	if (!e)
		*ret_file = c.file;
	return e;
}

enum err file_lock_await(struct fiber *self, struct file *f)
{
	struct file_call c = {.kind = FILE_CALL_LOCK, .file = f};

	return call_await(self, &c);
}

enum err file_info_await(struct fiber *self, const char *path, struct file_info *ret_info)
{
	struct file_call c = {.kind = FILE_CALL_INFO, .path = path};
	enum err e = call_await(self, &c);

	if (!e)
		*ret_info = c.info;
	return e;
}

enum err file_remove_await(struct fiber *self, const char *path)
{
	struct file_call c = {.kind = FILE_CALL_REMOVE, .path = path};

	return call_await(self, &c);
}

enum err file_rename_await(struct fiber *self, const char *from, const char *to)
{
	struct file_call c = {.kind = FILE_CALL_RENAME, .path = from, .path2 = to};

	return call_await(self, &c);
}

enum err folder_create_await(struct fiber *self, const char *path)
{
	struct file_call c = {.kind = FILE_CALL_FOLDER_CREATE, .path = path};

	return call_await(self, &c);
}

enum err folder_sync_await(struct fiber *self, const char *path)
{
	struct file_call c = {.kind = FILE_CALL_FOLDER_SYNC, .path = path};

	return patient_call_await(self, &c);
}

enum err folder_space_await(struct fiber *self, const char *path, int64_t *ret_free, int64_t *ret_total)
{
	struct file_call c = {.kind = FILE_CALL_SPACE, .path = path};
	enum err e = call_await(self, &c);

	if (!e) {
		*ret_free = c.size;
		*ret_total = c.size2;
	}
	return e;
}

enum err folder_list_await(struct fiber *self, const char *path, struct folder_list *ret_list)
{
	struct file_call c = {.kind = FILE_CALL_FOLDER_LIST, .path = path};
	enum err e = patient_call_await(self, &c);

	if (!e)
		*ret_list = c.list;
	return e;
}

void folder_list_free(struct folder_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		mem_free(l->entries[i].name);
	mem_free(l->entries);
	*l = (struct folder_list){0};
}
