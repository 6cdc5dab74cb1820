/*
 * coordinators: which machines this broker runs on its internal topics, on each shard, and how they follow the image: a topic that appears is
 * hosted, one that goes is not.
 */
#include "broker/broker_own.h"
#include "broker/txn_ends.h"

/* Read at once while a state is loaded; the setting is Kafka's buffer, which need not be filled. */
#define LOAD_BYTES_MAX ((size_t)1024 * 1024)

static void *new_groups(void *context, int32_t partition)
{
	struct broker_part *part = context;

	(void)partition;
	return group_machine_new(&part->shard.group_options, shard_map_seed(part->shard.shard));
}

static size_t load_bytes(const struct config *c, enum config_id id)
{
	size_t bytes = (size_t)config_int32(c, id);

	return bytes < LOAD_BYTES_MAX ? bytes : LOAD_BYTES_MAX;
}

static struct coordinator *groups_new(struct broker_part *part)
{
	struct broker_shard *s = &part->shard;
	const struct config *c = s->broker->config;
	int64_t codec = config_int64(c, CONFIG_OFFSETS_TOPIC_COMPRESSION_CODEC);
	struct coordinator_options o = {
		.shard = s->shard,
		.replicas = s->replicas,
		.image = s->image,
		.ops = &group_machine,
		.machine_new = new_groups,
		.context = part,
		.codec = codec >= 0 && codec < CODEC_COUNT ? (enum codec)codec : CODEC_NONE,
		.commit_timeout_ms = config_int64(c, CONFIG_OFFSETS_COMMIT_TIMEOUT_MS),
		.load_bytes = load_bytes(c, CONFIG_OFFSETS_LOAD_BUFFER_SIZE),
	};

	group_options_read(c, &part->shard.group_options);
	return coordinator_new(&o);
}

static void *new_txns(void *context, int32_t partition)
{
	struct broker_part *part = context;

	return txn_machine_new(&part->shard.txn_options, partition, shard_map_seed(part->shard.shard));
}

/* Kafka's coordinator of transactions waits for a commit as long as its client does; its records are never compressed. */
#define TXN_COMMIT_TIMEOUT_MS 5000

static struct coordinator *txns_new(struct broker_part *part)
{
	struct broker_shard *s = &part->shard;
	const struct config *c = s->broker->config;
	struct coordinator_options o = {
		.shard = s->shard,
		.replicas = s->replicas,
		.image = s->image,
		.ops = &txn_machine,
		.machine_new = new_txns,
		.context = part,
		.codec = CODEC_NONE,
		.commit_timeout_ms = TXN_COMMIT_TIMEOUT_MS,
		.load_bytes = load_bytes(c, CONFIG_TRANSACTION_STATE_LOG_LOAD_BUFFER_SIZE),
	};

	txn_options_read(c, &s->txn_options);
	s->txn_options.prepared = txn_ends_take;
	s->txn_options.context = s->txn_ends;
	return coordinator_new(&o);
}

void coordinators_open(struct broker_part *part)
{
	part->shard.coordinators[INTERNAL_GROUPS] = groups_new(part);
	part->shard.coordinators[INTERNAL_TRANSACTIONS] = txns_new(part);
}

static struct coordinator *of(struct broker_part *part, struct bytes topic)
{
	enum internal_topic t;

	return internal_topic_find(topic, &t) ? part->shard.coordinators[t] : NULL;
}

void coordinators_topic_added(struct broker_part *part, const struct image_topic *t)
{
	struct coordinator *c = of(part, t->name);

	if (c)
		coordinator_host(c, t->id, t->partition_count);
}

void coordinators_topic_removed(struct broker_part *part, struct uuid topic_id)
{
	for (enum internal_topic t = 0; t < INTERNAL_TOPICS; t++)
		if (part->shard.coordinators[t])
			coordinator_unhost(part->shard.coordinators[t], topic_id);
}

void coordinators_image_changed(struct broker_part *part)
{
	for (enum internal_topic t = 0; t < INTERNAL_TOPICS; t++)
		if (part->shard.coordinators[t])
			coordinator_image_changed(part->shard.coordinators[t]);
}

void coordinators_stop(struct broker_part *part)
{
	for (enum internal_topic t = 0; t < INTERNAL_TOPICS; t++)
		if (part->shard.coordinators[t])
			coordinator_stop(part->shard.coordinators[t]);
}

void coordinators_close_await(struct fiber *self, struct broker_part *part)
{
	for (enum internal_topic t = 0; t < INTERNAL_TOPICS; t++) {
		if (part->shard.coordinators[t])
			coordinator_close_await(self, part->shard.coordinators[t]);
		part->shard.coordinators[t] = NULL;
	}
}
