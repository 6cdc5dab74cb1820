/*
 * log: the records of one partition, on disk in Kafka's layout, on its shard.
 *
 *      start                recovery point                synced         written        end
 *      |--- segment --- segment --- ... --- active segment |--- sync ---->|--- write --->|  appended, in memory
 *      readable for consumers: up to the high watermark, which never passes `synced` (write.caching: `written`)
 *
 * An append takes its offsets and its place at once, in order, and returns; the bytes stay where they are (in the frame that
 * brought them) until the store's next group commit has written and synced them. The owner is told when `written` or `synced`
 * moved, and when something was cut back because it could not be written.
 *
 * Invariants
 * 1. start <= synced <= written <= end; synced and written never go back except when the log is cut (log_truncate).
 * 2. Offsets are dense; every batch in [start, end) was validated before it was appended.
 * 3. Producer state changes only with an append, and is cut back with it.
 * 4. What is below the durable acknowledged bound is never cut: damage there is ERR_CORRUPT and the log goes offline.
 * Lifetime: log_open_await .. log_close_await; belongs to the shard that opened it. Files are opened on demand under the store's budget.
 * Not here: who is leader, the high watermark (replica/), waiting for either, what a batch must look like (record/).
 */
#ifndef STORAGE_LOG_H
#define STORAGE_LOG_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"
#include "base/uuid.h"
#include "record/batch.h"
#include "runtime/blob.h"
#include "runtime/fiber.h"
#include "storage/producer_state.h"

struct log;
struct store;

/* The settings of a topic that the log needs; a copy, replaced whole by log_configure. */
struct log_config {
	int32_t segment_bytes;
	int64_t segment_ms;
	int64_t segment_jitter_ms;
	int32_t segment_index_bytes;
	int32_t index_interval_bytes;
	int64_t flush_messages; /* how many may be unsynced before a sync is due at once; every append schedules one anyhow */
	int64_t flush_ms;
	bool preallocate;
	bool write_caching; /* Kafka's page-cache semantics: readable once written */
	/* cleanup.policy; neither: nothing goes but what is below the start. */
	bool cleanup_delete;
	bool cleanup_compact;
	int64_t retention_ms;         /* negative: for ever */
	int64_t retention_bytes;      /* negative: as much as comes */
	int64_t file_delete_delay_ms; /* how long files of segments that left the log stay, as *.deleted */
	int64_t delete_retention_ms;  /* how long a tombstone stays after its segment was cleaned */
	int64_t min_compaction_lag_ms;
	int64_t max_compaction_lag_ms;
	double min_cleanable_dirty_ratio;
};

/* Who is told. Callbacks run on the log's shard, never inside a call to the log, and must not suspend. */
struct log_owner {
	/* `written` or `synced` moved. */
	void (*progressed)(struct log_owner *o);
	/*
	 * Everything from `offset` on was taken back since it could not be written: `reason` is ERR_NO_SPACE or ERR_IO. Also when the
	 * log went offline with nothing to take back; log_state tells.
	 */
	void (*cut)(struct log_owner *o, int64_t offset, enum err reason);
};

struct log_spec {
	struct bytes topic; /* copied */
	struct uuid topic_id;
	int32_t partition;
	struct log_config config;
	struct log_owner *owner; /* may be NULL */
	/* A folder of this name, of another topic, that is in the way may go soon: ERR_EXISTS instead of setting it aside. */
	bool wait_for_name;
	/* It may have been made by an earlier process: where it is not found while a folder is offline it is ERR_OFFLINE, not made anew. */
	bool may_be_elsewhere;
};

/*
 * Opens the log of a partition, or makes it when it does not exist (`create`; its folder appears with the first append or at
 * the latest at the clean stop). After an unclean stop it recovers: scans from the recovery point, rebuilds what is missing of indexes and
 * producer state, cuts a torn tail above the acknowledged bound. ERR_EXISTS: another topic's log has the name, and will give it back
 * when it is deleted. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO, ERR_TOO_MANY_FILES, ERR_NO_SPACE, ERR_OFFLINE.
 */
enum err log_open_await(struct fiber *self, struct store *s, const struct log_spec *spec, bool create,
			struct log **ret_log) MUST_CHECK;
/* Writes and syncs what is pending, writes producer snapshot and index ends, frees it. The caller made sure that nothing waits on it. */
enum err log_close_await(struct fiber *self, struct log *l) MUST_CHECK;
/* Renames the folder to *-delete and removes it; frees the log. Appends and reads under way end with ERR_CANCELLED first. */
enum err log_delete_await(struct fiber *self, struct log *l) MUST_CHECK;
/* From now on; what is on disk follows with the next append, roll, or look at retention. */
void log_configure(struct log *l, const struct log_config *config);
void log_set_owner(struct log *l, struct log_owner *owner);

