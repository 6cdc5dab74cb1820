/* table: see the header. Calls stdio. */
#include "cli/table.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

struct table table(const char *const *headings, size_t columns)
{
	return (struct table){.headings = headings, .columns = columns};
}

void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->count; i++)
		mem_free(t->cells[i]);
	mem_free(t->cells);
	*t = (struct table){0};
}

void table_add(struct table *t, const char *const *cells)
{
	t->cells = mem_grow(t->cells, &t->capacity, t->count + t->columns, sizeof(*t->cells));
	for (size_t i = 0; i < t->columns; i++)
		t->cells[t->count++] = mem_strdup(cells[i] && cells[i][0] ? cells[i] : "-");
}

static void print_row(const struct table *t, const char *const *cells, const int *widths)
{
	for (size_t i = 0; i + 1 < t->columns; i++)
		printf("%-*s ", widths[i], cells[i]);
	printf("%s\n", cells[t->columns - 1]);
}

void table_print(const struct table *t)
{
	int *widths = mem_zalloc(t->columns * sizeof(*widths));

	for (size_t i = 0; i < t->columns; i++)
		widths[i] = (int)strlen(t->headings[i]);
	for (size_t i = 0; i < t->count; i++)
		if ((int)strlen(t->cells[i]) > widths[i % t->columns])
			widths[i % t->columns] = (int)strlen(t->cells[i]);
	if (t->count > 0)
		print_row(t, t->headings, widths);
	for (size_t i = 0; i < t->count; i += t->columns)
		print_row(t, (const char *const *)t->cells + i, widths);
	mem_free(widths);
}
