/* delta: see the header. */
#include "metadata/delta.h"

#define KIND_VERSION 0
#define NULL_SIZE 0 /* texts that may be null are written as size + 1 */

void delta_begin(struct buf *b)
{
	buf_put_uvarint(b, DELTA_FORMAT);
}

static void put_text(struct buf *b, struct bytes text)
{
	buf_put_uvarint(b, text.size);
	buf_put_bytes(b, text);
}

static void put_nullable(struct buf *b, struct bytes text)
{
	if (bytes_is_null(text)) {
		buf_put_uvarint(b, NULL_SIZE);
		return;
	}
	buf_put_uvarint(b, text.size + 1);
	buf_put_bytes(b, text);
}

static void put_brokers(struct buf *b, const int32_t *ids, uint32_t count)
{
	buf_put_uvarint(b, count);
	for (uint32_t i = 0; i < count; i++)
		buf_put_varint(b, ids[i]);
}

static void put_partitions(struct buf *b, const struct delta_record *r)
{
	buf_put_uvarint(b, r->partition_count);
	for (uint32_t i = 0; i < r->partition_count; i++) {
		const struct delta_partition *p = &r->partitions[i];

		buf_put_varint(b, p->leader);
		buf_put_varint(b, p->leader_epoch);
		buf_put_varint(b, p->partition_epoch);
		put_brokers(b, p->replicas, p->replica_count);
		put_brokers(b, p->isr, p->isr_count);
	}
}

static void put_uuid(struct buf *b, struct uuid id)
{
	buf_put(b, id.bytes, sizeof(id.bytes));
}

static void put_topic(struct buf *b, const struct delta_record *r)
{
	put_text(b, r->name);
	put_uuid(b, r->topic_id);
	buf_put_i8(b, r->internal);
	put_partitions(b, r);
	buf_put_uvarint(b, r->config_count);
	for (uint32_t i = 0; i < r->config_count; i++) {
		put_text(b, r->configs[i].name);
		put_text(b, r->configs[i].value);
	}
}

static void put_broker(struct buf *b, const struct delta_record *r)
{
	buf_put_varint(b, r->broker);
	buf_put_i64(b, r->broker_epoch);
	put_nullable(b, r->value);
	buf_put_uvarint(b, r->endpoint_count);
	for (uint32_t i = 0; i < r->endpoint_count; i++) {
		put_text(b, r->endpoints[i].listener);
		put_text(b, r->endpoints[i].host);
		buf_put_i16(b, (int16_t)r->endpoints[i].port);
		buf_put_i16(b, r->endpoints[i].security_protocol);
	}
}

static void put_fields(struct buf *b, const struct delta_record *r)
{
	switch (r->kind) {
	case DELTA_CLUSTER:
		put_text(b, r->name);
		buf_put_varint(b, r->broker);
		return;
	case DELTA_BROKER:
		put_broker(b, r);
		return;
	case DELTA_BROKER_REMOVED:
		buf_put_varint(b, r->broker);
		return;
	case DELTA_FEATURE:
		put_text(b, r->name);
		buf_put_i16(b, r->level);
		return;
	case DELTA_TOPIC:
		put_topic(b, r);
		return;
	case DELTA_PARTITIONS:
	case DELTA_PARTITION:
		put_uuid(b, r->topic_id);
		buf_put_varint(b, r->first_partition);
		put_partitions(b, r);
		return;
	case DELTA_TOPIC_REMOVED:
		put_uuid(b, r->topic_id);
		return;
	case DELTA_CONFIG:
		buf_put_i8(b, (int8_t)r->resource);
		if (r->resource == CONFIG_OF_TOPIC)
			put_uuid(b, r->topic_id);
		else if (r->resource == CONFIG_OF_BROKER)
			buf_put_varint(b, r->broker);
		else
			put_text(b, r->resource_name);
		put_text(b, r->name);
		put_nullable(b, r->value);
		return;
	}
	must_not_reach();
}

