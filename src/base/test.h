/*
 * test: the unit tests' vocabulary, over cmocka. A test file is a program: TEST(name) { ... } registers itself, main comes
 * with test_main.c. Names are sentences. CHECK_* end the test at the first that fails.
 */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/err.h"

void test_register(const char *name, void (*function)(void **state));
void test_check_err(enum err got, enum err expected, const char *text, const char *file, int line);
void test_check_bytes(struct bytes got, struct bytes expected, const char *file, int line);

#define TEST(name) \
	static void test_##name(void **state); \
	__attribute__((constructor)) static void register_##name(void) \
	{ \
		test_register(#name, test_##name); \
	} \
	static void test_##name(void **state __attribute__((unused)))

#define CHECK(condition) assert_true(condition)
#define CHECK_EQ(got, expected) assert_int_equal((got), (expected))
#define CHECK_STR(got, expected) assert_string_equal((got), (expected))
#define CHECK_BYTES(got, expected) test_check_bytes((got), (expected), __FILE__, __LINE__)
#define CHECK_ERR(got, expected) test_check_err((got), (expected), #got, __FILE__, __LINE__)
#define must_ok(got) test_check_err((got), OK, #got, __FILE__, __LINE__)

#endif
