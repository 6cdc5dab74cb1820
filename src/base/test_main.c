/* test_main: runs the tests that a test file registered. Linked into test programs only. */
#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

static struct CMUnitTest tests[1000];
static size_t test_count;

void test_register(const char *name, void (*function)(void **state))
{
	if (test_count == countof(tests))
		abort();
	tests[test_count++] = (struct CMUnitTest){.name = name, .test_func = function};
}

void test_check_err(enum err got, enum err expected, const char *text, const char *file, int line)
{
	if (got == expected)
		return;
	print_error("%s gave %s, expected %s\n", text, err_name(got), err_name(expected));
	_fail(file, line);
}

void test_check_bytes(struct bytes got, struct bytes expected, const char *file, int line)
{
	_assert_int_equal(got.size, expected.size, file, line);
	if (got.size)
		_assert_memory_equal((const char *)got.data, (const char *)expected.data, got.size, file, line);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return _cmocka_run_group_tests("tests", tests, test_count, NULL, NULL) ? EXIT_FAILURE : EXIT_SUCCESS;
}
