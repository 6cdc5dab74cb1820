/*
 * produce: what the sources of Produce share: a request, its partitions by shard.
 *
 * Lifetime: all of it is the request's, from its arena.
 */
#ifndef BROKER_HANDLE_PRODUCE_H
#define BROKER_HANDLE_PRODUCE_H

#include "broker/request.h"
#include "protocol/messages.h"

#define MAX_RECORD_ERRORS 3 /* as many as Kafka shows */

struct produce_group;

struct produce_part {
	struct partition_append append;
	struct produce_group *group;
	struct produce_part *next; /* of the group */
	struct uuid topic_id;
	int32_t partition;
	struct produce_response_partition_produce_response *answer;
	struct record_error record_errors[MAX_RECORD_ERRORS];
	size_t record_error_count;
	bool finished;
	/* Its first batch is of a transaction; whether the transaction has this partition is asked. */
	bool of_transaction;
	bool refused;                   /* append.error says why: it is not appended */
	const char *refusal;            /* the answer's words, where they are not the error's own */
	struct partition_reader reader; /* waits for the log to be open */
	/* As it was when home asked; the append itself may go on. */
	bool timed_out;
	int64_t placed_at;
};

/* The partitions of one shard. It and its parts belong to that shard between go and finished. */
struct produce_group {
	struct message go;
	struct message verified;
	struct message ordered;
	struct message finished;
	struct message ask; /* from home after the deadline, and back */
	struct request *request;
	struct broker_shard *target;
	struct produce_part *first;
	struct produce_part **last;
	size_t unsettled;
	size_t unfinished;
	size_t unverified; /* parts that wait for their log to be open */
	bool failed; /* a part has an error; read at home after `ordered` only with acks 0, after `finished` else */
	bool over;   /* at home: finished has arrived */
};

struct produce {
	struct produce_response response;
	struct produce_group *groups; /* one a shard */
	unsigned group_count;
	size_t unordered;
	size_t unfinished;
	size_t asking; /* groups that ask is away to */
	bool failed;
	struct produce_txn *txn; /* while its transaction is asked for */
};

/* produce.c: every partition that is not refused gets its place, on its shard. */
void produce_append(struct request *rq);

/* --- produce_txn.c ---------------------------------------------------------------------------------------------------- */

/* What the whole request is refused for: TRANSACTIONAL_ID_AUTHORIZATION_FAILED, INVALID_PRODUCER_ID_MAPPING (of the partitions that exist), or OK. */
enum err produce_txn_refuse_unnamed(const struct produce_request *body) MUST_CHECK;
enum err produce_txn_refuse_mixed(const struct produce *pr) MUST_CHECK;
/* Notes what there is to ask about a part. */
void produce_txn_look(struct request *rq, struct produce_part *part);
/*
 * Asks the transaction's coordinator about the partitions where it is not open; produce_append follows, with what it said. False: there is
 * nothing to ask.
 */
bool produce_txn_begin(struct request *rq);

#endif
