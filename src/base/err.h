/*
 * err: every error of the system, one list. What is -1 or more is Kafka's code and goes on the wire as it is; what is -1000
 * or less is ours and is turned into one of Kafka's where a request is answered (err_to_kafka).
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/must.h"

/* X(name, code, retriable, refresh the metadata, text). Kafka's: names, codes and flags as of Apache Kafka 4.4. */
#define ERR_LIST_KAFKA(X) \
	X(UNKNOWN_SERVER_ERROR, -1, 0, 0, "unknown server error") \
	X(OFFSET_OUT_OF_RANGE, 1, 0, 0, "offset out of range") \
	X(CORRUPT_MESSAGE, 2, 1, 0, "corrupt message") \
	X(UNKNOWN_TOPIC_OR_PARTITION, 3, 1, 1, "unknown topic or partition") \
	X(INVALID_FETCH_SIZE, 4, 0, 0, "invalid fetch size") \
	X(LEADER_NOT_AVAILABLE, 5, 1, 1, "leader not available") \
	X(NOT_LEADER_OR_FOLLOWER, 6, 1, 1, "not leader or follower") \
	X(REQUEST_TIMED_OUT, 7, 1, 0, "request timed out") \
	X(BROKER_NOT_AVAILABLE, 8, 0, 0, "broker not available") \
	X(REPLICA_NOT_AVAILABLE, 9, 1, 1, "replica not available") \
	X(MESSAGE_TOO_LARGE, 10, 0, 0, "message too large") \
	X(STALE_CONTROLLER_EPOCH, 11, 0, 0, "stale controller epoch") \
	X(OFFSET_METADATA_TOO_LARGE, 12, 0, 0, "offset metadata too large") \
	X(NETWORK_EXCEPTION, 13, 1, 1, "network exception") \
	X(COORDINATOR_LOAD_IN_PROGRESS, 14, 1, 0, "coordinator load in progress") \
	X(COORDINATOR_NOT_AVAILABLE, 15, 1, 0, "coordinator not available") \
	X(NOT_COORDINATOR, 16, 1, 0, "not coordinator") \
	X(INVALID_TOPIC_EXCEPTION, 17, 0, 0, "invalid topic exception") \
	X(RECORD_LIST_TOO_LARGE, 18, 0, 0, "record list too large") \
	X(NOT_ENOUGH_REPLICAS, 19, 1, 0, "not enough replicas") \
	X(NOT_ENOUGH_REPLICAS_AFTER_APPEND, 20, 1, 0, "not enough replicas after append") \
	X(INVALID_REQUIRED_ACKS, 21, 0, 0, "invalid required acks") \
	X(ILLEGAL_GENERATION, 22, 0, 0, "illegal generation") \
	X(INCONSISTENT_GROUP_PROTOCOL, 23, 0, 0, "inconsistent group protocol") \
	X(INVALID_GROUP_ID, 24, 0, 0, "invalid group id") \
	X(UNKNOWN_MEMBER_ID, 25, 0, 0, "unknown member id") \
	X(INVALID_SESSION_TIMEOUT, 26, 0, 0, "invalid session timeout") \
	X(REBALANCE_IN_PROGRESS, 27, 0, 0, "rebalance in progress") \
	X(INVALID_COMMIT_OFFSET_SIZE, 28, 0, 0, "invalid commit offset size") \
	X(TOPIC_AUTHORIZATION_FAILED, 29, 0, 0, "topic authorization failed") \
	X(GROUP_AUTHORIZATION_FAILED, 30, 0, 0, "group authorization failed") \
	X(CLUSTER_AUTHORIZATION_FAILED, 31, 0, 0, "cluster authorization failed") \
	X(INVALID_TIMESTAMP, 32, 0, 0, "invalid timestamp") \
	X(UNSUPPORTED_SASL_MECHANISM, 33, 0, 0, "unsupported sasl mechanism") \
	X(ILLEGAL_SASL_STATE, 34, 0, 0, "illegal sasl state") \
	X(UNSUPPORTED_VERSION, 35, 0, 0, "unsupported version") \
	X(TOPIC_ALREADY_EXISTS, 36, 0, 0, "topic already exists") \
	X(INVALID_PARTITIONS, 37, 0, 0, "invalid partitions") \
	X(INVALID_REPLICATION_FACTOR, 38, 0, 0, "invalid replication factor") \
	X(INVALID_REPLICA_ASSIGNMENT, 39, 0, 0, "invalid replica assignment") \
	X(INVALID_CONFIG, 40, 0, 0, "invalid config") \
	X(NOT_CONTROLLER, 41, 1, 0, "not controller") \
	X(INVALID_REQUEST, 42, 0, 0, "invalid request") \
	X(UNSUPPORTED_FOR_MESSAGE_FORMAT, 43, 0, 0, "unsupported for message format") \
	X(POLICY_VIOLATION, 44, 0, 0, "policy violation") \
	X(OUT_OF_ORDER_SEQUENCE_NUMBER, 45, 0, 0, "out of order sequence number") \
	X(DUPLICATE_SEQUENCE_NUMBER, 46, 0, 0, "duplicate sequence number") \
	X(INVALID_PRODUCER_EPOCH, 47, 0, 0, "invalid producer epoch") \
	X(INVALID_TXN_STATE, 48, 0, 0, "invalid txn state") \
	X(INVALID_PRODUCER_ID_MAPPING, 49, 0, 0, "invalid producer id mapping") \
	X(INVALID_TRANSACTION_TIMEOUT, 50, 0, 0, "invalid transaction timeout") \
	X(CONCURRENT_TRANSACTIONS, 51, 1, 0, "concurrent transactions") \
	X(TRANSACTION_COORDINATOR_FENCED, 52, 0, 0, "transaction coordinator fenced") \
	X(TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 53, 0, 0, "transactional id authorization failed") \
	X(SECURITY_DISABLED, 54, 0, 0, "security disabled") \
	X(OPERATION_NOT_ATTEMPTED, 55, 0, 0, "operation not attempted") \
	X(KAFKA_STORAGE_ERROR, 56, 1, 1, "kafka storage error") \
	X(LOG_DIR_NOT_FOUND, 57, 0, 0, "log dir not found") \
	X(SASL_AUTHENTICATION_FAILED, 58, 0, 0, "sasl authentication failed") \
	X(UNKNOWN_PRODUCER_ID, 59, 0, 0, "unknown producer id") \
	X(REASSIGNMENT_IN_PROGRESS, 60, 0, 0, "reassignment in progress") \
	X(DELEGATION_TOKEN_AUTH_DISABLED, 61, 0, 0, "delegation token auth disabled") \
	X(DELEGATION_TOKEN_NOT_FOUND, 62, 0, 0, "delegation token not found") \
	X(DELEGATION_TOKEN_OWNER_MISMATCH, 63, 0, 0, "delegation token owner mismatch") \
	X(DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, 64, 0, 0, "delegation token request not allowed") \
	X(DELEGATION_TOKEN_AUTHORIZATION_FAILED, 65, 0, 0, "delegation token authorization failed") \
	X(DELEGATION_TOKEN_EXPIRED, 66, 0, 0, "delegation token expired") \
	X(INVALID_PRINCIPAL_TYPE, 67, 0, 0, "invalid principal type") \
	X(NON_EMPTY_GROUP, 68, 0, 0, "non empty group") \
	X(GROUP_ID_NOT_FOUND, 69, 0, 0, "group id not found") \
	X(FETCH_SESSION_ID_NOT_FOUND, 70, 1, 0, "fetch session id not found") \
	X(INVALID_FETCH_SESSION_EPOCH, 71, 1, 0, "invalid fetch session epoch") \
	X(LISTENER_NOT_FOUND, 72, 1, 1, "listener not found") \
	X(TOPIC_DELETION_DISABLED, 73, 0, 0, "topic deletion disabled") \
	X(FENCED_LEADER_EPOCH, 74, 1, 1, "fenced leader epoch") \
	X(UNKNOWN_LEADER_EPOCH, 75, 1, 0, "unknown leader epoch") \
	X(UNSUPPORTED_COMPRESSION_TYPE, 76, 0, 0, "unsupported compression type") \
	X(STALE_BROKER_EPOCH, 77, 0, 0, "stale broker epoch") \
	X(OFFSET_NOT_AVAILABLE, 78, 1, 0, "offset not available") \
	X(MEMBER_ID_REQUIRED, 79, 0, 0, "member id required") \
	X(PREFERRED_LEADER_NOT_AVAILABLE, 80, 1, 1, "preferred leader not available") \
	X(GROUP_MAX_SIZE_REACHED, 81, 0, 0, "group max size reached") \
	X(FENCED_INSTANCE_ID, 82, 0, 0, "fenced instance id") \
	X(ELIGIBLE_LEADERS_NOT_AVAILABLE, 83, 1, 1, "eligible leaders not available") \
	X(ELECTION_NOT_NEEDED, 84, 1, 1, "election not needed") \
	X(NO_REASSIGNMENT_IN_PROGRESS, 85, 0, 0, "no reassignment in progress") \
	X(GROUP_SUBSCRIBED_TO_TOPIC, 86, 0, 0, "group subscribed to topic") \
	X(INVALID_RECORD, 87, 0, 0, "invalid record") \
	X(UNSTABLE_OFFSET_COMMIT, 88, 1, 0, "unstable offset commit") \
	X(THROTTLING_QUOTA_EXCEEDED, 89, 1, 0, "throttling quota exceeded") \
	X(PRODUCER_FENCED, 90, 0, 0, "producer fenced") \
	X(RESOURCE_NOT_FOUND, 91, 0, 0, "resource not found") \
	X(DUPLICATE_RESOURCE, 92, 0, 0, "duplicate resource") \
	X(UNACCEPTABLE_CREDENTIAL, 93, 0, 0, "unacceptable credential") \
	X(INCONSISTENT_VOTER_SET, 94, 0, 0, "inconsistent voter set") \
	X(INVALID_UPDATE_VERSION, 95, 0, 0, "invalid update version") \
	X(FEATURE_UPDATE_FAILED, 96, 0, 0, "feature update failed") \
	X(PRINCIPAL_DESERIALIZATION_FAILURE, 97, 0, 0, "principal deserialization failure") \
	X(SNAPSHOT_NOT_FOUND, 98, 0, 0, "snapshot not found") \
	X(POSITION_OUT_OF_RANGE, 99, 0, 0, "position out of range") \
	X(UNKNOWN_TOPIC_ID, 100, 1, 1, "unknown topic id") \
	X(DUPLICATE_BROKER_REGISTRATION, 101, 0, 0, "duplicate broker registration") \
	X(BROKER_ID_NOT_REGISTERED, 102, 0, 0, "broker id not registered") \
	X(INCONSISTENT_TOPIC_ID, 103, 1, 1, "inconsistent topic id") \
	X(INCONSISTENT_CLUSTER_ID, 104, 0, 0, "inconsistent cluster id") \
	X(TRANSACTIONAL_ID_NOT_FOUND, 105, 0, 0, "transactional id not found") \
	X(FETCH_SESSION_TOPIC_ID_ERROR, 106, 1, 0, "fetch session topic id error") \
	X(INELIGIBLE_REPLICA, 107, 0, 0, "ineligible replica") \
	X(NEW_LEADER_ELECTED, 108, 0, 0, "new leader elected") \
	X(OFFSET_MOVED_TO_TIERED_STORAGE, 109, 0, 0, "offset moved to tiered storage") \
	X(FENCED_MEMBER_EPOCH, 110, 0, 0, "fenced member epoch") \
	X(UNRELEASED_INSTANCE_ID, 111, 0, 0, "unreleased instance id") \
	X(UNSUPPORTED_ASSIGNOR, 112, 0, 0, "unsupported assignor") \
	X(STALE_MEMBER_EPOCH, 113, 0, 0, "stale member epoch") \
	X(MISMATCHED_ENDPOINT_TYPE, 114, 0, 0, "mismatched endpoint type") \
	X(UNSUPPORTED_ENDPOINT_TYPE, 115, 0, 0, "unsupported endpoint type") \
	X(UNKNOWN_CONTROLLER_ID, 116, 0, 0, "unknown controller id") \
	X(UNKNOWN_SUBSCRIPTION_ID, 117, 0, 0, "unknown subscription id") \
	X(TELEMETRY_TOO_LARGE, 118, 0, 0, "telemetry too large") \
	X(INVALID_REGISTRATION, 119, 0, 0, "invalid registration") \
	X(TRANSACTION_ABORTABLE, 120, 0, 0, "transaction abortable") \
	X(INVALID_RECORD_STATE, 121, 0, 0, "invalid record state") \
	X(SHARE_SESSION_NOT_FOUND, 122, 1, 0, "share session not found") \
	X(INVALID_SHARE_SESSION_EPOCH, 123, 1, 0, "invalid share session epoch") \
	X(FENCED_STATE_EPOCH, 124, 0, 0, "fenced state epoch") \
	X(INVALID_VOTER_KEY, 125, 0, 0, "invalid voter key") \
	X(DUPLICATE_VOTER, 126, 0, 0, "duplicate voter") \
	X(VOTER_NOT_FOUND, 127, 0, 0, "voter not found") \
	X(INVALID_REGULAR_EXPRESSION, 128, 0, 0, "invalid regular expression") \
	X(REBOOTSTRAP_REQUIRED, 129, 0, 0, "rebootstrap required") \
	X(STREAMS_INVALID_TOPOLOGY, 130, 0, 0, "streams invalid topology") \
	X(STREAMS_INVALID_TOPOLOGY_EPOCH, 131, 0, 0, "streams invalid topology epoch") \
	X(STREAMS_TOPOLOGY_FENCED, 132, 0, 0, "streams topology fenced") \
	X(SHARE_SESSION_LIMIT_REACHED, 133, 1, 0, "share session limit reached") \
	X(GROUP_DELETION_FAILED, 134, 0, 0, "group deletion failed") \
	X(STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED, 135, 0, 0, "streams topology description update failed") \
	X(CONTROLLER_ID_NOT_REGISTERED, 136, 0, 0, "controller id not registered")

