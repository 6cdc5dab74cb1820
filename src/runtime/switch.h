/*
 * switch: changing stacks, and telling the sanitizers about it. The switch itself is boost.context's, through its C entry points,
 * which that library keeps stable; nothing else of it is used.
 */
#ifndef RUNTIME_SWITCH_H
#define RUNTIME_SWITCH_H

#include <stddef.h>

struct transfer {
	void *context; /* where the one that jumped here stands now */
	void *data;
};

/* `stack_top` is the end of the stack; the entry must never return. */
void *make_fcontext(void *stack_top, size_t size, void (*entry)(struct transfer t));
struct transfer jump_fcontext(void *to, void *data);

#if defined(__SANITIZE_ADDRESS__)
#define STACK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACK_ASAN 1
#endif
#endif
#ifndef STACK_ASAN
#define STACK_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define STACK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STACK_TSAN 1
#endif
#endif
#ifndef STACK_TSAN
#define STACK_TSAN 0
#endif

#if STACK_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if STACK_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Before a jump: where the present stack's fake frames are kept (NULL when it ends here), and the stack that is jumped to. */
static inline void switch_start(void **keep, const void *to_stack, size_t to_size)
{
#if STACK_ASAN
	__sanitizer_start_switch_fiber(keep, to_stack, to_size);
#else
	(void)keep;
	(void)to_stack;
	(void)to_size;
#endif
}

/* After it, on the new stack: its kept fake frames, and out comes the stack that was left. */
static inline void switch_finish(void *kept, const void **ret_from_stack, size_t *ret_from_size)
{
#if STACK_ASAN
	__sanitizer_finish_switch_fiber(kept, ret_from_stack, ret_from_size);
#else
	(void)kept;
	(void)ret_from_stack;
	(void)ret_from_size;
#endif
}

static inline void stack_unpoison(void *stack, size_t size)
{
#if STACK_ASAN
	__asan_unpoison_memory_region(stack, size);
#else
	(void)stack;
	(void)size;
#endif
}

static inline void *thread_view_current(void)
{
#if STACK_TSAN
	return __tsan_get_current_fiber();
#else
	return NULL;
#endif
}

static inline void *thread_view_new(void)
{
#if STACK_TSAN
	return __tsan_create_fiber(0);
#else
	return NULL;
#endif
}

static inline void thread_view_free(void *view)
{
#if STACK_TSAN
	__tsan_destroy_fiber(view);
#else
	(void)view;
#endif
}

/* The very last thing before a jump. */
static inline void thread_view_switch(void *view)
{
#if STACK_TSAN
	__tsan_switch_to_fiber(view, 0);
#else
	(void)view;
#endif
}

#endif
