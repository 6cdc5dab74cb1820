/*
 * backend: what the operating system, or the simulator in its place, does for the runtime. Only the sources of src/runtime,
 * src/runtime/linux and sim/ include this.
 *
 *      runtime       shard turns, fibers, timers, mailboxes, budgets, the _await forms      the same code everywhere
 *      backend       clocks, waiting, wake-ups, file operations, sockets, helper threads     linux: uring | epoll; sim
 *
 * A backend drives the shards: it calls shard_turn(), then waits until I/O, a wake-up or shard_next_deadline_us(), and hands
 * completions in through file_op.done, file_call.done and socket_owner.ready (between turns, on the shard's thread).
 */
#ifndef RUNTIME_BACKEND_H
#define RUNTIME_BACKEND_H

#include "runtime/file.h"
#include "runtime/process.h"
#include "runtime/shard.h"
#include "runtime/socket.h"

struct file_op;

enum file_op_kind { FILE_OP_READ, FILE_OP_WRITE, FILE_OP_SYNC };

/* Operations on names and the rarer ones on files: submitted by a fiber that waits for `done`. */
enum file_call_kind {
	FILE_CALL_OPEN,          /* path, flags -> file */
	FILE_CALL_LOCK,          /* file */
	FILE_CALL_TRUNCATE,      /* file, size */
	FILE_CALL_SIZE,          /* file -> size */
	FILE_CALL_INFO,          /* path -> info */
	FILE_CALL_REMOVE,        /* path */
	FILE_CALL_RENAME,        /* path, path2 */
	FILE_CALL_FOLDER_CREATE, /* path */
	FILE_CALL_FOLDER_SYNC,   /* path */
	FILE_CALL_FOLDER_LIST,   /* path -> list */
	FILE_CALL_SPACE,         /* path -> size (free), size2 (total) */
	FILE_CALL_SYNC_ALL,      /* file */
	FILE_CALL_RESERVE,       /* file, size */
};

struct file_call {
	enum file_call_kind kind;
	struct shard *shard;
	const char *path;
	const char *path2;
	unsigned flags;
	struct file *file;
	int64_t size;
	int64_t size2;
	struct file_info info;
	struct folder_list list;
	enum err error;
	void (*done)(struct file_call *c);
	struct list_node node;  /* the backend's */
	struct message message; /* the backend's */
};

struct connect_call {
	struct shard *shard;
	struct address address;
	struct socket_owner *owner;
	struct socket *socket; /* the result */
	enum err error;
	void (*done)(struct connect_call *c);
	bool cancelled; /* set through connect_cancel: done still comes, with ERR_CANCELLED */
	uint64_t backend[8];
};

struct backend {
	int64_t (*now_us)(struct shard *s);
	int64_t (*wall_ms)(struct shard *s);
	/* From any thread: the shard's next or current wait ends soon. */
	void (*wake)(struct shard *s);
	void (*stop)(struct runtime *rt, int exit_code);

	void (*file_submit)(struct shard *s, struct file_op *op);
	void (*file_call)(struct shard *s, struct file_call *c);
	void (*file_close)(struct file *f);
	void (*file_warm)(struct shard *s, struct file_warm *w);
	size_t (*open_file_limit)(struct runtime *rt);

	enum err (*listener_open)(struct shard *s, const struct address *a, struct listener_owner *o,
				  struct listener **ret_listener);
	void (*listener_address)(const struct listener *l, struct address *ret_address);
	void (*listener_pause)(struct listener *l, bool paused);
	void (*listener_close)(struct listener *l);
	enum err (*socket_adopt)(struct shard *s, struct connection_handle h, struct socket_owner *o,
				 struct socket **ret_socket);
	void (*handle_drop)(struct shard *s, struct connection_handle h);
	void (*connect)(struct connect_call *c);
	void (*connect_cancel)(struct connect_call *c);
	void (*socket_set_interest)(struct socket *s, unsigned events);
	enum err (*socket_receive)(struct socket *s, void *buffer, size_t size, size_t *ret_count);
	enum err (*socket_send)(struct socket *s, const struct bytes *parts, size_t part_count, size_t *ret_count);
	enum err (*socket_send_file)(struct socket *s, const struct bytes *parts, size_t part_count,
				     const struct file_range *range, bool warmed, size_t *ret_count);
	void (*socket_close)(struct socket *s, bool reset);
	void (*socket_address)(const struct socket *s, bool peer, struct address *ret_address);

	/* Runs o->work elsewhere (the simulator: at once, later in virtual time), then o->done on the shard. */
	void (*offload)(struct shard *s, struct offload *o);

	/*
	 * A stack of zeros with a guard page below it: its lowest usable byte; NULL when there is no memory. Freed ones may be kept for
	 * reuse by the caller.
	 */
	void *(*stack_map)(size_t size);
	void (*stack_unmap)(void *stack, size_t size);

	/*
	 * These may be NULL. resolve: a name's addresses as text, may block, runs on a helper thread (without it, names go to listener_open
	 * as they are). coarse_us: a cheap clock for the stall detector (without it nothing is watched). describe: a function's place in
	 * the program, for people. thread_cpu_us: what the calling shard's thread has used. process: called on a helper thread.
	 */
	enum err (*resolve)(const char *host, struct address *ret_addresses, size_t max, size_t *ret_count);
	int64_t (*coarse_us)(struct shard *s);
	void (*describe)(void (*function)(void), char *ret_text, size_t size);
	int64_t (*thread_cpu_us)(struct shard *s);
	void (*process)(struct process_figures *ret_figures);
};

/* Every `struct file`, `struct socket` and `struct listener` of a backend begins with this, so that calls find their way. */
struct handle {
	const struct backend *backend;
	struct shard *shard;
};

struct shard_options {
	struct runtime *runtime;
	unsigned index;
	const struct backend *backend;
	void *backend_data; /* shard_backend_data() */
	struct logger *logger;
	struct fault_points *faults; /* NULL: no rare path is taken on purpose */
	uint64_t seed;
	unsigned max_fibers;
};

struct shard *shard_new(const struct shard_options *o);
/* Nothing of it may be alive any more, except fibers that are parked for ever (they are unwound by unmapping their stacks: simulated kill). */
void shard_free(struct shard *s);
void *shard_backend_data(struct shard *s);
const struct backend *shard_backend(struct shard *s);

/* One turn: inbox, tasks, fibers, due timers, again until nothing is ready or the time slice is over. True: there is more, do not wait. */
bool shard_turn(struct shard *s);
/* INT64_MAX when no timer is armed. */
int64_t shard_next_deadline_us(struct shard *s);
/* For the wake-up protocol of threads: true when the inbox is empty and the shard is now marked as asleep (a post will then call wake). */
bool shard_prepare_sleep(struct shard *s);
void shard_awake(struct shard *s);
/* After each callback that a backend makes itself: names what held the shard over 10 ms. `name` may be NULL, then `function` tells. */
void shard_callback_over(struct shard *s, const char *kind, const char *name, void (*function)(void));

/* The runtime object that a backend fills: shards[count]. */
struct runtime *runtime_new(const struct backend *backend, void *backend_data, unsigned shard_count);
void runtime_set_shard(struct runtime *rt, unsigned index, struct shard *s);
void *runtime_backend_data(struct runtime *rt);
void runtime_free(struct runtime *rt);

#endif
