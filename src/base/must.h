/*
 * must: assertions that stay on in production, for the programmer's own mistakes. Never for foreign bytes.
 */
#ifndef BASE_MUST_H
#define BASE_MUST_H

/* Prints the broken condition with its place to stderr and aborts. */
_Noreturn void must_failed(const char *condition, const char *file, int line);

#define must(condition) \
	do { \
		if (__builtin_expect(!(condition), 0)) \
			must_failed(#condition, __FILE__, __LINE__); \
	} while (0)

/* A place that cannot be reached unless the program itself is wrong. */
#define must_not_reach() must_failed("not reached", __FILE__, __LINE__)

#define countof(array) (sizeof(array) / sizeof((array)[0]))

/* The struct of `type` that embeds `pointer` as its field `member`. */
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer) - __builtin_offsetof(type, member)))

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