/* X(name, code, text): our own. */
#define ERR_LIST_OWN(X) \
	X(MALFORMED, -1000, "bytes that do not parse") \
	X(TOO_BIG, -1001, "larger than its maximum") \
	X(NO_MEMORY, -1002, "out of budgeted memory") \
	X(IO, -1003, "input or output error") \
	X(NO_SPACE, -1004, "no space left on the device") \
	X(NOT_FOUND, -1005, "not found") \
	X(EXISTS, -1006, "exists already") \
	X(CLOSED, -1007, "closed") \
	X(CANCELLED, -1008, "cancelled") \
	X(TIMED_OUT, -1009, "timed out") \
	X(BUSY, -1010, "in use") \
	X(TOO_MANY_FILES, -1011, "too many open files") \
	X(PERMISSION, -1012, "permission denied") \
	X(ADDRESS_IN_USE, -1013, "address already in use") \
	X(CONNECTION_REFUSED, -1014, "connection refused") \
	X(CONNECTION_LOST, -1015, "connection lost") \
	X(NAME_RESOLUTION, -1016, "host name does not resolve") \
	X(CORRUPT, -1017, "damaged data") \
	X(BAD_EPOCH, -1018, "older or inconsistent leader epoch") \
	X(UNKNOWN_EPOCH, -1019, "leader epoch not known") \
	X(BAD_CONFIG, -1020, "invalid setting") \
	X(BAD_VERSION, -1021, "version not supported") \
	X(CONFLICT, -1022, "changed in the meantime") \
	X(OFFLINE, -1023, "log folder is offline") \
	X(UNSUPPORTED, -1024, "not supported here") \
	X(END, -1025, "end of the data") \
	X(WRONG_STATE, -1026, "not possible in this state") \
	X(USAGE, -1027, "wrong use") \
	X(INTERRUPTED, -1028, "interrupted") \
	X(NO_SESSION, -1029, "session is over") \
	X(AGAIN, -1030, "not now") \
	X(CALLBACK_DUE, -1031, "a callback is due") \
	X(STALLED, -1032, "nothing moves")

/* Unformatted: clang-format takes a list macro for the beginning of the next line. */
/* clang-format off */
enum err {
	OK = 0,
#define X(name, code, retriable, refresh, text) ERR_##name = (code),
	ERR_LIST_KAFKA(X)
#undef X
#define X(name, code, text) ERR_##name = (code),
	ERR_LIST_OWN(X)
#undef X
};
/* clang-format on */

/* The constant's name without ERR_, as Kafka writes it: "NONE", "NOT_LEADER_OR_FOLLOWER"; "ERROR_<n>" is never returned: unknown codes are "UNKNOWN". */
const char *err_name(enum err e);
/* A few words for people. */
const char *err_text(enum err e);
/* Kafka marks it so that a client may send the request again. False for ours. */
bool err_retriable(enum err e);
/* A client should fetch the metadata anew before it retries. False for ours. */
bool err_refreshes_metadata(enum err e);
/*
 * The code that goes on the wire: Kafka's own unchanged; of ours those that have a counterpart become it (MALFORMED and
 * CORRUPT are CORRUPT_MESSAGE, what concerns files KAFKA_STORAGE_ERROR; the table is in err.c), the rest
 * UNKNOWN_SERVER_ERROR.
 */
int16_t err_to_kafka(enum err e);

#endif
