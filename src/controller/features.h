/*
 * features: what a broker of ours says of Kafka's feature levels (KIP-584) in ApiVersions.
 *
 * metadata.version is that of Kafka 4.3, since tools look for it; group.version 1 is the consumer protocol (KIP-848), transaction.version 2 the
 * transactions of KIP-890. What is not there yet (share.version, streams.version, eligible.leader.replicas.version) is left out: clients then fall back to the older
 * protocols, which is the truth. kraft.version is left out for good: there is no such log.
 */
#ifndef CONTROLLER_FEATURES_H
#define CONTROLLER_FEATURES_H

#include "base/buf.h"

struct feature_range {
	const char *name;
	int16_t min;
	int16_t max;
};

/* What this program supports, by name. */
const struct feature_range *features_supported(size_t *ret_count);
/* The text of /feature in a new cluster: everything supported at its newest level. */
void features_put_new(struct buf *b);

#endif
