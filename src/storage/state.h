/*
 * state: the insides of struct storage, struct store and struct log, shared by the sources of storage/ and by nobody else.
 *
 *      storage (process)  folders: path, lock, ids, what was found, bounds, manifest      written on shard 0 at start, read-only then
 *      store (shard)      logs, open files, read budget
 *      store_folder       (shard x folder) committer and keeper, journal, who has something to commit
 *      log                segments, indexes, producers, epochs; appends that wait for the committer
 *
 * The committer (commit.c and commit_sync.c, a fiber each: round.h) appends to segments and writes the journal; the keeper (keeper.c) does
 * in the background what frees the journal and saves work at the next start. All are fibers of the store_folder.
 */
#ifndef STORAGE_STATE_H
#define STORAGE_STATE_H

#include "base/map.h"
#include "runtime/budget.h"
#include "runtime/file.h"
#include "storage/checkpoint.h"
#include "storage/epoch_cache.h"
#include "storage/figures.h"
#include "storage/file_cache.h"
#include "storage/journal_format.h"
#include "storage/log.h"
#include "storage/log_name.h"
#include "storage/producer_state.h"
#include "storage/segment.h"
#include "storage/store.h"

#define JOURNAL_BYTES_DEFAULT ((size_t)16 << 20)
#define JOURNAL_BYTES_PER_LOG_MAX ((size_t)64 << 10) /* above, a round syncs the segments: docs/decisions/0001 */
#define PIN_CHUNK 64                                 /* files that one step of a round holds open */
#define INDEX_MEMORY_MAX ((size_t)16 << 20)          /* of closed segments, a shard */
#define SMALL_FILE_MAX ((size_t)64 << 20)
#define RECENT_BATCHES 8
#define SYNC_TOGETHER_FROM 64 /* logs: docs/decisions/0005 */

/* --- the process ------------------------------------------------------------------------------------------------- */

struct storage_folder {
	char *path;
	char at_file[LOG_NAME_SIZE]; /* what the start was at, for a line about its failure */
	struct file *lock;
	struct meta_properties meta;
	bool online;
	bool failed; /* lost while running, as shard 0 knows */
	bool full;   /* its disk was, when it was opened: reserve.c */
	bool clean;  /* the last stop was: recovery points are ends */
	bool manifest_trusted;
	bool all_durable;     /* what recovery finds is so, as of the replay */
	bool bounds_doubtful; /* a file of them was damaged */
	uint64_t run;         /* names this process's records in the journals */
	struct map bounds;    /* TOPIC-PARTITION -> struct log_bounds */
	struct map manifest;  /* TOPIC-PARTITION -> struct manifest_entry */
	char *manifest_text;
	struct map recovery_points; /* Kafka's checkpoints: TOPIC-PARTITION -> struct log_bounds with only that field */
	struct map cleaned;         /* cleaner-offset-checkpoint, as it was: TOPIC-PARTITION -> struct clean_point */
	struct map cleaned_now;     /* and as it is; shard 0's alone */
};

struct storage {
	struct storage_options options;
	char cluster_id[64];
	struct storage_folder *folders;
	size_t folder_count;
	struct found_log *found;
	size_t found_count;
	struct found_log *futures; /* copies that an earlier process began to make of logs (move.h) */
	size_t future_count;
	bool *futures_taken;
	bool *accounted; /* [found]: opened by its shard, or set aside; of the others the next start knows no more than this one */
	struct runtime *runtime;
	struct store **stores; /* by shard index; each slot belongs to its shard */
	bool *lost;            /* [shard * folder_count + folder]: the shard saw it fail */
	struct buf *closing;   /* [shard * folder_count + folder]: manifest entries of closed logs */
};

/* --- a shard ------------------------------------------------------------------------------------------------------ */

/* Counts operations that are under way for a fiber. */
struct fan {
	struct fiber *fiber;
	unsigned left;
};

void fan_add(struct fan *f);
void fan_done(struct fan *f);
void fan_wait_await(struct fiber *self, struct fan *f);

