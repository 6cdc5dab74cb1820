/*
 * value: one setting's text turned into its value, and back into the text that Kafka would print. For the sources of this
 * folder; pure.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/config.h"

struct config_value {
	char *text;   /* as Kafka prints it; NULL: null */
	char **items; /* lists */
	size_t item_count;
	int64_t number; /* int, short, long; boolean: 0 or 1 */
	double real;
};

/* ERR_BAD_CONFIG with Kafka's words in `message` (may be NULL). Null is allowed for what has null as its default. */
enum err config_value_parse(const struct config_definition *d, struct bytes text, struct buf *message,
			    struct config_value *ret_value) MUST_CHECK;
void config_value_fini(struct config_value *v);

/* Without blanks and control characters at both ends, as Java's trim. */
struct bytes bytes_trim(struct bytes b);

#endif
