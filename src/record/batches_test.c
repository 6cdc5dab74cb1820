/*
 * batches_test: every batch of tests/compat/golden/batches.jsonl (written by Kafka's own classes) reads to what its JSON says, and is
 * written again to the same bytes; compressed ones are compared by what our own compression reads back to.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/test.h"
#include "record/builder.h"
#include "record/control.h"
#include "record/legacy.h"
#include "record/record.h"

#define VECTORS "tests/compat/golden/batches.jsonl"
#define MANY (16u << 20)

static struct {
	int cases, batches, records, encoded, recompressed, legacy;
} counts;

static void unhex(const char *hex, struct buf *out)
{
	for (; hex[0] && hex[1]; hex += 2) {
		unsigned byte;

		CHECK_EQ(sscanf(hex, "%2x", &byte), 1);
		buf_put_i8(out, (int8_t)byte);
	}
}

static int64_t integer(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_integer(value))
		fail_msg("no integer '%s'", name);
	return json_integer_value(value);
}

/* `got` against a hex string or null; `name`_length and `name`_crc32c stand for long ones. */
static void check_hex(struct bytes got, const json_t *hex)
{
	struct buf expected;

	if (json_is_null(hex)) {
		CHECK(bytes_is_null(got));
		return;
	}
	buf_init(&expected, MANY);
	unhex(json_string_value(hex), &expected);
	CHECK(!bytes_is_null(got));
	CHECK_BYTES(got, buf_bytes(&expected));
	buf_fini(&expected);
}

static void check_part(struct bytes got, const json_t *record, const char *name)
{
	const json_t *hex = json_object_get(record, name);
	char key[32];

	if (hex) {
		check_hex(got, hex);
		return;
	}
	snprintf(key, sizeof(key), "%s_length", name);
	CHECK_EQ(got.size, integer(record, key));
	snprintf(key, sizeof(key), "%s_crc32c", name);
	CHECK_EQ(crc32c(0, got), integer(record, key));
}

static void check_headers(const struct record *r, const json_t *headers)
{
	struct header_iter it = header_iter_of(r);
	struct record_header h;
	size_t i = 0;

	CHECK_EQ(r->header_count, json_array_size(headers));
	while (header_iter_next(&it, &h)) {
		const json_t *pair = json_array_get(headers, i++);

		CHECK_BYTES(h.key, bytes_str(json_string_value(json_array_get(pair, 0))));
		check_hex(h.value, json_array_get(pair, 1));
	}
	CHECK_EQ(i, json_array_size(headers));
}

static void check_record(const struct record *r, const json_t *expected)
{
	CHECK_EQ(r->offset, integer(expected, "offset"));
	CHECK_EQ(r->timestamp, integer(expected, "timestamp"));
	if (json_object_get(expected, "sequence"))
		CHECK_EQ(r->sequence, integer(expected, "sequence"));
	check_part(r->key, expected, "key");
	check_part(r->value, expected, "value");
	check_headers(r, json_object_get(expected, "headers"));
	counts.records++;
}

static void check_control(const struct batch_header *h, const struct record *r, const json_t *expected)
{
	const char *name = json_string_value(json_object_get(expected, "control"));
	struct end_marker marker;
	struct leader_change change;

	if (strcmp(name, "LEADER_CHANGE") == 0) {
		CHECK_ERR(end_marker_read(h, r, &marker), ERR_NOT_FOUND);
		must_ok(leader_change_read(r, &change));
		CHECK_EQ(change.leader_id, 1);
		return;
	}
	must_ok(end_marker_read(h, r, &marker));
	CHECK_EQ(marker.committed, strcmp(name, "COMMIT") == 0);
	CHECK_EQ(marker.coordinator_epoch, integer(expected, "coordinatorEpoch"));
	CHECK_EQ(marker.producer_id, h->producer_id);
}

static void check_records(struct bytes batch, const json_t *records, struct compressor *c)
{
	struct record_iter it;
	struct record r;
	struct buf scratch;
	size_t i = 0;
	enum err e;

	buf_init(&scratch, MANY);
	must_ok(record_iter_init(&it, batch, &scratch, MANY, c));
	while (!(e = record_iter_next(&it, &r))) {
		const json_t *expected = json_array_get(records, i++);

		check_record(&r, expected);
		CHECK_EQ(json_object_get(expected, "control") != NULL, batch_is_control(&it.header));
		if (batch_is_control(&it.header))
			check_control(&it.header, &r, expected);
	}
	CHECK_ERR(e, ERR_END);
	CHECK_EQ(i, json_array_size(records));
	buf_fini(&scratch);
}