struct journal {
	struct file *files[2];
	uint64_t generations[2]; /* of what each holds; 0: nothing of this run */
	uint64_t generation;     /* being written */
	uint64_t live;           /* older ones are in the segments, as the keeper knows */
	uint64_t durable_live;   /* as the journal itself says on disk */
	uint64_t round;          /* the last one that was written, */
	uint64_t round_synced;   /* and the last one that was synced */
	size_t size;
	size_t at;
	int active;
	bool ready;
	bool complete; /* both files are there */
	bool refused;  /* there was no space for it */
};

/* A log whose earlier journal records have to be void before its files may be changed. */
struct forget {
	struct list_node node;
	struct log *log;
	int64_t end_offset;
	int64_t file_base; /* 0: all of the log's; else those of segments that begin below */
	bool over;
	enum err error;
};

struct store_folder {
	struct store *store;
	struct storage_folder *of;
	size_t index;
	bool close_failed; /* a log of it could not be closed: the stop is not clean */
	bool offline;
	bool no_space;
	bool owes_reserve; /* this shard removed what was kept for a full disk */
	bool syncs_each;   /* its file system cannot be synced as a whole */
	bool stopping;
	bool bounds_dirty;
	bool checkpoint_wanted;
	bool bounds_due;       /* the next round notes the acknowledged bounds that moved */
	bool tick_armed;       /* the keeper looks again by itself */
	bool note_wanted;      /* a round with nothing but the journal's own state */
	bool root_dirty;       /* names were made in the log folder that are not synced */
	uint64_t root_version; /* counts the partitions' folders made here */
	uint64_t root_synced;  /* those up to this one have durable names */
	size_t log_count;
	struct list dirty;  /* logs with something for the next round */
	struct list noted;  /* logs whose acknowledged bound moved */
	struct list rolled; /* logs with side files to be written */
	struct list forgets;
	struct event work;       /* for the committer */
	struct event chores;     /* for the keeper */
	struct event round_over; /* for who waits on a round or on the keeper */
	bool committer_runs;
	bool keeper_runs;
	int64_t next_bounds_us;
	struct gate bounds_gate; /* one writer of the checkpoint file at a time */
	uint64_t starts_asked;   /* moves of a start that wait for the bounds to be written */
	uint64_t starts_saved;   /* those up to this one are durable */
	bool starts_saving;
	struct journal journal;
	struct rounds *rounds; /* round.h */
};

struct store {
	struct storage *storage;
	struct shard *shard;
	struct list logs;
	struct map by_name; /* open logs */
	struct map closed;  /* TOPIC-PARTITION -> struct closed_log */
	struct file_cache files;
	struct budget read_budget;
	unsigned lent; /* files that answers are being sent from */
	struct event lent_back;
	unsigned hands; /* how many at once open files of their own, beside `files` */
	struct gate cold_reads;
	struct store_figures figures;
	struct gate openings;
	size_t index_memory; /* of closed segments */
	struct store_folder *folders;
	struct store_settings settings;
	struct event housework; /* for housekeeping.c */
	struct list looks;      /* logs that grew to their look_at_bytes */
	int64_t next_doomed_us;
	int64_t next_retention_us;
	int64_t next_flush_us;
	int64_t next_expiry_us; /* of producers */
	int64_t next_disk_us;   /* of shard 0: it looks for all */
	bool housekeeping_runs;
	struct event cleaning;    /* for the cleaner, clean.c */
	struct gate clean_points; /* one writer of cleaner-offset-checkpoint at a time */
	bool cleaner_runs;
	struct event scrubbing; /* for the scrub, scrub.c */
	int64_t next_scrub_us;
	bool scrub_runs;
	struct list moves;   /* for the mover, move.c: of struct move */
	struct event moving; /* one came, or is to end */
	bool mover_runs;
	unsigned visitors; /* fibers of other shards' calls that are at work on it */
	struct event visited;
	void (*failed)(void *context, const char *folder);
	void *context;
	bool closing;
};

/* Who is called from another shard counts himself: store_close_await waits for the last one. */
static inline void store_enter(struct store *s)
{
	s->visitors++;
}

static inline void store_leave(struct store *s)
{
	if (--s->visitors == 0)
		event_signal(&s->visited);
}

