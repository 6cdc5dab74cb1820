/*
 * delta: a change of the image as bytes: what goes from the controller to every shard (and later to every broker).
 *
 *      delta   = uvarint format (1), then records
 *      record  = uvarint size of what follows, uvarint kind, uvarint version of the kind, fields
 *
 * A kind that the reader does not know is ERR_BAD_VERSION: a picture with holes is worse than none. Fields that a later
 * version appends are skipped by size. Numbers are big-endian or varints; texts are uvarint size + bytes.
 *
 * Writing is straight into a buf; reading gives one record at a time, with its arrays in an arena and its texts in place.
 */
#ifndef METADATA_DELTA_H
#define METADATA_DELTA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/reader.h"
#include "base/uuid.h"
#include "config/config.h"

#define DELTA_FORMAT 1
#define DELTA_MAX_REPLICAS 1000
#define DELTA_MAX_PARTITIONS 1000000

enum delta_kind {
	DELTA_CLUSTER = 1, /* cluster id, controller */
	DELTA_BROKER = 2,  /* registered, or changed */
	DELTA_BROKER_REMOVED = 3,
	DELTA_FEATURE = 4,    /* level 0 takes it away */
	DELTA_TOPIC = 5,      /* created */
	DELTA_PARTITIONS = 6, /* added behind the topic's last */
	DELTA_PARTITION = 7,  /* leader, epochs, isr of one changed */
	DELTA_TOPIC_REMOVED = 8,
	DELTA_CONFIG = 9, /* a setting of a topic, broker, group, ...; a null value takes it away */
};

struct delta_partition {
	int32_t leader;
	int32_t leader_epoch;
	int32_t partition_epoch;
	const int32_t *replicas;
	uint32_t replica_count;
	const int32_t *isr;
	uint32_t isr_count;
};

struct delta_endpoint {
	struct bytes listener;
	struct bytes host;
	uint16_t port;
	int16_t security_protocol;
};

struct delta_record {
	enum delta_kind kind;
	struct bytes name;    /* cluster id; feature; topic; config: the setting's name */
	struct bytes value;   /* config; broker: its rack (null: none) */
	struct uuid topic_id; /* topic, partitions, partition, topic removed, config of a topic */
	int32_t broker;       /* broker, broker removed; cluster: the controller; config of a broker (-1: of all) */
	int64_t broker_epoch;
	int16_t level;                            /* feature */
	bool internal;                            /* topic */
	enum config_resource resource;            /* config: what it belongs to */
	struct bytes resource_name;               /* config: of a group, of client metrics */
	int32_t first_partition;                  /* partitions: index of the first; partition: its index */
	const struct delta_partition *partitions; /* topic, partitions; partition: one */
	uint32_t partition_count;
	const struct config_entry *configs; /* topic: its own settings */
	uint32_t config_count;
	const struct delta_endpoint *endpoints; /* broker */
	uint32_t endpoint_count;
};

/* Starts a delta in `b` (which may hold nothing yet). */
void delta_begin(struct buf *b);
/* Appends a record. b->error says in the end whether all of them fitted. */
void delta_put(struct buf *b, const struct delta_record *r);

/* Checks the beginning; then records follow until reader_left is 0. */
enum err delta_open(struct bytes delta, struct reader *ret_reader) MUST_CHECK;
/* The next one. ERR_MALFORMED, ERR_BAD_VERSION, ERR_NO_MEMORY (arena). */
enum err delta_next(struct reader *r, struct arena *a, struct delta_record *ret_record) MUST_CHECK;

#endif
