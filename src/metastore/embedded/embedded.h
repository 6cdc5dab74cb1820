/*
 * embedded: the metastore of a single broker: a tree in memory, a journal and a snapshot on disk. Nothing to install.
 *
 *      .moldau-metadata/snapshot-7   the tree when journal 7 began
 *      .moldau-metadata/journal-7    frames, one a commit: all transactions that came while the one before was synced
 *      .moldau-metadata/acknowledged how far journal 7 is known to be durable, written lazily
 *
 * Invariants
 * 1. A transaction is acknowledged after the frame that holds it was synced; a frame starts only behind synced ones.
 * 2. Recovery cuts only the last frame, when it is torn and not known to be acknowledged; other damage is ERR_CORRUPT, nothing is cut.
 * 3. snapshot-N is renamed into place after journal-N was made durable; then the older ones go.
 * 4. A full disk undoes what was not written (ERR_NO_SPACE) and the store goes on; a failed sync, or any other failed write, is final.
 * Format: docs/decisions/0002-metastore.md; format 1 is readable for ever.
 */
#ifndef METASTORE_EMBEDDED_EMBEDDED_H
#define METASTORE_EMBEDDED_EMBEDDED_H

#include "base/log.h"
#include "metastore/metastore.h"

#define EMBEDDED_FOLDER ".moldau-metadata"

struct embedded_options {
	/* Made when it is not there: the first log folder + "/" EMBEDDED_FOLDER. NULL: in memory only, nothing is there at the next opening. */
	const char *folder;
	struct logger *log;
	struct metastore_owner *owner; /* may be NULL */
	size_t journal_bytes; /* a new snapshot is written when the journal is larger; 0: 4 MiB or twice the last snapshot */
	size_t max_bytes; /* of all data: ERR_TOO_BIG above; 0: 1 GiB */
};

/*
 * ERR_CORRUPT (damage below what was acknowledged; the log says where), ERR_BAD_VERSION (a newer format), ERR_IO, ERR_PERMISSION,
 * ERR_NO_SPACE. On the shard that will use it.
 */
enum err embedded_open_await(struct fiber *self, const struct embedded_options *o, struct metastore **ret_store)
	MUST_CHECK;

#endif
