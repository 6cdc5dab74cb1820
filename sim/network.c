/* network: see the header. Here: what moves on connections, and what breaks them. Sockets and connects are in network_socket.c. */
#include "sim/network.h"

#include <stdio.h>

#include "base/alloc.h"
#include "sim/network_wire.h"

struct network *network_new(struct sim *s)
{
	struct network *n = mem_new(struct network);

	n->sim = s;
	n->next_port = 30000;
	list_init(&n->connections);
	list_init(&n->listeners);
	list_init(&n->connecting);
	list_init(&n->blocks);
	return n;
}

void network_free(struct network *n)
{
	must(list_empty(&n->connections) && list_empty(&n->listeners) && list_empty(&n->connecting));
	network_heal(n);
	mem_free(n);
}

void network_set_faults(struct network *n, struct network_faults f)
{
	n->faults = f;
}

size_t network_connection_count(const struct network *n)
{
	size_t count = 0;

	list_for_each(&n->connections, place) count++;
	return count;
}

/* --- bytes ----------------------------------------------------------------------------------------------------------- */

static int64_t latency(struct connection *c)
{
	struct scheduler *s = &c->network->sim->scheduler;
	int64_t us = c->latency_us + choose_skewed(s, 0, c->latency_us);

	return c->network->faults.slow_factor > 1 ? us * choose_skewed(s, 1, c->network->faults.slow_factor) : us;
}

static bool blocked(const struct connection *c)
{
	return network_blocked(c->network, c->ends[0].node, c->ends[1].node);
}

static void learned(struct sim_event *e)
{
	struct end *end = container_of(e, struct end, learn);

	end->lost = true;
	if (end->socket)
		socket_check(end->socket);
}

static void learn_at(struct end *end, int64_t time_us)
{
	struct scheduler *s = &end->connection->network->sim->scheduler;

	if (end->closed || end->lost || scheduler_queued(&end->learn))
		return;
	end->learn.run = learned;
	scheduler_at(s, &end->learn, time_us);
}

/* How much of what is on the way arrives now. */
static size_t next_fragment(struct connection *c, size_t on_the_way)
{
	struct scheduler *s = &c->network->sim->scheduler;
	size_t count = on_the_way;

	if (c->fragment && c->fragments_left && count > 1)
		count = (size_t)choose(s, 1, c->fragment);
	else if (count > 1 && chance(s, 1, 8))
		count = (size_t)choose(s, 1, (int64_t)count);
	if (count >= on_the_way)
		return on_the_way;
	sim_hit(c->network->sim, HIT_FRAGMENT);
	if (c->fragments_left)
		c->fragments_left--;
	return count;
}

static void arrive(struct sim_event *e)
{
	struct wire *w = container_of(e, struct wire, arrive);
	struct connection *c = w->connection;
	struct scheduler *s = &c->network->sim->scheduler;
	unsigned from = w == &c->wires[1];
	struct end *to = &c->ends[!from];
	size_t left;

	if (c->broken)
		return;
	if (blocked(c) || s->now_us < c->stalled_until_us) {
		int64_t again = s->now_us + choose(s, 10000, 100000);

		scheduler_at(s, e, again > c->stalled_until_us ? again : c->stalled_until_us);
		return;
	}
	if (to->closed) {
		/* Nobody takes it: the sender is told so. */
		learn_at(&c->ends[from], s->now_us + latency(c));
		return;
	}
	w->arrived += next_fragment(c, w->size - w->arrived);
	left = w->size - w->arrived;
	if (left)
		scheduler_at(s, e, s->now_us + choose_skewed(s, 1, 50));
	else if (w->ending)
		w->ended = true;
	if (to->socket)
		socket_check(to->socket);
}

/* Something new is on the wire. */
static void wire_schedule(struct wire *w)
{
	struct connection *c = w->connection;

	if (!scheduler_queued(&w->arrive) && !c->broken)
		scheduler_at(&c->network->sim->scheduler, &w->arrive, c->network->sim->scheduler.now_us + latency(c));
}

static void wire_put(struct wire *w, struct bytes data)
{
	if (w->start + w->size + data.size > w->capacity) {
		if (w->size)
			memmove(w->data, w->data + w->start, w->size);
		w->start = 0;
		w->data = mem_grow(w->data, &w->capacity, w->size + data.size, 1);
	}
	memcpy(w->data + w->start + w->size, data.data, data.size);
	w->size += data.size;
}

enum err network_socket_send(struct socket *s, const struct bytes *parts, size_t part_count, size_t *ret_count)
{
	struct connection *c = s->connection;
	struct wire *w = &c->wires[s->side];
	struct memory_owner *before;
	size_t sent = 0, wanted = 0;

