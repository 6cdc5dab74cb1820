/*
 * validate: what a broker checks before it appends a producer's batch; see batch.h. The order of the checks is Kafka's, since
 * a batch with two faults must get the code that Kafka would give.
 */
#include "base/crc32c.h"
#include "record/batch.h"
#include "record/builder.h"
#include "record/source.h"

#define AT_LENGTH 8
#define AT_MAGIC 16
#define AT_ATTRIBUTES 21
/* The smallest length a message of any magic has (magic 0: CRC, magic, attributes, two null lengths). */
#define LEAST_LENGTH 14
/* Records are looked at while their bytes are still in the first-level cache from the checksum. */
#define CRC_STEP (16u << 10)

/* What the records turned out to be, so far. */
struct check {
	const struct batch_rules *rules;
	struct batch_header header;
	int32_t count;
	int64_t max_timestamp;
	int32_t index_of_max_timestamp;
	bool gaps;
	bool bad_key;
	bool bad_timestamp;
};

/* What stands at the front of `bytes`, as a framed batch of any magic. ERR_END: nothing whole. */
static enum err frame(struct bytes bytes, size_t *ret_size)
{
	int32_t length;

	if (bytes.size < BATCH_LOG_OVERHEAD)
		return ERR_END;
	length = (int32_t)get_be32(bytes.data + AT_LENGTH);
	if (length < LEAST_LENGTH)
		return ERR_CORRUPT_MESSAGE;
	if (bytes.size <= AT_MAGIC)
		return ERR_END;
	if (bytes.data[AT_MAGIC] > BATCH_MAGIC)
		return ERR_CORRUPT_MESSAGE;
	*ret_size = (size_t)length + BATCH_LOG_OVERHEAD;
	return *ret_size <= bytes.size ? OK : ERR_END;
}

/* Exactly one batch of magic 2, as Produce 3 and later demand it. */
static enum err only_batch(struct bytes records, const struct batch_rules *rules, struct bytes *ret_batch)
{
	struct bytes rest;
	size_t size, ignored;
	uint16_t attributes;
	enum err e = frame(records, &size);

	if (e)
		return e == ERR_END ? ERR_INVALID_RECORD : e;
	if (records.data[AT_MAGIC] != BATCH_MAGIC)
		return ERR_INVALID_RECORD;
	attributes = get_be16(records.data + AT_ATTRIBUTES);
	if ((attributes & BATCH_CODEC_MASK) == CODEC_ZSTD && !rules->allow_zstd)
		return ERR_UNSUPPORTED_COMPRESSION_TYPE;
	rest = bytes_of(records.data + size, records.size - size);
	e = frame(rest, &ignored);
	if (e != ERR_END)
		return e ? e : ERR_INVALID_RECORD;
	if ((attributes & BATCH_TRANSACTIONAL) && !rules->allow_transactional)
		return ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	*ret_batch = bytes_of(records.data, size);
	return OK;
}

/* What can be told without the CRC, and comes before it. */
static enum err check_frame(struct bytes batch, const struct batch_rules *rules, struct batch_header *ret_header)
{
	if (get_be64(batch.data) != 0)
		return ERR_INVALID_RECORD;
	if (batch.size > rules->max_message_bytes)
		return ERR_MESSAGE_TOO_LARGE;
	return batch_header_read(batch, ret_header) ? ERR_CORRUPT_MESSAGE : OK;
}

/* What comes after the CRC and before the records. */
static enum err check_header(const struct batch_header *h, const struct batch_rules *rules)
{
	if (batch_codec(h) >= CODEC_COUNT)
		return ERR_UNKNOWN_SERVER_ERROR;
	if (h->last_offset_delta < 0 || h->record_count <= 0 || h->record_count - 1 != h->last_offset_delta)
		return ERR_INVALID_RECORD;
	if (batch_is_control(h) && !rules->allow_control)
		return ERR_INVALID_RECORD;
	if (h->producer_id > NO_PRODUCER_ID && h->base_sequence < 0 && !batch_is_control(h) &&
	    !rules->allow_no_sequence)
		return ERR_INVALID_RECORD;
	return OK;
}

