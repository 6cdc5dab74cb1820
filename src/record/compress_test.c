#include "record/compress.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/prng.h"
#include "base/test.h"
#include "record/compressor.h"

#define MANY (64u << 20)

static const enum codec real_codecs[] = {CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};

/* Half noise, half repetition: every codec has both to do. */
static struct bytes sample(struct buf *b, size_t size)
{
	struct prng random;

	prng_seed(&random, size);
	buf_init(b, MANY);
	while (b->size < size) {
		uint64_t noise = prng_next(&random);

		buf_put(b, &noise, size - b->size < 8 ? size - b->size : 8);
		for (size_t i = 0; i < 3 && b->size < size; i++)
			buf_put(b, "moldau  ", size - b->size < 8 ? size - b->size : 8);
	}
	return buf_bytes(b);
}

TEST(what_is_compressed_comes_back)
{
	static const size_t sizes[] = {0, 1, 7, 100, 32767, 32768, 32769, 65536, 65537, 1000000, 5000000};
	static const int levels[] = {CODEC_LEVEL_DEFAULT, -5, 0, 1, 6, 9, 17, 99};
	struct compressor *c = compressor_new();

	for (size_t s = 0; s < countof(sizes); s++) {
		struct buf plain;
		struct bytes in = sample(&plain, sizes[s]);

		for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
			for (size_t l = 0; l < countof(levels) && (l == 0 || sizes[s] < 100000); l++) {
				struct buf packed, out;

				buf_init(&packed, MANY);
				buf_init(&out, MANY);
				must_ok(codec_compress(c, (enum codec)codec, levels[l], in, &packed));
				must_ok(codec_decompress(c, (enum codec)codec, buf_bytes(&packed), in.size, &out));
				CHECK_BYTES(buf_bytes(&out), in);
				buf_fini(&packed);
				buf_fini(&out);
			}
		}
		buf_fini(&plain);
	}
	compressor_free(c);
}

TEST(gzip_at_level_minus_one_is_gzip_at_its_default)
{
	static const struct {
		int level;
		bool same;
	} cases[] = {{-1, true}, {6, true}, {1, false}};
	struct buf plain, wanted;
	struct bytes in = sample(&plain, 100000);

	buf_init(&wanted, MANY);
	must_ok(codec_compress(NULL, CODEC_GZIP, CODEC_LEVEL_DEFAULT, in, &wanted));
	for (size_t i = 0; i < countof(cases); i++) {
		struct buf packed;

		buf_init(&packed, MANY);
		must_ok(codec_compress(NULL, CODEC_GZIP, cases[i].level, in, &packed));
		CHECK_EQ(bytes_equal(buf_bytes(&packed), buf_bytes(&wanted)), cases[i].same);
		buf_fini(&packed);
	}
	buf_fini(&plain);
	buf_fini(&wanted);
}

TEST(both_ways_append_and_work_without_a_compressor)
{
	for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
		struct buf packed, out;

		buf_init(&packed, MANY);
		buf_init(&out, MANY);
		buf_put_str(&packed, "head");
		buf_put_str(&out, "front ");
		must_ok(codec_compress(NULL, (enum codec)codec, CODEC_LEVEL_DEFAULT, bytes_str("and back"), &packed));
		must_ok(codec_decompress(NULL, (enum codec)codec, bytes_of(packed.data + 4, packed.size - 4), 8, &out));
		CHECK_BYTES(buf_bytes(&out), bytes_str("front and back"));
		buf_fini(&packed);
		buf_fini(&out);
	}
}

