/* run_test: starting, stopping, signals, threads of the client library, the choice of io, the stall detector. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/linux/backends.h"

/* --- the choice of io -------------------------------------------------------------------------------------------- */

static void io_name_main(struct fiber *self, void *argument)
{
	const char *expected = argument;

	EXPECT(!strcmp(linux_io_name(shard_runtime(fiber_shard(self))), expected));
}

TEST(auto_takes_epoll_and_says_why_when_io_uring_is_refused)
{
	const char *reason;

	run_with(&(struct linux_options){.shards = 1, .refuse_uring = true}, io_name_main,
		 (char[]){"epoll (io_uring: refused for a test)"});
	run_with(&(struct linux_options){.shards = 1, .io = IO_EPOLL}, io_name_main, (char[]){"epoll"});
	if (uring_usable(&reason))
		run_with(&(struct linux_options){.shards = 1}, io_name_main, (char[]){"io_uring"});
}

/* In a process of its own, since a filter stays: as container runtimes do it. */
TEST(a_filter_that_forbids_io_uring_makes_auto_take_epoll)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = countof(filter), .filter = filter};
	struct backend_run run = {.main = io_name_main, .argument = (char[]){"epoll (io_uring: not permitted)"}};
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
			_exit(43); /* no filters here */
		_exit(linux_run(&(struct linux_options){.shards = 1}, backend_run_start, &run));
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 42 || WEXITSTATUS(status) == 43);
}

struct first_line {
	struct logger logger;
	enum log_level level;
	unsigned count;
	char line[300];
};

static void first_line_write(struct logger *l, enum log_level level, const char *line)
{
	struct first_line *f = l->context; /* the shard has a copy of the logger */

	if (f->count++ == 0) {
		f->level = level;
		snprintf(f->line, sizeof(f->line), "%s", line);
	}
}

static void never_start(struct shard *s, void *argument)
{
	(void)s;
	(void)argument;
	EXPECT(false);
}

TEST(io_uring_asked_for_and_refused_does_not_start_and_says_so)
{
	struct first_line f = {.logger = {.write = first_line_write, .context = &f}};
	struct linux_options o = {.shards = 1, .io = IO_URING, .refuse_uring = true, .logger = &f.logger};
	struct linux_thread *t;

	CHECK_EQ(linux_run(&o, never_start, NULL), 1);
	CHECK_EQ(f.count, 1);
	CHECK_EQ(f.level, LOG_ERROR);
	CHECK(strstr(f.line, "io_uring cannot be used here: refused for a test; --io auto"));
	CHECK_ERR(linux_thread_start(&o, never_start, NULL, &t), ERR_UNSUPPORTED);
}

/* --- stopping ---------------------------------------------------------------------------------------------------- */

static void stop_here(struct shard *at, struct message *m)
{
	(void)m;
	runtime_stop(shard_runtime(at), 7);
	runtime_stop(shard_runtime(at), 8); /* the first word counts */
}

struct stop_message {
	struct message message;
};

static void stop_from_three(struct shard *s, void *argument)
{
	struct stop_message *m = argument;

	m->message.run = stop_here;
	shard_send(s, runtime_shard(shard_runtime(s), 3), &m->message);
}

TEST(any_shard_stops_all_and_its_exit_code_is_returned)
{
	struct stop_message m;

	CHECK_EQ(linux_run(&(struct linux_options){.shards = 4, .pin = true}, stop_from_three, &m), 7);
	CHECK_EQ(linux_run(&(struct linux_options){.shards = 4, .io = IO_EPOLL}, stop_from_three, &m), 7);
}

static void stop_at_once(struct shard *s, void *argument)
{
	(void)argument;
	runtime_stop(shard_runtime(s), 3);
}

TEST(a_stop_in_start_is_a_stop)
{
	CHECK_EQ(linux_run(&(struct linux_options){0}, stop_at_once, NULL), 3);
}

/* --- signals ----------------------------------------------------------------------------------------------------- */

static void on_signal(struct shard *s, int signal_number, void *argument)
{
	int *seen = argument;

	if (seen[0] == 0) {
		seen[0] = signal_number;
		kill(getpid(), SIGINT);
		return;
	}
	seen[1] = signal_number;
	runtime_stop(shard_runtime(s), 5);
}

