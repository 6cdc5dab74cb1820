/*
 * socket: stream sockets (TCP) by readiness: receive and send never wait; the owner is told when it is worth trying again.
 * Readiness instead of completion, since an idle connection then holds no buffer, and TLS fits on top as a filter.
 *
 * Invariants: `ready` is called on the socket's shard, level-triggered, for what the interest asks for; a hang-up or error
 * is reported as readable. After socket_close `ready` is not called again.
 * Lifetime: the socket lives until socket_close; its owner outlives it.
 */
#ifndef RUNTIME_SOCKET_H
#define RUNTIME_SOCKET_H

#include "base/bytes.h"
#include "base/err.h"
#include "runtime/fiber.h"
#include "runtime/file.h"

struct socket;
struct listener;

enum socket_events {
	SOCKET_READABLE = 1,
	SOCKET_WRITABLE = 2,
	SOCKET_HUNG_UP =
		4, /* the peer has ended its side, or the connection is lost: told also to who does not read now */
};

struct socket_owner {
	void (*ready)(struct socket_owner *owner, unsigned events);
};

/* An address as text, "127.0.0.1" or "::1", and a port. */
#define ADDRESS_TEXT_SIZE 64
struct address {
	char host[ADDRESS_TEXT_SIZE];
	uint16_t port;
};

void socket_set_interest(struct socket *s, unsigned events);
/* ERR_AGAIN: nothing there now. ERR_CLOSED: the peer ended its side. ERR_CONNECTION_LOST: reset or the like. */
enum err socket_receive(struct socket *s, void *buffer, size_t size, size_t *ret_count) MUST_CHECK;
/* Sends from the parts as much as goes; ERR_AGAIN when nothing went. */
enum err socket_send(struct socket *s, const struct bytes *parts, size_t part_count, size_t *ret_count) MUST_CHECK;
/*
 * The same with a file's bytes behind the parts, which the system takes from where it has them. OK with nothing sent: the range's first bytes
 * are not in memory, and the disk would hold the shard: file_warm, then again with `warmed`. ERR_CORRUPT: the file ends within the
 * range; other errors may also be the file's. The stream may then have part of the range in it, and is of no use any more.
 */
enum err socket_send_file(struct socket *s, const struct bytes *parts, size_t part_count,
			  const struct file_range *range, bool warmed, size_t *ret_count) MUST_CHECK;
/* Closes at once; unsent bytes of earlier sends still go out unless `reset`. */
void socket_close(struct socket *s, bool reset);
void socket_local_address(const struct socket *s, struct address *ret_address);
void socket_peer_address(const struct socket *s, struct address *ret_address);

/*
 * Listening. `accepted` is called on the listener's shard with a connection that belongs to no shard yet: exactly one shard then
 * adopts it (its `struct connection_handle` may travel in a message), or drops it.
 */
struct connection_handle {
	int64_t value;
};

struct listener_owner {
	void (*accepted)(struct listener_owner *owner, struct connection_handle handle);
};

/* Host "" or "0.0.0.0" or "::" is every address. Port 0: any; listener_address tells. ERR_ADDRESS_IN_USE, ERR_PERMISSION, ERR_NAME_RESOLUTION. */
enum err listener_open_await(struct fiber *self, const struct address *address, struct listener_owner *owner,
			     struct listener **ret_listener) MUST_CHECK;
void listener_address(const struct listener *l, struct address *ret_address);
/* No accept while paused (out of descriptors, or of memory). */
void listener_pause(struct listener *l, bool paused);
void listener_close(struct listener *l);
enum err socket_adopt(struct shard *s, struct connection_handle handle, struct socket_owner *owner,
		      struct socket **ret_socket) MUST_CHECK;
void connection_handle_drop(struct shard *s, struct connection_handle handle);

/* Outgoing. Resolves the name, tries its addresses in turn until one connects or the deadline (shard_now_us) is over. */
enum err socket_connect_await(struct fiber *self, const struct address *address, int64_t deadline_us,
			      struct socket_owner *owner, struct socket **ret_socket) MUST_CHECK;

#endif