/* The record's own time, also under a claim of log append time: a claim that is not refused is cleared. */
static int64_t timestamp_of(const struct batch_header *h, const struct record_view *v)
{
	return (int64_t)((uint64_t)h->base_timestamp + (uint64_t)v->timestamp_delta);
}

static bool timestamp_allowed(const struct batch_rules *rules, const struct batch_header *h, int64_t timestamp)
{
	int64_t age_ms;

	if (batch_is_log_append_time(h) && (rules->log_append_time || h->max_timestamp == NO_TIMESTAMP))
		return false;
	if (rules->log_append_time || timestamp == NO_TIMESTAMP)
		return true;
	/* Wraps as Java's does, so that the same timestamps are refused. */
	age_ms = (int64_t)((uint64_t)rules->now_ms - (uint64_t)timestamp);
	return age_ms <= rules->before_max_ms && (int64_t)(0 - (uint64_t)age_ms) <= rules->after_max_ms;
}

static inline void check_record(struct check *c, const struct record_view *v)
{
	int64_t timestamp = timestamp_of(&c->header, v);

	if (c->rules->compacted && bytes_is_null(v->key))
		c->bad_key = true;
	else if (!timestamp_allowed(c->rules, &c->header, timestamp))
		c->bad_timestamp = true;
	if (timestamp > c->max_timestamp) {
		c->max_timestamp = timestamp;
		c->index_of_max_timestamp = c->count;
	}
	c->gaps |= v->offset_delta != c->count;
	c->count++;
}

/* Kafka's code for what record_source says. */
static enum err source_error(enum err e)
{
	switch ((int)e) {
	case ERR_MALFORMED:
		return ERR_INVALID_RECORD;
	case ERR_CORRUPT:
		return ERR_UNKNOWN_SERVER_ERROR;
	case ERR_TOO_BIG:
		return ERR_MESSAGE_TOO_LARGE;
	default:
		return e;
	}
}

/* The records that begin before `until`. */
static enum err check_records(struct check *c, struct record_source *s, const uint8_t *until)
{
	struct record_view v;

	while (c->count < c->header.record_count && s->at < until) {
		enum err e = record_source_next(s, &v);

		if (e)
			return source_error(e);
		check_record(c, &v);
	}
	return OK;
}

static enum err check_end(struct check *c, struct record_source *s)
{
	enum err e = OK;

	if (c->count < c->header.record_count)
		return ERR_INVALID_RECORD;
	e = record_source_end(s);
	if (e)
		return source_error(e);
	if (c->bad_timestamp)
		return ERR_INVALID_TIMESTAMP;
	return c->bad_key ? ERR_INVALID_RECORD : OK;
}

/*
 * CRC and records of an uncompressed batch in one pass. Records are taken apart before the CRC of all is known: their errors
 * wait until it has been found right.
 */
static enum err check_plain(struct check *c, struct bytes batch, struct record_source *s)
{
	const uint8_t *at = batch.data + AT_ATTRIBUTES, *end = batch.data + batch.size;
	enum err e = check_header(&c->header, c->rules);
	uint32_t crc = 0;

	while (at < end) {
		size_t left = (size_t)(end - at), step = left < CRC_STEP ? left : CRC_STEP;

		crc = crc32c(crc, bytes_of(at, step));
		at += step;
		if (!e)
			e = check_records(c, s, at);
	}
	if (crc != c->header.crc)
		return ERR_CORRUPT_MESSAGE;
	return e ? e : check_end(c, s);
}

static enum err check_compressed(struct check *c, struct record_source *s)
{
	while (c->count < c->header.record_count) {
		struct record_view v;
		enum err e = record_source_next(s, &v);

		if (e)
			return source_error(e);
		check_record(c, &v);
	}
	return check_end(c, s);
}

