/*
 * txn: what the verbs of `moldau txn` share: their arguments, and which partitions they are about.
 * Lifetime: txn_parse .. txn_finish. Calls the client library, stdio.
 */
#ifndef CLI_TXN_H
#define CLI_TXN_H

#include <jansson.h>

#include "cli/session.h"

#define TXN_FILTERS_MAX 64

#define TXN_TIMEOUT_HELP "  --timeout MS             how long to wait for answers (default 30000)\n"

struct txn_arguments {
	struct session session;
	const char **names; /* ids or topics */
	size_t name_count;
	size_t name_capacity;
	const char *states;
	const char *producer_ids;
	const char *pattern;
	const char *timeout;
	int64_t duration_ms;
	int64_t partition;
	bool has_partition;
	int64_t start_offset;
	bool has_start_offset;
	int64_t producer_id;
	bool has_producer_id;
	int64_t producer_epoch;
	bool has_producer_epoch;
	int64_t coordinator_epoch;
	bool has_coordinator_epoch;
	int64_t broker;
	bool has_broker;
	int64_t max_timeout_minutes;
	bool json;
};

/* NULL never; what is wrong was said, and is in `ret_code`. */
struct txn_arguments *txn_parse(const struct cli_verb *verb, int argc, char **argv, int *ret_code);
int txn_finish(struct txn_arguments *a, int code);

struct txn_partition_name {
	char *topic;
	int32_t partition;
};

struct txn_partitions {
	struct txn_partition_name *items;
	size_t count;
	size_t capacity;
};

/* Those that the topics, --partition and --broker-id mean; without a topic all. CLI_DONE, or the exit code after a line. */
int txn_partitions(struct txn_arguments *a, struct txn_partitions *ret);
void txn_partitions_fini(struct txn_partitions *p);

/* A line of JSON; takes the reference. */
void txn_print(json_t *row);
/* The clock of this machine. */
int64_t txn_now_ms(void);

#endif
