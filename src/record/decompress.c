/* decompress: the decompressing half of compress.h. Calls zlib, snappy, lz4 and zstd. */
#include <snappy-c.h>
#include <zstd_errors.h>

#include "base/alloc.h"
#include "record/compress.h"
#include "record/compressor.h"

/*
 * Each codec has one function of this kind: puts up to `room` bytes at `to`, fewer only at the end of the stream.
 */
typedef enum err fill_function(struct compressor *c, uint8_t *to, size_t room, size_t *ret_size);

static void take(struct bytes *in, size_t size)
{
	in->data += size;
	in->size -= size;
}

static size_t at_most(size_t value, size_t bound)
{
	return value < bound ? value : bound;
}

static bool starts_with(struct bytes in, const void *prefix, size_t size)
{
	return in.size >= size && memcmp(in.data, prefix, size) == 0;
}

static enum err fill_none(struct compressor *c, uint8_t *to, size_t room, size_t *ret_size)
{
	size_t size = at_most(room, c->stream.in.size);

	if (size)
		memcpy(to, c->stream.in.data, size);
	take(&c->stream.in, size);
	*ret_size = size;
	return OK;
}

/* Opens the next member. False when there is none: what follows the last is ignored when it is none, as Java does. */
static bool gzip_open(struct compressor *c)
{
	struct decompress_stream *s = &c->stream;

	if (s->any && !starts_with(s->in, "\x1f\x8b", 2))
		return false;
	inflateReset(&c->inflate);
	s->inside = true;
	return true;
}

static enum err fill_gzip(struct compressor *c, uint8_t *to, size_t room, size_t *ret_size)
{
	struct decompress_stream *s = &c->stream;
	z_stream *z = &c->inflate;
	size_t filled = 0;

	if (!c->has_inflate) {
		*z = (z_stream){0};
		if (inflateInit2(z, 15 + 16) != Z_OK)
			return ERR_NO_MEMORY;
		c->has_inflate = true;
	}
	while (filled < room && (s->inside || gzip_open(c))) {
		uInt in_size = (uInt)at_most(s->in.size, UINT_MAX);
		uInt out_size = (uInt)at_most(room - filled, UINT_MAX);
		int state;

		z->next_in = (z_const Bytef *)(uintptr_t)s->in.data;
		z->avail_in = in_size;
		z->next_out = to + filled;
		z->avail_out = out_size;
		state = inflate(z, Z_NO_FLUSH);
		take(&s->in, in_size - z->avail_in);
		filled += out_size - z->avail_out;
		if (state == Z_MEM_ERROR)
			return ERR_NO_MEMORY;
		if (state == Z_STREAM_END) {
			s->inside = false;
			s->any = true;
		} else if (state != Z_OK) {
			return ERR_CORRUPT; /* Z_BUF_ERROR among them: there is room, so the input is cut off */
		}
	}
	*ret_size = filled;
	return OK;
}

/* Opens the next frame. False when there is none; what is no frame behind the last one is ignored, as Kafka does. */
static bool lz4_open(struct compressor *c)
{
	struct decompress_stream *s = &c->stream;
	bool frame = starts_with(s->in, "\x04\x22\x4d\x18", 4) || (s->in.size >= 4 && (s->in.data[0] & 0xf0) == 0x50 &&
								   memcmp(s->in.data + 1, "\x2a\x4d\x18", 3) == 0);

	if (s->any && !frame)
		return false;
	/* The block size is in the sixth byte; 6 and 7 are 1 and 4 MiB. */
	if (s->in.size > 5 && ((s->in.data[5] >> 4) & 7) > 5)
		c->lz4_in_large = true;
	s->inside = true;
	return true;
}

static enum err fill_lz4(struct compressor *c, uint8_t *to, size_t room, size_t *ret_size)
{
	struct decompress_stream *s = &c->stream;
	size_t filled = 0;

