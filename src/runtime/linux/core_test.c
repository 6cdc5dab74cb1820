/* core_test: shards, timers, messages, fibers, events, gates, budgets, blobs, over both backends. */
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/blob.h"
#include "runtime/linux/backends.h"

/* --- timers ------------------------------------------------------------------------------------------------------ */

struct timer_log {
	struct event over;
	int order[8];
	size_t count;
	size_t expected;
};

struct test_timer {
	struct timer timer;
	struct timer_log *log;
	int name;
};

static void test_timer_fire(struct timer *t)
{
	struct test_timer *tt = container_of(t, struct test_timer, timer);

	tt->log->order[tt->log->count++] = tt->name;
	if (tt->log->count == tt->log->expected)
		event_signal(&tt->log->over);
}

static void timers_main(struct fiber *self, void *argument)
{
	/* In milliseconds from now; equal ones in the order of arming; number 4 is disarmed, 5 moved to the front. */
	static const int64_t after_ms[] = {3, 1, 2, 1, 1, 9};
	static const int order[] = {5, 1, 3, 2, 0};
	struct shard *s = fiber_shard(self);
	struct timer_log log = {.expected = 5};
	struct test_timer timers[6] = {0};
	int64_t now = shard_now_us(s);

	(void)argument;
	event_init(&log.over);
	for (int i = 0; i < 6; i++) {
		timers[i] = (struct test_timer){.timer = {.fire = test_timer_fire}, .log = &log, .name = i};
		timer_arm(s, &timers[i].timer, now + after_ms[i] * 1000);
	}
	timer_disarm(s, &timers[4].timer);
	EXPECT(!timer_armed(&timers[4].timer));
	timer_arm(s, &timers[5].timer, now);
	EXPECT_OK(event_wait_await(self, &log.over, FIBER_NO_DEADLINE));
	EXPECT(memcmp(log.order, order, sizeof(order)) == 0);
	EXPECT(shard_now_us(s) >= now + 3000);
}

TEST(timers_fire_by_deadline_and_then_by_order_of_arming)
{
	run_over_both(1, timers_main, NULL);
}

#define MANY 10000

struct many_timers {
	struct event over;
	size_t fired;
	int64_t last_deadline_us;
	struct many_timer {
		struct timer timer;
		struct many_timers *all;
		int64_t deadline_us;
	} timers[MANY];
};

static void many_fire(struct timer *t)
{
	struct many_timer *m = container_of(t, struct many_timer, timer);

	EXPECT(m->deadline_us >= m->all->last_deadline_us);
	m->all->last_deadline_us = m->deadline_us;
	if (++m->all->fired == MANY / 2)
		event_signal(&m->all->over);
}

static void many_timers_main(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);
	struct many_timers *all = mem_new(struct many_timers);

	(void)argument;
	event_init(&all->over);
	for (size_t i = 0; i < MANY; i++) {
		struct many_timer *m = &all->timers[i];

		m->timer.fire = many_fire;
		m->all = all;
		m->deadline_us = shard_now_us(s) + (int64_t)prng_below(shard_random(s), 20000);
		timer_arm(s, &m->timer, m->deadline_us);
	}
	for (size_t i = 0; i < MANY; i += 2)
		timer_disarm(s, &all->timers[i].timer);
	EXPECT_OK(event_wait_await(self, &all->over, FIBER_NO_DEADLINE));
	EXPECT(shard_next_deadline_us(s) == INT64_MAX);
	mem_free(all);
}

TEST(ten_thousand_timers_half_of_them_disarmed)
{
	run_over_both(1, many_timers_main, NULL);
}

/* --- tasks ------------------------------------------------------------------------------------------------------- */

struct test_task {
	struct task task;
	unsigned runs;
};

static void test_task_run(struct task *t)
{
	container_of(t, struct test_task, task)->runs++;
}

static void tasks_main(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);
	struct test_task once = {.task = {.run = test_task_run}};
	struct test_task never = {.task = {.run = test_task_run}};

	(void)argument;
	shard_defer(s, &once.task);
	shard_defer(s, &once.task);
	shard_defer(s, &never.task);
	shard_defer_cancel(s, &never.task);
	EXPECT(once.runs == 0);
	fiber_yield_await(self);
	EXPECT(once.runs == 1 && never.runs == 0);
	shard_defer(s, &once.task);
	fiber_yield_await(self);
	EXPECT(once.runs == 2);
}

