/* pool: helper threads. Calls pthreads. */
#include <signal.h>

#include "base/alloc.h"
#include "runtime/linux/system.h"

#define HELPER_STACK_BYTES ((size_t)512 * 1024)

void pool_init(struct pool *p, size_t thread_max)
{
	must(thread_max > 0);
	*p = (struct pool){.thread_max = thread_max};
	must(pthread_mutex_init(&p->lock, NULL) == 0);
	must(pthread_cond_init(&p->work, NULL) == 0);
	p->threads = mem_alloc(thread_max * sizeof(p->threads[0]));
}

/* NULL: there is none and none will come. */
static struct message *pool_take(struct pool *p)
{
	struct message *job;

	pthread_mutex_lock(&p->lock);
	p->idle++;
	while (!p->first && !p->ending)
		pthread_cond_wait(&p->work, &p->lock);
	p->idle--;
	job = p->first;
	if (job) {
		p->first = job->next;
		if (!p->first)
			p->last = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	return job;
}

static void *helper_main(void *argument)
{
	struct pool *p = argument;
	struct message *job;

	while ((job = pool_take(p)))
		job->run(NULL, job);
	return NULL;
}

/* With the lock held. Where no thread can be had, those that are there do the work; the first one must. */
static void pool_grow(struct pool *p)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int failed;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, HELPER_STACK_BYTES);
	failed = pthread_create(&p->threads[p->thread_count], &attributes, helper_main, p);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	must(!failed || p->thread_count > 0);
	if (!failed)
		p->thread_count++;
}

void pool_submit(struct pool *p, struct message *job)
{
	size_t waiting = 0;

	pthread_mutex_lock(&p->lock);
	must(!p->ending);
	job->next = NULL;
	if (p->last)
		p->last->next = job;
	else
		p->first = job;
	p->last = job;
	/* As many threads as jobs that wait: a wake-up of an idle one may be under way for an earlier job. */
	for (const struct message *m = p->first; m && waiting <= p->idle; m = m->next)
		waiting++;
	if (waiting > p->idle && p->thread_count < p->thread_max)
		pool_grow(p);
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}

void pool_fini(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->thread_count; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	mem_free(p->threads);
}
