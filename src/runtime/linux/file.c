/*
 * file: reads, writes and syncs: tried on the shard where that does not wait, else on a helper thread. Calls the operating
 * system's positioned reads and writes. uring.c takes what is left over here to the kernel instead of to the helper threads.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/system.h"

/*
 * A write of at most so many bytes goes to the page cache on the shard itself: copying 64 KiB takes about 20 us, less than handing it to
 * another thread and back (README.md has the measure).
 */
#define INLINE_WRITE_MAX ((size_t)256 * 1024)

_Static_assert(sizeof(struct message) <= sizeof(((struct file_op *)0)->backend),
	       "a message fits into the backend's part");

static struct message *message_of(struct file_op *op)
{
	return (struct message *)(void *)op->backend;
}

static struct file_op *op_of(struct message *m)
{
	return container_of((void *)m, struct file_op, backend);
}

size_t file_op_rest(const struct file_op *op, struct iovec ret_parts[WRITE_PARTS_MAX])
{
	size_t count = 0;
	size_t skip = op->part_offset;

	for (size_t i = op->part_at; i < op->part_count && count < WRITE_PARTS_MAX; i++) {
		ret_parts[count++] = (struct iovec){
			.iov_base = (void *)(uintptr_t)(op->parts[i].data + skip),
			.iov_len = op->parts[i].size - skip,
		};
		skip = 0;
	}
	return count;
}

bool file_op_advance(struct file_op *op, size_t count)
{
	op->count += count;
	while (op->part_at < op->part_count) {
		size_t left = op->parts[op->part_at].size - op->part_offset;

		if (count < left) {
			op->part_offset += count;
			return false;
		}
		count -= left;
		op->part_at++;
		op->part_offset = 0;
	}
	return true;
}

static void write_all(struct file_op *op)
{
	struct iovec parts[WRITE_PARTS_MAX];
	bool over = file_op_advance(op, 0);

	while (!over) {
		size_t n = file_op_rest(op, parts);
		ssize_t written = pwritev(op->file->fd, parts, (int)n, op->offset + (int64_t)op->count);

		if (written > 0)
			over = file_op_advance(op, (size_t)written);
		else if (written == 0 || errno != EINTR) {
			op->error = written == 0 ? ERR_IO : err_of_errno(errno);
			return;
		}
	}
}

/* With RWF_NOWAIT false means: the rest is not in memory. */
static bool read_all(struct file_op *op, int flags)
{
	while (op->count < op->size) {
		struct iovec rest = {.iov_base = (uint8_t *)op->buffer + op->count, .iov_len = op->size - op->count};
		ssize_t n = preadv2(op->file->fd, &rest, 1, op->offset + (int64_t)op->count, flags);

		if (n > 0) {
			op->count += (size_t)n;
		} else if (n == 0) {
			return true;
		} else if (flags && (errno == EAGAIN || errno == EOPNOTSUPP)) {
			return false;
		} else if (errno != EINTR) {
			op->error = err_of_errno(errno);
			return true;
		}
	}
	return true;
}

void file_op_carry_out(struct file_op *op)
{
	if (op->file->lossy) {
		lossy_op_carry_out(op);
		return;
	}
	switch ((enum file_op_kind)op->kind) {
	case FILE_OP_READ:
		read_all(op, 0);
		break;
	case FILE_OP_WRITE:
		write_all(op);
		break;
	case FILE_OP_SYNC:
		if (fdatasync(op->file->fd))
			op->error = err_of_errno(errno);
		break;
	}
}

static size_t write_size(const struct file_op *op)
{
	size_t size = 0;

	for (size_t i = 0; i < op->part_count; i++)
		size += op->parts[i].size;
	return size;
}

bool file_op_try(struct linux_shard *ls, struct file_op *op)
{
	if (op->file->lossy)
		return false;
	if (op->kind == FILE_OP_READ) {
		if (!read_all(op, RWF_NOWAIT))
			return false;
	} else if (op->kind == FILE_OP_WRITE && write_size(op) <= INLINE_WRITE_MAX) {
		write_all(op);
	} else {
		return false;
	}
	file_op_complete(ls, op);
	return true;
}

void file_op_complete(struct linux_shard *ls, struct file_op *op)
{
	list_push_back(&ls->completed, &op->node);
}

static void op_back(struct shard *at, struct message *m)
{
	struct file_op *op = op_of(m);

	(void)at;
	op->done(op);
}

static void op_job(struct shard *at, struct message *m)
{
	struct file_op *op = op_of(m);

	(void)at;
	file_op_carry_out(op);
	m->run = op_back;
	shard_post(op->file->handle.shard, m);
}

void file_op_to_pool(struct linux_shard *ls, struct file_op *op)
{
	message_of(op)->run = op_job;
	pool_submit(&ls->runtime->files, message_of(op));
}

void linux_file_submit(struct shard *s, struct file_op *op)
{
	struct linux_shard *ls = linux_shard_of(s);

	if (op->file->lossy)
		file_op_to_pool(ls, op);
	else
		ls->poller->file_submit(ls, op);
}

/* --- closing ----------------------------------------------------------------------------------------------------- */

void file_opened(struct linux_runtime *lr, struct file *f)
{
	pthread_mutex_lock(&lr->files.lock);
	list_push_back(&lr->opened, &f->node);
	pthread_mutex_unlock(&lr->files.lock);
}

void file_take_over(struct linux_shard *ls, struct file *f)
{
	pthread_mutex_lock(&ls->runtime->files.lock);
	list_remove(&f->node);
	pthread_mutex_unlock(&ls->runtime->files.lock);
	f->handle = (struct handle){.backend = shard_backend(ls->shard), .shard = ls->shard};
	list_push_back(&ls->files, &f->node);
}

static void file_end(struct file *f)
{
	if (f->lossy)
		lossy_file_closed(f->lossy, f);
	else
		close(f->fd);
	mem_free(f);
}

static void close_job(struct shard *at, struct message *m)
{
	(void)at;
	file_end(container_of(m, struct file, closing));
}

void linux_file_close(struct file *f)
{
	struct linux_shard *ls = linux_shard_of(f->handle.shard);

	list_remove(&f->node);
	/* The last close of a removed file frees its blocks, which takes long; a lock must be free when this returns. */
	if (f->locked) {
		file_end(f);
		return;
	}
	f->closing.run = close_job;
	pool_submit(&ls->runtime->files, &f->closing);
}

void files_close_all(struct linux_shard *ls)
{
	struct list_node *n;

	while ((n = list_pop_front(&ls->files)))
		file_end(container_of(n, struct file, node));
}

void files_close_opened(struct linux_runtime *lr)
{
	struct list_node *n;

	while ((n = list_pop_front(&lr->opened)))
		file_end(container_of(n, struct file, node));
}

size_t linux_open_file_limit(struct runtime *rt)
{
	struct rlimit limit;

	(void)rt;
	must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	return limit.rlim_cur > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)limit.rlim_cur;
}
