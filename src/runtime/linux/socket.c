/* socket: TCP connections on a poller's readiness. Calls the operating system's sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/socket.h"

/* Parts of one send: more do not make it faster. */
#define SEND_PARTS_MAX 64

_Static_assert(sizeof(struct bytes) == sizeof(struct iovec) &&
		       offsetof(struct bytes, data) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct bytes, size) == offsetof(struct iovec, iov_len),
	       "bytes are handed to the kernel as they are");

static void socket_released(struct watch *w)
{
	mem_free(container_of(w, struct socket, watch));
}

static void socket_ready(struct watch *w, unsigned events)
{
	struct socket *s = container_of(w, struct socket, watch);
	struct shard *shard = s->handle.shard;
	void (*ready)(struct socket_owner * owner, unsigned events) = s->owner->ready;

	ready(s->owner, events);
	shard_callback_over(shard, "socket", NULL, (void (*)(void))ready);
}

struct socket *socket_new(struct linux_shard *ls, int fd)
{
	struct socket *s = mem_new(struct socket);

	s->handle = (struct handle){.backend = shard_backend(ls->shard), .shard = ls->shard};
	s->watch = (struct watch){.shard = ls, .fd = fd, .released = socket_released};
	list_push_back(&ls->sockets, &s->node);
	return s;
}

void socket_connected(struct socket *s, struct socket_owner *owner)
{
	s->owner = owner;
	s->watch.ready = socket_ready;
}

enum err linux_socket_adopt(struct shard *shard, struct connection_handle h, struct socket_owner *o,
			    struct socket **ret_socket)
{
	struct linux_shard *ls = linux_shard_of(shard);
	struct socket *s = socket_new(ls, (int)h.value);
	enum err e;

	socket_connected(s, o);
	e = ls->poller->add(ls, &s->watch);
	if (e) {
		linux_socket_close(s, true);
		return e;
	}
	*ret_socket = s;
	return OK;
}

void linux_handle_drop(struct shard *s, struct connection_handle h)
{
	close((int)h.value);
	listeners_retry(linux_shard_of(s));
}

void linux_socket_set_interest(struct socket *s, unsigned events)
{
	watch_set_interest(&s->watch, events);
}

enum err socket_lost(int number)
{
	return number == ECONNRESET || number == EPIPE || number == ETIMEDOUT ? ERR_CONNECTION_LOST
									      : err_of_errno(number);
}

enum err linux_socket_receive(struct socket *s, void *buffer, size_t size, size_t *ret_count)
{
	ssize_t n;

	must(size > 0);
	/* Its end was seen: the kernel says when there is more. Saves the call that would find nothing. */
	if (!(s->watch.readiness & SOCKET_READABLE))
		return ERR_AGAIN;
	do {
		n = recv(s->watch.fd, buffer, size, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return socket_lost(errno);
	if (n == 0)
		return ERR_CLOSED;
	/* Less than asked for is the end of what is there (epoll(7)). */
	if (n < (ssize_t)size)
		watch_clear(&s->watch, SOCKET_READABLE);
	if (n < 0)
		return ERR_AGAIN;
	*ret_count = (size_t)n;
	return OK;
}

static size_t size_of_parts(const struct bytes *parts, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += parts[i].size;
	return size;
}

enum err socket_send_parts(struct socket *s, const struct bytes *parts, size_t part_count, bool more, size_t *ret_count)
{
	struct msghdr message = {
		.msg_iov = (struct iovec *)(uintptr_t)parts,
		.msg_iovlen = part_count < SEND_PARTS_MAX ? part_count : SEND_PARTS_MAX,
	};
	ssize_t n;

	do {
		n = sendmsg(s->watch.fd, &message, more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN && errno != ENOBUFS)
		return socket_lost(errno);
	if (n < 0 || (size_t)n < size_of_parts(parts, message.msg_iovlen))
		watch_clear(&s->watch, SOCKET_WRITABLE);
	if (n < 0)
		return ERR_AGAIN;
	*ret_count = (size_t)n;
	return OK;
}

enum err linux_socket_send(struct socket *s, const struct bytes *parts, size_t part_count, size_t *ret_count)
{
	return socket_send_parts(s, parts, part_count, false, ret_count);
}

void linux_socket_close(struct socket *s, bool reset)
{
	struct linux_shard *ls = s->watch.shard;
	struct linger at_once = {.l_onoff = 1};

	if (reset)
		setsockopt(s->watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	list_remove(&s->node);
	watch_close(&s->watch);
	listeners_retry(ls);
}

void sockets_close_all(struct linux_shard *ls)
{
	while (!list_empty(&ls->sockets))
		linux_socket_close(container_of(list_first(&ls->sockets), struct socket, node), false);
}

/* --- addresses --------------------------------------------------------------------------------------------------- */

enum err address_to_kernel(const struct address *a, struct sockaddr_storage *ret_address, unsigned *ret_size)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};

	*ret_address = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, a->host, &v4.sin_addr) == 1) {
		memcpy(ret_address, &v4, sizeof(v4));
		*ret_size = sizeof(v4);
		return OK;
	}
	if (inet_pton(AF_INET6, a->host, &v6.sin6_addr) == 1) {
		memcpy(ret_address, &v6, sizeof(v6));
		*ret_size = sizeof(v6);
		return OK;
	}
	return ERR_NAME_RESOLUTION;
}

void address_of_kernel(const struct sockaddr_storage *from, struct address *ret_address)
{
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	*ret_address = (struct address){0};
	memcpy(&v6, from, sizeof(v6));
	memcpy(&v4, from, sizeof(v4));
	if (from->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4.sin_addr, ret_address->host, sizeof(ret_address->host));
		ret_address->port = ntohs(v4.sin_port);
		return;
	}
	/* An IPv4 client of a listener for everything: people know it by its IPv4 address. */
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
		inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], ret_address->host, sizeof(ret_address->host));
	else
		inet_ntop(AF_INET6, &v6.sin6_addr, ret_address->host, sizeof(ret_address->host));
	ret_address->port = ntohs(v6.sin6_port);
}

void linux_socket_address(const struct socket *s, bool peer, struct address *ret_address)
{
	struct sockaddr_storage storage = {0};
	socklen_t size = sizeof(storage);
	int failed = peer ? getpeername(s->watch.fd, (struct sockaddr *)&storage, &size)
			  : getsockname(s->watch.fd, (struct sockaddr *)&storage, &size);

	*ret_address = (struct address){0};
	if (!failed)
		address_of_kernel(&storage, ret_address);
}
