/* alloc: see the header. The only caller of malloc and free in the tree. */
#include "base/alloc.h"

#include <stdlib.h>

static void *or_abort(void *memory)
{
	if (!memory)
		must_failed("out of memory", __FILE__, __LINE__);
	return memory;
}

void *mem_alloc(size_t size)
{
	return or_abort(malloc(size ? size : 1));
}

void *mem_zalloc(size_t size)
{
	return or_abort(calloc(1, size ? size : 1));
}

void *mem_realloc(void *memory, size_t size)
{
	return or_abort(realloc(memory, size ? size : 1));
}

void *mem_try_alloc(size_t size)
{
	return malloc(size ? size : 1);
}

void mem_free(void *memory)
{
	free(memory);
}

void *mem_dup(const void *memory, size_t size)
{
	void *copy = mem_alloc(size);

	if (size)
		memcpy(copy, memory, size);
	return copy;
}

char *mem_strdup(const char *text)
{
	return mem_dup(text, strlen(text) + 1);
}

void *mem_grow(void *array, size_t *capacity, size_t needed, size_t size)
{
	size_t grown = *capacity ? *capacity : 4;

	if (needed <= *capacity)
		return array;
	while (grown < needed)
		grown *= 2;
	must(grown <= (size_t)-1 / size);
	*capacity = grown;
	return mem_realloc(array, grown * size);
}
