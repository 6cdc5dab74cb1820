/*
 * clean_batch: what compaction does to batches: notes the last offset of each key, then keeps of each batch what is still worth keeping.
 * Pure: bytes in, bytes out; runs on a helper thread.
 *
 *      first   chunks of the dirty part, in order   -> the map: key -> last offset, up to map_end
 *      then    chunks of everything from the start  -> the same batches without records whose key comes again later, below map_end
 *
 * Invariants, as in Kafka
 * 1. Of each key the last record stays, at its offset and in its order. Nothing at or behind map_end is dropped.
 * 2. A record without a value (tombstone) stays until the delete horizon of its batch: the first cleaning that keeps it sets the horizon to now +
 *    delete.retention.ms, in the place of the base timestamp (KIP-534); a cleaning from then on drops it.
 * 3. A batch keeps its base offset, last offset, epoch, producer and sequence. A batch that lost all records stays as a header alone when it
 *    has the last sequence of a producer, or ends where the pass ends.
 * 4. A batch of an aborted transaction loses all its records. The marker that ends a transaction stays while anything of it is left; after that it goes as a
 *    tombstone does, but for the last one of a producer that has no batch: its epoch stays known (clean_txns.h).
 * 5. A CRC that is wrong is ERR_CORRUPT: damage is not spread.
 * Not here: open transactions, which the log keeps the cleaner from; files (clean.c).
 */
#ifndef STORAGE_CLEAN_BATCH_H
#define STORAGE_CLEAN_BATCH_H

#include "record/builder.h"
#include "storage/clean_map.h"
#include "storage/clean_txns.h"

/* The last batch of a producer, as the log knows it. */
struct clean_producer {
	int64_t producer_id;
	int64_t last_offset; /* of its last batch of data; -1: only a marker is known */
	int16_t epoch;
};

struct clean_counts {
	uint64_t batches_read;
	uint64_t bytes_read;
	uint64_t records_read;
	uint64_t batches_kept;
	uint64_t bytes_kept;
	uint64_t records_kept;
	uint64_t batches_changed; /* rewritten, or gone */
	uint64_t tombstones_dropped;
	uint64_t keyless; /* records without a key: they go */
	uint64_t aborted; /* records of aborted transactions: they go */
};

struct cleaner {
	struct clean_map map;
	int64_t map_start; /* offsets below are not noted: they were in an earlier pass */
	int64_t map_end;   /* behind the last batch that was noted whole */
	int64_t upper_bound;
	int64_t now_ms;
	int64_t delete_retention_ms;
	const struct clean_producer *producers; /* by id */
	size_t producer_count;
	size_t max_decompressed;
	struct compressor *compressor; /* its own */
	struct buf scratch;
	struct batch_builder builder;
	struct clean_txns txns;
	struct aborted_index
		kept; /* of cleaner_filter: entries of the markers that it passed and that are still needed; the caller's */
	struct clean_counts counts;
};

/* `map` is initialised by the caller, `txns` begun by him before each walk; the rest is zero or set by him. */
void cleaner_init(struct cleaner *c, size_t max_decompressed);
void cleaner_fini(struct cleaner *c);

/*
 * Takes the whole batches at the start of `chunk`; gives how many bytes these are. `ret_full`: the map took as much as it can, map_end says
 * how far.
 */
enum err cleaner_note(struct cleaner *c, struct bytes chunk, size_t *ret_taken, bool *ret_full) MUST_CHECK;
/* The same; appends what is kept to `out`. */
enum err cleaner_filter(struct cleaner *c, struct bytes chunk, struct buf *out, size_t *ret_taken) MUST_CHECK;

#endif