/* What was closed or deleted here: what was read at start is no longer so. */
struct closed_log {
	struct log_bounds bounds;
	int64_t start_kept; /* see struct log */
	size_t folder;
	bool gone;
};

/* --- a log -------------------------------------------------------------------------------------------------------- */

struct recent_batch {
	int64_t base_offset;
	int64_t position;
};

/* Whether its folder is on the log folder's own file system. */
enum log_place { PLACE_UNKNOWN, PLACE_HOME, PLACE_ELSEWHERE };

struct log {
	struct store *store;
	struct store_folder *folder;
	struct list_node node;
	struct list_node dirty_node;
	struct list_node noted_node;
	struct list_node rolled_node;
	struct list_node look_node;
	char *topic;
	struct uuid topic_id;
	int32_t partition;
	enum err state;
	struct log_config config;
	struct log_owner *owner;
	int64_t start;
	int64_t synced;
	int64_t promised; /* what rounds on their way make durable; see log_promised */
	int64_t written;
	int64_t end;
	int64_t file_synced;  /* up to here the segment files are synced: the recovery point */
	int64_t committed;    /* as the owner said; with write.caching it may be ahead of `synced` */
	int64_t acknowledged; /* what of it is synced: no damage below it is cut */
	int64_t end_found; /* when it was opened or cut: whose transactions had ended there and were not committed nobody knows */
	int64_t acknowledged_durable;
	uint64_t first_generation; /* the oldest journal generation that holds what the files do not; 0: none */
	int64_t last_flush_ms;
	int64_t last_write_ms;
	uint64_t root_version;     /* of its folder */
	struct segment **segments; /* oldest first; the last one is active; at least one */
	uint32_t segment_count;
	uint32_t segment_capacity;
	int64_t clean_offset;  /* compacted up to here */
	uint32_t swaps;        /* how often cleaned segments took the place of others */
	int64_t start_kept;    /* what the disk may be told: who wrote below it alone is in a durable snapshot */
	int64_t start_durable; /* no restart brings a start below it */
	uint64_t start_ticket; /* of the folder's moves: the last one of this log */
	int64_t over_below;    /* segments that begin below it go since retention.ms is over, */
	int64_t surplus_below; /* then since retention.bytes are passed, */
	int64_t look_at_bytes; /* of the active segment: then retention.bytes are looked at, without waiting for the interval */
	int64_t evicted_below; /* then since disk.usage.max.bytes is; the others since the start moved */
	struct list doomed;    /* of struct doomed, by time: files that are *.deleted and go later */
	struct list graveyard; /* segments that are no part of it any more, and that somebody may still look at */
	struct list pending;   /* appended, not yet written */
	struct list reads;     /* under way */
	struct list postponed; /* reads that came while the log was held */
	struct move *move;     /* to another folder of log.dirs; NULL: none */
	struct store_folder
		*also_in; /* the bounds of that folder have it as well: it is on its way there, or from there */
	struct epoch_cache epochs;
	struct producer_state producers;
	struct log_figures figures;
	struct recent_batch recent[RECENT_BATCHES]; /* the last batches, a ring */
	uint8_t recent_count;
	uint8_t recent_next;
	enum log_place place;
	bool folder_made;
	bool metadata_made;
	bool opened;        /* start, ends and bounds are known */
	bool found_durable; /* recovery: what is there was made durable by the start, and nothing was changed since */
	bool recovered;     /* its folder was there, with what an unclean stop left in it */
	bool names_synced;
	bool epochs_dirty;
	bool epochs_seen; /* their file was written or found whole by this process */
	bool read_failed; /* and the log says so: once is enough */
	bool future_told;
	bool saving_snapshot;   /* somebody is just writing one */
	unsigned saving_epochs; /* so many are just writing the file, */
	unsigned epochs_saved;  /* and have written it */
	bool saving_aborted;    /* somebody is just writing an index of aborted transactions */
	bool uncleanable;       /* the cleaner failed at it, and the log says so */
	bool indexes_wait;      /* what is saved of indexes is synced, and gets its name, later */
	bool swapping;          /* files of its segments are being renamed */
	bool side_files_dirty;  /* index, time index, snapshot and epochs on disk are not what a clean stop leaves */
	bool held;              /* its folder is about to change: reads wait, and whoever would begin anything else */
	bool writes_held;       /* and appends, which have their place */
	bool blocked;           /* no appends: being cut, closed or deleted */
	bool closing;           /* somebody has it for himself; only the keeper still syncs its files */
	bool deleted;           /* nothing of it matters any more */
	bool settled_but_sync;  /* by the store's closing */
	bool flush_wanted;
	uint32_t names_made; /* how often a file beside the segments got its name */
	unsigned rounds;     /* that hold it */
	uint32_t
		cuts; /* how often it was truncated: a sync that began before one says nothing of what is there after it */
	uint32_t truncations; /* of them those of what was written */
	unsigned pins;        /* fibers that are at work on it, the keeper too */
	struct event unpinned;
};

