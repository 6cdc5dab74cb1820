/*
 * fiber: starting, suspending and ending fibers. Calls boost.context through runtime/switch.h, and the backend for stacks.
 *
 *      stack (low)                                                                  (high)
 *      | guard page | zeros, never touched ... | frames ......................... | struct fiber |
 *
 * What a stack never touched is zero: measuring is a search for the first that is not, and after the measure only what was used is
 * wiped. So a spare stack costs no more memory than the deepest use of it.
 */
#include "base/alloc.h"
#include "runtime/core.h"
#include "runtime/switch.h"

#define PAGE ((size_t)4096)
#define STACK_SMALLEST ((size_t)16 * 1024)
#define FIBERS_DEFAULT 1024
#define SPARE_STACKS_MAX 64
#define NAMES_MAX 1000

enum fiber_state {
	FIBER_READY, /* in the shard's tasks */
	FIBER_RUNNING,
	FIBER_PARKED,
	FIBER_OVER, /* joinable and not yet joined */
};

struct fiber {
	struct task task; /* resumes it */
	struct list_node member;
	struct shard *shard;
	const char *name;
	void (*main)(struct fiber *self, void *argument);
	void *argument;
	void *context;  /* where it stands */
	uint8_t *stack; /* its lowest byte */
	size_t stack_size;
	enum fiber_state state;
	bool woken; /* before it parked */
	bool cancelled;
	bool joinable;
	struct fiber *joiner;
	void *fake_stack;
	void *thread_view;
};

struct spare_stack {
	struct list_node node;
};

void fibers_init(struct shard *s, unsigned max_fibers)
{
	struct fibers *all = &s->fibers;

	list_init(&all->all);
	list_init(&all->spare_stacks);
	all->max = max_fibers ? max_fibers : FIBERS_DEFAULT;
	all->stack_bytes_max = all->max * FIBER_STACK_DEFAULT;
}

/* --- stacks ------------------------------------------------------------------------------------------------------ */

/* Of a whole stack: its top, where a spare one keeps its place in the list. */
static struct spare_stack *spare_of(void *stack, size_t size)
{
	return (struct spare_stack *)(void *)((uint8_t *)stack + size - sizeof(struct spare_stack));
}

static void *stack_get(struct shard *s, size_t size)
{
	struct list_node *n = size == FIBER_STACK_DEFAULT ? list_pop_front(&s->fibers.spare_stacks) : NULL;

	if (!n)
		return s->backend->stack_map(size);
	s->fibers.spare_count--;
	return (uint8_t *)n + sizeof(struct spare_stack) - size;
}

/* Keeps it (wiped from `used` bytes below its top) or gives it back. */
static void stack_put(struct shard *s, void *stack, size_t size, size_t used)
{
	struct fibers *all = &s->fibers;

	if (size != FIBER_STACK_DEFAULT || all->spare_count >= SPARE_STACKS_MAX) {
		s->backend->stack_unmap(stack, size);
		return;
	}
	memset((uint8_t *)stack + size - used, 0, used);
	list_push_front(&all->spare_stacks, &spare_of(stack, size)->node);
	all->spare_count++;
}

/* How much of a stack was ever touched, measured from its top. Reads what ASan holds for dead frames. */
__attribute__((no_sanitize("address", "thread"))) static size_t stack_used(const uint8_t *stack, size_t size)
{
	const uint64_t *words = (const uint64_t *)(const void *)stack;
	size_t count = size / sizeof(*words);
	size_t i = 0;

	/* A cache line at a time: every fiber that ends is measured. */
	while (i < count && !(words[i] | words[i + 1] | words[i + 2] | words[i + 3] | words[i + 4] | words[i + 5] |
			      words[i + 6] | words[i + 7]))
		i += 8;
	return size - i * sizeof(*words);
}

static struct stack_peak *peak_of(struct fibers *all, const char *name)
{
	for (size_t i = 0; i < all->peak_count; i++)
		if (all->peaks[i].name == name || !strcmp(all->peaks[i].name, name))
			return &all->peaks[i];
	return NULL;
}

static void note_peak(struct fibers *all, const char *name, size_t bytes)
{
	struct stack_peak *p = peak_of(all, name);

	if (!p) {
		must(all->peak_count < NAMES_MAX); /* names are static text of the program */
		all->peaks = mem_grow(all->peaks, &all->peak_capacity, all->peak_count + 1, sizeof(*all->peaks));
		p = &all->peaks[all->peak_count++];
		*p = (struct stack_peak){.name = name};
	}
	if (bytes > p->bytes)
		p->bytes = bytes;
}

