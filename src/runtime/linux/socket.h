/* socket: the insides of a connection, for those that make one: socket.c and connect.c. */
#ifndef RUNTIME_LINUX_SOCKET_H
#define RUNTIME_LINUX_SOCKET_H

#include "runtime/linux/system.h"

struct socket {
	struct handle handle;
	struct watch watch;
	struct list_node node; /* in its shard's list */
	struct socket_owner *owner;
	struct connecting *connecting; /* while it is being connected */
};

/* In its shard's list, not yet watched; watch.ready is still to be set. */
struct socket *socket_new(struct linux_shard *ls, int fd);
/* From now on its owner hears of it. */
void socket_connected(struct socket *s, struct socket_owner *owner);

/* `more`: something comes right behind, no packet need leave before. */
enum err socket_send_parts(struct socket *s, const struct bytes *parts, size_t part_count, bool more,
			   size_t *ret_count);
/* What a failed send or receive says. */
enum err socket_lost(int number);

#endif
