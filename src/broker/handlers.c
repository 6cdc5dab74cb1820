/* handlers: see the header. */
#include "broker/handlers.h"

#include "broker/handle/handle.h"
#include "protocol/messages.h"

static const struct api_handler *const table[HANDLERS_MAX_KEY] = {
	[API_PRODUCE] = &produce_handler,
	[API_FETCH] = &fetch_handler,
	[API_LIST_OFFSETS] = &list_offsets_handler,
	[API_METADATA] = &metadata_handler,
	[API_FIND_COORDINATOR] = &find_coordinator_handler,
	[API_OFFSET_COMMIT] = &offset_commit_handler,
	[API_OFFSET_FETCH] = &offset_fetch_handler,
	[API_JOIN_GROUP] = &join_group_handler,
	[API_HEARTBEAT] = &heartbeat_handler,
	[API_LEAVE_GROUP] = &leave_group_handler,
	[API_SYNC_GROUP] = &sync_group_handler,
	[API_DESCRIBE_GROUPS] = &describe_groups_handler,
	[API_LIST_GROUPS] = &list_groups_handler,
	[API_DELETE_GROUPS] = &delete_groups_handler,
	[API_OFFSET_DELETE] = &offset_delete_handler,
	[API_API_VERSIONS] = &api_versions_handler,
	[API_CREATE_TOPICS] = &create_topics_handler,
	[API_DELETE_TOPICS] = &delete_topics_handler,
	[API_INIT_PRODUCER_ID] = &init_producer_id_handler,
	[API_ADD_PARTITIONS_TO_TXN] = &add_partitions_to_txn_handler,
	[API_ADD_OFFSETS_TO_TXN] = &add_offsets_to_txn_handler,
	[API_END_TXN] = &end_txn_handler,
	[API_DESCRIBE_TRANSACTIONS] = &describe_transactions_handler,
	[API_LIST_TRANSACTIONS] = &list_transactions_handler,
	[API_WRITE_TXN_MARKERS] = &write_txn_markers_handler,
	[API_TXN_OFFSET_COMMIT] = &txn_offset_commit_handler,
	[API_DESCRIBE_CONFIGS] = &describe_configs_handler,
	[API_ALTER_CONFIGS] = &alter_configs_handler,
	[API_CREATE_PARTITIONS] = &create_partitions_handler,
	[API_INCREMENTAL_ALTER_CONFIGS] = &incremental_alter_configs_handler,
	[API_DELETE_RECORDS] = &delete_records_handler,
	[API_OFFSET_FOR_LEADER_EPOCH] = &offset_for_leader_epoch_handler,
	[API_DESCRIBE_LOG_DIRS] = &describe_log_dirs_handler,
	[API_DESCRIBE_PRODUCERS] = &describe_producers_handler,
	[API_ELECT_LEADERS] = &elect_leaders_handler,
	[API_DESCRIBE_QUORUM] = &describe_quorum_handler,
	[API_UPDATE_FEATURES] = &update_features_handler,
	[API_ALTER_REPLICA_LOG_DIRS] = &alter_replica_log_dirs_handler,
	[API_ALTER_PARTITION_REASSIGNMENTS] = &alter_partition_reassignments_handler,
	[API_LIST_PARTITION_REASSIGNMENTS] = &list_partition_reassignments_handler,
	[API_CONSUMER_GROUP_HEARTBEAT] = &consumer_group_heartbeat_handler,
	[API_CONSUMER_GROUP_DESCRIBE] = &consumer_group_describe_handler,
	[API_LIST_CONFIG_RESOURCES] = &list_config_resources_handler,
	[API_DESCRIBE_CLUSTER] = &describe_cluster_handler,
	[API_DESCRIBE_TOPIC_PARTITIONS] = &describe_topic_partitions_handler,
};

const struct api_handler *handlers_find(int16_t key)
{
	return key >= 0 && key < HANDLERS_MAX_KEY ? table[key] : NULL;
}
