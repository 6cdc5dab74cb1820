/* log_dump: what the sources of `moldau log dump` share: segments (log_dump.c), the small files beside them (log_dump_small.c), and what Moldau adds to them (log_dump_own.c). */
#ifndef CLI_LOG_DUMP_H
#define CLI_LOG_DUMP_H

#include <stdbool.h>

#include "base/bytes.h"

enum small_kind {
	SMALL_NONE,    /* a segment: batches are looked for */
	SMALL_UNKNOWN, /* by its name nothing that can be printed; when it is asked for alone, batches are looked for */
	SMALL_OFFSET_INDEX,
	SMALL_TIME_INDEX,
	SMALL_ABORTED,
	SMALL_SNAPSHOT,
	SMALL_OFFSETS,
	SMALL_BOUNDS,
	SMALL_EPOCHS,
	SMALL_PARTITION,
	SMALL_META,
	SMALL_MARKER,
	SMALL_STATE,
	SMALL_MANIFEST,
	SMALL_JOURNAL,
};

/* By the file's name. */
enum small_kind log_dump_kind(const char *path);
/* Prints it, a line an entry; false when it does not parse, or its checksum does not match. Not for SMALL_NONE and SMALL_UNKNOWN. */
bool log_dump_small(const char *path, struct bytes file);
/* Moldau's own files: moldau-state, moldau-manifest, moldau-journal-SHARD-N. */
bool log_dump_state(struct bytes file);
bool log_dump_manifest(struct bytes file);
bool log_dump_journal(struct bytes file);

#endif