static struct bytes records_of(struct bytes batch)
{
	return bytes_of(batch.data + BATCH_HEADER_SIZE, batch.size - BATCH_HEADER_SIZE);
}

/* Fills `c` and `ret_records_size` as far as it comes. */
static enum err check_batch(struct check *c, struct bytes batch, struct compressor *compressor,
			    size_t *ret_records_size)
{
	struct record_source s;
	enum err e;

	if (batch_codec(&c->header) == CODEC_NONE) {
		record_source_init(&s, CODEC_NONE, records_of(batch), NULL, 0);
		e = check_plain(c, batch, &s);
	} else {
		if (!batch_crc_ok(batch))
			return ERR_CORRUPT_MESSAGE;
		e = check_header(&c->header, c->rules);
		if (e)
			return e;
		record_source_init(&s, (enum codec)batch_codec(&c->header), records_of(batch), compressor,
				   c->rules->max_decompressed_bytes);
		e = check_compressed(c, &s);
		compressor_trim(compressor);
	}
	*ret_records_size = s.taken;
	return e;
}

static enum codec target_codec(const struct batch_rules *rules, const struct batch_header *h)
{
	return (enum codec)(rules->codec == BATCH_KEEP_CODEC ? batch_codec(h) : rules->codec);
}

static enum batch_change change_of(const struct check *c)
{
	const struct batch_header *h = &c->header;
	const struct batch_rules *rules = c->rules;
	int64_t max_timestamp = rules->log_append_time ? rules->now_ms : c->max_timestamp;

	if (c->gaps || (int)target_codec(rules, h) != batch_codec(h))
		return BATCH_FIX_RECORDS;
	if (batch_is_log_append_time(h) != rules->log_append_time || h->max_timestamp != max_timestamp)
		return BATCH_FIX_HEADER;
	return BATCH_AS_IS;
}

enum err batch_validate(struct bytes records, const struct batch_rules *rules, struct batch_facts *ret_facts)
{
	struct check c = {.rules = rules, .max_timestamp = NO_TIMESTAMP, .index_of_max_timestamp = -1};
	struct compressor *own = NULL;
	struct bytes batch;
	size_t records_size = 0;
	enum err e = only_batch(records, rules, &batch);

	if (!e)
		e = check_frame(batch, rules, &c.header);
	if (e)
		return e;
	if (!rules->compressor && batch_codec(&c.header) != CODEC_NONE)
		own = compressor_new();
	e = check_batch(&c, batch, own ? own : rules->compressor, &records_size);
	compressor_free(own);
	if (e)
		return e;
	*ret_facts = (struct batch_facts){
		.header = c.header,
		.size = batch.size,
		.record_count = c.count,
		.max_timestamp = rules->log_append_time ? rules->now_ms : c.max_timestamp,
		.offset_delta_of_max_timestamp = rules->log_append_time ? 0 : c.index_of_max_timestamp,
		.records_size = records_size,
		.change = change_of(&c),
	};
	return OK;
}

void batch_fix_header(uint8_t *batch, const struct batch_rules *rules, const struct batch_facts *facts)
{
	if (rules->log_append_time)
		batch_set_log_append_time(batch, facts->size, facts->max_timestamp);
	else
		batch_set_create_time(batch, facts->size, facts->max_timestamp);
}

/* All records of `s` into `b`, numbered from 0. */
static enum err rebuild(struct batch_builder *b, struct record_source *s, const struct batch_header *h)
{
	for (int32_t i = 0; i < h->record_count; i++) {
		struct record_view v;
		struct record r;
		enum err e = record_source_next(s, &v);

		if (e)
			return source_error(e);
		r = (struct record){
			.timestamp = timestamp_of(h, &v),
			.key = v.key,
			.value = v.value,
			.header_count = v.header_count,
			.headers = v.headers,
		};
		e = batch_builder_append_record(b, i, &r);
		if (e)
			return e;
	}
	return OK;
}

