/*
 * system: what the sources of src/runtime/linux share among themselves.
 *
 *      linux_runtime          the process: options, helper threads, stop
 *        linux_shard          a thread: a poller, what is ready, open files and sockets
 *          poller             epoll.c or uring.c: waits, watches descriptors, carries out file operations
 *          watch              a descriptor whose readiness is followed: sockets, listeners, wake-ups, signals
 */
#ifndef RUNTIME_LINUX_SYSTEM_H
#define RUNTIME_LINUX_SYSTEM_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "runtime/backend.h"
#include "runtime/linux/linux.h"

struct linux_runtime;
struct linux_shard;
struct lossy;

/* --- watch ------------------------------------------------------------------------------------------------------- */

/*
 * Edges come from the kernel, levels are made here: `readiness` is what the kernel said and nobody has yet seen the end of.
 * While readiness & interest is not empty the watch is in the shard's list, and `ready` is called every turn. So a change of
 * interest costs no system call.
 */
struct watch {
	struct list_node node;
	struct linux_shard *shard;
	int fd;
	uint8_t readiness; /* enum socket_events */
	uint8_t interest;
	bool hung;    /* the peer has ended, or an error waits: readable for ever */
	bool added;   /* the poller knows it */
	bool removed; /* only the poller still holds it */
	void (*ready)(struct watch *w, unsigned events);
	void (*released)(struct watch *w); /* nobody holds it any more: frees it */
};

/* The kernel's EPOLL* bits, as poll has them too. */
#define WATCH_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP)

/* Notes what the kernel said. */
void watch_note(struct watch *w, uint32_t kernel_events);
/* Whoever found the end of something clears its bit. */
void watch_clear(struct watch *w, unsigned events);
void watch_set_interest(struct watch *w, unsigned events);
/* Forgets it, closes the descriptor, and calls `released` now or once the poller has let go. */
void watch_close(struct watch *w);

/* --- poller ------------------------------------------------------------------------------------------------------ */

struct poller {
	enum err (*open)(struct linux_shard *ls);
	void (*close)(struct linux_shard *ls);
	/* Hands in what was queued and waits: 0 not at all, -1 without limit. Only notes what came: no callbacks inside. */
	void (*wait)(struct linux_shard *ls, int64_t timeout_us);
	enum err (*add)(struct linux_shard *ls, struct watch *w);
	/* Closes w->fd; calls w->released, now or in a later wait. */
	void (*remove)(struct linux_shard *ls, struct watch *w);
	void (*file_submit)(struct linux_shard *ls, struct file_op *op);
};

extern const struct poller epoll_poller;
extern const struct poller uring_poller;
/* Whether this kernel, here and now, gives us what uring_poller needs; else a few words why not. */
bool uring_usable(const char **ret_reason);

/* --- helper threads ---------------------------------------------------------------------------------------------- */

/*
 * Threads that come when there is work and stay. A job is a message whose `run` does the work (with a NULL shard); what it has
 * to tell it posts to a shard itself.
 */
struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct message *first;
	struct message *last;
	size_t idle;
	size_t thread_count;
	size_t thread_max;
	bool ending;
	pthread_t *threads;
};

void pool_init(struct pool *p, size_t thread_max);
void pool_submit(struct pool *p, struct message *job);
/* Carries out what was submitted, then ends the threads. */
void pool_fini(struct pool *p);

/* --- process and shard ------------------------------------------------------------------------------------------- */

struct linux_shard {
	struct shard *shard;
	struct linux_runtime *runtime;
	const struct poller *poller;
	void *poller_data;
	struct watch wake; /* an eventfd */
	struct watch signals;
	void (*on_signal)(struct shard *s, int signal_number, void *argument);
	void *on_signal_argument;
	struct list ready;      /* watches */
	struct list completed;  /* file_ops whose done is due */
	size_t ring_operations; /* under way in the ring, they hold buffers */
	size_t ring_removals;   /* watches that the ring has not yet let go */
	struct list sockets;    /* open ones, closed at the end */
	struct list listeners;
	struct list connects; /* under way */
	struct list files;
	bool copies_files; /* what is in memory of a file cannot be told: parts of files are sent by way of a buffer */
	pthread_t thread;
};

struct linux_runtime {
	struct runtime *runtime;
	struct logger *logger;
	const struct poller *poller;
	char io_name[80];
	struct pool files;   /* reads, writes, syncs, names */
	struct pool work;    /* offload and names of hosts, which may take long */
	struct list opened;  /* files on their way to their shard; under files.lock */
	struct lossy *lossy; /* NULL: files are what the kernel says */
	bool pin;
	atomic_bool stopping;
	atomic_int exit_code;
	pthread_barrier_t started;
	atomic_bool failed; /* a shard could not start */
	unsigned shard_count;
	struct linux_shard shards[];
};

struct linux_shard *linux_shard_of(struct shard *s);