	if (!c->lz4_in && LZ4F_isError(LZ4F_createDecompressionContext(&c->lz4_in, LZ4F_VERSION)))
		return ERR_NO_MEMORY;
	while (filled < room && (s->inside || lz4_open(c))) {
		size_t out_size = room - filled;
		size_t in_size = s->in.size;
		size_t hint = LZ4F_decompress(c->lz4_in, to + filled, &out_size, s->in.data, &in_size, NULL);

		if (LZ4F_isError(hint) || (hint > 0 && in_size == 0 && out_size == 0))
			return ERR_CORRUPT;
		take(&s->in, in_size);
		filled += out_size;
		if (hint == 0) {
			s->inside = false;
			s->any = true;
		}
	}
	*ret_size = filled;
	return OK;
}

static enum err fill_zstd(struct compressor *c, uint8_t *to, size_t room, size_t *ret_size)
{
	struct decompress_stream *s = &c->stream;
	ZSTD_outBuffer out = {.dst = to, .size = room};

	if (!c->zstd_in)
		c->zstd_in = ZSTD_createDCtx();
	if (!c->zstd_in)
		return ERR_NO_MEMORY;
	while (out.pos < room && (s->inside || !s->any || s->in.size > 0)) {
		ZSTD_inBuffer in = {.src = s->in.data, .size = s->in.size};
		size_t before = out.pos;
		size_t hint = ZSTD_decompressStream(c->zstd_in, &out, &in);

		if (ZSTD_isError(hint))
			return ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation ? ERR_NO_MEMORY : ERR_CORRUPT;
		if (hint > 0 && in.pos == 0 && out.pos == before)
			return ERR_CORRUPT; /* cut off */
		take(&s->in, in.pos);
		s->inside = hint > 0;
		s->any |= hint == 0;
	}
	*ret_size = out.pos;
	return OK;
}

/* The next block's compressed bytes, null at the end. */
static enum err snappy_next_block(struct compressor *c, struct bytes *ret_block)
{
	struct decompress_stream *s = &c->stream;
	size_t size;

	*ret_block = bytes_null();
	if (!s->framed) {
		if (!s->any)
			*ret_block = s->in;
		take(&s->in, s->in.size);
		s->any = true;
		return OK;
	}
	/* Streams may follow one another, each with its header. */
	while (starts_with(s->in, "\x82SNA", 4)) {
		if (s->in.size < 16)
			return ERR_CORRUPT;
		take(&s->in, 16);
	}
	if (s->in.size == 0)
		return OK;
	if (s->in.size < 4)
		return ERR_CORRUPT;
	size = get_be32(s->in.data);
	if (size > s->in.size - 4)
		return ERR_CORRUPT;
	take(&s->in, 4);
	*ret_block = bytes_of(s->in.data, size);
	take(&s->in, size);
	return OK;
}

/* Decompresses `block` to `to` when it has room for all of it, else aside, to be handed out from `rest`. */
static enum err snappy_block(struct compressor *c, struct bytes block, uint8_t *to, size_t room, size_t *ret_size)
{
	struct decompress_stream *s = &c->stream;
	const size_t most_per_byte = 32; /* a copy of 64 bytes takes at least 2 */
	size_t size;

	if (snappy_uncompressed_length((const char *)block.data, block.size, &size) != SNAPPY_OK)
		return ERR_CORRUPT;
	if (size / most_per_byte > block.size)
		return ERR_CORRUPT;
	if (size > s->left)
		return ERR_TOO_BIG;
	if (size > room) {
		buf_reset(&c->block);
		to = buf_extend(&c->block, size);
	}
	if (snappy_uncompress((const char *)block.data, block.size, (char *)to, &size) != SNAPPY_OK)
		return ERR_CORRUPT;
	if (size > room) {
		s->rest = buf_bytes(&c->block);
		size = 0;
	}
	*ret_size = size;
	return OK;
}