TEST(a_task_that_is_deferred_twice_runs_once)
{
	run_over_both(1, tasks_main, NULL);
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

#define SHARDS 4
#define BALLS 1000
#define LAPS 20

/* Every shard sends BALLS numbered messages to every other; each must see every sender's in order, LAPS times. */
struct ball {
	struct message message;
	struct court *court;
	unsigned from;
	unsigned to;
	unsigned number;
	unsigned laps;
	unsigned server; /* who sent it first: his balls and the other's are two rows between the same two */
};

struct court {
	struct runtime *runtime;
	atomic_uint over;
	struct fiber *waiting;
	struct message all_over;
	/* Touched by the receiver only. */
	unsigned next[SHARDS][SHARDS][SHARDS];
	struct ball *balls;
};

static void court_over(struct shard *at, struct message *m)
{
	struct court *c = container_of(m, struct court, all_over);

	EXPECT(shard_index(at) == 0);
	fiber_wake(c->waiting);
}

static void ball_run(struct shard *at, struct message *m)
{
	struct ball *b = container_of(m, struct ball, message);
	struct court *c = b->court;
	unsigned from = b->from;

	EXPECT(shard_index(at) == b->to);
	EXPECT(c->next[b->to][from][b->server] == b->number);
	c->next[b->to][from][b->server] = (b->number + 1) % BALLS;
	if (b->laps-- > 1) {
		/* Back the way it came: the two have sent each other as many. */
		b->from = b->to;
		b->to = from;
		shard_send(at, runtime_shard(c->runtime, from), m);
		return;
	}
	if (atomic_fetch_add(&c->over, 1) + 1 == SHARDS * SHARDS * BALLS) {
		c->all_over.run = court_over;
		shard_send(at, runtime_shard(c->runtime, 0), &c->all_over);
	}
}

struct serve {
	struct message message;
	struct court *court;
};

static void serve_run(struct shard *at, struct message *m)
{
	struct court *c = container_of(m, struct serve, message)->court;
	unsigned from = shard_index(at);

	for (unsigned number = 0; number < BALLS; number++) {
		for (unsigned to = 0; to < SHARDS; to++) {
			struct ball *b = &c->balls[(from * SHARDS + to) * BALLS + number];

			*b = (struct ball){{.run = ball_run}, c, from, to, number, LAPS, from};
			shard_send(at, runtime_shard(c->runtime, to), &b->message);
		}
	}
}

static void messages_main(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);
	struct court *c = mem_new(struct court);
	struct serve serves[SHARDS];

	(void)argument;
	c->runtime = shard_runtime(s);
	c->waiting = self;
	c->balls = mem_alloc(SHARDS * SHARDS * BALLS * sizeof(struct ball));
	EXPECT(runtime_shard_count(c->runtime) == SHARDS);
	for (unsigned i = 0; i < SHARDS; i++) {
		serves[i] = (struct serve){{.run = serve_run}, c};
		shard_send(s, runtime_shard(c->runtime, i), &serves[i].message);
	}
	fiber_park_await(self);
	EXPECT(atomic_load(&c->over) == SHARDS * SHARDS * BALLS);
	mem_free(c->balls);
	mem_free(c);
}

TEST(messages_between_four_shards_arrive_in_order_of_sending)
{
	run_over_both(SHARDS, messages_main, NULL);
}

struct echo {
	struct message message;
	struct shard *home;
	struct fiber *fiber;
	unsigned left;
};

static void echo_run(struct shard *at, struct message *m)
{
	struct echo *e = container_of(m, struct echo, message);
	struct shard *other = runtime_shard(shard_runtime(at), 1 - shard_index(at));

	if (at == e->home && e->left-- == 1)
		fiber_wake(e->fiber);
	else
		shard_send(at, other, m);
}

/* One message at a time: both shards fall asleep all the time, and a lost wake-up would hang it. */
static void echo_main(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);
	struct echo e = {.message = {.run = echo_run}, .home = s, .fiber = self, .left = 5000};

	(void)argument;
	shard_send(s, runtime_shard(shard_runtime(s), 1), &e.message);
	fiber_park_await(self);
	EXPECT(e.left == 0);
}

TEST(no_wake_up_of_a_sleeping_shard_is_lost)
{
	run_over_both(2, echo_main, NULL);
}