int64_t log_start_offset(const struct log *l);
int64_t log_end_offset(const struct log *l);
int64_t log_written_offset(const struct log *l);
int64_t log_synced_offset(const struct log *l);
/*
 * Where the first transaction begins that is open, or whose end is not committed (log_note_acknowledged); INT64_MAX: there is none. Not below
 * the start. Of those that had ended when the log was opened, or cut, all count as committed.
 */
int64_t log_first_unstable(const struct log *l);
int64_t log_size_bytes(const struct log *l);
/* OK, or why nothing can be appended any more (ERR_OFFLINE, ERR_CORRUPT). */
enum err log_state(const struct log *l);

/*
 * An append under way: embedded in the request's part; lives until `released` was called.
 */
struct log_append {
	/* In. The batch was validated (record/batch.h) and is changed in place: base offset, leader epoch, log append time. */
	uint8_t *batch;
	size_t size;
	const struct batch_facts *facts;
	int32_t leader_epoch;
	bool log_append_time;       /* message.timestamp.type */
	enum append_origin origin;  /* what is copied keeps its offsets */
	bool verified_only;         /* no transaction begins without a guard */
	uint64_t guard;             /* of log_verify; 0: none */
	int8_t transaction_version; /* of a marker */
	/* Called once, on the log's shard and never inside log_append_batch, when the bytes are needed no more. */
	void (*released)(struct log_append *a);
	/* Out, set by log_append_batch when it returns OK or ERR_DUPLICATE_SEQUENCE_NUMBER (then those of the original). */
	int64_t base_offset;
	int64_t last_offset;
	int64_t log_append_time_ms; /* -1 with create time */
	/* The log's own. */
	struct list_node node;
	int64_t position;
};

/*
 * Appends at the end. Errors change nothing, and `released` is not called for them: ERR_DUPLICATE_SEQUENCE_NUMBER (one of the producer's last
 * five batches: answer with its offsets once they are committed), ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, ERR_INVALID_PRODUCER_EPOCH,
 * ERR_INVALID_TXN_STATE, ERR_TRANSACTION_COORDINATOR_FENCED (storage/producer_state.h), ERR_RECORD_LIST_TOO_LARGE (over segment.bytes), ERR_OFFLINE,
 * ERR_CORRUPT, ERR_NO_SPACE (while the disk is full).
 */
enum err log_append_batch(struct log *l, struct log_append *a) MUST_CHECK;
/* Of a coordinator: whether records of this producer, in a transaction, would be refused for the producer's sake. The batch of `a` is not looked at. */
enum err log_check_producer(const struct log *l, const struct log_append *a, int64_t producer_id,
			    int16_t producer_epoch) MUST_CHECK;
/*
 * A client's transactional batch arrived: 0 when its transaction is open here; else the guard to append it with once the coordinator has said
 * yes. `begins_at_zero`: it is from a client that bumps its epoch for each transaction.
 */
uint64_t log_verify(struct log *l, const struct batch_header *h, bool begins_at_zero);

/* A transaction whose records a reader of committed ones drops: those of the producer from `first_offset` on, up to its marker. */
struct aborted_told {
	int64_t producer_id;
	int64_t first_offset;
};

/* A read under way: embedded; lives until `done`. */
struct log_read {
	/* In. */
	int64_t offset;
	int64_t max_offset; /* exclusive: what starts at or after it is not returned (high watermark, last stable offset) */
	size_t max_bytes;  /* cut in the middle of a batch is allowed after the first whole batch */
	bool at_least_one; /* the first batch is returned whole even if larger than max_bytes */
	bool may_stay; /* they are only sent on, as they are: blob->file may then say where they lie, and nobody looks at them here */
	bool committed_only; /* for a reader of committed records: which transactions were aborted is told */
	void (*done)(struct log_read *r); /* on the log's shard, never inside log_read_start */
	bool unwanted; /* set on the log's shard meanwhile: no memory is taken for it any more, it ends with ERR_CANCELLED */
	/* Out. */
	enum err
		error; /* OK (also for nothing there: size 0), ERR_OFFSET_OUT_OF_RANGE, ERR_IO, ERR_CORRUPT, ERR_NO_MEMORY, ERR_CANCELLED */
	struct blob *blob;    /* the reader's reference; NULL when size is 0 */
	struct bytes records; /* inside the blob; begins with the batch that holds `offset` */
	size_t first_size;    /* of that batch: less than that of `records` would be of no use */
	struct aborted_told *
		aborted; /* those that overlap the records, and perhaps later ones; the reader frees it with mem_free */
	size_t aborted_count;
	/* The log's own. */
	struct log *log;
	struct list_node node;
	void *state;
};

void log_read_start(struct log *l, struct log_read *r);
/* Bytes from `offset` to `max_offset` as far as the index tells without I/O: exact for the tail of the active segment, else an estimate that is never 0 when there is something. */
int64_t log_bytes_between(const struct log *l, int64_t offset, int64_t max_offset);

