/* record_bench: what a record costs to build, check and iterate. Prints a line per size and codec: ns per record, GB/s of uncompressed records. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/prng.h"
#include "record/batch.h"
#include "record/builder.h"
#include "record/record.h"

#define BATCH_BYTES (900u << 10)
#define NOW 1700000000000

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Text-like values: words from a small set. */
static void fill(uint8_t *value, size_t size, struct prng *random)
{
	static const char words[] = "offset partition leader epoch replica segment fetch produce ";

	for (size_t i = 0; i < size; i++)
		value[i] = prng_chance(random, 1, 12) ? (uint8_t)prng_next(random)
						      : (uint8_t)words[i % (sizeof(words) - 1)];
}

static void build(struct batch_builder *b, size_t value_size, size_t batch_bytes, struct bytes *ret_batch)
{
	const size_t size = 1 << 20;
	uint8_t *value = mem_alloc(size);
	struct prng random;

	prng_seed(&random, 1);
	fill(value, size, &random);
	for (size_t i = 0;; i++) {
		size_t at = i * 64 % (size - value_size);

		if (batch_builder_size(b) + value_size + 40 > batch_bytes)
			break;
		if (batch_builder_append(b, NOW + (int64_t)(i / 10), bytes_null(), bytes_of(value + at, value_size),
					 NULL, 0))
			break;
	}
	mem_free(value);
	if (batch_builder_finish(b, ret_batch))
		exit(1);
}

static void measure(size_t value_size, size_t batch_bytes, enum codec codec, struct compressor *c)
{
	struct batch_options options = batch_options_default(batch_bytes);
	struct batch_rules rules = {
		.max_message_bytes = 2 << 20,
		.max_decompressed_bytes = 8 << 20,
		.allow_zstd = true,
		.codec = BATCH_KEEP_CODEC,
		.now_ms = NOW,
		.before_max_ms = INT64_MAX,
		.after_max_ms = INT64_MAX,
		.compressor = c,
	};
	struct batch_facts facts = {0};
	struct batch_builder b;
	struct bytes batch;
	struct buf scratch;
	double start, check, crc, walk, make;
	size_t rounds;
	uint64_t sum = 0;
	uint8_t value[1024] = {0};

	options.codec = codec;
	options.compressor = c;
	batch_builder_init(&b, &options);
	build(&b, value_size, batch_bytes, &batch);
	buf_init(&scratch, SIZE_MAX);
	if (batch_validate(batch, &rules, &facts) || facts.change != BATCH_AS_IS)
		exit(1);
	rounds = (codec == CODEC_NONE ? 2000u << 20 : 200u << 20) / facts.records_size;

	start = seconds();
	for (size_t i = 0; i < rounds; i++)
		if (batch_validate(batch, &rules, &facts))
			exit(1);
	check = seconds() - start;
	start = seconds();
	for (size_t i = 0; i < rounds; i++)
		sum += batch_crc_ok(batch);
	crc = seconds() - start;
	start = seconds();
	for (size_t i = 0; i < rounds; i++) {
		struct record_iter it;
		struct record r;

		if (record_iter_init(&it, batch, &scratch, 8 << 20, c))
			exit(1);
		while (!record_iter_next(&it, &r))
			sum += r.value.size;
	}
	walk = seconds() - start;

	double records = (double)rounds * facts.record_count, bytes = (double)rounds * (double)facts.records_size;
	rounds = rounds / 10 + 1;
	make = 0;
	for (size_t i = 0; i < rounds; i++) {
		struct bytes again;

		batch_builder_reset(&b, NULL);
		start = seconds();
		for (int32_t k = 0; k < facts.record_count; k++)
			sum += batch_builder_append(&b, NOW, bytes_null(), bytes_of(value, value_size), NULL, 0) == OK;
		make += seconds() - start;
		if (batch_builder_finish(&b, &again))
			exit(1);
	}
	printf("%-6s %5zu B x %6d  validate %6.1f ns/record %6.2f GB/s   crc alone %6.2f GB/s   iterate %6.1f ns   "
	       "append %5.1f ns%s\n",
	       codec_name(codec), value_size, facts.record_count, check / records * 1e9, bytes / check / 1e9,
	       (double)batch.size * records / facts.record_count / crc / 1e9, walk / records * 1e9,
	       make / ((double)rounds * facts.record_count) * 1e9, sum ? "" : "!");
	buf_fini(&scratch);
	batch_builder_fini(&b);
}

int main(void)
{
	struct compressor *c = compressor_new();

	for (int codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
		measure(100, BATCH_BYTES, (enum codec)codec, c);
		measure(100, 16 << 10, (enum codec)codec, c);
		measure(1024, BATCH_BYTES, (enum codec)codec, c);
	}
	compressor_free(c);
	return 0;
}