/* The ring's batches, the newest first. */
static inline const struct recent_batch *log_recent(const struct log *l, uint8_t back)
{
	return &l->recent[(l->recent_next + RECENT_BATCHES - 1 - back) % RECENT_BATCHES];
}

static inline struct segment *log_active(const struct log *l)
{
	return l->segments[l->segment_count - 1];
}

/* Durable up to here, as long as no sync fails that is under way or to come. */
static inline int64_t log_promised(const struct log *l)
{
	return l->promised > l->synced ? l->promised : l->synced;
}

/* Somebody has it for himself, or nothing is to be begun with it any more. */
static inline bool log_is_taken(const struct log *l)
{
	return l->closing || l->blocked || l->held || l->deleted || l->state;
}

/* Below this, records may leave the log: by then what goes is synced as well. */
static inline int64_t log_committed(const struct log *l)
{
	return l->committed > l->acknowledged ? l->committed : l->acknowledged;
}

static inline struct bytes log_topic(const struct log *l)
{
	return bytes_str(l->topic);
}

static inline struct logger *log_logger(const struct log *l)
{
	return shard_log(l->store->shard);
}

static inline uint32_t log_now_s(const struct log *l)
{
	return (uint32_t)(shard_now_ms(l->store->shard) / 1000);
}

/* Index of the segment that holds or would hold the offset; 0 for what is before all. */
uint32_t log_segment_at(const struct log *l, int64_t offset);
/* The next one, however the array has changed since: how loops that suspend go on. NULL at the end. */
struct segment *log_segment_after(const struct log *l, const struct segment *s);
struct segment *log_add_segment(struct log *l, int64_t base_offset);
/* The active segment ends here. */
void log_roll(struct log *l);
void log_note_batch(struct log *l, int64_t base_offset, int64_t position);
/* The segment files are synced up to here: with write.caching that is what moves `synced`. */
void log_note_files_synced(struct log *l, int64_t offset);
/* `synced` has moved: what was committed before it counts as acknowledged now. */
void log_note_synced(struct log *l);
void log_forget_batches(struct log *l, int64_t offset);
void log_folder_path(const struct log *l, char ret_path[static LOG_PATH_SIZE]);
void log_file_path(const struct log *l, int64_t base_offset, enum segment_file file,
		   char ret_path[static LOG_PATH_SIZE]);
void log_pin(struct log *l);
void log_unpin(struct log *l);
/* Frees what was removed, once nobody is at work on the log. */
void log_bury(struct log *l);
/* Until no fiber but the caller and no round works on it. */
void log_wait_alone_await(struct fiber *self, struct log *l);
/* Undoes everything appended from `offset` on, which is not written: end, producers, epochs, indexes; tells the owner. */
void log_cut_pending(struct log *l, int64_t offset, enum err reason);
/* The log is offline: what is not synced counts as lost. */
void log_lose_unsynced(struct log *l);
/* What a clean stop leaves is there and durable. */
static inline bool log_is_settled(const struct log *l)
{
	return !l->side_files_dirty && l->names_synced && l->file_synced == l->end;
}

