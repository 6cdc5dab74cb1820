/*
 * broker_update: which settings of a broker may change while it runs, and to what (KIP-226). Refusals are Kafka's, in its words, also
 * the odd ones; what a Moldau broker cannot follow while it runs is refused too, never taken and ignored: its listeners, cordoned folders.
 */
#ifndef CONFIG_BROKER_UPDATE_H
#define CONFIG_BROKER_UPDATE_H

#include "config/config.h"

struct broker_update {
	const struct config_layers *now;
	const struct config_entry *entries; /* all that the broker (or all brokers) shall have */
	size_t count;
	bool of_all; /* for every broker, not for this one */
};

/* OK, or ERR_INVALID_REQUEST with the reason in `message`. Names that nobody knows are fine, as in Kafka. */
enum err broker_update_check(const struct broker_update *u, struct buf *message) MUST_CHECK;

/* Is it a list, so that APPEND and SUBTRACT make sense? */
bool broker_update_is_list(struct bytes name);

#endif
