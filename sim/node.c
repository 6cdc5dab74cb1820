/* node: see the header. Also the backend's clocks, wake-ups and stacks. */
#include "sim/node.h"

#include <stdio.h>

#include "base/alloc.h"
#include "sim/history.h"
#include "sim/network.h"

#define WALL_START_MS 1767225600000 /* 2026-01-01 */
#define FIBERS_MAX 4096

/* --- events -------------------------------------------------------------------------------------------------------- */

static void event_due(struct sim_event *base)
{
	struct node_event *e = container_of(base, struct node_event, event);

	if (e->node->paused) {
		e->held = true;
		return;
	}
	list_remove(&e->place);
	e->run(e);
}

void node_event_at(struct node *n, struct node_event *e, int64_t time_us, void (*run)(struct node_event *e))
{
	if (!list_linked(&e->place))
		list_push_back(&n->events, &e->place);
	e->held = false;
	e->node = n;
	e->run = run;
	e->event.run = event_due;
	scheduler_at(&n->sim->scheduler, &e->event, time_us);
}

void node_event_cancel(struct node_event *e)
{
	if (!list_linked(&e->place))
		return;
	list_remove(&e->place);
	scheduler_cancel(&e->node->sim->scheduler, &e->event);
	e->held = false;
}

struct node_shard *node_shard_of(struct shard *s)
{
	return shard_backend_data(s);
}

static void turn(struct node_event *e)
{
	struct node_shard *ns = container_of(e, struct node_shard, turn);
	struct node *n = ns->node;
	struct scheduler *sched = &n->sim->scheduler;
	struct memory_owner *before = memory_enter(&n->memory);
	int64_t next_us;
	bool more;

	shard_awake(ns->shard);
	more = shard_turn(ns->shard) || !shard_prepare_sleep(ns->shard);
	next_us = more ? INT64_MIN : shard_next_deadline_us(ns->shard);
	memory_leave(before);
	trace_mix(&sched->trace, bytes_of(&sched->now_us, sizeof(sched->now_us)));
	if (more)
		node_event_at(n, &ns->turn, sched->now_us + choose(sched, 1, 30), turn);
	else if (next_us != INT64_MAX)
		/* A process seldom wakes up exactly when it asked for. */
		node_event_at(n, &ns->turn, next_us - n->clock_base_us + choose_skewed(sched, 0, 300), turn);
}

/* A turn soon, unless one comes sooner. */
static void poke(struct node_shard *ns)
{
	struct scheduler *sched = &ns->node->sim->scheduler;
	int64_t at = sched->now_us + choose_skewed(sched, 1, 40);

	if (list_linked(&ns->turn.place) && (ns->turn.held || ns->turn.event.node.key <= at))
		return;
	node_event_at(ns->node, &ns->turn, at, turn);
}

struct memory_owner *node_call_begin(struct shard *s)
{
	struct memory_owner *before = memory_enter(&node_shard_of(s)->node->memory);

	shard_awake(s);
	return before;
}

void node_call_end(struct shard *s, struct memory_owner *before)
{
	memory_leave(before);
	poke(node_shard_of(s));
}

/* --- the backend's smaller parts ----------------------------------------------------------------------------------- */

static int64_t clock_us(struct shard *s)
{
	const struct node *n = node_shard_of(s)->node;

	return n->sim->scheduler.now_us + n->clock_base_us;
}

int64_t node_wall_ms(const struct node *n)
{
	return WALL_START_MS + n->sim->scheduler.now_us / 1000 + n->wall_offset_ms;
}

static int64_t wall_ms(struct shard *s)
{
	return node_wall_ms(node_shard_of(s)->node);
}

static void wake(struct shard *s)
{
	struct memory_owner *before = memory_enter(NULL);

	poke(node_shard_of(s));
	memory_leave(before);
}

static size_t open_file_limit(struct runtime *rt)
{
	return ((struct node *)runtime_backend_data(rt))->open_file_limit;
}

#define STACK_ALIGNMENT 4096
#define STACK_CANARY 256

/*
 * No guard page here (the simulator calls no operating system): the lowest bytes stay zero, or the stack was too small. Belongs to the
 * node's memory, so that a kill frees it; where the block really starts stands before the stack.
 */
static void *stack_map(size_t size)
{
	uint8_t *block = mem_try_alloc(size + STACK_ALIGNMENT + sizeof(block)), *stack;

	if (!block)
		return NULL;
	stack = block + sizeof(block);
	stack += (STACK_ALIGNMENT - (uintptr_t)stack % STACK_ALIGNMENT) % STACK_ALIGNMENT;
	memset(stack, 0, size);
	memcpy(stack - sizeof(block), &block, sizeof(block));
	return stack;
}

static void stack_unmap(void *stack, size_t size)
{
	uint8_t *block;

	(void)size;
	for (size_t i = 0; i < STACK_CANARY; i++)
		must(((const uint8_t *)stack)[i] == 0);
	memcpy(&block, (uint8_t *)stack - sizeof(block), sizeof(block));
	mem_free(block);
}