/* 64 MiB of zeros in some kilobytes, against bounds far below; nothing of it may be seen or kept. */
TEST(a_bomb_stops_at_the_bound)
{
	struct buf zeros;

	buf_init(&zeros, MANY);
	memset(buf_extend(&zeros, MANY), 0, MANY);
	for (size_t i = 0; i < countof(real_codecs); i++) {
		static const size_t bounds[] = {0, 1, 1000, 65536, 1 << 20, MANY - 1};
		struct compressor *c = compressor_new();
		struct buf bomb;

		buf_init(&bomb, 2 * MANY); /* lz4 wants room for the worst case */
		must_ok(codec_compress(c, real_codecs[i], CODEC_LEVEL_DEFAULT, buf_bytes(&zeros), &bomb));
		for (size_t k = 0; k < countof(bounds); k++) {
			struct buf out;

			buf_init(&out, SIZE_MAX);
			CHECK_ERR(codec_decompress(c, real_codecs[i], buf_bytes(&bomb), bounds[k], &out), ERR_TOO_BIG);
			CHECK_EQ(out.size, 0);
			CHECK(out.capacity <= 4 * bounds[k] + 8 * bomb.size + 4096);
			CHECK(c->block.capacity <= 65536);
			buf_fini(&out);
			/* The same when it is the buffer that is small. */
			buf_init(&out, bounds[k]);
			CHECK_ERR(codec_decompress(c, real_codecs[i], buf_bytes(&bomb), SIZE_MAX, &out), ERR_TOO_BIG);
			CHECK_EQ(out.size, 0);
			CHECK_EQ(out.error, OK);
			buf_fini(&out);
		}
		buf_fini(&bomb);
		compressor_free(c);
	}
	buf_fini(&zeros);
}

/* A few bytes that declare gigabytes: not believed, and nothing of the kind allocated. */
TEST(declared_sizes_are_not_believed)
{
	/* raw snappy: 4 GiB - 1 of output from 6 bytes */
	static const uint8_t snappy[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0x00};
	/* lz4 frame with a content size of 2^56 and one block of one literal */
	uint8_t lz4[64];
	/* zstd: single segment, content size of 2^40 in 8 bytes, one raw block of 1 byte */
	static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 0x09, 0, 0, 'x'};
	LZ4F_preferences_t how = {.frameInfo = {.contentSize = 1ULL << 56}};
	LZ4F_cctx *writer;
	size_t lz4_size;
	struct compressor *c = compressor_new();
	struct buf out;

	CHECK(!LZ4F_isError(LZ4F_createCompressionContext(&writer, LZ4F_VERSION)));
	lz4_size = LZ4F_compressBegin(writer, lz4, sizeof(lz4), &how);
	CHECK(!LZ4F_isError(lz4_size));
	memcpy(lz4 + lz4_size, "\x01\x00\x00\x80x\x00\x00\x00\x00", 9);
	lz4_size += 9;
	LZ4F_freeCompressionContext(writer);

	buf_init(&out, SIZE_MAX);
	CHECK_ERR(codec_decompress(c, CODEC_SNAPPY, bytes_of(snappy, sizeof(snappy)), SIZE_MAX, &out), ERR_CORRUPT);
	CHECK_ERR(codec_decompress(c, CODEC_LZ4, bytes_of(lz4, lz4_size), SIZE_MAX, &out), ERR_CORRUPT);
	CHECK_ERR(codec_decompress(c, CODEC_ZSTD, bytes_of(zstd, sizeof(zstd)), 1 << 20, &out), ERR_CORRUPT);
	CHECK_EQ(out.size, 0);
	CHECK(out.capacity < 65536);
	CHECK(c->block.capacity < 65536);
	buf_fini(&out);
	compressor_free(c);
}

TEST(a_stream_cut_off_anywhere_is_corrupt)
{
	struct compressor *c = compressor_new();
	struct buf plain;
	struct bytes in = sample(&plain, 3000);

	for (size_t i = 0; i < countof(real_codecs); i++) {
		struct buf packed, out;

		buf_init(&packed, MANY);
		buf_init(&out, MANY);
		must_ok(codec_compress(c, real_codecs[i], CODEC_LEVEL_DEFAULT, in, &packed));
		for (size_t size = 0; size < packed.size; size++) {
			enum err e = codec_decompress(c, real_codecs[i], bytes_of(packed.data, size), MANY, &out);

			/* Java's framing of snappy has no end: what stops between two blocks is whole. */
			if (real_codecs[i] == CODEC_SNAPPY && size == 16)
				CHECK_ERR(e, OK);
			else
				CHECK_ERR(e, ERR_CORRUPT);
			CHECK_EQ(out.size, 0);
		}
		/* And the same context goes on to read what is whole. */
		must_ok(codec_decompress(c, real_codecs[i], buf_bytes(&packed), MANY, &out));
		CHECK_BYTES(buf_bytes(&out), in);
		buf_fini(&packed);
		buf_fini(&out);
	}
	buf_fini(&plain);
	compressor_free(c);
}

