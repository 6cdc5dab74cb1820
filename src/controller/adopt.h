/*
 * adopt: a data folder that a Kafka node of its own made (KRaft, broker and controller in one) becomes ours: its topics with ids,
 * settings, features and the next producer id are read from __cluster_metadata-0 and written into an empty store.
 *
 * Invariants
 * 1. Nothing of Kafka's metadata log is changed: what it was before stays there to look at.
 * 2. /cluster/id is written last: a start that was killed amid this begins anew at the next one, a store that has it is left alone.
 * 3. What cannot be taken over whole (a topic with replicas elsewhere, a record of an unknown kind) is an error, not a hole.
 * Runs on the store's shard before the controller loads.
 */
#ifndef CONTROLLER_ADOPT_H
#define CONTROLLER_ADOPT_H

#include "base/log.h"
#include "metastore/metastore.h"

#define ADOPT_FOLDER "__cluster_metadata-0"

struct adopt_options {
	struct metastore *store;
	const char *folder; /* of the metadata log */
	const char *cluster_id;
	int32_t node_id;
	bool clean; /* it was stopped cleanly: no file of it is torn */
	struct logger *log;
};

/*
 * OK also when there is nothing to do. The log has said why otherwise: ERR_CORRUPT, ERR_BAD_VERSION (written by a Kafka that is not
 * known), ERR_CONFLICT (a cluster of several nodes), ERR_NO_MEMORY, ERR_IO ...
 */
enum err adopt_await(struct fiber *self, const struct adopt_options *o) MUST_CHECK;

#endif
