/*
 * kraft: what the metadata log of a Kafka node says (__cluster_metadata-0 with its snapshots): topics, settings, features, ids of
 * producers. Batches in, a picture out; adopt.h reads the files and writes the picture into our own store.
 *
 *      snapshot (00..100-0000000002.checkpoint)   all records as of offset 100
 *      log      (00..000.log)                     record batches; those from offset 100 on come on top
 *
 * Invariants
 * 1. Records between a BeginTransactionRecord and its end count when the end is there, else not at all (KIP-868).
 * 2. A record kind that is not known is an error: a picture with holes is worse than none.
 * Pure. Lifetime: kraft_picture_new .. kraft_picture_free; all texts and arrays live as long.
 * Not here: what of it a Moldau broker can take over (adopt.c).
 */
#ifndef CONTROLLER_KRAFT_H
#define CONTROLLER_KRAFT_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/uuid.h"
#include "config/config.h"

struct kraft_picture;

struct kraft_partition {
	bool known; /* false: a gap, which a sound log does not have */
	int32_t leader;
	int32_t leader_epoch;
	const int32_t *replicas;
	uint32_t replica_count;
};

struct kraft_topic {
	struct bytes name;
	struct uuid id;
	struct kraft_partition *partitions; /* by index */
	uint32_t partition_count;
	uint32_t capacity; /* kraft.c's */
};

/* A resource with settings. */
struct kraft_configured {
	enum config_resource kind;
	struct bytes name;            /* of a broker: its id, or "" for all */
	struct config_entry *entries; /* in order of their first record */
	uint32_t count;
	uint32_t capacity; /* kraft.c's */
};

struct kraft_feature {
	struct bytes name;
	int16_t level;
};

/* What has no place here yet, by number of records. */
struct kraft_left {
	int64_t access_rules;
	int64_t credentials; /* SCRAM, delegation tokens */
	int64_t quotas;
};

struct kraft_picture *kraft_picture_new(size_t max_bytes);
void kraft_picture_free(struct kraft_picture *p); /* NULL ok */

/*
 * Takes the whole batches at the front of `bytes`, of those only the records from `from_offset` on; *ret_used says how far it came: less
 * than all when the last one is not whole. ERR_CORRUPT: the batch there is damaged; ERR_MALFORMED, ERR_BAD_VERSION: a record is not one
 * of Kafka 4's; ERR_NO_MEMORY.
 */
enum err kraft_take_batches(struct kraft_picture *p, struct bytes bytes, int64_t from_offset, size_t *ret_used)
	MUST_CHECK;
/* One record's value. */
enum err kraft_take_record(struct kraft_picture *p, struct bytes value) MUST_CHECK;

/* The next one from `*place` on (start with 0), in order of creation; NULL at the end. */
const struct kraft_topic *kraft_next_topic(const struct kraft_picture *p, size_t *place);
const struct kraft_configured *kraft_next_configured(const struct kraft_picture *p, size_t *place);
const struct kraft_feature *kraft_next_feature(const struct kraft_picture *p, size_t *place);
/* The first id that no producer has; 0 when none was given out. */
int64_t kraft_next_producer_id(const struct kraft_picture *p);
struct kraft_left kraft_left_out(const struct kraft_picture *p);

#endif