static enum err fill_snappy(struct compressor *c, uint8_t *to, size_t room, size_t *ret_size)
{
	struct decompress_stream *s = &c->stream;
	size_t filled = 0;

	if (!s->any && !s->framed && s->in.size == 0)
		return ERR_CORRUPT;
	while (filled < room) {
		struct bytes block;
		size_t size = at_most(s->rest.size, room - filled);
		enum err e;

		if (size > 0) {
			memcpy(to + filled, s->rest.data, size);
			take(&s->rest, size);
			filled += size;
			continue;
		}
		e = snappy_next_block(c, &block);
		if (e)
			return e;
		if (bytes_is_null(block))
			break;
		e = snappy_block(c, block, to + filled, room - filled, &size);
		if (e)
			return e;
		filled += size;
	}
	*ret_size = filled;
	return OK;
}

static enum err fill(struct compressor *c, uint8_t *to, size_t room, size_t *ret_size)
{
	static fill_function *const fills[CODEC_COUNT] = {fill_none, fill_gzip, fill_snappy, fill_lz4, fill_zstd};
	struct decompress_stream *s = &c->stream;

	if (!s->error)
		s->error = fills[s->codec](c, to, room, ret_size);
	return s->error;
}

void decompress_begin(struct compressor *c, enum codec codec, struct bytes in, size_t max_size)
{
	must((unsigned)codec < CODEC_COUNT);

	if (!in.data)
		in = bytes_empty();
	c->stream = (struct decompress_stream){.codec = codec, .in = in, .left = max_size};
	c->stream.framed = codec == CODEC_SNAPPY && in.size >= 16 && starts_with(in, "\x82SNAPPY\0", 8);
	/* A stream that ended in an error leaves these two in the middle of a frame. */
	if (codec == CODEC_LZ4 && c->lz4_in)
		LZ4F_resetDecompressionContext(c->lz4_in);
	if (codec == CODEC_ZSTD && c->zstd_in)
		ZSTD_DCtx_reset(c->zstd_in, ZSTD_reset_session_only);
}

enum err decompress_read(struct compressor *c, uint8_t *to, size_t room, size_t *ret_size)
{
	struct decompress_stream *s = &c->stream;
	size_t size = 0, more = 0;
	uint8_t beyond;
	enum err e;

	must(room > 0);
	if (room > s->left)
		room = s->left;
	e = room > 0 ? fill(c, to, room, &size) : s->error;
	if (e)
		return e;
	s->left -= size;
	/* At the bound: one byte more would be too many. */
	if (s->left == 0 && size == room) {
		e = fill(c, &beyond, 1, &more);
		if (!e && more > 0)
			e = s->error = ERR_TOO_BIG;
		if (e)
			return e;
	}
	*ret_size = size;
	return OK;
}

static enum err decompress_all(struct compressor *c, struct buf *out)
{
	size_t step = c->stream.in.size * 4 + 1024;

	for (;;) {
		/* One byte more than the bound, so that a stream of exactly that size ends within the room. */
		size_t room = at_most(step, out->max - out->size), got;
		uint8_t beyond, *to = &beyond;
		enum err e;

		if (room > 0) {
			(void)buf_reserve(out, room);
			to = out->data + out->size;
			room = out->capacity - out->size;
		}
		e = decompress_read(c, to, room ? room : 1, &got);
		if (e)
			return e;
		if (room == 0)
			return got ? ERR_TOO_BIG : OK;
		out->size += got;
		if (got < room)
			return OK;
		step = out->size;
	}
}

enum err codec_decompress(struct compressor *c, enum codec codec, struct bytes in, size_t max_size, struct buf *out)
{
	struct compressor *own = c ? NULL : compressor_new();
	size_t before = out->size;
	enum err e = out->error;

	if (!e) {
		decompress_begin(c ? c : own, codec, in, max_size);
		e = decompress_all(c ? c : own, out);
		if (e)
			out->size = before;
	}
	if (c)
		compressor_trim(c);
	compressor_free(own);
	return e;
}
