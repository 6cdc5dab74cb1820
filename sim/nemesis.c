/* nemesis: what goes wrong in a history of the broker's world, and when. Events of the simulator; see sim/world.h. */
#include "base/alloc.h"
#include "sim/network.h"
#include "sim/world.h"

/* A fault that lasts, and what ends it. */
struct affliction {
	struct sim_event end;
	struct nemesis *nemesis;
	void (*mend)(struct affliction *a);
	struct node *node;
	bool active;
};

#define AFFLICTIONS 4

struct nemesis {
	struct world *world;
	struct sim_event next;
	struct sim_event restart_broker;
	struct sim_event restart_clients;
	struct affliction afflictions[AFFLICTIONS];
	bool on;
};

static struct scheduler *sched(struct nemesis *n)
{
	return &n->world->sim->scheduler;
}

static void note_fault(struct nemesis *n, const char *what)
{
	n->world->history->faults++;
	trace_text(&sched(n)->trace, "nemesis", "FAULT", what);
}

/* --- what is down comes up again ------------------------------------------------------------------------------------------------ */

static void reboot_if_cache_lies(struct nemesis *n)
{
	struct world *w = n->world;
	struct disk_loss loss;

	if (!world_cache_lies(w))
		return;
	disk_power_loss(w->broker->disk, &sched(n)->random, &loss);
	world_cache_lost(w);
	w->lost_syncs = w->sim->hits[HIT_SYNC_LOST];
	trace_text(&sched(n)->trace, "nemesis", "reboot", "of the broker's machine, since its page cache lies");
}

static void restart_broker(struct sim_event *e)
{
	struct nemesis *n = container_of(e, struct nemesis, restart_broker);
	struct world *w = n->world;

	if (w->broker_ready)
		return;
	if (node_up(w->broker)) /* it is starting, or still stopping */
		scheduler_at(sched(n), e, sched(n)->now_us + choose(sched(n), 50000, 500000));
	else {
		reboot_if_cache_lies(n);
		world_start_broker(w);
	}
}

static void restart_clients(struct sim_event *e)
{
	struct nemesis *n = container_of(e, struct nemesis, restart_clients);

	for (unsigned i = 0; i < n->world->client_count; i++)
		if (!node_up(n->world->clients[i].node))
			world_start_client(&n->world->clients[i]);
}

static void restart_soon(struct nemesis *n)
{
	if (!scheduler_queued(&n->restart_broker))
		scheduler_at(sched(n), &n->restart_broker,
			     sched(n)->now_us + choose_skewed(sched(n), 1000, 2 * SECOND_US));
}

/* --- faults of a moment ----------------------------------------------------------------------------------------------------------- */

static void end_broker(struct nemesis *n)
{
	struct world *w = n->world;

	if (!node_up(w->broker))
		return;
	if (world_cache_lies(w) || chance(sched(n), 2, 5)) {
		note_fault(n, "power loss of the broker");
		world_kill_broker(w, true);
	} else if (w->broker_ready && chance(sched(n), 1, 3)) {
		note_fault(n, "clean stop of the broker");
		world_stop_broker(w);
	} else {
		note_fault(n, "kill of the broker");
		world_kill_broker(w, false);
	}
	restart_soon(n);
}

static void cut(struct nemesis *n)
{
	unsigned count = (unsigned)choose_skewed(sched(n), 1, 6);

	note_fault(n, "connections are cut");
	while (count--)
		if (!network_cut_one(n->world->sim->network, NULL))
			break;
	world_unwell_until(n->world, sched(n)->now_us + 10 * SECOND_US);
}

static void stall(struct nemesis *n)
{
	int64_t us = choose_skewed(sched(n), 10000, 5 * SECOND_US);

	note_fault(n, "a connection stalls");
	network_stall_one(n->world->sim->network, us);
	world_unwell_until(n->world, sched(n)->now_us + us + SECOND_US);
}

static void jump_clock(struct nemesis *n)
{
	struct node *node = n->world->broker;

	if (n->world->retention_ms >= 0 || n->world->care) /* what is old would be anybody's guess */
		return;
	note_fault(n, "the broker's wall clock jumps");
	sim_hit(n->world->sim, HIT_CLOCK_JUMP);
	node->wall_offset_ms = choose(sched(n), -1200000, 1200000);
}

