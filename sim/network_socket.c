/* network_socket: listeners, sockets and connects of nodes; what a node's death does to them. See sim/network.h. */
#include <stdio.h>

#include "base/alloc.h"
#include "sim/network_wire.h"

static struct network *network_of(struct shard *s)
{
	return node_shard_of(s)->node->sim->network;
}

/* --- readiness ------------------------------------------------------------------------------------------------------------ */

static unsigned ready_events(const struct socket *s)
{
	const struct connection *c = s->connection;
	const struct wire *in = &c->wires[!s->side], *out = &c->wires[s->side];
	bool lost = c->ends[s->side].lost;
	unsigned events = 0;

	if (in->arrived || in->ended || lost)
		events |= SOCKET_READABLE;
	if (in->ended || lost)
		events |= SOCKET_HUNG_UP;
	if (lost || out->size < out->window)
		events |= SOCKET_WRITABLE;
	return events & s->interest;
}

static void call_ready(struct node_event *e)
{
	struct socket *s = container_of(e, struct socket, ready);
	struct scheduler *sched = &e->node->sim->scheduler;
	struct shard *shard = s->handle.shard;
	unsigned events = ready_events(s);
	struct memory_owner *before;

	if (!events)
		return;
	/* Level-triggered: again, unless the owner takes what is there, turns its interest off or closes. */
	node_event_at(e->node, &s->ready, sched->now_us + choose_skewed(sched, 10, 60), call_ready);
	before = node_call_begin(shard);
	s->owner->ready(s->owner, events);
	node_call_end(shard, before);
}

void socket_check(struct socket *s)
{
	struct node *n = node_shard_of(s->handle.shard)->node;
	struct scheduler *sched = &n->sim->scheduler;

	if (!list_linked(&s->ready.place) && ready_events(s))
		node_event_at(n, &s->ready, sched->now_us + choose_skewed(sched, 1, 40), call_ready);
}

void network_socket_set_interest(struct socket *s, unsigned events)
{
	struct memory_owner *before = memory_enter(NULL);

	s->interest = events;
	socket_check(s);
	memory_leave(before);
}

/* --- sockets -------------------------------------------------------------------------------------------------------------- */

static struct socket *socket_new(struct shard *s, struct connection *c, unsigned side, struct socket_owner *o)
{
	struct socket *k = mem_new(struct socket);

	k->handle.backend = shard_backend(s);
	k->handle.shard = s;
	k->connection = c;
	k->side = side;
	k->owner = o;
	c->ends[side].socket = k;
	return k;
}

void network_socket_close(struct socket *s, bool reset)
{
	struct memory_owner *before = memory_enter(NULL);

	trace_event(&s->connection->network->sim->scheduler.trace, node_shard_of(s->handle.shard)->who, "close",
		    reset ? "connection %lld, reset" : "connection %lld", s->connection->id, 0, 0);
	node_event_cancel(&s->ready);
	link_close(s->connection, s->side, reset);
	mem_free(s);
	memory_leave(before);
}

void network_socket_address(const struct socket *s, bool peer, struct address *ret_address)
{
	*ret_address = s->connection->ends[peer ? !s->side : s->side].address;
}

static struct connection *connection_of(struct network *n, struct connection_handle h)
{
	list_for_each(&n->connections, place)
	{
		struct connection *c = container_of(place, struct connection, place);

		if (c->id == h.value)
			return c;
	}
	return NULL;
}

enum err network_socket_adopt(struct shard *s, struct connection_handle h, struct socket_owner *o,
			      struct socket **ret_socket)
{
	struct connection *c = connection_of(network_of(s), h);
	struct memory_owner *before;

	must(c && !c->ends[1].socket && !c->ends[1].closed && c->ends[1].node == node_shard_of(s)->node);
	before = memory_enter(NULL);
	*ret_socket = socket_new(s, c, 1, o);
	memory_leave(before);
	return OK;
}

void network_handle_drop(struct shard *s, struct connection_handle h)
{
	struct memory_owner *before = memory_enter(NULL);
	struct connection *c = connection_of(network_of(s), h);

	must(c && !c->ends[1].socket && !c->ends[1].closed);
	link_close(c, 1, true);
	memory_leave(before);
}

