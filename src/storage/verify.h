/*
 * verify: looks at everything in a log folder that nobody uses, and says what is wrong, where. Changes nothing.
 *
 *      LOG FOLDER      meta.properties, checkpoints, manifest, journal      parse? sums right? agree with the logs?
 *        LOG           epochs, partition.metadata, snapshots                parse? sums right? agree with the batches and the manifest?
 *          SEGMENT     batches                                              CRC; offsets and epochs, which no CRC covers, by their neighbours
 *            INDEXES                                                        each entry is of a batch that is there; none is missing at the end
 *
 * After an unclean stop only what recovery would lose or refuse is damage (below its bounds, and not in a journal); what it repairs, cuts or removes is a
 * note.
 * Invariants: no finding without a place; foreign bytes are never more than a finding; memory is bounded by a batch and the small files.
 * Lifetime: all is over when verify_await returns. In a fiber, over runtime/file only, so the simulator can call it too.
 * Not here: repair (recover), the metastore's files (metastore/embedded), printing (cli/).
 */
#ifndef STORAGE_VERIFY_H
#define STORAGE_VERIFY_H

#include "base/err.h"
#include "runtime/fiber.h"

#define VERIFY_TEXT_SIZE 200

enum verify_grade {
	VERIFY_DAMAGE,
	VERIFY_NOTE,
};

struct verify_finding {
	enum verify_grade grade;
	const char *path; /* within the folder */
	int64_t position; /* -1: the file as a whole */
	int64_t offset;   /* of the log; -1: does not apply, or is not known */
	const char *text;
};

struct verify_counts {
	uint64_t logs;
	uint64_t segments;
	uint64_t batches;
	uint64_t records; /* as the batches' headers say */
	uint64_t bytes;   /* of segments */
	uint64_t indexes;
	uint64_t snapshots;
	uint64_t small_files;
	uint64_t damages;
	uint64_t notes;
};

struct verify_options {
	const char *path;
	bool deep; /* decompresses every batch and parses every record */
	/* The finding lives during the call. */
	void (*found)(void *user, const struct verify_finding *f);
	/* Now and then; may be NULL. */
	void (*progress)(void *user, const struct verify_counts *c);
	void *user;
};

/*
 * `path` is a log folder, or the folder of one partition. ERR_BUSY: a process uses the folder; ERR_NOT_FOUND; ERR_USAGE: it is neither. Files that
 * cannot be read are findings.
 */
enum err verify_await(struct fiber *self, const struct verify_options *o, struct verify_counts *ret_counts) MUST_CHECK;

#endif