static void kill_client(struct nemesis *n)
{
	struct world_client *c = &n->world->clients[choose(sched(n), 0, n->world->client_count - 1)];

	if (!node_up(c->node))
		return;
	note_fault(n, "a client dies");
	node_kill(c->node);
	c->roles = 0;
	scheduler_at(sched(n), &n->restart_clients, sched(n)->now_us + choose_skewed(sched(n), 1000, SECOND_US));
}

/* --- faults that last --------------------------------------------------------------------------------------------------------------- */

static void affliction_over(struct sim_event *e)
{
	struct affliction *a = container_of(e, struct affliction, end);

	a->active = false;
	a->mend(a);
	a->nemesis->world->troubles--;
	world_unwell_until(a->nemesis->world, a->nemesis->world->sim->scheduler.now_us + 2 * SECOND_US);
	trace_text(&a->nemesis->world->sim->scheduler.trace, "nemesis", "mended", "");
}

/* A place for one more; NULL when enough is wrong already, or that very thing. */
static struct affliction *afflict(struct nemesis *n, const char *what, void (*mend)(struct affliction *a),
				  int64_t longest_us)
{
	struct affliction *free_place = NULL;

	for (unsigned i = 0; i < AFFLICTIONS; i++) {
		if (n->afflictions[i].active && n->afflictions[i].mend == mend)
			return NULL;
		if (!n->afflictions[i].active)
			free_place = &n->afflictions[i];
	}
	if (!free_place)
		return NULL;
	note_fault(n, what);
	n->world->troubles++;
	*free_place = (struct affliction){.end.run = affliction_over, .nemesis = n, .mend = mend, .active = true};
	scheduler_at(sched(n), &free_place->end, sched(n)->now_us + choose_skewed(sched(n), 5000, longest_us));
	return free_place;
}

static void mend_disk(struct affliction *a)
{
	struct node *node = a->nemesis->world->broker;

	if (node->faults.write_errors || node->faults.sync_errors)
		world_cache_lost(a->nemesis->world);
	node->faults = (struct disk_faults){0};
	disk_set_capacity(node->disk, (int64_t)1 << 30);
}

static void trouble_disk(struct nemesis *n)
{
	static const char *const texts[] = {"slow disk",  "hung disk",   "full disk",
					    "reads fail", "writes fail", "syncs fail"};
	int64_t kind = choose(sched(n), 0, (int64_t)countof(texts) - 1);
	struct node *node = n->world->broker;
	uint32_t often = 1;

	if (!afflict(n, texts[kind], mend_disk, 3 * SECOND_US))
		return;
	n->world->disk_trouble = true;
	n->world->disk_errors = n->world->disk_errors || kind >= 3;
	if (kind >= (n->world->care ? 2 : 3) && n->world->two_folders && chance(sched(n), 1, 2)) {
		trace_text(&sched(n)->trace, "nemesis", "FAULT", "of the second folder alone");
		sim_hit(n->world->sim, HIT_ONE_FOLDER);
		node->faults.under = "/data2/";
		often = 10;
	} else {
		n->world->whole_disk_trouble = true;
	}
	if (kind == 0)
		node->faults.slow_factor = 100;
	else if (kind == 1)
		node->faults.hung = true;
	else if (kind == 2 && node->faults.under)
		node->faults.full = true;
	else if (kind == 2)
		disk_set_capacity(node->disk, disk_used(node->disk) + choose_skewed(sched(n), 0, 40000));
	else if (kind == 3)
		node->faults.read_errors = 50000 * often;
	else if (kind == 4)
		node->faults.write_errors = 20000 * often;
	else
		node->faults.sync_errors = 30000 * often;
	if (node->faults.write_errors || node->faults.sync_errors)
		world_cache_lost(n->world);
}

static void mend_network(struct affliction *a)
{
	network_set_faults(a->nemesis->world->sim->network, (struct network_faults){0});
}