void delta_put(struct buf *b, const struct delta_record *r)
{
	struct buf body;

	buf_init(&body, b->max);
	buf_put_uvarint(&body, r->kind);
	buf_put_uvarint(&body, KIND_VERSION);
	put_fields(&body, r);
	if (body.error) {
		if (!b->error)
			b->error = body.error;
	} else {
		put_text(b, buf_bytes(&body));
	}
	buf_fini(&body);
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

enum err delta_open(struct bytes delta, struct reader *ret_reader)
{
	struct reader r = reader_of(delta);
	uint32_t format = reader_uvarint(&r);

	if (r.error)
		return r.error;
	if (format != DELTA_FORMAT)
		return ERR_BAD_VERSION;
	*ret_reader = r;
	return OK;
}

static struct bytes get_text(struct reader *r)
{
	return reader_bytes(r, reader_uvarint(r));
}

static struct bytes get_nullable(struct reader *r)
{
	uint32_t size = reader_uvarint(r);

	return size == NULL_SIZE ? bytes_null() : reader_bytes(r, size - 1);
}

static struct uuid get_uuid(struct reader *r)
{
	struct bytes bytes = reader_bytes(r, 16);
	struct uuid id = {0};

	if (!bytes_is_null(bytes))
		memcpy(id.bytes, bytes.data, 16);
	return id;
}

/* How many elements follow; each takes `least` bytes or more, so that no array is larger than what it was read from allows. */
static uint32_t get_count(struct reader *r, size_t least, uint32_t max)
{
	uint32_t count = reader_uvarint(r);

	if (count > max || count > reader_left(r) / least) {
		reader_fail(r, ERR_MALFORMED);
		return 0;
	}
	return count;
}

static void *get_array(struct reader *r, struct arena *a, uint32_t count, size_t size)
{
	void *array;

	if (r->error || count == 0)
		return NULL;
	array = arena_alloc_array(a, count, size);
	if (!array)
		reader_fail(r, ERR_NO_MEMORY);
	return array;
}

static const int32_t *get_brokers(struct reader *r, struct arena *a, uint32_t *ret_count)
{
	uint32_t count = get_count(r, 1, DELTA_MAX_REPLICAS);
	int32_t *ids = get_array(r, a, count, sizeof(*ids));

	*ret_count = ids ? count : 0;
	for (uint32_t i = 0; i < *ret_count; i++)
		ids[i] = reader_varint(r);
	return ids;
}

static void get_partitions(struct reader *r, struct arena *a, struct delta_record *record)
{
	uint32_t count = get_count(r, 5, DELTA_MAX_PARTITIONS);
	struct delta_partition *p = get_array(r, a, count, sizeof(*p));

	if (!p)
		return;
	for (uint32_t i = 0; i < count && !r->error; i++) {
		p[i].leader = reader_varint(r);
		p[i].leader_epoch = reader_varint(r);
		p[i].partition_epoch = reader_varint(r);
		p[i].replicas = get_brokers(r, a, &p[i].replica_count);
		p[i].isr = get_brokers(r, a, &p[i].isr_count);
	}
	record->partitions = p;
	record->partition_count = count;
}

static void get_topic(struct reader *r, struct arena *a, struct delta_record *record)
{
	struct config_entry *configs;
	uint32_t count;

	record->name = get_text(r);
	record->topic_id = get_uuid(r);
	record->internal = reader_i8(r);
	get_partitions(r, a, record);
	count = get_count(r, 2, UINT16_MAX);
	configs = get_array(r, a, count, sizeof(*configs));
	if (!configs)
		return;
	for (uint32_t i = 0; i < count; i++) {
		configs[i].name = get_text(r);
		configs[i].value = get_text(r);
	}
	record->configs = configs;
	record->config_count = count;
}

static void get_broker(struct reader *r, struct arena *a, struct delta_record *record)
{
	struct delta_endpoint *e;
	uint32_t count;

	record->broker = reader_varint(r);
	record->broker_epoch = reader_i64(r);
	record->value = get_nullable(r);
	count = get_count(r, 6, UINT8_MAX);
	e = get_array(r, a, count, sizeof(*e));
	if (!e)
		return;
	for (uint32_t i = 0; i < count; i++) {
		e[i].listener = get_text(r);
		e[i].host = get_text(r);
		e[i].port = (uint16_t)reader_i16(r);
		e[i].security_protocol = reader_i16(r);
	}
	record->endpoints = e;
	record->endpoint_count = count;
}

static void get_config(struct reader *r, struct delta_record *record)
{
	int8_t resource = reader_i8(r);

	switch (resource) {
	case CONFIG_OF_TOPIC:
		record->topic_id = get_uuid(r);
		break;
	case CONFIG_OF_BROKER:
		record->broker = reader_varint(r);
		break;
	case CONFIG_OF_GROUP:
	case CONFIG_OF_CLIENT_METRICS:
		record->resource_name = get_text(r);
		break;
	default:
		reader_fail(r, ERR_MALFORMED);
	}
	record->resource = (enum config_resource)resource;
	record->name = get_text(r);
	record->value = get_nullable(r);
}

static enum err get_fields(struct reader *r, struct arena *a, uint32_t kind, struct delta_record *record)
{
	record->kind = (enum delta_kind)kind;
	switch (kind) {
	case DELTA_CLUSTER:
		record->name = get_text(r);
		record->broker = reader_varint(r);
		return r->error;
	case DELTA_BROKER:
		get_broker(r, a, record);
		return r->error;
	case DELTA_BROKER_REMOVED:
		record->broker = reader_varint(r);
		return r->error;
	case DELTA_FEATURE:
		record->name = get_text(r);
		record->level = reader_i16(r);
		return r->error;
	case DELTA_TOPIC:
		get_topic(r, a, record);
		return r->error;
	case DELTA_PARTITIONS:
	case DELTA_PARTITION:
		record->topic_id = get_uuid(r);
		record->first_partition = reader_varint(r);
		get_partitions(r, a, record);
		return r->error;
	case DELTA_TOPIC_REMOVED:
		record->topic_id = get_uuid(r);
		return r->error;
	case DELTA_CONFIG:
		get_config(r, record);
		return r->error;
	default:
		return ERR_BAD_VERSION;
	}
}

enum err delta_next(struct reader *r, struct arena *a, struct delta_record *ret_record)
{
	struct bytes body = get_text(r);
	struct reader inner = reader_of(body);
	struct delta_record record = {0};
	uint32_t kind;
	enum err e;

	if (r->error)
		return r->error;
	kind = reader_uvarint(&inner);
	reader_uvarint(&inner); /* the version: what it appends is skipped with the rest of the record */
	if (inner.error)
		return inner.error;
	e = get_fields(&inner, a, kind, &record);
	if (e) {
		reader_fail(r, e);
		return e;
	}
	*ret_record = record;
	return OK;
}
