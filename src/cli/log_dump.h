/* log_dump: what the sources of `moldau log dump` share: segments (log_dump.c), and the small files beside them (log_dump_small.c). */
#ifndef CLI_LOG_DUMP_H
#define CLI_LOG_DUMP_H

#include <stdbool.h>

#include "base/bytes.h"

enum small_kind {
	SMALL_NONE, /* a segment, or something else: batches are looked for */
	SMALL_OFFSET_INDEX,
	SMALL_TIME_INDEX,
	SMALL_SNAPSHOT,
	SMALL_OFFSETS,
	SMALL_BOUNDS,
	SMALL_EPOCHS,
	SMALL_PARTITION,
	SMALL_META,
	SMALL_MARKER,
};

/* By the file's name. */
enum small_kind log_dump_kind(const char *path);
/* Prints it, a line an entry; false when it does not parse, or its checksum does not match. Not for SMALL_NONE. */
bool log_dump_small(const char *path, struct bytes file);

#endif