/* For the stop: no appends any more, all files written; they, and the names, are to be synced. */
enum err log_settle_unsynced_await(struct fiber *self, struct log *l) MUST_CHECK;
/* A log in memory with nothing in it, in its store's lists. */
struct log *log_new(struct store *s, struct store_folder *f, const struct log_spec *spec);
void log_free(struct log *l);

/* segment_files.c: what is on disk of a log beside the records. */
enum err log_open_segment_await(struct fiber *self, struct log *l, struct segment *s, struct cached_file **ret_file)
	MUST_CHECK;
/* Folder and partition.metadata; nothing is synced. */
enum err log_make_folder_await(struct fiber *self, struct log *l) MUST_CHECK;
/* With `sync` durable, else only written; partition.metadata that is there and good stays. */
enum err log_write_metadata_await(struct fiber *self, struct log *l, bool sync) MUST_CHECK;
/* Into a copy of it. */
enum err log_write_metadata_at_await(struct fiber *self, const struct log *l, const char *path) MUST_CHECK;
enum err log_sync_names_await(struct fiber *self, struct log *l) MUST_CHECK;
/*
 * The files hold the log up to `upto` durably: the journal need not keep it for that. `generation`: the journal's when `upto` was
 * noted; 0: there was none yet, so that what is in one now came later.
 */
void log_files_cover(struct log *l, int64_t upto, uint64_t generation);
/* Syncs all segment files from the recovery point on, and the names that lead there, and moves the recovery point. */
enum err log_sync_files_await(struct fiber *self, struct log *l) MUST_CHECK;
/* The same for all segments but the active one. */
enum err log_sync_closed_await(struct fiber *self, struct log *l) MUST_CHECK;
enum err log_load_index_await(struct fiber *self, struct log *l, struct segment *s) MUST_CHECK;
/* Offset and time index of a closed segment are wrong or missing: made anew from the records, and saved. ERR_CORRUPT: the records are damaged. */
enum err log_remake_index_await(struct fiber *self, struct log *l, struct segment *s) MUST_CHECK;
/* Of the space that was kept for a segment that is full, or whose log is closed, the rest goes back. */
enum err log_give_back_await(struct fiber *self, struct log *l, struct segment *s) MUST_CHECK;
enum err log_save_index_await(struct fiber *self, struct log *l, struct segment *s) MUST_CHECK;
/* Indexes that waited for a sync get their names; when there was none they are to be saved again. The names are to be synced. */
enum err log_place_indexes_await(struct fiber *self, struct log *l, bool synced) MUST_CHECK;
/* Of a segment that was cut: they point at what is gone. The caller syncs the folder before the log goes on. */
void log_remove_indexes_await(struct fiber *self, struct log *l, const struct segment *s);
enum err log_save_snapshot_await(struct fiber *self, struct log *l, int64_t offset, struct bytes snapshot) MUST_CHECK;
enum err log_save_epochs_await(struct fiber *self, struct log *l, bool sync) MUST_CHECK;
/* Into a copy of it. */
enum err log_save_epochs_at_await(struct fiber *self, const struct log *l, const char *path, bool sync) MUST_CHECK;
/* max_timestamp of a segment that was not scanned. */
enum err log_load_times_await(struct fiber *self, struct log *l, struct segment *s) MUST_CHECK;
void log_remove_segment_await(struct fiber *self, struct log *l, struct segment *s);

/* aborted.c: indexes of aborted transactions. */
/*
 * Entries with markers below `upto` are in the segment's file, synced; where it was made, names_synced says that its name is to be synced yet.
 * ERR_AGAIN: the segment was replaced.
 */
enum err log_save_aborted_await(struct fiber *self, struct log *l, struct segment *s, int64_t upto) MUST_CHECK;
/* The same of all segments. */
enum err log_save_all_aborted_await(struct fiber *self, struct log *l, int64_t upto) MUST_CHECK;
/* A segment that ends at or below `upto` has entries that are not in its file: the recovery point must not go there. */
bool log_owes_aborted(const struct log *l, int64_t upto);
/* From where a recovery has to scan: file_synced, but within the segment that ends there where it owes entries. */
int64_t log_recovery_point(const struct log *l);
/* ERR_AGAIN: the segment was replaced. */
enum err log_load_aborted_await(struct fiber *self, struct log *l, struct segment *s) MUST_CHECK;
/* Appends to `out` the aborted transactions that overlap [from, to), as far as memory tells: false when it does not. */
bool log_collect_aborted(const struct log *l, int64_t from, int64_t to, struct aborted_index *out);
enum err log_collect_aborted_await(struct fiber *self, struct log *l, int64_t from, int64_t to,
				   struct aborted_index *out) MUST_CHECK;
