/* internal_topics: see the header. */
#include "broker/internal_topics.h"

#include <stdio.h>

static const struct {
	const char *name;
	enum config_id partitions;
	enum config_id replicas;
	enum config_id segment_bytes;
	const char *cleanup_policy;
	const char *compression;
} table[INTERNAL_TOPICS] = {
	[INTERNAL_GROUPS] = {"__consumer_offsets", CONFIG_OFFSETS_TOPIC_NUM_PARTITIONS,
			     CONFIG_OFFSETS_TOPIC_REPLICATION_FACTOR, CONFIG_OFFSETS_TOPIC_SEGMENT_BYTES, "compact",
			     "producer"},
	[INTERNAL_TRANSACTIONS] = {"__transaction_state", CONFIG_TRANSACTION_STATE_LOG_NUM_PARTITIONS,
				   CONFIG_TRANSACTION_STATE_LOG_REPLICATION_FACTOR,
				   CONFIG_TRANSACTION_STATE_LOG_SEGMENT_BYTES, "compact", "uncompressed"},
	[INTERNAL_SHARES] = {"__share_group_state", CONFIG_SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS,
			     CONFIG_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR,
			     CONFIG_SHARE_COORDINATOR_STATE_TOPIC_SEGMENT_BYTES, "delete", "producer"},
};

const char *internal_topic_name(enum internal_topic t)
{
	return table[t].name;
}

bool internal_topic_find(struct bytes name, enum internal_topic *ret_topic)
{
	for (enum internal_topic t = 0; t < INTERNAL_TOPICS; t++)
		if (bytes_equal_str(name, table[t].name)) {
			*ret_topic = t;
			return true;
		}
	return false;
}

static void add(struct internal_topic_plan *p, const char *name, const char *value)
{
	p->configs[p->topic.config_count++] = (struct config_entry){bytes_str(name), bytes_str(value)};
}

static void add_min_isr(const struct config *c, enum config_id id, struct internal_topic_plan *p)
{
	int64_t wanted = config_int64(c, id), most = p->topic.replication_factor;

	snprintf(p->min_isr, sizeof(p->min_isr), "%lld", (long long)(wanted < most ? wanted : most));
	add(p, "min.insync.replicas", p->min_isr);
}

void internal_topic_plan(const struct config *c, size_t brokers, enum internal_topic t,
			 struct internal_topic_plan *ret_plan)
{
	int64_t replicas = config_int64(c, table[t].replicas);

	if (replicas > (int64_t)brokers)
		replicas = (int64_t)brokers;
	*ret_plan = (struct internal_topic_plan){.topic = {.name = bytes_str(table[t].name),
							   .partitions = config_int32(c, table[t].partitions),
							   .replication_factor = (int16_t)replicas,
							   .configs = ret_plan->configs,
							   .internal = true}};
	snprintf(ret_plan->segment_bytes, sizeof(ret_plan->segment_bytes), "%d",
		 config_int32(c, table[t].segment_bytes));
	add(ret_plan, "cleanup.policy", table[t].cleanup_policy);
	add(ret_plan, "compression.type", table[t].compression);
	add(ret_plan, "segment.bytes", ret_plan->segment_bytes);
	switch (t) {
	case INTERNAL_TRANSACTIONS:
		add_min_isr(c, CONFIG_TRANSACTION_STATE_LOG_MIN_ISR, ret_plan);
		add(ret_plan, "unclean.leader.election.enable", "false");
		break;
	case INTERNAL_SHARES:
		add_min_isr(c, CONFIG_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR, ret_plan);
		add(ret_plan, "retention.ms", "-1");
		break;
	case INTERNAL_GROUPS:
	case INTERNAL_TOPICS:
		break;
	}
}
