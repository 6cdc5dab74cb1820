/* kraft_test: what records of Kafka's metadata log come to. Whole folders that Kafka wrote: tests/system/kafka_folder_test.py. */
#include "controller/kraft.h"

#include "base/buf.h"
#include "base/test.h"
#include "protocol/codec.h"
#include "protocol/kraft_messages.h"
#include "record/builder.h"

static const struct uuid id_a = {.bytes = {1}}, id_b = {.bytes = {2}};
static const int32_t one[] = {1}, two[] = {1, 2};

/* A record's value as Kafka frames it. */
static struct bytes framed(struct buf *b, unsigned key, int16_t version, const struct message_type *type,
			   const void *message)
{
	buf_reset(b);
	buf_put_uvarint(b, 1);
	buf_put_uvarint(b, key);
	buf_put_uvarint(b, (uint64_t)version);
	must_ok(message_encode(type, version, message, b));
	return buf_bytes(b);
}

static enum err take(struct kraft_picture *p, unsigned key, int16_t version, const struct message_type *type,
		     const void *message)
{
	struct buf b;
	enum err e;

	buf_init(&b, 10000);
	e = kraft_take_record(p, framed(&b, key, version, type, message));
	buf_fini(&b);
	return e;
}

static enum err topic(struct kraft_picture *p, const char *name, struct uuid id)
{
	struct topic_record r = {.name = bytes_str(name), .topic_id = id};

	return take(p, 2, 0, &topic_record_type, &r);
}

static enum err partition(struct kraft_picture *p, struct uuid id, int32_t index, const int32_t *replicas,
			  int32_t count)
{
	struct partition_record r;

	message_init(&partition_record_type, &r);
	r.topic_id = id;
	r.partition_id = index;
	r.replicas = r.isr = (int32_t *)(uintptr_t)replicas;
	r.replicas_count = r.isr_count = count;
	r.leader = 1;
	r.leader_epoch = 0;
	return take(p, 3, 1, &partition_record_type, &r);
}

static enum err change(struct kraft_picture *p, struct uuid id, int32_t index, int32_t leader)
{
	struct partition_change_record r;

	message_init(&partition_change_record_type, &r);
	r.topic_id = id;
	r.partition_id = index;
	r.leader = leader;
	return take(p, 5, 1, &partition_change_record_type, &r);
}

static enum err config(struct kraft_picture *p, int8_t kind, const char *resource, const char *name, const char *value)
{
	struct config_record r = {.resource_type = kind,
				  .resource_name = bytes_str(resource),
				  .name = bytes_str(name),
				  .value = value ? bytes_str(value) : bytes_null()};

	return take(p, 4, 0, &config_record_type, &r);
}

static const struct kraft_topic *topic_named(const struct kraft_picture *p, const char *name)
{
	const struct kraft_topic *t;
	size_t place = 0;

	while ((t = kraft_next_topic(p, &place)))
		if (bytes_equal_str(t->name, name))
			return t;
	return NULL;
}

TEST(topics_come_and_go_and_leaders_change)
{
	struct kraft_picture *p = kraft_picture_new(1 << 20);
	struct remove_topic_record removed = {.topic_id = id_b};
	const struct kraft_topic *t;

	must_ok(topic(p, "a", id_a));
	must_ok(topic(p, "b", id_b));
	must_ok(partition(p, id_a, 1, two, 2)); /* behind a gap */
	t = topic_named(p, "a");
	CHECK_EQ(t->partition_count, 2);
	CHECK(!t->partitions[0].known);
	must_ok(partition(p, id_a, 0, one, 1));
	CHECK(t->partitions[0].known);
	CHECK_EQ(t->partitions[1].replica_count, 2);
	must_ok(change(p, id_a, 0, -1)); /* no leader: an epoch of its own */
	must_ok(change(p, id_a, 0, 1));
	must_ok(change(p, id_a, 0, -2)); /* the isr alone changed */
	CHECK_EQ(t->partitions[0].leader_epoch, 2);
	CHECK_EQ(t->partitions[0].leader, 1);
	must_ok(take(p, 9, 0, &remove_topic_record_type, &removed));
	CHECK(!topic_named(p, "b"));
	kraft_picture_free(p);
}

TEST(settings_are_replaced_and_taken_away)
{
	struct kraft_picture *p = kraft_picture_new(1 << 20);
	const struct kraft_configured *c;
	size_t place = 0;

	must_ok(config(p, CONFIG_OF_TOPIC, "a", "retention.ms", "1"));
	must_ok(config(p, CONFIG_OF_TOPIC, "a", "segment.ms", "2"));
	must_ok(config(p, CONFIG_OF_BROKER, "", "log.cleaner.threads", "3"));
	must_ok(config(p, CONFIG_OF_TOPIC, "a", "segment.ms", "4"));
	must_ok(config(p, CONFIG_OF_TOPIC, "a", "retention.ms", NULL));
	must_ok(config(p, CONFIG_OF_TOPIC, "a", "never.set", NULL));
	c = kraft_next_configured(p, &place);
	CHECK_EQ(c->count, 1);
	CHECK(bytes_equal_str(c->entries[0].name, "segment.ms"));
	CHECK(bytes_equal_str(c->entries[0].value, "4"));
	c = kraft_next_configured(p, &place);
	CHECK_EQ(c->kind, CONFIG_OF_BROKER);
	CHECK_EQ(c->name.size, 0);
	CHECK(!kraft_next_configured(p, &place));
	kraft_picture_free(p);
}

