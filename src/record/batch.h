/*
 * batch: the header of a record batch (magic 2), and what a broker checks before it takes one.
 *
 *      0           8        12       16    17    21          23
 *      base offset | length | epoch  | mag | crc | attributes| ... count (57) | records (61)
 *      |<- set by the broker ------->|           |<- the CRC covers this ------------------>|
 *                           |<- length counts this --------------------------------------->|
 *
 * Invariants: setters that touch bytes under the CRC leave a valid CRC. Nothing here reads outside the bytes it was given.
 * Lifetime: everything is borrowed; facts and headers are plain values.
 * Not here: walking records (record/record.h), making batches from records (record/builder.h), producer sequences (storage).
 */
#ifndef RECORD_BATCH_H
#define RECORD_BATCH_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "record/compress.h"

#define BATCH_HEADER_SIZE 61
#define BATCH_LOG_OVERHEAD 12 /* base offset and length: what `length` does not count */
#define BATCH_MAGIC 2
#define BATCH_MAGIC_PLACE 16

#define BATCH_CODEC_MASK 0x07
#define BATCH_LOG_APPEND_TIME 0x08
#define BATCH_TRANSACTIONAL 0x10
#define BATCH_CONTROL 0x20
#define BATCH_DELETE_HORIZON 0x40

#define NO_TIMESTAMP (-1)
#define NO_PRODUCER_ID (-1)
#define NO_PRODUCER_EPOCH (-1)
#define NO_SEQUENCE (-1)
#define NO_LEADER_EPOCH (-1)

/* The fields in host order, as they stand in the bytes. */
struct batch_header {
	int64_t base_offset;
	int32_t length; /* bytes from offset 12 on */
	int32_t leader_epoch;
	int8_t magic;
	uint32_t crc;
	int16_t attributes;
	int32_t last_offset_delta;
	int64_t base_timestamp; /* the delete horizon with BATCH_DELETE_HORIZON */
	int64_t max_timestamp;
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t base_sequence;
	int32_t record_count;
};

/* Needs BATCH_HEADER_SIZE bytes (else ERR_MALFORMED); takes any values, checks no CRC. */
enum err batch_header_read(struct bytes at, struct batch_header *ret_header) MUST_CHECK;
/* Writes all fields as given, `crc` and `length` too (batch_seal sets these right). */
void batch_header_write(uint8_t at[static BATCH_HEADER_SIZE], const struct batch_header *header);
/* Sets length and CRC of a complete batch of `size` bytes. */
void batch_seal(uint8_t *batch, size_t size);
bool batch_crc_ok(struct bytes whole_batch);

static inline size_t batch_size(const struct batch_header *h)
{
	return (size_t)h->length + BATCH_LOG_OVERHEAD;
}

static inline int64_t batch_last_offset(const struct batch_header *h)
{
	return h->base_offset + h->last_offset_delta;
}

/* 5 to 7 are no codec: what is foreign compares with CODEC_COUNT. */
static inline int batch_codec(const struct batch_header *h)
{
	return h->attributes & BATCH_CODEC_MASK;
}

static inline bool batch_is_log_append_time(const struct batch_header *h)
{
	return h->attributes & BATCH_LOG_APPEND_TIME;
}

static inline bool batch_is_transactional(const struct batch_header *h)
{
	return h->attributes & BATCH_TRANSACTIONAL;
}

static inline bool batch_is_control(const struct batch_header *h)
{
	return h->attributes & BATCH_CONTROL;
}

/* `sequence` moved on by `increment` (not negative): after 2^31-1 comes 0. NO_SEQUENCE stays. */
static inline int32_t sequence_add(int32_t sequence, int32_t increment)
{
	return sequence < 0 ? NO_SEQUENCE : (int32_t)(((uint32_t)sequence + (uint32_t)increment) & 0x7fffffff);
}

static inline int32_t batch_last_sequence(const struct batch_header *h)
{
	return sequence_add(h->base_sequence, h->last_offset_delta);
}

/*
 * Takes the next batch off `rest` (batches one after another, as in a segment or a Fetch answer). Looks at length and magic only. ERR_END
 * when nothing is left, or only the front of a batch; ERR_CORRUPT when length or magic cannot be (magic 0 and 1 as well).
 * On an error `rest` stays where it was, so that what is left of it is what was not understood.
 */
enum err batch_next(struct bytes *rest, struct batch_header *ret_header, struct bytes *ret_batch) MUST_CHECK;