static void check_header(const struct batch_header *h, const json_t *expected)
{
	CHECK_EQ(h->base_offset, integer(expected, "baseOffset"));
	CHECK_EQ(batch_last_offset(h), integer(expected, "lastOffset"));
	CHECK_EQ(batch_size(h), integer(expected, "sizeInBytes"));
	CHECK_EQ(h->max_timestamp, integer(expected, "maxTimestamp"));
	CHECK_EQ(h->crc, integer(expected, "crc"));
	CHECK_EQ(h->leader_epoch, integer(expected, "partitionLeaderEpoch"));
	CHECK_EQ(h->base_timestamp, integer(expected, "baseTimestamp"));
	CHECK_EQ(h->producer_id, integer(expected, "producerId"));
	CHECK_EQ(h->producer_epoch, integer(expected, "producerEpoch"));
	CHECK_EQ(h->base_sequence, integer(expected, "baseSequence"));
	CHECK_EQ(batch_last_sequence(h), integer(expected, "lastSequence"));
	CHECK_EQ(batch_is_transactional(h), json_is_true(json_object_get(expected, "isTransactional")));
	CHECK_EQ(batch_is_control(h), json_is_true(json_object_get(expected, "isControl")));
	CHECK_EQ(h->record_count, integer(expected, "recordCount"));
	CHECK_STR(codec_name((enum codec)batch_codec(h)), json_string_value(json_object_get(expected, "codec")));
	CHECK_STR(batch_is_log_append_time(h) ? "LogAppendTime" : "CreateTime",
		  json_string_value(json_object_get(expected, "timestampType")));
	CHECK_EQ((h->attributes & BATCH_DELETE_HORIZON) != 0, json_object_get(expected, "deleteHorizonMs") != NULL);
	if (h->attributes & BATCH_DELETE_HORIZON)
		CHECK_EQ(h->base_timestamp, integer(expected, "deleteHorizonMs"));
}

/* The batch with every record put into a builder, through decoded headers; its log append time set as a broker sets it. */
static void rebuild(struct bytes batch, struct compressor *c, struct batch_builder *b, struct bytes *ret_made)
{
	struct batch_options options = batch_options_default(MANY);
	struct record_iter it;
	struct record r;
	struct buf scratch;

	buf_init(&scratch, MANY);
	must_ok(record_iter_init(&it, batch, &scratch, MANY, c));
	options.codec = (enum codec)batch_codec(&it.header);
	options.base_offset = it.header.base_offset;
	options.leader_epoch = it.header.leader_epoch;
	options.is_control = batch_is_control(&it.header);
	options.compressor = c;
	batch_builder_init(b, &options);
	if (it.header.attributes & BATCH_DELETE_HORIZON)
		batch_builder_set_delete_horizon(b, it.header.base_timestamp);
	/* The records' own times are still there, under the log append time. */
	it.header.attributes = (int16_t)(it.header.attributes & ~BATCH_LOG_APPEND_TIME);
	while (!record_iter_next(&it, &r)) {
		struct header_iter headers = header_iter_of(&r);
		struct record_header h[16];
		size_t n = 0;

		while (n < countof(h) && header_iter_next(&headers, &h[n]))
			n++;
		must_ok(batch_builder_append_at(b, r.offset_delta, r.timestamp, r.key, r.value, h, n));
	}
	batch_builder_set_last_offset_delta(b, it.header.last_offset_delta);
	batch_builder_set_producer(b, it.header.producer_id, it.header.producer_epoch, it.header.base_sequence,
				   batch_is_transactional(&it.header));
	must_ok(batch_builder_finish(b, ret_made));
	buf_fini(&scratch);
}

static void check_written_again(struct bytes batch, const struct batch_header *h, const json_t *expected,
				struct compressor *c)
{
	struct batch_builder b;
	struct bytes made;
	uint8_t bare[BATCH_HEADER_SIZE];

