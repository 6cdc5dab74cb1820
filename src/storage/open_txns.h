/*
 * open_txns: which transactions of a log are open, and which have ended with a marker that is not committed yet: what lies before the first record
 * of all of them is stable, and that is how far read_committed reads.
 *
 *      data A  data B  data A  end of A  data B         open: B       ended: A, until the high watermark has passed its end
 *      ^first unstable (A, then B)
 *
 * Invariants
 * 1. Open ones by first offset, ended ones by the offset of their end; a transaction is in one of the two lists at most.
 * 2. What is cut goes back: an end that is cut leaves its transaction open, a beginning that is cut leaves none.
 * Lifetime: embedded in struct producer_state. Pure.
 * Not here: whose transaction it is allowed to be (producer_state.h), which were aborted (aborted_index.h).
 */
#ifndef STORAGE_OPEN_TXNS_H
#define STORAGE_OPEN_TXNS_H

#include <stddef.h>
#include <stdint.h>

struct txn_span {
	int64_t producer_id;
	int64_t first_offset;
	int64_t last_offset; /* of its marker; -1 while it is open */
};

struct open_txns {
	struct txn_span *open;
	size_t open_count;
	size_t open_capacity;
	struct txn_span *ended;
	size_t ended_count;
	size_t ended_capacity;
};

#define TXN_NONE INT64_MAX

void open_txns_init(struct open_txns *t);
void open_txns_fini(struct open_txns *t);
/* A producer's first record of a transaction. */
void open_txns_begin(struct open_txns *t, int64_t producer_id, int64_t first_offset);
/* The marker of the transaction that began there. */
void open_txns_end(struct open_txns *t, int64_t first_offset, int64_t last_offset);
/* What is committed up to `offset`, ends with it, is stable. */
void open_txns_committed(struct open_txns *t, int64_t offset);
/* Takes back what came at or behind `offset`. */
void open_txns_cut(struct open_txns *t, int64_t offset);
/* Where the first one begins that is open, or whose end is not committed; TXN_NONE. */
int64_t open_txns_first_unstable(const struct open_txns *t);
/* Where the first open one begins that is not this one; TXN_NONE. */
int64_t open_txns_next_open(const struct open_txns *t, int64_t first_offset);

#endif
