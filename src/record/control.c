/* control: see the header. */
#include "record/control.h"

#include "base/reader.h"
#include "record/builder.h"

#define KEY_VERSION 0
#define MARKER_VERSION 0
#define LEADER_CHANGE_VERSION 0

enum err control_type_read(struct bytes key, enum control_type *ret_type)
{
	struct reader r = reader_of(key);
	int16_t version = reader_i16(&r);
	int16_t type = reader_i16(&r);

	if (r.error || version < 0)
		return ERR_CORRUPT;
	*ret_type = type >= CONTROL_ABORT && type <= CONTROL_KRAFT_VOTERS ? (enum control_type)type : CONTROL_UNKNOWN;
	return OK;
}

enum err end_marker_read(const struct batch_header *header, const struct record *record, struct end_marker *ret_marker)
{
	struct reader r = reader_of(record->value);
	enum control_type type;
	int16_t version;
	int32_t coordinator_epoch;
	enum err e = control_type_read(record->key, &type);

	if (e)
		return e;
	if (type != CONTROL_ABORT && type != CONTROL_COMMIT)
		return ERR_NOT_FOUND;
	version = reader_i16(&r);
	coordinator_epoch = reader_i32(&r);
	if (r.error || version < 0)
		return ERR_CORRUPT;
	*ret_marker = (struct end_marker){
		.committed = type == CONTROL_COMMIT,
		.producer_id = header->producer_id,
		.producer_epoch = header->producer_epoch,
		.coordinator_epoch = coordinator_epoch,
	};
	return OK;
}

/* Kafka has compressed them, where the topic's records were. */
#define MAX_CONTROL_BYTES 256

enum err end_marker_of(struct bytes batch, struct end_marker *ret_marker)
{
	struct record_iter it;
	struct record record;
	struct buf scratch;
	enum err e;

	buf_init(&scratch, MAX_CONTROL_BYTES);
	e = record_iter_init(&it, batch, &scratch, MAX_CONTROL_BYTES, NULL);
	if (!e)
		e = record_iter_next(&it, &record);
	if (!e)
		e = end_marker_read(&it.header, &record, ret_marker);
	buf_fini(&scratch);
	if (e == ERR_END)
		return ERR_NOT_FOUND;
	return e && e != ERR_NOT_FOUND ? ERR_CORRUPT : e;
}

/* A control batch with one record of this type and value, appended to `out`. */
static enum err write_batch(const struct batch_options *options, enum control_type type, struct bytes value,
			    int64_t timestamp, struct buf *out)
{
	struct batch_builder b;
	struct bytes batch;
	uint8_t key[4];
	enum err e;

	put_be16(key, KEY_VERSION);
	put_be16(key + 2, (uint16_t)type);
	batch_builder_init(&b, options);
	e = batch_builder_append(&b, timestamp, bytes_of(key, sizeof(key)), value, NULL, 0);
	if (!e)
		e = batch_builder_finish(&b, &batch);
	if (!e) {
		buf_put_bytes(out, batch);
		e = out->error;
	}
	batch_builder_fini(&b);
	return e;
}

enum err end_marker_write(const struct end_marker *marker, int64_t timestamp, struct buf *out)
{
	struct batch_options options = batch_options_default(MAX_CONTROL_BYTES);
	uint8_t value[6];

	options.producer_id = marker->producer_id;
	options.producer_epoch = marker->producer_epoch;
	options.is_transactional = true;
	options.is_control = true;
	put_be16(value, MARKER_VERSION);
	put_be32(value + 2, (uint32_t)marker->coordinator_epoch);
	return write_batch(&options, marker->committed ? CONTROL_COMMIT : CONTROL_ABORT, bytes_of(value, sizeof(value)),
			   timestamp, out);
}

enum err leader_change_read(const struct record *record, struct leader_change *ret_change)
{
	struct reader r = reader_of(record->value);
	enum control_type type;
	int16_t version;
	int32_t leader_id;
	enum err e = control_type_read(record->key, &type);

	if (e)
		return e;
	if (type != CONTROL_LEADER_CHANGE)
		return ERR_NOT_FOUND;
	version = reader_i16(&r);
	leader_id = reader_i32(&r);
	if (r.error || version < 0)
		return ERR_CORRUPT;
	*ret_change = (struct leader_change){.leader_id = leader_id};
	return OK;
}

enum err leader_change_write(const struct leader_change *change, int32_t leader_epoch, int64_t timestamp,
			     struct buf *out)
{
	struct batch_options options = batch_options_default(MAX_CONTROL_BYTES);
	uint8_t value[9];

	options.leader_epoch = leader_epoch;
	options.is_control = true;
	put_be16(value, LEADER_CHANGE_VERSION);
	put_be32(value + 2, (uint32_t)change->leader_id);
	value[6] = 1; /* no voters: compact arrays */
	value[7] = 1;
	value[8] = 0; /* no tags */
	return write_batch(&options, CONTROL_LEADER_CHANGE, bytes_of(value, sizeof(value)), timestamp, out);
}