/* In place, outside the CRC. */
void batch_set_base_offset(uint8_t *batch, int64_t base_offset);
void batch_set_leader_epoch(uint8_t *batch, int32_t leader_epoch);
/* In place, of a whole batch; the CRC is made anew where something changed. */
void batch_set_log_append_time(uint8_t *batch, size_t size, int64_t now_ms);
void batch_set_create_time(uint8_t *batch, size_t size, int64_t max_timestamp);
void batch_set_producer(uint8_t *batch, size_t size, int64_t producer_id, int16_t producer_epoch,
			int32_t base_sequence);

#define BATCH_KEEP_CODEC (-1)

/* What a topic takes. */
struct batch_rules {
	size_t max_message_bytes;
	size_t max_decompressed_bytes; /* of the records of a compressed batch */
	bool compacted;                /* every record needs a key */
	bool log_append_time;          /* message.timestamp.type: now_ms becomes the time of every record */
	bool allow_control;
	bool allow_transactional;
	bool allow_no_sequence; /* of a producer: what coordinators write for him */
	bool allow_zstd;        /* Produce 7 and later */
	int codec;              /* compression.type: an enum codec, or BATCH_KEEP_CODEC for the producer's */
	int level;              /* of that codec */
	int64_t now_ms;
	int64_t before_max_ms; /* message.timestamp.before.max.ms and .after.max.ms; INT64_MAX for none */
	int64_t after_max_ms;
	struct compressor *compressor; /* may be NULL */
};

/* What must be done to the bytes before they are appended. */
enum batch_change {
	BATCH_AS_IS,       /* nothing (base offset and leader epoch aside, which the log sets) */
	BATCH_FIX_HEADER,  /* timestamp type or max timestamp: batch_fix_header does it in place */
	BATCH_FIX_RECORDS, /* other codec, or offset deltas with gaps: batch_rewrite makes new bytes */
};

struct batch_facts {
	struct batch_header header;            /* as it came */
	size_t size;                           /* of the batch; bytes after it are to be dropped */
	int32_t record_count;                  /* last offset delta is one less, after the change */
	int64_t max_timestamp;                 /* the true one; now_ms with log_append_time */
	int32_t offset_delta_of_max_timestamp; /* of the first record that has it, after the change; -1: none has one */
	size_t records_size;                   /* of the records when not compressed */
	enum batch_change change;
};

/*
 * What Produce does to a partition's `records` (null when it sent null): exactly one whole batch of magic 2 that keeps the
 * rules. The error is the code that Kafka answers, where several apply the one that it finds first:
 *
 *   INVALID_RECORD (87)       null, empty, cut off or several batches, magic 0 and 1, base offset not 0, count against offsets,
 *                             control batch, producer without sequence, records that do not parse, key missing
 *   CORRUPT_MESSAGE (2)       length below a header's, magic 3 and up, CRC
 *   UNSUPPORTED_COMPRESSION_TYPE (76)   zstd where the rules do not allow it
 *   TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53)   transactional where the rules do not allow it
 *   MESSAGE_TOO_LARGE (10)    over max_message_bytes; over max_decompressed_bytes, of which Kafka has none
 *   INVALID_TIMESTAMP (32)    a record outside before/after, or log append time claimed
 *   UNKNOWN_SERVER_ERROR (-1) unknown codec, damaged compressed bytes
 */
enum err batch_validate(struct bytes records, const struct batch_rules *rules, struct batch_facts *ret_facts)
	MUST_CHECK;

/* Mends the header of a batch whose facts say BATCH_FIX_HEADER, in place (facts.size bytes). */
void batch_fix_header(uint8_t *batch, const struct batch_rules *rules, const struct batch_facts *facts);

/*
 * Appends to `out` the batch that `records` should have been, for any batch that was valid; needed for BATCH_FIX_RECORDS. The new bytes' size
 * is what counts from then on, the rest of `facts` holds still. MESSAGE_TOO_LARGE when they pass max_message_bytes, ERR_TOO_BIG when `out` is
 * full; `out` is then as it was.
 */
enum err batch_rewrite(struct bytes records, const struct batch_rules *rules, const struct batch_facts *facts,
		       struct buf *out) MUST_CHECK;

/*
 * Which records of a batch broke the rules, after batch_validate gave INVALID_RECORD or INVALID_TIMESTAMP: what Produce 8+
 * lists as record errors. At most `max` of them, by index; none when the batch as a whole was at fault.
 */
struct record_error {
	int32_t index;
	enum err error;
	const char *text;
};

size_t batch_record_errors(struct bytes records, const struct batch_rules *rules, struct record_error *ret_errors,
			   size_t max);

#endif