static enum err rewrite_with(struct compressor *compressor, struct bytes batch, const struct batch_rules *rules,
			     const struct batch_facts *facts, struct buf *out)
{
	const struct batch_header *h = &facts->header;
	/* Timestamps count from the first record's anew, and may need more bytes than before. */
	const size_t growth = 10 + 5;
	struct batch_options options = batch_options_default(BATCH_HEADER_SIZE + facts->records_size +
							     growth * (size_t)facts->record_count);
	struct batch_builder b;
	struct record_source s;
	struct bytes made;
	enum err e;

	options.codec = target_codec(rules, h);
	options.level = rules->level;
	options.leader_epoch = h->leader_epoch;
	options.producer_id = h->producer_id;
	options.producer_epoch = h->producer_epoch;
	options.base_sequence = h->base_sequence;
	options.is_transactional = batch_is_transactional(h);
	options.is_control = batch_is_control(h);
	options.compressor = compressor;
	batch_builder_init(&b, &options);
	record_source_init(&s, (enum codec)batch_codec(h), records_of(batch), compressor,
			   rules->max_decompressed_bytes);
	e = rebuild(&b, &s, h);
	if (!e)
		e = batch_builder_finish(&b, &made);
	if (!e && made.size > rules->max_message_bytes)
		e = ERR_MESSAGE_TOO_LARGE;
	if (!e) {
		uint8_t *to = buf_extend(out, made.size);

		e = out->error;
		out->error = OK;
		if (to) {
			memcpy(to, made.data, made.size);
			if (rules->log_append_time)
				batch_set_log_append_time(to, made.size, facts->max_timestamp);
		}
	}
	batch_builder_fini(&b);
	return e;
}

enum err batch_rewrite(struct bytes records, const struct batch_rules *rules, const struct batch_facts *facts,
		       struct buf *out)
{
	struct compressor *own = rules->compressor ? NULL : compressor_new();
	enum err e;

	must(facts->size <= records.size);
	e = out->error;
	if (!e)
		e = rewrite_with(own ? own : rules->compressor, bytes_of(records.data, facts->size), rules, facts, out);
	compressor_free(own);
	return e;
}

/* Whether record `index` broke a rule, and which. */
static bool record_error_of(const struct check *c, const struct record_view *v, int32_t index,
			    struct record_error *ret_error)
{
	int64_t timestamp = timestamp_of(&c->header, v);

	if (c->rules->compacted && bytes_is_null(v->key)) {
		*ret_error = (struct record_error){index, ERR_INVALID_RECORD,
						   "a record of a compacted topic needs a key"};
		return true;
	}
	if (timestamp_allowed(c->rules, &c->header, timestamp))
		return false;
	*ret_error = (struct record_error){index, ERR_INVALID_TIMESTAMP,
					   batch_is_log_append_time(&c->header)
						   ? "a producer may not claim log append time"
						   : "the timestamp is outside of what the topic takes"};
	return true;
}

size_t batch_record_errors(struct bytes records, const struct batch_rules *rules, struct record_error *ret_errors,
			   size_t max)
{
	struct check c = {.rules = rules};
	struct compressor *own;
	struct record_source s;
	struct record_view v;
	struct bytes batch;
	size_t found = 0;

	if (only_batch(records, rules, &batch) || check_frame(batch, rules, &c.header) ||
	    batch_codec(&c.header) >= CODEC_COUNT)
		return 0;
	own = rules->compressor ? NULL : compressor_new();
	record_source_init(&s, (enum codec)batch_codec(&c.header), records_of(batch), own ? own : rules->compressor,
			   rules->max_decompressed_bytes);
	for (int32_t i = 0; i < c.header.record_count && found < max && !record_source_next(&s, &v); i++)
		found += record_error_of(&c, &v, i, &ret_errors[found]);
	compressor_free(own);
	return found;
}
