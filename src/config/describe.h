/* describe: what the sources of this folder share beyond the public headers. */
#ifndef CONFIG_DESCRIBE_H
#define CONFIG_DESCRIBE_H

#include "config/config.h"
#include "config/value.h"

bool definition_find(const struct config_definition *table, size_t count, struct bytes name, size_t *ret_at);
/* The static value or the default. */
const struct config_value *config_value_of(const struct config *c, enum config_id id);
/* True the first time. */
bool config_note_unknown(struct config *c, struct bytes name);

#endif
