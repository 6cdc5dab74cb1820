/*
 * connect: outgoing connections, and names of hosts. Calls the operating system's sockets; getaddrinfo, which blocks, on a
 * helper thread.
 *
 *      resolving --addresses--> trying address 1 --refused--> trying address 2 ... --> done (a socket, or the last error)
 *          |                         |
 *          +-------- cancelled ------+--> done (ERR_CANCELLED); a resolver under way is left alone and its answer ignored
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/socket.h"

#define ADDRESSES_MAX 8

/* Outlives its call when that is cancelled while a name is being resolved. */
struct connecting {
	struct connect_call *call; /* NULL: `done` was called */
	struct linux_shard *shard;
	struct socket *socket; /* the present try */
	struct address name;
	struct address addresses[ADDRESSES_MAX];
	size_t count;
	size_t at;
	enum err error;
	struct list_node node; /* in its shard's list */
	bool resolving;        /* a helper thread has name, addresses, count and the next */
	enum err resolve_error;
	bool telling; /* `tell` is on its way */
	struct message job;
	struct message tell;
};

enum err linux_resolve(const char *host, struct address *ret_addresses, size_t max, size_t *ret_count)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	size_t count = 0;
	struct sockaddr_storage storage;
	struct address numeric = {0};
	unsigned size;

	snprintf(numeric.host, sizeof(numeric.host), "%s", host);
	if (!address_to_kernel(&numeric, &storage, &size)) {
		ret_addresses[0] = numeric;
		*ret_count = 1;
		return OK;
	}
	if (getaddrinfo(host, NULL, &hints, &list))
		return ERR_NAME_RESOLUTION;
	for (const struct addrinfo *i = list; i && count < max; i = i->ai_next) {
		storage = (struct sockaddr_storage){0};
		if (i->ai_addrlen > sizeof(storage))
			continue;
		memcpy(&storage, i->ai_addr, i->ai_addrlen);
		address_of_kernel(&storage, &ret_addresses[count++]);
	}
	freeaddrinfo(list);
	if (count == 0)
		return ERR_NAME_RESOLUTION;
	*ret_count = count;
	return OK;
}

static void free_when_over(struct connecting *k)
{
	if (k->call || k->resolving || k->telling)
		return;
	list_remove(&k->node);
	mem_free(k);
}

static void tell_call(struct shard *at, struct message *m)
{
	struct connecting *k = container_of(m, struct connecting, tell);
	struct connect_call *c = k->call;

	(void)at;
	k->telling = false;
	k->call = NULL;
	c->error = k->error;
	c->socket = k->error ? NULL : k->socket;
	free_when_over(k);
	c->done(c);
}

/* `done` is never called inside connect or connect_cancel. */
static void finish(struct connecting *k, enum err error)
{
	must(!k->telling);
	k->error = error;
	k->telling = true;
	k->tell.run = tell_call;
	shard_send(k->shard->shard, k->shard->shard, &k->tell);
}

static void drop_socket(struct connecting *k)
{
	if (k->socket) {
		k->socket->connecting = NULL;
		linux_socket_close(k->socket, false);
		k->socket = NULL;
	}
}

static void succeed(struct connecting *k)
{
	struct socket *s = k->socket;

	s->connecting = NULL;
	watch_set_interest(&s->watch, 0);
	socket_connected(s, k->call->owner);
	finish(k, OK);
}

static void try_next(struct connecting *k);

static void attempt_ready(struct watch *w, unsigned events)
{
	struct socket *s = container_of(w, struct socket, watch);
	struct connecting *k = s->connecting;
	socklen_t size = sizeof(int);
	int number = 0;

	(void)events;
	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &number, &size))
		number = errno;
	if (number) {
		k->error = err_of_errno(number);
		drop_socket(k);
		try_next(k);
		return;
	}
	succeed(k);
}

/* OK: connected or under way; k->socket is set. */
static enum err try_address(struct connecting *k, const struct address *a)
{
	static const int on = 1;
	struct sockaddr_storage storage;
	unsigned size;
	enum err e = address_to_kernel(a, &storage, &size);
	int fd;

	if (e)
		return e;
	fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_of_errno(errno);
	k->socket = socket_new(k->shard, fd);
	k->socket->connecting = k;
	k->socket->watch.ready = attempt_ready;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) ||
	    (connect(fd, (struct sockaddr *)&storage, size) && errno != EINPROGRESS))
		return err_of_errno(errno);
	/* Watched only now: a socket that was never connected reports a hang-up. */
	e = k->shard->poller->add(k->shard, &k->socket->watch);
	if (!e)
		watch_set_interest(&k->socket->watch, SOCKET_WRITABLE);
	return e;
}

static void try_next(struct connecting *k)
{
	while (k->at < k->count) {
		struct address a = k->addresses[k->at++];

		a.port = k->name.port;
		k->error = try_address(k, &a);
		if (!k->error)
			return;
		drop_socket(k);
	}
	finish(k, k->error);
}

static void resolved(struct shard *at, struct message *m)
{
	struct connecting *k = container_of(m, struct connecting, job);

	(void)at;
	k->resolving = false;
	if (!k->call || k->telling) /* cancelled meanwhile */
		free_when_over(k);
	else if (k->resolve_error)
		finish(k, k->resolve_error);
	else
		try_next(k);
}

static void resolve_job(struct shard *at, struct message *m)
{
	struct connecting *k = container_of(m, struct connecting, job);

	(void)at;
	k->resolve_error = linux_resolve(k->name.host, k->addresses, ADDRESSES_MAX, &k->count);
	m->run = resolved;
	shard_post(k->shard->shard, m);
}

void linux_connect(struct connect_call *c)
{
	struct connecting *k = mem_new(struct connecting);
	struct sockaddr_storage storage;
	unsigned size;

	k->call = c;
	k->shard = linux_shard_of(c->shard);
	k->name = c->address;
	list_push_back(&k->shard->connects, &k->node);
	c->cancelled = false;
	c->backend[0] = (uintptr_t)k;
	if (!address_to_kernel(&c->address, &storage, &size)) {
		k->addresses[0] = c->address;
		k->count = 1;
		try_next(k);
		return;
	}
	k->resolving = true;
	k->job.run = resolve_job;
	pool_submit(&k->shard->runtime->work, &k->job);
}

void linux_connect_cancel(struct connect_call *c)
{
	struct connecting *k = (struct connecting *)(uintptr_t)c->backend[0];

	if (c->cancelled || k->telling)
		return;
	c->cancelled = true;
	drop_socket(k);
	finish(k, ERR_CANCELLED);
}

void connects_free_all(struct linux_shard *ls)
{
	struct list_node *n;

	while ((n = list_pop_front(&ls->connects)))
		mem_free(container_of(n, struct connecting, node));
}
