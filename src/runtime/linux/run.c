/*
 * run: the process: threads, their loops, start and stop. Calls pthreads and the operating system.
 *
 *      linux_run:  choose poller -> make all shards -> a thread each -> all pollers open -> start() on shard 0 -> loops ...
 *                  ... runtime_stop -> every loop ends after its turn -> operations that hold buffers end -> all is freed
 */
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/system.h"

#define MMAP_FROM (32 * 1024) /* the least that a shard keeps */

#define FILE_THREADS_DEFAULT 32
#define WORK_THREADS 8
#define SHARDS_MAX 1024

struct linux_shard *linux_shard_of(struct shard *s)
{
	return shard_backend_data(s);
}

static struct linux_runtime *runtime_of(struct runtime *rt)
{
	return runtime_backend_data(rt);
}

const char *linux_io_name(struct runtime *rt)
{
	return runtime_of(rt)->io_name;
}

/* --- what the shards' code calls --------------------------------------------------------------------------------- */

static void wake(struct shard *s)
{
	uint64_t one = 1;
	ssize_t n;

	/* Nobody reads it: every write is an edge, and the count cannot run over in this universe. */
	do {
		n = write(linux_shard_of(s)->wake.fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
	must(n == (ssize_t)sizeof(one));
}

static void stop(struct runtime *rt, int exit_code)
{
	struct linux_runtime *lr = runtime_of(rt);

	if (atomic_exchange(&lr->stopping, true))
		return;
	atomic_store(&lr->exit_code, exit_code);
	for (unsigned i = 0; i < lr->shard_count; i++)
		wake(lr->shards[i].shard);
}

static void offload_back(struct shard *at, struct message *m)
{
	struct offload *o = container_of(m, struct offload, message);

	(void)at;
	o->done(o);
}

static void offload_job(struct shard *at, struct message *m)
{
	struct offload *o = container_of(m, struct offload, message);

	(void)at;
	o->work(o);
	m->run = offload_back;
	shard_post(o->shard, m);
}

static void offload(struct shard *s, struct offload *o)
{
	o->message.run = offload_job;
	pool_submit(&linux_shard_of(s)->runtime->work, &o->message);
}

static const struct backend linux_backend = {
	.now_us = linux_now_us,
	.wall_ms = linux_wall_ms,
	.wake = wake,
	.stop = stop,
	.file_submit = linux_file_submit,
	.file_call = linux_file_call,
	.file_close = linux_file_close,
	.file_warm = linux_file_warm,
	.open_file_limit = linux_open_file_limit,
	.listener_open = linux_listener_open,
	.listener_address = linux_listener_address,
	.listener_pause = linux_listener_pause,
	.listener_close = linux_listener_close,
	.socket_adopt = linux_socket_adopt,
	.handle_drop = linux_handle_drop,
	.connect = linux_connect,
	.connect_cancel = linux_connect_cancel,
	.socket_set_interest = linux_socket_set_interest,
	.socket_receive = linux_socket_receive,
	.socket_send = linux_socket_send,
	.socket_send_file = linux_socket_send_file,
	.socket_close = linux_socket_close,
	.socket_address = linux_socket_address,
	.offload = offload,
	.stack_map = linux_stack_map,
	.stack_unmap = linux_stack_unmap,
	.resolve = linux_resolve,
	.coarse_us = linux_coarse_us,
	.describe = linux_describe,
	.thread_cpu_us = linux_thread_cpu_us,
	.process = linux_process,
};

/* --- a shard's loop ---------------------------------------------------------------------------------------------- */

static void deliver_completed(struct linux_shard *ls)
{
	struct list_node *n;
	struct list due;

	list_init(&due);
	list_splice_back(&due, &ls->completed);
	while ((n = list_pop_front(&due))) {
		struct file_op *op = container_of(n, struct file_op, node);
		void (*done)(struct file_op * op) = op->done;

		done(op);
		shard_callback_over(ls->shard, "file operation", NULL, (void (*)(void))done);
	}
}

static void deliver_ready(struct linux_shard *ls)
{
	struct list_node *n;
	struct list now;

	list_init(&now);
	list_splice_back(&now, &ls->ready);
	while ((n = list_pop_front(&now))) {
		struct watch *w = container_of(n, struct watch, node);

		/* It stays ready until its owner finds the end or loses interest, and may be gone after the call. */
		list_push_back(&ls->ready, n);
		w->ready(w, w->readiness & w->interest);
	}
}

static int64_t time_to_wait_us(struct linux_shard *ls, bool more)
{
	int64_t deadline, left;

	if (more || !list_empty(&ls->ready) || !list_empty(&ls->completed) || !shard_prepare_sleep(ls->shard))
		return 0;
	deadline = shard_next_deadline_us(ls->shard);
	if (deadline == INT64_MAX)
		return -1;
	left = deadline - linux_now_us(ls->shard);
	return left > 0 ? left : 0;
}

static void wait_and_deliver(struct linux_shard *ls, int64_t timeout_us)
{
	ls->poller->wait(ls, timeout_us);
	shard_awake(ls->shard);
	deliver_completed(ls);
	deliver_ready(ls);
}

static void loop(struct linux_shard *ls)
{
	struct linux_runtime *lr = ls->runtime;

	for (;;) {
		bool more = shard_turn(ls->shard);

		if (atomic_load_explicit(&lr->stopping, memory_order_relaxed))
			return;
		wait_and_deliver(ls, time_to_wait_us(ls, more));
	}
}

/* Buffers of operations under way belong to those who are about to be freed. */
static void drain(struct linux_shard *ls)
{
	listeners_close_all(ls);
	sockets_close_all(ls);
	while (ls->ring_operations > 0 || ls->ring_removals > 0)
		ls->poller->wait(ls, -1);
}

static void no_longer(struct watch *w)
{
	w->fd = -1;
}

static bool open_poller(struct linux_shard *ls)
{
	enum err e = ls->poller->open(ls);

	if (e) {
		log_error(ls->runtime->logger, "shard %u cannot wait for events: %s", shard_index(ls->shard),
			  err_text(e));
		return false;
	}
	e = ls->poller->add(ls, &ls->wake);
	if (!e)
		return true;
	log_error(ls->runtime->logger, "shard %u cannot be woken: %s", shard_index(ls->shard), err_text(e));
	ls->poller->close(ls);
	return false;
}

struct entry {
	void (*start)(struct shard *s, void *argument);
	void *argument;
};

static void shard_main(struct linux_shard *ls, const struct entry *entry)
{
	struct linux_runtime *lr = ls->runtime;
	bool open = open_poller(ls);

	if (!open)
		atomic_store(&lr->failed, true);
	pthread_barrier_wait(&lr->started);
	if (open && !atomic_load(&lr->failed)) {
		if (entry) {
			shard_awake(ls->shard);
			entry->start(ls->shard, entry->argument);
		}
		loop(ls);
		drain(ls);
	}
	if (open)
		ls->poller->close(ls);
}

static void *shard_thread_main(void *argument)
{
	shard_main(argument, NULL);
	return NULL;
}

/* --- the process ------------------------------------------------------------------------------------------------- */

static bool choose_poller(struct linux_runtime *lr, const struct linux_options *o)
{
	const char *reason = "refused for a test";
	bool usable = o->io != IO_EPOLL && !o->refuse_uring && uring_usable(&reason);

	lr->poller = usable ? &uring_poller : &epoll_poller;
	if (usable)
		snprintf(lr->io_name, sizeof(lr->io_name), "io_uring");
	else if (o->io == IO_EPOLL)
		snprintf(lr->io_name, sizeof(lr->io_name), "epoll");
	else
		snprintf(lr->io_name, sizeof(lr->io_name), "epoll (io_uring: %s)", reason);
	if (usable || o->io != IO_URING)
		return true;
	log_error(o->logger, "io_uring cannot be used here: %s; --io auto or --io epoll does without", reason);
	return false;
}

static void shard_make(struct linux_runtime *lr, const struct linux_options *o, unsigned index)
{
	struct linux_shard *ls = &lr->shards[index];
	struct shard_options so = {
		.runtime = lr->runtime,
		.index = index,
		.backend = &linux_backend,
		.backend_data = ls,
		.logger = o->logger,
		.seed = linux_random_seed(),
		.max_fibers = o->max_fibers,
	};

	ls->runtime = lr;
	ls->poller = lr->poller;
	ls->wake = (struct watch){.shard = ls, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .released = no_longer};
	if (ls->wake.fd < 0)
		atomic_store(&lr->failed, true);
	ls->signals.fd = -1;
	list_init(&ls->ready);
	list_init(&ls->completed);
	list_init(&ls->sockets);
	list_init(&ls->listeners);
	list_init(&ls->connects);
	list_init(&ls->files);
	ls->shard = shard_new(&so);
	runtime_set_shard(lr->runtime, index, ls->shard);
}

static unsigned count_of_cores(void)
{
	cpu_set_t cores;

	return sched_getaffinity(0, sizeof(cores), &cores) ? 1 : (unsigned)CPU_COUNT(&cores);
}

/* NULL after a line in the log. */
static struct linux_runtime *linux_runtime_new(const struct linux_options *o, unsigned count)
{
	struct linux_runtime *lr;

	must(count > 0 && count <= SHARDS_MAX);
	lr = mem_zalloc(sizeof(*lr) + count * sizeof(lr->shards[0]));
	if (!choose_poller(lr, o)) {
		mem_free(lr);
		return NULL;
	}
	lr->logger = o->logger;
	lr->pin = o->pin;
	lr->shard_count = count;
	list_init(&lr->opened);
	lr->runtime = runtime_new(&linux_backend, lr, count);
	must(pthread_barrier_init(&lr->started, NULL, count) == 0);
	pool_init(&lr->files, o->file_threads ? o->file_threads : FILE_THREADS_DEFAULT);
	pool_init(&lr->work, WORK_THREADS);
	if (o->lossy_file)
		lr->lossy = lossy_new();
	for (unsigned i = 0; i < count; i++)
		shard_make(lr, o, i);
	return lr;
}

static void shard_unmake(struct linux_shard *ls)
{
	connects_free_all(ls);
	files_close_all(ls);
	if (ls->wake.fd >= 0)
		close(ls->wake.fd);
	if (ls->signals.fd >= 0)
		close(ls->signals.fd);
	shard_free(ls->shard);
}

/* No shard's thread runs any more. */
static void linux_runtime_free(struct linux_runtime *lr)
{
	pool_fini(&lr->work);
	pool_fini(&lr->files);
	files_close_opened(lr);
	for (unsigned i = 0; i < lr->shard_count; i++)
		shard_unmake(&lr->shards[i]);
	lossy_free(lr->lossy);
	pthread_barrier_destroy(&lr->started);
	runtime_free(lr->runtime);
	mem_free(lr);
}

static void pin_to_core(pthread_t thread, unsigned index)
{
	cpu_set_t allowed, one;
	unsigned left = index % count_of_cores();

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	CPU_ZERO(&one);
	for (size_t core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET(core, &allowed))
			continue;
		if (left-- == 0) {
			CPU_SET(core, &one);
			break;
		}
	}
	pthread_setaffinity_np(thread, sizeof(one), &one); /* a wish: without it all works, too */
}

/* Threads for all shards but number 0, which block every signal. */
static void threads_start(struct linux_runtime *lr)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 1; i < lr->shard_count; i++) {
		must(pthread_create(&lr->shards[i].thread, NULL, shard_thread_main, &lr->shards[i]) == 0);
		if (lr->pin)
			pin_to_core(lr->shards[i].thread, i);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/*
 * Large allocations are mappings of their own from now on, or malloc would learn from the first one that is freed to put them into its heaps,
 * where small ones keep them from being given back. What comes and goes often is kept by its shard (core.h).
 */
static void map_large_allocations(void)
{
	mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
}

int linux_run(const struct linux_options *o, void (*start)(struct shard *shard_zero, void *argument), void *argument)
{
	struct entry entry = {.start = start, .argument = argument};
	struct linux_runtime *lr;
	sigset_t before;
	int exit_code;

	raise_file_limit();
	map_large_allocations();
	signal(SIGPIPE, SIG_IGN);
	lr = linux_runtime_new(o, o->shards ? o->shards : count_of_cores());
	if (!lr)
		return 1;
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	if (lr->pin)
		pin_to_core(pthread_self(), 0);
	threads_start(lr);
	shard_main(&lr->shards[0], &entry);
	for (unsigned i = 1; i < lr->shard_count; i++)
		pthread_join(lr->shards[i].thread, NULL);
	exit_code = atomic_load(&lr->failed) ? 1 : atomic_load(&lr->exit_code);
	linux_runtime_free(lr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return exit_code;
}

/* --- signals ----------------------------------------------------------------------------------------------------- */

static void signals_ready(struct watch *w, unsigned events)
{
	struct linux_shard *ls = w->shard;
	struct signalfd_siginfo info;

	(void)events;
	if (read(w->fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
		watch_clear(w, SOCKET_READABLE);
		return;
	}
	ls->on_signal(ls->shard, (int)info.ssi_signo, ls->on_signal_argument);
}

void linux_on_signal(struct shard *shard_zero, void (*handler)(struct shard *s, int signal_number, void *argument),
		     void *argument)
{
	struct linux_shard *ls = linux_shard_of(shard_zero);
	struct sigaction hangup;
	sigset_t set;

	must(shard_index(shard_zero) == 0 && ls->signals.fd < 0);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	/* A closed terminal, unless nohup said that it shall not matter. */
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	/* The other threads block every signal, so these come here and nowhere else. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	ls->on_signal = handler;
	ls->on_signal_argument = argument;
	ls->signals = (struct watch){
		.shard = ls,
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.interest = SOCKET_READABLE,
		.ready = signals_ready,
		.released = no_longer,
	};
	must(ls->signals.fd >= 0);
	must(ls->poller->add(ls, &ls->signals) == OK);
}

/* --- one shard on a thread of its own ---------------------------------------------------------------------------- */

struct linux_thread {
	struct linux_runtime *runtime;
	struct entry entry;
	pthread_t thread;
};

static void *linux_thread_main(void *argument)
{
	struct linux_thread *t = argument;

	shard_main(&t->runtime->shards[0], &t->entry);
	return NULL;
}

enum err linux_thread_start(const struct linux_options *o, void (*start)(struct shard *s, void *argument),
			    void *argument, struct linux_thread **ret_thread)
{
	struct linux_runtime *lr = linux_runtime_new(o, 1);
	struct linux_thread *t;
	sigset_t all, before;
	int failed;

	if (!lr)
		return ERR_UNSUPPORTED;
	t = mem_new(struct linux_thread);
	t->runtime = lr;
	t->entry = (struct entry){.start = start, .argument = argument};
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&t->thread, NULL, linux_thread_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		linux_runtime_free(lr);
		mem_free(t);
		return ERR_NO_MEMORY;
	}
	*ret_thread = t;
	return OK;
}

struct shard *linux_thread_shard(struct linux_thread *t)
{
	return t->runtime->shards[0].shard;
}

int linux_thread_join(struct linux_thread *t)
{
	int exit_code;

	pthread_join(t->thread, NULL);
	exit_code = atomic_load(&t->runtime->failed) ? 1 : atomic_load(&t->runtime->exit_code);
	linux_runtime_free(t->runtime);
	mem_free(t);
	return exit_code;
}

/* --- one shard without a thread ---------------------------------------------------------------------------------- */

struct linux_loop {
	struct linux_runtime *runtime;
};

enum err linux_loop_new(const struct linux_options *o, struct linux_loop **ret_loop)
{
	struct linux_runtime *lr = linux_runtime_new(o, 1);
	struct linux_loop *l;

	if (!lr)
		return ERR_UNSUPPORTED;
	if (!open_poller(&lr->shards[0])) {
		linux_runtime_free(lr);
		return ERR_TOO_MANY_FILES;
	}
	shard_awake(lr->shards[0].shard);
	l = mem_new(struct linux_loop);
	l->runtime = lr;
	*ret_loop = l;
	return OK;
}

struct shard *linux_loop_shard(struct linux_loop *l)
{
	return l->runtime->shards[0].shard;
}

void linux_loop_turn(struct linux_loop *l, int64_t timeout_us)
{
	struct linux_shard *ls = &l->runtime->shards[0];
	bool more = shard_turn(ls->shard);
	int64_t wait_us = time_to_wait_us(ls, more);

	if (timeout_us >= 0 && (wait_us < 0 || wait_us > timeout_us))
		wait_us = timeout_us;
	wait_and_deliver(ls, wait_us);
	shard_turn(ls->shard);
}

void linux_loop_free(struct linux_loop *l)
{
	struct linux_shard *ls = &l->runtime->shards[0];

	drain(ls);
	ls->poller->close(ls);
	linux_runtime_free(l->runtime);
	mem_free(l);
}
