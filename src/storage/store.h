/*
 * store: the log folders of a broker (log.dirs), and per shard what its logs share: the group commit, the budget of open
 * files, the checkpoints.
 *
 *      storage_open_await (shard 0): lock, meta.properties, clean marker, checkpoints, journals replayed, folders listed
 *      store_new (each shard)      : log_open_await ... the shard's logs
 *      store_close_await (each)    : everything synced, snapshots; then storage_close_await (shard 0): checkpoints, clean marker, unlock
 *
 * Invariants
 * 1. A folder is used by one process (its lock file), and by the cluster, node and directory id in its meta.properties.
 * 2. A failed write or sync is final for its folder: nothing that waits is acknowledged, its logs go offline, others go on.
 * 3. A commit makes the bytes, the file's size and the names that lead to it durable before it moves `synced`.
 */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "base/err.h"
#include "base/uuid.h"
#include "runtime/budget.h"
#include "runtime/fiber.h"
#include "storage/log.h"

struct storage;
struct store;

struct storage_options {
	const char *const *folders; /* log.dirs */
	size_t folder_count;
	int32_t node_id;
	const char *cluster_id;   /* NULL: taken from the folders, or made anew */
	size_t max_open_files;    /* for segments and indexes, of the whole process */
	size_t read_budget_bytes; /* for read buffers, of each shard */
	int64_t flush_offset_checkpoint_interval_ms;
	size_t max_decompressed_bytes;
	size_t journal_bytes; /* of each of the two journal files of a shard and folder; 0: 16 MiB. The simulator takes few */
	size_t sync_together_from; /* so many logs are made durable with one sync of the file system; 0: 64. The simulator takes few */
	bool read_only; /* nothing on disk is changed: logs are read as they are, appends are ERR_POLICY_VIOLATION */
	bool sync_disabled; /* for the test that shows that the power-loss test can fail */
};

/* A partition's folder that was found on disk. */
struct found_log {
	char *topic;
	int32_t partition;
	struct uuid topic_id; /* zero when it has no partition.metadata */
	size_t folder_index;
	char *folder_name; /* of one that was being moved (*-future); NULL: the plain one */
	bool undecided;    /* it may be the older one of two: the folder that it was moving to is offline */
};

/*
 * Opens all folders. Errors name the folder in the log: ERR_BUSY (another process has it), ERR_CONFLICT (ids of another cluster or node),
 * ERR_PERMISSION, ERR_IO, ERR_CORRUPT (meta.properties does not parse). A folder that fails with ERR_IO while another works goes offline alone.
 */
enum err storage_open_await(struct fiber *self, const struct storage_options *o, struct storage **ret_storage)
	MUST_CHECK;
/* After every shard closed its store. Writes the checkpoints and the marker of a clean stop. NULL ok. */
enum err storage_close_await(struct fiber *self, struct storage *s) MUST_CHECK;
const char *storage_cluster_id(const struct storage *s);
/* What is on disk, sorted by topic and partition: the broker compares it with the image. */
const struct found_log *storage_found(const struct storage *s, size_t *ret_count);
/* The same of copies that an earlier process was making, for logs to lie in another folder. */
const struct found_log *storage_found_futures(const struct storage *s, size_t *ret_count);
/* The latest leader epoch that its folder knows; -1: none. */
int32_t storage_latest_epoch_await(struct fiber *self, struct storage *s, const struct found_log *f);
/* Sets a folder aside that the image does not know: renames it to *-stray. Never deletes. */
enum err storage_set_aside_await(struct fiber *self, struct storage *s, const struct found_log *f) MUST_CHECK;
/* Where the metastore keeps its own files: a subfolder of the first folder. NULL when that one cannot be used: no other one has them. */
const char *storage_first_folder(const struct storage *s);
/* On shard 0. */
size_t storage_online_folders(const struct storage *s);
/* Every folder was closed cleanly the last time, or is new: no log has to be recovered before it is asked for. */
bool storage_was_clean(const struct storage *s);

/* Of one shard. `failed` (may be NULL) is told when a folder went offline; with the last one gone the broker ends. */
struct store *store_new(struct storage *s, struct shard *shard, void (*failed)(void *context, const char *folder),
			void *context);
struct shard *store_shard(struct store *s);
bool store_is_read_only(const struct store *s);
/* The budget of read buffers: for who has to know when reads wait. */
struct budget *store_read_budget(struct store *s);

/* What a shard does in the background; zeroes, as after store_new: nothing but removing files that are due. */
struct store_settings {
	int64_t retention_check_interval_ms; /* 0: never */
	int64_t initial_delay_ms;            /* before the first look */
	int64_t disk_usage_max_bytes;        /* of all logs of the process; negative or 0: no bound */
	bool cleaner_enabled;
	int64_t cleaner_dedupe_bytes; /* this shard's share of log.cleaner.dedupe.buffer.size */
	double cleaner_load_factor;
	double cleaner_io_bytes_per_second; /* this shard's share */
	double move_bytes_per_second;       /* this shard's share; 0: no limit */
	int64_t cleaner_backoff_ms;
	int64_t scrub_interval_ms;         /* from one pass over all logs to the next; 0: never */
	double scrub_bytes_per_second;     /* this shard's share; 0: no limit */
	int64_t producer_id_expiration_ms; /* who is not heard of for so long is forgotten; 0: never */
	int64_t producer_id_check_interval_ms;
};

/* From now on; may be called again at any time. */
void store_configure(struct store *s, const struct store_settings *settings);
/* Closes every log that is still open and waits for what is under way. */
enum err store_close_await(struct fiber *self, struct store *s) MUST_CHECK;

#endif
