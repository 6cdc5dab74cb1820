/*
 * configs: what a resource's settings become by IncrementalAlterConfigs or AlterConfigs, and whether they may (pure). Reads the
 * image; Kafka's codes, words and order of checks (asked of Kafka 4.3.1).
 */
#ifndef CONTROLLER_CONFIGS_H
#define CONTROLLER_CONFIGS_H

#include "controller/controller.h"
#include "metadata/delta.h"

struct config_plan {
	struct uuid topic_id;             /* of a topic */
	int32_t broker;                   /* of a broker; -1: all */
	struct bytes name;                /* as it is kept: of a broker its number, without signs and zeros */
	const struct config_entry *after; /* all that it has then, by name */
	size_t after_count;
	const struct config_entry *changes; /* null values are taken away */
	size_t change_count;
};

struct configs_decision {
	const struct image *image;
	const struct config *config;
	int32_t node_id;
	struct arena *arena; /* of plan and texts */
};

/* OK with a plan (maybe without changes), or `a` is refused: its error, which is also returned, and its message. */
enum err configs_decide(const struct configs_decision *d, struct alter_config *a, struct config_plan *ret_plan)
	MUST_CHECK;

#endif