/* The index of the segment's aborted transactions is held against its records; `ret_wrong`: it was not right, is now, and is to be saved. */
enum err log_check_aborted_await(struct fiber *self, struct log *l, struct segment *s, bool *ret_wrong) MUST_CHECK;
/* The end of a transaction that a control batch is; NULL when the batch is none. */
const struct end_marker *log_marker_of(const struct batch_header *h, struct bytes whole, struct end_marker *marker);
/* Where the marker `h` ended an aborted transaction, that has an entry. */
void log_note_ended(struct aborted_index *x, const struct batch_header *h, const struct txn_ended *ended);

/* purge.c: files that leave a log. */
struct doomed {
	struct list_node node;
	int64_t base_offset;
	int64_t due_us;
	unsigned files; /* bits by enum segment_file */
};

#define ALL_SEGMENT_FILES ((1u << SEGMENT_FILES) - 1)

/*
 * Renames these files of the segment that begins there to *.deleted; they go after file.delete.delay.ms. Does what it can: the first failure is
 * told and given.
 */
enum err log_doom_files_await(struct fiber *self, struct log *l, int64_t base_offset, unsigned files) MUST_CHECK;
/* Removes what is due at `now_us`. */
void log_sweep_doomed_await(struct fiber *self, struct log *l, int64_t now_us);
void log_forget_doomed(struct log *l);
/* Moves the start in memory. Nothing may be told of it, and nothing goes, before it is settled. */
void log_move_start(struct log *l, int64_t offset);
/* snapshot.c: before the start is made durable, whoever wrote only below it is in a snapshot that a power failure leaves. */
enum err log_keep_producers_await(struct fiber *self, struct log *l, int64_t start) MUST_CHECK;
/* The same of the one segment that will be the first. */
enum err log_keep_snapshot_await(struct fiber *self, struct log *l, struct segment *s) MUST_CHECK;
/* The snapshot that a roll left in memory goes to disk, not synced. */
enum err log_put_snapshot_await(struct fiber *self, struct log *l, struct segment *s) MUST_CHECK;
/* Makes the start durable where it is now, then segments wholly below it leave the log. */
enum err log_settle_start_await(struct fiber *self, struct log *l) MUST_CHECK;

/* clean.c: the log cleaner of a shard. */
void clean_start(struct store *s);
void clean_stop_await(struct fiber *self, struct store *s);

/* scrub.c: the background scrub of a shard. */
void scrub_start(struct store *s);
void scrub_stop_await(struct fiber *self, struct store *s);
/* The settings changed. */
void scrub_configure(struct store *s);
/* What lies there of the segment is not good: it is not served from now on. Says so, once. */
void log_note_damage(struct log *l, struct segment *s, const struct damage *d, const char *what);

/*
 * clean_swap.c: `made`, of the files *.cleaned, which are synced, takes the place of the `count` segments from `first` on. Takes
 * `made`, also when it fails: ERR_CANCELLED when the log is no more what it was, and then nothing has changed.
 */
enum err clean_swap_await(struct fiber *self, struct log *l, struct segment *first, size_t count, struct segment *made)
	MUST_CHECK;
/* Finishes swaps that an earlier process had begun, and removes what it had only begun to make. */
enum err clean_finish_swaps_await(struct fiber *self, struct log *l) MUST_CHECK;
void clean_remove_made_await(struct fiber *self, const struct log *l, int64_t base_offset);
void log_leftover_path(const struct log *l, int64_t base_offset, enum segment_file file, enum leftover kind,
		       char ret_path[static LOG_PATH_SIZE]);

