/*
 * control: the records that brokers write for themselves into a partition: ends of transactions, changes of leader.
 *
 * A control batch holds one; its key is int16 version, int16 type. Clients skip these records, but they take up offsets.
 * Invariants: what is built reads back. Unknown types are CONTROL_UNKNOWN, not an error: a newer broker may have written them.
 */
#ifndef RECORD_CONTROL_H
#define RECORD_CONTROL_H

#include "record/batch.h"
#include "record/record.h"

enum control_type {
	CONTROL_UNKNOWN = -1,
	CONTROL_ABORT = 0,
	CONTROL_COMMIT = 1,
	CONTROL_LEADER_CHANGE = 2,
	CONTROL_SNAPSHOT_HEADER = 3,
	CONTROL_SNAPSHOT_FOOTER = 4,
	CONTROL_KRAFT_VERSION = 5,
	CONTROL_KRAFT_VOTERS = 6,
};

/* Of a control record's key. ERR_CORRUPT when null, shorter than 4 bytes, or with a negative version. */
enum err control_type_read(struct bytes key, enum control_type *ret_type) MUST_CHECK;

struct end_marker {
	bool committed;
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t coordinator_epoch;
};

/* Reads the one record of a control batch. ERR_CORRUPT when damaged, ERR_NOT_FOUND when it is another type's. */
enum err end_marker_read(const struct batch_header *header, const struct record *r, struct end_marker *ret_marker)
	MUST_CHECK;
/* The same of a whole control batch. ERR_NOT_FOUND also when compaction has left it no record. */
enum err end_marker_of(struct bytes batch, struct end_marker *ret_marker) MUST_CHECK;
/* Appends a whole batch at base offset 0 with no leader epoch. */
enum err end_marker_write(const struct end_marker *marker, int64_t timestamp, struct buf *out) MUST_CHECK;

/* Voters are not kept: only a Raft quorum has them. */
struct leader_change {
	int32_t leader_id;
};

enum err leader_change_read(const struct record *r, struct leader_change *ret_change) MUST_CHECK;
enum err leader_change_write(const struct leader_change *change, int32_t leader_epoch, int64_t timestamp,
			     struct buf *out) MUST_CHECK;

#endif