/* --- listening -------------------------------------------------------------------------------------------------------------- */

static bool is_any(const char *host)
{
	return !host[0] || !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
}

static struct listener *listener_at(const struct network *n, const char *host, uint16_t port)
{
	list_for_each(&n->listeners, place)
	{
		struct listener *l = container_of(place, struct listener, place);

		if (!strcmp(l->node->host, host) && l->address.port == port)
			return l;
	}
	return NULL;
}

enum err network_listener_open(struct shard *s, const struct address *a, struct listener_owner *o,
			       struct listener **ret_listener)
{
	struct network *n = network_of(s);
	struct node *node = node_shard_of(s)->node;
	struct memory_owner *before;
	struct listener *l;

	if (!is_any(a->host) && strcmp(a->host, node->host))
		return ERR_NAME_RESOLUTION;
	if (a->port && listener_at(n, node->host, a->port))
		return ERR_ADDRESS_IN_USE;
	before = memory_enter(NULL);
	l = mem_new(struct listener);
	l->handle.backend = shard_backend(s);
	l->handle.shard = s;
	l->node = node;
	l->owner = o;
	l->address = *a;
	if (!a->port)
		l->address.port = n->next_port++;
	list_init(&l->waiting);
	list_push_back(&n->listeners, &l->place);
	memory_leave(before);
	*ret_listener = l;
	return OK;
}

void network_listener_address(const struct listener *l, struct address *ret_address)
{
	*ret_address = l->address;
}

static void call_accepted(struct node_event *e)
{
	struct listener *l = container_of(e, struct listener, accept);
	struct list_node *first = l->paused ? NULL : list_pop_front(&l->waiting);
	struct pending_accept *p;
	struct connection_handle h;
	struct shard *shard = l->handle.shard;
	struct memory_owner *before;

	if (!first)
		return;
	p = container_of(first, struct pending_accept, place);
	h.value = p->connection->id;
	mem_free(p);
	accept_check(l);
	before = node_call_begin(shard);
	l->owner->accepted(l->owner, h);
	node_call_end(shard, before);
}

void accept_check(struct listener *l)
{
	struct scheduler *s = &l->node->sim->scheduler;

	if (!l->paused && !list_empty(&l->waiting) && !list_linked(&l->accept.place))
		node_event_at(l->node, &l->accept, s->now_us + choose_skewed(s, 1, 100), call_accepted);
}

void network_listener_pause(struct listener *l, bool paused)
{
	struct memory_owner *before = memory_enter(NULL);

	l->paused = paused;
	accept_check(l);
	memory_leave(before);
}

static void listener_free(struct listener *l)
{
	list_for_each(&l->waiting, place)
	{
		struct pending_accept *p = container_of(place, struct pending_accept, place);

		list_remove(place);
		link_close(p->connection, 1, true);
		mem_free(p);
	}
	node_event_cancel(&l->accept);
	list_remove(&l->place);
	mem_free(l);
}

void network_listener_close(struct listener *l)
{
	struct memory_owner *before = memory_enter(NULL);

	listener_free(l);
	memory_leave(before);
}

/* --- connecting -------------------------------------------------------------------------------------------------------------- */

static struct node *node_at(const struct sim *s, const char *host)
{
	list_for_each(&s->nodes, place)
	{
		struct node *n = container_of(place, struct node, place);

		if (!strcmp(n->host, host))
			return n;
	}
	return NULL;
}

static void connect_over(struct connecting *k, enum err e)
{
	struct connect_call *call = k->call;
	struct connection *c = k->connection;
	struct node *n = k->event.node;
	struct memory_owner *before;

	list_remove(&k->place);
	mem_free(k);
	if (call->cancelled) {
		if (c)
			link_close(c, 0, true);
		c = NULL;
		e = ERR_CANCELLED;
	}
	call->error = e;
	call->socket = e ? NULL : socket_new(call->shard, c, 0, call->owner);
	trace_event(&n->sim->scheduler.trace, node_shard_of(call->shard)->who, "connect",
		    e ? "error %lld" : "connection %lld", e ? (int64_t)e : c->id, 0, 0);
	before = node_call_begin(call->shard);
	call->done(call);
	node_call_end(call->shard, before);
}

