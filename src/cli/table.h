/*
 * table: rows of text under headings, each column as wide as it must be.
 *
 *      struct table t = table(headings, columns);
 *      table_add(&t, (const char *const[]){"a", "1"});
 *      table_print(&t);
 *      table_fini(&t);
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>

struct table {
	const char *const *headings; /* borrowed */
	size_t columns;
	char **cells; /* row after row */
	size_t count; /* of cells */
	size_t capacity;
};

struct table table(const char *const *headings, size_t columns);
void table_fini(struct table *t);
/* Copies them. NULL and "" are shown as "-". */
void table_add(struct table *t, const char *const *cells);
/* To stdout. Nothing when there are no rows. */
void table_print(const struct table *t);

#endif
