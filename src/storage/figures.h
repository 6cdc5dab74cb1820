/*
 * figures: what a shard's logs, and what they share, have done and hold: for whoever looks. Counted where it happens, read on the shard.
 */
#ifndef STORAGE_FIGURES_H
#define STORAGE_FIGURES_H

#include "metrics/metrics.h"
#include "storage/store.h"

/* Since the log was opened. */
struct log_figures {
	uint64_t appended_records;
	uint64_t appended_bytes;
	uint64_t read_bytes;
};

struct store_figures {
	struct log_figures logs;           /* of all of them, also those that are closed or deleted */
	uint64_t moved_bytes;              /* of records, to other folders of log.dirs */
	uint64_t cleanings;                /* passes of the cleaner over a log that ended well, */
	uint64_t cleanings_failed;         /* and those that failed */
	uint64_t cleaned_bytes_read;       /* of segments that were made anew, */
	uint64_t cleaned_bytes_left;       /* and of what was made of them */
	uint64_t cleaned_tombstones;       /* that left since delete.retention.ms was over */
	uint64_t cleaning_us;              /* spent in passes, their throttling counted */
	uint64_t last_cleaning_us;         /* the last one of them that ended well: how long it took, */
	uint64_t last_cleaning_ms;         /* when it ended (wall clock; 0: there was none), */
	unsigned last_recopy_percent;      /* and how much of what it read it wrote again */
	unsigned dirtiest_percent;         /* of the logs at the last choice: the largest share not yet compacted */
	uint64_t scrubbed_bytes;           /* that the scrub has read, */
	uint64_t scrubbed_segments;        /* to their end, */
	uint64_t scrubs;                   /* and passes over all logs */
	uint64_t damages_found;            /* stretches without a good batch, by the scrub or a read */
	uint64_t side_damages_found;       /* files beside the records that were wrong */
	uint64_t snapshots_found_bad;      /* of producers; a power failure may leave such */
	uint64_t segments_unreadable;      /* whose reading failed, as the scrub saw */
	struct histogram commit_us;        /* a round from its beginning until it is durable and told */
	struct histogram commit_bytes;     /* what it wrote of records */
	struct histogram journal_sync_us;  /* one sync a round */
	struct histogram segments_sync_us; /* a round without the journal: all its segments */
};

/* What is held just now. */
struct store_holds {
	size_t logs;
	size_t open_files;
	size_t open_files_max;
	size_t read_budget_used;
	size_t read_budget_limit;
	size_t reads_waiting; /* for the budget */
	size_t index_bytes;   /* of closed segments */
	size_t moves;         /* of logs to other folders, under way or in line */
	size_t damages;       /* stretches that are not served, as far as is known */
	uint64_t uncleanable_bytes;
	size_t uncleanable; /* logs that the cleaner leaves alone until a restart */
};

struct folder_figures {
	const char *path;
	bool online;
	bool no_space;
	size_t logs;          /* of this shard */
	size_t journal_used;  /* of the file that is being written */
	size_t journal_limit; /* of it; 0: there is none yet */
};

const struct log_figures *log_figures(const struct log *l);
const struct store_figures *store_figures(const struct store *s);
void store_holds(const struct store *s, struct store_holds *ret_holds);
size_t store_folder_count(const struct store *s);
void store_folder_figures(const struct store *s, size_t folder, struct folder_figures *ret_figures);

#endif
