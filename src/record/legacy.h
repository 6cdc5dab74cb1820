/*
 * legacy: reads message sets of magic 0 and 1, as they lie in segments from before Kafka 0.11. Reading only: nothing writes them.
 *
 *      0        8      12    16  17  18          (magic 1: 8 bytes of timestamp here)
 *      offset | size | crc | m | a | length key | length value
 *
 * A compressed message is a wrapper: its key is null, its value a message set, its offset that of the last message inside. Inner
 * offsets are absolute in magic 0 and count from 0 in magic 1.
 *
 * Invariants: as in record.h; the CRC (CRC-32, not C) of what is returned was right, inner messages included.
 */
#ifndef RECORD_LEGACY_H
#define RECORD_LEGACY_H

#include "record/compress.h"
#include "record/record.h"

/* Offset, size, CRC, magic, attributes: what every message has. */
#define LEGACY_HEADER_SIZE 18

struct legacy_message {
	int64_t offset;
	int8_t magic;
	enum codec codec;
	bool log_append_time; /* never in magic 0 */
	int64_t timestamp;    /* NO_TIMESTAMP in magic 0; the largest one of what is inside */
	struct bytes key;
	struct bytes value;
	size_t size;
};

/*
 * Takes the next message off `rest`. ERR_END when nothing whole is left; ERR_CORRUPT when it is damaged or of another magic; `rest`
 * stays where it was then.
 */
enum err legacy_next(struct bytes *rest, struct legacy_message *ret_message) MUST_CHECK;

/* The records that one message stands for: itself, or those inside. */
struct legacy_iter {
	struct legacy_message outer;
	struct bytes rest; /* of the messages inside */
	int64_t base_offset;
	bool done; /* not compressed: it was returned */
};

/* `scratch` holds what was compressed, at most `max_decompressed` bytes. Errors as record_iter_init. */
enum err legacy_iter_init(struct legacy_iter *it, const struct legacy_message *message, struct buf *scratch,
			  size_t max_decompressed, struct compressor *compressor) MUST_CHECK;
/* ERR_END after the last one. */
enum err legacy_iter_next(struct legacy_iter *it, struct record *ret_record) MUST_CHECK;

#endif
