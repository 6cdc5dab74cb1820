/* acceptor: see the header. */
#include "net/acceptor.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/said.h"
#include "net/per_address.h"

/* Lines of a kind, however many knock. */
#define SAID_A_SECOND 1

struct port {
	struct listener_owner owner;
	struct acceptor *acceptor;
	struct listener *listener;
	unsigned number;
	struct port *next;
};

struct acceptor {
	struct acceptor_options options;
	struct port *ports;
	size_t open_count;
	unsigned next_shard;
	bool paused;
	uint64_t accepted;
	uint64_t refused_per_address;
	uint64_t pauses;
	struct map per_address; /* host -> count + 1, as a pointer */
	struct said full_said;
	struct said refused_said;
};

static void copy_overrides(struct acceptor *a)
{
	struct bytes *o = &a->options.limits.overrides;

	*o = bytes_of(o->size ? mem_dup(o->data, o->size) : NULL, o->size);
}

static void free_overrides(struct acceptor *a)
{
	mem_free((void *)(uintptr_t)a->options.limits.overrides.data);
}

struct acceptor *acceptor_new(const struct acceptor_options *o)
{
	struct acceptor *a = mem_new(struct acceptor);

	a->options = *o;
	copy_overrides(a);
	map_init_seeded(&a->per_address, shard_map_seed(o->shard));
	return a;
}

void acceptor_free(struct acceptor *a)
{
	if (!a)
		return;
	must(a->open_count == 0);
	acceptor_close(a);
	map_fini(&a->per_address);
	free_overrides(a);
	mem_free(a);
}

static bool may_say(struct acceptor *a, struct said *kind, uint64_t *ret_kept)
{
	return said_may(kind, shard_now_us(a->options.shard), SAID_A_SECOND, ret_kept);
}

static void pause_all(struct acceptor *a, bool paused)
{
	a->paused = paused;
	for (struct port *p = a->ports; p; p = p->next)
		listener_pause(p->listener, paused);
}

static void run_arrived(struct shard *at, struct message *m)
{
	struct place *p = container_of(m, struct place, message);

	p->acceptor->options.arrived(p->acceptor->options.context, at, p);
}

static void on_accepted(struct listener_owner *o, struct connection_handle handle)
{
	struct port *port = container_of(o, struct port, owner);
	struct acceptor *a = port->acceptor;
	struct shard *home = a->options.shard;
	struct runtime *rt = shard_runtime(home);
	struct place *p = mem_new(struct place);
	uint64_t kept;

	p->acceptor = a;
	p->handle = handle;
	p->listener = port->number;
	p->to_check = a->options.limits.max_per_address != SIZE_MAX || a->options.limits.overrides.size > 0;
	p->shard = runtime_shard(rt, a->next_shard++ % runtime_shard_count(rt));
	a->open_count++;
	a->accepted++;
	if (a->open_count >= a->options.limits.max_connections && !a->paused) {
		pause_all(a, true);
		a->pauses++;
		if (may_say(a, &a->full_said, &kept))
			log_warn(shard_log(home), "%s=%zu is reached: no more connections are accepted until one ends",
				 a->options.limits.limit_name, a->options.limits.max_connections);
	}
	p->message.run = run_arrived;
	shard_send(home, p->shard, &p->message);
}

enum err acceptor_listen_await(struct fiber *self, struct acceptor *a, const struct address *address, unsigned number,
			       struct address *ret_bound)
{
	struct port *p = mem_new(struct port);
	enum err e;

	p->owner.accepted = on_accepted;
	p->acceptor = a;
	p->number = number;
	e = listener_open_await(self, address, &p->owner, &p->listener);
	if (e) {
		mem_free(p);
		return e;
	}
	p->next = a->ports;
	a->ports = p;
	listener_address(p->listener, ret_bound);
	listener_pause(p->listener, true);
	return OK;
}

void acceptor_begin(struct acceptor *a)
{
	pause_all(a, false);
}

void acceptor_close(struct acceptor *a)
{
	while (a->ports) {
		struct port *p = a->ports;

		a->ports = p->next;
		listener_close(p->listener);
		mem_free(p);
	}
}

size_t acceptor_open_count(const struct acceptor *a)
{
	return a->open_count;
}

void acceptor_figures(const struct acceptor *a, struct acceptor_figures *ret_figures)
{
	*ret_figures = (struct acceptor_figures){
		.open = a->open_count,
		.most = a->options.limits.max_connections,
		.paused = a->paused,
		.accepted = a->accepted,
		.refused_per_address = a->refused_per_address,
		.pauses = a->pauses,
	};
}

void acceptor_limit(struct acceptor *a, const struct acceptor_limits *l)
{
	bool full = a->open_count >= l->max_connections;

	free_overrides(a);
	a->options.limits = *l;
	copy_overrides(a);
	if (full != a->paused)
		pause_all(a, full);
}

static size_t count_of(struct acceptor *a, struct bytes host)
{
	return (size_t)(uintptr_t)map_get(&a->per_address, host);
}

static void set_count(struct acceptor *a, struct bytes host, size_t count)
{
	if (count > 0)
		(void)map_put(&a->per_address, host, (void *)(uintptr_t)count);
	else
		(void)map_remove(&a->per_address, host);
}

static void run_checked(struct shard *at, struct message *m)
{
	struct place *p = container_of(m, struct place, message);

	p->acceptor->options.checked(p->acceptor->options.context, at, p);
}

static void run_check(struct shard *at, struct message *m)
{
	struct place *p = container_of(m, struct place, message);
	struct acceptor *a = p->acceptor;
	struct bytes host = bytes_str(p->peer.host);
	size_t count = count_of(a, host);
	size_t limit = per_address_limit(a->options.limits.overrides, host, a->options.limits.max_per_address);
	uint64_t kept;

	p->refused = count >= limit;
	if (p->refused) {
		a->refused_per_address++;
		if (may_say(a, &a->refused_said, &kept))
			log_warn(shard_log(at),
				 "connection from %s refused: it has %zu, %s=%zu (%llu such before this were not told)",
				 p->peer.host, count,
				 limit == a->options.limits.max_per_address ? "max.connections.per.ip"
									    : "max.connections.per.ip.overrides",
				 limit, (unsigned long long)kept);
	} else {
		set_count(a, host, count + 1);
		p->counted = true;
	}
	p->message.run = run_checked;
	shard_send(at, p->shard, &p->message);
}

void place_check(struct place *p, const struct address *peer)
{
	p->peer = *peer;
	p->message.run = run_check;
	shard_send(p->shard, p->acceptor->options.shard, &p->message);
}

static void run_return(struct shard *at, struct message *m)
{
	struct place *p = container_of(m, struct place, message);
	struct acceptor *a = p->acceptor;
	struct bytes host = bytes_str(p->peer.host);

	(void)at;
	if (p->counted)
		set_count(a, host, count_of(a, host) - 1);
	mem_free(p);
	a->open_count--;
	if (a->paused && a->open_count < a->options.limits.max_connections)
		pause_all(a, false);
}

void place_return(struct place *p)
{
	p->message.run = run_return;
	shard_send(p->shard, p->acceptor->options.shard, &p->message);
}
