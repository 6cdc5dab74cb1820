/*
 * listener: accepting connections, in bursts. Calls the operating system's sockets.
 *
 *      open --out of descriptors--> starved --a descriptor is freed, or a moment later--> open
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/system.h"

#define BACKLOG 1024
/* In one go, before other sockets get their turn. */
#define BURST_MAX 64
/* Descriptors may come free in another shard or outside of us: so often it is tried anyway. */
#define STARVED_RETRY_US 250000
#define STARVED_LINE_EVERY_US 10000000

struct listener {
	struct handle handle;
	struct watch watch;
	struct list_node node;
	struct listener_owner *owner;
	struct timer retry;
	bool paused;
	bool starved;
	bool starved_logged; /* since it last accepted one */
	bool in_burst;
	bool closed;
	int64_t next_line_us;
};

static void listener_released(struct watch *w)
{
	struct listener *l = container_of(w, struct listener, watch);

	if (l->in_burst)
		l->closed = true; /* the burst frees it */
	else
		mem_free(l);
}

static void update_interest(struct listener *l)
{
	watch_set_interest(&l->watch, l->paused || l->starved ? 0 : SOCKET_READABLE);
}

static void retry_fire(struct timer *t)
{
	struct listener *l = container_of(t, struct listener, retry);

	l->starved = false;
	update_interest(l);
}

static void starve(struct listener *l, int number)
{
	struct shard *s = l->handle.shard;
	struct address a;

	l->starved = true;
	update_interest(l);
	timer_arm(s, &l->retry, shard_now_us(s) + STARVED_RETRY_US);
	if (shard_now_us(s) < l->next_line_us)
		return;
	linux_listener_address(l, &a);
	log_error(shard_log(s),
		  "%s: no connection is accepted on %s:%u until some are closed (limit of open files: %zu, ulimit -n)",
		  err_text(err_of_errno(number)), a.host, a.port, linux_open_file_limit(NULL));
	l->next_line_us = shard_now_us(s) + STARVED_LINE_EVERY_US;
	l->starved_logged = true;
}

/* False: the burst is over. */
static bool accept_one(struct listener *l)
{
	int fd = accept4(l->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		void (*accepted)(struct listener_owner * owner, struct connection_handle handle) = l->owner->accepted;

		if (l->starved_logged)
			log_info(shard_log(l->handle.shard), "connections are accepted again");
		l->starved_logged = false;
		accepted(l->owner, (struct connection_handle){.value = fd});
		shard_callback_over(l->handle.shard, "listener", NULL, (void (*)(void))accepted);
		return true;
	}
	switch (errno) {
	case EAGAIN:
		watch_clear(&l->watch, SOCKET_READABLE);
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		starve(l, errno);
		return false;
	default: /* what befell the one connection: the next may be well */
		return true;
	}
}

static void listener_ready(struct watch *w, unsigned events)
{
	struct listener *l = container_of(w, struct listener, watch);

	(void)events;
	l->in_burst = true;
	for (unsigned i = 0; i < BURST_MAX && !l->watch.removed && !l->paused; i++)
		if (!accept_one(l))
			break;
	l->in_burst = false;
	if (l->closed)
		mem_free(l);
}

/* A socket that listens; -1 with errno. */
static int listen_on(const struct sockaddr_storage *address, socklen_t size)
{
	static const int on = 1, off = 0;
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int number;

	if (fd < 0)
		return -1;
	/* Accepted connections inherit the last two. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)))
		goto fail;
	if (address->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)))
		goto fail;
	if (bind(fd, (const struct sockaddr *)address, size) || listen(fd, BACKLOG))
		goto fail;
	return fd;
fail:
	number = errno;
	close(fd);
	errno = number;
	return -1;
}

/* Host "" is "::", or "0.0.0.0" where the machine knows no IPv6. */
static int listen_everywhere(uint16_t port)
{
	struct address any = {.host = "::", .port = port};
	struct sockaddr_storage storage;
	unsigned size;
	int fd;

	must(!address_to_kernel(&any, &storage, &size));
	fd = listen_on(&storage, size);
	if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
		return fd;
	any = (struct address){.host = "0.0.0.0", .port = port};
	must(!address_to_kernel(&any, &storage, &size));
	return listen_on(&storage, size);
}

enum err linux_listener_open(struct shard *s, const struct address *a, struct listener_owner *o,
			     struct listener **ret_listener)
{
	struct linux_shard *ls = linux_shard_of(s);
	struct sockaddr_storage storage;
	struct listener *l;
	unsigned size;
	enum err e;
	int fd;

	if (!a->host[0]) {
		fd = listen_everywhere(a->port);
	} else {
		e = address_to_kernel(a, &storage, &size);
		if (e)
			return e;
		fd = listen_on(&storage, size);
	}
	if (fd < 0)
		return err_of_errno(errno);

	l = mem_new(struct listener);
	l->handle = (struct handle){.backend = shard_backend(s), .shard = s};
	l->watch = (struct watch){.shard = ls, .fd = fd, .ready = listener_ready, .released = listener_released};
	l->owner = o;
	l->retry.fire = retry_fire;
	list_push_back(&ls->listeners, &l->node);
	e = ls->poller->add(ls, &l->watch);
	if (e) {
		linux_listener_close(l);
		return e;
	}
	update_interest(l);
	*ret_listener = l;
	return OK;
}

void linux_listener_address(const struct listener *l, struct address *ret_address)
{
	struct sockaddr_storage storage = {0};
	socklen_t size = sizeof(storage);

	*ret_address = (struct address){0};
	if (!getsockname(l->watch.fd, (struct sockaddr *)&storage, &size))
		address_of_kernel(&storage, ret_address);
}

void linux_listener_pause(struct listener *l, bool paused)
{
	l->paused = paused;
	update_interest(l);
}

void linux_listener_close(struct listener *l)
{
	timer_disarm(l->handle.shard, &l->retry);
	list_remove(&l->node);
	shutdown(l->watch.fd,
		 SHUT_RDWR); /* from now on connects are refused, though the poller may hold it for a turn */
	watch_close(&l->watch);
}

void listeners_retry(struct linux_shard *ls)
{
	list_for_each(&ls->listeners, n)
	{
		struct listener *l = container_of(n, struct listener, node);

		if (!l->starved)
			continue;
		l->starved = false;
		timer_disarm(l->handle.shard, &l->retry);
		update_interest(l);
	}
}

void listeners_close_all(struct linux_shard *ls)
{
	while (!list_empty(&ls->listeners))
		linux_listener_close(container_of(list_first(&ls->listeners), struct listener, node));
}
