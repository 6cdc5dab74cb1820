/*
 * epoll: the poller for kernels that refuse io_uring. Edge-triggered, so that a descriptor is told to the kernel once; files
 * are tried on the shard and otherwise go to the helper threads. Calls the operating system.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/system.h"

#define EVENTS_PER_WAIT 256

struct epoll_state {
	int fd;
	bool coarse; /* the kernel (before 5.11) or a filter has no epoll_pwait2: milliseconds must do */
	struct epoll_event events[EVENTS_PER_WAIT];
};

static enum err poller_open(struct linux_shard *ls)
{
	struct epoll_state *e;
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return err_of_errno(errno);
	e = mem_new(struct epoll_state);
	e->fd = fd;
	ls->poller_data = e;
	return OK;
}

static void poller_close(struct linux_shard *ls)
{
	struct epoll_state *e = ls->poller_data;

	close(e->fd);
	mem_free(e);
}

static int wait_events(struct epoll_state *e, int64_t timeout_us)
{
	struct timespec t = {.tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000};
	int n;

	if (timeout_us == 0)
		return epoll_wait(e->fd, e->events, EVENTS_PER_WAIT, 0);
	if (!e->coarse) {
		n = epoll_pwait2(e->fd, e->events, EVENTS_PER_WAIT, timeout_us < 0 ? NULL : &t, NULL);
		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return n;
		e->coarse = true;
	}
	if (timeout_us > 0)
		timeout_us = timeout_us > 3600000000 ? 3600000 : (timeout_us + 999) / 1000;
	return epoll_wait(e->fd, e->events, EVENTS_PER_WAIT, (int)timeout_us);
}

static void poller_wait(struct linux_shard *ls, int64_t timeout_us)
{
	struct epoll_state *e = ls->poller_data;
	int n = wait_events(e, timeout_us);

	must(n >= 0 || errno == EINTR);
	for (int i = 0; i < n; i++)
		watch_note(e->events[i].data.ptr, e->events[i].events);
}

static enum err poller_add(struct linux_shard *ls, struct watch *w)
{
	struct epoll_state *e = ls->poller_data;
	struct epoll_event event = {.events = WATCH_EVENTS | EPOLLET, .data.ptr = w};

	if (epoll_ctl(e->fd, EPOLL_CTL_ADD, w->fd, &event))
		return err_of_errno(errno);
	w->added = true;
	return OK;
}

static void poller_remove(struct linux_shard *ls, struct watch *w)
{
	(void)ls;
	close(w->fd); /* the only reference: the kernel forgets it with that */
	w->released(w);
}

static void poller_file_submit(struct linux_shard *ls, struct file_op *op)
{
	if (!file_op_try(ls, op))
		file_op_to_pool(ls, op);
}

const struct poller epoll_poller = {
	.open = poller_open,
	.close = poller_close,
	.wait = poller_wait,
	.add = poller_add,
	.remove = poller_remove,
	.file_submit = poller_file_submit,
};
