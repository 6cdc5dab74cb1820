/* must: see the header. */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

void must_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "moldau: bug: %s:%d: %s\n", file, line, condition);
	abort();
}
