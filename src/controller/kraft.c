/*
 * kraft: see the header. Each kind of record has a function that applies it; the table below says which. What a record means is
 * Kafka's (metadata/src/main/java/org/apache/kafka/image: TopicDelta, PartitionRegistration.merge, ConfigurationDelta ...).
 */
#include "controller/kraft.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/reader.h"
#include "protocol/codec.h"
#include "protocol/kraft_messages.h"
#include "record/record.h"

#define FRAME_VERSION 1
#define MAX_RECORD ((size_t)64 << 20)
#define NO_LEADER_CHANGE (-2)
#define MAX_PARTITIONS 1000000

struct kraft_picture {
	struct arena arena;   /* everything that stays */
	struct arena scratch; /* a record while it is applied */
	struct buf unpacked;
	struct map topics;     /* by id */
	struct map configured; /* by kind and name */
	struct map features;
	int64_t next_producer_id;
	struct kraft_left left;
	bool in_transaction;
	struct buf waiting; /* records of the open transaction: u32 size, value */
};

struct kraft_picture *kraft_picture_new(size_t max_bytes)
{
	struct kraft_picture *p = mem_new(struct kraft_picture);

	arena_init(&p->arena, max_bytes);
	arena_init(&p->scratch, max_bytes);
	buf_init(&p->unpacked, MAX_RECORD);
	buf_init(&p->waiting, max_bytes < UINT32_MAX ? max_bytes : UINT32_MAX);
	map_init(&p->topics);
	map_init(&p->configured);
	map_init(&p->features);
	return p;
}

void kraft_picture_free(struct kraft_picture *p)
{
	if (!p)
		return;
	map_fini(&p->features);
	map_fini(&p->configured);
	map_fini(&p->topics);
	buf_fini(&p->waiting);
	buf_fini(&p->unpacked);
	arena_fini(&p->scratch);
	arena_fini(&p->arena);
	mem_free(p);
}

/* Room for one more in an array of the arena, which grows by doubling and leaves the old one behind. */
static enum err grow(struct arena *a, void **items, uint32_t count, uint32_t *capacity, size_t size)
{
	uint32_t wanted = count < 4 ? 4 : 2 * count;
	void *grown;

	if (count < *capacity)
		return OK;
	grown = arena_alloc_array(a, wanted, size);
	if (!grown)
		return ERR_NO_MEMORY;
	if (count)
		memcpy(grown, *items, count * size);
	*items = grown;
	*capacity = wanted;
	return OK;
}

static enum err copy_text(struct kraft_picture *p, struct bytes text, struct bytes *ret)
{
	*ret = arena_copy(&p->arena, text);
	return bytes_is_null(*ret) && !bytes_is_null(text) ? ERR_NO_MEMORY : OK;
}

/* In the map of what has settings: its kind, then its name. Null when the memory is used up. */
static struct bytes configured_key(struct kraft_picture *p, int8_t kind, struct bytes name)
{
	uint8_t *key = arena_alloc(&p->scratch, name.size + 1);

	if (!key)
		return bytes_null();
	key[0] = (uint8_t)kind;
	if (name.size)
		memcpy(key + 1, name.data, name.size);
	return bytes_of(key, name.size + 1);
}

/* --- topics --------------------------------------------------------------------------------------------------------------- */

static struct kraft_topic *topic_of(struct kraft_picture *p, const struct uuid *id)
{
	return map_get(&p->topics, bytes_of(id->bytes, sizeof(id->bytes)));
}

static enum err take_topic(struct kraft_picture *p, const void *message)
{
	const struct topic_record *r = message;
	struct kraft_topic *t = arena_new(&p->arena, struct kraft_topic);
	enum err e = t ? copy_text(p, r->name, &t->name) : ERR_NO_MEMORY;

	if (e)
		return e;
	t->id = r->topic_id;
	map_put(&p->topics, bytes_of(t->id.bytes, sizeof(t->id.bytes)), t);
	return OK;
}

/* Its settings go with it, without records of their own: another topic of the name begins without. */
static enum err take_topic_removed(struct kraft_picture *p, const void *message)
{
	const struct remove_topic_record *r = message;
	struct kraft_topic *t = map_remove(&p->topics, bytes_of(r->topic_id.bytes, sizeof(r->topic_id.bytes)));
	struct bytes key;