/* move.c: the mover of a shard. */
void move_start(struct store *s);
void move_stop_await(struct fiber *self, struct store *s);
/* A log was opened: goes on with its move that an earlier process began. */
void log_resume_move(struct log *l);
/* Before a log is closed (what is copied stays) or deleted (`drop`): waits until nobody moves it any more. */
void log_end_move_await(struct fiber *self, struct log *l, bool drop);
/* Waits while its folder is changing: before anything is begun with it that suspends. */
void log_wait_held_await(struct fiber *self, struct log *l);

/* log_read.c: reads that came while it was held begin now. */
void log_begin_postponed(struct log *l);

/* clean_point.c: up to where logs are compacted, over restarts. */
struct clean_point {
	int64_t offset;
};

enum err clean_point_load_await(struct fiber *self, struct storage_folder *sf) MUST_CHECK;
void clean_point_free(struct storage_folder *sf);
/* What the last run left of a log; 0 when nothing. */
int64_t clean_point_of(const struct log *l);
/* Notes where the log is compacted to; negative: forgets it. What is lost of this costs another cleaning, nothing else. */
void clean_point_save_await(struct fiber *self, struct log *l, int64_t offset);
/* A log that begins anew: what the last run left is of an earlier topic of its name, whose deletion a kill cut short. */
void clean_point_begin_await(struct fiber *self, struct log *l);
/* It was moved from there: forgets it there, notes it where the log is. */
void clean_point_move_await(struct fiber *self, struct log *l, struct storage_folder *from);

/* housekeeping.c */
void housekeeping_start(struct store *s);
/* Waits until it has ended. */
void housekeeping_stop_await(struct fiber *self, struct store *s);
/* A file of a log is to go at `due_us`. */
void housekeeping_note(struct store *s, int64_t due_us);
/* The log rolled, or its active segment has look_at_bytes. */
void housekeeping_note_size(struct log *l);
/* A log has these settings from now on. */
void housekeeping_note_config(struct log *l);

/* recover.c */
enum err log_recover_await(struct fiber *self, struct log *l, const struct log_bounds *bounds) MUST_CHECK;
/* Reads headers of batches from `position` on and calls `batch` for each up to `end_position`. */
struct batch_walker {
	/* false: enough. `whole` is the batch's bytes. */
	bool (*batch)(struct batch_walker *w, const struct batch_header *h, struct bytes whole, int64_t position);
	int64_t position; /* where the walk ended: behind the last batch that was whole */
	bool check_crc;
	bool enough; /* `batch` said so */
};
/* The same over bytes in memory, from w->position on; OK also when the last batch is cut off. */
enum err segment_walk_bytes(struct bytes rest, struct batch_walker *w) MUST_CHECK;
/* ERR_CORRUPT where something is that is no whole batch. */
enum err segment_walk_await(struct fiber *self, struct file *f, int64_t position, int64_t end_position,
			    struct batch_walker *w) MUST_CHECK;
/* recover_epochs.c: whether the leader epochs contradict the batches in front of segment `scan_from`. */
enum err log_check_epochs_await(struct fiber *self, struct log *l, uint32_t scan_from, int64_t log_start,
				bool *ret_wrong) MUST_CHECK;
/* Snapshots beyond the offset tell of what was cut. */
void log_remove_snapshots_await(struct fiber *self, struct log *l, int64_t beyond);
/*
 * snapshot.c: the newest one that is whole and not beyond `limit`, and the offset that it is of, the log's first one when there is none. Those that are
 * torn on the way are removed.
 */
enum err log_load_snapshot_await(struct fiber *self, struct log *l, int64_t limit, struct producer_state *into,
				 int64_t *ret_offset) MUST_CHECK;
/* What the segment's batches from `from` on say of producers, added. */
enum err log_walk_producers_await(struct fiber *self, struct log *l, struct segment *s, int64_t from,
				  struct producer_state *into) MUST_CHECK;
/* Producer state at the log's end from the newest snapshot and the batches behind it. */
enum err log_rebuild_producers_await(struct fiber *self, struct log *l) MUST_CHECK;
/* The producers as they were where a segment begins, from an older snapshot and the records behind it. ERR_AGAIN: of segments just replaced. */
enum err log_producers_at_await(struct fiber *self, struct log *l, int64_t base_offset, struct producer_state *into)
	MUST_CHECK;

