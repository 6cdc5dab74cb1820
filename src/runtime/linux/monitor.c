/* monitor: see the header. Calls pthreads and the monotonic clock. */
#include "runtime/linux/monitor.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/alloc.h"

struct monitor {
	pthread_mutex_t mutex;
	pthread_cond_t woken;
};

struct monitor *monitor_new(void)
{
	struct monitor *m = mem_new(struct monitor);
	pthread_condattr_t attributes;

	must(pthread_condattr_init(&attributes) == 0);
	must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
	must(pthread_mutex_init(&m->mutex, NULL) == 0);
	must(pthread_cond_init(&m->woken, &attributes) == 0);
	pthread_condattr_destroy(&attributes);
	return m;
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	pthread_cond_destroy(&m->woken);
	pthread_mutex_destroy(&m->mutex);
	mem_free(m);
}

void monitor_lock(struct monitor *m)
{
	must(pthread_mutex_lock(&m->mutex) == 0);
}

void monitor_unlock(struct monitor *m)
{
	must(pthread_mutex_unlock(&m->mutex) == 0);
}

int64_t monitor_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

bool monitor_wait(struct monitor *m, int64_t timeout_us)
{
	struct timespec until;
	int64_t at_us;

	if (timeout_us < 0)
		return pthread_cond_wait(&m->woken, &m->mutex) == 0;
	at_us = monitor_now_us() + timeout_us;
	until = (struct timespec){.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
	return pthread_cond_timedwait(&m->woken, &m->mutex, &until) != ETIMEDOUT;
}

void monitor_wake(struct monitor *m)
{
	pthread_cond_broadcast(&m->woken);
}
