/*
 * uring: the poller over io_uring: one system call a turn hands in file operations and takes completions. Calls liburing.
 *
 * Descriptors are followed by multishot polls, which are edges like epoll's; files by reads, writes and syncs. The ring belongs to
 * the shard's thread (single issuer, deferred task work where the kernel has it), so completions come only inside wait().
 * What a completion is for is told by the lowest bits of its user data: a watch, a file operation, or nobody.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/system.h"

#define SUBMISSIONS 512
#define COMPLETIONS 4096
/* Syncs run on the kernel's own workers; by default it would be four a core at once. */
#define SYNC_WORKERS 64
#define COMPLETIONS_PER_WAIT 512

/* In the user data. */
#define TAG_NOBODY ((uint64_t)0)
#define TAG_WATCH ((uint64_t)1)
#define TAG_FILE ((uint64_t)2)
#define TAG_MASK ((uint64_t)3)

/* Setup flags from the most wanted to what every kernel since 5.13 (multishot poll) has. */
static const unsigned setup_flags[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	IORING_SETUP_COOP_TASKRUN,
	0,
};

static int ring_open(struct io_uring *ring, unsigned submissions, unsigned completions)
{
	int failed = -EINVAL;

	for (size_t i = 0; i < countof(setup_flags) && failed == -EINVAL; i++) {
		struct io_uring_params p = {
			.flags = setup_flags[i] | IORING_SETUP_CQSIZE,
			.cq_entries = completions,
		};

		failed = io_uring_queue_init_params(submissions, ring, &p);
	}
	return failed;
}

/* Whether a poll stays armed, which old kernels take for a poll that fires once or for an error. */
static bool multishot_works(struct io_uring *ring)
{
	struct io_uring_cqe *completion;
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	bool works = false;
	int pipe_ends[2];

	if (pipe(pipe_ends))
		return false;
	io_uring_prep_poll_multishot(sqe, pipe_ends[1], POLLOUT);
	if (io_uring_submit_and_wait(ring, 1) == 1 && io_uring_peek_cqe(ring, &completion) == 0)
		works = completion->res > 0 && (completion->flags & IORING_CQE_F_MORE);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	return works;
}

bool uring_usable(const char **ret_reason)
{
	struct io_uring ring;
	int failed = ring_open(&ring, 4, 8);
	bool works;

	if (failed) {
		*ret_reason = failed == -EPERM || failed == -EACCES ? "not permitted"
			      : failed == -ENOSYS                   ? "not in this kernel"
			      : failed == -ENOMEM                   ? "no locked memory left, ulimit -l"
								    : "does not start";
		return false;
	}
	works = (ring.features & IORING_FEAT_EXT_ARG) && multishot_works(&ring);
	io_uring_queue_exit(&ring);
	if (!works)
		*ret_reason = "too old a kernel";
	return works;
}

static enum err poller_open(struct linux_shard *ls)
{
	struct io_uring *ring = mem_new(struct io_uring);
	unsigned workers[2] = {SYNC_WORKERS, 0};
	int failed = ring_open(ring, SUBMISSIONS, COMPLETIONS);

	if (failed) {
		mem_free(ring);
		return err_of_errno(-failed);
	}
	io_uring_register_iowq_max_workers(ring, workers); /* a wish, since 5.15 */
	ls->poller_data = ring;
	return OK;
}

/* Takes what has come and gives the ring back; what is still watched is let go by closing the ring. */
static void poller_close(struct linux_shard *ls)
{
	struct io_uring *ring = ls->poller_data;

	must(ls->ring_operations == 0);
	io_uring_queue_exit(ring);
	mem_free(ring);
}

static struct io_uring_sqe *next_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	while (!sqe) {
		int n = io_uring_submit(ring);

		must(n >= 0 || n == -EINTR || n == -EAGAIN || n == -EBUSY);
		sqe = io_uring_get_sqe(ring);
	}
	return sqe;
}

static void *tagged(void *pointer, uint64_t tag)
{
	return (void *)(uintptr_t)((uint64_t)(uintptr_t)pointer | tag);
}

/* --- watches ----------------------------------------------------------------------------------------------------- */

static void arm(struct io_uring *ring, struct watch *w)
{
	struct io_uring_sqe *sqe = next_sqe(ring);

	io_uring_prep_poll_multishot(sqe, w->fd, WATCH_EVENTS);
	io_uring_sqe_set_data(sqe, tagged(w, TAG_WATCH));
	w->added = true;
}

