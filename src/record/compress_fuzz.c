/*
 * compress_fuzz: the first byte picks a codec and a direction. Decompressed bytes obey the bound, whole and in parts alike; what is compressed
 * comes back.
 */
#include <stdlib.h>

#include "record/compress.h"

#define BOUND (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_foreign(struct compressor *c, enum codec codec, struct bytes in)
{
	struct buf whole;
	size_t total = 0, got = 0;
	uint8_t part[1000];
	enum err whole_error, part_error;

	buf_init(&whole, SIZE_MAX);
	whole_error = codec_decompress(c, codec, in, BOUND, &whole);
	must(whole.size <= BOUND);
	decompress_begin(c, codec, in, BOUND);
	do {
		part_error = decompress_read(c, part, sizeof(part), &got);
		if (part_error)
			break;
		must(total + got <= BOUND && (whole_error || memcmp(whole.data + total, part, got) == 0));
		total += got;
	} while (got == sizeof(part));
	/* One looks further ahead than the other, so the kind of error may differ; whether there is one may not. */
	must((whole_error == OK) == (part_error == OK));
	must(whole_error || total == whole.size);
	buf_fini(&whole);
}

static void write_and_read(struct compressor *c, enum codec codec, struct bytes in)
{
	struct buf packed, plain;

	buf_init(&packed, SIZE_MAX);
	buf_init(&plain, SIZE_MAX);
	must(codec_compress(c, codec, CODEC_LEVEL_DEFAULT, in, &packed) == OK);
	must(codec_decompress(c, codec, buf_bytes(&packed), in.size, &plain) == OK);
	must(bytes_equal(buf_bytes(&plain), in));
	buf_fini(&packed);
	buf_fini(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct compressor *c;
	enum codec codec;

	if (size == 0)
		return 0;
	c = compressor_new();
	codec = (enum codec)(data[0] % CODEC_COUNT);
	if (data[0] & 0x80)
		write_and_read(c, codec, bytes_of(data + 1, size - 1));
	else
		read_foreign(c, codec, bytes_of(data + 1, size - 1));
	compressor_free(c);
	return 0;
}
