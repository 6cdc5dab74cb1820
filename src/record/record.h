/*
 * record: the records of one batch, one after the other.
 *
 *      struct record_iter it;
 *      e = record_iter_init(&it, batch, &scratch, max_decompressed, compressor);
 *      while (!e && !(e = record_iter_next(&it, &r))) { ... }
 *      // e is ERR_END after the last one
 *
 * Invariants: a record's bytes point into the batch, or into `scratch` when the batch is compressed, and live as long as these
 * are not changed. A batch's records end where its bytes end, and are as many as its header says: anything else is ERR_CORRUPT.
 * Not here: the CRC (batch_crc_ok), whether control records are shown (the reader's affair: header.attributes).
 */
#ifndef RECORD_RECORD_H
#define RECORD_RECORD_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "record/batch.h"
#include "record/compress.h"

struct record {
	int64_t offset;
	int64_t timestamp; /* the batch's with log append time */
	int32_t sequence;  /* NO_SEQUENCE when the batch has none */
	struct bytes key;  /* null possible, as in value */
	struct bytes value;
	int32_t header_count;
	struct bytes headers; /* encoded; header_iter reads them */
	int32_t offset_delta;
};

/* Also how headers are handed to a builder. The key is never null; the value may be. */
struct record_header {
	struct bytes key;
	struct bytes value;
};

struct record_iter {
	struct batch_header header;
	const uint8_t *at;
	const uint8_t *end;
	int32_t left;
	enum err error; /* sticky */
};

/*
 * `batch` is one whole batch of magic 2. A compressed one is decompressed into `scratch` (emptied first; at most `max_decompressed`
 * bytes; not touched when the batch is not compressed). `compressor` may be NULL. ERR_CORRUPT for a header that cannot be, or damaged
 * compressed bytes; ERR_TOO_BIG over the bound.
 */
enum err record_iter_init(struct record_iter *it, struct bytes batch, struct buf *scratch, size_t max_decompressed,
			  struct compressor *compressor) MUST_CHECK;
/* ERR_END after the last record. */
enum err record_iter_next(struct record_iter *it, struct record *ret_record) MUST_CHECK;

struct header_iter {
	const uint8_t *at;
	const uint8_t *end;
	int32_t left;
};

/* A record that came from record_iter_next has only headers that parse. */
struct header_iter header_iter_of(const struct record *r);
/* False after the last one. */
bool header_iter_next(struct header_iter *it, struct record_header *ret_header);

#endif
