/*
 * consumer_options: what a broker sets for groups of the consumer protocol, under Kafka's names; a part of group_options.
 */
#ifndef GROUP_CONSUMER_OPTIONS_H
#define GROUP_CONSUMER_OPTIONS_H

#include "group/assignor.h"

#define CONSUMER_ASSIGNORS_MAX 2

struct config;

struct consumer_options {
	bool enabled;     /* group.coordinator.rebalance.protocols names it */
	bool may_upgrade; /* group.consumer.migration.policy */
	bool may_downgrade;
	int32_t group_consumer_max_size;
	int64_t group_consumer_regex_refresh_interval_ms;
	enum server_assignor assignors[CONSUMER_ASSIGNORS_MAX]; /* the first is for groups whose members name none */
	size_t assignor_count;
	/* For what may be set while it runs: of the broker, and of single groups. */
	const struct config *config;
	int32_t node_id;
};

/* From a broker's settings, which are borrowed. */
void consumer_options_read(const struct config *c, struct consumer_options *ret_options);

#endif
