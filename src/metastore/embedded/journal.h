/*
 * journal: the files of the embedded metastore as bytes: what a journal, a snapshot and the acknowledged bound look like, and what
 * is still good of a journal after a crash. Pure.
 *
 *      journal     header | frame | frame | ...                      each frame begins where the one before ends, at a multiple of 8
 *      frame       magic, crc of the header, journal id, position, size, crc of the payload, reserved | payload | padding
 *
 * Invariants
 * 1. A frame is written only after all before it were synced. So a good frame header behind a bad frame proves that the bad one
 *    was acknowledged: damage, not a torn tail. The same holds for what lies below the acknowledged bound.
 * 2. The journal's random id and its own position are in each frame: bytes of an older file, or data that look like a frame, are none.
 */
#ifndef METASTORE_EMBEDDED_JOURNAL_H
#define METASTORE_EMBEDDED_JOURNAL_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define EMBEDDED_FORMAT 1
#define JOURNAL_HEADER_SIZE 48
#define FRAME_HEADER_SIZE 40
#define SNAPSHOT_HEADER_SIZE 48
#define BOUND_SLOT_SIZE 48
#define BOUND_SLOT_SPACING 4096 /* a torn write of one slot leaves the other */

struct journal_head {
	uint64_t id;
	int64_t number;
	int64_t last_transaction; /* before its first */
};

void journal_put_head(struct buf *b, const struct journal_head *h);
/* ERR_MALFORMED, ERR_BAD_VERSION. */
enum err journal_get_head(struct bytes file, struct journal_head *ret_head) MUST_CHECK;

/* The frame for `payload` at `position`, padded. */
void journal_put_frame(struct buf *b, uint64_t id, int64_t position, struct bytes payload);

/*
 * The next good frame. ERR_END at the end of the file, or where a torn tail begins: the file is to be cut at `*position`. ERR_CORRUPT:
 * damage at `*position` below `acknowledged`, or in front of another frame.
 */
enum err journal_next_frame(struct bytes file, uint64_t id, int64_t acknowledged, int64_t *position,
			    struct bytes *ret_payload) MUST_CHECK;

struct bound {
	uint64_t id; /* the journal's */
	int64_t number;
	int64_t position;
};

/* Slot 0 or 1 of the file `acknowledged`. */
void bound_put(struct buf *b, const struct bound *bound);
/* The good slot with the largest number and position; false when none is good. */
bool bound_get(struct bytes file, struct bound *ret_bound);

struct snapshot_head {
	int64_t number;
	int64_t last_transaction;
	int64_t size; /* of the body */
	uint32_t body_crc;
};

void snapshot_put_head(struct buf *b, const struct snapshot_head *h);
/* Checks the body too. ERR_MALFORMED, ERR_BAD_VERSION, ERR_CORRUPT. */
enum err snapshot_get(struct bytes file, struct snapshot_head *ret_head, struct bytes *ret_body) MUST_CHECK;

#endif
