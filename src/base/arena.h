/*
 * arena: memory that is freed all at once, with a maximum. A request owns one; what its answer needs is taken from it.
 * Allocations are 16-byte aligned and never move. Embedded; arena_init .. arena_fini.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/must.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	uint8_t *at;
	uint8_t *end;
	size_t used; /* bytes given out */
	size_t held; /* bytes of the blocks: what it costs */
	size_t max;
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_fini(struct arena *a);
/* Zeroed; NULL only when the maximum would be passed (foreign sizes lead here, so callers check), never for size 0. */
void *arena_alloc(struct arena *a, size_t size) MUST_CHECK;
/* NULL also when count * size overflows. */
void *arena_alloc_array(struct arena *a, size_t count, size_t size) MUST_CHECK;
/* A copy with a terminator behind it; null stays null, and a full arena gives null as well. */
struct bytes arena_copy(struct arena *a, struct bytes b);

#define arena_new(arena, type) ((type *)arena_alloc((arena), sizeof(type)))

#endif
