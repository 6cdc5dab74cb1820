/*
 * linux: runs shards on Linux: threads, clocks, files, sockets, over io_uring where the kernel allows it and over epoll with helper
 * threads for files elsewhere. The door of src/runtime/linux; what goes through it afterwards is the runtime's own
 * headers.
 */
#ifndef RUNTIME_LINUX_LINUX_H
#define RUNTIME_LINUX_LINUX_H

#include "base/err.h"
#include "runtime/shard.h"

enum linux_io {
	IO_AUTO, /* io_uring where it works, else epoll */
	IO_URING,
	IO_EPOLL,
};

struct linux_options {
	unsigned shards; /* 0: one a core */
	enum linux_io io;
	struct logger *logger; /* called on every shard: its sink locks for itself */
	bool pin;              /* each shard to a core */
	size_t file_threads;   /* at most so many for file work; 0: 32 */
	unsigned max_fibers;   /* of a shard; 0: the runtime's default */
	/*
	 * For power-loss tests of the real process: what was not synced stays in memory and is gone when the process is killed: data
	 * until file_sync, names until folder_sync.
	 */
	bool lossy_file;
	bool refuse_uring; /* for tests: as if the kernel refused io_uring */
};

/*
 * Runs the shards (number 0 on the calling thread) until runtime_stop, whose exit code it returns; 1 when it could not start, with a
 * line in the log. `start` is called on shard 0 when all shards are there. Raises the soft limit of open files to the hard one
 * and ignores SIGPIPE.
 */
int linux_run(const struct linux_options *o, void (*start)(struct shard *shard_zero, void *argument), void *argument);

/* "io_uring", "epoll", or "epoll (io_uring: not permitted)" when auto could not have its way. */
const char *linux_io_name(struct runtime *rt);

/* From `start` or later, on shard 0 of linux_run: SIGTERM, SIGINT and SIGHUP (a closed terminal; not under nohup) call
 * `handler` there instead of ending the process. Once. */
void linux_on_signal(struct shard *shard_zero, void (*handler)(struct shard *s, int signal_number, void *argument),
		     void *argument);

/* One shard on a thread of its own, for the client library: changes no limit and no signal of the process. */
struct linux_thread;

enum err linux_thread_start(const struct linux_options *o, void (*start)(struct shard *s, void *argument),
			    void *argument, struct linux_thread **ret_thread) MUST_CHECK;
/* For shard_post. */
struct shard *linux_thread_shard(struct linux_thread *t);
/* Waits for the end (somebody on it calls runtime_stop) and frees it. Returns the exit code. */
int linux_thread_join(struct linux_thread *t);

/* One shard without a thread: the caller's own turns it. For programs with a loop of their own. */
struct linux_loop;

enum err linux_loop_new(const struct linux_options *o, struct linux_loop **ret_loop) MUST_CHECK;
struct shard *linux_loop_shard(struct linux_loop *l);
/* One turn; before it ends, waits at most `timeout_us` (-1: no bound) for something to do. Always on the same thread. */
void linux_loop_turn(struct linux_loop *l, int64_t timeout_us);
void linux_loop_free(struct linux_loop *l);

#endif
