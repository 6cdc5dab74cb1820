/* arena: see the header. */
#include "base/arena.h"

#include "base/alloc.h"

#define FIRST_BLOCK_SIZE 2048
#define LARGEST_BLOCK_SIZE ((size_t)256 * 1024)
#define ALIGNMENT 16

struct arena_block {
	struct arena_block *older;
	size_t size;
	_Alignas(ALIGNMENT) uint8_t memory[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
	*a = (struct arena){.max = max_bytes};
}

void arena_fini(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *older = a->blocks->older;

		mem_free(a->blocks);
		a->blocks = older;
	}
	arena_init(a, a->max);
}

static bool add_block(struct arena *a, size_t at_least)
{
	size_t size = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK_SIZE;
	struct arena_block *block;

	if (size > LARGEST_BLOCK_SIZE)
		size = LARGEST_BLOCK_SIZE;
	if (size < at_least)
		size = at_least;
	block = mem_try_alloc(sizeof(*block) + size);
	if (!block)
		return false;
	block->older = a->blocks;
	block->size = size;
	a->blocks = block;
	a->held += sizeof(*block) + size;
	a->at = block->memory;
	a->end = block->memory + size;
	return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *memory;

	if (size > a->max - a->used)
		return NULL;
	/* No bytes are a place as well: NULL means that the arena is full, and nothing else. */
	if (size == 0)
		size = 1;
	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (size > (size_t)(a->end - a->at) && !add_block(a, size))
		return NULL;
	memory = a->at;
	a->at += size;
	a->used = size > a->max - a->used ? a->max : a->used + size;
	memset(memory, 0, size);
	return memory;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
	if (size && count > (size_t)-1 / size)
		return NULL;
	return arena_alloc(a, count * size);
}

struct bytes arena_copy(struct arena *a, struct bytes b)
{
	uint8_t *copy;

	if (bytes_is_null(b))
		return b;
	copy = arena_alloc(a, b.size + 1);
	if (!copy)
		return bytes_null();
	if (b.size)
		memcpy(copy, b.data, b.size);
	return bytes_of(copy, b.size);
}