	if (!t)
		return ERR_MALFORMED;
	key = configured_key(p, CONFIG_OF_TOPIC, t->name);
	if (bytes_is_null(key))
		return ERR_NO_MEMORY;
	map_remove(&p->configured, key);
	return OK;
}

static enum err copy_replicas(struct kraft_picture *p, struct kraft_partition *partition, const int32_t *replicas,
			      int32_t count)
{
	int32_t *copy = arena_alloc_array(&p->arena, (size_t)count, sizeof(*copy));

	if (!copy)
		return ERR_NO_MEMORY;
	if (count)
		memcpy(copy, replicas, (size_t)count * sizeof(*copy));
	partition->replicas = copy;
	partition->replica_count = (uint32_t)count;
	return OK;
}

static enum err partition_at(struct kraft_picture *p, struct kraft_topic *t, int32_t index,
			     struct kraft_partition **ret_partition)
{
	if (!t || index < 0 || index >= MAX_PARTITIONS)
		return ERR_MALFORMED;
	while (t->partition_count <= (uint32_t)index) {
		void *items = t->partitions;
		enum err e = grow(&p->arena, &items, t->partition_count, &t->capacity, sizeof(struct kraft_partition));

		if (e)
			return e;
		t->partitions = items;
		t->partitions[t->partition_count++] = (struct kraft_partition){.leader = -1};
	}
	*ret_partition = &t->partitions[index];
	return OK;
}

static enum err take_partition(struct kraft_picture *p, const void *message)
{
	const struct partition_record *r = message;
	struct kraft_partition *partition = NULL;
	enum err e = partition_at(p, topic_of(p, &r->topic_id), r->partition_id, &partition);

	if (e)
		return e;
	partition->known = true;
	partition->leader = r->leader;
	partition->leader_epoch = r->leader_epoch;
	return copy_replicas(p, partition, r->replicas, r->replicas_count);
}

static enum err take_partition_change(struct kraft_picture *p, const void *message)
{
	const struct partition_change_record *r = message;
	struct kraft_topic *t = topic_of(p, &r->topic_id);
	struct kraft_partition *partition;

	if (!t || r->partition_id < 0 || (uint32_t)r->partition_id >= t->partition_count)
		return ERR_MALFORMED;
	partition = &t->partitions[r->partition_id];
	if (r->leader != NO_LEADER_CHANGE) {
		if (partition->leader_epoch == INT32_MAX)
			return ERR_MALFORMED;
		partition->leader = r->leader;
		partition->leader_epoch++;
	}
	return r->replicas ? copy_replicas(p, partition, r->replicas, r->replicas_count) : OK;
}

/* --- settings, features, ids ------------------------------------------------------------------------------------------------ */

static enum err configured_of(struct kraft_picture *p, int8_t kind, struct bytes name,
			      struct kraft_configured **ret_configured)
{
	struct kraft_configured *c;
	struct bytes key = configured_key(p, kind, name);
	enum err e;

	if (bytes_is_null(key))
		return ERR_NO_MEMORY;
	c = map_get(&p->configured, key);
	if (!c) {
		c = arena_new(&p->arena, struct kraft_configured);
		e = c ? copy_text(p, name, &c->name) : ERR_NO_MEMORY;
		if (e)
			return e;
		c->kind = (enum config_resource)kind;
		map_put(&p->configured, key, c);
	}
	*ret_configured = c;
	return OK;
}

static enum err take_config(struct kraft_picture *p, const void *message)
{
	const struct config_record *r = message;
	struct kraft_configured *c = NULL;
	uint32_t at = 0;
	enum err e;

	if (r->resource_type != CONFIG_OF_TOPIC && r->resource_type != CONFIG_OF_BROKER &&
	    r->resource_type != CONFIG_OF_CLIENT_METRICS && r->resource_type != CONFIG_OF_GROUP)
		return ERR_BAD_VERSION;
	e = configured_of(p, r->resource_type, r->resource_name, &c);
	if (e)
		return e;
	while (at < c->count && !bytes_equal(c->entries[at].name, r->name))
		at++;
	if (bytes_is_null(r->value)) {
		if (at < c->count)
			memmove(&c->entries[at], &c->entries[at + 1], (c->count - at - 1) * sizeof(*c->entries));
		c->count -= at < c->count;
		return OK;
	}
	if (at == c->count) {
		void *items = c->entries;

		e = grow(&p->arena, &items, c->count, &c->capacity, sizeof(*c->entries));
		c->entries = items;
		if (!e)
			e = copy_text(p, r->name, &c->entries[at].name);
		if (e)
			return e;
		c->count++;
	}
	return copy_text(p, r->value, &c->entries[at].value);
}