TEST(a_topic_made_anew_has_not_the_settings_of_the_one_that_went)
{
	struct kraft_picture *p = kraft_picture_new(1 << 20);
	struct remove_topic_record removed = {.topic_id = id_a};
	size_t place = 0;

	must_ok(topic(p, "a", id_a));
	must_ok(config(p, CONFIG_OF_TOPIC, "a", "retention.ms", "1000"));
	must_ok(config(p, CONFIG_OF_GROUP, "a", "consumer.session.timeout.ms", "45000"));
	must_ok(take(p, 9, 0, &remove_topic_record_type, &removed));
	must_ok(topic(p, "a", id_b));
	CHECK_EQ(kraft_next_configured(p, &place)->kind, CONFIG_OF_GROUP);
	CHECK(!kraft_next_configured(p, &place));
	kraft_picture_free(p);
}

TEST(a_transaction_counts_whole_or_not_at_all)
{
	struct begin_transaction_record begin = {.name = bytes_null()};
	struct abort_transaction_record abort = {.reason = bytes_null()};
	struct end_transaction_record end = {{0}};
	struct kraft_picture *p = kraft_picture_new(1 << 20);

	must_ok(take(p, 23, 0, &begin_transaction_record_type, &begin));
	must_ok(topic(p, "aborted", id_a));
	must_ok(take(p, 25, 0, &abort_transaction_record_type, &abort));
	must_ok(take(p, 23, 0, &begin_transaction_record_type, &begin));
	CHECK_EQ(take(p, 23, 0, &begin_transaction_record_type, &begin), ERR_MALFORMED);
	must_ok(topic(p, "whole", id_a));
	must_ok(partition(p, id_a, 0, one, 1));
	CHECK(!topic_named(p, "whole"));
	must_ok(take(p, 24, 0, &end_transaction_record_type, &end));
	CHECK_EQ(topic_named(p, "whole")->partition_count, 1);
	CHECK_EQ(take(p, 24, 0, &end_transaction_record_type, &end), ERR_MALFORMED);
	must_ok(take(p, 23, 0, &begin_transaction_record_type, &begin));
	must_ok(topic(p, "open", id_b)); /* the log ends here */
	CHECK(!topic_named(p, "open"));
	CHECK(!topic_named(p, "aborted"));
	kraft_picture_free(p);
}

TEST(what_is_not_known_is_an_error)
{
	static const struct {
		const char *value;
		size_t size;
		enum err err;
	} cases[] = {
		{"", 0, ERR_MALFORMED},
		{"\x01\x14\x00\x00", 4, OK}, /* NoOpRecord */
		/* ClearElrRecord, which Kafka writes with the settings of __transaction_state; UnregisterControllerRecord */
		{"\x01\x1c\x00\x02\x74\x00", 6, OK},
		{"\x01\x1d\x00\x00\x00\x00\x01\x00", 8, OK},
		{"\x02\x14\x00\x00", 4, ERR_BAD_VERSION}, /* another frame */
		{"\x01\x06\x00\x00", 4, ERR_BAD_VERSION}, /* a kind that Kafka 4 has no more */
		{"\x01\x7f\x00\x00", 4, ERR_BAD_VERSION}, /* one that it does not have yet */
		{"\x01\x14\x09\x00", 4, ERR_BAD_VERSION}, /* a newer version */
		{"\x01\x09\x00\x00", 4, ERR_MALFORMED},   /* cut */
	};
	struct kraft_picture *p = kraft_picture_new(1 << 20);

	for (size_t i = 0; i < countof(cases); i++)
		CHECK_EQ(kraft_take_record(p, bytes_of(cases[i].value, cases[i].size)), cases[i].err);
	CHECK_EQ(partition(p, id_a, 0, one, 1), ERR_MALFORMED); /* of a topic that is not there */
	CHECK_EQ(config(p, 7, "a", "b", "c"), ERR_BAD_VERSION);
	kraft_picture_free(p);
}

TEST(records_below_the_snapshot_are_left_out_and_half_a_batch_waits)
{
	struct batch_options o = batch_options_default(10000);
	struct topic_record r = {.name = bytes_str("below"), .topic_id = id_a};
	struct kraft_picture *p = kraft_picture_new(1 << 20);
	struct batch_builder b;
	struct bytes batch;
	struct buf value, twice;
	size_t used;

	buf_init(&value, 1000);
	buf_init(&twice, 10000);
	batch_builder_init(&b, &o);
	must_ok(batch_builder_append(&b, 0, bytes_null(), framed(&value, 2, 0, &topic_record_type, &r), NULL, 0));
	r = (struct topic_record){.name = bytes_str("above"), .topic_id = id_b};
	must_ok(batch_builder_append(&b, 0, bytes_null(), framed(&value, 2, 0, &topic_record_type, &r), NULL, 0));
	must_ok(batch_builder_finish(&b, &batch));
	buf_put_bytes(&twice, batch);
	buf_put(&twice, batch.data, batch.size - 1);
	must_ok(kraft_take_batches(p, buf_bytes(&twice), 1, &used));
	CHECK_EQ(used, batch.size);
	CHECK(!topic_named(p, "below"));
	CHECK(topic_named(p, "above"));
	twice.data[batch.size - 1] ^= 1;
	CHECK_EQ(kraft_take_batches(p, buf_bytes(&twice), 1, &used), ERR_CORRUPT);
	CHECK_EQ(used, 0);
	batch_builder_fini(&b);
	buf_fini(&value);
	buf_fini(&twice);
	kraft_picture_free(p);
}
