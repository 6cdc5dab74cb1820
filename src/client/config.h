/*
 * config: the client's settings, from pairs of text, by the names that Kafka's Java clients and librdkafka have.
 *
 * Invariants: what client_config_parse accepted is within its range and consistent (the rules between acks, retries,
 * max.in.flight and enable.idempotence are Java's). One client has all roles, so it takes producers' and consumers' settings at once.
 * Lifetime: plain values and text that client_config_fini frees.
 * Not here: the broker's and topics' settings (config/).
 */
#ifndef CLIENT_CONFIG_H
#define CLIENT_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "record/compress.h"

enum reset_policy { RESET_LATEST, RESET_EARLIEST, RESET_NONE, RESET_DURATION };
enum keyless { KEYLESS_STICKY, KEYLESS_ROUND_ROBIN };
/* How a member of a group talks to it: as classic members always did, or by KIP-848; automatic: the newer where it is possible. */
enum group_protocol { GROUP_PROTOCOL_AUTOMATIC, GROUP_PROTOCOL_CLASSIC, GROUP_PROTOCOL_CONSUMER };

#define CLIENT_ASSIGNORS_MAX 4

struct client_config {
	/* Connections. */
	char *bootstrap_servers;
	char *client_id;
	char *security_protocol;
	int64_t metadata_max_age_ms;
	int64_t retry_backoff_ms;
	int64_t retry_backoff_max_ms;
	int64_t reconnect_backoff_ms;
	int64_t reconnect_backoff_max_ms;
	int64_t connect_timeout_ms;
	int64_t request_timeout_ms;
	int64_t api_timeout_ms;
	int64_t receive_max_bytes;
	int64_t auto_create_topics;
	int64_t fail_fast;
	int64_t stall_timeout_ms; /* 0: nobody looks */
	/* Producing. */
	int64_t acks;
	int64_t linger_ms;
	int64_t batch_size;
	int64_t max_request_size;
	int64_t buffer_memory;
	int64_t max_block_ms;
	int64_t codec; /* enum codec */
	int64_t gzip_level;
	int64_t lz4_level;
	int64_t zstd_level;
	int64_t compression_level;
	int64_t retries;
	int64_t delivery_timeout_ms;
	int64_t idempotence;
	int64_t max_in_flight;
	int64_t keyless; /* enum keyless */
	int64_t adaptive;
	int64_t ignore_keys;
	char *transactional_id; /* empty: none */
	int64_t transaction_timeout_ms;
	/* Consuming. */
	int64_t fetch_min_bytes;
	int64_t fetch_max_bytes;
	int64_t fetch_max_wait_ms;
	int64_t partition_fetch_bytes;
	int64_t queued_max_kbytes;
	int64_t reset;         /* enum reset_policy */
	int64_t reset_back_ms; /* RESET_DURATION: so long before now */
	int64_t check_crcs;
	int64_t read_committed;
	int64_t partition_eof;
	char *client_rack;
	/* Consuming in a group; text is empty where none was given. */
	char *group_id;
	char *group_instance_id;
	int64_t group_protocol; /* enum group_protocol */
	char *group_remote_assignor;
	char *assignment_strategy;
	int64_t assignors[CLIENT_ASSIGNORS_MAX]; /* enum assignor, as assignment_strategy names them */
	size_t assignor_count;
	int64_t session_timeout_ms;
	int64_t heartbeat_interval_ms;
	int64_t max_poll_interval_ms;
	int64_t auto_commit;
	int64_t auto_commit_interval_ms;
	int64_t exclude_internal;
	/* Which were given, a bit each. */
	uint64_t given[2];
};

struct client_option {
	const char *name;
	const char *value;
};

/* ERR_BAD_CONFIG with a sentence in `message`: which setting, what is wrong, what would do. */
enum err client_config_parse(const struct client_option *options, size_t count, struct client_config *ret_config,
			     struct buf *message) MUST_CHECK;
void client_config_fini(struct client_config *c);
/* The level for the codec in use; CODEC_LEVEL_DEFAULT when none was given. */
int client_config_level(const struct client_config *c);
/* The table as lines of a Markdown table, for the guide. */
void client_config_print(struct buf *out);

#endif
