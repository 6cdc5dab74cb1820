/*
 * partition: one replica of a partition on its shard: its role, its high watermark, and who waits for either.
 *
 *      high watermark = the least synced offset of the in-sync replicas (write.caching: the least written one)
 *      last stable offset = where the first transaction begins that is open or whose end is at or behind the high watermark, else the high watermark
 *
 *      CLOSED --touch--> OPENING --> OPEN --deleted--> REMOVED
 *                           \------> OFFLINE (damage, or its folder failed) ------^
 *
 * Invariants
 * 1. The high watermark never goes back; it never passes what is synced here (write.caching: written).
 * 2. What waits is told exactly once: when its offset is committed, or with the reason why it never will be.
 * 3. Appends reach the log in the order in which they came, also those that came before the log was open.
 * Lifetime: made and freed by replicas.h; a partition that was removed stays until its log is gone, and nothing waits on it.
 * Not here: where a partition lives and when it is opened (replicas.h), batches on disk (storage/), what a batch must look like (record/).
 */
#ifndef REPLICA_PARTITION_H
#define REPLICA_PARTITION_H

#include "base/err.h"
#include "base/list.h"
#include "record/batch.h"
#include "storage/log.h"

struct replicas;
struct topic_replicas;

enum partition_state { PARTITION_CLOSED, PARTITION_OPENING, PARTITION_OPEN, PARTITION_OFFLINE, PARTITION_REMOVED };

struct partition {
	struct log_owner log_owner; /* the log's callbacks find the partition by it */
	struct topic_replicas *topic;
	struct log *log; /* open, or NULL */
	int32_t index;
	int32_t leader_epoch;
	enum partition_state state;
	int64_t high_watermark;
	struct list arrivals;     /* of struct partition_append: wait for the log to be open */
	struct list appended;     /* of struct partition_append, by last offset: wait for their acks */
	struct list readers;      /* of struct partition_reader: told at progress */
	bool is_new;              /* of a topic that was made, or enlarged, since this process started */
	unsigned name_tries;      /* how often the log of a deleted topic still had its name */
	struct list_node opening; /* in the replicas' line of logs to open */
};

enum acks { ACKS_NONE = 0, ACKS_LEADER = 1, ACKS_ALL = -1 };

/*
 * An append from its arrival to its acknowledgement; embedded, lives until `finished`. `appended` is called when its place in the log is
 * settled (or it failed), `finished` when the acks it asked for are there and the log needs its bytes no more; always both,
 * in this order, never inside partition_append.
 */
struct partition_append {
	/* In. */
	struct bytes records;       /* as they came; mutable, in the frame */
	enum append_origin origin;  /* a coordinator may also write markers, that are taken as they are */
	int8_t transaction_version; /* of a marker */
	bool transactional;         /* the client has named a transactional id: its batch may be of a transaction */
	bool verified_only; /* a transactional batch begins a transaction only with its guard (partition_verify) */
	uint64_t guard;
	enum acks acks;
	bool allow_zstd;
	int32_t current_leader_epoch; /* -1: not checked */
	void (*appended)(struct partition_append *a);
	void (*finished)(struct partition_append *a);
	/* Out. Where the log is open they are known when partition_append returns. */
	enum err error;
	int64_t base_offset; /* -1 with an error */
	int64_t log_append_time_ms;
	int64_t log_start_offset;
	/* The partition's own. */
	struct partition *partition;
	struct log_append log;
	struct batch_facts facts;
	struct buf rewritten; /* the corrected batch, where it had to be made anew */
	struct list_node node;
	struct task notify;
	bool bytes_held;   /* the log still needs the bytes */
	bool settled;      /* `appended` was told */
	bool acknowledged; /* nothing more to wait for but the bytes */
};

void partition_append(struct partition *p, struct partition_append *a);

/* Which records broke the topic's rules, after the append failed with INVALID_RECORD or INVALID_TIMESTAMP; on the partition's shard. */
size_t partition_record_errors(const struct partition_append *a, struct record_error *ret_errors, size_t max);

/*
 * Somebody who wants to know when there may be more to read. Embedded; linked while it waits. `progressed` is called at most once per
 * registration, which ends with it: the high watermark moved, or the partition went offline or away.
 */
struct partition_reader {
	struct list_node node;
	void (*progressed)(struct partition_reader *r);
};

void partition_wait_progress(struct partition *p, struct partition_reader *r);
/* Leaves, when it waits. */
void partition_stop_waiting(struct partition_reader *r);

/* OK; FENCED_LEADER_EPOCH (the asker is behind), UNKNOWN_LEADER_EPOCH (ahead of us). Negative: not checked. */
enum err partition_check_epoch(const struct partition *p, int32_t current_leader_epoch) MUST_CHECK;
/* OK when it can be read now; KAFKA_STORAGE_ERROR when offline, UNKNOWN_TOPIC_OR_PARTITION when removed; ERR_AGAIN when it must be opened first. */
enum err partition_readable(const struct partition *p) MUST_CHECK;
/* The partition is open. */
int64_t partition_last_stable(const struct partition *p);
/* Where consumers stop: the high watermark, or the last stable offset for who reads committed records only. */
int64_t partition_read_bound(const struct partition *p, bool committed_only);
/*
 * A client's transactional records arrived, the partition is open: 0 when their transaction is open here, or when they are no batch that could
 * be appended; else the guard to append them with once the transaction's coordinator has said yes. `begins_at_zero`: Produce 12 and later.
 */
uint64_t partition_verify(struct partition *p, struct bytes records, bool begins_at_zero);

/* The same of records that a coordinator is about to write for a producer; it counts no sequences. */
uint64_t partition_verify_producer(struct partition *p, int64_t producer_id, int16_t producer_epoch);

/*
 * Would records of this producer's transaction, from a coordinator, be taken now? OK, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE (the transaction is not
 * open here, and verified_only asks for another guard). The partition is open.
 */
enum err partition_check_producer(const struct partition *p, const struct partition_append *a, int64_t producer_id,
				  int16_t producer_epoch) MUST_CHECK;

/*
 * DeleteRecords: the log starts at `offset` from now on (-1: at the high watermark); gives where it starts. Nothing to do is OK.
 * POLICY_VIOLATION where records only leave by compaction, OFFSET_OUT_OF_RANGE beyond the high watermark, KAFKA_STORAGE_ERROR. The
 * partition is open (replicas_open_await).
 */
enum err partition_delete_records_await(struct fiber *self, struct partition *p, int64_t offset,
					int64_t *ret_low_watermark) MUST_CHECK;

/* For replicas.c. */
void partition_init(struct partition *p, struct topic_replicas *topic, int32_t index, int32_t leader_epoch);
void partition_opened(struct partition *p, struct log *log);
void partition_failed(struct partition *p);
/* Everybody who waits is told `reason`; afterwards no list holds anything, and the log no longer calls back. */
void partition_removed(struct partition *p, enum err reason);
/* The topic's settings changed: what waits for a high watermark may be there now. */
void partition_update(struct partition *p);

#endif