	if (c->ends[s->side].lost)
		return ERR_CONNECTION_LOST;
	before = memory_enter(NULL);
	for (size_t i = 0; i < part_count; i++) {
		struct bytes part = parts[i];
		size_t room = w->window - w->size;

		wanted += part.size;
		if (part.size > room)
			part.size = room;
		if (part.size)
			wire_put(w, part);
		sent += part.size;
	}
	if (sent < wanted)
		sim_hit(c->network->sim, sent ? HIT_PARTIAL_SEND : HIT_SEND_AGAIN);
	if (sent) {
		trace_event(&c->network->sim->scheduler.trace, node_shard_of(s->handle.shard)->who, "send",
			    "connection %lld, %lld of %lld bytes", c->id, (int64_t)sent, (int64_t)wanted);
		wire_schedule(w);
	}
	memory_leave(before);
	if (!sent && wanted)
		return ERR_AGAIN;
	*ret_count = sent;
	return OK;
}

enum err network_socket_send_file(struct socket *s, const struct bytes *parts, size_t part_count,
				  const struct file_range *range, bool warmed, size_t *ret_count)
{
	struct memory_owner *before = memory_enter(NULL);
	struct bytes *all = mem_alloc((part_count + 1) * sizeof(*all));
	uint8_t *buffer = mem_alloc(range->size);
	size_t count = 0;
	enum err e = node_file_peek(range, warmed, buffer, &count);

	for (size_t i = 0; i < part_count; i++)
		all[i] = parts[i];
	all[part_count] = bytes_of(buffer, count);
	*ret_count = 0;
	if (!e)
		e = network_socket_send(s, all, part_count + 1, ret_count);
	mem_free(buffer);
	mem_free(all);
	memory_leave(before);
	return e;
}

enum err network_socket_receive(struct socket *s, void *buffer, size_t size, size_t *ret_count)
{
	struct connection *c = s->connection;
	struct wire *w = &c->wires[!s->side];
	bool was_full = w->size == w->window;
	struct memory_owner *before;

	if (!w->arrived) {
		if (c->ends[s->side].lost)
			return ERR_CONNECTION_LOST;
		return w->ended ? ERR_CLOSED : ERR_AGAIN;
	}
	if (size > w->arrived)
		size = w->arrived;
	memcpy(buffer, w->data + w->start, size);
	w->start += size;
	w->size -= size;
	w->arrived -= size;
	if (!w->size)
		w->start = 0;
	before = memory_enter(NULL);
	trace_event(&c->network->sim->scheduler.trace, node_shard_of(s->handle.shard)->who, "receive",
		    "connection %lld, %lld bytes", c->id, (int64_t)size, 0);
	if (was_full && c->ends[!s->side].socket)
		socket_check(c->ends[!s->side].socket);
	memory_leave(before);
	*ret_count = size;
	return OK;
}

/* --- connections ------------------------------------------------------------------------------------------------------- */

static size_t choose_window(struct scheduler *s)
{
	/* Small ones make partial sends common; a frame of the broker is seldom above 64 KiB here. */
	static const size_t windows[] = {1 << 20, 1 << 16, 1 << 16, 4096, 700};

	return windows[choose(s, 0, (int64_t)countof(windows) - 1)];
}

struct connection *link_new(struct network *n, struct node *from, struct listener *to)
{
	struct scheduler *s = &n->sim->scheduler;
	struct connection *c = mem_new(struct connection);
	static const unsigned fragments[] = {0, 0, 0, 3000, 200, 7};

	c->network = n;
	c->id = n->next_id++;
	c->latency_us = choose_skewed(s, 20, 2000);
	/* Byte by byte costs many events: one connection of twelve. */
	c->fragment = fragments[choose(s, 0, (int64_t)countof(fragments) - (chance(s, 1, 2) ? 1 : 2))];
	c->fragments_left = 200;
	for (unsigned i = 0; i < 2; i++) {
		c->wires[i] = (struct wire){.connection = c, .window = choose_window(s), .arrive.run = arrive};
		c->ends[i].connection = c;
	}
	c->ends[0].node = from;
	snprintf(c->ends[0].address.host, sizeof(c->ends[0].address.host), "%s", from->host);
	c->ends[0].address.port = n->next_port++;
	if (n->next_port < 30000)
		n->next_port = 30000;
	c->ends[1].node = to->node;
	snprintf(c->ends[1].address.host, sizeof(c->ends[1].address.host), "%s", to->node->host);
	c->ends[1].address.port = to->address.port;
	list_push_back(&n->connections, &c->place);
	return c;
}

static void link_free(struct connection *c)
{
	for (unsigned i = 0; i < 2; i++) {
		scheduler_cancel(&c->network->sim->scheduler, &c->wires[i].arrive);
		scheduler_cancel(&c->network->sim->scheduler, &c->ends[i].learn);
		mem_free(c->wires[i].data);
	}
	list_remove(&c->place);
	mem_free(c);
}