/* --- fibers ------------------------------------------------------------------------------------------------------ */

struct family {
	unsigned depth;
	unsigned ended;
	char order[16];
	size_t order_size;
};

static const struct fiber_options child_options = {.name = "child", .joinable = true};

static void child_main(struct fiber *self, void *argument)
{
	struct family *f = argument;
	struct fiber *grandchild = NULL;

	if (f->depth-- > 1) {
		grandchild = fiber_start(fiber_shard(self), &child_options, child_main, f);
		EXPECT(grandchild);
	}
	fiber_yield_await(self);
	if (grandchild)
		fiber_join_await(self, grandchild);
	f->ended++;
}

static void nesting_main(struct fiber *self, void *argument)
{
	struct family f = {.depth = 100};
	struct fiber *child = fiber_start(fiber_shard(self), &child_options, child_main, &f);

	(void)argument;
	EXPECT(child);
	fiber_join_await(self, child);
	EXPECT(f.ended == 100);
	EXPECT(fiber_stack_peak(fiber_shard(self), "child") > 200);
	EXPECT(fiber_stack_peak(fiber_shard(self), "child") < FIBER_STACK_DEFAULT);
	EXPECT(fiber_stack_peak(fiber_shard(self), "test") > 200);
	EXPECT(fiber_stack_peak(fiber_shard(self), "nobody") == 0);
}

TEST(fibers_start_fibers_and_join_them)
{
	run_over_both(1, nesting_main, NULL);
}

static void writer_main(struct fiber *self, void *argument)
{
	struct family *f = argument;

	for (int i = 0; i < 3; i++) {
		f->order[f->order_size++] = (char)('a' + f->depth % 2);
		f->depth++;
		fiber_yield_await(self);
	}
	f->ended++;
}

static void turns_main(struct fiber *self, void *argument)
{
	static const struct fiber_options options = {.name = "writer"};
	struct family f = {0};

	(void)argument;
	EXPECT(fiber_start(fiber_shard(self), &options, writer_main, &f));
	EXPECT(fiber_start(fiber_shard(self), &options, writer_main, &f));
	EXPECT(f.order_size == 0);
	while (f.ended < 2)
		fiber_yield_await(self);
	EXPECT(f.order_size == 6 && memcmp(f.order, "ababab", 6) == 0);
}

TEST(fibers_that_yield_take_turns)
{
	run_over_both(1, turns_main, NULL);
}

static void deep_await(struct fiber *self, unsigned depth)
{
	volatile char frame[1024];

	memset((void *)(uintptr_t)frame, 1, sizeof(frame));
	if (depth > 1)
		deep_await(self, depth - 1);
	else
		fiber_yield_await(self);
	EXPECT(frame[1023] == 1);
}

static void deep_main(struct fiber *self, void *argument)
{
	deep_await(self, 20);
	(void)argument;
}

static void shallow_main(struct fiber *self, void *argument)
{
	fiber_yield_await(self);
	(void)argument;
}

/* A stack that a deep fiber used is wiped before it counts for a shallow one. */
static void peaks_main(struct fiber *self, void *argument)
{
	static const struct fiber_options deep = {.name = "deep", .joinable = true};
	static const struct fiber_options shallow = {.name = "shallow", .joinable = true};
	struct shard *s = fiber_shard(self);

	(void)argument;
	for (int i = 0; i < 5; i++) {
		fiber_join_await(self, fiber_start(s, &deep, deep_main, NULL));
		fiber_join_await(self, fiber_start(s, &shallow, shallow_main, NULL));
	}
	EXPECT(fiber_stack_peak(s, "deep") > 20 * 1024);
	EXPECT(fiber_stack_peak(s, "shallow") < 10 * 1024);
}

TEST(the_deepest_use_of_a_stack_is_measured_by_name)
{
	run_over_both(1, peaks_main, NULL);
}

struct sleeper {
	enum err slept;
	enum err waited;
	struct event never;
};

static void sleeper_main(struct fiber *self, void *argument)
{
	struct sleeper *sl = argument;

	sl->slept = fiber_sleep_await(self, 3600000000);
	EXPECT(fiber_cancelled(self));
	sl->waited = event_wait_await(self, &sl->never, FIBER_NO_DEADLINE);
}

