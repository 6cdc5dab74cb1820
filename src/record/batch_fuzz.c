/*
 * batch_fuzz: the first byte picks rules, whether the records are compressed first, and whether length and CRC are made right; the rest is a
 * partition's records. What is accepted is
 * mended as a broker does it, and must then be accepted as it is and iterate to as many dense records; whatever it is, walking
 * and iterating it stays within its bytes.
 */
#include <stdlib.h>

#include "record/batch.h"
#include "record/control.h"
#include "record/legacy.h"
#include "record/record.h"

#define BOUND (1u << 20)
#define NOW 1700000000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Sum of all bytes, so that a sanitizer sees each of them touched. */
static unsigned touch(struct bytes b)
{
	unsigned sum = 0;

	for (size_t i = 0; i < b.size; i++)
		sum += b.data[i];
	return sum;
}

static unsigned touch_record(const struct record *r)
{
	struct header_iter headers = header_iter_of(r);
	struct record_header h;
	unsigned sum = touch(r->key) + touch(r->value);
	int32_t count = 0;

	for (; header_iter_next(&headers, &h); count++)
		sum += touch(h.key) + touch(h.value);
	must(count == r->header_count);
	return sum;
}

/* Records of a batch; -1 when they do not all parse. */
static int32_t iterate(struct bytes batch, struct compressor *c, bool dense)
{
	struct record_iter it;
	struct record r;
	struct buf scratch;
	unsigned sum = 0;
	int32_t count = 0;
	enum err e;

	buf_init(&scratch, SIZE_MAX);
	e = record_iter_init(&it, batch, &scratch, BOUND, c);
	while (!e && !(e = record_iter_next(&it, &r))) {
		struct end_marker marker;
		struct leader_change change;

		must(!dense || r.offset_delta == count);
		sum += touch_record(&r) + (unsigned)end_marker_read(&it.header, &r, &marker) +
		       (unsigned)leader_change_read(&r, &change);
		count++;
	}
	buf_fini(&scratch);
	__asm__ volatile("" : : "r"(sum));
	return e == ERR_END ? count : -1;
}

static void walk(struct bytes all, struct compressor *c)
{
	struct bytes rest = all, batch;
	struct batch_header h;
	struct legacy_message m;

	while (!batch_next(&rest, &h, &batch))
		(void)iterate(batch, c, false);
	rest = all;
	while (!legacy_next(&rest, &m)) {
		struct legacy_iter it;
		struct record r;
		struct buf scratch;

		buf_init(&scratch, SIZE_MAX);
		if (!legacy_iter_init(&it, &m, &scratch, BOUND, c))
			while (!legacy_iter_next(&it, &r))
				must(touch_record(&r) != UINT32_MAX);
		buf_fini(&scratch);
	}
}

static void produce(struct buf *raw, struct batch_rules *rules)
{
	struct record_error errors[4];
	struct batch_facts facts, again;
	struct buf made;
	enum err e = batch_validate(buf_bytes(raw), rules, &facts);

	must(batch_record_errors(buf_bytes(raw), rules, errors, 4) <= 4);
	if (e)
		return;
	buf_init(&made, SIZE_MAX);
	raw->size = facts.size;
	if (facts.change == BATCH_FIX_RECORDS) {
		/* Deltas count anew from the first record: it may grow past a bound that it kept before. */
		if (batch_rewrite(buf_bytes(raw), rules, &facts, &made)) {
			buf_fini(&made);
			return;
		}
	} else {
		if (facts.change == BATCH_FIX_HEADER)
			batch_fix_header(raw->data, rules, &facts);
		buf_put_bytes(&made, buf_bytes(raw));
	}
	must(batch_crc_ok(buf_bytes(&made)));
	must(iterate(buf_bytes(&made), rules->compressor, true) == facts.record_count);
	if (!rules->log_append_time) {
		rules->max_decompressed_bytes = SIZE_MAX;
		must(batch_validate(buf_bytes(&made), rules, &again) == OK);
		must(again.change == BATCH_AS_IS && again.max_timestamp == facts.max_timestamp);
		must(again.offset_delta_of_max_timestamp == facts.offset_delta_of_max_timestamp);
	}
	buf_fini(&made);
}

/* Compresses the records as the attributes say: a fuzzer does not find its way into a checksummed stream by itself. */
static void pack(struct buf *raw, struct compressor *c)
{
	struct buf packed;
	unsigned codec;

	if (raw->size < BATCH_HEADER_SIZE)
		return;
	codec = raw->data[22] & BATCH_CODEC_MASK;
	if (codec >= CODEC_COUNT)
		return;
	buf_init(&packed, SIZE_MAX);
	must(codec_compress(c, (enum codec)codec, CODEC_LEVEL_DEFAULT,
			    bytes_of(raw->data + BATCH_HEADER_SIZE, raw->size - BATCH_HEADER_SIZE), &packed) == OK);
	raw->size = BATCH_HEADER_SIZE;
	buf_put_bytes(raw, buf_bytes(&packed));
	buf_fini(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct batch_rules rules = {
		.max_message_bytes = BOUND,
		.max_decompressed_bytes = BOUND / 2,
		.allow_transactional = true,
		.allow_control = true,
		.allow_zstd = true,
		.codec = BATCH_KEEP_CODEC,
		.level = CODEC_LEVEL_DEFAULT,
		.now_ms = NOW,
		.before_max_ms = INT64_MAX,
		.after_max_ms = INT64_MAX,
	};
	struct buf raw;

	if (size < 2)
		return 0;
	rules.compressor = compressor_new();
	rules.log_append_time = data[0] & 0x10;
	rules.compacted = data[0] & 0x20;
	if ((data[0] & 7) < CODEC_COUNT)
		rules.codec = data[0] & 7;
	buf_init(&raw, SIZE_MAX);
	buf_put(&raw, data + 1, size - 1);
	walk(buf_bytes(&raw), rules.compressor);
	if (data[0] & 0x80)
		pack(&raw, rules.compressor);
	if (!(data[0] & 0x40) && raw.size >= BATCH_HEADER_SIZE) {
		put_be64(raw.data, 0);
		raw.data[16] = BATCH_MAGIC;
		batch_seal(raw.data, raw.size);
		(void)iterate(buf_bytes(&raw), rules.compressor, false);
	}
	produce(&raw, &rules);
	buf_fini(&raw);
	compressor_free(rules.compressor);
	return 0;
}
