/* compress: names, contexts and the compressing half; see the header. Calls zlib, snappy, lz4 and zstd. */
#include "record/compress.h"

#include <snappy-c.h>

#include "base/alloc.h"
#include "record/compressor.h"

/* What a context may keep between two uses; beyond that it is given back (a zstd window may be 128 MiB). */
#define KEEP_BYTES (4u << 20)

static const char *const codec_names[CODEC_COUNT] = {"none", "gzip", "snappy", "lz4", "zstd"};

const char *codec_name(enum codec codec)
{
	return (unsigned)codec < CODEC_COUNT ? codec_names[codec] : "unknown";
}

enum err codec_parse(struct bytes name, enum codec *ret_codec)
{
	for (unsigned i = 0; i < CODEC_COUNT; i++) {
		if (bytes_equal_str(name, codec_names[i])) {
			*ret_codec = (enum codec)i;
			return OK;
		}
	}
	if (!bytes_equal_str(name, "uncompressed"))
		return ERR_BAD_CONFIG;
	*ret_codec = CODEC_NONE;
	return OK;
}

struct compressor *compressor_new(void)
{
	struct compressor *c = mem_new(struct compressor);

	buf_init(&c->block, SIZE_MAX);
	buf_init(&c->window, SIZE_MAX);
	return c;
}

void compressor_free(struct compressor *c)
{
	if (!c)
		return;
	if (c->has_inflate)
		inflateEnd(&c->inflate);
	if (c->has_deflate)
		deflateEnd(&c->deflate);
	LZ4F_freeCompressionContext(c->lz4_out);
	LZ4F_freeDecompressionContext(c->lz4_in);
	ZSTD_freeCCtx(c->zstd_out);
	ZSTD_freeDCtx(c->zstd_in);
	buf_fini(&c->block);
	buf_fini(&c->window);
	mem_free(c);
}

static void trim_buf(struct buf *b)
{
	if (b->capacity > KEEP_BYTES) {
		buf_fini(b);
		buf_init(b, SIZE_MAX);
	}
}

void compressor_trim(struct compressor *c)
{
	trim_buf(&c->block);
	trim_buf(&c->window);
	if (c->lz4_in_large) {
		LZ4F_freeDecompressionContext(c->lz4_in);
		c->lz4_in = NULL;
		c->lz4_in_large = false;
	}
	if (c->zstd_in && ZSTD_sizeof_DCtx(c->zstd_in) > KEEP_BYTES) {
		ZSTD_freeDCtx(c->zstd_in);
		c->zstd_in = NULL;
	}
	if (c->zstd_out && ZSTD_sizeof_CCtx(c->zstd_out) > 4 * KEEP_BYTES) {
		ZSTD_freeCCtx(c->zstd_out);
		c->zstd_out = NULL;
	}
}

static int clamp(int value, int low, int high)
{
	return value < low ? low : value > high ? high : value;
}

/*
 * Room for `bound` bytes behind `out`, or for as many as it can still take: what comes out is nearly always smaller than
 * the bound, and the codec itself says when it does not fit.
 */
static uint8_t *room_for(struct buf *out, size_t bound, size_t *ret_room)
{
	size_t room = out->max - out->size;

	if (out->error || room == 0)
		return NULL;
	if (bound < room)
		room = bound;
	if (!buf_reserve(out, room))
		return NULL;
	*ret_room = room;
	return out->data + out->size;
}

static enum err compress_gzip(struct compressor *c, int level, struct bytes in, struct buf *out)
{
	z_stream *z = &c->deflate;
	/* -1 is what Kafka's settings say for the library's own default. */
	int wanted = level == CODEC_LEVEL_DEFAULT || level == -1 ? Z_DEFAULT_COMPRESSION : clamp(level, 1, 9);
	const int gzip_window = 15 + 16;
	size_t room = 0;
	uint8_t *to;

