/*
 * compressor: the insides of struct compressor, for compress.c, decompress.c and source.c only.
 *
 * One stream at a time is being decompressed; its state is `stream`. Contexts of the libraries are made at first use.
 */
#ifndef RECORD_COMPRESSOR_H
#define RECORD_COMPRESSOR_H

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "record/compress.h"

/* What is being decompressed. */
struct decompress_stream {
	enum codec codec;
	struct bytes in;   /* not yet read */
	size_t left;       /* bytes that may still come out */
	bool inside;       /* a member or frame is open */
	bool any;          /* one has been complete */
	bool framed;       /* snappy: Java's framing */
	struct bytes rest; /* snappy: of the block that was decompressed, not yet handed out */
	enum err error;    /* sticky */
};

struct compressor {
	struct decompress_stream stream;
	z_stream inflate;
	z_stream deflate;
	int deflate_level;
	bool has_inflate;
	bool has_deflate;
	LZ4F_cctx *lz4_out;
	LZ4F_dctx *lz4_in;
	bool lz4_in_large; /* it has seen a frame with blocks of a megabyte or more, and keeps room for them */
	ZSTD_CCtx *zstd_out;
	ZSTD_DCtx *zstd_in;
	struct buf block;  /* snappy: one decompressed block that did not fit where it was wanted */
	struct buf window; /* source.c: records of a compressed batch that are being looked at */
};

/* Forgets what a stream of unusual size made the contexts hold. */
void compressor_trim(struct compressor *c);

#endif
