/*
 * process: what the operating system says of this process as a whole.
 */
#ifndef RUNTIME_PROCESS_H
#define RUNTIME_PROCESS_H

#include "runtime/fiber.h"

/* -1: not known. */
struct process_figures {
	int64_t resident_bytes;
	int64_t virtual_bytes;
	int64_t cpu_us; /* of all threads */
	int64_t threads;
	int64_t open_files;
	int64_t max_files;
};

/* Asked on a helper thread, since it reads files of the system's. False where there is no process of one's own (simulator). */
bool process_figures_await(struct fiber *self, struct process_figures *ret_figures) MUST_CHECK;

#endif
