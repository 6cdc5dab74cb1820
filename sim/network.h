/*
 * network: stream connections between nodes, in virtual time.
 *
 *      end 0 --send--> [ wire 0: arrived | on the way ] --receive--> end 1         a wire holds at most `window` bytes
 *            <-receive-[ wire 1 ............................. ]<--send--
 *
 * Bytes arrive in order, in fragments of any size, after a latency of the connection's own; so connections overtake each other.
 * A send takes what the window leaves. Closing sends the rest, then the end; closing with unread bytes, a kill and a cut reset.
 * A cut loses what is on the way from any byte on, and each side learns of it in its own time.
 *
 * Invariants
 * 1. What a side received is a beginning of what the other sent.
 * 2. After a cut, a kill or a power loss both sides see the end, sooner or later.
 * 3. `ready` is called only in events of its node, level-triggered, for what the interest asks for.
 * Not here: names other than "10.0.0.N", backlogs (connects are accepted as long as somebody listens).
 */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "runtime/backend.h"
#include "sim/sim.h"

struct node;
struct network;

struct network *network_new(struct sim *s);
void network_free(struct network *n);

/* What all connections suffer now. */
struct network_faults {
	uint32_t slow_factor; /* 0 or 1: as usual */
	uint32_t refuse;      /* connects refused, parts of a million */
};
void network_set_faults(struct network *n, struct network_faults f);

/* The process of a node is gone; `power`: so is the machine, and nobody tells its peers. */
void network_node_down(struct network *n, struct node *node, bool power);
/* Cuts one living connection by choice, of `node` or (NULL) of anybody; false when there is none. */
bool network_cut_one(struct network *n, struct node *node);
/* Nothing moves on one living connection for a while. */
bool network_stall_one(struct network *n, int64_t duration_us);
/* Between two nodes (b NULL: between a and all) nothing moves and nothing connects until it is healed. */
void network_block(struct network *n, struct node *a, struct node *b, bool blocked);
void network_heal(struct network *n);
/* Living connections, for tests. */
size_t network_connection_count(const struct network *n);

/* The backend's part: see runtime/backend.h. */
enum err network_listener_open(struct shard *s, const struct address *a, struct listener_owner *o,
			       struct listener **ret_listener);
void network_listener_address(const struct listener *l, struct address *ret_address);
void network_listener_pause(struct listener *l, bool paused);
void network_listener_close(struct listener *l);
enum err network_socket_adopt(struct shard *s, struct connection_handle h, struct socket_owner *o,
			      struct socket **ret_socket);
void network_handle_drop(struct shard *s, struct connection_handle h);
void network_connect(struct connect_call *c);
void network_connect_cancel(struct connect_call *c);
void network_socket_set_interest(struct socket *s, unsigned events);
enum err network_socket_receive(struct socket *s, void *buffer, size_t size, size_t *ret_count);
enum err network_socket_send(struct socket *s, const struct bytes *parts, size_t part_count, size_t *ret_count);
enum err network_socket_send_file(struct socket *s, const struct bytes *parts, size_t part_count,
				  const struct file_range *range, bool warmed, size_t *ret_count);
void network_socket_close(struct socket *s, bool reset);
void network_socket_address(const struct socket *s, bool peer, struct address *ret_address);

#endif
