/*
 * alloc: the process's small allocations. They abort when memory is out: a broker that cannot get a few hundred bytes
 * cannot answer either. What is large or driven by foreign sizes is budgeted and uses mem_try_alloc, which may fail.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>
#include <string.h>

#include "base/must.h"

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *memory, size_t size) __attribute__((returns_nonnull));
/* NULL when there is no memory: the caller answers with backpressure or an error. Not zeroed. */
void *mem_try_alloc(size_t size) MUST_CHECK;
void mem_free(void *memory);
char *mem_strdup(const char *text);
void *mem_dup(const void *memory, size_t size);

/*
 * Room for `needed` elements of `size` bytes: doubles `*capacity` as often as needed. Returns the (moved) array, which the
 * caller stores back and frees with mem_free.
 */
void *mem_grow(void *array, size_t *capacity, size_t needed, size_t size);

/* A zeroed struct of the given type. */
#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))

#endif
