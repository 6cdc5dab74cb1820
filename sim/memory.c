/* memory: see the header. The only caller of malloc and free beside base/alloc.c, whose calls come here. */
#include "sim/memory.h"

#include <stdint.h>
#include <string.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define HIDE(b) __asan_poison_memory_region((b), sizeof(struct block))
#define SHOW(b) __asan_unpoison_memory_region((b), sizeof(struct block))
#else
#define HIDE(b) ((void)(b))
#define SHOW(b) ((void)(b))
#endif

/* Stands before every block; 16-byte aligned as malloc promises, and poisoned while nobody here reads it. */
struct block {
	struct block *next;
	struct block *previous;
	struct memory_owner *owner;
	size_t size;
};

_Static_assert(sizeof(struct block) % 16 == 0, "what follows the header is aligned");

void *__real_malloc(size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

static struct memory_owner *current;

void memory_owner_init(struct memory_owner *o)
{
	*o = (struct memory_owner){0};
	list_init(&o->blocks);
}

struct memory_owner *memory_enter(struct memory_owner *o)
{
	struct memory_owner *before = current;

	current = o;
	return before;
}

void memory_leave(struct memory_owner *before)
{
	current = before;
}

/* The list's nodes are the first two fields of a block; neighbours may be hidden, so links are set by hand. */
static void link_block(struct block *b, struct memory_owner *o, size_t size)
{
	b->owner = o;
	b->size = size;
	b->next = b->previous = NULL;
	if (o) {
		struct block *first = (struct block *)(void *)o->blocks.head.next;

		b->next = first;
		if (first != (struct block *)(void *)&o->blocks.head) {
			SHOW(first);
			first->previous = b;
			HIDE(first);
		} else {
			o->blocks.head.previous = (struct list_node *)(void *)b;
		}
		b->previous = (struct block *)(void *)&o->blocks.head;
		o->blocks.head.next = (struct list_node *)(void *)b;
		o->block_count++;
		o->bytes += size;
		if (o->bytes > o->peak_bytes)
			o->peak_bytes = o->bytes;
	}
	HIDE(b);
}

static bool is_head(const struct memory_owner *o, const struct block *b)
{
	return (const void *)b == (const void *)&o->blocks.head;
}

/* Leaves the header visible. */
static void unlink_block(struct block *b)
{
	struct memory_owner *o;

	SHOW(b);
	o = b->owner;
	if (!o)
		return;
	if (is_head(o, b->next)) {
		o->blocks.head.previous = (struct list_node *)(void *)b->previous;
	} else {
		SHOW(b->next);
		b->next->previous = b->previous;
		HIDE(b->next);
	}
	if (is_head(o, b->previous)) {
		o->blocks.head.next = (struct list_node *)(void *)b->next;
	} else {
		SHOW(b->previous);
		b->previous->next = b->next;
		HIDE(b->previous);
	}
	o->block_count--;
	o->bytes -= b->size;
}

void *__wrap_malloc(size_t size)
{
	struct block *b;

	if (size > SIZE_MAX - sizeof(*b))
		return NULL;
	b = __real_malloc(sizeof(*b) + size);
	if (!b)
		return NULL;
	link_block(b, current, size);
	return b + 1;
}

void *__wrap_calloc(size_t count, size_t size)
{
	void *memory;

	if (size && count > SIZE_MAX / size)
		return NULL;
	memory = __wrap_malloc(count * size);
	if (memory)
		memset(memory, 0, count * size);
	return memory;
}

void __wrap_free(void *memory)
{
	struct block *b = memory;

	if (!b)
		return;
	unlink_block(--b);
	__real_free(b);
}

void *__wrap_realloc(void *memory, size_t size)
{
	struct block *b = memory, *moved;
	struct memory_owner *o;
	size_t before;

	if (!b)
		return __wrap_malloc(size);
	if (size > SIZE_MAX - sizeof(*b))
		return NULL;
	unlink_block(--b);
	o = b->owner;
	before = b->size;
	moved = __real_realloc(b, sizeof(*b) + size);
	if (!moved) {
		link_block(b, o, before);
		return NULL;
	}
	link_block(moved, o, size);
	return moved + 1;
}

size_t memory_free_all(struct memory_owner *o)
{
	size_t freed = 0;

	while (!list_empty(&o->blocks)) {
		struct block *b = (struct block *)(void *)o->blocks.head.next;

		unlink_block(b);
		__real_free(b);
		freed++;
	}
	return freed;
}

/* What killed processes held of the compression libraries, whose memory is not ours to free (sim/README.md). */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libzstd\nleak:liblz4\nleak:libz\nleak:ZSTD_\nleak:LZ4F_\nleak:deflateInit\nleak:inflateInit\n";
}
