/*
 * re2: the library RE2 for C, and nothing more: its only interface is C++. What a pattern may be and how it is refused is in regex.c.
 * No header of ours is read by the C++ compiler but this one.
 */
#ifndef REGEX_RE2_H
#define REGEX_RE2_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum re2_error {
	RE2_OK,
	RE2_BAD_ESCAPE,
	RE2_BAD_CLASS,
	RE2_BAD_RANGE,
	RE2_MISSING_BRACKET,
	RE2_MISSING_PARENTHESIS,
	RE2_TRAILING_BACKSLASH,
	RE2_REPEAT_OF_NOTHING,
	RE2_BAD_REPEAT_COUNT,
	RE2_NESTED_REPEAT,
	RE2_BAD_PERL_SYNTAX,
	RE2_BAD_UTF8,
	RE2_BAD_NAME,
	RE2_TOO_LARGE,
	RE2_OTHER_ERROR,
};

struct re2_pattern;

/* RE2_OK: *ret is made. RE2 allocates by itself and ends the process where that fails, as our own small allocations do. */
enum re2_error re2_new(const char *pattern, size_t size, size_t max_bytes, struct re2_pattern **ret_pattern);
void re2_free(struct re2_pattern *p);
bool re2_matches(const struct re2_pattern *p, const char *text, size_t size);
size_t re2_instructions(const struct re2_pattern *p);

#ifdef __cplusplus
}
#endif

#endif
