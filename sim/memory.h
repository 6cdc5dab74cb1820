/*
 * memory: whose heap memory is whose. A simulated process that is killed never runs its clean-up, so the simulator frees
 * every block that the process held; and a process that ended cleanly must have freed every block itself.
 *
 *      owner    +--------+   +--------+   +--------+
 *      blocks ->| block  |<->| block  |<->| block  |      each malloc of the program carries this header
 *               +--------+   +--------+   +--------+
 *
 * Works by the linker: programs that link sim/ are built with --wrap for malloc, calloc, realloc and free, so the code under
 * test is the same object code as in the broker. Libraries that are shared objects keep their own malloc and are not seen.
 * The current owner is the one mutable global of the simulator: malloc has no argument that could carry it.
 *
 * Invariants: a block belongs for its whole life to the owner that was current when it was made; freeing it is right
 * whoever is current. Who calls into a node enters its owner and leaves it again; who is called by a node (the backend)
 * enters the simulator's (NULL).
 */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <stddef.h>

#include "base/list.h"

struct memory_owner {
	struct list blocks;
	size_t block_count;
	size_t bytes;
	size_t peak_bytes;
};

void memory_owner_init(struct memory_owner *o);
/* Makes `o` current (NULL: the simulator itself) and returns the one before, for memory_leave. */
struct memory_owner *memory_enter(struct memory_owner *o) MUST_CHECK;
void memory_leave(struct memory_owner *before);
/* Frees every block of `o`. Returns how many there were. */
size_t memory_free_all(struct memory_owner *o);

#endif
