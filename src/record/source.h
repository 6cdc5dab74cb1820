/*
 * source: the records of one batch as they come, decompressed piece by piece where needed. Internal to record/: what looks at
 * each record once (validate.c, rewrite) holds only a window, not all of a batch that unpacks to many megabytes.
 *
 *      compressed bytes -> decompress_read -> window |....record|record|rec|          |
 *                                                     done       ^at        ^end
 *
 * Invariants: a view is valid until the next call. The window holds at least the record that is being looked at; it grows only
 * with bytes that did come out, never with a size that was declared.
 */
#ifndef RECORD_SOURCE_H
#define RECORD_SOURCE_H

#include "record/batch.h"
#include "record/compressor.h"
#include "record/parse.h"

struct record_source {
	const uint8_t *at;
	const uint8_t *end;
	struct compressor *compressor; /* NULL: not compressed, all bytes are at hand */
	bool drained;                  /* nothing more comes out of the compressor */
	size_t taken;                  /* bytes of the records so far */
};

/* `records` is what follows the header. The compressor is needed only where `codec` is not CODEC_NONE. */
void record_source_init(struct record_source *s, enum codec codec, struct bytes records, struct compressor *compressor,
			size_t max_decompressed);

/* The slow half of record_source_next: more bytes, then the record. */
enum err record_source_refill_next(struct record_source *s, struct record_view *ret_view) MUST_CHECK;

/*
 * ERR_MALFORMED when no record parses here, ERR_CORRUPT for damaged compressed bytes, ERR_TOO_BIG beyond the bound.
 */
static inline enum err record_source_next(struct record_source *s, struct record_view *ret_view)
{
	const uint8_t *before = s->at;

	if (!parse_record(&s->at, s->end, ret_view))
		return s->drained ? ERR_MALFORMED : record_source_refill_next(s, ret_view);
	s->taken += (size_t)(s->at - before);
	return OK;
}

/* OK when no bytes are left, else ERR_MALFORMED, or what happened while looking. */
enum err record_source_end(struct record_source *s) MUST_CHECK;

#endif
