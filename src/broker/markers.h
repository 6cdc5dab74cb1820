/*
 * markers: ends of transactions on their way into the partitions that their records are in, on whatever shard those live.
 *
 *      home    marker_write_start --> the partition's shard: partition_append, or a step of the group's machine --> home: finished
 *
 * A partition of __consumer_offsets is written by its machine (coordinator_end_transaction), which has to hear of the end; every other one by
 * its log. Markers are never compressed.
 * Lifetime: a write lies in what waits for it, until `finished`; it belongs to the partition's shard meanwhile.
 * Not here: who may end what (storage/producer_state.h), which transactions are to be ended (txn/).
 */
#ifndef BROKER_MARKERS_H
#define BROKER_MARKERS_H

#include "broker/broker.h"

/* One marker for one partition. */
struct marker_write {
	/* In. */
	struct uuid topic_id;
	int32_t partition;
	bool of_groups; /* the topic is __consumer_offsets */
	int8_t transaction_version;
	struct end_marker marker;
	/* At home, never inside marker_write_start. */
	void (*finished)(struct marker_write *w);
	/*
	 * Out. OK: it is committed. NOT_LEADER_OR_FOLLOWER (of a group's: it is loaded just now), KAFKA_STORAGE_ERROR: not now.
	 * UNKNOWN_TOPIC_OR_PARTITION: it is gone. INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED: others have ended it.
	 */
	enum err error;
	/* Own. */
	struct shard *home;
	struct broker_shard *target;
	struct message message;
	struct partition_append append;
	struct coordinator_call call;
	struct buf bytes;
};

/* On `home`, which hears of its end. */
void marker_write_start(struct marker_write *w, struct broker_shard *home);

#endif