static void signal_start(struct shard *s, void *argument)
{
	linux_on_signal(s, on_signal, argument);
	kill(getpid(), SIGTERM);
}

TEST(termination_and_interrupt_are_calls_on_shard_zero)
{
	static const enum linux_io ios[] = {IO_EPOLL, IO_AUTO};
	sigset_t before, after;

	pthread_sigmask(SIG_BLOCK, NULL, &before);
	for (size_t i = 0; i < countof(ios); i++) {
		struct linux_options o = {.shards = 2, .io = ios[i]};
		int seen[2] = {0};

		CHECK_EQ(linux_run(&o, signal_start, seen), 5);
		CHECK_EQ(seen[0], SIGTERM);
		CHECK_EQ(seen[1], SIGINT);
	}
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	CHECK_EQ(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
}

static void no_handler_start(struct shard *s, void *argument)
{
	(void)s;
	(void)argument;
	kill(getpid(), SIGTERM);
}

TEST(without_a_handler_a_signal_ends_the_process_as_ever)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(linux_run(&(struct linux_options){.shards = 2}, no_handler_start, NULL));
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* --- the client library's thread --------------------------------------------------------------------------------- */

struct guest {
	struct message message;
	struct shard *expected;
	unsigned runs;
	pthread_t thread;
};

static void guest_run(struct shard *at, struct message *m)
{
	struct guest *g = container_of(m, struct guest, message);

	g->runs++;
	g->thread = pthread_self();
	EXPECT(at == g->expected);
	runtime_stop(shard_runtime(at), 9);
}

static void guest_start(struct shard *s, void *argument)
{
	unsigned *started = argument;

	EXPECT(shard_index(s) == 0 && runtime_shard_count(shard_runtime(s)) == 1);
	++*started;
}

TEST(a_thread_of_its_own_is_reached_by_posting_and_joined)
{
	static const enum linux_io ios[] = {IO_EPOLL, IO_AUTO};

	for (size_t i = 0; i < countof(ios); i++) {
		struct linux_options o = {.shards = 5, .io = ios[i]}; /* one all the same */
		struct guest g = {.message = {.run = guest_run}};
		unsigned started = 0;
		struct linux_thread *t;

		must_ok(linux_thread_start(&o, guest_start, &started, &t));
		g.expected = linux_thread_shard(t);
		shard_post(linux_thread_shard(t), &g.message);
		CHECK_EQ(linux_thread_join(t), 9);
		CHECK_EQ(started, 1);
		CHECK_EQ(g.runs, 1);
		CHECK(!pthread_equal(g.thread, pthread_self()));
	}
}

/* --- stalls ------------------------------------------------------------------------------------------------------ */

static int64_t monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct stall_lines {
	struct logger logger;
	unsigned count;
	bool named;
};

static void stall_lines_write(struct logger *l, enum log_level level, const char *line)
{
	struct stall_lines *s = l->context; /* as above */

	EXPECT(level == LOG_WARN && strstr(line, "shard 0 stood still for about "));
	s->count++;
	s->named |= strstr(line, " ms in fiber test") != NULL;
}

static void hog_main(struct fiber *self, void *argument)
{
	struct stall_lines *lines = argument;

	/* On a busy machine something else may stall first and take the second's only line. */
	while (!lines->named) {
		int64_t end = monotonic_us() + 130000;

		while (monotonic_us() < end)
			;
		fiber_yield_await(self);
	}
}

TEST(who_holds_a_shard_is_named_at_most_once_a_second)
{
	struct stall_lines lines = {.logger = {.write = stall_lines_write, .context = &lines}};
	struct linux_options o = {.shards = 1, .logger = &lines.logger};
	int64_t start = monotonic_us();

	run_with(&o, hog_main, &lines);
	CHECK(lines.count <= 1 + (unsigned)((monotonic_us() - start) / 1000000));
}

/* --- sleeping ---------------------------------------------------------------------------------------------------- */

static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The only test that waits: what it asks is what waiting costs. */
static void idle_main(struct fiber *self, void *argument)
{
	int64_t before = cpu_us();

	(void)argument;
	EXPECT_OK(fiber_sleep_await(self, 200000));
	EXPECT(cpu_us() - before < 50000);
}

TEST(idle_shards_sleep)
{
	run_over_both(4, idle_main, NULL);
}