	if (h->record_count == 0) {
		batch_header_write(bare, h);
		batch_seal(bare, sizeof(bare));
		CHECK_BYTES(bytes_of(bare, sizeof(bare)), batch);
		counts.encoded++;
		return;
	}
	rebuild(batch, c, &b, &made);
	if (batch_is_log_append_time(h))
		batch_set_log_append_time((uint8_t *)(uintptr_t)made.data, made.size, h->max_timestamp);
	CHECK(batch_crc_ok(made));
	if (batch_codec(h) == CODEC_NONE) {
		CHECK_BYTES(made, batch);
		counts.encoded++;
	} else {
		check_records(made, json_object_get(expected, "records"), c);
		counts.recompressed++;
	}
	batch_builder_fini(&b);
}

static void check_legacy(struct bytes *rest, const json_t *expected, struct compressor *c)
{
	const json_t *records = json_object_get(expected, "records");
	const char *type = json_string_value(json_object_get(expected, "timestampType"));
	struct legacy_message m;
	struct legacy_iter it;
	struct record r;
	struct buf scratch;
	size_t i = 0;

	buf_init(&scratch, MANY);
	must_ok(legacy_next(rest, &m));
	CHECK_EQ(m.magic, integer(expected, "magic"));
	CHECK_EQ(m.offset, integer(expected, "lastOffset"));
	CHECK_EQ(m.size, integer(expected, "sizeInBytes"));
	CHECK_EQ(m.timestamp, integer(expected, "maxTimestamp"));
	CHECK_STR(codec_name(m.codec), json_string_value(json_object_get(expected, "codec")));
	CHECK_STR(m.magic == 0 ? "NoTimestampType" : m.log_append_time ? "LogAppendTime" : "CreateTime", type);
	must_ok(legacy_iter_init(&it, &m, &scratch, MANY, c));
	while (!legacy_iter_next(&it, &r))
		check_record(&r, json_array_get(records, i++));
	CHECK_EQ(i, json_array_size(records));
	buf_fini(&scratch);
	counts.legacy++;
}

static void check_case(const json_t *vector, struct compressor *c)
{
	const json_t *batches = json_object_get(vector, "batches");
	struct bytes rest;
	struct buf raw;

	buf_init(&raw, MANY);
	unhex(json_string_value(json_object_get(vector, "hex")), &raw);
	rest = buf_bytes(&raw);
	for (size_t i = 0; i < json_array_size(batches); i++) {
		const json_t *expected = json_array_get(batches, i);
		struct batch_header h;
		struct bytes batch;

		counts.batches++;
		if (integer(expected, "magic") < BATCH_MAGIC) {
			check_legacy(&rest, expected, c);
			continue;
		}
		must_ok(batch_next(&rest, &h, &batch));
		CHECK(batch_crc_ok(batch));
		check_header(&h, expected);
		check_records(batch, json_object_get(expected, "records"), c);
		check_written_again(batch, &h, expected, c);
	}
	CHECK_EQ(rest.size, 0);
	buf_fini(&raw);
	counts.cases++;
}

TEST(every_vector_reads_to_its_json_and_is_written_again)
{
	struct compressor *c = compressor_new();
	FILE *file = fopen(VECTORS, "r");
	char *line = NULL;
	size_t capacity = 0;

	if (!file)
		fail_msg("%s: run this from the root of the tree", VECTORS);
	while (getline(&line, &capacity, file) > 0) {
		json_error_t error;
		json_t *vector = json_loads(line, 0, &error);

		if (!vector)
			fail_msg("line %d: %s", counts.cases + 1, error.text);
		print_message("%s\n", json_string_value(json_object_get(vector, "case")));
		check_case(vector, c);
		json_decref(vector);
	}
	free(line);
	fclose(file);
	compressor_free(c);
	print_message("%d cases: %d batches with %d records read; %d written to the same bytes, %d compressed anew and "
		      "read, %d of "
		      "magic 0 and 1\n",
		      counts.cases, counts.batches, counts.records, counts.encoded, counts.recompressed, counts.legacy);
	CHECK_EQ(counts.cases, 39);
	CHECK_EQ(counts.encoded + counts.recompressed + counts.legacy, counts.batches);
}
