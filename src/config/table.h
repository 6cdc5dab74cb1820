/*
 * table: the generated definitions (config_table.c) as the sources of this folder see them. Constant; sorted by name.
 */
#ifndef CONFIG_TABLE_H
#define CONFIG_TABLE_H

#include "config/topic_config.h"

#define CONFIG_MAX_SYNONYMS 4

/* A broker's setting that stands in for a topic's, and what its value is multiplied with; factor 0 ends the row. */
struct config_unit {
	enum config_id id;
	int64_t factor;
};

extern const struct config_definition config_definitions[CONFIG_COUNT];
extern const struct config_definition topic_config_definitions[TOPIC_CONFIG_COUNT];
extern const struct config_definition group_config_definitions[GROUP_CONFIG_COUNT];
extern const struct config_unit topic_config_synonyms[TOPIC_CONFIG_COUNT][CONFIG_MAX_SYNONYMS];

#endif
