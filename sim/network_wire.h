/* network_wire: what the files of the network model (sim/network*.c) share. Nobody else includes it. */
#ifndef SIM_NETWORK_WIRE_H
#define SIM_NETWORK_WIRE_H

#include "sim/network.h"
#include "sim/node.h"

struct connection;

/* One direction: bytes [0, arrived) can be received, the rest is on the way. */
struct wire {
	uint8_t *data;
	size_t start;
	size_t size;
	size_t arrived;
	size_t capacity;
	size_t window;
	bool ending; /* the sender closed: after the last byte comes the end */
	bool ended;  /* the end has arrived */
	struct sim_event arrive;
	struct connection *connection;
};

struct end {
	struct node *node;      /* NULL: its process is gone */
	struct socket *socket;  /* NULL: not adopted yet, or closed */
	bool closed;            /* by its owner, or with its process */
	bool lost;              /* it knows that the connection is broken */
	struct sim_event learn; /* that it is broken */
	struct connection *connection;
	struct address address;
};

struct connection {
	struct list_node place; /* in network.connections */
	struct network *network;
	int64_t id;
	struct end ends[2];
	struct wire wires[2]; /* wires[i] carries what ends[i] sends */
	int64_t latency_us;
	unsigned fragment;       /* 0: whole, else the largest fragment */
	unsigned fragments_left; /* then it is whole: a long transfer byte by byte costs too many events */
	int64_t stalled_until_us;
	bool broken;
};

struct socket {
	struct handle handle;
	struct connection *connection;
	unsigned side;
	struct socket_owner *owner;
	unsigned interest;
	struct node_event ready;
};

struct pending_accept {
	struct list_node place; /* in listener.waiting */
	struct connection *connection;
};

struct listener {
	struct handle handle;
	struct list_node place; /* in network.listeners */
	struct node *node;
	struct address address;
	struct listener_owner *owner;
	bool paused;
	struct list waiting; /* pending_accept.place */
	struct node_event accept;
};

struct connecting {
	struct node_event event; /* of the caller's node */
	struct list_node place;  /* in network.connecting */
	struct connect_call *call;
	struct connection *connection; /* made, and about to be told */
	unsigned attempts;
};

struct block {
	struct list_node place; /* in network.blocks */
	struct node *a;
	struct node *b; /* NULL: everybody */
};

struct network {
	struct sim *sim;
	struct list connections;
	struct list listeners;
	struct list connecting;
	struct list blocks;
	int64_t next_id;
	uint16_t next_port;
	struct network_faults faults;
};

struct connection *link_new(struct network *n, struct node *from, struct listener *to);
/* Frees it when nobody has an end of it any more. */
void link_settle(struct connection *c);
/* `side` gives up its end. */
void link_close(struct connection *c, unsigned side, bool reset);
/* Nothing on the way arrives from some byte on; side i learns of it after delay_us[i]. */
void link_break(struct connection *c, const int64_t delay_us[2]);
bool network_blocked(const struct network *n, const struct node *a, const struct node *b);
/* Calls the owner of a socket soon if there is something for it. */
void socket_check(struct socket *s);
void accept_check(struct listener *l);

#endif
