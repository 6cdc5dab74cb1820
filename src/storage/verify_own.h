/* verify_own: what the sources of verify share: verify.c (a log folder), verify_log.c (one log), verify_segment.c (one segment). storage/ only. */
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
	bool by_manifest; /* all of the following; else only `durable` */
	struct uuid topic_id;
	int64_t start;
	int64_t end;
	struct verify_segment_facts *segments;
	size_t segment_count;
	struct epoch_cache epochs;
	int64_t durable; /* what is below was synced */
	bool seen;       /* its folder is there */
	/* From Kafka's checkpoints; -1 none. */
	int64_t recovery_point;
	int64_t checkpoint_start;
	int64_t replicated;
	int64_t cleaned;
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
	struct map facts;
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
	int64_t next_offset; /* behind the last batch; -1: not known */
	int64_t first_base;
	bool broken; /* so that ends need not agree */
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
/* `last`: the active one. */
enum err verify_segment_await(struct fiber *self, struct verify_log *l, int64_t base_offset, bool last) MUST_CHECK;
/* Damage, or a note where the place was not synced when the process ended. */
enum verify_grade verify_grade_at(const struct verify_log *l, int64_t offset);

#endif
