/*
 * shard: the turn of a shard's loop, and what it goes through: inbox, tasks, timers. Calls nothing but its backend.
 *
 * The inbox is a stack that any thread pushes on (compare and swap) and that the shard takes whole (exchange), turning it round:
 * messages of one sender stay in order, and a push costs one atomic operation. Who finds the shard asleep wakes it, once.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "runtime/core.h"

/* How long a turn goes on before I/O is looked at again, and how often it goes round where time stands still (simulator). */
#define SLICE_US 2000
#define ROUNDS_MAX 16
/* The clock is read after so many callbacks of a round: reading it costs as much as a small callback. */
#define CALLBACKS_PER_CLOCK 32

/* Apart from `random`, whose numbers clients see. */
static struct map_seed map_seed_of(uint64_t seed)
{
	struct prng p;
	struct map_seed s;

	prng_seed(&p, ~seed);
	s.words[0] = prng_next(&p);
	s.words[1] = prng_next(&p);
	return s;
}

struct shard *shard_new(const struct shard_options *o)
{
	struct shard *s = mem_new(struct shard);

	s->runtime = o->runtime;
	s->index = o->index;
	s->backend = o->backend;
	s->backend_data = o->backend_data;
	if (o->logger) {
		s->own_logger = *o->logger;
		s->logger = &s->own_logger;
	}
	s->faults = o->faults;
	prng_seed(&s->random, o->seed);
	s->map_seed = map_seed_of(o->seed);
	list_init(&s->tasks);
	list_init(&s->round_tasks);
	heap_init(&s->timers);
	fibers_init(s, o->max_fibers);
	return s;
}

void shard_free(struct shard *s)
{
	if (!s)
		return;
	fibers_fini(s);
	spares_free(&s->spares);
	heap_fini(&s->timers);
	mem_free(s);
}

void *shard_backend_data(struct shard *s)
{
	return s->backend_data;
}

const struct backend *shard_backend(struct shard *s)
{
	return s->backend;
}

struct runtime *shard_runtime(struct shard *s)
{
	return s->runtime;
}

unsigned shard_index(const struct shard *s)
{
	return s->index;
}

struct logger *shard_log(struct shard *s)
{
	return s->logger;
}

struct prng *shard_random(struct shard *s)
{
	return &s->random;
}

struct map_seed shard_map_seed(const struct shard *s)
{
	return s->map_seed;
}

bool shard_fault(struct shard *s, enum fault f)
{
	return fault_hit(s->faults, f);
}

int64_t shard_now_us(const struct shard *s)
{
	return s->now_us;
}

int64_t shard_wall_ms(const struct shard *s)
{
	/* The backend's clocks take the shard as theirs; reading one changes nothing in it. */
	return s->backend->wall_ms((struct shard *)s);
}