static enum err poller_add(struct linux_shard *ls, struct watch *w)
{
	arm(ls->poller_data, w);
	return OK;
}

/*
 * The poll holds the open file: it must go before the peer can see that we closed. Both happen in the next wait, at the
 * end of this turn; the watch's memory goes when the poll has said its last.
 */
static void poller_remove(struct linux_shard *ls, struct watch *w)
{
	struct io_uring *ring = ls->poller_data;
	struct io_uring_sqe *sqe;

	if (w->added) {
		sqe = next_sqe(ring);
		/* Not poll_remove: that gives up (EALREADY) on a poll that has just seen something. */
		io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)tagged(w, TAG_WATCH), 0);
		io_uring_sqe_set_data(sqe, NULL);
		ls->ring_removals++;
	}
	close(w->fd);
	if (!w->added)
		w->released(w);
}

static void watch_completed(struct linux_shard *ls, struct watch *w, const struct io_uring_cqe *completion)
{
	bool armed = completion->flags & IORING_CQE_F_MORE;

	if (w->removed && armed)
		return;
	if (w->removed) {
		ls->ring_removals--;
		w->released(w);
		return;
	}
	if (completion->res > 0)
		watch_note(w, (uint32_t)completion->res);
	if (armed)
		return;
	if (completion->res < 0)
		watch_note(w, EPOLLERR); /* a descriptor that cannot be polled: its owner finds out by using it */
	else
		arm(ls->poller_data, w);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static void submit(struct linux_shard *ls, struct file_op *op)
{
	struct io_uring_sqe *sqe = next_sqe(ls->poller_data);
	size_t rest = op->size - op->count;

	if (op->kind == FILE_OP_READ)
		io_uring_prep_read(sqe, op->file->fd, (uint8_t *)op->buffer + op->count,
				   rest < INT32_MAX ? (unsigned)rest : INT32_MAX,
				   (uint64_t)(op->offset + (int64_t)op->count));
	else
		io_uring_prep_fsync(sqe, op->file->fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, tagged(op, TAG_FILE));
	ls->ring_operations++;
}

static void poller_file_submit(struct linux_shard *ls, struct file_op *op)
{
	/* A large write waits for memory to be cleaned; the kernel would do it on a worker of its own as we do. */
	if (op->kind == FILE_OP_WRITE && !file_op_try(ls, op))
		file_op_to_pool(ls, op);
	else if (op->kind == FILE_OP_READ && op->size == 0)
		file_op_complete(ls, op);
	else if (op->kind != FILE_OP_WRITE)
		submit(ls, op);
}

static void file_completed(struct linux_shard *ls, struct file_op *op, int result)
{
	ls->ring_operations--;
	if (result == -EINTR || result == -EAGAIN) {
		submit(ls, op);
		return;
	}
	if (result < 0)
		op->error = err_of_errno(-result);
	else if (op->kind == FILE_OP_READ)
		op->count += (size_t)result;
	if (op->kind == FILE_OP_READ && result > 0 && op->count < op->size)
		submit(ls, op);
	else
		file_op_complete(ls, op);
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

static void completed(struct linux_shard *ls, const struct io_uring_cqe *completion)
{
	void *pointer = (void *)(uintptr_t)(completion->user_data & ~TAG_MASK);

	switch (completion->user_data & TAG_MASK) {
	case TAG_WATCH:
		watch_completed(ls, pointer, completion);
		break;
	case TAG_FILE:
		file_completed(ls, pointer, completion->res);
		break;
	default: /* a poll's removal has no news of its own */
		break;
	}
}

static void poller_wait(struct linux_shard *ls, int64_t timeout_us)
{
	struct io_uring *ring = ls->poller_data;
	struct __kernel_timespec t = {.tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000};
	struct io_uring_cqe *completions[COMPLETIONS_PER_WAIT];
	struct io_uring_cqe *first;
	unsigned n;
	int result;

	if (timeout_us == 0)
		result = io_uring_submit_and_get_events(ring);
	else
		result = io_uring_submit_and_wait_timeout(ring, &first, 1, timeout_us < 0 ? NULL : &t, NULL);
	must(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY);

	n = io_uring_peek_batch_cqe(ring, completions, COMPLETIONS_PER_WAIT);
	for (unsigned i = 0; i < n; i++)
		completed(ls, completions[i]);
	io_uring_cq_advance(ring, n);
}

const struct poller uring_poller = {
	.open = poller_open,
	.close = poller_close,
	.wait = poller_wait,
	.add = poller_add,
	.remove = poller_remove,
	.file_submit = poller_file_submit,
};