	/* zlib counts in 32 bits; a batch does, too. */
	if (in.size > INT_MAX)
		return ERR_TOO_BIG;
	if (c->has_deflate && c->deflate_level != wanted) {
		deflateEnd(z);
		c->has_deflate = false;
	}
	if (!c->has_deflate) {
		*z = (z_stream){0};
		if (deflateInit2(z, wanted, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
			return ERR_NO_MEMORY;
		c->has_deflate = true;
		c->deflate_level = wanted;
	}
	deflateReset(z);
	to = room_for(out, deflateBound(z, in.size), &room);
	if (!to)
		return ERR_TOO_BIG;
	z->next_in = (z_const Bytef *)(uintptr_t)in.data;
	z->avail_in = (uInt)in.size;
	z->next_out = to;
	z->avail_out = (uInt)(room > UINT_MAX ? UINT_MAX : room);
	if (deflate(z, Z_FINISH) != Z_STREAM_END)
		return ERR_TOO_BIG;
	out->size += z->total_out;
	return OK;
}

/* The header and block size of snappy-java's stream, which Kafka's Java clients read and write. */
static enum err compress_snappy(struct bytes in, struct buf *out)
{
	static const uint8_t header[16] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};
	const size_t block = 32 << 10;

	buf_put(out, header, sizeof(header));
	while (in.size > 0 && !out->error) {
		size_t part = in.size < block ? in.size : block;
		size_t size = snappy_max_compressed_length(part);
		uint8_t *to = buf_extend(out, 4 + size);

		if (!to)
			break;
		if (snappy_compress((const char *)in.data, part, (char *)to + 4, &size) != SNAPPY_OK)
			return ERR_TOO_BIG;
		put_be32(to, (uint32_t)size);
		out->size -= snappy_max_compressed_length(part) - size;
		in.data += part;
		in.size -= part;
	}
	return out->error;
}

/* Begin, update and end rather than all in one call: that one puts its 16 KiB of state on the stack, which may be a fiber's. */
static enum err compress_lz4(struct compressor *c, int level, struct bytes in, struct buf *out)
{
	LZ4F_preferences_t how = {
		.frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
		.autoFlush = 1,
	};
	const int kafka_default = 9;
	size_t bound, room = 0, step, size = 0;
	uint8_t *to;

	/* Kafka's clients take their default for lz4's fast mode, any other level for the high compression of that level. */
	if (level != CODEC_LEVEL_DEFAULT && level != kafka_default)
		how.compressionLevel = clamp(level, 3, 12);
	if (!c->lz4_out && LZ4F_isError(LZ4F_createCompressionContext(&c->lz4_out, LZ4F_VERSION)))
		return ERR_NO_MEMORY;
	bound = LZ4F_compressFrameBound(in.size, &how);
	to = room_for(out, bound, &room);
	if (!to || room < bound)
		return ERR_TOO_BIG;
	size = LZ4F_compressBegin(c->lz4_out, to, room, &how);
	if (LZ4F_isError(size))
		return ERR_NO_MEMORY;
	step = LZ4F_compressUpdate(c->lz4_out, to + size, room - size, in.data, in.size, NULL);
	if (LZ4F_isError(step))
		return ERR_TOO_BIG;
	size += step;
	step = LZ4F_compressEnd(c->lz4_out, to + size, room - size, NULL);
	if (LZ4F_isError(step))
		return ERR_TOO_BIG;
	out->size += size + step;
	return OK;
}

static enum err compress_zstd(struct compressor *c, int level, struct bytes in, struct buf *out)
{
	size_t room = 0, size;
	uint8_t *to;

	if (!c->zstd_out)
		c->zstd_out = ZSTD_createCCtx();
	if (!c->zstd_out)
		return ERR_NO_MEMORY;
	to = room_for(out, ZSTD_compressBound(in.size), &room);
	if (!to)
		return ERR_TOO_BIG;
	level = level == CODEC_LEVEL_DEFAULT ? ZSTD_CLEVEL_DEFAULT : clamp(level, ZSTD_minCLevel(), ZSTD_maxCLevel());
	size = ZSTD_compressCCtx(c->zstd_out, to, room, in.data, in.size, level);
	if (ZSTD_isError(size))
		return ERR_TOO_BIG;
	out->size += size;
	return OK;
}

static enum err compress_with(struct compressor *c, enum codec codec, int level, struct bytes in, struct buf *out)
{
	switch (codec) {
	case CODEC_NONE:
		buf_put_bytes(out, in);
		return out->error;
	case CODEC_GZIP:
		return compress_gzip(c, level, in, out);
	case CODEC_SNAPPY:
		return compress_snappy(in, out);
	case CODEC_LZ4:
		return compress_lz4(c, level, in, out);
	case CODEC_ZSTD:
		return compress_zstd(c, level, in, out);
	}
	must_not_reach();
}

enum err codec_compress(struct compressor *c, enum codec codec, int level, struct bytes in, struct buf *out)
{
	struct compressor *own = c ? NULL : compressor_new();
	size_t before = out->size;
	enum err e;

	if (out->error) {
		compressor_free(own);
		return out->error;
	}
	e = compress_with(c ? c : own, codec, level, in, out);
	if (e) {
		out->size = before;
		out->error = OK;
	}
	if (c)
		compressor_trim(c);
	compressor_free(own);
	return e;
}
