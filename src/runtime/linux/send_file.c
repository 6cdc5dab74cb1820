/*
 * send_file: bytes from a file to a socket without a way through our memory. Calls the operating system's sendfile and cachestat.
 *
 *      in memory? --yes--> sendfile                        asked of the kernel before each call, since what is not would be waited for
 *           |  \---no--->  nothing sent: the caller has it warmed, by a helper thread
 *           \-cannot be told (before Linux 6.5, stacked file systems, lossy mode): read without waiting into a buffer, and sent from there
 *
 * What is in memory when it is asked may be gone when it is sent: the shard then waits for one read of the disk.
 */
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/socket.h"

#define PAGE ((int64_t)4096)
/*
 * The kernel takes at most 16 pages at a time into its pipe. One less is what loopback carries best: measured 0.15-0.24 s of CPU a GB, with
 * 64 KiB 0.21-0.57 (docs/performance.md).
 */
#define PIECE (15 * (size_t)PAGE)
#define COPY_SIZE ((size_t)64 * 1024)

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* linux/mman.h of 6.5. */
struct cache_range {
	uint64_t offset;
	uint64_t length;
};

struct cache_state {
	uint64_t cached;
	uint64_t dirty;
	uint64_t writeback;
	uint64_t evicted;
	uint64_t recently_evicted;
};

/*
 * Whether sendfile will find the range in memory, or may wait for the disk since it was warmed. Where the kernel does not say, or knows nothing
 * of what was read a moment ago, this shard copies from then on.
 */
static bool may_send(struct linux_shard *ls, const struct file_range *r, bool warmed)
{
	struct cache_range range = {.offset = (uint64_t)r->position, .length = r->size};
	struct cache_state state = {0};
	int64_t first = r->position / PAGE, last = (r->position + (int64_t)r->size - 1) / PAGE;

	if (ls->copies_files || r->file->lossy)
		return false;
	ls->copies_files = syscall(SYS_cachestat, r->file->fd, &range, &state, 0) != 0 || (warmed && !state.cached);
	return !ls->copies_files && (warmed || (int64_t)state.cached >= last - first + 1);
}

static enum err send_pieces(struct socket *s, const struct file_range *r, size_t *ret_count)
{
	off_t at = (off_t)r->position, end = at + (off_t)r->size;

	while (at < end) {
		size_t piece = PIECE - (size_t)(at % PAGE);
		ssize_t n;

		if ((off_t)piece > end - at)
			piece = (size_t)(end - at);
		n = sendfile(s->watch.fd, r->file->fd, &at, piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return ERR_CORRUPT;
		if (n < 0 && errno != EAGAIN && errno != ENOBUFS)
			return socket_lost(errno);
		if (n < 0) {
			watch_clear(&s->watch, SOCKET_WRITABLE);
			break;
		}
	}
	*ret_count = (size_t)(at - (off_t)r->position);
	return *ret_count ? OK : ERR_AGAIN;
}

/* Waits only if it may. 0 bytes: they are not in memory. */
static enum err read_piece(const struct file_range *r, bool may_wait, uint8_t *buffer, size_t size, size_t *ret_count)
{
	struct file_op lossy = {
		.file = r->file, .kind = FILE_OP_READ, .buffer = buffer, .size = size, .offset = r->position};
	struct iovec to = {.iov_base = buffer, .iov_len = size};
	ssize_t n;

	if (r->file->lossy) {
		file_op_carry_out(&lossy);
		*ret_count = lossy.count;
		return lossy.error || lossy.count ? lossy.error : ERR_CORRUPT;
	}
	do {
		n = preadv2(r->file->fd, &to, 1, r->position, may_wait ? 0 : RWF_NOWAIT);
		if (n < 0 && errno == EOPNOTSUPP)
			n = preadv2(r->file->fd, &to, 1, r->position, 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return ERR_CORRUPT;
	if (n < 0 && errno != EAGAIN)
		return err_of_errno(errno);
	*ret_count = n < 0 ? 0 : (size_t)n;
	return OK;
}

static enum err send_copied(struct socket *s, const struct file_range *r, bool may_wait, size_t *ret_count)
{
	uint8_t *buffer = mem_alloc(COPY_SIZE);
	size_t sent = 0, count = 0;
	enum err e = OK;

	while (sent < r->size) {
		size_t size = r->size - sent < COPY_SIZE ? r->size - sent : COPY_SIZE;
		struct file_range rest = {.file = r->file, .position = r->position + (int64_t)sent};
		struct bytes part;

		e = read_piece(&rest, may_wait, buffer, size, &count);
		if (e || count == 0)
			break;
		part = bytes_of(buffer, count);
		e = socket_send_parts(s, &part, 1, sent + count < r->size, &count);
		if (e)
			break;
		sent += count;
		if (count < part.size)
			break;
	}
	mem_free(buffer);
	if (e && !(e == ERR_AGAIN && sent))
		return e;
	*ret_count = sent;
	return OK;
}

enum err linux_socket_send_file(struct socket *s, const struct bytes *parts, size_t part_count,
				const struct file_range *range, bool warmed, size_t *ret_count)
{
	struct linux_shard *ls = s->watch.shard;
	bool sends = may_send(ls, range, warmed), copies = ls->copies_files || range->file->lossy;
	size_t head = 0, count = 0, wanted = 0;
	enum err e = OK;

	for (size_t i = 0; i < part_count; i++)
		wanted += parts[i].size;
	if (wanted) {
		e = socket_send_parts(s, parts, part_count, sends || copies, &head);
		if (e)
			return e;
	}
	if (head == wanted && sends)
		e = send_pieces(s, range, &count);
	else if (head == wanted && copies)
		e = send_copied(s, range, warmed, &count);
	if (e && !(e == ERR_AGAIN && head))
		return e;
	*ret_count = head + count;
	return OK;
}

/* --- warming ------------------------------------------------------------------------------------------------------------- */

static void warm_back(struct shard *at, struct message *m)
{
	struct file_warm *w = container_of(m, struct file_warm, message);

	(void)at;
	w->done(w);
}

static void warm_job(struct shard *at, struct message *m)
{
	struct file_warm *w = container_of(m, struct file_warm, message);
	uint8_t *buffer = mem_alloc(COPY_SIZE);
	size_t left = w->range.size, count;
	struct file_range rest = w->range;

	(void)at;
	while (left > 0 && !w->error) {
		w->error = read_piece(&rest, true, buffer, left < COPY_SIZE ? left : COPY_SIZE, &count);
		if (!w->error) {
			rest.position += (int64_t)count;
			left -= count;
		}
	}
	mem_free(buffer);
	m->run = warm_back;
	shard_post(w->shard, m);
}

void linux_file_warm(struct shard *s, struct file_warm *w)
{
	w->message.run = warm_job;
	pool_submit(&linux_shard_of(s)->runtime->files, &w->message);
}
