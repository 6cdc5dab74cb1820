/*
 * acceptor: who may connect. Listens on shard 0, deals connections out to the shards in turn, and keeps the count of them.
 *
 *      shard 0:  accepted -> place (a counted ticket) ------message------> shard k: options.arrived(place): conn_open
 *                count down, forget <----------------message-------------- place_return, when that connection is closed
 *
 * Invariants
 * 1. Every accepted connection has exactly one place, from its accept until place_return.
 * 2. At max_connections nothing more is accepted until one ends (they wait in the kernel's queue), with one line in the log.
 * 3. Beyond max_per_address a connection gets its verdict before it is read (place_check) and is closed by its owner.
 * Lifetime: acceptor_new .. acceptor_free on shard 0, after every place came back.
 * Not here: connections themselves (net/conn); running out of descriptors, which the runtime answers by pausing accept.
 */
#ifndef NET_ACCEPTOR_H
#define NET_ACCEPTOR_H

#include "runtime/socket.h"

struct acceptor;

struct place {
	struct message message;
	struct acceptor *acceptor;
	struct connection_handle handle;
	unsigned listener;   /* the number that acceptor_listen_await was given */
	struct shard *shard; /* where the connection lives */
	struct address peer; /* filled by place_check */
	bool to_check;       /* by place_check, before it is read: there is a limit for addresses */
	bool counted;        /* for its address */
	bool refused;
	void *user; /* of who has the connection */
};

struct acceptor_limits {
	size_t max_connections;
	const char *limit_name; /* what sets it, for the log: "max.connections" */
	size_t max_per_address; /* SIZE_MAX: not checked, unless there are overrides */
	struct bytes overrides; /* net/per_address.h; copied */
};

struct acceptor_options {
	struct shard *shard; /* 0 */
	struct acceptor_limits limits;
	void *context;
	/* On the shard that shall have the connection: it adopts or drops place->handle, and returns the place in the end. */
	void (*arrived)(void *context, struct shard *at, struct place *place);
	/* The answer to place_check, on the same shard: place->refused. */
	void (*checked)(void *context, struct shard *at, struct place *place);
};

struct acceptor *acceptor_new(const struct acceptor_options *o);
void acceptor_free(struct acceptor *a);
/* Binds; `ret_bound` has the port that was taken. Nothing is accepted before acceptor_begin. Errors as of listener_open_await. */
enum err acceptor_listen_await(struct fiber *self, struct acceptor *a, const struct address *address, unsigned number,
			       struct address *ret_bound) MUST_CHECK;
void acceptor_begin(struct acceptor *a);
/* Stops listening; connections stay. */
void acceptor_close(struct acceptor *a);
size_t acceptor_open_count(const struct acceptor *a);

struct acceptor_figures {
	size_t open;
	size_t most; /* how many may be */
	bool paused; /* at the limit: who comes waits in the kernel */
	uint64_t accepted;
	uint64_t refused_per_address;
	uint64_t pauses; /* how often the limit was reached */
};

void acceptor_figures(const struct acceptor *a, struct acceptor_figures *ret_figures);
/* From now on; connections that are open stay, and those that were never checked do not count for their address. On shard 0, after acceptor_begin. */
void acceptor_limit(struct acceptor *a, const struct acceptor_limits *l);

void place_check(struct place *p, const struct address *peer);
void place_return(struct place *p);

#endif
