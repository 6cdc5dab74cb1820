/*
 * node: a simulated process on a machine of its own: a runtime with its shards, a disk, a wall clock, an address.
 *
 *      DOWN --node_start--> UP --runtime_stop--> DOWN          clean: everything it allocated must be freed
 *       ^                    |
 *       +--- node_kill ------+  kill -9: memory, fibers, sockets and locks vanish; the page cache stays
 *       +--- node_power_loss +  the same, and the disk shows what was not synced as it likes
 *
 * Invariants
 * 1. Everything that a node does happens in an event of its own; between two events its process may die.
 * 2. Code of the node runs with the node's memory owner, code of the simulator never does.
 * 3. A paused node runs nothing; what comes meanwhile is kept in order for its resumption.
 * Lifetime: node_new .. node_free; the process in it comes and goes.
 */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "base/log.h"
#include "runtime/backend.h"
#include "sim/disk.h"
#include "sim/memory.h"
#include "sim/sim.h"

#define NODE_SHARDS_MAX 8

struct history;

/* An event of a node: dies with its process, waits while it is paused. */
struct node_event {
	struct sim_event event;
	struct list_node place; /* in node.events while it is due */
	struct node *node;
	void (*run)(struct node_event *e);
	bool held;
};

struct node_shard {
	struct node *node;
	struct shard *shard;
	struct node_event turn;
	char who[16]; /* for the trace */
};

/* What is wrong with a node's disk now; parts of a million. */
struct disk_faults {
	uint32_t read_errors;
	uint32_t write_errors;
	uint32_t sync_errors;
	uint32_t slow_factor; /* 0 or 1: as usual */
	bool hung;
	bool full;         /* no file grows; the disk's own capacity is for all of it */
	const char *under; /* errors, and `full`, only below this folder of the root; NULL: everywhere */
};

struct node {
	struct sim *sim;
	struct list_node place; /* in sim.nodes */
	char name[12];
	char host[16];
	unsigned number;
	unsigned incarnation;

	struct disk *disk;
	struct disk_faults faults;
	size_t open_file_limit;
	int sync_all; /* 1: a file system can be synced as a whole; -1: not; 0: not yet chosen */
	size_t open_file_count;
	int64_t wall_offset_ms;
	int64_t clock_base_us; /* the monotonic clock begins anywhere */

	struct runtime *runtime; /* NULL: down */
	struct node_shard shards[NODE_SHARDS_MAX];
	unsigned shard_count;
	struct memory_owner memory;
	struct logger logger;
	/* Rare paths of its code (base/fault.h): parts of a million that each is taken. node_choose_rare_paths sets them. */
	struct fault_points faults_in_code;
	uint32_t rare[FAULT_COUNT];
	struct list events; /* node_event.place */
	struct list ios;    /* under way: sim/node_file.c */
	struct list files;  /* open */
	bool paused;
	bool stopping;
	int exit_code;
	/* What a clean stop left behind is a failure of the history. */
	bool check_leaks;
	/* Told when the process ended by itself (runtime_stop). May be NULL. */
	void (*stopped)(struct node *n);
	/* Called before, still as the node: frees what outlives the runtime. May be NULL. */
	void (*finish)(struct node *n);
	void *context;
	void (*start)(struct shard *shard_zero, void *argument);
	void *start_argument;
	struct node_event start_event;
	struct node_event stop_event;
};

/* Its address is "10.0.0.<number>". */
struct node *node_new(struct sim *s, unsigned number, const char *name);
/* Kills its process first. */
void node_free(struct node *n);

static inline bool node_up(const struct node *n)
{
	return n->runtime != NULL;
}

/* Makes some rare paths of this history's code common, others not. */
bool node_rare_path(struct node *n, enum fault f);
void node_choose_rare_paths(struct node *n, const struct history *h);
/* Starts a process: `start` is called on shard 0, soon. */
void node_start(struct node *n, unsigned shard_count, void (*start)(struct shard *shard_zero, void *argument),
		void *argument);
void node_kill(struct node *n);
void node_power_loss(struct node *n);
/* The machine gets a new disk; down only. */
void node_wipe_disk(struct node *n);
void node_pause(struct node *n);
void node_resume(struct node *n);
int64_t node_wall_ms(const struct node *n);

/* Puts an event of the node's process at a time; moves it when it is due already. */
void node_event_at(struct node *n, struct node_event *e, int64_t time_us, void (*run)(struct node_event *e));
void node_event_cancel(struct node_event *e);

/* Around every call into the node's code: its memory, its shard awake, and a turn soon after. */
struct memory_owner *node_call_begin(struct shard *s) MUST_CHECK;
void node_call_end(struct shard *s, struct memory_owner *before);
struct node_shard *node_shard_of(struct shard *s);

/* The file side, in node_file.c. */
void node_file_submit(struct shard *s, struct file_op *op);
void node_file_call(struct shard *s, struct file_call *c);
void node_file_close(struct file *f);
void node_file_warm(struct shard *s, struct file_warm *w);
/* What a send takes from the file by itself; no bytes: they are on the disk only (`warmed`: they are not). */
enum err node_file_peek(const struct file_range *range, bool warmed, void *buffer, size_t *ret_count);
void node_offload(struct shard *s, struct offload *o);
/* The process is gone: decides what becomes of what was under way, closes its files. */
void node_files_down(struct node *n);

#endif