static void cancel_main(struct fiber *self, void *argument)
{
	struct sleeper sl = {.slept = OK, .waited = OK};
	struct fiber *f;

	(void)argument;
	event_init(&sl.never);
	f = fiber_start(fiber_shard(self), &child_options, sleeper_main, &sl);
	EXPECT(f);
	fiber_yield_await(self);
	fiber_yield_await(self);
	fiber_cancel(f);
	fiber_cancel(f);
	fiber_join_await(self, f);
	EXPECT_ERR(sl.slept, ERR_CANCELLED);
	EXPECT_ERR(sl.waited, ERR_CANCELLED);
	EXPECT(list_empty(&sl.never.waiters));
	EXPECT(shard_next_deadline_us(fiber_shard(self)) == INT64_MAX);
}

TEST(a_cancelled_fiber_wakes_and_every_further_wait_ends_at_once)
{
	run_over_both(1, cancel_main, NULL);
}

static void wake_main(struct fiber *self, void *argument)
{
	(void)argument;
	fiber_wake(self);
	fiber_wake(self);
	fiber_park_await(self); /* would hang if the wake were forgotten */
}

TEST(a_wake_before_the_park_is_remembered)
{
	run_over_both(1, wake_main, NULL);
}

static void parked_main(struct fiber *self, void *argument)
{
	fiber_park_await(self);
	(void)argument;
}

static void limit_main(struct fiber *self, void *argument)
{
	static const struct fiber_options huge = {.name = "huge", .stack_size = (size_t)1 << 30};
	static const struct fiber_options small = {.name = "small"};
	struct fiber *fibers[10];
	size_t count = 0;

	(void)argument;
	EXPECT(!fiber_start(fiber_shard(self), &huge, parked_main, NULL));
	while (count < countof(fibers) && (fibers[count] = fiber_start(fiber_shard(self), &small, parked_main, NULL)))
		count++;
	EXPECT(count == 4); /* eight default stacks are allowed, this one takes four */
	for (size_t i = 0; i < count; i++)
		fiber_wake(fibers[i]);
	fiber_yield_await(self);
	fiber_yield_await(self);
	EXPECT(fiber_start(fiber_shard(self), &small, parked_main, NULL));
}

TEST(beyond_the_limit_of_fibers_or_stack_memory_none_starts)
{
	struct linux_options o = {.shards = 1, .max_fibers = 8};

	run_with(&o, limit_main, NULL);
}

/* The last one is still parked when the runtime ends: its stack is given back all the same (LeakSanitizer, munmap). */

static unsigned overflow(unsigned depth)
{
	volatile char frame[512];

	frame[0] = (char)depth;
	return depth == UINT32_MAX ? 0 : overflow(depth + 1) + (unsigned)frame[0];
}

static void overflow_main(struct fiber *self, void *argument)
{
	(void)self;
	(void)argument;
	_exit(overflow(0) == 7 ? 0 : 1);
}

TEST(a_stack_that_runs_over_hits_its_guard_page)
{
	struct linux_options o = {.shards = 1, .io = IO_EPOLL};
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		struct backend_run run = {.main = overflow_main};

		fclose(stderr); /* the sanitizer's report is expected */
		close(STDERR_FILENO);
		_exit(linux_run(&o, backend_run_start, &run) == 0 ? 0 : 2);
	}
	CHECK(child > 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) > 2); /* a sanitizer's own exit code */
#else
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
#endif
}

/* --- events and gates -------------------------------------------------------------------------------------------- */

struct waiting {
	struct event *event;
	struct gate *gate;
	enum err error;
	int64_t deadline_us;
	unsigned *came;
	unsigned place;
};

static void event_waiter_main(struct fiber *self, void *argument)
{
	struct waiting *w = argument;

	w->error = event_wait_await(self, w->event, w->deadline_us);
	w->place = (*w->came)++;
}