size_t fiber_stack_peak(struct shard *s, const char *name)
{
	struct stack_peak *p = peak_of(&s->fibers, name);
	size_t peak = p ? p->bytes : 0;

	list_for_each(&s->fibers.all, n)
	{
		const struct fiber *f = container_of(n, struct fiber, member);
		size_t used = strcmp(f->name, name) ? 0 : stack_used(f->stack, f->stack_size);

		if (used > peak)
			peak = used;
	}
	return peak;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

/* The fiber is gone afterwards, `f` lies in its stack. */
static void fiber_free(struct fiber *f)
{
	struct shard *s = f->shard;
	uint8_t *stack = f->stack;
	size_t size = f->stack_size;
	size_t used;

	list_remove(&f->member);
	s->fibers.count--;
	s->fibers.stack_bytes -= size;
	thread_view_free(f->thread_view);
	stack_unpoison(stack, size);
	used = stack_used(stack, size);
	note_peak(&s->fibers, f->name, used);
	stack_put(s, stack, size, used);
}

void fibers_fini(struct shard *s)
{
	struct fibers *all = &s->fibers;
	struct list_node *n;

	must(!all->current);
	while ((n = list_pop_front(&all->all))) {
		struct fiber *f = container_of(n, struct fiber, member);

		thread_view_free(f->thread_view);
		stack_unpoison(f->stack, f->stack_size);
		s->backend->stack_unmap(f->stack, f->stack_size);
	}
	while ((n = list_pop_front(&all->spare_stacks)))
		s->backend->stack_unmap((uint8_t *)n + sizeof(struct spare_stack) - FIBER_STACK_DEFAULT,
					FIBER_STACK_DEFAULT);
	mem_free(all->peaks);
}

/* On the shard's own stack: lets the fiber run until it suspends or ends. */
static void fiber_resume(struct task *t)
{
	struct fiber *f = container_of(t, struct fiber, task);
	struct shard *s = f->shard;
	struct fibers *all = &s->fibers;
	const char *name = f->name;
	struct transfer from;

	must(!all->current && f->state == FIBER_READY);
	f->state = FIBER_RUNNING;
	all->current = f;
	all->loop_thread = thread_view_current();
	switch_start(&all->loop_fake_stack, f->stack, f->stack_size);
	thread_view_switch(f->thread_view);
	from = jump_fcontext(f->context, f);
	switch_finish(all->loop_fake_stack, NULL, NULL);
	f->context = from.context;
	all->current = NULL;
	if (f->state == FIBER_OVER) {
		if (!f->joinable)
			fiber_free(f);
		else if (f->joiner)
			fiber_wake(f->joiner);
	}
	shard_callback_over(s, "fiber", name, NULL);
}

/* On the fiber's stack: back to the loop. With `ends` it never comes back. */
static void fiber_leave(struct fiber *f, bool ends)
{
	struct fibers *all = &f->shard->fibers;
	struct transfer from;

	switch_start(ends ? NULL : &f->fake_stack, all->loop_stack, all->loop_stack_size);
	thread_view_switch(all->loop_thread);
	from = jump_fcontext(all->loop_context, NULL);
	switch_finish(f->fake_stack, &all->loop_stack, &all->loop_stack_size);
	all->loop_context = from.context;
}

static void fiber_entry_fiber(struct transfer from)
{
	struct fiber *f = from.data;
	struct fibers *all = &f->shard->fibers;

	switch_finish(NULL, &all->loop_stack, &all->loop_stack_size);
	all->loop_context = from.context;
	f->main(f, f->argument);
	f->state = FIBER_OVER;
	fiber_leave(f, true);
	must_not_reach();
}

struct fiber *fiber_start(struct shard *s, const struct fiber_options *options,
			  void (*main)(struct fiber *self, void *argument), void *argument)
{
	size_t size = options->stack_size ? options->stack_size : FIBER_STACK_DEFAULT;
	struct fibers *all = &s->fibers;
	struct fiber *f;
	uint8_t *stack;
	size_t room;

	if (size < STACK_SMALLEST)
		size = STACK_SMALLEST;
	size = (size + PAGE - 1) & ~(PAGE - 1);
	if (all->count >= all->max || size > all->stack_bytes_max - all->stack_bytes)
		return NULL;
	stack = stack_get(s, size);
	if (!stack)
		return NULL;

	room = (size - sizeof(*f)) & ~(size_t)(CACHE_LINE - 1);
	f = (struct fiber *)(void *)(stack + room);
	*f = (struct fiber){
		.task = {.run = fiber_resume},
		.shard = s,
		.name = options->name,
		.main = main,
		.argument = argument,
		.context = make_fcontext(f, room, fiber_entry_fiber),
		.stack = stack,
		.stack_size = size,
		.state = FIBER_READY,
		.joinable = options->joinable,
		.thread_view = thread_view_new(),
	};
	list_push_back(&all->all, &f->member);
	all->count++;
	all->stack_bytes += size;
	shard_defer(s, &f->task);
	return f;
}

struct shard *fiber_shard(struct fiber *self)
{
	return self->shard;
}

const char *fiber_name(const struct fiber *f)
{
	return f->name;
}

/* --- suspending -------------------------------------------------------------------------------------------------- */

void fiber_park_await(struct fiber *self)
{
	must(self->shard->fibers.current == self);
	if (self->woken) {
		self->woken = false;
		return;
	}
	self->state = FIBER_PARKED;
	fiber_leave(self, false);
}

void fiber_wake(struct fiber *f)
{
	if (f->state != FIBER_PARKED) {
		f->woken = true;
		return;
	}
	f->state = FIBER_READY;
	shard_defer(f->shard, &f->task);
}

void fiber_yield_await(struct fiber *self)
{
	must(self->shard->fibers.current == self);
	self->state = FIBER_READY;
	shard_defer(self->shard, &self->task);
	fiber_leave(self, false);
}

void fiber_cancel(struct fiber *f)
{
	f->cancelled = true;
	fiber_wake(f);
}

bool fiber_cancelled(const struct fiber *self)
{
	return self->cancelled;
}

struct alarm {
	struct timer timer;
	struct fiber *fiber;
	bool rang;
};

static void alarm_fire(struct timer *t)
{
	struct alarm *a = container_of(t, struct alarm, timer);

	a->rang = true;
	fiber_wake(a->fiber);
}

enum err fiber_sleep_await(struct fiber *self, int64_t duration_us)
{
	struct alarm a = {.timer = {.fire = alarm_fire}, .fiber = self};

	if (self->cancelled)
		return ERR_CANCELLED;
	timer_arm(self->shard, &a.timer, self->shard->now_us + duration_us);
	while (!a.rang && !self->cancelled)
		fiber_park_await(self);
	timer_disarm(self->shard, &a.timer);
	return a.rang ? OK : ERR_CANCELLED;
}

void fiber_join_await(struct fiber *self, struct fiber *other)
{
	must(other->joinable && !other->joiner && other != self && other->shard == self->shard);
	other->joiner = self;
	while (other->state != FIBER_OVER)
		fiber_park_await(self);
	fiber_free(other);
}

/* --- events and gates -------------------------------------------------------------------------------------------- */

struct waiter {
	struct list_node node; /* in no list any more: signalled */
	struct fiber *fiber;
};

void event_init(struct event *e)
{
	list_init(&e->waiters);
}

bool event_signal_first(struct event *e)
{
	struct list_node *n = list_pop_front(&e->waiters);

	if (n)
		fiber_wake(container_of(n, struct waiter, node)->fiber);
	return n != NULL;
}

void event_signal(struct event *e)
{
	while (event_signal_first(e))
		;
}

enum err event_wait_await(struct fiber *self, struct event *e, int64_t deadline_us)
{
	struct alarm a = {.timer = {.fire = alarm_fire}, .fiber = self};
	struct waiter w = {.fiber = self};

	if (self->cancelled)
		return ERR_CANCELLED;
	if (deadline_us <= self->shard->now_us)
		return ERR_TIMED_OUT;
	list_push_back(&e->waiters, &w.node);
	if (deadline_us != FIBER_NO_DEADLINE)
		timer_arm(self->shard, &a.timer, deadline_us);
	while (list_linked(&w.node) && !a.rang && !self->cancelled)
		fiber_park_await(self);
	timer_disarm(self->shard, &a.timer);
	if (!list_linked(&w.node))
		return OK;
	list_remove(&w.node);
	return a.rang ? ERR_TIMED_OUT : ERR_CANCELLED;
}

void gate_init(struct gate *g, unsigned limit)
{
	must(limit > 0);
	*g = (struct gate){.limit = limit};
	event_init(&g->free_place);
}

enum err gate_enter_await(struct fiber *self, struct gate *g, int64_t deadline_us)
{
	enum err e;

	if (self->cancelled)
		return ERR_CANCELLED;
	if (g->held < g->limit && g->waiting == 0) {
		g->held++;
		return OK;
	}
	g->waiting++;
	e = event_wait_await(self, &g->free_place, deadline_us);
	g->waiting--;
	return e; /* OK: gate_leave handed its place over */
}

void gate_leave(struct gate *g)
{
	must(g->held > 0);
	if (!event_signal_first(&g->free_place))
		g->held--;
}
