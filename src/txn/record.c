/*
 * record: a transactional id as a record of __transaction_state. Version 1 of its value, which can be extended, once transaction.version says so, as in Kafka:
 * older brokers cannot read it.
 */
#include "base/alloc.h"
#include "base/reader.h"
#include "metadata/image.h"
#include "txn/state.h"

/* What the codec may take for one record: arrays of structs are larger than their bytes. */
#define RECORD_ARENA_PER_BYTE 32
#define RECORD_ARENA_LEAST ((size_t)64 * 1024)
/* All but the id and the partitions, in either version, with room for the batch's own. */
#define RECORD_FIXED 160
/* A length, and the tags' end. */
#define TOPIC_FIXED 16

int16_t txn_level(const struct step *s)
{
	return s->image ? image_feature_level(s->image, "transaction.version") : 0;
}

void txn_put(const struct txn *x, struct step *s)
{
	struct transaction_log_key key;
	struct transaction_log_value value;
	size_t count = x->state == TXN_EMPTY ? 0 : x->topic_count;
	struct transaction_log_value_partitions_schema *topics = count ? mem_zalloc(count * sizeof(*topics)) : NULL;

	message_init(&transaction_log_key_type, &key);
	message_init(&transaction_log_value_type, &value);
	key.transactional_id = txn_id(x);
	for (size_t i = 0; i < count; i++) {
		const struct txn_topic *t = &x->topics[i];

		topics[i].topic = bytes_of(t->name, t->name_size);
		topics[i].partition_ids = t->partitions;
		topics[i].partition_ids_count = (int32_t)t->partition_count;
	}
	value.transaction_partitions = topics;
	value.transaction_partitions_count = x->state == TXN_EMPTY ? -1 : (int32_t)count;
	value.producer_id = x->producer_id;
	value.producer_epoch = x->producer_epoch;
	value.transaction_timeout_ms = x->timeout_ms;
	value.transaction_status = (int8_t)x->state;
	value.transaction_last_update_timestamp_ms = x->update_ms;
	value.transaction_start_timestamp_ms = x->start_ms;
	value.client_transaction_version = x->client_version;
	value.previous_producer_id = x->previous_producer_id;
	value.next_producer_id = x->next_producer_id;
	if (txn_level(s) > 0) {
		step_put(s, &transaction_log_key_type, &key, &transaction_log_value_type, 1, &value);
	} else {
		/* Version 0 cannot say these. */
		value.client_transaction_version = 0;
		value.previous_producer_id = value.next_producer_id = NO_PRODUCER_ID;
		step_put(s, &transaction_log_key_type, &key, &transaction_log_value_type, 0, &value);
	}
	mem_free(topics);
}

size_t txn_record_bound(const struct txn *x, const struct txn_partition *more, size_t count)
{
	size_t size = RECORD_FIXED + x->id_size;

	for (size_t i = 0; i < x->topic_count; i++)
		size += TOPIC_FIXED + x->topics[i].name_size + x->topics[i].partition_count * sizeof(int32_t);
	for (size_t i = 0; i < count; i++)
		if (!txn_has_partition(x, &more[i]))
			size += TOPIC_FIXED + more[i].topic.size + sizeof(int32_t);
	return size;
}

/* --- replaying ---------------------------------------------------------------------------------------------------------- */

static void replay_value(struct txns *all, struct txn *x, const struct transaction_log_value *v)
{
	txn_move(all, x, (enum txn_state)v->transaction_status);
	x->producer_id = v->producer_id;
	x->previous_producer_id = v->previous_producer_id;
	x->next_producer_id = v->next_producer_id;
	x->producer_epoch = v->producer_epoch;
	x->last_producer_epoch = NO_EPOCH; /* it is not recorded */
	x->client_version = v->client_transaction_version;
	x->timeout_ms = v->transaction_timeout_ms;
	x->start_ms = v->transaction_start_timestamp_ms < 0 ? -1 : v->transaction_start_timestamp_ms;
	x->update_ms = v->transaction_last_update_timestamp_ms;
	txn_clear_partitions(x);
	for (int32_t i = 0; i < v->transaction_partitions_count; i++) {
		const struct transaction_log_value_partitions_schema *t = &v->transaction_partitions[i];

		for (int32_t k = 0; k < t->partition_ids_count; k++)
			txn_add_partition(x, &(struct txn_partition){t->topic, t->partition_ids[k]});
	}
}

static enum err replay_in(struct txns *all, const struct replayed *from, struct arena *arena)
{
	struct reader key = reader_of(from->key), value = reader_of(from->value);
	struct transaction_log_key k;
	struct transaction_log_value v;
	struct txn *x;
	int16_t version;

	if (reader_i16(&key) != 0)
		return key.error ? ERR_CORRUPT : OK;
	if (key.error || message_decode(&transaction_log_key_type, 0, &key, arena, &k))
		return ERR_CORRUPT;
	x = txn_find(all, k.transactional_id);
	if (bytes_is_null(from->value)) {
		if (x)
			txn_remove(all, x);
		return OK;
	}
	version = reader_i16(&value);
	if (value.error || message_decode(&transaction_log_value_type, version, &value, arena, &v))
		return ERR_CORRUPT;
	if (v.transaction_status < 0 || v.transaction_status >= TXN_STATES ||
	    v.transaction_status == TXN_PREPARE_EPOCH_FENCE)
		return ERR_CORRUPT;
	replay_value(all, x ? x : txn_new(all, k.transactional_id), &v);
	return OK;
}

enum err txn_replay(struct txns *all, const struct replayed *r)
{
	struct arena arena;
	enum err e;

	arena_init(&arena, RECORD_ARENA_LEAST + r->value.size * RECORD_ARENA_PER_BYTE);
	e = replay_in(all, r, &arena);
	arena_fini(&arena);
	return e;
}