static void events_main(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);
	struct event e;
	unsigned came = 0;
	struct waiting w[4];
	struct fiber *fibers[4];

	(void)argument;
	event_init(&e);
	event_signal(&e); /* has no memory */
	EXPECT_ERR(event_wait_await(self, &e, shard_now_us(s)), ERR_TIMED_OUT);
	EXPECT_ERR(event_wait_await(self, &e, shard_now_us(s) + 1000), ERR_TIMED_OUT);
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct waiting){.event = &e, .deadline_us = FIBER_NO_DEADLINE, .came = &came};
		fibers[i] = fiber_start(s, &child_options, event_waiter_main, &w[i]);
		EXPECT(fibers[i]);
	}
	w[1].deadline_us = shard_now_us(s) + 2000;
	fiber_join_await(self, fibers[1]);
	EXPECT_ERR(w[1].error, ERR_TIMED_OUT);
	EXPECT(came == 1);
	event_signal(&e);
	fiber_cancel(fibers[3]); /* the signal came first */
	for (unsigned i = 0; i < 4; i++)
		if (i != 1)
			fiber_join_await(self, fibers[i]);
	EXPECT_OK(w[0].error);
	EXPECT_OK(w[2].error);
	EXPECT_OK(w[3].error);
	EXPECT(w[0].place == 1 && w[2].place == 2 && w[3].place == 3);
}

TEST(an_event_wakes_all_that_wait_in_order_and_a_deadline_ends_a_wait)
{
	run_over_both(1, events_main, NULL);
}

static void gate_user_main(struct fiber *self, void *argument)
{
	struct waiting *w = argument;

	w->error = gate_enter_await(self, w->gate, w->deadline_us);
	w->place = (*w->came)++;
	if (w->error)
		return;
	EXPECT(w->gate->held <= 2);
	fiber_yield_await(self);
	gate_leave(w->gate);
}

static void gate_main(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);
	unsigned came = 0;
	struct waiting w[20];
	struct fiber *fibers[20];
	struct gate g;

	(void)argument;
	gate_init(&g, 2);
	for (unsigned i = 0; i < 20; i++) {
		w[i] = (struct waiting){.gate = &g, .deadline_us = FIBER_NO_DEADLINE, .came = &came};
		fibers[i] = fiber_start(s, &child_options, gate_user_main, &w[i]);
		EXPECT(fibers[i]);
	}
	for (unsigned i = 0; i < 20; i++) {
		fiber_join_await(self, fibers[i]);
		EXPECT_OK(w[i].error);
		EXPECT(w[i].place == i);
	}
	EXPECT(g.held == 0 && g.waiting == 0);

	EXPECT_OK(gate_enter_await(self, &g, FIBER_NO_DEADLINE));
	EXPECT_OK(gate_enter_await(self, &g, FIBER_NO_DEADLINE));
	EXPECT_ERR(gate_enter_await(self, &g, shard_now_us(s) + 500), ERR_TIMED_OUT);
	EXPECT(g.held == 2 && g.waiting == 0);
	gate_leave(&g);
	gate_leave(&g);
	EXPECT(g.held == 0);
}

TEST(a_gate_lets_two_in_at_a_time_in_order_of_coming)
{
	run_over_both(1, gate_main, NULL);
}

/* --- offload ----------------------------------------------------------------------------------------------------- */

struct sum {
	uint64_t result;
	pthread_t thread;
};

static void sum_work(void *argument)
{
	struct sum *sum = argument;

	sum->thread = pthread_self();
	for (uint64_t i = 1; i <= 1000; i++)
		sum->result += i;
}

static void offload_main(struct fiber *self, void *argument)
{
	struct sum sum = {0};

	(void)argument;
	offload_await(self, sum_work, &sum);
	EXPECT(sum.result == 500500);
	EXPECT(!pthread_equal(sum.thread, pthread_self()));
}

TEST(offloaded_work_runs_on_another_thread_and_is_awaited)
{
	run_over_both(1, offload_main, NULL);
}

/* --- budgets and blobs ------------------------------------------------------------------------------------------- */

struct wish {
	struct budget_wish wish;
	unsigned *granted;
	unsigned place; /* 0: not yet */
};

static void wish_granted(struct budget_wish *w)
{
	struct wish *wish = container_of(w, struct wish, wish);

	wish->place = ++*wish->granted;
}

static void settle_await(struct fiber *self)
{
	fiber_yield_await(self);
	fiber_yield_await(self);
}