TEST(parts_of_any_size_give_the_whole)
{
	static const size_t rooms[] = {1, 3, 1000, 32768, 1 << 20};
	struct compressor *c = compressor_new();
	struct buf plain;
	struct bytes in = sample(&plain, 200001);

	for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
		struct buf packed;

		buf_init(&packed, MANY);
		must_ok(codec_compress(c, (enum codec)codec, CODEC_LEVEL_DEFAULT, in, &packed));
		for (size_t i = 0; i < countof(rooms); i++) {
			struct buf out;
			size_t got;

			buf_init(&out, MANY);
			decompress_begin(c, (enum codec)codec, buf_bytes(&packed), in.size);
			do {
				CHECK(buf_reserve(&out, rooms[i]));
				must_ok(decompress_read(c, out.data + out.size, rooms[i], &got));
				out.size += got;
			} while (got == rooms[i]);
			CHECK_BYTES(buf_bytes(&out), in);
			buf_fini(&out);
		}
		buf_fini(&packed);
	}
	buf_fini(&plain);
	compressor_free(c);
}

static void reads_as(enum codec codec, struct bytes packed, struct bytes expected)
{
	struct buf out;

	buf_init(&out, MANY);
	must_ok(codec_decompress(NULL, codec, packed, MANY, &out));
	CHECK_BYTES(buf_bytes(&out), expected);
	buf_fini(&out);
}

/* Members, frames and framed streams one after the other read as one; what is no member after the last gzip one is ignored. */
TEST(streams_may_follow_one_another)
{
	for (size_t i = 0; i < countof(real_codecs); i++) {
		struct buf packed;

		buf_init(&packed, MANY);
		must_ok(codec_compress(NULL, real_codecs[i], CODEC_LEVEL_DEFAULT, bytes_str("one "), &packed));
		must_ok(codec_compress(NULL, real_codecs[i], CODEC_LEVEL_DEFAULT, bytes_empty(), &packed));
		must_ok(codec_compress(NULL, real_codecs[i], CODEC_LEVEL_DEFAULT, bytes_str("two"), &packed));
		reads_as(real_codecs[i], buf_bytes(&packed), bytes_str("one two"));
		if (real_codecs[i] == CODEC_GZIP || real_codecs[i] == CODEC_LZ4) {
			buf_put_str(&packed, "trailing");
			reads_as(real_codecs[i], buf_bytes(&packed), bytes_str("one two"));
		}
		buf_fini(&packed);
	}
}

TEST(snappy_without_framing_is_read_as_c_clients_write_it)
{
	struct buf plain;
	struct bytes in = sample(&plain, 300000);
	size_t size = snappy_max_compressed_length(in.size);
	uint8_t *packed = mem_alloc(size);

	CHECK_EQ(snappy_compress((const char *)in.data, in.size, (char *)packed, &size), SNAPPY_OK);
	reads_as(CODEC_SNAPPY, bytes_of(packed, size), in);
	mem_free(packed);
	buf_fini(&plain);
}