/* --- files ------------------------------------------------------------------------------------------------------- */

struct file {
	struct handle handle;
	struct list_node node;
	int fd;
	bool locked;
	struct lossy_file *lossy; /* NULL: the kernel's file itself */
	unsigned flags;           /* enum file_flags; only lossy mode needs them */
	struct message closing;
};

enum err err_of_errno(int number);

void linux_file_submit(struct shard *s, struct file_op *op);
void linux_file_call(struct shard *s, struct file_call *c);
void linux_file_close(struct file *f);
size_t linux_open_file_limit(struct runtime *rt);
/* At the end of a shard: what its owners left open. */
void files_close_all(struct linux_shard *ls);
void files_close_opened(struct linux_runtime *lr);

/* Fills `ret_parts` with what is still to be written of `op`; how many. */
#define WRITE_PARTS_MAX 64
size_t file_op_rest(const struct file_op *op, struct iovec ret_parts[WRITE_PARTS_MAX]);
/* Notes that `count` more bytes were written; true when nothing is left. */
bool file_op_advance(struct file_op *op, size_t count);
/* Carries `op` out on this thread, to its end, waiting as long as it takes. */
void file_op_carry_out(struct file_op *op);
/* On the shard: `done` is due, not inside the submit. */
void file_op_complete(struct linux_shard *ls, struct file_op *op);
/* Through the helper threads. */
void file_op_to_pool(struct linux_shard *ls, struct file_op *op);
/* Tries without waiting; true when it is complete. */
bool file_op_try(struct linux_shard *ls, struct file_op *op);

/* A file that was opened on a helper thread: kept until its shard takes it over, so that a stop in between loses none. */
void file_opened(struct linux_runtime *lr, struct file *f);
void file_take_over(struct linux_shard *ls, struct file *f);

/* The real system calls behind a file_call. */
void file_call_carry_out(struct file_call *c);

/* --- sockets ----------------------------------------------------------------------------------------------------- */

enum err linux_listener_open(struct shard *s, const struct address *a, struct listener_owner *o,
			     struct listener **ret_listener);
void linux_listener_address(const struct listener *l, struct address *ret_address);
void linux_listener_pause(struct listener *l, bool paused);
void linux_listener_close(struct listener *l);
/* A descriptor was freed: listeners that had run out of them try again. */
void listeners_retry(struct linux_shard *ls);
void listeners_close_all(struct linux_shard *ls);

enum err linux_socket_adopt(struct shard *s, struct connection_handle h, struct socket_owner *o,
			    struct socket **ret_socket);
void linux_handle_drop(struct shard *s, struct connection_handle h);
void linux_socket_set_interest(struct socket *s, unsigned events);
enum err linux_socket_receive(struct socket *s, void *buffer, size_t size, size_t *ret_count);
enum err linux_socket_send(struct socket *s, const struct bytes *parts, size_t part_count, size_t *ret_count);
/* send_file.c */
enum err linux_socket_send_file(struct socket *s, const struct bytes *parts, size_t part_count,
				const struct file_range *range, bool warmed, size_t *ret_count);
void linux_file_warm(struct shard *s, struct file_warm *w);
void linux_socket_close(struct socket *s, bool reset);
void linux_socket_address(const struct socket *s, bool peer, struct address *ret_address);
void sockets_close_all(struct linux_shard *ls);

void linux_connect(struct connect_call *c);
void linux_connect_cancel(struct connect_call *c);
/* At the very end: no helper thread has one any more. */
void connects_free_all(struct linux_shard *ls);
enum err linux_resolve(const char *host, struct address *ret_addresses, size_t max, size_t *ret_count);

struct sockaddr_storage;
/* Address text to the kernel's form and back. ERR_NAME_RESOLUTION when it is no numeric address. */
enum err address_to_kernel(const struct address *a, struct sockaddr_storage *ret_address, unsigned *ret_size);
void address_of_kernel(const struct sockaddr_storage *from, struct address *ret_address);

/* --- the rest ---------------------------------------------------------------------------------------------------- */

void *linux_stack_map(size_t size);
void linux_stack_unmap(void *stack, size_t size);
int64_t linux_now_us(struct shard *s);
int64_t linux_coarse_us(struct shard *s);
int64_t linux_wall_ms(struct shard *s);
void linux_describe(void (*function)(void), char *ret_text, size_t size);

/* process.c */
int64_t linux_thread_cpu_us(struct shard *s);
void linux_process(struct process_figures *ret_figures);
uint64_t linux_random_seed(void);

/* --- lossy mode -------------------------------------------------------------------------------------------------- */

struct lossy *lossy_new(void);
void lossy_free(struct lossy *l);
void lossy_op_carry_out(struct file_op *op);
void lossy_call_carry_out(struct lossy *l, struct file_call *c);
void lossy_file_closed(struct lossy_file *f, struct file *handle);

#endif