static void log_line(struct logger *l, enum log_level level, const char *line)
{
	struct node *n = l->context;
	struct memory_owner *before = memory_enter(NULL);

	trace_text(&n->sim->scheduler.trace, n->name, log_level_name(level), line);
	memory_leave(before);
}

/* --- rare paths ------------------------------------------------------------------------------------------------------ */

/* In a call of the node's: nothing here may come from its memory. */
bool node_rare_path(struct node *n, enum fault f)
{
	struct memory_owner *before;

	if (!n->rare[f] || !chance(&n->sim->scheduler, n->rare[f], 1000000))
		return false;
	before = memory_enter(NULL);
	n->sim->rare[f]++;
	trace_text(&n->sim->scheduler.trace, n->name, "rare path", fault_text(f));
	memory_leave(before);
	return true;
}

static bool rare_path_hit(struct fault_points *p, enum fault f)
{
	return node_rare_path(container_of(p, struct node, faults_in_code), f);
}

void node_choose_rare_paths(struct node *n, const struct history *h)
{
	struct scheduler *s = &n->sim->scheduler;

	if (h->one_rare_path) {
		n->rare[h->rare_path] = 500000;
		return;
	}
	if (chance(s, 1, 4))
		return;
	for (unsigned i = 0; i < FAULT_COUNT; i++)
		n->rare[i] = chance(s, 1, 2) ? 0 : 1000000 / (uint32_t)choose_skewed(s, 3, 1000);
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static void process_gone(struct node *n)
{
	list_for_each(&n->events, place) node_event_cancel(container_of(place, struct node_event, place));
	memory_free_all(&n->memory);
	memory_owner_init(&n->memory);
	n->runtime = NULL;
	n->shard_count = 0;
	n->paused = false;
	n->stopping = false;
	n->open_file_count = 0;
	memset(n->shards, 0, sizeof(n->shards));
}

static void stop_now(struct node_event *e)
{
	struct node *n = container_of(e, struct node, stop_event);
	struct memory_owner *before;

	trace_event(&n->sim->scheduler.trace, n->name, "stopped", "exit code %lld", n->exit_code, 0, 0);
	sim_hit(n->sim, HIT_CLEAN_STOP);
	node_files_down(n);
	network_node_down(n->sim->network, n, false);
	before = memory_enter(&n->memory);
	for (unsigned i = 0; i < n->shard_count; i++)
		shard_free(n->shards[i].shard);
	runtime_free(n->runtime);
	if (n->finish)
		n->finish(n);
	memory_leave(before);
	if (n->check_leaks && n->memory.block_count && !n->exit_code)
		sim_fail(n->sim, "%s stopped cleanly but left %zu blocks of %zu bytes", n->name, n->memory.block_count,
			 n->memory.bytes);
	process_gone(n);
	if (n->stopped)
		n->stopped(n);
}

static void stop(struct runtime *rt, int exit_code)
{
	struct node *n = runtime_backend_data(rt);

	if (n->stopping)
		return;
	n->stopping = true;
	n->exit_code = exit_code;
	/* After the turn that asked for it. */
	node_event_at(n, &n->stop_event, n->sim->scheduler.now_us, stop_now);
}

static const struct backend sim_backend = {
	.now_us = clock_us,
	.wall_ms = wall_ms,
	.wake = wake,
	.stop = stop,
	.file_submit = node_file_submit,
	.file_call = node_file_call,
	.file_close = node_file_close,
	.file_warm = node_file_warm,
	.open_file_limit = open_file_limit,
	.listener_open = network_listener_open,
	.listener_address = network_listener_address,
	.listener_pause = network_listener_pause,
	.listener_close = network_listener_close,
	.socket_adopt = network_socket_adopt,
	.handle_drop = network_handle_drop,
	.connect = network_connect,
	.connect_cancel = network_connect_cancel,
	.socket_set_interest = network_socket_set_interest,
	.socket_receive = network_socket_receive,
	.socket_send = network_socket_send,
	.socket_send_file = network_socket_send_file,
	.socket_close = network_socket_close,
	.socket_address = network_socket_address,
	.offload = node_offload,
	.stack_map = stack_map,
	.stack_unmap = stack_unmap,
};

struct node *node_new(struct sim *s, unsigned number, const char *name)
{
	struct node *n = mem_new(struct node);

	n->sim = s;
	n->number = number;
	snprintf(n->name, sizeof(n->name), "%s", name);
	snprintf(n->host, sizeof(n->host), "10.0.0.%u", number);
	n->disk = disk_new((int64_t)1 << 30);
	n->open_file_limit = 1024;
	memory_owner_init(&n->memory);
	list_init(&n->events);
	list_init(&n->ios);
	list_init(&n->files);
	list_push_back(&s->nodes, &n->place);
	n->faults_in_code.hit = rare_path_hit;
	n->logger = (struct logger){.least = LOG_INFO, .write = log_line, .context = n};
	return n;
}

static void process_dies(struct node *n, bool power)
{
	node_files_down(n);
	network_node_down(n->sim->network, n, power);
	process_gone(n);
}

void node_free(struct node *n)
{
	if (!n)
		return;
	if (n->runtime)
		process_dies(n, false);
	list_remove(&n->place);
	disk_free(n->disk);
	mem_free(n);
}

static void start_now(struct node_event *e)
{
	struct node *n = container_of(e, struct node, start_event);
	struct shard *zero = n->shards[0].shard;
	struct memory_owner *before = node_call_begin(zero);

	n->start(zero, n->start_argument);
	node_call_end(zero, before);
}

void node_start(struct node *n, unsigned shard_count, void (*start)(struct shard *shard_zero, void *argument),
		void *argument)
{
	struct scheduler *sched = &n->sim->scheduler;
	struct memory_owner *before;

	must(!n->runtime && shard_count > 0 && shard_count <= NODE_SHARDS_MAX);
	n->incarnation++;
	n->clock_base_us = choose(sched, 1, 1000000000);
	before = memory_enter(&n->memory);
	n->runtime = runtime_new(&sim_backend, n, shard_count);
	n->shard_count = shard_count;
	for (unsigned i = 0; i < shard_count; i++) {
		struct node_shard *ns = &n->shards[i];
		struct shard_options o = {
			.runtime = n->runtime,
			.index = i,
			.backend = &sim_backend,
			.backend_data = ns,
			.logger = &n->logger,
			.faults = &n->faults_in_code,
			.seed = prng_next(&sched->random),
			.max_fibers = FIBERS_MAX,
		};

		ns->node = n;
		snprintf(ns->who, sizeof(ns->who), "%s.%u", n->name, i);
		ns->shard = shard_new(&o);
		runtime_set_shard(n->runtime, i, ns->shard);
	}
	memory_leave(before);
	for (unsigned i = 0; i < shard_count; i++)
		poke(&n->shards[i]);
	n->start = start;
	n->start_argument = argument;
	trace_event(&sched->trace, n->name, "start", "life %lld, %lld shards", n->incarnation, shard_count, 0);
	node_event_at(n, &n->start_event, sched->now_us + choose(sched, 1, 100), start_now);
}

void node_kill(struct node *n)
{
	must(n->runtime);
	trace_event(&n->sim->scheduler.trace, n->name, "KILL", "%lld blocks of %lld bytes vanish",
		    (int64_t)n->memory.block_count, (int64_t)n->memory.bytes, 0);
	sim_hit(n->sim, HIT_KILL);
	process_dies(n, false);
}

void node_power_loss(struct node *n)
{
	struct disk_loss loss;

	must(n->runtime);
	process_dies(n, true);
	disk_power_loss(n->disk, &n->sim->scheduler.random, &loss);
	sim_hit(n->sim, HIT_POWER_LOSS);
	n->sim->hits[HIT_WRITE_DROPPED] += loss.writes_dropped;
	n->sim->hits[HIT_WRITE_KEPT] += loss.writes_kept;
	n->sim->hits[HIT_WRITE_TORN] += loss.writes_torn;
	n->sim->hits[HIT_NAME_DROPPED] += loss.names_dropped;
	n->sim->hits[HIT_NAME_KEPT] += loss.names_kept;
	n->sim->hits[HIT_ZERO_TAIL] += loss.zero_tails;
	trace_event(&n->sim->scheduler.trace, n->name, "POWER LOSS", "writes: %lld kept, %lld dropped, %lld torn",
		    loss.writes_kept, loss.writes_dropped, loss.writes_torn);
	trace_event(&n->sim->scheduler.trace, n->name, "POWER LOSS", "names: %lld kept, %lld dropped; disk is now %llx",
		    loss.names_kept, loss.names_dropped, (int64_t)disk_hash(n->disk));
}

void node_wipe_disk(struct node *n)
{
	must(!n->runtime);
	sim_hit(n->sim, HIT_EMPTY_DISK);
	trace_event(&n->sim->scheduler.trace, n->name, "WIPE", "a new disk", 0, 0, 0);
	disk_wipe(n->disk);
}

void node_pause(struct node *n)
{
	if (n->paused || !n->runtime)
		return;
	sim_hit(n->sim, HIT_PAUSE);
	trace_event(&n->sim->scheduler.trace, n->name, "PAUSE", "", 0, 0, 0);
	n->paused = true;
}

void node_resume(struct node *n)
{
	struct scheduler *sched = &n->sim->scheduler;
	int64_t at = sched->now_us;

	if (!n->paused)
		return;
	n->paused = false;
	trace_event(&sched->trace, n->name, "RESUME", "", 0, 0, 0);
	list_for_each(&n->events, place)
	{
		struct node_event *e = container_of(place, struct node_event, place);

		if (e->held)
			node_event_at(n, e, at++, e->run);
	}
}