/* manifest.c */
struct manifest_entry {
	struct bytes content;
	bool taken; /* opened since: no longer what is on disk */
};

void manifest_write_head(struct buf *out, int64_t marker);
void manifest_write_log(const struct log *l, struct buf *out);
/* Adds a CRC. */
void manifest_write_end(struct buf *out);
/* Fills `map` with entries that point into `file`. */
enum err manifest_read(struct bytes file, int64_t marker, struct map *entries) MUST_CHECK;
/* Fills a fresh log; ERR_CORRUPT leaves it to recovery. */
enum err manifest_read_log(struct bytes content, struct log *l) MUST_CHECK;
/* Name, id, start and end of an entry, for found logs and checkpoints. */
struct manifest_log {
	struct bytes topic;
	int32_t partition;
	struct uuid topic_id;
	int64_t start;
	int64_t end;
};
enum err manifest_read_identity(struct bytes content, struct manifest_log *ret_log) MUST_CHECK;

/* offline.c: this log alone takes no more, until a restart; `what` is wrong with it. Its folder and the others go on. */
void log_fail_alone(struct log *l, const char *what);

/* commit.c */
void commit_start(struct store_folder *f);
/* The committer has ended. */
void commit_free(struct store_folder *f);
void commit_mark(struct log *l);
/* Makes earlier journal records of the log void, durably. */
enum err commit_forget_await(struct fiber *self, struct log *l, int64_t end_offset) MUST_CHECK;
/* The same in the journal of another folder: what it has of the log is of an earlier time. Its bounds are now the log's. */
enum err commit_forget_in_await(struct fiber *self, struct log *l, struct store_folder *f) MUST_CHECK;
/* The same of those records that are of segments that begin below `base_offset`, which are no longer the active one. */
enum err commit_forget_files_await(struct fiber *self, struct log *l, int64_t base_offset) MUST_CHECK;

/* sync_many.c: log_sync_files_await of these logs (pinned by the caller), many at once or all with one sync. */
enum err sync_many_await(struct fiber *self, struct store_folder *f, struct log **logs, size_t count) MUST_CHECK;
/* Whether so many would be synced with one sync. */
bool sync_many_together(const struct store_folder *f, size_t count);

/* offline.c */
/* Gives `e`, the outcome of a sync of the log's files: a failure is final, for the log alone or its folder. */
enum err log_note_synced_files(struct log *l, enum err e);
/* The folder is lost: every log of it goes offline, on all shards. */
void folder_fail(struct store_folder *f, enum err reason, const char *what);
void folder_fail_here(struct store_folder *f);
void folder_no_space(struct store_folder *f);

/* journal.c */
enum err journal_prepare_await(struct fiber *self, struct store_folder *f) MUST_CHECK;
/* Room for `size` bytes in the active file or the other one; false: sync the segments instead. */
bool journal_make_room(struct store_folder *f, size_t size);
/* `names`: so many are in the folder. */
enum err journal_replay_await(struct fiber *self, struct storage *s, struct storage_folder *sf, size_t names,
			      struct logger *log) MUST_CHECK;
void journal_close(struct journal *j);

/* reserve.c: space that is kept for a full disk. */
void reserve_begin_await(struct fiber *self, struct storage_folder *sf, struct logger *log);
/* There was no space: true, now there is a little, and appends are refused. */
bool reserve_use_await(struct fiber *self, struct store_folder *f);
/* Enough for appends, and for it, which is made again. */
bool reserve_space_is_back_await(struct fiber *self, struct store_folder *f);

/* keeper.c */
void keeper_start(struct store_folder *f);
enum err keeper_write_bounds_await(struct fiber *self, struct store_folder *f) MUST_CHECK;

/* store.c */
struct log_bounds *bounds_of(struct map *bounds, struct bytes topic, int32_t partition, bool make);
struct bytes log_key(char key[static LOG_NAME_SIZE], struct bytes topic, int32_t partition);

static inline bool store_syncs(const struct store *s)
{
	return !s->storage->options.sync_disabled;
}

#endif