static void budget_main(struct fiber *self, void *argument)
{
	unsigned granted = 0;
	struct wish big = {.wish = {.size = 80, .granted = wish_granted}, .granted = &granted};
	struct wish small = {.wish = {.size = 10, .granted = wish_granted}, .granted = &granted};
	struct wish huge = {.wish = {.size = 500, .granted = wish_granted}, .granted = &granted};
	struct budget b;

	(void)argument;
	budget_init(&b, fiber_shard(self), 100);
	EXPECT(budget_try_take(&b, 60));
	EXPECT(!budget_try_take(&b, 41));
	budget_wait(&b, &big.wish);
	budget_wait(&b, &small.wish);
	EXPECT(!budget_try_take(&b, 1)); /* nobody overtakes */
	settle_await(self);
	EXPECT(granted == 0);

	budget_give(&b, 60);
	EXPECT(granted == 0); /* never inside */
	settle_await(self);
	EXPECT(big.place == 1 && small.place == 2 && b.used == 90);

	/* A head that leaves lets the next through; a wish above the limit gets its turn alone. */
	budget_wait(&b, &huge.wish);
	small.place = 0;
	budget_wait(&b, &small.wish);
	budget_cancel(&b, &huge.wish);
	settle_await(self);
	EXPECT(small.place == 3 && huge.place == 0 && b.used == 100);
	budget_wait(&b, &huge.wish);
	budget_give(&b, 99);
	settle_await(self);
	EXPECT(huge.place == 0);
	budget_give(&b, 1);
	settle_await(self);
	EXPECT(huge.place == 4 && b.used == 500 && b.peak == 500);
	budget_give(&b, 500);
	budget_fini(&b);
}

TEST(a_budget_grants_first_come_first_served)
{
	run_over_both(1, budget_main, NULL);
}

struct loan {
	struct message message;
	struct blob *blob;
	struct fiber *fiber;
	struct shard *home;
	bool back;
};

static void loan_returned(struct shard *at, struct message *m)
{
	struct loan *l = container_of(m, struct loan, message);

	(void)at;
	l->back = true;
	fiber_wake(l->fiber);
}

static void loan_used(struct shard *at, struct message *m)
{
	struct loan *l = container_of(m, struct loan, message);

	EXPECT(bytes_equal_str(blob_bytes(l->blob), "kept"));
	blob_unref_from(at, l->blob);
	m->run = loan_returned; /* behind the reference: messages keep their order */
	shard_send(at, l->home, m);
}

static void blob_main(struct fiber *self, void *argument)
{
	struct shard *s = fiber_shard(self);
	struct budget b;
	struct blob *blob;
	struct loan l = {.message = {.run = loan_used}, .fiber = self, .home = s};

	(void)argument;
	budget_init(&b, s, 100);
	EXPECT(budget_try_take(&b, 50));
	blob = blob_new(s, 4, &b, 50);
	EXPECT(blob);
	memcpy(blob->data, "kept", 4);
	blob->size = 4;
	l.blob = blob_ref(blob);
	shard_send(s, runtime_shard(shard_runtime(s), 1), &l.message);
	blob_unref_from(s, blob);
	EXPECT(b.used == 50);
	while (!l.back)
		fiber_park_await(self);
	EXPECT(b.used == 0);
	EXPECT(!blob_new(s, SIZE_MAX - 8, NULL, 0));
	budget_fini(&b);
}

TEST(a_blob_lent_to_another_shard_comes_home_and_gives_its_budget_back)
{
	run_over_both(2, blob_main, NULL);
}

/* The memory of large ones is used again: none may overlap another that is still held, whatever came and went before. */
static void many_blobs_main(struct fiber *self, void *argument)
{
	enum { HELD = 12, ROUNDS = 400 };
	struct shard *s = fiber_shard(self);
	struct blob *held[HELD] = {0};
	struct prng *random = shard_random(s);

	(void)argument;
	for (int i = 0; i < ROUNDS; i++) {
		int at = (int)prng_below(random, HELD);
		size_t capacity = (size_t)1 << (8 + prng_below(random, 15));
		struct blob *b = held[at];

		if (b) {
			EXPECT(b->data[0] == at && b->data[b->capacity / 2] == at && b->data[b->capacity - 1] == at);
			blob_unref(b);
		}
		capacity += prng_below(random, 2000);
		held[at] = blob_new(s, capacity, NULL, 0);
		EXPECT(held[at] && held[at]->capacity == capacity && held[at]->size == 0);
		held[at]->data[0] = held[at]->data[capacity / 2] = held[at]->data[capacity - 1] = (uint8_t)at;
	}
	for (int i = 0; i < HELD; i++)
		blob_unref(held[i]);
}

TEST(blobs_of_any_size_come_and_go)
{
	run_over_both(1, many_blobs_main, NULL);
}