static enum err take_feature(struct kraft_picture *p, const void *message)
{
	const struct feature_level_record *r = message;
	struct kraft_feature *f = map_get(&p->features, r->name);
	enum err e;

	if (!f) {
		f = arena_new(&p->arena, struct kraft_feature);
		e = f ? copy_text(p, r->name, &f->name) : ERR_NO_MEMORY;
		if (e)
			return e;
		map_put(&p->features, f->name, f);
	}
	f->level = r->feature_level;
	return OK;
}

static enum err take_producer_ids(struct kraft_picture *p, const void *message)
{
	const struct producer_ids_record *r = message;

	if (r->next_producer_id < p->next_producer_id)
		return ERR_MALFORMED;
	p->next_producer_id = r->next_producer_id;
	return OK;
}

/* --- what has no place yet, and what does not matter when there is one broker --------------------------------------------------- */

static enum err take_access_rule(struct kraft_picture *p, const void *message)
{
	(void)message;
	p->left.access_rules++;
	return OK;
}

static enum err take_access_rule_removed(struct kraft_picture *p, const void *message)
{
	(void)message;
	p->left.access_rules -= p->left.access_rules > 0;
	return OK;
}

static enum err take_credential(struct kraft_picture *p, const void *message)
{
	(void)message;
	p->left.credentials++;
	return OK;
}

static enum err take_credential_removed(struct kraft_picture *p, const void *message)
{
	(void)message;
	p->left.credentials -= p->left.credentials > 0;
	return OK;
}

static enum err take_quota(struct kraft_picture *p, const void *message)
{
	const struct client_quota_record *r = message;

	p->left.quotas += r->remove ? -(p->left.quotas > 0) : 1;
	return OK;
}

static enum err take_nothing(struct kraft_picture *p, const void *message)
{
	(void)p;
	(void)message;
	return OK;
}

/* --- transactions ------------------------------------------------------------------------------------------------------------ */

static enum err take_begin(struct kraft_picture *p, const void *message)
{
	(void)message;
	if (p->in_transaction)
		return ERR_MALFORMED;
	p->in_transaction = true;
	buf_reset(&p->waiting);
	return OK;
}

static enum err take_abort(struct kraft_picture *p, const void *message)
{
	(void)message;
	if (!p->in_transaction)
		return ERR_MALFORMED;
	p->in_transaction = false;
	return OK;
}

static enum err take_end(struct kraft_picture *p, const void *message)
{
	struct reader r = reader_of(buf_bytes(&p->waiting));
	enum err e = take_abort(p, message);

	while (!e && reader_left(&r) > 0) {
		uint32_t size = reader_u32(&r);

		e = kraft_take_record(p, reader_bytes(&r, size));
	}
	return e;
}

/* --- one record -------------------------------------------------------------------------------------------------------------- */

struct record_kind {
	const struct message_type *type;
	enum err (*take)(struct kraft_picture *p, const void *message);
	bool at_once; /* also inside a transaction */
};