/* What our own frames are like, and that others are read all the same. */
TEST(lz4_frames_of_other_clients_are_read)
{
	static const LZ4F_preferences_t ways[] = {
		{.frameInfo = {.blockSizeID = LZ4F_max4MB, .blockMode = LZ4F_blockLinked}},
		{.frameInfo = {.blockSizeID = LZ4F_max64KB,
			       .blockMode = LZ4F_blockLinked,
			       .contentChecksumFlag = LZ4F_contentChecksumEnabled,
			       .blockChecksumFlag = LZ4F_blockChecksumEnabled}},
		{.frameInfo = {.blockSizeID = LZ4F_max1MB, .contentSize = 1}, .compressionLevel = 9},
	};
	struct buf plain, ours;
	struct bytes in = sample(&plain, 300000);

	for (size_t i = 0; i < countof(ways); i++) {
		size_t size = LZ4F_compressFrameBound(in.size, &ways[i]);
		uint8_t *packed = mem_alloc(size);

		size = LZ4F_compressFrame(packed, size, in.data, in.size, &ways[i]);
		CHECK(!LZ4F_isError(size));
		reads_as(CODEC_LZ4, bytes_of(packed, size), in);
		mem_free(packed);
	}
	buf_init(&ours, MANY);
	must_ok(codec_compress(NULL, CODEC_LZ4, CODEC_LEVEL_DEFAULT, in, &ours));
	CHECK_BYTES(bytes_of(ours.data, 7), bytes_of("\x04\x22\x4d\x18\x60\x40\x82", 7));
	buf_fini(&ours);
	buf_fini(&plain);
}

/* The highest level declares a window of 128 MiB; what is read afterwards keeps none of it. */
TEST(large_windows_are_read_and_given_back)
{
	struct compressor *c = compressor_new();
	ZSTD_CCtx *writer = ZSTD_createCCtx();
	struct buf plain, packed, out;
	struct bytes in = sample(&plain, 100000);
	ZSTD_inBuffer from = {.src = in.data, .size = in.size};
	ZSTD_outBuffer to;

	buf_init(&packed, MANY);
	buf_init(&out, MANY);
	to = (ZSTD_outBuffer){.dst = buf_extend(&packed, ZSTD_compressBound(in.size)), .size = packed.size};
	ZSTD_CCtx_setParameter(writer, ZSTD_c_windowLog, 27);
	CHECK(!ZSTD_isError(ZSTD_compressStream2(writer, &to, &from, ZSTD_e_flush)));
	CHECK_EQ(ZSTD_compressStream2(writer, &to, &from, ZSTD_e_end), 0);
	must_ok(codec_decompress(c, CODEC_ZSTD, bytes_of(packed.data, to.pos), MANY, &out));
	CHECK_BYTES(buf_bytes(&out), in);
	CHECK(!c->zstd_in);
	ZSTD_freeCCtx(writer);
	buf_fini(&plain);
	buf_fini(&packed);
	buf_fini(&out);
	compressor_free(c);
}

TEST(output_without_room_is_left_as_it_was)
{
	struct buf plain;
	struct bytes in = sample(&plain, 100000);

	for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
		struct buf out;

		buf_init(&out, 1000);
		buf_put_str(&out, "kept");
		CHECK_ERR(codec_compress(NULL, (enum codec)codec, CODEC_LEVEL_DEFAULT, in, &out), ERR_TOO_BIG);
		CHECK_BYTES(buf_bytes(&out), bytes_str("kept"));
		CHECK_EQ(out.error, OK);
		buf_fini(&out);
	}
	buf_fini(&plain);
}

TEST(names_of_codecs)
{
	static const struct {
		const char *name;
		enum err err;
		enum codec codec;
	} cases[] = {
		{"none", OK, CODEC_NONE}, {"gzip", OK, CODEC_GZIP},    {"snappy", OK, CODEC_SNAPPY},
		{"lz4", OK, CODEC_LZ4},   {"zstd", OK, CODEC_ZSTD},    {"uncompressed", OK, CODEC_NONE},
		{"", ERR_BAD_CONFIG, 77}, {"LZ4", ERR_BAD_CONFIG, 77}, {"producer", ERR_BAD_CONFIG, 77},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		enum codec codec = (enum codec)77;

		CHECK_ERR(codec_parse(bytes_str(cases[i].name), &codec), cases[i].err);
		CHECK_EQ(codec, cases[i].codec);
	}
	CHECK_STR(codec_name(CODEC_SNAPPY), "snappy");
	CHECK_STR(codec_name((enum codec)5), "unknown");
}
