/*
 * compress: the codecs of record batches, bytes in and bytes out.
 *
 * What a codec's bytes look like, as Kafka's clients write and read them:
 *   gzip    members of RFC 1952; written as one, read as one or several
 *   snappy  snappy-java's framing (16 bytes of header, blocks of 32 KiB); read also as one bare block, as C clients write it
 *   lz4     the LZ4 frame, independent blocks of 64 KiB, no checksums; read with whatever a frame may carry
 *   zstd    frames; written as one, read as one or several
 *
 * Invariants: output never passes the bound that the caller gives, whatever sizes the input declares: the bound is checked
 * while bytes come out. Foreign bytes give an error, never anything else.
 * Lifetime: a struct compressor keeps the libraries' contexts and a window between calls; one per shard (or per helper
 * thread), never used by two at once. Where a compressor is asked for, NULL makes one for that call alone (slower).
 * Not here: records (record/record.h), the legacy lz4 of magic 0 (record/legacy.h).
 */
#ifndef RECORD_COMPRESS_H
#define RECORD_COMPRESS_H

#include <limits.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/* The numbers are those of the batch attributes, bits 0-2. */
enum codec { CODEC_NONE = 0, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD };

#define CODEC_COUNT 5
#define CODEC_LEVEL_DEFAULT INT_MIN

struct compressor;

struct compressor *compressor_new(void);
void compressor_free(struct compressor *c);

/* "none", "gzip", "snappy", "lz4", "zstd". */
const char *codec_name(enum codec codec);
/* One of these names, or "uncompressed" as topic configurations say it; anything else is ERR_BAD_CONFIG. */
enum err codec_parse(struct bytes name, enum codec *ret_codec) MUST_CHECK;

/*
 * Appends `in` compressed to `out`. `level` is the codec's own, clamped to its range: gzip 1-9 (-1: its default), lz4 1-17 (9, Kafka's default, is the
 * fast one), zstd up to 22; snappy has none. ERR_TOO_BIG when `out` has no room (for lz4: for its worst case);
 * `out` is then as it was.
 */
enum err codec_compress(struct compressor *c, enum codec codec, int level, struct bytes in, struct buf *out) MUST_CHECK;

/*
 * Appends what `in` holds to `out`, at most `max_size` bytes. ERR_TOO_BIG when there is more, or when `out` has no room;
 * ERR_CORRUPT when `in` is no complete stream of this codec (an empty `in` is none). `out` is as it was after an error.
 */
enum err codec_decompress(struct compressor *c, enum codec codec, struct bytes in, size_t max_size, struct buf *out)
	MUST_CHECK;

/*
 * The same in parts, for who needs each byte once. After decompress_begin, decompress_read gives the next bytes; fewer than `room` (which
 * is not 0) only at the end. Errors as above; after one there is no next. `in` stays borrowed until the end.
 */
void decompress_begin(struct compressor *c, enum codec codec, struct bytes in, size_t max_size);
enum err decompress_read(struct compressor *c, uint8_t *to, size_t room, size_t *ret_size) MUST_CHECK;

#endif