/* The first offset at or after which a record has a timestamp >= `timestamp_ms`, below max_offset; offset -1 when none. */
enum err log_find_timestamp_await(struct fiber *self, struct log *l, int64_t timestamp_ms, int64_t max_offset,
				  int64_t *ret_offset, int64_t *ret_timestamp_ms, int32_t *ret_epoch) MUST_CHECK;
/* The first record with the largest timestamp below max_offset; offset -1 in an empty log. */
enum err log_find_max_timestamp_await(struct fiber *self, struct log *l, int64_t max_offset, int64_t *ret_offset,
				      int64_t *ret_timestamp_ms, int32_t *ret_epoch) MUST_CHECK;

/* Leader epochs (storage/epoch_cache.h). */
enum err log_assign_epoch(struct log *l, int32_t epoch) MUST_CHECK;
/* -1 when none. */
int32_t log_latest_epoch(const struct log *l);
int32_t log_epoch_at(const struct log *l, int64_t offset);
enum err log_epoch_end(const struct log *l, int32_t epoch, int32_t *ret_epoch, int64_t *ret_end_offset) MUST_CHECK;

/* Cuts everything from `offset` on (a follower that diverged). Not below the start. */
enum err log_truncate_await(struct fiber *self, struct log *l, int64_t offset) MUST_CHECK;
/*
 * Moves the start (DeleteRecords, retention) to `offset`, or leaves it where it is further. OK says that it is durable: no start that was
 * told goes back, whatever happens. Reads below it are ERR_OFFSET_OUT_OF_RANGE at once; segments wholly below it leave the log, their
 * files are *.deleted for file.delete.delay.ms, so that reads under way end well. ERR_OFFSET_OUT_OF_RANGE beyond what is written; callers
 * keep it at or below the high watermark. ERR_OFFLINE, ERR_CANCELLED (the log is being cut, closed or deleted), ERR_NO_SPACE, ERR_IO: it
 * may have moved, but may also be back after a restart.
 */
enum err log_advance_start_await(struct fiber *self, struct log *l, int64_t offset) MUST_CHECK;
/* Why a segment is still there. */
enum segment_kept {
	SEGMENT_GOES,             /* with the next look at retention */
	SEGMENT_ACTIVE,           /* and empty */
	SEGMENT_NOT_COMMITTED,    /* holds records at or above the high watermark */
	SEGMENT_IN_TIME,          /* retention.ms is not over, nor is retention.bytes passed */
	SEGMENT_IN_SIZE,          /* retention.bytes is not passed, and there is no retention.ms */
	SEGMENT_FUTURE_TIMESTAMP, /* counts from then on */
	SEGMENT_BEHIND_ANOTHER,   /* it would go, but an older one stays */
	SEGMENT_COMPACTED,        /* records leave by compaction only */
	SEGMENT_FOR_EVER,         /* no policy takes it */
};

#define SEGMENT_DAMAGES_TOLD 8

/* What there is to say about a segment. */
struct segment_info {
	int64_t base_offset;
	int64_t end_offset;
	int64_t size;
	int64_t largest_timestamp_ms; /* of its records; -1: they have none */
	bool active;
	enum segment_kept kept;
	int64_t due_at_ms;       /* by retention.ms, wall clock: of it and all before it; -1: never */
	int64_t due_after_bytes; /* by retention.bytes: when the log has grown by so much; -1: never */
	/* What of it the scrub or a read found bad, so that it is not served; of more stretches the last one has all. */
	size_t damage_count;
	struct segment_damage {
		int64_t offset; /* the first that is missing */
		int64_t next_offset;
		int64_t bytes;
	} damages[SEGMENT_DAMAGES_TOLD];
};

/* All segments, oldest first; the caller frees the array with mem_free. */
enum err log_explain_await(struct fiber *self, struct log *l, struct segment_info **ret_infos, size_t *ret_count)
	MUST_CHECK;

/* Waits until everything appended so far is synced. */
enum err log_flush_await(struct fiber *self, struct log *l) MUST_CHECK;

/* What DescribeProducers and the acknowledged bound need. */
size_t log_producer_count(const struct log *l);
/* Of log.dirs; figures.h tells of it. */
size_t log_folder_index(const struct log *l);

struct producer_told {
	int64_t producer_id;
	int64_t last_timestamp;
	int64_t txn_first_offset; /* -1: no transaction is open */
	int32_t last_sequence;    /* -1: none yet */
	int32_t coordinator_epoch;
	int16_t epoch;
};

/* In order of their first appearance. */
void log_each_producer(const struct log *l, void (*each)(void *context, const struct producer_told *p), void *context);
/*
 * The owner's promise: everything below was acknowledged: what may leave the log. As far as it is synced it is made durable, lazily, as the
 * lower bound of invariant 4; what is synced later is so then.
 */
void log_note_acknowledged(struct log *l, int64_t offset);

#endif
