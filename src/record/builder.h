/*
 * builder: makes a batch of magic 2 from records.
 *
 *      batch_builder_init -> append ... append -> finish -> (bytes used) -> reset -> append ...
 *
 * Invariants: what finish gives parses and has a valid CRC; before compression it is never larger than max_bytes. The base
 * timestamp is the first record's; offset deltas grow strictly from record to record.
 * Lifetime: owns its buffers until batch_builder_fini; the finished bytes live until reset or fini.
 * Not here: whether a batch should be sent now, its offsets in a log (batch_set_base_offset).
 */
#ifndef RECORD_BUILDER_H
#define RECORD_BUILDER_H

#include "record/batch.h"
#include "record/record.h"

struct batch_options {
	enum codec codec;
	int level; /* CODEC_LEVEL_DEFAULT */
	int64_t base_offset;
	int32_t leader_epoch;
	int64_t producer_id; /* NO_PRODUCER_ID ... */
	int16_t producer_epoch;
	int32_t base_sequence;
	bool is_transactional;
	bool is_control;
	size_t max_bytes;              /* of the whole batch before compression */
	struct compressor *compressor; /* borrowed; may be NULL */
};

/* No codec, no producer, base offset 0, no leader epoch. */
struct batch_options batch_options_default(size_t max_bytes);

struct batch_builder {
	struct batch_options options;
	struct buf raw;    /* header and records as they come */
	struct buf packed; /* header and compressed records */
	int64_t base_timestamp;
	int64_t max_timestamp;
	int32_t last_offset_delta; /* -1 before the first record */
	int32_t record_count;
	bool has_base_timestamp;
	bool has_delete_horizon;
	bool finished;
};

void batch_builder_init(struct batch_builder *b, const struct batch_options *options);
void batch_builder_fini(struct batch_builder *b);
/* Empty again, with these options (NULL: the ones it has); keeps its memory. */
void batch_builder_reset(struct batch_builder *b, const struct batch_options *options);

/*
 * Adds a record at the next offset. ERR_TOO_BIG when it does not fit into max_bytes: the builder is as it was, and can be
 * finished. A header with a null key is ERR_USAGE. Not after finish.
 */
enum err batch_builder_append(struct batch_builder *b, int64_t timestamp, struct bytes key, struct bytes value,
			      const struct record_header *headers, size_t header_count) MUST_CHECK;
/* The same at an offset of its own, beyond the last one's: compaction leaves gaps. */
enum err batch_builder_append_at(struct batch_builder *b, int32_t offset_delta, int64_t timestamp, struct bytes key,
				 struct bytes value, const struct record_header *headers, size_t header_count)
	MUST_CHECK;
/* A record as an iterator gave it, its headers still encoded. The offset is `offset_delta`, not the record's. */
enum err batch_builder_append_record(struct batch_builder *b, int32_t offset_delta, const struct record *r) MUST_CHECK;

/* Bytes of the batch as it stands, before compression. */
size_t batch_builder_size(const struct batch_builder *b);
/* Bytes that a record adds at most. */
size_t record_size_bound(struct bytes key, struct bytes value, const struct record_header *headers,
			 size_t header_count);

/* Known only when the batch is sent: may be called until finish. */
void batch_builder_set_producer(struct batch_builder *b, int64_t producer_id, int16_t producer_epoch,
				int32_t base_sequence, bool is_transactional);
/* The last offset delta that the header claims when compaction dropped the last record; not below the last record's. */
void batch_builder_set_last_offset_delta(struct batch_builder *b, int32_t last_offset_delta);
/* Takes the place of the base timestamp (compaction, KIP-534). Before the first record. */
void batch_builder_set_delete_horizon(struct batch_builder *b, int64_t delete_horizon_ms);

/*
 * Compresses and seals. The bytes are mutable through batch.h's setters. Calling it again gives the same bytes. ERR_USAGE without
 * records: what compaction leaves of an emptied batch is its header (batch_header_write, batch_seal).
 */
enum err batch_builder_finish(struct batch_builder *b, struct bytes *ret_batch) MUST_CHECK;

#endif