static void read_clock(struct shard *s)
{
	s->now_us = s->backend->now_us(s);
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

static void queue_push(struct message_queue *q, struct message *m)
{
	m->next = NULL;
	if (q->last)
		q->last->next = m;
	else
		q->first = m;
	q->last = m;
}

static struct message *queue_pop(struct message_queue *q)
{
	struct message *m = q->first;

	if (m) {
		q->first = m->next;
		if (!q->first)
			q->last = NULL;
	}
	return m;
}

void shard_post(struct shard *to, struct message *m)
{
	struct message *newest = atomic_load_explicit(&to->inbox, memory_order_relaxed);

	do {
		m->next = newest;
	} while (!atomic_compare_exchange_weak(&to->inbox, &newest, m));
	/* Pairs with shard_prepare_sleep: either it sees the message, or this sees that it sleeps. */
	if (atomic_load(&to->asleep) && atomic_exchange(&to->asleep, false))
		to->backend->wake(to);
}

void shard_send(struct shard *from, struct shard *to, struct message *m)
{
	if (from == to)
		queue_push(&to->messages, m);
	else
		shard_post(to, m);
}

/* Oldest first behind what is queued already. */
static void take_inbox(struct shard *s)
{
	struct message *newest;
	struct message *oldest = NULL;

	if (!atomic_load_explicit(&s->inbox, memory_order_relaxed) || shard_fault(s, FAULT_MAILBOX_LATE))
		return;
	newest = atomic_exchange(&s->inbox, NULL);
	while (newest) {
		struct message *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct message *next = oldest->next;

		queue_push(&s->messages, oldest);
		oldest = next;
	}
}

bool shard_prepare_sleep(struct shard *s)
{
	if (s->messages.first || !list_empty(&s->tasks) || !list_empty(&s->round_tasks))
		return false;
	atomic_store(&s->asleep, true);
	if (!atomic_load(&s->inbox))
		return true;
	atomic_store(&s->asleep, false);
	return false;
}

void shard_awake(struct shard *s)
{
	atomic_store_explicit(&s->asleep, false, memory_order_relaxed);
	read_clock(s);
	if (s->backend->coarse_us)
		s->stall.mark_us = s->backend->coarse_us(s);
}

/* --- tasks and timers -------------------------------------------------------------------------------------------- */

void shard_defer(struct shard *s, struct task *t)
{
	if (!list_linked(&t->node))
		list_push_back(&s->tasks, &t->node);
}

void shard_defer_cancel(struct shard *s, struct task *t)
{
	(void)s;
	if (list_linked(&t->node))
		list_remove(&t->node);
}

void timer_arm(struct shard *s, struct timer *t, int64_t deadline_us)
{
	if (heap_linked(&t->node)) {
		if (t->node.key == deadline_us)
			return;
		heap_remove(&s->timers, &t->node);
	}
	heap_insert(&s->timers, &t->node, deadline_us);
}

void timer_disarm(struct shard *s, struct timer *t)
{
	if (heap_linked(&t->node))
		heap_remove(&s->timers, &t->node);
}

int64_t shard_next_deadline_us(struct shard *s)
{
	const struct heap_node *first = heap_first(&s->timers);

	return first ? first->key : INT64_MAX;
}

/* --- the turn ---------------------------------------------------------------------------------------------------- */

static void describe_culprit(struct shard *s, const char *name, void (*function)(void), char *ret_text, size_t size)
{
	ret_text[0] = 0;
	if (name)
		snprintf(ret_text, size, "%s", name);
	else if (function && s->backend->describe)
		s->backend->describe(function, ret_text, size);
}

void shard_callback_over(struct shard *s, const char *kind, const char *name, void (*function)(void))
{
	int64_t took_us;
	uint64_t unsaid;

	if (!s->backend->coarse_us ||
	    stall_note(&s->stall, s->backend->coarse_us(s), kind, name, function, &took_us, &unsaid) != STALL_SAY)
		return;
	/* Metrics tell where a function without a name is; in a line an address says nothing. */
	log_warn(s->logger,
		 "shard %u stood still for about %lld ms in %s%s%s: the machine is busy, or that is slow (%llu more "
		 "since "
		 "the last such line)",
		 s->index, (long long)(took_us / 1000), kind, name ? " " : "", name ? name : "",
		 (unsigned long long)unsaid);
}

struct round {
	int64_t end_us;
	unsigned callbacks;
};

/* Counts a callback; true when the time slice is over. */
static bool slice_over(struct shard *s, struct round *r)
{
	if (++r->callbacks % CALLBACKS_PER_CLOCK)
		return false;
	return s->backend->now_us(s) >= r->end_us;
}

static bool run_messages(struct shard *s, struct round *r)
{
	struct message *last, *m;

	take_inbox(s);
	last = s->messages.last;
	while ((m = queue_pop(&s->messages))) {
		void (*run)(struct shard * at, struct message * m) = m->run;

		run(s, m);
		s->messages_run++;
		shard_callback_over(s, "message", NULL, (void (*)(void))run);
		if (slice_over(s, r))
			return true;
		if (m == last) /* what was sent meanwhile waits for the next round */
			break;
	}
	return false;
}

static bool run_tasks(struct shard *s, struct round *r)
{
	struct list_node *n;

	list_splice_back(&s->round_tasks, &s->tasks);
	while ((n = list_pop_front(&s->round_tasks))) {
		struct task *t = container_of(n, struct task, node);
		void (*run)(struct task * t) = t->run;

		run(t);
		shard_callback_over(s, "task", NULL, (void (*)(void))run);
		if (slice_over(s, r))
			return true;
	}
	return false;
}

static bool run_timers(struct shard *s, struct round *r)
{
	/* At most as many as are armed now, so that one that arms itself again for now does not hold the turn. */
	for (size_t left = s->timers.count; left > 0; left--) {
		struct heap_node *first = heap_first(&s->timers);
		struct timer *t;
		void (*fire)(struct timer * t);

		if (!first || first->key > s->now_us)
			break;
		t = container_of(first, struct timer, node);
		fire = t->fire;
		heap_remove(&s->timers, first);
		fire(t);
		shard_callback_over(s, "timer", NULL, (void (*)(void))fire);
		if (slice_over(s, r))
			return true;
	}
	return false;
}

static bool anything_ready(struct shard *s)
{
	return s->messages.first || !list_empty(&s->tasks) || !list_empty(&s->round_tasks) ||
	       atomic_load_explicit(&s->inbox, memory_order_relaxed) || shard_next_deadline_us(s) <= s->now_us;
}

bool shard_turn(struct shard *s)
{
	struct round r = {0};

	read_clock(s);
	s->turns++;
	r.end_us = s->now_us + SLICE_US;
	if (s->backend->coarse_us)
		s->stall.mark_us = s->backend->coarse_us(s);
	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		if (run_messages(s, &r) || run_tasks(s, &r) || run_timers(s, &r))
			return true;
		if (!anything_ready(s))
			return false;
		read_clock(s);
		if (s->now_us >= r.end_us)
			return true;
	}
	return true;
}

/* --- figures ------------------------------------------------------------------------------------------------------ */

/* Others push on it meanwhile, but only its own shard takes from it. */
static size_t queue_length(struct shard *s)
{
	size_t n = 0;

	for (const struct message *m = s->messages.first; m; m = m->next)
		n++;
	for (const struct message *m = atomic_load(&s->inbox); m; m = m->next)
		n++;
	return n;
}

void shard_figures(struct shard *s, struct shard_figures *ret_figures)
{
	*ret_figures = (struct shard_figures){
		.turns = s->turns,
		.messages = s->messages_run,
		.messages_waiting = queue_length(s),
		.timers = s->timers.count,
		.fibers = s->fibers.count,
		.fibers_max = s->fibers.max,
		.stack_bytes = s->fibers.stack_bytes,
		.stack_bytes_max = s->fibers.stack_bytes_max,
		.cpu_us = s->backend->thread_cpu_us ? s->backend->thread_cpu_us(s) : -1,
		.stalls = s->stall.count,
		.stalled_us = s->stall.total_us,
		.longest_stall_us = s->stall.longest_us,
		.stall_kinds = s->stall.culprit_count,
	};
}

void shard_stall(struct shard *s, size_t index, struct shard_stall *ret_stall)
{
	const struct stall_culprit *c = &s->stall.culprits[index];

	must(index < s->stall.culprit_count);
	ret_stall->kind = c->kind;
	ret_stall->count = c->count;
	ret_stall->total_us = c->total_us;
	describe_culprit(s, c->name, c->function, ret_stall->what, sizeof(ret_stall->what));
}