static void connect_step(struct node_event *e)
{
	struct connecting *k = container_of(e, struct connecting, event);
	struct node *from = e->node, *to = node_at(from->sim, k->call->address.host);
	struct network *n = from->sim->network;
	struct scheduler *s = &from->sim->scheduler;
	struct pending_accept *p;
	struct listener *l;

	if (k->call->cancelled || k->connection) {
		connect_over(k, OK);
		return;
	}
	if (!to) {
		connect_over(k, ERR_NAME_RESOLUTION);
		return;
	}
	l = listener_at(n, to->host, k->call->address.port);
	if (network_blocked(n, from, to)) {
		/* Nobody answers; the caller's deadline decides. */
		sim_hit(n->sim, HIT_UNREACHABLE);
		node_event_at(from, e, s->now_us + choose(s, 100000, 1000000), connect_step);
		return;
	}
	if (!l || (n->faults.refuse && chance(s, n->faults.refuse, 1000000))) {
		sim_hit(n->sim, HIT_REFUSED);
		connect_over(k, ERR_CONNECTION_REFUSED);
		return;
	}
	k->connection = link_new(n, from, l);
	p = mem_new(struct pending_accept);
	p->connection = k->connection;
	list_push_back(&l->waiting, &p->place);
	accept_check(l);
	node_event_at(from, e, s->now_us + choose_skewed(s, 10, 2000), connect_step);
}

void network_connect(struct connect_call *c)
{
	struct node *n = node_shard_of(c->shard)->node;
	struct scheduler *s = &n->sim->scheduler;
	struct memory_owner *before = memory_enter(NULL);
	struct connecting *k = mem_new(struct connecting);

	k->call = c;
	c->backend[0] = (uint64_t)(uintptr_t)k;
	list_push_back(&n->sim->network->connecting, &k->place);
	node_event_at(n, &k->event, s->now_us + choose_skewed(s, 20, 3000), connect_step);
	memory_leave(before);
}

void network_connect_cancel(struct connect_call *c)
{
	struct connecting *k = (struct connecting *)(uintptr_t)c->backend[0];
	struct node *n = k->event.node;
	struct memory_owner *before = memory_enter(NULL);

	c->cancelled = true;
	node_event_at(n, &k->event, n->sim->scheduler.now_us + 1, connect_step);
	memory_leave(before);
}

/* --- a node's death ------------------------------------------------------------------------------------------------------------ */

static void end_down(struct connection *c, unsigned side, bool power)
{
	struct scheduler *s = &c->network->sim->scheduler;
	struct end *end = &c->ends[side];
	int64_t delay_us[2];

	delay_us[0] = delay_us[1] = power ? choose_skewed(s, 1000, 5000000) : choose_skewed(s, 10, 2000);
	if (end->socket) {
		node_event_cancel(&end->socket->ready);
		mem_free(end->socket);
		end->socket = NULL;
	}
	end->node = NULL;
	if (end->closed)
		return;
	end->closed = true;
	scheduler_cancel(s, &end->learn);
	if (c->ends[!side].closed)
		return;
	if (!power && chance(s, 1, 2)) {
		/* The kernel closes what the process had open: what it sent still arrives. */
		c->wires[side].ending = true;
		if (!scheduler_queued(&c->wires[side].arrive) && !c->broken)
			scheduler_at(s, &c->wires[side].arrive, s->now_us + delay_us[0]);
		return;
	}
	link_break(c, delay_us);
}

void network_node_down(struct network *n, struct node *node, bool power)
{
	list_for_each(&n->connecting, place)
	{
		struct connecting *k = container_of(place, struct connecting, place);

		if (k->event.node != node)
			continue;
		node_event_cancel(&k->event);
		if (k->connection)
			k->connection->ends[0].node = node; /* closed below with the others */
		list_remove(place);
		mem_free(k);
	}
	list_for_each(&n->listeners, place)
	{
		struct listener *l = container_of(place, struct listener, place);

		if (l->node == node)
			listener_free(l);
	}
	list_for_each(&n->connections, place)
	{
		struct connection *c = container_of(place, struct connection, place);

		for (unsigned side = 0; side < 2; side++)
			if (c->ends[side].node == node)
				end_down(c, side, power);
		link_settle(c);
	}
}