static void trouble_network(struct nemesis *n)
{
	struct network_faults f = {0};

	if (!afflict(n, "slow network, connects refused", mend_network, 3 * SECOND_US))
		return;
	f.slow_factor = chance(sched(n), 1, 2) ? 50 : 0;
	f.refuse = chance(sched(n), 1, 2) ? 300000 : 0;
	network_set_faults(n->world->sim->network, f);
}

static void mend_partition(struct affliction *a)
{
	network_block(a->nemesis->world->sim->network, a->nemesis->world->broker, a->node, false);
}

static void partition(struct nemesis *n)
{
	struct affliction *a = afflict(n, "the broker cannot be reached", mend_partition, 4 * SECOND_US);

	if (!a)
		return;
	if (chance(sched(n), 2, 3))
		a->node = n->world->clients[choose(sched(n), 0, n->world->client_count - 1)].node;
	network_block(n->world->sim->network, n->world->broker, a->node, true);
}

static void mend_pause(struct affliction *a)
{
	node_resume(a->nemesis->world->broker);
}

static void pause_broker(struct nemesis *n)
{
	if (node_up(n->world->broker) && afflict(n, "the broker is paused", mend_pause, 4 * SECOND_US))
		node_pause(n->world->broker);
}

/* --- life ----------------------------------------------------------------------------------------------------------------------------- */

static void strike(struct nemesis *n)
{
	int64_t what = choose(sched(n), 0, 99);

	if (what < 30)
		end_broker(n);
	else if (what < 45)
		trouble_disk(n);
	else if (what < 60)
		cut(n);
	else if (what < 68)
		stall(n);
	else if (what < 76)
		trouble_network(n);
	else if (what < 84)
		partition(n);
	else if (what < 89)
		pause_broker(n);
	else if (what < 92)
		jump_clock(n);
	else
		kill_client(n);
}

static void next(struct sim_event *e)
{
	struct nemesis *n = container_of(e, struct nemesis, next);

	if (!node_up(n->world->broker))
		restart_soon(n); /* it ended by itself: its last folder failed, or it could not start */
	if (chance(sched(n), 5, 6))
		strike(n);
	scheduler_at(sched(n), e, sched(n)->now_us + choose_skewed(sched(n), 1000, 6 * SECOND_US));
}

struct nemesis *nemesis_new(struct world *w)
{
	struct nemesis *n = mem_new(struct nemesis);

	n->world = w;
	n->next.run = next;
	n->restart_broker.run = restart_broker;
	n->restart_clients.run = restart_clients;
	return n;
}

static void quiet(struct nemesis *n)
{
	scheduler_cancel(sched(n), &n->next);
	scheduler_cancel(sched(n), &n->restart_broker);
	scheduler_cancel(sched(n), &n->restart_clients);
	for (unsigned i = 0; i < AFFLICTIONS; i++)
		scheduler_cancel(sched(n), &n->afflictions[i].end);
}

void nemesis_free(struct nemesis *n)
{
	quiet(n);
	mem_free(n);
}

void nemesis_begin(struct nemesis *n)
{
	scheduler_at(sched(n), &n->next, sched(n)->now_us + choose(sched(n), 100000, 2 * SECOND_US));
}

void nemesis_heal(struct nemesis *n)
{
	struct world *w = n->world;

	quiet(n);
	trace_text(&sched(n)->trace, "nemesis", "HEAL", "everything");
	for (unsigned i = 0; i < AFFLICTIONS; i++)
		if (n->afflictions[i].active)
			affliction_over(&n->afflictions[i].end);
	network_heal(w->sim->network);
	w->broker->rare[FAULT_METASTORE_NO_SPACE] = 0; /* the one of them that a client can tell from health */
	/* A disk that failed is seen by a process that starts anew; and so is what a failed sync left. */
	if (node_up(w->broker) && (w->disk_trouble || world_cache_lies(w)))
		world_kill_broker(w, world_cache_lies(w));
	restart_broker(&n->restart_broker);
	restart_clients(&n->restart_clients);
	world_unwell_until(w, sched(n)->now_us + 10 * SECOND_US);
}
