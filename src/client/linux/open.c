/* open: mo_client_open and mo_client_open_driven: clients on Linux, with a thread of their own or turned by the caller's. */
#include "base/alloc.h"
#include "client/api.h"
#include "runtime/linux/linux.h"
#include "runtime/linux/monitor.h"

/* --- with a thread ----------------------------------------------------------------------------------------------- */

struct thread_door {
	struct door door;
	struct monitor *monitor;
	struct linux_thread *thread;
};

static struct monitor *monitor_of(struct door *d)
{
	return container_of(d, struct thread_door, door)->monitor;
}

static void thread_lock(struct door *d)
{
	monitor_lock(monitor_of(d));
}

static void thread_unlock(struct door *d)
{
	monitor_unlock(monitor_of(d));
}

static bool thread_wait(struct door *d, int64_t timeout_us)
{
	return monitor_wait(monitor_of(d), timeout_us);
}

static void thread_wake(struct door *d)
{
	monitor_wake(monitor_of(d));
}

static void thread_post(struct door *d, struct message *m)
{
	shard_post(linux_thread_shard(container_of(d, struct thread_door, door)->thread), m);
}

static int64_t any_now_us(struct door *d)
{
	(void)d;
	return monitor_now_us();
}

static void on_stop(struct shard *at, struct message *m)
{
	(void)m;
	runtime_stop(shard_runtime(at), 0);
}

static void thread_close(struct door *d)
{
	struct thread_door *t = container_of(d, struct thread_door, door);
	struct message stop = {.run = on_stop};

	shard_post(linux_thread_shard(t->thread), &stop);
	linux_thread_join(t->thread);
	monitor_free(t->monitor);
	mem_free(t);
}

static const struct door_ops thread_ops = {
	.lock = thread_lock,
	.unlock = thread_unlock,
	.wait = thread_wait,
	.wake = thread_wake,
	.post = thread_post,
	.now_us = any_now_us,
	.close = thread_close,
};

static void on_start(struct shard *s, void *argument)
{
	api_attach(argument, s);
}

static int start_failed(struct mo_client *c, enum err e, struct mo_err *ret_err)
{
	api_free(c);
	return api_error(ret_err, e, "cannot start the client's thread: %s", err_text(e));
}

int mo_client_open(const struct mo_option *options, size_t count, struct mo_client **ret_client, struct mo_err *ret_err)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct thread_door *t;
	struct mo_client *c;
	int code = api_new(options, count, &c, ret_err);
	enum err e;

	if (code)
		return code;
	t = mem_new(struct thread_door);
	t->door.ops = &thread_ops;
	t->monitor = monitor_new();
	c->door = &t->door;
	e = linux_thread_start(&o, on_start, c, &t->thread);
	if (e) {
		monitor_free(t->monitor);
		mem_free(t);
		return start_failed(c, e, ret_err);
	}
	code = api_attached(c, ret_err);
	if (code) {
		thread_close(&t->door);
		api_free(c);
		return code;
	}
	*ret_client = c;
	return 0;
}

/* --- without ----------------------------------------------------------------------------------------------------- */

struct loop_door {
	struct door door;
	struct linux_loop *loop;
};

static struct linux_loop *loop_of(struct door *d)
{
	return container_of(d, struct loop_door, door)->loop;
}

static void loop_nothing(struct door *d)
{
	(void)d;
}

/* One turn may be all that was needed: the caller looks again. */
static bool loop_wait(struct door *d, int64_t timeout_us)
{
	linux_loop_turn(loop_of(d), timeout_us);
	return true;
}

static void loop_drive(struct door *d, int64_t timeout_us)
{
	linux_loop_turn(loop_of(d), timeout_us);
}

static void loop_post(struct door *d, struct message *m)
{
	shard_post(linux_loop_shard(loop_of(d)), m);
}

static void loop_close(struct door *d)
{
	struct loop_door *l = container_of(d, struct loop_door, door);

	linux_loop_free(l->loop);
	mem_free(l);
}

static const struct door_ops loop_ops = {
	.lock = loop_nothing,
	.unlock = loop_nothing,
	.wait = loop_wait,
	.wake = loop_nothing,
	.post = loop_post,
	.now_us = any_now_us,
	.drive = loop_drive,
	.close = loop_close,
};

int mo_client_open_driven(const struct mo_option *options, size_t count, struct mo_client **ret_client,
			  struct mo_err *ret_err)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	struct loop_door *l;
	struct mo_client *c;
	int code = api_new(options, count, &c, ret_err);
	enum err e;

	if (code)
		return code;
	l = mem_new(struct loop_door);
	l->door.ops = &loop_ops;
	e = linux_loop_new(&o, &l->loop);
	if (e) {
		mem_free(l);
		return start_failed(c, e, ret_err);
	}
	c->door = &l->door;
	api_attach(c, linux_loop_shard(l->loop));
	code = api_attached(c, ret_err);
	if (code) {
		loop_close(&l->door);
		api_free(c);
		return code;
	}
	*ret_client = c;
	return 0;
}
