/*
 * backends: for tests: runs a fiber over io_uring and over epoll. Test code on other shards and stacks cannot use CHECK, which jumps
 * back to the test's stack: EXPECT prints and ends the program instead.
 */
#ifndef RUNTIME_LINUX_BACKENDS_H
#define RUNTIME_LINUX_BACKENDS_H

#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"
#include "runtime/fiber.h"
#include "runtime/linux/system.h"

#define EXPECT(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

#define EXPECT_ERR(got, expected) \
	do { \
		enum err expect_got = (got); \
		if (expect_got != (expected)) { \
			fprintf(stderr, "%s:%d: %s gave %s, expected %s\n", __FILE__, __LINE__, #got, \
				err_name(expect_got), err_name(expected)); \
			abort(); \
		} \
	} while (0)

#define EXPECT_OK(got) EXPECT_ERR(got, OK)

struct backend_run {
	void (*main)(struct fiber *self, void *argument);
	void *argument;
};

static inline void backend_run_fiber(struct fiber *self, void *argument)
{
	struct backend_run *run = argument;

	run->main(self, run->argument);
	runtime_stop(shard_runtime(fiber_shard(self)), 42);
}

static inline void backend_run_start(struct shard *s, void *argument)
{
	/* Sanitizers make frames several times larger. */
	static const struct fiber_options options = {.name = "test", .stack_size = (size_t)256 * 1024};

	EXPECT(fiber_start(s, &options, backend_run_fiber, argument));
}

static inline void run_with(const struct linux_options *o, void (*main)(struct fiber *self, void *argument),
			    void *argument)
{
	struct backend_run run = {.main = main, .argument = argument};

	CHECK_EQ(linux_run(o, backend_run_start, &run), 42);
}

/* Over both backends; io_uring is left out, with a line, where the kernel refuses it. */
static inline void run_over_both(unsigned shards, void (*main)(struct fiber *self, void *argument), void *argument)
{
	static const enum linux_io ios[] = {IO_EPOLL, IO_URING};
	const char *reason;

	for (size_t i = 0; i < countof(ios); i++) {
		struct linux_options o = {.shards = shards, .io = ios[i]};

		if (ios[i] == IO_URING && !uring_usable(&reason))
			fprintf(stderr, "io_uring left out: %s\n", reason);
		else
			run_with(&o, main, argument);
	}
}

#endif