void link_settle(struct connection *c)
{
	if (c->ends[0].closed && c->ends[1].closed)
		link_free(c);
}

void link_break(struct connection *c, const int64_t delay_us[2])
{
	struct scheduler *s = &c->network->sim->scheduler;

	for (unsigned i = 0; i < 2; i++) {
		struct wire *w = &c->wires[i];
		size_t on_the_way = w->size - w->arrived;

		if (on_the_way && !c->broken) {
			w->arrived += (size_t)choose(s, 0, (int64_t)on_the_way - 1);
			w->size = w->arrived;
			sim_hit(c->network->sim, HIT_CUT_IN_FLIGHT);
			if (c->ends[!i].socket)
				socket_check(c->ends[!i].socket);
		}
		learn_at(&c->ends[i], s->now_us + delay_us[i]);
	}
	c->broken = true;
}

void link_close(struct connection *c, unsigned side, bool reset)
{
	struct end *end = &c->ends[side];
	struct wire *out = &c->wires[side], *in = &c->wires[!side];

	end->closed = true;
	end->socket = NULL;
	scheduler_cancel(&c->network->sim->scheduler, &end->learn);
	if (c->ends[!side].closed) {
		link_settle(c);
		return;
	}
	if (reset || in->arrived) {
		const int64_t delay_us[2] = {latency(c), latency(c)};

		link_break(c, delay_us);
		return;
	}
	out->ending = true;
	wire_schedule(out);
}

/* --- faults -------------------------------------------------------------------------------------------------------------- */

bool network_blocked(const struct network *n, const struct node *a, const struct node *b)
{
	list_for_each(&n->blocks, place)
	{
		const struct block *k = container_of(place, struct block, place);

		if ((k->a == a && (!k->b || k->b == b)) || (k->a == b && (!k->b || k->b == a)))
			return true;
	}
	return false;
}

void network_block(struct network *n, struct node *a, struct node *b, bool block)
{
	trace_event(&n->sim->scheduler.trace, a->name, block ? "PARTITION" : "reachable", "from node %lld",
		    b ? (int64_t)b->number : -1, 0, 0);
	if (block) {
		struct block *k = mem_new(struct block);

		k->a = a;
		k->b = b;
		list_push_back(&n->blocks, &k->place);
		sim_hit(n->sim, HIT_PARTITION);
		return;
	}
	list_for_each(&n->blocks, place)
	{
		struct block *k = container_of(place, struct block, place);

		if (k->a != a || k->b != b)
			continue;
		list_remove(&k->place);
		mem_free(k);
	}
}

void network_heal(struct network *n)
{
	n->faults = (struct network_faults){0};
	list_for_each(&n->blocks, place)
	{
		list_remove(place);
		mem_free(container_of(place, struct block, place));
	}
	list_for_each(&n->connections, place) container_of(place, struct connection, place)->stalled_until_us = 0;
}

/* One that lives, by choice. */
static struct connection *choose_connection(struct network *n, const struct node *node)
{
	struct connection *found = NULL;
	uint32_t seen = 0;

	list_for_each(&n->connections, place)
	{
		struct connection *c = container_of(place, struct connection, place);

		if (c->broken || c->ends[0].closed || c->ends[1].closed)
			continue;
		if (node && c->ends[0].node != node && c->ends[1].node != node)
			continue;
		if (chance(&n->sim->scheduler, 1, ++seen))
			found = c;
	}
	return found;
}

bool network_cut_one(struct network *n, struct node *node)
{
	struct scheduler *s = &n->sim->scheduler;
	struct connection *c = choose_connection(n, node);
	int64_t delay_us[2];

	if (!c)
		return false;
	sim_hit(n->sim, HIT_CUT);
	for (unsigned i = 0; i < 2; i++)
		delay_us[i] = choose_skewed(s, 10, 20000);
	if (chance(s, 1, 3)) {
		delay_us[choose(s, 0, 1)] = choose(s, 500000, 8000000);
		sim_hit(n->sim, HIT_HALF_OPEN);
	}
	trace_event(&s->trace, "network", "CUT", "connection %lld, told after %lld and %lld us", c->id, delay_us[0],
		    delay_us[1]);
	link_break(c, delay_us);
	return true;
}

bool network_stall_one(struct network *n, int64_t duration_us)
{
	struct connection *c = choose_connection(n, NULL);

	if (!c)
		return false;
	sim_hit(n->sim, HIT_STALL);
	trace_event(&n->sim->scheduler.trace, "network", "STALL", "connection %lld for %lld us", c->id, duration_us, 0);
	c->stalled_until_us = n->sim->scheduler.now_us + duration_us;
	return true;
}
