/*
 * orphans: topics of which nothing is left but the folders of their partitions: put into an empty store, so that they can be read.
 * Settings, and partitions whose folders are gone too, nobody knows any more. Before the controller loads.
 */
#ifndef CONTROLLER_ORPHANS_H
#define CONTROLLER_ORPHANS_H

#include "base/uuid.h"
#include "metastore/metastore.h"

struct orphan {
	struct bytes name;
	struct uuid id; /* zero: not known; one that follows from the name stands for it */
	int32_t partition_count;
	const int32_t *leader_epochs; /* by partition; negative counts as 0 */
};

enum err orphans_put_await(struct fiber *self, struct metastore *store, int32_t node_id, const struct orphan *o)
	MUST_CHECK;

#endif
