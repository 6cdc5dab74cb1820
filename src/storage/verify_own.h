/*
 * verify_own: what the sources of verify share: verify.c (a log folder), verify_journal.c (the journals), verify_log.c (one log),
 * verify_segment.c (one segment), verify_aborted.c (its aborted transactions). storage/ only.
 */
#ifndef STORAGE_VERIFY_OWN_H
#define STORAGE_VERIFY_OWN_H

#include "storage/state.h"
#include "storage/verify.h"

#define VERIFY_SMALL_MAX ((size_t)16 << 20)
#define VERIFY_INDEX_MAX ((size_t)1 << 30)

/* What a clean stop, or a checkpoint, says of one log. */
struct verify_segment_facts {
	int64_t base_offset;
	int64_t size;
	int64_t index_bytes;
};

struct verify_facts {
	bool by_manifest; /* id, start, end, segments, epochs */
	struct uuid topic_id;
	int64_t start;
	int64_t end;
	struct verify_segment_facts *segments;
	size_t segment_count;
	struct epoch_cache epochs;
	bool seen;  /* its folder is there */
	bool alone; /* nothing is known of it but its own folder */
	/* From moldau-checkpoint-*, after an unclean stop. */
	bool has_bounds;
	struct log_bounds bounds;
	/* From Kafka's checkpoints; -1 none. */
	int64_t recovery_point;
	int64_t checkpoint_start;
	int64_t replicated;
	int64_t cleaned;
};

/* What the journals have of a log, after an unclean stop. */
struct verify_replay {
	int64_t from; /* bytes of batches from here... */
	int64_t end;  /* ...to here are put into the segments */
	int64_t start;
	int64_t acknowledged;
	bool forgotten; /* `acknowledged` counts even when it is lower */
};

struct verify {
	const struct verify_options *options;
	struct verify_counts counts;
	bool clean; /* stopped cleanly: everything is on disk */
	bool ours;  /* Moldau wrote last */
	bool by_manifest;
	bool has_recovery_points; /* the three checkpoints were read */
	bool has_starts;
	bool has_replicated;
	struct map facts;   /* TOPIC-PARTITION -> struct verify_facts */
	struct map replays; /* topic id, TOPIC-PARTITION -> struct verify_replay */
	struct compressor *compressor;
	struct buf scratch; /* decompressed records */
};

struct verify_log {
	struct verify *v;
	char name[LOG_NAME_SIZE]; /* the folder's; "" when it is the path itself */
	struct folder_list files;
	struct verify_facts *facts;
	struct epoch_cache epochs;
	bool epochs_known;
	struct uuid topic_id;               /* zero: not known */
	struct log_bounds bounds;           /* as recovery will have them; not after a clean stop with its manifest */
	const struct verify_replay *replay; /* NULL: none */
	int64_t next_offset;                /* behind the last batch; -1: not known */
	int64_t first_base;
	bool broken;                     /* so that ends need not agree */
	struct producer_state producers; /* behind the last batch */
	bool gaps;                       /* compaction took records */
	bool txns_known;                 /* all that were open where the log begins are known */
	struct aborted_index
		abort_markers; /* of the segment at hand; first offset -1: no record of its transaction is left */
};

/* `file` may be NULL: the folder itself. The words are formatted. */
void verify_say(struct verify *v, enum verify_grade grade, const char *folder, const char *file, int64_t position,
		int64_t offset, const char *format, ...) __attribute__((format(printf, 7, 8)));
void verify_path(const struct verify *v, const char *folder, const char *file, char ret_path[static LOG_PATH_SIZE]);
/* The whole of a file; false after a finding, or silently when it is not there (ret_missing). */
bool verify_load_await(struct fiber *self, struct verify *v, const char *folder, const char *file, size_t max,
		       char **ret_text, size_t *ret_size, bool *ret_missing);

enum err verify_log_await(struct fiber *self, struct verify *v, const char *name, struct verify_facts *facts)
	MUST_CHECK;
/* `next_base`: where the segment behind it begins; -1: it is the active one. */
enum err verify_segment_await(struct fiber *self, struct verify_log *l, int64_t base_offset, int64_t next_base)
	MUST_CHECK;
void verify_aborted_begin_await(struct fiber *self, struct verify_log *l, int64_t base);
void verify_aborted_batch(struct verify_log *l, const struct batch_header *h, struct bytes whole);
/* All batches of the segment were taken. */
void verify_aborted_segment_await(struct fiber *self, struct verify_log *l, int64_t base, bool rescanned);
/* Of the shards' journals what counts; broken rounds are findings. */
void verify_journals_await(struct fiber *self, struct verify *v, const struct folder_list *list, uint64_t run);
const struct verify_replay *verify_replay_of(const struct verify *v, const char *log_name, struct uuid topic_id);
/* Damage, or a note where recovery cuts what nobody was promised, or has it from the journal. */
enum verify_grade verify_grade_at(const struct verify_log *l, int64_t offset);

#endif
