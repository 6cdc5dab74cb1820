/*
 * internal_topics: the topics in which brokers keep what coordinators decide: their names, and how they are made when first needed. Pure.
 *
 * Settings say how many partitions and replicas; of replicas never more than there are brokers, so that one broker works without a setting.
 * Not here: creating them (auto_create.c), what is in them (coordinator/, group/, txn/).
 */
#ifndef BROKER_INTERNAL_TOPICS_H
#define BROKER_INTERNAL_TOPICS_H

#include "config/config.h"
#include "controller/controller.h"

/* In the order of FindCoordinator's key types. */
enum internal_topic { INTERNAL_GROUPS, INTERNAL_TRANSACTIONS, INTERNAL_SHARES, INTERNAL_TOPICS };

#define INTERNAL_TOPIC_CONFIGS 5

struct internal_topic_plan {
	struct create_topic topic; /* its settings point in here */
	struct config_entry configs[INTERNAL_TOPIC_CONFIGS];
	char segment_bytes[16];
	char min_isr[24];
};

const char *internal_topic_name(enum internal_topic t);
bool internal_topic_find(struct bytes name, enum internal_topic *ret_topic);
/* How it is to be made by these settings, in a cluster of `brokers`. */
void internal_topic_plan(const struct config *c, size_t brokers, enum internal_topic t,
			 struct internal_topic_plan *ret_plan);

#endif