static const struct record_kind kinds[] = {
	[0] = {&register_broker_record_type, take_nothing, false},
	[1] = {&unregister_broker_record_type, take_nothing, false},
	[2] = {&topic_record_type, take_topic, false},
	[3] = {&partition_record_type, take_partition, false},
	[4] = {&config_record_type, take_config, false},
	[5] = {&partition_change_record_type, take_partition_change, false},
	[7] = {&fence_broker_record_type, take_nothing, false},
	[8] = {&unfence_broker_record_type, take_nothing, false},
	[9] = {&remove_topic_record_type, take_topic_removed, false},
	[10] = {&delegation_token_record_type, take_credential, false},
	[11] = {&user_scram_credential_record_type, take_credential, false},
	[12] = {&feature_level_record_type, take_feature, false},
	[14] = {&client_quota_record_type, take_quota, false},
	[15] = {&producer_ids_record_type, take_producer_ids, false},
	[17] = {&broker_registration_change_record_type, take_nothing, false},
	[18] = {&access_control_entry_record_type, take_access_rule, false},
	[19] = {&remove_access_control_entry_record_type, take_access_rule_removed, false},
	[20] = {&no_op_record_type, take_nothing, false},
	[21] = {&zk_migration_state_record_type, take_nothing, false},
	[22] = {&remove_user_scram_credential_record_type, take_credential_removed, false},
	[23] = {&begin_transaction_record_type, take_begin, true},
	[24] = {&end_transaction_record_type, take_end, true},
	[25] = {&abort_transaction_record_type, take_abort, true},
	[26] = {&remove_delegation_token_record_type, take_credential_removed, false},
	[27] = {&register_controller_record_type, take_nothing, false},
	/* Kafka writes it when min.insync.replicas of a topic is set, as it does for __transaction_state: who else may lead, which is nobody here. */
	[28] = {&clear_elr_record_type, take_nothing, false},
	[29] = {&unregister_controller_record_type, take_nothing, false},
};

enum err kraft_take_record(struct kraft_picture *p, struct bytes value)
{
	_Alignas(16) uint8_t message[MESSAGE_MAX_SIZE_BYTES];
	struct reader r = reader_of(value);
	uint32_t frame = reader_uvarint(&r), key = reader_uvarint(&r), version = reader_uvarint(&r);
	enum err e;

	if (r.error)
		return ERR_MALFORMED;
	if (frame != FRAME_VERSION || key >= countof(kinds) || !kinds[key].type || version > INT16_MAX)
		return ERR_BAD_VERSION;
	if (p->in_transaction && !kinds[key].at_once) {
		buf_put_u32(&p->waiting, (uint32_t)value.size);
		buf_put_bytes(&p->waiting, value);
		return p->waiting.error ? ERR_NO_MEMORY : OK;
	}
	arena_fini(&p->scratch);
	e = message_decode(kinds[key].type, (int16_t)version, &r, &p->scratch, message);
	if (e == ERR_TOO_BIG)
		e = ERR_MALFORMED;
	return e ? e : kinds[key].take(p, message);
}

/* --- batches ----------------------------------------------------------------------------------------------------------------- */

static enum err take_batch(struct kraft_picture *p, struct bytes batch, int64_t from_offset)
{
	struct record_iter it;
	struct record r;
	enum err e;

	if (!batch_crc_ok(batch))
		return ERR_CORRUPT;
	e = record_iter_init(&it, batch, &p->unpacked, MAX_RECORD, NULL);
	if (!e && batch_is_control(&it.header))
		return OK;
	while (!e && !(e = record_iter_next(&it, &r)))
		if (r.offset >= from_offset)
			e = kraft_take_record(p, r.value);
	return e == ERR_END ? OK : e;
}

enum err kraft_take_batches(struct kraft_picture *p, struct bytes bytes, int64_t from_offset, size_t *ret_used)
{
	struct bytes rest = bytes;
	enum err e = OK;

	while (!e && rest.size) {
		struct batch_header h;
		struct bytes batch;

		*ret_used = bytes.size - rest.size;
		e = batch_next(&rest, &h, &batch);
		if (e == ERR_END)
			return OK;
		if (!e && batch_last_offset(&h) >= from_offset)
			e = take_batch(p, batch, from_offset);
	}
	if (!e)
		*ret_used = bytes.size;
	return e;
}

/* --- what came of it ----------------------------------------------------------------------------------------------------------- */

static void *next_value(const struct map *m, size_t *place)
{
	const struct map_entry *entry = map_next(m, place);

	return entry ? entry->value : NULL;
}

const struct kraft_topic *kraft_next_topic(const struct kraft_picture *p, size_t *place)
{
	return next_value(&p->topics, place);
}

const struct kraft_configured *kraft_next_configured(const struct kraft_picture *p, size_t *place)
{
	return next_value(&p->configured, place);
}

const struct kraft_feature *kraft_next_feature(const struct kraft_picture *p, size_t *place)
{
	return next_value(&p->features, place);
}

int64_t kraft_next_producer_id(const struct kraft_picture *p)
{
	return p->next_producer_id;
}

struct kraft_left kraft_left_out(const struct kraft_picture *p)
{
	return p->left;
}
